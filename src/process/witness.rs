//! Turns a signal to rsamp's process group into a message: by a process of the same group that gets what the group gets.
//!
//! The witness is a copy of rsamp, a child of it, that holds no file and no memory of its own, waits without using the CPU, and
//! ends when rsamp does, however that is. To whoever chooses processes by their command line it looks like the command,
//! as rsamp does, whose words hold those of the command: `pkill -f x.py` reaches all three. It has a name of its own: `pkill rsamp`
//! does not reach it, and who counts processes named `python` does not count it. It is older than the command, so that
//! `pgrep --newest` finds the command.
//!
//! kill(2) signals all members of a group while it holds the lock of the process list for reading. setpgid(2) takes
//! that lock for writing (`tasklist_lock` in the kernel's `kernel/signal.c`, `kernel/sys.c`), even when it changes nothing.
//! So once a setpgid returns, a signal that has come to one member has come to all: [`await_senders`].

use std::cell::Cell;
use std::ffi::{CStr, OsString};
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::SigSet;
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid as RawPid, getpgrp, setpgid};

use super::Pid;
use super::direct_signals::Sent;
use crate::sys;

/// How long rsamp waits for the witness's answer, which takes microseconds. Past it, it is stopped or worse.
const ANSWER: Duration = Duration::from_millis(500);

/// A message of the witness: signal and sender; that which ends an answer has the signal 0.
const MESSAGE_BYTES: usize = 8;

/// Its name, of which the kernel keeps 15 bytes (`TASK_COMM_LEN` less one).
const NAME: &CStr = c"signal-witness";

/// A process that gets the signals of rsamp's group, and of every process of the job.
#[derive(Debug)]
pub struct Witness {
    pid: Pid,
    channel: UnixStream,
    /// Whether its end was taken already.
    is_reaped: Cell<bool>,
}

/// The witness is gone, or does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

/// Waits until nobody is about to signal one process of our group after another.
pub fn await_senders() {
    // It changes nothing, and is refused (EPERM) to the leader of a session; both times it has had the lock.
    let _ = setpgid(RawPid::from_raw(0), getpgrp());
}

