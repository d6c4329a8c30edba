//! Turns a PID into a process that cannot be mistaken for a later one with the same PID.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::time::ClockId;
use nix::unistd::{SysconfVar, sysconf};
use serde::{Deserialize, Serialize};

use super::kept_file::Slot;
use super::stat::{Stat, TaskState, parse_stat};
use super::status::status_number;
use super::{Pid, ProcessError, Tid};
use crate::sys;

/// One process, from [`Process::open`] to its end. A later process with the same PID is never taken for it.
///
/// Holds a pidfd where the kernel has them (5.3); before that, where a sandbox forbids it, and with more processes
/// than half of the files that may be open, the start time tells two processes with one PID apart.
#[derive(Debug)]
pub struct Process {
    pid: Pid,
    pidfd: Option<(OwnedFd, Slot)>,
    start_ticks: u64,
}

/// Which program image a process runs: changes when it execs.
///
/// With address-space randomisation every exec moves code and stack, so that even an exec
/// of the same file shows. Addresses are 0 when the kernel hides them from us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ImageIdentity {
    /// `st_dev` of `/proc/PID/exe`.
    pub device: u64,
    /// `st_ino` of `/proc/PID/exe`.
    pub inode: u64,
    /// Where the program's code starts, in the target's address space.
    pub code_start: u64,
    /// Where the program's stack starts, in the target's address space.
    pub stack_start: u64,
}

/// Among so many threads one that lives is looked for.
const MAX_TASKS: usize = 65_536;

impl Process {
    /// Opens the process that has this PID now.
    ///
    /// # Errors
    /// [`ProcessError::NoSuchProcess`] when there is none or it is a zombie,
    /// [`ProcessError::NotAProcess`] when the id is that of a thread.
    pub fn open(pid: Pid) -> Result<Process, ProcessError> {
        if pid.0 <= 0 {
            return Err(ProcessError::NoSuchProcess(pid));
        }
        let pidfd = match sys::pidfd_open(pid.0) {
            Ok(fd) => Slot::for_pidfd().map(|slot| (fd, slot)),
            Err(Errno::ESRCH) => return Err(ProcessError::NoSuchProcess(pid)),
            // Older kernels (ENOSYS), sandboxes (EPERM), thread ids (EINVAL, ENOENT): the checks below decide.
            Err(_) => None,
        };
        let status = read_proc(pid, "status")?;
        if let Some(leader) = status_number(&status, "Tgid:")
            && leader != pid.0
        {
            return Err(ProcessError::NotAProcess(Tid(pid.0), Pid(leader)));
        }
        let stat = read_stat(pid)?;
        let process = Process {
            pid,
            pidfd,
            start_ticks: stat.start_ticks,
        };
        // Alive now, so the start time read in between belongs to the process that the pidfd names.
        if process.is_alive() {
            Ok(process)
        } else {
            Err(ProcessError::NoSuchProcess(pid))
        }
    }

