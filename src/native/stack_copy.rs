//! Turns the stack pointer of a thread that stands still into a copy of its C stack.

use std::cell::Cell;

use crate::memory::window::word_at;
use crate::memory::{Address, ReadMemory};
use crate::process::Mapping;

/// The most bytes of one stack that are copied: what a thread gets where nobody asks for more (`ulimit -s` of Linux).
const MAX_STACK_BYTES: u64 = 8 << 20;

/// The most words that are read beside the copy, where a stack goes on elsewhere: that of a signal handler
/// (sigaltstack(2)).
const MAX_WORDS_ELSEWHERE: u32 = 4096;

/// The C stack of a thread from the stack pointer on, as it was when it was copied.
#[derive(Debug)]
pub struct StackCopy<'m, M> {
    start: u64,
    bytes: Vec<u8>,
    memory: &'m M,
    words_elsewhere: Cell<u32>,
}

impl<'m, M: ReadMemory> StackCopy<'m, M> {
    /// Copies the stack from `stack_pointer` to the end of its mapping; `None` where nothing can be read there.
    /// `mappings` are those of the process, by rising address.
    pub fn read(
        stack_pointer: u64,
        mappings: &[Mapping],
        memory: &'m M,
    ) -> Option<StackCopy<'m, M>> {
        let behind = mappings.partition_point(|mapping| mapping.end <= stack_pointer);
        let mapping = mappings.get(behind)?;
        let is_stack = mapping.contains(stack_pointer) && mapping.readable;
        let length = mapping.end.saturating_sub(stack_pointer);
        let mut bytes = vec![0; is_stack.then_some(length.min(MAX_STACK_BYTES))? as usize];
        memory.read(Address(stack_pointer), &mut bytes).ok()?;
        Some(StackCopy {
            start: stack_pointer,
            bytes,
            memory,
            words_elsewhere: Cell::new(0),
        })
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
            let count = self.words_elsewhere.get();
            self.words_elsewhere.set(count + 1);
            let is_allowed = count < MAX_WORDS_ELSEWHERE;
            is_allowed.then(|| self.memory.word(Address(at)).ok())?
        })
    }
}
