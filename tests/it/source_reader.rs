//! `rsamp read-sources`: with whose rights it reads a file that a process named. Needs root, as the CI is.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use assert_cmd::cargo::cargo_bin;
use rsamp::process::{Pid, Process};
use rsamp::run::{FoundSource, SourceAppeared, SourceOwner, SourceRequest};
use tempfile::TempDir;

use crate::talk::{Talk, await_zombie};

/// A group of the user that processes become.
const GROUP: u32 = 54321;

/// A command that is ended with the test.
struct Program(Talk);

impl Program {
    /// A program in Perl that says `ready` after each step, and waits for a line before the next.
    fn perl(steps: &[&str]) -> Program {
        let mut script = "use POSIX; $| = 1;".to_owned();
        for step in steps {
            script.push_str(step);
            script.push_str("; print qq(ready\\n); <STDIN>;");
        }
        let mut program = Program(Talk::start(Command::new("perl").args(["-e", &script])));
        assert_eq!(program.0.hear(), "ready");
        program
    }

    fn step(&mut self) {
        self.0.say("");
        assert_eq!(self.0.hear(), "ready");
    }

    /// Ends it, and leaves it a zombie.
    fn end(&mut self) {
        drop(self.0.input.take());
        await_zombie(&self.0.child);
    }
}

/// The reader, to which one process has appeared.
struct Reader(Program);

impl Reader {
    fn of(program: &Program) -> Reader {
        assert!(nix::unistd::geteuid().is_root(), "this test needs root");
        let mut talk = Talk::start(Command::new(cargo_bin!("rsamp")).arg("read-sources"));
        let pid = program.0.child.id() as i32;
        let process = Process::open(Pid(pid)).unwrap();
        let appeared = SourceAppeared {
            number: 7,
            pid,
            start_ticks: process.start_ticks(),
            image: process.exe_identity().unwrap(),
        };
        talk.say(&serde_json::to_string(&SourceRequest::Process(appeared)).unwrap());
        let mut reader = Reader(Program(talk));
        // Once this is answered, the process is known.
        assert!(!reader.reads(Path::new("/no/such/file")));
        reader
    }

    fn text(&mut self, number: u32, file: &Path) -> Option<String> {
        let request = SourceRequest::File(
            SourceOwner::Process(number),
            file.to_str().unwrap().to_owned(),
        );
        self.0.0.say(&serde_json::to_string(&request).unwrap());
        let found: Option<FoundSource> = serde_json::from_str(&self.0.0.hear()).unwrap();
        found.map(|found| found.text)
    }

    fn reads(&mut self, file: &Path) -> bool {
        self.text(7, file).is_some()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.child.kill();
        let _ = self.0.child.wait();
    }
}

/// Files of root's that differ in who may read them.
struct Files {
    folder: TempDir,
}

impl Files {
    fn make() -> Files {
        let folder = tempfile::tempdir().unwrap();
        let files = Files { folder };
        let set = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode));
        set(files.folder.path(), 0o755).unwrap();
        let closed = files.folder.path().join("closed");
        fs::create_dir(&closed).unwrap();
        for (path, mode) in [
            (files.public(), 0o644),
            (files.of_root(), 0o600),
            (files.of_group(), 0o640),
            (files.below_closed(), 0o644),
        ] {
            fs::write(&path, "x = 1\n").unwrap();
            set(&path, mode).unwrap();
        }
        set(&closed, 0o700).unwrap();
        chown(files.of_group(), None, Some(GROUP)).unwrap();
        files
    }

    fn public(&self) -> PathBuf {
        self.folder.path().join("public.py")
    }

    fn of_root(&self) -> PathBuf {
        self.folder.path().join("of_root.py")
    }

    fn of_group(&self) -> PathBuf {
        self.folder.path().join("of_group.py")
    }

    fn below_closed(&self) -> PathBuf {
        self.folder.path().join("closed/public.py")
    }

    /// Which are read: the public one, root's, the group's, and the one in root's folder.
    fn read_by(&self, reader: &mut Reader) -> [bool; 4] {
        let files = [
            self.public(),
            self.of_root(),
            self.of_group(),
            self.below_closed(),
        ];
        files.map(|file| reader.reads(&file))
    }
}

