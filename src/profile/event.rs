//! The events of a recording: what the sampler emits and a profile folds.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Add, AddAssign, Sub};

use super::attributes::{Attributes, AttributesId};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ProcessId(pub u32);

/// A thread of the recording, numbered from 0 in order of appearance over all processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ThreadId(pub u32);

/// A frame (function and line) of the recording, numbered from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FrameId(pub u32);

/// A stack: a node of the tree of stacks, numbered from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StackId(pub u32);

/// One line of one function, or what stands in its place, as it appears in a stack.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Frame {
    /// What it stands for.
    pub kind: FrameKind,
    /// The function's name: qualified (`Class.method`) where the version of Python knows it (3.11 on); the symbol of
    /// native code, or the name of its module where there is none; the words of a mark.
    pub name: String,
    /// The source file: `co_filename`, or what the debug information of native code says; `None`: not known.
    pub file: Option<String>,
    /// The first line of the function; `None` when the version or the memory does not tell.
    pub first_line: Option<u32>,
    /// The line being executed.
    pub line: Option<u32>,
}

/// What a frame stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FrameKind {
    /// A function of Python code.
    Python,
    /// A function of native code.
    Native(NativeCode),
    /// No function: frames that were left out or could not be read, time that was not sampled.
    Mark,
}

/// Where native code is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NativeCode {
    /// The path of the program or library, as the process has it mapped.
    pub module: String,
    /// The build id in that file (`NT_GNU_BUILD_ID` of elf.h), in lower-case hexadecimal digits; `None`: it has none, or
    /// it was not read.
    pub build_id: Option<String>,
    /// The offset in that file of an instruction whose function has no symbol; `None` where it has one.
    pub offset: Option<u64>,
    /// Whether the compiler put the function into its caller.
    pub is_inlined: bool,
}

impl Frame {
    /// What is no function; `name` says what, in square brackets.
    #[must_use]
    pub fn mark(name: &str) -> Frame {
        Frame {
            kind: FrameKind::Mark,
            name: name.to_owned(),
            file: None,
            first_line: None,
            line: None,
        }
    }

    /// Whether it is no function.
    #[must_use]
    pub fn is_mark(&self) -> bool {
        self.kind == FrameKind::Mark
    }

    /// Whether it stands for the import of a module, or for what the import system does before that module runs.
    #[must_use]
    pub fn is_import(&self) -> bool {
        match self.kind {
            FrameKind::Python => self.name.starts_with(IMPORT),
            FrameKind::Mark => self.name == LOADING_MODULES,
            FrameKind::Native(_) => false,
        }
    }
}

/// How the name of a frame begins that stands for the import of a module, the name of which follows. No function of
/// Python source has a space in its name.
pub const IMPORT: &str = "import ";

/// The mark in place of the import system's own frames: it finds and loads a module whose code does not run yet.
pub const LOADING_MODULES: &str = "[loading modules]";

/// How the name of the frame begins that stands for time that was not sampled. The cause and `]` follow.
pub const NOT_SAMPLED: &str = "[not sampled: ";

/// The mark in place of native frames that could not be told.
pub const NATIVE_MISSING: &str = "[native frames missing]";

/// A process that samples belong to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Process {
    /// The process id in the profiler's PID namespace.
    pub pid: i32,
    /// The command line, word by word.
    pub command: Vec<String>,
    /// The folder in which it ran when it was first seen; `None`: not known.
    pub working_folder: Option<String>,
    /// The interpreter's version as `3.11.7`, with `t` behind it for a free-threaded build.
    pub python: String,
    /// When it was first seen, since the start of the recording.
    pub seen: Nanos,
    /// The process that started it, or that ran in its place before an exec; `None` for the first one,
    /// and where the process that started it is not among those recorded.
    pub parent: Option<ProcessId>,
    /// Its rank among the processes of a parallel program (MPI, Slurm step), from 0.
    pub rank: Option<u32>,
    /// What tells the launch or step that gave the rank from others of the recording; `None`: not known, the
    /// same for all that do not know it.
    pub launch: Option<String>,
    /// The name of the machine; `None`: that of the recording's header.
    pub host: Option<String>,
    /// How many CPUs it may use: those of its affinity mask (sched_getaffinity(2)), or fewer where the
    /// quota of its cgroup (`cpu.max`) allows less, rounded up.
    pub usable_cpus: Option<u32>,
    /// Its affinity mask: CPU 0 is the lowest bit of the first word. Empty: not known.
    pub cpu_mask: Vec<u64>,
    /// How many CPUs the quota of its cgroup allows, rounded up; `None`: as many as there are, or not known.
    pub cpu_quota: Option<u32>,
    /// How much memory it may use before the kernel or the batch system ends it, in bytes; `None`: no
    /// such limit is known.
    pub memory_limit: Option<u64>,
    /// The name of the recording that it comes from; `None`: there is no other, or its host and rank tell.
    pub recording: Option<String>,
}

