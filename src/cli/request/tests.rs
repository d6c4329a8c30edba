//! Command lines, right and wrong, and what is made of them.

use clap::Parser;

use super::*;
use crate::cli::args::{Args, Command};

/// What the words `rsamp …` ask for, or the error's text.
fn build(line: &str) -> Result<String, String> {
    let args =
        Args::try_parse_from(line.split_whitespace()).map_err(|error| error.kind().to_string())?;
    let built = match args.command {
        Command::Record(args) => record(&args).map(|request| format!("{request:?}")),
        Command::Attach(args) => attach(&args).map(|request| format!("{request:?}")),
        Command::Dump(args) => dump(&args).map(|request| format!("{request:?}")),
        Command::Report(args) => report(&args).map(|request| format!("{request:?}")),
        Command::Diff(args) => diff(&args).map(|request| format!("{request:?}")),
        Command::OnNode(args) => on_node(&args).map(|request| format!("{request:?}")),
        Command::ReadSources | Command::ReadLegacy { .. } | Command::Completions(_) => {
            Ok(String::new())
        }
    };
    built.map_err(|error| format!("{:#}", anyhow::Error::new(error)))
}

#[test]
fn a_right_line_becomes_a_request() {
    let table: &[(&str, &[&str])] = &[
        (
            "rsamp record -- python x.py -o y",
            &[r#"["python", "x.py", "-o", "y"]"#, "rate: Auto"],
        ),
        (
            "rsamp record python x.py -r 5",
            &[r#"["python", "x.py", "-r", "5"]"#, "rate: Auto"],
        ),
        (
            "rsamp record -r 0.5 -d 2.5 x",
            &[
                "rate: Fixed(0.5), max_overhead: None",
                "duration: Some(2.5s)",
                r#"["x"]"#,
            ],
        ),
        ("rsamp record -- -odd-name", &[r#"["-odd-name"]"#]),
        (
            "rsamp record x",
            &[
                "Default([Recording, Export(FlameGraph), Export(Pstats)])",
                "force: false",
                "OwnTerminal",
                "quiet: false",
            ],
        ),
        ("rsamp record -f folded x", &["Default([Export(Folded)])"]),
        (
            "rsamp record --force --quiet x",
            &["force: true", "Never", "quiet: true"],
        ),
        ("rsamp record --progress x", &["AnyTerminal"]),
        (
            "rsamp record -o a.svg -o b.pstats x",
            &[
                r#"Named([Output { path: "a.svg", kind: Export(FlameGraph), pattern: None }, Output { path: "b.pstats", kind: Export(Pstats), pattern: None }])"#,
            ],
        ),
        (
            "rsamp record -o a.svg -o b -f folded x",
            &[
                r#""a.svg", kind: Export(Folded)"#,
                r#""b", kind: Export(Folded)"#,
            ],
        ),
        (
            "rsamp record --icicle --reversed --by-line --node-thres 2.5% --edge-thres 0 x",
            &[
                "direction: Down, is_reversed: true, by_line: true",
                "node_threshold_percent: 2.5, edge_threshold_percent: 0.0",
            ],
        ),
        (
            "rsamp record --by-line --merge-lines x",
            &["direction: Up, is_reversed: false, by_line: false"],
        ),
        (
            "rsamp record -f SVG -o - x",
            &[r#""-", kind: Export(FlameGraph)"#],
        ),
        ("rsamp attach 42", &["pid: Pid(42)", "AnyTerminal"]),
        (
            "rsamp attach --pid 42 -d 3 -o a.txt",
            &["pid: Pid(42)", "duration: Some(3s)", "kind: Export(Text)"],
        ),
        ("rsamp attach -p 42 -q", &["pid: Pid(42)", "Never"]),
        (
            "rsamp attach 42 -d 3",
            &["pid: Pid(42)", "duration: Some(3s)"],
        ),
        ("rsamp attach -r 1000000 42", &["Fixed(1000000.0)"]),
        ("rsamp attach -r 1e9 42", &["Fixed(1000000000.0)"]),
        (
            "rsamp attach -r auto 42",
            &["rate: Auto, max_overhead: Some(0.01)"],
        ),
        (
            "rsamp attach --max-overhead 0.5 42",
            &["rate: Auto, max_overhead: Some(0.005)"],
        ),
        (
            "rsamp attach -r 100 --max-overhead 100% 42",
            &["rate: Fixed(100.0), max_overhead: Some(1.0)"],
        ),
        (
            "rsamp record -o a.rsamp --env A --env B --no-source x",
            &[
                "kind: Recording",
                r#"environment: ["A", "B"], source: false"#,
            ],
        ),
        (
            "rsamp record -f rsamp x",
            &["Default([Recording])", "source: true"],
        ),
        (
            "rsamp report a.rsamp b",
            &[r#"inputs: ["a.rsamp", "b"]"#, "outputs: None"],
        ),
        (
            "rsamp report a -f folded",
            &[r#"path: "-", kind: Export(Folded)"#],
        ),
        (
            "rsamp report a --mode gil --from 1.5 --to 2",
            &["view: Gil", "Nanos(1500000000)", "Nanos(2000000000)"],
        ),
        (
            "rsamp report a --thread 7 --thread io-* --process run.py --no-stdlib --hide */np/*",
            &[
                "threads: [Number(7), Pattern(",
                "processes: [Pattern(",
                "hidden: [StandardLibrary, Files(",
            ],
        ),
        (
            "rsamp report a --function ^f --focus g$ --no-importlib",
            &[
                "function: Some(Regex(\"^f\")), focus: Some(Regex(\"g$\"))",
                "hidden: [ImportSystem]",
            ],
        ),
        (
            "rsamp diff a b",
            &["outputs: []", "scale: Seconds", "view: Wall"],
        ),
        (
            "rsamp diff a b -o c.svg -o d.CSV --normalize --mode cpu",
            &[
                r#"("c.svg", FlameGraph), ("d.CSV", Csv)"#,
                "scale: Normalized",
                "view: Cpu",
            ],
        ),
        (
            "rsamp report a.rsamp --lines field greens --top 3",
            &[
                r#"inputs: ["a.rsamp"]"#,
                r#"lines: Some(["field", "greens"]), memory: None, top: 3"#,
            ],
        ),
        (
            "rsamp report --lines --memory f a.rsamp b.RSAMP",
            &[
                r#"inputs: ["a.rsamp", "b.RSAMP"]"#,
                r#"lines: Some([]), memory: Some(["f"]), top: 5, with_confidence: false"#,
            ],
        ),
        ("rsamp report a --ci", &["with_confidence: true"]),
        ("rsamp diff a b -f json", &[r#"("-", Json)"#]),
        ("rsamp dump --json 42", &["Pid(42)", "Json"]),
        ("rsamp dump --pid=42", &["Pid(42)", "Text"]),
    ];
    for (line, expected) in table {
        let built = build(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        for part in *expected {
            assert!(built.contains(part), "{line}: no {part} in {built}");
        }
    }
}

#[test]
fn a_wrong_line_says_why() {
    let table = [
        ("rsamp record --pid 42 -- python x.py", "takes no --pid"),
        ("rsamp record --pid 42", "takes no --pid"),
        (
            "rsamp attach --pid 42 -- python x.py",
            "takes no command: python x.py",
        ),
        (
            "rsamp attach 42 python x.py",
            "takes no command: python x.py",
        ),
        (
            "rsamp dump 42 43",
            "`dump` reads a running process and takes no command: 43",
        ),
        ("rsamp attach 0", "\"0\" is no process id"),
        ("rsamp attach -- -42", "\"-42\" is no process id"),
        ("rsamp attach --pid -42", "\"-42\" is no process id"),
        ("rsamp attach scatter.py", "\"scatter.py\" is no process id"),
        (
            "rsamp attach 99999999999",
            "\"99999999999\" is no process id",
        ),
        (
            "rsamp record -r 0 x",
            "\"0\" is no rate: samples per second, from 0.001 to 1000000000, or auto",
        ),
        ("rsamp record -r -5 x", "\"-5\" is no rate"),
        ("rsamp record -r NaN x", "\"NaN\" is no rate"),
        ("rsamp record -r inf x", "\"inf\" is no rate"),
        ("rsamp record -r 1000000001 x", "\"1000000001\" is no rate"),
        ("rsamp record --rate= x", "\"\" is no rate"),
        ("rsamp record -r 1e-300 x", "\"1e-300\" is no rate"),
        ("rsamp record -r fast x", "\"fast\" is no rate"),
        (
            "rsamp record --max-overhead 0 x",
            "\"0\" is no overhead: per cent of one core, above 0 and up to 100",
        ),
        ("rsamp record --max-overhead -1 x", "\"-1\" is no overhead"),
        (
            "rsamp record --max-overhead 101 x",
            "\"101\" is no overhead",
        ),
        (
            "rsamp record --max-overhead NaN x",
            "\"NaN\" is no overhead",
        ),
        (
            "rsamp record --max-overhead inf x",
            "\"inf\" is no overhead",
        ),
        (
            "rsamp record --max-overhead low x",
            "\"low\" is no overhead",
        ),
        ("rsamp record -d 0 x", "\"0\" is no duration"),
        ("rsamp record -d -1 x", "\"-1\" is no duration"),
        ("rsamp record -d NaN x", "\"NaN\" is no duration"),
        ("rsamp record -d 1e300 x", "\"1e300\" is no duration"),
        ("rsamp record -d 1e-300 x", "\"1e-300\" is no duration"),
        (
            "rsamp record -o a.gif x",
            "choose a format for \"a.gif\": unknown ending .gif: known are .rsamp, .svg (flamegraph), .pstats",
        ),
        (
            "rsamp record -o a x",
            "\"a\": no ending that names a format",
        ),
        (
            "rsamp record -f gif x",
            "--format: unknown format gif: known are .rsamp, .svg (flamegraph)",
        ),
        (
            "rsamp record -o a.svg -o a.svg x",
            "\"a.svg\" is named twice",
        ),
        ("rsamp record --output= -f svg x", "isn't valid"),
        (
            "rsamp report a -o b.svg -o -",
            "no ending that names a format",
        ),
        ("rsamp report a -f gif", "unknown format gif: known are"),
        ("rsamp report", "required"),
        ("rsamp report --lines f", "no recording to report on"),
        ("rsamp report a --top 0", "--top: \"0\" is no number"),
        ("rsamp report a --top -1", "--top: \"-1\" is no number"),
        ("rsamp report a --mode user", "isn't valid"),
        (
            "rsamp report a --from -1",
            "--from: \"-1\" is no time: seconds since the start, from 0 to 1000000000",
        ),
        ("rsamp report a --to NaN", "--to: \"NaN\" is no time"),
        (
            "rsamp report a --from 2 --to 2",
            "nothing lies between --from 2 and --to 2",
        ),
        (
            "rsamp report a --function (",
            "--function: \"(\" is no regular expression: regex parse error",
        ),
        ("rsamp report a --hide [x", "--hide: \"[x\" is no pattern"),
        ("rsamp diff a", "required"),
        (
            "rsamp diff a b -o c.pstats",
            "choose a format for the diff: a diff cannot be written as \"c.pstats\"",
        ),
        ("rsamp diff a b -o c.svg -o c.svg", "is named twice"),
        ("rsamp record --env A=1 x", "\"A=1\" is no name"),
        (
            "rsamp record --node-thres 101 x",
            "\"101\" is no threshold: percent, from 0 to 100",
        ),
        ("rsamp record --edge-thres -1 x", "\"-1\" is no threshold"),
        ("rsamp report a --edge-thres -1", "\"-1\" is no threshold"),
        ("rsamp record --edge-thres NaN x", "\"NaN\" is no threshold"),
        ("rsamp record", "required"),
        ("rsamp attach", "required"),
        ("rsamp record --progress --quiet x", "cannot be used with"),
    ];
    for (line, expected) in table {
        let error = build(line).expect_err(line);
        assert!(
            error.contains(expected),
            "{line}: no {expected:?} in {error:?}"
        );
    }
}
