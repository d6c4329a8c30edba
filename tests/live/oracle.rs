//! Turns a stopped process into stacks by way of py-spy, another reader to compare with.
//!
//! What py-spy 0.4.3 is known to miss is not to be compared: interpreters that were started through
//! their dynamic loader; frames whose names have lone surrogates; lines from tables of 64 KiB and
//! more; stacks deeper than 4096; interpreters other than the main one; and in 3.10 lines behind an
//! instruction without a line.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use py_spy::config::LockingStrategy;
use py_spy::{Config, PythonSpy};

use crate::support::programs::{ToldFrame, ToldThread, stand};
use crate::support::pythons::Python;

/// How long a process may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// One thread, as py-spy sees it.
#[derive(Debug, Clone)]
pub struct OracleThread {
    /// The `pthread_t`.
    pub thread_id: u64,
    /// The kernel's id, 3.11 on.
    pub native: Option<i32>,
    /// Its name, 3.6 on.
    pub name: Option<String>,
    /// Innermost first: name (qualified from 3.11 on), file, line.
    pub frames: Vec<(String, String, Option<u32>)>,
}

/// A process that is stopped by `SIGSTOP`; dropping it lets it run on.
pub struct Stopped(Pid);

impl Stopped {
    /// Stops process `pid` and waits until all its threads stand.
    pub fn new(pid: i32) -> Stopped {
        let stopped = Stopped(Pid::from_raw(pid));
        kill(stopped.0, Signal::SIGSTOP).expect("a process that may be stopped");
        let begin = Instant::now();
        while !all_stopped(pid) {
            assert!(begin.elapsed() < STOP_LIMIT, "process {pid} does not stop");
            std::thread::yield_now();
        }
        stopped
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGCONT);
    }
}

/// py-spy, attached to one process.
pub struct Oracle(PythonSpy);

impl Oracle {
    /// Finds the interpreter of process `pid`; `None` when py-spy does not.
    pub fn open(pid: i32) -> Option<Oracle> {
        let config = Config {
            blocking: LockingStrategy::AlreadyLocked,
            full_filenames: true,
            ..Config::default()
        };
        PythonSpy::new(pid, &config).ok().map(Oracle)
    }

    /// The stack of every Python thread, of a process that the caller has stopped.
    pub fn stacks(&mut self) -> Result<Vec<OracleThread>, String> {
        let traces = self.0.get_stack_traces();
        let traces = traces.map_err(|error| format!("{error:#}"))?;
        let threads = traces.into_iter().map(|trace| {
            let frames = trace.frames.into_iter().map(|frame| {
                let line = u32::try_from(frame.line).ok().filter(|&line| line > 0);
                (frame.name, frame.filename, line)
            });
            OracleThread {
                thread_id: trace.thread_id,
                native: trace.os_thread_id.and_then(|tid| i32::try_from(tid).ok()),
                name: trace.thread_name,
                frames: frames.collect(),
            }
        });
        Ok(threads.collect())
    }
}

/// The stack of every Python thread of process `pid`, which is stopped for it; `None` when py-spy
/// does not find the interpreter.
pub fn whole_stacks(pid: i32) -> Option<Vec<OracleThread>> {
    let _stopped = Stopped::new(pid);
    let mut oracle = Oracle::open(pid)?;
    Some(oracle.stacks().expect("py-spy reads the stacks"))
}

fn all_stopped(pid: i32) -> bool {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("a running process");
    tasks.flatten().all(|task| {
        let stat = fs::read(task.path().join("stat")).unwrap_or_default();
        // The state follows the name, which is in parentheses, may hold any and may be cut
        // within a character.
        let stat = String::from_utf8_lossy(&stat);
        let state = stat
            .rsplit(") ")
            .next()
            .and_then(|rest| rest.chars().next());
        matches!(state, Some('T') | None)
    })
}

fn py_spy_sees_what_the_programs_tell(python: &Python) {
    for name in [
        "frames.py",
        "threads.py",
        "unicode_names.py",
        "longlines.py",
    ] {
        let place = format!("{} {name}", python.label);
        let program = stand(python, name);
        let seen = whole_stacks(program.pid());
        let seen = seen.unwrap_or_else(|| panic!("{place}: py-spy does not find it"));
        assert_eq!(seen.len(), program.threads.len(), "{place}");
        for told in &program.threads {
            compare(&place, told, &seen);
        }
    }
}

test_on_each_local!(py_spy_sees_what_the_programs_tell);

fn compare(place: &str, told: &ToldThread, seen: &[OracleThread]) {
    let Some(seen) = seen.iter().find(|seen| seen.thread_id == told.ident) else {
        panic!("{place}: thread {:?} is not seen", told.name);
    };
    assert_eq!(seen.name, told.name, "{place}");
    // Each knows it of some versions only.
    if let (Some(seen), Some(told)) = (seen.native, told.native) {
        assert_eq!(seen, told, "{place}");
    }
    let told = told.frames.iter().filter(|frame| is_readable(frame));
    let told: Vec<_> = told
        .map(|frame| {
            let line = frame.line.filter(|_| has_short_table(frame));
            (frame.name.clone(), frame.file.clone(), line)
        })
        .collect();
    assert_eq!(seen.frames, told, "{place}");
}

/// Whether py-spy can read the names: it drops frames whose names have lone surrogates.
fn is_readable(frame: &ToldFrame) -> bool {
    !frame.file.contains(char::REPLACEMENT_CHARACTER)
}

/// Whether py-spy reads the line table: it refuses 64 KiB and more.
fn has_short_table(frame: &ToldFrame) -> bool {
    frame.name != "longest"
}
