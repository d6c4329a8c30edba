//! Turns a thread state into its stack, read in one batch where the places of its frames are known.
//!
//! [`StackRanges`] remembers where the last sample found the frames; one batch then copies the thread state
//! and all these places. What lies elsewhere now is learnt frame by frame, and copied in one batch again.

use std::cell::Cell;

use rustc_hash::FxHashMap;

use super::chunks::Chunks;
use super::code::{CodeCache, Moment};
use super::frames::{Ends, FrameFormat, RawFrame, RawStack, ThreadFields, walk, walk_live};
use super::layout::traits::{EntryMark, TopRule};
use super::outside::OffChunkFrames;
use super::running_task::TaskPieces;
use super::shape::ChunkContiguity;
use super::top::{self, CopyContext, Doubts, Slot, Verdict};
use crate::memory::window::{Window, int_at, word_at};
use crate::memory::{Address, Blocks, ReadMemory};

/// Data stacks of more bytes are copied once: that alone takes longer than many calls.
const MAX_COPIED_TWICE: u64 = 64 << 10;

/// Where the frames of one thread lay when they were last read.
#[derive(Debug, Default, Clone)]
pub struct StackRanges {
    /// 3.11, 3.12: the `_PyCFrame`.
    pub(super) cframe: Address,
    /// The data-stack chunks.
    pub(super) chunks: Chunks,
    /// Frames outside of the chunks; up to 3.10 all frames.
    pub(super) outside: OffChunkFrames,
    pub(super) ends: Ends,
    shape: ChunkContiguity,
    /// Who resumed the generators of stacks that were completed, by their frames.
    pub(super) resumed_by: FxHashMap<Address, Address>,
    /// The frames of stacks that were completed, by where they lay, each with the code object of its caller.
    pub(super) frames_at: FxHashMap<Address, (RawFrame, Option<Address>)>,
}

/// The numbers of a thread's pieces in a [`Window`].
#[derive(Debug, Clone, Copy)]
pub struct Planned {
    pub(super) state: usize,
    pub(super) cframe: Option<usize>,
    ranges: usize,
    chunks: usize,
    /// Where the same ranges and chunks begin that are copied before the pointer is, if they are.
    before: Option<(usize, usize)>,
    /// What `cframe` and the pointer were after the frames were copied.
    cframe_again: Option<usize>,
    pub(super) pointer_again: Option<usize>,
    /// Where the asyncio task of the last sample is.
    pub(super) task: Option<TaskPieces>,
}

impl Planned {
    /// The piece that holds the `PyThreadState`.
    #[must_use]
    pub fn state_piece(&self) -> usize {
        self.state
    }

    /// The same with the frames as they were before the pointer was copied.
    pub(super) fn before_the_pointer(&self) -> Option<Planned> {
        let (ranges, chunks) = self.before?;
        Some(Planned {
            ranges,
            chunks,
            ..*self
        })
    }

    /// Whether the frames are the same before and after the pointer was copied, or were copied once.
    pub(super) fn shows_one_moment(&self, window: &Window) -> bool {
        // The state, which names the pointer, follows what is copied before it.
        self.before.is_none_or(|(ranges, _)| {
            let mut pairs = (ranges..self.state).zip(self.ranges..);
            pairs.all(|(before, after)| window.piece(before) == window.piece(after))
        })
    }
}

/// What came out of looking at a thread's pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadOutcome {
    /// All frames were in the pieces, and [`top`] says that they are of one moment.
    Settled,
    /// All frames were in the pieces; whether they are of one moment is not decided.
    Undecided(Doubts),
    /// A frame lies where nothing was copied: [`StackRanges::learn`].
    Moved,
    /// The thread state itself could not be read: the thread or the process is gone.
    Gone,
}

impl StackRanges {
    /// Asks for all that a look at the thread needs, in the order in which it is to be copied; for the frames twice,
    /// before the pointer and after it, if `with_before`. `state_bytes`: so much of the thread state is wanted at least.
    pub(super) fn plan(
        &self,
        thread: Address,
        format: FrameFormat<'_>,
        with_before: bool,
        state_bytes: usize,
        window: &mut Window,
    ) -> Planned {
        let layout = format.layout;
        let chunk_bytes = || self.chunks.iter().map(|chunk| chunk.copied).sum::<u64>();
        let is_twice = with_before && chunk_bytes() <= MAX_COPIED_TWICE;
        let before = is_twice.then(|| self.plan_frames(window));
        let state_bytes = state_bytes.max(ThreadFields::bytes_needed(layout));
        let state = window.want(thread, state_bytes);
        let pointer = match layout.thread.cframe_current_frame {
            Some(offset) => self.cframe + offset,
            None => thread + layout.thread.frame,
        };
        let cframe = layout.thread.cframe_current_frame;
        let cframe = cframe.map(|_| window.want(pointer, 8));
        let (ranges, chunks) = self.plan_frames(window);
        let asks_again =
            format.traits.top_rule == TopRule::Pointer || !self.outside.ranges().is_empty();
        // A `_PyCFrame` lies on the C stack: it may be over, and still name the frame that it named last.
        let cframe_again = cframe.filter(|_| asks_again);
        let cframe_again = cframe_again.map(|_| window.want(thread + layout.thread.frame, 8));
        let pointer_again = asks_again.then(|| window.want(pointer, 8));
        Planned {
            state,
            cframe,
            ranges,
            chunks,
            before,
            cframe_again,
            pointer_again,
            task: None,
        }
    }

