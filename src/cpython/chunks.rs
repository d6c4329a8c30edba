//! Turns the list of a thread's data-stack chunks into the chunk in which an address lies.
//!
//! From 3.11 on each thread has such a list (`_PyStackChunk` in `cpython/pystate.h`). A deep recursion has
//! hundreds of chunks and frames in all of them: finding the chunk of a frame must not take longer the
//! more there are.

use std::cell::Cell;
use std::ops::Deref;

use super::frames::Circle;
use crate::memory::window::{Window, word_at};
use crate::memory::{Address, ReadMemory};

/// The most data-stack chunks that are followed: with 16 KiB each they hold more than
/// [`MAX_COPIED_BYTES`].
const MAX_CHUNKS: usize = 4096;

/// The largest chunk that is believed. Chunks have 16 KiB, doubled for a single frame that needs more.
const MAX_CHUNK_BYTES: u64 = 1 << 22;

/// The most bytes of one thread's chunks that are copied as a whole, enough for some 250,000 frames of
/// small functions; frames in what lies below are read one by one.
const MAX_COPIED_BYTES: u64 = 32 << 20;

/// A chunk with more bytes in use than this is tried at its end before room is made for them.
const BELIEVED_BYTES: u64 = 64 << 10;

/// `sizeof(_PyStackChunk)` without its data: `previous`, `size`, `top` (`cpython/pystate.h`).
const CHUNK_HEADER: u64 = 24;

/// Bytes copied beyond the end of the stack as last seen: room for a few more calls.
const SLACK: u64 = 512;

/// How much more than that may be copied before the copy is made smaller.
const SURPLUS: u64 = 4096;

/// A data-stack chunk: where the frames in it lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Where it starts.
    pub at: Address,
    /// Its size in bytes.
    pub size: u64,
    /// Bytes of it that are copied.
    pub copied: u64,
    /// Where its first frame lies.
    pub first_frame: Address,
    /// Where its last frame ends; `None` for the newest chunk, in which frames come and go.
    pub end: Option<Address>,
}

impl Chunk {
    /// Whether a place lies in it, copied or not.
    fn spans(&self, at: Address) -> bool {
        at >= self.at && at.0 - self.at.0 < self.size
    }

    /// Whether a place lies in what is copied of it.
    fn holds(&self, at: Address) -> bool {
        at >= self.at && at.0 - self.at.0 < self.copied
    }
}

/// The chunks of one thread, newest first.
#[derive(Debug, Default, Clone)]
pub(super) struct Chunks {
    list: Vec<Chunk>,
    /// Their numbers, by ascending address.
    by_address: Vec<usize>,
    /// The one that was found last: the next frame most likely lies in the same.
    found: Cell<usize>,
    /// Whether these are all: from the newest to the one that has none before it.
    pub are_all: bool,
}

impl Deref for Chunks {
    type Target = [Chunk];

    fn deref(&self) -> &[Chunk] {
        &self.list
    }
}

impl Chunks {
    /// The number of the chunk in which a place lies, copied or not.
    pub fn spanning(&self, at: Address) -> Option<usize> {
        let found = self.found.get();
        if self.list.get(found)?.spans(at) {
            return Some(found);
        }
        let behind = self
            .by_address
            .partition_point(|number| self.list[*number].at <= at);
        let number = self.by_address[behind.checked_sub(1)?];
        if !self.list[number].spans(at) {
            return None;
        }
        self.found.set(number);
        Some(number)
    }

    /// The number of the chunk that holds a place in what is copied of it.
    pub fn holding(&self, at: Address) -> Option<usize> {
        let number = self.spanning(at)?;
        self.list[number].holds(at).then_some(number)
    }

    /// Whether a place lies in what is copied.
    pub fn hold(&self, at: Address) -> bool {
        self.holding(at).is_some()
    }

