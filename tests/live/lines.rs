//! Compares the tables of lines and of memory with what programs do, and with what line_profiler and
//! memory_profiler say of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;

use crate::support::commands::stdout;
use crate::support::needs::prepared;
use crate::support::programs::program;
use crate::support::pythons::{Python, python};

/// Records `words` into `folder/a.rsamp`, and returns what they print.
fn record(folder: &Path, words: &[String]) -> String {
    let mut command = Command::new(cargo_bin!("rsamp"));
    command
        .current_dir(folder)
        .args(["record", "-q", "-r", "1000", "--force"]);
    stdout(command.args(["-o", "a.rsamp", "--"]).args(words))
}

fn report(folder: &Path, options: &[&str]) -> String {
    let mut command = Command::new(cargo_bin!("rsamp"));
    command.current_dir(folder).args(["report", "a.rsamp"]);
    stdout(command.args(options))
}

fn json(folder: &Path) -> Value {
    serde_json::from_str(&report(folder, &["-f", "json"])).expect("JSON")
}

fn effective_samples(file: &Value) -> f64 {
    file["samples_effective"].as_f64().expect("a count")
}

/// One standard deviation of a share, from 0 to 1, in so many samples.
fn chance_percent(share: f64, samples: f64) -> f64 {
    100.0 * (share * (1.0 - share) / samples).sqrt()
}

/// The line of `text` that holds the source `content`, as words.
fn row<'t>(text: &'t str, content: &str) -> Vec<&'t str> {
    let row = text.lines().find(|line| line.ends_with(content));
    let row = row.unwrap_or_else(|| panic!("no {content:?} in\n{text}"));
    row.split_whitespace().collect()
}

/// Records a program that burns 2 s and prints for how long it was in each line. When it was kept from
/// the CPU for a while, so was the sampler, and neither knows in which line it would have been: it is tried
/// again, a few times.
fn record_at_leisure(folder: &Path, words: &[String]) -> Option<BTreeMap<String, f64>> {
    for _ in 0..5 {
        let said = record(folder, words);
        let said: BTreeMap<String, f64> = serde_json::from_str(&said).expect("JSON");
        if said.values().sum::<f64>() < 2.0 * 1.02 {
            return Some(said);
        }
    }
    None
}

fn lines_have_the_shares_that_were_planted(python: &Python) {
    let folder = tempfile::tempdir().expect("a folder");
    let script = program("planted_lines.py").to_string_lossy().into_owned();
    let words = python.command.iter().cloned();
    let words: Vec<String> = words.chain([script, "work".to_owned()]).collect();
    let Some(said) = record_at_leisure(folder.path(), &words) else {
        skip!("the machine is too busy");
    };
    let whole: f64 = said.values().sum();
    let text = report(folder.path(), &["--wide", "--lines", "work"]);
    let label = &python.label;
    let samples = effective_samples(&json(folder.path()));
    for (seconds, planted) in said {
        let content = format!("burn({seconds})");
        let planted = planted / whole;
        let chance = chance_percent(planted, samples);
        let planted = 100.0 * planted;
        let share: f64 = row(&text, &content)[3].parse().expect("a share");
        assert!(
            (share - planted).abs() <= 2.0 + 3.0 * chance,
            "{label}: {content} {share} %, in truth {planted} %, {samples} samples\n{text}"
        );
    }
    assert!(text.contains("Function: work at line "), "{label}\n{text}");
    assert_eq!(
        row(&text, "def work():").len(),
        3,
        "untouched, but there\n{text}"
    );
}

test_on_each!(lines_have_the_shares_that_were_planted);

/// Where a table of memory has `content`: the MiB in the column `at` of that line, and of it together with
/// the next line: what a line does in its last moment is seen at the tick after it.
fn mib(text: &str, content: &str, at: usize) -> (f64, f64) {
    let number = |row: &str| -> f64 {
        let cell = row.split_whitespace().nth(at);
        cell.and_then(|cell| cell.parse().ok()).expect("a number")
    };
    let mut rows = text.lines().skip_while(|line| !line.ends_with(content));
    let own = number(
        rows.next()
            .unwrap_or_else(|| panic!("no {content:?} in\n{text}")),
    );
    (own, own + number(rows.next().expect("a next line")))
}

/// Whether so many MiB were booked, to 5 %, and most of it to the line itself.
fn is_booked((own, with_next): (f64, f64), planted: f64) -> bool {
    (with_next / planted - 1.0).abs() < 0.05 && own / planted > 0.75
}

