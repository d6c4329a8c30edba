//! Turns the registers of code without unwind information into the places on the stack where its return address and its
//! caller's frame pointer may be.
//!
//! Assembly that makes room for a block of numbers keeps the stack pointer that it had in another register: the kernels of
//! OpenBLAS in `rbx`, above 28 KiB in which earlier calls have left return addresses of their own. So the places just above
//! such a register come first.

use std::ops::Range;

use super::registers::{CALLEE_SAVED, FRAME_POINTER, Registers};
use super::stack_copy::StackCopy;

const WORD_BYTES: u64 = size_of::<u64>() as u64;

/// So many bytes above a register that keeps the stack pointer are looked at: six saved registers, and some numbers.
const KEPT_BYTES: u64 = 256;

/// A function saves its caller's registers in so many bytes below its return address.
const SAVING_BYTES: u64 = 128;

/// The places in a part of the stack where the return address may be, the likely ones first.
pub fn places_of_return_address(registers: &Registers, part: Range<u64>) -> Vec<u64> {
    let kept = CALLEE_SAVED.iter().filter_map(|it| registers.get(*it));
    let mut kept: Vec<u64> = kept
        .filter(|at| part.contains(at) && at % WORD_BYTES == 0)
        .collect();
    kept.sort_unstable();
    kept.dedup();
    let parts = kept
        .into_iter()
        .map(|at| at..at.saturating_add(KEPT_BYTES).min(part.end));
    let parts = parts.chain(std::iter::once(part.clone()));
    let words = parts.flat_map(|part| part.step_by(WORD_BYTES as usize));
    words.collect()
}

/// What the frame pointer of the caller may be where its return address is at `at`: not known, unchanged, or a place further
/// out that was saved below the return address.
pub fn frame_pointers(registers: &Registers, at: u64, stack: &StackCopy<'_>) -> Vec<Option<u64>> {
    let further_out = at + WORD_BYTES..stack.end();
    let saved = (1..=SAVING_BYTES / WORD_BYTES).filter_map(|words| {
        let below = at.checked_sub(words * WORD_BYTES)?;
        stack.word(below)
    });
    let unchanged = registers.get(FRAME_POINTER);
    let known = unchanged.into_iter().chain(saved);
    let known = known.filter(|it| further_out.contains(it) && it % WORD_BYTES == 0);
    let mut all = vec![None];
    all.extend(known.map(Some));
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Address, SavedMemory};
    use crate::native::registers::STACK_POINTER;

    fn registers(rbx: u64, rbp: u64) -> Registers {
        let mut registers = Registers::waiting(0x1000, 0x40);
        registers.set(3, rbx);
        registers.set(FRAME_POINTER, rbp);
        registers
    }

    #[test]
    fn places_above_a_register_that_keeps_the_stack_pointer_come_first() {
        let part = 0x1000..0x3000;
        let places = |rbx, rbp| places_of_return_address(&registers(rbx, rbp), part.clone());
        let all: Vec<u64> = part.clone().step_by(8).collect();
        assert_eq!(places(7, 0x5000), all, "none points there");
        assert_eq!(places(0x1804, 0x3000), all, "none is a place of a word");
        let kept = places(0x2f80, 0x1800);
        let first: Vec<u64> = (0x1800..0x1900).step_by(8).collect();
        let second: Vec<u64> = (0x2f80..0x3000).step_by(8).collect();
        assert_eq!(kept, [first, second, all].concat());
    }

    #[test]
    fn a_frame_pointer_is_unchanged_or_was_saved_below_the_return_address() {
        let mut bytes = vec![0; 0x400];
        let mut put = |at: usize, word: u64| {
            bytes[at - 0x1000..at - 0xff8].copy_from_slice(&word.to_le_bytes());
        };
        put(0x10e8, 0x1200);
        put(0x10f0, 0x10f8);
        put(0x10f8, 0x1304);
        let mut memory = SavedMemory::default();
        memory.insert(Address(0x1000), bytes);
        let registers = registers(0, 0x1300);
        let at = registers.get(STACK_POINTER).expect("known");
        let stack = StackCopy::of_stopped(at, 0x400, &memory).expect("a stack");
        let found = frame_pointers(&registers, 0x1100, &stack);
        assert_eq!(found, [None, Some(0x1300), Some(0x1200)]);
    }
}
