//! Turns the C stack of a thread into native frames with names, and these and its Python frames into one stack.
//!
//! The stack of a thread that waits in the kernel is read without stopping it ([`waiting`]): a copy of it
//! ([`stack_copy`]) is unwound ([`unwind`]) by the rules that compilers write for exceptions (`.eh_frame`), and merged with
//! the Python frames ([`merge`]) at the places that the interpreter's structs name
//! ([`activations`](crate::cpython::activations)). What can't be unwound is marked as missing. Apart from that, the addresses
//! get names and lines ([`symbols`], [`names`]) and classes of work ([`classes`]).

mod build_id;

mod eh_frame;

pub(crate) mod modules;

pub(crate) mod registers;

mod rules;

mod calls;

mod scan;

pub(crate) mod stack_copy;

pub(crate) mod loop_code;

pub(crate) mod unwind;

pub(crate) mod merge;

pub(crate) mod waiting;

pub(crate) mod symbols;

mod names;

pub(crate) mod classes;

pub use names::readable_name;
pub use registers::{Registers, STACK_POINTER};
pub use stack_copy::StackCopy;
pub use symbols::{
    DebugFiles, Detail, Hurry, NameSource, NamedFrame, PerfMap, look_up, look_up_mapped,
};
pub use unwind::{NativeEnd, NativeFrame, Unwinder};
pub use waiting::WaitingThread;

pub(crate) use symbols::{SymbolReader, look_up_in_folder};

/// Whether native frames can be read: the numbers of registers, and what calls look like, are those of x86-64.
pub const IS_SUPPORTED: bool = cfg!(target_arch = "x86_64");
