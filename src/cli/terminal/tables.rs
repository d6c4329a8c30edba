//! Turns the wish for tables of lines or of memory into their text.

use crate::cli::request::Report;
use crate::cli::terminal::screen;
use crate::export::ReportInput;
use crate::export::line_table::line_tables;
use crate::export::memory_table::memory_tables;
use crate::profile::Profile;
use crate::profile::confidence::Confidence;
use crate::profile::line_tables::{self, Heat, LineTable, NoSuchName};
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
    if let Some(names) = &request.tables.lines {
        let heat = Heat::SelfTime(request.selection.mode);
        let chosen = choose(&tables, names, heat, request.tables.top)?;
        let input = ReportInput {
            sources: Some(&sources::gather(inputs, &chosen)),
            confidence,
            ..ReportInput::new(profile, &meta)
        };
        text.push_str(&line_tables(
            &input,
            &chosen,
            screen::of_stdout(request.colour).colour,
        ));
    }
    if let Some(names) = &request.tables.memory {
        let chosen = choose(&tables, names, Heat::Memory, request.tables.top)?;
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

/// Those of the names, each once; without any, the hottest.
fn choose<'t, 'p>(
    tables: &'t [LineTable<'p>],
    names: &[String],
    heat: Heat,
    top: usize,
) -> Result<Vec<&'t LineTable<'p>>, NoSuchName> {
    let mut hottest = line_tables::hottest(tables, heat);
    if names.is_empty() {
        // `<frozen importlib._bootstrap>` and its like have no text to show.
        hottest.retain(|table| !table.row.function.file.unwrap_or("<").starts_with('<'));
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
