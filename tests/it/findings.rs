//! What stands out in a profile, and what does not.

use rsamp::export::finding_sentences;
use rsamp::profile::{
    Event, Nanos, Process, ProcessId, Profile, Sample, State, Thread, ThreadId, Usage, cores_busy,
    elapsed, usable_cores,
};

use crate::profile::{Build, Call};

const SOLVE: Call<'_> = Call("solve", "/home/ada/run.py", 10, 12);
const MAIN: Call<'_> = Call("main", "/home/ada/run.py", 30, 33);
const DOT: Call<'_> = Call(
    "dot",
    "/v/lib/python3.12/site-packages/numpy/linalg.py",
    70,
    71,
);
const IMPORT: Call<'_> = Call("_find_and_load", "<frozen importlib._bootstrap>", 1, 5);
const MODULE: Call<'_> = Call("<module>", "/home/ada/run.py", 1, 2);

const GB: u64 = 1_000_000_000;

/// A process of 16 cores with a limit of 16 GB.
fn process(threads: u32) -> Build {
    let process = Process {
        usable_cpus: Some(16),
        memory_limit: Some(16 * GB),
        ..Process::default()
    };
    let mut build = Build::of_process(Profile::default(), process);
    for _ in 0..threads {
        build.thread(Some("t"));
    }
    build
}

/// So many samples of a millisecond.
fn seconds(seconds: u64, state: State) -> Sample {
    Sample {
        ticks: seconds as u32 * 1000,
        wall: Nanos(seconds * GB),
        state,
        ..Sample::default()
    }
}

/// The same, with so many cores busy.
fn busy(s: u64, cores: u64, state: State) -> Sample {
    Sample {
        cpu: Nanos(s * GB),
        helpers_cpu: Nanos(s * GB * (cores - 1)),
        ..seconds(s, state)
    }
}

fn read(build: &mut Build, at: u64, usage: Usage) {
    build.profile.apply(Event::Usage(Usage {
        process: ProcessId(0),
        at: Nanos(at * 100_000_000),
        ..usage
    }));
}

/// Expects one finding with these parts, or none.
fn check(build: &Build, expected: &[&str]) {
    let found = finding_sentences(&build.profile);
    match expected {
        [] => assert_eq!(found, [] as [String; 0]),
        parts => {
            assert_eq!(found.len(), 1, "{found:#?}");
            for part in parts {
                assert!(found[0].contains(part), "no {part:?} in {found:?}");
            }
        }
    }
}

#[test]
fn one_core_of_sixteen() {
    let mut build = process(1);
    build.run(0, &[MAIN, SOLVE, DOT], busy(90, 1, State::Native));
    build.run(0, &[MAIN], busy(10, 1, State::Python));
    // Not the line of numpy, but the one that called it.
    check(
        &build,
        &["1.0 of 16 usable cores busy; 90 % of the CPU time is in solve (run.py:12)"],
    );
}

#[test]
fn many_cores_of_sixteen() {
    let mut build = process(1);
    build.run(0, &[MAIN, SOLVE, DOT], busy(100, 12, State::Native));
    check(&build, &[]);
    assert!((cores_busy(&build.profile) - 12.0).abs() < 1e-9);
}

#[test]
fn the_gil_is_the_bottleneck() {
    let mut build = process(4);
    let holding = Sample {
        blocked_others: Nanos(90 * GB),
        gil: Nanos(30 * GB),
        ..busy(30, 1, State::Python)
    };
    for thread in 0..4 {
        let own = if thread == 0 { SOLVE } else { MAIN };
        build.run(thread, &[own], holding);
        build.run(thread, &[MAIN], busy(70, 1, State::Gil));
    }
    check(
        &build,
        &[
            "the GIL is the bottleneck for 4 threads: 280 s of waiting, 70 % of the time",
            "; main (run.py:33) held it while others waited 270 s: use processes, each has a GIL of its own",
        ],
    );
}

#[test]
fn a_little_waiting_for_the_gil() {
    let mut build = process(4);
    for thread in 0..4 {
        build.run(thread, &[SOLVE], busy(95, 4, State::Native));
        build.run(thread, &[MAIN], busy(5, 1, State::Gil));
    }
    check(&build, &[]);
}

