//! Turns the times of blocks into the noise of their sum, and differences into what is beyond noise.
//!
//! # The error of a time
//!
//! Samples are no independent draws: they come in runs, as long as a program stays in a function.
//! To count each for itself makes the noise too small. So the recording is cut into blocks (64 to
//! 128, of one length), and what a function has in one block is compared with what it has in the
//! next. With `y₁ … yₙ` the times in the blocks, the variance of their sum is estimated by half the
//! sum of the squared differences of neighbours, `½ Σ (yᵢ₊₁ − yᵢ)²`, times `n / (n − 1)`. For means
//! over blocks ("batch means") see G. S. Fishman and L. S. Yarberry, "An Implementation of the Batch
//! Means Method", INFORMS Journal on Computing 9, 1997; for differences of neighbours J. von Neumann
//! et al., "The Mean Square Successive Difference", Annals of Mathematical Statistics 12, 1941, and,
//! for samples taken at intervals from a series with a trend, K. Wolter, *Introduction to Variance
//! Estimation*, 2nd ed. 2007, on systematic sampling.
//!
//! Differences of neighbours, because a program has phases: against the mean of the whole run, the
//! start-up of a program would be noise; against its neighbour, a block differs for a phase only
//! where one begins or ends. What varies within some blocks' length counts as noise, be it the
//! sampling or the program; what varies more slowly is a property of the run. Visits to a function
//! that are as long as a block make neighbours alike and the estimate too small, so it is made for
//! blocks of the double length too, and the larger one counts; but only where many of the
//! differences contribute to it (see [`MIN_STEPS`]): a single phase that begins and ends would
//! quadruple it. Where it is more than [`MAX_GROWTH`] times as large, visits are longer than a block,
//! and there are too few of them to tell: nothing is said of that time. Only a single visit is taken
//! for a phase (see [`PHASE_STEPS`]), that is, for a property of the run.
//!
//! Three corrections:
//! - A tick stands for the interval before it, so neighbouring blocks share one. Where blocks of
//!   length `h` hold independent ticks `w` apart, that makes the estimate too small by a factor of
//!   `1 − w / 2h`. It is divided by that, and blocks are at least [`MIN_TICKS`] ticks long.
//! - The square of one tick is added on either side: a function that was seen a few times or never
//!   would seem to be known exactly. With it, 0 against 5 ticks is just no difference (p = 0.06), as
//!   in the exact test of a Poisson count.
//! - The estimate has `ν = ⅔ (n − 1)` degrees of freedom (two thirds, because neighbouring
//!   differences have a block in common). Student's t with ν degrees has the variance
//!   `ν / (ν − 2)`, by which the estimate is multiplied.
//!
//! Shares are ratios of two sums over blocks; for them `yᵢ` is replaced by `yᵢ − p·tᵢ`, with `tᵢ`
//! the whole time of a block and `p` the share (the usual linearisation of a ratio estimator).
//!
//! # The test
//!
//! A difference divided by its standard error (the root of the sum of both variances) is taken as
//! normally distributed; p is two-sided. A table has many rows: with 5 % for each, a hundred equal
//! functions would yield five differences. So of each column those differences are beyond noise
//! that the procedure of Y. Benjamini and Y. Hochberg ("Controlling the false discovery rate",
//! Journal of the Royal Statistical Society B 57, 1995) finds at 5 %: of the rows marked, at most
//! one in twenty is noise, on average; and when nothing differs, with 95 % none is marked.
//!
//! By simulation (200 pairs of recordings of a program that visits functions at random, 20 s at 100
//! Hz; `tests/it/diff.rs` holds a part of it), p is below 5 % for 3 % of the equal functions with
//! visits shorter than a tick, 2 % with visits of 20 ms on average, 4 % of 50 ms, 5 % of 100 ms and 8 %
//! of 200 and 500 ms. Of visits of 100 ms, a two-hundredth of the recording, nothing can be said of a
//! quarter of the functions; of 500 ms, of two thirds. Beyond that it is single visits, taken for
//! phases, that make marks.
//!
//! What the test cannot know is how much two runs differ by themselves: a machine that was busier
//! makes a true difference. A second recording of the base shows it.

use crate::profile::Profile;
use crate::profile::blocks::Blocks;
use crate::profile::event::Nanos;
use crate::profile::sums::{Classes, Sums};

/// Shorter blocks would have too much of their ticks in common with their neighbours.
const MIN_TICKS: u64 = 4;

