//! Turns a profile into what stands out in it, each with the line to look at.
//!
//! Everything is told in numbers; `export` puts them into words. Thresholds are constants beside what they
//! decide; each was chosen so that a program in good order is told nothing.

use super::event::Nanos;
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
        /// How many.
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

/// How long the samples go on: the time of the thread that was seen longest.
#[must_use]
pub fn elapsed(profile: &Profile) -> Nanos {
    let walls = profile.thread_totals().iter().map(|totals| totals.wall);
    walls.max().unwrap_or_default()
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

/// How many cores the program may use: of each host those of the process that may use most. `None`: not
/// known of any.
#[must_use]
pub fn usable_cores(profile: &Profile) -> Option<u32> {
    let mut by_host = std::collections::BTreeMap::new();
    for process in profile.processes() {
        if let Some(cpus) = process.usable_cpus {
            let known = by_host.entry(&process.host).or_insert(0);
            *known = cpus.max(*known);
        }
    }
    let sum = by_host.values().fold(0_u32, |a, b| a.saturating_add(*b));
    (sum > 0).then_some(sum)
}
