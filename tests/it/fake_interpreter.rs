//! Turns a description of threads and frames into the memory of a CPython interpreter.
//!
//! The offsets are written down here from the headers of four versions, by hand and apart from the
//! tables in `src/cpython/layout`: where the two disagree, `stacks.rs` fails.

use std::collections::{BTreeMap, HashMap};

use rsamp::cpython::{GilPlace, Interpreter, Row, Version, parse_debug_offsets};
use rsamp::memory::{Address, ReadMemory, SavedMemory};

/// Offsets in bytes from the start of the struct that the comment of each group names.
#[derive(Debug)]
pub struct Offsets {
    /// `PY_VERSION_HEX`.
    pub hex: u32,
    /// `_PyRuntimeState` (internal/pycore_runtime.h): `interpreters.head`.
    pub runtime_head: u64,
    /// `_PyRuntimeState`: `gilstate.tstate_current`, up to 3.11.
    pub runtime_holder: Option<u64>,
    /// `_PyRuntimeState`: `ceval.gil.switch_number`, up to 3.11; two words after `last_holder`.
    pub runtime_switches: Option<u64>,
    /// `_PyRuntimeState` from 3.13 on: what it starts with, copied from a running interpreter.
    pub runtime_start: &'static [u8],
    /// `PyInterpreterState` (internal/pycore_interp.h, pycore_interp_structs.h in 3.14).
    pub interpreter: InterpreterOffsets,
    /// `PyThreadState` (cpython/pystate.h).
    pub thread: ThreadOffsets,
    /// `PyFrameObject` (frameobject.h) in 3.8, else `_PyInterpreterFrame` (internal/pycore_frame.h,
    /// pycore_interpframe_structs.h in 3.14).
    pub frame: FrameOffsets,
    /// `PyCodeObject` (code.h, cpython/code.h).
    pub code: CodeOffsets,
    /// `sizeof(PyASCIIObject)`, `sizeof(PyCompactUnicodeObject)` (cpython/unicodeobject.h).
    pub str_sizes: (usize, usize),
}

#[derive(Debug)]
pub struct InterpreterOffsets {
    pub next: u64,
    /// `tstate_head`, later `threads.head`.
    pub threads: u64,
    /// `ceval.gil`, from 3.12 on. What it points to has `last_holder` in byte 8, `locked` in 16,
    /// `switch_number` in 24.
    pub gil: Option<u64>,
    /// `_code_object_generation`, from 3.14 on.
    pub code_generation: Option<u64>,
}

#[derive(Debug)]
pub struct ThreadOffsets {
    /// `frame`, `cframe` or `current_frame`.
    pub frame: u64,
    /// 3.11: `current_frame` in `_PyCFrame`.
    pub in_cframe: Option<u64>,
    pub ident: u64,
    pub native: Option<u64>,
    /// `datastack_chunk`; `datastack_top` comes next.
    pub chunk: Option<u64>,
}

#[derive(Debug)]
pub struct FrameOffsets {
    pub previous: u64,
    pub code: u64,
    pub instruction: u64,
    pub stacktop: Option<u64>,
    /// 3.11.
    pub is_entry: Option<u64>,
    pub owner: Option<u64>,
    /// `f_localsplus`, `localsplus`.
    pub locals: u64,
    /// The owner of a frame between C code and the frame that it calls: `FRAME_OWNED_BY_CSTACK` in
    /// 3.13, `FRAME_OWNED_BY_INTERPRETER` in 3.14; 3.11 and 3.8 have none.
    pub shim_owner: Option<u8>,
    /// `Py_TAG_REFCNT` (internal/pycore_stackref.h): the tag of a borrowed reference, 3.14 on.
    pub tag: u64,
}

#[derive(Debug)]
pub struct CodeOffsets {
    pub first_line: u64,
    pub filename: u64,
    pub name: u64,
    pub qualname: Option<u64>,
    pub line_table: u64,
    pub stack_size: u64,
    pub locals: Option<u64>,
    pub frame_size: Option<u64>,
    /// `co_code_adaptive`.
    pub start: Option<u64>,
    pub size: usize,
}

