//! What a browser and Node make of the page.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use glob::Pattern;
use rsamp::export::{Format, Meta, ReportInput, write};
use rsamp::profile::{
    Attribute, Attributes, AttributesId, Event, Filter, FrameId, Mode, NameFilter, Nanos, Process,
    ProcessId, Profile, Sample, Selection, StackId, State, Thread, ThreadId,
};
use serde_json::{Value, json};

use super::hostile::hostile;
use super::{frame, prepared, profile, stdout};

/// So many recordings are made up, and of each so many parts are chosen.
const RECORDINGS: u64 = 12;
const SELECTIONS: u64 = 12;

/// So many stacks has each recording.
const STACKS: u64 = 60;

/// Numbers that are the same in every run (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    /// Most often none, else some of it.
    fn rarely(&mut self, limit: u64) -> u64 {
        match self.below(4) {
            0 => self.below(limit.max(1)),
            _ => 0,
        }
    }
}

const LIBRARY: &str = "/usr/lib/python3.11";

/// Frames of waits of all kinds, and of what is none.
const FRAMES: [(&str, &str); 8] = [
    ("work", "/home/ada/run.py"),
    ("wait", "threading.py"),
    ("worker", "multiprocessing/pool.py"),
    ("get", "multiprocessing/queues.py"),
    ("_run_once", "asyncio/base_events.py"),
    ("select", "selectors.py"),
    ("run_forever", "asyncio/base_events.py"),
    ("accept", "socket.py"),
];

/// What is known of some samples: two sets are of one task.
const ATTRIBUTES: [&[(Attribute, &str)]; 4] = [
    &[(Attribute::Task, "reader")],
    &[
        (Attribute::Task, "reader"),
        (Attribute::NativeClass, "BLAS"),
    ],
    &[(Attribute::Task, "writer")],
    &[(Attribute::NativeClass, "BLAS")],
];

/// Of those, the tasks in the order in which they first appear.
const TASKS: [&str; 2] = ["reader", "writer"];

/// The events of a made-up recording of two processes with three threads each.
fn recording(random: &mut Random) -> Vec<Event> {
    let mut events = Vec::new();
    for id in 0..2 {
        let process = Process {
            pid: 100 + id as i32,
            command: vec!["python".to_owned()],
            ..Process::default()
        };
        events.push(Event::Process(ProcessId(id), process));
    }
    for id in 0..6_u32 {
        let thread = Thread {
            process: ProcessId(id % 2),
            tid: Some(1000 + id as i32),
            name: None,
            is_main: id < 2,
        };
        events.push(Event::Thread(ThreadId(id), thread));
    }
    for (id, (name, file)) in (0..).zip(FRAMES) {
        let file = match file.starts_with('/') {
            true => file.to_owned(),
            false => format!("{LIBRARY}/{file}"),
        };
        let mut frame = frame(name, Some(&file), id);
        frame.line = Some(id + random.below(2) as u32);
        events.push(Event::Frame(FrameId(id), frame));
    }
    for (id, set) in (0..).zip(ATTRIBUTES) {
        let set = set
            .iter()
            .map(|(attribute, value)| (*attribute, (*value).to_owned()));
        let set = Attributes(set.collect());
        events.push(Event::Attributes(AttributesId::new(id), set));
    }
    let mut stacks = BTreeSet::new();
    while stacks.len() < STACKS as usize {
        let id = stacks.len() as u64;
        let parent = random
            .below(id + 1)
            .checked_sub(1)
            .map(|id| StackId(id as u32));
        let frame = FrameId(random.below(FRAMES.len() as u64) as u32);
        // As in a recording, no two are the same.
        if stacks.insert((parent.map(|parent| parent.0), frame.0)) {
            let id = StackId(id as u32);
            events.push(Event::Stack { id, parent, frame });
        }
    }
    // The main thread of the first process serves in most recordings.
    let serves = random.below(3) > 0;
    // Waits without CPU time, and no help of native threads: as most threads are.
    let is_plain = random.below(2) > 0;
    let mut now = [0_u64; 6];
    for _ in 0..600 {
        let thread = random.below(6) as usize;
        let mut sample = sample(random, thread, &mut now[thread], serves && thread == 0);
        if is_plain {
            sample.helpers_cpu = Nanos(0);
            if sample.state.is_idle_wait() {
                (sample.cpu, sample.gil) = (Nanos(0), Nanos(0));
            }
        }
        events.push(Event::Sample(sample));
    }
    events.push(Event::End(Nanos(*now.iter().max().expect("threads") + 5)));
    events
}

