//! Turns commands with launchers, and names with marks, into what a user sees when something is wrong with them.

use std::fs;
use std::process::Command;

use assert_cmd::cargo::cargo_bin;

/// Runs rsamp in an empty folder, with nothing else in PATH; expects its code, and each part on standard error.
fn check(line: &str, code: i32, parts: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(cargo_bin!("rsamp"));
    command
        .args(line.split_whitespace())
        .current_dir(folder.path());
    let output = command
        .env("PATH", folder.path())
        .output()
        .expect("rsamp runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{line}: {stderr}");
    for part in parts {
        assert!(stderr.contains(part), "{line}: no {part:?} in {stderr}");
    }
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    let left = fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(left, 0, "{line} left a file");
}

#[test]
fn an_unknown_option_of_a_launcher_says_how_to_mark_the_program() {
    let hint = "hint: put -- before the program: rsamp record -- srun OPTIONS -- PROGRAM";
    check(
        "record -- srun --frobnicate 3 python x.py",
        2,
        &["unknown srun option --frobnicate", hint, "--launcher none"],
    );
    check(
        "record -- srun --multi-prog x.conf",
        2,
        &["reads the programs from a file", "--launcher none"],
    );
    check(
        "record -- sbatch --frobnicate 3 job.sl",
        2,
        &["unknown sbatch option --frobnicate", "with = between"],
    );
}

#[test]
fn a_machine_without_slurm_is_told() {
    for line in [
        "srun -n 2 python x.py",
        "srun --frobnicate 3 -- python x.py",
    ] {
        let parts = [
            "run srun: No such file",
            "hint: Slurm is not installed here",
        ];
        check(&format!("record -- {line}"), 127, &parts);
    }
    check(
        "record --launcher none -- srun --frobnicate 3 x",
        127,
        &["Slurm is not installed"],
    );
    check(
        "record -- sbatch --wrap hostname",
        127,
        &["run sbatch", "rsamp record -- bash JOB"],
    );
}

#[test]
fn a_mark_that_stands_for_nothing_lists_those_that_do() {
    let known = "give one of %p (PID), %h (host), %r (rank), %j (job), %q{NAME}";
    check(
        "record -o a-%x.svg -- true",
        2,
        &["\"%x\" in \"a-%x.svg\"", known],
    );
    check("attach -o %.svg 1", 2, &[known]);
    check(
        "record -o %q{NO_SUCH_VARIABLE}.svg -- true",
        73,
        &["\"NO_SUCH_VARIABLE\"", "is not set"],
    );
}
