//! Reads the same stopped process with rsamp and with py-spy, and compares whole stacks.
//!
//! Both read the memory as it stands, so they must agree on every frame and, but for what py-spy is
//! known to get wrong, on every line.

use std::time::Duration;

use rsamp::profile::Dump;

use crate::oracle::{Oracle, OracleThread, Stopped};
use crate::stacks::dump;
use crate::support::programs::{run, stand};
use crate::support::pythons::Python;

/// How often a program that runs is stopped.
const STOPS: u64 = 20;

/// A frame as both can tell it.
type Comparable = (String, String, Option<u32>);

fn comparable(dump: &Dump) -> Vec<Vec<Comparable>> {
    let stacks = dump.threads.iter().map(|thread| {
        let frames = thread.frames.iter().map(|frame| {
            let file = frame.file.clone().unwrap_or_default();
            (frame.name.clone(), file, frame.line)
        });
        frames.collect()
    });
    let mut stacks: Vec<Vec<_>> = stacks.collect();
    stacks.sort();
    stacks
}

fn seen_by(oracle: Vec<OracleThread>) -> Vec<Vec<Comparable>> {
    let mut stacks: Vec<Vec<_>> = oracle.into_iter().map(|thread| thread.frames).collect();
    stacks.sort();
    stacks
}

fn rsamp_and_py_spy_agree_on_programs_that_stand(python: &Python) {
    for name in ["frames.py", "threads.py", "unicode_names.py"] {
        let place = format!("{} {name}", python.label);
        let program = stand(python, name);
        let _stopped = Stopped::new(program.pid());
        let mut oracle = Oracle::open(program.pid()).expect("py-spy finds the interpreter");
        let theirs = seen_by(oracle.stacks().expect("py-spy reads the stacks"));
        let mut ours = comparable(&dump(program.pid(), &place));
        for stack in &mut ours {
            // py-spy drops frames whose names have lone surrogates.
            stack.retain(|(_, file, _)| !file.contains(char::REPLACEMENT_CHARACTER));
        }
        ours.sort();
        assert_eq!(ours, theirs, "{place}");
    }
}

test_on_each_local!(rsamp_and_py_spy_agree_on_programs_that_stand);

/// Whether ours is theirs, but for the lines on which py-spy 0.4.3 is wrong: an instruction that the
/// compiler gave no line, for which it says one nearby; and in 3.10 those behind such an instruction, and
/// those of frames that have not started.
fn agrees(version: (u8, u8, u8), ours: &[Vec<Comparable>], theirs: &[Vec<Comparable>]) -> bool {
    let is_3_10 = version.0 == 3 && version.1 == 10;
    let same_frame = |(ours, theirs): (&Comparable, &Comparable)| {
        let same_line = ours.2 == theirs.2 || ours.2.is_none() || is_3_10;
        (&ours.0, &ours.1) == (&theirs.0, &theirs.1) && same_line
    };
    let same_stack = |(ours, theirs): (&Vec<Comparable>, &Vec<Comparable>)| {
        ours.len() == theirs.len() && ours.iter().zip(theirs).all(same_frame)
    };
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(same_stack)
}

fn check_running(python: &Python, name: &str) {
    let program = run(python, name);
    let mut oracle = Oracle::open(program.pid()).expect("py-spy finds the interpreter");
    let (mut failures, mut between_frames) = (0, 0);
    for stop in 0..STOPS {
        // Not to wait for anything: to stop it anywhere.
        std::thread::sleep(Duration::from_micros(500 + stop * 7919 % 3001));
        let _stopped = Stopped::new(program.pid());
        let place = format!("{} {name}, stop {stop}", python.label);
        let ours = dump(program.pid(), &place);
        // It stands in the midst of a call: a generator that is not yet linked to the frame that
        // resumes it. rsamp says so; py-spy shows half a stack.
        if ours
            .threads
            .iter()
            .any(|thread| thread.incomplete.is_some())
        {
            between_frames += 1;
            continue;
        }
        let ours = comparable(&ours);
        match oracle.stacks() {
            Ok(theirs) => {
                let theirs = seen_by(theirs);
                let agrees = agrees(python.version, &ours, &theirs);
                assert!(agrees, "{place}:\nours {ours:?}\ntheirs {theirs:?}");
            }
            // It reads a frame that is being taken down, whose code is gone (3.12, 1 in 500).
            Err(_) => failures += 1,
        }
    }
    let counts = format!(
        "{} {name}: py-spy failed {failures} times, {between_frames} stops between two frames",
        python.label
    );
    assert!(
        failures < STOPS / 4 && between_frames < STOPS / 4,
        "{counts}"
    );
}

fn rsamp_and_py_spy_agree_on_a_program_that_calls(python: &Python) {
    check_running(python, "torture/chain.py");
}

test_on_each_local!(rsamp_and_py_spy_agree_on_a_program_that_calls);

fn rsamp_and_py_spy_agree_on_generators_that_run(python: &Python) {
    check_running(python, "torture/generators.py");
}

test_on_each_local!(rsamp_and_py_spy_agree_on_generators_that_run);

fn rsamp_and_py_spy_agree_on_callbacks_from_c(python: &Python) {
    check_running(python, "torture/callbacks.py");
}

test_on_each_local!(rsamp_and_py_spy_agree_on_callbacks_from_c);

fn rsamp_and_py_spy_agree_on_a_program_that_raises(python: &Python) {
    check_running(python, "torture/exceptions.py");
}

test_on_each_local!(rsamp_and_py_spy_agree_on_a_program_that_raises);

fn rsamp_and_py_spy_agree_on_threads_that_run(python: &Python) {
    check_running(python, "torture/threads.py");
}

test_on_each_local!(rsamp_and_py_spy_agree_on_threads_that_run);
