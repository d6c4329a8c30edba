//! Turns mapped files into their landmarks, parsed once per file, wherever it is mapped.

use std::time::Instant;

use rustc_hash::FxHashMap;

use super::image_reader::{ImageReader, NoAnswer};
use super::landmarks::{Landmarks, WANTED};
use crate::process::{
    FileStamp, FileSystems, Image, ImageError, MappedFile, Mapping, Process, ReadBudget,
};

/// The files parsed so far, with the address at which the process that was asked then had them.
#[derive(Debug, Default)]
pub struct KnownFiles {
    files: FxHashMap<FileStamp, (Mapping, Landmarks)>,
    /// What looks into files that this process does not wait for.
    reader: ImageReader,
}

impl KnownFiles {
    /// What is wanted of a file that `process` has mapped; `None` when it can't be opened or parsed, or not as far as
    /// `budget` goes. A file that may have to be waited for is looked into by another process.
    ///
    /// # Errors
    /// When that did not answer.
    pub(super) fn landmarks(
        &mut self,
        file: &MappedFile,
        process: &Process,
        file_systems: &FileSystems,
        budget: &mut ReadBudget,
    ) -> Result<Option<Landmarks>, NoAnswer> {
        if let Some(found) = file.find_local(process, file_systems) {
            let load = || file.load_local(process, &found, WANTED, budget);
            return Ok(self.known_or(found.stamp(), file, load));
        }
        let asked = Instant::now();
        let answer = self.reader.landmarks(process, file, budget.patience());
        budget.waited(asked.elapsed());
        answer
    }

    /// As [`KnownFiles::landmarks`], in that process.
    pub(super) fn landmarks_waiting(
        &mut self,
        file: &MappedFile,
        process: &Process,
    ) -> Option<Landmarks> {
        let load = || file.load(process, WANTED, &mut ReadBudget::whole());
        self.known_or(file.stamp(process), file, load)
    }

    fn known_or(
        &mut self,
        stamp: Option<FileStamp>,
        file: &MappedFile,
        load: impl FnOnce() -> Result<Image, ImageError>,
    ) -> Option<Landmarks> {
        let code = file.mappings.iter().find(|mapping| mapping.executable);
        if let (Some(stamp), Some(code)) = (stamp, code)
            && let Some((before, landmarks)) = self.files.get(&stamp)
            && before.offset == code.offset
        {
            return Some(landmarks.moved(code.start.wrapping_sub(before.start)));
        }
        let landmarks = Landmarks::of(&load().ok()?);
        if let (Some(stamp), Some(code)) = (stamp, code) {
            self.files.insert(stamp, (code.clone(), landmarks.clone()));
        }
        Some(landmarks)
    }
}