/// With fewer differences behind it, an estimate from blocks of the double length tells of phases,
/// not of visits that come again and again. They are counted by `(Σ d²)² / Σ d⁴`, which is `n` for
/// `n` equal ones.
const MIN_STEPS: f64 = 8.0;

/// A variance of no more than so many squares of a tick comes from single ticks, whatever its growth.
const MIN_SEEN_TICKS: f64 = 4.0;

/// No more differences than so many make one visit, counted in the same way: at its begin and its end up to
/// two each, as both lie within a block.
const PHASE_STEPS: f64 = 4.0;

/// Blocks of the double length yield the same variance when visits are short, up to four times as much
/// when they are longer than a block. Of short ones, less than 1 % yield more than this.
const MAX_GROWTH: f64 = 2.0;

/// Of the rows that are marked, so many may be noise, on average.
const FALSE_DISCOVERY_RATE: f64 = 0.05;

/// With so few degrees of freedom, Student's t has no variance: nothing can be said.
const MIN_FREEDOM: f64 = 2.0;

/// How the times of the classes of one side vary from block to block.
#[derive(Debug)]
pub(in crate::profile) struct Variation {
    shorter: Steps,
    /// In blocks of the double length.
    longer: Steps,
    /// The square of the time of one tick.
    tick_squared: f64,
}

/// Sums over neighbouring blocks of one length.
#[derive(Debug)]
struct Steps {
    of_class: Vec<Sums<Step>>,
    /// Of the whole time of the blocks.
    whole: Step,
    /// Makes of such a sum the variance; `None` when the recording is too short for one.
    factor: Option<f64>,
}

/// Sums over neighbouring blocks for one time of a class.
#[derive(Debug, Clone, Copy, Default)]
struct Step {
    /// `Σ (yᵢ₊₁ − yᵢ)²`.
    squared: f64,
    /// `Σ (yᵢ₊₁ − yᵢ)⁴`.
    fourth: f64,
    /// `Σ (yᵢ₊₁ − yᵢ) (tᵢ₊₁ − tᵢ)`.
    with_whole: f64,
}

impl Step {
    fn add(&mut self, step: f64, whole_step: f64) {
        self.squared += step * step;
        self.fourth += step.powi(4);
        self.with_whole += step * whole_step;
    }

    /// How many differences contribute; 0 where there is none.
    fn count(&self) -> f64 {
        if self.fourth > 0.0 {
            self.squared * self.squared / self.fourth
        } else {
            0.0
        }
    }
}

/// Which time of a class is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::profile) enum Column {
    Own,
    Total,
}

impl Variation {
    /// Of classes of nodes whose samples are in `blocks`.
    pub(in crate::profile) fn new(classes: &Classes<'_>, blocks: &Blocks) -> Variation {
        let tick = blocks.tick();
        let shorter = blocks.at_least(Nanos(tick.0.saturating_mul(MIN_TICKS)));
        let longer = shorter.at_least(shorter.length() + Nanos(1));
        Variation {
            shorter: Steps::new(classes, &shorter),
            longer: Steps::new(classes, &longer),
            tick_squared: tick.0 as f64 * tick.0 as f64,
        }
    }

    /// The variance of `y − p·t` in ns², with `y` the time of a class, `t` the whole time and `p` a
    /// share, or 0 for the time itself; infinite when the recording is too short, or the visits are too
    /// few and long, to tell.
    pub(in crate::profile) fn of(&self, class: usize, column: Column, p: f64) -> f64 {
        let steps = [&self.shorter, &self.longer].map(|steps| steps.of(class, column));
        self.variance(steps, p)
    }

    /// The variance of the whole time in ns²; infinite as for a class.
    pub(super) fn of_whole(blocks: &Blocks) -> f64 {
        let variation = Variation::new(&Classes::new(&Profile::default(), &[], 0), blocks);
        variation.variance([variation.shorter.whole, variation.longer.whole], 0.0)
    }

    /// Of one time, by its steps in shorter and longer blocks.
    fn variance(&self, [short_step, long_step]: [Step; 2], p: f64) -> f64 {
        let Some(shorter) = self.shorter.variance(short_step, p) else {
            return f64::INFINITY;
        };
        let Some(longer) = self.longer.variance(long_step, p) else {
            return shorter + self.tick_squared;
        };
        let is_phase = short_step.count() <= PHASE_STEPS;
        let is_seen = shorter > MIN_SEEN_TICKS * self.tick_squared;
        if !is_phase && is_seen && longer > MAX_GROWTH * shorter {
            return f64::INFINITY;
        }
        let has_steps = long_step.count() >= MIN_STEPS;
        let larger = if has_steps {
            longer.max(shorter)
        } else {
            shorter
        };
        larger + self.tick_squared
    }
}

