//! Samples programs that measure their own shares of time, and compares the profile with them.

use std::collections::HashMap;
use std::process::Stdio;

use rsamp::export::{Format, Meta, ReportInput, write};
use rsamp::profile::{Functions, Mode, Profile};
use serde_json::Value;

use crate::activity::record;
use crate::support::programs::{command, run_command};
use crate::support::pythons::Python;

/// How far a share may be off: one percentage point, beside what chance does in so many samples.
const TOLERANCE: f64 = 0.01;

/// How far the sum of all times may be off the duration.
const SUM_TOLERANCE: f64 = 0.005;

/// Compares the shares of the burning part with what the program measured. It waits for nothing but a
/// processor, which both modes count: they are to show what the wall clock measured and, unless the
/// program was kept waiting, what the CPU clock did. Nobody can tell in which function it would have
/// been meanwhile: by a part of that time the figures may be further apart.
fn check(python: &Python, arguments: &[&str]) {
    let mut command = command(python, "planted.py");
    let (profile, said) = record(run_command(command.arg("--wait").args(arguments)));
    let seconds = |said: &Value, clock: &str| said[clock].as_f64().expect("seconds");
    let waited = 1.0 - seconds(&said["total"], "cpu") / seconds(&said["total"], "wall");
    let tolerance = TOLERANCE + waited.max(0.0) / 20.0;
    let percent = waited * 100.0;
    eprintln!(
        "{}: waited {percent:.1} %, lost {:?}",
        python.label,
        profile.lost()
    );
    let clocks = if waited < TOLERANCE {
        &["wall", "cpu"][..]
    } else {
        &["wall"]
    };
    let planted = said["functions"].as_object().expect("functions");
    for (mode, clock) in [Mode::Wall, Mode::Cpu]
        .into_iter()
        .flat_map(|mode| clocks.iter().map(move |clock| (mode, clock)))
    {
        let seen = burnt(python, &profile, &said, mode);
        let all: f64 = planted.values().map(|said| seconds(said, clock)).sum();
        for (name, said) in planted {
            let (share, truth) = (seen[name.as_str()], seconds(said, clock) / all);
            let chance = (truth * (1.0 - truth) / profile.effective_samples() as f64).sqrt();
            let (seen, is) = (share * 100.0, truth * 100.0);
            let place = format!("{} {name}, {mode:?} mode, {clock} clock", python.label);
            eprintln!("{place}: {seen:.2} % of {is:.2} %");
            assert!(
                (share - truth).abs() < tolerance + 3.0 * chance,
                "{place}: {seen} % of {is} %"
            );
        }
    }
    check_sums(python, &profile);
}

/// The share of each burning function in what they have together.
fn burnt<'s>(
    python: &Python,
    profile: &Profile,
    said: &'s Value,
    mode: Mode,
) -> HashMap<&'s str, f64> {
    let functions = Functions::of(profile);
    let planted = said["functions"].as_object().expect("functions");
    let times = planted.keys().map(|name| {
        let row = functions
            .rows()
            .iter()
            .find(|row| row.function.name == name);
        let row = row.unwrap_or_else(|| panic!("{}: {name} was not seen", python.label));
        // What calls others measures itself with them.
        let time = if name == "burn_calls" {
            row.totals
        } else {
            row.self_totals
        };
        (name.as_str(), time.time(mode).seconds())
    });
    let mut times: HashMap<_, _> = times.collect();
    let all: f64 = times.values().sum();
    times.values_mut().for_each(|time| *time /= all);
    times
}

/// All times add up to how long the recording lasted: the program has one thread.
fn check_sums(python: &Python, profile: &Profile) {
    let duration = profile.duration().seconds();
    let near = |sum: f64| (sum - duration).abs() < duration * SUM_TOLERANCE;
    let sum = profile.totals().wall.seconds();
    assert!(near(sum), "{}: {sum} s in {duration} s", python.label);
    assert_eq!(profile.rejected(), 0);

    let meta = Meta {
        mode: Mode::Wall,
        ..Meta::default()
    };
    let mut bytes = Vec::new();
    write(
        Format::Pstats,
        &ReportInput::new(profile, &meta),
        &mut bytes,
    )
    .expect("a file");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("profile.pstats");
    std::fs::write(&file, bytes).expect("written");
    let script = "import pstats, sys; print(pstats.Stats(sys.argv[1]).total_tt)";
    let output = python
        .interpreter()
        .args(["-c", script])
        .arg(&file)
        .stderr(Stdio::inherit())
        .output()
        .expect("pstats");
    let total = String::from_utf8_lossy(&output.stdout).trim().parse();
    let total: f64 = total.expect("seconds");
    assert!(
        near(total),
        "{}: pstats has {total} s of {duration} s",
        python.label
    );
}

fn planted_shares_come_out(python: &Python) {
    check(python, &[]);
}

test_on!(planted_shares_come_out: v3_6 v3_9 v3_11 v3_13 v3_15);

/// In 3.15 nothing in a frame says whether it is executing.
fn calls_take_no_more_than_they_take(python: &Python) {
    check(python, &["--calls"]);
}

test_on!(calls_take_no_more_than_they_take: v3_11 v3_13 v3_15);
