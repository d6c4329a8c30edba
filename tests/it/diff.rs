//! What differs between two recordings, and how sure it is.

use std::path::Path;

use proptest::prelude::*;
use rsamp::export::{BothMetas, DiffFormat, DiffNames, Meta, ReportInput, diff_table, write_diff};
use rsamp::profile::{
    Diff, DiffChange, DiffLimit, DiffOutcome, DiffScale, Event, Frame, FrameKind, Function, Mode,
    Nanos, Sample, SampledProfile, ThreadId,
};

use crate::filter::Script;

const MS: u64 = 1_000_000;

/// A recording of one thread: `name name … milliseconds` per run of one tick per millisecond.
fn side(runs: &str) -> SampledProfile {
    fold(events(runs))
}

fn events(runs: &str) -> Vec<Event> {
    let mut script = Script::default();
    script.process(0, 100, "python run.py");
    script.thread(0, 0, Some("MainThread"));
    let mut now_ms = 0;
    for run in runs.split(',').map(str::trim) {
        let (stack, ms) = run.rsplit_once(' ').unwrap_or(("", run));
        let ms: u64 = ms.parse().expect("milliseconds");
        now_ms += ms;
        script.run(0, stack, now_ms * MS, ms * MS, ms as u32);
    }
    script.events.push(Event::End(Nanos(now_ms * MS)));
    script.events
}

fn fold(events: Vec<Event>) -> SampledProfile {
    let mut side = SampledProfile::new(Mode::Wall);
    events.into_iter().for_each(|event| side.apply(event));
    side
}

/// Random numbers that are the same in each run: splitmix64 (Steele et al. 2014).
struct Random(u64);

impl Random {
    /// In [0, 1).
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Exponentially distributed.
    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }
}

/// A program that visits functions `f0`, `f1`, … at random, each for a random time, and how it is
/// sampled.
#[derive(Clone)]
struct Program {
    /// The parts of its time that go to each function.
    shares: Vec<f64>,
    /// The mean length of a visit.
    visit_ms: f64,
    /// What it does first, for so long.
    startup_ms: f64,
    duration_ms: f64,
    /// The mean time between ticks.
    interval_ms: f64,
}

impl Program {
    /// Runs and samples it as the sampler does: at intervals of 0.5 to 1.5 times their mean, each
    /// tick standing for the interval before it, equal stacks as one run.
    fn record(&self, random: &mut Random) -> SampledProfile {
        let mut script = Script::default();
        script.process(0, 100, "python run.py");
        script.thread(0, 0, Some("MainThread"));
        let (mut visit_end, mut function) = (self.startup_ms, "startup".to_owned());
        let (mut tick, mut run_start, mut ticks) = (0.0, 0.0, 0);
        let mut running = function.clone();
        let ns = |ms: f64| (ms * 1e6) as u64;
        while tick < self.duration_ms {
            let before = tick;
            tick = (tick + self.interval_ms * (0.5 + random.unit())).min(self.duration_ms);
            while visit_end <= tick {
                function = format!("f{}", self.pick(random));
                visit_end += random.exponential(self.visit_ms);
            }
            if function != running && ticks > 0 {
                let stack = format!("main {running}");
                script.run(0, &stack, ns(before), ns(before) - ns(run_start), ticks);
                (run_start, ticks) = (before, 0);
            }
            running.clone_from(&function);
            ticks += 1;
        }
        let stack = format!("main {running}");
        script.run(0, &stack, ns(tick), ns(tick) - ns(run_start), ticks);
        script.events.push(Event::End(Nanos(ns(tick))));
        fold(script.events)
    }

    fn pick(&self, random: &mut Random) -> usize {
        let mut left = random.unit() * self.shares.iter().sum::<f64>();
        let found = self.shares.iter().position(|share| {
            left -= share;
            left < 0.0
        });
        found.unwrap_or(0)
    }
}

/// Functions with large, middling and tiny shares.
fn program() -> Program {
    Program {
        shares: vec![0.4, 0.3, 0.2, 0.05, 0.02, 0.01, 0.01, 0.01],
        visit_ms: 1.0,
        startup_ms: 0.0,
        duration_ms: 20_000.0,
        interval_ms: 10.0,
    }
}

