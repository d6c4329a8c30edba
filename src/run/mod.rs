//! Turns a request into finished files: a run, from the first sample or the first recording read to the last file.
//!
//! ```text
//! request ─► pipeline ─► events ─► sinks (recorders, profile) ─► outputs (the files)
//!            inputs   ──►          merge ────────────────────►
//!            live     ──► snapshots for a live view
//! ```
//!
//! What the user typed, exit codes, and what is said on the terminal are not here: the command line asks this room.

pub mod request;

pub mod sink;

pub mod pipeline;

pub mod live;

pub mod inputs;

pub mod merge;

pub mod gather;

pub mod job;

pub mod outputs;

pub mod sources;

pub mod program;

pub mod launcher;

pub mod header;

pub mod headlines;

pub mod caller;

mod input;

mod launches;

mod program_name;

mod hottest;

mod python_processes;

mod shown;

pub mod work;

mod warning;

pub use program_name::program_name;
pub use python_processes::{
    PythonProcess, PythonProcesses, python_processes, python_processes_among,
};
