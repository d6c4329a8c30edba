//! Turns a path into a place that was found writable, and bytes into a whole file there or none.
//!
//! A regular file appears, or is replaced, only when it is complete: the bytes go to a temporary file
//! in the same folder, which is then renamed. Devices, pipes and descriptors are written directly.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, fchown};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, eaccess, geteuid};
use thiserror::Error;

use super::naming::PatternError;
use crate::export::Format;

/// As many as the kernel follows in one path (`MAXSYMLINKS`, path_resolution(7)).
const MAX_SYMLINKS: usize = 40;
/// Names tried for a temporary file, before giving up; a second one is needed only after a crash.
const MAX_TEMPORARY_NAMES: u32 = 100;

/// A path that was found writable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// As the user named it.
    pub path: PathBuf,
    way: Way,
}

/// How bytes get there.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    /// A new file beside this one takes its name once it is whole.
    Rename(PathBuf),
    /// As `Rename`, but never over a file that appeared in the meantime.
    New(PathBuf),
    /// A device, a named pipe, or a file in a folder that cannot be written.
    Direct(PathBuf),
    /// This process's standard output.
    Stdout,
    /// This process's standard error.
    Stderr,
}

/// Why a path is no place to write to.
#[derive(Debug, Error)]
pub enum OutputError {
    /// It exists, and was not named by the user.
    #[error("{0:?} exists")]
    Exists(PathBuf),
    /// It exists and is write-protected.
    #[error("{0:?} is write-protected")]
    Protected(PathBuf),
    /// It is a folder.
    #[error("{0:?} is a folder")]
    IsFolder(PathBuf),
    /// The program that draws this format is not installed.
    #[error("{format} files are drawn by the program {program}, which is not in PATH")]
    NoProgram {
        /// The format.
        format: Format,
        /// The program.
        program: &'static str,
    },
    /// Its name cannot be made.
    #[error(transparent)]
    Name(#[from] PatternError),
    /// The kernel does not let it be created or written.
    #[error("create {path:?}")]
    Refused {
        /// The path.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// Whether a file is there that this user may execute.
#[must_use]
pub fn is_program(path: &Path) -> bool {
    path.is_file() && eaccess(path, AccessFlags::X_OK).is_ok()
}

/// Why bytes did not arrive.
#[derive(Debug, Error)]
#[error("write {path:?} (failed after {written})", written = crate::export::number::size(*written_bytes))]
pub struct WriteError {
    /// Where they should have gone.
    pub path: PathBuf,
    /// How many arrived.
    pub written_bytes: u64,
    /// What the kernel said.
    #[source]
    pub source: io::Error,
}

/// Who shall own the files: the user and group that typed `sudo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    uid: u32,
    gid: u32,
}

impl Owner {
    /// The user behind `sudo`, when this process is root through it.
    #[must_use]
    pub fn behind_sudo() -> Option<Owner> {
        let number = |name| std::env::var(name).ok()?.parse().ok();
        behind_sudo(geteuid().is_root(), number("SUDO_UID"), number("SUDO_GID"))
    }
}

fn behind_sudo(is_root: bool, uid: Option<u32>, gid: Option<u32>) -> Option<Owner> {
    if is_root {
        Some(Owner {
            uid: uid?,
            gid: gid?,
        })
    } else {
        None
    }
}

impl Place {
    /// Finds out whether a file that the user named can be written, without changing it.
    ///
    /// # Errors
    /// When it cannot. `is_forced`: a write-protected file is replaced all the same.
    pub fn named(path: &Path, is_forced: bool) -> Result<Place, OutputError> {
        let way = way_to(path, is_forced)?;
        Ok(Place {
            path: path.to_owned(),
            way,
        })
    }

    /// A file that must not exist yet. Nothing is checked: that happens when it is written.
    #[must_use]
    pub fn new(path: &Path) -> Place {
        Place {
            path: path.to_owned(),
            way: Way::New(path.to_owned()),
        }
    }

    /// Opens it for what is written bit by bit: a regular file is there from now on, and holds what was
    /// written so far.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(&self, owner: Option<Owner>) -> io::Result<File> {
        let file = match &self.way {
            Way::Rename(target) => overwrite(target)?,
            Way::New(target) => OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(target)?,
            Way::Direct(target) => return direct(target),
            Way::Stdout => return descriptor(io::stdout()),
            Way::Stderr => return descriptor(io::stderr()),
        };
        if let Some(owner) = owner {
            let _ = fchown(&file, Some(owner.uid), Some(owner.gid));
        }
        Ok(file)
    }

    /// Writes what `render` gives and returns its size.
    ///
    /// # Errors
    /// When not all of it arrived; a regular file is then as it was before. An error of kind
    /// [`io::ErrorKind::AlreadyExists`] means that a file that had to be new was not.
    pub fn write(
        &self,
        owner: Option<Owner>,
        render: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<u64, WriteError> {
        let mut written_bytes = 0;
        let result =
            match &self.way {
                Way::Rename(target) => {
                    self::replace(target, owner, &mut written_bytes, render, |temporary| {
                        fs::rename(temporary, target)
                    })
                }
                Way::New(target) => {
                    self::replace(target, owner, &mut written_bytes, render, |temporary| {
                        rename_if_new(temporary, target)
                    })
                }
                Way::Direct(target) => {
                    direct(target).and_then(|file| copy(&file, &mut written_bytes, render))
                }
                Way::Stdout => descriptor(io::stdout())
                    .and_then(|file| copy(&file, &mut written_bytes, render)),
                Way::Stderr => descriptor(io::stderr())
                    .and_then(|file| copy(&file, &mut written_bytes, render)),
            };
        let is_read_no_more = |error: &io::Error| {
            self.way == Way::Stdout && error.kind() == io::ErrorKind::BrokenPipe
        };
        match result {
            Err(source) if !is_read_no_more(&source) => Err(WriteError {
                path: self.path.clone(),
                written_bytes,
                source,
            }),
            _ => Ok(written_bytes),
        }
    }
}

/// Finds out whether new files can be made in `folder`, by making and removing one.
///
/// # Errors
/// When not.
pub fn check_folder(folder: &Path) -> Result<(), OutputError> {
    let (_, temporary) =
        create_temporary(&folder.join("rsamp")).map_err(|source| OutputError::Refused {
            path: folder.to_owned(),
            source,
        })?;
    let _ = fs::remove_file(temporary);
    Ok(())
}

fn way_to(path: &Path, is_forced: bool) -> Result<Way, OutputError> {
    let refused = |source| OutputError::Refused {
        path: path.to_owned(),
        source,
    };
    if path == Path::new("-") {
        return Ok(Way::Stdout);
    }
    let target = match follow(path).map_err(refused)? {
        Followed::Descriptor(1) => return Ok(Way::Stdout),
        Followed::Descriptor(2) => return Ok(Way::Stderr),
        Followed::Descriptor(_) => path.to_owned(),
        Followed::Path(target) => target,
    };
    let metadata = match fs::metadata(&target) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            check_folder(&folder_of(&target)).map_err(|error| match error {
                OutputError::Refused { source, .. } => refused(source),
                other => other,
            })?;
            return Ok(Way::Rename(target));
        }
        Err(error) => return Err(refused(error)),
    };
    let is_writable = eaccess(&target, AccessFlags::W_OK);
    let kind = metadata.file_type();
    if kind.is_dir() {
        Err(OutputError::IsFolder(path.to_owned()))
    } else if kind.is_fifo() {
        // Opening it would wait for a reader, before the program has even started.
        is_writable
            .map(|()| Way::Direct(target))
            .map_err(|errno| refused(errno.into()))
    } else if !kind.is_file() {
        direct(&target)
            .map(|_| Way::Direct(target))
            .map_err(refused)
    } else if is_writable.is_err() && !is_forced {
        Err(OutputError::Protected(path.to_owned()))
    } else {
        match (check_folder(&folder_of(&target)), is_writable) {
            (Ok(()), _) => Ok(Way::Rename(target)),
            (Err(_), Ok(())) => Ok(Way::Direct(target)),
            (Err(_), Err(errno)) => Err(refused(errno.into())),
        }
    }
}

