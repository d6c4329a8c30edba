//! Turns merged stacks into those that are shown: their native frames have names, and some are left out.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::definitions::{Definitions, Stack};
use super::event::{Frame, FrameId, FrameKind, NATIVE_MISSING, StackId};
use super::native_definitions::{AnyFrame, AnyStack};
use super::native_frames::{NativeFrames, NativeFunction};
use super::paths::file_name;

/// The frames and stacks that are shown, some of them new.
pub(super) struct NamedStacks {
    given: Arc<Definitions>,
    shows: NativeFrames,
    /// Those of the profile, and behind them what is new.
    pub definitions: Definitions,
    frame_of: FxHashMap<Frame, FrameId>,
    /// By native frame: the frames of its functions, outermost first.
    functions_of: FxHashMap<usize, Vec<FrameId>>,
    stack_of: FxHashMap<(Option<StackId>, FrameId), StackId>,
    shown: FxHashMap<AnyStack, Shown>,
}

/// What is shown of a merged stack.
#[derive(Debug, Clone, Copy, Default)]
struct Shown {
    stack: Option<StackId>,
    has_python: bool,
}

impl NamedStacks {
    /// Of a profile's definitions.
    pub fn new(given: Arc<Definitions>, shows: NativeFrames) -> NamedStacks {
        let definitions = given.without_native();
        let stacks = (0..).map(StackId).zip(&definitions.stacks);
        NamedStacks {
            stack_of: stacks
                .map(|(id, stack)| ((stack.parent, stack.frame), id))
                .collect(),
            given,
            shows,
            definitions,
            frame_of: FxHashMap::default(),
            functions_of: FxHashMap::default(),
            shown: FxHashMap::default(),
        }
    }

    /// What is shown of a merged stack; `None`: nothing.
    pub fn shown(&mut self, stack: AnyStack) -> Option<StackId> {
        let mut path = Vec::new();
        let mut next = Some(stack);
        let mut shown = Shown::default();
        while let Some(at) = next {
            if let Some(known) = self.shown.get(&at) {
                shown = *known;
                break;
            }
            path.push(at);
            next = self.node(at).and_then(|(parent, _)| parent);
        }
        for at in path.into_iter().rev() {
            if let Some((_, frame)) = self.node(at) {
                shown = self.with(shown, frame);
            }
            self.shown.insert(at, shown);
        }
        shown.stack
    }

    /// The stack of a thread without Python frames: all of it.
    pub fn whole(&mut self, stack: AnyStack) -> Option<StackId> {
        let mut frames = Vec::new();
        let mut next = self.node(stack);
        while let Some((parent, frame)) = next {
            frames.push(frame);
            next = parent.and_then(|parent| self.node(parent));
        }
        let mut whole = None;
        for frame in frames.into_iter().rev() {
            for id in self.ids_of(frame) {
                whole = Some(self.stack(whole, id));
            }
        }
        whole
    }

    fn with(&mut self, below: Shown, frame: AnyFrame) -> Shown {
        let Some(given) = self.frame(frame) else {
            return below;
        };
        let has_python = below.has_python || given.kind == FrameKind::Python;
        if !self.shows.shows(given, below.has_python) {
            return below;
        }
        let mut stack = below.stack;
        for id in self.shown_ids_of(frame) {
            stack = Some(self.stack(stack, id));
        }
        Shown { stack, has_python }
    }

    /// The native frames inside of the innermost Python frame that are shown, outermost first.
    pub fn tail(&mut self, stack: AnyStack) -> Vec<FrameId> {
        let mut tail = Vec::new();
        for frame in self.natives(stack) {
            let is_shown = self
                .frame(frame)
                .is_some_and(|given| self.shows.shows(given, true));
            if is_shown {
                tail.extend(self.shown_ids_of(frame).into_iter().rev());
            }
        }
        tail.reverse();
        tail
    }

