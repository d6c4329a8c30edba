//! Turns what differs between two recordings into comma-separated values.
//!
//! One row per function and one per line of a function, told apart by the first column:
//! `function` or `line`. Behind `name`, `file`, `first_line` and `line` (of the new recording, or of
//! the base where it is gone; empty where unknown) stand, once for the self time and once for the
//! total time, seconds and shares (from 0 to 1) before and after, the change, its standard error
//! (empty when the recording is too short to tell) and p-value, and whether it is beyond noise.
//! Quoting is that of RFC 4180, lines end in a line feed. Rows are sorted by the change of their
//! self time, functions first.

use std::io;

use serde::Serialize;

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
struct Row<'p> {
    kind: &'static str,
    name: &'p str,
    file: Option<&'p str>,
    first_line: Option<u32>,
    line: Option<u32>,
    self_base_seconds: f64,
    self_base_share: f64,
    self_new_seconds: f64,
    self_new_share: f64,
    self_change_seconds: f64,
    self_error_seconds: Option<f64>,
    self_p_value: f64,
    self_beyond_noise: bool,
    total_base_seconds: f64,
    total_base_share: f64,
    total_new_seconds: f64,
    total_new_share: f64,
    total_change_seconds: f64,
    total_error_seconds: Option<f64>,
    total_p_value: f64,
    total_beyond_noise: bool,
}

impl<'p> Row<'p> {
    fn new(
        kind: &'static str,
        function: Function<'p>,
        line: Option<u32>,
        own: &Change,
        total: &Change,
    ) -> Row<'p> {
        let finite = |seconds: f64| Some(seconds).filter(|seconds| seconds.is_finite());
        Row {
            kind,
            name: function.name,
            file: function.file,
            first_line: function.first_line,
            line,
            self_base_seconds: own.base.seconds,
            self_base_share: own.base.share,
            self_new_seconds: own.new.seconds,
            self_new_share: own.new.share,
            self_change_seconds: own.seconds(),
            self_error_seconds: finite(own.error_seconds),
            self_p_value: own.p_value,
            self_beyond_noise: own.is_beyond_noise,
            total_base_seconds: total.base.seconds,
            total_base_share: total.base.share,
            total_new_seconds: total.new.seconds,
            total_new_share: total.new.share,
            total_change_seconds: total.seconds(),
            total_error_seconds: finite(total.error_seconds),
            total_p_value: total.p_value,
            total_beyond_noise: total.is_beyond_noise,
        }
    }
}
