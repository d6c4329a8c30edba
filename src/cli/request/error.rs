//! Why a command line cannot be carried out.

use std::path::PathBuf;

use thiserror::Error;

use crate::export::diff::UnknownDiffFormat;
use crate::launch::JobName;
use crate::run::outputs::{PatternError, UnknownKind};

/// Why a command line cannot be carried out.
#[derive(Debug, Error)]
pub enum RequestError {
    /// `rsamp record --pid 4242 …`.
    #[error("`record` starts a program and takes no --pid")]
    RecordWithPid {
        /// What was typed behind `--pid`.
        pid: String,
    },
    /// `rsamp attach --pid 4242 python x.py`.
    #[error("`{subcommand}` reads a running process and takes no command: {words}")]
    PidAndCommand {
        /// `attach` or `dump`.
        subcommand: &'static str,
        /// The words too many.
        words: String,
    },
    /// The PID is no number, or none that a process can have.
    #[error("invalid process id {0:?}: give a whole number above 0")]
    InvalidPid(String),
    /// `rsamp on-node` was typed by hand.
    #[error("rsamp starts on-node itself, for --job")]
    OnNode,
    /// There are only names, and no recording.
    #[error("no recording to report on: name one before --lines or --memory")]
    NoRecording,
    /// `--open` with files of which none is a page.
    #[error("--open needs an HTML page: leave out --output, or name a file that ends in .html")]
    NothingToOpen,
    /// The ending of a file stands for no format.
    #[error("choose a format for {path:?}")]
    Ending {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: UnknownKind,
    },
    /// `rsamp diff` with a file or format that it does not make.
    #[error("choose a format for the diff")]
    DiffFormat(#[source] UnknownDiffFormat),
    /// `rsamp diff --normalize --fail-if +5%`.
    #[error(
        "with --normalize the time of all threads is equal: name a function in --fail-if, such as solve:+5%, or leave out --normalize"
    )]
    LimitOfScaledTime,
    /// A mark in the name of a file that stands for nothing.
    #[error(transparent)]
    Name(#[from] PatternError),
    /// The same file twice.
    #[error("{0:?} is named twice with --output")]
    SameFileTwice(PathBuf),
    /// An end at or before the start.
    #[error("no time is between --from {from} and --to {to}")]
    NoTimeBetween {
        /// In seconds.
        from: f64,
        /// In seconds.
        to: f64,
    },
    /// Neither a process nor a job was named.
    #[error("no process to {subcommand}: name one with --pid")]
    NoPid {
        /// `attach`, `dump` or `top`.
        subcommand: &'static str,
    },
    /// `rsamp top --job 4242` where none of its processes runs Python.
    #[error("watch job {job} on this node: of your {looked_at} processes in it none runs Python")]
    NoPythonOfJob {
        /// The job as typed.
        job: JobName,
        /// How many processes it has on this node.
        looked_at: usize,
    },
    /// `rsamp top … | less`.
    #[error("top needs a terminal as standard input and output")]
    NoTerminal,
    /// There is no command at all, or an empty word for one.
    #[error("no command to run")]
    NoCommand,
}
