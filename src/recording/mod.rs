//! Turns events into the bytes of a `.rsamp` file and back.
//!
//! ```text
//! Event ─► Recorder (a thread) ─► Writer ─► .rsamp file ─► Reader ─► Event
//!                                                   several ─► Merger ─► Event
//! ```
//!
//! A file is a preamble and blocks ([`format`]); a block is a compressed protobuf message
//! ([`schema`]), whole in itself but for the definitions of those before it. So whatever was written
//! before the writer was killed can be read, and a reader needs memory for one block and for what
//! the recording defines, not for its samples.

pub mod format;
pub mod schema;

mod budget;
mod columns;
mod refined;
mod unpacked;

mod writer;

mod worth;

mod flushing;

mod spill;

mod thin;

pub mod size_limit;

mod recorder;

pub mod reader;

mod merge;

pub mod source;

pub use merge::Merger;
pub use reader::{Completeness, ReadError, Reader, SourceText};
pub use recorder::{Care, ProcessFiles, Recorder, Text};
pub use schema::{Header, Source};
pub use size_limit::{Replace, SizeLimit};
pub use spill::{Moved, Spare, Spill};
pub use writer::Writer;
