//! Turns a thread state into its stack, read in one batch where the places of its frames are known.
//!
//! [`Places`] remembers where the last sample found the frames; one batch then copies the thread state
//! and all these places. What lies elsewhere now is learnt frame by frame, and copied in one batch again.

use rustc_hash::FxHashMap;

use super::code::{CodeCache, Moment};
use super::frames::{
    Circle, Ends, FrameFormat, RawFrame, RawStack, ThreadFields, TopRule, walk, walk_live,
};
use super::outside::Outside;
use super::shape::{Chunk, Shape};
use super::top::{self, Known, Open, Slot, Verdict};
use crate::memory::window::{Window, int_at, word_at};
use crate::memory::{Address, ReadMemory};

/// The most data-stack chunks that are followed: with 16 KiB each they hold far more than
/// [`MAX_WALK`](super::frames::MAX_WALK) frames.
const MAX_CHUNKS: usize = 4096;

/// The largest chunk that is believed. Chunks have 16 KiB, doubled for a single frame that needs more.
const MAX_CHUNK_BYTES: u64 = 1 << 22;

/// The most bytes of one thread's chunks that are copied as a whole, enough for some 100,000 frames;
/// frames in what lies below are read one by one.
const MAX_COPIED_BYTES: u64 = 16 << 20;

/// A chunk with more bytes in use than this is tried at its end before room is made for them.
const BELIEVED_BYTES: u64 = 64 << 10;

/// `sizeof(_PyStackChunk)` without its data: `previous`, `size`, `top` (`cpython/pystate.h`).
const CHUNK_HEADER: u64 = 24;

/// Bytes copied beyond the end of the stack as last seen: room for a few more calls.
const SLACK: u64 = 512;

/// How much more than that may be copied before the copy is made smaller.
const SURPLUS: u64 = 4096;

/// Where the frames of one thread lay when they were last read.
#[derive(Debug, Default, Clone)]
pub struct Places {
    /// 3.11, 3.12: the `_PyCFrame`.
    pub(super) cframe: Address,
    /// The data-stack chunks, newest first.
    pub(super) chunks: Vec<Chunk>,
    /// Whether these are all: from the newest to the one that has none before it.
    are_all_chunks: bool,
    /// Frames outside of the chunks; up to 3.10 all frames.
    pub(super) outside: Outside,
    pub(super) ends: Ends,
    shape: Shape,
    /// Who resumed the generators of stacks that were completed, by their frames.
    pub(super) resumed_by: FxHashMap<Address, Address>,
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
    chunk_count: usize,
    /// What `cframe` and the pointer were after the frames were copied.
    cframe_again: Option<usize>,
    pub(super) pointer_again: Option<usize>,
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
        let frames = |planned: &Planned| planned.ranges..planned.chunks + planned.chunk_count;
        self.before_the_pointer().is_none_or(|before| {
            let mut pairs = frames(&before).zip(frames(self));
            pairs.all(|(before, after)| window.piece(before) == window.piece(after))
        })
    }
}

/// What came out of looking at a thread's pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// All frames were in the pieces, and [`top`] says that they are of one moment.
    Settled,
    /// All frames were in the pieces; whether they are of one moment is not decided.
    Open(Open),
    /// A frame lies where nothing was copied: [`Places::learn`].
    Moved,
    /// The thread state itself could not be read: the thread or the process is gone.
    Gone,
}

