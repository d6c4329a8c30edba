//! What the tools that users have make of the files.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::Command;

use rsamp::export::{Format, Meta, ReportInput, write};
use rsamp::profile::{
    Event, Frame, FrameId, FrameKind, Loss, LostCause, Nanos, Process, ProcessId, Profile, Sample,
    StackId, Thread, ThreadId,
};
use serde_json::Value;

use crate::support::commands;
use crate::support::needs::prepared;
use crate::support::pythons::Python;

mod callgrind;
mod chrome_trace;
mod csv;
mod dot;
mod firefox;
mod hostile;
mod html;
mod html_views;
mod json;
mod lprof;
mod mprof;
mod pprof;
mod speedscope;

fn tool(name: &str) -> PathBuf {
    prepared("RSAMP_TOOLS").join("bin").join(name)
}

fn frame(name: &str, file: Option<&str>, line: u32) -> Frame {
    Frame {
        kind: FrameKind::Python,
        name: name.to_owned(),
        file: file.map(str::to_owned),
        first_line: file.map(|_| line),
        line: file.map(|_| line + 1),
    }
}

/// A program that `scripts/formats` fetched.
fn fetched(name: &str) -> PathBuf {
    prepared("RSAMP_FORMATS").join(name)
}

/// A name that a format has to write with care.
const HARD_NAME: &str = "naïve_λ_🦀 <&>;\n\0\"'\\";

/// `main` calls `fib`, which calls itself; a mark; a hard name; and a second thread: 1.25 s.
fn profile() -> Profile {
    profile_of("/home/ada/scatter.py")
}

/// The same of a program that lies elsewhere.
fn profile_of(file: &str) -> Profile {
    let mut profile = Profile::with_timeline();
    let process = Process {
        pid: 1,
        command: vec!["python".to_owned()],
        python: "3.11.7".to_owned(),
        ..Process::default()
    };
    profile.apply(Event::Process(ProcessId(0), process));
    for (id, name) in [(0, "MainThread"), (1, "wörker\n<2>")] {
        let thread = Thread {
            process: ProcessId(0),
            tid: Some(id as i32 + 1),
            name: Some(name.to_owned()),
            is_main: id == 0,
        };
        profile.apply(Event::Thread(ThreadId(id), thread));
    }
    let frames = [
        frame("main", Some(file), 1),
        frame("fib", Some(file), 10),
        frame("<native>", None, 0),
        frame(HARD_NAME, Some("/home/ada/ü \n.py"), 20),
    ];
    for (id, frame) in (0..).zip(frames) {
        profile.apply(Event::Frame(FrameId(id), frame));
    }
    let stacks = [
        (None, 0),
        (Some(0), 1),
        (Some(1), 1),
        (Some(2), 2),
        (Some(0), 3),
    ];
    for (id, (parent, frame)) in (0..).zip(stacks) {
        profile.apply(Event::Stack {
            id: StackId(id),
            parent: parent.map(StackId),
            frame: FrameId(frame),
        });
    }
    for (at, stack) in (1..).zip([Some(0), Some(1), Some(2), Some(3), Some(4)]) {
        profile.apply(sample(at, 0, stack));
        profile.apply(sample(at, 1, stack.filter(|id| *id > 2)));
    }
    profile.apply(Event::Lost(Loss {
        at: Nanos(0),
        cause: LostCause::Torn,
        count: 2,
    }));
    profile.apply(Event::End(Nanos(625_000_000)));
    profile
}

fn sample(at: u64, thread: u32, stack: Option<u32>) -> Event {
    Event::Sample(Sample {
        at: Nanos(at * 125_000_000),
        thread: ThreadId(thread),
        stack: stack.map(StackId),
        ticks: 1,
        wall: Nanos(125_000_000),
        cpu: Nanos(0),
        gil: Nanos(0),
        ..Sample::default()
    })
}

/// Writes `profile` and hands the file to `run`.
fn with_file<T>(format: Format, profile: &Profile, run: impl FnOnce(&Path) -> T) -> T {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(format!("out.{}", format.ending()));
    let mut out = BufWriter::new(File::create(&path).expect("a file"));
    let meta = Meta {
        title: "scatter.py".to_owned(),
        command: "python 'a <&>;\n\0.py'".to_owned(),
        facts: vec!["100 Hz".to_owned()],
        ..Meta::default()
    };
    write(format, &ReportInput::new(profile, &meta), &mut out).expect("written");
    run(&path)
}

/// What a command prints that must succeed, whatever the machine's language.
fn stdout(command: &mut Command) -> String {
    commands::stdout(command.env("PYTHONIOENCODING", "utf-8"))
}

