//! Turns many reads of places near one another into few reads of whole blocks.

use std::collections::hash_map::Entry;

use rustc_hash::FxHashMap;

use super::{Address, ReadMemory};

/// The size of a block, and what its address is a multiple of.
const BLOCK_BYTES: u64 = 64 << 10;

/// So many places are read one by one first: reading a block takes as long as ten of them.
const SINGLE_READS: usize = 64;

/// The most blocks that are kept; what lies in others is read by itself.
const MAX_BLOCKS: usize = 1024;

/// Reads places of the target's memory, block by block once there are many of them.
///
/// What it returns may be as old as the first read of the block.
#[derive(Debug)]
pub struct Blocks<M> {
    memory: M,
    reads: usize,
    /// The blocks read, by address; `None`: it cannot be read as a whole.
    blocks: FxHashMap<u64, Option<Vec<u8>>>,
}

impl<M: ReadMemory> Blocks<M> {
    /// Nothing has been read of `memory`.
    #[must_use]
    pub fn new(memory: M) -> Blocks<M> {
        Blocks {
            memory,
            reads: 0,
            blocks: FxHashMap::default(),
        }
    }

    /// Fills `into` with what lies at `at`; `None` when that cannot be read.
    pub fn read(&mut self, at: Address, into: &mut [u8]) -> Option<()> {
        self.reads += 1;
        if self.reads > SINGLE_READS
            && let Some(bytes) = self.in_block(at, into.len())
        {
            into.copy_from_slice(bytes);
            return Some(());
        }
        self.memory.read(at, into).ok()
    }

    /// Forgets what was read: it may have changed, or is not needed for now.
    pub fn forget(&mut self) {
        self.reads = 0;
        self.blocks.clear();
    }

    fn in_block(&mut self, at: Address, length: usize) -> Option<&[u8]> {
        let start = at.0 - at.0 % BLOCK_BYTES;
        let is_full = self.blocks.len() >= MAX_BLOCKS;
        let memory = &self.memory;
        let block = match self.blocks.entry(start) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(_) if is_full => return None,
            Entry::Vacant(entry) => {
                let mut bytes = vec![0; BLOCK_BYTES as usize];
                let read = memory.read(Address(start), &mut bytes);
                entry.insert(read.is_ok().then_some(bytes))
            }
        };
        let skip = (at.0 - start) as usize;
        block.as_ref()?.get(skip..skip.checked_add(length)?)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::memory::{Piece, ReadError, SavedMemory};

    struct Counting {
        memory: SavedMemory,
        reads: Cell<usize>,
    }

    impl ReadMemory for Counting {
        fn read(&self, at: Address, into: &mut [u8]) -> Result<(), ReadError> {
            self.reads.set(self.reads.get() + 1);
            self.memory.read(at, into)
        }

        fn read_pieces(&self, pieces: &[Piece], into: &mut [u8]) -> usize {
            self.memory.read_pieces(pieces, into)
        }
    }

    /// Two blocks of memory, and half of a third.
    fn memory() -> Counting {
        let mut memory = SavedMemory::default();
        let bytes = (0..5 * BLOCK_BYTES / 2)
            .map(|at| (at / 100) as u8)
            .collect();
        memory.insert(Address(BLOCK_BYTES), bytes);
        Counting {
            memory,
            reads: Cell::new(0),
        }
    }

    #[test]
    fn many_places_take_few_reads_and_are_the_same() {
        let memory = memory();
        let mut blocks = Blocks::new(&memory);
        for number in 0..5 * BLOCK_BYTES / 200 {
            let mut bytes = [0; 8];
            let at = Address(BLOCK_BYTES + number * 100);
            assert_eq!(blocks.read(at, &mut bytes), Some(()), "{at:?}");
            let mut expected = [0; 8];
            memory.memory.read(at, &mut expected).unwrap();
            assert_eq!(bytes, expected, "{at:?}");
        }
        let singly = BLOCK_BYTES / 200 + 1;
        assert!(memory.reads.get() < SINGLE_READS + singly as usize + 4);
    }

    #[test]
    fn a_place_that_cannot_be_read_is_none_and_one_over_two_blocks_is_whole() {
        let memory = memory();
        let mut blocks = Blocks::new(&memory);
        let mut bytes = [0; 200];
        for _ in 0..=SINGLE_READS {
            assert!(
                blocks
                    .read(Address(2 * BLOCK_BYTES - 100), &mut bytes)
                    .is_some()
            );
            assert!(blocks.read(Address(4 * BLOCK_BYTES), &mut bytes).is_none());
        }
        assert_ne!(bytes[0], bytes[150]);
    }
}
