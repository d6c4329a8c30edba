//! Has another process read an interpreter through the py-spy crate, within limits of time and memory: `rsamp read-legacy`.
//!
//! What py-spy reads is the target's, and may have thousands of threads of thousands of frames. So it reads in a process
//! of its own, which is asked for all stacks by a line and answers with one. When an answer does not come in time, it
//! is killed; the kernel lets the threads go on that it had stopped. Where that process may not read, a thread of rsamp reads,
//! and loses the right to when it does not answer in time.

use std::io::{self, BufRead};
use std::time::Duration;

use nix::sys::resource::{Resource, setrlimit};
use serde::{Deserialize, Serialize};

use super::legacy::{LegacyError, LegacyReader, LegacyThread};
use crate::process::reading_process::answer;
use crate::process::{ReadingProcess, ReadingThread, end_with_parent};

/// The word on the command line that makes rsamp [`serve`].
pub const READ_LEGACY: &str = "read-legacy";

/// How long it may take to find the interpreter.
const OPEN_PATIENCE: Duration = Duration::from_secs(3);

/// How long one reading of all threads may take. That of a hundred threads takes a twentieth of it.
const READ_PATIENCE: Duration = Duration::from_secs(1);

/// The most memory that the other process may take, in bytes of its address space.
const MAX_MEMORY: u64 = 512 << 20;

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

/// What reads an interpreter of a version before 3.6, within limits.
pub struct LegacySource {
    pid: i32,
    by: By,
    version: String,
    stops: u64,
}

/// Who reads.
enum By {
    /// Another process.
    Process(ReadingProcess),
    /// A thread of this one. Where the kernel lets a process read only those that descend from it (Yama's `ptrace_scope` of
    /// 1), the other process may not. There is no limit of memory then, but that of the time in which it is taken.
    Thread(ReadingThread<ThreadRequest, Answer<ThreadAnswer>>),
}

/// What a thread is asked.
enum ThreadRequest {
    Open,
    AllowStops,
    Read,
}

/// What it answers.
enum ThreadAnswer {
    Version(String),
    Allowed,
    Stacks(Stacks),
}

impl LegacySource {
    /// Finds the interpreter of process `pid`.
    ///
    /// # Errors
    /// As [`LegacyReader::open`].
    pub fn open(pid: i32) -> Result<LegacySource, LegacyError> {
        let opened = match LegacySource::open_by_process(pid) {
            Err(error) if error.kind() != io::ErrorKind::TimedOut => {
                LegacySource::open_by_thread(pid)
            }
            opened => opened,
        };
        opened.map_err(|source| LegacyError::Open {
            pid,
            source: source.into(),
        })
    }

    fn open_by_process(pid: i32) -> io::Result<LegacySource> {
        let mut process = ReadingProcess::start(&[READ_LEGACY, &pid.to_string()])?;
        let version: Answer<String> = process.hear(OPEN_PATIENCE)?;
        Ok(LegacySource {
            pid,
            version: version.map_err(io::Error::other)?,
            by: By::Process(process),
            stops: 0,
        })
    }

    fn open_by_thread(pid: i32) -> io::Result<LegacySource> {
        let mut reader = None;
        let mut thread = ReadingThread::start(move |request| {
            let answer = answer_in_thread(pid, &mut reader, &request);
            Some(answer.map_err(|error| in_words(&error)))
        })?;
        let opened = thread.ask(ThreadRequest::Open, OPEN_PATIENCE)?;
        match opened.map_err(io::Error::other)? {
            ThreadAnswer::Version(version) => Ok(LegacySource {
                pid,
                by: By::Thread(thread),
                version,
                stops: 0,
            }),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// The interpreter's version as `2.7.18`.
    #[must_use]
    pub fn version(&self) -> String {
        self.version.clone()
    }

    /// Stops the threads that run, for every reading from now on.
    pub fn allow_stops(&mut self) {
        // Where it has ended, the next reading tells.
        match &mut self.by {
            By::Process(process) => {
                let _ = process.say(&Request::AllowStops);
            }
            By::Thread(thread) => {
                let _ = thread.ask(ThreadRequest::AllowStops, READ_PATIENCE);
            }
        }
    }

    /// How often a thread was stopped for the last reading.
    #[must_use]
    pub fn stops(&self) -> u64 {
        self.stops
    }

    /// Reads the stack of every Python thread.
    ///
    /// # Errors
    /// When the process is gone, it could not be read, or not in time.
    pub fn stacks(&mut self) -> Result<Vec<LegacyThread>, LegacyError> {
        let read = match &mut self.by {
            By::Process(process) => read_by_process(process),
            By::Thread(thread) => read_by_thread(thread),
        };
        let Stacks { threads, stops } = read.map_err(|source| LegacyError::Read {
            pid: self.pid,
            tries: 1,
            source: source.into(),
        })?;
        self.stops = stops;
        Ok(threads)
    }
}

fn read_by_process(process: &mut ReadingProcess) -> io::Result<Stacks> {
    let said = process.say(&Request::Read);
    let answer = said.and_then(|()| process.hear::<Answer<Stacks>>(READ_PATIENCE));
    if answer.is_err() {
        process.end();
    }
    answer?.map_err(io::Error::other)
}

fn read_by_thread(
    thread: &mut ReadingThread<ThreadRequest, Answer<ThreadAnswer>>,
) -> io::Result<Stacks> {
    let answer = thread.ask(ThreadRequest::Read, READ_PATIENCE)?;
    match answer.map_err(io::Error::other)? {
        ThreadAnswer::Stacks(stacks) => Ok(stacks),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn answer_in_thread(
    pid: i32,
    reader: &mut Option<LegacyReader>,
    request: &ThreadRequest,
) -> Result<ThreadAnswer, LegacyError> {
    let reader = match reader {
        Some(reader) => reader,
        none => none.insert(LegacyReader::open(pid, false)?),
    };
    Ok(match request {
        ThreadRequest::Open => ThreadAnswer::Version(reader.version()),
        ThreadRequest::AllowStops => {
            reader.allow_stops();
            ThreadAnswer::Allowed
        }
        ThreadRequest::Read => ThreadAnswer::Stacks(Stacks {
            threads: reader.stacks()?,
            stops: reader.stops(),
        }),
    })
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

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_reading_that_fails_is_an_error_of_the_process_that_was_to_be_read() {
        let mut source = LegacySource {
            pid: 7,
            by: By::Process(ReadingProcess::of(Command::new("true")).expect("started")),
            version: "2.7.18".to_owned(),
            stops: 0,
        };
        for _ in 0..2 {
            let stacks = source.stacks();
            assert!(matches!(stacks, Err(LegacyError::Read { pid: 7, .. })));
        }
    }
}