/// So many milliseconds, a sample each.
fn milliseconds(number: u64, state: State) -> Sample {
    Sample {
        ticks: number as u32,
        wall: Nanos(number * 1_000_000),
        state,
        ..Sample::default()
    }
}

#[test]
fn one_sample_of_waiting_for_the_gil_is_not_a_bottleneck() {
    let gil = |waits| {
        let mut build = process(2);
        build.run(0, &[SOLVE], milliseconds(100, State::Native));
        build.run(1, &[MAIN], milliseconds(waits, State::Gil));
        build.run(1, &[MAIN], milliseconds(1, State::Python));
        build
    };
    check(&gil(1), &[]);
    check(&gil(9), &[]);
    check(
        &gil(10),
        &["the GIL is the bottleneck for 1 thread: 0.01 s of"],
    );
    // Below a fiftieth of the run.
    let mut build = gil(10);
    build.run(0, &[SOLVE], milliseconds(401, State::Native));
    check(&build, &[]);
}

const PANDAS: Call<'_> = Call(
    "<module>",
    "/v/lib/python3.12/site-packages/pandas/__init__.py",
    1,
    20,
);
const NUMPY: Call<'_> = Call(
    "<module>",
    "/v/lib/python3.12/site-packages/numpy/__init__.py",
    1,
    9,
);
const NUMPY_LINE: Call<'_> = Call("<module>", "/home/ada/run.py", 1, 3);
const HELPERS: Call<'_> = Call("<module>", "/home/ada/helpers.py", 1, 7);

#[test]
fn imports_are_told_with_the_heaviest_module() {
    let mut build = process(1);
    let import = |ms| busy_for(ms, State::Python);
    // Found and read, before its body runs.
    build.run(0, &[MODULE, IMPORT], import(100));
    build.run(0, &[MODULE, IMPORT, PANDAS, IMPORT, NUMPY], import(2_800));
    build.run(0, &[NUMPY_LINE, IMPORT, NUMPY], import(1_200));
    build.run(0, &[MODULE, MAIN], import(1_900));
    check(
        &build,
        &[
            "importing takes 4.1 of 6.0 s: pandas 2.9 s (run.py:2), numpy 1.2 s (run.py:3); import later",
        ],
    );
}

#[test]
fn imports_of_one_frame_each_are_told_the_same() {
    const IMPORT_PANDAS: Call<'_> = Call("import pandas", PANDAS.1, 1, 20);
    const IMPORT_NUMPY: Call<'_> = Call("import numpy", NUMPY.1, 1, 9);
    const IMPORT_HELPERS: Call<'_> = Call("import helpers", HELPERS.1, 1, 7);
    let mut build = process(1);
    let import = |ms| busy_for(ms, State::Python);
    build.run(0, &[MODULE, IMPORT_PANDAS, IMPORT_NUMPY], import(2_900));
    build.run(0, &[MODULE, IMPORT_HELPERS, IMPORT_NUMPY], import(1_200));
    build.run(0, &[MODULE, IMPORT_HELPERS], import(1_900));
    check(
        &build,
        &[
            "importing takes 4.1 of 6.0 s: pandas 2.9 s (run.py:2), numpy 1.2 s (helpers.py:7); import later",
        ],
    );
}

/// The same, all of it on eight cores.
fn busy_for(ms: u64, state: State) -> Sample {
    Sample {
        cpu: Nanos(ms * 1_000_000),
        helpers_cpu: Nanos(ms * 7_000_000),
        ..milliseconds(ms, state)
    }
}

#[test]
fn modules_of_the_program_are_not_importing_while_they_compute() {
    let mut build = process(1);
    build.run(0, &[MODULE, IMPORT, HELPERS], busy_for(900, State::Python));
    build.run(
        0,
        &[MODULE, IMPORT, HELPERS, DOT],
        busy_for(900, State::Python),
    );
    check(&build, &[]);
    // What they import is.
    let imports = [MODULE, IMPORT, HELPERS, IMPORT, NUMPY];
    build.run(0, &imports, busy_for(200, State::Python));
    check(
        &build,
        &["importing takes 0.20 of 2.0 s: numpy 0.20 s (helpers.py:7)"],
    );
}

