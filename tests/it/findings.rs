//! What stands out in a profile, and what does not.

use rsamp::export::words::findings::sentences;
use rsamp::profile::Profile;
use rsamp::profile::cores;
use rsamp::profile::event::{
    Event, Nanos, Process, ProcessId, Sample, State, Thread, ThreadId, Usage,
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
    let found = sentences(&build.profile);
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
    assert!((cores::cores_busy(&build.profile) - 12.0).abs() < 1e-9);
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
            "the GIL is the bottleneck for 4 threads: 280.0 s of waiting, 70 % of the time",
            "; main (run.py:33) held it while others waited 270.0 s",
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

#[test]
fn imports_take_long() {
    let mut build = process(1);
    build.run(
        0,
        &[MODULE, IMPORT, DOT, IMPORT],
        busy(40, 8, State::Python),
    );
    build.run(0, &[MODULE, MAIN], busy(60, 8, State::Python));
    check(
        &build,
        &["40 % of the time goes to imports (40.00 s), 100 % of them for <module> (run.py:2)"],
    );
}

#[test]
fn imports_take_a_moment() {
    let mut build = process(1);
    build.run(0, &[MODULE, IMPORT, DOT], busy(5, 8, State::Python));
    build.run(0, &[MODULE, MAIN], busy(95, 8, State::Python));
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
            "; it grew most in solve (run.py:12), by 12.0 GB",
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
            "60 % of the main thread's time is waiting for the disk, 100 % of it in solve (run.py:12)",
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
fn more_threads_than_cores() {
    let mut build = process(1);
    build.run(0, &[MAIN, SOLVE, DOT], busy(90, 8, State::Native));
    for at in 0..10 {
        let runnable = Some(if at < 6 { 32 } else { 1 });
        let usage = Usage {
            runnable,
            ..Usage::default()
        };
        read(&mut build, at, usage);
    }
    check(
        &build,
        &[
            "more threads want to run than there are cores: 32 for 16 in 60 % of the readings",
            "they work for solve (run.py:12)",
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
    check(&build, &["24 for 16 in 95 % of the readings"]);
}

#[test]
fn few_samples() {
    let mut build = process(1);
    for (call, ticks) in [(MAIN, 50), (SOLVE, 50)] {
        build.run(
            0,
            &[call],
            Sample {
                ticks,
                ..busy(50, 8, State::Native)
            },
        );
    }
    check(
        &build,
        &["few samples for the digits shown: by 100 of them, 50.0 % is ± 9.8 (95 %"],
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
fn at_most_five_are_told() {
    let mut build = process(3);
    let blocked = Sample {
        blocked_others: Nanos(GB),
        ticks: 10,
        ..seconds(10, State::Gil)
    };
    build.run(0, &[MODULE, IMPORT], seconds(60, State::Disk));
    build.run(1, &[MAIN], blocked);
    build.run(
        2,
        &[MAIN],
        Sample {
            ticks: 5,
            ..seconds(1, State::Gil)
        },
    );
    for at in 0..10 {
        let usage = Usage {
            runnable: Some(32),
            resident: Some(15 * GB),
            ..Usage::default()
        };
        read(&mut build, at, usage);
    }
    let found = sentences(&build.profile);
    assert_eq!(found.len(), 5, "{found:#?}");
    assert!(found[0].contains("memory"), "{found:#?}");
}

/// The mask and the quota of a process, from when to when it was sampled, in tenths of a second, and how many of its
/// threads were runnable.
type OfProcess = (Vec<u64>, Option<u32>, [u64; 2], u32);

/// Processes of one host with a thread each, all of whose time is on a CPU, and with a reading each 100 ms.
fn processes(of_each: &[OfProcess]) -> Profile {
    const TENTH: u64 = 100_000_000;
    let mut profile = Profile::default();
    for (id, (mask, quota, ..)) in (0..).zip(of_each) {
        let in_mask: u32 = mask.iter().map(|word| word.count_ones()).sum();
        let process = Process {
            usable_cpus: Some(in_mask.min(quota.unwrap_or(in_mask))),
            cpu_mask: mask.clone(),
            cpu_quota: *quota,
            ..Process::default()
        };
        profile.apply(Event::Process(ProcessId(id), process));
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
    profile
}

fn is_oversubscribed(profile: &Profile) -> bool {
    let found = sentences(profile);
    found
        .iter()
        .any(|found| found.contains("more threads want to run"))
}

#[test]
fn ranks_that_are_bound_to_a_core_each_have_as_many_as_they_are() {
    let bound = |cpu: u64| (vec![1 << cpu], None, [0, 20], 1);
    let profile = processes(&[bound(0), bound(1)]);
    assert_eq!(cores::usable_cores(&profile), Some(2));
    assert!((cores::cores_busy(&profile) - 2.0).abs() < 1e-9);
    assert!(!is_oversubscribed(&profile));
    // Both on the same core.
    let profile = processes(&[bound(3), bound(3)]);
    assert_eq!(cores::usable_cores(&profile), Some(1));
    assert!(is_oversubscribed(&profile));
    // Masks of several words, which overlap.
    let wide = |words: Vec<u64>| (words, None, [0, 20], 1);
    let profile = processes(&[wide(vec![3, 1]), wide(vec![6])]);
    assert_eq!(cores::usable_cores(&profile), Some(4));
}

#[test]
fn a_quota_bounds_all_processes_of_a_host() {
    let of_group = |cpu: u64, quota| (vec![1 << cpu], quota, [0, 20], 1);
    let all = [0, 1, 2, 3].map(|cpu| of_group(cpu, Some(2)));
    assert_eq!(cores::usable_cores(&processes(&all)), Some(2));
    let one = [of_group(0, Some(1)), of_group(1, None)];
    assert_eq!(cores::usable_cores(&processes(&one)), Some(2));
}

#[test]
fn processes_one_after_another_are_not_busy_at_the_same_time() {
    let each = |from: u64| (vec![1], None, [from, from + 8], 1);
    let profile = processes(&[each(0), each(9), each(18), each(27)]);
    assert!((cores::cores_busy(&profile) - 1.0).abs() < 1e-9);
    assert_eq!(cores::elapsed(&profile), Nanos(3_200_000_000));
    assert!(!is_oversubscribed(&profile));
    // Two of them at the same time, twice.
    let profile = processes(&[each(0), each(0), each(9), each(9)]);
    assert!((cores::cores_busy(&profile) - 2.0).abs() < 1e-9);
    assert!(is_oversubscribed(&profile));
}
