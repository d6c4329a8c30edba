//! Turns the files named to `rsamp report` or `rsamp diff` into the events of one recording, and what is wrong with them.

use std::collections::HashSet;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::input::FileReader;
use crate::profile::annotation::Annotation;
use crate::profile::event::{Event, Nanos, Sample};
use crate::profile::filter::{Filter, Folding, NothingLeft, Selection};
use crate::recording::{Completeness, Merger, ReadError, Reader, SourceText};
use crate::run::header;
use crate::run::launches::Launches;

pub use super::input::Input;

/// Two system calls a second of recording are enough.
const BUFFER_BYTES: usize = 1 << 16;

/// What is wrong with a file to be read.
#[derive(Debug, Error)]
pub enum InputError {
    /// A pattern that matches no file.
    #[error("no file matches {0:?}")]
    NoMatch(String),
    /// A pattern that is none.
    #[error("read the pattern {pattern:?}")]
    BadPattern {
        /// The pattern.
        pattern: String,
        /// What is wrong.
        #[source]
        source: glob::PatternError,
    },
    /// It cannot be opened.
    #[error("open {path:?}")]
    Refused {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// It is no recording that can be read.
    #[error("read {path:?}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: ReadError,
    },
    /// It cannot be merged with itself: all times would count twice.
    #[error("{first:?} and {second:?} are the same recording")]
    SameTwice {
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// It is to be written while it is read.
    #[error("write {0:?}: it is one of the recordings to read")]
    IsOutput(PathBuf),
    /// It is not what was written. What comes before the damage was read.
    #[error("{path:?} is damaged from byte {at_byte} on ({what}); what comes before is shown")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the damage begins.
        at_byte: u64,
        /// What is wrong.
        what: &'static str,
    },
}

/// What came of the reading.
#[derive(Debug, Default)]
pub struct Trouble {
    /// What went wrong, file by file.
    pub errors: Vec<InputError>,
    /// Recordings without an end: file and what there is of it, in bytes.
    pub cut_off: Vec<(PathBuf, u64)>,
}

/// The files that the words stand for, each once: a word that is no file is taken as a pattern.
///
/// # Errors
/// When a pattern is none or matches nothing.
pub fn expand(words: &[PathBuf]) -> Result<Vec<PathBuf>, InputError> {
    let mut paths = Vec::new();
    for word in words {
        let text = word.to_string_lossy();
        let is_pattern = text.contains(['*', '?', '[']) && word.symlink_metadata().is_err();
        if !is_pattern {
            paths.push(word.clone());
            continue;
        }
        let found = glob::glob(&text).map_err(|source| InputError::BadPattern {
            pattern: text.to_string(),
            source,
        })?;
        let before = paths.len();
        // Folders that may not be looked into match nothing.
        paths.extend(found.filter_map(Result::ok));
        if paths.len() == before {
            return Err(InputError::NoMatch(text.into_owned()));
        }
    }
    let mut seen = HashSet::new();
    paths.retain(|path| seen.insert(path.clone()));
    Ok(paths)
}

/// Reads the headers. What cannot be read is left out and told, as long as there is another.
///
/// # Errors
/// When nothing can be read, or two of the files are the same recording.
pub fn open(paths: Vec<PathBuf>, trouble: &mut Trouble) -> Result<Vec<Input>, InputError> {
    let mut inputs: Vec<Input> = Vec::new();
    for path in paths {
        match reader(&path) {
            Ok((reader, is_file)) => inputs.push(Input {
                header: reader.header().clone(),
                path,
                name: None,
                is_named_by_place: false,
                launch: None,
                source: Vec::new(),
                changed_files: Vec::new(),
                kept: Some(reader).filter(|_| !is_file),
            }),
            Err(error) => trouble.errors.push(error),
        }
    }
    if inputs.is_empty() {
        // Without any error there was no file either, which clap does not let happen.
        let none = InputError::NoMatch(String::new());
        return Err(trouble.errors.drain(..).next().unwrap_or(none));
    }
    refuse_twins(&inputs)?;
    let (names, are_places) = names(&inputs);
    for (input, name) in inputs.iter_mut().zip(names) {
        input.name = name;
        input.is_named_by_place = are_places;
    }
    Ok(inputs)
}

/// Finds out whether no recording is one of the files to write: it would be gone before it is read.
///
/// # Errors
/// When one is.
pub fn refuse_outputs(inputs: &[Input], outputs: &[PathBuf]) -> Result<(), InputError> {
    let identity = |path: &Path| {
        let found = fs::metadata(path).ok().filter(fs::Metadata::is_file);
        found.map(|found| (found.dev(), found.ino()))
    };
    let read: HashSet<(u64, u64)> = inputs.iter().filter_map(|i| identity(&i.path)).collect();
    let is_read = |path: &&PathBuf| identity(path).is_some_and(|found| read.contains(&found));
    match outputs.iter().find(is_read) {
        Some(path) => Err(InputError::IsOutput(path.clone())),
        None => Ok(()),
    }
}