/// Python 3.8.18.
pub static V3_8: Offsets = Offsets {
    hex: 0x0308_12f0,
    runtime_head: 32,
    runtime_holder: Some(1368),
    runtime_switches: Some(1176),
    runtime_start: &[],
    interpreter: InterpreterOffsets {
        next: 0,
        threads: 8,
        gil: None,
        code_generation: None,
    },
    thread: ThreadOffsets {
        frame: 24,
        in_cframe: None,
        ident: 176,
        native: None,
        chunk: None,
    },
    frame: FrameOffsets {
        previous: 24,
        code: 32,
        instruction: 104,
        stacktop: None,
        is_entry: None,
        owner: None,
        locals: 360,
        shim_owner: None,
        tag: 0,
    },
    code: CodeOffsets {
        first_line: 40,
        filename: 104,
        name: 112,
        qualname: None,
        line_table: 120,
        stack_size: 32,
        locals: None,
        frame_size: None,
        start: None,
        size: 176,
    },
    str_sizes: (48, 72),
};

/// Python 3.11.7.
pub static V3_11: Offsets = Offsets {
    hex: 0x030b_07f0,
    runtime_head: 40,
    runtime_holder: Some(576),
    runtime_switches: Some(384),
    runtime_start: &[],
    interpreter: InterpreterOffsets {
        next: 0,
        threads: 16,
        gil: None,
        code_generation: None,
    },
    thread: ThreadOffsets {
        frame: 56,
        in_cframe: Some(8),
        ident: 152,
        native: Some(160),
        chunk: Some(296),
    },
    frame: FrameOffsets {
        previous: 48,
        code: 32,
        instruction: 56,
        stacktop: Some(64),
        is_entry: Some(68),
        owner: Some(69),
        locals: 72,
        shim_owner: None,
        tag: 0,
    },
    code: CodeOffsets {
        first_line: 72,
        filename: 112,
        name: 120,
        qualname: Some(128),
        line_table: 136,
        stack_size: 68,
        locals: Some(76),
        frame_size: None,
        start: Some(184),
        size: 192,
    },
    str_sizes: (48, 72),
};

/// Python 3.13.0.
pub static V3_13: Offsets = Offsets {
    hex: 0x030d_00f0,
    runtime_head: 632,
    runtime_holder: None,
    runtime_switches: None,
    runtime_start: include_bytes!("../images/debug_offsets_3.13.0"),
    interpreter: InterpreterOffsets {
        next: 7264,
        threads: 7344,
        gil: Some(16),
        code_generation: None,
    },
    thread: ThreadOffsets {
        frame: 72,
        in_cframe: None,
        ident: 152,
        native: Some(160),
        chunk: Some(232),
    },
    frame: FrameOffsets {
        previous: 8,
        code: 0,
        instruction: 56,
        stacktop: Some(64),
        is_entry: None,
        owner: Some(70),
        locals: 72,
        shim_owner: Some(3),
        tag: 0,
    },
    code: CodeOffsets {
        first_line: 68,
        filename: 112,
        name: 120,
        qualname: Some(128),
        line_table: 136,
        stack_size: 64,
        locals: Some(72),
        frame_size: Some(76),
        start: Some(200),
        size: 208,
    },
    str_sizes: (40, 56),
};

/// Python 3.14.10.
pub static V3_14: Offsets = Offsets {
    hex: 0x030e_0af0,
    runtime_head: 808,
    runtime_holder: None,
    runtime_switches: None,
    runtime_start: include_bytes!("../images/debug_offsets_3.14.10"),
    interpreter: InterpreterOffsets {
        next: 7272,
        threads: 7344,
        gil: Some(16),
        code_generation: Some(7992),
    },
    thread: ThreadOffsets {
        frame: 72,
        in_cframe: None,
        ident: 152,
        native: Some(160),
        chunk: Some(232),
    },
    frame: FrameOffsets {
        previous: 8,
        code: 0,
        instruction: 56,
        stacktop: None,
        is_entry: None,
        owner: Some(74),
        locals: 80,
        shim_owner: Some(3),
        tag: 1,
    },
    code: CodeOffsets {
        first_line: 68,
        filename: 112,
        name: 120,
        qualname: Some(128),
        line_table: 136,
        stack_size: 64,
        locals: Some(72),
        frame_size: Some(76),
        start: Some(208),
        size: 216,
    },
    str_sizes: (40, 56),
};

