//! Turns the PID that the kernel gave last into the processes that are new since the last look.
//!
//! The last field of `/proc/loadavg` is the PID created last in the reader's PID namespace
//! (`loadavg_proc_show` in the kernel's `fs/proc/loadavg.c`). PIDs are given in ascending order, from
//! `RESERVED_PIDS` again once they come to an end (`alloc_pid` in `kernel/pid.c`), so that one system call
//! tells that no process is new anywhere, and a few more tell which are. Nothing of the tree is stopped or
//! slowed for it, no privilege is asked for, and nobody else is kept from tracing it: ptrace(2) would stop
//! the program twice at every fork and leave no room for a debugger, the proc connector and BPF are for
//! root of the machine. The price: a process that lives shorter than the time between two looks is missed.
//!
//! Where `/proc/loadavg` is not the kernel's (lxcfs puts a file of its own there, which is seconds behind)
//! all of `/proc` is read, less often.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};

use super::Pid;
use super::identity::read_stat;

/// Where the kernel begins anew when it has come to the highest PID (`RESERVED_PIDS` in `kernel/pid.c`).
const FIRST_REUSED: i32 = 300;

/// With more new PIDs than this it costs less to read all of `/proc` than to ask for each.
const MANY: usize = 2048;

/// How often a PID is looked at again that was no process yet. Most such have ended.
const LATE_LOOKS: u8 = 2;

/// How often all of `/proc` is read where there is no other way.
const LIST_EVERY: Duration = Duration::from_millis(100);

/// A new process, as it was when it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewProcess {
    /// Its id. It may be that of a thread.
    pub pid: Pid,
    /// Its parent.
    pub parent: Pid,
}

/// Looks for new processes.
#[derive(Debug)]
pub struct NewProcesses {
    /// `/proc/loadavg`, where it tells the truth.
    loadavg: Option<File>,
    last: i32,
    /// PIDs that were given, but are no processes yet: the kernel gives them a little before.
    not_there_yet: Vec<(Pid, u8)>,
    listed: Option<Instant>,
}

impl NewProcesses {
    /// Looks for those that are created after process `pid`.
    #[must_use]
    pub fn after(pid: Pid) -> NewProcesses {
        NewProcesses {
            last: pid.0,
            ..NewProcesses::from_now()
        }
    }

    /// Looks for those that are created from now on.
    #[must_use]
    pub fn from_now() -> NewProcesses {
        let loadavg = File::open("/proc/loadavg").ok();
        let loadavg = loadavg.filter(|file| {
            fstatfs(file).is_ok_and(|found| found.filesystem_type() == PROC_SUPER_MAGIC)
        });
        let last = loadavg.as_ref().and_then(last_pid);
        NewProcesses {
            loadavg: loadavg.filter(|_| last.is_some()),
            last: last.unwrap_or(0),
            not_there_yet: Vec::new(),
            listed: None,
        }
    }

    /// The processes that are new since the last look, the oldest first; where that cannot be told, all
    /// that there are.
    pub fn look(&mut self) -> Vec<NewProcess> {
        let Some(last) = self.loadavg.as_ref().and_then(last_pid) else {
            if self.listed.is_some_and(|at| at.elapsed() < LIST_EVERY) {
                return Vec::new();
            }
            self.listed = Some(Instant::now());
            return all();
        };
        let before = std::mem::replace(&mut self.last, last);
        let mut new_processes = self.found_late();
        if last == before {
            return new_processes;
        }
        let Some(pids) = between(before, last, highest_pid) else {
            return all();
        };
        for pid in pids {
            match open_new(pid) {
                Some(new) => new_processes.push(new),
                None => self.not_there_yet.push((pid, LATE_LOOKS)),
            }
        }
        new_processes
    }

    /// Looks again at those that were no processes yet.
    fn found_late(&mut self) -> Vec<NewProcess> {
        let mut new_processes = Vec::new();
        self.not_there_yet.retain_mut(|(pid, looks)| {
            *looks -= 1;
            let new = open_new(*pid);
            new_processes.extend(new);
            new.is_none() && *looks > 0
        });
        new_processes
    }
}

