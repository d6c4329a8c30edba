//! Has another process of rsamp look into the symbols of a mapped file: `rsamp read-symbols`.
//!
//! The file is the target's, and so are its symbols and DWARF, from which a small file can ask for any amount of memory
//! and time. The other process finds the file in the maps of the target, has a limit of memory, and is killed when it does
//! not answer in time. Where it fails, it is asked once more, for symbols only.

use std::io::{self, BufRead};
use std::time::Duration;

use nix::sys::resource::{Resource, setrlimit};
use serde::{Deserialize, Serialize};

use super::frame::{Detail, NamedFrame};
use super::look_up::{MAX_TIME, look_up_mapped};
use crate::process::reading_process::answer;
use crate::process::{MappedFile, Pid, Process, ReadingProcess, end_with_parent};

/// The word on the command line that makes rsamp [`serve`].
pub const READ_SYMBOLS: &str = "read-symbols";

/// The most memory that the other process may take, in bytes of its address space.
const MAX_MEMORY: u64 = 1 << 30;

/// What starting and answering take beside [`MAX_TIME`].
const ANSWER_TIME: Duration = Duration::from_secs(2);

/// Which addresses are asked for, of a file that a process has mapped.
#[derive(Debug, Serialize, Deserialize)]
struct Request {
    pid: i32,
    start_ticks: u64,
    device: (u32, u32),
    inode: u64,
    addresses: Vec<u64>,
    detail: Detail,
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
    /// As [`look_up_mapped`]; `None` where the file can't be opened, or no answer came.
    pub fn look_up(
        &mut self,
        process: &Process,
        mapped: &MappedFile,
        addresses: &[u64],
    ) -> Option<Vec<Vec<NamedFrame>>> {
        let mut request = Request {
            pid: process.pid().0,
            start_ticks: process.start_ticks(),
            device: mapped.device,
            inode: mapped.inode,
            addresses: addresses.to_vec(),
            detail: Detail::Lines,
        };
        let answer = self.ask(&request).or_else(|_| {
            request.detail = Detail::Names;
            self.ask(&request)
        });
        let frames = answer.ok().flatten()?;
        (frames.len() == addresses.len()).then_some(frames)
    }

    fn ask(&mut self, request: &Request) -> io::Result<Answer> {
        let process = match &mut self.process {
            Some(process) => process,
            none => none.insert(ReadingProcess::start(&[READ_SYMBOLS])?),
        };
        let answer = process
            .say(request)
            .and_then(|()| process.hear(MAX_TIME + ANSWER_TIME));
        if answer.is_err() {
            // The next request starts another one.
            self.process = None;
        }
        answer
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
    for line in io::stdin().lock().lines() {
        let request: Request = serde_json::from_str(&line?)?;
        answer(&look(&request))?;
    }
    Ok(())
}

fn look(request: &Request) -> Answer {
    let process = Process::open(Pid(request.pid)).ok()?;
    let is_it = |file: &MappedFile| (file.device, file.inode) == (request.device, request.inode);
    let file = process.images().ok()?.into_iter().find(is_it)?;
    let is_same = process.start_ticks() == request.start_ticks && process.is_alive();
    let look_up = || look_up_mapped(&process, &file, &request.addresses, request.detail).ok();
    is_same.then(look_up).flatten()
}