/// Hands every event of all recordings to `emit`, merged when there are several: with the same hosts and launches
/// as [`merge`](crate::run::merge::merge) gives the processes.
fn read(inputs: &mut [Input], trouble: &mut Trouble, emit: &mut dyn FnMut(Event)) {
    let mut launches = Launches::of(inputs);
    let group = Group {
        first_start_unix_ns: first_start_unix_ns(inputs),
        tells_host: tells_host(inputs),
        tells_name: true,
    };
    if let [input] = inputs {
        read_with_source(input, &mut launches, group, trouble, emit);
        return;
    }
    let mut merger = Merger::default();
    let mut texts = HashSet::new();
    for input in inputs {
        merger.begin();
        read_with_source(input, &mut launches, group, trouble, &mut |event| {
            merger.apply(event, emit);
        });
        // A thousand ranks run the same program.
        input.source.retain(|text| texts.insert(digest(text)));
    }
    merger.finish(emit);
}

/// Tells a text from others of its place.
fn digest(source: &SourceText) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&source.file, source.first_line, &source.text).hash(&mut hasher);
    hasher.finish()
}

/// Whether the processes of several recordings are on several hosts or ranks, and so tell where they are.
fn tells_host(inputs: &[Input]) -> bool {
    let hosts: HashSet<&str> = inputs.iter().map(|i| i.header.host.as_str()).collect();
    hosts.len() > 1 || inputs.iter().any(|input| input.is_named_by_place)
}

fn read_with_source(
    input: &mut Input,
    launches: &mut Launches,
    group: Group,
    trouble: &mut Trouble,
    emit: &mut dyn FnMut(Event),
) {
    let reader = read_one(input, launches, group, trouble, emit);
    if let Some(reader) = reader {
        input.source = reader.sources().to_vec();
        input.changed_files = reader.changed_files().to_vec();
    }
}

/// Hands on what is left of all events by the selection.
///
/// # Errors
/// When nothing is left of what there was.
pub fn read_selected(
    inputs: &mut [Input],
    selection: &Selection,
    trouble: &mut Trouble,
    emit: &mut dyn FnMut(Event),
) -> Result<(), NothingLeft> {
    if selection.leaves_everything() {
        let mut folding = Folding::new(selection.folds_imports);
        read(inputs, trouble, &mut |event| folding.apply(event, emit));
        return Ok(());
    }
    let mut filter = Filter::new(selection.clone());
    read(inputs, trouble, &mut |event| filter.apply(event, emit));
    filter.check()
}

/// Hands every event of one recording to `emit`, annotated. What else was in it, the reader tells.
pub(super) fn read_one(
    input: &mut Input,
    launches: &mut Launches,
    group: Group,
    trouble: &mut Trouble,
    emit: &mut dyn FnMut(Event),
) -> Option<FileReader> {
    let path = input.path.clone();
    let path = || path.clone();
    let run = launches.begin(input);
    let annotation = group.annotation(input, run.name());
    let mut end = Nanos(0);
    let mut emit = |event| {
        if let Event::Sample(Sample { at, .. }) | Event::End(at) = event {
            end = end.max(at);
        }
        emit(annotation.annotate(event));
    };
    let opened = match input.kept.take() {
        Some(reader) => Ok(reader),
        None => reader(&input.path).map(|(reader, _)| reader),
    };
    let read = opened.and_then(|mut reader| {
        let completeness = reader
            .read(&mut emit)
            .map_err(|source| InputError::Unreadable {
                path: path(),
                source: ReadError::Io(source),
            })?;
        Ok((reader, completeness))
    });
    launches.end(&run, input.header.start_unix_ns.saturating_add(end.0));
    let (reader, completeness) = match read {
        Ok(read) => read,
        Err(error) => {
            trouble.errors.push(error);
            return None;
        }
    };
    match completeness {
        Completeness::Whole => {}
        Completeness::CutOff { read_bytes } => trouble.cut_off.push((path(), read_bytes)),
        Completeness::Damaged { at_byte, what } => {
            trouble.errors.push(InputError::Damaged {
                path: path(),
                at_byte,
                what,
            });
        }
    }
    Some(reader)
}

/// The recordings that are read together, as each of them needs to know.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    /// When the first of them was started, in ns since 1970.
    pub first_start_unix_ns: u64,
    /// Whether its processes tell their host.
    pub tells_host: bool,
    /// Whether its processes tell its name, where it has one and host and rank are not enough.
    pub tells_name: bool,
}

impl Group {
    /// What is said of the processes of a recording, and when it began.
    fn annotation(self, input: &Input, launch: Option<String>) -> Annotation {
        let header = &input.header;
        let name = input.name.clone().filter(|_| !input.is_named_by_place);
        Annotation {
            since: Nanos(
                header
                    .start_unix_ns
                    .saturating_sub(self.first_start_unix_ns),
            ),
            rank: header::rank(header),
            launch,
            host: self.tells_host.then(|| header.host.clone()),
            recording: name.filter(|_| self.tells_name),
            working_folder: Some(header.working_folder.clone()).filter(|it| !it.is_empty()),
        }
    }
}

