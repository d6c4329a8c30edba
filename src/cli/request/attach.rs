//! Turns the arguments of `rsamp attach` into a run that reads a running process.

use super::error::RequestError;
use super::outputs::outputs;
use super::sampling::{bounds, extras, sampling};
use crate::cli::args::{self, AttachArgs, TargetArgs};
use crate::process::Pid;
use crate::run::request::{Attach, ShowProgress};
use crate::sampler::Children;

/// Builds what `rsamp attach` asks for.
///
/// # Errors
/// When it cannot be carried out.
pub fn attach(args: &AttachArgs) -> Result<Attach, RequestError> {
    Ok(Attach {
        pid: target("attach", &args.target)?,
        sampling: sampling(&args.sampling, Children::Followed),
        bounds: bounds(&args.sampling),
        outputs: outputs(&args.sampling)?,
        extras: extras(&args.sampling),
        progress: if args.sampling.quiet {
            ShowProgress::Never
        } else {
            ShowProgress::AnyTerminal
        },
        saying: args.sampling.saying(),
    })
}

pub(super) fn target(subcommand: &'static str, args: &TargetArgs) -> Result<Pid, RequestError> {
    let (pid, surplus) = match (args.pid, args.words.as_slice()) {
        (Some(pid), words) => (Ok(pid), words),
        (None, [pid, words @ ..]) => (args::pid(&pid.to_string_lossy()), words),
        (None, []) => return Err(RequestError::NoPid { subcommand }),
    };
    if !surplus.is_empty() {
        let words: Vec<_> = surplus.iter().map(|word| word.to_string_lossy()).collect();
        return Err(RequestError::PidAndCommand {
            subcommand,
            words: words.join(" "),
        });
    }
    pid.map_err(|_| RequestError::InvalidPid(args.words[0].to_string_lossy().into_owned()))
}
