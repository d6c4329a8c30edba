//! Turns the bytes of frames into the frames of a stack, following the links from the innermost outwards.
//!
//! Where frames lie: up to 3.10 each is a heap object. From 3.11 on most lie one after another in the
//! thread's data-stack chunks (`_PyStackChunk`), those of generators and coroutines in their own
//! objects, entry frames on the C stack (3.12 on).

use rustc_hash::FxHashSet;

use super::layout::Layout;
use super::layout::traits::{CallMark, EntryMark, InstructionForm, TopRule, Traits};
use crate::memory::Address;
use crate::memory::window::{int_at, word_at};

/// The most frames that a walk follows. CPython's own limit is 1,000 unless the program raises it;
/// past this the memory is damaged or runs in a circle.
pub const MAX_WALK: usize = 1 << 18;

/// How many frames at each end of a stack are kept when it is deeper than both together.
pub const KEPT_AT_EACH_END: usize = 16_384;

/// The bytes of one frame that are read at most; every version's frame header is shorter.
pub(super) const MAX_FRAME_HEADER: usize = 256;

/// A frame by its addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawFrame {
    /// Where it lies.
    pub at: Address,
    /// Its code object, untagged.
    pub code: Address,
    /// The instruction as the frame has it: a byte offset up to 3.10 (-1 or less: not started), an
    /// address from 3.11 on.
    pub instruction: i64,
    /// Index of the thread's copy of the bytecode (free-threaded 3.14 on), else 0.
    pub bytecode_copy: i32,
    /// How many of its variables and operands are saved, -1 while it is executing; `None` where its version
    /// does not tell (3.11–3.13 do).
    pub stacktop: Option<i32>,
    /// Whether C code lies between this frame and the one that called it.
    pub entered_from_c: bool,
    /// Whether it has called a Python function by itself, not through C code, since it began; only known to
    /// be false from 3.11 on.
    pub has_called: bool,
    /// Whether it says that it lies on the thread's data stack (`FRAME_OWNED_BY_THREAD`, 3.11 on): not where the
    /// version does not tell.
    pub is_on_data_stack: bool,
    /// Whether the frame says that it is over: freed, so that nobody refers to it (up to 3.10, where
    /// a frame is an object), or returned from, so that it names no code object (3.14 on).
    pub is_over: bool,
}

impl RawFrame {
    /// Whether the frame says that it is executing.
    pub(super) fn is_executing(&self) -> bool {
        self.stacktop == Some(-1)
    }
}

/// Why a walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StackEnd {
    /// At the outermost frame.
    Outermost,
    /// At a frame that could not be read, is no frame, or was met before; at the null address, where the last frame has
    /// no caller and is none that has none.
    Unreadable(Address),
    /// After [`MAX_WALK`] frames.
    TooDeep,
}

/// What a walk found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawStack {
    /// The frames, innermost first.
    pub frames: Vec<RawFrame>,
    /// Why there are no more.
    pub end: StackEnd,
    /// Whether it holds a sign of having been copied in the midst of a call, which waiting does not
    /// cure: not even a target that stands still makes it right.
    pub is_dubious: bool,
}

impl RawStack {
    /// Makes it empty, and keeps the room.
    pub(super) fn clear(&mut self) {
        self.frames.clear();
        self.end = StackEnd::Outermost;
        self.is_dubious = false;
    }

    /// Whether it leads to the outermost frame, and nothing in it speaks against that.
    pub(super) fn is_whole(&self) -> bool {
        self.end == StackEnd::Outermost && !self.is_dubious
    }

    /// Whether it ends at a frame without a caller that is no entry frame either.
    pub(super) fn ends_bare(&self) -> bool {
        self.end == StackEnd::Unreadable(Address::NULL)
    }

    /// Takes it for whole though it ends bare. Where the innermost frame executes, the others that do have called C code.
    pub(super) fn end_bare(&mut self) {
        self.end = StackEnd::Outermost;
        if !self.frames.first().is_some_and(RawFrame::is_executing) {
            return;
        }
        for number in 1..self.frames.len() {
            self.frames[number - 1].entered_from_c |= self.frames[number].is_executing();
        }
    }
}

impl Default for RawStack {
    fn default() -> Self {
        RawStack {
            frames: Vec::new(),
            end: StackEnd::Outermost,
            is_dubious: false,
        }
    }
}

/// The fields of `PyThreadState` that a sample needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadFields {
    /// The next thread state of the interpreter.
    pub next: Address,
    /// The interpreter.
    pub interpreter: Address,
    /// The current frame (3.11, 3.12: the `_PyCFrame` that names it).
    pub frame: Address,
    /// Where the `_PyCFrame` lies (3.10–3.12).
    pub cframe: Option<Address>,
    /// The `pthread_t`.
    pub ident: u64,
    /// The kernel's thread id in the target's PID namespace.
    pub native_id: Option<u64>,
    /// The newest data-stack chunk, and the end of its used part.
    pub chunk: Option<(Address, Address)>,
}

