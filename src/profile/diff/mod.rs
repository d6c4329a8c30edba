//! Turns two recordings into what differs between them: by function, by line and by stack.
//!
//! `noise` is the test of what is more than noise; `pairs` says what counts as the same function
//! and line on both sides; `limit` says whether the second is slower than allowed.

use super::blocks::Blocks;
use super::event::{Event, Nanos};
use super::functions::Function;
use super::native_frames::{NativeFrames, WorkClasses};
use super::origin::{Origin, Origins};
use super::sums::{self, Classes, Sums};
use super::{Mode, Profile, Totals};

pub(super) mod noise;

mod pairs;

mod stacks;

mod limit;

pub use limit::{Growth, Limit, Outcome, Verdict};
pub use stacks::Stacks;

use noise::{Column, Variation};
use pairs::{Line, Pair, Pairs};

/// One of the two recordings. Takes events as a [`Profile`] does, and grows with the number of
/// distinct stacks, not with that of samples.
#[derive(Debug, Clone)]
pub struct SampledProfile {
    profile: Profile,
    blocks: Blocks,
    /// The same with native frames, where there are native samples. Blocks are by row, and those here are others.
    native: Option<Box<Profile>>,
}

impl SampledProfile {
    /// Nothing has come yet; the time of `mode` will be compared.
    #[must_use]
    pub fn new(mode: Mode) -> SampledProfile {
        SampledProfile::folding_into(Profile::default(), mode)
    }

    /// The same with a profile that keeps more; it is empty.
    #[must_use]
    pub fn folding_into(profile: Profile, mode: Mode) -> SampledProfile {
        SampledProfile {
            profile,
            blocks: Blocks::new(mode),
            native: None,
        }
    }

    /// Gives its stacks native frames; see [`Profile::refine`]. Once all events have come, and idle waits are left out.
    pub fn refine(&mut self, shows: NativeFrames, work: &dyn WorkClasses) {
        if shows != NativeFrames::None && self.profile.has_native_samples() {
            let mut refined = Box::new(self.profile.clone());
            refined.refine(shows, work);
            self.native = Some(refined);
        }
    }

    /// The recording as a profile with native frames in its stacks; without them where there are none.
    pub(super) fn with_native_frames(&self) -> &Profile {
        let native = self.native.as_deref();
        native.map_or(&self.profile, Profile::with_native_frames)
    }

    /// Takes in one event; see [`Profile::apply`].
    pub fn apply(&mut self, event: Event) {
        let sample = match &event {
            Event::Sample(sample) => Some(*sample),
            _ => None,
        };
        let rejected = self.profile.rejected();
        self.profile.apply(event);
        if let Some(sample) = sample.filter(|_| self.profile.rejected() == rejected) {
            self.blocks.add(self.profile.last_row(), &sample);
        }
    }

    /// Leaves idle waits out; see [`Profile::leave_out_idle_waits`].
    pub fn leave_out_idle_waits(&mut self) {
        let before: Vec<Nanos> = self
            .profile
            .rows()
            .iter()
            .map(|row| row.totals.wall)
            .collect();
        self.profile.leave_out_idle_waits();
        let after = self.profile.rows().iter().map(|row| row.totals.wall);
        self.blocks.leave(after.zip(before), self.profile.totals());
    }

    /// How the times are spread over the recording.
    pub(super) fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    /// The recording as a profile.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    fn time_ns(&self, totals: &Totals) -> f64 {
        totals.time(self.blocks.mode()).0 as f64
    }

    fn whole_ns(&self) -> f64 {
        self.time_ns(&self.profile.totals())
    }
}

/// How two recordings are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// By the seconds measured.
    #[default]
    Seconds,
    /// By shares: the base is scaled to the whole time of the new recording.
    Normalized,
}

/// A time on one side.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Time {
    /// Seconds over all threads, scaled if the comparison is.
    pub seconds: f64,
    /// The part of the time of all threads, from 0 to 1; 0 when there is none.
    pub share: f64,
}

