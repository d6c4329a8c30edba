//! Turns a file that grows in a folder of this machine into one that is written at once where it belongs.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::run::outputs::destination::{Destination, Readers, WriteError};

/// How much goes to a network file system in one write: as much as the largest that NFS and Lustre send at once.
const PIECE_BYTES: usize = 4 << 20;

/// A file for scratch in `$TMPDIR`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TempOutput {
    /// Where it is until it is settled. It stays there when rsamp is killed before, or the place takes nothing.
    pub path: PathBuf,
}

impl TempOutput {
    /// The one for what belongs to `path`: named after it, so that whoever finds it knows what it is.
    #[must_use]
    pub fn for_path(path: &Path) -> TempOutput {
        TempOutput::in_folder(&std::env::temp_dir(), path)
    }

    fn in_folder(folder: &Path, path: &Path) -> TempOutput {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        TempOutput {
            path: folder.join(format!("rsamp-{}-{name}", std::process::id())),
        }
    }

    /// Makes the file, which nobody else can read: the folder is everybody's.
    ///
    /// # Errors
    /// When it exists, or cannot be made.
    pub fn open(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        options.open(&self.path)
    }

    /// Puts other bytes into its place in one go, and opens it to write behind them.
    ///
    /// # Errors
    /// When they cannot be written; it is as it was then.
    pub fn replace(&self, bytes: &[u8]) -> io::Result<File> {
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        let beside = TempOutput { path: name.into() };
        let replaced = || {
            let mut file = beside.open()?;
            file.write_all(bytes)?;
            fs::rename(&beside.path, &self.path)?;
            Ok(file)
        };
        replaced().inspect_err(|_| beside.remove())
    }

    /// Copies it to its place in as few writes as there can be, and removes it. Returns its size.
    ///
    /// # Errors
    /// When not all of it arrived; it is still there then.
    pub fn move_to(&self, place: &Destination, readers: Readers) -> Result<u64, WriteError> {
        // Now: who makes the file that it is copied to may have no right to this one.
        let file = File::open(&self.path).map_err(|source| WriteError {
            path: self.path.clone(),
            written_bytes: 0,
            source,
        })?;
        let size_bytes = place.write(readers, &mut |out| copy(&file, out))?;
        self.remove();
        Ok(size_bytes)
    }

    /// Removes it.
    pub fn remove(&self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn copy(mut file: &File, out: &mut dyn Write) -> io::Result<()> {
    let size_bytes = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    let mut piece = vec![0; size_bytes.clamp(1, PIECE_BYTES)];
    loop {
        let mut filled = 0;
        while filled < piece.len() {
            match file.read(&mut piece[filled..])? {
                0 => break,
                length => filled += length,
            }
        }
        if filled == 0 {
            return Ok(());
        }
        out.write_all(&piece[..filled])?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts what arrives.
    #[derive(Default)]
    struct Writes(Vec<usize>);

    impl Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(bytes.len());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_was_written_bit_by_bit_arrives_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("out");
        fs::create_dir(&target).expect("a folder");
        let target = target.join("a.rsamp");
        let scratch = TempOutput::in_folder(folder.path(), &target);
        let mut file = scratch.open().expect("opened");
        assert!(scratch.open().is_err(), "nobody's file is taken");
        for _ in 0..1000 {
            file.write_all(&[7; 10_000]).expect("written");
        }
        let mut writes = Writes::default();
        copy(&File::open(&scratch.path).expect("opened"), &mut writes).expect("copied");
        assert_eq!(
            writes.0,
            [PIECE_BYTES, PIECE_BYTES, 10_000_000 - 2 * PIECE_BYTES]
        );
        assert!(!target.exists());
        let place = Destination::new(&target);
        assert_eq!(
            scratch.move_to(&place, Readers::Usual).expect("settled"),
            10_000_000
        );
        assert_eq!(fs::read(&target).expect("read").len(), 10_000_000);
        assert!(!scratch.path.exists());
    }

    #[test]
    fn what_does_not_arrive_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = Path::new("/no/such/a.rsamp");
        let scratch = TempOutput::in_folder(folder.path(), target);
        scratch
            .open()
            .expect("opened")
            .write_all(b"x")
            .expect("written");
        scratch
            .move_to(&Destination::new(target), Readers::Usual)
            .expect_err("no folder");
        assert_eq!(fs::read(&scratch.path).expect("read"), b"x");
    }
}
