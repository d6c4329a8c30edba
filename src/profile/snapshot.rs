//! Turns a profile that goes on into what a live view shows of it at one moment.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::event::{FrameId, Nanos, Sample};
use super::recent::MAX_SECONDS;
use super::{Mode, Profile};

/// Which part of the time until now is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// The last so many whole seconds, up to [`MAX_SECONDS`].
    Seconds(usize),
    /// All of it.
    Whole,
}

/// What frames had of their own in one second.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Second(BTreeMap<FrameId, OwnTimes>);

/// Sums over threads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct OwnTimes {
    wall: Nanos,
    /// The part of `wall` that threads other than the main one were blocked.
    idle: Nanos,
    cpu: Nanos,
    gil: Nanos,
}

impl Second {
    /// The time of each frame; of wall time, with or without the idle waits of threads that are not the main one.
    pub fn times(&self, mode: Mode, has_idle: bool) -> impl Iterator<Item = (FrameId, Nanos)> {
        self.0.iter().map(move |(frame, times)| {
            let time = match mode {
                Mode::Wall if has_idle => times.wall,
                Mode::Wall => times.wall - times.idle,
                Mode::Cpu => times.cpu,
                Mode::Gil => times.gil,
            };
            (*frame, time)
        })
    }

    fn of(profile: &Profile, runs: &[Sample]) -> Second {
        let mut times: BTreeMap<FrameId, OwnTimes> = BTreeMap::new();
        for run in runs {
            let Some(stack) = run.stack.and_then(|stack| profile.stack(stack)) else {
                continue;
            };
            let is_main = profile.thread(run.thread).is_some_and(|it| it.is_main);
            let own = times.entry(stack.frame).or_default();
            own.wall += run.wall;
            own.cpu += run.cpu;
            own.gil += run.gil;
            if run.state.is_idle_wait() && !is_main {
                own.idle += run.wall;
            }
        }
        Second(times)
    }
}

/// What there was at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The samples of the span that was asked for.
    pub profile: Profile,
    /// How long the sampling goes on, since its start.
    pub elapsed: Nanos,
    /// The last seconds that are over, up to [`MAX_SECONDS`] of them, in the order of time.
    pub seconds: Vec<Arc<Second>>,
}

/// Takes snapshots of one profile, made by [`Profile::with_last_minute`]. What it made of a second it makes once.
#[derive(Debug, Default)]
pub struct Snapshots {
    seconds: VecDeque<Arc<Second>>,
    /// The number of the second behind them, from the start.
    next: u64,
}

impl Snapshots {
    /// Takes one.
    pub fn take(&mut self, profile: &mut Profile, span: Span) -> Snapshot {
        let kept = profile.kept_seconds();
        for number in self.next.max(kept.start)..kept.end {
            let second = Second::of(profile, profile.runs_of_second(number));
            self.seconds.push_back(Arc::new(second));
        }
        self.next = kept.end;
        while self.seconds.len() > MAX_SECONDS {
            self.seconds.pop_front();
        }
        let last = match span {
            Span::Seconds(seconds) => profile.last(seconds),
            Span::Whole => None,
        };
        Snapshot {
            elapsed: profile.duration(),
            profile: last.unwrap_or_else(|| profile.copy()),
            seconds: self.seconds.iter().cloned().collect(),
        }
    }
}
