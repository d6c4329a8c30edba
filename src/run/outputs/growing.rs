//! Turns a place into a file that grows there, whatever others do to it meanwhile: write it too, move or delete it.
//!
//! Who writes a recording holds a lock on it (flock(2)), which the kernel releases when rsamp ends, however that is. A second
//! rsamp that is given the same name sees the lock, and takes the next one: `prof-2.rsamp`.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::process::open_regular;
use crate::recording::Replace;
use crate::run::caller;
use crate::run::outputs::destination::{Destination, Readers, WriteError};
use crate::run::outputs::outcome::{Outcome, Saved};
use crate::run::warning::warn;

/// Names tried; more rsamps than this do not write one file.
const MAX_NAMES: u32 = 1000;

/// A recording that is being written.
#[derive(Debug, Clone)]
pub struct Growing {
    /// Where it should be.
    pub destination: Destination,
    opened: Arc<Mutex<Option<Opened>>>,
}

#[derive(Debug)]
struct Opened {
    /// Opened by its name, for reading: the kernel tells for such a descriptor where the file has been moved.
    file: File,
    path: PathBuf,
    /// The permissions that it usually has, where rsamp made the file.
    usual: Option<Permissions>,
}

impl Opened {
    fn at(path: PathBuf, file: &File, usual: Option<Permissions>) -> io::Result<Opened> {
        let by_name = open_regular(&path).ok();
        let file = by_name.map_or_else(|| file.try_clone(), Ok)?;
        Ok(Opened { file, path, usual })
    }
}

fn lock(opened: &Mutex<Option<Opened>>) -> MutexGuard<'_, Option<Opened>> {
    // It is only ever put there as a whole.
    opened.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Growing {
    /// Nothing is opened yet.
    #[must_use]
    pub fn at(destination: Destination) -> Growing {
        let opened = Arc::default();
        Growing {
            destination,
            opened,
        }
    }

    /// Opens it, or the next name where another rsamp writes it, which is said.
    pub fn opener(&self, readers: Readers) -> impl FnOnce() -> io::Result<File> + Send + 'static {
        let (place, opened) = (self.destination.clone(), Arc::clone(&self.opened));
        move || {
            let usual = place.usual_permissions();
            let (file, path) = open(&place, readers)?;
            if path != place.path {
                let error = format!(
                    "another rsamp writes {:?}: this one writes {path:?}",
                    place.path
                );
                warn(error);
            }
            *lock(&opened) = Some(Opened::at(path, &file, usual)?);
            Ok(file)
        }
    }

    /// Gives it its usual permissions, if it was opened for its owner only.
    pub fn open_up(&self) {
        let opened = lock(&self.opened);
        let Some(opened) = opened.as_ref() else {
            return;
        };
        if let (Some(usual), Ok(_acting)) = (&opened.usual, caller::act()) {
            // Where that fails it stays its owner's.
            let _ = opened.file.set_permissions(usual.clone());
        }
    }

    /// Puts other bytes in its place, in one go, and opens it to write behind them.
    #[must_use]
    pub fn replacer(&self, readers: Readers) -> Replace {
        let opened = Arc::clone(&self.opened);
        Box::new(move |bytes| {
            let mut opened = lock(&opened);
            let before = opened.as_ref().ok_or(io::ErrorKind::NotFound)?;
            let (path, usual) = (before.path.clone(), before.usual.clone());
            if !path.metadata()?.is_file() {
                return Err(io::Error::other("only a regular file can be made smaller"));
            }
            let place = Destination::named(&path, true).map_err(io::Error::other)?;
            let written = place.write(readers, &mut |out| out.write_all(bytes));
            written.map_err(|error| error.source)?;
            let _acting = caller::act()?;
            let file = OpenOptions::new().append(true).open(&path)?;
            // Where the file system knows no locks, it is written without.
            let _ = file.try_lock();
            *opened = Some(Opened::at(path, &file, usual)?);
            Ok(file)
        })
    }

    /// What became of it, once all is written: where it is now. One that was deleted is copied to `spare`.
    #[must_use]
    pub fn end(self, outcome: Outcome, spare: &Path) -> Outcome {
        let opened = lock(&self.opened);
        let Some(opened) = opened.as_ref() else {
            return outcome;
        };
        let Some(size_bytes) = outcome.saved.as_ref().map(|saved| saved.size_bytes) else {
            return outcome;
        };
        match whereabouts(&opened.file, &opened.path) {
            Some(path) => Outcome {
                saved: Some(Saved { path, size_bytes }),
                ..outcome
            },
            None => rescued(&opened.file, &opened.path, spare, outcome),
        }
    }
}

fn open(place: &Destination, readers: Readers) -> io::Result<(File, PathBuf)> {
    let mut result = place.open(readers).map(|file| (file, place.path.clone()));
    for number in 2..MAX_NAMES {
        let kind = result.as_ref().map_err(io::Error::kind).err();
        let is_taken = match kind {
            Some(io::ErrorKind::WouldBlock) => true,
            Some(io::ErrorKind::AlreadyExists) => number > 2,
            _ => false,
        };
        if !is_taken {
            break;
        }
        let path = numbered(&place.path, number);
        result = Destination::new(&path)
            .open(readers)
            .map(|file| (file, path));
    }
    result
}

