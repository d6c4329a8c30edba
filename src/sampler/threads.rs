//! Turns observations of threads into runs of equal stacks, with their times.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

use rustc_hash::FxHashMap;

use super::cpu::{ProcessCpu, ThreadCpu};
use super::observe::{Identity, Observation};
use crate::process::{Pid, Process, TaskState, TaskWatch};
use crate::profile::event::{Event, Nanos, ProcessId, Sample, StackId, Thread, ThreadId};

/// How soon the identity of a thread without a name is looked up again: `threading` registers a
/// thread a moment after it started.
const SOON: Nanos = Nanos(20_000_000);

/// How often names are looked up again anyway: a program may rename its threads.
const REFRESH: Nanos = Nanos(1_000_000_000);

/// What the kernel said of a thread holds for so long: at rates above 10 kHz it is not asked at every tick.
const STATE_HOLDS: Nanos = Nanos(100_000);

/// A run is emitted after this time even if it goes on, so that little is lost if rsamp is killed.
const LONGEST_RUN: Nanos = Nanos(1_000_000_000);

/// A thread that has been observed.
#[derive(Debug)]
struct Tracked {
    id: ThreadId,
    identity: Identity,
    is_main: bool,
    cpu: Option<ThreadCpu>,
    run: Option<Sample>,
    /// Time for which there is no stack: the next one stands for it too.
    owed: Nanos,
    /// Whether it was read since the last review of CPU times.
    was_read: bool,
    /// Whether it was found running at the last review.
    is_busy: bool,
    watch: Option<TaskWatch>,
    state_asked: Option<Nanos>,
    runs: bool,
    was_seen: bool,
}

/// Numbers for threads, one after another over all processes. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct ThreadIds(Rc<Cell<u32>>);

impl ThreadIds {
    fn next(&self) -> ThreadId {
        let id = self.0.get();
        self.0.set(id + 1);
        ThreadId(id)
    }
}

/// All threads of one interpreter process.
#[derive(Debug)]
pub struct Threads {
    process: ProcessId,
    pid: Pid,
    ids: ThreadIds,
    tracked: FxHashMap<(u64, u64), Tracked>,
    look_up_at: Nanos,
    cpu: ProcessCpu,
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
            tracked: FxHashMap::default(),
            look_up_at: Nanos(0),
            cpu: ProcessCpu::new(target),
        }
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

    /// Takes in identities: defines new threads, and again those of which more is known now.
    pub fn identify(
        &mut self,
        identities: HashMap<(u64, u64), Identity>,
        process: &Process,
        at: Nanos,
        emit: &mut dyn FnMut(Event),
    ) {
        let mut all_known = true;
        for (key, mut identity) in identities {
            if let Some(tracked) = self.tracked.get(&key) {
                identity.tid = identity.tid.or(tracked.identity.tid);
                identity.name = identity.name.or_else(|| tracked.identity.name.clone());
            }
            all_known &= identity.name.is_some() && identity.tid.is_some();
            let is_known = self
                .tracked
                .get(&key)
                .is_some_and(|t| t.identity == identity);
            if !is_known {
                self.define(key, identity, process, emit);
            }
        }
        self.look_up_at = at + if all_known { REFRESH } else { SOON };
    }

    fn define(
        &mut self,
        key: (u64, u64),
        identity: Identity,
        process: &Process,
        emit: &mut dyn FnMut(Event),
    ) {
        let ids = &self.ids;
        let tracked = self.tracked.entry(key).or_insert_with(|| Tracked {
            id: ids.next(),
            identity: Identity::default(),
            is_main: false,
            cpu: None,
            run: None,
            owed: Nanos(0),
            was_read: false,
            is_busy: false,
            watch: None,
            state_asked: None,
            runs: false,
            was_seen: false,
        });
        tracked.is_main = identity.tid.is_some_and(|tid| tid.0 == self.pid.0);
        if tracked.cpu.is_none() {
            let clock = identity.tid.and_then(|tid| process.task_clock(tid));
            tracked.cpu = clock.and_then(ThreadCpu::new);
            tracked.watch = identity.tid.and_then(|tid| process.watch_task(tid));
        }
        emit(Event::Thread(
            tracked.id,
            Thread {
                process: self.process,
                tid: identity.tid.map(|tid| tid.0),
                name: identity.name.clone(),
                is_main: tracked.is_main,
            },
        ));
        tracked.identity = identity;
    }

    /// Books the moment's time to the observed stacks. A thread that is not observed any more has
    /// ended; the main thread goes on without frames until the process ends.
    pub fn record(
        &mut self,
        observations: &[Observation],
        moment: Moment,
        emit: &mut dyn FnMut(Event),
    ) {
        for tracked in self.tracked.values_mut() {
            tracked.was_seen = false;
        }
        for observation in observations {
            if let Some(tracked) = self.tracked.get_mut(&observation.key) {
                tracked.was_seen = true;
                tracked.was_read |= observation.was_read;
                tracked.take(observation, moment, emit);
            }
        }
        if self.cpu.is_review_due(moment.at) {
            self.review_cpu();
        }
        self.tracked.retain(|_, tracked| {
            if !tracked.was_seen && tracked.is_main {
                tracked.was_read = true;
                tracked.extend(None, moment, false, emit);
            } else if !tracked.was_seen {
                tracked.flush(emit);
            }
            tracked.was_seen || tracked.is_main
        });
    }

    /// Finds the threads that run though they were not read: when the process used more CPU time than
    /// those that are asked at every tick.
    fn review_cpu(&mut self) {
        let mut explained = Nanos(0);
        for tracked in self.tracked.values_mut().filter(|t| t.is_asked()) {
            let used = tracked.ask_cpu();
            tracked.is_busy = used > Nanos(0);
            explained += used;
        }
        let have_others_run = self.cpu.have_others_run(explained);
        for tracked in self.tracked.values_mut() {
            if have_others_run && !tracked.is_asked() {
                tracked.is_busy = tracked.ask_cpu() > Nanos(0);
            }
            tracked.was_read = false;
        }
    }

    /// Books the time from the last tick to the end of the recording to the last stacks seen.
    pub fn finish(&mut self, moment: Moment, emit: &mut dyn FnMut(Event)) {
        let mut tracked: Vec<&mut Tracked> = self.tracked.values_mut().collect();
        tracked.sort_by_key(|tracked| tracked.id);
        for tracked in tracked {
            if let Some(run) = &mut tracked.run {
                run.wall += moment.weight;
                run.at = moment.at;
            }
            tracked.flush(emit);
        }
    }
}

