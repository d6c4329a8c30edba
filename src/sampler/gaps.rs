//! Turns the time between two ticks into time that was sampled and time that was not, with the cause.

use crate::process::RunTimes;
use crate::profile::event::{NOT_SAMPLED, Nanos};

/// The time between two ticks is a gap when it is longer than this many usual intervals,
const INTERVALS: u64 = 10;

/// and longer than this.
pub const LONGEST_SAMPLED: Nanos = Nanos(100_000_000);

/// How often rsamp's own run times are read: more often than a gap is long, so that little of them is from before
/// the gap.
const NOTED_EVERY: Nanos = Nanos(50_000_000);

/// The newest interval counts for one part in so many of the usual one: readings that take long at every tick are
/// slow, and are not gaps.
const NEWEST_PART: u64 = 8;

/// Why time was not sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// rsamp neither ran nor waited for a CPU: a signal stopped it, or it waited for a disk.
    Stopped,
    /// rsamp waited for a CPU.
    Starved,
    /// rsamp was reading.
    Reading,
    /// The process was found after it had begun.
    Late,
    /// The kernel does not count how long a thread waits for a CPU.
    Unknown,
}

impl Cause {
    /// The name of the frame that stands for the time.
    #[must_use]
    pub fn frame_name(self) -> String {
        let cause = match self {
            Cause::Stopped => "rsamp was stopped",
            Cause::Starved => "rsamp got no CPU",
            Cause::Reading => "reading took too long",
            Cause::Late => "found late",
            Cause::Unknown => "cause unknown",
        };
        format!("{NOT_SAMPLED}{cause}]")
    }
}

/// Time between two ticks that was not sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The part of it for which the tick at its end stands, as for any interval.
    pub interval: Nanos,
    /// Why it was not sampled.
    pub cause: Cause,
}

/// Counts how long rsamp's sampling thread has run, and has waited for a CPU.
pub trait RunClock {
    /// Both in nanoseconds; `None` where the kernel does not count them.
    fn times(&mut self) -> Option<(u64, u64)>;
}

impl RunClock for RunTimes {
    fn times(&mut self) -> Option<(u64, u64)> {
        self.run_and_wait_ns()
    }
}

/// Finds the gaps between ticks.
#[derive(Debug)]
pub struct Gaps<C> {
    clock: Option<C>,
    /// What the clock said last, and when it was read.
    noted: Option<(u64, u64)>,
    noted_at: Nanos,
    last: Nanos,
    /// The mean of the last intervals.
    usual: Nanos,
}

impl<C: RunClock> Gaps<C> {
    /// The recording begins at 0; `clock` tells the causes of gaps.
    #[must_use]
    pub fn new(clock: Option<C>) -> Gaps<C> {
        let mut gaps = Gaps {
            clock,
            noted: None,
            noted_at: Nanos(0),
            last: Nanos(0),
            usual: Nanos(0),
        };
        gaps.note(Nanos(0));
        gaps
    }

    /// There was nothing to sample until now.
    pub fn restart(&mut self, now: Nanos) {
        self.last = now;
        self.note(now);
    }

    /// Takes in a tick at `now`, at a rate of one tick per `interval`. Returns the gap before it, if there is one.
    pub fn at_tick(&mut self, now: Nanos, interval: Nanos) -> Option<Gap> {
        let gap = self.before(now, interval);
        let passed = (now - self.last).min(longest(self.usual(interval)));
        let part = |time: Nanos| time.0 / NEWEST_PART;
        self.usual = self.usual - Nanos(part(self.usual)) + Nanos(part(passed));
        self.last = now;
        if gap.is_some() || now >= self.noted_at + NOTED_EVERY {
            self.note(now);
        }
        gap
    }

    /// The gap between the last tick and `now`, if there is one.
    pub fn before(&mut self, now: Nanos, interval: Nanos) -> Option<Gap> {
        let passed = now - self.last;
        let interval = self.usual(interval);
        if passed <= longest(interval) {
            return None;
        }
        let cause = self.cause(passed);
        Some(Gap { interval, cause })
    }

