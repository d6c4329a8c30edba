//! Turns a thread's Python frames into activations of the interpreter's loop, each with where it lies on the C stack.

use std::ops::Range;

use super::frames::RawFrame;
use super::layout::traits::LoopAnchor;
use super::locate::Interpreter;
use crate::memory::window::word_at;
use crate::memory::{Address, Piece, ReadMemory};

/// One activation of `_PyEval_EvalFrameDefault` (`Python/ceval.c`): Python frames that called one another without C code in
/// between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activation {
    /// Which of the thread's frames, counted from the innermost.
    pub frames: Range<usize>,
    /// An address in its frame on the C stack; `None`: not known.
    pub anchor: Option<Address>,
}

/// The activations of a thread that stands still, whose state and frames, innermost first, are these; innermost first.
pub fn activations(
    state: Address,
    frames: &[RawFrame],
    interpreter: &Interpreter,
    memory: &impl ReadMemory,
) -> Vec<Activation> {
    let anchor = interpreter.traits.loop_anchor;
    let has_c_caller = |number: usize| match anchor {
        LoopAnchor::Nothing
        | LoopAnchor::CFrame {
            is_shared: false, ..
        } => true,
        _ => frames[number].entered_from_c || number + 1 == frames.len(),
    };
    let last: Vec<usize> = (0..frames.len())
        .filter(|number| has_c_caller(*number))
        .collect();
    let layout = &interpreter.layout;
    let anchors = match anchor {
        LoopAnchor::Nothing => Vec::new(),
        LoopAnchor::CFrame { previous, .. } => {
            let first = layout.thread.cframe.map(|offset| state + offset);
            chain(first, previous, last.len(), memory)
        }
        LoopAnchor::EntryFrame => {
            let named = |number: &usize| frames[*number].at + layout.frame.previous;
            pointers(&last.iter().map(named).collect::<Vec<_>>(), memory)
        }
    };
    let mut anchors = anchors.into_iter();
    let mut first = 0;
    let activation = |last: usize| {
        let frames = first..last + 1;
        first = last + 1;
        let anchor = anchors.next().flatten();
        Activation { frames, anchor }
    };
    last.into_iter().map(activation).collect()
}

/// So many `_PyCFrame`s, of which each names the next; `first` is where the first is named.
fn chain(
    first: Option<Address>,
    previous: u64,
    count: usize,
    memory: &impl ReadMemory,
) -> Vec<Option<Address>> {
    let mut named_at = first;
    let next = |_| {
        let at = named_at.and_then(|at| memory.pointer(at).ok());
        let at = at.filter(|at| !at.is_null());
        named_at = at.map(|at| at + previous);
        at
    };
    (0..count).map(next).collect()
}

/// The pointers at these places, with as few system calls as possible.
fn pointers(places: &[Address], memory: &impl ReadMemory) -> Vec<Option<Address>> {
    const LENGTH: usize = size_of::<u64>();
    let pieces: Vec<Piece> = places
        .iter()
        .map(|at| Piece {
            at: *at,
            length: LENGTH,
        })
        .collect();
    let mut bytes = vec![0; pieces.len() * LENGTH];
    let read = memory.read_pieces(&pieces, &mut bytes) / LENGTH;
    let pointer = |(number, at): (usize, &Address)| {
        let found = match number < read {
            true => word_at(&bytes, (number * LENGTH) as u64).map(Address),
            false => memory.pointer(*at).ok(),
        };
        found.filter(|at| !at.is_null())
    };
    places.iter().enumerate().map(pointer).collect()
}
