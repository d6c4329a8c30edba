//! Turns a code object's line table and an instruction offset into a line number.
//!
//! Three formats, one decoder each; which one a version has is a trait of it
//! ([`Traits::line_format`](super::layout::traits::Traits::line_format)):
//!
//! | versions | field | format |
//! |---|---|---|
//! | 3.6–3.9 | `co_lnotab` | pairs (bytes, signed lines), `Objects/lnotab_notes.txt` |
//! | 3.10 | `co_linetable` | pairs (bytes, signed lines or none), PEP 626 |
//! | 3.11 on | `co_linetable` | location entries of several bytes, PEP 657, `Objects/locations.md` |
//!
//! Every offset here is in bytes from the first instruction. What the frame keeps differs, and the
//! caller converts it:
//!
//! | versions | what the frame keeps | byte offset |
//! |---|---|---|
//! | 3.6–3.9 | `f_lasti`, in bytes | as it is |
//! | 3.10 | `f_lasti`, in units of 2 bytes | times 2 |
//! | 3.11, 3.12 | `prev_instr`, the unit before the next one | minus the address of the code |
//! | 3.13 on | `instr_ptr`, the unit executing or about to begin | minus the address of the code |
//!
//! A frame that has not begun keeps -1 or the unit before the code: it has no offset, and
//! `PyCode_Addr2Line` answers with `co_firstlineno` for it. From 3.11 on the unit may be an inline
//! cache entry; the table covers those with the line of their instruction.
//!
//! The bytes are the target's and may be anything: a damaged table ends early, a line that is none
//! of 1 to `INT_MAX` is unknown (a module's first instruction says line 0 from 3.11 on), and the
//! work is bounded by the length of the table.

/// Bytes of a code unit from 3.6 on (`_Py_CODEUNIT`).
const UNIT_BYTES: u32 = 2;

/// The most ranges of an [`LineIndex`]: some 3 MiB. What lies behind has no line.
const MAX_RANGES: usize = 1 << 18;

/// The line delta of 3.10 that means "no line" (PEP 626).
const NO_LINE_DELTA: i8 = -128;

/// How a line table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LineFormat {
    /// `co_lnotab` of 3.6–3.9: pairs (bytes to the next entry, signed lines to the next entry),
    /// `Objects/lnotab_notes.txt`. Signed lines came with 3.6.
    Lnotab,
    /// `co_linetable` of 3.10: pairs (length in bytes, signed lines from the last entry), PEP 626.
    Pairs,
    /// `co_linetable` of 3.11 on: location entries, PEP 657 and `Objects/locations.md`.
    Locations,
}

/// The line table of one code object, as the target has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineTable {
    /// How `bytes` is written.
    pub format: LineFormat,
    /// `co_firstlineno`.
    pub first_line: i32,
    /// `co_lnotab` or `co_linetable`.
    pub bytes: Vec<u8>,
}

impl LineTable {
    /// The line of the instruction `byte_offset` bytes after the first one, `None` when the
    /// instruction belongs to no line or the table does not reach it.
    ///
    /// Reads the table up to there; who asks often builds a [`LineIndex`].
    #[must_use]
    pub fn line_at(&self, byte_offset: u32) -> Option<u32> {
        self.ranges()
            .find(|&(_, end, _)| byte_offset < end)
            .and_then(|(_, _, line)| line)
    }

    /// The instructions from the first on, as `(start_byte, end_byte, line)`: never empty, each
    /// starting where the last one ended, neighbours possibly of the same line.
    ///
    /// The end is exclusive. In [`LineFormat::Lnotab`] the last range ends at [`u32::MAX`], since
    /// that table does not know how long the code is.
    pub fn ranges(&self) -> impl Iterator<Item = (u32, u32, Option<u32>)> + '_ {
        Ranges {
            format: self.format,
            rest: &self.bytes,
            start: 0,
            line: i64::from(self.first_line),
        }
    }
}

/// A line table laid out for binary search.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineIndex {
    /// Where each range ends and its line; sorted, the first one starting at 0.
    ranges: Vec<(u32, Option<u32>)>,
}

impl LineIndex {
    /// Decodes `table` once.
    #[must_use]
    pub fn new(table: &LineTable) -> LineIndex {
        let mut ranges: Vec<(u32, Option<u32>)> = Vec::new();
        for (_, end, line) in table.ranges() {
            let is_full = ranges.len() == MAX_RANGES;
            match ranges.last_mut() {
                Some(last) if last.1 == line => last.0 = end,
                _ if is_full => break,
                _ => ranges.push((end, line)),
            }
        }
        ranges.shrink_to_fit();
        LineIndex { ranges }
    }

