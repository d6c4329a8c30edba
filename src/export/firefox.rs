//! Turns a profile into the Firefox Profiler's processed profile format.
//!
//! Written by the crate fxprof-processed-profile. A run of equal stacks is one sample at the start
//! of the run: the profiler lets a sample last until the next. Its weight is the chosen time in
//! milliseconds, rounded such that the sums are right (the crate takes whole numbers only); its CPU
//! time is that of the run before, as the format wants it. Frames are labels, as in a flame graph.
//! Lost samples are markers of the first thread.
//!
//! Without a timeline, stacks lie side by side in the order in which they were first seen.

use std::collections::HashMap;
use std::io;

use fxprof_processed_profile::{
    CategoryColor, CategoryHandle, CategoryPairHandle, CpuDelta, Frame, FrameFlags, FrameInfo,
    MarkerFieldFlags, MarkerFieldFormat, MarkerTiming, ProcessHandle, Profile as Output,
    ReferenceTimestamp, SamplingInterval, StackHandle, StaticSchemaMarker, StaticSchemaMarkerField,
    StringHandle, ThreadHandle, Timestamp, WeightType,
};

use super::Meta;
use crate::export::ReportInput;
use crate::export::frame_groups::FrameGroups;
use crate::export::spec::Spec;
use crate::export::words::labels;
use crate::profile::event::{Loss, Nanos, StackId, Thread, ThreadId};
use crate::profile::functions::{Function, FunctionKind};
use crate::profile::timeline::Runs;
use crate::profile::{Mode, Profile, Totals};

/// The Firefox Profiler's processed profile.
pub(super) const FIREFOX: Spec = Spec::new(
    "firefox",
    &["firefox.json"],
    "open it on profiler.firefox.com",
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
    let mut builder = Builder::new(profile, meta, &places);
    let mut first_thread = None;
    for (id, thread) in (0_u32..).map(ThreadId).zip(profile.threads()) {
        let handle = builder.thread(thread, timeline.runs(id));
        first_thread = first_thread.or(handle);
    }
    if let Some(thread) = first_thread {
        for loss in timeline.losses() {
            builder.loss(thread, loss);
        }
    }
    serde_json::to_writer(&mut *out, &builder.output)?;
    out.write_all(b"\n")
}

struct Builder<'p> {
    profile: &'p Profile,
    places: &'p FrameGroups<'p>,
    mode: Mode,
    output: Output,
    processes: Vec<ProcessHandle>,
    /// The labels of the places, and behind them that of no frames.
    labels: Vec<StringHandle>,
    python: CategoryPairHandle,
    native: CategoryPairHandle,
}

