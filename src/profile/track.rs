//! Turns runs into fewer: those of one step of time with the same thread, stack and state become one.
//!
//! No time is lost: the sums of each stack and state stay exact. The runs of a step then lie end to end, in the order in
//! which they first appeared: only when they were is kept less finely.

use super::event::{Nanos, Sample, SampleKey, ThreadId};

/// The runs of the last step are merged when there are twice as many as the last merging left, and so many more.
const FEW: usize = 32;

/// Runs in the order of their ends, of one thread most often.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Track {
    runs: Vec<Sample>,
    /// Where those of the last step begin.
    open: usize,
    /// How many the last merging left of the last step.
    merged: usize,
}

impl Track {
    /// The runs.
    #[must_use]
    pub fn runs(&self) -> &[Sample] {
        &self.runs
    }

    /// Appends a run in steps of this length; without one, as it is.
    ///
    /// This takes constant time on average. The last step has about twice as many runs as stacks and states, the steps
    /// before have one of each.
    pub fn push(&mut self, run: Sample, step: Option<Nanos>) {
        if let Some(step) = step {
            let last = self.runs.last();
            if last.is_none_or(|last| number(last, step) != number(&run, step)) {
                self.merge_last();
                (self.open, self.merged) = (self.runs.len(), 0);
            } else if self.runs.len() - self.open > 2 * self.merged + FEW {
                self.merge_last();
            }
        }
        self.runs.push(run);
    }

    /// Takes the runs of all steps but the last out of it.
    pub fn take_closed(&mut self) -> impl Iterator<Item = Sample> {
        self.runs.drain(..std::mem::take(&mut self.open))
    }

    /// Takes all runs out of it, those of the last step merged.
    pub fn take(&mut self) -> Vec<Sample> {
        self.merge_last();
        std::mem::take(self).runs
    }

    /// Merges the runs of the last step, and gives back the room that this makes.
    pub(super) fn shrink(&mut self) {
        self.merge_last();
        self.runs.shrink_to_fit();
    }

    fn merge_last(&mut self) {
        self.merged = merge(&mut self.runs[self.open..]);
        self.runs.truncate(self.open + self.merged);
    }

    /// How many runs the next one takes room for, if there is none left.
    pub(super) fn growth(&self) -> usize {
        match self.runs.len() < self.runs.capacity() {
            true => 0,
            false => (self.runs.len() / 4).max(4),
        }
    }

    /// Takes room for so many runs more.
    pub(super) fn grow(&mut self, runs: usize) {
        self.runs.reserve_exact(runs);
    }

    /// What the runs take, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.runs.capacity() * size_of::<Sample>()
    }
}

/// The number of the step that a run ends.
fn number(run: &Sample, step: Nanos) -> u64 {
    run.at.0.saturating_sub(1) / step.0.max(1)
}

/// What runs that become one have in common.
fn key(run: &Sample) -> (ThreadId, SampleKey) {
    (run.thread, run.key())
}

/// Whether a run is the rest of a wait.
pub(super) fn goes_on(before: &Sample, run: &Sample) -> bool {
    run.state.is_wait() && key(before) == key(run) && before.at == run.at - run.wall
}

/// Leaves one run of each stack and state at the beginning of `runs`, end to end, and tells how many these are.
fn merge(runs: &mut [Sample]) -> usize {
    let (Some(first), true) = (runs.first(), runs.len() > 1) else {
        return runs.len();
    };
    let mut end = first.at - first.wall;
    runs.sort_unstable_by_key(|run| (key(run), run.at));
    let mut last = 0;
    for index in 1..runs.len() {
        let run = runs[index];
        if key(&run) == key(&runs[last]) {
            let first_at = runs[last].at;
            runs[last].add(&run);
            runs[last].at = first_at;
        } else {
            last += 1;
            runs[last] = run;
        }
    }
    let merged = &mut runs[..=last];
    merged.sort_unstable_by_key(|run| (run.at, key(run)));
    for run in merged {
        end += run.wall;
        run.at = end;
    }
    last + 1
}
