//! Turns a path into a place that was found writable, and bytes into a whole file there or none.
//!
//! A regular file appears, or is replaced, only when it is complete: the bytes go to a file without a name in the
//! same folder (`O_TMPFILE`), of which nothing is left if rsamp is killed. It gets its name at the very end. Devices,
//! pipes and descriptors are written directly.
//!
//! Everything is opened, made and renamed with the rights of the user who typed the command ([`crate::run::caller`]), so
//! that the kernel refuses under sudo what it would refuse without. A file of somebody else is never written
//! into: it is replaced, where that user may replace it. Nor is a symbolic link followed that somebody else put into a
//! folder for everybody, as with `fs.protected_symlinks` (proc_sys_fs(5)), which is not set everywhere.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, BufWriter, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};
use nix::unistd::{AccessFlags, eaccess, linkat};
use thiserror::Error;

use crate::export::Format;
use crate::process::{exchange_files, open_regular};
use crate::run::caller;
use crate::run::outputs::kind::Kind;
use crate::run::outputs::naming::PatternError;
use crate::run::outputs::pipes::{self, Patient};

/// As many as the kernel follows in one path (`MAXSYMLINKS`, path_resolution(7)).
const MAX_SYMLINKS: usize = 40;
/// Names tried for a temporary file, before giving up; a second one is needed only after a crash, and by two threads.
const MAX_TEMPORARY_NAMES: u32 = 100;

/// A path that was found writable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// As the user named it.
    pub path: PathBuf,
    way: WriteMethod,
}

/// Who may read a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Those whom the umask leaves.
    Usual,
    /// Its owner.
    Owner,
}

impl Readers {
    fn mode(self) -> u32 {
        match self {
            Readers::Usual => 0o666,
            Readers::Owner => 0o600,
        }
    }
}

/// How bytes get there.
#[derive(Debug, Clone, PartialEq, Eq)]
enum WriteMethod {
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
    /// It is not text, and would go to a terminal.
    #[error("standard output is a terminal, and {0} is not text")]
    Terminal(Kind),
    /// It exists and is write-protected.
    #[error("{0:?} is write-protected")]
    Protected(PathBuf),
    /// It exists, is somebody else's, and cannot be replaced.
    #[error("{0:?} belongs to another user")]
    Foreign(PathBuf),
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
#[error("write {path:?} (failed after {written})", written = crate::export::words::number::size(*written_bytes))]
pub struct WriteError {
    /// Where they should have gone.
    pub path: PathBuf,
    /// How many arrived.
    pub written_bytes: u64,
    /// What the kernel said.
    #[source]
    pub source: io::Error,
}

impl Destination {
    /// Finds out whether a file that the user named can be written, without changing it.
    ///
    /// # Errors
    /// When it cannot. `is_forced`: a write-protected file is replaced all the same.
    pub fn named(path: &Path, is_forced: bool) -> Result<Destination, OutputError> {
        let _acting = caller::act().map_err(|source| refused(path, source))?;
        let way = write_method(path, is_forced)?;
        Ok(Destination {
            path: path.to_owned(),
            way,
        })
    }

    /// A file that must not exist yet. Nothing is checked: that happens when it is written.
    #[must_use]
    pub fn new(path: &Path) -> Destination {
        Destination {
            path: path.to_owned(),
            way: WriteMethod::New(path.to_owned()),
        }
    }

    /// Opens it for what is written bit by bit: a regular file is there from now on, and holds what was
    /// written so far. It is locked until it is closed.
    ///
    /// # Errors
    /// When it cannot be opened; [`io::ErrorKind::WouldBlock`]: another rsamp has it open so.
    pub fn open(&self, readers: Readers) -> io::Result<File> {
        let _acting = caller::act()?;
        match &self.way {
            WriteMethod::Rename(target) => {
                let file = NewFile::beside(target, readers)?;
                file.dress(target, readers)?;
                // Nobody has it yet. Where the file system knows no locks, it is written without.
                let _ = file.file.try_lock();
                file.replace_unused(target)
            }
            WriteMethod::New(target) => {
                let mut options = OpenOptions::new();
                options.write(true).create_new(true).mode(readers.mode());
                let file = options.open(target)?;
                let _ = file.try_lock();
                Ok(file)
            }
            WriteMethod::Direct(target) => direct(target),
            WriteMethod::Stdout => descriptor(io::stdout()),
            WriteMethod::Stderr => descriptor(io::stderr()),
        }
    }

