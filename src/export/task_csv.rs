//! Turns the time of asyncio tasks into comma-separated values.
//!
//! One row for each name, as the table of `--tasks` has it, the one with most time first; behind them, without a name, what
//! belongs to no task. Quoting is as in [`super::csv`]; several texts in one field have ` ; ` between them.

use std::io;

use csv::Writer;

use super::csv::{clean, seconds};
use crate::export::ReportInput;
use crate::export::spec::Spec;
use crate::profile::tasks::{TaskRow, tasks};

/// The columns.
const COLUMNS: [&str; 8] = [
    "task",
    "tasks",
    "coroutine",
    "awaited_by",
    "samples",
    "wall_s",
    "cpu_s",
    "gil_s",
];

/// A table of the asyncio tasks.
pub(super) const TASKS_CSV: Spec = Spec::new(
    "tasks-csv",
    &["tasks.csv"],
    "table of asyncio tasks, for spreadsheets and pandas",
    write,
);

/// Writes the table.
///
/// # Errors
/// When `out` fails.
fn write(input: &ReportInput<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let mut writer = Writer::from_writer(out);
    writer.write_record(COLUMNS)?;
    for row in tasks(input.profile, input.meta.mode) {
        writer.write_record(fields(&row))?;
    }
    writer.flush()
}

fn fields(row: &TaskRow<'_>) -> [String; 8] {
    let count = (row.count > 0).then(|| row.count.to_string());
    [
        clean(row.name.unwrap_or_default()),
        count.unwrap_or_default(),
        clean(&row.coroutines.join(" ; ")),
        clean(&row.parents.join(" ; ")),
        row.totals.samples.to_string(),
        seconds(row.totals.wall),
        seconds(row.totals.cpu),
        seconds(row.totals.gil),
    ]
}
