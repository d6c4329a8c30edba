//! Turns a file below `/proc` into its bytes again and again, and keeps as many of these files open as there is
//! room for.
//!
//! An open file is read in 1 µs, one that has to be opened in 3 or 4. But a process may open 1,024 files where
//! nobody raised the limit, or 256, and rsamp reads a handful for each process and each thread.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::resource::{Resource, getrlimit};

/// The most files that are kept open, whatever the limit.
const MOST_KEPT: u64 = 256;

/// They take at most one part in so many of what may be open; pidfds take half, and the rest is for the
/// recording, its outputs and what is open for a moment.
const KEPT_PART: u64 = 4;

/// The part for pidfds.
const PIDFD_PART: u64 = 2;

static KEPT: AtomicU64 = AtomicU64::new(0);
static PIDFDS: AtomicU64 = AtomicU64::new(0);

/// One of the descriptors that may be open at once, until it is dropped.
#[derive(Debug)]
pub(super) struct Slot(&'static AtomicU64);

impl Slot {
    /// One for a pidfd; `None` when there is no more room.
    pub(super) fn for_pidfd() -> Option<Slot> {
        Slot::take(&PIDFDS, open_files_limit() / PIDFD_PART)
    }

    fn for_file() -> Option<Slot> {
        Slot::take(&KEPT, most_kept(open_files_limit()))
    }

    fn take(taken: &'static AtomicU64, most: u64) -> Option<Slot> {
        let one_more = |count: u64| (count < most).then_some(count + 1);
        let order = Ordering::Relaxed;
        taken.fetch_update(order, order, one_more).ok()?;
        Some(Slot(taken))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn most_kept(limit: u64) -> u64 {
    MOST_KEPT.min(limit / KEPT_PART)
}

/// How many files this process may open (`RLIMIT_NOFILE`).
fn open_files_limit() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft)
}

/// A file that is read from its start again and again.
#[derive(Debug)]
pub(super) struct KeptFile {
    path: String,
    open: Option<(File, Slot)>,
}

impl KeptFile {
    /// Opens the file.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn open(path: String) -> io::Result<KeptFile> {
        let file = File::open(&path)?;
        let mut kept = KeptFile { path, open: None };
        kept.keep(file);
        Ok(kept)
    }

    /// Fills `into` with the start of the file; returns how many bytes that are.
    ///
    /// # Errors
    /// What the kernel says; `ESRCH` when the thread or process has ended, whether the file was open or not.
    pub(super) fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if let Some((file, _)) = &self.open {
            return file.read_at(into, 0);
        }
        let file = File::open(&self.path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => io::Error::from_raw_os_error(libc::ESRCH),
            _ => error,
        })?;
        let length = file.read_at(into, 0)?;
        self.keep(file);
        Ok(length)
    }

    /// Closes it until it is read again, where more than half of the room is taken: to open it anew costs more than
    /// to read it.
    pub(super) fn close(&mut self) {
        let most = most_kept(open_files_limit());
        if KEPT.load(Ordering::Relaxed) > most / 2 {
            self.open = None;
        }
    }

    fn keep(&mut self, file: File) {
        self.open = Slot::for_file().map(|slot| (file, slot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_descriptors_are_taken_than_there_is_room_for() {
        static TAKEN: AtomicU64 = AtomicU64::new(0);
        let taken: Vec<Slot> = (0..5).map_while(|_| Slot::take(&TAKEN, 3)).collect();
        assert_eq!(taken.len(), 3);
        drop(taken);
        assert!(Slot::take(&TAKEN, 1).is_some());
        assert_eq!(most_kept(64), 16);
        assert_eq!(most_kept(1 << 20), MOST_KEPT);
    }

    #[test]
    fn a_file_that_is_closed_is_read_all_the_same() {
        let id = std::process::id();
        let mut file = KeptFile::open(format!("/proc/{id}/task/{id}/stat")).unwrap();
        let mut read = || {
            let mut buffer = [0; 16];
            let length = file.read(&mut buffer).unwrap();
            file.open = None;
            buffer[..length].to_vec()
        };
        let first = read();
        assert!(first.starts_with(id.to_string().as_bytes()));
        assert_eq!(read(), first);
    }

    #[test]
    fn a_thread_that_ended_is_told_as_such() {
        let path = format!("/proc/{}/task/{}/stat", std::process::id(), i32::MAX);
        let mut file = KeptFile { path, open: None };
        let error = file.read(&mut [0; 16]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ESRCH));
    }
}
