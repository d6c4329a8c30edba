//! Turns a topic into its text on standard output, or a command into its page with every option explained.

use anyhow::{Context, Result};
use clap::{Command, CommandFactory};

use crate::cli::args::{Args, Topic};
use crate::cli::errors::exit_code;
use crate::cli::terminal::streams;

/// Prints the text; without a topic, what `rsamp --help` does.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(topic: Option<Topic>) -> Result<u8> {
    let mut rsamp = Args::command();
    rsamp.build();
    let page = match topic.map(Topic::text) {
        None => rsamp.render_help(),
        // clap breaks the lines where the terminal ends.
        Some(Ok(text)) => Command::new("topic")
            .max_term_width(80)
            .help_template("{after-help}")
            .after_help(text)
            .render_help(),
        Some(Err(name)) => match rsamp.find_subcommand_mut(name) {
            Some(command) => command.render_long_help(),
            None => rsamp.render_help(),
        },
    };
    let page = page.to_string();
    streams::print(&format!("{}\n", page.trim())).context("write the help to standard output")?;
    Ok(exit_code::OK)
}
