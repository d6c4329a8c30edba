//! Turns processes that may become Python into those that are, on a thread of its own.
//!
//! To find an interpreter takes milliseconds, and whether a shell becomes Python shows only in time: neither
//! may keep the sampler waiting. What is found is put where the sampler takes it, and the sampler is woken.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::SamplerError;
use super::target::{Located, Search};
use crate::cpython::known_files::KnownFiles;
use crate::process::{Pid, Process, Waker};

/// How many processes may wait for the finder to take them, and how many findings for the sampler. Beyond,
/// processes stay with the sampler for a while, and the finder waits.
const QUEUE: usize = 256;

/// What the finder tells of a process.
pub enum Finding {
    /// It has an interpreter.
    Python(Arc<Process>, Box<Located>),
    /// It has none that can be read, or is not about to have one. It goes on being looked at.
    Failed(Pid, SamplerError),
}

/// A process to be looked at.
struct Wanted {
    process: Arc<Process>,
    /// Since when it may run what it runs, unseen.
    since: Instant,
}

/// The sampler's end.
pub struct Finder {
    wanted: SyncSender<Wanted>,
    /// Those that had no room in the queue.
    waiting: VecDeque<Wanted>,
    findings: Receiver<Finding>,
    thread: JoinHandle<Option<SamplerError>>,
}

impl Finder {
    /// Starts the thread. `first` is the process whose end is told by [`Finder::finish`], and that is given up
    /// after `start_timeout`; the others get as long as they live.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(first: Pid, start_timeout: Option<Duration>, waker: Waker) -> io::Result<Finder> {
        let (wanted, to_find) = mpsc::sync_channel(QUEUE);
        let (found, findings) = mpsc::sync_channel(QUEUE);
        let finding = Looking {
            first,
            start_timeout,
            to_find,
            found,
            waker,
            known: KnownFiles::default(),
            searches: Vec::new(),
            end_of_first: None,
        };
        let thread = thread::Builder::new()
            .name("finder".to_owned())
            .spawn(move || finding.run())?;
        Ok(Finder {
            wanted,
            waiting: VecDeque::new(),
            findings,
            thread,
        })
    }

    /// Has it look at a process from now on, which may run what it runs since `since`.
    pub fn find(&mut self, process: Arc<Process>, since: Instant) {
        self.waiting.push_back(Wanted { process, since });
        self.push();
    }

    /// Hands over what had no room before.
    fn push(&mut self) {
        while let Some(wanted) = self.waiting.pop_front() {
            if let Err(TrySendError::Full(wanted)) = self.wanted.try_send(wanted) {
                self.waiting.push_front(wanted);
                return;
            }
        }
    }

    /// What was found since the last time.
    pub fn take(&mut self) -> Vec<Finding> {
        self.push();
        self.findings.try_iter().collect()
    }

    /// Ends the thread. Tells what became of the first process, when that has ended without having been found.
    pub fn finish(self) -> Option<SamplerError> {
        drop((self.wanted, self.findings));
        self.thread.join().ok().flatten()
    }
}

/// The thread's end.
struct Looking {
    first: Pid,
    start_timeout: Option<Duration>,
    to_find: Receiver<Wanted>,
    found: SyncSender<Finding>,
    waker: Waker,
    known: KnownFiles,
    /// When each is due.
    searches: Vec<(Instant, Search)>,
    end_of_first: Option<SamplerError>,
}

/// Nobody listens any more.
struct Unheard;

impl Looking {
    fn run(mut self) -> Option<SamplerError> {
        while self.take_wanted() && self.look_at_due().is_ok() {}
        let first = self.first;
        let mut left = self.searches.into_iter().map(|(_, search)| search);
        let left = left.find(|search| search.process().pid() == first);
        self.end_of_first.or_else(|| left.map(Search::into_end))
    }

    /// Takes in what is wanted, until it is time to look. Whether it is wanted to go on.
    fn take_wanted(&mut self) -> bool {
        let due = self.searches.iter().map(|(due, _)| *due).min();
        let wait = due.map(|due| due.saturating_duration_since(Instant::now()));
        let mut wanted = match wait {
            Some(wait) => self.to_find.recv_timeout(wait),
            None => self
                .to_find
                .recv()
                .map_err(|_| RecvTimeoutError::Disconnected),
        };
        while let Ok(Wanted { process, since }) = wanted {
            self.searches
                .push((Instant::now(), Search::new(process, since)));
            wanted = self.to_find.try_recv().map_err(|error| match error {
                TryRecvError::Empty => RecvTimeoutError::Timeout,
                TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
            });
        }
        !matches!(wanted, Err(RecvTimeoutError::Disconnected))
    }

    fn look_at_due(&mut self) -> Result<(), Unheard> {
        let count = self.searches.len() as u32;
        for (due, mut search) in std::mem::take(&mut self.searches) {
            if Instant::now() < due {
                self.searches.push((due, search));
                continue;
            }
            let process = Arc::clone(search.process());
            let is_first = process.pid() == self.first;
            if !process.is_alive() {
                if is_first {
                    self.end_of_first = Some(search.into_end());
                }
                continue;
            }
            let began = Instant::now();
            if let Some(located) = search.look(&mut self.known) {
                self.emit(Finding::Python(process, Box::new(located)))?;
                continue;
            }
            let start_timeout = self.start_timeout.filter(|_| is_first);
            if let Some(error) = search.give_up(start_timeout) {
                self.emit(Finding::Failed(process.pid(), error))?;
            }
            let due = Instant::now() + search.wait(began.elapsed() * count);
            self.searches.push((due, search));
        }
        Ok(())
    }

    fn emit(&self, finding: Finding) -> Result<(), Unheard> {
        self.found.send(finding).map_err(|_| Unheard)?;
        self.waker.wake();
        Ok(())
    }
}
