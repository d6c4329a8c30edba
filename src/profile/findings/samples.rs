//! Turns the number of samples into whether they are enough for the digits shown.
//!
//! Of `n` samples a share `p` is known to `±1.96 √(p (1 − p) / n)` with 95 %, if each sample stood for
//! itself. They come in runs, so that it may be more; random intervals spread them, so that it may be less.
//! [`crate::profile::confidence`] measures it, where the samples are at hand in their order.

use super::finding::Finding;
use crate::profile::functions::Functions;
use crate::profile::{Mode, Profile};

/// Shares are shown with one decimal of a percent; off by more than ten of the last digit, it is noise.
const MAX_ERROR: f64 = 0.01;

/// Of the standard normal distribution, this holds 95 %.
const Z95: f64 = 1.96;

/// Whether the largest share of a function is known too badly.
pub(super) fn finding<'p>(profile: &'p Profile) -> Option<Finding<'p>> {
    let totals = profile.totals();
    let functions = Functions::of(profile);
    let hottest = functions
        .by_self(Mode::Wall)
        .first()
        .map(|row| row.self_time.wall)?;
    let share = hottest.seconds() / totals.wall.seconds().max(1e-9);
    let samples = profile.effective_samples();
    let error = Z95 * (share * (1.0 - share) / samples.max(1) as f64).sqrt();
    (error > MAX_ERROR).then_some(Finding::FewSamples {
        samples,
        share,
        error,
    })
}
