//! Turns samples into the runs of each thread in the order of time.
//!
//! A [`Profile`](super::Profile) forgets when a stack was seen. One made by [`Profile::with_timeline`](super::Profile::with_timeline) keeps this as
//! well, for the formats that have a time axis; its size grows with the number of runs.

use super::event::{Loss, Sample, ThreadId};

/// So many runs are kept, which take some 400 MB: those of a day of one thread at 50 Hz.
pub const MAX_RUNS: usize = 4_000_000;

/// So many losses are told apart: those of a day in which there is one of ten. Later ones count with the last of their cause.
const MAX_LOSSES: usize = 1 << 20;

/// The runs of all threads and what was lost between them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline {
    runs: Vec<Vec<Sample>>,
    /// How many runs there are.
    count: usize,
    losses: Vec<Loss>,
}

impl Timeline {
    /// The runs of a thread, in the order of their ends.
    #[must_use]
    pub fn runs(&self, thread: ThreadId) -> &[Sample] {
        self.runs.get(thread.0 as usize).map_or(&[], Vec::as_slice)
    }

    /// What was lost, in the order in which it was told.
    #[must_use]
    pub fn losses(&self) -> &[Loss] {
        &self.losses
    }

    /// Appends a run; its thread is one of the profile.
    pub(super) fn push(&mut self, run: Sample) {
        let thread = run.thread.0 as usize;
        if self.runs.len() <= thread {
            self.runs.resize_with(thread + 1, Vec::new);
        }
        self.runs[thread].push(run);
        self.count += 1;
    }

    /// Whether there are more runs than a viewer can show, or a machine may have memory for.
    pub(super) fn is_too_long(&self) -> bool {
        self.count > MAX_RUNS
    }

    pub(super) fn lose(&mut self, loss: Loss) {
        let is_full = self.losses.len() >= MAX_LOSSES;
        let mut before = self.losses.iter_mut().rev();
        let same = match is_full {
            true => before.find(|last| last.cause == loss.cause),
            false => before
                .next()
                .filter(|last| (last.at, last.cause) == (loss.at, loss.cause)),
        };
        match same {
            Some(last) => last.count = last.count.saturating_add(loss.count),
            None => self.losses.push(loss),
        }
    }
}
