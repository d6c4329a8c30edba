//! Compares the asyncio tasks of running programs, as `rsamp dump --tasks` shows them, with what Python itself knows of them.

use std::collections::BTreeMap;
use std::process::Command;

use assert_cmd::cargo::cargo_bin;
use rsamp::profile::{Mode, Profile, task_of, tasks};
use serde_json::Value;

use crate::support::needs::prepared;
use crate::support::programs::{Standing, command, program, run, spawn};
use crate::support::pythons::{self, Python};
use crate::support::recordings::read;

/// A task as the program tells it.
#[derive(Debug, serde::Deserialize)]
struct Told {
    /// `None` where the program did not ask for it: from 3.12 on that would make the name.
    name: Option<String>,
    /// Whether the program made it itself, and knows the rest.
    is_told: bool,
    is_running: bool,
    /// Function and line of the coroutines as far as `cr_await` and the like show them, outermost first.
    chain: Vec<(String, u32)>,
    /// `Task.get_stack()`.
    stack: Vec<(String, u32)>,
    waits_for: Option<String>,
    /// The name of the task that waits for it.
    parent: Option<String>,
    /// The innermost function.
    leaf: Option<String>,
}

#[derive(serde::Deserialize)]
struct Said {
    tasks: Vec<Told>,
}

/// A task as rsamp shows it.
#[derive(Debug)]
struct Shown {
    name: String,
    state: String,
    waits_for: Option<String>,
    parents: Vec<String>,
    /// Outermost first.
    frames: Vec<(String, u32)>,
}

impl Shown {
    fn is(&self, told: &Told) -> bool {
        let is_named = match &told.name {
            Some(name) => *name == self.name,
            None => self.name.starts_with("Task-"),
        };
        // Of a task that runs, Python shows what called it too; and it has gone on since.
        let has_frames = if told.is_running {
            let (root, called) = (self.frames.first(), told.stack.last());
            self.state == "running" && root.map(|(name, _)| name) == called.map(|(name, _)| name)
        } else {
            self.frames.starts_with(&told.chain) && self.frames.starts_with(&told.stack)
        };
        let leaf = self.frames.last().map(|(name, _)| name.as_str());
        let is_related = !told.is_told
            || self.waits_for == told.waits_for
                && self.parents.iter().eq(&told.parent)
                && told.leaf.as_deref().is_none_or(|told| leaf == Some(told));
        is_named && has_frames && is_related
    }
}

fn compare(mut program: Standing, label: &str) {
    let said: Said = serde_json::from_str(&program.line()).expect("JSON");
    assert!(said.tasks.len() > 40, "{label}: {}", said.tasks.len());
    let shown = dumped(&program);
    let mut left: BTreeMap<usize, &Shown> = shown.iter().enumerate().collect();
    for told in &said.tasks {
        let found = left.iter().find(|(_, shown)| shown.is(told));
        let found = found.map(|(number, _)| *number);
        let number = found.unwrap_or_else(|| panic!("{label}: no {told:?} in {left:#?}"));
        left.remove(&number);
    }
    assert!(left.is_empty(), "{label}: not told: {left:?}");
}

fn dumped(program: &Standing) -> Vec<Shown> {
    let mut command = Command::new(cargo_bin("rsamp"));
    let output = command.args(["dump", "--tasks", "--json", &program.pid().to_string()]);
    let output = output.output().expect("rsamp runs");
    assert!(output.status.success(), "{output:?}");
    let dump: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let tasks = dump["tasks"].as_array().expect("tasks");
    let name = |id: &Value| {
        let task = tasks.iter().find(|task| task["id"] == *id);
        task.expect("a parent")["name"]
            .as_str()
            .expect("a name")
            .to_owned()
    };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let frame = |frame: &Value| {
        // Qualified from 3.11 on; the program does not tell more than the name.
        let name = frame["name"].as_str().expect("a name");
        let name = name.rsplit('.').next().unwrap_or(name);
        (
            name.to_owned(),
            frame["line"].as_u64().expect("a line") as u32,
        )
    };
    let shown = |task: &Value| Shown {
        name: name(&task["id"]),
        state: text(&task["state"]).expect("a state"),
        waits_for: text(&task["waits_for"]),
        parents: task["parents"]
            .as_array()
            .expect("parents")
            .iter()
            .map(name)
            .collect(),
        frames: task["frames"]
            .as_array()
            .expect("frames")
            .iter()
            .rev()
            .map(frame)
            .collect(),
    };
    tasks.iter().map(shown).collect()
}