    /// Where the frame after one that ends at `end` lies.
    pub fn slot_after(&self, end: Address) -> Address {
        let last_byte = Address(end.0.saturating_sub(1));
        let full = self.spanning(last_byte);
        let full = full.filter(|number| self.list[*number].end == Some(end));
        match full.and_then(|number| self.list.get(number.checked_sub(1)?)) {
            Some(newer) => newer.first_frame,
            None => end,
        }
    }

    /// Copies as much of the newest chunk as is in use, from the next time on. `newest` is the chunk that
    /// the thread names as its newest one, and the end of its used part.
    pub fn follow_top(&mut self, newest: Option<(Address, Address)>) {
        let (Some((at, top)), Some(newest)) = (newest, self.list.first_mut()) else {
            return;
        };
        let room = newest.size.min(MAX_CHUNK_BYTES);
        if let Some(used) = top.offset_from(at)
            && at == newest.at
            && used <= room
        {
            let wanted = (used + SLACK).min(room);
            if newest.copied < wanted || newest.copied > wanted + SURPLUS {
                newest.copied = wanted;
            }
        }
    }

    /// Follows the chunks from the newest one, whose used part ends at `top`, to the oldest.
    pub fn learn(&mut self, newest: Option<(Address, Address)>, memory: &impl ReadMemory) {
        let known = std::mem::take(self);
        if let Some((newest, top)) = newest {
            self.follow(newest, top, &Headers::of(known, memory), memory);
        }
        self.by_address = (0..self.list.len()).collect();
        let list = &self.list;
        self.by_address
            .sort_unstable_by_key(|number| list[*number].at);
    }

    fn follow(
        &mut self,
        newest: Address,
        top: Address,
        headers: &Headers,
        memory: &impl ReadMemory,
    ) {
        let mut at = newest;
        let mut circle = Circle::default();
        let mut copied = 0;
        while !at.is_null() && self.list.len() < MAX_CHUNKS && !circle.closes_at(at) {
            let newest_top = self.list.is_empty().then_some(top);
            let header = headers.read(at, memory);
            let Some((chunk, previous)) = header.and_then(|h| parse_chunk(at, newest_top, &h))
            else {
                return;
            };
            copied += chunk.copied;
            let is_there = chunk.copied <= BELIEVED_BYTES
                || memory.read(at + (chunk.copied - 1), &mut [0]).is_ok();
            if copied > MAX_COPIED_BYTES || !is_there {
                return;
            }
            self.list.push(chunk);
            at = previous;
        }
        self.are_all = at.is_null();
    }
}

/// The headers of the chunks that were there before, read at once: most of them are there still.
struct Headers {
    known: Chunks,
    window: Window,
}

impl Headers {
    fn of(known: Chunks, memory: &impl ReadMemory) -> Headers {
        let mut window = Window::default();
        for chunk in known.iter() {
            window.want(chunk.at, CHUNK_HEADER as usize);
        }
        window.fill(memory);
        Headers { known, window }
    }

    /// The header of the chunk at `at`.
    fn read(&self, at: Address, memory: &impl ReadMemory) -> Option<[u8; CHUNK_HEADER as usize]> {
        let mut header = [0; CHUNK_HEADER as usize];
        let number = self.known.spanning(at);
        let before =
            number.and_then(|number| self.window.within(number, at, CHUNK_HEADER as usize));
        match before {
            Some(bytes) => header.copy_from_slice(bytes),
            None => memory.read(at, &mut header).ok()?,
        }
        Some(header)
    }
}

