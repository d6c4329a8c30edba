//! Finds the names of native frames while the program runs, on a thread of its own.
//!
//! The sampler tells which native frames it has defined ([`NameFinder::defined`]) and asks at each tick for what was found
//! ([`NameFinder::poll`]): neither waits. The thread has another process look into the files
//! ([`SymbolReader`]), which gets a CPU when nobody else wants one. It opens the files within a second, so that they can be
//! read when the program has ended, and reads their symbols two seconds after the first frame, once a minute, when a
//! process ends or runs another program, and at the end.

use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::native_names::{functions_of, only_one};
use crate::native::{Hurry, PerfMap, SymbolReader};
use crate::process::{MappedFile, Pid, Process};
use crate::profile::event::{Event, Frame, FrameId, FrameKind};
use crate::profile::native_frames::NO_FILE;

/// When files are opened, and when their symbols are read first, after a frame is defined.
const OPEN_AFTER: Duration = Duration::from_millis(500);
const NAME_AFTER: Duration = Duration::from_secs(2);

/// How often symbols are read after that.
const NAME_EVERY: Duration = Duration::from_secs(60);

/// How long the end waits for the last names.
pub const END_PATIENCE: Duration = Duration::from_secs(10);

/// So many frames wait for names; a program has some thousand. Those beyond stay without.
const MAX_WAITING: usize = 100_000;

/// So many requests and answers are on their way at a time. Beyond, frames wait for the next time.
const MAX_ON_THE_WAY: usize = 64;

/// A process that has native frames, by its id and when it started.
type Owner = (Pid, u64);

/// What the thread is to do.
#[derive(Debug)]
struct Job {
    owner: Owner,
    /// By module: the frames, and where each is.
    wanted: BTreeMap<String, Vec<(FrameId, u64)>>,
    task: Task,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    /// Opens the files.
    Open,
    /// Reads their symbols.
    Name(Hurry),
}

/// A frame and what it stands for.
type Named = (FrameId, Vec<Frame>);

/// Finds names. Dropping it leaves unsaid what is not found yet.
#[derive(Debug, Default)]
pub struct NameFinder {
    thread: Option<FinderThread>,
    waiting: BTreeMap<Owner, Waiting>,
    count: usize,
}

#[derive(Debug)]
struct FinderThread {
    jobs: SyncSender<Job>,
    found: Receiver<Vec<Named>>,
}

/// The frames of a process that have no names yet.
#[derive(Debug)]
struct Waiting {
    frames: BTreeMap<String, Vec<(FrameId, u64)>>,
    since: Instant,
    is_opened: bool,
    /// When symbols were read last.
    named: Option<Instant>,
    is_over: bool,
}

impl NameFinder {
    /// A native frame of a process was defined. Frames of other kinds, and those with names, are passed over. A frame that
    /// several processes have is told once, for one of them.
    pub fn defined(&mut self, process: &Process, id: FrameId, frame: &Frame) {
        let FrameKind::Native(code) = &frame.kind else {
            return;
        };
        let Some(offset) = code.offset.filter(|_| self.count < MAX_WAITING) else {
            return;
        };
        let owner = (process.pid(), process.start_ticks());
        let now = Instant::now();
        let waiting = self.waiting.entry(owner).or_insert_with(|| Waiting {
            frames: BTreeMap::new(),
            since: now,
            is_opened: false,
            named: None,
            is_over: false,
        });
        if waiting.frames.is_empty() {
            waiting.since = now;
        }
        if !waiting.frames.contains_key(&code.module) {
            waiting.is_opened = false;
        }
        let of_module = waiting.frames.entry(code.module.clone()).or_default();
        of_module.push((id, offset));
        self.count += 1;
    }

    /// How many frames have not been asked for yet.
    #[cfg(test)]
    pub(super) fn waiting_frames(&self) -> usize {
        self.count
    }

    /// A process has ended, or is about to run another program: its names are read now.
    pub fn ended(&mut self, process: &Process) {
        let owner = (process.pid(), process.start_ticks());
        if let Some(waiting) = self.waiting.get_mut(&owner) {
            waiting.is_over = true;
        }
    }

    /// Emits what was found, as [`Event::Names`], and asks for what is due. Never waits.
    pub fn poll(&mut self, now: Instant, emit: &mut dyn FnMut(Event)) {
        if let Some(thread) = &self.thread {
            while let Ok(named) = thread.found.try_recv() {
                hand_on(named, emit);
            }
        }
        let due = |(owner, waiting): (&Owner, &Waiting)| Some((*owner, waiting.due(now)?));
        let due: Vec<(Owner, Task)> = self.waiting.iter().filter_map(due).collect();
        for (owner, task) in due {
            if !self.ask(owner, task, now) {
                break;
            }
        }
    }

