//! Turns a command into a running program, a profile of it, and its exit code.

use std::any::Any;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;
use std::{fs, thread};

use anyhow::{Context, Result, anyhow};

use super::launch::{self, RunMode};
use crate::cli::commands;
use crate::cli::ending::Ending;
use crate::cli::errors::exit_code;
use crate::cli::errors::hints::Action;
use crate::cli::terminal::progress::ProgressLine;
use crate::cli::terminal::streams::{self, Severity};
use crate::cli::terminal::summary;
use crate::launch::JobContext;
use crate::process::{Change, Launched, Pid, Process, SpawnError, spawn};
use crate::profile::filter::Ranks;
use crate::run::outputs::{Facts, Kind, Pattern, Plan};
use crate::run::pipeline::{Recorded, Recording};
use crate::run::request::{Files, Output, Outputs, Placement, Record, ShowProgress};
use crate::run::{gather, program_name};
use crate::sampler::{Children, Ended, Progress, SamplerError, Stop};

/// The sampler sees the program's end by itself, within a tick or its longest wait, and knows best what it
/// means. Past this time it is told to stop.
const SEE_END: Duration = Duration::from_secs(5);

/// What came of a program that ran.
struct Ran {
    recorded: Result<Recorded>,
    /// The program's exit code.
    code: u8,
    /// The processes that it started and that run on.
    left: Vec<Pid>,
    /// As long as this lives, Ctrl-C and its like are the program's: they don't end rsamp while it writes.
    launched: Launched,
}

