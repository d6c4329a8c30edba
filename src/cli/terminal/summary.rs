//! Turns what was recorded into the summary, the list of files and the next step.

use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::path::Path;

use crate::cli::terminal::screen;
use crate::export::first_screen::first_screen;
use crate::export::task_table::task_table;
use crate::export::text::summary_of;
use crate::export::words::escape::{escaped, quoted};
use crate::export::words::number::size;
use crate::export::words::rates;
use crate::export::words::units::span;
use crate::export::{Format, ReportInput, SummaryOptions};
use crate::process::own_cpu_ns;
use crate::profile::cores::elapsed;
use crate::profile::event::Nanos;
use crate::run::outputs::{Kind, Outcome, Saved};
use crate::run::pipeline::{Recorded, Sampled};
use crate::run::program_name;
use crate::run::request::Saying;
use crate::sampler::{Budget, Ended, SamplerError};

/// What was profiled, and how it ended: `pd.py ended after 13.5 s (exit code 0)`.
fn head(subject: &str, ended: Ended, after: Nanos, code: Option<u8>) -> String {
    let after = span(after);
    match (ended, code) {
        (Ended::TargetEnded, Some(code)) => {
            format!("{subject} ended after {after} (exit code {code})")
        }
        (Ended::TargetEnded, None) => format!("{subject} ended after {after}"),
        (Ended::DurationOver, _) => format!("{subject} was sampled for {after} and runs on"),
        (Ended::Requested, _) => format!("stopped after {after}; {subject} runs on"),
        (Ended::FunctionSeen, _) => {
            format!("the function of --stop-at was seen after {after}; {subject} runs on")
        }
    }
}

/// How a command is spoken of: by the name of its script, or of the program.
#[must_use]
pub fn subject(command: &[OsString]) -> String {
    let name = program_name(command);
    let words = command.iter().map(Path::new);
    let mut scripts = words.filter(|word| word.file_stem().is_some_and(|stem| *stem == *name));
    let script = scripts.find_map(Path::file_name);
    let subject = script.map_or(name.as_str().into(), OsStr::to_string_lossy);
    escaped(&subject).into_owned()
}

/// The summary that `quiet` silences; ends with a line feed. `subject` is `process 4242` or the program's name, `code`
/// the program's exit code.
#[must_use]
pub fn text(recorded: &Recorded, subject: &str, code: Option<u8>, saying: &Saying) -> String {
    let mut text = summary(recorded, subject, code, saying);
    if saying.tasks && recorded.sampled.too_short.is_none() {
        let input = ReportInput::new(&recorded.sampled.profile, &recorded.meta);
        let _ = write!(text, "\n{}", task_table(&input));
    }
    text
}

fn summary(recorded: &Recorded, subject: &str, code: Option<u8>, saying: &Saying) -> String {
    let sampled = &recorded.sampled;
    let after = sampled.profile.duration();
    let head = format!("rsamp: {}", head(subject, sampled.ended, after, code));
    let mut tail = notes(recorded);
    let input = ReportInput {
        sources: Some(&recorded.sources),
        ..ReportInput::new(&sampled.profile, &recorded.meta)
    };
    let screen = screen::of_stderr(saying.colour);
    if saying.verbose {
        let options = SummaryOptions {
            mode: recorded.meta.mode,
            is_part: recorded.meta.is_part,
            ..SummaryOptions::default()
        };
        let mut out = format!("\n{head}\n");
        tail.iter()
            .for_each(|note| out.push_str(&format!("{note}\n")));
        if sampled.too_short.is_none() {
            out.push_str(&summary_of(&input, &options));
        }
        out.push('\n');
        saved(recorded).for_each(|(kind, saved)| out.push_str(&wrote(kind, saved)));
        return out;
    }
    tail.extend(files(recorded));
    let text = match &sampled.too_short {
        Some(_) => format!("{head}\n{}\n", tail.join("\n")),
        None => first_screen(&input, &head, &tail, &screen),
    };
    format!("\n{text}")
}

/// What is to be said beside the profile.
fn notes(recorded: &Recorded) -> Vec<String> {
    let sampled = &recorded.sampled;
    let mut notes = Vec::new();
    match sampled.running {
        0 => {}
        1 => notes.push("1 process that it started runs on".to_owned()),
        count => notes.push(format!("{count} processes that it started run on")),
    }
    for error in &sampled.unread {
        let what = match error {
            SamplerError::Unstoppable { .. } => "read while running",
            _ => "not sampled",
        };
        notes.push(format!("{what}: {}", escaped(&error.to_string())));
    }
    if let Some(reason) = &sampled.too_short {
        notes.push(format!(
            "no sample: {reason}; the files are valid, but empty"
        ));
    }
    notes.extend(over_budget(sampled));
    notes
}

fn saved(recorded: &Recorded) -> impl Iterator<Item = (Kind, &Saved)> {
    let outcomes = recorded.outcomes.iter();
    outcomes.filter_map(|outcome| Some((outcome.kind, outcome.saved.as_ref()?)))
}

