//! Turns a thread's stack, and what is copied beside it, into the asyncio task that ran on it.
//!
//! A sample belongs to a task when the frame of the task's coroutine is on the stack. A task owns its coroutine from its
//! beginning to its end. So where a task that was seen before still has its coroutine and its name, a frame of that
//! coroutine on the stack is that task's. The task of the thread's last sample is compared in the copy that has the
//! stack, another one by what is there a moment later.
//!
//! A task that was not seen before is the one that the thread state names in the same copy (3.14 on), or
//! `asyncio.tasks._current_tasks`, a dict from each loop to the task that it runs. It is read a moment later, and may be
//! gone by then, with another one at its address. The thread state counts how often its thread entered or left a context, as it does
//! for each step of a task: so it is known whether another task can have begun meanwhile. Where that dict has the next task already,
//! all tasks are looked through for the one that owns the coroutine.

use std::cell::OnceCell;
use std::rc::Rc;

use rustc_hash::FxHashMap;

use super::code::CodeCache;
use super::frames::RawFrame;
use super::layout::{Layout, TaskLayout};
use super::objects::{Entry, dict_entries, find};
use super::tasks::{
    Copied, NAME_FROM, NameBytes, Parent, TaskSet, bytes_to_read, module_globals, owner,
    ready_callbacks, task_name, task_sets,
};
use crate::memory::window::{int_at, word_at};
use crate::memory::{Address, ReadMemory, Window};
use crate::process::own_thread_cpu_ns;

/// The most loops of an interpreter whose running tasks are looked at: each is in a thread of its own.
const MAX_LOOPS: usize = 16;

/// The most tasks of a process that are remembered; beyond, all are read anew. Servers have some ten thousand.
const MAX_KNOWN: usize = 1 << 16;

/// So long one step of a task keeps the others from running until it is looked how many wait for it: as long as what counts as a
/// blocked loop.
const BLOCK_NS: u64 = 100_000_000;

/// How often it is looked whether the program has imported asyncio, once it runs coroutines.
const LOOK_NS: u64 = 20_000_000;

/// `task_coro` and `task_name`, which follow it.
const HEAD_BYTES: usize = 16;

/// So many contexts can be entered or left since a step of a task without another task having begun: that step ends, another
/// callback begins, and only then can it start one at once (`eager_start`).
const MAX_SWITCHES: u64 = 2;

/// To look for the parents of tasks takes no more CPU time than this at first, and than this part of the time from then on; to
/// look for the owners of coroutines the same.
const MAX_LOOKING_NS: u64 = 20_000_000;

/// See [`MAX_LOOKING_NS`]: 0.2 % of a core.
const LOOKING_PART: u64 = 500;

/// A task that was found running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningTask {
    /// Counts the tasks of a process, in the order in which they were seen.
    pub id: u64,
    /// Its name; `None` where it could not be read.
    pub name: Option<String>,
    /// Where the frame of its coroutine is.
    pub root: Address,
    /// Its `TaskObj`.
    pub(super) at: Address,
    /// The tasks that waited for it when it was first seen; not set where there was no time to look.
    pub parents: OnceCell<Vec<Parent>>,
}

/// Where an interpreter says which tasks run, before 3.14.
#[derive(Debug, Clone, Default)]
pub(super) struct TaskSource {
    looked_ns: Option<u64>,
    /// `_current_tasks`.
    dict: Option<Address>,
    /// Those that have all tasks.
    sets: Vec<TaskSet>,
}

impl TaskSource {
    /// The tasks that run now, one of each loop, with the loops as keys. `state` is the interpreter's.
    fn running(
        &mut self,
        memory: &impl ReadMemory,
        layout: &Layout,
        state: Address,
        now_ns: u64,
    ) -> Vec<Entry> {
        let is_due = self
            .looked_ns
            .is_none_or(|looked| now_ns >= looked + LOOK_NS);
        if self.dict.is_none() && is_due {
            self.looked_ns = Some(now_ns);
            if let Some(module) = module_globals(memory, layout, state) {
                let entries = dict_entries(memory, layout, module).unwrap_or_default();
                self.dict = find(memory, layout, &entries, "_current_tasks");
                self.sets = task_sets(memory, layout, module);
            }
        }
        let entries = self
            .dict
            .and_then(|dict| dict_entries(memory, layout, dict).ok());
        entries.into_iter().flatten().take(MAX_LOOPS).collect()
    }
}

