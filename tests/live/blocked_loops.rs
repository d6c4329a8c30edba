//! Samples real event loops that one task blocks, and compares what is found with what the program says.

use rsamp::profile::{Finding, findings};

use crate::activity::record;
use crate::support::programs::run;
use crate::support::pythons::Python;

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
