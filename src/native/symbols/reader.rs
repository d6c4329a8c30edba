//! Has another process of rsamp look into the symbols of a mapped file: `rsamp read-symbols`.
//!
//! The file is the target's, and so are its symbols and DWARF, from which a small file can ask for any amount of memory
//! and time. The other process finds the file in the maps of the target, has a limit of memory, and is killed when it does
//! not answer in time. Where it fails, it is asked once more, for symbols only.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use nix::sys::resource::{Resource, setrlimit};
use serde::{Deserialize, Serialize};

use super::frame::{Detail, NamedFrame};
use super::look_up::{MAX_BYTES, MAX_TIME, look_up};
use super::target_files::TargetFiles;
use crate::process::reading_process::answer;
use crate::process::{
    MappedFile, Pid, Process, ReadBudget, ReadingProcess, be_idle, end_with_parent,
};

/// The word on the command line that makes rsamp [`serve`].
pub const READ_SYMBOLS: &str = "read-symbols";

/// The most memory that the other process may take, in bytes of its address space.
const MAX_MEMORY: u64 = 1 << 30;

/// How long one module may take where nobody waits: on a full machine the other process seldom gets a CPU.
const IDLE_TIME: Duration = Duration::from_secs(50);

/// What starting and answering take beside [`MAX_TIME`].
const ANSWER_TIME: Duration = Duration::from_secs(2);

/// So many files stay open in the other process, and the root folders of so many processes: less than the 1024
/// descriptors that a process may have.
const MAX_KEPT: usize = 400;

/// Whether somebody waits for the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hurry {
    /// Somebody does.
    Now,
    /// Nobody does: the other process gets a CPU when nobody else wants it (`SCHED_IDLE` of sched(7)).
    WhenIdle,
}

/// A file that a process has mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct FileKey {
    pid: i32,
    start_ticks: u64,
    device: (u32, u32),
    inode: u64,
}

/// Which addresses are asked for, of a file that a process has mapped. None: the file is opened, to be read later.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    file: FileKey,
    addresses: Vec<u64>,
    detail: Detail,
    hurry: Hurry,
}

/// The functions at each address, innermost first; `None`: the file could not be opened.
type Answer = Option<Vec<Vec<NamedFrame>>>;

/// What asks the other process.
#[derive(Debug, Default)]
pub struct SymbolReader {
    /// Started when it is first needed.
    process: Option<ReadingProcess>,
}

impl SymbolReader {
    /// As [`look_up_mapped`](super::look_up_mapped); `None` where the file can't be opened, or no answer came. Where nobody
    /// waits, that may take as long as the CPUs are busy.
    pub fn look_up(
        &mut self,
        process: &Process,
        mapped: &MappedFile,
        addresses: &[u64],
        hurry: Hurry,
    ) -> Option<Vec<Vec<NamedFrame>>> {
        let mut request = Request {
            file: FileKey::of(process, mapped),
            addresses: addresses.to_vec(),
            detail: Detail::Lines,
            hurry,
        };
        let answer = self.ask(&request).or_else(|_| {
            request.detail = Detail::Names;
            self.ask(&request)
        });
        let frames = answer.ok().flatten()?;
        (frames.len() == addresses.len()).then_some(frames)
    }

    /// Has the file opened now, so that it can be read when the process has ended.
    pub fn keep(&mut self, process: &Process, mapped: &MappedFile) {
        let request = Request {
            file: FileKey::of(process, mapped),
            addresses: Vec::new(),
            detail: Detail::Names,
            hurry: Hurry::Now,
        };
        // A file that can't be opened gives no names later.
        let _ = self.ask(&request);
    }

    fn ask(&mut self, request: &Request) -> io::Result<Answer> {
        let process = match &mut self.process {
            Some(process) => process,
            none => none.insert(ReadingProcess::start(&[READ_SYMBOLS])?),
        };
        let answer = process
            .say(request)
            .and_then(|()| process.hear(patience(request.hurry)));
        if answer.is_err() {
            // The next request starts another one.
            self.process = None;
        }
        answer
    }
}

impl FileKey {
    fn of(process: &Process, mapped: &MappedFile) -> FileKey {
        FileKey {
            pid: process.pid().0,
            start_ticks: process.start_ticks(),
            device: mapped.device,
            inode: mapped.inode,
        }
    }
}

/// How long an answer may take.
fn patience(hurry: Hurry) -> Duration {
    match hurry {
        Hurry::Now => MAX_TIME + ANSWER_TIME,
        Hurry::WhenIdle => IDLE_TIME,
    }
}

/// Is the other process, until nobody asks any more.
///
/// # Errors
/// When nobody hears the answers.
pub fn serve() -> io::Result<()> {
    // Before it reads anything: what asks may be killed.
    let _ = end_with_parent();
    let _ = setrlimit(Resource::RLIMIT_AS, MAX_MEMORY, MAX_MEMORY);
    let mut kept = KeptFiles::default();
    for line in io::stdin().lock().lines() {
        let request: Request = serde_json::from_str(&line?)?;
        let found = match request.hurry {
            Hurry::Now => kept.look(&request, MAX_TIME),
            Hurry::WhenIdle => when_idle(|| kept.look(&request, IDLE_TIME)),
        };
        answer(&found)?;
    }
    Ok(())
}

/// Does it on a thread that gets a CPU when nobody else wants it: a process that has less may not ask for more again.
fn when_idle<T: Send>(work: impl FnOnce() -> Option<T> + Send) -> Option<T> {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            be_idle();
            work()
        });
        thread.join().ok().flatten()
    })
}

/// The files that were asked for. They can be read when the process has ended.
#[derive(Default)]
struct KeptFiles(HashMap<FileKey, KeptFile>);

struct KeptFile {
    file: File,
    path: PathBuf,
    debug_files: TargetFiles,
}

impl KeptFiles {
    fn look(&mut self, request: &Request, time: Duration) -> Answer {
        if !self.0.contains_key(&request.file) {
            let opened = KeptFile::open(&request.file)?;
            if self.0.len() >= MAX_KEPT {
                self.0.clear();
            }
            self.0.insert(request.file, opened);
        }
        let kept = self.0.get(&request.file)?;
        if request.addresses.is_empty() {
            return Some(Vec::new());
        }
        let budget = &mut ReadBudget::of(MAX_BYTES, time);
        Some(look_up(
            kept.file.try_clone().ok()?,
            &kept.path,
            &request.addresses,
            request.detail,
            &kept.debug_files,
            budget,
        ))
    }
}

impl KeptFile {
    /// `None` where the process has ended, or does not have it mapped any more.
    fn open(key: &FileKey) -> Option<KeptFile> {
        let process = Process::open(Pid(key.pid)).ok()?;
        let is_it = |file: &MappedFile| (file.device, file.inode) == (key.device, key.inode);
        let mapped = process.images().ok()?.into_iter().find(is_it)?;
        let is_same = process.start_ticks() == key.start_ticks && process.is_alive();
        let file = mapped.open(&process).ok().filter(|_| is_same)?;
        let debug_files = TargetFiles::of(&process).ok()?;
        Some(KeptFile {
            file,
            path: mapped.path,
            debug_files,
        })
    }
}
