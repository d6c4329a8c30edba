//! Turns `--job`, and what the rsamp on a node is told, into what is asked of the processes of a job.

use std::ffi::OsString;

use super::dump::{DumpForm, Dumped, form, native, what};
use super::error::RequestError;
use super::outputs::outputs;
use super::sampling::{bounds, extras, sampling};
use crate::cli::args::{AttachArgs, DumpArgs, OnNodeArgs};
use crate::launch::JobName;
use crate::profile::native_frames::NativeFrames;
use crate::run::request::AttachJob;
use crate::sampler::Children;

/// `rsamp dump --job`, ready to be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DumpJob {
    /// The job.
    pub job: JobName,
    /// What to read.
    pub what: Dumped,
    /// What to print.
    pub form: DumpForm,
    /// Which native frames to show; `None`: none are read.
    pub native: Option<NativeFrames>,
}

/// `rsamp on-node`, ready to be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnNode {
    /// The step of the job that rsamp runs in; `None`: all.
    pub step: Option<String>,
    /// What to do with each process.
    pub work: OnNodeWork,
}

/// What to do with the processes of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnNodeWork {
    /// Read their stacks once.
    Dump,
    /// The same, with native frames.
    DumpNative,
    /// The same, with asyncio tasks.
    DumpTasks,
    /// Attach to each with these options.
    Attach(Vec<OsString>),
}

/// The option of `dump` that a node is told.
pub const NATIVE: &str = "--native";

/// The option of `dump` for asyncio tasks, as one rsamp tells it to another.
pub const TASKS: &str = "--tasks";

/// Builds what `rsamp attach --job` asks for; `None` without `--job`.
///
/// # Errors
/// When it cannot be carried out.
pub fn attach_job(args: &AttachArgs) -> Result<Option<AttachJob>, RequestError> {
    let Some(job) = &args.target.job else {
        return Ok(None);
    };
    Ok(Some(AttachJob {
        job: job.clone(),
        // Each process of the job is attached to by itself.
        sampling: sampling(&args.sampling, Children::Followed),
        bounds: bounds(&args.sampling),
        outputs: outputs(&args.sampling)?,
        extras: extras(&args.sampling),
        saying: args.sampling.saying(),
    }))
}

/// Builds what `rsamp dump --job` asks for; `None` without `--job`.
#[must_use]
pub fn dump_job(args: &DumpArgs) -> Option<DumpJob> {
    let job = args.target.job.as_ref()?;
    Some(DumpJob {
        job: job.clone(),
        what: what(args),
        form: form(args),
        native: native(args),
    })
}

/// Builds what another rsamp asks of this one.
///
/// # Errors
/// When no rsamp would ask that.
pub fn on_node(args: &OnNodeArgs) -> Result<OnNode, RequestError> {
    let work = match args.words.split_first() {
        Some((word, [])) if word == "dump" => OnNodeWork::Dump,
        Some((word, [option])) if word == "dump" && option == NATIVE => OnNodeWork::DumpNative,
        Some((word, [option])) if word == "dump" && option == TASKS => OnNodeWork::DumpTasks,
        Some((word, options)) if word == "attach" => OnNodeWork::Attach(options.to_vec()),
        _ => return Err(RequestError::OnNode),
    };
    Ok(OnNode {
        step: args.step.clone(),
        work,
    })
}
