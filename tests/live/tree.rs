//! Samples programs that start others in every way there is, and looks for each process in the profile.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use rsamp::profile::{Process, ProcessId, Profile};
use rsamp::sampler::Ended;
use tempfile::TempDir;

use crate::life::Recording;
use crate::support::programs::{Standing, command, program, run_command, spawn};
use crate::support::pythons::Python;
use crate::support::recordings::read;

/// Nothing here takes longer, however busy the machine is.
const LIMIT: Duration = Duration::from_secs(30);

/// Ways to start a child that every interpreter has.
const WAYS: [&str; 5] = ["fork", "fork_exec", "fork_twice", "subprocess", "shell"];

/// Ways that name the interpreter by one word.
const MORE_WAYS: [&str; 4] = ["executor", "spawn", "forkserver", "posix_spawn"];

/// `tests/programs/tree.py`, and the file that ends it.
struct Tree {
    folder: TempDir,
    words: Vec<String>,
}

impl Tree {
    fn new(python: &Python, way: &str) -> Tree {
        let mut words = python.command.clone();
        words.extend([program("tree.py").display().to_string(), way.to_owned()]);
        Tree {
            folder: tempfile::tempdir().expect("a folder"),
            words,
        }
    }

    fn command(&self, python: &Python, way: &str) -> Command {
        let mut command = command(python, "tree.py");
        self.with_environment(python, command.arg(way));
        command
    }

    fn with_environment<'c>(&self, python: &Python, command: &'c mut Command) -> &'c mut Command {
        command
            .env("TREE_PYTHON", python.command.join(" "))
            .env("TREE_END", self.folder.path().join("end"))
    }

    fn end(&self) {
        fs::write(self.folder.path().join("end"), "").expect("written");
    }
}

/// The PIDs that parent and child say, in whatever order.
fn told(mut line: impl FnMut() -> String) -> (i32, i32) {
    let (mut parent, mut child) = (None, None);
    while parent.is_none() || child.is_none() {
        let line = line();
        let (who, pid) = line.trim().split_once(' ').expect("who and a PID");
        let pid = pid.parse().expect("a PID");
        match who {
            "PARENT" => parent = Some(pid),
            _ => child = Some(pid),
        }
    }
    (parent.expect("a PID"), child.expect("a PID"))
}

/// The process of that PID, and its number.
fn process(profile: &Profile, pid: i32) -> Option<(ProcessId, &Process)> {
    let mut processes = (0..).map(ProcessId).zip(profile.processes());
    processes.find(|(_, process)| process.pid == pid)
}

/// The samples of process `pid` in a function of that name.
fn samples(profile: &Profile, pid: i32, function: &str) -> u64 {
    let rows = profile.rows().iter().filter(|row| {
        let thread = profile.thread(row.thread).expect("a thread");
        let process = profile.process(thread.process).expect("a process");
        process.pid == pid && profile.frames_of(row.stack).any(|f| f.name == function)
    });
    rows.map(|row| row.totals.samples).sum()
}

/// Whether both processes are there, each with samples of what it does.
fn are_both_seen(profile: &Profile, parent: i32, child: i32) -> bool {
    samples(profile, parent, "in_parent") > 0 && samples(profile, child, "in_child") > 0
}

fn check(profile: &Profile, parent: i32, child: i32, what: &str) {
    assert!(are_both_seen(profile, parent, child), "{what}");
    // What the child did until it was another process, it did as the parent.
    assert_eq!(samples(profile, parent, "in_child"), 0, "{what}");
    assert_eq!(samples(profile, child, "in_parent"), 0, "{what}");
    let (first, _) = process(profile, parent).expect("the parent");
    let (_, process) = process(profile, child).expect("the child");
    assert!(process.parent >= Some(first), "{what}: {process:?}");
    let wall: f64 = profile.totals().wall.seconds();
    let most = profile.duration().seconds() * profile.threads().len() as f64;
    assert!(wall <= most, "{what}: {wall} s in {most} s");
}

fn follow(python: &Python, way: &str) {
    let what = format!("{} {way}", python.label);
    let tree = Tree::new(python, way);
    let mut parent = run_command(&mut tree.command(python, way));
    let recording = Recording::of_tree(parent.pid(), 500.0);
    parent.send("go\n");
    let (parent_pid, child) = told(|| parent.line());
    assert_eq!(parent_pid, parent.pid());
    recording.wait_until(&what, |profile| are_both_seen(profile, parent_pid, child));
    tree.end();
    let (ended, profile) = recording.end();
    assert_eq!(ended, Ended::TargetEnded, "{what}");
    check(&profile, parent_pid, child, &what);
}

fn a_child_is_followed_however_it_is_started(python: &Python) {
    for way in WAYS {
        follow(python, way);
    }
}

test_on!(a_child_is_followed_however_it_is_started: v3_6 v3_11 v3_13 v3_15);

fn a_child_is_followed_whatever_library_starts_it(python: &Python) {
    for way in MORE_WAYS {
        // `os.posix_spawn` came with 3.8.
        follow(python, way);
    }
}

test_on!(a_child_is_followed_whatever_library_starts_it: v3_8 v3_11 v3_13);

fn children_that_are_there_already_are_sampled_too(python: &Python) {
    for way in ["fork_twice", "shell"] {
        let tree = Tree::new(python, way);
        let mut command = tree.command(python, way);
        let mut parent = spawn(command.arg("--first"));
        let lines = || {
            let line = parent.line();
            if line == "READY\n" {
                parent.line()
            } else {
                line
            }
        };
        let (pid, child) = told(lines);
        let recording = Recording::of_tree(pid, 500.0);
        recording.wait_until(way, |profile| are_both_seen(profile, pid, child));
        tree.end();
        let (_, profile) = recording.end();
        check(&profile, pid, child, way);
    }
}

