//! What a selection leaves of a recording.

use std::collections::HashMap;

use glob::Pattern;
use proptest::prelude::*;
use regex::Regex;
use rsamp::profile::{
    Event, Filter, Folding, Frame, FrameId, FrameKind, Hidden, Loss, LostCause, Mode, NameFilter,
    Nanos, NativeCode, NothingLeft, Process, ProcessId, Profile, Ranks, Sample, Selection, StackId,
    State, StepName, Thread, ThreadId, Totals,
};

/// The events of a recording, made from words.
#[derive(Default)]
pub struct Script {
    pub events: Vec<Event>,
    frames: HashMap<Frame, FrameId>,
    stacks: HashMap<(Option<StackId>, FrameId), StackId>,
    /// Of the processes from here on.
    pub rank: Option<u32>,
    /// Of the processes from here on.
    pub launch: Option<String>,
    /// Of the runs from here on.
    pub state: State,
}

impl Script {
    pub fn process(&mut self, id: u32, pid: i32, command: &str) {
        let process = Process {
            pid,
            command: command.split_whitespace().map(str::to_owned).collect(),
            python: "3.11.7".to_owned(),
            rank: self.rank,
            launch: self.launch.clone(),
            ..Process::default()
        };
        self.events.push(Event::Process(ProcessId(id), process));
    }

    pub fn thread(&mut self, id: u32, process: u32, name: Option<&str>) {
        let thread = Thread {
            process: ProcessId(process),
            tid: Some(4000 + id as i32),
            name: name.map(str::to_owned),
            is_main: false,
        };
        self.events.push(Event::Thread(ThreadId(id), thread));
    }

    /// A run in a stack of functions, outermost first: `name` or `name:line`. All of it is on a
    /// CPU, half of it with the GIL.
    pub fn run(&mut self, thread: u32, stack: &str, end_ns: u64, wall_ns: u64, ticks: u32) {
        let frames = stack.split_whitespace().map(frame_of).collect();
        self.run_frames(thread, frames, end_ns, wall_ns, ticks);
    }

    /// The same in any frames.
    pub fn run_frames(
        &mut self,
        thread: u32,
        frames: Vec<Frame>,
        end_ns: u64,
        wall_ns: u64,
        ticks: u32,
    ) {
        let stack = frames
            .into_iter()
            .fold(None, |parent, frame| Some(self.push(parent, frame)));
        self.events.push(Event::Sample(Sample {
            at: Nanos(end_ns),
            thread: ThreadId(thread),
            stack,
            ticks,
            wall: Nanos(wall_ns),
            cpu: Nanos(wall_ns),
            gil: Nanos(wall_ns / 2),
            state: self.state,
            ..Sample::default()
        }));
    }

    fn push(&mut self, parent: Option<StackId>, frame: Frame) -> StackId {
        let next = FrameId(self.frames.len() as u32);
        let frame = *self.frames.entry(frame).or_insert_with_key(|frame| {
            self.events.push(Event::Frame(next, frame.clone()));
            next
        });
        let id = StackId(self.stacks.len() as u32);
        *self.stacks.entry((parent, frame)).or_insert_with(|| {
            self.events.push(Event::Stack { id, parent, frame });
            id
        })
    }
}

/// `std.…` is of the standard library, `imp.…` of the import system, `np.…` of a package.
fn frame_of(word: &str) -> Frame {
    let (name, line) = word.split_once(':').unwrap_or((word, "1"));
    let file = match name.split_once('.') {
        Some(("std", _)) => "/usr/lib/python3.11/json/decoder.py",
        Some(("imp", _)) => "<frozen importlib._bootstrap>",
        Some(("np", _)) => "/v/lib/python3.11/site-packages/numpy/linalg.py",
        _ => "/home/ada/run.py",
    };
    Frame {
        kind: FrameKind::Python,
        name: name.to_owned(),
        file: Some(file.to_owned()),
        first_line: Some(1),
        line: line.parse().ok(),
    }
}

