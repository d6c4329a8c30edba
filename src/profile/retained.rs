//! Turns by how much memory grew and shrank, run by run, into how much of its growth each stack still retains.
//!
//! The kernel tells that a process shrank, not whose memory it gave back. So each shrinking ends the growth that it most
//! likely undoes: one of nearly the same size, the latest first; where there is none, the largest of those since memory
//! was last as low as it is now. It is an estimate of which lines hold memory; the sum is exact.

use std::cmp::Reverse;

use rustc_hash::FxHashMap;

use super::event::{ProcessId, Sample, StackId};

/// So many growths of a process are matched one by one: more than a loop's turn has. Older ones are summed by stack.
const MAX_OPEN: usize = 512;

/// So many stacks are told apart among the older ones: of more, the half that grew most.
const MAX_OLDER: usize = 2048;

/// Sizes that differ by less than this part are the same: a tick may fall within a growth.
const SAME_SIZE: u64 = 8;

/// What the stacks of all processes retain.
#[derive(Debug, Clone, Default)]
pub(super) struct Retained {
    processes: Vec<OfProcess>,
}

#[derive(Debug, Clone, Default)]
struct OfProcess {
    /// In the order of time.
    open: Vec<Growth>,
    /// By stack, what grew before those; with no stack, what grew at those that are not told apart.
    older: FxHashMap<Option<StackId>, u64>,
}

#[derive(Debug, Clone, Copy)]
struct Growth {
    stack: Option<StackId>,
    bytes: u64,
}

impl Retained {
    /// Books the growth and the shrinking of a run.
    pub(super) fn push(&mut self, process: ProcessId, run: &Sample) {
        if run.grown_bytes == 0 && run.shrunk_bytes == 0 {
            return;
        }
        let process = process.0 as usize;
        if self.processes.len() <= process {
            self.processes.resize_with(process + 1, OfProcess::default);
        }
        let known = &mut self.processes[process];
        known.grow(run.stack, run.grown_bytes);
        // Without a frame the interpreter ends: it gives back what the program retained to its last line.
        if run.stack.is_some() {
            known.shrink(run.shrunk_bytes);
        }
    }

    /// What each stack retains, in bytes; a stack may come more than once.
    pub(super) fn by_stack(&self) -> impl Iterator<Item = (ProcessId, Option<StackId>, u64)> {
        let processes = (0..).map(ProcessId).zip(&self.processes);
        processes.flat_map(|(id, process)| {
            let open = process.open.iter();
            let open = open.map(|growth| (growth.stack, growth.bytes));
            let older = process.older.iter().map(|(stack, bytes)| (*stack, *bytes));
            open.chain(older)
                .map(move |(stack, bytes)| (id, stack, bytes))
        })
    }
}

impl OfProcess {
    fn grow(&mut self, stack: Option<StackId>, bytes: u64) {
        if bytes == 0 {
            return;
        }
        match self.open.last_mut().filter(|last| last.stack == stack) {
            Some(last) => last.bytes = last.bytes.saturating_add(bytes),
            None => self.open.push(Growth { stack, bytes }),
        }
        if self.open.len() > MAX_OPEN {
            for growth in self.open.drain(..MAX_OPEN / 2) {
                let sum = self.older.entry(growth.stack).or_default();
                *sum = sum.saturating_add(growth.bytes);
            }
            self.bound_older();
        }
    }

    fn bound_older(&mut self) {
        if self.older.len() <= MAX_OLDER {
            return;
        }
        let mut sorted: Vec<_> = self.older.drain().collect();
        sorted.sort_by_key(|(stack, bytes)| (Reverse(*bytes), *stack));
        let rest = sorted.split_off(MAX_OLDER / 2).into_iter();
        let rest = rest.fold(0_u64, |sum, (_, bytes)| sum.saturating_add(bytes));
        self.older.extend(sorted);
        let sum = self.older.entry(None).or_default();
        *sum = sum.saturating_add(rest);
    }

    fn shrink(&mut self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let left = self.shrink_same_size(bytes);
        let left = self.shrink_latest(left);
        self.shrink_older(left);
        self.open.retain(|growth| growth.bytes > 0);
    }

    /// Ends the latest growth of nearly this size; tells what is left to be taken.
    fn shrink_same_size(&mut self, bytes: u64) -> u64 {
        let is_same = |growth: &&mut Growth| growth.bytes.abs_diff(bytes) <= bytes / SAME_SIZE;
        match self.open.iter_mut().rev().find(is_same) {
            Some(growth) => take(&mut growth.bytes, bytes),
            None => bytes,
        }
    }

