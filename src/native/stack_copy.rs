//! Turns the stack pointer of a thread that stands still into a copy of its C stack.

use std::cell::Cell;

use crate::memory::window::word_at;
use crate::memory::{Address, Piece, ReadMemory};
use crate::process::Mapping;

/// The most bytes of one stack that are copied: what a thread gets where nobody asks for more (`ulimit -s` of Linux).
const MAX_STACK_BYTES: u64 = 8 << 20;

/// The stack is read in pieces of so many bytes, up to the first that cannot be read: from glibc 2.42 on the stacks of
/// several threads may be one mapping, with pages between them that nobody may read (`MADV_GUARD_INSTALL`). A page of every
/// machine is a multiple of it.
const PIECE_BYTES: u64 = 4096;

/// The most words that are read beside the copy, where a stack goes on elsewhere: that of a signal handler
/// (sigaltstack(2)).
const MAX_WORDS_ELSEWHERE: u32 = 4096;

/// The C stack of a thread from the stack pointer on, as it was when it was copied.
pub struct StackCopy<'m> {
    start: u64,
    bytes: Vec<u8>,
    /// What lies elsewhere is read here; `None`: it has changed since.
    memory: Option<&'m dyn ReadMemory>,
    words_elsewhere: Cell<u32>,
}

impl StackCopy<'static> {
    /// Copies so many bytes from the stack pointer on, as far as they can be read, of a thread that is stopped for it and
    /// runs on afterwards; `None` where nothing can be read there.
    pub fn of_stopped(
        stack_pointer: u64,
        length: usize,
        memory: &impl ReadMemory,
    ) -> Option<StackCopy<'static>> {
        let end = stack_pointer.saturating_add(length as u64);
        let bytes = copy(stack_pointer, end, memory)?;
        Some(StackCopy {
            start: stack_pointer,
            bytes,
            memory: None,
            words_elsewhere: Cell::new(0),
        })
    }
}

impl<'m> StackCopy<'m> {
    /// Copies the stack from `stack_pointer` to the end of its mapping; `None` where nothing can be read there.
    /// `mappings` are those of the process, by rising address.
    pub fn read(
        stack_pointer: u64,
        mappings: &[Mapping],
        memory: &'m impl ReadMemory,
    ) -> Option<StackCopy<'m>> {
        let behind = mappings.partition_point(|mapping| mapping.end <= stack_pointer);
        let mapping = mappings.get(behind)?;
        let is_stack = mapping.contains(stack_pointer) && mapping.readable;
        let length = mapping.end.saturating_sub(stack_pointer);
        let end = stack_pointer + is_stack.then_some(length.min(MAX_STACK_BYTES))?;
        let bytes = copy(stack_pointer, end, memory)?;
        Some(StackCopy {
            start: stack_pointer,
            bytes,
            memory: Some(memory),
            words_elsewhere: Cell::new(0),
        })
    }

    /// How many bytes it has.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The address behind its last byte.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// The word at an address of the target.
    pub fn word(&self, at: u64) -> Option<u64> {
        let copied = at
            .checked_sub(self.start)
            .and_then(|into| word_at(&self.bytes, into));
        copied.or_else(|| {
            let memory = self.memory?;
            let count = self.words_elsewhere.get();
            self.words_elsewhere.set(count + 1);
            let is_allowed = count < MAX_WORDS_ELSEWHERE;
            is_allowed.then(|| memory.word(Address(at)).ok())?
        })
    }
}

/// The bytes from `start` up to `end`, or to the first piece that cannot be read; `None` where that is the first.
fn copy(start: u64, end: u64, memory: &impl ReadMemory) -> Option<Vec<u8>> {
    let mut pieces = Vec::new();
    let mut at = start;
    while at < end {
        let next = (at + 1).next_multiple_of(PIECE_BYTES).min(end);
        pieces.push(Piece {
            at: Address(at),
            length: (next - at) as usize,
        });
        at = next;
    }
    let mut bytes = vec![0; (end - start) as usize];
    let length = memory.read_pieces(&pieces, &mut bytes);
    bytes.truncate(length);
    (length > 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::SavedMemory;

    fn mapping(start: u64, end: u64) -> [Mapping; 1] {
        [Mapping {
            start,
            end,
            readable: true,
            writable: true,
            executable: false,
            offset: 0,
            device: (0, 0),
            inode: 0,
            path: None,
            deleted: false,
        }]
    }

    #[test]
    fn a_stack_is_copied_up_to_the_first_page_that_cannot_be_read() {
        let mut memory = SavedMemory::default();
        memory.insert(Address(0x1_0000), vec![7; 0x3000]);
        memory.insert(Address(0x1_4000), vec![9; 0x1000]);
        let mappings = mapping(0x1_0000, 0x1_5000);
        let copy = StackCopy::read(0x1_0ff8, &mappings, &memory).expect("a stack");
        assert_eq!(copy.end(), 0x1_3000);
        assert_eq!(copy.word(0x1_0ff8), Some(0x0707_0707_0707_0707));
        assert_eq!(copy.word(0x1_2ff8), copy.word(0x1_0ff8));
        assert_eq!(copy.word(0x1_3000), None);
        assert_eq!(
            copy.word(0x1_4000),
            Some(0x0909_0909_0909_0909),
            "elsewhere"
        );
        assert!(StackCopy::read(0x1_3800, &mappings, &memory).is_none());
        assert!(StackCopy::read(0x2_0000, &mappings, &memory).is_none());
    }

    #[test]
    fn of_a_thread_that_runs_on_only_the_copy_counts() {
        let mut memory = SavedMemory::default();
        memory.insert(Address(0x1_0000), vec![7; 0x3000]);
        let copy = |length| StackCopy::of_stopped(0x1_0ff8, length, &memory).expect("a stack");
        assert_eq!(copy(0x1000).end(), 0x1_1ff8);
        assert_eq!(copy(0x1000).word(0x1_1ff0), Some(0x0707_0707_0707_0707));
        assert_eq!(copy(0x1000).word(0x1_1ff8), None, "read when it runs on");
        assert_eq!(copy(1 << 16).end(), 0x1_3000, "up to what cannot be read");
        assert!(StackCopy::of_stopped(0x2_0000, 8, &memory).is_none());
    }

    #[test]
    fn what_lies_elsewhere_is_read_so_often_and_no_more() {
        let mut memory = SavedMemory::default();
        memory.insert(Address(0x1_0000), vec![7; 0x1000]);
        memory.insert(Address(0x2_0000), vec![9; 8]);
        let mappings = mapping(0x1_0000, 0x1_1000);
        let copy = StackCopy::read(0x1_0000, &mappings, &memory).expect("a stack");
        let read = (0..2 * MAX_WORDS_ELSEWHERE).filter_map(|_| copy.word(0x2_0000));
        assert_eq!(read.count(), MAX_WORDS_ELSEWHERE as usize);
    }
}
