//! Turns the runs of a thread into few bytes, and back: about a tenth of what they take as they are.
//!
//! Of a run, what is as it most often is takes no byte: it begins where the one before ends, is one tick, all of its time is
//! CPU time or none, and nothing is known of memory. Other numbers are in base 128, the lowest seven bits first (LEB128).

use super::attributes::AttributesId;
use super::event::{Nanos, Sample, StackId, State, ThreadId};

/// No run takes more: two bytes, and twelve numbers of at most ten.
const MAX_RUN_BYTES: usize = 2 + 12 * 10;

/// What of a run is written behind its first two bytes.
mod has {
    pub(super) const GAP: u8 = 1;
    pub(super) const TICKS: u8 = 1 << 1;
    pub(super) const HELPERS: u8 = 1 << 2;
    pub(super) const BLOCKED: u8 = 1 << 3;
    pub(super) const MEMORY: u8 = 1 << 4;
    pub(super) const ATTRIBUTES: u8 = 1 << 5;
    pub(super) const STACK: u8 = 1 << 6;
    pub(super) const SAME_STACK: u8 = 1 << 7;
}

/// How much of a run's time a part is: two bits.
const ALL: u8 = 0;
const NONE: u8 = 1;
const SOME: u8 = 2;

/// What the next run is told apart from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Before {
    end: u64,
    stack: Option<StackId>,
}

/// The runs of a thread, in the order in which they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct PackedRuns {
    bytes: Vec<u8>,
    before: Before,
}

impl PackedRuns {
    /// How many bytes the next run takes room for, if there may be too little left.
    fn growth(&self) -> usize {
        match self.bytes.capacity() - self.bytes.len() < MAX_RUN_BYTES {
            true => (self.bytes.len() / 4).max(MAX_RUN_BYTES),
            false => 0,
        }
    }

    /// What the runs take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Appends a run.
    pub(super) fn push(&mut self, run: &Sample) {
        self.bytes.reserve_exact(self.growth());
        let before = self.before;
        let gap = difference(before.end.saturating_add(run.wall.0), run.at.0);
        let memory = [run.grown_bytes, run.shrunk_bytes, run.unsure_bytes];
        let flags = [
            (has::GAP, gap != 0),
            (has::TICKS, run.ticks != 1),
            (has::HELPERS, run.helpers_cpu.0 > 0),
            (has::BLOCKED, run.blocked_others.0 > 0),
            (has::MEMORY, memory != [0; 3]),
            (has::ATTRIBUTES, run.attributes.is_some()),
            (has::STACK, run.stack.is_some()),
            (has::SAME_STACK, run.stack == before.stack),
        ];
        let flags = flags.into_iter().filter(|(_, is_so)| *is_so);
        let has = flags.fold(0, |has, (flag, _)| has | flag);
        let (cpu, gil) = (part(run.wall, run.cpu), part(run.wall, run.gil));
        self.bytes.push(run.state as u8 | cpu << 4 | gil << 6);
        self.bytes.push(has);
        let mut number = |is_there: bool, number: u64| {
            if is_there {
                push_number(&mut self.bytes, number);
            }
        };
        number(true, run.wall.0);
        number(gap != 0, gap);
        number(run.ticks != 1, u64::from(run.ticks));
        number(cpu == SOME, run.cpu.0);
        number(gil == SOME, run.gil.0);
        number(has & has::HELPERS > 0, run.helpers_cpu.0);
        number(has & has::BLOCKED > 0, run.blocked_others.0);
        for bytes in memory {
            number(has & has::MEMORY > 0, bytes);
        }
        let attributes = run.attributes.map_or(0, AttributesId::number);
        number(has & has::ATTRIBUTES > 0, u64::from(attributes));
        let is_new = has & (has::STACK | has::SAME_STACK) == has::STACK;
        number(is_new, run.stack.map_or(0, |stack| u64::from(stack.0)));
        self.before = Before {
            end: run.at.0,
            stack: run.stack,
        };
    }

    /// The runs as those of this thread.
    pub(super) fn iter(&self, thread: ThreadId) -> PackedIter<'_> {
        PackedIter {
            bytes: &self.bytes,
            before: Before::default(),
            thread,
        }
    }
}

/// The runs, one after another.
#[derive(Debug, Clone)]
pub(super) struct PackedIter<'r> {
    bytes: &'r [u8],
    before: Before,
    thread: ThreadId,
}

