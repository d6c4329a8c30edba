//! Turns the name of a file, as a process knows it, into its text, in a process of its own: `rsamp read-sources`.
//!
//! The target chooses the names; one may be `/etc/shadow`, a device, or a file on a server that does not answer. So rsamp
//! itself opens none of them. It tells this process, by a pipe, which processes appeared (`P`) and which files they
//! named (`F`), and this process forks for each file a child, which takes on the rights of the process that named it,
//! looks before it opens, and prints the text. When no answer comes in time, rsamp kills this process and goes on.
//!
//! With whose rights a file is read:
//!
//! - **rsamp is not root**: with those of the user who runs it.
//! - **The process lives, or nobody has waited for it yet**: with its own as they are now, which is after it named the
//!   file, with all its groups, in its root folder (whose mounts are those of its mount namespace). It is the process
//!   that was sampled, by pidfd and start time, and runs the program that was sampled. Rights that it got since it was
//!   first seen do not count; where it got others, nothing is read ([`Credentials::weakest`]).
//! - **It is gone, and was not root when last seen**: with those that it had then.
//! - **It is gone, and was root when last seen**: with those that everybody has. It may have become another user's
//!   before it named the file.
//!
//! Where a process's user ids differ, nothing is read.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::fcntl::{OFlag, ResolveFlag};
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};
use zip::ZipArchive;

use crate::process::{
    Credentials, Forked, ImageIdentity, Pid, Process, end_with_parent, fork, open_regular,
    open_regular_below, started_at, with_memory,
};
use crate::run::caller;

/// Larger files are data, not source that a person reads.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// The most memory that the child which reads a file may take, in bytes of its address space: an archive may say that it has
/// millions of members.
const MAX_MEMORY: u64 = 512 << 20;

/// The folders of so many processes are kept open. Of one that appeared before them no file is read.
const MAX_PROCESSES: usize = 256;

/// The start of a process is known to a clock tick of 10 ms, the time of a file to one of the kernel's timer (at most
/// 10 ms): a file that was written just before the process started may seem to be so much newer.
const CLOCK_STEP: Duration = Duration::from_millis(20);

/// What rsamp asks.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// Keep what is needed to read files for this process. There is no answer.
    Process(Appeared),
    /// Read a file with the rights of somebody. The answer is a line: an `Option<Found>`.
    File(Whose, String),
}

/// Whose rights count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Whose {
    /// Those of the process of this number, which named the file.
    Process(u32),
    /// Those of the user who typed the command.
    User,
    /// Those that every user has.
    Everybody,
}

/// A process as it was sampled.
#[derive(Debug, Serialize, Deserialize)]
pub struct Appeared {
    /// Its number in the recording.
    pub number: u32,
    /// Its PID.
    pub pid: i32,
    /// [`Process::start_ticks`].
    pub start_ticks: u64,
    /// Which program it runs.
    pub image: ImageIdentity,
}

/// A file that was read.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// What is in it.
    pub text: String,
    /// When its text was changed last, since 1970.
    pub modified: Duration,
    /// Whether it was changed after the process had started.
    pub is_changed: bool,
}

/// Answers requests, a line of JSON each, until there are no more.
///
/// # Errors
/// When they cannot be read, or nobody reads the answers.
pub fn serve() -> io::Result<()> {
    let mut processes = Processes::default();
    for line in io::stdin().lock().lines() {
        match serde_json::from_str(&line?) {
            Ok(Request::Process(appeared)) => processes.add(&appeared),
            Ok(Request::File(whose, file)) => {
                let reading = processes.reading(whose);
                match fork() {
                    Ok(Forked::Child) => return answer(reading, &file),
                    Ok(Forked::Parent(child)) => child.wait(),
                    Err(_) => {}
                }
                // Ends the answer, even where the child did not come to it.
                write_out(b"\n")?;
            }
            Err(_) => {}
        }
    }
    Ok(())
}

/// What the child does, before it ends.
fn answer(reading: Option<Reading<'_>>, file: &str) -> io::Result<()> {
    let found = reading.and_then(|reading| {
        reading.credentials.take_on().ok()?;
        end_with_parent().ok()?;
        setrlimit(Resource::RLIMIT_AS, MAX_MEMORY, MAX_MEMORY).ok()?;
        reading.read(Path::new(file)).ok()
    });
    write_out(&serde_json::to_vec(&found)?)
}

