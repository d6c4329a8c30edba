/* Prints the offsets that rsamp needs from the CPython headers it is compiled against.
 *
 * One line per field of `struct Layout` in src/cpython/layout/mod.rs:
 *     group field offset bytes
 * or, where the value is not a number,
 *     rust group field value
 * and, for 3.13 on, one line per field of `_Py_DebugOffsets` that rsamp reads:
 *     debug group.field offset
 * and one line per trait of src/cpython/layout/traits.rs that the headers tell as a number:
 *     trait NAME type value
 * A field that the version lacks is not printed. scripts/layouts runs this and writes Rust.
 */
#define Py_BUILD_CORE 1
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "Python.h"
#include "frameobject.h"

#define V(minor) (PY_VERSION_HEX >= (0x03000000 | ((minor) << 16)))

#if V(11)
/* cpython/code.h and longintrepr.h come with Python.h from 3.11 on */
#else
#include "code.h"
#include "longintrepr.h"
#endif

#if !V(7)
/* PyInterpreterState is in pystate.h */
#elif !V(8)
#include "internal/pystate.h"
#elif !V(9)
#include "internal/pycore_pystate.h"
#else
#include "internal/pycore_interp.h"
#include "internal/pycore_runtime.h"
#endif
#if V(11)
#include "internal/pycore_frame.h"
#include "internal/pycore_dict.h"
#include "internal/pycore_code.h"
#endif
#if V(10)
#include "internal/pycore_moduleobject.h"
#endif
#if V(12)
#include "internal/pycore_gil.h"
#include "internal/pycore_long.h"
#include "internal/pycore_object.h"
#endif
#if V(14)
#include "internal/pycore_interpframe.h"
#include "internal/pycore_debug_offsets.h"
#include "internal/pycore_stackref.h"
#include "internal/pycore_tstate.h"
#endif
#if V(11)
#include "internal/pycore_genobject.h"
#endif

#if !V(11)
/* struct _dictkeysobject: Objects/dict-common.h (3.6-3.10), no installed header. */
typedef struct {
    Py_ssize_t dk_refcnt;
    Py_ssize_t dk_size;
    void *dk_lookup;
    Py_ssize_t dk_usable;
    Py_ssize_t dk_nentries;
    char dk_indices[8];
} Keys;
#else
typedef struct _dictkeysobject Keys;
#endif

/* The start of PyModuleObject: Objects/moduleobject.c (3.6-3.9), internal/pycore_moduleobject.h (3.10 on). */
typedef struct {
    PyObject_HEAD
    PyObject *md_dict;
} Module;
#if V(10)
_Static_assert(offsetof(Module, md_dict) == offsetof(PyModuleObject, md_dict), "PyModuleObject");
#endif

/* TaskObj: Modules/_asynciomodule.c, no installed header; up to the last field that is read. `exceptions` are the words
 * between `fut_callbacks` and `fut_state`, `dicts` those behind the flags, before `task_fut_waiter`. */
#if V(14)
enum { EXCEPTIONS = 7, DICTS = 1 };
#elif V(13)
enum { EXCEPTIONS = 6, DICTS = 1 };
#elif V(11)
enum { EXCEPTIONS = 5, DICTS = 4 };
#elif V(10)
enum { EXCEPTIONS = 5, DICTS = 7 };
#elif V(9)
enum { EXCEPTIONS = 4, DICTS = 7 };
#else
enum { EXCEPTIONS = 3, DICTS = 3 };
#endif
typedef struct {
    PyObject_HEAD
    PyObject *fut_loop;
    PyObject *fut_callback0;
    PyObject *fut_context0;
    PyObject *fut_callbacks;
    PyObject *exceptions[EXCEPTIONS];
    int fut_state;
    int flags;
    PyObject *dicts[DICTS];
    PyObject *task_fut_waiter;
    PyObject *task_coro;
    PyObject *task_name;
#if V(14)
    PyObject *task_context;
    struct llist_node task_node;
#endif
} Task;

/* partialobject: Modules/_functoolsmodule.c, no installed header. */
typedef struct {
    PyObject_HEAD
    PyObject *fn;
    PyObject *args;
} Partial;

/* What the code takes for granted in every version, beside the tables. */
#define GRANTED(fact) _Static_assert(fact, "src/cpython takes this for granted")
#define FOLLOWS(type, before, after) \
    GRANTED(offsetof(type, after) == offsetof(type, before) + sizeof(((type *)0)->before))