/// `prof-2.rsamp` for `prof.rsamp`.
fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{number}"));
    if let Some(ending) = path.extension() {
        name.push(OsString::from("."));
        name.push(ending);
    }
    path.with_file_name(name)
}

/// Where a file is now that was opened at `path`; `None` when it has no name any more.
fn whereabouts(file: &File, path: &Path) -> Option<PathBuf> {
    let Ok(metadata) = file.metadata() else {
        return Some(path.to_owned());
    };
    let is_there = fs::metadata(path)
        .is_ok_and(|found| (found.dev(), found.ino()) == (metadata.dev(), metadata.ino()));
    if !metadata.is_file() || is_there {
        return Some(path.to_owned());
    }
    if metadata.nlink() == 0 {
        return None;
    }
    // It was moved, or the program has changed its working folder's name.
    let moved = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
    Some(moved.unwrap_or_else(|_| path.to_owned()))
}

/// Copies a deleted file to a folder, and says so.
fn rescued(file: &File, path: &Path, spare: &Path, outcome: Outcome) -> Outcome {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{}.rsamp", std::process::id()));
    let copy = spare.join(name);
    // From its beginning, wherever others read.
    let copied = File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).and_then(|mut from| {
        let place = Destination::new(&copy);
        let mut to = place.open(Readers::Owner)?;
        io::copy(&mut from, &mut to)
    });
    let deleted = io::Error::new(
        io::ErrorKind::NotFound,
        "it was deleted while rsamp wrote it",
    );
    let (saved, source) = match copied {
        Ok(size_bytes) => (
            Some(Saved {
                path: copy,
                size_bytes,
            }),
            deleted,
        ),
        Err(error) => (None, error),
    };
    Outcome {
        saved,
        error: outcome.error.or(Some(WriteError {
            path: path.to_owned(),
            written_bytes: 0,
            source,
        })),
        ..outcome
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::run::outputs::kind::Kind;

    fn grown(folder: &Path, name: &str) -> (Growing, File) {
        let place = Destination::named(&folder.join(name), false).expect("a place");
        let growing = Growing::at(place);
        let file = growing.opener(Readers::Usual)().expect("opened");
        (growing, file)
    }

    fn end(growing: Growing, spare: &Path) -> Outcome {
        let outcome = Outcome {
            kind: Kind::Recording,
            saved: Some(Saved {
                path: growing.destination.path.clone(),
                size_bytes: 4,
            }),
            error: None,
        };
        growing.end(outcome, spare)
    }

    #[test]
    fn a_second_writer_of_a_file_gets_another_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |growing: &mut (Growing, File), text: &str| {
            growing.1.write_all(text.as_bytes()).expect("written");
        };
        fs::write(folder.path().join("a.rsamp"), "of a run before").expect("written");
        let mut all = [(); 3].map(|()| grown(folder.path(), "a.rsamp"));
        for (growing, text) in all.iter_mut().zip(["1st ", "2nd ", "3rd "]) {
            write(growing, text);
        }
        let names = ["a.rsamp", "a-2.rsamp", "a-3.rsamp"];
        for ((growing, file), (name, text)) in all
            .into_iter()
            .zip(names.into_iter().zip(["1st ", "2nd ", "3rd "]))
        {
            let path = folder.path().join(name);
            assert_eq!(fs::read_to_string(&path).expect("written"), text);
            let outcome = end(growing, Path::new("/none"));
            assert!(outcome.error.is_none());
            assert_eq!(outcome.saved.map(|saved| saved.path), Some(path));
            drop(file);
        }
        // Its writers have ended.
        let (_growing, _file) = grown(folder.path(), "a.rsamp");
        assert_eq!(
            fs::read(folder.path().join("a.rsamp"))
                .expect("there")
                .len(),
            0
        );
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 3);
    }

    #[test]
    fn a_file_that_was_deleted_is_copied_elsewhere() {
        let (folder, spare) = (
            tempfile::tempdir().expect("a folder"),
            tempfile::tempdir().expect("a folder"),
        );
        let (growing, mut file) = grown(folder.path(), "a.rsamp");
        file.write_all(b"text").expect("written");
        fs::remove_dir_all(folder.path()).expect("removed");
        let outcome = end(growing, spare.path());
        let error = outcome.error.expect("said");
        assert!(error.source.to_string().contains("deleted"), "{error:?}");
        let saved = outcome.saved.expect("saved");
        assert_eq!(saved.path.parent(), Some(spare.path()));
        assert_eq!(fs::read(saved.path).expect("there"), b"text");
    }

    #[test]
    fn a_file_that_was_moved_is_told_where_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let (growing, _file) = grown(folder.path(), "a.rsamp");
        let moved = folder.path().join("b.rsamp");
        fs::rename(folder.path().join("a.rsamp"), &moved).expect("moved");
        let outcome = end(growing, Path::new("/none"));
        assert_eq!(outcome.saved.map(|saved| saved.path), Some(moved));
    }
}
