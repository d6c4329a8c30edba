//! Turns a profile into speedscope's own JSON: one sampled profile per thread.
//!
//! The format is that of `file-format-schema.json` in the npm package `speedscope`. Weights are
//! nanoseconds of the chosen time. With a timeline, the samples are in the order of time, so that
//! speedscope's time order shows what happened when; without one, each stack is there once.
//!
//! A frame is a function with the line of its definition; with lines asked for, one executed line of it.

use std::io;

use serde::{Serialize, Serializer};

use super::sequence::Sequence;
use crate::export::ReportInput;
use crate::export::frame_groups::FrameGroups;
use crate::export::spec::Spec;
use crate::export::words::labels;
use crate::profile::event::{Sample, ThreadId};
use crate::profile::functions::FunctionKind;
use crate::profile::timeline::Runs;
use crate::profile::{Mode, Profile, Totals};

const SCHEMA: &str = "https://www.speedscope.app/file-format-schema.json";

#[derive(Serialize)]
struct FrameRow<'p> {
    name: &'p str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'p str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
}

/// One thread, as speedscope wants it; the sequences are made while they are written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SampledProfile<'n, S, W> {
    r#type: &'static str,
    name: &'n str,
    unit: &'static str,
    start_value: u64,
    end_value: u64,
    samples: S,
    weights: W,
}

/// speedscope's own JSON.
pub(super) const SPEEDSCOPE: Spec = Spec::new(
    "speedscope",
    &["speedscope.json"],
    "open it on www.speedscope.app",
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
    let mut names = labels::of_threads(profile);
    if names.is_empty() {
        // speedscope refuses a file without profiles.
        names.push("no samples".to_owned());
    }
    let threads = || {
        let threads = (0_u32..).map(ThreadId).zip(&names);
        threads.map(|(thread, name)| Thread {
            profile,
            mode: meta.mode,
            places: &places,
            name,
            runs: timeline.runs(thread),
        })
    };
    #[derive(Serialize)]
    struct File<'f, T> {
        #[serde(rename = "$schema")]
        schema: &'static str,
        exporter: &'static str,
        name: String,
        shared: Shared<'f>,
        profiles: T,
    }
    #[derive(Serialize)]
    struct Shared<'f> {
        frames: Vec<FrameRow<'f>>,
    }
    let file = File {
        schema: SCHEMA,
        exporter: "rsamp",
        name: meta.headline_over_time(profile),
        shared: Shared {
            frames: frame_rows(&places),
        },
        profiles: Sequence(threads),
    };
    serde_json::to_writer(&mut *out, &file)?;
    out.write_all(b"\n")
}

struct Thread<'p> {
    profile: &'p Profile,
    mode: Mode,
    places: &'p FrameGroups<'p>,
    name: &'p str,
    runs: Runs<'p>,
}

impl Thread<'_> {
    /// The runs that count, with their weights.
    fn weighed(&self) -> impl Iterator<Item = (Sample, u64)> {
        let weighed = self.runs.clone();
        let weighed = weighed.map(|run| (run, Totals::from(&run).time(self.mode).0));
        weighed.filter(|(_, weight)| *weight > 0)
    }

    /// The frames of a run, outermost first.
    fn stack(&self, run: &Sample) -> Vec<usize> {
        if run.stack.is_none() {
            return vec![self.places.rows().len()];
        }
        let ids = self.profile.frame_ids_of(run.stack);
        let mut stack: Vec<usize> = ids.filter_map(|id| self.places.of_frame(id)).collect();
        stack.reverse();
        stack
    }
}

impl Serialize for Thread<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let start = self
            .runs
            .clone()
            .next()
            .map_or(0, |run| (run.at - run.wall).0);
        let whole: u64 = self.weighed().map(|(_, weight)| weight).sum();
        SampledProfile {
            r#type: "sampled",
            name: self.name,
            unit: "nanoseconds",
            start_value: start,
            end_value: start.saturating_add(whole),
            samples: Sequence(|| self.weighed().map(|(run, _)| self.stack(&run))),
            weights: Sequence(|| self.weighed().map(|(_, weight)| weight)),
        }
        .serialize(serializer)
    }
}

/// The places, and behind them what stands for a thread without any Python frame.
fn frame_rows<'p>(places: &FrameGroups<'p>) -> Vec<FrameRow<'p>> {
    let rows = places.rows().iter().map(|place| FrameRow {
        name: place.name,
        file: place.file.or(match place.kind {
            FunctionKind::Native(module) => Some(module),
            FunctionKind::Python | FunctionKind::Mark => None,
        }),
        line: place.first_line,
    });
    let frameless = FrameRow {
        name: labels::NO_PYTHON_FRAMES,
        file: None,
        line: None,
    };
    rows.chain([frameless]).collect()
}
