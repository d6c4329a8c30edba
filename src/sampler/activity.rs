//! Turns what the kernel says of a thread into whether it runs, or what it waits for.
//!
//! One read of `/proc/PID/task/TID/syscall` says both: `running`, or the system call with its arguments. What
//! a descriptor stands for is looked up below `/proc/PID/fd`, and the descriptors of a poll(2) or select(2)
//! are in the target's memory. Names of functions are never asked.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::usage::reason;
use crate::cpython::gil::GilLocks;
use crate::memory::window::int_at;
use crate::memory::{Address, LiveMemory, ReadMemory};
use crate::process::{
    DescriptorKind, Pid, Process, Syscall, SyscallWatch, TaskState, TaskWatch, ThreadActivity, Tid,
    Wait, WaitRegisters, descriptor_kind, is_frozen, wait_of,
};
use crate::profile::event::{Nanos, State};

/// What the kernel said of a thread holds for so long: at rates above 10 kHz it is not asked at every tick.
pub const STATE_HOLDS: Nanos = Nanos(100_000);

/// A thread that seems to wait in the same call still is looked at anew after this time: its descriptor may
/// have become another one meanwhile.
const CALL_HOLDS: Nanos = Nanos(100_000_000);

/// For so long it holds whether a process is frozen: that takes some files to be read.
const FROZEN_HOLDS: Duration = Duration::from_millis(100);

/// Of so many descriptors waited for at once it is looked up what they are; all must be of one kind.
const MAX_DESCRIPTORS: u64 = 16;

/// `FD_SETSIZE` of select(2).
const MAX_SELECTED: u64 = 1024;

/// Bytes of a `pollfd`: the descriptor, an int, comes first (poll(2)).
const POLLFD_BYTES: u64 = 8;

/// What was seen of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Seen {
    /// Nothing can be learnt of it.
    #[default]
    Unknown,
    /// It is on a CPU, or waits for one.
    Running,
    /// It waits for something.
    Waiting(State),
}

/// The process whose threads are watched.
#[derive(Debug)]
pub struct Watched {
    pid: Pid,
    memory: LiveMemory,
    /// When it was asked last whether it is frozen, and the answer.
    frozen: Cell<Option<(Instant, bool)>>,
}

/// Watches one thread.
#[derive(Debug)]
pub struct Watch {
    tid: Tid,
    syscall: Option<SyscallWatch>,
    /// Opened when it is needed.
    stat: Option<TaskWatch>,
    seen: Seen,
    asked: Option<Nanos>,
    /// When what it waits for was looked up.
    looked_up: Nanos,
    /// Why its system calls cannot be seen, until that is told.
    refused: Option<String>,
}

impl Watched {
    /// The threads of this process are to be watched.
    #[must_use]
    pub fn new(pid: Pid) -> Watched {
        let memory = LiveMemory::new(pid);
        Watched {
            pid,
            memory,
            frozen: Cell::new(None),
        }
    }
}

impl Watch {
    /// Begins with a thread.
    #[must_use]
    pub fn new(process: &Process, tid: Tid) -> Watch {
        let syscall = SyscallWatch::open(process.pid(), tid);
        let has_ended = process.task_state(tid).is_none();
        let refused = syscall.as_ref().err().filter(|_| !has_ended);
        Watch {
            tid,
            refused: refused.map(reason),
            syscall: syscall.ok(),
            stat: None,
            seen: Seen::Unknown,
            asked: None,
            looked_up: Nanos(0),
        }
    }

    /// Closes its files until the thread is looked at again.
    pub fn close(&mut self) {
        if let Some(syscall) = &mut self.syscall {
            syscall.close();
        }
        self.stat = None;
    }

