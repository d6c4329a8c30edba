//! Turns requests into deeds, one file per subcommand.

pub mod record;

pub mod attach;

pub mod dump;

pub mod completions;

use super::recording::Recorded;
use super::report;
use super::streams::{self, Severity};

/// Says which files could not be written; whether all could.
fn say_errors(recorded: &Recorded) -> bool {
    let errors = report::errors(recorded);
    for error in &errors {
        streams::say(format_args!("rsamp: {}: {error}", Severity::Error));
    }
    errors.is_empty()
}
