//! Turns definitions into the tables that samples refer to.

use rustc_hash::FxHashMap;

use super::attributes::{Attributes, AttributesId};
use super::event::{Event, Frame, FrameId, Process, ProcessId, StackId, Thread, ThreadId};
use super::limits::MORE_STACKS;

/// A node of the tree of stacks: a frame and the stack that it was called from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stack {
    /// The stack below, always of a lower number; `None` when `frame` is the outermost.
    pub parent: Option<StackId>,
    /// The innermost frame.
    pub frame: FrameId,
}

/// What was defined. Several profiles may share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Definitions {
    pub processes: Vec<Process>,
    pub threads: Vec<Thread>,
    pub frames: Vec<Frame>,
    pub stacks: Vec<Stack>,
    pub attributes: Vec<Attributes>,
    /// By set of attributes: the first one of those whose samples are summed.
    row_attributes: Vec<AttributesId>,
    /// The first set with these attributes of rows.
    first_of_row: FxHashMap<Attributes, AttributesId>,
    /// How many frames each stack has.
    depths: Vec<u32>,
    /// The stack that is the mark [`MORE_STACKS`] alone.
    pub more_stacks: Option<StackId>,
}

impl Definitions {
    /// Takes in a definition. Tells whether it makes sense: it has the next number and names what was defined before.
    pub fn define(&mut self, event: Event) -> bool {
        match event {
            Event::Process(id, process) => push(&mut self.processes, id.0, process),
            Event::Thread(id, thread) => self.define_thread(id, thread),
            Event::Frame(id, frame) => push(&mut self.frames, id.0, frame),
            Event::Stack { id, parent, frame } => self.define_stack(id, Stack { parent, frame }),
            Event::Attributes(id, attributes) => self.define_attributes(id, attributes),
            _ => false,
        }
    }

    fn define_attributes(&mut self, id: AttributesId, attributes: Attributes) -> bool {
        let of_row = attributes.of_row();
        let is_defined = push(&mut self.attributes, id.number(), attributes);
        if is_defined {
            let first = *self.first_of_row.entry(of_row).or_insert(id);
            self.row_attributes.push(first);
        }
        is_defined
    }

    fn define_thread(&mut self, id: ThreadId, thread: Thread) -> bool {
        if self.process(thread.process).is_none() {
            return false;
        }
        match self.threads.get_mut(id.0 as usize) {
            Some(before) => {
                *before = thread;
                true
            }
            None => push(&mut self.threads, id.0, thread),
        }
    }

    fn define_stack(&mut self, id: StackId, stack: Stack) -> bool {
        let Some(frame) = self.frame(stack.frame) else {
            return false;
        };
        let is_more = frame.is_mark() && frame.name == MORE_STACKS;
        let depth = self.depth(stack.parent).saturating_add(1);
        let is_defined = self.is_stack(stack.parent) && push(&mut self.stacks, id.0, stack);
        if is_defined {
            self.depths.push(depth);
        }
        if is_defined && is_more && stack.parent.is_none() {
            self.more_stacks = Some(id);
        }
        is_defined
    }

    pub fn process(&self, id: ProcessId) -> Option<&Process> {
        self.processes.get(id.0 as usize)
    }

    pub fn frame(&self, id: FrameId) -> Option<&Frame> {
        self.frames.get(id.0 as usize)
    }

    /// Whether a set of attributes was defined, or is none.
    pub fn has_attributes(&self, id: Option<AttributesId>) -> bool {
        id.is_none_or(|id| (id.number() as usize) < self.attributes.len())
    }

    /// The set of attributes by which a sample that has this one is summed.
    pub fn row_attributes(&self, id: Option<AttributesId>) -> Option<AttributesId> {
        self.row_attributes.get(id?.number() as usize).copied()
    }

    /// How many frames a stack has.
    pub fn depth(&self, stack: Option<StackId>) -> u32 {
        let depth = stack.and_then(|stack| self.depths.get(stack.0 as usize));
        depth.copied().unwrap_or(0)
    }

    /// Whether a stack was defined, or is none.
    pub fn is_stack(&self, stack: Option<StackId>) -> bool {
        stack.is_none_or(|id| (id.0 as usize) < self.stacks.len())
    }
}

/// Appends `item` when `id` is the next one.
fn push<T>(items: &mut Vec<T>, id: u32, item: T) -> bool {
    let is_next = items.len() == id as usize;
    if is_next {
        items.push(item);
    }
    is_next
}
