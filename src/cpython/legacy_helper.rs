//! Has another process read an interpreter through the py-spy crate, within limits of time and memory: `rsamp read-legacy`.
//!
//! What py-spy reads is the target's, and may have thousands of threads of thousands of frames. So it reads in a process
//! of its own, which is asked for all stacks by a line and answers with one. When an answer does not come in time, it
//! is killed; the kernel lets the threads go on that it had stopped.

use std::io::{self, BufRead, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, setrlimit};
use serde::{Deserialize, Serialize};

use super::legacy::{LegacyError, LegacyReader, LegacyThread};
use crate::process::end_with_parent;

/// The word on the command line that makes rsamp [`serve`].
pub const READ_LEGACY: &str = "read-legacy";

/// How long it may take to find the interpreter.
const OPEN_PATIENCE: Duration = Duration::from_secs(3);

/// How long one reading of all threads may take. That of a hundred threads takes a twentieth of it.
const READ_PATIENCE: Duration = Duration::from_secs(1);

/// The most memory that the other process may take, in bytes of its address space.
const MAX_MEMORY: u64 = 512 << 20;

/// The longest answer.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// What is asked.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Request {
    /// Stop the threads that run for all readings from now on. There is no answer.
    AllowStops,
    /// Read all threads.
    Read,
}

/// What is answered, or why not; the first time the version of the interpreter.
type Answer<T> = Result<T, String>;

/// One reading of all threads.
#[derive(Debug, Serialize, Deserialize)]
struct Stacks {
    threads: Vec<LegacyThread>,
    /// How often a thread was stopped for it.
    stops: u64,
}

/// What reads an interpreter of a version before 3.6.
pub enum LegacySource {
    /// Another process.
    Helper(Box<LegacyHelper>),
    /// This one. Where the kernel lets a process read only those that descend from it (Yama's `ptrace_scope` of 1), the
    /// other one may not.
    Own(Box<LegacyReader>),
}

impl LegacySource {
    /// Finds the interpreter of process `pid`.
    ///
    /// # Errors
    /// As [`LegacyReader::open`].
    pub fn open(pid: i32) -> Result<LegacySource, LegacyError> {
        let open = |source: io::Error| LegacyError::Open {
            pid,
            source: source.into(),
        };
        match LegacyHelper::open(pid) {
            Ok(helper) => Ok(LegacySource::Helper(Box::new(helper))),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(open(error)),
            Err(_) => LegacyReader::open(pid, false).map(|reader| LegacySource::Own(reader.into())),
        }
    }

    /// The interpreter's version as `2.7.18`.
    #[must_use]
    pub fn version(&self) -> String {
        match self {
            LegacySource::Helper(helper) => helper.version.clone(),
            LegacySource::Own(reader) => reader.version(),
        }
    }

    /// Stops the threads that run, for every reading from now on.
    pub fn allow_stops(&mut self) {
        match self {
            LegacySource::Helper(helper) => helper.allow_stops(),
            LegacySource::Own(reader) => reader.allow_stops(),
        }
    }

    /// How often a thread was stopped for the last reading.
    #[must_use]
    pub fn stops(&self) -> u64 {
        match self {
            LegacySource::Helper(helper) => helper.stops,
            LegacySource::Own(reader) => reader.stops(),
        }
    }

    /// Reads the stack of every Python thread.
    ///
    /// # Errors
    /// When the process is gone, it could not be read, or not in time.
    pub fn stacks(&mut self) -> Result<Vec<LegacyThread>, LegacyError> {
        match self {
            LegacySource::Helper(helper) => helper.stacks(),
            LegacySource::Own(reader) => reader.stacks(),
        }
    }
}

/// The process that reads, and how to talk to it.
pub struct LegacyHelper {
    pid: i32,
    child: Child,
    requests: ChildStdin,
    answers: ChildStdout,
    version: String,
    stops: u64,
}

impl LegacyHelper {
    fn open(pid: i32) -> io::Result<LegacyHelper> {
        let mut command = Command::new("/proc/self/exe");
        command.arg0("rsamp").args([READ_LEGACY, &pid.to_string()]);
        let mut helper = LegacyHelper::start(pid, command)?;
        let version: Answer<String> = helper.hear(OPEN_PATIENCE)?;
        helper.version = version.map_err(io::Error::other)?;
        Ok(helper)
    }

