//! Turns events into stacks with their times.

use std::collections::BTreeMap;
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Range, Sub};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::attributes::{Attributes, AttributesId};
use super::awaits::Awaits;
use super::covered::Covered;
use super::definitions::{Definitions, Stack};
use super::event::{
    Awaited, Event, Frame, FrameId, Loss, LostCause, Missing, NOT_SAMPLED, Nanos, NativeCode,
    NativeSample, Process, ProcessId, RateSpan, Sample, SampleKey, StackId, State, Thread,
    ThreadId, UndeterminedCause, Usage,
};
use super::event_loops::{EventLoops, LoopBlock};
use super::idle_waits::IdleWaits;
#[cfg(doc)]
use super::limits::MORE_STACKS;
use super::limits::{MAX_FRAMES_OF_ROWS, MAX_READ_ROWS};
use super::native_definitions::{AnyStack, NativeDefinitions, UnnamedFrame};
use super::native_sums::{NativeKey, NativeSums, NativeTotals};
use super::native_threads::NativeThreadRow;
#[cfg(doc)]
use super::recent::MAX_SECONDS;
use super::recent::Recent;
use super::retained::Retained;
use super::task_counts::TaskCounts;
use super::timeline::{MAX_BYTES, Timeline};
use super::usage::Readings;

/// Which of the times of a sample counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Mode {
    /// Elapsed time, whether the thread ran or waited.
    #[default]
    Wall,
    /// Time during which the thread ran on a CPU, as the kernel counts it.
    Cpu,
    /// Time during which the thread held the GIL.
    Gil,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Wall => "wall",
            Mode::Cpu => "cpu",
            Mode::Gil => "gil",
        })
    }
}

/// Sums over samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Totals {
    /// How many ticks.
    pub samples: u64,
    /// Sum of [`Sample::wall`].
    pub wall: Nanos,
    /// Sum of [`Sample::cpu`].
    pub cpu: Nanos,
    /// Sum of [`Sample::gil`].
    pub gil: Nanos,
    /// Sum of [`Sample::helpers_cpu`].
    pub helpers_cpu: Nanos,
    /// Sum of [`Sample::blocked_others`].
    pub blocked_others: Nanos,
    /// Sum of [`Sample::grown_bytes`].
    pub grown_bytes: u64,
    /// Sum of [`Sample::shrunk_bytes`].
    pub shrunk_bytes: u64,
    /// Sum of [`Sample::unsure_bytes`].
    pub unsure_bytes: u64,
}

impl Totals {
    /// The time that counts in `mode`.
    #[must_use]
    pub fn time(&self, mode: Mode) -> Nanos {
        match mode {
            Mode::Wall => self.wall,
            Mode::Cpu => self.cpu,
            Mode::Gil => self.gil,
        }
    }
}

impl Totals {
    fn checked_add(self, other: Totals) -> Option<Totals> {
        Some(Totals {
            samples: self.samples.checked_add(other.samples)?,
            wall: Nanos(self.wall.0.checked_add(other.wall.0)?),
            cpu: Nanos(self.cpu.0.checked_add(other.cpu.0)?),
            gil: Nanos(self.gil.0.checked_add(other.gil.0)?),
            helpers_cpu: Nanos(self.helpers_cpu.0.checked_add(other.helpers_cpu.0)?),
            blocked_others: Nanos(self.blocked_others.0.checked_add(other.blocked_others.0)?),
            grown_bytes: self.grown_bytes.checked_add(other.grown_bytes)?,
            shrunk_bytes: self.shrunk_bytes.checked_add(other.shrunk_bytes)?,
            unsure_bytes: self.unsure_bytes.checked_add(other.unsure_bytes)?,
        })
    }
}

impl From<&Sample> for Totals {
    fn from(sample: &Sample) -> Totals {
        Totals {
            samples: u64::from(sample.ticks),
            wall: sample.wall,
            cpu: sample.cpu,
            gil: sample.gil,
            helpers_cpu: sample.helpers_cpu,
            blocked_others: sample.blocked_others,
            grown_bytes: sample.grown_bytes,
            shrunk_bytes: sample.shrunk_bytes,
            unsure_bytes: sample.unsure_bytes,
        }
    }
}

