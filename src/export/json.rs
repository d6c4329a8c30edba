//! Turns a profile into rsamp's own JSON, for scripts: all that the profile holds, and its tables.
//!
//! What each field means is written down in docs/json.md. Times are whole nanoseconds. What is not
//! known is `null`. Fields may be added; none is removed or changes its meaning without a new
//! `schema`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;

use serde::Serialize;

use super::Meta;
use super::over_ranks::json::{self as ranks, JsonRanks};
use super::sequence::Sequence;
use crate::export::ReportInput;
use crate::export::spec::Spec;
use crate::export::words::findings;
use crate::profile::await_lines::{AwaitRow, await_rows};
use crate::profile::event::{Frame, Missing, Process, Thread, Usage};
use crate::profile::functions::{Function, FunctionKind, Functions};
use crate::profile::line_tables::{self, LineTable};
use crate::profile::states::{self, StateTimes};
use crate::profile::{IdleWaits, NativeTotals, Profile, Row, Stack, Totals, tasks, work};

/// The number of the meaning of the fields.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct File<'p, F, S, R> {
    schema: u32,
    title: &'p str,
    command: &'p str,
    facts: &'p [String],
    mode: String,
    /// The older key of `mode`.
    view: String,
    start_unix_ns: Option<u64>,
    duration_ns: u64,
    is_complete: bool,
    lost: BTreeMap<String, u64>,
    damaged_events: u64,
    samples_effective: u64,
    samples_undetermined: u64,
    samples_undetermined_by_cause: BTreeMap<String, u64>,
    readings_stopped: u64,
    findings: Vec<String>,
    not_measured: Vec<MissingRow<'p>>,
    totals: TotalsRow,
    idle_waits: IdleWaitsRow,
    states: StatesRow,
    processes: Vec<ProcessRow<'p>>,
    threads: Vec<ThreadRow<'p>>,
    functions: Vec<FunctionRow<'p>>,
    lines: Vec<LineRow<'p>>,
    usage: Vec<UsageRow>,
    ranks: Option<JsonRanks<'p>>,
    tasks: Vec<JsonTask<'p>>,
    classes: Vec<ClassRow<'p>>,
    native_functions: Vec<NativeFunctionRow<'p>>,
    native_threads: Vec<NativeThreadsRow<'p>>,
    awaits: Vec<JsonAwait<'p>>,
    frames: F,
    stacks: S,
    samples: R,
}

/// Waits that are in no other figure.
#[derive(Serialize)]
struct IdleWaitsRow {
    threads: usize,
    idle_threads: usize,
    main_threads: usize,
    wall_ns: u64,
}

impl From<IdleWaits> for IdleWaitsRow {
    fn from(waits: IdleWaits) -> IdleWaitsRow {
        IdleWaitsRow {
            threads: waits.threads,
            idle_threads: waits.idle_threads,
            main_threads: waits.main_threads,
            wall_ns: waits.time.0,
        }
    }
}

#[derive(Serialize)]
struct TotalsRow {
    samples: u64,
    wall_ns: u64,
    cpu_ns: u64,
    gil_ns: u64,
    helpers_cpu_ns: u64,
    blocked_others_ns: u64,
    grown_bytes: u64,
    shrunk_bytes: u64,
    grown_unsure_bytes: u64,
}

impl From<Totals> for TotalsRow {
    fn from(totals: Totals) -> TotalsRow {
        TotalsRow {
            samples: totals.samples,
            wall_ns: totals.wall.0,
            cpu_ns: totals.cpu.0,
            gil_ns: totals.gil.0,
            helpers_cpu_ns: totals.helpers_cpu.0,
            blocked_others_ns: totals.blocked_others.0,
            grown_bytes: totals.grown_bytes,
            shrunk_bytes: totals.shrunk_bytes,
            grown_unsure_bytes: totals.unsure_bytes,
        }
    }
}

