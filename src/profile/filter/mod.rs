//! Turns a stream of events into the part of it that was asked for.
//!
//! ```text
//! Event ─► Filter: owners (process, rank, step, thread) ─► window (time) ─► stacks (frames) ─► Event
//! ```
//!
//! What comes out is a stream of events like any other, for a [`super::Profile`] or whatever else
//! takes one, live or read back. Threads, frames and stacks are numbered anew, in the order in
//! which they are first needed: what no sample is left of does not appear. The memory grows with
//! the number of distinct stacks, not with that of samples.
//!
//! Events that name what was never defined go on with a number that is never given, so that the
//! profile counts them as [`super::Profile::rejected`]. Losses have a time but
//! no thread: those in the window go on. The end of the recording goes on as it is.

use std::collections::BTreeSet;

use glob::Pattern;
use regex::Regex;

use super::View;
use super::event::{Event, Nanos, Sample, StackId, State, ThreadId};

mod ranks;

mod step_name;

mod owners;

mod stacks;

mod window;

mod nothing_left;

pub use nothing_left::{Criterion, NothingLeft};
pub use ranks::{NoRanks, Ranks};
pub use step_name::StepName;

use nothing_left::Passed;
use owners::{Owners, Wanted};
use stacks::{Kept, Stacks};
use window::Window;

/// What is to be left. The default leaves everything.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// The view in which something must be left; samples without time in it stay.
    pub view: View,
    /// Threads of which at least one must fit; empty: all. A thread fits that ever had the name,
    /// from its first sample on.
    pub threads: Vec<Name>,
    /// Processes of which at least one must fit; empty: all. The name of a process is the file
    /// name of any word of its command line, or the whole of it.
    pub processes: Vec<Name>,
    /// Only while a thread was in one of these states; empty: all.
    pub states: Vec<State>,
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
    /// Frames that are not shown. Their time is their caller's; where there is none left, it is in
    /// the mark [`HIDDEN`].
    pub hidden: Vec<Hidden>,
}

/// The mark in place of a stack of which every frame is hidden.
pub const HIDDEN: &str = "[hidden frames]";

/// How a thread or a process is named.
#[derive(Debug, Clone)]
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
    /// Those of the import system.
    ImportSystem,
    /// Those in files whose path fits; `*` stands for `/` too.
    Files(Pattern),
}

impl Selection {
    /// Whether of the processes and the time asked for every thread is left, whatever it did.
    #[must_use]
    pub fn leaves_all_threads(&self) -> bool {
        let has_stacks = self.function.is_none() && self.focus.is_none();
        self.threads.is_empty() && self.states.is_empty() && has_stacks
    }

    /// Whether everything passes as it is and there is nothing to check.
    #[must_use]
    pub fn leaves_everything(&self) -> bool {
        let Selection {
            view,
            threads,
            processes,
            states,
            ranks,
            steps,
            from,
            to,
            function,
            focus,
            hidden,
        } = self;
        let places = ranks.is_empty() && steps.is_empty();
        let owners = threads.is_empty() && processes.is_empty() && places;
        let window = from.is_none() && to.is_none();
        let stacks = function.is_none() && focus.is_none() && hidden.is_empty();
        *view == View::Wall && owners && states.is_empty() && window && stacks
    }
}

/// Applies a [`Selection`] to a stream of events.
#[derive(Debug)]
pub struct Filter {
    view: View,
    owners: Owners,
    states: Vec<State>,
    seen_states: BTreeSet<State>,
    window: Window,
    stacks: Stacks,
    passed: Passed,
}

impl Filter {
    /// Nothing has come yet.
    #[must_use]
    pub fn new(selection: Selection) -> Filter {
        Filter {
            view: selection.view,
            states: selection.states,
            seen_states: BTreeSet::new(),
            window: Window {
                from: selection.from,
                to: selection.to,
            },
            owners: Owners::new(Wanted {
                processes: selection.processes,
                ranks: selection.ranks,
                steps: selection.steps,
                threads: selection.threads,
            }),
            stacks: Stacks::new(selection.function, selection.focus, selection.hidden),
            passed: Passed::default(),
        }
    }

