//! Turns the notes of a mapped program or library into its build id, in hexadecimal digits.
//!
//! They are read from the target's memory, where the loader maps them: no file is opened, and a deleted or replaced library
//! has the id of what the program runs.

use std::fmt::Write;
use std::sync::Arc;

/// The most bytes of notes that are looked at; libraries have some 100.
pub const MAX_NOTES_BYTES: u64 = 4 << 10;

/// The type and the owner of the note with the build id (elf.h).
const NT_GNU_BUILD_ID: u32 = 3;
const OWNER: &[u8] = b"GNU\0";

/// The lengths of build ids that are believed; linkers make ids of 8, 16 or 20 bytes.
const ID_BYTES: std::ops::RangeInclusive<usize> = 2..=64;

/// The build id among the notes of one `PT_NOTE` segment.
///
/// A note is the lengths of owner and description, the type, then both (elf(5)). They are padded to 4 bytes, in segments
/// aligned to 8 to so many.
pub fn build_id(notes: &[u8], alignment: u64) -> Option<Arc<str>> {
    let padding = if alignment == 8 { 8 } else { 4 };
    let mut at = 0;
    loop {
        let word = |place: usize| -> Option<u32> {
            let bytes = notes.get(place..)?.first_chunk()?;
            Some(u32::from_le_bytes(*bytes))
        };
        let (owner, id, kind) = (word(at)? as usize, word(at + 4)? as usize, word(at + 8)?);
        let owner_at = at + 12;
        let id_at = owner_at
            .checked_add(owner)?
            .checked_next_multiple_of(padding)?;
        let end = id_at.checked_add(id)?;
        let is_it = kind == NT_GNU_BUILD_ID && notes.get(owner_at..owner_at + owner)? == OWNER;
        let bytes = notes.get(id_at..end)?;
        if is_it && ID_BYTES.contains(&id) {
            return Some(digits(bytes).into());
        }
        at = end.checked_next_multiple_of(padding)?;
    }
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // A String takes what is written.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn note(owner: &[u8], kind: u32, id: &[u8], padding: usize) -> Vec<u8> {
        let mut note = Vec::new();
        for word in [owner.len() as u32, id.len() as u32, kind] {
            note.extend(word.to_le_bytes());
        }
        for part in [owner, id] {
            note.extend(part);
            note.resize(note.len().next_multiple_of(padding), 0);
        }
        note
    }

    #[test]
    fn the_build_id_is_found_among_other_notes() {
        let mut notes = note(b"GNU\0", 1, &[0; 16], 4);
        notes.extend(note(b"FDO\0", 3, &[9; 20], 4));
        notes.extend(note(b"GNU\0", 3, &[0xab, 0x01, 0xff], 4));
        assert_eq!(build_id(&notes, 4).as_deref(), Some("ab01ff"));
        let mut properties = note(b"GNU\0", 5, &[0; 12], 8);
        properties.extend(note(b"GNU\0", 3, &[0x12; 20], 8));
        assert_eq!(build_id(&properties, 8), Some("12".repeat(20).into()));
    }

    #[test]
    fn notes_without_one_or_cut_off_have_none() {
        let whole = note(b"GNU\0", 3, &[7; 20], 4);
        for length in 0..whole.len() {
            assert_eq!(build_id(&whole[..length], 4), None, "{length}");
        }
        assert_eq!(build_id(&note(b"GNU\0", 3, &[7; 65], 4), 4), None);
        assert_eq!(build_id(&note(b"GNU\0", 1, &[7; 20], 4), 4), None);
    }

    proptest! {
        #[test]
        fn notes_that_say_anything_never_panic(notes: Vec<u8>, alignment: u64) {
            let _ = build_id(&notes, alignment);
        }
    }
}
