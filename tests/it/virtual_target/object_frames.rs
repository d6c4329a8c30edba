//! Turns calls, returns, yields and switches into the stores that CPython 3.6 to 3.10 do for them, in order.
//!
//! After `Objects/frameobject.c`, `Objects/genobject.c`, `Objects/call.c` and `Python/ceval.c` of each version.

use super::layouts::{BACK, FRAME_CODE, GENERATOR_FRAME, ObjectFrames};
use super::program::Function;
use super::setup::{stack_size, variables};
use super::thread::{Generator, Greenlet, OBJECT_GENERATOR_BYTES, Thread};

/// `PyFrame_MAXFREELIST`.
const MAX_FREE: usize = 200;

/// Bytes of the variables of every frame: one from the free list has room for any function.
const VARIABLES_BYTES: u64 = 8 * (3 + 5);

impl Thread<'_> {
    /// No frame yet.
    pub fn begin_object_frames(&mut self) {
        let field = self.state + self.python.frame;
        self.put(field, 0);
    }

    /// Calls a function, which always goes through C code.
    pub fn enter_object_frame(&mut self, frames: &ObjectFrames, function: Function, argument: u64) {
        self.pass_ns(8);
        let at = self.new_frame(frames, function);
        for number in 0..variables(function) {
            self.put(
                at + frames.locals + 8 * number,
                0x7f00_0002_0000 + 16 * number,
            );
        }
        self.pass_ns(6);
        self.put(self.state + self.python.frame, at);
        let activation = self.activation(function, argument, at);
        self.push(activation);
        self.set_frame_state(frames, at, frames.executing);
        self.pass_ns(3);
    }

    /// `RETURN_VALUE`, or the end of an unwound frame.
    pub fn leave_object_frame(&mut self, frames: &ObjectFrames) {
        self.pass_ns(2);
        let top = self.top();
        let (at, generator) = (top.at, top.generator);
        self.set_frame_state(frames, at, frames.over);
        self.leave_frame(at);
        let activation = self.pop();
        self.pass_ns(3);
        if let Some(object) = generator {
            // `gen_send_ex`: `Py_CLEAR(f->f_back)`, then the generator lets go of its frame.
            self.put(at + BACK, 0);
            self.pass_ns(4);
            self.put(object + GENERATOR_FRAME, 0);
        }
        self.free_frame(frames, activation.function, at);
        self.pass_ns(5);
    }

    /// Calls a function that makes a generator, whose frame does not begin.
    pub fn make_object_generator(&mut self, frames: &ObjectFrames, function: Function) {
        self.pass_ns(8);
        let at = self.new_frame(frames, function);
        self.pass_ns(4);
        self.put(at + BACK, 0);
        let object = self.allocate(OBJECT_GENERATOR_BYTES);
        self.pass_ns(12);
        self.put(object + GENERATOR_FRAME, at);
        let mut activation = self.activation(function, 0, at);
        activation.generator = Some(object);
        self.top().generators.push(Generator {
            object,
            function,
            body: Some(Box::new(activation)),
        });
    }

    /// `gen_send_ex`.
    pub fn resume_object_frame(&mut self, frames: &ObjectFrames) {
        self.pass_ns(6);
        let generator = self.top().generators.last_mut().expect("a generator");
        let activation = *generator.body.take().expect("one that waits");
        let at = activation.at;
        let field = self.state + self.python.frame;
        let current = self.recorder.memory.word(field);
        self.put(at + BACK, current);
        self.pass_ns(4);
        self.put(field, at);
        self.push(activation);
        self.set_frame_state(frames, at, frames.executing);
        self.pass_ns(3);
    }

    /// `YIELD_VALUE`.
    pub fn suspend_object_frame(&mut self, frames: &ObjectFrames) {
        self.pass_ns(2);
        let at = self.top().at;
        self.set_frame_state(frames, at, frames.suspended);
        self.leave_frame(at);
        let activation = self.pop();
        let generator = self.top().generators.last_mut().expect("its generator");
        generator.body = Some(Box::new(activation));
        self.pass_ns(4);
        self.put(at + BACK, 0);
        self.pass_ns(3);
    }

    /// The instruction that the innermost frame is at.
    pub fn set_object_instruction(&mut self, frames: &ObjectFrames, position: usize) {
        let at = self.top().at;
        self.recorder
            .store(at + frames.instruction, 2 * (position as u64 % 30), 4);
    }

    /// What a greenlet has when it is switched away.
    pub fn save_object_greenlet(&mut self, away: Greenlet) -> Greenlet {
        let current = self.recorder.memory.word(self.state + self.python.frame);
        Greenlet { current, ..away }
    }

    /// Goes on with the greenlet that was switched to.
    pub fn restore_object_greenlet(&mut self) {
        let current = self.greenlet.current;
        self.put(self.state + self.python.frame, current);
        self.show();
    }

    /// `frame_alloc` and `_PyFrame_New_NoTrack`.
    fn new_frame(&mut self, frames: &ObjectFrames, function: Function) -> u64 {
        let zombie = self.codes[function] + frames.zombie;
        let kept = self.recorder.memory.word(zombie);
        let at = if kept != 0 {
            self.put(zombie, 0);
            kept
        } else {
            let free = self.free_frames.pop();
            let at = free.unwrap_or_else(|| self.allocate(frames.locals + VARIABLES_BYTES));
            self.put(at + FRAME_CODE, self.codes[function]);
            at
        };
        self.put(at, 1);
        self.pass_ns(2);
        let back = self.recorder.memory.word(self.state + self.python.frame);
        if back != 0 {
            self.count(back, 1);
        }
        self.put(at + BACK, back);
        self.pass_ns(1);
        self.recorder.store(at + frames.instruction, u64::MAX, 4);
        self.set_frame_state(frames, at, frames.created);
        at
    }

    /// `frame_dealloc`.
    fn free_frame(&mut self, frames: &ObjectFrames, function: Function, at: u64) {
        self.put(at, 0);
        self.pass_ns(4 + stack_size(function));
        let back = self.recorder.memory.word(at + BACK);
        if back != 0 {
            // `f_back` stays as it was.
            self.count(back, u64::MAX);
        }
        self.pass_ns(4);
        let zombie = self.codes[function] + frames.zombie;
        if self.recorder.memory.word(zombie) == 0 {
            self.put(zombie, at);
        } else if self.free_frames.len() < MAX_FREE {
            let next = self.free_frames.last().copied().unwrap_or(0);
            self.put(at + BACK, next);
            self.free_frames.push(at);
        } else {
            self.release(at, frames.locals + VARIABLES_BYTES);
        }
    }

    /// `tstate->frame = f->f_back`.
    fn leave_frame(&mut self, at: u64) {
        let back = self.recorder.memory.word(at + BACK);
        self.put(self.state + self.python.frame, back);
    }

    /// Changes a reference count.
    fn count(&mut self, at: u64, by: u64) {
        let count = self.recorder.memory.word(at).wrapping_add(by);
        self.put(at, count);
    }

    fn set_frame_state(&mut self, frames: &ObjectFrames, at: u64, state: i8) {
        self.recorder.store(at + frames.state, state as u64, 1);
    }
}