impl Tracked {
    fn take(&mut self, observation: &Observation, moment: Moment, emit: &mut dyn FnMut(Event)) {
        match observation.stack {
            Ok(stack) => {
                let holds_gil = observation.holds_gil.unwrap_or(false);
                let weight = moment.weight + std::mem::take(&mut self.owed);
                self.extend(stack, Moment { weight, ..moment }, holds_gil, emit);
            }
            Err(_) => self.owed += moment.weight,
        }
    }

    fn extend(
        &mut self,
        stack: Option<StackId>,
        moment: Moment,
        holds_gil: bool,
        emit: &mut dyn FnMut(Event),
    ) {
        let is_running = self.is_running(moment.at);
        let goes_on = self
            .run
            .as_ref()
            .is_some_and(|run| run.stack == stack && run.wall < LONGEST_RUN);
        if !goes_on {
            self.flush(emit);
        }
        let run = self.run.get_or_insert(Sample {
            at: moment.at,
            thread: self.id,
            stack,
            ..Sample::default()
        });
        run.at = moment.at;
        run.ticks += 1;
        run.wall += moment.weight;
        if is_running {
            run.cpu += moment.weight;
        }
        if holds_gil {
            run.gil += moment.weight;
        }
    }

    /// Whether the kernel is asked at every tick if the thread runs.
    fn is_asked(&self) -> bool {
        self.was_read || self.is_busy
    }

    fn ask_cpu(&mut self) -> Nanos {
        self.cpu.as_mut().map_or(Nanos(0), ThreadCpu::ask)
    }

    /// Whether the thread is on a CPU or waits for one.
    fn is_running(&mut self, at: Nanos) -> bool {
        if !self.is_asked() {
            return false;
        }
        if self
            .state_asked
            .is_none_or(|asked| at >= asked + STATE_HOLDS)
        {
            let state = self.watch.as_mut().and_then(TaskWatch::state);
            self.runs = state == Some(TaskState::Running);
            self.state_asked = Some(at);
        }
        self.runs
    }

    fn flush(&mut self, emit: &mut dyn FnMut(Event)) {
        if let Some(run) = self.run.take() {
            emit(Event::Sample(run));
        }
    }
}