#[test]
fn imports_that_take_a_moment_are_not_told() {
    let imports = |ms| {
        let mut build = process(1);
        build.run(0, &[MODULE, IMPORT, PANDAS], busy_for(ms, State::Python));
        build.run(0, &[MODULE, MAIN], busy_for(1_000 - ms, State::Python));
        build
    };
    check(&imports(99), &[]);
    check(&imports(100), &["importing takes 0.10 of 1.0 s: pandas"]);
    // What Python imports when it starts, no program can import later.
    let mut build = process(1);
    build.run(0, &[IMPORT, PANDAS], busy_for(900, State::Python));
    build.run(0, &[MODULE, MAIN], busy_for(100, State::Python));
    check(&build, &[]);
    // Half of a short run.
    let mut build = process(1);
    build.run(0, &[MODULE, IMPORT, PANDAS], busy_for(49, State::Python));
    build.run(0, &[MODULE, MAIN], busy_for(49, State::Python));
    check(&build, &[]);
}

#[test]
fn no_other_finding_blames_an_import() {
    let mut build = process(1);
    build.run(0, &[MODULE, IMPORT, PANDAS], busy(9, 1, State::Native));
    build.run(0, &[MAIN, SOLVE], busy(91, 1, State::Native));
    check(
        &build,
        &["1.0 of 16 usable cores busy; 91 % of the CPU time is in solve (run.py:12)"],
    );
    let mut build = process(1);
    build.run(0, &[MODULE, IMPORT, PANDAS], busy(60, 1, State::Native));
    build.run(0, &[MAIN, SOLVE], busy(40, 1, State::Native));
    let found = finding_sentences(&build.profile);
    assert!(
        found[0].starts_with("importing takes 60 of 100 s"),
        "{found:#?}"
    );
    assert_eq!(found[1], "1.0 of 16 usable cores busy");
}

#[test]
fn compiling_while_the_program_runs_is_told_by_its_files() {
    const SITE: &str = "/v/lib/python3.12/site-packages/";
    const LIB: &str = "/usr/lib/python3.12/";
    for (folder, file, expected) in [
        (
            SITE,
            "numba/core/compiler.py",
            "compiling with numba takes 2.0 of 100 s",
        ),
        (
            SITE,
            "torch/_dynamo/convert_frame.py",
            "torch.compile takes 2.0 of 100 s",
        ),
        (
            SITE,
            "jax/_src/compiler.py",
            "compiling with jax takes 2.0 of",
        ),
        (
            SITE,
            "Cython/Compiler/Main.py",
            "building extension modules takes 2.0 of",
        ),
        (
            SITE,
            "setuptools/_distutils/ccompiler.py",
            "building extension modules",
        ),
        (
            LIB,
            "distutils/command/build_ext.py",
            "building extension modules",
        ),
        (
            LIB,
            "re/_compiler.py",
            "compiling regular expressions takes 2.0 of",
        ),
        (
            LIB,
            "sre_parse.py",
            "compiling regular expressions takes 2.0 of",
        ),
    ] {
        let file = format!("{folder}{file}");
        let compile = Call("compile", &file, 1, 5);
        let compiles = |ms| {
            let mut build = process(1);
            build.run(
                0,
                &[MAIN, SOLVE, DOT, compile, compile],
                busy_for(ms, State::Native),
            );
            build.run(0, &[MAIN, SOLVE], busy_for(100_000 - ms, State::Native));
            build
        };
        let line = ", 100 % of it for solve (run.py:12): ";
        check(&compiles(2_000), &[expected, line]);
        check(&compiles(1_990), &[]);
    }
    // What runs in the end is no compiler, nor is what a module compiles while it is imported.
    let run = format!("{SITE}numba/core/dispatcher.py");
    let regex = format!("{LIB}re/_compiler.py");
    let mut build = process(1);
    build.run(
        0,
        &[MAIN, Call("call", &run, 1, 2)],
        busy_for(900, State::Native),
    );
    let at_import = [MODULE, IMPORT, PANDAS, Call("compile", &regex, 1, 2)];
    build.run(0, &at_import, busy_for(90, State::Native));
    check(&build, &[]);
}

