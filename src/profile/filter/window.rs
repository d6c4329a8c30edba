//! Turns a run into the part of it that lies in a span of time.

use std::fmt;

use crate::profile::event::{Nanos, NativeSample, Sample};

/// A span of time since the start of the recording; `None` is without limit.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Window {
    pub(super) from: Option<Nanos>,
    pub(super) to: Option<Nanos>,
}

impl Window {
    /// The part of the run that lies in the window, with its share of all sums ([`Sample::part`]): the parts of adjacent
    /// windows add up to the whole. But a part has at least one tick: the one at a limit is seen from both sides of it.
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
        let part = sample.part(skipped, end);
        Some(Sample {
            ticks: part.ticks.max(1),
            ..part
        })
    }

    /// The part of a native sample that lies in it.
    pub(super) fn cut_native(self, sample: &NativeSample) -> Option<NativeSample> {
        match (self.from, self.to) {
            (None, None) => Some(*sample),
            _ => {
                let (from, to) = self.limits();
                sample.within(from, to)
            }
        }
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
