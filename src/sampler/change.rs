//! By how many bytes memory grew, or shrank.

/// By how many bytes memory grew, or shrank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Change {
    /// By how much it grew.
    pub grown_bytes: u64,
    /// By how much it shrank.
    pub shrunk_bytes: u64,
}

impl Change {
    /// From one size to another, in bytes.
    #[must_use]
    pub fn between(before: u64, now: u64) -> Change {
        Change {
            grown_bytes: now.saturating_sub(before),
            shrunk_bytes: before.saturating_sub(now),
        }
    }

    /// Both changes, one after the other.
    #[must_use]
    pub fn plus(self, next: Change) -> Change {
        Change {
            grown_bytes: self.grown_bytes.saturating_add(next.grown_bytes),
            shrunk_bytes: self.shrunk_bytes.saturating_add(next.shrunk_bytes),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Change::default()
    }
}
