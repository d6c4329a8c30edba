//! A recording to be read, whose header was read.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::sync::Arc;

use crate::recording::{Header, Reader, SourceText};

/// A recording whose header was read.
pub struct Input {
    /// The file, as typed or as the pattern gave it.
    pub path: PathBuf,
    /// What it says of itself.
    pub header: Header,
    /// Its name among the others; `None` when there are no others.
    pub name: Option<String>,
    /// Whether its name is its host and rank, which its processes tell too.
    pub is_named_by_place: bool,
    /// The launch that it is of, where the name of its folder tells.
    pub launch: Option<String>,
    /// The source text that it holds, once it was read.
    pub source: Vec<SourceText>,
    /// The files that were changed after the program had started.
    pub changed_files: Vec<Arc<str>>,
    /// A pipe cannot be opened again for the rest. (All files would be too many to keep open.)
    pub(super) kept: Option<FileReader>,
}

/// Reads one recording from a file or pipe.
pub(super) type FileReader = Reader<BufReader<File>>;
