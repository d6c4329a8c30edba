//! Turns the name of a file, as the target knows it, into its text, read in the target's own root folder.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::unistd::geteuid;

use crate::process::{Pid, started_at};
use crate::recording::{Surroundings, Text};

/// Larger files are data, not source that a person reads.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// The start of a process is known to a clock tick of 10 ms, the time of a file to one of the kernel's timer (at most
/// 10 ms): a file that was written just before the process started may seem to be so much newer.
const CLOCK_STEP: Duration = Duration::from_millis(20);

/// The folders of a process.
#[derive(Debug, Default)]
pub struct Folders {
    /// Whether source text is wanted.
    with_source: bool,
    /// Those of the first process asked for, and of the last.
    first: Option<Opened>,
    last: Option<Opened>,
}

/// Held open: the program may end before its files were read.
#[derive(Debug)]
struct Opened {
    pid: i32,
    root: Option<OwnedFd>,
    working: Option<OwnedFd>,
    /// Who owns the process.
    uid: u32,
    /// When the process started; `None`: not known.
    started: Option<SystemTime>,
}

impl Folders {
    /// `with_source`: else no file is read.
    #[must_use]
    pub fn new(with_source: bool) -> Folders {
        Folders {
            with_source,
            first: None,
            last: None,
        }
    }

    fn of(&mut self, pid: i32) -> &Opened {
        let first = self.first.get_or_insert_with(|| open(pid));
        if first.pid == pid {
            return first;
        }
        let known = self.last.take().filter(|opened| opened.pid == pid);
        self.last.insert(known.unwrap_or_else(|| open(pid)))
    }
}

impl Surroundings for Folders {
    fn executable(&mut self, pid: i32) -> Option<String> {
        if self.with_source {
            // The earlier, the better: the process may be about to end.
            self.of(pid);
        }
        let path = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
        Some(path.to_string_lossy().into_owned())
    }

    fn source(&mut self, pid: i32, file: &str) -> Option<Text> {
        // `<string>`, `<frozen importlib._bootstrap>`
        if !self.with_source || file.starts_with('<') || file.contains('\0') {
            return None;
        }
        let opened = self.of(pid);
        let mut file = open_file(opened, Path::new(file)).ok()?;
        let text = read_text(&mut file, opened.uid)?;
        // Asked last, so that what was changed meanwhile shows.
        let changed = file.metadata().ok().map(|metadata| changed_at(&metadata));
        let is_changed = changed
            .zip(opened.started)
            .is_some_and(|(changed, started)| changed > started + CLOCK_STEP);
        Some(Text { text, is_changed })
    }
}

fn open(pid: i32) -> Opened {
    let folder = |name: &str| {
        let folder = fs::OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_DIRECTORY.bits())
            .open(format!("/proc/{pid}/{name}"));
        folder.ok().map(OwnedFd::from)
    };
    Opened {
        pid,
        root: folder("root"),
        working: folder("cwd"),
        uid: fs::metadata(format!("/proc/{pid}")).map_or(u32::MAX, |m| m.uid()),
        started: started_at(Pid(pid)),
    }
}

/// When a file's text was changed last. What replaces a file by a copy with an older time, as `mv` and `cp -p` do,
/// shows in the time at which its inode was changed.
fn changed_at(metadata: &fs::Metadata) -> SystemTime {
    let at = |seconds: i64, ns: i64| {
        let (seconds, ns) = (seconds.max(0) as u64, ns.clamp(0, 999_999_999) as u32);
        UNIX_EPOCH + Duration::new(seconds, ns)
    };
    let by_text = at(metadata.mtime(), metadata.mtime_nsec());
    by_text.max(at(metadata.ctime(), metadata.ctime_nsec()))
}

