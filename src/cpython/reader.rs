//! Turns an interpreter into the stacks of all its threads, tick after tick.
//!
//! One window holds the GIL, the lists of interpreters and threads, and for every thread that may have
//! run the places of its frames; all of it is copied with one system call. A Python stack changes only
//! while its thread holds the GIL: a thread that cannot have held it since the last tick keeps its stack.
//! What a copy does not tell of a stack is for [`sample`](super::sample).

use std::time::{Duration, Instant};

use super::code::{CodeCache, Moment};
use super::frames::MAX_WALK;
use super::gil::{GilHolder, GilLocks};
use super::locate::Interpreter;
use super::pace::InterruptionDetector;
use super::running_task::{CopiedStack, KnownTasks};
use super::stops::Budget;
use super::tasks::{self, Task, TaskLook, WaitingTasks};
use super::threads::{KnownInterpreter, ThreadList};
use crate::memory::window::{int_at, word_at};
use crate::memory::{Address, ReadMemory, Window};
use crate::process::own_thread_cpu_ns;

pub use super::running_task::RunningTask;
pub use super::stop_threads::{StopPolicy, StopThreads, StoppedThread};
pub use super::threads::KnownThread;

/// With so few threads, all are read at once; with more, first the one that can have run.
const FEW_THREADS: usize = 4;

/// The GIL and the count of freed code objects are looked at so many times as often as new threads are
/// looked for, at least.
const COUNTER_LOOKS_PER_LIST: u64 = 10;

/// The most frames of all threads together that are kept: as many as one stack can have.
const MAX_FRAMES: usize = MAX_WALK;

/// No more is asked of threads in one copy, in bytes: what is deeper is copied thread by thread.
const MAX_COPIED_BYTES: usize = 48 << 20;

/// No thread is begun with after so much of a tick. Those that are left have their turn at the next one.
const LONGEST_TICK_NS: u64 = 250_000_000;

/// What one tick tells of one thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// [`KnownThread::stack`] was read.
    Stack,
    /// The thread has not run since the last tick: [`KnownThread::stack`] still holds.
    Same,
    /// The thread may have run, but is stopped for its samples and was not at this tick: [`KnownThread::stack`], which
    /// was read at an earlier one, stands for this one too.
    Unsampled,
    /// Nothing is known of the stack.
    Torn,
    /// Its memory could not be read: the thread, or the process, is gone; or there was no time or no room left for it.
    Gone,
}

/// How many stacks could not be told from the copy that chose their moment, by why. They were completed by what was read
/// a moment later.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Undetermined {
    /// A frame or a part of the stack lay elsewhere than before.
    pub moved: u64,
    /// The copy did not tell which frame was the innermost.
    pub changing: u64,
    /// The frames did not fit together: they were of two moments.
    pub mixed: u64,
    /// A code object could not be read.
    pub unread: u64,
}

impl Undetermined {
    /// How many, whatever the cause.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.moved + self.changing + self.mixed + self.unread
    }
}

/// What one tick tells.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tick {
    /// A reading for each of [`Reader::threads`], in that order.
    pub readings: Vec<Reading>,
    /// The numbers of those that were read, in ascending order: the others are [`Reading::Same`].
    pub read: Vec<usize>,
    /// The thread states that hold a GIL.
    pub holders: Vec<Address>,
    /// The interpreters that are collecting garbage.
    pub collecting: Vec<Address>,
    /// Those that took one while the stacks were copied.
    pub(super) late_holders: Vec<Address>,
    /// Whether holders can be told at all.
    pub knows_holders: bool,
    /// Stacks that could not be told from the first copy.
    pub undetermined: Undetermined,
    /// How often a thread was stopped for a reading.
    pub stops: u64,
    /// Whether [`Reader::threads`] is another list than at the last tick.
    pub threads_changed: bool,
}

