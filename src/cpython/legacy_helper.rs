//! Has another process read an interpreter through the py-spy crate, within limits of time and memory: `rsamp read-legacy`.
//!
//! What py-spy reads is the target's, and may have thousands of threads of thousands of frames. So it reads in a process
//! of its own, which is asked for all stacks by a line and answers with one. When an answer does not come in time, it
//! is killed; the kernel lets the threads go on that it had stopped.

use std::io::{self, BufRead};
use std::time::Duration;

use nix::sys::resource::{Resource, setrlimit};
use serde::{Deserialize, Serialize};

use super::legacy::{LegacyError, LegacyReader, LegacyThread};
use crate::process::reading_process::answer;
use crate::process::{ReadingProcess, end_with_parent};

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

/// The process that reads.
pub struct LegacyHelper {
    pid: i32,
    process: ReadingProcess,
    version: String,
    stops: u64,
}

impl LegacyHelper {
    fn open(pid: i32) -> io::Result<LegacyHelper> {
        let mut process = ReadingProcess::start(&[READ_LEGACY, &pid.to_string()])?;
        let version: Answer<String> = process.hear(OPEN_PATIENCE)?;
        Ok(LegacyHelper {
            pid,
            process,
            version: version.map_err(io::Error::other)?,
            stops: 0,
        })
    }

    fn allow_stops(&mut self) {
        // Where it has ended, the next reading tells.
        let _ = self.process.say(&Request::AllowStops);
    }

    fn stacks(&mut self) -> Result<Vec<LegacyThread>, LegacyError> {
        let said = self.process.say(&Request::Read);
        let answer = said.and_then(|()| self.process.hear::<Answer<Stacks>>(READ_PATIENCE));
        if answer.is_err() {
            self.process.end();
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
        let mut helper = LegacyHelper {
            pid: 7,
            process: ReadingProcess::of(Command::new("true")).expect("started"),
            version: "2.7.18".to_owned(),
            stops: 0,
        };
        for _ in 0..2 {
            let stacks = helper.stacks();
            assert!(matches!(stacks, Err(LegacyError::Read { pid: 7, .. })));
        }
    }
}
