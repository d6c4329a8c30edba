//! Turns a run into the part of it that lies in a span of time.

use std::fmt;

use crate::profile::event::{Nanos, Sample};

/// A span of time since the start of the recording; `None` is without limit.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Window {
    pub(super) from: Option<Nanos>,
    pub(super) to: Option<Nanos>,
}

impl Window {
    /// The part of the run that lies in the window, with the CPU and GIL time that are its share.
    ///
    /// Of each time, a run's first `x` nanoseconds hold `⌊time · x / wall⌋`, and a part holds what
    /// lies between the two ends: so the parts of adjacent windows add up to the whole, to the
    /// nanosecond. Ticks are shared out alike, but a part has at least one: the tick at a limit is
    /// seen from both sides of it.
    pub(super) fn cut(self, sample: &Sample) -> Option<Sample> {
        let start = sample.at - sample.wall;
        if sample.wall == Nanos(0) {
            return self.holds(sample.at).then_some(*sample);
        }
        let (from, to) = self.limits();
        let (first, last) = (from.max(start), to.min(sample.at));
        if first >= last {
            return None;
        }
        // A run that is said to last longer than since the start counts from the start on.
        let skipped = if first == start {
            Nanos(0)
        } else {
            sample.wall - (sample.at - first)
        };
        let end = sample.wall - (sample.at - last);
        let part = |time: u64| share(time, end, sample.wall) - share(time, skipped, sample.wall);
        Some(Sample {
            at: last,
            ticks: (part(u64::from(sample.ticks)) as u32).max(1),
            wall: end - skipped,
            cpu: Nanos(part(sample.cpu.0)),
            gil: Nanos(part(sample.gil.0)),
            helpers_cpu: Nanos(part(sample.helpers_cpu.0)),
            blocked_others: Nanos(part(sample.blocked_others.0)),
            grown_bytes: part(sample.grown_bytes),
            shrunk_bytes: part(sample.shrunk_bytes),
            unsure_bytes: part(sample.unsure_bytes),
            ..*sample
        })
    }

    /// Whether a moment lies in it: it belongs to the window that it ends.
    pub(super) fn holds(self, at: Nanos) -> bool {
        let (from, to) = self.limits();
        (at > from || from == Nanos(0)) && at <= to
    }

    fn limits(self) -> (Nanos, Nanos) {
        (
            self.from.unwrap_or(Nanos(0)),
            self.to.unwrap_or(Nanos(u64::MAX)),
        )
    }
}

/// What the first `of` nanoseconds of `wall` hold of `time`.
fn share(time: u64, of: Nanos, wall: Nanos) -> u64 {
    (u128::from(time) * u128::from(of.0) / u128::from(wall.0)) as u64
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.from, self.to) {
            (Some(from), Some(to)) => write!(f, "{} s to {} s", from.seconds(), to.seconds()),
            (Some(from), None) => write!(f, "from {} s", from.seconds()),
            (None, Some(to)) => write!(f, "to {} s", to.seconds()),
            (None, None) => f.write_str("the whole"),
        }
    }
}
