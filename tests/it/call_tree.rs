//! The call tree for a terminal.

use rsamp::export::{Colour, Meta, ReportInput, Screen, call_tree};
use rsamp::profile::Profile;

use crate::profile::{Build, Call};

const MAIN: Call<'_> = Call("main", "/home/ada/run.py", 30, 33);
const SITE: &str = "/v/lib/python3.12/site-packages";

fn tree(profile: &Profile, width: usize, colour: Colour) -> String {
    let meta = Meta::default();
    let screen = Screen {
        width,
        height: 24,
        colour,
    };
    call_tree(&ReportInput::new(profile, &meta), &screen)
}

/// A program that reads a table, which calls it back, and works on it recursively.
fn program() -> Build {
    let mut build = Build::default();
    build.thread(Some("MainThread"));
    let files = ["readers.py", "c_parser.py", "frame.py", "generic.py"];
    let files = files.map(|file| format!("{SITE}/pandas/core/{file}"));
    let numpy = format!("{SITE}/numpy/core.py");
    let module = Call("<module>", "/home/ada/run.py", 1, 40);
    let read = Call("read_csv", &files[0], 868, 900);
    let inner = [
        Call("_read", &files[1], 1, 2),
        Call("parse", &files[2], 3, 4),
        Call("apply", &files[3], 5, 6),
        Call("asarray", &numpy, 7, 8),
    ];
    let load = Call("load", "/home/ada/lib/io.py", 12, 14);
    let convert = Call("convert", "/home/ada/lib/io.py", 20, 21);
    let below = |call| [module, MAIN, load, read, inner[0], inner[1], call];
    build.sample(0, &below(inner[2])[..6], 3_000_000_000);
    build.sample(0, &below(inner[3]), 1_000_000_000);
    let mut called_back = below(inner[2]).to_vec();
    called_back.push(convert);
    build.sample(0, &called_back, 2_000_000_000);
    let solve = Call("solve", "/home/ada/run.py", 10, 12);
    build.sample(0, &[module, MAIN, solve, solve, solve], 3_000_000_000);
    build.sample(0, &[module, MAIN, solve], 500_000_000);
    build.sample(0, &[module, MAIN], 490_000_000);
    let rare = Call("rare", "/home/ada/run.py", 50, 51);
    build.sample(0, &[module, MAIN, rare], 10_000_000);
    build
}

#[test]
fn libraries_are_folded_into_the_call_that_enters_them() {
    insta::assert_snapshot!(tree(&program().profile, 80, Colour::None));
}

#[test]
fn a_narrow_terminal_cuts_what_does_not_fit() {
    let text = tree(&program().profile, 50, Colour::None);
    assert!(
        text.lines().all(|line| line.chars().count() <= 50),
        "{text}"
    );
    insta::assert_snapshot!(text);
}

#[test]
fn a_terminal_shows_what_is_hot_in_colour() {
    insta::assert_snapshot!(tree(&program().profile, 80, Colour::Terminal));
}

#[test]
fn a_deep_and_wide_tree_has_forty_lines_of_calls_with_their_names() {
    let names: Vec<String> = (0..200).map(|at| format!("step_{at}")).collect();
    let calls: Vec<Call<'_>> = names
        .iter()
        .map(|name| Call(name, "/home/ada/run.py", 1, 1))
        .collect();
    let mut build = Build::default();
    build.thread(Some("MainThread"));
    for depth in 1..=200 {
        build.sample(0, &calls[..depth], 1_000_000_000);
    }
    for call in &calls {
        build.sample(0, &[*call], 2_000_000_000);
    }
    let text = tree(&build.profile, 80, Colour::None);
    let rows = text.lines().filter(|line| line.contains("step_"));
    assert_eq!(rows.clone().count(), 40, "{text}");
    for row in rows {
        assert!(
            row.chars().count() <= 80 && row.contains(" (run.py:1)"),
            "{row}"
        );
    }
    assert!(text.ends_with(" are not shown\n"), "{text}");
}

#[test]
fn threads_are_together_and_time_without_frames_is_told() {
    let mut build = Build::default();
    for name in ["MainThread", "worker"] {
        build.thread(Some(name));
    }
    build.sample(0, &[MAIN], 1_000_000_000);
    build.sample(1, &[MAIN], 2_000_000_000);
    build.sample(1, &[], 1_000_000_000);
    insta::assert_snapshot!(tree(&build.profile, 80, Colour::None));
    assert!(tree(&Profile::default(), 80, Colour::None).contains("no sample"));
}
