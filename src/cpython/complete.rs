//! Turns the frame that a copy names as the current one into the stack of that moment.
//!
//! The frames were copied a moment after the frame was named, and where shorter calls are known to come, a moment before
//! it as well: what both copies show was there in between. From 3.11 on the frames of a thread lie one after another in
//! its data stack, so the callers of the current frame are those that lie before it, and those of a generator, which
//! lies in the heap, are those that lie before the end of the part that was in use. Up to 3.10 frames are objects: one
//! that has ended is no caller, so of two copies that differ one tells. A generator's frame does not tell who resumed it
//! once it has yielded: it is found by who did so lately.

mod data_stack;
mod objects;

use rustc_hash::FxHashMap;

use super::code::CodeCache;
use super::frames::{FrameFormat, RawFrame, RawStack, ThreadFields};
use super::places::{Planned, StackRanges};
use crate::memory::window::word_at;
use crate::memory::{Address, ReadMemory, Window};

/// The most frames of a stack that are read one by one.
const MAX_READ: usize = 64;

/// The most places of which it is remembered which frame lay there and who resumed it; beyond, it is learnt anew.
const MAX_REMEMBERED: usize = 4096;

/// Of a completed stack so many frames are remembered, from the innermost on: what is called lies where others were
/// called before.
const REMEMBERED_OF_STACK: usize = 16;

/// The parts of a copy with frames: of before and of after the current frame was named.
const BEFORE: usize = 0;
const AFTER: usize = 1;

/// A copy, and what it is a copy of.
pub(super) struct FirstCopy<'a, M> {
    pub planned: Planned,
    pub window: &'a Window,
    pub format: FrameFormat<'a>,
    pub codes: &'a CodeCache,
    pub memory: &'a M,
}

/// What of the moment the copies tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Completion {
    /// The stack.
    Stack,
    /// One that it may have been.
    Likely,
    /// Not even the innermost frame.
    Nothing,
}

/// A frame, or `None` for an entry frame, and the one that it names as its caller.
type Parsed = (Option<RawFrame>, Address);

/// A frame, and the one that it names as its caller.
#[derive(Clone, Copy)]
struct Linked {
    frame: RawFrame,
    caller: Address,
}

impl Linked {
    /// Of what was parsed, if that is a frame of a function.
    fn of((frame, caller): Parsed) -> Option<Linked> {
        let frame = frame.filter(|frame| !frame.code.is_null())?;
        Some(Linked { frame, caller })
    }

    fn is(&self, other: &Linked) -> bool {
        self.frame.at == other.frame.at && self.frame.code == other.frame.code
    }

    fn is_with_its_caller(&self, other: &Linked) -> bool {
        self.is(other) && self.caller == other.caller
    }
}

/// One stack in the making.
struct Completing<'a, 'b, M> {
    places: &'a StackRanges,
    copy: &'a FirstCopy<'b, M>,
    /// [`BEFORE`], if there is one, and [`AFTER`].
    sides: [Option<Planned>; 2],
    /// Frames that were read afterwards.
    later: FxHashMap<Address, Option<Parsed>>,
    is_certain: bool,
    /// Whether the newest chunk of the data stack is the one that was copied: each greenlet has its own.
    knows_chunk: bool,
}

impl StackRanges {
    /// Completes the stack of the frame that the copy names as the current one, into `stack`.
    pub(super) fn complete<M: ReadMemory>(
        &mut self,
        copy: &FirstCopy<'_, M>,
        stack: &mut RawStack,
    ) -> Completion {
        let Some((current, fields)) = self.current(copy) else {
            return Completion::Nothing;
        };
        let mut completing = Completing {
            places: self,
            copy,
            sides: [copy.planned.before_the_pointer(), Some(copy.planned)],
            later: FxHashMap::default(),
            is_certain: true,
            knows_chunk: false,
        };
        stack.clear();
        match fields.chunk {
            _ if current.is_null() => {}
            Some(chunk) => completing.on_data_stack(current, chunk, stack),
            None => completing.of_objects(current, stack),
        }
        let is_certain = completing.is_certain;
        self.remember(stack, copy.codes);
        match is_certain {
            true => Completion::Stack,
            false => Completion::Likely,
        }
    }

