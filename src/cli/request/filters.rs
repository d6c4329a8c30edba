//! Turns the filters as typed into a selection, and a selection into words.

use regex::Regex;
use thiserror::Error;

use crate::cli::args::{FilterArgs, Mode, ShownArgs};
use crate::profile::View;
use crate::profile::event::{Nanos, State};
use crate::profile::filter::{Hidden, InvalidRanks, Name, Ranks, Selection, StepName};
use crate::run::request::{MAX_DURATION_SECONDS, Shown};

/// A filter that cannot be.
#[derive(Debug, Error)]
pub enum FilterError {
    /// A time that is none.
    #[error(
        "invalid --{option} {text:?}: give seconds since the start, from 0 to {MAX_DURATION_SECONDS}"
    )]
    Time {
        /// The option.
        option: &'static str,
        /// What was typed.
        text: String,
    },
    /// A state that is none.
    #[error("invalid --state {0:?}: give one or more of {known}, blocked", known = State::ALL.map(State::word).join(", "))]
    State(String),
    /// An end at or before the start.
    #[error("nothing lies between --from {from} and --to {to}")]
    NoTimeBetween {
        /// In seconds.
        from: f64,
        /// In seconds.
        to: f64,
    },
    /// A regular expression that is none.
    #[error("invalid --{option} {text:?}: give a regular expression")]
    Regex {
        /// The option.
        option: &'static str,
        /// What was typed.
        text: String,
        /// What is wrong.
        #[source]
        source: regex::Error,
    },
    /// Ranks that are none.
    #[error("invalid --{option} {text:?}")]
    Ranks {
        /// The option.
        option: &'static str,
        /// What was typed.
        text: String,
        /// What is wrong.
        #[source]
        source: InvalidRanks,
    },
    /// A pattern that is none.
    #[error("invalid --{option} {text:?}: give a name or a pattern")]
    Pattern {
        /// The option.
        option: &'static str,
        /// What was typed.
        text: String,
        /// What is wrong.
        #[source]
        source: glob::PatternError,
    },
}

/// Builds what the filters ask for.
///
/// # Errors
/// When one cannot be.
pub fn selection(args: &FilterArgs) -> Result<Selection, FilterError> {
    let (from, to) = (time("from", &args.from)?, time("to", &args.to)?);
    if let (Some(from), Some(to)) = (from, to)
        && from >= to
    {
        let (from, to) = (from.seconds(), to.seconds());
        return Err(FilterError::NoTimeBetween { from, to });
    }
    let stdlib = args.no_stdlib.then_some(Hidden::StandardLibrary);
    let files = patterns("hide", &args.hide, glob::Pattern::new)?;
    let files = files.into_iter().map(Hidden::Files);
    Ok(Selection {
        processes: patterns("process", &args.process, Name::new)?,
        states: states(&args.state)?,
        ranks: ranks("rank", &args.rank)?,
        steps: patterns("step", &args.step, StepName::new)?,
        from,
        to,
        function: regex("function", &args.function)?,
        focus: regex("focus", &args.focus)?,
        hidden: stdlib.into_iter().chain(files).collect(),
        ..shown(&args.shown)?.selection()
    })
}

/// Builds what of a run is to be shown.
///
/// # Errors
/// When a name is none.
pub fn shown(args: &ShownArgs) -> Result<Shown, FilterError> {
    Ok(Shown {
        view: match args.mode {
            Mode::Wall => View::Wall,
            Mode::Cpu => View::Cpu,
            Mode::Gil => View::Gil,
        },
        idle_waits: args.idle,
        threads: patterns("thread", &args.thread, Name::new)?,
        imports: args.imports,
    })
}

fn states(words: &[String]) -> Result<Vec<State>, FilterError> {
    let mut states = Vec::new();
    for word in words {
        let is_meant = |state: &State| match word.as_str() {
            "blocked" => state.is_blocked(),
            word => word.eq_ignore_ascii_case(state.word()),
        };
        let before = states.len();
        states.extend(State::ALL.into_iter().filter(is_meant));
        if states.len() == before {
            return Err(FilterError::State(word.clone()));
        }
    }
    Ok(states)
}

/// Reads the ranks of an option.
///
/// # Errors
/// When a word stands for none.
pub fn ranks(option: &'static str, words: &[String]) -> Result<Vec<Ranks>, FilterError> {
    let ranks = |text: &String| {
        Ranks::new(text).map_err(|source| FilterError::Ranks {
            option,
            text: text.clone(),
            source,
        })
    };
    words.iter().map(ranks).collect()
}

fn time(option: &'static str, text: &Option<String>) -> Result<Option<Nanos>, FilterError> {
    let Some(text) = text else { return Ok(None) };
    let seconds = text.parse::<f64>().ok();
    match seconds.filter(|seconds| (0.0..=MAX_DURATION_SECONDS).contains(seconds)) {
        Some(seconds) => Ok(Some(Nanos((seconds * 1e9).round() as u64))),
        None => Err(FilterError::Time {
            option,
            text: text.clone(),
        }),
    }
}

fn regex(option: &'static str, text: &Option<String>) -> Result<Option<Regex>, FilterError> {
    let Some(text) = text else { return Ok(None) };
    let regex = Regex::new(text).map_err(|source| FilterError::Regex {
        option,
        text: text.clone(),
        source,
    });
    regex.map(Some)
}

fn patterns<T>(
    option: &'static str,
    texts: &[String],
    new: impl Fn(&str) -> Result<T, glob::PatternError>,
) -> Result<Vec<T>, FilterError> {
    let pattern = |text: &String| {
        new(text).map_err(|source| FilterError::Pattern {
            option,
            text: text.clone(),
            source,
        })
    };
    texts.iter().map(pattern).collect()
}
