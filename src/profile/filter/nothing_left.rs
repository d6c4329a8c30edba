//! Turns counts of what passed each criterion into the one that left nothing.

use std::fmt;

use thiserror::Error;

use crate::profile::nearest::{nearest, offer};

/// What a sample is judged by, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Criterion {
    /// [`super::Selection::states`].
    State,
    /// [`super::Selection::tasks`].
    Task,
    /// [`super::Selection::from`] and [`super::Selection::to`].
    Window,
    /// [`super::Selection::processes`].
    Process,
    /// [`super::Selection::ranks`].
    Rank,
    /// [`super::Selection::steps`].
    Step,
    /// [`super::Selection::threads`].
    Thread,
    /// [`super::Selection::function`].
    Function,
    /// [`super::Selection::focus`].
    Focus,
    /// [`super::Selection::mode`].
    Mode,
}

impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Criterion::State => "state",
            Criterion::Task => "task",
            Criterion::Window => "time span",
            Criterion::Process => "process",
            Criterion::Rank => "rank",
            Criterion::Step => "step",
            Criterion::Thread => "thread",
            Criterion::Function => "function",
            Criterion::Focus => "focus",
            Criterion::Mode => "mode",
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
        NothingLeft {
            criterion,
            nearest: nearest(&asked, names),
            asked,
        }
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
