//! Turns native samples into native frames in the stacks of a profile, and into the class of work of each of its rows.
//!
//! Python samples stay as they are. Those of one thread, Python stack and state share their time by the native samples of
//! the same: each merged stack has the part that its native samples stand for. Few native samples tell of many stacks, so
//! what has none of its own has those of the nearest that is known:
//!
//! 1. the same thread, stack and state;
//! 2. the same thread and stack in any state in which it runs;
//! 3. the same stack in any thread;
//! 4. the same innermost frame: only what is inside of it;
//! 5. the same innermost function, likewise.
//!
//! Where nothing is known there are no native frames. All sums are divided to the nanosecond, so Python functions have the
//! same times with and without them. It is done once, when all events have come.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::attributes::{Attribute, Attributes, AttributesId};
use super::event::{FrameId, Nanos, Sample, StackId, State, ThreadId};
use super::functions::Function;
use super::limits::{MAX_ATTRIBUTES, MAX_READ_ROWS};
use super::named_stacks::NamedStacks;
use super::native_definitions::AnyStack;
use super::native_frames::{NativeFrames, WorkClasses};
use super::native_sums::{NativeKey, NativeTotals};
use super::native_threads::NativeThreadRow;
use super::shares::parts;
use super::timeline::{self, Timeline};
use super::{Profile, Row, Totals};

/// Of what is inside of one frame or function, so many different tails are applied to other stacks, those of the longest
/// time.
const MAX_TAILS: usize = 32;

/// A merged stack, as far as it is shared out.
#[derive(Debug, Clone, Copy)]
struct Shape {
    stack: Option<StackId>,
    /// An index into the tails.
    tail: usize,
    /// An index into the classes.
    class: Option<usize>,
}

/// By what is asked for, each answer and its weight, in the order in which they were first seen.
struct Weighted<K, V> {
    of: FxHashMap<K, Vec<(V, u64)>>,
    index_of: FxHashMap<(K, V), usize>,
}

impl<K: Copy + Eq + Hash, V: Copy + Eq + Hash> Weighted<K, V> {
    fn new() -> Weighted<K, V> {
        Weighted {
            of: FxHashMap::default(),
            index_of: FxHashMap::default(),
        }
    }

    fn add(&mut self, key: K, value: V, weight: u64) {
        let known = self.of.entry(key).or_default();
        let index = *self.index_of.entry((key, value)).or_insert(known.len());
        match known.get_mut(index) {
            Some((_, sum)) => *sum = sum.saturating_add(weight),
            None => known.push((value, weight)),
        }
    }

    fn get(&self, key: K) -> Option<&[(V, u64)]> {
        self.of.get(&key).map(Vec::as_slice)
    }

    /// Leaves the heaviest answers alone.
    fn bound(&mut self, most: usize) {
        for known in self.of.values_mut().filter(|known| known.len() > most) {
            known.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
            known.truncate(most);
        }
    }
}

/// What native samples say of the stacks of a profile.
struct Refiner<'c> {
    stacks: NamedStacks,
    work: &'c dyn WorkClasses,
    shapes: Vec<Shape>,
    shape_of: FxHashMap<AnyStack, usize>,
    tails: Vec<Vec<FrameId>>,
    tail_of: FxHashMap<Vec<FrameId>, usize>,
    classes: Vec<String>,
    class_of: FxHashMap<String, usize>,
    attributes: FxHashMap<Attributes, AttributesId>,
    /// By frame: a number of its function.
    function_of: Vec<u32>,
    by_state: Weighted<(ThreadId, Option<StackId>, State), usize>,
    by_thread: Weighted<(ThreadId, Option<StackId>, State), usize>,
    by_stack: Weighted<(StackId, State), usize>,
    by_frame: Weighted<(FrameId, State), (usize, Option<usize>)>,
    by_function: Weighted<(u32, State), (usize, Option<usize>)>,
}

/// A part of a row: its stack, the class of its work, and its weight.
type Share = ((Option<StackId>, Option<usize>), u64);