/// The tasks of a process that were found running.
#[derive(Debug, Default)]
pub(super) struct KnownTasks {
    /// By where the frame of the coroutine is.
    by_root: FxHashMap<Address, Rc<KnownTask>>,
    seen: u64,
    /// How long it took to look for parents, and for owners.
    looked_ns: u64,
    owners_ns: u64,
}

impl KnownTasks {
    /// Whether any was found.
    pub fn is_any(&self) -> bool {
        self.seen > 0
    }

    /// Whether a task was first seen now, at `now_ns`, and there is time to look for its parents.
    pub fn may_look(&self, task: &RunningTask, now_ns: u64) -> bool {
        let is_new = task.id + 1 == self.seen && task.parents.get().is_none();
        is_new && self.looked_ns <= MAX_LOOKING_NS + now_ns / LOOKING_PART
    }

    /// Notes how much CPU time that took.
    pub fn has_looked(&mut self, took_ns: u64) {
        self.looked_ns = self.looked_ns.saturating_add(took_ns);
    }

    /// Keeps a task that was read; one whose name alone became another object stays the same task.
    fn keep(&mut self, read: ReadTask) -> Rc<KnownTask> {
        let root = read.facts.root;
        let before = self.by_root.get(&root).filter(|before| {
            before.facts.at == read.facts.at
                && before.facts.coroutine == read.facts.coroutine
                && before.task.name == read.name
        });
        if let Some(before) = before.filter(|before| before.facts == read.facts) {
            return Rc::clone(before);
        }
        let task = before.map(|before| Rc::clone(&before.task));
        let task = task.unwrap_or_else(|| {
            self.seen += 1;
            Rc::new(RunningTask {
                id: self.seen - 1,
                name: read.name,
                root,
                at: read.facts.at,
                parents: OnceCell::new(),
            })
        });
        if self.by_root.len() >= MAX_KNOWN {
            self.by_root.clear();
        }
        let known = Rc::new(KnownTask {
            task,
            facts: read.facts,
        });
        self.by_root.insert(root, Rc::clone(&known));
        known
    }
}

#[derive(Debug)]
struct KnownTask {
    facts: Facts,
    task: Rc<RunningTask>,
}

/// What stays the same as long as a task lives and keeps its name.
#[derive(Debug, PartialEq, Eq)]
struct Facts {
    at: Address,
    coroutine: Address,
    name_at: Address,
    name: Option<NameBytes>,
    root: Address,
}

/// A task as it was just read.
#[derive(Debug)]
struct ReadTask {
    facts: Facts,
    name: Option<String>,
    /// Whether its coroutine has begun.
    has_begun: bool,
    /// `context_ver` of the thread, after the rest was read.
    context_version: u64,
}

/// Where a copy has what tells which task runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct TaskPieces {
    /// The thread state.
    state: usize,
    /// The task that was seen last.
    last: Option<FactPieces>,
}

/// Where a copy has what tells whether a task is still the same.
#[derive(Debug, Clone, Copy)]
struct FactPieces {
    head: usize,
    name: Option<usize>,
    /// The pointer to the frame, up to 3.10: it is null once the coroutine is over.
    frame: Option<usize>,
}

impl Facts {
    /// Asks for what [`Facts::stand`] compares.
    fn plan(&self, tasks: &TaskLayout, window: &mut Window) -> FactPieces {
        FactPieces {
            head: window.want(self.at + tasks.coro, HEAD_BYTES),
            name: self
                .name
                .as_ref()
                .map(|name| window.want(self.name_at + NAME_FROM, name.length())),
            frame: match tasks.frame_state {
                Some(_) => None,
                None => Some(window.want(self.coroutine + tasks.frame, 8)),
            },
        }
    }

    fn stand(&self, pieces: FactPieces, window: &Window) -> bool {
        let word = |piece, offset| word_at(window.piece(piece)?, offset);
        let name = pieces.name.and_then(|piece| window.piece(piece));
        word(pieces.head, 0) == Some(self.coroutine.0)
            && word(pieces.head, 8) == Some(self.name_at.0)
            && self
                .name
                .as_ref()
                .zip(name)
                .is_some_and(|(known, copied)| known.is(copied))
            && pieces
                .frame
                .is_none_or(|piece| word(piece, 0) == Some(self.root.0))
    }
}

