//! Turns the asyncio tasks of an interpreter into those of a dump.

use std::collections::BTreeMap;

use super::intern::{UNKNOWN, frame_of};
use crate::cpython::code::CodeCache;
use crate::cpython::frames::RawFrame;
use crate::cpython::reader::{Reader, RunningTask};
use crate::cpython::tasks::{self, Stage, Task};
use crate::memory::{Address, LiveMemory};
use crate::profile::dump::{TaskDump, TaskState, WaitsFor, is_made_up};
use crate::profile::event::Frame;

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

/// How samples name a task: by the name that the program gave it, else by the function of its coroutine, as asyncio numbers the
/// others. `frames` are those of the stack that it ran on.
#[must_use]
pub fn task_label(task: &RunningTask, frames: &[RawFrame], codes: &CodeCache) -> String {
    if let Some(name) = task.name.as_deref().filter(|name| !is_made_up(name)) {
        return name.to_owned();
    }
    let root = frames.iter().rev().find(|frame| frame.at == task.root);
    let root = root.and_then(|root| frame_of(root, codes));
    root.map_or_else(|| UNKNOWN.to_owned(), |frame| frame.name)
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
