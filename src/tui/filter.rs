//! Turns what is typed behind `/` into a choice of rows: words for names, `t:` thread, `p:` process, `r:` ranks,
//! `state:` states.

use regex::{Regex, RegexBuilder};

use crate::profile::event::State;
use crate::profile::filter::Ranks;
use crate::profile::{Profile, Row};

/// No compiled expression is larger, in bytes: the default of the crate.
const MAX_REGEX_BYTES: usize = 10 << 20;

/// What is to be shown. The default shows everything.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// As it was typed.
    pub text: String,
    names: Vec<Regex>,
    threads: Vec<Regex>,
    processes: Vec<Regex>,
    ranks: Vec<Ranks>,
    states: Vec<State>,
}

impl Filter {
    /// Reads it. An expression without capital letters fits them too.
    ///
    /// # Errors
    /// What is wrong with which word.
    pub fn parse(text: &str) -> Result<Filter, String> {
        let mut filter = Filter {
            text: text.trim().to_owned(),
            ..Filter::default()
        };
        for word in text.split_whitespace() {
            match word.split_once(':') {
                Some(("t", name)) => filter.threads.push(regex(name)?),
                Some(("p", name)) => filter.processes.push(regex(name)?),
                Some(("r", ranks)) => {
                    for ranks in ranks.split(',') {
                        let known = Ranks::new(ranks);
                        let known = known.map_err(|error| format!("{ranks:?}: {error}"))?;
                        filter.ranks.push(known);
                    }
                }
                Some(("state", names)) => {
                    for name in names.split(',') {
                        filter.states.extend(states(name)?);
                    }
                }
                _ => filter.names.push(regex(word)?),
            }
        }
        Ok(filter)
    }

    /// Whether everything is shown.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Whether states are chosen: then idle waits are among what is wanted.
    #[must_use]
    pub fn has_states(&self) -> bool {
        !self.states.is_empty()
    }

    /// Whether samples are chosen, and not only rows of a table.
    #[must_use]
    pub fn chooses_samples(&self) -> bool {
        let has_owners = !self.threads.is_empty() || !self.processes.is_empty();
        has_owners || !self.ranks.is_empty() || self.has_states()
    }

    /// Whether a row of a table with this label is shown.
    #[must_use]
    pub fn fits_label(&self, label: &str) -> bool {
        self.names.iter().all(|name| name.is_match(label))
    }

    /// Whether the samples of a row of the profile count.
    #[must_use]
    pub fn fits_row(&self, profile: &Profile, row: &Row) -> bool {
        let Some(thread) = profile.thread(row.thread) else {
            return false;
        };
        let name = thread.name.as_deref().unwrap_or_default();
        let tid = thread.tid.map(|tid| tid.to_string()).unwrap_or_default();
        let is_thread = |it: &Regex| it.is_match(name) || it.as_str() == tid;
        let process = profile.process(thread.process);
        let is_process = |it: &Regex| {
            process.is_some_and(|process| {
                it.as_str() == process.pid.to_string() || it.is_match(&process.command_line())
            })
        };
        let rank = process.and_then(|process| process.rank);
        let is_rank = |it: &Ranks| rank.is_some_and(|rank| it.holds(rank));
        any(&self.threads, is_thread)
            && any(&self.processes, is_process)
            && any(&self.ranks, is_rank)
            && any(&self.states, |state| *state == row.state)
    }
}

/// Whether one of them fits, or there is none.
fn any<T>(wanted: &[T], fits: impl Fn(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(fits)
}

fn regex(text: &str) -> Result<Regex, String> {
    let mut builder = RegexBuilder::new(text);
    builder.case_insensitive(!text.chars().any(char::is_uppercase));
    let built = builder.size_limit(MAX_REGEX_BYTES).build();
    built.map_err(|_| format!("{text:?} is not a regular expression"))
}

/// The states of a word: one, or all of `blocked`.
fn states(word: &str) -> Result<Vec<State>, String> {
    let is_meant = |state: &State| match word {
        "blocked" => state.is_blocked(),
        word => state.word() == word,
    };
    let found: Vec<State> = State::ALL.into_iter().filter(is_meant).collect();
    match found.is_empty() {
        true => {
            let known: Vec<&str> = State::ALL.into_iter().map(State::word).collect();
            Err(format!("no state {word:?}: {}, blocked", known.join(", ")))
        }
        false => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_choose_names_and_prefixes_what_has_them() {
        let filter = Filter::parse("solve t:worker r:0-3,7 state:gil,disk").expect("a filter");
        assert!(filter.chooses_samples() && filter.has_states());
        assert!(filter.fits_label("Solver.solve (a.py:3)"));
        assert!(!filter.fits_label("load (a.py:9)"));
        assert_eq!(filter.states, [State::Gil, State::Disk]);
        let names = Filter::parse("Solve").expect("a filter");
        assert!(!names.chooses_samples());
        assert!(!names.fits_label("solve (a.py:3)"));
        assert!(Filter::parse(" ").expect("none").is_empty());
    }

    #[test]
    fn an_invalid_filter_is_explained() {
        for (text, expected) in [
            ("(", "\"(\" is not a regular expression"),
            ("state:busy", "no state \"busy\": unknown, python"),
            ("r:x", "\"x\": give numbers"),
        ] {
            let error = Filter::parse(text).expect_err(text);
            assert!(error.contains(expected), "{error}");
        }
    }
}
