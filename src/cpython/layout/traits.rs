//! Turns what differs between CPython versions beside offsets into named facts, the traits of a version.
//!
//! The code asks for a trait and never for a version. Which version has which trait is in [`rows`](super::rows).

use super::Offset;
use crate::cpython::line_table::LineFormat;

/// What rsamp knows of one CPython version beside the offsets of its structs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traits {
    /// Where the state of the GIL is.
    pub gil: GilHome,
    /// What tells which thread runs in a thread state.
    pub state_owner: StateOwner,
    /// What tells which frame of a copied stack was executing.
    pub top_rule: TopRule,
    /// How a frame names its instruction.
    pub instruction: InstructionForm,
    /// What the numbers in a frame's `owner` mean.
    pub owners: Owners,
    /// The low bits that are not part of the address in the references of a frame (`f_executable`, `f_funcobj`, the
    /// operands): `Py_TAG_BITS` in `internal/pycore_stackref.h` (3.14 on), 0 where these are plain pointers. Free-threaded
    /// builds of 3.14 use one of the two bits only; addresses have 0 in both.
    pub reference_tags: u64,
    /// How a stack shows that C code called a Python function.
    pub entry_mark: EntryMark,
    /// What names a place in the C stack's frame of the interpreter's loop.
    pub loop_anchor: LoopAnchor,
    /// What tells that a frame has called a Python function.
    pub call_mark: CallMark,
    /// Whether `stacktop` becomes 0 before a frame that returns frees its variables: `_PyFrame_ClearLocals` in
    /// `Python/frame.c` (3.13).
    pub clears_stacktop: bool,
    /// Whether the interpreter puts a frame of its own between a class that is called and its `__init__`, to check that
    /// this returns `None`: `_Py_InitCleanup` in `Python/specialize.c` (3.12 on).
    pub has_init_frame: bool,
    /// How line tables are written.
    pub line_format: LineFormat,
}

/// Where the state of the GIL is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GilHome {
    /// In variables of `Python/ceval_gil.h`, without exported names. The holder is in the exported variable
    /// `_PyThreadState_Current` of `Python/pystate.c`, which is null while nobody holds the GIL (3.6).
    Variable,
    /// In `_PyRuntime`: `gilstate.tstate_current` and `ceval.gil` (3.7–3.11; `internal/pycore_runtime.h`, in 3.7
    /// `internal/pystate.h`).
    Runtime,
    /// Where each interpreter says: `ceval.gil` in `PyInterpreterState` (3.12 on, PEP 684; `internal/pycore_ceval_state.h`,
    /// from 3.14 on `internal/pycore_interp_structs.h`).
    Interpreter,
}

/// What tells which thread runs in a thread state that belongs to a sub-interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateOwner {
    /// Nothing: `thread_id` is that of the thread that made the state (up to 3.9; `Python/pystate.c`).
    Unknown,
    /// The C stack on which the `cframe` of the state lies, as long as a thread runs in it; else `thread_id` (3.10–3.12;
    /// `cpython/pystate.h`).
    CStack,
    /// `thread_id`: a thread that enters an interpreter makes a state of its own (3.13 on; `_PyXI_Enter` in
    /// `Python/crossinterp.c`).
    ThreadId,
}

/// What tells which frame of a copied stack was executing; [`top`](crate::cpython::top) says how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopRule {
    /// The current-frame pointer alone, read before and after the frames (up to 3.10). A frame is an object, and freed when
    /// its `ob_refcnt` is 0.
    Pointer,
    /// The executing frame has no stack pointer saved: `stacktop` is -1 (3.11–3.13; `_PyFrame_GetStackPointer` in
    /// `internal/pycore_frame.h`).
    StackTop,
    /// A frame that returned names no code object (3.14 on; `clear_thread_frame` in `Python/ceval.c`).
    ClearedCode,
}

/// How a frame names its instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstructionForm {
    /// `f_lasti`, an int that counts from the first instruction (up to 3.10; `frameobject.h`, in 3.10
    /// `cpython/frameobject.h`).
    Index {
        /// Bytes that it counts at a time: 1, or `sizeof(_Py_CODEUNIT)` (3.10).
        unit_bytes: i64,
    },
    /// `prev_instr` or `instr_ptr`, a pointer (3.11 on; `internal/pycore_frame.h`, from 3.14 on
    /// `internal/pycore_interpframe_structs.h`).
    Address,
}

/// What the numbers in a frame's `owner` mean: `enum _frameowner` (3.11 on; `internal/pycore_frame.h`, from 3.14 on
/// `internal/pycore_interpframe_structs.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owners {
    /// The highest number of a frame that belongs to a function: `FRAME_OWNED_BY_FRAME_OBJECT`. 0,
    /// `FRAME_OWNED_BY_THREAD`, is that of a frame on the thread's data stack.
    pub last_of_function: u8,
    /// The highest number of all. Those above [`Owners::last_of_function`] are entry frames, if there are any:
    /// `FRAME_OWNED_BY_CSTACK` (3.12–3.14), `FRAME_OWNED_BY_INTERPRETER` (3.14 on).
    pub last: u8,
}

impl Owners {
    /// Every frame belongs to a function, and none has a number (up to 3.10).
    pub const NONE: Owners = Owners {
        last_of_function: 0,
        last: 0,
    };
}

/// How a stack shows that C code called a Python function: that `_PyEval_EvalFrameDefault` (`Python/ceval.c`) was entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryMark {
    /// Not at all (up to 3.10): C code lies between any two frames.
    Nothing,
    /// The frame of the function has `is_entry` set (3.11; `internal/pycore_frame.h`).
    InFrame,
    /// An entry frame, which belongs to no function, lies before it (3.12 on).
    EntryFrame,
}

/// What names a place in the frame of `_PyEval_EvalFrameDefault` (`Python/ceval.c`) on the C stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoopAnchor {
    /// Nothing (up to 3.9).
    Nothing,
    /// The thread state names a `_PyCFrame` (`CFrame` in 3.10), a variable of the innermost activation, and each names that
    /// of the activation before it (3.10, 3.11; `cpython/pystate.h`).
    CFrame {
        /// Where it names the one before it: `previous`.
        previous: Offset,
        /// Whether Python functions call each other within one activation (3.11).
        is_shared: bool,
    },
    /// The frame that was entered from C names, as the one before it, an entry frame, which is a variable of the activation
    /// (3.12 on).
    EntryFrame,
}

/// What tells that a frame has called a Python function by itself, not through C code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallMark {
    /// Nothing (up to 3.10).
    Nothing,
    /// It can have, once it has begun: `prev_instr` lies before its code until then (3.11, 3.12;
    /// `internal/pycore_frame.h`).
    HasBegun,
    /// `return_offset` is 0 until its first call (3.13 on; `internal/pycore_frame.h`, from 3.14 on
    /// `internal/pycore_interpframe_structs.h`).
    ReturnOffset,
}
