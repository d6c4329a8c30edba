//! Turns the stacks at which one thread was read into the intervals between readings of memory.

use super::change::Change;
use crate::profile::event::{Nanos, StackId};

/// What one thread did between two readings of memory at which its stack was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// Its stack at the first.
    pub before: Option<StackId>,
    /// Its stack at the second.
    pub after: Option<StackId>,
    /// How long it was.
    pub time: Nanos,
    /// What the thread did to memory.
    pub change: Change,
    /// Whether memory was read in between at ticks at which the stack was not: any stack may have been there.
    pub has_unread_ticks: bool,
}

/// The stacks of one thread.
#[derive(Debug, Default)]
pub struct Course {
    /// The stack that was read last; `None` before there was one.
    stack: Option<Option<StackId>>,
    /// The one before the first that was read since reading `seen_since` of memory.
    before: Option<StackId>,
    seen_since: u64,
    /// Whether the stack was not read at the last tick, though the thread may have run.
    is_unread: bool,
    /// What passed since the interval began, at readings of memory at which the stack was not known.
    open_time: Nanos,
    open_change: Change,
}

impl Course {
    /// The thread was read; memory had been read `readings` times by then.
    pub fn see(&mut self, stack: Option<StackId>, readings: u64) {
        if self.seen_since != readings || self.stack.is_none() {
            self.before = self.stack.unwrap_or(stack);
            self.seen_since = readings;
        }
        self.stack = Some(stack);
        self.is_unread = false;
    }

    /// The thread may have run, and was not read: its stack is not known at this tick.
    pub fn miss(&mut self) {
        self.is_unread = true;
    }

    /// Whether its interval goes on, as its stack is not known.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.is_unread
    }

    /// Memory was read once more, after `readings` times: the thread changed it by `change` in the time since the last
    /// one. Returns the interval that ends there; `None` where the stack is not known.
    pub fn end(&mut self, readings: u64, time: Nanos, change: Change) -> Option<Interval> {
        let has_unread_ticks = self.open_time > Nanos(0);
        self.open_time += time;
        self.open_change = self.open_change.plus(change);
        let after = self.stack.filter(|_| !self.is_unread)?;
        let before = match self.seen_since == readings {
            true => self.before,
            false => after,
        };
        Some(Interval {
            before,
            after,
            time: std::mem::take(&mut self.open_time),
            change: std::mem::take(&mut self.open_change),
            has_unread_ticks,
        })
    }

    /// What it did to memory since its stack was known last.
    #[must_use]
    pub fn open_change(&self) -> Change {
        self.open_change
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Nanos = Nanos(1_000_000);

    fn stack(number: u32) -> Option<StackId> {
        Some(StackId(number))
    }

    /// What a thread does at each tick and by how much memory grew since the last; `None`: it was not read.
    fn check(ticks: &[(Option<u32>, u64)], expected: &[(u32, u32, u64, bool)]) {
        let mut course = Course::default();
        let mut intervals = Vec::new();
        for (readings, (number, grown)) in ticks.iter().enumerate() {
            match number {
                Some(number) => course.see(stack(*number), readings as u64),
                None => course.miss(),
            }
            let change = Change::between(0, *grown);
            intervals.extend(course.end(readings as u64, MS, change));
        }
        let expected: Vec<Interval> = expected
            .iter()
            .map(|(before, after, grown, has_unread_ticks)| Interval {
                before: stack(*before),
                after: stack(*after),
                time: MS,
                change: Change::between(0, *grown),
                has_unread_ticks: *has_unread_ticks,
            })
            .collect();
        let with_time = |interval: &Interval| Interval {
            time: MS,
            ..*interval
        };
        let intervals: Vec<Interval> = intervals.iter().map(with_time).collect();
        assert_eq!(intervals, expected);
    }

    #[test]
    fn an_interval_has_the_stacks_at_both_readings() {
        check(
            &[(Some(1), 5), (Some(1), 6), (Some(2), 7), (Some(1), 8)],
            &[
                (1, 1, 5, false),
                (1, 1, 6, false),
                (1, 2, 7, false),
                (2, 1, 8, false),
            ],
        );
    }

    #[test]
    fn ticks_without_a_reading_are_part_of_a_longer_interval() {
        check(
            &[
                (Some(1), 1),
                (None, 10),
                (None, 100),
                (Some(2), 1000),
                (Some(2), 2),
            ],
            &[(1, 1, 1, false), (1, 2, 1110, true), (2, 2, 2, false)],
        );
    }

    #[test]
    fn stacks_between_two_readings_of_memory_do_not_count() {
        let mut course = Course::default();
        for number in 1..5 {
            course.see(stack(number), u64::from(number > 1));
        }
        let interval = course.end(1, MS, Change::default()).unwrap();
        assert_eq!((interval.before, interval.after), (stack(1), stack(4)));
        // It is where it was.
        let interval = course.end(2, MS, Change::default()).unwrap();
        assert_eq!((interval.before, interval.after), (stack(4), stack(4)));
    }

    #[test]
    fn what_was_done_since_the_last_known_stack_is_left_at_the_end() {
        let mut course = Course::default();
        course.see(stack(1), 0);
        course.miss();
        assert!(course.is_open());
        assert_eq!(course.end(0, MS, Change::between(0, 5)), None);
        assert_eq!(course.open_change(), Change::between(0, 5));
    }
}