/// What is at the end of a chain of symbolic links.
#[derive(Debug, PartialEq, Eq)]
enum Followed {
    /// A descriptor of this process. Behind it may be a file that somebody else is writing (`> out.txt`):
    /// it must not be renamed over.
    Descriptor(i32),
    /// A path that is no symbolic link; it may not exist.
    Path(PathBuf),
}

fn follow(path: &Path) -> io::Result<Followed> {
    let mut path = path.to_owned();
    for _ in 0..MAX_SYMLINKS {
        if let Some(number) = descriptor_number(&path) {
            return Ok(Followed::Descriptor(number));
        }
        match fs::read_link(&path) {
            Ok(next) => path = folder_of(&path).join(next),
            Err(_) => return Ok(Followed::Path(path)),
        }
    }
    Err(io::Error::from_raw_os_error(libc::ELOOP))
}

fn descriptor_number(path: &Path) -> Option<i32> {
    let own = format!("/proc/{}/fd", std::process::id());
    let folders = ["/dev/fd", "/proc/self/fd", "/proc/thread-self/fd", &own];
    match path.to_str()? {
        "/dev/stdout" => Some(1),
        "/dev/stderr" => Some(2),
        text => folders
            .iter()
            .find_map(|folder| text.strip_prefix(folder)?.strip_prefix('/'))
            .and_then(|number| number.parse().ok()),
    }
}

fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn direct(target: &Path) -> io::Result<File> {
    let is_file = fs::metadata(target).is_ok_and(|metadata| metadata.is_file());
    OpenOptions::new()
        .append(true)
        .open(target)
        .and_then(|file| {
            // A descriptor's file may be somebody else's standard output: only add to it.
            if is_file && descriptor_number(target).is_none() {
                file.set_len(0)?;
            }
            Ok(file)
        })
}

/// Empties the file or makes it. One that is write-protected is replaced, which was checked before.
fn overwrite(target: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    match options.open(target) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            fs::remove_file(target)?;
            options.open(target)
        }
        result => result,
    }
}

fn descriptor(stream: impl AsFd) -> io::Result<File> {
    Ok(File::from(stream.as_fd().try_clone_to_owned()?))
}

/// Writes a temporary file beside `target` and hands it to `settle`; removes it when anything fails.
fn replace(
    target: &Path,
    owner: Option<Owner>,
    written_bytes: &mut u64,
    render: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    settle: impl Fn(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let (file, temporary) = create_temporary(target)?;
    let result = copy(&file, written_bytes, render)
        // A full disk behind a network shows only now.
        .and_then(|()| file.sync_all())
        .and_then(|()| dress(&file, target, owner))
        .and_then(|()| settle(&temporary));
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    result
}

/// Gives the new file the permissions of the one it replaces, and its owner.
fn dress(file: &File, target: &Path, owner: Option<Owner>) -> io::Result<()> {
    let replaced = fs::metadata(target).ok();
    if let Some(replaced) = &replaced {
        file.set_permissions(replaced.permissions())?;
    }
    let kept = replaced.map(|old| Owner {
        uid: old.uid(),
        gid: old.gid(),
    });
    if let Some(owner) = owner.or(kept.filter(|_| geteuid().is_root())) {
        // Some network file systems refuse; a profile owned by root is better than none.
        let _ = fchown(file, Some(owner.uid), Some(owner.gid));
    }
    Ok(())
}

/// Renames unless `target` exists. File systems without hard links leave a gap between look and rename.
fn rename_if_new(temporary: &Path, target: &Path) -> io::Result<()> {
    match fs::hard_link(temporary, target) {
        Ok(()) => {
            let _ = fs::remove_file(temporary);
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        Err(_) if target.symlink_metadata().is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => fs::rename(temporary, target),
    }
}

/// Makes a hidden file in the folder of `target` that did not exist, so that no link is followed.
fn create_temporary(target: &Path) -> io::Result<(File, PathBuf)> {
    let folder = folder_of(target);
    let process = std::process::id();
    for number in 0..MAX_TEMPORARY_NAMES {
        let path = folder.join(format!(".rsamp-{process}-{number}.tmp"));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => return result.map(|file| (file, path)),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn copy(
    file: &File,
    written_bytes: &mut u64,
    render: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut out = BufWriter::new(Counting {
        file,
        written_bytes,
    });
    let result = render(&mut out).and_then(|()| out.flush());
    if result.is_err() {
        // Dropping it would write once more what could not be written.
        let _ = out.into_parts();
    }
    result
}

/// Counts what arrives in a file.
struct Counting<'a> {
    file: &'a File,
    written_bytes: &'a mut u64,
}

impl Write for Counting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        *self.written_bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    /// Writes `text` and fails afterwards when asked to.
    fn write(place: &Place, text: &str, failure: Option<io::ErrorKind>) -> Result<u64, WriteError> {
        place.write(None, &mut |out| {
            out.write_all(text.as_bytes())?;
            out.flush()?;
            failure.map_or(Ok(()), |kind| Err(kind.into()))
        })
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<String> = entries
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_only_when_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.svg");
        fs::write(&path, "old").expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("permissions");
        let place = Place::named(&path, false).expect("writable");
        assert_eq!(fs::read_to_string(&path).expect("read"), "old");

        let error = write(&place, "half", Some(io::ErrorKind::StorageFull)).expect_err("full");
        assert_eq!(error.written_bytes, 4);
        assert_eq!(
            error.to_string(),
            format!("write {path:?} (failed after 4 B)")
        );
        assert_eq!(fs::read_to_string(&path).expect("read"), "old");

        assert_eq!(write(&place, "new", None).expect("written"), 3);
        assert_eq!(fs::read_to_string(&path).expect("read"), "new");
        assert_eq!(fs::metadata(&path).expect("metadata").mode() & 0o777, 0o640);
        assert_eq!(names(folder.path()), ["a.svg"], "no temporary file is left");
    }

    #[test]
    fn what_is_written_bit_by_bit_is_there_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.rsamp");
        let mut file = Place::new(&path).open(None).expect("opened");
        file.write_all(b"new").expect("written");
        assert_eq!(fs::read(&path).expect("read"), b"new");
        let error = Place::new(&path).open(None).expect_err("exists");
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);

        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).expect("permissions");
        let forced = Place::named(&path, true).expect("writable");
        forced
            .open(None)
            .expect("opened")
            .write_all(b"x")
            .expect("written");
        assert_eq!(fs::read(&path).expect("read"), b"x");
        if geteuid().is_root() {
            let owner = Owner {
                uid: 4321,
                gid: 1234,
            };
            forced.open(Some(owner)).expect("opened");
            assert_eq!(fs::metadata(&path).expect("metadata").uid(), 4321);
        }
    }

    #[test]
    fn a_link_keeps_pointing_to_its_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let link = folder.path().join("latest.svg");
        for target in ["real.svg", "dangling.svg"] {
            let _ = fs::remove_file(&link);
            symlink(target, &link).expect("a link");
            let place = Place::named(&link, false).expect("writable");
            write(&place, target, None).expect("written");
            assert!(link.symlink_metadata().expect("metadata").is_symlink());
            assert_eq!(
                fs::read_to_string(folder.path().join(target)).expect("read"),
                target
            );
        }
    }

    #[test]
    fn a_new_file_never_replaces_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.svg");
        write(&Place::new(&path), "first", None).expect("written");
        let error = write(&Place::new(&path), "second", None).expect_err("exists");
        assert_eq!(error.source.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).expect("read"), "first");
        assert_eq!(names(folder.path()), ["a.svg"]);
    }

    #[test]
    fn what_cannot_be_written_is_found_out_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let refused = |path: &Path| Place::named(path, false).expect_err("refused");
        assert!(matches!(refused(folder.path()), OutputError::IsFolder(_)));
        assert!(matches!(
            refused(&folder.path().join("no/such/a.svg")),
            OutputError::Refused { .. }
        ));
        assert!(matches!(
            refused(Path::new("/proc/a.svg")),
            OutputError::Refused { .. }
        ));
        assert!(check_folder(Path::new("/proc")).is_err());
        let ring = folder.path().join("ring");
        symlink("ring", &ring).expect("a link");
        assert!(matches!(refused(&ring), OutputError::Refused { .. }));
        assert_eq!(names(folder.path()), ["ring"]);
    }

    #[test]
    fn a_device_is_written_directly() {
        let null = Place::named(Path::new("/dev/null"), false).expect("writable");
        assert_eq!(write(&null, "abc", None).expect("written"), 3);
        let full = Place::named(Path::new("/dev/full"), false).expect("can be opened");
        let error = write(&full, "abc", None).expect_err("full");
        assert_eq!(
            (error.written_bytes, error.source.kind()),
            (0, io::ErrorKind::StorageFull)
        );
    }

    #[test]
    fn descriptors_are_known_by_any_name() {
        let own = format!("/proc/{}/fd/7", std::process::id());
        let table = [
            ("/dev/stdout", 1),
            ("/dev/stderr", 2),
            ("/dev/fd/63", 63),
            ("/proc/self/fd/1", 1),
            (own.as_str(), 7),
        ];
        for (path, number) in table {
            assert_eq!(
                follow(Path::new(path)).expect("followed"),
                Followed::Descriptor(number),
                "{path}"
            );
        }
        let folder = tempfile::tempdir().expect("a folder");
        let link = folder.path().join("out");
        symlink("/dev/stdout", &link).expect("a link");
        assert_eq!(follow(&link).expect("followed"), Followed::Descriptor(1));
    }

    #[test]
    fn sudo_names_the_owner() {
        assert_eq!(
            behind_sudo(true, Some(1000), Some(100)),
            Some(Owner {
                uid: 1000,
                gid: 100
            })
        );
        assert_eq!(behind_sudo(false, Some(1000), Some(100)), None);
        assert_eq!(behind_sudo(true, None, None), None);
    }

    #[test]
    fn under_sudo_the_file_is_the_users() {
        if !geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.svg");
        let owner = Owner {
            uid: 4321,
            gid: 1234,
        };
        Place::new(&path)
            .write(Some(owner), &mut |out| out.write_all(b"a"))
            .expect("written");
        let metadata = fs::metadata(&path).expect("metadata");
        assert_eq!((metadata.uid(), metadata.gid()), (4321, 1234));
    }
}
