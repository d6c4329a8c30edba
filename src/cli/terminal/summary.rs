//! Turns what was recorded into the summary, the list of files and the next step.

use std::fmt::Write;
use std::path::Path;

use crate::export::SummaryOptions;
use crate::export::text::summary;
use crate::export::words::escape::{escaped, quoted};
use crate::export::words::number::size;
use crate::export::words::rates;
use crate::process::own_cpu_ns;
use crate::profile::cores::elapsed;
use crate::profile::event::Nanos;
use crate::run::outputs::{Kind, Outcome, Saved};
use crate::run::pipeline::{Recorded, Sampled};
use crate::sampler::{Ended, SamplerError};

/// The summary that `--quiet` silences; ends with a line feed. `subject` is `process 4242` or `the program`.
#[must_use]
pub fn text(recorded: &Recorded, subject: &str) -> String {
    let mut out = String::from("\nrsamp: ");
    out.push_str(&match recorded.sampled.ended {
        Ended::TargetEnded => format!("{subject} ended\n"),
        Ended::DurationOver => format!("the duration is over; {subject} ran on\n"),
        Ended::Stopped => format!("stopped; {subject} runs on\n"),
        Ended::FunctionSeen => format!("the function of --stop-at was seen; {subject} ran on\n"),
    });
    match recorded.sampled.running {
        0 => {}
        1 => out.push_str("1 process that it started runs on\n"),
        count => {
            let _ = writeln!(out, "{count} processes that it started run on");
        }
    }
    for error in &recorded.sampled.unread {
        let what = match error {
            SamplerError::Unstoppable { .. } => "read while running",
            _ => "not sampled",
        };
        let _ = writeln!(out, "{what}: {}", escaped(&error.to_string()));
    }
    if let Some(reason) = &recorded.sampled.too_short {
        let _ = writeln!(out, "no sample: {reason}; the files are valid, but empty");
    } else {
        out.push_str(&summary(
            &recorded.sampled.profile,
            &SummaryOptions::default(),
        ));
    }
    let exceeded = sampled_beyond(&recorded.sampled);
    let _ = exceeded.map(|said| writeln!(out, "{said}"));
    out.push('\n');
    let written = recorded
        .outcomes
        .iter()
        .filter_map(|outcome| Some((outcome.kind, outcome.saved.as_ref()?)));
    for (kind, saved) in written {
        out.push_str(&wrote(kind, saved));
    }
    out
}

/// By how much rsamp used more CPU than the user allowed, up to now, and what for.
fn sampled_beyond(sampled: &Sampled) -> Option<String> {
    let writing = Nanos(own_cpu_ns()) - sampled.own_cpu;
    rates::over_budget(
        &sampled.profile,
        sampled.max_overhead?,
        sampled.own_cpu,
        writing,
    )
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
