//! Turns stacks with native frames into the part of each Python line's time that is native, and the library with most of it.

use std::collections::BTreeMap;

use super::Profile;
use super::event::{FrameKind, Nanos};
use super::lines::Lines;
use super::paths::file_name;

/// The native part of a line's time, with what it called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NativePart<'p> {
    /// The wall time in which the innermost function was native.
    pub time: Nanos,
    /// The library with most of it.
    pub library: &'p str,
}

/// By line, an index into [`Lines::rows`]; `None` for lines without native functions. `lines` is that of the same profile.
#[must_use]
pub(super) fn native_parts<'p>(
    profile: &'p Profile,
    lines: &Lines<'_>,
) -> Vec<Option<NativePart<'p>>> {
    let refined = profile.with_native_frames();
    let mut sums: Vec<BTreeMap<&str, Nanos>> = vec![BTreeMap::new(); lines.rows().len()];
    for row in refined.rows() {
        let innermost = refined.frames_of(row.stack).next();
        let Some(FrameKind::Native(code)) = innermost.map(|frame| &frame.kind) else {
            continue;
        };
        let library = file_name(&code.module);
        // Frames of the profile have the same numbers with and without native ones.
        let ids = refined.frame_ids_of(row.stack);
        let mut on_stack: Vec<usize> = ids.filter_map(|id| lines.of_frame(id)).collect();
        on_stack.sort_unstable();
        on_stack.dedup();
        for line in on_stack {
            if let Some(sums) = sums.get_mut(line) {
                *sums.entry(library).or_default() += row.totals.wall;
            }
        }
    }
    let part = |sums: BTreeMap<&'p str, Nanos>| {
        let time = sums.values().fold(Nanos(0), |sum, time| sum + *time);
        let most = sums.into_iter().max_by_key(|(_, time)| *time);
        most.map(|(library, _)| NativePart { time, library })
    };
    sums.into_iter().map(part).collect()
}
