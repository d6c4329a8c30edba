//! Turns the interpreter's linked lists into the list of its (sub)interpreters and threads.

use std::rc::Rc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::frames::{FrameFormat, RawStack, ThreadFields};
use super::gil::{GilState, GilTurn};
use super::locate::{GilPlace, Interpreter};
use super::places::{Planned, StackRanges};
use super::running_task::{RunningTask, TaskSource, ThreadTask};
use super::stops::Windows;
use crate::memory::window::word_at;
use crate::memory::{Address, ReadMemory, Window};

/// The most interpreters of a process, sub-interpreters included, that are read.
const MAX_INTERPRETERS: usize = 256;

/// The most threads of a process that are read. Programs have some thousand, as each takes memory for its stack.
const MAX_THREADS: usize = 16_384;

/// No `PyThreadState` of a version with a `_PyCFrame` is larger: those of 3.10 to 3.12 have some 300 to 400 bytes.
const MAX_STATE_BYTES: u64 = 1024;

/// A thread of the target, as the interpreter lists it.
#[derive(Debug, Clone)]
pub struct KnownThread {
    /// Its `PyThreadState`.
    pub state: Address,
    /// Its `PyInterpreterState`.
    pub interpreter: Address,
    /// The `pthread_t`.
    pub ident: u64,
    /// The kernel's thread id in the target's PID namespace (3.11 on).
    pub native_id: Option<u64>,
    pub(super) cframe: Option<Address>,
    pub(super) places: StackRanges,
    pub(super) is_learnt: bool,
    pub(super) planned: Option<Planned>,
    /// The stack that was read last, if one was.
    pub(super) stack: RawStack,
    pub(super) has_stack: bool,
    /// Counts up whenever that is another one.
    stacks: u64,
    /// Whether that is of a moment at which the thread may have been running, and else the last one that was, if any.
    is_running_stack: bool,
    running_stack: Option<RawStack>,
    /// The asyncio task of that one.
    running_task: Option<Rc<RunningTask>>,
    /// Room for the next one.
    pub(super) draft: RawStack,
    /// When it is stopped for its samples.
    pub(super) windows: Windows,
    /// Which asyncio task it runs.
    pub(super) task: ThreadTask,
    /// Whether its stack is of the moment of the copy that all threads share.
    pub(super) is_of_common_copy: bool,
}

impl KnownThread {
    /// A thread of which nothing has been learnt.
    fn new(state: Address, interpreter: Address, fields: &ThreadFields) -> KnownThread {
        KnownThread {
            state,
            interpreter,
            ident: fields.ident,
            native_id: fields.native_id,
            cframe: fields.cframe,
            places: StackRanges::default(),
            is_learnt: false,
            planned: None,
            stack: RawStack::default(),
            has_stack: false,
            stacks: 0,
            is_running_stack: false,
            running_stack: None,
            running_task: None,
            draft: RawStack::default(),
            windows: Windows::default(),
            task: ThreadTask::default(),
            is_of_common_copy: false,
        }
    }

    /// A place on the C stack of the thread that runs Python code in this state (3.10–3.12); `None` while none does, and
    /// where the version does not tell.
    #[must_use]
    pub fn place_on_c_stack(&self) -> Option<Address> {
        // The first `_PyCFrame` lies in the state itself (`root_cframe`).
        let is_in_state = |at: Address| {
            let offset = at.offset_from(self.state);
            offset.is_some_and(|offset| offset < MAX_STATE_BYTES)
        };
        self.cframe.filter(|at| !is_in_state(*at))
    }

    /// Asks for all that a look at it needs ([`StackRanges::plan`]).
    pub(super) fn plan(&mut self, format: FrameFormat<'_>, with_before: bool, window: &mut Window) {
        let state_bytes = self.task.state_bytes(format.layout);
        let places = &mut self.places;
        let mut planned = places.plan(self.state, format, with_before, state_bytes, window);
        planned.task = self.task.plan(format.layout, planned.state, window);
        self.planned = Some(planned);
    }

