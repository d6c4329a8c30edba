//! Turns the frame that a copy names as the current one into a whole stack, with what can be read afterwards.
//!
//! Between the copy and the reading a generator may have yielded: its frame is still there and still has its code
//! object, but does not tell any more who resumed it. From 3.11 on the data stack tells: what was in use of it when the
//! current frame was read holds the callers, one after another. Up to 3.10 they are those of the frame that was the
//! current one a moment later. A generator that was resumed by another one is found by who resumed it lately.

use rustc_hash::FxHashMap;

use super::code::CodeCache;
use super::frames::{FrameFormat, MAX_WALK, RawFrame, RawStack, StackEnd, ThreadFields, walk};
use super::places::{Places, Planned, slot};
use super::top::Slot;
use crate::memory::window::word_at;
use crate::memory::{Address, ReadMemory, Window};

/// The most frames of a stack that are read one by one.
const MAX_COMPLETED: usize = 64;

/// The most generators of which it is remembered who resumed them; beyond, it is learnt anew.
const MAX_RESUMED: usize = 4096;

/// A copy, and what it is a copy of.
pub(super) struct FirstCopy<'a, M> {
    pub planned: Planned,
    pub window: &'a Window,
    pub format: FrameFormat<'a>,
    pub codes: &'a CodeCache,
    pub memory: &'a M,
}

/// Frames that were read after the copy, by their addresses.
#[derive(Default)]
struct Later {
    frames: FxHashMap<Address, Vec<u8>>,
    /// One that could not be read.
    broken: Option<Address>,
}

impl Places {
    /// Follows the frames from the one that the copy names as the current one, into `stack`; what was not copied is read
    /// now. `None`: not even the first one is known.
    pub(super) fn complete<M: ReadMemory>(
        &mut self,
        copy: &FirstCopy<'_, M>,
        stack: &mut RawStack,
    ) -> Option<()> {
        let fields =
            ThreadFields::parse(copy.window.piece(copy.planned.state)?, copy.format.layout)?;
        let named = |piece| word_at(copy.window.piece(piece)?, 0).map(Address);
        let in_cframe = copy.format.layout.thread.cframe_current_frame;
        let current = match (copy.planned.cframe, in_cframe) {
            (Some(piece), _) if fields.frame == self.cframe => named(piece)?,
            (_, Some(offset)) => copy.memory.pointer(fields.frame + offset).ok()?,
            (_, None) => fields.frame,
        };
        let mut later = Later::default();
        self.follow(current, copy, &mut later, stack);
        if is_led_astray(stack, copy.codes) {
            let mut below = RawStack::default();
            let is_known = match fields.chunk {
                Some((_, end)) => self.walk_data_stack(end, copy, &mut below).is_some(),
                None => {
                    let again = copy.planned.pointer_again.and_then(named)?;
                    self.follow(again, copy, &mut later, &mut below);
                    true
                }
            };
            if is_known {
                self.put_below(stack, &below, copy, &mut later);
            } else if stack.end == StackEnd::Outermost {
                stack.end = StackEnd::Unreadable(Address::NULL);
            }
        }
        self.remember_who_resumed(stack, copy.codes);
        Some(())
    }

    /// Walks from `current` outwards, into `stack`.
    fn follow<M: ReadMemory>(
        &self,
        current: Address,
        copy: &FirstCopy<'_, M>,
        later: &mut Later,
        stack: &mut RawStack,
    ) {
        let is_on_data_stack = |at: Address| self.is_on_data_stack(at);
        let mut missing = None;
        for _ in 0..MAX_COMPLETED {
            missing = None;
            let mut ends = self.ends;
            ends.broken = later.broken.or(ends.broken);
            let find = |at: Address| {
                let bytes = self.find(at, copy.planned, copy.window, copy.format);
                let bytes = bytes.or_else(|| later.frames.get(&at).map(Vec::as_slice));
                missing = bytes.is_none().then_some(at);
                bytes
            };
            if walk(current, copy.format, ends, stack, find, is_on_data_stack).is_some() {
                return;
            }
            if let Some(at) = missing {
                later.read(at, copy);
            }
        }
        stack.end = StackEnd::Unreadable(missing.unwrap_or_default());
    }

