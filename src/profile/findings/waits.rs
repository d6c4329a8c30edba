//! Turns what main threads did into whether they mostly wait, and for what.

use super::finding::Finding;
use super::own_lines::OwnLines;
use crate::profile::Profile;
use crate::profile::cores::cores_busy;
use crate::profile::event::{Nanos, State};
use crate::profile::states::StateTimes;

/// Less than most of the time is not told.
const MIN_SHARE: f64 = 0.5;

/// With more cores busy, the main thread waits for others that work.
const MAX_BUSY: f64 = 0.5;

/// Whether main threads wait for one thing most of the time while nobody works.
pub(super) fn finding<'p>(profile: &'p Profile, lines: &OwnLines<'p>) -> Option<Finding<'p>> {
    if cores_busy(profile) > MAX_BUSY {
        return None;
    }
    let is_main = |thread: usize| {
        let thread = profile.threads().get(thread);
        thread.is_some_and(|thread| thread.is_main)
    };
    let mut times = StateTimes::default();
    for row in profile.rows() {
        if is_main(row.thread.0 as usize) {
            times += StateTimes::from(row);
        }
    }
    let blocked = times.ranked().into_iter();
    let blocked = blocked.filter(|(state, _)| state.is_blocked());
    let (state, _): (State, Nanos) = blocked.max_by_key(|(_, time)| *time)?;
    let share = times.share(state);
    (share >= MIN_SHARE).then(|| Finding::Waits {
        state,
        share,
        line: lines.hottest(
            |row| match row.state == state && is_main(row.thread.0 as usize) {
                true => row.totals.wall.0,
                false => 0,
            },
        ),
    })
}
