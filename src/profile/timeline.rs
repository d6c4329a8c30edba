//! Turns samples into the runs of each thread in the order of time, in as much memory as was given.
//!
//! A [`Profile`](super::Profile) forgets when a stack was seen. One made by [`Profile::with_timeline`](super::Profile::with_timeline) keeps this as
//! well, for the formats that have a time axis. It keeps each run as it was, packed, until they take [`MAX_BYTES`]. From
//! then on its time axis has steps: of a thread there is one run of each stack and state in a step. When that is too much
//! again, a step becomes twice as long. Sums stay exact, whatever the step.

use std::{iter, slice};

use super::event::{Loss, Nanos, Sample, ThreadId};
use super::packed::{PackedIter, PackedRuns};
use super::track::{self, Track};

/// The most that all runs take, in bytes: those of 40 minutes of one thread that does something else every millisecond, and
/// about 15 MB in an HTML page. With [`MAX_LOSSES`] this is less than 28 MB.
pub const MAX_BYTES: usize = 24_000_000;

/// The first steps, where runs are not longer.
const FIRST_STEP: Nanos = Nanos(1_000_000);

/// The last steps, some hundred years: a thread has one run of each stack and state.
const LAST_STEP: Nanos = Nanos(FIRST_STEP.0 << 42);

/// So many losses are told apart, in 3 MB: those of three hours in which each tenth of a second has one. Beyond, those of
/// one cause that are near each other become one.
const MAX_LOSSES: usize = 1 << 17;

/// How far losses are from each other that become one first. The sampler tells of them by the tenth of a second.
const FIRST_LOSS_STEP: Nanos = Nanos(200_000_000);

/// The runs of all threads and what was lost between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    threads: Vec<OfThread>,
    step: Option<Nanos>,
    max_bytes: usize,
    /// What the threads take.
    bytes: usize,
    /// How many runs were pushed, and how long they are together.
    pushed: (u64, Nanos),
    losses: Vec<Loss>,
    loss_step: Nanos,
}

/// The runs of a thread.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct OfThread {
    packed: PackedRuns,
    /// The next one to be packed: a wait that goes on may become part of it.
    last: Option<Sample>,
    /// Those of the last step, where there are steps.
    open: Track,
}

impl OfThread {
    fn bytes(&self) -> usize {
        size_of::<OfThread>() + self.packed.bytes() + self.open.bytes()
    }

    fn push(&mut self, run: Sample, step: Option<Nanos>) {
        let OfThread { packed, last, open } = self;
        let Some(step) = step else {
            packed.push(&run);
            return;
        };
        open.grow(open.growth());
        open.push(run, Some(step));
        for run in open.take_closed() {
            match last {
                Some(last) if track::goes_on(last, &run) => last.add(&run),
                _ => last.replace(run).iter().for_each(|run| packed.push(run)),
            }
        }
    }

    /// The same in steps of this length.
    fn in_steps(&self, thread: ThreadId, step: Nanos) -> OfThread {
        let mut merged = OfThread::default();
        self.runs(thread)
            .for_each(|run| merged.push(run, Some(step)));
        merged.open.shrink();
        merged
    }

    fn runs(&self, thread: ThreadId) -> Runs<'_> {
        Runs {
            packed: Some(self.packed.iter(thread)),
            last: self.last.as_ref(),
            open: self.open.runs().iter(),
        }
    }
}

/// The runs of a thread, one after another.
#[derive(Debug, Clone, Default)]
pub struct Runs<'t> {
    packed: Option<PackedIter<'t>>,
    last: Option<&'t Sample>,
    open: slice::Iter<'t, Sample>,
}

impl Iterator for Runs<'_> {
    type Item = Sample;

    fn next(&mut self) -> Option<Sample> {
        let packed = self.packed.as_mut().and_then(Iterator::next);
        packed.or_else(|| self.last.take().or_else(|| self.open.next()).copied())
    }
}

impl Timeline {
    /// One that takes so many bytes at the most.
    pub(super) fn with_max_bytes(max_bytes: usize) -> Timeline {
        Timeline {
            threads: Vec::new(),
            step: None,
            max_bytes,
            bytes: 0,
            pushed: (0, Nanos(0)),
            losses: Vec::new(),
            loss_step: FIRST_LOSS_STEP,
        }
    }

