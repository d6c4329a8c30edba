//! Turns observations of threads into runs of equal stacks and states, with their times.
//!
//! A thread that has neither run nor been found running of late rests: it costs nothing until it is observed or
//! reviewed, and gets its time then ([`Clock`]).

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::rc::Rc;

use rustc_hash::FxHashMap;

use super::activity::{Seen, Watch, Watched};
use super::change::Change;
use super::course::Course;
use super::cpu::{Account, Due, NativeThreadCpu, Uncounted};
use super::faults::{Faults, shares};
use super::gil_waits::{GilWait, StateAtTick};
use super::growth::{Growth, Share, Undecided, Whose};
use super::held::HeldRuns;
use super::observation::{Observation, ThreadKey};
use super::observe::{Identity, Observed};
use super::resident::MemoryMeter;
use super::roles::{GilRoles, Served};
use super::usage::UsageMeter;
use crate::cpython::gil::GilLocks;
use crate::process::{Pid, Process, TaskState, TaskWatch, Tid, WaitRegisters};
use crate::profile::attributes::AttributesId;
use crate::profile::event::{
    Event, Missing, Nanos, ProcessId, Sample, SampleKey, StackId, State, Thread, ThreadId,
};
use crate::profile::limits::{MAX_THREADS, MORE_THREADS};

/// How soon the identity of a thread without a name is looked up again: `threading` registers a
/// thread a moment after it started.
const SOON: Nanos = Nanos(20_000_000);

/// But after so many times the time that it took at least, as a thread may live for a tenth of a second only.
const LOOKING_SOON: u64 = 100;

/// For how long it is: what has no name then was made without `threading`.
const YOUNG: Nanos = Nanos(1_000_000_000);

/// How often names are looked up again anyway: a program may rename its threads.
const REFRESH: Nanos = Nanos(1_000_000_000);

/// But after so many times the time that it took at least: with hundreds of threads it takes milliseconds.
const LOOKING: u64 = 500;

/// A run ends after this time even if it goes on, so that little is lost if rsamp is killed: [`HeldRuns`] lets it go when
/// the next one ends. What a program did just before it crashed or hung matters most.
const LONGEST_RUN: Nanos = Nanos(100_000_000);

/// The same for a thread that rests, once what it does is told: there may be hundreds of them.
const LONGEST_REST: Nanos = Nanos(500_000_000);

/// After so many runs of the same, what a thread does is told: the second lets the first go.
const RUNS_UNTIL_TOLD: u8 = 2;

/// The CPU time of so few threads is read whether they may have run or not.
const FEW_THREADS: usize = 4;

/// So many threads that did not run are asked at each review what they wait for: one that waited for a
/// socket may wait for the GIL now.
const IDLE_LOOKS: usize = 16;

/// So long a thread may go on after the interpreter has ended it until it is taken for one that goes on without Python.
const LEAVING: Nanos = Nanos(20_000_000);

/// With more threads than this, page faults are not counted: each thread whose faults are takes an open file, and 3 µs at
/// each tick at which memory grew.
const FAULT_THREADS: usize = 64;

/// A thread that has been observed.
#[derive(Debug)]
struct Tracked {
    id: ThreadId,
    defined_at: Nanos,
    /// It was not there at this time yet.
    unseen_since: Nanos,
    identity: Identity,
    is_main: bool,
    account: Account,
    watch: Option<Watch>,
    gil_locks: Option<GilLocks>,
    run: Option<Sample>,
    /// How many of those just before are the same, up to [`RUNS_UNTIL_TOLD`].
    repeated: u8,
    /// Those before.
    held: HeldRuns,
    gil_wait: GilWait,
    /// Its waiting for the GIL that was found out later, and is not told yet.
    late_wait: Nanos,
    course: Course,
    faults: Faults,
    /// What was seen last: its stack and what it did; `None` before it had a stack.
    doing: Option<(Option<StackId>, State)>,
    /// What else is known of that.
    attributes: Option<AttributesId>,
    /// Since when it rests; `None`: it is awake.
    resting: Option<Clock>,
    /// Time for which there is no stack: the next one stands for it too.
    unattributed: Nanos,
    /// Whether the interpreter has ended it: the main thread, while the process goes on.
    is_without_frames: bool,
    /// Whether it was read since the last review of CPU times.
    was_read: bool,
    /// Whether it was found running at the last review.
    is_busy: bool,
    /// The CPU time it used since then.
    used: Nanos,
    /// The number of the tick that was booked to it last.
    seen_at_tick: u64,
}

/// The ticks so far, and the time that they stand for.
#[derive(Debug, Clone, Copy, Default)]
struct Clock {
    ticks: u64,
    time: Nanos,
    /// When the last tick was.
    at: Nanos,
}

/// Numbers for threads, one after another over all processes. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct ThreadIds(Rc<Cell<u32>>);

impl ThreadIds {
    /// The next one.
    pub fn next(&self) -> ThreadId {
        let id = self.0.get();
        self.0.set(id + 1);
        ThreadId(id)
    }

    /// Whether there are so many that further ones of a process share one number.
    fn are_used_up(&self) -> bool {
        self.0.get() >= MAX_THREADS
    }
}

/// All threads of one interpreter process.
#[derive(Debug)]
pub struct Threads {
    process: ProcessId,
    pid: Pid,
    ids: ThreadIds,
    /// The number that all further threads share, once there are too many.
    shared_id: Option<ThreadId>,
    tracked: FxHashMap<ThreadKey, Tracked>,
    /// Those of them that do not rest.
    awake: Vec<ThreadKey>,
    /// Those that the interpreter has ended, and since when: what they used in all is not known yet.
    leaving: Vec<(Nanos, Tracked)>,
    /// Waiting for a GIL that is found out only now.
    late_waits: Vec<(Option<GilLocks>, Nanos)>,
    /// Whether the process was born while it could be seen: all that it used is to be booked.
    is_newborn: bool,
    /// When identities of which something is missing are looked up again, and when all are.
    look_up_at: Nanos,
    refresh_at: Nanos,
    clock: Clock,
    watched: Watched,
    helpers: NativeThreadCpu,
    roles: GilRoles,
    memory: MemoryMeter,
    growth: Growth,
    /// The threads that may have changed memory since the reading before.
    allocators: Vec<ThreadKey>,
    usage: UsageMeter,
    /// The thread that is asked next though it did not run, counted modulo their number.
    next_idle: usize,
    /// Whether it was told that system calls cannot be seen.
    is_refusal_told: bool,
}

/// What the last tick told of a thread, for who reads its native frames.
#[derive(Debug, Clone, Copy)]
pub struct ThreadAtTick {
    /// [`Observation::key`].
    pub key: ThreadKey,
    /// Its number in the recording.
    pub id: ThreadId,
    /// The kernel's id.
    pub tid: Tid,
    /// Whether it is the main thread of the process.
    pub is_main: bool,
    /// Its Python stack.
    pub stack: Option<StackId>,
    /// What it was doing.
    pub state: State,
    /// Whether it ran, by the word of the kernel.
    pub seen: Seen,
    /// Where it waited; `None`: it ran, or the kernel does not tell.
    pub waits_at: Option<WaitRegisters>,
    /// The CPU time that was counted of it so far.
    pub cpu: Nanos,
}