    /// The frame that the copy names as the current one.
    fn current<M: ReadMemory>(&self, copy: &FirstCopy<'_, M>) -> Option<(Address, ThreadFields)> {
        let state = copy.window.piece(copy.planned.state)?;
        let fields = ThreadFields::parse(state, copy.format.layout)?;
        let in_cframe = copy.format.layout.thread.cframe_current_frame;
        let current = match (copy.planned.cframe, in_cframe) {
            (Some(piece), _) if fields.frame == self.cframe => copy.word(piece)?,
            (_, Some(offset)) => copy.memory.pointer(fields.frame + offset).ok()?,
            (_, None) => fields.frame,
        };
        Some((current, fields))
    }

    fn remember(&mut self, stack: &RawStack, codes: &CodeCache) {
        if self.frames_at.len() >= MAX_REMEMBERED {
            self.frames_at.clear();
        }
        for (number, frame) in stack.frames.iter().take(REMEMBERED_OF_STACK).enumerate() {
            if codes.get(frame.code).is_some() {
                let caller = stack.frames.get(number + 1).map(|caller| caller.code);
                self.frames_at.insert(frame.at, (*frame, caller));
            }
        }
        for pair in stack.frames.windows(2) {
            if is_generator(&pair[0], codes) {
                if self.resumed_by.len() >= MAX_REMEMBERED {
                    self.resumed_by.clear();
                }
                self.resumed_by.insert(pair[0].at, pair[1].at);
            }
        }
    }
}

impl<M> FirstCopy<'_, M> {
    fn word(&self, piece: usize) -> Option<Address> {
        word_at(self.window.piece(piece)?, 0).map(Address)
    }
}

impl<M: ReadMemory> Completing<'_, '_, M> {
    /// The frame at `at`, if that part of the copy shows it.
    fn frame_in_copy(&self, at: Address, side: usize) -> Option<Linked> {
        self.parsed_in_copy(at, side).and_then(Linked::of)
    }

    /// The frame at `at`, copied or read now.
    fn frame(&mut self, at: Address) -> Option<Linked> {
        self.parsed(at).and_then(Linked::of)
    }

    /// The frame at `at`, read now.
    fn frame_now(&mut self, at: Address) -> Option<Linked> {
        self.parsed_now(at).and_then(Linked::of)
    }

    /// What lies at `at`, if that part of the copy shows it.
    fn parsed_in_copy(&self, at: Address, side: usize) -> Option<Parsed> {
        let (window, format) = (self.copy.window, self.copy.format);
        let bytes = self.places.find(at, self.sides[side]?, window, format)?;
        format.parse(at, bytes)
    }

    /// What lies at `at`, copied or read now.
    fn parsed(&mut self, at: Address) -> Option<Parsed> {
        let found = [AFTER, BEFORE].map(|side| self.parsed_in_copy(at, side));
        // One that names no caller was suspended in that copy.
        let mut found_ones = found.iter().flatten();
        let best = found_ones.find(|(_, caller)| !caller.is_null()).copied();
        let in_copy = best.or(found[0]).or(found[1]);
        in_copy.or_else(|| self.parsed_now(at))
    }

    /// What lies at `at`, read now.
    fn parsed_now(&mut self, at: Address) -> Option<Parsed> {
        let copy = self.copy;
        if self.later.len() >= MAX_READ && !self.later.contains_key(&at) {
            return None;
        }
        *self.later.entry(at).or_insert_with(|| {
            let mut bytes = vec![0; copy.format.header()];
            copy.memory.read(at, &mut bytes).ok()?;
            copy.format.parse(at, &bytes)
        })
    }

    /// Who resumed a generator lately.
    fn resumer(&self, frame: &RawFrame) -> Option<Address> {
        let resumer = self.places.resumed_by.get(&frame.at).copied();
        resumer.filter(|_| is_generator(frame, self.copy.codes))
    }
}

fn is_generator(frame: &RawFrame, codes: &CodeCache) -> bool {
    codes.get(frame.code).is_some_and(|code| code.is_generator)
}

/// Whether the outermost of the frames that were found is one that always has a caller.
pub(super) fn is_led_astray(stack: &RawStack, codes: &CodeCache) -> bool {
    let outermost = stack.frames.last();
    outermost.is_none_or(|frame| is_generator(frame, codes))
}
