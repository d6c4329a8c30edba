//! Turns raw stacks into numbered ones, defining each frame and stack once.

use std::cell::RefCell;
use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::cpython::code::CodeCache;
use crate::cpython::frames::{KEPT_AT_EACH_END, RawFrame, RawStack, StackEnd};
use crate::memory::Address;
use crate::profile::event::{Event, Frame, FrameId, StackId};

/// The most places in code that are remembered; beyond, the table starts anew. The frames keep
/// their numbers, which are by content.
const MAX_PLACES: usize = 1 << 20;

/// The name of the mark between the two ends of a stack too deep to keep.
pub const LEFT_OUT: &str = "[frames left out]";

/// The name of the mark at the outer end of a stack that could not be followed to its end.
pub const UNREADABLE: &str = "[unreadable from here on]";

/// The name of a frame whose code object could not be read.
pub const UNKNOWN: &str = "[unknown function]";

/// The numbers of the stacks of one program. Frames and stacks, which are by content, are shared with the
/// interners of the other programs of the recording.
#[derive(Debug, Default)]
pub struct Interner {
    numbers: Rc<RefCell<Numbers>>,
    /// By the numbers that one program's code objects have; `None` for a place that is not shown.
    places: FxHashMap<Place, Option<FrameId>>,
}

/// The numbers given so far.
#[derive(Debug, Default)]
struct Numbers {
    frames: FxHashMap<Frame, FrameId>,
    stacks: FxHashMap<(Option<StackId>, FrameId), StackId>,
    /// What each stack is, by its number: the stack of its caller, and its innermost frame.
    parts: Vec<(Option<StackId>, FrameId)>,
}

/// The stack of one thread as it was numbered last. Most of the next one is the same.
#[derive(Debug, Default)]
pub struct Recent {
    /// Outermost first: the frame, and the number of the stack up to it.
    stacks: Vec<(RecentFrame, Option<StackId>)>,
    /// [`CodeCache::changes`] then.
    changes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RecentFrame {
    code: Address,
    instruction: i64,
    copy: i32,
}

impl RecentFrame {
    fn of(raw: &RawFrame) -> RecentFrame {
        RecentFrame {
            code: raw.code,
            instruction: raw.instruction,
            copy: raw.bytecode_copy,
        }
    }
}

/// A place in code: the code object by its number in the cache, and the instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Place {
    code: u64,
    instruction: i64,
    copy: i32,
}

/// A numbered stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interned {
    /// Its number; `None` when there is no frame.
    pub stack: Option<StackId>,
    /// Whether a part of it is missing.
    pub is_cut: bool,
}

impl Interner {
    /// An interner for another program of the same recording.
    #[must_use]
    pub fn for_another(&self) -> Interner {
        Interner {
            numbers: Rc::clone(&self.numbers),
            places: FxHashMap::default(),
        }
    }

    /// An interner for a fork of the program, whose code objects have the same numbers as yet.
    #[must_use]
    pub fn for_fork(&self) -> Interner {
        Interner {
            numbers: Rc::clone(&self.numbers),
            places: self.places.clone(),
        }
    }

    /// As [`Interner::stack`], for a thread whose stack before was `recent`: only the frames from the
    /// outermost one that differs are looked up.
    pub fn next_stack(
        &mut self,
        recent: &mut Recent,
        raw: &RawStack,
        codes: &CodeCache,
        emit: &mut dyn FnMut(Event),
    ) -> Interned {
        let frames = &raw.frames;
        if raw.end != StackEnd::Outermost || frames.len() > 2 * KEPT_AT_EACH_END {
            return self.stack(raw, codes, emit);
        }
        if recent.changes != codes.changes() {
            recent.stacks.clear();
            recent.changes = codes.changes();
        }
        let from_outermost = frames.iter().rev();
        let same = from_outermost
            .zip(&recent.stacks)
            .take_while(|(raw, (before, _))| RecentFrame::of(raw) == *before)
            .count();
        recent.stacks.truncate(same);
        let mut stack = recent.stacks.last().and_then(|(_, stack)| *stack);
        for raw in frames.iter().rev().skip(same) {
            if let Some(frame) = self.place(raw, codes, emit) {
                stack = Some(self.push(stack, frame, emit));
            }
            recent.stacks.push((RecentFrame::of(raw), stack));
        }
        Interned {
            stack,
            is_cut: false,
        }
    }