/// What makes a process the user's, for good: groups, group, user.
const BECOME_USER: &str =
    "$) = '12345 54321'; setgid(12345); setuid(12345); $> == 12345 or die 'not root'";

const ALL: [bool; 4] = [true; 4];
const NONE: [bool; 4] = [false; 4];
const OF_USER: [bool; 4] = [true, false, true, false];
const OF_EVERYBODY: [bool; 4] = [true, false, false, false];

#[test]
fn a_file_is_read_with_the_rights_of_the_process_that_named_it() {
    let files = Files::make();
    let root = Program::perl(&["1"]);
    assert_eq!(files.read_by(&mut Reader::of(&root)), ALL);
    let user = Program::perl(&[BECOME_USER]);
    assert_eq!(files.read_by(&mut Reader::of(&user)), OF_USER);
    assert_eq!(
        Reader::of(&root).text(8, &files.public()),
        None,
        "no such process"
    );
}

#[test]
fn rights_that_a_process_gave_up_count_no_more() {
    let files = Files::make();
    let mut program = Program::perl(&["1", BECOME_USER]);
    let mut reader = Reader::of(&program);
    program.step();
    assert_eq!(files.read_by(&mut reader), OF_USER);
}

#[test]
fn nothing_is_read_for_a_process_between_two_users() {
    let files = Files::make();
    let program = Program::perl(&["$> = 12345"]);
    assert_eq!(files.read_by(&mut Reader::of(&program)), NONE);
}

#[test]
fn rights_that_a_process_got_through_another_program_do_not_count() {
    let files = Files::make();
    let mut program = Program::perl(&[
        "1",
        "exec('perl', '-e', '$| = 1; print qq(ready\\n); <STDIN>')",
    ]);
    let mut reader = Reader::of(&program);
    program.step();
    assert_eq!(files.read_by(&mut reader), NONE);
}

#[test]
fn a_process_that_ended_has_the_rights_that_it_had_last() {
    let files = Files::make();
    // Nobody has waited for them yet, as rsamp has not for the program that it runs.
    let mut root = Program::perl(&["1"]);
    let mut reader = Reader::of(&root);
    root.end();
    assert_eq!(files.read_by(&mut reader), ALL);
    let mut dropped = Program::perl(&["1", BECOME_USER]);
    let mut reader = Reader::of(&dropped);
    dropped.step();
    dropped.end();
    assert_eq!(files.read_by(&mut reader), OF_USER);
    // They are gone.
    let mut user = Program::perl(&[BECOME_USER]);
    let mut reader = Reader::of(&user);
    user.end();
    user.0.child.wait().unwrap();
    assert_eq!(files.read_by(&mut reader), OF_USER);
    let mut dropped = Program::perl(&["1", BECOME_USER]);
    let mut reader = Reader::of(&dropped);
    dropped.step();
    dropped.end();
    dropped.0.child.wait().unwrap();
    assert_eq!(files.read_by(&mut reader), OF_EVERYBODY);
}

#[test]
fn pipes_and_links_into_proc_are_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let link = folder.path().join("link.py");
    std::os::unix::fs::symlink("/proc/self/environ", &link).unwrap();
    let program = Program::perl(&["1"]);
    let mut reader = Reader::of(&program);
    for path in [
        &pipe,
        &link,
        folder.path(),
        Path::new("/dev/zero"),
        Path::new("/proc/kallsyms"),
        Path::new("/proc/iomem"),
        Path::new("/sys/kernel/uevent_seqnum"),
    ] {
        assert!(!reader.reads(path), "{path:?}");
    }
}

#[test]
fn a_name_leads_where_it_leads_in_the_root_folder_of_the_process() {
    let files = Files::make();
    std::os::unix::fs::symlink("/public.py", files.folder.path().join("link.py")).unwrap();
    let step = format!("chroot('{}'); chdir('/')", files.folder.path().display());
    let program = Program::perl(&[&step]);
    let mut reader = Reader::of(&program);
    let text = reader.text(7, Path::new("/link.py"));
    assert_eq!(text.as_deref(), Some("x = 1\n"));
    assert!(!reader.reads(Path::new("/etc/passwd")));
    assert!(!reader.reads(Path::new("/../../../../etc/passwd")));
}