    /// Whether the fields of its state are those of the same thread.
    pub(super) fn is_of(&self, fields: &ThreadFields) -> bool {
        self.ident == fields.ident && self.native_id == fields.native_id
    }

    /// Its stack as it was read last.
    #[must_use]
    pub fn stack(&self) -> &RawStack {
        &self.stack
    }

    /// The asyncio task that it ran at the moment of its stack; `None` where none did, or it cannot be told.
    #[must_use]
    pub fn task(&self) -> Option<&Rc<RunningTask>> {
        self.task.seen.as_ref()
    }

    /// How many callbacks the event loop of that task had ready to be called when the task had kept it for 100 ms; `None`: it
    /// has not, or it is not known.
    #[must_use]
    pub fn ready_callbacks(&self) -> Option<u32> {
        self.task.ready()
    }

    /// How many stacks were read of it: the same number, the same stack.
    #[must_use]
    pub fn stacks(&self) -> u64 {
        self.stacks
    }

    /// Takes the draft as the stack that was read; `runs` tells whether the thread may have been running then.
    pub(super) fn accept_draft(&mut self, runs: bool) {
        std::mem::swap(&mut self.stack, &mut self.draft);
        if self.is_running_stack && !runs {
            std::mem::swap(self.running_stack.get_or_insert_default(), &mut self.draft);
            self.running_task = self.task.seen.take();
        }
        self.is_running_stack = runs;
        self.stacks += 1;
        self.has_stack = true;
    }

    /// Forgets its stack, and the memory for it.
    pub(super) fn forget_stack(&mut self) {
        self.places = StackRanges::default();
        self.is_learnt = false;
        self.has_stack = false;
        self.stack = RawStack::default();
        self.draft = RawStack::default();
        self.running_stack = None;
        self.is_running_stack = false;
        self.stacks += 1;
    }

    /// Takes the last stack that was read while the thread may have been running for its stack; whether there is one.
    pub(super) fn carry_on(&mut self) -> bool {
        if self.is_running_stack {
            return self.has_stack;
        }
        let Some(running) = &mut self.running_stack else {
            return false;
        };
        std::mem::swap(&mut self.stack, running);
        std::mem::swap(&mut self.task.seen, &mut self.running_task);
        self.is_running_stack = true;
        self.stacks += 1;
        true
    }
}

/// An interpreter of the target: the main one or a sub-interpreter.
#[derive(Debug, Clone)]
pub(super) struct KnownInterpreter {
    pub at: Address,
    pub gil: Option<GilState>,
    /// Whether it shares the GIL with another interpreter: threads go from one to the other without giving it
    /// away (`PyThreadState_Swap`).
    pub shares_gil: bool,
    /// Who had run when the tick before began.
    pub turn: Option<GilTurn>,
    /// The only thread states that can have run since then, the same twice where it is one; `None`: any.
    pub ran: Option<[Address; 2]>,
    pub gil_piece: Option<usize>,
    /// The same, copied once more after the stacks.
    pub gil_after_piece: Option<usize>,
    pub generation_piece: Option<usize>,
    /// Where it says that it collects garbage (3.7 on).
    pub collecting_at: Option<Address>,
    pub collecting_piece: Option<usize>,
    /// How many code objects it has freed (3.14 on).
    pub generation: Option<u64>,
    /// Where the pieces of [`ThreadList::plan_heads`] are.
    heads: Option<usize>,
    /// Where it says which asyncio tasks run.
    pub(super) tasks: TaskSource,
}

/// All interpreters and threads, in the interpreter's order: the newest first, interpreter by interpreter.
#[derive(Debug, Default)]
pub(super) struct ThreadList {
    pub interpreters: Vec<KnownInterpreter>,
    pub threads: Vec<KnownThread>,
    /// The number of each thread, by its state.
    numbers: FxHashMap<Address, usize>,
    /// The numbers of the threads whose stack is not known.
    pub unread: Vec<usize>,
    first: Option<usize>,
}