    /// Its id.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Its pidfd, readable once it has ended; `None` where the kernel gives none.
    #[must_use]
    pub fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(|(fd, _)| fd.as_fd())
    }

    /// When it started, in clock ticks since boot (field 22 of `/proc/PID/stat`).
    #[must_use]
    pub fn start_ticks(&self) -> u64 {
        self.start_ticks
    }

    /// When it started, to a clock tick (mostly 10 ms), as this process measures time; `None` where that cannot be
    /// told. A process keeps the time of its fork when it runs another program.
    #[must_use]
    pub fn started(&self) -> Option<Instant> {
        Instant::now().checked_sub(since_start(self.start_ticks)?)
    }

    /// Whether it still runs: one poll(2). A zombie does not; one whose main thread alone has ended does.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        match &self.pidfd {
            Some((fd, _)) => !is_readable(fd.as_fd()),
            None => {
                read_stat(self.pid).is_ok_and(|stat| is_same_and_alive(&stat, self.start_ticks))
            }
        }
    }

    /// Its command line, word by word; empty for kernel threads, and for a process that ended.
    #[must_use]
    pub fn command_line(&self) -> Vec<String> {
        match fs::read(format!("/proc/{}/cmdline", with_memory(self.pid))) {
            Ok(bytes) if self.is_alive() => split_command_line(&bytes),
            _ => Vec::new(),
        }
    }

    /// The file it runs, as `/proc/PID/exe` names it: a path in its own mount namespace,
    /// with ` (deleted)` behind it when the file is gone.
    ///
    /// # Errors
    /// When the link cannot be read.
    pub fn exe(&self) -> Result<PathBuf, ProcessError> {
        let path = format!("/proc/{}/exe", with_memory(self.pid));
        fs::read_link(&path).map_err(|source| read_error(self.pid, path, source))
    }

    /// The folder that relative paths of it begin at, as `/proc/PID/cwd` names it: a path in its own mount namespace;
    /// `None` when the link cannot be read.
    #[must_use]
    pub fn working_folder(&self) -> Option<String> {
        let folder = fs::read_link(format!("/proc/{}/cwd", with_memory(self.pid))).ok()?;
        Some(folder.to_string_lossy().into_owned())
    }

    /// Device and inode of the file that it runs, as the kernel knows them: a file system that stalls is not asked.
    ///
    /// # Errors
    /// When it has none or ended.
    pub fn exe_file(&self) -> Result<(u64, u64), ProcessError> {
        let path = format!("/proc/{}/exe", with_memory(self.pid));
        match sys::known_file(&path) {
            Ok(exe) => Ok((exe.device, exe.inode)),
            // Filters of system calls that are older than this call forbid it.
            Err(Errno::ENOSYS | Errno::EPERM) => {
                let exe = fs::metadata(&path);
                let exe = exe.map_err(|source| read_error(self.pid, path, source))?;
                Ok((exe.dev(), exe.ino()))
            }
            Err(errno) => Err(read_error(self.pid, path, errno.into())),
        }
    }

    /// Which program image it runs now. Two system calls' worth of work, so that an exec is noticed cheaply.
    ///
    /// # Errors
    /// When `/proc/PID` cannot be read, or the process has ended.
    pub fn exe_identity(&self) -> Result<ImageIdentity, ProcessError> {
        let (device, inode) = self.exe_file()?;
        let stat = read_stat(with_memory(self.pid))?;
        // Without memory it has no code: it has ended since its file was looked at.
        if stat.code_start == 0 {
            return Err(ProcessError::NoSuchProcess(self.pid));
        }
        Ok(ImageIdentity {
            device,
            inode,
            code_start: stat.code_start,
            stack_start: stat.stack_start,
        })
    }

    /// How many pages its address space has: changes when it maps or unmaps something (`size` in
    /// proc_pid_statm(5)).
    #[must_use]
    pub fn memory_pages(&self) -> Option<u64> {
        let statm = read_proc(with_memory(self.pid), "statm").ok()?;
        let text = std::str::from_utf8(&statm).ok()?;
        text.split_ascii_whitespace().next()?.parse().ok()
    }

    /// Whether it has its memory in common with `other`, as the child of a vfork(2) has until it execs;
    /// `None` where the kernel does not tell (kcmp(2)).
    #[must_use]
    pub fn shares_memory_with(&self, other: Pid) -> Option<bool> {
        sys::share_memory(self.pid.0, other.0).ok()
    }

    /// The processes that its threads have started and that still live; `None` where the kernel does not
    /// tell (`CONFIG_PROC_CHILDREN`).
    #[must_use]
    pub fn children(&self) -> Option<Vec<Pid>> {
        let tasks = self.tasks().ok()?.into_iter();
        let lists: Vec<String> = tasks
            .map(|tid| format!("/proc/{}/task/{tid}/children", self.pid))
            .filter_map(|path| fs::read_to_string(path).ok())
            .collect();
        let pids = lists.iter().flat_map(|list| list.split_ascii_whitespace());
        (!lists.is_empty()).then(|| pids.filter_map(|pid| pid.parse().ok().map(Pid)).collect())
    }

    /// Says what it is, for a message: `bash (/usr/bin/bash)`.
    #[must_use]
    pub fn describe(&self) -> String {
        let name = fs::read(format!("/proc/{}/comm", self.pid))
            .map(|bytes| {
                String::from_utf8_lossy(&bytes)
                    .trim_end_matches('\n')
                    .to_owned()
            })
            .unwrap_or_default();
        match (name.is_empty(), self.exe()) {
            (false, Ok(exe)) => format!("{name} ({})", exe.display()),
            (true, Ok(exe)) => exe.display().to_string(),
            (false, Err(_)) => name,
            (true, Err(_)) => format!("process {}", self.pid),
        }
    }
}

/// When a process started, to a clock tick (10 ms), by the clock of the system; `None` when it ended.
#[must_use]
pub fn started_at(pid: Pid) -> Option<SystemTime> {
    let start_ticks = read_stat(pid).ok()?.start_ticks;
    SystemTime::now().checked_sub(since_start(start_ticks)?)
}

/// The time since a moment that is given in clock ticks since boot.
fn since_start(start_ticks: u64) -> Option<Duration> {
    let ticks_per_s = u64::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok()?;
    let start_ms = start_ticks.checked_mul(1000)?.checked_div(ticks_per_s)?;
    let now = Duration::from(ClockId::CLOCK_BOOTTIME.now().ok()?);
    Some(now.saturating_sub(Duration::from_millis(start_ms)))
}

