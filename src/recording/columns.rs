//! Turns the samples of a block into columns of small numbers, and back.
//!
//! A thread's run most often ends when the next one begins, is wholly on a CPU or not at all, and
//! wholly with the GIL or not at all: then all but the end and the stack are the same small numbers
//! again and again, which compress to nothing.

use rustc_hash::FxHashMap;

use super::schema::Block;
use crate::profile::attributes::AttributesId;
use crate::profile::event::{Nanos, Sample, StackId, State, ThreadId};

/// Puts `samples` into the columns of `block`.
pub(super) fn put(samples: &[Sample], block: &mut Block) {
    let unit = unit_of(samples);
    block.unit_ns = unit;
    let mut before = 0;
    let mut ends: FxHashMap<ThreadId, u64> = FxHashMap::default();
    let mut index_of: FxHashMap<Option<StackId>, u32> = FxHashMap::default();
    for sample in samples {
        let (at, wall) = (sample.at.0 / unit, sample.wall.0 / unit);
        block.sample_at.push(at.wrapping_sub(before));
        before = at;
        block.sample_thread.push(sample.thread.0);
        let next = block.sampled_stacks.len() as u32;
        let index = *index_of.entry(sample.stack).or_insert(next);
        if index == next {
            let stack = sample.stack.map_or(0, |id| u64::from(id.0) + 1);
            block.sampled_stacks.push(stack);
        }
        block.sample_stack.push(index);
        block.sample_ticks.push(sample.ticks);
        let since = at.wrapping_sub(ends.insert(sample.thread, at).unwrap_or(0));
        block.sample_wall.push(wall.wrapping_sub(since) as i64);
        block.sample_cpu.push(part_code(wall, sample.cpu.0 / unit));
        block.sample_gil.push(part_code(wall, sample.gil.0 / unit));
    }
    put_more(samples, block);
}

/// Puts what most samples do not have: a column is left empty when none of them has it.
fn put_more(samples: &[Sample], block: &mut Block) {
    fn column<T: Default + PartialEq>(samples: &[Sample], of: impl Fn(&Sample) -> T) -> Vec<T> {
        let is_wanted = samples.iter().any(|sample| of(sample) != T::default());
        let wanted = if is_wanted { samples } else { &[] };
        wanted.iter().map(of).collect()
    }
    block.sample_state = column(samples, |sample| sample.state as u32);
    block.sample_helpers_cpu_ns = column(samples, |sample| sample.helpers_cpu.0);
    block.sample_blocked_others_ns = column(samples, |sample| sample.blocked_others.0);
    block.sample_grown_bytes = column(samples, |sample| sample.grown_bytes);
    block.sample_shrunk_bytes = column(samples, |sample| sample.shrunk_bytes);
    block.sample_unsure_bytes = column(samples, |sample| sample.unsure_bytes);
    block.sample_attributes = column(samples, |sample| {
        sample.attributes.map_or(0, |id| id.number() + 1)
    });
}