/// A process of two threads, and one of another thread, ten nanoseconds at a time.
fn recording() -> Vec<Event> {
    let mut script = Script::default();
    script.process(0, 100, "/usr/bin/python3 /home/ada/scatter.py -n 5");
    script.thread(0, 0, Some("MainThread"));
    script.run(0, "main std.load imp.find std.read", 10, 10, 1);
    script.run(0, "main solve np.dot", 20, 10, 1);
    script.thread(1, 0, Some("worker-1"));
    script.run(1, "boot solve np.dot solve", 20, 10, 1);
    script.run(1, "std.wait", 30, 10, 1);
    script.run(0, "", 30, 10, 1);
    script.process(1, 200, "python rank.py");
    script.thread(2, 1, Some("MainThread"));
    script.run(2, "main solve", 40, 10, 1);
    script.events.push(Event::Lost(Loss {
        at: Nanos(40),
        cause: LostCause::Late,
        count: 2,
    }));
    script.events.push(Event::End(Nanos(50)));
    script.events
}

fn filter(events: &[Event], selection: Selection) -> (Profile, Result<(), NothingLeft>) {
    let mut profile = Profile::default();
    let mut filter = Filter::new(selection);
    for event in events {
        filter.apply(event.clone(), &mut |event| profile.apply(event));
    }
    (profile, filter.check())
}

/// Each row as `process/thread name: outermost … innermost wall`.
fn show(profile: &Profile) -> Vec<String> {
    let mut rows: Vec<String> = profile
        .rows()
        .iter()
        .map(|row| {
            let thread = profile.thread(row.thread).expect("defined");
            let process = profile.process(thread.process).expect("defined");
            let names = profile.frames_of(row.stack);
            let mut names: Vec<&str> = names.map(|frame| frame.name.as_str()).collect();
            names.reverse();
            format!(
                "{}/{}: {} {}",
                process.pid,
                thread.name.as_deref().unwrap_or("?"),
                names.join(" "),
                row.totals.wall.0
            )
        })
        .collect();
    rows.sort();
    rows
}

/// Expects these rows of the recording above.
fn check(selection: Selection, expected: &[&str]) {
    let (profile, left) = filter(&recording(), selection);
    assert_eq!(left, Ok(()));
    assert_eq!(profile.rejected(), 0);
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(show(&profile), expected);
    let used = |id| profile.rows().iter().any(|row| row.thread == ThreadId(id));
    assert!((0..profile.threads().len() as u32).all(used));
    assert_eq!(profile.lost().get(&LostCause::Late), Some(&2));
    assert_eq!(profile.duration(), Nanos(50));
}

fn names(names: &[&str]) -> Vec<NameFilter> {
    let names = names
        .iter()
        .map(|name| NameFilter::new(name).expect("a pattern"));
    names.collect()
}

fn regex(pattern: &str) -> Option<Regex> {
    Some(Regex::new(pattern).expect("a pattern"))
}

fn hidden(paths: &str) -> Vec<Hidden> {
    vec![Hidden::Files(Pattern::new(paths).expect("a pattern"))]
}

const WHOLE: &[&str] = &[
    "100/MainThread:  10",
    "100/MainThread: main solve np.dot 10",
    "100/MainThread: main std.load imp.find std.read 10",
    "100/worker-1: boot solve np.dot solve 10",
    "100/worker-1: std.wait 10",
    "200/MainThread: main solve 10",
];

#[test]
fn without_a_filter_everything_is_left() {
    let selection = Selection::default();
    assert!(selection.leaves_everything());
    check(selection, WHOLE);
}

