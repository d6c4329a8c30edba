//! What `rsamp top` shows of a made-up program, at several sizes of the terminal, and what its keys change.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use rsamp::profile::{
    Attribute, Attributes, AttributesId, Event, Frame, FrameId, FrameKind, Mode, Nanos, Process,
    ProcessId, Profile, Sample, Snapshots, Span, StackId, State, Thread, ThreadId, Usage,
};
use rsamp::tui::{Answer, Key, Page, Palette, ScreenState, batch_text, draw};

use crate::support::fake_host::FakeHost;

const SECOND: u64 = 1_000_000_000;

/// Name, file, first line and line of each frame; each stack is called by the one before, but for the first and the
/// last, which are threads' own.
const FRAMES: [(&str, &str, u32, u32); 6] = [
    ("<module>", "/home/ada/scatter.py", 1, 90),
    ("Field.sum", "/home/ada/scatter.py", 12, 17),
    ("greens", "/home/ada/scatter.py", 30, 34),
    (
        "norm",
        "/opt/py/lib/python3.11/site-packages/numpy/linalg.py",
        2300,
        2345,
    ),
    ("solve\u{1b}[31m 模型", "/home/ada/模型.py", 5, 8),
    ("wait", "/opt/py/lib/python3.11/threading.py", 300, 320),
];

/// Twelve seconds of two threads that work and one that waits.
fn program() -> Profile {
    let mut profile = Profile::with_last_minute();
    let process = Process {
        pid: 4242,
        working_folder: Some("/home/ada".to_owned()),
        cpu_mask: vec![0b11],
        memory_limit: Some(2_000_000_000),
        ..Process::default()
    };
    profile.apply(Event::Process(ProcessId(0), process));
    for (id, name) in [(0, "MainThread"), (1, "solver"), (2, "waiter")] {
        let thread = Thread {
            process: ProcessId(0),
            tid: Some(4242 + id as i32),
            name: Some(name.to_owned()),
            is_main: id == 0,
        };
        profile.apply(Event::Thread(ThreadId(id), thread));
    }
    for (id, (name, file, first_line, line)) in (0..).zip(FRAMES) {
        let frame = Frame {
            kind: FrameKind::Python,
            name: name.to_owned(),
            file: Some(file.to_owned()),
            first_line: Some(first_line),
            line: Some(line),
        };
        profile.apply(Event::Frame(FrameId(id), frame));
        profile.apply(Event::Stack {
            id: StackId(id),
            parent: (1..5).contains(&id).then(|| StackId(id - 1)),
            frame: FrameId(id),
        });
    }
    for (id, (name, number)) in (0..).zip([("reader \u{1b}[31m☎", "7"), ("main", "0")]) {
        let set = [
            (Attribute::Task, name.to_owned()),
            (Attribute::TaskId, number.to_owned()),
            (Attribute::TaskCoroutine, "serve".to_owned()),
        ];
        let id = AttributesId::new(id);
        profile.apply(Event::Attributes(id, Attributes(set.into())));
    }
    for second in 0..12 {
        second_of(&mut profile, second);
    }
    profile
}

fn second_of(profile: &mut Profile, second: u64) {
    // Thread, stack, state, milliseconds, CPU.
    let warm = if second < 6 { 100 } else { 500 };
    let runs = [
        (0, 1, State::Python, warm, true),
        (0, 2, State::Python, 900 - warm, true),
        (0, 3, State::Native, 100, true),
        (1, 4, State::Gil, 950, false),
        (1, 4, State::Python, 50, true),
        (2, 5, State::Lock, 1000, false),
    ];
    let mut ends = [second * SECOND; 3];
    for (thread, stack, state, ms, is_on_cpu) in runs {
        let wall = ms * 1_000_000;
        ends[thread as usize] += wall;
        profile.apply(Event::Sample(Sample {
            at: Nanos(ends[thread as usize]),
            thread: ThreadId(thread),
            stack: Some(StackId(stack)),
            ticks: ms as u32,
            wall: Nanos(wall),
            cpu: Nanos(if is_on_cpu { wall } else { 0 }),
            gil: Nanos(if state == State::Python { wall } else { 0 }),
            state,
            // Two functions of the main thread are tasks.
            attributes: stack
                .checked_sub(1)
                .filter(|task| *task < 2)
                .map(AttributesId::new),
            ..Sample::default()
        }));
    }
    profile.apply(Event::Usage(Usage {
        process: ProcessId(0),
        at: Nanos(second * SECOND + SECOND / 2),
        resident: Some(500_000_000 + second * 10_000_000),
        read_calls_bytes: Some(second * 3_000_000),
        write_calls_bytes: Some(0),
        ..Usage::default()
    }));
}

