//! Turns the type of an object into what the object is to a task: a coroutine, a future, a callback.

use rustc_hash::FxHashMap;

use crate::cpython::layout::Layout;
use crate::memory::{Address, ReadMemory, Window};

/// The most types that are told apart; objects of further ones count as others. Programs have some hundred types of awaitables
/// and callbacks.
const MAX_TYPES: usize = 4096;

/// The longest name of a type that is compared, with the zero at its end: that of `builtins.async_generator_athrow` is shorter.
const MAX_NAME_BYTES: usize = 48;

/// What an object is to a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A coroutine, a generator or an asynchronous generator: has a frame and may await another object.
    Coroutine,
    /// Stands for the object at +16, which it wraps: `async_generator_asend` and the like (`Objects/genobject.c`).
    Wrapper,
    /// `FutureIter` of `Modules/_asynciomodule.c`: a coroutine awaits the future at +16.
    FutureIter,
    /// A task.
    Task,
    /// What `asyncio.gather` returns, or `asyncio.wait_for` and the like make: a future.
    Future,
    /// A bound method.
    Method,
    /// A method of C code, as the one that a future calls for the task that awaits it (3.10 on).
    Builtin,
    /// The same up to 3.9.
    Wakeup,
    /// A function of Python.
    Function,
    /// `functools.partial`.
    Partial,
    /// An `asyncio.TaskGroup`.
    TaskGroup,
    /// Anything else.
    Other,
}

impl Kind {
    /// By `tp_name` of the type.
    fn of_type_name(name: &[u8]) -> Kind {
        match name {
            b"coroutine" | b"generator" | b"async_generator" => Kind::Coroutine,
            b"coroutine_wrapper"
            | b"async_generator_asend"
            | b"async_generator_athrow"
            | b"anext_awaitable" => Kind::Wrapper,
            b"_asyncio.FutureIter" => Kind::FutureIter,
            b"_asyncio.Task" => Kind::Task,
            b"_asyncio.Future" | b"_GatheringFuture" => Kind::Future,
            b"method" => Kind::Method,
            b"builtin_function_or_method" => Kind::Builtin,
            b"TaskWakeupMethWrapper" => Kind::Wakeup,
            b"function" => Kind::Function,
            b"functools.partial" => Kind::Partial,
            b"TaskGroup" => Kind::TaskGroup,
            _ => Kind::Other,
        }
    }
}

/// Where an object has the one that it wraps: behind its header (`wrapped`, `ags_gen`, `agt_gen`, `cw_coroutine`, `future`,
/// `ww_task`).
pub const WRAPPED: u64 = 16;

/// The kinds of the types seen, by the address of the type.
#[derive(Debug, Default)]
pub struct Kinds {
    known: FxHashMap<Address, Kind>,
}

impl Kinds {
    /// The kind of the objects whose type is at `type_object`.
    pub fn of(&mut self, memory: &impl ReadMemory, layout: &Layout, type_object: Address) -> Kind {
        if let Some(kind) = self.known.get(&type_object) {
            return *kind;
        }
        if self.known.len() >= MAX_TYPES {
            return Kind::Other;
        }
        let kind = type_name(memory, layout, type_object)
            .map_or(Kind::Other, |name| Kind::of_type_name(&name));
        self.known.insert(type_object, kind);
        kind
    }
}

impl Kinds {
    /// Whether the object at `at` is a task.
    pub fn is_task(&mut self, memory: &impl ReadMemory, layout: &Layout, at: Address) -> bool {
        let type_object = memory.pointer(at + layout.object.ob_type);
        type_object.is_ok_and(|it| self.of(memory, layout, it) == Kind::Task)
    }
}

/// `tp_name`, as far as [`MAX_NAME_BYTES`] goes.
pub fn type_name(
    memory: &impl ReadMemory,
    layout: &Layout,
    type_object: Address,
) -> Option<Vec<u8>> {
    let name = memory.pointer(type_object + layout.object.type_name).ok()?;
    let mut bytes = vec![0; MAX_NAME_BYTES];
    // A name at the end of a page may have nothing behind it.
    let until_page_end = (4096 - name.0 % 4096) as usize;
    let length = MAX_NAME_BYTES.min(until_page_end);
    memory.read(name, &mut bytes[..length]).ok()?;
    if length < MAX_NAME_BYTES {
        let _ = memory.read(name + length as u64, &mut bytes[length..]);
    }
    let end = bytes.iter().position(|byte| *byte == 0)?;
    bytes.truncate(end);
    Some(bytes)
}

/// The first `length` bytes of each object, copied together.
pub fn copy(
    memory: &impl ReadMemory,
    objects: impl Iterator<Item = Address>,
    length: usize,
) -> Window {
    let mut window = Window::default();
    for object in objects {
        window.want(object, length);
    }
    window.fill(memory);
    window
}
