//! Turns a running thread into a stopped one, for as long as a guard lives.
//!
//! The thread that calls is the tracer, so a stop takes no hand-over between threads of ours: some 20 µs. The kernel
//! lets a tracee run on when its tracer ends, stopped or not, so neither a panic nor a kill of rsamp leaves the target
//! stopped. A thread that hangs in the kernel stops only when it returns from there: it is kept in mind, and
//! [`release_late`] lets it go as soon as it has. Who does not want to wait asks for a stop ([`PendingStop`]) and looks
//! later whether it has come.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::Signal;

use super::identity::read_stat;
use super::status::status_number;
use super::{Pid, ProcessError, Tid};
use crate::sys::{self, Waited};

/// How long a thread may take to stop. A running one takes about 20 µs; one that waits for a CPU as long as others
/// have it; only one in uninterruptible sleep takes longer, and that one need not be waited for.
pub const PAUSE_LIMIT: Duration = Duration::from_millis(20);

/// So long it is waited without sleeping: a sleep takes longer than most stops.
const SPIN: Duration = Duration::from_micros(60);

thread_local! {
    /// Threads that this thread traces, and that had not stopped when it had waited for [`PAUSE_LIMIT`].
    static LATE: RefCell<Vec<(Pid, Tid)>> = const { RefCell::new(Vec::new()) };
}

/// A stopped thread. Dropping it lets the thread run, with the signal that came meanwhile.
#[derive(Debug)]
#[must_use = "dropping the guard lets the thread run again"]
pub struct Paused {
    held: Held,
    /// A tracer is a thread.
    stays_here: PhantomData<*const ()>,
}

/// Stops one thread. Who calls this has to call [`release_late`] now and then, as long as the calling thread lives.
///
/// # Errors
/// [`ProcessError::NoSuchThread`], [`ProcessError::Ptrace`] when not permitted or another tracer has it,
/// [`ProcessError::PauseTimeout`] when it hangs in the kernel; it runs on then.
pub fn pause(pid: Pid, tid: Tid) -> Result<Paused, ProcessError> {
    release_late();
    if LATE.with_borrow(|late| late.contains(&(pid, tid))) {
        return Err(timeout(pid, tid));
    }
    let held = Held::stop(pid, tid);
    if matches!(held, Err(ProcessError::PauseTimeout { .. })) {
        LATE.with_borrow_mut(|late| late.push((pid, tid)));
    }
    Ok(Paused {
        held: held?,
        stays_here: PhantomData,
    })
}

/// Lets go of the threads that have stopped since the calling thread gave up to wait for them.
pub fn release_late() {
    let is_late = |(pid, tid): &(Pid, Tid)| match sys::wait_for_trace_stop(tid.0) {
        Ok(None) if has_ended(*pid, *tid) => {
            reap(*pid, *tid);
            false
        }
        Ok(None) => true,
        Ok(Some(waited)) => !Held::stopped(*pid, *tid, waited.status).release(),
        Err(Errno::EINTR) => true,
        Err(_) => {
            reap(*pid, *tid);
            false
        }
    };
    LATE.with_borrow_mut(|late| late.retain(is_late));
}

/// A thread that was asked to stop, and may run on for a while. Dropping it lets the thread run, as soon as it has stopped.
#[derive(Debug)]
#[must_use = "dropping it takes the stop back"]
pub struct PendingStop {
    pid: Pid,
    tid: Tid,
    /// Whether the thread is to be let go by this value.
    is_owed: bool,
    /// A tracer is a thread.
    stays_here: PhantomData<*const ()>,
}

/// What became of a thread that was asked to stop.
#[derive(Debug)]
pub enum StopOutcome {
    /// It has stopped.
    Stopped(Paused),
    /// It has not stopped yet: it waits for a CPU, or hangs in the kernel.
    Pending(PendingStop),
    /// It has ended.
    Ended,
}

impl PendingStop {
    /// Asks one thread to stop, and does not wait for it. Who calls this has to call [`release_late`] now and then.
    ///
    /// # Errors
    /// As [`pause`]: [`ProcessError::PauseTimeout`] for a thread that was asked before and has not stopped since.
    pub fn ask(pid: Pid, tid: Tid) -> Result<PendingStop, ProcessError> {
        if LATE.with_borrow(|late| late.contains(&(pid, tid))) {
            return Err(timeout(pid, tid));
        }
        Held::seize(pid, tid)?;
        Held::interrupt(pid, tid)?;
        Ok(PendingStop {
            pid,
            tid,
            is_owed: true,
            stays_here: PhantomData,
        })
    }

