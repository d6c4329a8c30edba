//! Turns the tasks of a process into its threads without Python frames, and which of them have run: those of OpenMP, BLAS,
//! drivers.

use rustc_hash::FxHashSet;

use super::activity::{Seen, Watch, Watched};
use super::threads::Threads;
use crate::process::{CpuCount, Process, TaskClock, Tid, WaitRegisters};
use crate::profile::event::{Event, Nanos, State, ThreadId};

/// They are looked at after this time, while any of them works.
const LOOK: Nanos = Nanos(50_000_000);

/// The same while none does. 256 of them take 0.3 ms.
const IDLE_LOOK: Nanos = Nanos(500_000_000);

/// But after so many times the time that it took.
const LOOKING: u64 = 200;

/// A thread is taken for one without Python frames when it is found to be one a second time, after this time at the earliest: a
/// new Python thread is one until the interpreter knows of it.
const YOUNG: Nanos = Nanos(40_000_000);

/// Its name is asked for again after this time.
const RENAMED: Nanos = Nanos(1_000_000_000);

/// The most threads of a process that are looked at.
const MAX_THREADS: usize = 4096;

/// A thread without Python frames.
#[derive(Debug)]
pub struct NativeThread {
    /// The kernel's id.
    pub tid: Tid,
    found_at: Nanos,
    clock: Option<TaskClock>,
    count: CpuCount,
    counted_at_look: CpuCount,
    watch: Watch,
    /// Whether it has run between the last two looks.
    pub has_run: bool,
    id: Option<ThreadId>,
    name: Option<String>,
    name_due: Nanos,
}

/// Those of one process.
#[derive(Debug, Default)]
pub struct NativeThreads {
    threads: Vec<NativeThread>,
    look_at: Nanos,
}

impl NativeThreads {
    /// Whether they are to be looked at.
    #[must_use]
    pub fn are_due(&self, at: Nanos) -> bool {
        at >= self.look_at
    }

    /// Looks at them; `took` tells afterwards how long that took.
    pub fn look(&mut self, at: Nanos, process: &Process, threads: &Threads) {
        self.list(at, process, threads);
        let watched = threads.watched();
        for thread in &mut self.threads {
            thread.look(at, watched);
        }
        self.look_at = at
            + match threads.are_native_threads_at_work() {
                true => LOOK,
                false => IDLE_LOOK,
            };
    }

    /// Takes in how long the look at `at` took.
    pub fn count_look(&mut self, at: Nanos, took: Nanos) {
        let pause = Nanos(took.0.saturating_mul(LOOKING));
        self.look_at = self.look_at.max(at + pause);
    }

    /// Takes in which there are. Those that are old enough are returned by [`NativeThreads::each`].
    fn list(&mut self, at: Nanos, process: &Process, threads: &Threads) {
        let python: FxHashSet<Tid> = threads.tids().collect();
        let tasks = process.tasks().unwrap_or_default();
        let tasks: FxHashSet<Tid> = tasks
            .into_iter()
            .filter(|tid| !python.contains(tid))
            .collect();
        self.threads.retain(|thread| tasks.contains(&thread.tid));
        if !threads.are_all_tids_known() {
            return;
        }
        let known: FxHashSet<Tid> = self.threads.iter().map(|thread| thread.tid).collect();
        let mut new: Vec<Tid> = tasks.difference(&known).copied().collect();
        new.sort_unstable();
        new.truncate(MAX_THREADS - self.threads.len().min(MAX_THREADS));
        let new = new.into_iter();
        self.threads
            .extend(new.map(|tid| NativeThread::new(process, tid, at)));
    }

    /// Those that are known to be such at `at`.
    pub fn each(&mut self, at: Nanos) -> impl Iterator<Item = &mut NativeThread> {
        let threads = self.threads.iter_mut();
        threads.filter(move |thread| at >= thread.found_at + YOUNG)
    }

    /// One of them.
    pub fn get(&mut self, tid: Tid) -> Option<&mut NativeThread> {
        self.threads.iter_mut().find(|thread| thread.tid == tid)
    }
}

impl NativeThread {
    fn new(process: &Process, tid: Tid, at: Nanos) -> NativeThread {
        let mut clock = process.task_clock(tid);
        let count = clock.as_mut().and_then(TaskClock::count);
        NativeThread {
            tid,
            found_at: at,
            clock,
            count: count.unwrap_or_default(),
            counted_at_look: count.unwrap_or_default(),
            watch: Watch::new(process, tid),
            has_run: true,
            id: None,
            name: None,
            name_due: Nanos(0),
        }
    }

    fn look(&mut self, at: Nanos, watched: &Watched) {
        self.count();
        let before = std::mem::replace(&mut self.counted_at_look, self.count);
        self.has_run = self.count != before || at < self.found_at + YOUNG;
        if self.has_run {
            self.watch.look(at, None, watched);
        } else {
            self.watch.close();
        }
        if let Some(clock) = &mut self.clock {
            clock.close();
        }
    }

    fn count(&mut self) {
        let counted = self.clock.as_mut().and_then(TaskClock::count);
        self.count = counted.unwrap_or(self.count);
    }

    /// The CPU time that it has used by now.
    pub fn count_cpu(&mut self) -> Nanos {
        self.count();
        self.cpu()
    }

    /// What it did when it was looked at last.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.watch.seen()
    }

    /// Where it waited then.
    #[must_use]
    pub fn waits_at(&self) -> Option<WaitRegisters> {
        self.watch.wait_registers()
    }

    /// Whether one that ran then runs at this moment.
    pub fn is_running_still(&mut self) -> bool {
        self.watch.is_running_still()
    }

    /// The CPU time that was counted of it last.
    #[must_use]
    pub fn cpu(&self) -> Nanos {
        Nanos(self.count.cpu_ns)
    }

    /// What it was doing.
    #[must_use]
    pub fn state(&self) -> State {
        match self.seen() {
            Seen::Unknown => State::Unknown,
            Seen::Running => State::Native,
            Seen::Waiting(state) => state,
        }
    }

    /// Its number in the recording; tells of it when it is asked for first, and when it has another name. `None`: there are
    /// too many threads.
    pub fn id(
        &mut self,
        at: Nanos,
        process: &Process,
        threads: &Threads,
        emit: &mut dyn FnMut(Event),
    ) -> Option<ThreadId> {
        if at >= self.name_due {
            self.name_due = at + RENAMED;
            let name = process.task_name(self.tid);
            if self.id.is_none() || name != self.name {
                self.id = threads.define_native(self.id, self.tid, name.clone(), emit);
                self.name = name;
            }
        }
        self.id
    }
}
