//! Turns the threads of one process into native samples: those that wait without a stop, those that run by one stop each.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use super::activity::Seen;
use super::native_pace::{NativePace, NativeSettings};
use super::native_runs::{NativeRun, NativeStackSeen};
use super::native_safety::LastSwitch;
use super::native_stacks::{MergedStack, NativeStacks, StoodThread};
use super::native_stops::{LateStops, Outcome};
use super::native_threads::NativeThreads;
use super::native_turns::{RunningThread, Turns};
use super::observation::ThreadKey;
use super::observe::Observer;
use super::target::Source;
use super::threads::{ThreadAtTick, Threads};
use crate::cpython::reader::Reader;
use crate::memory::LiveMemory;
use crate::native::IS_SUPPORTED;
use crate::native::registers::Registers;
use crate::native::waiting::WaitingThread;
use crate::process::{
    Paused, PendingStop, Pid, Process, ProcessError, StopOutcome, TaskTurns, Tid, WaitRegisters,
    own_thread_cpu_ns, tracer_of,
};
use crate::profile::event::{Event, Missing, Nanos, ProcessId, StackId, State, ThreadId};

/// A tick waits for stops no longer than this.
const LONGEST_WAIT: Duration = Duration::from_micros(300);

/// So long without a sleep: most stops take less.
const SPIN: Duration = Duration::from_micros(60);

/// How long a sleep is then. Where rsamp has the thread's CPU, the thread can stop only meanwhile.
const NAP: Duration = Duration::from_micros(30);

/// The most waiting threads whose stacks are copied at one tick.
const MOST_COPIES: usize = 16;

/// So often the stack of a waiting thread is copied where something is missing in it: what other stacks teach may help, and
/// the first ones take long.
const MOST_TRIES: u8 = 5;

/// The most that a stop counts for. Where it took longer, rsamp itself waited for a CPU, and the thread would have, too.
const LONGEST_STOOD: Nanos = Nanos(1_000_000);

/// All threads are looked at after this time, and what is known of them is told.
const TELL: Nanos = Nanos(500_000_000);

/// Where stops are refused, they are tried again after this time: another tracer may have gone.
const REFUSED: Nanos = Nanos(10_000_000_000);

/// The process, and what else reads it.
pub struct Scope<'s> {
    /// What reads its interpreter.
    pub source: &'s mut Source,
    /// Its memory.
    pub memory: &'s LiveMemory,
    /// What numbers stacks.
    pub observer: &'s mut Observer,
    /// Its threads as the last tick left them.
    pub threads: &'s mut Threads,
}

/// Samples the native stacks of one process.
pub struct NativeSampler {
    id: ProcessId,
    process: Arc<Process>,
    may_stop: bool,
    pace: NativePace,
    turns: Turns,
    late: LateStops<PendingStop>,
    given_up: u64,
    stacks: NativeStacks,
    threads: NativeThreads,
    known: FxHashMap<Tid, KnownThread>,
    /// When stacks were read last.
    before: Nanos,
    tell_at: Nanos,
    /// When stops are tried again after they were refused.
    stops_from: Nanos,
    is_refusal_told: bool,
    /// What [`NativeSampler::take_cost`] has not told yet.
    cpu: Nanos,
    stops: u64,
}

/// What native stacks have taken.
#[derive(Debug, Clone, Copy, Default)]
pub struct NativeCost {
    /// CPU time of rsamp.
    pub cpu: Nanos,
    /// How often a thread was stopped.
    pub stops: u64,
    /// How often one had not stopped in time.
    pub given_up: u64,
}

/// What is known of a thread's native stack.
#[derive(Debug)]
struct KnownThread {
    run: NativeRun,
    /// Where it waits, in the stack that the run is of.
    waits: Option<(WaitRegisters, Option<StackId>)>,
    /// Where it waits, in a stack that could not be told, or not wholly, and how often that was tried.
    tried: (Option<(WaitRegisters, Option<StackId>)>, u8),
    /// Tells whether it may be stopped; `None`: not asked for yet.
    turns: Option<TaskTurns>,
    last_switch: LastSwitch,
    key: Option<ThreadKey>,
}

