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
}
