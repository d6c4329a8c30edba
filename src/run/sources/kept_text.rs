//! Turns the name of a file that cannot be read, such as that of a notebook's cell, into the text that the program itself
//! keeps of it, from the memory of the process that named it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::cpython::linecache::cached_source;
use crate::cpython::locate::{Found, Interpreter, locate};
use crate::memory::LiveMemory;
use crate::process::{Pid, Process};
use crate::profile::event::ProcessId;

/// So many processes are asked, each with what it takes to read its interpreter. Later ones are not.
const MAX_PROCESSES: usize = 256;

/// Modules that are built into the interpreter: no program keeps their text.
const FROZEN: &str = "<frozen ";

/// The processes of a recording, to ask for the texts that they keep.
#[derive(Debug, Default)]
pub(super) struct KeptTexts {
    processes: Mutex<HashMap<ProcessId, Kept>>,
}

/// A process that may be asked.
#[derive(Debug)]
struct Kept {
    pid: Pid,
    start_ticks: u64,
    interpreter: Lookup,
}

/// What is known of a process's interpreter.
#[derive(Debug)]
enum Lookup {
    /// Nothing was asked yet.
    Open,
    /// It is none that has texts to read.
    Nothing,
    Found(Box<Interpreter>),
}

impl KeptTexts {
    /// A process has just been defined.
    pub(super) fn appeared(&self, number: ProcessId, process: &Process) {
        let mut processes = self
            .processes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if processes.len() < MAX_PROCESSES {
            processes.insert(
                number,
                Kept {
                    pid: process.pid(),
                    start_ticks: process.start_ticks(),
                    interpreter: Lookup::Open,
                },
            );
        }
    }

    /// The text that the process keeps for this name, while it lives.
    pub(super) fn text(&self, number: ProcessId, file: &str) -> Option<String> {
        if file.starts_with(FROZEN) {
            return None;
        }
        let mut processes = self
            .processes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let kept = processes.get_mut(&number)?;
        let process = Process::open(kept.pid).ok()?;
        if process.start_ticks() != kept.start_ticks {
            return None;
        }
        let memory = LiveMemory::new(kept.pid);
        if matches!(kept.interpreter, Lookup::Open) {
            kept.interpreter = match locate(&process, &memory) {
                Ok(Found::Native(interpreter)) => Lookup::Found(interpreter),
                _ => Lookup::Nothing,
            };
        }
        match &kept.interpreter {
            Lookup::Found(interpreter) => cached_source(&memory, interpreter, file),
            Lookup::Open | Lookup::Nothing => None,
        }
    }
}