/// One tick's time: when it was, and the time since the one before.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Since the start of the recording.
    pub at: Nanos,
    /// The measured interval that this tick stands for.
    pub weight: Nanos,
}

impl Threads {
    /// No threads yet.
    #[must_use]
    pub fn new(process: ProcessId, target: &Process, ids: ThreadIds) -> Threads {
        Threads {
            process,
            pid: target.pid(),
            ids,
            shared_id: None,
            tracked: FxHashMap::default(),
            awake: Vec::new(),
            leaving: Vec::new(),
            late_waits: Vec::new(),
            is_newborn: false,
            look_up_at: Nanos(0),
            refresh_at: Nanos(0),
            clock: Clock::default(),
            watched: Watched::new(target.pid()),
            helpers: NativeThreadCpu::new(target),
            roles: GilRoles::default(),
            memory: MemoryMeter::new(target),
            growth: Growth::default(),
            allocators: Vec::new(),
            usage: UsageMeter::new(process, target),
            next_idle: 0,
            is_refusal_told: false,
        }
    }

    /// The process was born at `seen`: what it used before the first tick is booked as well.
    pub fn begin_at_birth(&mut self, seen: Nanos) {
        self.is_newborn = true;
        self.clock.at = seen;
    }

    /// The threads of which anything may have changed at the last ticks, as far as the kernel's ids are known.
    pub fn awake(&self) -> impl Iterator<Item = ThreadAtTick> {
        let awake = self.awake.iter();
        awake.filter_map(|key| self.tracked.get(key)?.at_tick(*key))
    }

    /// The same of all threads.
    pub fn all(&self) -> impl Iterator<Item = ThreadAtTick> {
        let all = self.tracked.iter();
        all.filter_map(|(key, tracked)| tracked.at_tick(*key))
    }

    /// The kernel's ids of the threads with Python frames, as far as they are known.
    pub fn tids(&self) -> impl Iterator<Item = Tid> {
        let tracked = self.tracked.values();
        tracked.filter_map(|tracked| tracked.identity.tid)
    }

    /// Whether they are known of all.
    #[must_use]
    pub fn are_all_tids_known(&self) -> bool {
        let mut tracked = self.tracked.values();
        tracked.all(|tracked| tracked.identity.tid.is_some())
    }

    /// Whether a thread that the last tick found running runs at this moment.
    pub fn is_running_still(&mut self, key: ThreadKey) -> bool {
        let tracked = self.tracked.get_mut(&key);
        let watch = tracked.and_then(|tracked| tracked.watch.as_mut());
        watch.is_some_and(Watch::is_running_still)
    }

    /// Whether threads without Python frames were found at work.
    #[must_use]
    pub fn are_native_threads_at_work(&self) -> bool {
        self.helpers.are_at_work()
    }

    /// What threads of the process are watched with.
    #[must_use]
    pub fn watched(&self) -> &Watched {
        &self.watched
    }

    /// Tells of a thread without Python frames, which has this name; returns its number. `None`: there are too many.
    pub fn define_native(
        &self,
        known: Option<ThreadId>,
        tid: Tid,
        name: Option<String>,
        emit: &mut dyn FnMut(Event),
    ) -> Option<ThreadId> {
        let new = || (!self.ids.are_used_up()).then(|| self.ids.next());
        let id = known.or_else(new)?;
        emit(Event::Thread(
            id,
            Thread {
                process: self.process,
                tid: Some(tid.0),
                name,
                is_main: tid.0 == self.pid.0,
            },
        ));
        Some(id)
    }

    /// Whether identities are to be looked up before [`Threads::record`]: a thread is new, or it is
    /// time to look for new names.
    #[must_use]
    pub fn wants_identities(&self, observations: &[Observation], at: Nanos) -> bool {
        at >= self.look_up_at
            || observations
                .iter()
                .any(|observation| !self.tracked.contains_key(&observation.key))
    }

    /// Whether the identity of this thread is to be looked up now, when any is.
    #[must_use]
    pub fn wants_identity(&self, key: ThreadKey, at: Nanos) -> bool {
        let tracked = self.tracked.get(&key);
        at >= self.refresh_at || tracked.is_none_or(|tracked| !tracked.identity.is_whole())
    }

    /// Whether none of the threads that had frames is there any more, while all that are there were observed.
    #[must_use]
    pub fn have_all_gone(&self, observed: &Observed) -> bool {
        let is_known = |seen: &Observation| self.tracked.contains_key(&seen.key);
        let had_frames = self.tracked.values().any(|t| !t.is_without_frames);
        observed.same == 0
            && (had_frames || !self.tracked.is_empty() && !observed.threads.is_empty())
            && !observed.threads.iter().any(is_known)
    }

    /// Takes in identities: defines new threads, and again those of which more is known now. They were looked
    /// up at `look.at`, which took `look.weight`.
    pub fn identify(
        &mut self,
        identities: HashMap<ThreadKey, Identity>,
        observed: &Observed,
        process: &Process,
        look: Moment,
        emit: &mut dyn FnMut(Event),
    ) {
        // The oldest first, which is observed last: of several states of one thread it has the id.
        let positions = observed.threads.iter().enumerate();
        let positions: FxHashMap<ThreadKey, usize> =
            positions.map(|(number, seen)| (seen.key, number)).collect();
        let mut identities: Vec<(ThreadKey, Identity)> = identities.into_iter().collect();
        identities.sort_by_key(|(key, _)| Reverse(positions.get(key).copied()));
        for (key, mut identity) in identities {
            identity.tid = self.free_tid(key, identity.tid, observed, emit);
            if let Some(tracked) = self.tracked.get(&key) {
                identity.tid = identity.tid.or(tracked.identity.tid);
                let known = &tracked.identity;
                identity.name = identity.name.or_else(|| known.name.clone());
                identity.kernel_name = identity.kernel_name.or_else(|| known.kernel_name.clone());
            }
            let is_known = self
                .tracked
                .get(&key)
                .is_some_and(|t| t.identity == identity);
            if !is_known {
                self.define(key, identity, process, look.at, emit);
            }
        }
        let pause = |times: u64| Nanos(look.weight.0.saturating_mul(times));
        if look.at >= self.refresh_at {
            self.refresh_at = look.at + REFRESH.max(pause(LOOKING));
        }
        let is_expected = |tracked: &Tracked| {
            !tracked.identity.is_whole() && look.at < tracked.defined_at + YOUNG
        };
        self.look_up_at = if self.tracked.values().any(is_expected) {
            self.refresh_at.min(look.at + SOON.max(pause(LOOKING_SOON)))
        } else {
            self.refresh_at
        };
    }