/// What speedscope makes of a file, as `open_in_speedscope.js` tells it.
fn speedscope(path: &Path) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/live/open_in_speedscope.js");
    let mut command = Command::new("node");
    let told = stdout(command.arg(script).arg(fetched("speedscope")).arg(path));
    serde_json::from_str(&told).expect("JSON")
}

fn every_python_3_opens_pstats(python: &Python) {
    let script = "import pstats, sys; s = pstats.Stats(sys.argv[1]); s.print_stats(); \
                  s.print_callers(); s.print_callees(); s.strip_dirs().sort_stats('cumulative'); \
                  print('total', round(s.total_tt, 6))";
    let run = |path: &Path| stdout(python.interpreter().arg("-c").arg(script).arg(path));
    let shown = with_file(Format::Pstats, &profile(), run);
    assert!(shown.contains("in 1.250 seconds"), "{python:?}\n{shown}");
    assert!(shown.contains("total 1.25"), "{python:?}\n{shown}");
    assert!(shown.contains("scatter.py:10(fib)"), "{python:?}\n{shown}");
    assert!(shown.contains("naïve_λ_🦀"), "{python:?}\n{shown}");
    assert!(shown.contains("{native}"), "{python:?}\n{shown}");
    let shown = with_file(Format::Pstats, &Profile::default(), run);
    assert!(shown.contains("in 0.000 seconds"), "{python:?}\n{shown}");
}

test_on_each!(every_python_3_opens_pstats);

#[test]
fn gprof2dot_draws_pstats() {
    needs!(RSAMP_TOOLS);
    let graph = with_file(Format::Pstats, &profile(), |path| {
        stdout(
            Command::new(tool("gprof2dot"))
                .args(["-f", "pstats"])
                .arg(path),
        )
    });
    assert!(graph.contains("scatter:10:fib"), "{graph}");
    assert!(graph.contains("100.00%"), "{graph}");
}

/// From a `.pstats` file gprof2dot takes samples for calls; folded stacks have no such number.
#[test]
fn gprof2dot_draws_folded_stacks_without_counts_of_calls() {
    needs!(RSAMP_TOOLS);
    let graph = |format, kind| {
        with_file(format, &profile(), |path| {
            stdout(Command::new(tool("gprof2dot")).args(["-f", kind]).arg(path))
        })
    };
    let with_counts = graph(Format::Pstats, "pstats");
    assert!(with_counts.contains("4×"), "{with_counts}");
    let without = graph(Format::Folded, "collapse");
    assert!(
        without.contains("fib") && !without.contains('×'),
        "{without}"
    );
}

#[test]
fn snakeviz_reads_pstats() {
    needs!(RSAMP_TOOLS);
    let script = "import pstats, sys, json; from snakeviz.stats import json_stats, table_rows; \
                  s = pstats.Stats(sys.argv[1]); print(json.dumps(json_stats(s))); \
                  print(len(table_rows(s)), 'rows')";
    let shown = with_file(Format::Pstats, &profile(), |path| {
        stdout(Command::new(tool("python")).arg("-c").arg(script).arg(path))
    });
    assert!(shown.contains("/home/ada/scatter.py:10(fib)"), "{shown}");
    assert!(shown.contains("\n6 rows"), "{shown}");
}

#[test]
fn tuna_finds_a_root_even_when_all_functions_call_themselves() {
    needs!(RSAMP_TOOLS);
    let script = "import sys, json; from tuna.main import read; \
                  print(json.dumps(read(sys.argv[1]))); ";
    let mut recursive = profile();
    recursive.apply(Event::Stack {
        id: StackId(5),
        parent: Some(StackId(0)),
        frame: FrameId(0),
    });
    recursive.apply(sample(6, 0, Some(5)));
    let shown = with_file(Format::Pstats, &recursive, |path| {
        stdout(Command::new(tool("python")).arg("-c").arg(script).arg(path))
    });
    assert!(shown.contains("~::0::<all threads>"), "{shown}");
    assert!(shown.contains("scatter.py::1::main"), "{shown}");
}

#[test]
fn an_xml_parser_reads_the_flame_graph() {
    needs!(RSAMP_TOOLS);
    let script = "import sys, xml.etree.ElementTree as e; \
                  print([t.text for t in e.parse(sys.argv[1]).iter() if t.tag.endswith('title')])";
    for profile in [profile(), Profile::default()] {
        with_file(Format::FlameGraph, &profile, |path| {
            stdout(Command::new(tool("python")).arg("-c").arg(script).arg(path))
        });
    }
}
