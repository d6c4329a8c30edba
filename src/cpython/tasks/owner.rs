//! Turns the frame of a coroutine into the task that owns it, by looking through all tasks.

use super::kinds::copy;
use super::listed::{TaskSet, set_tasks};
use crate::cpython::layout::TaskLayout;
use crate::memory::window::word_at;
use crate::memory::{Address, ReadMemory};

/// Sets with more entries are not looked through while a stack waits for the answer: a thousand tasks take a quarter of a
/// millisecond.
const MAX_ENTRIES: u64 = 1 << 12;

/// The task in `sets` of whose coroutine a frame is that `is_wanted`. Up to 3.13; from then on a thread names its task.
pub fn owner(
    memory: &impl ReadMemory,
    tasks: &TaskLayout,
    sets: &[TaskSet],
    is_wanted: impl Fn(Address) -> bool,
) -> Option<Address> {
    sets.iter().find_map(|set| {
        let at = set_tasks(memory, tasks, *set, MAX_ENTRIES)?;
        let words = |at: Vec<Address>| {
            let copied = copy(memory, at.iter().copied(), 8);
            let word = |number| word_at(copied.piece(number)?, 0).map(Address);
            Vec::from_iter((0..at.len()).map(word))
        };
        let coroutines = words(at.iter().map(|at| *at + tasks.coro).collect());
        let frames = coroutines
            .iter()
            .map(|it| it.unwrap_or(Address::NULL) + tasks.frame);
        let roots = match tasks.frame_state {
            // The frame is in the coroutine.
            Some(_) => frames.map(Some).collect(),
            None => words(frames.collect()),
        };
        let number = roots.iter().position(|root| root.is_some_and(&is_wanted))?;
        at.get(number).copied()
    })
}