    /// Looks whether it has stopped: one system call. That a thread ends without a stop shows in [`PendingStop::has_ended`].
    #[must_use]
    pub fn poll(mut self) -> StopOutcome {
        match sys::wait_for_trace_stop(self.tid.0) {
            Ok(Some(waited)) => {
                self.is_owed = false;
                StopOutcome::Stopped(Paused {
                    held: Held::stopped(self.pid, self.tid, waited.status),
                    stays_here: PhantomData,
                })
            }
            Ok(None) | Err(Errno::EINTR) => StopOutcome::Pending(self),
            Err(_) => {
                self.is_owed = false;
                reap(self.pid, self.tid);
                StopOutcome::Ended
            }
        }
    }

    /// Whether the thread has ended before it stopped.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        has_ended(self.pid, self.tid)
    }
}

impl Drop for PendingStop {
    fn drop(&mut self) {
        if self.is_owed {
            LATE.with_borrow_mut(|late| late.push((self.pid, self.tid)));
        }
    }
}

impl Paused {
    /// The stopped thread.
    #[must_use]
    pub fn tid(&self) -> Tid {
        self.held.tid
    }

    /// The general registers, the stack pointer and the instruction, by their DWARF numbers (System V ABI for x86-64, figure
    /// 3.36); `None` on other architectures, or where the thread was killed meanwhile.
    #[must_use]
    pub fn registers(&self) -> Option<[u64; 17]> {
        general_registers(self.held.tid)
    }

    /// Lets the thread execute one instruction; whether it did and has stopped after it. In the kernel it may take as
    /// long as it likes for that.
    pub fn step(&mut self) -> bool {
        self.held.step()
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        if !self.held.release() {
            LATE.with_borrow_mut(|late| late.push((self.held.pid, self.held.tid)));
        }
    }
}

/// The process that traces `pid`, with its name, as `strace (4242)`.
#[must_use]
pub fn tracer_of(pid: Pid) -> Option<String> {
    let status = std::fs::read(format!("/proc/{pid}/status")).ok()?;
    let tracer = status_number(&status, "TracerPid:").filter(|tracer| *tracer > 0)?;
    let name = std::fs::read_to_string(format!("/proc/{tracer}/comm")).ok()?;
    Some(format!("{} ({tracer})", name.trim_end()))
}

#[cfg(target_arch = "x86_64")]
fn general_registers(tid: Tid) -> Option<[u64; 17]> {
    let found = ptrace::getregs(nix::unistd::Pid::from_raw(tid.0)).ok()?;
    Some([
        found.rax, found.rdx, found.rcx, found.rbx, found.rsi, found.rdi, found.rbp, found.rsp,
        found.r8, found.r9, found.r10, found.r11, found.r12, found.r13, found.r14, found.r15,
        found.rip,
    ])
}

#[cfg(not(target_arch = "x86_64"))]
fn general_registers(_: Tid) -> Option<[u64; 17]> {
    None
}

fn timeout(pid: Pid, tid: Tid) -> ProcessError {
    ProcessError::PauseTimeout {
        pid,
        tid,
        milliseconds: PAUSE_LIMIT.as_millis() as u64,
    }
}

/// One thread stopped by the thread that this value was made on.
#[derive(Debug)]
struct Held {
    pid: Pid,
    tid: Tid,
    /// The signal it was about to receive when it stopped, 0 for none: handed over when it goes on.
    signal: i32,
    /// Whether a stop of the whole process (Ctrl-Z, SIGSTOP) was in effect. The kernel keeps it so.
    in_group_stop: bool,
}

impl Held {
    fn stop(pid: Pid, tid: Tid) -> Result<Held, ProcessError> {
        Held::seize(pid, tid)?;
        Held::stop_seized(pid, tid)
    }

    fn stop_seized(pid: Pid, tid: Tid) -> Result<Held, ProcessError> {
        Held::interrupt(pid, tid)?;
        Ok(Held::stopped(pid, tid, wait_for_stop(pid, tid)?))
    }

