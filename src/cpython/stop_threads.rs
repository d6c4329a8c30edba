//! When a thread of the target may be stopped, and how the reader asks for it.

use super::threads::KnownThread;

/// After so many stops in a row that were refused, the process is read without.
pub(super) const MOST_REFUSALS: u32 = 32;

/// When a thread may be stopped for a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StopPolicy {
    /// Never: what a copy does not tell is marked.
    Never,
    /// At some ticks, while too many of its samples could not be told from a copy.
    #[default]
    WhereNeeded,
    /// At every tick at which it may run.
    Always,
}

/// Stops threads of one process.
pub trait StopThreads {
    /// A number that is the same as long as a thread has not been on a CPU since; `None` while it is on one, or
    /// where that cannot be told.
    fn off_cpu(&mut self, thread: &KnownThread) -> Option<u64>;

    /// Stops a thread for as long as what is returned lives; `None` when that cannot be done.
    fn stop(&mut self, thread: &KnownThread) -> Option<Box<dyn StoppedThread + '_>>;

    /// Called at every tick: time to let go of what was stopped too late.
    fn look_after(&mut self) {}
}

/// A stopped thread. Dropping it lets the thread run.
pub trait StoppedThread {
    /// Lets it execute one instruction; whether it has.
    fn step(&mut self) -> bool;
}
