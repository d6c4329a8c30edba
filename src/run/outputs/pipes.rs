//! Turns a pipe that nobody reads into an error, once a signal says that nobody waits for it.
//!
//! While rsamp writes, Ctrl-C and its like are held back: the files of a run are not to be lost by the keys that ended the
//! program. Most writes end soon. Those that may wait for ever, for the reader of a pipe, look for such a signal.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::thread;
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

/// How often a wait looks for a signal.
const LOOK_MS: u16 = 50;

/// What a pipe takes at once when it takes anything (`PIPE_BUF` in pipe(7)).
const PIPE_BYTES: usize = 4096;

/// The signals that end a wait.
const ENDING: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// Opens a named pipe for writing, when somebody reads it.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`]: a signal came first; or what the kernel says.
pub fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW);
    let mut wait = Wait::default();
    loop {
        match options.open(path) {
            Ok(file) => {
                // Writes wait, in their own way.
                fcntl(&file, FcntlArg::F_SETFL(OFlag::O_WRONLY))?;
                return Ok(file);
            }
            Err(error) if error.raw_os_error() == Some(libc::ENXIO) => {
                thread::sleep(Duration::from_millis(LOOK_MS.into()));
                wait.look("nobody reads it")?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Whether writes to this may wait for somebody.
fn may_wait(file: &File) -> bool {
    let kind = file.metadata().map(|metadata| metadata.file_type());
    kind.is_ok_and(|kind| kind.is_fifo() || kind.is_socket() || kind.is_char_device())
}

/// A file, a pipe or a terminal.
#[derive(Debug)]
pub struct Patient<'f> {
    file: &'f File,
    may_wait: bool,
}

impl<'f> Patient<'f> {
    /// Writes to `file`.
    #[must_use]
    pub fn new(file: &'f File) -> Patient<'f> {
        Patient {
            may_wait: may_wait(file),
            file,
        }
    }
}

impl Write for Patient<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.may_wait {
            return self.file.write(bytes);
        }
        let mut wait = Wait::default();
        loop {
            let mut ready = [PollFd::new(self.file.as_fd(), PollFlags::POLLOUT)];
            if poll(&mut ready, PollTimeout::from(LOOK_MS)).is_ok_and(|ready| ready > 0) {
                return self.file.write(&bytes[..bytes.len().min(PIPE_BYTES)]);
            }
            wait.look("its reader takes no more")?;
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A wait, and whether a signal was there at the last look: while the program runs, another thread takes signals at once.
#[derive(Debug, Default)]
struct Wait {
    was_pending: bool,
}

impl Wait {
    fn look(&mut self, why: &str) -> io::Result<()> {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let is_pending = is_ending_pending(&status);
        if is_pending && self.was_pending {
            let text = format!("{why}, and a signal ended the wait");
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
        self.was_pending = is_pending;
        Ok(())
    }
}

/// Whether one of [`ENDING`] waits for this process (`ShdPnd` in proc(5)).
fn is_ending_pending(status: &str) -> bool {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("ShdPnd:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(0);
    ENDING
        .iter()
        .any(|signal| mask & (1 << (*signal as i32 - 1)) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_waits_is_seen() {
        for (status, expected) in [
            ("ShdPnd:\t0000000000000002\n", true),
            ("SigPnd:\t2\nShdPnd:\t0000000000004000\n", true),
            ("ShdPnd:\t0000000000000200\n", false),
            ("", false),
        ] {
            assert_eq!(is_ending_pending(status), expected, "{status}");
        }
    }
}
