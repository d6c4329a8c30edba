//! Turns coroutines into the frames of those that they await, down to what the innermost one waits for.
//!
//! A suspended coroutine has the object that it awaits on top of its operands. That is another coroutine, something that wraps
//! one, or the iterator of a future.

use super::kinds::{Kind, Kinds, WRAPPED, copy};
use crate::cpython::frames::{FrameFormat, RawFrame};
use crate::cpython::layout::{AwaitedForm, FrameStates, TaskLayout};
use crate::memory::window::{int_at, word_at};
use crate::memory::{Address, ReadMemory};

/// The most objects from a task's coroutine to its leaf that are followed: as deep as Python recurses by default.
pub const MAX_CHAIN: usize = 1000;

/// The most frames of all tasks together that are kept.
const MAX_FRAMES: usize = 1 << 20;

/// How far a coroutine has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It has not begun.
    Created,
    /// It runs, or did while it was read.
    Executing,
    /// It is suspended.
    Suspended,
    /// It has returned, or could not be read.
    Over,
}

/// The coroutines between a task and its leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// The frames, outermost first.
    pub frames: Vec<RawFrame>,
    /// How far the outermost coroutine has come.
    pub stage: Stage,
}

/// A coroutine at which the walk of one chain has arrived.
#[derive(Clone, Copy)]
struct Cursor {
    chain: usize,
    object: Address,
}

/// What is read of a coroutine.
struct Head {
    frame: Address,
    state: i8,
}

/// The chains of coroutines that begin at `coroutines`, all followed together: so they cost few system calls.
pub fn chains(
    memory: &impl ReadMemory,
    format: FrameFormat<'_>,
    tasks: &TaskLayout,
    kinds: &mut Kinds,
    coroutines: &[Address],
) -> Vec<Chain> {
    let mut walk = Walk {
        format,
        tasks,
        frames_left: MAX_FRAMES,
        chains: vec![
            Chain {
                frames: Vec::new(),
                stage: Stage::Over,
            };
            coroutines.len()
        ],
    };
    let mut cursors: Vec<Cursor> = coroutines
        .iter()
        .enumerate()
        .map(|(chain, object)| Cursor {
            chain,
            object: *object,
        })
        .collect();
    for _ in 0..MAX_CHAIN {
        if cursors.is_empty() {
            break;
        }
        cursors = walk.step(memory, kinds, &cursors);
    }
    walk.chains
}

struct Walk<'a> {
    format: FrameFormat<'a>,
    tasks: &'a TaskLayout,
    frames_left: usize,
    chains: Vec<Chain>,
}