    /// The number of `raw`, after handing what is new of it to `emit`.
    pub fn stack(
        &mut self,
        raw: &RawStack,
        codes: &CodeCache,
        emit: &mut dyn FnMut(Event),
    ) -> Interned {
        let frames = &raw.frames;
        let mut stack = None;
        if raw.end != StackEnd::Outermost {
            let mark = self.frame(mark(UNREADABLE), emit);
            stack = Some(self.push(stack, mark, emit));
        }
        let too_deep = frames.len() > 2 * KEPT_AT_EACH_END;
        for (from_outermost, frame) in frames.iter().rev().enumerate() {
            let from_innermost = frames.len() - from_outermost;
            if too_deep && from_outermost == KEPT_AT_EACH_END {
                let mark = self.frame(mark(LEFT_OUT), emit);
                stack = Some(self.push(stack, mark, emit));
            }
            if too_deep && from_outermost >= KEPT_AT_EACH_END && from_innermost > KEPT_AT_EACH_END {
                continue;
            }
            if let Some(frame) = self.place(frame, codes, emit) {
                stack = Some(self.push(stack, frame, emit));
            }
        }
        Interned {
            stack,
            is_cut: too_deep || raw.end != StackEnd::Outermost,
        }
    }

    fn push(
        &mut self,
        parent: Option<StackId>,
        frame: FrameId,
        emit: &mut dyn FnMut(Event),
    ) -> StackId {
        let Numbers { stacks, parts, .. } = &mut *self.numbers.borrow_mut();
        let next = StackId(stacks.len() as u32);
        *stacks.entry((parent, frame)).or_insert_with(|| {
            parts.push((parent, frame));
            emit(Event::Stack {
                id: next,
                parent,
                frame,
            });
            next
        })
    }

    /// The frame to show; `None` for one that is none of the program's.
    fn place(
        &mut self,
        raw: &RawFrame,
        codes: &CodeCache,
        emit: &mut dyn FnMut(Event),
    ) -> Option<FrameId> {
        let Some(code) = codes.get(raw.code) else {
            return Some(self.frame(mark(UNKNOWN), emit));
        };
        let place = Place {
            code: code.number,
            instruction: raw.instruction,
            copy: raw.bytecode_copy,
        };
        if let Some(id) = self.places.get(&place) {
            return *id;
        }
        let frame = || Frame {
            name: code.name.clone(),
            file: Some(code.file.clone()),
            first_line: code.first_line,
            line: code.line(raw.instruction, raw.bytecode_copy),
        };
        let id = (!code.is_trampoline).then(|| self.frame(frame(), emit));
        if self.places.len() >= MAX_PLACES {
            self.places.clear();
        }
        self.places.insert(place, id);
        id
    }

    /// The number of `frame`, by content.
    pub fn frame(&mut self, frame: Frame, emit: &mut dyn FnMut(Event)) -> FrameId {
        let frames = &mut self.numbers.borrow_mut().frames;
        let next = FrameId(frames.len() as u32);
        *frames.entry(frame).or_insert_with_key(|frame| {
            emit(Event::Frame(next, frame.clone()));
            next
        })
    }

    /// The number of the stack with the frames of `inner` on top of those of `outer`.
    pub fn joined(
        &mut self,
        outer: Option<StackId>,
        inner: Option<StackId>,
        emit: &mut dyn FnMut(Event),
    ) -> Option<StackId> {
        if outer.is_none() {
            return inner;
        }
        let mut frames = Vec::new();
        let mut part = inner;
        // A caller's stack has a lower number: this ends.
        while let Some(stack) = part {
            let numbers = self.numbers.borrow();
            let (parent, frame) = *numbers.parts.get(stack.0 as usize)?;
            frames.push(frame);
            part = parent;
        }
        let push = |stack, frame| Some(self.push(stack, frame, emit));
        frames.into_iter().rev().fold(outer, push)
    }

    /// The number of a stack of ready-made frames, innermost first.
    pub fn ready_stack(
        &mut self,
        frames: impl DoubleEndedIterator<Item = Frame>,
        emit: &mut dyn FnMut(Event),
    ) -> Option<StackId> {
        let mut stack = None;
        for frame in frames.rev() {
            let frame = self.frame(frame, emit);
            stack = Some(self.push(stack, frame, emit));
        }
        stack
    }
}

/// A frame that is no function.
pub fn mark(name: &str) -> Frame {
    Frame {
        name: name.to_owned(),
        file: None,
        first_line: None,
        line: None,
    }
}
