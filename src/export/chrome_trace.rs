//! Turns a profile into Chrome's Trace Event Format, which Perfetto opens too.
//!
//! The format is that of the document "Trace Event Format": a JSON object with an array of events.
//! `B` opens a frame of a thread, `E` closes the innermost one (and names it, as speedscope wants);
//! neighbouring samples share the events of their common outer frames. Lost samples are instants
//! (`i`). Times are microseconds with nanoseconds behind the point, always wall time: this is what
//! happened when. A frame ends a nanosecond before the next begins: speedscope takes a beginning and
//! an end at one moment, of frames of one name, for a frame without length. Without a timeline, stacks
//! lie side by side in the order in which they were first seen.
//!
//! Viewers tell processes and threads apart by their numbers alone. Where two have the same, or a
//! thread's is not known, another is made up; the true ones are in the names.

use std::collections::HashSet;
use std::io;

use serde::Serialize;
use serde_json::{Value, json};

use crate::export::ReportInput;
use crate::export::frame_groups::{FrameGroupId, FrameGroups};
use crate::export::spec::Spec;
use crate::export::words::{labels, lost, time_axis};
use crate::profile::Profile;
use crate::profile::event::{Nanos, Sample, ThreadId};
use crate::profile::timeline::{Runs, Timeline};

/// A frame that opens or closes, an instant or a name.
#[derive(Serialize)]
struct Event<'n> {
    ph: &'static str,
    pid: i64,
    tid: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ts: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'n str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    s: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    args: Option<Value>,
}

/// Chrome's Trace Event Format.
pub(super) const CHROME_TRACE: Spec = Spec::new(
    "chrome-trace",
    &["trace.json"],
    "open it on ui.perfetto.dev or in chrome://tracing",
    write,
)
.with_time_axis();

/// Writes the file.
///
/// # Errors
/// When `out` fails.
fn write(input: &ReportInput<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let profile = input.profile.with_native_frames();
    let meta = input.meta;
    let timeline = profile.timeline_or_unordered();
    let places = FrameGroups::of(profile, meta.drawing.lines);
    let mut names = labels::of_functions(places.rows());
    names.push(labels::NO_PYTHON_FRAMES.to_owned());
    let tracks = Tracks::of(profile);
    let facts = meta.facts.iter().cloned();
    let facts: Vec<String> = facts.chain(time_axis::in_words(profile)).collect();
    let about = json!({
        "title": meta.title,
        "command": meta.command,
        "facts": facts,
        "lost": lost::lost_in_words(profile),
    });
    write!(
        out,
        "{{\"displayTimeUnit\":\"ms\",\"otherData\":{about},\"traceEvents\":["
    )?;
    let mut writer = Writer {
        profile,
        places: &places,
        names: &names,
        is_first: true,
        out,
    };
    writer.tracks(&tracks)?;
    for (thread, track) in (0_u32..).map(ThreadId).zip(&tracks.threads) {
        writer.thread(*track, timeline.runs(thread))?;
    }
    writer.losses(&timeline, tracks.threads.first())?;
    writer.out.write_all(b"\n]}\n")
}

/// The numbers of a thread in the file: of its process and its own.
type Track = (i64, i64);

struct Tracks {
    processes: Vec<i64>,
    threads: Vec<Track>,
}

impl Tracks {
    fn of(profile: &Profile) -> Tracks {
        let pids = profile.processes().iter().map(|process| Some(process.pid));
        let processes = distinct(pids);
        let tids = distinct(profile.threads().iter().map(|thread| thread.tid));
        let threads = profile.threads().iter().zip(tids);
        let track = |(thread, tid): (&crate::profile::event::Thread, i64)| {
            let pid = processes.get(thread.process.0 as usize);
            (pid.copied().unwrap_or_default(), tid)
        };
        Tracks {
            threads: threads.map(track).collect(),
            processes,
        }
    }
}