/// A time before and after.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// Before.
    pub base: Time,
    /// After.
    pub new: Time,
    /// The standard error of [`Change::seconds`] by the noise of both sides; infinite when a recording is too
    /// short, or the visits to the function are too few and long, to tell.
    pub error_seconds: f64,
    /// How likely so large a difference is by noise alone.
    pub p_value: f64,
    /// Whether the difference is more than noise, given that there are other rows.
    pub is_beyond_noise: bool,
}

impl Change {
    /// What came with the new recording; negative for what it saves.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.new.seconds - self.base.seconds
    }
}

/// A function before and after.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FunctionChange<'p> {
    /// The function as it is before; `None` when it is not in the base.
    pub base: Option<Function<'p>>,
    /// The function as it is after; `None` when it is not in the new recording.
    pub new: Option<Function<'p>>,
    /// The time in the function itself.
    pub self_time: Change,
    /// The time in the function and what it called.
    pub total_time: Change,
}

impl<'p> FunctionChange<'p> {
    /// The function as it is after, or if it is gone, as it was.
    #[must_use]
    pub fn function(&self) -> Option<Function<'p>> {
        self.new.or(self.base)
    }
}

/// A line before and after.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LineChange<'p> {
    /// The line and its function as they are before; `None` when they are not in the base.
    pub base: Option<(Function<'p>, Option<u32>)>,
    /// The line and its function as they are after; `None` when they are not in the new recording.
    pub new: Option<(Function<'p>, Option<u32>)>,
    /// The time in the line itself.
    pub self_time: Change,
    /// The time in the line and what it called.
    pub total_time: Change,
}

impl<'p> LineChange<'p> {
    /// The line and its function as they are after, or if they are gone, as they were.
    #[must_use]
    pub fn line(&self) -> Option<(Function<'p>, Option<u32>)> {
        self.new.or(self.base)
    }
}

/// What differs between two recordings.
#[derive(Debug)]
pub struct Diff<'p> {
    base: &'p SampledProfile,
    new: &'p SampledProfile,
    scale: Scale,
    functions: Vec<FunctionChange<'p>>,
    lines: Vec<LineChange<'p>>,
    stacks: Stacks<'p>,
}

