//! Turns a CPython version into what rsamp has to know of it: a row of offsets and traits ([`rows`]).
//!
//! Every offset is a distance in bytes from the start of the struct its group is named after.
//! 3.6–3.12 have tables generated from the real headers (`scripts/layouts`); from 3.13 on the
//! interpreter brings most of them itself (`_Py_DebugOffsets`), and what it brings goes before the table. What offsets
//! do not tell is a trait ([`traits`]). CONTRIBUTING.md says what a new version needs.

pub(crate) mod rows;

pub(crate) mod traits;

mod tables;

mod debug_fields;

pub(crate) mod debug_offsets;

/// Distance in bytes from the start of a struct.
pub type Offset = u64;

/// The offsets of one interpreter build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// `_PyRuntimeState`.
    pub runtime: RuntimeLayout,
    /// `PyInterpreterState`.
    pub interpreter: InterpreterLayout,
    /// `PyThreadState`.
    pub thread: ThreadLayout,
    /// The frame: `PyFrameObject` up to 3.10, `_PyInterpreterFrame` from 3.11 on.
    pub frame: FrameLayout,
    /// `PyCodeObject`.
    pub code: CodeLayout,
    /// `str`, `bytes`, `dict`, `int` and type objects.
    pub object: ObjectLayout,
    /// asyncio's tasks, and what leads to and from them (3.8 on; `None` for free-threaded builds).
    pub tasks: Option<TaskLayout>,
}

/// `_PyRuntimeState` (3.7 on; 3.6 has separate symbols and no such struct: all `None`/0 there).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeLayout {
    /// `interpreters.head`: `PyInterpreterState *`.
    pub interpreters_head: Offset,
    /// 3.7–3.11: `gilstate.tstate_current`: the `PyThreadState *` that holds the GIL.
    pub gil_holder: Option<Offset>,
    /// 3.7–3.11: `ceval.gil.last_holder`: the `PyThreadState *` that held the GIL last.
    pub gil_last_holder: Option<Offset>,
    /// 3.7–3.11: `ceval.gil.switch_number`: unsigned long.
    pub gil_switch_number: Option<Offset>,
    /// 3.7, 3.8: `gc.collecting`: int.
    pub gc_collecting: Option<Offset>,
}

/// `PyInterpreterState`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterpreterLayout {
    /// `next`: the next interpreter of the process.
    pub next: Offset,
    /// `id`: int64 (3.7 on).
    pub id: Option<Offset>,
    /// `tstate_head` (3.6–3.10), `threads.head` (3.11 on): first `PyThreadState *`.
    pub threads_head: Offset,
    /// `modules` (3.6–3.11), `imports.modules` (3.12 on): the dict `sys.modules`.
    pub modules: Offset,
    /// 3.12 on: `ceval.gil`, a pointer to `struct _gil_runtime_state`.
    pub gil: Option<Offset>,
    /// 3.12 on, in `struct _gil_runtime_state`: `last_holder`, `locked`, `switch_number`.
    pub gil_state: Option<GilLayout>,
    /// 3.14 on: `code_object_generation`, which counts the code objects freed.
    pub code_generation: Option<Offset>,
    /// 3.9 on: `gc.collecting`: int.
    pub gc_collecting: Option<Offset>,
}

/// `struct _gil_runtime_state` (3.12 on).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GilLayout {
    /// `last_holder`: `PyThreadState *`.
    pub last_holder: Offset,
    /// `locked`: int.
    pub locked: Offset,
    /// `switch_number`: unsigned long.
    pub switch_number: Offset,
}

/// `PyThreadState`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadLayout {
    /// Bytes of the struct that hold all the fields below.
    pub size: Offset,
    /// `next`.
    pub next: Offset,
    /// `interp`.
    pub interp: Offset,
    /// `frame` (3.6–3.10), `cframe` (3.11, 3.12), `current_frame` (3.13 on).
    pub frame: Offset,
    /// `cframe` (3.10–3.12): lies on the C stack of the thread that runs Python code in this state, or ran it last.
    pub cframe: Option<Offset>,
    /// 3.11, 3.12: in `_PyCFrame`, `current_frame`.
    pub cframe_current_frame: Option<Offset>,
    /// `thread_id`: unsigned long, the `pthread_t`.
    pub thread_id: Offset,
    /// `native_thread_id` (3.11 on): the kernel's id, in the target's PID namespace.
    pub native_thread_id: Option<Offset>,
    /// `datastack_chunk` (3.11 on): `_PyStackChunk *`.
    pub datastack_chunk: Option<Offset>,
}

