//! Turns the time of asyncio tasks into a table.

use std::fmt::Write as _;

use super::ReportInput;
use super::words::labels;
use super::words::units::seconds;
use crate::profile::event::Nanos;
use crate::profile::tasks::tasks;

/// So many tasks are shown.
const MAX_ROWS: usize = 40;

/// The tasks by time in the mode that was asked for: tasks of one name are one, those without a name of their own go by the
/// function of their coroutine.
#[must_use]
pub fn task_table(input: &ReportInput<'_>) -> String {
    let (profile, mode) = (input.profile, input.meta.mode);
    let rows = tasks(profile, mode);
    if rows.is_empty() {
        return "No sample belongs to an asyncio task\n".to_owned();
    }
    let whole = rows
        .iter()
        .map(|row| row.totals.time(mode))
        .fold(Nanos(0), |a, b| a + b);
    let mut text = format!("asyncio tasks, by {mode} time\n     Time       %       CPU  Task\n");
    let shown = rows.iter().filter(|row| row.name.is_some()).take(MAX_ROWS);
    for row in shown.chain(rows.iter().filter(|row| row.name.is_none())) {
        let time = row.totals.time(mode);
        let share = 100.0 * time.0 as f64 / whole.0.max(1) as f64;
        let name = row.name.map_or_else(
            || "[no task: the loop, or not known]".to_owned(),
            labels::clean,
        );
        let (time, cpu) = (seconds(time, whole), seconds(row.totals.cpu, whole));
        let _ = writeln!(text, "{time:>9}  {share:>6.1}  {cpu:>8}  {name}");
    }
    let named = rows.iter().filter(|row| row.name.is_some()).count();
    super::words::table::more(&mut text, named, MAX_ROWS);
    text
}
