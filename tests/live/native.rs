//! Reads the native frames of threads that wait, and compares them with what the program and eu-stack(1) say.

use std::collections::HashMap;
use std::process::Command;
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use rsamp::export::keep_native_frames;
use rsamp::memory::LiveMemory;
use rsamp::native::{StackCopy, Unwinder, WaitingThread};
use rsamp::process::{Pid, Process, Tid};
use rsamp::profile::{Dump, Frame, FrameKind, NativeFrames, ThreadDump};
use rsamp::sampler;

use crate::stacks::dump;
use crate::support::programs::{command, run, run_command, stand};
use crate::support::pythons::Python;

fn native_dump(pid: i32, place: &str) -> Dump {
    sampler::dump_native(Pid(pid)).unwrap_or_else(|error| panic!("{place}: {error:?}"))
}

/// The file name of the module of a native frame.
fn module(frame: &Frame) -> Option<&str> {
    match &frame.kind {
        FrameKind::Native(code) => code.module.rsplit('/').next(),
        FrameKind::Python | FrameKind::Mark => None,
    }
}

fn is_python(frame: &Frame) -> bool {
    frame.kind == FrameKind::Python
}

/// Checks that native frames are added to the Python frames, and nothing is missing.
fn check_thread(place: &str, thread: &ThreadDump, python: &[Frame]) {
    assert_eq!(thread.incomplete, None, "{place}");
    let own = thread.frames.iter().filter(|frame| is_python(frame));
    assert!(own.eq(python), "{place}: {:#?}", thread.frames);
    let marks: Vec<&Frame> = thread
        .frames
        .iter()
        .filter(|frame| frame.is_mark())
        .collect();
    assert!(marks.is_empty(), "{place}: {:#?}", thread.frames);
    let ends = [thread.frames.first(), thread.frames.last()];
    let ends = ends.map(|frame| frame.and_then(module).unwrap_or_default().to_owned());
    assert!(ends[0].starts_with("libc"), "{place}: {ends:?}");
}

/// Checks a program that stands still, and returns its dump.
fn check_program(python: &Python, name: &str) -> Dump {
    let program = stand(python, name);
    let place = format!("{} {name}", python.label);
    let stacks = |dump: &Dump| {
        let threads = dump.threads.iter();
        let stacks = threads.map(|thread| (thread.tid, thread.frames.clone()));
        stacks.collect::<Vec<_>>()
    };
    // The main thread may still be on its way to the call in which it waits.
    let (plain, native) = loop {
        let before = dump(program.pid(), &place);
        let native = native_dump(program.pid(), &place);
        let after = dump(program.pid(), &place);
        if stacks(&before) == stacks(&after) {
            break (after, native);
        }
    };
    let threads: HashMap<Option<i32>, &ThreadDump> = native
        .threads
        .iter()
        .map(|thread| (thread.tid, thread))
        .collect();
    for thread in &plain.threads {
        let place = format!("{place}, thread {:?}", thread.name);
        check_thread(&place, threads[&thread.tid], &thread.frames);
    }
    assert!(native.interpreter_module.is_some(), "{place}");
    native
}

/// The frames of a thread by name, without those of the interpreter; native ones by their module, without its version and
/// build, once for several in a row.
fn shown(dump: &Dump, thread: &str) -> Vec<String> {
    let mut dump = dump.clone();
    keep_native_frames(&mut dump, NativeFrames::Libraries);
    let is_it = |found: &&ThreadDump| found.name.as_deref() == Some(thread);
    let found = dump.threads.iter().find(is_it).expect("the thread");
    let name = |frame: &Frame| {
        let name = match module(frame) {
            Some(module) => module.split(".so").next(),
            None => frame.name.rsplit('.').next(),
        };
        let name = name.and_then(|name| name.split(".cpython").next());
        name.unwrap_or_default().to_owned()
    };
    let mut names: Vec<String> = found.frames.iter().map(name).collect();
    names.dedup();
    names
}

fn native_frames_stand_between_the_python_frames_that_called_and_were_called(python: &Python) {
    let dump = check_program(python, "callbacks.py");
    for (thread, expected) in [
        ("qsort", "wait compare _ctypes libc _ctypes by_qsort run"),
        ("sorted", "wait by_sorted run"),
        ("generator", "wait generate by_generator run"),
        ("init", "wait __init__ by_init run"),
        ("reduce", "wait <lambda> by_reduce run"),
    ] {
        let mut names = shown(&dump, thread);
        // A library here, built in there.
        names.retain(|name| !["libffi", "_functools"].contains(&name.as_str()));
        names.dedup();
        let names = names.join(" ");
        assert!(
            names.starts_with(&format!("libc {expected} ")),
            "{thread}: {names}"
        );
    }
    let others = dump.threads.iter();
    let others = others.filter(|thread| !thread.frames.iter().any(is_python));
    let others: Vec<&ThreadDump> = others.collect();
    assert_eq!(others.len(), 1, "{}: {others:#?}", python.label);
    assert!(others[0].frames.iter().all(|frame| module(frame).is_some()));
}

test_on_each!(native_frames_stand_between_the_python_frames_that_called_and_were_called);

fn threads_that_wait_for_anything_show_where_they_wait(python: &Python) {
    check_program(python, "threads.py");
}

test_on_each!(threads_that_wait_for_anything_show_where_they_wait);

