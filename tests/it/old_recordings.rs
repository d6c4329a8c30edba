//! Recordings of format version 1, made by the rsamp of November 2026, and what that rsamp showed of them.
//!
//! `one`: one process. `tree`: a process, two children and a fork. `ranks`: two ranks of mpirun. `unicode`: names of
//! functions, a class, a thread and a file that are not ASCII. `cut`: ticks and a stack were lost, and the file ends in
//! the middle. All are of Python 3.13.

use std::path::Path;
use std::process::Command;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recordings");

/// What `rsamp report` with these options shows of a recording is what the file beside it holds, byte for byte.
fn check(name: &str, options: &[&str], ending: &str) {
    let recording = format!("{name}.rsamp");
    let output = Command::new(env!("CARGO_BIN_EXE_rsamp"))
        .arg("report")
        .args([recording.as_str(), "--imports", "--idle"])
        .args(options)
        .current_dir(FOLDER)
        .output()
        .expect("rsamp runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{name}: {said}");
    let path = Path::new(FOLDER).join(format!("{name}.{ending}"));
    let expected = std::fs::read_to_string(&path).expect("what was shown");
    let shown = String::from_utf8_lossy(&output.stdout);
    if shown != expected {
        let new = path.with_extension("new");
        std::fs::write(&new, &*shown).expect("the folder can be written");
        panic!("{path:?} differs from what is shown now, {new:?}");
    }
}

#[test]
fn the_summary_of_an_old_recording_is_as_it_was() {
    for name in ["one", "tree", "ranks", "unicode", "cut"] {
        check(name, &["--full"], "summary.txt");
    }
}

#[test]
fn the_tables_of_an_old_recording_are_as_they_were() {
    for name in ["one", "ranks"] {
        check(name, &["--lines", "--wide", "--memory"], "tables.txt");
    }
}

#[test]
fn the_stacks_of_an_old_recording_are_as_they_were() {
    for name in ["one", "tree", "ranks", "unicode"] {
        check(name, &["-f", "folded"], "folded");
    }
}
