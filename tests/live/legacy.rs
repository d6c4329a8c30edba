//! Reads interpreters that rsamp has no table for.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use rsamp::cpython::{LegacyReader, LegacyThread};

use crate::support::programs::{Standing, run, stand};
use crate::support::pythons::{Python, python};

/// How often a running program is read.
const BUSY_READS: u32 = 1000;

/// A stack as (name, file, line) by `pthread_t`.
type Stacks<'a> = BTreeMap<u64, Vec<(&'a str, &'a str, Option<u32>)>>;

fn told(program: &Standing) -> Stacks<'_> {
    let threads = program.threads.iter();
    let stacks = threads.map(|thread| {
        let frames = thread.frames.iter();
        let frames = frames.map(|f| (f.name.as_str(), f.file.as_str(), f.line));
        (thread.ident, frames.collect())
    });
    stacks.collect()
}

fn read(threads: &[LegacyThread]) -> Stacks<'_> {
    let stacks = threads.iter().map(|thread| {
        let frames = thread.frames.iter();
        let frames = frames.map(|f| (f.name.as_str(), f.filename.as_str(), f.line));
        (thread.thread_id, frames.collect())
    });
    stacks.collect()
}

fn check(python: &Python, stop: bool) {
    let program = stand(python, "legacy_stack.py");
    let mut reader = LegacyReader::open(program.pid(), stop).expect("an interpreter");
    assert_eq!(reader.version(), python.label);
    let waits = voluntary_switches(program.pid());
    let threads = reader.stacks().expect("stacks");
    // A thread that is stopped while it sleeps begins to sleep anew, and a Python 2 may fail with EINTR.
    assert_eq!(voluntary_switches(program.pid()), waits);
    assert_eq!(reader.stops(), 0);
    assert_eq!(read(&threads), told(&program), "{}", python.label);
    assert_eq!(threads.len(), 2);
    for thread in &threads {
        let is_main = thread.os_thread_id == Some(program.pid());
        assert_eq!(is_main, program.threads[0].ident == thread.thread_id);
        assert!(thread.os_thread_id.is_some(), "{thread:?}");
        assert!(!thread.active && !thread.holds_gil, "{thread:?}");
    }
}

/// How often the main thread went to sleep.
fn voluntary_switches(pid: i32) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
    let line = status.lines().find(|line| line.starts_with("voluntary"));
    line.expect("the count").to_owned()
}

fn a_python_2_is_read_without_stopping_it(python: &Python) {
    check(python, false);
}

test_on!(a_python_2_is_read_without_stopping_it: v2_7);

fn a_python_2_that_waits_is_not_stopped(python: &Python) {
    check(python, true);
}

test_on!(a_python_2_that_waits_is_not_stopped: v2_7);

fn a_python_2_that_ended_is_an_error(python: &Python) {
    let program = stand(python, "legacy_stack.py");
    let mut reader = LegacyReader::open(program.pid(), false).expect("an interpreter");
    drop(program);
    assert!(reader.stacks().is_err());
}

test_on!(a_python_2_that_ended_is_an_error: v2_7);

fn a_python_2_that_runs_is_read(python: &Python) {
    let program = run(python, "legacy_busy.py");
    let mut reader = LegacyReader::open(program.pid(), false).expect("an interpreter");
    let mut read = 0;
    for _ in 0..BUSY_READS {
        let Ok(threads) = reader.stacks() else {
            continue;
        };
        read += 1;
        assert!(threads[0].active, "{threads:?}");
        let outermost = threads[0].frames.last().expect("a frame");
        assert_eq!(outermost.name, "<module>", "{threads:?}");
    }
    assert!(read > BUSY_READS * 9 / 10, "{read} of {BUSY_READS}");
}

test_on!(a_python_2_that_runs_is_read: v2_7);