impl ReadTask {
    /// Reads the task at `at`, which runs on the thread whose state is at `thread`; `None` where there is none, or it is over.
    fn read(
        memory: &impl ReadMemory,
        layout: &Layout,
        at: Address,
        thread: Address,
    ) -> Option<ReadTask> {
        let tasks = layout.tasks.as_ref()?;
        let mut head = [0; HEAD_BYTES];
        memory.read(at + tasks.coro, &mut head).ok()?;
        let (coroutine, name_at) = (Address(word_at(&head, 0)?), Address(word_at(&head, 8)?));
        let root = match tasks.frame_state {
            Some(_) => coroutine + tasks.frame,
            None => memory.pointer(coroutine + tasks.frame).ok()?,
        };
        let mut window = Window::default();
        let state = match tasks.frame_state {
            Some(offset) => window.want(coroutine + offset, 1),
            None => window.want(root + layout.frame.instruction, 4),
        };
        let name = window.want(name_at + NAME_FROM, bytes_to_read(name_at));
        // The last one: what is before it is of the same step or an earlier one.
        let context_version = window.want(thread + tasks.context_version, 8);
        window.fill(memory);
        let has_begun = match (window.piece(state)?, tasks.states()) {
            ([state], Some(states)) => state.cast_signed() != states.created,
            (last, _) => int_at(last, 0)? >= 0,
        };
        let name_bytes = window.piece(name).unwrap_or_default();
        let copied = Copied {
            memory,
            ranges: [(name_at + NAME_FROM, name_bytes)],
        };
        Some(ReadTask {
            name: task_name(&copied, layout, name_at),
            facts: Facts {
                at,
                coroutine,
                name_at,
                name: NameBytes::new(&copied, layout, name_at, name_bytes),
                root,
            },
            has_begun,
            context_version: word_at(window.piece(context_version)?, 0)?,
        })
    }
}

/// A stack, and the copy that it is from.
pub(super) struct CopiedStack<'a, M> {
    pub memory: &'a M,
    pub layout: &'a Layout,
    pub codes: &'a CodeCache,
    /// Innermost first.
    pub frames: &'a [RawFrame],
    pub window: &'a Window,
    /// Its thread state.
    pub thread: Address,
    pub interpreter: Address,
    /// What [`ThreadTask::plan`] gave.
    pub pieces: Option<TaskPieces>,
    pub now_ns: u64,
}

/// The task of one thread.
#[derive(Debug, Clone, Default)]
pub(super) struct ThreadTask {
    /// The task that was seen last.
    last: Option<Rc<KnownTask>>,
    /// Whether coroutines were seen on its stack.
    has_coroutines: bool,
    /// The task whose coroutine is on the stack that was read last.
    pub seen: Option<Rc<RunningTask>>,
    /// The step of a task in which the thread is.
    step: Option<Step>,
}

/// One step of a task, from one await to the next: the loop runs nothing else meanwhile.
#[derive(Debug, Clone)]
struct Step {
    context_version: u64,
    /// When it was seen first.
    since_ns: u64,
    /// What [`ThreadTask::look_for_ready`] found; `None`: it was not called yet.
    looked: Option<Option<u32>>,
}

impl ThreadTask {
    /// How many bytes of the thread state tell which task runs; none before the thread ran a coroutine. To copy them with the
    /// rest of the state costs less than a range of their own.
    pub fn state_bytes(&self, layout: &Layout) -> usize {
        let tasks = layout.tasks.as_ref().filter(|_| self.has_coroutines);
        tasks.map_or(0, |tasks| {
            let running = tasks.lists.map_or(0, |lists| lists.running);
            tasks.context_version.max(running) as usize + 8
        })
    }

    /// Asks for what tells which task runs on the thread whose state is in the piece `state`, with
    /// [`ThreadTask::state_bytes`]; for nothing before it ran a coroutine.
    pub fn plan(&self, layout: &Layout, state: usize, window: &mut Window) -> Option<TaskPieces> {
        let tasks = layout.tasks.as_ref().filter(|_| self.has_coroutines)?;
        Some(TaskPieces {
            state,
            last: self
                .last
                .as_ref()
                .map(|last| last.facts.plan(tasks, window)),
        })
    }

