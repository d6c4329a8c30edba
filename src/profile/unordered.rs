//! Turns a profile that did not keep what was seen when into a timeline: widths are right, the order is not.

use std::borrow::Cow;

use super::event::{Loss, Nanos, Sample};
use super::timeline::Timeline;
use super::{Profile, Row};

impl Profile {
    /// What was seen when; where that was not kept, the stacks as [`Profile::unordered`] lays them.
    #[must_use]
    pub fn timeline_or_unordered(&self) -> Cow<'_, Timeline> {
        self.timeline()
            .map_or_else(|| Cow::Owned(self.unordered()), Cow::Borrowed)
    }

    /// The stacks of a profile without a timeline, each once, laid end to end: widths are right,
    /// the order is that in which the stacks were first seen.
    #[must_use]
    pub fn unordered(&self) -> Timeline {
        let mut timeline = Timeline::with_max_bytes(usize::MAX);
        let mut ends = vec![Nanos(0); self.threads().len()];
        for row in self.rows() {
            let end = &mut ends[row.thread.0 as usize];
            let run = whole_row(row, *end);
            *end = run.at;
            timeline.push(run);
        }
        for (cause, count) in self.lost() {
            timeline.lose(Loss {
                at: Nanos(0),
                cause: *cause,
                count: *count,
            });
        }
        timeline
    }
}

fn whole_row(row: &Row, start: Nanos) -> Sample {
    Sample {
        at: start + row.totals.wall,
        thread: row.thread,
        stack: row.stack,
        ticks: u32::try_from(row.totals.samples).unwrap_or(u32::MAX),
        wall: row.totals.wall,
        cpu: row.totals.cpu,
        gil: row.totals.gil,
        state: row.state,
        helpers_cpu: row.totals.helpers_cpu,
        blocked_others: row.totals.blocked_others,
        grown_bytes: row.totals.grown_bytes,
        shrunk_bytes: row.totals.shrunk_bytes,
        unsure_bytes: row.totals.unsure_bytes,
        attributes: row.attributes,
    }
}
