//! Turns what shall be called when a task is done into the tasks that wait for it.
//!
//! A task that is awaited directly is the future that its parent waits for, and has a callback that wakes that one up. `gather`, `wait`, `shield` and, up to 3.11,
//! `wait_for` add a callback to the task, in whose closure, or arguments, is the future that the parent waits for; that may
//! itself be gathered. `TaskGroup` adds a method of its own, and has its `_parent_task` (`Lib/asyncio/tasks.py`,
//! `taskgroups.py`, 3.8-3.15).

use rustc_hash::FxHashMap;

use super::kinds::{Kind, Kinds, WRAPPED, copy};
use crate::cpython::layout::{Layout, TaskLayout};
use crate::cpython::objects::{attributes, find};
use crate::cpython::text::{ascii_str_bytes, is_ascii_str};
use crate::memory::window::word_at;
use crate::memory::{Address, ReadMemory};

/// The most callbacks of one future that are looked at; one that more wait for has the first of them as parents.
const MAX_CALLBACKS: usize = 64;

/// The most variables of a closure, or arguments of a partial, that are looked at: those of `gather` and `wait` have below ten.
const MAX_ITEMS: usize = 16;

/// A gathered future may be gathered itself, so many times.
const MAX_NESTED: usize = 8;

/// The most functions and task groups of which it is kept what they lead to. Beyond, what they lead to is not known.
const MAX_KNOWN: usize = 1 << 18;

/// The callback by which `asyncio.futures.wrap_future` has a future tell the thread that works for it.
const OF_THREAD: &str = "_call_check_cancel";

/// `m_self` in `PyCFunctionObject` (`cpython/methodobject.h`; the same in 3.8-3.15).
const M_SELF: u64 = 24;

/// What the callbacks of a future tell.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Callbacks {
    /// Futures that are done when it is, or tasks that go on then.
    pub futures: Vec<Address>,
    /// Whether a thread of an executor works for it.
    pub is_of_thread: bool,
}

/// What futures lead to.
pub struct Parents<'a, M> {
    memory: &'a M,
    layout: &'a Layout,
    tasks: &'a TaskLayout,
    /// What the functions, the partials and the task groups that are called lead to.
    known: FxHashMap<Address, Callbacks>,
}