impl Walk<'_> {
    /// From each object to the one that it awaits or wraps.
    fn step(
        &mut self,
        memory: &impl ReadMemory,
        kinds: &mut Kinds,
        cursors: &[Cursor],
    ) -> Vec<Cursor> {
        let layout = self.format.layout;
        let objects = copy(
            memory,
            cursors.iter().map(|cursor| cursor.object),
            WRAPPED as usize + 8,
        );
        let mut next = Vec::new();
        let mut coroutines = Vec::new();
        for (number, cursor) in cursors.iter().enumerate() {
            let Some(bytes) = objects.piece(number) else {
                continue;
            };
            let type_object = word_at(bytes, layout.object.ob_type).unwrap_or(0);
            match kinds.of(memory, layout, Address(type_object)) {
                Kind::Coroutine => coroutines.push(*cursor),
                Kind::Wrapper => next.extend(word_at(bytes, WRAPPED).map(|object| Cursor {
                    object: Address(object),
                    ..*cursor
                })),
                _ => {}
            }
        }
        let heads = self.heads(memory, &coroutines);
        let at = heads.iter().flatten().map(|(_, head)| head.frame);
        let frames = copy(memory, at, self.frame_bytes());
        let mut suspended = Vec::new();
        for (number, (cursor, head)) in heads.iter().flatten().enumerate() {
            if let Some(word) = frames
                .piece(number)
                .and_then(|bytes| self.take(*cursor, head, bytes))
            {
                suspended.push((*cursor, word));
            }
        }
        let words = copy(memory, suspended.iter().map(|(_, word)| *word), 8);
        next.extend(
            suspended
                .iter()
                .enumerate()
                .filter_map(|(number, (cursor, _))| {
                    let word = word_at(words.piece(number)?, 0)?;
                    let object = Address(word & !self.format.traits.reference_tags);
                    Some(Cursor { object, ..*cursor })
                }),
        );
        next
    }

    /// Where the frame of each coroutine lies; `None` for one that is over.
    fn heads(
        &self,
        memory: &impl ReadMemory,
        coroutines: &[Cursor],
    ) -> Vec<Option<(Cursor, Head)>> {
        let tasks = self.tasks;
        let at = coroutines.iter().map(|cursor| cursor.object + WRAPPED);
        let length = tasks.frame_state.map_or(tasks.frame + 8, |at| at + 1) - WRAPPED;
        let copied = copy(memory, at, length as usize);
        let head = |number: usize, cursor: &Cursor| {
            let bytes = copied.piece(number)?;
            let head = match tasks.frame_state {
                Some(state) => Head {
                    frame: cursor.object + tasks.frame,
                    state: bytes.get((state - WRAPPED) as usize)?.cast_signed(),
                },
                None => Head {
                    frame: Address(word_at(bytes, tasks.frame - WRAPPED)?),
                    state: 0,
                },
            };
            let is_over = match self.tasks.states() {
                Some(states) => head.state == states.cleared,
                None => head.frame.is_null(),
            };
            (!is_over).then_some((*cursor, head))
        };
        let numbered = coroutines.iter().enumerate();
        numbered
            .map(|(number, cursor)| head(number, cursor))
            .collect()
    }

    /// Bytes of a frame that tell its code, and where its operands end.
    fn frame_bytes(&self) -> usize {
        let end = match self.tasks.awaited {
            AwaitedForm::Pointer { stack, top } => stack.max(top) + 8,
            AwaitedForm::Depth { stack, depth } => stack.max(depth) + 8,
            AwaitedForm::StackTop { .. } | AwaitedForm::SavedPointer { .. } => 0,
        };
        self.format.header().max(end as usize)
    }

    /// Takes a frame into its chain; returns where it has what it awaits.
    fn take(&mut self, cursor: Cursor, head: &Head, bytes: &[u8]) -> Option<Address> {
        let (Some(frame), _) = self.format.parse(head.frame, bytes)? else {
            return None;
        };
        let (stage, word) = self.stage(head, &frame, bytes)?;
        self.frames_left = self.frames_left.checked_sub(1)?;
        let chain = &mut self.chains[cursor.chain];
        if chain.frames.is_empty() {
            chain.stage = stage;
        }
        chain.frames.push(frame);
        word.filter(|_| stage == Stage::Suspended)
    }

    /// How far a coroutine has come, and where its topmost operand is.
    fn stage(
        &self,
        head: &Head,
        frame: &RawFrame,
        bytes: &[u8],
    ) -> Option<(Stage, Option<Address>)> {
        let of_states = |states: &FrameStates| match head.state {
            state if state == states.created => Stage::Created,
            state if state == states.executing => Stage::Executing,
            _ => Stage::Suspended,
        };
        let of_frame = |is_executing: bool| match (is_executing, frame.instruction < 0) {
            (true, _) => Stage::Executing,
            (false, true) => Stage::Created,
            (false, false) => Stage::Suspended,
        };
        let before = |end: u64, words: u64| Some(Address(end.wrapping_sub(words * 8)));
        Some(match &self.tasks.awaited {
            AwaitedForm::Pointer { stack, top } => {
                let (stack, top) = (word_at(bytes, *stack)?, word_at(bytes, *top)?);
                (of_frame(top == 0), before(top, 1).filter(|_| top != stack))
            }
            AwaitedForm::Depth { stack, depth } => {
                let (stack, depth) = (word_at(bytes, *stack)?, int_at(bytes, *depth)?);
                let end = stack.wrapping_add(u64::try_from(depth).unwrap_or(0) * 8);
                (of_frame(depth < 0), before(end, 1).filter(|_| depth > 0))
            }
            AwaitedForm::StackTop { states } => {
                let count = u64::try_from(frame.stacktop?).unwrap_or(0);
                let end = head.frame + self.format.layout.frame.size + count.wrapping_mul(8);
                (of_states(states), before(end.0, 1))
            }
            AwaitedForm::SavedPointer { states, words } => {
                let pointer = word_at(bytes, self.format.layout.frame.stackpointer?)?;
                (of_states(states), before(pointer, *words))
            }
        })
    }
}
