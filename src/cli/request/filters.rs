//! Turns the filters as typed into a selection.

use super::error::RequestError;
use crate::cli::args::{self, FilterArgs, NativeArgs, NativeFramesArg, ShownArgs};
use crate::profile::Mode;
use crate::profile::filter::{Hidden, Selection};
use crate::profile::native_frames::NativeFrames;
use crate::run::request::Shown;
use crate::run::work::NativeShown;

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
        native: NativeShown::default(),
    }
}

/// Builds how native frames are shown.
pub(super) fn native(args: &NativeArgs) -> NativeShown {
    NativeShown {
        frames: native_frames(args.native_frames),
        classes: args.classes.clone(),
        only: Vec::new(),
    }
}

pub(super) fn native_frames(which: NativeFramesArg) -> NativeFrames {
    match which {
        NativeFramesArg::Libraries => NativeFrames::Libraries,
        NativeFramesArg::All => NativeFrames::All,
        NativeFramesArg::None => NativeFrames::None,
    }
}

pub(super) fn mode(mode: args::Mode) -> Mode {
    match mode {
        args::Mode::Wall => Mode::Wall,
        args::Mode::Cpu => Mode::Cpu,
        args::Mode::Gil => Mode::Gil,
    }
}