impl<'a, M: ReadMemory> Parents<'a, M> {
    /// Nothing is known yet.
    pub fn new(memory: &'a M, layout: &'a Layout, tasks: &'a TaskLayout) -> Parents<'a, M> {
        Parents {
            memory,
            layout,
            tasks,
            known: FxHashMap::default(),
        }
    }

    /// What is called when each of the futures is done.
    pub fn callbacks(&mut self, kinds: &mut Kinds, futures: &[Address]) -> Vec<Callbacks> {
        let from = self.tasks.callback0;
        let length = (self.tasks.callbacks + 8 - from) as usize;
        let heads = copy(self.memory, futures.iter().map(|at| *at + from), length);
        let mut called: Vec<(usize, Address)> = Vec::new();
        for number in 0..futures.len() {
            let Some(bytes) = heads.piece(number) else {
                continue;
            };
            let first = word_at(bytes, 0).unwrap_or(0);
            called.extend((first != 0).then_some((number, Address(first))));
            let list = word_at(bytes, self.tasks.callbacks - from).unwrap_or(0);
            let others = self.others(Address(list));
            called.extend(others.into_iter().map(|callback| (number, callback)));
        }
        let mut found = vec![Callbacks::default(); futures.len()];
        // The header of an object, and `im_self` of a method.
        let length = self.tasks.method_self as usize + 8;
        let objects = copy(self.memory, called.iter().map(|(_, at)| *at), length);
        for (index, (number, callback)) in called.iter().enumerate() {
            if let Some(bytes) = objects.piece(index) {
                let of_one = self.of_callback(kinds, *callback, bytes);
                found[*number].futures.extend(&of_one.futures);
                found[*number].is_of_thread |= of_one.is_of_thread;
            }
        }
        found
    }

    /// The tasks among `waiters`, from the future that each waits for to it, that wait for each of the futures.
    pub fn of(
        &mut self,
        kinds: &mut Kinds,
        callbacks: &[Callbacks],
        is_task: &impl Fn(Address) -> bool,
        waiters: &FxHashMap<Address, Vec<Address>>,
    ) -> Vec<Vec<Address>> {
        let mut parents = vec![Vec::new(); callbacks.len()];
        let mut open: Vec<(usize, Address)> = callbacks
            .iter()
            .enumerate()
            .flat_map(|(number, callbacks)| callbacks.futures.iter().map(move |at| (number, *at)))
            .collect();
        for _ in 0..MAX_NESTED {
            let mut further = Vec::new();
            for (number, at) in open {
                if is_task(at) {
                    parents[number].push(at);
                } else if let Some(tasks) = waiters.get(&at) {
                    parents[number].extend(tasks);
                } else {
                    further.push((number, at));
                }
            }
            if further.is_empty() {
                break;
            }
            let mut futures: Vec<Address> = further.iter().map(|(_, at)| *at).collect();
            futures.sort_unstable();
            futures.dedup();
            let behind = self.callbacks(kinds, &futures);
            open = further
                .iter()
                .flat_map(|(number, at)| {
                    let index = futures.binary_search(at).ok();
                    let behind = index.map_or(&[][..], |index| &behind[index].futures);
                    behind.iter().map(|at| (*number, *at))
                })
                .take(super::listed::MAX_TASKS)
                .collect();
        }
        for some in &mut parents {
            some.sort_unstable();
            some.dedup();
        }
        parents
    }

    /// The callbacks in `fut_callbacks`: a list of tuples of callback and context.
    fn others(&self, list: Address) -> Vec<Address> {
        if list.is_null() {
            return Vec::new();
        }
        let memory = self.memory;
        let count = memory.word(list + self.layout.object.ob_size).unwrap_or(0);
        let Ok(items) = memory.pointer(list + self.layout.object.list_items) else {
            return Vec::new();
        };
        let tuples = self.words(items, count.min(MAX_CALLBACKS as u64) as usize);
        let callback =
            |tuple: &Address| memory.pointer(*tuple + self.layout.object.tuple_items).ok();
        tuples.iter().filter_map(callback).collect()
    }

    /// `count` pointers that follow one another.
    fn words(&self, at: Address, count: usize) -> Vec<Address> {
        let mut bytes = vec![0; count * 8];
        match self.memory.read(at, &mut bytes) {
            Ok(()) => bytes
                .chunks_exact(8)
                .filter_map(|word| word_at(word, 0).map(Address))
                .collect(),
            Err(_) => Vec::new(),
        }
    }

    /// What a callback, of whose object `bytes` are the beginning, leads to.
    fn of_callback(&mut self, kinds: &mut Kinds, callback: Address, bytes: &[u8]) -> Callbacks {
        let type_object = Address(word_at(bytes, self.layout.object.ob_type).unwrap_or(0));
        let kind = kinds.of(self.memory, self.layout, type_object);
        let object = match kind {
            Kind::Method => Address(word_at(bytes, self.tasks.method_self).unwrap_or(0)),
            Kind::Builtin => return self.of_wakeup(kinds, word_at(bytes, M_SELF)),
            Kind::Wakeup => return self.of_wakeup(kinds, word_at(bytes, WRAPPED)),
            Kind::Function | Kind::Partial => callback,
            _ => return Callbacks::default(),
        };
        if let Some(known) = self.known.get(&object) {
            return known.clone();
        }
        let found = match kind {
            Kind::Method => self.of_task_group(kinds, object),
            Kind::Function => self.of_function(object),
            _ => self.of_partial(object),
        };
        let found = found.unwrap_or_default();
        if self.known.len() < MAX_KNOWN {
            self.known.insert(object, found.clone());
        }
        found
    }

    /// A task that awaits the future.
    fn of_wakeup(&self, kinds: &mut Kinds, task: Option<u64>) -> Callbacks {
        let task = task.map(Address);
        let is_task = |at: &Address| kinds.is_task(self.memory, self.layout, *at);
        Callbacks {
            futures: task.filter(is_task).into_iter().collect(),
            is_of_thread: false,
        }
    }

    fn of_task_group(&self, kinds: &mut Kinds, object: Address) -> Option<Callbacks> {
        let (memory, layout) = (self.memory, self.layout);
        let type_object = memory.pointer(object + layout.object.ob_type).ok()?;
        if kinds.of(memory, layout, type_object) != Kind::TaskGroup {
            return None;
        }
        let attributes = attributes(memory, layout, object).ok()?;
        let parent = find(memory, layout, &attributes, "_parent_task")?;
        Some(Callbacks {
            futures: vec![parent],
            is_of_thread: false,
        })
    }

    fn of_function(&self, function: Address) -> Option<Callbacks> {
        let memory = self.memory;
        let is_of_thread = self.has_name(function, OF_THREAD).unwrap_or(false);
        let closure = memory
            .pointer(function + self.tasks.function_closure)
            .ok()?;
        let cells = self.items(closure);
        let contents = cells.iter().filter_map(|cell| {
            let contents = memory.pointer(*cell + self.tasks.cell_contents).ok();
            contents.filter(|contents| !contents.is_null())
        });
        Some(Callbacks {
            futures: if is_of_thread {
                Vec::new()
            } else {
                contents.collect()
            },
            is_of_thread,
        })
    }

    /// Whether the code of a function has this name.
    fn has_name(&self, function: Address, expected: &str) -> Option<bool> {
        let memory = self.memory;
        let code = memory.pointer(function + self.tasks.function_code).ok()?;
        let name = memory.pointer(code + self.layout.code.name).ok()?;
        let mut bytes = vec![0; ascii_str_bytes(self.layout, expected.len())];
        memory.read(name, &mut bytes).ok()?;
        Some(is_ascii_str(self.layout, &bytes, expected))
    }

    fn of_partial(&self, partial: Address) -> Option<Callbacks> {
        let arguments = self
            .memory
            .pointer(partial + self.tasks.partial_args)
            .ok()?;
        Some(Callbacks {
            futures: self.items(arguments),
            is_of_thread: false,
        })
    }

    /// The items of a tuple, the first [`MAX_ITEMS`] of them.
    fn items(&self, tuple: Address) -> Vec<Address> {
        if tuple.is_null() {
            return Vec::new();
        }
        let count = self
            .memory
            .word(tuple + self.layout.object.ob_size)
            .unwrap_or(0);
        self.words(
            tuple + self.layout.object.tuple_items,
            count.min(MAX_ITEMS as u64) as usize,
        )
    }
}
