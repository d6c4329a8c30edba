//! Turns counts of what passed each criterion into the one that left nothing.

use std::fmt;

use thiserror::Error;

/// Names that are not nearer than this to what was asked for are not offered (Jaro-Winkler, from 0
/// to 1): below it, words share little but a letter or two.
const MIN_SIMILARITY: f64 = 0.7;

/// How many names are offered.
const MAX_OFFERED: usize = 3;

/// What a sample is judged by, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Criterion {
    /// [`super::Selection::from`] and [`super::Selection::to`].
    Window,
    /// [`super::Selection::processes`].
    Process,
    /// [`super::Selection::ranks`].
    Rank,
    /// [`super::Selection::threads`].
    Thread,
    /// [`super::Selection::function`].
    Function,
    /// [`super::Selection::focus`].
    Focus,
    /// [`super::Selection::view`].
    View,
}

impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Criterion::Window => "time span",
            Criterion::Process => "process",
            Criterion::Rank => "rank",
            Criterion::Thread => "thread",
            Criterion::Function => "function",
            Criterion::Focus => "focus",
            Criterion::View => "mode",
        })
    }
}

/// No sample is left.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no sample is left by the {criterion} filter ({asked}){}", offer(.nearest))]
pub struct NothingLeft {
    /// The criterion at which the last sample went.
    pub criterion: Criterion,
    /// What was asked for.
    pub asked: String,
    /// What there is that comes nearest to it.
    pub nearest: Vec<String>,
}

impl NothingLeft {
    /// Chooses the nearest of the names there are; of few, all.
    pub(super) fn new(criterion: Criterion, asked: String, names: Vec<String>) -> NothingLeft {
        let nearest = if names.len() <= MAX_OFFERED {
            names
        } else {
            nearest(&asked, names)
        };
        NothingLeft {
            criterion,
            asked,
            nearest,
        }
    }
}

fn nearest(asked: &str, names: Vec<String>) -> Vec<String> {
    let asked = asked.to_lowercase();
    let similarity = |name: &String| {
        let name = name.to_lowercase();
        // Of `Solver.solve` and `worker (4243)`, a part may be what was meant.
        let parts = name.split(['.', ' ']).chain([name.as_str()]);
        let nearest = parts.map(|part| strsim::jaro_winkler(&asked, part));
        nearest.fold(0.0, f64::max)
    };
    let ranked = names.into_iter().map(|name| (similarity(&name), name));
    let mut ranked: Vec<(f64, String)> = ranked
        .filter(|(similarity, _)| *similarity >= MIN_SIMILARITY)
        .collect();
    ranked.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let names = ranked.into_iter().map(|(_, name)| name);
    names.take(MAX_OFFERED).collect()
}

fn offer(nearest: &[String]) -> String {
    match nearest {
        [] => String::new(),
        [one] => format!("; there is {one}"),
        several => format!("; there are {}", several.join(", ")),
    }
}

/// How far samples came.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Passed {
    /// The last criterion that a sample was stopped by.
    furthest: Option<Criterion>,
    any: bool,
}

impl Passed {
    /// A sample met everything before this criterion, but not this one.
    pub(super) fn until(&mut self, criterion: Criterion) {
        self.furthest = self.furthest.max(Some(criterion));
    }

    /// A sample met all.
    pub(super) fn all(&mut self) {
        self.any = true;
    }

    /// The criterion that stopped those that came furthest, when none met all.
    pub(super) fn emptied_by(self) -> Option<Criterion> {
        self.furthest.filter(|_| !self.any)
    }
}
