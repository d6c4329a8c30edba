//! Turns a `str` object of the target into text.
//!
//! A string is stored with 1, 2 or 4 bytes per character, all characters alike (PEP 393). Its text
//! follows the object directly when it is *compact*: after `PyASCIIObject` when it is ASCII, else after
//! `PyCompactUnicodeObject`. The text of other strings (instances of subclasses; before 3.12 also those
//! of the old C interface) lies elsewhere, behind a pointer.

use thiserror::Error;

use super::layout::{Layout, ObjectLayout};
use crate::memory::window::{int_at, word_at};
use crate::memory::{Address, ReadError, ReadMemory};

/// No string that has this many characters or more is believed: more likely its memory was reused. Names
/// and paths have some hundred, generated source some million.
pub const MAX_CHARS: u64 = 1 << 26;

/// What is written at the end of a string of which only the beginning was read.
pub const CUT: char = '…';

/// Bytes that hold all of the fixed part of a string: in 3.15, free-threaded, it has 80.
const MAX_HEADER: usize = 128;

/// Why a string could not be read.
#[derive(Debug, Error)]
pub enum TextError {
    /// Its memory could not be read.
    #[error("read a string")]
    Read(#[from] ReadError),
    /// Its bits say neither 1, 2 nor 4 bytes per character. 0 is a string of the old C interface, before
    /// 3.12, that has not been used yet.
    #[error("read a string: no kind {0} of characters is known")]
    Kind(u32),
    /// It says that it has so many characters, [`MAX_CHARS`] or more.
    #[error("read a string: a length of {0} characters is not believed")]
    Length(u64),
}

/// Reads the `str` at `address`; of more than `max_chars` characters only those many, then [`CUT`].
///
/// Surrogates, which a `str` may have and UTF-8 may not, become U+FFFD.
///
/// # Errors
/// When the memory cannot be read or what is there is not a string.
pub fn read_str(
    memory: &impl ReadMemory,
    layout: &Layout,
    address: Address,
    max_chars: usize,
) -> Result<String, TextError> {
    let header = read_header(memory, &layout.object, address)?;
    let all = usize::try_from(header.chars).unwrap_or(usize::MAX);
    let chars = all.min(max_chars);
    let mut bytes = vec![0; chars * header.char_bytes];
    memory.read(header.text, &mut bytes)?;
    let mut text = decode(&bytes, header.char_bytes);
    if chars < all {
        text.push(CUT);
    }
    Ok(text)
}

/// Where the text of the `str` at `address` lies, and how many bytes it has; `None` when there is none.
pub(super) fn text_range(
    memory: &impl ReadMemory,
    layout: &Layout,
    address: Address,
) -> Option<(Address, u64)> {
    let header = read_header(memory, &layout.object, address).ok()?;
    Some((header.text, header.chars * header.char_bytes as u64))
}

/// How many bytes of an object tell whether it is a certain ASCII `str` of `chars` characters.
#[must_use]
pub fn ascii_str_bytes(layout: &Layout, chars: usize) -> usize {
    usize::try_from(layout.object.str_ascii_size).map_or(MAX_HEADER, |size| size.min(MAX_HEADER))
        + chars
}

/// Whether `bytes`, the first [`ascii_str_bytes`] of an object, are those of a compact ASCII `str` that
/// says `expected`.
#[must_use]
pub fn is_ascii_str(layout: &Layout, bytes: &[u8], expected: &str) -> bool {
    let object = &layout.object;
    let state = int_at(bytes, object.str_state).unwrap_or(0).cast_unsigned();
    let start = bytes.len().saturating_sub(expected.len());
    bit(state, object.str_compact_bit)
        && bit(state, object.str_ascii_bit)
        && word_at(bytes, object.str_length) == Some(expected.len() as u64)
        && &bytes[start..] == expected.as_bytes()
}

/// What the fixed part of a string says.
struct Header {
    /// How many characters it has, fewer than [`MAX_CHARS`].
    chars: u64,
    /// 1, 2 or 4.
    char_bytes: usize,
    /// Where they are.
    text: Address,
}

fn read_header(
    memory: &impl ReadMemory,
    object: &ObjectLayout,
    address: Address,
) -> Result<Header, TextError> {
    let mut buffer = [0; MAX_HEADER];
    let size =
        usize::try_from(object.str_ascii_size).map_or(MAX_HEADER, |size| size.min(MAX_HEADER));
    let header = &mut buffer[..size];
    memory.read(address, header)?;
    let chars = word_at(header, object.str_length).unwrap_or(u64::MAX);
    if chars >= MAX_CHARS {
        return Err(TextError::Length(chars));
    }
    let state = int_at(header, object.str_state)
        .unwrap_or(0)
        .cast_unsigned();
    let char_bytes = match state.checked_shr(object.str_kind_bit).unwrap_or(0) & 7 {
        1 => 1,
        2 => 2,
        4 => 4,
        kind => return Err(TextError::Kind(kind)),
    };
    let text = match (
        bit(state, object.str_compact_bit),
        bit(state, object.str_ascii_bit),
    ) {
        (true, true) => address + object.str_ascii_size,
        (true, false) => address + object.str_compact_size,
        (false, _) => memory.pointer(address + object.str_data)?,
    };
    Ok(Header {
        chars,
        char_bytes,
        text,
    })
}

/// Characters of 1, 2 or 4 bytes each: code points, never UTF-16.
fn decode(bytes: &[u8], char_bytes: usize) -> String {
    bytes
        .chunks_exact(char_bytes)
        .map(|unit| {
            let mut code_point = [0; 4];
            code_point[..char_bytes].copy_from_slice(unit);
            char::from_u32(u32::from_le_bytes(code_point)).unwrap_or(char::REPLACEMENT_CHARACTER)
        })
        .collect()
}

fn bit(state: u32, bit: u32) -> bool {
    state.checked_shr(bit).unwrap_or(0) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpython::layout::rows::Row;
    use crate::memory::SavedMemory;

    const AT: Address = Address(0x1000);
    const ELSEWHERE: Address = Address(0x8000);

    /// A string of 3.6–3.11 as its headers draw it: length in word 2, state in word 4; the text after
    /// 48 bytes (ASCII) or 72 bytes, or behind the pointer there.
    fn string(kind: u32, compact: bool, ascii: bool, chars: u64, text: &[u8]) -> SavedMemory {
        let mut bytes = vec![0; if ascii && compact { 48 } else { 72 }];
        bytes[16..24].copy_from_slice(&chars.to_le_bytes());
        let state = 1 | kind << 2 | u32::from(compact) << 5 | u32::from(ascii) << 6 | 1 << 7;
        bytes[32..36].copy_from_slice(&state.to_le_bytes());
        let mut memory = SavedMemory::default();
        if compact {
            bytes.extend(text);
        } else {
            bytes.extend(ELSEWHERE.0.to_le_bytes());
            memory.insert(ELSEWHERE, text.to_vec());
        }
        memory.insert(AT, bytes);
        memory
    }

    fn read(memory: &SavedMemory, max_chars: usize) -> Result<String, TextError> {
        read_str(
            memory,
            Row::of_minor(3, 8).expect("a row").layout,
            AT,
            max_chars,
        )
    }

    fn units(text: &str, bytes_each: usize) -> Vec<u8> {
        text.chars()
            .flat_map(|c| (c as u32).to_le_bytes().into_iter().take(bytes_each))
            .collect()
    }

    #[test]
    fn every_kind_is_read() {
        for (kind, compact, ascii, text) in [
            (1, true, true, "work"),
            (1, true, false, "é à"),
            (2, true, false, "поток"),
            (4, true, false, "🦀 x"),
            (1, false, true, "legacy"),
            (1, false, false, "é"),
            (2, false, false, "поток"),
            (4, false, false, "🦀"),
            (1, true, true, ""),
        ] {
            let stored = units(text, kind as usize);
            let memory = string(kind, compact, ascii, text.chars().count() as u64, &stored);
            assert_eq!(read(&memory, 100).expect(text), text);
        }
    }

    #[test]
    fn surrogates_are_replaced_not_paired() {
        let text = [0x3d, 0xd8, 0x00, 0xde, 0x41, 0x00];
        let memory = string(2, true, false, 3, &text);
        assert_eq!(read(&memory, 100).expect("text"), "\u{fffd}\u{fffd}A");
        let memory = string(4, true, false, 1, &0x0011_0000_u32.to_le_bytes());
        assert_eq!(read(&memory, 100).expect("text"), "\u{fffd}");
    }

    #[test]
    fn long_ones_are_cut_visibly() {
        let memory = string(1, true, true, 5, b"abcde");
        assert_eq!(read(&memory, 5).expect("text"), "abcde");
        assert_eq!(read(&memory, 4).expect("text"), "abcd…");
    }

    #[test]
    fn garbage_is_refused() {
        assert!(matches!(
            read(&string(1, true, true, 1 << 40, b""), 9),
            Err(TextError::Length(_))
        ));
        assert!(matches!(
            read(&string(0, true, true, 1, b"a"), 9),
            Err(TextError::Kind(0))
        ));
        assert!(matches!(
            read(&string(3, true, true, 1, b"a"), 9),
            Err(TextError::Kind(3))
        ));
        assert!(matches!(
            read(&string(1, true, true, 9, b"short"), 9),
            Err(TextError::Read(_))
        ));
        assert!(matches!(
            read(&SavedMemory::default(), 9),
            Err(TextError::Read(_))
        ));
    }

    #[test]
    fn names_are_compared_whole() {
        let layout = Row::of_minor(3, 8).expect("a row").layout;
        let is = |memory: &SavedMemory, name: &str| {
            let mut bytes = vec![0; ascii_str_bytes(layout, name.len())];
            memory.read(AT, &mut bytes).is_ok() && is_ascii_str(layout, &bytes, name)
        };
        let work = string(1, true, true, 4, b"work");
        assert!(is(&work, "work"));
        assert!(!is(&work, "wor") && !is(&work, "fork") && !is(&work, "works"));
        assert!(!is(&string(1, true, false, 4, b"work"), "work"));
        assert!(!is_ascii_str(layout, b"rk", "work") && !is_ascii_str(layout, b"", ""));
    }
}
