//! A function at an address in a file, as symbols or debug information tell it.

use serde::{Deserialize, Serialize};

/// A function at an address, or one that was inlined there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedFrame {
    /// The name as in the source, else the file with the offset of the function: `libm.so.6+0x702c0`.
    pub name: String,
    /// The path of the source file as the compiler saw it.
    pub file: Option<String>,
    /// The line in it, from 1.
    pub line: Option<u32>,
    /// Whether it was compiled into the one that follows.
    pub is_inlined: bool,
    /// Where the name is from.
    pub source: NameSource,
}

/// Where a name is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NameSource {
    /// Debug information (DWARF).
    DebugInfo,
    /// A symbol table.
    Symbol,
    /// There is no name, only an offset.
    Offset,
}

/// How much is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Detail {
    /// Names, files, lines and inlined functions.
    Lines,
    /// Names by symbols only: for files whose debug information is too much.
    Names,
}
