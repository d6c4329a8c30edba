//! Turns the places of the frames that lie outside of the chunks into the ranges that are copied for them.
//!
//! Up to 3.10 these are all frames, each an object in the heap. CPython uses freed ones again (`free_list` and,
//! up to 3.9, `co_zombieframe` in `frameobject.c`), so the frames that a stack had a moment ago lie where those
//! lie that it has next: for a while they are copied with the others.

use std::cell::Cell;

use rustc_hash::FxHashMap;

use crate::memory::{Address, Piece, ReadMemory, Window};

/// Frames with less than this between them are copied in one range, which costs more than these bytes.
const LARGEST_GAP: u64 = 2048;

/// The most ranges that are copied for frames that a stack had before.
const MAX_FORMER_RANGES: usize = 16;

/// The most such frames.
const MAX_FORMER: usize = 4096;

/// After so many whole stacks it is looked whether they needed all that is copied.
const STACKS_PER_REVIEW: u32 = 64;

/// So few places are never too many.
const FEW_PLACES: usize = 64;

/// Where the frames of one thread that lie outside of its chunks were lately.
#[derive(Debug, Default, Clone)]
pub(super) struct OffChunkFrames {
    /// Those of the stack last learnt, in walking order.
    chain: Vec<Address>,
    /// These and others that were there before, in ascending order.
    places: Vec<Address>,
    /// The same as ranges, in ascending order, those that are neighbours in one.
    ranges: Vec<Piece>,
    /// The range that was found last: the next frame most likely lies in the same.
    found: Cell<usize>,
    /// The most frames of a stack since the last review, and how many stacks there were.
    deepest: usize,
    stacks: u32,
}

impl OffChunkFrames {
    /// What is to be copied.
    pub fn ranges(&self) -> &[Piece] {
        &self.ranges
    }

    /// Where frames were, in ascending order.
    pub fn places(&self) -> &[Address] {
        &self.places
    }

    /// The number of the only range in which `at` can lie.
    pub fn range_of(&self, at: Address) -> Option<usize> {
        let found = self.found.get();
        let holds = |range: &Piece| at >= range.at && at.0 - range.at.0 < range.length as u64;
        if self.ranges.get(found).is_some_and(holds) {
            return Some(found);
        }
        let behind = self.ranges.partition_point(|range| range.at <= at);
        let number = behind.checked_sub(1)?;
        self.found.set(number);
        Some(number)
    }

    /// Forgets how the frames follow one another.
    pub fn forget_chain(&mut self) {
        self.chain.clear();
    }

    /// The number of each frame of the chain.
    pub fn numbers(&self) -> FxHashMap<Address, usize> {
        let chain = self.chain.iter().enumerate();
        chain.map(|(number, at)| (*at, number)).collect()
    }

    /// Puts `fresh` in the place of the first `number` frames of the chain.
    pub fn begin_with(&mut self, fresh: Vec<Address>, number: usize) {
        self.chain.splice(..number, fresh);
    }

    /// Takes `chain` for all frames that there are.
    pub fn set_chain(&mut self, chain: Vec<Address>) {
        self.chain = chain;
    }

    /// Finds out what is to be copied from now on: `length` bytes of every frame of the chain, and of those that were
    /// there before if `with_former`, as far as they can be read.
    pub fn lay_out(&mut self, length: usize, with_former: bool, memory: &impl ReadMemory) {
        let alone = ranges_of(&sorted(self.chain.clone()), length, LARGEST_GAP);
        if with_former && self.places.len() <= MAX_FORMER + self.chain.len() {
            let mut places = std::mem::take(&mut self.places);
            places.extend(&self.chain);
            let places = sorted(places);
            let ranges = ranges_of(&places, length, LARGEST_GAP);
            if ranges.len() <= alone.len() + MAX_FORMER_RANGES && are_readable(&ranges, memory) {
                (self.places, self.ranges) = (places, ranges);
                return;
            }
        }
        self.places = sorted(self.chain.clone());
        let is_joined = alone.len() < self.places.len();
        self.ranges = if is_joined && !are_readable(&alone, memory) {
            ranges_of(&self.places, length, 0)
        } else {
            alone
        };
    }

