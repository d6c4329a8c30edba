//! Turns an interpreter that rsamp has no table for (2.7, 3.3–3.5) into stacks, through the py-spy crate.
//!
//! What py-spy 0.4.3 cannot do is passed on as it is: a stack of more than 4096 frames, or a thread
//! that changed in the middle of the read, fails the read of all threads; a name of 4096
//! characters or more drops its frame; a line table of 64 KiB or more has no lines; a jump of 128
//! to 255 lines is taken for one backwards (line deltas were unsigned before 3.6,
//! `Objects/lnotab_notes.txt`). py-spy logs through the `log` crate only, and `gil_only`, with which it
//! prints, stays off.
//!
//! A stack that is read while its thread runs is torn more often than not, and nothing in it tells: so the
//! threads that run are stopped for each reading, unless that is forbidden. Those that wait are not: their
//! stacks do not change, and a stop would end their system calls with `EINTR`, which a Python before 3.5 hands
//! to the program as an error (PEP 475). py-spy's own lock stops all.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use py_spy::config::{LineNo, LockingStrategy};
use py_spy::{Config, PythonSpy, StackTrace};
use remoteprocess::ProcessMemory;

use super::{LegacyError, LegacyThread, RawLegacyFrame};
use crate::process::{
    MappedFile, Paused, Pid, Process, ProcessError, TaskState, Tid, pause, release_late,
};

/// How often threads are stopped and read until none of the others has run meanwhile. A thread rarely wakes in
/// the fraction of a millisecond that a reading takes.
const STOP_TRIES: u32 = 5;

/// The most lines whose functions are remembered; beyond, they are learnt anew.
const MAX_KNOWN_LINES: usize = 1 << 20;

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

/// Reads the stacks of one process.
pub struct LegacyReader {
    spy: PythonSpy,
    /// What is stopped, where that is allowed.
    stopped: Option<Process>,
    stops: u64,
    /// The first line of the function that each line belongs to, as far as it was asked.
    first_lines: HashMap<Line, Option<u32>>,
}

/// A line that was executed: the function's name, the file and the line.
type Line = (String, String, i32);

/// A thread that was not stopped, and the CPU time that it had used before the reading.
type Unstopped = (Tid, Option<u64>);

impl LegacyReader {
    /// Finds the interpreter of process `pid`. With `stop`, every read stops the threads that run while it
    /// lasts; without, none is ever stopped.
    ///
    /// # Errors
    /// When there is no such process, it may not be read, or it is no Python process (yet).
    pub fn open(pid: i32, stop: bool) -> Result<LegacyReader, LegacyError> {
        let config = Config {
            blocking: LockingStrategy::NonBlocking,
            // Otherwise it looks for `__init__.py` beside every file, at each new name.
            full_filenames: true,
            ..Config::default()
        };
        check_files(pid)?;
        let spy =
            quietly(pid, || PythonSpy::new(pid, &config))?.map_err(|error| LegacyError::Open {
                pid,
                source: error.into(),
            })?;
        let mut reader = LegacyReader {
            spy,
            stopped: None,
            stops: 0,
            first_lines: HashMap::new(),
        };
        if stop {
            reader.allow_stops();
        }
        Ok(reader)
    }

    /// Stops the threads that run, for every reading from now on.
    pub fn allow_stops(&mut self) {
        self.stopped = Process::open(Pid(self.spy.pid)).ok();
    }

    /// How often a thread was stopped for the last reading.
    #[must_use]
    pub fn stops(&self) -> u64 {
        self.stops
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
        self.stops = 0;
        // Before the read, which may stop the threads.
        let running = self.running_threads();
        let (traces, torn) = match self.stopped.take() {
            None => (self.traces(), Vec::new()),
            Some(process) => {
                let read = self.stopped_traces(&process);
                self.stopped = Some(process);
                read
            }
        };
        let threads = traces?.into_iter();
        let threads = threads.map(|trace| {
            let thread = self.thread(trace, &running);
            let is_torn = thread
                .os_thread_id
                .is_some_and(|id| torn.contains(&Tid(id)));
            LegacyThread { is_torn, ..thread }
        });
        Ok(threads.collect())
    }

    /// Reads while the threads that run are stopped, until none of the others has run meanwhile; tells which have
    /// at the last try.
    fn stopped_traces(
        &mut self,
        process: &Process,
    ) -> (Result<Vec<StackTrace>, LegacyError>, Vec<Tid>) {
        let mut tries = 1;
        loop {
            let (stopped, unstopped) = stop_running(process);
            self.stops += stopped.len() as u64;
            let traces = self.traces();
            let torn = have_run(process, &stopped, &unstopped);
            drop(stopped);
            if torn.is_empty() || traces.is_err() || tries == STOP_TRIES {
                return (traces, torn);
            }
            tries += 1;
        }
    }

