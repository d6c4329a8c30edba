//! Runs the Python package in `python/` with a real Jupyter kernel and a real pytest.

use std::env;
use std::path::Path;
use std::process::Command;

use assert_cmd::cargo::cargo_bin;

use crate::support::commands::text;
use crate::support::needs::prepared;
use crate::support::programs::program;

/// The interpreter that has ipykernel and pytest, with the package, and the program in `PATH`.
fn python() -> Command {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("python");
    let rsamp = cargo_bin!("rsamp");
    let mut path = vec![rsamp.parent().expect("a folder").to_path_buf()];
    path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    let mut command = Command::new(prepared("RSAMP_NOTEBOOK").join("bin/python"));
    command
        .env("PYTHONPATH", package)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PATH", env::join_paths(path).expect("a PATH"));
    command
}

fn output(command: &mut Command) -> (Option<i32>, String) {
    let run = command.output().expect("Python runs");
    (run.status.code(), text(&run.stdout) + &text(&run.stderr))
}

#[test]
fn the_package_runs_the_program() {
    needs!(RSAMP_NOTEBOOK);
    let (code, told) = output(python().args(["-m", "rsamp", "report", "/nowhere.rsamp"]));
    assert_eq!(code, Some(66), "{told}");
    assert!(told.starts_with("rsamp: error: "), "{told}");
    let alone = &mut python();
    let (code, told) = output(alone.env("PATH", "").args(["-m", "rsamp", "--version"]));
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains("pip install --force-reinstall rsamp"),
        "{told}"
    );
}

/// Each line that the kernel sends is one of a cell's text outputs; a picture is told by its kind and beginning.
#[test]
fn a_notebook_profiles_its_own_cells() {
    needs!(RSAMP_NOTEBOOK);
    let (code, told) = output(python().arg(program("magics.py")));
    assert_eq!(code, Some(0), "{told}");
    let (profile, rest) = told.split_once("--- dump").expect("two parts");
    let (dump, wrong) = rest.split_once("--- wrong").expect("three parts");
    assert!(
        profile.contains("        n = n // 2 if n % 2 == 0"),
        "{told}"
    );
    assert!(
        profile.contains("text/html: <div><iframe sandbox=\"allow-scripts allow-downloads\""),
        "{told}"
    );
    assert!(!profile.contains("next: "), "{told}");
    assert!(
        dump.contains("MainThread") && dump.contains("rsamp_dump"),
        "{told}"
    );
    assert!(
        wrong.contains("UsageError: rsamp: error: invalid --rate \"0\""),
        "{told}"
    );
}

#[test]
fn pytest_shows_the_lines_of_the_slowest_tests() {
    needs!(RSAMP_NOTEBOOK);
    let folder = tempfile::tempdir().expect("a folder");
    let tests = "\
import time

def spin(end):
    x = 1
    while time.process_time() < end:
        x = (x * 5 + 1) & 0xFFFF

def test_quick():
    assert True

def test_slow():
    spin(time.process_time() + 0.3)
";
    std::fs::write(folder.path().join("test_work.py"), tests).expect("written");
    let pytest = |words: &[&str]| {
        let words = [&["-m", "pytest", "-q", "-p", "rsamp.pytest_plugin"], words].concat();
        output(python().args(words).current_dir(folder.path()))
    };
    let words = [
        "--rsamp",
        "--rsamp-slowest",
        "1",
        "--rsamp-output",
        "t.rsamp",
    ];
    let (code, told) = pytest(&words);
    assert_eq!(code, Some(0), "{told}");
    let (_, section) = told.split_once("= rsamp =").expect(&told);
    assert!(section.contains("s  test_work.py::test_slow\n"), "{told}");
    assert!(
        section.contains("test_work.py:5 (spin): while time.process_time() < end:")
            || section.contains("test_work.py:6 (spin): x = (x * 5 + 1) & 0xFFFF"),
        "{told}"
    );
    assert!(!section.contains("test_quick"), "{told}");
    assert!(folder.path().join("t.rsamp").exists());
    let (code, told) = pytest(&["--rsamp", "--rsamp-rate", "0"]);
    assert_eq!(code, Some(4), "{told}");
    assert!(
        told.contains("--rsamp: rsamp: error: invalid --rate"),
        "{told}"
    );
}
