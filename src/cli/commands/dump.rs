//! Turns a running process into its threads' stacks on standard output, once.

use anyhow::{Context, Result};

use crate::cli::recording::START_TIMEOUT;
use crate::cli::request::{self, DEFAULT_RATE_HZ, DumpForm};
use crate::cli::{dump_json, dump_text, exit_code, streams};
use crate::process::Process;
use crate::sampler::{self, Settings};

/// Prints the stacks.
///
/// # Errors
/// When the process cannot be read or standard output cannot be written.
pub fn run(request: request::Dump) -> Result<u8> {
    // Says at once that there is no such process, or that it is a thread of another.
    Process::open(request.pid)?;
    let settings = Settings {
        rate_hz: DEFAULT_RATE_HZ,
        duration: None,
        start_timeout: Some(START_TIMEOUT),
    };
    let dump = sampler::dump(request.pid, &settings)?;
    let text = match request.form {
        DumpForm::Text => dump_text::text(&dump),
        DumpForm::Json => dump_json::json(&dump).context("build the JSON")?,
    };
    streams::print(&text).context("write to standard output")?;
    Ok(exit_code::OK)
}
