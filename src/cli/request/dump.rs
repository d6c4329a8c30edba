//! Turns the arguments of `rsamp dump` into a process and a form.

use super::attach::target;
use super::error::RequestError;
use super::filters;
use crate::cli::args::DumpArgs;
use crate::process::Pid;
use crate::profile::native_frames::NativeFrames;

/// `rsamp dump`, ready to be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dump {
    /// The process.
    pub pid: Pid,
    /// What to read.
    pub what: Dumped,
    /// What to print.
    pub form: DumpForm,
    /// Which native frames to show; `None`: none are read.
    pub native: Option<NativeFrames>,
}

/// What a dump shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dumped {
    /// The stacks of the threads.
    Threads,
    /// The asyncio tasks; in JSON, the stacks of the threads too.
    Tasks,
}

/// The form of a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DumpForm {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Builds what `rsamp dump` asks for.
///
/// # Errors
/// When it cannot be carried out.
pub fn dump(args: &DumpArgs) -> Result<Dump, RequestError> {
    Ok(Dump {
        pid: target("dump", args.target.pid, &args.target.words)?,
        what: what(args),
        form: form(args),
        native: native(args),
    })
}

pub(super) fn what(args: &DumpArgs) -> Dumped {
    if args.tasks {
        Dumped::Tasks
    } else {
        Dumped::Threads
    }
}

pub(super) fn form(args: &DumpArgs) -> DumpForm {
    if args.json {
        DumpForm::Json
    } else {
        DumpForm::Text
    }
}

pub(super) fn native(args: &DumpArgs) -> Option<NativeFrames> {
    let frames = filters::native_frames(args.native_frames);
    args.native.then_some(frames)
}