/// `PyFrameObject` up to 3.10, `_PyInterpreterFrame` from 3.11 on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameLayout {
    /// Bytes of the struct that hold all the fields below (3.11 on: up to `localsplus`).
    pub size: Offset,
    /// `f_back` (3.6–3.10), `previous` (3.11 on).
    pub previous: Offset,
    /// `f_code` (3.6–3.12), `f_executable` (3.13 on; tagged from 3.14 on).
    pub code: Offset,
    /// `f_lasti` (int, 3.6–3.10), `prev_instr` (pointer, 3.11, 3.12), `instr_ptr` (3.13 on).
    pub instruction: Offset,
    /// `f_func` (3.11), `f_funcobj` (3.12 on; tagged from 3.14 on): the function that was called.
    pub function: Option<Offset>,
    /// `owner` (3.11 on): char.
    pub owner: Option<Offset>,
    /// `is_entry` (3.11): bool, whether C code called the function.
    pub is_entry: Option<Offset>,
    /// `return_offset` (3.12 on): uint16.
    pub return_offset: Option<Offset>,
    /// `stacktop` (3.11–3.13): int.
    pub stacktop: Option<Offset>,
    /// `stackpointer` (3.14 on).
    pub stackpointer: Option<Offset>,
    /// `tlbc_index` (free-threaded 3.14 on): int32.
    pub tlbc_index: Option<Offset>,
}

/// `PyCodeObject`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeLayout {
    /// Bytes of the struct that hold all the fields below.
    pub size: Offset,
    /// `co_filename`: str.
    pub filename: Offset,
    /// `co_name`: str.
    pub name: Offset,
    /// `co_qualname` (3.11 on): str.
    pub qualname: Option<Offset>,
    /// `co_lnotab` (3.6–3.9), `co_linetable` (3.10 on): bytes.
    pub linetable: Offset,
    /// `co_firstlineno`: int.
    pub first_line: Offset,
    /// `co_flags`: int.
    pub flags: Offset,
    /// `co_code` (3.6–3.10): a bytes object; `co_code_adaptive` (3.11 on): the code itself, inline.
    pub code: Offset,
    /// `co_nlocalsplus` (3.11 on): int.
    pub nlocalsplus: Option<Offset>,
    /// `co_stacksize`: int.
    pub stacksize: Offset,
    /// `co_framesize` (3.12 on): int, in words.
    pub framesize: Option<Offset>,
    /// `co_tlbc` (free-threaded 3.14 on): `_PyCodeArray *`.
    pub tlbc: Option<Offset>,
}

