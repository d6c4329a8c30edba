//! Turns programs with known shares into samples of a virtual interpreter, and compares the shares of these.
//!
//! The interpreter runs in synthetic memory while it is read: a clock advances with every range that the reader
//! copies. So a reader that prefers some moments to others shows here, and every run is the same.

mod layouts;
mod memory;
mod object_frames;
mod program;
mod programs;
mod setup;
mod shares;
mod stack_frames;
mod target;
mod thread;

use std::collections::HashMap;

use rsamp::cpython::reader::{Reader, Reading};
use rsamp::memory::Address;

use layouts::Python;
use program::{Function, Program};
use setup::Setup;
use shares::Shares;
use target::Target;
use thread::{NS, Thread};

/// How long a log is, about.
const LOG_PS: u64 = 1_000_000 * NS;

/// The least time between two ticks; up to the length of the log more comes by chance, so that every moment of the
/// log is as likely.
const LEAST_WAIT_PS: u64 = 500_000 * NS;

/// Ticks of all programs of a version together.
const TICKS: usize = 1_000_000;

/// Programs, each of which runs by itself.
fn programs() -> Vec<Vec<Program>> {
    vec![
        vec![programs::calls()],
        vec![programs::generators()],
        vec![programs::awaits()],
        vec![programs::operators()],
        vec![programs::recursion()],
        vec![programs::exceptions()],
        vec![programs::greenlets()],
        vec![programs::calls(), programs::generators()],
    ]
}

/// The samples of one program's threads, and the truth.
struct Run {
    found: Vec<Shares>,
    truth: Vec<Shares>,
}

fn sample(python: &'static Python, programs: &[Program], ticks: usize) -> Run {
    let refs: Vec<&Program> = programs.iter().collect();
    let mut setup = Setup::new(python, &refs);
    let (mut logs, mut stacks) = (Vec::new(), Vec::new());
    for (number, program) in programs.iter().enumerate() {
        let mut thread = Thread::new(&mut setup, number, program);
        logs.push(thread.run(LOG_PS));
        setup.memory = std::mem::take(&mut thread.recorder.memory);
        stacks.push(thread.stacks);
    }
    let most_wait_ps = LEAST_WAIT_PS + logs.iter().map(memory::Log::length_ps).max().unwrap_or(0);
    let functions = functions_by_code(&setup);
    let mut reader = Reader::new(setup.interpreter());
    let states = setup.threads.clone();
    let counts: Vec<usize> = stacks.iter().map(Vec::len).collect();
    let target = Target::new(setup, logs, &counts);
    let new_shares = || {
        programs
            .iter()
            .map(|program| Shares::new(program.functions.len()))
            .collect()
    };
    let mut found: Vec<Shares> = new_shares();
    let mut known: Vec<Option<Vec<Function>>> = vec![None; programs.len()];
    let mut random = 0x2545_F491_4F6C_DD1D;
    let mut last_ps = 0;
    for tick in 0..ticks {
        reader.tick(&target).expect("an interpreter");
        let now_ps = target.now_ps();
        let readings = reader.last().readings.iter().zip(reader.threads());
        for (reading, thread) in readings {
            let number = states.iter().position(|state| *state == thread.state.0);
            let number = number.expect("a thread of the target");
            match reading {
                Reading::Stack => {
                    let frames = thread.stack().frames.iter();
                    let function = |frame: &rsamp::cpython::frames::RawFrame| {
                        functions.get(&frame.code).copied()
                    };
                    known[number] = frames.map(function).collect();
                    found[number].draw();
                }
                Reading::Same => {}
                _ => {
                    known[number] = None;
                    found[number].draw();
                }
            }
            if tick > 0 {
                let time = (now_ps - last_ps) as f64;
                found[number].add(known[number].as_deref(), time);
            }
        }
        last_ps = now_ps;
        target.wait(LEAST_WAIT_PS + below(&mut random, most_wait_ps - LEAST_WAIT_PS));
    }
    let mut truth: Vec<Shares> = new_shares();
    for (number, times) in target.truth().into_iter().enumerate() {
        for (stack, time) in times.into_iter().enumerate() {
            truth[number].add(Some(&stacks[number][stack]), time);
        }
    }
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

/// A number below `end`: xorshift64* (Vigna 2016).
fn below(random: &mut u64, end: u64) -> u64 {
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    let number = random.wrapping_mul(0x2545_F491_4F6C_DD1D);
    ((u128::from(number) * u128::from(end)) >> 64) as u64
}

fn check(python: &'static Python) {
    let programs = programs();
    let ticks = TICKS / programs.len();
    let mut wrong = String::new();
    for threads in &programs {
        let run = sample(python, threads, ticks);
        for (number, program) in threads.iter().enumerate() {
            let names: Vec<&str> = program.functions.iter().map(|(name, _)| *name).collect();
            let (found, truth) = (&run.found[number], &run.truth[number]);
            let (deviations, largest) = found.deviations(truth, &names, 0.0);
            eprintln!(
                "{} ({} threads): at most {largest:.3} points off",
                program.name,
                threads.len()
            );
            if !deviations.is_empty() {
                wrong += &format!("{}:\n{deviations}", program.name);
            }
        }
    }
    assert!(wrong.is_empty(), "{:#x}\n{wrong}", python.hex);
}

#[test]
fn shares_are_true_on_3_6() {
    check(&layouts::V3_6);
}

#[test]
fn shares_are_true_on_3_7() {
    check(&layouts::V3_7);
}

#[test]
fn shares_are_true_on_3_8() {
    check(&layouts::V3_8);
}

#[test]
fn shares_are_true_on_3_9() {
    check(&layouts::V3_9);
}

#[test]
fn shares_are_true_on_3_10() {
    check(&layouts::V3_10);
}

#[test]
fn shares_are_true_on_3_11() {
    check(&layouts::V3_11);
}

#[test]
fn shares_are_true_on_3_12() {
    check(&layouts::V3_12);
}

#[test]
fn shares_are_true_on_3_13() {
    check(&layouts::V3_13);
}

#[test]
fn shares_are_true_on_3_14() {
    check(&layouts::V3_14);
}

#[test]
fn shares_are_true_on_3_15() {
    check(&layouts::V3_15);
}
