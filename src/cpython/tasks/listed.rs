//! Turns an interpreter into the addresses of its asyncio tasks, done or not.
//!
//! From 3.14 on each thread state has a circular list of the tasks of its loop, and the interpreter one of the tasks of threads
//! that have ended. Before, the module `asyncio.tasks` has them in a `WeakSet` (`_all_tasks`, from 3.12 on `_scheduled_tasks`)
//! and those that began at once in a set (`_eager_tasks`).

use rustc_hash::FxHashSet;

use super::kinds::copy;
use crate::cpython::layout::{Layout, TaskLayout, TaskLists};
use crate::cpython::objects::{attributes, dict_entries, find, module_dict};
use crate::memory::window::word_at;
use crate::memory::{Address, ReadMemory};

/// The most tasks of one interpreter that are read. Servers have some ten thousand.
pub const MAX_TASKS: usize = 200_000;

/// The most entries of one set that are looked at: a set is up to five times as large as what is in it.
const MAX_SET_ENTRIES: u64 = 1 << 20;

/// `setentry`: key, hash (`setobject.h`).
const SET_ENTRY: usize = 16;

/// The hash of an entry that was deleted (`Objects/setobject.c`); no key has it.
const DELETED: u64 = u64::MAX;

/// Where the tasks are kept before 3.14, by the names that the module `asyncio.tasks` has for it, and whether weakly.
const SETS: [(&str, bool); 3] = [
    ("_all_tasks", true),
    ("_scheduled_tasks", true),
    ("_eager_tasks", false),
];

/// The addresses of the tasks of the interpreter whose `PyInterpreterState` is at `interpreter`, with those of its threads, in
/// ascending order.
pub fn task_addresses(
    memory: &impl ReadMemory,
    layout: &Layout,
    tasks: &TaskLayout,
    interpreter: Address,
    threads: &[Address],
) -> Vec<Address> {
    let mut walk = TaskWalk::default();
    walk.add(memory, layout, tasks, interpreter, threads);
    let mut found = Vec::new();
    while !walk.is_over() {
        found.append(&mut walk.next(memory, tasks, MAX_TASKS));
    }
    found.sort_unstable();
    found
}

/// A walk through the tasks of some interpreters that can pause: each task comes once.
#[derive(Debug, Default)]
pub struct TaskWalk {
    sources: Vec<Source>,
    found: FxHashSet<Address>,
}

/// What names tasks.
#[derive(Debug)]
enum Source {
    /// The nodes of a circular list up to where the walk is, its head first.
    List(Vec<Address>),
    /// What is in a set, as far as the walk has not come.
    Set { keys: Vec<Address>, is_weak: bool },
}

impl TaskWalk {
    /// Adds an interpreter; arguments as for [`task_addresses`].
    pub fn add(
        &mut self,
        memory: &impl ReadMemory,
        layout: &Layout,
        tasks: &TaskLayout,
        interpreter: Address,
        threads: &[Address],
    ) {
        let Some(lists) = &tasks.lists else {
            let module = module_globals(memory, layout, interpreter);
            let sets = module.map(|module| task_sets(memory, layout, module));
            let keys = |set: TaskSet| Source::Set {
                keys: set_keys(memory, tasks, set.at, MAX_SET_ENTRIES).unwrap_or_default(),
                is_weak: set.is_weak,
            };
            self.sources.extend(sets.into_iter().flatten().map(keys));
            return;
        };
        let of_threads = threads.iter().map(|thread| *thread + lists.of_thread);
        let heads = of_threads.chain([interpreter + lists.of_interpreter]);
        self.sources
            .extend(heads.map(|head| Source::List(vec![head])));
    }

    /// Whether there are no more.
    pub fn is_over(&self) -> bool {
        self.sources.is_empty() || self.found.len() >= MAX_TASKS
    }

    /// About `most` of those that follow, or fewer where a source of them ends.
    pub fn next(
        &mut self,
        memory: &impl ReadMemory,
        tasks: &TaskLayout,
        most: usize,
    ) -> Vec<Address> {
        let most = most.min(MAX_TASKS.saturating_sub(self.found.len()));
        let found = &mut self.found;
        let (next, is_over) = match (self.sources.last_mut(), &tasks.lists) {
            (Some(Source::List(nodes)), Some(lists)) => {
                follow_list(memory, lists, nodes, most, found)
            }
            (Some(Source::Set { keys, is_weak }), _) => {
                let some = keys.split_off(keys.len().saturating_sub(most));
                let mut objects = match is_weak {
                    true => referents(memory, tasks, &some),
                    false => some,
                };
                objects.retain(|task| found.insert(*task));
                (objects, keys.is_empty())
            }
            _ => (Vec::new(), true),
        };
        if is_over {
            self.sources.pop();
        }
        next
    }
}

