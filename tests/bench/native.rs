//! Turns programs that run into what native frames cost: one stop, the unwinding of one stack, and how much longer the
//! programs take.
//!
//! ```sh
//! cargo bench --bench native              # on the first Python from 3.11 on, and with numpy where RSAMP_SCIENCE is set
//! cargo bench --bench native -- 3.13      # on another
//! ```
//!
//! - **stop**: from the request to the moment the thread may run on, registers and 16 KiB of stack read meanwhile; rsamp on
//!   the CPU of the thread, or on another one.
//! - **unwind**: of stacks taken one after another from one program, each once. What was met before is warm.
//! - **slowdown**: a program does the same work again and again, without rsamp, under `rsamp attach`, and with `--native` at
//!   two rates, in turn. Each is compared with the mean of the two runs without rsamp beside it, by wall time and by the
//!   CPU time of the program, which other programs on the machine disturb less.

#![allow(clippy::print_stdout)]

#[path = "../support/mod.rs"]
#[macro_use]
mod support;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid as Number;
use rsamp::memory::LiveMemory;
use rsamp::native::{NativeEnd, Registers, STACK_POINTER, StackCopy, Unwinder};
use rsamp::process::{Paused, PendingStop, Pid, Process, StopOutcome, Tid};
use support::programs::{Standing, command, program, run_command};
use support::pythons::{Python, pythons};

/// How many stops are timed.
const STOPS: usize = 400;

/// How many stacks are unwound.
const STACKS: usize = 1000;

/// How often each way of running a program has its turn.
const ROUNDS: usize = 15;

/// How long `rsamp attach` may take until it samples.
const START: Duration = Duration::from_millis(1500);

const STACK_BYTES: usize = 16 << 10;

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let is_wanted = |python: &Python| match wanted.as_slice() {
        [] => python.version >= (3, 11, 0),
        wanted => wanted.iter().any(|word| python.label.starts_with(word)),
    };
    let found = pythons().into_iter().find(is_wanted);
    let python = found.expect("a Python of RSAMP_PYTHONS");
    println!("Python {}", python.label);
    stops(&python);
    unwinding(&run_command(&mut command(&python, "spin.py")), "a loop");
    if let Ok(science) = std::env::var("RSAMP_SCIENCE") {
        let mut numpy = Command::new(Path::new(&science).join("bin/python"));
        let mut numpy = run_command(numpy.arg(program("blas.py")).arg("300"));
        numpy.send("go\n");
        unwinding(&numpy, "numpy");
    }
    slowdown(&mut command(&python, "fixed_work.py"), "one busy thread");
    let folder = tempfile::tempdir().expect("a folder");
    let library = folder.path().join("libbarriers.so");
    let mut cc = Command::new("cc");
    cc.args(["-O2", "-shared", "-fPIC", "-pthread", "-o"])
        .arg(&library);
    let built = cc.arg(program("barriers.c")).status().expect("cc");
    assert!(built.success());
    let cpus = thread::available_parallelism().map_or(2, usize::from);
    let mut barriers = command(&python, "fixed_work.py");
    barriers.arg(&library).arg(cpus.to_string());
    slowdown(
        &mut barriers,
        &format!("{cpus} threads that meet at barriers"),
    );
}

/// The thread of a program that has used most CPU time.
fn busiest(pid: i32) -> Tid {
    let process = Process::open(Pid(pid)).expect("the program");
    let tasks = process.tasks().expect("its threads").into_iter();
    let busiest = tasks.max_by_key(|tid| process.task_cpu(*tid).unwrap_or(0));
    busiest.expect("a thread")
}

fn on_cpu(thread: i32, cpu: usize) {
    let mut cpus = CpuSet::new();
    cpus.set(cpu).expect("a CPU");
    sched_setaffinity(Number::from_raw(thread), &cpus).expect("allowed");
}

/// Stops a thread; `None`: it ended.
fn stop(pid: Pid, tid: Tid) -> Option<Paused> {
    let mut pending = PendingStop::ask(pid, tid).ok()?;
    loop {
        match pending.poll() {
            StopOutcome::Stopped(paused) => return Some(paused),
            StopOutcome::Pending(still) => pending = still,
            StopOutcome::Ended => return None,
        }
        thread::yield_now();
    }
}

fn stops(python: &Python) {
    let program = run_command(&mut command(python, "spin.py"));
    let (pid, tid) = (Pid(program.pid()), busiest(program.pid()));
    let allowed = sched_getaffinity(Number::from_raw(0)).expect("CPUs");
    let cpus: Vec<usize> = (0..CpuSet::count())
        .filter(|cpu| allowed.is_set(*cpu).unwrap_or(false))
        .collect();
    on_cpu(tid.0, cpus[0]);
    let memory = LiveMemory::new(pid);
    for (name, cpu) in [("the same CPU", cpus.first()), ("another CPU", cpus.get(1))] {
        let Some(cpu) = cpu else {
            continue;
        };
        on_cpu(0, *cpu);
        for pause in [Duration::from_millis(1), Duration::from_millis(10)] {
            let mut took = Vec::new();
            for _ in 0..STOPS {
                thread::sleep(pause);
                let began = Instant::now();
                let paused = stop(pid, tid).expect("it runs");
                let registers = paused.registers().map(Registers::stopped);
                let at = registers.and_then(|it| it.get(STACK_POINTER));
                let copy = StackCopy::of_stopped(at.expect("known"), STACK_BYTES, &memory);
                drop(paused);
                took.push(micros(began));
                assert!(copy.is_some());
            }
            print_row(
                &format!("stop, {name}, every {} ms", pause.as_millis()),
                took,
            );
        }
    }
    sched_setaffinity(Number::from_raw(0), &allowed).expect("allowed");
}