/// Reads the threads of one interpreter process.
pub struct Reader {
    pub(super) interpreter: Interpreter,
    pub(super) list: ThreadList,
    pub(super) codes: CodeCache,
    tasks: KnownTasks,
    /// A look at all asyncio tasks that is not over.
    look: Option<TaskLook>,
    pub(super) window: Window,
    /// The numbers of the threads for which the window was asked.
    pub(super) planned: Vec<usize>,
    /// Copies of one thread alone, and of its code objects.
    pub(super) own_window: Window,
    pub(super) code_window: Window,
    pace: InterruptionDetector,
    pub(super) stops: StopPolicy,
    pub(super) stopper: Option<Box<dyn StopThreads>>,
    pub(super) budget: Budget,
    /// How many stops in a row were refused.
    pub(super) refusals: u32,
    pub(super) tick: Tick,
    /// Which of the threads that are read was the first to have no turn at the last tick.
    next: usize,
    began: Instant,
    clock: Option<Clock>,
    lists_every: Duration,
    lists_read_ns: Option<u64>,
    counters_read_ns: Option<u64>,
}

/// Tells nanoseconds, from any moment on.
pub type Clock = Box<dyn Fn() -> u64>;

/// The memory does not read as an interpreter any more: the process ended or runs another program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vanished;

impl Reader {
    /// A reader that knows no thread yet.
    #[must_use]
    pub fn new(interpreter: Interpreter) -> Reader {
        Reader {
            interpreter,
            list: ThreadList::default(),
            codes: CodeCache::default(),
            tasks: KnownTasks::default(),
            look: None,
            window: Window::default(),
            planned: Vec::new(),
            own_window: Window::default(),
            code_window: Window::default(),
            pace: InterruptionDetector::default(),
            stops: StopPolicy::Never,
            stopper: None,
            budget: Budget::default(),
            refusals: 0,
            tick: Tick::default(),
            next: 0,
            began: Instant::now(),
            clock: None,
            lists_every: Duration::ZERO,
            lists_read_ns: None,
            counters_read_ns: None,
        }
    }

    /// A reader for a fork of the process, which has the interpreter and the code objects where this one has
    /// them. It stops no thread until it is allowed to.
    #[must_use]
    pub fn for_fork(&self) -> Reader {
        Reader {
            codes: self.codes.for_fork(self.now_ns()),
            began: self.began,
            lists_every: self.lists_every,
            ..Reader::new(self.interpreter.clone())
        }
    }

    /// Lets threads be stopped for readings, with `stopper`. Without this none ever is.
    pub fn allow_stops(&mut self, stops: StopPolicy, stopper: Box<dyn StopThreads>) {
        self.stops = stops;
        self.stopper = Some(stopper);
    }

    /// Has another clock than this machine's tell the time. To be called before the first tick.
    pub fn use_clock(&mut self, clock: Clock) {
        self.clock = Some(clock);
    }

    /// Looks for new threads no more often than this; at every tick without it.
    pub fn look_for_threads_every(&mut self, interval: Duration) {
        self.lists_every = interval;
    }

    /// The interpreter that is read.
    #[must_use]
    pub fn interpreter(&self) -> &Interpreter {
        &self.interpreter
    }

    /// The threads, interpreter by interpreter, newest first.
    #[must_use]
    pub fn threads(&self) -> &[KnownThread] {
        &self.list.threads
    }

    /// The id of the (sub)interpreter that a thread runs in, 0 for the main one: the position in the
    /// list of interpreters, counted from its end, where the main one is.
    #[must_use]
    pub fn interpreter_number(&self, thread: &KnownThread) -> usize {
        let from_end = self.list.interpreters.iter().rev();
        from_end
            .take_while(|known| known.at != thread.interpreter)
            .count()
    }

    /// Where threads of the same (sub)interpreter as `thread` wait for its GIL; `None` when there is none, or
    /// it cannot be told.
    #[must_use]
    pub fn gil_locks(&self, thread: &KnownThread) -> Option<GilLocks> {
        let mut known = self.list.interpreters.iter();
        let known = known.find(|known| known.at == thread.interpreter)?;
        known.gil.as_ref()?.locks
    }

    /// Whether a thread holds the GIL at this moment; `None` where there is none, or it cannot be told.
    #[must_use]
    pub fn holds_gil(&self, number: usize, memory: &impl ReadMemory) -> Option<bool> {
        let thread = self.list.threads.get(number)?;
        let mut known = self.list.interpreters.iter();
        let gil = known.find(|known| known.at == thread.interpreter)?.gil?;
        let mut bytes = vec![0; gil.length];
        memory.read(gil.at, &mut bytes).ok()?;
        Some(gil.holder(&bytes)? == GilHolder::Thread(thread.state))
    }

    /// The code objects of the stacks read.
    #[must_use]
    pub fn codes(&self) -> &CodeCache {
        &self.codes
    }

