//! Turns a profile into the bytes of a file format.
//!
//! | format | ending | opened by |
//! |---|---|---|
//! | [`flamegraph`] | `.svg` | any browser |
//! | [`pstats`] | `.pstats` | `python -m pstats`, gprof2dot, snakeviz, tuna |
//! | [`folded`] | `.folded` | flamegraph.pl, inferno, speedscope |
//! | [`text`] | `.txt` | the eye |
//!
//! A profile without a single sample is legal in every one.

use std::fmt;
use std::io;
use std::path::Path;

use thiserror::Error;

use crate::profile::{Profile, View};

pub mod flamegraph;

pub mod pstats;

pub mod folded;

pub mod text;

pub mod rates;

pub mod number;

mod labels;
mod paths;
mod tree;

/// What the outputs say beyond the profile itself.
#[derive(Debug, Clone, Default)]
pub struct Meta {
    /// The headline.
    pub title: String,
    /// The command that was sampled, as one line.
    pub command: String,
    /// Facts for the line below the headline, as `100 Hz`.
    pub facts: Vec<String>,
    /// Which time the widths and columns show.
    pub view: View,
}

/// Why a profile could not be written.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The writer failed.
    #[error("write the {format} output")]
    Write {
        /// What was written.
        format: Format,
        /// What the writer said.
        #[source]
        source: io::Error,
    },
}

/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// An interactive flame graph.
    FlameGraph,
    /// The marshalled dictionary of Python's `pstats` module.
    Pstats,
    /// Collapsed stacks, one per line, with microseconds.
    Folded,
    /// A plain-text report.
    Text,
}

impl Format {
    /// All formats, in the order in which they are listed to the user.
    pub const ALL: [Format; 4] = [
        Format::FlameGraph,
        Format::Pstats,
        Format::Folded,
        Format::Text,
    ];

    /// The name by which a user asks for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Format::FlameGraph => "flamegraph",
            Format::Pstats => "pstats",
            Format::Folded => "folded",
            Format::Text => "text",
        }
    }

    /// The ending of its files, without the dot.
    #[must_use]
    pub fn ending(self) -> &'static str {
        match self {
            Format::FlameGraph => "svg",
            Format::Pstats => "pstats",
            Format::Folded => "folded",
            Format::Text => "txt",
        }
    }

    /// The format that a file's ending stands for, in whatever case.
    ///
    /// # Errors
    /// When the file has no ending or an unknown one; the text lists the known ones.
    pub fn from_path(path: &Path) -> Result<Format, UnknownFormat> {
        let ending = path.extension().map(|ending| ending.to_string_lossy());
        let Some(ending) = ending else {
            return Err(UnknownFormat::NoEnding);
        };
        let found = Format::ALL
            .into_iter()
            .find(|format| ending.eq_ignore_ascii_case(format.ending()));
        found.ok_or_else(|| UnknownFormat::Ending(ending.into_owned()))
    }

    /// The format of that name, in whatever case; endings are understood as names too.
    ///
    /// # Errors
    /// When there is none; the text lists the known ones.
    pub fn from_name(name: &str) -> Result<Format, UnknownFormat> {
        let found = Format::ALL.into_iter().find(|format| {
            name.eq_ignore_ascii_case(format.name()) || name.eq_ignore_ascii_case(format.ending())
        });
        found.ok_or_else(|| UnknownFormat::Name(name.to_owned()))
    }

    /// The known endings with their names: `.svg (flamegraph), .pstats, .folded, .txt (text)`.
    #[must_use]
    pub fn known() -> String {
        let known = Format::ALL.map(|format| match (format.ending(), format.name()) {
            (ending, name) if ending == name => format!(".{ending}"),
            (ending, name) => format!(".{ending} ({name})"),
        });
        known.join(", ")
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The user named a format that there is not.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UnknownFormat {
    /// A file without an ending.
    #[error("no ending that names a format: known are {}", Format::known())]
    NoEnding,
    /// An ending that stands for no format.
    #[error("unknown ending .{}: known are {}", .0.escape_debug(), Format::known())]
    Ending(String),
    /// A name of no format.
    #[error("unknown format {}: known are {}", .0.escape_debug(), Format::known())]
    Name(String),
}

/// Writes `profile` to `out` in one format. `out` should be buffered; it is flushed at the end.
///
/// # Errors
/// When `out` fails.
pub fn write(
    format: Format,
    profile: &Profile,
    meta: &Meta,
    out: &mut dyn io::Write,
) -> Result<(), ExportError> {
    let written = match format {
        Format::FlameGraph => flamegraph::write(profile, meta, out),
        Format::Pstats => pstats::write(profile, meta.view, out),
        Format::Folded => folded::write(profile, meta.view, out),
        Format::Text => text::write(profile, meta, out),
    };
    written
        .and_then(|()| out.flush())
        .map_err(|source| ExportError::Write { format, source })
}