    /// `tid` when the thread `key` may have it: there is one thread of each id. A thread that had it and is there
    /// no more goes on as this one, as where an interpreter is finalised and another one begins, or a thread
    /// without Python comes back from C; while that one is still there, the id is not known yet.
    fn free_tid(
        &mut self,
        key: ThreadKey,
        tid: Option<Tid>,
        observed: &Observed,
        emit: &mut dyn FnMut(Event),
    ) -> Option<Tid> {
        let has_it = |(other, tracked): &(&ThreadKey, &Tracked)| {
            **other != key && tid.is_some() && tracked.identity.tid == tid
        };
        let Some((other, tracked)) = self.tracked.iter().find(has_it) else {
            return tid;
        };
        let other = *other;
        let is_there = |seen: &Observation| seen.key == other;
        let are_all_observed = observed.same == 0;
        let has_gone =
            tracked.is_without_frames || are_all_observed && !observed.threads.iter().any(is_there);
        if !has_gone {
            return None;
        }
        // What waits to be attributed knows the thread by this key.
        let undecided = self.growth.take_all();
        self.decide(&undecided);
        if let Some(mut tracked) = self.tracked.remove(&other) {
            tracked.wake(self.clock);
            self.roles.wake(other);
            self.awake.retain(|awake| *awake != other);
            if self.tracked.contains_key(&key) {
                self.helpers.attribute_used(tracked.account.ahead());
                tracked.flush(emit);
            } else {
                self.awake.push(key);
                self.tracked.insert(key, tracked);
            }
        }
        tid
    }

    fn define(
        &mut self,
        key: ThreadKey,
        identity: Identity,
        process: &Process,
        at: Nanos,
        emit: &mut dyn FnMut(Event),
    ) {
        if let Some(tid) = identity.tid {
            self.let_go_of(tid, at, emit);
        }
        let is_newborn = self.clock.ticks > 0 || self.is_newborn;
        let unseen_since = if is_newborn { self.clock.at } else { at };
        let (ids, shared_id) = (&self.ids, &mut self.shared_id);
        let new = || {
            let id = match ids.are_used_up() {
                true => *shared_id.get_or_insert_with(|| ids.next()),
                false => ids.next(),
            };
            Tracked::new(id, at, unseen_since)
        };
        let tracked = self.tracked.entry(key).or_insert_with(new);
        tracked.is_main = identity.tid.is_some_and(|tid| tid.0 == self.pid.0);
        if let Some(tid) = identity.tid
            && (tracked.watch.is_none() || tracked.identity.tid != Some(tid))
        {
            let unseen = match tracked.watch {
                None => at - tracked.unseen_since,
                Some(_) => Nanos(0),
            };
            tracked.account = Account::new(process.task_clock(tid), at, unseen);
            tracked.watch = Some(Watch::new(process, tid));
            if self.helpers.has_begun() {
                let uncounted = -tracked.account.ahead_ns();
                let used = Nanos(u64::try_from(uncounted).unwrap_or(0));
                self.helpers.attribute_used(used);
            }
        }
        let thread = match self.shared_id == Some(tracked.id) {
            true => Thread {
                process: self.process,
                tid: None,
                name: Some(MORE_THREADS.to_owned()),
                is_main: false,
            },
            false => Thread {
                process: self.process,
                tid: identity.tid.map(|tid| tid.0),
                name: identity.given_name().map(str::to_owned),
                is_main: tracked.is_main,
            },
        };
        emit(Event::Thread(tracked.id, thread));
        tracked.identity = identity;
    }

    /// Attributes time that was not sampled to the stack `mark`. A thread that waited before, and has used no CPU time
    /// since, waited on: it keeps its stack.
    pub fn skip(&mut self, moment: Moment, mark: StackId, emit: &mut dyn FnMut(Event)) {
        let undecided = self.growth.take_all();
        self.decide(&undecided);
        let before = self.clock;
        self.clock = before.after(moment);
        self.helpers.begin(moment.at);
        self.roles.wake_all();
        self.awake.clear();
        for (key, tracked) in &mut self.tracked {
            tracked.wake(before);
            self.awake.push(*key);
            let used = tracked.skip(moment, mark, emit);
            self.helpers.attribute_used(used);
        }
        self.let_go(moment.at, emit);
        self.helpers.end_review();
        self.charge_memory_of_gap(moment.at);
        self.charge_helpers(moment);
        // What is observed next is a run of its own.
        for tracked in self.tracked.values_mut() {
            tracked.flush(emit);
        }
    }

    /// Books the moment's time to the observed stacks, and to those that are as they were. A thread that is in
    /// neither has ended; the main thread goes on without frames until the process ends.
    pub fn record(&mut self, observed: &Observed, moment: Moment, emit: &mut dyn FnMut(Event)) {
        self.usage.emit_if_due(moment.at, emit);
        self.count_cpu(moment.at, emit);
        self.roles.begin();
        let before = self.clock;
        self.clock = before.after(moment);
        for observation in &observed.threads {
            if let Some(tracked) = self.tracked.get_mut(&observation.key) {
                if tracked.wake(before) {
                    self.awake.push(observation.key);
                    self.roles.wake(observation.key);
                }
                tracked.seen_at_tick = self.clock.ticks;
                tracked.follow(observation, self.memory.readings());
                let state = tracked.take(observation, moment, &self.watched, emit);
                self.roles.note(observation, state, moment.at);
                self.late_waits.extend(tracked.take_late_wait());
            }
        }
        if observed.same == 0 {
            self.retire(before);
        }
        self.go_on(moment, emit);
        self.charge_waits(moment);
        self.charge_memory(moment);
        self.charge_helpers(moment);
    }

    /// Books a tick to the threads that are awake and were not observed.
    fn go_on(&mut self, moment: Moment, emit: &mut dyn FnMut(Event)) {
        for key in &self.awake {
            let Some(tracked) = self.tracked.get_mut(key) else {
                continue;
            };
            if tracked.seen_at_tick == self.clock.ticks {
                continue;
            }
            tracked.seen_at_tick = self.clock.ticks;
            let state = tracked.go_on(moment, &self.watched, emit);
            self.roles
                .note_unread(*key, tracked.gil_locks, state, moment.at);
            self.late_waits.extend(tracked.take_late_wait());
        }
    }

    /// Ends the threads that are there no more, all that are having been observed.
    fn retire(&mut self, before: Clock) {
        let tick = self.clock.ticks;
        let is_there = |tracked: &Tracked| tracked.seen_at_tick == tick;
        if self.tracked.values().all(is_there) {
            return;
        }
        let is_over = |_: &ThreadKey, tracked: &mut Tracked| !is_there(tracked);
        let over: Vec<(ThreadKey, Tracked)> = self.tracked.extract_if(is_over).collect();
        for (key, mut tracked) in over {
            let woke = tracked.wake(before);
            if woke {
                self.roles.wake(key);
            }
            if tracked.is_main && tracked.doing.is_some() {
                self.awake.extend(woke.then_some(key));
                tracked.lose_frames(self.memory.readings());
                self.tracked.insert(key, tracked);
            } else {
                self.leaving.push((self.clock.at, tracked));
            }
        }
        let tracked = &self.tracked;
        self.awake.retain(|key| tracked.contains_key(key));
    }

    /// Waiting for the GIL is charged to who has it.
    fn charge_waits(&mut self, moment: Moment) {
        for (holder, waiting) in self.roles.blockers() {
            let tracked = self.tracked.get_mut(&holder);
            if let Some(run) = tracked.and_then(|tracked| tracked.run.as_mut()) {
                run.blocked_others += Nanos(moment.weight.0.saturating_mul(waiting));
            }
        }
        for (gil, wall) in std::mem::take(&mut self.late_waits) {
            let holder = self.roles.holder_of(gil);
            let tracked = holder.and_then(|holder| self.tracked.get_mut(&holder));
            if let Some(run) = tracked.and_then(|tracked| tracked.run.as_mut()) {
                run.blocked_others += wall;
            }
        }
    }

