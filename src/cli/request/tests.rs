//! What right command lines ask for; what wrong ones are told stands in `tests/it/cli.rs`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use super::*;
use crate::cli::args::{Args, Command};
use crate::export::diff::DiffFormat;
use crate::export::{Direction, Drawing, Format, Lines};
use crate::process::Pid;
use crate::profile::Mode;
use crate::profile::diff::Scale;
use crate::profile::event::Nanos;
use crate::profile::filter::{Hidden, Name};
use crate::profile::native_frames::NativeFrames;
use crate::run::outputs::Kind;
use crate::run::request::{Attach, Files, Output, Record, ShowProgress};
use crate::sampler::{Budget, Rate};

fn command(line: &str) -> Command {
    let args = Args::try_parse_from(line.split_whitespace());
    args.unwrap_or_else(|error| panic!("{line}: {error}"))
        .command
}

fn recorded(line: &str) -> Record {
    match command(line) {
        Command::Record(args) => record(&args).expect(line),
        other => panic!("{other:?}"),
    }
}

fn attached(line: &str) -> Attach {
    match command(line) {
        Command::Attach(args) => attach(&args).expect(line),
        other => panic!("{other:?}"),
    }
}

fn reported(line: &str) -> Report {
    match command(line) {
        Command::Report(args) => report(&args).expect(line),
        other => panic!("{other:?}"),
    }
}

fn compared(line: &str) -> Diff {
    match command(line) {
        Command::Diff(args) => diff(&args).expect(line),
        other => panic!("{other:?}"),
    }
}

fn dumped(line: &str) -> Dump {
    match command(line) {
        Command::Dump(args) => dump(&args).expect(line),
        other => panic!("{other:?}"),
    }
}

fn named(files: &[(&str, Kind)]) -> Files {
    let output = |(path, kind): &(&str, Kind)| Output {
        path: PathBuf::from(path),
        kind: *kind,
        pattern: None,
    };
    Files::Named(files.iter().map(output).collect())
}

fn export(format: Format) -> Kind {
    Kind::Export(format)
}

#[test]
fn a_command_keeps_its_own_options() {
    let table: [(&str, &[&str]); 4] = [
        (
            "rsamp record -- python x.py -o y",
            &["python", "x.py", "-o", "y"],
        ),
        (
            "rsamp record python x.py -r 5",
            &["python", "x.py", "-r", "5"],
        ),
        ("rsamp record -r 0.5 -d 2.5 x", &["x"]),
        ("rsamp record -- -odd-name", &["-odd-name"]),
    ];
    for (line, expected) in table {
        assert_eq!(recorded(line).command, expected, "{line}");
    }
}

#[test]
fn a_rate_is_automatic_within_a_hundredth_of_a_core_unless_one_is_asked_for() {
    let table = [
        ("rsamp attach 42", Rate::Auto, Budget::Usual),
        ("rsamp attach -r auto 42", Rate::Auto, Budget::Usual),
        (
            "rsamp attach --max-overhead 0.5 42",
            Rate::Auto,
            Budget::Held(0.005),
        ),
        (
            "rsamp attach -r 0.5 42",
            Rate::Fixed(0.5),
            Budget::Unlimited,
        ),
        (
            "rsamp attach -r 1000000 42",
            Rate::Fixed(1e6),
            Budget::Unlimited,
        ),
        (
            "rsamp attach -r 1e9 42",
            Rate::Fixed(1e9),
            Budget::Unlimited,
        ),
        (
            "rsamp attach -r 100 --max-overhead 100% 42",
            Rate::Fixed(100.0),
            Budget::Held(1.0),
        ),
    ];
    for (line, rate, budget) in table {
        let sampling = attached(line).sampling;
        assert_eq!((sampling.rate, sampling.budget), (rate, budget), "{line}");
    }
    let duration = |line| recorded(line).sampling.duration;
    assert_eq!(duration("rsamp record x"), None);
    assert_eq!(
        duration("rsamp record -d 2.5 x"),
        Some(Duration::from_millis(2500))
    );
}

