//! Which blocks of event loops are found, how long they are, and what they are blamed on.

use rsamp::export::finding_sentences;
use rsamp::profile::{
    Attribute, Attributes, AttributesId, Event, Finding, Nanos, Profile, Sample, State, findings,
};

use crate::profile::{Build, Call};

const MS: u64 = 1_000_000;

const APP: &str = "/home/ada/app.py";
const MODULE: Call<'_> = Call("<module>", APP, 1, 90);
const BLOCKER: Call<'_> = Call("blocker", APP, 30, 32);
const PARSE: Call<'_> = Call("parse", APP, 25, 29);
const TICKER: Call<'_> = Call("ticker", APP, 50, 52);
const LOADS: Call<'_> = Call("loads", "/usr/lib/python3.12/json/__init__.py", 299, 346);
const DECODE: Call<'_> = Call(
    "JSONDecoder.decode",
    "/usr/lib/python3.12/json/decoder.py",
    332,
    338,
);
const CRUNCH: Call<'_> = Call("crunch", APP, 70, 71);

const RUNNER: Call<'_> = Call(
    "Runner.run",
    "/usr/lib/python3.12/asyncio/runners.py",
    86,
    118,
);
const FOREVER: Call<'_> = Call(
    "BaseEventLoop.run_forever",
    "/usr/lib/python3.12/asyncio/base_events.py",
    624,
    640,
);
const RUN_ONCE: Call<'_> = Call(
    "BaseEventLoop._run_once",
    "/usr/lib/python3.12/asyncio/base_events.py",
    1894,
    1950,
);
const HANDLE: Call<'_> = Call(
    "Handle._run",
    "/usr/lib/python3.12/asyncio/events.py",
    82,
    84,
);
const SELECT: Call<'_> = Call(
    "EpollSelector.select",
    "/usr/lib/python3.12/selectors.py",
    451,
    468,
);
const TRIO_RUN: Call<'_> = Call(
    "run",
    "/v/lib/python3.12/site-packages/trio/_core/_run.py",
    2424,
    2550,
);
const UNROLLED: Call<'_> = Call(
    "unrolled_run",
    "/v/lib/python3.12/site-packages/trio/_core/_run.py",
    2712,
    2800,
);
const GET_EVENTS: Call<'_> = Call(
    "EpollIOManager.get_events",
    "/v/lib/python3.12/site-packages/trio/_core/_io_epoll.py",
    238,
    245,
);
const HUB: Call<'_> = Call(
    "Hub.run",
    "/v/lib/python3.12/site-packages/gevent/hub.py",
    631,
    647,
);

/// Frames of a loop: in its wait, and below a task.
struct Loop {
    wait: &'static [Call<'static>],
    below: &'static [Call<'static>],
}

const ASYNCIO: Loop = Loop {
    wait: &[MODULE, RUNNER, FOREVER, RUN_ONCE, SELECT],
    below: &[MODULE, RUNNER, FOREVER, RUN_ONCE, HANDLE],
};
const UVLOOP: Loop = Loop {
    wait: &[MODULE, RUNNER],
    below: &[MODULE, RUNNER],
};
const TRIO: Loop = Loop {
    wait: &[MODULE, TRIO_RUN, GET_EVENTS],
    below: &[MODULE, TRIO_RUN, UNROLLED],
};
const GEVENT: Loop = Loop {
    wait: &[HUB],
    below: &[],
};

