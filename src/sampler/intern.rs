//! Turns raw stacks into numbered ones, defining each frame and stack once.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::cpython::code::{Code, CodeCache};
use crate::cpython::frames::{KEPT_AT_EACH_END, RawFrame, RawStack, StackEnd};
use crate::memory::Address;
use crate::profile::attributes::{Attributes, AttributesId};
use crate::profile::event::FrameKind;
use crate::profile::event::{Event, Frame, FrameId, LostCause, StackId};
use crate::profile::limits::{self, MORE_FUNCTIONS, MORE_STACKS};

/// The most places in code that are remembered; beyond, the table starts anew. The frames keep
/// their numbers, which are by content.
const MAX_PLACES: usize = 1 << 16;

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
    places: FxHashMap<CodeSite, Option<FrameId>>,
}

/// The numbers given so far.
#[derive(Debug)]
struct Numbers {
    limits: Limits,
    frames: FxHashMap<Frame, FrameId>,
    /// What the frames take.
    frames_bytes: usize,
    stacks: FxHashMap<(Option<StackId>, FrameId), StackId>,
    /// What each stack is, by its number: the stack of its caller, and its innermost frame.
    parts: Vec<(Option<StackId>, FrameId)>,
    /// The sets of attributes.
    attributes: FxHashMap<Attributes, AttributesId>,
    /// The frame [`MORE_FUNCTIONS`], once there were too many.
    more_functions: Option<FrameId>,
}

/// How many there may be; see [`limits`].
#[derive(Debug, Clone, Copy)]
struct Limits {
    stacks: usize,
    cut_stacks: usize,
    frames_bytes: usize,
}

impl Default for Numbers {
    fn default() -> Numbers {
        Numbers {
            limits: Limits {
                stacks: limits::MAX_STACKS,
                cut_stacks: limits::MAX_CUT_STACKS,
                frames_bytes: limits::MAX_FRAMES_BYTES,
            },
            frames: FxHashMap::default(),
            frames_bytes: 0,
            stacks: FxHashMap::default(),
            parts: Vec::new(),
            attributes: FxHashMap::default(),
            more_functions: None,
        }
    }
}

/// The bytes of the texts of a frame.
fn text_bytes(frame: &Frame) -> usize {
    let module = match &frame.kind {
        FrameKind::Native(code) => code.module.len(),
        FrameKind::Python | FrameKind::Mark => 0,
    };
    frame.name.len() + module + frame.file.as_ref().map_or(0, String::len)
}

impl Numbers {
    /// The number of a frame, by content. A mark of rsamp's own is always numbered, as there are few of them.
    fn frame(&mut self, frame: Frame, emit: &mut dyn FnMut(Event)) -> FrameId {
        if let Some(id) = self.frames.get(&frame) {
            return *id;
        }
        if !frame.is_mark() {
            let bytes = limits::frame_bytes(text_bytes(&frame));
            if self.frames_bytes + bytes > self.limits.frames_bytes {
                let more = self.frame(Frame::mark(MORE_FUNCTIONS), emit);
                self.more_functions = Some(more);
                return more;
            }
            self.frames_bytes += bytes;
        }
        let id = FrameId(self.frames.len() as u32);
        emit(Event::Frame(id, frame.clone()));
        self.frames.insert(frame, id);
        id
    }

    /// The number of the stack of `parent` with `frame` on top; `None` where it is new and there are too many.
    fn stack(
        &mut self,
        parent: Option<StackId>,
        frame: FrameId,
        most: usize,
        emit: &mut dyn FnMut(Event),
    ) -> Option<StackId> {
        if let Some(id) = self.stacks.get(&(parent, frame)) {
            return Some(*id);
        }
        if self.stacks.len() >= most {
            return None;
        }
        let id = StackId(self.stacks.len() as u32);
        self.parts.push((parent, frame));
        self.stacks.insert((parent, frame), id);
        emit(Event::Stack { id, parent, frame });
        Some(id)
    }

