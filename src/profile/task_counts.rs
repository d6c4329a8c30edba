//! Turns samples into the asyncio tasks that they show, each once.

use rustc_hash::FxHashSet;

use super::attributes::{Attribute, Attributes, AttributesId};
use super::definitions::Definitions;
use super::event::{ProcessId, Sample};

/// So many tasks of all processes together are told apart. More than there are sets of attributes are in recordings of
/// several processes only.
const MAX_TASKS: usize = 1 << 18;

/// The tasks that were seen.
#[derive(Debug, Clone, Default)]
pub(super) struct TaskCounts {
    /// A process, and the set of attributes that its task alone has.
    seen: FxHashSet<(ProcessId, AttributesId)>,
    last: Option<(ProcessId, AttributesId)>,
}

impl TaskCounts {
    /// Takes in a sample whose thread and attributes are defined.
    pub fn push(&mut self, sample: &Sample, definitions: &Definitions) {
        let Some(id) = sample.attributes else {
            return;
        };
        let Some(thread) = definitions.threads.get(sample.thread.0 as usize) else {
            return;
        };
        let task = (thread.process, id);
        if self.last == Some(task) || self.seen.len() >= MAX_TASKS {
            return;
        }
        self.last = Some(task);
        let attributes = definitions.attributes.get(id.number() as usize);
        // What a long step is told more of is the same task as before.
        let is_task = |it: &Attributes| {
            it.0.contains_key(&Attribute::TaskId) && !it.0.contains_key(&Attribute::ReadyCallbacks)
        };
        if attributes.is_some_and(is_task) {
            self.seen.insert(task);
        }
    }

    /// The sets of attributes of the tasks that were seen, one for each task of each process.
    pub fn sets(&self) -> impl Iterator<Item = AttributesId> {
        self.seen.iter().map(|(_, id)| *id)
    }
}