impl Profile {
    /// Gives the stacks native frames, as the module says, and each row the class of its work
    /// ([`Attribute::NativeClass`]). What is given is in [`Profile::with_native_frames`]; the functions, lines and times of
    /// this profile stay as they are. Without native samples nothing changes.
    pub fn refine(&mut self, shows: NativeFrames, work: &dyn WorkClasses) {
        if shows == NativeFrames::None || !self.has_native_samples() {
            return;
        }
        let mut refiner = Refiner::of(self, shows, work);
        let (mut own, mut refined) = (Rows::default(), Rows::default());
        for (row, squares) in self.rows_with_squares() {
            let shares = refiner.shares(row, refined.rows.len());
            refiner.divide(row, squares, &shares, &mut own, &mut refined);
        }
        let threads = refiner.native_threads(self);
        let timeline = self.timeline().and_then(|it| refiner.timeline(self, it));
        let definitions = Arc::new(refiner.stacks.definitions);
        let profile = self.with_rows(definitions, refined.rows, refined.squares, timeline);
        self.set_refined(own.rows, own.squares, profile, threads);
    }
}

/// Rows of a profile that is made.
#[derive(Default)]
struct Rows {
    rows: Vec<Row>,
    squares: Vec<f64>,
}

impl Rows {
    fn push(&mut self, row: Row, squares: f64) {
        self.rows.push(row);
        self.squares.push(squares);
    }
}