fn write_out(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// The processes that appeared last, in the order in which they did.
#[derive(Default)]
struct Processes(VecDeque<(u32, KnownProcess)>);

/// A process whose files may be read.
struct KnownProcess {
    process: Process,
    image: ImageIdentity,
    /// As they count by now; `None`: nothing is to be read for it any more.
    credentials: Option<Credentials>,
    folders: Folders,
    started: Option<SystemTime>,
}

/// Held open: the program may end before its files are read.
struct Folders {
    root: Option<OwnedFd>,
    working: Option<OwnedFd>,
    /// Whether the root folder is that of rsamp.
    is_own_root: bool,
}

/// What it takes to read a file.
struct Reading<'p> {
    credentials: Credentials,
    /// `None`: the name is one of this process's own.
    folders: Option<&'p Folders>,
    started: Option<SystemTime>,
}

impl Processes {
    /// Takes note of a process, if it is still what was sampled.
    fn add(&mut self, appeared: &Appeared) {
        let Some(known) = KnownProcess::new(appeared) else {
            return;
        };
        if self.0.len() >= MAX_PROCESSES {
            self.0.pop_front();
        }
        self.0.push_back((appeared.number, known));
    }

    /// With whose rights a file is read now, and where; `None`: it is not.
    fn reading(&mut self, whose: Whose) -> Option<Reading<'_>> {
        let with = |credentials| Reading {
            credentials,
            folders: None,
            started: None,
        };
        let number = match whose {
            Whose::Process(number) => number,
            Whose::User => return Some(with(caller::credentials().ok()?)),
            Whose::Everybody => return Some(with(Credentials::everybody())),
        };
        let mut known = self.0.iter_mut().rev();
        let (_, known) = known.find(|(known, _)| *known == number)?;
        Some(Reading {
            credentials: known.rights()?,
            folders: Some(&known.folders),
            started: known.started,
        })
    }
}

impl KnownProcess {
    fn new(appeared: &Appeared) -> Option<KnownProcess> {
        let process = Process::open(Pid(appeared.pid)).ok()?;
        let credentials = process.credentials().ok()?;
        let known = KnownProcess {
            folders: Folders::of(process.pid()),
            started: started_at(process.pid()),
            image: appeared.image,
            credentials,
            process,
        };
        // Asked last: it was this process, and this program, all the while.
        let image = known.process.exe_identity();
        let is_same = known.process.start_ticks() == appeared.start_ticks
            && image.is_ok_and(|image| image == known.image)
            && known.process.is_alive();
        is_same.then_some(known)
    }

    /// One that is about to end has lost its program before it counts as ended: it runs no other.
    fn runs_another(&self) -> bool {
        let image = self.process.exe_identity();
        image.is_ok_and(|image| image != self.image)
    }

    /// The rights that the head of this file gives it.
    fn rights(&mut self) -> Option<Credentials> {
        if !geteuid().is_root() {
            return Credentials::own().ok();
        }
        let before = self.credentials.take()?;
        match self.process.credentials() {
            Ok(now) => {
                let now = now.filter(|_| !self.runs_another());
                self.credentials = before.weakest(now?);
            }
            Err(_) if before.is_root() => self.credentials = Some(Credentials::everybody()),
            Err(_) => self.credentials = Some(before),
        }
        self.credentials.clone()
    }
}

impl Folders {
    fn of(pid: Pid) -> Folders {
        let owner = with_memory(pid);
        let folder = |name: &str| {
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
            let folder = fs::OpenOptions::new()
                .read(true)
                .custom_flags(flags.bits())
                .open(format!("/proc/{owner}/{name}"));
            folder.ok().map(OwnedFd::from)
        };
        let identity = |path: &str| fs::metadata(path).map(|m| (m.dev(), m.ino())).ok();
        let own_root = identity("/");
        Folders {
            root: folder("root"),
            working: folder("cwd"),
            is_own_root: own_root.is_some()
                && own_root == identity(&format!("/proc/{owner}/root/")),
        }
    }

    /// Opens a file below the root folder, where a symbolic link to `/…` leads there too, or below the working folder.
    fn open(&self, path: &Path) -> io::Result<File> {
        let (folder, relative, resolve) = match path.strip_prefix("/") {
            Ok(relative) => (&self.root, relative, ResolveFlag::RESOLVE_IN_ROOT),
            Err(_) => (&self.working, path, ResolveFlag::RESOLVE_BENEATH),
        };
        let folder = folder.as_ref().ok_or(io::ErrorKind::NotFound)?;
        match open_regular_below(folder, relative, resolve) {
            // Linux before 5.6: only where the two roots are one can links not lead elsewhere.
            Err(error) if is_unknown_call(&error) && path.is_absolute() && self.is_own_root => {
                open_regular(path)
            }
            opened => opened,
        }
    }
}

fn is_unknown_call(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENOSYS)
}