FOLLOWS(Task, task_coro, task_name); /* running_task.rs */
FOLLOWS(PyASCIIObject, length, hash); /* code.rs */
GRANTED(Py_TPFLAGS_LONG_SUBCLASS == 1 << 24); /* tasks/mod.rs */
GRANTED((CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR) == (0x20 | 0x80 | 0x200)); /* code.rs */
#if V(11)
FOLLOWS(PyThreadState, datastack_chunk, datastack_top); /* frames.rs */
GRANTED(sizeof(_Py_CODEUNIT) == 2); /* code.rs, line_table.rs */
GRANTED(offsetof(_PyStackChunk, data) == 24); /* chunks.rs */
GRANTED(FRAME_OWNED_BY_THREAD == 0); /* frames.rs */
GRANTED(Py_TPFLAGS_MANAGED_DICT == 1 << 4); /* objects.rs */
GRANTED(DICT_KEYS_GENERAL == 0); /* objects.rs */
GRANTED(sizeof(PyDictUnicodeEntry) == 16 && sizeof(PyDictKeyEntry) == 24); /* objects.rs */
#else
GRANTED(offsetof(PyObject, ob_refcnt) == 0); /* frames.rs */
#endif
#if V(13)
GRANTED(Py_TPFLAGS_INLINE_VALUES == 1 << 2); /* objects.rs */
#endif

#define RAW(group, field, offset, bytes) \
    printf("%s %s %zu %zu\n", group, field, (size_t)(offset), (size_t)(bytes))
#define AT(group, field, type, member) \
    RAW(group, field, offsetof(type, member), sizeof(((type *)0)->member))
/* A member that does not count into `size`: it is the start of something longer, or lies in another struct. */
#define START(group, field, type, member) RAW(group, field, offsetof(type, member), 0)

static void print_runtime(void)
{
#if V(7)
    AT("runtime", "interpreters_head", _PyRuntimeState, interpreters.head);
#else
    RAW("runtime", "interpreters_head", 0, 0);
#endif
#if V(7) && !V(12)
    AT("runtime", "gil_holder", _PyRuntimeState, gilstate.tstate_current);
    AT("runtime", "gil_last_holder", _PyRuntimeState, ceval.gil.last_holder);
    AT("runtime", "gil_switch_number", _PyRuntimeState, ceval.gil.switch_number);
#endif
#if V(7) && !V(9)
    AT("runtime", "gc_collecting", _PyRuntimeState, gc.collecting);
#endif
}

static void print_interpreter(void)
{
    AT("interpreter", "next", PyInterpreterState, next);
#if V(7)
    AT("interpreter", "id", PyInterpreterState, id);
#endif
#if V(11)
    AT("interpreter", "threads_head", PyInterpreterState, threads.head);
#else
    AT("interpreter", "threads_head", PyInterpreterState, tstate_head);
#endif
#if V(12)
    AT("interpreter", "modules", PyInterpreterState, imports.modules);
    AT("interpreter", "gil", PyInterpreterState, ceval.gil);
    AT("interpreter.gil_state", "last_holder", struct _gil_runtime_state, last_holder);
    AT("interpreter.gil_state", "locked", struct _gil_runtime_state, locked);
    AT("interpreter.gil_state", "switch_number", struct _gil_runtime_state, switch_number);
#else
    AT("interpreter", "modules", PyInterpreterState, modules);
#endif
#if V(9)
    AT("interpreter", "gc_collecting", PyInterpreterState, gc.collecting);
#endif
#if V(14)
    AT("interpreter", "code_generation", PyInterpreterState, _code_object_generation);
#endif
}

static void print_thread(void)
{
    AT("thread", "next", PyThreadState, next);
    AT("thread", "interp", PyThreadState, interp);
#if V(13)
    AT("thread", "frame", PyThreadState, current_frame);
#elif V(11)
    AT("thread", "frame", PyThreadState, cframe);
    START("thread", "cframe_current_frame", _PyCFrame, current_frame);
#else
    AT("thread", "frame", PyThreadState, frame);
#endif
#if V(10) && !V(13)
    AT("thread", "cframe", PyThreadState, cframe);
#endif
    AT("thread", "thread_id", PyThreadState, thread_id);
#if V(11)
    AT("thread", "native_thread_id", PyThreadState, native_thread_id);
    AT("thread", "datastack_chunk", PyThreadState, datastack_chunk);
#endif
}

