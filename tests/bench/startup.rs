//! Turns interpreters that start, and that run already, into how long rsamp takes to its first sample.
//!
//! ```sh
//! cargo bench --bench startup             # all of RSAMP_PYTHONS
//! cargo bench --bench startup -- 3.11     # those whose version begins so
//! ```
//!
//! - **record**: from the first line of the program to the first stack seen, for a program started with
//!   `-I -S`, so that its first line comes as soon as the interpreter is ready. Below 0: rsamp saw the
//!   interpreter import what it needs itself.
//! - **exec**: the same behind a shell that runs for a while and then becomes Python.
//! - **attach**: from the call to the first stack seen, in a program that waits.
//!
//! Milliseconds: least, median, most. Then the CPU time that rsamp costs each rank of a parallel program (start, sampling and
//! writing of the recording), with 200 of them at once.

#![allow(clippy::print_stdout)]

#[path = "../support/mod.rs"]
#[macro_use]
mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};
use nix::time::{ClockId, clock_gettime};
use rsamp::process::Pid;
use rsamp::profile::Event;
use rsamp::sampler::{Budget, Children, EndRequest, Progress, Rate, Settings, StopPolicy, sample};
use support::pythons::{Python, pythons};

const ROUNDS: usize = 15;

/// Says when its first line runs, by the monotonic clock, and runs on for a while.
const PROGRAM: &str = "\
import time
print(repr(time.perf_counter()), flush=True)
while True: pass
";

/// How long the shell runs before it becomes Python.
const SHELL_RUNS_S: &str = "0.3";

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    println!("ms to the first sample: least, median, most of {ROUNDS}");
    println!(
        "{:<8} {:>24} {:>24} {:>24}",
        "Python", "record", "exec", "attach"
    );
    for python in pythons() {
        let is_wanted = wanted.is_empty() || wanted.iter().any(|w| python.label.starts_with(w));
        if python.version < (3, 6, 0) || !is_wanted {
            continue;
        }
        let record = measure(|| started(plain(&python)));
        let exec = measure(|| started(behind_shell(&python)));
        let attach = measure(|| attached(plain(&python)));
        println!("{:<8} {record:>24} {exec:>24} {attach:>24}", python.label);
        let (alone, with_rsamp) = (ranks(&python, false), ranks(&python, true));
        println!(
            "{:<8} a rank of 200: {alone:.1} ms of CPU alone, {:.1} ms more with rsamp (goal 20 ms)",
            python.label,
            with_rsamp - alone
        );
    }
}

/// The CPU time of a rank in ms, of 200 that start at once.
fn ranks(python: &Python, with_rsamp: bool) -> f64 {
    const RANKS: u32 = 200;
    let folder = tempfile::tempdir().expect("a folder");
    let spent = || {
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("usage");
        let ms = |time: TimeVal| time.num_microseconds() as f64 / 1e3;
        ms(usage.user_time()) + ms(usage.system_time())
    };
    let before = spent();
    let start = |rank: u32| {
        let mut words = python.command.clone();
        if with_rsamp {
            let own = [env!("CARGO_BIN_EXE_rsamp"), "record", "--gather"].map(str::to_owned);
            let gather = [folder.path().display().to_string(), "--".to_owned()];
            words.splice(0..0, own.into_iter().chain(gather));
        }
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(["-I", "-c", "pass"]);
        command
            .env("PMI_RANK", rank.to_string())
            .spawn()
            .expect("started")
    };
    let started: Vec<Child> = (0..RANKS).map(start).collect();
    for mut child in started {
        assert!(child.wait().expect("waited").success());
    }
    (spent() - before) / f64::from(RANKS)
}

fn measure(round: impl Fn() -> f64) -> String {
    let mut times: Vec<f64> = (0..ROUNDS).map(|_| round()).collect();
    times.sort_by(f64::total_cmp);
    let (least, most) = (times[0], times[ROUNDS - 1]);
    format!("{least:7.1} {:7.1} {most:7.1}", times[ROUNDS / 2])
}

fn plain(python: &Python) -> Command {
    let mut command = Command::new(&python.command[0]);
    command.args(&python.command[1..]);
    command.args(["-I", "-S", "-c", PROGRAM]);
    command
}

fn behind_shell(python: &Python) -> Command {
    let mut command = Command::new("sh");
    let script = format!("sleep {SHELL_RUNS_S}; exec \"$@\"");
    command.args(["-c", &script, "sh"]);
    command
        .args(&python.command)
        .args(["-I", "-S", "-c", PROGRAM]);
    command
}

/// From the first line of the program to its first sample, when rsamp is there from its start on.
fn started(mut command: Command) -> f64 {
    let mut child = spawn(&mut command);
    let pid = Pid(child.id() as i32);
    let sampler = std::thread::spawn(move || first_stack(pid));
    let first_line = told_time(&mut child);
    let seen = sampler.join().expect("no panic");
    end(child);
    (seen - first_line) * 1e3
}

/// From the call to the first sample of a program that runs.
fn attached(mut command: Command) -> f64 {
    let mut child = spawn(&mut command);
    told_time(&mut child);
    let begin = monotonic_s();
    let seen = first_stack(Pid(child.id() as i32));
    end(child);
    (seen - begin) * 1e3
}

fn spawn(command: &mut Command) -> Child {
    let command = command.stdout(Stdio::piped());
    command.spawn().expect("a running interpreter")
}

fn told_time(child: &mut Child) -> f64 {
    let output = child.stdout.as_mut().expect("a pipe");
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line).expect("a line");
    line.trim().parse().expect("a time")
}

fn end(mut child: Child) {
    child.kill().expect("killed");
    child.wait().expect("waited for");
}

/// When the first stack of process `pid` was seen.
fn first_stack(pid: Pid) -> f64 {
    let settings = Settings {
        rate: Rate::Auto,
        budget: Budget::Unlimited,
        duration: Some(Duration::from_millis(100)),
        delay: None,
        start_timeout: None,
        stops: StopPolicy::WhereNeeded,
        children: Children::Ignored,
        beside: Vec::new(),
        native: None,
    };
    let mut seen = None;
    let result = sample(
        pid,
        &settings,
        &EndRequest::default(),
        &Progress::default(),
        &mut |event| {
            if matches!(event, Event::Stack { .. }) && seen.is_none() {
                seen = Some(monotonic_s());
            }
        },
    );
    result.expect("a recording");
    seen.expect("a stack")
}

/// The clock of `time.perf_counter()`.
fn monotonic_s() -> f64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("a clock");
    Duration::from(now).as_secs_f64()
}