#[test]
fn files_are_of_the_kind_that_their_ending_or_the_format_names() {
    let usual = vec![
        Kind::Recording,
        export(Format::FlameGraph),
        export(Format::Pstats),
    ];
    let table = [
        ("rsamp record x", Files::Default(usual)),
        (
            "rsamp record -f folded x",
            Files::Default(vec![export(Format::Folded)]),
        ),
        (
            "rsamp record -f rsamp x",
            Files::Default(vec![Kind::Recording]),
        ),
        (
            "rsamp record -o a.svg -o b.pstats x",
            named(&[
                ("a.svg", export(Format::FlameGraph)),
                ("b.pstats", export(Format::Pstats)),
            ]),
        ),
        (
            "rsamp record -o a.svg -o b -f folded x",
            named(&[
                ("a.svg", export(Format::Folded)),
                ("b", export(Format::Folded)),
            ]),
        ),
        (
            "rsamp record -f SVG -o - x",
            named(&[("-", export(Format::FlameGraph))]),
        ),
        (
            "rsamp record -o a.rsamp x",
            named(&[("a.rsamp", Kind::Recording)]),
        ),
    ];
    for (line, files) in table {
        assert_eq!(recorded(line).outputs.files, files, "{line}");
    }
    assert!(!recorded("rsamp record x").outputs.force);
    assert!(recorded("rsamp record --force x").outputs.force);
}

#[test]
fn graphs_are_drawn_as_asked() {
    let drawing = |line| recorded(line).outputs.drawing;
    assert_eq!(
        drawing("rsamp record --flames --reversed --by-line --node-thres 2.5% --edge-thres 0 x"),
        Drawing {
            direction: Direction::Up,
            is_reversed: true,
            lines: Lines::All,
            node_threshold_percent: 2.5,
            edge_threshold_percent: 0.0,
            ..Drawing::default()
        }
    );
    assert_eq!(
        drawing("rsamp record --by-line --merge-lines --by-thread --by-process x"),
        Drawing {
            lines: Lines::Merged,
            by_thread: true,
            by_process: true,
            ..Drawing::default()
        }
    );
    let default = Drawing::default();
    assert_eq!(default.direction, Direction::Down);
    assert_eq!(drawing("rsamp record x"), default);
    assert_eq!(drawing("rsamp record --flames --icicle x"), default);
}

#[test]
fn progress_is_drawn_where_it_disturbs_nobody() {
    let table = [
        ("rsamp record x", ShowProgress::OwnTerminal, false),
        (
            "rsamp record --progress x",
            ShowProgress::AnyTerminal,
            false,
        ),
        ("rsamp record --quiet x", ShowProgress::Never, true),
    ];
    for (line, progress, quiet) in table {
        let request = recorded(line);
        assert_eq!(
            (request.progress, request.saying.quiet),
            (progress, quiet),
            "{line}"
        );
    }
    assert_eq!(
        attached("rsamp attach 42").progress,
        ShowProgress::AnyTerminal
    );
    assert_eq!(
        attached("rsamp attach -p 42 -q").progress,
        ShowProgress::Never
    );
}

#[test]
fn a_process_is_named_by_an_option_or_a_word() {
    for line in [
        "rsamp attach 42",
        "rsamp attach --pid 42 -d 3",
        "rsamp attach 42 -d 3",
    ] {
        assert_eq!(attached(line).pid, Pid(42), "{line}");
    }
    let dump = |form| Dump {
        pid: Pid(42),
        what: Dumped::Threads,
        form,
        native: None,
    };
    assert_eq!(dumped("rsamp dump --json 42"), dump(DumpForm::Json));
    assert_eq!(dumped("rsamp dump --pid=42"), dump(DumpForm::Text));
    let tasks = Dump {
        what: Dumped::Tasks,
        ..dump(DumpForm::Text)
    };
    assert_eq!(dumped("rsamp dump --tasks 42"), tasks);
    let native = |native| Dump {
        native: Some(native),
        ..dump(DumpForm::Text)
    };
    assert_eq!(
        dumped("rsamp dump --native 42"),
        native(NativeFrames::Libraries)
    );
    assert_eq!(
        dumped("rsamp dump --native --native-frames=all 42"),
        native(NativeFrames::All)
    );
}

#[test]
fn a_recording_holds_source_and_the_variables_asked_for() {
    let extras = recorded("rsamp record --env A --env B --no-source x").extras;
    assert_eq!(
        (extras.environment, extras.source),
        (vec!["A".into(), "B".into()], false)
    );
    assert!(recorded("rsamp record x").extras.source);
}