impl ThreadList {
    /// Puts the numbers of the threads that can have run into `numbers`, in ascending order. `ran` tells the
    /// states of an interpreter that can have; `None`: any of them.
    pub fn can_have_run(
        &self,
        ran: impl Fn(&KnownInterpreter) -> Option<[Address; 2]>,
        numbers: &mut Vec<usize>,
    ) {
        numbers.clear();
        if !self.interpreters.iter().all(|known| ran(known).is_some()) {
            let ran_at =
                |at: Address| ran(self.interpreters.iter().find(|known| known.at == at)?);
            let can_have_run = |thread: &KnownThread| {
                !thread.has_stack
                    || ran_at(thread.interpreter).is_none_or(|ran| ran.contains(&thread.state))
            };
            let threads = self.threads.iter().enumerate();
            numbers.extend(
                threads
                    .filter(|(_, thread)| can_have_run(thread))
                    .map(|(number, _)| number),
            );
            return;
        }
        numbers.extend(&self.unread);
        for state in self.interpreters.iter().filter_map(ran).flatten() {
            numbers.extend(self.numbers.get(&state));
        }
        numbers.sort_unstable();
        numbers.dedup();
    }

    /// Adds the threads that come before these in the list, whose states tell whether these are still in it.
    pub fn add_those_before(numbers: &mut Vec<usize>) {
        let count = numbers.len();
        for position in 0..count {
            numbers.extend(numbers[position].checked_sub(1));
        }
        numbers.sort_unstable();
        numbers.dedup();
    }

    /// Asks for the heads of the lists: the first interpreter, and of each its first thread and the next one.
    pub fn plan_heads(&mut self, interpreter: &Interpreter, window: &mut Window) {
        let layout = &interpreter.layout.interpreter;
        self.first = Some(window.want(interpreter.interpreters_head, 8));
        for known in &mut self.interpreters {
            known.heads = Some(window.want(known.at + layout.threads_head, 8));
            window.want(known.at + layout.next, 8);
        }
    }

    /// Whether the copied heads, and the states of the threads that were copied, name the known
    /// interpreters and threads, all of them and in order.
    pub fn stands(&self, interpreter: &Interpreter, window: &Window) -> bool {
        let pointer = |piece: Option<usize>| {
            let bytes = window.piece(piece?)?;
            word_at(bytes, 0).map(Address)
        };
        let mut threads = self.threads.iter().peekable();
        let mut expected = pointer(self.first);
        if self.interpreters.is_empty() || self.is_gil_missing() {
            return false;
        }
        for known in &self.interpreters {
            if expected != Some(known.at) {
                return false;
            }
            let mut next_thread = pointer(known.heads);
            while let Some(thread) = threads.next_if(|thread| thread.interpreter == known.at) {
                if next_thread != Some(thread.state) {
                    return false;
                }
                let Some(planned) = thread.planned else {
                    // Nobody who has run comes after it.
                    next_thread = threads.peek().map(|next| next.state);
                    if threads
                        .peek()
                        .is_none_or(|next| next.interpreter != known.at)
                    {
                        next_thread = Some(Address::NULL);
                    }
                    continue;
                };
                let fields = window
                    .piece(planned.state_piece())
                    .and_then(|bytes| ThreadFields::parse(bytes, &interpreter.layout));
                if fields.is_some_and(|fields| !thread.is_of(&fields)) {
                    return false;
                }
                next_thread = fields.map(|fields| fields.next);
            }
            if next_thread != Some(Address::NULL) {
                return false;
            }
            expected = pointer(known.heads.map(|piece| piece + 1));
        }
        expected == Some(Address::NULL)
    }

    /// Whether one interpreter has no GIL and another has: the former was just being made (3.12 on).
    fn is_gil_missing(&self) -> bool {
        let with_gil = self.interpreters.iter().filter(|known| known.gil.is_some());
        let count = with_gil.count();
        count > 0 && count < self.interpreters.len()
    }

