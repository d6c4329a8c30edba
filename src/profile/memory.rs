//! Turns readings of resident memory, and the growth that runs were booked, into the memory of each line.
//!
//! A process is read some ten times a second; its runs tell by how much it grew meanwhile. So the level
//! after a run is the one before it, plus what it grew by and less what it shrank by, never above what the
//! next reading knows as the peak; and every reading sets it right. A line has the highest level of all
//! runs whose stack holds it, at their ends and at the readings meanwhile. It takes a profile that kept each run
//! ([`Profile::with_timeline_of`] [`MAX_BYTES`]): in steps of time it does not show what ran first.

use std::collections::HashMap;

use super::Profile;
use super::event::{Nanos, ProcessId, Sample, StackId, ThreadId, Usage};
use super::functions::Function;
use super::own_frames::OwnFrames;

/// How much memory the runs may take while they are packed, in bytes: those of a day of one thread at 50 Hz, which take ten
/// times as much as they are sorted. The levels of more are not told.
pub const MAX_BYTES: usize = 40_000_000;

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

/// A line of the program, and how much of the memory that grew there, or in what it called outside of the program's own
/// files, is most likely not given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetainingLine<'p> {
    /// The function that the line belongs to.
    pub function: Function<'p>,
    /// The line; `None` where it could not be told.
    pub line: Option<u32>,
    /// How much, in bytes, at the end of the recording.
    pub bytes: u64,
}

/// The lines of the program that most likely retain memory, over all processes; the most first.
#[must_use]
pub fn retaining_lines(profile: &Profile) -> Vec<RetainingLine<'_>> {
    let retained = profile.retained_bytes();
    let sums = OwnFrames::of(profile).sums(retained.map(|(_, stack, bytes)| (stack, bytes)));
    let line = |((function, line), bytes)| RetainingLine {
        function,
        line,
        bytes,
    };
    sums.into_iter().map(line).collect()
}

/// Resident memory by line and by process.
#[derive(Debug, Clone, Default)]
pub struct Memory<'p> {
    lines: HashMap<(Function<'p>, Option<u32>), u64>,
    peaks: Vec<Peak>,
}

impl<'p> Memory<'p> {
    /// Nothing for a profile without readings, or without a timeline that keeps each run.
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
    let mut levels = Levels::new(readings(profile, process));
    let mut found: Option<(Peak, Priority)> = None;
    for run in runs(profile, process) {
        let Some(resident) = levels.highest_in(&run) else {
            continue;
        };
        if let Some(known) = run.stack.and_then(|id| highest.get_mut(id.0 as usize)) {
            *known = Some(resident).max(*known);
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

/// The level of a process over time: what was read, and what runs say of the time between.
struct Levels<'u> {
    readings: Vec<&'u Usage>,
    /// How many readings the levels hold.
    taken: usize,
    /// In the order of time.
    levels: Vec<(Nanos, u64)>,
}

impl<'u> Levels<'u> {
    fn new(readings: Vec<&'u Usage>) -> Levels<'u> {
        Levels {
            readings,
            taken: 0,
            levels: Vec::new(),
        }
    }

    /// The highest level within a run; `None` before the first reading. Runs come in the order of their
    /// ends.
    fn highest_in(&mut self, run: &Sample) -> Option<u64> {
        let behind = self.readings.partition_point(|usage| usage.at <= run.at);
        let new = self.readings.get(self.taken..behind).unwrap_or_default();
        let new = new
            .iter()
            .filter_map(|usage| Some((usage.at, usage.resident?)));
        self.levels.extend(new);
        self.taken = self.taken.max(behind);
        let start = run.at - run.wall;
        let inside = self.levels.partition_point(|(at, _)| *at <= start);
        let within = self.levels.get(inside..).unwrap_or_default();
        let seen = within.iter().map(|(_, level)| *level).max();
        let has_reading = self.readings[..behind]
            .last()
            .is_some_and(|usage| usage.at > start);
        // Between two readings others grow too; a run across one knows only where it began itself.
        let before = match has_reading {
            true => inside.checked_sub(1).and_then(|at| self.levels.get(at)),
            false => self.levels.last(),
        };
        let after = before.map(|(_, before)| {
            let limit = self.readings.get(behind).and_then(|usage| usage.peak);
            let most = before.saturating_add(run.grown_bytes);
            let most = most.min(limit.unwrap_or(u64::MAX));
            most.saturating_sub(run.shrunk_bytes)
        });
        if let Some(after) = after {
            self.levels.push((run.at, after));
        }
        after.max(seen)
    }
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
    let exact = profile
        .timeline()
        .filter(|timeline| timeline.step().is_none());
    let Some(timeline) = exact else {
        return Vec::new();
    };
    let threads = (0..).map(ThreadId).zip(profile.threads());
    let own = threads.filter(|(_, thread)| thread.process == process);
    let runs = own.flat_map(|(id, _)| timeline.runs(id));
    let mut runs: Vec<Sample> = runs.collect();
    runs.sort_by_key(|run| run.at);
    runs
}
