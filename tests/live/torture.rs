//! Programs that do nothing but call, sampled at full speed: hardly a stack may be impossible, none lost.

#![allow(clippy::print_stderr)]

use std::collections::{BTreeMap, HashMap};
use std::process::Command;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use rsamp::cpython::locate::{Found, locate};
use rsamp::cpython::reader::{Reader, Reading, StopPolicy};
use rsamp::memory::LiveMemory;
use rsamp::process::{Pid, Process};
use rsamp::profile::Profile;
use rsamp::profile::event::{Event, StackId};
use rsamp::sampler::intern::Interner;
use rsamp::sampler::target::stopper;
use serde_json::Value;

use crate::programs::{program, run};
use crate::pythons::{Python, pythons};

const PROGRAMS: [&str; 8] = [
    "chain",
    "alternate",
    "generators",
    "callbacks",
    "exceptions",
    "recursion",
    "threads",
    "codechurn",
];

/// Ticks of each program in each mode; `RSAMP_TORTURE_TICKS` asks for more.
const TICKS: u64 = 3_000;

/// How the programs are sampled. Without stops what is impossible is printed and not judged: these stacks change too fast
/// for copies, and how they are completed is a guess. That none is lost is judged in both.
const MODES: [StopPolicy; 2] = [StopPolicy::Always, StopPolicy::Never];

/// Of how many samples of a stopped thread one may be impossible.
const MOST_IMPOSSIBLE_IN: u64 = 1_000;

/// Which function may call which: what the program prints with `--legal`.
struct Grammar {
    parents: HashMap<String, Vec<String>>,
    roots: Vec<String>,
    numbered: Vec<String>,
}

impl Grammar {
    fn of(python: &Python, name: &str) -> Grammar {
        let output = Command::new(&python.command[0])
            .args(&python.command[1..])
            .arg(program(name))
            .arg("--legal")
            .output()
            .expect("run the program");
        let told: Value = serde_json::from_slice(&output.stdout).expect("a grammar");
        let words = |value: &Value| -> Vec<String> {
            let list = value.as_array().cloned().unwrap_or_default();
            list.iter()
                .filter_map(|word| word.as_str().map(str::to_owned))
                .collect()
        };
        let parents = told["parents"].as_object().expect("parents");
        Grammar {
            parents: parents
                .iter()
                .map(|(child, list)| (child.clone(), words(list)))
                .collect(),
            roots: words(&told["roots"]),
            numbered: words(&told["numbered"]),
        }
    }

    /// A name without what does not count of it: the enclosing function, and the number of one that
    /// is numbered.
    fn split<'n>(&self, name: &'n str) -> (&'n str, Option<&'n str>) {
        let name = name.rsplit('.').next().unwrap_or(name);
        match name.rsplit_once('_') {
            Some((base, number)) if self.numbered.iter().any(|word| word == base) => {
                (base, Some(number))
            }
            _ => (name, None),
        }
    }

    fn knows(&self, name: &str) -> bool {
        let (base, _) = self.split(name);
        self.parents.contains_key(base) || self.roots.iter().any(|root| root == base)
    }

    fn allows(&self, parent: &str, child: &str) -> bool {
        let (parent, child) = (self.split(parent), self.split(child));
        let numbers_match = match (parent.1, child.1) {
            (Some(parent), Some(child)) => parent == child,
            _ => true,
        };
        let parents = self.parents.get(child.0);
        numbers_match && parents.is_some_and(|list| list.iter().any(|name| name == parent.0))
    }

    /// What is impossible in a stack, innermost frame first.
    fn complaint(&self, stack: &[&str]) -> Option<String> {
        let outermost = stack.last()?;
        // Start-up, shutdown and the standard library are not the program's.
        if stack.iter().any(|name| !self.knows(name)) {
            return None;
        }
        if !self
            .roots
            .iter()
            .any(|root| root == self.split(outermost).0)
        {
            return Some(format!("outermost: {outermost}"));
        }
        let pair = stack
            .windows(2)
            .find(|pair| !self.allows(pair[1], pair[0]))?;
        Some(format!("{} > {}", pair[1], pair[0]))
    }
}

/// What came of a run.
#[derive(Debug, Default)]
struct Outcome {
    samples: u64,
    lost: u64,
    undetermined: u64,
    stops: u64,
    distinct: usize,
    impossible: u64,
    examples: BTreeMap<String, u64>,
    seconds: f64,
}

