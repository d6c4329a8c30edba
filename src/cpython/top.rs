//! Turns a walked stack into one that was really there, by finding the frame that was executing in the copy.
//!
//! Between reading the current-frame pointer and copying the frames, the target may have returned and
//! called something else, so the pointer only says where to begin. The frames lie close together and
//! are copied in some tens of nanoseconds; the copy itself tells which was the innermost:
//!
//! - 3.11–3.13: an executing frame has `stacktop` -1 (`_PyFrame_GetStackPointer` and the line after it
//!   in `ceval.c`). One that waits for a callee of its own interpreter loop has saved its stack pointer,
//!   and so has one that returned or was unwound. One that called C code keeps -1, so across such a
//!   boundary a frame below may be executing as well. While a call is made or ended no frame is executing
//!   at all: the copy then shows the caller, which has saved its operands, and a callee that has not begun
//!   or is about to return; of these the innermost is the one that the pointer named.
//! - 3.14 and 3.15: release builds leave `stackpointer` as it is while executing (NULL in debug builds
//!   only, `internal/pycore_interpframe.h`), but a frame that returned names no code object any more
//!   (`PyStackRef_CLEAR(frame->f_executable)` in `clear_thread_frame`, `ceval.c`). One that made a generator
//!   is left as it was, so no innermost frame on the data stack is one of a generator. A callee that is there may not
//!   have begun, or be about to return: then the copy does not tell which of the two was executing.
//! - Up to 3.10 frames are objects all over the heap and nothing marks the executing one: there the
//!   pointer is read a second time, after the frames. So it is where the innermost frame is a
//!   generator's, which lies in the heap as well.
//!
//! In 3.11–3.13 what the pointer missed is made up for in both directions: frames that are over are cut, and a callee
//! that lies where the next call puts it, and names the innermost frame as its caller, is added. The moment of such a
//! sample is that of the copy of the frames. In a thread that stood still the pointer missed nothing.
//!
//! Three signs make a stack doubtful whatever the top says. Frames must lie as calls lay them
//! ([`shape`](super::shape)). While a generator is being resumed or yields, its link to the frame that
//! resumed it is missing for a moment (seen on 3.7, 3.8, 3.11 and 3.12, even in a stopped target), so no
//! stack ends in a generator's frame. And no frame in it may be over.

use super::chunks::Chunks;
use super::code::{CodeCache, Moment};
use super::frames::{FrameFormat, RawFrame, RawStack, StackEnd};
use super::layout::traits::TopRule;
use super::links::Link;
use super::shape::ChunkContiguity;
use crate::memory::Address;

/// The most callees that are added: a target does not call more in the time of one copy.
const MAX_ADDED: usize = 64;

/// Whether a stack is of one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is, as corrected.
    Settled,
    /// The copy does not tell.
    Undecided(Doubts),
}

/// What is missing for a stack to be settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Doubts {
    /// The gap between its frames that is not known.
    pub gap: Option<(Address, Address)>,
    /// The link between two of its frames that is not known.
    pub link: Option<Link>,
    /// Whether a code object of its frames is to be read, or compared with what was read.
    pub wants_codes: bool,
    /// The code object of what looks like the next callee, when it is not known.
    pub callee_code: Option<Address>,
    /// Whether it is not known which frame was the innermost, or one was being written.
    pub is_moving: bool,
    /// Whether the innermost frame is another than the pointer named, in a version that does not mark the executing
    /// one (3.14 on): it may not have begun, or be about to return.
    pub is_corrected: bool,
}

/// What is known besides the copy.
#[derive(Clone, Copy)]
pub(super) struct CopyContext<'a> {
    /// Offsets and version.
    pub format: FrameFormat<'a>,
    /// The code objects.
    pub codes: &'a CodeCache,
    /// When the copy was taken.
    pub now: Moment,
    /// The thread's chunks.
    pub chunks: &'a Chunks,
    /// Whether these are all of them, and something else was copied beside them.
    pub may_be_beside: bool,
    /// Whether the current-frame pointer was the same after the frames were copied; `None` where that
    /// was not asked for.
    pub pointer_stands: Option<bool>,
    /// Whether the thread stood still: the pointer tells the innermost frame then.
    pub is_still: bool,
}