    /// What was seen last.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.seen
    }

    /// Where it waits, as it was seen last; `None`: it ran, or the kernel does not tell.
    #[must_use]
    pub fn wait_registers(&self) -> Option<WaitRegisters> {
        self.syscall.as_ref()?.wait_registers()
    }

    /// Whether one that was seen running still runs, by the word of the kernel at this moment.
    pub fn is_running_still(&mut self) -> bool {
        let syscall = self.syscall.as_mut().filter(|_| self.seen == Seen::Running);
        syscall.is_some_and(|syscall| matches!(syscall.read(), Ok((ThreadActivity::Running, _))))
    }

    /// Why the kernel does not tell the system calls of the thread, if it does not; told once.
    pub fn take_refused(&mut self) -> Option<String> {
        self.refused.take()
    }

    /// What the thread does at `at`: asked of the kernel unless it was asked just before. `gil` is where it
    /// would wait for the GIL.
    pub fn look(&mut self, at: Nanos, gil: Option<GilLocks>, watched: &Watched) -> Seen {
        let is_due = self.asked.is_none_or(|asked| at >= asked + STATE_HOLDS);
        if is_due {
            self.asked = Some(at);
            self.seen = self.ask(at, gil, watched);
        }
        self.seen
    }

    fn ask(&mut self, at: Nanos, gil: Option<GilLocks>, watched: &Watched) -> Seen {
        let Some(syscall) = &mut self.syscall else {
            return self.ask_stat(watched);
        };
        match syscall.read() {
            Ok((ThreadActivity::Running, _)) => Seen::Running,
            Ok((_, true)) if self.is_waiting() && at < self.looked_up + CALL_HOLDS => self.seen,
            Ok((doing, _)) => {
                self.looked_up = at;
                match doing {
                    ThreadActivity::In(call) => match self.waits(call, gil, watched) {
                        State::Waiting => self.wait_by_state(watched),
                        state => Seen::Waiting(state),
                    },
                    _ => self.wait_by_state(watched),
                }
            }
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Seen::Unknown,
            Err(error) => {
                self.refused = Some(reason(&error));
                self.syscall = None;
                self.ask_stat(watched)
            }
        }
    }

    fn is_waiting(&self) -> bool {
        matches!(self.seen, Seen::Waiting(_))
    }

    /// By its state alone: it runs, or waits for a disk, or for something that it does not tell.
    fn ask_stat(&mut self, watched: &Watched) -> Seen {
        if self.stat.is_none() {
            self.stat = TaskWatch::open(watched.pid, self.tid).ok();
        }
        let state = self.stat.as_mut().and_then(TaskWatch::state);
        by_state(state, || watched.is_frozen())
    }

    /// It waits outside of any system call, or in one that does not tell for what: for a page that must be read,
    /// or until a file that is closed and has no name any more is freed; or it is stopped.
    fn wait_by_state(&mut self, watched: &Watched) -> Seen {
        match self.ask_stat(watched) {
            Seen::Unknown => Seen::Waiting(State::Waiting),
            seen => seen,
        }
    }

    fn waits(&self, call: Syscall, gil: Option<GilLocks>, watched: &Watched) -> State {
        // A call that went on after the thread had been stopped for a moment: still the one before.
        if call.number == libc::SYS_restart_syscall
            && let Seen::Waiting(before) = self.seen
        {
            return before;
        }
        match wait_of(call) {
            Wait::Futex(futex) if gil.is_some_and(|gil| gil.have(futex)) => State::Gil,
            Wait::Futex(_) | Wait::Lock => State::Lock,
            Wait::Sleep => State::Sleep,
            Wait::FileSystem => State::Disk,
            Wait::Network => State::Network,
            Wait::Child => State::Child,
            Wait::Descriptor(fd) => watched.state_of(fd),
            Wait::Poll(list, count) => watched.common_state(watched.polled(list, count)),
            Wait::Select(below, sets) => watched.common_state(watched.selected(below, sets)),
            Wait::Other => State::Waiting,
        }
    }
}

/// What the state of a thread says. The kernel shows one that is frozen with its control group like one that waits for a
/// disk.
fn by_state(state: Option<TaskState>, is_frozen: impl FnOnce() -> bool) -> Seen {
    match state {
        Some(TaskState::Running) => Seen::Running,
        Some(TaskState::DiskSleep) if is_frozen() => Seen::Waiting(State::Waiting),
        Some(TaskState::DiskSleep) => Seen::Waiting(State::Disk),
        _ => Seen::Unknown,
    }
}

impl Watched {
    /// Whether the process is frozen, as was found out within [`FROZEN_HOLDS`].
    fn is_frozen(&self) -> bool {
        let before = self.frozen.get();
        let before = before.filter(|(asked, _)| asked.elapsed() < FROZEN_HOLDS);
        let (asked, is_frozen) = before.unwrap_or_else(|| (Instant::now(), is_frozen(self.pid)));
        self.frozen.set(Some((asked, is_frozen)));
        is_frozen
    }

    fn state_of(&self, fd: i32) -> State {
        match descriptor_kind(self.pid, fd) {
            Some(DescriptorKind::File) => State::Disk,
            Some(DescriptorKind::Socket) => State::Network,
            Some(DescriptorKind::Pipe) => State::Pipe,
            Some(DescriptorKind::Process) => State::Child,
            Some(DescriptorKind::Other) | None => State::Waiting,
        }
    }

    /// What a thread waits for that waits for all of these: one kind of thing, or something.
    fn common_state(&self, fds: Option<Vec<i32>>) -> State {
        let mut states = fds
            .unwrap_or_default()
            .into_iter()
            .map(|fd| self.state_of(fd));
        let first = states.next().unwrap_or(State::Waiting);
        if states.all(|state| state == first) {
            first
        } else {
            State::Waiting
        }
    }