    /// Hands on the functions of the native frames inside of the innermost Python frame, innermost first; `None` where they
    /// are not known.
    pub fn functions<T>(
        &mut self,
        stack: AnyStack,
        of: impl FnOnce(&[NativeFunction<'_>]) -> T,
    ) -> Option<T> {
        let natives = self.natives(stack);
        let ids: Vec<FrameId> = natives
            .iter()
            .flat_map(|frame| self.ids_of(*frame).into_iter().rev())
            .collect();
        let frames = ids.iter().filter_map(|id| self.definitions.frame(*id));
        let functions: Vec<NativeFunction<'_>> = frames
            .filter_map(|frame| match &frame.kind {
                FrameKind::Native(code) => Some(NativeFunction {
                    library: file_name(&code.module),
                    name: &frame.name,
                }),
                FrameKind::Python | FrameKind::Mark => None,
            })
            .collect();
        let is_missing = functions.is_empty() && !natives.is_empty();
        (!is_missing).then(|| of(&functions))
    }

    /// Whether a merged stack has the Python frames of this stack.
    pub fn has_frames_of(&self, merged: AnyStack, stack: Option<StackId>) -> bool {
        let mut expected = self.frames_of(stack.map(AnyStack::Shared));
        let mut found = self.frames_of(Some(merged));
        loop {
            match (expected.next(), found.next()) {
                (None, None) => return true,
                (expected, found) if expected == found => {}
                _ => return false,
            }
        }
    }

    /// A stack with these frames inside of it, outermost first.
    pub fn extend(&mut self, stack: StackId, frames: &[FrameId]) -> StackId {
        let inside = |stack, frame: &FrameId| self.stack(Some(stack), *frame);
        frames.iter().fold(stack, inside)
    }

    /// The innermost Python frame of a stack, where nothing else is further in.
    pub fn innermost(&self, stack: StackId) -> Option<FrameId> {
        let id = self.definitions.stacks.get(stack.0 as usize)?.frame;
        let frame = self.definitions.frame(id)?;
        (frame.kind == FrameKind::Python).then_some(id)
    }

    /// The frames of a stack that are neither native nor say that native ones are missing, innermost first.
    fn frames_of(&self, stack: Option<AnyStack>) -> impl Iterator<Item = AnyFrame> {
        let nodes = std::iter::successors(stack.and_then(|stack| self.node(stack)), |node| {
            self.node(node.0?)
        });
        nodes
            .map(|(_, frame)| frame)
            .filter(|frame| !self.is_native(*frame))
    }

    /// The native frames inside of the innermost Python frame, and marks where some are missing, innermost first.
    fn natives(&self, stack: AnyStack) -> Vec<AnyFrame> {
        let nodes = std::iter::successors(self.node(stack), |node| self.node(node.0?));
        let frames = nodes.map(|(_, frame)| frame);
        frames.take_while(|frame| self.is_native(*frame)).collect()
    }

    fn is_native(&self, frame: AnyFrame) -> bool {
        self.frame(frame).is_some_and(|frame| match frame.kind {
            FrameKind::Native(_) => true,
            FrameKind::Mark => frame.name == NATIVE_MISSING,
            FrameKind::Python => false,
        })
    }

    fn node(&self, stack: AnyStack) -> Option<(Option<AnyStack>, AnyFrame)> {
        match stack {
            AnyStack::Shared(id) => {
                let stack = self.given.stacks.get(id.0 as usize)?;
                let parent = stack.parent.map(AnyStack::Shared);
                Some((parent, AnyFrame::Shared(stack.frame)))
            }
            AnyStack::Native(index) => {
                let stack = self.given.native.as_ref()?.stack(index)?;
                Some((stack.parent, stack.frame))
            }
        }
    }

    fn frame(&self, frame: AnyFrame) -> Option<&Frame> {
        match frame {
            AnyFrame::Shared(id) => self.given.frame(id),
            AnyFrame::Native(index) => self.given.native.as_ref()?.frame(index),
        }
    }

    /// The same without functions that are not shown.
    fn shown_ids_of(&mut self, frame: AnyFrame) -> Vec<FrameId> {
        let mut ids = self.ids_of(frame);
        ids.retain(|id| {
            let function = self.definitions.frame(*id);
            function.is_none_or(|function| self.shows.shows_function(function))
        });
        ids
    }

    /// What a frame is shown as, outermost first.
    fn ids_of(&mut self, frame: AnyFrame) -> Vec<FrameId> {
        let index = match frame {
            AnyFrame::Shared(id) => return vec![id],
            AnyFrame::Native(index) => index,
        };
        if let Some(known) = self.functions_of.get(&index) {
            return known.clone();
        }
        let given = Arc::clone(&self.given);
        let native = given.native.as_ref();
        let functions = native.and_then(|native| native.functions(index));
        let functions = functions.filter(|functions| !functions.is_empty());
        let own = native.and_then(|native| native.frame(index));
        let functions = functions.or_else(|| own.map(std::slice::from_ref));
        let ids = functions.unwrap_or_default().iter().rev();
        let build_id = own.and_then(build_id);
        let ids: Vec<FrameId> = ids
            .map(|function| self.frame_id(named(function, build_id)))
            .collect();
        self.functions_of.insert(index, ids.clone());
        ids
    }

    fn frame_id(&mut self, frame: Frame) -> FrameId {
        let frames = &mut self.definitions.frames;
        *self.frame_of.entry(frame).or_insert_with_key(|frame| {
            frames.push(frame.clone());
            FrameId(frames.len() as u32 - 1)
        })
    }

    fn stack(&mut self, parent: Option<StackId>, frame: FrameId) -> StackId {
        let next = StackId(self.definitions.stacks.len() as u32);
        let id = *self.stack_of.entry((parent, frame)).or_insert(next);
        if id == next {
            self.definitions.define_stack(id, Stack { parent, frame });
        }
        id
    }
}

fn build_id(frame: &Frame) -> Option<&String> {
    match &frame.kind {
        FrameKind::Native(code) => code.build_id.as_ref(),
        FrameKind::Python | FrameKind::Mark => None,
    }
}

/// A function with a name: where it has none, its library and where it is in it, `libm.so.6+0x702c0`. It is in the build of
/// the library that its frame was in.
fn named(function: &Frame, build_id: Option<&String>) -> Frame {
    let mut function = function.clone();
    if let FrameKind::Native(code) = &mut function.kind {
        code.build_id = code.build_id.take().or_else(|| build_id.cloned());
        if let Some(offset) = code.offset {
            function.name = format!("{}+{offset:#x}", file_name(&code.module));
        }
    }
    function
}
