//! What a summary shows, where the caller may choose.

use crate::profile::Mode;

/// What a summary shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SummaryOptions {
    /// Rows per table of functions.
    pub functions: usize,
    /// Rows of the table of lines; 0: no such table.
    pub lines: usize,
    /// Rows of the table of threads; 0: no such table, and none for a single thread.
    pub threads: usize,
    /// Which time is shown.
    pub mode: Mode,
    /// Whether threads, states or stacks were left out: then nothing is said of the whole.
    pub is_part: bool,
}

impl Default for SummaryOptions {
    fn default() -> SummaryOptions {
        SummaryOptions {
            functions: 10,
            lines: 10,
            threads: 10,
            mode: Mode::Wall,
            is_part: false,
        }
    }
}
