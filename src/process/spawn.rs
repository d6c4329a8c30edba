//! Turns a command into a running child of which nobody notices that rsamp started it.
//!
//! The child has rsamp's standard streams, terminal, process group, working folder, environment, and the signal
//! mask, ignored signals and open files that rsamp itself was started with. While rsamp waits for it:
//!
//! - **A signal from the terminal** (Ctrl-C, Ctrl-\, Ctrl-Z, a resize, a hang-up) goes to the whole process group:
//!   the child has it already, and rsamp only notes it. The kernel marks these `SI_KERNEL`. One exception: a
//!   hang-up is sent to the session's leader alone, so rsamp passes it on when it is the leader.
//! - **A signal from another process** is passed on if it was sent to rsamp alone, as by `kill $!` in a job script or
//!   `timeout --foreground`. What was sent to the whole group, or to every process of the job, the child has already:
//!   a [`Witness`] in the same group tells them apart, within [`super::direct_signals::PATIENCE`]. Where there is none (this
//!   process has several threads), all are passed on at once.
//! - **A signal from the child or a descendant of it** (`kill 0`, `kill $PPID`) is not passed on: it did not mean itself.
//! - **A stop of the child** stops rsamp too, by the same signal, so that the shell sees a stopped job; SIGCONT to rsamp
//!   continues the child. A plain SIGSTOP is copied only under a job-control shell, for nobody else would
//!   wake rsamp again.
//! - SIGKILL of rsamp leaves the child running.
//!
//! Where [`adopt_orphans`] was called, descendants of the child whose parents have ended become children of
//! rsamp, not of init: they are reaped while rsamp waits, and init gets what is left when rsamp ends.

use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::marker::PhantomData;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{getpgid, getpgrp, getpid, getppid, getsid};
use thiserror::Error;

use super::Pid;
use super::TaskState::{Dead, Zombie};
use super::direct_signals::{Decision, DirectSignals, Sent};
use super::identity::read_stat;
use super::new_processes;
use super::witness::{Witness, await_senders};
use crate::sys::{self, Waited};

/// A command that runs as a child of ours, from [`Launched::spawn`] until [`Launched::wait`] returns.
///
/// It must stay on the thread that spawned it: waitid(2) is asked for that thread's children only, so that
/// a thread that traces the child (see [`super::pause()`]) and this one don't take each other's news.
/// While it lives, the signals that are passed on are blocked in that thread and in all that it starts;
/// the sampler's thread must therefore be started after it. Dropping it does not end the command.
#[derive(Debug)]
pub struct Launched {
    pid: Pid,
    signals: SignalFd,
    /// Dropped before the mask is set back.
    witness: Option<Witness>,
    undecided: DirectSignals,
    mask_before: SigSet,
    /// Whether the last news taken of the child was a stop.
    stopped: Cell<bool>,
    /// How it ended, once it has; that is taken when this is dropped.
    ended: Cell<Option<ExitStatusKind>>,
    not_send: PhantomData<*const ()>,
}

/// A change of an environment: the name of a variable, and its value; `None`: it is removed.
pub type Change = (OsString, Option<OsString>);

