//! Turns a profile into tables of comma-separated values: one of functions, one of lines, and one of
//! what the kernel counted of the processes over time.
//!
//! As RFC 4180 has it, with a header, but with `\n` as the line end: a field with a comma, a quote or
//! a line break is in quotes. Names are whole; control characters other than line breaks, which
//! readers stumble over, are replaced. Times are seconds; `self_*` and `total_*` as in every table of
//! rsamp. What is not known is an empty field. The hottest row of the chosen time is the first.

use std::io;

use crate::profile::Profile;
use crate::profile::Totals;
use crate::profile::event::{Nanos, State};
use crate::profile::functions::Function;
use crate::profile::line_tables;
use crate::profile::states::StateTimes;

use super::Meta;

/// The columns behind those that name a row, of which there are those of self and those of total.
const SUMS: [&str; 8] = [
    "samples",
    "wall_s",
    "cpu_s",
    "gil_s",
    "helpers_cpu_s",
    "blocked_others_s",
    "grown_bytes",
    "shrunk_bytes",
];

/// All columns of sums, then those of states: `self_wall_s`, …, `total_python_s`, ….
fn sum_columns() -> String {
    let of = |part: &'static str| {
        let sums = SUMS.iter().map(move |column| format!("{part}_{column}"));
        let states = State::ALL.iter();
        let states = states.map(move |state| format!("{part}_state_{}_s", state.word()));
        sums.chain(states)
    };
    of("self").chain(of("total")).collect::<Vec<_>>().join(",")
}

/// Writes the table of functions.
///
/// # Errors
/// When `out` fails.
pub(super) fn write_functions(
    profile: &Profile,
    meta: &Meta,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    writeln!(out, "function,file,first_line,{}", sum_columns())?;
    for table in line_tables::by_self(&line_tables::of(profile), meta.view) {
        write_function(&table.row.function, out)?;
        let own = sums(&table.row.self_time, &table.states.self_time);
        let total = sums(&table.row.total_time, &table.states.total_time);
        writeln!(out, "{own},{total}")?;
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
    writeln!(out, "function,file,first_line,line,{}", sum_columns())?;
    for line in line_tables::lines_by_self(&line_tables::of(profile), meta.view) {
        write_function(&line.row.function, out)?;
        let own = sums(&line.row.self_time, &line.states.self_time);
        let total = sums(&line.row.total_time, &line.states.total_time);
        writeln!(out, "{},{own},{total}", number(line.row.line))?;
    }
    Ok(())
}

/// Writes what was counted of the processes, in the order in which it was read. Counters run from the
/// start of the process.
///
/// # Errors
/// When `out` fails.
pub(super) fn write_usage(profile: &Profile, out: &mut dyn io::Write) -> io::Result<()> {
    writeln!(
        out,
        "pid,at_s,resident_bytes,peak_bytes,anonymous_bytes,cpu_s,runnable_threads,\
         read_calls_bytes,write_calls_bytes,storage_read_bytes,storage_written_bytes,\
         minor_faults,major_faults,voluntary_switches,forced_switches"
    )?;
    for usage in profile.usage() {
        let pid = profile.process(usage.process).map(|process| process.pid);
        let cpu = usage.cpu.map_or_else(String::new, seconds);
        let head = format!("{},{}", number(pid), seconds(usage.at));
        let memory = [usage.resident, usage.peak, usage.anonymous].map(number);
        let counts = [
            usage.read_calls_bytes,
            usage.write_calls_bytes,
            usage.storage_read_bytes,
            usage.storage_written_bytes,
            usage.minor_faults,
            usage.major_faults,
            usage.voluntary_switches,
            usage.forced_switches,
        ];
        let (memory, counts) = (memory.join(","), counts.map(number).join(","));
        let runnable = number(usage.runnable);
        writeln!(out, "{head},{memory},{cpu},{runnable},{counts}")?;
    }
    Ok(())
}

fn write_function(function: &Function<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let (name, file) = (field(function.name), field(function.file.unwrap_or("")));
    write!(out, "{name},{file},{},", number(function.first_line))
}

/// What is not known is an empty field.
fn number<N: ToString>(number: Option<N>) -> String {
    number.map_or_else(String::new, |number| number.to_string())
}

fn sums(totals: &Totals, states: &StateTimes) -> String {
    let times = [
        totals.wall,
        totals.cpu,
        totals.gil,
        totals.helpers_cpu,
        totals.blocked_others,
    ];
    let states = State::ALL.map(|state| seconds(states.of(state)));
    format!(
        "{},{},{},{},{}",
        totals.samples,
        times.map(seconds).join(","),
        totals.grown_bytes,
        totals.shrunk_bytes,
        states.join(",")
    )
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
