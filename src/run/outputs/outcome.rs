//! What became of a file that was to be written.

use std::path::PathBuf;

use super::destination::WriteError;
use super::kind::Kind;

/// What became of one file.
#[derive(Debug)]
pub struct Outcome {
    /// What it holds.
    pub kind: Kind,
    /// Where it is, when it is anywhere.
    pub saved: Option<Saved>,
    /// Why it is not where it should be.
    pub error: Option<WriteError>,
}

/// A file that was written.
#[derive(Debug, PartialEq, Eq)]
pub struct Saved {
    /// Where.
    pub path: PathBuf,
    /// Its size.
    pub size_bytes: u64,
}