#[test]
fn memory_near_its_limit() {
    let mut build = process(1);
    let grow = Sample {
        grown_bytes: 12 * GB,
        ..busy(90, 8, State::Native)
    };
    build.run(0, &[MAIN, SOLVE], grow);
    let usage = |resident| Usage {
        resident: Some(resident),
        peak: Some(14_400_000_000),
        ..Usage::default()
    };
    read(&mut build, 1, usage(2 * GB));
    read(&mut build, 2, usage(13 * GB));
    check(
        &build,
        &[
            "memory peaked at 14.4 GB, 90 % of the limit of 16.0 GB",
            "; solve (run.py:12) retains most, likely 12.0 GB: a larger input needs a higher limit",
        ],
    );
}

#[test]
fn memory_far_from_its_limit() {
    let mut build = process(1);
    build.run(0, &[MAIN, SOLVE], busy(90, 8, State::Native));
    let usage = Usage {
        resident: Some(12 * GB),
        ..Usage::default()
    };
    read(&mut build, 1, usage);
    check(&build, &[]);
}

#[test]
fn most_time_waits_for_the_disk() {
    let mut build = process(2);
    build.run(0, &[MAIN, SOLVE], seconds(60, State::Disk));
    build.run(0, &[MAIN], busy(40, 1, State::Python));
    build.run(1, &[MAIN], seconds(100, State::Lock));
    check(
        &build,
        &[
            "60 % of the main thread's time is waiting for the disk, 100 % of it in solve (run.py:12): \
             --mode cpu shows the rest",
        ],
    );
}

#[test]
fn the_main_thread_waits_for_those_that_work() {
    let mut build = process(2);
    build.run(0, &[MAIN], seconds(100, State::Lock));
    build.run(1, &[SOLVE], busy(100, 8, State::Native));
    check(&build, &[]);
}

#[test]
fn half_of_the_time_waiting_is_told_and_less_is_not() {
    let waits = |network, sleeps| {
        let mut build = process(1);
        build.run(0, &[MAIN, SOLVE], seconds(network, State::Network));
        build.run(0, &[MAIN], seconds(sleeps, State::Sleep));
        build.run(0, &[MAIN], seconds(100 - network - sleeps, State::Unknown));
        build
    };
    check(&waits(30, 19), &[]);
    check(
        &waits(60, 37),
        &[
            "97 % of the main thread's time is waiting (60 % waiting for the network, 37 % sleeping), \
             62 % of it in solve (run.py:12): --mode cpu shows the rest",
        ],
    );
}

/// Ten readings a second, of resident bytes.
fn grows(levels: impl IntoIterator<Item = u64>) -> Build {
    let mut build = process(1);
    for (at, resident) in (0..).zip(levels) {
        let usage = Usage {
            resident: Some(resident),
            ..Usage::default()
        };
        read(&mut build, at, usage);
    }
    build
}

#[test]
fn memory_that_only_grows_is_told_with_the_line_that_retains_it() {
    const MB: u64 = 1_000_000;
    // A cache of 1 MB a turn, beside a buffer of 30 MB that is freed each time.
    let level = |at: u64| (20 + at + if at.is_multiple_of(2) { 30 } else { 0 }) * MB;
    let mut build = grows((1..=61).map(level));
    for _ in 0..61 {
        let buffer = Sample {
            grown_bytes: 30 * MB,
            ..busy_for(50, State::Native)
        };
        let cache = Sample {
            grown_bytes: MB,
            shrunk_bytes: 0,
            ..busy_for(10, State::Native)
        };
        let free = Sample {
            grown_bytes: 0,
            shrunk_bytes: 30 * MB,
            ..busy_for(10, State::Native)
        };
        build.run(0, &[MAIN], buffer);
        build.run(0, &[MAIN, SOLVE, DOT], cache);
        build.run(0, &[MAIN], free);
    }
    check(
        &build,
        &[
            "memory keeps growing, from 25.0 MB to 75.0 MB in 6.0 s; solve (run.py:12) retains most, likely 61.0 MB",
        ],
    );
}