/// Takes the samples out of the columns of `block`; `None` at the first one that makes no sense.
/// Threads are below `threads`, stacks below `stacks`, sets of attributes below `attributes`.
pub(super) fn take(
    block: &Block,
    threads: u64,
    stacks: u64,
    attributes: u64,
    emit: &mut dyn FnMut(Sample),
) -> Option<()> {
    let count = block.sample_at.len();
    let lengths = [
        block.sample_thread.len(),
        block.sample_stack.len(),
        block.sample_ticks.len(),
        block.sample_wall.len(),
        block.sample_cpu.len(),
        block.sample_gil.len(),
    ];
    let optional = [
        block.sample_state.len(),
        block.sample_helpers_cpu_ns.len(),
        block.sample_blocked_others_ns.len(),
        block.sample_grown_bytes.len(),
        block.sample_shrunk_bytes.len(),
        block.sample_unsure_bytes.len(),
        block.sample_attributes.len(),
    ];
    let is_whole = |length: &usize| *length == count;
    if !lengths.iter().all(is_whole) || !optional.iter().all(|l| *l == 0 || is_whole(l)) {
        return None;
    }
    let more = |column: &[u64], index: usize| column.get(index).copied().unwrap_or_default();
    let table: Option<Vec<_>> = block.sampled_stacks.iter().map(stack_of(stacks)).collect();
    let table = table?;
    let unit = block.unit_ns;
    let nanos = |units: u64| units.checked_mul(unit).map(Nanos);
    let mut at = 0_u64;
    let mut ends: FxHashMap<u32, u64> = FxHashMap::default();
    for index in 0..count {
        let thread = block.sample_thread[index];
        if u64::from(thread) >= threads {
            return None;
        }
        at = at.wrapping_add(block.sample_at[index]);
        let since = at.wrapping_sub(ends.insert(thread, at).unwrap_or(0));
        let wall = since.wrapping_add(block.sample_wall[index] as u64);
        emit(Sample {
            at: nanos(at)?,
            thread: ThreadId(thread),
            stack: *table.get(block.sample_stack[index] as usize)?,
            ticks: block.sample_ticks[index],
            wall: nanos(wall)?,
            cpu: nanos(part_of(wall, block.sample_cpu[index]))?,
            gil: nanos(part_of(wall, block.sample_gil[index]))?,
            state: match block.sample_state.get(index) {
                Some(number) => *State::ALL.get(*number as usize)?,
                None => State::Unknown,
            },
            helpers_cpu: Nanos(more(&block.sample_helpers_cpu_ns, index)),
            blocked_others: Nanos(more(&block.sample_blocked_others_ns, index)),
            grown_bytes: more(&block.sample_grown_bytes, index),
            shrunk_bytes: more(&block.sample_shrunk_bytes, index),
            unsure_bytes: more(&block.sample_unsure_bytes, index),
            attributes: attributes_of(block.sample_attributes.get(index), attributes)?,
        });
    }
    Some(())
}

/// Turns a number +1 into one of so many stacks, or none; `None` when there is no such stack.
fn stack_of(stacks: u64) -> impl Fn(&u64) -> Option<Option<StackId>> {
    move |plus_one| match plus_one.checked_sub(1) {
        None => Some(None),
        Some(id) if id < stacks => u32::try_from(id).ok().map(StackId).map(Some),
        Some(_) => None,
    }
}

/// Turns a number +1 into one of so many sets of attributes, or none; `None` when there is no such set.
fn attributes_of(plus_one: Option<&u32>, count: u64) -> Option<Option<AttributesId>> {
    match plus_one.and_then(|number| number.checked_sub(1)) {
        None => Some(None),
        Some(id) => (u64::from(id) < count).then(|| Some(AttributesId::new(id))),
    }
}

/// The largest unit of which all times are multiples.
fn unit_of(samples: &[Sample]) -> u64 {
    let times = samples
        .iter()
        .flat_map(|sample| [sample.at, sample.wall, sample.cpu, sample.gil]);
    times
        .fold(0, |unit, time| common_divisor(unit, time.0))
        .max(1)
}

