//! Turns a walked stack into the places where its frames do not lie as calls lay them.
//!
//! From 3.11 on a thread's frames lie one after another in its data-stack chunks, in calling order: each
//! call takes `co_framesize` words at the end (`_PyThreadState_PushFrame`), each return gives them
//! back. So a stack whose frames skip a part of the chunk, or which does not begin at its start, has
//! been put together from two moments, with few exceptions: a frame whose variables are being freed
//! is out of the stack but still in the chunk while `__del__` methods run above it.
//!
//! Up to 3.10 nothing is known of how frames lie, but the outermost frame of a thread stays for long.

use super::chunks::Chunks;
use super::code::{CodeCache, Extent, Moment};
use super::frames::{RawFrame, RawStack, StackEnd};
use super::links::{KnownCalls, Link};
use crate::memory::Address;

/// The most exceptions that are remembered of a thread; beyond, they are learnt anew.
const MAX_KNOWN: usize = 16;

/// A stack of more frames than this is deep.
const DEEP: usize = 1000;

/// A place where the frames of a stack do not follow one another: where the next frame belongs, and
/// where it is.
type Gap = (Address, Address);

/// What looking at the code objects of a stack and at the places of its frames tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LayoutIssues {
    /// The innermost gap.
    pub gap: Option<Gap>,
    /// The innermost link that is not known.
    pub link: Option<Link>,
    /// Whether a code object is unknown, or is to be compared with what was read of it.
    pub wants_codes: bool,
    /// Where the next callee's frame would lie (3.11 on).
    pub next_slot: Option<Address>,
    /// Whether the outermost frame is a generator's, which always has a caller.
    pub is_loose: bool,
    /// Whether a frame is at an instruction that its code object does not have: it was copied while it was written.
    pub is_torn: bool,
}

impl LayoutIssues {
    /// Whether nothing speaks against the frames so far.
    pub fn is_in_order(&self) -> bool {
        let is_whole = !self.is_loose && !self.is_torn;
        is_whole && self.gap.is_none() && self.link.is_none() && !self.wants_codes
    }
}

/// How the frames of one thread lie, as far as is known.
#[derive(Debug, Clone, Default)]
pub(super) struct ChunkContiguity {
    /// The gaps that were seen in a thread that stood still.
    known: Vec<Gap>,
    pub links: KnownCalls,
    /// The links of the stack examined last that are not known, but have their trace.
    traced: Vec<Link>,
    /// The frames last found in order, outermost first. Most of the next stack is the same.
    ordered: Vec<Ordered>,
    /// [`Moment::generation`] and [`CodeCache::changes`] then.
    ordered_at: (Option<u64>, u64),
}

/// A frame that follows those before it, whose code objects are known.
#[derive(Debug, Clone, Copy)]
struct Ordered {
    at: Address,
    code: Address,
    code_number: u64,
    extent: Extent,
    is_in_chunk: bool,
    is_generator: bool,
    /// Where the next frame would lie.
    next_slot: Option<Address>,
    /// When its code object, or one of those before it, is to be compared again.
    due_ns: u64,
}

