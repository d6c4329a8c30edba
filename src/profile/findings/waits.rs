//! Turns what main threads did into whether they mostly wait, and for what.

use super::finding::Finding;
use super::hot_line;
use super::scope::Scope;
use crate::profile::event::{Nanos, State, ThreadId};
use crate::profile::states::StateTimes;

/// Less than most of the time is not told.
const MIN_SHARE: f64 = 0.5;

/// Where others work or want to for a larger part of the run, the main thread waits for them.
const MAX_OTHERS: f64 = 0.5;

/// Whether main threads wait most of the time while nobody works.
pub(super) fn finding<'p>(scope: &Scope<'p>) -> Option<Finding<'p>> {
    if others(scope).seconds() > MAX_OTHERS * scope.run().seconds() {
        return None;
    }
    let mut times = StateTimes::default();
    let mut samples = 0_u64;
    let of_main = scope.rows().filter(|row| scope.is_main(row.thread));
    for row in of_main {
        times += StateTimes::from(row);
        if row.state.is_blocked() {
            samples = samples.saturating_add(row.totals.samples);
        }
    }
    let blocked = times.ranked().into_iter();
    let blocked = blocked.filter(|(state, _)| state.is_blocked());
    let states: Vec<_> = blocked
        .map(|(state, _)| (state, times.share(state)))
        .collect();
    let share: f64 = states.iter().map(|(_, share)| share).sum();
    let time = states
        .iter()
        .fold(Default::default(), |sum, (state, _)| sum + times.of(*state));
    let is_worth = share >= MIN_SHARE && scope.is_worth(time, samples);
    is_worth.then(|| Finding::Waits {
        share,
        states,
        threads: scope
            .threads()
            .filter(|(id, ..)| scope.is_main(*id))
            .count(),
        line: hot_line::of_rows(&scope.lines, scope.rows(), |row| {
            match row.state.is_blocked() && scope.is_main(row.thread) {
                true => row.totals.wall.0,
                false => 0,
            }
        }),
    })
}

/// How long threads worked, or wanted to, that a main thread may wait for: those beside it, those without Python frames,
/// and those of processes that another one started.
fn others(scope: &Scope<'_>) -> Nanos {
    let is_started = |id: ThreadId| {
        let thread = scope.profile.thread(id);
        let process = thread.and_then(|thread| scope.profile.process(thread.process));
        process.is_some_and(|process| process.parent.is_some())
    };
    let mut time = Nanos(0);
    for row in scope.rows() {
        let wants = row.state != State::Unknown && !row.state.is_blocked();
        if wants && (!scope.is_main(row.thread) || is_started(row.thread)) {
            time += row.totals.wall;
        }
        time += row.totals.helpers_cpu;
    }
    time
}
