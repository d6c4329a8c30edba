//! Turns `/proc/PID/io`, `stat`, `status` and `statm` into what the kernel counts of a process.

use std::collections::HashMap;
use std::fs;
use std::io;

use nix::unistd::{SysconfVar, sysconf};

use super::identity::with_memory;
use super::kept_file::KeptFile;
use super::stat::parse_stat;
use super::status::status_field;
use super::tasks::CpuClock;
use super::{Pid, Process, TaskState, Tid};

/// With more threads than this, what only their own files tell is left out: reading them takes some ten
/// microseconds each.
const MAX_TASKS: usize = 512;

/// No file of a process is longer: `status` has some 1.5 KB, and more on machines with many CPUs.
const LONGEST: usize = 8192;

/// What the kernel counts of a process. Counters run from its start; `None`: it does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Resident memory (`VmRSS`).
    pub resident_bytes: Option<u64>,
    /// The most that was ever resident (`VmHWM`).
    pub peak_bytes: Option<u64>,
    /// Resident memory that belongs to no file (`RssAnon`, Linux 4.5).
    pub anonymous_bytes: Option<u64>,
    /// CPU time of all threads, those that ended included.
    pub cpu_ns: Option<u64>,
    /// Threads in state `R`.
    pub runnable: Option<u32>,
    /// `rchar` of `io`.
    pub read_calls_bytes: Option<u64>,
    /// `wchar`.
    pub write_calls_bytes: Option<u64>,
    /// `read_bytes`.
    pub storage_read_bytes: Option<u64>,
    /// `write_bytes`.
    pub storage_written_bytes: Option<u64>,
    /// Field 10 of `stat`.
    pub minor_faults: Option<u64>,
    /// Field 12 of `stat`.
    pub major_faults: Option<u64>,
    /// `voluntary_ctxt_switches`, summed over the threads.
    pub voluntary_switches: Option<u64>,
    /// `nonvoluntary_ctxt_switches`, summed over the threads.
    pub forced_switches: Option<u64>,
}

/// Reads the counters of one process again and again.
#[derive(Debug)]
pub struct CounterWatch {
    pid: Pid,
    clock: Option<CpuClock>,
    /// `io`, `stat` and `status`.
    files: [ProcFile; 3],
    /// The context switches of each thread. The kernel keeps those of ended threads to itself.
    switches: HashMap<Tid, Switches>,
    ended: Switches,
}

/// A file that could not be read.
#[derive(Debug)]
pub struct Refused {
    /// Its name below `/proc/PID`.
    pub file: &'static str,
    /// What the kernel said.
    pub error: io::Error,
}

/// Context switches: voluntary ones, and forced ones.
type Switches = [u64; 2];

impl CounterWatch {
    /// Begins with a process.
    #[must_use]
    pub fn new(process: &Process) -> CounterWatch {
        CounterWatch {
            pid: process.pid(),
            clock: process.cpu_clock(),
            files: ["io", "stat", "status"].map(|name| ProcFile { name, file: None }),
            switches: HashMap::new(),
            ended: [0; 2],
        }
    }

    /// Reads all that can be read; what cannot is told apart.
    pub fn read(&mut self) -> (Counters, Vec<Refused>) {
        let mut counters = Counters {
            cpu_ns: self.clock.and_then(CpuClock::cpu_ns),
            ..Counters::default()
        };
        let mut refused = Vec::new();
        let mut buffer = [0; LONGEST];
        let mut threads = 0;
        for file in &mut self.files {
            let bytes = match file.read(self.pid, &mut buffer) {
                Ok(length) => &buffer[..length],
                Err(error) => {
                    threads = 0;
                    let file = file.name;
                    refused.push(Refused { file, error });
                    continue;
                }
            };
            match file.name {
                "io" => take_io(bytes, &mut counters),
                "stat" => threads = take_stat(bytes, &mut counters),
                _ => take_status(bytes, &mut counters),
            }
        }
        if let Err(error) = self.read_tasks(threads, &buffer, &mut counters) {
            let file = "task";
            refused.push(Refused { file, error });
        }
        (counters, refused)
    }

