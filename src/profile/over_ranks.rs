//! Turns a profile of several ranks into how the time of each function and line is spread over them.
//!
//! The time of a rank is that of all threads of all processes of this rank; processes without a rank do
//! not count. A rank in which a function never appears has 0 of it. Ranks of several launches (two `mpirun` in
//! one script, two steps of a job) have nothing to do with each other: each launch is compared by itself.
//!
//! What counts of elapsed time is work: a rank that waits for a slower one has as much elapsed time as that one,
//! and would look as slow. Waiting for the disk counts too, since no other rank causes it. MPI libraries that poll
//! wait on a CPU, which cannot be told from work here.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::mem::{replace, take};
use std::ops::Add;

use super::event::{Nanos, State};
use super::functions::Function;
use super::{Mode, Profile, Row};

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
    /// By how much the slowest may exceed the mean by the chance of sampling alone, in seconds: if all ranks took the
    /// same time, in 95 of 100 recordings none would exceed it by more.
    pub chance_seconds: f64,
    /// What all ranks together wait if each waits for the slowest, in core-seconds: never more than the launch as a
    /// whole.
    pub cost_core_seconds: f64,
}

impl Spread {
    /// How much longer the slowest takes than the mean, as a part of the mean; `None` when that is 0.
    #[must_use]
    pub fn imbalance(&self) -> Option<f64> {
        (self.mean_seconds > 0.0).then(|| self.max_seconds / self.mean_seconds - 1.0)
    }

    /// Whether the slowest rank takes longer than chance explains.
    #[must_use]
    pub fn is_significant(&self) -> bool {
        self.max_seconds - self.mean_seconds > self.chance_seconds
    }

    /// What the ranks wait for the slowest at the least, in core-seconds: without what may be chance.
    fn certain_cost(&self) -> f64 {
        let certain = self.excess_core_seconds() - self.chance_seconds * f64::from(self.ranks);
        certain.clamp(0.0, self.cost_core_seconds.max(0.0))
    }

    fn excess_core_seconds(&self) -> f64 {
        (self.max_seconds - self.mean_seconds) * f64::from(self.ranks)
    }

