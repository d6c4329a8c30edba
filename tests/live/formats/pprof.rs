//! What Go's pprof makes of pprof files.

use std::process::Command;

use rsamp::export::Format;
use rsamp::profile::Profile;

use super::{fetched, profile, speedscope, stdout, with_file};

fn pprof(options: &[&str], profile: &Profile) -> String {
    with_file(Format::Pprof, profile, |path| {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(fetched("pprof"));
        // It keeps what it fetched and its settings in the home folder.
        let command = command
            .env("HOME", folder.path())
            .env("PPROF_TMPDIR", folder.path());
        stdout(command.args(options).arg("-symbolize=none").arg(path))
    })
}

#[test]
fn pprof_shows_self_and_total_time() {
    needs!(RSAMP_FORMATS);
    let shown = pprof(&["-top", "-unit=ms", "-nodefraction=0"], &profile());
    let row = |function: &str| {
        let row = shown.lines().find(|line| line.ends_with(function));
        let row = row.unwrap_or_else(|| panic!("no {function} in\n{shown}"));
        let words: Vec<&str> = row.split_whitespace().collect();
        (words[0].to_owned(), words[3].to_owned())
    };
    assert!(shown.contains("Type: wall"), "{shown}");
    assert_eq!(row(" fib"), ("250ms".to_owned(), "500ms".to_owned()));
    assert_eq!(row(" main"), ("125ms".to_owned(), "875ms".to_owned()));
    assert!(shown.contains("naïve_λ_🦀"), "{shown}");
}

#[test]
fn pprof_shows_lines_threads_and_what_was_lost() {
    needs!(RSAMP_FORMATS);
    let lines = pprof(&["-top", "-lines"], &profile());
    assert!(lines.contains("fib /home/ada/scatter.py:11"), "{lines}");
    let tags = pprof(&["-tags"], &profile());
    assert!(tags.contains("MainThread (1)"), "{tags}");
    let comments = pprof(&["-comments"], &profile());
    assert!(comments.contains("lost: 2 samples torn"), "{comments}");
}

#[test]
fn pprof_opens_an_empty_profile() {
    needs!(RSAMP_FORMATS);
    assert!(pprof(&["-raw"], &Profile::default()).contains("samples/count"));
}

#[test]
fn speedscope_opens_pprof() {
    needs!(RSAMP_FORMATS, node);
    let opened = with_file(Format::Pprof, &profile(), speedscope);
    let frames = opened[0]["frames"].as_array().expect("frames");
    let fib = frames
        .iter()
        .find(|frame| frame["name"] == "fib")
        .unwrap_or_else(|| panic!("{opened}"));
    assert_eq!(fib["total"], 500_000_000, "{opened}");
}
