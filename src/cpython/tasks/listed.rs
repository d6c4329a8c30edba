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
    let mut found = FxHashSet::default();
    match &tasks.lists {
        Some(lists) => {
            for thread in threads {
                follow_list(memory, lists, *thread + lists.of_thread, &mut found);
            }
            follow_list(
                memory,
                lists,
                interpreter + lists.of_interpreter,
                &mut found,
            );
        }
        None => {
            if let Some(module) = module_globals(memory, layout, interpreter) {
                for (name, is_weak) in SETS {
                    let _ = in_set(memory, layout, tasks, module, name, is_weak, &mut found);
                }
            }
        }
    }
    let mut found = Vec::from_iter(found);
    found.sort_unstable();
    found
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

fn follow_list(
    memory: &impl ReadMemory,
    lists: &TaskLists,
    head: Address,
    found: &mut FxHashSet<Address>,
) {
    let mut at = head;
    while found.len() < MAX_TASKS {
        // The next node; null before the first task.
        let Ok(next) = memory.pointer(at) else { return };
        let task = Address(next.0.wrapping_sub(lists.node));
        if next == head || next.is_null() || !found.insert(task) {
            return;
        }
        at = next;
    }
}

fn in_set(
    memory: &impl ReadMemory,
    layout: &Layout,
    tasks: &TaskLayout,
    globals: Address,
    name: &str,
    is_weak: bool,
    found: &mut FxHashSet<Address>,
) -> Option<()> {
    let globals = dict_entries(memory, layout, globals).ok()?;
    let mut set = find(memory, layout, &globals, name)?;
    if is_weak {
        set = find(
            memory,
            layout,
            &attributes(memory, layout, set).ok()?,
            "data",
        )?;
    }
    let mut keys = set_keys(memory, tasks, set)?;
    if is_weak {
        let length = tasks.weakref_object as usize + 8;
        let references = copy(memory, keys.iter().copied(), length);
        let object = |number| word_at(references.piece(number)?, tasks.weakref_object);
        keys = (0..keys.len()).filter_map(object).map(Address).collect();
    }
    let room = MAX_TASKS.saturating_sub(found.len());
    found.extend(keys.into_iter().take(room));
    Some(())
}

fn set_keys(memory: &impl ReadMemory, tasks: &TaskLayout, set: Address) -> Option<Vec<Address>> {
    let mask = memory.word(set + tasks.set_mask).ok()?;
    let table = memory.pointer(set + tasks.set_table).ok()?;
    let entries = mask
        .checked_add(1)
        .filter(|entries| *entries <= MAX_SET_ENTRIES)?;
    let mut bytes = vec![0; usize::try_from(entries).ok()? * SET_ENTRY];
    memory.read(table, &mut bytes).ok()?;
    let key = |entry: &[u8]| {
        let (key, hash) = (word_at(entry, 0)?, word_at(entry, 8)?);
        (key != 0 && hash != DELETED).then_some(Address(key))
    };
    Some(bytes.chunks_exact(SET_ENTRY).filter_map(key).collect())
}