/// All versions above.
pub static ALL: [&Offsets; 4] = [&V3_8, &V3_11, &V3_13, &V3_14];

/// `sizeof(PyInterpreterState)`, `sizeof(PyThreadState)`, or more.
const INTERPRETER_BYTES: usize = 8192;
const THREAD_BYTES: usize = 1024;

/// `DATA_STACK_CHUNK_SIZE` (Python/pystate.c), and `offsetof(_PyStackChunk, data)` (cpython/pystate.h).
const CHUNK_BYTES: u64 = 16 * 1024;
const CHUNK_DATA: u64 = 24;

/// `co_nlocalsplus` and `co_stacksize` of every code object here.
const LOCALS: u32 = 2;
const STACK: u32 = 3;

/// Bytes of instructions of every code object: those of [`Frame::early`] and those of its second half.
const HALF: u64 = 8;

/// Where a frame lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// After the last one in the newest chunk, or in the next chunk when that is full.
    Chunk,
    /// At the start of a new chunk.
    NewChunk,
    /// In a generator.
    Heap,
}

/// A frame to be laid out.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    name: &'static str,
    place: Place,
    from_c: bool,
    early: bool,
    /// What it has saved beside its variables while it is not executing.
    operands: i32,
}

/// A frame of the function `name`, called by Python code, in the chunk, on its second line.
pub fn frame(name: &'static str) -> Frame {
    Frame {
        name,
        place: Place::Chunk,
        from_c: false,
        early: false,
        operands: 0,
    }
}

impl Frame {
    /// The same elsewhere.
    pub fn in_(self, place: Place) -> Frame {
        Frame { place, ..self }
    }

    /// The same, called by C code.
    pub fn called_by_c(self) -> Frame {
        Frame {
            from_c: true,
            ..self
        }
    }

    /// The same on its first line.
    pub fn early(self) -> Frame {
        Frame {
            early: true,
            ..self
        }
    }

    /// The same with an operand saved beside its variables, as in a loop that calls.
    pub fn in_a_loop(self) -> Frame {
        Frame {
            operands: 1,
            ..self
        }
    }
}

/// [`Thread::executing`] where no frame is.
pub const NONE: Option<usize> = Some(usize::MAX);

/// A thread to be laid out.
#[derive(Debug, Clone)]
pub struct Thread {
    /// Outermost first.
    pub frames: Vec<Frame>,
    /// The frame that the thread state names: the last one unless it says otherwise.
    pub current: Option<usize>,
    /// The frame that is executing: the last one unless it says otherwise.
    pub executing: Option<usize>,
}

/// A thread with these frames, outermost first, of which the last one is executing.
pub fn thread(frames: &[Frame]) -> Thread {
    Thread {
        frames: frames.to_vec(),
        current: None,
        executing: None,
    }
}

/// An interpreter, laid out.
#[derive(Debug, Clone)]
pub struct Fake {
    offsets: &'static Offsets,
    /// First address → bytes.
    ranges: BTreeMap<u64, Vec<u8>>,
    next_free: u64,
    runtime: Address,
    /// The thread states, in the order of the lists.
    pub threads: Vec<Address>,
    /// The frames of each thread, outermost first, without shims.
    pub frames: Vec<Vec<Address>>,
    codes: HashMap<&'static str, Address>,
    interpreters: Vec<Address>,
    gils: Vec<Address>,
    turns: u64,
}

/// The GIL's holder: this thread, counted over all interpreters.
pub const HOLDER: usize = 0;