/// Wall time in ns by the word of the state; states without any are left out.
#[derive(Serialize)]
struct StatesRow(BTreeMap<&'static str, u64>);

impl From<&StateTimes> for StatesRow {
    fn from(times: &StateTimes) -> StatesRow {
        let ranked = times.ranked().into_iter();
        StatesRow(ranked.map(|(state, time)| (state.word(), time.0)).collect())
    }
}

#[derive(Serialize)]
struct ProcessRow<'p> {
    pid: i32,
    command: Vec<Cow<'p, str>>,
    python: &'p str,
    usable_cpus: Option<u32>,
    memory_limit: Option<u64>,
    rank: Option<u32>,
    launch: Option<&'p str>,
    host: Option<&'p str>,
    parent: Option<u32>,
    seen_ns: u64,
}

impl<'p> From<&'p Process> for ProcessRow<'p> {
    fn from(process: &'p Process) -> ProcessRow<'p> {
        ProcessRow {
            pid: process.pid,
            command: process.words().collect(),
            python: &process.python,
            usable_cpus: process.usable_cpus,
            memory_limit: process.memory_limit,
            rank: process.rank,
            launch: process.launch.as_deref(),
            host: process.host.as_deref(),
            parent: process.parent.map(|parent| parent.0),
            seen_ns: process.seen.0,
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
struct FunctionRef<'p> {
    name: &'p str,
    file: Option<&'p str>,
    first_line: Option<u32>,
    /// Of a native function: the path of its program or library.
    #[serde(skip_serializing_if = "Option::is_none")]
    native: Option<&'p str>,
}

impl<'p> From<Function<'p>> for FunctionRef<'p> {
    fn from(function: Function<'p>) -> FunctionRef<'p> {
        FunctionRef {
            name: function.name,
            file: function.file,
            first_line: function.first_line,
            native: match function.kind {
                FunctionKind::Native(module) => Some(module),
                FunctionKind::Python | FunctionKind::Mark => None,
            },
        }
    }
}

#[derive(Serialize)]
struct FunctionRow<'p> {
    #[serde(flatten)]
    place: FunctionRef<'p>,
    #[serde(rename = "self")]
    own: TotalsRow,
    total: TotalsRow,
    self_states: StatesRow,
    total_states: StatesRow,
}

#[derive(Serialize)]
struct LineRow<'p> {
    #[serde(flatten)]
    place: FunctionRef<'p>,
    line: Option<u32>,
    #[serde(rename = "self")]
    own: TotalsRow,
    total: TotalsRow,
    self_states: StatesRow,
    total_states: StatesRow,
}

#[derive(Serialize)]
struct FrameRow<'p> {
    #[serde(flatten)]
    place: FunctionRef<'p>,
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

/// The time of the asyncio tasks of one name; without a name, that of none of them.
#[derive(Serialize)]
struct JsonTask<'p> {
    name: Option<&'p str>,
    count: usize,
    coroutines: Vec<&'p str>,
    awaited_by: Vec<&'p str>,
    #[serde(flatten)]
    totals: TotalsRow,
}

/// How long asyncio tasks waited at a line, all together.
#[derive(Serialize)]
struct JsonAwait<'p> {
    function: &'p str,
    file: Option<&'p str>,
    line: Option<u32>,
    awaits: Option<&'p str>,
    task_ns: u64,
}

impl<'p> From<AwaitRow<'p>> for JsonAwait<'p> {
    fn from(row: AwaitRow<'p>) -> JsonAwait<'p> {
        JsonAwait {
            function: row.function.name,
            file: row.function.file,
            line: row.line,
            awaits: row.leaf.map(|leaf| leaf.name),
            task_ns: row.time.0,
        }
    }
}

#[derive(Serialize)]
struct SampleRow<'p> {
    thread: u32,
    stack: Option<u32>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<&'p str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<&'p str>,
    #[serde(flatten)]
    totals: TotalsRow,
}

fn sample_row<'p>(profile: &'p Profile, row: &Row) -> SampleRow<'p> {
    SampleRow {
        thread: row.thread.0,
        stack: row.stack.map(|id| id.0),
        state: row.state.word(),
        task: tasks::task_of(profile, row),
        class: work::class_of(profile, row.attributes),
        totals: row.totals.into(),
    }
}

/// The time of one class of work; `null`: time of which no native sample tells.
#[derive(Serialize)]
struct ClassRow<'p> {
    class: Option<&'p str>,
    #[serde(flatten)]
    totals: TotalsRow,
}

