//! What a profile for the Firefox Profiler holds.

use rsamp::export::Format;
use rsamp::profile::{Event, Loss, LostCause, Nanos, Profile};
use serde_json::Value;

use super::{empty, hostile, json, meta, one_thread, one_thread_in, pretty, two_threads_in};
use crate::profile::{Build, Call};

#[test]
fn files() {
    insta::assert_snapshot!(pretty(
        Format::Firefox,
        &one_thread_in(Profile::with_timeline())
    ));
}

fn numbers(value: &Value) -> Vec<f64> {
    let numbers = value.as_array().expect("an array").iter();
    numbers
        .map(|number| number.as_f64().expect("a number"))
        .collect()
}

#[test]
fn samples_lie_at_the_starts_of_their_runs() {
    let mut build = Build::into(Profile::with_timeline());
    build.thread(Some("MainThread"));
    let (a, b) = (Call("a", "/a.py", 1, 2), Call("b", "/a.py", 5, 6));
    for call in [a, b, a] {
        build.sample(0, &[call], 1_400_000);
    }
    let file = json(Format::Firefox, &build.profile, &meta());
    let samples = &file["threads"][0]["samples"];
    assert_eq!(samples["weightType"], "tracing-ms");
    // The last is the end. Of 4.2 ms, whole milliseconds: rounding errors do not add up.
    assert_eq!(numbers(&samples["weight"]), [1.0, 2.0, 1.0, 0.0]);
    let deltas = numbers(&samples["timeDeltas"]);
    assert_eq!(deltas, [0.0, 1.4, 1.4, 1.4]);
    assert_eq!(
        numbers(&samples["threadCPUDelta"]),
        [0.0, 700.0, 700.0, 700.0]
    );
}

#[test]
fn losses_are_markers() {
    let mut profile = two_threads_in(Profile::with_timeline());
    profile.apply(Event::Lost(Loss {
        at: Nanos(0),
        cause: LostCause::Torn,
        count: 7,
    }));
    let file = json(Format::Firefox, &profile, &meta());
    let threads = file["threads"].as_array().expect("threads");
    assert_eq!(threads.len(), 2);
    let marker = &threads[0]["markers"]["data"][0];
    assert_eq!(
        (&marker["type"], &marker["count"]),
        (&"Lost".into(), &7.0.into())
    );
    assert_eq!(threads[1]["markers"]["length"], 0);
}

#[test]
fn hostile_names_are_labels_of_one_line() {
    for profile in [hostile(), one_thread(), empty()] {
        let file = json(Format::Firefox, &profile, &meta());
        let threads = file["threads"].as_array().expect("threads");
        assert_eq!(threads.len(), profile.threads().len());
        let mut sum_ms = 0.0;
        for thread in threads {
            let stacks = &thread["stackTable"];
            let length = stacks["length"].as_u64().expect("a number") as f64;
            let samples = thread["samples"]["stack"].as_array().expect("stacks");
            let ids = samples.iter().filter_map(Value::as_f64);
            assert!(ids.into_iter().all(|id| id < length));
            sum_ms += numbers(&thread["samples"]["weight"]).iter().sum::<f64>();
            let strings = thread["stringArray"].as_array().expect("strings");
            let control = |text: &Value| text.as_str().expect("text").contains(char::is_control);
            assert!(!strings.iter().any(control), "{strings:?}");
        }
        assert!(
            (sum_ms - profile.totals().wall.seconds() * 1e3).abs() <= 1.0,
            "{sum_ms}"
        );
    }
}
