//! Turns the memory of an interpreter into its asyncio tasks: their names, what they await, and who waits for them.
//!
//! Nothing is stopped and nothing is trusted: a task that changes while it is read may be missing, or lack a part.
//! Tasks of asyncio's own C code are seen, those of subclasses and of uvloop among them; tasks written in Python, as
//! `asyncio.tasks._PyTask`, are not.

mod chain;
mod kinds;
mod listed;
mod look;
mod names;
mod owner;
mod parents;
mod ready;

use std::cell::RefCell;

use rustc_hash::FxHashMap;

use super::frames::RawFrame;
use super::layout::{Layout, TaskLayout};
use super::locate::Interpreter;
use crate::memory::window::{int_at, word_at};
use crate::memory::{Address, ReadError, ReadMemory};

pub use chain::Stage;
use kinds::{Kind, Kinds, copy};
pub(super) use listed::{TaskSet, module_globals, task_sets};
pub use look::{TaskLook, WaitingTasks};
pub(super) use names::{NAME_FROM, NameBytes, bytes_to_read, task_name};
pub(super) use owner::owner;
use parents::{Callbacks, Parents};
pub(super) use ready::ready_callbacks;

/// `fut_state` of a task that is not done: `STATE_PENDING` (`Modules/_asynciomodule.c`).
const PENDING: i32 = 0;

/// The most tasks of which it is told that they wait for one task.
const MAX_PARENTS: usize = 8;

/// So many bytes of a name are copied together with those of the other tasks: most names are no longer.
const NAME_BYTES: usize = 96;

/// A task that is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its `TaskObj`.
    pub at: Address,
    /// Its name; `None` where it could not be read.
    pub name: Option<String>,
    /// The frames of its coroutine and of those that it awaits, outermost first. Of one that runs, only the outermost.
    pub frames: Vec<RawFrame>,
    /// How far its coroutine has come.
    pub stage: Stage,
    /// What it waits for, if anything; a task that is suspended and waits for nothing is ready to run.
    pub waits_for: Option<WaitsFor>,
    /// The tasks that wait for it, by their `TaskObj`.
    pub parents: Vec<Address>,
}

impl Task {
    /// Takes the frames of a task that runs from the stack on which its outermost one is. Each stack begins with its innermost
    /// frame.
    pub(super) fn find_running_frames<'a>(&mut self, stacks: impl Iterator<Item = &'a [RawFrame]>) {
        let Some(root) = self
            .frames
            .first()
            .filter(|_| self.stage == Stage::Executing)
        else {
            return;
        };
        for stack in stacks {
            if let Some(position) = stack.iter().position(|frame| frame.at == root.at) {
                self.frames = stack[..=position].iter().rev().copied().collect();
                return;
            }
        }
    }
}

/// What a task waits for, as far as the object tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitsFor {
    /// A task, or several.
    Task,
    /// What a thread does for it.
    Thread,
    /// A future of which it is not known who sets it.
    Future,
}

/// The tasks of the interpreter whose `PyInterpreterState` is at `state`, that are not done. `threads` are its thread states.
/// Empty where the program uses no asyncio, and where rsamp does not know the tasks of the version.
#[must_use]
pub fn tasks(
    memory: &impl ReadMemory,
    interpreter: &Interpreter,
    state: Address,
    threads: &[Address],
) -> Vec<Task> {
    let layout = &interpreter.layout;
    let Some(of_tasks) = &layout.tasks else {
        return Vec::new();
    };
    let format = interpreter.format();
    let kinds = &mut Kinds::default();
    let addresses = listed::task_addresses(memory, layout, of_tasks, state, threads);
    let pending = pending(memory, of_tasks, &addresses);
    let coroutines: Vec<Address> = pending.iter().map(|raw| raw.coroutine).collect();
    let chains = chain::chains(memory, format, of_tasks, kinds, &coroutines);
    let alive = pending.iter().zip(chains);
    let (pending, chains): (Vec<RawTask>, Vec<_>) = alive
        .filter(|(_, chain)| chain.stage != Stage::Over)
        .unzip();
    let names = names(memory, layout, &pending);
    let (waits, parents) = relations(memory, layout, of_tasks, kinds, &pending);
    let told = pending
        .iter()
        .zip(names)
        .zip(chains)
        .zip(waits.into_iter().zip(parents));
    told.map(|(((raw, name), chain), (waits_for, parents))| Task {
        at: raw.at,
        name,
        frames: chain.frames,
        stage: chain.stage,
        waits_for,
        parents,
    })
    .collect()
}