/// Reads a header. Tells whether the file can be opened again.
fn reader(path: &Path) -> Result<(FileReader, bool), InputError> {
    let opened = match path.to_str() {
        Some("-") => File::open("/dev/stdin"),
        _ => File::open(path),
    };
    let opened = opened.and_then(|file| Ok((file.metadata()?.is_file(), file)));
    let (is_file, file) = opened.map_err(|source| InputError::Refused {
        path: path.to_owned(),
        source,
    })?;
    match Reader::new(BufReader::with_capacity(BUFFER_BYTES, file)) {
        Ok(reader) => Ok((reader, is_file)),
        Err(source) => Err(InputError::Unreadable {
            path: path.to_owned(),
            source,
        }),
    }
}

fn refuse_twins(inputs: &[Input]) -> Result<(), InputError> {
    let mut sorted: Vec<&Input> = inputs.iter().collect();
    sorted.sort_by(|a, b| identity(a).cmp(&identity(b)));
    let twins = sorted
        .windows(2)
        .find(|pair| identity(pair[0]) == identity(pair[1]));
    match twins {
        Some(pair) => Err(InputError::SameTwice {
            first: pair[0].path.clone(),
            second: pair[1].path.clone(),
        }),
        None => Ok(()),
    }
}

/// When the first of them began, in ns since 1970; 0 without any.
#[must_use]
pub fn first_start_unix_ns(inputs: &[Input]) -> u64 {
    let starts = inputs.iter().map(|input| input.header.start_unix_ns);
    starts.min().unwrap_or_default()
}

/// No two recordings of one machine start in the same nanosecond and are of the same rank.
fn identity(input: &Input) -> (u64, &str, Option<u32>, &[String]) {
    let header = &input.header;
    (
        header.start_unix_ns,
        &header.host,
        header::rank(header),
        &header.command,
    )
}

/// What tells each recording from the others: host and rank where they differ, or else the file. Tells whether it is
/// host and rank.
fn names(inputs: &[Input]) -> (Vec<Option<String>>, bool) {
    if inputs.len() < 2 {
        return (vec![None; inputs.len()], false);
    }
    let differ = |words: Vec<&str>| words.iter().any(|word| *word != words[0]);
    let host = |input: &'_ Input| input.header.host.clone();
    let hosts_differ = differ(inputs.iter().map(|i| i.header.host.as_str()).collect());
    let by_place = inputs.iter().map(|input| {
        let rank = header::rank(&input.header).map(|rank| format!("rank {rank}"));
        let parts = [hosts_differ.then(|| host(input)), rank];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    });
    let by_stem = inputs.iter().map(|input| {
        let stem = input.path.file_stem().unwrap_or_default();
        stem.to_string_lossy().into_owned()
    });
    let by_path = inputs.iter().map(|input| input.path.display().to_string());
    let candidates: [Vec<String>; 3] = [by_place.collect(), by_stem.collect(), by_path.collect()];
    let is_distinct = |names: &&Vec<String>| {
        let distinct: HashSet<&String> = names.iter().collect();
        distinct.len() == names.len() && names.iter().all(|name| !name.is_empty())
    };
    let found = candidates.iter().position(|names| is_distinct(&names));
    let names = candidates[found.unwrap_or(2)].iter();
    let names = names.map(|name| Some(name.clone())).collect();
    (names, found == Some(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::Header;
    use crate::recording::schema::Variable;

    /// Inputs of file, host and rank.
    fn check(inputs: &[(&str, &str, &str)], expected: &[&str]) {
        let inputs: Vec<Input> = inputs
            .iter()
            .map(|(path, host, rank)| Input {
                path: path.into(),
                name: None,
                is_named_by_place: false,
                launch: None,
                source: Vec::new(),
                changed_files: Vec::new(),
                kept: None,
                header: Header {
                    host: (*host).to_owned(),
                    environment: vec![Variable {
                        name: "PMI_RANK".to_owned(),
                        value: (*rank).to_owned(),
                    }]
                    .into_iter()
                    .filter(|_| !rank.is_empty())
                    .collect(),
                    ..Header::default()
                },
            })
            .collect();
        let names: Vec<String> = names(&inputs).0.into_iter().flatten().collect();
        assert_eq!(names, expected);
    }

    #[test]
    fn recordings_are_named_by_what_tells_them_apart() {
        check(&[("a.rsamp", "n1", "")], &[]);
        check(
            &[("a.rsamp", "n1", ""), ("b.rsamp", "n2", "")],
            &["n1", "n2"],
        );
        check(
            &[("a.rsamp", "n1", "0"), ("b.rsamp", "n2", "1")],
            &["n1 rank 0", "n2 rank 1"],
        );
        check(
            &[("a.rsamp", "n1", "0"), ("b.rsamp", "n1", "1")],
            &["rank 0", "rank 1"],
        );
        check(&[("a.rsamp", "n1", ""), ("b.rsamp", "n1", "")], &["a", "b"]);
        check(
            &[("x/a.rsamp", "n1", "0"), ("y/a.rsamp", "n1", "0")],
            &["x/a.rsamp", "y/a.rsamp"],
        );
    }
}