impl Add for Totals {
    type Output = Totals;
    fn add(self, other: Totals) -> Totals {
        Totals {
            samples: self.samples.saturating_add(other.samples),
            wall: self.wall + other.wall,
            cpu: self.cpu + other.cpu,
            gil: self.gil + other.gil,
            helpers_cpu: self.helpers_cpu + other.helpers_cpu,
            blocked_others: self.blocked_others + other.blocked_others,
            grown_bytes: self.grown_bytes.saturating_add(other.grown_bytes),
            shrunk_bytes: self.shrunk_bytes.saturating_add(other.shrunk_bytes),
            unsure_bytes: self.unsure_bytes.saturating_add(other.unsure_bytes),
        }
    }
}

/// What is left of a sum without one of its parts.
impl Sub for Totals {
    type Output = Totals;
    fn sub(self, part: Totals) -> Totals {
        Totals {
            samples: self.samples.saturating_sub(part.samples),
            wall: self.wall - part.wall,
            cpu: self.cpu - part.cpu,
            gil: self.gil - part.gil,
            helpers_cpu: self.helpers_cpu - part.helpers_cpu,
            blocked_others: self.blocked_others - part.blocked_others,
            grown_bytes: self.grown_bytes.saturating_sub(part.grown_bytes),
            shrunk_bytes: self.shrunk_bytes.saturating_sub(part.shrunk_bytes),
            unsure_bytes: self.unsure_bytes.saturating_sub(part.unsure_bytes),
        }
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Totals) {
        *self = *self + other;
    }
}

impl Sum for Totals {
    fn sum<I: Iterator<Item = Totals>>(totals: I) -> Totals {
        totals.fold(Totals::default(), Add::add)
    }
}

/// So many different rates are told. The sampler knows a handful.
const MAX_RATES: usize = 1000;

/// All samples of one thread with one stack, in one state, with one set of attributes, but for those that tell tasks of one
/// name apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The thread.
    pub thread: ThreadId,
    /// Its stack; `None` when it had no Python frame.
    pub stack: Option<StackId>,
    /// What it was doing.
    pub state: State,
    /// What else is known of it; `None`: nothing.
    pub attributes: Option<AttributesId>,
    /// The sums over the samples.
    pub totals: Totals,
}

/// Events folded into one row per thread, stack, state and set of attributes.
///
/// Its size grows with the number of distinct stacks, not with that of samples.
#[derive(Debug, Clone, Default)]
pub struct Profile {
    /// Shared with the profiles that [`Profile::last`] gives. What defines more copies them while one of these is there.
    definitions: Arc<Definitions>,
    rows: Vec<Row>,
    /// How many frames the stacks of all rows have.
    frames_of_rows: u64,
    /// How many rows there may be; `None`: [`MAX_READ_ROWS`].
    max_rows: Option<usize>,
    row_of: FxHashMap<(ThreadId, SampleKey), usize>,
    thread_totals: Vec<Totals>,
    totals: Totals,
    /// By row: the sum over its samples of the squares of their wall times, in s².
    squares: Vec<f64>,
    /// The row of the last sample that was folded in.
    last_row: usize,
    idle_waits: IdleWaits,
    lost: BTreeMap<LostCause, u64>,
    undetermined: BTreeMap<UndeterminedCause, u64>,
    stops: u64,
    rates: Vec<RateSpan>,
    usage: Readings,
    retained: Retained,
    event_loops: EventLoops,
    tasks: TaskCounts,
    awaits: Awaits,
    missing: Vec<Missing>,
    skipped: u64,
    last_sample: Nanos,
    covered: Covered,
    /// By thread: when its last sample ended.
    thread_ends: Vec<Nanos>,
    end: Option<Nanos>,
    rejected: u64,
    timeline: Option<Timeline>,
    has_lost_timeline: bool,
    recent: Option<Recent>,
    native: NativeSums,
    refined: Option<Arc<Profile>>,
    native_threads: Vec<NativeThreadRow>,
}

