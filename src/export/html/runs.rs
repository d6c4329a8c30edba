//! Turns the runs of threads into columns: thread by thread, column by column.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io;

use rustc_hash::{FxHashMap, FxHashSet};

use super::columns::Columns;
use crate::profile::Profile;
use crate::profile::attributes::AttributesId;
use crate::profile::event::{Nanos, Sample, StackId, State, ThreadId};
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
const CHUNK: usize = 1 << 15;

/// What runs have in common that are summed: a row of the process. Those with most runs come first.
type Row = (Option<StackId>, State, Option<AttributesId>);

/// Writes the runs of the threads of a process: the moments at which runs end, which threads share, from 0 on; the rows; and
/// then each thread, in the order of time, in chunks. One without runs is the end.
pub(super) fn write(
    timeline: &Timeline,
    threads: &[ThreadId],
    columns: &mut Columns<'_>,
) -> io::Result<()> {
    let moments = moments(timeline, threads);
    columns.number(moments.len() as u64)?;
    columns.differences(&moments, |at| at.0)?;
    let rows = rows(timeline, threads);
    columns.number(rows.len() as u64)?;
    columns.column(&rows, |(stack, ..)| {
        stack.map_or(0, |stack| u64::from(stack.0) + 1)
    })?;
    columns.column(&rows, |(_, state, _)| *state as u64)?;
    columns.column(&rows, |(.., set)| {
        set.map_or(0, |id| u64::from(id.number()) + 1)
    })?;
    let mut writer = Writer {
        moments: &moments,
        numbers: rows.iter().copied().zip(0..).collect(),
        kinds: [vec![Kind::None; rows.len()], vec![Kind::None; rows.len()]],
        end: 0,
    };
    let mut chunk = Vec::with_capacity(CHUNK);
    for thread in threads {
        let mut runs = timeline.runs(*thread);
        writer.end = 0;
        loop {
            chunk.clear();
            chunk.extend(runs.by_ref().take(CHUNK));
            writer.chunk(&chunk, columns)?;
            if chunk.is_empty() {
                break;
            }
        }
    }
    Ok(())
}

fn all_runs(timeline: &Timeline, threads: &[ThreadId]) -> impl Iterator<Item = Sample> {
    threads.iter().flat_map(|thread| timeline.runs(*thread))
}

/// The ends of all runs and the moment 0, each once.
fn moments(timeline: &Timeline, threads: &[ThreadId]) -> Vec<Nanos> {
    let mut known: FxHashSet<Nanos> = all_runs(timeline, threads).map(|run| run.at).collect();
    known.insert(Nanos(0));
    let mut moments: Vec<Nanos> = known.into_iter().collect();
    moments.sort_unstable();
    moments
}

fn rows(timeline: &Timeline, threads: &[ThreadId]) -> Vec<Row> {
    let mut counts: FxHashMap<Row, u64> = FxHashMap::default();
    for run in all_runs(timeline, threads) {
        *counts.entry(row_of(&run)).or_default() += 1;
    }
    let mut rows: Vec<(Row, u64)> = counts.into_iter().collect();
    rows.sort_unstable_by_key(|((stack, state, set), count)| {
        (Reverse(*count), *stack, *state as u64, *set)
    });
    rows.into_iter().map(|(row, _)| row).collect()
}

fn row_of(run: &Sample) -> Row {
    (run.stack, run.state, run.attributes)
}

/// How much of a run's time a part is, where nothing else is said: as in the run of its row before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    All,
    None,
}

/// What the next run of a process is told apart from.
struct Writer<'m> {
    moments: &'m [Nanos],
    numbers: FxHashMap<Row, u32>,
    /// Of CPU time and of GIL time, by row.
    kinds: [Vec<Kind>; 2],
    /// The moment at which the run before ended.
    end: usize,
}

/// The columns that are left out where all of a chunk is 0, behind the one that is not.
const RARE: [fn(&Sample) -> u64; 5] = [
    |run| run.helpers_cpu.0,
    |run| run.blocked_others.0,
    |run| run.grown_bytes,
    |run| run.shrunk_bytes,
    |run| run.unsure_bytes,
];

