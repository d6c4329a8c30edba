//! Turns addresses of native code into names, lines and classes of work.

pub mod symbols;

pub mod names;

pub mod classes;

pub use names::readable_name;
pub use symbols::{
    DebugFiles, Detail, NameSource, NamedFrame, SymbolReader, TargetFiles, look_up, look_up_mapped,
};