impl<'c> Refiner<'c> {
    fn of(profile: &Profile, shows: NativeFrames, work: &'c dyn WorkClasses) -> Refiner<'c> {
        let definitions = profile.definitions();
        let mut numbers: FxHashMap<Function<'_>, u32> = FxHashMap::default();
        let function_of = definitions.frames.iter().map(|frame| {
            let next = numbers.len() as u32;
            *numbers.entry(Function::from(frame)).or_insert(next)
        });
        let function_of = function_of.collect();
        let sets = (0..).map(AttributesId::new).zip(&definitions.attributes);
        let mut refiner = Refiner {
            attributes: sets.map(|(id, set)| (set.clone(), id)).collect(),
            stacks: NamedStacks::new(Arc::clone(definitions), shows),
            work,
            shapes: Vec::new(),
            shape_of: FxHashMap::default(),
            tails: Vec::new(),
            tail_of: FxHashMap::default(),
            classes: Vec::new(),
            class_of: FxHashMap::default(),
            function_of,
            by_state: Weighted::new(),
            by_thread: Weighted::new(),
            by_stack: Weighted::new(),
            by_frame: Weighted::new(),
            by_function: Weighted::new(),
        };
        for (key, totals) in profile.native_sums() {
            refiner.learn(profile, *key, *totals);
        }
        refiner.by_frame.bound(MAX_TAILS);
        refiner.by_function.bound(MAX_TAILS);
        refiner
    }

    fn learn(&mut self, profile: &Profile, key: NativeKey, totals: NativeTotals) {
        let Some(stack) = profile.shared(key.stack) else {
            return;
        };
        if !self.stacks.has_frames_of(key.merged, stack) {
            return;
        }
        let shape = self.shape(key.merged);
        let weight = totals.wall.0;
        let doing = doing(key.state);
        self.by_state
            .add((key.thread, stack, key.state), shape, weight);
        self.by_thread
            .add((key.thread, stack, doing), shape, weight);
        let Some(stack) = stack else {
            return;
        };
        self.by_stack.add((stack, doing), shape, weight);
        let Shape { tail, class, .. } = self.shapes[shape];
        if let Some(frame) = self.stacks.innermost(stack) {
            self.by_frame.add((frame, doing), (tail, class), weight);
            let function = self.function_of[frame.0 as usize];
            self.by_function
                .add((function, doing), (tail, class), weight);
        }
    }

    fn shape(&mut self, merged: AnyStack) -> usize {
        if let Some(known) = self.shape_of.get(&merged) {
            return *known;
        }
        let class = self.class(merged);
        let tail = self.stacks.tail(merged);
        let next = self.tails.len();
        let tail = *self.tail_of.entry(tail).or_insert_with_key(|tail| {
            self.tails.push(tail.clone());
            next
        });
        let stack = self.stacks.shown(merged);
        self.shapes.push(Shape { stack, tail, class });
        let index = self.shapes.len() - 1;
        self.shape_of.insert(merged, index);
        index
    }

    fn class(&mut self, merged: AnyStack) -> Option<usize> {
        let work = self.work;
        let class = self
            .stacks
            .functions(merged, |functions| work.class_of(functions))?;
        let next = self.classes.len();
        Some(*self.class_of.entry(class).or_insert_with_key(|class| {
            self.classes.push(class.clone());
            next
        }))
    }

    /// How a row is shared out; empty: there is nothing known of it, or there are too many rows.
    fn shares(&mut self, row: &Row, rows: usize) -> Vec<Share> {
        if rows >= MAX_READ_ROWS {
            return Vec::new();
        }
        let doing = doing(row.state);
        let same = self.by_state.get((row.thread, row.stack, row.state));
        let same = same.or_else(|| self.by_thread.get((row.thread, row.stack, doing)));
        let same = same.or_else(|| self.by_stack.get((row.stack?, doing)));
        let mut sums: BTreeMap<(Option<StackId>, Option<usize>), u64> = BTreeMap::new();
        let mut add = |stack, class, weight| {
            let sum = sums.entry((stack, class)).or_default();
            *sum = u64::saturating_add(*sum, weight);
        };
        if let Some(same) = same {
            for (shape, weight) in same {
                let Shape { stack, class, .. } = self.shapes[*shape];
                add(stack, class, *weight);
            }
        } else if let Some(stack) = row.stack
            && let Some(frame) = self.stacks.innermost(stack)
        {
            let function = self.function_of[frame.0 as usize];
            let tails = self.by_frame.get((frame, doing));
            let tails = tails.or_else(|| self.by_function.get((function, doing)));
            for ((tail, class), weight) in tails.unwrap_or_default() {
                let stack = self.stacks.extend(stack, &self.tails[*tail]);
                add(Some(stack), *class, *weight);
            }
        }
        sums.into_iter().collect()
    }

    fn divide(
        &mut self,
        row: &Row,
        squares: f64,
        shares: &[Share],
        own: &mut Rows,
        refined: &mut Rows,
    ) {
        if shares.is_empty() {
            own.push(*row, squares);
            refined.push(*row, squares);
            return;
        }
        let weights: Vec<u64> = shares.iter().map(|(_, weight)| *weight).collect();
        let whole: f64 = weights.iter().map(|weight| *weight as f64).sum();
        let mut by_class: BTreeMap<Option<usize>, (Totals, f64)> = BTreeMap::new();
        let totals = divided(&row.totals, &weights);
        for (((stack, class), weight), totals) in shares.iter().zip(totals) {
            let part = match whole > 0.0 {
                true => *weight as f64 / whole,
                false => 1.0 / weights.len() as f64,
            };
            let attributes = self.with_class(row.attributes, *class);
            let refined_row = Row {
                stack: *stack,
                attributes,
                totals,
                ..*row
            };
            refined.push(refined_row, squares * part);
            let (sum, sum_of_squares) = by_class.entry(*class).or_default();
            *sum += totals;
            *sum_of_squares += squares * part;
        }
        for (class, (totals, squares)) in by_class {
            let attributes = self.with_class(row.attributes, class);
            let own_row = Row {
                attributes,
                totals,
                ..*row
            };
            own.push(own_row, squares);
        }
    }

    /// The runs with native frames: of equal ones, each has one of the stacks that they share, in turn by their weights.
    /// `None`: there is no room for all.
    fn timeline(&mut self, profile: &Profile, timeline: &Timeline) -> Option<Timeline> {
        let mut refined = Timeline::with_max_bytes(timeline::MAX_BYTES);
        let mut turns: FxHashMap<(ThreadId, Option<StackId>, State), Turns> = FxHashMap::default();
        for thread in (0..profile.threads().len() as u32).map(ThreadId) {
            for run in timeline.runs(thread) {
                let row = Row {
                    thread,
                    stack: run.stack,
                    state: run.state,
                    attributes: run.attributes,
                    totals: Totals::default(),
                };
                let turns = turns
                    .entry((thread, run.stack, run.state))
                    .or_insert_with(|| Turns::new(self.shares(&row, 0)));
                let (stack, class) = turns.next(run.wall).unwrap_or((run.stack, None));
                let run = Sample {
                    stack,
                    attributes: self.with_class(run.attributes, class),
                    ..run
                };
                if !refined.push(run) {
                    return None;
                }
            }
        }
        timeline
            .losses()
            .iter()
            .for_each(|loss| refined.lose(*loss));
        Some(refined)
    }

    /// A set of attributes with a class of work.
    fn with_class(
        &mut self,
        base: Option<AttributesId>,
        class: Option<usize>,
    ) -> Option<AttributesId> {
        let Some(class) = class else {
            return base;
        };
        let sets = &mut self.stacks.definitions.attributes;
        let known = base.and_then(|id| sets.get(id.number() as usize));
        let mut set = known.cloned().unwrap_or_default();
        set.0
            .insert(Attribute::NativeClass, self.classes[class].clone());
        if let Some(known) = self.attributes.get(&set) {
            return Some(*known);
        }
        if sets.len() >= MAX_ATTRIBUTES as usize {
            return base;
        }
        let id = AttributesId::new(sets.len() as u32);
        self.stacks.definitions.define_attributes(id, set.clone());
        self.attributes.insert(set, id);
        Some(id)
    }

    /// The threads that never had a Python frame.
    fn native_threads(&mut self, profile: &Profile) -> Vec<NativeThreadRow> {
        let mut rows = Vec::new();
        for (key, totals) in profile.native_sums() {
            if key.stack.is_some() || !profile.is_native_thread(key.thread) {
                continue;
            }
            let class = self.class(key.merged);
            rows.push(NativeThreadRow {
                thread: key.thread,
                stack: self.stacks.whole(key.merged),
                state: key.state,
                attributes: self.with_class(None, class),
                totals: *totals,
            });
        }
        rows
    }
}

/// Whose turn it is among the stacks that share the time of equal runs.
struct Turns {
    shares: Vec<Share>,
    /// By share: how much time it should have had beyond what it had, times the sum of all weights.
    owed: Vec<i128>,
}

impl Turns {
    fn new(shares: Vec<Share>) -> Turns {
        let owed = vec![0; shares.len()];
        Turns { shares, owed }
    }

