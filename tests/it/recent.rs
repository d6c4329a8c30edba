//! What a profile tells of its last seconds.

use std::collections::BTreeMap;

use crate::support::profiles::define;
use proptest::prelude::*;
use rsamp::profile::{
    Event, FrameId, Loss, LostCause, MAX_SECONDS, Nanos, Profile, Sample, StackId, State, ThreadId,
    Totals, Usage,
};

const SECOND: u64 = 1_000_000_000;
const THREADS: u32 = 3;
const STACKS: u32 = 4;

/// A profile of one process with these threads and stacks, that keeps the last minute.
fn profile() -> Profile {
    let mut profile = Profile::with_last_minute();
    define(&mut profile, THREADS, STACKS);
    profile
}

fn run(thread: u32, stack: u32, at_ns: u64, wall_ns: u64) -> Sample {
    Sample {
        at: Nanos(at_ns),
        thread: ThreadId(thread),
        stack: Some(StackId(stack)),
        ticks: (wall_ns / 1_000_000) as u32,
        wall: Nanos(wall_ns),
        cpu: Nanos(wall_ns / 3),
        gil: Nanos(wall_ns / 7),
        grown_bytes: wall_ns % 1000,
        state: [State::Python, State::Sleep][stack as usize % 2],
        ..Sample::default()
    }
}

type Sums = BTreeMap<(ThreadId, Option<StackId>, State), Totals>;

fn sums(profile: &Profile) -> Sums {
    let rows = profile.rows().iter();
    rows.map(|row| ((row.thread, row.stack, row.state), row.totals))
        .collect()
}

/// The wall time of each row within a span.
fn wall_within(runs: &[Sample], from: u64, to: u64) -> BTreeMap<(u32, u32), u64> {
    let mut times = BTreeMap::new();
    for run in runs {
        let start = run.at.0 - run.wall.0;
        let within = run.at.0.min(to).saturating_sub(start.max(from));
        if within > 0 {
            let key = (run.thread.0, run.stack.expect("frames").0);
            *times.entry(key).or_insert(0) += within;
        }
    }
    times
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Of each run: thread, stack, its length in ns.
    #[test]
    fn a_window_holds_exactly_what_lies_in_it(
        runs in prop::collection::vec((0..THREADS, 0..STACKS, 1..3 * SECOND), 1..120),
        seconds in 1..=MAX_SECONDS,
    ) {
        let mut profile = profile();
        let mut now = [0; THREADS as usize];
        let mut all = Vec::new();
        for (thread, stack, wall_ns) in runs {
            let now = &mut now[thread as usize];
            *now += wall_ns;
            all.push(run(thread, stack, *now, wall_ns));
        }
        all.sort_by_key(|run| run.at);
        for run in &all {
            profile.apply(Event::Sample(*run));
        }
        let latest = all.last().expect("at least one").at.0;
        let end = match (latest - 1) / SECOND * SECOND {
            0 => latest,
            end => end,
        };
        let from = end.saturating_sub(seconds as u64 * SECOND);
        let last = profile.last(seconds).expect("kept");
        let mut times = BTreeMap::new();
        for row in last.rows() {
            times.insert((row.thread.0, row.stack.expect("frames").0), row.totals.wall.0);
        }
        prop_assert_eq!(times, wall_within(&all, from, end));
        prop_assert_eq!(last.duration(), Nanos(end - from));
        prop_assert!(last.sampled_time() <= last.duration());
        prop_assert_eq!(last.stacks(), profile.stacks());
        prop_assert_eq!(last.rejected(), 0);
    }

    /// What is no longer than a minute, in whole seconds, is the profile itself.
    #[test]
    fn the_seconds_add_up_to_the_whole(
        runs in prop::collection::vec((0..THREADS, 0..STACKS, 1..3 * SECOND), 1..60),
    ) {
        let mut profile = profile();
        let mut now = [0; THREADS as usize];
        for (thread, stack, wall_ns) in runs {
            let now = &mut now[thread as usize];
            if *now + wall_ns <= 60 * SECOND {
                *now += wall_ns;
                profile.apply(Event::Sample(run(thread, stack, *now, wall_ns)));
            }
        }
        let whole = sums(&profile);
        let wall = profile.totals().wall;
        // It begins the next second, and is in none that is over.
        profile.apply(Event::Sample(run(0, 0, 60 * SECOND + 1, 1)));
        let last = profile.last(MAX_SECONDS).expect("kept");
        prop_assert_eq!(sums(&last), whole);
        prop_assert_eq!(last.totals().wall, wall);
    }
}

#[test]
fn losses_and_readings_belong_to_the_window_of_their_time() {
    let mut profile = profile();
    for second in 0..90 {
        let at = Nanos(second * SECOND + SECOND / 2);
        profile.apply(Event::Sample(run(0, 0, at.0, 1000)));
        profile.apply(Event::Lost(Loss {
            at,
            cause: LostCause::Torn,
            count: 2,
        }));
        for resident in [second, 1000 + second] {
            profile.apply(Event::Usage(Usage {
                at,
                resident: Some(resident),
                ..Usage::default()
            }));
        }
    }
    let last = profile.last(10).expect("kept");
    assert_eq!(last.lost()[&LostCause::Torn], 20);
    let readings: Vec<_> = last.usage().iter().map(|usage| usage.resident).collect();
    let expected: Vec<_> = (79..89).map(|second| Some(1000 + second)).collect();
    assert_eq!(readings, expected);
    assert_eq!(last.usage()[0].at, Nanos(SECOND / 2));
    assert_eq!(profile.lost()[&LostCause::Torn], 180);
}

#[test]
fn times_far_in_the_past_or_future_do_no_harm() {
    for steps in [
        [1, u64::MAX, 5],
        [100 * SECOND, 3, 99 * SECOND],
        [u64::MAX, 0, u64::MAX],
    ] {
        let mut profile = profile();
        for at in steps {
            profile.apply(Event::Sample(run(0, 1, at, 2 * SECOND)));
            profile.apply(Event::Sample(run(1, 1, at, at)));
        }
        let last = profile.last(MAX_SECONDS).expect("kept");
        assert!(last.rows().len() <= 2, "{steps:?}");
    }
    assert!(Profile::default().last(1).is_none());
    assert!(profile().last(1).expect("kept").rows().is_empty());
}

#[test]
fn where_much_happens_fewer_seconds_are_kept() {
    let mut profile = profile();
    const STEP: u64 = SECOND / 2000;
    for id in STACKS..20_000 {
        profile.apply(Event::Stack {
            id: StackId(id),
            parent: Some(StackId(id / 2)),
            frame: FrameId(id % STACKS),
        });
    }
    for number in 0..40 * 2000 {
        for thread in 0..THREADS {
            let stack = (number * 31 + u64::from(thread)) % 20_000;
            let at = (number + 1) * STEP;
            profile.apply(Event::Sample(run(thread, stack as u32, at, STEP)));
        }
    }
    let last = profile.last(MAX_SECONDS).expect("kept");
    let kept = last.duration().0 / SECOND;
    assert!((10..30).contains(&kept), "{kept} s");
    let threads = u64::from(THREADS);
    assert_eq!(last.totals().wall, Nanos(kept * threads * SECOND));
}