#[test]
fn memory_that_comes_to_rest_falls_back_or_grows_little_is_not_told() {
    const MB: u64 = 1_000_000;
    let busy = |mut build: Build| {
        build.run(0, &[MAIN, SOLVE], busy(6, 8, State::Native));
        build
    };
    // All it needs in the first half.
    check(&busy(grows((0..60).map(|at| at.min(30) * 10 * MB))), &[]);
    // Given back each second.
    check(&busy(grows((0..60).map(|at| (at % 10) * 10 * MB))), &[]);
    // By less than 10 MB, by less than a tenth, for less than two seconds.
    check(&busy(grows((0..60).map(|at| at * MB / 6))), &[]);
    check(&busy(grows((0..60).map(|at| 1000 * MB + at * MB))), &[]);
    check(&busy(grows((0..20).map(|at| at * 10 * MB))), &[]);
    // While modules are imported.
    let mut build = grows((0..60).map(|at| at * MB));
    let imports = Sample {
        grown_bytes: 40 * MB,
        ..busy_for(90, State::Python)
    };
    build.run(0, &[MODULE, IMPORT, PANDAS], imports);
    build.run(0, &[MAIN, SOLVE], seconds(6, State::Native));
    check(&build, &[]);
    check(
        &busy(grows((0..22).map(|at| at * 10 * MB))),
        &["memory keeps growing, from 10.0 MB to 190.0 MB in 2.1 s"],
    );
}

#[test]
fn ranks_that_wait_are_told_and_a_main_thread_that_waits_for_a_busy_machine_is_not() {
    // A thread that works on a machine whose CPUs others have.
    let mut build = process(2);
    build.run(0, &[MAIN], seconds(100, State::Lock));
    build.run(1, &[SOLVE], seconds(49, State::Native));
    build.run(1, &[SOLVE], seconds(51, State::Sleep));
    check(
        &build,
        &["100 % of the main thread's time is waiting for a lock"],
    );
    build.run(1, &[SOLVE], seconds(10, State::Native));
    check(&build, &[]);
    // Two ranks, each of which works 40 % of its time.
    let mut profile = Profile::default();
    fill(
        &mut profile,
        &[
            (vec![0b11], None, [0, 40], 1),
            (vec![0b11], None, [0, 40], 1),
        ],
        |id, process| Process {
            rank: Some(id),
            ..process
        },
    );
    for thread in 0..2 {
        profile.apply(Event::Sample(Sample {
            thread: ThreadId(thread),
            at: Nanos(10 * GB),
            ..seconds(6, State::Network)
        }));
    }
    assert_eq!(
        finding_sentences(&profile),
        ["60 % of the main threads' time is waiting for the network: --mode cpu shows the rest"]
    );
}

#[test]
fn more_native_threads_than_cores() {
    let with_native = |cores| {
        let mut build = process(1);
        build.run(0, &[MAIN, SOLVE, DOT], busy(90, cores, State::Native));
        for at in 0..10 {
            let runnable = Some(if at < 6 { 32 } else { 1 });
            let usage = Usage {
                runnable,
                ..Usage::default()
            };
            read(&mut build, at, usage);
        }
        build
    };
    check(
        &with_native(8),
        &[
            "32 threads want to run on 16 CPUs in 60 % of the readings; they work for solve (run.py:12): \
             OMP_NUM_THREADS=16 may be faster",
        ],
    );
    // No thread without Python frames used the CPU.
    check(
        &with_native(1),
        &[
            "32 threads want to run on 16 CPUs in 60 % of the readings: run 16 at a time (a pool of 16)",
        ],
    );
}

#[test]
fn as_many_threads_as_cores() {
    let mut build = process(1);
    build.run(0, &[MAIN, SOLVE], busy(90, 8, State::Native));
    for at in 0..10 {
        let usage = Usage {
            runnable: Some(16),
            ..Usage::default()
        };
        read(&mut build, at, usage);
    }
    check(&build, &[]);
}

