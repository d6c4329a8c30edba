//! Turns the memory of a CPython interpreter into threads, frames, names and lines.

pub(crate) mod version;

pub(crate) mod layout;

mod landmarks;

pub(crate) mod known_files;

pub(crate) mod read_images;

mod limited;

pub(crate) mod locate;

pub(crate) mod reader;

mod sample;

mod stop_threads;
mod stops;

mod threads;

pub(crate) mod frames;

mod top;

mod links;

mod chunks;

mod shape;

mod places;

mod complete;

mod outside;

mod pace;

pub(crate) mod activations;

pub(crate) mod code;

mod line_table;

mod text;

mod objects;

pub(crate) mod thread_names;

pub(crate) mod tasks;

mod running_task;

pub(crate) mod linecache;

pub(crate) mod gil;

pub(crate) mod native_ids;

pub(crate) mod image_reader;

pub(crate) mod legacy;

pub(crate) mod legacy_helper;

pub use frames::{KEPT_AT_EACH_END, RawFrame, StackEnd};
pub use layout::Layout;
pub use layout::debug_offsets::{
    COOKIE as DEBUG_OFFSETS_COOKIE, MAX_BYTES as MAX_DEBUG_OFFSETS_BYTES,
    parse as parse_debug_offsets,
};
pub use layout::rows::Row;
pub use legacy::{LegacyReader, LegacyThread};
pub use line_table::{LineFormat, LineIndex, LineTable};
pub use linecache::cached_source;
pub use locate::{Found, GilPlace, Interpreter, locate};
pub use native_ids::native_ids;
pub use objects::{attributes as attribute_entries, dict_entries, find as find_entry, int_value};
pub use reader::{
    KnownThread, Reader, Reading, StopPolicy, StopThreads, StoppedThread, Undetermined, Vanished,
};
pub use text::read_str;
pub use thread_names::{ThreadNames, thread_names, thread_names_in};
pub use version::Version;