    /// Takes the next event and hands on what is left of it.
    pub fn apply(&mut self, event: Event, emit: &mut dyn FnMut(Event)) {
        match event {
            Event::Process(id, process) => self.owners.process(id, process, emit),
            Event::Thread(id, thread) => {
                for held in self.owners.thread(id, thread, emit) {
                    self.owned(held, emit);
                }
            }
            Event::Frame(id, frame) => self.stacks.frame(id, frame, emit),
            Event::Stack { id, parent, frame } => self.stacks.stack(id, parent, frame, emit),
            Event::Sample(sample) => self.sample(sample, emit),
            Event::Usage(usage) => self.owners.usage(usage, emit),
            Event::Missing(missing) => self.owners.missing(missing, emit),
            Event::Lost(loss) if !self.window.holds(loss.at) => {}
            event @ (Event::Lost(_)
            | Event::Undetermined(..)
            | Event::Stopped(_)
            | Event::Skipped(_)
            | Event::Rate(_)
            | Event::End(_)) => emit(event),
        }
    }

    /// Whether anything is left of all the samples that came.
    ///
    /// # Errors
    /// When nothing is, or nothing in the view asked for, though there was something.
    pub fn check(&self) -> Result<(), NothingLeft> {
        let Some(criterion) = self.passed.emptied_by() else {
            return Ok(());
        };
        let (asked, names) = match criterion {
            Criterion::Process => self.owners.processes(),
            Criterion::Rank => self.owners.ranks(),
            Criterion::Step => self.owners.steps(),
            Criterion::Thread => self.owners.threads(),
            Criterion::State => {
                let asked: Vec<&str> = self.states.iter().map(|state| state.word()).collect();
                let seen = self.seen_states.iter();
                let seen = seen.map(|state| state.word().to_owned());
                (asked.join(", "), seen.collect())
            }
            Criterion::Window => (self.window.to_string(), Vec::new()),
            Criterion::Function => self.stacks.function(),
            Criterion::Focus => self.stacks.focus(),
            Criterion::View => (self.view.to_string(), Vec::new()),
        };
        Err(NothingLeft::new(criterion, asked, names))
    }

    fn sample(&mut self, sample: Sample, emit: &mut dyn FnMut(Event)) {
        if !self.owners.is_thread(sample.thread) || !self.stacks.is_stack(sample.stack) {
            emit(Event::Sample(undefined(sample)));
            return;
        }
        self.seen_states.insert(sample.state);
        if !self.states.is_empty() && !self.states.contains(&sample.state) {
            self.passed.until(Criterion::State);
            return;
        }
        // Cut before it is held: held samples lose the time at which they were.
        let Some(cut) = self.window.cut(&sample) else {
            self.passed.until(Criterion::Window);
            return;
        };
        if let Some(owned) = self.owners.take(cut, &mut self.passed) {
            self.owned(owned, emit);
        }
    }

    /// A sample of a thread that was asked for, cut to the window.
    fn owned(&mut self, sample: Sample, emit: &mut dyn FnMut(Event)) {
        let stack = match self.stacks.keep(sample.stack, emit) {
            Kept::As(stack) => stack,
            Kept::Not(criterion) => {
                self.passed.until(criterion);
                return;
            }
        };
        let has_time = super::Totals::from(&sample).time(self.view) > Nanos(0);
        if has_time {
            self.passed.all();
        } else {
            self.passed.until(Criterion::View);
        }
        let thread = self.owners.define(sample.thread, emit);
        emit(Event::Sample(Sample {
            thread,
            stack,
            ..sample
        }));
    }
}

/// The sample with numbers that are never given.
fn undefined(sample: Sample) -> Sample {
    Sample {
        thread: ThreadId(u32::MAX),
        stack: Some(StackId(u32::MAX)),
        ..sample
    }
}
