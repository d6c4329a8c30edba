//! Turns a thread that waits in the kernel into its registers, and says afterwards whether it stood still meanwhile.
//!
//! No thread is stopped for that: to stop one that waits in epoll_wait(2), semtimedop(2) and others ends its call early
//! (signal(7), "Interruption of system calls"). A thread that still waits in the same call, with the same arguments and
//! the same stack pointer, and had no CPU meanwhile, has the stack that was copied.

use crate::process::{Process, SyscallWatch, TaskClock, ThreadActivity, Tid};

use super::registers::Registers;

/// A thread that waited when it was looked at.
#[derive(Debug)]
pub struct WaitingThread {
    syscall: SyscallWatch,
    clock: Option<TaskClock>,
    turns: Option<u64>,
}

impl WaitingThread {
    /// Looks at thread `tid`; `None`: it runs, has ended, or may not be looked at.
    #[must_use]
    pub fn look(process: &Process, tid: Tid) -> Option<WaitingThread> {
        let clock = process.task_clock(tid);
        let syscall = SyscallWatch::open(process.pid(), tid).ok()?;
        let mut thread = WaitingThread {
            syscall,
            clock,
            turns: None,
        };
        thread.turns = thread.count_turns();
        let (activity, _) = thread.syscall.read().ok()?;
        (activity != ThreadActivity::Running).then_some(thread)
    }

    /// Its stack pointer and its instruction.
    #[must_use]
    pub fn registers(&self) -> Option<Registers> {
        let told = self.syscall.wait_registers()?;
        Some(Registers::waiting(told.stack_pointer, told.instruction))
    }

    /// Where its stack begins.
    #[must_use]
    pub fn stack_pointer(&self) -> Option<u64> {
        Some(self.syscall.wait_registers()?.stack_pointer)
    }

    /// To be told when it was stopped and let go on for its Python stack: that cost it a turn on a CPU.
    pub fn was_stopped(&mut self) {
        self.turns = self.count_turns();
    }

    fn count_turns(&mut self) -> Option<u64> {
        Some(self.clock.as_mut()?.count()?.turns)
    }

    /// Whether it has waited in the same call from the look on until now.
    #[must_use]
    pub fn has_stood_still(mut self) -> bool {
        let is_same = self.syscall.read().is_ok_and(|(_, is_same)| is_same);
        is_same && self.count_turns() == self.turns
    }
}
