//! Turns calls, returns, yields and switches into the stores that CPython 3.11 and later do for them, in order.
//!
//! After `Python/ceval.c`, `Python/bytecodes.c`, `Python/pystate.c`, `Objects/genobject.c` and
//! `Include/internal/pycore_frame.h` (from 3.14 on `pycore_interpframe.h`) of each version.

use super::layouts::{Frames, StackFrames};
use super::program::Function;
use super::setup::{stack_size, variables};
use super::thread::{Activation, CHUNK_BYTES, CHUNK_DATA, Entry, Generator, Greenlet, Thread};

/// Bytes of the C stack between a frame of the loop and the one that it calls through C code, about.
const C_FRAME_BYTES: u64 = 416;

/// Where C code keeps objects that are not told apart here.
const AN_OBJECT: u64 = 0x7f00_0002_0000;

/// `sizeof(PyGenObject)` without the variables of the frame, or more.
const GENERATOR_BYTES: u64 = 160;

/// `Py_TAG_REFCNT` (`internal/pycore_stackref.h`): the tag of a borrowed reference.
const TAG: u64 = 1;

impl Thread<'_> {
    /// Makes the first chunk and, in 3.15, the frame before all others.
    pub fn begin_stack_frames(&mut self, frames: &StackFrames) {
        self.push_chunk();
        let current = if frames.has_base_frame {
            let base = self.state + 704;
            self.put(base + frames.previous, 0);
            self.recorder.store(
                base + frames.owner,
                u64::from(frames.entry_owner.unwrap_or(0)),
                1,
            );
            base
        } else {
            0
        };
        match self.python.cframe {
            // `root_cframe`.
            Some((at, _, _)) => {
                let root = self.state + 800;
                self.put(root + at, current);
                self.put(self.state + self.python.frame, root);
            }
            None => self.put(self.state + self.python.frame, current),
        }
    }

    /// Calls a function.
    pub fn enter_stack_frame(
        &mut self,
        frames: &StackFrames,
        function: Function,
        argument: u64,
        from_c: bool,
    ) {
        if from_c {
            self.save_stack_pointer_for_c(frames);
            self.pass_ns(12);
        } else {
            self.put_callee_on_stack(frames, function);
            self.pass_ns(4);
        }
        let bytes = frame_bytes(frames, function);
        let at = self.push_frame(bytes);
        self.initialize(frames, function, at, !from_c);
        let activation = self.activation(function, argument, at);
        if from_c {
            self.pass_ns(5);
            self.enter_loop(frames, activation);
        } else {
            self.call_in_loop(frames, at);
            self.push(activation);
        }
        self.execute_frame(frames, at);
    }

    /// `RETURN_VALUE`, or `exit_unwind`.
    pub fn leave_stack_frame(&mut self, frames: &StackFrames) {
        self.pass_ns(2);
        let top = self.top();
        let (at, entry, generator) = (top.at, top.entry, top.generator);
        let function = top.function;
        self.save_stack_pointer(frames, at, function, 0);
        if let (Some(_), Entry::FromC { cframe, .. }) = (frames.is_entry, entry) {
            self.leave_loop_3_11(cframe);
            self.pop();
            match generator {
                Some(object) => self.end_generator(frames, object, at),
                None => self.clear_and_pop(frames, at, function),
            }
            self.end_c_code(entry);
            return;
        }
        let caller = self.recorder.memory.word(at + frames.previous);
        self.set_current(caller);
        self.pop();
        match generator {
            Some(object) => self.end_generator(frames, object, at),
            None => self.clear_and_pop(frames, at, function),
        }
        self.go_on(frames, caller, entry);
    }

    /// Calls a function that makes a generator: `RETURN_GENERATOR` is its first instruction.
    pub fn make_stack_generator(&mut self, frames: &StackFrames, function: Function) {
        self.enter_stack_frame(frames, function, 0, false);
        self.pass_ns(2);
        let at = self.top().at;
        let object =
            self.allocate(GENERATOR_BYTES + 8 * (variables(function) + stack_size(function)));
        self.pass_ns(20);
        self.save_stack_pointer(frames, at, function, 0);
        let own = object + frames.generator_frame;
        for offset in (0..frames.locals + 8 * variables(function)).step_by(8) {
            let word = self.recorder.memory.word(at + offset);
            self.put(own + offset, word);
        }
        self.put(own + frames.previous, 0);
        if let Some(offset) = frames.stackpointer {
            self.put(own + offset, own + frames.locals + 8 * variables(function));
        }
        self.set_state(frames, object, 0);
        self.recorder.store(own + frames.owner, 1, 1);
        let caller = self.recorder.memory.word(at + frames.previous);
        self.pop_frame(at);
        self.set_current(caller);
        let mut activation = self.pop();
        activation.at = own;
        activation.generator = Some(object);
        self.go_on(frames, caller, Entry::SameLoop);
        self.top().generators.push(Generator {
            object,
            function,
            body: Some(Box::new(activation)),
        });
    }

    /// Resumes the innermost generator of the innermost frame.
    pub fn resume_stack_frame(&mut self, frames: &StackFrames, from_c: bool) {
        let generator = self.top().generators.last_mut().expect("a generator");
        let object = generator.object;
        let mut activation = *generator.body.take().expect("one that waits");
        let at = activation.at;
        let is_inlined = frames.inlines_generators && !from_c;
        if is_inlined {
            self.pass_ns(3);
            self.push_none(frames, &activation);
            self.set_state(frames, object, 2);
            self.call_in_loop(frames, at);
            activation.entry = Entry::SameLoop;
            self.push(activation);
        } else {
            self.save_stack_pointer_for_c(frames);
            self.pass_ns(8);
            // `gen_send_ex2`.
            self.push_none(frames, &activation);
            if frames.is_entry.is_some() {
                let current = self.current();
                self.put(at + frames.previous, current);
            }
            self.set_state(frames, object, 2);
            self.pass_ns(3);
            self.enter_loop(frames, activation);
        }
        self.execute_frame(frames, at);
    }

    /// `YIELD_VALUE`.
    pub fn suspend_stack_frame(&mut self, frames: &StackFrames) {
        let top = self.top();
        let (at, function, operands) = (top.at, top.function, top.operands());
        let (entry, object) = (top.entry, top.generator.expect("a generator"));
        self.set_state(frames, object, 1);
        self.save_stack_pointer(frames, at, function, operands);
        self.pass_ns(1);
        if let (Some(_), Entry::FromC { cframe, .. }) = (frames.is_entry, entry) {
            self.leave_loop_3_11(cframe);
            let activation = self.pop();
            self.pass_ns(2);
            self.put(at + frames.previous, 0);
            self.keep_generator(activation);
            self.end_c_code(entry);
            return;
        }
        let caller = self.recorder.memory.word(at + frames.previous);
        self.set_current(caller);
        let activation = self.pop();
        self.put(at + frames.previous, 0);
        self.keep_generator(activation);
        self.go_on(frames, caller, entry);
    }

    /// `gen_dealloc`.
    pub fn free_stack_generator(&mut self, frames: &StackFrames, generator: &Generator) {
        let (object, function) = (generator.object, generator.function);
        if frames.has_tagged_references {
            self.put(object + frames.generator_frame + frames.code, 0);
        }
        self.release(
            object,
            GENERATOR_BYTES + 8 * (variables(function) + stack_size(function)),
        );
    }

    /// The instruction that the innermost frame is at.
    pub fn set_stack_instruction(&mut self, frames: &StackFrames, position: usize) {
        let top = self.top();
        let (at, function) = (top.at, top.function);
        let start = self.codes[function] + self.python.code.start.expect("3.11 on");
        self.put(
            at + frames.instruction,
            start + 2 * (1 + position as u64 % 30),
        );
    }

    /// What a greenlet has when it is switched away (`PythonState::operator<<` in greenlet's `TPythonState.cpp`).
    pub fn save_stack_greenlet(&mut self, frames: &StackFrames, away: Greenlet) -> Greenlet {
        let chunk = self.state + self.chunk_field();
        let data_stack = [0, 8, 16].map(|word| self.recorder.memory.word(chunk + word));
        let current = self.recorder.memory.word(self.state + self.python.frame);
        // `Greenlet::expose_frames`: its frames name one another without entry frames while it is away.
        let mut caller = 0;
        for frame in &away.stack {
            if frame.has_entry_frame(frames) {
                self.put(frame.at + frames.previous, caller);
                self.pass_ns(10);
            }
            caller = frame.at;
        }
        Greenlet {
            current,
            data_stack,
            ..away
        }
    }

    /// Goes on with the greenlet that was switched to (`PythonState::operator>>`).
    pub fn restore_stack_greenlet(&mut self, frames: &StackFrames) {
        let chunk = self.state + self.chunk_field();
        let (current, data_stack) = (self.greenlet.current, self.greenlet.data_stack);
        self.put(self.state + self.python.frame, current);
        self.show();
        for (number, word) in data_stack.into_iter().enumerate() {
            self.put(chunk + 8 * number as u64, word);
        }
        for frame in self.greenlet.stack.clone() {
            if let (true, Entry::FromC { frame: entry, .. }) =
                (frame.has_entry_frame(frames), frame.entry)
            {
                self.pass_ns(5);
                self.put(frame.at + frames.previous, entry);
            }
        }
    }

    fn chunk_field(&self) -> u64 {
        match &self.python.frames {
            Frames::DataStack(frames) => frames.chunk,
            Frames::Objects(_) => unreachable!("there is no data stack"),
        }
    }

    /// `_PyFrame_StackPush` of what is sent to a generator.
    fn push_none(&mut self, frames: &StackFrames, activation: &Activation) {
        let operands = activation.operands();
        let words = variables(activation.function) + operands;
        self.put(activation.at + frames.locals + 8 * words, AN_OBJECT);
        self.save_stack_pointer(frames, activation.at, activation.function, operands + 1);
    }

    fn keep_generator(&mut self, activation: Activation) {
        let generator = self.top().generators.last_mut().expect("its generator");
        generator.body = Some(Box::new(activation));
    }

    /// Where the pointer to the current frame is.
    fn current_field(&self) -> u64 {
        let field = self.state + self.python.frame;
        match self.python.cframe {
            Some((at, _, _)) => self.recorder.memory.word(field) + at,
            None => field,
        }
    }

    fn current(&self) -> u64 {
        self.recorder.memory.word(self.current_field())
    }

    fn set_current(&mut self, at: u64) {
        let field = self.current_field();
        self.put(field, at);
    }

    fn set_state(&mut self, frames: &StackFrames, object: u64, number: usize) {
        let state = frames.states[number] as u64;
        self.recorder
            .store(object + frames.generator_state, state, 1);
    }

    /// `_PyThreadState_PushFrame`.
    fn push_frame(&mut self, bytes: u64) -> u64 {
        let field = self.state + self.chunk_field();
        let top = self.recorder.memory.word(field + 8);
        let limit = self.recorder.memory.word(field + 16);
        if top + bytes >= limit {
            self.pass_ns(300);
            self.push_chunk();
        }
        let at = self.recorder.memory.word(field + 8);
        self.put(field + 8, at + bytes);
        at
    }

    /// `push_chunk`.
    fn push_chunk(&mut self) {
        let field = self.state + self.chunk_field();
        let before = if self.greenlet.stack.is_empty() {
            0
        } else {
            self.recorder.memory.word(field)
        };
        let chunk = self.greenlet.chunks.pop().expect("a chunk to be used");
        self.put(chunk, before);
        self.put(chunk + 8, CHUNK_BYTES);
        self.put(chunk + 16, 0);
        if before != 0 {
            let top = self.recorder.memory.word(field + 8);
            self.put(before + 16, (top - before - CHUNK_DATA) / 8);
        }
        self.put(field, chunk);
        self.put(field + 16, chunk + CHUNK_BYTES);
        let first = chunk + CHUNK_DATA + if before == 0 { 8 } else { 0 };
        self.put(field + 8, first);
    }

    /// `_PyThreadState_PopFrame`.
    fn pop_frame(&mut self, at: u64) {
        let field = self.state + self.chunk_field();
        let chunk = self.recorder.memory.word(field);
        if at != chunk + CHUNK_DATA {
            self.put(field + 8, at);
            return;
        }
        let previous = self.recorder.memory.word(chunk);
        let words = self.recorder.memory.word(previous + 16);
        self.put(field + 8, previous + CHUNK_DATA + 8 * words);
        self.put(field, previous);
        self.pass_ns(200);
        self.put(field + 16, previous + CHUNK_BYTES);
        self.greenlet.chunks.push(chunk);
    }

    /// `_PyFrame_Initialize` (3.11: `_PyFrame_InitializeSpecials`), and the arguments.
    fn initialize(&mut self, frames: &StackFrames, function: Function, at: u64, is_call: bool) {
        let code = self.codes[function];
        let start = code + self.python.code.start.expect("3.11 on");
        let tag = if frames.has_tagged_references { TAG } else { 0 };
        if frames.has_tagged_references {
            let caller = if is_call { self.top().at } else { 0 };
            self.put(at + frames.previous, caller);
        }
        self.put(at + frames.function, function_object(function) | tag);
        self.put(at + frames.code, code | tag);
        let saved = variables(function);
        match (frames.stacktop, frames.stackpointer) {
            (Some(offset), _) => self.recorder.store(at + offset, saved, 4),
            (None, Some(offset)) => self.put(at + offset, at + frames.locals + 8 * saved),
            (None, None) => {}
        }
        // `prev_instr` is the one before the first.
        let before = if self.python.cframe.is_some() { 2 } else { 0 };
        self.put(at + frames.instruction, start - before);
        if let Some(offset) = frames.return_offset {
            self.recorder.store(at + offset, 0, 2);
        }
        if let Some(offset) = frames.is_entry {
            self.recorder.store(at + offset, 0, 1);
        }
        self.recorder.store(at + frames.owner, 0, 1);
        for number in 0..saved {
            self.put(at + frames.locals + 8 * number, AN_OBJECT + 16 * number);
        }
    }

    /// Puts the function where the caller has the operands of a call.
    fn put_callee_on_stack(&mut self, frames: &StackFrames, function: Function) {
        let top = self.top();
        let (at, words) = (top.at, variables(top.function) + top.operands());
        // A NULL comes before it up to 3.12, after it from 3.13 on.
        let (first, second) = if self.python.cframe.is_some() {
            (0, function_object(function))
        } else {
            (function_object(function), 0)
        };
        self.put(at + frames.locals + 8 * words, first);
        self.put(at + frames.locals + 8 * (words + 1), second);
    }

    /// `DISPATCH_INLINED`, `_PUSH_FRAME`: the innermost frame calls the one at `at`.
    fn call_in_loop(&mut self, frames: &StackFrames, at: u64) {
        let top = self.top();
        let (caller, function, operands) = (top.at, top.function, top.operands());
        if let Some(offset) = frames.return_offset {
            self.recorder.store(caller + offset, 4, 2);
        }
        self.save_stack_pointer(frames, caller, function, operands);
        self.put(at + frames.previous, caller);
        self.set_current(at);
    }

    /// `_PyEval_EvalFrameDefault`, up to the store of the current frame.
    fn enter_loop(&mut self, frames: &StackFrames, mut activation: Activation) {
        let at = activation.at;
        let c_stack = self.greenlet.c_stack;
        let caller = self.greenlet.stack.last().map_or(0, |top| top.function);
        self.greenlet.c_stack -= C_FRAME_BYTES + 48 * (caller as u64 % 3);
        let (cframe, frame) = (self.greenlet.c_stack, self.greenlet.c_stack + 32);
        let is_first = self.greenlet.stack.is_empty();
        let current = if is_first && !frames.has_base_frame {
            0
        } else {
            self.current()
        };
        activation.entry = Entry::FromC {
            cframe,
            frame,
            c_stack,
        };
        let mut entering = Some(activation);
        if let Some((_, previous, _)) = self.python.cframe {
            let field = self.state + self.python.frame;
            let before = self.recorder.memory.word(field);
            self.put(cframe + previous, before);
            self.put(field, cframe);
            // It names what the one before it at this place of the C stack named last, which may be the same.
            if self.current() == at {
                self.push(entering.take().expect("it was not pushed"));
            }
        }
        let mut previous = current;
        if let Some(owner) = frames.entry_owner {
            self.put(frame + frames.code, AN_OBJECT);
            self.put(frame + frames.instruction, AN_OBJECT + 64);
            match frames.stacktop {
                Some(offset) => self.recorder.store(frame + offset, 0, 4),
                None => self.put(
                    frame + frames.stackpointer.expect("3.14 on"),
                    frame + frames.locals,
                ),
            }
            self.recorder
                .store(frame + frames.owner, u64::from(owner), 1);
            if let Some(offset) = frames.return_offset {
                self.recorder.store(frame + offset, 0, 2);
            }
            self.put(frame + frames.previous, current);
            previous = frame;
        }
        if let Some(offset) = frames.is_entry {
            self.recorder.store(at + offset, 1, 1);
        }
        self.put(at + frames.previous, previous);
        self.set_current(at);
        if let Some(activation) = entering {
            self.push(activation);
        }
    }

    /// 3.11: restores the previous `_PyCFrame`.
    fn leave_loop_3_11(&mut self, cframe: u64) {
        let (_, previous, _) = self.python.cframe.expect("3.11");
        let before = self.recorder.memory.word(cframe + previous);
        self.put(self.state + self.python.frame, before);
    }

    /// The frame at `caller` goes on after a callee of its loop, or C code does after the loop.
    fn go_on(&mut self, frames: &StackFrames, caller: u64, entry: Entry) {
        self.pass_ns(1);
        self.execute_frame(frames, caller);
        let Entry::FromC { cframe, .. } = entry else {
            return;
        };
        // `INTERPRETER_EXIT`.
        self.pass_ns(2);
        match self.python.cframe {
            Some(_) => self.leave_loop_3_11(cframe),
            None => {
                let before = self.recorder.memory.word(caller + frames.previous);
                self.set_current(before);
            }
        }
        self.end_c_code(entry);
    }

    fn end_c_code(&mut self, entry: Entry) {
        if let Entry::FromC { c_stack, .. } = entry {
            self.greenlet.c_stack = c_stack;
        }
        self.pass_ns(9);
    }

    /// `clear_thread_frame`, `_PyFrame_Clear`.
    fn clear_and_pop(&mut self, frames: &StackFrames, at: u64, function: Function) {
        self.clear(frames, at);
        self.pass_ns(3 + variables(function));
        if frames.has_tagged_references {
            self.put(at + frames.function, 0);
            self.put(at + frames.code, 0);
        }
        self.pop_frame(at);
    }

    /// `_PyFrame_ClearLocals`.
    fn clear(&mut self, frames: &StackFrames, at: u64) {
        if frames.clears_stacktop {
            self.recorder
                .store(at + frames.stacktop.expect("3.13"), 0, 4);
        }
        if let Some(offset) = frames.stackpointer {
            self.put(at + offset, at + frames.locals);
        }
    }

    /// `clear_gen_frame`; 3.11: the end of `gen_send_ex2`.
    fn end_generator(&mut self, frames: &StackFrames, object: u64, at: u64) {
        self.set_state(frames, object, 3);
        self.clear(frames, at);
        self.pass_ns(4);
        self.put(at + frames.previous, 0);
    }

    /// `_PyFrame_GetStackPointer`: a frame that executes has none saved (3.11 to 3.13).
    fn execute_frame(&mut self, frames: &StackFrames, at: u64) {
        if let Some(offset) = frames.stacktop {
            self.recorder.store(at + offset, u64::MAX, 4);
        }
        self.pass_ns(1);
    }

    /// From 3.14 on the stack pointer is saved before C code is called that may call back.
    fn save_stack_pointer_for_c(&mut self, frames: &StackFrames) {
        if frames.stackpointer.is_some() && !self.greenlet.stack.is_empty() {
            let top = self.top();
            let (at, function, operands) = (top.at, top.function, top.operands());
            self.save_stack_pointer(frames, at, function, operands + 1);
        }
    }

    /// `_PyFrame_SetStackPointer`.
    fn save_stack_pointer(
        &mut self,
        frames: &StackFrames,
        at: u64,
        function: Function,
        operands: u64,
    ) {
        let words = variables(function) + operands;
        match (frames.stacktop, frames.stackpointer) {
            (Some(offset), _) => self.recorder.store(at + offset, words, 4),
            (None, Some(offset)) => self.put(at + offset, at + frames.locals + 8 * words),
            (None, None) => {}
        }
    }
}

impl Activation {
    /// Whether an entry frame lies between it and its caller.
    fn has_entry_frame(&self, frames: &StackFrames) -> bool {
        frames.entry_owner.is_some() && self.entry != Entry::SameLoop
    }
}

fn frame_bytes(frames: &StackFrames, function: Function) -> u64 {
    frames.locals + 8 * (variables(function) + stack_size(function))
}

fn function_object(function: Function) -> u64 {
    0x7f00_0003_0000 + 160 * function as u64
}
