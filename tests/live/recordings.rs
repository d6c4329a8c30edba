//! Turns real programs into recordings, and whatever happens to rsamp, into reports of them.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use assert_cmd::cargo::cargo_bin;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use rsamp::recording::Completeness;

use crate::support::commands::files;
use crate::support::programs::{program, run};
use crate::support::pythons::{self, Python};
use crate::support::recordings::read;

/// A program of half a second that is in one function.
const BUSY: &str = "import time\ndef busy():\n    x = 0\n    while time.perf_counter() < end:\n        x += 1\nend = time.perf_counter() + 0.5\nbusy()\n";

fn python() -> Python {
    pythons::python("v3_11")
}

fn rsamp(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(cargo_bin!("rsamp"));
    command.args(words).current_dir(folder);
    command
}

/// Records `busy.py`, in which is [`BUSY`].
fn record(folder: &Path, options: &[&str]) -> Output {
    fs::write(folder.join("busy.py"), BUSY).expect("written");
    let mut command = rsamp(folder, &["record", "-q"]);
    command
        .args(options)
        .arg("--")
        .args(python().command)
        .arg("busy.py");
    command.output().expect("rsamp runs")
}

fn check(output: &Output, code: i32) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{error}");
}

#[test]
fn ranks_that_were_given_one_file_write_one_each() {
    needs!(v3_11);
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("busy.py"), BUSY).expect("written");
    for rank in ["0", "1"] {
        let mut command = rsamp(folder.path(), &["record", "-q", "-o", "a.rsamp", "--"]);
        command.args(python().command).arg("busy.py");
        command.envs([("PMI_RANK", rank), ("PMI_SIZE", "2")]);
        let output = command.output().expect("rsamp runs");
        check(&output, 0);
        let error = String::from_utf8_lossy(&output.stderr);
        let is_told = error.contains("would write \"a.rsamp\" too");
        assert_eq!(is_told, rank == "0", "{error}");
    }
    let names = files(folder.path(), "");
    assert_eq!(names, ["a-r0.rsamp", "a-r1.rsamp", "busy.py"]);
}

/// `ulimit -f 1`: no file may be larger than 1 KiB.
#[test]
fn a_limit_of_file_sizes_ends_neither_rsamp_nor_the_program() {
    needs!(v3_11);
    let folder = tempfile::tempdir().expect("a folder");
    let python = python().command.join(" ");
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -f 1; exec \"$@\"", "sh"]);
    command.arg(cargo_bin!("rsamp"));
    command.args(["record", "-q", "-o", "a.svg", "-o", "a.rsamp", "--"]);
    command.args(["sh", "-c"]).arg(format!(
        "dd if=/dev/zero of=big bs=4096 count=1 2>dd.txt; echo $?; {python} -c 'raise SystemExit(7)'"
    ));
    let output = command
        .current_dir(folder.path())
        .output()
        .expect("rsamp runs");
    check(&output, 7);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("a.svg\" (failed after"), "{error}");
    assert!(error.contains("File too large"), "{error}");
    // For the program the signal is what it was: it ends dd (128 + SIGXFSZ).
    assert_eq!(String::from_utf8_lossy(&output.stdout), "153\n");
}

#[test]
fn a_recording_is_written_beside_the_others() {
    needs!(v3_11);
    let folder = tempfile::tempdir().expect("a folder");
    check(&record(folder.path(), &["--env", "HOME"]), 0);
    let names = files(folder.path(), "");
    let endings: Vec<&str> = names
        .iter()
        .filter_map(|name| name.split_once('.'))
        .map(|n| n.1)
        .collect();
    assert_eq!(endings, ["pstats", "rsamp", "svg", "py"], "{names:?}");
    let recording = names
        .iter()
        .find(|name| name.ends_with(".rsamp"))
        .expect("a recording");
    let read = read(&folder.path().join(recording)).expect("a header");
    assert_eq!(read.completeness, Completeness::Whole);
    assert_eq!(
        recording,
        &format!("busy-{}.rsamp", read.profile.processes()[0].pid)
    );
    assert_eq!(
        read.header.command.last().map(String::as_str),
        Some("busy.py")
    );
    assert_eq!(read.header.options, ["record", "-q", "--env", "HOME", "--"]);
    assert_eq!(
        Path::new(&read.header.working_folder),
        folder.path().canonicalize().expect("a path")
    );
    assert!(read.header.environment.iter().any(|v| v.name == "HOME"));
    assert!(!read.header.environment.iter().any(|v| v.name == "PATH"));
    let sources = read.sources.iter();
    let busy = sources.filter(|source| source.file.ends_with("busy.py") && source.first_line == 2);
    let texts: Vec<&str> = busy.map(|source| source.text.as_str()).collect();
    assert_eq!(
        texts,
        ["def busy():\n    x = 0\n    while time.perf_counter() < end:\n        x += 1\n"]
    );
}

