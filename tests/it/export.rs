//! What the output formats say of small profiles.

use std::collections::BTreeMap;
use std::path::Path;

use rsamp::export::{
    Direction, Drawing, Format, Lines, Meta, ReportInput, SummaryOptions, summary, task_table,
    write,
};
use rsamp::profile::{
    Attribute, Attributes, AttributesId, Event, Loss, LostCause, Mode, Nanos, Process, ProcessId,
    Profile, Sample, State, Thread, ThreadId,
};

use serde_json::Value;

use crate::profile::{Build, Call};

mod callgrind;
mod chrome_trace;
mod csv;
mod dot;
mod firefox;
mod json;
mod over_ranks;
mod pprof;
mod speedscope;

fn meta() -> Meta {
    Meta {
        title: "scatter.py".to_owned(),
        command: "python scatter.py --n 5".to_owned(),
        facts: vec!["100 Hz".to_owned()],
        mode: Mode::Wall,
        ..Meta::default()
    }
}

fn bytes(format: Format, profile: &Profile) -> Vec<u8> {
    let mut out = Vec::new();
    write(format, &ReportInput::new(profile, &meta()), &mut out).expect("a Vec takes all");
    out
}

fn text(format: Format, profile: &Profile) -> String {
    String::from_utf8(bytes(format, profile)).expect("UTF-8")
}

fn json(format: Format, profile: &Profile, meta: &Meta) -> Value {
    let mut out = Vec::new();
    write(format, &ReportInput::new(profile, meta), &mut out).expect("a Vec takes all");
    serde_json::from_slice(&out).expect("JSON")
}

/// A format of JSON, laid out for the eye.
fn pretty(format: Format, profile: &Profile) -> String {
    serde_json::to_string_pretty(&json(format, profile, &meta())).expect("JSON")
}

/// One thread: main calls solve on two lines, solve calls itself and numpy.
fn one_thread() -> Profile {
    one_thread_in(Profile::default())
}

fn one_thread_in(profile: Profile) -> Profile {
    let mut build = Build::into(profile);
    build.thread(Some("MainThread"));
    let main = Call("main", "/home/ada/scatter.py", 10, 12);
    let main_later = Call("main", "/home/ada/scatter.py", 10, 14);
    let solve = Call("Solver.solve", "/home/ada/lib/solver.py", 3, 5);
    let dot = Call(
        "dot",
        "/usr/lib/python3/dist-packages/numpy/linalg.py",
        70,
        71,
    );
    build.sample(0, &[main], 100_000_400);
    build.sample(0, &[main, solve], 300_000_400);
    build.sample(0, &[main_later, solve, solve], 400_000_400);
    build.sample(0, &[main, solve, dot], 1_200_000_400);
    build.profile.apply(Event::Lost(Loss {
        at: Nanos(2_000_001_600),
        cause: LostCause::Late,
        count: 3,
    }));
    build.profile.apply(Event::Lost(Loss {
        at: Nanos(2_000_001_600),
        cause: LostCause::Torn,
        count: 1,
    }));
    build.profile.apply(Event::End(Nanos(2_000_001_600)));
    build.profile
}

/// Two threads, one of which had no Python frame for half of the time.
fn two_threads() -> Profile {
    two_threads_in(Profile::default())
}

fn two_threads_in(profile: Profile) -> Profile {
    let mut build = Build::into(profile);
    build.thread(Some("MainThread"));
    build.thread(Some("worker;<1>"));
    let run = Call("run", "/srv/a/__init__.py", 1, 2);
    let other = Call("run", "/srv/b/__init__.py", 1, 3);
    build.sample(0, &[run], 1_000_000_000);
    build.sample(1, &[run, other], 500_000_000);
    build.sample(1, &[], 500_000_000);
    build.profile.apply(Event::End(Nanos(1_000_000_000)));
    build.profile
}

/// Names that break what is not written with care.
fn hostile_names() -> Vec<String> {
    let names = [
        "a;b",
        "line\nbreak\r\t\0\u{1b}[31m",
        "<&>\"']]>\\\\\\",
        "",
        " ",
        "f 7",
        "f 7 8",
        "# comment",
        "naïve_λ_🦀",
        "\u{ffff}\u{2028}\u{fffd}",
        "(1)",
        "a,b=c",
    ];
    let long = "x".repeat(100_000);
    names.map(str::to_owned).into_iter().chain([long]).collect()
}

