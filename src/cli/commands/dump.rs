//! Turns a running process into its threads' stacks, or its asyncio tasks, on standard output, once.

use anyhow::{Context, Result};

use crate::cli::errors::exit_code;
use crate::cli::request::{self, DumpForm, Dumped};
use crate::cli::terminal::streams;
use crate::export::dump::native::keep;
use crate::export::dump::{json, tasks, text};
use crate::process::Process;
use crate::sampler;

/// Prints the stacks.
///
/// # Errors
/// When the process cannot be read or standard output cannot be written.
pub fn run(request: request::Dump) -> Result<u8> {
    // Says at once that there is no such process, or that it is a thread of another.
    Process::open(request.pid)?;
    let dump = match (request.native, request.what) {
        (Some(which), _) => {
            let mut dump = sampler::dump_native(request.pid)?;
            keep(&mut dump, which);
            dump
        }
        (None, Dumped::Threads) => sampler::dump(request.pid)?,
        (None, Dumped::Tasks) => sampler::dump_with_tasks(request.pid)?,
    };
    let text = match (request.form, request.what) {
        (DumpForm::Text, Dumped::Threads) => text::text(&dump),
        (DumpForm::Text, Dumped::Tasks) => tasks::text(&dump),
        (DumpForm::Json, _) => json::json(&dump).context("build the JSON")?,
    };
    streams::print(&text).context("write to standard output")?;
    Ok(exit_code::OK)
}