impl ThreadFields {
    /// How many bytes of a `PyThreadState` [`ThreadFields::parse`] needs.
    #[must_use]
    pub fn bytes_needed(layout: &Layout) -> usize {
        let thread = &layout.thread;
        let end_of_top = thread.datastack_chunk.map_or(0, |offset| offset + 16);
        thread.size.max(end_of_top) as usize
    }

    /// Parses the bytes of a `PyThreadState`; `None` when they are too few.
    #[must_use]
    pub fn parse(bytes: &[u8], layout: &Layout) -> Option<ThreadFields> {
        let thread = &layout.thread;
        let pointer = |offset| word_at(bytes, offset).map(Address);
        let chunk = match thread.datastack_chunk {
            // `datastack_top` follows `datastack_chunk` in 3.11–3.15 (`cpython/pystate.h`).
            Some(offset) => Some((pointer(offset)?, pointer(offset + 8)?)),
            None => None,
        };
        Some(ThreadFields {
            next: pointer(thread.next)?,
            interpreter: pointer(thread.interp)?,
            frame: pointer(thread.frame)?,
            cframe: thread.cframe.and_then(pointer),
            ident: word_at(bytes, thread.thread_id)?,
            native_id: thread
                .native_thread_id
                .and_then(|offset| word_at(bytes, offset)),
            chunk,
        })
    }
}

/// What the walk needs to know of an interpreter.
#[derive(Debug, Clone, Copy)]
pub struct FrameFormat<'a> {
    /// The offsets.
    pub layout: &'a Layout,
    /// What offsets do not say.
    pub traits: &'a Traits,
}

impl FrameFormat<'_> {
    /// Bytes of a frame that are read: its header.
    pub(super) fn header(&self) -> usize {
        (self.layout.frame.size as usize).min(MAX_FRAME_HEADER)
    }

    /// What an `owner` says: whether the frame belongs to a function, or is an entry frame, which does not;
    /// `None` where it is not an owner at all.
    fn has_function(&self, owner: u8) -> Option<bool> {
        let owners = &self.traits.owners;
        (owner <= owners.last).then_some(owner <= owners.last_of_function)
    }

    /// Whether the outermost frame of a stack shows that it was entered from C: every one is, through
    /// `_PyEval_EvalFrameDefault` (`ceval.c`).
    fn is_outermost_entered(&self) -> bool {
        self.traits.entry_mark != EntryMark::Nothing
    }

    /// Splits the bytes of a frame into what it is and the frame that called it. Inlined, as returning it costs as
    /// much as the rest.
    #[inline(always)]
    pub(super) fn parse(&self, at: Address, bytes: &[u8]) -> Option<(Option<RawFrame>, Address)> {
        let frame = &self.layout.frame;
        let previous = Address(word_at(bytes, frame.previous)?);
        let owner = match frame.owner {
            Some(offset) => *bytes.get(offset as usize)?,
            None => 0,
        };
        if !self.has_function(owner)? {
            return Some((None, previous));
        }
        let code = Address(word_at(bytes, frame.code)? & !self.traits.reference_tags);
        let instruction = match self.traits.instruction {
            InstructionForm::Address => word_at(bytes, frame.instruction)? as i64,
            InstructionForm::Index { unit_bytes } => {
                i64::from(int_at(bytes, frame.instruction)?) * unit_bytes
            }
        };
        let stacktop = match frame.stacktop {
            Some(offset) => Some(int_at(bytes, offset)?),
            None => None,
        };
        let entered_from_c = match frame.is_entry {
            Some(offset) => *bytes.get(offset as usize)? != 0,
            None => false,
        };
        let bytecode_copy = match frame.tlbc_index {
            Some(offset) => int_at(bytes, offset)?,
            None => 0,
        };
        let is_over = match self.traits.top_rule {
            // `ob_refcnt`, the first word of an object (`object.h`).
            TopRule::Pointer => word_at(bytes, 0)? == 0,
            TopRule::StackTop => false,
            TopRule::ClearedCode => code.is_null(),
        };
        let has_called = match (self.traits.call_mark, frame.return_offset) {
            (CallMark::ReturnOffset, Some(offset)) => {
                let start = offset as usize;
                bytes.get(start..start + 2)? != [0, 0]
            }
            (CallMark::HasBegun, _) => instruction >= (code + self.layout.code.code).0 as i64,
            _ => true,
        };
        let raw = RawFrame {
            at,
            code,
            instruction,
            bytecode_copy,
            stacktop,
            entered_from_c,
            has_called,
            is_on_data_stack: frame.owner.is_some() && owner == 0,
            is_over,
        };
        Some((Some(raw), previous))
    }
}

