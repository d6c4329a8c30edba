//! Turns the name of a file, as the target knows it, into its text, which a [`crate::run::sources::reader`] reads.

use std::fs;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process::{ChildStdin, ChildStdout};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::PollFlags;

use crate::export::source_text::SourceText;
use crate::process::reading_process::{ReadingChild, read_answer, wait_for};
use crate::process::{Pid, Process};
use crate::profile::event::ProcessId;
use crate::profile::paths::library_part;
use crate::recording::{ProcessFiles, Text};
use crate::run::sources::kept_text::KeptTexts;
use crate::run::sources::reader::{Appeared, Found, Request, Whose};
use crate::run::warning::warn;

/// The subcommand that reads.
pub const READ_SOURCES: &str = "read-sources";

/// The kernel writes no more than so much into a pipe at once, or nothing (`PIPE_BUF` in pipe(7)).
const MAX_REQUEST_BYTES: usize = 4096;

/// No answer is longer: the largest text, with every byte of it escaped.
const MAX_ANSWER_BYTES: usize = 32 << 20;

/// So much of the program's own source text is kept for the summary.
const MAX_KEPT_BYTES: usize = 8 << 20;

/// What of the files of the processes gets into a recording.
#[derive(Debug)]
pub struct SourceFiles {
    reader: Option<SourceReader>,
    /// What has no file is asked of the program that ran it.
    programs: KeptTexts,
    kept: Mutex<Kept>,
}

/// The texts of the program's own files, for the summary.
#[derive(Debug, Default)]
struct Kept {
    texts: SourceText,
    bytes: usize,
}

impl SourceFiles {
    /// `with_source`: else no file is read.
    #[must_use]
    pub fn new(with_source: bool) -> SourceFiles {
        // Without a process that reads, there are no sources; all else goes on.
        let reader = with_source.then(SourceReader::start);
        SourceFiles {
            reader: reader.and_then(Result::ok),
            programs: KeptTexts::default(),
            kept: Mutex::default(),
        }
    }

    /// The texts that were asked for of files of no library, as long as they were few enough to keep.
    #[must_use]
    pub fn kept(&self) -> SourceText {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.texts.clone()
    }

    fn keep(&self, file: &str, text: &str) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if library_part(file).is_none() && kept.bytes.saturating_add(text.len()) <= MAX_KEPT_BYTES {
            kept.bytes += text.len();
            kept.texts.add(file, 1, text);
        }
    }
}

impl ProcessFiles for SourceFiles {
    fn appeared(&self, process: ProcessId, pid: i32) {
        let Some(reader) = &self.reader else { return };
        let Ok(found) = Process::open(Pid(pid)) else {
            return;
        };
        self.programs.appeared(process, &found);
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
        let reader = self.reader.as_ref()?;
        // `<ipython-input-3-0a1b>`, `<string>`
        let is_file = !file.starts_with('<');
        let found = is_file.then(|| reader.read(Whose::Process(process.0), file, deadline));
        let text = match found.flatten() {
            Some(found) => Text {
                text: found.text,
                is_changed: found.is_changed,
            },
            None => Text {
                text: self.programs.text(process, file)?,
                is_changed: false,
            },
        };
        self.keep(file, &text.text);
        Some(text)
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
    child: ReadingChild,
}

impl SourceReader {
    /// Starts it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start() -> io::Result<SourceReader> {
        let (child, requests, answers) = ReadingChild::start(&[READ_SOURCES])?;
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
            wait_for(self.requests.as_fd(), PollFlags::POLLOUT, deadline)
                .and_then(|()| self.say(&request))
                .and_then(|()| read_answer(from, MAX_ANSWER_BYTES, deadline))
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
    fn end(&mut self) {
        self.from = None;
        self.child.end();
    }
}

fn complain_of(file: &str) {
    let error = format!(
        "read the source file {file:?}: there was no answer in time, so no more source files are read: lines are shown without \
         their text"
    );
    warn(error);
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