/// The change of one function's own time.
fn own(diff: &Diff<'_>, name: &str) -> DiffChange {
    let rows = diff.functions();
    let named = |function: Option<Function<'_>>| function.is_some_and(|f| f.name == name);
    let mut found = rows.iter().filter(|row| named(row.function()));
    let row = found.next().unwrap_or_else(|| panic!("no {name}"));
    assert!(found.next().is_none(), "{name} twice");
    row.self_time
}

/// Each function as `name before→after`, in milliseconds of self time, the largest change first.
fn show(diff: &Diff<'_>) -> String {
    let ms = |seconds: f64| (seconds * 1000.0).round();
    let shown = diff.functions().into_iter().map(|row| {
        let name = row.function().expect("on one side").name;
        let (base, new) = (row.self_time.base.seconds, row.self_time.new.seconds);
        format!("{name} {}→{}", ms(base), ms(new))
    });
    shown.collect::<Vec<_>>().join(", ")
}

#[test]
fn functions_have_their_times_before_and_after() {
    let base = side("main a 300, main b 700");
    let new = side("main a 100, main 40, main b 700, main a c 50");
    let diff = Diff::of(&base, &new, DiffScale::Seconds);
    assert_eq!(show(&diff), "a 300→100, c 0→50, main 0→40, b 700→700");
    let by_total = diff.functions_by_total();
    let main = by_total[1].total_time;
    assert_eq!(by_total[1].function().expect("a function").name, "main");
    assert!((main.seconds() + 0.11).abs() < 1e-9);
    assert_eq!((main.base.share, main.new.share), (1.0, 1.0));
    assert!((own(&diff, "a").base.share - 0.3).abs() < 1e-9);
    let (c, b) = (own(&diff, "c"), own(&diff, "b"));
    assert_eq!((c.base.share, b.p_value), (0.0, 1.0));
}

#[test]
fn normalized_sides_are_equally_long() {
    let base = side("a 100, b 300");
    let new = side("a 200, b 600");
    let diff = Diff::of(&base, &new, DiffScale::Normalized);
    assert_eq!(show(&diff), "a 200→200, b 600→600");
    let other = side("b 50, c 150");
    let diff = Diff::of(&base, &other, DiffScale::Normalized);
    assert_eq!(show(&diff), "c 0→150, b 150→50, a 50→0");
    let nothing = SampledProfile::new(Mode::Wall);
    let diff = Diff::of(&base, &nothing, DiffScale::Normalized);
    assert_eq!(show(&diff), "a 0→0, b 0→0");
}

#[test]
fn the_view_chooses_the_time() {
    let sides = [100, 300].map(|ms| {
        let mut side = SampledProfile::new(Mode::Gil);
        events(&format!("a {ms}"))
            .into_iter()
            .for_each(|event| side.apply(event));
        side
    });
    let diff = Diff::of(&sides[0], &sides[1], DiffScale::Seconds);
    assert_eq!(show(&diff), "a 50→150");
}

/// A frame: name, file, first line, line.
type Place<'f> = (&'f str, &'f str, u32, u32);

