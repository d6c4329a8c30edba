//! Turns a located interpreter into a stream of events.

mod rate;

mod schedule;

mod ticker;

mod gaps;

mod target;

mod observation;

mod observe;

mod intern;

mod thread_states;

mod cpu;

mod run_delay;

mod held;

mod activity;

mod gil_waits;

mod roles;

mod resident;

mod faults;

mod change;

mod course;

mod growth;

mod usage;

mod threads;

mod awaits;

mod tasks;

mod native_names;

mod native_frame;

mod native_dump;

mod native_pace;

mod native_turns;

mod native_safety;

mod native_runs;

mod native_stops;

mod native_stacks;

mod native_threads;

mod native_sampler;

mod program;

mod finder;

mod process_tree;

mod record;

mod part;

mod name_finder;

mod named_events;

mod dump;

pub use crate::cpython::reader::StopPolicy;
pub use dump::{dump, dump_native, dump_with_tasks};
pub use intern::{Interner, LEFT_OUT as LEFT_OUT_FRAMES, UNKNOWN as UNKNOWN_FUNCTION};
pub use native_pace::NativeRate;
pub use observation::Observation;
pub use observe::{Identity, Observed, Observer, identify, observe};
pub use rate::{Budget, Rate, RateControl, Spent};
pub use record::sample;
pub use schedule::Schedule;
pub use target::{NEW_THREADS, Source, stopper};
pub use threads::{Moment, ThreadIds, Threads};

pub(crate) use native_names::functions_of;
pub(crate) use part::{Bounds, Part};

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;

use crate::process::Pid;
use crate::process::permission::Denied;
use crate::profile::event::Nanos;

/// How to sample.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How often.
    pub rate: Rate,
    /// What rsamp may use for it.
    pub budget: Budget,
    /// When to stop sampling, counted from the first tick; `None`: when the target ends.
    pub duration: Option<Duration>,
    /// How long to let the target run before it is looked at for the first time.
    pub delay: Option<Duration>,
    /// How long to wait for the target to become a Python process with a running interpreter;
    /// `None`: for as long as it lives.
    pub start_timeout: Option<Duration>,
    /// When a thread of the target may be stopped.
    pub stops: StopPolicy,
    /// Whether the processes that descend from the target are sampled too.
    pub children: Children,
    /// Processes that are sampled like the target and need not descend from it: the others of a job on this node. The
    /// sampling ends with the last of them.
    pub beside: Vec<Pid>,
    /// How often native frames are read; `None`: never. Threads that run are stopped for it, unless `stops` forbids it.
    pub native: Option<NativeRate>,
}

impl Settings {
    /// How the native frames of each process are read.
    fn native_settings(&self) -> Option<native_pace::NativeSettings> {
        Some(native_pace::NativeSettings {
            rate: self.native?,
            budget: self.budget,
            may_stop: self.stops != StopPolicy::Never,
        })
    }
}

/// Whether the processes that descend from a target are sampled too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Children {
    /// They are not.
    #[default]
    Ignored,
    /// They are.
    Followed,
    /// They are, and this process is the one to which they fall when their parents end: it has started the
    /// target, and called [`adopt_orphans`](crate::process::spawn::adopt_orphans) before.
    Adopted,
}

/// Asks a sampler on another thread to end. Clones ask the same sampler.
#[derive(Debug, Clone, Default)]
pub struct EndRequest(Arc<AtomicBool>);