impl Witness {
    /// Starts one that witnesses `signals`, which must be blocked, beside a command yet to be started.
    ///
    /// # Errors
    /// `EDEADLK`: this process has several threads; or no process could be made.
    pub fn start(command: &[OsString], signals: &SigSet) -> nix::Result<Witness> {
        let (ours, its) = UnixStream::pair().map_err(errno)?;
        ours.set_read_timeout(Some(ANSWER)).map_err(errno)?;
        match sys::fork_single_threaded()? {
            Some(pid) => Ok(Witness {
                pid: Pid(pid),
                channel: ours,
                is_reaped: Cell::new(false),
            }),
            None => {
                let _ = witness(&its, command, signals);
                // Nothing of rsamp may run in this process: no handler at exit, no destructor.
                let _ = sys::send_signal(std::process::id() as i32, libc::SIGKILL);
                loop {
                    std::thread::park();
                }
            }
        }
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Readable when it has witnessed something, or is gone.
    #[must_use]
    pub fn news(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }

    /// Its end was taken by who takes those of all children.
    pub fn was_reaped(&self) {
        self.is_reaped.set(true);
    }

    /// All signals that have come to it and were not told yet.
    ///
    /// # Errors
    /// [`Gone`].
    pub fn ask(&self) -> Result<Vec<Sent>, Gone> {
        let mut channel = &self.channel;
        channel.write_all(&[0]).map_err(|_| Gone)?;
        let mut told = Vec::new();
        loop {
            let mut message = [0; MESSAGE_BYTES];
            channel.read_exact(&mut message).map_err(|_| Gone)?;
            match parse(message) {
                Sent { signal: 0, .. } => return Ok(told),
                sent => told.push(sent),
            }
        }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        if !self.is_reaped.get() {
            // Nobody else takes its end, so that the PID is still its own.
            let _ = sys::send_signal(self.pid.0, libc::SIGKILL);
            let _ = nix::sys::wait::waitpid(RawPid::from_raw(self.pid.0), None);
        }
    }
}

fn errno(error: io::Error) -> nix::errno::Errno {
    nix::errno::Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

fn message(sent: Sent) -> [u8; MESSAGE_BYTES] {
    let mut bytes = [0; MESSAGE_BYTES];
    bytes[..4].copy_from_slice(&sent.signal.to_ne_bytes());
    bytes[4..].copy_from_slice(&sent.sender.to_ne_bytes());
    bytes
}

fn parse(message: [u8; MESSAGE_BYTES]) -> Sent {
    let [a, b, c, d, e, f, g, h] = message;
    Sent {
        signal: i32::from_ne_bytes([a, b, c, d]),
        sender: i32::from_ne_bytes([e, f, g, h]),
    }
}

/// What the witness does until rsamp's end of the channel is closed.
fn witness(mut channel: &UnixStream, command: &[OsString], watched: &SigSet) -> io::Result<()> {
    SigSet::all().thread_set_mask()?;
    // A pipe of the user's must not stay open for it.
    sys::close_all_but(channel.as_raw_fd())?;
    let _ = prctl::set_name(NAME);
    let _ = write_words(command);
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    let signals = SignalFd::with_flags(watched, flags)?;
    loop {
        let mut ready = [
            PollFd::new(channel.as_fd(), PollFlags::POLLIN),
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
        ];
        poll(&mut ready, PollTimeout::NONE)?;
        let is_asked = ready[0].any() == Some(true);
        if is_asked && channel.read(&mut [0])? == 0 {
            return Ok(());
        }
        while let Some(info) = signals.read_signal()? {
            // Those of the kernel are not passed on anyway; the ends of children are not its own.
            if info.ssi_code <= 0 && info.ssi_signo as i32 != libc::SIGCHLD {
                tell(
                    channel,
                    Sent {
                        signal: info.ssi_signo as i32,
                        sender: info.ssi_pid as i32,
                    },
                )?;
            }
        }
        if is_asked {
            let end = Sent {
                signal: 0,
                sender: 0,
            };
            tell(channel, end)?;
        }
    }
}

fn tell(mut channel: &UnixStream, sent: Sent) -> io::Result<()> {
    channel.write_all(&message(sent))
}

/// Puts the words of the command, as far as they fit, over those of this process, where the kernel looks for them
/// (`arg_start` and `arg_end` in proc(5)).
fn write_words(command: &[OsString]) -> io::Result<()> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (start, length) = words_at(&stat).ok_or(io::ErrorKind::InvalidData)?;
    let mut words = vec![0; length];
    let all = command.iter().flat_map(|word| [word.as_bytes(), b"\0"]);
    let all = all.flatten();
    // The last byte stays zero: the kernel takes another for a hint that the words go on elsewhere.
    for (to, from) in words.iter_mut().take(length - 1).zip(all) {
        *to = *from;
    }
    let memory = OpenOptions::new().write(true).open("/proc/self/mem")?;
    memory.write_all_at(&words, start)
}

/// Where the words of a process are, and how many bytes, at least one, from the text of its `stat`: fields 48 and 49.
fn words_at(stat: &str) -> Option<(u64, usize)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(45);
    let start: u64 = fields.next()?.parse().ok()?;
    let end: u64 = fields.next()?.parse().ok()?;
    let length = usize::try_from(end.checked_sub(start)?).ok()?;
    (start > 0 && length > 0).then_some((start, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back() {
        let sent = Sent {
            signal: 64,
            sender: i32::MAX,
        };
        assert_eq!(parse(message(sent)), sent);
    }

    #[test]
    fn the_words_of_a_process_are_found_behind_any_name() {
        let mut stat = "7 (a) b) S".to_owned();
        for field in 4..=52 {
            stat.push_str(&format!(" {}", field * 100));
        }
        assert_eq!(words_at(&stat), Some((4800, 100)));
        assert_eq!(words_at("7 (a) S 1 2"), None);
        assert_eq!(words_at(""), None);
    }
}
