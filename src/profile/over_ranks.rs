//! Turns a profile of several ranks into how the time of each function and line is spread over them.
//!
//! The time of a rank is that of all threads of all processes of this rank; processes without a rank do
//! not count. A rank in which a function never appears has 0 of it. Ranks of several launches (two `mpirun` in
//! one script, two steps of a job) have nothing to do with each other: each launch is compared by itself.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::mem::{replace, take};
use std::ops::Add;

use super::event::Nanos;
use super::functions::Function;
use super::{Profile, Row, View};

/// One time of each rank.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Spread {
    /// How many ranks there are.
    pub ranks: u32,
    /// The least, in seconds.
    pub min_seconds: f64,
    /// The mean.
    pub mean_seconds: f64,
    /// The most.
    pub max_seconds: f64,
    /// The standard deviation: the root of the mean squared distance to the mean, as these are all ranks
    /// and no sample of them.
    pub deviation_seconds: f64,
    /// The rank with the most, the lowest of several; `None` when all have the same.
    pub slowest: Option<u32>,
}

impl Spread {
    /// How much longer the slowest takes than the mean, as a part of the mean; `None` when that is 0.
    #[must_use]
    pub fn imbalance(&self) -> Option<f64> {
        (self.mean_seconds > 0.0).then(|| self.max_seconds / self.mean_seconds - 1.0)
    }

    /// What all ranks together would wait if each waited for the slowest: core-seconds.
    #[must_use]
    pub fn cost_core_seconds(&self) -> f64 {
        (self.max_seconds - self.mean_seconds) * f64::from(self.ranks)
    }
}

/// A function over the ranks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FunctionSpread<'p> {
    /// The function.
    pub function: Function<'p>,
    /// The time in the function itself.
    pub self_time: Spread,
    /// The time in the function and what it called.
    pub total_time: Spread,
}

/// A line over the ranks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LineSpread<'p> {
    /// The function that the line belongs to.
    pub function: Function<'p>,
    /// The line; `None` where it could not be told.
    pub line: Option<u32>,
    /// The time in the line itself.
    pub self_time: Spread,
    /// The time in the line and what it called.
    pub total_time: Spread,
}

/// The functions and lines of a profile over its ranks.
#[derive(Debug, Clone)]
pub struct OverRanks<'p> {
    launch: Option<&'p str>,
    ranks: Vec<u32>,
    whole: Spread,
    functions: Vec<FunctionSpread<'p>>,
    lines: Vec<LineSpread<'p>>,
}

impl<'p> OverRanks<'p> {
    /// Compares the ranks of each launch that has two or more by the time of `view`: first the launch with the most
    /// time; of equal ones, that with the lowest name.
    ///
    /// Takes time in proportion to the rows and their depths, and memory to the frames and the launches.
    #[must_use]
    pub fn of_launches(profile: &'p Profile, view: View) -> Vec<OverRanks<'p>> {
        let launches = rows_of_ranks(profile).into_iter();
        let mut launches: Vec<_> = launches
            .filter(|(_, ranks)| ranks.len() > 1)
            .map(|(launch, ranks)| OverRanks::of_launch(profile, view, launch, ranks))
            .collect();
        let time =
            |launch: &OverRanks<'_>| launch.whole.mean_seconds * f64::from(launch.whole.ranks);
        launches.sort_by(|a, b| time(b).total_cmp(&time(a)));
        launches
    }

    fn of_launch(
        profile: &'p Profile,
        view: View,
        launch: Option<&'p str>,
        ranks: RowsOfRanks<'p>,
    ) -> OverRanks<'p> {
        let functions = Classes::of(profile.frames().iter().map(Function::from));
        let lines = profile.frames().iter();
        let lines = Classes::of(lines.map(|frame| (Function::from(frame), frame.line)));
        let spreads = |of_frame: &[usize], count| spreads(profile, view, &ranks, of_frame, count);
        let of_functions = spreads(&functions.of_frame, functions.keys.len());
        let of_lines = spreads(&lines.of_frame, lines.keys.len());
        let mut whole = Spreading::default();
        for (rank, rows) in &ranks {
            let times = rows.iter().map(|row| row.totals.time(view));
            whole.push(*rank, times.fold(Nanos(0), Add::add));
        }
        OverRanks {
            launch,
            whole: whole.finish(ranks.len()),
            ranks: ranks.into_keys().collect(),
            functions: functions
                .keys
                .into_iter()
                .zip(of_functions)
                .map(|(function, (self_time, total_time))| FunctionSpread {
                    function,
                    self_time,
                    total_time,
                })
                .collect(),
            lines: lines
                .keys
                .into_iter()
                .zip(of_lines)
                .map(|((function, line), (self_time, total_time))| LineSpread {
                    function,
                    line,
                    self_time,
                    total_time,
                })
                .collect(),
        }
    }

    /// What tells the launch from others; `None`: not known.
    #[must_use]
    pub fn launch(&self) -> Option<&'p str> {
        self.launch
    }

    /// The ranks, in ascending order.
    #[must_use]
    pub fn ranks(&self) -> &[u32] {
        &self.ranks
    }

    /// The time of all functions together.
    #[must_use]
    pub fn whole(&self) -> Spread {
        self.whole
    }

    /// The functions that took time, by what the imbalance of their self time costs, most first; equal
    /// ones by that of their total time, then by place.
    #[must_use]
    pub fn functions(&self) -> Vec<&FunctionSpread<'p>> {
        let mut rows: Vec<_> = self.functions.iter().collect();
        rows.retain(|row| row.total_time.max_seconds > 0.0);
        rows.sort_by(|a, b| {
            by_cost((&a.self_time, &a.total_time), (&b.self_time, &b.total_time))
                .then_with(|| a.function.cmp(&b.function))
        });
        rows
    }

    /// The lines, in the same way.
    #[must_use]
    pub fn lines(&self) -> Vec<&LineSpread<'p>> {
        let mut rows: Vec<_> = self.lines.iter().collect();
        rows.retain(|row| row.total_time.max_seconds > 0.0);
        rows.sort_by(|a, b| {
            by_cost((&a.self_time, &a.total_time), (&b.self_time, &b.total_time))
                .then_with(|| (a.function, a.line).cmp(&(b.function, b.line)))
        });
        rows
    }
}

