//! Turns programs that rsamp may not read, or not any more, into what it says of them and its exit code.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use assert_cmd::cargo::cargo_bin;

use crate::programs::program;
use crate::pythons::pythons;

/// The words that start an interpreter of which every user may run the file.
fn python() -> Vec<String> {
    let system = |words: &Vec<String>| words[0].starts_with("/usr/bin/");
    let mut commands = pythons().into_iter().map(|python| python.command);
    commands
        .find(system)
        .unwrap_or_else(|| vec!["python3".to_owned()])
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn run(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir(folder);
    command.output().expect("runs")
}

#[test]
fn a_filter_that_forbids_reading_is_named_whatever_error_it_gives() {
    let folder = tempfile::tempdir().expect("a folder");
    let (python, rsamp) = (
        python().join(" "),
        cargo_bin!("rsamp").display().to_string(),
    );
    let call = nix::libc::SYS_process_vm_readv.to_string();
    for error in [nix::libc::EPERM, nix::libc::ENOSYS, nix::libc::EACCES] {
        for (script, code) in [("sum(range(10**7))", 5), ("sum(range(10**7)); exit(9)", 9)] {
            let forbid = program("forbid.py").display().to_string();
            let error = error.to_string();
            let words = [
                &python, &forbid, &call, &error, &rsamp, "record", "-q", "--", &python, "-c",
                script,
            ];
            let output = run(folder.path(), &words);
            assert_eq!(
                output.status.code(),
                Some(code),
                "{error}: {}",
                said(&output)
            );
            let said = said(&output);
            assert!(
                said.contains("seccomp filter") && said.contains("hint: "),
                "{error}: {said}"
            );
        }
    }
}

#[test]
fn permission_that_is_lost_while_the_program_runs_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("permissions");
    let rsamp = folder.path().join("rsamp");
    fs::copy(cargo_bin!("rsamp"), &rsamp).expect("copied");
    let (python, rsamp) = (python().join(" "), rsamp.display().to_string());
    let script = "import ctypes\nsum(range(10**7))\nctypes.CDLL(None).prctl(4, 0, 0, 0, 0)\nsum(range(10**7))";
    let mut words = vec![
        rsamp.as_str(),
        "record",
        "-o",
        "a.folded",
        "--",
        &python,
        "-c",
        script,
    ];
    if nix::unistd::geteuid().is_root() {
        // Root may read it all the same.
        let nobody = [
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
        ];
        words.splice(0..0, nobody);
    }
    let said = said(&run(folder.path(), &words));
    assert!(said.contains("was lost after"), "{said}");
    assert!(said.contains("it protects itself"), "{said}");
}
