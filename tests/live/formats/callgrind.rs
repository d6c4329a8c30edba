//! What Valgrind's callgrind_annotate makes of callgrind files.

use std::process::Command;

use rsamp::export::Format;
use rsamp::profile::Profile;

use super::{profile, profile_of, speedscope, stdout, with_file};

fn annotate(profile: &Profile, option: &str) -> String {
    with_file(Format::Callgrind, profile, |path| {
        let mut command = Command::new("callgrind_annotate");
        let shown = command
            .args(["--threshold=100", "--auto=no", option])
            .arg(path)
            .output();
        let shown = shown.expect("callgrind_annotate starts");
        assert!(
            shown.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&shown.stderr)
        );
        assert!(shown.status.success());
        String::from_utf8_lossy(&shown.stdout).into_owned()
    })
}

/// The first column of the row of a function: nanoseconds with commas, behind them a share.
fn nanoseconds(shown: &str, function: &str) -> u64 {
    let row = shown.lines().find(|line| line.contains(function));
    let row = row.unwrap_or_else(|| panic!("no {function} in\n{shown}"));
    let number = row.split_whitespace().next().expect("a cost");
    number.replace(',', "").parse().expect("a number")
}

#[test]
fn callgrind_annotate_shows_self_and_total_time() {
    needs!(callgrind_annotate);
    let shown = annotate(&profile(), "--inclusive=no");
    assert!(shown.contains("Wall_ns"), "{shown}");
    assert_eq!(nanoseconds(&shown, "PROGRAM TOTALS"), 1_250_000_000);
    assert_eq!(nanoseconds(&shown, "scatter.py:fib"), 250_000_000);
    let shown = annotate(&profile(), "--inclusive=yes");
    assert_eq!(nanoseconds(&shown, "scatter.py:fib"), 500_000_000);
    assert_eq!(nanoseconds(&shown, "scatter.py:main"), 875_000_000);
    assert!(shown.contains("naïve_λ_🦀 <&>; �\"'\\"), "{shown}");
    annotate(&Profile::default(), "--inclusive=yes");
}

#[test]
fn callgrind_annotate_shows_the_costs_of_lines() {
    needs!(callgrind_annotate);
    let folder = tempfile::tempdir().expect("a folder");
    let source = folder.path().join("scatter.py");
    let lines: String = (1..20).map(|line| format!("line {line}\n")).collect();
    std::fs::write(&source, lines).expect("written");
    let source = source.to_str().expect("UTF-8");
    let shown = with_file(Format::Callgrind, &profile_of(source), |path| {
        let mut command = Command::new("callgrind_annotate");
        stdout(command.arg("--auto=yes").arg(path))
    });
    assert_eq!(nanoseconds(&shown, "  line 11"), 250_000_000);
}

#[test]
fn speedscope_opens_callgrind() {
    needs!(RSAMP_FORMATS, node);
    let opened = with_file(Format::Callgrind, &profile(), speedscope);
    let frames = opened[0]["frames"].as_array().expect("frames");
    let fib = frames
        .iter()
        .find(|frame| frame["name"] == "fib")
        .expect("fib");
    assert_eq!(fib["self"], 250_000_000, "{opened}");
}
