//! Turns an interpreter that rsamp has no table for (2.7, 3.3–3.5) into stacks, through the py-spy crate.
//!
//! What py-spy 0.4.3 cannot do is passed on as it is: a stack of more than 4096 frames, or a thread
//! that changed in the middle of the read, fails the read of all threads; a name of 4096
//! characters or more drops its frame; a line table of 64 KiB or more has no lines; a jump of 128
//! to 255 lines is taken for one backwards (line deltas were unsigned before 3.6,
//! `Objects/lnotab_notes.txt`); and a stack that is read while it runs may be torn. py-spy logs
//! through the `log` crate only, and `gil_only`, with which it prints, stays off.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use py_spy::config::LockingStrategy;
use py_spy::{Config, PythonSpy, StackTrace};
use remoteprocess::ProcessMemory;
use thiserror::Error;

/// How often a read is tried before it counts as failed: it fails when a thread or a frame goes away in
/// the middle, which takes far less than the third of a millisecond between two tries.
const READ_TRIES: u32 = 5;

/// Where glibc keeps the kernel's thread id in what a `pthread_t` points to: `tid` in
/// `struct pthread` (`nptl/descr.h`), behind a header of 704 bytes (x86-64) or 192 bytes
/// (AArch64) and a list of 16, unchanged since 2.4. Debuggers rely on it too.
const PTHREAD_TID: Option<u64> = if cfg!(target_arch = "x86_64") {
    Some(704 + 16)
} else if cfg!(target_arch = "aarch64") {
    Some(192 + 16)
} else {
    None
};

/// Why a legacy interpreter could not be read.
#[derive(Debug, Error)]
pub enum LegacyError {
    /// No interpreter that py-spy knows was found.
    #[error("find a Python interpreter in process {pid}")]
    Open {
        /// The process.
        pid: i32,
        /// What py-spy said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Every try to read the stacks failed.
    #[error("read the stacks of process {pid}, {tries} tries")]
    Read {
        /// The process.
        pid: i32,
        /// How often it was tried.
        tries: u32,
        /// What py-spy said the last time.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// py-spy panicked: what it read made no sense.
    #[error("read process {pid}: py-spy panicked")]
    Panicked {
        /// The process.
        pid: i32,
    },
}

/// One Python thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyThread {
    /// The kernel's thread id in rsamp's PID namespace, where it could be told.
    pub os_thread_id: Option<i32>,
    /// `thread_id` of the `PyThreadState`: the `pthread_t`.
    pub thread_id: u64,
    /// The name that the program gave it; py-spy knows none before 3.6.
    pub name: Option<String>,
    /// Whether it holds the GIL.
    pub holds_gil: bool,
    /// Whether it seems to run: the kernel's state `R` where the thread id is known; else py-spy's
    /// guess from the innermost function's name.
    pub active: bool,
    /// The frames, innermost first.
    pub frames: Vec<RawLegacyFrame>,
}

/// One Python frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawLegacyFrame {
    /// `co_name`.
    pub name: String,
    /// `co_filename`.
    pub filename: String,
    /// The line being executed.
    pub line: Option<u32>,
}

/// Reads the stacks of one process.
pub struct LegacyReader {
    spy: PythonSpy,
}

impl LegacyReader {
    /// Finds the interpreter of process `pid`. With `stop`, every read stops the process while it
    /// lasts; without, the process is never stopped.
    ///
    /// # Errors
    /// When there is no such process, it may not be read, or it is no Python process (yet).
    pub fn open(pid: i32, stop: bool) -> Result<LegacyReader, LegacyError> {
        let config = Config {
            blocking: if stop {
                LockingStrategy::Lock
            } else {
                LockingStrategy::NonBlocking
            },
            // Otherwise it looks for `__init__.py` beside every file, at each new name.
            full_filenames: true,
            ..Config::default()
        };
        let spy =
            quietly(pid, || PythonSpy::new(pid, &config))?.map_err(|error| LegacyError::Open {
                pid,
                source: error.into(),
            })?;
        Ok(LegacyReader { spy })
    }

