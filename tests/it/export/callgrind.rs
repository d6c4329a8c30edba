//! What a callgrind file holds.

use std::collections::HashMap;

use rsamp::export::Format;
use rsamp::profile::{Functions, Mode, Profile};

use super::{empty, hostile, hostile_names, one_thread, text, two_threads};
use crate::profile::{Build, Call};

#[test]
fn files() {
    insta::assert_snapshot!(text(Format::Callgrind, &one_thread()));
    insta::assert_snapshot!(text(Format::Callgrind, &two_threads()));
    insta::assert_snapshot!(text(Format::Callgrind, &empty()));
}

#[test]
fn calls_of_a_function_add_up_to_its_total_time() {
    let mut build = Build::default();
    build.thread(Some("MainThread"));
    let [a, b, c] = ["a", "b", "c"].map(|name| Call(name, "/x.py", 1, 2));
    // b is reached from two lines of a, calls itself through c, and is outermost once.
    let later = Call("a", "/x.py", 1, 3);
    for stack in [
        &[a, b] as &[Call<'_>],
        &[later, b, c, b],
        &[b, c, c],
        &[a, b, b, b],
    ] {
        build.sample(0, stack, 1_000);
    }
    for profile in [build.profile, one_thread(), two_threads(), hostile()] {
        check_inclusive(&profile);
    }
}

/// Reads the file back as callgrind_annotate does, and compares with the table of functions.
fn check_inclusive(profile: &Profile) {
    let file = text(Format::Callgrind, profile);
    let mut inclusive: HashMap<String, u64> = HashMap::new();
    let (mut self_ns, mut callee, mut is_call) = (0, String::new(), false);
    let first = |line: &str| -> u64 {
        let words: Vec<&str> = line.split(' ').collect();
        words[1].parse().expect("a cost")
    };
    let body = file.split("\n\n").skip(1);
    for line in body.flat_map(str::lines) {
        if let Some(name) = line.strip_prefix("cfn=") {
            callee = name.split(' ').next().expect("a number").to_owned();
        } else if line.starts_with("calls=") {
            is_call = true;
        } else if line.starts_with(|c: char| c.is_ascii_digit()) {
            match std::mem::take(&mut is_call) {
                true => *inclusive.entry(callee.clone()).or_default() += first(line),
                false => self_ns += first(line),
            }
        }
    }
    assert_eq!(self_ns, profile.totals().wall.0);
    let functions = Functions::of(profile);
    for (id, row) in functions.rows().iter().enumerate() {
        let found = inclusive.get(&format!("({})", id + 1));
        assert_eq!(found, Some(&row.totals.time(Mode::Wall).0), "{id}");
    }
}

#[test]
fn hostile_names_are_whole_on_lines_of_their_own() {
    let file = text(Format::Callgrind, &hostile());
    assert!(!file.chars().any(|c| c.is_control() && c != '\n'));
    let (head, body) = file.split_once("\n\n").expect("a head");
    let keys = [
        "#",
        "version:",
        "creator:",
        "cmd:",
        "desc:",
        "positions:",
        "events:",
        "summary:",
    ];
    assert!(
        head.lines()
            .all(|line| keys.iter().any(|key| line.starts_with(key)))
    );
    let keys = [
        "fl=(", "fn=(", "cfi=(", "cfn=(", "calls=", "totals:", "0 ", "1 ",
    ];
    for line in body.lines().filter(|line| !line.is_empty()) {
        assert!(keys.iter().any(|key| line.starts_with(key)), "{line}");
    }
    for name in hostile_names()
        .iter()
        .filter(|name| !name.contains(['\n', '\u{ffff}']))
    {
        let name = match name.trim() {
            "" => "<no name>",
            name => name,
        };
        assert!(body.contains(&format!(") {name}\n")), "{name}");
    }
}
