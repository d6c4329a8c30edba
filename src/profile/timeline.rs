//! Turns samples into the runs of each thread in the order of time, in as much memory as was given.
//!
//! A [`Profile`](super::Profile) forgets when a stack was seen. One made by [`Profile::with_timeline`](super::Profile::with_timeline) keeps this as
//! well, for the formats that have a time axis. It keeps each run as it was until there are [`MAX_BYTES`] of them. From
//! then on its time axis has steps: of a thread there is one run of each stack and state in a step. When that is too much
//! again, a step becomes twice as long. Sums stay exact, whatever the step.

use super::event::{Loss, Nanos, Sample, ThreadId};
use super::track::Track;

/// The most that all runs take, in bytes: those of ten minutes of one thread that does something else every millisecond.
/// With [`MAX_LOSSES`] this is less than 64 MB.
pub const MAX_BYTES: usize = 60_000_000;

/// The first steps.
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
    tracks: Vec<Track>,
    step: Option<Nanos>,
    max_bytes: usize,
    /// What the tracks take.
    bytes: usize,
    losses: Vec<Loss>,
    loss_step: Nanos,
}

impl Timeline {
    /// One that takes so many bytes at the most.
    pub(super) fn with_max_bytes(max_bytes: usize) -> Timeline {
        Timeline {
            tracks: Vec::new(),
            step: None,
            max_bytes,
            bytes: 0,
            losses: Vec::new(),
            loss_step: FIRST_LOSS_STEP,
        }
    }

    /// The runs of a thread, in the order of their ends.
    #[must_use]
    pub fn runs(&self, thread: ThreadId) -> &[Sample] {
        let track = self.tracks.get(thread.0 as usize);
        track.map_or(&[], Track::runs)
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
        while self.tracks.len() <= thread {
            self.tracks.push(Track::default());
            self.bytes += size_of::<Track>();
        }
        let bytes = self.tracks[thread].growth() * size_of::<Sample>();
        let is_full = bytes > 0 && self.bytes + bytes > self.max_bytes;
        if is_full && !self.lengthen_steps() {
            return false;
        }
        let track = &mut self.tracks[thread];
        let growth = track.growth();
        if growth > 0 {
            let before = track.bytes();
            track.grow(growth);
            self.bytes += track.bytes() - before;
        }
        track.push(run, self.step);
        true
    }

    /// Makes the steps as long as it takes for a quarter of the memory to become free, and tells whether it did.
    #[cold]
    fn lengthen_steps(&mut self) -> bool {
        let mut step = self.step.unwrap_or(FIRST_STEP);
        loop {
            self.tracks.iter_mut().for_each(|track| track.merge(step));
            let runs: usize = self.tracks.iter().map(Track::bytes).sum();
            self.bytes = runs + self.tracks.len() * size_of::<Track>();
            self.step = Some(step);
            let has_room = self.bytes <= self.max_bytes / 4 * 3;
            if has_room || step >= LAST_STEP {
                return has_room;
            }
            step += step;
        }
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