fn sample(random: &mut Random, thread: usize, now: &mut u64, serves: bool) -> Sample {
    let wall = random.below(3_000_000_000) * random.below(4);
    *now += wall + random.rarely(1_000_000_000);
    let part = |random: &mut Random| match random.below(3) {
        0 => 0,
        1 => wall,
        _ => random.below(wall.max(1)),
    };
    Sample {
        at: Nanos(*now),
        thread: ThreadId(thread as u32),
        stack: Some(StackId(random.below(STACKS) as u32)).filter(|_| random.below(9) > 0),
        ticks: 1 + random.below(300) as u32,
        wall: Nanos(wall),
        cpu: Nanos(if serves { 0 } else { part(random) }),
        gil: Nanos(part(random)),
        state: match serves {
            true => State::Lock,
            false => State::ALL[random.below(State::ALL.len() as u64) as usize],
        },
        helpers_cpu: Nanos(random.rarely(wall)),
        blocked_others: Nanos(random.rarely(wall)),
        grown_bytes: random.rarely(1 << 40),
        shrunk_bytes: random.rarely(1 << 40),
        unsure_bytes: random.rarely(1 << 20),
        attributes: match random.below(3) {
            0 => Some(AttributesId::new(
                random.below(ATTRIBUTES.len() as u64) as u32
            )),
            _ => None,
        },
    }
}

/// A part of a recording: as rsamp's filter has it, and as the page has it.
fn selection(random: &mut Random, duration: u64) -> (Selection, Value) {
    let mut moments = [random.below(duration), random.below(duration + 9)];
    moments.sort_unstable();
    let [from, to] = moments.map(|at| Some(at).filter(|_| random.below(3) > 0));
    let thread = (random.below(4) == 0).then(|| random.below(6));
    let process = (random.below(4) == 0).then(|| random.below(2));
    let states: Vec<State> = match random.below(4) {
        0 => State::ALL
            .into_iter()
            .filter(|_| random.below(2) == 0)
            .collect(),
        _ => Vec::new(),
    };
    let task = (random.below(4) == 0).then(|| random.below(TASKS.len() as u64));
    let mode = [Mode::Wall, Mode::Wall, Mode::Cpu, Mode::Gil][random.below(4) as usize];
    let shows_idle_waits = random.below(4) == 0;
    let name = |number: u64| NameFilter::new(&number.to_string()).expect("a number");
    let numbers: Vec<usize> = states.iter().map(|state| *state as usize).collect();
    let as_the_page_has_it = json!({
        "from": from.unwrap_or(0),
        "to": to.unwrap_or(u64::from(u32::MAX) * 1_000_000),
        "threads": thread.map(|thread| vec![thread]),
        "processes": process.map(|process| vec![process]),
        "mode": mode.to_string(),
        "idle": shows_idle_waits,
        "tasks": task.map(|task| vec![task]),
        "states": Some(numbers).filter(|numbers| !numbers.is_empty()),
    });
    let selection = Selection {
        mode,
        shows_idle_waits,
        threads: thread.map(|id| name(1000 + id)).into_iter().collect(),
        processes: process.map(|id| name(100 + id)).into_iter().collect(),
        tasks: task
            .map(|task| Pattern::new(TASKS[task as usize]).expect("a name"))
            .into_iter()
            .collect(),
        states,
        from: from.map(Nanos),
        to: to.map(Nanos),
        ..Selection::default()
    };
    (selection, as_the_page_has_it)
}

