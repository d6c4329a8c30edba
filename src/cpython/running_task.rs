//! Turns what is copied beside a thread's stack into the asyncio task that ran on it.
//!
//! A sample belongs to a task when the frame of the task's coroutine is on the stack. Which task may be running, its coroutine and
//! the bytes of its name come with the same copy as the stack: so a task that was freed meanwhile, and another one at its
//! address, is not taken for it. Up to 3.13 `asyncio.tasks._current_tasks` is a dict from each loop to the task that it runs;
//! from 3.14 on the thread state names it.

use std::rc::Rc;

use super::frames::RawFrame;
use super::layout::{Layout, TaskLayout};
use super::objects::{dict_entries, find};
use super::tasks::{Copied, module_globals, task_name};
use crate::memory::window::word_at;
use crate::memory::{Address, ReadMemory, Window};

/// The most loops of an interpreter whose running tasks are looked at: each is in a thread of its own.
const MAX_LOOPS: usize = 16;

/// How often it is looked whether the program has imported asyncio.
const LOOK_NS: u64 = 1_000_000_000;

/// Bytes of a name that are compared, behind `ob_refcnt`: all of an int, and of a `str` its length and hash, and the first
/// characters of an ASCII one.
const NAME_BYTES: usize = 88;

/// `ob_refcnt`, which changes all the time.
const NAME_FROM: u64 = 8;

/// `task_coro` and `task_name`, which follow it.
const HEAD_BYTES: usize = 16;

/// Bytes of a dict's table that are copied with the stacks: one of eight entries has 168 or fewer.
const TABLE_BYTES: usize = 256;

/// A task that was found running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningTask {
    /// Its name; `None` where it could not be read.
    pub name: Option<String>,
    /// Where the frame of its coroutine is.
    pub root: Address,
}

/// Where an interpreter says which tasks run.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TaskSource {
    looked_ns: Option<u64>,
    /// Whether the program has imported asyncio.
    is_used: bool,
    /// `_current_tasks` and its table as seen last (up to 3.13).
    dict: Option<(Address, Address)>,
    /// Where these are in the copy.
    pieces: Option<(usize, Option<usize>)>,
}

impl TaskSource {
    /// Looks at times whether asyncio was imported into the interpreter at `state`.
    pub fn look(&mut self, memory: &impl ReadMemory, layout: &Layout, state: Address, now_ns: u64) {
        let is_due = self
            .looked_ns
            .is_none_or(|looked| now_ns >= looked + LOOK_NS);
        let Some(tasks) = layout.tasks.as_ref().filter(|_| is_due && !self.is_used) else {
            return;
        };
        self.looked_ns = Some(now_ns);
        let Some(globals) = module_globals(memory, layout, state) else {
            return;
        };
        if tasks.lists.is_none() {
            let entries = dict_entries(memory, layout, globals).unwrap_or_default();
            let Some(dict) = find(memory, layout, &entries, "_current_tasks") else {
                return;
            };
            self.dict = Some((dict, Address::NULL));
        }
        self.is_used = true;
    }

    /// Asks for the dict and its table.
    pub fn plan(&mut self, layout: &Layout, window: &mut Window) {
        self.pieces = self.dict.map(|(dict, table)| {
            let head = window.want(dict, layout.object.dict_values as usize + 8);
            let table = (!table.is_null()).then(|| window.want(table, TABLE_BYTES));
            (head, table)
        });
    }

    /// The tasks that run, one of each loop, as `window` has them.
    fn running(
        &mut self,
        memory: &impl ReadMemory,
        layout: &Layout,
        window: &Window,
    ) -> Vec<Address> {
        let (Some((dict, table)), Some(pieces)) = (self.dict, self.pieces) else {
            return Vec::new();
        };
        let head = window.piece(pieces.0).unwrap_or_default();
        let of_table = pieces
            .1
            .and_then(|piece| window.piece(piece))
            .unwrap_or_default();
        let named = word_at(head, layout.object.dict_keys).map(Address);
        self.dict = Some((dict, named.unwrap_or_default()));
        let copied = Copied {
            memory,
            ranges: [(dict, head), (table, of_table)],
        };
        let entries = dict_entries(&copied, layout, dict).unwrap_or_default();
        let values = entries.iter().map(|entry| entry.value);
        values.take(MAX_LOOPS).collect()
    }
}

