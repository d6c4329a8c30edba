//! Turns the rates of a profile into words.

use crate::export::words::number::grouped;
use crate::export::words::units;
use crate::profile::Profile;
use crate::profile::event::{Nanos, RateSpan};

/// A rate counts as not held when fewer than this part of its ticks were taken.
const HELD: f64 = 0.9;

/// With fewer ticks than this, how many of them were taken is chance.
const MIN_TICKS: f64 = 100.0;

/// The rates used and for how long, and what was reached where they could not be held:
/// `1,000 Hz for 60.0 s, 500 Hz for 12.3 s`. `None` when the profile does not tell.
#[must_use]
pub fn in_words(profile: &Profile) -> Option<String> {
    match sampled(profile).collect::<Vec<_>>().as_slice() {
        [] => None,
        [only] => Some(match held(only) {
            None => hertz(only.millihertz),
            Some(held) => format!("asked for {}, held {held}", hertz(only.millihertz)),
        }),
        several => {
            let parts = several.iter().map(|span| {
                let held = held(span).map_or_else(String::new, |held| format!(" (held {held})"));
                format!(
                    "{}{held} for {}",
                    hertz(span.millihertz),
                    units::span(span.time)
                )
            });
            Some(parts.collect::<Vec<_>>().join(", "))
        }
    }
}

/// The CPU time that the profiler itself used, in per cent of one core. `None` when the profile does
/// not tell.
#[must_use]
pub fn own_cpu_percent(profile: &Profile) -> Option<f64> {
    let sum = |part: fn(&RateSpan) -> Nanos| profile.rates().iter().map(part).map(Nanos::seconds);
    let time: f64 = sum(|span| span.time).sum();
    let own_cpu: f64 = sum(|span| span.own_cpu).sum();
    (time > 0.0).then(|| 100.0 * own_cpu / time)
}

/// The spans in which there was something to sample.
fn sampled(profile: &Profile) -> impl Iterator<Item = &RateSpan> {
    let rates = profile.rates().iter();
    rates.filter(|span| span.millihertz > 0 && span.ticks > 0)
}

/// What was reached, when that is less than was asked for.
fn held(span: &RateSpan) -> Option<String> {
    let asked = span.millihertz as f64 / 1000.0 * span.time.seconds();
    let ticks = span.ticks as f64;
    let is_held = asked < MIN_TICKS || ticks >= asked * HELD;
    (!is_held).then(|| hertz(rounded((1000.0 * ticks / span.time.seconds()) as u64)))
}

/// A rate with up to three decimals: `1,000 Hz`, `0.5 Hz`.
fn hertz(millihertz: u64) -> String {
    let decimals = format!("{:03}", millihertz % 1000);
    let decimals = decimals.trim_end_matches('0');
    let dot = if decimals.is_empty() { "" } else { "." };
    format!("{}{dot}{decimals} Hz", grouped(millihertz / 1000))
}

/// With three significant digits.
fn rounded(number: u64) -> u64 {
    let digits = number.checked_ilog10().unwrap_or(0);
    let unit = 10_u64.pow(digits.saturating_sub(2));
    number / unit * unit
}
