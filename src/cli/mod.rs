//! Turns what the user typed into a recording and its files.
//!
//! The stages, in order: [`args`] (as typed) → [`request`] (as built) → [`commands`] (the work).

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

pub mod args;
pub mod request;

pub mod commands;

pub mod dump_json;
pub mod dump_text;
pub mod escape;
pub mod exit_code;
pub mod number;
pub mod program_name;
pub mod streams;

use args::{Args, Command};

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(exit_code::USAGE));
        }
    };
    match run(&args) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            streams::say(format_args!("rsamp: error: {error:#}"));
            ExitCode::from(exit_code::USAGE)
        }
    }
}

fn run(args: &Args) -> Result<u8> {
    match &args.command {
        Command::Record(args) => {
            request::record(args)?;
            Ok(exit_code::OK)
        }
        Command::Attach(args) => {
            request::attach(args)?;
            Ok(exit_code::OK)
        }
        Command::Dump(args) => {
            request::dump(args)?;
            Ok(exit_code::OK)
        }
        Command::Completions(args) => commands::completions::run(args.shell),
    }
}