/// Runs the program and profiles it. From its start on, the result is how it ended, whatever fails here.
///
/// # Errors
/// When the program is not started.
pub fn run(request: &Record) -> Result<Ending> {
    let rank = JobContext::own().rank;
    let is_wanted = |rank| request.ranks.iter().any(|ranks| ranks.holds(rank));
    if !request.ranks.is_empty() && rank.is_some_and(|rank| !is_wanted(rank)) {
        return Err(become_program(&request.command).into());
    }
    if runs_rsamp(&request.command) {
        let error = anyhow!(
            "the command is rsamp record itself: it records, with its own options, and this rsamp does not"
        );
        let doing = Action::Record(request.command.clone());
        streams::complain(Severity::Warning, &error, &doing);
        return Err(become_program(&request.command).into());
    }
    match launch::run_mode(request)? {
        RunMode::Ranks(found) => return launch::run_ranks(request, &found),
        RunMode::Script(line, called) => return launch::run_script(request, line, &called),
        RunMode::Batch(submission) => return launch::submit(request, &submission),
        RunMode::Here => {}
    }
    if !request.ranks.is_empty() && rank.is_none() {
        let error = anyhow!(
            "--ranks {}: no launcher gave this process a rank, so it is recorded",
            listed(&request.ranks)
        );
        streams::complain(Severity::Warning, &error, &Action::Report);
    }
    if let Placement::Rank(folder) = &request.placement {
        let (code, _, launched) = gathered(request, folder, &[])?;
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
    let mut ran = record(request, name, plan, &[])?;
    if let Ok(recorded) = &mut ran.recorded {
        // Told below, by their names.
        recorded.sampled.running = 0;
    }
    let code = settle(request, ran.recorded, ran.code, &facts);
    if !request.quiet {
        tell_left(&ran.left);
    }
    Ok(Ending::after(&ran.launched, code))
}

/// Whether the command is `rsamp record` itself, as where a script has it already.
fn runs_rsamp(command: &[OsString]) -> bool {
    let (program, subcommand) = (command.first(), command.get(1));
    let name = program.map(Path::new).and_then(Path::file_name);
    name == Some(OsStr::new("rsamp")) && subcommand.is_some_and(|word| word == "record")
}

/// Has this process become the program, without rsamp; returns only when that fails.
fn become_program(command: &[OsString]) -> SpawnError {
    let program = command.first().map(Path::new).unwrap_or(Path::new(""));
    spawn::replace(program, command, &[])
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
                "the other ranks or tasks of this job would write {:?} too: each writes one of its own, this one {path:?}",
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
pub fn gathered(
    request: &Record,
    folder: &Path,
    changes: &[Change],
) -> Result<(u8, Pid, Launched)> {
    let name = program_name(&request.command);
    let mut file = gather::rank_file(folder);
    let outputs = |file: &Path| Outputs {
        files: Files::Named(vec![Output {
            path: file.to_owned(),
            kind: Kind::Recording,
            pattern: None,
        }]),
        ..request.outputs.clone()
    };
    let plan = match Plan::check(&outputs(&file), &name, None) {
        Ok(plan) => plan,
        Err(error) => {
            // A node that does not share the folder: the program runs, and nothing is lost.
            file = gather::rank_file(&std::env::temp_dir());
            let host = Facts::own().host;
            let error = anyhow::Error::new(error)
                .context(format!("the recording is left on {host}, as {file:?}"));
            streams::complain(Severity::Warning, &error, &Action::Report);
            Plan::check(&outputs(&file), &name, None)?
        }
    };
    let quiet = Record {
        progress: ShowProgress::Never,
        quiet: true,
        ..request.clone()
    };
    let ran = record(&quiet, name, plan, changes)?;
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

/// Runs the program, in an environment with these changes, and profiles it.
fn record(request: &Record, name: String, plan: Plan, changes: &[Change]) -> Result<Ran> {
    if request.sampling.children == Children::Adopted {
        spawn::adopt_orphans();
    }
    let mut launched = Launched::spawn_with(&request.command, changes)?;
    let pid = launched.pid();
    let mut recording = Recording {
        pid,
        name,
        command: request
            .command
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect(),
        sampling: request.sampling,
        bounds: request.bounds.clone(),
        extras: request.extras.clone(),
        drawing: request.outputs.drawing,
        shown: request.outputs.shown.clone(),
        start_timeout: None,
        plan,
    };
    let stop = Stop::default();
    let progress = Arc::new(Progress::default());
    let line = ProgressLine::start(request.progress, Arc::clone(&progress), Some(pid));
    let (tell, sampled) = mpsc::sync_channel(1);
    let sampler = {
        let stop = stop.clone();
        thread::Builder::new()
            .name("sampler".to_owned())
            .spawn(move || {
                let sampled = recording.sample(&stop, &progress);
                let _ = tell.send(());
                sampled.map(|sampled| recording.write(sampled))
            })
    };
    let status = launched.wait(|_| ());
    if sampled.recv_timeout(SEE_END) == Err(RecvTimeoutError::Timeout) {
        stop.request();
    }
    let recorded = sampler
        .context("start the sampling thread")
        .and_then(|sampler| match sampler.join() {
            Ok(recorded) => recorded.map_err(|error| anyhow::Error::new(own_program(error))),
            Err(panic) => Err(anyhow!(
                "the sampling failed: {}",
                panic_text(panic.as_ref())
            )),
        });
    if let Some(line) = line {
        line.clear();
    }
    let code = status.context("wait for the program")?.shell_code();
    // Now: a daemon takes a moment to become itself.
    let left = launched.left_behind();
    Ok(Ran {
        recorded,
        code,
        left,
        launched,
    })
}

/// Says what came of the recording, once the program has ended with `code`, and chooses the exit code.
fn settle(request: &Record, recorded: Result<Recorded>, code: u8, facts: &Facts) -> u8 {
    let mut recorded = match recorded {
        Ok(recorded) => recorded,
        Err(error) => {
            let error = error.context("the program ran, but nothing was recorded");
            let severity = severity(&error);
            let doing = Action::Record(request.command.clone());
            streams::complain(severity, &error, &doing);
            return match (code, severity) {
                (exit_code::OK, Severity::Error) => exit_code::of(&error),
                _ => code,
            };
        }
    };
    if recorded.sampled.ended == Ended::Stopped {
        // Only the program's end stops the sampling here.
        recorded.sampled.ended = Ended::TargetEnded;
    }
    if !request.quiet {
        let rank = facts.in_job.rank.filter(|_| facts.in_job.is_one_of_many());
        let text = match rank {
            Some(rank) => summary::of_rank(&recorded, rank, &facts.host),
            None => summary::text(&recorded, "the program"),
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
fn tell_left(left: &[Pid]) {
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

/// That there is no such process means that the program had ended before the first look at it.
fn own_program(error: SamplerError) -> SamplerError {
    match error {
        SamplerError::NoSuchProcess(pid) => SamplerError::EndedEarly(pid),
        other => other,
    }
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

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a bug in rsamp")
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
