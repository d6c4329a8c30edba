//! Turns launchers' environments into ranks, and launchers' command lines into ones with rsamp in front of the program.
//!
//! And the job of a batch system into its processes on all its nodes, and what is asked of them into a command on each.

mod ranks;

mod options;

pub mod wrappers;

mod command_line;

pub mod batch;

pub mod scripts;

pub mod programs;

pub mod shims;

pub mod job;

pub use command_line::{Launch, LaunchError, Launcher, LauncherChoice, find, prefix};
pub use job::{InvalidJobName, Job, JobName, SlurmError};
pub use ranks::{JobContext, STEP_LAUNCH};
