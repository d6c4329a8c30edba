//! Turns pieces of source text into the lines of files, as far as they are known.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::profile::functions::Function;

/// Lines shown before and after a line of a module, or of a function that is not known as a whole.
const AROUND: u32 = 3;

/// Source text, file by file.
#[derive(Debug, Clone, Default)]
pub struct SourceText {
    files: HashMap<String, FileText>,
}

#[derive(Debug, Clone, Default)]
struct FileText {
    lines: BTreeMap<u32, String>,
    /// The last line of the piece that begins in a line.
    last_of: HashMap<u32, u32>,
    notes: BTreeSet<String>,
}

impl SourceText {
    /// Adds a piece of a file that begins in line `first_line`. Of a line that is there already, the first
    /// text is kept.
    pub fn add(&mut self, file: &str, first_line: u32, text: &str) {
        let known = self.files.entry(file.to_owned()).or_default();
        let mut last = first_line;
        for (number, line) in (first_line..).zip(text.lines()) {
            let line = || line.trim_end_matches('\r').to_owned();
            known.lines.entry(number).or_insert_with(line);
            last = number;
        }
        let known = known.last_of.entry(first_line).or_default();
        *known = last.max(*known);
    }

    /// Adds what there is to say about the text of a file.
    pub fn note(&mut self, file: &str, note: &str) {
        let known = self.files.entry(file.to_owned()).or_default();
        known.notes.insert(note.to_owned());
    }

    /// What there is to say about the text of a file.
    pub fn notes(&self, file: &str) -> impl Iterator<Item = &str> {
        let notes = self.files.get(file).map(|known| known.notes.iter());
        notes.into_iter().flatten().map(String::as_str)
    }

    /// The files, in the order of their names.
    #[must_use]
    pub fn files(&self) -> Vec<&str> {
        let mut files: Vec<&str> = self.files.keys().map(String::as_str).collect();
        files.sort_unstable();
        files
    }

    /// The known lines of a file with their numbers, in ascending order.
    pub fn lines(&self, file: &str) -> impl Iterator<Item = (u32, &str)> {
        let lines = self.files.get(file).map(|known| known.lines.iter());
        let lines = lines.into_iter().flatten();
        lines.map(|(number, line)| (*number, line.as_str()))
    }

    /// One line, without its end.
    #[must_use]
    pub fn line(&self, file: &str, line: u32) -> Option<&str> {
        self.files.get(file)?.lines.get(&line).map(String::as_str)
    }

    /// Whether the text of a function, or of this line of a module, is known.
    #[must_use]
    pub fn has(&self, function: &Function<'_>, line: u32) -> bool {
        let Some(known) = function.file.and_then(|file| self.files.get(file)) else {
            return false;
        };
        match (function.is_module(), function.first_line) {
            (true, _) => known.lines.contains_key(&line),
            (_, Some(first_line)) => known.last_of.contains_key(&first_line),
            (_, None) => false,
        }
    }

    /// The text of a function, line by line, or all that is known of the file of a module; `None` where it is not known.
    #[must_use]
    pub fn text_of(&self, function: &Function<'_>) -> Option<Vec<&str>> {
        let known = self.files.get(function.file?)?;
        let range = match function.is_module() {
            true => 0..=u32::MAX,
            false => {
                let first_line = function.first_line?;
                first_line..=*known.last_of.get(&first_line)?
            }
        };
        let lines = known.lines.range(range);
        Some(lines.map(|(_, line)| line.as_str()).collect())
    }

    /// The lines to show of a function of which `seen` were executed: all of it, or those around, of a module
    /// and of a function that is not known as a whole.
    #[must_use]
    pub fn lines_of(&self, function: &Function<'_>, seen: &[u32]) -> BTreeSet<u32> {
        let mut shown: BTreeSet<u32> = seen.iter().copied().collect();
        let Some(known) = function.file.and_then(|file| self.files.get(file)) else {
            return shown;
        };
        let first = match (function.is_module(), function.first_line) {
            (true, _) | (_, None) => 0,
            (_, Some(first)) => first,
        };
        match known.last_of.get(&first) {
            Some(last) => shown.extend(first..=*last),
            None => {
                for line in seen {
                    let around =
                        line.saturating_sub(AROUND).max(first)..=line.saturating_add(AROUND);
                    shown.extend(around.filter(|line| known.lines.contains_key(line)));
                }
            }
        }
        shown
    }
}
