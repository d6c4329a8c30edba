//! Dumps every program on every interpreter and compares all of it with what the program says itself.

use std::fs;
use std::os::unix::fs::FileExt;

use rsamp::process::Pid;
use rsamp::profile::{Dump, ThreadActivity, ThreadDump};
use rsamp::sampler;

use crate::support::programs::{Standing, Started, ToldFrame, ToldThread, run, stand, start};
use crate::support::pythons::{self, EACH, Python};

/// How often a program that runs is dumped.
const SPIN_DUMPS: u32 = 5;

/// Where glibc keeps the kernel's id in `struct pthread` on x86-64: for versions whose programs
/// cannot tell it.
const PTHREAD_TID: u64 = 720;

/// Dumps process `pid`.
pub fn dump(pid: i32, place: &str) -> Dump {
    sampler::dump(Pid(pid)).unwrap_or_else(|error| panic!("{place}: {error:?}"))
}

/// Checks that the dump of a program that stands still is what the program told of itself.
/// `tid_of` gives the kernel's id, in our namespace, of a thread that the program told.
pub fn check(place: &str, dump: &Dump, told: &[ToldThread], tid_of: impl Fn(&ToldThread) -> i32) {
    let mut told: Vec<(i32, &ToldThread)> = told.iter().map(|told| (tid_of(told), told)).collect();
    told.sort_by_key(|(tid, told)| (told.interpreter, *tid));
    let mut read: Vec<&ThreadDump> = dump.threads.iter().collect();
    read.sort_by_key(|read| (read.interpreter, read.tid));
    assert_eq!(read.len(), told.len(), "{place}: {read:?}");
    for (read, (tid, told)) in read.into_iter().zip(told) {
        let place = format!("{place}, thread {:?}", told.name);
        assert_eq!(read.tid, Some(tid), "{place}");
        assert_eq!(read.name, told.name, "{place}");
        assert_eq!(read.is_main, told.is_main, "{place}");
        assert_eq!(read.interpreter, told.interpreter, "{place}");
        assert_eq!(read.activity, Some(ThreadActivity::Waiting), "{place}");
        assert_eq!(read.holds_gil, Some(false), "{place}");
        assert_eq!(read.incomplete, None, "{place}");
        check_frames(&place, read, &told.frames);
    }
    assert!(dump.threads[0].is_main, "{place}: the main thread is first");
}

fn check_frames(place: &str, read: &ThreadDump, told: &[ToldFrame]) {
    let frames = read.frames.iter().map(|frame| ToldFrame {
        name: frame.name.clone(),
        file: frame.file.clone().unwrap_or_default(),
        first_line: frame.first_line.unwrap_or(0),
        line: frame.line,
    });
    let frames: Vec<ToldFrame> = frames.collect();
    // Not the whole stacks: they may have 10,000 frames.
    for (number, (read, told)) in frames.iter().zip(told).enumerate() {
        assert_eq!(read, told, "{place}: frame {number}");
    }
    assert_eq!(frames.len(), told.len(), "{place}");
}

/// The kernel's id of a thread: as the program told it, else from its `struct pthread`.
pub fn own_tid(program: &Standing, told: &ToldThread) -> i32 {
    told.native.unwrap_or_else(|| {
        let memory = fs::File::open(format!("/proc/{}/mem", program.pid())).expect("its memory");
        let mut bytes = [0; 4];
        let read = memory.read_exact_at(&mut bytes, told.ident + PTHREAD_TID);
        read.expect("a struct pthread");
        i32::from_le_bytes(bytes)
    })
}

/// Dumps a program that stands still and checks it.
pub fn check_program(place: &str, python: &Python, program: &Standing) {
    let dump = dump(program.pid(), place);
    assert_eq!(dump.python, python.label, "{place}");
    let told = program
        .threads
        .iter()
        .map(|told| as_recorded(told, python, program.pid()));
    check(place, &dump, &told.collect::<Vec<_>>(), |told| {
        own_tid(program, told)
    });
}

/// What the interpreter knows of a thread. Up to 3.12 the first thread state of a sub-interpreter stays
/// recorded as that of the thread that made the sub-interpreter, whichever thread runs in it
/// (`_run_script_in_interpreter` in `Modules/_xxsubinterpretersmodule.c`). From 3.10 on its C stack tells which one does.
fn as_recorded(told: &ToldThread, python: &Python, pid: i32) -> ToldThread {
    if told.interpreter == 0 || python.version >= (3, 10, 0) {
        return told.clone();
    }
    ToldThread {
        name: Some("MainThread".to_owned()),
        native: Some(pid),
        is_main: true,
        ..told.clone()
    }
}