impl Fake {
    /// Lays out these threads of these interpreters, in the order in which the lists have them.
    pub fn new(offsets: &'static Offsets, interpreters: &[Vec<Thread>]) -> Fake {
        let mut fake = Fake {
            offsets,
            ranges: BTreeMap::new(),
            next_free: 0x7f00_0000_0000,
            runtime: Address::NULL,
            threads: Vec::new(),
            frames: Vec::new(),
            codes: HashMap::new(),
            interpreters: Vec::new(),
            gils: Vec::new(),
            turns: 0,
        };
        fake.runtime = fake.room(4096);
        let runtime = fake.runtime;
        fake.put(runtime, offsets.runtime_start);
        let mut link = runtime + offsets.runtime_head;
        for threads in interpreters {
            let state = fake.room(INTERPRETER_BYTES);
            fake.interpreters.push(state);
            fake.put_word(link, state.0);
            link = state + offsets.interpreter.next;
            fake.lay_out_threads(state, threads);
        }
        if let (Some(at), Some(holder)) = (offsets.runtime_holder, fake.threads.get(HOLDER)) {
            let holder = holder.0;
            fake.put_word(runtime + at, holder);
            let last_holder = offsets.runtime_switches.expect("up to 3.11") - 16;
            fake.put_word(runtime + last_holder, holder);
        }
        fake
    }

    /// Its memory.
    pub fn memory(&self) -> SavedMemory {
        let mut memory = SavedMemory::default();
        for (at, bytes) in &self.ranges {
            memory.insert(Address(*at), bytes.clone());
        }
        memory
    }

    /// What `locate` would say of it.
    pub fn interpreter(&self) -> Interpreter {
        let version = Version::from_hex(self.offsets.hex, false);
        let row = Row::of(version).expect("a row");
        let (layout, gil) = if self.offsets.runtime_start.is_empty() {
            (row.layout.clone(), GilPlace::Runtime(self.runtime))
        } else {
            let parsed = parse_debug_offsets(self.offsets.runtime_start).expect("debug offsets");
            (parsed.layout, GilPlace::PerInterpreter)
        };
        Interpreter {
            version,
            interpreters_head: self.runtime + layout.runtime.interpreters_head,
            layout,
            traits: &row.traits,
            gil,
        }
    }

    /// The code object of the function `name`, made when there is none.
    pub fn code(&mut self, name: &'static str) -> Address {
        if let Some(at) = self.codes.get(name) {
            return *at;
        }
        let at = self.room(self.offsets.code.size + 2 * HALF as usize);
        let first_line = 100 * (self.codes.len() as u32 + 1);
        self.codes.insert(name, at);
        self.write_code(at, name, first_line);
        at
    }

    /// Puts another function's code object where the one of `name` was.
    pub fn replace_code(&mut self, name: &'static str, other: &'static str, first_line: u32) {
        let at = self.code(name);
        self.write_code(at, other, first_line);
        self.count_a_turn();
    }

    /// Counts that threads took turns, and that code objects were freed.
    pub fn count_a_turn(&mut self) {
        let offsets = self.offsets;
        let runtime = self.runtime;
        let mut counters = Vec::from_iter(offsets.runtime_switches.map(|at| runtime + at));
        counters.extend(self.gils.iter().map(|gil| *gil + 24));
        let generation = offsets.interpreter.code_generation;
        let interpreters = self.interpreters.iter();
        counters.extend(interpreters.filter_map(|at| Some(*at + generation?)));
        self.turns += 1;
        for counter in counters {
            self.put_word(counter, self.turns);
        }
    }

    /// Lets thread `thread` take the GIL from another one (3.12 on).
    pub fn take_gil(&mut self, thread: usize) {
        let holder = self.threads[thread].0;
        self.turns += 1;
        for gil in self.gils.clone() {
            self.put_word(gil + 8, holder);
            self.put_word(gil + 24, self.turns);
        }
    }

    /// Lets frame `number` of thread `thread` be at an instruction of the code object of `name`.
    pub fn set_instruction_of(&mut self, thread: usize, number: usize, name: &'static str) {
        let code = self.code(name);
        let (at, offsets) = (self.frames[thread][number], self.offsets);
        let start = offsets.code.start.expect("3.11 or later");
        self.put_word(at + offsets.frame.instruction, code.0 + start + HALF);
    }

    /// Lets frame `number` of thread `thread` be over, its variables freed, as in 3.13.
    pub fn clear_variables(&mut self, thread: usize, number: usize) {
        let at = self.frames[thread][number];
        let offset = self.offsets.frame.stacktop.expect("3.11 to 3.13");
        self.put(at + offset, &0_i32.to_le_bytes());
    }

