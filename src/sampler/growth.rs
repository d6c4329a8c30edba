//! Turns what memory did between two readings of a thread into what it did with each of the stacks at both ends.
//!
//! A tick sees one moment of a thread, and memory may have changed at any time since the tick before. Where the thread has
//! the same stack at both ends, the change is attributed to that stack. Otherwise the two stacks share it, by how fast and
//! how often memory changed while each was there alone. This is decided one reading later, so that what the second stack
//! does next counts: a line that allocates for a millisecond is mostly followed by one that allocates nothing.
//!
//! A stack that comes and goes between two ticks is not seen. Where memory hardly ever grows with a stack alone, and grows by
//! as much beside it with another stack, growth between two ticks at that stack is attributed to the other one.
//!
//! [`Share::unsure_bytes`] says how much of a share may be due to another stack.

use rustc_hash::FxHashMap;

use super::change::Change;
use super::course::Interval;
use super::held::HELD;
use super::observation::ThreadKey;
use crate::profile::event::{Nanos, StackId, ThreadId};

/// The rates of so many stacks are kept, some 400 KB. Beyond, they are learnt anew.
const MAX_RATES: usize = 4096;

/// When a stack has been seen for so long, what was learnt of it by then counts half.
const REMEMBERED: Nanos = Nanos(1_000_000_000);

/// A stack of which nothing is known is taken to change memory as the interval to be shared did, for this part of it:
/// what is seen of the stack counts 16 times as much.
const GUESSED_PART: f64 = 1.0 / 16.0;

/// A stack that was not seen may have grown memory by at most so many times as much as in any interval with it at one
/// end.
const MOST_UNSEEN: u64 = 2;

/// A thread of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whose {
    /// As the interpreter tells it apart.
    pub key: ThreadKey,
    /// As the recording does.
    pub id: ThreadId,
}

/// What is attributed to one stack of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// The thread.
    pub whose: Whose,
    /// Its stack.
    pub stack: Option<StackId>,
    /// By how much memory changed with it.
    pub change: Change,
    /// The part of the growth that may be due to another stack.
    pub unsure_bytes: u64,
}

/// What is known of the stacks of one process.
#[derive(Debug, Default)]
pub struct Growth {
    rates: FxHashMap<Option<StackId>, Rate>,
    undecided: Vec<Undecided>,
    /// How many intervals there were, and in how many of them memory changed.
    intervals: f64,
    changes: f64,
}

/// An interval with two stacks, in which memory changed.
#[derive(Debug, Clone, Copy)]
pub struct Undecided {
    whose: Whose,
    interval: Interval,
    /// Whether it ended at the last reading.
    is_new: bool,
}

/// What memory did in the time of a stack.
#[derive(Debug, Clone, Copy, Default)]
struct Rate {
    /// How long it was there: half of an interval where it was at one end.
    time_ns: f64,
    /// How long it was at both ends of an interval, and by how much memory grew and shrank meanwhile.
    alone_ns: f64,
    alone_grown: f64,
    alone_shrunk: f64,
    /// In how many intervals it was at either end, and in how many of these memory changed.
    intervals: f64,
    changes: f64,
    /// The growth in intervals that it shared: what was attributed to it, and to the stack at the other end.
    own_bytes: f64,
    other_bytes: f64,
    /// The stack that got most of the growth of the last such interval, where that was the other one, and the most
    /// growth of an interval that both shared.
    beside: Option<(Option<StackId>, u64)>,
}

impl Rate {
    /// Takes in an interval at whose end it was.
    fn learn(&mut self, interval: &Interval) {
        let (time_ns, change) = (interval.time.0 as f64, interval.change);
        if self.time_ns > REMEMBERED.0 as f64 {
            self.halve();
        }
        self.intervals += 1.0;
        self.changes += f64::from(u8::from(!change.is_none()));
        if interval.before == interval.after {
            self.time_ns += time_ns;
            self.alone_ns += time_ns;
            self.alone_grown += change.grown_bytes as f64;
            self.alone_shrunk += change.shrunk_bytes as f64;
        } else {
            self.time_ns += time_ns / 2.0;
        }
    }

