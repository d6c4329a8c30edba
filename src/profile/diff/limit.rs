//! Turns what differs between two recordings, and how much slower the second may be, into a verdict.
//!
//! A time is over its limit when it grew by more than the limit allows and the growth is beyond noise (`noise`). A function
//! that only one recording has is not compared: the limit of all time holds for it.

use glob::Pattern;
use thiserror::Error;

use super::{Change, Diff};
use crate::profile::functions::{Function, FunctionKind};

/// How much slower the new recording may be.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    /// The functions; `None` for the time of all threads.
    functions: Option<Pattern>,
    /// The largest growth allowed, as a part of the time before: 0.05 for 5 %.
    growth: f64,
    /// As it was typed.
    text: String,
}

/// Text that is not a limit.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "give a percentage from 0 on, such as +5%, or with a function, such as solve:+5% or '*:+10%'"
)]
pub struct InvalidLimit;

impl Limit {
    /// Takes a limit as it was typed: `+5%` for the time of all threads, `solve:+5%` for the total time of the functions
    /// of that name. `*` and `?` are as in a shell.
    ///
    /// # Errors
    /// When it is neither, or the name is not a pattern.
    pub fn new(text: &str) -> Result<Limit, InvalidLimit> {
        let text = text.trim();
        let (name, percent) = match text.rsplit_once(':') {
            Some((name, percent)) => (Some(name.trim()), percent.trim()),
            None => (None, text),
        };
        let functions = match name {
            Some("") => return Err(InvalidLimit),
            Some(name) => Some(Pattern::new(name).map_err(|_| InvalidLimit)?),
            None => None,
        };
        let number = percent.strip_suffix('%').ok_or(InvalidLimit)?;
        let percent: f64 = number.trim().parse().map_err(|_| InvalidLimit)?;
        if !percent.is_finite() || percent < 0.0 {
            return Err(InvalidLimit);
        }
        Ok(Limit {
            functions,
            growth: percent / 100.0,
            text: text.to_owned(),
        })
    }

    /// The limit as it was typed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is for the time of all threads.
    #[must_use]
    pub fn is_for_all(&self) -> bool {
        self.functions.is_none()
    }

    /// Compares `diff` with the limit.
    #[must_use]
    pub fn verdict<'d>(&'d self, diff: &'d Diff<'_>) -> Verdict<'d> {
        let compared: Vec<Growth<'d>> = match &self.functions {
            None => self.growth(None, diff.whole()).into_iter().collect(),
            Some(pattern) => {
                let rows = diff.functions_by_total().into_iter();
                let rows = rows.filter(|row| row.base.is_some() && row.new.is_some());
                let named = rows.filter_map(|row| Some((row.function()?, row.total_time)));
                named
                    .filter(|(function, _)| is_meant(pattern, function))
                    .filter_map(|(function, change)| self.growth(Some(function), change))
                    .collect()
            }
        };
        Verdict {
            limit: self,
            compared,
        }
    }

    /// `None` where there is no time before to compare with.
    fn growth<'d>(&self, function: Option<Function<'d>>, change: Change) -> Option<Growth<'d>> {
        let is_measured = change.base.seconds > 0.0;
        let growth = change.seconds() / change.base.seconds;
        let outcome = if growth <= self.growth {
            Outcome::Passed
        } else if change.is_beyond_noise {
            Outcome::Failed
        } else if change.error_seconds.is_finite() {
            Outcome::Passed
        } else {
            Outcome::Undecided
        };
        is_measured.then_some(Growth {
            function,
            change,
            growth,
            outcome,
        })
    }
}

/// Whether the pattern is the function's name, whole (`Solver.solve`) or its last part (`solve`).
fn is_meant(pattern: &Pattern, function: &Function<'_>) -> bool {
    let last = function.name.rsplit('.').next().unwrap_or(function.name);
    let is_code = function.kind != FunctionKind::Mark;
    is_code && (pattern.matches(function.name) || pattern.matches(last))
}

/// What came of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// No time is over its limit.
    Passed,
    /// The recordings are too short to tell, or one lacks what the limit names.
    Undecided,
    /// A time is over its limit.
    Failed,
}

impl Outcome {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Passed => "passed",
            Outcome::Undecided => "undecided",
            Outcome::Failed => "failed",
        }
    }

    /// Of several limits, the worst; `None` without any.
    #[must_use]
    pub fn of_all(verdicts: &[Verdict<'_>]) -> Option<Outcome> {
        verdicts.iter().map(Verdict::outcome).max()
    }
}

/// A time that was compared with a limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth<'d> {
    /// The function that the total time is of; `None` for the time of all threads.
    pub function: Option<Function<'d>>,
    /// Before and after.
    pub change: Change,
    /// What came with the new recording, as a part of the time before.
    pub growth: f64,
    /// Whether it is over the limit.
    pub outcome: Outcome,
}

/// What a limit says of two recordings.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict<'d> {
    /// The limit.
    pub limit: &'d Limit,
    /// What was compared, the largest change in seconds first.
    pub compared: Vec<Growth<'d>>,
}

impl<'d> Verdict<'d> {
    /// Failed when one time is over its limit; undecided when that of one cannot be told, or nothing was compared.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let outcomes = self.compared.iter().map(|growth| growth.outcome);
        outcomes.max().unwrap_or(Outcome::Undecided)
    }

    /// The times of that outcome.
    pub fn of(&self, outcome: Outcome) -> impl Iterator<Item = &Growth<'d>> {
        self.compared
            .iter()
            .filter(move |growth| growth.outcome == outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_percentage_of_all_time_or_of_a_function() {
        let limit = |text| {
            let limit = Limit::new(text).ok()?;
            let functions = limit.functions.map(|pattern| pattern.as_str().to_owned());
            Some((functions, (limit.growth * 1e6).round() / 1e4))
        };
        assert_eq!(limit("+5%"), Some((None, 5.0)));
        assert_eq!(limit(" 0.5 % "), Some((None, 0.5)));
        let of = |name: &str, percent| Some((Some(name.to_owned()), percent));
        assert_eq!(limit("Solver.solve:+300%"), of("Solver.solve", 300.0));
        assert_eq!(limit("*:+0%"), of("*", 0.0));
        for text in [
            "", "5", "+5", "-5%", ":+5%", "solve:", "solve", "+inf%", "nan%", "[:+5%", "%",
        ] {
            assert_eq!(limit(text), None, "{text}");
        }
    }
}
