//! Turns a thread's Python frames into activations of the interpreter's loop, each with where it lies on the C stack.

use std::ops::Range;

use super::layout::traits::LoopAnchor;
use super::locate::Interpreter;
use super::reader::KnownThread;
use crate::memory::{Address, ReadMemory};

/// One activation of `_PyEval_EvalFrameDefault` (`Python/ceval.c`): Python frames that called one another without C code in
/// between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activation {
    /// Which of the thread's frames, counted from the innermost.
    pub frames: Range<usize>,
    /// An address in its frame on the C stack; `None`: not known.
    pub anchor: Option<Address>,
}

/// The activations of a thread that stands still, innermost first.
pub fn activations(
    thread: &KnownThread,
    interpreter: &Interpreter,
    memory: &impl ReadMemory,
) -> Vec<Activation> {
    let (frames, layout) = (&thread.stack().frames, &interpreter.layout);
    let anchor = interpreter.traits.loop_anchor;
    let cframe = layout.thread.cframe.map(|offset| thread.state + offset);
    // Where the address of the next `_PyCFrame` is.
    let mut next = cframe.filter(|_| matches!(anchor, LoopAnchor::CFrame { .. }));
    let mut found = Vec::new();
    let mut first = 0;
    for (number, frame) in frames.iter().enumerate() {
        let has_c_caller = match anchor {
            LoopAnchor::Nothing
            | LoopAnchor::CFrame {
                is_shared: false, ..
            } => true,
            _ => frame.entered_from_c || number + 1 == frames.len(),
        };
        if !has_c_caller {
            continue;
        }
        let at = match anchor {
            LoopAnchor::Nothing => None,
            LoopAnchor::CFrame { previous, .. } => {
                let at = next.and_then(|at| memory.pointer(at).ok());
                let at = at.filter(|at| !at.is_null());
                next = at.map(|at| at + previous);
                at
            }
            LoopAnchor::EntryFrame => memory.pointer(frame.at + layout.frame.previous).ok(),
        };
        found.push(Activation {
            frames: first..number + 1,
            anchor: at.filter(|at| !at.is_null()),
        });
        first = number + 1;
    }
    found
}