    /// Asks for the frames; returns where the ranges and the chunks begin.
    fn plan_frames(&self, window: &mut Window) -> (usize, usize) {
        let ranges = window.piece_count();
        for range in self.outside.ranges() {
            window.want(range.at, range.length);
        }
        let chunks = window.piece_count();
        for chunk in self.chunks.iter() {
            window.want(chunk.at, chunk.copied as usize);
        }
        (ranges, chunks)
    }

    /// Walks the stack in the pieces of `planned`, into `stack`. `is_still` tells that it did not change meanwhile.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn look(
        &mut self,
        planned: Planned,
        window: &Window,
        format: FrameFormat<'_>,
        codes: &CodeCache,
        now: Moment,
        is_still: bool,
        stack: &mut RawStack,
    ) -> (ReadOutcome, Option<ThreadFields>) {
        let Some(fields) = window
            .piece(planned.state)
            .and_then(|bytes| ThreadFields::parse(bytes, format.layout))
        else {
            return (ReadOutcome::Gone, None);
        };
        let look = self.look_at_frames(
            &fields, planned, window, format, codes, now, is_still, stack,
        );
        self.chunks.follow_top(fields.chunk);
        (look.unwrap_or(ReadOutcome::Moved), Some(fields))
    }

    #[allow(clippy::too_many_arguments)]
    fn look_at_frames<'w>(
        &mut self,
        fields: &ThreadFields,
        planned: Planned,
        window: &'w Window,
        format: FrameFormat<'_>,
        codes: &CodeCache,
        now: Moment,
        is_still: bool,
        stack: &mut RawStack,
    ) -> Option<ReadOutcome> {
        let pointer = |piece| window.piece(piece).and_then(|bytes| word_at(bytes, 0));
        let current = match planned.cframe {
            Some(_) if fields.frame != self.cframe => return None,
            Some(piece) => Address(pointer(piece)?),
            None => fields.frame,
        };
        let is_on_data_stack = |at: Address| self.is_on_data_stack(at);
        // Most frames lie in the same piece as their callee.
        let last = Cell::new(None);
        let header = format.header();
        let find = |at: Address| {
            let within = |(start, bytes): (Address, &'w [u8])| {
                let skip = usize::try_from(at.offset_from(start)?).ok()?;
                bytes.get(skip..)?.get(..header)
            };
            last.get().and_then(within).or_else(|| {
                last.set(self.piece_with(at, planned, window));
                last.get().and_then(within)
            })
        };
        walk(current, format, self.ends, stack, find, is_on_data_stack)?;
        self.may_end_bare(stack, format, is_still);
        if format.traits.top_rule == TopRule::Pointer {
            self.outside.has_seen(stack.frames.len(), format.header());
        }
        let cframe_stands = planned
            .cframe_again
            .is_none_or(|piece| pointer(piece) == Some(self.cframe.0));
        let again = planned.pointer_again.map(pointer);
        let pointer_stands = again.map(|again| cframe_stands && again == Some(current.0));
        let known = CopyContext {
            format,
            codes,
            now,
            chunks: &self.chunks,
            may_be_beside: self.chunks.are_all && !self.outside.ranges().is_empty(),
            pointer_stands,
            is_still,
        };
        let slot = |at: Address| slot(&self.chunks, at, planned, window, format);
        let has_trace = |caller: &RawFrame, callee: &RawFrame| {
            let bytes = |at: Address, length: usize| {
                let number = self.chunks.holding(at)?;
                window.within(planned.chunks + number, at, length)
            };
            has_called(format, caller, callee, bytes)
        };
        Some(
            match top::correct(stack, &mut self.shape, known, slot, has_trace) {
                Verdict::Settled => ReadOutcome::Settled,
                Verdict::Undecided(doubts) => ReadOutcome::Undecided(doubts),
            },
        )
    }

    /// Whether the code objects of the stack are to be compared before it is looked at.
    pub(super) fn are_codes_due(&self, now: Moment) -> bool {
        self.shape.are_codes_due(now)
    }

    /// Believes what speaks against a stack that was seen in a thread that stood still.
    pub(super) fn believe(&mut self, doubts: Doubts) {
        if let Some(gap) = doubts.gap {
            self.shape.learn(gap);
        }
        if let Some(link) = doubts.link {
            self.shape.links.learn(link);
        }
    }

    /// Takes a stack for whole that ends at a frame that is no entry frame, where that is the outermost one of a greenlet,
    /// or was made by a compiler.
    ///
    /// While a greenlet is away its frames name one another without the entry frames between them (3.12 on;
    /// `Greenlet::expose_frames` of greenlet 3), also in the moment in which it is still or again the current one. Its
    /// outermost frame is the first of a data stack of its own.
    fn may_end_bare(&self, stack: &mut RawStack, format: FrameFormat<'_>, is_still: bool) {
        let last = stack.frames.last();
        let has_entries = format.traits.entry_mark == EntryMark::EntryFrame;
        let is_whole =
            has_entries && self.is_first(last) || is_still && self.may_be_outermost(last);
        if stack.ends_bare() && is_whole {
            stack.end_bare();
        }
    }

    /// Whether a frame can be one without a caller: a frame on the data stack that is not its first was called, though it
    /// may not name its caller yet.
    fn may_be_outermost(&self, frame: Option<&RawFrame>) -> bool {
        self.is_first(frame) || frame.is_none_or(|frame| !self.chunks.hold(frame.at))
    }

    /// Whether a frame is the first one of the data stack, which has no caller.
    fn is_first(&self, frame: Option<&RawFrame>) -> bool {
        let first = self.chunks.last().map(|chunk| chunk.first_frame);
        first.is_some() && frame.map(|frame| frame.at) == first
    }

    pub(super) fn is_on_data_stack(&self, at: Address) -> bool {
        self.chunks.spanning(at).is_some()
    }

    /// The bytes of the frame at `at`, when they were copied.
    pub(super) fn find<'w>(
        &self,
        at: Address,
        planned: Planned,
        window: &'w Window,
        format: FrameFormat<'_>,
    ) -> Option<&'w [u8]> {
        let (start, bytes) = self.piece_with(at, planned, window)?;
        let skip = usize::try_from(at.offset_from(start)?).ok()?;
        bytes.get(skip..)?.get(..format.header())
    }

    /// The piece in which `at` lies, and where it starts.
    fn piece_with<'w>(
        &self,
        at: Address,
        planned: Planned,
        window: &'w Window,
    ) -> Option<(Address, &'w [u8])> {
        if let Some(number) = self.chunks.holding(at) {
            return Some((
                self.chunks[number].at,
                window.piece(planned.chunks + number)?,
            ));
        }
        let number = self.outside.range_of(at)?;
        let start = self.outside.ranges()[number].at;
        Some((start, window.piece(planned.ranges + number)?))
    }

    /// Makes the next [`StackRanges::learn`] walk the whole stack: what was known of it did not help.
    pub fn forget_frames(&mut self) {
        self.outside.forget_chain();
    }

    /// Finds the places anew, frame by frame, with as many reads as it takes.
    ///
    /// What it read may be of several moments: only the places are kept, the next look decides.
    pub fn learn(
        &mut self,
        thread: Address,
        memory: &impl ReadMemory,
        format: FrameFormat<'_>,
    ) -> Option<ThreadFields> {
        let layout = format.layout;
        let mut bytes = vec![0; ThreadFields::bytes_needed(layout)];
        memory.read(thread, &mut bytes).ok()?;
        let fields = ThreadFields::parse(&bytes, layout)?;
        let current = match layout.thread.cframe_current_frame {
            Some(offset) => {
                self.cframe = fields.frame;
                memory.pointer(fields.frame + offset).ok()?
            }
            None => fields.frame,
        };
        self.chunks.learn(fields.chunk, memory);
        self.shape.forget_order();
        if self.chunks.is_empty() {
            self.learn_top(current, format, memory);
        } else {
            self.learn_outside(current, format, memory);
        }
        let are_used_again = format.traits.top_rule == TopRule::Pointer;
        self.outside
            .lay_out(format.header(), are_used_again, memory);
        Some(fields)
    }

    /// Finds the frames that lie outside of the chunks.
    fn learn_outside(
        &mut self,
        current: Address,
        format: FrameFormat<'_>,
        memory: &impl ReadMemory,
    ) {
        let mut window = Window::default();
        for chunk in self.chunks.iter() {
            window.want(chunk.at, chunk.copied as usize);
        }
        window.fill(memory);
        let mut outside = Vec::new();
        let fetch = |at, header: &mut [u8]| {
            let number = self.chunks.holding(at);
            match number.and_then(|number| window.within(number, at, header.len())) {
                Some(bytes) => header.copy_from_slice(bytes),
                None => {
                    memory.read(at, header).ok()?;
                    outside.push(at);
                }
            }
            Some(())
        };
        let is_on_data_stack = |at: Address| self.is_on_data_stack(at);
        self.ends = walk_live(current, format, fetch, is_on_data_stack);
        // What lies before the outermost frame is asked for only when places are learnt.
        let end = outside.iter().position(|at| self.ends.entry == Some(*at));
        outside.truncate(end.unwrap_or(outside.len()));
        self.outside.set_chain(outside);
    }

    /// Where every frame is an object (up to 3.10): finds the frames from the innermost one to the
    /// first that is known; the places of those below it stand. Where none is, what was copied for earlier
    /// stacks is read at once, as it most likely holds them.
    fn learn_top(&mut self, current: Address, format: FrameFormat<'_>, memory: &impl ReadMemory) {
        let known = self.outside.numbers();
        let mut window = Window::default();
        if known.is_empty() {
            for range in self.outside.ranges() {
                window.want(range.at, range.length);
            }
            window.fill(memory);
        }
        let mut fresh = Vec::new();
        let mut met = None;
        let mut blocks = Blocks::new(memory);
        let fetch = |at, header: &mut [u8]| {
            if let Some(number) = known.get(&at) {
                met = Some(*number);
                return None;
            }
            let number = self.outside.range_of(at);
            match number.and_then(|number| window.within(number, at, header.len())) {
                Some(bytes) => header.copy_from_slice(bytes),
                None => blocks.read(at, header)?,
            }
            fresh.push(at);
            Some(())
        };
        let ends = walk_live(current, format, fetch, |_| false);
        match met {
            Some(number) => self.outside.begin_with(fresh, number),
            None => {
                self.outside.set_chain(fresh);
                self.ends = ends;
            }
        }
    }
}