    /// The descriptors of `count` `pollfd`s; `None` when there are too many, or they cannot be read.
    fn polled(&self, list: u64, count: u64) -> Option<Vec<i32>> {
        if count > MAX_DESCRIPTORS {
            return None;
        }
        let mut bytes = vec![0; usize::try_from(count * POLLFD_BYTES).ok()?];
        self.memory.read(Address(list), &mut bytes).ok()?;
        (0..count)
            .map(|number| int_at(&bytes, number * POLLFD_BYTES))
            .collect()
    }

    /// The descriptors in up to three `fd_set`s, of which each bit is one.
    fn selected(&self, below: u64, sets: [u64; 3]) -> Option<Vec<i32>> {
        let bytes = below.min(MAX_SELECTED).div_ceil(64) * 8;
        let mut fds = Vec::new();
        for set in sets.into_iter().filter(|set| *set != 0) {
            let mut bits = vec![0; usize::try_from(bytes).ok()?];
            self.memory.read(Address(set), &mut bits).ok()?;
            let set_bits = (0..below.min(MAX_SELECTED))
                .filter(|fd| bits[(fd / 8) as usize] >> (fd % 8) & 1 == 1);
            fds.extend(set_bits.map(|fd| fd as i32));
        }
        fds.truncate(MAX_DESCRIPTORS as usize + 1);
        (fds.len() as u64 <= MAX_DESCRIPTORS).then_some(fds)
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    fn watch(child: &Child) -> (Watch, Watched) {
        let pid = Pid(child.id() as i32);
        let process = Process::open(pid).unwrap();
        (Watch::new(&process, Tid(pid.0)), Watched::new(pid))
    }

    /// What a command waits for in the end, looked at every millisecond of a clock of its own.
    fn comes_to(program: &str, arguments: &[&str], expected: Seen) {
        let command = &mut Command::new(program);
        let command = command.args(arguments).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        let (mut watch, watched) = watch(&child);
        let mut seen = Vec::new();
        let found = (1..20_000).any(|ms| {
            std::thread::sleep(std::time::Duration::from_millis(1));
            seen.push(watch.look(Nanos(ms * 1_000_000), None, &watched));
            seen.last() == Some(&expected)
        });
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found, "{program}: {seen:?}");
        assert_eq!(watch.take_refused(), None);
        assert_eq!(watch.look(Nanos(u64::MAX), None, &watched), Seen::Unknown);
        assert_eq!(watch.take_refused(), None, "that it ended is no refusal");
    }

    #[test]
    fn what_a_command_waits_for_is_seen() {
        comes_to("cat", &[], Seen::Waiting(State::Pipe));
        comes_to("sleep", &["100"], Seen::Waiting(State::Sleep));
        comes_to(
            "sh",
            &["-c", "sleep 100; true"],
            Seen::Waiting(State::Child),
        );
        comes_to("sh", &["-c", "while :; do :; done"], Seen::Running);
    }

    #[test]
    fn a_frozen_thread_does_not_wait_for_the_disk() {
        let seen = |state, is_frozen| by_state(Some(state), || is_frozen);
        let disk = TaskState::DiskSleep;
        assert_eq!(seen(disk, true), Seen::Waiting(State::Waiting));
        assert_eq!(seen(disk, false), Seen::Waiting(State::Disk));
        assert_eq!(seen(TaskState::Running, true), Seen::Running);
    }

    #[test]
    fn without_system_calls_there_is_the_state_alone() {
        let command = &mut Command::new("cat");
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let (mut watch, watched) = watch(&child);
        watch.syscall = None;
        // Until it waits for its input it runs, and waits for the pages of its program that must be read.
        loop {
            match watch.ask(Nanos(0), None, &watched) {
                Seen::Running | Seen::Waiting(State::Disk) => std::thread::yield_now(),
                seen => break assert_eq!(seen, Seen::Unknown),
            }
        }
        assert!(watch.stat.is_some(), "its state was read");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn selected_descriptors_are_read_from_their_bits() {
        let watched = Watched::new(Pid(std::process::id() as i32));
        let bits = [0b1001_u64, 1];
        let at = bits.as_ptr() as u64;
        assert_eq!(watched.selected(65, [at, 0, 0]), Some(vec![0, 3, 64]));
        assert_eq!(watched.selected(3, [at, 0, at]), Some(vec![0, 0]));
        assert_eq!(watched.selected(65, [8, 0, 0]), None);
        let polled = [libc::pollfd {
            fd: 7,
            events: 1,
            revents: 0,
        }; 2];
        assert_eq!(watched.polled(polled.as_ptr() as u64, 2), Some(vec![7, 7]));
        assert_eq!(watched.polled(polled.as_ptr() as u64, 17), None);
    }
}
