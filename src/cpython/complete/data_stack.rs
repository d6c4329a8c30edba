//! Turns copies of a thread's data stack into the callers of a frame (3.11 on).
//!
//! The frames of a thread lie one after another in the chunks of its data stack, in calling order; those of generators lie
//! in the heap, and belong where they name their callers.

use rustc_hash::{FxHashMap, FxHashSet};

use super::{AFTER, BEFORE, Completing, Linked, is_generator};
use crate::cpython::frames::{MAX_WALK, RawFrame, RawStack, StackEnd};
use crate::cpython::places::slot;
use crate::cpython::top::Slot;
use crate::memory::{Address, ReadMemory};

/// The frames of the data stack that one of the copies shows before a place, outermost first.
#[derive(Default)]
struct Before {
    frames: Vec<Linked>,
    /// Whether they lead to that place.
    leads_there: bool,
}

impl<M: ReadMemory> Completing<'_, '_, M> {
    /// `chunk` is the newest one of the data stack, and `end` where the part of it ends that is in use.
    pub(super) fn on_data_stack(
        &mut self,
        current: Address,
        (chunk, end): (Address, Address),
        stack: &mut RawStack,
    ) {
        // A call from C begins and ends at an entry frame: the caller is the current frame then.
        let current = self.through_c(current).unwrap_or(current);
        let is_inside = self.places.is_on_data_stack(current);
        let end = if is_inside { current } else { end };
        let newest = self.places.chunks.first();
        self.knows_chunk = newest.is_some_and(|newest| newest.at == chunk);
        let before: [Before; 2] = match self.knows_chunk {
            true => [BEFORE, AFTER].map(|side| self.frames_before(end, side)),
            false => Default::default(),
        };
        let named: [Option<Linked>; 2] = match is_inside {
            true => [BEFORE, AFTER].map(|side| self.frame_in_copy(current, side)),
            false => [self.frame(current); 2],
        };
        let is_known = |named: &Linked| self.copy.codes.get(named.frame.code).is_some();
        let named = named.map(|named| named.filter(is_known));
        let may_be = |side: usize| before[side].leads_there && named[side].is_some();
        let is_same = is_same(&named[0], &named[1]) && before[0].is(&before[1]);
        self.is_certain &= is_same && may_be(BEFORE) && may_be(AFTER);
        let side = if may_be(AFTER) || !may_be(BEFORE) {
            AFTER
        } else {
            BEFORE
        };
        let callers = match may_be(side) || self.sides[BEFORE].is_none() {
            true => before[side].frames.as_slice(),
            false => common(&before),
        };
        let named = named[side].or(named[1 - side]);
        let named = named.or_else(|| self.remembered(current, callers, is_inside));
        if let Some(named) = named.or_else(|| self.frame(current)) {
            self.follow_inside(named, callers, stack);
        } else if let Some((caller, callers)) = callers.split_last() {
            // What they called, a generator that is gone by now, is not known.
            self.follow_inside(*caller, callers, stack);
        } else {
            stack.end = StackEnd::Unreadable(current);
        }
    }

    /// The frame that lay at `current` before, where the copies do not show what lay there meanwhile: a call that had ended
    /// by then. The same caller calls mostly the same.
    fn remembered(
        &mut self,
        current: Address,
        callers: &[Linked],
        is_inside: bool,
    ) -> Option<Linked> {
        let (frame, caller_code) = *self.places.frames_at.get(&current)?;
        let caller = callers.last();
        let is_of_caller = caller.map(|caller| caller.frame.code) == caller_code;
        let found = Linked {
            frame,
            caller: caller.map(|caller| caller.frame.at).unwrap_or_default(),
        };
        let is_likely = is_of_caller || !is_inside && is_generator(&frame, self.copy.codes);
        self.is_certain &= !is_likely;
        is_likely.then_some(found)
    }

    /// Follows the callers of `named`, of which those on the data stack are `callers`, outermost first.
    fn follow_inside(&mut self, named: Linked, mut callers: &[Linked], stack: &mut RawStack) {
        let mut next = Some(named);
        // Looked up, not searched: a hostile program may have as many frames as are walked.
        let mut met = FxHashSet::default();
        let mut numbers: Option<FxHashMap<Address, usize>> = None;
        while let Some(Linked { frame, mut caller }) = next {
            if !self.knows_chunk || !self.places.is_on_data_stack(frame.at) {
                met.insert(frame.at);
            }
            stack.frames.push(frame);
            if stack.frames.len() >= MAX_WALK {
                stack.end = StackEnd::TooDeep;
                return;
            }
            if let Some(before) = self.through_c(caller) {
                let top = stack.frames.len() - 1;
                stack.frames[top].entered_from_c = true;
                caller = before;
            }
            if is_generator(&frame, self.copy.codes) {
                // The frame of what it is about to call may be there already.
                let numbers = numbers.get_or_insert_with(|| numbered(callers));
                let known = numbers
                    .get(&caller)
                    .filter(|number| **number < callers.len());
                callers = &callers[..known.map_or(callers.len(), |number| number + 1)];
            }
            next = self.caller_inside(&frame, caller, &met, &mut callers);
            if next.is_none() && !self.is_outermost(&frame, caller) {
                stack.end = StackEnd::Unreadable(caller);
            }
        }
    }

