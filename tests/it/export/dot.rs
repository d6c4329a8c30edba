//! What a call graph holds.

use rsamp::export::{Drawing, Format, Meta, ReportInput, write};
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
fn thresholds_hide_smaller_nodes() {
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

/// What a node of the call graph is drawn with.
fn attribute<'d>(dot: &'d str, function: &str, name: &str) -> &'d str {
    let node = dot
        .lines()
        .find(|line| line.contains(&format!("[label=\"{function}")));
    let (_, rest) = node.and_then(|node| node.split_once(name)).expect("a node");
    rest.split('"').nth(1).expect("a value")
}

#[test]
fn hotter_nodes_are_redder() {
    let dot = text(Format::Dot, &one_thread());
    let red = |function| {
        let color = attribute(&dot, function, "fillcolor=");
        u8::from_str_radix(&color[1..3], 16).expect("a number")
    };
    let [main, solve, dot_function] = ["main", "Solver", "dot"].map(red);
    assert!(
        main >= solve && solve > dot_function,
        "{main} {solve} {dot_function}"
    );
    // gprof2dot's hottest.
    assert_eq!(attribute(&dot, "main", "fillcolor="), "#ff0000");
}

#[test]
fn no_more_functions_are_drawn_than_a_screen_holds() {
    let mut build = Build::default();
    build.thread(Some("MainThread"));
    for number in 0..100_u64 {
        let name = format!("f{number}");
        let calls = [Call("main", "/x.py", 1, 2), Call(&name, "/x.py", 5, 6)];
        build.sample(0, &calls, 1_000_000 + number);
    }
    assert_eq!(drawn(&build.profile, 0.5, 0.1).0, 60);
    let dot = text(Format::Dot, &build.profile);
    assert!(
        dot.contains("not drawn: 41 functions with less time than the 60 drawn"),
        "{dot}"
    );
    assert!(dot.contains("f99") && !dot.contains("f10 "));
}

#[test]
fn all_imports_are_one_node() {
    let mut build = Build::default();
    build.thread(Some("MainThread"));
    let main = Call("<module>", "/x.py", 1, 2);
    let [a, b] = ["import a", "import b"].map(|name| Call(name, "/v/a.py", 1, 2));
    let compile = Call("compile", "/v/re.py", 1, 2);
    build.sample(0, &[main, a, b, compile], 1_000_000);
    build.sample(0, &[main, a], 1_000_000);
    let dot = text(Format::Dot, &build.profile);
    assert!(!dot.contains("import a"), "{dot}");
    assert!(attribute(&dot, "imports", "label=").contains("100.00%"));
    assert_eq!(
        dot.lines().filter(|line| line.contains(" -> ")).count(),
        2,
        "{dot}"
    );
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
