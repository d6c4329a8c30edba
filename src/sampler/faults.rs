//! Turns by how much a process's memory grew into the part of each thread, by the page faults of the threads.

use crate::process::{FaultCount, Pid, Tid};

/// Counts the page faults of one thread.
#[derive(Debug, Default)]
pub struct Faults {
    count: Option<FaultCount>,
    /// How many there were when they were counted last.
    before: Option<u64>,
}

impl Faults {
    /// How many there were since they were counted last; `None` when they were not, or cannot be.
    pub fn more(&mut self, pid: Pid, tid: Option<Tid>) -> Option<u64> {
        if self.count.is_none() {
            self.count = FaultCount::open(pid, tid?).ok();
        }
        let now = self.count.as_mut()?.minor_faults();
        let before = self.before;
        self.before = now.or(before);
        Some(now?.saturating_sub(before?))
    }

    /// Closes its file until they are counted again.
    pub fn close(&mut self) {
        if let Some(count) = &mut self.count {
            count.close();
        }
    }
}

/// Shares `grown_bytes` among threads by their page faults meanwhile. A thread whose faults are not known has those
/// that are missing from the growth. When there are none at all, the first thread gets everything.
#[must_use]
pub fn shares(grown_bytes: u64, page_bytes: u64, faults: &[Option<u64>]) -> Vec<u64> {
    let pages = grown_bytes / page_bytes.max(1);
    let known = faults.iter().flatten();
    let known = known.fold(0_u64, |sum, faults| sum.saturating_add(*faults));
    let unknown = faults.iter().filter(|faults| faults.is_none()).count() as u64;
    let rest = pages.saturating_sub(known) / unknown.max(1);
    let faults = faults.iter().map(|faults| faults.unwrap_or(rest));
    let faults: Vec<u64> = faults.collect();
    let sum: u128 = faults.iter().map(|faults| u128::from(*faults)).sum();
    let share = |faults: &u64| {
        let part = u128::from(grown_bytes) * u128::from(*faults);
        part.checked_div(sum).unwrap_or(0) as u64
    };
    let mut shares: Vec<u64> = faults.iter().map(share).collect();
    let shared: u64 = shares.iter().sum();
    if let Some(first) = shares.first_mut() {
        *first += grown_bytes - shared;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_that_touched_new_pages_gets_them() {
        let mib = 1 << 20;
        assert_eq!(shares(mib, 4096, &[Some(0), Some(256)]), [0, mib]);
        assert_eq!(
            shares(mib, 4096, &[Some(64), Some(192)]),
            [mib / 4, mib / 4 * 3]
        );
        assert_eq!(shares(mib, 4096, &[Some(64), None]), [mib / 4, mib / 4 * 3]);
        assert_eq!(shares(mib, 4096, &[Some(0), Some(0)]), [mib, 0]);
        assert_eq!(shares(mib, 4096, &[None]), [mib]);
        assert_eq!(shares(10, 4096, &[Some(1), Some(1), Some(1)]), [4, 3, 3]);
        let most = u64::MAX;
        assert_eq!(shares(most, 1, &[Some(most), None, Some(most)]).len(), 3);
    }
}
