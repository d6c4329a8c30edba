//! Reads the names of threads from running programs and compares them with what these say themselves.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use rsamp::cpython::layout::{self, Layout, debug_offsets};
use rsamp::cpython::thread_names::{ThreadNames, thread_names, thread_names_in};
use rsamp::memory::{Address, LiveMemory, ReadMemory};
use rsamp::process::Pid;

use crate::pythons::{Python, pythons};

/// What the program says.
#[derive(serde::Deserialize)]
struct Said {
    /// `id(sys.modules)`.
    modules: u64,
    /// `&_PyRuntime`; 3.6 has none.
    runtime: Option<u64>,
    main: u64,
    names: HashMap<u64, String>,
}

#[test]
fn threads_have_the_names_that_the_program_gave_them() {
    let all = pythons();
    let some: Vec<_> = all
        .iter()
        .filter(|python| python.version >= (3, 6, 0))
        .collect();
    assert!(
        !some.is_empty(),
        "RSAMP_PYTHONS lists no Python from 3.6 on"
    );
    for python in some {
        check(python);
    }
}

fn check(python: &Python) {
    let mut child = Command::new(&python.command[0])
        .args(&python.command[1..])
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/programs/thread_names.py"
        ))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", python.label));
    let mut line = String::new();
    let stdout = child.stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    let said: Said = serde_json::from_str(&line)
        .unwrap_or_else(|error| panic!("{}: {error}: {line}", python.label));
    assert!(said.names.len() > 50, "{}", python.label);

    let pid = Pid(i32::try_from(child.id()).expect("a pid"));
    let memory = LiveMemory::new(pid);
    let layout = layout_of(python, &memory, said.runtime);
    let expected = ThreadNames {
        names: said.names,
        main: Some(said.main),
    };
    let read = thread_names_in(&memory, &layout, Address(said.modules), |_| true);
    assert_eq!(read, expected, "{}", python.label);
    if let Some(runtime) = said.runtime {
        let head = Address(runtime) + layout.runtime.interpreters_head;
        let interpreter = memory.pointer(head).expect("interpreters.head");
        let read = thread_names(&memory, &layout, interpreter, |_| true);
        assert_eq!(read, expected, "{}", python.label);
    }

    drop(child.stdin.take());
    assert!(child.wait().expect("an end").success(), "{}", python.label);
}

fn layout_of(python: &Python, memory: &LiveMemory, runtime: Option<u64>) -> Layout {
    let (major, minor, _) = python.version;
    if let Some(layout) = layout::for_version(major, minor) {
        return layout.clone();
    }
    let mut bytes = [0; debug_offsets::MAX_BYTES];
    let runtime = Address(runtime.expect("_PyRuntime"));
    memory.read(runtime, &mut bytes).expect("the debug offsets");
    debug_offsets::parse(&bytes)
        .unwrap_or_else(|error| panic!("{}: {error}", python.label))
        .layout
}