    /// Attributes by how much the process's memory grew or shrank to the stacks that ran since it was read last.
    fn charge_memory(&mut self, moment: Moment) {
        let Some(reading) = self.memory.read(moment.at) else {
            return;
        };
        let mut allocators = std::mem::take(&mut self.allocators);
        self.roles.take_allocators(&mut allocators);
        allocators.retain(|key| self.has_stack(*key));
        if allocators.is_empty() {
            allocators.extend(self.main_thread().filter(|key| self.has_stack(*key)));
        }
        if allocators.is_empty() {
            self.memory.leave(reading.change);
        }
        let grown = self.grown_by(&allocators, reading.change.grown_bytes);
        let mut shrunk = Some(reading.change.shrunk_bytes);
        let mut growth = std::mem::take(&mut self.growth);
        for (key, grown_bytes) in allocators.iter().zip(grown) {
            let change = Change {
                grown_bytes,
                shrunk_bytes: shrunk.take().unwrap_or(0),
            };
            let Some(tracked) = self.tracked.get_mut(key) else {
                continue;
            };
            let whose = Whose {
                key: *key,
                id: tracked.id,
            };
            let interval = tracked.course.end(reading.number, reading.time, change);
            if let Some(interval) = interval {
                growth.take(whose, interval, &mut |share| self.attribute_memory(&share));
            }
        }
        let is_open = |key| self.tracked.get(&key).is_some_and(|t| t.course.is_open());
        let due = growth.take_due(is_open);
        self.growth = growth;
        self.decide(&due);
        self.allocators = allocators;
    }

    /// Attributes what memory did in a gap to the gap.
    fn charge_memory_of_gap(&mut self, at: Nanos) {
        let Some(reading) = self.memory.read(at) else {
            return;
        };
        match self.run_of(self.roles.allocator()) {
            Some(run) => add_change(run, reading.change, reading.change.grown_bytes),
            None => self.memory.leave(reading.change),
        }
    }

    /// By how much memory grew by each of these threads, by the page faults of each.
    fn grown_by(&mut self, allocators: &[ThreadKey], grown_bytes: u64) -> Vec<u64> {
        let are_counted = (2..=FAULT_THREADS).contains(&self.tracked.len()) && grown_bytes > 0;
        let mut faults = |key: &ThreadKey| match self.tracked.get_mut(key) {
            Some(tracked) if are_counted => tracked.faults.more(self.pid, tracked.identity.tid),
            _ => Some(0),
        };
        let faults: Vec<Option<u64>> = allocators.iter().map(&mut faults).collect();
        shares(grown_bytes, self.memory.page_bytes(), &faults)
    }

    /// Shares these intervals between the stacks at their ends.
    fn decide(&mut self, undecided: &[Undecided]) {
        let mut growth = std::mem::take(&mut self.growth);
        for undecided in undecided {
            growth.decide(undecided, &mut |share| self.attribute_memory(&share));
        }
        self.growth = growth;
    }

    /// Adds a share to the last run of its stack, or else to what the thread does now.
    fn attribute_memory(&mut self, share: &Share) {
        let Whose { key, id } = share.whose;
        let leaving = self.leaving.iter_mut().map(|(_, tracked)| tracked);
        let mut all = self.tracked.get_mut(&key).into_iter().chain(leaving);
        let tracked = all.find(|tracked| tracked.id == id);
        if let Some(run) = tracked.and_then(|tracked| tracked.last_with(share.stack)) {
            add_change(run, share.change, share.unsure_bytes);
        } else if let Some(run) = self.run_of(Some(key)) {
            add_change(run, share.change, share.change.grown_bytes);
        }
    }

    /// Books what threads without Python frames did to those for whom they did it.
    fn charge_helpers(&mut self, moment: Moment) {
        if !self.leaving.is_empty() {
            // What is unattributed may be theirs.
            return;
        }
        let served: Vec<Option<ThreadKey>> = match self.roles.served(moment.at) {
            Served::Threads(threads) => threads.into_iter().map(Some).collect(),
            Served::MainThread => vec![None],
            Served::Unclear => return,
        };
        let share = Nanos(self.helpers.take_unattributed().0 / served.len() as u64);
        for key in served.into_iter().filter(|_| share > Nanos(0)) {
            if let Some(run) = self.run_of(key) {
                run.helpers_cpu += share;
            }
        }
    }

    /// The run of a thread; without one, or when it has none, of the main thread.
    fn run_of(&mut self, key: Option<ThreadKey>) -> Option<&mut Sample> {
        let key = key.filter(|key| self.has_stack(*key));
        let key = key.or_else(|| self.main_thread())?;
        self.tracked.get_mut(&key)?.run(self.clock.at)
    }

    fn has_stack(&self, key: ThreadKey) -> bool {
        let tracked = self.tracked.get(&key);
        tracked.is_some_and(|tracked| tracked.doing.is_some())
    }

    fn main_thread(&self) -> Option<ThreadKey> {
        let mut all = self.tracked.iter();
        let main = all.find(|(_, tracked)| tracked.is_main);
        main.map(|(key, _)| *key)
    }

    /// Reads counts of CPU time that are due: those of threads that may be running, and at a review, if these
    /// do not attribute_used what the process used, of all.
    fn count_cpu(&mut self, at: Nanos, emit: &mut dyn FnMut(Event)) {
        let due = self.helpers.begin(at);
        if due == Due::Nothing {
            return;
        }
        let are_few = self.tracked.len() <= FEW_THREADS;
        if are_few {
            for tracked in self.tracked.values_mut() {
                self.helpers.attribute_used(tracked.count_cpu(at));
            }
        }
        for key in self.awake.iter().filter(|_| !are_few) {
            let tracked = self.tracked.get_mut(key);
            if let Some(tracked) = tracked.filter(|tracked| tracked.is_asked()) {
                self.helpers.attribute_used(tracked.count_cpu(at));
            }
        }
        self.let_go(at, emit);
        if due == Due::All {
            self.review(at, are_few, emit);
        } else if are_few {
            self.helpers.end_review();
        }
    }

    /// Finds the threads that run though they were not read, and what others wait for now. Who neither runs nor
    /// was read rests from now on.
    fn review(&mut self, at: Nanos, are_few: bool, emit: &mut dyn FnMut(Event)) {
        let are_all_asked = are_few || self.helpers.is_unattributed();
        let count = self.tracked.len();
        self.awake.clear();
        self.roles.wake_all();
        for (number, (key, tracked)) in self.tracked.iter_mut().enumerate() {
            tracked.wake(self.clock);
            let was_asked = tracked.is_asked();
            if are_all_asked && !are_few && !was_asked {
                self.helpers.attribute_used(tracked.count_cpu(at));
            }
            tracked.is_busy = std::mem::take(&mut tracked.used) > Nanos(0);
            tracked.was_read = false;
            let is_in_turn = (number + count - self.next_idle % count) % count < IDLE_LOOKS;
            if !tracked.is_busy && (was_asked || is_in_turn) {
                tracked.is_busy = tracked.ask(at, &self.watched) == Seen::Running;
            }
            if tracked.rest(self.clock, emit) {
                let state = tracked.doing.map_or(State::Unknown, |(_, state)| state);
                self.roles.rest(*key, tracked.gil_locks, state);
            } else {
                self.awake.push(*key);
            }
        }
        self.next_idle = (self.next_idle + IDLE_LOOKS) % count.max(1);
        self.helpers.end_review();
        self.tell_refusal(emit);
    }

