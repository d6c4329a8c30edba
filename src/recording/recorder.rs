//! Turns events, as the sampler emits them, into a recording that another thread writes.
//!
//! The sampler only appends to a list. Some times a second ([`super::flushing`]) the thread takes the list, compresses
//! and writes what was in it. The list is bounded: when the disk is so slow that it fills, the sampler
//! waits (which shows as late ticks, whose time is in the next samples), and when nothing moves for
//! [`PATIENCE`], the recording is given up and everything else goes on.

use std::fmt::Debug;
use std::fs::File;
use std::io::{self, BufWriter, IntoInnerError};
use std::mem::replace;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use rustc_hash::FxHashSet;
use thiserror::Error;

use super::flushing::Flushing;
use super::schema::Header;
use super::size_limit::{SizeLimit, Thinning};
use super::spill::{Moved, Spare, Spill};
use super::worth::SourceSelector;
use super::writer::Writer;
use crate::profile::event::{Event, ProcessId};

/// A process that has just appeared is looked at soon, but not more often than this: a program may start
/// hundreds of them a second.
const HURRY_EVERY: Duration = Duration::from_millis(100);

/// The most events that wait to be written: some 14 MB, or a quarter of a minute of four threads at 1 kHz.
const MAX_WAITING: usize = 1 << 16;

/// From so many on the thread is woken before it is time.
const MANY_WAITING: usize = MAX_WAITING / 8;

/// How long the sampler waits for a disk that takes nothing.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// How long what was recorded meanwhile waits for source files.
const SOURCES_PATIENCE: Duration = Duration::from_secs(3);

/// The most source text in one recording.
const MAX_SOURCES_BYTES: usize = 16 << 20;

/// What a recording wants to know beyond the events.
pub trait ProcessFiles: Debug + Send + Sync {
    /// A process has just been defined. Called on the sampler's thread, so that what answers sees the process
    /// that was sampled, not what has its PID later.
    fn appeared(&self, process: ProcessId, pid: i32);

    /// The interpreter's file of a process that was defined lately. Asked on the writing thread.
    fn executable(&self, pid: i32) -> Option<String>;

    /// The text of a file that a process named, read with the rights of that process; `None` when it cannot or shall
    /// not be had, or not before `deadline`. Asked on the writing thread.
    fn source(&self, process: ProcessId, file: &str, deadline: Instant) -> Option<Text>;
}

/// The text of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// What is in it now.
    pub text: String,
    /// Whether it was changed after the process had started: another text may have run.
    pub is_changed: bool,
}

/// Why a recording is not whole. What was written until then can be read.
#[derive(Debug, Error)]
#[error("write the recording")]
pub struct RecordError {
    /// How many bytes were written.
    pub written_bytes: u64,
    /// Where all of it is, when it went on elsewhere.
    pub moved_to: Option<PathBuf>,
    /// What failed.
    #[source]
    pub source: io::Error,
}

/// Opens the file, and says what its header is, when the first event is there.
pub type OpenOutput = Box<dyn FnOnce() -> io::Result<(File, Header)> + Send>;

/// What to do where a recording cannot just grow.
#[derive(Default)]
pub struct Care {
    /// Where to go on when the disk takes no more.
    pub spare: Option<Spare>,
    /// How large it may become; `None`: as large as it gets.
    pub limit: Option<SizeLimit>,
}

