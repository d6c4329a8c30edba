//! Turns the name of a shell into its completion script on standard output.

use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
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
    clap_complete::generate(shell, &mut shown(&Args::command()), "rsamp", &mut script);
    streams::print(&String::from_utf8_lossy(&script))
        .context("write the completions to standard output")?;
    Ok(exit_code::OK)
}

/// The command without the commands and options that are for rsamp itself, which the scripts would offer.
fn shown(command: &Command) -> Command {
    let name = command.get_name().to_owned();
    let about = command.get_about().cloned().unwrap_or_default();
    Command::new(name)
        .about(about)
        .disable_help_flag(true)
        .disable_help_subcommand(true)
        .args(
            command
                .get_arguments()
                .filter(|arg| !arg.is_hide_set())
                .cloned(),
        )
        .subcommands(
            command
                .get_subcommands()
                .filter(|c| !c.is_hide_set())
                .map(shown),
        )
}