/// The coroutines of those of the tasks at `addresses` that are suspended and wait for something, each outermost first.
pub(super) fn waiting(
    memory: &impl ReadMemory,
    interpreter: &Interpreter,
    addresses: &[Address],
) -> Vec<Vec<RawFrame>> {
    let layout = &interpreter.layout;
    let Some(of_tasks) = &layout.tasks else {
        return Vec::new();
    };
    let format = interpreter.format();
    let mut pending = pending(memory, of_tasks, addresses);
    pending.retain(|raw| !raw.waiter.is_null());
    let coroutines: Vec<Address> = pending.iter().map(|raw| raw.coroutine).collect();
    let kinds = &mut Kinds::default();
    let chains = chain::chains(memory, format, of_tasks, kinds, &coroutines).into_iter();
    let chains = chains.filter(|chain| chain.stage == Stage::Suspended);
    chains.map(|chain| chain.frames).collect()
}

/// A task that waits for another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// Its name; `None` where it could not be read.
    pub name: Option<String>,
    /// The code object of its coroutine.
    pub code: Option<Address>,
}

/// The tasks that wait for the one at `task`: that await it, or have it in a group or gathered.
pub(super) fn parents_of(
    memory: &impl ReadMemory,
    interpreter: &Interpreter,
    task: Address,
) -> Vec<Parent> {
    let layout = &interpreter.layout;
    let Some(of_tasks) = &layout.tasks else {
        return Vec::new();
    };
    let format = interpreter.format();
    let (kinds, own_kinds) = (&mut Kinds::default(), RefCell::new(Kinds::default()));
    let is_task = |at: Address| own_kinds.borrow_mut().is_task(memory, layout, at);
    let mut known = Parents::new(memory, layout, of_tasks);
    let callbacks = known.callbacks(kinds, &[task]);
    let found = known.of(kinds, &callbacks, &is_task, &FxHashMap::default());
    let mut addresses = found.into_iter().next().unwrap_or_default();
    addresses.retain(|parent| *parent != task);
    addresses.truncate(MAX_PARENTS);
    let pending = pending(memory, of_tasks, &addresses);
    let coroutines: Vec<Address> = pending.iter().map(|raw| raw.coroutine).collect();
    let chains = chain::chains(memory, format, of_tasks, kinds, &coroutines);
    let names = names(memory, layout, &pending);
    let parent = |(name, chain): (Option<String>, chain::Chain)| Parent {
        name,
        code: chain.frames.first().map(|root| root.code),
    };
    names.into_iter().zip(chains).map(parent).collect()
}

/// A task by its addresses.
#[derive(Debug, Clone, Copy)]
struct RawTask {
    at: Address,
    coroutine: Address,
    name: Address,
    /// Null while it waits for nothing.
    waiter: Address,
}

/// Those of the tasks that are not done.
fn pending(memory: &impl ReadMemory, tasks: &TaskLayout, addresses: &[Address]) -> Vec<RawTask> {
    let length = tasks.name.max(tasks.coro).max(tasks.fut_waiter) as usize + 8;
    let copied = copy(memory, addresses.iter().copied(), length);
    let raw = |(number, at): (usize, &Address)| {
        let bytes = copied.piece(number)?;
        let pointer = |offset| word_at(bytes, offset).map(Address);
        let is_pending = int_at(bytes, tasks.state)? == PENDING;
        let raw = RawTask {
            at: *at,
            coroutine: pointer(tasks.coro)?,
            name: pointer(tasks.name)?,
            waiter: pointer(tasks.fut_waiter)?,
        };
        (is_pending && !raw.coroutine.is_null()).then_some(raw)
    };
    addresses.iter().enumerate().filter_map(raw).collect()
}

/// The name of each task. From 3.12 on it is a number until somebody asks for it.
fn names(memory: &impl ReadMemory, layout: &Layout, pending: &[RawTask]) -> Vec<Option<String>> {
    let copied = copy(memory, pending.iter().map(|raw| raw.name), NAME_BYTES);
    let name = |(number, raw): (usize, &RawTask)| {
        let copied = Copied {
            memory,
            ranges: [(raw.name, copied.piece(number).unwrap_or_default())],
        };
        task_name(&copied, layout, raw.name)
    };
    pending.iter().enumerate().map(name).collect()
}

