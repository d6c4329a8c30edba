//! Turns a profile into rsamp's own JSON, for scripts: all that the profile holds, and its tables.
//!
//! What each field means is written down in docs/json.md. Times are whole nanoseconds. What is not
//! known is `null`. Fields may be added; none is removed or changes its meaning without a new
//! `schema`.

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;

use crate::profile::event::{Frame, Process, Thread};
use crate::profile::functions::{Function, Functions};
use crate::profile::lines::Lines;
use crate::profile::{Profile, Row, Stack, Totals};

use super::Meta;
use super::over_ranks::{self, JsonRanks};
use super::sequence::Sequence;

/// The number of the meaning of the fields.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct File<'p, F, S, R> {
    schema: u32,
    title: &'p str,
    command: &'p str,
    facts: &'p [String],
    view: String,
    duration_ns: u64,
    is_complete: bool,
    lost: BTreeMap<String, u64>,
    damaged_events: u64,
    readings_repeated: u64,
    readings_repeated_by_cause: BTreeMap<String, u64>,
    readings_stopped: u64,
    totals: TotalsRow,
    processes: Vec<ProcessRow<'p>>,
    threads: Vec<ThreadRow<'p>>,
    functions: Vec<FunctionRow<'p>>,
    lines: Vec<LineRow<'p>>,
    ranks: Option<JsonRanks<'p>>,
    frames: F,
    stacks: S,
    samples: R,
}

#[derive(Serialize)]
struct TotalsRow {
    samples: u64,
    wall_ns: u64,
    cpu_ns: u64,
    gil_ns: u64,
}

impl From<Totals> for TotalsRow {
    fn from(totals: Totals) -> TotalsRow {
        TotalsRow {
            samples: totals.samples,
            wall_ns: totals.wall.0,
            cpu_ns: totals.cpu.0,
            gil_ns: totals.gil.0,
        }
    }
}

#[derive(Serialize)]
struct ProcessRow<'p> {
    pid: i32,
    command: &'p [String],
    python: &'p str,
    rank: Option<u32>,
}

impl<'p> From<&'p Process> for ProcessRow<'p> {
    fn from(process: &'p Process) -> ProcessRow<'p> {
        ProcessRow {
            pid: process.pid,
            command: &process.command,
            python: &process.python,
            rank: process.rank,
        }
    }
}

#[derive(Serialize)]
struct ThreadRow<'p> {
    process: u32,
    tid: Option<i32>,
    name: Option<&'p str>,
    is_main: bool,
    totals: TotalsRow,
}

fn thread_row<'p>((thread, totals): (&'p Thread, &Totals)) -> ThreadRow<'p> {
    ThreadRow {
        process: thread.process.0,
        tid: thread.tid,
        name: thread.name.as_deref(),
        is_main: thread.is_main,
        totals: (*totals).into(),
    }
}

#[derive(Serialize)]
struct Place<'p> {
    name: &'p str,
    file: Option<&'p str>,
    first_line: Option<u32>,
}

impl<'p> From<Function<'p>> for Place<'p> {
    fn from(function: Function<'p>) -> Place<'p> {
        Place {
            name: function.name,
            file: function.file,
            first_line: function.first_line,
        }
    }
}

#[derive(Serialize)]
struct FunctionRow<'p> {
    #[serde(flatten)]
    place: Place<'p>,
    #[serde(rename = "self")]
    own: TotalsRow,
    total: TotalsRow,
}

#[derive(Serialize)]
struct LineRow<'p> {
    #[serde(flatten)]
    place: Place<'p>,
    line: Option<u32>,
    #[serde(rename = "self")]
    own: TotalsRow,
    total: TotalsRow,
}

#[derive(Serialize)]
struct FrameRow<'p> {
    #[serde(flatten)]
    place: Place<'p>,
    line: Option<u32>,
}

impl<'p> From<&'p Frame> for FrameRow<'p> {
    fn from(frame: &'p Frame) -> FrameRow<'p> {
        FrameRow {
            place: Function::from(frame).into(),
            line: frame.line,
        }
    }
}

#[derive(Serialize)]
struct StackRow {
    parent: Option<u32>,
    frame: u32,
}

impl From<&Stack> for StackRow {
    fn from(stack: &Stack) -> StackRow {
        StackRow {
            parent: stack.parent.map(|id| id.0),
            frame: stack.frame.0,
        }
    }
}

#[derive(Serialize)]
struct SampleRow {
    thread: u32,
    stack: Option<u32>,
    #[serde(flatten)]
    totals: TotalsRow,
}

impl From<&Row> for SampleRow {
    fn from(row: &Row) -> SampleRow {
        SampleRow {
            thread: row.thread.0,
            stack: row.stack.map(|id| id.0),
            totals: row.totals.into(),
        }
    }
}

/// Writes the file.
///
/// # Errors
/// When `out` fails.
pub(super) fn write(profile: &Profile, meta: &Meta, out: &mut dyn io::Write) -> io::Result<()> {
    let functions = Functions::of(profile);
    let lost = profile.lost().iter();
    let repeated = profile.repeated().iter();
    let threads = profile.threads().iter().zip(profile.thread_totals());
    let file = File {
        schema: SCHEMA,
        title: &meta.title,
        command: &meta.command,
        facts: &meta.facts,
        view: meta.view.to_string(),
        duration_ns: profile.duration().0,
        is_complete: profile.is_complete(),
        lost: lost
            .map(|(cause, count)| (cause.to_string(), *count))
            .collect(),
        damaged_events: profile.rejected(),
        readings_repeated: profile.retries(),
        readings_repeated_by_cause: repeated
            .map(|(cause, count)| (cause.to_string(), *count))
            .collect(),
        readings_stopped: profile.stops(),
        totals: profile.totals().into(),
        processes: profile.processes().iter().map(ProcessRow::from).collect(),
        threads: threads.map(thread_row).collect(),
        functions: function_rows(&functions, meta),
        lines: line_rows(profile, &functions, meta),
        ranks: over_ranks::json(profile, meta.view),
        frames: Sequence(|| profile.frames().iter().map(FrameRow::from)),
        stacks: Sequence(|| profile.stacks().iter().map(StackRow::from)),
        samples: Sequence(|| profile.rows().iter().map(SampleRow::from)),
    };
    serde_json::to_writer(&mut *out, &file)?;
    out.write_all(b"\n")
}

fn function_rows<'p>(functions: &Functions<'p>, meta: &Meta) -> Vec<FunctionRow<'p>> {
    let rows = functions.by_self(meta.view).into_iter();
    let rows = rows.filter(|row| row.total_time.samples > 0);
    rows.map(|row| FunctionRow {
        place: row.function.into(),
        own: row.self_time.into(),
        total: row.total_time.into(),
    })
    .collect()
}

fn line_rows<'p>(profile: &'p Profile, functions: &Functions<'p>, meta: &Meta) -> Vec<LineRow<'p>> {
    let lines = Lines::of(profile, functions);
    let rows = lines.by_self(meta.view).into_iter();
    let rows = rows.filter(|row| row.total_time.samples > 0);
    rows.map(|row| LineRow {
        place: row.function.into(),
        line: row.line,
        own: row.self_time.into(),
        total: row.total_time.into(),
    })
    .collect()
}