    /// The memory that the ranges take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.ranges.len() * size_of::<(u32, Option<u32>)>()
    }

    /// As [`LineTable::line_at`].
    #[must_use]
    pub fn line_at(&self, byte_offset: u32) -> Option<u32> {
        let index = self.ranges.partition_point(|&(end, _)| end <= byte_offset);
        self.ranges.get(index).and_then(|&(_, line)| line)
    }
}

/// A walk over the bytes of a table.
struct Ranges<'a> {
    format: LineFormat,
    /// The entries not yet read.
    rest: &'a [u8],
    /// Where the next range starts.
    start: u32,
    /// The line reached. It cannot overflow: each entry adds less than 2^32, and a table of 2^31
    /// entries does not fit into memory.
    line: i64,
}

impl Iterator for Ranges<'_> {
    type Item = (u32, u32, Option<u32>);

    fn next(&mut self) -> Option<Self::Item> {
        // An entry may be zero bytes long: it only moves the line on.
        loop {
            let (bytes, line) = match self.format {
                LineFormat::Lnotab => self.next_lnotab(),
                LineFormat::Pairs => self.next_pair(),
                LineFormat::Locations => self.next_location(),
            }?;
            if bytes > 0 {
                let start = self.start;
                self.start = start.checked_add(bytes)?;
                return Some((start, self.start, line.and_then(valid_line)));
            }
        }
    }
}

/// One entry: the bytes it spans, and its line.
type Entry = (u32, Option<i64>);

impl Ranges<'_> {
    /// As `PyCode_Addr2Line` of 3.6–3.9 (`Objects/codeobject.c`).
    fn next_lnotab(&mut self) -> Option<Entry> {
        let line = self.line;
        if let [bytes, lines, rest @ ..] = self.rest {
            self.rest = rest;
            self.line += i64::from(lines.cast_signed());
            Some((u32::from(*bytes), Some(line)))
        } else {
            // What follows the last entry has its line, however long it is; afterwards `start` is
            // at its maximum, and the walk ends.
            self.rest = &[];
            Some((u32::MAX - self.start, Some(line))).filter(|&(bytes, _)| bytes > 0)
        }
    }

    /// As `advance` of 3.10 (`Objects/codeobject.c`).
    fn next_pair(&mut self) -> Option<Entry> {
        let [bytes, lines, rest @ ..] = self.rest else {
            return None;
        };
        self.rest = rest;
        let bytes = u32::from(*bytes);
        if lines.cast_signed() == NO_LINE_DELTA {
            return Some((bytes, None));
        }
        self.line += i64::from(lines.cast_signed());
        Some((bytes, Some(self.line)))
    }

    /// As `advance` of 3.11 on (`Objects/codeobject.c`): the columns are skipped, and the next
    /// entry begins at the next byte with the high bit set.
    fn next_location(&mut self) -> Option<Entry> {
        let (&head, rest) = self.rest.split_first()?;
        if head & 0x80 == 0 {
            // No entry begins like this: the table is damaged.
            self.rest = &[];
            return None;
        }
        let length = rest.iter().take_while(|&&byte| byte & 0x80 == 0).count();
        let (body, rest) = rest.split_at(length);
        self.rest = rest;

        let bytes = (u32::from(head & 0x07) + 1) * UNIT_BYTES;
        let lines = match (head >> 3) & 0x0f {
            // Short: one byte of columns, on the line of the last entry.
            0..=9 => 0,
            // One line: two bytes of columns, up to two lines further.
            code @ 10..=12 => i64::from(code) - 10,
            // No columns, long: a signed varint of lines; long has the end and columns behind it.
            13 | 14 => signed_varint(body),
            // None: no line.
            _ => return Some((bytes, None)),
        };
        self.line += lines;
        Some((bytes, Some(self.line)))
    }
}

/// The varint that `body` begins with: six bits a byte, lowest first, bit 6 set when more follow;
/// bit 0 of the result is the sign. Bits past the 32 of C's `unsigned int` are dropped.
fn signed_varint(body: &[u8]) -> i64 {
    let mut value: u32 = 0;
    let mut shift: u32 = 0;
    for &byte in body {
        let bits = u32::from(byte & 0x3f);
        value |= bits.checked_shl(shift).unwrap_or(0);
        shift = shift.saturating_add(6);
        if byte & 0x40 == 0 {
            break;
        }
    }
    let magnitude = i64::from(value >> 1);
    if value & 1 == 0 {
        magnitude
    } else {
        -magnitude
    }
}