/// `str`, `bytes`, `dict`, `int` and type objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectLayout {
    /// `ob_type` in `PyObject`.
    pub ob_type: Offset,
    /// `ob_size` in `PyVarObject`.
    pub ob_size: Offset,
    /// `ob_sval` in `PyBytesObject`.
    pub bytes_data: Offset,
    /// `length` in `PyASCIIObject`.
    pub str_length: Offset,
    /// `state` in `PyASCIIObject`: the 32-bit word with the bit fields `kind`, `compact`, `ascii`.
    pub str_state: Offset,
    /// First of the three bits of `state.kind`, counted from the lowest of the word. Free-threaded
    /// builds from 3.14 on have `interned` in a byte of its own (`cpython/unicodeobject.h`).
    pub str_kind_bit: u32,
    /// The bit `state.compact`.
    pub str_compact_bit: u32,
    /// The bit `state.ascii`.
    pub str_ascii_bit: u32,
    /// `sizeof(PyASCIIObject)`: where the text of a compact ASCII string starts.
    pub str_ascii_size: Offset,
    /// `sizeof(PyCompactUnicodeObject)`: where the text of another compact string starts.
    pub str_compact_size: Offset,
    /// `data` in `PyUnicodeObject`: the pointer to the text of a string that is not compact.
    pub str_data: Offset,
    /// `long_value.lv_tag` in `PyLongObject` (3.12 on; before, `ob_size` has sign and length).
    pub long_tag: Option<Offset>,
    /// `ob_digit` in `PyLongObject`: 32-bit words of 30 bits each.
    pub long_digits: Offset,
    /// `ma_keys` in `PyDictObject`.
    pub dict_keys: Offset,
    /// `ma_values` in `PyDictObject`: null unless the table is split.
    pub dict_values: Offset,
    /// What `ma_values` points to: the first value in it. 0 up to 3.12; from 3.13 on, `values` in
    /// `struct _dictvalues`, after the byte counts (`internal/pycore_dict.h`).
    pub values_items: Offset,
    /// `dk_indices` in `PyDictKeysObject`.
    pub keys_indices: Offset,
    /// 3.6–3.10: `dk_size`; 3.11 on: `dk_log2_size` (one byte).
    pub keys_size: Offset,
    /// 3.11 on: `dk_log2_index_bytes` (one byte).
    pub keys_log2_index_bytes: Option<Offset>,
    /// 3.11 on: `dk_kind` (one byte).
    pub keys_kind: Option<Offset>,
    /// `dk_nentries`.
    pub keys_nentries: Offset,
    /// `tp_name` in `PyTypeObject`.
    pub type_name: Offset,
    /// `tp_dictoffset` in `PyTypeObject`.
    pub type_dictoffset: Offset,
    /// `tp_basicsize` in `PyTypeObject`.
    pub type_basicsize: Offset,
    /// `tp_flags` in `PyTypeObject`.
    pub type_flags: Offset,
    /// 3.11 on: `ht_cached_keys` in `PyHeapTypeObject`: the shared keys of the instances.
    pub type_cached_keys: Option<Offset>,
    /// Where instances keep their attributes.
    pub managed_dict: ManagedDict,
    /// `md_dict` in `PyModuleObject`.
    pub module_dict: Offset,
    /// `ob_item` in `PyListObject`: the pointer to the items.
    pub list_items: Offset,
    /// `ob_item` in `PyTupleObject`: the items themselves.
    pub tuple_items: Offset,
}

/// Where an instance whose type has `Py_TPFLAGS_MANAGED_DICT` keeps its attributes
/// (`internal/pycore_object.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManagedDict {
    /// 3.6–3.10: there is no such flag; `tp_dictoffset` tells.
    Absent,
    /// 3.11: a pointer to the values and a pointer to the dict, either may be null.
    Separate {
        /// Bytes before the object: `_PyObject_ValuesPointer`.
        values_before: Offset,
        /// Bytes before the object: `_PyObject_ManagedDictPointer`.
        dict_before: Offset,
    },
    /// 3.12: one word: a pointer to the dict, or, when odd, the address of the values less one.
    Tagged {
        /// Bytes before the object: `_PyObject_DictOrValuesPointer`.
        before: Offset,
    },
    /// 3.13 on: a pointer to the dict; when null and the type has `Py_TPFLAGS_INLINE_VALUES`, the
    /// values lie in the object, `tp_basicsize` bytes after its start.
    Inline {
        /// Bytes before the object: `MANAGED_DICT_OFFSET`.
        dict_before: Offset,
    },
}