    /// Tells once that the kernel does not let system calls be seen, if so.
    fn tell_refusal(&mut self, emit: &mut dyn FnMut(Event)) {
        if self.is_refusal_told {
            return;
        }
        let mut watches = self.tracked.values_mut().filter_map(|t| t.watch.as_mut());
        if let Some(why) = watches.find_map(Watch::take_refused) {
            self.is_refusal_told = true;
            emit(Event::Missing(Missing {
                process: self.process,
                what: "task/TID/syscall".to_owned(),
                why,
            }));
        }
    }

    /// Emits what is left of the threads that have ended, once it is known what they used.
    fn let_go(&mut self, at: Nanos, emit: &mut dyn FnMut(Event)) {
        let mut gone = Vec::new();
        for (since, mut tracked) in std::mem::take(&mut self.leaving) {
            match tracked.account.count(at) {
                Some(used) => {
                    self.helpers.attribute_used(used);
                    if at < since + LEAVING {
                        self.leaving.push((since, tracked));
                    } else {
                        tracked.emit_rest(Nanos(0), emit);
                    }
                }
                None => gone.push(tracked),
            }
        }
        self.emit_gone(gone, at, emit);
    }

    /// The same for one that is there again with another thread state.
    fn let_go_of(&mut self, tid: Tid, at: Nanos, emit: &mut dyn FnMut(Event)) {
        let is_it = |(_, tracked): &mut (Nanos, Tracked)| tracked.identity.tid == Some(tid);
        for (_, mut tracked) in self.leaving.extract_if(.., is_it) {
            let used = tracked.account.count(at).unwrap_or_default();
            self.helpers.attribute_used(used);
            tracked.emit_rest(Nanos(0), emit);
        }
    }

    /// Emits what is left of threads that can be counted no more.
    fn emit_gone(&mut self, gone: Vec<Tracked>, at: Nanos, emit: &mut dyn FnMut(Event)) {
        let uncounted: Vec<Uncounted> = gone.iter().map(|t| t.uncounted(at)).collect();
        let shares = self.helpers.share_out(&uncounted);
        for (mut tracked, share) in gone.into_iter().zip(shares) {
            tracked.emit_rest(share, emit);
        }
    }

    /// Books the time from the last tick to the end of the recording, or of the process, to the last stacks seen.
    pub fn finish(&mut self, moment: Moment, emit: &mut dyn FnMut(Event)) {
        // First of all: somebody may wait for the process at any moment, and then its count is gone.
        let is_counted = self.helpers.count();
        let is_over = self.is_over();
        let undecided = self.growth.take_all();
        self.decide(&undecided);
        let leaving = self.leaving.drain(..).map(|(_, tracked)| tracked);
        let tracked = self.tracked.drain().map(|(_, tracked)| tracked);
        let mut all: Vec<Tracked> = leaving.collect();
        let ended = all.len();
        all.extend(tracked);
        for tracked in &mut all[ended..] {
            tracked.finish(self.clock, moment);
        }
        all.sort_by_key(|tracked| tracked.id);
        let (mut gone, mut there) = (Vec::new(), Vec::new());
        for mut tracked in all {
            match tracked.account.count(moment.at) {
                Some(used) => {
                    self.helpers.attribute_used(used);
                    there.push(tracked);
                }
                None => gone.push(tracked),
            }
        }
        for mut tracked in there {
            // The count of one that has ended is final.
            let guess = tracked.uncounted(moment.at).guess;
            tracked.emit_rest(if is_over { Nanos(0) } else { guess }, emit);
        }
        if is_counted {
            self.emit_gone(gone, moment.at, emit);
        } else {
            for mut tracked in gone {
                let guess = tracked.uncounted(moment.at).guess;
                tracked.emit_rest(guess, emit);
            }
        }
        self.usage.emit(moment.at, emit);
    }

    /// Whether the process has ended.
    fn is_over(&self) -> bool {
        let main = TaskWatch::open(self.pid, Tid(self.pid.0));
        let state = main.ok().and_then(|mut main| main.state());
        matches!(state, None | Some(TaskState::Zombie | TaskState::Dead))
    }
}

/// Adds what memory did to a run; so much of the growth may be due to another stack.
fn add_change(run: &mut Sample, change: Change, unsure_bytes: u64) {
    run.grown_bytes = run.grown_bytes.saturating_add(change.grown_bytes);
    run.shrunk_bytes = run.shrunk_bytes.saturating_add(change.shrunk_bytes);
    run.unsure_bytes = run.unsure_bytes.saturating_add(unsure_bytes);
}

impl Clock {
    fn after(self, moment: Moment) -> Clock {
        Clock {
            ticks: self.ticks + 1,
            time: self.time + moment.weight,
            at: moment.at,
        }
    }
}

impl Tracked {
    fn new(id: ThreadId, defined_at: Nanos, unseen_since: Nanos) -> Tracked {
        Tracked {
            id,
            defined_at,
            unseen_since,
            identity: Identity::default(),
            is_main: false,
            account: Account::new(None, defined_at, Nanos(0)),
            watch: None,
            gil_locks: None,
            run: None,
            repeated: 0,
            held: HeldRuns::default(),
            gil_wait: GilWait::default(),
            late_wait: Nanos(0),
            course: Course::default(),
            faults: Faults::default(),
            doing: None,
            attributes: None,
            resting: Some(Clock::default()),
            unattributed: Nanos(0),
            is_without_frames: false,
            was_read: false,
            is_busy: false,
            used: Nanos(0),
            seen_at_tick: 0,
        }
    }

    fn at_tick(&self, key: ThreadKey) -> Option<ThreadAtTick> {
        let (stack, state) = self.doing?;
        let watch = self.watch.as_ref();
        Some(ThreadAtTick {
            key,
            id: self.id,
            tid: self.identity.tid?,
            is_main: self.is_main,
            stack,
            state,
            seen: watch.map(Watch::seen).unwrap_or_default(),
            waits_at: watch.and_then(Watch::wait_registers),
            cpu: Nanos(self.account.counted().cpu_ns),
        })
    }

    /// Ends its rest, if it rests: books what it has been doing up to `now`. Whether it rested.
    fn wake(&mut self, now: Clock) -> bool {
        let Some(since) = self.resting.take() else {
            return false;
        };
        if since.ticks < now.ticks
            && let Some(run) = self.run(now.at)
        {
            run.at = now.at;
            run.ticks += (now.ticks - since.ticks) as u32;
            run.wall += now.time - since.time;
        }
        true
    }

