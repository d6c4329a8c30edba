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

/// What part of one core rsamp may use, 0.01 for one per cent. When it uses more, the rate comes down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Budget {
    /// As much as the rate takes.
    Unlimited,
    /// [`Budget::USUAL`], but [`Budget::WHILE_YOUNG`] in the first [`YOUNG`] of the recording: a run of seconds is to have
    /// enough samples, and costs no more for it than half a second of one core.
    Usual,
    /// This part over the whole recording, from its start to its end.
    Held(f64),
}

impl Budget {
    /// What nobody had to ask for.
    pub const USUAL: f64 = 0.01;

    /// What a recording may use while it is young.
    pub const WHILE_YOUNG: f64 = 0.05;
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

/// The first review: after some ticks, whose cost tells what the rate may be.
const FIRST_REVIEW: Nanos = Nanos(SECOND / 50);

/// How often the rate is reviewed while the recording is young,
const YOUNG_REVIEW: Nanos = Nanos(SECOND / 10);

/// and from then on, or always where it costs what it may.
const REVIEW: Nanos = Nanos(SECOND);

/// A recording is young for so long,
const YOUNG: Nanos = Nanos(10 * SECOND);

/// and again for so long when programs have come or gone.
const YOUNG_AGAIN: Nanos = Nanos(2 * SECOND);

/// This part of what is allowed is used: the rest is for writing what is left at the end.
const AIM: f64 = 0.9;

/// What was used beyond that, as by the start, is saved over so long a time, or as long as the recording has lasted,
const SHORTEST_PAYBACK: Nanos = Nanos(10 * SECOND);

/// but this part of what is allowed stays for sampling: a short run is to have samples, too.
const LEAST_PART: f64 = 0.5;

/// So many reviews in a row must find room for a higher step before the rate goes up again.
const PATIENCE_UP: u32 = 5;

/// Ticks that follow each other sooner find more of what they need in the CPU's caches: a tick at `r` times the rate is
/// taken to cost so many times less, by this power of `r`, until a step has shown it. (One busy program on Linux 6.18, a
/// virtual machine: 300 µs at 50 Hz, 240 at 100, 56 at 1000.)
const USUAL_GAIN: f64 = 0.5;

/// What a higher step is reckoned to cost must be below this part of what is allowed, so that the rate does not go up
/// and down for ever.
const ROOM: f64 = 0.7;

const SECOND: u64 = 1_000_000_000;

/// What was spent by the time of a review.
#[derive(Debug, Clone, Copy)]
pub struct Spent {
    /// The time since the start.
    pub elapsed: Nanos,
    /// The CPU time that rsamp has used, that before the start included.
    pub own_cpu: Nanos,
    /// How many ticks were taken since the last review.
    pub ticks: u64,
    /// How many programs are sampled.
    pub programs: usize,
}

/// Decides on the rate, review by review. Reads no clock.
#[derive(Debug, Clone)]
pub struct RateControl {
    rate: Rate,
    budget: Budget,
    /// The elapsed time and rsamp's CPU time from which on it is counted, where that is not the start.
    counted_from: Option<(Nanos, Nanos)>,
    /// Highest first, never empty.
    steps: Vec<f64>,
    step: usize,
    reviewed: Nanos,
    own_cpu: Nanos,
    programs: usize,
    young_until: Nanos,
    /// What a tick took before the last review, in seconds; `None` before the first one.
    tick_cost: Option<f64>,
    /// The power of the rate by which ticks get cheaper.
    gain: f64,
    /// The rate before the last step and what a tick cost at it, until the cost after it is known.
    before_step: Option<(f64, f64)>,
    /// How many reviews in a row found room for a higher step.
    cheap: u32,
    /// No higher rate is used, in hertz.
    ceiling: f64,
}

impl RateControl {
    /// Starts with the highest rate that `rate` allows. `start_cpu` is the CPU time that rsamp has used by then: it counts as
    /// used, but no tick took it.
    #[must_use]
    pub fn new(rate: Rate, budget: Budget, start_cpu: Nanos) -> RateControl {
        let top = match rate {
            Rate::Auto => AGES[0].1,
            Rate::Fixed(hz) => hz,
        };
        let lower = STEPS.into_iter().filter(|step| *step < top);
        RateControl {
            rate,
            budget,
            counted_from: None,
            steps: std::iter::once(top).chain(lower).collect(),
            step: 0,
            reviewed: Nanos(0),
            own_cpu: start_cpu,
            programs: 0,
            young_until: YOUNG,
            tick_cost: None,
            gain: USUAL_GAIN,
            before_step: None,
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

    /// Whether a review is due.
    #[must_use]
    pub fn is_due(&self, elapsed: Nanos) -> bool {
        let pause = match self.budget {
            Budget::Unlimited => REVIEW,
            _ if self.tick_cost.is_none() => FIRST_REVIEW,
            _ if self.reviewed < self.young_until => YOUNG_REVIEW,
            _ => REVIEW,
        };
        elapsed >= self.reviewed + pause
    }

    /// Decides anew.
    pub fn review(&mut self, spent: Spent) {
        let used = spent.own_cpu - self.own_cpu;
        (self.reviewed, self.own_cpu) = (spent.elapsed, spent.own_cpu);
        let before = self.step;
        if let Some(max) = self.limit(&spent) {
            let tick_cost = used.seconds() / spent.ticks.max(1) as f64;
            self.weigh(&spent, tick_cost, max);
        }
        self.step = self
            .step
            .max(self.highest(spent.elapsed))
            .max(self.below_ceiling());
        if self.step == before {
            self.before_step = None;
        } else {
            self.cheap = 0;
        }
    }

    /// The part of one core that may be used at this age. What [`Budget::Usual`] gave a young recording is not paid back.
    fn limit(&mut self, spent: &Spent) -> Option<f64> {
        match self.budget {
            Budget::Unlimited => None,
            Budget::Held(part) => Some(part),
            Budget::Usual if spent.elapsed < YOUNG => Some(Budget::WHILE_YOUNG),
            Budget::Usual => {
                self.counted_from
                    .get_or_insert((spent.elapsed, spent.own_cpu));
                Some(Budget::USUAL)
            }
        }
    }

    /// Comes down to what is allowed when two reviews in a row, or the first one where the budget is held, found a tick too
    /// expensive: the code objects that are read when a program does something new cost once. Goes up by a step when ticks
    /// were cheap for long enough.
    fn weigh(&mut self, spent: &Spent, tick_cost: f64, max: f64) {
        if spent.programs != self.programs {
            self.programs = spent.programs;
            self.young_until = self.young_until.max(spent.elapsed + YOUNG_AGAIN);
        }
        let allowed = self.allowed(spent, max);
        let certain = match (self.tick_cost.replace(tick_cost), self.budget) {
            (Some(before), _) => before.min(tick_cost),
            (None, Budget::Held(_)) => tick_cost,
            (None, _) => return,
        };
        self.learn_gain(tick_cost);
        let least = LEAST / spent.programs.max(1) as f64;
        let floor = self.steps.iter().rposition(|step| *step >= least);
        let floor = floor.unwrap_or(0);
        let lower = self.highest_within(allowed, certain).min(floor);
        if lower > self.step {
            self.go_to(lower, certain);
        } else if self
            .share_above(tick_cost)
            .is_some_and(|share| share <= allowed * ROOM)
        {
            self.cheap += 1;
            if self.cheap >= PATIENCE_UP {
                self.go_to(self.step - 1, tick_cost);
            }
        } else {
            self.cheap = 0;
        }
    }

    fn go_to(&mut self, step: usize, tick_cost: f64) {
        self.before_step = Some((self.hz(), tick_cost));
        self.step = step;
    }

    /// Takes in what a tick costs after a step. One review may be wrong, so that half of it counts.
    fn learn_gain(&mut self, tick_cost: f64) {
        let Some((hz, cost)) = self.before_step.take() else {
            return;
        };
        let gain = (cost / tick_cost).ln() / (self.hz() / hz).ln();
        if gain.is_finite() {
            self.gain = (self.gain + gain.clamp(0.0, 1.0)) / 2.0;
        }
    }

    /// The part of a core that the next higher step is reckoned to take, if there is one.
    fn share_above(&self, tick_cost: f64) -> Option<f64> {
        let higher = *self.steps.get(self.step.checked_sub(1)?)?;
        Some(higher * tick_cost * (self.hz() / higher).powf(self.gain))
    }

    /// The part of a core that may be used from now on, so that it is no more than `max` over all that is counted, which is
    /// taken to last for as long again.
    fn allowed(&self, spent: &Spent, max: f64) -> f64 {
        let (from, cpu_before) = self.counted_from.unwrap_or_default();
        let elapsed = spent.elapsed - from;
        let aim = max * AIM;
        let debt = (spent.own_cpu - cpu_before).seconds() - aim * elapsed.seconds();
        let payback = elapsed.max(SHORTEST_PAYBACK).seconds();
        (aim - debt / payback).clamp(aim * LEAST_PART, aim)
    }

    /// The highest step at which ticks of this cost take no more than `allowed`, or the last one.
    fn highest_within(&self, allowed: f64, tick_cost: f64) -> usize {
        let mut steps = self.steps.iter();
        let found = steps.position(|hz| hz * tick_cost <= allowed);
        found.unwrap_or(self.steps.len() - 1)
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

    /// What a machine takes: for the start, for each tick beside and for each program, and for each second.
    #[derive(Clone, Copy)]
    struct Costs {
        start_ms: f64,
        tick_us: f64,
        program_us: f64,
        second_ms: f64,
        /// What a tick costs at 1000 Hz, it costs so many times more at 100 Hz.
        cold: f64,
    }

    fn per_tick(tick_us: f64) -> Costs {
        Costs {
            start_ms: 0.0,
            tick_us,
            program_us: 0.0,
            second_ms: 0.0,
            cold: 1.0,
        }
    }

    const HUNDREDTH: Budget = Budget::Held(0.01);

    /// One recording with `programs` programs.
    struct Run {
        control: RateControl,
        programs: usize,
        costs: Costs,
        at: f64,
        used: f64,
        ticks: u64,
        /// The rates used, with the time in milliseconds at which each began.
        changes: Vec<(u64, f64)>,
    }

    impl Run {
        fn new(rate: Rate, budget: Budget, programs: usize, costs: Costs) -> Run {
            Run {
                control: RateControl::new(rate, budget, Nanos((costs.start_ms * 1e6) as u64)),
                programs,
                costs,
                at: 0.0,
                used: costs.start_ms / 1e3,
                ticks: 0,
                changes: Vec::new(),
            }
        }

        /// Ticks until `seconds` after the start; tells the changes of the rate meanwhile.
        fn until(&mut self, seconds: f64) -> Vec<(u64, f64)> {
            while self.at < seconds {
                let interval = 1.0 / self.control.hz();
                let Costs {
                    tick_us,
                    program_us,
                    second_ms,
                    cold,
                    ..
                } = self.costs;
                self.at += interval;
                let warm_us = tick_us + program_us * self.programs as f64;
                let cold = cold.powf((interval / 1e-3).log10());
                self.used += warm_us * cold / 1e6;
                self.used += second_ms / 1e3 * interval;
                self.ticks += 1;
                let elapsed = Nanos((self.at * 1e9) as u64);
                if self.control.is_due(elapsed) {
                    let before = self.control.hz();
                    self.control.review(Spent {
                        elapsed,
                        own_cpu: Nanos((self.used * 1e9) as u64),
                        ticks: std::mem::take(&mut self.ticks),
                        programs: self.programs,
                    });
                    if self.control.hz() != before {
                        self.changes
                            .push(((self.at * 1e3) as u64, self.control.hz()));
                    }
                }
            }
            std::mem::take(&mut self.changes)
        }

        /// The part of a core that was used so far.
        fn share(&self) -> f64 {
            self.used / self.at
        }
    }

    fn auto(tick_us: f64) -> Run {
        Run::new(Rate::Auto, HUNDREDTH, 1, per_tick(tick_us))
    }

    fn hz(changes: &[(u64, f64)]) -> Vec<f64> {
        changes.iter().map(|(_, hz)| *hz).collect()
    }

    #[test]
    fn a_long_run_comes_down_step_by_step_and_never_below_50_hz() {
        let mut run = auto(5.0);
        assert_eq!(run.control.hz(), 1000.0);
        let changes = run.until(86_400.0);
        let seconds = changes.iter().map(|(ms, hz)| (ms / 1000, *hz));
        assert_eq!(
            seconds.collect::<Vec<_>>(),
            [(60, 500.0), (300, 250.0), (1200, 100.0), (7200, 50.0)]
        );
    }

    #[test]
    fn the_budget_is_held_over_the_whole_run_by_1_16_and_60_programs() {
        let costs = Costs {
            start_ms: 40.0,
            tick_us: 12.0,
            program_us: 15.0,
            second_ms: 2.0,
            cold: 1.0,
        };
        for max in [0.01, 0.02, 0.05] {
            for programs in [1, 16, 60] {
                let mut run = Run::new(Rate::Auto, Budget::Held(max), programs, costs);
                run.until(12.0);
                let early = run.share();
                // What the first ticks of many programs take is paid back no faster than the lowest rate lets it.
                assert!(
                    early <= max || run.control.hz() == 5.0,
                    "{programs} programs, {max}: {early} after 12 s"
                );
                run.until(60.0);
                let late = run.share();
                let least = LEAST / programs as f64;
                assert!(late <= max, "{programs} programs, {max}: {late} after 60 s");
                let hz = run.control.hz();
                assert!(hz >= least, "{programs} programs, {max}: {hz} Hz");
                // Nothing is given away: half of what is allowed, or the highest rate.
                let is_used = late > max / 3.0 || hz == 1000.0;
                assert!(is_used, "{programs} programs, {max}: {late}, {hz} Hz");
            }
        }
    }

    #[test]
    fn a_rate_that_costs_too_much_comes_down_after_the_first_20_ms() {
        assert_eq!(auto(30.0).until(50.0), [(20, 250.0)]);
        assert_eq!(
            auto(10_000.0).until(50.0),
            [(20, 50.0)],
            "even 50 Hz costs too much"
        );
        let mut many = Run::new(Rate::Auto, HUNDREDTH, 16, per_tick(300.0));
        assert_eq!(many.until(50.0), [(20, 25.0)]);
    }

    #[test]
    fn several_programs_together_are_sampled_as_often_as_one_at_least() {
        for (programs, least) in [(1, 50.0), (2, 25.0), (7, 10.0), (10, 5.0), (1000, 5.0)] {
            let mut run = Run::new(Rate::Auto, HUNDREDTH, programs, per_tick(1e6));
            run.until(60.0);
            assert_eq!(run.control.hz(), least, "{programs} programs");
        }
    }

    #[test]
    fn programs_that_come_later_bring_the_rate_down_within_a_fifth_of_a_second() {
        let mut run = Run::new(
            Rate::Auto,
            HUNDREDTH,
            1,
            Costs {
                program_us: 5.0,
                ..per_tick(0.0)
            },
        );
        assert_eq!(run.until(30.0), []);
        run.programs = 40;
        let changes = run.until(40.0);
        let (at_ms, _) = changes[0];
        // The reviews are a second apart by then.
        assert!(at_ms <= 32_100, "{changes:?}");
        assert!(run.control.hz() <= 50.0, "{changes:?}");
    }

    #[test]
    fn the_start_is_not_a_cost_of_ticks() {
        let costs = Costs {
            start_ms: 40.0,
            ..per_tick(15.0)
        };
        let mut run = Run::new(Rate::Auto, Budget::Usual, 1, costs);
        // Half of what is allowed, until the start is paid back.
        assert_eq!(hz(&run.until(5.0)), [1000.0; 0]);
        assert_eq!(run.control.hz(), 1000.0);
        let mut run = Run::new(Rate::Auto, HUNDREDTH, 1, costs);
        assert_eq!(hz(&run.until(0.1)), [250.0]);
    }

    #[test]
    fn a_young_recording_may_use_a_twentieth_of_a_core_and_a_hundredth_from_then_on() {
        let mut run = Run::new(Rate::Auto, Budget::Usual, 1, per_tick(56.0));
        assert_eq!(run.until(9.9), [(120, 500.0)]);
        let (used, samples) = (run.used, run.used / 56e-6);
        assert!(used < Budget::WHILE_YOUNG * 9.9, "{used}");
        assert!(samples > 4900.0, "{samples}");
        assert_eq!(hz(&run.until(12.0)), [100.0]);
        // What it used while it was young is not paid back.
        assert_eq!(run.until(59.0), []);

        let mut cheap = Run::new(Rate::Auto, Budget::Usual, 1, per_tick(8.0));
        assert_eq!(cheap.until(59.0), [], "1000 Hz cost less than a hundredth");
    }

    #[test]
    fn the_rate_goes_up_where_ticks_that_come_sooner_cost_less_and_is_tried_once_where_they_do_not()
    {
        let costs = Costs {
            cold: 4.0,
            ..per_tick(25.0)
        };
        let mut run = Run::new(Rate::Auto, Budget::Usual, 1, costs);
        // Beside a compiler that took its caches for a while.
        run.costs.tick_us = 200.0;
        run.until(1.0);
        assert!(run.control.hz() <= 250.0, "{}", run.control.hz());
        run.costs.tick_us = 25.0;
        assert_eq!(hz(&run.until(9.0)).last(), Some(&1000.0));

        let mut warm = Run::new(Rate::Auto, Budget::Held(0.01), 1, per_tick(30.0));
        warm.until(2.0);
        let tries = hz(&warm.until(59.0));
        assert!(tries.len() <= 2, "{tries:?}");
        assert_eq!(warm.control.hz(), 250.0);
    }

    #[test]
    fn one_time_costs_lower_the_rate_to_half_the_budget_at_most() {
        let mut run = auto(8.0);
        run.until(15.0);
        run.used += 0.5;
        assert_eq!(hz(&run.until(59.0)), [500.0]);
    }

    #[test]
    fn the_rate_goes_up_again_when_there_is_room_but_not_above_its_age() {
        let mut run = auto(30.0);
        run.until(2.0);
        assert_eq!(run.control.hz(), 250.0);
        run.costs.tick_us = 5.0;
        assert_eq!(hz(&run.until(50.0)), [500.0, 1000.0]);

        let mut run = auto(30.0);
        run.until(90.0);
        assert_eq!(run.control.hz(), 250.0);
        run.costs.tick_us = 5.0;
        assert_eq!(hz(&run.until(190.0)), [500.0]);
    }

    #[test]
    fn a_cost_near_the_limit_does_not_make_the_rate_swing() {
        for tick_us in [6.5, 9.0, 9.5, 13.0, 17.9, 18.1, 35.0] {
            let mut run = auto(tick_us);
            run.until(2.0);
            assert_eq!(run.until(59.0), [], "{tick_us}");
        }
    }

    #[test]
    fn a_rate_that_was_halved_stays_low() {
        let mut run = Run::new(Rate::Fixed(1000.0), Budget::Unlimited, 1, per_tick(5.0));
        run.control.halve(1);
        assert_eq!(run.until(9.0), [(1000, 500.0)]);
        run.control.halve(2);
        assert_eq!(hz(&run.until(99.0)), [250.0]);
        run.control.halve(u32::MAX);
        assert_eq!(hz(&run.until(189.0)), [5.0]);
    }

    #[test]
    fn a_fixed_rate_is_held_unless_its_cost_is_limited() {
        let mut run = Run::new(Rate::Fixed(30_000.0), Budget::Unlimited, 1, per_tick(3.0));
        assert_eq!(run.until(100.0), []);
        assert_eq!(run.control.hz(), 30_000.0);

        let mut run = Run::new(Rate::Fixed(3000.0), Budget::Held(0.05), 1, per_tick(30.0));
        assert_eq!(run.until(720.0), [(20, 1000.0)]);

        let mut run = Run::new(Rate::Fixed(0.5), Budget::Held(0.000_001), 1, per_tick(1e5));
        assert_eq!(run.until(60.0), [], "nothing is below 0.5 Hz");
    }
}