    /// Asks for all that is missing, and waits for it up to [`END_PATIENCE`].
    pub fn finish(mut self, emit: &mut dyn FnMut(Event)) {
        let deadline = Instant::now() + END_PATIENCE;
        let owners: Vec<Owner> = self.waiting.keys().copied().collect();
        for owner in owners {
            while self.waiting.contains_key(&owner) && Instant::now() < deadline {
                if !self.ask(owner, Task::Name(Hurry::Now), Instant::now()) {
                    self.hear_one(deadline, emit);
                }
                if self
                    .waiting
                    .get(&owner)
                    .is_some_and(|it| it.frames.is_empty())
                {
                    self.waiting.remove(&owner);
                }
            }
        }
        let Some(FinderThread { jobs, found }) = self.thread.take() else {
            return;
        };
        drop(jobs);
        while let Some(left) = deadline.checked_duration_since(Instant::now())
            && let Ok(named) = found.recv_timeout(left)
        {
            hand_on(named, emit);
        }
    }

    fn hear_one(&mut self, deadline: Instant, emit: &mut dyn FnMut(Event)) {
        let left = deadline.saturating_duration_since(Instant::now());
        if let Some(thread) = &self.thread
            && let Ok(named) = thread.found.recv_timeout(left)
        {
            hand_on(named, emit);
        }
    }

    /// Has the thread do something for a process; `false`: it has too much to do.
    fn ask(&mut self, owner: Owner, task: Task, now: Instant) -> bool {
        if self.thread.is_none() {
            self.thread = FinderThread::start();
        }
        let (Some(thread), Some(waiting)) = (&self.thread, self.waiting.get_mut(&owner)) else {
            // No thread can be started: there will be no names.
            self.waiting.remove(&owner);
            return true;
        };
        let wanted = match task {
            Task::Open => {
                let modules = waiting.frames.keys();
                modules.map(|module| (module.clone(), Vec::new())).collect()
            }
            Task::Name(_) => std::mem::take(&mut waiting.frames),
        };
        let count: usize = wanted.values().map(Vec::len).sum();
        let job = Job {
            owner,
            wanted,
            task,
        };
        match thread.jobs.try_send(job) {
            Ok(()) => {}
            Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => {
                if task != Task::Open {
                    waiting.frames = job.wanted;
                }
                return false;
            }
        }
        self.count -= count;
        waiting.is_opened = true;
        if task != Task::Open {
            waiting.named = Some(now);
            if waiting.is_over {
                self.waiting.remove(&owner);
            }
        }
        true
    }
}

impl Waiting {
    fn due(&self, now: Instant) -> Option<Task> {
        if self.frames.is_empty() {
            return self.is_over.then_some(Task::Name(Hurry::WhenIdle));
        }
        let name_at = match self.named {
            None => self.since + NAME_AFTER,
            Some(named) => named + NAME_EVERY,
        };
        if self.is_over || now >= name_at {
            return Some(Task::Name(Hurry::WhenIdle));
        }
        let is_due = !self.is_opened && now >= self.since + OPEN_AFTER;
        is_due.then_some(Task::Open)
    }
}

fn hand_on(named: Vec<Named>, emit: &mut dyn FnMut(Event)) {
    for (frame, functions) in named {
        emit(Event::Names { frame, functions });
    }
}

impl FinderThread {
    /// `None`: the system has no thread left.
    fn start() -> Option<FinderThread> {
        let (jobs, to_do) = sync_channel(MAX_ON_THE_WAY);
        let (found, answers) = sync_channel(MAX_ON_THE_WAY);
        let work = move || work(&to_do, &found);
        let thread = thread::Builder::new().name("names".to_owned());
        thread.spawn(work).ok()?;
        Some(FinderThread {
            jobs,
            found: answers,
        })
    }
}