/// A thread that may be seen at a tick.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    /// `None`: it has no Python frames.
    key: Option<ThreadKey>,
    id: ThreadId,
    tid: Tid,
    stack: Option<StackId>,
    state: State,
    cpu: Nanos,
}

impl Candidate {
    fn of(thread: &ThreadAtTick) -> Candidate {
        Candidate {
            key: Some(thread.key),
            id: thread.id,
            tid: thread.tid,
            stack: thread.stack,
            state: thread.state,
            cpu: thread.cpu,
        }
    }
}

impl NativeSampler {
    /// Of a process that the recording knows by this number, from `at` on.
    #[must_use]
    pub fn new(
        id: ProcessId,
        process: &Arc<Process>,
        settings: NativeSettings,
        at: Nanos,
    ) -> NativeSampler {
        let seed = process.pid().0 as u64 ^ process.start_ticks();
        NativeSampler {
            id,
            process: Arc::clone(process),
            may_stop: settings.may_stop,
            pace: NativePace::new(settings.rate, settings.budget, at, seed),
            turns: Turns::default(),
            late: LateStops::default(),
            given_up: 0,
            stacks: NativeStacks::new(Arc::clone(process)),
            threads: NativeThreads::default(),
            known: FxHashMap::default(),
            before: at,
            tell_at: at + TELL,
            stops_from: at,
            is_refusal_told: false,
            cpu: Nanos(0),
            stops: 0,
        }
    }

    /// Whether stops have not come yet that were asked for.
    #[must_use]
    pub fn awaits_stops(&self) -> bool {
        !self.late.is_empty()
    }

    /// What it took since this was asked last.
    pub fn take_cost(&mut self) -> NativeCost {
        NativeCost {
            cpu: std::mem::take(&mut self.cpu),
            stops: std::mem::take(&mut self.stops),
            given_up: std::mem::take(&mut self.given_up),
        }
    }

    /// Reads what is due after a tick at `at`.
    pub fn tick(&mut self, at: Nanos, scope: &mut Scope<'_>, emit: &mut dyn FnMut(Event)) {
        if !self.pace.begin(at) {
            return;
        }
        let began = own_thread_cpu_ns();
        if IS_SUPPORTED {
            self.stacks.look_at_mappings(at);
            self.see_threads(at, scope, emit);
        } else {
            self.miss("native frames", "they are read on x86-64 only", emit);
        }
        self.before = at;
        self.count_cpu(began);
    }

    fn count_cpu(&mut self, began: u64) {
        let used = Nanos(own_thread_cpu_ns().saturating_sub(began));
        self.cpu += used;
        self.pace.spend_cpu(used);
    }

    fn see_threads(&mut self, at: Nanos, scope: &mut Scope<'_>, emit: &mut dyn FnMut(Event)) {
        let is_telling = at >= self.tell_at;
        let threads: Vec<ThreadAtTick> = match is_telling {
            true => scope.threads.all().collect(),
            false => scope.threads.awake().collect(),
        };
        let mut copies = MOST_COPIES;
        let mut running = Vec::new();
        for thread in &threads {
            let candidate = Candidate::of(thread);
            match (thread.seen, thread.waits_at) {
                (Seen::Waiting(_), Some(registers)) => {
                    self.see_waiting(candidate, registers, at, &mut copies, scope, emit);
                }
                // Nothing reads its Python stack in the stop (up to 3.5).
                (Seen::Running, _) if matches!(scope.source, Source::Legacy(_)) => {}
                (Seen::Running, _) => running.push((candidate, thread.is_main)),
                _ => {}
            }
        }
        self.see_native_threads(at, &mut running, &mut copies, scope, emit);
        if is_telling {
            self.tell(at, emit);
        }
        self.stop_some(at, &running, scope, emit);
    }

