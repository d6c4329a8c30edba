//! Turns `/proc/PID/task` into threads, their states and their CPU time.

use std::collections::HashMap;
use std::{fs, io};

use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::{SysconfVar, sysconf};

use super::identity::{read_error, read_proc};
use super::kept_file::KeptFile;
use super::stat::{STAT_PREFIX, TaskState, parse_stat, parse_state};
use super::status::status_field;
use super::{Process, ProcessError, Tid};

impl Process {
    /// Its threads as the kernel lists them, the main thread first.
    ///
    /// # Errors
    /// [`ProcessError::NoSuchProcess`] when it ended.
    pub fn tasks(&self) -> Result<Vec<Tid>, ProcessError> {
        let path = format!("/proc/{}/task", self.pid());
        let entries = fs::read_dir(&path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let entries = entries.map_err(|source| read_error(self.pid(), path, source))?;
        Ok(entries
            .iter()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Tid))
            .collect())
    }

    /// What a thread is doing now; `None` when it ended. Who asks often keeps a [`TaskWatch`].
    #[must_use]
    pub fn task_state(&self, tid: Tid) -> Option<TaskState> {
        TaskWatch::open(self.pid(), tid).ok()?.state()
    }

    /// The CPU time a thread has used, in nanoseconds; `None` when it ended.
    ///
    /// From `schedstat` (a running thread's last time slice may be missing, at most one scheduler tick),
    /// from `stat` in clock ticks where the kernel has no `schedstat`.
    #[must_use]
    pub fn task_cpu(&self, tid: Tid) -> Option<u64> {
        if let Some(count) = self.task_clock(tid).and_then(|mut clock| clock.count()) {
            return Some(count.cpu_ns);
        }
        let stat = fs::read(format!("/proc/{}/task/{tid}/stat", self.pid())).ok()?;
        let stat = parse_stat(&stat).ok()?;
        let ticks_per_s = u64::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok()?;
        stat.cpu_ticks
            .checked_mul(1_000_000_000)?
            .checked_div(ticks_per_s)
    }

    /// The clock that counts the CPU time of all its threads; `None` when it ended.
    #[must_use]
    pub fn cpu_clock(&self) -> Option<CpuClock> {
        let pid = nix::unistd::Pid::from_raw(self.pid().0);
        clock_getcpuclockid(pid).ok().map(CpuClock)
    }

    /// The name that the kernel has for a thread, at most 15 bytes (`comm`; pthread_setname_np(3)); `None` when it
    /// ended. A thread begins with the name of the one that started it, a program with that of its file.
    #[must_use]
    pub fn task_name(&self, tid: Tid) -> Option<String> {
        let name = fs::read(format!("/proc/{}/task/{tid}/comm", self.pid())).ok()?;
        let name = String::from_utf8_lossy(&name);
        Some(name.trim_end_matches('\n').to_owned())
    }

    /// Opens the count of a thread's CPU time, to be read again and again; `None` when it ended, or the
    /// kernel does not count.
    #[must_use]
    pub fn task_clock(&self, tid: Tid) -> Option<TaskClock> {
        let path = format!("/proc/{}/task/{tid}/schedstat", self.pid());
        let schedstat = KeptFile::open(path).ok()?;
        Some(TaskClock { schedstat })
    }

    /// Maps the thread ids that it sees itself, in its innermost PID namespace, to ours.
    ///
    /// # Errors
    /// [`ProcessError::NoSuchProcess`] when it ended.
    pub fn namespace_tids(&self) -> Result<HashMap<i32, Tid>, ProcessError> {
        if self.shares_pid_namespace() {
            return Ok(self.tasks()?.into_iter().map(|tid| (tid.0, tid)).collect());
        }
        let mut inner_to_ours = HashMap::new();
        for tid in self.tasks()? {
            // A thread may end between the listing and here.
            if let Ok(status) = fs::read(format!("/proc/{}/task/{tid}/status", self.pid())) {
                inner_to_ours.insert(parse_inner_tid(&status).unwrap_or(tid.0), tid);
            }
        }
        Ok(inner_to_ours)
    }

    /// Whether its ids are the same for itself as for us; false where it cannot be told (before Linux 4.1).
    fn shares_pid_namespace(&self) -> bool {
        let status = fs::read(format!("/proc/{}/status", self.pid()));
        status.is_ok_and(|status| has_one_id(&status))
    }
}

/// Counts the CPU time of all threads of a process together (clock_getcpuclockid(3)).
#[derive(Debug, Clone, Copy)]
pub struct CpuClock(ClockId);