/// `line` when it can be a line: they count from 1, in a C `int`.
fn valid_line(line: i64) -> Option<u32> {
    i32::try_from(line)
        .ok()
        .and_then(|line| u32::try_from(line).ok())
        .filter(|&line| line > 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Checks that a table decodes to `expect`, by range.
    fn check(
        format: LineFormat,
        first_line: i32,
        bytes: &[u8],
        expect: &[(u32, u32, Option<u32>)],
    ) {
        let table = LineTable {
            format,
            first_line,
            bytes: bytes.to_vec(),
        };
        assert_eq!(table.ranges().collect::<Vec<_>>(), expect);
    }

    #[test]
    fn lnotab_lines_go_forth_and_back() {
        // The example of lnotab_notes.txt, then two lines back.
        let bytes = [0, 1, 6, 1, 44, 5, 255, 0, 45, 127, 0, 73, 4, 0xfe];
        check(
            LineFormat::Lnotab,
            1,
            &bytes,
            &[
                (0, 6, Some(2)),
                (6, 50, Some(3)),
                (50, 305, Some(8)),
                (305, 350, Some(8)),
                (350, 354, Some(208)),
                (354, u32::MAX, Some(206)),
            ],
        );
        check(LineFormat::Lnotab, 7, &[], &[(0, u32::MAX, Some(7))]);
        check(LineFormat::Lnotab, 7, &[4], &[(0, u32::MAX, Some(7))]);
    }

    #[test]
    fn pairs_may_have_no_line() {
        check(
            LineFormat::Pairs,
            10,
            &[4, 0, 6, 0x80, 2, 1, 0, 127, 0, 1, 254, 1, 2, 0xff, 9],
            &[
                (0, 4, Some(10)),
                (4, 10, None),
                (10, 12, Some(11)),
                (12, 266, Some(140)),
                (266, 268, Some(139)),
            ],
        );
        check(LineFormat::Pairs, 10, &[], &[]);
    }

    #[test]
    fn locations_of_every_kind() {
        let short = [0x80 | (3 << 3) | 1, 0x12];
        let one_line = [0x80 | (12 << 3), 4, 9];
        let no_columns = [0x80 | (13 << 3) | 7, 5]; // -2
        let long = [0x80 | (14 << 3), 0x40 | 0x2c, 3, 1, 1, 1]; // 0xec >> 1 = 118
        let none = [0x80 | (15 << 3)];
        let bytes = [&short[..], &one_line, &no_columns, &long, &none].concat();
        check(
            LineFormat::Locations,
            100,
            &bytes,
            &[
                (0, 4, Some(100)),
                (4, 6, Some(102)),
                (6, 22, Some(100)),
                (22, 24, Some(218)),
                (24, 26, None),
            ],
        );
    }

    #[test]
    fn an_invalid_line_is_unknown() {
        // What a module begins with from 3.11 on: one line above its first.
        let above = [0x80 | (14 << 3), 3, 0, 0, 0, 0x80 | (11 << 3), 0, 0];
        check(
            LineFormat::Locations,
            1,
            &above,
            &[(0, 2, None), (2, 4, Some(1))],
        );
        check(LineFormat::Pairs, i32::MAX, &[2, 1], &[(0, 2, None)]);
        check(LineFormat::Pairs, i32::MIN, &[2, 0xff], &[(0, 2, None)]);
    }

    #[test]
    fn a_damaged_location_table_ends_early() {
        check(LineFormat::Locations, 1, &[0x00, 0x80], &[]);
        // A varint without end, longer than any number.
        let mut endless = vec![0x80 | (13 << 3)];
        endless.extend([0x7f; 40]);
        check(LineFormat::Locations, 1, &endless, &[(0, 2, None)]);
    }

    fn any_table() -> impl Strategy<Value = LineTable> {
        let format = prop_oneof![
            Just(LineFormat::Lnotab),
            Just(LineFormat::Pairs),
            Just(LineFormat::Locations)
        ];
        let first_line = prop_oneof![1..100_000, any::<i32>()];
        let bytes = prop::collection::vec(any::<u8>(), 0..400);
        (format, first_line, bytes).prop_map(|(format, first_line, bytes)| LineTable {
            format,
            first_line,
            bytes,
        })
    }

    proptest! {
        #[test]
        fn any_bytes_decode_the_same_each_way(table in any_table()) {
            let index = LineIndex::new(&table);
            let mut reached = 0;
            for (start, end, line) in table.ranges() {
                prop_assert_eq!(start, reached);
                prop_assert!(end > start);
                for at in [start, start + (end - start) / 2, end - 1] {
                    prop_assert_eq!(table.line_at(at), line);
                    prop_assert_eq!(index.line_at(at), line);
                }
                reached = end;
            }
            for at in [reached, u32::MAX] {
                prop_assert_eq!(table.line_at(at), None);
                prop_assert_eq!(index.line_at(at), None);
            }
        }
    }
}
