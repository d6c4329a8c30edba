//! Turns the rows of a profile into the time of each asyncio task.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashSet;

use super::attributes::Attribute;
use super::event::ThreadId;
use super::{Mode, Profile, Row, Totals};

/// What stands between the names in [`Attribute::TaskParents`].
pub const PARENTS_BETWEEN: &str = "\n";

/// One task, or several of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRow<'p> {
    /// The name that the program gave it, else the function of its coroutine; `None`: the time of the threads that ran tasks in
    /// which they ran none.
    pub name: Option<&'p str>,
    /// The sums over its samples.
    pub totals: Totals,
    /// How many tasks that is; 0 where the recording does not tell tasks of one name apart.
    pub count: usize,
    /// The functions of their coroutines, in alphabetical order.
    pub coroutines: Vec<&'p str>,
    /// The tasks that waited for them when they were first seen, as `name` has them, in alphabetical order.
    pub parents: Vec<&'p str>,
}

/// What is known of the tasks of one name beside their times.
#[derive(Debug, Default)]
struct Known<'p> {
    count: usize,
    coroutines: BTreeSet<&'p str>,
    parents: BTreeSet<&'p str>,
}

/// The task of a row, if it has one.
#[must_use]
pub fn task_of<'p>(profile: &'p Profile, row: &Row) -> Option<&'p str> {
    let attributes = profile.attributes(row.attributes?)?;
    attributes.0.get(&Attribute::Task).map(String::as_str)
}

/// The tasks, those with most time first, and then what belongs to none; empty where no sample belongs to a task.
#[must_use]
pub fn tasks(profile: &Profile, mode: Mode) -> Vec<TaskRow<'_>> {
    let mut sums: BTreeMap<&str, Totals> = BTreeMap::new();
    let mut with_tasks: FxHashSet<ThreadId> = FxHashSet::default();
    for row in profile.rows() {
        if let Some(name) = task_of(profile, row) {
            let sum = sums.entry(name).or_default();
            *sum += row.totals;
            with_tasks.insert(row.thread);
        }
    }
    let mut known = known(profile);
    let row = |(name, totals)| {
        let Known {
            count,
            coroutines,
            parents,
        } = known.remove(name).unwrap_or_default();
        TaskRow {
            name: Some(name),
            totals,
            count,
            coroutines: coroutines.into_iter().collect(),
            parents: parents.into_iter().collect(),
        }
    };
    let mut rows: Vec<TaskRow<'_>> = sums.into_iter().map(row).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.totals.time(mode)));
    let of_none = profile
        .rows()
        .iter()
        .filter(|row| with_tasks.contains(&row.thread) && task_of(profile, row).is_none());
    let totals = of_none.fold(Totals::default(), |sum, row| sum + row.totals);
    if totals != Totals::default() {
        rows.push(TaskRow {
            name: None,
            totals,
            count: 0,
            coroutines: Vec::new(),
            parents: Vec::new(),
        });
    }
    rows
}