    /// Takes in that all `frames` of a stack were in the copy; copies less from the next time on when far fewer are
    /// needed.
    pub fn has_seen(&mut self, frames: usize, length: usize) {
        if self.places.len() <= FEW_PLACES {
            return;
        }
        self.deepest = self.deepest.max(frames);
        self.stacks += 1;
        if self.stacks < STACKS_PER_REVIEW {
            return;
        }
        if 2 * self.deepest < self.places.len() {
            self.places = sorted(self.chain.clone());
            self.ranges = ranges_of(&self.places, length, LARGEST_GAP);
        }
        (self.deepest, self.stacks) = (0, 0);
    }
}

fn sorted(mut places: Vec<Address>) -> Vec<Address> {
    places.sort_unstable();
    places.dedup();
    places
}

/// The ranges that hold `length` bytes from each of `places` on, which ascend; one for those with no more than
/// `largest_gap` bytes between them.
fn ranges_of(places: &[Address], length: usize, largest_gap: u64) -> Vec<Piece> {
    let mut ranges: Vec<Piece> = Vec::new();
    for &at in places {
        let new_end = at.0.saturating_add(length as u64);
        let joined = ranges.last_mut().filter(|last| {
            let end = last.at.0 + last.length as u64;
            at.0 < end || at.0 - end < largest_gap
        });
        match joined {
            Some(last) => last.length = last.length.max((new_end - last.at.0) as usize),
            None => ranges.push(Piece { at, length }),
        }
    }
    ranges
}

fn are_readable(ranges: &[Piece], memory: &impl ReadMemory) -> bool {
    let mut window = Window::default();
    for range in ranges {
        window.want(range.at, range.length);
    }
    window.fill(memory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::SavedMemory;

    const LENGTH: usize = 100;

    fn memory() -> SavedMemory {
        let mut memory = SavedMemory::default();
        memory.insert(Address(0x1000), vec![0; 0x8000]);
        memory
    }

    fn laid_out(outside: &mut OffChunkFrames, frames: impl Iterator<Item = u64>, former: bool) {
        outside.set_chain(frames.map(Address).collect());
        outside.lay_out(LENGTH, former, &memory());
    }

    fn holds(outside: &OffChunkFrames, at: u64) -> bool {
        let range = outside.range_of(Address(at)).map(|n| outside.ranges()[n]);
        range.is_some_and(|range| at + LENGTH as u64 <= range.at.0 + range.length as u64)
    }

    #[test]
    fn frames_that_were_there_before_are_copied_where_frames_are_used_again() {
        for former in [true, false] {
            let mut outside = OffChunkFrames::default();
            laid_out(&mut outside, [0x1000, 0x1200].into_iter(), former);
            assert_eq!(outside.ranges().len(), 1, "neighbours");
            laid_out(&mut outside, [0x5000].into_iter(), former);
            assert!(holds(&outside, 0x5000));
            assert_eq!(holds(&outside, 0x1200), former);
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_copied_with_the_rest() {
        let mut outside = OffChunkFrames::default();
        laid_out(&mut outside, [0x9000, 0x9100].into_iter(), true);
        laid_out(&mut outside, [0x1000].into_iter(), true);
        assert!(holds(&outside, 0x1000) && !holds(&outside, 0x9000));
    }

    #[test]
    fn what_many_stacks_in_a_row_did_not_need_is_not_copied_any_more() {
        let mut outside = OffChunkFrames::default();
        let deep = || (0..200).map(|number| 0x1000 + 0x70 * number);
        laid_out(&mut outside, deep(), true);
        laid_out(&mut outside, deep().take(5), true);
        for frames in [150, 5] {
            for _ in 0..STACKS_PER_REVIEW {
                assert!(holds(&outside, 0x1000 + 0x70 * 199), "{frames}");
                outside.has_seen(frames, LENGTH);
            }
        }
        assert!(holds(&outside, 0x1000 + 0x70 * 4) && !holds(&outside, 0x1000 + 0x70 * 199));
    }
}
