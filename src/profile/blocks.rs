//! Turns samples into the time that each row of a profile, and so each stack, had in each block of the recording.
//!
//! A table of times says how much; blocks say how evenly. There are at most [`MAX_BLOCKS`] of one
//! length, whatever the duration: when a recording outgrows them, each two become one.

use super::event::{Nanos, Sample, StackId};
use super::{Mode, Totals};

/// Half of it, 64 blocks, is what a recording has at least; more would make blocks too short to
/// hold a visit to a function and the time until the next one.
const MAX_BLOCKS: u64 = 128;

/// The first blocks are 2²⁰ ns, about a millisecond.
const FIRST_LENGTH_LOG2: u32 = 20;

/// The time of each row per block of time.
#[derive(Debug, Clone)]
pub(super) struct Blocks {
    mode: Mode,
    /// A block is 2 to this power nanoseconds.
    length_log2: u32,
    /// By row of the profile: the blocks in which it has time, in ascending order.
    of_row: Vec<Vec<(u32, u64)>>,
    /// By row: its stack.
    stacks: Vec<Option<StackId>>,
    /// By block: the time of all threads, with frames or without.
    whole: Vec<u64>,
    totals: Totals,
    end: Nanos,
}

impl Blocks {
    /// No sample has come yet; the time of `mode` will be counted.
    pub(super) fn new(mode: Mode) -> Blocks {
        Blocks {
            mode,
            length_log2: FIRST_LENGTH_LOG2,
            of_row: Vec::new(),
            stacks: Vec::new(),
            whole: Vec::new(),
            totals: Totals::default(),
            end: Nanos(0),
        }
    }

    /// The time that is counted.
    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    /// Shares a run that was added to a row out to the blocks that it lies in, in proportion.
    pub(super) fn add(&mut self, row: usize, sample: &Sample) {
        let totals = Totals::from(sample);
        self.totals += totals;
        self.end = self.end.max(sample.at);
        let time = totals.time(self.mode).0;
        if time == 0 {
            return;
        }
        let last_ns = sample.at.0.saturating_sub(1);
        while last_ns >> self.length_log2 >= MAX_BLOCKS {
            self.double();
        }
        let start = (sample.at - sample.wall).0;
        let wall = (sample.at.0 - start).max(1);
        let mut given = 0;
        for block in (start.min(last_ns) >> self.length_log2)..=(last_ns >> self.length_log2) {
            let block_end = (block + 1).saturating_mul(self.length().0);
            let until = if last_ns < block_end {
                time
            } else {
                share(time, block_end - start, wall)
            };
            self.give((row, sample.stack), block as u32, until - given);
            given = until;
        }
    }

    fn give(&mut self, (row, stack): (usize, Option<StackId>), block: u32, time: u64) {
        let index = block as usize;
        if self.whole.len() <= index {
            self.whole.resize(index + 1, 0);
        }
        self.whole[index] += time;
        if self.of_row.len() <= row {
            self.of_row.resize(row + 1, Vec::new());
            self.stacks.resize(row + 1, None);
        }
        self.stacks[row] = stack;
        let times = &mut self.of_row[row];
        match times.binary_search_by_key(&block, |(block, _)| *block) {
            Ok(at) => times[at].1 += time,
            Err(at) => times.insert(at, (block, time)),
        }
    }

    /// Leaves of each row what is left of its time, `(left, whole)`, in proportion; `totals` are the sums that are left.
    pub(super) fn leave(&mut self, times: impl Iterator<Item = (Nanos, Nanos)>, totals: Totals) {
        self.totals = totals;
        self.whole.fill(0);
        for (of_row, (left, whole)) in self.of_row.iter_mut().zip(times) {
            for (block, time) in of_row {
                *time = share(*time, left.0, whole.0.max(1));
                if let Some(sum) = self.whole.get_mut(*block as usize) {
                    *sum += *time;
                }
            }
        }
    }

    /// Makes each two blocks one.
    fn double(&mut self) {
        self.length_log2 += 1;
        for times in &mut self.of_row {
            let mut merged: Vec<(u32, u64)> = Vec::with_capacity(times.len());
            for (block, time) in times.iter().map(|(block, time)| (block / 2, *time)) {
                match merged.last_mut() {
                    Some(last) if last.0 == block => last.1 += time,
                    _ => merged.push((block, time)),
                }
            }
            *times = merged;
        }
        self.whole = self.whole.chunks(2).map(|pair| pair.iter().sum()).collect();
    }