impl<'p> Diff<'p> {
    /// Compares; both sides are of the same mode. Stacks are of functions.
    #[must_use]
    pub fn of(base: &'p SampledProfile, new: &'p SampledProfile, scale: Scale) -> Diff<'p> {
        Diff::compare(base, new, scale, |_| false)
    }

    /// The same, but that in stacks each line of own code is told apart: in functions that only one side has, and in those
    /// that `have_same_text` on both, the one of the base before the other. In a function that was edited, lines of both sides
    /// can't be told to be the same.
    #[must_use]
    pub fn with_own_lines(
        base: &'p SampledProfile,
        new: &'p SampledProfile,
        scale: Scale,
        have_same_text: impl Fn(&Function<'p>, &Function<'p>) -> bool,
    ) -> Diff<'p> {
        let (base_origins, new_origins) = (Origins::of(base.profile()), Origins::of(new.profile()));
        let is_own = |origins: &Origins, function: &Function<'_>| {
            origins.of_function(function) == Origin::Own
        };
        let is_by_line = |pair: &Pair<Function<'p>>| match (&pair.base, &pair.new) {
            (Some(base), Some(new)) => is_own(&new_origins, new) && have_same_text(base, new),
            (Some(base), None) => is_own(&base_origins, base),
            (None, new) => new.as_ref().is_some_and(|new| is_own(&new_origins, new)),
        };
        Diff::compare(base, new, scale, is_by_line)
    }

    fn compare(
        base: &'p SampledProfile,
        new: &'p SampledProfile,
        scale: Scale,
        is_by_line: impl Fn(&Pair<Function<'p>>) -> bool,
    ) -> Diff<'p> {
        let sides = Sides { base, new, scale };
        let functions = pairs::functions(base.profile(), new.profile());
        let lines = pairs::lines(base.profile(), new.profile(), &functions);
        let function_change = |(pair, self_time, total_time): (&Pair<_>, _, _)| FunctionChange {
            base: pair.base,
            new: pair.new,
            self_time,
            total_time,
        };
        let (base_stacks, new_stacks) = (base.with_native_frames(), new.with_native_frames());
        let in_stacks = pairs::functions(base_stacks, new_stacks);
        let lines_in_stacks = pairs::lines(base_stacks, new_stacks, &in_stacks);
        let told = |line: Line<'p>| (line.function, line.line);
        let line_change = |(pair, self_time, total_time): (&Pair<Line<'p>>, _, _)| LineChange {
            base: pair.base.map(told),
            new: pair.new.map(told),
            self_time,
            total_time,
        };
        Diff {
            functions: sides.changes(&functions).map(function_change).collect(),
            lines: sides.changes(&lines).map(line_change).collect(),
            stacks: Stacks::of(&sides, &in_stacks, &lines_in_stacks, is_by_line),
            base,
            new,
            scale,
        }
    }

    /// The time that is compared.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.new.blocks.mode()
    }

    /// How it is compared.
    #[must_use]
    pub fn scale(&self) -> Scale {
        self.scale
    }

    /// The recording before.
    #[must_use]
    pub fn base(&self) -> &'p Profile {
        self.base.profile()
    }

    /// The recording after.
    #[must_use]
    pub fn new_profile(&self) -> &'p Profile {
        self.new.profile()
    }

    /// The functions, by how much their own time differs, most first.
    #[must_use]
    pub fn functions(&self) -> Vec<&FunctionChange<'p>> {
        sorted(&self.functions, |row| (&row.self_time, &row.total_time))
    }

    /// The functions, by how much their total time differs, most first.
    #[must_use]
    pub fn functions_by_total(&self) -> Vec<&FunctionChange<'p>> {
        sorted(&self.functions, |row| (&row.total_time, &row.self_time))
    }

    /// The lines, by how much their own time differs, most first.
    #[must_use]
    pub fn lines(&self) -> Vec<&LineChange<'p>> {
        sorted(&self.lines, |row| (&row.self_time, &row.total_time))
    }

    /// The time of all threads, with and without Python frames.
    #[must_use]
    pub fn whole(&self) -> Change {
        let sides = Sides {
            base: self.base,
            new: self.new,
            scale: self.scale,
        };
        let mut whole = [sides.whole_change()];
        mark(&mut whole);
        let [whole] = whole;
        whole
    }

    /// The stacks of both sides.
    #[must_use]
    pub fn stacks(&self) -> &Stacks<'p> {
        &self.stacks
    }
}

/// By the first change, then the second, both without their signs; equal ones as they were seen.
fn sorted<T>(rows: &[T], changes: impl Fn(&T) -> (&Change, &Change)) -> Vec<&T> {
    let mut sorted: Vec<&T> = rows.iter().collect();
    let size = |change: &Change| change.seconds().abs();
    sorted.sort_by(|a, b| {
        let (a, b) = (changes(a), changes(b));
        let first = size(b.0).total_cmp(&size(a.0));
        first.then(size(b.1).total_cmp(&size(a.1)))
    });
    sorted
}

/// Both sides and how they are compared.
struct Sides<'p> {
    base: &'p SampledProfile,
    new: &'p SampledProfile,
    scale: Scale,
}

