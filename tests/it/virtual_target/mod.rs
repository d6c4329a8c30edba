//! Turns programs with known shares into samples of a virtual interpreter, and compares the shares of these.
//!
//! The interpreter runs in synthetic memory while it is read: a clock advances with every range that the reader
//! copies, and every store has its moment. So a reader that prefers some moments to others shows here. Every run is
//! the same.

mod chance;
mod layouts;
mod memory;
mod object_frames;
mod program;
mod programs;
mod sampling;
mod setup;
mod shares;
mod stack_frames;
mod target;
mod thread;

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt::Write as _;

use rsamp::cpython::StopPolicy;

use layouts::Python;
use program::{Function, Program};
use sampling::{Sampled, sample};
use shares::Shares;

/// Ticks of all programs of a version together.
const TICKS: usize = 1_000_000;

/// Ticks where each of them stops the thread, or none does.
const TICKS_OF_ONE_KIND: usize = 100_000;

/// So many points more than by chance a share may be off where no thread is stopped, in programs of plain calls of 20 to
/// 90 ns: a copy takes as long as several of them. What else the programs do needs stops at that speed.
const POINTS_WITHOUT_STOPS: f64 = 7.0;

/// And where the frames of the data stack tell by themselves which of them was executing: in 3.11 to 3.13.
const POINTS_WHERE_MARKED: f64 = 2.0;

/// Ticks of each program at which the target stands still, and how many of them may come between two stores that
/// belong together.
const STANDING_TICKS: usize = 2_000;
const MOST_WRONG: usize = STANDING_TICKS / 100;

/// Of so many ticks, how many stacks of greenlets may lack a part where nothing is stopped.
const MOST_CUT: usize = STANDING_TICKS / 1000;

/// Ticks of each program without a reader.
const MOMENTS: usize = 50_000;

/// Programs, each of which runs by itself; the last are two threads of one interpreter.
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

/// Compares the shares of every program; returns what is wrong, and the largest deviations if something is.
fn compare(python: &'static Python, stops: StopPolicy, ticks: usize, points: f64) -> String {
    let programs = programs();
    let ticks = ticks / programs.len();
    let (mut wrong, mut told) = (String::new(), String::new());
    for threads in &programs {
        let run = sample(python, threads, stops, ticks);
        for (number, program) in threads.iter().enumerate() {
            let names: Vec<&str> = program.functions.iter().map(|(name, _)| *name).collect();
            let (found, truth) = (&run.found[number], &run.truth[number]);
            let (deviations, largest) = found.deviations(truth, &names, points);
            let _ = write!(told, " {} {largest:.2}", program.name);
            let is_told = stops != StopPolicy::Never || program.name == "calls";
            if is_told && !deviations.is_empty() {
                let (name, count) = (program.name, threads.len());
                let _ = write!(wrong, "{name} (threads: {count}):\n{deviations}");
            }
        }
    }
    if !wrong.is_empty() {
        let _ = writeln!(wrong, "largest deviations in points:{told}");
        wrong.insert_str(0, &format!("with stops {stops:?}:\n"));
    }
    wrong
}

fn check(python: &'static Python) {
    let mut wrong = compare(python, StopPolicy::WhereNeeded, TICKS, 0.0);
    wrong += &compare(python, StopPolicy::Always, TICKS_OF_ONE_KIND, 0.0);
    let points = match python.hex {
        0x030B_0000..0x030E_0000 => POINTS_WHERE_MARKED,
        _ => POINTS_WITHOUT_STOPS,
    };
    wrong += &compare(python, StopPolicy::Never, TICKS_OF_ONE_KIND, points);
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

/// Reads a target that stands still at every tick: the stack is the one that the current frame names then.
fn check_standing(python: &'static Python, threads: &[Program]) {
    let mut sampled = Sampled::new(python, threads, StopPolicy::Always);
    let mut wrong: HashMap<String, usize> = HashMap::new();
    for _ in 0..STANDING_TICKS {
        sampled.target.stand_still(true);
        let truth = sampled.target.stacks_now();
        for (number, reading, stack) in sampled.tick() {
            let expected = &sampled.stacks[number][truth[number]];
            if stack.as_ref() != Some(expected) {
                let found = stack.map(|stack| names(&threads[number], &stack));
                let expected = names(&threads[number], expected);
                *wrong
                    .entry(format!("{reading:?} {found:?}, true {expected:?}"))
                    .or_default() += 1;
            }
        }
        sampled.target.stand_still(false);
        sampled.wait();
    }
    let mut wrong: Vec<(String, usize)> = wrong.into_iter().collect();
    wrong.sort_by_key(|(line, count)| (Reverse(*count), line.clone()));
    let sum: usize = wrong.iter().map(|(_, count)| count).sum();
    let (hex, name) = (python.hex, threads[0].name);
    assert!(
        sum <= MOST_WRONG,
        "{hex:#x} {name}: {sum} wrong: {wrong:#?}"
    );
}

fn names<'a>(program: &'a Program, stack: &[Function]) -> Vec<&'a str> {
    let names = stack.iter().map(|function| program.functions[*function].0);
    names.collect()
}

#[test]
fn a_thread_that_stands_still_has_the_stack_that_its_current_frame_names() {
    for python in layouts::ALL {
        for threads in programs() {
            check_standing(python, &threads);
        }
    }
}

/// A greenlet has no entry frames while it is switched to or from.
#[test]
fn stacks_of_greenlets_lead_to_the_function_that_each_begins_with() {
    for python in [
        &layouts::V3_9,
        &layouts::V3_11,
        &layouts::V3_12,
        &layouts::V3_13,
    ] {
        for (stops, most) in [(StopPolicy::WhereNeeded, 0), (StopPolicy::Never, MOST_CUT)] {
            let mut sampled = Sampled::new(python, &[programs::greenlets()], stops);
            let mut cut = 0;
            for _ in 0..STANDING_TICKS {
                sampled.tick();
                cut += sampled.cut_stacks();
                sampled.wait();
            }
            assert!(cut <= most, "{:#x} {stops:?}: {cut} cut", python.hex);
        }
    }
}

/// The stacks that the threads have when a tick begins, without a reader.
fn check_moments(python: &'static Python, threads: &[Program]) {
    let mut sampled = Sampled::new(python, threads, StopPolicy::Always);
    let functions = threads.iter().map(|program| program.functions.len());
    let mut found: Vec<Shares> = functions.map(Shares::new).collect();
    let mut truth = found.clone();
    for _ in 0..MOMENTS {
        for (number, stack) in sampled.target.stacks_now().into_iter().enumerate() {
            found[number].draw();
            found[number].add(Some(&sampled.stacks[number][stack]), 1.0);
        }
        sampled.wait();
    }
    sampled.add_truth(&mut truth);
    for (number, program) in threads.iter().enumerate() {
        let names: Vec<&str> = program.functions.iter().map(|(name, _)| *name).collect();
        let (wrong, _) = found[number].deviations(&truth[number], &names, 0.0);
        assert!(
            wrong.is_empty(),
            "{:#x} {}:\n{wrong}",
            python.hex,
            program.name
        );
    }
}

#[test]
fn ticks_come_at_every_moment_of_a_program_alike() {
    for python in [&layouts::V3_9, &layouts::V3_11, &layouts::V3_14] {
        for threads in programs() {
            check_moments(python, &threads);
        }
    }
}
