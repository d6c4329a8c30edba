//! Turns a `task_name` into text, and into the bytes that tell it from another name at its address.

use crate::cpython::layout::Layout;
use crate::cpython::objects::int_value;
use crate::cpython::text::{read_str, text_range};
use crate::cpython::thread_names::MAX_NAME_CHARS;
use crate::memory::{Address, ReadMemory};

/// `Py_TPFLAGS_LONG_SUBCLASS` (`object.h`; the same in 3.8–3.15): the object is an int.
const LONG_SUBCLASS: u64 = 1 << 24;

/// Bytes of one digit of an int: the number of a task has no more, up to 2^30 of them.
const INT_DIGIT: u64 = 4;

/// A name is read up to here: of a `str` that has more than some 180 characters, only those are compared.
const NAME_BYTES: usize = 256;

/// At the end of a page no more than this is read.
const SHORT_NAME_BYTES: usize = 96;

/// The smallest page of x86-64 and AArch64.
const PAGE: u64 = 4096;

/// `ob_refcnt`, which changes all the time: a name is compared from behind it on.
pub const NAME_FROM: u64 = 8;

/// `ob_type` and the length of a name, which follow that.
const HEAD_BYTES: usize = 16;

/// The name of a task, from its `task_name`.
pub fn task_name(memory: &impl ReadMemory, layout: &Layout, at: Address) -> Option<String> {
    if is_int(memory, layout, at)? {
        return Some(format!("Task-{}", int_value(memory, layout, at).ok()?));
    }
    read_str(memory, layout, at, MAX_NAME_CHARS).ok()
}

/// What tells a name from another one at its address.
///
/// Nothing else of a name stays the same: the hash of a `str`, whether it is interned, and its other forms come when they are
/// first asked for, and the object behind it is another one.
#[derive(Debug, PartialEq, Eq)]
pub struct NameBytes {
    /// `ob_type`, and the length.
    head: Vec<u8>,
    /// Where the characters begin, or the digits of an int, counted from `ob_type`.
    text_from: usize,
    text: Vec<u8>,
}

impl NameBytes {
    /// From what was copied of the name at `at`, from [`NAME_FROM`] on.
    pub fn new(
        memory: &impl ReadMemory,
        layout: &Layout,
        at: Address,
        copied: &[u8],
    ) -> Option<NameBytes> {
        let (text, length) = text_of(memory, layout, at)?;
        // The text of a `str` of a subclass lies elsewhere.
        let from = text.offset_from(at + NAME_FROM);
        let from = from.and_then(|from| usize::try_from(from).ok());
        let from = from.unwrap_or(copied.len()).min(copied.len());
        let end = from.saturating_add(usize::try_from(length).ok()?);
        Some(NameBytes {
            head: copied.get(..HEAD_BYTES)?.to_vec(),
            text_from: from,
            text: copied[from..end.min(copied.len())].to_vec(),
        })
    }

    /// How many bytes are to be copied, from [`NAME_FROM`] on, to compare it.
    pub fn length(&self) -> usize {
        HEAD_BYTES.max(self.text_from + self.text.len())
    }

    /// Whether it is the one that was copied.
    pub fn is(&self, copied: &[u8]) -> bool {
        let text = copied.get(self.text_from..);
        copied.starts_with(&self.head) && text.is_some_and(|text| text.starts_with(&self.text))
    }
}

/// How many bytes of the name at `at` are to be copied from [`NAME_FROM`] on to make a [`NameBytes`] of it: what is behind the
/// end of a page may not be there.
pub fn bytes_to_read(at: Address) -> usize {
    let until_page_end = PAGE - (at.0 % PAGE);
    NAME_BYTES.min((until_page_end as usize).max(SHORT_NAME_BYTES)) - NAME_FROM as usize
}

/// Where the characters of a `task_name` are, or the digits of one that is an int, and how many bytes these are.
fn text_of(memory: &impl ReadMemory, layout: &Layout, at: Address) -> Option<(Address, u64)> {
    if is_int(memory, layout, at)? {
        return Some((at + layout.object.long_digits, INT_DIGIT));
    }
    text_range(memory, layout, at)
}

fn is_int(memory: &impl ReadMemory, layout: &Layout, at: Address) -> Option<bool> {
    let type_object = memory.pointer(at + layout.object.ob_type).ok()?;
    let flags = memory.word(type_object + layout.object.type_flags).ok()?;
    Some(flags & LONG_SUBCLASS != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpython::layout::rows::{ROWS, Row};
    use crate::memory::SavedMemory;

    const NAME: Address = Address(0x10_0000);
    const TYPE: Address = Address(0x20_0000);
    const BYTES: usize = 160;

    /// A name of each kind, up to the end of what is copied: a `str`, and from 3.12 on an int.
    fn names(row: &Row) -> Vec<(Vec<u8>, u64)> {
        let object = &row.layout.object;
        let with = |words: &[(u64, u64)]| {
            let mut bytes = vec![0; BYTES];
            for (offset, word) in words {
                bytes[*offset as usize..][..8].copy_from_slice(&word.to_le_bytes());
            }
            bytes
        };
        let state =
            1 << object.str_kind_bit | 1 << object.str_compact_bit | 1 << object.str_ascii_bit;
        let text = u64::from_le_bytes(*b"Task-123");
        let of_str = with(&[
            (object.ob_type, TYPE.0),
            (object.str_length, 8),
            (object.str_state, state),
            (object.str_ascii_size, text),
        ]);
        let mut names = vec![(of_str, 0)];
        if let Some(tag) = object.long_tag {
            let of_int = with(&[
                (object.ob_type, TYPE.0),
                (tag, 8),
                (object.long_digits, 123),
            ]);
            names.push((of_int, LONG_SUBCLASS));
        }
        names
    }

    #[test]
    fn a_name_is_the_same_until_its_text_changes() {
        for row in ROWS.iter().filter(|row| row.layout.tasks.is_some()) {
            let object = &row.layout.object;
            for (bytes, flags) in names(row) {
                let mut memory = SavedMemory::default();
                memory.insert(NAME, bytes.clone());
                let mut type_object = vec![0; 512];
                type_object[object.type_flags as usize..][..8]
                    .copy_from_slice(&flags.to_le_bytes());
                memory.insert(TYPE, type_object);
                assert_eq!(
                    task_name(&memory, row.layout, NAME).as_deref(),
                    Some("Task-123")
                );
                let copied = &bytes[NAME_FROM as usize..];
                let known = NameBytes::new(&memory, row.layout, NAME, copied).expect("a name");
                assert!(known.length() < BYTES - 40, "{known:?}");
                let is_changed = |at: u64| {
                    let mut changed = copied.to_vec();
                    changed[at as usize - NAME_FROM as usize] ^= 1;
                    !known.is(&changed[..known.length()])
                };
                let (text, _) = text_of(&memory, row.layout, NAME).expect("a text");
                let text = text.0 - NAME.0;
                // Its type, its length, its text.
                assert!(is_changed(8) && is_changed(16) && is_changed(text));
                if flags == 0 {
                    // Its hash, and whether it is interned.
                    assert!(!is_changed(24) && !is_changed(object.str_state));
                }
            }
        }
    }
}
