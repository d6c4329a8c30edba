//! Turns a command that starts a program on many ranks, or a job script, into one recording of all of them.

use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::cli::commands;
use crate::cli::ending::Ending;
use crate::cli::errors::exit_code;
use crate::cli::errors::hints::Action;
use crate::cli::terminal::streams::{self, Severity};
use crate::cli::terminal::summary;
use crate::launch::batch::{self, BatchError, Call, Submission};
use crate::launch::scripts::{self, Called, ThisMachine};
use crate::launch::{self, Launch, LauncherChoice};
use crate::run::gather::{self, Gathered};
use crate::run::request::{Placement, Record};
use crate::run::{header, launcher, program_name};

/// Which way a command is profiled.
#[derive(Debug)]
pub enum RunMode {
    /// It runs here, with all that descends from it.
    Here,
    /// A launcher starts it on its ranks.
    Ranks(Launch),
    /// It runs a script that starts launchers. The script is the part of this file from that line on.
    Script(Option<usize>, Called),
    /// Slurm runs it later.
    Batch(Submission),
}

/// Finds the way.
///
/// # Errors
/// When the program cannot be told from the launcher's options.
pub fn run_mode(request: &Record) -> Result<RunMode> {
    let wish = match &request.placement {
        Placement::AsTyped(wish) => *wish,
        Placement::BatchScript(line) => {
            let called = scripts::called_by(&request.command, &ThisMachine);
            warn_of_paths(request, &called);
            return Ok(RunMode::Script(Some(*line), called));
        }
        Placement::Rank(_) => return Ok(RunMode::Here),
    };
    if wish == LauncherChoice::None {
        return Ok(RunMode::Here);
    }
    if let Some(submission) = batch::find(&request.command)? {
        return Ok(RunMode::Batch(submission));
    }
    if let Some(launch) = launch::find(&request.command, wish)? {
        warn_of_spawns(request);
        return Ok(RunMode::Ranks(launch));
    }
    let called = scripts::called_by(&request.command, &ThisMachine);
    warn_of_paths(request, &called);
    Ok(match called.launchers.is_empty() {
        true => RunMode::Here,
        false => RunMode::Script(None, called),
    })
}

/// Runs the launcher with rsamp before the program on every rank.
///
/// # Errors
/// When it is not started.
pub fn run_ranks(request: &Record, launch: &Launch) -> Result<Ending> {
    let ran = launcher::run_ranks(request, launch)?;
    let code = report(request, ran.gathered, ran.code);
    Ok(Ending::after(&ran.launched, code))
}

/// Runs a script with links to rsamp in the place of the launchers.
///
/// # Errors
/// When it is not started.
pub fn run_script(request: &Record, line: Option<usize>, called: &Called) -> Result<Ending> {
    let name = match line {
        Some(_) => launcher::job_name(),
        None => program_name(&request.command),
    };
    let plan = launcher::plan(request, &name)?;
    let scratch = launcher::scratch(request, &name)?;
    let prepared = launcher::prepare(request, &scratch, (line, called), &name);
    let ran = prepared.and_then(|(command, changes, own)| {
        commands::record::record_into(
            &Record {
                command,
                ..request.clone()
            },
            &own,
            &changes,
        )
    });
    let (code, pid, launched) = match ran {
        Ok(ran) => ran,
        Err(error) => {
            let _ = fs::remove_dir_all(scratch.path());
            return Err(error);
        }
    };
    if !request.saying.quiet {
        warn_of_unseen(request, scratch.path(), called);
    }
    let header = gather::header(request);
    let gathered = gather::gather(request, &scratch, plan, header, pid);
    Ok(Ending::after(&launched, report(request, gathered, code)))
}

/// Says that ranks which the program starts by itself are not recorded.
fn warn_of_spawns(request: &Record) {
    let Some(script) = scripts::spawns_ranks(&request.command, &ThisMachine) else {
        return;
    };
    let error = anyhow::anyhow!(
        "{script:?} starts MPI processes itself: they run without rsamp and are not recorded"
    );
    let doing = Action::Record(request.command.clone());
    streams::complain(Severity::Warning, &error, &doing);
    streams::say(
        "hint: let the launcher start the workers of an MPIPoolExecutor: mpirun -n 5 python -m mpi4py.futures x.py",
    );
}