    /// Looks at the threads without Python frames, if that is due; adds those that run to `running`.
    fn see_native_threads(
        &mut self,
        at: Nanos,
        running: &mut Vec<(Candidate, bool)>,
        copies: &mut usize,
        scope: &mut Scope<'_>,
        emit: &mut dyn FnMut(Event),
    ) {
        let is_due = self.threads.are_due(at);
        if is_due {
            let began = Instant::now();
            self.threads.look(at, &self.process, scope.threads);
            let took = Nanos(began.elapsed().as_nanos() as u64);
            self.threads.count_look(at, took);
        }
        let mut waiting = Vec::new();
        for thread in self.threads.each(at) {
            let is_known = self.known.contains_key(&thread.tid);
            if !thread.has_run && (!is_due || is_known) {
                continue;
            }
            let Some(id) = thread.id(at, &self.process, scope.threads, emit) else {
                continue;
            };
            let candidate = Candidate {
                key: None,
                id,
                tid: thread.tid,
                stack: None,
                state: thread.state(),
                cpu: thread.cpu(),
            };
            match (thread.seen(), thread.waits_at()) {
                (Seen::Running, _) => running.push((candidate, false)),
                (Seen::Waiting(_), Some(registers)) if is_due => {
                    waiting.push((candidate, registers));
                }
                _ => {}
            }
        }
        for (candidate, registers) in waiting {
            self.see_waiting(candidate, registers, at, copies, scope, emit);
        }
    }

    /// What was seen of a thread goes on, or what it waits in is read anew.
    fn see_waiting(
        &mut self,
        candidate: Candidate,
        registers: WaitRegisters,
        at: Nanos,
        copies: &mut usize,
        scope: &mut Scope<'_>,
        emit: &mut dyn FnMut(Event),
    ) {
        let waits = Some((registers, candidate.stack));
        let (before, cpu) = (self.before, candidate.cpu);
        let known = self.known(candidate);
        if known.waits == waits {
            if let Some(seen) = known.run.seen() {
                let state = candidate.state;
                known
                    .run
                    .see(at, cpu, NativeStackSeen { state, ..seen }, emit);
            }
            return;
        }
        if *copies == 0 {
            return;
        }
        *copies -= 1;
        if known.waits.take().is_some() {
            known.run.go_on(before, cpu);
        }
        let Some(waiting) = WaitingThread::look(&self.process, candidate.tid) else {
            return;
        };
        let Some(now) = waiting.registers() else {
            return;
        };
        let stood = self.copy(candidate, now, scope);
        let Some(mut stood) = stood.filter(|_| waiting.has_stood_still()) else {
            return;
        };
        let seen = self.merge(candidate, at, &mut stood, scope, emit);
        if seen.is_none() && self.stacks.are_seeking() {
            return;
        }
        let known = self.known(candidate);
        let tries = match known.tried {
            (tried, tries) if tried == waits => tries + 1,
            _ => 1,
        };
        known.tried = (waits, tries);
        let is_whole = seen.is_some_and(|(_, merged)| merged.is_whole);
        if is_whole || tries >= MOST_TRIES {
            known.waits = waits;
        }
        if let Some((stack, merged)) = seen {
            let seen = NativeStackSeen {
                stack,
                state: candidate.state,
                merged: merged.stack,
            };
            known.run.see(at, cpu, seen, emit);
        }
    }

    fn known(&mut self, candidate: Candidate) -> &mut KnownThread {
        let before = self.before;
        let new = || KnownThread {
            run: NativeRun::new(candidate.id, before, candidate.cpu),
            waits: None,
            tried: (None, 0),
            turns: None,
            last_switch: LastSwitch::default(),
            key: candidate.key,
        };
        let known = self.known.entry(candidate.tid).or_insert_with(new);
        if known.run.thread() != candidate.id {
            *known = new();
        }
        known
    }