fn class_rows<'p>(profile: &'p Profile, meta: &Meta) -> Vec<ClassRow<'p>> {
    let rows = work::classes(profile, meta.mode).into_iter();
    rows.map(|row| ClassRow {
        class: row.class,
        totals: row.totals.into(),
    })
    .collect()
}

/// A native function: its time is part of that of the Python functions that call it.
#[derive(Serialize)]
struct NativeFunctionRow<'p> {
    #[serde(flatten)]
    place: FunctionRef<'p>,
    #[serde(rename = "self")]
    own: TotalsRow,
    total: TotalsRow,
}

fn native_function_rows<'p>(functions: &Functions<'p>, meta: &Meta) -> Vec<NativeFunctionRow<'p>> {
    let rows = functions.by_self(meta.mode).into_iter();
    rows.filter(|row| matches!(row.function.kind, FunctionKind::Native(_)))
        .filter(|row| row.totals != Totals::default())
        .map(|row| NativeFunctionRow {
            place: row.function.into(),
            own: row.self_totals.into(),
            total: row.totals.into(),
        })
        .collect()
}

/// Threads without Python frames; their time is in no other figure.
#[derive(Serialize)]
struct NativeThreadsRow<'p> {
    name: String,
    threads: usize,
    wall_ns: u64,
    cpu_ns: u64,
    classes: Vec<NativeClassRow<'p>>,
}

#[derive(Serialize)]
struct NativeClassRow<'p> {
    class: Option<&'p str>,
    wall_ns: u64,
    cpu_ns: u64,
}

fn native_thread_rows(profile: &Profile) -> Vec<NativeThreadsRow<'_>> {
    let row = |(class, totals): (Option<_>, NativeTotals)| NativeClassRow {
        class,
        wall_ns: totals.wall.0,
        cpu_ns: totals.cpu.0,
    };
    let rows = work::native_threads(profile).into_iter();
    rows.map(|threads| NativeThreadsRow {
        name: threads.name,
        threads: threads.threads,
        wall_ns: threads.totals.wall.0,
        cpu_ns: threads.totals.cpu.0,
        classes: threads.classes.into_iter().map(row).collect(),
    })
    .collect()
}

/// What cannot be measured of a process, and why.
#[derive(Serialize)]
pub(super) struct MissingRow<'p> {
    process: u32,
    what: &'p str,
    why: &'p str,
}

impl<'p> From<&'p Missing> for MissingRow<'p> {
    fn from(missing: &'p Missing) -> MissingRow<'p> {
        MissingRow {
            process: missing.process.0,
            what: &missing.what,
            why: &missing.why,
        }
    }
}

#[derive(Serialize)]
struct UsageRow {
    process: u32,
    at_ns: u64,
    resident_bytes: Option<u64>,
    peak_bytes: Option<u64>,
    anonymous_bytes: Option<u64>,
    process_cpu_ns: Option<u64>,
    runnable_threads: Option<u32>,
    read_calls_bytes: Option<u64>,
    write_calls_bytes: Option<u64>,
    storage_read_bytes: Option<u64>,
    storage_written_bytes: Option<u64>,
    minor_faults: Option<u64>,
    major_faults: Option<u64>,
    voluntary_switches: Option<u64>,
    forced_switches: Option<u64>,
}

impl From<&Usage> for UsageRow {
    fn from(usage: &Usage) -> UsageRow {
        UsageRow {
            process: usage.process.0,
            at_ns: usage.at.0,
            resident_bytes: usage.resident,
            peak_bytes: usage.peak,
            anonymous_bytes: usage.anonymous,
            process_cpu_ns: usage.cpu.map(|time| time.0),
            runnable_threads: usage.runnable,
            read_calls_bytes: usage.read_calls_bytes,
            write_calls_bytes: usage.write_calls_bytes,
            storage_read_bytes: usage.storage_read_bytes,
            storage_written_bytes: usage.storage_written_bytes,
            minor_faults: usage.minor_faults,
            major_faults: usage.major_faults,
            voluntary_switches: usage.voluntary_switches,
            forced_switches: usage.forced_switches,
        }
    }
}

