//! Turns launchers' environments into ranks, and launchers' command lines into ones with rsamp in front of the program.
//!
//! And the job of a batch system into its processes on all its nodes, and what is asked of them into a command on each.

mod ranks;

mod options;

pub(crate) mod wrappers;

mod command_line;

pub(crate) mod batch;

pub(crate) mod scripts;

pub(crate) mod programs;

pub(crate) mod shims;

pub(crate) mod job;

pub(crate) use command_line::{Launch, LaunchError, LauncherChoice, find, prefix};
pub(crate) use job::{Job, JobName, SlurmError};
pub(crate) use ranks::{JobContext, STEP_LAUNCH};