    /// Lets the innermost frame of thread `thread` return.
    pub fn end_at_caller(&mut self, thread: usize) {
        let offsets = self.offsets;
        let [.., caller, callee] = self.frames[thread][..] else {
            return;
        };
        let state = self.threads[thread];
        let at = match offsets.thread.in_cframe {
            Some(offset) => self.word(state + offsets.thread.frame) + offset,
            None => state + offsets.thread.frame,
        };
        self.put_word(at, caller.0);
        if let Some(offset) = offsets.frame.stacktop {
            self.put(caller + offset, &(-1_i32).to_le_bytes());
            self.put(callee + offset, &0_i32.to_le_bytes());
        } else if offsets.hex >= 0x030e_0000 {
            self.put_word(callee + offsets.frame.code, 0);
        }
    }

    /// Lets frame `number` of thread `thread` name `code` as its code object.
    pub fn set_code(&mut self, thread: usize, number: usize, code: Address) {
        let at = self.frames[thread][number];
        self.put_word(at + self.offsets.frame.code, code.0);
    }

    /// Lets frame `number` of thread `thread` name `previous` as its caller.
    pub fn set_previous(&mut self, thread: usize, number: usize, previous: Address) {
        let at = self.frames[thread][number];
        self.put_word(at + self.offsets.frame.previous, previous.0);
    }

    /// Lets frame `number` of thread `thread` say that it belongs to no function: 3.12 on.
    pub fn set_entry(&mut self, thread: usize, number: usize) {
        let at = self.frames[thread][number];
        let frame = &self.offsets.frame;
        let (owner, shim) = frame.owner.zip(frame.shim_owner).expect("3.12 or later");
        self.put(at + owner, &[shim]);
    }

    /// 3.14: lets the code object of `name` be one of a generator (`CO_GENERATOR` in `co_flags`).
    pub fn make_generator(&mut self, name: &'static str) {
        let code = self.codes[name];
        self.put(code + 48, &0x20_i32.to_le_bytes());
    }

    /// Lets the code object of `name` say that its stack has `size` words, and its frame as many.
    pub fn set_stack_size(&mut self, name: &'static str, size: i32) {
        let at = self.code(name);
        let code = &self.offsets.code;
        for offset in [Some(code.stack_size), code.frame_size]
            .into_iter()
            .flatten()
        {
            self.put(at + offset, &size.to_le_bytes());
        }
    }

    /// Lets the newest chunk of thread `thread` have 4 MiB, all of them in use, and come before itself.
    pub fn make_chunk_endless(&mut self, thread: usize) {
        let Some(offset) = self.offsets.thread.chunk else {
            return;
        };
        let field = self.threads[thread] + offset;
        let chunk = self.memory().pointer(field).expect("a chunk");
        for (number, word) in [chunk.0, 4 << 20, (4 << 20) / 8].into_iter().enumerate() {
            self.put_word(chunk + 8 * number as u64, word);
        }
        self.put_word(field + 8, chunk.0 + (4 << 20));
    }

    fn write_code(&mut self, at: Address, name: &str, first_line: u32) {
        let code = &self.offsets.code;
        let text = self.text(name);
        let file = self.text("/app/данные.py");
        let table = self.bytes(if code.start.is_some() {
            // Objects/locations.md: 4 units, one line on, with columns; 4 units, four lines on, without.
            &[0x80 | 11 << 3 | 3, 0, 0, 0x80 | 13 << 3 | 3, 8]
        } else {
            // Objects/lnotab_notes.txt: one line on at once, four more after 8 bytes.
            &[0, 1, 8, 4]
        });
        self.put(at + code.first_line, &first_line.to_le_bytes());
        self.put_word(at + code.filename, file.0);
        self.put_word(at + code.name, text.0);
        self.put_word(at + code.line_table, table.0);
        self.put(at + code.stack_size, &STACK.to_le_bytes());
        if let Some(offset) = code.qualname {
            let stem = name.rsplit('.').next().unwrap_or(name);
            let (stem, qualified) = (self.text(stem), text);
            self.put_word(at + code.name, stem.0);
            self.put_word(at + offset, qualified.0);
        }
        // `ob_size`, in code units (3.11 on).
        self.put_word(at + 16, 8);
        if let Some(offset) = code.locals {
            self.put(at + offset, &LOCALS.to_le_bytes());
        }
        if let Some(offset) = code.frame_size {
            let words = (self.frame_bytes() / 8) as u32;
            self.put(at + offset, &words.to_le_bytes());
        }
    }

