//! Turns a process into an interpreter that can be sampled, waiting until it has started.

use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use super::ticker::has_ended_within;
use super::{SamplerError, Settings, Stop, Stops};
use crate::cpython::legacy::LegacyReader;
use crate::cpython::locate::{Found, LocateError, locate};
use crate::cpython::native_ids::native_ids;
use crate::cpython::reader::{KnownThread, Reader, Stopper};
use crate::cpython::version::Version;
use crate::memory::{Address, LiveMemory};
use crate::process::{ImageIdentity, Pid, Process, ProcessError, Tid, diagnose, pause};

/// The shortest wait between two looks at a process that is not ready.
const SHORTEST_WAIT: Duration = Duration::from_micros(500);

/// The longest wait between two looks at a process that has not become Python. An interpreter takes
/// some ten milliseconds to start, so that one behind a shell is seen before it is ready or soon after.
const LONGEST_WAIT: Duration = Duration::from_millis(20);

/// Looks at a process that stays as it is take at most one part in so many of the time,
const LOOKING: u32 = 50;

/// but the user, who may want it to stop, does not wait longer than this.
const LONGEST_DEAF: Duration = Duration::from_millis(200);

/// How long a running process that is no Python gets to become one, where the settings set a time
/// limit at all: long enough for an exec or a dynamic loader under way.
const EXEC_GRACE: Duration = Duration::from_millis(500);

/// How often new threads are looked for, at rates above 1 kHz.
pub const NEW_THREADS: Duration = Duration::from_millis(1);

