//! Gives bytes of a target as far as an budget goes.

use std::cell::RefCell;
use std::io;

use crate::memory::{Address, Piece, ReadError, ReadMemory};
use crate::process::ReadBudget;

/// A memory that cannot be read any more once the budget is used up.
pub(super) struct Limited<'a, M> {
    memory: &'a M,
    budget: RefCell<&'a mut ReadBudget>,
}

impl<'a, M: ReadMemory> Limited<'a, M> {
    pub fn new(memory: &'a M, budget: &'a mut ReadBudget) -> Limited<'a, M> {
        Limited {
            memory,
            budget: RefCell::new(budget),
        }
    }
}

impl<M: ReadMemory> ReadMemory for Limited<'_, M> {
    fn read(&self, at: Address, into: &mut [u8]) -> Result<(), ReadError> {
        if self.budget.borrow_mut().take(into.len() as u64) {
            return self.memory.read(at, into);
        }
        Err(ReadError {
            at,
            length: into.len(),
            source: io::ErrorKind::TimedOut.into(),
        })
    }

    fn read_pieces(&self, pieces: &[Piece], into: &mut [u8]) -> usize {
        match self.budget.borrow_mut().take(into.len() as u64) {
            true => self.memory.read_pieces(pieces, into),
            false => 0,
        }
    }
}