/// Compares self and total times, the costlier first.
fn by_cost(a: (&Spread, &Spread), b: (&Spread, &Spread)) -> Ordering {
    let costs = |spread: &Spread| spread.cost_core_seconds();
    let by_self = costs(b.0).total_cmp(&costs(a.0));
    by_self.then_with(|| costs(b.1).total_cmp(&costs(a.1)))
}

/// The rows of each rank of one launch.
type RowsOfRanks<'p> = BTreeMap<u32, Vec<&'p Row>>;

/// The rows of each rank of each launch.
fn rows_of_ranks(profile: &Profile) -> BTreeMap<Option<&str>, RowsOfRanks<'_>> {
    let mut launches: BTreeMap<Option<&str>, RowsOfRanks<'_>> = BTreeMap::new();
    // A rank without a row is one all the same.
    for process in profile.processes() {
        if let Some(rank) = process.rank {
            let ranks = launches.entry(process.launch.as_deref()).or_default();
            ranks.entry(rank).or_default();
        }
    }
    for row in profile.rows() {
        let process = profile.thread(row.thread).map(|thread| thread.process);
        let process = process.and_then(|process| profile.process(process));
        let rows = process.and_then(|process| {
            let ranks = launches.get_mut(&process.launch.as_deref())?;
            ranks.get_mut(&process.rank?)
        });
        if let Some(rows) = rows {
            rows.push(row);
        }
    }
    launches
}

/// Equal keys of frames are one class.
struct Classes<K> {
    keys: Vec<K>,
    /// By [`FrameId`].
    of_frame: Vec<usize>,
}

impl<K: Copy + Eq + Hash> Classes<K> {
    fn of(keys_of_frames: impl Iterator<Item = K>) -> Classes<K> {
        let mut keys = Vec::new();
        let mut known: HashMap<K, usize> = HashMap::new();
        let class_of = |key| {
            *known.entry(key).or_insert_with(|| {
                keys.push(key);
                keys.len() - 1
            })
        };
        let of_frame = keys_of_frames.map(class_of).collect();
        Classes { keys, of_frame }
    }
}

/// The self and the total time of each class.
fn spreads(
    profile: &Profile,
    view: View,
    ranks: &RowsOfRanks<'_>,
    of_frame: &[usize],
    count: usize,
) -> Vec<(Spread, Spread)> {
    let mut spreading = vec![(Spreading::default(), Spreading::default()); count];
    // Those of one rank, and the classes that have one.
    let mut times = vec![(Nanos(0), Nanos(0)); count];
    let mut touched = Vec::new();
    // The number of the last row that a class was counted for.
    let mut counted_for = vec![0_usize; count];
    let mut number = 0;
    for (rank, rows) in ranks {
        for row in rows {
            number += 1;
            let time = row.totals.time(view);
            if time == Nanos(0) {
                continue;
            }
            for (depth, frame) in profile.frame_ids_of(row.stack).enumerate() {
                let class = of_frame[frame.0 as usize];
                if times[class] == (Nanos(0), Nanos(0)) {
                    touched.push(class);
                }
                if depth == 0 {
                    times[class].0 += time;
                }
                if replace(&mut counted_for[class], number) != number {
                    times[class].1 += time;
                }
            }
        }
        for class in touched.drain(..) {
            let (own, total) = take(&mut times[class]);
            spreading[class].0.push(*rank, own);
            spreading[class].1.push(*rank, total);
        }
    }
    let finish =
        |(own, total): (Spreading, Spreading)| (own.finish(ranks.len()), total.finish(ranks.len()));
    spreading.into_iter().map(finish).collect()
}

/// The sums behind a [`Spread`], rank by rank in ascending order, with the running mean and squared distances
/// of B. P. Welford, "Note on a Method for Calculating Corrected Sums of Squares and Products",
/// Technometrics 4, 1962: equal times have a deviation of exactly 0.
#[derive(Debug, Clone, Copy, Default)]
struct Spreading {
    ranks: u32,
    min: Nanos,
    max: Nanos,
    slowest: Option<u32>,
    mean: f64,
    squares: f64,
}

impl Spreading {
    fn push(&mut self, rank: u32, time: Nanos) {
        self.min = if self.ranks == 0 {
            time
        } else {
            self.min.min(time)
        };
        if time > self.max {
            (self.max, self.slowest) = (time, Some(rank));
        }
        self.ranks += 1;
        let distance = time.seconds() - self.mean;
        self.mean += distance / f64::from(self.ranks);
        self.squares += distance * (time.seconds() - self.mean);
    }

    /// With 0 for each rank that did not come.
    fn finish(mut self, ranks: usize) -> Spread {
        while (self.ranks as usize) < ranks {
            self.push(0, Nanos(0));
        }
        Spread {
            ranks: self.ranks,
            min_seconds: self.min.seconds(),
            mean_seconds: self.mean,
            max_seconds: self.max.seconds(),
            deviation_seconds: (self.squares / f64::from(self.ranks.max(1))).sqrt(),
            slowest: self.slowest.filter(|_| self.max > self.min),
        }
    }
}
