//! Turns what differs between two recordings into comma-separated values.
//!
//! One row per function and one per line of a function, told apart by the first column. docs/csv.md tells
//! the columns; they are written as all of rsamp's tables ([`crate::export::csv`]). Rows are sorted by
//! the change of their self time, functions first.

use std::io;

use serde::Serialize;

use crate::export::csv::clean;
use crate::profile::diff::{Change, Diff};
use crate::profile::functions::Function;

/// Writes the rows.
///
/// # Errors
/// When `out` fails.
pub(super) fn write(diff: &Diff<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    for row in diff.functions() {
        if let Some(function) = row.function() {
            let row = Row::new("function", function, None, &row.self_time, &row.total_time);
            writer.serialize(row)?;
        }
    }
    for row in diff.lines() {
        if let Some((function, line)) = row.line() {
            let row = Row::new("line", function, line, &row.self_time, &row.total_time);
            writer.serialize(row)?;
        }
    }
    writer.flush()
}

#[derive(Debug, Serialize)]
struct Row {
    kind: &'static str,
    function: String,
    file: Option<String>,
    first_line: Option<u32>,
    line: Option<u32>,
    self_base_s: f64,
    self_base_share: f64,
    self_new_s: f64,
    self_new_share: f64,
    self_change_s: f64,
    self_error_s: Option<f64>,
    self_p_value: f64,
    self_beyond_noise: bool,
    total_base_s: f64,
    total_base_share: f64,
    total_new_s: f64,
    total_new_share: f64,
    total_change_s: f64,
    total_error_s: Option<f64>,
    total_p_value: f64,
    total_beyond_noise: bool,
}

impl Row {
    fn new(
        kind: &'static str,
        function: Function<'_>,
        line: Option<u32>,
        own: &Change,
        total: &Change,
    ) -> Row {
        let finite = |seconds: f64| Some(seconds).filter(|seconds| seconds.is_finite());
        Row {
            kind,
            function: clean(function.name),
            file: function.file.map(clean),
            first_line: function.first_line,
            line,
            self_base_s: own.base.seconds,
            self_base_share: own.base.share,
            self_new_s: own.new.seconds,
            self_new_share: own.new.share,
            self_change_s: own.seconds(),
            self_error_s: finite(own.error_seconds),
            self_p_value: own.p_value,
            self_beyond_noise: own.is_beyond_noise,
            total_base_s: total.base.seconds,
            total_base_share: total.base.share,
            total_new_s: total.new.seconds,
            total_new_share: total.new.share,
            total_change_s: total.seconds(),
            total_error_s: finite(total.error_seconds),
            total_p_value: total.p_value,
            total_beyond_noise: total.is_beyond_noise,
        }
    }
}