const HOSTILE_FILES: [&str; 5] = ["/a;b/<&> \n.py", "", "/", "-->", "\"quoted\", a\\b"];

fn hostile() -> Profile {
    let mut build = Build::default();
    build.thread(Some("a 5"));
    build.thread(None);
    for name in hostile_names() {
        for file in HOSTILE_FILES {
            let call = Call(&name, file, u32::MAX, 1);
            build.sample(0, &[call], 1_000_000);
            build.sample(1, &[call, call], 1_000_000);
        }
        build.mark_sample(0, &[&name], 1_000_000);
    }
    build.profile
}

fn empty() -> Profile {
    let mut profile = Profile::default();
    profile.apply(Event::End(Nanos(3_000_000)));
    profile
}

#[test]
fn folded_stacks_add_up_to_the_rounded_sum() {
    insta::assert_snapshot!(text(Format::Folded, &one_thread()));
    insta::assert_snapshot!(text(Format::Folded, &two_threads()));
    assert_eq!(text(Format::Folded, &empty()), "");
}

#[test]
fn hostile_names_keep_one_stack_per_line() {
    let folded = text(Format::Folded, &hostile());
    let mut sum = 0;
    for line in folded.lines() {
        let (stack, count) = line.rsplit_once(' ').expect("a weight");
        sum += count.parse::<u64>().expect("a number");
        assert!(stack.split(';').count() <= 3, "{stack}");
        assert!(!stack.chars().any(char::is_control), "{stack:?}");
    }
    assert_eq!(sum, 13 * 11 * 1000);
}

#[test]
fn processes_and_threads_of_one_name_stay_apart() {
    let mut build = Build::default();
    let process = Process {
        pid: 4300,
        command: vec!["python".to_owned(), "rank;1".to_owned()],
        python: "3.13.0t".to_owned(),
        ..Process::default()
    };
    build.profile.apply(Event::Process(ProcessId(1), process));
    let call = Call("run", "/run.py", 1, 1);
    for (thread, process) in [(0, 0), (1, 1), (2, 1)] {
        let nameless = Thread {
            process: ProcessId(process),
            tid: None,
            name: None,
            is_main: false,
        };
        let event = Event::Thread(ThreadId(thread), nameless);
        build.profile.apply(event);
        build.sample(thread, &[call], 1_000_000);
    }
    insta::assert_snapshot!(text(Format::Folded, &build.profile));
    insta::assert_snapshot!(text(Format::Text, &build.profile));
}

#[test]
fn a_view_without_time_says_so() {
    let mut build = Build::default();
    build.thread(Some("MainThread"));
    build.sample(0, &[Call("sleep", "/run.py", 1, 1)], 1);
    let options = SummaryOptions {
        mode: Mode::Gil,
        ..SummaryOptions::default()
    };
    insta::assert_snapshot!(summary(&build.profile, &options));
    let mut lost = empty();
    lost.apply(Event::Lost(Loss {
        at: Nanos(2_000_001_600),
        cause: LostCause::Unreadable,
        count: 2,
    }));
    insta::assert_snapshot!(summary(&lost, &options));
}

#[test]
fn text_report() {
    insta::assert_snapshot!(text(Format::Text, &one_thread()));
    insta::assert_snapshot!(text(Format::Text, &two_threads()));
    insta::assert_snapshot!(text(Format::Text, &empty()));
}

#[test]
fn summary_says_how_much_it_leaves_out() {
    let options = SummaryOptions {
        functions: 1,
        lines: 0,
        threads: 1,
        ..SummaryOptions::default()
    };
    insta::assert_snapshot!(summary(&two_threads(), &options));
}

