//! Turns a rate into the times of the ticks: randomised, and never queued up.

use crate::profile::event::Nanos;

/// Ticks further behind than this many intervals are counted by division, not one by one.
const MAX_COUNTED: u32 = 64;

/// The times at which to sample.
///
/// Intervals are spread evenly over 0.5 to 1.5 times their mean, so that ticks do not beat with a
/// period of the program.
#[derive(Debug, Clone)]
pub struct Schedule {
    mean_ns: f64,
    next: Nanos,
    random: u64,
}

impl Schedule {
    /// Ticks `rate_hz` times a second on average, the first one at `start`. `seed` chooses the
    /// random numbers.
    #[must_use]
    pub fn new(rate_hz: f64, start: Nanos, seed: u64) -> Schedule {
        // xorshift must not start from 0.
        Schedule {
            mean_ns: 1e9 / rate_hz,
            next: start,
            random: seed | 1,
        }
    }

    /// Ticks at another rate from the next interval on.
    pub fn set_rate(&mut self, rate_hz: f64) {
        self.mean_ns = 1e9 / rate_hz;
    }

    /// Has the next tick due at `at`, whatever was due before.
    pub fn restart(&mut self, at: Nanos) {
        self.next = at;
    }

    /// When the next tick is due.
    #[must_use]
    pub fn next(&self) -> Nanos {
        self.next
    }

    /// Moves on after the tick that was taken at `now`. Returns how many ticks were due meanwhile
    /// and are left out.
    pub fn advance(&mut self, now: Nanos) -> u64 {
        let mut missed = 0;
        self.skip();
        while self.next <= now {
            if missed == u64::from(MAX_COUNTED) {
                missed += ((now - self.next).0 as f64 / self.mean_ns) as u64;
                self.next = now + self.interval();
                break;
            }
            missed += 1;
            self.skip();
        }
        missed
    }

    fn skip(&mut self) {
        let interval = self.interval();
        self.next += interval;
    }

    fn interval(&mut self) -> Nanos {
        // xorshift64 (Marsaglia 2003); its upper 53 bits make a number in [0, 1).
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let unit = (self.random >> 11) as f64 / (1_u64 << 53) as f64;
        Nanos((self.mean_ns * (0.5 + unit)).max(1.0) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_vary_around_their_mean() {
        let mut schedule = Schedule::new(1000.0, Nanos(0), 42);
        let mut intervals = Vec::new();
        for _ in 0..10_000 {
            let now = schedule.next();
            assert_eq!(schedule.advance(now), 0);
            intervals.push((schedule.next() - now).0);
        }
        let mean = intervals.iter().sum::<u64>() / 10_000;
        assert!((990_000..1_010_000).contains(&mean), "{mean}");
        assert!(intervals.iter().all(|i| (500_000..=1_500_000).contains(i)));
        assert!(intervals.iter().any(|i| *i < 600_000) && intervals.iter().any(|i| *i > 1_400_000));
    }

    #[test]
    fn late_ticks_are_counted_and_left_out() {
        let mut schedule = Schedule::new(1000.0, Nanos(0), 7);
        let missed = schedule.advance(Nanos(10_000_000));
        assert!((7..=14).contains(&missed), "{missed}");
        assert!(schedule.next() > Nanos(10_000_000));
        let missed = schedule.advance(Nanos(3_600_000_000_000));
        assert!((3_590_000..3_610_000).contains(&missed), "{missed}");
        assert!(schedule.next() > Nanos(3_600_000_000_000));
    }
}
