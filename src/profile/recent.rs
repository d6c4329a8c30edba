//! Turns samples into those of the last minute, second by second, for a live view.
//!
//! A run that goes on from one second into the next is cut between them. Of a second there is one run of each thread, stack
//! and state; what is older than a minute is forgotten.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use super::event::{Event, Loss, LostCause, Nanos, ProcessId, Sample, ThreadId, Usage};
use super::track::Track;

/// How many seconds are kept beside the one that is not over.
pub const MAX_SECONDS: usize = 60;

/// The most that the runs take, in bytes. Where more happens, fewer seconds are kept; the last one always is, and has as
/// many runs as the profile has rows at the most.
const MAX_BYTES: usize = 16_000_000;

const SECOND: Nanos = Nanos(1_000_000_000);

/// The last seconds of a recording.
#[derive(Debug, Clone, Default)]
pub(super) struct Recent {
    /// In the order of time, without gaps.
    seconds: VecDeque<Second>,
    /// The number of the first of them, from the start of the recording.
    first: u64,
    /// When the latest run ended.
    latest: Nanos,
    /// What the runs take, in bytes.
    bytes: usize,
}

/// What there was in one second.
#[derive(Debug, Clone, Default)]
struct Second {
    runs: Track,
    lost: BTreeMap<LostCause, u64>,
    /// The last reading of each process.
    usage: BTreeMap<ProcessId, Usage>,
}

impl Recent {
    /// Takes in a run, but for what of it is a minute old.
    pub fn push(&mut self, run: &Sample) {
        let last = number(run.at);
        self.begin(last);
        self.latest = self.latest.max(run.at);
        let start = run.at - run.wall;
        for second in (start.0 / SECOND.0).max(self.first)..=last {
            let from = start.max(start_of(second));
            let to = run.at.min(start_of(second + 1));
            // A run that is said to last longer than since the start counts from the start on.
            let skipped = match from == start {
                true => Nanos(0),
                false => run.wall - (run.at - from),
            };
            let part = run.part(skipped, run.wall - (run.at - to));
            if let Some(second) = self.second(second) {
                let before = second.runs.bytes();
                second.runs.push(part, Some(Nanos(u64::MAX)));
                let after = second.runs.bytes();
                self.bytes += after - before;
            }
        }
        while self.bytes > MAX_BYTES && self.seconds.len() > 1 {
            self.forget_first();
        }
    }

    /// Takes in what was lost.
    pub fn lose(&mut self, loss: Loss) {
        self.begin(number(loss.at));
        if let Some(second) = self.second(number(loss.at)) {
            let lost = second.lost.entry(loss.cause).or_default();
            *lost = lost.saturating_add(loss.count);
        }
    }

    /// Takes in a reading.
    pub fn read(&mut self, usage: Usage) {
        self.begin(number(usage.at));
        if let Some(second) = self.second(number(usage.at)) {
            second.usage.insert(usage.process, usage);
        }
    }

    /// Makes room for a second, and forgets those that are too old.
    fn begin(&mut self, number: u64) {
        let end = self.first + self.seconds.len() as u64;
        if number < end {
            return;
        }
        let most = MAX_SECONDS as u64 + 1;
        let first = number.saturating_sub(most - 1);
        if first >= end {
            (self.first, self.bytes) = (first, 0);
            self.seconds.clear();
        }
        while self.first < first && !self.seconds.is_empty() {
            self.forget_first();
        }
        let count = (number - self.first + 1) as usize;
        self.seconds.resize_with(count, Second::default);
    }

    fn forget_first(&mut self) {
        if let Some(second) = self.seconds.pop_front() {
            self.first += 1;
            self.bytes -= second.runs.bytes();
        }
    }

    /// A second that is kept.
    fn second(&mut self, number: u64) -> Option<&mut Second> {
        let index = number.checked_sub(self.first)?;
        self.seconds.get_mut(usize::try_from(index).ok()?)
    }

    /// The numbers of the seconds that are kept and over.
    pub fn over(&self) -> Range<u64> {
        let end = self.first + self.seconds.len() as u64;
        self.first..number(self.latest).clamp(self.first, end)
    }

    /// The runs of a second, or what is kept of them.
    pub fn runs(&self, number: u64) -> &[Sample] {
        let index = number.checked_sub(self.first).map(|index| index as usize);
        let second = index.and_then(|index| self.seconds.get(index));
        second.map_or(&[], |second| second.runs.runs())
    }

    /// Hands on what there was in the last so many seconds that are over, with times since the first of them; while none
    /// is over, what there is.
    pub fn replay(&self, seconds: usize, emit: &mut dyn FnMut(Event)) {
        let over = number(self.latest).saturating_sub(self.first) as usize;
        let chosen = match over.min(self.seconds.len()) {
            0 => 0..self.seconds.len().min(1),
            over => over.saturating_sub(seconds)..over,
        };
        let first = self.first + chosen.start as u64;
        let count = chosen.len() as u64;
        for (number, second) in (0..).zip(self.seconds.range(chosen)) {
            second.replay(start_of(number), start_of(first), emit);
        }
        emit(Event::End(match over {
            0 => self.latest,
            _ => start_of(count),
        }));
    }
}

impl Second {
    /// Hands on what there was in it, as if it began at `start`; `first` is when the first one began.
    fn replay(&self, start: Nanos, first: Nanos, emit: &mut dyn FnMut(Event)) {
        let mut ends: BTreeMap<ThreadId, Nanos> = BTreeMap::new();
        for run in self.runs.runs() {
            let end = ends.entry(run.thread).or_insert(start);
            *end += run.wall;
            emit(Event::Sample(Sample { at: *end, ..*run }));
        }
        for (cause, count) in &self.lost {
            emit(Event::Lost(Loss {
                at: start,
                cause: *cause,
                count: *count,
            }));
        }
        for usage in self.usage.values() {
            let at = usage.at - first;
            emit(Event::Usage(Usage { at, ..*usage }));
        }
    }
}

/// The number of the second that a time ends.
fn number(at: Nanos) -> u64 {
    at.0.saturating_sub(1) / SECOND.0
}

/// When a second begins.
fn start_of(number: u64) -> Nanos {
    Nanos(number.saturating_mul(SECOND.0))
}
