//! Turns a program of `tests/programs/` into a running process that stands still, and what it says
//! of its own stacks.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use super::pythons::Python;

/// A program that said READY, and most often waits on its standard input; dropping it kills it.
pub struct Standing {
    child: Child,
    output: BufReader<ChildStdout>,
    pid: i32,
    /// What it said of its threads, the main thread first.
    pub threads: Vec<ToldThread>,
}

/// A thread, as the program tells it (`tests/programs/oracle.py`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldThread {
    /// Its name, where the program knows it.
    pub name: Option<String>,
    /// `threading.get_ident()`: the `pthread_t`.
    pub ident: u64,
    /// `threading.get_native_id()`, 3.8 on.
    pub native: Option<i32>,
    /// Whether it is the main thread.
    pub is_main: bool,
    /// The id of the interpreter, 0 for the main one.
    pub interpreter: i64,
    /// Innermost first.
    pub frames: Vec<ToldFrame>,
}

/// A frame, as the program tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldFrame {
    /// Qualified from 3.11 on.
    pub name: String,
    /// `co_filename`.
    pub file: String,
    /// `co_firstlineno`.
    pub first_line: u32,
    /// `f_lineno`.
    pub line: Option<u32>,
}

/// What a program came to.
pub enum Started {
    /// It stands still.
    Standing(Box<Standing>),
    /// This interpreter cannot run it, with the reason.
    Skipped(String),
}

/// Where a program lies.
pub fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/programs")
        .join(name)
}

/// Starts `name` with `python` and waits until it says READY, or SKIP and why; then until it sleeps.
pub fn start(python: &Python, name: &str) -> Started {
    let mut standing = spawn(&mut command(python, name));
    match standing.read_until_ready() {
        Ok(()) => {
            standing.wait_until_asleep();
            Started::Standing(Box::new(standing))
        }
        Err(reason) if reason.is_empty() => panic!("{name} ended early with {}", python.label),
        Err(reason) => Started::Skipped(reason),
    }
}

/// Starts `name` with `python`, which runs on after it said READY.
pub fn run(python: &Python, name: &str) -> Standing {
    run_command(&mut command(python, name))
}

/// Starts a program by a command of the test's own, and waits until it says READY.
pub fn run_command(command: &mut Command) -> Standing {
    let mut running = spawn(command);
    let ready = running.read_until_ready();
    ready.unwrap_or_else(|reason| panic!("{command:?} did not get READY: {reason}"));
    running
}

/// The command that runs `name` with `python`.
pub fn command(python: &Python, name: &str) -> Command {
    let mut command = python.interpreter();
    command.arg(program(name));
    command
}

/// Starts a program, whatever it says.
pub fn spawn(command: &mut Command) -> Standing {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("start {command:?}: {error}"));
    let output = child.stdout.take().expect("a pipe");
    Standing {
        pid: i32::try_from(child.id()).expect("a pid"),
        child,
        output: BufReader::new(output),
        threads: Vec::new(),
    }
}

/// As [`start`], for a program that every interpreter can run.
pub fn stand(python: &Python, name: &str) -> Standing {
    match start(python, name) {
        Started::Standing(standing) => *standing,
        Started::Skipped(reason) => panic!("{name} with {}: {reason}", python.label),
    }
}

impl Standing {
    /// The process.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Takes the only child of the process for the program: what was started only started it.
    pub fn descend(&mut self) {
        let path = format!("/proc/{0}/task/{0}/children", self.pid);
        let children = fs::read_to_string(path).expect("a running program");
        self.pid = children.trim().parse().expect("one child");
    }

    /// Writes to the program's standard input.
    pub fn send(&mut self, text: &str) {
        let input = self.child.stdin.as_mut().expect("a pipe");
        input
            .write_all(text.as_bytes())
            .expect("a program that reads");
    }

    /// The next line that the program prints, with its end; empty when it has ended.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("UTF-8");
        line
    }

    /// Waits until the main thread sleeps: READY is written just before the call that waits, so for
    /// some microseconds more the program is on its way there.
    pub fn wait_until_asleep(&self) {
        let path = format!("/proc/{0}/task/{0}/stat", self.pid());
        loop {
            // The name in it may hold anything and be cut within a character.
            let stat = fs::read(&path).expect("a running program");
            let stat = String::from_utf8_lossy(&stat);
            match stat
                .rsplit(") ")
                .next()
                .and_then(|rest| rest.chars().next())
            {
                Some('S') => return,
                Some('Z' | 'X') | None => panic!("the program ended: {stat}"),
                Some(_) => std::thread::yield_now(),
            }
        }
    }

    /// Takes in what the program says up to READY; `Err` with its reason when it skips, and with
    /// nothing when it ends.
    fn read_until_ready(&mut self) -> Result<(), String> {
        loop {
            let line = self.line();
            if line == "READY\n" {
                return Ok(());
            }
            if line.is_empty() {
                return Err(String::new());
            }
            if let Some(reason) = line.strip_prefix("SKIP ") {
                return Err(reason.trim().to_owned());
            }
            let told: Value = serde_json::from_str(&line).expect("JSON");
            let threads = told["threads"].as_array().expect("threads");
            self.threads = threads.iter().map(told_thread).collect();
        }
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn told_thread(told: &Value) -> ToldThread {
    let frames = told["frames"].as_array().expect("frames");
    ToldThread {
        name: told["name"].as_str().map(str::to_owned),
        ident: told["ident"].as_u64().expect("ident"),
        native: told["native"]
            .as_i64()
            .map(|tid| i32::try_from(tid).expect("a thread id")),
        is_main: told["main"].as_bool().expect("main"),
        interpreter: told["interpreter"].as_i64().expect("interpreter"),
        frames: frames.iter().map(told_frame).collect(),
    }
}

fn told_frame(told: &Value) -> ToldFrame {
    let number = |value: &Value| value.as_u64().and_then(|line| u32::try_from(line).ok());
    ToldFrame {
        name: told[0].as_str().expect("name").to_owned(),
        file: told[1].as_str().expect("file").to_owned(),
        first_line: number(&told[2]).expect("first line"),
        line: number(&told[3]),
    }
}