/// `TaskObj` (`Modules/_asynciomodule.c`), coroutines, and the objects by which tasks are found and know of one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskLayout {
    /// `context_ver` in `PyThreadState`: counts how often the thread entered and left a context, as it does for each step of
    /// a task (`Python/context.c`, `cpython/pystate.h`).
    pub context_version: Offset,
    /// `fut_state` in `FutureObj` and `TaskObj`: int, 0 while it is pending.
    pub state: Offset,
    /// `fut_callback0`, in both: the first thing that is called when it is done.
    pub callback0: Offset,
    /// `fut_callbacks`, in both: a list of tuples that have the others; or null.
    pub callbacks: Offset,
    /// `task_fut_waiter` in `TaskObj`: the future that it waits for.
    pub fut_waiter: Offset,
    /// `task_coro`.
    pub coro: Offset,
    /// `task_name`: str; from 3.12 on an int until somebody asks for it.
    pub name: Offset,
    /// `gi_frame` (3.8-3.10), a pointer; `gi_iframe` (3.11 on), the frame itself. The same in generators, coroutines and
    /// asynchronous generators.
    pub frame: Offset,
    /// `gi_frame_state` (3.11 on): int8.
    pub frame_state: Option<Offset>,
    /// How a coroutine tells what it awaits.
    pub awaited: AwaitedForm,
    /// The lists of tasks (3.14 on; before, they are in sets of the module `asyncio.tasks`).
    pub lists: Option<TaskLists>,
    /// `mask` in `PySetObject`: the number of entries less one.
    pub set_mask: Offset,
    /// `table` in `PySetObject`: entries of key and hash.
    pub set_table: Offset,
    /// `wr_object` in `PyWeakReference`.
    pub weakref_object: Offset,
    /// `im_self` in `PyMethodObject`.
    pub method_self: Offset,
    /// `func_closure` in `PyFunctionObject`: a tuple of cells, or null.
    pub function_closure: Offset,
    /// `func_code` in `PyFunctionObject`.
    pub function_code: Offset,
    /// `ob_ref` in `PyCellObject`.
    pub cell_contents: Offset,
    /// `args` in `partialobject` (`Modules/_functoolsmodule.c`): a tuple.
    pub partial_args: Offset,
}

impl TaskLayout {
    /// What the numbers in `gi_frame_state` mean (3.11 on).
    pub(super) fn states(&self) -> Option<&FrameStates> {
        match &self.awaited {
            AwaitedForm::StackTop { states } | AwaitedForm::SavedPointer { states, .. } => {
                Some(states)
            }
            AwaitedForm::Pointer { .. } | AwaitedForm::Depth { .. } => None,
        }
    }
}

/// How a suspended coroutine tells what it awaits: the object on top of its operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AwaitedForm {
    /// In the frame, two pointers: to the first operand, and behind the last one, null while it executes (3.8, 3.9).
    Pointer {
        /// `f_valuestack`.
        stack: Offset,
        /// `f_stacktop`.
        top: Offset,
    },
    /// In the frame, a pointer to the operands and how many there are, an int, -1 while it executes (3.10).
    Depth {
        /// `f_valuestack`.
        stack: Offset,
        /// `f_stackdepth`.
        depth: Offset,
    },
    /// Behind the frame, the last of as many words as its `stacktop` says (3.11-3.13).
    StackTop {
        /// What the numbers in `gi_frame_state` mean.
        states: FrameStates,
    },
    /// Before the `stackpointer` of the frame (3.14 on).
    SavedPointer {
        /// What the numbers in `gi_frame_state` mean.
        states: FrameStates,
        /// How many words before.
        words: u64,
    },
}

/// `PyFrameState` (3.11 on; `internal/pycore_frame.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameStates {
    /// `FRAME_CREATED`: not begun.
    pub created: i8,
    /// `FRAME_EXECUTING`.
    pub executing: i8,
    /// `FRAME_CLEARED`: over.
    pub cleared: i8,
}

/// Where the circular lists of tasks begin (3.14 on). A node is two pointers, to the next and to the previous node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskLists {
    /// `task_node` in `TaskObj`.
    pub node: Offset,
    /// `asyncio_tasks_head` in `_PyThreadStateImpl`.
    pub of_thread: Offset,
    /// `asyncio_tasks_head` in `PyInterpreterState`: the tasks of threads that have ended.
    pub of_interpreter: Offset,
    /// `asyncio_running_loop` in `_PyThreadStateImpl`.
    pub running_loop: Offset,
    /// `asyncio_running_task` in `_PyThreadStateImpl`: null while none runs.
    pub running: Offset,
}
