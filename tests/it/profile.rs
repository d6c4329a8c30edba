//! How events are folded into tables.

use std::collections::HashMap;

use proptest::prelude::*;
use rsamp::profile::{
    Attribute, Attributes, AttributesId, Event, Frame, FrameId, FrameKind, Functions, Lines, Loss,
    LostCause, MORE_STACKS, Mode, Nanos, Process, ProcessId, Profile, Sample, StackId, Thread,
    ThreadId, Totals, call_edges,
};

/// A frame: name, file, first line, line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Call<'c>(pub &'c str, pub &'c str, pub u32, pub u32);

/// Makes a profile of one process out of stacks, interning them as the sampler does.
pub struct Build {
    pub profile: Profile,
    frames: HashMap<Frame, FrameId>,
    stacks: HashMap<(Option<StackId>, FrameId), StackId>,
    threads: u32,
    now: HashMap<u32, Nanos>,
}

impl Default for Build {
    fn default() -> Build {
        Build::into(Profile::default())
    }
}

impl Build {
    /// Folds into `profile`, which is empty.
    pub fn into(profile: Profile) -> Build {
        Build::of_process(profile, Process::default())
    }

    /// Folds into `profile`, which is empty, what is of a process like this one.
    pub fn of_process(mut profile: Profile, process: Process) -> Build {
        let process = Process {
            pid: 4242,
            command: vec!["python".to_owned(), "scatter.py".to_owned()],
            python: "3.11.7".to_owned(),
            ..process
        };
        profile.apply(Event::Process(ProcessId(0), process));
        Build {
            profile,
            frames: HashMap::new(),
            stacks: HashMap::new(),
            threads: 0,
            now: HashMap::new(),
        }
    }

    pub fn thread(&mut self, name: Option<&str>) {
        let thread = Thread {
            process: ProcessId(0),
            tid: name.map(|_| 4242 + self.threads as i32),
            name: name.map(str::to_owned),
            is_main: self.threads == 0,
        };
        self.profile
            .apply(Event::Thread(ThreadId(self.threads), thread));
        self.threads += 1;
    }