#[test]
fn threads_are_chosen_by_name_tid_or_number() {
    let table: &[(&[&str], &[usize])] = &[
        (&["worker-1"], &[3, 4]),
        (&["worker-*"], &[3, 4]),
        (&["w[o]rker-?"], &[3, 4]),
        (&["4001"], &[3, 4]),
        (&["1"], &[3, 4]),
        (&["MainThread"], &[0, 1, 2, 5]),
        (&["2", "worker-?"], &[3, 4, 5]),
    ];
    for (threads, expected) in table {
        let threads = names(threads);
        let rows: Vec<&str> = expected.iter().map(|row| WHOLE[*row]).collect();
        check(
            Selection {
                threads,
                ..Selection::default()
            },
            &rows,
        );
    }
}

#[test]
fn processes_are_chosen_by_pid_or_name() {
    let table: &[(&[&str], &[usize])] = &[
        (&["200"], &[5]),
        (&["rank.py"], &[5]),
        (&["python rank*"], &[5]),
        (&["scatter.py"], &[0, 1, 2, 3, 4]),
        (&["0"], &[0, 1, 2, 3, 4]),
        (&["*.py"], &[0, 1, 2, 3, 4, 5]),
    ];
    for (processes, expected) in table {
        let processes = names(processes);
        let rows: Vec<&str> = expected.iter().map(|row| WHOLE[*row]).collect();
        check(
            Selection {
                processes,
                ..Selection::default()
            },
            &rows,
        );
    }
}

#[test]
fn processes_are_chosen_by_rank() {
    let mut script = Script::default();
    for (id, rank) in (0..).zip([None, Some(0), Some(1), Some(2), Some(12)]) {
        script.rank = rank;
        script.process(id, 100 + id as i32, "python");
        script.thread(id, id, Some("MainThread"));
        script.run(id, "main", 10, 10, 1);
    }
    let left = |words: &[&str]| {
        let ranks = words.iter().map(|word| Ranks::new(word).expect("ranks"));
        let selection = Selection {
            ranks: ranks.collect(),
            ..Selection::default()
        };
        assert!(!selection.leaves_everything());
        let (profile, left) = filter(&script.events, selection);
        let pids: Vec<i32> = profile.processes().iter().map(|p| p.pid).collect();
        left.map(|()| pids).map_err(|left| left.to_string())
    };
    assert_eq!(left(&["1"]), Ok(vec![102]));
    assert_eq!(left(&["1-12"]), Ok(vec![102, 103, 104]));
    assert_eq!(left(&["12", "0-1"]), Ok(vec![101, 102, 104]));
    let error = "no sample is left by the rank filter (3-5, 9); there are 0-2, 12";
    assert_eq!(left(&["3-5", "9"]), Err(error.to_owned()));
}

#[test]
fn losses_outside_the_window_are_left_out() {
    let window = |from: Option<u64>, to: Option<u64>| Selection {
        from: from.map(Nanos),
        to: to.map(Nanos),
        ..Selection::default()
    };
    let lost = |selection| {
        let (profile, _) = filter(&recording(), selection);
        profile.lost().values().sum::<u64>()
    };
    assert_eq!(lost(window(Some(30), Some(40))), 2);
    assert_eq!(lost(window(Some(40), None)), 0);
    assert_eq!(lost(window(None, Some(39))), 0);
}

#[test]
fn a_thread_that_gets_its_name_late_is_there_from_its_first_sample_on() {
    let mut script = Script::default();
    script.process(0, 100, "python");
    script.thread(0, 0, None);
    script.run(0, "a", 10, 10, 1);
    script.run(0, "b", 20, 10, 1);
    script.run(0, "a", 30, 10, 1);
    script.thread(0, 0, Some("io"));
    script.run(0, "b", 40, 10, 1);
    script.thread(0, 0, Some("other"));
    script.run(0, "b", 50, 10, 1);
    let selection = Selection {
        threads: names(&["io"]),
        ..Selection::default()
    };
    let (profile, left) = filter(&script.events, selection);
    assert_eq!(left, Ok(()));
    assert_eq!(show(&profile), ["100/other: a 20", "100/other: b 30"]);
    assert_eq!(profile.totals().samples, 5);
}

