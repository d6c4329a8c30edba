//! Reads the text of code that no file holds, such as notebook cells, from running programs.

use std::collections::HashMap;
use std::process::Command;

use assert_cmd::cargo::cargo_bin;
use rsamp::cpython::{Found, cached_source, locate};
use rsamp::memory::LiveMemory;
use rsamp::process::{Pid, Process};

use crate::support::commands::{stdout, text};
use crate::support::needs::prepared;
use crate::support::programs::{Standing, command, program, spawn};
use crate::support::pythons::Python;

/// What the program says.
#[derive(serde::Deserialize)]
struct Said {
    texts: HashMap<String, String>,
    /// Names that have no text.
    none: Vec<String>,
}

fn texts_without_files_are_read_and_shown(python: &Python) {
    let mut program = spawn(&mut command(python, "cells.py"));
    let said: Said = serde_json::from_str(&program.line()).expect("JSON");
    let pid = Pid(program.pid());
    let memory = LiveMemory::new(pid);
    let process = Process::open(pid).expect("a process");
    let Ok(Found::Native(interpreter)) = locate(&process, &memory) else {
        panic!("no interpreter: {}", python.label);
    };
    for (name, text) in &said.texts {
        let read = cached_source(&memory, &interpreter, name);
        assert_eq!(read.as_ref(), Some(text), "{name}: {}", python.label);
    }
    for name in &said.none {
        assert_eq!(
            cached_source(&memory, &interpreter, name),
            None,
            "{name}: {}",
            python.label
        );
    }

    let table = lines_of(&program);
    for line in [
        "24 ",
        "    x = step(x)",
        "def step(x):",
        "    return (x * 5 + 1) & 0xFFFF",
    ] {
        assert!(
            table.contains(line),
            "no {line:?}: {}: {table}",
            python.label
        );
    }
}

test_on_each!(texts_without_files_are_read_and_shown);

/// The line tables of a moment of the program.
fn lines_of(program: &Standing) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.rsamp");
    let mut attach = Command::new(cargo_bin!("rsamp"));
    attach
        .args(["attach", "-q", "-d", "0.4", "-r", "200", "-o"])
        .arg(&path);
    attach.arg("--pid").arg(program.pid().to_string());
    let attached = attach.output().expect("rsamp runs");
    assert!(attached.status.success(), "{}", text(&attached.stderr));
    stdout(
        Command::new(cargo_bin!("rsamp"))
            .arg("report")
            .arg(&path)
            .arg("--lines"),
    )
}

/// A kernel of Jupyter: its cells are in no file.
#[test]
fn cells_of_a_notebook_are_shown() {
    needs!(RSAMP_NOTEBOOK);
    let python = prepared("RSAMP_NOTEBOOK").join("bin/python");
    let mut client = spawn(Command::new(python).arg(program("kernel.py")));
    assert_eq!(client.line(), "READY\n");
    client.descend();
    let table = lines_of(&client);
    for line in ["def collatz(n):", "        n = n // 2 if n % 2 == 0"] {
        assert!(table.contains(line), "no {line:?}: {table}");
    }
}
