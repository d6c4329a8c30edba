//! Turns spans of time in any order into how long they last where they are laid over one another.

use super::event::Nanos;

/// So many separate spans are kept. Beyond, the shortest gaps are closed, of which there are many only where single
/// functions are looked at.
const MAX_SPANS: usize = 4096;

/// Spans that neither overlap nor touch, in ascending order.
#[derive(Debug, Clone, Default)]
pub(super) struct Covered {
    spans: Vec<(Nanos, Nanos)>,
}

impl Covered {
    /// Adds a span.
    pub fn push(&mut self, from: Nanos, to: Nanos) {
        // Those from `first` on end at `from` or later, those before `end` begin at `to` or sooner.
        let first = self.spans.partition_point(|span| span.1 < from);
        let end = self.spans.partition_point(|span| span.0 <= to);
        if first == end {
            self.spans.insert(first, (from, to));
        } else {
            let to = to.max(self.spans[end - 1].1);
            let from = from.min(self.spans[first].0);
            self.spans.drain(first + 1..end);
            self.spans[first] = (from, to);
        }
        if self.spans.len() > MAX_SPANS {
            self.close_gaps();
        }
    }

    /// Closes the shorter half of the gaps.
    fn close_gaps(&mut self) {
        let gap = |pair: &[(Nanos, Nanos)]| pair[1].0 - pair[0].1;
        let mut gaps: Vec<Nanos> = self.spans.windows(2).map(gap).collect();
        gaps.sort_unstable();
        let limit = gaps.get(gaps.len() / 2).copied().unwrap_or_default();
        self.spans.dedup_by(|next, before| {
            let is_closed = next.0 - before.1 <= limit;
            if is_closed {
                before.1 = next.1;
            }
            is_closed
        });
    }

    /// How long all of them last together.
    pub fn time(&self) -> Nanos {
        let lengths = self.spans.iter().map(|(from, to)| *to - *from);
        lengths.fold(Nanos(0), |sum, length| sum + length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(spans: &[(u64, u64)]) -> u64 {
        let mut covered = Covered::default();
        for (from, to) in spans {
            covered.push(Nanos(*from), Nanos(*to));
        }
        assert!(covered.spans.windows(2).all(|pair| pair[0].1 < pair[1].0));
        covered.time().0
    }

    #[test]
    fn what_overlaps_counts_once() {
        assert_eq!(time(&[]), 0);
        assert_eq!(time(&[(0, 5), (5, 9), (20, 21)]), 10);
        assert_eq!(time(&[(20, 30), (0, 5), (3, 8), (25, 40)]), 28);
        assert_eq!(time(&[(0, 1), (2, 3), (4, 5), (6, 7), (1, 6)]), 7);
        assert_eq!(time(&[(5, 6), (0, 20), (7, 8)]), 20);
    }

    #[test]
    fn of_many_spans_the_shortest_gaps_are_closed() {
        // Gaps of 1, but for one of 1000.
        let spans: Vec<_> = (0..2 * MAX_SPANS as u64)
            .map(|number| 3 * number + if number < 100 { 0 } else { 1000 })
            .map(|from| (from, from + 2))
            .collect();
        let time = time(&spans);
        let (least, most) = (2 * spans.len() as u64, 3 * spans.len() as u64);
        assert!((least..=most).contains(&time), "{time}");
    }
}