#[test]
fn a_line_that_takes_200_mb_and_one_that_frees_them() {
    needs!(v3_11);
    let python = python("v3_11").command;
    let folder = tempfile::tempdir().expect("a folder");
    let script = program("planted_lines.py").to_string_lossy().into_owned();
    let words = python.into_iter().chain([script, "memory".to_owned()]);
    record(folder.path(), &words.collect::<Vec<_>>());
    let text = report(folder.path(), &["--memory", "memory"]);
    let planted = 200e6 / f64::from(1 << 20);
    assert!(is_booked(mib(&text, FILL, 5), planted), "{text}");
    assert!(mib(&text, FILL, 1).0 > planted, "{text}");
    assert!(is_booked(mib(&text, FREE, 7), -planted), "{text}");
    assert!(text.contains("Highest point: "), "{text}");
    // The kernel's own count, as mprof draws it.
    let dat = report(folder.path(), &["-f", "mprof"]);
    let highest = dat.lines().filter_map(|line| line.strip_prefix("MEM "));
    let highest = highest.map(|line| line.split(' ').next().and_then(|mib| mib.parse().ok()));
    let highest = highest.flatten().fold(0.0, f64::max);
    assert!(highest > planted, "{dat}");
}

/// The buffer grows five times as much as the cache, and is given back.
fn the_line_that_leaks_comes_before_one_whose_memory_is_freed_each_time(python: &Python) {
    let folder = tempfile::tempdir().expect("a folder");
    let script = program("leak.py").to_string_lossy().into_owned();
    let words = python.command.iter().cloned().chain([script]);
    let said = record(folder.path(), &words.collect::<Vec<_>>());
    let said = said.lines().last().expect("what it leaks");
    let said: Value = serde_json::from_str(said).expect("JSON");
    let text = report(folder.path(), &["--memory"]);
    let mut lines = text.lines();
    let head = "Retained at the end, most likely from:";
    lines.find(|line| *line == head).expect(head);
    let first = lines.next().expect("a line");
    let place = format!("remember (leak.py:{})", said["leaks"]);
    assert!(first.ends_with(&place), "{first}\n{text}");
    let retained = first.split_whitespace().next();
    let retained: f64 = retained.map_or(0.0, |mib| mib.parse().expect("MiB"));
    let kept = said["kept"].as_f64().expect("bytes") / f64::from(1 << 20);
    // What grew while the sampler got no CPU is attributed to the lines around.
    assert!(
        (0.5..1.25).contains(&(retained / kept)),
        "{retained} of {kept}\n{text}"
    );
    let first = text.lines().find(|line| line.starts_with("Function: "));
    let first = first.expect("a table");
    assert!(first.starts_with("Function: remember at"), "{text}");
}

test_on!(the_line_that_leaks_comes_before_one_whose_memory_is_freed_each_time: v3_8 v3_11 v3_13);

/// What line_profiler measured, by function and line: hits and seconds.
type Timings = BTreeMap<(String, u32), (f64, f64)>;

/// Of lines that were executed less often, the time per hit is chance.
const MANY_HITS: f64 = 1e5;

/// Lines of planted_lines.py.
const FILL: &str = "block = bytearray(MEGABYTES * 1_000_000)";
const FREE: &str = "del block";

/// The program that line_profiler slows down tenfold, and how many segments it has then and when it is sampled: the more,
/// the longer it runs, and of the lines of a function each has the same share.
const SCATTER: [&str; 5] = ["scatter.py", "-nx", "48", "-ny", "48"];
const SEGMENTS_PROFILED: [&str; 2] = ["-nc", "200"];
const SEGMENTS_SAMPLED: [&str; 2] = ["-nc", "400"];

/// How far line_profiler may be off, in points of percent: the time that it takes itself is that of the cheapest line,
/// which takes some time, too.
const LINE_PROFILER_TOLERANCE: f64 = 5.0;

/// Runs scatter.py with every function of it under line_profiler.
fn kernprof(python: &Path, folder: &Path) -> Timings {
    let words = ["-m", "kernprof", "-l", "-p", "scatter.py"];
    let mut command = Command::new(python);
    command.current_dir(folder).args(words);
    stdout(command.args(SCATTER).args(SEGMENTS_PROFILED));
    let load = "import json, line_profiler, sys; s = line_profiler.load_stats(sys.argv[1]); \
                print(json.dumps([[f[2], l, n, t * s.unit] \
                for f, ls in s.timings.items() for l, n, t in ls]))";
    let mut command = Command::new(python);
    command
        .current_dir(folder)
        .args(["-c", load, "scatter.py.lprof"]);
    let rows: Value = serde_json::from_str(&stdout(&mut command)).expect("JSON");
    let rows = rows.as_array().expect("rows").iter();
    let lines = rows.map(|row| {
        let function = row[0].as_str().expect("a name").to_owned();
        let line = row[1].as_u64().expect("a line") as u32;
        let number = |at: usize| row[at].as_f64().expect("a number");
        ((function, line), (number(2), number(3)))
    });
    lines.collect()
}

