//! Turns requests into deeds, one file per subcommand.

pub mod record;

pub mod attach;

pub mod report;

pub mod dump;

pub mod completions;

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
