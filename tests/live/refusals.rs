//! Turns programs that rsamp may not read, or not any more, into what it says of them and its exit code.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use assert_cmd::cargo::cargo_bin;

use crate::support::programs::{command, program, run, run_command};
use crate::support::pythons;

/// The words that start an interpreter of which every user may run the file.
fn python() -> Vec<String> {
    pythons::python("system").command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn run_in(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir(folder);
    command.output().expect("runs")
}

#[test]
fn a_filter_that_forbids_reading_is_named_whatever_error_it_gives() {
    needs!(system);
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
            let output = run_in(folder.path(), &words);
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

/// Kernels before 3.14 do not have the call (`ENOSYS`), those before 6.12 ignore or refuse the slice, and filters of
/// containers refuse the call.
#[test]
fn a_kernel_that_gives_no_short_slices_changes_nothing_and_is_not_told() {
    needs!(system);
    let (python, rsamp) = (
        python().join(" "),
        cargo_bin!("rsamp").display().to_string(),
    );
    let forbid = program("forbid.py").display().to_string();
    for call in [nix::libc::SYS_sched_setattr, nix::libc::SYS_sched_getattr] {
        for error in [nix::libc::ENOSYS, nix::libc::EINVAL, nix::libc::EPERM] {
            let folder = tempfile::tempdir().expect("a folder");
            let (call, error) = (call.to_string(), error.to_string());
            let words = [
                &python,
                &forbid,
                &call,
                &error,
                &rsamp,
                "record",
                "-q",
                "-o",
                "a.folded",
                "--",
                &python,
                "-c",
                "sum(range(10**8))",
            ];
            let output = run_in(folder.path(), &words);
            let why = format!("{call} {error}: {}", said(&output));
            assert_eq!(output.status.code(), Some(0), "{why}");
            assert_eq!(said(&output), "", "{why}");
            let stacks = fs::read_to_string(folder.path().join("a.folded")).expect(&why);
            assert!(stacks.contains("<module>"), "{why}: {stacks}");
        }
    }
}

#[test]
fn permission_that_is_lost_while_the_program_runs_is_told() {
    needs!(system);
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
    let said = said(&run_in(folder.path(), &words));
    // Long lines are wrapped.
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("was lost after"), "{said}");
    assert!(said.contains("it protects itself"), "{said}");
}

#[test]
fn a_program_that_another_traces_is_read_while_it_runs_and_the_tracer_is_named() {
    needs!(v3_11);
    let folder = tempfile::tempdir().expect("a folder");
    let python = pythons::python("v3_11");
    let program = run(&python, "mapping.py");
    let attach = || {
        let pid = program.pid().to_string();
        let rsamp = cargo_bin!("rsamp").display().to_string();
        let options = ["--always-stop", "-d", "0.3", "-o", "a.txt", "--force"];
        let words = [&[rsamp.as_str(), "attach"], &options[..], &[&pid]].concat();
        let output = run_in(folder.path(), &words);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        said(&output)
    };
    let free = attach();
    assert!(!free.contains("cannot be stopped"), "{free}");
    let tracer = run_command(command(&python, "tracer.py").arg(program.pid().to_string()));
    let traced = attach();
    let why = format!(
        "read while running: process {} cannot be stopped",
        program.pid()
    );
    assert!(traced.contains(&why), "{traced}");
    assert!(traced.contains(&format!("({})", tracer.pid())), "{traced}");
    let table = fs::read_to_string(folder.path().join("a.txt")).expect("written");
    assert!(table.contains("run_on"), "{table}");
}