fn a_python_2_that_runs_is_stopped_and_shows_only_stacks_that_it_had(python: &Python) {
    let program = run(python, "legacy_calls.py");
    let mut reader = LegacyReader::open(program.pid(), true).expect("an interpreter");
    let (mut read, mut stops) = (0, 0);
    for _ in 0..BUSY_READS {
        let threads = reader.stacks().expect("stacks");
        stops += reader.stops();
        for thread in threads.iter().filter(|thread| !thread.is_torn) {
            read += 1;
            check_calls(thread);
        }
    }
    assert!(read > BUSY_READS * 9 / 10, "{read} of {BUSY_READS}");
    assert!(stops > u64::from(BUSY_READS / 2), "{stops}");
}

test_on!(a_python_2_that_runs_is_stopped_and_shows_only_stacks_that_it_had: v2_7);

/// A program that looks like Python 2.7, and `rsamp dump` of it, with these words before `rsamp`.
fn dump_forged(before: &[String], threads: u32, frames: u32) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("forged27");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/forged27.c");
    let compiled = Command::new("cc")
        .args(["-O1", "-rdynamic", "-o"])
        .args([program.as_os_str(), source.as_ref()])
        .status();
    assert!(compiled.expect("a compiler").success());
    let mut command = Command::new(program);
    command.args([threads.to_string(), frames.to_string()]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
    let mut pid = String::new();
    let out = child.stdout.take().expect("a pipe");
    BufReader::new(out).read_line(&mut pid).expect("its PID");
    let words = ["dump", "--pid", pid.trim()];
    let dump = Command::new(&before[0])
        .args(&before[1..])
        .arg(env!("CARGO_BIN_EXE_rsamp"))
        .args(words)
        .output();
    child.kill().expect("it runs");
    child.wait().expect("it is a child");
    dump.expect("rsamp")
}

#[test]
fn what_reads_a_python_2_for_rsamp_is_given_up_when_it_has_no_end() {
    check_forged(&["env".to_owned()]);
}

/// As where Yama lets rsamp alone read the program: here rsamp cannot start another process.
#[test]
fn a_reading_of_a_python_2_by_rsamp_itself_is_given_up_when_it_has_no_end() {
    needs!(v3_11);
    let forbid = |call: i64, bits: i32, error: i32| {
        let forbid = crate::support::programs::program("forbid.py")
            .display()
            .to_string();
        let call = format!("{call},0,{}", bits as u32);
        let mut words = python("v3_11").command;
        words.extend([forbid, call, error.to_string()]);
        words
    };
    // posix_spawn(3) is made of these; the second one is tried when the first one is not there, which has no flags here.
    let mut before = forbid(libc::SYS_clone3, -1, libc::ENOSYS);
    before.extend(forbid(libc::SYS_clone, libc::CLONE_VFORK, libc::EPERM));
    check_forged(&before);
}

fn check_forged(before: &[String]) {
    let few = dump_forged(before, 2, 3);
    assert!(few.status.success(), "{few:?}");
    assert!(String::from_utf8_lossy(&few.stdout).contains("walk (forged.py:1)"));
    let many = dump_forged(before, 2000, 3000);
    assert_eq!(many.status.code(), Some(4), "{many:?}");
}

/// In `legacy_calls.py` each function is called by the one of the same letter before it alone, and the two
/// functions of one name are told apart by their first lines.
fn check_calls(thread: &LegacyThread) {
    let frames = thread.frames.iter().rev();
    let names: Vec<_> = frames.clone().map(|frame| frame.name.as_str()).collect();
    let is_whole = [
        "<module> a a1 a2 a3",
        "<module> b b1 b2 b3",
        "<module> same",
    ]
    .iter()
    .any(|chain| chain.starts_with(&names.join(" ")));
    assert!(is_whole, "{names:?}");
    for frame in frames.filter(|frame| frame.name == "same") {
        let (line, first) = (frame.line.expect("a line"), frame.first_line);
        assert_eq!(first, Some(if line < 39 { 29 } else { 39 }), "{frame:?}");
    }
}