/// The id by which the memory, the program and the root folder of process `pid` can be had: its own, or that of
/// another thread where its main thread has ended alone, by pthread_exit(3) or exit(2). The kernel takes them from
/// a thread that ends, and `/proc` has a folder for every thread.
#[must_use]
pub fn with_memory(pid: Pid) -> Pid {
    let has_ended = |id: Pid| {
        let stat = read_stat(id);
        stat.is_ok_and(|stat| matches!(stat.state, TaskState::Zombie | TaskState::Dead))
    };
    if !has_ended(pid) {
        return pid;
    }
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten();
    let ids = tasks.take(MAX_TASKS).filter_map(|entry| {
        let name = entry.ok()?.file_name();
        name.to_str()?.parse().ok().map(Pid)
    });
    let mut living = ids.filter(|id| *id != pid && !has_ended(*id));
    living.next().unwrap_or(pid)
}

/// Reads and parses `/proc/PID/stat`.
pub(super) fn read_stat(pid: Pid) -> Result<Stat, ProcessError> {
    let path = format!("/proc/{pid}/stat");
    let bytes = read_proc(pid, "stat")?;
    parse_stat(&bytes).map_err(|source| ProcessError::Stat { path, source })
}

/// Reads a file below `/proc/PID`.
pub(super) fn read_proc(pid: Pid, file: &str) -> Result<Vec<u8>, ProcessError> {
    let path = format!("/proc/{pid}/{file}");
    fs::read(&path).map_err(|source| read_error(pid, path, source))
}

/// An error of reading `path` below `/proc/PID`; what vanished has ended.
pub(super) fn read_error(pid: Pid, path: String, source: io::Error) -> ProcessError {
    let gone = source.raw_os_error() == Some(libc::ESRCH)
        || (source.kind() == io::ErrorKind::NotFound && !is_present(pid));
    if gone {
        ProcessError::NoSuchProcess(pid)
    } else {
        ProcessError::Read { path, source }
    }
}

/// Whether a `stat` read later is of the process that started at `start_ticks`, and that process still runs.
fn is_same_and_alive(stat: &Stat, start_ticks: u64) -> bool {
    // A leader that called pthread_exit is a zombie while its process runs on.
    let ended = matches!(stat.state, TaskState::Zombie | TaskState::Dead) && stat.threads <= 1;
    stat.start_ticks == start_ticks && !ended
}

fn is_present(pid: Pid) -> bool {
    fs::metadata(format!("/proc/{pid}")).is_ok()
}

fn is_readable(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

fn split_command_line(bytes: &[u8]) -> Vec<String> {
    // A program that rewrote its title may leave any number of NULs at the end.
    let end = bytes
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(0, |last| last + 1);
    if end == 0 {
        return Vec::new();
    }
    bytes[..end]
        .split(|&byte| byte == 0)
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(state: &str, threads: u32, start: u64) -> Stat {
        let zeros = "0 ".repeat(20);
        let text =
            format!("7 (x) {state} 1 7 7 0 -1 0 0 0 0 0 1 2 0 0 20 0 {threads} 0 {start} {zeros}");
        parse_stat(text.as_bytes()).unwrap()
    }

    #[test]
    fn another_start_time_is_another_process() {
        assert!(is_same_and_alive(&stat("S", 1, 500), 500));
        assert!(!is_same_and_alive(&stat("S", 1, 501), 500));
    }

    #[test]
    fn a_zombie_has_ended_unless_other_threads_run_on() {
        assert!(!is_same_and_alive(&stat("Z", 1, 500), 500));
        assert!(!is_same_and_alive(&stat("Z", 0, 500), 500));
        assert!(is_same_and_alive(&stat("Z", 2, 500), 500));
    }

    #[test]
    fn command_lines_keep_empty_words_and_drop_trailing_nuls() {
        assert_eq!(
            split_command_line(b"python\0\0-c\0x y\0"),
            ["python", "", "-c", "x y"]
        );
        assert_eq!(split_command_line(b"title\0\0\0\0"), ["title"]);
        assert!(split_command_line(b"").is_empty());
        assert!(split_command_line(b"\0\0").is_empty());
    }

    #[test]
    fn pids_below_one_name_no_process() {
        assert!(matches!(
            Process::open(Pid(0)),
            Err(ProcessError::NoSuchProcess(Pid(0)))
        ));
        assert!(matches!(
            Process::open(Pid(-1)),
            Err(ProcessError::NoSuchProcess(Pid(-1)))
        ));
    }
}
