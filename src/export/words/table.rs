//! Turns functions, and rows that are left out, into lines of plain-text tables.

use std::fmt::Write as _;

use super::labels;
use super::paths::Shortener;
use crate::profile::functions::Function;

/// `name (file:line)`.
pub(crate) fn place(shortener: &Shortener, function: &Function<'_>, line: Option<u32>) -> String {
    let name = labels::name_of(function);
    let file = function
        .file
        .map(|file| labels::clean(shortener.shorten(file)));
    match (file, line) {
        (Some(file), Some(line)) => format!("{name} ({file}:{line})"),
        (Some(file), None) => format!("{name} ({file})"),
        (None, _) => name,
    }
}

pub(crate) fn more(text: &mut String, count: usize, max_rows: usize) {
    if count > max_rows {
        let _ = writeln!(text, "{:>9} {} more", "…", count - max_rows);
    }
}

pub(crate) fn line(text: &mut String, content: &str) {
    text.push_str(content);
    text.push('\n');
}