#[test]
fn a_report_is_what_was_written_at_once() {
    needs!(v3_11);
    let folder = tempfile::tempdir().expect("a folder");
    let formats = ["folded", "svg", "pstats", "csv", "speedscope.json"];
    let at_once = formats.map(|format| format!("a.{format}"));
    let mut options = vec!["--no-source", "--by-line", "-o", "a.rsamp"];
    options.extend(at_once.iter().flat_map(|file| ["-o", file]));
    check(&record(folder.path(), &options), 0);
    let later = formats.map(|format| format!("b.{format}"));
    let mut words = vec!["report", "a.rsamp", "--by-line"];
    words.extend(later.iter().flat_map(|file| ["-o", file]));
    let report = rsamp(folder.path(), &words).output();
    check(&report.expect("rsamp runs"), 0);
    for (at_once, later) in at_once.iter().zip(&later) {
        let [at_once, later] = [at_once, later].map(|file| fs::read(folder.path().join(file)));
        let (at_once, later) = (at_once.expect("read"), later.expect("read"));
        assert!(at_once.windows(4).any(|word| word == b"busy"));
        assert_eq!(
            String::from_utf8_lossy(&at_once),
            String::from_utf8_lossy(&later)
        );
    }
    let read = read(&folder.path().join("a.rsamp")).expect("a header");
    assert!(read.sources.is_empty());
}

#[test]
fn what_was_recorded_before_rsamp_was_killed_is_read() {
    needs!(v3_11);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.rsamp");
    let spinning = run(&python(), "spin.py");
    let pid = spinning.pid().to_string();
    let mut attached = rsamp(folder.path(), &["attach", "-q", "-o", "a.rsamp", &pid])
        .stdout(Stdio::null())
        .spawn()
        .expect("rsamp runs");
    while read(&path).is_none_or(|read| read.profile.totals().samples == 0) {
        assert!(
            attached.try_wait().expect("waited").is_none(),
            "rsamp ended"
        );
        std::thread::yield_now();
    }
    attached.kill().expect("killed");
    attached.wait().expect("waited");
    let read = read(&path).expect("a header");
    assert!(
        matches!(read.completeness, Completeness::CutOff { .. }),
        "{:?}",
        read.completeness
    );
    let spin = program("spin.py");
    let seen = |file: &str| {
        read.profile
            .frames()
            .iter()
            .any(|f| f.file.as_deref() == Some(file))
    };
    assert!(seen(&spin.to_string_lossy()), "{:?}", read.profile.frames());
    let report = rsamp(folder.path(), &["report", "a.rsamp"])
        .output()
        .expect("rsamp runs");
    check(&report, 0);
    assert!(String::from_utf8_lossy(&report.stderr).contains("is incomplete"));
    assert!(String::from_utf8_lossy(&report.stdout).contains("the recording is incomplete"));
}

/// Works in `first` until it is told to go on, then in `second`, in runs too long to end by themselves.
const PHASES: &str = "import sys, threading
def first():
    while not told.is_set(): sum(range(100))
def second():
    while True: sum(range(100))
told = threading.Event()
def listen():
    sys.stdin.readline()
    told.set()
threading.Thread(target=listen, daemon=True).start()
first()
second()
";

/// How many samples of a function can be read.
fn samples_of(path: &Path, function: &str) -> u64 {
    let Some(read) = read(path) else { return 0 };
    let profile = read.profile;
    let rows = profile.rows().iter().filter(|row| {
        let mut frames = profile.frames_of(row.stack);
        frames.any(|frame| frame.name == function)
    });
    rows.map(|row| row.totals.samples).sum()
}

