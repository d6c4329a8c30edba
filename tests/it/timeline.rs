//! What a timeline keeps when there is more than it has memory for.

use std::collections::BTreeMap;

use crate::support::profiles::define;
use proptest::prelude::*;
use rsamp::export;
use rsamp::export::{Format, Meta, ReportInput};
use rsamp::profile::{
    Event, Loss, LostCause, MAX_TIMELINE_BYTES, Nanos, Profile, Sample, StackId, State, ThreadId,
    Totals,
};

const MS: u64 = 1_000_000;
const DAY_S: u64 = 24 * 3600;

/// A profile that keeps so many bytes of what was seen when, of one process with these threads and stacks.
fn profile(max_bytes: usize, threads: u32, stacks: u32) -> Profile {
    let mut profile = Profile::with_timeline_of(max_bytes);
    define(&mut profile, threads, stacks);
    profile
}

/// A run that ends at this time.
fn run(thread: u32, stack: u32, at_ns: u64, wall_ns: u64) -> Sample {
    Sample {
        at: Nanos(at_ns),
        thread: ThreadId(thread),
        stack: Some(StackId(stack)),
        ticks: 1,
        wall: Nanos(wall_ns),
        cpu: Nanos(wall_ns / 2),
        grown_bytes: u64::from(stack),
        state: [State::Python, State::Sleep][stack as usize % 2],
        ..Sample::default()
    }
}

type Sums = BTreeMap<(ThreadId, Option<StackId>, State), Totals>;

/// The sums of each stack and state of each thread: by the rows of the profile, and by the runs of its timeline.
fn sums(profile: &Profile) -> [Sums; 2] {
    let mut sums = [Sums::new(), Sums::new()];
    for row in profile.rows() {
        sums[0].insert((row.thread, row.stack, row.state), row.totals);
    }
    let timeline = profile.timeline().expect("kept");
    for run in threads(profile).flat_map(|thread| timeline.runs(thread)) {
        let sum = sums[1]
            .entry((run.thread, run.stack, run.state))
            .or_default();
        *sum += Totals::from(&run);
    }
    sums
}

fn threads(profile: &Profile) -> impl Iterator<Item = ThreadId> {
    (0..profile.threads().len() as u32).map(ThreadId)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Of each run: thread, stack, its length and the time without a sample before it, in quarters of a millisecond.
    #[test]
    fn steps_lose_no_time_and_keep_to_the_memory(
        runs in prop::collection::vec((0..4_u32, 0..6_u32, 0..40_u64, 0..3_u64), 1..2000),
        max_runs in 60..400_usize,
    ) {
        let max_bytes = max_runs * size_of::<Sample>();
        let mut profile = profile(max_bytes, 4, 6);
        let mut now = [0_u64; 4];
        for (thread, stack, quarters, gap) in &runs {
            let now = &mut now[*thread as usize];
            *now += (quarters + gap / 2) * MS / 4;
            profile.apply(Event::Sample(run(*thread, *stack, *now, quarters * MS / 4)));
            let timeline = profile.timeline().expect("kept");
            prop_assert!(timeline.bytes() <= max_bytes);
        }
        let [rows, by_time] = sums(&profile);
        prop_assert_eq!(rows, by_time);
        let timeline = profile.timeline().expect("kept");
        if runs.len() < max_runs / 3 {
            prop_assert_eq!(timeline.step(), None);
        }
        for thread in threads(&profile) {
            let runs: Vec<Sample> = timeline.runs(thread).collect();
            for pair in runs.windows(2) {
                prop_assert!(pair[0].at <= pair[1].at - pair[1].wall, "{:?}", pair);
            }
            prop_assert!(runs.last().is_none_or(|last| last.at.0 <= now[thread.0 as usize]));
        }
    }
}