    /// The permissions of the file that [`Destination::open`] makes for [`Readers::Usual`]; `None` where it makes none.
    #[must_use]
    pub fn usual_permissions(&self) -> Option<Permissions> {
        let new = || Permissions::from_mode(Readers::Usual.mode() & !umask());
        match &self.way {
            WriteMethod::Rename(target) => {
                let old = fs::metadata(target).ok();
                let old = old.filter(|old| old.is_file() && old.uid() == caller::uid());
                Some(old.map_or_else(new, |old| old.permissions()))
            }
            WriteMethod::New(_) => Some(new()),
            WriteMethod::Direct(_) | WriteMethod::Stdout | WriteMethod::Stderr => None,
        }
    }

    /// Writes what `render` gives and returns its size.
    ///
    /// # Errors
    /// When not all of it arrived; a regular file is then as it was before. An error of kind
    /// [`io::ErrorKind::AlreadyExists`] means that a file that had to be new was not.
    pub fn write(
        &self,
        readers: Readers,
        render: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> Result<u64, WriteError> {
        let mut written_bytes = 0;
        let result = self.write_counted(readers, &mut written_bytes, render);
        let is_read_no_more = |error: &io::Error| {
            self.way == WriteMethod::Stdout && error.kind() == io::ErrorKind::BrokenPipe
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

impl Destination {
    fn write_counted(
        &self,
        readers: Readers,
        written_bytes: &mut u64,
        render: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let _acting = caller::act()?;
        match &self.way {
            WriteMethod::Rename(target) => {
                let file = NewFile::written(target, readers, written_bytes, render)?;
                file.dress(target, readers)?;
                file.replace(target).map(drop)
            }
            WriteMethod::New(target) => NewFile::written(target, readers, written_bytes, render)?
                .become_new(target)
                .map(drop),
            WriteMethod::Direct(target) => copy(&direct(target)?, written_bytes, render),
            WriteMethod::Stdout => copy(&descriptor(io::stdout())?, written_bytes, render),
            WriteMethod::Stderr => copy(&descriptor(io::stderr())?, written_bytes, render),
        }
    }
}

/// Finds out whether the user can make new files in `folder`, by making one.
///
/// # Errors
/// When not.
pub fn check_folder(folder: &Path) -> Result<(), OutputError> {
    let made = || {
        let _acting = caller::act()?;
        NewFile::beside(&folder.join("rsamp"), Readers::Owner)
    };
    made().map(drop).map_err(|source| refused(folder, source))
}

/// The permissions that new files do not get. (umask(2) would change them for the other threads too.)
fn umask() -> u32 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let umask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    // Linux before 4.7 does not tell.
    umask
        .and_then(|mode| u32::from_str_radix(mode.trim(), 8).ok())
        .unwrap_or(0o077)
}

fn refused(path: &Path, source: io::Error) -> OutputError {
    OutputError::Refused {
        path: path.to_owned(),
        source,
    }
}

fn write_method(path: &Path, is_forced: bool) -> Result<WriteMethod, OutputError> {
    let refused = |source| refused(path, source);
    if path == Path::new("-") {
        return Ok(WriteMethod::Stdout);
    }
    let (target, is_open) = match follow(path).map_err(refused)? {
        Followed::Descriptor(1) => return Ok(WriteMethod::Stdout),
        Followed::Descriptor(2) => return Ok(WriteMethod::Stderr),
        Followed::Descriptor(_) => (path.to_owned(), true),
        Followed::Path(target) => (target, false),
    };
    let metadata = match fs::metadata(&target) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            check_folder(&folder_of(&target)).map_err(|error| match error {
                OutputError::Refused { source, .. } => refused(source),
                other => other,
            })?;
            return Ok(WriteMethod::Rename(target));
        }
        Err(error) => return Err(refused(error)),
    };
    let is_writable = eaccess(&target, AccessFlags::W_OK);
    let is_foreign = !is_open && metadata.uid() != caller::uid();
    let kind = metadata.file_type();
    if kind.is_dir() {
        Err(OutputError::IsFolder(path.to_owned()))
    } else if kind.is_fifo() {
        // Opening it would wait for a reader, before the program has even started.
        is_writable
            .map(|()| WriteMethod::Direct(target))
            .map_err(|errno| refused(errno.into()))
    } else if !kind.is_file() {
        direct(&target)
            .map(|_| WriteMethod::Direct(target))
            .map_err(refused)
    } else if is_writable.is_err() && !is_forced {
        Err(OutputError::Protected(path.to_owned()))
    } else if is_foreign
        && is_everybodys(&folder_of(&target)).is_some_and(|owner| owner != caller::uid())
    {
        // There only the owners of the file and of the folder may replace it.
        Err(OutputError::Foreign(path.to_owned()))
    } else {
        match (check_folder(&folder_of(&target)), is_writable) {
            (Ok(()), _) => Ok(WriteMethod::Rename(target)),
            (Err(_), _) if is_foreign => Err(OutputError::Foreign(path.to_owned())),
            (Err(_), Ok(())) => Ok(WriteMethod::Direct(target)),
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
            Ok(_) if is_planted(&path)? => return Err(io::ErrorKind::PermissionDenied.into()),
            Ok(next) => path = folder_of(&path).join(next),
            Err(_) => return Ok(Followed::Path(path)),
        }
    }
    Err(io::Error::from_raw_os_error(libc::ELOOP))
}

/// Whether a link that somebody else made lies in a folder in which everybody may make one.
fn is_planted(link: &Path) -> io::Result<bool> {
    let made_by = fs::symlink_metadata(link)?.uid();
    let folder_owner = is_everybodys(&folder_of(link));
    Ok(folder_owner.is_some_and(|owner| made_by != owner && made_by != caller::uid()))
}

/// Who owns a folder in which everybody may make files, and nobody may remove those of others; `None`: it is none.
fn is_everybodys(folder: &Path) -> Option<u32> {
    let metadata = fs::metadata(folder).ok()?;
    let mode = libc::S_ISVTX | libc::S_IWOTH;
    (metadata.mode() & mode == mode).then(|| metadata.uid())
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
    let metadata = fs::metadata(target);
    let is = |kind: fn(&fs::FileType) -> bool| {
        metadata
            .as_ref()
            .is_ok_and(|metadata| kind(&metadata.file_type()))
    };
    if is(FileTypeExt::is_fifo) && descriptor_number(target).is_none() {
        return pipes::open(target);
    }
    let is_file = is(fs::FileType::is_file);
    let mut options = OpenOptions::new();
    options.append(true);
    if descriptor_number(target).is_none() {
        // Links were followed before: one that is there now was put there since.
        options.custom_flags(libc::O_NOFOLLOW);
    }
    options.open(target).and_then(|file| {
        // A descriptor's file may be somebody else's standard output: only add to it.
        if is_file && descriptor_number(target).is_none() {
            file.set_len(0)?;
        }
        Ok(file)
    })
}

fn descriptor(stream: impl AsFd) -> io::Result<File> {
    Ok(File::from(stream.as_fd().try_clone_to_owned()?))
}

/// A new file that has no name yet, or a hidden one where the file system knows no files without; dropping it removes it.
struct NewFile {
    file: File,
    name: Option<PathBuf>,
}

impl NewFile {
    /// Makes one in the folder of `target`.
    fn beside(target: &Path, readers: Readers) -> io::Result<NewFile> {
        let folder = folder_of(target);
        let mut options = OpenOptions::new();
        options.write(true).mode(readers.mode());
        let nameless = options
            .clone()
            .custom_flags(OFlag::O_TMPFILE.bits())
            .open(&folder);
        if let Ok(file) = nameless {
            return Ok(NewFile { file, name: None });
        }
        // One that did not exist, so that no link is followed.
        options.create_new(true);
        hidden_name(&folder, |path| options.open(path)).map(|(path, file)| NewFile {
            file,
            name: Some(path),
        })
    }

