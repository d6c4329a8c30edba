//! Turns definitions with native frames into ones apart from those that samples use.
//!
//! Tables of Python functions go through all frames and stacks of a profile. So what native samples alone refer to is kept
//! here, by the numbers that it has in the events, until a sample has it too. Until the first native frame comes, nothing
//! is kept, and every number is the same here and there.

use rustc_hash::FxHashMap;

use super::event::{Frame, FrameId, FrameKind, NativeCode, StackId};

/// What was defined since the first native frame.
#[derive(Debug, Clone, Default)]
pub(super) struct NativeDefinitions {
    /// By number in the events.
    frame_of: Vec<AnyFrame>,
    stack_of: Vec<AnyStack>,
    frames: Vec<Frame>,
    stacks: Vec<NativeStack>,
    /// The native frames that a sample had nevertheless.
    shared: FxHashMap<usize, FrameId>,
    /// By native frame, the functions that it stands for.
    functions: FxHashMap<usize, Vec<Frame>>,
}

/// A frame, by its place in one of two tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum AnyFrame {
    /// One of the profile's.
    Shared(FrameId),
    /// An index into the native ones.
    Native(usize),
}

/// A stack, by its place in one of two tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum AnyStack {
    /// One of the profile's.
    Shared(StackId),
    /// An index into those with native frames.
    Native(usize),
}

/// A node of the tree of stacks, as [`Stack`](super::Stack).
#[derive(Debug, Clone, Copy)]
pub(super) struct NativeStack {
    /// Its number in the events.
    pub given: StackId,
    pub parent: Option<AnyStack>,
    pub frame: AnyFrame,
}

/// A native frame of a profile that has no name yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnnamedFrame(usize);

impl NativeDefinitions {
    /// Behind so many frames and stacks.
    pub fn behind(frames: usize, stacks: usize) -> NativeDefinitions {
        let shared_frame = |id| AnyFrame::Shared(FrameId(id));
        let shared_stack = |id| AnyStack::Shared(StackId(id));
        NativeDefinitions {
            frame_of: (0..frames as u32).map(shared_frame).collect(),
            stack_of: (0..stacks as u32).map(shared_stack).collect(),
            ..NativeDefinitions::default()
        }
    }

    /// Whether this is the number of the next frame.
    pub fn is_next_frame(&self, id: FrameId) -> bool {
        self.frame_of.len() == id.0 as usize
    }

    /// Whether this is the number of the next stack.
    pub fn is_next_stack(&self, id: StackId) -> bool {
        self.stack_of.len() == id.0 as usize
    }

    /// The next frame is the profile's with this number.
    pub fn share_next_frame(&mut self, id: FrameId) {
        self.frame_of.push(AnyFrame::Shared(id));
    }

    /// The next stack is the profile's with this number.
    pub fn share_next_stack(&mut self, id: StackId) {
        self.stack_of.push(AnyStack::Shared(id));
    }

    /// Keeps the next frame.
    pub fn push_frame(&mut self, frame: Frame) {
        self.frame_of.push(AnyFrame::Native(self.frames.len()));
        self.frames.push(frame);
    }

    /// Keeps the next stack.
    pub fn push_stack(&mut self, stack: NativeStack) {
        self.stack_of.push(AnyStack::Native(self.stacks.len()));
        self.stacks.push(stack);
    }

    /// Where the frame with a number in the events is.
    pub fn frame_at(&self, given: FrameId) -> Option<AnyFrame> {
        self.frame_of.get(given.0 as usize).copied()
    }

    /// Where the stack with a number in the events is.
    pub fn stack_at(&self, given: StackId) -> Option<AnyStack> {
        self.stack_of.get(given.0 as usize).copied()
    }

    /// A native frame.
    pub fn frame(&self, index: usize) -> Option<&Frame> {
        self.frames.get(index)
    }

    /// A stack with native frames.
    pub fn stack(&self, index: usize) -> Option<NativeStack> {
        self.stacks.get(index).copied()
    }

    /// The functions that a native frame stands for, innermost first; `None`: not known.
    pub fn functions(&self, index: usize) -> Option<&[Frame]> {
        self.functions.get(&index).map(Vec::as_slice)
    }

    /// Learns them. Those of a frame that is not native say nothing.
    pub fn name(&mut self, frame: AnyFrame, functions: Vec<Frame>) {
        if let AnyFrame::Native(index) = frame {
            self.functions.insert(index, functions);
        }
    }

    /// The native frames of which the outermost function has no name, each with where it is.
    pub fn unnamed(&self) -> impl Iterator<Item = (UnnamedFrame, &NativeCode)> {
        let frames = self.frames.iter().enumerate();
        frames.filter_map(|(index, frame)| {
            let FrameKind::Native(code) = &frame.kind else {
                return None;
            };
            let named = self.functions.get(&index).and_then(|it| it.last());
            let is_named = named.is_some_and(|it| match &it.kind {
                FrameKind::Native(code) => code.offset.is_none(),
                FrameKind::Python | FrameKind::Mark => true,
            });
            let is_unnamed = code.offset.is_some() && !is_named;
            is_unnamed.then_some((UnnamedFrame(index), code))
        })
    }

    /// Learns the functions of such a frame.
    pub fn name_unnamed(&mut self, frame: UnnamedFrame, functions: Vec<Frame>) {
        self.functions.insert(frame.0, functions);
    }

    /// The stacks that are not the profile's yet of those that a stack stands on, itself included, outermost first.
    pub fn unshared(&self, stack: StackId) -> Vec<NativeStack> {
        let mut path = Vec::new();
        let mut next = self.stack_at(stack);
        while let Some(AnyStack::Native(index)) = next {
            let Some(node) = self.stack(index) else {
                break;
            };
            // It may be the profile's since the stack above was defined.
            match self.stack_at(node.given) {
                Some(AnyStack::Native(_)) => path.push(node),
                _ => break,
            }
            next = node.parent;
        }
        path.reverse();
        path
    }

    /// The number that a native frame has among the profile's.
    pub fn shared_frame(&self, index: usize) -> Option<FrameId> {
        self.shared.get(&index).copied()
    }

    /// A native frame is the profile's with this number from now on.
    pub fn share_frame(&mut self, index: usize, id: FrameId) {
        self.shared.insert(index, id);
    }

    /// The stack with a number in the events is the profile's with this number from now on.
    pub fn share_stack(&mut self, given: StackId, id: StackId) {
        if let Some(place) = self.stack_of.get_mut(given.0 as usize) {
            *place = AnyStack::Shared(id);
        }
    }

    /// The number that a stack has among the profile's by now.
    pub fn shared_stack(&self, stack: AnyStack) -> Option<StackId> {
        let place = match stack {
            AnyStack::Shared(id) => return Some(id),
            AnyStack::Native(index) => self.stack_at(self.stack(index)?.given)?,
        };
        match place {
            AnyStack::Shared(id) => Some(id),
            AnyStack::Native(_) => None,
        }
    }
}