/// Opens a file below the process's root, where a symbolic link to `/…` leads there too, or below its
/// working folder. A pipe is not waited for.
fn open_file(opened: &Opened, path: &Path) -> io::Result<File> {
    let (folder, relative, resolve) = match path.strip_prefix("/") {
        Ok(relative) => (&opened.root, relative, ResolveFlag::RESOLVE_IN_ROOT),
        Err(_) => (&opened.working, path, ResolveFlag::RESOLVE_BENEATH),
    };
    let Some(folder) = folder else {
        return Err(io::ErrorKind::NotFound.into());
    };
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOCTTY)
        .resolve(resolve | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    match openat2(folder, relative, how) {
        Ok(file) => Ok(File::from(file)),
        // Linux before 5.6: only where the two roots are one can links not lead elsewhere.
        Err(Errno::ENOSYS) if path.is_absolute() && is_own_root(opened.pid) => {
            fs::OpenOptions::new()
                .read(true)
                .custom_flags(OFlag::O_NONBLOCK.bits())
                .open(path)
        }
        Err(errno) => Err(errno.into()),
    }
}

fn is_own_root(pid: i32) -> bool {
    let identity = |path: &str| fs::metadata(path).map(|m| (m.dev(), m.ino())).ok();
    let own = identity("/");
    own.is_some() && own == identity(&format!("/proc/{pid}/root/"))
}

/// The text of a regular file that is not too large.
///
/// The target chooses the names. When rsamp is root, and the target is not, a file that its owner may not
/// read must not get into a recording: it may name `/etc/shadow`.
fn read_text(file: &mut File, uid: u32) -> Option<String> {
    let metadata = file.metadata().ok()?;
    let is_public = metadata.mode() & 0o004 != 0 || metadata.uid() == uid;
    let may_read = is_public || uid == 0 || !geteuid().is_root();
    if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES || !may_read {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).ok()?;
    // What is no text is no source.
    String::from_utf8(bytes)
        .ok()
        .filter(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn own() -> i32 {
        std::process::id() as i32
    }

    #[test]
    fn only_text_that_may_be_read_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.py");
        let text = |path: &Path, with_source| {
            let found = Folders::new(with_source).source(own(), &path.to_string_lossy());
            found.map(|found| found.text)
        };
        fs::write(&path, "x = 1\n").expect("written");
        assert_eq!(text(&path, true).as_deref(), Some("x = 1\n"));
        assert_eq!(text(&path, false), None);
        fs::write(&path, b"x = '\0'").expect("written");
        assert_eq!(text(&path, true), None);
        assert_eq!(text(folder.path(), true), None);
        assert_eq!(text(Path::new("<string>"), true), None);
        assert_eq!(
            text(Path::new("../../../../etc/passwd"), true),
            None,
            "above the working folder"
        );
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        assert_eq!(text(&pipe, true), None);
    }

    #[test]
    fn a_file_of_another_user_needs_to_be_public() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.py");
        fs::write(&path, "x = 1\n").expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("permissions");
        let read = |uid| read_text(&mut File::open(&path).expect("opened"), uid);
        assert!(read(geteuid().as_raw()).is_some());
        if geteuid().is_root() {
            assert_eq!(read(4321), None);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("permissions");
            assert!(read(4321).is_some());
        }
    }

    #[test]
    fn a_file_that_was_changed_after_the_process_started_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.py");
        fs::write(&path, "x = 1\n").expect("written");
        let is_changed = |started: Option<SystemTime>| {
            let mut folders = Folders::new(true);
            folders.first = Some(Opened {
                started,
                ..open(own())
            });
            let found = folders.source(own(), &path.to_string_lossy());
            found.expect("a text").is_changed
        };
        let changed = changed_at(&fs::metadata(&path).expect("metadata"));
        assert!(is_changed(Some(changed - Duration::from_secs(1))));
        assert!(!is_changed(Some(changed + Duration::from_secs(1))));
        assert!(!is_changed(Some(changed)));
        assert!(!is_changed(None));
        // A copy with the time of an older file.
        let old = changed - Duration::from_secs(1000);
        let file = File::options().append(true).open(&path).expect("opened");
        file.set_modified(old).expect("set");
        assert!(is_changed(Some(changed - Duration::from_secs(1))));
    }

    #[test]
    fn the_interpreter_is_named() {
        let exe = Folders::new(true).executable(own()).expect("a path");
        assert_eq!(Path::new(&exe), std::env::current_exe().expect("a path"));
    }
}
