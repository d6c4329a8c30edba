//! Turns copies of frame objects into the callers of a frame (up to 3.10).
//!
//! A frame that is over names no caller, and neither does a suspended generator: of what came and went between the copies
//! the callers are those frames that were going on meanwhile.

use rustc_hash::{FxHashMap, FxHashSet};

use super::{AFTER, BEFORE, Completing, Linked, is_generator};
use crate::cpython::frames::{MAX_WALK, RawStack, StackEnd};
use crate::memory::{Address, ReadMemory};

/// Of so many chains of frames the longest is looked for; there is one, unless the memory is damaged.
const MAX_CHAINS: usize = 64;

impl<M: ReadMemory> Completing<'_, '_, M> {
    /// Completes the stack of the frame at `current`.
    pub(super) fn of_objects(&mut self, current: Address, stack: &mut RawStack) {
        let mut at = current;
        let mut met = FxHashSet::default();
        while met.insert(at) && stack.frames.len() < MAX_WALK {
            let Some(found) = self.object(at) else {
                stack.end = StackEnd::Unreadable(at);
                return;
            };
            stack.frames.push(found.frame);
            if self.goes_on(&found) {
                if found.caller.is_null() {
                    return;
                }
                at = found.caller;
                continue;
            }
            self.is_certain = false;
            match self
                .resumer(&found.frame)
                .filter(|resumer| !met.contains(resumer))
            {
                Some(resumer) => at = resumer,
                None => return self.put_below(stack),
            }
        }
        stack.end = StackEnd::Unreadable(at);
    }

    /// Puts the callers of what came and went meanwhile under `stack`: those of the frame that was current a moment
    /// later, or else the frames that were going on all the time.
    fn put_below(&mut self, stack: &mut RawStack) {
        let Some(callers) = self.current_again().or_else(|| self.lasting_chain()) else {
            stack.end = StackEnd::Unreadable(Address::NULL);
            return;
        };
        let places: FxHashSet<Address> = callers.iter().map(|caller| caller.frame.at).collect();
        let mut own = stack.frames.iter();
        let own = own.position(|frame| places.contains(&frame.at));
        stack.frames.truncate(own.unwrap_or(stack.frames.len()));
        let callee = stack.frames.last().map(|callee| callee.code);
        let callers = self.up_to_caller(callee, &callers).iter();
        stack.frames.extend(callers.map(|caller| caller.frame));
    }

    /// Those of `callers`, innermost first, that were below `callee`: what its caller has called since is left out, where it
    /// is known who calls it.
    fn up_to_caller<'c>(&self, callee: Option<Address>, callers: &'c [Linked]) -> &'c [Linked] {
        let known = callee.and_then(|callee| self.copy.codes.callers_of(callee));
        let is_known =
            |caller: &Linked| known.is_none_or(|known| known.contains(&caller.frame.code));
        let first = callers.iter().position(is_known);
        &callers[first.unwrap_or(0)..]
    }

    /// The stack of the frame that was current a moment later, if all of it was going on.
    fn current_again(&mut self) -> Option<Vec<Linked>> {
        let mut at = self.copy.word(self.copy.planned.pointer_again?)?;
        let (mut frames, mut met) = (Vec::new(), FxHashSet::default());
        while !at.is_null() {
            let found = self.object(at).filter(|found| self.goes_on(found));
            let found = found
                .or_else(|| self.frame_now(at))
                .filter(|found| self.goes_on(found))?;
            if !met.insert(at) || frames.len() >= MAX_WALK {
                return None;
            }
            frames.push(found);
            at = found.caller;
        }
        Some(frames)
    }

    /// The longest chain of frames that were going on all the time.
    fn lasting_chain(&self) -> Option<Vec<Linked>> {
        let places = self.places.outside.places().iter();
        let lasting: FxHashMap<Address, Linked> = places
            .filter_map(|at| Some((*at, self.lasting(*at)?)))
            .collect();
        let callers: FxHashSet<Address> = lasting.values().map(|frame| frame.caller).collect();
        let innermost = lasting.iter().filter(|(at, _)| !callers.contains(at));
        let innermost = innermost.take(MAX_CHAINS);
        let chain_of = |(_, innermost): (&Address, &Linked)| {
            let next = |frame: &Linked| lasting.get(&frame.caller).copied();
            let chain = std::iter::successors(Some(*innermost), next);
            chain.take(lasting.len()).collect::<Vec<_>>()
        };
        let longest = innermost.map(chain_of).max_by_key(Vec::len);
        longest.filter(|chain| chain.last().is_some_and(|last| last.caller.is_null()))
    }

    /// The frame at `at`, if it was going on in both copies.
    fn lasting(&self, at: Address) -> Option<Linked> {
        let after = self.frame_in_copy(at, AFTER)?;
        let before = match self.sides[BEFORE] {
            Some(_) => self.frame_in_copy(at, BEFORE)?,
            None => after,
        };
        let is_same = before.is_with_its_caller(&after);
        (is_same && self.goes_on(&before) && self.goes_on(&after)).then_some(after)
    }

    /// The frame at `at`, as that copy shows it in which it was going on.
    fn object(&mut self, at: Address) -> Option<Linked> {
        let found = [BEFORE, AFTER].map(|side| self.frame_in_copy(at, side));
        let going_on = found.map(|found| found.filter(|found| self.goes_on(found)));
        let is_same = |(a, b): (Linked, Linked)| a.is_with_its_caller(&b);
        self.is_certain &= going_on[BEFORE].zip(going_on[AFTER]).is_some_and(is_same);
        let going_on = going_on[AFTER].or(going_on[BEFORE]);
        going_on
            .or(found[AFTER])
            .or(found[BEFORE])
            .or_else(|| self.frame(at))
    }

    /// Whether a frame has a caller, or can do without.
    fn goes_on(&self, found: &Linked) -> bool {
        let is_suspended = found.caller.is_null() && is_generator(&found.frame, self.copy.codes);
        !found.frame.is_over && !is_suspended
    }
}
