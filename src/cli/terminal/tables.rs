//! Turns the wish for a call tree, or for tables of tasks, lines or memory, into their text.

use crate::cli::request::Report;
use crate::cli::terminal::screen;
use crate::export::ReportInput;
use crate::export::call_tree::call_tree;
use crate::export::line_table::{Look, line_tables};
use crate::export::memory_table::memory_tables;
use crate::export::task_table::task_table;
use crate::profile::Profile;
use crate::profile::confidence::Confidence;
use crate::profile::line_tables::{self, Heat, LineTable, NoSuchName};
use crate::profile::origin::{Origin, Origins};
use crate::run::inputs::Input;
use crate::run::{headlines, sources};

/// The tables that were asked for.
///
/// # Errors
/// When a name is that of nothing.
pub fn text(
    request: &Report,
    inputs: &[Input],
    profile: &Profile,
    confidence: Option<&Confidence<'_>>,
) -> Result<String, NoSuchName> {
    let tables = line_tables::of(profile);
    let meta = headlines::meta(inputs, profile, &request.selection);
    let mut text = String::new();
    let screen = screen::of_stdout(request.colour);
    if request.tables.tree {
        text.push_str(&call_tree(&ReportInput::new(profile, &meta), &screen));
    }
    if request.tables.tasks {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&task_table(&ReportInput::new(profile, &meta)));
    }
    if let Some(names) = &request.tables.lines {
        if !text.is_empty() {
            text.push('\n');
        }
        let heat = Heat::SelfTime(request.selection.mode);
        let chosen = choose(profile, &tables, names, heat, request.tables.top)?;
        let input = ReportInput {
            sources: Some(&sources::gather(inputs, &chosen)),
            confidence,
            ..ReportInput::new(profile, &meta)
        };
        let look = Look {
            colour: screen.colour,
            width: (!request.tables.is_wide).then_some(screen.width),
        };
        text.push_str(&line_tables(&input, &chosen, look));
    }
    if let Some(names) = &request.tables.memory {
        let chosen = choose(profile, &tables, names, Heat::Memory, request.tables.top)?;
        if !text.is_empty() {
            text.push('\n');
        }
        let input = ReportInput {
            sources: Some(&sources::gather(inputs, &chosen)),
            ..ReportInput::new(profile, &meta)
        };
        text.push_str(&memory_tables(&input, &chosen));
    }
    Ok(text)
}

/// Those of the names, each once; without any, the hottest: of time the user's own functions first.
fn choose<'t, 'p>(
    profile: &Profile,
    tables: &'t [LineTable<'p>],
    names: &[String],
    heat: Heat,
    top: usize,
) -> Result<Vec<&'t LineTable<'p>>, NoSuchName> {
    let mut hottest = line_tables::hottest(tables, heat);
    if names.is_empty() {
        // `<frozen importlib._bootstrap>` and its like have no text to show.
        hottest.retain(|table| !table.row.function.file.unwrap_or("<").starts_with('<'));
        if let Heat::SelfTime(mode) = heat {
            let origins = Origins::of(profile);
            let is_own = |table: &LineTable<'_>| {
                let has_time = table.row.totals.time(mode).0 > 0;
                has_time && origins.of_function(&table.row.function) == Origin::Own
            };
            hottest.sort_by_key(|table| !is_own(table));
        }
        hottest.truncate(top);
        return Ok(hottest);
    }
    let mut chosen: Vec<&LineTable<'_>> = Vec::new();
    for name in names {
        for table in line_tables::named(&hottest, name)? {
            if !chosen.iter().any(|known| std::ptr::eq(*known, table)) {
                chosen.push(table);
            }
        }
    }
    Ok(chosen)
}
