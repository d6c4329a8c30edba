//! Turns the C stack of a thread into native frames with names, and these and its Python frames into one stack.
//!
//! The stack of a thread that waits in the kernel is read without stopping it ([`waiting`]): a copy of it
//! ([`stack_copy`]) is unwound ([`unwind`]) by the rules that compilers write for exceptions (`.eh_frame`), and merged with
//! the Python frames ([`merge`]) at the places that the interpreter's structs name
//! ([`activations`](crate::cpython::activations)). What can't be unwound is marked as missing. Apart from that, the addresses
//! get names and lines ([`symbols`], [`names`]) and classes of work ([`classes`]).

mod build_id;

mod eh_frame;

pub mod modules;

pub mod registers;

mod rules;

mod calls;

mod scan;

pub mod stack_copy;

pub mod loop_code;

pub mod unwind;

pub mod merge;

pub mod waiting;

pub mod symbols;

pub mod names;

pub mod classes;

pub use names::readable_name;
pub use symbols::{
    DebugFiles, Detail, Hurry, NameSource, NamedFrame, PerfMap, SymbolReader, TargetFiles, look_up,
    look_up_in_folder, look_up_mapped,
};

/// Whether native frames can be read: the numbers of registers, and what calls look like, are those of x86-64.
pub const IS_SUPPORTED: bool = cfg!(target_arch = "x86_64");
