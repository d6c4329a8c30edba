//! Reads interpreters that rsamp has no table for.

use std::collections::BTreeMap;

use rsamp::cpython::legacy::{LegacyReader, LegacyThread};

use crate::programs::{Standing, stand};
use crate::pythons::{Python, pythons};

/// The interpreters that are read through py-spy.
fn legacy_pythons() -> Vec<Python> {
    let mut pythons = pythons();
    pythons.retain(|python| python.version < (3, 6, 0));
    assert!(!pythons.is_empty(), "RSAMP_PYTHONS lists none before 3.6");
    pythons
}

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

fn check(stop: bool) {
    for python in legacy_pythons() {
        let program = stand(&python, "legacy_stack.py");
        let mut reader = LegacyReader::open(program.pid(), stop).expect("an interpreter");
        assert_eq!(reader.version(), python.label);
        let threads = reader.stacks().expect("stacks");
        assert_eq!(read(&threads), told(&program), "{}", python.label);
        assert_eq!(threads.len(), 2);
        for thread in &threads {
            let is_main = thread.os_thread_id == Some(program.pid());
            assert_eq!(is_main, program.threads[0].ident == thread.thread_id);
            assert!(thread.os_thread_id.is_some(), "{thread:?}");
            assert!(!thread.active && !thread.holds_gil, "{thread:?}");
        }
    }
}

#[test]
fn a_python_2_is_read_without_stopping_it() {
    check(false);
}

#[test]
fn a_python_2_is_read_while_it_is_stopped() {
    check(true);
}

#[test]
fn a_python_2_that_ended_is_an_error() {
    for python in legacy_pythons() {
        let program = stand(&python, "legacy_stack.py");
        let mut reader = LegacyReader::open(program.pid(), false).expect("an interpreter");
        drop(program);
        assert!(reader.stacks().is_err());
    }
}
