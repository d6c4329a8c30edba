//! What one tick tells of one thread.

use crate::cpython::gil::GilLocks;
use crate::profile::attributes::AttributesId;
use crate::profile::event::{LostCause, StackId};

/// Tells the threads of one process apart.
pub type ThreadKey = (u64, u64);

/// What one tick tells of one thread.
#[derive(Debug, Clone, Copy)]
pub struct Observation {
    /// Tells the threads of one interpreter process apart: the `PyThreadState` and the `pthread_t`.
    pub key: (u64, u64),
    /// Its stack, or why there is none.
    pub stack: Result<Option<StackId>, LostCause>,
    /// Why a part of the stack is missing, if one is.
    pub cut: Option<LostCause>,
    /// Whether the stack was read at an earlier tick and stands for this one too, as the thread is stopped for its
    /// samples at other ticks.
    pub is_carried: bool,
    /// Whether the stack was read: not when the thread cannot have run Python code since the last tick.
    pub was_read: bool,
    /// Whether it holds the GIL; `None` when it cannot be told.
    pub holds_gil: Option<bool>,
    /// Where it would wait for the GIL, where that is known.
    pub gil_locks: Option<GilLocks>,
    /// Whether its interpreter is collecting garbage.
    pub is_collecting: bool,
    /// Which (sub)interpreter it runs in, 0 for the main one.
    pub interpreter: usize,
    /// What else is known of the sample.
    pub attributes: Option<AttributesId>,
}