impl CpuClock {
    /// The CPU time so far, in nanoseconds; `None` when the process ended. Of threads that are on a CPU
    /// it may be behind by as much as a scheduler tick (`thread_group_cputime` in the kernel).
    #[must_use]
    pub fn cpu_ns(self) -> Option<u64> {
        let time = self.0.now().ok()?;
        let seconds = u64::try_from(time.tv_sec()).ok()?;
        let ns = u64::try_from(time.tv_nsec()).ok()?;
        seconds.checked_mul(1_000_000_000)?.checked_add(ns)
    }
}

/// Counts the CPU time of a thread: its `schedstat`.
#[derive(Debug)]
pub struct TaskClock {
    schedstat: KeptFile,
}

/// What the kernel has counted of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CpuCount {
    /// The CPU time so far, in nanoseconds.
    pub cpu_ns: u64,
    /// How long it was ready to run and waited for a CPU, in nanoseconds: a wait is counted when it is over
    /// (`sched_info_arrive` in `kernel/sched/stats.h`). The wait for the next period of a CPU quota counts too.
    pub waited_ns: u64,
    /// How often it got a CPU after it had waited for one.
    pub turns: u64,
}

impl TaskClock {
    /// Closes the file until it is read again, where many are open.
    pub fn close(&mut self) {
        self.schedstat.close();
    }

    /// What was counted so far; `None` when the thread ended.
    ///
    /// While the thread is on a CPU, its CPU time may be behind by as much as a scheduler tick. While it is not,
    /// it is exact.
    pub fn count(&mut self) -> Option<CpuCount> {
        let mut buffer = [0; 64];
        let length = self.schedstat.read(&mut buffer).ok()?;
        let [cpu_ns, waited_ns, turns] = parse_schedstat(&buffer[..length])?;
        Some(CpuCount {
            cpu_ns,
            waited_ns,
            turns,
        })
    }
}

/// Tells whether a thread is on a CPU, from how often it came to one and how often it left one.
#[derive(Debug)]
pub struct TaskTurns {
    schedstat: KeptFile,
    status: KeptFile,
}

/// Enough for a `status` that names thousands of CPUs.
const STATUS_BYTES: usize = 16 << 10;

impl TaskTurns {
    /// Opens the counts of a thread; `None` when it ended, or the kernel does not count.
    #[must_use]
    pub fn open(pid: super::Pid, tid: Tid) -> Option<TaskTurns> {
        let folder = format!("/proc/{pid}/task/{tid}");
        Some(TaskTurns {
            schedstat: KeptFile::open(format!("{folder}/schedstat")).ok()?,
            status: KeptFile::open(format!("{folder}/status")).ok()?,
        })
    }

    /// How often it was on a CPU, if it is on none now; `None` where that cannot be told.
    ///
    /// The kernel counts a turn when a thread comes to a CPU (`sched_info_arrive` in `kernel/sched/stats.h`) and a
    /// context switch when it leaves it (`__schedule` in `kernel/sched/core.c`).
    #[must_use]
    pub fn off_cpu(&mut self) -> Option<u64> {
        let counts = self.count()?;
        counts.is_off_cpu().then_some(counts.turns)
    }

    /// Its turns so far, and how they ended; `None` where that cannot be told.
    #[must_use]
    pub fn count(&mut self) -> Option<TurnCounts> {
        let mut schedstat = [0; 64];
        let length = self.schedstat.read(&mut schedstat).ok()?;
        let [_, _, turns] = parse_schedstat(&schedstat[..length])?;
        let mut status = [0; STATUS_BYTES];
        let length = self.status.read(&mut status).ok()?;
        let status = &status[..length];
        let left = ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"]
            .map(|name| status_field(status, name)?.trim().parse::<u64>().ok());
        let [Some(waits), Some(preemptions)] = left else {
            return None;
        };
        Some(TurnCounts {
            turns,
            waits,
            preemptions,
        })
    }
}

/// The turns of a thread on a CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TurnCounts {
    /// How often it came to a CPU.
    pub turns: u64,
    /// How often it left one to wait.
    pub waits: u64,
    /// How often it lost one to others.
    pub preemptions: u64,
}

impl TurnCounts {
    /// Whether it is on no CPU.
    #[must_use]
    pub fn is_off_cpu(self) -> bool {
        self.waits.checked_add(self.preemptions) == Some(self.turns)
    }
}

/// Has the calling thread let onto a CPU soon after it wakes up, though others are busy on all CPUs, and does so for it
/// alone: whom it starts runs as before. Where the kernel does not know that (before Linux 6.12) or does not let it,
/// nothing changes.
pub fn be_scheduled_soon() {
    // The shortest that the kernel takes.
    const SLICE_NS: u64 = 100_000;
    let _ = crate::sys::ask_for_short_slices(SLICE_NS);
}

