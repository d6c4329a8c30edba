//! Turns recordings into a summary on standard output, or into files of other formats.

use std::path::Path;

use anyhow::{Context, Result};

use crate::cli::escape::escaped;
use crate::cli::inputs::{self, Input, Trouble};
use crate::cli::outputs::Plan;
use crate::cli::request;
use crate::cli::streams::{self, Severity};
use crate::cli::{commands, exit_code, overview, report as summary};
use crate::process::Pid;
use crate::profile::Profile;

/// Makes the report.
///
/// # Errors
/// When nothing can be read, or a file cannot be written.
pub fn run(request: &request::Report) -> Result<u8> {
    let mut trouble = Trouble::default();
    let mut inputs = inputs::open(inputs::expand(&request.inputs)?, &mut trouble)?;
    let name = overview::name(&inputs);
    let plan = match &request.outputs {
        Some(outputs) => Some(Plan::check(outputs, &name, None)?),
        None => None,
    };
    let mut profile = Profile::default();
    inputs::read(&mut inputs, &mut trouble, &mut |event| profile.apply(event));
    let is_written = match plan {
        Some(plan) => write(&plan, &inputs, &profile, request.quiet),
        None => {
            streams::print(&overview::text(&inputs, &profile))
                .context("write to standard output")?;
            true
        }
    };
    let code = say(trouble);
    Ok(if is_written {
        code
    } else {
        exit_code::OUTPUT_FAILED
    })
}

/// Whether everything was written.
fn write(plan: &Plan, inputs: &[Input], profile: &Profile, quiet: bool) -> bool {
    // Names a file that could not be written where it should be.
    let pid = Pid(profile.processes().first().map_or(0, |process| process.pid));
    let outcomes = plan.write(profile, &overview::meta(inputs, profile), pid, Vec::new());
    if !quiet {
        for outcome in &outcomes {
            let saved = outcome.saved.as_ref();
            if let Some(saved) = saved.filter(|saved| saved.path != Path::new("-")) {
                streams::say(summary::wrote(outcome.kind, saved).trim_end());
            }
        }
    }
    commands::say_errors(&outcomes)
}

/// Says what is wrong with the recordings, and chooses the exit code.
fn say(trouble: Trouble) -> u8 {
    for (path, read_bytes) in trouble.cut_off {
        let warning = format!(
            "{path:?} has no end: rsamp was killed, or the disk was full, or it is still being \
             recorded; the {read_bytes} bytes that can be read are shown"
        );
        streams::say(format_args!(
            "rsamp: {}: {}",
            Severity::Warning,
            escaped(&warning)
        ));
    }
    let mut code = exit_code::OK;
    for error in trouble.errors {
        let error = anyhow::Error::new(error);
        streams::complain(Severity::Error, &error, &crate::cli::hints::Doing::Report);
        if code == exit_code::OK {
            code = exit_code::of(&error);
        }
    }
    code
}