fn native_functions_have_names(python: &Python) {
    let program = stand(python, "threads.py");
    let mut dump = Command::new(cargo_bin("rsamp"));
    let dump = dump.args(["dump", "--native", "--pid", &program.pid().to_string()]);
    let output = dump.output().expect("rsamp");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let thread = text
        .split("\nThread ")
        .find(|thread| thread.contains("Schläfer"));
    let lines: Vec<&str> = thread.unwrap_or_default().lines().map(str::trim).collect();
    assert!(lines[1].contains("clock_nanosleep in libc.so.6"), "{text}");
    assert!(text.contains("\n    sleep_long ("), "{text}");
}

test_on!(native_functions_have_names: v3_12);

fn a_thread_that_runs_shows_its_python_frames_and_says_why(python: &Python) {
    let program = run(python, "spin.py");
    let dump = native_dump(program.pid(), &python.label);
    let is_spinning = |thread: &&ThreadDump| thread.name.as_deref() == Some("spin");
    let thread = dump.threads.iter().find(is_spinning).expect("the thread");
    let why = thread.incomplete.as_deref().unwrap_or_default();
    assert!(why.contains("this one was running"), "{thread:#?}");
    assert!(thread.frames.iter().all(is_python) && !thread.frames.is_empty());
}

test_on!(a_thread_that_runs_shows_its_python_frames_and_says_why: v3_12);

/// The addresses of each thread's frames, as eu-stack(1) tells them.
fn eu_stacks(pid: i32) -> HashMap<i32, Vec<u64>> {
    let output = Command::new("eu-stack")
        .arg("-p")
        .arg(pid.to_string())
        .output();
    let text = String::from_utf8(output.expect("eu-stack").stdout).expect("UTF-8");
    let mut stacks = HashMap::new();
    let mut tid = 0;
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        if let Some(number) = line.strip_prefix("TID ") {
            tid = number.trim_end_matches(':').parse().expect("a thread id");
            stacks.insert(tid, Vec::new());
        } else if let Some(address) = words.nth(1).and_then(|word| word.strip_prefix("0x"))
            && let Some(stack) = stacks.get_mut(&tid)
        {
            stack.push(u64::from_str_radix(address, 16).expect("an address"));
        }
    }
    stacks
}

fn stacks_are_those_of_eu_stack(python: &Python) {
    if Command::new("eu-stack").arg("--version").output().is_err() {
        assert_ne!(
            std::env::var("CI").as_deref(),
            Ok("true"),
            "eu-stack is not installed"
        );
        skip!("eu-stack(1) is not installed (elfutils)");
    }
    for name in ["callbacks.py", "threads.py"] {
        let program = stand(python, name);
        let process = Process::open(Pid(program.pid())).expect("the program");
        let memory = LiveMemory::new(process.pid());
        let mappings = process.mappings().expect("its mappings");
        let mut unwinder = Unwinder::new(&mappings, &memory);
        let theirs = eu_stacks(program.pid());
        assert!(theirs.len() > 5, "{name}");
        let deadline = Instant::now() + Duration::from_secs(60);
        for (tid, theirs) in theirs {
            // Until it waits again: eu-stack has stopped it.
            let mut looks = std::iter::repeat_with(|| WaitingThread::look(&process, Tid(tid)));
            let waiting = looks.find_map(|look| look).expect("a thread that waits");
            let at = waiting.stack_pointer().expect("a stack pointer");
            let stack = StackCopy::read(at, &mappings, &memory).expect("a stack");
            let registers = waiting.registers().expect("registers");
            let ours = unwinder.unwind(registers, &stack, &[], &|| Instant::now() >= deadline);
            // They tell where a call returns to; ours is an address in the call.
            let address = |(number, frame): (usize, &rsamp::native::NativeFrame)| {
                frame.instruction.map_or(0, |at| at + u64::from(number > 0))
            };
            let ours: Vec<u64> = ours.frames.iter().enumerate().map(address).collect();
            assert_eq!(ours, theirs, "{name}, thread {tid}");
        }
    }
}

test_on!(stacks_are_those_of_eu_stack: v3_9 v3_12 system);

/// Runs the program to its end, with something done again and again meanwhile; returns what it says.
fn outcome(python: &Python, mut meanwhile: impl FnMut(i32)) -> String {
    let mut program = run_command(&mut command(python, "interrupted.py"));
    let pid = program.pid();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(1500) {
        meanwhile(pid);
    }
    let mut said = String::new();
    while !said.ends_with("END\n") {
        said += &program.line();
    }
    said
}

fn calls_that_wait_return_as_they_do_alone(python: &Python) {
    let alone = outcome(python, |_| std::thread::sleep(Duration::from_millis(10)));
    let mut dumps = 0;
    let dumped = outcome(python, |pid| {
        // The program may have ended meanwhile.
        let Ok(dump) = sampler::dump_native(Pid(pid)) else {
            return;
        };
        let is_native =
            |thread: &ThreadDump| thread.frames.iter().any(|frame| module(frame).is_some());
        dumps += usize::from(
            dump.threads
                .iter()
                .filter(|thread| is_native(thread))
                .count()
                >= 9,
        );
    });
    assert_eq!(dumped, alone, "{}", python.label);
    assert!(dumps > 0, "{}: no dump with native frames", python.label);
}

test_on!(calls_that_wait_return_as_they_do_alone: v3_9 v3_12);