/// Gives the calling thread a CPU only where no other wants it, for as long as it lives. Where the kernel does not let it,
/// nothing changes.
pub fn be_idle() {
    let _ = crate::sys::run_when_idle();
}

/// The CPU time that this process has used, in all its threads, in nanoseconds; 0 where it cannot be told.
#[must_use]
pub fn own_cpu_ns() -> u64 {
    let used = ClockId::CLOCK_PROCESS_CPUTIME_ID.now();
    let used = used.map(std::time::Duration::from);
    used.map_or(0, |used| u64::try_from(used.as_nanos()).unwrap_or(u64::MAX))
}

/// The CPU time that the calling thread has used, in nanoseconds; 0 where it cannot be told.
#[must_use]
pub fn own_thread_cpu_ns() -> u64 {
    let used = ClockId::CLOCK_THREAD_CPUTIME_ID.now();
    let used = used.map(std::time::Duration::from);
    used.map_or(0, |used| u64::try_from(used.as_nanos()).unwrap_or(u64::MAX))
}

/// Counts how long the calling thread has run and has waited for a CPU: its `schedstat`.
#[derive(Debug)]
pub struct RunTimes {
    schedstat: KeptFile,
}

impl RunTimes {
    /// Opens that of the calling thread.
    ///
    /// # Errors
    /// The kernel has no `/proc`, or does not count (`CONFIG_SCHED_INFO`).
    pub fn open_own() -> io::Result<RunTimes> {
        let schedstat = KeptFile::open("/proc/thread-self/schedstat".to_owned())?;
        Ok(RunTimes { schedstat })
    }

    /// Both, in nanoseconds; `None` where the kernel does not count.
    pub fn run_and_wait_ns(&mut self) -> Option<(u64, u64)> {
        let mut buffer = [0; 64];
        let length = self.schedstat.read(&mut buffer).ok()?;
        let [run_ns, wait_ns, _] = parse_schedstat(&buffer[..length])?;
        Some((run_ns, wait_ns))
    }
}

/// Counts the page faults of a thread: its `stat`.
#[derive(Debug)]
pub struct FaultCount {
    stat: KeptFile,
}

/// Enough of a `stat` for the page faults: [`STAT_PREFIX`], and eight numbers more.
const STAT_FAULTS: usize = 384;

impl FaultCount {
    /// Opens the `stat` of a thread.
    ///
    /// # Errors
    /// The thread has ended, or the kernel does not show it to this user.
    pub fn open(pid: super::Pid, tid: Tid) -> io::Result<FaultCount> {
        Ok(FaultCount {
            stat: KeptFile::open(format!("/proc/{pid}/task/{tid}/stat"))?,
        })
    }

    /// Closes the file until it is read again, where many are open.
    pub fn close(&mut self) {
        self.stat.close();
    }

    /// The faults so far that took no reading from a disk; `None` when the thread ended.
    pub fn minor_faults(&mut self) -> Option<u64> {
        let mut buffer = [0; STAT_FAULTS];
        let length = self.stat.read(&mut buffer).ok()?;
        parse_minor_faults(&buffer[..length])
    }
}

/// A thread's `stat`.
#[derive(Debug)]
pub struct TaskWatch {
    stat: KeptFile,
    buffer: [u8; STAT_PREFIX],
}

impl TaskWatch {
    /// Opens the `stat` of a thread.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn open(pid: super::Pid, tid: Tid) -> io::Result<TaskWatch> {
        Ok(TaskWatch {
            stat: KeptFile::open(format!("/proc/{pid}/task/{tid}/stat"))?,
            buffer: [0; STAT_PREFIX],
        })
    }

    /// What it is doing now; `None` when it ended.
    pub fn state(&mut self) -> Option<TaskState> {
        let length = self.stat.read(&mut self.buffer).ok()?;
        parse_state(&self.buffer[..length])
    }
}

impl Process {
    /// Its PID as it knows it itself: in its own PID namespace.
    ///
    /// # Errors
    /// [`ProcessError::NoSuchProcess`] when it is gone.
    pub fn inner_pid(&self) -> Result<i32, ProcessError> {
        let status = read_proc(self.pid(), "status")?;
        Ok(parse_inner_tid(&status).unwrap_or(self.pid().0))
    }
}