/// The time that line_profiler itself takes for each hit: that of the cheapest line.
fn overhead_s(timings: &Timings) -> f64 {
    let many = timings.values().filter(|(hits, _)| *hits >= MANY_HITS);
    many.map(|(hits, s)| s / hits).fold(f64::INFINITY, f64::min)
}

/// Of a function, the percentage of each line, without line_profiler's own time for each hit.
fn shares(timings: &Timings, function: &str) -> BTreeMap<u32, f64> {
    let overhead_s = overhead_s(timings);
    let own = timings.iter().filter(|((name, _), _)| name == function);
    let times = own.map(|((_, line), (hits, s))| (*line, (s - hits * overhead_s).max(0.0)));
    percentages(&times.collect())
}

fn percentages(times: &BTreeMap<u32, f64>) -> BTreeMap<u32, f64> {
    let whole: f64 = times.values().sum();
    let lines = times.iter();
    lines.map(|(line, s)| (*line, 100.0 * s / whole)).collect()
}

/// What rsamp recorded of the lines of a function.
struct Sampled {
    shares: BTreeMap<u32, f64>,
    samples: f64,
}

fn sampled(file: &Value, function: &str) -> Sampled {
    let lines = file["lines"].as_array().expect("lines").iter();
    let own = lines.filter(|line| line["name"] == function);
    let times = own.filter_map(|line| {
        let wall_ns = line["total"]["wall_ns"].as_f64()?;
        Some((line["line"].as_u64()? as u32, wall_ns))
    });
    let times: BTreeMap<u32, f64> = times.collect();
    let recorded_ns = file["totals"]["wall_ns"].as_f64().expect("a time");
    Sampled {
        samples: effective_samples(file) * times.values().sum::<f64>() / recorded_ns,
        shares: percentages(&times),
    }
}

/// Compares with two runs under line_profiler. A busy machine interrupts it in lines that chance chooses: how far the
/// runs differ tells how well it knows.
fn check_lines(function: &str, ours: &Sampled, theirs: [BTreeMap<u32, f64>; 2]) {
    let of = |shares: &BTreeMap<u32, f64>, line: u32| *shares.get(&line).unwrap_or(&0.0);
    let lines: Vec<u32> = theirs[0].keys().copied().collect();
    let mean = |line: u32| (of(&theirs[0], line) + of(&theirs[1], line)) / 2.0;
    let apart = |line: u32| (of(&theirs[0], line) - of(&theirs[1], line)).abs();
    let told = format!(
        "{function}: {:?} in {:.0} samples, line_profiler: {theirs:?}",
        ours.shares, ours.samples
    );
    let hottest = lines.iter().max_by(|a, b| mean(**a).total_cmp(&mean(**b)));
    let hottest = *hottest.expect("a line");
    let most = ours.shares.values().copied().fold(0.0, f64::max);
    // Of two lines that are about equal, chance may show either as the hottest.
    let allowed = apart(hottest) + 3.0 * chance_percent(0.5, ours.samples);
    assert!(
        most - of(&ours.shares, hottest) <= allowed,
        "line {hottest} is the hottest\n{told}"
    );
    if function != "inside" {
        return;
    }
    for line in lines {
        // What the share may be in truth, and what chance may make of it.
        let farthest = (mean(line) + LINE_PROFILER_TOLERANCE).min(50.0);
        let chance = chance_percent(farthest / 100.0, ours.samples);
        let allowed = LINE_PROFILER_TOLERANCE + apart(line) + 3.0 * chance;
        let difference = (of(&ours.shares, line) - mean(line)).abs();
        assert!(difference <= allowed, "line {line}\n{told}");
    }
}

