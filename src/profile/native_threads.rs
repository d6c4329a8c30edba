//! A thread without Python frames, as its native samples tell of it.

use super::attributes::AttributesId;
use super::event::{StackId, State, ThreadId};
use super::native_sums::NativeTotals;

/// A thread that never had a Python frame, in one stack and state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NativeThreadRow {
    /// The thread.
    pub thread: ThreadId,
    /// Its stack, of the profile that [`Profile::with_native_frames`] gives.
    pub stack: Option<StackId>,
    /// What it was doing.
    pub state: State,
    /// The class of its work; `None`: not known.
    pub attributes: Option<AttributesId>,
    /// The sums over its native samples.
    pub totals: NativeTotals,
}
