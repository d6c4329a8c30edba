//! Turns a running process into a profile and its files.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use crate::export::source_text::SourceText;
use crate::export::words::{rates, selection as filters};
use crate::export::{Drawing, Meta, ReportInput};
use crate::process::{Pid, own_cpu_ns, user_of};
use crate::profile::Profile;
use crate::profile::event::{Event, Nanos, ProcessId};
use crate::recording::{Care, ProcessFiles, Recorder, SizeLimit};
use crate::run::caller;
use crate::run::header::{self, Asked};
use crate::run::hottest::HottestLine;
use crate::run::outputs::{Destination, Growing, Kind, Outcome, Plan, Saved, WriteError};
use crate::run::request::{Extras, Sampling, Shown};
use crate::run::shown::ShownProfile;
use crate::run::sink::Sink;
use crate::run::sources::SourceFiles;
use crate::sampler::{self, Bounds, Budget, EndRequest, Ended, Part, Progress, SamplerError};

/// How long a process that was named by its PID may take to become Python. It either is already or is about to
/// be: a shell prepares its environment before it starts the program, and slow imports come after the
/// interpreter's start.
pub const START_TIMEOUT: Duration = Duration::from_secs(10);

/// What to record, and where it goes.
#[derive(Debug)]
pub struct Recording {
    /// The process.
    pub pid: Pid,
    /// NAME of `NAME-PID`.
    pub name: String,
    /// The command line, for the headlines.
    pub command: Vec<String>,
    /// How to sample.
    pub sampling: Sampling,
    /// Which part of the run to record.
    pub bounds: Bounds,
    /// What a recording holds beside the samples.
    pub extras: Extras,
    /// How long the process may take to start its interpreter; `None`: as long as it lives.
    pub start_timeout: Option<Duration>,
    /// How graphs are drawn.
    pub drawing: Drawing,
    /// What the outputs show.
    pub shown: Shown,
    /// Where the files go.
    pub plan: Plan,
}

/// What the sampling gave.
#[derive(Debug)]
pub struct Sampled {
    /// The samples.
    pub profile: Profile,
    /// Why the sampling ended.
    pub ended: Ended,
    /// When it began, in ns since 1970.
    pub start_unix_ns: u64,
    /// Why there is no sample, when the process ended too early for one.
    pub too_short: Option<SamplerError>,
    /// How many processes that descend from it ran on.
    pub running: u64,
    /// Why others that descend from it could not be read.
    pub unread: Vec<SamplerError>,
    /// What part of one core rsamp was to use.
    pub budget: Budget,
    /// The CPU time that rsamp had used when the sampling ended.
    pub own_cpu: Nanos,
    /// What writes the recordings.
    recorders: Vec<(Growing, io::Result<Recorder>)>,
    /// Of a run without a recording, what reads the source text for a page.
    source_recorder: Option<Recorder>,
    source_files: Option<Arc<SourceFiles>>,
}

/// What came of it all.
#[derive(Debug)]
pub struct Recorded {
    /// What the sampling gave.
    pub sampled: Sampled,
    /// What became of the files.
    pub outcomes: Vec<Outcome>,
    /// What is said beyond the profile.
    pub meta: Meta,
    /// The text of the program's own files, as far as a recording holds it.
    pub sources: SourceText,
}

impl Sampled {
    /// What others sampled and recorded, until the program had ended.
    #[must_use]
    pub fn merged(profile: Profile, start_unix_ns: u64) -> Sampled {
        Sampled {
            profile,
            start_unix_ns,
            ended: Ended::TargetEnded,
            too_short: None,
            running: 0,
            unread: Vec::new(),
            budget: Budget::Unlimited,
            own_cpu: Nanos(0),
            recorders: Vec::new(),
            source_recorder: None,
            source_files: None,
        }
    }
}