    fn frame_bytes(&self) -> u64 {
        self.offsets.frame.locals + 8 * u64::from(LOCALS + STACK)
    }

    fn lay_out_threads(&mut self, interpreter: Address, threads: &[Thread]) {
        let offsets = self.offsets;
        // `next` and `interp` are words 1 and 2 of `PyThreadState` in all four versions.
        let mut link = interpreter + offsets.interpreter.threads;
        for thread in threads {
            let number = self.threads.len() as u64;
            let state = self.room(THREAD_BYTES);
            self.threads.push(state);
            self.put_word(link, state.0);
            link = state + 8;
            self.put_word(state + 16, interpreter.0);
            self.put_word(state + offsets.thread.ident, 0x1000 + number);
            if let Some(native) = offsets.thread.native {
                self.put_word(state + native, 4000 + number);
            }
            self.lay_out_frames(state, thread);
        }
        if let Some(gil) = offsets.interpreter.gil {
            let at = self.room(64);
            let holder = self.threads.get(HOLDER).map_or(0, |thread| thread.0);
            self.put_word(interpreter + gil, at.0);
            self.put_word(at + 8, holder);
            self.put_word(at + 16, 1);
            self.gils.push(at);
        }
    }

    fn lay_out_frames(&mut self, state: Address, thread: &Thread) {
        let executing = thread.executing.unwrap_or(thread.frames.len().max(1) - 1);
        let mut stack = DataStack::default();
        let (mut places, mut caller) = (Vec::new(), Address::NULL);
        for (number, frame) in thread.frames.iter().enumerate() {
            let from_c = frame.from_c || number == 0;
            if let (true, Some(owner)) = (from_c, self.offsets.frame.shim_owner) {
                caller = self.shim(caller, owner);
            }
            let at = self.place_of(frame, &mut stack);
            let calls_c = thread.frames.get(number + 1).is_some_and(|f| f.from_c);
            self.write_frame(at, frame, caller, number == executing || calls_c);
            let calls_python = number + 1 < thread.frames.len() && !calls_c;
            if let (true, Some(owner), 0x030d_0000..) =
                (calls_python, self.offsets.frame.owner, self.offsets.hex)
            {
                // `return_offset`, two bytes before `owner` from 3.13 on.
                self.put(at + (owner - 2), &[4, 0]);
            }
            if let (true, Some(offset)) = (from_c, self.offsets.frame.is_entry) {
                self.put(at + offset, &[1]);
            }
            places.push(at);
            caller = at;
        }
        let current = match thread.current {
            Some(number) => places[number],
            None => caller,
        };
        let offsets = &self.offsets.thread;
        if let Some(offset) = offsets.in_cframe {
            let cframe = self.room(24);
            self.put_word(state + offsets.frame, cframe.0);
            self.put_word(cframe + offset, current.0);
        } else {
            self.put_word(state + offsets.frame, current.0);
        }
        if let Some(offset) = offsets.chunk {
            self.put_word(state + offset, stack.chunk.0);
            self.put_word(state + offset + 8, stack.top.0);
        }
        self.frames.push(places);
    }

    /// Takes room for a frame as `_PyThreadState_PushFrame` does (Python/pystate.c).
    fn place_of(&mut self, frame: &Frame, stack: &mut DataStack) -> Address {
        let bytes = self.frame_bytes();
        if self.offsets.thread.chunk.is_none() || frame.place == Place::Heap {
            return self.room(bytes as usize);
        }
        let is_full = stack.top.0 + bytes > stack.chunk.0 + CHUNK_BYTES;
        if stack.chunk.is_null() || is_full || frame.place == Place::NewChunk {
            let chunk = self.room(CHUNK_BYTES as usize);
            self.put_word(chunk, stack.chunk.0);
            self.put_word(chunk + 8, CHUNK_BYTES);
            stack.top = if stack.chunk.is_null() {
                // The first word of the first chunk stays free.
                chunk + CHUNK_DATA + 8
            } else {
                let words = (stack.top.0 - stack.chunk.0 - CHUNK_DATA) / 8;
                self.put_word(stack.chunk + 16, words);
                chunk + CHUNK_DATA
            };
            stack.chunk = chunk;
        }
        let at = stack.top;
        stack.top = at + bytes;
        at
    }