    /// Copies what has to be known of a thread that stands.
    fn copy(
        &self,
        candidate: Candidate,
        registers: Registers,
        scope: &mut Scope<'_>,
    ) -> Option<StoodThread> {
        let tid = candidate.tid;
        let Some(key) = candidate.key else {
            return self.stacks.copy(tid, registers, None);
        };
        match scope.source {
            Source::Native(reader) => {
                let number = number_of(reader, key)?;
                let is_plain = scope.observer.has_one_stack(key);
                let python = is_plain.then_some((&mut **reader, number))?;
                self.stacks.copy(tid, registers, Some(python))
            }
            // Of a thread that waits, the stack of the last tick.
            Source::Legacy(_) => {
                let frames = scope.observer.interner().frames_in(candidate.stack).len();
                self.stacks.copy_beside(tid, registers, frames)
            }
        }
    }

    /// The numbers of the stacks of a thread that stood: the Python one, and that with native frames.
    fn merge(
        &mut self,
        candidate: Candidate,
        at: Nanos,
        stood: &mut StoodThread,
        scope: &mut Scope<'_>,
        emit: &mut dyn FnMut(Event),
    ) -> Option<(Option<StackId>, MergedStack)> {
        let interner = scope.observer.interner();
        let (stack, frames) = match (candidate.key, &*scope.source) {
            (None, _) => (None, Vec::new()),
            (Some(_), Source::Native(reader)) => stood.numbers(reader, interner, emit)?,
            (Some(_), Source::Legacy(_)) => {
                let frames = interner.frames_in(candidate.stack).into_iter();
                (candidate.stack, frames.map(Some).collect())
            }
        };
        let moment = (candidate.tid, at);
        let merged = self.stacks.merged(moment, stood, &frames, interner, emit)?;
        Some((stack, merged))
    }

    /// Stops some of the running threads, one after another.
    fn stop_some(
        &mut self,
        at: Nanos,
        running: &[(Candidate, bool)],
        scope: &mut Scope<'_>,
        emit: &mut dyn FnMut(Event),
    ) {
        if !self.may_stop || at < self.stops_from || !self.pace.may_stop() {
            return;
        }
        let threads = running.iter().map(|(candidate, is_main)| RunningThread {
            tid: candidate.tid,
            is_first: *is_main || holds_gil(candidate.state),
        });
        let threads: Vec<RunningThread> = threads.collect();
        let deadline = Instant::now() + LONGEST_WAIT;
        for tid in self.turns.take(&threads) {
            let candidate = running.iter().find(|(candidate, _)| candidate.tid == tid);
            let Some((candidate, _)) = candidate.filter(|_| !self.late.has(tid)) else {
                continue;
            };
            if Instant::now() >= deadline {
                return;
            }
            let Some(cpu) = self.still_running(*candidate, scope) else {
                continue;
            };
            let candidate = Candidate { cpu, ..*candidate };
            match self.stop(candidate, at, deadline, scope, emit) {
                Ok(())
                | Err(ProcessError::NoSuchThread(..) | ProcessError::PauseTimeout { .. }) => {}
                Err(error) => return self.refuse(at, &error, emit),
            }
        }
    }

    /// The CPU time of a thread that still runs; `None`: it has begun to wait, or was woken just now. It is not stopped then,
    /// as its call would end early.
    fn still_running(&mut self, candidate: Candidate, scope: &mut Scope<'_>) -> Option<Nanos> {
        let pid = self.process.pid();
        let known = self.known(candidate);
        if known.turns.is_none() {
            known.turns = TaskTurns::open(pid, candidate.tid);
        }
        let counts = known.turns.as_mut().and_then(TaskTurns::count);
        if !known.last_switch.may_stop(counts) {
            return None;
        }
        match candidate.key {
            Some(key) => {
                let is_running = scope.threads.is_running_still(key);
                is_running.then_some(candidate.cpu)
            }
            None => {
                let thread = self.threads.get(candidate.tid)?;
                thread.is_running_still().then(|| thread.count_cpu())
            }
        }
    }

