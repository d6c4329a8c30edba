//! Turns programs into samples of a virtual target that runs them, and these into shares.

use std::collections::HashMap;
use std::rc::Rc;

use rsamp::cpython::{KnownThread, RawFrame, Reader, Reading, StackEnd, StopPolicy};
use rsamp::memory::Address;
use rsamp::sampler::NEW_THREADS;

use super::chance::below;
use super::layouts::Python;
use super::memory::Log;
use super::program::{Function, Program};
use super::setup::Setup;
use super::shares::Shares;
use super::target::{Stopper, Target};
use super::thread::{NS, Thread};

/// How long a log is, about.
const LOG_PS: u64 = 250_000 * NS;

/// The least time between two ticks; up to the length of the log more comes by chance, so that every moment of the
/// log is as likely.
const LEAST_WAIT_PS: u64 = 850_000 * NS;

/// The samples of one program's threads, and the truth.
pub struct Run {
    pub found: Vec<Shares>,
    pub truth: Vec<Shares>,
}

/// A target that has just begun, and the reader that looks at it.
pub struct Sampled {
    pub target: Rc<Target>,
    reader: Reader,
    states: Vec<u64>,
    /// The function of each code object.
    functions: HashMap<Address, Function>,
    /// The stacks of each thread by their numbers.
    pub stacks: Vec<Vec<Vec<Function>>>,
    longest_log_ps: u64,
    random: u64,
}

impl Sampled {
    /// An interpreter with a thread for each program.
    pub fn new(python: &'static Python, programs: &[Program], stops: StopPolicy) -> Sampled {
        let refs: Vec<&Program> = programs.iter().collect();
        let mut setup = Setup::new(python, &refs);
        let (mut logs, mut stacks) = (Vec::new(), Vec::new());
        for (number, program) in programs.iter().enumerate() {
            let mut thread = Thread::new(&mut setup, number, program);
            logs.push(thread.run(LOG_PS));
            setup.memory = std::mem::take(&mut thread.recorder.memory);
            stacks.push(thread.stacks);
        }
        let longest = logs.iter().map(Log::length_ps).max();
        let functions = functions_by_code(&setup);
        let mut reader = Reader::new(setup.interpreter());
        let states = setup.threads.clone();
        let counts: Vec<usize> = stacks.iter().map(Vec::len).collect();
        let target = Rc::new(Target::new(setup, logs, &counts));
        let clock = Rc::clone(&target);
        reader.use_clock(Box::new(move || clock.now_ps() / NS));
        reader.allow_stops(stops, Box::new(Stopper(Rc::clone(&target))));
        reader.look_for_threads_every(NEW_THREADS);
        Sampled {
            target,
            reader,
            states,
            functions,
            stacks,
            longest_log_ps: longest.unwrap_or(0),
            random: 0x2545_F491_4F6C_DD1D,
        }
    }

    /// Reads all threads: the number of each, its reading and its stack, innermost function first.
    pub fn tick(&mut self) -> Vec<(usize, Reading, Option<Vec<Function>>)> {
        self.reader.tick(&*self.target).expect("an interpreter");
        let readings = self.reader.last().readings.iter();
        let threads = readings.zip(self.reader.threads());
        let of = |(reading, thread): (&Reading, &KnownThread)| {
            let number = self
                .states
                .iter()
                .position(|state| *state == thread.state.0);
            let function = |frame: &RawFrame| self.functions.get(&frame.code).copied();
            let frames = thread.stack().frames.iter();
            let stack = match reading {
                Reading::Torn | Reading::Gone => None,
                _ => frames.map(function).collect(),
            };
            (number.expect("a thread of the target"), *reading, stack)
        };
        threads.map(of).collect()
    }

    /// How many threads have a stack of which a part is missing.
    pub fn cut_stacks(&self) -> usize {
        let stacks = self.reader.threads().iter().map(KnownThread::stack);
        stacks
            .filter(|stack| stack.end != StackEnd::Outermost)
            .count()
    }

    /// Adds for how long each thread had which stack.
    pub fn add_truth(&self, truth: &mut [Shares]) {
        for (number, times) in self.target.truth().into_iter().enumerate() {
            for (stack, time) in times.into_iter().enumerate() {
                truth[number].add(Some(&self.stacks[number][stack]), time);
            }
        }
    }

    /// Lets time pass until the next tick.
    pub fn wait(&mut self) {
        let more_ps = below(&mut self.random, self.longest_log_ps);
        self.target.wait(LEAST_WAIT_PS + more_ps);
    }
}

/// Samples an interpreter with a thread for each program.
pub fn sample(
    python: &'static Python,
    programs: &[Program],
    stops: StopPolicy,
    ticks: usize,
) -> Run {
    let mut sampled = Sampled::new(python, programs, stops);
    let functions = programs.iter().map(|program| program.functions.len());
    let mut found: Vec<Shares> = functions.map(Shares::new).collect();
    let mut truth = found.clone();
    let mut last_ps = None;
    for _ in 0..ticks {
        let now_ps = sampled.target.now_ps();
        let threads = sampled.tick();
        for (number, reading, stack) in threads {
            if !matches!(reading, Reading::Same | Reading::Unsampled) {
                found[number].draw();
            }
            let time_ps = now_ps - last_ps.unwrap_or(now_ps);
            found[number].add(stack.as_deref(), time_ps as f64);
        }
        last_ps = Some(now_ps);
        sampled.wait();
    }
    sampled.add_truth(&mut truth);
    Run { found, truth }
}

/// The function of each code object.
fn functions_by_code(setup: &Setup) -> HashMap<Address, Function> {
    let threads = setup.codes.iter();
    let codes = threads.flat_map(|codes| codes.iter().enumerate());
    codes
        .map(|(function, code)| (Address(*code), function))
        .collect()
}