/// Takes events. Dropping it ends the file where it is; [`Recorder::finish`] tells how it went.
#[derive(Debug)]
pub struct Recorder {
    shared: Arc<Shared>,
    files: Arc<dyn ProcessFiles>,
    thread: Option<JoinHandle<Result<Option<u64>, RecordError>>>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// Told when there are many events, or no more will come.
    is_due: Condvar,
    /// Told when events were taken.
    has_room: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    events: Vec<Event>,
    /// There is something that should not wait: a process may end at once.
    is_urgent: bool,
    /// When that was so last.
    hurried: Option<Instant>,
    is_finished: bool,
    /// Nothing is taken any more.
    is_given_up: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // No code that holds it can leave it half changed.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recorder {
    /// Starts the thread. No file is opened before the first event.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(
        open: OpenOutput,
        files: Arc<dyn ProcessFiles>,
        care: Care,
    ) -> io::Result<Recorder> {
        let shared = Arc::new(Shared::default());
        let writing = Writing {
            shared: Arc::clone(&shared),
            files: Arc::clone(&files),
            spare: care.spare,
            thinning: care.limit.map(Thinning::new),
            flushing: Flushing::default(),
            worth: SourceSelector::default(),
            seen: FxHashSet::default(),
            changed_files: FxHashSet::default(),
            sources_bytes: 0,
            end: None,
        };
        let thread = thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || writing.run(open))?;
        Ok(Recorder {
            shared,
            files,
            thread: Some(thread),
        })
    }

    /// Takes in one event, most often in some tens of nanoseconds.
    pub fn record(&self, event: &Event) {
        if let Event::Process(id, process) = event {
            self.files.appeared(*id, process.pid);
        }
        let mut waiting = self.shared.lock();
        if waiting.events.len() >= MAX_WAITING && !waiting.is_given_up {
            waiting = self.wait_for_room(waiting);
        }
        if waiting.is_given_up {
            return;
        }
        waiting.events.push(event.clone());
        let is_urgent = matches!(event, Event::Process(..))
            && waiting
                .hurried
                .is_none_or(|last| last.elapsed() >= HURRY_EVERY);
        if is_urgent {
            waiting.is_urgent = true;
            waiting.hurried = Some(Instant::now());
        }
        let is_due = is_urgent || waiting.events.len() == MANY_WAITING;
        drop(waiting);
        if is_due {
            self.shared.is_due.notify_one();
        }
    }

    #[cold]
    fn wait_for_room<'a>(&'a self, waiting: MutexGuard<'a, Waiting>) -> MutexGuard<'a, Waiting> {
        let is_full =
            |waiting: &mut Waiting| waiting.events.len() >= MAX_WAITING && !waiting.is_given_up;
        let waited = self
            .shared
            .has_room
            .wait_timeout_while(waiting, PATIENCE, is_full);
        let (mut waiting, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            waiting.is_given_up = true;
        }
        waiting
    }

    /// Writes what is left, and tells the size of the file; `None` when there was no event, and so
    /// no file was opened.
    ///
    /// # Errors
    /// When something could not be written, now or before.
    pub fn finish(mut self) -> Result<Option<u64>, RecordError> {
        self.end();
        let Some(thread) = self.thread.take() else {
            return Ok(None);
        };
        thread.join().unwrap_or_else(|_| {
            Err(RecordError {
                written_bytes: 0,
                moved_to: None,
                source: io::Error::other("the writing thread panicked"),
            })
        })
    }

    /// Tells that no more events come: what is left is written meanwhile.
    pub fn end(&self) {
        self.shared.lock().is_finished = true;
        self.shared.is_due.notify_one();
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.end();
    }
}

/// What a recording is written to.
type To = Writer<BufWriter<Spill>>;

/// That there is no writer, which does not happen.
fn lost() -> io::Error {
    io::Error::other("the recording is not open")
}

/// The other thread.
struct Writing {
    shared: Arc<Shared>,
    files: Arc<dyn ProcessFiles>,
    spare: Option<Spare>,
    thinning: Option<Thinning>,
    flushing: Flushing,
    worth: SourceSelector,
    /// Excerpts that are in the file: of which file, from which line, how many bytes.
    seen: FxHashSet<(String, u32, usize)>,
    /// Files that were found to have been changed.
    changed_files: FxHashSet<String>,
    sources_bytes: usize,
    /// The end, behind which there must be nothing.
    end: Option<Event>,
}

