//! Turns what was recorded into the summary, the list of files and the next step.

use std::fmt::Write;
use std::path::Path;

use super::escape::{escaped, quoted};
use super::outputs::Saved;
use super::recording::Recorded;
use crate::export::Format;
use crate::export::number::size;
use crate::export::text::{SummaryOptions, summary};
use crate::sampler::Ended;

/// The summary that `--quiet` silences; ends with a line feed. `subject` is `process 4242` or `the program`.
#[must_use]
pub fn text(recorded: &Recorded, subject: &str) -> String {
    let mut out = String::from("\nrsamp: ");
    out.push_str(&match recorded.sampled.ended {
        Ended::TargetEnded => format!("{subject} ended\n"),
        Ended::DurationOver => format!("the duration is over; {subject} ran on\n"),
        Ended::Stopped => format!("stopped; {subject} runs on\n"),
    });
    if let Some(reason) = &recorded.sampled.too_short {
        let _ = writeln!(
            out,
            "too short for a sample: {reason}; the files are valid, but empty"
        );
    } else {
        out.push_str(&summary(
            &recorded.sampled.profile,
            &SummaryOptions::default(),
        ));
    }
    out.push('\n');
    let written = recorded
        .outcomes
        .iter()
        .filter_map(|outcome| Some((outcome.format, outcome.saved.as_ref()?)));
    for (format, saved) in written {
        let _ = writeln!(
            out,
            "wrote {} ({}): {}",
            shown(&saved.path),
            size(saved.size_bytes),
            use_of(format, saved)
        );
    }
    out
}

/// What went wrong with the files, one line each; `--quiet` does not silence it.
#[must_use]
pub fn errors(recorded: &Recorded) -> Vec<String> {
    let failed = recorded
        .outcomes
        .iter()
        .filter_map(|outcome| Some((outcome, outcome.error.as_ref()?)));
    let lines = failed.map(|(outcome, error)| {
        let rest = match &outcome.saved {
            Some(saved) => format!("; saved as {} instead", shown(&saved.path)),
            None => "; it could not be saved elsewhere either".to_owned(),
        };
        format!("{error}: {}{rest}", error.source)
    });
    lines.map(|line| escaped(&line).into_owned()).collect()
}

fn use_of(format: Format, saved: &Saved) -> String {
    let path = shown(&saved.path);
    match format {
        Format::FlameGraph => "flame graph, open it in a browser".to_owned(),
        Format::Pstats => {
            format!("python -m pstats {path}; gprof2dot, snakeviz and tuna open it too")
        }
        Format::Folded => "collapsed stacks, for speedscope and flamegraph.pl".to_owned(),
        Format::Text => "report".to_owned(),
    }
}

/// A path as it can be pasted into a shell, and cannot steer the terminal.
fn shown(path: &Path) -> String {
    if path == Path::new("-") {
        return "standard output".to_owned();
    }
    quoted(&path.to_string_lossy())
}