#[test]
fn flame_graph_is_the_same_each_time_and_shows_every_function() {
    let subtitle = "python scatter.py --n\u{a0}5 · ";
    let more = "python scatter.py --n\u{a0}5 · wall time · 100 Hz · ";
    for (profile, lost) in [
        (one_thread(), "lost: 3 late, 1 torn"),
        (two_threads(), "nothing lost"),
    ] {
        let svg = text(Format::FlameGraph, &profile);
        assert_eq!(svg, text(Format::FlameGraph, &profile));
        assert!(
            svg.contains(&format!("<title>{more}{lost}</title>{subtitle}")),
            "{lost}"
        );
    }
    let drawing = Drawing {
        lines: Lines::Merged,
        ..Drawing::default()
    };
    let svg = flame_graph(&one_thread(), drawing);
    // To the left of what it called stands what a function did itself.
    assert!(svg.contains("fg:x=\"100001\" fg:w=\"1900001\""));
    assert!(svg.contains("total 2 s, 100 %"), "{svg}");
    assert!(
        svg.contains("linalg.py:70 · total 1 s, 60 % · self 1 s)</title>"),
        "{svg}"
    );
}

fn flame_graph(profile: &Profile, drawing: Drawing) -> String {
    let mut out = Vec::new();
    let meta = Meta { drawing, ..meta() };
    write(
        Format::FlameGraph,
        &ReportInput::new(profile, &meta),
        &mut out,
    )
    .expect("a Vec takes all");
    String::from_utf8(out).expect("UTF-8")
}

#[test]
fn flame_graph_hangs_down_unless_flames_are_asked_for() {
    let flames = Drawing {
        direction: Direction::Up,
        ..Drawing::default()
    };
    let [up, down] = [flames, Drawing::default()].map(|drawing| {
        let svg = flame_graph(&one_thread(), drawing);
        let y = |function: &str| -> u32 {
            let (_, frame) = svg.split_once(function).expect("drawn");
            let (_, y) = frame.split_once(" y=\"").expect("a place");
            y.split_once('"')
                .expect("a number")
                .0
                .parse()
                .expect("a number")
        };
        (y("<title>main ("), y("<title>dot ("))
    });
    assert!(up.0 > up.1 && down.0 < down.1, "{up:?} {down:?}");
}

#[test]
fn flame_graph_can_begin_with_what_is_innermost() {
    let reversed = Drawing {
        is_reversed: true,
        lines: Lines::Merged,
        ..Drawing::default()
    };
    let svg = flame_graph(&one_thread(), reversed);
    // solve called by main and solve called by itself are one frame; its callers stand on it.
    let solve = svg.split("<title>Solver.solve (solver.py:3) (").skip(1);
    let told = solve.filter_map(|frame| frame.split_once(")</title>"));
    let widest = told.filter(|(told, _)| told.ends_with("total 1 s, 35 %"));
    assert_eq!(widest.count(), 1, "{svg}");
    assert!(svg.contains("linalg.py:70 · total 1 s, 60 %)</title>"));
    let main = svg.matches("<title>main (").count();
    assert_eq!(main, 4, "alone, above solve, above solve twice, above dot");
    assert!(svg.contains("from the innermost function on"));
}

#[test]
fn lines_are_frames_of_graphs_when_asked_for() {
    let drawing = Drawing {
        lines: Lines::All,
        ..Drawing::default()
    };
    let svg = flame_graph(&one_thread(), drawing);
    assert!(svg.contains("scatter.py:12 · total 2 s, 80 %"), "{svg}");
    assert!(svg.contains("scatter.py:14 · total 0.4 s, 20 %"), "{svg}");
    // The colour is still that of the module.
    let fills = svg.split("<title>main (").skip(1).map(|frame| {
        let (_, fill) = frame.split_once("fill=\"").expect("a colour");
        fill.split_once('"').expect("a colour").0
    });
    let fills: Vec<&str> = fills.collect();
    assert_eq!(fills[0], fills[1]);
    let mut folded = Vec::new();
    let meta = Meta { drawing, ..meta() };
    write(
        Format::Folded,
        &ReportInput::new(&one_thread(), &meta),
        &mut folded,
    )
    .expect("a Vec takes all");
    let folded = String::from_utf8(folded).expect("UTF-8");
    assert!(
        folded.contains("main (scatter.py:14);Solver.solve (solver.py:5);"),
        "{folded}"
    );
}