/// Half of the threads do something else every 20 s, the others wait.
#[test]
fn a_day_of_128_threads_fits_into_half_of_the_memory() {
    let mut profile = profile(MAX_TIMELINE_BYTES / 2, 128, 200);
    let mut most = 0;
    for at_s in (10..=DAY_S).step_by(10) {
        for thread in 0..128_u32 {
            let stack = match thread < 64 {
                true => (at_s / 20 * 7 + u64::from(thread)) as u32 % 200,
                false => 1,
            };
            let wall_ns = 10_000 * MS;
            profile.apply(Event::Sample(run(thread, stack, at_s * 1000 * MS, wall_ns)));
        }
        most = most.max(profile.timeline().expect("kept").bytes());
    }
    assert!(most > 11_000_000 && most <= 12_000_000, "{most}");
    let [rows, by_time] = sums(&profile);
    assert_eq!(rows, by_time);
    let timeline = profile.timeline().expect("kept");
    assert!(timeline.step() < Some(Nanos(20_000 * MS)));
    let waiting = timeline.runs(ThreadId(127)).count();
    assert!(
        waiting < 10_000,
        "a wait that goes on is one run: {waiting}"
    );
}

#[test]
fn without_a_long_enough_step_there_is_no_timeline() {
    let mut profile = profile(1000, 1, 300);
    for number in 0..300_u32 {
        let at_ns = u64::from(number + 1) * MS;
        profile.apply(Event::Sample(run(0, number, at_ns, MS)));
    }
    assert!(profile.timeline().is_none() && profile.has_lost_timeline());
    assert_eq!(profile.rows().len(), 300);
}

#[test]
fn losses_that_are_many_become_one_by_cause_and_time() {
    let mut profile = profile(MAX_TIMELINE_BYTES, 1, 1);
    let causes = [LostCause::Late, LostCause::Torn];
    const LOSSES: u64 = 300_000;
    for number in 0..LOSSES {
        profile.apply(Event::Lost(Loss {
            at: Nanos(number * 100 * MS),
            cause: causes[number as usize % 2],
            count: 3,
        }));
    }
    let timeline = profile.timeline().expect("kept");
    assert!(timeline.bytes() < 4_000_000, "{}", timeline.bytes());
    for cause in causes {
        let of_cause = timeline.losses().iter().filter(|l| l.cause == cause);
        let count: u64 = of_cause.map(|loss| loss.count).sum();
        assert_eq!(count, LOSSES / 2 * 3);
    }
    assert!(
        timeline
            .losses()
            .is_sorted_by_key(|loss| loss.at.0 / (1600 * MS))
    );
}

/// What each format with a time axis says of a recording that had to be kept in steps.
#[test]
fn formats_with_a_time_axis_tell_its_steps() {
    let mut coarse = profile(400 * size_of::<Sample>(), 1, 3);
    let mut exact = profile(MAX_TIMELINE_BYTES, 1, 3);
    for number in 0..20_000_u64 {
        let run = run(0, (number % 3) as u32, (number + 1) * MS, MS);
        coarse.apply(Event::Sample(run));
        exact.apply(Event::Sample(run));
    }
    let axes: Vec<Format> = Format::ALL
        .iter()
        .copied()
        .filter(|format| format.has_time_axis())
        .collect();
    assert_eq!(
        axes,
        [
            Format::Html,
            Format::Speedscope,
            Format::Firefox,
            Format::ChromeTrace
        ]
    );
    // The page itself is longer than its data, and these are compressed; they have a test in the browser.
    for format in axes.into_iter().filter(|it| *it != Format::Html) {
        let text = |profile: &Profile| {
            let mut out = Vec::new();
            let meta = Meta::default();
            export::write(format, &ReportInput::new(profile, &meta), &mut out).expect("written");
            String::from_utf8(out).expect("JSON")
        };
        let (coarse, exact) = (text(&coarse), text(&exact));
        assert!(coarse.contains("time axis in steps of 32 ms"), "{format}");
        assert!(!exact.contains("time axis"), "{format}");
        assert!(coarse.len() < exact.len() / 5, "{format}");
    }
}