static void print_frame(void)
{
#if V(11)
    AT("frame", "previous", _PyInterpreterFrame, previous);
#if V(13)
    AT("frame", "code", _PyInterpreterFrame, f_executable);
    AT("frame", "instruction", _PyInterpreterFrame, instr_ptr);
#else
    AT("frame", "code", _PyInterpreterFrame, f_code);
    AT("frame", "instruction", _PyInterpreterFrame, prev_instr);
#endif
    AT("frame", "owner", _PyInterpreterFrame, owner);
#if V(12)
    AT("frame", "function", _PyInterpreterFrame, f_funcobj);
    AT("frame", "return_offset", _PyInterpreterFrame, return_offset);
#else
    AT("frame", "function", _PyInterpreterFrame, f_func);
    AT("frame", "is_entry", _PyInterpreterFrame, is_entry);
#endif
#if V(14)
    AT("frame", "stackpointer", _PyInterpreterFrame, stackpointer);
#else
    AT("frame", "stacktop", _PyInterpreterFrame, stacktop);
#endif
#if V(14) && defined(Py_GIL_DISABLED)
    AT("frame", "tlbc_index", _PyInterpreterFrame, tlbc_index);
#endif
    START("frame", "size", _PyInterpreterFrame, localsplus);
#else
    AT("frame", "previous", PyFrameObject, f_back);
    AT("frame", "code", PyFrameObject, f_code);
    AT("frame", "instruction", PyFrameObject, f_lasti);
#endif
}

static void print_code(void)
{
    AT("code", "filename", PyCodeObject, co_filename);
    AT("code", "name", PyCodeObject, co_name);
#if V(10)
    AT("code", "linetable", PyCodeObject, co_linetable);
#else
    AT("code", "linetable", PyCodeObject, co_lnotab);
#endif
    AT("code", "first_line", PyCodeObject, co_firstlineno);
    AT("code", "flags", PyCodeObject, co_flags);
    AT("code", "stacksize", PyCodeObject, co_stacksize);
#if V(11)
    AT("code", "qualname", PyCodeObject, co_qualname);
    START("code", "code", PyCodeObject, co_code_adaptive);
    AT("code", "nlocalsplus", PyCodeObject, co_nlocalsplus);
#else
    AT("code", "code", PyCodeObject, co_code);
#endif
#if V(12)
    AT("code", "framesize", PyCodeObject, co_framesize);
#endif
#if V(14) && defined(Py_GIL_DISABLED)
    AT("code", "tlbc", PyCodeObject, co_tlbc);
#endif
}

#if V(8) && !defined(Py_GIL_DISABLED)
/* How a coroutine tells that it runs, and what it awaits: AwaitedForm of src/cpython/layout/mod.rs. */
static void print_awaited(void)
{
    printf("rust tasks awaited AwaitedForm::");
#if V(15)
    /* SEND leaves the awaited object and an index. */
    printf("SavedPointer { states: FrameStates { created: %d, executing: %d, cleared: %d }, words: 2 }\n",
           FRAME_CREATED, FRAME_EXECUTING, FRAME_CLEARED);
#elif V(14)
    printf("SavedPointer { states: FrameStates { created: %d, executing: %d, cleared: %d }, words: 1 }\n",
           FRAME_CREATED, FRAME_EXECUTING, FRAME_CLEARED);
#elif V(11)
    printf("StackTop { states: FrameStates { created: %d, executing: %d, cleared: %d } }\n",
           FRAME_CREATED, FRAME_EXECUTING, FRAME_CLEARED);
#elif V(10)
    printf("Depth { stack: %zu, depth: %zu }\n", offsetof(PyFrameObject, f_valuestack),
           offsetof(PyFrameObject, f_stackdepth));
#else
    printf("Pointer { stack: %zu, top: %zu }\n", offsetof(PyFrameObject, f_valuestack),
           offsetof(PyFrameObject, f_stacktop));
#endif
}