#[test]
fn only_stacks_with_the_function_are_left() {
    check(
        Selection {
            function: regex("^solve$"),
            ..Selection::default()
        },
        &[WHOLE[1], WHOLE[3], WHOLE[5]],
    );
}

#[test]
fn focus_cuts_off_the_callers() {
    check(
        Selection {
            focus: regex("solve"),
            ..Selection::default()
        },
        &[
            "100/MainThread: solve np.dot 10",
            "100/worker-1: solve np.dot solve 10",
            "200/MainThread: solve 10",
        ],
    );
}

#[test]
fn hidden_frames_leave_their_time_to_their_callers() {
    let rows = |load: &'static str| {
        let wait = "100/worker-1: [hidden frames] 10";
        [WHOLE[0], WHOLE[1], load, wait, WHOLE[3], WHOLE[5]]
    };
    check(
        Selection {
            hidden: vec![Hidden::StandardLibrary],
            ..Selection::default()
        },
        &rows("100/MainThread: main 10"),
    );
    check(
        Selection {
            hidden: hidden("/usr/lib/*"),
            ..Selection::default()
        },
        &rows("100/MainThread: main imp.find 10"),
    );
}

/// `main` imports pandas, which imports numpy and the program's own `fields.grid`.
fn importing() -> Vec<Event> {
    const SYSTEM: &str = "<frozen importlib._bootstrap>";
    const NUMPY: &str = "/v/lib/python3.11/site-packages/numpy/__init__.py";
    const PANDAS: &str = "/v/lib/python3.11/site-packages/pandas/__init__.py";
    let frame = |name: &str, file: &str| Frame {
        kind: FrameKind::Python,
        name: name.to_owned(),
        file: Some(file.to_owned()),
        first_line: Some(1),
        line: Some(2),
    };
    let module = |file| frame("<module>", file);
    let native = |name: &str| Frame {
        kind: FrameKind::Native(NativeCode {
            module: "/usr/bin/python3.11".to_owned(),
            build_id: None,
            offset: None,
            is_inlined: false,
        }),
        file: None,
        ..frame(name, "")
    };
    let find = || frame("_find_and_load", SYSTEM);
    let main = || vec![module("/home/ada/run.py"), find()];
    let pandas = || [main(), vec![find(), native("exec"), module(PANDAS)]].concat();
    let mut script = Script::default();
    script.process(0, 100, "python");
    if let Some(Event::Process(_, process)) = script.events.last_mut() {
        process.working_folder = Some("/home/ada".to_owned());
    }
    script.thread(0, 0, Some("m"));
    let stacks = [
        main(),
        [main(), vec![find(), native("read")]].concat(),
        [main(), vec![frame("find_spec", "/v/hooks.py")]].concat(),
        pandas(),
        [pandas(), vec![frame("compile", "/v/re.py")]].concat(),
        [pandas(), vec![find(), find(), module(NUMPY)]].concat(),
        [pandas(), vec![find(), module("/home/ada/fields/grid.py")]].concat(),
        vec![module("/home/ada/run.py"), module("/home/ada/exec.py")],
    ];
    for (number, stack) in (1..).zip(stacks) {
        script.run_frames(0, stack, number * 10, number, 1);
    }
    script.events
}