/// Whether rsamp alone is killed, or its program at the same moment, as by MPI_Abort: what was in the file stays.
#[test]
fn what_a_program_did_last_is_in_the_file_while_it_does_it() {
    needs!(v3_11);
    for whole_group in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.rsamp");
        fs::write(folder.path().join("phases.py"), PHASES).expect("written");
        let mut command = rsamp(folder.path(), &["record", "-q", "-o", "a.rsamp", "--"]);
        command
            .args(python().command)
            .arg("phases.py")
            .stdin(Stdio::piped());
        let mut recorded = command.process_group(0).spawn().expect("rsamp runs");
        let mut stdin = recorded.stdin.take().expect("a pipe");
        let mut until_seen = |function: &str| {
            while samples_of(&path, function) == 0 {
                assert!(
                    recorded.try_wait().expect("waited").is_none(),
                    "rsamp ended"
                );
                std::thread::yield_now();
            }
        };
        until_seen("first");
        stdin.write_all(b"go on\n").expect("written");
        until_seen("second");
        let before = (samples_of(&path, "first"), samples_of(&path, "second"));
        let pid = recorded.id() as i32;
        let killed = if whole_group { -pid } else { pid };
        kill(Pid::from_raw(killed), Signal::SIGKILL).expect("killed");
        recorded.wait().expect("waited");
        let after = (samples_of(&path, "first"), samples_of(&path, "second"));
        assert!(
            after.0 >= before.0 && after.1 >= before.1,
            "{before:?} {after:?}"
        );
        // The program runs on alone; nobody else is in its group.
        let _ = kill(Pid::from_raw(-pid), Signal::SIGKILL);
        let report = rsamp(folder.path(), &["report", "a.rsamp"])
            .output()
            .expect("rsamp runs");
        check(&report, 0);
        assert!(String::from_utf8_lossy(&report.stdout).contains("second"));
    }
}

#[test]
fn a_recording_whose_disk_is_full_goes_on_in_the_folder_for_temporary_files() {
    needs!(v3_11);
    let folder = tempfile::tempdir().expect("a folder");
    let spare = tempfile::tempdir().expect("a folder");
    symlink("/dev/full", folder.path().join("a.rsamp")).expect("a link");
    for (spare, expected) in [
        (
            spare.path(),
            "No space left on device (os error 28); saved as",
        ),
        (Path::new("/no/such"), "No space left"),
    ] {
        fs::write(folder.path().join("busy.py"), BUSY).expect("written");
        let words = ["record", "-q", "-o", "a.rsamp", "-o", "a.folded", "--"];
        let mut command = rsamp(folder.path(), &words);
        command
            .args(python().command)
            .arg("busy.py")
            .env("TMPDIR", spare);
        let output = command.output().expect("rsamp runs");
        check(&output, 74);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains("error: write \"a.rsamp\""), "{error}");
        assert!(error.contains(expected), "{error}");
        let folded = fs::read_to_string(folder.path().join("a.folded")).expect("read");
        assert!(folded.contains("busy"), "{folded}");
    }
    let names = files(spare.path(), "");
    assert_eq!(names.len(), 1, "{names:?}");
    let saved = read(&spare.path().join(&names[0])).expect("a header");
    assert_eq!(saved.completeness, Completeness::Whole);
    assert!(saved.profile.totals().samples > 0);
}

/// Three functions, each for a while.
const PARTS: &str = "import time
def work(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end: sum(range(100))
def warm(): work(0.3)
class Solver:
    def solve(self): work(0.4)
def save(): work(0.3)
warm()
Solver().solve()
save()
print('done')
";

fn record_parts(folder: &Path, options: &[&str]) -> Output {
    fs::write(folder.join("parts.py"), PARTS).expect("written");
    let mut command = rsamp(folder, &["record", "-o", "a.rsamp"]);
    command
        .args(options)
        .arg("--")
        .args(python().command)
        .arg("parts.py");
    command.output().expect("rsamp runs")
}

#[test]
fn a_part_between_two_functions_is_recorded() {
    needs!(v3_11);
    for (options, expected) in [
        (
            &["--start-at", "solve", "--stop-at", "save"][..],
            [false, true, false],
        ),
        (&["--start-at", "Solver.solve"], [false, true, true]),
        (&["--stop-at", "solve"], [true, false, false]),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let output = record_parts(folder.path(), options);
        check(&output, 0);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "done\n");
        let path = folder.path().join("a.rsamp");
        let found = ["warm", "Solver.solve", "save"].map(|name| samples_of(&path, name) > 0);
        assert_eq!(found, expected, "{options:?}");
        let is_stopped = options.contains(&"--stop-at");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(
            told.contains("the function of --stop-at was seen"),
            is_stopped,
            "{told}"
        );
    }
    let folder = tempfile::tempdir().expect("a folder");
    let output = record_parts(folder.path(), &["--start-at", "slove"]);
    check(&output, 0);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        told.contains("was seen in a function named \"slove\" (--start-at)"),
        "{told}"
    );
}