impl Sides<'_> {
    /// By what a time of the base is multiplied.
    fn base_factor(&self) -> f64 {
        let whole = self.base.whole_ns();
        match self.scale {
            Scale::Normalized if whole > 0.0 => self.new.whole_ns() / whole,
            _ => 1.0,
        }
    }

    /// Each pair with the change of its own and of its total time.
    fn changes<'a, T>(
        &self,
        pairs: &'a Pairs<T>,
    ) -> impl Iterator<Item = (&'a Pair<T>, Change, Change)> {
        let count = pairs.pairs.len();
        let base = Measured::of(self.base, &pairs.of_base_frame, count);
        let new = Measured::of(self.new, &pairs.of_new_frame, count);
        let column = |column| {
            let ids = 0..count;
            let mut changes: Vec<Change> =
                ids.map(|id| self.change(&base, &new, id, column)).collect();
            mark(&mut changes);
            changes
        };
        let columns = column(Column::Own).into_iter().zip(column(Column::Total));
        pairs
            .pairs
            .iter()
            .zip(columns)
            .map(|(pair, (own, total))| (pair, own, total))
    }

    fn change(&self, base: &Measured<'_>, new: &Measured<'_>, id: usize, column: Column) -> Change {
        let times = (base.time_ns(id, column), new.time_ns(id, column));
        let variances = (
            base.variance(id, column, self.scale),
            new.variance(id, column, self.scale),
        );
        self.tested(times, variances)
    }

    /// The change of all time; its part of itself does not vary.
    fn whole_change(&self) -> Change {
        let variance = |side: &SampledProfile| match self.scale {
            Scale::Seconds => Variation::of_whole(&side.blocks),
            Scale::Normalized => 0.0,
        };
        let times = (self.base.whole_ns(), self.new.whole_ns());
        self.tested(times, (variance(self.base), variance(self.new)))
    }

    /// Times in ns and variances in ns² of either side, before they are scaled.
    fn tested(&self, (base_ns, new_ns): (f64, f64), (base, new): (f64, f64)) -> Change {
        let factor = self.base_factor();
        let variance = factor * factor * base + new;
        let time = |side: &SampledProfile, ns: f64, factor: f64| Time {
            seconds: ns * factor / 1e9,
            share: share(ns, side.whole_ns()),
        };
        Change {
            base: time(self.base, base_ns, factor),
            new: time(self.new, new_ns, 1.0),
            error_seconds: variance.sqrt() / 1e9,
            p_value: noise::p_value(new_ns - base_ns * factor, variance),
            is_beyond_noise: false,
        }
    }
}

/// The times of one side by class, and how they vary.
struct Measured<'p> {
    side: &'p SampledProfile,
    sums: Vec<Sums>,
    variation: Variation,
}

impl<'p> Measured<'p> {
    fn of(side: &'p SampledProfile, class_of_frame: &[usize], class_count: usize) -> Measured<'p> {
        let profile = side.profile();
        let nodes = profile.stacks().iter();
        let class_of: Vec<usize> = nodes
            .map(|node| class_of_frame[node.frame.0 as usize])
            .collect();
        let classes = Classes::new(profile, &class_of, class_count);
        Measured {
            sums: classes.sums(sums::self_times(profile)),
            variation: Variation::new(&classes, &side.blocks),
            side,
        }
    }

    fn time_ns(&self, id: usize, column: Column) -> f64 {
        let sums = &self.sums[id];
        self.side.time_ns(match column {
            Column::Own => &sums.self_time,
            Column::Total => &sums.total_time,
        })
    }

    fn variance(&self, id: usize, column: Column, scale: Scale) -> f64 {
        let share = match scale {
            Scale::Seconds => 0.0,
            Scale::Normalized => share(self.time_ns(id, column), self.side.whole_ns()),
        };
        self.variation.of(id, column, share)
    }
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// Marks the changes of one column that are beyond noise. Rows without any time are none.
fn mark(changes: &mut [Change]) {
    let is_row = |change: &&mut Change| change.base.seconds > 0.0 || change.new.seconds > 0.0;
    let mut rows: Vec<&mut Change> = changes.iter_mut().filter(is_row).collect();
    let p_values: Vec<f64> = rows.iter().map(|change| change.p_value).collect();
    for (change, is_beyond) in rows.iter_mut().zip(noise::beyond_noise(&p_values)) {
        change.is_beyond_noise = is_beyond;
    }
}
