//! Turns source text into columns: file by file its name, what is said of it, and its pieces.

use std::io;

use super::columns::Columns;
use crate::export::source_text::SourceText;

/// Writes all files, in the order of their names.
pub(super) fn write(sources: &SourceText, columns: &mut Columns<'_>) -> io::Result<()> {
    let files = sources.files();
    columns.number(files.len() as u64)?;
    for file in files {
        columns.text(file)?;
        let notes: Vec<&str> = sources.notes(file).collect();
        columns.text(&notes.join("; "))?;
        let lines: Vec<(u32, &str)> = sources.lines(file).collect();
        columns.number(lines.len() as u64)?;
        columns.differences(&lines, |(number, _)| u64::from(*number))?;
        for (_, text) in lines {
            columns.text(text)?;
        }
    }
    Ok(())
}