impl Profile {
    /// A profile that also keeps what was seen when, as exactly as it can in [`MAX_BYTES`].
    #[must_use]
    pub fn with_timeline() -> Profile {
        Profile::with_timeline_of(MAX_BYTES)
    }

    /// The same, in so many bytes.
    #[must_use]
    pub fn with_timeline_of(max_bytes: usize) -> Profile {
        Profile {
            timeline: Some(Timeline::with_max_bytes(max_bytes)),
            ..Profile::default()
        }
    }

    /// A profile that also keeps the last minute apart: [`Profile::last`].
    #[must_use]
    pub fn with_last_minute() -> Profile {
        Profile {
            recent: Some(Recent::default()),
            ..Profile::default()
        }
    }

    /// Has it have no more than so many rows: the samples that would make more are those of a stack that says so
    /// ([`MORE_STACKS`]), or of none.
    #[must_use]
    pub fn with_max_rows(mut self, rows: usize) -> Profile {
        self.max_rows = Some(rows);
        self
    }

    /// Folds one event in.
    ///
    /// An event that names an id not defined before, or defines one out of order, comes from a
    /// damaged recording, as does a sample that makes the sum of all times exceed 584 years: it is
    /// left out and counted in [`Profile::rejected`]. So no sum over the samples can overflow.
    pub fn apply(&mut self, event: Event) {
        let accepted = match event {
            event @ (Event::Process(..)
            | Event::Thread(..)
            | Event::Frame(..)
            | Event::Stack { .. }
            | Event::Names { .. }
            | Event::Attributes(..)) => self.define(event),
            Event::Sample(sample) => self.apply_sample(&sample),
            Event::Native(sample) => self.apply_native(&sample),
            Event::Awaited(awaited) => self.apply_awaited(&awaited),
            Event::Lost(loss) => {
                self.apply_loss(loss);
                true
            }
            Event::Undetermined(cause, count) => {
                let known = self.undetermined.entry(cause).or_default();
                *known = known.saturating_add(count);
                true
            }
            Event::Pauses(stops) => {
                self.stops = self.stops.saturating_add(stops);
                true
            }
            Event::Usage(usage) => self.apply_usage(usage),
            Event::Missing(missing) => {
                let is_known = self.process(missing.process).is_some();
                if is_known {
                    self.missing.push(missing);
                }
                is_known
            }
            Event::Skipped(processes) => {
                self.skipped = self.skipped.saturating_add(processes);
                true
            }
            Event::Rate(span) => {
                self.apply_rate(span);
                true
            }
            Event::End(duration) => {
                self.end = Some(duration);
                true
            }
        };
        if !accepted {
            self.rejected += 1;
        }
    }

    fn define(&mut self, event: Event) -> bool {
        let is_defined = Arc::make_mut(&mut self.definitions).define(event);
        self.make_room_for_threads();
        is_defined
    }

    fn make_room_for_threads(&mut self) {
        let threads = self.definitions.threads.len();
        self.thread_totals.resize(threads, Totals::default());
        self.thread_ends.resize(threads, Nanos(0));
    }

    fn apply_loss(&mut self, loss: Loss) {
        let lost = self.lost.entry(loss.cause).or_default();
        *lost = lost.saturating_add(loss.count);
        if let Some(timeline) = &mut self.timeline {
            timeline.lose(loss);
        }
        if let Some(recent) = &mut self.recent {
            recent.lose(loss);
        }
    }

    fn apply_usage(&mut self, usage: Usage) -> bool {
        let is_known = self.process(usage.process).is_some();
        if is_known {
            self.usage.push(usage);
        }
        if let Some(recent) = self.recent.as_mut().filter(|_| is_known) {
            recent.read(usage);
        }
        is_known
    }

