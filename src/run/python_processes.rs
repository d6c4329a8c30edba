//! Turns the processes of this machine into those that run Python and that this user may read.

use std::fs;
use std::time::{Duration, Instant, SystemTime};

use crate::cpython::known_files::KnownFiles;
use crate::cpython::locate::{Found, LocateError, locate_with};
use crate::memory::LiveMemory;
use crate::process::{Pid, Process, new_processes, started_at};

/// To look into all processes takes no longer: a list that comes late is of no use.
const MAX_TIME: Duration = Duration::from_secs(3);

/// A process that runs Python.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PythonProcess {
    /// Its id.
    pub pid: Pid,
    /// Its version, as `3.11.7`.
    pub python: String,
    /// Its command line.
    pub command: Vec<String>,
    /// For how long it has been running; `None`: not known.
    pub age: Option<Duration>,
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PythonProcesses {
    /// Those that this user may read, by rising id.
    pub readable: Vec<PythonProcess>,
    /// How many others are called python and cannot be read.
    pub denied: usize,
}

/// Looks into the processes of this machine, for [`MAX_TIME`] at most: into those called python first.
#[must_use]
pub fn python_processes() -> PythonProcesses {
    let all = new_processes::all().into_iter();
    python_processes_among(all.map(|new| new.pid).collect())
}

/// The same for these processes alone.
#[must_use]
pub fn python_processes_among(mut pids: Vec<Pid>) -> PythonProcesses {
    let began = Instant::now();
    let mut known = KnownFiles::default();
    let mut found = PythonProcesses::default();
    let own = std::process::id() as i32;
    pids.retain(|pid| pid.0 != own);
    pids.sort_by_key(|pid| (!is_called_python(*pid), *pid));
    for pid in pids {
        if began.elapsed() > MAX_TIME {
            break;
        }
        let Ok(process) = Process::open(pid) else {
            continue;
        };
        match locate_with(&process, &LiveMemory::new(pid), &mut known) {
            Ok(interpreter) => found.readable.push(PythonProcess {
                pid,
                python: match interpreter {
                    Found::Native(interpreter) => interpreter.version.to_string(),
                    Found::Legacy(version) => version.to_string(),
                },
                command: process.command_line(),
                age: started_at(pid).and_then(|at| SystemTime::now().duration_since(at).ok()),
            }),
            Err(LocateError::Process { .. } | LocateError::Memory { .. })
                if is_called_python(pid) =>
            {
                found.denied += 1;
            }
            Err(_) => {}
        }
    }
    found.readable.sort_by_key(|process| process.pid);
    found
}

/// Everybody may read the name of a process.
fn is_called_python(pid: Pid) -> bool {
    fs::read(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with(b"python"))
}
