//! Turns the filters as typed into a selection.

use super::error::RequestError;
use crate::cli::args::{self, FilterArgs, ShownArgs};
use crate::profile::Mode;
use crate::profile::filter::{Hidden, Selection};
use crate::run::request::Shown;

/// Builds what the filters ask for.
///
/// # Errors
/// When nothing can lie between the times.
pub(super) fn selection(args: &FilterArgs) -> Result<Selection, RequestError> {
    if let (Some(from), Some(to)) = (args.from, args.to)
        && from >= to
    {
        return Err(RequestError::NoTimeBetween {
            from: from.seconds(),
            to: to.seconds(),
        });
    }
    let stdlib = args.no_stdlib.then_some(Hidden::StandardLibrary);
    let files = args.hide.iter().cloned().map(Hidden::Files);
    let states = args.state.iter().flat_map(|states| states.0.clone());
    Ok(Selection {
        processes: args.process.clone(),
        states: states.collect(),
        ranks: args.rank.clone(),
        steps: args.step.clone(),
        tasks: args.task.clone(),
        from: args.from,
        to: args.to,
        function: args.function.clone(),
        focus: args.focus.clone(),
        hidden: stdlib.into_iter().chain(files).collect(),
        ..shown(&args.shown).selection()
    })
}

/// Builds what of a run is to be shown.
pub(super) fn shown(args: &ShownArgs) -> Shown {
    Shown {
        mode: mode(args.mode),
        idle_waits: args.idle,
        threads: args.thread.clone(),
        imports: args.imports,
    }
}

pub(super) fn mode(mode: args::Mode) -> Mode {
    match mode {
        args::Mode::Wall => Mode::Wall,
        args::Mode::Cpu => Mode::Cpu,
        args::Mode::Gil => Mode::Gil,
    }
}
