//! What the tools make of names that break what is not written with care.

use std::path::Path;
use std::process::Command;

use rsamp::export::Format;
use rsamp::profile::{Event, FrameId, Profile, StackId};

use super::{fetched, frame, profile, sample, speedscope, stdout, tool, with_file};

/// Time of the whole profile, in nanoseconds.
const WHOLE_NS: f64 = 1_250_000_000.0 + 125_000_000.0 * NAMES.len() as f64;

const NAMES: [&str; 11] = [
    "a;b 5",
    "line\nbreak\r\t\0\u{1b}[31m",
    "<&>\"']]>\\",
    "",
    " ",
    "(2)",
    "# comment",
    "fn=x",
    "\u{fffd}\u{ffff}\u{2028}",
    "}\" ];",
    // Stands for 100 kB of text.
    "long",
];

pub(super) fn hostile() -> Profile {
    let mut profile = profile();
    for (at, name) in (0_u32..).zip(NAMES) {
        let name = match name {
            "long" => "é".repeat(50_000),
            name => name.to_owned(),
        };
        let mut frame = frame(&name, Some(&format!("/x/{name}.py")), at);
        frame.first_line = Some(at);
        profile.apply(Event::Frame(FrameId(4 + at), frame));
        profile.apply(Event::Stack {
            id: StackId(5 + at),
            parent: Some(StackId(0)),
            frame: FrameId(4 + at),
        });
        profile.apply(sample(6 + u64::from(at), 0, Some(5 + at)));
    }
    assert_eq!(profile.rejected(), 0);
    profile
}

/// The sum of the self times that speedscope finds, in nanoseconds.
fn speedscope_sum(path: &Path, unit_ns: f64) -> f64 {
    let opened = speedscope(path);
    let threads = opened.as_array().expect("profiles").iter();
    let frames = threads.flat_map(|thread| thread["frames"].as_array().expect("frames"));
    frames
        .map(|frame| frame["self"].as_f64().expect("time") * unit_ns)
        .sum()
}

#[test]
fn speedscope_finds_all_time_under_hostile_names() {
    needs!(RSAMP_FORMATS, node);
    let formats = [
        (Format::Speedscope, 1.0),
        (Format::Pprof, 1.0),
        (Format::Callgrind, 1.0),
        (Format::Folded, 1e3),
        (Format::ChromeTrace, 1e3),
    ];
    for (format, unit_ns) in formats {
        let sum = with_file(format, &hostile(), |path| speedscope_sum(path, unit_ns));
        assert!(
            (sum - WHOLE_NS).abs() < 1_000.0,
            "{format}: {sum} {WHOLE_NS}"
        );
    }
}

#[test]
fn callgrind_annotate_and_pprof_find_all_time_under_hostile_names() {
    needs!(RSAMP_FORMATS, callgrind_annotate);
    let annotated = with_file(Format::Callgrind, &hostile(), |path| {
        let mut command = Command::new("callgrind_annotate");
        let output = command
            .args(["--auto=no", "--threshold=100"])
            .arg(path)
            .output();
        let output = output.expect("callgrind_annotate starts");
        assert!(
            output.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    });
    let rows = annotated
        .lines()
        .filter(|line| line.contains("/x/") || line.contains("/home/ada/scatter"));
    assert_eq!(rows.count(), 2 + NAMES.len(), "{annotated}");
    let shown = with_file(Format::Pprof, &hostile(), |path| {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(fetched("pprof"));
        let command = command.env("HOME", folder.path());
        stdout(
            command
                .args(["-top", "-unit=ns", "-symbolize=none"])
                .arg(path),
        )
    });
    assert!(shown.contains(&format!("{WHOLE_NS}ns total")), "{shown}");
}

#[test]
fn graphviz_and_xml_parsers_read_hostile_names() {
    needs!(RSAMP_TOOLS, dot);
    let plain = with_file(Format::Dot, &hostile(), |path| {
        stdout(Command::new("dot").arg("-Tplain").arg(path))
    });
    let nodes = plain.lines().filter(|line| line.starts_with("node "));
    assert_eq!(nodes.count(), 5 + NAMES.len(), "{plain}");
    let script = "import sys, xml.etree.ElementTree as e; \
                  print(len([t for t in e.parse(sys.argv[1]).iter() if t.tag.endswith('title')]))";
    for format in [Format::FlameGraph, Format::DotSvg] {
        let titles = with_file(format, &hostile(), |path| {
            stdout(Command::new(tool("python")).args(["-c", script]).arg(path))
        });
        let titles: usize = titles.trim().parse().expect("a number");
        assert!(titles > NAMES.len(), "{format}: {titles}");
    }
}

#[test]
fn python_reads_hostile_names_whole() {
    needs!(RSAMP_TOOLS);
    let script = "import csv, json, io, sys; opened = lambda f: io.open(f, newline='', encoding='utf-8'); \
                  path = sys.argv[1]; \
                  rows = json.load(opened(path))['functions'] if path.endswith('json') else \
                  [dict(r, name=r['function']) for r in csv.DictReader(opened(path))]; \
                  print(len(rows), max(len(r['name']) for r in rows), max(len(r['file'] or '') for r in rows))";
    for format in [Format::Json, Format::FunctionsCsv, Format::LinesCsv] {
        let shown = with_file(format, &hostile(), |path| {
            stdout(Command::new(tool("python")).arg("-c").arg(script).arg(path))
        });
        assert_eq!(
            shown.trim(),
            format!("{} 50000 50006", 4 + NAMES.len()),
            "{format}"
        );
    }
}
