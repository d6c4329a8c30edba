//! Turns a command into a running program, a profile of it, and how it ended.

use std::any::Any;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use crate::process::{Change, Launched, Pid, SpawnError, spawn};
use crate::run::outputs::{Facts, Kind, Plan};
use crate::run::pipeline::{Recorded, Recording};
use crate::run::request::{Files, Output, Outputs, Record};
use crate::run::warning::warn;
use crate::run::{gather, program_name};
use crate::sampler::{Children, EndRequest, Progress, SamplerError};

/// The sampler sees the program's end by itself, within a tick or its longest wait, and knows best what it
/// means. Past this time it is told to stop.
const SEE_END: Duration = Duration::from_secs(5);

/// What came of a program that ran.
#[derive(Debug)]
pub struct Ran {
    /// What was recorded, or why nothing was.
    pub recorded: Result<Recorded>,
    /// The program's exit code.
    pub code: u8,
    /// The processes that it started and that run on.
    pub left: Vec<Pid>,
    /// As long as this lives, Ctrl-C and its like are the program's: they don't end rsamp while it writes.
    pub launched: Launched,
}

/// Runs the program, in an environment with these changes, and profiles it.
///
/// `began` is called once it runs, with its process and the counters of the sampler.
///
/// # Errors
/// When the program is not started.
pub fn record(
    request: &Record,
    name: String,
    plan: Plan,
    changes: &[Change],
    began: impl FnOnce(Pid, &Arc<Progress>),
) -> Result<Ran> {
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
    let stop = EndRequest::default();
    let progress = Arc::new(Progress::default());
    began(pid, &progress);
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

/// The plan of one recording in `folder`, and its file: for another rsamp, or for rsamp itself later. Where the folder
/// takes none, it is in the folder for temporary files.
///
/// # Errors
/// When it cannot be written there either.
pub fn plan_in(request: &Record, folder: &Path) -> Result<(Plan, PathBuf)> {
    let name = program_name(&request.command);
    let outputs = |file: &Path| Outputs {
        files: Files::Named(vec![Output {
            path: file.to_owned(),
            kind: Kind::Recording,
            pattern: None,
        }]),
        ..request.outputs.clone()
    };
    let file = gather::rank_file(folder);
    let error = match Plan::check(&outputs(&file), &name, None) {
        Ok(plan) => return Ok((plan, file)),
        Err(error) => anyhow::Error::new(error),
    };
    // A node that does not share the folder: the program runs, and nothing is lost.
    let file = gather::rank_file(&std::env::temp_dir());
    let host = Facts::own().host;
    warn(format_args!(
        "the recording is left on {host}, as {file:?}: {error:#}"
    ));
    Ok((Plan::check(&outputs(&file), &name, None)?, file))
}

/// Has this process become the program, without rsamp; returns only when that fails.
#[must_use]
pub fn become_program(command: &[OsString]) -> SpawnError {
    let program = command.first().map(Path::new).unwrap_or(Path::new(""));
    spawn::replace(program, command, &[])
}

/// That there is no such process means that the program had ended before the first look at it.
fn own_program(error: SamplerError) -> SamplerError {
    match error {
        SamplerError::NoSuchProcess(pid) => SamplerError::EndedEarly(pid),
        other => other,
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a bug in rsamp")
}
