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

pub use colour::Colour;
pub use drawing::{Direction, Drawing, Lines};
pub use format::{Format, UnknownFormat};
pub use input::{Meta, ReportInput};
pub use summary_options::SummaryOptions;

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

pub mod text;

pub mod first_screen;

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

pub mod source_text;

pub mod line_table;

pub mod memory_table;

mod task_csv;
pub mod task_table;

pub mod call_tree;

pub mod diff;

pub mod dump;

pub mod words;

mod flame_colors;
mod flame_page;
mod frame_groups;
mod sequence;
mod tree;

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
