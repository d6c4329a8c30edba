//! Turns a running thread into a stopped one, for as long as a guard lives.
//!
//! Each guard has a thread of ours behind it that is the tracer. The kernel lets a tracee run on when its tracer
//! ends, stopped or not, so neither a panic, nor a kill of rsamp, nor a target thread that hangs in the kernel and
//! stops only minutes later can leave the target stopped: `PTRACE_DETACH` alone could not do the last.

use std::collections::HashSet;
use std::sync::mpsc::{Receiver, RecvError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::Signal;

use super::identity::read_stat;
use super::{Pid, Process, ProcessError, Tid};
use crate::sys::{self, Waited};

/// How long a thread may take to stop. A running one takes about 50 µs, a waiting one as long as a wake-up;
/// only one in uninterruptible sleep takes longer, and that one need not be waited for.
pub const PAUSE_LIMIT: Duration = Duration::from_millis(100);

/// How often a process's list of threads is read again in search of new ones, before it counts as one that
/// starts threads faster than they can be stopped. Two passes are the rule.
const MAX_PASSES: usize = 20;

/// One or all threads of a process, stopped. Dropping it lets them run, with every signal that came meanwhile.
#[derive(Debug)]
#[must_use = "dropping the guard lets the thread run again"]
pub struct Paused {
    tids: Vec<Tid>,
    release: Option<SyncSender<()>>,
    tracer: Option<JoinHandle<()>>,
}

impl Paused {
    /// The stopped threads.
    #[must_use]
    pub fn tids(&self) -> &[Tid] {
        &self.tids
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        drop(self.release.take());
        if let Some(tracer) = self.tracer.take() {
            // It cannot panic but for a bug; the target runs then all the same.
            let _ = tracer.join();
        }
    }
}

/// Stops one thread.
///
/// # Errors
/// [`ProcessError::NoSuchThread`], [`ProcessError::Ptrace`] when not permitted or another tracer has it,
/// [`ProcessError::PauseTimeout`] when it hangs in the kernel; it runs on then.
pub fn pause(pid: Pid, tid: Tid) -> Result<Paused, ProcessError> {
    start_tracer(pid, move |held| {
        held.push(Held::stop(pid, tid)?);
        Ok(())
    })
}

/// Stops all threads of a process, those included that start while it is done.
///
/// # Errors
/// As [`pause`]; a thread that ends meanwhile is none.
pub fn pause_all(process: &Process) -> Result<Paused, ProcessError> {
    let process = Process::open(process.pid())?;
    start_tracer(process.pid(), move |held| {
        let mut known = HashSet::new();
        for _ in 0..MAX_PASSES {
            let before = known.len();
            for tid in process.tasks()? {
                if !known.insert(tid) {
                    continue;
                }
                match Held::stop(process.pid(), tid) {
                    Ok(thread) => held.push(thread),
                    Err(error) if error.is_gone() => {}
                    Err(error) => return Err(error),
                }
            }
            if known.len() == before {
                break;
            }
        }
        if held.is_empty() {
            return Err(ProcessError::NoSuchProcess(process.pid()));
        }
        Ok(())
    })
}

/// Starts the tracer, waits until it has stopped what `stop` stops, and hands out the guard.
fn start_tracer(
    pid: Pid,
    stop: impl FnOnce(&mut Vec<Held>) -> Result<(), ProcessError> + Send + 'static,
) -> Result<Paused, ProcessError> {
    let (ready, is_ready) = sync_channel(1);
    let (release, is_released) = sync_channel(1);
    let tracer = thread::Builder::new()
        .name("rsamp-pause".to_owned())
        .spawn(move || trace(stop, &ready, &is_released))
        .map_err(|source| ProcessError::Tracer { pid, source })?;
    match is_ready.recv() {
        Ok(Ok(tids)) => Ok(Paused {
            tids,
            release: Some(release),
            tracer: Some(tracer),
        }),
        Ok(Err(error)) => {
            let _ = tracer.join();
            Err(error)
        }
        Err(RecvError) => Err(ProcessError::NoSuchProcess(pid)),
    }
}

/// The tracer's life: stop, say so, wait for the guard's end, let go.
fn trace(
    stop: impl FnOnce(&mut Vec<Held>) -> Result<(), ProcessError>,
    ready: &SyncSender<Result<Vec<Tid>, ProcessError>>,
    released: &Receiver<()>,
) {
    let mut held = Vec::new();
    let outcome = stop(&mut held).map(|()| held.iter().map(|thread| thread.tid).collect());
    let is_stopped = outcome.is_ok();
    if !is_stopped {
        held.clear();
    }
    // Each channel's other end may be gone already; then there is nobody to tell or to wait for.
    let _ = ready.send(outcome);
    if is_stopped {
        let _ = released.recv();
    }
}

/// One thread stopped by the thread that this value was made on.
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
        let thread = nix::unistd::Pid::from_raw(tid.0);
        ptrace::seize(thread, ptrace::Options::empty())
            .map_err(|source| refused(pid, tid, source))?;
        Held::stop_seized(pid, tid)
    }

    fn stop_seized(pid: Pid, tid: Tid) -> Result<Held, ProcessError> {
        let thread = nix::unistd::Pid::from_raw(tid.0);
        ptrace::interrupt(thread).map_err(|source| refused(pid, tid, source))?;
        let status = wait_for_stop(pid, tid)?;
        // ptrace(2): the signal in the low byte, the event above it; no event means that a signal is on its way.
        let (event, signal) = (status >> 8, status & 0xff);
        let is_event = event == libc::PTRACE_EVENT_STOP;
        Ok(Held {
            pid,
            tid,
            signal: if is_event { 0 } else { signal },
            in_group_stop: is_event && signal != libc::SIGTRAP,
        })
    }
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

