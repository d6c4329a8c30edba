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

pub(crate) mod attributes;

pub(crate) mod tasks;

mod awaits;

pub(crate) mod await_lines;

pub(crate) mod event;

pub(crate) mod limits;

pub(crate) mod native_frames;

pub(crate) mod dump;

mod blocks;
mod covered;
mod definitions;
mod event_loops;
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

pub(crate) mod functions;

pub(crate) mod lines;

pub(crate) mod states;

pub(crate) mod line_tables;

pub(crate) mod memory;

pub(crate) mod annotation;

pub(crate) mod cores;

pub(crate) mod findings;

pub(crate) mod callers;

pub(crate) mod over_ranks;

pub(crate) mod work;

pub(crate) mod track;

pub(crate) mod timeline;

pub(crate) mod paths;

mod idle;

mod idle_waits;

pub(crate) mod snapshot;

pub(crate) mod origin;

pub(crate) mod own_lines;

pub(crate) mod filter;

pub(crate) mod diff;

pub(crate) mod confidence;

pub use annotation::Annotation;
pub use attributes::{Attribute, Attributes, AttributesId};
pub use callers::edges as call_edges;
pub use confidence::Confidence;
pub use cores::{cores_busy, elapsed, usable_cores};
pub use diff::{
    Change as DiffChange, Diff, Limit as DiffLimit, Outcome as DiffOutcome, SampledProfile,
    Scale as DiffScale,
};
pub use dump::{Activity as ThreadActivity, Dump, ThreadDump};
pub use event::{
    Awaited, Event, Frame, FrameId, FrameKind, Loss, LostCause, Missing, NATIVE_MISSING, Nanos,
    NativeCode, NativeSample, Process, ProcessId, RateSpan, Sample, StackId, State, Thread,
    ThreadId, UndeterminedCause, Usage,
};
pub use filter::{
    Filter, Folding, Hidden, Name as NameFilter, NothingLeft, Ranks, Selection, StepName,
};
pub use findings::{Finding, findings};
pub use fold::{Mode, Profile, Row, Totals};
pub use functions::{Function, FunctionKind, Functions};
pub use limits::MORE_STACKS;
pub use line_tables::{
    Heat, LineTable, hottest as hottest_tables, named as named_tables, of as line_tables,
};
pub use lines::Lines;
pub use memory::Memory;
pub use native_frames::{NativeFrames, NativeFunction, WorkClasses};
pub use over_ranks::{OverRanks, Spread};
pub use recent::MAX_SECONDS;
pub use snapshot::{Snapshot, Snapshots, Span};
pub use states::whole as state_times;
pub use tasks::{TaskRow, task_of, tasks};
pub use timeline::{MAX_BYTES as MAX_TIMELINE_BYTES, Timeline};

pub(crate) use definitions::Stack;
pub(crate) use idle_waits::IdleWaits;
pub(crate) use native_definitions::UnnamedFrame;
pub(crate) use native_sums::NativeTotals;