#[test]
fn of_very_many_frames_the_flame_graph_has_the_widest() {
    let mut build = Build::default();
    build.thread(Some("MainThread"));
    for stack in 0..5000_u64 {
        let names = [0, 1, 2, 3, 4].map(|level| format!("f{stack}_{level}"));
        let called = names.iter().map(|name| Call(name, "/run.py", 1, 1));
        let main = Call("main", "/run.py", 1, 1);
        let calls: Vec<Call<'_>> = [main].into_iter().chain(called).collect();
        build.sample(0, &calls, 1_000_000 * (5000 + stack));
    }
    let svg = text(Format::FlameGraph, &build.profile);
    // Frames that are equally wide are all drawn or none: `main` and 3999 stacks of 5, the whole, and the subtitle's.
    assert_eq!(svg.matches("<title>").count(), 19_998);
    assert!(svg.contains("no more than the 20000 widest frames drawn"));
    assert!(svg.contains("f4999_4 ") && svg.contains("f1001_4 ") && !svg.contains("f1000_"));
}

#[test]
fn flame_graph_of_hostile_names_holds_nothing_that_xml_forbids() {
    let svg = text(Format::FlameGraph, &hostile());
    assert!(
        !svg.chars()
            .any(|c| c.is_control() && c != '\n' && c != '\t')
    );
    assert!(svg.len() < 200_000, "{}", svg.len());
    assert!(
        svg.contains("total 0.143 s, 100 %"),
        "no weight is taken for a part of a name: {svg}"
    );
}

#[test]
fn flame_graph_without_samples_says_so() {
    insta::assert_snapshot!(text(Format::FlameGraph, &empty()));
}

#[test]
fn an_import_has_its_seconds_in_a_flame_graph() {
    let mut build = Build::default();
    build.thread(Some("MainThread"));
    let of = |ticks: u32| Sample {
        ticks,
        wall: Nanos(u64::from(ticks) * 1_000_000),
        ..Sample::default()
    };
    let import = Call(
        "import pandas",
        "/v/lib/python3.11/site-packages/pandas/__init__.py",
        1,
        1,
    );
    build.run(0, &[import], of(730));
    build.run(0, &[Call("main", "/run.py", 1, 2)], of(1270));
    let svg = text(Format::FlameGraph, &build.profile);
    assert!(svg.contains("<title>import pandas (0.73 s) ("), "{svg}");
    assert!(
        svg.contains("<title>main (run.py:2) (/run.py:2 · total 1.27 s, 64 %"),
        "{svg}"
    );
}

#[test]
fn a_frame_is_drawn_once_whatever_sorts_between_its_stacks() {
    let mut build = Build::default();
    build.thread(Some("MainThread"));
    for stack in [&["a"] as &[&str], &["a z"], &["a", "b"], &["# a"]] {
        build.mark_sample(0, stack, 5_000_000);
    }
    let svg = text(Format::FlameGraph, &build.profile);
    assert_eq!(
        svg.matches("<title>a (total 0.010 s, 50 % · self 0.005 s)")
            .count(),
        1
    );
    assert!(
        svg.contains("<title>all (total 0.020 s, 100 % · self 0 s)"),
        "no line is a comment"
    );
}

#[test]
fn stacks_deeper_than_the_picture_keep_their_time() {
    let mut build = Build::default();
    build.thread(Some("MainThread"));
    let deep = vec![Call("fib", "/fib.py", 1, 2); 20_000];
    build.sample(0, &deep, 1_000_000_000);
    let svg = text(Format::FlameGraph, &build.profile);
    assert!(svg.contains("frames deeper than 1000 not drawn"));
    assert_eq!(svg.matches("total 1.0 s, 100 %").count(), 1001);
    assert_eq!(text(Format::Folded, &build.profile).len(), 20_000 * 15 + 8);
}

#[test]
fn formats_are_known_by_ending_and_by_name() {
    for format in Format::ALL.iter().copied() {
        let file = format!("a.b/out.{}", format.ending());
        assert_eq!(Format::from_path(Path::new(&file)), Ok(format));
        assert_eq!(
            Format::from_path(Path::new(&file.to_uppercase())),
            Ok(format)
        );
        assert_eq!(Format::from_name(format.name()), Ok(format));
    }
    let said = |file: &str| {
        let error = Format::from_path(Path::new(file)).expect_err(file);
        let said = error.to_string();
        let (reason, known) = said.split_once(": give one of ").expect("what is known");
        assert_eq!(known, Format::known());
        reason.to_owned()
    };
    assert_eq!(said("out.gif"), "unknown ending .gif");
    assert_eq!(said("a.json5"), "unknown ending .json5");
    for file in ["out", ".svg", "svg", "a.svg/.."] {
        assert_eq!(
            said(file),
            "the name has no ending that names a format",
            "{file}"
        );
    }
    let unknown = Format::from_name("gif").expect_err("unknown");
    insta::assert_snapshot!(unknown);
}

