//! Records a recursion that is too deep to keep all of it, on every interpreter.

use std::time::{Duration, Instant};

use rsamp::cpython::KEPT_AT_EACH_END;
use rsamp::profile::{LostCause, Profile, StackId};
use rsamp::sampler::{Ended, LEFT_OUT_FRAMES, UNKNOWN_FUNCTION};

use crate::life::Recording;
use crate::stacks::dump;
use crate::support::programs::run;
use crate::support::pythons::Python;

/// So many samples are looked at.
const SAMPLES: u64 = 20;

/// So often a dump is tried.
const DUMPS: u32 = 5;

/// No build of rsamp takes longer for one look, however busy the machine is.
const LONGEST_DUMP: Duration = Duration::from_secs(5);

/// Which function can have called which.
const CALLS: [(&str, &str); 8] = [
    ("even", "odd"),
    ("odd", "even"),
    ("even", LEFT_OUT_FRAMES),
    ("odd", LEFT_OUT_FRAMES),
    ("even", "wave"),
    ("wave", "left"),
    ("left", "right"),
    ("right", "left"),
];

/// The stacks of thread `deep` in which the depth was reached, each with how many samples it has.
fn deep_stacks(profile: &Profile) -> Vec<(StackId, u64)> {
    let rows = profile.rows().iter();
    let stacks = rows.filter_map(|row| Some((row.stack?, row.totals.samples)));
    let is_deep = |stack: &StackId| {
        let mut frames = profile.frames_of(Some(*stack));
        frames.any(|frame| frame.name == "wave")
    };
    stacks.filter(|(stack, _)| is_deep(stack)).collect()
}

fn check_stack(place: &str, profile: &Profile, stack: StackId) {
    let frames = profile.frames_of(Some(stack));
    let mut names: Vec<&str> = frames.map(|frame| frame.name.as_str()).collect();
    names.reverse();
    let first = names.iter().position(|name| *name == "even");
    let first = first.unwrap_or_else(|| panic!("{place}: no outer end"));
    assert!(first > 0 && first < 5, "{place}: {:?}", &names[..first]);
    for pair in names[first..].windows(2) {
        let is_call = CALLS.contains(&(pair[0], pair[1]));
        // A frame that was just returning may have lost its code object (3.14 on).
        let is_unknown = pair.contains(&UNKNOWN_FUNCTION);
        let is_behind_mark = pair[0] == LEFT_OUT_FRAMES && ["even", "odd"].contains(&pair[1]);
        assert!(is_call || is_behind_mark || is_unknown, "{place}: {pair:?}");
    }
    let marks = names
        .iter()
        .filter(|name| **name == LEFT_OUT_FRAMES)
        .count();
    assert_eq!(marks, 1, "{place}");
    assert!(names.len() <= 2 * KEPT_AT_EACH_END + 1, "{place}");
}

/// Whether a dump says of the deep thread that it is too deep, and nothing else. Where the thread could not be stopped,
/// too much of the stack may have moved.
fn is_dumped_too_deep(place: &str, pid: i32) -> bool {
    let begin = Instant::now();
    let dump = dump(pid, place);
    let took = begin.elapsed();
    assert!(took < LONGEST_DUMP, "{place}: {took:?}");
    let deep = dump.threads.iter().find(|thread| !thread.is_main);
    let why = deep.and_then(|thread| thread.incomplete.as_deref());
    why.is_some_and(|why| why.contains("too deep"))
}

fn a_stack_fifty_thousand_deep_keeps_both_its_ends_and_is_called_too_deep(python: &Python) {
    let place = &python.label;
    let program = run(python, "deep.py");
    let recording = Recording::of_tree(program.pid(), 50.0);
    recording.wait_until("the deep stacks", |profile| {
        profile.lost().get(&LostCause::TooDeep) >= Some(&SAMPLES)
    });
    assert!(
        (0..DUMPS).any(|_| is_dumped_too_deep(place, program.pid())),
        "{place}: no dump is too deep"
    );
    drop(program);
    let (ended, profile) = recording.end();
    assert_eq!(ended, Ended::TargetEnded, "{place}");
    let stacks = deep_stacks(&profile);
    for (stack, _) in &stacks {
        check_stack(place, &profile, *stack);
    }
    let seen: u64 = stacks.iter().map(|(_, samples)| samples).sum();
    assert!(seen >= SAMPLES, "{place}: {seen}");
}

test_on_each!(a_stack_fifty_thousand_deep_keeps_both_its_ends_and_is_called_too_deep);