#[test]
fn the_sampling_begins_after_the_delay() {
    needs!(v3_11);
    let folder = tempfile::tempdir().expect("a folder");
    let before = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    let output = record_parts(folder.path(), &["--delay", "0.5"]);
    check(&output, 0);
    let read = read(&folder.path().join("a.rsamp")).expect("a header");
    let start = Duration::from_nanos(read.header.start_unix_ns);
    assert!(
        start >= before + Duration::from_millis(500),
        "{start:?} {before:?}"
    );
    assert!(read.profile.totals().samples > 0);
    // A program that ends before.
    let output = record_parts(folder.path(), &["--delay", "1000"]);
    check(&output, 0);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        told.contains("ended within the --delay of 1000 s"),
        "{told}"
    );
}

/// Draws nothing, and says so: its PID.
const DOT: &str = "#!/bin/sh\necho $$ > \"$STARTED\"\nexec sleep 1000\n";

/// Kills rsamp, begun by these words, while it writes a file, and returns its PID and what is in the folder then.
fn killed_while_it_writes(recording: &Path, words: &[String]) -> (u32, Vec<String>) {
    let (out, programs) = (
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("a folder"),
    );
    let (dot, started) = (programs.path().join("dot"), programs.path().join("started"));
    fs::write(&dot, DOT).expect("written");
    fs::set_permissions(&dot, Permissions::from_mode(0o755)).expect("permissions");
    mkfifo(&started, Mode::S_IRWXU).expect("a pipe");
    let path = std::env::var("PATH").expect("PATH");
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).arg(cargo_bin!("rsamp"));
    command
        .args(["report", "-q", "-o", "a.png"])
        .arg(recording)
        .current_dir(out.path())
        .env("STARTED", &started)
        .env("PATH", format!("{}:{path}", programs.path().display()));
    let mut rsamp = command.spawn().expect("rsamp runs");
    let drawing = fs::read_to_string(&started).expect("a PID");
    rsamp.kill().expect("killed");
    rsamp.wait().expect("waited");
    let drawing = drawing.trim().parse().expect("a PID");
    kill(Pid::from_raw(drawing), Signal::SIGKILL).expect("it runs on");
    (rsamp.id(), files(out.path(), ""))
}

#[test]
fn a_kill_while_a_file_is_written_leaves_nothing_where_files_need_no_name() {
    needs!(v3_11);
    let folder = tempfile::tempdir().expect("a folder");
    check(&record(folder.path(), &["-o", "a.rsamp"]), 0);
    let recording = folder.path().join("a.rsamp");
    let (_, left) = killed_while_it_writes(&recording, &["env".to_owned()]);
    assert!(left.is_empty(), "{left:?}");
    // Elsewhere they have a hidden one.
    let nameless = nix::libc::O_TMPFILE & !nix::libc::O_DIRECTORY;
    let (call, error) = (nix::libc::SYS_openat, nix::libc::EOPNOTSUPP);
    let mut words = python().command;
    words.push(program("forbid.py").display().to_string());
    words.extend([format!("{call},2,{nameless}"), error.to_string()]);
    let (pid, left) = killed_while_it_writes(&recording, &words);
    assert_eq!(left, [format!(".rsamp-{pid}-0.tmp")]);
}

#[test]
fn a_kill_while_a_recording_grows_leaves_the_recording_and_nothing_else() {
    needs!(v3_11);
    let folder = tempfile::tempdir().expect("a folder");
    let program = run(&python(), "mapping.py");
    let mut command = rsamp(folder.path(), &["attach", "-q", "-o", "a.rsamp"]);
    let mut rsamp = command
        .arg(program.pid().to_string())
        .spawn()
        .expect("rsamp runs");
    let path = folder.path().join("a.rsamp");
    let has_samples =
        |path: &Path| read(path).is_some_and(|read| read.profile.totals().samples > 0);
    while !has_samples(&path) {
        assert!(rsamp.try_wait().expect("waited").is_none(), "it ended");
        std::thread::sleep(Duration::from_millis(5));
    }
    rsamp.kill().expect("killed");
    rsamp.wait().expect("waited");
    assert_eq!(files(folder.path(), ""), ["a.rsamp"]);
}
