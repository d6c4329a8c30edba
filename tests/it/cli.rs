//! Turns command lines into what a user sees of them: exit code, standard output, standard error.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use assert_cmd::cargo::cargo_bin;

/// What came of one run.
struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs rsamp in `folder` with the words of `line`.
fn rsamp_in(folder: &Path, words: &[&str]) -> Run {
    let output = command(folder, words).output().expect("rsamp runs");
    run_of(output)
}

fn rsamp(words: &[&str]) -> Run {
    rsamp_in(tempfile::tempdir().expect("a folder").path(), words)
}

fn command(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(cargo_bin!("rsamp"));
    command
        .args(words)
        .current_dir(folder)
        .env("COLUMNS", "100");
    command
}

fn run_of(output: Output) -> Run {
    Run {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs rsamp with the words of `line` and expects its code, and each part on standard error.
fn check(line: &str, code: i32, parts: &[&str]) {
    let run = rsamp(&line.split_whitespace().collect::<Vec<_>>());
    assert_eq!(run.code, Some(code), "rsamp {line}: {}", run.stderr);
    assert_eq!(run.stdout, "", "rsamp {line}");
    for part in parts {
        assert!(
            run.stderr.contains(part),
            "rsamp {line}: no {part:?} in {}",
            run.stderr
        );
    }
}

#[test]
fn wrong_usage_is_explained() {
    check(
        "record --pid 42 -- python x.py",
        2,
        &["rsamp: error: `record`", "hint: ", "rsamp attach --pid 42"],
    );
    check(
        "attach --pid 42 -- python x.py",
        2,
        &[
            "rsamp: error: `attach`",
            "hint: ",
            "rsamp record -- python x.py",
        ],
    );
    check("dump 42 python", 2, &["rsamp: error: `dump`"]);
    check(
        "record -r 0 true",
        2,
        &["\"0\" is no rate", "hint: see rsamp record --help"],
    );
    check("record -r -1 true", 2, &["\"-1\" is no rate"]);
    check("record -r NaN true", 2, &["\"NaN\" is no rate"]);
    check(
        "record -r 1e10 true",
        2,
        &["from 0.001 to 1000000000, or auto"],
    );
    check(
        "record --max-overhead 0 true",
        2,
        &["\"0\" is no overhead", "up to 100"],
    );
    check("record -d 0 true", 2, &["\"0\" is no duration"]);
    check("attach -d -3 42", 2, &["\"-3\" is no duration"]);
    check("record -o a.png true", 2, &["unknown ending .png", ".svg"]);
    check("record -f png true", 2, &["unknown format png"]);
    check("attach scatter.py", 2, &["no process id"]);
    check("record", 2, &["COMMAND"]);
    check("attach", 2, &["PID"]);
    check("frobnicate", 2, &["unrecognized subcommand"]);
    check("completions tcsh", 2, &["bash", "fish"]);
    check("", 2, &["Usage: rsamp", "Examples:"]);
}

#[test]
fn help_has_examples_and_exit_codes() {
    let table: &[(&[&str], &[&str])] = &[
        (
            &["--help"],
            &[
                "Examples:",
                "rsamp record -- python scatter.py",
                "Exit codes:",
                "127",
                "74",
                "128+N",
            ],
        ),
        (&["-h"], &["Examples:", "sudo rsamp attach --pid 1234"]),
        (
            &["record", "--help"],
            &[
                "Examples:",
                "rsamp record -- python scatter.py",
                "--rate",
                "--force",
                "NAME-PID.svg",
                "exit code",
            ],
        ),
        (
            &["attach", "--help"],
            &["Examples:", "sudo rsamp attach", "Ctrl-C"],
        ),
        (
            &["dump", "--help"],
            &["Examples:", "sudo rsamp dump", "schema"],
        ),
        (
            &["completions", "--help"],
            &["Examples:", "rsamp completions bash"],
        ),
    ];
    for (words, parts) in table {
        let run = rsamp(words);
        assert_eq!(run.code, Some(0), "{words:?}");
        for part in *parts {
            assert!(
                run.stdout.contains(part),
                "{words:?}: no {part:?} in {}",
                run.stdout
            );
        }
    }
}

#[test]
fn every_shell_has_completions() {
    for (shell, part) in [
        ("bash", "complete"),
        ("zsh", "#compdef rsamp"),
        ("fish", "complete -c rsamp"),
        ("elvish", "rsamp"),
        ("powershell", "rsamp"),
    ] {
        let run = rsamp(&["completions", shell]);
        assert_eq!(run.code, Some(0), "{shell}");
        assert!(
            run.stdout.contains(part) && run.stdout.contains("record"),
            "{shell}: {}",
            run.stdout
        );
    }
}

#[test]
fn a_command_that_cannot_start_gives_the_shells_code() {
    check(
        "record -- /no/such/program",
        127,
        &["rsamp: error: ", "/no/such/program"],
    );
    check(
        "record no-such-program-anywhere",
        127,
        &["no-such-program-anywhere"],
    );
    check("record -- /", 126, &["rsamp: error: "]);
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("x.py"), "print()").expect("written");
    let run = rsamp_in(folder.path(), &["record", "./x.py"]);
    assert_eq!(run.code, Some(126), "{}", run.stderr);
    assert!(
        run.stderr
            .contains("hint: name the interpreter: rsamp record -- python ./x.py"),
        "{}",
        run.stderr
    );
    assert_eq!(
        fs::read_dir(folder.path()).expect("a folder").count(),
        1,
        "nothing is left behind"
    );
}

#[test]
fn the_programs_exit_code_is_returned() {
    for (script, code) in [
        ("exit 0", 0),
        ("exit 3", 3),
        ("exit 255", 255),
        ("kill -TERM $$", 143),
        ("kill -KILL $$", 137),
    ] {
        let run = rsamp(&["record", "--", "sh", "-c", script]);
        assert_eq!(run.code, Some(code), "{script}: {}", run.stderr);
    }
}

#[test]
fn the_programs_streams_are_its_own() {
    let run = rsamp(&["record", "-q", "--", "sh", "-c", "echo out; echo err >&2"]);
    assert_eq!(run.stdout, "out\n");
    assert!(run.stderr.starts_with("err\n"), "{}", run.stderr);
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("in"), "typed").expect("written");
    let input = fs::File::open(folder.path().join("in")).expect("opened");
    let run = run_of(
        command(folder.path(), &["record", "cat"])
            .stdin(input)
            .output()
            .expect("rsamp runs"),
    );
    assert_eq!(run.stdout, "typed");
}