    /// Finds the task whose coroutine is on a stack.
    pub fn find(
        &mut self,
        stack: &CopiedStack<'_, impl ReadMemory>,
        known: &mut KnownTasks,
        source: &mut TaskSource,
    ) {
        self.seen = None;
        let Some(tasks) = &stack.layout.tasks else {
            return;
        };
        let found = match stack.look_up(tasks, self.last.as_ref(), known) {
            LookUp::Known(task) => Some(task),
            LookUp::NoCoroutine => {
                self.step = None;
                return;
            }
            LookUp::Unsure(entries) => {
                self.has_coroutines = true;
                stack.find_by_interpreter(tasks, entries > 1, known, source)
            }
        };
        if let Some(found) = found {
            self.seen = Some(Rc::clone(&found.task));
            self.last = Some(found);
        }
        self.follow_step(stack, tasks);
    }

    fn follow_step(&mut self, stack: &CopiedStack<'_, impl ReadMemory>, tasks: &TaskLayout) {
        let version = stack.pieces.and_then(|pieces| {
            let state = stack.window.piece(pieces.state)?;
            word_at(state, tasks.context_version)
        });
        let of_task = version.filter(|_| self.seen.is_some());
        let is_same = |step: &Step| Some(step.context_version) == of_task;
        if !self.step.as_ref().is_some_and(is_same) {
            self.step = of_task.map(|context_version| Step {
                context_version,
                since_ns: stack.now_ns,
                looked: None,
            });
        }
    }

    /// Whether the thread has been in one step of a task for so long that others may wait, and it was not looked how many.
    pub fn is_due(&self, now_ns: u64) -> bool {
        let step = self.step.as_ref().filter(|_| self.seen.is_some());
        step.is_some_and(|step| step.looked.is_none() && now_ns > step.since_ns + BLOCK_NS)
    }

    /// Looks how many callbacks the loop of the task has ready to be called.
    pub fn look_for_ready(
        &mut self,
        memory: &impl ReadMemory,
        layout: &Layout,
        thread: Address,
        interpreter: Address,
        source: &mut TaskSource,
    ) {
        let (Some(tasks), Some(step), Some(task)) = (&layout.tasks, &mut self.step, &self.seen)
        else {
            return;
        };
        let event_loop = match tasks.lists {
            Some(lists) => memory.pointer(thread + lists.running_loop).ok(),
            None => {
                let running = source.running(memory, layout, interpreter, step.since_ns);
                let own = running.into_iter().find(|entry| entry.value == task.at);
                own.map(|entry| entry.key)
            }
        };
        let ready = event_loop.and_then(|it| ready_callbacks(memory, layout, it));
        let version = memory.word(thread + tasks.context_version).ok();
        // What was found after the step was over is of another one.
        step.looked = Some(ready.filter(|_| version == Some(step.context_version)));
    }

    /// How many callbacks were ready to be called after [`BLOCK_NS`] of the step in which the thread is.
    pub fn ready(&self) -> Option<u32> {
        self.step.as_ref()?.looked?
    }
}

/// What came of looking up the frames of a stack.
enum LookUp {
    /// This task ran.
    Known(Rc<KnownTask>),
    /// There are coroutines, and whose they are is not known; so many of them may be a task's.
    Unsure(usize),
    NoCoroutine,
}

