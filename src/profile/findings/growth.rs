//! Turns readings of memory into whether a process did nothing but grow.

use super::finding::Finding;
use super::memory::retaining;
use super::scope::Scope;
use crate::profile::event::{Nanos, ProcessId};

/// The run is divided into so many parts, and in each memory falls back less far than in the one before.
const PARTS: u64 = 6;

/// Even growth is a fifth of the whole from part to part; with less than this, it has come to rest.
const MIN_STEP: f64 = 0.05;

/// By less, growth is that of any program that works, in bytes.
const MIN_BYTES: u64 = 10_000_000;

/// By a smaller part of what is used, growth is nothing to think about.
const MIN_SHARE: f64 = 0.1;

/// A shorter run is one that starts, where everything grows.
const MIN_TIME: Nanos = Nanos(2_000_000_000);

/// With fewer readings in a part it is not known how far memory falls back.
const MIN_READINGS: usize = 3;

/// The process that grew most, if it did all the time.
pub(super) fn finding<'p>(scope: &Scope<'p>) -> Option<Finding<'p>> {
    let processes = (0..scope.profile.processes().len() as u32).map(ProcessId);
    let grown = processes.filter_map(|id| Some((of_process(scope, id)?, id)));
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
fn of_process(scope: &Scope<'_>, process: ProcessId) -> Option<(u64, u64, Nanos)> {
    // What belongs to files is the kernel's to take back.
    let usage = scope.usage().filter(|usage| usage.process == process);
    let mut readings: Vec<(Nanos, u64)> = usage
        .filter_map(|usage| Some((usage.at, usage.anonymous.or(usage.resident)?)))
        .collect();
    readings.sort_unstable();
    let ((start, from), (end, to)) = (*readings.first()?, *readings.last()?);
    let time = end - start;
    let grown = to.checked_sub(from)?;
    let is_enough = grown >= MIN_BYTES && grown as f64 >= MIN_SHARE * to as f64;
    if time < MIN_TIME || !is_enough {
        return None;
    }
    let mut lowest = Vec::new();
    for part in 0..PARTS {
        let bound = |part| {
            start + Nanos((u128::from(time.0) * u128::from(part) / u128::from(PARTS)) as u64)
        };
        let is_within =
            |at: Nanos| at >= bound(part) && (at < bound(part + 1) || part + 1 == PARTS);
        let within = readings.iter().filter(|(at, _)| is_within(*at));
        let within: Vec<u64> = within.map(|(_, bytes)| *bytes).collect();
        if within.len() < MIN_READINGS {
            return None;
        }
        lowest.push(within.into_iter().min()?);
    }
    let whole = lowest.last()?.checked_sub(*lowest.first()?)? as f64;
    let mut steps = lowest.windows(2);
    let is_steady = steps.all(|pair| pair[1] as f64 - pair[0] as f64 >= MIN_STEP * whole);
    (whole > 0.0 && is_steady).then_some((from, to, time))
}