impl ChunkContiguity {
    /// Looks at all frames of `stack`, from the outermost to the innermost. `has_trace` tells whether a frame
    /// has the trace of having called another.
    pub fn examine(
        &mut self,
        stack: &RawStack,
        chunks: &Chunks,
        codes: &CodeCache,
        now: Moment,
        has_trace: impl Fn(&RawFrame, &RawFrame) -> bool,
    ) -> LayoutIssues {
        let same = self.count_same(stack, codes, now);
        self.ordered.truncate(same);
        self.traced.clear();
        let before = self.ordered.last().copied();
        let ends = stack.end == StackEnd::Outermost;
        let mut findings = self.begin(before, chunks, ends);
        let mut due_ns = before.map_or(u64::MAX, |before| before.due_ns);
        let mut caller = before.map(|before| (before.code_number, before.is_in_chunk));
        let mut last = None;
        for (number, frame) in stack.frames.iter().rev().enumerate().skip(same) {
            // A deep stack is a recursion: most frames are of the function before.
            if last.is_none_or(|(at, _)| at != frame.code) {
                last = Some((frame.code, codes.at_moment(frame.code, now)));
            }
            let Some((code, fresh_until_ns)) = last.and_then(|(_, code)| code) else {
                findings.wants_codes = true;
                findings.next_slot = None;
                caller = None;
                continue;
            };
            findings.wants_codes |= fresh_until_ns < now.at_ns;
            findings.is_torn |= !code.extent.holds(frame);
            findings.is_loose |= number == 0 && code.is_generator && ends;
            let is_in_chunk = chunks.hold(frame.at);
            self.place(number, frame.at, is_in_chunk, &mut findings);
            if is_in_chunk && findings.next_slot.is_some() {
                let end = code.frame_bytes.map(|bytes| frame.at + bytes);
                findings.next_slot = end.map(|end| chunks.slot_after(end));
            }
            if let Some((caller, true)) = caller
                && is_in_chunk
                && !findings.is_torn
                && !frame.entered_from_c
            {
                let below = &stack.frames[stack.frames.len() - number];
                let link = (caller, code.number);
                if !below.has_called {
                    findings.link = Some(link);
                } else if !self.links.is_known(link) {
                    findings.link = Some(link);
                    self.traced.extend(has_trace(below, frame).then_some(link));
                }
            }
            caller = Some((code.number, is_in_chunk));
            due_ns = due_ns.min(fresh_until_ns);
            if findings.is_in_order() {
                self.ordered.push(Ordered {
                    at: frame.at,
                    code: frame.code,
                    code_number: code.number,
                    extent: code.extent,
                    is_in_chunk,
                    is_generator: code.is_generator,
                    next_slot: findings.next_slot,
                    due_ns,
                });
            }
        }
        findings
    }

    /// What is known before the frames are looked at that are not as `before`.
    fn begin(&self, before: Option<Ordered>, chunks: &Chunks, ends: bool) -> LayoutIssues {
        // It may have been in order as the outermost frame of a stack of which more was missing.
        let begins_with_generator = self.ordered.first().is_some_and(|first| first.is_generator);
        LayoutIssues {
            gap: None,
            link: None,
            wants_codes: false,
            next_slot: match before {
                Some(before) => before.next_slot,
                None => chunks.last().map(|chunk| chunk.first_frame),
            },
            is_loose: begins_with_generator && ends,
            is_torn: false,
        }
    }

    /// Whether the code objects of a deep stack are to be compared again at `now`: before it is looked at, as it would be
    /// looked at twice otherwise.
    pub fn are_codes_due(&self, now: Moment) -> bool {
        let innermost = self.ordered.get(DEEP..).and_then(<[Ordered]>::last);
        innermost.is_some_and(|innermost| innermost.due_ns <= now.at_ns)
    }

    /// How many frames, from the outermost, are those that were last found in order.
    fn count_same(&mut self, stack: &RawStack, codes: &CodeCache, now: Moment) -> usize {
        let known_at = (now.generation, codes.changes());
        if self.ordered_at != known_at {
            self.ordered_at = known_at;
            self.ordered.clear();
        }
        let from_outermost = stack.frames.iter().rev();
        from_outermost
            .zip(&self.ordered)
            .take_while(|(frame, before)| {
                (frame.at, frame.code) == (before.at, before.code)
                    && before.due_ns > now.at_ns
                    && before.extent.holds(frame)
            })
            .count()
    }

    /// Takes in the traces of the stack examined last, against which nothing else speaks.
    pub fn weigh_traces(&mut self, now_ns: u64) {
        for link in self.traced.drain(..) {
            self.links.weigh_trace(link, now_ns);
        }
    }

    /// Compares where frame `number`, from the outermost, lies with where it belongs.
    fn place(
        &mut self,
        number: usize,
        at: Address,
        is_in_chunk: bool,
        findings: &mut LayoutIssues,
    ) {
        let expected = match findings.next_slot {
            None if number == 0 => Address::NULL,
            None => return,
            Some(expected) => expected,
        };
        if !is_in_chunk && !expected.is_null() {
            return;
        }
        let gap = (expected, at);
        if at == expected {
            // What lay there and was left out is over, or never was left out.
            self.known.retain(|(skipped, _)| *skipped != at);
        } else if !self.known.contains(&gap) {
            findings.gap = Some(gap);
        }
    }

    /// Forgets what was found in order: the chunks are others now.
    pub fn forget_order(&mut self) {
        self.ordered.clear();
    }

    /// Believes a gap from now on.
    pub fn learn(&mut self, gap: Gap) {
        if self.known.contains(&gap) {
            return;
        }
        if self.known.len() == MAX_KNOWN {
            self.known.clear();
        }
        self.known.push(gap);
    }
}