    fn write_frame(&mut self, at: Address, frame: &Frame, caller: Address, executing: bool) {
        let code = self.code(frame.name);
        let offsets = &self.offsets.frame;
        let distance = if frame.early { 0 } else { HALF };
        if self.offsets.thread.chunk.is_none() {
            // `ob_refcnt` of an object: somebody refers to it.
            self.put_word(at, 1);
        }
        self.put_word(at + offsets.previous, caller.0);
        self.put_word(at + offsets.code, code.0 | offsets.tag);
        match self.offsets.code.start {
            Some(start) => self.put_word(at + offsets.instruction, code.0 + start + distance),
            None => self.put(at + offsets.instruction, &(distance as u32).to_le_bytes()),
        }
        if let Some(offset) = offsets.stacktop {
            let saved = LOCALS as i32 + frame.operands;
            let stacktop = if executing { -1 } else { saved };
            self.put(at + offset, &stacktop.to_le_bytes());
        }
        if let Some(offset) = offsets.owner {
            self.put(at + offset, &[u8::from(frame.place == Place::Heap)]);
        }
    }

    /// The frame on the C stack between C code and the frame that it calls.
    fn shim(&mut self, caller: Address, owner: u8) -> Address {
        let offsets = &self.offsets.frame;
        let at = self.room(offsets.locals as usize + 8);
        self.put_word(at + offsets.previous, caller.0);
        self.put_word(at + offsets.code, 0x5555_0000_1000);
        self.put(at + offsets.owner.expect("an owner"), &[owner]);
        at
    }

    /// A `str`: kind in bits 2–4 of `state`, `compact` is bit 5, `ascii` bit 6.
    fn text(&mut self, text: &str) -> Address {
        let widest = text.chars().map(u32::from).max().unwrap_or(0);
        let (kind, is_ascii) = match widest {
            0..=0x7f => (1, true),
            0x80..=0xff => (1, false),
            0x100..=0xffff => (2, false),
            _ => (4, false),
        };
        let (ascii, compact) = self.offsets.str_sizes;
        let mut bytes = vec![0; if is_ascii { ascii } else { compact }];
        bytes[16..24].copy_from_slice(&(text.chars().count() as u64).to_le_bytes());
        bytes[32] = (kind as u8) << 2 | 1 << 5 | u8::from(is_ascii) << 6;
        for character in text.chars() {
            bytes.extend(&u32::from(character).to_le_bytes()[..kind]);
        }
        self.store(&bytes)
    }

    /// A `bytes`: its length is word 2, its text starts in byte 32.
    fn bytes(&mut self, content: &[u8]) -> Address {
        let mut bytes = vec![0; 32];
        bytes[16..24].copy_from_slice(&(content.len() as u64).to_le_bytes());
        bytes.extend(content);
        self.store(&bytes)
    }

    fn store(&mut self, bytes: &[u8]) -> Address {
        let at = self.room(bytes.len());
        self.put(at, bytes);
        at
    }

    /// A new range of zeros; between any two lies what cannot be read.
    fn room(&mut self, length: usize) -> Address {
        let at = Address(self.next_free);
        self.next_free += (length as u64).next_multiple_of(16) + 16;
        self.ranges.insert(at.0, vec![0; length]);
        at
    }

    fn word(&self, at: Address) -> Address {
        self.memory().pointer(at).expect("a word")
    }

    fn put_word(&mut self, at: Address, word: u64) {
        self.put(at, &word.to_le_bytes());
    }

    fn put(&mut self, at: Address, bytes: &[u8]) {
        let below = self.ranges.range_mut(..=at.0).next_back();
        let (start, range) = below.expect("a range");
        let skip = (at.0 - start) as usize;
        range[skip..skip + bytes.len()].copy_from_slice(bytes);
    }
}

/// The newest chunk and the end of its used part.
#[derive(Default)]
struct DataStack {
    chunk: Address,
    top: Address,
}
