//! Turns a file on a disk that takes no more into one elsewhere, with all that was written so far.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;

/// Makes a file elsewhere, and tells where it is.
pub type Spare = Box<dyn FnOnce() -> io::Result<(File, PathBuf)> + Send>;

/// A file that goes on elsewhere.
pub struct Spill {
    file: File,
    /// How many bytes were written whole.
    written_bytes: u64,
    spare: Option<Spare>,
    moved: Option<Moved>,
}

/// Where a file went on, and why.
#[derive(Debug)]
pub struct Moved {
    /// Where all of it is.
    pub to: PathBuf,
    /// What the first disk said.
    pub why: io::Error,
}

impl Spill {
    /// The file holds so many bytes. Without `spare` it stays where it is.
    #[must_use]
    pub fn new(file: File, written_bytes: u64, spare: Option<Spare>) -> Spill {
        Spill {
            file,
            written_bytes,
            spare,
            moved: None,
        }
    }

    /// The file that is written now.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Opens what was written so far, to be read from its start.
    pub(super) fn reopened(&self) -> io::Result<File> {
        // It may have lost its name, or another may have it.
        File::open(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
    }

    /// What is not used yet to go on elsewhere, and what was.
    pub fn take_spare(&mut self) -> (Option<Spare>, Option<Moved>) {
        (self.spare.take(), self.moved.take())
    }

    /// Copies what was written so far.
    fn copy(&self, to: &mut File) -> io::Result<()> {
        if self.written_bytes > 0 {
            let mut before = self.reopened()?.take(self.written_bytes);
            io::copy(&mut before, to)?;
        }
        Ok(())
    }

    /// Goes on in the spare file, because of `why`.
    fn move_on(&mut self, why: io::Error, bytes: &[u8]) -> io::Result<()> {
        let Some(spare) = self.spare.take() else {
            return Err(why);
        };
        // What the first disk said tells more than what is wrong with the second.
        let Ok((mut file, to)) = spare() else {
            return Err(why);
        };
        if self
            .copy(&mut file)
            .and_then(|()| file.write_all(bytes))
            .is_err()
        {
            let _ = fs::remove_file(&to);
            return Err(why);
        }
        self.file = file;
        self.moved = Some(Moved { to, why });
        Ok(())
    }
}

impl Write for Spill {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.file.write_all(bytes) {
            self.move_on(error, bytes)?;
        }
        self.written_bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_full_disk_does_not_take_goes_elsewhere_with_all_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let (full, spare) = (folder.path().join("full"), folder.path().join("spare"));
        fs::write(&full, "begin, half").expect("written");
        let to = spare.clone();
        let open: Spare = Box::new(move || Ok((File::create(&to)?, to)));
        // A file that can be read but not written stands for the disk.
        let file = File::open(&full).expect("opened");
        let mut spill = Spill::new(file, "begin, ".len() as u64, Some(open));
        spill.write_all(b"middle, ").expect("written");
        spill.write_all(b"end").expect("written");
        let text = fs::read_to_string(&spare).expect("read");
        assert_eq!(text, "begin, middle, end");
        let (_, moved) = spill.take_spare();
        assert_eq!(moved.map(|moved| moved.to), Some(spare));
    }

    #[test]
    fn where_there_is_nowhere_to_go_the_first_error_is_told() {
        for spare in [
            None,
            Some(Box::new(|| Err(io::Error::other("no"))) as Spare),
        ] {
            let file = File::create("/dev/full").expect("opened");
            let mut spill = Spill::new(file, 0, spare);
            let error = spill.write_all(b"x").expect_err("full");
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        }
    }

    #[test]
    fn nothing_is_left_of_a_spare_file_that_takes_nothing_either() {
        let folder = tempfile::tempdir().expect("a folder");
        let to = folder.path().join("spare");
        fs::write(&to, "").expect("written");
        let open: Spare = Box::new({
            let to = to.clone();
            move || Ok((File::open(&to)?, to))
        });
        let file = File::create("/dev/full").expect("opened");
        let mut spill = Spill::new(file, 0, Some(open));
        let error = spill.write_all(b"x").expect_err("full");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(!to.exists());
    }
}
