//! Turns addresses into bytes without reading a file that may not answer.
//!
//! A page of a mapped file that is not in memory is read from the file, by whoever touches it, also from another process.

use std::io;
use std::ops::Range;

use super::{Address, Piece, ReadError, ReadMemory};
use crate::process::{Mapping, PageMap, Pid};

/// Of so many bytes it is asked whether they are in memory: a million pages of 4 KiB.
const MAX_BYTES: u64 = 4 << 30;

/// A memory of which some ranges are read only as far as their pages were in memory when this was made.
#[derive(Debug)]
pub struct Resident<M> {
    memory: M,
    /// By rising address.
    ranges: Vec<Range<u64>>,
    /// The parts of these that can be read, by rising address.
    parts: Vec<Range<u64>>,
}

impl<M: ReadMemory> Resident<M> {
    /// The memory of process `pid`, where `mappings`, by rising address, are those of files that may not answer.
    pub fn new<'m>(
        memory: M,
        pid: Pid,
        mappings: impl Iterator<Item = &'m Mapping>,
    ) -> Resident<M> {
        let ranges: Vec<Range<u64>> = mappings.map(|mapping| mapping.start..mapping.end).collect();
        let pages = (!ranges.is_empty()).then(|| PageMap::open(pid).ok());
        let parts = pages.flatten().map_or_else(Vec::new, |pages| {
            let mut left = MAX_BYTES;
            let found = ranges.iter().map_while(|range| {
                left = left.checked_sub(range.end - range.start)?;
                pages.in_memory(range.clone()).ok()
            });
            found.flatten().collect()
        });
        Resident {
            memory,
            ranges,
            parts,
        }
    }

    /// Whether all bytes can be had without a file.
    fn is_there(&self, wanted: &Range<u64>) -> bool {
        let first = self
            .ranges
            .partition_point(|range| range.end <= wanted.start);
        let touched = self.ranges[first..].iter();
        let mut touched = touched.take_while(|range| range.start < wanted.end);
        touched.all(|range| {
            let (start, end) = (range.start.max(wanted.start), range.end.min(wanted.end));
            let at = self.parts.partition_point(|part| part.end <= start);
            let part = self.parts.get(at);
            part.is_some_and(|part| part.start <= start && end <= part.end)
        })
    }
}

impl<M: ReadMemory> ReadMemory for Resident<M> {
    fn read(&self, at: Address, into: &mut [u8]) -> Result<(), ReadError> {
        if self.is_there(&(at.0..at.0.saturating_add(into.len() as u64))) {
            return self.memory.read(at, into);
        }
        Err(ReadError {
            at,
            length: into.len(),
            source: io::Error::from_raw_os_error(libc::EFAULT),
        })
    }

    fn read_pieces(&self, pieces: &[Piece], into: &mut [u8]) -> usize {
        let is_there = |piece: &&Piece| {
            self.is_there(&(piece.at.0..piece.at.0.saturating_add(piece.length as u64)))
        };
        let there = pieces.iter().take_while(is_there);
        let (count, length) = there.fold((0, 0), |(count, length), piece| {
            (count + 1, length + piece.length)
        });
        match into.get_mut(..length) {
            Some(into) => self.memory.read_pieces(&pieces[..count], into),
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::LiveMemory;
    use crate::process::Process;

    #[test]
    fn pages_that_are_not_in_memory_are_not_read() {
        let process = Process::open(Pid(std::process::id() as i32)).unwrap();
        let memory = LiveMemory::new(process.pid());
        // Zeroes that nobody wrote, more than malloc(3) keeps for later, with one page among them that was.
        let mut bytes = vec![0_u8; 64 << 20];
        let start = bytes.as_ptr() as u64;
        let written = start + (32 << 20);
        bytes[32 << 20] = 7;
        let mappings = process.mappings().unwrap();
        let is_it = |mapping: &&Mapping| mapping.contains(written);
        let guarded = Resident::new(&memory, process.pid(), mappings.iter().filter(is_it));
        let read = |memory: &dyn Fn(&mut [u8]) -> bool| {
            let mut byte = [0];
            memory(&mut byte).then_some(byte[0])
        };
        assert_eq!(
            read(&|byte| guarded.read(Address(written), byte).is_ok()),
            Some(7)
        );
        let untouched = Address(start + (8 << 20));
        assert_eq!(read(&|byte| guarded.read(untouched, byte).is_ok()), None);
        assert_eq!(read(&|byte| memory.read(untouched, byte).is_ok()), Some(0));
        let mut long = vec![0; 40 << 20];
        assert!(
            guarded.read(Address(start), &mut long).is_err(),
            "a part is missing"
        );
        let piece = |at| Piece { at, length: 1 };
        let pieces = [
            piece(Address(written)),
            piece(untouched),
            piece(Address(written)),
        ];
        assert_eq!(guarded.read_pieces(&pieces, &mut [0; 3]), 1);
        // Behind the ranges nothing is held back.
        let other = Box::new(9_u8);
        let address = Address(&raw const *other as u64);
        assert_eq!(read(&|byte| guarded.read(address, byte).is_ok()), Some(9));
    }
}
