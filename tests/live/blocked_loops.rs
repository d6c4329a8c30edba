//! Samples real event loops that one task blocks, and compares what is found with what the program says.

use rsamp::profile::{Finding, findings};

use std::process::Command;

use crate::activity::record;
use crate::support::needs::prepared;
use crate::support::programs::{command, program, run, run_command};
use crate::support::pythons::Python;

/// So many tasks the program makes before each block, all ready to run; the one that ticks may be ready, too.
const READY: std::ops::RangeInclusive<u32> = 30..=31;

/// How many tasks and callbacks were ready to run during a block, as the finding tells.
fn ready(command: &mut Command) -> Option<u32> {
    let (profile, _) = record(run_command(command));
    let found = findings(&profile);
    let ready = found.iter().find_map(|finding| match finding {
        Finding::BlockedLoops(blocked) => Some(blocked.ready),
        _ => None,
    });
    ready.expect("a blocked loop")
}

fn tasks_that_wait_for_a_blocked_loop_are_counted(python: &Python) {
    for how in ["compute", "sleep"] {
        let ready = ready(command(python, "blocked_loop.py").arg(how));
        let is_right = ready.is_some_and(|ready| READY.contains(&ready));
        assert!(is_right, "{} {how}: {ready:?}", python.label);
    }
}

test_on!(tasks_that_wait_for_a_blocked_loop_are_counted: v3_8 v3_9 v3_10 v3_11 v3_12 v3_13 v3_14 v3_15);

#[test]
fn tasks_that_wait_for_a_blocked_uvloop_are_counted() {
    needs!(RSAMP_UVLOOP);
    let mut command = Command::new(prepared("RSAMP_UVLOOP").join("bin/python"));
    let ready = ready(command.arg(program("blocked_loop.py")).arg("uvloop"));
    let is_right = ready.is_some_and(|ready| READY.contains(&ready));
    assert!(is_right, "{ready:?}");
}

fn the_task_that_blocks_an_asyncio_loop_is_found(python: &Python) {
    let (profile, said) = record(run(python, "blocked_loop.py"));
    let said = said["blocks"].as_array().expect("blocks").iter();
    let blocks: Vec<f64> = said.map(|it| it.as_f64().expect("seconds")).collect();
    let found = findings(&profile);
    eprintln!("{}: {blocks:?} {found:#?}", python.label);
    let blocked = found.iter().find_map(|finding| match finding {
        Finding::BlockedLoops(blocked) => Some(blocked),
        _ => None,
    });
    let blocked = blocked.expect("a blocked loop");
    let task = blocked.task.expect("a task");
    // On a busy machine ticks come late: what a wait between two blocks is told from is seldom seen then.
    assert!(blocked.times >= blocks.len() as u64 / 2, "{blocked:?}");
    let whole: f64 = blocks.iter().sum();
    let of_task = task.share * blocked.time.seconds();
    let is_near = (of_task - whole).abs() < 0.25 * whole;
    assert!(is_near, "{of_task} of {whole}");
    assert_eq!(task.function.name, "blocker");
}

test_on!(the_task_that_blocks_an_asyncio_loop_is_found: v3_6 v3_15);