    /// What the last tick told.
    #[must_use]
    pub fn last(&self) -> &Tick {
        &self.tick
    }

    /// The asyncio tasks of each interpreter that are not done, with the interpreter's number as
    /// [`Reader::interpreter_number`] gives it. The code objects of their frames are in [`Reader::codes`]. One that runs has the
    /// frames that its thread had at the last tick.
    pub fn tasks(&mut self, memory: &impl ReadMemory) -> Vec<(usize, Vec<Task>)> {
        let threads = &self.list.threads;
        let interpreters = self.list.interpreters.iter().rev().enumerate();
        let mut found: Vec<(usize, Vec<Task>)> = interpreters
            .map(|(number, known)| {
                let own = threads
                    .iter()
                    .filter(|thread| thread.interpreter == known.at);
                let states: Vec<Address> = own.clone().map(|thread| thread.state).collect();
                let mut tasks = tasks::tasks(memory, &self.interpreter, known.at, &states);
                for task in &mut tasks {
                    task.find_running_frames(
                        own.clone().map(|thread| thread.stack().frames.as_slice()),
                    );
                }
                (number, tasks)
            })
            .collect();
        found.retain(|(_, tasks)| !tasks.is_empty());
        let of_all = found.iter().flat_map(|(_, tasks)| tasks);
        let codes = of_all.flat_map(|task| task.frames.iter().map(|frame| frame.code));
        self.load_codes(codes, memory);
        found
    }

    /// Reads every thread's stack, or as many as can have changed.
    ///
    /// # Errors
    /// [`Vanished`] when the list of interpreters cannot be read. It is also empty before the
    /// interpreter has started, which is no error: there are no threads then.
    pub fn tick(&mut self, memory: &impl ReadMemory) -> Result<&Tick, Vanished> {
        let now_ns = self.now_ns();
        self.begin_tick(now_ns);
        let lists_every_ns = self.lists_every.as_nanos() as u64;
        let looks_for_threads = self
            .lists_read_ns
            .is_none_or(|read| now_ns >= read + lists_every_ns);
        let asks_counters = self.are_counters_due(now_ns);
        self.plan(looks_for_threads, asks_counters, false);
        self.fill(memory);
        if looks_for_threads {
            self.lists_read_ns = Some(now_ns);
        }
        let is_known = (!looks_for_threads || self.list.stands(&self.interpreter, &self.window))
            && self.idents_stand();
        if is_known {
            self.read_turns(asks_counters);
        } else {
            self.relist(memory)?;
        }
        if self.plan_rest() {
            self.fill(memory);
            if !self.list.stands(&self.interpreter, &self.window) {
                self.relist(memory)?;
                self.plan_rest();
            }
        }
        self.look_at_all(memory, now_ns);
        Ok(&self.tick)
    }

    /// Follows the lists anew and asks for all that is in them.
    fn relist(&mut self, memory: &impl ReadMemory) -> Result<(), Vanished> {
        self.planned.clear();
        self.tick.read.clear();
        self.tick.threads_changed = true;
        let listed = self.list.relist(&self.interpreter, memory);
        listed.ok_or(Vanished)?;
        self.plan(false, true, true);
        self.fill(memory);
        self.read_turns(true);
        Ok(())
    }

    fn begin_tick(&mut self, now_ns: u64) {
        let tick = &mut self.tick;
        tick.readings.clear();
        (tick.undetermined, tick.stops) = (Undetermined::default(), 0);
        tick.threads_changed = false;
        self.budget.begin_tick(now_ns);
        if let Some(stopper) = &mut self.stopper {
            stopper.look_after();
        }
    }

    /// Takes the copy that was planned.
    fn fill(&mut self, memory: &impl ReadMemory) {
        let mut window = std::mem::take(&mut self.window);
        let mut pace = std::mem::take(&mut self.pace);
        pace.fill(&mut window, memory, || self.now_ns());
        (self.window, self.pace) = (window, pace);
    }

