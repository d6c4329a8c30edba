//! Turns what came of the limits of a diff into lines of text.

use std::fmt::Write as _;

use crate::export::words::labels;
use crate::export::words::paths::Shortener;
use crate::export::words::table::{line, more, place};
use crate::profile::diff::{Growth, Outcome, Verdict};

/// How many functions are named of one limit.
const ROWS: usize = 10;

/// One line for each limit, and below it one for each function over it, or of which it cannot be told.
#[must_use]
pub fn verdicts(verdicts: &[Verdict<'_>]) -> String {
    let compared = verdicts.iter().flat_map(|verdict| &verdict.compared);
    let shortener = Shortener::of(compared.filter_map(|growth| growth.function?.file));
    let mut text = String::new();
    for verdict in verdicts {
        let outcome = verdict.outcome();
        let (limit, word) = (labels::clean(verdict.limit.text()), outcome.word());
        let because = because(verdict, outcome);
        line(&mut text, &format!("--fail-if {limit}: {word}{because}"));
        if !verdict.limit.is_for_all() && outcome != Outcome::Passed {
            for growth in verdict.of(outcome).take(ROWS) {
                let place = growth
                    .function
                    .map(|function| place(&shortener, &function, function.first_line));
                let times = times(growth);
                let _ = writeln!(text, "  {times}  {}", place.unwrap_or_default());
            }
            more(&mut text, verdict.of(outcome).count(), ROWS);
        }
    }
    text
}

/// What a limit's outcome rests on.
fn because(verdict: &Verdict<'_>, outcome: Outcome) -> String {
    let all = verdict.compared.first();
    let all = all.filter(|_| verdict.limit.is_for_all());
    let count = verdict.of(outcome).count();
    let functions = match count {
        1 => "1 function".to_owned(),
        count => format!("{count} functions"),
    };
    match (outcome, all) {
        (Outcome::Undecided, _) if verdict.compared.is_empty() => {
            match verdict.limit.is_for_all() {
                true => ": BASE has no time to compare with".to_owned(),
                false => ": no function of this name has time in both recordings".to_owned(),
            }
        }
        (Outcome::Undecided, None) => {
            format!(": the recordings are too short to tell of {functions}")
        }
        (Outcome::Undecided, Some(all)) => {
            format!(
                ": the recordings are too short to tell; time of all threads: {}",
                times(all)
            )
        }
        (_, Some(all)) => format!(": time of all threads: {}", times(all)),
        (Outcome::Failed, None) => format!(": total time of {functions}"),
        (Outcome::Passed, None) => format!(": {functions} compared"),
    }
}

/// `2.000 s, then 2.400 s (+20.0 %)`.
fn times(growth: &Growth<'_>) -> String {
    let (base, new) = (growth.change.base.seconds, growth.change.new.seconds);
    format!(
        "{base:.3} s, then {new:.3} s ({:+.1} %)",
        100.0 * growth.growth
    )
}
