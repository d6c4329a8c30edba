//! Turns all asyncio tasks of a process into where they wait, a part of them at a time: so no sample is late for it.

use rustc_hash::FxHashMap;

use super::listed::TaskWalk;
use super::waiting;
use crate::cpython::frames::RawFrame;
use crate::cpython::locate::Interpreter;
use crate::memory::{Address, ReadMemory};

/// So many tasks are looked at in a part: it takes half a millisecond.
const PART: usize = 256;

/// The frames of a coroutine, outermost first, and how many tasks wait with them.
pub type WaitingTasks = (Vec<RawFrame>, u32);

/// A look that goes on.
#[derive(Debug, Default)]
pub struct TaskLook {
    walk: TaskWalk,
    /// By the code and the instruction of each frame.
    counts: FxHashMap<Vec<(Address, i64)>, WaitingTasks>,
}

impl TaskLook {
    /// Adds the tasks of the interpreter whose `PyInterpreterState` is at `state`, with those of its threads.
    pub fn add(
        &mut self,
        memory: &impl ReadMemory,
        interpreter: &Interpreter,
        state: Address,
        threads: &[Address],
    ) {
        let layout = &interpreter.layout;
        if let Some(tasks) = &layout.tasks {
            self.walk.add(memory, layout, tasks, state, threads);
        }
    }

    /// Looks at the next tasks; tells whether these were the last ones.
    pub fn go_on(&mut self, memory: &impl ReadMemory, interpreter: &Interpreter) -> bool {
        let Some(tasks) = &interpreter.layout.tasks else {
            return true;
        };
        let some = self.walk.next(memory, tasks, PART);
        for frames in waiting(memory, interpreter, &some) {
            let places = frames.iter().map(|frame| (frame.code, frame.instruction));
            let known = self.counts.entry(places.collect());
            known.or_insert((frames, 0)).1 += 1;
        }
        self.walk.is_over()
    }

    /// What was found.
    pub fn finish(self) -> Vec<WaitingTasks> {
        self.counts.into_values().collect()
    }
}
