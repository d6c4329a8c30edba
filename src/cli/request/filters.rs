//! Turns the filters as typed into a selection.

use super::error::RequestError;
use crate::cli::args::{self, FilterArgs};
use crate::profile::Mode;
use crate::profile::filter::{Hidden, Selection};

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
    let importlib = args.no_importlib.then_some(Hidden::ImportSystem);
    let files = args.hide.iter().cloned().map(Hidden::Files);
    Ok(Selection {
        mode: match args.mode {
            args::Mode::Wall => Mode::Wall,
            args::Mode::Cpu => Mode::Cpu,
            args::Mode::Gil => Mode::Gil,
        },
        threads: args.thread.clone(),
        processes: args.process.clone(),
        states: args
            .state
            .iter()
            .flat_map(|states| states.0.clone())
            .collect(),
        ranks: args.rank.clone(),
        steps: args.step.clone(),
        from: args.from,
        to: args.to,
        function: args.function.clone(),
        focus: args.focus.clone(),
        hidden: stdlib.into_iter().chain(importlib).chain(files).collect(),
    })
}