static void print_tasks(void)
{
    AT("tasks", "context_version", PyThreadState, context_ver);
    AT("tasks", "state", Task, fut_state);
    AT("tasks", "callback0", Task, fut_callback0);
    AT("tasks", "callbacks", Task, fut_callbacks);
    AT("tasks", "fut_waiter", Task, task_fut_waiter);
    AT("tasks", "coro", Task, task_coro);
    AT("tasks", "name", Task, task_name);
#if V(11)
    AT("tasks", "frame", PyGenObject, gi_iframe);
    AT("tasks", "frame_state", PyGenObject, gi_frame_state);
#else
    AT("tasks", "frame", PyGenObject, gi_frame);
#endif
    print_awaited();
#if V(14)
    printf("rust tasks lists TaskLists { node: %zu, of_thread: %zu, of_interpreter: %zu, running_loop: %zu, running: %zu }\n", offsetof(Task, task_node),
           offsetof(_PyThreadStateImpl, asyncio_tasks_head), offsetof(PyInterpreterState, asyncio_tasks_head),
           offsetof(_PyThreadStateImpl, asyncio_running_loop), offsetof(_PyThreadStateImpl, asyncio_running_task));
#endif
    AT("tasks", "set_mask", PySetObject, mask);
    AT("tasks", "set_table", PySetObject, table);
    AT("tasks", "weakref_object", PyWeakReference, wr_object);
    AT("tasks", "method_self", PyMethodObject, im_self);
    AT("tasks", "function_closure", PyFunctionObject, func_closure);
    AT("tasks", "function_code", PyFunctionObject, func_code);
    AT("tasks", "cell_contents", PyCellObject, ob_ref);
    AT("tasks", "partial_args", Partial, args);
}
#endif

/* The bit at which the field starts that is one in `state`: bit fields have no offset. */
static int first_bit(const PyASCIIObject *with_one)
{
    uint32_t bits;
    memcpy(&bits, (const char *)with_one + offsetof(PyASCIIObject, state), sizeof bits);
    return __builtin_ctz(bits);
}

static void print_strings(void)
{
    static PyASCIIObject kind, compact, ascii;
    kind.state.kind = 1;
    compact.state.compact = 1;
    ascii.state.ascii = 1;
    AT("object", "str_length", PyASCIIObject, length);
    START("object", "str_state", PyASCIIObject, state);
    RAW("object", "str_kind_bit", first_bit(&kind), 0);
    RAW("object", "str_compact_bit", first_bit(&compact), 0);
    RAW("object", "str_ascii_bit", first_bit(&ascii), 0);
    RAW("object", "str_ascii_size", sizeof(PyASCIIObject), 0);
    RAW("object", "str_compact_size", sizeof(PyCompactUnicodeObject), 0);
    AT("object", "str_data", PyUnicodeObject, data);
}

static void print_object(void)
{
    AT("object", "ob_type", PyObject, ob_type);
    AT("object", "ob_size", PyVarObject, ob_size);
    AT("object", "bytes_data", PyBytesObject, ob_sval);
    print_strings();
#if V(12)
    AT("object", "long_tag", PyLongObject, long_value.lv_tag);
    AT("object", "long_digits", PyLongObject, long_value.ob_digit);
#else
    AT("object", "long_digits", PyLongObject, ob_digit);
#endif
    AT("object", "dict_keys", PyDictObject, ma_keys);
    AT("object", "dict_values", PyDictObject, ma_values);
    START("object", "keys_indices", Keys, dk_indices);
#if V(11)
    AT("object", "keys_size", Keys, dk_log2_size);
    AT("object", "keys_log2_index_bytes", Keys, dk_log2_index_bytes);
    AT("object", "keys_kind", Keys, dk_kind);
    AT("object", "type_cached_keys", PyHeapTypeObject, ht_cached_keys);
#else
    AT("object", "keys_size", Keys, dk_size);
#endif
    AT("object", "keys_nentries", Keys, dk_nentries);
    AT("object", "type_name", PyTypeObject, tp_name);
    AT("object", "type_dictoffset", PyTypeObject, tp_dictoffset);
    AT("object", "type_basicsize", PyTypeObject, tp_basicsize);
    AT("object", "type_flags", PyTypeObject, tp_flags);
    AT("object", "module_dict", Module, md_dict);
    AT("object", "list_items", PyListObject, ob_item);
    START("object", "tuple_items", PyTupleObject, ob_item);
#if V(11)
    START("object", "values_items", struct _dictvalues, values);
#else
    RAW("object", "values_items", 0, 0);
#endif
}

/* Where an instance keeps its attributes when its type has Py_TPFLAGS_MANAGED_DICT:
 * internal/pycore_object.h, static functions in 3.11 and 3.12, a macro from 3.13 on. */