    /// One without runs and losses.
    #[must_use]
    pub fn empty() -> Timeline {
        Timeline::with_max_bytes(0)
    }

    /// The same in at most so many bytes, in longer steps where that takes them; `None`: there are too many threads and
    /// stacks, whatever the step.
    #[must_use]
    pub fn within(&self, max_bytes: usize) -> Option<Timeline> {
        let mut smaller = self.clone();
        smaller.max_bytes = max_bytes;
        let fits = smaller.bytes <= max_bytes || smaller.lengthen_steps();
        fits.then_some(smaller)
    }

    /// The runs of a thread, in the order of their ends.
    #[must_use]
    pub fn runs(&self, thread: ThreadId) -> Runs<'_> {
        let of_thread = self.threads.get(thread.0 as usize);
        of_thread.map_or_else(Runs::default, |runs| runs.runs(thread))
    }

    /// How exactly the runs tell when a stack was seen: within a step of this length. `None`: to the nanosecond.
    #[must_use]
    pub fn step(&self) -> Option<Nanos> {
        self.step
    }

    /// What was lost, in the order in which it was told.
    #[must_use]
    pub fn losses(&self) -> &[Loss] {
        &self.losses
    }

    /// How much memory it takes, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes + self.losses.capacity() * size_of::<Loss>()
    }

    /// Appends a run; its thread is one of the profile. Tells whether there was room: if not, there are too many threads
    /// and stacks, whatever the step.
    pub(super) fn push(&mut self, run: Sample) -> bool {
        let thread = run.thread.0 as usize;
        if self.threads.len() <= thread {
            let new = thread + 1 - self.threads.len();
            self.threads.resize_with(thread + 1, OfThread::default);
            self.bytes += new * size_of::<OfThread>();
        }
        self.pushed.0 += 1;
        self.pushed.1 += run.wall;
        let of_thread = &mut self.threads[thread];
        let before = of_thread.bytes();
        of_thread.push(run, self.step);
        self.bytes += of_thread.bytes();
        self.bytes -= before;
        self.bytes <= self.max_bytes || self.lengthen_steps()
    }

    /// Makes the steps as long as it takes for a quarter of the memory to become free, and tells whether it did.
    #[cold]
    fn lengthen_steps(&mut self) -> bool {
        // In the same steps the runs of the last one may become fewer.
        let mut step = self.step.unwrap_or_else(|| self.first_step());
        loop {
            for (id, of_thread) in (0..).map(ThreadId).zip(&mut self.threads) {
                *of_thread = of_thread.in_steps(id, step);
            }
            self.bytes = self.threads.iter().map(OfThread::bytes).sum();
            self.step = Some(step);
            let has_room = self.bytes <= self.max_bytes / 4 * 3;
            if has_room || step >= LAST_STEP {
                return has_room;
            }
            step += step;
        }
    }

    /// Steps in which there is more than one run.
    fn first_step(&self) -> Nanos {
        let (runs, time) = self.pushed;
        let mean = Nanos(time.0 / runs.max(1));
        let steps = iter::successors(Some(FIRST_STEP), |step| Some(*step + *step));
        let mut longer = steps.take_while(|step| *step < LAST_STEP);
        longer.find(|step| *step > mean).unwrap_or(LAST_STEP)
    }

    pub(super) fn lose(&mut self, loss: Loss) {
        if let Some(last) = self.losses.last_mut()
            && (last.at, last.cause) == (loss.at, loss.cause)
        {
            last.count = last.count.saturating_add(loss.count);
            return;
        }
        while self.losses.len() >= MAX_LOSSES {
            self.merge_losses();
            self.loss_step += self.loss_step;
        }
        self.losses.push(loss);
    }

    #[cold]
    fn merge_losses(&mut self) {
        let step = self.loss_step.0;
        let mut kept: Vec<Loss> = Vec::new();
        for loss in &self.losses {
            let is_near = |known: &&mut Loss| known.at.0 / step == loss.at.0 / step;
            let mut near = kept.iter_mut().rev().take_while(is_near);
            match near.find(|known| known.cause == loss.cause) {
                Some(known) => {
                    known.at = known.at.max(loss.at);
                    known.count = known.count.saturating_add(loss.count);
                }
                None => kept.push(*loss),
            }
        }
        self.losses = kept;
    }
}
