//! Turns a profile into one table per function: its lines with all that is known of each.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::functions::{Function, FunctionRow, Functions};
use super::lines::{LineRow, Lines};
use super::memory::retaining_lines;
use super::native_lines::{NativePart, native_parts};
use super::paths::file_name;
use super::states::{self, StateSums};
use super::sums::Classes;
use super::{Mode, Profile, Totals};

/// A function and its lines.
#[derive(Debug, Clone)]
pub struct LineTable<'p> {
    /// The function with its times.
    pub row: FunctionRow<'p>,
    /// What was done in it.
    pub states: StateSums,
    /// How much of the memory that grew in the function, or outside of the program's own files in what it called, is most
    /// likely not given back, in bytes.
    pub retained_bytes: u64,
    /// The lines that were seen, by number.
    pub lines: Vec<TableLine<'p>>,
}

/// A line of a function.
#[derive(Debug, Clone, Copy)]
pub struct TableLine<'p> {
    /// The line with its times; its total holds those samples once in which it called itself.
    pub row: LineRow<'p>,
    /// What was done in it.
    pub states: StateSums,
    /// How much of the memory that grew while it was on a stack is most likely not given back, in bytes.
    pub retained_bytes: u64,
    /// The native part of its time; `None`: nothing is known of one.
    pub native: Option<NativePart<'p>>,
}

/// The tables of all functions with samples, in the order in which they were first seen.
#[must_use]
pub fn of<'p>(profile: &'p Profile) -> Vec<LineTable<'p>> {
    let functions = Functions::of(profile);
    let lines = Lines::of(profile, &functions);
    let function_of = |frame| functions.of_frame(frame).map(|id| id.0 as usize);
    let of_functions = states::by_class(profile, function_of, functions.rows().len());
    let of_lines = states::by_class(profile, |frame| lines.of_frame(frame), lines.rows().len());
    let mut lines_of: HashMap<Function<'p>, Vec<TableLine<'p>>> = HashMap::new();
    let of_lines = of_lines.into_iter().zip(retained_by_line(profile, &lines));
    let of_lines = of_lines.zip(native_parts(profile, &lines));
    for (row, ((states, retained_bytes), native)) in lines.rows().iter().zip(of_lines) {
        if row.totals.samples > 0 {
            let lines = lines_of.entry(row.function).or_default();
            lines.push(TableLine {
                row: *row,
                states,
                retained_bytes,
                native,
            });
        }
    }
    let mut retained_by_function: HashMap<Function<'p>, u64> = HashMap::new();
    for line in retaining_lines(profile) {
        let sum = retained_by_function.entry(line.function).or_default();
        *sum = sum.saturating_add(line.bytes);
    }
    let rows = functions.rows().iter().zip(of_functions);
    let rows = rows.filter(|(row, _)| row.totals.samples > 0);
    let table = |(row, states): (&FunctionRow<'p>, StateSums)| {
        let mut lines = lines_of.remove(&row.function).unwrap_or_default();
        lines.sort_by_key(|line| line.row.line);
        LineTable {
            row: *row,
            states,
            retained_bytes: retained_by_function
                .get(&row.function)
                .copied()
                .unwrap_or_default(),
            lines,
        }
    };
    rows.map(table).collect()
}

/// By line, how much of the memory that grew while it was on a stack is most likely not given back, in bytes.
fn retained_by_line(profile: &Profile, lines: &Lines<'_>) -> Vec<u64> {
    let mut of_stack = vec![0_u64; profile.stacks().len()];
    for (_, stack, bytes) in profile.retained_bytes() {
        let sum = stack.and_then(|stack| of_stack.get_mut(stack.0 as usize));
        if let Some(sum) = sum {
            *sum = sum.saturating_add(bytes);
        }
    }
    let nodes = profile.stacks().iter();
    let class_of: Vec<usize> = nodes
        .map(|node| lines.of_frame(node.frame).unwrap_or(usize::MAX))
        .collect();
    let count = lines.rows().len();
    // Not more than grew, the sum of which a profile can hold.
    let classes = Classes::new(profile, &class_of, count);
    classes.totals(|stack| of_stack[stack], &class_of, count)
}