impl Process {
    /// The words by which it is shown and found: those of its command, behind the name of its recording where it has one.
    pub fn words(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let recording = self.recording.iter().map(|name| format!("{name}:").into());
        let command = self.command.iter().map(|word| Cow::from(word.as_str()));
        recording.chain(command)
    }

    /// The same as one line.
    #[must_use]
    pub fn command_line(&self) -> String {
        self.words().collect::<Vec<_>>().join(" ")
    }
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

/// What a thread was doing, by the word of the kernel and the interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum State {
    /// Not known, or not looked at.
    #[default]
    Unknown,
    /// Running, with the GIL.
    Python,
    /// Collecting garbage, with the GIL: where the interpreter says so.
    Collecting,
    /// Running without the GIL: native code.
    Native,
    /// Waiting for the GIL.
    Gil,
    /// Waiting for a lock, a condition or a queue in memory (futex(2)).
    Lock,
    /// Sleeping for a time.
    Sleep,
    /// Waiting for a file system or a disk.
    Disk,
    /// Waiting for a socket.
    Network,
    /// Waiting for a pipe.
    Pipe,
    /// Waiting for a child process.
    Child,
    /// Waiting for a terminal, for several things at once, or for something else.
    Waiting,
    /// Ready to run, with or without the GIL, and waiting for a CPU. A thread that waits for the GIL is not in this
    /// state: a CPU alone would not help it.
    Ready,
}

impl State {
    /// Whether the thread waited for something.
    #[must_use]
    pub fn is_wait(self) -> bool {
        !matches!(
            self,
            State::Unknown | State::Python | State::Collecting | State::Native
        )
    }
}

/// A run of consecutive ticks at which one thread had the same stack and did the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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
    /// The CPU time that the kernel counted of the thread, never more than `wall`. The kernel counts with a
    /// delay of some milliseconds: sums are exact, that of one short run is an estimate.
    pub cpu: Nanos,
    /// The part of `wall` during which the thread was seen holding the GIL.
    pub gil: Nanos,
    /// What the thread was doing.
    pub state: State,
    /// CPU time of threads without Python frames (OpenMP, BLAS) that worked for this one meanwhile.
    pub helpers_cpu: Nanos,
    /// Time for which other threads waited for the GIL that this one held: a sum over those threads.
    pub blocked_others: Nanos,
    /// By how much the process's resident memory grew meanwhile, in bytes, where it did.
    pub grown_bytes: u64,
    /// By how much the process's resident memory shrank meanwhile, in bytes, where it did.
    pub shrunk_bytes: u64,
    /// The part of `grown_bytes` that may be due to another stack of the thread, which ran between the same two
    /// readings of memory.
    pub unsure_bytes: u64,
    /// What is known of it that is not known of every sample ([`attributes`](super::attributes)); `None`: nothing.
    pub attributes: Option<AttributesId>,
}

/// What runs of a thread that are summed have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SampleKey {
    /// [`Sample::stack`].
    pub stack: Option<StackId>,
    /// [`Sample::state`].
    pub state: State,
    /// [`Sample::attributes`].
    pub attributes: Option<AttributesId>,
}

impl Sample {
    /// What it has in common with those that it may be summed with.
    #[must_use]
    pub fn key(&self) -> SampleKey {
        SampleKey {
            stack: self.stack,
            state: self.state,
            attributes: self.attributes,
        }
    }

    /// What a part of the run holds, from one moment to another since its start.
    ///
    /// Of each sum, the first `x` nanoseconds of a run hold `⌊sum · x / wall⌋`, and a part holds what lies between its
    /// ends: so the parts of a run add up to it, to the nanosecond. A run without length is its only part.
    #[must_use]
    pub fn part(&self, from: Nanos, to: Nanos) -> Sample {
        if self.wall == Nanos(0) {
            return *self;
        }
        let part = |sum: u64| share(sum, to, self.wall) - share(sum, from, self.wall);
        Sample {
            at: self.at - (self.wall - to),
            ticks: part(u64::from(self.ticks)) as u32,
            wall: to - from,
            cpu: Nanos(part(self.cpu.0)),
            gil: Nanos(part(self.gil.0)),
            helpers_cpu: Nanos(part(self.helpers_cpu.0)),
            blocked_others: Nanos(part(self.blocked_others.0)),
            grown_bytes: part(self.grown_bytes),
            shrunk_bytes: part(self.shrunk_bytes),
            unsure_bytes: part(self.unsure_bytes),
            ..*self
        }
    }