    /// The mean of the last intervals, or `interval` where it is longer.
    #[must_use]
    pub fn usual(&self, interval: Nanos) -> Nanos {
        self.usual.max(interval)
    }

    fn cause(&mut self, passed: Nanos) -> Cause {
        let now = self.clock.as_mut().and_then(C::times);
        let (Some((ran, waited)), Some((ran_before, waited_before))) = (now, self.noted) else {
            return Cause::Unknown;
        };
        let is_most = |ns: u64| ns >= passed.0 / 2;
        if is_most(waited.saturating_sub(waited_before)) {
            Cause::Starved
        } else if is_most(ran.saturating_sub(ran_before)) {
            Cause::Reading
        } else {
            Cause::Stopped
        }
    }

    fn note(&mut self, now: Nanos) {
        self.noted_at = now;
        self.noted = self.clock.as_mut().and_then(C::times);
    }
}

/// The longest time between two ticks that is not a gap, where the usual interval is `interval`.
#[must_use]
pub fn longest(interval: Nanos) -> Nanos {
    Nanos(interval.0.saturating_mul(INTERVALS)).max(LONGEST_SAMPLED)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    const MS: u64 = 1_000_000;

    /// Returns what the test has set.
    #[derive(Debug)]
    struct SetClock(Rc<Cell<(u64, u64)>>);

    impl RunClock for SetClock {
        fn times(&mut self) -> Option<(u64, u64)> {
            Some(self.0.get())
        }
    }

    /// Ticks every millisecond for two seconds; then `passed_ms` pass, in which rsamp ran for `ran_ms` and waited for
    /// a CPU for `waited_ms`.
    fn gap(passed_ms: u64, ran_ms: u64, waited_ms: u64) -> Option<Gap> {
        let times = Rc::default();
        let mut gaps = Gaps::new(Some(SetClock(Rc::clone(&times))));
        for ms in 1..2000 {
            times.set((ms * 20_000, ms * 10_000));
            assert_eq!(gaps.at_tick(Nanos(ms * MS), Nanos(MS)), None);
        }
        times.set((40 * MS + ran_ms * MS, 20 * MS + waited_ms * MS));
        gaps.at_tick(Nanos((1999 + passed_ms) * MS), Nanos(MS))
    }

    #[test]
    fn a_gap_begins_at_100_ms_and_has_its_cause() {
        assert_eq!(gap(100, 0, 0), None);
        for (passed, ran, waited, cause) in [
            (3500, 1, 1, Cause::Stopped),
            (900, 1, 890, Cause::Starved),
            (900, 880, 20, Cause::Reading),
            (101, 0, 0, Cause::Stopped),
        ] {
            let gap = gap(passed, ran, waited).unwrap();
            assert_eq!(gap.cause, cause);
            assert_eq!(gap.interval, Nanos(MS));
        }
    }

    #[test]
    fn readings_that_always_take_long_are_not_gaps() {
        let mut gaps = Gaps::<SetClock>::new(None);
        let found = (1..100_u64).filter(|n| {
            let gap = gaps.at_tick(Nanos(n * 150 * MS), Nanos(MS));
            gap.is_some()
        });
        assert!(found.count() < 3);
        let gap = gaps.at_tick(Nanos(99 * 150 * MS + 5000 * MS), Nanos(MS));
        assert_eq!(gap.unwrap().cause, Cause::Unknown);
    }

    #[test]
    fn at_a_slow_rate_a_gap_is_longer_than_ten_intervals() {
        let mut gaps = Gaps::<SetClock>::new(None);
        let interval = Nanos(1000 * MS);
        assert_eq!(gaps.at_tick(Nanos(1500 * MS), interval), None);
        assert_eq!(gaps.at_tick(Nanos(11_000 * MS), interval), None);
        assert!(gaps.at_tick(Nanos(40_000 * MS), interval).is_some());
    }

    #[test]
    fn time_with_nothing_to_sample_is_not_a_gap() {
        let mut gaps = Gaps::<SetClock>::new(None);
        gaps.restart(Nanos(9000 * MS));
        assert_eq!(gaps.at_tick(Nanos(9001 * MS), Nanos(MS)), None);
    }
}
