//! Turns a profile into what stands out in it, each with the line to look at.
//!
//! Everything is told in numbers; `export` puts them into words. Thresholds are constants beside what they
//! decide; each was chosen so that a program in good order is told nothing.

use std::collections::BTreeMap;

use super::event::{Nanos, Process};
use super::functions::Function;
use super::{Profile, Totals};

mod own_lines;

mod cores;

mod gil;

mod imports;

mod memory;

mod samples;

mod waits;

use own_lines::OwnLines;

/// How many are told at most.
const MAX_FINDINGS: usize = 5;

/// A line and its part of what a finding is about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HotLine<'p> {
    /// The function it is in.
    pub function: Function<'p>,
    /// The line; `None` where it could not be told.
    pub line: Option<u32>,
    /// How much of it is here, in the unit of the finding.
    pub amount: u64,
    /// The same as a part of the whole, from 0 to 1.
    pub share: f64,
}

/// Something that stands out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Finding<'p> {
    /// Memory came near its limit.
    MemoryNearLimit {
        /// The highest resident memory of a process, in bytes.
        peak: u64,
        /// What the process may use, in bytes.
        limit: u64,
        /// Where it grew most, in bytes.
        line: Option<HotLine<'p>>,
    },
    /// Threads wait for the GIL.
    GilBound {
        /// How many.
        threads: usize,
        /// How long, all together.
        waited: Nanos,
        /// The part of the time in which these threads wanted to run.
        share: f64,
        /// Which line held it while others waited, in nanoseconds of theirs.
        line: Option<HotLine<'p>>,
    },
    /// Main threads wait for something else most of the time, and nobody else works.
    Waits {
        /// What for.
        state: super::event::State,
        /// The part of the main threads' time.
        share: f64,
        /// Where, in nanoseconds.
        line: Option<HotLine<'p>>,
    },
    /// Imports take a good part of the time.
    Imports {
        /// How long.
        time: Nanos,
        /// The part of the time of the threads that import.
        share: f64,
        /// For which line, in nanoseconds.
        line: Option<HotLine<'p>>,
    },
    /// Most of the cores are idle.
    FewCores {
        /// How many are busy, on average.
        busy: f64,
        /// How many may be used.
        usable: u32,
        /// Where the CPU time goes, in nanoseconds.
        line: Option<HotLine<'p>>,
    },
    /// More threads are ready to run than there are cores.
    Oversubscribed {
        /// How many, on average when there were too many.
        runnable: f64,
        /// How many cores may be used.
        usable: u32,
        /// The part of the readings with too many.
        share: f64,
        /// For which line others work, in nanoseconds of CPU time.
        line: Option<HotLine<'p>>,
    },
    /// There are too few samples for the digits shown.
    FewSamples {
        /// How many of the same length would be as exact ([`Profile::effective_samples`]).
        samples: u64,
        /// The largest share of a function, from 0 to 1.
        share: f64,
        /// Half the width of its 95 % interval, if each sample stood for itself.
        error: f64,
    },
}

/// What stands out, the most urgent first; nothing for a profile without samples.
#[must_use]
pub fn findings(profile: &Profile) -> Vec<Finding<'_>> {
    if profile.totals().wall == Nanos(0) {
        return Vec::new();
    }
    let lines = OwnLines::of(profile);
    let gil = gil::finding(profile, &lines);
    let waits = waits::finding(profile, &lines);
    // What keeps the cores idle says more than that they are.
    let cores = match (&gil, &waits) {
        (None, None) => cores::few(profile, &lines),
        _ => None,
    };
    let found = [
        memory::finding(profile, &lines),
        gil,
        waits,
        imports::finding(profile, &lines),
        cores,
        cores::oversubscribed(profile, &lines),
        samples::finding(profile),
    ];
    found.into_iter().flatten().take(MAX_FINDINGS).collect()
}

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
fn usable_of_host(processes: Vec<&Process>) -> Option<u32> {
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
