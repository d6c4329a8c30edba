//! Turns a program into the log of what its thread does to memory, and of the stacks that it has meanwhile.

use std::collections::HashMap;

use super::chance::below;
use super::layouts::{Frames, Python};
use super::memory::{Log, Recorder};
use super::program::{Function, Op, Program};
use super::setup::Setup;

/// Picoseconds in a nanosecond.
pub const NS: u64 = 1000;

/// `DATA_STACK_CHUNK_SIZE` (`Python/pystate.c`), `offsetof(_PyStackChunk, data)` (`cpython/pystate.h`).
pub const CHUNK_BYTES: u64 = 16 * 1024;
pub const CHUNK_DATA: u64 = 24;

/// Chunks of a greenlet.
const MAX_CHUNKS: u64 = 3;

const HEAP_BYTES: usize = 256 << 10;
const C_STACK_BYTES: usize = 64 << 10;

/// How often `main` is done before the log begins.
const LAPS_BEFORE: usize = 3;

/// A frame that is executing, or waits for one that it called.
#[derive(Debug, Clone)]
pub struct Activation {
    pub function: Function,
    /// Where its frame lies.
    pub at: u64,
    pub entry: Entry,
    /// The generator that it belongs to.
    pub generator: Option<u64>,
    /// Those that it iterates over, innermost last, with their frames while these wait.
    pub generators: Vec<Generator>,
    position: usize,
    /// How often each loop is still to be done.
    loops: Vec<u64>,
    argument: u64,
}

/// A generator, and its frame while it waits.
#[derive(Debug, Clone)]
pub struct Generator {
    pub object: u64,
    pub function: Function,
    pub body: Option<Box<Activation>>,
}

impl Activation {
    /// How many operands it has on its stack while it calls: the iterators of its loops.
    pub fn operands(&self) -> u64 {
        self.loops.len() as u64 + self.generators.len() as u64
    }
}

/// How a frame came to execute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// In the loop of the frame that called or resumed it.
    SameLoop,
    /// Through C code: where that had its `_PyCFrame` and its entry frame, and where the C stack ended before.
    FromC {
        cframe: u64,
        frame: u64,
        c_stack: u64,
    },
}

/// What a greenlet has while it is switched away.
#[derive(Debug, Clone, Default)]
pub struct Greenlet {
    pub stack: Vec<Activation>,
    pub c_stack: u64,
    /// The current frame or `_PyCFrame`, and the three words of the data stack.
    pub current: u64,
    pub data_stack: [u64; 3],
    /// Chunks to be used.
    pub chunks: Vec<u64>,
}

/// One thread of an interpreter.
pub struct Thread<'a> {
    pub python: &'static Python,
    pub program: &'a Program,
    pub recorder: Recorder,
    pub state: u64,
    pub codes: Vec<u64>,
    pub greenlet: Greenlet,
    greenlets: Vec<Greenlet>,
    number: usize,
    free: HashMap<u64, Vec<u64>>,
    next_heap: u64,
    heap_end: u64,
    /// `free_list` of frame objects, up to 3.10.
    pub free_frames: Vec<u64>,
    /// The stacks, innermost function first, by their numbers.
    pub stacks: Vec<Vec<Function>>,
    stack_numbers: HashMap<Vec<Function>, usize>,
    random: u64,
}