    fn apply_awaited(&mut self, awaited: &Awaited) -> bool {
        let stack = awaited.stack.map(|stack| self.definitions.shared_id(stack));
        let is_known = self.process(awaited.process).is_some() && stack != Some(None);
        if is_known {
            self.awaits.push(&Awaited {
                stack: stack.flatten(),
                ..*awaited
            });
        }
        is_known
    }

    /// Native samples refine the others, and add no time to them.
    fn apply_native(&mut self, sample: &NativeSample) -> bool {
        let is_known = self.thread(sample.thread).is_some();
        let place = |stack| self.definitions.place_of(stack);
        let (stack, merged) = (sample.stack.map(place), place(sample.merged));
        let (true, Some(merged), true) = (is_known, merged, stack != Some(None)) else {
            return false;
        };
        let key = NativeKey {
            thread: sample.thread,
            stack: stack.flatten(),
            state: sample.state,
            merged,
        };
        self.native.push(key, sample);
        true
    }

    fn apply_sample(&mut self, sample: &Sample) -> bool {
        if self.definitions.native.is_none() {
            return self.apply_shared(sample);
        }
        let stack = match sample.stack {
            Some(given) if self.definitions.is_unshared(given) => {
                Arc::make_mut(&mut self.definitions).share_stack(given)
            }
            Some(given) => self.definitions.shared_id(given),
            None => None,
        };
        stack.is_some() == sample.stack.is_some() && self.apply_shared(&Sample { stack, ..*sample })
    }

    /// Folds in a sample whose stack has the number that it has here.
    fn apply_shared(&mut self, sample: &Sample) -> bool {
        let Some(process) = self.thread(sample.thread).map(|thread| thread.process) else {
            return false;
        };
        let definitions = &self.definitions;
        let is_known =
            definitions.is_stack(sample.stack) && definitions.has_attributes(sample.attributes);
        if !is_known {
            return false;
        }
        let totals = Totals::from(sample);
        let Some(sum) = self.totals.checked_add(totals) else {
            return false;
        };
        self.totals = sum;
        let mut key = (sample.thread, sample.key());
        key.1.attributes = definitions.row_attributes(sample.attributes);
        let most = self.max_rows.unwrap_or(MAX_READ_ROWS);
        let is_full = self.rows.len() >= most || self.frames_of_rows > MAX_FRAMES_OF_ROWS;
        let mut kept = *sample;
        if is_full && !self.row_of.contains_key(&key) {
            key.1 = SampleKey {
                stack: self.definitions.more_stacks,
                attributes: None,
                ..key.1
            };
            (kept.stack, kept.attributes) = (key.1.stack, None);
            let cut = self.lost.entry(LostCause::TooMany).or_default();
            *cut = cut.saturating_add(u64::from(sample.ticks));
        }
        self.add_to_row(key, totals);
        self.tasks.push(&kept, &self.definitions);
        self.retained.push(process, sample);
        let wall = sample.wall.seconds();
        if let Some(squares) = self.squares.get_mut(self.last_row) {
            *squares += wall * wall / f64::from(sample.ticks.max(1));
        }
        if let Some(sum) = self.thread_totals.get_mut(sample.thread.0 as usize) {
            *sum += totals;
        }
        if let Some(end) = self.thread_ends.get_mut(sample.thread.0 as usize) {
            *end = sample.at.max(*end);
        }
        self.last_sample = self.last_sample.max(sample.at);
        self.covered.push(sample.at - sample.wall, sample.at);
        if let Some(timeline) = &mut self.timeline
            && !timeline.push(*sample)
        {
            self.timeline = None;
            self.has_lost_timeline = true;
        }
        self.event_loops.push(&kept, &self.definitions);
        if let Some(recent) = &mut self.recent {
            recent.push(&kept);
        }
        true
    }

