//! Turns the spans in which event loops served one task only into who blocks them, and with which call.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::finding::{BlockedLoops, BlockingCall, Finding, HotLine};
use super::hot_line;
use super::scope::Scope;
use crate::profile::event::{FrameId, FrameKind, Nanos, StackId, ThreadId};
use crate::profile::event_loops::Blocked;
use crate::profile::functions::Function;
use crate::profile::own_frames::Line;

/// Who holds the GIL is told where the loops waited for it for this part of the blocks.
const MIN_GIL_SHARE: f64 = 0.1;

/// Whether event loops are blocked.
///
/// One block of a loop with one task is not told: a script that runs its `main()` in a loop blocks nobody.
pub(super) fn finding<'p>(scope: &Scope<'p>) -> Option<Finding<'p>> {
    let loops = scope.profile.event_loops().blocked();
    let loops = loops.filter(|(_, loop_)| loop_.blocks_others());
    let mut loops: HashMap<ThreadId, Blocked> = loops.filter(|(_, it)| it.times > 0).collect();
    let mut all = Blocked::default();
    let mut threads = Vec::new();
    for (id, thread, _) in scope.threads() {
        if let Some(own) = loops.remove(&id) {
            threads.push((id, thread));
            all.merge(own);
        }
    }
    if !scope.is_worth(all.time, all.ticks) {
        return None;
    }
    let gil_share = all.for_gil.seconds() / all.time.seconds().max(1e-9);
    let tasks = tasks(scope, &all);
    let (task, stacks) = tasks.map_or((None, Vec::new()), |(task, it)| (Some(task), it));
    let is_blocked = |id: &ThreadId| threads.iter().any(|(blocked, _)| id == blocked);
    let holder = || {
        hot_line::of_rows(&scope.lines, scope.rows(), |row| {
            match is_blocked(&row.thread) {
                true => 0,
                false => row.totals.blocked_others.0,
            }
        })
    };
    let blocked = BlockedLoops {
        times: all.times,
        time: all.time,
        whole: all.whole,
        longest: all.longest,
        ready: all.ready,
        call: task.and_then(|task| call(scope, &task, &stacks)),
        task,
        gil_share,
        holder: (gil_share >= MIN_GIL_SHARE).then(holder).flatten(),
        threads: threads.into_iter().map(|(_, thread)| thread).collect(),
    };
    Some(Finding::BlockedLoops(Box::new(blocked)))
}

/// The task with the largest part of the blocks, and its stacks; `None` where waiting for the GIL between tasks has more.
fn tasks<'p>(scope: &Scope<'p>, all: &Blocked) -> Option<(HotLine<'p>, Vec<(StackId, Nanos)>)> {
    let profile = scope.profile;
    let loops = profile.event_loops();
    let mut by_function: HashMap<Option<Function<'p>>, Vec<(StackId, Nanos)>> = HashMap::new();
    for (stack, time) in &all.by_stack {
        let root = loops.root(*stack).and_then(|root| profile.frame(root));
        let of_function = by_function.entry(root.map(Function::from)).or_default();
        of_function.push((*stack, *time));
    }
    let sum = |stacks: &[(StackId, Nanos)]| stacks.iter().fold(Nanos(0), |sum, it| sum + it.1);
    let most = by_function.into_iter();
    let (function, stacks) = most.max_by_key(|(it, stacks)| (sum(stacks), Reverse(*it)))?;
    let function = function?;
    let lines = stacks.iter().filter_map(|(stack, time)| {
        let root = profile.frame(loops.root(*stack)?)?;
        Some((root.line, *time))
    });
    let (line, _) = largest(lines)?;
    let amount = sum(&stacks).0;
    let share = amount as f64 / all.time.0.max(1) as f64;
    let task = HotLine {
        function,
        line,
        amount,
        share,
    };
    Some((task, stacks))
}

/// Where the time of a task goes: the innermost line of the program's own files, and what it calls. Nothing where this is the
/// line of the task itself, and calls no other function.
fn call<'p>(
    scope: &Scope<'p>,
    task: &HotLine<'p>,
    stacks: &[(StackId, Nanos)],
) -> Option<BlockingCall<'p>> {
    let calls = stacks.iter().filter_map(|(stack, time)| {
        let own = scope.lines.own(Some(*stack))?;
        let line: Line<'p> = (Function::from(own), own.line);
        Some(((line, callee(scope, *stack)), *time))
    });
    let (((function, line), callee), time) = largest(calls)?;
    let is_task = callee.is_none() && (function, line) == (task.function, task.line);
    (!is_task).then(|| BlockingCall {
        callee,
        line: HotLine {
            function,
            line,
            amount: time.0,
            share: time.0 as f64 / task.amount.max(1) as f64,
        },
    })
}

/// What the innermost frame of the program's own files calls.
fn callee<'p>(scope: &Scope<'p>, stack: StackId) -> Option<Function<'p>> {
    let profile = scope.profile;
    let own = scope.lines.own_id(Some(stack))?;
    let frames: Vec<FrameId> = profile.frame_ids_of(Some(stack)).collect();
    let above = frames.iter().position(|id| *id == own)?.checked_sub(1)?;
    let frame = profile.frame(*frames.get(above)?)?;
    (frame.kind == FrameKind::Python).then(|| Function::from(frame))
}

/// The one with the largest sum.
fn largest<K: Eq + std::hash::Hash + Ord + Copy>(
    amounts: impl Iterator<Item = (K, Nanos)>,
) -> Option<(K, Nanos)> {
    let mut sums: HashMap<K, Nanos> = HashMap::new();
    for (key, time) in amounts {
        *sums.entry(key).or_default() += time;
    }
    let sums = sums.into_iter();
    sums.max_by_key(|(key, time)| (*time, Reverse(*key)))
}
