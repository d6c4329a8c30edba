//! Turns a request into finished files: a run, from the first sample or the first recording read to the last file.
//!
//! ```text
//! request ─► pipeline ─► events ─► sinks (recorders, profile) ─► outputs (the files)
//!            inputs   ──►          merge ────────────────────►
//!            live     ──► snapshots for a live view
//! ```
//!
//! What the user typed, exit codes, and what is said on the terminal are not here: the command line asks this room.

pub(crate) mod request;

mod sink;

pub(crate) mod pipeline;

pub(crate) mod live;

pub(crate) mod inputs;

pub(crate) mod merge;

pub(crate) mod gather;

pub(crate) mod job;

pub(crate) mod outputs;

pub(crate) mod sources;

pub(crate) mod program;

pub(crate) mod launcher;

pub(crate) mod header;

pub(crate) mod headlines;

pub(crate) mod caller;

mod input;

mod launches;

mod program_name;

mod hottest;

mod python_processes;

mod shown;

pub(crate) mod work;

mod warning;

pub use sources::reader::{
    Appeared as SourceAppeared, Found as FoundSource, Request as SourceRequest,
    Whose as SourceOwner,
};

pub(crate) use program_name::program_name;
pub(crate) use python_processes::{
    PythonProcess, PythonProcesses, python_processes, python_processes_among,
};