/// Gives the program a CPU of its own where there are two: one that shares ours stands still whenever we
/// look.
fn keep_apart(pid: Pid) {
    let us = nix::unistd::Pid::from_raw(0);
    let allowed = sched_getaffinity(us).expect("our CPUs");
    let usable = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false));
    let usable: Vec<usize> = usable.collect();
    let [ours, .., theirs] = usable[..] else {
        return;
    };
    for (pid, cpu) in [(us, ours), (nix::unistd::Pid::from_raw(pid.0), theirs)] {
        let mut set = CpuSet::new();
        set.set(cpu).expect("a CPU");
        // A program of many threads leaves some behind; the sampler's own thread is what counts.
        sched_setaffinity(pid, &set).expect("the CPU of a process");
    }
}

fn torture(python: &Python, name: &str, stops: StopPolicy, ticks: u64) -> Outcome {
    let file = format!("torture/{name}.py");
    let grammar = Grammar::of(python, &file);
    let running = run(python, &file);
    let pid = Pid(running.pid());
    keep_apart(pid);
    let process = Process::open(pid).expect("the process");
    let memory = LiveMemory::new(pid);
    let Ok(Found::Native(interpreter)) = locate(&process, &memory) else {
        panic!("no interpreter in {}", python.label);
    };
    let mut reader = Reader::new(*interpreter);
    if stops != StopPolicy::Never {
        reader.allow_stops(stops, stopper(pid));
    }
    let mut interner = Interner::default();
    let mut profile = Profile::default();
    let mut counts: HashMap<Option<StackId>, u64> = HashMap::new();
    let mut outcome = Outcome::default();
    let start = std::time::Instant::now();
    for _ in 0..ticks {
        reader.tick(&memory).expect("the interpreter");
        let tick = reader.last();
        outcome.undetermined += tick.undetermined.total();
        outcome.stops += tick.stops;
        for (reading, thread) in tick.readings.iter().zip(reader.threads()) {
            match reading {
                Reading::Stack | Reading::Same => {
                    let raw = thread.stack();
                    let mut emit = |event: Event| profile.apply(event);
                    let stack = interner.stack(raw, reader.codes(), &mut emit).stack;
                    *counts.entry(stack).or_default() += 1;
                    outcome.samples += 1;
                }
                Reading::Unsampled => {}
                Reading::Torn | Reading::Gone => outcome.lost += 1,
            }
        }
    }
    outcome.seconds = start.elapsed().as_secs_f64();
    outcome.distinct = counts.len();
    for (stack, count) in counts {
        let names: Vec<&str> = profile
            .frames_of(stack)
            .map(|frame| frame.name.as_str())
            .collect();
        if let Some(complaint) = grammar.complaint(&names) {
            outcome.impossible += count;
            *outcome.examples.entry(complaint).or_default() += count;
        }
    }
    outcome
}

#[test]
fn hardly_a_stack_is_impossible_and_none_is_lost() {
    let ticks = std::env::var("RSAMP_TORTURE_TICKS")
        .ok()
        .and_then(|t| t.parse().ok());
    let only = std::env::var("RSAMP_TORTURE_ONLY").unwrap_or_default();
    let mut wrong = Vec::new();
    for python in pythons()
        .iter()
        .filter(|python| python.version >= (3, 6, 0))
    {
        let names = PROGRAMS
            .iter()
            .filter(|name| only.is_empty() || only.contains(**name));
        for (name, stops) in names.flat_map(|name| MODES.map(|mode| (name, mode))) {
            // On a thread of its own, which keeps to its CPU.
            let outcome = std::thread::scope(|scope| {
                let run = scope.spawn(|| torture(python, name, stops, ticks.unwrap_or(TICKS)));
                run.join().expect("no panic")
            });
            let rate = outcome.samples as f64 / outcome.seconds / 1000.0;
            eprintln!(
                "{:8} {name:12} {stops:?} {:8} samples {rate:6.0} kHz {:5} stacks, impossible {}, undetermined {}, stops {}, lost {} {:?}",
                python.label,
                outcome.samples,
                outcome.distinct,
                outcome.impossible,
                outcome.undetermined,
                outcome.stops,
                outcome.lost,
                outcome.examples.iter().take(3).collect::<Vec<_>>()
            );
            let is_wrong = stops != StopPolicy::Never
                && outcome.impossible * MOST_IMPOSSIBLE_IN > outcome.samples;
            if is_wrong || outcome.lost * 100 > outcome.samples {
                wrong.push(format!("{} {name} {stops:?}: {outcome:?}", python.label));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "impossible or lost stacks:\n{}",
        wrong.join("\n")
    );
}