    /// Reads the `status` of each of so many threads. That of the only one is `status`, which was read last.
    fn read_tasks(
        &mut self,
        threads: u32,
        status: &[u8],
        counters: &mut Counters,
    ) -> io::Result<()> {
        let mut tasks = Tasks::default();
        if threads == 1 {
            tasks.add(Tid(self.pid.0), status);
            self.take_tasks(tasks, counters);
            return Ok(());
        }
        let folder = format!("/proc/{}/task", self.pid);
        for entry in fs::read_dir(&folder)? {
            let Some(tid) = entry?.file_name().to_str().and_then(|tid| tid.parse().ok()) else {
                continue;
            };
            if tasks.switches.len() >= MAX_TASKS {
                return Ok(());
            }
            // It may end between the listing and here.
            if let Ok(status) = fs::read(format!("{folder}/{tid}/status")) {
                tasks.add(Tid(tid), &status);
            }
        }
        self.take_tasks(tasks, counters);
        Ok(())
    }

    fn take_tasks(&mut self, tasks: Tasks, counters: &mut Counters) {
        let now = tasks.switches;
        for (tid, [voluntary, forced]) in &self.switches {
            if !now.contains_key(tid) {
                self.ended[0] += voluntary;
                self.ended[1] += forced;
            }
        }
        let sum = |which: usize| self.ended[which] + now.values().map(|s| s[which]).sum::<u64>();
        counters.runnable = Some(tasks.runnable);
        if !now.is_empty() {
            counters.voluntary_switches = Some(sum(0));
            counters.forced_switches = Some(sum(1));
        }
        self.switches = now;
    }
}

/// What the files of the threads say.
#[derive(Debug, Default)]
struct Tasks {
    runnable: u32,
    switches: HashMap<Tid, Switches>,
}

impl Tasks {
    fn add(&mut self, tid: Tid, status: &[u8]) {
        let state = status_field(status, "State:").and_then(|state| state.bytes().next());
        let state = state.map(TaskState::from_letter);
        self.runnable += u32::from(state == Some(TaskState::Running));
        if let Some(switches) = switches_of(status) {
            self.switches.insert(tid, switches);
        }
    }
}

/// A file of the process, opened when it is first read.
#[derive(Debug)]
struct ProcFile {
    name: &'static str,
    file: Option<KeptFile>,
}

impl ProcFile {
    fn read(&mut self, pid: Pid, into: &mut [u8; LONGEST]) -> io::Result<usize> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => KeptFile::open(format!("/proc/{pid}/{}", self.name))?,
        };
        let length = file.read(into)?;
        self.file = Some(file);
        into[length..].fill(0);
        Ok(length)
    }
}

fn switches_of(status: &[u8]) -> Option<Switches> {
    let number = |key| status_field(status, key)?.trim().parse().ok();
    Some([
        number("voluntary_ctxt_switches:")?,
        number("nonvoluntary_ctxt_switches:")?,
    ])
}

/// Takes in `/proc/PID/io` (proc_pid_io(5)), which has the form of `status`.
fn take_io(io: &[u8], counters: &mut Counters) {
    let number = |key| status_field(io, key)?.trim().parse().ok();
    counters.read_calls_bytes = number("rchar:");
    counters.write_calls_bytes = number("wchar:");
    counters.storage_read_bytes = number("read_bytes:");
    counters.storage_written_bytes = number("write_bytes:");
}

/// Returns how many threads there are; 0: that is not known.
fn take_stat(stat: &[u8], counters: &mut Counters) -> u32 {
    let Ok(stat) = parse_stat(stat) else {
        return 0;
    };
    counters.minor_faults = Some(stat.minor_faults);
    counters.major_faults = Some(stat.major_faults);
    stat.threads
}

fn take_status(status: &[u8], counters: &mut Counters) {
    let bytes = |key| {
        let kib: u64 = status_field(status, key)?
            .trim()
            .strip_suffix(" kB")?
            .parse()
            .ok()?;
        kib.checked_mul(1024)
    };
    counters.resident_bytes = bytes("VmRSS:");
    counters.peak_bytes = bytes("VmHWM:");
    counters.anonymous_bytes = bytes("RssAnon:");
}