#[test]
fn a_report_is_of_the_files_named_and_shows_what_is_selected() {
    let request = reported("rsamp report a.rsamp b");
    assert_eq!(
        request.inputs,
        [PathBuf::from("a.rsamp"), PathBuf::from("b")]
    );
    assert_eq!(request.outputs, None);
    let files = reported("rsamp report a -f folded")
        .outputs
        .map(|outputs| outputs.files);
    assert_eq!(files, Some(named(&[("-", export(Format::Folded))])));
    let selection = reported("rsamp report a --mode gil --from 1.5 --to 2").selection;
    assert_eq!(selection.mode, Mode::Gil);
    assert_eq!(
        (selection.from, selection.to),
        (Some(Nanos(1_500_000_000)), Some(Nanos(2_000_000_000)))
    );
    let line = "rsamp report a --thread 7 --thread io-* --process run.py --no-stdlib --hide */np/*";
    let selection = reported(line).selection;
    assert!(
        matches!(&selection.threads[..], [Name::Number(7), Name::Pattern(io)] if io.as_str() == "io-*")
    );
    assert!(matches!(&selection.processes[..], [Name::Pattern(run)] if run.as_str() == "run.py"));
    assert!(matches!(
        &selection.hidden[..],
        [Hidden::StandardLibrary, Hidden::Files(files)] if files.as_str() == "*/np/*"
    ));
    let selection = reported("rsamp report a --function ^f --focus g$").selection;
    assert_eq!(selection.function.expect("one").as_str(), "^f");
    assert_eq!(selection.focus.expect("one").as_str(), "g$");
    assert!(selection.folds_imports && selection.hidden.is_empty());
    assert!(!reported("rsamp report a --imports").selection.folds_imports);
    assert!(!recorded("rsamp record x").outputs.shown.imports);
    assert!(recorded("rsamp record --imports x").outputs.shown.imports);
}

#[test]
fn words_behind_lines_and_memory_are_names_or_recordings() {
    let request = reported("rsamp report a.rsamp --lines field greens --top 3");
    assert_eq!(request.inputs, [PathBuf::from("a.rsamp")]);
    let lines = Some(vec!["field".to_owned(), "greens".to_owned()]);
    assert_eq!(
        (
            request.tables.lines,
            request.tables.memory,
            request.tables.top
        ),
        (lines, None, 3)
    );
    let request = reported("rsamp report --lines --memory f a.rsamp b.RSAMP");
    assert_eq!(
        request.inputs,
        [PathBuf::from("a.rsamp"), PathBuf::from("b.RSAMP")]
    );
    let memory = Some(vec!["f".to_owned()]);
    let tables = &request.tables;
    assert_eq!(
        (&tables.lines, &tables.memory, tables.top),
        (&Some(Vec::new()), &memory, 5)
    );
    assert!(!tables.with_confidence);
    assert!(reported("rsamp report a --ci").tables.with_confidence);
}

#[test]
fn a_diff_is_a_table_or_the_files_named() {
    let request = compared("rsamp diff a b");
    assert_eq!(
        (request.outputs, request.scale),
        (Vec::new(), Scale::Seconds)
    );
    assert_eq!(request.selection.mode, Mode::Wall);
    let request = compared("rsamp diff a b -o c.svg -o d.CSV --normalize --mode cpu");
    let files = [
        ("c.svg".into(), DiffFormat::FlameGraph),
        ("d.CSV".into(), DiffFormat::Csv),
    ];
    assert_eq!(
        (&request.outputs[..], request.scale),
        (&files[..], Scale::Normalized)
    );
    assert_eq!(request.selection.mode, Mode::Cpu);
    assert_eq!(
        compared("rsamp diff a b -f json").outputs,
        [("-".into(), DiffFormat::Json)]
    );
}

#[test]
fn a_node_is_told_whether_native_frames_are_wanted() {
    let told = |line: &str| match command(line) {
        Command::OnNode(args) => on_node(&args).map(|told| told.work).ok(),
        other => panic!("{other:?}"),
    };
    assert_eq!(told("rsamp on-node dump"), Some(OnNodeWork::Dump));
    let native = format!("rsamp on-node --step=3 dump {NATIVE}");
    assert_eq!(told(&native), Some(OnNodeWork::DumpNative));
    let tasks = format!("rsamp on-node dump {TASKS}");
    assert_eq!(told(&tasks), Some(OnNodeWork::DumpTasks));
    assert_eq!(told("rsamp on-node dump --natives"), None);
}