/// What lies where the next frame would.
pub(super) enum Slot {
    /// A frame, and the one that it names as its caller.
    Frame(RawFrame, Address),
    /// No frame, or no room for one.
    Empty,
    /// That part was not copied.
    NotCopied,
}

/// Corrects the top of `stack`, and says whether it is of one moment. `slot` gives what lies at a place
/// in the chunks.
///
/// A stack that does not end at an outermost frame is never settled at the first look: a frame that was
/// freed and used again meanwhile may have led the walk astray.
pub(super) fn correct(
    stack: &mut RawStack,
    shape: &mut ChunkContiguity,
    known: CopyContext<'_>,
    slot: impl Fn(Address) -> Slot,
    has_trace: impl Fn(&RawFrame, &RawFrame) -> bool,
) -> Verdict {
    if stack.frames.is_empty() && stack.end == StackEnd::Outermost {
        return Verdict::Settled;
    }
    let named = stack.frames.first().map(|frame| frame.at);
    if !known.is_still {
        cut_dead(stack, known);
    }
    let (chunks, codes, now) = (known.chunks, known.codes, known.now);
    let mut examine = |stack: &RawStack| shape.examine(stack, chunks, codes, now, &has_trace);
    let (mut findings, found) = (examine(stack), stack.frames.len());
    let top = match (known.format.traits.top_rule, findings.next_slot) {
        _ if known.is_still => TopFrame::Found,
        (TopRule::Pointer, _) => TopFrame::Found,
        (TopRule::StackTop, _) if is_executing(stack) => TopFrame::Found,
        (TopRule::StackTop, Some(next)) => match add_executing(stack, known, next, &slot) {
            TopFrame::Unknown => rest_at_call(stack, known, next, &slot),
            top => top,
        },
        (TopRule::ClearedCode, Some(next)) => add_callees(stack, known, next, &slot),
        (_, None) => TopFrame::Unknown,
    };
    if stack.frames.len() != found {
        findings = examine(stack);
    }
    let is_over = stack.frames.iter().any(|frame| frame.is_over);
    stack.is_dubious = findings.is_loose || is_over || stack.frames.is_empty();
    let is_torn = findings.is_torn || is_beside_chunks(stack, known);
    let has_moved = is_torn || !pointer_stands(stack, named, known);
    let is_moving = top != TopFrame::Found || has_moved && !known.is_still;
    let is_whole = stack.is_whole();
    let is_marked = known.format.traits.top_rule == TopRule::StackTop;
    let is_corrected = !is_marked && stack.frames.first().map(|frame| frame.at) != named;
    if is_whole && !is_moving && !is_corrected && findings.is_in_order() {
        return Verdict::Settled;
    }
    if is_whole && !is_moving && findings.gap.is_none() && !findings.wants_codes {
        shape.weigh_traces(now.at_ns);
    }
    Verdict::Undecided(Doubts {
        gap: findings.gap,
        link: findings.link,
        wants_codes: findings.wants_codes,
        callee_code: match top {
            TopFrame::Wants(code) => Some(code),
            TopFrame::Found | TopFrame::Unknown => None,
        },
        is_moving,
        is_corrected,
    })
}

/// Removes the frames that were over when they were copied.
fn cut_dead(stack: &mut RawStack, known: CopyContext<'_>) {
    match known.format.traits.top_rule {
        TopRule::Pointer => {}
        TopRule::StackTop => cut_returned(&mut stack.frames),
        TopRule::ClearedCode => {
            cut_over(&mut stack.frames);
            let top = stack.frames.first();
            let is_left = top.is_some_and(|top| is_left_behind(top, known));
            stack.frames.drain(..usize::from(is_left));
        }
    }
}

