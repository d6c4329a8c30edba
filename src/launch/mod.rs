//! Turns launchers' environments into ranks, and launchers' command lines into ones with rsamp in front of the program.
//!
//! Nothing here starts or reads a process; what runs is decided by the caller.

pub mod ranks;

pub mod options;

pub mod wrappers;

pub mod command_line;

pub mod batch;

pub mod shims;

pub use command_line::{Launch, LaunchError, Launcher, Wish, find};
pub use ranks::InJob;