#[test]
fn an_import_is_one_frame_for_each_module() {
    let selection = || Selection {
        folds_imports: true,
        ..Selection::default()
    };
    let expected = [
        "100/m: <module> <module> 8",
        "100/m: <module> [loading modules] 1",
        "100/m: <module> [loading modules] find_spec 3",
        "100/m: <module> [loading modules] read 2",
        "100/m: <module> import pandas 4",
        "100/m: <module> import pandas compile 5",
        "100/m: <module> import pandas import fields.grid 7",
        "100/m: <module> import pandas import numpy 6",
    ];
    let (filtered, _) = filter(&importing(), selection());
    assert_eq!(show(&filtered), expected);
    let folded = |folds| {
        let mut folding = Folding::new(folds);
        let mut profile = Profile::default();
        for event in importing() {
            folding.apply(event, &mut |event| profile.apply(event));
        }
        assert_eq!(profile.rejected(), 0);
        show(&profile)
    };
    assert_eq!(folded(true), expected);
    assert!(
        folded(false)
            .iter()
            .any(|row| row.contains("_find_and_load"))
    );
    let focus = Selection {
        focus: regex("^import numpy"),
        ..selection()
    };
    assert_eq!(
        show(&filter(&importing(), focus).0),
        ["100/m: import numpy 6"]
    );
}

#[test]
fn stacks_that_differ_in_hidden_frames_only_become_one() {
    let mut script = Script::default();
    script.process(0, 100, "python");
    script.thread(0, 0, Some("m"));
    script.run(0, "a std.x b", 10, 10, 1);
    script.run(0, "a std.y b", 20, 10, 1);
    script.run(0, "a b", 30, 10, 1);
    let selection = Selection {
        hidden: vec![Hidden::StandardLibrary],
        ..Selection::default()
    };
    let (profile, _) = filter(&script.events, selection);
    assert_eq!(show(&profile), ["100/m: a b 30"]);
    assert_eq!((profile.stacks().len(), profile.frames().len()), (2, 2));
}

#[test]
fn filters_work_together() {
    check(
        Selection {
            function: regex("dot"),
            focus: regex("solve"),
            hidden: hidden("*/numpy/*"),
            threads: names(&["MainThread"]),
            from: Some(Nanos(14)),
            ..Selection::default()
        },
        &["100/MainThread: solve 6"],
    );
}

#[test]
fn a_run_is_cut_in_proportion() {
    let mut script = Script::default();
    script.process(0, 100, "python");
    script.thread(0, 0, Some("m"));
    script.run(0, "a", 1000, 600, 60);
    let totals = |from: u64, to: u64| {
        let selection = Selection {
            from: Some(Nanos(from)),
            to: Some(Nanos(to)),
            ..Selection::default()
        };
        let totals = filter(&script.events, selection).0.totals();
        (totals.samples, totals.wall.0, totals.cpu.0, totals.gil.0)
    };
    assert_eq!(totals(0, 2000), (60, 600, 600, 300));
    assert_eq!(totals(0, 500), (10, 100, 100, 50));
    assert_eq!(totals(500, 700), (20, 200, 200, 100));
    assert_eq!(totals(700, 701), (1, 1, 1, 0));
    assert_eq!(totals(1000, 2000), (0, 0, 0, 0));
    assert_eq!(totals(0, 400), (0, 0, 0, 0));
}

#[test]
fn states_are_chosen() {
    let mut events = recording();
    for event in &mut events {
        if let Event::Sample(sample) = event {
            sample.state = match sample.at {
                Nanos(10) => State::Disk,
                Nanos(20) => State::Gil,
                _ => State::Lock,
            };
        }
    }
    let left = |states: &[State]| {
        let selection = Selection {
            states: states.to_vec(),
            ..Selection::default()
        };
        assert!(!selection.leaves_everything() && !selection.leaves_all_threads());
        let (profile, checked) = filter(&events, selection);
        (profile.totals().wall, checked)
    };
    assert_eq!(left(&[State::Disk]), (Nanos(10), Ok(())));
    assert_eq!(left(&[State::Gil, State::Lock]), (Nanos(50), Ok(())));
    let (wall, checked) = left(&[State::Sleep]);
    assert_eq!(wall, Nanos(0));
    assert_eq!(
        checked.expect_err("nothing").to_string(),
        "no sample is left by the state filter (sleep); there are gil, lock, disk"
    );
}

