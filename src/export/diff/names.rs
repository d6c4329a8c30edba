//! What the two recordings of a diff are called.

/// What the two recordings are called.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// The one before.
    pub base: String,
    /// The one after.
    pub new: String,
}