fn tasks_are_those_that_python_knows(python: &Python) {
    compare(spawn(&mut command(python, "tasks.py")), &python.label);
}

test_on!(tasks_are_those_that_python_knows: v3_8 v3_9 v3_10 v3_11 v3_12 v3_13 v3_14 v3_15 system);

#[test]
fn tasks_of_uvloop_are_those_that_python_knows() {
    needs!(RSAMP_UVLOOP);
    let mut command = Command::new(prepared("RSAMP_UVLOOP").join("bin/python"));
    command.arg(program("tasks.py")).arg("uvloop");
    compare(spawn(&mut command), "uvloop");
}

/// A task as `python -m asyncio pstree` shows it: its name, that of the task in whose await it stands, and its coroutines with
/// their files' lines.
type InTree = (String, Option<String>, Vec<(String, u32)>);

/// Reads `└── (T) NAME` and, below it, `└──  COROUTINE FILE:LINE`.
fn parse_pstree(text: &str) -> Vec<InTree> {
    let mut tasks: Vec<InTree> = Vec::new();
    // What the line is below of, by depth: the task.
    let mut above: Vec<usize> = Vec::new();
    for line in text.lines() {
        let (indent, words) = line.split_once("── ").unwrap_or_else(|| panic!("{text}"));
        above.truncate(indent.chars().count() / 4);
        let task = match words.strip_prefix("(T) ") {
            Some(name) => {
                let parent = above.last().map(|task| tasks[*task].0.clone());
                tasks.push((name.to_owned(), parent, Vec::new()));
                tasks.len() - 1
            }
            None => {
                let task = *above.last().unwrap_or_else(|| panic!("{text}"));
                let (name, place) = words.trim().split_once(' ').expect("a place");
                let name = name.rsplit('.').next().unwrap_or(name);
                let line = place.rsplit(':').next().and_then(|line| line.parse().ok());
                tasks[task].2.push((name.to_owned(), line.expect("a line")));
                task
            }
        };
        above.push(task);
    }
    tasks
}

fn tasks_are_those_of_pythons_own_tree(python: &Python) {
    let mut program = spawn(&mut command(python, "tasks.py"));
    program.line();
    let mut pstree = python.interpreter();
    pstree.args(["-m", "asyncio", "pstree", &program.pid().to_string()]);
    let output = pstree.output().expect("Python runs");
    assert!(output.status.success(), "{output:?}");
    let mut told = parse_pstree(&String::from_utf8_lossy(&output.stdout));
    let of = |task: Shown| (task.name, task.parents.into_iter().next(), task.frames);
    let mut shown: Vec<InTree> = dumped(&program).into_iter().map(of).collect();
    // 3.14 has zeros or spaces in the place of what is not ASCII.
    let is_told_right = |(name, ..): &InTree| {
        name.is_ascii() && name.contains(|letter: char| letter.is_ascii_graphic())
    };
    told.retain(is_told_right);
    shown.retain(is_told_right);
    told.sort();
    shown.sort();
    assert!(told.len() > 40, "{told:?}");
    assert_eq!(shown, told, "{}", python.label);
}

test_on!(tasks_are_those_of_pythons_own_tree: v3_14 v3_15);

/// How many of the samples within tasks that were seen before may belong to none.
const UNASSIGNED: f64 = 0.005;

/// The same for tasks that have hardly begun when they end: those that had ended before they were read, which takes a build for
/// tests on a busy machine a hundred times as long as one for use.
const UNASSIGNED_OF_SHORT: f64 = 0.5;

/// What rsamp records of a program.
fn recorded(command: &Command, label: &str) -> Profile {
    let folder = tempfile::tempdir().expect("a folder");
    let recording = folder.path().join("tasks.rsamp");
    let mut rsamp = Command::new(cargo_bin("rsamp"));
    rsamp.args(["record", "--quiet", "--rate", "1000", "-o"]);
    rsamp
        .arg(&recording)
        .arg("--")
        .arg(command.get_program())
        .args(command.get_args());
    let status = rsamp.status().expect("rsamp runs");
    assert!(status.success(), "{label}: {status}");
    read(&recording).expect("a recording").profile
}