fn common_divisor(mut a: u64, mut b: u64) -> u64 {
    if a == 1 {
        return 1;
    }
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// A part of `wall`: 0 for all of it, 1 for none.
fn part_code(wall: u64, part: u64) -> u64 {
    let rest = wall.wrapping_sub(part);
    match rest {
        0 => 0,
        _ if rest == wall => 1,
        _ if rest < wall => rest + 1,
        _ => rest,
    }
}

fn part_of(wall: u64, code: u64) -> u64 {
    let rest = match code {
        0 => 0,
        _ if code > wall => code,
        1 => wall,
        _ => code - 1,
    };
    wall.wrapping_sub(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn take(block: &Block, threads: u64, stacks: u64) -> Option<Vec<Sample>> {
        let mut samples = Vec::new();
        super::take(block, threads, stacks, 3, &mut |sample| {
            samples.push(sample)
        })?;
        Some(samples)
    }

    fn time() -> impl Strategy<Value = u64> {
        prop_oneof![0..5_u64, 0..5000_u64, any::<u64>(), Just(u64::MAX)]
    }

    prop_compose! {
        fn sample()(
            (at, wall, cpu, gil) in (time(), time(), time(), time()),
            thread in 0..4_u32, stack in prop::option::of(0..9_u32), ticks in 1..9_u32,
            parts in 0..4_u8, state in 0..State::ALL.len(),
            attributes in prop_oneof![Just(None), prop::option::of(0..3_u32)],
            more in prop_oneof![Just([0; 5]), [time(), time(), time(), time(), time()]],
        ) -> Sample {
            Sample {
                at: Nanos(at), thread: ThreadId(thread), stack: stack.map(StackId), ticks,
                wall: Nanos(wall),
                cpu: Nanos(if parts & 1 == 0 { cpu } else { wall }),
                gil: Nanos(if parts & 2 == 0 { gil } else { 0 }),
                state: State::ALL[state],
                helpers_cpu: Nanos(more[0]),
                blocked_others: Nanos(more[1]),
                grown_bytes: more[2],
                shrunk_bytes: more[3],
                unsure_bytes: more[4],
                attributes: attributes.map(AttributesId::new),
            }
        }
    }

    proptest! {
        #[test]
        fn samples_come_back(samples in prop::collection::vec(sample(), 0..50)) {
            let mut block = Block::default();
            put(&samples, &mut block);
            prop_assert_eq!(take(&block, 4, 9), Some(samples));
        }

        #[test]
        fn every_part_has_its_code(wall in time(), part in time()) {
            prop_assert_eq!(part_of(wall, part_code(wall, part)), part);
        }
    }

    #[test]
    fn times_have_the_largest_unit() {
        let sample = |at, wall| Sample {
            at: Nanos(at),
            thread: ThreadId(0),
            stack: None,
            ticks: 1,
            wall: Nanos(wall),
            gil: Nanos(wall),
            ..Sample::default()
        };
        let mut block = Block::default();
        put(&[sample(8000, 8000), sample(28_000, 20_000)], &mut block);
        assert_eq!(block.unit_ns, 4000);
        assert_eq!(block.sample_at, [2, 5]);
        assert_eq!(block.sample_wall, [0, 0]);
        assert_eq!(
            (block.sample_cpu, block.sample_gil),
            (vec![1, 1], vec![0, 0])
        );
    }

    #[test]
    fn columns_that_make_no_sense_are_refused() {
        let mut block = Block::default();
        put(&[], &mut block);
        block.sample_at.push(1);
        assert_eq!(take(&block, 1, 0), None, "columns of different lengths");
        let whole = || {
            let mut block = Block {
                unit_ns: 1000,
                ..Block::default()
            };
            block.sample_at.push(1);
            block.sample_thread.push(0);
            block.sample_stack.push(0);
            block.sampled_stacks.push(0);
            block.sample_ticks.push(1);
            block.sample_wall.push(0);
            block.sample_cpu.push(0);
            block.sample_gil.push(0);
            block
        };
        assert!(take(&whole(), 1, 0).is_some());
        assert_eq!(take(&whole(), 0, 0), None, "an unknown thread");
        let mut block = whole();
        block.sampled_stacks[0] = 1;
        assert_eq!(take(&block, 1, 0), None, "an unknown stack");
        let mut block = whole();
        block.sample_stack[0] = 1;
        assert_eq!(take(&block, 1, 9), None, "an index out of range");
        let mut block = whole();
        block.sample_attributes.push(4);
        assert_eq!(take(&block, 1, 0), None, "an unknown set of attributes");
        let mut block = whole();
        block.sample_at[0] = u64::MAX / 2;
        assert_eq!(take(&block, 1, 0), None, "a time out of range");
    }
}