/// The PIDs given after `before`, up to `last`; `None` when they are too many.
fn between(before: i32, last: i32, highest: impl FnOnce() -> i32) -> Option<Vec<Pid>> {
    let pids: Vec<i32> = if last > before {
        (before + 1..=last).take(MANY + 1).collect()
    } else {
        let old = before + 1..=highest();
        old.chain(FIRST_REUSED..=last).take(MANY + 1).collect()
    };
    (pids.len() <= MANY).then(|| pids.into_iter().map(Pid).collect())
}

/// All processes there are, by rising PID.
#[must_use]
pub fn all() -> Vec<NewProcess> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids: Vec<Pid> = entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Pid))
        .collect();
    pids.sort_unstable();
    pids.into_iter().filter_map(open_new).collect()
}

fn open_new(pid: Pid) -> Option<NewProcess> {
    let stat = read_stat(pid).ok()?;
    let parent = Pid(stat.parent);
    Some(NewProcess { pid, parent })
}

fn last_pid(loadavg: &File) -> Option<i32> {
    let mut bytes = [0; 128];
    let length = loadavg.read_at(&mut bytes, 0).ok()?;
    parse_last_pid(&bytes[..length])
}

fn parse_last_pid(loadavg: &[u8]) -> Option<i32> {
    let text = std::str::from_utf8(loadavg).ok()?;
    text.split_ascii_whitespace().nth(4)?.parse().ok()
}

/// The highest PID that the kernel gives (`pid_max` in proc(5) is the one above).
fn highest_pid() -> i32 {
    let text = fs::read_to_string("/proc/sys/kernel/pid_max").unwrap_or_default();
    text.trim().parse().map_or(32_767, |max: i32| max - 1)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn pids_go_up_and_begin_anew() {
        let pids = |before, last| {
            let pids = between(before, last, || 32_767)?;
            Some(pids.into_iter().map(|pid| pid.0).collect::<Vec<_>>())
        };
        assert_eq!(pids(7, 9), Some(vec![8, 9]));
        assert_eq!(pids(32_765, 301), Some(vec![32_766, 32_767, 300, 301]));
        assert_eq!(pids(32_767, 300), Some(vec![300]));
        assert_eq!(pids(1, MANY as i32 + 1).map(|p| p.len()), Some(MANY));
        assert_eq!(pids(1, MANY as i32 + 2), None);
        assert_eq!(pids(9, 7), None, "once round");
    }

    #[test]
    fn a_pid_given_a_little_before_its_process_is_there_is_looked_at_again() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let (there, never) = (Pid(child.id() as i32), Pid(i32::MAX));
        let mut new_processes = NewProcesses::from_now();
        new_processes.not_there_yet = vec![(there, LATE_LOOKS), (never, LATE_LOOKS)];
        let found: Vec<Pid> = new_processes
            .look()
            .into_iter()
            .map(|new| new.pid)
            .collect();
        assert!(found.contains(&there));
        assert_eq!(new_processes.not_there_yet, [(never, LATE_LOOKS - 1)]);
        new_processes.look();
        assert!(
            new_processes
                .not_there_yet
                .iter()
                .all(|(pid, _)| *pid != never)
        );
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn the_last_pid_is_the_fifth_field() {
        assert_eq!(parse_last_pid(b"0.25 0.10 0.05 2/134 11530\n"), Some(11530));
        assert_eq!(parse_last_pid(b"0.25 0.10 0.05 2/134\n"), None);
        assert_eq!(parse_last_pid(b""), None);
    }

    #[test]
    fn a_child_is_new_once() {
        for mut new_processes in [
            NewProcesses::from_now(),
            NewProcesses {
                loadavg: None,
                ..NewProcesses::from_now()
            },
        ] {
            let is_listed = new_processes.loadavg.is_none();
            let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
            let new = NewProcess {
                pid: Pid(child.id() as i32),
                parent: Pid(std::process::id() as i32),
            };
            assert!(new_processes.look().contains(&new));
            assert!(!new_processes.look().contains(&new), "listed: {is_listed}");
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}
