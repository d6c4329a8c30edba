//! Turns a process into an interpreter that can be sampled, looking at it until it has started.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use super::gaps::LONGEST_SAMPLED;
use super::ticker::has_ended_within;
use super::{SamplerError, StopPolicy};
use crate::cpython::known_files::KnownFiles;
use crate::cpython::legacy_helper::LegacySource;
use crate::cpython::locate::{Found, Interpreter, LocateError, locate_with};
use crate::cpython::native_ids::native_ids;
use crate::cpython::reader::{KnownThread, Reader, StopThreads, StoppedThread};
use crate::cpython::version::Version;
use crate::memory::{Address, LiveMemory};
use crate::process::{
    ImageIdentity, Paused, Pid, Process, ProcessError, TaskTurns, Tid, diagnose, pause,
    release_late, tracer_of,
};
use crate::profile::event::Nanos;

/// The shortest wait between two looks at a process that is not ready.
const SHORTEST_WAIT: Duration = Duration::from_micros(500);

/// The longest wait between two looks at a process that has not become Python. An interpreter takes
/// some ten milliseconds to start, so that one behind a shell is seen before it is ready or soon after.
const LONGEST_WAIT: Duration = Duration::from_millis(20);

/// Looks at processes that stay as they are take at most one part in so many of the time,
const LOOKING: u32 = 200;

/// but one that becomes Python is found after this time, at the latest.
const LONGEST_DEAF: Duration = Duration::from_secs(1);

/// Where the looks at one program have taken so long, it is not looked at any more: its files are made to take long.
const MOST_LOOKING: Duration = Duration::from_secs(2);

/// How long a running process that is no Python gets to become one for a [`wait_for`], where that has a time
/// limit at all: long enough for an exec or a dynamic loader under way.
const EXEC_GRACE: Duration = Duration::from_millis(500);

/// How often new threads are looked for, at rates above 1 kHz.
pub const NEW_THREADS: Duration = Duration::from_millis(1);

/// What reads the interpreter.
pub enum Source {
    /// rsamp's own reader.
    Native(Box<Reader>),
    /// The py-spy crate, for versions before 3.6.
    Legacy(Box<LegacySource>),
}

/// A process whose interpreter was found.
pub struct Target {
    /// What reads it.
    pub source: Source,
    /// Its version as `3.11.7`.
    pub python: String,
    /// The program image in which it was found: another one means another program.
    pub image: Option<ImageIdentity>,
}

/// Where the interpreter of a process is. Unlike a [`Target`] it may go from thread to thread.
pub struct Located {
    /// The interpreter.
    interpreter: Readable,
    /// The program image in which it was found.
    image: Option<ImageIdentity>,
    /// When it was found.
    pub at: Instant,
}

enum Readable {
    Native(Box<Interpreter>),
    Legacy(Version, Box<LegacySource>),
}

impl Located {
    /// What reads the interpreter of process `pid`.
    #[must_use]
    pub fn into_target(self, pid: Pid, stops: StopPolicy) -> Target {
        let image = self.image;
        match self.interpreter {
            Readable::Native(interpreter) => {
                let python = interpreter.version.to_string();
                let mut reader = Reader::new(*interpreter);
                reader.look_for_threads_every(NEW_THREADS);
                allow_stops(&mut reader, pid, stops);
                Target {
                    source: Source::Native(Box::new(reader)),
                    python,
                    image,
                }
            }
            Readable::Legacy(version, mut reader) => {
                if stops != StopPolicy::Never {
                    reader.allow_stops();
                }
                Target {
                    source: Source::Legacy(reader),
                    python: version.to_string(),
                    image,
                }
            }
        }
    }
}

impl Target {
    /// What reads `pid`, a fork of the process that has not run another program since; `None` where the
    /// interpreter has to be found anew.
    #[must_use]
    pub fn for_fork(&self, pid: Pid, stops: StopPolicy) -> Option<Target> {
        let Source::Native(reader) = &self.source else {
            return None;
        };
        let mut reader = reader.for_fork();
        allow_stops(&mut reader, pid, stops);
        Some(Target {
            source: Source::Native(Box::new(reader)),
            python: self.python.clone(),
            image: self.image,
        })
    }
}

fn allow_stops(reader: &mut Reader, pid: Pid, stops: StopPolicy) {
    if stops != StopPolicy::Never {
        reader.allow_stops(stops, stopper(pid));
    }
}

/// Opens process `pid`.
pub fn open(pid: Pid) -> Result<Process, SamplerError> {
    Process::open(pid).map_err(|error| refine(pid, error))
}