    /// Begins to trace it.
    fn seize(pid: Pid, tid: Tid) -> Result<(), ProcessError> {
        let thread = nix::unistd::Pid::from_raw(tid.0);
        ptrace::seize(thread, ptrace::Options::empty()).map_err(|source| refused(pid, tid, source))
    }

    fn interrupt(pid: Pid, tid: Tid) -> Result<(), ProcessError> {
        let thread = nix::unistd::Pid::from_raw(tid.0);
        ptrace::interrupt(thread).map_err(|source| {
            reap(pid, tid);
            refused(pid, tid, source)
        })
    }

    /// A thread that has stopped with this status.
    fn stopped(pid: Pid, tid: Tid, status: i32) -> Held {
        let (signal, in_group_stop) = parse_stop(status);
        Held {
            pid,
            tid,
            signal,
            in_group_stop,
        }
    }

    /// Executes one instruction. Not where a signal is about to be delivered, or the process is stopped.
    fn step(&mut self) -> bool {
        let thread = nix::unistd::Pid::from_raw(self.tid.0);
        let is_free = self.signal == 0 && !self.in_group_stop;
        if !is_free || ptrace::step(thread, None).is_err() {
            return false;
        }
        match wait_for_stop(self.pid, self.tid) {
            // The step itself is reported as a SIGTRAP without an event, which is not handed on.
            Ok(libc::SIGTRAP) => true,
            Ok(status) => {
                (self.signal, self.in_group_stop) = parse_stop(status);
                false
            }
            Err(_) => false,
        }
    }
}

/// The signal that a stopped thread was about to receive, 0 for none, and whether its whole process is stopped, from
/// the status that ptrace(2) describes: the signal in the low byte, the event above it; no event means that the
/// signal is on its way.
fn parse_stop(status: i32) -> (i32, bool) {
    let (event, signal) = (status >> 8, status & 0xff);
    let is_event = event == libc::PTRACE_EVENT_STOP;
    let signal_on_its_way = if is_event { 0 } else { signal };
    (signal_on_its_way, is_event && signal != libc::SIGTRAP)
}

/// What it means that ptrace(2) refused a thread.
fn refused(pid: Pid, tid: Tid, source: Errno) -> ProcessError {
    match source {
        Errno::ESRCH => ProcessError::NoSuchThread(pid, tid),
        // A thread that is just ending is refused so too.
        Errno::EPERM if has_ended(pid, tid) => ProcessError::NoSuchThread(pid, tid),
        source => ProcessError::Ptrace { pid, tid, source },
    }
}

impl Held {
    /// Lets it run; whether it does, or has ended. It does not where it has not stopped.
    fn release(&self) -> bool {
        if sys::ptrace_detach(self.tid.0, self.signal).is_err() {
            let has_ended = has_ended(self.pid, self.tid);
            if has_ended {
                reap(self.pid, self.tid);
            }
            return has_ended;
        }
        if self.in_group_stop {
            // If it is our own child, its stop was hidden from waitid while it was traced: look again.
            let _ = raise_for_process(Signal::SIGCHLD);
        }
        true
    }
}

/// Waits until a seized thread stops. waitid(2) has no time limit of its own, hence the short sleeps.
fn wait_for_stop(pid: Pid, tid: Tid) -> Result<i32, ProcessError> {
    let start = Instant::now();
    let mut nap = Duration::from_micros(20);
    loop {
        match sys::wait_for_trace_stop(tid.0) {
            Ok(Some(Waited { status, .. })) => return Ok(status),
            Ok(None) if start.elapsed() < SPIN => {
                std::hint::spin_loop();
                continue;
            }
            Ok(None) if has_ended(pid, tid) => {
                reap(pid, tid);
                return Err(ProcessError::NoSuchThread(pid, tid));
            }
            Ok(None) if start.elapsed() > PAUSE_LIMIT => return Err(timeout(pid, tid)),
            Ok(None) => {}
            Err(Errno::EINTR) => continue,
            // So the kernel says of one that has ended, when it is asked for stops alone.
            Err(Errno::ECHILD) => {
                reap(pid, tid);
                return Err(ProcessError::NoSuchThread(pid, tid));
            }
            Err(source) => return Err(ProcessError::Ptrace { pid, tid, source }),
        }
        thread::sleep(nap);
        nap = (nap * 2).min(Duration::from_micros(100));
    }
}