    fn stop(
        &mut self,
        candidate: Candidate,
        at: Nanos,
        deadline: Instant,
        scope: &mut Scope<'_>,
        emit: &mut dyn FnMut(Event),
    ) -> Result<(), ProcessError> {
        let asked = Instant::now();
        let mut pending = PendingStop::ask(self.process.pid(), candidate.tid)?;
        let mut looked = asked;
        loop {
            match pending.poll() {
                StopOutcome::Stopped(paused) => {
                    self.see_stopped(candidate, at, paused, looked, scope, emit);
                    return Ok(());
                }
                StopOutcome::Ended => return Ok(()),
                StopOutcome::Pending(stop) => pending = stop,
            }
            looked = Instant::now();
            if looked >= deadline {
                self.late.add(candidate.tid, pending, at);
                return Ok(());
            }
            if looked - asked < SPIN {
                thread::yield_now();
            } else {
                thread::sleep(NAP.min(deadline - looked));
            }
        }
    }

    /// Reads a thread that stands, since `since` at the earliest, and lets it run.
    fn see_stopped(
        &mut self,
        candidate: Candidate,
        at: Nanos,
        paused: Paused,
        since: Instant,
        scope: &mut Scope<'_>,
        emit: &mut dyn FnMut(Event),
    ) {
        let registers = paused.registers().map(Registers::stopped);
        let stood = registers.and_then(|registers| self.copy(candidate, registers, scope));
        let has_gil = candidate.key.and_then(|key| match &*scope.source {
            Source::Native(reader) => reader.holds_gil(number_of(reader, key)?, scope.memory),
            Source::Legacy(_) => None,
        });
        drop(paused);
        self.stops += 1;
        let took = Nanos(since.elapsed().as_nanos() as u64);
        self.pace.spend_stopped(took.min(LONGEST_STOOD));
        let Some(mut stood) = stood else {
            return;
        };
        let seen = self.merge(candidate, at, &mut stood, scope, emit);
        let Some((stack, merged)) = seen else {
            return;
        };
        let (before, cpu) = (self.before, candidate.cpu);
        let known = self.known(candidate);
        if known.waits.take().is_some() {
            known.run.go_on(before, cpu);
        }
        let state = running_state(candidate, stack, has_gil);
        let seen = NativeStackSeen {
            stack,
            state,
            merged: merged.stack,
        };
        known.run.see(at, cpu, seen, emit);
    }

    /// Reads the threads that have stopped since, and lets them run.
    pub fn harvest(&mut self, at: Nanos, scope: &mut Scope<'_>, emit: &mut dyn FnMut(Event)) {
        if self.late.is_empty() {
            return;
        }
        let began = own_thread_cpu_ns();
        let poll = |stop: PendingStop| match stop.poll() {
            StopOutcome::Stopped(paused) => Outcome::Stopped(paused),
            StopOutcome::Pending(stop) if stop.has_ended() => Outcome::Ended,
            StopOutcome::Pending(stop) => Outcome::Pending(stop),
            StopOutcome::Ended => Outcome::Ended,
        };
        while let Some(found) = self.late.next_stopped(at, &mut self.given_up, poll) {
            let stood = Duration::from_nanos((at - found.since).0);
            let since = Instant::now();
            let since = since.checked_sub(stood).unwrap_or(since);
            match self.candidate(found.tid, scope) {
                Some(candidate) => {
                    self.see_stopped(candidate, at, found.stop, since, scope, emit);
                }
                None => drop(found.stop),
            }
        }
        self.count_cpu(began);
    }

    /// A thread that was stopped, as it is known now.
    fn candidate(&mut self, tid: Tid, scope: &mut Scope<'_>) -> Option<Candidate> {
        let python = scope.threads.awake().find(|thread| thread.tid == tid);
        python.as_ref().map(Candidate::of).or_else(|| {
            let thread = self.threads.get(tid)?;
            let id = self.known.get(&tid)?.run.thread();
            Some(Candidate {
                key: None,
                id,
                tid,
                stack: None,
                state: State::Native,
                cpu: thread.cpu(),
            })
        })
    }

