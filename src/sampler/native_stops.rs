//! Turns stops that were asked for and have not come into those that come later, and those that are given up.
//!
//! A thread that has lost its CPU to others stops when it gets one again, which takes some 14 ms where eight share two; one
//! that hangs in the kernel stops when it returns. Neither is waited for.

use crate::process::Tid;
use crate::profile::event::Nanos;

/// A stop that has not come after this time is given up: the thread is let go as soon as it stops.
const LONGEST: Nanos = Nanos(1_000_000_000);

/// What became of a stop.
#[derive(Debug)]
pub enum Outcome<P, S> {
    /// Not there yet.
    Pending(P),
    /// The thread stands.
    Stopped(S),
    /// It has ended.
    Ended,
}

/// The stops of one process that have not come yet.
#[derive(Debug)]
pub struct LateStops<P> {
    stops: Vec<LateStop<P>>,
}

#[derive(Debug)]
struct LateStop<P> {
    tid: Tid,
    stop: P,
    asked: Nanos,
    /// When it was last found running.
    looked: Nanos,
}

/// A thread that was found standing.
#[derive(Debug, PartialEq, Eq)]
pub struct FoundStopped<S> {
    /// The thread.
    pub tid: Tid,
    /// It stands until this is dropped.
    pub stop: S,
    /// Since when it may stand.
    pub since: Nanos,
}

impl<P> Default for LateStops<P> {
    fn default() -> Self {
        LateStops { stops: Vec::new() }
    }
}

impl<P> LateStops<P> {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stops.is_empty()
    }

    /// Whether one is asked of this thread.
    #[must_use]
    pub fn has(&self, tid: Tid) -> bool {
        self.stops.iter().any(|late| late.tid == tid)
    }

    /// Keeps one in mind that was asked for just before `now`.
    pub fn add(&mut self, tid: Tid, stop: P, now: Nanos) {
        self.stops.push(LateStop {
            tid,
            stop,
            asked: now,
            looked: now,
        });
    }

    /// Looks for one that has come by now; `None`: there are no more. How many were given up is added to `given_up`.
    pub fn next_stopped<S>(
        &mut self,
        now: Nanos,
        given_up: &mut u64,
        mut poll: impl FnMut(P) -> Outcome<P, S>,
    ) -> Option<FoundStopped<S>> {
        let mut found = None;
        for late in std::mem::take(&mut self.stops) {
            if found.is_some() || late.looked == now && late.asked != now {
                self.stops.push(late);
                continue;
            }
            match poll(late.stop) {
                Outcome::Stopped(stop) => {
                    found = Some(FoundStopped {
                        tid: late.tid,
                        stop,
                        since: late.looked,
                    });
                }
                Outcome::Pending(_) if now >= late.asked + LONGEST => *given_up += 1,
                Outcome::Pending(stop) => self.stops.push(LateStop {
                    stop,
                    looked: now,
                    ..late
                }),
                Outcome::Ended => {}
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Polls at `ms` stops that come at a time of their own, or never, as `None`. Returns who stands, and since when it may.
    fn poll(stops: &mut LateStops<Option<u64>>, ms: u64, given_up: &mut u64) -> Vec<(i32, u64)> {
        let mut found = Vec::new();
        let poll = |comes: Option<u64>| match comes {
            Some(0) => Outcome::Ended,
            Some(at) if at <= ms => Outcome::Stopped(()),
            comes => Outcome::Pending(comes),
        };
        while let Some(stopped) = stops.next_stopped(Nanos(ms * MS), given_up, poll) {
            found.push((stopped.tid.0, stopped.since.0 / MS));
        }
        found
    }

    #[test]
    fn stops_are_found_when_they_come_and_given_up_after_a_second() {
        let mut stops = LateStops::default();
        let mut given_up = 0;
        for (tid, comes) in [
            (1, Some(14)),
            (2, None),
            (3, Some(3)),
            (4, Some(0)),
            (5, Some(3)),
        ] {
            stops.add(Tid(tid), comes, Nanos(0));
        }
        assert!(stops.has(Tid(1)) && !stops.has(Tid(6)));
        assert_eq!(poll(&mut stops, 1, &mut given_up), []);
        assert!(!stops.has(Tid(4)), "it has ended");
        assert_eq!(poll(&mut stops, 3, &mut given_up), [(3, 1), (5, 1)]);
        assert_eq!(poll(&mut stops, 13, &mut given_up), []);
        assert_eq!(poll(&mut stops, 20, &mut given_up), [(1, 13)]);
        assert_eq!(poll(&mut stops, 999, &mut given_up), []);
        assert_eq!((given_up, stops.is_empty()), (0, false));
        assert_eq!(poll(&mut stops, 1001, &mut given_up), []);
        assert_eq!((given_up, stops.is_empty()), (1, true));
    }
}
