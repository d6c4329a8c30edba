//! Turns a walked stack into one that was really there, by finding the frame that was executing in the copy.
//!
//! Between reading the current-frame pointer and copying the frames, the target may have returned and
//! called something else. In 3.11–3.13 the copy itself tells: an executing frame has `stacktop` -1
//! (`_PyFrame_GetStackPointer` and the line after it in `ceval.c`), and one that waits for a callee
//! of its own interpreter loop has saved its stack pointer. One that called C code keeps -1, so
//! across such a boundary a frame below may be executing as well.
//!
//! In 3.14 and 3.15 release builds `stackpointer` keeps its last value while executing (it is
//! set to NULL in debug builds only, `internal/pycore_interpframe.h`), and up to 3.10 nothing marks
//! the executing frame: there the pointer is read a second time, after the frames.
//!
//! Two signs make a stack dubious whatever the pointer says. While a generator is being resumed or
//! yields, its link to the frame that resumed it is missing for a moment (seen on 3.7, 3.8, 3.11 and
//! 3.12, even in a stopped target), so no stack ends in a generator's frame. And up to 3.10 a frame
//! that nobody refers to has been freed.

use super::code::CodeCache;
use super::frames::{FrameFormat, RawFrame, RawStack, StackEnd};
use crate::memory::Address;

/// Whether a stack is of one moment.
#[derive(Debug)]
pub enum Top {
    /// It is, as corrected.
    Decided(RawStack),
    /// The copy does not tell.
    Undecided(RawStack),
}

/// Corrects the top of `stack`. The current-frame pointer was `pointer_before` when copying began,
/// and `pointer_after` when it ended.
///
/// A stack that does not end at an outermost frame is never decided at the first look: a frame that
/// was freed and used again meanwhile may have led the walk astray.
pub fn settle(
    mut stack: RawStack,
    format: FrameFormat<'_>,
    codes: &CodeCache,
    pointer_before: Address,
    pointer_after: Option<Address>,
) -> Top {
    if stack.frames.is_empty() {
        return Top::Decided(stack);
    }
    let outermost = stack.frames.last();
    let is_loose = stack.end == StackEnd::Outermost
        && outermost.is_some_and(|frame| codes.is_generator(frame.code));
    stack.is_dubious = is_loose || stack.frames.iter().any(|frame| frame.is_freed);
    if stack.is_dubious || stack.end != StackEnd::Outermost {
        return Top::Undecided(stack);
    }
    if format.layout.frame.stacktop.is_none() {
        return if pointer_after == Some(pointer_before) {
            Top::Decided(stack)
        } else {
            Top::Undecided(stack)
        };
    }
    cut_dead(&mut stack.frames);
    // A frame that waits is being called from or returned to. What lies beyond it in the chunk may be
    // its callee or one that has returned, and one that an exception unwound still says -1: not even
    // a target that stands still tells, so it is not followed. Nor is the pointer asked: where the
    // program's period is that of the copying, it agrees just when it should not.
    let is_settled = stack
        .frames
        .first()
        .is_some_and(|top| top.executing == Some(true));
    if is_settled {
        Top::Decided(stack)
    } else {
        Top::Undecided(stack)
    }
}

/// Removes the frames above the outermost one that is executing without C code above it: when the
/// copy was taken, they had returned.
fn cut_dead(frames: &mut Vec<RawFrame>) {
    let outermost = (1..frames.len()).rev().find(|&number| {
        frames[number].executing == Some(true) && !frames[number - 1].entered_from_c
    });
    if let Some(number) = outermost {
        frames.drain(..number);
    }
}
