//! Turns a rate and what native stacks have cost into when the next are read.

use super::rate::Budget;
use super::schedule::Schedule;
use crate::profile::event::Nanos;

/// How often native stacks are read where nobody says, in hertz: a stop makes the thread lose some 70 to 115 µs at this
/// rate, as it finds the CPU's caches cold afterwards.
const USUAL_HZ: f64 = 100.0;

/// The part of the time for which threads of a process may be stopped, all of them together.
const STOPPED: f64 = 0.005;

/// How much may be saved for later, in seconds' worth of what is allowed. It is there from the start: with
/// [`Budget::USUAL`], 10 ms for reading of the program's libraries what the first stacks need.
const SAVED_S: f64 = 1.0;

/// How often native stacks are read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NativeRate {
    /// [`USUAL_HZ`], less often where that costs more than it may.
    Usual,
    /// So many times a second.
    Fixed(f64),
}

/// How native frames are read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NativeSettings {
    /// How often.
    pub rate: NativeRate,
    /// What rsamp may use in all.
    pub budget: Budget,
    /// Whether threads may be stopped for it: else only those that wait have native frames.
    pub may_stop: bool,
}

impl NativeRate {
    /// In hertz.
    #[must_use]
    pub fn hz(self) -> f64 {
        match self {
            NativeRate::Usual => USUAL_HZ,
            NativeRate::Fixed(hz) => hz,
        }
    }
}

/// Decides when the native stacks of one process are read. Reads no clock.
#[derive(Debug)]
pub struct NativePace {
    schedule: Schedule,
    cpu: Option<Allowance>,
    stopped: Option<Allowance>,
}

/// A part of the time that may be used.
#[derive(Debug)]
struct Allowance {
    part: f64,
    left_ns: f64,
    at: Nanos,
}

impl NativePace {
    /// From `start` on. `budget` is that of the whole recording: half of one that is held is for native stacks.
    #[must_use]
    pub fn new(rate: NativeRate, budget: Budget, start: Nanos, seed: u64) -> NativePace {
        let (cpu, stopped) = match (rate, budget) {
            (NativeRate::Usual, Budget::Held(part)) => {
                (Some(part / 2.0), Some(STOPPED.min(part / 2.0)))
            }
            (NativeRate::Fixed(_), Budget::Held(part)) => (Some(part / 2.0), Some(part / 2.0)),
            (NativeRate::Usual, _) => (Some(Budget::USUAL), Some(STOPPED)),
            (NativeRate::Fixed(_), _) => (None, None),
        };
        let allowance = |part| Allowance::new(part, start);
        NativePace {
            schedule: Schedule::new(rate.hz(), start, seed),
            cpu: cpu.map(allowance),
            stopped: stopped.map(allowance),
        }
    }

    /// Whether stacks are to be read at the tick at `now`. Where they have cost too much, not until they have not.
    pub fn begin(&mut self, now: Nanos) -> bool {
        if now < self.schedule.next() {
            return false;
        }
        self.schedule.advance(now);
        let all = [&mut self.cpu, &mut self.stopped];
        all.into_iter().flatten().for_each(|kept| kept.earn(now));
        self.cpu.as_ref().is_none_or(Allowance::is_left)
    }

    /// Whether threads may be stopped for it.
    #[must_use]
    pub fn may_stop(&self) -> bool {
        self.stopped.as_ref().is_none_or(Allowance::is_left)
    }

    /// Takes in how much CPU time of rsamp's they took.
    pub fn spend_cpu(&mut self, spent: Nanos) {
        if let Some(cpu) = &mut self.cpu {
            cpu.left_ns -= spent.0 as f64;
        }
    }

    /// Takes in for how long a thread stood for it.
    pub fn spend_stopped(&mut self, stood: Nanos) {
        if let Some(stopped) = &mut self.stopped {
            stopped.left_ns -= stood.0 as f64;
        }
    }
}

impl Allowance {
    fn new(part: f64, at: Nanos) -> Allowance {
        Allowance {
            part,
            left_ns: part * SAVED_S * 1e9,
            at,
        }
    }

    fn earn(&mut self, now: Nanos) {
        let earned = self.part * (now - self.at).0 as f64;
        self.at = now;
        self.left_ns = (self.left_ns + earned).min(self.part * SAVED_S * 1e9);
    }

    fn is_left(&self) -> bool {
        self.left_ns > 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Ticks every millisecond for so many seconds; each time that stacks are read takes so much. Returns how often they were
    /// read, and for how many of these threads could be stopped.
    fn run(rate: NativeRate, budget: Budget, cpu: u64, stood: u64, seconds: u64) -> (u64, u64) {
        let mut pace = NativePace::new(rate, budget, Nanos(0), 7);
        let (mut read, mut stopped) = (0, 0);
        for ms in 0..seconds * 1000 {
            if !pace.begin(Nanos(ms * MS)) {
                continue;
            }
            read += 1;
            pace.spend_cpu(Nanos(cpu));
            if pace.may_stop() {
                stopped += 1;
                pace.spend_stopped(Nanos(stood));
            }
        }
        (read, stopped)
    }

    fn about(found: u64, expected: u64) -> bool {
        found.abs_diff(expected) * 20 <= expected
    }

    #[test]
    fn stacks_are_read_at_the_rate_as_long_as_they_cost_little() {
        for (rate, expected) in [
            (NativeRate::Usual, 6000),
            (NativeRate::Fixed(250.0), 15_000),
        ] {
            let (read, stopped) = run(rate, Budget::Usual, 20_000, 20_000, 60);
            assert!(about(read, expected) && read == stopped, "{rate:?}: {read}");
        }
    }

    #[test]
    fn threads_stand_for_no_more_than_their_part_of_the_time() {
        let (read, stopped) = run(NativeRate::Usual, Budget::Usual, 20_000, 200_000, 60);
        assert!(
            about(read, 6000),
            "the others are read all the same: {read}"
        );
        // A part of 0.5 % of 60 seconds, and what was saved at the start.
        assert!(about(stopped, 61 * 5 * MS / 200_000), "{stopped}");
        let (_, stopped) = run(NativeRate::Usual, Budget::Held(0.002), 1000, 200_000, 60);
        assert!(about(stopped, 61 * MS / 200_000), "{stopped}");
    }

    #[test]
    fn rsamp_uses_no_more_than_its_part_of_a_core() {
        let (read, _) = run(NativeRate::Usual, Budget::Usual, MS, 0, 60);
        assert!(about(read, 61 * 10), "{read}");
        let (read, _) = run(NativeRate::Fixed(100.0), Budget::Held(0.01), MS, 0, 60);
        assert!(about(read, 61 * 5), "{read}");
        let (read, _) = run(NativeRate::Usual, Budget::Usual, MS, 0, 1);
        assert!(read <= 20, "20 ms in the first second: {read}");
    }

    #[test]
    fn who_asks_for_a_rate_gets_it() {
        let (read, stopped) = run(NativeRate::Fixed(100.0), Budget::Unlimited, MS, MS, 60);
        assert!(about(read, 6000) && read == stopped, "{read}, {stopped}");
    }
}