/// Parses the header of the chunk at `at`: `previous`, `size` and `top`, which counts words and holds for
/// a chunk that is not the newest (`push_chunk` in `pystate.c`). Returns the one before it, too.
fn parse_chunk(
    at: Address,
    newest_top: Option<Address>,
    header: &[u8],
) -> Option<(Chunk, Address)> {
    let [previous, size, saved_top] = [0, 8, 16].map(|offset| word_at(header, offset));
    let (previous, size, saved_top) = (Address(previous?), size?, saved_top?);
    if !(CHUNK_HEADER..=MAX_CHUNK_BYTES).contains(&size) {
        return None;
    }
    let saved_used = saved_top.saturating_mul(8).saturating_add(CHUNK_HEADER);
    let used = match newest_top {
        Some(top) => top.offset_from(at).unwrap_or(size).saturating_add(SLACK),
        None => saved_used,
    };
    // The root chunk leaves out its first word.
    let root_word = if previous.is_null() { 8 } else { 0 };
    let chunk = Chunk {
        at,
        size,
        copied: used.min(size),
        first_frame: at + (CHUNK_HEADER + root_word),
        end: newest_top.is_none().then_some(at + saved_used),
    };
    Some((chunk, previous))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::SavedMemory;

    const SIZE: u64 = 0x4000;

    /// Chunks at the addresses, newest first, all of them full but the newest one.
    fn memory(addresses: &[u64]) -> SavedMemory {
        let mut memory = SavedMemory::default();
        for (number, at) in addresses.iter().enumerate() {
            let previous = addresses.get(number + 1).copied().unwrap_or(0);
            let mut bytes = vec![0; SIZE as usize];
            for (word, value) in [previous, SIZE, (SIZE - CHUNK_HEADER) / 8]
                .iter()
                .enumerate()
            {
                bytes[word * 8..][..8].copy_from_slice(&value.to_le_bytes());
            }
            memory.insert(Address(*at), bytes);
        }
        memory
    }

    fn learn(chunks: &mut Chunks, addresses: &[u64]) {
        let newest = Address(addresses[0]);
        chunks.learn(Some((newest, newest + 0x100)), &memory(addresses));
    }

    #[test]
    fn an_address_is_found_in_its_chunk() {
        let addresses = [0x50_0000, 0x10_0000, 0x30_0000];
        let mut chunks = Chunks::default();
        learn(&mut chunks, &addresses);
        assert!(chunks.are_all);
        for (number, at) in addresses.into_iter().enumerate() {
            for found_before in addresses {
                chunks.spanning(Address(found_before));
                assert_eq!(chunks.spanning(Address(at)), Some(number));
                assert_eq!(chunks.spanning(Address(at + SIZE - 1)), Some(number));
                assert_eq!(chunks.spanning(Address(at + SIZE)), None);
                assert_eq!(chunks.spanning(Address(at - 1)), None);
            }
        }
        assert!(chunks.hold(Address(0x50_0100)) && !chunks.hold(Address(0x50_3000)));
        assert_eq!(Chunks::default().spanning(Address(0x50_0000)), None);
    }

    #[test]
    fn the_frame_after_a_full_chunk_lies_in_the_next_one() {
        let mut chunks = Chunks::default();
        learn(&mut chunks, &[0x10_0000, 0x30_0000]);
        let after = |end| chunks.slot_after(Address(end)).0;
        assert_eq!(after(0x30_0000 + SIZE), 0x10_0000 + CHUNK_HEADER);
        assert_eq!(after(0x30_0200), 0x30_0200);
        assert_eq!(after(0x10_0000 + SIZE), 0x10_0000 + SIZE);
    }

    #[test]
    fn chunks_that_are_others_now_are_not_taken_from_before() {
        let mut chunks = Chunks::default();
        learn(&mut chunks, &[0x50_0000, 0x10_0000, 0x30_0000]);
        learn(&mut chunks, &[0x70_0000, 0x50_0000, 0x30_0000]);
        let found: Vec<_> = chunks.iter().map(|chunk| chunk.at.0).collect();
        assert_eq!(found, [0x70_0000, 0x50_0000, 0x30_0000]);
        assert_eq!(chunks[1].end, Some(Address(0x50_0000 + SIZE)));
        assert_eq!(chunks.spanning(Address(0x10_0000)), None);
    }
}
