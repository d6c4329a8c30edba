//! What a speedscope file holds.

use rsamp::export::{Drawing, Format, Lines, Meta};
use rsamp::profile::Profile;
use serde_json::Value;

use super::{
    empty, hostile, hostile_names, json, meta, one_thread, one_thread_in, pretty, two_threads_in,
};
use crate::profile::{Build, Call};

#[test]
fn files() {
    insta::assert_snapshot!(pretty(Format::Speedscope, &one_thread()));
    let ordered = two_threads_in(Profile::with_timeline());
    insta::assert_snapshot!(pretty(Format::Speedscope, &ordered));
    insta::assert_snapshot!(pretty(Format::Speedscope, &empty()));
}

#[test]
fn samples_are_in_the_order_of_time_when_it_is_known() {
    let mut build = Build::into(Profile::with_timeline());
    build.thread(Some("MainThread"));
    let (a, b) = (Call("a", "/a.py", 1, 2), Call("b", "/a.py", 5, 6));
    for call in [a, b, a] {
        build.sample(0, &[call], 1_000_000);
    }
    let file = json(Format::Speedscope, &build.profile, &meta());
    assert_eq!(file["profiles"][0]["samples"].to_string(), "[[0],[1],[0]]");
    // The same of one that forgot.
    let file = json(Format::Speedscope, &one_thread(), &meta());
    let ordered = one_thread_in(Profile::with_timeline());
    let ordered = json(Format::Speedscope, &ordered, &meta());
    assert_eq!(file, ordered, "each stack was seen once, in this order");
}

#[test]
fn lines_are_frames_when_asked_for() {
    let drawing = Drawing {
        lines: Lines::All,
        ..Drawing::default()
    };
    let by_line = Meta { drawing, ..meta() };
    let file = json(Format::Speedscope, &one_thread(), &by_line);
    let frames = file["shared"]["frames"].as_array().expect("an array");
    let main = frames.iter().filter(|frame| frame["name"] == "main");
    let lines: Vec<&Value> = main.map(|frame| &frame["line"]).collect();
    assert_eq!(lines, [12, 14]);
}

#[test]
fn hostile_names_are_whole() {
    let file = json(Format::Speedscope, &hostile(), &meta());
    let frames = file["shared"]["frames"].as_array().expect("an array");
    for name in hostile_names() {
        assert!(
            frames.iter().any(|frame| frame["name"] == *name),
            "{name:?}"
        );
    }
    let profiles = file["profiles"].as_array().expect("an array");
    let weights = profiles
        .iter()
        .flat_map(|profile| profile["weights"].as_array().expect("an array"));
    let sum: u64 = weights.map(|weight| weight.as_u64().expect("ns")).sum();
    assert_eq!(sum, hostile().totals().wall.0);
}