    /// Whether a frame without a known caller, which names `caller`, has none.
    fn is_outermost(&mut self, frame: &RawFrame, caller: Address) -> bool {
        let is_broken = !caller.is_null() && self.parsed(caller).is_none();
        !is_broken && !is_generator(frame, self.copy.codes)
    }

    /// The caller of `callee`, which names `caller`. Takes it off `callers` if it is the last of them. `met` are the frames
    /// so far that are not on the data stack.
    fn caller_inside(
        &mut self,
        callee: &RawFrame,
        caller: Address,
        met: &FxHashSet<Address>,
        callers: &mut &[Linked],
    ) -> Option<Linked> {
        if callers.last().is_some_and(|last| last.frame.at == caller) {
            return take_last(callers);
        }
        let mut elsewhere = self.elsewhere(caller, met);
        if elsewhere.is_none() && is_generator(callee, self.copy.codes) {
            self.is_certain = false;
            let resumer = self.resumer(callee);
            elsewhere = resumer.and_then(|resumer| self.elsewhere(resumer, met));
        }
        elsewhere
            .or_else(|| self.between(caller, callee, met, callers))
            .or_else(|| take_last(callers))
    }

    /// The frame at `at`, which is named as the caller of `callee`, if what is known of the data stack does not reach as
    /// far.
    fn between(
        &mut self,
        at: Address,
        callee: &RawFrame,
        met: &FxHashSet<Address>,
        callers: &[Linked],
    ) -> Option<Linked> {
        let is_next = match self.knows_chunk {
            true => {
                let callee = callee.at;
                let is_inside = |at| self.places.is_on_data_stack(at);
                let is_beyond = callers.last().is_none_or(|last| last.frame.at < at);
                is_inside(at) && is_inside(callee) && is_beyond && at < callee
            }
            false => !met.contains(&at),
        };
        if at.is_null() || !is_next {
            return None;
        }
        let found = self.frame(at)?;
        self.copy.codes.get(found.frame.code).map(|_| found)
    }

    /// Where `at` is an entry frame: the frame before it.
    fn through_c(&mut self, at: Address) -> Option<Address> {
        if at.is_null() || self.places.is_on_data_stack(at) {
            return None;
        }
        match self.parsed(at)? {
            (None, before) => Some(before),
            (Some(_), _) => None,
        }
    }

    /// The generator's frame at `at`, outside of the data stack, if it was not met yet.
    fn elsewhere(&mut self, at: Address, met: &FxHashSet<Address>) -> Option<Linked> {
        if at.is_null() || self.places.is_on_data_stack(at) {
            return None;
        }
        let found = self.frame(at)?;
        let is_new = !met.contains(&at);
        (is_new && is_generator(&found.frame, self.copy.codes)).then_some(found)
    }

    /// Walks the data stack from its start to `end`.
    fn frames_before(&self, end: Address, side: usize) -> Before {
        let mut before = Before::default();
        let (Some(planned), Some(first)) = (self.sides[side], self.places.chunks.last()) else {
            return before;
        };
        let mut at = first.first_frame;
        let mut turns = 0;
        while at != end && before.frames.len() < MAX_WALK {
            let (chunks, copy) = (&self.places.chunks, self.copy);
            let Slot::Frame(frame, caller) = slot(chunks, at, planned, copy.window, copy.format)
            else {
                return before;
            };
            let code = copy.codes.get(frame.code);
            let Some(bytes) = code.and_then(|code| code.frame_bytes) else {
                return before;
            };
            before.frames.push(Linked { frame, caller });
            let next = chunks.slot_after(at + bytes);
            // A newer chunk may lie below an older one, but sizes that are not true may lead round in a circle.
            turns += usize::from(next <= at);
            if turns > chunks.len() {
                return before;
            }
            at = next;
        }
        before.leads_there = at == end;
        before
    }
}

impl Before {
    fn is(&self, other: &Before) -> bool {
        self.frames.len() == other.frames.len()
            && self.frames.iter().zip(&other.frames).all(|(a, b)| a.is(b))
    }
}

/// The number of each frame, by where it is.
fn numbered(frames: &[Linked]) -> FxHashMap<Address, usize> {
    let frames = frames.iter().enumerate();
    frames
        .map(|(number, known)| (known.frame.at, number))
        .collect()
}

fn take_last(frames: &mut &[Linked]) -> Option<Linked> {
    let (last, rest) = frames.split_last()?;
    *frames = rest;
    Some(*last)
}

fn is_same(a: &Option<Linked>, b: &Option<Linked>) -> bool {
    a.zip(*b).is_some_and(|(a, b)| a.is(&b))
}

/// The outermost frames that are the same in both copies.
fn common(before: &[Before; 2]) -> &[Linked] {
    let [first, second] = before.each_ref().map(|before| &before.frames);
    let pairs = first.iter().zip(second);
    let count = pairs.take_while(|(a, b)| a.is(b)).count();
    &second[..count]
}
