//! Turns the state of the GIL into the thread that holds it.

use super::locate::{GilPlace, Interpreter};
use crate::memory::{Address, ReadMemory};

/// Who holds the GIL of an interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GilHolder {
    /// This thread state.
    Thread(Address),
    /// Nobody, at the moment of reading.
    Nobody,
    /// It cannot be told, or there is no GIL.
    Unknown,
}

/// Reads the holder of the GIL that the interpreter state at `state` uses.
#[must_use]
pub fn holder(
    interpreter: &Interpreter,
    state: Address,
    memory: &impl ReadMemory,
) -> GilHolder {
    read_holder(interpreter, state, memory).unwrap_or(GilHolder::Unknown)
}

fn read_holder(
    interpreter: &Interpreter,
    state: Address,
    memory: &impl ReadMemory,
) -> Option<GilHolder> {
    let layout = &interpreter.layout;
    let current = match interpreter.gil {
        GilPlace::Unknown => return None,
        GilPlace::Variable(at) => memory.pointer(at).ok()?,
        GilPlace::Runtime(runtime) => memory.pointer(runtime + layout.runtime.gil_holder?).ok()?,
        GilPlace::PerInterpreter => {
            let gil = memory.pointer(state + layout.interpreter.gil?).ok()?;
            let fields = layout.interpreter.gil_state.as_ref()?;
            let mut locked = [0; 4];
            memory.read(gil + fields.locked, &mut locked).ok()?;
            match i32::from_le_bytes(locked) {
                1 => memory.pointer(gil + fields.last_holder).ok()?,
                _ => Address::NULL,
            }
        }
    };
    Some(if current.is_null() { GilHolder::Nobody } else { GilHolder::Thread(current) })
}
