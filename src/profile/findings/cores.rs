//! Turns CPU time and the number of runnable threads into what is wrong with the use of the cores.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::Finding;
use super::own_lines::OwnLines;
use crate::profile::Profile;
use crate::profile::cores::{cores_busy, usable_cores, usable_of_host};
use crate::profile::event::{Nanos, ProcessId, Usage};

/// With fewer cores there is little to gain.
const MIN_CORES: u32 = 4;

/// Less is a program that waits, not one that works on too few cores.
const MIN_BUSY: f64 = 0.6;

/// Above this part of the cores, the program is in parallel.
const MAX_BUSY_SHARE: f64 = 0.3;

/// So often there must have been too many threads.
const MIN_OVER_SHARE: f64 = 0.3;

/// With fewer readings it may be chance.
const MIN_READINGS: usize = 5;

/// What was read of a process longer ago says nothing of now, unless it is read as rarely.
const STALE: Nanos = Nanos(1_000_000_000);

/// Whether most of the cores are idle.
pub(super) fn few<'p>(profile: &'p Profile, lines: &OwnLines<'p>) -> Option<Finding<'p>> {
    let usable = usable_cores(profile)?;
    let busy = cores_busy(profile);
    let is_few = busy >= MIN_BUSY && busy <= MAX_BUSY_SHARE * f64::from(usable);
    (usable >= MIN_CORES && is_few).then(|| Finding::FewCores {
        busy,
        usable,
        line: lines.hottest(|row| (row.totals.cpu + row.totals.helpers_cpu).0),
    })
}

/// Whether on some host more threads want to run than may.
pub(super) fn oversubscribed<'p>(
    profile: &'p Profile,
    lines: &OwnLines<'p>,
) -> Option<Finding<'p>> {
    let mut by_host: BTreeMap<&Option<String>, Vec<&Usage>> = BTreeMap::new();
    for usage in profile.usage() {
        let process = profile.process(usage.process)?;
        by_host.entry(&process.host).or_default().push(usage);
    }
    let ends = ends(profile);
    let found = by_host
        .values()
        .filter_map(|usage| of_host(profile, usage, &ends));
    let (runnable, usable, share) = found.max_by(|a, b| a.2.total_cmp(&b.2))?;
    Some(Finding::Oversubscribed {
        runnable,
        usable,
        share,
        line: lines.hottest(|row| row.totals.helpers_cpu.0),
    })
}

/// Until when each process was seen: the end of its last sample, or its last reading.
fn ends(profile: &Profile) -> Vec<Nanos> {
    let mut ends = vec![Nanos(0); profile.processes().len()];
    let of_threads = profile.threads().iter().zip(profile.thread_ends());
    let of_threads = of_threads.map(|(thread, end)| (thread.process, *end));
    let of_usage = profile.usage().iter();
    let of_usage = of_usage.map(|usage| (usage.process, usage.at));
    for (process, at) in of_threads.chain(of_usage) {
        if let Some(end) = ends.get_mut(process.0 as usize) {
            *end = at.max(*end);
        }
    }
    ends
}

/// How many threads were runnable when they were too many, on how many cores, and how often. A reading of a
/// process that ended says nothing of what runs after it.
fn of_host(profile: &Profile, usage: &[&Usage], ends: &[Nanos]) -> Option<(f64, u32, f64)> {
    let ids: BTreeSet<ProcessId> = usage.iter().map(|usage| usage.process).collect();
    let processes = ids.into_iter().filter_map(|id| profile.process(id));
    let usable = usable_of_host(processes.collect())?;
    // Until when the last reading of each process holds.
    let mut latest: BTreeMap<ProcessId, (Nanos, Nanos, u32)> = BTreeMap::new();
    let (mut readings, mut over) = (0_usize, Vec::new());
    let mut usage = usage.to_vec();
    usage.sort_by_key(|usage| usage.at);
    for usage in usage {
        let Some(runnable) = usage.runnable else {
            continue;
        };
        let before = latest.get(&usage.process);
        let pause = before.map_or(Nanos(0), |(at, ..)| usage.at - *at);
        let holds_until = usage.at + STALE.max(Nanos(pause.0.saturating_mul(2)));
        let end = ends.get(usage.process.0 as usize).copied();
        let holds_until = holds_until.min(end.unwrap_or(holds_until));
        latest.insert(usage.process, (usage.at, holds_until, runnable));
        let of_now = latest.values();
        let of_now = of_now.filter(|(_, until, _)| *until >= usage.at);
        let runnable: u64 = of_now.map(|(.., runnable)| u64::from(*runnable)).sum();
        readings += 1;
        if runnable > u64::from(usable) {
            over.push(runnable as f64);
        }
    }
    let share = over.len() as f64 / readings.max(1) as f64;
    let is_many = readings >= MIN_READINGS && share >= MIN_OVER_SHARE;
    let mean = over.iter().sum::<f64>() / over.len().max(1) as f64;
    is_many.then_some((mean, usable, share))
}
