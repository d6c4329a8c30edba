//! Real processes, launched, watched and stopped: ordinary commands only, and a handshake instead of every wait.
#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::openpty;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use rsamp::process::{
    Pid, Process, ProcessError, ReadBudget, TaskState, TaskWatch, Tid, Wanted, pause,
};

use crate::talk::{PATIENCE_MS, Talk, await_zombie};

/// Of an image, where its code is.
const TEXT: Wanted = Wanted {
    symbols: &[],
    section: ".text",
};

/// The program that launches as rsamp does; `cargo test` builds it as an example.
fn launcher() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let target = own.parent().and_then(Path::parent).unwrap();
    let path = target.join("examples/launcher");
    assert!(
        path.exists(),
        "{} is missing: run cargo build --example launcher",
        path.display()
    );
    path
}

fn sh(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

fn launched(words: &[&str]) -> Command {
    let mut command = Command::new(launcher());
    command.args(words);
    command
}

fn raw(child: &Child) -> nix::unistd::Pid {
    nix::unistd::Pid::from_raw(child.id() as i32)
}

fn pid(child: &Child) -> Pid {
    Pid(child.id() as i32)
}

/// Waits until a process that has been told to stop has come to it: the kernel sends us no word of a grandchild's.
fn await_stopped(process: &Process) {
    let start = Instant::now();
    while process.task_state(Tid(process.pid().0)) != Some(TaskState::Stopped) {
        assert!(
            start.elapsed() < Duration::from_millis(PATIENCE_MS.into()),
            "it did not stop"
        );
        std::thread::yield_now();
    }
}

// --- launching -----------------------------------------------------------------------------------------------

#[test]
fn the_exit_code_is_the_commands() {
    for (words, code) in [
        (vec!["true"], 0),
        (vec!["sh", "-c", "exit 7"], 7),
        (vec!["sh", "-c", "kill -TERM $$"], 143),
        (vec!["sh", "-c", "kill -KILL $$"], 137),
        (vec!["/no/such/program"], 127),
        (vec!["no-such-program-anywhere"], 127),
        (vec!["/etc/passwd"], 126),
        (vec!["/tmp"], 126),
    ] {
        let status = launched(&words).stderr(Stdio::null()).status().unwrap();
        assert_eq!(status.code(), Some(code), "{words:?}");
    }
}

#[test]
fn a_real_time_signal_is_told_by_its_number() {
    let status = launched(&["bash", "-c", "kill -40 $$"]).status().unwrap();
    assert_eq!(status.code(), Some(168));
}

#[test]
fn the_exit_code_is_learnt_where_the_ends_of_children_are_ignored() {
    let script = format!("trap '' CHLD; exec {} sh -c 'exit 7'", launcher().display());
    // bash: dash does not let SIGCHLD be ignored.
    let status = Command::new("bash").args(["-c", &script]).status().unwrap();
    assert_eq!(status.code(), Some(7));
}

#[test]
fn the_command_starts_with_the_signals_that_rsamp_was_started_with() {
    let signals = |before: &str, prefix: &str| {
        let script = format!("{before} exec {prefix} grep -E '^Sig(Blk|Ign)' /proc/self/status");
        let output = sh(&script).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let launcher = launcher();
    for before in ["", "trap '' HUP;", "trap '' PIPE;", "trap '' CHLD INT;"] {
        assert_eq!(
            signals(before, launcher.to_str().unwrap()),
            signals(before, ""),
            "{before}"
        );
    }
}

#[test]
fn the_command_has_the_open_files_that_rsamp_was_started_with() {
    let files = |before: &str, prefix: &str| {
        let output = sh(&format!("{before} exec {prefix} ls /proc/self/fd"))
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let launcher = launcher();
    for before in ["", "exec 0<&-;", "exec 2>&-;", "exec 7</dev/null;"] {
        assert_eq!(
            files(before, launcher.to_str().unwrap()),
            files(before, ""),
            "{before}"
        );
    }
}

/// A shell that says what it got of INT, USR1 and TERM, and ends at TERM. The background `sleep` is what it waits on.
const REPORTER: &str = "ints=0; trap 'ints=$((ints + 1)); echo INT' INT; trap 'echo USR1' USR1; \
    trap 'kill -KILL $!; echo \"TERM after $ints INT\"; exit 5' TERM; sleep 1000 & echo ready; while :; do wait $!; done";

#[test]
fn signals_to_rsamp_reach_the_command() {
    let mut talk = Talk::start(&mut launched(&["sh", "-c", REPORTER]));
    assert_eq!(talk.hear(), "ready");
    let rsamp = raw(&talk.child);
    kill(rsamp, Signal::SIGUSR1).unwrap();
    assert_eq!(talk.hear(), "USR1");
    kill(rsamp, Signal::SIGINT).unwrap();
    assert_eq!(talk.hear(), "INT");
    kill(rsamp, Signal::SIGTERM).unwrap();
    assert_eq!(talk.hear(), "TERM after 1 INT");
    assert_eq!(talk.end(), Some(5));
}

#[test]
fn a_signal_that_the_command_sends_its_group_does_not_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("events");
    // setsid: a group of its own, for the signal would reach this test as well.
    let mut command = Command::new("setsid");
    command
        .arg("--wait")
        .arg(launcher())
        .args(["sh", "-c", "trap '' USR1; kill -USR1 0; exit 3"]);
    assert_eq!(
        command
            .env("LAUNCHER_EVENTS", &events)
            .status()
            .unwrap()
            .code(),
        Some(3)
    );
    // It may end before rsamp has looked at the signal.
    let told = fs::read_to_string(&events).unwrap();
    assert!(!told.lines().any(|line| line == "Forwarded(10)"), "{told}");
}

/// The children of a process, the oldest first.
fn children(process: &Child) -> Vec<nix::unistd::Pid> {
    let path = format!("/proc/{0}/task/{0}/children", process.id());
    let text = fs::read_to_string(path).unwrap();
    let pids = text.split_whitespace().map(|pid| pid.parse().unwrap());
    pids.map(nix::unistd::Pid::from_raw).collect()
}

/// What the command counts of a signal, sent as `send` does; then rsamp alone gets the one that has it tell.
fn count_of_ints(send: impl FnOnce(&Child)) -> String {
    let mut command = launched(&["sh", "-c", REPORTER]);
    let mut talk = Talk::start(command.process_group(0));
    assert_eq!(talk.hear(), "ready");
    send(&talk.child);
    assert_eq!(talk.hear(), "INT");
    // rsamp passes on in the order in which the signals came: a second INT would be there before.
    kill(raw(&talk.child), Signal::SIGTERM).unwrap();
    let told = talk.hear();
    assert_eq!(talk.end(), Some(5));
    told
}

#[test]
fn a_signal_to_the_group_reaches_the_command_once() {
    let told = count_of_ints(|rsamp| killpg(raw(rsamp), Signal::SIGINT).unwrap());
    assert_eq!(told, "TERM after 1 INT");
}

#[test]
fn a_signal_to_rsamp_and_to_its_group_afterwards_reaches_the_command_once() {
    let told = count_of_ints(|rsamp| {
        kill(raw(rsamp), Signal::SIGINT).unwrap();
        killpg(raw(rsamp), Signal::SIGINT).unwrap();
    });
    assert_eq!(told, "TERM after 1 INT");
}

#[test]
fn a_signal_to_each_process_reaches_the_command_once_in_any_order() {
    let all = |rsamp: &Child| [vec![raw(rsamp)], children(rsamp)].concat();
    let send = |pids: Vec<_>| {
        for pid in pids {
            kill(pid, Signal::SIGINT).unwrap();
        }
    };
    let told = count_of_ints(|rsamp| send(all(rsamp)));
    assert_eq!(told, "TERM after 1 INT");
    let told = count_of_ints(|rsamp| send(all(rsamp).into_iter().rev().collect()));
    assert_eq!(told, "TERM after 1 INT");
}

#[test]
fn the_witness_of_the_groups_signals_has_the_words_of_the_command_and_ends_with_rsamp() {
    let words = ["sh", "-c", "echo $$; read x"];
    let mut talk = Talk::start(&mut launched(&words));
    let command = Pid(talk.hear().parse().unwrap());
    let witness = children(&talk.child)[0];
    assert_ne!(witness.as_raw(), command.0);
    let text = |name: &str| fs::read(format!("/proc/{witness}/{name}")).unwrap();
    // It may not have come to it yet.
    let start = Instant::now();
    while text("comm") != b"signal-witness\n"
        || !text("cmdline").starts_with(b"sh\0-c\0echo $$; read x\0")
    {
        assert!(start.elapsed() < Duration::from_millis(PATIENCE_MS.into()));
        std::thread::yield_now();
    }
    let open = |fd: &i32| Path::new(&format!("/proc/{witness}/fd/{fd}")).exists();
    let is_ours = |fd: &i32| {
        let same = |pid: String| fs::read_link(format!("/proc/{pid}/fd/{fd}")).unwrap();
        same(witness.to_string()) == same(talk.child.id().to_string())
    };
    let standard: Vec<i32> = (0..3).filter(open).filter(is_ours).collect();
    assert!(standard.is_empty(), "{standard:?} are held open");
    let witness = Process::open(Pid(witness.as_raw())).unwrap();
    talk.child.kill().unwrap();
    talk.child.wait().unwrap();
    let start = Instant::now();
    while witness.is_alive() {
        assert!(start.elapsed() < Duration::from_millis(PATIENCE_MS.into()));
        std::thread::yield_now();
    }
    talk.say("");
}

#[test]
fn the_command_outlives_a_killed_rsamp() {
    let mut talk = Talk::start(&mut launched(&[
        "sh",
        "-c",
        "echo $$; read x; echo still here",
    ]));
    let command = Process::open(Pid(talk.hear().parse().unwrap())).unwrap();
    talk.child.kill().unwrap();
    talk.child.wait().unwrap();
    assert!(command.is_alive());
    talk.say("");
    assert_eq!(talk.hear(), "still here");
}

#[test]
fn stopping_the_commands_thread_over_and_over_hides_neither_its_end_nor_its_code() {
    for _ in 0..20 {
        let status = launched(&[
            "sh",
            "-c",
            "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done; exit 7",
        ])
        .env("LAUNCHER_PAUSES", "1")
        .status()
        .unwrap();
        assert_eq!(status.code(), Some(7));
    }
}

// --- terminals -----------------------------------------------------------------------------------------------

/// A command in a session of its own on a terminal of its own.
struct Terminal {
    child: Child,
    master: File,
    seen: String,
    events: PathBuf,
}

impl Terminal {
    fn start(words: &[&str], events: &Path) -> Terminal {
        let pty = openpty(None, None).unwrap();
        let stream = |fd: &OwnedFd| Stdio::from(fd.try_clone().unwrap());
        let child = Command::new("setsid")
            .arg("--ctty")
            .args(words)
            .env("LAUNCHER_EVENTS", events)
            .env("PS1", "$ ")
            .env("HISTFILE", "")
            .stdin(stream(&pty.slave))
            .stdout(stream(&pty.slave))
            .stderr(stream(&pty.slave))
            .spawn()
            .unwrap();
        Terminal {
            child,
            master: File::from(pty.master),
            seen: String::new(),
            events: events.to_owned(),
        }
    }

    fn press(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Reads until `text` has come, and forgets what came up to it.
    fn await_text(&mut self, text: &str) {
        let mut buffer = [0; 4096];
        while !self.seen.contains(text) {
            let mut fds = [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)];
            let ready = poll(&mut fds, PollTimeout::from(PATIENCE_MS)).unwrap();
            assert!(
                ready > 0,
                "no {text:?} came, but {:?} and {:?}",
                self.seen,
                fs::read_to_string(&self.events)
            );
            let length = self.master.read(&mut buffer).unwrap();
            self.seen
                .push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
        let end = self.seen.find(text).unwrap() + text.len();
        self.seen.drain(..end);
    }
}

fn command_pid(events: &Path) -> Pid {
    let text = fs::read_to_string(events).unwrap();
    Pid(text
        .lines()
        .next()
        .unwrap()
        .strip_prefix("started ")
        .unwrap()
        .parse()
        .unwrap())
}

#[test]
fn ctrl_c_reaches_the_command_once() {
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("events");
    let mut terminal = Terminal::start(
        &[launcher().to_str().unwrap(), "sh", "-c", REPORTER],
        &events,
    );
    terminal.await_text("ready");
    terminal.press("\x03");
    terminal.await_text("INT");
    kill(raw(&terminal.child), Signal::SIGTERM).unwrap();
    terminal.await_text("TERM after 1 INT");
    assert_eq!(terminal.child.wait().unwrap().code(), Some(5));
    let told = fs::read_to_string(&events).unwrap();
    assert!(
        told.contains("NotForwarded(2)") && told.contains("Forwarded(15)"),
        "{told}"
    );
    assert!(!told.lines().any(|line| line == "Forwarded(2)"), "{told}");
}

/// Says when it was continued: then the shell has handed the terminal over, and what is typed reaches it.
const READER: &str = "trap \"echo resu''med\" CONT; echo rea''dy; \
    until read x && [ \"$x\" = end ]; do echo \"got $x\"; done; exit 9";

#[test]
fn ctrl_z_and_fg_work_as_for_the_command_alone() {
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("events");
    let script = folder.path().join("reader");
    fs::write(&script, READER).unwrap();
    let mut terminal = Terminal::start(&["bash", "--norc", "--noprofile", "-i"], &events);
    terminal.await_text("$ ");
    terminal.press(&format!(
        "{} sh {}\n",
        launcher().display(),
        script.display()
    ));
    terminal.await_text("ready\r\n");
    for round in 0..3 {
        terminal.press("\x1a");
        terminal.await_text("Stopped");
        terminal.await_text("$ ");
        let command = Process::open(command_pid(&events)).unwrap();
        await_stopped(&command);
        terminal.press("fg\n");
        terminal.await_text("resumed");
        terminal.press(&format!("line{round}\n"));
        terminal.await_text(&format!("got line{round}"));
    }
    terminal.press("end\n");
    terminal.await_text("$ ");
    terminal.press("echo code-$?\n");
    terminal.await_text("code-9");
    terminal.press("exit\n");
    terminal.child.wait().unwrap();
    let told = fs::read_to_string(&events).unwrap();
    // At least one: where rsamp is slow to wake up, the next Ctrl-Z finds it before it has looked at the child.
    assert!(told.contains("Stopped(20)"), "{told}");
}

#[test]
fn a_background_command_that_reads_the_terminal_stops_as_a_job() {
    let folder = tempfile::tempdir().unwrap();
    let events = folder.path().join("events");
    let script = folder.path().join("reader");
    fs::write(&script, READER).unwrap();
    let mut terminal = Terminal::start(&["bash", "--norc", "--noprofile", "-i"], &events);
    terminal.await_text("$ ");
    let run = format!("{} sh {}", launcher().display(), script.display());
    terminal.press(&format!("{run} & wait -n; echo wai''ted\n"));
    terminal.await_text("waited");
    terminal.press("fg\n");
    terminal.await_text("resumed");
    terminal.press("end\n");
    terminal.await_text("$ ");
    terminal.press("echo code-$?\n");
    terminal.await_text("code-9");
    terminal.press("exit\n");
    terminal.child.wait().unwrap();
    let told = fs::read_to_string(&events).unwrap();
    assert!(told.contains("Stopped(21)"), "{told}");
}

// --- identity ------------------------------------------------------------------------------------------------

#[test]
fn a_zombie_has_ended() {
    let mut talk = Talk::start(&mut Command::new("cat"));
    let process = Process::open(pid(&talk.child)).unwrap();
    assert!(process.is_alive());
    drop(talk.input.take());
    await_zombie(&talk.child);
    assert!(!process.is_alive());
    assert!(matches!(
        Process::open(process.pid()),
        Err(ProcessError::NoSuchProcess(_))
    ));
    talk.end();
    assert!(!process.is_alive());
}

#[test]
fn a_thread_is_not_taken_for_a_process() {
    let (tell, told) = std::sync::mpsc::channel();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        tell.send(nix::unistd::gettid().as_raw()).unwrap();
        let _ = ended.recv();
    });
    let tid = told.recv().unwrap();
    let us = Pid(std::process::id() as i32);
    assert!(
        matches!(Process::open(Pid(tid)), Err(ProcessError::NotAProcess(t, p)) if t == Tid(tid) && p == us)
    );
    let process = Process::open(us).unwrap();
    assert!(process.tasks().unwrap().contains(&Tid(tid)));
    assert_eq!(process.namespace_tids().unwrap().get(&tid), Some(&Tid(tid)));
    drop(end);
    thread.join().unwrap();
}

#[test]
fn an_exec_changes_the_image_and_not_the_process() {
    let mut talk = Talk::start(&mut sh("echo sh; read x; exec cat"));
    assert_eq!(talk.hear(), "sh");
    let process = Process::open(pid(&talk.child)).unwrap();
    let before = process.exe_identity().unwrap();
    assert_eq!(process.exe_identity().unwrap(), before);
    assert_eq!(
        process.command_line(),
        ["sh", "-c", "echo sh; read x; exec cat"]
    );
    talk.say("go");
    talk.say("cat");
    assert_eq!(talk.hear(), "cat");
    assert_ne!(process.exe_identity().unwrap(), before);
    assert!(process.is_alive());
    assert!(
        process.describe().starts_with("cat (/"),
        "{}",
        process.describe()
    );
    assert_eq!(talk.end(), Some(0));
}

#[test]
fn a_process_in_a_pid_namespace_has_its_inner_ids() {
    let script = "echo $$; read x";
    let mut command = Command::new("unshare");
    command.args([
        "--user",
        "--map-root-user",
        "--pid",
        "--fork",
        "sh",
        "-c",
        script,
    ]);
    let mut talk = Talk::start(command.stderr(Stdio::null()));
    if talk.hear() != "1" {
        return; // This machine lets nobody make namespaces.
    }
    let children = format!("/proc/{0}/task/{0}/children", talk.child.id());
    let inner = fs::read_to_string(children)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let process = Process::open(Pid(inner)).unwrap();
    assert_eq!(process.namespace_tids().unwrap().get(&1), Some(&Tid(inner)));
    talk.say("");
    talk.end();
}

#[test]
fn a_task_watch_follows_a_thread_to_its_end() {
    let mut talk = Talk::start(&mut sh("echo ready; read x"));
    assert_eq!(talk.hear(), "ready");
    let process = Process::open(pid(&talk.child)).unwrap();
    let tid = Tid(process.pid().0);
    let mut watch = TaskWatch::open(process.pid(), tid).unwrap();
    kill(raw(&talk.child), Signal::SIGSTOP).unwrap();
    waitpid(raw(&talk.child), Some(WaitPidFlag::WUNTRACED)).unwrap();
    assert_eq!(watch.state(), Some(TaskState::Stopped));
    assert!(process.task_cpu(tid).unwrap() > 0);
    kill(raw(&talk.child), Signal::SIGKILL).unwrap();
    await_zombie(&talk.child);
    assert_eq!(watch.state(), Some(TaskState::Zombie));
    talk.end();
    assert_eq!(watch.state(), None);
    assert_eq!(process.task_cpu(tid), None);
}

// --- images --------------------------------------------------------------------------------------------------

#[test]
fn a_deleted_program_is_still_read() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("my cat");
    fs::copy("/bin/cat", &copy).unwrap();
    let mut talk = Talk::start(&mut Command::new(&copy));
    talk.say("x");
    talk.hear();
    fs::write(folder.path().join("new"), b"another file").unwrap();
    fs::rename(folder.path().join("new"), &copy).unwrap();
    let process = Process::open(pid(&talk.child)).unwrap();
    let file = process
        .images()
        .unwrap()
        .into_iter()
        .find(|file| file.path == copy)
        .unwrap();
    assert!(file.deleted);
    let image = file.load(&process, TEXT, &mut ReadBudget::whole()).unwrap();
    let (text, size) = image.section().unwrap();
    let is_code = |at| {
        file.mappings
            .iter()
            .any(|mapping| mapping.executable && mapping.contains(at))
    };
    assert!(size > 0 && is_code(text));
    assert!(!image.writable_ranges().is_empty());
    talk.end();
}

