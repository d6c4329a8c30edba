//! What a browser shows in the views of the page: of a made-up recording with all that they have room for.

use std::fs;
use std::path::Path;

use rsamp::export::{
    BothMetas, DiffFormat, DiffNames, Format, Meta, ReportInput, SourceText, write, write_diff,
};
use rsamp::profile::{
    Attribute, Attributes, AttributesId, Diff, DiffScale, Event, FrameId, Loss, LostCause, Mode,
    Nanos, Process, ProcessId, Profile, Sample, SampledProfile, StackId, State, Thread, ThreadId,
    Usage,
};
use rsamp::recording::Merger;

use super::frame;
use super::html::run;

const FILE: &str = "/home/ada/run.py";

/// The functions: a caller before what it calls.
const FUNCTIONS: [(&str, &str, u32); 6] = [
    ("main", FILE, 1),
    ("solve", FILE, 10),
    ("kernel", FILE, 20),
    ("read", FILE, 30),
    ("down", FILE, 40),
    ("wait", "/usr/lib/python3.11/threading.py", 300),
];

/// What calls what: the parent's stack and the function.
const STACKS: [(Option<u32>, u32); 5] = [
    (None, 0),
    (Some(0), 1),
    (Some(1), 2),
    (Some(0), 3),
    (None, 5),
];

/// A function that calls itself so often stands behind those stacks.
const DEPTH: u32 = 2000;

/// Ticks of 100 ms.
const TICKS: u64 = 100;

const MS: u64 = 1_000_000;

/// Two ranks with a main thread and a worker each, for 10 s: the second rank works longer, memory grows.
fn job() -> Profile {
    let mut profile = Profile::with_timeline();
    for rank in 0..2_u32 {
        let process = Process {
            pid: 100 + rank as i32,
            command: vec!["python".to_owned(), "run.py".to_owned()],
            python: "3.11.7".to_owned(),
            rank: Some(rank),
            usable_cpus: Some(4),
            memory_limit: Some(200 * MS),
            ..Process::default()
        };
        profile.apply(Event::Process(ProcessId(rank), process));
        for (id, name) in [(2 * rank, "MainThread"), (2 * rank + 1, "worker")] {
            let thread = Thread {
                process: ProcessId(rank),
                tid: Some(100 + id as i32),
                name: Some(name.to_owned()),
                is_main: id % 2 == 0,
            };
            profile.apply(Event::Thread(ThreadId(id), thread));
        }
    }
    stacks(&mut profile);
    for (id, name) in (0..).zip(["reader", "solver"]) {
        let mut set = Attributes([(Attribute::Task, name.to_owned())].into());
        if name == "solver" {
            set.0.insert(Attribute::NativeClass, "BLAS".to_owned());
        }
        profile.apply(Event::Attributes(AttributesId::new(id), set));
    }
    for tick in 1..=TICKS {
        for rank in 0..2 {
            samples(&mut profile, tick, rank);
        }
    }
    profile.apply(Event::Lost(Loss {
        at: Nanos(3000 * MS),
        cause: LostCause::Late,
        count: 2,
    }));
    profile.apply(Event::End(Nanos(TICKS * 100 * MS)));
    assert_eq!(profile.rejected(), 0);
    profile
}

fn stacks(profile: &mut Profile) {
    for (id, (name, file, line)) in (0..).zip(FUNCTIONS) {
        profile.apply(Event::Frame(FrameId(id), frame(name, Some(file), line)));
    }
    let deep = (0..DEPTH).map(|depth| (depth.checked_sub(1).map(|above| above + 5), 4));
    for (id, (parent, frame)) in (0..).zip(STACKS.into_iter().chain(deep)) {
        profile.apply(Event::Stack {
            id: StackId(id),
            parent: parent.map(StackId),
            frame: FrameId(frame),
        });
    }
}

/// What both threads of a rank do in one tick, and the memory at its end.
fn samples(profile: &mut Profile, tick: u64, rank: u32) {
    let works = !tick.is_multiple_of(4) || rank == 1;
    let (stack, state) = match (tick, works) {
        (..=10, _) => (3, State::Disk),
        (_, true) => (2, State::Python),
        (_, false) => (1, State::Gil),
    };
    let runs = Nanos(if state == State::Python { 100 * MS } else { 0 });
    let main = Sample {
        at: Nanos(tick * 100 * MS),
        thread: ThreadId(2 * rank),
        stack: Some(StackId(stack)),
        ticks: 1,
        wall: Nanos(100 * MS),
        cpu: runs,
        gil: runs,
        state,
        grown_bytes: if stack == 2 { MS } else { 0 },
        attributes: match stack {
            2 => Some(AttributesId::new(1)),
            3 => Some(AttributesId::new(0)),
            _ => None,
        },
        ..Sample::default()
    };
    let stack = if tick == 50 { 4 + DEPTH } else { 4 };
    let worker = Sample {
        thread: ThreadId(2 * rank + 1),
        stack: Some(StackId(stack)),
        cpu: Nanos(0),
        gil: Nanos(0),
        grown_bytes: 0,
        attributes: None,
        state: if stack == 4 {
            State::Lock
        } else {
            State::Native
        },
        ..main
    };
    profile.apply(Event::Sample(main));
    profile.apply(Event::Sample(worker));
    profile.apply(Event::Usage(Usage {
        process: ProcessId(rank),
        at: main.at,
        resident: Some((20 + tick) * MS),
        cpu: Some(Nanos(tick * 90 * MS)),
        read_calls_bytes: Some(tick.min(10) * MS),
        write_calls_bytes: Some(0),
        ..Usage::default()
    }));
}

