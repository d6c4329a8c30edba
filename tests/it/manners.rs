//! Turns commands under `rsamp record` into what the shell, the job and the user around them see.

use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Stdio};

use assert_cmd::cargo::cargo_bin;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::talk::Talk;

fn record(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(cargo_bin!("rsamp"));
    command.args(["record", "-q", "--"]).args(words);
    command.current_dir(folder).stderr(Stdio::null());
    command
}

#[test]
fn rsamp_dies_of_the_signal_that_killed_the_program() {
    let folder = tempfile::tempdir().expect("a folder");
    for signal in [libc::SIGTERM, libc::SIGKILL, libc::SIGABRT, 40] {
        for shell in ["sh", "env"] {
            let script = format!("kill -{signal} $$");
            let words = [shell, "bash", "-c", &script];
            let words = if shell == "sh" { &words[1..] } else { &words };
            let status = record(folder.path(), words).status().expect("rsamp runs");
            assert_eq!(status.signal(), Some(signal), "{words:?}: {status}");
        }
    }
    let left = fs::read_dir(folder.path()).expect("a folder");
    let names = left.map(|entry| entry.expect("an entry").file_name());
    assert!(
        names
            .into_iter()
            .all(|name| !name.to_string_lossy().starts_with("core"))
    );
}

#[test]
fn a_ctrl_c_ends_the_loop_of_a_script_in_which_rsamp_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let rsamp = cargo_bin!("rsamp").display().to_string();
    let script = format!(
        "for i in 1 2 3; do {rsamp} record -q -- sh -c 'echo round '$i'; exec sleep 1000'; done; echo finished"
    );
    let mut command = Command::new("bash");
    command.args(["-c", &script]).current_dir(folder.path());
    let mut talk = Talk::start(command.process_group(0).stderr(Stdio::null()));
    assert_eq!(talk.hear(), "round 1");
    // As a terminal does, to all of the foreground.
    let group = Pid::from_raw(talk.child.id() as i32);
    killpg(group, Signal::SIGINT).expect("sent");
    assert_eq!(talk.hear(), "", "the loop went on");
    assert_eq!(talk.end(), None, "ended by the signal");
}

/// What a bash script prints, alone and under rsamp, in a folder in which it is `job.sh`.
fn said_alone_and_under_rsamp(script: &str, environment: &[(&str, &str)]) -> [String; 2] {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("job.sh"), script).expect("written");
    let mut alone = Command::new("bash");
    alone.arg("job.sh").current_dir(folder.path());
    [alone, record(folder.path(), &["bash", "job.sh"])].map(|mut command| {
        let output = command.envs(environment.iter().copied()).output();
        String::from_utf8(output.expect("runs").stdout).expect("text")
    })
}

#[test]
fn a_script_without_launchers_sees_nothing_of_rsamp() {
    let script = "# srun and mpirun are not called\nenv -u _ | sort\nls -A\ndeclare -F\ntrap -p\n";
    let [alone, under] = said_alone_and_under_rsamp(script, &[("BASH_FUNC_srun%%", "() { :; }")]);
    assert_eq!(under, alone);
    assert!(alone.contains("BASH_FUNC_srun") && alone.contains("job.sh"));
}

#[test]
fn a_function_of_the_users_with_a_launchers_name_is_kept() {
    let function = ("BASH_FUNC_srun%%", "() { echo mine \"$@\"; }");
    let script = "srun a\nbash -c 'srun b'\nmpirun() { echo theirs \"$@\"; }; export -f mpirun\n\
                  bash -c 'mpirun c'\ntrap -p DEBUG\n";
    let [alone, under] = said_alone_and_under_rsamp(script, &[function]);
    assert_eq!(under, "mine a\nmine b\ntheirs c\n");
    assert_eq!(under, alone);
}

/// What was said on standard error.
fn errors(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn rsamp_in_front_of_rsamp_hands_through() {
    let folder = tempfile::tempdir().expect("a folder");
    let rsamp = cargo_bin!("rsamp").display().to_string();
    let words = [rsamp.as_str(), "record", "-q", "--", "sh", "-c", "exit 7"];
    let output = record(folder.path(), &words)
        .stderr(Stdio::piped())
        .output();
    let output = output.expect("rsamp runs");
    assert_eq!(output.status.code(), Some(7));
    let said = errors(&output);
    assert!(
        said.contains("the command is itself rsamp record"),
        "{said}"
    );
}

#[test]
fn what_runs_on_after_the_program_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(cargo_bin!("rsamp"));
    let script = "sleep 1000 >/dev/null 2>&1 & echo $!";
    command.args(["record", "--", "bash", "-c", script]);
    let output = command.current_dir(folder.path()).output().expect("runs");
    let pid = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    nix::sys::signal::kill(Pid::from_raw(pid.parse().expect("a PID")), Signal::SIGKILL)
        .expect("it ran on");
    let said = errors(&output);
    assert!(said.contains("1 process that it started runs on"), "{said}");
    assert!(
        said.contains(&format!("hint: rsamp attach --pid {pid}")),
        "{said}"
    );
}

/// Waits until a process waits so, as `/proc/PID/wchan` or the test's own view tells.
fn await_until(mut is_so: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !is_so() {
        assert!(start.elapsed().as_millis() < crate::talk::PATIENCE_MS.into());
        std::thread::yield_now();
    }
}

#[test]
fn a_signal_ends_the_wait_for_the_reader_of_a_pipe() {
    let folder = tempfile::tempdir().expect("a folder");
    let pipe = folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("made");
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut command = Command::new(cargo_bin!("rsamp"));
        // Shorter than a sample, and not Python: there is something to write all the same.
        command.args([
            "record", "-q", "-f", "folded", "-o", "pipe", "--", "bash", "-c",
        ]);
        command
            .arg("echo $$; kill -KILL $$")
            .current_dir(folder.path());
        command.env("TMPDIR", folder.path());
        let mut talk = Talk::start(command.stderr(Stdio::null()));
        let program: i32 = talk.hear().parse().expect("a PID");
        // It is taken only when all is written, so that it is a zombie as long as rsamp waits.
        let stat = format!("/proc/{program}/stat");
        await_until(|| fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") Z ")));
        // One that comes before rsamp waits for the reader is taken for the program's.
        let rsamp = Pid::from_raw(talk.child.id() as i32);
        let mut sent = None;
        await_until(|| {
            // A second one while it ends would end it.
            if sent.is_none_or(|sent: std::time::Instant| sent.elapsed().as_secs() >= 5) {
                nix::sys::signal::kill(rsamp, signal).expect("sent");
                sent = Some(std::time::Instant::now());
            }
            talk.child.try_wait().expect("asked").is_some()
        });
        // By the signal that killed the program, after the other copy was written.
        let status = talk.child.wait().expect("ended");
        assert_eq!(status.signal(), Some(libc::SIGKILL), "{signal}: {status}");
    }
}
