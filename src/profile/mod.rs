//! Turns events into stacks with times, and those into tables and call trees.
//!
//! ```text
//! Event ─► Profile (fold) ─► Functions (functions) ─► lines (lines), call edges (callers)
//!                   ├──────► sums over the tree of stacks (sums)
//!                   └──────► on demand, what was seen when (timeline)
//! ```

pub mod event;

mod fold;
mod sums;

pub mod functions;

pub mod lines;

pub mod callers;

pub mod timeline;

pub use fold::{Profile, Row, Stack, Totals, View};