/// A process that is looked at until it has an interpreter with at least one thread.
#[derive(Debug)]
pub struct Search {
    process: Arc<Process>,
    memory: LiveMemory,
    started: Instant,
    /// How long it gets to become Python, where there is a time limit at all.
    exec_grace: Duration,
    /// Since when it may be Python, unseen.
    unseen_since: Instant,
    /// When it was last found to be another than at the look before.
    changed: Instant,
    seen: Option<Appearance>,
    last_error: Option<LocateError>,
    /// Whether [`Search::give_up`] told why, and it is still so.
    is_given_up: bool,
    /// What the looks at the program that it runs now have taken.
    looking: Duration,
    what: String,
}

/// What changes when a process becomes something else, or loads a library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Appearance {
    image: Option<ImageIdentity>,
    memory_pages: Option<u64>,
    mappings: usize,
}

impl Search {
    /// Nothing was looked at yet; it may run what it runs since `unseen_since`.
    #[must_use]
    pub fn new(process: Arc<Process>, unseen_since: Instant) -> Search {
        let now = Instant::now();
        Search {
            memory: LiveMemory::new(process.pid()),
            process,
            started: now,
            exec_grace: Duration::MAX,
            unseen_since,
            changed: now,
            seen: None,
            last_error: None,
            is_given_up: false,
            looking: Duration::ZERO,
            what: String::new(),
        }
    }

    /// The process.
    #[must_use]
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// Looks once. Where it was not looked at for long, [`Located::at`] is when it may have begun.
    pub fn look(&mut self, known: &mut KnownFiles) -> Option<Located> {
        let began = Instant::now();
        let located = self.look_now(known);
        let unseen_since = std::mem::replace(&mut self.unseen_since, began);
        let mut located = located?;
        let unseen = located.at.saturating_duration_since(unseen_since);
        if unseen > Duration::from_nanos(LONGEST_SAMPLED.0) {
            located.at = unseen_since;
        }
        Some(located)
    }

    fn look_now(&mut self, known: &mut KnownFiles) -> Option<Located> {
        // Files are for when something changed: a program that is not Python may run for days.
        let (has_changed, appearance) = self.appearance();
        let before = self.seen.replace(appearance);
        if before.is_some_and(|before| before.image != appearance.image) {
            self.looking = Duration::ZERO;
        }
        let is_settled = !has_changed && (self.is_given_up || self.is_settled());
        if is_settled || self.looking > MOST_LOOKING {
            return None;
        }
        if has_changed {
            self.is_given_up = false;
            self.changed = Instant::now();
            // A process that has ended can't be described any more.
            self.what = self.process.describe();
        }
        let began = Instant::now();
        let found = look(&self.process, &self.memory, known);
        self.looking += began.elapsed();
        match found {
            Ok(located) => Some(located),
            Err(error) => {
                let pid = self.process.pid();
                // Then it is not known what the process is: most looks end with that it is not Python.
                let refused = self.memory.take_refusal();
                let refused = refused.map(|source| LocateError::Memory { pid, source });
                self.last_error = Some(refused.unwrap_or(error));
                None
            }
        }
    }

    /// Whether it is something else than Python, or than Python that is starting.
    fn is_settled(&self) -> bool {
        !matches!(self.last_error, None | Some(LocateError::NotReady(_)))
    }

    /// What it looks like now, and whether it did not at the look before.
    fn appearance(&self) -> (bool, Appearance) {
        let image = self.process.exe_identity().ok();
        let memory_pages = self.process.memory_pages();
        let same = self.seen.filter(|seen| seen.image == image);
        if let Some(seen) = same.filter(|seen| seen.memory_pages == memory_pages) {
            return (false, seen);
        }
        let mappings = self.process.mappings().map_or(0, |all| all.len());
        let now = Appearance {
            image,
            memory_pages,
            mappings,
        };
        (same.is_none_or(|seen| seen.mappings != mappings), now)
    }

    /// How long to wait after a look, where the looks at all processes together take `looks`: briefly while
    /// this one is starting, then a growing part of the time for which it has been the same.
    #[must_use]
    pub fn wait(&self, looks: Duration) -> Duration {
        wait(self.changed.elapsed(), looks)
    }

    /// What it means that the process ended.
    #[must_use]
    pub fn into_end(self) -> SamplerError {
        ended(self.process.pid(), self.last_error.as_ref(), self.what)
    }