test_on!(children_that_are_there_already_are_sampled_too: v3_9 v3_12);

/// From 3.10 on `subprocess` starts a child with vfork, which has its parent's memory until it execs.
fn a_child_that_is_not_python_is_counted(python: &Python) {
    let tree = Tree::new(python, "not_python");
    let mut parent = run_command(&mut tree.command(python, "not_python"));
    let recording = Recording::of_tree(parent.pid(), 500.0);
    parent.send("go\n");
    let (pid, child) = told(|| parent.line());
    recording.wait_until("the parent", |profile| {
        samples(profile, pid, "in_parent") > 20
    });
    tree.end();
    let (_, profile) = recording.end();
    assert_eq!(process(&profile, child), None, "{}", python.label);
    assert_eq!(profile.processes().len(), 1);
    assert_eq!(profile.skipped(), 1);
}

test_on!(a_child_that_is_not_python_is_counted: v3_9 v3_12);

/// `rsamp record` of a command in a folder of its own.
fn record(tree: &Tree, python: &Python, options: &[&str], words: &[&str]) -> Standing {
    let mut command = Command::new(cargo_bin!("rsamp"));
    command.current_dir(tree.folder.path());
    command.args(["record", "-q", "-r", "500", "-o", "a.rsamp"]);
    command.args(options).arg("--").args(words);
    command.args(&tree.words);
    spawn(tree.with_environment(python, &mut command))
}

/// What is in the recording by now, if there is anything. Behind a shell, which may start ranks, it is in a folder of
/// its own until the end.
fn recorded(tree: &Tree) -> Option<Profile> {
    let folder = tree.folder.path();
    let pattern = folder.join("*.ranks/*/*.rsamp");
    let growing = glob::glob(pattern.to_str()?).ok()?.find_map(Result::ok);
    let path = growing.unwrap_or_else(|| folder.join("a.rsamp"));
    read(&path).map(|read| read.profile)
}

/// Waits until the recording is as wanted.
fn wait_until(tree: &Tree, wanted: impl Fn(&Profile) -> bool) -> Profile {
    let begin = Instant::now();
    loop {
        if let Some(profile) = recorded(tree).filter(|profile| wanted(profile)) {
            return profile;
        }
        assert!(begin.elapsed() < LIMIT, "it did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Takes the line that lets the program begin.
fn let_begin(rsamp: &mut Standing) {
    assert_eq!(rsamp.line(), "READY\n");
    rsamp.send("go\n");
}

fn an_orphan_is_still_ours_and_outlives_the_program(python: &Python) {
    let tree = Tree::new(python, "orphan");
    let mut rsamp = record(&tree, python, &[], &[]);
    let_begin(&mut rsamp);
    let (parent, child) = told(|| rsamp.line());
    let status = |pid: i32| fs::read_to_string(format!("/proc/{pid}/status")).ok();
    let parent_line = format!("PPid:\t{}\n", rsamp.pid());
    assert!(status(child).expect("it lives").contains(&parent_line));
    wait_until(&tree, |profile| are_both_seen(profile, parent, child));
    // The program ends and rsamp with it; the orphan does not.
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(parent),
        nix::sys::signal::Signal::SIGTERM,
    )
    .expect("sent");
    let profile = wait_until(&tree, Profile::is_complete);
    let begin = Instant::now();
    while status(child).expect("it lives").contains(&parent_line) {
        assert!(begin.elapsed() < LIMIT, "rsamp does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
    // The process between them has mostly ended before it was looked at; if it was seen, it tells whose the orphan is.
    let program = process(&profile, parent).expect("the program").0;
    let orphans_parent = process(&profile, child).expect("the orphan").1.parent;
    assert!(
        orphans_parent.is_none_or(|parent| parent == program),
        "{orphans_parent:?}"
    );
    tree.end();
}

test_on!(an_orphan_is_still_ours_and_outlives_the_program: v3_11);

fn without_children_the_program_is_alone(python: &Python) {
    let tree = Tree::new(python, "subprocess");
    let mut rsamp = record(&tree, python, &["--no-children"], &[]);
    let_begin(&mut rsamp);
    let (parent, child) = told(|| rsamp.line());
    wait_until(&tree, |profile| samples(profile, parent, "in_parent") > 100);
    tree.end();
    assert_eq!(rsamp.line(), "");
    let profile = recorded(&tree).expect("a recording");
    assert_eq!(process(&profile, child), None);
    assert_eq!(profile.processes().len(), 1);
    assert_eq!(profile.skipped(), 0);
}

test_on!(without_children_the_program_is_alone: v3_11);

fn python_behind_other_programs_is_found(python: &Python) {
    for words in [
        &["env", "A=1"][..],
        &["nohup"],
        &["timeout", "60"],
        &["sh", "-c", "read line; \"$@\"; exit 0", "sh"],
        &["bash", "-c", "time \"$@\"", "bash"],
    ] {
        let tree = Tree::new(python, "fork");
        let mut rsamp = record(&tree, python, &[], words);
        if words[0] == "sh" {
            rsamp.send("go\n");
        }
        let_begin(&mut rsamp);
        let (parent, child) = told(|| rsamp.line());
        wait_until(&tree, |profile| are_both_seen(profile, parent, child));
        tree.end();
        assert_eq!(rsamp.line(), "");
        let profile = recorded(&tree).expect("a recording");
        assert_eq!(profile.processes().len(), 2, "{words:?}");
        assert_eq!(profile.processes()[1].parent, Some(ProcessId(0)));
    }
}

test_on!(python_behind_other_programs_is_found: v3_13);
