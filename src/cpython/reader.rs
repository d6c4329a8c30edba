//! Turns an interpreter into the stacks of all its threads, tick after tick.
//!
//! One window holds the list of interpreters, the list of threads and every thread's places, copied
//! with one system call. A thread for which that was not enough is read again by itself.

use rustc_hash::FxHashSet;

use super::code::{self, Check, CodeCache, Fingerprint};
use super::frames::{FrameFormat, RawStack, ThreadFields};
use super::gil::{GilHolder, GilState};
use super::locate::Interpreter;
use super::pace::Pace;
use super::places::{Look, Places, Planned};
use crate::memory::window::word_at;
use crate::memory::{Address, ReadMemory, Window};
use crate::process::Paused;

/// The most interpreters of a process, sub-interpreters included, that are read.
const MAX_INTERPRETERS: usize = 1024;

/// The most threads of a process that are read. Linux allows some 32,000 in a process by default.
const MAX_THREADS: usize = 65_536;

/// How often a thread whose stack changes while it is read is tried again: each try takes some
/// microseconds, and one in ten would do on the worst program seen.
const MAX_TRIES: usize = 24;

/// How often a stack is read again because one of its code objects was replaced or is none.
const MAX_CODE_ROUNDS: usize = 4;

/// How often a thread is stopped for one reading. Once does, but for a stack that is dubious even in
/// a thread that stands still: that one is let go for a moment.
const MAX_STOPS: usize = 5;

/// How often a stopped thread is read until nothing of its stack is missing from the copy.
const MAX_TRIES_STOPPED: usize = 6;

/// Stops one thread for as long as the guard lives; `None` when that cannot be done.
pub type Stopper = Box<dyn FnMut(&KnownThread) -> Option<Paused> + Send>;

/// When a thread may be stopped for a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stops {
    /// Never: a stack that cannot be had otherwise is lost.
    Never,
    /// When its stack changed at every try.
    #[default]
    LastResort,
    /// For every reading.
    Always,
}

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
    places: Places,
    is_learnt: bool,
}

impl KnownThread {
    /// A thread of which nothing has been learnt.
    fn new(state: Address, interpreter: Address, fields: &ThreadFields) -> KnownThread {
        KnownThread {
            state,
            interpreter,
            ident: fields.ident,
            native_id: fields.native_id,
            places: Places::default(),
            is_learnt: false,
        }
    }
}

/// What one tick tells of one thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// Its stack.
    Stack(RawStack),
    /// The stack changed at every try.
    Torn,
    /// Its memory could not be read: the thread, or the process, is gone.
    Gone,
}

/// What one tick tells.
#[derive(Debug, Default)]
pub struct Tick {
    /// A reading for each of [`Reader::threads`], in that order.
    pub readings: Vec<Reading>,
    /// The thread states that hold a GIL.
    pub holders: Vec<Address>,
    /// Whether holders can be told at all.
    pub knows_holders: bool,
    /// How often a thread was read again because its stack had changed meanwhile.
    pub retries: u64,
    /// How often a thread was stopped for a reading.
    pub stops: u64,
    /// Whether [`Reader::threads`] is another list than at the last tick.
    pub threads_changed: bool,
}

/// Reads the threads of one interpreter process.
pub struct Reader {
    interpreter: Interpreter,
    states: Vec<InterpreterState>,
    threads: Vec<KnownThread>,
    codes: CodeCache,
    window: Window,
    own_window: Window,
    plans: Vec<Planned>,
    pace: Pace,
    pace_alone: Pace,
    stops: Stops,
    stopper: Option<Stopper>,
}

#[derive(Debug, Clone, Copy)]
struct InterpreterState {
    at: Address,
    gil: Option<GilState>,
}

/// The memory does not read as an interpreter any more: the process ended or runs another program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vanished;

impl Reader {
    /// A reader that knows no thread yet.
    #[must_use]
    pub fn new(interpreter: Interpreter) -> Reader {
        Reader {
            interpreter,
            states: Vec::new(),
            threads: Vec::new(),
            codes: CodeCache::default(),
            window: Window::default(),
            own_window: Window::default(),
            plans: Vec::new(),
            pace: Pace::default(),
            pace_alone: Pace::default(),
            stops: Stops::Never,
            stopper: None,
        }
    }

