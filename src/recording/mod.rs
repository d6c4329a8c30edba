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

mod format;
pub(crate) mod schema;

mod budget;
mod columns;
mod refined;
mod unpacked;

mod writer;

mod worth;

mod flushing;

mod spill;

mod thin;

pub(crate) mod size_limit;

mod recorder;

mod reader;

mod merge;

pub(crate) mod source;

pub use format::{MAX_MESSAGE_BYTES, Preamble, VERSION as FORMAT_VERSION};
pub use merge::Merger;
pub use reader::{Completeness, ReadError, Reader, SourceText};
pub use recorder::{Care, ProcessFiles, Recorder, Text};
pub use schema::{Block, Header, Variable};
pub use writer::Writer;

pub(crate) use size_limit::{Replace, SizeLimit};
pub(crate) use spill::{Moved, Spare, Spill};