/// rsamp's own JSON (docs/json.md).
pub(super) const JSON: Spec = Spec::new(
    "json",
    &["json"],
    "for scripts: jq '.functions[0]' {path}",
    write,
);

/// Writes the file.
///
/// # Errors
/// When `out` fails.
fn write(input: &ReportInput<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let profile = input.profile;
    let meta = input.meta;
    let stacks = profile.with_native_frames();
    let native_functions = Functions::of(stacks);
    let tables = line_tables::of(profile);
    let lost = profile.lost().iter();
    let repeated = profile.undetermined().iter();
    let threads = profile.threads().iter().zip(profile.thread_totals());
    let file = File {
        schema: SCHEMA,
        title: &meta.title,
        command: &meta.command,
        facts: &meta.facts,
        mode: meta.mode.to_string(),
        view: meta.mode.to_string(),
        start_unix_ns: Some(meta.start_unix_ns).filter(|start| *start > 0),
        duration_ns: profile.duration().0,
        is_complete: profile.is_complete(),
        lost: lost
            .map(|(cause, count)| (cause.to_string(), *count))
            .collect(),
        damaged_events: profile.rejected(),
        samples_effective: profile.effective_samples(),
        samples_undetermined: profile.undetermined_samples(),
        samples_undetermined_by_cause: repeated
            .map(|(cause, count)| (cause.to_string(), *count))
            .collect(),
        readings_stopped: profile.stops(),
        findings: match meta.is_part {
            true => Vec::new(),
            false => findings::sentences(profile),
        },
        not_measured: profile.missing().iter().map(MissingRow::from).collect(),
        totals: profile.totals().into(),
        idle_waits: profile.idle_waits().into(),
        processes: profile.processes().iter().map(ProcessRow::from).collect(),
        threads: threads.map(thread_row).collect(),
        states: (&states::whole(profile)).into(),
        functions: function_rows(&tables, meta),
        lines: line_rows(&tables, meta),
        usage: profile.usage().iter().map(UsageRow::from).collect(),
        ranks: ranks::ranks(profile, meta.mode),
        tasks: task_rows(profile, meta),
        awaits: await_rows(profile)
            .0
            .into_iter()
            .map(JsonAwait::from)
            .collect(),
        classes: class_rows(profile, meta),
        native_functions: native_function_rows(&native_functions, meta),
        native_threads: native_thread_rows(profile),
        frames: Sequence(|| stacks.frames().iter().map(FrameRow::from)),
        stacks: Sequence(|| stacks.stacks().iter().map(StackRow::from)),
        samples: Sequence(|| stacks.rows().iter().map(|row| sample_row(stacks, row))),
    };
    serde_json::to_writer(&mut *out, &file)?;
    out.write_all(b"\n")
}

fn task_rows<'p>(profile: &'p Profile, meta: &Meta) -> Vec<JsonTask<'p>> {
    let rows = tasks::tasks(profile, meta.mode).into_iter();
    rows.map(|row| JsonTask {
        name: row.name,
        count: row.count,
        coroutines: row.coroutines,
        awaited_by: row.parents,
        totals: row.totals.into(),
    })
    .collect()
}

fn function_rows<'p>(tables: &[LineTable<'p>], meta: &Meta) -> Vec<FunctionRow<'p>> {
    let rows = line_tables::by_self(tables, meta.mode).into_iter();
    rows.map(|table| FunctionRow {
        place: table.row.function.into(),
        own: table.row.self_totals.into(),
        total: table.row.totals.into(),
        self_states: (&table.states.self_time).into(),
        total_states: (&table.states.total_time).into(),
    })
    .collect()
}

fn line_rows<'p>(tables: &[LineTable<'p>], meta: &Meta) -> Vec<LineRow<'p>> {
    let rows = line_tables::lines_by_self(tables, meta.mode).into_iter();
    rows.map(|line| LineRow {
        place: line.row.function.into(),
        line: line.row.line,
        own: line.row.self_totals.into(),
        total: line.row.totals.into(),
        self_states: (&line.states.self_time).into(),
        total_states: (&line.states.total_time).into(),
    })
    .collect()
}