/// The dict of the module `asyncio.tasks`, once the program has imported it.
pub fn module_globals(
    memory: &impl ReadMemory,
    layout: &Layout,
    interpreter: Address,
) -> Option<Address> {
    let modules = memory
        .pointer(interpreter + layout.interpreter.modules)
        .ok()
        .filter(|modules| !modules.is_null())?;
    module_dict(memory, layout, modules, "asyncio.tasks")
}

/// Goes on from the last of `nodes`, which begin with the head; tells also whether the list is over.
fn follow_list(
    memory: &impl ReadMemory,
    lists: &TaskLists,
    nodes: &mut Vec<Address>,
    most: usize,
    found: &mut FxHashSet<Address>,
) -> (Vec<Address>, bool) {
    let mut next_tasks = Vec::new();
    for _ in 0..most {
        let next = nodes.last().map(|node| memory.pointer(*node));
        let Some(Ok(next)) = next else {
            return (next_tasks, true);
        };
        // A task that was done since the last part is out of the list: the one before it goes on. No task has come yet where
        // the head has none.
        if next.is_null() && nodes.len() > 1 {
            nodes.pop();
            continue;
        }
        let task = Address(next.0.wrapping_sub(lists.node));
        if next.is_null() || nodes.first() == Some(&next) || !found.insert(task) {
            return (next_tasks, true);
        }
        nodes.push(next);
        next_tasks.push(task);
    }
    (next_tasks, false)
}

/// A `set` of tasks, or of weak references to them.
#[derive(Debug, Clone, Copy)]
pub struct TaskSet {
    at: Address,
    is_weak: bool,
}

/// The sets that the module `asyncio.tasks` has, whose dict is at `module`.
pub fn task_sets(memory: &impl ReadMemory, layout: &Layout, module: Address) -> Vec<TaskSet> {
    let globals = dict_entries(memory, layout, module).unwrap_or_default();
    let set = |(name, is_weak): (&str, bool)| {
        let at = find(memory, layout, &globals, name)?;
        let at = match is_weak {
            true => {
                let own = attributes(memory, layout, at).ok()?;
                find(memory, layout, &own, "data")?
            }
            false => at,
        };
        Some(TaskSet { at, is_weak })
    };
    SETS.into_iter().filter_map(set).collect()
}

/// The addresses of the tasks in a set; `None` where it cannot be read or has more than `max_entries`, empty ones included.
pub fn set_tasks(
    memory: &impl ReadMemory,
    tasks: &TaskLayout,
    set: TaskSet,
    max_entries: u64,
) -> Option<Vec<Address>> {
    let keys = set_keys(memory, tasks, set.at, max_entries)?;
    if !set.is_weak {
        return Some(keys);
    }
    Some(referents(memory, tasks, &keys))
}

/// What weak references refer to.
fn referents(memory: &impl ReadMemory, tasks: &TaskLayout, weak: &[Address]) -> Vec<Address> {
    let length = tasks.weakref_object as usize + 8;
    let references = copy(memory, weak.iter().copied(), length);
    let object = |number| word_at(references.piece(number)?, tasks.weakref_object);
    (0..weak.len()).filter_map(object).map(Address).collect()
}

fn set_keys(
    memory: &impl ReadMemory,
    tasks: &TaskLayout,
    set: Address,
    max_entries: u64,
) -> Option<Vec<Address>> {
    let mask = memory.word(set + tasks.set_mask).ok()?;
    let table = memory.pointer(set + tasks.set_table).ok()?;
    let entries = mask
        .checked_add(1)
        .filter(|entries| *entries <= max_entries)?;
    let mut bytes = vec![0; usize::try_from(entries).ok()? * SET_ENTRY];
    memory.read(table, &mut bytes).ok()?;
    let key = |entry: &[u8]| {
        let (key, hash) = (word_at(entry, 0)?, word_at(entry, 8)?);
        (key != 0 && hash != DELETED).then_some(Address(key))
    };
    Some(bytes.chunks_exact(SET_ENTRY).filter_map(key).collect())
}
