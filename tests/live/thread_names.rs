//! Reads the names of threads from running programs and compares them with what these say themselves.

use std::collections::{BTreeSet, HashMap};
use std::process::Command;

use rsamp::cpython::{
    Layout, MAX_DEBUG_OFFSETS_BYTES, Row, ThreadNames, parse_debug_offsets, thread_names,
    thread_names_in,
};
use rsamp::memory::{Address, LiveMemory, ReadMemory};
use rsamp::process::Pid;

use assert_cmd::cargo::cargo_bin;

use crate::support::programs::{command, run_command, spawn};
use crate::support::pythons::Python;
use crate::support::recordings::read;

/// What the program says.
#[derive(serde::Deserialize)]
struct Said {
    /// `id(sys.modules)`.
    modules: u64,
    /// `&_PyRuntime`; 3.6 has none.
    runtime: Option<u64>,
    main: u64,
    names: HashMap<u64, String>,
}

fn threads_have_the_names_that_the_program_gave_them(python: &Python) {
    let mut program = spawn(&mut command(python, "thread_names.py"));
    let said: Said = serde_json::from_str(&program.line()).expect("JSON");
    assert!(said.names.len() > 50, "{}", python.label);

    let memory = LiveMemory::new(Pid(program.pid()));
    let layout = layout_of(python, &memory, said.runtime);
    let expected = ThreadNames {
        names: said.names,
        main: Some(said.main),
    };
    let read = thread_names_in(&memory, &layout, Address(said.modules), |_| true);
    assert_eq!(read, expected, "{}", python.label);
    if let Some(runtime) = said.runtime {
        let head = Address(runtime) + layout.runtime.interpreters_head;
        let interpreter = memory.pointer(head).expect("interpreters.head");
        let read = thread_names(&memory, &layout, interpreter, |_| true);
        assert_eq!(read, expected, "{}", python.label);
    }
}

test_on_each!(threads_have_the_names_that_the_program_gave_them);

fn layout_of(python: &Python, memory: &LiveMemory, runtime: Option<u64>) -> Layout {
    let (major, minor, _) = python.version;
    let row = Row::of_minor(major, minor).expect("a row");
    if !row.describes_itself() {
        return row.layout.clone();
    }
    let mut bytes = [0; MAX_DEBUG_OFFSETS_BYTES];
    let runtime = Address(runtime.expect("_PyRuntime"));
    memory.read(runtime, &mut bytes).expect("the debug offsets");
    parse_debug_offsets(&bytes)
        .unwrap_or_else(|error| panic!("{}: {error}", python.label))
        .layout
}

/// Threads that the program names by prctl(PR_SET_NAME), as pthread_setname_np(3) does for the calling thread: without
/// `threading`, with a name that `threading` made up, with one that the program gave, and one that is left alone.
const KERNEL_NAMES: &str = "\
import _thread, ctypes, sys, threading, time
prctl = ctypes.CDLL(None).prctl
ready = []
def work(name):
    if name:
        prctl(15, ctypes.c_char_p(name), 0, 0, 0)
    ready.append(name)
    while True:
        time.sleep(0.001)
_thread.start_new_thread(work, (b'io-pool',))
threading.Thread(target=work, args=(b'decoder-0',), daemon=True).start()
threading.Thread(target=work, args=(b'hidden',), daemon=True, name='loader').start()
threading.Thread(target=work, args=(b'',), daemon=True, name=None).start()
while len(ready) < 4:
    time.sleep(0.001)
print('READY', flush=True)
sys.stdin.read()
";

fn threads_without_a_name_of_their_own_have_the_kernels(python: &Python) {
    let program = run_command(python.interpreter().args(["-c", KERNEL_NAMES]));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.rsamp");
    let mut command = Command::new(cargo_bin!("rsamp"));
    let command = command.args(["attach", "-q", "-d", "0.3", "-o"]).arg(&path);
    let status = command.arg("--pid").arg(program.pid().to_string()).status();
    assert!(status.expect("rsamp runs").success(), "{}", python.label);
    let profile = read(&path).expect("a recording").profile;
    let names = profile.threads().iter();
    let names: BTreeSet<String> = names.filter_map(|thread| thread.name.clone()).collect();
    let numbers = names.iter().filter(|name| name.starts_with("Thread-"));
    assert_eq!(numbers.count(), 1, "{}: {names:?}", python.label);
    for name in ["MainThread", "decoder-0", "io-pool", "loader"] {
        assert!(
            names.contains(name),
            "{}: no {name}: {names:?}",
            python.label
        );
    }
}

test_on_each!(threads_without_a_name_of_their_own_have_the_kernels);

/// Functions that are made one after the other by `code.replace`, each at the address of one before: their names have
/// no hash, and differ in the middle. The second argument says whether the qualified name stays as it was.
const REPLACED: &str = "\
import sys, time, types
def step(until):
    while time.perf_counter() < until:
        pass
for number in range(8):
    name = 'the step with number %02d of a long calculation' % number
    names = {'co_name': name}
    if sys.version_info >= (3, 11) and sys.argv[1] == 'both':
        names['co_qualname'] = name
    made = types.FunctionType(step.__code__.replace(**names), globals())
    made(time.perf_counter() + 0.3)
";

fn functions_with_names_that_the_program_gave_stay_apart(python: &Python) {
    for which in ["both", "name"] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.rsamp");
        let mut command = Command::new(cargo_bin!("rsamp"));
        let command = command
            .args(["record", "-q", "-r", "1000", "-o"])
            .arg(&path);
        let command = command.arg("--").args(&python.command);
        let status = command.args(["-c", REPLACED, which]).status();
        assert!(status.expect("rsamp runs").success(), "{}", python.label);
        let profile = read(&path).expect("a recording").profile;
        let names = profile.frames().iter().map(|frame| frame.name.as_str());
        let names: BTreeSet<&str> = names.filter(|name| name.starts_with("the step")).collect();
        assert_eq!(names.len(), 8, "{} {which}: {names:?}", python.label);
        assert!(profile.frames().iter().all(|frame| frame.name != "step"));
    }
}

test_on!(functions_with_names_that_the_program_gave_stay_apart: v3_8 v3_9 v3_10 v3_11 v3_12 v3_13 v3_14 v3_15 system);
