//! Turns elapsed time and rsamp's own CPU time into the rate at which to sample.

use crate::profile::event::Nanos;

/// How often to sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rate {
    /// By [`AGES`]: often at first, less often as the run gets long.
    Auto,
    /// So many times a second, on average.
    Fixed(f64),
}

/// The rates of [`Rate::Auto`] in hertz, and when each begins.
///
/// Each but the last goes on until it has given more samples than all before it together: 60 000 in the
/// first minute, after which the standard error of a share is a fifth of a percentage point or less,
/// and it goes on shrinking at the lower rates.
pub const AGES: [(Nanos, f64); 5] = [
    (Nanos(0), 1000.0),
    (Nanos(60 * SECOND), 500.0),
    (Nanos(5 * 60 * SECOND), 250.0),
    (Nanos(20 * 60 * SECOND), 100.0),
    (Nanos(2 * 3600 * SECOND), 50.0),
];

/// The steps by which a rate comes down, in hertz. The last is as low as any gets, unless a lower one
/// was asked for.
const STEPS: [f64; 16] = [
    500_000.0, 250_000.0, 100_000.0, 50_000.0, 25_000.0, 10_000.0, 5_000.0, 2_500.0, 1_000.0,
    500.0, 250.0, 100.0, 50.0, 25.0, 10.0, 5.0,
];

/// One program is sampled at least so often, in hertz; several are as often all together.
const LEAST: f64 = 50.0;

/// How often the rate is reviewed.
pub const REVIEW: Nanos = Nanos(SECOND);

/// So many reviews in a row must find rsamp too expensive before the rate comes down a step: the code
/// objects that are read when a program does something new cost once, not for ever.
const PATIENCE_DOWN: u32 = 2;

/// So many reviews in a row must find room for the next higher step before the rate goes up again.
const PATIENCE_UP: u32 = 10;

/// What the higher step is reckoned to cost must be below this part of what is allowed, so that the
/// rate does not go up and down for ever.
const ROOM: f64 = 0.7;

const SECOND: u64 = 1_000_000_000;

/// Decides on the rate, review by review. Reads no clock.
#[derive(Debug, Clone)]
pub struct RateControl {
    rate: Rate,
    max_overhead: Option<f64>,
    /// Highest first, never empty.
    steps: Vec<f64>,
    step: usize,
    reviewed: Nanos,
    own_cpu: Nanos,
    dear: u32,
    cheap: u32,
    /// No higher rate is used, in hertz.
    ceiling: f64,
}

impl RateControl {
    /// Starts with the highest rate that `rate` allows. `max_overhead` is the part of one core that
    /// rsamp may use, 0.01 for one per cent; `None`: as much as it takes.
    #[must_use]
    pub fn new(rate: Rate, max_overhead: Option<f64>) -> RateControl {
        let top = match rate {
            Rate::Auto => AGES[0].1,
            Rate::Fixed(hz) => hz,
        };
        let lower = STEPS.into_iter().filter(|step| *step < top);
        RateControl {
            rate,
            max_overhead,
            steps: std::iter::once(top).chain(lower).collect(),
            step: 0,
            reviewed: Nanos(0),
            own_cpu: Nanos(0),
            dear: 0,
            cheap: 0,
            ceiling: f64::INFINITY,
        }
    }

    /// Uses half of the rate of now from the next review on, or the next lower step, but not less than the last; `times`:
    /// how often that was asked for since the start.
    pub fn halve(&mut self, times: u32) {
        let top = self.steps[0];
        self.ceiling = top / 2_f64.powi(i32::try_from(times).unwrap_or(i32::MAX));
    }

    /// The rate to sample at, in hertz.
    #[must_use]
    pub fn hz(&self) -> f64 {
        self.steps[self.step]
    }

    /// Whether [`REVIEW`] is over since the last review.
    #[must_use]
    pub fn is_due(&self, elapsed: Nanos) -> bool {
        elapsed >= self.reviewed + REVIEW
    }

    /// Decides anew, from the time since the start, the CPU time that rsamp has used since then, and how many
    /// programs are sampled.
    pub fn review(&mut self, elapsed: Nanos, own_cpu: Nanos, programs: usize) {
        let span = elapsed - self.reviewed;
        let share = (own_cpu - self.own_cpu).seconds() / span.seconds().max(1e-9);
        (self.reviewed, self.own_cpu) = (elapsed, own_cpu);
        let before = self.step;
        if let Some(max) = self.max_overhead {
            let least = LEAST / programs.max(1) as f64;
            self.weigh(share, max, least);
        }
        self.step = self
            .step
            .max(self.highest(elapsed))
            .max(self.below_ceiling());
        if self.step != before {
            (self.dear, self.cheap) = (0, 0);
        }
    }

    /// Goes a step down, to `least` hertz at the lowest, or up when rsamp was too expensive, or cheap enough,
    /// for long enough.
    fn weigh(&mut self, share: f64, max: f64, least: f64) {
        let at_next_step = self
            .step
            .checked_sub(1)
            .map(|higher| share * self.steps[higher] / self.hz());
        let has_room = at_next_step.is_some_and(|share| share < max * ROOM);
        self.dear = if share > max { self.dear + 1 } else { 0 };
        self.cheap = if has_room { self.cheap + 1 } else { 0 };
        let next = self.steps.get(self.step + 1);
        if self.dear >= PATIENCE_DOWN && next.is_some_and(|next| *next >= least) {
            self.step += 1;
        } else if self.cheap >= PATIENCE_UP {
            self.step -= 1;
        }
    }