/// Whether the pointer stands, where that matters, and named the innermost frame, which it named as `named`: two
/// callees of two moments may lie at the same place.
fn pointer_stands(stack: &RawStack, named: Option<Address>, known: CopyContext<'_>) -> bool {
    let innermost = stack.frames.first().map(|frame| frame.at);
    let in_chunk = |at: Address| known.chunks.hold(at);
    let is_told_by_copy =
        known.format.traits.top_rule != TopRule::Pointer && innermost.is_some_and(in_chunk);
    is_told_by_copy || known.pointer_stands == Some(true) && innermost == named
}

/// Whether a frame of the data stack lies in none of its chunks: it lay in one that was freed meanwhile.
fn is_beside_chunks(stack: &RawStack, known: CopyContext<'_>) -> bool {
    let is_beside = |frame: &RawFrame| frame.is_on_data_stack && !known.chunks.hold(frame.at);
    known.may_be_beside && !known.chunks.is_empty() && stack.frames.iter().any(is_beside)
}

fn is_executing(stack: &RawStack) -> bool {
    stack.frames.first().is_some_and(RawFrame::is_executing)
}

/// 3.11–3.13: removes the frames above the outermost one that is executing without C code above it.
fn cut_returned(frames: &mut Vec<RawFrame>) {
    let outermost = (1..frames.len())
        .rev()
        .find(|&number| frames[number].is_executing() && !frames[number - 1].entered_from_c);
    if let Some(number) = outermost {
        frames.drain(..number);
    }
}

/// 3.14 on: removes the outermost frame that returned, and all above it.
fn cut_over(frames: &mut Vec<RawFrame>) {
    if let Some(number) = frames.iter().rposition(|frame| frame.is_over) {
        frames.drain(..=number);
    }
}

/// 3.14 on: whether an innermost frame has made a generator, which has its code from then on (`RETURN_GENERATOR` in
/// `bytecodes.c`): what is left on the data stack names it still. In the moment before that, the caller stands for it.
fn is_left_behind(frame: &RawFrame, known: CopyContext<'_>) -> bool {
    let makes_generator = || {
        known
            .codes
            .get(frame.code)
            .is_some_and(|code| code.is_generator)
    };
    frame.is_on_data_stack && makes_generator()
}

/// What came out of looking for the frame that was executing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TopFrame {
    /// It is the innermost one now.
    Found,
    /// The copy does not tell.
    Unknown,
    /// What may be the next callee has a code object that is not known.
    Wants(Address),
}

/// 3.11–3.13: adds the callees up to the one that is executing; none when there is no such one.
fn add_executing(
    stack: &mut RawStack,
    known: CopyContext<'_>,
    first: Address,
    slot: &impl Fn(Address) -> Slot,
) -> TopFrame {
    let mut added = Vec::new();
    let mut next = first;
    let mut caller = stack.frames.first().map(|top| top.at);
    while added.len() < MAX_ADDED {
        let Slot::Frame(frame, previous) = slot(next) else {
            return TopFrame::Unknown;
        };
        if Some(previous) != caller {
            return TopFrame::Unknown;
        }
        if frame.is_executing() {
            if known.codes.get(frame.code).is_none() {
                return TopFrame::Wants(frame.code);
            }
            added.push(frame);
            stack.frames.splice(0..0, added.into_iter().rev());
            return TopFrame::Found;
        }
        let Some(bytes) = bytes_of(frame, known) else {
            return TopFrame::Wants(frame.code);
        };
        caller = Some(next);
        next = known.chunks.slot_after(next + bytes);
        added.push(frame);
    }
    TopFrame::Unknown
}

