//! Turns requests into deeds, one file per subcommand.

pub mod record;

pub mod launch;

pub mod shim;

pub mod attach;

pub mod report;

pub mod diff;

pub mod dump;

pub mod completions;

use super::escape::escaped;
use super::exit_code;
use super::hints::Doing;
use super::inputs::Trouble;
use super::outputs::Outcome;
use super::report as summary;
use super::streams::{self, Severity};

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
        streams::complain(Severity::Error, &error, &Doing::Report);
        if code == exit_code::OK {
            code = exit_code::of(&error);
        }
    }
    code
}