    fn halve(&mut self) {
        for sum in [
            &mut self.time_ns,
            &mut self.alone_ns,
            &mut self.alone_grown,
            &mut self.alone_shrunk,
            &mut self.intervals,
            &mut self.changes,
            &mut self.own_bytes,
            &mut self.other_bytes,
        ] {
            *sum /= 2.0;
        }
    }

    /// Bytes per nanosecond, where memory changed by `bytes` while it was alone, and `usual` is what is taken to hold
    /// for `guessed_ns`. A stack with which memory mostly stays as it is counts less: another one may have come and gone
    /// unseen when it did not.
    fn per_ns(&self, bytes: f64, usual: f64, guessed_ns: f64) -> f64 {
        (bytes + usual * guessed_ns) / (self.alone_ns + guessed_ns) * self.busy_part().powi(2)
    }

    /// In which part of the intervals at whose ends it was memory changed.
    fn busy_part(&self) -> f64 {
        (self.changes + 0.5) / (self.intervals + 0.5)
    }

    /// Of the growth in its intervals, the part that was attributed to other stacks.
    fn other_part(&self) -> f64 {
        let all = self.alone_grown + self.own_bytes + self.other_bytes;
        if all > 0.0 {
            self.other_bytes / all
        } else {
            0.0
        }
    }
}

impl Growth {
    /// Takes in what a thread did between two readings. Hands its shares to `attribute`, unless that has to wait for the
    /// next reading.
    pub fn take(&mut self, whose: Whose, interval: Interval, attribute: &mut dyn FnMut(Share)) {
        if !interval.has_unread_ticks {
            self.learn(&interval);
        }
        if interval.change.is_none() {
            return;
        }
        let undecided = Undecided {
            whose,
            interval,
            is_new: true,
        };
        if interval.before == interval.after {
            self.attribute_whole(whose, &interval, attribute);
        } else if interval.time >= HELD {
            // The first stack's run is not held until the next reading.
            self.decide(&undecided, attribute);
        } else {
            self.undecided.push(undecided);
        }
    }

    /// The intervals to be decided after a reading: those that ended before it, but for threads that are still `open`,
    /// as their stacks were not read at this tick.
    #[must_use]
    pub fn take_due(&mut self, is_open: impl Fn(ThreadKey) -> bool) -> Vec<Undecided> {
        let is_due = |waiting: &mut Undecided| {
            let was_new = std::mem::take(&mut waiting.is_new);
            !was_new && !is_open(waiting.whose.key)
        };
        self.undecided.extract_if(.., is_due).collect()
    }

    /// All intervals that are not decided yet: nothing more is read of their threads.
    #[must_use]
    pub fn take_all(&mut self) -> Vec<Undecided> {
        std::mem::take(&mut self.undecided)
    }

    /// Shares an interval between the stacks at its ends.
    pub fn decide(&mut self, undecided: &Undecided, attribute: &mut dyn FnMut(Share)) {
        let Undecided {
            whose, interval, ..
        } = *undecided;
        let Change {
            grown_bytes,
            shrunk_bytes,
        } = interval.change;
        let grown_part = self.first_part(&interval, grown_bytes, |rate| rate.alone_grown);
        let shrunk_part = self.first_part(&interval, shrunk_bytes, |rate| rate.alone_shrunk);
        let first = Change {
            grown_bytes: (grown_bytes as f64 * grown_part) as u64,
            shrunk_bytes: (shrunk_bytes as f64 * shrunk_part) as u64,
        };
        let second = Change {
            grown_bytes: grown_bytes.saturating_sub(first.grown_bytes),
            shrunk_bytes: shrunk_bytes.saturating_sub(first.shrunk_bytes),
        };
        // Each byte of one may be the other's, by the other's part.
        let mixed_bytes = (grown_bytes as f64 * grown_part * (1.0 - grown_part)) as u64;
        for (stack, change, other) in [
            (interval.before, first, second),
            (interval.after, second, first),
        ] {
            let rate = self.rates.entry(stack).or_default();
            rate.own_bytes += change.grown_bytes as f64;
            rate.other_bytes += other.grown_bytes as f64;
            if other.grown_bytes > change.grown_bytes {
                let [before, after] = [interval.before, interval.after];
                let beside = if stack == after { before } else { after };
                let most = rate.beside.filter(|(known, _)| *known == beside);
                let most_bytes = most.map_or(0, |(_, bytes)| bytes).max(grown_bytes);
                rate.beside = Some((beside, most_bytes));
            }
            if !change.is_none() {
                attribute(Share {
                    whose,
                    stack,
                    change,
                    unsure_bytes: match interval.has_unread_ticks {
                        true => change.grown_bytes,
                        false => mixed_bytes.min(change.grown_bytes),
                    },
                });
            }
        }
    }