/// What lies at `at` in the chunks.
pub(super) fn slot(
    chunks: &Chunks,
    at: Address,
    planned: Planned,
    window: &Window,
    format: FrameFormat<'_>,
) -> Slot {
    let Some(number) = chunks.spanning(at) else {
        return Slot::Empty;
    };
    let chunk = &chunks[number];
    if at.0 - chunk.at.0 + format.header() as u64 > chunk.size {
        return Slot::Empty;
    }
    match window.within(planned.chunks + number, at, format.header()) {
        None => Slot::NotCopied,
        Some(bytes) => match format.parse(at, bytes) {
            Some((Some(frame), previous)) => Slot::Frame(frame, previous),
            _ => Slot::Empty,
        },
    }
}

/// How many words above a caller's saved stack pointer may hold the function that it called: the function,
/// and a `self` or NULL before it.
const TRACE_WORDS: u64 = 3;

/// Whether the function of `callee` lies above the saved stack pointer of `caller`. `bytes` gives a part of
/// the copy.
fn has_called<'w>(
    format: FrameFormat<'_>,
    caller: &RawFrame,
    callee: &RawFrame,
    bytes: impl Fn(Address, usize) -> Option<&'w [u8]>,
) -> bool {
    let layout = &format.layout.frame;
    let word = |at: Address| word_at(bytes(at, 8)?, 0);
    let untagged = |word: u64| word & !format.traits.reference_tags;
    let header = bytes(caller.at, format.header());
    let saved = match (layout.stackpointer, layout.stacktop) {
        (Some(offset), _) => header.and_then(|bytes| word_at(bytes, offset)).map(Address),
        (None, Some(offset)) => header
            .and_then(|bytes| int_at(bytes, offset))
            .and_then(|words| u64::try_from(words).ok())
            .map(|words| caller.at + (layout.size.next_multiple_of(8) + words * 8)),
        (None, None) => None,
    };
    let function = layout.function.and_then(|at| word(callee.at + at));
    let (Some(function), Some(saved)) = (function, saved) else {
        return false;
    };
    // What lies above the caller is the callee itself, which names its own function.
    let is_callers = |at: &Address| callee.at < caller.at || *at < callee.at;
    let places = (0..TRACE_WORDS).map(|number| saved + 8 * number);
    places
        .take_while(is_callers)
        .any(|at| word(at).map(untagged) == Some(untagged(function)))
}