impl Writing {
    fn run(mut self, open: OpenOutput) -> Result<Option<u64>, RecordError> {
        let (mut events, mut is_last) = (Vec::new(), false);
        while events.is_empty() {
            if is_last {
                return Ok(None);
            }
            (events, is_last) = self.take_events(events);
        }
        let failed = |written_bytes, source| RecordError {
            written_bytes,
            moved_to: None,
            source,
        };
        let spare = self.spare.take();
        let opened = open().and_then(|(file, header)| {
            Writer::new(BufWriter::new(Spill::new(file, 0, spare)), header)
        });
        let result = opened
            .map_err(|source| failed(0, source))
            .and_then(|writer| {
                let mut writer = Some(writer);
                let result = self.write_all(&mut writer, events, is_last);
                let Some(mut writer) = writer else {
                    return Err(failed(0, result.err().unwrap_or_else(lost)));
                };
                let written_bytes = writer.written_bytes();
                let (_, moved) = writer.out_mut().get_mut().take_spare();
                result.map_err(|source| failed(written_bytes, source))?;
                let written_bytes =
                    close(writer).map_err(|source| failed(written_bytes, source))?;
                match moved {
                    None => Ok(written_bytes),
                    Some(Moved { to, why }) => Err(RecordError {
                        written_bytes,
                        moved_to: Some(to),
                        source: why,
                    }),
                }
            });
        if result.is_err() {
            self.give_up();
        }
        result.map(Some)
    }

    /// Writes these events, and those to come. Without an error there is a writer in `place` afterwards.
    fn write_all(
        &mut self,
        place: &mut Option<To>,
        mut events: Vec<Event>,
        mut is_last: bool,
    ) -> io::Result<()> {
        loop {
            for event in events.drain(..) {
                self.thin_out(place)?;
                let writer = place.as_mut().ok_or_else(lost)?;
                self.write(writer, event)?;
            }
            self.thin_out(place)?;
            let writer = place.as_mut().ok_or_else(lost)?;
            // First, and apart from what is only good to have: the disk may be about to be full.
            let before = thread_cpu();
            writer.flush()?;
            self.flushing.wrote(thread_cpu().saturating_sub(before));
            self.write_sources(writer)?;
            if let Some(end) = self.end.take() {
                writer.event(&end)?;
            }
            writer.flush()?;
            if is_last {
                break;
            }
            (events, is_last) = self.take_events(events);
        }
        if self.shared.lock().is_given_up {
            let why = format!("the disk took nothing for {} s", PATIENCE.as_secs());
            return Err(io::Error::new(io::ErrorKind::TimedOut, why));
        }
        Ok(())
    }

    /// Makes a recording smaller that has become too large.
    fn thin_out(&mut self, place: &mut Option<To>) -> io::Result<()> {
        let Some(thinning) = &mut self.thinning else {
            return Ok(());
        };
        let Some(writer) = place.as_mut() else {
            return Ok(());
        };
        if !thinning.is_full(writer.written_bytes()) {
            return Ok(());
        }
        writer.flush()?;
        let spill = writer.out_mut().get_mut();
        let (thinned, file) = thinning.thin(|| spill.reopened())?;
        let (spare, _) = spill.take_spare();
        let bytes = thinned.written_bytes();
        let spill = Spill::new(file, bytes, spare);
        *place = Some(thinned.continued(BufWriter::new(spill)));
        Ok(())
    }

    /// Waits until it is time, and exchanges the list for an empty one. Tells whether it is the last.
    fn take_events(&self, empty: Vec<Event>) -> (Vec<Event>, bool) {
        let too_early = |waiting: &mut Waiting| {
            waiting.events.len() < MANY_WAITING && !waiting.is_finished && !waiting.is_urgent
        };
        let waited = self.shared.is_due.wait_timeout_while(
            self.shared.lock(),
            self.flushing.wait(),
            too_early,
        );
        let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let events = replace(&mut waiting.events, empty);
        waiting.is_urgent = false;
        let is_last = waiting.is_finished || waiting.is_given_up;
        drop(waiting);
        self.shared.has_room.notify_all();
        (events, is_last)
    }

    fn write(&mut self, writer: &mut To, event: Event) -> io::Result<()> {
        if matches!(event, Event::End(_)) {
            self.end = Some(event);
            return Ok(());
        }
        writer.event(&event)?;
        match event {
            Event::Process(_, process) => {
                if let Some(path) = self.files.executable(process.pid) {
                    writer.executable(path);
                }
            }
            event => self.worth.event(&event),
        }
        Ok(())
    }

