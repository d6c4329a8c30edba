//! Turns raw stacks into numbered ones, defining each frame and stack once.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::cpython::code::CodeCache;
use crate::cpython::frames::{KEPT_AT_EACH_END, RawFrame, RawStack, StackEnd};
use crate::memory::Address;
use crate::profile::event::{Event, Frame, FrameId, LostCause, StackId};

/// The most places in code that are remembered; beyond, the table starts anew. The frames keep
/// their numbers, which are by content.
const MAX_PLACES: usize = 1 << 20;

/// The innermost frames of a stack too deep to keep begin at a multiple of this many frames, counted from the outermost.
const LEFT_OUT_STEP: usize = 4096;

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
    /// Outermost first: what is shown, and the number of the stack up to it.
    stacks: Vec<(Shown, Option<StackId>)>,
    /// [`CodeCache::changes`] then.
    changes: u64,
}

/// What is shown: a frame, or a mark in the place of frames that are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Frame {
        code: Address,
        instruction: i64,
        copy: i32,
    },
    Mark(&'static str),
}

impl Shown {
    fn frame(raw: &RawFrame) -> Shown {
        Shown::Frame {
            code: raw.code,
            instruction: raw.instruction,
            copy: raw.bytecode_copy,
        }
    }

    /// What is shown of a stack, from the outermost frame to the innermost.
    fn all_of(raw: &RawStack) -> impl Iterator<Item = Shown> {
        let left_out = left_out(raw.frames.len());
        let middle = (!left_out.is_empty()).then_some(Shown::Mark(LEFT_OUT));
        let end = match raw.end {
            StackEnd::Outermost => None,
            StackEnd::Unreadable(_) => Some(Shown::Mark(UNREADABLE)),
            StackEnd::TooDeep => Some(Shown::Mark(LEFT_OUT)),
        };
        let outer = raw.frames[left_out.end..].iter().rev();
        let inner = raw.frames[..left_out.start].iter().rev();
        end.into_iter()
            .chain(outer.map(Shown::frame))
            .chain(middle)
            .chain(inner.map(Shown::frame))
    }
}

/// Which frames of a stack of so many are left out, counted from the innermost one. Where they end towards the
/// innermost one is the same in stacks that differ a little in depth, so that these have most of their frames in common.
fn left_out(frames: usize) -> Range<usize> {
    if frames <= 2 * KEPT_AT_EACH_END {
        return 0..0;
    }
    let inner = frames - KEPT_AT_EACH_END;
    frames - inner.next_multiple_of(LEFT_OUT_STEP)..inner
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
    /// Why a part of it is missing, if one is.
    pub cut: Option<LostCause>,
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
        if recent.changes != codes.changes() {
            recent.stacks.clear();
            recent.changes = codes.changes();
        }
        let same = Shown::all_of(raw)
            .zip(&recent.stacks)
            .take_while(|(shown, (before, _))| shown == before)
            .count();
        recent.stacks.truncate(same);
        let mut stack = recent.stacks.last().and_then(|(_, stack)| *stack);
        for shown in Shown::all_of(raw).skip(same) {
            if let Some(frame) = self.place(shown, codes, emit) {
                stack = Some(self.push(stack, frame, emit));
            }
            recent.stacks.push((shown, stack));
        }
        Interned {
            stack,
            cut: why_cut(raw, codes),
        }
    }

    /// The number of `raw`, after handing what is new of it to `emit`.
    pub fn stack(
        &mut self,
        raw: &RawStack,
        codes: &CodeCache,
        emit: &mut dyn FnMut(Event),
    ) -> Interned {
        self.next_stack(&mut Recent::default(), raw, codes, emit)
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
        shown: Shown,
        codes: &CodeCache,
        emit: &mut dyn FnMut(Event),
    ) -> Option<FrameId> {
        let (code, instruction, copy) = match shown {
            Shown::Frame {
                code,
                instruction,
                copy,
            } => (codes.get(code), instruction, copy),
            Shown::Mark(name) => return Some(self.frame(mark(name), emit)),
        };
        let Some(code) = code else {
            return Some(self.frame(mark(UNKNOWN), emit));
        };
        let place = Place {
            code: code.number,
            instruction,
            copy,
        };
        if let Some(id) = self.places.get(&place) {
            return *id;
        }
        let frame = || Frame {
            name: code.name.clone(),
            file: Some(code.file.clone()),
            first_line: code.first_line,
            line: code.line(instruction, copy),
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

/// Why a part of a stack is missing, if one is.
fn why_cut(raw: &RawStack, codes: &CodeCache) -> Option<LostCause> {
    let outermost = raw.frames.last().and_then(|frame| codes.get(frame.code));
    match raw.end {
        StackEnd::Unreadable(at) if !at.is_null() => Some(LostCause::BrokenLink),
        StackEnd::Unreadable(_) if outermost.is_some_and(|code| code.is_generator) => {
            Some(LostCause::GeneratorCallers)
        }
        StackEnd::Unreadable(_) => Some(LostCause::NoEntry),
        StackEnd::TooDeep => Some(LostCause::TooDeep),
        StackEnd::Outermost => {
            (!left_out(raw.frames.len()).is_empty()).then_some(LostCause::TooDeep)
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_that_differ_a_little_in_depth_keep_the_same_outer_frames() {
        assert!(left_out(0).is_empty() && left_out(2 * KEPT_AT_EACH_END).is_empty());
        // From the outermost frame on: the first that is left out, and the first that is kept again.
        let from_outermost = |frames: usize| {
            let left_out = left_out(frames);
            assert!(left_out.start <= KEPT_AT_EACH_END);
            assert!(left_out.start > KEPT_AT_EACH_END - LEFT_OUT_STEP);
            (frames - left_out.end, frames - left_out.start)
        };
        for frames in [2 * KEPT_AT_EACH_END + 1, 50_000, 200_000] {
            assert_eq!(from_outermost(frames).0, KEPT_AT_EACH_END);
        }
        assert_eq!(from_outermost(50_000), from_outermost(50_001));
    }

    fn frame(at: u64) -> RawFrame {
        RawFrame {
            at: Address(at),
            code: Address(0x100),
            instruction: 0,
            bytecode_copy: 0,
            stacktop: None,
            entered_from_c: false,
            has_called: true,
            is_on_data_stack: true,
            is_over: false,
        }
    }

    #[test]
    fn what_is_missing_of_a_stack_has_its_cause() {
        let codes = CodeCache::default();
        let cause = |frames: u64, end| {
            let stack = RawStack {
                frames: (0..frames).map(frame).collect(),
                end,
                is_dubious: false,
            };
            why_cut(&stack, &codes)
        };
        let too_deep = 2 * KEPT_AT_EACH_END as u64 + 1;
        let broken = StackEnd::Unreadable(Address(0x5000));
        assert_eq!(cause(3, StackEnd::Outermost), None);
        assert_eq!(
            cause(too_deep, StackEnd::Outermost),
            Some(LostCause::TooDeep)
        );
        assert_eq!(cause(3, StackEnd::TooDeep), Some(LostCause::TooDeep));
        assert_eq!(cause(3, broken), Some(LostCause::BrokenLink));
        let no_caller = StackEnd::Unreadable(Address::NULL);
        assert_eq!(cause(3, no_caller), Some(LostCause::NoEntry));
    }
}
