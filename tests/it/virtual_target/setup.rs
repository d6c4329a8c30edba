//! Turns a version and programs into the memory of an interpreter that is about to run them.

use rsamp::cpython::{GilPlace, Interpreter, Row, Version, parse_debug_offsets};
use rsamp::memory::Address;

use super::layouts::Python;
use super::memory::{Arena, Memory};
use super::program::Program;

/// Bytes of `_PyRuntime`, `PyInterpreterState`, `PyThreadState` that are there.
const RUNTIME_BYTES: u64 = 4096;
const INTERPRETER_BYTES: u64 = 8192;
const THREAD_BYTES: u64 = 1024;

/// Bytes of the instructions of every code object.
pub const INSTRUCTION_BYTES: u64 = 64;

/// `CO_GENERATOR`.
const GENERATOR: u64 = 0x20;

/// An interpreter in memory.
#[derive(Debug)]
pub struct Setup {
    pub python: &'static Python,
    pub memory: Memory,
    statics: Arena,
    next_static: u64,
    runtime: u64,
    interpreter: u64,
    /// `ceval.gil`: where `last_holder` is.
    pub last_holder: Option<u64>,
    /// Where the current thread is, up to 3.11.
    pub current_thread: Option<u64>,
    pub threads: Vec<u64>,
    /// The code objects of each program's functions.
    pub codes: Vec<Vec<u64>>,
}

/// How many variables a function has, in words.
pub fn variables(function: usize) -> u64 {
    1 + function as u64 % 3
}

/// `co_stacksize` of a function.
pub fn stack_size(function: usize) -> u64 {
    4 + function as u64 % 2
}

impl Setup {
    /// An interpreter with a thread for each program.
    pub fn new(python: &'static Python, programs: &[&Program]) -> Setup {
        let mut memory = Memory::default();
        let statics = memory.add_arena(0x5555_5600_0000, 64 << 10);
        let mut setup = Setup {
            python,
            memory,
            statics,
            next_static: statics.start(),
            runtime: 0,
            interpreter: 0,
            last_holder: None,
            current_thread: None,
            threads: Vec::new(),
            codes: Vec::new(),
        };
        setup.runtime = setup.room(RUNTIME_BYTES);
        setup.interpreter = setup.room(INTERPRETER_BYTES);
        let (runtime, interpreter) = (setup.runtime, setup.interpreter);
        setup.memory.write(runtime, python.runtime_start);
        setup.put(runtime + python.interpreters, interpreter);
        let mut link = interpreter + python.threads;
        for (number, program) in programs.iter().enumerate() {
            let state = 0x7f00_0100_0000 + 0x10_0000 * number as u64;
            setup.memory.add_arena(state, THREAD_BYTES as usize);
            setup.put(link, state);
            // `next` and `interp` are words 1 and 2 of `PyThreadState` in all versions.
            link = state + 8;
            setup.put(state + 16, interpreter);
            setup.put(state + python.ident, 0x7f00_0000_1000 + number as u64);
            if let Some(native) = python.native {
                setup.put(state + native, 4000 + number as u64);
            }
            setup.threads.push(state);
            let codes = program.functions.iter().enumerate();
            let codes = codes.map(|(function, (name, _))| {
                let makes_generators = program.makes_generators(function);
                setup.code(function, name, makes_generators)
            });
            let codes = codes.collect();
            setup.codes.push(codes);
        }
        setup.put_gil();
        setup
    }

    /// What `locate` would say of it.
    pub fn interpreter(&self) -> Interpreter {
        let version = Version::from_hex(self.python.hex, false);
        let row = Row::of(version).expect("a row");
        let (layout, gil) = if self.python.runtime_start.is_empty() {
            let layout = row.layout.clone();
            let gil = match (self.python.gil, self.python.current_thread) {
                (Some(_), _) => GilPlace::PerInterpreter,
                (None, Some(_)) => GilPlace::Runtime(Address(self.runtime)),
                (None, None) => GilPlace::Variable(Address(self.runtime + 8)),
            };
            (layout, gil)
        } else {
            let parsed = parse_debug_offsets(self.python.runtime_start).expect("debug offsets");
            (parsed.layout, GilPlace::PerInterpreter)
        };
        Interpreter {
            version,
            interpreters_head: Address(self.runtime) + layout.runtime.interpreters_head,
            layout,
            traits: &row.traits,
            gil,
        }
    }

