//! Turns the arguments of `rsamp top` into a view of a running process.

use super::attach::target;
use super::error::RequestError;
use super::filters::mode;
use super::sampling::sampling;
use crate::cli::args::{SamplingArgs, TopArgs};
use crate::launch::JobName;
use crate::process::Pid;
use crate::profile::Mode;
use crate::profile::snapshot::Span;
use crate::run::request::{ColourChoice, Sampling};
use crate::sampler::Children;

/// `rsamp top`, ready to be carried out.
#[derive(Debug, Clone, PartialEq)]
pub struct Top {
    /// What to watch.
    pub target: TopTarget,
    /// How to sample.
    pub sampling: Sampling,
    /// Which part of the time is shown first.
    pub span: Span,
    /// Which time is shown first.
    pub mode: Mode,
    /// Whether idle waits are shown first.
    pub has_idle: bool,
    /// Where it is shown.
    pub form: TopForm,
    /// When it is coloured.
    pub colour: ColourChoice,
}

/// What a live view is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TopTarget {
    /// This process.
    Process(Pid),
    /// The processes of this job on this node.
    Job(JobName),
    /// The process that the user chooses.
    Choice,
}

/// Where a live view is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopForm {
    /// On a terminal, until the user ends it.
    Screen,
    /// As text, so many times; `None`: until the program ends.
    Text(Option<usize>),
}

/// Builds what `rsamp top` asks for.
///
/// # Errors
/// When it cannot be carried out.
pub fn top(args: &TopArgs) -> Result<Top, RequestError> {
    let of_sampler = SamplingArgs {
        rate: args.rate,
        max_overhead: args.max_overhead,
        never_stop: args.never_stop,
        no_children: args.no_children,
        ..SamplingArgs::default()
    };
    let pid = || target("top", args.pid, &args.words);
    let target = match &args.job {
        Some(job) => TopTarget::Job(job.clone()),
        None => match pid() {
            Err(RequestError::NoPid { .. }) if !args.batch => TopTarget::Choice,
            pid => TopTarget::Process(pid?),
        },
    };
    Ok(Top {
        target,
        sampling: sampling(&of_sampler, Children::Followed),
        span: match args.window {
            0 => Span::Whole,
            seconds => Span::Seconds(usize::from(seconds)),
        },
        mode: mode(args.mode),
        has_idle: args.idle,
        form: match args.batch {
            true => TopForm::Text(args.number),
            false => TopForm::Screen,
        },
        colour: args.color.into(),
    })
}
