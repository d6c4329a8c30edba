//! Turns the asyncio tasks of an interpreter into those of a dump, and the one that ran into attributes of a sample.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use rustc_hash::FxHashMap;

use super::intern::{Interner, UNKNOWN, frame_of};
use crate::cpython::code::CodeCache;
use crate::cpython::frames::RawFrame;
use crate::cpython::reader::{Reader, RunningTask};
use crate::cpython::tasks::{self, Parent, Stage, Task};
use crate::memory::{Address, LiveMemory};
use crate::profile::attributes::{Attribute, Attributes, AttributesId};
use crate::profile::dump::{TaskDump, TaskState, WaitsFor, is_made_up};
use crate::profile::event::{Event, Frame};
use crate::profile::limits::MAX_ATTRIBUTES;
use crate::profile::tasks::PARENTS_BETWEEN;

/// The tasks that are not done, in the order of their names; `Task-10` comes after `Task-9`.
#[must_use]
pub fn task_dumps(reader: &mut Reader, memory: &LiveMemory) -> Vec<TaskDump> {
    let found = reader.tasks(memory);
    let of_all = found
        .iter()
        .flat_map(|(interpreter, tasks)| tasks.iter().map(move |task| (*interpreter, task)));
    let mut tasks: Vec<(usize, &Task)> = of_all.collect();
    tasks.sort_by_cached_key(|(interpreter, task)| (*interpreter, name_order(task), task.at));
    let ids: BTreeMap<Address, u32> = tasks.iter().map(|(_, task)| task.at).zip(0..).collect();
    let dump = |(interpreter, task): &(usize, &Task)| {
        let frames = task.frames.iter().rev();
        let frames: Vec<Frame> = frames
            .filter_map(|raw| frame_of(raw, reader.codes()))
            .collect();
        TaskDump {
            id: ids[&task.at],
            name: task.name.clone(),
            interpreter: *interpreter as i64,
            state: state(task, frames.first()),
            parents: task
                .parents
                .iter()
                .filter_map(|at| ids.get(at).copied())
                .collect(),
            frames,
        }
    };
    tasks.iter().map(dump).collect()
}

/// The sets of attributes of the tasks of a program, by the number of the task.
#[derive(Debug, Default)]
pub struct TaskSets {
    known: FxHashMap<u64, (Rc<RunningTask>, Option<AttributesId>)>,
}

/// The most tasks whose set is kept at hand; beyond, all are looked up anew.
const MAX_SETS: usize = 1 << 16;

impl TaskSets {
    /// The set of a task for which so many callbacks waited, if it is known, and which ran on a stack with these frames.
    pub fn attributes(
        &mut self,
        (task, ready, frames): (&Rc<RunningTask>, Option<u32>, &[RawFrame]),
        reader: &Reader,
        interner: &mut Interner,
        emit: &mut dyn FnMut(Event),
    ) -> Option<AttributesId> {
        if let Some(ready) = ready {
            let mut set = task_attributes(task, frames, reader.codes());
            set.0.insert(Attribute::ReadyCallbacks, ready.to_string());
            // Each long step may make one: they leave room for those of the tasks themselves.
            if let Some(set) = interner.attributes(set, MAX_ATTRIBUTES / 4, emit) {
                return Some(set);
            }
        }
        if let Some((known, set)) = self.known.get(&task.id)
            && Rc::ptr_eq(known, task)
        {
            return *set;
        }
        let all = task_attributes(task, frames, reader.codes());
        let of_row = interner.attributes(all.of_row(), MAX_ATTRIBUTES, emit);
        // Where there are very many tasks, the later ones go by name alone.
        let own = interner.attributes(all, MAX_ATTRIBUTES / 2, emit);
        let set = own.or(of_row);
        if self.known.len() >= MAX_SETS {
            self.known.clear();
        }
        self.known.insert(task.id, (Rc::clone(task), set));
        set
    }
}

/// What samples say of a task. It goes by the name that the program gave it, else by the function of its coroutine, as
/// asyncio numbers the others. `frames` are those of the stack that it ran on.
fn task_attributes(task: &RunningTask, frames: &[RawFrame], codes: &CodeCache) -> Attributes {
    let root = frames.iter().rev().find(|frame| frame.at == task.root);
    let root = root.and_then(|root| frame_of(root, codes));
    let coroutine = root.map_or_else(|| UNKNOWN.to_owned(), |frame| frame.name);
    let parent = |parent: &Parent| {
        let code = parent.code.and_then(|code| codes.get(code));
        label(
            parent.name.as_deref(),
            code.map_or(UNKNOWN, |code| &code.name),
        )
        .to_owned()
    };
    let parents = task.parents.get().map_or(&[][..], Vec::as_slice).iter();
    let parents: BTreeSet<String> = parents.map(parent).collect();
    let parents = Vec::from_iter(parents).join(PARENTS_BETWEEN);
    let told = [
        (
            Attribute::Task,
            label(task.name.as_deref(), &coroutine).to_owned(),
        ),
        (Attribute::TaskId, task.id.to_string()),
        (Attribute::TaskCoroutine, coroutine),
        (Attribute::TaskParents, parents),
    ];
    Attributes(
        told.into_iter()
            .filter(|(_, text)| !text.is_empty())
            .collect(),
    )
}

fn label<'a>(name: Option<&'a str>, coroutine: &'a str) -> &'a str {
    name.filter(|name| !is_made_up(name)).unwrap_or(coroutine)
}

/// The text of a name, and the number that it ends with.
fn name_order(task: &Task) -> (String, u64) {
    let name = task.name.as_deref().unwrap_or_default();
    let text = name.trim_end_matches(|c: char| c.is_ascii_digit());
    (text.to_owned(), name[text.len()..].parse().unwrap_or(0))
}

fn state(task: &Task, leaf: Option<&Frame>) -> TaskState {
    let Some(waits_for) = task.waits_for else {
        return match task.stage {
            Stage::Executing => TaskState::Running,
            Stage::Created => TaskState::NotBegun,
            Stage::Suspended | Stage::Over => TaskState::Ready,
        };
    };
    TaskState::Waiting(match waits_for {
        tasks::WaitsFor::Task => WaitsFor::Task,
        tasks::WaitsFor::Thread => WaitsFor::Thread,
        tasks::WaitsFor::Future => leaf.and_then(WaitsFor::of_leaf).unwrap_or(WaitsFor::Future),
    })
}