impl EndRequest {
    /// Asks; the sampler ends at its next tick.
    pub fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters that another thread can show while the sampler runs, and one by which it tells the sampler something.
#[derive(Debug, Default)]
pub struct Progress {
    /// How often the rate is to be halved, since the start: where the recording becomes too large.
    pub halvings: AtomicU32,
    /// Samples taken (one per thread and tick).
    pub samples: AtomicU64,
    /// Samples and ticks lost, over all causes.
    pub lost: AtomicU64,
    /// How many processes that descend from the target ran on when the sampling ended.
    pub running: AtomicU64,
    unread: Mutex<Vec<SamplerError>>,
    hottest: Mutex<Option<String>>,
}

/// The most processes of which it is told why they could not be read.
const MAX_UNREAD: usize = 8;

impl Progress {
    /// The line in which the most time was spent lately; `None`: not known yet.
    #[must_use]
    pub fn hottest(&self) -> Option<String> {
        let hottest = self.hottest.lock();
        hottest.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells it.
    pub fn set_hottest(&self, line: String) {
        let mut hottest = self.hottest.lock().unwrap_or_else(PoisonError::into_inner);
        *hottest = Some(line);
    }

    /// Why processes that descend from the target could not be read, the first of them.
    #[must_use]
    pub fn take_unread(&self) -> Vec<SamplerError> {
        std::mem::take(&mut *self.unread.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn fail(&self, error: SamplerError) {
        let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        if unread.len() < MAX_UNREAD {
            unread.push(error);
        }
    }
}

/// Why the sampling ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The target is gone.
    TargetEnded,
    /// [`Settings::duration`] is over; the target runs on.
    DurationOver,
    /// [`EndRequest::request`]; the target runs on.
    Requested,
    /// The function was seen at which the sampling was to end; the target runs on.
    FunctionSeen,
}

fn of_tracer(tracer: &Option<String>) -> String {
    let traced = |tracer| format!(": {tracer} traces it, and a process has one tracer");
    tracer.as_ref().map_or_else(String::new, traced)
}

/// Why a process could not be sampled.
///
/// What is in braces is what `cli/errors/hints.rs` needs to say what the user can do.
#[derive(Debug, Error)]
pub enum SamplerError {
    /// There is no process with this id.
    #[error("there is no process {0}")]
    NoSuchProcess(Pid),
    /// The process is something else, and is not becoming a Python program either.
    #[error("process {pid} is {what}, not a Python program")]
    NotPython {
        /// The process.
        pid: Pid,
        /// What it is: `bash (/usr/bin/bash)`.
        what: String,
    },
    /// The process showed no running interpreter within [`Settings::start_timeout`], or until it ended.
    #[error("process {pid}, {what}, never ran a Python interpreter")]
    NeverPython {
        /// The process.
        pid: Pid,
        /// What it is: `bash (/usr/bin/bash)`.
        what: String,
    },
    /// The kernel does not let this user read the process.
    #[error("no permission to read process {pid}: {why}")]
    PermissionDenied {
        /// The process.
        pid: Pid,
        /// Which rule of the kernel it is.
        why: Denied,
    },
    /// The kernel let this user read the process for a while, and does not any more.
    #[error("permission to read process {pid} was lost after {:.1} s: {why}", after.0 as f64 / 1e9)]
    PermissionLost {
        /// The process.
        pid: Pid,
        /// How long the recording had lasted.
        after: Nanos,
        /// Which rule of the kernel it is.
        why: Denied,
    },
    /// Its threads were to be stopped for every reading, and cannot be. They are read while they run.
    #[error("process {pid} cannot be stopped{}", of_tracer(tracer))]
    Unstoppable {
        /// The process.
        pid: Pid,
        /// The process that traces it, such as `strace (4242)`.
        tracer: Option<String>,
        /// What the kernel said.
        #[source]
        source: crate::process::ProcessError,
    },
    /// The interpreter is of a version without an offset table.
    #[error("process {pid} runs Python {found}; rsamp knows {known}")]
    UnknownVersion {
        /// The process.
        pid: Pid,
        /// The version found: `3.16.0a1`.
        found: String,
        /// The versions known: `2.7 and 3.3 to 3.15`.
        known: String,
    },
    /// No interpreter was found, and a file that may be one could not be read.
    #[error(
        "cannot tell whether process {pid} runs Python: the file system ({kind}) of {path:?} does not answer"
    )]
    NoAnswer {
        /// The process.
        pid: Pid,
        /// A file that it has mapped.
        path: std::path::PathBuf,
        /// The kind of the file system, such as `nfs4`.
        kind: String,
    },
    /// The target ended before its interpreter could be read.
    #[error("process {0} ended before its Python interpreter was ready")]
    EndedEarly(Pid),
    /// The target ended before it was to be sampled.
    #[error("process {pid} ended within the --delay of {} s", .delay.as_secs_f64())]
    EndedInDelay {
        /// The process.
        pid: Pid,
        /// [`Settings::delay`].
        delay: Duration,
    },
    /// No thread was seen in the function from which on it was to be sampled.
    #[error("no thread of process {pid} was seen in a function named {function:?} (--start-at)")]
    NeverStarted {
        /// The process.
        pid: Pid,
        /// The function.
        function: String,
    },
    /// The process could not be looked at.
    #[error("read process {pid}")]
    Process {
        /// The process.
        pid: Pid,
        /// Why not.
        #[source]
        source: crate::process::ProcessError,
    },
    /// The kernel failed in another way.
    #[error("{tried} of process {pid}")]
    Io {
        /// The process.
        pid: Pid,
        /// What was tried, as `read the memory maps`.
        tried: String,
        /// What the kernel said.
        #[source]
        source: std::io::Error,
    },
}
