//! Turns programs that fork into what it costs them to be followed, and how many of their children are seen.
//!
//! ```sh
//! cargo bench --bench tree             # 3.11, 5 rounds
//! cargo bench --bench tree -- 3.13 9   # that version, so many rounds
//! ```
//!
//! - **slower**: a program that forks 1,000 children of 10 ms, by its own clock, under `rsamp record` and alone by
//!   turns; least, median and most of the ratios of the pairs. Beside it with `--no-children`, which tells what
//!   of that is the sampling of the parent.
//! - **seen**: of 100 children that live so long, how many are in the recording with a sample.

#![allow(clippy::print_stdout)]

#[path = "../support/mod.rs"]
#[macro_use]
mod support;

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use rsamp::profile::Profile;
use rsamp::recording::Reader;
use serde_json::Value;
use support::pythons::{Python, pythons};

const ROUNDS: usize = 5;

/// Children, and how many milliseconds each lives.
const MANY: (u32, u32) = (1000, 10);

const LIVES_MS: [u32; 5] = [10, 20, 35, 50, 80];

fn main() {
    let words = std::env::args().skip(1);
    let words: Vec<String> = words.filter(|word| !word.starts_with('-')).collect();
    let version = words.first().map_or("3.11", String::as_str);
    let rounds = words.get(1).and_then(|word| word.parse().ok());
    let python = pythons()
        .into_iter()
        .find(|python| python.version >= (3, 6, 0) && python.label.starts_with(version));
    let python = python.unwrap_or_else(|| panic!("RSAMP_PYTHONS lists no {version}"));
    let folder = tempfile::tempdir().expect("a folder");
    println!("Python {}", python.label);
    slower(&python, folder.path(), rounds.unwrap_or(ROUNDS));
    seen(&python, folder.path());
}

fn slower(python: &Python, folder: &Path, rounds: usize) {
    let (mut with, mut without, mut own) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let alone = seconds(&run(&mut forks(python, folder, None, MANY)));
        let followed = run(&mut forks(python, folder, Some(&[]), MANY));
        own.push(own_cpu(&recorded(folder)));
        let options = &["--no-children"];
        let unfollowed = run(&mut forks(python, folder, Some(options), MANY));
        with.push(seconds(&followed) / alone);
        without.push(seconds(&unfollowed) / alone);
    }
    let (count, ms) = MANY;
    println!(
        "{count} children of {ms} ms, time with rsamp / alone: least, median, most of {rounds}"
    );
    println!("  followed       {}", spread(with));
    println!("  --no-children  {}", spread(without));
    println!(
        "  rsamp's CPU, of a core, while it followed: {}",
        spread(own)
    );
}

fn seen(python: &Python, folder: &Path) {
    println!("of 100 children, in the recording with a sample");
    for ms in LIVES_MS {
        let said = run(&mut forks(python, folder, Some(&[]), (100, ms)));
        let profile = recorded(folder);
        let sampled: HashSet<i64> = profile
            .rows()
            .iter()
            .filter_map(|row| profile.thread(row.thread))
            .filter_map(|thread| profile.process(thread.process))
            .map(|process| i64::from(process.pid))
            .collect();
        let pids = said["pids"].as_array().expect("PIDs").iter();
        let found = pids.filter(|pid| pid.as_i64().is_some_and(|pid| sampled.contains(&pid)));
        println!("  of {ms:>2} ms: {:>3}", found.count());
    }
}

/// The program, alone or under rsamp with these options.
fn forks(
    python: &Python,
    folder: &Path,
    options: Option<&[&str]>,
    (count, ms): (u32, u32),
) -> Command {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/forks.py");
    let mut words: Vec<String> = Vec::new();
    if let Some(options) = options {
        words.extend(
            [env!("CARGO_BIN_EXE_rsamp"), "record", "-q", "-o", "a.rsamp"].map(str::to_owned),
        );
        words.extend(options.iter().map(|&option| option.to_owned()));
        words.push("--".to_owned());
    }
    words.extend(python.command.clone());
    words.extend([
        program.display().to_string(),
        count.to_string(),
        ms.to_string(),
    ]);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).current_dir(folder);
    command
}

/// What the program said.
fn run(command: &mut Command) -> Value {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .expect("a program");
    assert!(output.status.success(), "{command:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn seconds(said: &Value) -> f64 {
    said["seconds"].as_f64().expect("seconds")
}

fn recorded(folder: &Path) -> Profile {
    let file = File::open(folder.join("a.rsamp")).expect("a recording");
    let mut profile = Profile::default();
    let mut reader = Reader::new(file).expect("a recording");
    reader
        .read(&mut |event| profile.apply(event))
        .expect("a recording");
    profile
}

fn own_cpu(profile: &Profile) -> f64 {
    let cpu: f64 = profile
        .rates()
        .iter()
        .map(|span| span.own_cpu.seconds())
        .sum();
    cpu / profile.duration().seconds()
}

fn spread(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let (least, most) = (values[0], values[values.len() - 1]);
    format!("{least:.3} {:.3} {most:.3}", values[values.len() / 2])
}
