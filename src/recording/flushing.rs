//! Turns what it costs to write a recording into how often it is written.
//!
//! Reads no clock: whoever writes tells how much CPU time each write took.

use std::time::Duration;

/// So long after the first event the recording is written for the first time.
const FIRST: Duration = Duration::from_millis(100);

/// How often it is written where that costs little. With the 0.2 s for which the sampler holds a stack back, what is
/// older than half a second is in the file.
const OFTEN: Duration = Duration::from_millis(250);

/// How often it is written at the least, whatever that costs.
const SELDOM: Duration = Duration::from_millis(1500);

/// The part of a core that writing may cost before it is done less often: 0.1 %.
const MAX_COST: f64 = 0.001;

/// How much the last write counts in the mean over all.
const WEIGHT: f64 = 0.2;

/// Decides when to write next.
#[derive(Debug, Clone, Default)]
pub struct Flushing {
    /// The mean CPU time that a write costs beyond what its events cost anyway, in seconds; `None` before the first.
    cost_seconds: Option<f64>,
}

impl Flushing {
    /// How long to wait until the next write.
    #[must_use]
    pub fn wait(&self) -> Duration {
        let Some(cost) = self.cost_seconds else {
            return FIRST;
        };
        let affordable = Duration::try_from_secs_f64(cost / MAX_COST).unwrap_or(SELDOM);
        affordable.clamp(OFTEN, SELDOM)
    }

    /// Takes in the CPU time of a write.
    pub fn wrote(&mut self, cost: Duration) {
        let cost = cost.as_secs_f64();
        let mean = self.cost_seconds.unwrap_or(cost);
        self.cost_seconds = Some(mean + (cost - mean) * WEIGHT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The waits after writes of one cost, and the time that passes until so many were made.
    fn run(flushing: &mut Flushing, cost_us: u64, writes: u32) -> (Duration, Duration) {
        let mut passed = Duration::ZERO;
        for _ in 0..writes {
            passed += flushing.wait();
            flushing.wrote(Duration::from_micros(cost_us));
        }
        (flushing.wait(), passed)
    }

    #[test]
    fn the_first_write_comes_within_a_fifth_of_a_second() {
        assert!(Flushing::default().wait() < Duration::from_millis(200));
    }

    #[test]
    fn writes_come_twice_a_second_while_they_cost_less_than_a_thousandth_of_a_core() {
        for cost_us in [0, 50, 250] {
            let (wait, _) = run(&mut Flushing::default(), cost_us, 20);
            assert_eq!(wait, OFTEN, "{cost_us} us");
        }
    }

    #[test]
    fn writes_that_cost_more_come_less_often_up_to_a_limit() {
        for cost_us in [300, 500, 1000, 1500] {
            let (_, passed) = run(&mut Flushing::default(), cost_us, 200);
            let part = 200.0 * cost_us as f64 / 1e6 / passed.as_secs_f64();
            assert!((0.0009..0.0011).contains(&part), "{cost_us} us: {part}");
        }
        let (wait, _) = run(&mut Flushing::default(), 1_000_000, 20);
        assert_eq!(wait, SELDOM);
    }

    #[test]
    fn one_write_that_cost_much_is_forgotten() {
        let mut flushing = Flushing::default();
        flushing.wrote(Duration::from_millis(3));
        assert!(flushing.wait() > OFTEN);
        let (wait, _) = run(&mut flushing, 100, 20);
        assert_eq!(wait, OFTEN);
    }
}
