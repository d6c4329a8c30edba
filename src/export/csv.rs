//! Turns a profile into tables of comma-separated values: one of functions, one of lines.
//!
//! As RFC 4180 has it, with a header, but with `\n` as the line end: a field with a comma, a quote or
//! a line break is in quotes. Names are whole; control characters other than line breaks, which
//! readers stumble over, are replaced. What is not known is an empty field. The columns of all of
//! rsamp's tables are told in docs/csv.md. The hottest row of the chosen time is the first.

use std::io;

use csv::Writer;

use crate::profile::Profile;
use crate::profile::Totals;
use crate::profile::event::Nanos;
use crate::profile::functions::{Function, Functions};
use crate::profile::lines::Lines;

use super::Meta;

/// The columns that name a function.
const FUNCTION: [&str; 3] = ["function", "file", "first_line"];

/// The columns behind those that name a row.
const TIMES: [&str; 8] = [
    "self_samples",
    "self_wall_s",
    "self_cpu_s",
    "self_gil_s",
    "total_samples",
    "total_wall_s",
    "total_cpu_s",
    "total_gil_s",
];

/// Writes the table of functions.
///
/// # Errors
/// When `out` fails.
pub(super) fn write_functions(
    profile: &Profile,
    meta: &Meta,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let mut writer = Writer::from_writer(out);
    writer.write_record(FUNCTION.iter().chain(&TIMES))?;
    let functions = Functions::of(profile);
    for row in functions.by_self(meta.view) {
        if row.total_time.samples > 0 {
            let place = function(&row.function).into_iter();
            writer.write_record(place.chain(times(&row.self_time, &row.total_time)))?;
        }
    }
    writer.flush()
}

/// Writes the table of lines.
///
/// # Errors
/// When `out` fails.
pub(super) fn write_lines(
    profile: &Profile,
    meta: &Meta,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let mut writer = Writer::from_writer(out);
    writer.write_record(FUNCTION.iter().chain(&["line"]).chain(&TIMES))?;
    let functions = Functions::of(profile);
    for row in Lines::of(profile, &functions).by_self(meta.view) {
        if row.total_time.samples > 0 {
            let place = function(&row.function)
                .into_iter()
                .chain([number(row.line)]);
            writer.write_record(place.chain(times(&row.self_time, &row.total_time)))?;
        }
    }
    writer.flush()
}

fn function(function: &Function<'_>) -> [String; 3] {
    let (name, file) = (function.name, function.file.unwrap_or(""));
    [clean(name), clean(file), number(function.first_line)]
}

fn number(number: Option<u32>) -> String {
    number.map_or_else(String::new, |number| number.to_string())
}

fn times(own: &Totals, total: &Totals) -> impl Iterator<Item = String> + use<> {
    let columns = |totals: &Totals| {
        let samples = totals.samples.to_string();
        let times = [totals.wall, totals.cpu, totals.gil].map(seconds);
        [samples].into_iter().chain(times)
    };
    columns(own).chain(columns(total))
}

/// Seconds to the nanosecond: no figure is rounded.
fn seconds(time: Nanos) -> String {
    format!("{}.{:09}", time.0 / 1_000_000_000, time.0 % 1_000_000_000)
}

/// The text without what readers stumble over.
pub(super) fn clean(text: &str) -> String {
    let replaced = |c: char| match c {
        '\n' | '\r' | '\t' => c,
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.chars().map(replaced).collect()
}
