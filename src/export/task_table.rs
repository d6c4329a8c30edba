//! Turns the time of asyncio tasks into a table.

use std::fmt::Write as _;

use super::ReportInput;
use super::words::labels;
use super::words::paths::Shortener;
use super::words::precision::Precision;
use super::words::table::place;
use super::words::units::seconds;
use crate::profile::Profile;
use crate::profile::await_lines::await_rows;
use crate::profile::event::Nanos;
use crate::profile::tasks::{TaskRow, tasks};

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
    let part = whole.seconds() / profile.totals().time(mode).seconds().max(1e-9);
    let precision = Precision::of(profile, mode).of_part(part);
    let tells_count = rows.iter().any(|row| row.count > 0);
    let count = |text: &str| match tells_count {
        true => format!("{text:>6}  "),
        false => String::new(),
    };
    let head = count("Count");
    let mut text =
        format!("asyncio tasks, by {mode} time\n     Time       %       CPU  {head}Task\n");
    let shown = rows.iter().filter(|row| row.name.is_some()).take(MAX_ROWS);
    for row in shown.chain(rows.iter().filter(|row| row.name.is_none())) {
        let time = row.totals.time(mode);
        let of_row = count(&match row.count {
            0 => String::new(),
            count => count.to_string(),
        });
        let (time, share) = precision.cells(time, None);
        let cpu = seconds(row.totals.cpu, whole);
        let _ = writeln!(text, "{time}  {share}  {cpu:>8}  {of_row}{}", words(row));
    }
    let named = rows.iter().filter(|row| row.name.is_some()).count();
    super::words::table::more(&mut text, named, MAX_ROWS);
    text + &await_table(profile)
}

/// How many tasks waited at which line for how long, where it was looked; empty elsewhere.
fn await_table(profile: &Profile) -> String {
    let (rows, looks) = await_rows(profile);
    let whole = rows.iter().fold(Nanos(0), |sum, row| sum + row.time);
    if whole == Nanos(0) {
        return String::new();
    }
    let files = rows.iter().flat_map(|row| [Some(row.function), row.leaf]);
    let shortener = Shortener::of(files.flatten().filter_map(|function| function.file));
    let mut text = format!(
        "\nwhere tasks wait, in seconds of all tasks together (looked at {looks} times)\n   Task-s       %  Await\n"
    );
    for row in rows.iter().take(MAX_ROWS) {
        let share = 100.0 * row.time.0 as f64 / whole.0 as f64;
        let (time, place) = (
            seconds(row.time, whole),
            place(&shortener, &row.function, row.line),
        );
        let leaf = row
            .leaf
            .map(|leaf| format!(": {}", labels::clean(leaf.name)));
        let _ = writeln!(
            text,
            "{time:>9}  {share:>6.1}  {place}{}",
            leaf.unwrap_or_default()
        );
    }
    super::words::table::more(&mut text, rows.len(), MAX_ROWS);
    text
}

/// `reader (pump, awaited by main)`: its coroutine is `pump`.
#[must_use]
pub fn words(row: &TaskRow<'_>) -> String {
    let Some(name) = row.name else {
        return "[no task: the loop, or not known]".to_owned();
    };
    let listed = |texts: &[&str]| match texts {
        [one, two, _, ..] => format!("{}, {} and {} more", one, two, texts.len() - 2),
        few => few.join(", "),
    };
    let coroutines = match row.coroutines.as_slice() {
        [one] if *one == name => String::new(),
        coroutines => listed(coroutines),
    };
    let parents = match row.parents.as_slice() {
        [] => String::new(),
        parents => format!("awaited by {}", listed(parents)),
    };
    let parts = [coroutines, parents];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    match parts.is_empty() {
        true => labels::clean(name),
        false => labels::clean(&format!("{name} ({})", parts.join(", "))),
    }
}