impl<M: ReadMemory> CopiedStack<'_, M> {
    /// Looks the frames of coroutines up among the known tasks, the innermost first. Where several may be a task's, one of
    /// them is that of a task that another one has just started at once (`eager_start`), or is called by other means, or the
    /// stack is of two moments: then the interpreter has to say which task runs.
    fn look_up(
        &self,
        tasks: &TaskLayout,
        last: Option<&Rc<KnownTask>>,
        known: &KnownTasks,
    ) -> LookUp {
        let (mut found, mut entries, mut coroutines) = (None, 0, 0);
        let code = |number: usize| self.codes.get(self.frames.get(number)?.code);
        for (number, frame) in self.frames.iter().enumerate() {
            if !code(number).is_some_and(|code| code.is_coroutine) {
                continue;
            }
            coroutines += 1;
            // One that another one awaits is not a task's.
            let is_awaited = code(number + 1).is_some_and(|code| code.is_generator);
            entries += usize::from(!is_awaited);
            let task = known.by_root.get(&frame.at).filter(|_| found.is_none());
            found = task.filter(|task| self.stands(tasks, task, last)).or(found);
        }
        match found {
            _ if coroutines == 0 => LookUp::NoCoroutine,
            Some(task) if entries < 2 => LookUp::Known(Rc::clone(task)),
            _ => LookUp::Unsure(entries),
        }
    }

    /// Whether a task is the same as before.
    fn stands(
        &self,
        tasks: &TaskLayout,
        task: &Rc<KnownTask>,
        last: Option<&Rc<KnownTask>>,
    ) -> bool {
        let is_last = last.is_some_and(|last| Rc::ptr_eq(last, task));
        let pieces = self.pieces.and_then(|pieces| pieces.last);
        if let Some(pieces) = pieces.filter(|_| is_last)
            && task.facts.stand(pieces, self.window)
        {
            return true;
        }
        let mut window = Window::default();
        let pieces = task.facts.plan(tasks, &mut window);
        window.fill(self.memory);
        task.facts.stand(pieces, &window)
    }

    /// Finds the task that the interpreter says runs, or that owns a coroutine on the stack. Where `are_several` on the stack,
    /// and it says that a moment later (before 3.14), it has to be in the same context still: the one may have ended, and the
    /// other one goes on.
    fn find_by_interpreter(
        &self,
        tasks: &TaskLayout,
        are_several: bool,
        known: &mut KnownTasks,
        source: &mut TaskSource,
    ) -> Option<Rc<KnownTask>> {
        let pieces = self.pieces?;
        let word = |offset| word_at(self.window.piece(pieces.state)?, offset);
        let running = match tasks.lists {
            Some(lists) => {
                let running = word(lists.running).filter(|task| *task != 0);
                Vec::from_iter(running.map(Address))
            }
            None => {
                let running =
                    source.running(self.memory, self.layout, self.interpreter, self.now_ns);
                running.iter().map(|entry| entry.value).collect()
            }
        };
        let entered = word(tasks.context_version)?;
        let most = match tasks.lists {
            None if are_several => 0,
            _ => MAX_SWITCHES,
        };
        let running = running.into_iter();
        let read = running.filter_map(|at| self.read_here(at)).next();
        let read = match read {
            // Of several, it could not be told which one runs.
            None if !are_several => self.find_owner(tasks, entered, most, known, source)?,
            read => read?,
        };
        let switches = read.context_version.wrapping_sub(entered);
        (switches <= most).then(|| known.keep(read))
    }

    /// Reads the task at `at`, if it has begun and its coroutine is on the stack.
    fn read_here(&self, at: Address) -> Option<ReadTask> {
        let read = ReadTask::read(self.memory, self.layout, at, self.thread)?;
        let mut frames = self.frames.iter();
        let is_here = frames.any(|frame| frame.at == read.facts.root);
        (is_here && read.has_begun).then_some(read)
    }

    /// Finds the task of a coroutine on the stack whose step has just ended, if it is not too late for it: the thread must not
    /// have entered or left more than `most` contexts since `context_ver` was `entered`.
    fn find_owner(
        &self,
        tasks: &TaskLayout,
        entered: u64,
        most: u64,
        known: &mut KnownTasks,
        source: &TaskSource,
    ) -> Option<ReadTask> {
        let switches = || {
            let now = self.memory.word(self.thread + tasks.context_version);
            now.ok().map(|now| now.wrapping_sub(entered))
        };
        let has_time = known.owners_ns <= MAX_LOOKING_NS + self.now_ns / LOOKING_PART;
        if source.sets.is_empty() || !has_time || switches()? > most {
            return None;
        }
        let began = own_thread_cpu_ns();
        let is_root = |at: Address| {
            let mut frames = self.frames.iter();
            frames.any(|frame| {
                let code = self.codes.get(frame.code);
                frame.at == at && code.is_some_and(|code| code.is_coroutine)
            })
        };
        let at = owner(self.memory, tasks, &source.sets, is_root);
        let read = at.and_then(|at| self.read_here(at));
        let took_ns = own_thread_cpu_ns().saturating_sub(began);
        known.owners_ns = known.owners_ns.saturating_add(took_ns);
        read
    }
}
