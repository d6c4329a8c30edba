//! Turns the times of threads and the limits of processes into how long the samples go on, and how many cores were busy
//! and could be.

use std::collections::BTreeMap;

use super::event::{Nanos, Process};
use super::{Profile, Totals};

/// How long the samples go on: the time in which any thread was sampled. Of processes that ran one after the
/// other it is the sum, of those that ran at the same time the longest.
#[must_use]
pub fn elapsed(profile: &Profile) -> Nanos {
    let walls = profile.thread_totals().iter().map(|totals| totals.wall);
    walls.max().unwrap_or_default().max(profile.sampled_time())
}

/// How many cores were busy, on average over the time that the samples go on.
#[must_use]
pub fn cores_busy(profile: &Profile) -> f64 {
    let Totals {
        cpu, helpers_cpu, ..
    } = profile.totals();
    match elapsed(profile) {
        Nanos(0) => 0.0,
        elapsed => (cpu + helpers_cpu).seconds() / elapsed.seconds(),
    }
}

/// How many cores the program may use, over all hosts. `None`: not known of any.
#[must_use]
pub fn usable_cores(profile: &Profile) -> Option<u32> {
    let mut by_host: BTreeMap<_, Vec<&Process>> = BTreeMap::new();
    for process in profile.processes() {
        by_host.entry(&process.host).or_default().push(process);
    }
    let of_hosts = by_host.into_values().filter_map(usable_of_host);
    of_hosts.reduce(u32::saturating_add)
}

/// How many cores processes of one host may use: those in the affinity mask of any of them, as ranks are often
/// bound to one core each; fewer where the quota of the control group that they are in allows less.
pub(super) fn usable_of_host(processes: Vec<&Process>) -> Option<u32> {
    let mut union: Vec<u64> = Vec::new();
    for process in &processes {
        union.resize(union.len().max(process.cpu_mask.len()), 0);
        for (word, own) in union.iter_mut().zip(&process.cpu_mask) {
            *word |= own;
        }
    }
    let in_masks: u32 = union.iter().map(|word| word.count_ones()).sum();
    // An older recording has no masks.
    let without_mask = processes
        .iter()
        .filter(|process| process.cpu_mask.is_empty());
    let known = without_mask.filter_map(|process| process.usable_cpus).max();
    let usable = known.unwrap_or(0).max(in_masks);
    let quotas = processes.iter().map(|process| process.cpu_quota);
    let quota = quotas
        .collect::<Option<Vec<u32>>>()
        .and_then(|quotas| quotas.into_iter().max());
    (usable > 0).then(|| quota.map_or(usable, |quota| usable.min(quota)))
}