#[test]
fn pstats_rows() {
    for profile in [one_thread(), two_threads(), empty()] {
        let rows = Marshal::load(&bytes(Format::Pstats, &profile)).pstats();
        insta::assert_snapshot!(show(&rows));
    }
}

#[test]
fn pstats_times_add_up() {
    let mut alike = Build::default();
    alike.thread(Some("MainThread"));
    alike.mark_sample(0, &["a"], 5_000_000);
    alike.sample(0, &[Call("a", "~", 0, 0)], 5_000_000);
    let profiles = [
        one_thread(),
        two_threads(),
        hostile(),
        empty(),
        alike.profile,
    ];
    for profile in profiles {
        let rows = Marshal::load(&bytes(Format::Pstats, &profile)).pstats();
        let sum: f64 = rows.values().map(|row| row.times.2).sum();
        assert!((sum - profile.totals().wall.seconds()).abs() < 1e-9);
        for (key, row) in &rows {
            assert!(row.callers.keys().all(|caller| rows.contains_key(caller)));
            let from_callers: f64 = row.callers.values().map(|times| times.2).sum();
            let rounding = (from_callers - row.times.2).abs() < 1e-9;
            assert!(rounding || key.2 == "<all threads>", "{key:?}");
        }
    }
}

#[test]
fn pstats_counts_beyond_32_bits() {
    let mut build = Build::default();
    build.thread(Some("MainThread"));
    let call = Call("spin", "/spin.py", u32::MAX, 1);
    for _ in 0..3 {
        build.ticks(0, &[call], u32::MAX);
    }
    let rows = Marshal::load(&bytes(Format::Pstats, &build.profile)).pstats();
    let row = &rows[&(
        "/spin.py".to_owned(),
        u64::from(u32::MAX),
        "spin".to_owned(),
    )];
    assert_eq!(row.times.0, 3 * u64::from(u32::MAX));
}

type Key = (String, u64, String);
type Times = (u64, u64, f64, f64);

struct Row {
    times: Times,
    callers: BTreeMap<Key, Times>,
}

fn show(rows: &BTreeMap<Key, Row>) -> String {
    let mut text = String::new();
    for (key, row) in rows {
        text += &format!("{key:?} {:?}\n", row.times);
        for (caller, times) in &row.callers {
            text += &format!("    {caller:?} {times:?}\n");
        }
    }
    text
}

/// A value of Python's marshal format, as told by the documentation of its codes in
/// Python/marshal.c.
#[derive(Debug, Clone)]
enum Marshal {
    Int(u64),
    Float(f64),
    Text(String),
    Tuple(Vec<Marshal>),
    Dict(Vec<(Marshal, Marshal)>),
    Null,
}

impl Marshal {
    fn load(bytes: &[u8]) -> Marshal {
        let mut rest = bytes;
        let value = Marshal::read(&mut rest);
        assert!(rest.is_empty(), "{} bytes behind the value", rest.len());
        value
    }

    fn read(rest: &mut &[u8]) -> Marshal {
        match take::<1>(rest)[0] {
            b'0' => Marshal::Null,
            b'i' => Marshal::Int(i32::from_le_bytes(take(rest)).try_into().expect("positive")),
            b'l' => {
                let digits = i32::from_le_bytes(take(rest));
                let digits = (0..digits).map(|_| u64::from(u16::from_le_bytes(take(rest))));
                let shifted = digits.enumerate().map(|(at, digit)| digit << (15 * at));
                Marshal::Int(shifted.sum())
            }
            b'g' => Marshal::Float(f64::from_le_bytes(take(rest))),
            b'u' => {
                let len = i32::from_le_bytes(take(rest)) as usize;
                let (text, behind) = rest.split_at(len);
                *rest = behind;
                Marshal::Text(String::from_utf8(text.to_vec()).expect("UTF-8"))
            }
            b'(' => {
                let len = i32::from_le_bytes(take(rest));
                Marshal::Tuple((0..len).map(|_| Marshal::read(rest)).collect())
            }
            b'{' => {
                let mut pairs = Vec::new();
                loop {
                    let key = Marshal::read(rest);
                    if matches!(key, Marshal::Null) {
                        return Marshal::Dict(pairs);
                    }
                    pairs.push((key, Marshal::read(rest)));
                }
            }
            code => panic!("unknown code {code:#x}"),
        }
    }