/// What reads the interpreter.
pub enum Source {
    /// rsamp's own reader.
    Native(Box<Reader>),
    /// The py-spy crate, for versions before 3.6.
    Legacy(Box<LegacyReader>),
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

/// Opens process `pid`.
pub fn open(pid: Pid) -> Result<Process, SamplerError> {
    Process::open(pid).map_err(|error| refine(pid, error))
}

/// Waits until `process` has an interpreter with at least one thread. `None` when `stop` came first.
pub fn wait_for(
    process: &Process,
    memory: &LiveMemory,
    settings: &Settings,
    stop: &Stop,
) -> Result<Option<Target>, SamplerError> {
    let started = Instant::now();
    let mut changed = started;
    let mut seen = None;
    let mut last_error = None;
    let mut what = String::new();
    loop {
        if stop.is_requested() {
            return Ok(None);
        }
        if !process.is_alive() {
            return Err(ended(process.pid(), last_error.as_ref(), what));
        }
        let look_began = Instant::now();
        // Parsing files is for when something changed: a program that is not Python may run for days.
        let mapped = process.mappings().map_or(0, |mappings| mappings.len());
        let state = (process.exe_identity().ok(), mapped);
        if last_error.is_none() || seen != Some(state) || is_starting(&last_error) {
            if seen.replace(state) != Some(state) {
                changed = look_began;
            }
            // A process that has ended can't be described any more.
            what = process.describe();
            match look(process, memory, settings.stops) {
                Ok(target) => return Ok(Some(target)),
                Err(error) => last_error = Some(error),
            }
        }
        if let Some(error) = give_up(&mut last_error, started.elapsed(), settings) {
            return Err(to_sampler_error(process, error));
        }
        // Cut short by the end of the process.
        has_ended_within(process, wait(changed.elapsed(), look_began.elapsed()));
    }
}

/// How long to wait after a look that took `look`, at a process that changed last `unchanged` ago:
/// briefly while it is starting, then a growing part of that time.
fn wait(unchanged: Duration, look: Duration) -> Duration {
    let wait = (unchanged / 16).clamp(SHORTEST_WAIT, LONGEST_WAIT);
    if wait == LONGEST_WAIT {
        wait.max(look * LOOKING).min(LONGEST_DEAF)
    } else {
        wait
    }
}

/// What it means that process `pid`, which was `what` at the last look, ended before it could be sampled.
fn ended(pid: Pid, last_error: Option<&LocateError>, what: String) -> SamplerError {
    match last_error {
        Some(LocateError::NotPython(_)) => SamplerError::NeverPython { pid, what },
        _ => SamplerError::EndedEarly(pid),
    }
}

fn is_starting(error: &Option<LocateError>) -> bool {
    matches!(error, Some(LocateError::NotReady(_)))
}

/// The error to end with, when waiting makes no sense any more.
fn give_up(
    last_error: &mut Option<LocateError>,
    waited: Duration,
    settings: &Settings,
) -> Option<LocateError> {
    let limit = match last_error.as_ref()? {
        LocateError::UnknownVersion { .. } => Some(Duration::ZERO),
        LocateError::Process { source, .. } if source.is_denied() => Some(Duration::ZERO),
        LocateError::Memory { source, .. } if is_denied(&source.source) => Some(Duration::ZERO),
        LocateError::NotPython(_) => settings.start_timeout.map(|limit| limit.min(EXEC_GRACE)),
        _ => settings.start_timeout,
    };
    if limit.is_some_and(|limit| waited >= limit) {
        last_error.take()
    } else {
        None
    }
}

fn is_denied(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::PermissionDenied
}

/// One look: the interpreter, when it is there and has a thread.
fn look(process: &Process, memory: &LiveMemory, stops: Stops) -> Result<Target, LocateError> {
    let pid = process.pid();
    let image = process.exe_identity().ok();
    match locate(process, memory)? {
        Found::Native(interpreter) => {
            let python = interpreter.version.to_string();
            let mut reader = Reader::new(*interpreter);
            let ready = reader
                .tick(memory)
                .is_ok_and(|tick| !tick.readings.is_empty());
            if !ready {
                return Err(LocateError::NotReady(pid));
            }
            reader.look_for_threads_every(NEW_THREADS);
            if stops != Stops::Never {
                reader.allow_stops(stops, stopper(pid));
            }
            Ok(Target {
                source: Source::Native(Box::new(reader)),
                python,
                image,
            })
        }
        Found::Legacy(version) => {
            let reader = open_legacy(pid, version)?;
            Ok(Target {
                source: Source::Legacy(Box::new(reader)),
                python: version.to_string(),
                image,
            })
        }
    }
}

/// Stops threads of process `pid` with ptrace, each for one reading.
#[must_use]
pub fn stopper(pid: Pid) -> Stopper {
    // The kernel's ids of the threads stopped so far: finding one out takes longer than the stop.
    let mut tids: FxHashMap<(Address, u64), Tid> = FxHashMap::default();
    Box::new(move |thread: &KnownThread| {
        let key = (thread.state, thread.ident);
        if let Some(tid) = tids.get(&key)
            && let Ok(paused) = pause(pid, *tid)
        {
            return Some(paused);
        }
        let tid = tid_of(pid, thread)?;
        tids.insert(key, tid);
        pause(pid, tid).ok()
    })
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

fn open_legacy(pid: Pid, version: Version) -> Result<LegacyReader, LocateError> {
    let known = [(2, 7), (3, 3), (3, 4), (3, 5)];
    if !known.contains(&version.minor_pair()) {
        return Err(LocateError::UnknownVersion {
            pid,
            found: version.to_string(),
            known: crate::cpython::locate::known_versions(),
        });
    }
    LegacyReader::open(pid.0, false).map_err(|_| LocateError::NotReady(pid))
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
    fn a_process_that_starts_is_looked_at_often_and_one_that_stays_as_it_is_costs_little() {
        let ms = Duration::from_millis;
        assert_eq!(wait(ms(0), ms(5)), SHORTEST_WAIT);
        assert_eq!(wait(ms(16), ms(5)), ms(1));
        assert_eq!(wait(ms(160), ms(5)), ms(10));
        assert_eq!(wait(ms(60_000), Duration::from_micros(100)), LONGEST_WAIT);
        assert_eq!(wait(ms(60_000), ms(2)), ms(100), "2 % of the time");
        assert_eq!(wait(ms(60_000), ms(50)), LONGEST_DEAF);
    }
}