    fn add_to_row(&mut self, key: (ThreadId, SampleKey), totals: Totals) {
        // Most often it is there: looking is cheaper than making room for a new one.
        if let Some(row) = self.row_of.get(&key) {
            self.last_row = *row;
            if let Some(row) = self.rows.get_mut(*row) {
                row.totals += totals;
            }
            return;
        }
        self.last_row = self.rows.len();
        self.row_of.insert(key, self.last_row);
        self.frames_of_rows += u64::from(self.definitions.depth(key.1.stack));
        let (thread, key) = key;
        self.rows.push(Row {
            thread,
            stack: key.stack,
            state: key.state,
            attributes: key.attributes,
            totals,
        });
        self.squares.push(0.0);
    }

    /// The sums over the native samples.
    pub(super) fn native_sums(&self) -> &[(NativeKey, NativeTotals)] {
        self.native.all()
    }

    /// What was defined.
    pub(super) fn definitions(&self) -> &Arc<Definitions> {
        &self.definitions
    }

    /// The number of a stack here; `None`: no sample has it.
    pub(super) fn shared(&self, stack: Option<AnyStack>) -> Option<Option<StackId>> {
        let Some(stack) = stack else {
            return Some(None);
        };
        self.definitions.shared_id_of(stack).map(Some)
    }

    /// The rows, each with the sum of the squares of its wall times, in s².
    pub(super) fn rows_with_squares(&self) -> impl Iterator<Item = (&Row, f64)> {
        self.rows.iter().zip(self.squares.iter().copied())
    }

    /// The same with other definitions and rows, which add up to the same.
    pub(super) fn with_rows(
        &self,
        definitions: Arc<Definitions>,
        rows: Vec<Row>,
        squares: Vec<f64>,
        timeline: Option<Timeline>,
    ) -> Profile {
        Profile {
            definitions,
            rows,
            squares,
            row_of: FxHashMap::default(),
            timeline,
            recent: None,
            native: self.native.without_sums(),
            refined: None,
            ..self.clone()
        }
    }

    /// Puts rows in the place of its own, which add up to the same, with sets of attributes of these.
    pub(super) fn set_refined(
        &mut self,
        rows: Vec<Row>,
        squares: Vec<f64>,
        refined: Profile,
        native_threads: Vec<NativeThreadRow>,
    ) {
        Arc::make_mut(&mut self.definitions).share_attributes(&refined.definitions);
        (self.rows, self.squares) = (rows, squares);
        self.row_of.clear();
        self.refined = Some(Arc::new(refined));
        self.native_threads = native_threads;
    }

    /// The profile with native frames in its stacks, for what shows stacks; itself where there are none
    /// ([`Profile::refine`]). Its sums are the same.
    #[must_use]
    pub fn with_native_frames(&self) -> &Profile {
        self.refined.as_deref().unwrap_or(self)
    }

    /// Whether native samples have come.
    #[must_use]
    pub fn has_native_samples(&self) -> bool {
        !self.native_sums().is_empty()
    }

    /// Whether a thread has native samples and no other: it never had a Python frame.
    #[must_use]
    pub fn is_native_thread(&self, id: ThreadId) -> bool {
        let end = self.thread_ends.get(id.0 as usize);
        self.native.has_thread(id) && end.is_none_or(|end| *end == Nanos(0))
    }

    /// How many threads are not such.
    #[must_use]
    pub fn python_threads(&self) -> usize {
        let ids = (0..self.threads().len() as u32).map(ThreadId);
        ids.filter(|id| !self.is_native_thread(*id)).count()
    }

    /// What threads did that never had a Python frame; their time is in no other sum.
    #[must_use]
    pub fn native_threads(&self) -> &[NativeThreadRow] {
        &self.native_threads
    }

    /// The row that the last sample was added to, as an index into [`Profile::rows`].
    pub(super) fn last_row(&self) -> usize {
        self.last_row
    }

    /// Puts other sums into the rows: `left` of each, without these waits.
    pub(super) fn leave_out(&mut self, left: Vec<Totals>, waits: IdleWaits) {
        self.idle_waits = waits;
        self.totals = left.iter().copied().sum();
        self.thread_totals.fill(Totals::default());
        let rows = self.rows.iter_mut().zip(&mut self.squares);
        for ((row, squares), left) in rows.zip(left) {
            *squares *= left.wall.seconds() / row.totals.wall.seconds().max(f64::MIN_POSITIVE);
            row.totals = left;
            if let Some(sum) = self.thread_totals.get_mut(row.thread.0 as usize) {
                *sum += left;
            }
        }
    }

