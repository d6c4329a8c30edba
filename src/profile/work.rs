//! Turns the rows of a profile into the time of each class of work, and of threads without Python frames.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::attributes::{Attribute, AttributesId};
use super::event::{Nanos, ThreadId};
use super::native_sums::NativeTotals;
use super::{Mode, Profile, Row, Totals};

/// The class of what the interpreter does, and of Python code.
pub const PYTHON: &str = "python";

/// The time of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkRow<'p> {
    /// A word of the table of classes, or the file name of a library; `None`: time of which no native sample tells.
    pub class: Option<&'p str>,
    /// The sums over its samples.
    pub totals: Totals,
}

/// Threads without Python frames that have the same name, but for numbers in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NativeThreads<'p> {
    /// The name, with `*` for each number.
    pub name: String,
    /// How many threads.
    pub threads: usize,
    /// The sums over their native samples.
    pub totals: NativeTotals,
    /// The time of each class, longest first.
    pub classes: Vec<(Option<&'p str>, NativeTotals)>,
}

impl Profile {
    /// Leaves the time of some classes of work alone.
    pub fn keep_work(&mut self, is_kept: impl Fn(&str) -> bool) {
        let is_row =
            |profile: &Profile, row: &Row| class_of(profile, row.attributes).is_some_and(&is_kept);
        self.keep_rows(is_row);
        if let Some(refined) = self.refined_mut() {
            refined.keep_rows(is_row);
        }
    }
}

/// The class of work of a set of attributes.
#[must_use]
pub fn class_of(profile: &Profile, attributes: Option<AttributesId>) -> Option<&str> {
    let attributes = profile.attributes(attributes?)?;
    attributes
        .0
        .get(&Attribute::NativeClass)
        .map(String::as_str)
}

/// The classes, those with most time first; empty where no native sample tells of one.
#[must_use]
pub fn classes(profile: &Profile, mode: Mode) -> Vec<WorkRow<'_>> {
    let mut sums: BTreeMap<Option<&str>, Totals> = BTreeMap::new();
    for row in profile.rows() {
        *sums.entry(class_of(profile, row.attributes)).or_default() += row.totals;
    }
    if sums.keys().all(Option::is_none) {
        return Vec::new();
    }
    let rows = sums.into_iter();
    let mut rows: Vec<WorkRow<'_>> = rows
        .map(|(class, totals)| WorkRow { class, totals })
        .collect();
    rows.sort_by_key(|row| Reverse(row.totals.time(mode)));
    rows
}

/// The time of one class over the ranks of all launches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkSpread {
    /// How many ranks there are.
    pub ranks: usize,
    /// The least time of a rank.
    pub min: Nanos,
    /// The mean, rounded down.
    pub mean: Nanos,
    /// The most.
    pub max: Nanos,
    /// The rank that takes most.
    pub slowest: u32,
}

/// How the time of a class is spread over the ranks; `None` for less than two ranks.
#[must_use]
pub fn over_ranks(profile: &Profile, class: Option<&str>, mode: Mode) -> Option<WorkSpread> {
    let rank_of = |thread: ThreadId| {
        let process = profile.process(profile.thread(thread)?.process)?;
        Some((process.launch.as_deref(), process.rank?))
    };
    let mut times: BTreeMap<(Option<&str>, u32), Nanos> = BTreeMap::new();
    for row in profile.rows() {
        if let Some(rank) = rank_of(row.thread) {
            let sum = times.entry(rank).or_default();
            if class_of(profile, row.attributes) == class {
                *sum += row.totals.time(mode);
            }
        }
    }
    let whole: u128 = times.values().map(|time| u128::from(time.0)).sum();
    // The first of equal ones.
    let slowest = times.iter().rev().max_by_key(|(_, time)| **time)?;
    (times.len() > 1).then(|| WorkSpread {
        ranks: times.len(),
        min: times.values().min().copied().unwrap_or_default(),
        mean: Nanos((whole / times.len() as u128) as u64),
        max: *slowest.1,
        slowest: slowest.0.1,
    })
}

/// The threads without Python frames by name, those with most CPU time first.
#[must_use]
pub fn native_threads(profile: &Profile) -> Vec<NativeThreads<'_>> {
    let mut groups: BTreeMap<String, Group<'_>> = BTreeMap::new();
    for row in profile.native_threads() {
        let name = profile.thread(row.thread).and_then(|it| it.name.as_deref());
        let (threads, classes) = groups.entry(without_numbers(name)).or_default();
        threads.push(row.thread);
        let sum = classes.entry(class_of(profile, row.attributes));
        sum.or_default().add(row.totals);
    }
    let mut rows: Vec<_> = groups
        .into_iter()
        .map(|(name, group)| summed(name, group))
        .collect();
    rows.sort_by_key(|row| Reverse((row.totals.cpu, row.totals.wall)));
    rows
}

/// The threads of one name, and the time of each class.
type Group<'p> = (Vec<ThreadId>, BTreeMap<Option<&'p str>, NativeTotals>);

fn summed(name: String, (mut threads, classes): Group<'_>) -> NativeThreads<'_> {
    threads.sort_unstable();
    threads.dedup();
    let mut totals = NativeTotals::default();
    classes.values().for_each(|sum| totals.add(*sum));
    let mut classes: Vec<_> = classes.into_iter().collect();
    classes.sort_by_key(|(_, sum)| Reverse((sum.wall, sum.cpu)));
    NativeThreads {
        name,
        threads: threads.len(),
        totals,
        classes,
    }
}

/// A name with `*` for each number in it: threads of one pool have one.
fn without_numbers(name: Option<&str>) -> String {
    let mut pattern = String::new();
    for c in name.unwrap_or("without a name").chars() {
        match c.is_ascii_digit() {
            true if pattern.ends_with('*') => {}
            true => pattern.push('*'),
            false => pattern.push(c),
        }
    }
    pattern
}