    /// Lets threads be stopped for readings, with `stopper`. Without this none ever is.
    pub fn allow_stops(&mut self, stops: Stops, stopper: Stopper) {
        self.stops = stops;
        self.stopper = Some(stopper);
    }

    /// The interpreter that is read.
    #[must_use]
    pub fn interpreter(&self) -> &Interpreter {
        &self.interpreter
    }

    /// The threads, interpreter by interpreter, newest first.
    #[must_use]
    pub fn threads(&self) -> &[KnownThread] {
        &self.threads
    }

    /// The id of the (sub)interpreter that a thread runs in, 0 for the main one: the position in the
    /// list of interpreters, counted from its end, where the main one is.
    #[must_use]
    pub fn interpreter_number(&self, thread: &KnownThread) -> usize {
        let from_end = self.states.iter().rev();
        from_end
            .take_while(|state| state.at != thread.interpreter)
            .count()
    }

    /// The code objects of the stacks read.
    #[must_use]
    pub fn codes(&self) -> &CodeCache {
        &self.codes
    }

    /// Reads every thread's stack.
    ///
    /// # Errors
    /// [`Vanished`] when the list of interpreters cannot be read. It is also empty before the
    /// interpreter has started, which is no error: there are no threads then.
    pub fn tick(&mut self, memory: &impl ReadMemory) -> Result<Tick, Vanished> {
        let mut tick = Tick::default();
        self.plan();
        self.pace.fill(&mut self.window, memory);
        if !self.lists_stand() {
            self.relist(memory)?;
            tick.threads_changed = true;
            self.plan();
            self.pace.fill(&mut self.window, memory);
        }
        self.look_at_all(memory, &mut tick);
        self.check_codes(memory, &mut tick);
        self.find_holders(&mut tick);
        Ok(tick)
    }

    /// Asks for everything. The lists come first: per interpreter its first thread, the next
    /// interpreter and the GIL.
    fn plan(&mut self) {
        let layout = &self.interpreter.layout;
        self.window.clear();
        self.window.want(self.interpreter.interpreters_head, 8);
        for state in &self.states {
            self.window
                .want(state.at + layout.interpreter.threads_head, 8);
            self.window.want(state.at + layout.interpreter.next, 8);
            match &state.gil {
                Some(gil) => self.window.want(gil.at, gil.length),
                None => self.window.want(Address::NULL, 0),
            };
        }
        self.plans.clear();
        for thread in &self.threads {
            self.plans
                .push(thread.places.plan(thread.state, layout, &mut self.window));
        }
    }

    /// Whether the copied lists name the known interpreters and threads, all of them and in order.
    fn lists_stand(&self) -> bool {
        let pointer = |piece: usize| {
            self.window
                .piece(piece)
                .and_then(|bytes| word_at(bytes, 0))
                .map(Address)
        };
        let mut threads = self.threads.iter().zip(&self.plans).peekable();
        let mut expected = pointer(0);
        if self.states.is_empty() {
            return false;
        }
        for (number, state) in self.states.iter().enumerate() {
            if expected != Some(state.at) {
                return false;
            }
            let mut next_thread = pointer(1 + 3 * number);
            while let Some((thread, plan)) = threads.next_if(|(t, _)| t.interpreter == state.at) {
                if next_thread != Some(thread.state) {
                    return false;
                }
                let fields = self.window.piece(plan.state_piece());
                let fields = fields.and_then(|bytes| self.parse_thread(bytes));
                if fields.is_some_and(|fields| fields.ident != thread.ident) {
                    return false;
                }
                next_thread = fields.map(|fields| fields.next);
            }
            if next_thread != Some(Address::NULL) {
                return false;
            }
            expected = pointer(2 + 3 * number);
        }
        expected == Some(Address::NULL)
    }

    fn parse_thread(&self, bytes: &[u8]) -> Option<ThreadFields> {
        ThreadFields::parse(bytes, &self.interpreter.layout)
    }

    /// Follows the lists anew. Threads that are still there keep what was learnt of them.
    fn relist(&mut self, memory: &impl ReadMemory) -> Result<(), Vanished> {
        let layout = self.interpreter.layout.clone();
        let mut known = std::mem::take(&mut self.threads);
        self.states.clear();
        let mut state = memory
            .pointer(self.interpreter.interpreters_head)
            .map_err(|_| Vanished)?;
        while !state.is_null() && self.states.len() < MAX_INTERPRETERS {
            if self.states.iter().any(|other| other.at == state) {
                break;
            }
            let gil = GilState::find(&self.interpreter, state, memory);
            self.states.push(InterpreterState { at: state, gil });
            let first = memory.pointer(state + layout.interpreter.threads_head);
            self.list_threads(first.unwrap_or_default(), state, &mut known, memory);
            state = memory
                .pointer(state + layout.interpreter.next)
                .unwrap_or_default();
        }
        Ok(())
    }