    /// Reads all stacks, and the first lines of functions that are new.
    fn traces(&mut self) -> Result<Vec<StackTrace>, LegacyError> {
        let traces = self.traces_with(LineNo::LastInstruction)?;
        let mut frames = traces.iter().flat_map(|trace| &trace.frames);
        if frames.any(|frame| !self.first_lines.contains_key(&line_of(frame))) {
            let firsts = self.traces_with(LineNo::First).unwrap_or_default();
            self.learn_first_lines(&traces, &firsts);
        }
        Ok(traces)
    }

    fn traces_with(&mut self, lines: LineNo) -> Result<Vec<StackTrace>, LegacyError> {
        let pid = self.spy.pid;
        self.spy.config.lineno = lines;
        let traces = quietly(pid, || retried(|| self.spy.get_stack_traces()))?;
        traces.map_err(|error| LegacyError::Read {
            pid,
            tries: READ_TRIES,
            source: error.into(),
        })
    }

    /// Learns from two readings of the same stacks, the second with the first line of each function. Where
    /// nothing was stopped they may be of different stacks: these teach nothing.
    fn learn_first_lines(&mut self, traces: &[StackTrace], firsts: &[StackTrace]) {
        if self.first_lines.len() > MAX_KNOWN_LINES {
            self.first_lines.clear();
        }
        for trace in traces {
            let same = |other: &&StackTrace| other.thread_id == trace.thread_id;
            let Some(first) = firsts.iter().find(same) else {
                continue;
            };
            let function = |frame: &py_spy::Frame| (frame.name.clone(), frame.filename.clone());
            let functions = trace.frames.iter().map(function);
            if !functions.eq(first.frames.iter().map(function)) {
                continue;
            }
            for (frame, first) in trace.frames.iter().zip(&first.frames) {
                let line = u32::try_from(first.line).ok().filter(|line| *line > 0);
                self.first_lines.insert(line_of(frame), line);
            }
        }
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
        let first_line = |frame: &py_spy::Frame| {
            let known = self.first_lines.get(&line_of(frame));
            known.copied().flatten()
        };
        let frames = trace.frames.into_iter().map(|frame| RawLegacyFrame {
            first_line: first_line(&frame),
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
            is_torn: false,
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

fn line_of(frame: &py_spy::Frame) -> Line {
    (frame.name.clone(), frame.filename.clone(), frame.line)
}

/// Stops the threads that run; tells of the others what tells whether they run meanwhile. A thread that cannot
/// be stopped is one of those.
fn stop_running(process: &Process) -> (Vec<Paused>, Vec<Unstopped>) {
    let (mut stopped, mut unstopped) = (Vec::new(), Vec::new());
    release_late();
    for tid in process.tasks().unwrap_or_default() {
        let is_running = process.task_state(tid) == Some(TaskState::Running);
        match is_running.then(|| pause(process.pid(), tid)) {
            Some(Ok(paused)) => stopped.push(paused),
            _ => unstopped.push((tid, process.task_cpu(tid))),
        }
    }
    (stopped, unstopped)
}

/// The threads that were not stopped and have run since, those included that are new.
fn have_run(process: &Process, stopped: &[Paused], unstopped: &[Unstopped]) -> Vec<Tid> {
    let tasks = process.tasks().unwrap_or_default().into_iter();
    let is_stopped = |tid: Tid| stopped.iter().any(|paused| paused.tid() == tid);
    let has_run = |tid: &Tid| {
        let before = unstopped.iter().find(|(known, _)| known == tid);
        !is_stopped(*tid)
            && (process.task_state(*tid) == Some(TaskState::Running)
                || before.is_none_or(|(_, cpu_ns)| *cpu_ns != process.task_cpu(*tid)))
    };
    tasks.filter(has_run).collect()
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

/// Refuses a process in which a library of Python's is not at its path any more. py-spy opens it there, and would wait for
/// a pipe that is there by now.
fn check_files(pid: i32) -> Result<(), LegacyError> {
    let failed = |source: ProcessError| LegacyError::Open {
        pid,
        source: source.into(),
    };
    let process = Process::open(Pid(pid)).map_err(failed)?;
    let mut files = process.images().map_err(failed)?.into_iter();
    let is_moved = |file: &MappedFile| {
        let name = file.path.file_name().unwrap_or_default().to_string_lossy();
        name.contains("libpython") && file.stamp(&process).is_none()
    };
    match files.find(is_moved) {
        Some(MappedFile { path, .. }) => Err(LegacyError::Replaced { pid, path }),
        None => Ok(()),
    }
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