/// The resident memory of a process: its `statm`.
///
/// How exact it is depends on the kernel. Up to 6.1 each thread keeps up to 64 page faults to itself
/// before it tells the process (`SPLIT_RSS_COUNTING`): 256 KiB a thread. From 6.2 to 6.16 each CPU keeps
/// up to `max(32, 2 × CPUs)` pages (`percpu_counter_batch`): 128 KiB a CPU on a machine with 16, and 64 MiB
/// in all at worst on one with 128, of which those CPUs count on which the process runs. From 6.17 on
/// it is exact ("mm: fix the inaccurate memory statistics issue for users").
#[derive(Debug)]
pub struct ResidentMemory {
    pid: Pid,
    statm: KeptFile,
    page_bytes: u64,
}

impl ResidentMemory {
    /// Opens the `statm` of a process.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn open(process: &Process) -> io::Result<ResidentMemory> {
        let page_bytes = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
        Ok(ResidentMemory {
            pid: process.pid(),
            statm: open_statm(process.pid())?,
            page_bytes: page_bytes
                .and_then(|n| u64::try_from(n).ok())
                .unwrap_or(4096),
        })
    }

    /// How large a page is, in bytes.
    #[must_use]
    pub fn page_bytes(&self) -> u64 {
        self.page_bytes
    }

    /// How much is resident now, in bytes; `None` when the process has none any more.
    pub fn bytes(&mut self) -> Option<u64> {
        let mut buffer = [0; 96];
        let length = self.statm.read(&mut buffer).ok()?;
        let pages = parse_resident(&buffer[..length])?;
        if pages == 0 {
            // The thread whose file it is has ended: another one may have the memory still.
            self.statm = open_statm(self.pid).ok()?;
            return None;
        }
        pages.checked_mul(self.page_bytes)
    }
}

fn open_statm(pid: Pid) -> io::Result<KeptFile> {
    KeptFile::open(format!("/proc/{}/statm", with_memory(pid)))
}

/// The second number of a `statm` (proc_pid_statm(5)): resident pages.
fn parse_resident(statm: &[u8]) -> Option<u64> {
    let mut words = std::str::from_utf8(statm).ok()?.split_ascii_whitespace();
    words.nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Process {
        Process::open(Pid(std::process::id() as i32)).unwrap()
    }

    #[test]
    fn files_give_their_counters() {
        let mut counters = Counters::default();
        take_io(b"rchar: 11\nwchar: 12\nsyscr: 1\nsyscw: 2\nread_bytes: 13\nwrite_bytes: 14\ncancelled_write_bytes: 5\n", &mut counters);
        take_status(b"Name:\tx\nVmHWM:\t    300 kB\nVmRSS:\t    200 kB\nRssAnon:\t    100 kB\nRssFile:\t 1 kB\n", &mut counters);
        let expected = Counters {
            resident_bytes: Some(200 << 10),
            peak_bytes: Some(300 << 10),
            anonymous_bytes: Some(100 << 10),
            read_calls_bytes: Some(11),
            write_calls_bytes: Some(12),
            storage_read_bytes: Some(13),
            storage_written_bytes: Some(14),
            ..Counters::default()
        };
        assert_eq!(counters, expected);
        let switches =
            b"State:\tR (running)\nvoluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t8\n";
        assert_eq!(switches_of(switches), Some([7, 8]));
        assert_eq!(switches_of(b"State:\tZ (zombie)\n"), None);
        assert_eq!(parse_resident(b"732 443 414 6 0 89 0\n"), Some(443));
        assert_eq!(parse_resident(b"732"), None);
    }

    #[test]
    fn switches_of_ended_threads_stay_counted() {
        let mut watch = CounterWatch::new(&own());
        let busy = std::thread::spawn(|| {
            for _ in 0..50 {
                std::thread::sleep(std::time::Duration::from_micros(50));
            }
            std::thread::park();
        });
        let mut before = 0;
        while before < 50 {
            before = watch.read().0.voluntary_switches.unwrap();
        }
        busy.thread().unpark();
        busy.join().unwrap();
        let (after, refused) = watch.read();
        assert!(after.voluntary_switches.unwrap() >= before);
        assert!(refused.is_empty(), "{refused:?}");
        assert!(after.runnable.unwrap() >= 1);
    }

    #[test]
    fn memory_in_use_is_resident() {
        let mut memory = ResidentMemory::open(&own()).unwrap();
        let before = memory.bytes().unwrap();
        let room = vec![1_u8; 64 << 20];
        let after = memory.bytes().unwrap();
        assert!(after > before + (60 << 20), "{before} {after} {}", room[1]);
    }
}