/// A recording with one tick of a millisecond in each place.
fn places(places: &[Place<'_>]) -> SampledProfile {
    let mut script = Script::default();
    script.process(0, 100, "python run.py");
    script.thread(0, 0, Some("MainThread"));
    for (at, (name, file, first_line, line)) in (1..).zip(places) {
        let frame = Frame {
            kind: FrameKind::Python,
            name: (*name).to_owned(),
            file: Some((*file).to_owned()),
            first_line: Some(*first_line),
            line: Some(*line),
        };
        script.run_frames(0, vec![frame], at * MS, MS, 1);
    }
    fold(script.events)
}

/// Expects pairs of functions and of lines, each as `before=after`, by their first line or line.
fn check_pairs(base: &[Place<'_>], new: &[Place<'_>], functions: &str, lines: &str) {
    let (base, new) = (places(base), places(new));
    let diff = Diff::of(&base, &new, DiffScale::Seconds);
    let number = |line: Option<Option<u32>>| {
        line.flatten()
            .map_or("-".to_owned(), |line| line.to_string())
    };
    let sorted = |mut pairs: Vec<String>| {
        pairs.sort();
        pairs.join(" ")
    };
    let found = diff.functions().into_iter().map(|row| {
        let line = |function: Option<Function<'_>>| number(function.map(|f| f.first_line));
        format!("{}={}", line(row.base), line(row.new))
    });
    assert_eq!(sorted(found.collect()), functions);
    let found = diff.lines().into_iter().map(|row| {
        let line = |line: Option<(Function<'_>, Option<u32>)>| number(line.map(|(_, line)| line));
        format!("{}={}", line(row.base), line(row.new))
    });
    assert_eq!(sorted(found.collect()), lines);
}

#[test]
fn a_function_that_moved_in_its_file_is_the_same() {
    check_pairs(
        &[
            ("f", "/p/a.py", 10, 12),
            ("f", "/p/a.py", 10, 13),
            ("g", "/p/a.py", 30, 31),
        ],
        &[
            ("f", "/p/a.py", 17, 19),
            ("g", "/p/a.py", 37, 39),
            ("g", "/p/b.py", 37, 38),
        ],
        "-=37 10=17 30=37",
        "-=38 -=39 12=19 13=- 31=-",
    );
}

#[test]
fn functions_of_one_name_are_told_apart_by_their_order() {
    let base = [
        ("<lambda>", "/p/a.py", 10, 10),
        ("<lambda>", "/p/a.py", 20, 20),
    ];
    let moved = [
        ("<lambda>", "/p/a.py", 25, 25),
        ("<lambda>", "/p/a.py", 20, 20),
    ];
    check_pairs(&base, &moved, "10=20 20=25", "10=20 20=25");
    check_pairs(&base, &moved[1..], "10=- 20=20", "10=- 20=20");
    check_pairs(&base, &moved[..1], "10=25 20=-", "10=25 20=-");
}

#[test]
fn files_of_another_folder_are_the_same_by_their_place_in_it() {
    check_pairs(
        &[
            ("f", "/old/p/a.py", 1, 2),
            ("g", "/old/p/lib/b.py", 3, 4),
            ("h", "/v1/lib/python3.11/json/x.py", 5, 6),
        ],
        &[
            ("f", "/new/a.py", 1, 2),
            ("g", "/new/lib/b.py", 3, 4),
            ("h", "/v2/lib/python3.12/json/x.py", 5, 6),
        ],
        "1=1 3=3 5=5",
        "2=2 4=4 6=6",
    );
}

/// How often a function with at least a twentieth of the time has p < 5 %, and how often any row of
/// a table is marked, over pairs of recordings of the same program.
fn false_alarms(program: &Program, scale: DiffScale, pairs: u32) -> (f64, f64) {
    let mut random = Random(42);
    let (mut rows, mut alarms, mut marked) = (0, 0, 0);
    for _ in 0..pairs {
        let (base, new) = (program.record(&mut random), program.record(&mut random));
        let diff = Diff::of(&base, &new, scale);
        let functions = diff.functions();
        let changes: Vec<DiffChange> = functions.iter().map(|row| row.self_time).collect();
        let large = changes.iter().filter(|change| change.base.share > 0.04);
        rows += large.clone().count();
        alarms += large.filter(|change| change.p_value < 0.05).count();
        marked += u32::from(changes.iter().any(|change| change.is_beyond_noise));
    }
    (
        alarms as f64 / rows as f64,
        f64::from(marked) / f64::from(pairs),
    )
}

#[test]
fn two_recordings_of_one_program_differ_by_noise_only() {
    let table = [
        ("visits shorter than a tick", program()),
        (
            "visits of several ticks",
            Program {
                visit_ms: 50.0,
                ..program()
            },
        ),
        (
            "a start-up",
            Program {
                startup_ms: 6_000.0,
                visit_ms: 20.0,
                ..program()
            },
        ),
    ];
    for (what, program) in table {
        for scale in [DiffScale::Seconds, DiffScale::Normalized] {
            let (alarms, marked) = false_alarms(&program, scale, 60);
            assert!(
                (0.005..0.09).contains(&alarms),
                "{what}, {scale:?}: p < 5 % in {alarms}"
            );
            assert!(
                marked < 0.1,
                "{what}, {scale:?}: {marked} of the tables have a mark"
            );
        }
    }
}

/// Visits longer than a block make neighbouring blocks alike: their number, which varies much, is not
/// taken for certain.
#[test]
fn of_few_long_visits_nothing_is_said() {
    let program = Program {
        visit_ms: 500.0,
        ..program()
    };
    let (alarms, _) = false_alarms(&program, DiffScale::Seconds, 40);
    assert!(alarms < 0.12, "p < 5 % in {alarms}");
    let mut random = Random(1);
    let is_told = |_: &i32| {
        let (base, new) = (program.record(&mut random), program.record(&mut random));
        let diff = Diff::of(&base, &new, DiffScale::Seconds);
        own(&diff, "f0").error_seconds.is_finite()
    };
    let told = (0..40).filter(is_told).count();
    assert!(told < 20, "{told} of 40");
}

#[test]
fn five_points_are_found_in_a_minute() {
    let mut slower = program();
    slower.shares[0] += 0.05;
    slower.shares[1] -= 0.05;
    let minute = |program: &Program| Program {
        duration_ms: 60_000.0,
        ..program.clone()
    };
    let (before, after) = (minute(&program()), minute(&slower));
    let mut random = Random(7);
    for scale in [DiffScale::Seconds, DiffScale::Normalized] {
        let found = (0..20).filter(|_| {
            let (base, new) = (before.record(&mut random), after.record(&mut random));
            let diff = Diff::of(&base, &new, scale);
            own(&diff, "f0").is_beyond_noise && own(&diff, "f1").is_beyond_noise
        });
        let found = found.count();
        assert!(found >= 18, "{scale:?}: in {found} of 20");
    }
}

#[test]
fn a_phase_that_is_longer_or_new_is_found() {
    let base = side("load 1000, solve 9000");
    for new in ["load 1500, solve 9000", "load 1000, check 400, solve 9000"] {
        let new = side(new);
        let diff = Diff::of(&base, &new, DiffScale::Seconds);
        assert!(
            diff.functions()[0].self_time.is_beyond_noise,
            "{}",
            show(&diff)
        );
        assert!(!own(&diff, "solve").is_beyond_noise);
    }
}

#[test]
fn a_handful_of_ticks_is_noise_and_more_are_not() {
    // Single ticks, spread over ten seconds.
    let spread = |count: u64| {
        let run = format!("main {}, rare 1", 10_000 / (count + 1));
        side(&format!(
            "{}, main {}",
            vec![run; count as usize].join(", "),
            10_000 / (count + 1)
        ))
    };
    let base = side("main 10000");
    let p_value = |count| {
        let new = spread(count);
        let diff = Diff::of(&base, &new, DiffScale::Seconds);
        own(&diff, "rare").p_value
    };
    assert!(p_value(4) > 0.05, "{}", p_value(4));
    assert!(p_value(12) < 0.05, "{}", p_value(12));
}

#[test]
fn of_a_recording_of_a_few_ticks_nothing_is_said() {
    let (base, new) = (side("a 6"), side("b 6"));
    let diff = Diff::of(&base, &new, DiffScale::Seconds);
    for row in diff.functions() {
        assert_eq!(
            (row.self_time.p_value, row.self_time.is_beyond_noise),
            (1.0, false)
        );
        assert_eq!(row.self_time.error_seconds, f64::INFINITY);
    }
}

#[test]
fn rejected_samples_are_on_no_side() {
    let mut base = side("a 2000");
    let good = events("a 1").pop();
    for event in events("b 50000").into_iter().chain(good) {
        if let Event::Sample(sample) = event {
            let thread = ThreadId(99);
            base.apply(Event::Sample(Sample { thread, ..sample }));
        }
    }
    assert_eq!(base.profile().rejected(), 1);
    let other = side("a 2000");
    let diff = Diff::of(&base, &other, DiffScale::Seconds);
    assert!(own(&diff, "a").error_seconds < 0.002);
}

/// The places of a diff's stacks, as `name:line`, with the milliseconds of both sides.
fn stack_places(diff: &Diff<'_>) -> Vec<String> {
    let stacks = diff.stacks();
    let shown = stacks.nodes().iter().map(|node| {
        let place = &stacks.places()[node.place.expect("a Python frame")];
        let line = place.first_line.unwrap_or_default();
        let (base, new) = (node.base_ns / MS, node.new_ns / MS);
        format!("{}:{line} {base}→{new}", place.name)
    });
    shown.collect()
}

#[test]
fn stacks_tell_lines_of_own_code_apart_where_the_text_is_the_same() {
    let (own, library) = ("/app/run.py", "/usr/lib/python3.11/json/decoder.py");
    let base = places(&[
        ("same", own, 10, 12),
        ("same", own, 10, 13),
        ("edited", own, 20, 21),
        ("edited", own, 20, 22),
        ("gone", own, 30, 31),
        ("decode", library, 1, 2),
        ("decode", library, 1, 3),
    ]);
    let new = places(&[
        // A line was put in above it.
        ("same", own, 11, 13),
        ("edited", own, 21, 22),
        ("edited", own, 21, 24),
        ("decode", library, 1, 2),
        ("added", own, 40, 41),
        ("added", own, 40, 42),
    ]);
    let has_same_text = |function: &Function<'_>, _: &Function<'_>| function.name != "edited";
    let diff = Diff::with_own_lines(&base, &new, DiffScale::Seconds, has_same_text);
    let expected = [
        "same:13 1→1",
        "same:13 1→0",
        "edited:21 2→2",
        "gone:31 1→0",
        "decode:1 2→1",
        "added:41 0→1",
        "added:42 0→1",
    ];
    assert_eq!(stack_places(&diff), expected);
    let diff = Diff::of(&base, &new, DiffScale::Seconds);
    let expected = [
        "same:11 2→1",
        "edited:21 2→2",
        "gone:30 1→0",
        "decode:1 2→1",
        "added:40 0→2",
    ];
    assert_eq!(stack_places(&diff), expected);
}

proptest! {
    #[test]
    fn stacks_hold_all_time_of_both_sides(
        base in prop::collection::vec(("(main )?(a |b ){0,3}", 1_u64..500), 1..12),
        new in prop::collection::vec(("(main )?(a |c ){0,3}", 1_u64..500), 1..12),
    ) {
        let words = |runs: &[(String, u64)]| {
            let runs = runs.iter().map(|(stack, ms)| format!("{} {ms}", stack.trim()));
            runs.collect::<Vec<_>>().join(",")
        };
        let (base, new) = (side(&words(&base)), side(&words(&new)));
        let diff = Diff::of(&base, &new, DiffScale::Seconds);
        let nodes = diff.stacks().nodes();
        prop_assert_eq!(nodes.iter().map(|node| node.base_ns).sum::<u64>(), base.profile().totals().wall.0);
        prop_assert_eq!(nodes.iter().map(|node| node.new_ns).sum::<u64>(), new.profile().totals().wall.0);
        prop_assert!((0..).zip(nodes).all(|(id, node)| node.parent.is_none_or(|parent| parent < id)));
        let changes: f64 = diff.functions().iter().map(|row| row.self_time.seconds()).sum();
        let frameless = new.profile().frameless_totals().wall.seconds() - base.profile().frameless_totals().wall.seconds();
        let whole = new.profile().totals().wall.seconds() - base.profile().totals().wall.seconds();
        prop_assert!((changes + frameless - whole).abs() < 1e-9);
    }
}

fn names() -> DiffNames {
    DiffNames {
        base: "base.rsamp".to_owned(),
        new: "new.rsamp".to_owned(),
    }
}

fn text(format: DiffFormat, base: &SampledProfile, new: &SampledProfile) -> String {
    let mut out = Vec::new();
    let diff = Diff::of(base, new, DiffScale::Seconds);
    let meta = Meta::default();
    let both = BothMetas {
        input: ReportInput::new(new.profile(), &meta),
        base_processes: 0,
        new: new.profile(),
    };
    write_diff(format, &diff, &names(), &[], &both, &mut out).expect("a Vec takes all");
    String::from_utf8(out).expect("UTF-8")
}

/// `load` is shorter, `check` is gone, `solve` is as it was, `report` is new.
fn edited() -> (SampledProfile, SampledProfile) {
    (
        side("main load 2000, main check std.dump 500, main solve:7 6000, 500"),
        side("main load 1500, main solve:7 6000, main report 700, 500"),
    )
}

#[test]
fn table_of_a_diff() {
    let (base, new) = edited();
    insta::assert_snapshot!(text(DiffFormat::Text, &base, &new));
    let diff = Diff::of(&base, &new, DiffScale::Normalized);
    insta::assert_snapshot!(diff_table(&diff, &names(), 2));
    let (base, new) = (side("a 3"), SampledProfile::new(Mode::Wall));
    insta::assert_snapshot!(text(DiffFormat::Text, &base, &new));
    insta::assert_snapshot!(text(DiffFormat::Text, &new, &new));
}

#[test]
fn csv_of_a_diff() {
    let (base, new) = edited();
    let csv = text(DiffFormat::Csv, &base, &new);
    insta::assert_snapshot!(csv.lines().take(3).collect::<Vec<_>>().join("\n"));
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.expect("a row")).collect();
    let sum: f64 = rows
        .iter()
        .filter(|row| &row[0] == "function")
        .map(|row| row[9].parse::<f64>().expect("seconds"))
        .sum();
    assert!((sum + 0.3).abs() < 1e-9, "{sum}");
    assert_eq!(rows.len(), 12);
}

/// The table of two recordings of which nothing differs.
pub fn csv_of_equals() -> String {
    text(DiffFormat::Csv, &side("a 3"), &side("a 3"))
}

#[test]
fn json_of_a_diff() {
    let (base, new) = edited();
    let json = text(DiffFormat::Json, &base, &new);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["functions"][0]["base"], serde_json::Value::Null);
    assert_eq!(json["functions"][0]["new"]["name"], "report");
    assert_eq!(json["functions"][0]["self"]["beyond_noise"], true);
    assert_eq!(json["lines"][5]["new"]["line"], 7);
    assert_eq!(json["base"]["time_seconds"], 9.0);
    let short = text(DiffFormat::Json, &side("a 3"), &side("a 4"));
    let short: serde_json::Value = serde_json::from_str(&short).expect("JSON");
    assert_eq!(
        short["functions"][0]["self"]["error_seconds"],
        serde_json::Value::Null
    );
}

