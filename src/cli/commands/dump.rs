//! Turns a running process into its threads' stacks on standard output, once.

use anyhow::{Context, Result};

use crate::cli::errors::exit_code;
use crate::cli::request::{self, DumpForm};
use crate::cli::terminal::streams;
use crate::export::dump::native::keep;
use crate::export::dump::{json, text};
use crate::process::Process;
use crate::sampler;

/// Prints the stacks.
///
/// # Errors
/// When the process cannot be read or standard output cannot be written.
pub fn run(request: request::Dump) -> Result<u8> {
    // Says at once that there is no such process, or that it is a thread of another.
    Process::open(request.pid)?;
    let dump = match request.native {
        Some(which) => {
            let mut dump = sampler::dump_native(request.pid)?;
            keep(&mut dump, which);
            dump
        }
        None => sampler::dump(request.pid)?,
    };
    let text = match request.form {
        DumpForm::Text => text::text(&dump),
        DumpForm::Json => json::json(&dump).context("build the JSON")?,
    };
    streams::print(&text).context("write to standard output")?;
    Ok(exit_code::OK)
}
