//! Native samples give stacks native frames, and leave the times of Python functions as they are.

use proptest::prelude::*;
use rsamp::export::{Format, Meta, ReportInput};
use rsamp::profile::{
    Attribute, Diff, DiffScale, Event, Filter, Frame, FrameId, FrameKind, FunctionKind, Functions,
    Lines, Mode, NATIVE_MISSING, Nanos, NativeCode, NativeFrames, NativeFunction, NativeSample,
    Process, ProcessId, Profile, Ranks, Sample, SampledProfile, Selection, StackId, State, Thread,
    ThreadId, Totals, WorkClasses,
};
use rsamp::recording::{Header, Writer};

const MS: u64 = 1_000_000;

/// A profile that is made of stacks written as words, outermost first: `main:3` is a line of a Python function, `libm.so.6!sin`
/// a native function, `libm.so.6+16` one without a name.
#[derive(Default)]
struct Build {
    events: Vec<Event>,
    frames: Vec<Frame>,
    stacks: Vec<(Option<StackId>, FrameId)>,
}

impl Build {
    fn new(threads: u32) -> Build {
        let mut build = Build::default();
        let process = Process::default();
        build.events.push(Event::Process(ProcessId(0), process));
        for id in 0..threads {
            let thread = Thread {
                process: ProcessId(0),
                tid: None,
                name: None,
                is_main: id == 0,
            };
            build.events.push(Event::Thread(ThreadId(id), thread));
        }
        build
    }

    fn frame(&mut self, frame: Frame) -> FrameId {
        let known = self.frames.iter().position(|known| *known == frame);
        let id = FrameId(known.unwrap_or(self.frames.len()) as u32);
        if known.is_none() {
            self.frames.push(frame.clone());
            self.events.push(Event::Frame(id, frame));
        }
        id
    }

    fn stack(&mut self, words: &str) -> Option<StackId> {
        let mut parent = None;
        for word in words.split_whitespace() {
            let frame = self.frame(frame(word));
            let known = self.stacks.iter().position(|it| *it == (parent, frame));
            let id = StackId(known.unwrap_or(self.stacks.len()) as u32);
            if known.is_none() {
                self.stacks.push((parent, frame));
                self.events.push(Event::Stack { id, parent, frame });
            }
            parent = Some(id);
        }
        parent
    }

    fn sample(&mut self, thread: u32, stack: &str, state: State, ms: u64) {
        let stack = self.stack(stack);
        self.events.push(Event::Sample(Sample {
            at: Nanos(MS),
            thread: ThreadId(thread),
            stack,
            ticks: ms as u32,
            wall: Nanos(ms * MS + 1),
            cpu: Nanos(ms * MS / 2),
            gil: Nanos(ms * MS / 3),
            state,
            ..Sample::default()
        }));
    }

    /// A native sample; the Python stack is the merged one without its native frames.
    fn native(&mut self, thread: u32, merged: &str, state: State, ms: u64) {
        let python: Vec<&str> = merged
            .split_whitespace()
            .filter(|word| !word.contains(['!', '+']) && *word != "?")
            .collect();
        let stack = self.stack(&python.join(" "));
        let merged = self.stack(merged).expect("a stack");
        self.events.push(Event::Native(NativeSample {
            at: Nanos(MS),
            thread: ThreadId(thread),
            stack,
            state,
            merged,
            wall: Nanos(ms * MS),
            cpu: Nanos(ms * MS),
        }));
    }

    fn names(&mut self, word: &str, functions: &[&str]) {
        let frame = self.frame(frame(word));
        let functions = functions.iter().map(|word| self::frame(word)).collect();
        self.events.push(Event::Names { frame, functions });
    }

    fn profile(&self) -> Profile {
        let mut profile = Profile::default();
        self.events
            .iter()
            .cloned()
            .for_each(|event| profile.apply(event));
        assert_eq!(profile.rejected(), 0);
        profile
    }