    /// Of a recording whose size is limited, sources take a quarter at most.
    fn max_sources_bytes(&self) -> usize {
        let limit = self
            .thinning
            .as_ref()
            .map(|thinning| thinning.limit.max_bytes / 4);
        let limit = limit.and_then(|limit| usize::try_from(limit).ok());
        limit.unwrap_or(usize::MAX).min(MAX_SOURCES_BYTES)
    }

    /// Looks up what has become worth keeping, each file once.
    fn write_sources(&mut self, writer: &mut To) -> io::Result<()> {
        let deadline = Instant::now() + SOURCES_PATIENCE;
        for ((process, file), parts) in self.worth.take_due() {
            if self.sources_bytes >= self.max_sources_bytes() {
                break;
            }
            let found = self.files.source(process, &file, deadline);
            let Some(Text { text, is_changed }) = found else {
                continue;
            };
            if is_changed && self.changed_files.insert(file.clone()) {
                writer.changed_file(&file);
            }
            for part in parts {
                let Some(found) = self.worth.excerpt(part, &text) else {
                    continue;
                };
                if self
                    .seen
                    .insert((file.clone(), found.first_line, found.text.len()))
                {
                    self.sources_bytes += found.text.len();
                    writer.source(&file, found.first_line, found.text)?;
                }
            }
        }
        Ok(())
    }

    fn give_up(&self) {
        let mut waiting = self.shared.lock();
        waiting.is_given_up = true;
        waiting.events = Vec::new();
        drop(waiting);
        self.shared.has_room.notify_all();
    }
}

/// The CPU time that this thread has used; none where it cannot be told.
fn thread_cpu() -> Duration {
    let used = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
    used.map_or(Duration::ZERO, Duration::from)
}

