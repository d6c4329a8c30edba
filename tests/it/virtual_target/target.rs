//! Turns logs into a memory that changes while it is read: every range that is copied takes its time.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use rsamp::cpython::{KnownThread, StopThreads, StoppedThread};
use rsamp::memory::{Address, Piece, ReadError, ReadMemory};

use super::chance::below;
use super::memory::{Log, Memory};
use super::setup::Setup;
use super::thread::NS;

/// What a call of the kernel takes before its first range and after its last one.
const CALL_PS: u64 = 500 * NS;
const END_OF_CALL_PS: u64 = 200 * NS;

/// What a range takes, and each of its bytes (10 GB/s).
const RANGE_PS: u64 = 330 * NS;
const BYTE_PS: u64 = 100;

/// For so long a thread keeps the GIL that another one wants.
const TURN_PS: u64 = 5_000_000 * NS;

/// What a stop takes until the thread stands: at least, and as much again by chance, so that what was read before does
/// not decide where in a short loop it stands.
const STOP_PS: u64 = 15_000 * NS;

/// What the end of a stop takes.
const END_OF_STOP_PS: u64 = 10_000 * NS;

/// What an instruction takes.
const INSTRUCTION_PS: u64 = 500;

/// A thread, and for how long it had which stack.
#[derive(Debug)]
struct Runner {
    state: u64,
    log: Log,
    ran_ps: u64,
    /// While it waited for the GIL, by the numbers of the stacks.
    waited_ps: Vec<u64>,
}

/// An interpreter that runs.
#[derive(Debug)]
pub struct Target {
    inner: RefCell<Inner>,
}

#[derive(Debug)]
struct Inner {
    memory: Memory,
    now_ps: u64,
    /// The thread that is stopped.
    stopped: Option<usize>,
    runners: Vec<Runner>,
    running: usize,
    turn_left_ps: u64,
    /// Whether the running thread gives the GIL away as soon as it may.
    is_turn_over: bool,
    turns: u64,
    random: u64,
    last_holder: Option<u64>,
    current_thread: Option<u64>,
}

impl Target {
    /// Of the memory of an interpreter and the log of each of its threads.
    pub fn new(setup: Setup, logs: Vec<Log>, stacks: &[usize]) -> Target {
        let runner = |(log, (state, stacks)): (Log, (&u64, &usize))| Runner {
            state: *state,
            log,
            ran_ps: 0,
            waited_ps: vec![0; *stacks],
        };
        let threads = setup.threads.iter().zip(stacks);
        let runners: Vec<Runner> = logs.into_iter().zip(threads).map(runner).collect();
        let turn_left_ps = if runners.len() == 1 {
            u64::MAX
        } else {
            TURN_PS
        };
        Target {
            inner: RefCell::new(Inner {
                memory: setup.memory,
                now_ps: 0,
                stopped: None,
                runners,
                running: 0,
                turn_left_ps,
                is_turn_over: false,
                turns: 0,
                random: 0x9E37_79B9_7F4A_7C15,
                last_holder: setup.last_holder,
                current_thread: setup.current_thread,
            }),
        }
    }

    /// The time of the clock that the reader goes by.
    pub fn now_ps(&self) -> u64 {
        self.inner.borrow().now_ps
    }

    /// Lets time pass.
    pub fn wait(&self, ps: u64) {
        self.inner.borrow_mut().pass(ps);
    }

    /// Lets no thread run while time passes, or lets them again.
    pub fn stand_still(&self, stands: bool) {
        let mut inner = self.inner.borrow_mut();
        inner.stopped = stands.then_some(inner.running);
    }

    /// The number of the stack that each thread has now.
    pub fn stacks_now(&self) -> Vec<usize> {
        let inner = self.inner.borrow();
        inner
            .runners
            .iter()
            .map(|runner| runner.log.stack_now())
            .collect()
    }

    /// For how long each thread had each stack, by its number, in picoseconds.
    pub fn truth(&self) -> Vec<Vec<f64>> {
        let inner = self.inner.borrow();
        let of = |runner: &Runner| {
            let mut times: Vec<f64> = runner.waited_ps.iter().map(|ps| *ps as f64).collect();
            let laps = runner.ran_ps as f64 / runner.log.length_ps() as f64;
            for (stack, ps) in runner.log.spans() {
                times[stack] += ps as f64 * laps;
            }
            times
        };
        inner.runners.iter().map(of).collect()
    }
}

