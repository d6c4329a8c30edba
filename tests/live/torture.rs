//! Programs that do nothing but call, sampled at full speed: hardly a stack may be impossible, none lost.

use std::collections::{BTreeMap, HashMap};

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

use crate::support::programs::{program, run};
use crate::support::pythons::Python;

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

/// How many samples of each version are judged in each mode; `RSAMP_TORTURE_SAMPLES` asks for more.
const SAMPLES: u64 = 24_000;

/// Of ticks at which no thread ran there may be so many for each sample.
const TICKS_PER_SAMPLE: u64 = 4;

/// Of a million stacks, how many were impossible that were read of a stopped thread, and of a running one: MEASURED.
const IMPOSSIBLE_PER_MILLION: [(&str, f64, f64); 11] = [
    ("v3_6", 0.0, 0.0),
    ("v3_7", 0.0, 0.0),
    ("v3_8", 0.0, 0.0),
    ("v3_9", 0.0, 0.0),
    ("v3_10", 0.0, 0.0),
    ("v3_11", 0.0, 0.0),
    ("v3_12", 0.0, 0.0),
    ("v3_13", 0.0, 0.0),
    ("v3_14", 0.0, 0.0),
    ("v3_15", 0.0, 0.0),
    ("system", 0.0, 0.0),
];

/// A stopped thread is read while nothing moves; a running one by copies that are completed afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Stopped,
    Running,
}

/// How many of so many stacks may be impossible where `per_million` are: what chance makes of them (a Poisson number,
/// 4 σ), and none where there are none.
fn most_impossible(per_million: f64, samples: u64) -> u64 {
    let expected = samples as f64 * per_million / 1e6;
    (expected + 4.0 * expected.sqrt()) as u64
}

/// Which function may call which: what the program prints with `--legal`.
struct Grammar {
    parents: HashMap<String, Vec<String>>,
    roots: Vec<String>,
    numbered: Vec<String>,
}

impl Grammar {
    fn of(python: &Python, name: &str) -> Grammar {
        let output = python
            .interpreter()
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

fn torture(python: &Python, name: &str, mode: Mode, wanted: u64) -> Outcome {
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
    if mode == Mode::Stopped {
        reader.allow_stops(StopPolicy::Always, stopper(pid));
    }
    let mut interner = Interner::default();
    let mut profile = Profile::default();
    let mut counts: HashMap<Option<StackId>, u64> = HashMap::new();
    let mut outcome = Outcome::default();
    let start = std::time::Instant::now();
    for _ in 0..wanted * TICKS_PER_SAMPLE {
        if outcome.samples >= wanted {
            break;
        }
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

fn judge(python: &Python, mode: Mode) {
    let asked = std::env::var("RSAMP_TORTURE_SAMPLES").ok();
    let samples = asked.and_then(|asked| asked.parse().ok());
    let samples: u64 = samples.unwrap_or(SAMPLES);
    let name = python.name();
    let (mut all, mut impossible, mut undetermined, mut lost) = (0, 0, 0, 0);
    let mut is_lost = false;
    let mut wrong = Vec::new();
    for program in PROGRAMS {
        // On a thread of its own, which keeps to its CPU.
        let outcome = std::thread::scope(|scope| {
            let wanted = samples.div_ceil(PROGRAMS.len() as u64);
            let run = scope.spawn(move || torture(python, program, mode, wanted));
            run.join().expect("no panic")
        });
        let rate = outcome.samples as f64 / outcome.seconds / 1000.0;
        eprintln!("{name} {program} {mode:?} {rate:.0} kHz {outcome:?}");
        all += outcome.samples;
        impossible += outcome.impossible;
        undetermined += outcome.undetermined;
        lost += outcome.lost;
        if outcome.lost * 100 > outcome.samples {
            is_lost = true;
            wrong.push(format!("{program}: {} lost", outcome.lost));
        }
        if outcome.impossible > 0 {
            wrong.push(format!("{program}: {:?}", outcome.examples));
        }
    }
    // scripts/nightly makes a table of this line.
    eprintln!(
        "torture: {name} {mode:?} {all} samples {impossible} impossible {undetermined} undetermined {lost} lost"
    );
    let per_million = IMPOSSIBLE_PER_MILLION.iter().find(|row| row.0 == name);
    let (_, stopped, running) = per_million.expect("a row for each version");
    let most = match mode {
        Mode::Stopped => most_impossible(*stopped, all),
        Mode::Running => most_impossible(*running, all),
    };
    assert!(
        impossible <= most && !is_lost,
        "{name} {mode:?}: {impossible} of {all} stacks are impossible ({most} may be), {lost} are lost:\n{}",
        wrong.join("\n")
    );
}

fn stacks_of_stopped_threads_are_possible(python: &Python) {
    judge(python, Mode::Stopped);
}

test_on_each!(stacks_of_stopped_threads_are_possible);

fn stacks_of_running_threads_are_possible(python: &Python) {
    judge(python, Mode::Running);
}

test_on_each!(stacks_of_running_threads_are_possible);
