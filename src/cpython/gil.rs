//! Turns the state of the GIL into the thread that holds it, and into whether another one held it meanwhile.

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

/// What the GIL tells of who has run.
///
/// `take_gil` (`ceval_gil.c`, `ceval_gil.h`) counts up `switch_number` and sets `last_holder` when another
/// thread than before takes it. While both stand, only the last holder can have run Python code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GilTurn {
    /// The thread state that held it last.
    pub last_holder: Address,
    /// How often it went from one thread to another.
    pub switches: u64,
}

impl GilTurn {
    /// The only thread states that can have run since `before`, the same twice where it is one; `None`: any.
    #[must_use]
    pub fn ran_since(self, before: GilTurn) -> Option<[Address; 2]> {
        let is_same = self.last_holder == before.last_holder;
        match self.switches.wrapping_sub(before.switches) {
            0 if is_same => Some([self.last_holder; 2]),
            1 if !is_same => Some([before.last_holder, self.last_holder]),
            _ => None,
        }
    }

    /// Whether the two can be of different moments: the count goes up when the holder changes, not otherwise.
    /// If not, one of them was copied while it changed.
    #[must_use]
    pub fn can_follow(self, before: GilTurn) -> bool {
        let is_same = self.last_holder == before.last_holder;
        match self.switches.wrapping_sub(before.switches) {
            0 => is_same,
            1 => !is_same,
            _ => true,
        }
    }
}

/// Bytes of the GIL's two condition variables and two mutexes, which follow `switch_number` (`cond`, `mutex`,
/// `switch_cond`, `switch_mutex` in `struct _gil_runtime_state`): at most 48 each (glibc and musl, 64 bit).
const LOCKS_BYTES: u64 = 4 * 48;

/// Where the locks of a GIL lie: a thread that waits for one of them, waits for the GIL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GilLocks(Address);

impl GilLocks {
    /// Whether the futex at `address` belongs to one of them.
    ///
    /// So it is with glibc, whose condition variables wait inside of themselves. Those of musl wait on the
    /// stack of the thread: there this is never true.
    #[must_use]
    pub fn have(self, address: u64) -> bool {
        address.wrapping_sub(self.0.0) < LOCKS_BYTES
    }
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
    /// Where in them `last_holder` and `switch_number` are.
    turn: Option<(u64, u64)>,
    /// Where threads wait for it; `None` for 3.6, which has them in variables without a symbol.
    pub locks: Option<GilLocks>,
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
        match interpreter.gil {
            GilPlace::Unknown => None,
            GilPlace::Variable(at) => Some(GilState {
                at,
                length: 8,
                holder: 0,
                locked: None,
                turn: None,
                locks: None,
            }),
            GilPlace::Runtime(runtime) => GilState::in_runtime(interpreter, runtime, memory),
            GilPlace::PerInterpreter => {
                let fields = interpreter.layout.interpreter.gil_state.as_ref()?;
                let pointer = state + interpreter.layout.interpreter.gil?;
                let gil = memory.pointer(pointer).ok()?;
                let start = fields.last_holder.min(fields.locked);
                let end = (fields.last_holder + 8)
                    .max(fields.locked + 4)
                    .max(fields.switch_number + 8);
                if gil.is_null() {
                    return None;
                }
                let holder = fields.last_holder - start;
                let switches = fields.switch_number.checked_sub(start)?;
                let state = GilState {
                    at: gil + start,
                    length: (end - start) as usize,
                    holder,
                    locked: Some(fields.locked - start),
                    turn: Some((holder, switches)),
                    locks: Some(GilLocks(gil + fields.switch_number + 8)),
                };
                Some(state.or_holder_alone(memory))
            }
        }
    }

    /// Of [`GilPlace::Runtime`]: `gilstate.tstate_current` is the holder; `ceval.gil`, some hundred bytes before it, has
    /// the turn, `last_holder` and `switch_number` (`internal/pycore_gil.h`).
    fn in_runtime(
        interpreter: &Interpreter,
        runtime: Address,
        memory: &impl ReadMemory,
    ) -> Option<GilState> {
        let fields = &interpreter.layout.runtime;
        let holder = fields.gil_holder?;
        let turn = fields.gil_last_holder.zip(fields.gil_switch_number);
        let start = turn.map_or(holder, |(last_holder, _)| last_holder.min(holder));
        let end = turn.map_or(holder, |(_, switches)| switches.max(holder)) + 8;
        let state = GilState {
            at: runtime + start,
            length: (end - start) as usize,
            holder: holder - start,
            locked: None,
            turn: turn.map(|(last_holder, switches)| (last_holder - start, switches - start)),
            locks: fields
                .gil_switch_number
                .map(|switches| GilLocks(runtime + switches + 8)),
        };
        Some(state.or_holder_alone(memory))
    }

    /// The same without the turn where not all of the bytes can be read, as in saved memory.
    fn or_holder_alone(self, memory: &impl ReadMemory) -> GilState {
        if memory.read(self.at, &mut vec![0; self.length]).is_ok() {
            return self;
        }
        let start = self.locked.map_or(self.holder, |at| at.min(self.holder));
        let end = self.locked.map_or(0, |at| at + 4).max(self.holder + 8);
        GilState {
            at: self.at + start,
            length: (end - start) as usize,
            holder: self.holder - start,
            locked: self.locked.map(|at| at - start),
            turn: None,
            locks: self.locks,
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

    /// The turn, from a copy of the bytes.
    #[must_use]
    pub fn turn(&self, bytes: &[u8]) -> Option<GilTurn> {
        let (last_holder, switches) = self.turn?;
        Some(GilTurn {
            last_holder: Address(word_at(bytes, last_holder)?),
            switches: word_at(bytes, switches)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(holder: u64, switches: u64) -> GilTurn {
        GilTurn {
            last_holder: Address(holder),
            switches,
        }
    }

    #[test]
    fn one_turn_tells_who_has_run_and_two_do_not() {
        let before = turn(0xa, 7);
        assert_eq!(before.ran_since(before), Some([Address(0xa); 2]));
        let after = turn(0xb, 8);
        assert_eq!(after.ran_since(before), Some([Address(0xa), Address(0xb)]));
        assert_eq!(turn(0xa, 9).ran_since(before), None, "some other one, too");
        assert!(turn(0xa, 9).can_follow(before));
    }

    #[test]
    fn a_turn_that_was_copied_while_it_changed_tells_nothing() {
        let before = turn(0xa, 7);
        for torn in [turn(0xa, 8), turn(0xb, 7)] {
            assert_eq!(torn.ran_since(before), None);
            assert!(!torn.can_follow(before));
        }
    }
}
