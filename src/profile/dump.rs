//! The stacks of all threads of a process at one moment.

use super::event::Frame;

/// What the kernel says of a thread at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// On a CPU or waiting for one (state `R`).
    Running,
    /// Waiting for anything else.
    Waiting,
}

/// One thread at one moment.
#[derive(Debug, Clone)]
pub struct ThreadDump {
    /// The kernel's thread id in rsamp's PID namespace.
    pub tid: Option<i32>,
    /// The name that the program gave it.
    pub name: Option<String>,
    /// Whether it is the main thread.
    pub is_main: bool,
    /// Whether it holds the GIL; `None` where there is no GIL or it cannot be told.
    pub holds_gil: Option<bool>,
    /// Whether it runs; `None` when its thread id is not known.
    pub activity: Option<Activity>,
    /// The id of the (sub)interpreter it runs in, 0 for the main one.
    pub interpreter: i64,
    /// The frames, innermost first.
    pub frames: Vec<Frame>,
    /// Why the stack is not whole, when it is not.
    pub incomplete: Option<String>,
}

/// One asyncio task at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskDump {
    /// Its number in this dump.
    pub id: u32,
    /// Its name, which is `Task-` and a number where the program gave none.
    pub name: Option<String>,
    /// The id of the (sub)interpreter it belongs to, 0 for the main one.
    pub interpreter: i64,
    /// What it does.
    pub state: TaskState,
    /// The tasks that wait for it, by [`TaskDump::id`].
    pub parents: Vec<u32>,
    /// The frames of its coroutine and of those that it awaits, innermost first.
    pub frames: Vec<Frame>,
}

/// Whether asyncio made a task's name up, as it does when the program gives none: `Task-7`; also `None`, which
/// `create_task()` of a loop with a task factory makes of no name (`base_events.py` of 3.12 and 3.13.0).
#[must_use]
pub fn is_made_up(name: &str) -> bool {
    let number = name.strip_prefix("Task-").unwrap_or_default();
    name == "None" || !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// What an asyncio task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TaskState {
    /// It runs.
    Running,
    /// The loop will run it when its turn comes.
    Ready,
    /// As [`TaskState::Ready`], for the first time.
    NotBegun,
    /// It waits.
    Waiting(WaitsFor),
}

/// What an asyncio task waits for: told by the function of asyncio at its leaf, or by the future.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WaitsFor {
    /// Until some time is over.
    Sleep,
    /// Data or a connection: a stream, a socket or a server of asyncio.
    Network,
    /// A lock, an event, a condition, a semaphore or a barrier of asyncio.
    Lock,
    /// A queue of asyncio.
    Queue,
    /// A thread of an executor.
    Thread,
    /// A child process.
    Process,
    /// Other tasks.
    Task,
    /// A future of which it is not known who sets it.
    Future,
}

impl WaitsFor {
    /// All of them.
    pub const ALL: [WaitsFor; 8] = [
        WaitsFor::Sleep,
        WaitsFor::Network,
        WaitsFor::Lock,
        WaitsFor::Queue,
        WaitsFor::Thread,
        WaitsFor::Process,
        WaitsFor::Task,
        WaitsFor::Future,
    ];

    /// What a task waits for whose innermost frame is `leaf`; `None` where that tells nothing: it is not a function of asyncio.
    #[must_use]
    pub fn of_leaf(leaf: &Frame) -> Option<WaitsFor> {
        let mut parts = leaf.file.as_deref()?.rsplit('/');
        let (file, folder) = (parts.next()?, parts.next()?);
        if folder != "asyncio" {
            return None;
        }
        match file {
            "tasks.py" if leaf.name == "sleep" => Some(WaitsFor::Sleep),
            "tasks.py" | "taskgroups.py" => Some(WaitsFor::Task),
            "locks.py" => Some(WaitsFor::Lock),
            "queues.py" => Some(WaitsFor::Queue),
            "threads.py" => Some(WaitsFor::Thread),
            "subprocess.py" | "base_subprocess.py" => Some(WaitsFor::Process),
            "streams.py" | "base_events.py" | "selector_events.py" | "unix_events.py"
            | "sslproto.py" => Some(WaitsFor::Network),
            _ => None,
        }
    }
}

/// All Python threads of a process at one moment, and the others where native frames were asked for.
#[derive(Debug, Clone)]
pub struct Dump {
    /// The process.
    pub pid: i32,
    /// The interpreter's version as `3.11.7`, with `t` behind it for a free-threaded build.
    pub python: String,
    /// The command line, word by word.
    pub command: Vec<String>,
    /// The program or library that the interpreter is in, as the process has it mapped; `None` where native frames were
    /// not asked for, or it was not met.
    pub interpreter_module: Option<String>,
    /// The threads, the main thread first.
    pub threads: Vec<ThreadDump>,
    /// The asyncio tasks that are not done, by name; `None` where they were not asked for.
    pub tasks: Option<Vec<TaskDump>>,
}
