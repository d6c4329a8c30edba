//! Turns events into stacks with times, and those into tables and call trees.
//!
//! ```text
//! Event ─► Filter (filter) ─► Profile (fold) ─► Functions (functions) ─► lines (lines), call edges (callers)
//!                                      ├──────► sums over the tree of stacks (sums)
//!                                      ├──────► functions and lines over the ranks (over_ranks)
//!                                      ├──────► two of them: what differs (diff)
//!                                      ├──────► on demand, what was seen when (timeline)
//!                                      └──────► on demand, the last minute as a profile of its own (recent), for
//!                                               a live view (snapshot)
//! ```

pub mod attributes;

pub mod tasks;

mod awaits;

pub mod await_lines;

pub mod event;

pub mod limits;

pub mod native_frames;

pub mod dump;

mod blocks;
mod covered;
mod definitions;
pub mod event_loops;
mod fold;
mod named_stacks;
mod native_definitions;
mod native_lines;
mod native_sums;
mod native_threads;
mod nearest;
mod own_frames;
mod packed;
mod recent;
mod refine;
mod retained;
mod shares;
mod sites;
mod sums;
mod task_counts;
mod unordered;
mod usage;

pub mod functions;

pub mod lines;

pub mod states;

pub mod line_tables;

pub mod memory;

pub mod annotation;

pub mod cores;

pub mod findings;

pub mod callers;

pub mod over_ranks;

pub mod work;

pub mod track;

pub mod timeline;

pub mod paths;

mod idle;

mod idle_waits;

pub mod snapshot;

pub mod origin;

pub mod own_lines;

pub mod filter;

pub mod diff;

pub mod confidence;

pub use definitions::Stack;
pub use fold::{Mode, Profile, Row, Totals};
pub use idle::Wait;
pub use idle_waits::IdleWaits;
pub use native_definitions::UnnamedFrame;
pub use native_lines::NativePart;
pub use native_sums::NativeTotals;
pub use native_threads::NativeThreadRow;
pub use recent::MAX_SECONDS;
