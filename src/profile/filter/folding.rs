//! Turns events into the same with each import folded into one frame, and leaves everything else as it is.

use super::stacks::{Kept, Shown, Stacks};
use super::undefined;
use crate::profile::event::{Awaited, Event, Sample};

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
            Event::Awaited(awaited) => {
                let is_known = stacks.is_stack(awaited.stack);
                if let Kept::As(stack) = stacks.keep(awaited.stack, emit)
                    && is_known
                {
                    emit(Event::Awaited(Awaited { stack, ..awaited }));
                }
            }
            Event::Process(id, process) => {
                stacks.process(&process);
                emit(Event::Process(id, process));
            }
            // None of these names a stack or a frame.
            event @ (Event::Thread(..)
            | Event::Attributes(..)
            | Event::Usage(_)
            | Event::Missing(_)
            | Event::Lost(_)
            | Event::Undetermined(..)
            | Event::Pauses(_)
            | Event::Skipped(_)
            | Event::Rate(_)
            | Event::End(_)) => emit(event),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profile;
    use crate::profile::await_lines::await_rows;
    use crate::profile::event::{Frame, FrameId, FrameKind, Nanos, Process, ProcessId, StackId};

    #[test]
    fn awaits_keep_their_stacks_where_imports_are_folded() {
        let python = |name: &str, file: &str| Frame {
            kind: FrameKind::Python,
            name: name.to_owned(),
            file: Some(file.to_owned()),
            first_line: Some(1),
            line: Some(2),
        };
        let frames = [
            python("<module>", "/app/app.py"),
            python("_find_and_load", "<frozen importlib._bootstrap>"),
            python("<module>", "/app/other.py"),
            python("serve", "/app/app.py"),
        ];
        let parents = [None, Some(0), Some(1), None];
        let mut profile = Profile::default();
        let mut folding = Folding::new(true);
        let mut apply = |event| folding.apply(event, &mut |event| profile.apply(event));
        apply(Event::Process(ProcessId(0), Process::default()));
        for ((id, frame), parent) in (0..).zip(frames).zip(parents) {
            apply(Event::Frame(FrameId(id), frame));
            apply(Event::Stack {
                id: StackId(id),
                parent: parent.map(StackId),
                frame: FrameId(id),
            });
        }
        apply(Event::Awaited(Awaited {
            at: Nanos(1000),
            process: ProcessId(0),
            stack: Some(StackId(3)),
            tasks: 2,
            since: Nanos(500),
        }));
        assert_eq!(profile.rejected(), 0);
        let (rows, looks) = await_rows(&profile);
        assert_eq!((rows.len(), looks), (1, 1));
        assert_eq!(
            (rows[0].function.name, rows[0].time),
            ("serve", Nanos(1000))
        );
    }
}
