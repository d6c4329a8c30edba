//! Turns the native samples of a block into columns of numbers, and back.

use super::schema::Block;
use crate::profile::event::{Nanos, NativeSample, StackId, State, ThreadId};

/// Puts `samples` into the columns of `block`.
pub(super) fn put(samples: &[NativeSample], block: &mut Block) {
    let mut before = 0;
    for sample in samples {
        block.refined_at_ns.push(sample.at.0.wrapping_sub(before));
        before = sample.at.0;
        block.refined_thread.push(sample.thread.0);
        let stack = sample.stack.map_or(0, |id| u64::from(id.0) + 1);
        block.refined_stack.push(stack);
        block.refined_state.push(sample.state as u32);
        block.refined_merged.push(sample.merged.0);
        block.refined_wall_ns.push(sample.wall.0);
        block.refined_cpu_ns.push(sample.cpu.0);
    }
}

/// Takes the native samples out of the columns of `block`; `None` at the first one that makes no sense. Threads are below
/// `threads`, stacks below `stacks`.
pub(super) fn take(
    block: &Block,
    threads: u64,
    stacks: u64,
    emit: &mut dyn FnMut(NativeSample),
) -> Option<()> {
    let count = block.refined_at_ns.len();
    let lengths = [
        block.refined_thread.len(),
        block.refined_stack.len(),
        block.refined_state.len(),
        block.refined_merged.len(),
        block.refined_wall_ns.len(),
        block.refined_cpu_ns.len(),
    ];
    if lengths.iter().any(|length| *length != count) {
        return None;
    }
    let is_stack = |id: &u32| u64::from(*id) < stacks;
    let mut at = 0_u64;
    for index in 0..count {
        let thread = block.refined_thread[index];
        let stack = match block.refined_stack[index].checked_sub(1) {
            Some(id) => Some(u32::try_from(id).ok().filter(is_stack).map(StackId)?),
            None => None,
        };
        let merged = block.refined_merged[index];
        if u64::from(thread) >= threads || !is_stack(&merged) {
            return None;
        }
        at = at.wrapping_add(block.refined_at_ns[index]);
        emit(NativeSample {
            at: Nanos(at),
            thread: ThreadId(thread),
            stack,
            state: *State::ALL.get(block.refined_state[index] as usize)?,
            merged: StackId(merged),
            wall: Nanos(block.refined_wall_ns[index]),
            cpu: Nanos(block.refined_cpu_ns[index]),
        });
    }
    Some(())
}
