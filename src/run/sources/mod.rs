//! Turns the names of source files into their text, read with the rights of the process that named them.

mod files;
mod kept_text;
pub(crate) mod reader;
mod text;

pub use files::{READ_SOURCES, SourceFiles};
pub use text::{gather, recorded};