    fn refuse(&mut self, at: Nanos, error: &ProcessError, emit: &mut dyn FnMut(Event)) {
        self.stops_from = at + REFUSED;
        let why = refusal(error);
        self.miss("native frames of running threads", &why, emit);
    }

    /// Tells once what cannot be read.
    fn miss(&mut self, what: &str, why: &str, emit: &mut dyn FnMut(Event)) {
        if !std::mem::replace(&mut self.is_refusal_told, true) {
            emit(Event::Missing(Missing {
                process: self.id,
                what: what.to_owned(),
                why: why.to_owned(),
            }));
        }
    }

    /// Tells what is known of all threads by `at`, and forgets those that have ended.
    fn tell(&mut self, at: Nanos, emit: &mut dyn FnMut(Event)) {
        self.tell_at = at + TELL;
        self.stacks.rest();
        let tasks = self.process.tasks().unwrap_or_default();
        let threads = &mut self.threads;
        self.known.retain(|tid, known| {
            let is_there = tasks.contains(tid);
            if let Some(thread) = threads.get(*tid)
                && known.key.is_none()
                && known.waits.is_some()
                && !thread.has_run
            {
                known.run.go_on(at, thread.cpu());
            }
            known.run.tell(emit);
            is_there
        });
    }

    /// Tells what is left at the end of the process, or of the recording.
    pub fn finish(mut self, emit: &mut dyn FnMut(Event)) {
        for known in self.known.values_mut() {
            known.run.tell(emit);
        }
    }
}

fn number_of(reader: &Reader, key: ThreadKey) -> Option<usize> {
    let mut threads = reader.threads().iter();
    threads.position(|thread| (thread.state.0, thread.ident) == key)
}

fn holds_gil(state: State) -> bool {
    matches!(state, State::Python | State::Collecting)
}

/// What a thread was doing that ran when it was stopped in this Python stack. What the tick told of it holds if nothing has
/// changed since.
fn running_state(candidate: Candidate, stack: Option<StackId>, has_gil: Option<bool>) -> State {
    let running = match (candidate.key, has_gil) {
        (None, _) | (_, Some(false)) => State::Native,
        _ => State::Python,
    };
    let told = candidate.state;
    let fits = holds_gil(told) == holds_gil(running) && !told.is_blocked();
    match fits && candidate.stack == stack {
        true => told,
        false => running,
    }
}

fn refusal(error: &ProcessError) -> String {
    let ProcessError::Ptrace { tid, source, .. } = error else {
        return error.to_string();
    };
    // A thread has a `status` below `/proc` like a process.
    match tracer_of(Pid(tid.0)) {
        Some(tracer) => format!("{tracer} traces thread {tid}, and a thread has one tracer"),
        None => format!("the kernel refused to stop thread {tid}: {}", source.desc()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_the_tick_holds_where_nothing_has_changed_since() {
        let candidate = |state| Candidate {
            key: Some((1, 1)),
            id: ThreadId(0),
            tid: Tid(1),
            stack: Some(StackId(7)),
            state,
            cpu: Nanos(0),
        };
        let same = Some(StackId(7));
        let state = |told, stack, has_gil| running_state(candidate(told), stack, has_gil);
        assert_eq!(state(State::Gil, same, Some(false)), State::Gil);
        assert_eq!(
            state(State::Collecting, same, Some(true)),
            State::Collecting
        );
        assert_eq!(state(State::Python, same, Some(false)), State::Native);
        assert_eq!(
            state(State::Gil, Some(StackId(8)), Some(false)),
            State::Native
        );
        assert_eq!(state(State::Native, same, Some(true)), State::Python);
        assert_eq!(state(State::Sleep, same, Some(false)), State::Native);
        assert_eq!(state(State::Python, same, None), State::Python);
        let native = Candidate {
            key: None,
            ..candidate(State::Native)
        };
        assert_eq!(running_state(native, None, None), State::Native);
    }
}