    fn list_threads(
        &mut self,
        first: Address,
        interpreter: Address,
        known: &mut Vec<KnownThread>,
        memory: &impl ReadMemory,
    ) {
        let mut bytes = vec![0; ThreadFields::bytes_needed(&self.interpreter.layout)];
        let mut seen = FxHashSet::default();
        let mut at = first;
        while !at.is_null() && self.threads.len() < MAX_THREADS && seen.insert(at) {
            if memory.read(at, &mut bytes).is_err() {
                return;
            }
            let Some(fields) = self.parse_thread(&bytes) else {
                return;
            };
            if fields.interpreter != interpreter {
                return;
            }
            let before = known.iter().position(|thread| {
                thread.state == at
                    && thread.ident == fields.ident
                    && thread.native_id == fields.native_id
            });
            self.threads.push(match before {
                Some(position) => known.swap_remove(position),
                None => KnownThread::new(at, interpreter, &fields),
            });
            at = fields.next;
        }
    }

    fn look_at_all(&mut self, memory: &impl ReadMemory, tick: &mut Tick) {
        for number in 0..self.threads.len() {
            let thread = &mut self.threads[number];
            let look = if self.stops == Stops::Always {
                Look::Moved
            } else if thread.is_learnt {
                let format = format_of(&self.interpreter);
                thread
                    .places
                    .look(self.plans[number], &self.window, format, &self.codes)
                    .0
            } else {
                Look::Moved
            };
            let reading = match look {
                Look::Settled(stack) => Reading::Stack(stack),
                look => self.read_alone(number, look, memory, tick),
            };
            tick.readings.push(reading);
        }
    }

    /// Reads one thread by itself until its stack is of one moment; at the end of all tries with the
    /// thread stopped, if that is allowed.
    fn read_alone(
        &mut self,
        number: usize,
        first: Look,
        memory: &impl ReadMemory,
        tick: &mut Tick,
    ) -> Reading {
        let mut reading = Reading::Torn;
        if self.stops != Stops::Always {
            reading = self.read_moving(number, first, memory, MAX_TRIES, tick);
        }
        for _ in 0..MAX_STOPS {
            if reading != Reading::Torn || self.stops == Stops::Never {
                break;
            }
            let thread = &self.threads[number];
            let Some(stopper) = &mut self.stopper else {
                break;
            };
            let guard = stopper(thread);
            tick.stops += u64::from(guard.is_some());
            reading = self.read_moving(number, Look::Moved, memory, MAX_TRIES_STOPPED, tick);
            drop(guard);
        }
        reading
    }

    /// Reads one thread again and again until its stack is of one moment.
    ///
    /// A stack that is not decided but the same at two tries stands still, so it was really there,
    /// unless it is dubious.
    fn read_moving(
        &mut self,
        number: usize,
        first: Look,
        memory: &impl ReadMemory,
        max_tries: usize,
        tick: &mut Tick,
    ) -> Reading {
        let mut look = first;
        let mut unsettled = None;
        let mut has_moved = false;
        for _ in 0..max_tries {
            match look {
                Look::Settled(stack) => return Reading::Stack(stack),
                Look::Unsettled(stack)
                    if unsettled.as_ref() == Some(&stack) && !stack.is_dubious =>
                {
                    return Reading::Stack(stack);
                }
                Look::Unsettled(stack) => {
                    self.know_outermost(&stack, memory);
                    unsettled = Some(stack);
                }
                Look::Moved => {
                    let format = format_of(&self.interpreter);
                    let thread = &mut self.threads[number];
                    if has_moved {
                        thread.places.forget_frames();
                    }
                    has_moved = true;
                    let learnt = thread.places.learn(thread.state, memory, format);
                    if learnt.is_none() {
                        return Reading::Gone;
                    }
                    thread.is_learnt = true;
                }
                Look::Gone => return Reading::Gone,
            }
            tick.retries += 1;
            look = self.look_alone(number, memory);
        }
        match look {
            Look::Settled(stack) => Reading::Stack(stack),
            _ => Reading::Torn,
        }
    }

