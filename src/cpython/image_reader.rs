//! Has another process of rsamp look into mapped files on file systems that may stall: `rsamp read-images`.
//!
//! It looks for them itself, in the maps of the process, and reads them with the rights of rsamp: a file that a process has
//! mapped is one that the process may read. When no answer comes in time, it is killed, and its file system is left alone
//! for a while.

use std::io;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::landmarks::Landmarks;
use crate::process::{MappedFile, Process, ReadingProcess};

/// The word on the command line that makes rsamp [`serve`](super::read_images::serve).
pub const READ_IMAGES: &str = "read-images";

/// A file system that did not answer is not asked again for so long.
const SILENCE: Duration = Duration::from_secs(30);

/// So many file systems that did not answer are remembered.
const MAX_SILENT: usize = 64;

/// Which file is asked for: one that a process has mapped.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub pid: i32,
    pub start_ticks: u64,
    pub device: (u32, u32),
    pub inode: u64,
}

/// The file system did not answer in time, now or shortly before.
#[derive(Debug)]
pub struct NoAnswer;

/// What asks the other process.
#[derive(Debug, Default)]
pub struct ImageReader {
    /// Started when it is first needed.
    process: Option<ReadingProcess>,
    /// The devices of the file systems that did not answer, and when.
    silent: Vec<((u32, u32), Instant)>,
}

impl ImageReader {
    /// What is wanted of a file; `None` when it can't be opened or parsed.
    ///
    /// # Errors
    /// When no answer came in time.
    pub(super) fn landmarks(
        &mut self,
        process: &Process,
        file: &MappedFile,
        patience: Duration,
    ) -> Result<Option<Landmarks>, NoAnswer> {
        self.silent.retain(|(_, since)| since.elapsed() < SILENCE);
        let mut silent = self.silent.iter();
        if patience.is_zero() || silent.any(|(device, _)| *device == file.device) {
            return Err(NoAnswer);
        }
        let request = Request {
            pid: process.pid().0,
            start_ticks: process.start_ticks(),
            device: file.device,
            inode: file.inode,
        };
        match self.ask(&request, patience) {
            Ok(landmarks) => Ok(landmarks),
            Err(error) => {
                // The next request starts another one.
                self.process = None;
                if error.kind() != io::ErrorKind::TimedOut {
                    return Ok(None);
                }
                if self.silent.len() < MAX_SILENT {
                    self.silent.push((file.device, Instant::now()));
                }
                Err(NoAnswer)
            }
        }
    }

    fn ask(&mut self, request: &Request, patience: Duration) -> io::Result<Option<Landmarks>> {
        let process = match &mut self.process {
            Some(process) => process,
            none => none.insert(ReadingProcess::start(&[READ_IMAGES])?),
        };
        process.say(request)?;
        process.hear(patience)
    }
}
