//! Samples programs that use known amounts of cores, memory and files, and compares what was measured.

use std::path::Path;
use std::process::Command;

use rsamp::profile::{Profile, Totals, Usage};
use rsamp::sampler::Children;

use crate::activity::{by_state, record, record_with, seconds};
use crate::support::programs::{command, program, run_command};
use crate::support::pythons::Python;

const MB: f64 = 1024.0 * 1024.0;

/// Within a twentieth, or two hundredths of whatever it is.
fn assert_close(place: &str, seen: f64, truth: f64) {
    eprintln!("{place}: {seen:.3} of {truth:.3}");
    let allowed = (truth.abs() * 0.05).max(0.02);
    assert!(
        (seen - truth).abs() <= allowed,
        "{place}: {seen} of {truth}"
    );
}

fn all_of(profile: &Profile, thread: &str, name: &str) -> Totals {
    by_state(profile, thread, name).values().copied().sum()
}

fn memory_is_booked_to_who_takes_it_and_gives_it_back(python: &Python) {
    let (profile, said) = record(run_command(&mut command(python, "memory.py")));
    let bytes = |name: &str| said[name].as_f64().expect("bytes") / MB;
    let place = |what: &str| format!("{} {what}, MB", python.label);
    // The memory of what another function does at the same tick is some pages.
    let grown = all_of(&profile, "MainThread", "grow").grown_bytes as f64 / MB;
    assert_close(&place("grown"), grown, bytes("grow"));
    let shrunk = all_of(&profile, "MainThread", "shrink").shrunk_bytes as f64 / MB;
    assert_close(&place("shrunk"), shrunk, bytes("shrink"));
    let in_thread = all_of(&profile, "allocates", "in_thread").grown_bytes as f64 / MB;
    assert_close(&place("in a thread"), in_thread, bytes("in_thread"));
    let usage = profile.usage();
    let peak = usage.iter().filter_map(|usage| usage.peak).max();
    assert_close(
        &place("peak"),
        peak.expect("a peak") as f64 / MB,
        bytes("peak"),
    );
    let most = |of: fn(&Usage) -> Option<u64>| usage.iter().filter_map(of).max();
    let anonymous = most(|usage| usage.anonymous).expect("anonymous memory") as f64 / MB;
    assert!(
        anonymous > 200.0 && anonymous < bytes("peak"),
        "{anonymous}"
    );
    let resident = most(|usage| usage.resident).expect("resident memory") as f64 / MB;
    assert_close(&place("resident"), resident, bytes("peak"));
}

test_on!(memory_is_booked_to_who_takes_it_and_gives_it_back: v3_8 v3_11 v3_13 v3_15);

/// At 1 kHz the allocation takes as long as an interval: one tick sees it, and memory grows before and after that tick.
fn memory_that_grows_for_a_millisecond_is_attributed_to_its_line(python: &Python) {
    let (profile, said) = record(run_command(&mut command(python, "memory_lines.py")));
    let of_line = |name: &str| {
        let line = said[name].as_u64().map(|line| line as u32);
        let rows = profile.rows().iter().filter(|row| {
            let frame = profile.frames_of(row.stack).next();
            frame.is_some_and(|frame| frame.name.ends_with("takes") && frame.line == line)
        });
        let totals: Totals = rows.map(|row| row.totals).sum();
        (
            totals.grown_bytes as f64 / MB,
            totals.unsure_bytes as f64 / MB,
        )
    };
    let (right, works) = (of_line("allocates"), of_line("works"));
    let grown = said["grown"].as_f64().expect("bytes") / MB;
    eprintln!(
        "{}: of {grown:.1} MB {right:.1?} are its line's, {works:.1?} the next one's",
        python.label
    );
    // What grew while the sampler got no CPU is attributed to no line.
    let seen = right.0 + works.0;
    assert!(
        right.0 > 0.7 * seen && seen > 0.5 * grown,
        "{}: {right:?} and {works:?} of {grown}",
        python.label
    );
}

test_on!(memory_that_grows_for_a_millisecond_is_attributed_to_its_line: v3_8 v3_11 v3_13 v3_15);

