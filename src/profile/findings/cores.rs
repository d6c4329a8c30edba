//! Turns CPU time and the number of runnable threads into what is wrong with the use of the cores.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::{Crowd, Finding};
use super::hot_line;
use super::scope::Scope;
use crate::profile::cores::{usable_cores, usable_of_host};
use crate::profile::event::{Nanos, ProcessId, Usage};
use crate::profile::{Profile, Totals};

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

/// Of which part of the CPU time threads without Python frames must have used, to be those that are too many.
const MIN_NATIVE_SHARE: f64 = 0.1;

/// What was read of a process longer ago says nothing of now, unless it is read as rarely.
const STALE: Nanos = Nanos(1_000_000_000);

/// Whether most of the cores are idle.
pub(super) fn few<'p>(scope: &Scope<'p>) -> Option<Finding<'p>> {
    let usable = usable_cores(scope.profile)?;
    let busy = scope.cores_busy();
    let is_few = busy >= MIN_BUSY && busy <= MAX_BUSY_SHARE * f64::from(usable);
    (usable >= MIN_CORES && is_few).then(|| Finding::FewCores {
        busy,
        usable,
        line: hot_line::of_rows(&scope.lines, scope.rows(), |row| {
            (row.totals.cpu + row.totals.helpers_cpu).0
        }),
    })
}

/// When more threads wanted to run than may.
struct Crowded {
    /// How many threads, on average.
    runnable: f64,
    /// Of how many processes, most often.
    processes: u32,
    /// On how many cores.
    usable: u32,
    /// In which part of the readings.
    share: f64,
    /// Whether the processes are ranks.
    are_ranks: bool,
    /// Whether threads without Python frames worked.
    are_native: bool,
}

/// Whether on some host more threads want to run than may.
pub(super) fn oversubscribed<'p>(scope: &Scope<'p>) -> Option<Finding<'p>> {
    let mut by_host: BTreeMap<&Option<String>, Vec<&Usage>> = BTreeMap::new();
    for usage in scope.usage() {
        let process = scope.profile.process(usage.process)?;
        by_host.entry(&process.host).or_default().push(usage);
    }
    let ends = ends(scope.profile);
    let found = by_host
        .values()
        .filter_map(|usage| of_host(scope, usage, &ends));
    let most = found.max_by(|a, b| a.share.total_cmp(&b.share))?;
    let processes = most.processes.max(1);
    let crowd = match (most.are_native, processes > most.usable) {
        (true, _) => Crowd::NativeThreads(processes),
        (false, true) if most.are_ranks => Crowd::Ranks(processes),
        (false, true) => Crowd::Processes(processes),
        (false, false) => Crowd::Threads(processes),
    };
    Some(Finding::Oversubscribed {
        crowd,
        runnable: most.runnable,
        usable: most.usable,
        share: most.share,
        line: hot_line::of_rows(&scope.lines, scope.rows(), |row| row.totals.helpers_cpu.0),
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

/// Whether too many threads of a host wanted to run. A reading of a process that ended says nothing of what runs after it.
fn of_host(scope: &Scope<'_>, usage: &[&Usage], ends: &[Nanos]) -> Option<Crowded> {
    let ids: BTreeSet<ProcessId> = usage.iter().map(|usage| usage.process).collect();
    let processes = ids.iter().filter_map(|id| scope.profile.process(*id));
    let processes: Vec<_> = processes.collect();
    let are_ranks = processes.iter().any(|process| process.rank.is_some());
    let usable = usable_of_host(processes)?;
    // Besides the workers of a pool there is the process that hands out their work.
    let spare = u64::from(!are_ranks && usable > 1);
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
        let of_now = of_now.map(|(.., runnable)| u64::from(*runnable));
        let of_now: Vec<u64> = of_now.filter(|runnable| *runnable > 0).collect();
        let runnable: u64 = of_now.iter().sum();
        readings += 1;
        if runnable > u64::from(usable) + spare {
            over.push((of_now.len() as u32, runnable as f64));
        }
    }
    let share = over.len() as f64 / readings.max(1) as f64;
    let is_many = readings >= MIN_READINGS && share >= MIN_OVER_SHARE;
    let runnable: f64 = over.iter().map(|(_, runnable)| runnable).sum();
    let middle = over.len() / 2;
    let mut processes: Vec<u32> = over.iter().map(|(processes, _)| *processes).collect();
    processes.sort_unstable();
    is_many.then(|| Crowded {
        runnable: runnable / over.len().max(1) as f64,
        processes: processes.get(middle).copied().unwrap_or_default(),
        usable,
        share,
        are_ranks,
        are_native: is_native(scope, &ids),
    })
}

/// Whether threads without Python frames used a good part of the CPU time of these processes.
fn is_native(scope: &Scope<'_>, ids: &BTreeSet<ProcessId>) -> bool {
    let threads = scope.threads();
    let totals: Totals = threads
        .filter(|(_, thread, _)| ids.contains(&thread.process))
        .map(|(.., totals)| totals)
        .sum();
    let whole = totals.cpu + totals.helpers_cpu;
    totals.helpers_cpu.seconds() > MIN_NATIVE_SHARE * whole.seconds()
}
