//! Turns addresses in an ELF file into the functions, files and lines there, with those that were inlined.
//!
//! The file is the target's and may say anything: what is read of it is limited by
//! [`ReadBudget`](crate::process::ReadBudget), and what can't be used costs the names that it would have given.
//! [`SymbolReader`] leaves it to a process of its own, which has a limit of memory, too.

pub(crate) mod reader;

mod look_up;

mod frame;

mod module;

mod debug_files;

mod target_files;

mod perf_map;

mod dwarf;

mod tables;

mod functions;

mod compressed;

mod symbols_folder;

pub use debug_files::DebugFiles;
pub use frame::{Detail, NameSource, NamedFrame};
pub use look_up::{look_up, look_up_mapped};
pub use perf_map::PerfMap;
pub use reader::{Hurry, SymbolReader};
pub use symbols_folder::look_up_in_folder;
