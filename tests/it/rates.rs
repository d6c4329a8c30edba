//! What is said of the rates at which was sampled.

use rsamp::export::{SummaryOptions, rate_in_words, rate_over_budget, summary};
use rsamp::profile::{Event, Nanos, Profile, RateSpan, UndeterminedCause};

use crate::profile::{Build, Call};

const SECOND: u64 = 1_000_000_000;

/// Spans of millihertz, seconds and ticks; one per cent of each is rsamp's own CPU time.
fn fold(profile: &mut Profile, spans: &[(u64, u64, u64)]) {
    for (millihertz, seconds, ticks) in spans {
        profile.apply(Event::Rate(RateSpan {
            millihertz: *millihertz,
            time: Nanos(seconds * SECOND),
            ticks: *ticks,
            own_cpu: Nanos(seconds * SECOND / 100),
        }));
    }
}

fn check(spans: &[(u64, u64, u64)], expected: Option<&str>) {
    let mut profile = Profile::default();
    fold(&mut profile, spans);
    assert_eq!(rate_in_words(&profile).as_deref(), expected, "{spans:?}");
}

#[test]
fn rates_are_named_with_what_was_held_of_them() {
    check(&[], None);
    check(&[(1_000_000, 3, 3010)], Some("1,000 Hz"));
    check(&[(500, 3, 1)], Some("0.5 Hz"));
    check(&[(62_500, 3, 188)], Some("62.5 Hz"));
    check(&[(1, 1, 1)], Some("0.001 Hz"));
    check(&[(1_000_000, 10, 9_001)], Some("1,000 Hz"));
    check(
        &[(1_000_000, 10, 8_999)],
        Some("asked for 1,000 Hz, held 899 Hz"),
    );
    check(
        &[(1_000_000_000, 2, 366_912)],
        Some("asked for 1,000,000 Hz, held 183,000 Hz"),
    );
    check(&[(30_000, 3, 20)], Some("30 Hz"));
}

#[test]
fn several_rates_are_told_with_their_times_each_once() {
    check(
        &[
            (1_000_000, 60, 60_000),
            (500_000, 10, 4_000),
            (1_000_000, 20, 20_000),
        ],
        Some("1,000 Hz for 80.00 s, 500 Hz (held 400 Hz) for 10.00 s"),
    );
}

#[test]
fn time_without_processes_does_not_lower_the_rate() {
    check(
        &[(100_000, 10, 1000), (0, 50, 0), (100_000, 10, 1000)],
        Some("100 Hz"),
    );
    check(&[(0, 50, 0)], None);
}

#[test]
fn a_budget_that_was_exceeded_is_said_with_what_it_was_used_for() {
    let mut profile = Profile::default();
    fold(&mut profile, &[(1_000_000, 1, 1000), (50_000, 9, 450)]);
    let said = |max, until_end_ms: u64, writing_ms: u64| {
        let ms = |ms: u64| Nanos(ms * SECOND / 1000);
        rate_over_budget(&profile, max, ms(until_end_ms), ms(writing_ms))
    };
    assert_eq!(said(0.02, 150, 50), None);
    assert_eq!(
        said(0.015, 150, 50).as_deref(),
        Some(
            "rsamp used 2.0 % of a core, more than --max-overhead 1.5: 0.05 s to start, 0.10 s to sample (at 50 Hz and \
             more), 0.05 s to write"
        )
    );
    assert_eq!(
        rate_over_budget(&Profile::default(), 0.01, Nanos(1), Nanos(0)),
        None
    );
}

#[test]
fn the_summary_names_the_rate_its_cost_and_what_was_repeated() {
    let mut build = Build::default();
    build.thread(None);
    build.sample(0, &[Call("run", "/run.py", 1, 1)], 5 * SECOND);
    fold(&mut build.profile, &[(1_000_000, 5, 5000)]);
    for event in [
        Event::Undetermined(UndeterminedCause::Mixed, 7),
        Event::Undetermined(UndeterminedCause::Moved, 3),
        Event::Pauses(2),
    ] {
        build.profile.apply(event);
    }
    build.profile.apply(Event::End(Nanos(5 * SECOND)));
    let summary = summary(&build.profile, &SummaryOptions::default());
    for line in [
        "rate: 1,000 Hz; rsamp used 1.0 % of a core",
        "undetermined samples: 10 (3 with moved frames, 7 with inconsistent frames); a thread was paused for 2 samples",
    ] {
        assert!(summary.lines().any(|l| l == line), "{summary}");
    }
}
