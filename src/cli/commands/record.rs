//! Turns a command into a running program, a profile of it, and its exit code.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, anyhow};

use super::launch::{self, RunMode};
use crate::cli::commands;
use crate::cli::ending::Ending;
use crate::cli::errors::hints::Action;
use crate::cli::errors::{advice, exit_code};
use crate::cli::terminal::progress::ProgressLine;
use crate::cli::terminal::streams::{self, Severity};
use crate::cli::terminal::summary;
use crate::launch::JobContext;
use crate::process::{Change, Launched, Pid, Process};
use crate::profile::filter::Ranks;
use crate::run::outputs::{Facts, Kind, Pattern, Plan};
use crate::run::pipeline::Recorded;
use crate::run::request::{Files, Outputs, Placement, Record, Saying, ShowProgress};
use crate::run::{gather, program, program_name};
use crate::sampler::{Ended, SamplerError};

/// Runs the program and profiles it. From its start on, the result is how it ended, whatever fails here.
///
/// # Errors
/// When the program is not started.
pub fn run(request: &Record) -> Result<Ending> {
    let rank = JobContext::own().rank;
    let is_wanted = |rank| request.ranks.iter().any(|ranks| ranks.holds(rank));
    if !request.ranks.is_empty() && rank.is_some_and(|rank| !is_wanted(rank)) {
        return Err(program::become_program(&request.command).into());
    }
    if runs_rsamp(&request.command) {
        let error = anyhow!(
            "the command is itself rsamp record: that one records, with its own options; this one does not"
        );
        let doing = Action::Record(request.command.clone());
        streams::complain(Severity::Warning, &error, &doing);
        return Err(program::become_program(&request.command).into());
    }
    match launch::run_mode(request)? {
        RunMode::Ranks(found) => return launch::run_ranks(request, &found),
        RunMode::Script(line, called) => return launch::run_script(request, line, &called),
        RunMode::Batch(submission) => return launch::submit(request, &submission),
        RunMode::Here => {}
    }
    if !request.ranks.is_empty() && rank.is_none() {
        let error = anyhow!(
            "--ranks {}: no launcher gave this process a rank; rsamp records it",
            listed(&request.ranks)
        );
        streams::complain(Severity::Warning, &error, &Action::Report);
    }
    if let Placement::Rank(folder) = &request.placement {
        let (code, _, launched) = record_into(request, folder, &[])?;
        return Ok(Ending::after(&launched, code));
    }
    let name = program_name(&request.command);
    let facts = Facts::own();
    let in_files = format!("{name}{}", facts.suffix());
    let mut outputs = own_outputs(&request.outputs, &facts)?;
    let one_of_many = rank.filter(|_| facts.in_job.is_one_of_many());
    if one_of_many.is_some() && outputs.is_default() {
        // Graphs are of all ranks together.
        outputs.files = Files::Default(vec![Kind::Recording]);
    }
    let plan = Plan::check(&outputs, &in_files, None)?;
    let mut line = None;
    let mut ran = program::record(request, name, plan, &[], |pid, progress| {
        let (counters, duration) = (Arc::clone(progress), request.sampling.duration);
        line = ProgressLine::start(request.progress, counters, Some(pid), duration);
    })?;
    if let Some(line) = line {
        line.clear();
    }
    if let Ok(recorded) = &mut ran.recorded {
        // Told below, by their names.
        recorded.sampled.running = 0;
    }
    let code = report(request, ran.recorded, ran.code, &facts);
    if !request.saying.quiet {
        warn_of_left(&ran.left);
    }
    Ok(Ending::after(&ran.launched, code))
}

/// Whether the command is `rsamp record` itself, as where a script has it already.
fn runs_rsamp(command: &[OsString]) -> bool {
    let (program, subcommand) = (command.first(), command.get(1));
    let name = program.map(Path::new).and_then(Path::file_name);
    name == Some(OsStr::new("rsamp")) && subcommand.is_some_and(|word| word == "record")
}

fn listed(ranks: &[Ranks]) -> String {
    let words: Vec<String> = ranks.iter().map(Ranks::to_string).collect();
    words.join(",")
}

/// The files to write: where other ranks, or tasks of an array, would write the same, others than were named.
fn own_outputs(outputs: &Outputs, facts: &Facts) -> Result<Outputs> {
    let mut own = outputs.clone();
    let Files::Named(files) = &mut own.files else {
        return Ok(own);
    };
    for file in files {
        let is_special = fs::metadata(&file.path).is_ok_and(|found| !found.is_file());
        if file.path == Path::new("-") || is_special {
            continue;
        }
        let Some(path) = facts.told_apart(&file.path, file.kind.ending())? else {
            continue;
        };
        // Once is enough for all ranks.
        if facts.in_job.rank.unwrap_or(0) == 0 {
            let error = anyhow!(
                "the other ranks or tasks of this job would write {:?} too: each writes a file of its own; this one writes {path:?}",
                file.path
            );
            streams::complain(Severity::Warning, &error, &Action::Report);
        }
        file.pattern = Pattern::with_marks(&path)?;
        file.path = path;
    }
    Ok(own)
}

