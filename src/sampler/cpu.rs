//! Turns what the kernel counts of CPU time into which threads may be running without having held the GIL.
//!
//! A thread that was read may have run, and is asked at every tick. The others have not held the GIL, but
//! may run code that does not need it. Asking hundreds of threads at every tick would cost more than
//! reading their stacks, so they are asked only when the process uses more CPU time than its read threads.
//!
//! The kernel brings these counts up to date at its own ticks, 1 to 10 ms apart, unless a thread asks for
//! its own (`thread_group_cputime` in the kernel): that a count stands still does not prove that nothing ran.

use crate::process::{CpuClock, Process, TaskClock};
use crate::profile::event::Nanos;

/// How often the counts are compared.
pub const REVIEW: Nanos = Nanos(100_000_000);

/// CPU time in a review's span that may be in counts that are behind.
const UNSURE: Nanos = Nanos(10_000_000);

/// The CPU time of a process.
#[derive(Debug)]
pub struct ProcessCpu {
    clock: Option<CpuClock>,
    used: Nanos,
    due: Nanos,
}

impl ProcessCpu {
    /// Begins to count now.
    #[must_use]
    pub fn new(process: &Process) -> ProcessCpu {
        let clock = process.cpu_clock();
        ProcessCpu {
            clock,
            used: Nanos(clock.and_then(CpuClock::cpu_ns).unwrap_or(0)),
            due: Nanos(0),
        }
    }

    /// Whether a review is due at `at`; the next one is then due later.
    pub fn is_review_due(&mut self, at: Nanos) -> bool {
        let is_due = at >= self.due;
        if is_due {
            self.due = at + REVIEW;
        }
        is_due
    }

    /// Whether the process used more since the last review than `explained`, what the threads that were
    /// asked used.
    pub fn have_others_run(&mut self, explained: Nanos) -> bool {
        let now = self
            .clock
            .and_then(CpuClock::cpu_ns)
            .map_or(self.used, Nanos);
        let used = now - self.used;
        self.used = now;
        used > explained + UNSURE
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
