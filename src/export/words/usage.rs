//! Turns what was done and what was used into the lines of a summary: states, cores, memory, I/O.
//!
//! A line that would say nothing is left out; what the kernel refused is said.

use super::table::line;
use crate::export::words::facts;
use crate::export::words::number::{grouped, size};
use crate::profile::cores::{cores_busy, elapsed, usable_cores};
use crate::profile::event::{Nanos, ProcessId, Usage};
use crate::profile::{Profile, states};

/// Fewer context switches or faults a second say nothing.
const MANY_FORCED: f64 = 100.0;
const MANY_VOLUNTARY: f64 = 2000.0;
const MANY_MAJOR_FAULTS: f64 = 5.0;

/// Less read from or sent to storage says nothing.
const MUCH_STORAGE: u64 = 100_000_000;

/// Writes them. Of a part of the threads or of their time it would be wrong to say how many cores are busy.
pub(crate) fn write(text: &mut String, profile: &Profile, is_part: bool) {
    let times = states::whole(profile);
    if times.is_known() {
        let words = facts::whole_in_words(profile, &times);
        line(text, &format!("threads: {words}"));
    }
    if let Some(words) = facts::busy_machine(&times) {
        line(text, &words);
    }
    if let Some(cores) = cores_in_words(profile).filter(|_| !is_part) {
        line(text, &cores);
    }
    if let Some(memory) = memory_in_words(profile) {
        line(text, &memory);
    }
    counters(text, profile);
    for refused in facts::refused(profile) {
        line(text, &format!("not available: {refused}"));
    }
}

/// `cores: 1.3 of 2 busy`, on average.
pub(crate) fn cores_in_words(profile: &Profile) -> Option<String> {
    let usable = usable_cores(profile)?;
    let busy = cores_busy(profile);
    Some(format!("cores: {busy:.1} of {usable} busy"))
}

/// `memory: peak 412 MiB`, of the process that had most.
pub(crate) fn memory_in_words(profile: &Profile) -> Option<String> {
    let of = |usage: &Usage| {
        let highest = usage.peak.max(usage.resident)?;
        Some((highest, std::cmp::Reverse(usage.process)))
    };
    let (peak, std::cmp::Reverse(process)) = profile.usage().iter().filter_map(of).max()?;
    let process = profile.process(process);
    let limit = process.and_then(|process| process.memory_limit);
    let limit = limit.map_or_else(String::new, |limit| {
        format!(" of a limit of {}", size(limit))
    });
    let whose = process.filter(|_| profile.processes().len() > 1);
    let whose = whose.map_or_else(String::new, |process| format!(" (process {})", process.pid));
    Some(format!("memory: peak {}{limit}{whose}", size(peak)))
}

/// By how much a counter rose between the first and the last reading, over all processes.
fn risen(profile: &Profile, counter: impl Fn(&Usage) -> Option<u64>) -> u64 {
    let ids = (0..profile.processes().len() as u32).map(ProcessId);
    let mut first = vec![None; profile.processes().len()];
    let mut last = first.clone();
    for usage in profile.usage() {
        let index = usage.process.0 as usize;
        if let Some(count) = counter(usage) {
            first[index] = first[index].or(Some(count));
            last[index] = Some(count);
        }
    }
    let risen = ids.map(|id| {
        let (first, last) = (first[id.0 as usize], last[id.0 as usize]);
        last.zip(first)
            .map_or(0, |(last, first): (u64, u64)| last.saturating_sub(first))
    });
    risen.fold(0, u64::saturating_add)
}

/// Context switches, major faults and storage, each where it matters.
fn counters(text: &mut String, profile: &Profile) {
    let time = elapsed(profile).max(Nanos(1)).seconds();
    let many = |count: u64, per_second: f64| count as f64 / time >= per_second;
    let forced = risen(profile, |usage| usage.forced_switches);
    let voluntary = risen(profile, |usage| usage.voluntary_switches);
    let major = risen(profile, |usage| usage.major_faults);
    let read = risen(profile, |usage| usage.storage_read_bytes);
    let written = risen(profile, |usage| usage.storage_written_bytes);
    let mut parts = Vec::new();
    if many(forced, MANY_FORCED) {
        parts.push(format!(
            "{} forced (others wanted the CPU)",
            grouped(forced)
        ));
    }
    if many(voluntary, MANY_VOLUNTARY) {
        parts.push(format!("{} voluntary (to wait)", grouped(voluntary)));
    }
    if !parts.is_empty() {
        line(text, &format!("context switches: {}", parts.join(", ")));
    }
    if many(major, MANY_MAJOR_FAULTS) {
        let major = grouped(major);
        line(
            text,
            &format!("page faults that waited for storage: {major}"),
        );
    }
    if read.max(written) >= MUCH_STORAGE {
        let (read, written) = (size(read), size(written));
        line(text, &format!("storage: {read} read, {written} written"));
    }
}