#[test]
fn threads_without_python_work_for_the_line_that_waits_for_them() {
    needs!(RSAMP_SCIENCE);
    let science = std::env::var("RSAMP_SCIENCE").expect("a path");
    for threads in ["1", "2"] {
        let mut command = Command::new(Path::new(&science).join("bin/python"));
        command
            .arg(program("blas.py"))
            .env("OPENBLAS_NUM_THREADS", threads)
            // Its threads shall sleep when they have nothing to do, not spin: 2^4 cycles.
            .env("OPENBLAS_THREAD_TIMEOUT", "4");
        let (profile, said) = record(run_command(&mut command));
        eprintln!(
            "{threads}: {said} {:?}",
            by_state(&profile, "MainThread", "dot")
        );
        for scene in ["dot", "burn"] {
            let all = all_of(&profile, "MainThread", scene);
            let cores = (all.cpu + all.helpers_cpu).seconds() / all.wall.seconds();
            let truth = seconds(&said, scene, "cpu") / seconds(&said, scene, "wall");
            assert_close(
                &format!("{threads} threads, {scene}, cores busy"),
                cores,
                truth,
            );
        }
        let helpers = all_of(&profile, "MainThread", "dot").helpers_cpu.seconds();
        assert_eq!(helpers > 0.1, threads == "2", "{helpers}");
        let burn = all_of(&profile, "MainThread", "burn").helpers_cpu.seconds();
        assert!(burn < 0.05, "{burn}");
    }
}

/// Within a hundredth, or 10 ms; of children a tenth, as one may be gone before its last count was read.
fn threads_and_processes_that_come_and_go_use_what_the_kernel_counts(python: &Python) {
    for lives in ["threads", "forks"] {
        let mut command = command(python, "lives.py");
        let program = run_command(command.arg(lives));
        let (profile, said) = record_with(program, Children::Followed);
        let rows = profile.rows().iter();
        let seen: f64 = rows
            .map(|row| (row.totals.cpu + row.totals.helpers_cpu).seconds())
            .sum();
        let truth = said["cpu"].as_f64().expect("seconds");
        let place = format!("{} {lives}", python.label);
        eprintln!("{place}: {seen:.4} of {truth:.4}");
        let part = if lives == "forks" { 0.1 } else { 0.01 };
        assert!((seen - truth).abs() < (part * truth).max(0.01), "{place}");
    }
}

test_on!(threads_and_processes_that_come_and_go_use_what_the_kernel_counts: v3_8 v3_11 v3_12 v3_13 v3_15);

/// The last of the readings has what the program says of itself.
fn what_a_process_used_is_what_it_says(python: &Python) {
    let (profile, said) = record(run_command(&mut command(python, "usage.py")));
    assert_eq!(profile.missing(), []);
    let usage = profile.usage();
    // At the beginning and at the end at least; how many there are between depends on what they cost.
    assert!(usage.len() >= 2, "{}", usage.len());
    let first = usage.first().expect("usage");
    assert!(
        first.resident.is_some() && first.runnable.is_some(),
        "{first:?}"
    );
    check_usage(python, usage.iter().collect(), &said);
    let process = &profile.processes()[0];
    let cpus = std::thread::available_parallelism().expect("CPUs").get();
    assert_eq!(process.usable_cpus, Some(cpus as u32));
}

test_on!(what_a_process_used_is_what_it_says: v3_8 v3_11 v3_13 v3_15);

fn check_usage(python: &Python, usage: Vec<&Usage>, said: &serde_json::Value) {
    let most = |of: fn(&Usage) -> Option<u64>| {
        let all = usage.iter().filter_map(|usage| of(usage));
        all.max().expect("a count") as f64
    };
    let number = |name: &str| said[name].as_f64().expect("a number");
    for (name, seen) in [
        ("minor_faults", most(|usage| usage.minor_faults)),
        ("voluntary_switches", most(|usage| usage.voluntary_switches)),
        ("rchar", most(|usage| usage.read_calls_bytes)),
        ("wchar", most(|usage| usage.write_calls_bytes)),
        ("write_bytes", most(|usage| usage.storage_written_bytes)),
        ("cpu", most(|usage| usage.cpu.map(|cpu| cpu.0)) / 1e9),
    ] {
        assert_close(&format!("{} {name}", python.label), seen, number(name));
    }
    for (name, seen) in [
        ("major_faults", most(|usage| usage.major_faults)),
        ("forced_switches", most(|usage| usage.forced_switches)),
        ("read_bytes", most(|usage| usage.storage_read_bytes)),
    ] {
        let truth = number(name);
        eprintln!("{} {name}: {seen} of {truth}", python.label);
        assert!(
            (seen - truth).abs() <= truth * 0.05 + 20.0,
            "{name}: {seen} of {truth}"
        );
    }
}