fn check_standing(python: &Python, name: &str) {
    let program = stand(python, name);
    check_program(&format!("{} {name}", python.label), python, &program);
}

/// Else a version that no test names would seem to be tested.
#[test]
fn each_interpreter_that_is_listed_has_a_test() {
    needs!(RSAMP_PYTHONS);
    for python in pythons::pythons() {
        let name = python.name();
        let is_legacy = python.version < (3, 6, 0);
        assert!(is_legacy || EACH.contains(&name.as_str()), "{name}");
    }
}

fn every_program_comes_to_rest(python: &Python) {
    let recursion = stand(python, "recursion.py");
    let deep = recursion.threads.iter().map(|thread| thread.frames.len());
    assert!(deep.max() > Some(10_000), "{}", python.label);

    match start(python, "subinterpreters.py") {
        Started::Standing(program) => {
            let thread = program
                .threads
                .iter()
                .find(|thread| thread.interpreter != 0);
            let names = thread.map(|thread| thread.frames.iter().map(|f| f.name.as_str()));
            let names: Vec<_> = names.into_iter().flatten().collect();
            assert_eq!(names[..2], ["work", "<module>"], "{}", python.label);
        }
        Started::Skipped(reason) => {
            assert!(python.version < (3, 8, 0), "{}: {reason}", python.label);
        }
    }
}

test_on_each!(every_program_comes_to_rest);

fn frames_of_every_kind_are_read(python: &Python) {
    check_standing(python, "frames.py");
}

test_on_each!(frames_of_every_kind_are_read);

fn threads_that_wait_for_all_kinds_of_things_are_read(python: &Python) {
    check_standing(python, "threads.py");
}

test_on_each!(threads_that_wait_for_all_kinds_of_things_are_read);

fn a_stack_ten_thousand_deep_is_read_whole(python: &Python) {
    check_standing(python, "recursion.py");
}

test_on_each!(a_stack_ten_thousand_deep_is_read_whole);

fn names_in_every_script_are_read(python: &Python) {
    check_standing(python, "unicode_names.py");
}

test_on_each!(names_in_every_script_are_read);

fn lines_far_apart_are_told_apart(python: &Python) {
    check_standing(python, "longlines.py");
}

test_on_each!(lines_far_apart_are_told_apart);

/// Python can run a string in another interpreter from 3.8 on.
fn threads_of_two_interpreters_are_told_apart(python: &Python) {
    check_standing(python, "subinterpreters.py");
}

test_on!(threads_of_two_interpreters_are_told_apart: v3_8 v3_9 v3_10 v3_11 v3_12 v3_13 v3_14 v3_15 system);

fn classes_that_are_called_often_show_their_init(python: &Python) {
    check_standing(python, "instances.py");
}

test_on_each!(classes_that_are_called_often_show_their_init);

fn a_thread_that_spins_holds_the_gil(python: &Python) {
    let program = run(python, "spin.py");
    wait_until_it_reads(program.pid());
    // The main thread has let the GIL go, but the other one may still be waking up.
    while dump(program.pid(), &python.label).threads[1].holds_gil != Some(true) {}
    for _ in 0..SPIN_DUMPS {
        let dump = dump(program.pid(), &python.label);
        let seen: Vec<_> = dump
            .threads
            .iter()
            .map(|thread| {
                let innermost = thread.frames.first().map(|frame| frame.name.as_str());
                (
                    thread.name.as_deref(),
                    thread.holds_gil,
                    thread.activity,
                    innermost,
                )
            })
            .collect();
        let main = (
            Some("MainThread"),
            Some(false),
            Some(ThreadActivity::Waiting),
            Some("main"),
        );
        let spin = (
            Some("spin"),
            Some(true),
            Some(ThreadActivity::Running),
            Some("spin"),
        );
        assert_eq!(seen, [main, spin], "{}", python.label);
    }
}

test_on_each!(a_thread_that_spins_holds_the_gil);

/// Waits until the main thread of process `pid` is in read(2), and so without the GIL.
fn wait_until_it_reads(pid: i32) {
    let wanted = format!("{} ", libc::SYS_read);
    while !fs::read_to_string(format!("/proc/{pid}/syscall"))
        .expect("a running program")
        .starts_with(&wanted)
    {
        std::thread::yield_now();
    }
}
