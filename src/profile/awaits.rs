//! Turns looks at the asyncio tasks that wait into how long they waited with each stack.

use std::collections::BTreeMap;

use super::event::{Awaited, Nanos, ProcessId, StackId};

/// Where tasks waited.
#[derive(Debug, Clone, Default)]
pub(super) struct Awaits {
    /// The time of all tasks together, by the coroutines down to what they awaited.
    pub(super) by_stack: BTreeMap<Option<StackId>, Nanos>,
    /// How often it was looked.
    pub(super) looks: u64,
    last: Option<(ProcessId, Nanos)>,
}

impl Awaits {
    /// Takes in what one look found at one await; its stack is defined.
    pub fn push(&mut self, awaited: &Awaited) {
        let look = (awaited.process, awaited.at);
        if self.last != Some(look) {
            self.looks = self.looks.saturating_add(1);
            self.last = Some(look);
        }
        let time = awaited.since.0.saturating_mul(u64::from(awaited.tasks));
        let sum = self.by_stack.entry(awaited.stack).or_default();
        sum.0 = sum.0.saturating_add(time);
    }
}