impl Reading<'_> {
    fn read(&self, path: &Path) -> io::Result<Found> {
        let (file, bytes) = match self.open(path) {
            Ok(file) => {
                let bytes = read_all(&file)?;
                (file, bytes)
            }
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => self.unpack(path)?,
            Err(error) => return Err(error),
        };
        // What is no text is no source.
        let text = String::from_utf8(bytes)
            .ok()
            .filter(|text| !text.contains('\0'));
        // Asked last, so that what was changed meanwhile shows.
        let metadata = file.metadata()?;
        let changed = changed_at(&metadata);
        Ok(Found {
            text: text.ok_or(io::ErrorKind::InvalidData)?,
            modified: metadata
                .modified()?
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
            is_changed: self
                .started
                .is_some_and(|started| changed > started + CLOCK_STEP),
        })
    }
}

impl Reading<'_> {
    fn open(&self, path: &Path) -> io::Result<File> {
        match self.folders {
            Some(folders) => folders.open(path),
            None => open_regular(path),
        }
    }

    /// Reads a file in an archive (zipapp, zipimport): `app.pyz/package/module.py`. Returns the archive too.
    fn unpack(&self, path: &Path) -> io::Result<(File, Vec<u8>)> {
        let mut parents = path.ancestors().skip(1);
        let (archive, at) = parents
            .find_map(|parent| Some((self.open(parent).ok()?, parent)))
            .ok_or(io::ErrorKind::NotFound)?;
        let name = path.strip_prefix(at).map_err(io::Error::other)?;
        let name = name.to_str().ok_or(io::ErrorKind::InvalidInput)?;
        let mut members = ZipArchive::new(BufReader::new(&archive)).map_err(io::Error::other)?;
        let bytes = read_all(members.by_name(name).map_err(io::Error::other)?)?;
        drop(members);
        Ok((archive, bytes))
    }
}

/// Up to [`MAX_FILE_BYTES`].
fn read_all(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 {
        0..=MAX_FILE_BYTES => Ok(bytes),
        _ => Err(io::ErrorKind::FileTooLarge.into()),
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

#[cfg(test)]
mod tests {
    use zip::write::SimpleFileOptions;
    use zip::{CompressionMethod, ZipWriter};

    use super::*;

    fn own() -> Reading<'static> {
        Reading {
            credentials: Credentials::own().expect("groups"),
            folders: None,
            started: None,
        }
    }

    #[test]
    fn a_file_in_an_archive_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("app.pyz");
        let mut archive = ZipWriter::new(File::create(&path).expect("a file"));
        let methods = [CompressionMethod::Stored, CompressionMethod::Deflated];
        let large = " ".repeat(MAX_FILE_BYTES as usize + 1);
        let texts = [
            ("a/b.py", "x = 1\n"),
            ("c.py", "y = 2\n"),
            ("large.py", &large),
        ];
        for ((name, text), method) in texts.into_iter().zip(methods.into_iter().cycle()) {
            let options = SimpleFileOptions::default().compression_method(method);
            archive.start_file(name, options).expect("begun");
            archive.write_all(text.as_bytes()).expect("written");
        }
        archive.finish().expect("written");
        let text = |name: &str| {
            let found = own().read(&path.join(name));
            found.ok().map(|found| found.text)
        };
        assert_eq!(text("a/b.py").as_deref(), Some("x = 1\n"));
        assert_eq!(text("c.py").as_deref(), Some("y = 2\n"));
        for none in ["large.py", "a", "d.py", "../app.pyz"] {
            assert_eq!(text(none), None, "{none}");
        }
        fs::write(&path, "no archive").expect("written");
        assert_eq!(text("c.py"), None);
    }

    #[test]
    fn only_text_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.py");
        let folders = Folders::of(Pid(std::process::id() as i32));
        let text = |path: &Path| {
            let reading = Reading {
                folders: Some(&folders),
                ..own()
            };
            reading.read(path).ok().map(|found| found.text)
        };
        fs::write(&path, "x = 1\n").expect("written");
        assert_eq!(text(&path).as_deref(), Some("x = 1\n"));
        fs::write(&path, b"x = '\0'").expect("written");
        assert_eq!(text(&path), None);
        fs::write(&path, vec![b' '; MAX_FILE_BYTES as usize + 1]).expect("written");
        assert_eq!(text(&path), None, "too large");
        assert_eq!(text(folder.path()), None);
        assert_eq!(
            text(Path::new("../../../../etc/passwd")),
            None,
            "above the working folder"
        );
    }

    #[test]
    fn a_file_that_was_changed_after_the_process_started_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.py");
        fs::write(&path, "x = 1\n").expect("written");
        let is_changed = |started: Option<SystemTime>| {
            let found = Reading { started, ..own() }.read(&path);
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
}