    /// The mean time between two ticks of a thread.
    pub(super) fn tick(&self) -> Nanos {
        Nanos(self.totals.wall.0 / self.totals.samples.max(1))
    }

    /// The same times in blocks of at least `length`.
    pub(super) fn at_least(&self, length: Nanos) -> Blocks {
        let mut blocks = self.clone();
        while blocks.length() < length {
            blocks.double();
        }
        blocks
    }

    /// How long a block is.
    pub(super) fn length(&self) -> Nanos {
        Nanos(1 << self.length_log2)
    }

    /// How many blocks the recording fills; what is behind them does not fill one.
    pub(super) fn full(&self) -> usize {
        (self.end.0 >> self.length_log2) as usize
    }

    /// How many blocks the recording would fill, in parts of one.
    pub(super) fn count(&self) -> f64 {
        self.end.0 as f64 / self.length().0 as f64
    }

    /// Full block by full block: the time of each of `stacks` stacks, and that of the whole.
    pub(super) fn times(&self, stacks: usize) -> impl Iterator<Item = (Vec<f64>, f64)> {
        let mut next = vec![0; self.of_row.len()];
        (0..self.full()).map(move |block| {
            let mut times = vec![0.0; stacks];
            let rows = self.of_row.iter().zip(&self.stacks).zip(&mut next);
            for ((of_row, stack), next) in rows {
                if let Some((at, time)) = of_row.get(*next)
                    && *at as usize == block
                {
                    *next += 1;
                    let sum = stack.and_then(|stack| times.get_mut(stack.0 as usize));
                    sum.into_iter().for_each(|sum| *sum += *time as f64);
                }
            }
            let whole = self.whole.get(block).copied().unwrap_or_default();
            (times, whole as f64)
        })
    }
}

/// What the first `of` nanoseconds of `wall` hold of `time`.
fn share(time: u64, of: u64, wall: u64) -> u64 {
    (u128::from(time) * u128::from(of) / u128::from(wall)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::event::ThreadId;

    const MS: u64 = 1 << FIRST_LENGTH_LOG2;

    fn blocks(runs: &[(u32, u64, u64)]) -> Blocks {
        let mut blocks = Blocks::new(Mode::Wall);
        for (stack, from, to) in runs {
            let sample = Sample {
                at: Nanos(*to),
                thread: ThreadId(0),
                stack: Some(StackId(*stack)),
                ticks: 1,
                wall: Nanos(to - from),
                ..Sample::default()
            };
            blocks.add(*stack as usize, &sample);
        }
        blocks
    }

    #[test]
    fn a_run_is_shared_out_exactly() {
        let blocks = blocks(&[(0, MS / 2, 3 * MS), (1, 3 * MS, 3 * MS + 5)]);
        let times: Vec<_> = blocks.times(2).collect();
        let expected = [MS as f64 / 2.0, MS as f64, MS as f64];
        assert_eq!(times, expected.map(|time| (vec![time, 0.0], time)));
        assert_eq!(blocks.whole, [MS / 2, MS, MS, 5]);
    }

    #[test]
    fn blocks_double_when_the_recording_outgrows_them() {
        let mut runs = Vec::new();
        for at in 0..1000 {
            runs.push((at % 3, u64::from(at) * MS, u64::from(at + 1) * MS));
        }
        let blocks = blocks(&runs);
        assert_eq!((blocks.length(), blocks.full()), (Nanos(8 * MS), 125));
        assert_eq!(blocks.whole, vec![8 * MS; 125]);
        let sum: u64 = blocks.of_row.iter().flatten().map(|(_, time)| time).sum();
        assert_eq!(sum, 1000 * MS);
        let longer = blocks.at_least(Nanos(9 * MS));
        assert_eq!((longer.length(), longer.full()), (Nanos(16 * MS), 62));
    }

    #[test]
    fn times_that_make_no_sense_do_no_harm() {
        for (from, to) in [(0, 0), (0, u64::MAX), (u64::MAX - 1, u64::MAX)] {
            let blocks = blocks(&[(0, from, to)]);
            assert_eq!(blocks.whole.iter().sum::<u64>(), to - from);
        }
    }
}