impl Places {
    /// Asks for all that a look at the thread needs, in the order in which it is to be copied; for the frames twice,
    /// before the pointer and after it, if `with_before`.
    pub(super) fn plan(
        &self,
        thread: Address,
        format: FrameFormat<'_>,
        with_before: bool,
        window: &mut Window,
    ) -> Planned {
        let layout = format.layout;
        let before = with_before.then(|| self.plan_frames(window));
        let state = window.want(thread, ThreadFields::bytes_needed(layout));
        let pointer = match layout.thread.cframe_current_frame {
            Some(offset) => self.cframe + offset,
            None => thread + layout.thread.frame,
        };
        let cframe = layout.thread.cframe_current_frame;
        let cframe = cframe.map(|_| window.want(pointer, 8));
        let (ranges, chunks) = self.plan_frames(window);
        let asks_again = format.rule() == TopRule::Pointer || !self.outside.ranges().is_empty();
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
            chunk_count: self.chunks.len(),
            cframe_again,
            pointer_again,
        }
    }

    /// Asks for the frames; returns where the ranges and the chunks begin.
    fn plan_frames(&self, window: &mut Window) -> (usize, usize) {
        let ranges = window.len();
        for range in self.outside.ranges() {
            window.want(range.at, range.length);
        }
        let chunks = window.len();
        for chunk in &self.chunks {
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
    ) -> (Look, Option<ThreadFields>) {
        let Some(fields) = window
            .piece(planned.state)
            .and_then(|bytes| ThreadFields::parse(bytes, format.layout))
        else {
            return (Look::Gone, None);
        };
        let look = self.look_at_frames(
            &fields, planned, window, format, codes, now, is_still, stack,
        );
        self.follow_top(&fields);
        (look.unwrap_or(Look::Moved), Some(fields))
    }

    #[allow(clippy::too_many_arguments)]
    fn look_at_frames(
        &mut self,
        fields: &ThreadFields,
        planned: Planned,
        window: &Window,
        format: FrameFormat<'_>,
        codes: &CodeCache,
        now: Moment,
        is_still: bool,
        stack: &mut RawStack,
    ) -> Option<Look> {
        let pointer = |piece| window.piece(piece).and_then(|bytes| word_at(bytes, 0));
        let current = match planned.cframe {
            Some(_) if fields.frame != self.cframe => return None,
            Some(piece) => Address(pointer(piece)?),
            None => fields.frame,
        };
        let is_on_data_stack = |at: Address| self.is_on_data_stack(at);
        // Most frames lie in the newest chunk.
        let newest = self.chunks.first().map(|chunk| chunk.at);
        let newest = newest.zip(window.piece(planned.chunks));
        let header = format.header();
        let find = |at: Address| match newest {
            Some((start, bytes)) if at >= start && at.0 - start.0 < bytes.len() as u64 => {
                bytes.get((at.0 - start.0) as usize..)?.get(..header)
            }
            _ => self.find(at, planned, window, format),
        };
        walk(current, format, self.ends, stack, find, is_on_data_stack)?;
        stack.may_end_bare(is_still);
        if format.rule() == TopRule::Pointer {
            self.outside.has_seen(stack.frames.len(), format.header());
        }
        let cframe_stands = planned
            .cframe_again
            .is_none_or(|piece| pointer(piece) == Some(self.cframe.0));
        let again = planned.pointer_again.map(pointer);
        let pointer_stands = again.map(|again| cframe_stands && again == Some(current.0));
        let known = Known {
            format,
            codes,
            now,
            chunks: &self.chunks,
            may_be_beside: self.are_all_chunks && !self.outside.ranges().is_empty(),
            pointer_stands,
            is_still,
        };
        let slot = |at: Address| slot(&self.chunks, at, planned, window, format);
        let has_trace = |caller: &RawFrame, callee: &RawFrame| {
            let bytes = |at: Address, length: usize| {
                let number = self.chunks.iter().position(|chunk| chunk.holds(at))?;
                window.within(planned.chunks + number, at, length)
            };
            has_called(format, caller, callee, bytes)
        };
        Some(
            match top::settle(stack, &mut self.shape, known, slot, has_trace) {
                Verdict::Settled => Look::Settled,
                Verdict::Open(open) => Look::Open(open),
            },
        )
    }

    /// Believes what speaks against a stack that was seen in a thread that stood still.
    pub(super) fn believe(&mut self, open: Open) {
        if let Some(gap) = open.gap {
            self.shape.learn(gap);
        }
        if let Some(link) = open.link {
            self.shape.links.learn(link);
        }
    }

    pub(super) fn is_on_data_stack(&self, at: Address) -> bool {
        self.chunks.iter().any(|chunk| chunk.spans(at))
    }

    /// Copies as much of the newest chunk as is in use, from the next time on.
    fn follow_top(&mut self, fields: &ThreadFields) {
        let (Some((at, top)), Some(newest)) = (fields.chunk, self.chunks.first_mut()) else {
            return;
        };
        let room = newest.size.min(MAX_CHUNK_BYTES);
        if let Some(used) = top.offset_from(at)
            && at == newest.at
            && used <= room
        {
            let wanted = (used + SLACK).min(room);
            if newest.copied < wanted || newest.copied > wanted + SURPLUS {
                newest.copied = wanted;
            }
        }
    }

    /// The bytes of the frame at `at`, when they were copied.
    pub(super) fn find<'w>(
        &self,
        at: Address,
        planned: Planned,
        window: &'w Window,
        format: FrameFormat<'_>,
    ) -> Option<&'w [u8]> {
        if let Some(number) = self.chunks.iter().position(|chunk| chunk.holds(at)) {
            return window.within(planned.chunks + number, at, format.header());
        }
        let number = self.outside.range_of(at)?;
        window.within(planned.ranges + number, at, format.header())
    }

    /// Makes the next [`Places::learn`] walk the whole stack: what was known of it did not help.
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
        self.learn_chunks(&fields, memory);
        if self.chunks.is_empty() {
            self.learn_top(current, format, memory);
        } else {
            self.learn_outside(current, format, memory);
        }
        let are_used_again = format.rule() == TopRule::Pointer;
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
        for chunk in &self.chunks {
            window.want(chunk.at, chunk.copied as usize);
        }
        window.fill(memory);
        let mut outside = Vec::new();
        let fetch = |at, header: &mut [u8]| {
            let in_chunk = self
                .chunks
                .iter()
                .enumerate()
                .find_map(|(number, _)| window.within(number, at, header.len()));
            match in_chunk {
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
        let fetch = |at, header: &mut [u8]| {
            if let Some(number) = known.get(&at) {
                met = Some(*number);
                return None;
            }
            let number = self.outside.range_of(at);
            match number.and_then(|number| window.within(number, at, header.len())) {
                Some(bytes) => header.copy_from_slice(bytes),
                None => memory.read(at, header).ok()?,
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

    /// Follows the chunks from the newest to the oldest.
    fn learn_chunks(&mut self, fields: &ThreadFields, memory: &impl ReadMemory) {
        self.chunks.clear();
        self.are_all_chunks = false;
        self.shape.forget_order();
        let Some((mut at, top)) = fields.chunk else {
            return;
        };
        let mut circle = Circle::default();
        let mut copied = 0;
        while !at.is_null() && self.chunks.len() < MAX_CHUNKS && !circle.closes_at(at) {
            let newest_top = self.chunks.is_empty().then_some(top);
            let Some((chunk, previous)) = read_chunk(at, newest_top, memory) else {
                return;
            };
            copied += chunk.copied;
            let is_there = chunk.copied <= BELIEVED_BYTES
                || memory.read(at + (chunk.copied - 1), &mut [0]).is_ok();
            if copied > MAX_COPIED_BYTES || !is_there {
                return;
            }
            self.chunks.push(chunk);
            at = previous;
        }
        self.are_all_chunks = at.is_null();
    }
}

/// What lies at `at` in the chunks.
pub(super) fn slot(
    chunks: &[Chunk],
    at: Address,
    planned: Planned,
    window: &Window,
    format: FrameFormat<'_>,
) -> Slot {
    let Some(number) = chunks.iter().position(|chunk| chunk.spans(at)) else {
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
    // `f_func` is the first field in 3.11; `f_funcobj` comes after `f_executable` and `previous` later on.
    let function_at = if format.version.at_least(12) { 16 } else { 0 };
    let word = |at: Address| word_at(bytes(at, 8)?, 0);
    // From 3.14 on these are `_PyStackRef`s, with tag bits.
    let untagged = |word: u64| word & !7;
    let header = bytes(caller.at, format.header());
    let saved = match (layout.stackpointer, layout.stacktop) {
        (Some(offset), _) => header.and_then(|bytes| word_at(bytes, offset)).map(Address),
        (None, Some(offset)) => header
            .and_then(|bytes| int_at(bytes, offset))
            .and_then(|words| u64::try_from(words).ok())
            .map(|words| caller.at + (layout.size.next_multiple_of(8) + words * 8)),
        (None, None) => None,
    };
    let (Some(function), Some(saved)) = (word(callee.at + function_at), saved) else {
        return false;
    };
    // What lies above the caller is the callee itself, which names its own function.
    let is_callers = |at: &Address| callee.at < caller.at || *at < callee.at;
    let places = (0..TRACE_WORDS).map(|number| saved + 8 * number);
    places
        .take_while(is_callers)
        .any(|at| word(at).map(untagged) == Some(untagged(function)))
}

/// Reads the header of the chunk at `at`: `previous`, `size` and `top`, which counts words and holds for
/// a chunk that is not the newest (`push_chunk` in `pystate.c`). Returns the one before it, too.
fn read_chunk(
    at: Address,
    newest_top: Option<Address>,
    memory: &impl ReadMemory,
) -> Option<(Chunk, Address)> {
    let mut header = [0; CHUNK_HEADER as usize];
    memory.read(at, &mut header).ok()?;
    let [previous, size, saved_top] = [0, 8, 16].map(|offset| word_at(&header, offset));
    let (previous, size, saved_top) = (Address(previous?), size?, saved_top?);
    if !(CHUNK_HEADER..=MAX_CHUNK_BYTES).contains(&size) {
        return None;
    }
    let saved_used = saved_top.saturating_mul(8).saturating_add(CHUNK_HEADER);
    let used = match newest_top {
        Some(top) => top.offset_from(at).unwrap_or(size).saturating_add(SLACK),
        None => saved_used,
    };
    // The root chunk leaves out its first word.
    let root_word = if previous.is_null() { 8 } else { 0 };
    let chunk = Chunk {
        at,
        size,
        copied: used.min(size),
        first_frame: at + (CHUNK_HEADER + root_word),
        end: newest_top.is_none().then_some(at + saved_used),
    };
    Some((chunk, previous))
}
