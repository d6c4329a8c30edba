//! Why a mapped file's symbols could not be had.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::Pid;

/// Why a mapped file's symbols could not be had.
#[derive(Debug, Error)]
pub enum ImageError {
    /// Neither `/proc/PID/map_files`, `/proc/PID/root` nor the path led to the file.
    #[error("open {path} as process {pid} has it mapped")]
    Open {
        /// The process.
        pid: Pid,
        /// The file's path as the process sees it.
        path: PathBuf,
        /// What the last try met.
        #[source]
        source: io::Error,
    },
    /// The path names another file by now.
    #[error("open {path} as process {pid} has it mapped: the path names another file now")]
    Replaced {
        /// The process.
        pid: Pid,
        /// The path.
        path: PathBuf,
    },
    /// Bytes of the file could not be read.
    #[error("read {length} bytes at {offset:#x} of {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// How many.
        length: u64,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The file is no ELF file, or a damaged one.
    #[error("parse {path} as an ELF file")]
    Elf {
        /// The file.
        path: PathBuf,
        /// What goblin said.
        #[source]
        source: goblin::error::Error,
    },
    /// There is more in it than is read of one file, or than could be read in the time there is.
    #[error("read {path}: too many {what}")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Of what.
        what: &'static str,
    },
    /// No executable segment of the file matches an executable mapping.
    #[error("locate {path} in the process: none of its segments is mapped as its headers say")]
    NotPlaced {
        /// The file.
        path: PathBuf,
    },
}