/// What comes of a limit, and of how many times it holds.
fn judge(limit: &str, base: &SampledProfile, new: &SampledProfile) -> (DiffOutcome, usize) {
    let diff = Diff::of(base, new, DiffScale::Seconds);
    let limit = DiffLimit::new(limit).expect("a limit");
    let verdict = limit.verdict(&diff);
    (verdict.outcome(), verdict.compared.len())
}

#[test]
fn a_limit_holds_for_what_grew_beyond_noise() {
    let (base, new) = (
        side("main a 1000, b 4000"),
        side("main a 1200, b 4000, c 300"),
    );
    assert_eq!(judge("+5%", &base, &new), (DiffOutcome::Failed, 1));
    assert_eq!(judge("+10%", &base, &new), (DiffOutcome::Passed, 1));
    assert_eq!(judge("a:+19%", &base, &new), (DiffOutcome::Failed, 1));
    assert_eq!(judge("main:+21%", &base, &new), (DiffOutcome::Passed, 1));
    // c is new: it has no time to compare with.
    assert_eq!(judge("*:+19%", &base, &new), (DiffOutcome::Failed, 3));
    assert_eq!(judge("c:+5%", &base, &new), (DiffOutcome::Undecided, 0));
    assert_eq!(judge("*:+0%", &new, &base), (DiffOutcome::Passed, 3));
    // Two ticks and four are the same, for all that can be told.
    let (base, new) = (side("a 2, b 4000"), side("a 4, b 4000"));
    assert_eq!(judge("a:+5%", &base, &new), (DiffOutcome::Passed, 1));
    assert_eq!(
        judge("+5%", &side("a 3"), &side("a 4")),
        (DiffOutcome::Undecided, 1)
    );
}