    /// Attributes an interval with one stack at both its ends: to that stack, or to one that was there unseen.
    fn attribute_whole(
        &mut self,
        whose: Whose,
        interval: &Interval,
        attribute: &mut dyn FnMut(Share),
    ) {
        let (stack, change) = (interval.after, interval.change);
        let mut share = |stack, change, unsure_bytes| {
            attribute(Share {
                whose,
                stack,
                change,
                unsure_bytes,
            });
        };
        let grown_bytes = change.grown_bytes;
        if let Some(unseen) = self.unseen(interval) {
            share(unseen, change, grown_bytes);
            return;
        }
        let other_part = self.rate(stack).other_part();
        let unsure_bytes = match interval.has_unread_ticks {
            true => grown_bytes,
            false => (grown_bytes as f64 * other_part) as u64,
        };
        share(stack, change, unsure_bytes);
    }

    /// The stack that most likely grew memory between two ticks at which another one was seen: that one mostly has others
    /// grow memory beside it.
    fn unseen(&self, interval: &Interval) -> Option<Option<StackId>> {
        let own = self.rate(interval.after);
        let (beside, most_bytes) = own.beside?;
        let grown_bytes = interval.change.grown_bytes;
        let is_plausible = grown_bytes > 0 && grown_bytes <= most_bytes.saturating_mul(MOST_UNSEEN);
        let is_likely = own.other_part() >= 0.5 && own.busy_part() < self.rate(beside).busy_part();
        (is_plausible && is_likely).then_some(beside)
    }

    fn rate(&self, stack: Option<StackId>) -> Rate {
        self.rates.get(&stack).copied().unwrap_or_default()
    }

    fn learn(&mut self, interval: &Interval) {
        if self.rates.len() >= MAX_RATES {
            self.rates.clear();
        }
        self.intervals += 1.0;
        self.changes += f64::from(u8::from(!interval.change.is_none()));
        self.rates
            .entry(interval.after)
            .or_default()
            .learn(interval);
        if interval.before != interval.after {
            self.rates
                .entry(interval.before)
                .or_default()
                .learn(interval);
        }
    }

