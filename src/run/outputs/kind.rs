//! Turns a file's ending, or a name, into what is written there: the recording, or an export of it.

use std::fmt;
use std::path::Path;

use thiserror::Error;

use crate::export::{Format, UnknownFormat};

/// The name and the ending of recordings.
const RECORDING: &str = "rsamp";

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The recording itself, of which every other format can be made later.
    Recording,
    /// One format.
    Export(Format),
}

impl Kind {
    /// The ending of its files, without the dot.
    #[must_use]
    pub fn ending(self) -> &'static str {
        match self {
            Kind::Recording => RECORDING,
            Kind::Export(format) => format.ending(),
        }
    }

    /// Whether it shows what was seen when and needs a profile with that to be written, as
    /// [`Format::has_time_axis`].
    #[must_use]
    pub fn has_time_axis(self) -> bool {
        match self {
            Kind::Recording => false,
            Kind::Export(format) => format.has_time_axis(),
        }
    }

    /// Whether it is not text.
    #[must_use]
    pub fn is_binary(self) -> bool {
        match self {
            Kind::Recording => true,
            Kind::Export(format) => format.is_binary(),
        }
    }

    /// What a file's ending stands for, in whatever case.
    ///
    /// # Errors
    /// When the file has no ending or an unknown one; the text lists the known ones.
    pub fn from_path(path: &Path) -> Result<Kind, UnknownKind> {
        let is_recording = path
            .extension()
            .is_some_and(|ending| ending.eq_ignore_ascii_case(RECORDING));
        if is_recording {
            return Ok(Kind::Recording);
        }
        Format::from_path(path)
            .map(Kind::Export)
            .map_err(Into::into)
    }

    /// What has that name, in whatever case.
    ///
    /// # Errors
    /// When nothing has; the text lists the known ones.
    pub fn from_name(name: &str) -> Result<Kind, UnknownKind> {
        if name.eq_ignore_ascii_case(RECORDING) {
            return Ok(Kind::Recording);
        }
        Format::from_name(name)
            .map(Kind::Export)
            .map_err(Into::into)
    }

    /// The known endings, with the names that differ from them.
    #[must_use]
    pub fn known() -> String {
        format!(".{RECORDING}, {}", Format::known())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Recording => f.write_str("recording"),
            Kind::Export(format) => format.fmt(f),
        }
    }
}

/// The user named a format that there is not.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UnknownKind {
    /// A file without an ending.
    #[error(
        "the name has no ending that names a format: give one of {}",
        Kind::known()
    )]
    NoEnding,
    /// An ending that stands for no format.
    #[error("unknown ending .{}: give one of {}", .0.escape_debug(), Kind::known())]
    Ending(String),
    /// A name of no format.
    #[error("unknown format {}: give one of {}", .0.escape_debug(), Kind::known())]
    Name(String),
}

impl From<UnknownFormat> for UnknownKind {
    fn from(unknown: UnknownFormat) -> UnknownKind {
        match unknown {
            UnknownFormat::NoEnding => UnknownKind::NoEnding,
            UnknownFormat::Ending(ending) => UnknownKind::Ending(ending),
            UnknownFormat::Name(name) => UnknownKind::Name(name),
        }
    }
}
