//! Why a command line cannot be carried out.

use std::path::PathBuf;

use thiserror::Error;

use super::filters::FilterError;
use crate::export::diff::UnknownDiffFormat;
use crate::launch::InvalidJobName;
use crate::recording::size_limit::MIN_BYTES;
use crate::run::outputs::{PatternError, UnknownKind};
use crate::run::request::{MAX_DURATION_SECONDS, MAX_RATE_HZ, MIN_RATE_HZ};

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
    /// What is behind `--job` names no job.
    #[error(transparent)]
    InvalidJob(#[from] InvalidJobName),
    /// `rsamp on-node` was typed by hand.
    #[error("on-node is what rsamp starts by itself for --job")]
    OnNode,
    /// The rate is no number, or none that can be kept.
    #[error(
        "invalid --rate {0:?}: give {MIN_RATE_HZ} to {MAX_RATE_HZ} samples per second, or auto"
    )]
    BadRate(String),
    /// The overhead is no number, or no part of a core.
    #[error(
        "invalid --max-overhead {0:?}: give a percentage of one core above 0 and up to 100, such as 1 or 0.5"
    )]
    BadOverhead(String),
    /// The duration is no number, or not positive.
    #[error("invalid --duration {0:?}: give seconds above 0, such as 30 or 2.5")]
    BadDuration(String),
    /// The delay is no number, or not positive.
    #[error(
        "invalid --delay {0:?}: give seconds above 0 and up to {MAX_DURATION_SECONDS}, such as 30 or 2.5"
    )]
    BadDelay(String),
    /// No function has such a name.
    #[error(
        "invalid --{option} {text:?}: give the name of one function, such as solve or Solver.solve"
    )]
    BadFunction {
        /// The option.
        option: &'static str,
        /// What was typed.
        text: String,
    },
    /// The size is none, or too small for any recording.
    #[error("invalid --max-size {0:?}: give a size of at least {min}K, such as 500K, 20M or 1G", min = MIN_BYTES >> 10)]
    BadSize(String),
    /// The number of functions is none.
    #[error("invalid --top {0:?}: give a number of functions from 1 on")]
    BadTop(String),
    /// There are only names, and no recording.
    #[error("no recording to report on: name one before --lines or --memory")]
    NoRecording,
    /// A threshold is no number, or none from 0 to 100.
    #[error("invalid --{option} {text:?}: give a percentage from 0 to 100")]
    BadPercent {
        /// The option.
        option: &'static str,
        /// What was typed.
        text: String,
    },
    /// The ending of a file stands for no format.
    #[error("choose a format for {path:?}")]
    Ending {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: UnknownKind,
    },
    /// `-f` names nothing known.
    #[error("read --format")]
    Format(#[source] UnknownKind),
    /// `rsamp diff` with a file or format that it does not make.
    #[error("choose a format for the diff")]
    DiffFormat(#[source] UnknownDiffFormat),
    /// A filter that cannot be.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// A name that no variable of an environment can have.
    #[error("invalid --env {0:?}: give the name of a variable, without =")]
    NoVariable(String),
    /// A mark in the name of a file that stands for nothing.
    #[error(transparent)]
    Name(#[from] PatternError),
    /// `--batch-script` is for scripts that rsamp made.
    #[error("invalid --batch-script {0:?}: give the number of a line")]
    NoLine(String),
    /// The same file twice.
    #[error("{0:?} is named twice with --output")]
    SameFileTwice(PathBuf),
    /// There is no command at all, or an empty word for one.
    #[error("no command to run")]
    NoCommand,
}
