//! The events of a recording: what the sampler emits and a profile folds.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

/// A time span, or a time since the start of the recording, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Nanos(pub u64);

impl Nanos {
    /// The same span in seconds.
    #[must_use]
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

impl Add for Nanos {
    type Output = Nanos;
    fn add(self, other: Nanos) -> Nanos {
        Nanos(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Nanos {
    fn add_assign(&mut self, other: Nanos) {
        *self = *self + other;
    }
}

impl Sub for Nanos {
    type Output = Nanos;
    fn sub(self, other: Nanos) -> Nanos {
        Nanos(self.0.saturating_sub(other.0))
    }
}

/// A process of the recording, numbered from 0 in order of appearance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessId(pub u32);

/// A thread of the recording, numbered from 0 in order of appearance over all processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ThreadId(pub u32);

/// A frame (function and line) of the recording, numbered from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FrameId(pub u32);

/// A stack: a node of the tree of stacks, numbered from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StackId(pub u32);

/// One line of one function, as it appears in a stack.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Frame {
    /// The function's name: qualified (`Class.method`) where the version knows it (3.11 on).
    pub name: String,
    /// `co_filename`; `None` for a mark that is no Python function (frames left out, native).
    pub file: Option<String>,
    /// The first line of the function; `None` when the version or the memory does not tell.
    pub first_line: Option<u32>,
    /// The line being executed.
    pub line: Option<u32>,
}

/// A process that samples belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// The process id in the profiler's PID namespace.
    pub pid: i32,
    /// The command line, word by word.
    pub command: Vec<String>,
    /// The interpreter's version as `3.11.7`, with `t` behind it for a free-threaded build.
    pub python: String,
}

/// A thread that samples belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// The process it lives in.
    pub process: ProcessId,
    /// The kernel's thread id in the profiler's PID namespace; `None` when it could not be told.
    pub tid: Option<i32>,
    /// The name the program gave it (`threading.Thread(name=…)`); `MainThread` for the main one.
    pub name: Option<String>,
    /// Whether it is the main thread of the process.
    pub is_main: bool,
}

/// A run of consecutive ticks at which one thread had the same stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// The end of the run, since the start of the recording.
    pub at: Nanos,
    /// Whose stack it is.
    pub thread: ThreadId,
    /// The stack; `None` when the thread had no Python frame.
    pub stack: Option<StackId>,
    /// How many ticks the run holds, at least 1.
    pub ticks: u32,
    /// The wall time that the run stands for: a sum of measured intervals.
    pub wall: Nanos,
    /// The part of `wall` during which the thread was seen running on, or waiting for, a CPU.
    pub cpu: Nanos,
    /// The part of `wall` during which the thread was seen holding the GIL.
    pub gil: Nanos,
}

/// How often was sampled for some time, and what it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateSpan {
    /// The rate asked for, in ticks per 1000 seconds; 0 while there was nothing to sample.
    pub millihertz: u64,
    /// How long.
    pub time: Nanos,
    /// Ticks taken meanwhile.
    pub ticks: u64,
    /// CPU time that the profiler itself used meanwhile.
    pub own_cpu: Nanos,
}

/// Why a sample or a part of it is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LostCause {
    /// The tick was due while the one before was still being read, or rsamp was not scheduled.
    Late,
    /// The target's memory could not be read.
    Unreadable,
    /// The stack changed while it was read and no consistent copy could be had.
    Torn,
    /// The stack was too deep: it is there, with its middle left out.
    Cut,
}

impl fmt::Display for LostCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LostCause::Late => "late",
            LostCause::Unreadable => "unreadable",
            LostCause::Torn => "torn",
            LostCause::Cut => "cut",
        })
    }
}

/// What the sampler tells, in order.
///
/// An id is defined before it is used, in ascending order without gaps, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A process appeared.
    Process(ProcessId, Process),
    /// A thread appeared, or more is known of it: the last definition counts.
    Thread(ThreadId, Thread),
    /// A frame was seen for the first time.
    Frame(FrameId, Frame),
    /// A stack was seen for the first time: `frame` called from `parent` (`None`: outermost).
    Stack {
        /// Its number.
        id: StackId,
        /// The stack below it, `None` when `frame` is the outermost.
        parent: Option<StackId>,
        /// The innermost frame.
        frame: FrameId,
    },
    /// A thread had a stack for some time.
    Sample(Sample),
    /// So many samples were lost or cut. A `Late` tick is not missing time: the next weight covers it.
    Lost(LostCause, u64),
    /// So many readings were repeated because the stack had changed meanwhile, and for so many the
    /// thread was stopped. Neither is a loss.
    Repeated {
        /// Readings that were repeated.
        retries: u64,
        /// Readings for which the thread was stopped.
        stops: u64,
    },
    /// How often was sampled since the last such event. All spans together are the whole recording.
    Rate(RateSpan),
    /// The end of the recording, with its whole measured duration.
    End(Nanos),
}