static void print_managed(void)
{
    printf("rust object managed_dict ManagedDict::");
#if V(13)
    printf("Inline { dict_before: %d }\n", (int)-MANAGED_DICT_OFFSET);
#elif V(12)
    /* _PyObject_DictOrValuesPointer: ((PyDictOrValues *)obj)-3 */
    printf("Tagged { before: %d }\n", 3 * (int)sizeof(PyDictOrValues));
#elif V(11)
    /* _PyObject_ValuesPointer: ((PyDictValues **)obj)-4 */
    /* _PyObject_ManagedDictPointer: ((PyObject **)obj)-3 */
    printf("Separate { values_before: %d, dict_before: %d }\n",
           4 * (int)sizeof(PyDictValues *), 3 * (int)sizeof(PyObject *));
#else
    printf("Absent\n");
#endif
}

/* `enum _frameowner`, and the low bits of a `_PyStackRef` that are not part of the address. */
static void print_traits(void)
{
#if V(11)
#if V(15)
    int last = FRAME_OWNED_BY_INTERPRETER;
#elif V(12)
    int last = FRAME_OWNED_BY_CSTACK;
#else
    int last = FRAME_OWNED_BY_FRAME_OBJECT;
#endif
    printf("trait OWNERS Owners Owners { last_of_function: %d, last: %d }\n",
           (int)FRAME_OWNED_BY_FRAME_OBJECT, last);
#endif
#if V(14)
    printf("trait REFERENCE_TAGS u64 %d\n", (int)Py_TAG_BITS);
#endif
}

#if V(13)
#define WORD(group, field) \
    printf("debug %s.%s %zu\n", #group, #field, offsetof(struct _Py_DebugOffsets, group.field))

static void print_debug_offsets(void)
{
    printf("debug size %zu\n", sizeof(struct _Py_DebugOffsets));
    WORD(runtime_state, interpreters_head);
    WORD(interpreter_state, size);
    WORD(interpreter_state, next);
    WORD(interpreter_state, id);
    WORD(interpreter_state, threads_head);
    WORD(interpreter_state, imports_modules);
    WORD(interpreter_state, ceval_gil);
    WORD(interpreter_state, gil_runtime_state);
    WORD(interpreter_state, gil_runtime_state_locked);
    WORD(interpreter_state, gil_runtime_state_holder);
    WORD(interpreter_state, gc);
    WORD(gc, collecting);
    WORD(thread_state, size);
    WORD(thread_state, next);
    WORD(thread_state, interp);
    WORD(thread_state, current_frame);
    WORD(thread_state, thread_id);
    WORD(thread_state, native_thread_id);
    WORD(thread_state, datastack_chunk);
    WORD(interpreter_frame, size);
    WORD(interpreter_frame, previous);
    WORD(interpreter_frame, executable);
    WORD(interpreter_frame, instr_ptr);
    WORD(interpreter_frame, localsplus);
    WORD(interpreter_frame, owner);
    WORD(code_object, size);
    WORD(code_object, filename);
    WORD(code_object, name);
    WORD(code_object, qualname);
    WORD(code_object, linetable);
    WORD(code_object, firstlineno);
    WORD(code_object, co_code_adaptive);
    WORD(pyobject, ob_type);
    WORD(type_object, size);
    WORD(type_object, tp_name);
    WORD(type_object, tp_flags);
    WORD(dict_object, ma_keys);
    WORD(dict_object, ma_values);
    WORD(long_object, lv_tag);
    WORD(long_object, ob_digit);
    WORD(bytes_object, ob_size);
    WORD(bytes_object, ob_sval);
    WORD(unicode_object, state);
    WORD(unicode_object, length);
    WORD(unicode_object, asciiobject_size);
#if V(14)
    WORD(interpreter_state, code_object_generation);
    WORD(interpreter_frame, stackpointer);
    WORD(interpreter_frame, tlbc_index);
    WORD(code_object, co_tlbc);
#endif
}
#endif

int main(void)
{
    printf("version %s %u\n", PY_VERSION, (unsigned)PY_VERSION_HEX);
    print_runtime();
    print_interpreter();
    print_thread();
    print_frame();
    print_code();
    print_object();
    print_managed();
#if V(8) && !defined(Py_GIL_DISABLED)
    print_tasks();
#endif
    print_traits();
#if V(13)
    print_debug_offsets();
#endif
    return 0;
}
