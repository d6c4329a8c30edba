//! Turns readings of memory into whether a process did nothing but grow.

use super::finding::Finding;
use super::memory::retaining;
use super::scope::Scope;
use crate::profile::event::{Nanos, ProcessId};

/// The run is divided into so many parts, and in each there is more than in the one before.
const PARTS: usize = 6;

/// Even growth is a fifth of the whole from part to part; with less than this, it has come to rest.
const MIN_STEP: f64 = 0.05;

/// By less, growth is that of any program that works, in bytes.
const MIN_BYTES: u64 = 10_000_000;

/// By a smaller part of what is used, growth is nothing to think about.
const MIN_SHARE: f64 = 0.1;

/// A shorter run is one that starts, where everything grows.
const MIN_TIME: Nanos = Nanos(2_000_000_000);

/// With fewer readings in a part it is not known how much there is.
const MIN_READINGS: usize = 3;

/// Where importing retains a larger part of what a process grew by, it is loading modules.
const MAX_IMPORTS: f64 = 0.5;

/// The process that grew most, if it did all the time.
pub(super) fn finding<'p>(scope: &Scope<'p>) -> Option<Finding<'p>> {
    let processes = (0..scope.profile.processes().len() as u32).map(ProcessId);
    let grown = processes.filter_map(|id| Some((of_process(scope, id)?, id)));
    let grown = grown.filter(|((from, to, _), id)| {
        imported_bytes(scope, *id) as f64 <= MAX_IMPORTS * (to - from) as f64
    });
    let (most, id) = grown.max_by_key(|((from, to, _), _)| to - from)?;
    let (from, to, time) = most;
    Some(Finding::MemoryGrows {
        from,
        to,
        time,
        limit: scope.profile.process(id)?.memory_limit,
        line: retaining(scope, id),
    })
}

/// From how many bytes to how many memory grew, and in what time; `None`: it fell back, or came to rest.
///
/// Most programs take and give back memory all the time: of each part of the run the lower quartile counts, which few
/// peaks and few lows move.
fn of_process(scope: &Scope<'_>, process: ProcessId) -> Option<(u64, u64, Nanos)> {
    let readings = readings(scope, process);
    let ((start, _), (end, _)) = (*readings.first()?, *readings.last()?);
    let time = end - start;
    if time < MIN_TIME {
        return None;
    }
    let bound = |part: usize| start.0 + (u128::from(time.0) * part as u128 / PARTS as u128) as u64;
    let part = |part: usize| {
        let from = readings.partition_point(|(at, _)| at.0 < bound(part));
        let to = readings.partition_point(|(at, _)| at.0 < bound(part + 1));
        let to = if part + 1 == PARTS {
            readings.len()
        } else {
            to
        };
        let mut levels: Vec<u64> = readings[from..to].iter().map(|(_, bytes)| *bytes).collect();
        levels.sort_unstable();
        (levels.len() >= MIN_READINGS).then_some(levels)
    };
    let parts = (0..PARTS).map(part).collect::<Option<Vec<_>>>()?;
    let quartiles: Vec<u64> = parts
        .iter()
        .map(|levels| levels[levels.len() / 4])
        .collect();
    let (from, to) = (*quartiles.first()?, *quartiles.last()?);
    let grown = to.checked_sub(from)?;
    let is_enough = grown >= MIN_BYTES && grown as f64 >= MIN_SHARE * to as f64;
    let mut steps = quartiles.windows(2);
    let is_steady = steps.all(|pair| pair[1] as f64 - pair[0] as f64 >= MIN_STEP * grown as f64);
    // Not even at its lowest is it where it began.
    let lowest = *parts.last()?.first()?;
    (is_enough && is_steady && lowest > from).then_some((from, to, time))
}

/// How much of what a process retains grew while it imported something, in bytes.
fn imported_bytes(scope: &Scope<'_>, process: ProcessId) -> u64 {
    let retained = scope.profile.retained_bytes();
    let imported =
        retained.filter(|(id, stack, _)| *id == process && scope.lines.importing(*stack).is_some());
    imported.fold(0, |sum: u64, (.., bytes)| sum.saturating_add(bytes))
}

/// What was resident when. What belongs to files is not counted: the kernel can take it back.
fn readings(scope: &Scope<'_>, process: ProcessId) -> Vec<(Nanos, u64)> {
    let usage = scope.usage().filter(|usage| usage.process == process);
    let readings = usage.filter_map(|usage| Some((usage.at, usage.anonymous.or(usage.resident)?)));
    let mut readings: Vec<_> = readings.collect();
    readings.sort_unstable();
    readings
}