/// Memory of which some ranges were copied before.
pub(super) struct Copied<'a, M, const N: usize> {
    pub memory: &'a M,
    pub ranges: [(Address, &'a [u8]); N],
}

impl<'a, M: ReadMemory, const N: usize> ReadMemory for Copied<'a, M, N> {
    fn read(&self, at: Address, into: &mut [u8]) -> Result<(), ReadError> {
        let within = |(start, bytes): &(Address, &'a [u8])| {
            let skip = usize::try_from(at.offset_from(*start)?).ok()?;
            bytes.get(skip..skip.checked_add(into.len())?)
        };
        match self.ranges.iter().find_map(within) {
            Some(bytes) => {
                into.copy_from_slice(bytes);
                Ok(())
            }
            None => self.memory.read(at, into),
        }
    }
}

/// What each task waits for, and who waits for it.
fn relations(
    memory: &impl ReadMemory,
    layout: &Layout,
    tasks: &TaskLayout,
    kinds: &mut Kinds,
    pending: &[RawTask],
) -> (Vec<Option<WaitsFor>>, Vec<Vec<Address>>) {
    let mut waiters: FxHashMap<Address, Vec<Address>> = FxHashMap::default();
    for raw in pending.iter().filter(|raw| !raw.waiter.is_null()) {
        waiters.entry(raw.waiter).or_default().push(raw.at);
    }
    let numbers: FxHashMap<Address, usize> = pending
        .iter()
        .enumerate()
        .map(|(number, raw)| (raw.at, number))
        .collect();
    let addresses: Vec<Address> = pending.iter().map(|raw| raw.at).collect();
    let mut known = Parents::new(memory, layout, tasks);
    let callbacks = known.callbacks(kinds, &addresses);
    let mut parents = known.of(kinds, &callbacks, &|at| numbers.contains_key(&at), &waiters);
    // Those of a task that is awaited directly.
    for (number, at) in addresses.iter().enumerate() {
        parents[number].extend(waiters.get(at).into_iter().flatten());
    }
    for (number, parents) in parents.iter_mut().enumerate() {
        parents.sort_unstable();
        parents.dedup();
        parents.retain(|parent| *parent != addresses[number]);
    }
    let awaited: Vec<Address> = pending.iter().map(|raw| raw.waiter).collect();
    let of_waiters = known.callbacks(kinds, &awaited);
    let types = copy(
        memory,
        awaited.iter().copied(),
        layout.object.ob_type as usize + 8,
    );
    let has_children: Vec<bool> = {
        let mut has = vec![false; pending.len()];
        for parent in parents.iter().flatten() {
            if let Some(number) = numbers.get(parent) {
                has[*number] = true;
            }
        }
        has
    };
    let waits = pending.iter().enumerate().map(|(number, raw)| {
        let type_object = types
            .piece(number)
            .and_then(|bytes| word_at(bytes, layout.object.ob_type));
        let kind = kinds.of(memory, layout, Address(type_object?));
        let Callbacks { is_of_thread, .. } = of_waiters[number];
        match kind {
            _ if raw.waiter.is_null() => None,
            _ if numbers.contains_key(&raw.waiter) || kind == Kind::Task => Some(WaitsFor::Task),
            _ if is_of_thread => Some(WaitsFor::Thread),
            _ if has_children[number] => Some(WaitsFor::Task),
            _ => Some(WaitsFor::Future),
        }
    });
    (waits.collect(), parents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpython::layout::AwaitedForm;
    use crate::cpython::layout::rows::{ROWS, Row};
    use crate::cpython::locate::GilPlace;
    use crate::cpython::version::Version;
    use crate::memory::SavedMemory;

    const INTERPRETER: Address = Address(0x10_0000);
    const THREAD: Address = Address(0x20_0000);
    const TYPE: Address = Address(0x30_0000);
    const TASKS: Address = Address(0x40_0000);

    fn interpreter(row: &'static Row) -> Interpreter {
        Interpreter {
            version: Version::from_hex(0x0300_00f0 | u32::from(row.since.0) << 16, false),
            layout: row.layout.clone(),
            traits: &row.traits,
            interpreters_head: Address::NULL,
            gil: GilPlace::Unknown,
        }
    }

    /// Words at addresses, the rest of each struct zero.
    struct Image(SavedMemory);

    impl Image {
        fn with(mut self, at: Address, words: &[(u64, u64)]) -> Image {
            let size = words
                .iter()
                .map(|(offset, _)| offset + 8)
                .max()
                .unwrap_or(0)
                .max(512);
            let mut bytes = vec![0; size as usize];
            for (offset, word) in words {
                bytes[*offset as usize..][..8].copy_from_slice(&word.to_le_bytes());
            }
            self.0.insert(at, bytes);
            self
        }
    }

    /// Two tasks of 3.14 in a list that never comes back to its head, whose coroutine awaits itself, and which wait for each
    /// other.
    fn circles(row: &'static Row) -> SavedMemory {
        image(row, TASKS + 0x4000)
    }

    /// As [`circles`], where the coroutine awaits `awaited`.
    fn image(row: &'static Row, awaited: Address) -> SavedMemory {
        let (layout, tasks) = (row.layout, row.layout.tasks.as_ref().expect("tasks"));
        let lists = tasks.lists.expect("lists");
        let [one, two] = [TASKS, TASKS + 0x1000];
        let coroutine = TASKS + 0x4000;
        let frame = tasks.frame;
        let operand = coroutine + (frame + layout.frame.size + 8);
        let AwaitedForm::SavedPointer { states, words } = tasks.awaited else {
            panic!("3.14")
        };
        let state_word = u64::from(states.executing.wrapping_add(1).cast_unsigned());
        let state_word = state_word << (8 * (tasks.frame_state.expect("a state") % 8));
        let task = |waiter: Address, next: Address| {
            [
                (tasks.coro, coroutine.0),
                (tasks.fut_waiter, waiter.0),
                (lists.node, (next + lists.node).0),
            ]
        };
        Image(SavedMemory::default())
            .with(THREAD, &[(lists.of_thread, (one + lists.node).0)])
            .with(INTERPRETER, &[(lists.of_interpreter, 0)])
            .with(one, &task(two, two))
            .with(two, &task(one, one))
            .with(TYPE, &[(layout.object.type_name, (TYPE + 0x1000).0)])
            .with(
                TYPE + 0x1000,
                &[(0, u64::from_le_bytes(*b"coroutin")), (8, u64::from(b'e'))],
            )
            .with(
                coroutine,
                &[
                    (layout.object.ob_type, TYPE.0),
                    (tasks.frame_state.expect("a state") / 8 * 8, state_word),
                    (frame + layout.frame.code, 0x77_0000),
                    (frame + layout.frame.stackpointer.expect("3.14"), operand.0),
                    (operand.0 - coroutine.0 - words * 8, awaited.0),
                ],
            )
            .0
    }

    #[test]
    fn circles_are_followed_to_the_bounds_only() {
        let row = Row::of_minor(3, 14).expect("a row");
        let found = tasks(&circles(row), &interpreter(row), INTERPRETER, &[THREAD]);
        let [one, two] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!(one.frames.len(), chain::MAX_CHAIN);
        assert_eq!(one.parents, [two.at]);
        assert_eq!(two.parents, [one.at]);
        assert_eq!(one.waits_for, Some(WaitsFor::Task));
        assert_eq!(one.name, None);
    }

    #[test]
    fn every_damaged_word_is_survived() {
        let row = Row::of_minor(3, 14).expect("a row");
        let whole = image(row, Address::NULL);
        let ranges: Vec<(Address, usize)> = whole
            .ranges()
            .map(|(at, bytes)| (at, bytes.len()))
            .collect();
        for (at, length) in ranges {
            for offset in (0..length.min(512)).step_by(8) {
                for word in [0, 1, TASKS.0, u64::MAX, 0xffff_ffff] {
                    let mut memory = whole.clone();
                    let bytes = memory.range_mut(at).expect("a range");
                    bytes[offset..offset + 8].copy_from_slice(&word.to_le_bytes());
                    let found = tasks(&memory, &interpreter(row), INTERPRETER, &[THREAD]);
                    assert!(found.len() <= 3);
                }
            }
        }
    }

    #[test]
    fn a_version_without_known_tasks_has_none() {
        let row = ROWS.first().expect("a row");
        assert_eq!(row.layout.tasks, None);
        let found = tasks(
            &SavedMemory::default(),
            &interpreter(row),
            INTERPRETER,
            &[THREAD],
        );
        assert!(found.is_empty());
    }
}