impl Recording {
    /// Samples until the process ends, the duration is over or `stop` is requested.
    ///
    /// A process that ends before its interpreter was ready gives an empty profile.
    ///
    /// # Errors
    /// When the process cannot be sampled.
    pub fn sample(
        &mut self,
        stop: &EndRequest,
        progress: &Arc<Progress>,
    ) -> Result<Sampled, SamplerError> {
        let settings = self.sampling.settings(self.start_timeout);
        let (source_files, mut recorders) = self.start_recorders(progress);
        let is_for_sources = recorders.is_empty() && self.shows_source();
        let mut source_recorder = is_for_sources
            .then(|| self.start_source_recorder(&source_files).ok())
            .flatten();
        let started = Instant::now();
        let mut shown_profile = ShownProfile::new(self.plan.empty_profile(), &self.shown);
        let (mut start, mut users) = (Start::default(), Users::default());
        let mut hottest = HottestLine::new(progress);
        let mut sinks: Vec<&mut dyn Sink> = vec![&mut users, &mut start];
        let working = recorders.iter_mut().filter_map(|(_, r)| r.as_mut().ok());
        sinks.extend(working.map(|recorder| recorder as &mut dyn Sink));
        sinks.extend(source_recorder.as_mut().map(|it| it as &mut dyn Sink));
        sinks.push(&mut shown_profile);
        sinks.push(&mut hottest);
        let mut keep = |event: Event| sinks.iter_mut().for_each(|sink| sink.event(&event));
        let mut part = Part::new(self.bounds.clone(), stop.clone());
        let result = {
            let mut emit = |event: Event| part.apply(event, &mut keep);
            sampler::sample(self.pid, &settings, stop, progress, &mut emit)
        };
        let (ended, too_short) = match result {
            Ok(ended) => self.ended(ended, &part),
            Err(error @ (SamplerError::EndedEarly(_) | SamplerError::EndedInDelay { .. })) => {
                let elapsed_ns = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
                keep(Event::End(Nanos(elapsed_ns)));
                (Ended::TargetEnded, Some(error))
            }
            Err(error) => return Err(error),
        };
        if users.has_others {
            self.plan.keep_private();
        }
        // What is left is written while the other files are.
        recorders
            .iter()
            .filter_map(|(_, r)| r.as_ref().ok())
            .for_each(Recorder::end);
        source_recorder.iter().for_each(Recorder::end);
        Ok(Sampled {
            profile: shown_profile.finish(),
            ended,
            start_unix_ns: start.unix_ns.unwrap_or_else(header::now_unix_ns),
            too_short,
            running: progress.running.load(Ordering::Relaxed),
            unread: progress.take_unread(),
            budget: self.sampling.budget,
            own_cpu: Nanos(own_cpu_ns()),
            recorders,
            source_recorder,
            source_files: Some(source_files),
        })
    }

    /// What the end of the sampling means for the part that was asked for.
    fn ended(&self, ended: Ended, part: &Part) -> (Ended, Option<SamplerError>) {
        let ended = match ended {
            Ended::Requested if part.is_over() => Ended::FunctionSeen,
            ended => ended,
        };
        let function = self.bounds.start_at.clone().filter(|_| !part.has_begun());
        let pid = self.pid;
        let never = function.map(|function| SamplerError::NeverStarted { pid, function });
        (ended, never)
    }

    /// Starts what writes the recordings. One that cannot be started is told at the end.
    fn start_recorders(
        &mut self,
        progress: &Arc<Progress>,
    ) -> (Arc<SourceFiles>, Vec<(Growing, io::Result<Recorder>)>) {
        let (pid, places) = (self.pid, self.plan.choose_names(self.pid));
        let is_needed = self.extras.source && (!places.is_empty() || self.plan.shows_source());
        let source_files = Arc::new(SourceFiles::new(is_needed));
        let start = |place: Destination| {
            let growing = Growing::at(place);
            let open = self.plan.opener(&growing);
            let asked = Asked {
                command: self.command.clone(),
                rate: self.sampling.rate,
                environment: self.extras.environment.clone(),
            };
            let recorder = Recorder::start(
                Box::new(move || Ok((open()?, header::header(&asked, pid)))),
                Arc::clone(&source_files) as Arc<dyn ProcessFiles>,
                self.care(&growing, progress),
            );
            (growing, recorder)
        };
        let recorders = places.into_iter().map(start).collect();
        (source_files, recorders)
    }

    /// Whether a page is to hold source text.
    fn shows_source(&self) -> bool {
        self.extras.source && self.plan.shows_source()
    }

    /// Starts what reads the source text that a recording would hold, of which nothing else is kept.
    fn start_source_recorder(&self, files: &Arc<SourceFiles>) -> io::Result<Recorder> {
        let asked = Asked {
            command: self.command.clone(),
            rate: self.sampling.rate,
            environment: Vec::new(),
        };
        let pid = self.pid;
        let nowhere = || File::options().write(true).open("/dev/null");
        Recorder::start(
            Box::new(move || Ok((nowhere()?, header::header(&asked, pid)))),
            Arc::clone(files) as Arc<dyn ProcessFiles>,
            Care::default(),
        )
    }

