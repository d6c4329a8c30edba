//! Something that stands out in a profile, in numbers.

use crate::profile::event::{Nanos, State, Thread};
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

/// A package or module, and how long it takes to import it with all that it imports.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedModule<'p> {
    /// Its name; `None` where no line of it was seen.
    pub name: Option<String>,
    /// How long, over all threads.
    pub time: Nanos,
    /// The statement that imports it, in nanoseconds.
    pub line: HotLine<'p>,
}

/// What compiles in a running Python program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Compiler {
    /// numba, from Python to machine code.
    Numba,
    /// `torch.compile`, with or without its own back end.
    Torch,
    /// jax, through XLA.
    Jax,
    /// Cython and the build of extension modules.
    Extension,
    /// Regular expressions.
    Regex,
}

/// What wants to run on too few CPUs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Crowd {
    /// So many ranks at once.
    Ranks(u32),
    /// So many processes at once.
    Processes(u32),
    /// Threads that run Python, of so many processes at once.
    Threads(u32),
    /// Threads without Python frames (OpenMP, BLAS), of so many processes at once.
    NativeThreads(u32),
}

/// A call of a library that blocks an event loop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BlockingCall<'p> {
    /// The function that the program calls; `None`: the line itself takes the time, or calls native code.
    pub callee: Option<Function<'p>>,
    /// The line of the program, in nanoseconds; its share is that of the task's time.
    pub line: HotLine<'p>,
}

/// How event loops were blocked.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockedLoops<'p> {
    /// The threads that they run in.
    pub threads: Vec<&'p Thread>,
    /// How often.
    pub times: u64,
    /// How long, all together.
    pub time: Nanos,
    /// How long these loops ran.
    pub whole: Nanos,
    /// The longest block.
    pub longest: Nanos,
    /// The most tasks and other callbacks that were ready to run during one of them; `None`: not known.
    pub ready: Option<u32>,
    /// The root of the task with the largest part, in nanoseconds; `None`: no task, but waiting for the GIL.
    pub task: Option<HotLine<'p>>,
    /// Where most of that task's time goes.
    pub call: Option<BlockingCall<'p>>,
    /// The part of `time` in which the threads waited for the GIL, from 0 to 1.
    pub gil_share: f64,
    /// Which line of another thread held it while others waited, in nanoseconds of theirs.
    pub holder: Option<HotLine<'p>>,
}

/// A rank that others wait for.
#[derive(Debug, Clone, PartialEq)]
pub struct SlowRank {
    /// The rank.
    pub rank: u32,
    /// How many times the mean of all ranks it takes.
    pub slowness: f64,
    /// In which function.
    pub function: String,
}

/// Something that stands out.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding<'p> {
    /// Memory came near its limit.
    MemoryNearLimit {
        /// The highest resident memory of a process, in bytes.
        peak: u64,
        /// What the process may use, in bytes.
        limit: u64,
        /// Which line most likely retains most, in bytes.
        line: Option<HotLine<'p>>,
    },
    /// Memory keeps growing.
    MemoryGrows {
        /// How much there was in the first part of the run, in bytes.
        from: u64,
        /// And in the last part.
        to: u64,
        /// How long the run is.
        time: Nanos,
        /// What the process may use, in bytes.
        limit: Option<u64>,
        /// Which line most likely retains most, in bytes.
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
    /// One task at a time kept event loops from serving the others for long.
    BlockedLoops(Box<BlockedLoops<'p>>),
    /// Main threads wait for something else most of the time, and nobody else works.
    Waits {
        /// The part of the main threads' time.
        share: f64,
        /// What for, and the part of the main threads' time; the longest first.
        states: Vec<(State, f64)>,
        /// How many main threads.
        threads: usize,
        /// Where, in nanoseconds.
        line: Option<HotLine<'p>>,
    },
    /// Imports take a good part of the time.
    Imports {
        /// How long, over all threads that import.
        time: Nanos,
        /// The whole time of these threads.
        whole: Nanos,
        /// How many they are.
        threads: usize,
        /// What is imported, the longest first.
        modules: Vec<ImportedModule<'p>>,
    },
    /// Something is compiled while the program runs.
    Compiling {
        /// By what.
        compiler: Compiler,
        /// How long, over all threads that compile.
        time: Nanos,
        /// The whole time of these threads.
        whole: Nanos,
        /// How many they are.
        threads: usize,
        /// For which line, in nanoseconds.
        line: Option<HotLine<'p>>,
    },
    /// Processes that build or install something take a good part of the time.
    BuildSteps {
        /// How long any of them ran.
        time: Nanos,
        /// How long the recording is.
        whole: Nanos,
        /// The command line of the longest.
        command: String,
    },
    /// Ranks are in MPI for much of the time.
    Mpi {
        /// The part of the time of all threads.
        share: f64,
        /// The rank that they wait for; `None`: none is slower than the others.
        slow: Option<SlowRank>,
        /// Where, in nanoseconds.
        line: Option<HotLine<'p>>,
    },
    /// Native code is compiled while the program runs.
    JitCompiling {
        /// How long, over all threads.
        time: Nanos,
        /// The whole time of all threads.
        whole: Nanos,
        /// Where, in nanoseconds.
        line: Option<HotLine<'p>>,
    },
    /// Threads of OpenMP wait for one another.
    OpenMpWaits {
        /// The part of their time.
        share: f64,
        /// For which line they work, in nanoseconds of CPU time.
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
        /// What they are.
        crowd: Crowd,
        /// How many threads, on average when there were too many.
        runnable: f64,
        /// How many cores may be used.
        usable: u32,
        /// The part of the readings with too many.
        share: f64,
        /// For which line others work, in nanoseconds of CPU time.
        line: Option<HotLine<'p>>,
    },
}

impl Finding<'_> {
    /// By which findings are ordered: roughly the part of the run that it costs, from 0 to 1. What may end the
    /// program comes first, what is only room for more last.
    #[must_use]
    pub fn cost(&self) -> f64 {
        /// Of growth towards a limit that is not known.
        const GROWTH: f64 = 0.1;
        match self {
            Finding::MemoryNearLimit { .. } => 1.0,
            Finding::MemoryGrows {
                from, to, limit, ..
            } => {
                let limit = limit.filter(|limit| *limit > 0);
                let part = limit.map_or(0.0, |limit| (to - from) as f64 / limit as f64);
                part.clamp(GROWTH, 1.0)
            }
            Finding::GilBound { share, .. }
            | Finding::Waits { share, .. }
            | Finding::Mpi { share, .. } => *share,
            Finding::OpenMpWaits { share, .. } => 0.5 * share,
            Finding::Imports { time, whole, .. }
            | Finding::Compiling { time, whole, .. }
            | Finding::JitCompiling { time, whole, .. }
            | Finding::BuildSteps { time, whole, .. } => time.seconds() / whole.seconds().max(1e-9),
            Finding::BlockedLoops(loops) => loops.time.seconds() / loops.whole.seconds().max(1e-9),
            Finding::FewCores { .. } => 0.0,
            Finding::Oversubscribed {
                runnable,
                usable,
                share,
                ..
            } => share * (1.0 - f64::from(*usable) / runnable.max(1.0)),
        }
    }
}
