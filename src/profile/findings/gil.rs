//! Turns the time that threads waited for the GIL into whether it is the bottleneck.

use super::finding::Finding;
use super::hot_line;
use super::scope::Scope;
use crate::profile::event::{Nanos, State};

/// A thread that waits less of its time is not held up.
const MIN_THREAD_SHARE: f64 = 0.1;

/// The threads that wait must do so for this part of the time in which they want to run.
const MIN_SHARE: f64 = 0.2;

/// What one thread did.
#[derive(Debug, Clone, Copy, Default)]
struct Waiting {
    waited: Nanos,
    wanted: Nanos,
    samples: u64,
}

/// Whether threads wait for the GIL, and who holds it meanwhile.
pub(super) fn finding<'p>(scope: &Scope<'p>) -> Option<Finding<'p>> {
    let mut by_thread = vec![Waiting::default(); scope.profile.threads().len()];
    for row in scope.rows() {
        let Some(sum) = by_thread.get_mut(row.thread.0 as usize) else {
            continue;
        };
        if row.state == State::Gil {
            sum.waited += row.totals.wall;
            sum.samples += row.totals.samples;
        }
        if row.state != State::Unknown && !row.state.is_blocked() {
            sum.wanted += row.totals.wall;
        }
    }
    let (mut threads, mut all) = (0, Waiting::default());
    for (id, _, totals) in scope.threads() {
        let own = by_thread.get(id.0 as usize).copied().unwrap_or_default();
        if own.waited.seconds() > MIN_THREAD_SHARE * totals.wall.seconds() {
            threads += 1;
            all.waited += own.waited;
            all.wanted += own.wanted;
            all.samples = all.samples.saturating_add(own.samples);
        }
    }
    let share = all.waited.seconds() / all.wanted.seconds().max(1e-9);
    let is_worth = threads > 0 && share >= MIN_SHARE && scope.is_worth(all.waited, all.samples);
    is_worth.then(|| Finding::GilBound {
        threads,
        waited: all.waited,
        share,
        line: hot_line::of_rows(&scope.lines, scope.rows(), |row| {
            row.totals.blocked_others.0
        }),
    })
}