impl Inner {
    fn pass(&mut self, ps: u64) {
        self.now_ps += ps;
        if self.stopped == Some(self.running) {
            return;
        }
        self.run(ps);
    }

    fn run(&mut self, ps: u64) {
        let mut left_ps = ps;
        while left_ps > 0 {
            let step_ps = left_ps.min(self.turn_left_ps);
            let (memory, running) = (&mut self.memory, self.running);
            for (number, runner) in self.runners.iter_mut().enumerate() {
                if number == running {
                    runner.log.run(memory, step_ps);
                    runner.ran_ps += step_ps;
                } else {
                    runner.waited_ps[runner.log.stack_now()] += step_ps;
                }
            }
            left_ps -= step_ps;
            if self.runners.len() > 1 {
                self.turn_left_ps -= step_ps;
                self.hand_over_if_due();
            }
        }
    }

    fn number(&self, thread: &KnownThread) -> Option<usize> {
        let state = thread.state.0;
        self.runners.iter().position(|runner| runner.state == state)
    }

    /// `drop_gil` and `take_gil` (`Python/ceval_gil.c`), which come between two instructions.
    fn hand_over_if_due(&mut self) {
        if self.turn_left_ps > 0 {
            return;
        }
        if !self.is_turn_over {
            self.is_turn_over = true;
            self.turn_left_ps = self.runners[self.running].log.until_switch_ps();
            return;
        }
        self.is_turn_over = false;
        self.turn_left_ps = TURN_PS;
        self.turns += 1;
        self.running = (self.running + 1) % self.runners.len();
        let state = self.runners[self.running].state;
        if let Some(at) = self.last_holder {
            let switches = self.memory.word(at + 16) + 1;
            self.memory.write(at, &state.to_le_bytes());
            self.memory.write(at + 16, &switches.to_le_bytes());
        }
        if let Some(at) = self.current_thread {
            self.memory.write(at, &state.to_le_bytes());
        }
    }

    fn copy(&mut self, at: Address, into: &mut [u8]) -> bool {
        self.pass(RANGE_PS + BYTE_PS * into.len() as u64);
        match self.memory.read(at.0, into.len()) {
            Some(bytes) => into.copy_from_slice(bytes),
            None if into.is_empty() => {}
            None => return false,
        }
        true
    }
}

impl ReadMemory for Target {
    fn read(&self, at: Address, into: &mut [u8]) -> Result<(), ReadError> {
        let mut inner = self.inner.borrow_mut();
        inner.pass(CALL_PS);
        let is_there = inner.copy(at, into);
        inner.pass(END_OF_CALL_PS);
        is_there.then_some(()).ok_or_else(|| ReadError {
            at,
            length: into.len(),
            source: io::Error::from_raw_os_error(nix::libc::EFAULT),
        })
    }

    fn read_pieces(&self, pieces: &[Piece], into: &mut [u8]) -> usize {
        let mut inner = self.inner.borrow_mut();
        inner.pass(CALL_PS);
        let mut done = 0;
        for piece in pieces {
            let target = &mut into[done..done + piece.length];
            if !inner.copy(piece.at, target) {
                break;
            }
            done += piece.length;
        }
        inner.pass(END_OF_CALL_PS);
        done
    }
}

/// Stops threads of a target.
#[derive(Debug)]
pub struct Stopper(pub Rc<Target>);

impl StopThreads for Stopper {
    fn off_cpu(&mut self, thread: &KnownThread) -> Option<u64> {
        let inner = self.0.inner.borrow();
        let number = inner.number(thread)?;
        (number != inner.running).then_some(inner.turns)
    }

    fn stop(&mut self, thread: &KnownThread) -> Option<Box<dyn StoppedThread + '_>> {
        let mut inner = self.0.inner.borrow_mut();
        let more_ps = below(&mut inner.random, STOP_PS);
        inner.pass(STOP_PS + more_ps);
        inner.stopped = Some(inner.number(thread)?);
        Some(Box::new(Standing(&self.0)))
    }
}

/// A thread that is stopped.
struct Standing<'a>(&'a Target);

impl StoppedThread for Standing<'_> {
    fn step(&mut self) -> bool {
        let mut inner = self.0.inner.borrow_mut();
        if inner.stopped == Some(inner.running) {
            inner.run(INSTRUCTION_PS);
        }
        true
    }
}

impl Drop for Standing<'_> {
    fn drop(&mut self) {
        let mut inner = self.0.inner.borrow_mut();
        inner.pass(END_OF_STOP_PS);
        inner.stopped = None;
    }
}
