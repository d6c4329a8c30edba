//! Turns times into numbers with the digits and the unit that they deserve.

use crate::profile::event::Nanos;

/// Seconds with as many digits as the whole deserves: about four of the whole.
pub(crate) fn seconds(part: Nanos, whole: Nanos) -> String {
    let decimals = match whole.0 / 1_000_000_000 {
        0 => 4,
        1..=9 => 3,
        10..=999 => 2,
        _ => 1,
    };
    format!("{:.decimals$}", part.seconds())
}

/// A span for a sentence: `12.3 s`, `450 ms`, `80 µs`.
pub(crate) fn span(time: Nanos) -> String {
    match time.0 {
        0..1_000_000 => format!("{} µs", time.0 / 1000),
        1_000_000..1_000_000_000 => format!("{} ms", time.0 / 1_000_000),
        1_000_000_000..100_000_000_000 => format!("{:.2} s", time.seconds()),
        _ => format!("{:.1} s", time.seconds()),
    }
}

/// Seconds with four significant digits, as line_profiler's `%g`.
pub(crate) fn significant(seconds: f64) -> String {
    let digits = seconds.abs().log10().floor();
    let decimals = if digits.is_finite() {
        3.0 - digits
    } else {
        0.0
    };
    format!("{seconds:.0$}", decimals.clamp(0.0, 9.0) as usize)
}

/// Seconds for a sentence, with two digits or, of much time, whole: `0.25`, `4.1`, `73`.
pub(crate) fn rough_seconds(time: Nanos) -> String {
    let decimals = match time.0 {
        0..995_000_000 => 2,
        995_000_000..9_950_000_000 => 1,
        _ => 0,
    };
    format!("{:.decimals$}", time.seconds())
}
