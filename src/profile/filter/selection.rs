//! What is to be left of a stream of events.

use glob::Pattern;
use regex::Regex;

use super::ranks::Ranks;
use super::step_name::StepName;
use crate::profile::Mode;
use crate::profile::event::{Nanos, State};

/// What is to be left. The default leaves everything.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// The mode in which something must be left; samples without time in it stay.
    pub mode: Mode,
    /// Whether idle waits are shown ([`Profile::leave_out_idle_waits`](crate::profile::Profile::leave_out_idle_waits));
    /// a [`Filter`](super::Filter) leaves them, because only the whole tells which waits are idle.
    pub shows_idle_waits: bool,
    /// Threads of which at least one must fit; empty: all. A thread fits that ever had the name,
    /// from its first sample on.
    pub threads: Vec<Name>,
    /// Processes of which at least one must fit; empty: all. The name of a process is the file
    /// name of any word of its command line, or the whole of it.
    pub processes: Vec<Name>,
    /// Only while a thread was in one of these states; empty: all.
    pub states: Vec<State>,
    /// asyncio tasks of which one must have run: by the name that samples have for it; empty: all, and none.
    pub tasks: Vec<Pattern>,
    /// Ranks of which one must be the process's; empty: all, and processes that have none.
    pub ranks: Vec<Ranks>,
    /// Launches or steps of which the process's must be one; empty: all, and processes whose launch is not known.
    pub steps: Vec<StepName>,
    /// Only what lies behind this time since the start of the recording.
    pub from: Option<Nanos>,
    /// Only what lies before this time since the start of the recording. A run across one of the
    /// two times is cut in proportion, such that adjacent windows add up exactly.
    pub to: Option<Nanos>,
    /// Only stacks with a function whose name fits.
    pub function: Option<Regex>,
    /// Only stacks with a function whose name fits, and of them only the outermost such function
    /// and what it called: it becomes the root, as when a viewer of flame graphs zooms into it. The
    /// frames that led to it are cut off.
    pub focus: Option<Regex>,
    /// Whether an import is one frame for each imported module, `import pandas`, in the place of its module's frame and
    /// those of the import system. The other filters of frames see the frames that are left.
    pub folds_imports: bool,
    /// Frames that are not shown. Their time is their caller's; where there is none left, it is in
    /// the mark [`HIDDEN`].
    pub hidden: Vec<Hidden>,
}

/// The mark in place of a stack of which every frame is hidden.
pub const HIDDEN: &str = "[hidden frames]";

/// How a thread or a process is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// The kernel's id, or the number in order of appearance, from 0.
    Number(u32),
    /// The name, with `*`, `?` and `[…]` as in a shell.
    Pattern(Pattern),
}

impl Name {
    /// Takes the name as it was typed: digits alone are a number.
    ///
    /// # Errors
    /// When it is no pattern: a bracket is not closed.
    pub fn new(text: &str) -> Result<Name, glob::PatternError> {
        match text.parse() {
            Ok(number) => Ok(Name::Number(number)),
            Err(_) => Pattern::new(text).map(Name::Pattern),
        }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Name::Number(number) => number.fmt(f),
            Name::Pattern(pattern) => pattern.fmt(f),
        }
    }
}

/// Which frames to hide.
#[derive(Debug, Clone)]
pub enum Hidden {
    /// Those of Python's standard library, frozen modules included.
    StandardLibrary,
    /// Those in files whose path fits; `*` stands for `/` too.
    Files(Pattern),
}

impl Selection {
    /// Whether idle waits are left out of what is shown: they are part of the elapsed time alone, and a user who chooses
    /// states wants to see them.
    #[must_use]
    pub fn leaves_out_idle_waits(&self) -> bool {
        self.mode == Mode::Wall && self.states.is_empty() && !self.shows_idle_waits
    }

    /// Whether of the processes and the time asked for every thread is left, whatever it did.
    #[must_use]
    pub fn leaves_all_threads(&self) -> bool {
        let has_stacks = self.function.is_none() && self.focus.is_none();
        self.threads.is_empty() && self.states.is_empty() && self.tasks.is_empty() && has_stacks
    }

    /// Whether everything passes, its imports folded or not, and there is nothing to check.
    #[must_use]
    pub fn leaves_everything(&self) -> bool {
        let Selection {
            mode,
            shows_idle_waits: _,
            threads,
            processes,
            states,
            tasks,
            ranks,
            steps,
            from,
            to,
            function,
            focus,
            folds_imports: _,
            hidden,
        } = self;
        let places = ranks.is_empty() && steps.is_empty();
        let owners = threads.is_empty() && processes.is_empty() && places;
        let window = from.is_none() && to.is_none();
        let stacks = function.is_none() && focus.is_none() && hidden.is_empty();
        *mode == Mode::Wall && owners && states.is_empty() && tasks.is_empty() && window && stacks
    }
}
