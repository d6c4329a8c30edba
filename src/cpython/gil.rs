//! Turns the state of the GIL into the thread that holds it.

use super::locate::{GilPlace, Interpreter};
use crate::memory::window::{int_at, word_at};
use crate::memory::{Address, ReadMemory};

/// Who holds the GIL of an interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GilHolder {
    /// This thread state.
    Thread(Address),
    /// Nobody, at the moment of reading.
    Nobody,
}

/// The bytes that tell who holds the GIL, and where in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GilState {
    /// The first byte to copy.
    pub at: Address,
    /// How many bytes to copy.
    pub length: usize,
    /// Where in them the `PyThreadState *` is.
    holder: u64,
    /// Where in them the int `locked` is, when the holder is kept after it let go.
    locked: Option<u64>,
}

impl GilState {
    /// Where to look for the holder of the GIL that the interpreter state at `state` uses; `None`
    /// when it cannot be told or there is no GIL.
    #[must_use]
    pub fn find(
        interpreter: &Interpreter,
        state: Address,
        memory: &impl ReadMemory,
    ) -> Option<GilState> {
        let layout = &interpreter.layout;
        let pointer = |at| GilState {
            at,
            length: 8,
            holder: 0,
            locked: None,
        };
        match interpreter.gil {
            GilPlace::Unknown => None,
            GilPlace::Variable(at) => Some(pointer(at)),
            GilPlace::Runtime(runtime) => Some(pointer(runtime + layout.runtime.gil_holder?)),
            GilPlace::PerInterpreter => {
                let gil = memory.pointer(state + layout.interpreter.gil?).ok()?;
                let fields = layout.interpreter.gil_state.as_ref()?;
                let start = fields.last_holder.min(fields.locked);
                let end = (fields.last_holder + 8).max(fields.locked + 4);
                (!gil.is_null()).then_some(GilState {
                    at: gil + start,
                    length: (end - start) as usize,
                    holder: fields.last_holder - start,
                    locked: Some(fields.locked - start),
                })
            }
        }
    }

    /// The holder, from a copy of the bytes.
    #[must_use]
    pub fn holder(&self, bytes: &[u8]) -> Option<GilHolder> {
        let holder = Address(word_at(bytes, self.holder)?);
        let held = match self.locked {
            Some(offset) => int_at(bytes, offset)? == 1,
            None => true,
        };
        Some(if held && !holder.is_null() {
            GilHolder::Thread(holder)
        } else {
            GilHolder::Nobody
        })
    }
}