#[test]
fn an_unwritable_output_is_found_out_before_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    for output in ["no/such/a.svg", "/proc/a.svg", "folder.svg"] {
        fs::create_dir_all(folder.path().join("folder.svg")).expect("made");
        let run = rsamp_in(
            folder.path(),
            &[
                "record", "-o", "good.svg", "-o", output, "--", "touch", "started",
            ],
        );
        assert_eq!(run.code, Some(73), "{output}: {}", run.stderr);
        assert!(run.stderr.contains(output), "{output}: {}", run.stderr);
        assert!(
            !folder.path().join("started").exists(),
            "{output}: the program was started"
        );
        assert!(
            !folder.path().join("good.svg").exists(),
            "{output}: a file was left"
        );
    }
}

#[test]
fn an_existing_default_file_stops_attach_before_it_samples() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = Command::new("sleep")
        .arg("600")
        .spawn()
        .expect("sleep runs");
    let pid = child.id().to_string();
    let taken = format!("sleep-{pid}.pstats");
    fs::write(folder.path().join(&taken), "old").expect("written");
    let run = rsamp_in(folder.path(), &["attach", &pid]);
    child.kill().expect("killed");
    child.wait().expect("waited");
    assert_eq!(run.code, Some(73), "{}", run.stderr);
    assert!(
        run.stderr.contains(&taken) && run.stderr.contains("--force"),
        "{}",
        run.stderr
    );
    assert_eq!(
        fs::read_to_string(folder.path().join(&taken)).expect("read"),
        "old"
    );
}

#[test]
fn a_process_that_is_not_there_is_said_so() {
    // Beyond PID_MAX_LIMIT (2^22): no kernel gives it out.
    check(
        "attach 2000000000",
        3,
        &["rsamp: error: ", "2000000000", "hint: "],
    );
    check(
        "dump --pid 2000000000",
        3,
        &["rsamp: error: ", "2000000000", "hint: "],
    );
}

#[test]
fn a_closed_reader_is_no_panic() {
    for words in [
        &["completions", "bash"] as &[&str],
        &["--help"],
        &["record", "-r", "0", "x"],
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = command(Path::new("/"), words);
        let run = command
            .stdout(writer.try_clone().expect("cloned"))
            .stderr(writer)
            .output()
            .expect("rsamp runs");
        assert!(
            matches!(run.status.code(), Some(0 | 2)),
            "{words:?}: {:?}",
            run.status
        );
    }
}
