//! Turns a thread state into its stack, read in one batch where the places of its frames are known.
//!
//! [`Places`] remembers where the last sample found the frames; one batch then copies the thread
//! state and all these places, in walking order. What lies elsewhere now is learnt frame by frame,
//! and copied in one batch again.

use rustc_hash::FxHashMap;

use super::code::CodeCache;
use super::frames::{
    Circle, FrameFormat, MAX_FRAME_HEADER, RawStack, StackEnd, ThreadFields, walk, walk_live,
};
use super::layout::Layout;
use super::top::{self, Top};
use crate::memory::window::{Window, word_at};
use crate::memory::{Address, ReadMemory};

/// The most data-stack chunks that are followed: with 16 KiB each they hold far more than
/// [`MAX_WALK`] frames.
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
const SLACK: u64 = 1024;

/// Where the frames of one thread lay when they were last read.
#[derive(Debug, Default, Clone)]
pub struct Places {
    /// 3.11, 3.12: the `_PyCFrame`.
    cframe: Address,
    /// The data-stack chunks, newest first: start and bytes in use.
    chunks: Vec<(Address, u64)>,
    /// Frames outside of the chunks, in walking order; up to 3.10 all frames.
    outside: Vec<Address>,
    /// The frame that could not be read when the places were learnt: where the stack ends.
    broken: Option<Address>,
    /// The outermost frame. It stays the same for long; a stack with another one is not believed
    /// before it was seen [`BOTTOM_SEEN`] times in a row.
    bottom: Bottom,
}

/// The outermost frame of a thread.
#[derive(Debug, Default, Clone, Copy)]
struct Bottom {
    known: Address,
    candidate: Address,
    seen: u32,
}

/// How often in a row another outermost frame must be seen: links that are missing in the midst of a
/// call are there at the next try.
const BOTTOM_SEEN: u32 = 3;

impl Bottom {
    /// Takes in the outermost frame of one more copy; whether it is to be believed.
    fn believes(&mut self, at: Address) -> bool {
        if at == self.known {
            self.seen = 0;
            return true;
        }
        self.seen = if at == self.candidate {
            self.seen + 1
        } else {
            1
        };
        self.candidate = at;
        if self.seen >= BOTTOM_SEEN {
            self.known = at;
        }
        self.seen >= BOTTOM_SEEN
    }
}

/// The numbers of a thread's pieces in a [`Window`].
#[derive(Debug, Clone, Copy)]
pub struct Planned {
    state: usize,
    cframe: Option<usize>,
    chunks: usize,
    outside: usize,
    pointer_again: Option<usize>,
}

impl Planned {
    /// The piece that holds the `PyThreadState`.
    #[must_use]
    pub fn state_piece(&self) -> usize {
        self.state
    }
}

/// What came out of looking at a thread's pieces.
#[derive(Debug)]
pub enum Look {
    /// All frames were in the pieces, and [`top`] says that they are of one moment.
    Settled(RawStack),
    /// All frames were in the pieces; whether they are of one moment is not decided.
    Unsettled(RawStack),
    /// A frame lies where nothing was copied: [`Places::learn`].
    Moved,
    /// The thread state itself could not be read: the thread or the process is gone.
    Gone,
}

impl Places {
    /// Asks for all that a look at the thread needs, in the order in which it is to be copied.
    pub fn plan(&self, thread: Address, layout: &Layout, window: &mut Window) -> Planned {
        let state = window.want(thread, ThreadFields::bytes_needed(layout));
        let cframe = layout
            .thread
            .cframe_current_frame
            .map(|offset| window.want(self.cframe + offset, 8));
        let chunks = window.len();
        for (at, used) in &self.chunks {
            window.want(*at, *used as usize);
        }
        let header = (layout.frame.size as usize).min(MAX_FRAME_HEADER);
        let outside = window.len();
        for at in &self.outside {
            window.want(*at, header);
        }
        // Where frames say which one is executing, `top` does not ask for the pointer.
        let pointer_again = layout.frame.stacktop.is_none();
        let pointer_again = pointer_again.then(|| window.want(thread + layout.thread.frame, 8));
        Planned {
            state,
            cframe,
            chunks,
            outside,
            pointer_again,
        }
    }

    /// Walks the stack in the pieces of `planned`.
    pub fn look(
        &mut self,
        planned: Planned,
        window: &Window,
        format: FrameFormat<'_>,
        codes: &CodeCache,
    ) -> (Look, Option<ThreadFields>) {
        let layout = format.layout;
        let Some(fields) = window
            .piece(planned.state)
            .and_then(|bytes| ThreadFields::parse(bytes, layout))
        else {
            return (Look::Gone, None);
        };
        let current = match planned.cframe {
            Some(_) if fields.frame != self.cframe => return (Look::Moved, Some(fields)),
            Some(piece) => window
                .piece(piece)
                .and_then(|bytes| word_at(bytes, 0))
                .map(Address),
            None => Some(fields.frame),
        };
        let Some(current) = current else {
            return (Look::Moved, Some(fields));
        };
        let again = planned
            .pointer_again
            .and_then(|piece| window.piece(piece))
            .and_then(|bytes| word_at(bytes, 0));
        let mut cursor = Cursor::default();
        let find = |at: Address| self.find(at, planned, window, format, &mut cursor);
        let Some(stack) = walk(current, format, self.broken, find) else {
            return (Look::Moved, Some(fields));
        };
        let verdict = top::settle(stack, format, codes, current, again.map(Address));
        let look = match verdict {
            Top::Decided(stack) if self.believes_bottom(&stack) => Look::Settled(stack),
            Top::Decided(stack) | Top::Undecided(stack) => Look::Unsettled(stack),
        };
        (look, Some(fields))
    }