/// By name of a task.
fn known(profile: &Profile) -> BTreeMap<&str, Known<'_>> {
    let mut by_name: BTreeMap<&str, Known<'_>> = BTreeMap::new();
    for set in profile.task_counts().sets() {
        let Some(attributes) = profile.attributes(set) else {
            continue;
        };
        let text = |attribute| attributes.0.get(&attribute).map(String::as_str);
        let known = by_name
            .entry(text(Attribute::Task).unwrap_or_default())
            .or_default();
        known.count += 1;
        known.coroutines.extend(text(Attribute::TaskCoroutine));
        let parents = text(Attribute::TaskParents);
        let parents = parents.into_iter().flat_map(|it| it.split(PARENTS_BETWEEN));
        known.parents.extend(parents);
    }
    by_name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::attributes::{Attributes, AttributesId};
    use crate::profile::event::{Event, Nanos, Process, ProcessId, Sample, Thread};
    use crate::profile::filter::{Filter, Selection};

    /// Thread 0 runs two tasks and the loop, thread 1 nothing of the kind.
    fn events() -> Vec<Event> {
        let thread = |id| {
            let thread = Thread {
                process: ProcessId(0),
                tid: None,
                name: None,
                is_main: id == 0,
            };
            Event::Thread(ThreadId(id), thread)
        };
        let set = |id, name: &str| {
            let set = Attributes([(Attribute::Task, name.to_owned())].into());
            Event::Attributes(AttributesId::new(id), set)
        };
        let sample = |thread, set: Option<u32>, seconds: u64| {
            Event::Sample(Sample {
                at: Nanos(10_000_000_000),
                thread: ThreadId(thread),
                ticks: 1,
                wall: Nanos(seconds * 1_000_000_000),
                attributes: set.map(AttributesId::new),
                ..Sample::default()
            })
        };
        vec![
            Event::Process(ProcessId(0), Process::default()),
            thread(0),
            thread(1),
            set(0, "reader"),
            set(1, "writer"),
            sample(0, Some(0), 1),
            sample(0, Some(1), 3),
            sample(0, Some(0), 1),
            sample(0, None, 4),
            sample(1, None, 9),
        ]
    }

    fn profile(selection: Selection) -> Profile {
        let (mut profile, mut filter) = (Profile::default(), Filter::new(selection));
        for event in events() {
            filter.apply(event, &mut |event| profile.apply(event));
        }
        assert_eq!(profile.rejected(), 0);
        profile
    }

    fn seconds(profile: &Profile) -> Vec<(Option<&str>, u64)> {
        let rows = tasks(profile, Mode::Wall).into_iter();
        rows.map(|row| (row.name, row.totals.wall.0 / 1_000_000_000))
            .collect()
    }

    #[test]
    fn the_loops_own_time_is_told_and_other_threads_are_not() {
        let profile = profile(Selection::default());
        let expected = [(Some("writer"), 3), (Some("reader"), 2), (None, 4)];
        assert_eq!(seconds(&profile), expected);
    }

    #[test]
    fn tasks_of_one_name_are_one_row_and_are_counted() {
        let mut profile = Profile::default();
        events()
            .into_iter()
            .take(3)
            .for_each(|event| profile.apply(event));
        for (id, parents) in (0..).zip(["main", "main", "group\nmain"]) {
            let set = [
                (Attribute::Task, "reader".to_owned()),
                (Attribute::TaskId, id.to_string()),
                (Attribute::TaskCoroutine, "pump".to_owned()),
                (Attribute::TaskParents, parents.to_owned()),
            ];
            profile.apply(Event::Attributes(
                AttributesId::new(id),
                Attributes(set.into()),
            ));
            for _ in 0..2 {
                profile.apply(Event::Sample(Sample {
                    thread: ThreadId(0),
                    ticks: 1,
                    wall: Nanos(1_000_000_000),
                    attributes: Some(AttributesId::new(id)),
                    ..Sample::default()
                }));
            }
        }
        assert_eq!((profile.rejected(), profile.rows().len()), (0, 1));
        let rows = tasks(&profile, Mode::Wall);
        let [reader] = rows.as_slice() else {
            panic!("{rows:?}")
        };
        assert_eq!(reader.totals.wall, Nanos(6_000_000_000));
        assert_eq!((reader.name, reader.count), (Some("reader"), 3));
        assert_eq!(reader.coroutines, ["pump"]);
        assert_eq!(reader.parents, ["group", "main"]);
    }

    #[test]
    fn a_task_that_is_asked_for_is_left_alone() {
        let asked = |text: &str| Selection {
            tasks: vec![glob::Pattern::new(text).expect("a pattern")],
            ..Selection::default()
        };
        assert_eq!(seconds(&profile(asked("read*"))), [(Some("reader"), 2)]);
        assert!(seconds(&profile(asked("nobody"))).is_empty());
        let mut filter = Filter::new(asked("raeder"));
        for event in events() {
            filter.apply(event, &mut |_| {});
        }
        let error = filter.check().expect_err("nothing is left").to_string();
        assert!(
            error.contains("task filter (raeder)") && error.contains("reader"),
            "{error}"
        );
    }
}