impl Steps {
    fn new(classes: &Classes<'_>, blocks: &Blocks) -> Steps {
        let mut of_class = vec![Sums::<Step>::default(); classes.count()];
        let mut whole_steps = Step::default();
        let mut before: Option<(Vec<Sums<f64>>, f64)> = None;
        for (times, whole) in blocks.times(classes.nodes()) {
            let sums = classes.sums(|node| times[node]);
            if let Some((sums_before, whole_before)) = &before {
                let whole_step = whole - whole_before;
                whole_steps.add(whole_step, whole_step);
                for ((step, sums), before) in of_class.iter_mut().zip(&sums).zip(sums_before) {
                    let own = sums.self_time - before.self_time;
                    step.self_time.add(own, whole_step);
                    let total = sums.total_time - before.total_time;
                    step.total_time.add(total, whole_step);
                }
            }
            before = Some((sums, whole));
        }
        Steps {
            of_class,
            whole: whole_steps,
            factor: factor(blocks),
        }
    }

    fn of(&self, class: usize, column: Column) -> Step {
        match column {
            Column::Own => self.of_class[class].self_time,
            Column::Total => self.of_class[class].total_time,
        }
    }

    fn variance(&self, step: Step, p: f64) -> Option<f64> {
        let residual = step.squared - 2.0 * p * step.with_whole + p * p * self.whole.squared;
        Some(residual.max(0.0) * self.factor?)
    }
}

/// What makes of a sum of squared steps the variance of the sum over the whole recording.
fn factor(blocks: &Blocks) -> Option<f64> {
    let full = blocks.full() as f64;
    let freedom = (full - 1.0) * 2.0 / 3.0;
    if freedom <= MIN_FREEDOM {
        return None;
    }
    let per_block = 0.5 / (full - 1.0);
    let shared_ticks = 1.0 - blocks.tick().0 as f64 / (2.0 * blocks.length().0 as f64);
    let students_t = freedom / (freedom - 2.0);
    Some(per_block * blocks.count() / shared_ticks * students_t)
}

/// How likely so large a difference is when there is none: two-sided, normal.
pub(super) fn p_value(difference: f64, variance: f64) -> f64 {
    if difference == 0.0 {
        return 1.0;
    }
    libm::erfc(difference.abs() / (2.0 * variance).sqrt())
}

/// Which of the differences of one column are beyond noise: the rows of the `k` smallest p, with
/// `k` the largest number for which the `k`-th smallest is at most `k / rows` of the rate.
pub(super) fn beyond_noise(p_values: &[f64]) -> Vec<bool> {
    let mut ascending = p_values.to_vec();
    ascending.sort_by(f64::total_cmp);
    let rows = ascending.len() as f64;
    let limits = (1..).map(|rank| f64::from(rank) / rows * FALSE_DISCOVERY_RATE);
    let passing = ascending
        .iter()
        .zip(limits)
        .filter(|(p, limit)| *p <= limit);
    let largest = passing.map(|(p, _)| *p).last();
    let is_beyond = |p: &f64| largest.is_some_and(|largest| *p <= largest);
    p_values.iter().map(is_beyond).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_values_are_those_of_the_normal_distribution() {
        for (z, p) in [(0.0, 1.0), (1.0, 0.3173), (1.96, 0.0500), (-3.0, 0.0027)] {
            assert!((p_value(z * 2.0, 4.0) - p).abs() < 5e-5, "{z}");
        }
        assert_eq!(p_value(5.0, f64::INFINITY), 1.0);
    }

    #[test]
    fn the_more_rows_the_more_a_difference_must_stand_out() {
        assert_eq!(beyond_noise(&[0.04]), [true]);
        assert_eq!(beyond_noise(&[0.04, 0.5, 0.9]), [false; 3]);
        // 0.03 is above 1/4 and 2/4 of the rate, but at most 3/4 of it.
        let p_values = [0.9, 0.03, 0.001, 0.03];
        assert_eq!(beyond_noise(&p_values), [false, true, true, true]);
        assert_eq!(beyond_noise(&[]), [] as [bool; 0]);
    }
}