    fn believes_bottom(&mut self, stack: &RawStack) -> bool {
        match (stack.end, stack.frames.last()) {
            (StackEnd::Outermost, Some(outermost)) => self.bottom.believes(outermost.at),
            _ => true,
        }
    }

    /// The bytes of the frame at `at`, when they were copied.
    fn find<'w>(
        &self,
        at: Address,
        planned: Planned,
        window: &'w Window,
        format: FrameFormat<'_>,
        cursor: &mut Cursor,
    ) -> Option<&'w [u8]> {
        // Chunks and frames outside are met in the order in which they were planned, so what comes
        // next is nearly always where the last one was found, or right after it.
        let in_chunk = around(cursor.chunk, self.chunks.len()).find(|number| {
            let (start, used) = self.chunks[*number];
            at >= start && at.0 - start.0 < used
        });
        if let Some(number) = in_chunk {
            cursor.chunk = number;
            return window.within(planned.chunks + number, at, format.header());
        }
        let found = around(cursor.outside, self.outside.len())
            .find(|number| self.outside[*number] == at)?;
        cursor.outside = found + 1;
        window.piece(planned.outside + found)
    }

    /// Makes the next [`Places::learn`] walk the whole stack: what was known of it did not help.
    pub fn forget_frames(&mut self) {
        self.outside.clear();
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
            return Some(fields);
        }
        let mut window = Window::default();
        for (at, used) in &self.chunks {
            window.want(*at, *used as usize);
        }
        window.fill(memory);
        let mut outside = Vec::new();
        self.broken = walk_live(current, format, |at, header| {
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
        });
        self.outside = outside;
        Some(fields)
    }

    /// Where every frame is an object (up to 3.10): finds the frames from the innermost one to the
    /// first that is known; the places of those below it stand.
    fn learn_top(&mut self, current: Address, format: FrameFormat<'_>, memory: &impl ReadMemory) {
        let known: FxHashMap<Address, usize> = self
            .outside
            .iter()
            .enumerate()
            .map(|(number, at)| (*at, number))
            .collect();
        let mut fresh = Vec::new();
        let mut met = None;
        let broken = walk_live(current, format, |at, header| {
            if let Some(number) = known.get(&at) {
                met = Some(*number);
                return None;
            }
            memory.read(at, header).ok()?;
            fresh.push(at);
            Some(())
        });
        match met {
            Some(number) => {
                self.outside.splice(..number, fresh);
            }
            None => {
                self.outside = fresh;
                self.broken = broken;
            }
        }
    }

    /// Follows the chunks from the newest to the oldest.
    fn learn_chunks(&mut self, fields: &ThreadFields, memory: &impl ReadMemory) {
        self.chunks.clear();
        let Some((mut chunk, top)) = fields.chunk else {
            return;
        };
        let mut circle = Circle::default();
        let mut copied = 0;
        while !chunk.is_null() && self.chunks.len() < MAX_CHUNKS && !circle.closes_at(chunk) {
            let mut header = [0; CHUNK_HEADER as usize];
            if memory.read(chunk, &mut header).is_err() {
                return;
            }
            let [Some(previous), Some(size), Some(saved_top)] =
                [0, 8, 16].map(|offset| word_at(&header, offset))
            else {
                return;
            };
            if !(CHUNK_HEADER..=MAX_CHUNK_BYTES).contains(&size) {
                return;
            }
            let used = if self.chunks.is_empty() {
                top.offset_from(chunk).unwrap_or(size).saturating_add(SLACK)
            } else {
                // `top` of a chunk that is not the newest counts words (`push_chunk` in `pystate.c`).
                saved_top.saturating_mul(8).saturating_add(CHUNK_HEADER)
            };
            let used = used.min(size);
            copied += used;
            let is_there =
                used <= BELIEVED_BYTES || memory.read(chunk + (used - 1), &mut [0]).is_ok();
            if copied > MAX_COPIED_BYTES || !is_there {
                return;
            }
            self.chunks.push((chunk, used));
            chunk = Address(previous);
        }
    }
}

/// Where the last frame of a walk was found.
#[derive(Debug, Default)]
struct Cursor {
    chunk: usize,
    outside: usize,
}

/// All numbers below `count`, from `start` on and then from 0.
fn around(start: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |step| (start + step) % count)
}
