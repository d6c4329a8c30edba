//! Turns readings of resident memory into whether a process came near its limit.

use super::finding::{Finding, HotLine};
use super::hot_line;
use super::scope::Scope;
use crate::profile::event::ProcessId;

/// From this part of the limit on, a larger input is one too large.
const MIN_SHARE: f64 = 0.8;

/// The highest resident memory of a process, in bytes, as the kernel tells it or as it was read.
fn peak(scope: &Scope<'_>, process: ProcessId) -> Option<u64> {
    let usage = scope.usage().filter(|usage| usage.process == process);
    usage
        .filter_map(|usage| usage.peak.max(usage.resident))
        .max()
}

/// The line that most likely retains most of what a process grew by, in bytes.
pub(super) fn retaining<'p>(scope: &Scope<'p>, process: ProcessId) -> Option<HotLine<'p>> {
    let retained = scope.profile.retained_bytes();
    let own = retained.filter(|(id, ..)| *id == process);
    let own = own.map(|(_, stack, bytes)| (stack, bytes));
    hot_line::of_stacks(&scope.lines, own)
}

/// The process that came nearest to its limit, if it came near.
pub(super) fn finding<'p>(scope: &Scope<'p>) -> Option<Finding<'p>> {
    let processes = (0..).map(ProcessId).zip(scope.profile.processes());
    let shares = processes.filter_map(|(id, process)| {
        let limit = process.memory_limit.filter(|limit| *limit > 0)?;
        let peak = peak(scope, id)?;
        Some((peak as f64 / limit as f64, peak, limit, id))
    });
    let nearest = shares.max_by(|a, b| a.0.total_cmp(&b.0));
    let (_, peak, limit, id) = nearest.filter(|(share, ..)| *share >= MIN_SHARE)?;
    Some(Finding::MemoryNearLimit {
        peak,
        limit,
        line: retaining(scope, id),
    })
}