impl Writer<'_> {
    /// Writes some runs of a thread: how many of the moments pass until each ends, their rows as bytes, the lowest of each
    /// first, how many more samples than moments they have, and their times.
    fn chunk(&mut self, runs: &[Sample], columns: &mut Columns<'_>) -> io::Result<()> {
        columns.number(runs.len() as u64)?;
        if runs.is_empty() {
            return Ok(());
        }
        let mut more = Vec::with_capacity(runs.len());
        let mut samples = Vec::with_capacity(runs.len());
        for run in runs {
            let end = self.moment(run.at);
            columns.difference(self.end as u64, end as u64)?;
            // How much longer it is than from the end of the one before to its own.
            let before = self.moments[self.end];
            more.push((run.at.0, before.0.saturating_add(run.wall.0)));
            // Threads of one process are read at the same ticks: at most of these a run of some thread ends.
            samples.push((end.saturating_sub(self.end) as u64, u64::from(run.ticks)));
            self.end = end;
        }
        columns.end_of_kind()?;
        let rows: Vec<u32> = runs.iter().map(|run| self.numbers[&row_of(run)]).collect();
        for byte in 0..bytes_of(self.numbers.len()) {
            let plane: Vec<u8> = rows.iter().map(|row| row.to_le_bytes()[byte]).collect();
            columns.bytes(&plane)?;
            columns.end_of_kind()?;
        }
        for pairs in [samples, more] {
            optional_column(
                &pairs,
                columns,
                |(usual, is)| usual != is,
                |columns, (usual, is)| columns.difference(*usual, *is),
            )?;
        }
        self.parts(0, runs, &rows, |run| run.cpu, columns)?;
        self.parts(1, runs, &rows, |run| run.gil, columns)?;
        for number in RARE {
            optional_column(
                runs,
                columns,
                |run| number(run) > 0,
                |columns, run| columns.number(number(run)),
            )?;
        }
        Ok(())
    }

    /// The place of a moment, most often one of the next.
    fn moment(&self, at: Nanos) -> usize {
        let next = self.end..self.moments.len().min(self.end + 8);
        let near = self.moments[next].iter().position(|moment| *moment == at);
        match near {
            Some(near) => self.end + near,
            None => self.moments.partition_point(|moment| *moment < at),
        }
    }

    /// A part of the time of each run: 0 as the run of its row before had it, 1 all of it, 2 nothing, `3 + n` other `n`
    /// nanoseconds.
    fn parts(
        &mut self,
        of: usize,
        runs: &[Sample],
        rows: &[u32],
        part: fn(&Sample) -> Nanos,
        columns: &mut Columns<'_>,
    ) -> io::Result<()> {
        for (run, row) in runs.iter().zip(rows) {
            let kind = &mut self.kinds[of][*row as usize];
            let (part, whole) = (part(run), run.wall);
            let is = |kind: Kind| match kind {
                Kind::All => part == whole,
                Kind::None => part == Nanos(0),
            };
            if is(*kind) {
                columns.number(0)?;
            } else if is(Kind::All) {
                *kind = Kind::All;
                columns.number(1)?;
            } else if is(Kind::None) {
                *kind = Kind::None;
                columns.number(2)?;
            } else {
                columns.number(part.0.saturating_add(3))?;
            }
        }
        columns.end_of_kind()
    }
}

/// 0, or 1 and the column: it is left out where `is_needed` for no item.
fn optional_column<T>(
    items: &[T],
    columns: &mut Columns<'_>,
    is_needed: impl Fn(&T) -> bool,
    mut write: impl FnMut(&mut Columns<'_>, &T) -> io::Result<()>,
) -> io::Result<()> {
    let is_there = items.iter().any(is_needed);
    columns.number(u64::from(is_there))?;
    if is_there {
        items.iter().try_for_each(|item| write(columns, item))?;
    }
    columns.end_of_kind()
}

/// How many bytes the numbers below `count` take.
fn bytes_of(count: usize) -> usize {
    let bits = usize::BITS - count.saturating_sub(1).leading_zeros();
    bits.div_ceil(8) as usize
}
