//! Turns readings of resident memory into whether a process came near its limit.

use super::finding::Finding;
use super::own_lines::OwnLines;
use crate::profile::Profile;
use crate::profile::event::ProcessId;

/// From this part of the limit on, a larger input is one too large.
const MIN_SHARE: f64 = 0.8;

/// The highest resident memory of a process, in bytes, as the kernel tells it or as it was read.
pub(super) fn peak(profile: &Profile, process: ProcessId) -> Option<u64> {
    let usage = profile.usage().iter();
    let usage = usage.filter(|usage| usage.process == process);
    usage
        .filter_map(|usage| usage.peak.max(usage.resident))
        .max()
}

/// The process that came nearest to its limit, if it came near.
pub(super) fn finding<'p>(profile: &'p Profile, lines: &OwnLines<'p>) -> Option<Finding<'p>> {
    let processes = (0..).map(ProcessId).zip(profile.processes());
    let shares = processes.filter_map(|(id, process)| {
        let limit = process.memory_limit.filter(|limit| *limit > 0)?;
        let peak = peak(profile, id)?;
        Some((peak as f64 / limit as f64, peak, limit, id))
    });
    let nearest = shares.max_by(|a, b| a.0.total_cmp(&b.0));
    let (_, peak, limit, id) = nearest.filter(|(share, ..)| *share >= MIN_SHARE)?;
    let is_of = |thread: usize| {
        let thread = profile.threads().get(thread);
        thread.is_some_and(|thread| thread.process == id)
    };
    Some(Finding::MemoryNearLimit {
        peak,
        limit,
        line: lines.hottest(|row| match is_of(row.thread.0 as usize) {
            true => row.totals.grown_bytes,
            false => 0,
        }),
    })
}