    /// Follows the lists anew; `None`, and nothing is known any more, when the first interpreter cannot be
    /// told. Threads that are still there keep what was learnt of them.
    pub fn relist(&mut self, interpreter: &Interpreter, memory: &impl ReadMemory) -> Option<()> {
        let layout = &interpreter.layout.interpreter;
        let before = std::mem::take(self);
        let sources = before.interpreters.into_iter();
        let mut sources: FxHashMap<Address, TaskSource> =
            sources.map(|known| (known.at, known.tasks)).collect();
        let known = before.threads.into_iter();
        let mut known = known.map(|thread| (thread.state, thread)).collect();
        let mut at = memory.pointer(interpreter.interpreters_head).ok()?;
        while !at.is_null() && self.interpreters.len() < MAX_INTERPRETERS {
            if self.interpreters.iter().any(|other| other.at == at) {
                break;
            }
            self.interpreters.push(KnownInterpreter {
                at,
                gil: GilState::find(interpreter, at, memory),
                shares_gil: false,
                turn: None,
                ran: None,
                gil_piece: None,
                gil_after_piece: None,
                collecting_at: collecting_at(interpreter, at, memory),
                collecting_piece: None,
                generation_piece: None,
                generation: None,
                heads: None,
                tasks: sources.remove(&at).unwrap_or_default(),
            });
            let first = memory.pointer(at + layout.threads_head).unwrap_or_default();
            self.list_threads(first, at, interpreter, &mut known, memory);
            at = memory.pointer(at + layout.next).unwrap_or_default();
        }
        self.find_shared_gils();
        let threads = self.threads.iter().enumerate();
        self.numbers = threads
            .clone()
            .map(|(number, thread)| (thread.state, number))
            .collect();
        self.unread = threads
            .filter(|(_, thread)| !thread.has_stack)
            .map(|(number, _)| number)
            .collect();
        Some(())
    }

    fn find_shared_gils(&mut self) {
        let mut users: FxHashMap<Address, u32> = FxHashMap::default();
        for gil in self.interpreters.iter().filter_map(|known| known.gil) {
            *users.entry(gil.at).or_default() += 1;
        }
        for known in &mut self.interpreters {
            known.shares_gil = known.gil.is_some_and(|gil| users[&gil.at] > 1);
        }
    }

    fn list_threads(
        &mut self,
        first: Address,
        state: Address,
        interpreter: &Interpreter,
        known: &mut FxHashMap<Address, KnownThread>,
        memory: &impl ReadMemory,
    ) {
        let layout = &interpreter.layout;
        let mut bytes = vec![0; ThreadFields::bytes_needed(layout)];
        let mut seen = FxHashSet::default();
        let mut at = first;
        while !at.is_null() && self.threads.len() < MAX_THREADS && seen.insert(at) {
            if memory.read(at, &mut bytes).is_err() {
                return;
            }
            let Some(fields) = ThreadFields::parse(&bytes, layout) else {
                return;
            };
            if fields.interpreter != state {
                return;
            }
            let before = known.remove(&at).filter(|thread| thread.is_of(&fields));
            let new = || KnownThread::new(at, state, &fields);
            self.threads.push(before.unwrap_or_else(new));
            at = fields.next;
        }
    }
}

/// Where the interpreter state at `state` says that it collects garbage: an int that is 1 meanwhile. `None`
/// before 3.7, and where it cannot be read, as in saved memory.
fn collecting_at(
    interpreter: &Interpreter,
    state: Address,
    memory: &impl ReadMemory,
) -> Option<Address> {
    let layout = &interpreter.layout;
    let own = layout.interpreter.gc_collecting.map(|at| state + at);
    let common = match interpreter.gil {
        GilPlace::Runtime(runtime) => layout.runtime.gc_collecting.map(|at| runtime + at),
        _ => None,
    };
    let at = own.or(common)?;
    memory.read(at, &mut [0; 4]).ok().map(|_| at)
}