    fn refined(&self, shows: NativeFrames) -> Profile {
        let mut profile = self.profile();
        profile.refine(shows, &ByLibrary);
        profile
    }
}

fn frame(word: &str) -> Frame {
    let native = |module: &str, offset| {
        FrameKind::Native(NativeCode {
            module: format!("/lib/{module}"),
            build_id: None,
            offset,
            is_inlined: false,
        })
    };
    let (kind, name) = match (word.split_once('!'), word.split_once('+')) {
        _ if word == "?" => return Frame::mark(NATIVE_MISSING),
        (Some((module, name)), _) => (native(module, None), name),
        (None, Some((module, offset))) => (native(module, offset.parse().ok()), module),
        (None, None) => (FrameKind::Python, word.split(':').next().unwrap_or(word)),
    };
    let is_python = kind == FrameKind::Python;
    Frame {
        kind,
        name: name.to_owned(),
        file: is_python.then(|| "/home/ada/run.py".to_owned()),
        first_line: is_python.then_some(1),
        line: word.split_once(':').and_then(|(_, line)| line.parse().ok()),
    }
}

/// The class of a stack is the library of its innermost function.
struct ByLibrary;

impl WorkClasses for ByLibrary {
    fn class_of(&self, functions: &[NativeFunction<'_>]) -> String {
        let innermost = functions.first();
        innermost.map_or_else(|| "python".to_owned(), |it| it.library.to_owned())
    }
}

/// Each stack with its wall time in ms, and the class of its work.
fn rows(profile: &Profile) -> Vec<String> {
    let row = |row: &rsamp::profile::Row| {
        let mut names: Vec<&str> = profile
            .frames_of(row.stack)
            .map(|frame| frame.name.as_str())
            .collect();
        names.reverse();
        let class = row.attributes.and_then(|id| profile.attributes(id));
        let class = class.and_then(|set| set.0.get(&Attribute::NativeClass));
        let class = class.map_or("-", String::as_str);
        format!("{} {} {class}", names.join(" "), row.totals.wall.0 / MS)
    };
    profile.rows().iter().map(row).collect()
}

#[test]
fn a_stack_is_shared_out_by_its_native_samples() {
    let mut build = Build::new(1);
    build.sample(0, "main:3", State::Native, 300);
    build.native(0, "libc.so.6!start main:3 libm.so.6!sin", State::Native, 20);
    build.native(
        0,
        "libc.so.6!start main:3 libpython3.11.so.1!eval",
        State::Native,
        10,
    );
    let profile = build.refined(NativeFrames::Libraries);
    let refined = profile.with_native_frames();
    assert_eq!(
        rows(refined),
        ["main 100 libpython3.11.so.1", "main sin 200 libm.so.6"]
    );
    assert_eq!(
        rows(&profile),
        ["main 200 libm.so.6", "main 100 libpython3.11.so.1"]
    );
    let all = build.refined(NativeFrames::All);
    assert_eq!(
        rows(all.with_native_frames()),
        [
            "start main sin 200 libm.so.6",
            "start main eval 100 libpython3.11.so.1"
        ]
    );
    let none = build.refined(NativeFrames::None);
    assert_eq!(rows(none.with_native_frames()), ["main 300 -"]);
}

#[test]
fn a_stack_without_native_samples_has_those_of_the_nearest() {
    let mut build = Build::new(2);
    build.sample(0, "main:3 work:7", State::Python, 100);
    build.native(0, "main:3 work:7 libm.so.6!sin", State::Native, 10);
    // The same stack in another thread, another stack with the same line, another line of the function, and another
    // function.
    build.sample(1, "main:3 work:7", State::Native, 100);
    build.sample(0, "main:4 work:7", State::Python, 100);
    build.sample(0, "main:4 work:8", State::Python, 100);
    build.sample(0, "main:4 rest:9", State::Python, 100);
    // While it waits, it does something else.
    build.sample(0, "main:3 work:7", State::Sleep, 100);
    let profile = build.refined(NativeFrames::Libraries);
    assert_eq!(
        rows(profile.with_native_frames()),
        [
            "main work sin 100 libm.so.6",
            "main work sin 100 libm.so.6",
            "main work sin 100 libm.so.6",
            "main work sin 100 libm.so.6",
            "main rest 100 -",
            "main work 100 -",
        ]
    );
}

#[test]
fn a_frame_has_its_last_names_and_those_of_what_was_inlined() {
    let mut build = Build::new(1);
    build.sample(0, "main:3", State::Native, 30);
    build.native(0, "main:3 libx.so+16", State::Native, 10);
    assert_eq!(
        rows(build.refined(NativeFrames::Libraries).with_native_frames()),
        ["main libx.so+0x10 30 libx.so"]
    );
    build.names("libx.so+16", &["libx.so!wrong"]);
    build.names("libx.so+16", &["libx.so!inner", "libx.so!outer"]);
    assert_eq!(
        rows(build.refined(NativeFrames::Libraries).with_native_frames()),
        ["main outer inner 30 libx.so"]
    );
}

#[test]
fn threads_without_python_are_apart() {
    let mut build = Build::new(2);
    build.sample(0, "main:3", State::Native, 30);
    build.native(1, "libc.so.6!start libgomp.so.1!wait", State::Lock, 50);
    let profile = build.refined(NativeFrames::Libraries);
    assert_eq!(rows(profile.with_native_frames()), ["main 30 -"]);
    assert_eq!(profile.totals().wall, Nanos(30 * MS + 1));
    let [thread] = profile.native_threads() else {
        panic!("one thread");
    };
    assert_eq!(
        (thread.thread, thread.totals.cpu),
        (ThreadId(1), Nanos(50 * MS))
    );
    let frames = profile.with_native_frames().frames_of(thread.stack);
    let names: Vec<&str> = frames.map(|frame| frame.name.as_str()).collect();
    assert_eq!(names, ["wait", "start"]);
}

#[test]
fn a_native_sample_whose_python_frames_differ_says_nothing() {
    let mut build = Build::new(1);
    build.sample(0, "main:3", State::Native, 30);
    let (stack, merged) = (build.stack("main:3"), build.stack("other:4 libm.so.6!sin"));
    build.events.push(Event::Native(NativeSample {
        at: Nanos(1),
        thread: ThreadId(0),
        stack,
        state: State::Native,
        merged: merged.expect("a stack"),
        wall: Nanos(1),
        cpu: Nanos(1),
    }));
    let profile = build.refined(NativeFrames::Libraries);
    assert_eq!(rows(profile.with_native_frames()), ["main 30 -"]);
}

#[test]
fn a_sample_may_have_native_frames_itself() {
    let mut build = Build::new(1);
    build.native(0, "main:3 libm.so.6!sin", State::Native, 10);
    build.sample(0, "main:3 libm.so.6!sin run:7", State::Native, 30);
    build.sample(0, "main:3 libm.so.6!sin", State::Native, 30);
    assert_eq!(
        rows(&build.profile()),
        ["main sin run 30 -", "main sin 30 -"]
    );
}

/// What a format has of a profile.
fn written(format: Format, profile: &Profile) -> Vec<u8> {
    let mut out = Vec::new();
    let meta = Meta::default();
    rsamp::export::write(format, &ReportInput::new(profile, &meta), &mut out).expect("written");
    out
}

fn text(format: Format, profile: &Profile) -> String {
    String::from_utf8(written(format, profile)).expect("text")
}

/// A program that calls BLAS, and waits in MPI on rank 0 for rank 1.
fn program() -> Build {
    let mut build = Build::new(0);
    for rank in 0..2 {
        let process = Process {
            rank: Some(rank),
            launch: Some("1".to_owned()),
            ..Process::default()
        };
        if rank > 0 {
            build.events.push(Event::Process(ProcessId(rank), process));
        } else {
            build.events[0] = Event::Process(ProcessId(rank), process);
        }
    }
    for id in 0..3 {
        let thread = Thread {
            process: ProcessId(id % 2),
            tid: None,
            name: (id == 2).then(|| "omp-worker-3".to_owned()),
            is_main: id < 2,
        };
        build.events.push(Event::Thread(ThreadId(id), thread));
    }
    let (blas, mpi) = (
        "main:3 libopenblas.so.0!dgemm_ libopenblas.so.0+16",
        "main:4 libmpi.so.40!MPI_Allreduce",
    );
    build.sample(0, "main:3", State::Native, 2000);
    build.sample(0, "main:4", State::Native, 6080);
    build.sample(1, "main:3", State::Native, 7920);
    build.native(0, blas, State::Native, 10);
    build.native(0, mpi, State::Native, 10);
    build.native(1, blas, State::Native, 10);
    build.native(2, "libgomp.so.1!gomp_barrier_wait", State::Native, 5000);
    build
}

fn of_classes(mut profile: Profile) -> Profile {
    profile.refine(NativeFrames::Libraries, &ByGroup);
    profile
}

/// Classes as rsamp's table has them, of the libraries here.
struct ByGroup;

impl WorkClasses for ByGroup {
    fn class_of(&self, functions: &[NativeFunction<'_>]) -> String {
        let library = functions.first().map_or("", |function| function.library);
        let class = match library {
            "libopenblas.so.0" => "blas",
            "libmpi.so.40" => "mpi-collective",
            "libgomp.so.1" => "openmp-wait",
            _ => "python",
        };
        class.to_owned()
    }
}

#[test]
fn graphs_have_native_functions_with_their_libraries() {
    let profile = of_classes(program().profile());
    let folded = text(Format::Folded, &profile);
    assert!(
        folded.contains("main (run.py:1);dgemm_ in libopenblas.so.0;libopenblas.so.0+0x10 7920000"),
        "{folded}"
    );
    let svg = text(Format::FlameGraph, &profile);
    assert!(svg.contains("dgemm_ in libopenblas.so.0") && svg.contains("native code"));
    let callgrind = text(Format::Callgrind, &profile);
    for line in [
        "ob=(1) Python",
        "cob=(2) /lib/libopenblas.so.0",
        "cfn=(3) dgemm_",
    ] {
        assert!(callgrind.contains(line), "{line}: {callgrind}");
    }
    let dot = text(Format::Dot, &profile);
    assert!(dot.contains("dgemm_ in libopenblas.so.0"), "{dot}");
    let trace = text(Format::ChromeTrace, &profile);
    assert!(trace.contains("dgemm_ in libopenblas.so.0"), "{trace}");
    // Tables of Python functions have none.
    let csv = text(Format::FunctionsCsv, &profile);
    assert!(!csv.contains("dgemm_"), "{csv}");
}

#[test]
fn pstats_has_native_functions_where_they_are_asked_for() {
    let profile = of_classes(program().profile());
    let contains = |format: Format, text: &str| {
        let bytes = written(format, &profile);
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    for name in ["<dgemm_ in libopenblas.so.0>", "<libopenblas.so.0+0x10>"] {
        assert!(contains(Format::NativePstats, name), "{name}");
        assert!(!contains(Format::Pstats, name), "{name}");
    }
    let path = std::path::Path::new("a.NATIVE.pstats");
    assert_eq!(
        Format::from_path(path).expect("known"),
        Format::NativePstats
    );
}

#[test]
fn a_diff_has_native_functions_in_its_stacks_and_in_no_table() {
    let sampled = |build: &Build| {
        let mut sampled = SampledProfile::new(Mode::Wall);
        build
            .events
            .iter()
            .cloned()
            .for_each(|event| sampled.apply(event));
        sampled.refine(NativeFrames::Libraries, &ByLibrary);
        sampled
    };
    let build = |ms| {
        let mut build = Build::new(1);
        build.sample(0, "main:3", State::Native, 300);
        build.native(0, "main:3 libm.so.6!sin", State::Native, ms);
        build.native(0, "main:3 libm.so.6!cos", State::Native, 30 - ms);
        sampled(&build)
    };
    let (base, new) = (build(10), build(20));
    let diff = Diff::of(&base, &new, DiffScale::Seconds);
    let stacks = diff.stacks();
    let change = |name: &str| {
        let is_it = |at: usize| stacks.places()[at].name == name;
        let mut nodes = stacks.nodes().iter();
        let node = nodes.find(|node| node.place.is_some_and(is_it));
        let node = node.expect("a node");
        (node.base_ns / MS, node.new_ns / MS)
    };
    assert_eq!([change("sin"), change("cos")], [(100, 200), (200, 100)]);
    let names: Vec<&str> = diff
        .functions()
        .iter()
        .filter_map(|it| Some(it.new?.name))
        .collect();
    assert_eq!(names, ["main"]);
}

#[test]
fn the_json_has_classes_native_functions_and_native_threads() {
    let profile = of_classes(program().profile());
    let json: serde_json::Value = serde_json::from_str(&text(Format::Json, &profile)).unwrap();
    let classes = json["classes"].as_array().expect("an array");
    let classes: Vec<_> = classes
        .iter()
        .map(|row| (row["class"].as_str(), row["wall_ns"].as_u64()))
        .collect();
    assert_eq!(
        classes,
        [
            (Some("blas"), Some(9920 * MS + 2)),
            (Some("mpi-collective"), Some(6080 * MS + 1))
        ]
    );
    assert_eq!(
        json["native_functions"][0]["native"],
        "/lib/libopenblas.so.0"
    );
    let threads = &json["native_threads"][0];
    assert_eq!(
        (&threads["name"], &threads["threads"]),
        (&"omp-worker-*".into(), &1.into())
    );
    assert_eq!(threads["classes"][0]["class"], "openmp-wait");
    let frames = json["frames"].as_array().expect("an array");
    assert!(
        frames
            .iter()
            .any(|frame| frame["native"] == "/lib/libmpi.so.40")
    );
}

#[test]
fn classes_are_told_over_the_ranks() {
    let profile = of_classes(program().profile());
    let table = text(Format::ClassesCsv, &profile);
    let rows: Vec<&str> = table.lines().skip(1).collect();
    assert_eq!(
        rows,
        [
            "blas,9920,9.920000002,4.960000000,3.306666666,,2,2.000000001,4.960000001,7.920000001,1",
            "mpi-collective,6080,6.080000001,3.040000000,2.026666666,,2,0.000000000,3.040000000,6.080000001,0",
            "openmp-wait,1,5.000000000,5.000000000,,omp-worker-*,,,,,",
        ]
    );
}

#[test]
fn the_rank_that_others_wait_for_is_found() {
    let profile = of_classes(program().profile());
    let text = rsamp::export::summary(&profile, &rsamp::export::SummaryOptions::default());
    for sentence in [
        "38 % of the time is in MPI: rank 1 takes 1.6 times the mean in main",
        "OpenMP threads wait 100 % of the time",
        "MPI_Allreduce in libmpi.so.40",
        "BLAS and LAPACK",
    ] {
        assert!(text.contains(sentence), "{sentence}: {text}");
    }
}

#[test]
fn a_class_may_be_left_alone() {
    let mut profile = of_classes(program().profile());
    profile.keep_work(|class| class.starts_with("mpi"));
    assert_eq!(profile.totals().wall, Nanos(6080 * MS + 1));
    assert_eq!(profile.with_native_frames().totals(), profile.totals());
}

#[test]
fn a_filter_keeps_native_samples_of_what_it_keeps() {
    let build = program();
    let selection = Selection {
        ranks: vec![Ranks::new("1").expect("ranks")],
        folds_imports: true,
        ..Selection::default()
    };
    let mut filter = Filter::new(selection);
    let mut profile = Profile::default();
    for event in &build.events {
        filter.apply(event.clone(), &mut |event| profile.apply(event));
    }
    assert_eq!(profile.rejected(), 0);
    profile.refine(NativeFrames::Libraries, &ByLibrary);
    assert_eq!(
        rows(profile.with_native_frames()),
        ["main dgemm_ libopenblas.so.0+0x10 7920 libopenblas.so.0"]
    );
}

#[test]
fn a_time_axis_shows_the_native_stacks_in_turn() {
    let mut build = Build::new(1);
    for second in 1..=4 {
        build.sample(0, "main:3", State::Native, 1000);
        let Some(Event::Sample(sample)) = build.events.last_mut() else {
            panic!("a sample");
        };
        sample.at = Nanos(second * 1001 * MS);
    }
    build.native(0, "main:3 libm.so.6!sin", State::Native, 10);
    build.native(0, "main:3 libm.so.6!cos", State::Native, 10);
    let mut profile = Profile::with_timeline();
    build
        .events
        .iter()
        .cloned()
        .for_each(|event| profile.apply(event));
    profile.refine(NativeFrames::Libraries, &ByLibrary);
    let refined = profile.with_native_frames();
    let runs = refined.timeline().expect("a timeline").runs(ThreadId(0));
    let innermost = |stack| {
        refined
            .frames_of(stack)
            .next()
            .map(|frame| frame.name.clone())
    };
    let names: Vec<_> = runs.filter_map(|run| innermost(run.stack)).collect();
    assert_eq!(names, ["sin", "cos", "sin", "cos"]);
}

/// The whole way, with the program.
#[test]
fn a_report_shows_native_functions_and_a_class_alone() {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("native-frames.rsamp");
    let mut writer = Writer::new(Vec::new(), Header::default()).expect("written");
    for event in program().events {
        writer.event(&event).expect("written");
    }
    writer
        .event(&Event::End(Nanos(9000 * MS)))
        .expect("written");
    std::fs::write(&path, writer.finish().expect("written").0).expect("written");
    let report = |words: &[&str]| {
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("rsamp"));
        let output = command
            .arg("report")
            .arg(&path)
            .args(words)
            .output()
            .expect("run");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (text, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (first, errors) = report(&[]);
    assert!(
        first.contains("work: 62 % BLAS and LAPACK, 38 % MPI collective"),
        "{first}{errors}"
    );
    let (folded, _) = report(&["-f", "folded", "--class", "mpi"]);
    assert!(
        folded.contains("MPI_Allreduce in libmpi.so.40 6080000"),
        "{folded}"
    );
    assert!(!folded.contains("dgemm_"), "{folded}");
    let (folded, _) = report(&["-f", "folded", "--native-frames", "none"]);
    assert!(!folded.contains("dgemm_"), "{folded}");
    let (lines, _) = report(&["--lines", "--wide"]);
    assert!(lines.contains("100 % libopenblas.so.0"), "{lines}");
    let (_, errors) = report(&["--class", "fft"]);
    assert!(
        errors.contains("there are blas, mpi-collective"),
        "{errors}"
    );
    let table = path.with_extension("classes");
    std::fs::write(&table, "solver libopenblas.so* *\n").expect("written");
    let (first, errors) = report(&["--classes", &table.to_string_lossy()]);
    assert!(first.contains("62 % solver"), "{first}{errors}");
}

/// Stacks of a few functions, with native frames between them and inside.
fn merged() -> impl Strategy<Value = String> {
    let python = prop::sample::select(vec!["a:1", "a:2", "b:1", "c:3"]);
    let native = prop::sample::select(vec![
        "",
        "libm.so.6!sin",
        "libx.so+8",
        "?",
        "libpython3.9.so!eval",
    ]);
    let parts = prop::collection::vec((native.clone(), python), 0..4);
    (parts, native).prop_map(|(parts, last)| {
        let words: Vec<String> = parts.iter().map(|(n, p)| format!("{n} {p}")).collect();
        format!("{} {last}", words.join(" "))
    })
}

fn is_native(word: &str) -> bool {
    word.contains(['!', '+']) || word == "?"
}

fn state() -> impl Strategy<Value = State> {
    prop::sample::select(vec![
        State::Python,
        State::Native,
        State::Lock,
        State::Ready,
    ])
}

/// The Python functions and lines with their times, whatever else there is.
fn python_times(profile: &Profile) -> Vec<String> {
    let functions = Functions::of(profile);
    let rows = functions.rows().iter();
    let rows = rows.filter(|row| row.function.kind == FunctionKind::Python);
    let mut times: Vec<String> = rows
        .map(|row| {
            format!(
                "{} {:?} {:?}",
                row.function.name, row.self_totals, row.totals
            )
        })
        .collect();
    let lines = Lines::of(profile, &functions);
    let rows = lines.rows().iter();
    times.extend(rows.map(|row| {
        let name = row.function.name;
        format!(
            "{name}:{:?} {:?} {:?}",
            row.line, row.self_totals, row.totals
        )
    }));
    times
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn python_functions_have_the_same_times_with_and_without_native_samples(
        samples in prop::collection::vec((0..2_u32, merged(), state(), 1..999_u64), 1..12),
        natives in prop::collection::vec((0..3_u32, merged(), state(), 0..99_u64), 0..20),
        shows in prop::sample::select(vec![NativeFrames::Libraries, NativeFrames::All, NativeFrames::None]),
    ) {
        let mut without = Build::new(3);
        let mut with = Build::new(3);
        for (thread, merged, state, ms) in natives {
            if !merged.trim().is_empty() {
                with.native(thread, &merged, state, ms);
            }
        }
        for (thread, stack, state, ms) in samples {
            let python: Vec<&str> = stack.split_whitespace().filter(|word| !is_native(word)).collect();
            for build in [&mut without, &mut with] {
                build.sample(thread, &python.join(" "), state, ms);
            }
        }
        with.names("libx.so+8", &["libx.so!inner", "libx.so!outer"]);
        let (without, with) = (without.profile(), with.refined(shows));
        let refined = with.with_native_frames();
        let mut expected = python_times(&without);
        let mut found = python_times(&with);
        // What native samples alone have of Python functions has no time of its own.
        let is_timed = |line: &String| !line.contains(&format!("{:?}", Totals::default()));
        expected.retain(is_timed);
        found.retain(is_timed);
        expected.sort();
        found.sort();
        prop_assert_eq!(found, expected);
        prop_assert_eq!(with.totals(), without.totals());
        prop_assert_eq!(with.thread_totals(), without.thread_totals());
        let sum = |profile: &Profile| profile.rows().iter().map(|row| row.totals).sum::<Totals>();
        prop_assert_eq!(sum(&with), without.totals());
        prop_assert_eq!(sum(refined), without.totals());
        let total = |profile: &Profile| {
            let functions = Functions::of(profile);
            let rows = functions.rows().iter().filter(|row| row.function.kind == FunctionKind::Python);
            let rows = rows.filter(|row| row.totals != Totals::default());
            let mut rows: Vec<_> = rows.map(|row| format!("{} {:?}", row.function.name, row.totals)).collect();
            rows.sort();
            rows
        };
        prop_assert_eq!(total(refined), total(&without));
        let effective = |profile: &Profile| profile.effective_samples();
        prop_assert!(effective(&with).abs_diff(effective(&without)) <= 1);
    }
}
