//! Turns what is said of a profile, its processes and its threads into JSON.

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;

use super::content::{Base, Content};
use super::tag;
use crate::export::json::MissingRow;
use crate::export::words::{findings, health, labels, rates};
use crate::profile::event::{Nanos, Process, State, Thread, ThreadId};
use crate::profile::timeline::Timeline;
use crate::profile::{Profile, Totals};

/// The number of the meaning of all data in the page. The page refuses another.
const FORMAT: u32 = 4;

#[derive(Serialize)]
struct Meta<'p> {
    format: u32,
    rsamp: &'static str,
    title: &'p str,
    command: &'p str,
    facts: &'p [String],
    /// In milliseconds since 1970; 0: not known.
    started_unix_ms: u64,
    duration_ns: u64,
    mode: String,
    is_part: bool,
    is_complete: bool,
    /// How exactly the runs tell when a stack was seen; `null`: to the nanosecond.
    step_ns: Option<u64>,
    /// Whether there is no time axis: each stack is there once.
    has_no_times: bool,
    rates: Option<String>,
    /// What is wrong with the recording, if anything is.
    health: Option<String>,
    findings: Vec<String>,
    lost: BTreeMap<String, u64>,
    undetermined: BTreeMap<String, u64>,
    damaged_events: u64,
    samples_effective: u64,
    pauses: u64,
    skipped_processes: u64,
    not_measured: Vec<MissingRow<'p>>,
    states: Vec<StateWords>,
    totals: Sums,
    idle_waits_ns: u64,
    /// What it is compared with.
    base: Option<BaseRow<'p>>,
    processes: Vec<ProcessRow<'p>>,
    threads: Vec<ThreadRow>,
}

#[derive(Serialize)]
struct BaseRow<'p> {
    name: &'p str,
    /// It has the first processes.
    processes: u32,
}

#[derive(Serialize)]
struct StateWords {
    word: &'static str,
    text: String,
    is_wait: bool,
    /// Whether a wait in it may cost nobody anything.
    is_idle_wait: bool,
}

#[derive(Serialize)]
struct Sums {
    samples: u64,
    wall_ns: u64,
    cpu_ns: u64,
    gil_ns: u64,
}

impl From<Totals> for Sums {
    fn from(totals: Totals) -> Sums {
        Sums {
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
    label: String,
    command: String,
    python: &'p str,
    rank: Option<u32>,
    launch: Option<&'p str>,
    host: Option<&'p str>,
    parent: Option<u32>,
    usable_cpus: Option<u32>,
    memory_limit: Option<u64>,
    start_ns: u64,
    end_ns: u64,
}

#[derive(Serialize)]
struct ThreadRow {
    process: u32,
    tid: Option<i32>,
    name: String,
    is_main: bool,
    start_ns: Option<u64>,
    end_ns: u64,
    totals: Sums,
}

/// Writes the tag.
pub(super) fn write(
    content: &Content<'_>,
    timeline: &Timeline,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let json = serde_json::to_string(&meta(content, timeline))?;
    tag::json("meta", &json, out)
}

fn meta<'r>(content: &Content<'r>, timeline: &Timeline) -> Meta<'r> {
    let (profile, meta) = (content.about, content.input.meta);
    let counts = |counts: Vec<(String, u64)>| counts.into_iter().collect::<BTreeMap<_, _>>();
    let lost = profile.lost().iter();
    let undetermined = profile.undetermined().iter();
    Meta {
        format: FORMAT,
        rsamp: env!("CARGO_PKG_VERSION"),
        title: &meta.title,
        command: &meta.command,
        facts: &meta.facts,
        started_unix_ms: meta.start_unix_ns / 1_000_000,
        duration_ns: profile.duration().0,
        mode: meta.mode.to_string(),
        is_part: meta.is_part,
        is_complete: profile.is_complete(),
        step_ns: timeline.step().map(|step| step.0),
        has_no_times: content.input.profile.timeline().is_none(),
        rates: rates::in_words(profile),
        health: health::in_words(profile),
        findings: match meta.is_part {
            true => Vec::new(),
            false => findings::sentences(profile),
        },
        lost: counts(
            lost.map(|(cause, count)| (cause.to_string(), *count))
                .collect(),
        ),
        undetermined: counts(
            undetermined
                .map(|(cause, count)| (cause.to_string(), *count))
                .collect(),
        ),
        damaged_events: profile.rejected(),
        samples_effective: profile.effective_samples(),
        pauses: profile.stops(),
        skipped_processes: profile.skipped(),
        not_measured: profile.missing().iter().map(MissingRow::from).collect(),
        states: State::ALL.iter().map(state_words).collect(),
        totals: profile.totals().into(),
        idle_waits_ns: profile.idle_waits().time.0,
        base: content
            .base
            .map(|Base { name, processes }| BaseRow { name, processes }),
        processes: process_rows(content.input.profile),
        threads: thread_rows(content.input.profile, timeline),
    }
}

fn state_words(state: &State) -> StateWords {
    StateWords {
        word: state.word(),
        text: state.to_string(),
        is_wait: state.is_wait(),
        is_idle_wait: state.is_idle_wait(),
    }
}

fn process_rows(profile: &Profile) -> Vec<ProcessRow<'_>> {
    let mut ends = vec![Nanos(0); profile.processes().len()];
    let mut see = |process: u32, at: Nanos| {
        if let Some(end) = ends.get_mut(process as usize) {
            *end = at.max(*end);
        }
    };
    for (thread, end) in profile.threads().iter().zip(profile.thread_ends()) {
        see(thread.process.0, *end);
    }
    for usage in profile.usage() {
        see(usage.process.0, usage.at);
    }
    let processes = profile.processes().iter().zip(ends);
    processes
        .map(|(process, end)| process_row(process, end))
        .collect()
}

fn process_row(process: &Process, end: Nanos) -> ProcessRow<'_> {
    ProcessRow {
        pid: process.pid,
        label: labels::of_process(process),
        command: process.command_line(),
        python: &process.python,
        rank: process.rank,
        launch: process.launch.as_deref(),
        host: process.host.as_deref(),
        parent: process.parent.map(|parent| parent.0),
        usable_cpus: process.usable_cpus,
        memory_limit: process.memory_limit,
        start_ns: process.seen.0,
        end_ns: end.max(process.seen).0,
    }
}

fn thread_rows(profile: &Profile, timeline: &Timeline) -> Vec<ThreadRow> {
    let ids = (0..).map(ThreadId);
    let ends = profile.threads().iter().zip(profile.thread_ends());
    let rows = ids.zip(ends).zip(profile.thread_totals());
    rows.map(|((id, (thread, end)), totals)| {
        let first = timeline.runs(id).next();
        thread_row(thread, first.map(|run| run.at - run.wall), *end, *totals)
    })
    .collect()
}

fn thread_row(thread: &Thread, start: Option<Nanos>, end: Nanos, totals: Totals) -> ThreadRow {
    ThreadRow {
        process: thread.process.0,
        tid: thread.tid,
        name: labels::bare_thread_name(thread),
        is_main: thread.is_main,
        start_ns: start.map(|start| start.0),
        end_ns: end.0,
        totals: totals.into(),
    }
}