    /// What the next run has; `None`: nothing is known of it.
    fn next(&mut self, wall: Nanos) -> Option<(Option<StackId>, Option<usize>)> {
        let wall = i128::from(wall.0.max(1));
        let mut whole = 0;
        for ((_, weight), owed) in self.shares.iter().zip(&mut self.owed) {
            let weight = i128::from((*weight).max(1));
            whole += weight;
            *owed = owed.saturating_add(weight.saturating_mul(wall));
        }
        // The first of equal ones.
        let most = self.owed.iter().max()?;
        let index = self.owed.iter().position(|owed| owed == most)?;
        self.owed[index] = self.owed[index].saturating_sub(wall.saturating_mul(whole));
        Some(self.shares[index].0)
    }
}

/// All states in which a thread runs are one.
fn doing(state: State) -> State {
    match state.is_wait() && state != State::Ready {
        true => state,
        false => State::Python,
    }
}

/// The parts of sums by these weights.
fn divided(totals: &Totals, weights: &[u64]) -> Vec<Totals> {
    let of = |sum: u64| parts(sum, weights).into_iter();
    let mut divided = vec![Totals::default(); weights.len()];
    let mut set = |sum: u64, field: fn(&mut Totals) -> &mut u64| {
        if sum > 0 {
            for (totals, part) in divided.iter_mut().zip(of(sum)) {
                *field(totals) = part;
            }
        }
    };
    set(totals.samples, |it| &mut it.samples);
    set(totals.wall.0, |it| &mut it.wall.0);
    set(totals.cpu.0, |it| &mut it.cpu.0);
    set(totals.gil.0, |it| &mut it.gil.0);
    set(totals.helpers_cpu.0, |it| &mut it.helpers_cpu.0);
    set(totals.blocked_others.0, |it| &mut it.blocked_others.0);
    set(totals.grown_bytes, |it| &mut it.grown_bytes);
    set(totals.shrunk_bytes, |it| &mut it.shrunk_bytes);
    set(totals.unsure_bytes, |it| &mut it.unsure_bytes);
    divided
}