/// The task of one thread.
#[derive(Debug, Clone, Default)]
pub(super) struct ThreadTask {
    known: Option<KnownTask>,
    pieces: Option<Pieces>,
    /// The task whose coroutine is on the stack that was read last.
    pub seen: Option<Rc<RunningTask>>,
}

#[derive(Debug, Clone)]
struct KnownTask {
    at: Address,
    coroutine: Address,
    name_at: Address,
    name_bytes: Vec<u8>,
    task: Rc<RunningTask>,
}

/// Where the copy has what tells a thread's task.
#[derive(Debug, Clone, Copy)]
struct Pieces {
    /// The word that names the running task (3.14 on).
    running: Option<usize>,
    /// Of the known task its coroutine and the address of its name, and that name.
    known: Option<(usize, usize)>,
}

impl ThreadTask {
    /// Asks for what tells the task of the thread whose state is at `thread`; for nothing where no task can run.
    pub fn plan(
        &mut self,
        layout: &Layout,
        source: &TaskSource,
        thread: Address,
        window: &mut Window,
    ) {
        let tasks = layout.tasks.as_ref().filter(|_| source.is_used);
        self.pieces = tasks.map(|tasks| Pieces {
            running: tasks
                .lists
                .map(|lists| window.want(thread + lists.running, 8)),
            known: self.known.as_ref().map(|known| {
                let head = window.want(known.at + tasks.coro, HEAD_BYTES);
                (head, window.want(known.name_at + NAME_FROM, NAME_BYTES))
            }),
        });
    }

    /// Forgets where it was planned.
    pub fn forget_plan(&mut self) {
        self.pieces = None;
    }

    /// Finds the task whose coroutine is among `frames`, by the copy that `window` holds.
    pub fn find(
        &mut self,
        memory: &impl ReadMemory,
        layout: &Layout,
        source: &mut TaskSource,
        frames: &[RawFrame],
        window: &Window,
    ) {
        self.seen = None;
        let (Some(tasks), Some(pieces)) = (&layout.tasks, self.pieces) else {
            return;
        };
        let running = match pieces.running {
            Some(piece) => {
                let task = window.piece(piece).and_then(|bytes| word_at(bytes, 0));
                task.filter(|task| *task != 0)
                    .map(Address)
                    .into_iter()
                    .collect()
            }
            None => source.running(memory, layout, window),
        };
        // The coroutine of a task is among the outermost frames, above the loop's.
        let is_on_stack = |root: Address| frames.iter().rev().any(|frame| frame.at == root);
        for at in running {
            let is_known = |known: &&KnownTask| known.at == at && known.stands(pieces, window);
            if let Some(known) = self.known.as_ref().filter(is_known) {
                if is_on_stack(known.task.root) {
                    self.seen = Some(Rc::clone(&known.task));
                    return;
                }
                continue;
            }
            let read = KnownTask::read(memory, layout, tasks, at);
            if let Some(known) = read.filter(|known| is_on_stack(known.task.root)) {
                self.seen = Some(Rc::clone(&known.task));
                self.known = Some(known);
                return;
            }
        }
    }
}

impl KnownTask {
    /// Whether the copy has the same coroutine and name.
    fn stands(&self, pieces: Pieces, window: &Window) -> bool {
        let Some((head, name)) = pieces.known else {
            return false;
        };
        let word = |offset| window.piece(head).and_then(|bytes| word_at(bytes, offset));
        word(0) == Some(self.coroutine.0)
            && word(8) == Some(self.name_at.0)
            && window.piece(name) == Some(self.name_bytes.as_slice())
    }

    fn read(
        memory: &impl ReadMemory,
        layout: &Layout,
        tasks: &TaskLayout,
        at: Address,
    ) -> Option<KnownTask> {
        let mut head = [0; HEAD_BYTES];
        memory.read(at + tasks.coro, &mut head).ok()?;
        let (coroutine, name_at) = (Address(word_at(&head, 0)?), Address(word_at(&head, 8)?));
        let mut name_bytes = vec![0; NAME_BYTES];
        memory.read(name_at + NAME_FROM, &mut name_bytes).ok()?;
        let copied = Copied {
            memory,
            ranges: [(name_at + NAME_FROM, &name_bytes)],
        };
        let name = task_name(&copied, layout, name_at);
        let root = match tasks.frame_state {
            Some(_) => coroutine + tasks.frame,
            None => memory.pointer(coroutine + tasks.frame).ok()?,
        };
        Some(KnownTask {
            at,
            coroutine,
            name_at,
            name_bytes,
            task: Rc::new(RunningTask { name, root }),
        })
    }
}