    fn look_alone(&mut self, number: usize, memory: &impl ReadMemory) -> Look {
        let format = format_of(&self.interpreter);
        let thread = &mut self.threads[number];
        self.own_window.clear();
        let plan = thread
            .places
            .plan(thread.state, format.layout, &mut self.own_window);
        self.pace_alone.fill(&mut self.own_window, memory);
        let (look, fields) = thread
            .places
            .look(plan, &self.own_window, format, &self.codes);
        // A state that was freed and taken by another thread is not this thread's.
        match fields {
            Some(fields) if fields.ident == thread.ident => look,
            _ => Look::Gone,
        }
    }

    /// Makes sure that the code of the outermost frame is known: whether it is a generator's.
    fn know_outermost(&mut self, stack: &RawStack, memory: &impl ReadMemory) {
        if let Some(frame) = stack.frames.last()
            && self.codes.get(frame.code).is_none()
        {
            let Interpreter {
                layout, version, ..
            } = &self.interpreter;
            self.codes.load(frame.code, memory, layout, *version);
        }
    }

    /// Compares every code object of the stacks with what was cached of it, in one batch, and reads
    /// those that are new. A stack with a code object that was replaced is read again. What is still
    /// no code object after some rounds stays unknown: it costs its frame, not the stack.
    fn check_codes(&mut self, memory: &impl ReadMemory, tick: &mut Tick) {
        let mut to_check: Vec<usize> = (0..tick.readings.len()).collect();
        for _ in 0..MAX_CODE_ROUNDS {
            let replaced = self.replaced_codes(&to_check, memory, tick);
            if replaced.is_empty() {
                return;
            }
            to_check.retain(|number| uses(&tick.readings[*number], &replaced));
            for number in &to_check {
                let look = self.look_alone(*number, memory);
                let reading = self.read_alone(*number, look, memory, tick);
                tick.readings[*number] = reading;
            }
        }
    }

    /// The code objects of the given readings that are not what the cache had, or are none.
    fn replaced_codes(
        &mut self,
        numbers: &[usize],
        memory: &impl ReadMemory,
        tick: &Tick,
    ) -> FxHashSet<Address> {
        let Interpreter {
            layout, version, ..
        } = &self.interpreter;
        let mut codes = FxHashSet::default();
        for number in numbers {
            if let Reading::Stack(stack) = &tick.readings[*number] {
                codes.extend(stack.frames.iter().map(|frame| frame.code));
            }
        }
        let (start, length) = code::fingerprint_range(layout);
        let ordered: Vec<Address> = codes.into_iter().collect();
        self.own_window.clear();
        for at in &ordered {
            self.own_window.want(*at + start, length);
        }
        self.own_window.fill(memory);
        let mut replaced = FxHashSet::default();
        for (piece, at) in ordered.into_iter().enumerate() {
            let now = self
                .own_window
                .piece(piece)
                .and_then(|b| Fingerprint::parse(b, layout));
            let same = match now.map(|now| self.codes.check(at, &now)) {
                Some(Check::Same) => true,
                Some(Check::Unknown) => self.codes.load(at, memory, layout, *version).is_some(),
                Some(Check::Replaced) | None => false,
            };
            if !same {
                replaced.insert(at);
            }
        }
        replaced
    }

    fn find_holders(&self, tick: &mut Tick) {
        for (number, state) in self.states.iter().enumerate() {
            let Some(gil) = &state.gil else {
                continue;
            };
            let holder = self
                .window
                .piece(3 + 3 * number)
                .and_then(|bytes| gil.holder(bytes));
            tick.knows_holders |= holder.is_some();
            if let Some(GilHolder::Thread(thread)) = holder {
                tick.holders.push(thread);
            }
        }
    }
}

fn uses(reading: &Reading, codes: &FxHashSet<Address>) -> bool {
    match reading {
        Reading::Stack(stack) => stack.frames.iter().any(|frame| codes.contains(&frame.code)),
        Reading::Torn | Reading::Gone => false,
    }
}

fn format_of(interpreter: &Interpreter) -> FrameFormat<'_> {
    FrameFormat {
        layout: &interpreter.layout,
        version: interpreter.version,
    }
}
