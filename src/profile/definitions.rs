//! Turns definitions into the tables that samples refer to.

use rustc_hash::FxHashMap;

use super::attributes::{Attributes, AttributesId};
use super::event::{
    Event, Frame, FrameId, FrameKind, Process, ProcessId, StackId, Thread, ThreadId,
};
use super::limits::MORE_STACKS;
use super::native_definitions::{AnyFrame, AnyStack, NativeDefinitions, NativeStack};

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
    /// What has native frames; `None`: there is no native frame.
    pub native: Option<Box<NativeDefinitions>>,
}

impl Definitions {
    /// Takes in a definition. Tells whether it makes sense: it has the next number and names what was defined before.
    pub fn define(&mut self, event: Event) -> bool {
        match event {
            Event::Process(id, process) => push(&mut self.processes, id.0, process),
            Event::Thread(id, thread) => self.define_thread(id, thread),
            Event::Frame(id, frame) => self.define_frame(id, frame),
            Event::Stack { id, parent, frame } => match self.native {
                Some(_) => self.define_any_stack(id, parent, frame).is_some(),
                None => self.define_stack(id, Stack { parent, frame }),
            },
            Event::Names { frame, functions } => self.name(frame, functions),
            Event::Attributes(id, attributes) => self.define_attributes(id, attributes),
            _ => false,
        }
    }

    /// Has the sets of attributes of others, which begin with its own.
    pub fn share_attributes(&mut self, others: &Definitions) {
        self.attributes.clone_from(&others.attributes);
        self.row_attributes.clone_from(&others.row_attributes);
        self.first_of_row.clone_from(&others.first_of_row);
    }

    /// The same without what only native samples refer to.
    pub fn without_native(&self) -> Definitions {
        let mut definitions = self.clone();
        definitions.native = None;
        definitions
    }

    pub fn define_attributes(&mut self, id: AttributesId, attributes: Attributes) -> bool {
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

    fn define_frame(&mut self, id: FrameId, frame: Frame) -> bool {
        let is_native = matches!(frame.kind, FrameKind::Native(_));
        if is_native && self.native.is_none() {
            let (frames, stacks) = (self.frames.len(), self.stacks.len());
            self.native = Some(Box::new(NativeDefinitions::behind(frames, stacks)));
        }
        let Some(native) = &mut self.native else {
            return push(&mut self.frames, id.0, frame);
        };
        if !native.is_next_frame(id) {
            return false;
        }
        if is_native {
            native.push_frame(frame);
        } else {
            native.share_next_frame(FrameId(self.frames.len() as u32));
            self.frames.push(frame);
        }
        true
    }

    /// Once there are native frames, what stands on one is kept apart.
    fn define_any_stack(
        &mut self,
        given: StackId,
        parent: Option<StackId>,
        frame: FrameId,
    ) -> Option<()> {
        let native = self.native.as_mut()?;
        let parent = match parent {
            Some(parent) => Some(native.stack_at(parent)?),
            None => None,
        };
        let frame = native.frame_at(frame)?;
        if !native.is_next_stack(given) {
            return None;
        }
        let shared_parent = parent.and_then(|parent| native.shared_stack(parent));
        let AnyFrame::Shared(shared_frame) = frame else {
            native.push_stack(NativeStack {
                given,
                parent,
                frame,
            });
            return Some(());
        };
        if parent.is_some() && shared_parent.is_none() {
            native.push_stack(NativeStack {
                given,
                parent,
                frame,
            });
            return Some(());
        }
        let id = StackId(self.stacks.len() as u32);
        native.share_next_stack(id);
        let stack = Stack {
            parent: shared_parent,
            frame: shared_frame,
        };
        self.define_stack(id, stack).then_some(())
    }

    fn name(&mut self, frame: FrameId, functions: Vec<Frame>) -> bool {
        let Some(native) = &mut self.native else {
            return self.frame(frame).is_some();
        };
        let place = native.frame_at(frame);
        if let Some(place) = place {
            native.name(place, functions);
        }
        place.is_some()
    }

    /// Defines the stack that a sample has although it has native frames, and tells its number here; `None`: there is no
    /// such stack.
    pub fn share_stack(&mut self, given: StackId) -> Option<StackId> {
        for node in self.native.as_ref()?.unshared(given) {
            self.share(node)?;
        }
        self.shared_id(given)
    }

    /// Where a stack with a number in the events is; `None`: there is no such stack.
    pub fn place_of(&self, given: StackId) -> Option<AnyStack> {
        match &self.native {
            Some(native) => native.stack_at(given),
            None => self
                .is_stack(Some(given))
                .then_some(AnyStack::Shared(given)),
        }
    }

    /// The number here of a stack with a number in the events; `None` where there is none.
    pub fn shared_id(&self, given: StackId) -> Option<StackId> {
        self.shared_id_of(self.place_of(given)?)
    }

    /// The number here of a stack.
    pub fn shared_id_of(&self, stack: AnyStack) -> Option<StackId> {
        match (stack, &self.native) {
            (AnyStack::Shared(id), _) => Some(id),
            (_, Some(native)) => native.shared_stack(stack),
            (AnyStack::Native(_), None) => None,
        }
    }

    /// Whether the stack that a sample has must be defined first.
    pub fn is_unshared(&self, given: StackId) -> bool {
        let native = self.native.as_ref();
        let place = native.and_then(|native| native.stack_at(given));
        matches!(place, Some(AnyStack::Native(_)))
    }

    fn share(&mut self, node: NativeStack) -> Option<()> {
        let native = self.native.as_mut()?;
        let parent = match node.parent {
            Some(parent) => Some(native.shared_stack(parent)?),
            None => None,
        };
        let frame = match node.frame {
            AnyFrame::Shared(id) => id,
            AnyFrame::Native(index) => match native.shared_frame(index) {
                Some(id) => id,
                None => {
                    let id = FrameId(self.frames.len() as u32);
                    self.frames.push(native.frame(index)?.clone());
                    native.share_frame(index, id);
                    id
                }
            },
        };
        let id = StackId(self.stacks.len() as u32);
        native.share_stack(node.given, id);
        self.define_stack(id, Stack { parent, frame }).then_some(())
    }

    pub fn define_stack(&mut self, id: StackId, stack: Stack) -> bool {
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
