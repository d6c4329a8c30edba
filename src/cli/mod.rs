//! Turns what the user typed into a recording and its files.
//!
//! The stages, in order: [`args`] (as typed) → [`request`] (as built) → [`commands`] (the work).

use std::process::ExitCode;

use clap::Parser;

mod args;
mod request;

mod commands;

mod interrupt;

mod ending;
mod errors;
mod terminal;

use crate::cpython::{image_reader, legacy_helper, read_images};
use crate::launch::shims;
use crate::process::outlive_file_size_limit;
use crate::run::sources::{READ_SOURCES, reader};
use args::{Args, Command};
use ending::Ending;
use errors::exit_code;
use errors::hints::Action;
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
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(exit_code::USAGE));
        }
    };
    match run(&args.command) {
        Ok(ending) => ending.carry_out(),
        Err((error, doing)) => {
            streams::complain(Severity::Error, &error, &doing);
            ExitCode::from(exit_code::of(&error))
        }
    }
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
        Command::Report(args) => {
            let request = request::report(args).map_err(misread("report"))?;
            commands::report::run(&request).map_err(|error| (error, Action::Report))
        }
        Command::Diff(args) => {
            let request = request::diff(args).map_err(misread("diff"))?;
            commands::diff::run(&request).map_err(|error| (error, Action::Report))
        }
        Command::Dump(args) => {
            if let Some(request) = request::dump_job(args).map_err(misread("dump"))? {
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
        Command::ReadLegacy { pid } => legacy_helper::serve(*pid)
            .map(|()| exit_code::OK)
            .map_err(|error| (error.into(), Action::Reading(legacy_helper::READ_LEGACY))),
        Command::Completions(args) => commands::completions::run(args.shell)
            .map_err(|error| (error, Action::Reading("completions"))),
    };
    code.map(Ending::from)
}

fn misread(subcommand: &'static str) -> impl FnOnce(RequestError) -> (anyhow::Error, Action) {
    move |error| (error.into(), Action::Reading(subcommand))
}
