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

/// `rsamp used 2.1 % of a core, more than --max-overhead 1: 0.05 s to start, 0.21 s to sample (at 50 Hz and more), 0.04 s
/// to write`; `None` where rsamp used no more than `max` of one core. `until_end`: the CPU time that it had used when the
/// sampling ended; `writing`: that of writing the files.
#[must_use]
pub fn over_budget(
    profile: &Profile,
    max: f64,
    until_end: Nanos,
    writing: Nanos,
) -> Option<String> {
    let sum = |part: fn(&RateSpan) -> Nanos| profile.rates().iter().map(part).map(Nanos::seconds);
    let time: f64 = sum(|span| span.time).sum();
    let sampling: f64 = sum(|span| span.own_cpu).sum();
    let (starting, writing) = (until_end.seconds() - sampling, writing.seconds());
    let percent = 100.0 * (until_end.seconds() + writing) / time;
    let max_percent = 100.0 * max;
    if time <= 0.0 || percent <= max_percent {
        return None;
    }
    let lowest = profile.rates().iter().map(|span| span.millihertz);
    let lowest = lowest.filter(|millihertz| *millihertz > 0).min();
    let at = lowest.map_or_else(String::new, |lowest| {
        format!(" (at {} and more)", hertz(lowest))
    });
    Some(format!(
        "rsamp used {percent:.1} % of a core, more than --max-overhead {max_percent}: {starting:.2} s to start, \
         {sampling:.2} s to sample{at}, {writing:.2} s to write"
    ))
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