/// What was written, and the next step.
fn files(recorded: &Recorded) -> Vec<String> {
    let names: Vec<String> = saved(recorded)
        .map(|(_, saved)| shown(&saved.path))
        .collect();
    if names.is_empty() {
        return Vec::new();
    }
    let wrote = format!("wrote {}", names.join(", "));
    let recording = saved(recorded).find(|(kind, _)| *kind == Kind::Recording);
    let picture = saved(recorded).find(|(kind, _)| *kind == Kind::Export(Format::FlameGraph));
    let report = |saved: &Saved| format!("rsamp report {} --open, or --lines", shown(&saved.path));
    let report = recording.map(|(_, saved)| report(saved));
    let next = report.or_else(|| {
        let (_, saved) = picture?;
        Some(format!("open {} in a browser", shown(&saved.path)))
    });
    let next = next.map(|next| format!("next: {next}"));
    std::iter::once(wrote).chain(next).collect()
}

/// By how much rsamp used more CPU than the user allowed, up to now, and what for.
fn over_budget(sampled: &Sampled) -> Option<String> {
    let Budget::Held(part) = sampled.budget else {
        return None;
    };
    let writing = Nanos(own_cpu_ns()) - sampled.own_cpu;
    rates::over_budget(&sampled.profile, part, sampled.own_cpu, writing)
}

/// What one of many ranks says: a line, and on the first rank how to see all.
#[must_use]
pub fn of_rank(recorded: &Recorded, rank: u32, host: &str) -> String {
    let sampled = &recorded.sampled;
    let totals = sampled.profile.totals();
    let mut said = match &sampled.too_short {
        Some(reason) => format!("no sample: {}", escaped(&reason.to_string())),
        None => format!(
            "{:.1} s, {} samples",
            elapsed(&sampled.profile).seconds(),
            totals.samples
        ),
    };
    let saved = recorded
        .outcomes
        .iter()
        .filter_map(|outcome| outcome.saved.as_ref());
    for saved in saved.clone() {
        let _ = write!(said, "; wrote {}", shown(&saved.path));
    }
    let mut out = format!("rsamp: rank {rank} on {}: {said}\n", escaped(host));
    let recording = recorded
        .outcomes
        .iter()
        .find(|outcome| outcome.kind == Kind::Recording);
    let path = recording.and_then(|outcome| Some(&outcome.saved.as_ref()?.path));
    if let Some(path) = path.filter(|_| rank == 0) {
        let _ = writeln!(
            out,
            "rsamp: all ranks in one: {}",
            merge_command(path, rank)
        );
    }
    out
}

/// How to merge the recordings of all ranks, of which this is one.
fn merge_command(path: &Path, rank: u32) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match name.rfind(&format!("-r{rank}")) {
        Some(at) => {
            let begin = path.with_file_name(&name[..at]);
            let (all, one) = (
                shown(&begin.with_file_name(format!("{}-r*.rsamp", &name[..at]))),
                shown(&begin.with_file_name(format!("{}.rsamp", &name[..at]))),
            );
            format!("rsamp report {all} -o {one}")
        }
        None => "rsamp report FILE_OF_EACH_RANK... -o all.rsamp".to_owned(),
    }
}

/// The line on a file that was written.
#[must_use]
pub fn wrote(kind: Kind, saved: &Saved) -> String {
    let (path, size) = (shown(&saved.path), size(saved.size_bytes));
    format!("wrote {path} ({size}): {}\n", use_of(kind, saved))
}

/// What went wrong with the files, one line each; `--quiet` does not silence it.
#[must_use]
pub fn errors(outcomes: &[Outcome]) -> Vec<String> {
    let failed = outcomes
        .iter()
        .filter_map(|outcome| Some((outcome, outcome.error.as_ref()?)));
    let lines = failed.map(|(outcome, error)| {
        let rest = match &outcome.saved {
            Some(saved) if outcome.kind == Kind::Recording && saved.path != error.path => {
                format!("; saved as {} instead", shown(&saved.path))
            }
            _ if outcome.kind == Kind::Recording && error.written_bytes > 0 => {
                "; what was written until then can be read".to_owned()
            }
            None if outcome.kind == Kind::Recording => String::new(),
            Some(saved) => format!("; saved as {} instead", shown(&saved.path)),
            None => "; it could not be saved elsewhere either".to_owned(),
        };
        format!("{error}: {}{rest}", error.source)
    });
    lines.map(|line| escaped(&line).into_owned()).collect()
}

fn use_of(kind: Kind, saved: &Saved) -> String {
    let path = shown(&saved.path);
    let Kind::Export(format) = kind else {
        return format!("recording; to view or convert it: rsamp report {path}");
    };
    format.open_with(&path)
}

/// A path as it can be pasted into a shell, and cannot steer the terminal.
#[must_use]
pub fn shown(path: &Path) -> String {
    if path == Path::new("-") {
        return "standard output".to_owned();
    }
    quoted(&path.to_string_lossy())
}