    fn limited_to(self, core_seconds: f64) -> Spread {
        Spread {
            cost_core_seconds: self.excess_core_seconds().min(core_seconds),
            ..self
        }
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
    /// Compares the ranks of each launch that has two or more by the time of `mode`: first the launch with the most
    /// time; of equal ones, that with the lowest name.
    ///
    /// Takes time in proportion to the rows and their depths, and memory to the frames and the launches.
    #[must_use]
    pub fn of_launches(profile: &'p Profile, mode: Mode) -> Vec<OverRanks<'p>> {
        let launches = rows_of_ranks(profile).into_iter();
        let mut launches: Vec<_> = launches
            .filter(|(_, ranks)| ranks.len() > 1)
            .map(|(launch, ranks)| OverRanks::of_launch(profile, mode, launch, ranks))
            .collect();
        let time =
            |launch: &OverRanks<'_>| launch.whole.mean_seconds * f64::from(launch.whole.ranks);
        launches.sort_by(|a, b| time(b).total_cmp(&time(a)));
        launches
    }

    fn of_launch(
        profile: &'p Profile,
        mode: Mode,
        launch: Option<&'p str>,
        ranks: RowsOfRanks<'p>,
    ) -> OverRanks<'p> {
        let functions = Classes::of(profile.frames().iter().map(Function::from));
        let lines = profile.frames().iter();
        let lines = Classes::of(lines.map(|frame| (Function::from(frame), frame.line)));
        let interval = interval_seconds(&ranks);
        let spreads =
            |of_frame: &[usize], count| spreads(profile, mode, &ranks, (of_frame, count), interval);
        let of_functions = spreads(&functions.of_frame, functions.keys.len());
        let of_lines = spreads(&lines.of_frame, lines.keys.len());
        let mut whole = Spreading::default();
        for (rank, rows) in &ranks {
            let times = rows.iter().map(|row| work(row, mode));
            whole.push(*rank, times.fold(Nanos(0), Add::add));
        }
        let whole = whole.finish(ranks.len(), interval);
        let limit = launch_cost(&whole, &of_functions, waited_seconds(profile, &ranks));
        OverRanks {
            launch,
            whole: Spread {
                cost_core_seconds: limit,
                ..whole
            },
            ranks: ranks.into_keys().collect(),
            functions: functions
                .keys
                .into_iter()
                .zip(of_functions)
                .map(|(function, (self_time, total_time))| FunctionSpread {
                    function,
                    self_time: self_time.limited_to(limit),
                    total_time: total_time.limited_to(limit),
                })
                .collect(),
            lines: lines
                .keys
                .into_iter()
                .zip(of_lines)
                .map(|((function, line), (self_time, total_time))| LineSpread {
                    function,
                    line,
                    self_time: self_time.limited_to(limit),
                    total_time: total_time.limited_to(limit),
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

    /// The functions that took time, by what the imbalance of their self time costs, most first. What it costs for
    /// certain counts first, then what may be chance, then that of their total time, then the place.
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
    let by_certain = b.0.certain_cost().total_cmp(&a.0.certain_cost());
    let excess = |spread: &Spread| spread.excess_core_seconds();
    by_certain
        .then_with(|| excess(b.0).total_cmp(&excess(a.0)))
        .then_with(|| excess(b.1).total_cmp(&excess(a.1)))
}

/// The time of a row that the rank spent on its own account.
fn work(row: &Row, mode: Mode) -> Nanos {
    match mode {
        Mode::Wall if waits_for_others(row.state) => Nanos(0),
        mode => row.totals.time(mode),
    }
}

/// Whether another rank, or another thread of this one, may be what is waited for.
fn waits_for_others(state: State) -> bool {
    state.is_wait() && state != State::Disk
}

/// What the main threads of the ranks waited all together, in seconds.
fn waited_seconds(profile: &Profile, ranks: &RowsOfRanks<'_>) -> f64 {
    let is_main = |row: &&&Row| {
        let thread = profile.thread(row.thread);
        waits_for_others(row.state) && thread.is_some_and(|thread| thread.is_main)
    };
    let rows = ranks.values().flatten();
    rows.filter(is_main)
        .map(|row| row.totals.wall.seconds())
        .sum()
}

/// What imbalance costs a launch, in core-seconds: that of the work as a whole; or that of the functions, where
/// slow ranks take turns and the whole is even, as far as ranks have waited.
fn launch_cost(whole: &Spread, functions: &[(Spread, Spread)], waited_seconds: f64) -> f64 {
    let certain = functions
        .iter()
        .map(|(own, _)| own)
        .filter(|own| own.is_significant());
    let by_turns: f64 = certain.map(Spread::excess_core_seconds).sum();
    whole
        .excess_core_seconds()
        .max(by_turns.min(waited_seconds))
}

/// The mean time between two ticks of a thread, in seconds; 0 without any.
fn interval_seconds(ranks: &RowsOfRanks<'_>) -> f64 {
    let (mut wall, mut ticks) = (0.0, 0.0);
    for row in ranks.values().flatten() {
        wall += row.totals.wall.seconds();
        ticks += row.totals.samples as f64;
    }
    if ticks > 0.0 { wall / ticks } else { 0.0 }
}

/// By how much the largest of so many counts may exceed their mean by chance, in seconds. The number of ticks in a
/// function varies at most as if each were drawn by itself (Poisson); by Bernstein's inequality, one of `ranks`
/// counts of mean m exceeds it by t with a probability below `ranks` * exp(-t² / (2 (m + t/3))), here 5 %.
fn chance_seconds(mean_seconds: f64, interval_seconds: f64, ranks: u32) -> f64 {
    if interval_seconds <= 0.0 {
        return 0.0;
    }
    let mean = mean_seconds / interval_seconds;
    let log = (f64::from(ranks.max(1)) / 0.05).ln();
    let ticks = log / 3.0 + (log * log / 9.0 + 2.0 * log * mean).sqrt();
    ticks * interval_seconds
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

/// The self and the total time of each class, of which there are `count`.
fn spreads(
    profile: &Profile,
    mode: Mode,
    ranks: &RowsOfRanks<'_>,
    (of_frame, count): (&[usize], usize),
    interval_seconds: f64,
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
            let time = work(row, mode);
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
    let finish = |(own, total): (Spreading, Spreading)| {
        let finish = |spreading: Spreading| spreading.finish(ranks.len(), interval_seconds);
        (finish(own), finish(total))
    };
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
    fn finish(mut self, ranks: usize, interval_seconds: f64) -> Spread {
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
            chance_seconds: chance_seconds(self.mean, interval_seconds, self.ranks),
            cost_core_seconds: 0.0,
        }
        .limited_to(f64::INFINITY)
    }
}
