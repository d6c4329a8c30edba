//! The registers of a thread as far as they are known, by their DWARF numbers (System V ABI for x86-64, figure 3.36).

/// `rbx`, `rbp` and `r12` to `r15`: a function leaves them to its caller as they were.
pub const CALLEE_SAVED: [u16; 6] = [3, 6, 12, 13, 14, 15];

/// `rbp`, where a function keeps its frame pointer, if it has one.
pub const FRAME_POINTER: u16 = 6;

/// `rsp`.
pub const STACK_POINTER: u16 = 7;

/// The return address, in the frame of the callee; the instruction, in that of the caller.
pub const RETURN_ADDRESS: u16 = 16;

/// How many numbers there are up to [`RETURN_ADDRESS`]; those of vector registers are not needed.
const COUNT: usize = 17;

/// The general registers, the stack pointer and the instruction among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registers([Option<u64>; COUNT]);

impl Registers {
    /// Of a thread of which only these two are known: one that waits in the kernel.
    #[must_use]
    pub fn waiting(stack_pointer: u64, instruction: u64) -> Registers {
        let mut registers = Registers([None; COUNT]);
        registers.set(STACK_POINTER, stack_pointer);
        registers.set(RETURN_ADDRESS, instruction);
        registers
    }

    /// Of a thread that was stopped: all of them, by number.
    #[must_use]
    pub fn stopped(values: [u64; COUNT]) -> Registers {
        Registers(values.map(Some))
    }

    /// The value of one, where it is known.
    #[must_use]
    pub fn get(&self, register: u16) -> Option<u64> {
        *self.0.get(usize::from(register))?
    }

    /// Makes it unknown.
    pub fn forget(&mut self, register: u16) {
        if let Some(place) = self.0.get_mut(usize::from(register)) {
            *place = None;
        }
    }

    /// Makes it known.
    pub fn set(&mut self, register: u16, value: u64) {
        if let Some(place) = self.0.get_mut(usize::from(register)) {
            *place = Some(value);
        }
    }
}
