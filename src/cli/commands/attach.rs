//! Turns a running process into a profile, until it ends, the time is over or Ctrl-C.

use std::sync::Arc;

use anyhow::{Context, Result};

use crate::cli::commands;
use crate::cli::errors::exit_code;
use crate::cli::interrupt::Interrupts;
use crate::cli::terminal::progress::ProgressLine;
use crate::cli::terminal::{streams, summary};
use crate::process::Process;
use crate::run::outputs::Plan;
use crate::run::pipeline::{Recording, START_TIMEOUT};
use crate::run::request::Attach;
use crate::run::{caller, program_name};
use crate::sampler::{EndRequest, Progress};

/// Profiles the process.
///
/// # Errors
/// When it cannot be profiled, or a file cannot be written and nothing was sampled.
pub fn run(request: &Attach) -> Result<u8> {
    let interrupts = Interrupts::hold_back().context("hold back Ctrl-C")?;
    let process = Process::open(request.pid)?;
    let command = process.command_line();
    let is_foreign = process
        .credentials()?
        .is_none_or(|its| its.uid() != caller::uid());
    let words: Vec<_> = command.iter().map(Into::into).collect();
    let name = program_name(&words);
    let mut recording = Recording {
        pid: request.pid,
        plan: Plan::check(&request.outputs, &name, Some(request.pid))?.private(is_foreign),
        name,
        command,
        sampling: request.sampling,
        bounds: request.bounds.clone(),
        extras: request.extras.clone(),
        drawing: request.outputs.drawing,
        shown: request.outputs.shown.clone(),
        start_timeout: Some(START_TIMEOUT),
    };
    let stop = EndRequest::default();
    interrupts
        .turn_into(stop.clone())
        .context("watch for Ctrl-C")?;
    let progress = Arc::new(Progress::default());
    let line = ProgressLine::start(
        request.progress,
        Arc::clone(&progress),
        None,
        request.sampling.duration,
    );
    let recorded = recording
        .sample(&stop, &progress)
        .map(|sampled| recording.write(sampled));
    if let Some(line) = line {
        line.clear();
    }
    let recorded = recorded?;
    if !request.saying.quiet {
        let subject = format!("process {}", request.pid);
        let text = summary::text(&recorded, &subject, None, &request.saying);
        streams::say(text.trim_end());
    }
    let is_whole = commands::say_errors(&recorded.outcomes);
    Ok(if is_whole {
        exit_code::OK
    } else {
        exit_code::OUTPUT_FAILED
    })
}