impl<'p> Builder<'p> {
    fn new(profile: &'p Profile, meta: &Meta, places: &'p FrameGroups<'p>) -> Builder<'p> {
        let totals = profile.totals();
        let interval_ns = totals.wall.0 / totals.samples.max(1);
        // When the recording began is not known: times are since then.
        let mut output = Output::new(
            &meta.headline_over_time(profile),
            ReferenceTimestamp::from_millis_since_unix_epoch(0.0),
            SamplingInterval::from_nanos(interval_ns.max(1)),
        );
        output.set_os_name("Linux");
        // Else the profiler would look for the symbols of addresses.
        output.set_symbolicated(true);
        let python = output.add_category("Python", CategoryColor::Yellow);
        let is_native = |place: &Function<'_>| matches!(place.kind, FunctionKind::Native(_));
        let native = match places.rows().iter().any(is_native) {
            true => output.add_category("Native", CategoryColor::Magenta),
            false => python,
        };
        let processes = profile.processes().iter().map(|process| {
            let pid = u32::try_from(process.pid).unwrap_or(0);
            output.add_process(&labels::of_process(process), pid, timestamp(Nanos(0)))
        });
        let processes = processes.collect();
        let names = labels::of_functions(places.rows()).into_iter();
        let names = names.chain([labels::NO_PYTHON_FRAMES.to_owned()]);
        let labels = names.map(|name| output.intern_string(&name)).collect();
        Builder {
            profile,
            places,
            mode: meta.mode,
            processes,
            labels,
            python: python.into(),
            native: native.into(),
            output,
        }
    }

    fn thread(&mut self, thread: &Thread, runs: Runs<'_>) -> Option<ThreadHandle> {
        let process = *self.processes.get(thread.process.0 as usize)?;
        let tid = thread.tid.and_then(|tid| u32::try_from(tid).ok());
        let first = runs.clone().next();
        let start = first.map_or(Nanos(0), |run| run.at - run.wall);
        let end = runs.clone().last().map_or(start, |run| run.at.max(start));
        let handle =
            self.output
                .add_thread(process, tid.unwrap_or(0), timestamp(start), thread.is_main);
        self.output
            .set_thread_name(handle, &labels::thread_name(thread));
        self.output
            .set_thread_samples_weight_type(handle, WeightType::TracingMs);
        self.samples(handle, runs);
        self.output.set_thread_end_time(handle, timestamp(end));
        Some(handle)
    }

    fn samples(&mut self, thread: ThreadHandle, runs: Runs<'_>) {
        let mut stacks = HashMap::new();
        let (mut seen_until, mut cpu_before) = (Nanos(0), Nanos(0));
        let mut time = Nanos(0);
        let mut last_stack = None;
        let is_empty = runs.clone().next().is_none();
        for run in runs {
            let start = (run.at - run.wall).max(seen_until);
            let stack = self.stack(thread, run.stack, &mut stacks);
            let before_ms = milliseconds(time);
            time += Totals::from(&run).time(self.mode);
            let weight = i32::try_from(milliseconds(time) - before_ms).unwrap_or(i32::MAX);
            let cpu = CpuDelta::from_nanos(cpu_before.0);
            self.output
                .add_sample(thread, timestamp(start), stack, cpu, weight);
            (seen_until, cpu_before, last_stack) = (run.at.max(start), run.cpu, stack);
        }
        if !is_empty {
            let cpu = CpuDelta::from_nanos(cpu_before.0);
            let end = timestamp(seen_until);
            self.output.add_sample(thread, end, last_stack, cpu, 0);
        }
    }

    /// The stack's handle: up to the first ancestor that has one, then down again.
    fn stack(
        &mut self,
        thread: ThreadHandle,
        stack: Option<StackId>,
        known: &mut HashMap<StackId, StackHandle>,
    ) -> Option<StackHandle> {
        let Some(stack) = stack else {
            let frameless = self.places.rows().len();
            let frame = self.frame(frameless, CategoryHandle::OTHER.into())?;
            return self.output.intern_stack_frames(thread, [frame].into_iter());
        };
        let mut missing = Vec::new();
        let mut next = Some(stack);
        let mut handle = None;
        while let Some(id) = next {
            handle = known.get(&id).copied();
            if handle.is_some() {
                break;
            }
            missing.push(id);
            next = self.profile.stack(id)?.parent;
        }
        for id in missing.into_iter().rev() {
            let place = self.places.of_frame(self.profile.stack(id)?.frame)?;
            let category = match self.places.rows().get(place)?.kind {
                FunctionKind::Native(_) => self.native,
                FunctionKind::Python | FunctionKind::Mark => self.python,
            };
            let frame = self.frame(place, category)?;
            let frame = self.output.intern_frame(thread, frame);
            let stack = self.output.intern_stack(thread, handle, frame);
            known.insert(id, stack);
            handle = Some(stack);
        }
        handle
    }

    fn frame(&self, label: usize, category_pair: CategoryPairHandle) -> Option<FrameInfo> {
        Some(FrameInfo {
            frame: Frame::Label(*self.labels.get(label)?),
            category_pair,
            flags: FrameFlags::empty(),
        })
    }

    fn loss(&mut self, thread: ThreadHandle, loss: &Loss) {
        let marker = LostMarker {
            cause: self.output.intern_string(&loss.cause.to_string()),
            count: loss.count,
        };
        let timing = MarkerTiming::Instant(timestamp(loss.at));
        self.output.add_marker(thread, timing, marker);
    }
}

fn timestamp(time: Nanos) -> Timestamp {
    Timestamp::from_nanos_since_reference(time.0)
}

/// Rounded, so that the differences of rounded times add up to the rounded time.
fn milliseconds(time: Nanos) -> u64 {
    time.0.saturating_add(500_000) / 1_000_000
}

/// Samples or ticks that were lost.
struct LostMarker {
    cause: StringHandle,
    count: u64,
}

impl StaticSchemaMarker for LostMarker {
    const UNIQUE_MARKER_TYPE_NAME: &'static str = "Lost";
    const DESCRIPTION: Option<&'static str> = Some("Samples or ticks that were lost.");
    const CHART_LABEL: Option<&'static str> = Some("{marker.data.count} {marker.data.cause}");
    const TABLE_LABEL: Option<&'static str> = Some("{marker.data.count} {marker.data.cause}");
    const FIELDS: &'static [StaticSchemaMarkerField] = &[
        StaticSchemaMarkerField {
            key: "cause",
            label: "Cause",
            format: MarkerFieldFormat::String,
            flags: MarkerFieldFlags::SEARCHABLE,
        },
        StaticSchemaMarkerField {
            key: "count",
            label: "How many",
            format: MarkerFieldFormat::Integer,
            flags: MarkerFieldFlags::empty(),
        },
    ];

    fn name(&self, output: &mut Output) -> StringHandle {
        output.intern_string("lost")
    }

    fn category(&self, _: &mut Output) -> CategoryHandle {
        CategoryHandle::OTHER
    }

    fn string_field_value(&self, _: u32) -> StringHandle {
        self.cause
    }

    fn number_field_value(&self, _: u32) -> f64 {
        self.count as f64
    }
}