impl Drop for Held {
    fn drop(&mut self) {
        // Fails only when the thread was killed in between.
        if sys::ptrace_detach(self.tid.0, self.signal).is_err() {
            bury(self.pid, self.tid);
        } else if self.in_group_stop {
            // If it is our own child, its stop was hidden from waitid while it was traced: look again.
            let _ = raise_for_process(Signal::SIGCHLD);
        }
    }
}

/// Waits until a seized thread stops. waitid(2) has no time limit of its own, hence the short sleeps;
/// most threads have stopped at the first or second look.
fn wait_for_stop(pid: Pid, tid: Tid) -> Result<i32, ProcessError> {
    let start = Instant::now();
    let mut nap = Duration::from_micros(10);
    loop {
        match sys::wait_for_trace_stop(tid.0) {
            Ok(Some(Waited { status, .. })) => return Ok(status),
            Ok(None) if has_ended(pid, tid) => {
                bury(pid, tid);
                return Err(ProcessError::NoSuchThread(pid, tid));
            }
            Ok(None) if start.elapsed() > PAUSE_LIMIT => {
                return Err(ProcessError::PauseTimeout {
                    pid,
                    tid,
                    milliseconds: PAUSE_LIMIT.as_millis() as u64,
                });
            }
            Ok(None) => {}
            Err(Errno::EINTR) => continue,
            Err(Errno::ECHILD) => return Err(ProcessError::NoSuchThread(pid, tid)),
            Err(source) => return Err(ProcessError::Ptrace { pid, tid, source }),
        }
        thread::sleep(nap);
        nap = (nap * 2).min(Duration::from_millis(1));
    }
}

/// Takes the end of a thread that ended while traced, so that its process's parent hears of it.
/// The main thread of a child of ours is left alone: its end is for who waits for the child.
fn bury(pid: Pid, tid: Tid) {
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
        .and_then(|bytes| super::tasks::parse_stat(&bytes).ok());
    stat.is_none_or(|stat| matches!(stat.state, Zombie | Dead))
}

/// Sends a signal to this process, not to this thread.
fn raise_for_process(signal: Signal) -> nix::Result<()> {
    nix::sys::signal::kill(nix::unistd::getpid(), signal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::TaskState;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};

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
            drop(held);
            assert_eq!(child.wait().unwrap().signal(), Some(signal));
        }
    }
}