    /// The waits that were left out of the sums; none before [`Profile::leave_out_idle_waits`].
    #[must_use]
    pub fn idle_waits(&self) -> IdleWaits {
        self.idle_waits
    }

    fn apply_rate(&mut self, span: RateSpan) {
        let is_full = self.rates.len() >= MAX_RATES;
        let mut known = self.rates.iter_mut();
        match known.find(|known| known.millihertz == span.millihertz) {
            Some(known) => {
                known.time += span.time;
                known.ticks = known.ticks.saturating_add(span.ticks);
                known.own_cpu += span.own_cpu;
            }
            None if is_full => {}
            None => self.rates.push(span),
        }
    }

    /// How many samples of the same length would tell shares of the time as exactly as these do: `(Σ w)² / Σ w²` with the
    /// wall times `w` of the samples (Kish, Survey Sampling, 1965).
    #[must_use]
    pub fn effective_samples(&self) -> u64 {
        let (mut sampled, mut squares) = (0.0, 0.0);
        for (row, of_row) in self.rows.iter().zip(&self.squares) {
            // What was not sampled is time, but no sample.
            if self.why_not_sampled(row.stack).is_none() {
                sampled += row.totals.wall.seconds();
                squares += of_row;
            }
        }
        match squares > 0.0 {
            true => (sampled * sampled / squares).round() as u64,
            false => 0,
        }
    }

    /// The processes; a [`ProcessId`] is an index into them.
    #[must_use]
    pub fn processes(&self) -> &[Process] {
        &self.definitions.processes
    }

    /// The threads of all processes; a [`ThreadId`] is an index into them.
    #[must_use]
    pub fn threads(&self) -> &[Thread] {
        &self.definitions.threads
    }

    /// The frames; a [`FrameId`] is an index into them.
    #[must_use]
    pub fn frames(&self) -> &[Frame] {
        &self.definitions.frames
    }

    /// The tree of stacks; a [`StackId`] is an index into it, and parents come before children.
    #[must_use]
    pub fn stacks(&self) -> &[Stack] {
        &self.definitions.stacks
    }

    /// The rows, each (thread, stack, state, attributes) once, in the order in which they were first seen.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// One process.
    #[must_use]
    pub fn process(&self, id: ProcessId) -> Option<&Process> {
        self.definitions.processes.get(id.0 as usize)
    }

    /// One thread.
    #[must_use]
    pub fn thread(&self, id: ThreadId) -> Option<&Thread> {
        self.definitions.threads.get(id.0 as usize)
    }

    /// One frame.
    #[must_use]
    pub fn frame(&self, id: FrameId) -> Option<&Frame> {
        self.definitions.frames.get(id.0 as usize)
    }

    /// One node of the tree of stacks.
    #[must_use]
    pub fn stack(&self, id: StackId) -> Option<&Stack> {
        self.definitions.stacks.get(id.0 as usize)
    }

    /// One set of attributes.
    #[must_use]
    pub fn attributes(&self, id: AttributesId) -> Option<&Attributes> {
        self.definitions.attributes.get(id.number() as usize)
    }

    /// All sets of attributes, by their number.
    #[must_use]
    pub fn attribute_sets(&self) -> &[Attributes] {
        &self.definitions.attributes
    }

    /// The frames of a stack, innermost first.
    pub fn frames_of(&self, stack: Option<StackId>) -> impl Iterator<Item = &Frame> {
        self.frame_ids_of(stack).filter_map(|id| self.frame(id))
    }

    /// The numbers of the frames of a stack, innermost first.
    pub fn frame_ids_of(&self, stack: Option<StackId>) -> impl Iterator<Item = FrameId> {
        let first = stack.and_then(|id| self.stack(id));
        std::iter::successors(first, |node| node.parent.and_then(|id| self.stack(id)))
            .map(|node| node.frame)
    }