/// 3.11–3.13: where no frame is executing, a call is being made or ended. The frame that the pointer named is
/// the innermost one when it is at a call, or was called by one that is; that one is when it is certainly over.
fn rest_at_call(
    stack: &mut RawStack,
    known: CopyContext<'_>,
    beyond: Address,
    slot: &impl Fn(Address) -> Slot,
) -> TopFrame {
    let Some(top) = stack.frames.first() else {
        return TopFrame::Unknown;
    };
    if is_at_call(top, known) {
        return TopFrame::Found;
    }
    let is_called = |caller: &RawFrame| !top.entered_from_c && is_at_call(caller, known);
    if !stack.frames.get(1).is_some_and(is_called) {
        return TopFrame::Unknown;
    }
    if is_cleared(top, known) {
        stack.frames.remove(0);
        return TopFrame::Found;
    }
    if is_at_edge(top, beyond, known, slot) {
        return TopFrame::Found;
    }
    TopFrame::Unknown
}

/// Whether a frame has called something and is not over: it has saved operands beside its variables, of
/// which a frame that returns has none left. In 3.13 one that is over has no variables either. A generator
/// has operands while it waits, too; and of a frame that C code called, nothing tells that it belongs to its
/// caller.
fn is_at_call(frame: &RawFrame, known: CopyContext<'_>) -> bool {
    let Some((stacktop, variables)) = saved(frame, known) else {
        return false;
    };
    let is_in_chunk = known.chunks.hold(frame.at);
    let has_operands = stacktop > variables || known.format.traits.clears_stacktop && stacktop > 0;
    has_operands && is_in_chunk && !frame.entered_from_c
}

/// Whether a frame is over, as its variables are gone (3.13).
fn is_cleared(frame: &RawFrame, known: CopyContext<'_>) -> bool {
    let saved = saved(frame, known);
    known.format.traits.clears_stacktop
        && saved.is_some_and(|(stacktop, variables)| stacktop < variables)
}

/// Whether a frame that was called has not begun, or is about to return: it has saved no operands, and nothing
/// that it would have called lies `beyond` it.
fn is_at_edge(
    frame: &RawFrame,
    beyond: Address,
    known: CopyContext<'_>,
    slot: &impl Fn(Address) -> Slot,
) -> bool {
    let has_none = saved(frame, known).is_some_and(|(stacktop, variables)| stacktop == variables);
    has_none
        && match slot(beyond) {
            Slot::Frame(_, caller) => caller != frame.at,
            Slot::Empty => true,
            Slot::NotCopied => false,
        }
}

/// What a frame has saved, and how many variables it has.
fn saved(frame: &RawFrame, known: CopyContext<'_>) -> Option<(u32, u32)> {
    let stacktop = u32::try_from(frame.stacktop?).ok()?;
    Some((stacktop, known.codes.get(frame.code)?.variables?))
}

/// 3.14 on: adds the callees that have not returned, until it is sure that there are no more.
fn add_callees(
    stack: &mut RawStack,
    known: CopyContext<'_>,
    first: Address,
    slot: &impl Fn(Address) -> Slot,
) -> TopFrame {
    let mut next = first;
    for _ in 0..MAX_ADDED {
        let (frame, previous) = match slot(next) {
            Slot::Frame(frame, previous) if !frame.is_over && !is_left_behind(&frame, known) => {
                (frame, previous)
            }
            Slot::Frame(..) | Slot::Empty => return TopFrame::Found,
            Slot::NotCopied => return TopFrame::Unknown,
        };
        let is_callee = stack.frames.first().map(|top| top.at) == Some(previous);
        match (bytes_of(frame, known), is_callee) {
            (Some(bytes), true) => {
                stack.frames.insert(0, frame);
                next = known.chunks.slot_after(next + bytes);
            }
            // Called by C code, or by a generator.
            (Some(_), false) => return TopFrame::Unknown,
            (None, true) => return TopFrame::Wants(frame.code),
            // What was never a frame, or was one that lay otherwise.
            (None, false) => return TopFrame::Found,
        }
    }
    TopFrame::Unknown
}

/// The bytes that a frame takes; `None` when it has no known code object.
fn bytes_of(frame: RawFrame, known: CopyContext<'_>) -> Option<u64> {
    known.codes.get(frame.code)?.frame_bytes
}
