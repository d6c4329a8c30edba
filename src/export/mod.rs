//! Turns a profile into the bytes of a file format.

use std::path::Path;

/// A file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// A flame graph.
    FlameGraph,
    /// Statistics as Python's pstats module reads them.
    Pstats,
    /// Folded stacks.
    Folded,
    /// The summary as plain text.
    Text,
}

impl Format {
    /// Every format, by its ending.
    #[must_use]
    pub fn known() -> &'static [(&'static str, Format)] {
        &[
            ("svg", Format::FlameGraph),
            ("pstats", Format::Pstats),
            ("folded", Format::Folded),
            ("txt", Format::Text),
        ]
    }

    /// The format that the ending of `path` chooses.
    #[must_use]
    pub fn from_path(path: &Path) -> Option<Format> {
        let ending = path.extension()?.to_str()?;
        Format::known()
            .iter()
            .find(|(known, _)| *known == ending)
            .map(|(_, format)| *format)
    }
}