    /// The number of a stack that is cut short: what is kept of its outer frames, a mark, and its innermost frame, as far as
    /// there is room for these; the mark alone at least.
    fn cut_stack(
        &mut self,
        outer: Option<StackId>,
        innermost: Option<FrameId>,
        emit: &mut dyn FnMut(Event),
    ) -> Option<StackId> {
        let mark = self.frame(Frame::mark(MORE_STACKS), emit);
        let most = self.limits.stacks + self.limits.cut_stacks;
        let mut push = |parent, frame| self.stack(parent, frame, most, emit);
        let alone = push(None, mark);
        let outer = outer.and_then(|outer| push(Some(outer), mark)).or(alone);
        innermost.and_then(|frame| push(outer, frame)).or(outer)
    }
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

/// A function at an instruction, as [`RawFrame`] has it.
fn frame_at(code: &Code, instruction: i64, bytecode_copy: i32) -> Frame {
    Frame {
        kind: FrameKind::Python,
        name: code.name.clone(),
        file: Some(code.file.clone()),
        first_line: code.first_line,
        line: code.line(instruction, bytecode_copy),
    }
}

/// The frame with its name and line; [`UNKNOWN`] where its code object could not be read, `None` for one that is none of the
/// program's.
#[must_use]
pub fn frame_of(raw: &RawFrame, codes: &CodeCache) -> Option<Frame> {
    match codes.get(raw.code) {
        Some(code) => {
            (!code.is_trampoline).then(|| frame_at(code, raw.instruction, raw.bytecode_copy))
        }
        None => Some(Frame::mark(UNKNOWN)),
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
struct CodeSite {
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
                let Some(pushed) = self.push(stack, frame, emit) else {
                    return self.cut(recent, raw, codes, emit);
                };
                stack = Some(pushed);
            }
            recent.stacks.push((shown, stack));
        }
        Interned {
            stack,
            cut: self.too_many(recent).or_else(|| why_cut(raw, codes)),
        }
    }

    /// A stack of which only the frames in `recent` have numbers, while there are too many for more.
    fn cut(
        &mut self,
        recent: &Recent,
        raw: &RawStack,
        codes: &CodeCache,
        emit: &mut dyn FnMut(Event),
    ) -> Interned {
        let kept = &recent.stacks[..recent.stacks.len().min(limits::KEPT_OF_CUT)];
        let outer = kept.last().and_then(|(_, stack)| *stack);
        let innermost = raw.frames.first().map(Shown::frame);
        let innermost = innermost.and_then(|shown| self.place(shown, codes, emit));
        Interned {
            stack: self.numbers.borrow_mut().cut_stack(outer, innermost, emit),
            cut: Some(LostCause::TooMany),
        }
    }

