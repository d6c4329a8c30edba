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
//! profile counts them as [`super::Profile::rejected`]. Sets of attributes keep their numbers. Losses have a time but
//! no thread: those in the window go on. The end of the recording goes on as it is.

use std::collections::BTreeSet;

use super::Mode;
use super::event::{Awaited, Event, Nanos, NativeSample, Sample, StackId, State, ThreadId};

mod selection;

mod ranks;

mod step_name;

mod owners;

mod imports;

mod stacks;

mod folding;

mod tasks;

mod window;

mod nothing_left;

pub use folding::Folding;
pub use nothing_left::{Criterion, NothingLeft};
pub use ranks::Ranks;
pub use selection::{Hidden, Name, Selection};
pub use step_name::StepName;

use nothing_left::Passed;
use owners::{Owners, Wanted};
use stacks::{Kept, Shown, Stacks};
use tasks::Tasks;
use window::Window;

/// Applies a [`Selection`] to a stream of events.
#[derive(Debug)]
pub struct Filter {
    mode: Mode,
    owners: Owners,
    states: Vec<State>,
    seen_states: BTreeSet<State>,
    tasks: Tasks,
    window: Window,
    stacks: Stacks,
    passed: Passed,
}

impl Filter {
    /// Nothing has come yet.
    #[must_use]
    pub fn new(selection: Selection) -> Filter {
        Filter {
            mode: selection.mode,
            states: selection.states,
            seen_states: BTreeSet::new(),
            tasks: Tasks::new(selection.tasks),
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
            stacks: Stacks::new(Shown {
                function: selection.function,
                focus: selection.focus,
                folds_imports: selection.folds_imports,
                hidden: selection.hidden,
            }),
            passed: Passed::default(),
        }
    }

    /// Takes the next event and hands on what is left of it.
    pub fn apply(&mut self, event: Event, emit: &mut dyn FnMut(Event)) {
        match event {
            Event::Process(id, process) => {
                self.stacks.process(&process);
                self.owners.process(id, process, emit);
            }
            Event::Thread(id, thread) => {
                for held in self.owners.thread(id, thread, emit) {
                    self.owned(held, emit);
                }
            }
            Event::Frame(id, frame) => self.stacks.frame(id, frame, emit),
            Event::Stack { id, parent, frame } => self.stacks.stack(id, parent, frame, emit),
            Event::Sample(sample) => self.sample(sample, emit),
            Event::Usage(usage) => self.owners.usage(usage, emit),
            Event::Awaited(awaited) => self.awaited(awaited, emit),
            Event::Missing(missing) => self.owners.missing(missing, emit),
            Event::Native(sample) => self.native(sample, emit),
            Event::Names { frame, functions } => self.stacks.names(frame, functions, emit),
            Event::Lost(loss) if !self.window.holds(loss.at) => {}
            Event::Attributes(id, attributes) => {
                self.tasks.define(&attributes);
                emit(Event::Attributes(id, attributes));
            }
            event @ (Event::Lost(_)
            | Event::Undetermined(..)
            | Event::Pauses(_)
            | Event::Skipped(_)
            | Event::Rate(_)
            | Event::End(_)) => emit(event),
        }
    }

    /// Whether anything is left of all the samples that came.
    ///
    /// # Errors
    /// When nothing is, or nothing in the mode asked for, though there was something.
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
            Criterion::Task => self.tasks.named(),
            Criterion::Window => (self.window.to_string(), Vec::new()),
            Criterion::Function => self.stacks.function(),
            Criterion::Focus => self.stacks.focus(),
            Criterion::Mode => (self.mode.to_string(), Vec::new()),
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
        if !self.tasks.keep(sample.attributes) {
            self.passed.until(Criterion::Task);
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

    /// What is left of a native sample: it says nothing of stacks that are not shown.
    fn native(&mut self, sample: NativeSample, emit: &mut dyn FnMut(Event)) {
        let is_asked = self.states.is_empty() || self.states.contains(&sample.state);
        if !is_asked || !self.owners.is_wanted(sample.thread) {
            return;
        }
        let Some(cut) = self.window.cut_native(&sample) else {
            return;
        };
        if let Some(kept) = self.stacks.keep_native(cut, emit) {
            let thread = self.owners.define(sample.thread, emit);
            emit(Event::Native(NativeSample { thread, ..kept }));
        }
    }

    /// Tasks that wait are of no thread, of no state and of none of the tasks that run.
    fn awaited(&mut self, awaited: Awaited, emit: &mut dyn FnMut(Event)) {
        let is_asked =
            self.states.is_empty() && self.tasks.are_all() && self.owners.are_all_threads();
        if !is_asked || !self.window.holds(awaited.at) || !self.stacks.is_stack(awaited.stack) {
            return;
        }
        let Some(process) = self.owners.emitted(awaited.process) else {
            return;
        };
        if let Kept::As(stack) = self.stacks.keep(awaited.stack, emit) {
            emit(Event::Awaited(Awaited {
                process,
                stack,
                ..awaited
            }));
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
        let has_time = super::Totals::from(&sample).time(self.mode) > Nanos(0);
        if has_time {
            self.passed.all();
        } else {
            self.passed.until(Criterion::Mode);
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