impl Loop {
    fn task(&self, calls: &[Call<'static>]) -> Vec<Call<'static>> {
        [self.below, calls].concat()
    }
}

/// A program that one thread runs, sampled at random moments.
struct Program {
    build: Build,
    /// What it does: until when, the stack, the state.
    plan: Vec<(u64, Vec<Call<'static>>, State)>,
    /// What the samples of each of these have.
    attributes: Vec<Option<AttributesId>>,
    end: u64,
}

impl Program {
    fn new() -> Program {
        let mut build = Build::default();
        build.thread(Some("MainThread"));
        build.thread(Some("worker"));
        Program {
            build,
            plan: Vec::new(),
            attributes: Vec::new(),
            end: 0,
        }
    }

    /// Runs it on for so many nanoseconds.
    fn run(&mut self, ns: u64, calls: &[Call<'static>], state: State) {
        self.run_task(ns, calls, state, None);
    }

    fn run_task(&mut self, ns: u64, calls: &[Call<'static>], state: State, task: Option<u32>) {
        self.end += ns;
        self.plan.push((self.end, calls.to_vec(), state));
        self.attributes.push(task.map(AttributesId::new));
    }

    /// Samples what was planned, on average so often a second, at intervals of half to one and a half of the mean.
    fn sample(mut self, hertz: u64) -> Build {
        let mean = 1_000_000_000 / hertz;
        let (mut at, mut random, mut next) = (0, 1_u64, 0);
        loop {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let interval = mean / 2 + (random >> 33) % mean;
            at += interval;
            while self.plan.get(next).is_some_and(|(end, ..)| *end <= at) {
                next += 1;
            }
            let Some((_, calls, state)) = self.plan.get(next) else {
                return self.build;
            };
            let sample = Sample {
                ticks: 1,
                wall: Nanos(interval),
                state: *state,
                attributes: self.attributes[next],
                ..Sample::default()
            };
            self.build.run(0, calls, sample);
        }
    }
}

/// What is said of blocked loops.
fn found(build: &Build) -> Option<String> {
    let mut found = finding_sentences(&build.profile).into_iter();
    found.find(|sentence| sentence.starts_with("the event loop"))
}

#[test]
fn planted_blocks_are_all_found_and_are_as_long_as_they_were() {
    for of in [ASYNCIO, UVLOOP, TRIO, GEVENT] {
        let mut program = Program::new();
        // What runs before the loop does not block it.
        program.run(300 * MS, &[MODULE], State::Python);
        for block in 0..200 {
            program.run(13 * MS, of.wait, State::Waiting);
            program.run(MS, &of.task(&[TICKER]), State::Python);
            let ns = (110 + block % 5 * 20) * MS;
            program.run(
                ns,
                &of.task(&[BLOCKER, PARSE, LOADS, DECODE]),
                State::Python,
            );
            program.run(2 * MS, &of.task(&[TICKER]), State::Python);
        }
        program.run(5 * MS, of.wait, State::Waiting);
        program.run(300 * MS, &[MODULE], State::Python);
        let found = found(&program.sample(500)).expect("a finding");
        let begin = "the event loop of MainThread was blocked 200 times for over 100 ms, 30 s of 33 s, longest 0.19 s: ";
        assert!(found.starts_with(begin), "{found}");
        let end = ": blocker (app.py:32), 100 % in json.loads called at app.py:29";
        assert!(found.ends_with(end), "{found}");
    }
}

#[test]
fn a_block_is_as_long_as_it_was_within_two_intervals() {
    for ms in [110, 150, 250, 600] {
        let mut program = Program::new();
        for _ in 0..2 {
            program.run(13 * MS, ASYNCIO.wait, State::Waiting);
            program.run(ms * MS, &ASYNCIO.task(&[BLOCKER]), State::Sleep);
        }
        program.run(13 * MS, ASYNCIO.wait, State::Waiting);
        let build = program.sample(500);
        let found = findings(&build.profile);
        let time = found.iter().find_map(|finding| match finding {
            Finding::BlockedLoops(blocked) => Some(blocked.time),
            _ => None,
        });
        let time = time.expect("a finding");
        assert!(
            time.0.abs_diff(2 * ms * MS) <= 2 * 4 * MS,
            "{time:?} of 2 * {ms} ms"
        );
    }
}

#[test]
fn shorter_spans_are_not_blocks() {
    for of in [ASYNCIO, UVLOOP, TRIO, GEVENT] {
        let mut program = Program::new();
        for _ in 0..50 {
            program.run(13 * MS, of.wait, State::Waiting);
            program.run(95 * MS, &of.task(&[BLOCKER]), State::Python);
            program.run(MS, &of.task(&[TICKER]), State::Python);
        }
        program.run(13 * MS, of.wait, State::Waiting);
        assert_eq!(found(&program.sample(500)), None);
    }
}

#[test]
fn a_hundred_tasks_of_a_millisecond_are_busy_and_do_not_block() {
    let handlers = || [BLOCKER, TICKER].into_iter().cycle();
    for of in [ASYNCIO, UVLOOP, TRIO, GEVENT] {
        let mut program = Program::new();
        for _ in 0..20 {
            program.run(13 * MS, of.wait, State::Waiting);
            for root in handlers().take(100) {
                program.run(MS, &of.task(&[root]), State::Python);
            }
        }
        program.run(13 * MS, of.wait, State::Waiting);
        assert_eq!(found(&program.sample(500)), None);
    }
    // Tasks of one function, where the recording says which one runs: by its name, or by its number alone.
    let [by_name, by_id] = [Attribute::Task, Attribute::TaskId].map(|attribute| {
        let mut program = Program::new();
        for number in 0..2 {
            let mut task = Attributes([(Attribute::Task, "worker".to_owned())].into());
            task.0.insert(attribute, format!("{number}"));
            let id = AttributesId::new(number);
            program.build.profile.apply(Event::Attributes(id, task));
        }
        for turn in 0..1000 {
            let blocker = ASYNCIO.task(&[BLOCKER]);
            program.run_task(3 * MS, &blocker, State::Python, Some(turn % 2));
        }
        found(&program.sample(500))
    });
    assert_eq!((by_name, by_id), (None, None));
}

/// A loop that waits, and so many blocks of `ms`, each behind a wait and another task.
fn blocks(count: u64, ms: u64, wait: u64) -> Program {
    let mut program = Program::new();
    for _ in 0..count {
        program.run(wait * MS, ASYNCIO.wait, State::Waiting);
        program.run(5 * MS, &ASYNCIO.task(&[TICKER]), State::Python);
        program.run(ms * MS, &ASYNCIO.task(&[BLOCKER]), State::Python);
    }
    program.run(20 * MS, ASYNCIO.wait, State::Waiting);
    program
}

#[test]
fn blocks_that_take_a_moment_of_the_run_are_not_told() {
    // A fiftieth of the run is told, less is not.
    assert_eq!(found(&blocks(2, 190, 9_900).sample(100)), None);
    let told = found(&blocks(2, 220, 9_900).sample(100)).expect("a finding");
    assert!(
        told.contains("blocked 2 times for over 100 ms, 0.4"),
        "{told}"
    );
    assert!(told.ends_with(": blocker (app.py:32)"), "{told}");
    // Nor is what few samples saw.
    assert_eq!(found(&blocks(2, 400, 400).sample(10)), None);
    assert!(found(&blocks(4, 400, 400).sample(10)).is_some());
}

#[test]
fn a_loop_with_one_task_that_computes_once_blocks_nobody() {
    let main = |times: u64| {
        let mut program = Program::new();
        for _ in 0..times {
            program.run(50 * MS, ASYNCIO.wait, State::Waiting);
            program.run(900 * MS, &ASYNCIO.task(&[BLOCKER]), State::Python);
        }
        program.run(50 * MS, ASYNCIO.wait, State::Waiting);
        found(&program.sample(500))
    };
    assert_eq!(main(1), None);
    assert!(main(2).is_some());
    let told = found(&blocks(1, 900, 50).sample(500)).expect("a finding");
    assert!(
        told.contains(" was blocked once for over 100 ms, 0.90 s of "),
        "{told}"
    );
}

#[test]
fn the_task_that_blocks_most_is_named_with_its_part() {
    let mut program = blocks(3, 200, 20);
    program.run(200 * MS, &ASYNCIO.task(&[CRUNCH, DECODE]), State::Python);
    program.run(20 * MS, ASYNCIO.wait, State::Waiting);
    let told = found(&program.sample(500)).expect("a finding");
    assert!(told.contains("blocked 4 times"), "{told}");
    assert!(told.ends_with(" % in blocker (app.py:32)"), "{told}");
}

#[test]
fn who_holds_the_gil_meanwhile_is_named() {
    let crunch = |build: &mut Build| {
        let holding = Sample {
            ticks: 500,
            wall: Nanos(1_000 * MS),
            blocked_others: Nanos(500 * MS),
            state: State::Python,
            ..Sample::default()
        };
        build.run(1, &[CRUNCH], holding);
    };
    // In a task.
    let mut program = Program::new();
    for _ in 0..5 {
        program.run(20 * MS, ASYNCIO.wait, State::Waiting);
        program.run(100 * MS, &ASYNCIO.task(&[BLOCKER]), State::Python);
        program.run(100 * MS, &ASYNCIO.task(&[BLOCKER]), State::Gil);
    }
    program.run(20 * MS, ASYNCIO.wait, State::Waiting);
    let mut build = program.sample(500);
    crunch(&mut build);
    let told = found(&build).expect("a finding");
    let end = " % waiting for the GIL, which crunch (app.py:71) held";
    assert!(
        told.contains(": blocker (app.py:32), ") && told.ends_with(end),
        "{told}"
    );
    // Between two of them: the loop has events, and cannot go on.
    for of in [ASYNCIO, UVLOOP, TRIO, GEVENT] {
        let mut program = Program::new();
        for _ in 0..5 {
            program.run(20 * MS, of.wait, State::Waiting);
            program.run(150 * MS, of.wait, State::Gil);
            program.run(5 * MS, &of.task(&[TICKER]), State::Python);
        }
        program.run(20 * MS, of.wait, State::Waiting);
        let mut build = program.sample(500);
        crunch(&mut build);
        let told = found(&build).expect("a finding");
        let end = ": 100 % waiting for the GIL, which crunch (app.py:71) held";
        assert!(
            told.contains("blocked 5 times") && told.ends_with(end),
            "{told}"
        );
    }
}

#[test]
fn the_loops_of_several_threads_are_told_together() {
    let mut build = blocks(3, 200, 20).sample(500);
    for calls in [ASYNCIO.wait, &ASYNCIO.task(&[BLOCKER]), ASYNCIO.wait] {
        let run = Sample {
            ticks: 100,
            wall: Nanos(200 * MS),
            state: State::Sleep,
            ..Sample::default()
        };
        build.run(1, calls, run);
        build.run(1, &ASYNCIO.task(&[TICKER]), run);
    }
    let found = finding_sentences(&build.profile);
    let told = "the event loops of 2 threads were blocked ";
    assert!(found.iter().any(|it| it.starts_with(told)), "{found:?}");
}

#[test]
fn what_was_not_sampled_ends_a_block() {
    let mut build = Build::default();
    build.thread(Some("MainThread"));
    let half = Sample {
        ticks: 45,
        wall: Nanos(90 * MS),
        state: State::Python,
        ..Sample::default()
    };
    for _ in 0..20 {
        build.run(0, ASYNCIO.wait, half);
        build.run(0, &ASYNCIO.task(&[BLOCKER]), half);
        build.mark_sample(0, &["[not sampled: paused]"], 90 * MS);
        build.run(0, &ASYNCIO.task(&[BLOCKER]), half);
    }
    assert_eq!(found(&build), None);
}

#[test]
fn the_last_seconds_have_no_order() {
    let mut build = Build::into(Profile::with_last_minute());
    build.thread(Some("MainThread"));
    let run = |ticks| Sample {
        ticks,
        wall: Nanos(u64::from(ticks) * 2 * MS),
        state: State::Python,
        ..Sample::default()
    };
    for _ in 0..200 {
        build.run(0, ASYNCIO.wait, run(10));
        build.run(0, &ASYNCIO.task(&[TICKER]), run(10));
        build.run(0, &ASYNCIO.task(&[BLOCKER]), run(40));
    }
    assert_eq!(found(&build), None);
    let last = build.profile.last(10).expect("the last seconds");
    let found = finding_sentences(&last);
    assert!(
        !found.iter().any(|it| it.contains("event loop")),
        "{found:?}"
    );
}
