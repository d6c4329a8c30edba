//! Turns the name of a shell into its completion script on standard output.

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::args::Args;
use crate::cli::errors::exit_code;
use crate::cli::terminal::streams;

/// Prints the script.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(shell: Shell) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "rsamp", &mut script);
    streams::print(&String::from_utf8_lossy(&script))
        .context("write the completions to standard output")?;
    Ok(exit_code::OK)
}
