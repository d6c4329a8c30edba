//! Turns requests into deeds, one file per subcommand.

pub(crate) mod record;

pub(crate) mod launch;

pub(crate) mod shim;

pub(crate) mod attach;

pub(crate) mod top;

pub(crate) mod report;

pub(crate) mod diff;

pub(crate) mod dump;

pub(crate) mod dump_job;

pub(crate) mod attach_job;

pub(crate) mod on_node;

pub(crate) mod completions;

pub(crate) mod man_pages;

pub(crate) mod help;

use crate::cli::errors::hints::Action;
use crate::cli::errors::{advice, exit_code};
use crate::cli::terminal::streams::{self, Severity};
use crate::cli::terminal::summary;
use crate::export::words::escape::escaped;
use crate::run::inputs::Trouble;
use crate::run::job::JobError;
use crate::run::outputs::Outcome;

/// Says which files could not be written; whether all could.
fn say_errors(outcomes: &[Outcome]) -> bool {
    let errors = summary::errors(outcomes);
    for error in &errors {
        streams::say(format_args!("rsamp: {}: {error}", Severity::Error));
    }
    errors.is_empty()
}

/// Says what is wrong with the recordings, and chooses the exit code.
fn say_trouble(trouble: Trouble) -> u8 {
    for (path, read_bytes) in trouble.cut_off {
        let warning = format!(
            "{path:?} is incomplete (rsamp was killed, the disk was full, or it is still recording): showing the \
             first {read_bytes} bytes"
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
        streams::complain(Severity::Error, &error, &Action::Report);
        if code == exit_code::OK {
            code = advice::exit_code(&error);
        }
    }
    code
}

/// Says what is missing of a job, and chooses the exit code.
fn say_job_errors(errors: Vec<JobError>) -> u8 {
    let mut code = exit_code::OK;
    for error in errors {
        let error = anyhow::Error::new(error);
        streams::complain(Severity::Error, &error, &Action::Job);
        if code == exit_code::OK {
            code = advice::exit_code(&error);
        }
    }
    code
}

/// The first of these is why there is nothing; the others are said.
fn fail_job(mut errors: Vec<JobError>) -> anyhow::Result<u8> {
    if errors.is_empty() {
        return Ok(exit_code::FAILED);
    }
    let first = errors.remove(0);
    say_job_errors(errors);
    Err(first.into())
}