    /// What is to be done where the recording in a place cannot just grow.
    fn care(&self, growing: &Growing, progress: &Arc<Progress>) -> Care {
        let progress = Arc::clone(progress);
        Care {
            spare: Some(self.plan.spare(&growing.destination)),
            limit: self.extras.max_size_bytes.map(|max_bytes| SizeLimit {
                max_bytes,
                replace: self.plan.replacer(growing),
                halve_rate: Box::new(move || {
                    progress.halvings.fetch_add(1, Ordering::Relaxed);
                }),
            }),
        }
    }

    /// Writes the files. The recordings come last: a source file that cannot be had in time holds up nothing else, but for a
    /// page that is to show it.
    #[must_use]
    pub fn write(&self, mut sampled: Sampled) -> Recorded {
        let recorders = std::mem::take(&mut sampled.recorders).into_iter();
        let finished = recorders.map(|(growing, recorder)| {
            let outcome = finish(&growing.destination, recorder);
            (growing, outcome)
        });
        let mut finished: Box<dyn Iterator<Item = (Growing, Outcome)>> = Box::new(finished);
        if self.shows_source() {
            // What came of it is told of the files that the user asked for.
            let _ = sampled.source_recorder.take().map(Recorder::finish);
            finished = Box::new(finished.collect::<Vec<_>>().into_iter());
        }
        let recordings = || {
            finished
                .map(|(growing, outcome)| self.plan.deliver(growing, outcome))
                .collect()
        };
        let meta = self.meta(&sampled);
        let source_files = sampled.source_files.take();
        let sources = source_files.as_ref().map(|files| files.kept());
        let report = ReportInput {
            sources: sources.as_ref(),
            ..ReportInput::new(&sampled.profile, &meta)
        };
        let outcomes = self.plan.write(&report, self.pid, recordings);
        Recorded {
            sampled,
            outcomes,
            meta,
            sources: source_files.map_or_else(SourceText::default, |files| files.kept()),
        }
    }

    fn meta(&self, sampled: &Sampled) -> Meta {
        let profile = &sampled.profile;
        let selection = self.shown.selection();
        let mut facts = Vec::new();
        if let Some(process) = profile.processes().first() {
            facts.push(format!("Python {}", process.python));
        }
        facts.extend(rates::in_words(profile));
        facts.extend(filters::in_words(&selection));
        Meta {
            title: format!("{} (process {})", self.name, self.pid),
            command: self.command.join(" "),
            facts,
            start_unix_ns: sampled.start_unix_ns,
            is_part: !selection.leaves_all_threads(),
            mode: selection.mode,
            drawing: self.drawing,
        }
    }
}

/// When the first event came: as in the header, which is made then.
#[derive(Debug, Default)]
struct Start {
    /// In ns since 1970.
    unix_ns: Option<u64>,
}

impl Sink for Start {
    fn event(&mut self, _event: &Event) {
        self.unix_ns.get_or_insert_with(header::now_unix_ns);
    }
}

/// Whether processes of other users than the caller are recorded. A process may become another user's at any time, so it
/// is looked at whenever its counters were read: at its start, ten times a second, and at its end.
#[derive(Debug, Default)]
struct Users {
    pids: FxHashMap<ProcessId, Pid>,
    has_others: bool,
}

impl Sink for Users {
    fn event(&mut self, event: &Event) {
        let pid = match event {
            Event::Process(id, process) => {
                self.pids.insert(*id, Pid(process.pid));
                Some(Pid(process.pid))
            }
            Event::Usage(usage) => self.pids.get(&usage.process).copied(),
            _ => None,
        };
        if let Some(pid) = pid.filter(|_| !self.has_others) {
            // Of one that is gone nothing can be told.
            let user = user_of(pid);
            self.has_others = user.is_ok_and(|user| user != Some(caller::uid()));
        }
    }
}

/// Hears how a recording went.
pub(super) fn finish(place: &Destination, recorder: io::Result<Recorder>) -> Outcome {
    let path = || place.path.clone();
    let saved = |size_bytes| Saved {
        path: path(),
        size_bytes,
    };
    let failed = |written_bytes, moved_to: Option<PathBuf>, source| Outcome {
        kind: Kind::Recording,
        saved: (written_bytes > 0).then(|| Saved {
            path: moved_to.unwrap_or_else(path),
            size_bytes: written_bytes,
        }),
        error: Some(WriteError {
            path: path(),
            written_bytes,
            source,
        }),
    };
    match recorder.map(Recorder::finish) {
        Ok(Ok(written_bytes)) => Outcome {
            kind: Kind::Recording,
            saved: written_bytes.map(saved),
            error: None,
        },
        Ok(Err(error)) => failed(error.written_bytes, error.moved_to, error.source),
        Err(error) => failed(0, None, error),
    }
}
