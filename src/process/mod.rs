//! Turns a PID into an identity, its memory maps, threads and images, and a command into a running child.

use std::fmt;
use std::io;

use nix::errno::Errno;
use thiserror::Error;

mod identity;

mod kept_file;

mod memory_file;

mod maps;

mod stat;

mod status;

mod tasks;

mod syscall;

mod descriptor;

pub(crate) mod counters;

mod limits;

mod file_systems;

mod page_map;

pub(crate) mod reading_process;

mod reading_thread;

mod elf;
mod read_budget;

mod image_error;

pub(crate) mod image;

pub(crate) mod new_processes;

mod exit_watcher;

pub(crate) mod permission;

mod credentials;

mod regular_file;

mod exchange;

pub(crate) mod fork;

mod direct_signals;

mod witness;

pub(crate) mod spawn;

pub(crate) mod pause;

pub use elf::ElfFile;
pub use identity::Process;
pub use image::{MappedFile, Wanted};
pub use pause::{Paused, PendingStop, StopOutcome, pause};
pub use read_budget::ReadBudget;
pub use reading_process::ReadingProcess;
pub use regular_file::open_regular;
pub use spawn::Launched;
pub use stat::TaskState;
pub use tasks::TaskWatch;

pub(crate) use counters::{CounterWatch, Counters, ResidentMemory};
pub(crate) use credentials::{ActingAs, Credentials, user_of};
pub(crate) use descriptor::{DescriptorKind, descriptor_kind};
pub(crate) use elf::{Segment, SymbolTable};
pub(crate) use exchange::exchange_files;
pub(crate) use exit_watcher::{ExitWatcher, Waker};
pub(crate) use file_systems::FileSystems;
pub(crate) use fork::{Forked, end_with_parent, fork};
pub(crate) use identity::{ImageIdentity, started_at, with_memory};
pub(crate) use image::{FileStamp, Image};
pub(crate) use image_error::ImageError;
pub(crate) use limits::is_frozen;
pub(crate) use maps::{Mapping, MapsError};
pub(crate) use memory_file::memory_file;
pub(crate) use new_processes::{NewProcess, NewProcesses};
pub(crate) use page_map::PageMap;
pub(crate) use pause::{release_late, tracer_of};
pub(crate) use permission::{Denied, diagnose};
pub(crate) use reading_thread::ReadingThread;
pub(crate) use regular_file::open_regular_below;
pub(crate) use spawn::{Change, SpawnError, end_by_signal, outlive_file_size_limit};
pub(crate) use stat::StatError;
pub(crate) use syscall::{Syscall, SyscallWatch, ThreadActivity, Wait, WaitRegisters, wait_of};
pub(crate) use tasks::{
    CpuClock, CpuCount, FaultCount, RunTimes, TaskClock, TaskTurns, TurnCounts, be_idle,
    be_scheduled_soon, own_cpu_ns, own_thread_cpu_ns,
};

/// A process id as this process's PID namespace sees it (`getpid(2)`), always positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pid(pub i32);

/// A thread id as this process's PID namespace sees it (`gettid(2)`): a name below `/proc/PID/task`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tid(pub i32);

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Tid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why something about a process could not be learnt or done.
#[derive(Debug, Error)]
pub enum ProcessError {
    /// There is none with this id, or it has ended (a zombie counts as ended).
    #[error("no process {0}: it does not exist or has ended")]
    NoSuchProcess(Pid),
    /// The id names a thread, not a process.
    #[error("{0} is a thread of process {1}, not a process")]
    NotAProcess(Tid, Pid),
    /// A thread is gone.
    #[error("no thread {1} in process {0}: it has ended")]
    NoSuchThread(Pid, Tid),
    /// A file below `/proc` could not be read.
    #[error("read {path}")]
    Read {
        /// The file.
        path: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// `/proc/PID/maps` is not what proc(5) says.
    #[error("parse the memory maps of process {pid}")]
    Maps {
        /// The process.
        pid: Pid,
        /// What was wrong with it.
        #[source]
        source: MapsError,
    },
    /// A `stat` file is not what proc(5) says.
    #[error("parse {path}")]
    Stat {
        /// The file.
        path: String,
        /// What was wrong with it.
        #[source]
        source: StatError,
    },
    /// ptrace(2) refused.
    #[error("stop thread {tid} of process {pid} with ptrace")]
    Ptrace {
        /// The process.
        pid: Pid,
        /// Its thread.
        tid: Tid,
        /// What the kernel said.
        #[source]
        source: Errno,
    },
    /// The thread did not stop within the bound, for instance because it hangs in the kernel. It runs on.
    #[error(
        "stop thread {tid} of process {pid} with ptrace: it did not stop within {milliseconds} ms"
    )]
    PauseTimeout {
        /// The process.
        pid: Pid,
        /// Its thread.
        tid: Tid,
        /// The bound.
        milliseconds: u64,
    },
}

impl ProcessError {
    /// Whether this says that the process or thread has ended, rather than that something went wrong.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(
            self,
            ProcessError::NoSuchProcess(_) | ProcessError::NoSuchThread(..)
        )
    }

    /// Whether the kernel refused for lack of permission: then [`diagnose`] says why.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        match self {
            ProcessError::Read { source, .. } => source.kind() == io::ErrorKind::PermissionDenied,
            ProcessError::Ptrace { source, .. } => {
                matches!(source, Errno::EPERM | Errno::EACCES)
            }
            _ => false,
        }
    }
}