    /// Begins to rest, where nothing is to be asked or booked at the next ticks. Whether it does.
    fn rest(&mut self, now: Clock, emit: &mut dyn FnMut(Event)) -> bool {
        if self.is_asked() || !self.account.is_even() {
            return false;
        }
        let seen = self.watch.as_ref().map(Watch::seen).unwrap_or_default();
        let state = state_of(seen, Some(self.is_without_frames), false);
        let run = self.run.as_ref();
        let longest = if self.repeated < RUNS_UNTIL_TOLD {
            LONGEST_RUN
        } else {
            LONGEST_REST
        };
        if run.is_some_and(|run| run.state != state || run.wall >= longest) {
            self.flush(emit);
        }
        self.doing = self.doing.map(|(stack, _)| (stack, state));
        self.resting = Some(now);
        // Most of many threads rest: their files are not kept open.
        self.account.close();
        self.faults.close();
        if let Some(watch) = &mut self.watch {
            watch.close();
        }
        true
    }

    /// Attributes time that was not sampled; returns how much CPU time was counted in it. When a new thread began is
    /// not known, but for the main thread.
    fn skip(&mut self, moment: Moment, mark: StackId, emit: &mut dyn FnMut(Event)) -> Nanos {
        let counted = self.account.count(moment.at);
        let used = counted.unwrap_or_default();
        self.used += used;
        match self.doing {
            Some((stack, state)) if state.is_wait() && counted == Some(Nanos(0)) => {
                self.extend(stack, moment, false, state, emit);
            }
            None if !self.is_main => {}
            _ => {
                self.end_course();
                self.flush(emit);
                self.run = Some(Sample {
                    at: moment.at,
                    thread: self.id,
                    stack: Some(mark),
                    ticks: 1,
                    wall: moment.weight,
                    cpu: self.account.book_counted(moment.weight),
                    ..Sample::default()
                });
            }
        }
        used
    }

    /// It has ended for the interpreter, and goes on without frames; memory has been read `readings` times.
    fn lose_frames(&mut self, readings: u64) {
        self.course.see(None, readings);
        self.was_read = true;
        self.is_without_frames = true;
        self.doing = Some((None, State::Unknown));
        self.attributes = None;
    }

    /// Books a tick at which it was not read; returns what it was doing.
    fn go_on(&mut self, moment: Moment, watched: &Watched, emit: &mut dyn FnMut(Event)) -> State {
        let seen = self.look(moment.at, watched);
        let state = state_of(seen, Some(self.is_without_frames), false);
        let state = self.decide(state, moment, false, emit);
        if let Some((stack, _)) = self.doing {
            self.extend(stack, moment, false, state, emit);
        }
        state
    }

    /// Attributes what it did to memory since its stack was known last: where it goes on is not known.
    fn end_course(&mut self) {
        let change = std::mem::take(&mut self.course).open_change();
        if let Some(run) = self.run.as_mut() {
            add_change(run, change, change.grown_bytes);
        }
    }

    /// Takes in where it was; memory has been read `readings` times. A carried stack does not tell.
    fn follow(&mut self, observation: &Observation, readings: u64) {
        match observation.stack {
            Ok(stack) if !observation.is_carried => self.course.see(stack, readings),
            _ => self.course.miss(),
        }
    }

    /// Books a tick; returns what the thread was doing.
    fn take(
        &mut self,
        observation: &Observation,
        moment: Moment,
        watched: &Watched,
        emit: &mut dyn FnMut(Event),
    ) -> State {
        self.was_read |= observation.was_read;
        self.is_without_frames = false;
        self.gil_locks = observation.gil_locks;
        let seen = self.look(moment.at, watched);
        let state = state_of(seen, observation.holds_gil, observation.is_collecting);
        let state = self.decide(state, moment, observation.was_read, emit);
        match observation.stack {
            Ok(stack) => {
                self.attributes = observation.attributes;
                let holds_gil = observation.holds_gil.unwrap_or(false);
                let weight = moment.weight + std::mem::take(&mut self.unattributed);
                self.extend(stack, Moment { weight, ..moment }, holds_gil, state, emit);
                if let Some(run) = self.run.as_mut().filter(|_| observation.is_carried) {
                    run.ticks -= 1;
                }
            }
            Err(_) => self.unattributed += moment.weight,
        }
        state
    }

    fn extend(
        &mut self,
        stack: Option<StackId>,
        moment: Moment,
        holds_gil: bool,
        state: State,
        emit: &mut dyn FnMut(Event),
    ) {
        let key = SampleKey {
            stack,
            state,
            attributes: self.attributes,
        };
        let goes_on = self
            .run
            .as_ref()
            .is_some_and(|run| run.key() == key && run.wall < LONGEST_RUN);
        if !goes_on {
            self.flush(emit);
        }
        self.doing = Some((stack, state));
        let runs = self.is_running() && state != State::Gil;
        let cpu = self.account.book(moment.weight, runs);
        let Some(run) = self.run(moment.at) else {
            return;
        };
        run.at = moment.at;
        run.ticks += 1;
        run.wall += moment.weight;
        run.cpu += cpu;
        if holds_gil {
            run.gil += moment.weight;
        }
    }

    /// Whether it runs native code or waits for the GIL, where `state` does not tell, and what this tells of the
    /// ticks before. `may_have_had_it`: whether it may have held the GIL since the last one.
    fn decide(
        &mut self,
        state: State,
        moment: Moment,
        may_have_had_it: bool,
        emit: &mut dyn FnMut(Event),
    ) -> State {
        let look = StateAtTick {
            state,
            began: moment.at - moment.weight,
            at: moment.at,
            may_have_had_it,
            counted: self.account.counted(),
        };
        let verdict = self.gil_wait.decide(look, || self.account.peek());
        if let Some(since) = verdict.waits_since {
            self.flush(emit);
            let (wall, cpu) = self.held.native_to_gil(since);
            self.account.take_back(cpu);
            self.late_wait += wall;
        }
        verdict.state
    }

    /// Its waiting for the GIL that was found out only now, if any.
    fn take_late_wait(&mut self) -> Option<(Option<GilLocks>, Nanos)> {
        let wall = std::mem::take(&mut self.late_wait);
        (wall > Nanos(0)).then_some((self.gil_locks, wall))
    }

    /// Books the time from the last tick to the end.
    fn finish(&mut self, clock: Clock, moment: Moment) {
        self.wake(clock);
        let is_waiting = self.doing.is_some_and(|(_, state)| state == State::Gil);
        let runs = self.is_running() && !is_waiting;
        let cpu = self.account.book(moment.weight, runs);
        let wall = moment.weight + std::mem::take(&mut self.unattributed);
        if let Some(run) = self.run(moment.at) {
            run.wall += wall;
            run.cpu += cpu;
            run.at = moment.at;
        }
    }

    /// What it may have used since it was counted last.
    fn uncounted(&self, at: Nanos) -> Uncounted {
        let runs = self.doing.is_some_and(|(_, state)| state != State::Gil);
        self.account.uncounted(at, runs && self.is_running())
    }

    /// Emits what is left of it, having used this much since it was counted last.
    fn emit_rest(&mut self, uncounted: Nanos, emit: &mut dyn FnMut(Event)) {
        self.end_course();
        self.flush(emit);
        let used_ns = i64::try_from(uncounted.0).unwrap_or(i64::MAX);
        let by_ns = used_ns.saturating_sub(self.account.ahead_ns());
        self.held.correct_cpu(by_ns);
        self.held.release(self.account.waited(), emit);
    }

