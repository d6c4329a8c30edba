//! Turns the arguments of `rsamp record` into a run of a program.

use super::error::RequestError;
use super::outputs::outputs;
use super::sampling::{bounds, extras, sampling};
use crate::cli::args::RecordArgs;
use crate::run::request::{Placement, Record, ShowProgress};
use crate::sampler::Children;

/// Builds what `rsamp record` asks for.
///
/// # Errors
/// When it cannot be carried out.
pub fn record(args: &RecordArgs) -> Result<Record, RequestError> {
    if let Some(pid) = &args.pid {
        return Err(RequestError::RecordWithPid { pid: pid.clone() });
    }
    if args.command.is_empty() {
        return Err(RequestError::NoCommand);
    }
    Ok(Record {
        command: args.command.clone(),
        placement: placement(args),
        sampling: sampling(&args.sampling, Children::Adopted),
        bounds: bounds(&args.sampling),
        ranks: args.ranks.clone(),
        outputs: outputs(&args.sampling)?,
        extras: extras(&args.sampling),
        progress: match (args.sampling.quiet, args.progress) {
            (true, _) => ShowProgress::Never,
            (false, true) => ShowProgress::AnyTerminal,
            (false, false) => ShowProgress::OwnTerminal,
        },
        saying: args.sampling.saying(),
    })
}

fn placement(args: &RecordArgs) -> Placement {
    match (&args.gather, args.batch_script) {
        (Some(folder), _) => Placement::Rank(folder.clone()),
        (None, Some(line)) => Placement::BatchScript(line),
        (None, None) => Placement::AsTyped(args.launcher.unwrap_or_default().into()),
    }
}