    /// The interpreter's version as `2.7.18`.
    #[must_use]
    pub fn version(&self) -> String {
        let version = &self.spy.version;
        format!("{}.{}.{}", version.major, version.minor, version.patch)
    }

    /// Reads the stack of every Python thread.
    ///
    /// # Errors
    /// When the process is gone, or every one of a few tries failed.
    pub fn stacks(&mut self) -> Result<Vec<LegacyThread>, LegacyError> {
        let pid = self.spy.pid;
        // Before the read, which may stop the threads.
        let running = self.running_threads();
        let traces = quietly(pid, || retried(|| self.spy.get_stack_traces()))?;
        let traces = traces.map_err(|error| LegacyError::Read {
            pid,
            tries: READ_TRIES,
            source: error.into(),
        })?;
        let threads = traces.into_iter();
        Ok(threads.map(|trace| self.thread(trace, &running)).collect())
    }

    /// The kernel's ids of the threads in state `R`.
    fn running_threads(&self) -> Vec<i32> {
        let threads = self.spy.process.threads().unwrap_or_default();
        let running = threads
            .iter()
            .filter(|thread| thread.active().unwrap_or(false));
        running.filter_map(|thread| thread.id().ok()).collect()
    }

    fn thread(&self, trace: StackTrace, running: &[i32]) -> LegacyThread {
        let os_thread_id = trace
            .os_thread_id
            .and_then(|tid| i32::try_from(tid).ok())
            .or_else(|| self.os_thread_id(trace.thread_id));
        let frames = trace.frames.into_iter().map(|frame| RawLegacyFrame {
            name: frame.name,
            filename: frame.filename,
            line: u32::try_from(frame.line).ok().filter(|&line| line > 0),
        });
        LegacyThread {
            os_thread_id,
            thread_id: trace.thread_id,
            name: trace.thread_name,
            holds_gil: trace.owns_gil,
            active: os_thread_id.map_or(trace.active, |tid| running.contains(&tid)),
            frames: frames.collect(),
        }
    }

    /// The kernel's id of the thread whose `pthread_t` is `pthread`, when glibc keeps it where we
    /// look and the process has a thread of that id. (In another PID namespace it has none, or
    /// with very bad luck a wrong one.)
    fn os_thread_id(&self, pthread: u64) -> Option<i32> {
        let at = usize::try_from(pthread.checked_add(PTHREAD_TID?)?).ok()?;
        let tid: i32 = self.spy.process.copy_struct(at).ok()?;
        let task = format!("/proc/{}/task/{tid}", self.spy.pid);
        (tid > 0 && Path::new(&task).exists()).then_some(tid)
    }
}

/// What `read` gives the first time that it does not fail, or the last of [`READ_TRIES`] times.
fn retried<T, E>(mut read: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    for _ in 1..READ_TRIES {
        if let Ok(read) = read() {
            return Ok(read);
        }
    }
    read()
}

/// Runs `read`, and turns a panic of py-spy into an error. Those known to be reachable are integer
/// overflows on torn reads, which only builds with overflow checks notice.
fn quietly<T>(pid: i32, read: impl FnOnce() -> T) -> Result<T, LegacyError> {
    catch_unwind(AssertUnwindSafe(read)).map_err(|_| LegacyError::Panicked { pid })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_not_there_is_refused() {
        let Err(error) = LegacyReader::open(i32::MAX, false) else {
            panic!("found an interpreter in no process");
        };
        assert!(matches!(error, LegacyError::Open { .. }), "{error}");
    }

    #[test]
    fn a_read_is_tried_a_few_times() {
        let mut tries = 0;
        let mut fail_until = |last: u32| {
            tries = 0;
            retried(|| {
                tries += 1;
                if tries < last { Err(tries) } else { Ok(tries) }
            })
        };
        assert_eq!(fail_until(1), Ok(1));
        assert_eq!(fail_until(READ_TRIES), Ok(READ_TRIES));
        assert_eq!(fail_until(u32::MAX), Err(READ_TRIES));
    }

    #[test]
    fn a_panic_is_an_error() {
        let result = quietly(7, || -> u32 { std::panic::resume_unwind(Box::new("torn")) });
        assert!(matches!(result, Err(LegacyError::Panicked { pid: 7 })));
    }
}