fn unwinding(program: &Standing, name: &str) {
    let pid = Pid(program.pid());
    let process = Process::open(pid).expect("the program");
    thread::sleep(Duration::from_millis(100));
    let tid = busiest(pid.0);
    let memory = LiveMemory::new(pid);
    let mappings = process.mappings().expect("its mappings");
    let mut unwinder = Unwinder::new(&mappings, &memory);
    let (mut all, mut frames, mut whole) = (Vec::new(), 0, 0);
    for _ in 0..STACKS {
        thread::sleep(Duration::from_millis(1));
        let Some(paused) = stop(pid, tid) else {
            break;
        };
        let registers = paused.registers().map(Registers::stopped).expect("known");
        let at = registers.get(STACK_POINTER).expect("known");
        let stack = StackCopy::of_stopped(at, 64 << 10, &memory).expect("a stack");
        drop(paused);
        let began = Instant::now();
        let deadline = began + Duration::from_secs(1);
        let native = unwinder.unwind(registers, &stack, &[], &|| Instant::now() >= deadline);
        all.push(micros(began));
        frames += native.frames.len();
        whole += usize::from(native.end == NativeEnd::Outermost);
    }
    let count = all.len();
    println!(
        "{name}: {count} stacks of {:.1} frames, {whole} up to the thread's start",
        frames as f64 / count as f64
    );
    let warm = all.split_off(count.min(100));
    print_row(&format!("unwind, {name}, the first 100"), all);
    print_row(&format!("unwind, {name}, the others"), warm);
}

/// How a program runs.
#[derive(Debug, Clone, Copy)]
struct Way {
    name: &'static str,
    /// The options of `rsamp attach`; `None`: without rsamp.
    options: Option<&'static [&'static str]>,
}

const WAYS: [Way; 4] = [
    Way {
        name: "without rsamp, again",
        options: None,
    },
    Way {
        name: "attach",
        options: Some(&[]),
    },
    Way {
        name: "attach --native=100",
        options: Some(&["--native=100"]),
    },
    Way {
        name: "attach --native=1000",
        options: Some(&["--native=1000"]),
    },
];

fn slowdown(command: &mut Command, name: &str) {
    let mut program = run_command(command);
    let folder = tempfile::tempdir().expect("a folder");
    let mut ratios = vec![(Vec::new(), Vec::new()); WAYS.len()];
    let mut before = work(&mut program);
    for _ in 0..ROUNDS {
        for (way, (wall, cpu)) in WAYS.iter().zip(&mut ratios) {
            let rsamp = way
                .options
                .map(|options| attach(options, program.pid(), folder.path()));
            let found = work(&mut program);
            if let Some(rsamp) = rsamp {
                end(rsamp);
            }
            let after = work(&mut program);
            wall.push(2.0 * found.0 / (before.0 + after.0));
            cpu.push(2.0 * found.1 / (before.1 + after.1));
            before = after;
        }
    }
    for (way, (wall, cpu)) in WAYS.iter().zip(ratios) {
        print_row(&format!("{name}, {}: wall ×", way.name), wall);
        print_row(&format!("{name}, {}: CPU ×", way.name), cpu);
    }
}

/// Lets the program do its work; how long it took, wall and CPU.
fn work(program: &mut Standing) -> (f64, f64) {
    program.send("go\n");
    let line = program.line();
    let mut numbers = line
        .split_whitespace()
        .map(|word| word.parse().expect("seconds"));
    (numbers.next().expect("wall"), numbers.next().expect("CPU"))
}

fn attach(options: &[&str], pid: i32, folder: &Path) -> Child {
    let mut rsamp = Command::new(env!("CARGO_BIN_EXE_rsamp"));
    rsamp.args(["attach", "--quiet", "--force", "-o", "a.rsamp"]);
    rsamp.args(options).arg("--pid").arg(pid.to_string());
    let rsamp = rsamp.current_dir(folder).stderr(Stdio::null()).spawn();
    thread::sleep(START);
    rsamp.expect("rsamp")
}

fn end(mut rsamp: Child) {
    kill(Number::from_raw(rsamp.id().cast_signed()), Signal::SIGINT).expect("it runs");
    let status = rsamp.wait().expect("it ends");
    assert!(status.success(), "rsamp attach: {status}");
}

fn micros(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e6
}

/// Least, median, 90th percentile, most.
fn print_row(name: &str, mut values: Vec<f64>) {
    values.sort_by(f64::total_cmp);
    let at = |part: f64| {
        let last = values.len().saturating_sub(1) as f64;
        values
            .get((part * last).round() as usize)
            .copied()
            .unwrap_or(f64::NAN)
    };
    let digits = if name.ends_with('×') { 3 } else { 1 };
    let figures = [0.0, 0.5, 0.9, 1.0].map(|part| format!("{:>10.digits$}", at(part)));
    println!("{name:<60}{}", figures.concat());
}