/// Does what comes until nobody asks any more, or nobody hears.
fn work(jobs: &Receiver<Job>, found: &SyncSender<Vec<Named>>) {
    let mut reader = SymbolReader::default();
    let mut programs = HashMap::new();
    while let Ok(job) = jobs.recv() {
        let program = programs
            .entry(job.owner)
            .or_insert_with(|| KnownFiles::of(job.owner));
        let Some(program) = program else {
            continue;
        };
        for (module, wanted) in &job.wanted {
            let named = match (job.task, program.file(module)) {
                (Task::Name(_), _) if module == NO_FILE => program.name_compiled(wanted),
                (_, None) => continue,
                (Task::Open, Some(file)) => {
                    reader.keep(&program.process, &file);
                    continue;
                }
                (Task::Name(hurry), Some(file)) => {
                    name(&mut reader, &program.process, &file, wanted, hurry)
                }
            };
            if found.send(named).is_err() {
                return;
            }
        }
    }
}

/// What of these frames has a name.
fn name(
    reader: &mut SymbolReader,
    process: &Process,
    file: &MappedFile,
    wanted: &[(FrameId, u64)],
    hurry: Hurry,
) -> Vec<Named> {
    let mut offsets: Vec<u64> = wanted.iter().map(|(_, offset)| *offset).collect();
    offsets.sort_unstable();
    offsets.dedup();
    let Some(found) = reader.look_up(process, file, &offsets, hurry) else {
        return Vec::new();
    };
    let module = file.path.to_string_lossy();
    let functions = |offset: u64| {
        let index = offsets.binary_search(&offset).ok()?;
        Some(functions_of(&module, offset, found.get(index)?.clone()))
    };
    let named = wanted
        .iter()
        .filter_map(|(frame, offset)| Some((*frame, functions(*offset)?)));
    named.collect()
}

/// A process and the files that it has mapped, as they were when one of them was asked for.
struct KnownFiles {
    process: Process,
    files: Vec<MappedFile>,
    /// `None`: it can't be read.
    perf_map: Option<PerfMap>,
}

impl KnownFiles {
    /// `None`: the process has ended, or its id is another's by now.
    fn of((pid, start_ticks): Owner) -> Option<KnownFiles> {
        let process = Process::open(pid).ok()?;
        (process.start_ticks() == start_ticks).then(|| KnownFiles {
            perf_map: PerfMap::of(&process).ok(),
            process,
            files: Vec::new(),
        })
    }

    /// What has a name of these frames of code that a compiler made in memory.
    fn name_compiled(&self, wanted: &[(FrameId, u64)]) -> Vec<Named> {
        let Some(perf_map) = &self.perf_map else {
            return Vec::new();
        };
        let addresses: Vec<u64> = wanted.iter().map(|(_, address)| *address).collect();
        let found = perf_map.look_up(&addresses).into_iter().zip(wanted);
        let named = found.filter_map(|(found, (frame, address))| {
            Some((*frame, functions_of(NO_FILE, *address, vec![found?])))
        });
        named.collect()
    }

    fn file(&mut self, module: &str) -> Option<MappedFile> {
        if let Some(known) = only_one(&self.files, module) {
            return Some(known.clone());
        }
        // It may have been mapped since.
        let now = self.process.images().ok()?;
        let is_same = |a: &MappedFile, b: &MappedFile| (a.device, a.inode) == (b.device, b.inode);
        let is_new = |file: &MappedFile| !self.files.iter().any(|known| is_same(known, file));
        let new: Vec<MappedFile> = now.into_iter().filter(is_new).collect();
        self.files.extend(new);
        only_one(&self.files, module).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(since: Instant, named: Option<Instant>) -> Waiting {
        Waiting {
            frames: [("/lib/libm.so.6".to_owned(), vec![(FrameId(0), 16)])].into(),
            since,
            is_opened: false,
            named,
            is_over: false,
        }
    }

    #[test]
    fn files_are_opened_soon_and_read_later_once_a_minute_and_at_the_end() {
        let start = Instant::now();
        let idle = Some(Task::Name(Hurry::WhenIdle));
        let ms = |ms| start + Duration::from_millis(ms);
        let mut new = waiting(start, None);
        assert_eq!(
            [new.due(ms(499)), new.due(ms(500))],
            [None, Some(Task::Open)]
        );
        new.is_opened = true;
        assert_eq!([new.due(ms(1999)), new.due(ms(2000))], [None, idle]);
        let mut known = waiting(ms(3000), Some(ms(2000)));
        known.is_opened = true;
        assert_eq!([known.due(ms(61_999)), known.due(ms(62_000))], [None, idle]);
        known.is_over = true;
        assert_eq!(known.due(ms(3000)), idle);
        known.frames.clear();
        known.is_over = false;
        assert_eq!(known.due(ms(90_000)), None);
    }
}
