//! Turns readings of resident memory, and the growth that runs were booked, into the memory of each line.
//!
//! A process is read some ten times a second; its runs tell by how much it grew meanwhile. So the level
//! after a run that lies between two readings is the one before it plus what it grew by; at a
//! reading, and after a run that holds one, the level is what was read. A line has the highest level of
//! all runs whose stack holds it. It takes a profile that kept what was seen when
//! ([`Profile::with_timeline`]).

use std::collections::HashMap;

use super::Profile;
use super::event::{Nanos, ProcessId, Sample, StackId, ThreadId, Usage};
use super::functions::Function;

/// The highest level of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peak {
    /// The process.
    pub process: ProcessId,
    /// How much was resident, in bytes.
    pub resident: u64,
    /// When, since the start of the recording: the end of the run.
    pub at: Nanos,
    /// What ran: the thread that held the GIL, or else the main thread.
    pub stack: Option<StackId>,
}

/// Resident memory by line and by process.
#[derive(Debug, Clone, Default)]
pub struct Memory<'p> {
    lines: HashMap<(Function<'p>, Option<u32>), u64>,
    peaks: Vec<Peak>,
}

impl<'p> Memory<'p> {
    /// Nothing for a profile without a timeline or without readings.
    #[must_use]
    pub fn of(profile: &'p Profile) -> Memory<'p> {
        let mut highest: Vec<Option<u64>> = vec![None; profile.stacks().len()];
        let processes = (0..profile.processes().len() as u32).map(ProcessId);
        let peaks = processes.filter_map(|process| follow(profile, process, &mut highest));
        let peaks = peaks.collect();
        // A node is whole when it is met from behind: children come after their parents.
        for (id, stack) in profile.stacks().iter().enumerate().rev() {
            let level = highest[id];
            if let Some(parent) = stack.parent.and_then(|id| highest.get_mut(id.0 as usize)) {
                *parent = level.max(*parent);
            }
        }
        let mut lines = HashMap::new();
        for (stack, level) in profile.stacks().iter().zip(highest) {
            if let (Some(frame), Some(level)) = (profile.frame(stack.frame), level) {
                let line = lines.entry((Function::from(frame), frame.line));
                let known: &mut u64 = line.or_default();
                *known = level.max(*known);
            }
        }
        Memory { lines, peaks }
    }

    /// The most that was resident while a line was on a stack, in bytes.
    #[must_use]
    pub fn of_line(&self, function: &Function<'p>, line: Option<u32>) -> Option<u64> {
        self.lines.get(&(*function, line)).copied()
    }

    /// The highest level of each process that was read, highest first.
    #[must_use]
    pub fn peaks(&self) -> Vec<Peak> {
        let mut peaks = self.peaks.clone();
        peaks.sort_by_key(|peak| (std::cmp::Reverse(peak.resident), peak.process));
        peaks
    }
}

/// Follows the level of one process through its runs; notes the highest of each stack, and tells the
/// highest of all.
fn follow(profile: &Profile, process: ProcessId, highest: &mut [Option<u64>]) -> Option<Peak> {
    let readings = readings(profile, process);
    let mut level: Option<u64> = None;
    let mut found: Option<(Peak, Priority)> = None;
    let mut next = 0;
    for run in runs(profile, process) {
        let start = run.at - run.wall;
        let first_inside = readings.partition_point(|usage| usage.at <= start);
        let first_behind = readings.partition_point(|usage| usage.at <= run.at);
        if first_behind > next {
            // Those of other threads' runs may have been met before.
            next = first_behind;
            level = readings.get(next - 1).and_then(|usage| usage.resident);
        }
        let before = first_inside.checked_sub(1).and_then(|at| readings.get(at));
        let before = before.and_then(|usage| usage.resident);
        let inside = readings.get(first_inside..first_behind).unwrap_or_default();
        if inside.is_empty() {
            let limit = readings.get(first_behind).and_then(|usage| usage.peak);
            let grown = level.map(|level| level.saturating_add(run.grown_bytes));
            let grown = grown.map(|grown| grown.min(limit.unwrap_or(u64::MAX)));
            level = grown.map(|grown| grown.saturating_sub(run.shrunk_bytes));
        }
        let read = inside.iter().filter_map(|usage| usage.resident).max();
        let most = match read {
            Some(read) => Some(read),
            None => level.or(before),
        };
        let Some(resident) = most else { continue };
        if let Some(known) = run.stack.and_then(|id| highest.get_mut(id.0 as usize)) {
            *known = most.max(*known);
        }
        let priority = priority(profile, &run);
        let peak = Peak {
            process,
            resident,
            at: run.at,
            stack: run.stack,
        };
        let is_higher = |(known, rank): &(Peak, Priority)| {
            resident > known.resident || (resident == known.resident && priority > *rank)
        };
        if found.as_ref().is_none_or(is_higher) {
            found = Some((peak, priority));
        }
    }
    found.map(|(peak, _)| peak)
}

/// Of two runs with the same level, the one with the higher priority made it so: whether it has a stack,
/// held the GIL, is of the main thread.
type Priority = (bool, bool, bool);

fn priority(profile: &Profile, run: &Sample) -> Priority {
    let thread = profile.thread(run.thread);
    let is_main = thread.is_some_and(|thread| thread.is_main);
    (run.stack.is_some(), run.gil > Nanos(0), is_main)
}

/// The readings of a process, in order.
fn readings(profile: &Profile, process: ProcessId) -> Vec<&Usage> {
    let readings = profile.usage().iter();
    let readings = readings.filter(|usage| usage.process == process && usage.resident.is_some());
    let mut readings: Vec<&Usage> = readings.collect();
    readings.sort_by_key(|usage| usage.at);
    readings
}

/// The runs of all threads of a process, in the order of their ends.
fn runs(profile: &Profile, process: ProcessId) -> Vec<Sample> {
    let Some(timeline) = profile.timeline() else {
        return Vec::new();
    };
    let threads = (0..).map(ThreadId).zip(profile.threads());
    let own = threads.filter(|(_, thread)| thread.process == process);
    let runs = own.flat_map(|(id, _)| timeline.runs(id));
    let mut runs: Vec<Sample> = runs.copied().collect();
    runs.sort_by_key(|run| run.at);
    runs
}
