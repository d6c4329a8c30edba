//! Turns what differs between two recordings into the bytes of a file format.
//!
//! | format | ending | opened by |
//! |---|---|---|
//! | [`flamegraph`] | `.svg` | any browser |
//! | [`table`] | `.txt` | the eye |
//! | [`csv`] | `.csv` | a spreadsheet, pandas |
//! | [`json`] | `.json` | scripts |
//! | the page of [`super::Format::Html`] | `.html` | any browser |

use std::fmt;
use std::io;
use std::path::Path;

use thiserror::Error;

use super::html;
use crate::export::ReportInput;
use crate::profile::Profile;
use crate::profile::diff::{Diff, Verdict};

mod names;

pub use names::Names;

mod flamegraph;

pub(crate) mod table;

mod csv;

mod json;

pub(crate) mod verdict;

/// A file format of a diff.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DiffFormat {
    /// A flame graph coloured by what differs.
    FlameGraph,
    /// Tables of plain text.
    Text,
    /// Comma-separated values.
    Csv,
    /// JSON.
    Json,
    /// One page with both recordings.
    Html,
}

/// Both recordings as one, for a format that shows more than the difference.
#[derive(Clone, Copy)]
pub struct Both<'d> {
    /// The profile with the processes of the recording before first, and what was lost in the one after; what is said of it, and
    /// the source of the one after.
    pub input: ReportInput<'d>,
    /// How many processes the recording before has.
    pub base_processes: u32,
    /// The recording after alone.
    pub new: &'d Profile,
}

/// The user named a format that a diff cannot have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("rsamp diff does not write {:?}: give one of {}", .0, DiffFormat::known())]
pub struct UnknownDiffFormat(pub String);

impl DiffFormat {
    /// All formats, in the order in which they are listed to the user.
    pub const ALL: [DiffFormat; 5] = [
        DiffFormat::FlameGraph,
        DiffFormat::Text,
        DiffFormat::Csv,
        DiffFormat::Json,
        DiffFormat::Html,
    ];

    /// The name by which a user asks for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            DiffFormat::FlameGraph => "flamegraph",
            DiffFormat::Text => "text",
            DiffFormat::Csv => "csv",
            DiffFormat::Json => "json",
            DiffFormat::Html => "html",
        }
    }

    /// The ending of its files, without the dot.
    #[must_use]
    pub fn ending(self) -> &'static str {
        match self {
            DiffFormat::FlameGraph => "svg",
            DiffFormat::Text => "txt",
            DiffFormat::Csv => "csv",
            DiffFormat::Json => "json",
            DiffFormat::Html => "html",
        }
    }

    /// The format that a file's ending stands for, in whatever case.
    ///
    /// # Errors
    /// When the file has no ending or an unknown one; the text lists the known ones.
    pub fn from_path(path: &Path) -> Result<DiffFormat, UnknownDiffFormat> {
        let ending = path.extension().unwrap_or_default().to_string_lossy();
        DiffFormat::from_name(&ending).map_err(|_| {
            let name = path.file_name().unwrap_or(path.as_os_str());
            UnknownDiffFormat(name.to_string_lossy().into_owned())
        })
    }

    /// The format of that name, in whatever case; endings are understood as names too.
    ///
    /// # Errors
    /// When there is none; the text lists the known ones.
    pub fn from_name(name: &str) -> Result<DiffFormat, UnknownDiffFormat> {
        let found = DiffFormat::ALL.into_iter().find(|format| {
            name.eq_ignore_ascii_case(format.name()) || name.eq_ignore_ascii_case(format.ending())
        });
        found.ok_or_else(|| UnknownDiffFormat(name.to_owned()))
    }

    fn known() -> String {
        let known = DiffFormat::ALL.map(|format| match (format.ending(), format.name()) {
            (ending, name) if ending == name => format!(".{ending}"),
            (ending, name) => format!(".{ending} ({name})"),
        });
        known.join(", ")
    }
}

impl fmt::Display for DiffFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Writes `diff` to `out` in one format, and for scripts what came of the limits. `out` should be buffered; it is
/// flushed at the end.
///
/// # Errors
/// When `out` fails.
pub fn write(
    format: DiffFormat,
    diff: &Diff<'_>,
    names: &Names,
    verdicts: &[Verdict<'_>],
    both: &Both<'_>,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    match format {
        DiffFormat::FlameGraph => flamegraph::write(diff, names, out)?,
        DiffFormat::Text => {
            out.write_all(table::table(diff, names, table::REPORT_ROWS).as_bytes())?
        }
        DiffFormat::Csv => csv::write(diff, out)?,
        DiffFormat::Json => json::write(diff, names, verdicts, out)?,
        DiffFormat::Html => {
            let base = (names.base.as_str(), both.base_processes);
            html::write_pair(&both.input, both.new, base, out)?;
        }
    }
    out.flush()
}