/// Lines of `inside` call nothing, so that line_profiler's own time falls on each hit of them alike.
#[test]
fn scatter_has_the_hottest_lines_that_line_profiler_finds() {
    needs!(RSAMP_PROFILERS);
    let python = prepared("RSAMP_PROFILERS").join("bin/python");
    let folder = tempfile::tempdir().expect("a folder");
    fs::copy(program("scatter.py"), folder.path().join("scatter.py")).expect("copied");
    let timings = [(); 2].map(|()| kernprof(&python, folder.path()));
    let words = SCATTER.iter().chain(&SEGMENTS_SAMPLED);
    let words = words.map(|word| (*word).to_owned());
    let python = python.to_string_lossy().into_owned();
    let words: Vec<String> = std::iter::once(python).chain(words).collect();
    record(folder.path(), &words);
    let file = json(folder.path());
    for function in ["inside", "field_at_point", "greens"] {
        let theirs = [0, 1].map(|run| shares(&timings[run], function));
        check_lines(function, &sampled(&file, function), theirs);
    }
}

/// memory_profiler looks before and after each line; so both see what a line leaves behind.
#[test]
fn memory_grows_where_memory_profiler_sees_it() {
    needs!(RSAMP_PROFILERS);
    let python = prepared("RSAMP_PROFILERS").join("bin/python");
    let folder = tempfile::tempdir().expect("a folder");
    let text = fs::read_to_string(program("planted_lines.py")).expect("read");
    let profiled = text.replace("def memory():", "@profile\ndef memory():");
    fs::write(folder.path().join("planted.py"), profiled).expect("written");
    let mut command = Command::new(&python);
    command.current_dir(folder.path());
    let theirs = stdout(command.args(["-m", "memory_profiler", "planted.py", "memory"]));
    let script = program("planted_lines.py").to_string_lossy().into_owned();
    let words = [
        python.to_string_lossy().into_owned(),
        script,
        "memory".to_owned(),
    ];
    record(folder.path(), &words);
    let ours = report(folder.path(), &["--memory", "memory"]);
    for (content, column) in [(FILL, 5), (FREE, 7)] {
        let (own, other) = (mib(&ours, content, column), mib(&theirs, content, 3).0);
        assert!(
            is_booked(own, other),
            "{content}: {own:?}, {other}\n{ours}\n{theirs}"
        );
    }
}

#[test]
fn source_that_changed_is_shown_as_it_ran() {
    needs!(v3_11);
    let python = python("v3_11").command;
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("planted.py");
    let text = fs::read_to_string(program("planted_lines.py")).expect("read");
    fs::write(&script, &text).expect("written");
    let words = python
        .into_iter()
        .chain(["planted.py".to_owned(), "work".to_owned()]);
    record(folder.path(), &words.collect::<Vec<_>>());
    let note = "the source changed since the recording";
    assert!(!report(folder.path(), &["--wide", "--lines", "work"]).contains(note));
    fs::write(&script, text.replace("burn(0.07)", "burn(0.08)")).expect("written");
    let changed = report(folder.path(), &["--wide", "--lines", "work"]);
    assert!(
        changed.contains(note) && changed.contains("burn(0.07)"),
        "{changed}"
    );
    fs::remove_file(&script).expect("removed");
    let gone = report(folder.path(), &["--wide", "--lines", "work"]);
    assert!(
        !gone.contains(note) && gone.contains("burn(0.07)"),
        "{gone}"
    );
}

/// A file that the program itself changes before it calls a function for the first time: the text that is there then
/// is not what runs. The change has the same length, so that nothing else shows it.
#[test]
fn source_that_is_changed_while_the_program_runs_is_noted() {
    needs!(v3_11);
    let python = python("v3_11").command;
    let folder = tempfile::tempdir().expect("a folder");
    let text = "import sys, time\n\ndef late(end):\n    while time.perf_counter() < end:\n        pass\n\n\
                time.sleep(0.1)\nif sys.argv[1] == 'change':\n    text = open(__file__).read()\n    \
                open(__file__, 'w').write(text.replace('pass', 'None'))\nlate(time.perf_counter() + 0.4)\n";
    let script = folder.path().join("edited.py");
    fs::write(&script, text).expect("written");
    // The clocks of files and processes have steps of some milliseconds: the process is to be younger for certain.
    std::thread::sleep(std::time::Duration::from_millis(100));
    let note = "the file was changed after the program had started";
    for (argument, is_changed) in [("leave", false), ("change", true)] {
        let words = [script.to_string_lossy().into_owned(), argument.to_owned()];
        let words: Vec<String> = python.iter().cloned().chain(words).collect();
        record(folder.path(), &words);
        let shown = report(folder.path(), &["--wide", "--lines", "late"]);
        assert_eq!(shown.contains(note), is_changed, "{argument}\n{shown}");
    }
}
