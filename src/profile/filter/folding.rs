//! Turns events into the same with each import folded into one frame, and leaves everything else as it is.

use super::stacks::{Kept, Shown, Stacks};
use super::undefined;
use crate::profile::event::{Event, Sample};

/// Folds imports while a program is sampled, when a [`Filter`](super::Filter) would hold events back.
#[derive(Debug)]
pub struct Folding(Option<Stacks>);

impl Folding {
    /// Nothing has come yet. Unless it is to fold imports, events go on as they come.
    #[must_use]
    pub fn new(folds_imports: bool) -> Folding {
        let asked = Shown {
            folds_imports,
            ..Shown::default()
        };
        Folding(folds_imports.then(|| Stacks::new(asked)))
    }

    /// Takes the next event and hands on what it becomes.
    pub fn apply(&mut self, event: Event, emit: &mut dyn FnMut(Event)) {
        let Some(stacks) = &mut self.0 else {
            emit(event);
            return;
        };
        match event {
            Event::Frame(id, frame) => stacks.frame(id, frame, emit),
            Event::Stack { id, parent, frame } => stacks.stack(id, parent, frame, emit),
            Event::Sample(sample) if !stacks.is_stack(sample.stack) => {
                emit(Event::Sample(undefined(sample)));
            }
            Event::Sample(sample) => {
                if let Kept::As(stack) = stacks.keep(sample.stack, emit) {
                    emit(Event::Sample(Sample { stack, ..sample }));
                }
            }
            Event::Native(sample) => {
                if let Some(sample) = stacks.keep_native(sample, emit) {
                    emit(Event::Native(sample));
                }
            }
            Event::Names { frame, functions } => stacks.names(frame, functions, emit),
            event => {
                if let Event::Process(_, process) = &event {
                    stacks.process(process);
                }
                emit(event);
            }
        }
    }
}
