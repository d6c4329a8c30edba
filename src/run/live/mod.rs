//! Turns a running process into snapshots for a live view.
//!
//! The profile is folded on the thread that samples, which takes a snapshot between two ticks when one was asked for. It
//! waits for nobody: the view has its snapshots for itself, and may draw as long as it likes.

mod excerpt;

mod recording;

use std::io;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub use recording::Subject;

use excerpt::Excerpt;
use recording::Target;

use crate::profile::Profile;
use crate::profile::event::Event;
use crate::profile::filter::Folding;
use crate::profile::snapshot::{Snapshot, Snapshots, Span};
use crate::recording::Recorder;
use crate::run::outputs::{Outcome, OutputError};
use crate::run::pipeline::START_TIMEOUT;
use crate::run::request::Sampling;
use crate::run::sink::Sink;
use crate::run::sources::SourceFiles;
use crate::sampler::{self, EndRequest, Ended, Progress, SamplerError};

/// [`Shared::wanted`] where nothing is, and where all the time is.
const NOTHING: u64 = 0;
const WHOLE: u64 = u64::MAX;

/// How often is looked whether a recording is written.
const PATIENCE: Duration = Duration::from_millis(5);

/// The profile of a process that is being sampled, seen from another thread.
#[derive(Debug)]
pub struct Live {
    shared: Arc<Shared>,
    stop: EndRequest,
    sampling: Option<JoinHandle<(LiveProfile, Result<Ended, SamplerError>)>>,
    /// What the sampling left.
    rest: Option<LiveProfile>,
    ended: Option<Result<Ended, SamplerError>>,
    subject: Subject,
    sources: Arc<SourceFiles>,
    /// The recording that is being made, or written to its end.
    recording: Option<Recording>,
}

/// How far a recording is.
#[derive(Debug)]
enum Recording {
    /// The sampler hands events to it, until it is asked to end and has it all.
    Growing(Target),
    /// It is written to its end.
    Ending(JoinHandle<Outcome>),
}

/// What the view and the sampler tell each other.
#[derive(Debug, Default)]
struct Shared {
    /// The span of the snapshot that is asked for.
    wanted: AtomicU64,
    /// It is locked as long as it takes to put one in, or to take it out.
    ready: Mutex<Option<Snapshot>>,
    /// Whether there is a [`Shared::recorder`] to take, or an end to be made.
    has_word: AtomicBool,
    /// What the sampler is to hand events to, and gives back when it is to end.
    recorder: Mutex<Slot>,
}

/// Where a recorder is between the view and the sampler.
#[derive(Debug, Default)]
enum Slot {
    /// Nowhere.
    #[default]
    Empty,
    /// The sampler is to take it.
    ForSampler(Recorder),
    /// The sampler is to give it back.
    Wanted,
    /// The view is to take it.
    ForView(Recorder),
}

impl Live {
    /// Starts to sample, until the process ends or [`Live::stop`].
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(subject: Subject, sampling: &Sampling, stop: EndRequest) -> io::Result<Live> {
        let shared = Arc::new(Shared::default());
        let mut profile = LiveProfile::new(Arc::clone(&shared));
        let mut settings = sampling.settings(Some(START_TIMEOUT));
        settings.beside.clone_from(&subject.beside);
        let (stopped, pid) = (stop.clone(), subject.pid);
        let sampling = thread::Builder::new()
            .name("sampler".to_owned())
            .spawn(move || {
                let progress = Arc::new(Progress::default());
                let mut emit = |event: Event| profile.event(&event);
                let ended = sampler::sample(pid, &settings, &stopped, &progress, &mut emit);
                (profile, ended)
            })?;
        Ok(Live {
            shared,
            stop,
            sampling: Some(sampling),
            rest: None,
            ended: None,
            subject,
            sources: Arc::new(SourceFiles::new(true)),
            recording: None,
        })
    }

    /// What is sampled.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// What reads the source files of the process.
    #[must_use]
    pub fn sources(&self) -> &SourceFiles {
        &self.sources
    }