/// What is known of the outer end of a stack.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ends {
    /// The frame that could not be read when the places were learnt.
    pub broken: Option<Address>,
    /// The outermost entry frame (3.12 on): there are no others before it, but for a sentinel in 3.15.
    pub entry: Option<Address>,
}

/// Follows the frames from `current` outwards into `stack`; `None` when `find` does not have one of them.
/// `is_on_data_stack` tells of a place whether only frames of functions lie there.
pub(super) fn walk<'w>(
    current: Address,
    format: FrameFormat<'_>,
    ends: Ends,
    stack: &mut RawStack,
    mut find: impl FnMut(Address) -> Option<&'w [u8]>,
    is_on_data_stack: impl Fn(Address) -> bool,
) -> Option<()> {
    stack.clear();
    let mut circle = Circle::default();
    let mut at = current;
    for _ in 0..MAX_WALK {
        if at.is_null() {
            if !may_be_outermost(stack.frames.last(), format) {
                stack.end = StackEnd::Unreadable(at);
            }
            return Some(());
        }
        if ends.entry == Some(at) {
            enter_from_c(stack);
            return Some(());
        }
        if circle.closes_at(at) {
            keep_one_round(&mut stack.frames);
            stack.end = StackEnd::Unreadable(at);
            return Some(());
        }
        let parsed = match find(at) {
            None if ends.broken == Some(at) => None,
            None => return None,
            Some(bytes) => format.parse(at, bytes),
        };
        at = match parsed {
            Some((Some(frame), previous)) => {
                stack.frames.push(frame);
                previous
            }
            Some((None, previous)) if !is_on_data_stack(at) => {
                enter_from_c(stack);
                previous
            }
            _ => {
                stack.end = StackEnd::Unreadable(at);
                return Some(());
            }
        };
    }
    stack.end = StackEnd::TooDeep;
    Some(())
}

/// Whether a stack can end with this frame, where its memory is not of two moments.
fn may_be_outermost(frame: Option<&RawFrame>, format: FrameFormat<'_>) -> bool {
    !format.is_outermost_entered() || frame.is_none_or(|frame| frame.entered_from_c)
}

/// As [`walk`], with a buffer that `fetch` fills, to learn what is known of the outer end.
pub(super) fn walk_live(
    current: Address,
    format: FrameFormat<'_>,
    mut fetch: impl FnMut(Address, &mut [u8]) -> Option<()>,
    is_on_data_stack: impl Fn(Address) -> bool,
) -> Ends {
    let mut ends = Ends::default();
    let mut entry = None;
    let mut header = [0; MAX_FRAME_HEADER];
    let header = &mut header[..format.header()];
    let mut circle = Circle::default();
    let mut at = current;
    for _ in 0..MAX_WALK {
        if at.is_null() {
            ends.entry = entry;
            break;
        }
        if circle.closes_at(at) {
            break;
        }
        let parsed = fetch(at, header).and_then(|()| format.parse(at, header));
        let parsed = parsed.filter(|(frame, _)| frame.is_some() || !is_on_data_stack(at));
        let Some((frame, previous)) = parsed else {
            ends.broken = Some(at);
            break;
        };
        entry = match frame {
            Some(_) => None,
            None => entry.or(Some(at)),
        };
        at = previous;
    }
    ends
}

/// Notices that a walk runs in a circle (Brent's algorithm), as it can in damaged memory, or in a
/// copy of frames of which one was freed and used again by its own caller.
#[derive(Default)]
pub(super) struct Circle {
    mark: Address,
    steps: usize,
}

impl Circle {
    /// To be asked at every frame: whether it was met before. A circle is noticed in its third round
    /// at the latest.
    pub(super) fn closes_at(&mut self, at: Address) -> bool {
        if at == self.mark {
            return true;
        }
        self.steps += 1;
        if self.steps.is_power_of_two() {
            self.mark = at;
        }
        false
    }
}

/// Removes the frames that a walk in a circle met again.
fn keep_one_round(frames: &mut Vec<RawFrame>) {
    let mut seen = FxHashSet::default();
    if let Some(again) = frames.iter().position(|frame| !seen.insert(frame.at)) {
        frames.truncate(again);
    }
}

/// Takes in an entry frame: the frame above it was entered from C.
fn enter_from_c(stack: &mut RawStack) {
    if let Some(callee) = stack.frames.last_mut() {
        callee.entered_from_c = true;
    }
}
