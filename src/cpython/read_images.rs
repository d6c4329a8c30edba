//! Turns requests into the landmarks of mapped files, in a process of its own: `rsamp read-images`.

use std::io::{self, BufRead};

use nix::sys::resource::{Resource, setrlimit};

use super::image_reader::Request;
use super::known_files::KnownFiles;
use super::landmarks::Landmarks;
use crate::process::reading_process::answer;
use crate::process::{MappedFile, Pid, Process, end_with_parent};

/// The most memory that the other process may take, in bytes of its address space.
const MAX_MEMORY: u64 = 512 << 20;

/// Is the other process, until nobody asks any more.
///
/// # Errors
/// When nobody hears the answers.
pub fn serve() -> io::Result<()> {
    // Before it reads anything: what asks may be killed.
    let _ = end_with_parent();
    let _ = setrlimit(Resource::RLIMIT_AS, MAX_MEMORY, MAX_MEMORY);
    let mut known = KnownFiles::default();
    for line in io::stdin().lock().lines() {
        let request: Request = serde_json::from_str(&line?)?;
        answer(&look(&request, &mut known))?;
    }
    Ok(())
}

fn look(request: &Request, known: &mut KnownFiles) -> Option<Landmarks> {
    let process = Process::open(Pid(request.pid)).ok()?;
    let is_it = |file: &MappedFile| (file.device, file.inode) == (request.device, request.inode);
    let file = process.images().ok()?.into_iter().find(is_it)?;
    let is_same = process.start_ticks() == request.start_ticks && process.is_alive();
    is_same
        .then(|| known.landmarks_waiting(&file, &process))
        .flatten()
}