    /// Nanoseconds since the reader began.
    pub(super) fn now_ns(&self) -> u64 {
        match &self.clock {
            Some(clock) => clock(),
            None => u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX),
        }
    }

    /// Whether to ask who holds the GIL, and whether code objects were freed: at rates above 10 kHz not at
    /// every tick, where no thread would be spared by it.
    fn are_counters_due(&mut self, now_ns: u64) -> bool {
        let every_ns = self.lists_every.as_nanos() as u64 / COUNTER_LOOKS_PER_LIST;
        let is_due = self.list.threads.len() > FEW_THREADS
            || self
                .counters_read_ns
                .is_none_or(|read| now_ns >= read + every_ns);
        if is_due {
            self.counters_read_ns = Some(now_ns);
        }
        is_due
    }

    /// Asks for all that one copy shall bring. What the GIL tells comes before the stacks, so that who
    /// runs meanwhile shows at the next tick; how many code objects were freed comes after them.
    fn plan(&mut self, looks_for_threads: bool, asks_counters: bool, all_threads: bool) {
        self.window.clear();
        if looks_for_threads {
            self.list.plan_heads(&self.interpreter, &mut self.window);
        }
        for known in &mut self.list.interpreters {
            let gil = known.gil.as_ref().filter(|_| asks_counters);
            known.gil_piece = gil.map(|gil| self.window.want(gil.at, gil.length));
            let collecting_at = known.collecting_at.filter(|_| asks_counters);
            known.collecting_piece = collecting_at.map(|at| self.window.want(at, 4));
        }
        let mut numbers = self.forget_planned();
        if all_threads || self.list.threads.len() <= FEW_THREADS {
            numbers.extend(0..self.list.threads.len());
        } else {
            // Who had the GIL last most likely has it still.
            let before = |known: &KnownInterpreter| known.turn.map(|turn| [turn.last_holder; 2]);
            self.list.can_have_run(before, &mut numbers);
            if looks_for_threads {
                ThreadList::add_those_before(&mut numbers);
            }
        }
        self.plan_threads(numbers);
        self.plan_gil_after(asks_counters);
        self.plan_generations(asks_counters);
    }

    /// Takes back what was asked of threads; returns the empty list of their numbers.
    fn forget_planned(&mut self) -> Vec<usize> {
        let mut numbers = std::mem::take(&mut self.planned);
        for number in numbers.drain(..) {
            self.list.threads[number].planned = None;
        }
        numbers
    }

    fn plan_threads(&mut self, numbers: Vec<usize>) {
        let format = self.interpreter.format();
        for number in &numbers {
            if self.window.wanted_bytes() > MAX_COPIED_BYTES {
                break;
            }
            let thread = &mut self.list.threads[*number];
            let with_before = self.stops == StopPolicy::Never && thread.windows.are_needed();
            thread.plan(format, with_before, &mut self.window);
        }
        self.planned = numbers;
    }

    /// Asks once more who holds the GIL: a thread that took it meanwhile did not stand still. One that is alone holds it,
    /// or nobody does.
    fn plan_gil_after(&mut self, asks_counters: bool) {
        let is_asked = asks_counters && self.list.threads.len() > 1;
        for known in &mut self.list.interpreters {
            let gil = known.gil.as_ref().filter(|_| is_asked);
            known.gil_after_piece = gil.map(|gil| self.window.want(gil.at, gil.length));
        }
    }

    fn plan_generations(&mut self, asks_counters: bool) {
        for known in &mut self.list.interpreters {
            let generation = self.interpreter.layout.interpreter.code_generation;
            let generation = generation.filter(|_| asks_counters);
            known.generation_piece = generation.map(|at| self.window.want(known.at + at, 8));
        }
    }

    /// Whether the states that were copied are still those of the known threads.
    fn idents_stand(&self) -> bool {
        let layout = &self.interpreter.layout.thread;
        let (ident, native_id) = (layout.thread_id, layout.native_thread_id);
        self.planned.iter().all(|number| {
            let thread = &self.list.threads[*number];
            let state = thread.planned.map(|planned| planned.state_piece());
            state
                .and_then(|piece| self.window.piece(piece))
                .is_none_or(|bytes| {
                    word_at(bytes, ident) == Some(thread.ident)
                        && native_id.and_then(|at| word_at(bytes, at)) == thread.native_id
                })
        })
    }

    /// Takes in who holds every GIL, and whose turn it is: which thread states alone can have run since the
    /// last tick.
    fn read_turns(&mut self, asked_counters: bool) {
        if asked_counters {
            self.tick.holders.clear();
            self.tick.collecting.clear();
            self.tick.knows_holders = false;
        }
        for known in &mut self.list.interpreters {
            known.ran = None;
            let piece = known.collecting_piece;
            let collecting = piece.and_then(|piece| int_at(self.window.piece(piece)?, 0));
            if collecting == Some(1) {
                self.tick.collecting.push(known.at);
            }
            let bytes = known.gil_piece.and_then(|piece| self.window.piece(piece));
            let Some((gil, bytes)) = known.gil.zip(bytes) else {
                continue;
            };
            let turn = gil.turn(bytes).filter(|_| !known.shares_gil);
            let both = turn.zip(known.turn);
            known.ran = both.and_then(|(turn, before)| turn.ran_since(before));
            known.turn = turn.filter(|_| both.is_none_or(|(turn, before)| turn.can_follow(before)));
            let holder = gil.holder(bytes);
            self.tick.knows_holders |= holder.is_some();
            if let Some(GilHolder::Thread(thread)) = holder {
                self.tick.holders.push(thread);
            }
        }
    }

    /// Finds out which threads can have run since the last tick, and asks for those that were not asked for, and
    /// for whether they are still in the list; whether there are any.
    fn plan_rest(&mut self) -> bool {
        self.list
            .can_have_run(|known| known.ran, &mut self.tick.read);
        let is_planned = |number: &usize| self.list.threads[*number].planned.is_some();
        if self.tick.read.iter().all(is_planned) {
            return false;
        }
        self.window.clear();
        let mut numbers = self.forget_planned();
        numbers.extend(&self.tick.read);
        ThreadList::add_those_before(&mut numbers);
        self.list.plan_heads(&self.interpreter, &mut self.window);
        self.plan_threads(numbers);
        self.plan_gil_after(true);
        self.plan_generations(true);
        true
    }

    fn look_at_all(&mut self, memory: &impl ReadMemory, now_ns: u64) {
        self.tick.late_holders.clear();
        for known in &mut self.list.interpreters {
            let bytes = known
                .gil_after_piece
                .and_then(|piece| self.window.piece(piece));
            let holder = known
                .gil
                .zip(bytes)
                .and_then(|(gil, bytes)| gil.holder(bytes));
            if let Some(GilHolder::Thread(thread)) = holder {
                self.tick.late_holders.push(thread);
            }
            let counted = known
                .generation_piece
                .and_then(|piece| self.window.piece(piece));
            known.generation = counted
                .and_then(|bytes| word_at(bytes, 0))
                .or(known.generation);
        }
        self.tick
            .readings
            .resize(self.list.threads.len(), Reading::Same);
        self.list.unread.clear();
        self.read_all(memory, now_ns);
        if self.tasks.is_any() {
            self.look_for_ready(memory, now_ns);
        }
    }

    /// Looks how many tasks wait for those that have kept their loops for long. A thread that has not run since counts as read
    /// then: there is more to tell of it.
    fn look_for_ready(&mut self, memory: &impl ReadMemory, now_ns: u64) {
        for (number, thread) in self.list.threads.iter_mut().enumerate() {
            if !thread.task.is_due(now_ns) {
                continue;
            }
            let mut interpreters = self.list.interpreters.iter_mut();
            if let Some(known) = interpreters.find(|known| known.at == thread.interpreter) {
                let (state, interpreter) = (thread.state, thread.interpreter);
                let (layout, source) = (&self.interpreter.layout, &mut known.tasks);
                let task = &mut thread.task;
                task.look_for_ready(memory, layout, state, interpreter, source);
                if let Err(position) = self.tick.read.binary_search(&number) {
                    self.tick.read.insert(position, number);
                }
            }
        }
    }

    /// Reads the threads that are to be read, as far as there are time and room. Where there is not enough for all, they
    /// take turns.
    fn read_all(&mut self, memory: &impl ReadMemory, now_ns: u64) {
        let threads = self.list.threads.iter();
        let mut frames: usize = threads.map(|thread| thread.stack().frames.len()).sum();
        let count = self.tick.read.len();
        let first = std::mem::take(&mut self.next)
            .checked_rem(count)
            .unwrap_or(0);
        for position in 0..count {
            let turn = (first + position) % count;
            let number = self.tick.read[turn];
            let before = self.list.threads[number].stack().frames.len();
            let is_in_time = position == 0 || self.now_ns() < now_ns + LONGEST_TICK_NS;
            if !is_in_time && self.next == 0 {
                self.next = turn;
            }
            let mut reading = match is_in_time && (before > 0 || frames < MAX_FRAMES) {
                true => self.read(number, memory, now_ns),
                false => Reading::Gone,
            };
            let thread = &mut self.list.threads[number];
            frames = frames - before + thread.stack().frames.len();
            if frames > MAX_FRAMES {
                frames -= thread.stack().frames.len();
                thread.forget_stack();
                reading = Reading::Gone;
            }
            thread.has_stack = matches!(reading, Reading::Stack | Reading::Unsampled);
            let unread = (!thread.has_stack).then_some(number);
            self.list.unread.extend(unread);
            self.tick.readings[number] = reading;
            self.find_task(number, memory);
        }
    }

    /// Finds the asyncio task that a thread ran when its stack was read. A stack that stands for this tick, too, goes on with the
    /// task that it was read with.
    fn find_task(&mut self, number: usize, memory: &impl ReadMemory) {
        let reading = self.tick.readings[number];
        if reading == Reading::Unsampled {
            return;
        }
        let now_ns = self.now_ns();
        let thread = &mut self.list.threads[number];
        thread.task.seen = None;
        let mut interpreters = self.list.interpreters.iter_mut();
        let known = interpreters.find(|known| known.at == thread.interpreter);
        let planned = thread.planned.filter(|_| reading == Reading::Stack);
        let Some((known, planned)) = known.zip(planned) else {
            return;
        };
        let stack = CopiedStack {
            memory,
            layout: &self.interpreter.layout,
            codes: &self.codes,
            frames: thread.stack.frames.as_slice(),
            window: match thread.is_of_common_copy {
                true => &self.window,
                false => &self.own_window,
            },
            thread: thread.state,
            interpreter: thread.interpreter,
            pieces: planned.task,
            now_ns,
        };
        thread.task.find(&stack, &mut self.tasks, &mut known.tasks);
        let seen = thread.task.seen.clone();
        if let Some(task) = seen.filter(|task| self.tasks.may_look(task, now_ns)) {
            let began = own_thread_cpu_ns();
            let parents = tasks::parents_of(memory, &self.interpreter, task.at);
            self.load_codes(parents.iter().filter_map(|parent| parent.code), memory);
            let _ = task.parents.set(parents);
            let took_ns = own_thread_cpu_ns().saturating_sub(began);
            self.tasks.has_looked(took_ns);
        }
    }

    /// Begins a look at all asyncio tasks, or goes on with it: [`TaskLook`]. When it is over: the coroutines of those that wait,
    /// each outermost first, and how many tasks have them; their code objects are in [`Reader::codes`]. Nothing is found while
    /// no task was seen running.
    pub fn look_at_tasks(&mut self, memory: &impl ReadMemory) -> Option<Vec<WaitingTasks>> {
        if !self.tasks.is_any() {
            return Some(Vec::new());
        }
        let begin = || {
            let mut look = TaskLook::default();
            for known in &self.list.interpreters {
                let threads = self.list.threads.iter();
                let own = threads.filter(|thread| thread.interpreter == known.at);
                let states: Vec<Address> = own.map(|thread| thread.state).collect();
                look.add(memory, &self.interpreter, known.at, &states);
            }
            look
        };
        let mut look = self.look.take().unwrap_or_else(begin);
        if !look.go_on(memory, &self.interpreter) {
            self.look = Some(look);
            return None;
        }
        let found = look.finish();
        let codes = found
            .iter()
            .flat_map(|(frames, _)| frames.iter().map(|frame| frame.code));
        self.load_codes(codes, memory);
        Some(found)
    }

    /// Reads the code objects that are not known yet.
    fn load_codes(&mut self, codes: impl Iterator<Item = Address>, memory: &impl ReadMemory) {
        let now = Moment {
            at_ns: self.now_ns(),
            generation: None,
        };
        for code in codes {
            if self.codes.get(code).is_none() {
                let format = self.interpreter.format();
                self.codes.load(code, memory, format, now);
            }
        }
    }

    /// How many code objects the thread's interpreter had freed when it was last asked.
    pub(super) fn generation(&self, number: usize) -> Option<u64> {
        let state = self.list.threads[number].interpreter;
        let mut known = self.list.interpreters.iter();
        known.find(|known| known.at == state)?.generation
    }
}