    /// The highest step that is not above the ceiling.
    fn below_ceiling(&self) -> usize {
        let found = self.steps.iter().position(|step| *step <= self.ceiling);
        found.unwrap_or(self.steps.len() - 1)
    }

    /// The highest step for a run of this age.
    fn highest(&self, elapsed: Nanos) -> usize {
        if self.rate != Rate::Auto {
            return 0;
        }
        let age = AGES.iter().rfind(|(from, _)| *from <= elapsed);
        let hz = age.map_or(self.steps[0], |(_, hz)| *hz);
        let found = self.steps.iter().position(|step| *step <= hz);
        found.unwrap_or(self.steps.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reviews each second for `seconds`, with rsamp using `us_per_tick`; the rates used, with the
    /// time at which each began.
    fn run(
        control: &mut RateControl,
        from: u64,
        seconds: u64,
        us_per_tick: f64,
    ) -> Vec<(u64, f64)> {
        let mut changes = Vec::new();
        let mut own_cpu = control.own_cpu;
        for second in from + 1..=from + seconds {
            let before = control.hz();
            own_cpu += Nanos((before * us_per_tick * 1e3) as u64);
            control.review(Nanos(second * SECOND), own_cpu, 1);
            if control.hz() != before {
                changes.push((second, control.hz()));
            }
        }
        changes
    }

    #[test]
    fn a_long_run_comes_down_step_by_step_and_never_below_50_hz() {
        let mut control = RateControl::new(Rate::Auto, Some(0.01));
        assert_eq!(control.hz(), 1000.0);
        assert_eq!(
            run(&mut control, 0, 86_400, 5.0),
            [(60, 500.0), (300, 250.0), (1200, 100.0), (7200, 50.0)]
        );
    }

    #[test]
    fn a_rate_that_costs_too_much_comes_down_until_it_does_not() {
        let mut control = RateControl::new(Rate::Auto, Some(0.01));
        assert_eq!(run(&mut control, 0, 50, 30.0), [(2, 500.0), (4, 250.0)]);
        let mut control = RateControl::new(Rate::Auto, Some(0.01));
        let changes = run(&mut control, 0, 50, 10_000.0);
        assert_eq!(
            changes,
            [(2, 500.0), (4, 250.0), (6, 100.0), (8, 50.0)],
            "even 50 Hz costs too much"
        );
    }

    #[test]
    fn several_programs_together_are_sampled_as_often_as_one_at_least() {
        for (programs, least) in [(1, 50.0), (2, 25.0), (7, 10.0), (10, 5.0), (1000, 5.0)] {
            let mut control = RateControl::new(Rate::Auto, Some(0.01));
            let mut own_cpu = Nanos(0);
            for second in 1..60 {
                own_cpu += Nanos(SECOND / 2);
                control.review(Nanos(second * SECOND), own_cpu, programs);
            }
            assert_eq!(control.hz(), least, "{programs} programs");
        }
    }

    #[test]
    fn what_costs_once_does_not_bring_the_rate_down() {
        let mut control = RateControl::new(Rate::Auto, Some(0.01));
        control.review(Nanos(SECOND), Nanos(SECOND / 2), 1);
        control.review(Nanos(2 * SECOND), Nanos(SECOND / 2 + SECOND / 200), 1);
        control.review(Nanos(3 * SECOND), Nanos(SECOND), 1);
        assert_eq!(control.hz(), 1000.0);
    }

    #[test]
    fn the_rate_goes_up_again_when_there_is_room_but_not_above_its_age() {
        let mut control = RateControl::new(Rate::Auto, Some(0.01));
        run(&mut control, 0, 20, 30.0);
        assert_eq!(control.hz(), 250.0);
        assert_eq!(run(&mut control, 20, 30, 5.0), [(30, 500.0), (40, 1000.0)]);

        let mut control = RateControl::new(Rate::Auto, Some(0.01));
        run(&mut control, 0, 90, 30.0);
        assert_eq!(control.hz(), 250.0);
        assert_eq!(run(&mut control, 90, 100, 5.0), [(100, 500.0)]);
    }

    #[test]
    fn a_cost_near_the_limit_does_not_make_the_rate_swing() {
        for us_per_tick in [7.5, 10.0, 10.5, 14.0, 19.9, 20.1, 39.0] {
            let mut control = RateControl::new(Rate::Auto, Some(0.01));
            run(&mut control, 0, 10, us_per_tick);
            assert_eq!(run(&mut control, 10, 49, us_per_tick), [], "{us_per_tick}");
        }
    }

    #[test]
    fn a_rate_that_was_halved_stays_low() {
        let mut control = RateControl::new(Rate::Fixed(1000.0), None);
        control.halve(1);
        assert_eq!(run(&mut control, 0, 9, 5.0), [(1, 500.0)]);
        control.halve(2);
        assert_eq!(run(&mut control, 9, 90, 5.0), [(10, 250.0)]);
        control.halve(u32::MAX);
        assert_eq!(run(&mut control, 99, 90, 5.0), [(100, 5.0)]);
    }

    #[test]
    fn a_fixed_rate_is_held_unless_its_cost_is_limited() {
        let mut control = RateControl::new(Rate::Fixed(300_000.0), None);
        assert_eq!(run(&mut control, 0, 86_400, 3.0), []);
        assert_eq!(control.hz(), 300_000.0);

        let mut control = RateControl::new(Rate::Fixed(3000.0), Some(0.05));
        assert_eq!(run(&mut control, 0, 7200, 30.0), [(2, 2500.0), (4, 1000.0)]);

        let mut control = RateControl::new(Rate::Fixed(0.5), Some(0.000_001));
        assert_eq!(run(&mut control, 0, 60, 1e5), [], "nothing is below 0.5 Hz");
    }
}
