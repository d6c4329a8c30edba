//! Turns the rows of a profile into the time in each state: of the whole, and by function or line.
//!
//! Times of states are wall time, whatever the mode: a thread that waits has no other.

use std::fmt;
use std::ops::AddAssign;

use super::event::{Nanos, State};
use super::sums::{self, Classes};
use super::{Profile, Row};

impl State {
    /// Every state, in the order of the numbers that recordings keep (`State` in rsamp.proto).
    pub const ALL: [State; 13] = [
        State::Unknown,
        State::Python,
        State::Collecting,
        State::Native,
        State::Gil,
        State::Lock,
        State::Sleep,
        State::Disk,
        State::Network,
        State::Pipe,
        State::Child,
        State::Waiting,
        State::Ready,
    ];

    /// The one word by which users name it, and files call it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            State::Unknown => "unknown",
            State::Python => "python",
            State::Collecting => "collecting",
            State::Native => "native",
            State::Gil => "gil",
            State::Lock => "lock",
            State::Sleep => "sleep",
            State::Disk => "disk",
            State::Network => "network",
            State::Pipe => "pipe",
            State::Child => "child",
            State::Waiting => "waiting",
            State::Ready => "ready",
        }
    }

    /// Whether the thread waits for something outside of Python: not for the GIL or a CPU.
    #[must_use]
    pub fn is_blocked(self) -> bool {
        matches!(
            self,
            State::Lock
                | State::Sleep
                | State::Disk
                | State::Network
                | State::Pipe
                | State::Child
                | State::Waiting
        )
    }
}

/// What a thread did, in words that follow on a share: `40 % waiting for the GIL`.
impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Unknown => "unknown",
            State::Python => "running Python",
            State::Collecting => "collecting garbage",
            State::Native => "running native code",
            State::Gil => "waiting for the GIL",
            State::Lock => "waiting for a lock",
            State::Sleep => "sleeping",
            State::Disk => "waiting for the disk",
            State::Network => "waiting for the network",
            State::Pipe => "waiting for a pipe",
            State::Child => "waiting for a child process",
            State::Waiting => "waiting for an event",
            State::Ready => "waiting for a CPU",
        })
    }
}

/// The wall time in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StateTimes([Nanos; State::ALL.len()]);

impl StateTimes {
    /// The time in one state.
    #[must_use]
    pub fn of(&self, state: State) -> Nanos {
        self.0[state as usize]
    }

    /// The time in all states.
    #[must_use]
    pub fn whole(&self) -> Nanos {
        self.0.iter().fold(Nanos(0), |sum, time| sum + *time)
    }

    /// Whether anything is known of what was done.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.whole() > self.of(State::Unknown)
    }

    /// The part of the time in one state, from 0 to 1.
    #[must_use]
    pub fn share(&self, state: State) -> f64 {
        match self.whole() {
            Nanos(0) => 0.0,
            whole => self.of(state).seconds() / whole.seconds(),
        }
    }

    /// The states with any time, longest first.
    #[must_use]
    pub fn ranked(&self) -> Vec<(State, Nanos)> {
        let times = State::ALL.map(|state| (state, self.of(state)));
        let mut ranked: Vec<_> = times.into_iter().filter(|(_, t)| *t > Nanos(0)).collect();
        ranked.sort_by_key(|(state, time)| (std::cmp::Reverse(*time), *state));
        ranked
    }
}

impl From<&Row> for StateTimes {
    fn from(row: &Row) -> StateTimes {
        let mut times = StateTimes::default();
        times.0[row.state as usize] = row.totals.wall;
        times
    }
}

impl AddAssign for StateTimes {
    fn add_assign(&mut self, other: StateTimes) {
        for (sum, time) in self.0.iter_mut().zip(other.0) {
            *sum += time;
        }
    }
}

/// The times of a function or line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StateSums {
    /// Over the samples that were in it itself.
    pub self_time: StateTimes,
    /// Over the samples whose stack holds it, each counted once.
    pub total_time: StateTimes,
}

/// Over all threads.
#[must_use]
pub fn whole(profile: &Profile) -> StateTimes {
    let mut sum = StateTimes::default();
    for row in profile.rows() {
        sum += StateTimes::from(row);
    }
    sum
}

/// By class: `class_of_frame` tells that of each frame, as [`super::functions::Functions::of_frame`] or
/// [`super::lines::Lines::of_frame`] do; there are `count` of them.
#[must_use]
pub fn by_class(
    profile: &Profile,
    class_of_frame: impl Fn(super::event::FrameId) -> Option<usize>,
    count: usize,
) -> Vec<StateSums> {
    let nodes = profile.stacks().iter();
    let class_of: Vec<usize> = nodes
        .map(|node| class_of_frame(node.frame).unwrap_or(usize::MAX))
        .collect();
    let own = sums::own_sums(profile, |row| StateTimes::from(row));
    let sums = Classes::new(profile, &class_of, count).sums(own);
    let told = |sums: sums::Sums<StateTimes>| StateSums {
        self_time: sums.self_time,
        total_time: sums.total_time,
    };
    sums.into_iter().map(told).collect()
}
