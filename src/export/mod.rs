//! Turns a profile into the bytes of a file format.
//!
//! | format | ending | opened by |
//! |---|---|---|
//! | [`flamegraph`] | `.svg` | any browser |
//! | [`pstats`] | `.pstats` | `python -m pstats`, gprof2dot, snakeviz, tuna |
//! | [`folded`] | `.folded` | flamegraph.pl, inferno, speedscope |
//! | [`text`] | `.txt` | the eye |
//! | [`speedscope`] | `.speedscope.json` | speedscope.app, `npx speedscope` |
//! | [`callgrind`] | `.callgrind`, `callgrind.out.*` | callgrind_annotate, KCachegrind |
//! | [`pprof`] | `.pb.gz`, `.pprof` | `go tool pprof`, pprof, Grafana, speedscope |
//! | [`dot`] | `.dot`, `.gv` | Graphviz, xdot |
//! | [`dot`] | `.dot.svg` | any browser |
//! | [`dot`] | `.png`, `.dot.png` | any viewer |
//! | [`json`] | `.json` | scripts |
//! | [`csv`] | `.csv`, `.functions.csv` | spreadsheets, pandas |
//! | [`csv`] | `.lines.csv` | spreadsheets, pandas |
//! | [`usage_csv`] | `.usage.csv` | spreadsheets, pandas |
//! | [`lprof`] | `.lprof` | `python -m line_profiler` |
//! | [`mprof`] | `.dat` | `mprof plot` |
//! | [`over_ranks`] | `.ranks.csv` | spreadsheets, pandas |
//! | [`firefox`] | `.firefox.json` | profiler.firefox.com, samply |
//! | [`chrome_trace`] | `.trace.json` | ui.perfetto.dev, chrome://tracing, speedscope |
//!
//! A profile without a single sample is legal in every one. What differs between two profiles has
//! formats of its own, in [`diff`].

use crate::export::words::labels;
use crate::export::words::lost;
use std::fmt;
use std::io;
use std::path::Path;

use thiserror::Error;

use crate::profile::{Profile, View};

pub use drawing::{Direction, Drawing};
pub use summary_options::SummaryOptions;

pub mod drawing;

mod summary_options;

pub mod flamegraph;

pub mod pstats;

pub mod folded;

pub mod text;

pub mod speedscope;

pub mod callgrind;

pub mod pprof;

pub mod dot;

pub mod json;

pub mod csv;

pub mod usage_csv;

pub mod lprof;

pub mod mprof;

mod over_ranks;

pub mod firefox;

pub mod chrome_trace;

pub mod source_text;

pub mod line_table;

pub mod memory_table;

pub mod diff;

pub mod dump;

pub mod words;

mod frame_groups;
mod sequence;
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
    /// When the recording began, in ns since 1970; 0: not known.
    pub start_unix_ns: u64,
    /// Whether threads, states or stacks were left out: then nothing is said of the whole.
    pub is_part: bool,
    /// Which time the widths and columns show.
    pub view: View,
    /// How graphs are drawn.
    pub drawing: Drawing,
}

impl Meta {
    /// One line of whatever the format has room for: the title, the command, the facts and, in any
    /// case, what was lost.
    fn headline(&self, profile: &Profile) -> String {
        let lost = lost::lost_briefly(profile);
        let parts = [&self.title, &self.command].into_iter().chain(&self.facts);
        let parts = parts.filter(|part| !part.is_empty()).chain([&lost]);
        let parts: Vec<String> = parts.map(|part| labels::clean(part)).collect();
        parts.join(" · ")
    }
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
    /// speedscope's own JSON.
    Speedscope,
    /// The format of Valgrind's callgrind.
    Callgrind,
    /// pprof's gzipped profile.proto.
    Pprof,
    /// A call graph in Graphviz's DOT.
    Dot,
    /// The same, drawn by `dot`.
    DotSvg,
    /// The same as an image.
    DotPng,
    /// rsamp's own JSON (docs/json.md).
    Json,
    /// A table of functions.
    FunctionsCsv,
    /// A table of lines.
    LinesCsv,
    /// A table of what the kernel counted of processes over time.
    UsageCsv,
    /// line_profiler's pickled line timings.
    Lprof,
    /// memory_profiler's record of resident memory over time.
    Mprof,
    /// A table of functions and lines over the ranks.
    RanksCsv,
    /// The Firefox Profiler's processed profile.
    Firefox,
    /// Chrome's Trace Event Format.
    ChromeTrace,
}

impl Format {
    /// All formats, in the order in which they are listed to the user.
    pub const ALL: [Format; 19] = [
        Format::FlameGraph,
        Format::Pstats,
        Format::Folded,
        Format::Text,
        Format::Speedscope,
        Format::Callgrind,
        Format::Pprof,
        Format::Dot,
        Format::DotSvg,
        Format::DotPng,
        Format::Json,
        Format::FunctionsCsv,
        Format::LinesCsv,
        Format::UsageCsv,
        Format::Lprof,
        Format::Mprof,
        Format::RanksCsv,
        Format::Firefox,
        Format::ChromeTrace,
    ];