    fn start(pid: i32, mut command: Command) -> io::Result<LegacyHelper> {
        // Not in the process group that Ctrl-C ends, nor in a folder whose file system may have to go.
        command.process_group(0).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn()?;
        let (Some(requests), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        Ok(LegacyHelper {
            pid,
            child,
            requests,
            answers,
            version: String::new(),
            stops: 0,
        })
    }

    fn allow_stops(&mut self) {
        // Where it has ended, the next reading tells.
        let _ = self.say(Request::AllowStops);
    }

    fn stacks(&mut self) -> Result<Vec<LegacyThread>, LegacyError> {
        let said = self.say(Request::Read);
        let answer = said.and_then(|()| self.hear::<Answer<Stacks>>(READ_PATIENCE));
        if answer.is_err() {
            self.end();
        }
        let stacks = answer.and_then(|answer| answer.map_err(io::Error::other));
        let Stacks { threads, stops } = stacks.map_err(|source| LegacyError::Read {
            pid: self.pid,
            tries: 1,
            source: source.into(),
        })?;
        self.stops = stops;
        Ok(threads)
    }

    fn say(&mut self, request: Request) -> io::Result<()> {
        let mut line = serde_json::to_vec(&request)?;
        line.push(b'\n');
        self.requests.write_all(&line)
    }

    /// Takes in one line.
    fn hear<T: for<'a> Deserialize<'a>>(&mut self, patience: Duration) -> io::Result<T> {
        let deadline = Instant::now() + patience;
        let mut line = Vec::new();
        let mut piece = [0; 1 << 16];
        while line.len() < MAX_ANSWER_BYTES {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let fd = PollFd::new(self.answers.as_fd(), PollFlags::POLLIN);
            if poll(&mut [fd], timeout)? == 0 {
                return Err(io::ErrorKind::TimedOut.into());
            }
            match self.answers.read(&mut piece)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                length => line.extend_from_slice(&piece[..length]),
            }
            // Nothing comes behind it, for nothing was asked.
            if line.last() == Some(&b'\n') {
                return Ok(serde_json::from_slice(&line)?);
            }
        }
        Err(io::ErrorKind::InvalidData.into())
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for LegacyHelper {
    fn drop(&mut self) {
        self.end();
    }
}

/// Is the other process, until nobody asks any more.
///
/// # Errors
/// When nobody can be told.
pub fn serve(pid: i32) -> io::Result<()> {
    // Before it reads anything: what asks may be killed.
    let _ = end_with_parent();
    let _ = setrlimit(Resource::RLIMIT_AS, MAX_MEMORY, MAX_MEMORY);
    let mut reader = match LegacyReader::open(pid, false) {
        Ok(reader) => reader,
        Err(error) => return answer(&Answer::<String>::Err(in_words(&error))),
    };
    answer(&Answer::Ok(reader.version()))?;
    for line in io::stdin().lock().lines() {
        match serde_json::from_str(&line?)? {
            Request::AllowStops => reader.allow_stops(),
            Request::Read => {
                let threads = reader.stacks().map_err(|error| in_words(&error));
                let stops = reader.stops();
                answer(&threads.map(|threads| Stacks { threads, stops }))?;
            }
        }
    }
    Ok(())
}

fn in_words(error: &LegacyError) -> String {
    let source = std::error::Error::source(error);
    source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

fn answer<T: Serialize>(answer: &Answer<T>) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn helper(program: &str, argument: &str) -> LegacyHelper {
        let mut command = Command::new(program);
        command.arg(argument);
        LegacyHelper::start(7, command).expect("started")
    }

    #[test]
    fn an_answer_that_does_not_come_is_not_waited_for() {
        let mut silent = helper("cat", "/dev/zero");
        let heard = silent.hear::<Answer<String>>(Duration::ZERO);
        assert_eq!(heard.expect_err("no line").kind(), io::ErrorKind::TimedOut);
        silent.end();
        assert!(matches!(
            silent.stacks(),
            Err(LegacyError::Read { pid: 7, .. })
        ));
    }

    #[test]
    fn an_answer_without_end_and_one_that_is_none_are_refused() {
        let mut endless = helper("cat", "/dev/zero");
        let heard = endless.hear::<Answer<String>>(OPEN_PATIENCE * 100);
        assert_eq!(
            heard.expect_err("too long").kind(),
            io::ErrorKind::InvalidData
        );
        let mut wrong = helper("echo", "what?");
        assert!(wrong.hear::<Answer<String>>(OPEN_PATIENCE).is_err());
        let mut ended = helper("true", "");
        let heard = ended.hear::<Answer<String>>(OPEN_PATIENCE);
        assert_eq!(
            heard.expect_err("no line").kind(),
            io::ErrorKind::UnexpectedEof
        );
    }

    #[test]
    fn what_is_answered_is_heard() {
        let mut helper = helper("echo", r#"{"Ok":"2.7.18"}"#);
        let heard: Answer<String> = helper.hear(OPEN_PATIENCE).expect("an answer");
        assert_eq!(heard.as_deref(), Ok("2.7.18"));
    }
}