impl<'a> Thread<'a> {
    /// Thread `number` of the interpreter, before its first frame. Takes the memory; [`Thread::run`] gives it back.
    pub fn new(setup: &mut Setup, number: usize, program: &'a Program) -> Thread<'a> {
        let mut memory = std::mem::take(&mut setup.memory);
        let base = 0x7f10_0000_0000 + 0x1_0000_0000 * number as u64;
        let heap = memory.add_arena(base, HEAP_BYTES);
        let mut greenlets = Vec::new();
        for greenlet in 0..=program.greenlets.len() as u64 {
            let base = base + 0x1000_0000 * (greenlet + 1);
            let c_stack = memory.add_arena(base, C_STACK_BYTES);
            let chunk = |number| base + 0x100_0000 * (number + 1);
            for number in 0..MAX_CHUNKS {
                memory.add_arena(chunk(number), CHUNK_BYTES as usize);
            }
            greenlets.push(Greenlet {
                c_stack: c_stack.end(),
                chunks: (0..MAX_CHUNKS).rev().map(chunk).collect(),
                ..Greenlet::default()
            });
        }
        Thread {
            python: setup.python,
            program,
            recorder: Recorder::new(memory),
            state: setup.threads[number],
            codes: setup.codes[number].clone(),
            greenlet: std::mem::take(&mut greenlets[0]),
            greenlets,
            number: 0,
            free: HashMap::new(),
            next_heap: heap.start(),
            heap_end: heap.end(),
            free_frames: Vec::new(),
            stacks: Vec::new(),
            stack_numbers: HashMap::new(),
            random: 0x9E37_79B9_7F4A_7C15 ^ (number as u64 + 1),
        }
    }

    /// Runs the program for about `length_ps`, to the end of a lap of `main`.
    pub fn run(&mut self, length_ps: u64) -> Log {
        self.begin(0);
        let mut laps = 0;
        loop {
            let top = self.greenlet.stack.last().expect("main");
            if top.position == 0 && self.greenlet.stack.len() == 1 && self.number == 0 {
                laps += 1;
                if laps == LAPS_BEFORE {
                    let stack = self.number_of_stack();
                    self.recorder.start(stack);
                }
                if self.recorder.recorded_ps() > Some(length_ps) {
                    return self.recorder.finish();
                }
            }
            self.execute();
        }
    }

    /// Begins a greenlet with a frame of `function`.
    fn begin(&mut self, function: Function) {
        self.begin_data_stack();
        self.enter(function, 0, true);
    }

    fn execute(&mut self) {
        let is_outermost = self.greenlet.stack.len() == 1;
        let top = self.greenlet.stack.last_mut().expect("a frame");
        let op = self.program.functions[top.function].1[top.position];
        let position = top.position;
        top.position += 1;
        match op {
            Op::Run(least, most) => {
                self.set_instruction(position);
                let ns = self.between(least, most);
                self.recorder.may_switch();
                self.recorder.pass(ns * NS);
            }
            Op::Call(function) => self.enter(function, 0, false),
            Op::CallFromC(function) => self.enter(function, 0, true),
            Op::CallWith(function, least, most) => {
                let argument = self.between(least, most);
                self.enter(function, argument, false);
            }
            Op::Recurse(function) => {
                if let Some(argument) = top.argument.checked_sub(1) {
                    self.enter(function, argument, false);
                }
            }
            Op::Make(function) => self.make(function),
            Op::Next { over, from_c } => self.next(over, from_c, position),
            Op::Drop => self.drop_generator(),
            Op::Yield => self.suspend(),
            Op::Begin(least, most) => {
                let times = self.between(least, most);
                self.top().loops.push(times);
            }
            Op::Again(start) => {
                let times = top.loops.last_mut().expect("a loop");
                *times -= 1;
                if *times > 0 {
                    top.position = start;
                } else {
                    top.loops.pop();
                }
            }
            Op::Jump(to) => top.position = to,
            Op::Raise(frames) => {
                for _ in 0..frames {
                    // `PyTraceBack_Here`, and the search for a handler.
                    self.recorder.pass(150 * NS);
                    self.leave();
                }
            }
            Op::Switch(to) => self.switch(to),
            Op::Return if is_outermost => top.position = 0,
            Op::Return => self.leave(),
        }
    }

    fn next(&mut self, over: usize, from_c: bool, position: usize) {
        let top = self.top();
        let generator = top.generators.last().expect("a generator");
        if generator.body.is_none() {
            // It returned: `StopIteration`.
            top.position = over;
            return;
        }
        self.set_instruction(position);
        self.resume(from_c);
    }

    /// The innermost frame.
    pub fn top(&mut self) -> &mut Activation {
        self.greenlet.stack.last_mut().expect("a frame")
    }

    /// Puts a frame on the stack, at which the current frame points now.
    pub fn push(&mut self, activation: Activation) {
        self.greenlet.stack.push(activation);
        self.show();
    }

    /// A frame of `function` at `at` that has not begun.
    pub fn activation(&self, function: Function, argument: u64, at: u64) -> Activation {
        Activation {
            function,
            at,
            entry: Entry::SameLoop,
            generator: None,
            generators: Vec::new(),
            position: 0,
            loops: Vec::new(),
            argument,
        }
    }

    /// Takes the innermost frame off the stack, as the current frame does not point to it any more.
    pub fn pop(&mut self) -> Activation {
        let activation = self.greenlet.stack.pop().expect("a frame");
        self.show();
        activation
    }

    /// Takes in that the current frame points to the innermost one since the last store.
    pub fn show(&mut self) {
        if !self.greenlet.stack.is_empty() {
            let number = self.number_of_stack();
            self.recorder.has_stack(number);
        }
    }

    fn number_of_stack(&mut self) -> usize {
        let frames = self.greenlet.stack.iter().rev();
        let stack: Vec<Function> = frames.map(|frame| frame.function).collect();
        let next = self.stacks.len();
        let number = *self.stack_numbers.entry(stack.clone()).or_insert(next);
        if number == next {
            self.stacks.push(stack);
        }
        number
    }

    /// A number of this range, both ends included.
    fn between(&mut self, least: u64, most: u64) -> u64 {
        least + below(&mut self.random, most - least + 1)
    }

    /// Room for an object, with its `PyGC_Head` before it.
    pub fn allocate(&mut self, bytes: u64) -> u64 {
        let bytes = (bytes + 16).next_multiple_of(16);
        let block = match self.free.entry(bytes).or_default().pop() {
            Some(block) => block,
            None => {
                let block = self.next_heap;
                self.next_heap += bytes;
                assert!(self.next_heap <= self.heap_end, "no room");
                block
            }
        };
        block + 16
    }

    /// Frees an object: its block names the next free one.
    pub fn release(&mut self, at: u64, bytes: u64) {
        let bytes = (bytes + 16).next_multiple_of(16);
        let free = self.free.entry(bytes).or_default();
        let next = free.last().copied().unwrap_or(0);
        free.push(at - 16);
        self.recorder.store(at - 16, next, 8);
    }

    /// Stores a word.
    pub fn put(&mut self, at: u64, word: u64) {
        self.recorder.store(at, word, 8);
    }

    /// Lets some nanoseconds pass.
    pub fn pass_ns(&mut self, ns: u64) {
        self.recorder.pass(ns * NS);
    }

    /// Changes to another greenlet, as C code does.
    fn switch(&mut self, to: usize) {
        self.pass_ns(60);
        let away = std::mem::take(&mut self.greenlet);
        self.greenlets[self.number] = self.save_greenlet(away);
        self.greenlet = std::mem::take(&mut self.greenlets[to]);
        self.number = to;
        if self.greenlet.stack.is_empty() {
            self.begin(self.program.greenlets[to - 1]);
        } else {
            self.restore_greenlet();
        }
        self.pass_ns(40);
    }

    fn begin_data_stack(&mut self) {
        if let Frames::DataStack(frames) = &self.python.frames {
            self.begin_stack_frames(frames);
        } else {
            self.begin_object_frames();
        }
    }

    fn enter(&mut self, function: Function, argument: u64, from_c: bool) {
        match &self.python.frames {
            Frames::DataStack(frames) => self.enter_stack_frame(frames, function, argument, from_c),
            Frames::Objects(frames) => self.enter_object_frame(frames, function, argument),
        }
    }

    fn leave(&mut self) {
        match &self.python.frames {
            Frames::DataStack(frames) => self.leave_stack_frame(frames),
            Frames::Objects(frames) => self.leave_object_frame(frames),
        }
    }

    fn make(&mut self, function: Function) {
        match &self.python.frames {
            Frames::DataStack(frames) => self.make_stack_generator(frames, function),
            Frames::Objects(frames) => self.make_object_generator(frames, function),
        }
    }

    fn resume(&mut self, from_c: bool) {
        match &self.python.frames {
            Frames::DataStack(frames) => self.resume_stack_frame(frames, from_c),
            Frames::Objects(frames) => self.resume_object_frame(frames),
        }
    }

    fn suspend(&mut self) {
        match &self.python.frames {
            Frames::DataStack(frames) => self.suspend_stack_frame(frames),
            Frames::Objects(frames) => self.suspend_object_frame(frames),
        }
    }

    fn drop_generator(&mut self) {
        let generator = self.top().generators.pop().expect("a generator");
        assert!(
            generator.body.is_none(),
            "only those that returned are dropped"
        );
        self.pass_ns(15);
        match &self.python.frames {
            Frames::DataStack(frames) => self.free_stack_generator(frames, &generator),
            Frames::Objects(_) => self.release(generator.object, OBJECT_GENERATOR_BYTES),
        }
    }

    fn set_instruction(&mut self, position: usize) {
        match &self.python.frames {
            Frames::DataStack(frames) => self.set_stack_instruction(frames, position),
            Frames::Objects(frames) => self.set_object_instruction(frames, position),
        }
    }

    fn save_greenlet(&mut self, away: Greenlet) -> Greenlet {
        match &self.python.frames {
            Frames::DataStack(frames) => self.save_stack_greenlet(frames, away),
            Frames::Objects(_) => self.save_object_greenlet(away),
        }
    }

    fn restore_greenlet(&mut self) {
        match &self.python.frames {
            Frames::DataStack(frames) => self.restore_stack_greenlet(frames),
            Frames::Objects(_) => self.restore_object_greenlet(),
        }
    }
}

/// `sizeof(PyGenObject)` up to 3.10, or more.
pub const OBJECT_GENERATOR_BYTES: u64 = 96;