#[test]
fn a_program_started_through_the_loader_is_found_among_the_images() {
    let mut talk = Talk::start(&mut Command::new("cat"));
    talk.say("x");
    talk.hear();
    let process = Process::open(pid(&talk.child)).unwrap();
    let is_loader = |path: &Path| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("ld-"))
    };
    let loader = process
        .images()
        .unwrap()
        .into_iter()
        .find(|file| is_loader(&file.path))
        .unwrap();
    let cat = fs::canonicalize(process.exe().unwrap()).unwrap();
    talk.end();

    let mut talk = Talk::start(Command::new(&loader.path).arg(&cat));
    talk.say("x");
    talk.hear();
    let process = Process::open(pid(&talk.child)).unwrap();
    assert_eq!(process.exe().unwrap(), loader.path);
    let image = process
        .images()
        .unwrap()
        .into_iter()
        .find(|file| file.path == cat)
        .unwrap();
    let image = image
        .load(&process, TEXT, &mut ReadBudget::whole())
        .unwrap();
    assert!(image.section().is_some());
    talk.end();
}

// --- pausing -------------------------------------------------------------------------------------------------

const ECHO: &str = "echo ready; while read x; do echo $x; done";

#[test]
fn a_paused_thread_stands_and_then_goes_on() {
    let mut talk = Talk::start(&mut sh(ECHO));
    assert_eq!(talk.hear(), "ready");
    let process = Process::open(pid(&talk.child)).unwrap();
    let tid = Tid(process.pid().0);
    for _ in 0..2 {
        let guard = pause(process.pid(), tid).unwrap();
        assert_eq!(guard.tid(), tid);
        assert_eq!(process.task_state(tid), Some(TaskState::Traced));
        drop(guard);
        talk.say("on");
        assert_eq!(talk.hear(), "on");
    }
    assert_eq!(talk.end(), Some(0));
}