    /// The error to end with, when waiting makes no sense any more. `start_timeout` is how long it makes sense
    /// while there is no other reason.
    pub fn give_up(&mut self, start_timeout: Option<Duration>) -> Option<SamplerError> {
        let limit = match self.last_error.as_ref()? {
            LocateError::UnknownVersion { .. } => Some(Duration::ZERO),
            LocateError::Process { source, .. } if source.is_denied() => Some(Duration::ZERO),
            LocateError::Memory { source, .. } if is_denied(&source.source) => Some(Duration::ZERO),
            LocateError::NotPython(_) | LocateError::NoAnswer { .. } => {
                start_timeout.map(|limit| limit.min(self.exec_grace))
            }
            _ => start_timeout,
        };
        if limit.is_none_or(|limit| self.started.elapsed() < limit) {
            return None;
        }
        self.is_given_up = true;
        let error = self.last_error.take()?;
        Some(to_sampler_error(&self.process, error))
    }
}

/// Waits until `process` has an interpreter with at least one thread.
///
/// # Errors
/// When it ended, or is not about to have one.
pub fn wait_for(
    process: &Arc<Process>,
    start_timeout: Option<Duration>,
) -> Result<Located, SamplerError> {
    let mut search = Search {
        exec_grace: EXEC_GRACE,
        ..Search::new(Arc::clone(process), Instant::now())
    };
    let mut known = KnownFiles::default();
    loop {
        if !process.is_alive() {
            return Err(search.into_end());
        }
        let began = Instant::now();
        if let Some(located) = search.look(&mut known) {
            return Ok(located);
        }
        if let Some(error) = search.give_up(start_timeout) {
            return Err(error);
        }
        // Cut short by the end of the process.
        has_ended_within(process, search.wait(began.elapsed()));
    }
}

fn wait(unchanged: Duration, looks: Duration) -> Duration {
    let wait = (unchanged / 16).clamp(SHORTEST_WAIT, LONGEST_WAIT);
    if wait == LONGEST_WAIT {
        wait.max(looks * LOOKING).min(LONGEST_DEAF)
    } else {
        wait
    }
}

/// What it means that process `pid`, which was `what` at the last look, ended before it could be sampled.
fn ended(pid: Pid, last_error: Option<&LocateError>, what: String) -> SamplerError {
    match last_error {
        Some(LocateError::NotPython(_)) => SamplerError::NeverPython { pid, what },
        Some(LocateError::Memory { source, .. }) if is_denied(&source.source) => denied(pid),
        _ => SamplerError::EndedEarly(pid),
    }
}

/// A seccomp filter may say instead that there is no such call.
fn is_denied(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{PermissionDenied, Unsupported};
    matches!(error.kind(), PermissionDenied | Unsupported)
}

/// One look: the interpreter, when it is there and has a thread.
fn look(
    process: &Process,
    memory: &LiveMemory,
    known: &mut KnownFiles,
) -> Result<Located, LocateError> {
    let pid = process.pid();
    let image = process.exe_identity().ok();
    let interpreter = match locate_with(process, memory, known)? {
        Found::Native(interpreter) => {
            let mut reader = Reader::new(*interpreter.clone());
            let tick = reader.tick(memory);
            if !tick.is_ok_and(|tick| !tick.readings.is_empty()) {
                return Err(LocateError::NotReady(pid));
            }
            Readable::Native(interpreter)
        }
        Found::Legacy(version) => Readable::Legacy(version, Box::new(open_legacy(pid)?)),
    };
    Ok(Located {
        interpreter,
        image,
        at: Instant::now(),
    })
}

/// Stops threads of process `pid` with ptrace, each for one reading.
#[must_use]
pub fn stopper(pid: Pid) -> Box<dyn StopThreads> {
    Box::new(Stopper {
        pid,
        threads: FxHashMap::default(),
    })
}

struct Stopper {
    pid: Pid,
    /// The kernel's ids and counts of the threads met so far: finding them takes longer than a stop.
    threads: FxHashMap<(Address, u64), (Tid, TaskTurns)>,
}

/// The most threads whose counts are kept open.
const MAX_COUNTED: usize = 64;

impl Stopper {
    fn find(&mut self, thread: &KnownThread) -> Option<&mut (Tid, TaskTurns)> {
        let key = (thread.state, thread.ident);
        if !self.threads.contains_key(&key) {
            let tid = tid_of(self.pid, thread)?;
            if self.threads.len() >= MAX_COUNTED {
                self.threads.clear();
            }
            self.threads
                .insert(key, (tid, TaskTurns::open(self.pid, tid)?));
        }
        self.threads.get_mut(&key)
    }

    fn forget(&mut self, thread: &KnownThread) {
        self.threads.remove(&(thread.state, thread.ident));
    }
}

impl StopThreads for Stopper {
    fn off_cpu(&mut self, thread: &KnownThread) -> Option<u64> {
        self.find(thread)?.1.off_cpu()
    }