#[test]
fn two_processes_share_the_cores() {
    let mut build = process(1);
    let other = Process {
        usable_cpus: Some(16),
        ..Process::default()
    };
    build.profile.apply(Event::Process(ProcessId(1), other));
    build.run(0, &[MAIN, SOLVE], busy(90, 8, State::Native));
    for at in 0..20 {
        build.profile.apply(Event::Usage(Usage {
            process: ProcessId(at % 2),
            at: Nanos(u64::from(at) * 100_000_000),
            runnable: Some(12),
            ..Usage::default()
        }));
    }
    check(
        &build,
        &[
            "24 threads of 2 processes want to run on 16 CPUs in 95 % of the readings",
            "OMP_NUM_THREADS=8",
        ],
    );
}

#[test]
fn nothing_is_told_of_nothing() {
    check(&process(1), &[]);
    check(&Build::default(), &[]);
    // Of an older recording: no states, no cores, no memory.
    let mut build = Build::default();
    build.thread(None);
    build.run(0, &[MAIN], seconds(100, State::Unknown));
    check(&build, &[]);
}

#[test]
fn what_costs_most_comes_first() {
    let mut build = process(2);
    build.run(0, &[MODULE, IMPORT, PANDAS], seconds(60, State::Disk));
    build.run(0, &[MAIN], seconds(40, State::Disk));
    build.run(1, &[MAIN], seconds(10, State::Gil));
    build.run(1, &[MAIN], seconds(20, State::Python));
    for at in 0..10 {
        let usage = Usage {
            runnable: Some(32),
            resident: Some(15 * GB),
            ..Usage::default()
        };
        read(&mut build, at, usage);
    }
    let found = finding_sentences(&build.profile);
    let begins = [
        "memory peaked",
        "100 % of the main thread",
        "importing takes 60",
        "the GIL",
    ];
    assert_eq!(found.len(), begins.len(), "{found:#?}");
    for (found, begin) in found.iter().zip(begins) {
        assert!(found.starts_with(begin), "no {begin:?} in {found}");
    }
}

/// The mask and the quota of a process, from when to when it was sampled, in tenths of a second, and how many of its
/// threads were runnable.
type OfProcess = (Vec<u64>, Option<u32>, [u64; 2], u32);

/// Processes of one host with a thread each, all of whose time is on a CPU, and with a reading each 100 ms.
fn processes(of_each: &[OfProcess]) -> Profile {
    let mut profile = Profile::default();
    fill(&mut profile, of_each, |_, process| process);
    profile
}

/// The same, where each process may say more.
fn fill(profile: &mut Profile, of_each: &[OfProcess], say: impl Fn(u32, Process) -> Process) {
    const TENTH: u64 = 100_000_000;
    for (id, (mask, quota, ..)) in (0..).zip(of_each) {
        let in_mask: u32 = mask.iter().map(|word| word.count_ones()).sum();
        let process = Process {
            usable_cpus: Some(in_mask.min(quota.unwrap_or(in_mask))),
            cpu_mask: mask.clone(),
            cpu_quota: *quota,
            ..Process::default()
        };
        profile.apply(Event::Process(ProcessId(id), say(id, process)));
        let thread = Thread {
            process: ProcessId(id),
            tid: None,
            name: None,
            is_main: true,
        };
        profile.apply(Event::Thread(ThreadId(id), thread));
    }
    for (id, (_, _, [from, to], runnable)) in (0..).zip(of_each) {
        for tenth in *from..*to {
            profile.apply(Event::Usage(Usage {
                process: ProcessId(id),
                at: Nanos(tenth * TENTH),
                runnable: Some(*runnable),
                ..Usage::default()
            }));
        }
        profile.apply(Event::Sample(Sample {
            at: Nanos(to * TENTH),
            thread: ThreadId(id),
            ticks: 1000,
            wall: Nanos((to - from) * TENTH),
            cpu: Nanos((to - from) * TENTH),
            ..Sample::default()
        }));
    }
}

fn is_oversubscribed(profile: &Profile) -> bool {
    let found = finding_sentences(profile);
    found.iter().any(|found| found.contains("of the readings"))
}