    /// Makes one with what `render` gives.
    fn written(
        target: &Path,
        readers: Readers,
        written_bytes: &mut u64,
        render: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<NewFile> {
        let new = NewFile::beside(target, readers)?;
        copy(&new.file, written_bytes, render)?;
        // A full disk behind a network shows only now.
        new.file.sync_all()?;
        Ok(new)
    }

    /// Gives it the permissions of the file that it is to replace, if that is one of the same owner.
    fn dress(&self, target: &Path, readers: Readers) -> io::Result<()> {
        match fs::metadata(target) {
            Ok(old) if readers == Readers::Usual && old.uid() == self.file.metadata()?.uid() => {
                self.file.set_permissions(old.permissions())
            }
            _ => Ok(()),
        }
    }

    /// Names it `target`, in the place of what has that name. A file without a name cannot replace one: it gets a hidden
    /// name before.
    fn replace(mut self, target: &Path) -> io::Result<File> {
        if self.name.is_none() {
            let (name, ()) = hidden_name(&folder_of(target), |path| self.link(path))?;
            self.name = Some(name);
        }
        if let Some(name) = &self.name {
            fs::rename(name, target)?;
        }
        self.name = None;
        self.file.try_clone()
    }

    /// As [`NewFile::replace`], but never in the place of a file that somebody has locked.
    fn replace_unused(mut self, target: &Path) -> io::Result<File> {
        if is_locked(target) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if self.name.is_none() {
            let (name, ()) = hidden_name(&folder_of(target), |path| self.link(path))?;
            self.name = Some(name);
        }
        let Some(name) = self.name.clone() else {
            return Err(io::ErrorKind::NotFound.into());
        };
        match rename_if_new(&name, target) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => {
                result?;
                self.name = None;
                return self.file.try_clone();
            }
        }
        // Somebody may have put another there since: look at what was replaced, and give it back.
        if exchange_files(&name, target).is_err() {
            return self.replace(target);
        }
        if is_locked(&name) {
            exchange_files(&name, target)?;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        fs::remove_file(&name)?;
        self.name = None;
        self.file.try_clone()
    }

    /// Names it `target`, which must not exist.
    fn become_new(mut self, target: &Path) -> io::Result<File> {
        match &self.name {
            Some(name) => rename_if_new(name, target)?,
            None => self.link(target)?,
        }
        self.name = None;
        self.file.try_clone()
    }

    fn link(&self, path: &Path) -> io::Result<()> {
        let own = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        let follow = AtFlags::AT_SYMLINK_FOLLOW;
        Ok(linkat(AT_FDCWD, own.as_str(), AT_FDCWD, path, follow)?)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            let _ = fs::remove_file(name);
        }
    }
}

/// Tries hidden names in a folder until one does not exist.
fn hidden_name<T>(
    folder: &Path,
    mut make: impl FnMut(&Path) -> io::Result<T>,
) -> io::Result<(PathBuf, T)> {
    let process = std::process::id();
    for number in 0..MAX_TEMPORARY_NAMES {
        let path = folder.join(format!(".rsamp-{process}-{number}.tmp"));
        match make(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => return result.map(|made| (path, made)),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Whether another process has locked a regular file.
fn is_locked(path: &Path) -> bool {
    let file = open_regular(path);
    file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
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

fn copy(
    file: &File,
    written_bytes: &mut u64,
    render: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut out = BufWriter::new(Counting {
        file: Patient::new(file),
        written_bytes,
        is_broken: false,
    });
    let result = render(&mut out).and_then(|()| out.flush());
    let Err(error) = result else { return Ok(()) };
    // Dropping it would write once more what could not be written.
    let is_broken = out.into_parts().0.is_broken;
    Err(match is_broken {
        // Whatever the renderer made of it.
        true => io::ErrorKind::BrokenPipe.into(),
        false => error,
    })
}

/// Counts what arrives in a file.
struct Counting<'a> {
    file: Patient<'a>,
    written_bytes: &'a mut u64,
    /// Whether nobody reads it any more.
    is_broken: bool,
}

impl Write for Counting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes).inspect_err(|error| {
            self.is_broken = error.kind() == io::ErrorKind::BrokenPipe;
        })?;
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
    fn write(
        place: &Destination,
        text: &str,
        failure: Option<io::ErrorKind>,
    ) -> Result<u64, WriteError> {
        place.write(Readers::Usual, &mut |out| {
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
        let place = Destination::named(&path, false).expect("writable");
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
    fn partial_writes_are_readable_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.rsamp");
        let mut file = Destination::new(&path)
            .open(Readers::Usual)
            .expect("opened");
        file.write_all(b"new").expect("written");
        assert_eq!(fs::read(&path).expect("read"), b"new");
        let error = Destination::new(&path)
            .open(Readers::Usual)
            .expect_err("exists");
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        let busy = Destination::named(&path, false).expect("writable");
        let error = busy.open(Readers::Usual).expect_err("being written");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        drop(file);

        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).expect("permissions");
        let forced = Destination::named(&path, true).expect("writable");
        forced
            .open(Readers::Usual)
            .expect("opened")
            .write_all(b"x")
            .expect("written");
        assert_eq!(fs::read(&path).expect("read"), b"x");
    }

    #[test]
    fn a_link_keeps_pointing_to_its_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let link = folder.path().join("latest.svg");
        for target in ["real.svg", "dangling.svg"] {
            let _ = fs::remove_file(&link);
            symlink(target, &link).expect("a link");
            let place = Destination::named(&link, false).expect("writable");
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
        write(&Destination::new(&path), "first", None).expect("written");
        let error = write(&Destination::new(&path), "second", None).expect_err("exists");
        assert_eq!(error.source.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).expect("read"), "first");
        assert_eq!(names(folder.path()), ["a.svg"]);
    }

    #[test]
    fn what_cannot_be_written_is_found_out_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let refused = |path: &Path| Destination::named(path, false).expect_err("refused");
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
        let null = Destination::named(Path::new("/dev/null"), false).expect("writable");
        assert_eq!(write(&null, "abc", None).expect("written"), 3);
        let full = Destination::named(Path::new("/dev/full"), false).expect("can be opened");
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

    /// The file systems that tests run on have files without names.
    #[test]
    fn a_file_has_no_name_before_it_is_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("old.svg"), "old").expect("written");
        let old = Destination::named(&folder.path().join("old.svg"), false).expect("writable");
        for place in [Destination::new(&folder.path().join("new.svg")), old] {
            let mut seen = Vec::new();
            let written = place.write(Readers::Usual, &mut |out| {
                out.write_all(b"new")?;
                seen = names(folder.path());
                Ok(())
            });
            written.expect("written");
            assert!(!seen.iter().any(|name| name.ends_with(".tmp")), "{seen:?}");
        }
        assert_eq!(names(folder.path()), ["new.svg", "old.svg"]);
    }

    #[test]
    fn what_is_for_its_owner_is_nobody_elses_to_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.svg");
        fs::write(&path, "old").expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("permissions");
        let place = Destination::named(&path, false).expect("writable");
        let written = place.write(Readers::Owner, &mut |out| out.write_all(b"new"));
        written.expect("written");
        assert_eq!(fs::metadata(&path).expect("metadata").mode() & 0o777, 0o600);
        let bit_by_bit = folder.path().join("a.rsamp");
        Destination::new(&bit_by_bit)
            .open(Readers::Owner)
            .expect("opened");
        assert_eq!(
            fs::metadata(&bit_by_bit).expect("metadata").mode() & 0o777,
            0o600
        );
    }
}
