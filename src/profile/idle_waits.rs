//! How much a profile leaves out of waits that cost nobody.

use super::event::Nanos;

/// What was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IdleWaits {
    /// How many threads have such waits.
    pub threads: usize,
    /// How many of these did nothing else.
    pub idle_threads: usize,
    /// How many of them are the main thread of their process.
    pub main_threads: usize,
    /// The wall time of the waits, a sum over the threads.
    pub time: Nanos,
}
