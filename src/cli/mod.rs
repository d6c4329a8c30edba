//! Turns what the user typed into a recording and its files.
//!
//! The stages, in order: [`args`] (as typed) → [`request`] (as built) → [`commands`] (the work).

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

mod args;
mod request;

mod commands;

mod interrupt;

mod ending;
mod errors;
mod terminal;

use crate::cpython::{image_reader, legacy_helper, read_images};
use crate::export::words::escape::escaped;
use crate::launch::shims;
use crate::native::symbols;
use crate::process::outlive_file_size_limit;
use crate::run::python_processes;
use crate::run::sources::{READ_SOURCES, reader};
use args::{Args, Command};
use ending::Ending;
use errors::hints::Action;
use errors::{advice, exit_code, usage};
use request::RequestError;
use terminal::streams::{self, Severity};

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    outlive_file_size_limit();
    if let Some(launcher) = std::env::args_os()
        .next()
        .as_deref()
        .and_then(shims::called_as)
    {
        return ExitCode::from(commands::shim::run(launcher));
    }
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return ExitCode::from(misused(&error)),
    };
    match run(&args.command) {
        Ok(ending) => ending.carry_out(),
        Err((error, doing)) => {
            streams::complain(Severity::Error, &error, &doing);
            if let Some(RequestError::NoPid { subcommand }) = error.downcast_ref() {
                streams::say(terminal::processes::list(&python_processes(), subcommand));
            }
            ExitCode::from(advice::exit_code(&error))
        }
    }
}

/// Says what is wrong with the command line, or prints the help that was asked for; returns the exit code.
fn misused(error: &clap::Error) -> u8 {
    let words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let words: Vec<String> = words.collect();
    match usage::usage(error, &Args::command(), &words) {
        Some(usage) => {
            streams::say(format_args!(
                "rsamp: {}: {}",
                Severity::Error,
                escaped(&usage.message)
            ));
            streams::say(format_args!("hint: {}", escaped(&usage.hint)));
        }
        None => {
            let _ = error.print();
        }
    }
    u8::try_from(error.exit_code()).unwrap_or(exit_code::USAGE)
}

/// Carries out what was typed; an error comes with what was being done.
fn run(command: &Command) -> Result<Ending, (anyhow::Error, Action)> {
    let code = match command {
        Command::Record(args) => {
            let request = request::record(args).map_err(misread("record"))?;
            let doing = Action::Record(request.command.clone());
            return commands::record::run(&request).map_err(|error| (error, doing));
        }
        Command::Attach(args) => {
            if let Some(request) = request::attach_job(args).map_err(misread("attach"))? {
                return commands::attach_job::run(&request)
                    .map(Ending::from)
                    .map_err(|error| (error, Action::Job));
            }
            let request = request::attach(args).map_err(misread("attach"))?;
            commands::attach::run(&request).map_err(|error| (error, Action::Attach(request.pid)))
        }
        Command::Top(args) => {
            let request = request::top(args).map_err(misread("top"))?;
            commands::top::run(&request).map_err(|error| (error, Action::Top))
        }
        Command::Report(args) => {
            let request = request::report(args).map_err(misread("report"))?;
            commands::report::run(&request).map_err(|error| (error, Action::Report))
        }
        Command::Diff(args) => {
            let request = request::diff(args).map_err(misread("diff"))?;
            commands::diff::run(&request).map_err(|error| (error, Action::Report))
        }
        Command::Dump(args) => {
            if let Some(request) = request::dump_job(args) {
                return commands::dump_job::run(&request)
                    .map(Ending::from)
                    .map_err(|error| (error, Action::Job));
            }
            let request = request::dump(args).map_err(misread("dump"))?;
            commands::dump::run(request).map_err(|error| (error, Action::Dump(request.pid)))
        }
        Command::OnNode(args) => {
            let request = request::on_node(args).map_err(misread("on-node"))?;
            commands::on_node::run(&request).map_err(|error| (error, Action::Job))
        }
        Command::ReadSources => reader::serve()
            .map(|()| exit_code::OK)
            .map_err(|error| (error.into(), Action::Reading(READ_SOURCES))),
        Command::ReadImages => read_images::serve()
            .map(|()| exit_code::OK)
            .map_err(|error| (error.into(), Action::Reading(image_reader::READ_IMAGES))),
        Command::ReadSymbols => symbols::reader::serve()
            .map(|()| exit_code::OK)
            .map_err(|error| (error.into(), Action::Reading(symbols::reader::READ_SYMBOLS))),
        Command::ReadLegacy { pid } => legacy_helper::serve(*pid)
            .map(|()| exit_code::OK)
            .map_err(|error| (error.into(), Action::Reading(legacy_helper::READ_LEGACY))),
        Command::Help(args) => {
            commands::help::run(args.topic).map_err(|error| (error, Action::Reading("help")))
        }
        Command::Completions(args) => commands::completions::run(args.shell)
            .map_err(|error| (error, Action::Reading("completions"))),
        Command::ManPages { folder } => {
            commands::man_pages::run(folder).map_err(|error| (error, Action::Reading("man-pages")))
        }
    };
    code.map(Ending::from)
}

fn misread(subcommand: &'static str) -> impl FnOnce(RequestError) -> (anyhow::Error, Action) {
    move |error| (error.into(), Action::Reading(subcommand))
}
