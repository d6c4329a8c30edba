//! Turns saved memory into the bytes of an image file, and back.
//!
//! An image is a run of ranges in ascending order: the address of the first byte and the number of
//! bytes, both as 64-bit little-endian words, then the bytes. Beside `NAME.img` lies `NAME.json`, which
//! tells the interpreter and what its threads were doing: the keys `version_hex`, `free_threaded`,
//! `runtime` (where `_PyRuntime` is) and `threads` (as `tests/programs/oracle.py` tells them).

use rsamp::memory::{Address, SavedMemory};

/// The bytes of an image file.
pub fn write_image(memory: &SavedMemory) -> Vec<u8> {
    let mut image = Vec::new();
    for (at, bytes) in memory.ranges() {
        image.extend(at.0.to_le_bytes());
        image.extend((bytes.len() as u64).to_le_bytes());
        image.extend(bytes);
    }
    image
}

/// The memory in the bytes of an image file; `None` when they are none.
pub fn read_image(mut image: &[u8]) -> Option<SavedMemory> {
    let mut memory = SavedMemory::default();
    while !image.is_empty() {
        let (at, rest) = image.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let (bytes, rest) = rest.split_at_checked(length)?;
        memory.insert(Address(u64::from_le_bytes(*at)), bytes.to_vec());
        image = rest;
    }
    Some(memory)
}

#[test]
fn what_was_written_is_read() {
    let mut memory = SavedMemory::default();
    memory.insert(Address(0x1000), vec![1, 2, 3]);
    memory.insert(Address(u64::MAX - 9), vec![4; 9]);
    let image = write_image(&memory);
    let read = read_image(&image).expect("an image");
    assert!(read.ranges().eq(memory.ranges()));
    for end in [1, 8, 15, 16, 18, image.len() - 1] {
        assert!(read_image(&image[..end]).is_none());
    }
}