    /// Where asyncio tasks waited.
    pub(super) fn awaits(&self) -> &Awaits {
        &self.awaits
    }

    /// How often each asyncio task was seen.
    pub(super) fn task_counts(&self) -> &TaskCounts {
        &self.tasks
    }

    /// What was seen when, if the profile was made to keep it.
    #[must_use]
    pub fn timeline(&self) -> Option<&Timeline> {
        self.timeline.as_ref()
    }

    /// The last so many seconds as a profile of their own, up to [`MAX_SECONDS`], with times since the first of them. They are
    /// whole seconds, without the one that is not over; while none is over, it is what there is. Of what was recorded it
    /// has the samples, the losses and the readings. `None` where the profile was not made to keep them.
    #[must_use]
    pub fn last(&self, seconds: usize) -> Option<Profile> {
        let recent = self.recent.as_ref()?;
        let mut last = Profile {
            definitions: Arc::clone(&self.definitions),
            max_rows: self.max_rows,
            ..Profile::default()
        };
        last.make_room_for_threads();
        recent.replay(seconds, &mut |event| last.apply(event));
        // The runs of a second are not in the order of time.
        last.event_loops = EventLoops::default();
        Some(last)
    }

    /// All there is until now as a profile of its own, which does not keep the last minute apart.
    #[must_use]
    pub fn copy(&mut self) -> Profile {
        let recent = self.recent.take();
        let copy = self.clone();
        self.recent = recent;
        copy
    }

    /// The seconds that are kept and over, by their numbers from the start; none where the profile was not made to keep
    /// them.
    pub(super) fn kept_seconds(&self) -> Range<u64> {
        self.recent.as_ref().map_or(0..0, Recent::over)
    }

    /// What is kept of a second.
    pub(super) fn runs_of_second(&self, number: u64) -> &[Sample] {
        let recent = self.recent.as_ref();
        recent.map_or(&[], |recent| recent.runs(number))
    }

    /// Leaves the samples of some rows alone; how long the samples go on stays as it is.
    pub fn keep_rows(&mut self, is_kept: impl Fn(&Profile, &Row) -> bool) {
        let kept = |row: &Row| match is_kept(self, row) {
            true => row.totals,
            false => Totals::default(),
        };
        let left = self.rows.iter().map(kept).collect();
        let waits = self.idle_waits;
        self.leave_out(left, waits);
    }

    /// The native frames whose functions have no names, each with where it is.
    pub fn unnamed_native_frames(&self) -> impl Iterator<Item = (UnnamedFrame, &NativeCode)> {
        let native = self.definitions.native.as_deref();
        native.into_iter().flat_map(NativeDefinitions::unnamed)
    }

    /// Learns the functions that a native frame stands for, innermost first.
    pub fn name_native_frame(&mut self, frame: UnnamedFrame, functions: Vec<Frame>) {
        if let Some(native) = &mut Arc::make_mut(&mut self.definitions).native {
            native.name_unnamed(frame, functions);
        }
    }

    /// The profile with native frames in its stacks, to be changed.
    pub(super) fn refined_mut(&mut self) -> Option<&mut Profile> {
        self.refined.as_mut().map(Arc::make_mut)
    }

    /// Whether what was seen when was to be kept, and was given up: there were too many threads and stacks for it.
    #[must_use]
    pub fn has_lost_timeline(&self) -> bool {
        self.has_lost_timeline
    }

    /// What was lost, by cause; a cause that never came up is not in it.
    #[must_use]
    pub fn lost(&self) -> &BTreeMap<LostCause, u64> {
        &self.lost
    }

    /// How many samples could not be told from their first copy, by cause; a cause that never came up is not in it.
    #[must_use]
    pub fn undetermined(&self) -> &BTreeMap<UndeterminedCause, u64> {
        &self.undetermined
    }

