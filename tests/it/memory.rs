//! Resident memory by line and over time, from readings and from what runs were booked.

use rsamp::export::{Format, Meta, ReportInput, SourceText, memory_tables, write};
use rsamp::profile::{
    Event, Function, FunctionKind, Heat, Memory, Nanos, Process, ProcessId, Profile, Sample, Usage,
    hottest_tables, line_tables,
};

use crate::profile::{Build, Call};

const FILE: &str = "/home/ada/run.py";
const MIB: u64 = 1 << 20;
const TEXT: &str = "\
def fill():
    x = bytearray(200_000_000)
    del x
    return 1
";

fn at(line: u32) -> Call<'static> {
    Call("fill", FILE, 1, line)
}

fn run(ms: u64, grown_mib: u64, shrunk_mib: u64) -> Sample {
    Sample {
        ticks: ms as u32,
        wall: Nanos(ms * 1_000_000),
        gil: Nanos(ms * 1_000_000),
        grown_bytes: grown_mib * MIB,
        shrunk_bytes: shrunk_mib * MIB,
        ..Sample::default()
    }
}

fn reading(build: &mut Build, process: u32, ms: u64, mib: u64) {
    build.profile.apply(Event::Usage(Usage {
        process: ProcessId(process),
        at: Nanos(ms * 1_000_000),
        resident: Some(mib * MIB),
        ..Usage::default()
    }));
}

/// 20 MiB at first; line 2 takes 200 MiB and line 3 gives them back, between two readings; line 4 is there
/// for two more readings.
fn profile() -> Profile {
    let process = Process {
        memory_limit: Some(1024 * MIB),
        ..Process::default()
    };
    let mut build = Build::of_process(Profile::with_timeline(), process);
    build.thread(Some("MainThread"));
    let main = Call("main", FILE, 30, 31);
    for (ms, mib) in [(0, 20), (100, 20), (200, 25), (300, 30)] {
        reading(&mut build, 0, ms, mib);
    }
    build.run(0, &[main], run(10, 0, 0));
    build.run(0, &[main, at(2)], run(30, 200, 0));
    build.run(0, &[main, at(3)], run(30, 0, 200));
    build.run(0, &[main, at(4)], run(230, 10, 0));
    build.profile
}

fn of_line(memory: &Memory<'_>, name: &str, first_line: u32, line: u32) -> Option<u64> {
    let function = Function {
        kind: FunctionKind::Python,
        file: Some(FILE),
        first_line: Some(first_line),
        name,
    };
    memory
        .of_line(&function, Some(line))
        .map(|bytes| bytes / MIB)
}

#[test]
fn a_line_has_the_highest_level_while_it_was_on_a_stack() {
    let profile = profile();
    let memory = Memory::of(&profile);
    assert_eq!(of_line(&memory, "fill", 1, 2), Some(220));
    assert_eq!(of_line(&memory, "fill", 1, 3), Some(20));
    assert_eq!(of_line(&memory, "fill", 1, 4), Some(30));
    assert_eq!(of_line(&memory, "main", 30, 31), Some(220));
    assert_eq!(of_line(&memory, "fill", 1, 9), None);
    let peaks = memory.peaks();
    assert_eq!(peaks.len(), 1);
    assert_eq!(
        (peaks[0].resident, peaks[0].at),
        (220 * MIB, Nanos(40_000_000))
    );
}

/// A line that takes long to take its memory: a reading in its midst does not hold all of it.
#[test]
fn a_reading_within_a_run_is_not_its_end() {
    let mut build = Build::into(Profile::with_timeline());
    build.thread(Some("MainThread"));
    for (ms, mib) in [(0, 20), (100, 130), (200, 222)] {
        reading(&mut build, 0, ms, mib);
    }
    build.run(0, &[at(1)], run(20, 0, 0));
    build.run(0, &[at(2)], run(130, 200, 0));
    build.run(0, &[at(3)], run(50, 2, 200));
    let memory = Memory::of(&build.profile);
    let of = |line| of_line(&memory, "fill", 1, line);
    // The last run ends at the reading, which is as good as any level within.
    assert_eq!((of(1), of(2), of(3)), (Some(20), Some(220), Some(222)));
}

#[test]
fn of_two_threads_the_one_with_the_gil_made_the_peak() {
    let mut build = Build::into(Profile::with_timeline());
    build.thread(Some("MainThread"));
    build.thread(Some("worker"));
    reading(&mut build, 0, 0, 10);
    reading(&mut build, 0, 50, 90);
    let idle = Sample {
        gil: Nanos(0),
        ..run(100, 0, 0)
    };
    build.run(0, &[at(2)], idle);
    build.run(1, &[at(3)], run(100, 80, 0));
    let memory = Memory::of(&build.profile);
    let stack = memory.peaks()[0].stack;
    let lines: Vec<_> = build
        .profile
        .frames_of(stack)
        .map(|frame| frame.line)
        .collect();
    assert_eq!(lines, [Some(3)]);
}

#[test]
fn nothing_is_known_without_readings() {
    let mut build = Build::into(Profile::with_timeline());
    build.thread(None);
    build.run(0, &[at(2)], run(100, 0, 0));
    let memory = Memory::of(&build.profile);
    assert_eq!(memory.peaks(), []);
    assert_eq!(of_line(&memory, "fill", 1, 2), None);
}

fn shown(profile: &Profile) -> String {
    let tables = line_tables(profile);
    let mut source = SourceText::default();
    source.add(FILE, 1, TEXT);
    let meta = Meta::default();
    let input = ReportInput {
        sources: Some(&source),
        ..ReportInput::new(profile, &meta)
    };
    memory_tables(&input, &hottest_tables(&tables, Heat::Memory))
}

#[test]
fn the_table_is_that_of_memory_profiler() {
    insta::assert_snapshot!(shown(&profile()));
}

#[test]
fn what_is_not_known_is_said() {
    let mut build = Build::into(Profile::with_timeline());
    build.thread(None);
    build.run(0, &[at(2)], run(100, 0, 0));
    build.profile.apply(Event::Usage(Usage::default()));
    let text = shown(&build.profile);
    assert!(
        text.contains("Increment, Decrement: not available: the kernel did not tell"),
        "{text}"
    );
    assert!(
        text.contains("     2          n/a          n/a          n/a"),
        "{text}"
    );
    assert!(!text.contains("Highest point"), "{text}");
}

#[test]
fn mprof_has_children_and_times_since_1970() {
    let mut build = Build::default();
    let child = Process::default();
    build.profile.apply(Event::Process(ProcessId(1), child));
    reading(&mut build, 0, 0, 20);
    reading(&mut build, 1, 50, 3);
    reading(&mut build, 0, 100, 25);
    build.profile.apply(Event::Usage(Usage::default()));
    let meta = Meta {
        command: "python a.py 'x\ny'".to_owned(),
        start_unix_ns: 1_700_000_000_123_456_789,
        ..Meta::default()
    };
    let mut out = Vec::new();
    write(
        Format::Mprof,
        &ReportInput::new(&build.profile, &meta),
        &mut out,
    )
    .expect("a Vec takes all");
    let expected = "CMDLINE python a.py 'x y'\n\
                    MEM 20.000000 1700000000.1234\n\
                    CHLD 0 3.000000 1700000000.1734\n\
                    MEM 25.000000 1700000000.2234\n";
    assert_eq!(String::from_utf8(out).expect("text"), expected);
}