#[test]
fn a_limit_of_all_time_is_not_passed_by_noise() {
    // The time of a recording that was 1 % longer is 1 % longer: no sampling is in it.
    let (base, new) = (side("a 10000"), side("a 5000, b 5100"));
    assert_eq!(judge("+0.5%", &base, &new), (DiffOutcome::Failed, 1));
    assert_eq!(judge("+1.5%", &base, &new), (DiffOutcome::Passed, 1));
    let mut random = Random(7);
    let outcomes = (0..20).map(|_| {
        let (base, new) = (program().record(&mut random), program().record(&mut random));
        judge("+0%", &base, &new).0
    });
    assert_eq!(
        outcomes
            .filter(|outcome| *outcome == DiffOutcome::Failed)
            .count(),
        0
    );
}

#[test]
fn flame_graph_of_a_diff_loses_nothing() {
    let (base, new) = edited();
    let svg = text(DiffFormat::FlameGraph, &base, &new);
    for title in [
        "all (total 9.700 s, 100.00 %)",
        "after: new.rsamp (total 8.700 s, 89.69 % · self time +0.000 s)",
        "report (run.py:1) (run.py:1 · total 0.700 s, 7.22 % · self time +0.700 s)",
        "load (run.py:1) (run.py:1 · total 1.500 s, 15.46 % · self time -0.500 s)",
        "only before: base.rsamp (total 1.000 s, 10.31 % · self time +0.000 s)",
        "check (run.py:1) (run.py:1 · total 0.500 s, 5.15 % · self time +0.000 s)",
        "std.dump (decoder.py:1) (json/decoder.py:1 · total 0.500 s, 5.15 % · self time -0.500 s)",
        ">less time of its own, or only before</text>",
    ] {
        assert!(svg.contains(title), "no {title}");
    }
    let (_, gone) = svg.split_once("<title>only before: ").expect("drawn");
    let (_, fill) = gone.split_once(" fill=\"").expect("a colour");
    assert!(fill.starts_with("rgb(160,160,255)"), "what is gone shows");
    let equal = text(DiffFormat::FlameGraph, &base, &base);
    assert!(!equal.contains("only before:") && equal.contains("nothing lost"));
    let gone = text(
        DiffFormat::FlameGraph,
        &base,
        &SampledProfile::new(Mode::Wall),
    );
    assert!(
        gone.contains("solve (run.py:1) (run.py:1 · total 6.000 s, 66.67 % · self time -6.000 s)"),
        "{gone}"
    );
    let empty = SampledProfile::new(Mode::Wall);
    assert!(
        text(DiffFormat::FlameGraph, &empty, &empty).contains("no wall time was seen in either")
    );
}