    /// The last run with this stack, where it is not emitted yet.
    fn last_with(&mut self, stack: Option<StackId>) -> Option<&mut Sample> {
        let current = self.run.as_mut().filter(|run| run.stack == stack);
        current.or_else(|| self.held.last_with(stack))
    }

    /// The run of what it is doing, which begins at `at` where there is none; `None` before it had a stack.
    fn run(&mut self, at: Nanos) -> Option<&mut Sample> {
        let (stack, state) = self.doing?;
        Some(self.run.get_or_insert(Sample {
            at,
            thread: self.id,
            stack,
            state,
            attributes: self.attributes,
            ..Sample::default()
        }))
    }

    /// Whether the kernel is asked at every tick what the thread does.
    fn is_asked(&self) -> bool {
        self.was_read || self.is_busy
    }

    fn count_cpu(&mut self, at: Nanos) -> Nanos {
        let used = self.account.count(at).unwrap_or_default();
        self.used += used;
        used
    }

    /// What the thread does: as it was when it was asked last, unless it may have run since then.
    fn look(&mut self, at: Nanos, watched: &Watched) -> Seen {
        if self.is_asked() {
            return self.ask(at, watched);
        }
        self.watch.as_ref().map(Watch::seen).unwrap_or_default()
    }

    fn ask(&mut self, at: Nanos, watched: &Watched) -> Seen {
        let gil = self.gil_locks;
        let watch = self.watch.as_mut();
        watch
            .map(|watch| watch.look(at, gil, watched))
            .unwrap_or_default()
    }

    /// Whether it was on a CPU, or waited for one, when it was asked last.
    fn is_running(&self) -> bool {
        self.watch
            .as_ref()
            .is_some_and(|watch| watch.seen() == Seen::Running)
    }

    fn flush(&mut self, emit: &mut dyn FnMut(Event)) {
        if let Some(run) = self.run.take() {
            let ticks = run.ticks.max(1);
            let run = Sample { ticks, ..run };
            let same = self
                .held
                .last_with(run.stack)
                .is_some_and(|last| last.state == run.state);
            self.repeated = if same {
                (self.repeated + 1).min(RUNS_UNTIL_TOLD)
            } else {
                1
            };
            let (ahead, waited) = (self.account.ahead(), self.account.waited());
            self.held.push(run, ahead, waited, emit);
        }
    }
}