/// The program runs `work_NAME` in the task called NAME only, and `outside` in none.
fn check_samples(command: &Command, label: &str) {
    let profile = recorded(command, label);
    let (mut seen, mut assigned) = (BTreeMap::new(), BTreeMap::new());
    for row in profile.rows() {
        let names: Vec<&str> = profile
            .frames_of(row.stack)
            .map(|frame| frame.name.as_str())
            .collect();
        let task = task_of(&profile, row);
        if names.contains(&"outside") {
            assert_eq!(task, None, "{label}: {names:?}");
        }
        if let Some(running) = names.iter().find_map(|name| name.strip_prefix("work_")) {
            let kind = running.split('_').next().unwrap_or(running).to_owned();
            *seen.entry(kind.clone()).or_insert(0) += row.totals.samples;
            if let Some(task) = task {
                assert_eq!(task, running, "{label}: {names:?}");
                *assigned.entry(kind).or_insert(0) += row.totals.samples;
            }
        }
    }
    check_relations(&profile, label);
    assert!(seen.len() >= 5, "{label}: {seen:?}");
    for (kind, count) in &seen {
        let part = match kind.as_str() {
            "short" => UNASSIGNED_OF_SHORT,
            _ => UNASSIGNED,
        };
        let left = count - assigned.get(kind).unwrap_or(&0);
        // A task is new once, and there are one or two of a kind; on a busy machine it may be over before it is read.
        let most = 4.0 + part * *count as f64;
        assert!(left as f64 <= most, "{label}: {assigned:?} of {seen:?}");
    }
}

/// Two tasks of one function are told apart, and who waits for tasks is known.
fn check_relations(profile: &Profile, label: &str) {
    let rows = tasks(profile, Mode::Wall);
    let row = |name: &str| rows.iter().find(|row| row.name == Some(name));
    let unnamed = row("unnamed").unwrap_or_else(|| panic!("{label}: no task of unnamed()"));
    // Of few samples all may be of one.
    let is_right = match unnamed.totals.samples {
        ..20 => (1..=2).contains(&unnamed.count),
        _ => unnamed.count == 2,
    };
    assert!(is_right, "{label}: {unnamed:?}");
    let of = [
        ("unnamed", "unnamed", "gathers"),
        ("one", "lasting", "main"),
        ("two", "lasting", "main"),
    ];
    for (name, coroutine, parent) in of {
        let row = row(name).unwrap_or_else(|| panic!("{label}: no {name}"));
        assert_eq!(row.coroutines, [coroutine], "{label}: {name}");
        assert_eq!(row.parents, [parent], "{label}: {name}");
    }
}

fn a_sample_belongs_to_the_task_that_ran(python: &Python) {
    let mut command = command(python, "task_names.py");
    command.arg("2");
    check_samples(&command, &python.label);
}

test_on!(a_sample_belongs_to_the_task_that_ran: v3_8 v3_9 v3_10 v3_11 v3_12 v3_13 v3_14 v3_15 system);

#[test]
fn a_sample_belongs_to_the_task_that_ran_on_uvloop() {
    needs!(RSAMP_UVLOOP);
    let mut command = Command::new(prepared("RSAMP_UVLOOP").join("bin/python"));
    command.arg(program("task_names.py")).args(["2", "uvloop"]);
    check_samples(&command, "uvloop");
}

fn a_task_that_begins_at_once_is_not_taken_for_the_one_that_starts_it(python: &Python) {
    let mut command = command(python, "eager_tasks.py");
    command.arg("1");
    let profile = recorded(&command, &python.label);
    let mut seen = BTreeMap::new();
    for row in profile.rows() {
        let names: Vec<&str> = profile
            .frames_of(row.stack)
            .map(|frame| frame.name.as_str())
            .collect();
        let runs = names.iter().find_map(|name| name.strip_prefix("work_"));
        if let (Some(runs), Some(task)) = (runs, task_of(&profile, row)) {
            let expected = if runs == "eager" { "child" } else { "parent" };
            assert_eq!(task, expected, "{}: {names:?}", python.label);
            *seen.entry(task).or_insert(0) += row.totals.samples;
        }
    }
    assert_eq!(seen.len(), 2, "{}: {seen:?}", python.label);
}

test_on!(a_task_that_begins_at_once_is_not_taken_for_the_one_that_starts_it: v3_12 v3_13 v3_14 v3_15);

#[test]
fn a_program_without_asyncio_has_no_tasks() {
    needs!(v3_11);
    let python = pythons::python("v3_11");
    assert!(dumped(&run(&python, "spin.py")).is_empty());
}