    /// How many samples could not be told from their first copy, whatever the cause.
    #[must_use]
    pub fn undetermined_samples(&self) -> u64 {
        let counts = self.undetermined.values();
        counts.fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// For how many readings a thread of the target was stopped.
    #[must_use]
    pub fn stops(&self) -> u64 {
        self.stops
    }

    /// The rates used, each once, in the order in which they were first used.
    #[must_use]
    pub fn rates(&self) -> &[RateSpan] {
        &self.rates
    }

    /// What the kernel counted of the processes, of each in the order in which it was read: some thousand
    /// readings of each at most, over all of its time.
    #[must_use]
    pub fn usage(&self) -> &[Usage] {
        self.usage.as_slice()
    }

    /// By how much memory grew at each stack of a process and most likely is not given back, in bytes; a stack may come
    /// more than once. The kernel tells the sums, not whose memory is given back: which stack retains it is an estimate.
    pub fn retained_bytes(&self) -> impl Iterator<Item = (ProcessId, Option<StackId>, u64)> {
        self.retained.by_stack()
    }

    /// The event loops of its threads. Those of the last seconds ([`Profile::last`]) are not known.
    /// The longest spans in which a task kept the event loop of its thread from serving others, thread by thread.
    #[must_use]
    pub fn loop_blocks(&self) -> Vec<LoopBlock> {
        self.event_loops.blocks()
    }

    pub(super) fn event_loops(&self) -> &EventLoops {
        &self.event_loops
    }

    /// Whether a stack is that of an event loop itself, below its tasks; `false` for those of the last seconds.
    #[must_use]
    pub fn is_event_loop(&self, stack: StackId) -> bool {
        self.event_loops.is_machinery(stack)
    }

    /// What could not be measured of the processes.
    #[must_use]
    pub fn missing(&self) -> &[Missing] {
        &self.missing
    }

    /// How many processes of the tree ran no Python.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// How many events were left out because they make no sense: 0 unless the recording is
    /// damaged.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.rejected
    }

    /// How long the recording lasted: as told by [`Event::End`]; without one, the recording was
    /// cut off and this is the time of the latest sample.
    #[must_use]
    pub fn duration(&self) -> Nanos {
        self.end.unwrap_or(self.last_sample)
    }

    /// Whether [`Event::End`] was seen.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.end.is_some()
    }

    /// The sums per thread; a [`ThreadId`] is an index into them.
    #[must_use]
    pub fn thread_totals(&self) -> &[Totals] {
        &self.thread_totals
    }

    /// When the last sample of each thread ended; a [`ThreadId`] is an index into them.
    #[must_use]
    pub fn thread_ends(&self) -> &[Nanos] {
        &self.thread_ends
    }

    /// For how long any thread was sampled: time in which several were counts once.
    #[must_use]
    pub fn sampled_time(&self) -> Nanos {
        self.covered.time()
    }

    /// The sums over all threads.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Why the time of this stack was not sampled: its only frame is a mark that the sampler puts in place of a stack
    /// ([`NOT_SAMPLED`]). `None` for a stack that was read.
    #[must_use]
    pub fn why_not_sampled(&self, stack: Option<StackId>) -> Option<&str> {
        let frame = self.frame(self.stack(stack?)?.frame)?;
        let name = frame.is_mark().then_some(&frame.name)?;
        name.strip_prefix(NOT_SAMPLED)?.strip_suffix(']')
    }

    /// The wall time of all threads that was not sampled, by cause.
    #[must_use]
    pub fn not_sampled(&self) -> BTreeMap<&str, Nanos> {
        let mut times = BTreeMap::new();
        for row in &self.rows {
            if let Some(cause) = self.why_not_sampled(row.stack) {
                *times.entry(cause).or_default() += row.totals.wall;
            }
        }
        times
    }

    /// The sums over the samples without any Python frame.
    #[must_use]
    pub fn frameless_totals(&self) -> Totals {
        let frameless = self.rows.iter().filter(|row| row.stack.is_none());
        frameless.map(|row| row.totals).sum()
    }
}