    /// Walks the data stack from its start to `end`, into `stack`, innermost first. `None` where the frames do not lead
    /// there.
    fn walk_data_stack<M: ReadMemory>(
        &self,
        end: Address,
        copy: &FirstCopy<'_, M>,
        stack: &mut RawStack,
    ) -> Option<()> {
        let mut at = self.chunks.last()?.first_frame;
        while at != end && stack.frames.len() < MAX_WALK {
            let found = slot(&self.chunks, at, copy.planned, copy.window, copy.format);
            let Slot::Frame(frame, _) = found else {
                return None;
            };
            let bytes = copy.codes.get(frame.code)?.frame_bytes?;
            stack.frames.push(frame);
            at = self.chunks.slot_after(at + bytes);
        }
        stack.frames.reverse();
        Some(())
    }

    /// Puts the callers that are `below` under the frames of `stack` that are not among them.
    fn put_below<M: ReadMemory>(
        &self,
        stack: &mut RawStack,
        below: &RawStack,
        copy: &FirstCopy<'_, M>,
        later: &mut Later,
    ) {
        let position = |at: Address| below.frames.iter().position(|frame| frame.at == at);
        let known = stack
            .frames
            .iter()
            .position(|frame| position(frame.at).is_some());
        stack.frames.truncate(known.unwrap_or(stack.frames.len()));
        let mut from = 0;
        for _ in 0..MAX_COMPLETED {
            let last = stack.frames.last().map(|frame| frame.at);
            let caller = last.and_then(|last| self.resumed_by.get(&last));
            let Some(caller) = caller.copied() else {
                break;
            };
            if let Some(number) = position(caller) {
                from = number;
                break;
            }
            // It may be a generator, too, and have yielded as well.
            let Some(frame) = later
                .frame(caller, copy)
                .filter(|frame| is_generator(frame, copy.codes))
            else {
                break;
            };
            stack.frames.push(frame);
        }
        stack.frames.extend(&below.frames[from..]);
        stack.end = below.end;
    }

    fn remember_who_resumed(&mut self, stack: &RawStack, codes: &CodeCache) {
        for pair in stack.frames.windows(2) {
            if is_generator(&pair[0], codes) {
                if self.resumed_by.len() >= MAX_RESUMED {
                    self.resumed_by.clear();
                }
                self.resumed_by.insert(pair[0].at, pair[1].at);
            }
        }
    }
}

impl Later {
    fn read<M: ReadMemory>(&mut self, at: Address, copy: &FirstCopy<'_, M>) {
        let mut bytes = vec![0; copy.format.header()];
        match copy.memory.read(at, &mut bytes) {
            Ok(()) => drop(self.frames.insert(at, bytes)),
            Err(_) => self.broken = Some(at),
        }
    }

    fn frame<M: ReadMemory>(&mut self, at: Address, copy: &FirstCopy<'_, M>) -> Option<RawFrame> {
        if !self.frames.contains_key(&at) {
            self.read(at, copy);
        }
        copy.format.parse(at, self.frames.get(&at)?)?.0
    }
}

fn is_generator(frame: &RawFrame, codes: &CodeCache) -> bool {
    codes.get(frame.code).is_some_and(|code| code.is_generator)
}

/// Whether the frames of a stack do not lead to the outermost one: its last one is one that always has a caller.
fn is_led_astray(stack: &RawStack, codes: &CodeCache) -> bool {
    let last = stack.frames.last();
    stack.end != StackEnd::Outermost || last.is_none_or(|frame| is_generator(frame, codes))
}