#[test]
fn a_signal_that_comes_during_a_pause_is_not_lost() {
    let mut talk = Talk::start(&mut sh(ECHO));
    assert_eq!(talk.hear(), "ready");
    let guard = pause(pid(&talk.child), Tid(pid(&talk.child).0)).unwrap();
    kill(raw(&talk.child), Signal::SIGUSR1).unwrap();
    drop(guard);
    let status = waitpid(raw(&talk.child), None).unwrap();
    assert!(
        matches!(status, WaitStatus::Signaled(_, Signal::SIGUSR1, _)),
        "{status:?}"
    );
}

#[test]
fn a_signal_that_comes_while_the_pause_begins_is_not_lost() {
    let script = "trap 'echo USR1' USR1; echo ready; while :; do :; done";
    let mut talk = Talk::start(&mut sh(script));
    assert_eq!(talk.hear(), "ready");
    let (process, thread) = (pid(&talk.child), raw(&talk.child));
    for _ in 0..300 {
        let sender = std::thread::spawn(move || kill(thread, Signal::SIGUSR1).unwrap());
        drop(pause(process, Tid(process.0)).unwrap());
        sender.join().unwrap();
        assert_eq!(talk.hear(), "USR1");
    }
    talk.child.kill().unwrap();
    talk.end();
}

#[test]
fn a_stopped_process_is_still_stopped_after_a_pause() {
    let mut talk = Talk::start(&mut sh(ECHO));
    assert_eq!(talk.hear(), "ready");
    let process = Process::open(pid(&talk.child)).unwrap();
    let tid = Tid(process.pid().0);
    kill(raw(&talk.child), Signal::SIGSTOP).unwrap();
    waitpid(raw(&talk.child), Some(WaitPidFlag::WUNTRACED)).unwrap();
    drop(pause(process.pid(), tid).unwrap());
    // The thread takes its stop again by itself, within microseconds.
    await_stopped(&process);
    kill(raw(&talk.child), Signal::SIGCONT).unwrap();
    talk.say("on");
    assert_eq!(talk.hear(), "on");
    talk.end();
}

#[test]
fn a_thread_that_is_gone_cannot_be_paused() {
    let mut child = Command::new("true").spawn().unwrap();
    await_zombie(&child);
    let tid = Tid(pid(&child).0);
    let error = pause(pid(&child), tid).unwrap_err();
    assert!(error.is_gone(), "{error:?}");
    child.wait().unwrap();
    let error = pause(pid(&child), tid).unwrap_err();
    assert!(error.is_gone(), "{error:?}");
}