    /// Adds a run of the same thread and [`SampleKey`]. A sum that no number can hold stays at the largest.
    pub fn add(&mut self, other: &Sample) {
        self.at = self.at.max(other.at);
        self.ticks = self.ticks.saturating_add(other.ticks);
        self.wall += other.wall;
        self.cpu += other.cpu;
        self.gil += other.gil;
        self.helpers_cpu += other.helpers_cpu;
        self.blocked_others += other.blocked_others;
        self.grown_bytes = self.grown_bytes.saturating_add(other.grown_bytes);
        self.shrunk_bytes = self.shrunk_bytes.saturating_add(other.shrunk_bytes);
        self.unsure_bytes = self.unsure_bytes.saturating_add(other.unsure_bytes);
    }
}

/// What a thread's stack was with its native frames, at one moment, and for how long that stands.
///
/// It refines the [`Sample`]s of that time and adds no time to them; only a thread that never has a Python frame has its
/// times from here alone. Such a sample may come later than the [`Sample`]s of its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NativeSample {
    /// The end of what it stands for, since the start of the recording.
    pub at: Nanos,
    /// Whose stack it is.
    pub thread: ThreadId,
    /// The Python stack at that moment, as [`Sample::stack`] has it; `None`: a thread without Python frames.
    pub stack: Option<StackId>,
    /// What the thread was doing.
    pub state: State,
    /// The same stack with its native frames: each is [`FrameKind::Native`] with its module and offset, the Python frames
    /// are those of `stack`, and marks are where native frames are missing.
    pub merged: StackId,
    /// The wall time that it stands for: since the thread's native sample before, or, for a thread that waits, its wait
    /// until now. More of it gives this stack more of the time of the thread's Python samples.
    pub wall: Nanos,
    /// The CPU time meanwhile.
    pub cpu: Nanos,
}

impl NativeSample {
    /// What of it is between two moments, the first of which is not in it; `None`: nothing.
    #[must_use]
    pub fn within(&self, from: Nanos, to: Nanos) -> Option<NativeSample> {
        let start = self.at - self.wall;
        let (first, at) = (from.max(start), to.min(self.at));
        if self.at == start {
            return (from < at && at == self.at).then_some(*self);
        }
        if first >= at {
            return None;
        }
        let wall = self.at - start;
        let cpu = share(self.cpu.0, at - start, wall) - share(self.cpu.0, first - start, wall);
        Some(NativeSample {
            at,
            wall: at - first,
            cpu: Nanos(cpu),
            ..*self
        })
    }
}

/// How many asyncio tasks waited at one await, as a look at all tasks of a process found it.
///
/// It adds no time to [`Sample`]s: these tell of threads, and a task that waits is on none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Awaited {
    /// When it was looked, since the start of the recording.
    pub at: Nanos,
    /// Whose tasks.
    pub process: ProcessId,
    /// The coroutines from the tasks' own, the outermost, to the innermost; `None`: there are too many stacks.
    pub stack: Option<StackId>,
    /// How many tasks waited there.
    pub tasks: u32,
    /// For how long each of them counts: since the look before.
    pub since: Nanos,
}

/// What the first `of` nanoseconds of `wall` hold of `sum`.
fn share(sum: u64, of: Nanos, wall: Nanos) -> u64 {
    (u128::from(sum) * u128::from(of.0) / u128::from(wall.0)) as u64
}

/// What the kernel counts of a process, at one moment. Counters run from the start of the process;
/// `None`: the kernel does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// The process.
    pub process: ProcessId,
    /// When, since the start of the recording.
    pub at: Nanos,
    /// Resident memory in bytes.
    pub resident: Option<u64>,
    /// The most that was ever resident, in bytes.
    pub peak: Option<u64>,
    /// Resident memory that belongs to no file, in bytes.
    pub anonymous: Option<u64>,
    /// CPU time of all threads.
    pub cpu: Option<Nanos>,
    /// Threads that ran or were ready to run.
    pub runnable: Option<u32>,
    /// Bytes that read calls returned (`rchar` in proc_pid_io(5)).
    pub read_calls_bytes: Option<u64>,
    /// Bytes given to write calls (`wchar`).
    pub write_calls_bytes: Option<u64>,
    /// Bytes fetched from storage (`read_bytes`).
    pub storage_read_bytes: Option<u64>,
    /// Bytes sent to storage (`write_bytes`).
    pub storage_written_bytes: Option<u64>,
    /// Page faults that needed no reading.
    pub minor_faults: Option<u64>,
    /// Page faults that had to wait for storage.
    pub major_faults: Option<u64>,
    /// Context switches by which threads gave up the CPU to wait.
    pub voluntary_switches: Option<u64>,
    /// Context switches by which threads lost the CPU to others.
    pub forced_switches: Option<u64>,
}

