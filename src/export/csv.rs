//! Turns a profile into tables of comma-separated values: one of functions, one of lines.
//!
//! As RFC 4180 has it, with a header, but with `\n` as the line end: a field with a comma, a quote or
//! a line break is in quotes. Names are whole; control characters other than line breaks, which
//! readers stumble over, are replaced. A name that a spreadsheet would take for a formula has a `'` before it. What is not known is an empty field. The columns of all of
//! rsamp's tables are told in docs/csv.md. The hottest row of the chosen time is the first.

use std::io;

use csv::Writer;

use crate::export::ReportInput;
use crate::export::spec::Spec;
use crate::profile::event::{Nanos, State};
use crate::profile::functions::Function;
use crate::profile::states::StateTimes;
use crate::profile::work::{self, WorkSpread};
use crate::profile::{Totals, line_tables};

/// The columns that name a function.
const FUNCTION: [&str; 3] = ["function", "file", "first_line"];

/// The columns behind those that name a row, once for self and once for total: these sums, and the time
/// in each state.
const SUMS: [&str; 9] = [
    "samples",
    "wall_s",
    "cpu_s",
    "gil_s",
    "helpers_cpu_s",
    "blocked_others_s",
    "grown_bytes",
    "shrunk_bytes",
    "grown_unsure_bytes",
];

/// `self_samples`, …, `self_state_python_s`, …, `total_state_waiting_s`.
fn sum_columns() -> impl Iterator<Item = String> {
    ["self", "total"].into_iter().flat_map(|part| {
        let sums = SUMS.iter().map(move |column| format!("{part}_{column}"));
        let states = State::ALL.iter().map(|state| state.word());
        sums.chain(states.map(move |word| format!("{part}_state_{word}_s")))
    })
}

/// A table of functions.
pub(super) const FUNCTIONS_CSV: Spec = Spec::new(
    "csv",
    &["csv", "functions.csv"],
    "table of functions, for spreadsheets and pandas",
    write_functions,
);

/// Writes the table of functions.
///
/// # Errors
/// When `out` fails.
fn write_functions(input: &ReportInput<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let profile = input.profile;
    let meta = input.meta;
    let mut writer = Writer::from_writer(out);
    writer.write_record(head(&FUNCTION).chain(sum_columns()))?;
    for table in line_tables::by_self(&line_tables::of(profile), meta.mode) {
        let place = function(&table.row.function).into_iter();
        let own = sums(&table.row.self_totals, &table.states.self_time);
        let total = sums(&table.row.totals, &table.states.total_time);
        writer.write_record(place.chain(own).chain(total))?;
    }
    writer.flush()
}

/// A table of lines.
pub(super) const LINES_CSV: Spec = Spec::new(
    "lines-csv",
    &["lines.csv"],
    "table of lines, for spreadsheets and pandas",
    write_lines,
);

/// Writes the table of lines.
///
/// # Errors
/// When `out` fails.
fn write_lines(input: &ReportInput<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let profile = input.profile;
    let meta = input.meta;
    let mut writer = Writer::from_writer(out);
    let columns = head(&FUNCTION).chain(head(&["line"]));
    writer.write_record(columns.chain(sum_columns()))?;
    for line in line_tables::lines_by_self(&line_tables::of(profile), meta.mode) {
        let place = function(&line.row.function).into_iter();
        let place = place.chain([number(line.row.line)]);
        let own = sums(&line.row.self_totals, &line.states.self_time);
        let total = sums(&line.row.totals, &line.states.total_time);
        writer.write_record(place.chain(own).chain(total))?;
    }
    writer.flush()
}

/// A table of classes of native work.
pub(super) const CLASSES_CSV: Spec = Spec::new(
    "classes-csv",
    &["classes.csv"],
    "table of classes of native work, for spreadsheets and pandas",
    write_classes,
);

/// The columns of the table of classes.
const CLASSES: [&str; 11] = [
    "class",
    "samples",
    "wall_s",
    "cpu_s",
    "gil_s",
    "threads",
    "ranks",
    "rank_min_s",
    "rank_mean_s",
    "rank_max_s",
    "slowest_rank",
];

/// Writes the table of classes: those of the threads that run Python, and then those of threads that do not.
///
/// # Errors
/// When `out` fails.
fn write_classes(input: &ReportInput<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let (profile, mode) = (input.profile, input.meta.mode);
    let mut writer = Writer::from_writer(out);
    writer.write_record(CLASSES)?;
    for row in work::classes(profile, mode) {
        let totals = &row.totals;
        let times = [totals.wall, totals.cpu, totals.gil].map(seconds);
        let first = [
            clean(row.class.unwrap_or_default()),
            totals.samples.to_string(),
        ];
        let spread = work::over_ranks(profile, row.class, mode);
        let of = |time: fn(&WorkSpread) -> Nanos| spread.as_ref().map(|it| seconds(time(it)));
        let ranks = [
            number(spread.map(|spread| spread.ranks)),
            number(of(|spread| spread.min)),
            number(of(|spread| spread.mean)),
            number(of(|spread| spread.max)),
            number(spread.map(|spread| spread.slowest)),
        ];
        let row = first.into_iter().chain(times).chain([String::new()]);
        writer.write_record(row.chain(ranks))?;
    }
    for group in work::native_threads(profile) {
        for (class, totals) in &group.classes {
            let times = [totals.wall, totals.cpu].map(seconds);
            let first = [clean(class.unwrap_or_default()), totals.samples.to_string()];
            let row = first.into_iter().chain(times).chain([String::new()]);
            let row = row.chain([clean(&group.name)]);
            writer.write_record(row.chain(std::iter::repeat_n(String::new(), 5)))?;
        }
    }
    writer.flush()
}

fn head<'c>(columns: &'c [&str]) -> impl Iterator<Item = String> + use<'c> {
    columns.iter().map(|column| (*column).to_owned())
}

fn function(function: &Function<'_>) -> [String; 3] {
    let (name, file) = (function.name, function.file.unwrap_or(""));
    [clean(name), clean(file), number(function.first_line)]
}

pub(super) fn number<N: ToString>(number: Option<N>) -> String {
    number.map_or_else(String::new, |number| number.to_string())
}

fn sums(totals: &Totals, states: &StateTimes) -> Vec<String> {
    let times = [
        totals.wall,
        totals.cpu,
        totals.gil,
        totals.helpers_cpu,
        totals.blocked_others,
    ];
    let bytes = [totals.grown_bytes, totals.shrunk_bytes, totals.unsure_bytes];
    let bytes = bytes.map(|bytes| bytes.to_string());
    let states = State::ALL.map(|state| seconds(states.of(state)));
    let times = times.map(seconds).into_iter();
    let sums = [totals.samples.to_string()].into_iter().chain(times);
    sums.chain(bytes).chain(states).collect()
}

/// Seconds to the nanosecond: no figure is rounded.
pub(super) fn seconds(time: Nanos) -> String {
    format!("{}.{:09}", time.0 / 1_000_000_000, time.0 % 1_000_000_000)
}

/// The text without what readers stumble over, and such that no spreadsheet takes it for a formula, which may run
/// programs and send data away: the program that was profiled chose it (CWE-1236).
pub(super) fn clean(text: &str) -> String {
    let replaced = |c: char| match c {
        '\n' | '\r' | '\t' => c,
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    let begins_formula = text.trim_start().starts_with(['=', '+', '-', '@']);
    let quote = begins_formula.then_some('\'');
    quote
        .into_iter()
        .chain(text.chars().map(replaced))
        .collect()
}