/// Ends the file and hears the last error of the disk.
fn close(writer: To) -> io::Result<u64> {
    let (out, written_bytes) = writer.finish()?;
    let spill = out.into_inner().map_err(IntoInnerError::into_error)?;
    let file = spill.file();
    if file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        file.sync_all()?;
    }
    Ok(written_bytes)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Completeness, Reader};
    use super::*;
    use crate::profile::event::{
        Frame, FrameId, Nanos, Process, Sample, StackId, Thread, ThreadId,
    };

    #[derive(Debug)]
    struct Nothing;

    impl ProcessFiles for Nothing {
        fn appeared(&self, _process: ProcessId, _pid: i32) {}

        fn executable(&self, _pid: i32) -> Option<String> {
            None
        }

        fn source(&self, _process: ProcessId, _file: &str, _deadline: Instant) -> Option<Text> {
            None
        }
    }

    /// A process with one thread and one stack.
    fn definitions() -> [Event; 4] {
        let thread = Thread {
            process: ProcessId(0),
            tid: None,
            name: None,
            is_main: true,
        };
        let frame = Frame::mark("main");
        [
            Event::Process(ProcessId(0), Process::default()),
            Event::Thread(ThreadId(0), thread),
            Event::Frame(FrameId(0), frame),
            Event::Stack {
                id: StackId(0),
                parent: None,
                frame: FrameId(0),
            },
        ]
    }

    fn sample(number: u64) -> Event {
        Event::Sample(Sample {
            at: Nanos((number + 1) * 1_000_000),
            thread: ThreadId(0),
            stack: Some(StackId(0)),
            ticks: 1,
            wall: Nanos(1_000_000),
            ..Sample::default()
        })
    }

    /// What can be read of the file, as if its writer were killed now.
    fn events_in(path: &Path) -> Vec<Event> {
        let mut events = Vec::new();
        let reader = File::open(path)
            .ok()
            .and_then(|file| Reader::new(file).ok());
        if let Some(mut reader) = reader {
            let completeness = reader.read(&mut |event| events.push(event)).expect("read");
            assert!(
                matches!(completeness, Completeness::CutOff { .. }),
                "{completeness:?}"
            );
        }
        events
    }

    /// Nothing but the passing of time makes what was recorded readable: neither more events nor an end.
    #[test]
    fn what_was_recorded_gets_into_the_file_by_itself() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.rsamp");
        let to = path.clone();
        let open = move || Ok((File::create(to)?, Header::default()));
        let recorder =
            Recorder::start(Box::new(open), Arc::new(Nothing), Care::default()).expect("started");
        let mut recorded: Vec<Event> = Vec::new();
        for number in 0..4 {
            let more = definitions().into_iter().filter(|_| number == 0);
            for event in more.chain([sample(2 * number), sample(2 * number + 1)]) {
                recorder.record(&event);
                recorded.push(event);
            }
            while events_in(&path).len() < recorded.len() {
                thread::yield_now();
            }
            assert_eq!(events_in(&path), recorded);
        }
        recorder.finish().expect("written");
    }

    /// Puts bytes into the place of a file, as a limited recording asks for.
    fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<File> {
        let new = path.with_extension("new");
        std::fs::write(&new, bytes)?;
        std::fs::rename(&new, path)?;
        File::options().append(true).open(path)
    }

    #[test]
    fn a_recording_of_limited_size_never_exceeds_it_and_keeps_all_time() {
        const MAX_BYTES: u64 = 256 << 10;
        const SAMPLES: u64 = 400_000;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.rsamp");
        let sizes: Arc<Mutex<Vec<u64>>> = Arc::default();
        let halvings: Arc<Mutex<u32>> = Arc::default();
        let (to, told, halved) = (path.clone(), Arc::clone(&sizes), Arc::clone(&halvings));
        let limit = SizeLimit {
            max_bytes: MAX_BYTES,
            replace: Box::new(move |bytes| {
                let mut sizes = told.lock().expect("not poisoned");
                sizes.extend([std::fs::metadata(&to)?.len(), bytes.len() as u64]);
                replace_file(&to, bytes)
            }),
            halve_rate: Box::new(move || *halved.lock().expect("not poisoned") += 1),
        };
        let to = path.clone();
        let open = move || Ok((File::create(to)?, Header::default()));
        let care = Care {
            limit: Some(limit),
            ..Care::default()
        };
        let recorder = Recorder::start(Box::new(open), Arc::new(Nothing), care).expect("started");
        definitions()
            .iter()
            .for_each(|event| recorder.record(event));
        for number in 1..16 {
            recorder.record(&Event::Stack {
                id: StackId(number),
                parent: Some(StackId(number - 1)),
                frame: FrameId(0),
            });
        }
        let (mut at, mut chance) = (Nanos(0), 1_u64);
        for _ in 0..SAMPLES {
            chance = chance
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let wall = Nanos(900_000 + (chance >> 32) % 200_000);
            at += wall;
            recorder.record(&Event::Sample(Sample {
                at,
                thread: ThreadId(0),
                stack: Some(StackId((chance >> 60) as u32)),
                ticks: 1,
                wall,
                ..Sample::default()
            }));
        }
        recorder.record(&Event::End(at));
        let bytes = recorder.finish().expect("written").expect("a file");
        assert_eq!(std::fs::metadata(&path).expect("there").len(), bytes);
        let sizes = sizes.lock().expect("not poisoned");
        assert!(
            sizes.len() >= 4 && sizes.iter().all(|size| *size <= MAX_BYTES),
            "{sizes:?}"
        );
        assert_eq!(
            sizes.len() as u32 / 2,
            *halvings.lock().expect("not poisoned")
        );
        assert!(bytes <= MAX_BYTES, "{bytes}");
        let mut reader = Reader::new(File::open(&path).expect("opened")).expect("a header");
        let (mut wall, mut ticks) = (Nanos(0), 0);
        let completeness = reader.read(&mut |event| {
            if let Event::Sample(sample) = event {
                wall += sample.wall;
                ticks += u64::from(sample.ticks);
            }
        });
        assert_eq!(completeness.expect("read"), Completeness::Whole);
        assert_eq!((wall, ticks), (at, SAMPLES));
    }
}