#[test]
fn a_filter_that_leaves_nothing_is_named_with_the_values_there_are() {
    let base = Selection::default;
    let table = [
        (
            Selection {
                threads: names(&["wroker-1"]),
                ..base()
            },
            "no sample is left by the thread filter (wroker-1); there are MainThread (4000), worker-1 (4001), MainThread (4002)",
        ),
        (
            Selection {
                processes: names(&["7", "x"]),
                ..base()
            },
            "no sample is left by the process filter (7, x); there are 100 (/usr/bin/python3 /home/ada/scatter.py -n 5), 200 (python rank.py)",
        ),
        (
            Selection {
                from: Some(Nanos(1_500_000_000)),
                ..base()
            },
            "no sample is left by the time span filter (from 1.5 s)",
        ),
        (
            Selection {
                function: regex("^slove$"),
                ..base()
            },
            "no sample is left by the function filter (^slove$); there is solve",
        ),
        (
            Selection {
                threads: names(&["worker-1"]),
                focus: regex("load"),
                ..base()
            },
            "no sample is left by the focus filter (load); there is std.load",
        ),
    ];
    for (selection, expected) in table {
        let (profile, left) = filter(&recording(), selection);
        assert_eq!(left.expect_err(expected).to_string(), expected);
        assert_eq!(profile.totals(), Totals::default());
    }
}

#[test]
fn a_mode_without_time_leaves_nothing() {
    let mut script = Script::default();
    script.process(0, 100, "python");
    script.thread(0, 0, Some("m"));
    script.run(0, "sleep", 1, 1, 1);
    let selection = Selection {
        mode: Mode::Gil,
        ..Selection::default()
    };
    let (profile, left) = filter(&script.events, selection);
    let expected = "no sample is left by the mode filter (gil)";
    assert_eq!(left.expect_err(expected).to_string(), expected);
    assert_eq!(profile.totals().samples, 1);
}

#[test]
fn without_any_sample_no_filter_is_to_blame() {
    let selection = Selection {
        function: regex("x"),
        ..Selection::default()
    };
    let (profile, left) = filter(&[Event::End(Nanos(5))], selection);
    assert_eq!((left, profile.duration()), (Ok(()), Nanos(5)));
}

#[test]
fn damaged_events_are_counted_by_the_profile() {
    let mut events = recording();
    let sample = |thread, stack| {
        Event::Sample(Sample {
            at: Nanos(1),
            thread: ThreadId(thread),
            stack,
            ticks: 1,
            wall: Nanos(1),
            cpu: Nanos(0),
            gil: Nanos(0),
            ..Sample::default()
        })
    };
    let Event::Thread(_, thread) = &events[1] else {
        panic!("a thread");
    };
    let elsewhere = Thread {
        process: ProcessId(9),
        ..thread.clone()
    };
    let damage = [
        sample(9, None),
        sample(0, Some(StackId(99))),
        Event::Thread(ThreadId(9), thread.clone()),
        Event::Thread(ThreadId(0), elsewhere),
        Event::Frame(FrameId(99), frame_of("x")),
        Event::Stack {
            id: StackId(0),
            parent: None,
            frame: FrameId(0),
        },
        Event::Stack {
            id: StackId(99),
            parent: Some(StackId(98)),
            frame: FrameId(0),
        },
        Event::Process(
            ProcessId(7),
            Process {
                pid: 1,
                command: Vec::new(),
                python: String::new(),
                ..Process::default()
            },
        ),
    ];
    let count = damage.len() as u64;
    events.extend(damage);
    let (profile, _) = filter(&events, Selection::default());
    assert_eq!(profile.rejected(), count);
    assert_eq!(show(&profile), WHOLE);
}

fn runs() -> impl Strategy<Value = Vec<(u32, String, u64, u64, u32)>> {
    let word = prop::sample::select(vec!["a", "b:2", "b:3", "c", "std.x", "imp.y", "np.z"]);
    let stack = prop::collection::vec(word, 0..6).prop_map(|words| words.join(" "));
    prop::collection::vec((0_u32..2, stack, 0_u64..1000, 0_u64..500, 1_u32..50), 0..30)
}