/// The profile of what a selection leaves, as `rsamp report` makes it.
fn report(events: &[Event], selection: &Selection) -> Profile {
    let mut profile = Profile::default();
    let mut filter = Filter::new(selection.clone());
    for event in events {
        filter.apply(event.clone(), &mut |event| profile.apply(event));
    }
    if selection.leaves_out_idle_waits() {
        profile.leave_out_idle_waits();
    }
    profile
}

fn save(format: Format, profile: &Profile, mode: Mode, path: &Path) {
    let meta = Meta {
        mode,
        ..Meta::default()
    };
    let mut bytes = Vec::new();
    write(format, &ReportInput::new(profile, &meta), &mut bytes).expect("written");
    fs::write(path, bytes).expect("saved");
}

/// Runs a test of the page's own (`page/tests`) on the files in a folder.
pub(super) fn run(test: &str, folder: &Path) -> String {
    let page = prepared("RSAMP_PAGE");
    let mut command = Command::new("node");
    command
        .arg(page.join("tests/run.mjs"))
        .arg(test)
        .arg(folder);
    stdout(&mut command)
}

#[test]
fn sums_on_the_page_are_those_of_the_report() {
    needs!(RSAMP_PAGE, node);
    let folder = tempfile::tempdir().expect("a folder");
    let mut cases = Vec::new();
    for number in 0..RECORDINGS {
        let mut random = Random(0x9e37_79b9 + number);
        let events = recording(&mut random);
        let mut whole = Profile::with_timeline();
        events.iter().for_each(|event| whole.apply(event.clone()));
        assert_eq!(whole.rejected(), 0);
        let html = format!("{number}.html");
        save(Format::Html, &whole, Mode::Wall, &folder.path().join(&html));
        for part in 0..SELECTIONS {
            let (selection, shown) = selection(&mut random, whole.duration().0);
            let json = format!("{number}-{part}.json");
            let profile = report(&events, &selection);
            save(
                Format::Json,
                &profile,
                selection.mode,
                &folder.path().join(&json),
            );
            cases.push(json!({ "html": html, "json": json, "selection": shown }));
        }
    }
    let cases = Value::from(cases).to_string();
    fs::write(folder.path().join("cases.json"), cases).expect("saved");
    let told = run("figures", folder.path());
    assert!(
        told.contains(&format!("{} selections", RECORDINGS * SELECTIONS)),
        "{told}"
    );
}

#[test]
fn hostile_names_are_text_and_nothing_leaves_the_page() {
    needs!(RSAMP_PAGE, node, chromium);
    let folder = tempfile::tempdir().expect("a folder");
    save(
        Format::Html,
        &hostile(),
        Mode::Wall,
        &folder.path().join("hostile.html"),
    );
    run("hostile", folder.path());
}

#[test]
fn a_page_that_was_cut_off_says_so() {
    needs!(RSAMP_PAGE, node, chromium);
    let folder = tempfile::tempdir().expect("a folder");
    let whole = folder.path().join("whole.html");
    save(Format::Html, &profile(), Mode::Wall, &whole);
    let bytes = fs::read(&whole).expect("saved");
    // In the script, in the data, and behind the last of them.
    let data = bytes
        .windows(9)
        .rposition(|part| part == b"id=\"core\"")
        .expect("data");
    let end = bytes
        .windows(8)
        .rposition(|part| part == b"id=\"end\"")
        .expect("an end");
    for (name, length) in [("data", data + 40), ("end", end)] {
        let path = folder.path().join(format!("cut-{name}.html"));
        fs::write(path, &bytes[..length]).expect("saved");
    }
    run("cut", folder.path());
}
