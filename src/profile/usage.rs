//! Turns the readings of a process's counters into as many as a long recording has room for.

use super::event::Usage;

/// The most readings that are kept of a process: at ten a second half an hour. Beyond, every second one is let go.
const MAX_READINGS: usize = 16_384;

/// The most of all processes together, but for [`MIN_READINGS`] of each.
const MAX_OF_ALL: usize = 131_072;

/// As many are kept of each process at least.
const MIN_READINGS: usize = 1_024;

/// The readings of all processes.
#[derive(Debug, Clone, Default)]
pub(super) struct Readings {
    kept: Vec<Usage>,
    /// By process.
    processes: Vec<OfProcess>,
}

/// Where a process is in its readings.
#[derive(Debug, Clone, Copy, Default)]
struct OfProcess {
    /// How many are kept for good.
    count: usize,
    /// How many readings one of them stands for, as a power of two.
    doubled: u32,
    /// How many readings there were.
    seen: u64,
    /// Where the last one is, if it is kept only until the next one comes.
    last: Option<usize>,
}

impl Readings {
    /// Takes in one more.
    pub fn push(&mut self, usage: Usage) {
        let process = usage.process.0 as usize;
        if self.processes.len() <= process {
            self.processes.resize(process + 1, OfProcess::default());
        }
        let place = &mut self.processes[process];
        let is_kept = place.seen.trailing_zeros() >= place.doubled;
        place.seen += 1;
        match place.last {
            Some(last) => self.kept[last] = usage,
            None => {
                place.last = Some(self.kept.len());
                self.kept.push(usage);
            }
        }
        if is_kept {
            place.last = None;
            place.count += 1;
        }
        let count = place.count;
        if count > self.most() {
            self.thin(process);
        }
    }

    /// How many readings of a process may be kept.
    fn most(&self) -> usize {
        let share = MAX_OF_ALL / self.processes.len().max(1);
        share.clamp(MIN_READINGS, MAX_READINGS)
    }

    /// Lets every second reading of a process go, but its last.
    fn thin(&mut self, process: usize) {
        let mut number = 0;
        self.kept.retain(|usage| {
            let is_its = usage.process.0 as usize == process;
            number += usize::from(is_its);
            !is_its || number % 2 == 1
        });
        let place = &mut self.processes[process];
        place.count = number.div_ceil(2);
        place.doubled += 1;
        // What was kept for the time being lies elsewhere now, and stays.
        for place in &mut self.processes {
            place.last = None;
        }
    }

    /// Those that are kept, of each process in the order in which they were read.
    pub fn as_slice(&self) -> &[Usage] {
        &self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::{Nanos, ProcessId};
    use super::*;

    fn readings(counts: [u64; 2]) -> Readings {
        let mut readings = Readings::default();
        for at in 0..counts[0].max(counts[1]) {
            for process in (0..2).filter(|process| at < counts[*process as usize]) {
                readings.push(Usage {
                    process: ProcessId(process),
                    at: Nanos(at),
                    ..Usage::default()
                });
            }
        }
        readings
    }

    fn times(readings: &Readings, process: u32) -> Vec<u64> {
        let of_it = readings.as_slice().iter();
        let of_it = of_it.filter(|usage| usage.process.0 == process);
        of_it.map(|usage| usage.at.0).collect()
    }

    #[test]
    fn few_readings_are_all_kept() {
        let readings = readings([3, 1]);
        assert_eq!(times(&readings, 0), [0, 1, 2]);
        assert_eq!(times(&readings, 1), [0]);
    }

    #[test]
    fn of_many_readings_the_first_the_last_and_some_between_are_kept() {
        let readings = readings([500_000, 100]);
        let times_of_long = times(&readings, 0);
        assert!((8_000..=MAX_READINGS + 3).contains(&times_of_long.len()));
        assert_eq!(times_of_long.first(), Some(&0));
        assert_eq!(times_of_long.last(), Some(&499_999));
        assert!(times_of_long.is_sorted());
        let steps = times_of_long.windows(2).map(|pair| pair[1] - pair[0]);
        assert_eq!(steps.max(), Some(32));
        assert_eq!(times(&readings, 1).len(), 100);
    }
}