    fn put_gil(&mut self) {
        let holder = self.threads[0];
        let gil = match (self.python.gil, self.python.last_holder) {
            (Some(pointer), _) => {
                let gil = self.room(64);
                self.put(self.interpreter + pointer, gil);
                Some(gil + 8)
            }
            (None, at) => at.map(|at| self.runtime + at),
        };
        self.current_thread = match (self.python.gil, self.python.current_thread) {
            (Some(_), _) => None,
            (None, Some(at)) => Some(self.runtime + at),
            // 3.6: the variable `_PyThreadState_Current`.
            (None, None) => Some(self.runtime + 8),
        };
        for (at, word) in gil
            .into_iter()
            .flat_map(|at| [(at, holder), (at + 8, 1), (at + 16, 1)])
        {
            self.put(at, word);
        }
        if let Some(at) = self.current_thread {
            self.put(at, holder);
        }
        self.last_holder = gil;
    }

    fn code(&mut self, function: usize, name: &str, makes_generators: bool) -> u64 {
        let code = &self.python.code;
        let at = self.room(code.size as u64 + INSTRUCTION_BYTES);
        let (name, file) = (self.text(name), self.text("/app/program.py"));
        // One line on at once, in either format of line tables.
        let table = self.bytes(if code.start.is_some() {
            &[0x80 | 13 << 3 | 3, 2]
        } else {
            &[0, 1]
        });
        self.put_int(at + code.first_line, 10 * (function as u64 + 1));
        self.put(at + code.filename, file);
        self.put(at + code.name, name);
        self.put(at + code.line_table, table);
        self.put_int(at + code.stack_size, stack_size(function));
        self.put_int(
            at + code.flags,
            3 | if makes_generators { GENERATOR } else { 0 },
        );
        if let Some(offset) = code.qualname {
            self.put(at + offset, name);
            // `ob_size`, in code units.
            self.put(at + 16, INSTRUCTION_BYTES / 2);
        }
        if let Some(offset) = code.variables {
            self.put_int(at + offset, variables(function));
        }
        if let Some(offset) = code.frame_size {
            let super::layouts::Frames::DataStack(frames) = &self.python.frames else {
                panic!("a size of frames without a data stack");
            };
            let words = frames.locals / 8 + variables(function) + stack_size(function);
            self.put_int(at + offset, words);
        }
        at
    }

    /// A `str` in ASCII: kind in bits 2 to 4 of `state`, `compact` is bit 5, `ascii` bit 6.
    fn text(&mut self, text: &str) -> u64 {
        let mut bytes = vec![0; self.python.str_size];
        bytes[16..24].copy_from_slice(&(text.len() as u64).to_le_bytes());
        bytes[32] = 1 << 2 | 1 << 5 | 1 << 6;
        bytes.extend(text.as_bytes());
        self.place(&bytes)
    }

    /// A `bytes`: its length is word 2, its text starts in byte 32.
    fn bytes(&mut self, content: &[u8]) -> u64 {
        let mut bytes = vec![0; 32];
        bytes[16..24].copy_from_slice(&(content.len() as u64).to_le_bytes());
        bytes.extend(content);
        self.place(&bytes)
    }

    fn place(&mut self, bytes: &[u8]) -> u64 {
        let at = self.room(bytes.len() as u64);
        self.memory.write(at, bytes);
        at
    }

    fn room(&mut self, length: u64) -> u64 {
        let at = self.next_static;
        self.next_static += length.next_multiple_of(16) + 16;
        assert!(self.next_static <= self.statics.end(), "no room");
        at
    }

    fn put(&mut self, at: u64, word: u64) {
        self.memory.write(at, &word.to_le_bytes());
    }

    fn put_int(&mut self, at: u64, int: u64) {
        self.memory.write(at, &(int as u32).to_le_bytes());
    }
}