/// Field 10 of a `stat` file: the eighth after the name.
fn parse_minor_faults(prefix: &[u8]) -> Option<u64> {
    let close = prefix.iter().rposition(|&byte| byte == b')')?;
    let rest = std::str::from_utf8(prefix.get(close + 1..)?).ok()?;
    rest.split_ascii_whitespace().nth(7)?.parse().ok()
}

/// The numbers of a `schedstat` file: nanoseconds on CPUs, nanoseconds waiting for one, and how often it got one
/// (`Documentation/scheduler/sched-stats.rst`).
fn parse_schedstat(bytes: &[u8]) -> Option<[u64; 3]> {
    let mut numbers = std::str::from_utf8(bytes).ok()?.split_ascii_whitespace();
    let mut next = || numbers.next()?.parse().ok();
    Some([next()?, next()?, next()?])
}

/// Whether there is one PID namespace between the reader of this `status` and its process.
fn has_one_id(status: &[u8]) -> bool {
    status_field(status, "NSpid:").is_some_and(|ids| ids.split_ascii_whitespace().count() == 1)
}

/// The id in the innermost PID namespace: the last of `NSpid:` (outermost first; kernels since 4.1).
fn parse_inner_tid(status: &[u8]) -> Option<i32> {
    status_field(status, "NSpid:")?
        .split_ascii_whitespace()
        .next_back()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_faults_are_the_eighth_number_after_the_name() {
        let stat = b"7 (a) 1 2 3) R 1 7 7 0 -1 4194304 1234 5 6 7 8";
        assert_eq!(parse_minor_faults(stat), Some(1234));
        assert_eq!(parse_minor_faults(&stat[..20]), None);
        assert_eq!(parse_minor_faults(b""), None);
    }

    #[test]
    fn the_page_faults_of_a_thread_grow_as_it_touches_memory() {
        let own = super::super::Pid(std::process::id() as i32);
        let tid = Tid(nix::unistd::gettid().as_raw());
        let mut faults = FaultCount::open(own, tid).unwrap();
        let before = faults.minor_faults().unwrap();
        // More than malloc ever takes from memory that was used before (`DEFAULT_MMAP_THRESHOLD_MAX`, 32 MiB).
        let room = vec![1_u8; 64 << 20];
        let after = faults.minor_faults().unwrap();
        // Pages may be huge: there are a few faults at least.
        assert!(after > before, "{before} {after} {}", room[1]);
    }

    #[test]
    fn short_slices_are_for_the_thread_that_asks_for_them_alone() {
        let slice_ns = || {
            let sched = fs::read_to_string("/proc/thread-self/sched").ok()?;
            let line = sched.lines().find(|line| line.starts_with("se.slice"))?;
            line.rsplit(':').next()?.trim().parse::<u64>().ok()
        };
        let other = |of: fn()| {
            std::thread::spawn(move || {
                of();
                let started = std::thread::spawn(slice_ns).join().unwrap();
                (slice_ns(), started)
            })
        };
        let (usual, _) = other(|| ()).join().unwrap();
        let (asked, started) = other(be_scheduled_soon).join().unwrap();
        assert_eq!(started, usual);
        // Kernels before 6.12 say nothing of slices.
        if let (Some(usual), Some(asked)) = (usual, asked) {
            assert_eq!(asked, 100_000.min(usual));
        }
    }

    #[test]
    fn a_thread_knows_how_long_it_ran() {
        let mut times = RunTimes::open_own().unwrap();
        let (before, _) = times.run_and_wait_ns().unwrap();
        while times.run_and_wait_ns().unwrap().0 == before {}
    }

    #[test]
    fn schedstat_is_cpu_time_waiting_and_turns() {
        let numbers = Some([123_456_789, 55, 7]);
        assert_eq!(parse_schedstat(b"123456789 55 7\n"), numbers);
        for strange in [&b""[..], b"1", b"1 2", b"x 2 3", b"1 2 -3", b"\xff"] {
            assert_eq!(parse_schedstat(strange), None);
        }
    }

    #[test]
    fn the_innermost_id_is_the_last() {
        assert_eq!(
            parse_inner_tid(b"Name:\tx\nNSpid:\t900\t31\t5\nNSpgid:\t1\n"),
            Some(5)
        );
        assert_eq!(parse_inner_tid(b"NSpid:\t900\n"), Some(900));
        assert_eq!(parse_inner_tid(b"Name:\tx\n"), None);
        assert!(has_one_id(b"Name:\tx\nNSpid:\t900\nNSpgid:\t1\n"));
        assert!(!has_one_id(b"NSpid:\t900\t31\n"));
        assert!(!has_one_id(b"Name:\tx\n"));
    }
}