/// Takes the end of a thread that ended while traced, so that its process's parent hears of it.
/// The main thread of a child of ours is left alone: its end is for who waits for the child.
fn reap(pid: Pid, tid: Tid) {
    let is_main = pid.0 == tid.0;
    let is_our_child =
        || read_stat(pid).is_ok_and(|stat| u32::try_from(stat.parent) == Ok(std::process::id()));
    if !(is_main && is_our_child()) {
        let _ = sys::reap_traced(tid.0);
    }
}

fn has_ended(pid: Pid, tid: Tid) -> bool {
    use super::TaskState::{Dead, Zombie};
    let path = format!("/proc/{pid}/task/{tid}/stat");
    let stat = std::fs::read(path)
        .ok()
        .and_then(|bytes| super::stat::parse_stat(&bytes).ok());
    stat.is_none_or(|stat| matches!(stat.state, Zombie | Dead))
}

/// Sends a signal to this process, not to this thread.
fn raise_for_process(signal: Signal) -> nix::Result<()> {
    nix::sys::signal::kill(nix::unistd::getpid(), signal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::{Process, TaskState};
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};

    /// Waits for the stop that was asked for.
    fn wait_for(mut pending: PendingStop) -> Paused {
        loop {
            pending = match pending.poll() {
                StopOutcome::Stopped(paused) => return paused,
                StopOutcome::Pending(pending) => pending,
                StopOutcome::Ended => panic!("it has ended"),
            };
            thread::yield_now();
        }
    }

    #[test]
    fn a_thread_that_was_asked_to_stop_is_found_stopped_later_and_runs_on() {
        let mut child = Command::new("sh")
            .args(["-c", "while :; do :; done"])
            .spawn()
            .unwrap();
        let (pid, tid) = (Pid(child.id() as i32), Tid(child.id() as i32));
        let process = Process::open(pid).unwrap();
        let paused = wait_for(PendingStop::ask(pid, tid).unwrap());
        assert_eq!(process.task_state(tid), Some(TaskState::Traced));
        let registers = paused.registers();
        assert_eq!(registers.is_some(), cfg!(target_arch = "x86_64"));
        assert!(registers.is_none_or(|registers| registers[7] != 0 && registers[16] != 0));
        drop(paused);
        assert_eq!(process.task_state(tid), Some(TaskState::Running));
        // A stop that nobody waits for is taken back.
        drop(PendingStop::ask(pid, tid).unwrap());
        while LATE.with_borrow(|late| !late.is_empty()) {
            release_late();
            thread::yield_now();
        }
        assert_eq!(process.task_state(tid), Some(TaskState::Running));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_thread_that_dies_before_it_stops_or_while_it_is_stopped_can_be_waited_for() {
        for dies_stopped in [false, true] {
            let mut child = Command::new("sleep").arg("100").spawn().unwrap();
            let (pid, tid) = (Pid(child.id() as i32), Tid(child.id() as i32));
            let mut pending = PendingStop::ask(pid, tid).unwrap();
            if dies_stopped {
                let paused = wait_for(pending);
                child.kill().unwrap();
                assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
                drop(paused);
                continue;
            }
            child.kill().unwrap();
            loop {
                pending = match pending.poll() {
                    StopOutcome::Pending(pending) if pending.has_ended() => break,
                    StopOutcome::Pending(pending) => pending,
                    // It stopped just before it was killed.
                    StopOutcome::Stopped(_) | StopOutcome::Ended => break,
                };
            }
            assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
        }
        release_late();
        assert!(LATE.with_borrow(Vec::is_empty));
    }

    /// A signal that arrives between seizing and interrupting stops the thread first.
    #[test]
    fn a_signal_about_to_be_delivered_is_delivered_when_the_thread_goes_on() {
        for signal in [libc::SIGUSR1, libc::SIGRTMIN()] {
            let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
            let (pid, tid) = (Pid(child.id() as i32), Tid(child.id() as i32));
            ptrace::seize(nix::unistd::Pid::from_raw(tid.0), ptrace::Options::empty()).unwrap();
            sys::send_signal(pid.0, signal).unwrap();
            let process = Process::open(pid).unwrap();
            while process.task_state(tid) != Some(TaskState::Traced) {
                thread::yield_now();
            }
            let held = Held::stop_seized(pid, tid).unwrap();
            assert_eq!(held.signal, signal);
            assert!(held.release());
            assert_eq!(child.wait().unwrap().signal(), Some(signal));
        }
    }
}
