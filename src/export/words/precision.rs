//! Turns a time and the number of samples that told it into the digits that its accuracy supports.

use crate::profile::event::Nanos;
use crate::profile::{Mode, Profile};

/// Of a normally distributed error, 95 % is within so many standard errors.
const Z95: f64 = 1.96;

/// More decimals say nothing: a sample's own time is known to some 0.1 ms.
const MAX_SECONDS_DECIMALS: usize = 4;
const MAX_PERCENT_DECIMALS: usize = 1;

/// The width of a column of seconds, and of one of per cent.
const SECONDS_WIDTH: usize = 9;
const PERCENT_WIDTH: usize = 6;

/// How exactly parts of a time are known: from how many samples of equal length.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Precision {
    whole_s: f64,
    samples: f64,
}

impl Precision {
    /// Of the time of all threads in this mode.
    pub(crate) fn of(profile: &Profile, mode: Mode) -> Precision {
        let totals = profile.totals();
        let (whole, wall) = (totals.time(mode).seconds(), totals.wall.seconds());
        let samples = profile.effective_samples() as f64;
        Precision {
            whole_s: whole,
            // Of other times only a part of the samples tells.
            samples: (samples * (whole / wall.max(1e-9)).min(1.0)).max(1.0),
        }
    }

    /// Of one part in `parts` of the time, told by as many of the samples.
    pub(crate) fn of_part(self, part: f64) -> Precision {
        Precision {
            whole_s: self.whole_s * part,
            samples: (self.samples * part).max(1.0),
        }
    }

    /// Half the width of the 95 % interval of a share of a half: no share is less certain.
    pub(crate) fn largest_error(self) -> f64 {
        self.error_of(0.5)
    }

    /// Half the width of the 95 % interval of a share, from 0 to 1: the normal approximation of the binomial
    /// distribution, of one sample at least and of all but one at most.
    fn error_of(self, share: f64) -> f64 {
        let least = (1.0 / self.samples).min(0.5);
        let share = share.clamp(least, 1.0 - least);
        Z95 * (share * (1.0 - share) / self.samples).sqrt()
    }

    fn share(self, time: Nanos) -> f64 {
        time.seconds() / self.whole_s.max(1e-9)
    }

    /// Seconds for a column of numbers that all have the same decimals: those of the least certain one, and one more
    /// where `least` would else be shown as nothing.
    pub(crate) fn plain_seconds(self, time: Nanos, least: Nanos) -> String {
        let decimals = self.seconds_decimals(self.largest_error());
        let decimals = decimals + usize::from(is_nothing(least, decimals));
        format!("{:.decimals$}", time.seconds())
    }

    /// Per cent for such a column.
    pub(crate) fn plain_percent(self, time: Nanos) -> String {
        let decimals = percent_decimals(self.largest_error());
        format!("{:.decimals$}", 100.0 * self.share(time))
    }

    /// Seconds for a sentence.
    pub(crate) fn seconds(self, time: Nanos) -> String {
        if time == Nanos(0) {
            return "0".to_owned();
        }
        let mut decimals = self.seconds_decimals(self.error_of(self.share(time)));
        // Of a sample that is shorter than most.
        while decimals < MAX_SECONDS_DECIMALS && is_nothing(time, decimals) {
            decimals += 1;
        }
        format!("{:.decimals$}", time.seconds())
    }

    /// Per cent for a sentence.
    pub(crate) fn percent(self, time: Nanos) -> String {
        let decimals = percent_decimals(self.error_of(self.share(time)));
        format!("{:.decimals$}", 100.0 * self.share(time))
    }

    /// Seconds and per cent for columns, aligned at the decimal point. `error` is half the width of the 95 % interval of
    /// the share where it is known better than from the number of samples.
    pub(crate) fn cells(self, time: Nanos, error: Option<f64>) -> (String, String) {
        let share = self.share(time);
        let error = error.filter(|error| error.is_finite() && *error > 0.0);
        let error = error.unwrap_or_else(|| self.error_of(share));
        let seconds = self.seconds_decimals(error);
        let most = self.seconds_decimals(self.error_of(0.0));
        (
            aligned(time.seconds(), seconds, most.max(seconds), SECONDS_WIDTH),
            aligned(
                100.0 * share,
                percent_decimals(error),
                MAX_PERCENT_DECIMALS,
                PERCENT_WIDTH,
            ),
        )
    }

    fn seconds_decimals(self, error: f64) -> usize {
        decimals(error * self.whole_s, MAX_SECONDS_DECIMALS)
    }
}

/// Whether a time is some and would be shown as none.
fn is_nothing(time: Nanos, decimals: usize) -> bool {
    time > Nanos(0) && time.seconds() * 10_f64.powi(decimals as i32) < 0.5
}

/// Half the width of an interval, in percentage points, with the decimals of the share beside it.
pub(crate) fn points(error: f64) -> String {
    let decimals = percent_decimals(error);
    aligned(100.0 * error, decimals, MAX_PERCENT_DECIMALS, PERCENT_WIDTH)
}

fn percent_decimals(error: f64) -> usize {
    decimals(100.0 * error, MAX_PERCENT_DECIMALS)
}

/// The decimals of a number with an error: the last digit is the first that is uncertain.
pub(crate) fn decimals(error: f64, most: usize) -> usize {
    let digits = (-error.log10()).ceil();
    // Nothing is known of an error of nothing: not a number, or without end.
    if digits.is_finite() {
        (digits.max(0.0) as usize).min(most)
    } else {
        most
    }
}

/// The number with its decimals, and blanks in the place of those that others of its column have.
fn aligned(number: f64, decimals: usize, most: usize, width: usize) -> String {
    let text = format!("{number:.decimals$}");
    let missing = match decimals {
        0 if most > 0 => most + 1,
        _ => most.saturating_sub(decimals),
    };
    format!(
        "{text:>0$}{1}",
        width.saturating_sub(missing),
        " ".repeat(missing)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(whole_s: f64, samples: f64, time: Nanos, expected: (&str, &str)) {
        let precision = Precision { whole_s, samples };
        let (seconds, percent) = precision.cells(time, None);
        assert_eq!((seconds.as_str(), percent.as_str()), expected);
        assert_eq!(seconds.len(), SECONDS_WIDTH);
        assert_eq!(percent.len(), PERCENT_WIDTH);
    }

    #[test]
    fn digits_below_the_error_are_not_shown() {
        let ms = |ms: u64| Nanos(ms * 1_000_000);
        // ± 8 points, and ± 0.47 s.
        check(6.0, 157.0, ms(3000), ("     3.0 ", "  50  "));
        // Of one sample: ± 1.2 points, and ± 0.07 s.
        check(6.0, 157.0, ms(38), ("     0.04", "   1  "));
        check(60.0, 6000.0, ms(24_000), ("    24.0 ", "  40  "));
        check(60.0, 6000.0, ms(240), ("     0.24", "   0.4"));
        // ± 5 points of 45 s are 2 s.
        check(45.0, 442.0, ms(18_190), ("     18  ", "  40  "));
        // ± 0.09 points, and ± 3 ms.
        check(3.0, 1e6, ms(1000), ("   1.000 ", "  33.3"));
    }
}