    /// Takes from the largest of the latest growths that together are as large.
    fn shrink_latest(&mut self, mut left: u64) -> u64 {
        let mut sum = 0_u64;
        let mut first = self.open.len();
        while first > 0 && sum < left {
            first -= 1;
            sum = sum.saturating_add(self.open[first].bytes);
        }
        let mut latest: Vec<&mut Growth> = self.open[first..].iter_mut().collect();
        latest.sort_by_key(|growth| Reverse(growth.bytes));
        for growth in latest {
            left = take(&mut growth.bytes, left);
        }
        left
    }

    /// Takes from what grew long ago, most where most is. What is left then was there before the first sample.
    fn shrink_older(&mut self, mut left: u64) {
        if left == 0 {
            return;
        }
        let mut older: Vec<_> = self.older.iter_mut().collect();
        older.sort_by_key(|(stack, bytes)| (Reverse(**bytes), **stack));
        for (_, bytes) in older {
            left = take(bytes, left);
        }
        self.older.retain(|_, bytes| *bytes > 0);
    }
}

/// Takes what there is, at most `left`; tells what is left to be taken.
fn take(bytes: &mut u64, left: u64) -> u64 {
    let taken = left.min(*bytes);
    *bytes -= taken;
    left - taken
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: u32 = 0;
    const BUFFER: u32 = 1;
    const CACHE: u32 = 2;
    const FREE: u32 = 3;

    /// Runs of one process: the stack, and by how many MB memory grew and shrank.
    fn retained(runs: impl IntoIterator<Item = (u32, u64, u64)>) -> [u64; 4] {
        let mut retained = Retained::default();
        for (stack, grown, shrunk) in runs {
            let run = Sample {
                stack: Some(StackId(stack)),
                grown_bytes: grown,
                shrunk_bytes: shrunk,
                ..Sample::default()
            };
            retained.push(ProcessId(0), &run);
        }
        let mut sums = [0; 4];
        for (_, stack, bytes) in retained.by_stack() {
            sums[stack.expect("a stack").0 as usize] += bytes;
        }
        sums
    }

    #[test]
    fn what_shrinks_ends_the_growth_of_its_size() {
        let turn = [(BUFFER, 30, 0), (CACHE, 1, 0), (FREE, 0, 30)];
        let runs = [(LOAD, 500, 0)]
            .into_iter()
            .chain([turn; 61].into_iter().flatten());
        assert_eq!(retained(runs), [500, 0, 61, 0]);
    }

    #[test]
    fn a_buffer_that_grew_in_parts_is_freed_at_once() {
        let parts = [(BUFFER, 10, 0), (CACHE, 1, 0), (BUFFER, 10, 0)];
        let rest = [(CACHE, 1, 0), (BUFFER, 10, 0), (FREE, 0, 30)];
        let turn = parts.into_iter().chain(rest);
        let turns = std::iter::repeat_n(turn, 30).flatten();
        let runs = [(LOAD, 500, 0)].into_iter().chain(turns);
        assert_eq!(retained(runs), [500, 0, 60, 0]);
    }

    #[test]
    fn a_long_run_is_bounded_and_keeps_the_sum() {
        let turn = [(BUFFER, 3000, 0), (CACHE, 1, 0), (FREE, 0, 3000)];
        let runs = std::iter::repeat_n(turn, 10_000).flatten();
        assert_eq!(retained(runs), [0, 0, 10_000, 0]);
        let mut process = OfProcess::default();
        for stack in 0..10_000 {
            process.grow(Some(StackId(stack)), 1);
        }
        assert!(process.open.len() <= MAX_OPEN && process.older.len() <= MAX_OLDER);
        process.shrink(9_999);
        let left: u64 = process.open.iter().map(|growth| growth.bytes).sum();
        assert_eq!(left + process.older.values().sum::<u64>(), 1);
    }

    #[test]
    fn what_the_interpreter_gives_back_at_its_end_was_retained() {
        let mut retained = Retained::default();
        let run = Sample {
            stack: Some(StackId(CACHE)),
            grown_bytes: 61,
            ..Sample::default()
        };
        retained.push(ProcessId(0), &run);
        let end = Sample {
            shrunk_bytes: 61,
            ..Sample::default()
        };
        retained.push(ProcessId(0), &end);
        let left: Vec<_> = retained.by_stack().collect();
        assert_eq!(left, [(ProcessId(0), Some(StackId(CACHE)), 61)]);
    }

    #[test]
    fn memory_from_before_the_first_sample_may_be_freed() {
        assert_eq!(retained([(CACHE, 5, 0), (FREE, 0, 100)]), [0; 4]);
        assert_eq!(retained([(BUFFER, 30, 30), (BUFFER, 0, 0)]), [0; 4]);
    }
}