fn change_environment(command: &mut Command, changes: &[Change]) {
    for (name, value) in changes {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
}

/// A file that grows beyond `ulimit -f` is from now on an error of its write (`EFBIG`), and does not end this process. For
/// commands that are run here the limit does what it did before.
pub fn outlive_file_size_limit() {
    sys::ignore_file_size_signal();
}

/// Has this process become `program`, with `arguments`, of which the first is its name, in an environment with these
/// changes; and with the signals and descriptors that rsamp was started with. Returns only when it cannot.
#[must_use]
pub fn replace(program: &Path, arguments: &[OsString], changes: &[Change]) -> SpawnError {
    let Some((name, arguments)) = arguments.split_first() else {
        return SpawnError::NoCommand;
    };
    let mut command = Command::new(program);
    command.arg0(name).args(arguments);
    change_environment(&mut command, changes);
    let mask = match SigSet::thread_get_mask() {
        Ok(mask) => mask,
        Err(errno) => return SpawnError::Signals(errno),
    };
    let ignored = if sys::start_state().pipe_ignored {
        vec![libc::SIGPIPE]
    } else {
        Vec::new()
    };
    sys::restore_before_exec(&mut command, mask, ignored);
    spawn_error(program.as_os_str(), command.exec())
}

/// Why a command could not be run, or not be waited for.
#[derive(Debug, Error)]
pub enum SpawnError {
    /// The command line is empty.
    #[error("run a command: none was given")]
    NoCommand,
    /// There is no such program, or the interpreter that its first line names is missing.
    #[error("run {command}")]
    NotFound {
        /// The program as given.
        command: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// There is one, and it cannot be executed.
    #[error("run {command}")]
    NotExecutable {
        /// The program as given.
        command: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// No process could be made for it.
    #[error("start a process for {command}")]
    Other {
        /// The program as given.
        command: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The signals that are to be passed on could not be had.
    #[error("take over the signals for the command")]
    Signals(#[source] Errno),
    /// The end of the command could not be learnt.
    #[error("wait for process {pid}")]
    Wait {
        /// The command's process.
        pid: Pid,
        /// What the kernel said.
        #[source]
        source: Errno,
    },
}

impl SpawnError {
    /// What a shell would have returned: 127 not found, 126 not executable; 125 where rsamp itself failed (as env(1)).
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            SpawnError::NotFound { .. } => 127,
            SpawnError::NotExecutable { .. } => 126,
            _ => 125,
        }
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatusKind {
    /// It returned this exit code.
    Exited(i32),
    /// A signal killed it.
    Signalled {
        /// The signal's number.
        signal: i32,
        /// Whether a core file was written.
        core_dumped: bool,
    },
}

impl ExitStatusKind {
    /// The exit code by which a shell would report it: its own, or 128 + the signal.
    #[must_use]
    pub fn shell_code(self) -> u8 {
        match self {
            ExitStatusKind::Exited(code) => (code & 0xff) as u8,
            ExitStatusKind::Signalled { signal, .. } => (128 + (signal & 0x7f)) as u8,
        }
    }
}

/// What happens while the command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitEvent {
    /// A signal came to rsamp and was passed on to the command.
    Forwarded(i32),
    /// A signal came to rsamp that the command has already got, or that comes from the command itself.
    NotForwarded(i32),
    /// The command was stopped by this signal; rsamp is about to stop too.
    Stopped(i32),
    /// The command goes on.
    Continued,
}

/// Has this process end by the signal that killed the command, so that a shell that runs it sees what it would have seen without
/// rsamp: a loop in a script ends with a Ctrl-C only then. Returns where the signal does not end it.
pub fn end_by_signal(signal: i32) {
    sys::end_by_signal(signal);
}

/// Has descendants of this process fall to it when their parents end (`PR_SET_CHILD_SUBREAPER` in prctl(2)),
/// so that they are not lost from sight. Children do not inherit this.
pub fn adopt_orphans() {
    // Refused by kernels before 3.4 only.
    let _ = nix::sys::prctl::set_child_subreaper(true);
}

impl Launched {
    /// Starts a command; the program is looked up in `PATH` as a shell does.
    ///
    /// # Errors
    /// When it cannot be run; [`SpawnError::exit_code`] is what to return then. The signal mask is as before.
    pub fn spawn(command: &[OsString]) -> Result<Launched, SpawnError> {
        Launched::spawn_with(command, &[])
    }

    /// As [`Launched::spawn`], in an environment with these changes.
    ///
    /// # Errors
    /// As [`Launched::spawn`].
    pub fn spawn_with(command: &[OsString], changes: &[Change]) -> Result<Launched, SpawnError> {
        let (program, arguments) = command.split_first().ok_or(SpawnError::NoCommand)?;
        // Whoever started rsamp may have ignored SIGCHLD: then the kernel would throw the child's end away.
        let mut ignored = sys::take_over_sigchld();
        if sys::start_state().pipe_ignored {
            ignored.push(libc::SIGPIPE);
        }
        let watched = sys::signal_set(&watched_signals());
        let mask_before = SigSet::thread_get_mask().map_err(SpawnError::Signals)?;
        watched.thread_block().map_err(SpawnError::Signals)?;
        let start = || {
            let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
            let signals = SignalFd::with_flags(&watched, flags).map_err(SpawnError::Signals)?;
            // Older than the command. Without one, rsamp runs the command all the same.
            let witness = Witness::start(command, &watched).ok();
            let mut child = Command::new(program);
            child.args(arguments);
            change_environment(&mut child, changes);
            sys::restore_before_exec(&mut child, mask_before, ignored);
            let child = child
                .spawn()
                .map_err(|source| spawn_error(program, source))?;
            Ok((signals, witness, Pid(child.id() as i32)))
        };
        match start() {
            Ok((signals, witness, pid)) => Ok(Launched {
                pid,
                signals,
                witness,
                undecided: DirectSignals::default(),
                mask_before,
                stopped: Cell::new(false),
                ended: Cell::new(None),
                not_send: PhantomData,
            }),
            Err(error) => {
                // Setting a mask that was read a moment ago cannot fail.
                let _ = mask_before.thread_set_mask();
                Err(error)
            }
        }
    }

    /// The command's process.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// The signal that killed it, once it has ended so.
    #[must_use]
    pub fn died_of(&self) -> Option<i32> {
        match self.ended.get() {
            Some(ExitStatusKind::Signalled { signal, .. }) => Some(signal),
            Some(ExitStatusKind::Exited(_)) | None => None,
        }
    }

    /// Waits until the command ends, passing signals on and stopping with it meanwhile, and tells `on_event` of each.
    /// What the kernel has counted of it can be read until this value is dropped.
    ///
    /// # Errors
    /// When something else has waited for the child already, or the signals cannot be read.
    pub fn wait(
        &mut self,
        mut on_event: impl FnMut(WaitEvent),
    ) -> Result<ExitStatusKind, SpawnError> {
        loop {
            if let Some(status) = self.look_at_child(&mut on_event)? {
                // What came until now was for the command. What comes from now on is for rsamp, if it waits for anything.
                while let Ok(Some(_)) = self.signals.read_signal() {}
                return Ok(status);
            }
            self.reap_orphans();
            self.await_news()
                .map_err(|source| self.wait_error(source))?;
            self.take_signals(&mut on_event)
                .map_err(|source| self.wait_error(source))?;
            for decision in self.undecided.decide(Instant::now()) {
                self.carry_out(decision, &mut on_event);
            }
        }
    }

    /// Waits until there is a signal, or news of the witness, or a decision is due.
    fn await_news(&self) -> nix::Result<()> {
        let time = match self.undecided.deadline() {
            // A whole millisecond more, so that it is past then.
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::ZERO)
            }
            None => PollTimeout::NONE,
        };
        let mut ready = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        if let Some(witness) = &self.witness {
            ready.push(PollFd::new(witness.news(), PollFlags::POLLIN));
        }
        match poll(&mut ready, time) {
            // A stop and continue interrupts it.
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(source) => Err(source),
        }
    }

    /// Takes what has come to rsamp and to its witness. What came to one of them by a signal to the group has then come to
    /// both.
    fn take_signals(&mut self, on_event: &mut impl FnMut(WaitEvent)) -> nix::Result<()> {
        if self.witness.is_some() {
            await_senders();
        }
        self.drain(on_event)?;
        let now = Instant::now();
        match self.witness.as_ref().map(Witness::ask) {
            Some(Ok(told)) if told.is_empty() => {}
            Some(Ok(told)) => {
                // These may have come since.
                self.drain(on_event)?;
                for sent in told {
                    self.undecided.witnessed(sent, now);
                }
            }
            Some(Err(_)) | None => {
                self.witness = None;
                for decision in self.undecided.pass_on_all() {
                    self.carry_out(decision, on_event);
                }
            }
        }
        Ok(())
    }

    /// Takes the signals that have come to rsamp.
    fn drain(&mut self, on_event: &mut impl FnMut(WaitEvent)) -> nix::Result<()> {
        loop {
            match self.signals.read_signal() {
                Ok(Some(info)) => self.handle(Arrival::from(&info), on_event),
                Ok(None) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(source) => return Err(source),
            }
        }
    }

    /// The processes that the command started and that run on after it, where [`adopt_orphans`] was called: they have become
    /// children of ours, or descend from such.
    #[must_use]
    pub fn left_behind(&self) -> Vec<Pid> {
        let own = Pid(getpid().as_raw());
        // What rsamp has started to read files for it has no part in the program.
        let image = |pid: Pid| std::fs::read_link(format!("/proc/{pid}/exe")).ok();
        let own_image = image(own);
        let witness = self.witness.as_ref().map(Witness::pid);
        let is_left = |pid: &Pid| {
            *pid != own
                && *pid != self.pid
                && Some(*pid) != witness
                && is_descendant(*pid, own)
                && (own_image.is_none() || image(*pid) != own_image)
                && !read_stat(*pid).is_ok_and(|stat| matches!(stat.state, Zombie | Dead))
        };
        new_processes::all()
            .into_iter()
            .map(|new| new.pid)
            .filter(is_left)
            .collect()
    }

    /// Takes the ends of adopted processes, for which nobody else waits.
    fn reap_orphans(&self) {
        while let Ok(Some(pid)) = sys::peek_ended_child()
            && pid != self.pid.0
        {
            if let Some(witness) = self.witness.as_ref().filter(|it| it.pid().0 == pid) {
                witness.was_reaped();
            }
            let _ = sys::take_child(pid);
        }
    }

    /// Takes the child's news until there is none; returns its end.
    fn look_at_child(
        &self,
        on_event: &mut impl FnMut(WaitEvent),
    ) -> Result<Option<ExitStatusKind>, SpawnError> {
        let failed = |source| self.wait_error(source);
        loop {
            match sys::peek_child(self.pid.0).map_err(failed)? {
                // Stopped by our own tracer: not our news.
                None
                | Some(Waited {
                    code: libc::CLD_TRAPPED,
                    ..
                }) => return Ok(None),
                Some(Waited { code, status }) => {
                    if let Some(end) = end_of(code, status) {
                        self.ended.set(Some(end));
                        return Ok(Some(end));
                    }
                }
            }
            let Some(Waited { code, status }) = sys::take_child(self.pid.0).map_err(failed)? else {
                return Ok(None);
            };
            match code {
                libc::CLD_STOPPED => {
                    self.stopped.set(true);
                    on_event(WaitEvent::Stopped(status));
                    self.stop_like_child(status);
                }
                libc::CLD_CONTINUED => {
                    self.stopped.set(false);
                    on_event(WaitEvent::Continued);
                }
                _ => {
                    if let Some(end) = end_of(code, status) {
                        return Ok(Some(end));
                    }
                }
            }
        }
    }

    /// Acts on a signal that came to rsamp.
    fn handle(&mut self, arrival: Arrival, on_event: &mut impl FnMut(WaitEvent)) {
        let signal = arrival.signal;
        match signal {
            libc::SIGCHLD => return,
            // A shell's `fg` has continued the child as well; a handler of its own would run twice.
            libc::SIGCONT if !self.is_stopped() => {
                return on_event(WaitEvent::NotForwarded(signal));
            }
            libc::SIGCONT => return self.carry_out(Decision::PassOn(signal), on_event),
            _ => {
                let leads_session = || getsid(None) == Ok(getpid());
                // Orphans have become children of ours.
                let own = Pid(getpid().as_raw());
                let is_descendant = |pid| pid != own && is_descendant(pid, own);
                if !is_for_child(arrival, leads_session, is_descendant) {
                    return on_event(WaitEvent::NotForwarded(signal));
                }
            }
        }
        if arrival.code > 0 {
            return self.carry_out(Decision::PassOn(signal), on_event);
        }
        let sender = arrival.sender;
        self.undecided
            .arrived(Sent { signal, sender }, Instant::now());
    }

    fn carry_out(&self, decision: Decision, on_event: &mut impl FnMut(WaitEvent)) {
        match decision {
            Decision::PassOn(signal) => {
                // Fails when the command has become another user's (EPERM); it would not have got it alone either.
                let _ = sys::send_signal(self.pid.0, signal);
                on_event(WaitEvent::Forwarded(signal));
            }
            Decision::HasIt(signal) => on_event(WaitEvent::NotForwarded(signal)),
        }
    }

    /// Stops this process as the child was stopped, until SIGCONT. Where nobody would continue it, does nothing:
    /// for signals of the terminal the kernel itself sees to that, it does not stop orphaned process groups.
    fn stop_like_child(&self, signal: i32) {
        let is_of_terminal = [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU].contains(&signal);
        if !self.is_stopped() || !(is_of_terminal || has_job_control()) {
            return;
        }
        let this_one = sys::signal_set(&[signal]);
        let _ = sys::raise(signal);
        // Here it stops (SIGSTOP: in the line above), and goes on from here.
        let _ = this_one.thread_unblock();
        let _ = this_one.thread_block();
    }

    /// Whether the child is still in the stop that was taken last. Its state in `/proc` cannot tell: after `fg` and
    /// another Ctrl-Z it is stopped again, and a SIGCONT that came in between must not undo that.
    fn is_stopped(&self) -> bool {
        let has_news = match sys::peek_child(self.pid.0) {
            Ok(Some(news)) => news.code != libc::CLD_TRAPPED,
            Ok(None) | Err(_) => false,
        };
        self.stopped.get() && !has_news
    }

    fn wait_error(&self, source: Errno) -> SpawnError {
        SpawnError::Wait {
            pid: self.pid,
            source,
        }
    }
}

/// How a child ended, if that is what was reported of it (waitid(2)).
fn end_of(code: i32, status: i32) -> Option<ExitStatusKind> {
    match code {
        libc::CLD_EXITED => Some(ExitStatusKind::Exited(status)),
        libc::CLD_KILLED | libc::CLD_DUMPED => Some(ExitStatusKind::Signalled {
            signal: status,
            core_dumped: code == libc::CLD_DUMPED,
        }),
        _ => None,
    }
}

impl Drop for Launched {
    /// Takes the command's end. Throws away the signals that came after the command's end, and lets further ones act on rsamp again.
    fn drop(&mut self) {
        self.witness = None;
        if self.ended.get().is_some() {
            let _ = sys::take_child(self.pid.0);
        }
        while let Ok(Some(_)) = self.signals.read_signal() {}
        let _ = self.mask_before.thread_set_mask();
    }
}

/// A signal that came to rsamp, and from whom.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    signal: i32,
    code: i32,
    /// 0 when the sender is the kernel, or outside our PID namespace.
    sender: i32,
}

impl From<&libc::signalfd_siginfo> for Arrival {
    fn from(info: &libc::signalfd_siginfo) -> Arrival {
        Arrival {
            signal: info.ssi_signo as i32,
            code: info.ssi_code,
            sender: info.ssi_pid as i32,
        }
    }
}

/// Whether a signal is to be passed on to the child, as the head of this file says.
fn is_for_child(
    arrival: Arrival,
    leads_session: impl FnOnce() -> bool,
    is_descendant: impl FnOnce(Pid) -> bool,
) -> bool {
    if arrival.code > 0 {
        // From the kernel: SI_KERNEL and the codes of single signals; 0 and below are kill(2) and its like.
        return arrival.signal == libc::SIGHUP && leads_session();
    }
    arrival.sender == 0 || !is_descendant(Pid(arrival.sender))
}

/// More generations than this between a sender and the child are not looked through.
const MAX_GENERATIONS: usize = 64;

/// Whether `pid` is `ancestor` or descends from it.
fn is_descendant(mut pid: Pid, ancestor: Pid) -> bool {
    for _ in 0..MAX_GENERATIONS {
        if pid == ancestor {
            return true;
        }
        match read_stat(pid) {
            Ok(stat) if stat.parent > 1 => pid = Pid(stat.parent),
            _ => return false,
        }
    }
    false
}

/// Whether our parent looks like a shell with job control: in our session, in a process group of its own.
fn has_job_control() -> bool {
    let parent = getppid();
    let same_session = getsid(Some(parent)).is_ok_and(|session| getsid(None) == Ok(session));
    same_session && getpgid(Some(parent)).is_ok_and(|group| group != getpgrp())
}

/// The signals that rsamp takes on the child's behalf, and SIGCHLD. Not among them: those that cannot be blocked,
/// and those that mean a fault of rsamp's own (SIGSEGV, SIGPIPE and the like).
fn watched_signals() -> Vec<i32> {
    let mut signals = vec![
        libc::SIGHUP,
        libc::SIGINT,
        libc::SIGQUIT,
        libc::SIGUSR1,
        libc::SIGUSR2,
        libc::SIGALRM,
        libc::SIGTERM,
        libc::SIGCHLD,
        libc::SIGCONT,
        libc::SIGTSTP,
        libc::SIGTTIN,
        libc::SIGTTOU,
        libc::SIGURG,
        libc::SIGXCPU,
        libc::SIGVTALRM,
        libc::SIGPROF,
        libc::SIGWINCH,
        libc::SIGIO,
        libc::SIGPWR,
    ];
    signals.extend(libc::SIGRTMIN()..=libc::SIGRTMAX());
    signals
}

/// Sorts what execve(2) and fork(2) say into what a shell makes of it.
fn spawn_error(program: &OsStr, source: io::Error) -> SpawnError {
    let command = Path::new(program).display().to_string();
    let is_folder = command.contains('/') && fs::metadata(program).is_ok_and(|file| file.is_dir());
    match source.raw_os_error() {
        Some(libc::ENOENT) => SpawnError::NotFound { command, source },
        Some(libc::EACCES) if is_folder => {
            let source = io::Error::from_raw_os_error(libc::EISDIR);
            SpawnError::NotExecutable { command, source }
        }
        Some(
            libc::EACCES
            | libc::EPERM
            | libc::ENOEXEC
            | libc::ENOTDIR
            | libc::EISDIR
            | libc::ELOOP
            | libc::ENAMETOOLONG
            | libc::ETXTBSY
            | libc::E2BIG
            | libc::ELIBBAD
            | libc::EINVAL,
        ) => SpawnError::NotExecutable { command, source },
        _ => SpawnError::Other { command, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_is_told_as_a_shell_tells_it() {
        let killed = |signal| ExitStatusKind::Signalled {
            signal,
            core_dumped: false,
        };
        let cases = [
            (ExitStatusKind::Exited(0), 0),
            (ExitStatusKind::Exited(255), 255),
            (killed(libc::SIGTERM), 143),
            (killed(libc::SIGKILL), 137),
            (killed(64), 192),
        ];
        for (status, code) in cases {
            assert_eq!(status.shell_code(), code, "{status:?}");
        }
    }

    #[test]
    fn signals_pass_on_by_their_sender() {
        const CHILD: i32 = 70;
        let check = |signal, code, sender, leader, expect| {
            let arrival = Arrival {
                signal,
                code,
                sender,
            };
            let passed = is_for_child(arrival, || leader, |pid| pid == Pid(CHILD));
            assert_eq!(passed, expect, "{arrival:?}, session leader: {leader}");
        };
        check(libc::SIGTERM, libc::SI_USER, 9, false, true);
        check(libc::SIGUSR1, libc::SI_QUEUE, 9, false, true);
        check(libc::SIGUSR1, libc::SI_TKILL, 9, false, true);
        check(libc::SIGTERM, libc::SI_USER, CHILD, false, false);
        // From outside our PID namespace, as `docker stop` is.
        check(libc::SIGTERM, libc::SI_USER, 0, false, true);
        check(libc::SIGINT, libc::SI_KERNEL, 0, false, false);
        check(libc::SIGINT, libc::SI_KERNEL, 0, true, false);
        check(libc::SIGHUP, libc::SI_KERNEL, 0, false, false);
        check(libc::SIGHUP, libc::SI_KERNEL, 0, true, true);
    }

    #[test]
    fn errors_of_exec_become_the_codes_of_a_shell() {
        let code = |program: &str, errno| {
            spawn_error(
                &OsString::from(program),
                io::Error::from_raw_os_error(errno),
            )
            .exit_code()
        };
        assert_eq!(code("nothing", libc::ENOENT), 127);
        assert_eq!(code("/etc/passwd", libc::EACCES), 126);
        assert_eq!(code("./data", libc::ENOEXEC), 126);
        assert_eq!(code("true", libc::EAGAIN), 125);
        assert_eq!(SpawnError::NoCommand.exit_code(), 125);
        let folder = spawn_error(
            &OsString::from("/tmp"),
            io::Error::from_raw_os_error(libc::EACCES),
        );
        let SpawnError::NotExecutable { source, .. } = folder else {
            panic!("{folder:?}")
        };
        assert_eq!(source.raw_os_error(), Some(libc::EISDIR));
    }

    #[test]
    fn descent_is_followed_upwards() {
        let us = Pid(std::process::id() as i32);
        assert!(is_descendant(us, us));
        assert!(is_descendant(us, Pid(getppid().as_raw())));
        assert!(!is_descendant(Pid(getppid().as_raw()), us));
        assert!(!is_descendant(Pid(i32::MAX), us));
    }
}