    /// The one table of formats: the name, and the endings of the files without their first dot.
    fn named(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Format::FlameGraph => ("flamegraph", &["svg"]),
            Format::Pstats => ("pstats", &["pstats"]),
            Format::Folded => ("folded", &["folded"]),
            Format::Text => ("text", &["txt"]),
            Format::Speedscope => ("speedscope", &["speedscope.json"]),
            Format::Callgrind => ("callgrind", &["callgrind"]),
            Format::Pprof => ("pprof", &["pb.gz", "pprof"]),
            Format::Dot => ("dot", &["dot", "gv"]),
            Format::DotSvg => ("dot-svg", &["dot.svg"]),
            Format::DotPng => ("dot-png", &["png", "dot.png"]),
            Format::Json => ("json", &["json"]),
            Format::FunctionsCsv => ("csv", &["csv", "functions.csv"]),
            Format::LinesCsv => ("lines-csv", &["lines.csv"]),
            Format::UsageCsv => ("usage-csv", &["usage.csv"]),
            Format::Lprof => ("lprof", &["lprof"]),
            Format::Mprof => ("mprof", &["dat"]),
            Format::RanksCsv => ("ranks-csv", &["ranks.csv"]),
            Format::Firefox => ("firefox", &["firefox.json"]),
            Format::ChromeTrace => ("chrome-trace", &["trace.json"]),
        }
    }

    /// The name by which a user asks for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.named().0
    }

    /// The ending of its files, without the dot; the first, where it has several.
    #[must_use]
    pub fn ending(self) -> &'static str {
        self.named().1[0]
    }

    /// The program that has to be there for it to be written.
    #[must_use]
    pub fn program(self) -> Option<&'static str> {
        matches!(self, Format::DotSvg | Format::DotPng).then_some(dot::PROGRAM)
    }

    /// Whether it shows what was seen when, if it is given a profile made by
    /// [`Profile::with_timeline`].
    #[must_use]
    pub fn has_time_axis(self) -> bool {
        matches!(
            self,
            Format::ChromeTrace | Format::Firefox | Format::Speedscope
        )
    }

    /// The format that a file's ending stands for, in whatever case: of several that fit, the
    /// longest.
    ///
    /// # Errors
    /// When the file has no ending or an unknown one; the text lists the known ones.
    pub fn from_path(path: &Path) -> Result<Format, UnknownFormat> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let lower = name.to_ascii_lowercase();
        let endings = Format::ALL.into_iter().flat_map(|format| {
            let endings = format.named().1.iter();
            endings.map(move |ending| (format, *ending))
        });
        let fits = |ending: &str| {
            let stem = lower.strip_suffix(ending).and_then(|s| s.strip_suffix('.'));
            stem.is_some_and(|stem| !stem.is_empty())
        };
        let found = endings
            .filter(|(_, ending)| fits(ending))
            .max_by_key(|(_, ending)| ending.len());
        match (found, path.extension()) {
            (Some((format, _)), _) => Ok(format),
            // As Valgrind names its files, and KCachegrind looks for them.
            _ if lower == "callgrind.out" || lower.starts_with("callgrind.out.") => {
                Ok(Format::Callgrind)
            }
            (None, Some(ending)) => Err(UnknownFormat::Ending(ending.to_string_lossy().into())),
            (None, None) => Err(UnknownFormat::NoEnding),
        }
    }

    /// The format of that name, in whatever case; endings are understood as names too.
    ///
    /// # Errors
    /// When there is none; the text lists the known ones.
    pub fn from_name(name: &str) -> Result<Format, UnknownFormat> {
        let is_meant = |format: &Format| {
            let (own, endings) = format.named();
            let mut names = endings.iter().chain([&own]);
            names.any(|known| name.eq_ignore_ascii_case(known))
        };
        let found = Format::ALL.into_iter().find(is_meant);
        found.ok_or_else(|| UnknownFormat::Name(name.to_owned()))
    }

    /// The known endings with their names: `.svg (flamegraph), .pstats, .folded, .txt (text), …`.
    #[must_use]
    pub fn known() -> String {
        let known = Format::ALL.map(|format| {
            let (name, endings) = format.named();
            let dotted: Vec<String> = endings.iter().map(|ending| format!(".{ending}")).collect();
            let dotted = dotted.join(" or ");
            if endings.contains(&name) {
                return dotted;
            }
            format!("{dotted} ({name})")
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
        Format::Folded => folded::write(profile, meta, out),
        Format::Text => text::write(profile, meta, out),
        Format::Speedscope => speedscope::write(profile, meta, out),
        Format::Callgrind => callgrind::write(profile, meta, out),
        Format::Pprof => pprof::write(profile, meta, out),
        Format::Dot => dot::write(profile, meta, out),
        Format::DotSvg => dot::draw(profile, meta, "svg", out),
        Format::DotPng => dot::draw(profile, meta, "png", out),
        Format::Json => json::write(profile, meta, out),
        Format::FunctionsCsv => csv::write_functions(profile, meta, out),
        Format::LinesCsv => csv::write_lines(profile, meta, out),
        Format::UsageCsv => usage_csv::write(profile, out),
        Format::Lprof => lprof::write(profile, meta, out),
        Format::Mprof => mprof::write(profile, meta, out),
        Format::RanksCsv => over_ranks::csv::write(profile, meta, out),
        Format::Firefox => firefox::write(profile, meta, out),
        Format::ChromeTrace => chrome_trace::write(profile, meta, out),
    };
    written
        .and_then(|()| out.flush())
        .map_err(|source| ExportError::Write { format, source })
}
