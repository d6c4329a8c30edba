//! Turns the runs of threads into columns: thread by thread, column by column.

use std::collections::BTreeMap;
use std::io;

use super::columns::Columns;
use crate::profile::Profile;
use crate::profile::event::{Nanos, Sample, ThreadId};
use crate::profile::timeline::Timeline;

/// The threads of each process that has any, by its number.
pub(super) fn by_process(profile: &Profile) -> BTreeMap<u32, Vec<ThreadId>> {
    let mut threads: BTreeMap<u32, Vec<ThreadId>> = BTreeMap::new();
    for (id, thread) in (0..).map(ThreadId).zip(profile.threads()) {
        threads.entry(thread.process.0).or_default().push(id);
    }
    threads
}

/// So many runs are written column by column: enough for gzip to find what they have in common.
const CHUNK: usize = 1 << 14;

/// Writes the runs of some threads, each in the order of time, in chunks; one without runs is the end. Of a run, all times
/// are in nanoseconds.
pub(super) fn write(
    timeline: &Timeline,
    threads: &[ThreadId],
    columns: &mut Columns<'_>,
) -> io::Result<()> {
    let mut chunk = Vec::with_capacity(CHUNK);
    for thread in threads {
        let mut runs = timeline.runs(*thread);
        let mut end = Nanos(0);
        loop {
            chunk.clear();
            chunk.extend(runs.by_ref().take(CHUNK));
            write_chunk(&chunk, &mut end, columns)?;
            if chunk.is_empty() {
                break;
            }
        }
    }
    Ok(())
}

/// Writes some runs of a thread, of which those before end at `end`.
fn write_chunk(runs: &[Sample], end: &mut Nanos, columns: &mut Columns<'_>) -> io::Result<()> {
    columns.number(runs.len() as u64)?;
    for run in runs {
        // How much later it ends than it would right behind the run before.
        columns.difference((*end + run.wall).0, run.at.0)?;
        *end = run.at;
    }
    let mut numbers = NUMBERS.into_iter();
    numbers.try_for_each(|number| columns.column(runs, number))
}

/// The columns of a run, behind that of its end.
const NUMBERS: [fn(&Sample) -> u64; 12] = [
    |run| run.stack.map_or(0, |stack| u64::from(stack.0) + 1),
    |run| run.state as u64,
    |run| run.attributes.map_or(0, |id| u64::from(id.number()) + 1),
    |run| u64::from(run.ticks),
    |run| run.wall.0,
    |run| part_of(run.wall, run.cpu),
    |run| part_of(run.wall, run.gil),
    |run| run.helpers_cpu.0,
    |run| run.blocked_others.0,
    |run| run.grown_bytes,
    |run| run.shrunk_bytes,
    |run| run.unsure_bytes,
];

/// A part of a time: 0 is all of it, 1 nothing, `2 + n` other `n` nanoseconds.
fn part_of(whole: Nanos, part: Nanos) -> u64 {
    match part {
        part if part == whole => 0,
        Nanos(0) => 1,
        Nanos(part) => part.saturating_add(2),
    }
}