fn events_of(runs: &[(u32, String, u64, u64, u32)]) -> Vec<Event> {
    let mut script = Script::default();
    script.process(0, 100, "python");
    script.thread(0, 0, Some("m"));
    script.thread(1, 0, Some("w"));
    for (thread, stack, end, wall, ticks) in runs {
        script.run(*thread, stack, *end, *wall, *ticks);
    }
    script.events
}

fn times(totals: Totals) -> (u64, u64, u64) {
    (totals.wall.0, totals.cpu.0, totals.gil.0)
}

proptest! {
    #[test]
    fn adjacent_windows_add_up_exactly(runs in runs(), first in 0_u64..1000, second in 0_u64..1000) {
        let events = events_of(&runs);
        let (first, second) = (first.min(second), first.max(second));
        let limits = [(None, Some(first)), (Some(first), Some(second)), (Some(second), None)];
        let parts = limits.map(|(from, to)| {
            let selection = Selection { from: from.map(Nanos), to: to.map(Nanos), ..Selection::default() };
            filter(&events, selection).0.totals()
        });
        let (whole, _) = filter(&events, Selection::default());
        prop_assert_eq!(times(parts.into_iter().sum()), times(whole.totals()));
    }

    #[test]
    fn a_selection_agrees_with_a_look_at_every_stack(runs in runs()) {
        let events = events_of(&runs);
        let whole = filter(&events, Selection::default()).0;
        let selection = Selection { function: regex("^b$"), hidden: vec![Hidden::StandardLibrary], ..Selection::default() };
        let (left, _) = filter(&events, selection);
        let mut expected: HashMap<Vec<String>, u64> = HashMap::new();
        for row in whole.rows() {
            let frames: Vec<&Frame> = whole.frames_of(row.stack).collect();
            if frames.iter().any(|frame| frame.name == "b") {
                let shown = frames.iter().filter(|frame| !frame.name.starts_with("std.") && !frame.name.starts_with("imp."));
                let shown = shown.map(|frame| format!("{}:{:?}", frame.name, frame.line)).collect();
                *expected.entry(shown).or_default() += row.totals.wall.0;
            }
        }
        let mut found: HashMap<Vec<String>, u64> = HashMap::new();
        for row in left.rows() {
            let shown = left.frames_of(row.stack).map(|frame| format!("{}:{:?}", frame.name, frame.line)).collect();
            *found.entry(shown).or_default() += row.totals.wall.0;
        }
        prop_assert_eq!(left.rejected(), 0);
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn steps_are_chosen_by_their_numbers() {
    let mut script = Script::default();
    for (id, launch) in (0..).zip(["step 42.0", "step 42.1", "mpirun-7"]) {
        (script.rank, script.launch) = (Some(0), Some(launch.to_owned()));
        script.process(id, 100, "python");
        script.thread(id, id, None);
        script.run(id, "main", 10, 10, 1);
    }
    let launches = |words: &[&str]| {
        let steps = words
            .iter()
            .map(|word| StepName::new(word).expect("a name"));
        let steps = steps.collect();
        let selection = Selection {
            steps,
            ..Selection::default()
        };
        let (profile, left) = filter(&script.events, selection);
        let launches = profile
            .processes()
            .iter()
            .map(|process| process.launch.clone());
        left.map(|()| launches.flatten().collect::<Vec<_>>().join(", "))
    };
    assert_eq!(launches(&["1"]).as_deref(), Ok("step 42.1"));
    assert_eq!(
        launches(&["42.0", "mpirun-*"]).as_deref(),
        Ok("step 42.0, mpirun-7")
    );
    let error = launches(&["3"]).expect_err("no such step").to_string();
    assert!(
        error.contains("by the step filter (3)") && error.contains("step 42.1"),
        "{error}"
    );
}
