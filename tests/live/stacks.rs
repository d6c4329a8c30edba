//! Dumps every program on every interpreter and compares all of it with what the program says itself.

use std::fs;
use std::os::unix::fs::FileExt;

use rsamp::process::Pid;
use rsamp::profile::dump::{Activity, Dump, ThreadDump};
use rsamp::sampler;

use crate::programs::{Standing, Started, ToldFrame, ToldThread, run, start};
use crate::pythons::{Python, pythons};

/// The programs that stand still.
const PROGRAMS: [&str; 7] = [
    "frames.py",
    "threads.py",
    "recursion.py",
    "unicode_names.py",
    "longlines.py",
    "subinterpreters.py",
    "instances.py",
];

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
        assert_eq!(read.activity, Some(Activity::Waiting), "{place}");
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

fn check_everywhere(name: &str) {
    let mut checked = 0;
    for python in pythons()
        .iter()
        .filter(|python| python.version >= (3, 6, 0))
    {
        let Started::Standing(program) = start(python, name) else {
            continue;
        };
        check_program(&format!("{} {name}", python.label), python, &program);
        checked += 1;
    }
    assert!(checked >= 8, "{name} ran on {checked} interpreters");
}

#[test]
fn frames_of_every_kind() {
    check_everywhere(PROGRAMS[0]);
}

#[test]
fn threads_that_wait_for_all_kinds_of_things() {
    check_everywhere(PROGRAMS[1]);
}

#[test]
fn a_stack_ten_thousand_deep() {
    check_everywhere(PROGRAMS[2]);
}

#[test]
fn names_in_every_script() {
    check_everywhere(PROGRAMS[3]);
}

#[test]
fn lines_far_apart() {
    check_everywhere(PROGRAMS[4]);
}

#[test]
fn threads_in_two_interpreters() {
    check_everywhere(PROGRAMS[5]);
}

#[test]
fn classes_that_are_called_often() {
    check_everywhere(PROGRAMS[6]);
}

#[test]
fn a_thread_that_spins_holds_the_gil() {
    for python in pythons()
        .iter()
        .filter(|python| python.version >= (3, 6, 0))
    {
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
                Some(Activity::Waiting),
                Some("main"),
            );
            let spin = (
                Some("spin"),
                Some(true),
                Some(Activity::Running),
                Some("spin"),
            );
            assert_eq!(seen, [main, spin], "{}", python.label);
        }
    }
}

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
