//! Turns the source text in recordings, and where it is not there the files on this machine, into the text
//! of the functions to show.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::unistd::geteuid;

use crate::export::source_text::SourceText;
use crate::profile::line_tables::LineTable;
use crate::recording::source::excerpt;
use crate::run::inputs::{self, Input};
use crate::run::sources::files::SourceReader;
use crate::run::sources::reader::Whose;

/// How long the files of this machine are waited for.
const PATIENCE: Duration = Duration::from_secs(3);

const CHANGED: &str = "the source changed since the recording; shown is what was recorded";
const CHANGED_MAYBE: &str =
    "the file was changed since the recording: its lines may not be those that ran";
const CHANGED_MEANWHILE: &str =
    "the file was changed after the program had started: its lines may not be those that ran";
const UNLIKE: &str = "the recordings have different texts of this file; shown is the first";
const NONE: &str = "no source text: not in the recording, and no such file here";
const NONE_THAT_FITS: &str =
    "no source text of some lines: not in the recording, and the file here is another";

/// The text that is in the recordings.
#[must_use]
pub fn recorded(inputs: &[Input]) -> SourceText {
    let mut source = SourceText::default();
    for piece in inputs.iter().flat_map(|input| &input.source) {
        if differs(&source, &piece.file, piece.first_line, &piece.text) {
            source.note(&piece.file, UNLIKE);
        }
        source.add(&piece.file, piece.first_line, &piece.text);
    }
    for file in inputs.iter().flat_map(|input| &input.changed_files) {
        source.note(file, CHANGED_MEANWHILE);
    }
    source
}

/// Gathers the text of the functions of `tables`.
#[must_use]
pub fn gather(inputs: &[Input], tables: &[&LineTable<'_>]) -> SourceText {
    let mut source = recorded(inputs);
    // It is others who name the files: they are looked at before they are opened, and none is waited for for ever.
    let disk = Disk {
        reader: SourceReader::start().ok(),
        deadline: Instant::now() + PATIENCE,
    };
    let mut files: HashMap<&str, Option<OnDisk>> = HashMap::new();
    for table in tables {
        let Some(name) = table.row.function.file else {
            continue;
        };
        let file = files.entry(name).or_insert_with(|| {
            let mut file = disk.find(inputs, name);
            compare(&mut source, inputs, name, file.as_mut());
            file
        });
        add_from_disk(&mut source, table, name, file.as_ref());
    }
    source
}

/// A file of this machine.
struct OnDisk {
    text: String,
    changed: Option<SystemTime>,
    /// Whether its text is that of the recording, or none of it is in the recording.
    fits: bool,
}

/// The files of this machine.
struct Disk {
    reader: Option<SourceReader>,
    deadline: Instant,
}

impl Disk {
    /// The file as the program knew it: by its whole path, or from its working folder on.
    fn find(&self, inputs: &[Input], name: &str) -> Option<OnDisk> {
        if name.starts_with('<') {
            return None;
        }
        let folder = &inputs.first()?.header.working_folder;
        let path = std::path::absolute(Path::new(folder).join(name)).ok()?;
        // Root may read what the program could not, and what is shown may be for others: so only what was recorded is
        // compared and completed with root's rights.
        let mut recorded = inputs.iter().flat_map(|input| &input.source);
        let whose = match recorded.any(|piece| *piece.file == *name) || !geteuid().is_root() {
            true => Whose::User,
            false => Whose::Everybody,
        };
        let found = self
            .reader
            .as_ref()?
            .read(whose, path.to_str()?, self.deadline)?;
        Some(OnDisk {
            text: found.text,
            changed: Some(UNIX_EPOCH + found.modified),
            fits: true,
        })
    }
}

/// Says when the file is not what it was; then nothing more of it is used beside recorded text.
fn compare(source: &mut SourceText, inputs: &[Input], name: &str, file: Option<&mut OnDisk>) {
    let Some(file) = file else { return };
    let mut recorded = inputs
        .iter()
        .flat_map(|input| &input.source)
        .filter(|piece| *piece.file == *name)
        .peekable();
    let start = UNIX_EPOCH + Duration::from_nanos(inputs::first_start_unix_ns(inputs));
    if recorded.peek().is_none() {
        if file.changed.is_some_and(|changed| changed > start) {
            source.note(name, CHANGED_MAYBE);
        }
        return;
    }
    let lines: Vec<&str> = file.text.lines().collect();
    let is_same = recorded.all(|piece| {
        let from = (piece.first_line as usize).saturating_sub(1);
        let there = lines.get(from..).unwrap_or_default();
        let mut pairs = there.iter().zip(piece.text.lines());
        there.len() >= piece.text.lines().count() && pairs.all(|(a, b)| *a == b)
    });
    if !is_same {
        file.fits = false;
        source.note(name, CHANGED);
    }
}

fn add_from_disk(
    source: &mut SourceText,
    table: &LineTable<'_>,
    name: &str,
    file: Option<&OnDisk>,
) {
    let function = &table.row.function;
    let lines = table.lines.iter().filter_map(|line| line.row.line);
    let missing: Vec<u32> = lines.filter(|line| !source.has(function, *line)).collect();
    for line in missing {
        let text = file.filter(|file| file.fits).map(|file| file.text.as_str());
        let first_line = function.first_line.unwrap_or(1);
        match text.and_then(|text| excerpt(text, function.name, first_line, Some(line))) {
            Some(found) => source.add(name, found.first_line, found.text),
            // What CPython runs before a module's first line is on line 0.
            None if line > 0 && file.is_some_and(|file| !file.fits) => {
                source.note(name, NONE_THAT_FITS);
            }
            None if line > 0 => source.note(name, NONE),
            None => {}
        }
    }
}

fn differs(source: &SourceText, file: &str, first_line: u32, text: &str) -> bool {
    let mut lines = (first_line..).zip(text.lines());
    lines.any(|(number, line)| {
        let known = source.line(file, number);
        known.is_some_and(|known| known != line.trim_end_matches('\r'))
    })
}
