//! Turns a request into an answer by another process of rsamp, which is killed when no answer comes in time.
//!
//! That process may wait for a file system that does not answer, or read what has no end. rsamp itself never does.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::{Deserialize, Serialize};

/// The longest answer.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// How long it may take to end, once it is killed. One that waits in the kernel for a file system ends when that answers:
/// it is left behind.
const END_PATIENCE: Duration = Duration::from_millis(100);

/// A process of rsamp that reads for this one. Dropping it kills it.
#[derive(Debug)]
pub struct ReadingChild(Child);

impl ReadingChild {
    /// Starts rsamp with these words on its command line. Returns the process, where it takes requests, and where it
    /// gives answers.
    ///
    /// # Errors
    /// When no process can be started.
    pub fn start(words: &[&str]) -> io::Result<(ReadingChild, ChildStdin, ChildStdout)> {
        let mut command = Command::new("/proc/self/exe");
        command.arg0("rsamp").args(words);
        ReadingChild::of(command)
    }

    fn of(mut command: Command) -> io::Result<(ReadingChild, ChildStdin, ChildStdout)> {
        // Not in the process group that Ctrl-C ends, nor in a folder whose file system may have to go.
        command.process_group(0).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn()?;
        let pipes = (child.stdin.take(), child.stdout.take());
        let child = ReadingChild(child);
        match pipes {
            (Some(requests), Some(answers)) => Ok((child, requests, answers)),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Kills it. One that hangs in the kernel is left behind: it ends when the file system answers.
    pub fn end(&mut self) {
        let _ = self.0.kill();
        let killed = Instant::now();
        while matches!(self.0.try_wait(), Ok(None)) && killed.elapsed() < END_PATIENCE {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for ReadingChild {
    fn drop(&mut self) {
        self.end();
    }
}

/// Reads an answer of up to `max_bytes`, up to the end of its line, which it leaves out.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`] when it did not come in time; when the process has ended, or said too much.
pub fn read_answer(
    answers: &mut ChildStdout,
    max_bytes: usize,
    deadline: Instant,
) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut piece = [0; 1 << 16];
    while line.len() < max_bytes {
        wait_for(answers.as_fd(), PollFlags::POLLIN, deadline)?;
        match answers.read(&mut piece)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => line.extend_from_slice(&piece[..length]),
        }
        // Nothing comes behind it, for nothing was asked.
        if line.pop_if(|last| *last == b'\n').is_some() {
            return Ok(line);
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

/// Waits until a pipe can be read or written.
///
/// # Errors
/// [`io::ErrorKind::TimedOut`] when it can not in time.
pub fn wait_for(fd: BorrowedFd<'_>, flags: PollFlags, deadline: Instant) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
    match poll(&mut [PollFd::new(fd, flags)], timeout)? {
        0 => Err(io::ErrorKind::TimedOut.into()),
        _ => Ok(()),
    }
}

/// The other process. Requests and answers are lines of JSON, one at a time. Dropping it ends it.
#[derive(Debug)]
pub struct ReadingProcess {
    child: ReadingChild,
    requests: ChildStdin,
    answers: ChildStdout,
}

impl ReadingProcess {
    /// Starts rsamp with these words on its command line.
    ///
    /// # Errors
    /// When no process can be started.
    pub fn start(words: &[&str]) -> io::Result<ReadingProcess> {
        ReadingChild::start(words).map(ReadingProcess::new)
    }

    /// Starts a command.
    ///
    /// # Errors
    /// As [`ReadingProcess::start`].
    pub fn of(command: Command) -> io::Result<ReadingProcess> {
        ReadingChild::of(command).map(ReadingProcess::new)
    }

    fn new((child, requests, answers): (ReadingChild, ChildStdin, ChildStdout)) -> ReadingProcess {
        ReadingProcess {
            child,
            requests,
            answers,
        }
    }

    /// Sends a request.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn say(&mut self, request: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        self.requests.write_all(&line)
    }

    /// Waits for one answer.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] when it did not come in time; when the process has ended, or said something else.
    pub fn hear<T: for<'a> Deserialize<'a>>(&mut self, patience: Duration) -> io::Result<T> {
        let deadline = Instant::now() + patience;
        let line = read_answer(&mut self.answers, MAX_ANSWER_BYTES, deadline)?;
        Ok(serde_json::from_slice(&line)?)
    }

    /// Kills it.
    pub fn end(&mut self) {
        self.child.end();
    }
}

/// Prints an answer, in the other process.
///
/// # Errors
/// When nobody hears it.
pub fn answer(answer: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than any of these takes on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn process(program: &str, argument: &str) -> ReadingProcess {
        let mut command = Command::new(program);
        command.arg(argument);
        ReadingProcess::of(command).expect("started")
    }

    fn hear(process: &mut ReadingProcess, patience: Duration) -> io::Result<Option<String>> {
        process.hear(patience)
    }

    #[test]
    fn an_answer_that_does_not_come_is_not_waited_for() {
        let mut silent = process("cat", "/dev/zero");
        let heard = hear(&mut silent, Duration::ZERO);
        assert_eq!(heard.expect_err("no line").kind(), io::ErrorKind::TimedOut);
        silent.end();
        assert!(silent.say(&"more").is_err());
    }

    #[test]
    fn an_endless_or_invalid_answer_is_refused() {
        let kind = |program: &str, argument: &str| {
            let heard = hear(&mut process(program, argument), PATIENCE);
            heard.expect_err("no answer").kind()
        };
        assert_eq!(kind("cat", "/dev/zero"), io::ErrorKind::InvalidData);
        assert_eq!(kind("echo", "what?"), io::ErrorKind::InvalidData);
        assert_eq!(kind("true", ""), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn an_answer_is_received() {
        let mut echo = process("echo", r#""2.7.18""#);
        let heard = hear(&mut echo, PATIENCE).expect("an answer");
        assert_eq!(heard.as_deref(), Some("2.7.18"));
    }
}