/// Says which launchers the script names, and none of which rsamp was called for.
fn warn_of_unseen(request: &Record, scratch: &Path, called: &Called) {
    let folders = fs::read_dir(scratch).into_iter().flatten().flatten();
    let names: Vec<_> = folders.map(|entry| entry.file_name()).collect();
    let is_seen = |launcher: &&&str| {
        let begin = format!("{launcher}-");
        names
            .iter()
            .any(|name| name.to_string_lossy().starts_with(&begin))
    };
    let is_any = called == &Called::any();
    if is_any || called.launchers.is_empty() || called.launchers.iter().any(|name| is_seen(&name)) {
        return;
    }
    let names = called.launchers.join(", ");
    let error = anyhow::anyhow!(
        "the script names {names} but did not find it through PATH: if it ran, its ranks were not recorded"
    );
    let doing = Action::Record(request.command.clone());
    streams::complain(Severity::Warning, &error, &doing);
    streams::say(
        "hint: env -i, exec behind a changed PATH, and sh with a PATH of its own hide rsamp: put rsamp record -- before \
         python there",
    );
}

/// Says which launchers run without rsamp on their ranks, before anybody waits for them.
fn warn_of_paths(request: &Record, called: &Called) {
    for path in &called.by_path {
        let error = anyhow::anyhow!(
            "the script calls {path} by its absolute path: rsamp can't put itself before its programs, and does not record its ranks"
        );
        let doing = Action::Record(request.command.clone());
        streams::complain(Severity::Warning, &error, &doing);
        let name = Path::new(path).file_name().unwrap_or_default();
        streams::say(format_args!(
            "hint: call it {0} in the script, or put rsamp record -- before the program there: {0} … rsamp record -- python …",
            name.to_string_lossy()
        ));
    }
}

/// Submits the script, so that it runs under rsamp on the node.
///
/// # Errors
/// When `sbatch` is not started.
pub fn submit(request: &Record, submission: &Submission) -> Result<Ending> {
    let (name, script) = launcher::read_script(&submission.script)?;
    let options = header::options_before(&request.command);
    let rsamp = launcher::own_path()?;
    let call = Call {
        rsamp: &rsamp,
        options: &options,
    };
    let script = match batch::under_rsamp(&script, call) {
        Ok(script) => script,
        // sbatch refuses it.
        Err(BatchError::NoScript) => script,
        Err(error) => {
            let error = anyhow::Error::new(error).context("the job is submitted without rsamp");
            streams::complain(
                Severity::Warning,
                &error,
                &Action::Record(request.command.clone()),
            );
            streams::say(
                "hint: put rsamp record -- before python, or before the launcher, in the script",
            );
            script
        }
    };
    let (code, launched) = launcher::submit(&request.outputs, submission, &name, &script)?;
    Ok(Ending::after(&launched, code))
}

/// Says what came of the recordings, once the launcher has ended with `code`, and chooses the exit code.
fn report(request: &Record, gathered: Gathered, code: u8) -> u8 {
    let Gathered {
        recorded,
        trouble,
        missing,
        cut_off,
        notes,
        kept,
    } = gathered;
    if let Some(recorded) = recorded.as_ref().filter(|_| !request.saying.quiet) {
        let subject = match request.placement {
            Placement::BatchScript(_) => format!("job {}", launcher::job_name()),
            _ => summary::subject(&request.command),
        };
        let text = summary::text(recorded, &subject, Some(code), &request.saying);
        streams::say(text.trim_end());
    }
    let doing = Action::Record(request.command.clone());
    let what = match &recorded {
        Some(_) => "nothing was recorded of a part of the program",
        None => "the program ran, but nothing was recorded",
    };
    if let Some(reason) = notes
        .first()
        .filter(|_| recorded.is_none() || !request.saying.quiet)
    {
        let more = match notes.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        let error = anyhow::anyhow!("{what}: {}{more}", reason.trim());
        streams::complain(Severity::Warning, &error, &doing);
    }
    for line in &cut_off {
        streams::complain(Severity::Warning, &anyhow::anyhow!("{line}"), &doing);
    }
    for line in &missing {
        streams::complain(Severity::Error, &anyhow::anyhow!("{line}"), &doing);
    }
    if !missing.is_empty() {
        streams::say(
            "hint: check that rsamp is installed on every node and that the output folder is shared (name one that is with \
             -o); a rank that was killed at once leaves none either",
        );
    }
    let is_readable = commands::say_trouble(trouble) == exit_code::OK;
    let is_whole = missing.is_empty() && is_readable;
    let is_written = recorded.is_none_or(|recorded| commands::say_errors(&recorded.outcomes));
    if let Some(folder) = kept {
        streams::say(format_args!(
            "rsamp: the recordings of the ranks are kept in {}",
            summary::shown(&folder)
        ));
    }
    match (code, is_written, is_whole) {
        (exit_code::OK, false, _) => exit_code::OUTPUT_FAILED,
        (exit_code::OK, true, false) => exit_code::BAD_INPUT,
        _ => code,
    }
}
