//! What is read of an interpreter that rsamp has no table for (2.7, 3.3–3.5), where rsamp was built with the feature
//! `legacy`.

use std::error::Error;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

#[cfg(not(feature = "legacy"))]
mod no_reader;
#[cfg(feature = "legacy")]
mod py_spy_reader;

#[cfg(not(feature = "legacy"))]
pub use no_reader::LegacyReader;
#[cfg(feature = "legacy")]
pub use py_spy_reader::LegacyReader;

/// Whether rsamp reads these versions.
pub const IS_BUILT_IN: bool = cfg!(feature = "legacy");

/// Why a legacy interpreter could not be read.
#[derive(Debug, Error)]
pub enum LegacyError {
    /// No interpreter that py-spy knows was found.
    #[error("find a Python interpreter in process {pid}")]
    Open {
        /// The process.
        pid: i32,
        /// What py-spy said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Every try to read the stacks failed.
    #[error("read the stacks of process {pid}, {tries} tries")]
    Read {
        /// The process.
        pid: i32,
        /// How often it was tried.
        tries: u32,
        /// What py-spy said the last time.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// py-spy opens the library by its name, which names another file by now, or none.
    #[error("find a Python interpreter in process {pid}: {path:?} is not what it has mapped")]
    Replaced {
        /// The process.
        pid: i32,
        /// The library's path as the process sees it.
        path: PathBuf,
    },
    /// py-spy panicked: what it read made no sense.
    #[error("read process {pid}: py-spy panicked")]
    Panicked {
        /// The process.
        pid: i32,
    },
}

/// One Python thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegacyThread {
    /// The kernel's thread id in rsamp's PID namespace, where it could be told.
    pub os_thread_id: Option<i32>,
    /// `thread_id` of the `PyThreadState`: the `pthread_t`.
    pub thread_id: u64,
    /// The name that the program gave it; py-spy knows none before 3.6.
    pub name: Option<String>,
    /// Whether it holds the GIL.
    pub holds_gil: bool,
    /// Whether it seems to run: the kernel's state `R` where the thread id is known; else py-spy's
    /// guess from the innermost function's name.
    pub active: bool,
    /// The frames, innermost first.
    pub frames: Vec<RawLegacyFrame>,
    /// Whether it was to be stopped and ran while it was read: then the frames may be of several moments.
    pub is_torn: bool,
}

/// One Python frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawLegacyFrame {
    /// `co_name`.
    pub name: String,
    /// `co_filename`.
    pub filename: String,
    /// `co_firstlineno`, where it could be told.
    pub first_line: Option<u32>,
    /// The line being executed.
    pub line: Option<u32>,
}
