//! What a call graph holds.

use rsamp::export::ReportInput;
use rsamp::export::{Drawing, Format, Meta, write};
use rsamp::profile::Profile;

use super::{empty, hostile, meta, one_thread, text, two_threads};
use crate::profile::{Build, Call};

#[test]
fn files() {
    insta::assert_snapshot!(text(Format::Dot, &one_thread()));
    insta::assert_snapshot!(text(Format::Dot, &two_threads()));
    insta::assert_snapshot!(text(Format::Dot, &empty()));
}

/// How many nodes and edges are drawn.
fn drawn(
    profile: &Profile,
    node_threshold_percent: f64,
    edge_threshold_percent: f64,
) -> (usize, usize) {
    let drawing = Drawing {
        node_threshold_percent,
        edge_threshold_percent,
        ..Drawing::default()
    };
    let mut out = Vec::new();
    let meta = Meta { drawing, ..meta() };
    write(Format::Dot, &ReportInput::new(profile, &meta), &mut out).expect("a Vec takes all");
    let dot = String::from_utf8(out).expect("UTF-8");
    let edges = dot.lines().filter(|line| line.contains(" -> ")).count();
    (dot.matches("fillcolor=").count(), edges)
}

#[test]
fn thresholds_leave_out_what_is_smaller() {
    let mut build = Build::default();
    build.thread(Some("MainThread"));
    let [main, hot, warm, cold] =
        ["main", "hot", "warm", "cold"].map(|name| Call(name, "/x.py", 1, 2));
    build.sample(0, &[main, hot], 900_000);
    build.sample(0, &[main, warm], 97_000);
    build.sample(0, &[main, cold, cold], 3_000);
    let table = [
        ((0.0, 0.0), (4, 4)),
        // The defaults of gprof2dot.
        ((0.5, 0.1), (3, 2)),
        ((0.3, 0.1), (4, 4)),
        ((0.3, 5.0), (4, 2)),
        ((50.0, 0.0), (2, 1)),
        ((100.0, 100.0), (1, 0)),
    ];
    for ((node, edge), expected) in table {
        assert_eq!(drawn(&build.profile, node, edge), expected, "{node} {edge}");
    }
    assert!(text(Format::Dot, &build.profile).contains("not drawn: 1 function below 0.5 %"));
}

#[test]
fn hotter_nodes_are_redder() {
    let dot = text(Format::Dot, &one_thread());
    let hue = |function: &str| -> f64 {
        let node = dot
            .lines()
            .find(|line| line.contains(function))
            .expect("a node");
        let (_, color) = node.split_once("fillcolor=\"").expect("a colour");
        color
            .split(' ')
            .next()
            .expect("a hue")
            .parse()
            .expect("a number")
    };
    let [main, solve, dot_function] = ["\"main ", "\"Solver", "\"dot "].map(hue);
    assert!(
        main > solve && solve > dot_function,
        "{main} {solve} {dot_function}"
    );
    assert_eq!(dot_function, 0.0, "60 % are as hot as it gets");
}

#[test]
fn hostile_names_stay_in_their_quotes() {
    let dot = text(Format::Dot, &hostile());
    assert!(!dot.chars().any(|c| c.is_control() && c != '\n'));
    for line in dot.lines() {
        let escaped = line.replace("\\\\", "").replace("\\\"", "");
        assert_eq!(escaped.matches('"').count() % 2, 0, "{line}");
    }
}
