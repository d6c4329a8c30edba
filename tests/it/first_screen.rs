//! The answer fits on the screen, and the user's own lines come first.

use rsamp::export::{Colour, Meta, ReportInput, Screen, SourceText, first_screen};
use rsamp::profile::{Event, Nanos, Process, ProcessId, Profile, Sample, State, Usage};

use crate::profile::{Build, Call};

const GB: u64 = 1_000_000_000;

const SCREEN: Screen = Screen {
    width: 80,
    height: 23,
    colour: Colour::None,
};

const HEAD: &str = "rsamp: pd.py ended after 13.5 s (exit code 0)";

fn seconds(seconds: u64, state: State) -> Sample {
    Sample {
        ticks: seconds as u32 * 1000,
        wall: Nanos(seconds * GB),
        cpu: Nanos(if state == State::Python {
            seconds * GB
        } else {
            0
        }),
        state,
        ..Sample::default()
    }
}

/// A script that parses in its own code, sorts in a package, and waits; and an idle thread.
fn program() -> Build {
    let process = Process {
        working_folder: Some("/home/ada/study".to_owned()),
        ..Process::default()
    };
    let mut build = Build::of_process(Profile::default(), process);
    build.thread(Some("MainThread"));
    build.thread(Some("worker"));
    let main = Call("main", "/home/ada/study/pd.py", 10, 12);
    let merge = Call(
        "merge",
        "/v/lib/python3.12/site-packages/pandas/core/frame.py",
        70,
        95,
    );
    let sort = Call(
        "take",
        "/v/lib/python3.12/site-packages/pandas/core/algorithms.py",
        40,
        41,
    );
    let parse = Call("parse", "/home/ada/study/pd.py", 3, 4);
    build.run(0, &[main, merge, sort], seconds(5, State::Python));
    build.run(0, &[main, merge], seconds(2, State::Python));
    build.run(
        0,
        &[Call("main", "/home/ada/study/pd.py", 10, 13), parse],
        seconds(3, State::Python),
    );
    build.run(
        0,
        &[Call("main", "/home/ada/study/pd.py", 10, 14)],
        seconds(2, State::Network),
    );
    build.run(
        1,
        &[Call("run", "/usr/lib/python3.12/threading.py", 1, 2)],
        seconds(12, State::Lock),
    );
    build.profile.apply(Event::Usage(Usage {
        process: ProcessId(0),
        peak: Some(412_000_000),
        ..Usage::default()
    }));
    build.profile.apply(Event::End(Nanos(13 * GB)));
    build.profile.leave_out_idle_waits();
    build
}

fn shown(profile: &Profile, tail: &[String], screen: &Screen) -> String {
    let mut sources = SourceText::default();
    sources.add(
        "/home/ada/study/pd.py",
        1,
        "import pandas\n\ndef parse(rows):\n    return [row.split() for row in rows]\n\n\n\n\n\ndef main():\n    \n    \
         frame = frame.merge(other, on='key', how='left', suffixes=('_before', '_after'))\n    parse(rows)\n    get()\n",
    );
    let meta = Meta::default();
    let input = ReportInput {
        sources: Some(&sources),
        ..ReportInput::new(profile, &meta)
    };
    first_screen(&input, HEAD, tail, screen)
}

#[test]
fn the_first_screen_says_where_the_time_went_in_own_lines_first() {
    let tail = [
        "wrote pd-1.rsamp, pd-1.svg".to_owned(),
        "next: open pd-1.svg".to_owned(),
    ];
    let expected = "\
rsamp: pd.py ended after 13.5 s (exit code 0); 12,000 samples, ± 0.9 points
time: 83 % running Python, 17 % waiting for the network
1 idle thread left out: 12.00 s of waiting (--idle shows it)
       s   %  your lines, with what they call
     7.0  58  pd.py:12  frame = frame.merge(other, on='key', how='left', suffix…
     3.0  25  pd.py:4   return [row.split() for row in rows]
     2.0  17  pd.py:14  get()
       s   %  functions, without what they call
     5.0  42  take (pandas/core/algorithms.py:40)
     3.0  25  parse (pd.py:3)
     2.0  17  main (pd.py:10)
     2.0  17  merge (pandas/core/frame.py:70)
memory: peak 412.0 MB
wrote pd-1.rsamp, pd-1.svg
next: open pd-1.svg
";
    assert_eq!(shown(&program().profile, &tail, &SCREEN), expected);
}

#[test]
fn no_line_is_wider_than_the_screen_and_no_more_are_there_than_it_has() {
    let mut build = program();
    for line in 0..60 {
        let own = Call(
            "Δ_solve_with_a_very_long_name_indeed",
            "/home/ada/study/模型/solve.py",
            line,
            line,
        );
        build.run(0, &[own], seconds(3, State::Python));
    }
    let tail = vec!["wrote x".to_owned(); 2];
    for (width, height) in [(80, 23), (60, 23), (120, 40)] {
        let screen = Screen {
            width,
            height,
            ..SCREEN
        };
        let text = shown(&build.profile, &tail, &screen);
        let widest = text
            .lines()
            .map(unicode_width::UnicodeWidthStr::width)
            .max();
        assert!(widest <= Some(width), "{widest:?} of {width}:\n{text}");
        assert!(text.lines().count() <= height, "{height} rows:\n{text}");
    }
}

#[test]
fn no_line_is_broken_between_a_number_and_its_unit() {
    let build = program();
    for width in 40..100 {
        let screen = Screen { width, ..SCREEN };
        let text = shown(&build.profile, &[], &screen);
        for line in text.lines().map(str::trim_start) {
            let is_unit = ["% ", "s ", "points", "MB"]
                .iter()
                .any(|unit| line.starts_with(unit));
            assert!(
                !is_unit || line.contains("your lines") || line.contains("functions"),
                "{width}: {text}"
            );
        }
    }
}

#[test]
fn colours_are_shown_on_a_terminal_only() {
    let build = program();
    let coloured = Screen {
        colour: Colour::Terminal,
        ..SCREEN
    };
    assert!(!shown(&build.profile, &[], &SCREEN).contains('\x1b'));
    let text = shown(&build.profile, &[], &coloured);
    assert!(text.contains("\x1b[1;31m     7.0  58\x1b[0m"), "{text}");
}

#[test]
fn a_program_of_others_code_alone_has_no_own_lines() {
    let process = Process {
        working_folder: Some("/home/ada/study".to_owned()),
        ..Process::default()
    };
    let mut build = Build::of_process(Profile::default(), process);
    build.thread(Some("MainThread"));
    let run = Call("run", "/v/lib/python3.12/site-packages/tool/run.py", 1, 2);
    build.run(0, &[run], seconds(500, State::Python));
    // Next to nothing.
    let own = Call("<module>", "/home/ada/study/start.py", 1, 1);
    build.run(0, &[own], seconds(1, State::Python));
    let text = shown(&build.profile, &[], &SCREEN);
    assert!(
        !text.contains("your lines") && text.contains("run (tool/run.py:1)"),
        "{text}"
    );
}

#[test]
fn problems_of_the_recording_are_one_line() {
    let mut build = program();
    assert!(!shown(&build.profile, &[], &SCREEN).contains("accuracy:"));
    build.profile.apply(Event::Lost(rsamp::profile::Loss {
        at: Nanos(0),
        cause: rsamp::profile::LostCause::Torn,
        count: 600,
    }));
    let text = shown(&build.profile, &[], &SCREEN);
    assert!(
        text.contains("accuracy: 5 % of the samples are lost or cut\n"),
        "{text}"
    );
}
