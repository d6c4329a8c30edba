//! Something that stands out in a profile, in numbers.

use crate::profile::event::{Nanos, State};
use crate::profile::functions::Function;

/// A line and its part of what a finding is about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HotLine<'p> {
    /// The function it is in.
    pub function: Function<'p>,
    /// The line; `None` where it could not be told.
    pub line: Option<u32>,
    /// How much of it is here, in the unit of the finding.
    pub amount: u64,
    /// The same as a part of the whole, from 0 to 1.
    pub share: f64,
}

/// Something that stands out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Finding<'p> {
    /// Memory came near its limit.
    MemoryNearLimit {
        /// The highest resident memory of a process, in bytes.
        peak: u64,
        /// What the process may use, in bytes.
        limit: u64,
        /// Where it grew most, in bytes.
        line: Option<HotLine<'p>>,
    },
    /// Threads wait for the GIL.
    GilBound {
        /// How many.
        threads: usize,
        /// How long, all together.
        waited: Nanos,
        /// The part of the time in which these threads wanted to run.
        share: f64,
        /// Which line held it while others waited, in nanoseconds of theirs.
        line: Option<HotLine<'p>>,
    },
    /// Main threads wait for something else most of the time, and nobody else works.
    Waits {
        /// What for.
        state: State,
        /// The part of the main threads' time.
        share: f64,
        /// Where, in nanoseconds.
        line: Option<HotLine<'p>>,
    },
    /// Imports take a good part of the time.
    Imports {
        /// How long.
        time: Nanos,
        /// The part of the time of the threads that import.
        share: f64,
        /// For which line, in nanoseconds.
        line: Option<HotLine<'p>>,
    },
    /// Most of the cores are idle.
    FewCores {
        /// How many are busy, on average.
        busy: f64,
        /// How many may be used.
        usable: u32,
        /// Where the CPU time goes, in nanoseconds.
        line: Option<HotLine<'p>>,
    },
    /// More threads are ready to run than there are cores.
    Oversubscribed {
        /// How many, on average when there were too many.
        runnable: f64,
        /// How many cores may be used.
        usable: u32,
        /// The part of the readings with too many.
        share: f64,
        /// For which line others work, in nanoseconds of CPU time.
        line: Option<HotLine<'p>>,
    },
    /// There are too few samples for the digits shown.
    FewSamples {
        /// How many of the same length would be as exact ([`Profile::effective_samples`](crate::profile::Profile::effective_samples)).
        samples: u64,
        /// The largest share of a function, from 0 to 1.
        share: f64,
        /// Half the width of its 95 % interval, if each sample stood for itself.
        error: f64,
    },
}