/// The text of the file: each function with a line that is executed and some that are not.
fn sources() -> SourceText {
    let mut sources = SourceText::default();
    for (name, file, line) in FUNCTIONS {
        let rest: String = (2..9).map(|n| format!("    # {n} of {name}\n")).collect();
        let text = format!("def {name}(total):\n    total = total + 1\n{rest}");
        sources.add(file, line, &text);
    }
    sources.note(FILE, "run.py has changed since");
    sources
}

/// Writes the page of the job.
fn write_job(folder: &Path) {
    let meta = Meta {
        title: "run.py".to_owned(),
        command: "python run.py".to_owned(),
        ..Meta::default()
    };
    let (profile, sources) = (job(), sources());
    let input = ReportInput {
        sources: Some(&sources),
        ..ReportInput::new(&profile, &meta)
    };
    let mut page = Vec::new();
    write(Format::Html, &input, &mut page).expect("written");
    fs::write(folder.join("views.html"), page).expect("saved");
}

#[test]
fn every_view_of_the_page_shows_its_part_and_follows_the_selection() {
    needs!(RSAMP_PAGE, node, chromium);
    let folder = tempfile::tempdir().expect("a folder");
    write_job(folder.path());
    run("views", folder.path());
}

#[test]
fn the_page_works_in_a_frame_of_a_notebook() {
    needs!(RSAMP_PAGE, node, chromium);
    let folder = tempfile::tempdir().expect("a folder");
    write_job(folder.path());
    run("frame", folder.path());
}

/// A recording of one thread that computes and then reads, for so many ticks each: `folder` has the file, in which the
/// functions begin so many lines further down.
fn simple(profile: &mut dyn FnMut(Event), folder: &str, down: u32, ticks: [u64; 2]) {
    profile(Event::Process(
        ProcessId(0),
        Process {
            pid: 100,
            ..Process::default()
        },
    ));
    let thread = Thread {
        process: ProcessId(0),
        tid: Some(100),
        name: None,
        is_main: true,
    };
    profile(Event::Thread(ThreadId(0), thread));
    let file = format!("{folder}/run.py");
    for (id, name) in (0..).zip(["main", "kernel", "read"]) {
        let line = 10 * id + if id > 0 { down } else { 0 };
        profile(Event::Frame(FrameId(id), frame(name, Some(&file), line)));
        profile(Event::Stack {
            id: StackId(id),
            parent: (id > 0).then_some(StackId(0)),
            frame: FrameId(id),
        });
    }
    for tick in 1..=ticks.iter().sum::<u64>() {
        profile(Event::Sample(Sample {
            at: Nanos(tick * 100 * MS),
            thread: ThreadId(0),
            stack: Some(StackId(if tick <= ticks[0] { 1 } else { 2 })),
            ticks: 1,
            wall: Nanos(100 * MS),
            cpu: Nanos(100 * MS),
            state: State::Python,
            ..Sample::default()
        }));
    }
    profile(Event::Lost(Loss {
        at: Nanos(500 * MS),
        cause: LostCause::Unreadable,
        count: 3 + u64::from(down == 0),
    }));
    profile(Event::End(Nanos(ticks.iter().sum::<u64>() * 100 * MS)));
}

#[test]
fn a_page_of_two_recordings_shows_the_second_and_what_differs_from_the_first() {
    needs!(RSAMP_PAGE, node, chromium);
    let folder = tempfile::tempdir().expect("a folder");
    let (mut base, mut new) = (
        SampledProfile::new(Mode::Wall),
        SampledProfile::new(Mode::Wall),
    );
    let (mut merger, mut merged) = (Merger::default(), Profile::with_timeline());
    for (side, place, down, ticks) in [
        (&mut base, "/home/ada/v1", 0, [80, 20]),
        (&mut new, "/home/ada/v2", 7, [20, 20]),
    ] {
        merger.begin();
        let is_base = down == 0;
        let mut both = |event: Event| {
            // As the command does.
            if !(is_base && matches!(event, Event::Lost(_))) {
                merger.apply(event.clone(), &mut |event| merged.apply(event));
            }
            side.apply(event);
        };
        simple(&mut both, place, down, ticks);
    }
    merger.finish(&mut |event| merged.apply(event));
    let meta = Meta::default();
    let both = BothMetas {
        input: ReportInput::new(&merged, &meta),
        base_processes: 1,
        new: new.profile(),
    };
    let names = DiffNames {
        base: "before.rsamp".to_owned(),
        new: "after.rsamp".to_owned(),
    };
    let difference = Diff::of(&base, &new, DiffScale::Seconds);
    let mut page = Vec::new();
    write_diff(DiffFormat::Html, &difference, &names, &[], &both, &mut page).expect("written");
    fs::write(folder.path().join("pair.html"), page).expect("saved");
    run("pair", folder.path());
}