/// The numbers themselves, but one that is unknown or was there before is made up: beyond all that
/// Linux gives (2^22, `PID_MAX_LIMIT` in linux/threads.h).
fn distinct(numbers: impl Iterator<Item = Option<i32>>) -> Vec<i64> {
    let mut seen = HashSet::new();
    let mut next = 1 << 22;
    let number = |number: Option<i32>| match number {
        Some(number) if seen.insert(number) => i64::from(number),
        _ => {
            next += 1;
            next
        }
    };
    numbers.map(number).collect()
}

struct Writer<'w> {
    profile: &'w Profile,
    places: &'w FrameGroups<'w>,
    /// The labels of the places, and behind them that of no frames.
    names: &'w [String],
    is_first: bool,
    out: &'w mut dyn io::Write,
}

impl Writer<'_> {
    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        let before = if self.is_first { "\n" } else { ",\n" };
        self.is_first = false;
        self.out.write_all(before.as_bytes())?;
        serde_json::to_writer(&mut *self.out, event)?;
        Ok(())
    }

    fn tracks(&mut self, tracks: &Tracks) -> io::Result<()> {
        let processes = self.profile.processes().iter().map(labels::of_process);
        for (pid, label) in tracks.processes.iter().zip(processes) {
            self.name("process_name", (*pid, *pid), &label)?;
        }
        let threads = self.profile.threads().iter().map(labels::of_thread);
        for (track, label) in tracks.threads.iter().zip(threads) {
            self.name("thread_name", *track, &label)?;
        }
        Ok(())
    }

    fn name(&mut self, what: &str, (pid, tid): Track, label: &str) -> io::Result<()> {
        self.event(&Event {
            ph: "M",
            pid,
            tid,
            ts: None,
            name: Some(what),
            s: None,
            args: Some(json!({ "name": label })),
        })
    }

    fn thread(&mut self, track: Track, runs: Runs<'_>) -> io::Result<()> {
        // The places that are open, outermost first, and until when they were seen.
        let mut open: Vec<FrameGroupId> = Vec::new();
        let mut seen_until = Nanos(0);
        for run in runs {
            let start = (run.at - run.wall).max(seen_until);
            if run.at <= start {
                continue;
            }
            let stack = self.stack(&run);
            let same = open.iter().zip(&stack).take_while(|(a, b)| a == b).count();
            let kept = if start > seen_until { 0 } else { same };
            for place in open.drain(kept..).rev() {
                self.frame("E", track, place, seen_until - Nanos(1))?;
            }
            for place in &stack[kept..] {
                self.frame("B", track, *place, start)?;
            }
            open = stack;
            seen_until = run.at;
        }
        for place in open.into_iter().rev() {
            self.frame("E", track, place, seen_until - Nanos(1))?;
        }
        Ok(())
    }

    /// The places of a run, outermost first.
    fn stack(&self, run: &Sample) -> Vec<FrameGroupId> {
        if run.stack.is_none() {
            return vec![self.places.rows().len()];
        }
        let ids = self.profile.frame_ids_of(run.stack);
        let mut stack: Vec<FrameGroupId> = ids.filter_map(|id| self.places.of_frame(id)).collect();
        stack.reverse();
        stack
    }

    fn frame(
        &mut self,
        ph: &'static str,
        (pid, tid): Track,
        place: FrameGroupId,
        at: Nanos,
    ) -> io::Result<()> {
        self.event(&Event {
            ph,
            pid,
            tid,
            ts: Some(microseconds(at)),
            name: self.names.get(place).map(String::as_str),
            s: None,
            args: None,
        })
    }

    /// Losses belong to no thread: they are marks of the first one's process.
    fn losses(&mut self, timeline: &Timeline, track: Option<&Track>) -> io::Result<()> {
        let (pid, tid) = track.copied().unwrap_or_default();
        for loss in timeline.losses() {
            self.event(&Event {
                ph: "i",
                pid,
                tid,
                ts: Some(microseconds(loss.at)),
                name: Some(&format!("lost: {} {}", loss.count, loss.cause)),
                s: Some("p"),
                args: Some(json!({ "cause": loss.cause.to_string(), "count": loss.count })),
            })?;
        }
        Ok(())
    }
}

fn microseconds(time: Nanos) -> f64 {
    time.0 as f64 / 1e3
}
