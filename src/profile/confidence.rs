//! Turns a recording into the 95 % confidence intervals of the shares in its tables.
//!
//! The error of a time is estimated as for the comparison of two recordings, from how much the times of
//! neighbouring parts of the recording differ ([`super::diff`] tells how, and what it assumes). A share
//! is a ratio of two sums that vary together; its error is that of `y − p·t`, with `y` the time, `t` the
//! time of all threads and `p` the share (the linearisation of a ratio estimator).
//!
//! So an interval holds what another sampling of this run, or of a run that does the same by turns, would
//! show. How much runs differ because a machine was busier, or an input another, it does not know: a
//! second recording does.

use std::collections::HashMap;

use super::diff::SampledProfile;
use super::diff::noise::{Column, Variation};
use super::functions::{Function, Functions};
use super::lines::Lines;
use super::sums::{self, Classes};
use super::{Mode, Totals};

/// Of the standard normal distribution, this holds 95 %.
const Z95: f64 = 1.96;

/// Half the widths of the intervals of a row, as parts of the time of all threads; infinite when the
/// recording is too short to tell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Error {
    /// Of the self time.
    pub self_time: f64,
    /// Of the total time.
    pub total_time: f64,
}

/// The intervals of the tables of one profile.
#[derive(Debug, Clone)]
pub struct Confidence<'p> {
    functions: HashMap<Function<'p>, Error>,
    lines: HashMap<(Function<'p>, Option<u32>), Error>,
}

impl<'p> Confidence<'p> {
    /// Of the profile of `side`, in its mode.
    #[must_use]
    pub fn of(side: &'p SampledProfile) -> Confidence<'p> {
        let profile = side.profile();
        let functions = Functions::of(profile);
        let lines = Lines::of(profile, &functions);
        let of_functions = profile.stacks().iter().map(|node| {
            let id = functions.of_frame(node.frame);
            id.map_or(usize::MAX, |id| id.0 as usize)
        });
        let of_lines = profile.stacks().iter();
        let of_lines = of_lines.map(|node| lines.of_frame(node.frame).unwrap_or(usize::MAX));
        let count = functions.rows().len();
        let of_functions = errors(side, &of_functions.collect::<Vec<_>>(), count);
        let of_lines = errors(side, &of_lines.collect::<Vec<_>>(), lines.rows().len());
        let functions = functions.rows().iter().map(|row| row.function);
        let lines = lines.rows().iter().map(|row| (row.function, row.line));
        Confidence {
            functions: functions.zip(of_functions).collect(),
            lines: lines.zip(of_lines).collect(),
        }
    }

    /// Of a function.
    #[must_use]
    pub fn of_function(&self, function: &Function<'p>) -> Option<Error> {
        self.functions.get(function).copied()
    }

    /// Of a line.
    #[must_use]
    pub fn of_line(&self, function: &Function<'p>, line: Option<u32>) -> Option<Error> {
        self.lines.get(&(*function, line)).copied()
    }
}

fn errors(side: &SampledProfile, class_of: &[usize], count: usize) -> Vec<Error> {
    let profile = side.profile();
    let mode: Mode = side.blocks().mode();
    let whole = profile.totals().time(mode).0 as f64;
    let classes = Classes::new(profile, class_of, count);
    let variation = Variation::new(&classes, side.blocks());
    let sums = classes.sums(sums::self_times(profile));
    let error = |class: usize, totals: &Totals, column: Column| {
        if whole <= 0.0 {
            return f64::INFINITY;
        }
        let share = totals.time(mode).0 as f64 / whole;
        Z95 * variation.of(class, column, share).sqrt() / whole
    };
    let sums = sums.iter().enumerate();
    sums.map(|(class, sums)| Error {
        self_time: error(class, &sums.self_time, Column::Own),
        total_time: error(class, &sums.total_time, Column::Total),
    })
    .collect()
}