    /// The part of the first of two stacks in `bytes` of change, which both share. `alone` is by how many bytes memory
    /// changed in that way while a stack was alone.
    fn first_part(&self, interval: &Interval, bytes: u64, alone: fn(&Rate) -> f64) -> f64 {
        let time_ns = (interval.time.0 as f64).max(1.0);
        let busy_part = (self.changes + 1.0) / (self.intervals + 1.0);
        let usual = bytes as f64 / time_ns * busy_part;
        let [first, second] = [interval.before, interval.after].map(|stack| {
            let rate = self.rate(stack);
            rate.per_ns(alone(&rate), usual, time_ns * GUESSED_PART)
        });
        if first + second > 0.0 {
            first / (first + second)
        } else {
            0.5
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    const WHOSE: Whose = Whose {
        key: (1, 1),
        id: ThreadId(1),
    };

    /// One after another, each decided as the sampler does.
    struct Reader {
        growth: Growth,
        shares: Vec<Share>,
    }

    impl Reader {
        fn new() -> Reader {
            Reader {
                growth: Growth::default(),
                shares: Vec::new(),
            }
        }

        fn read(&mut self, before: u32, after: u32, change: Change, has_unread_ticks: bool) {
            self.read_for(before, after, change, has_unread_ticks, MS);
        }

        fn read_for(
            &mut self,
            before: u32,
            after: u32,
            change: Change,
            has_unread_ticks: bool,
            time_ns: u64,
        ) {
            let interval = Interval {
                before: Some(StackId(before)),
                after: Some(StackId(after)),
                time: Nanos(time_ns),
                change,
                has_unread_ticks,
            };
            let shares = &mut self.shares;
            let mut attribute = |share| shares.push(share);
            self.growth.take(WHOSE, interval, &mut attribute);
            for undecided in self.growth.take_due(|_| false) {
                self.growth.decide(&undecided, &mut attribute);
            }
        }

        /// Of each stack the bytes grown, shrunk and unsure.
        fn finish(mut self) -> [[u64; 3]; 4] {
            for undecided in self.growth.take_all() {
                let shares = &mut self.shares;
                self.growth
                    .decide(&undecided, &mut |share| shares.push(share));
            }
            let mut sums = [[0; 3]; 4];
            for share in self.shares {
                let Change {
                    grown_bytes,
                    shrunk_bytes,
                } = share.change;
                assert!(share.unsure_bytes <= grown_bytes, "{share:?}");
                let sum = &mut sums[share.stack.unwrap().0 as usize];
                sum[0] += grown_bytes;
                sum[1] += shrunk_bytes;
                sum[2] += share.unsure_bytes;
            }
            sums
        }
    }

    fn grown(bytes: u64) -> Change {
        Change::between(0, bytes)
    }

    /// A part of a program: its line, for how many µs it runs, and how many bytes it allocates in a nanosecond.
    type Part = (u32, u64, u64);

    /// How long an allocation lasts until memory grows: ticks see its line and no growth.
    const LAG_NS: u64 = 50_000;

    /// Runs the parts one after another, again and again, with a tick every 0.5 to 1.5 ms. Returns of each line the
    /// parts of what it took that were attributed to it and that were called unsure.
    fn planted(parts: &[Part], turns: u64) -> [[f64; 2]; 4] {
        let whole_ns: u64 = parts.iter().map(|(_, us, _)| us * 1000).sum();
        let a_turn: u64 = parts.iter().map(|(_, us, rate)| us * 1000 * rate).sum();
        let at = |time: u64| {
            let (mut rest, mut bytes) = (time % whole_ns, time / whole_ns * a_turn);
            for (line, us, rate) in parts {
                if rest < us * 1000 {
                    return (*line, bytes + rest.saturating_sub(LAG_NS) * rate);
                }
                rest -= us * 1000;
                bytes += us * 1000 * rate;
            }
            panic!("{rest} ns are left of a turn");
        };
        let mut reader = Reader::new();
        let (mut time, mut random) = (0, 7_u64);
        while time < turns * whole_ns {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let next = time + MS / 2 + random % MS;
            let ((before, had), (after, has)) = (at(time), at(next));
            reader.read_for(before, after, Change::between(had, has), false, next - time);
            time = next;
        }
        let mut taken = [0; 4];
        for (line, us, rate) in parts {
            taken[*line as usize] += us * 1000 * rate * turns;
        }
        let sums = reader.finish();
        let all = |sums: [u64; 4]| sums.iter().sum::<u64>() as f64;
        let seen = all(sums.map(|sum| sum[0]));
        assert!((seen / all(taken) - 1.0).abs() < 0.02, "{sums:?}");
        std::array::from_fn(|line| {
            [0, 2].map(|kind| sums[line][kind] as f64 / (taken[line] as f64).max(1.0))
        })
    }

    #[test]
    fn an_allocation_as_long_as_an_interval_is_attributed_to_its_line() {
        // (how long another line works after it, how often, the least part)
        for (work_us, turns, least) in [(4000, 500, 0.8), (20_000, 20, 0.8), (1000, 500, 0.6)] {
            let parts = [(0, 1000, 2), (1, work_us, 0), (2, 1100, 1), (1, work_us, 0)];
            let lines = planted(&parts, turns);
            for line in [0, 2] {
                let [right, unsure] = lines[line];
                assert!((least..1.15).contains(&right), "{work_us}: {lines:?}");
                assert!(unsure < 0.4, "{work_us}: {lines:?}");
            }
        }
    }

    #[test]
    fn an_allocation_that_ticks_often_miss_is_attributed_to_its_line_and_unsure() {
        let [right, unsure] = planted(&[(0, 600, 2), (1, 4400, 0)], 500)[0];
        assert!((0.9..1.01).contains(&right), "{right}");
        assert!((0.2..0.6).contains(&unsure), "{unsure}");
    }

    #[test]
    fn a_line_that_grows_by_leaps_beside_one_that_grows_long_keeps_most() {
        let mut parts = vec![(0, 1500, 2)];
        for _ in 0..10 {
            parts.extend([(1, 1950, 0), (1, 50, 20)]);
        }
        let [right, unsure] = planted(&parts, 200)[1];
        assert!(
            (0.85..1.1).contains(&right) && unsure < 0.3,
            "{right} {unsure}"
        );
    }

    #[test]
    fn a_line_that_runs_once_is_known_by_what_the_next_one_does() {
        let mut reader = Reader::new();
        // Line 1 works, line 2 allocates for a moment, line 3 works.
        for (before, after, bytes) in [(1, 1, 0), (1, 2, 3000), (2, 3, 5000), (3, 3, 0), (3, 3, 0)]
        {
            reader.read(before, after, grown(bytes), false);
        }
        let [_, first, second, third] = reader.finish().map(|sum| sum[0]);
        assert_eq!(first + second + third, 8000);
        assert!(second > 7000, "{second}");
    }

    #[test]
    fn freed_memory_is_attributed_likewise() {
        let mut reader = Reader::new();
        for turn in 0..100 {
            let (before, after) = (turn % 2, (turn + 1) % 2);
            reader.read(before, after, Change::between(1000, 0), false);
            let freed = u64::from(after) * 1000;
            reader.read(after, after, Change::between(freed, 0), false);
        }
        let sums = reader.finish();
        assert_eq!(sums[0][1] + sums[1][1], 150_000);
        assert!(sums[1][1] > 130_000, "{sums:?}");
    }

    #[test]
    fn growth_beside_a_line_that_mostly_yields_it_is_unsure() {
        let mut reader = Reader::new();
        for _ in 0..50 {
            for (before, after, bytes) in [(1, 2, 1000), (2, 1, 1000), (1, 1, 0), (1, 1, 0)] {
                reader.read(before, after, grown(bytes), false);
            }
        }
        // Too much for an unseen turn of line 2.
        reader.read(1, 1, grown(8000), false);
        reader.read(3, 3, grown(8000), false);
        let sums = reader.finish();
        assert!(sums[1][0] >= 8000 && sums[1][2] > 6000, "{sums:?}");
        assert_eq!(sums[3], [8000, 0, 0]);
    }

    #[test]
    fn growth_over_unread_ticks_is_shared_by_both_ends_and_unsure() {
        let mut reader = Reader::new();
        reader.read(1, 2, grown(1000), true);
        reader.read(2, 2, grown(500), true);
        let sums = reader.finish();
        assert_eq!(sums.map(|sum| sum[0]), [0, 500, 1000, 0]);
        assert_eq!(sums.map(|sum| sum[2]), [0, 500, 1000, 0]);
    }

    #[test]
    fn nothing_is_put_off_for_longer_than_runs_are_held() {
        let mut growth = Growth::default();
        let mut shares = 0;
        for (time, expected) in [(HELD - Nanos(1), 0), (HELD, 2)] {
            let interval = Interval {
                before: None,
                after: Some(StackId(1)),
                time,
                change: grown(1000),
                has_unread_ticks: false,
            };
            growth.take(WHOSE, interval, &mut |_| shares += 1);
            assert_eq!(shares, expected);
        }
    }
}
