//! Turns CPU clocks into the CPU time that each thread used since it was last asked for.

use crate::process::{CpuClock, Process, TaskClock};
use crate::profile::event::Nanos;

/// CPU time is asked for no more often than this: at higher rates one sample gets that of several.
const MIN_INTERVAL: Nanos = Nanos(100_000);

/// CPU time of the process that its observed threads did not use: beyond, all threads are asked.
const UNEXPLAINED: Nanos = Nanos(20_000);

/// The CPU time of a process.
#[derive(Debug)]
pub struct ProcessCpu {
    clock: Option<CpuClock>,
    used: Option<Nanos>,
    asked: Nanos,
    /// What was used since, and not by any thread that was asked.
    unexplained: Nanos,
}

/// What the clock of the process says at a tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ran {
    /// It was not asked, or does not tell.
    Unknown,
    /// No thread of the process has run since the last tick.
    Nothing,
    /// So much CPU time was used since it was last asked.
    Used(Nanos),
}

impl ProcessCpu {
    /// Begins to count now.
    #[must_use]
    pub fn new(process: &Process) -> ProcessCpu {
        ProcessCpu {
            clock: process.cpu_clock(),
            used: None,
            asked: Nanos(0),
            unexplained: Nanos(0),
        }
    }

    /// Asks the clock, at `at`.
    pub fn ask(&mut self, at: Nanos) -> Ran {
        if self.used.is_some() && at < self.asked + MIN_INTERVAL {
            return Ran::Unknown;
        }
        self.asked = at;
        let now = self.clock.and_then(CpuClock::cpu_ns).map(Nanos);
        let before = std::mem::replace(&mut self.used, now);
        match (before, now) {
            (Some(before), Some(now)) if before == now => Ran::Nothing,
            (Some(before), Some(now)) => Ran::Used(now - before),
            _ => Ran::Unknown,
        }
    }

    /// Takes in that of `used` the threads that were asked used `explained`; whether so much is left
    /// that others must have run.
    pub fn have_others_run(&mut self, used: Nanos, explained: Nanos) -> bool {
        self.unexplained += used - explained;
        let have_run = self.unexplained > UNEXPLAINED;
        if have_run {
            self.unexplained = Nanos(0);
        }
        have_run
    }
}

/// The CPU time of one thread.
#[derive(Debug)]
pub struct ThreadCpu {
    clock: TaskClock,
    used: Nanos,
}

impl ThreadCpu {
    /// Begins to count now.
    #[must_use]
    pub fn new(mut clock: TaskClock) -> Option<ThreadCpu> {
        let used = Nanos(clock.cpu_ns()?);
        Some(ThreadCpu { clock, used })
    }

    /// The CPU time used since the last time.
    pub fn ask(&mut self) -> Nanos {
        let before = self.used;
        let now = self.clock.cpu_ns().map_or(before, Nanos);
        self.used = now.max(before);
        self.used - before
    }
}
