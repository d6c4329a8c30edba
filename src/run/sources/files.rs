//! Turns the name of a file, as the target knows it, into its text, which a [`crate::run::sources::reader`] reads.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::process::{Pid, Process};
use crate::profile::event::ProcessId;
use crate::recording::{ProcessFiles, Text};
use crate::run::sources::reader::{Appeared, Found, Request, Whose};
use crate::run::warning::warn;

/// The subcommand that reads.
pub const READ_SOURCES: &str = "read-sources";

/// The kernel writes no more than so much into a pipe at once, or nothing (`PIPE_BUF` in pipe(7)).
const MAX_REQUEST_BYTES: usize = 4096;

/// No answer is longer: the largest text, with every byte of it escaped.
const MAX_ANSWER_BYTES: usize = 32 << 20;

/// How long the reader may take to end, once it is killed.
const END_PATIENCE: Duration = Duration::from_millis(100);

/// What of the files of the processes gets into a recording.
#[derive(Debug)]
pub struct SourceFiles(Option<SourceReader>);

impl SourceFiles {
    /// `with_source`: else no file is read.
    #[must_use]
    pub fn new(with_source: bool) -> SourceFiles {
        // Without a process that reads, there are no sources; all else goes on.
        SourceFiles(with_source.then(SourceReader::start).and_then(Result::ok))
    }
}

impl ProcessFiles for SourceFiles {
    fn appeared(&self, process: ProcessId, pid: i32) {
        let Some(reader) = &self.0 else { return };
        let Ok(found) = Process::open(Pid(pid)) else {
            return;
        };
        if let Ok(image) = found.exe_identity() {
            // Where the reader is that far behind, the process is left out.
            let _ = reader.say(&Request::Process(Appeared {
                number: process.0,
                pid,
                start_ticks: found.start_ticks(),
                image,
            }));
        }
    }

    fn executable(&self, pid: i32) -> Option<String> {
        let path = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
        Some(path.to_string_lossy().into_owned())
    }

    fn source(&self, process: ProcessId, file: &str, deadline: Instant) -> Option<Text> {
        // `<string>`, `<frozen importlib._bootstrap>`
        if file.starts_with('<') {
            return None;
        }
        let found = self
            .0
            .as_ref()?
            .read(Whose::Process(process.0), file, deadline)?;
        Some(Text {
            text: found.text,
            is_changed: found.is_changed,
        })
    }
}

/// A process that reads files.
#[derive(Debug)]
pub struct SourceReader {
    requests: ChildStdin,
    answers: Mutex<Answers>,
}

#[derive(Debug)]
struct Answers {
    /// `None` once one did not come in time.
    from: Option<ChildStdout>,
    child: Child,
}

impl SourceReader {
    /// Starts it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start() -> io::Result<SourceReader> {
        let mut command = Command::new("/proc/self/exe");
        // Not in the process group that Ctrl-C ends, nor in a folder whose file system may have to go.
        command.arg0("rsamp").arg(READ_SOURCES);
        command.process_group(0).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn()?;
        let (Some(requests), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        fcntl(&requests, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        fcntl(&answers, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let answers = Mutex::new(Answers {
            from: Some(answers),
            child,
        });
        Ok(SourceReader { requests, answers })
    }

    /// The file, if those whose rights count may read it. Once an answer has not come before its deadline, there are no
    /// more.
    pub fn read(&self, whose: Whose, file: &str, deadline: Instant) -> Option<Found> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let request = Request::File(whose, file.to_owned());
        let answer = answers.from.as_mut().map(|from| {
            wait(self.requests.as_fd(), PollFlags::POLLOUT, deadline)
                .and_then(|()| self.say(&request))
                .and_then(|()| read_line(from, deadline))
        })?;
        match answer {
            Ok(line) => serde_json::from_slice(&line).ok()?,
            // A name that is too long.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => None,
            Err(error) => {
                answers.end();
                if error.kind() == io::ErrorKind::TimedOut {
                    complain_of(file);
                }
                None
            }
        }
    }

    fn say(&self, request: &Request) -> io::Result<()> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        if line.len() > MAX_REQUEST_BYTES {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        (&self.requests).write_all(&line)
    }
}

impl Answers {
    /// Kills the reader. One that hangs in the kernel is left behind: it ends when the file system answers.
    fn end(&mut self) {
        self.from = None;
        let _ = self.child.kill();
        let killed = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && killed.elapsed() < END_PATIENCE {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        self.end();
    }
}

fn complain_of(file: &str) {
    let error = format!(
        "read the source file {file:?}: there was no answer in time, so no more source files are read: lines are shown without \
         their text"
    );
    warn(error);
}

/// Reads up to the end of a line, which it leaves out.
fn read_line(from: &mut ChildStdout, deadline: Instant) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut piece = [0; 1 << 16];
    while line.len() < MAX_ANSWER_BYTES {
        wait(from.as_fd(), PollFlags::POLLIN, deadline)?;
        match from.read(&mut piece)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => line.extend_from_slice(&piece[..length]),
        }
        // Nothing comes behind it, for nothing was asked.
        if line.last() == Some(&b'\n') {
            line.pop();
            return Ok(line);
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

fn wait(fd: BorrowedFd<'_>, flags: PollFlags, deadline: Instant) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
    match poll(&mut [PollFd::new(fd, flags)], timeout)? {
        0 => Err(io::ErrorKind::TimedOut.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interpreter_is_named() {
        let own = std::process::id() as i32;
        let exe = SourceFiles::new(false).executable(own).expect("a path");
        let current = std::env::current_exe().expect("a path");
        assert_eq!(std::path::Path::new(&exe), current);
    }
}
