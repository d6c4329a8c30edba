//! Turns the time that a copy took into whether something came in between.
//!
//! Copying a stack takes less than a microsecond. When an interrupt comes in the midst of it, or
//! rsamp is preempted there, the two parts of the copy are of two moments, far enough apart for many
//! calls of the target: seen in some 5 of 100,000 copies. Such a copy takes longer than the others.

use crate::memory::{ReadMemory, Window};

/// How often a copy is repeated because it took long. When all of them do, the machine is just slow.
const MAX_REPEATS: usize = 3;

/// Of how many copies the usual time is the average, about.
const REMEMBERED: u64 = 16;

/// A copy that takes this much longer than usual was interrupted: the shortest interrupts take some
/// microseconds.
const SLACK_NS: u64 = 700;

/// A copy that takes longer than this, as that of a deep recursion does, is interrupted by some timer anyway, and its time
/// differs by more than an interrupt takes: it is not repeated.
const LONG_NS: u64 = 200_000;

/// The usual time of copies of one kind.
#[derive(Debug, Default)]
pub struct InterruptionDetector {
    usual_ns: u64,
}

impl InterruptionDetector {
    /// Fills `window`, again when it took longer than usual. `now_ns` tells the time.
    pub fn fill(
        &mut self,
        window: &mut Window,
        memory: &impl ReadMemory,
        now_ns: impl Fn() -> u64,
    ) {
        let mut start_ns = now_ns();
        for _ in 0..=MAX_REPEATS {
            window.fill(memory);
            let end_ns = now_ns();
            if self.is_usual(end_ns - start_ns) || end_ns - start_ns > LONG_NS {
                return;
            }
            start_ns = end_ns;
        }
    }

    /// Takes in the time of one more copy; whether it is like those before.
    fn is_usual(&mut self, took_ns: u64) -> bool {
        let is_usual =
            self.usual_ns == 0 || took_ns <= self.usual_ns + self.usual_ns / 4 + SLACK_NS;
        // An outlier counts little, so that the next one is noticed too; but it counts, because a
        // deeper stack takes longer for good.
        let counted_ns = if is_usual {
            took_ns
        } else {
            took_ns.min(self.usual_ns * 2)
        };
        self.usual_ns = match self.usual_ns {
            0 => took_ns,
            usual => (usual * (REMEMBERED - 1) + counted_ns) / REMEMBERED,
        };
        is_usual
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::SavedMemory;

    #[test]
    fn a_long_copy_is_not_repeated() {
        let memory = SavedMemory::default();
        let reads = |usual_ns: u64, took_ns: u64| {
            let mut pace = InterruptionDetector { usual_ns };
            let times = std::cell::Cell::new(0);
            pace.fill(&mut Window::default(), &memory, || {
                times.set(times.get() + 1);
                times.get() * took_ns
            });
            times.get() - 1
        };
        assert_eq!(reads(2_000, 1_000), 1);
        assert!(reads(2_000, 100_000) > 1);
        assert_eq!(reads(2_000, 300_000), 1);
        assert_eq!(reads(300_000, 600_000), 1);
    }

    #[test]
    fn a_copy_that_took_long_is_noticed_and_a_slower_pace_is_learnt() {
        let mut pace = InterruptionDetector::default();
        assert!((0..50).all(|_| pace.is_usual(2_000)));
        assert!(!pace.is_usual(5_000));
        assert!(pace.is_usual(2_100));
        let refused = (0..50).filter(|_| !pace.is_usual(8_000)).count();
        assert!((1..40).contains(&refused), "{refused}");
        assert!(pace.is_usual(8_000));
    }
}