    /// Begins a recording; returns its path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn record(&mut self) -> Result<PathBuf, OutputError> {
        let (target, recorder) = Target::start(&self.subject, &self.sources)?;
        let path = target.path();
        self.recording = Some(Recording::Growing(target));
        *self.shared.recorder() = Slot::ForSampler(recorder);
        self.shared.has_word.store(true, Ordering::Relaxed);
        Ok(path)
    }

    /// Whether there is one, or one that is being written to its end.
    #[must_use]
    pub fn is_recording(&self) -> bool {
        self.recording.is_some()
    }

    /// Ends it with this moment. It is written meanwhile: [`Live::recorded`].
    pub fn end_recording(&mut self) {
        let mut slot = self.shared.recorder();
        if matches!(*slot, Slot::Empty) {
            *slot = Slot::Wanted;
        }
        drop(slot);
        self.shared.has_word.store(true, Ordering::Relaxed);
    }

    /// What became of the recording, once it is written.
    pub fn recorded(&mut self) -> Option<Outcome> {
        if let Some(rest) = &mut self.rest {
            // Nothing more comes.
            rest.give_back();
        }
        match self.recording.take()? {
            Recording::Growing(target) => {
                self.recording = match self.shared.take_back() {
                    Some(recorder) => target.finish(recorder).ok().map(Recording::Ending),
                    None => Some(Recording::Growing(target)),
                };
                None
            }
            Recording::Ending(thread) if thread.is_finished() => thread.join().ok(),
            ending @ Recording::Ending(_) => {
                self.recording = Some(ending);
                None
            }
        }
    }

    /// Asks for a snapshot; another one that was asked for before is not taken any more.
    pub fn request(&self, span: Span) {
        let wanted = match span {
            Span::Seconds(seconds) => seconds.max(1) as u64,
            Span::Whole => WHOLE,
        };
        self.shared.wanted.store(wanted, Ordering::Relaxed);
    }

    /// The snapshot, once it is there.
    pub fn take(&mut self) -> Option<Snapshot> {
        if self.sampling.as_ref().is_some_and(JoinHandle::is_finished) {
            self.join();
        }
        if let Some(rest) = &mut self.rest {
            rest.answer();
        }
        self.shared.take()
    }

    /// How the sampling ended; `None`: it goes on.
    #[must_use]
    pub fn ended(&self) -> Option<&Result<Ended, SamplerError>> {
        self.ended.as_ref()
    }

    /// Whether the sampling was asked to end.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stop.is_requested()
    }

    /// Ends the sampling, and tells how it went, and what became of a recording.
    pub fn stop(mut self) -> (Result<Ended, SamplerError>, Option<Outcome>) {
        self.stop.request();
        self.join();
        let mut outcome = None;
        while self.is_recording() && outcome.is_none() {
            outcome = self.recorded();
            thread::sleep(PATIENCE);
        }
        let ended = self.ended.take().unwrap_or(Ok(Ended::Requested));
        (ended, outcome)
    }

    fn join(&mut self) {
        let Some(sampling) = self.sampling.take() else {
            return;
        };
        match sampling.join() {
            Ok((rest, ended)) => {
                self.rest = Some(rest);
                self.ended = Some(ended);
            }
            Err(panic) => resume_unwind(panic),
        }
    }
}

impl Shared {
    fn recorder(&self) -> MutexGuard<'_, Slot> {
        self.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The recorder, once the sampler has given it back.
    fn take_back(&self) -> Option<Recorder> {
        let mut slot = self.recorder();
        match std::mem::take(&mut *slot) {
            Slot::ForView(recorder) => Some(recorder),
            other => {
                *slot = other;
                None
            }
        }
    }

    fn take(&self) -> Option<Snapshot> {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        ready.take()
    }

    fn put(&self, snapshot: Snapshot) {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        *ready = Some(snapshot);
    }
}

/// What is folded where it is sampled.
#[derive(Debug)]
struct LiveProfile {
    folding: Folding,
    profile: Profile,
    snapshots: Snapshots,
    shared: Arc<Shared>,
    /// What was defined until now, as it was sampled: a recording begins with it.
    definitions: Vec<Event>,
    recording: Option<(Excerpt, Recorder)>,
}

impl LiveProfile {
    fn new(shared: Arc<Shared>) -> LiveProfile {
        LiveProfile {
            folding: Folding::new(true),
            profile: Profile::with_last_minute(),
            snapshots: Snapshots::default(),
            shared,
            definitions: Vec::new(),
            recording: None,
        }
    }

    /// Takes the snapshot that is asked for, if one is.
    fn answer(&mut self) {
        let span = match self.shared.wanted.swap(NOTHING, Ordering::Relaxed) {
            NOTHING => return,
            WHOLE => Span::Whole,
            seconds => Span::Seconds(seconds as usize),
        };
        let snapshot = self.snapshots.take(&mut self.profile, span);
        self.shared.put(snapshot);
    }

    /// Begins or ends a recording, if one is to be begun or ended.
    fn obey(&mut self) {
        self.shared.has_word.store(false, Ordering::Relaxed);
        let now = self.profile.duration();
        let mut slot = self.shared.recorder();
        *slot = match std::mem::take(&mut *slot) {
            Slot::ForSampler(recorder) => {
                let mut excerpt = Excerpt::new(now);
                for event in &self.definitions {
                    excerpt.apply(event, &mut |event| recorder.record(event));
                }
                self.recording = Some((excerpt, recorder));
                Slot::Empty
            }
            Slot::Wanted => {
                if let Some((excerpt, _)) = &mut self.recording {
                    excerpt.end_at(now);
                }
                Slot::Wanted
            }
            other => other,
        };
    }

    /// Hands an event to the recording, and gives that back when it has all of its time.
    fn record(&mut self, event: &Event) {
        let Some((excerpt, recorder)) = &mut self.recording else {
            return;
        };
        excerpt.apply(event, &mut |event| recorder.record(event));
        if excerpt.is_over() {
            self.give_back();
        }
    }

    fn give_back(&mut self) {
        if let Some((_, recorder)) = self.recording.take() {
            *self.shared.recorder() = Slot::ForView(recorder);
        }
    }
}

/// Whether an event is told once, for all that comes behind it.
fn is_definition(event: &Event) -> bool {
    matches!(
        event,
        Event::Process(..)
            | Event::Thread(..)
            | Event::Frame(..)
            | Event::Stack { .. }
            | Event::Attributes(..)
            | Event::Names { .. }
            | Event::Missing(_)
    )
}

impl Sink for LiveProfile {
    fn event(&mut self, event: &Event) {
        if self.shared.has_word.load(Ordering::Relaxed) {
            self.obey();
        }
        self.record(event);
        if is_definition(event) {
            self.definitions.push(event.clone());
        }
        // The view shows Python functions only.
        if !matches!(event, Event::Native(_) | Event::Names { .. }) {
            let profile = &mut self.profile;
            self.folding
                .apply(event.clone(), &mut |event| profile.apply(event));
        }
        if self.shared.wanted.load(Ordering::Relaxed) != NOTHING {
            self.answer();
        }
    }
}