    fn stop(&mut self, thread: &KnownThread) -> Option<Box<dyn StoppedThread + '_>> {
        let tid = self.find(thread)?.0;
        match pause(self.pid, tid) {
            Ok(paused) => Some(Box::new(paused)),
            Err(_) => {
                self.forget(thread);
                None
            }
        }
    }

    fn look_after(&mut self) {
        release_late();
    }
}

impl StoppedThread for Paused {
    fn step(&mut self) -> bool {
        Paused::step(self)
    }
}

/// The kernel's id of `thread` in rsamp's PID namespace.
fn tid_of(pid: Pid, thread: &KnownThread) -> Option<Tid> {
    let tids = Process::open(pid).ok()?.namespace_tids().ok()?;
    let inner = match thread.native_id {
        Some(id) => i32::try_from(id).ok()?,
        None => {
            let existing = tids.keys().copied().collect();
            let memory = LiveMemory::new(pid);
            *native_ids(&[thread.ident], &existing, &memory).get(&thread.ident)?
        }
    };
    tids.get(&inner).copied()
}

fn open_legacy(pid: Pid) -> Result<LegacySource, LocateError> {
    LegacySource::open(pid.0).map_err(|_| LocateError::NotReady(pid))
}

/// Says what the user needs to know: what the process is instead, or why it may not be read.
fn to_sampler_error(process: &Process, error: LocateError) -> SamplerError {
    let pid = process.pid();
    match error {
        LocateError::NotPython(pid) => SamplerError::NotPython {
            pid,
            what: process.describe(),
        },
        LocateError::NotReady(pid) => SamplerError::NeverPython {
            pid,
            what: process.describe(),
        },
        LocateError::UnknownVersion { pid, found, known } => {
            SamplerError::UnknownVersion { pid, found, known }
        }
        LocateError::NoAnswer { pid, path, kind } => SamplerError::NoAnswer { pid, path, kind },
        LocateError::Process { source, .. } => refine(pid, source),
        LocateError::Memory { source, .. } if is_denied(&source.source) => denied(pid),
        LocateError::Memory { source, .. } => SamplerError::Io {
            pid,
            tried: "read the memory".to_owned(),
            source: source.source,
        },
    }
}

fn refine(pid: Pid, error: ProcessError) -> SamplerError {
    if error.is_denied() {
        return denied(pid);
    }
    if error.is_gone() {
        return SamplerError::NoSuchProcess(pid);
    }
    SamplerError::Process { pid, source: error }
}

/// Whether threads of process `pid`, which are to be stopped for every reading, can be stopped: by trying it with one.
pub fn check_stops(pid: Pid) -> Result<(), SamplerError> {
    match pause(pid, Tid(pid.0)) {
        Err(source @ ProcessError::Ptrace { .. }) => Err(SamplerError::Unstoppable {
            pid,
            tracer: tracer_of(pid),
            source,
        }),
        // One that hangs in the kernel, or has ended, says nothing of the others.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// That permission to read a process was lost.
pub fn lost_permission(pid: Pid, after: Nanos) -> SamplerError {
    SamplerError::PermissionLost {
        pid,
        after,
        why: diagnose(pid),
    }
}

fn denied(pid: Pid) -> SamplerError {
    SamplerError::PermissionDenied {
        pid,
        why: diagnose(pid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_not_python_yet_gets_its_time() {
        let process = Arc::new(Process::open(Pid(std::process::id() as i32)).unwrap());
        let limit = Some(Duration::from_secs(10));
        let is_given_up = |exec_grace, waited_s, limit| {
            let pid = process.pid();
            let mut search = Search {
                exec_grace,
                started: Instant::now() - Duration::from_secs(waited_s),
                last_error: Some(LocateError::NotPython(pid)),
                ..Search::new(Arc::clone(&process), Instant::now())
            };
            search.give_up(limit).is_some()
        };
        assert!(!is_given_up(Duration::MAX, 9, limit));
        assert!(is_given_up(Duration::MAX, 11, limit));
        assert!(!is_given_up(Duration::MAX, 11, None));
        assert!(is_given_up(EXEC_GRACE, 1, limit));
    }

    #[test]
    fn a_process_that_starts_is_looked_at_often_and_one_that_stays_as_it_is_costs_little() {
        let ms = Duration::from_millis;
        assert_eq!(wait(ms(0), ms(5)), SHORTEST_WAIT);
        assert_eq!(wait(ms(16), ms(5)), ms(1));
        assert_eq!(wait(ms(160), ms(5)), ms(10));
        assert_eq!(wait(ms(60_000), Duration::from_micros(100)), LONGEST_WAIT);
        assert_eq!(
            wait(ms(60_000), ms(2)),
            ms(400),
            "half a percent of the time"
        );
        assert_eq!(wait(ms(60_000), ms(50)), LONGEST_DEAF);
    }
}