    /// Whether a function of the stack has no name of its own, as there are too many.
    fn too_many(&self, recent: &Recent) -> Option<LostCause> {
        let numbers = self.numbers.borrow();
        let more = numbers.more_functions?;
        let mut stacks = recent.stacks.iter().filter_map(|(_, stack)| *stack);
        let is_met = stacks.any(|stack| numbers.parts[stack.0 as usize].1 == more);
        is_met.then_some(LostCause::TooMany)
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

    /// `None`: there are too many stacks.
    fn push(
        &mut self,
        parent: Option<StackId>,
        frame: FrameId,
        emit: &mut dyn FnMut(Event),
    ) -> Option<StackId> {
        let mut numbers = self.numbers.borrow_mut();
        let most = numbers.limits.stacks;
        numbers.stack(parent, frame, most, emit)
    }

    /// As [`Interner::push`], and where that cannot be, the stack cut short.
    fn push_or_cut(
        &mut self,
        parent: Option<StackId>,
        frame: FrameId,
        emit: &mut dyn FnMut(Event),
    ) -> Option<StackId> {
        let pushed = self.push(parent, frame, emit);
        pushed.or_else(|| {
            let mut numbers = self.numbers.borrow_mut();
            numbers.cut_stack(None, Some(frame), emit)
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
            Shown::Mark(name) => return Some(self.frame(Frame::mark(name), emit)),
        };
        let Some(code) = code else {
            return Some(self.frame(Frame::mark(UNKNOWN), emit));
        };
        let place = CodeSite {
            code: code.number,
            instruction,
            copy,
        };
        if let Some(id) = self.places.get(&place) {
            return *id;
        }
        let id = (!code.is_trampoline).then(|| self.frame(frame_at(code, instruction, copy), emit));
        if self.places.len() >= MAX_PLACES {
            self.places.clear();
        }
        self.places.insert(place, id);
        id
    }

    /// The number of `frame`, by content.
    pub fn frame(&mut self, frame: Frame, emit: &mut dyn FnMut(Event)) -> FrameId {
        self.numbers.borrow_mut().frame(frame, emit)
    }

    /// The number of a set of attributes, by content; `None` once there are so many others.
    pub fn attributes(
        &mut self,
        attributes: Attributes,
        most: u32,
        emit: &mut dyn FnMut(Event),
    ) -> Option<AttributesId> {
        let known = &mut self.numbers.borrow_mut().attributes;
        if let Some(id) = known.get(&attributes) {
            return Some(*id);
        }
        let number = u32::try_from(known.len()).ok()?;
        if number >= most {
            return None;
        }
        let id = AttributesId::new(number);
        emit(Event::Attributes(id, attributes.clone()));
        known.insert(attributes, id);
        Some(id)
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
        let push = |stack, frame| self.push_or_cut(stack, frame, emit);
        frames.into_iter().rev().fold(outer, push)
    }

    /// The number of a stack of one frame that stands for something else than a function. There are few of these, and so
    /// no limit.
    pub fn mark(&mut self, name: &str, emit: &mut dyn FnMut(Event)) -> Option<StackId> {
        let mut numbers = self.numbers.borrow_mut();
        let frame = numbers.frame(Frame::mark(name), emit);
        numbers.stack(None, frame, usize::MAX, emit)
    }

    /// The numbers of the frames of a stack, innermost first; `None` for one that is none of the program's.
    pub fn frames_of(
        &mut self,
        raw: &RawStack,
        codes: &CodeCache,
        emit: &mut dyn FnMut(Event),
    ) -> Vec<Option<FrameId>> {
        let frames = raw.frames.iter().map(Shown::frame);
        frames.map(|shown| self.place(shown, codes, emit)).collect()
    }

    /// The numbers of the frames of a numbered stack, innermost first.
    #[must_use]
    pub fn frames_in(&self, stack: Option<StackId>) -> Vec<FrameId> {
        let numbers = self.numbers.borrow();
        let part = |stack: StackId| numbers.parts.get(stack.0 as usize).copied();
        // A caller's stack has a lower number: this ends.
        let parts =
            std::iter::successors(stack.and_then(part), |(parent, _)| parent.and_then(part));
        parts.map(|(_, frame)| frame).collect()
    }

    /// The number of the stack of these frames, innermost first; `None`: there are none.
    pub fn stack_of(&mut self, frames: &[FrameId], emit: &mut dyn FnMut(Event)) -> Option<StackId> {
        let frames = frames.iter().rev();
        frames.fold(None, |outer, frame| self.push_or_cut(outer, *frame, emit))
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
            stack = self.push_or_cut(stack, frame, emit);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profile;

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

    /// An interner of at most three whole stacks, of some that are cut, and of two functions.
    fn small() -> Interner {
        let numbers = Numbers {
            limits: Limits {
                stacks: 3,
                cut_stacks: 4,
                frames_bytes: 2 * limits::frame_bytes(2),
            },
            ..Numbers::default()
        };
        Interner {
            numbers: Rc::new(RefCell::new(numbers)),
            ..Interner::default()
        }
    }

    fn function(name: &str) -> Frame {
        Frame {
            kind: FrameKind::Python,
            file: Some("f".to_owned()),
            ..Frame::mark(name)
        }
    }

    /// The names of each of these stacks, outermost first, where they are in the events.
    fn names(stacks: &[Option<StackId>], events: Vec<Event>) -> Vec<String> {
        let mut profile = Profile::default();
        events.into_iter().for_each(|event| profile.apply(event));
        assert_eq!(profile.rejected(), 0);
        let name = |stack| {
            let names = profile.frames_of(stack).map(|frame| &*frame.name);
            let names: Vec<_> = names.collect();
            names.into_iter().rev().collect::<Vec<_>>().join(" ")
        };
        stacks.iter().map(|stack| name(*stack)).collect()
    }

    #[test]
    fn beyond_the_limit_a_stack_keeps_its_innermost_frame() {
        let (mut interner, mut events) = (small(), Vec::new());
        let mut emit = |event| events.push(event);
        let mut stack = |names: &str| {
            // Innermost first.
            let frames: Vec<Frame> = names.split(' ').rev().map(function).collect();
            interner.ready_stack(frames.into_iter(), &mut emit)
        };
        let stacks = ["a b a", "a b", "b a", "a a", "b b", "b"].map(&mut stack);
        let expected = [
            "a b a",
            "a b",
            "[more stacks] a",
            "[more stacks] a",
            "[more stacks] b",
            "[more stacks] b",
        ];
        assert_eq!(names(&stacks, events), expected);
    }

    #[test]
    fn a_stack_that_is_cut_keeps_its_outermost_frames_as_far_as_there_is_room() {
        let (interner, mut events) = (small(), Vec::new());
        let mut emit = |event| events.push(event);
        let mut numbers = interner.numbers.borrow_mut();
        let frame = numbers.frame(function("a"), &mut emit);
        let outer = numbers.stack(None, frame, 3, &mut emit);
        let cut = [
            numbers.cut_stack(outer, Some(frame), &mut emit),
            numbers.cut_stack(outer, None, &mut emit),
            numbers.cut_stack(None, Some(frame), &mut emit),
        ];
        let expected = ["a [more stacks] a", "a [more stacks]", "[more stacks] a"];
        assert_eq!(names(&cut, events), expected);
    }

    #[test]
    fn beyond_the_limit_functions_share_a_name_and_marks_keep_theirs() {
        let (mut interner, mut events) = (small(), Vec::new());
        let mut emit = |event| events.push(event);
        let mut stacks: Vec<_> = ["a", "b", "c"]
            .map(|name| interner.ready_stack([function(name)].into_iter(), &mut emit))
            .to_vec();
        stacks.push(interner.mark("[gap]", &mut emit));
        let expected = ["a", "b", "[more functions]", "[gap]"];
        assert_eq!(names(&stacks, events), expected);
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
    fn a_missing_part_of_a_stack_has_a_cause() {
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
