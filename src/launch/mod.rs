//! Turns launchers' environments into ranks, and launchers' command lines into ones with rsamp in front of the program.
//!
//! And the job of a batch system into its processes on all its nodes, and what is asked of them into a command on each.

pub mod ranks;

pub mod options;

pub mod wrappers;

pub mod command_line;

pub mod batch;

pub mod scripts;

pub mod programs;

pub mod shims;

pub mod job;

pub use command_line::{Launch, LaunchError, Launcher, LauncherChoice, find};
pub use job::{InvalidJobName, Job, JobName, SlurmError};
pub use ranks::{JobContext, STEP_LAUNCH};
