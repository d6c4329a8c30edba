//! Turns a selection into words.

use regex::Regex;

use crate::profile::event::{Nanos, State};
use crate::profile::filter::{Hidden, Selection};

fn listed_states(states: &[State]) -> Option<String> {
    let words: Vec<&str> = states.iter().map(|state| state.word()).collect();
    (!words.is_empty()).then(|| format!("state {}", words.join(", ")))
}

/// What is left out, for the headlines of a report: `from 10 s`, `thread io-*`. The mode is told
/// elsewhere.
#[must_use]
pub fn in_words(selection: &Selection) -> Vec<String> {
    let time = |what: &str, time: Option<Nanos>| time.map(|t| format!("{what} {} s", t.seconds()));
    let regex = |what: &str, regex: &Option<Regex>| regex.as_ref().map(|r| format!("{what} {r}"));
    let hidden = selection.hidden.iter().map(|hidden| match hidden {
        Hidden::StandardLibrary => "without the standard library".to_owned(),
        Hidden::Files(pattern) => format!("without {pattern}"),
    });
    let only = [
        listed("process", &selection.processes),
        listed("rank", &selection.ranks),
        listed("step", &selection.steps),
        listed("thread", &selection.threads),
        listed_states(&selection.states),
        time("from", selection.from),
        time("to", selection.to),
        regex("stacks with", &selection.function),
        regex("focus on", &selection.focus),
    ];
    only.into_iter().flatten().chain(hidden).collect()
}

fn listed(what: &str, names: &[impl ToString]) -> Option<String> {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    (!names.is_empty()).then(|| format!("{what} {}", names.join(", ")))
}