#[test]
fn hostile_names_break_no_format_of_a_diff() {
    let long = "x".repeat(100_000);
    let hostile = [
        "a;b",
        "line\nbreak\r\0\u{1b}[31m",
        "<&>\"']]>",
        "",
        "f 7 8",
        "\"q\",",
        "# c",
        &long,
    ];
    let side = |ms: u64| {
        let mut script = Script::default();
        script.process(0, 100, "python");
        script.thread(0, 0, Some("MainThread"));
        for (at, name) in (1..).zip(hostile) {
            let frame = Frame {
                kind: FrameKind::Python,
                name: name.to_owned(),
                file: Some(format!("/{name}.py")),
                first_line: None,
                line: None,
            };
            script.run_frames(0, vec![frame], at * ms * MS, ms * MS, 1);
        }
        fold(script.events)
    };
    let (base, new) = (side(3), side(4));
    let svg = text(DiffFormat::FlameGraph, &base, &new);
    assert!(
        !svg.chars()
            .any(|c| c.is_control() && c != '\n' && c != '\t')
    );
    assert!(
        svg.contains("all (total 0.032 s, 100.00 %)"),
        "no name is taken for a number"
    );
    let table = text(DiffFormat::Text, &base, &new);
    assert!(!table.chars().any(|c| c.is_control() && c != '\n'));
    let csv = text(DiffFormat::Csv, &base, &new);
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let found: Vec<String> = reader
        .records()
        .map(|row| row.expect("a row")[1].to_owned())
        .collect();
    assert!(
        hostile
            .iter()
            .map(|name| name.replace(['\0', '\u{1b}'], "\u{fffd}"))
            .all(|name| found.iter().filter(|found| **found == name).count() == 2)
    );
    let json = text(DiffFormat::Json, &base, &new);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(
        json["functions"].as_array().map(Vec::len),
        Some(hostile.len())
    );
}

#[test]
fn formats_of_a_diff_are_known_by_ending_and_by_name() {
    for format in DiffFormat::ALL {
        let file = format!("a.b/out.{}", format.ending());
        assert_eq!(DiffFormat::from_path(Path::new(&file)), Ok(format));
        assert_eq!(DiffFormat::from_name(format.name()), Ok(format));
    }
    let error = DiffFormat::from_path(Path::new("a/out.pstats")).expect_err("not of a diff");
    assert_eq!(
        error.to_string(),
        "rsamp diff does not write \"out.pstats\": give one of .svg (flamegraph), .txt (text), .csv, .json, .html"
    );
}
