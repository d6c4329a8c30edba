//! What a file in Chrome's Trace Event Format holds.

use std::collections::{HashMap, HashSet};

use rsamp::export::Format;
use rsamp::profile::{
    Event, Loss, LostCause, Nanos, Process, ProcessId, Profile, Thread, ThreadId,
};
use serde_json::Value;

use super::{empty, hostile, json, meta, one_thread, pretty, two_threads_in};
use crate::profile::{Build, Call};

#[test]
fn files() {
    let mut build = Build::into(Profile::with_timeline());
    build.thread(Some("MainThread"));
    let [a, b, c] = ["a", "b", "c"].map(|name| Call(name, "/x.py", 1, 2));
    build.sample(0, &[a, b], 1_000_000);
    build.sample(0, &[a, b, c], 2_000_500);
    build.profile.apply(Event::Lost(Loss {
        at: Nanos(3_000_500),
        cause: LostCause::Torn,
        count: 2,
    }));
    build.sample(0, &[a], 500_000);
    build.sample(0, &[], 500_000);
    insta::assert_snapshot!(pretty(Format::ChromeTrace, &build.profile));
    insta::assert_snapshot!(pretty(Format::ChromeTrace, &empty()));
}

/// Every frame that opens closes again, in order; the sum of the outermost ones in ns by thread.
fn check(profile: &Profile) -> HashMap<(i64, i64), u64> {
    let file = json(Format::ChromeTrace, profile, &meta());
    let mut open: HashMap<(i64, i64), Vec<(&Value, u64)>> = HashMap::new();
    let mut sums = HashMap::new();
    for event in file["traceEvents"].as_array().expect("events") {
        let number = |field: &str| event[field].as_i64().expect("a number");
        let track = (number("pid"), number("tid"));
        let at = || (event["ts"].as_f64().expect("a time") * 1e3).round() as u64;
        let open = open.entry(track).or_default();
        match event["ph"].as_str() {
            Some("B") => open.push((&event["name"], at())),
            Some("E") => {
                let (name, start) = open.pop().expect("an open frame");
                assert_eq!(name, &event["name"]);
                assert!(start <= at());
                if open.is_empty() {
                    // An end is a nanosecond early.
                    *sums.entry(track).or_insert(0) += at() + 1 - start;
                }
            }
            _ => {}
        }
    }
    assert!(open.values().all(Vec::is_empty), "{open:?}");
    sums
}

#[test]
fn frames_nest_and_add_up_to_the_time_of_the_thread() {
    for profile in [
        one_thread(),
        hostile(),
        two_threads_in(Profile::with_timeline()),
    ] {
        let sum: u64 = check(&profile).values().sum();
        assert_eq!(sum, profile.totals().wall.0);
    }
}

#[test]
fn tracks_stay_apart() {
    let mut build = Build::default();
    // The same process id on another machine, and threads whose ids are not known.
    let process = Process {
        pid: 4242,
        command: vec!["python".to_owned()],
        python: "3.13.0".to_owned(),
        ..Process::default()
    };
    build.profile.apply(Event::Process(ProcessId(1), process));
    for (thread, (process, tid)) in
        (0..).zip([(0, Some(4242)), (1, Some(4242)), (1, None), (1, None)])
    {
        let thread = (
            ThreadId(thread),
            Thread {
                process: ProcessId(process),
                tid,
                name: None,
                is_main: false,
            },
        );
        build.profile.apply(Event::Thread(thread.0, thread.1));
        build.sample(thread.0.0, &[Call("f", "/f.py", 1, 1)], 1_000_000);
    }
    let tracks: HashSet<_> = check(&build.profile).into_keys().collect();
    assert_eq!(tracks.len(), 4, "{tracks:?}");
    let file = json(Format::ChromeTrace, &build.profile, &meta());
    let named = file["traceEvents"].as_array().expect("events");
    let named = named.iter().filter(|event| event["name"] == "process_name");
    let names: Vec<&Value> = named.map(|event| &event["args"]["name"]).collect();
    assert_eq!(
        names,
        ["process 4242 (python scatter.py)", "process 4242 (python)"]
    );
}
