//! Turns a profile into the bytes of a file format.
//!
//! | format | ending | opened by |
//! |---|---|---|
//! | [`flamegraph`] | `.svg` | any browser |
//! | [`html`] | `.html`, `.htm` | any browser |
//! | [`pstats`] | `.pstats` | `python -m pstats`, gprof2dot, snakeviz, tuna |
//! | [`pstats`] | `.native.pstats` | the same |
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
//! | [`csv`] | `.classes.csv` | spreadsheets, pandas |
//! | [`usage_csv`] | `.usage.csv` | spreadsheets, pandas |
//! | [`lprof`] | `.lprof` | `python -m line_profiler` |
//! | [`mprof`] | `.dat` | `mprof plot` |
//! | [`over_ranks`] | `.ranks.csv` | spreadsheets, pandas |
//! | [`firefox`] | `.firefox.json` | profiler.firefox.com, samply |
//! | [`chrome_trace`] | `.trace.json` | ui.perfetto.dev, chrome://tracing, speedscope |
//!
//! A profile without a single sample is legal in every one. What differs between two profiles has
//! formats of its own, in [`diff`].

use std::io;

use thiserror::Error;

mod format;

mod spec;

mod input;

mod colour;

mod drawing;

mod summary_options;

mod flamegraph;

mod html;

mod pstats;

mod folded;

pub(crate) mod text;

pub(crate) mod first_screen;

mod speedscope;

mod callgrind;

mod pprof;

mod dot;

mod json;

mod csv;

mod usage_csv;

mod lprof;

mod mprof;

mod over_ranks;

mod firefox;

mod chrome_trace;

pub(crate) mod source_text;

pub(crate) mod line_table;

pub(crate) mod memory_table;

mod task_csv;
pub(crate) mod task_table;

pub(crate) mod call_tree;

pub(crate) mod diff;

pub(crate) mod dump;

pub(crate) mod words;

mod flame_colors;
mod flame_page;
mod frame_groups;
mod sequence;
mod tree;

pub use call_tree::call_tree;
pub use colour::Colour;
pub use diff::table::table as diff_table;
pub use diff::{Both as BothMetas, DiffFormat, Names as DiffNames, write as write_diff};
pub use drawing::{Direction, Drawing, Lines};
pub use dump::native::keep as keep_native_frames;
pub use first_screen::{Screen, first_screen};
pub use format::Format;
pub use input::{Meta, ReportInput};
pub use line_table::{Look as LineTableLook, line_tables as line_tables_text};
pub use memory_table::memory_tables;
pub use source_text::SourceText;
pub use summary_options::SummaryOptions;
pub use task_table::{task_table, words as task_words};
pub use text::{summary, summary_of};
pub use words::escape::is_unsafe;
pub use words::findings::sentences as finding_sentences;
pub use words::rates::{in_words as rate_in_words, over_budget as rate_over_budget};

pub(crate) use format::UnknownFormat;

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

/// Writes a report to `out` in one format. `out` should be buffered; it is flushed at the end.
///
/// # Errors
/// When `out` fails.
pub fn write(
    format: Format,
    input: &ReportInput<'_>,
    out: &mut dyn io::Write,
) -> Result<(), ExportError> {
    let written = (format.spec().write)(input, out);
    written
        .and_then(|()| out.flush())
        .map_err(|source| ExportError::Write { format, source })
}