fn state() -> ScreenState {
    ScreenState::new(Span::Seconds(10), Mode::Wall, false)
}

/// The screen after these keys. Keys are typed one after the other, with what is shown renewed between them.
#[track_caller]
fn screen(width: u16, height: u16, keys: &[Key], host: &mut FakeHost) -> String {
    let snapshot = Snapshots::default().take(&mut program(), Span::Seconds(10));
    let mut state = state();
    let mut answer = Answer::of(&snapshot, &state, &[], host);
    for key in keys {
        state.key(*key, &answer.keys());
        answer = Answer::of(&snapshot, &state, &answer.keys(), host);
        state.settle(&answer.keys());
    }
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
    let page = Page {
        answer: &answer,
        state: &state,
        palette: Palette { is_coloured: true },
        has_keys: true,
    };
    let drawn = terminal.draw(|frame| {
        let area = frame.area();
        draw(&page, host, area, frame.buffer_mut());
    });
    drawn.expect("drawn");
    terminal.backend().to_string()
}

fn typed(keys: &str) -> Vec<Key> {
    keys.chars().map(Key::Char).collect()
}

#[test]
fn functions_at_the_smallest_usual_size() {
    insta::assert_snapshot!(screen(80, 24, &[Key::Down], &mut FakeHost::default()));
}

#[test]
fn functions_on_a_large_terminal_of_a_program_that_ended() {
    let mut host = FakeHost {
        ended: Some("the program ended".to_owned()),
        ..FakeHost::default()
    };
    insta::assert_snapshot!(screen(120, 40, &[], &mut host));
}

#[test]
fn a_terminal_that_is_too_small_is_told_so() {
    insta::assert_snapshot!(screen(59, 11, &[], &mut FakeHost::default()));
}

#[test]
fn other_screens() {
    for (name, keys) in [
        ("lines", "2"),
        ("flames", "3"),
        ("threads", "4i"),
        ("tasks", "5"),
        ("findings", "6"),
        ("help", "?"),
    ] {
        let screen = screen(80, 24, &typed(keys), &mut FakeHost::default());
        insta::assert_snapshot!(name, screen);
    }
}

/// The first words of the rows of the table.
fn names(keys: &[Key]) -> Vec<String> {
    // Too low for what is below the table.
    let screen = screen(80, 17, keys, &mut FakeHost::default());
    let rows = screen.lines().skip(6).map(|line| line.trim_matches('"'));
    let rows = rows.filter_map(|row| row.split('(').next()?.split_whitespace().last());
    let rows = rows.take_while(|name| !name.contains('─') && *name != "quit");
    rows.map(str::to_owned).collect()
}

#[test]
fn keys_choose_what_the_table_shows() {
    let check = |keys: &str, expected: &[&str]| {
        assert_eq!(names(&typed(keys)), expected, "{keys}");
    };
    check("", &["模型", "greens", "Field.sum", "norm"]);
    check("i", &["模型", "greens", "Field.sum", "wait", "norm"]);
    check("m", &["greens", "Field.sum", "模型", "norm"]);
    check("s", &["模型", "greens", "Field.sum", "norm"]);
    check("mm", &["greens", "Field.sum", "模型"]);
}

#[test]
fn filters_choose_rows_and_samples() {
    let filtered = |filter: &str| {
        let mut keys = typed(&format!("/{filter}"));
        keys.push(Key::Enter);
        names(&keys)
    };
    assert_eq!(filtered("field"), ["Field.sum"]);
    assert_eq!(filtered("t:solver"), ["模型"]);
    assert_eq!(filtered("state:native"), ["norm"]);
    assert_eq!(filtered("p:4242 green"), ["greens"]);
    assert!(filtered("r:0").is_empty(), "it has no rank");
}

#[test]
fn batch_prints_every_row_without_anything_a_terminal_obeys() {
    let snapshot = Snapshots::default().take(&mut program(), Span::Seconds(10));
    let text = batch_text(&snapshot, &state(), &mut FakeHost::default());
    assert!(!text.contains('\u{1b}'), "{text}");
    insta::assert_snapshot!(text);
}