/// The tables by self time, longest first; equal ones by total time, then by place.
#[must_use]
pub fn by_self<'t, 'p>(tables: &'t [LineTable<'p>], mode: Mode) -> Vec<&'t LineTable<'p>> {
    let mut sorted: Vec<_> = tables.iter().collect();
    sorted.sort_by_cached_key(|table| {
        let row = &table.row;
        let heat = (row.self_totals.time(mode), row.totals.time(mode));
        (Reverse(heat), row.function)
    });
    sorted
}

/// The lines of all tables by self time, longest first; equal ones by total time, then by place.
#[must_use]
pub fn lines_by_self<'t, 'p>(tables: &'t [LineTable<'p>], mode: Mode) -> Vec<&'t TableLine<'p>> {
    let mut sorted: Vec<_> = tables.iter().flat_map(|table| &table.lines).collect();
    sorted.sort_by_cached_key(|line| {
        let row = &line.row;
        let heat = (row.self_totals.time(mode), row.totals.time(mode));
        (Reverse(heat), row.function, row.line)
    });
    sorted
}

/// By what a function is hot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heat {
    /// The time in the function itself.
    SelfTime(Mode),
    /// How much memory the function most likely retains; where that is equal, by how much it grew and shrank in it.
    Memory,
}

/// The tables of Python functions, hottest first.
#[must_use]
pub fn hottest<'t, 'p>(tables: &'t [LineTable<'p>], heat: Heat) -> Vec<&'t LineTable<'p>> {
    let mut sorted = match heat {
        Heat::SelfTime(mode) => by_self(tables, mode),
        Heat::Memory => by_memory(tables),
    };
    sorted.retain(|table| table.row.function.file.is_some());
    sorted
}

fn by_memory<'t, 'p>(tables: &'t [LineTable<'p>]) -> Vec<&'t LineTable<'p>> {
    let change = |totals: &Totals| totals.grown_bytes.saturating_add(totals.shrunk_bytes);
    let mut sorted: Vec<_> = tables.iter().collect();
    sorted.sort_by_cached_key(|table| {
        let row = &table.row;
        let changes = (change(&row.self_totals), change(&row.totals));
        let heat = (table.retained_bytes, changes);
        (Reverse(heat), row.function)
    });
    sorted
}

/// Nothing has the name that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no function or file with samples is named {asked:?}{}", super::nearest::offer(.nearest))]
pub struct NoSuchName {
    /// The name.
    pub asked: String,
    /// Names that there are and that come nearest to it.
    pub nearest: Vec<String>,
}

/// The tables of the functions that a name stands for, hottest first. A name is that of a function,
/// whole (`Solver.solve`) or its last part (`solve`), or of a file, whole or its last parts
/// (`lib/solver.py`).
///
/// # Errors
/// When there is none.
pub fn named<'t, 'p>(
    tables: &[&'t LineTable<'p>],
    name: &str,
) -> Result<Vec<&'t LineTable<'p>>, NoSuchName> {
    let is_meant = |table: &&&LineTable<'_>| {
        let function = &table.row.function;
        let file = function.file.unwrap_or_default();
        ends_in(function.name, name, '.') || ends_in(file, name, '/')
    };
    let found: Vec<_> = tables.iter().filter(is_meant).copied().collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let mut names: Vec<String> = Vec::new();
    for table in tables {
        names.push(table.row.function.name.to_owned());
        names.extend(
            table
                .row
                .function
                .file
                .map(|file| file_name(file).to_owned()),
        );
    }
    names.sort();
    names.dedup();
    Err(NoSuchName {
        asked: name.to_owned(),
        nearest: super::nearest::nearest(name, names),
    })
}

/// Whether `whole` is `end` or ends in it behind a separator.
fn ends_in(whole: &str, end: &str, separator: char) -> bool {
    let Some(before) = whole.strip_suffix(end) else {
        return false;
    };
    !end.is_empty() && (before.is_empty() || before.ends_with(separator))
}