/// Runs and profiles the program, for another rsamp, or for rsamp itself later: leaves a recording in `folder`, or word that
/// there is none. Returns the program's exit code and process, and what holds Ctrl-C back.
///
/// # Errors
/// When the program is not started.
pub fn record_into(
    request: &Record,
    folder: &Path,
    changes: &[Change],
) -> Result<(u8, Pid, Launched)> {
    let (plan, file) = program::plan_in(request, folder)?;
    let quiet = Record {
        progress: ShowProgress::Never,
        saying: Saying {
            quiet: true,
            ..request.saying
        },
        ..request.clone()
    };
    let name = program_name(&request.command);
    let ran = program::record(&quiet, name, plan, changes, |_, _| ())?;
    match ran.recorded {
        Ok(recorded) => {
            if let Some(error) = &recorded.sampled.too_short {
                // What has no samples and no process is no recording.
                let _ = fs::remove_file(&file);
                gather::leave_note(&file, &error.to_string());
            } else if let Some(error) = summary::errors(&recorded.outcomes).first() {
                gather::leave_note(&file, error);
                // Where the disk is full, the note may not have arrived.
                let facts = Facts::own();
                let rank = facts.in_job.rank.map(|rank| format!("rank {rank} on "));
                let place = rank.unwrap_or_default() + &facts.host;
                streams::complain(
                    Severity::Error,
                    &anyhow!("{place}: {error}"),
                    &Action::Report,
                );
            }
        }
        Err(error) => gather::leave_note(&file, &format!("{error:#}")),
    }
    Ok((ran.code, ran.launched.pid(), ran.launched))
}

/// Says what came of the recording, once the program has ended with `code`, and chooses the exit code.
fn report(request: &Record, recorded: Result<Recorded>, code: u8, facts: &Facts) -> u8 {
    let mut recorded = match recorded {
        Ok(recorded) => recorded,
        Err(error) => {
            let severity = severity(&error);
            let error = error.context(match severity {
                Severity::Warning => without_python(&request.command, code),
                Severity::Error => "the program ran, but nothing was recorded".to_owned(),
            });
            let doing = Action::Record(request.command.clone());
            streams::complain(severity, &error, &doing);
            return match (code, severity) {
                (exit_code::OK, Severity::Error) => advice::exit_code(&error),
                _ => code,
            };
        }
    };
    if recorded.sampled.ended == Ended::Requested {
        // Only the program's end stops the sampling here.
        recorded.sampled.ended = Ended::TargetEnded;
    }
    if !request.saying.quiet {
        let rank = facts.in_job.rank.filter(|_| facts.in_job.is_one_of_many());
        let text = match rank {
            Some(rank) => summary::of_rank(&recorded, rank, &facts.host),
            None => {
                let subject = summary::subject(&request.command);
                summary::text(&recorded, &subject, Some(code), &request.saying)
            }
        };
        streams::say(text.trim_end());
    }
    let is_whole = commands::say_errors(&recorded.outcomes);
    if code == exit_code::OK && !is_whole {
        exit_code::OUTPUT_FAILED
    } else {
        code
    }
}

/// Says what runs on, unrecorded, and how it would be recorded.
fn warn_of_left(left: &[Pid]) {
    let Some((runs, first)) = what_runs_on(left) else {
        return;
    };
    let error = anyhow!("the program ended, but {runs}");
    streams::complain(Severity::Warning, &error, &Action::Record(Vec::new()));
    streams::say(format_args!(
        "hint: rsamp attach --pid {first} records it; what the program waits for (wait, join) rsamp records to its end"
    ));
}

/// What of these processes runs on, and the first of them. What only started a daemon has ended since.
fn what_runs_on(left: &[Pid]) -> Option<(String, Pid)> {
    let alive = left.iter().filter_map(|pid| Process::open(*pid).ok());
    let alive: Vec<Process> = alive.collect();
    let first = alive.first()?;
    let runs = match alive.len() {
        1 => "1 process that it started runs on".to_owned(),
        count => format!("{count} processes that it started run on"),
    };
    let (what, pid) = (first.describe(), first.pid());
    let told = format!("{runs}, unrecorded from here: {what}, process {pid}");
    Some((told, pid))
}

/// `nothing was recorded: bash ended with exit code 3 before any Python ran`.
fn without_python(command: &[OsString], code: u8) -> String {
    let program = command.first().map(Path::new).and_then(Path::file_name);
    let program = program.unwrap_or_default().to_string_lossy();
    format!("nothing was recorded: {program} ended with exit code {code} before any Python ran")
}

/// To run something else than Python under `rsamp record` is no error: job scripts do. Nor is a program
/// that is over at once.
fn severity(error: &anyhow::Error) -> Severity {
    let is_harmless = error.chain().any(|cause| {
        matches!(
            cause.downcast_ref(),
            Some(
                SamplerError::NotPython { .. }
                    | SamplerError::NeverPython { .. }
                    | SamplerError::EndedEarly(_)
            )
        )
    });
    if is_harmless {
        Severity::Warning
    } else {
        Severity::Error
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn what_has_ended_since_does_not_run_on() {
        let mut short = Command::new("true").spawn().expect("started");
        let mut long = Command::new("sleep").arg("1000").spawn().expect("started");
        let [ended, runs] = [&short, &long].map(|child| Pid(child.id() as i32));
        short.wait().expect("waited");
        let (told, first) = what_runs_on(&[ended, runs]).expect("one runs on");
        assert_eq!(first, runs);
        assert!(
            told.starts_with("1 process that it started runs on"),
            "{told}"
        );
        assert_eq!(what_runs_on(&[ended]), None);
        long.kill().expect("killed");
        long.wait().expect("waited");
    }
}
