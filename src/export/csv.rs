//! Turns a profile into tables of comma-separated values: one of functions, one of lines.
//!
//! As RFC 4180 has it, with a header, but with `\n` as the line end: a field with a comma, a quote or
//! a line break is in quotes. Names are whole; control characters other than line breaks, which
//! readers stumble over, are replaced. Times are seconds; `self_*` and `total_*` as in every table of
//! rsamp. The hottest row of the chosen time is the first.

use std::io;

use crate::profile::Profile;
use crate::profile::Totals;
use crate::profile::event::Nanos;
use crate::profile::functions::{Function, Functions};
use crate::profile::lines::Lines;

use super::Meta;

/// The columns behind those that name a row.
const TIMES: &str = "self_samples,self_wall_s,self_cpu_s,self_gil_s,\
                     total_samples,total_wall_s,total_cpu_s,total_gil_s";

/// Writes the table of functions.
///
/// # Errors
/// When `out` fails.
pub(super) fn write_functions(
    profile: &Profile,
    meta: &Meta,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    writeln!(out, "function,file,first_line,{TIMES}")?;
    let functions = Functions::of(profile);
    for row in functions.by_self(meta.view) {
        if row.total_time.samples > 0 {
            write_function(&row.function, out)?;
            write_times(&row.self_time, &row.total_time, out)?;
        }
    }
    Ok(())
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
    writeln!(out, "function,file,first_line,line,{TIMES}")?;
    let functions = Functions::of(profile);
    for row in Lines::of(profile, &functions).by_self(meta.view) {
        if row.total_time.samples > 0 {
            write_function(&row.function, out)?;
            write!(out, "{},", number(row.line))?;
            write_times(&row.self_time, &row.total_time, out)?;
        }
    }
    Ok(())
}

fn write_function(function: &Function<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let (name, file) = (field(function.name), field(function.file.unwrap_or("")));
    write!(out, "{name},{file},{},", number(function.first_line))
}

/// What is not known is an empty field.
fn number(number: Option<u32>) -> String {
    number.map_or_else(String::new, |number| number.to_string())
}

fn write_times(own: &Totals, total: &Totals, out: &mut dyn io::Write) -> io::Result<()> {
    let columns = |totals: &Totals| {
        let times = [totals.wall, totals.cpu, totals.gil].map(seconds);
        format!("{},{}", totals.samples, times.join(","))
    };
    writeln!(out, "{},{}", columns(own), columns(total))
}

/// Seconds to the nanosecond: no figure is rounded.
fn seconds(time: Nanos) -> String {
    format!("{}.{:09}", time.0 / 1_000_000_000, time.0 % 1_000_000_000)
}

fn field(text: &str) -> String {
    let clean: String = text
        .chars()
        .map(|c| match c {
            '\n' | '\r' | '\t' => c,
            c if c.is_control() => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .collect();
    let must_be_quoted = |c: char| matches!(c, ',' | '"' | '\n' | '\r') || c.is_whitespace();
    if clean.contains(must_be_quoted) {
        return format!("\"{}\"", clean.replace('"', "\"\""));
    }
    clean
}