    /// A sample of `wall_ns`, half of it on a CPU, a quarter with the GIL; outermost call first.
    pub fn sample(&mut self, thread: u32, calls: &[Call<'_>], wall_ns: u64) {
        let stack = self.stack(calls);
        self.emit(thread, stack, 1, wall_ns);
    }

    /// A run like this one; its times are in it, but for when it was.
    pub fn run(&mut self, thread: u32, calls: &[Call<'_>], run: Sample) {
        let stack = self.stack(calls);
        let now = self.now.entry(thread).or_default();
        *now += run.wall;
        self.profile.apply(Event::Sample(Sample {
            at: *now,
            thread: ThreadId(thread),
            stack,
            ..run
        }));
    }

    /// The events of a profile like this one.
    pub fn replay(&self, emit: &mut dyn FnMut(Event)) {
        let profile = &self.profile;
        for (id, process) in (0..).zip(profile.processes()) {
            emit(Event::Process(ProcessId(id), process.clone()));
        }
        for (id, thread) in (0..).zip(profile.threads()) {
            emit(Event::Thread(ThreadId(id), thread.clone()));
        }
        for (id, frame) in (0..).zip(profile.frames()) {
            emit(Event::Frame(FrameId(id), frame.clone()));
        }
        for (id, stack) in (0..).zip(profile.stacks()) {
            let (id, parent, frame) = (StackId(id), stack.parent, stack.frame);
            emit(Event::Stack { id, parent, frame });
        }
        for row in profile.rows() {
            emit(Event::Sample(Sample {
                at: profile.duration(),
                thread: row.thread,
                stack: row.stack,
                ticks: row.totals.samples as u32,
                wall: row.totals.wall,
                cpu: row.totals.cpu,
                gil: row.totals.gil,
                ..Sample::default()
            }));
        }
        emit(Event::End(profile.duration()));
    }

    pub fn ticks(&mut self, thread: u32, calls: &[Call<'_>], ticks: u32) {
        let stack = self.stack(calls);
        self.emit(thread, stack, ticks, u64::from(ticks));
    }

    /// A sample in frames without a file.
    pub fn mark_sample(&mut self, thread: u32, names: &[&str], wall_ns: u64) {
        let stack = names.iter().fold(None, |parent, name| {
            let frame = Frame::mark(name);
            Some(self.push(parent, frame))
        });
        self.emit(thread, stack, 1, wall_ns);
    }

    fn emit(&mut self, thread: u32, stack: Option<StackId>, ticks: u32, wall_ns: u64) {
        // Threads run at the same time: each has a clock of its own.
        let now = self.now.entry(thread).or_default();
        *now += Nanos(wall_ns);
        self.profile.apply(Event::Sample(Sample {
            at: *now,
            thread: ThreadId(thread),
            stack,
            ticks,
            wall: Nanos(wall_ns),
            cpu: Nanos(wall_ns / 2),
            gil: Nanos(wall_ns / 4),
            ..Sample::default()
        }));
    }

    fn stack(&mut self, calls: &[Call<'_>]) -> Option<StackId> {
        calls.iter().fold(None, |parent, call| {
            let frame = Frame {
                kind: FrameKind::Python,
                name: call.0.to_owned(),
                file: Some(call.1.to_owned()),
                first_line: Some(call.2),
                line: Some(call.3),
            };
            Some(self.push(parent, frame))
        })
    }

    fn push(&mut self, parent: Option<StackId>, frame: Frame) -> StackId {
        let next = FrameId(self.frames.len() as u32);
        let id = *self.frames.entry(frame.clone()).or_insert(next);
        if id == next {
            self.profile.apply(Event::Frame(id, frame));
        }
        let (frame, next) = (id, StackId(self.stacks.len() as u32));
        let id = *self.stacks.entry((parent, frame)).or_insert(next);
        if id == next {
            self.profile.apply(Event::Stack { id, parent, frame });
        }
        id
    }
}

/// Stacks are words of one-letter functions, outermost first, each with its weight in ns; a digit
/// behind a letter is the line. Expects `letter: self/total` per function, hottest first.
fn check(stacks: &[(&str, u64)], expected: &str) {
    let profile = fold(stacks);
    assert_eq!(profile.rejected(), 0);
    let functions = Functions::of(&profile);
    let rows = functions.by_self(Mode::Wall);
    let shown = rows.iter().map(|row| {
        let (own, total) = (row.self_totals.wall.0, row.totals.wall.0);
        format!("{}: {own}/{total}", row.function.name)
    });
    assert_eq!(shown.collect::<Vec<_>>().join(", "), expected);
}

fn fold(stacks: &[(&str, u64)]) -> Profile {
    let mut build = Build::default();
    build.thread(Some("MainThread"));
    build.thread(Some("worker"));
    for (at, (stack, wall_ns)) in stacks.iter().enumerate() {
        let calls: Vec<Call<'_>> = stack.split_whitespace().map(call).collect();
        build.sample((at % 2) as u32, &calls, *wall_ns);
    }
    build.profile
}

fn call(word: &str) -> Call<'_> {
    let (name, line) = word.split_at(1);
    Call(name, "/letters.py", 1, line.parse().unwrap_or(1))
}

#[test]
fn functions_have_self_and_total_time() {
    check(&[], "");
    check(&[("", 5)], "");
    check(&[("a", 5)], "a: 5/5");
    check(
        &[("a b", 5), ("a", 2), ("a c", 1)],
        "b: 5/5, a: 2/8, c: 1/1",
    );
}

#[test]
fn a_function_is_one_row_over_its_lines_and_threads() {
    check(&[("a1", 5), ("a2", 2), ("a3 b", 1)], "a: 7/8, b: 1/1");
}

#[test]
fn recursion_counts_once_per_stack() {
    check(&[("a a a", 5), ("a", 2)], "a: 7/7");
    check(&[("a b a b", 5), ("b a", 2)], "b: 5/7, a: 2/7");
    check(&[("a b c b", 3), ("a b c", 2)], "b: 3/5, c: 2/5, a: 0/5");
}

#[test]
fn equal_times_are_sorted_by_place() {
    check(&[("c", 1), ("a", 1), ("b", 1)], "a: 1/1, b: 1/1, c: 1/1");
}

#[test]
fn lines_have_rows_of_their_own() {
    let profile = fold(&[("a1", 5), ("a2 b7", 2), ("a1 a2", 4)]);
    let lines = Lines::of(&profile, &Functions::of(&profile));
    let rows = lines.by_self(Mode::Wall);
    let shown = rows.iter().map(|row| {
        let (own, total) = (row.self_totals.wall.0, row.totals.wall.0);
        format!(
            "{}{}: {own}/{total}",
            row.function.name,
            row.line.unwrap_or(0)
        )
    });
    let shown: Vec<String> = shown.collect();
    assert_eq!(shown.join(", "), "a1: 5/9, a2: 4/6, b7: 2/2");
}

#[test]
fn edges_have_self_and_total_time() {
    let profile = fold(&[("a b", 5), ("a b b c", 2), ("b", 1)]);
    let functions = Functions::of(&profile);
    let name = |id| functions.row(id).map_or("?", |row| row.function.name);
    let mut shown: Vec<String> = call_edges(&profile, &functions)
        .iter()
        .map(|edge| {
            let (own, total) = (edge.self_totals.wall.0, edge.totals.wall.0);
            let caller = edge.caller.map_or("-", name);
            format!("{caller}>{}: {own}/{total}", name(edge.callee))
        })
        .collect();
    shown.sort();
    assert_eq!(
        shown.join(", "),
        "->a: 0/7, ->b: 1/1, a>b: 5/7, b>b: 0/2, b>c: 2/2"
    );
}

#[test]
fn views_choose_the_time() {
    let profile = fold(&[("a", 400)]);
    let times = [Mode::Wall, Mode::Cpu, Mode::Gil].map(|mode| profile.totals().time(mode));
    assert_eq!(times, [Nanos(400), Nanos(200), Nanos(100)]);
}

/// Else a program with another task for each request would make rows without end.
#[test]
fn rows_beyond_the_limit_have_no_attributes() {
    let mut build = Build::into(Profile::default().with_max_rows(2));
    build.thread(Some("MainThread"));
    for id in 0..9 {
        let set = Attributes([(Attribute::Task, format!("Task-{id}"))].into());
        let id = AttributesId::new(id);
        build.profile.apply(Event::Attributes(id, set));
        let run = Sample {
            ticks: 1,
            wall: Nanos(10),
            attributes: Some(id),
            ..Sample::default()
        };
        build.run(0, &[], run);
    }
    let profile = build.profile;
    let rows = profile.rows().iter();
    let rows: Vec<_> = rows
        .map(|row| (row.attributes.map(AttributesId::number), row.totals.wall.0))
        .collect();
    assert_eq!(rows, [(Some(0), 10), (Some(1), 10), (None, 70)]);
    assert_eq!(profile.rejected(), 0);
}

#[test]
fn rows_beyond_the_limit_go_to_a_name_that_says_so() {
    let mut profile = Profile::default().with_max_rows(2);
    let thread = |id| {
        let thread = Thread {
            process: ProcessId(0),
            tid: None,
            name: None,
            is_main: id == 0,
        };
        Event::Thread(ThreadId(id), thread)
    };
    let names = ["a", MORE_STACKS, "b", "c"];
    let frames = names.iter().zip(0..).map(|(name, id)| {
        let frame = Frame::mark(name);
        Event::Frame(FrameId(id), frame)
    });
    let stacks = (0..4).map(|id| Event::Stack {
        id: StackId(id),
        parent: None,
        frame: FrameId(id),
    });
    let sample = |thread, stack| {
        Event::Sample(Sample {
            thread: ThreadId(thread),
            stack: Some(StackId(stack)),
            ticks: 3,
            wall: Nanos(10),
            ..Sample::default()
        })
    };
    let process = [
        Event::Process(ProcessId(0), Process::default()),
        thread(0),
        thread(1),
    ];
    let samples = [(0, 0), (0, 2), (0, 3), (0, 2), (1, 0), (0, 3)];
    let samples = samples.map(|(thread, stack)| sample(thread, stack));
    let events = process
        .into_iter()
        .chain(frames)
        .chain(stacks)
        .chain(samples);
    events.for_each(|event| profile.apply(event));
    let rows: Vec<_> = profile
        .rows()
        .iter()
        .map(|row| {
            let frame = profile.frames_of(row.stack).next().expect("a frame");
            (row.thread.0, &*frame.name, row.totals.wall.0)
        })
        .collect();
    let expected = [
        (0, "a", 10),
        (0, "b", 20),
        (0, MORE_STACKS, 20),
        (1, MORE_STACKS, 10),
    ];
    assert_eq!(rows, expected);
    assert_eq!(profile.lost().get(&LostCause::TooMany), Some(&9));
}

#[test]
fn events_that_make_no_sense_are_left_out_and_counted() {
    let mut profile = fold(&[("a", 400)]);
    let before = profile.rows().to_vec();
    let sample = |thread, stack, wall| {
        Event::Sample(Sample {
            at: Nanos(1),
            thread: ThreadId(thread),
            stack,
            ticks: 1,
            wall: Nanos(wall),
            cpu: Nanos(0),
            gil: Nanos(0),
            ..Sample::default()
        })
    };
    let stack = |id, parent, frame| Event::Stack {
        id: StackId(id),
        parent,
        frame: FrameId(frame),
    };
    let thread = profile.threads()[0].clone();
    let elsewhere = Thread {
        process: ProcessId(9),
        ..thread.clone()
    };
    let events = [
        sample(7, None, 1),
        sample(0, Some(StackId(1)), 1),
        sample(0, None, u64::MAX),
        stack(1, None, 1),
        stack(1, Some(StackId(1)), 0),
        stack(0, None, 0),
        stack(u32::MAX, None, 0),
        Event::Thread(ThreadId(3), thread),
        Event::Thread(ThreadId(2), elsewhere),
        Event::Frame(FrameId(5), profile.frames()[0].clone()),
    ];
    let count = events.len() as u64;
    events.into_iter().for_each(|event| profile.apply(event));
    assert_eq!(profile.rejected(), count);
    assert_eq!(profile.rows(), before);
}

#[test]
fn without_an_end_the_last_sample_tells_the_duration() {
    let mut profile = fold(&[("a", 400), ("", 30)]);
    assert_eq!(
        (profile.duration(), profile.is_complete()),
        (Nanos(400), false)
    );
    profile.apply(Event::End(Nanos(500)));
    assert_eq!(
        (profile.duration(), profile.is_complete()),
        (Nanos(500), true)
    );
}

fn stacks() -> impl Strategy<Value = Vec<(String, u64)>> {
    let stack = prop::collection::vec("[a-e][1-3]", 0..8).prop_map(|calls| calls.join(" "));
    prop::collection::vec((stack, 0_u64..10_000), 0..40)
}

fn fold_owned(stacks: &[(String, u64)]) -> Profile {
    let stacks: Vec<(&str, u64)> = stacks.iter().map(|(s, w)| (s.as_str(), *w)).collect();
    fold(&stacks)
}

/// Self and total wall time, found by looking at every stack.
fn by_hand(stacks: &[(String, u64)], name: &str) -> (u64, u64) {
    let names = |stack: &str| -> Vec<String> {
        let words = stack.split_whitespace();
        words.map(|word| word[..1].to_owned()).collect()
    };
    let own = |(stack, _): &&(String, u64)| names(stack).last().is_some_and(|last| last == name);
    let any = |(stack, _): &&(String, u64)| names(stack).iter().any(|other| other == name);
    let sum = |(_, wall): &(String, u64)| *wall;
    (
        stacks.iter().filter(own).map(sum).sum(),
        stacks.iter().filter(any).map(sum).sum(),
    )
}

proptest! {
    #[test]
    fn tables_agree_with_the_stacks(stacks in stacks()) {
        let profile = fold_owned(&stacks);
        let whole: u64 = stacks.iter().map(|(_, wall)| wall).sum();
        prop_assert_eq!(profile.totals().wall.0, whole);
        let functions = Functions::of(&profile);
        for row in functions.rows() {
            let times = (row.self_totals.wall.0, row.totals.wall.0);
            prop_assert_eq!(times, by_hand(&stacks, row.function.name));
        }
        let with_frames = whole - profile.frameless_totals().wall.0;
        let sum = |totals: Vec<Totals>| totals.into_iter().sum::<Totals>();
        let of_functions = sum(functions.rows().iter().map(|row| row.self_totals).collect());
        prop_assert_eq!(of_functions.wall.0, with_frames);

        let lines = Lines::of(&profile, &functions);
        let of_lines = sum(lines.rows().iter().map(|row| row.self_totals).collect());
        prop_assert_eq!(of_lines, of_functions);
        for row in lines.rows() {
            prop_assert!(row.totals.wall >= row.self_totals.wall);
        }
    }

    #[test]
    fn edges_agree_with_the_functions(stacks in stacks()) {
        let profile = fold_owned(&stacks);
        let functions = Functions::of(&profile);
        let mut self_times = vec![Totals::default(); functions.rows().len()];
        for edge in call_edges(&profile, &functions) {
            self_times[edge.callee.0 as usize] += edge.self_totals;
            let caller = edge.caller.and_then(|id| functions.row(id));
            let callee = functions.row(edge.callee).expect("a row");
            prop_assert!(edge.totals.wall >= edge.self_totals.wall);
            prop_assert!(edge.totals.wall <= callee.totals.wall);
            if let Some(caller) = caller {
                prop_assert!(edge.totals.wall <= caller.totals.wall);
            }
        }
        for (row, self_time) in functions.rows().iter().zip(self_times) {
            prop_assert_eq!(row.self_totals, self_time);
        }
    }

    #[test]
    fn memory_grows_with_stacks_only(stacks in stacks(), times in 1_usize..4) {
        let once = fold_owned(&stacks);
        // An even number of times: stacks meet the same thread again.
        let count = stacks.len();
        let again = fold_owned(&[stacks.clone(), stacks].concat().iter().cloned().cycle().take(2 * times * count).collect::<Vec<_>>());
        prop_assert!(again.rows().len() <= 2 * once.stacks().len() + 2);
        prop_assert_eq!(again.stacks(), once.stacks());
        prop_assert_eq!(again.totals().wall.0, once.totals().wall.0 * 2 * times as u64);
    }
}

#[test]
fn a_timeline_keeps_runs_in_order_and_losses_where_they_were_told() {
    let mut build = Build::into(Profile::with_timeline());
    build.thread(Some("MainThread"));
    build.thread(Some("worker"));
    let (a, b) = (Call("a", "/x.py", 1, 1), Call("b", "/x.py", 2, 2));
    build.sample(0, &[a], 10);
    build.sample(1, &[b], 25);
    build.profile.apply(Event::Lost(Loss {
        at: Nanos(25),
        cause: LostCause::Torn,
        count: 1,
    }));
    build.profile.apply(Event::Lost(Loss {
        at: Nanos(25),
        cause: LostCause::Torn,
        count: 2,
    }));
    build.profile.apply(Event::Lost(Loss {
        at: Nanos(25),
        cause: LostCause::Late,
        count: 1,
    }));
    build.sample(0, &[b], 20);
    build.sample(0, &[a], 5);
    let profile = build.profile;
    let timeline = profile.timeline().expect("kept");
    let runs = |thread| {
        let runs = timeline.runs(ThreadId(thread));
        runs.map(|run| {
            (
                run.at.0 - run.wall.0,
                run.at.0,
                run.stack.expect("frames").0,
            )
        })
        .collect::<Vec<_>>()
    };
    assert_eq!(runs(0), [(0, 10, 0), (10, 30, 1), (30, 35, 0)]);
    assert_eq!(runs(1), [(0, 25, 1)]);
    assert!(timeline.runs(ThreadId(2)).next().is_none());
    let losses = timeline.losses().iter();
    let losses: Vec<_> = losses
        .map(|loss| (loss.at.0, loss.cause, loss.count))
        .collect();
    assert_eq!(losses, [(25, LostCause::Torn, 3), (25, LostCause::Late, 1)]);
    // A sample that makes no sense is in neither.
    let mut profile = profile;
    let before = profile.timeline().cloned();
    profile.apply(Event::Sample(Sample {
        at: Nanos(40),
        thread: ThreadId(7),
        stack: None,
        ticks: 1,
        wall: Nanos(1),
        cpu: Nanos(0),
        gil: Nanos(0),
        ..Sample::default()
    }));
    assert_eq!(profile.timeline().cloned(), before);
}

#[test]
fn without_a_timeline_stacks_lie_end_to_end() {
    let mut build = Build::default();
    build.thread(Some("MainThread"));
    let (a, b) = (Call("a", "/x.py", 1, 1), Call("b", "/x.py", 2, 2));
    for call in [a, b, a] {
        build.sample(0, &[call], 10);
    }
    assert!(build.profile.timeline().is_none());
    let timeline = build.profile.unordered();
    let runs = timeline.runs(ThreadId(0));
    let runs: Vec<_> = runs.map(|run| (run.at.0, run.wall.0)).collect();
    assert_eq!(runs, [(20, 20), (30, 10)]);
}