/// What a thread does that was seen so. Where there is no GIL, or nobody can tell who has it, what
/// runs is taken to run Python.
fn state_of(seen: Seen, holds_gil: Option<bool>, is_collecting: bool) -> State {
    match seen {
        Seen::Unknown => State::Unknown,
        Seen::Waiting(state) => state,
        Seen::Running if holds_gil == Some(false) => State::Native,
        Seen::Running if is_collecting => State::Collecting,
        Seen::Running => State::Python,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const TICK: Nanos = Nanos(10_000_000);

    const LOOK: Moment = Moment {
        at: Nanos(0),
        weight: Nanos(0),
    };

    /// The main thread, and one beside it.
    const KEYS: [ThreadKey; 2] = [(1, 1), (2, 2)];

    fn observation(key: ThreadKey, stack: u32) -> Observation {
        Observation {
            key,
            stack: Ok(Some(StackId(stack))),
            cut: None,
            is_carried: false,
            was_read: true,
            holds_gil: Some(key == KEYS[0]),
            gil_locks: None,
            is_collecting: false,
            interpreter: 0,
            attributes: None,
        }
    }

    fn threads() -> Threads {
        let process = Process::open(Pid(std::process::id() as i32)).unwrap();
        let mut threads = Threads::new(ProcessId(0), &process, ThreadIds::default());
        let identities = KEYS.map(|key| (key, Identity::default()));
        let nothing = Observed::default();
        let identities = HashMap::from(identities);
        threads.identify(identities, &nothing, &process, LOOK, &mut |_| {});
        threads
    }

    /// All threads that there are at one tick.
    fn seen(keys: &[ThreadKey]) -> Observed {
        let threads = keys.iter().map(|key| observation(*key, 1)).collect();
        Observed {
            threads,
            ..Observed::default()
        }
    }

    /// Ticks at which the threads are those of `ticks`, each with its kernel's id; tells for each thread that
    /// was defined its id and for how long it was seen.
    fn lives(ticks: &[&[(ThreadKey, i32)]]) -> Vec<(Option<i32>, u32)> {
        let process = Process::open(Pid(std::process::id() as i32)).unwrap();
        let mut threads = Threads::new(ProcessId(0), &process, ThreadIds::default());
        let mut told = Vec::new();
        for (number, present) in ticks.iter().enumerate() {
            let keys: Vec<ThreadKey> = present.iter().map(|(key, _)| *key).collect();
            let identities = present.iter().map(|(key, tid)| {
                let tid = Some(Tid(*tid));
                (
                    *key,
                    Identity {
                        tid,
                        ..Identity::default()
                    },
                )
            });
            let at = Nanos((number as u64 + 1) * TICK.0);
            let (look, observed) = (Moment { at, ..LOOK }, seen(&keys));
            let mut emit = |event| told.push(event);
            threads.identify(identities.collect(), &observed, &process, look, &mut emit);
            threads.record(&observed, Moment { at, weight: TICK }, &mut emit);
        }
        let at = Nanos(ticks.len() as u64 * TICK.0);
        threads.finish(Moment { at, ..LOOK }, &mut |event| told.push(event));
        let mut lives: Vec<(Option<i32>, u32)> = Vec::new();
        for event in told {
            match event {
                Event::Thread(id, thread) => {
                    lives.resize(lives.len().max(id.0 as usize + 1), (None, 0));
                    lives[id.0 as usize].0 = thread.tid;
                }
                Event::Sample(sample) => lives[sample.thread.0 as usize].1 += sample.ticks,
                _ => {}
            }
        }
        lives
    }

    #[test]
    fn one_kernel_thread_is_one_thread() {
        let main = std::process::id() as i32;
        let (old, new): (ThreadKey, ThreadKey) = ((1, 1), (2, 2));
        // The interpreter was finalised, and another one began: at once, and after a while without any.
        let one_life = vec![(Some(main), 4)];
        let before: &[(ThreadKey, i32)] = &[(old, main)];
        let after: &[(ThreadKey, i32)] = &[(new, main)];
        assert_eq!(lives(&[before, before, after, after]), one_life);
        assert_eq!(lives(&[before, &[], &[], after]), one_life);
        // A new thread whose id is still that of the one that started it.
        let both: &[(ThreadKey, i32)] = &[(old, main), (new, main)];
        assert_eq!(lives(&[before, both]), [(Some(main), 2), (None, 1)]);
        // Two states that come together: the oldest is the last.
        let together: &[(ThreadKey, i32)] = &[(new, main), (old, main)];
        assert_eq!(lives(&[together]), [(Some(main), 1), (None, 1)]);
    }

    #[test]
    fn threads_have_all_gone_when_none_that_had_frames_is_seen() {
        let mut threads = threads();
        let process = Process::open(Pid(std::process::id() as i32)).unwrap();
        let moment = Moment {
            at: TICK,
            weight: TICK,
        };
        threads.record(&seen(&KEYS), moment, &mut |_| {});
        let other: &[ThreadKey] = &[(3, 3)];
        let rests = Observed {
            same: 1,
            ..Observed::default()
        };
        for (observed, expected) in [
            (seen(&KEYS), false),
            (seen(&KEYS[1..]), false),
            (rests, false),
            (seen(&[]), true),
            (seen(other), true),
        ] {
            assert_eq!(threads.have_all_gone(&observed), expected, "{observed:?}");
        }
        // The main thread goes on without frames: another interpreter's thread is not its.
        let identity = Identity {
            tid: Some(Tid(process.pid().0)),
            ..Identity::default()
        };
        let identities = HashMap::from([(KEYS[0], identity)]);
        threads.identify(identities, &seen(&KEYS), &process, LOOK, &mut |_| {});
        threads.record(&seen(&[]), moment, &mut |_| {});
        assert!(!threads.have_all_gone(&seen(&[])));
        assert!(threads.have_all_gone(&seen(other)));
    }

    /// Ticks at which the first thread was read, and `second` says what is known of the other one; returns the
    /// samples of both.
    fn samples(ticks: u64, second: impl Fn(u64) -> Option<Observation>) -> [Vec<Sample>; 2] {
        let told = Mutex::new(Vec::new());
        let mut emit = |event| told.lock().unwrap().push(event);
        let mut threads = threads();
        let ids = KEYS.map(|key| threads.tracked[&key].id);
        for tick in 1..=ticks {
            let second = second(tick);
            let observed = Observed {
                same: usize::from(second.is_none()),
                threads: [observation(KEYS[0], 1)]
                    .into_iter()
                    .chain(second)
                    .collect(),
                ..Observed::default()
            };
            let at = Nanos(tick * TICK.0);
            threads.record(&observed, Moment { at, weight: TICK }, &mut emit);
        }
        let at = Nanos(ticks * TICK.0);
        let weight = Nanos(0);
        threads.finish(Moment { at, weight }, &mut emit);
        let told = told.into_inner().unwrap();
        let of = |id| {
            let samples = told.iter().filter_map(|event| match event {
                Event::Sample(sample) if sample.thread == id => Some(*sample),
                _ => None,
            });
            samples.collect()
        };
        ids.map(of)
    }

    fn sums(samples: &[Sample]) -> (u32, Nanos) {
        let wall = samples.iter().map(|sample| sample.wall.0).sum();
        (samples.iter().map(|sample| sample.ticks).sum(), Nanos(wall))
    }

    #[test]
    fn a_thread_that_rests_gets_all_its_time() {
        let ticks = 500;
        let seen_at = |tick| [1, 200].contains(&tick);
        let [first, second] = samples(ticks, |tick| {
            seen_at(tick).then(|| observation(KEYS[1], 2 + u32::from(tick > 1)))
        });
        let whole = (500, Nanos(ticks * TICK.0));
        assert_eq!((sums(&first), sums(&second)), (whole, whole));
        let of_stack = |stack| {
            let is_it = |sample: &&Sample| sample.stack == Some(StackId(stack));
            sums(&second.iter().filter(is_it).copied().collect::<Vec<_>>())
        };
        assert_eq!(of_stack(2), (199, Nanos(199 * TICK.0)));
        assert_eq!(of_stack(3), (301, Nanos(301 * TICK.0)));
    }

    #[test]
    fn time_that_was_not_sampled_is_attributed_to_the_mark() {
        let told = Mutex::new(Vec::new());
        let mut emit = |event| told.lock().unwrap().push(event);
        let mut threads = threads();
        let observed = seen(&KEYS);
        let mut at = Nanos(0);
        let gap = Nanos(3_500_000_000);
        for tick in 0..20 {
            if tick == 10 {
                at += gap;
                threads.skip(Moment { at, weight: gap }, StackId(9), &mut emit);
            }
            at += TICK;
            threads.record(&observed, Moment { at, weight: TICK }, &mut emit);
        }
        threads.finish(Moment { at, ..LOOK }, &mut emit);
        let told = told.into_inner().unwrap();
        for id in [ThreadId(0), ThreadId(1)] {
            let of = |stack| {
                let own = told.iter().filter_map(|event| match event {
                    Event::Sample(sample) if sample.thread == id => Some(*sample),
                    _ => None,
                });
                let of_stack = own.filter(|sample| sample.stack == Some(StackId(stack)));
                sums(&of_stack.collect::<Vec<_>>())
            };
            assert_eq!(of(9), (1, gap), "{told:?}");
            assert_eq!(of(1), (20, Nanos(20 * TICK.0)), "{told:?}");
        }
    }

    #[test]
    fn a_thread_that_waited_through_a_gap_keeps_its_stack() {
        for (state, expected) in [(State::Lock, 1), (State::Python, 9)] {
            let mut threads = threads();
            let mut told = Vec::new();
            let mut emit = |event| told.push(event);
            let moment = Moment {
                at: TICK,
                weight: TICK,
            };
            threads.record(&seen(&KEYS), moment, &mut emit);
            for tracked in threads.tracked.values_mut() {
                tracked.doing = Some((Some(StackId(1)), state));
            }
            let gap = Moment {
                at: TICK + Nanos(1_000_000_000),
                weight: Nanos(1_000_000_000),
            };
            threads.skip(gap, StackId(9), &mut emit);
            threads.finish(Moment { at: gap.at, ..LOOK }, &mut emit);
            let longest = told.iter().filter_map(|event| match event {
                Event::Sample(sample) if sample.wall >= gap.weight => Some(sample.stack),
                _ => None,
            });
            let expected = vec![Some(StackId(expected)); KEYS.len()];
            assert_eq!(longest.collect::<Vec<_>>(), expected, "{told:?}");
        }
    }

    #[test]
    fn a_carried_stack_does_not_tell_where_memory_changed() {
        let mut threads = threads();
        let tracked = threads.tracked.get_mut(&KEYS[0]).unwrap();
        for is_carried in [false, true, false] {
            let observation = Observation {
                is_carried,
                ..observation(KEYS[0], 1)
            };
            tracked.follow(&observation, 0);
            assert_eq!(tracked.course.is_open(), is_carried);
        }
    }

    #[test]
    fn the_samples_of_a_thread_that_rests_come_twice_a_second_once_it_is_told_what_it_does() {
        let [_, second] = samples(500, |tick| (tick == 1).then(|| observation(KEYS[1], 2)));
        assert!((10..=12).contains(&second.len()), "{second:?}");
        let early = second.iter().take(2).map(|sample| sample.wall);
        assert!(early.max() <= Some(Nanos(200_000_000)), "{second:?}");
        assert!(
            second
                .iter()
                .all(|sample| sample.wall <= Nanos(650_000_000))
        );
    }

    #[test]
    fn a_thread_that_is_there_no_more_has_ended() {
        let [_, second] = samples(100, |tick| {
            (tick < 3)
                .then(|| observation(KEYS[1], 2))
                .or((tick > 50).then(|| observation((3, 3), 2)))
        });
        assert_eq!(sums(&second), (50, Nanos(50 * TICK.0)));
    }
}
