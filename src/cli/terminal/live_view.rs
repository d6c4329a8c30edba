//! Turns a process that is being sampled into what its live view shows: snapshots, words and source text.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::cli::terminal::summary::shown;
use crate::export::dump::text;
use crate::export::task_table;
use crate::export::words::escape::visible;
use crate::export::words::findings;
use crate::export::words::labels;
use crate::export::words::number::size;
use crate::export::words::paths::Shortener;
use crate::export::words::table::place;
use crate::export::{Format, Meta, ReportInput};
use crate::profile::event::{Process, ProcessId, Thread};
use crate::profile::functions::Function;
use crate::profile::snapshot::{Snapshot, Span};
use crate::profile::tasks::TaskRow;
use crate::profile::{Mode, Profile};
use crate::recording::ProcessFiles;
use crate::run::live::Live;
use crate::run::outputs::{Kind, Outcome};
use crate::sampler::{self, Ended};
use crate::tui::Host;

/// How long a source file is waited for. The screen stands still meanwhile.
const PATIENCE: Duration = Duration::from_millis(200);

/// So many files are read.
const MAX_FILES: usize = 1000;

/// What stands behind the screen of `rsamp top`.
#[derive(Debug)]
pub struct LiveView {
    live: Live,
    title: String,
    /// How many processes the reader of source files knows.
    known_processes: u32,
    /// The lines of files; `None`: it cannot be read.
    texts: HashMap<String, Option<Vec<String>>>,
    shortener: Shortener,
    /// How many frames it knows.
    known_frames: usize,
}

impl LiveView {
    /// Of this process.
    #[must_use]
    pub fn new(live: Live, title: String) -> LiveView {
        LiveView {
            live,
            title,
            known_processes: 0,
            texts: HashMap::new(),
            shortener: Shortener::default(),
            known_frames: 0,
        }
    }

    /// What is being sampled.
    #[must_use]
    pub fn into_live(self) -> Live {
        self.live
    }

    /// Learns what is new in a profile.
    fn learn(&mut self, profile: &Profile) {
        for (id, process) in (0..)
            .zip(profile.processes())
            .skip(self.known_processes as usize)
        {
            self.live.sources().appeared(ProcessId(id), process.pid);
            self.known_processes = id + 1;
        }
        if profile.frames().len() != self.known_frames {
            let files = profile.frames().iter();
            self.shortener = Shortener::of(files.filter_map(|frame| frame.file.as_deref()));
            self.known_frames = profile.frames().len();
        }
    }

    fn text(&mut self, file: &str) -> Option<&[String]> {
        if !self.texts.contains_key(file) && self.texts.len() < MAX_FILES {
            let deadline = Instant::now() + PATIENCE;
            let found = self.live.sources().source(ProcessId(0), file, deadline);
            let lines = found.map(|found| found.text.lines().map(str::to_owned).collect());
            self.texts.insert(file.to_owned(), lines);
        }
        self.texts.get(file)?.as_deref()
    }
}

/// What became of a file, in words.
#[must_use]
pub fn written(outcome: &Outcome) -> String {
    match (&outcome.error, &outcome.saved) {
        (Some(error), _) => labels::clean(&format!("not written: {error}")),
        (None, Some(saved)) => {
            format!("wrote {} ({})", shown(&saved.path), size(saved.size_bytes))
        }
        (None, None) => "nothing was written: there was nothing to write".to_owned(),
    }
}

/// An error with its causes, on one line.
fn in_words(error: &anyhow::Error) -> String {
    labels::clean(&format!("{error:#}"))
}

impl Host for LiveView {
    fn request(&mut self, span: Span) {
        self.live.request(span);
    }

    fn take(&mut self) -> Option<Snapshot> {
        let snapshot = self.live.take()?;
        self.learn(&snapshot.profile);
        Some(snapshot)
    }

    fn ended(&self) -> Option<String> {
        let words = match self.live.ended()? {
            Ok(Ended::TargetEnded) => "the program ended".to_owned(),
            Ok(_) => "stopped".to_owned(),
            Err(error) => labels::clean(&error.to_string()),
        };
        Some(words)
    }

    fn is_interrupted(&self) -> bool {
        self.live.is_stopping()
    }

    fn record(&mut self) -> Result<String, String> {
        if self.live.is_recording() {
            self.live.end_recording();
            return Ok("the recording ends here; it is being written".to_owned());
        }
        if self.live.ended().is_some() {
            return Err("there is nothing to record any more".to_owned());
        }
        let path = self
            .live
            .record()
            .map_err(|error| in_words(&error.into()))?;
        Ok(format!("recording to {}: R ends it", shown(&path)))
    }

    fn is_recording(&self) -> bool {
        self.live.is_recording()
    }

    fn news(&mut self) -> Option<String> {
        self.live.recorded().map(|outcome| written(&outcome))
    }

    fn save(&mut self, profile: &Profile, mode: Mode) -> Result<String, String> {
        let subject = self.live.subject();
        let meta = Meta {
            title: self.title.clone(),
            mode,
            ..Meta::default()
        };
        let report = ReportInput::new(profile, &meta);
        let mut words = Vec::new();
        for format in [Format::FlameGraph, Format::Html] {
            let plan = subject.plan(Kind::Export(format));
            let mut plan = plan.map_err(|error| in_words(&error.into()))?;
            let _ = plan.choose_names(subject.pid);
            let outcomes = plan.write(&report, subject.pid, Vec::new);
            words.extend(outcomes.iter().map(written));
        }
        Ok(words.join(", "))
    }

    fn dump(&mut self) -> Result<Vec<String>, String> {
        let subject = self.live.subject();
        if subject.beside.is_empty() {
            let dump = sampler::dump(subject.pid);
            let dump = dump.map_err(|error| in_words(&error.into()))?;
            return Ok(text::text(&dump).lines().map(str::to_owned).collect());
        }
        // Of a job, what ended meanwhile is left out.
        let all = std::iter::once(&subject.pid).chain(&subject.beside);
        let dumps = all.filter_map(|pid| sampler::dump(*pid).ok());
        let lines = dumps.flat_map(|dump| {
            let text = text::text(&dump);
            Vec::from_iter(text.lines().map(str::to_owned))
        });
        Ok(lines.collect())
    }

    fn title(&self) -> String {
        self.title.clone()
    }

    fn place(&self, function: &Function<'_>, line: Option<u32>) -> String {
        place(&self.shortener, function, line)
    }

    fn name(&self, function: &Function<'_>) -> String {
        labels::clean(function.name)
    }

    fn line_place(&self, file: &str, line: Option<u32>) -> String {
        let file = labels::clean(self.shortener.shorten(file));
        line.map_or_else(|| file.clone(), |line| format!("{file}:{line}"))
    }

    fn source(&mut self, file: &str, line: u32) -> Option<String> {
        let number = usize::try_from(line).ok()?.checked_sub(1)?;
        let text = self.text(file)?.get(number)?;
        Some(visible(&text.replace('\t', "    ")))
    }

    fn thread(&self, thread: &Thread) -> String {
        labels::thread_name(thread)
    }

    fn process(&self, process: &Process) -> String {
        labels::of_process(process)
    }

    fn task(&self, row: &TaskRow<'_>) -> String {
        task_table::words(row)
    }

    fn size(&self, bytes: u64) -> String {
        size(bytes)
    }

    fn findings(&self, profile: &Profile) -> Vec<String> {
        findings::sentences(profile)
    }
}