/// What cannot be measured of a process, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The process.
    pub process: ProcessId,
    /// What is missing, by the name of its file below `/proc/PID`: `io`, `status`, `task/TID/syscall`.
    pub what: String,
    /// What the kernel said, as `permission denied`.
    pub why: String,
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
    TooDeep,
    /// The stack ends at a generator or coroutine whose caller is not known: it was being resumed, or was yielding.
    GeneratorCallers,
    /// The stack ends where a frame could not be read, or where the link to a caller led to no frame.
    BrokenLink,
    /// The stack ends at a function that the interpreter did not enter from C: the outermost one of a greenlet, or one
    /// that a compiler made.
    NoEntry,
    /// There were more different stacks or functions than a recording holds
    /// ([`limits`](super::limits)): the stack is cut short at a mark, or a function goes by one.
    TooMany,
    /// A thread that was to be stopped for its native frames had not stopped after a second: it got no CPU, or hung in the
    /// kernel. Its Python samples are not concerned.
    NotStopped,
}

impl fmt::Display for LostCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LostCause::Late => "late",
            LostCause::Unreadable => "unreadable",
            LostCause::Torn => "torn",
            LostCause::TooDeep => "too deep",
            LostCause::GeneratorCallers => "generator callers unknown",
            LostCause::BrokenLink => "frame unreadable",
            LostCause::NoEntry => "no entry frame",
            LostCause::TooMany => "too many stacks",
            LostCause::NotStopped => "not stopped in time",
        })
    }
}

/// What was lost by one cause around one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// The last tick of the tenth of a second, or less, in which it was; since the start of the recording.
    pub at: Nanos,
    /// Why.
    pub cause: LostCause,
    /// How many samples or ticks.
    pub count: u64,
}

/// Why a stack could not be told from the copy that chose its moment. It is not lost: it was completed by what was read a
/// moment later, and its innermost frames or its line may be those of a neighbouring call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UndeterminedCause {
    /// A frame or a part of the stack lay elsewhere than before.
    Moved,
    /// It could not be told which frame was the innermost.
    Changing,
    /// The frames did not fit together: they were of two moments.
    Mixed,
    /// The code of a function could not be read.
    Unread,
}

impl fmt::Display for UndeterminedCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UndeterminedCause::Moved => "frames had moved",
            UndeterminedCause::Changing => "innermost frame not certain",
            UndeterminedCause::Mixed => "frames of two moments",
            UndeterminedCause::Unread => "code not readable",
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
    /// Samples have a set of attributes that none had before.
    Attributes(AttributesId, Attributes),
    /// A thread had a stack for some time.
    Sample(Sample),
    /// What a stack was with its native frames, for a time that samples tell as well.
    Native(NativeSample),
    /// What functions a native frame stands for; the last such event of a frame counts.
    Names {
        /// The frame, which has an offset and no name yet.
        frame: FrameId,
        /// Native frames, innermost first: several where the compiler put one function into another. Those that the
        /// compiler put into the next one say so. Never more than [`MAX_FUNCTIONS`](super::limits::MAX_FUNCTIONS).
        functions: Vec<Frame>,
    },
    /// Tasks waited.
    Awaited(Awaited),
    /// So many samples were lost or cut. A `Late` tick is not missing time: the next weight covers it.
    Lost(Loss),
    /// So many stacks could not be told from the first copy.
    Undetermined(UndeterminedCause, u64),
    /// For so many readings a thread was stopped.
    Pauses(u64),
    /// What the kernel counted of a process by some moment.
    Usage(Usage),
    /// Something cannot be measured; told once for each process and thing.
    Missing(Missing),
    /// So many processes of the tree ran no Python while they were looked at, or ended before they could be sampled.
    Skipped(u64),
    /// How often was sampled since the last such event. All spans together are the whole recording.
    Rate(RateSpan),
    /// The end of the recording, with its whole measured duration.
    End(Nanos),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some million samples are kept or wait at a time.
    #[test]
    fn a_sample_is_small() {
        assert_eq!(size_of::<Sample>(), 96);
    }

    #[test]
    fn the_parts_of_a_run_add_up_to_it() {
        let run = Sample {
            at: Nanos(1000),
            ticks: 7,
            wall: Nanos(900),
            cpu: Nanos(333),
            gil: Nanos(1),
            grown_bytes: 1001,
            ..Sample::default()
        };
        let cuts = [0, 1, 250, 251, 640, 900].map(Nanos);
        let mut sum = Sample {
            at: run.at - run.wall,
            ..Sample::default()
        };
        for pair in cuts.windows(2) {
            let part = run.part(pair[0], pair[1]);
            assert_eq!(part.at - part.wall, sum.at);
            sum.add(&part);
        }
        assert_eq!(sum, run);
    }
}
