//! Turns the arguments of `rsamp attach` into a run that reads a running process.

use std::ffi::OsString;

use super::error::RequestError;
use super::outputs::outputs;
use super::sampling::{bounds, extras, sampling};
use crate::cli::args::{self, AttachArgs};
use crate::process::Pid;
use crate::run::request::{Attach, ShowProgress};
use crate::sampler::Children;

/// Builds what `rsamp attach` asks for.
///
/// # Errors
/// When it cannot be carried out.
pub fn attach(args: &AttachArgs) -> Result<Attach, RequestError> {
    Ok(Attach {
        pid: target("attach", args.target.pid, &args.target.words)?,
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

/// The process that was named with `--pid`, or else by the words.
pub(super) fn target(
    subcommand: &'static str,
    pid: Option<Pid>,
    words: &[OsString],
) -> Result<Pid, RequestError> {
    let (pid, surplus) = match (pid, words) {
        (Some(pid), words) => (Ok(pid), words),
        (None, [pid, words @ ..]) => (args::pid(&pid.to_string_lossy()), words),
        (None, []) => return Err(RequestError::NoPid { subcommand }),
    };
    if !surplus.is_empty() {
        let surplus: Vec<_> = surplus.iter().map(|word| word.to_string_lossy()).collect();
        return Err(RequestError::PidAndCommand {
            subcommand,
            words: surplus.join(" "),
        });
    }
    pid.map_err(|_| RequestError::InvalidPid(words[0].to_string_lossy().into_owned()))
}
