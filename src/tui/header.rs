//! Turns a snapshot into the figures above the table: how busy the program is, and with what.

use std::collections::{BTreeMap, BTreeSet};

use crate::profile::event::{Nanos, ProcessId, State, Usage};
use crate::profile::snapshot::Snapshot;
use crate::profile::{Profile, cores, states};

/// The figures of one span of time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Header {
    /// For how long was sampled until now.
    pub elapsed: Nanos,
    /// How many cores were busy, on average.
    pub cores: f64,
    /// How many could be.
    pub usable_cores: Option<u32>,
    /// The part of the time in which the GIL was held, from 0 to 1; of several processes, that of the busiest.
    pub gil: f64,
    /// The resident memory of the process that has most, in bytes, and its limit.
    pub memory: Option<(u64, Option<u64>)>,
    /// How much was read and written by system calls, in bytes a second.
    pub io: Option<(u64, u64)>,
    /// What threads did: parts of their time from 0 to 1, the longest first.
    pub states: Vec<(State, f64)>,
    /// How many processes were sampled.
    pub processes: usize,
    /// How many threads.
    pub threads: usize,
    /// Samples a second, of all threads.
    pub samples_per_second: f64,
}

impl Header {
    /// Of a snapshot; `shown` is what is left of its profile to be shown.
    #[must_use]
    pub fn of(snapshot: &Snapshot, shown: &Profile) -> Header {
        let profile = &snapshot.profile;
        let elapsed = cores::elapsed(profile).seconds().max(1e-9);
        let times = states::whole(shown);
        let states = times.ranked().into_iter();
        let states = states.map(|(state, _)| (state, times.share(state)));
        let sampled = profile.threads().iter().zip(profile.thread_totals());
        let sampled = sampled.filter(|(_, totals)| totals.wall > Nanos(0));
        let mut gil: BTreeMap<ProcessId, Nanos> = BTreeMap::new();
        let mut threads = 0;
        for (thread, totals) in sampled {
            threads += 1;
            *gil.entry(thread.process).or_default() += totals.gil;
        }
        let busiest = gil.values().max().copied().unwrap_or_default();
        Header {
            elapsed: snapshot.elapsed,
            cores: cores::cores_busy(profile),
            usable_cores: cores::usable_cores(profile),
            gil: busiest.seconds() / elapsed,
            memory: memory(profile),
            io: io(profile),
            states: states.collect(),
            processes: gil.len(),
            threads,
            samples_per_second: profile.totals().samples as f64 / elapsed,
        }
    }
}

/// The last readings of each process.
fn last_readings(profile: &Profile) -> BTreeMap<ProcessId, &Usage> {
    let readings = profile.usage().iter();
    readings.map(|usage| (usage.process, usage)).collect()
}

fn memory(profile: &Profile) -> Option<(u64, Option<u64>)> {
    let last = last_readings(profile).into_values();
    let of = last.filter_map(|usage| Some((usage.resident?, usage.process)));
    let (bytes, process) = of.max()?;
    let limit = profile.process(process)?.memory_limit;
    Some((bytes, limit))
}

/// Between the first and the last reading of each process; none where there is one reading only.
fn io(profile: &Profile) -> Option<(u64, u64)> {
    let mut first: BTreeMap<ProcessId, &Usage> = BTreeMap::new();
    for usage in profile.usage() {
        first.entry(usage.process).or_insert(usage);
    }
    let (mut read, mut written) = (0.0, 0.0);
    let mut known = BTreeSet::new();
    for (process, last) in last_readings(profile) {
        let Some(first) = first.get(&process) else {
            continue;
        };
        let time = (last.at - first.at).seconds();
        let risen = |counter: fn(&Usage) -> Option<u64>| {
            let risen = counter(last)?.saturating_sub(counter(first)?);
            (time > 0.0).then_some(risen as f64 / time)
        };
        let of_it = risen(|usage| usage.read_calls_bytes);
        if let Some((r, w)) = of_it.zip(risen(|usage| usage.write_calls_bytes)) {
            read += r;
            written += w;
            known.insert(process);
        }
    }
    (!known.is_empty()).then_some((read as u64, written as u64))
}
