//! Turns the events of several recordings into those of one.
//!
//! Processes and threads stay apart; equal frames, stacks and sets of attributes become one. What comes in tells where it is from, and has
//! its times since the start of the first recording, by the clocks of the machines
//! ([`Annotation`](crate::profile::annotation::Annotation)).

use rustc_hash::FxHashMap;

use crate::profile::attributes::{Attributes, AttributesId};
use crate::profile::event::{
    Awaited, Event, Frame, FrameId, Missing, Nanos, NativeSample, Process, ProcessId, Sample,
    StackId, Thread, ThreadId, Usage,
};

/// Merges recordings, one after the other. Takes events as a [`super::Reader`] gives them, annotated.
#[derive(Debug, Default)]
pub struct Merger {
    frames: FxHashMap<Frame, FrameId>,
    stacks: FxHashMap<(Option<StackId>, FrameId), StackId>,
    attributes: FxHashMap<Attributes, AttributesId>,
    processes: u32,
    threads: u32,
    /// The longest duration.
    duration: Nanos,
    /// A recording without an end was among them.
    is_cut_off: bool,
    current: Current,
}

/// The recording that is being read: the numbers that its numbers became.
#[derive(Debug, Default)]
struct Current {
    first_process: u32,
    first_thread: u32,
    frames: Vec<FrameId>,
    stacks: Vec<StackId>,
    attributes: Vec<AttributesId>,
    is_begun: bool,
    has_end: bool,
}

impl Merger {
    /// Begins the next recording.
    pub fn begin(&mut self) {
        self.end_current();
        self.current = Current {
            first_process: self.processes,
            first_thread: self.threads,
            is_begun: true,
            ..Current::default()
        };
    }

    /// Takes in an event of the recording that was begun last.
    pub fn apply(&mut self, event: Event, emit: &mut dyn FnMut(Event)) {
        match event {
            Event::Process(id, process) => emit(self.process(id, process)),
            Event::Thread(id, thread) => emit(self.thread(id, thread)),
            Event::Frame(_, frame) => self.frame(frame, emit),
            Event::Stack { parent, frame, .. } => self.stack(parent, frame, emit),
            Event::Attributes(_, attributes) => self.attributes(attributes, emit),
            Event::Sample(sample) => {
                if let Some(sample) = self.sample(sample) {
                    emit(Event::Sample(sample));
                }
            }
            Event::Native(sample) => {
                if let Some(sample) = self.native(sample) {
                    emit(Event::Native(sample));
                }
            }
            Event::Names { frame, functions } => {
                if let Some(frame) = self.current.frames.get(frame.0 as usize).copied() {
                    emit(Event::Names { frame, functions });
                }
            }
            Event::End(duration) => {
                self.duration = self.duration.max(duration);
                self.current.has_end = true;
            }
            Event::Usage(usage) => {
                let process = self.process_id(usage.process);
                emit(Event::Usage(Usage { process, ..usage }));
            }
            Event::Awaited(awaited) => {
                let process = self.process_id(awaited.process);
                // One whose stack there is not makes no sense.
                let stack = awaited.stack.map(|stack| self.stack_id(stack));
                if stack != Some(None) {
                    let stack = stack.flatten();
                    emit(Event::Awaited(Awaited {
                        process,
                        stack,
                        ..awaited
                    }));
                }
            }
            Event::Missing(missing) => {
                let process = self.process_id(missing.process);
                emit(Event::Missing(Missing { process, ..missing }));
            }
            event @ (Event::Lost(_)
            | Event::Undetermined(..)
            | Event::Pauses(_)
            | Event::Skipped(_)
            | Event::Rate(_)) => emit(event),
        }
    }

    /// Ends the last recording. The whole has an end when each of them has one.
    pub fn finish(mut self, emit: &mut dyn FnMut(Event)) {
        self.end_current();
        if !self.is_cut_off {
            emit(Event::End(self.duration));
        }
    }

    fn end_current(&mut self) {
        self.is_cut_off |= self.current.is_begun && !self.current.has_end;
    }

    fn process(&mut self, id: ProcessId, mut process: Process) -> Event {
        process.parent = process.parent.map(|parent| self.process_id(parent));
        let id = self.process_id(id);
        self.processes = self.processes.max(id.0.saturating_add(1));
        Event::Process(id, process)
    }

    /// The number that a process of the current recording has among all.
    fn process_id(&self, id: ProcessId) -> ProcessId {
        ProcessId(self.current.first_process.saturating_add(id.0))
    }

    fn thread(&mut self, id: ThreadId, mut thread: Thread) -> Event {
        thread.process = self.process_id(thread.process);
        let id = self.current.first_thread.saturating_add(id.0);
        self.threads = self.threads.max(id.saturating_add(1));
        Event::Thread(ThreadId(id), thread)
    }

    fn frame(&mut self, frame: Frame, emit: &mut dyn FnMut(Event)) {
        let next = FrameId(self.frames.len() as u32);
        let id = *self.frames.entry(frame).or_insert_with_key(|frame| {
            emit(Event::Frame(next, frame.clone()));
            next
        });
        self.current.frames.push(id);
    }

    fn stack(&mut self, parent: Option<StackId>, frame: FrameId, emit: &mut dyn FnMut(Event)) {
        let next = StackId(self.stacks.len() as u32);
        let mapped = || {
            let frame = *self.current.frames.get(frame.0 as usize)?;
            let parent = match parent {
                Some(parent) => Some(*self.current.stacks.get(parent.0 as usize)?),
                None => None,
            };
            Some((parent, frame))
        };
        let Some((parent, frame)) = mapped() else {
            return;
        };
        let id = *self.stacks.entry((parent, frame)).or_insert_with(|| {
            emit(Event::Stack {
                id: next,
                parent,
                frame,
            });
            next
        });
        self.current.stacks.push(id);
    }

    fn attributes(&mut self, attributes: Attributes, emit: &mut dyn FnMut(Event)) {
        let next = AttributesId::new(self.attributes.len() as u32);
        let known = self.attributes.entry(attributes);
        let id = *known.or_insert_with_key(|attributes| {
            emit(Event::Attributes(next, attributes.clone()));
            next
        });
        self.current.attributes.push(id);
    }

    /// The number that a stack of the current recording has among all; `None`: there is no such stack.
    fn stack_id(&self, stack: StackId) -> Option<StackId> {
        self.current.stacks.get(stack.0 as usize).copied()
    }

    fn native(&self, sample: NativeSample) -> Option<NativeSample> {
        let stack = match sample.stack {
            Some(stack) => Some(self.stack_id(stack)?),
            None => None,
        };
        let thread = self.current.first_thread.checked_add(sample.thread.0)?;
        Some(NativeSample {
            thread: ThreadId(thread),
            stack,
            merged: self.stack_id(sample.merged)?,
            ..sample
        })
    }

    fn sample(&self, sample: Sample) -> Option<Sample> {
        let stack = match sample.stack {
            Some(stack) => Some(self.stack_id(stack)?),
            None => None,
        };
        let attributes = match sample.attributes {
            Some(id) => Some(*self.current.attributes.get(id.number() as usize)?),
            None => None,
        };
        let thread = self.current.first_thread.checked_add(sample.thread.0)?;
        Some(Sample {
            thread: ThreadId(thread),
            stack,
            attributes,
            ..sample
        })
    }
}