impl PackedIter<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        Some(number)
    }

    /// A number that is there, or else what it is then.
    fn number_or(&mut self, is_there: bool, other: u64) -> Option<u64> {
        match is_there {
            true => self.number(),
            false => Some(other),
        }
    }

    fn part(&mut self, part: u8, whole: u64) -> Option<Nanos> {
        let part = match part {
            ALL => whole,
            NONE => 0,
            _ => self.number()?,
        };
        Some(Nanos(part))
    }
}

impl Iterator for PackedIter<'_> {
    type Item = Sample;

    fn next(&mut self) -> Option<Sample> {
        let (head, has) = (self.byte()?, self.byte()?);
        let wall = self.number()?;
        let gap = self.number_or(has & has::GAP > 0, 0)?;
        let ticks = self.number_or(has & has::TICKS > 0, 1)? as u32;
        let (cpu, gil) = (self.part(head >> 4 & 3, wall)?, self.part(head >> 6, wall)?);
        let helpers_cpu = Nanos(self.number_or(has & has::HELPERS > 0, 0)?);
        let blocked_others = Nanos(self.number_or(has & has::BLOCKED > 0, 0)?);
        let mut memory = [0; 3];
        for bytes in &mut memory {
            *bytes = self.number_or(has & has::MEMORY > 0, 0)?;
        }
        let attributes = match has & has::ATTRIBUTES > 0 {
            true => Some(AttributesId::new(self.number()? as u32)),
            false => None,
        };
        let stack = match (has & has::SAME_STACK > 0, has & has::STACK > 0) {
            (true, _) => self.before.stack,
            (false, true) => Some(StackId(self.number()? as u32)),
            (false, false) => None,
        };
        let end = add_difference(self.before.end.saturating_add(wall), gap);
        self.before = Before { end, stack };
        let [grown_bytes, shrunk_bytes, unsure_bytes] = memory;
        Some(Sample {
            at: Nanos(end),
            thread: self.thread,
            stack,
            ticks,
            wall: Nanos(wall),
            cpu,
            gil,
            state: State::ALL.get(usize::from(head & 0xf)).copied()?,
            helpers_cpu,
            blocked_others,
            grown_bytes,
            shrunk_bytes,
            unsure_bytes,
            attributes,
        })
    }
}

fn part(whole: Nanos, part: Nanos) -> u8 {
    match part {
        part if part == whole => ALL,
        Nanos(0) => NONE,
        _ => SOME,
    }
}

fn push_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// By how much `now` is more than `before` (even) or less (odd), modulo 2⁶⁴.
fn difference(before: u64, now: u64) -> u64 {
    let difference = now.wrapping_sub(before) as i64;
    ((difference << 1) ^ (difference >> 63)) as u64
}

fn add_difference(before: u64, difference: u64) -> u64 {
    before.wrapping_add((difference >> 1) ^ (difference & 1).wrapping_neg())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_run() -> impl Strategy<Value = Sample> {
        let number = || prop_oneof![Just(0), 0..9_u64, any::<u64>()];
        let times = (number(), number(), number(), number(), number());
        let memory = (number(), number(), number());
        let rest = (any::<u32>(), 0..State::ALL.len(), 0..3_u32, 0..3_u32);
        (number(), times, memory, rest).prop_map(|(at, times, memory, rest)| Sample {
            at: Nanos(at),
            thread: ThreadId(7),
            stack: rest.2.checked_sub(1).map(StackId),
            ticks: rest.0,
            wall: Nanos(times.0),
            cpu: Nanos(times.1),
            gil: Nanos(times.2),
            state: State::ALL[rest.1],
            helpers_cpu: Nanos(times.3),
            blocked_others: Nanos(times.4),
            grown_bytes: memory.0,
            shrunk_bytes: memory.1,
            unsure_bytes: memory.2,
            attributes: rest.3.checked_sub(1).map(AttributesId::new),
        })
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_back(runs in prop::collection::vec(any_run(), 0..50)) {
            let mut packed = PackedRuns::default();
            runs.iter().for_each(|run| packed.push(run));
            prop_assert_eq!(packed.iter(ThreadId(7)).collect::<Vec<_>>(), runs);
        }
    }

    #[test]
    fn a_usual_run_takes_few_bytes() {
        let mut packed = PackedRuns::default();
        for number in 1..=1000 {
            packed.push(&Sample {
                at: Nanos(number * 10_000_000),
                thread: ThreadId(7),
                stack: Some(StackId(number as u32 % 3000)),
                ticks: 1,
                wall: Nanos(10_000_000),
                cpu: Nanos(10_000_000),
                gil: Nanos(0),
                ..Sample::default()
            });
        }
        assert!(packed.bytes.len() <= 8 * 1000, "{}", packed.bytes.len());
    }
}