#[test]
fn more_processes_than_cores_are_a_pool_or_ranks() {
    let worker = || (vec![0b11], None, [0, 20], 1);
    let of = |rank: fn(u32) -> Option<u32>, count: u32| {
        let mut profile = Profile::default();
        let planned = vec![worker(); count as usize];
        fill(&mut profile, &planned, |id, process| Process {
            rank: rank(id),
            ..process
        });
        finding_sentences(&profile)
    };
    assert_eq!(
        of(|_| None, 4),
        ["4 processes on 2 CPUs in 96 % of the readings: run 2 at a time (a pool of 2)"]
    );
    // A pool of 2, and the process that hands out its work.
    assert_eq!(of(|_| None, 3), [] as [&str; 0]);
    assert_eq!(
        of(Some, 3),
        ["3 ranks on 2 CPUs in 97 % of the readings: start 2, or ask for 3 CPUs"]
    );
    assert_eq!(
        of(Some, 64),
        ["64 ranks on 2 CPUs in 100 % of the readings: start 2, or ask for 64 CPUs"]
    );
    assert_eq!(of(Some, 2), [] as [&str; 0]);
}

#[test]
fn steps_that_build_are_told_apart_from_the_job() {
    let of = |build_tenths: u64| {
        let mut profile = Profile::default();
        let build = (vec![0b11], None, [0, build_tenths], 4);
        let job = (vec![0b11], None, [build_tenths, build_tenths + 40], 1);
        fill(&mut profile, &[build, job], |id, process| Process {
            command: ["python -m pip install .", "python run.py"][id as usize]
                .split(' ')
                .map(str::to_owned)
                .collect(),
            seen: Nanos([0, build_tenths][id as usize] * 100_000_000),
            ..process
        });
        finding_sentences(&profile)
    };
    // That the build has too many threads is nothing that the job should mend.
    assert_eq!(
        of(60),
        ["building takes 6.0 of 10 s (`python -m pip install .`): build before the job"]
    );
    assert_eq!(of(4), [] as [&str; 0]);
}

#[test]
fn ranks_that_are_bound_to_a_core_each_have_as_many_as_they_are() {
    let bound = |cpu: u64| (vec![1 << cpu], None, [0, 20], 1);
    let profile = processes(&[bound(0), bound(1)]);
    assert_eq!(usable_cores(&profile), Some(2));
    assert!((cores_busy(&profile) - 2.0).abs() < 1e-9);
    assert!(!is_oversubscribed(&profile));
    // Both on the same core.
    let profile = processes(&[bound(3), bound(3)]);
    assert_eq!(usable_cores(&profile), Some(1));
    assert!(is_oversubscribed(&profile));
    // Masks of several words, which overlap.
    let wide = |words: Vec<u64>| (words, None, [0, 20], 1);
    let profile = processes(&[wide(vec![3, 1]), wide(vec![6])]);
    assert_eq!(usable_cores(&profile), Some(4));
}

#[test]
fn a_quota_bounds_all_processes_of_a_host() {
    let of_group = |cpu: u64, quota| (vec![1 << cpu], quota, [0, 20], 1);
    let all = [0, 1, 2, 3].map(|cpu| of_group(cpu, Some(2)));
    assert_eq!(usable_cores(&processes(&all)), Some(2));
    let one = [of_group(0, Some(1)), of_group(1, None)];
    assert_eq!(usable_cores(&processes(&one)), Some(2));
}

#[test]
fn processes_one_after_another_are_not_busy_at_the_same_time() {
    let each = |from: u64| (vec![1], None, [from, from + 8], 1);
    let profile = processes(&[each(0), each(9), each(18), each(27)]);
    assert!((cores_busy(&profile) - 1.0).abs() < 1e-9);
    assert_eq!(elapsed(&profile), Nanos(3_200_000_000));
    assert!(!is_oversubscribed(&profile));
    // Two of them at the same time, twice.
    let profile = processes(&[each(0), each(0), each(9), each(9)]);
    assert!((cores_busy(&profile) - 2.0).abs() < 1e-9);
    assert!(is_oversubscribed(&profile));
}
