//! Turns the time that threads waited for the GIL into whether it is the bottleneck.

use super::finding::Finding;
use super::own_lines::OwnLines;
use crate::profile::Profile;
use crate::profile::event::{Nanos, State};

/// A thread that waits less of its time is not held up.
const MIN_THREAD_SHARE: f64 = 0.1;

/// The threads that wait must do so for this part of the time in which they want to run.
const MIN_SHARE: f64 = 0.2;

/// Whether threads wait for the GIL, and who holds it meanwhile.
pub(super) fn finding<'p>(profile: &'p Profile, lines: &OwnLines<'p>) -> Option<Finding<'p>> {
    let mut by_thread = vec![(Nanos(0), Nanos(0)); profile.threads().len()];
    for row in profile.rows() {
        let Some((waited, wanted)) = by_thread.get_mut(row.thread.0 as usize) else {
            continue;
        };
        if row.state == State::Gil {
            *waited += row.totals.wall;
        }
        if row.state != State::Unknown && !row.state.is_blocked() {
            *wanted += row.totals.wall;
        }
    }
    let totals = by_thread.iter().zip(profile.thread_totals());
    let held_up = totals.filter(|((waited, _), totals)| {
        waited.seconds() > MIN_THREAD_SHARE * totals.wall.seconds()
    });
    let (mut threads, mut waited, mut wanted) = (0, Nanos(0), Nanos(0));
    for ((thread_waited, thread_wanted), _) in held_up {
        threads += 1;
        waited += *thread_waited;
        wanted += *thread_wanted;
    }
    let share = waited.seconds() / wanted.seconds().max(1e-9);
    (threads > 0 && share >= MIN_SHARE).then(|| Finding::GilBound {
        threads,
        waited,
        share,
        line: lines.hottest(|row| row.totals.blocked_others.0),
    })
}