    fn pstats(&self) -> BTreeMap<Key, Row> {
        let row = |value: &Marshal| match value {
            Marshal::Tuple(items) => Row {
                times: Marshal::times(&items[..4]),
                callers: items[4]
                    .pairs()
                    .iter()
                    .map(|(caller, times)| (caller.key(), times.tuple_times()))
                    .collect(),
            },
            other => panic!("{other:?}"),
        };
        let pairs = self.pairs();
        let rows: BTreeMap<Key, Row> = pairs.iter().map(|(k, v)| (k.key(), row(v))).collect();
        assert_eq!(rows.len(), pairs.len(), "a key twice");
        rows
    }

    fn pairs(&self) -> &[(Marshal, Marshal)] {
        match self {
            Marshal::Dict(pairs) => pairs,
            other => panic!("{other:?}"),
        }
    }

    fn key(&self) -> Key {
        match self {
            Marshal::Tuple(items) => match items.as_slice() {
                [Marshal::Text(file), Marshal::Int(line), Marshal::Text(name)] => {
                    (file.clone(), *line, name.clone())
                }
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    fn tuple_times(&self) -> Times {
        match self {
            Marshal::Tuple(items) => Marshal::times(items),
            other => panic!("{other:?}"),
        }
    }

    fn times(items: &[Marshal]) -> Times {
        match items {
            [
                Marshal::Int(cc),
                Marshal::Int(nc),
                Marshal::Float(tt),
                Marshal::Float(ct),
            ] => (*cc, *nc, *tt, *ct),
            other => panic!("{other:?}"),
        }
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (head, behind) = rest.split_first_chunk().expect("more bytes");
    *rest = behind;
    *head
}

#[test]
fn threads_are_merged_unless_they_are_told_apart() {
    let mut build = Build::default();
    let names = [
        "MainThread",
        "Thread-7 (serve)",
        "Thread-12 (serve)",
        "io-1",
        "io-23",
    ];
    let run = Call("run", "/run.py", 1, 1);
    for (thread, name) in (0..).zip(names) {
        build.thread(Some(name));
        build.sample(thread, &[run], 1_000_000);
    }
    let svg = text(Format::FlameGraph, &build.profile);
    assert_eq!(svg.matches("<title>run (").count(), 1, "{svg}");
    let by_thread = Drawing {
        by_thread: true,
        ..Drawing::default()
    };
    let svg = flame_graph(&build.profile, by_thread);
    for name in ["MainThread", "serve ×2", "io-* ×2"] {
        assert_eq!(
            svg.matches(&format!("<title>{name} (")).count(),
            1,
            "{name}"
        );
    }
}

/// Two tasks of one name and one of another one on an event loop, each for a second, and the loop for two.
fn tasks() -> Build {
    let base = |name: &'static str, line| {
        Call(
            name,
            "/usr/lib/python3.12/asyncio/base_events.py",
            line,
            line,
        )
    };
    let below = [
        Call("<module>", "/app.py", 1, 90),
        base("BaseEventLoop.run_forever", 624),
        base("BaseEventLoop._run_once", 1894),
    ];
    let handle = Call(
        "Handle._run",
        "/usr/lib/python3.12/asyncio/events.py",
        82,
        84,
    );
    let mut build = Build::default();
    build.thread(Some("MainThread"));
    for (id, name) in (0..).zip(["reader", "reader", "writer"]) {
        let set = [
            (Attribute::Task, name.to_owned()),
            (Attribute::TaskId, id.to_string()),
            (Attribute::TaskCoroutine, "serve".to_owned()),
            (Attribute::TaskParents, "main".to_owned()),
        ];
        let id = AttributesId::new(id);
        build
            .profile
            .apply(Event::Attributes(id, Attributes(set.into())));
        let of_task = [&below[..], &[handle, Call("serve", "/app.py", 5, 7)]].concat();
        let run = Sample {
            ticks: 1,
            wall: Nanos(1_000_000_000),
            attributes: Some(id),
            ..Sample::default()
        };
        build.run(0, &of_task, run);
    }
    build.sample(0, &below, 2_000_000_000);
    build
}

#[test]
fn what_runs_in_a_task_stands_on_its_name_instead_of_on_the_loop() {
    let by_task = Drawing {
        by_task: true,
        ..Drawing::default()
    };
    let build = tasks();
    let svg = flame_graph(&build.profile, by_task);
    let reader = "<title>task reader (total 2 s, 40 %";
    for (title, count) in [
        (reader, 1),
        ("<title>task writer (", 1),
        ("<title>serve", 2),
        ("<title>Handle._run", 0),
    ] {
        assert_eq!(svg.matches(title).count(), count, "{title}: {svg}");
    }
    let svg = text(Format::FlameGraph, &build.profile);
    assert!(!svg.contains("task reader"), "{svg}");
}

#[test]
fn the_table_of_tasks_tells_how_many_there_are_and_who_waits_for_them() {
    insta::assert_snapshot!(text(Format::TasksCsv, &tasks().profile));
    let profile = tasks().profile;
    let meta = Meta::default();
    insta::assert_snapshot!(task_table(&ReportInput::new(&profile, &meta)));
}

#[test]
fn processes_are_merged_unless_they_are_told_apart() {
    let mut build = Build::default();
    build.thread(Some("MainThread"));
    let process = Process {
        pid: 4300,
        ..Process::default()
    };
    build.profile.apply(Event::Process(ProcessId(1), process));
    let thread = Thread {
        process: ProcessId(1),
        tid: Some(4300),
        name: Some("MainThread".to_owned()),
        is_main: true,
    };
    build.profile.apply(Event::Thread(ThreadId(1), thread));
    for thread in [0, 1] {
        build.sample(thread, &[Call("run", "/run.py", 1, 1)], 1_000_000);
    }
    let svg = text(Format::FlameGraph, &build.profile);
    assert_eq!(svg.matches("<title>run (").count(), 1, "{svg}");
    assert!(svg.contains("2 processes"));
    let by_process = Drawing {
        by_process: true,
        ..Drawing::default()
    };
    let svg = flame_graph(&build.profile, by_process);
    assert_eq!(svg.matches("<title>process ").count(), 2, "{svg}");
}

#[test]
fn colours_tell_whose_code_a_frame_is() {
    let mut build = Build::default();
    build.thread(Some("MainThread"));
    let own = Call("run", "/home/ada/run.py", 1, 2);
    let numpy = Call(
        "dot",
        "/v/lib/python3.11/site-packages/numpy/linalg.py",
        1,
        2,
    );
    let json = Call("loads", "/usr/lib/python3.11/json/decoder.py", 1, 2);
    build.sample(0, &[own, numpy], 1_000_000);
    build.sample(0, &[own, json], 1_000_000);
    let svg = text(Format::FlameGraph, &build.profile);
    let fill = |name: &str| {
        let (_, frame) = svg.split_once(&format!("<title>{name} (")).expect("drawn");
        let (_, fill) = frame.split_once("fill=\"").expect("a colour");
        fill.split_once('"').expect("a colour").0.to_owned()
    };
    let fills: std::collections::HashSet<_> = ["run", "dot", "loads", "all"].map(fill).into();
    assert_eq!(fills.len(), 4);
    for words in ["your code", "other packages", "standard library"] {
        assert!(svg.contains(&format!(">{words}</text>")), "{words}");
    }
    assert!(!svg.contains(">native code</text>"));
}

#[test]
fn a_wait_is_a_frame_of_a_flame_graph() {
    let mut build = Build::default();
    build.thread(Some("MainThread"));
    let run = Call("run", "/run.py", 1, 1);
    build.sample(0, &[run], 1_000_000);
    let sleep = Sample {
        ticks: 1,
        wall: Nanos(1_000_000),
        state: State::Sleep,
        ..Sample::default()
    };
    build.run(0, &[run], sleep);
    let svg = text(Format::FlameGraph, &build.profile);
    assert!(
        svg.contains("<title>[sleeping] (total 0.001 s, 50 %"),
        "{svg}"
    );
    assert!(svg.contains(">waiting</text>"));
}
