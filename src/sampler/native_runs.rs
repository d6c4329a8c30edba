//! Turns what was seen of a thread's native stack into native samples: one for a time in which it was seen the same.

use crate::profile::event::{Event, Nanos, NativeSample, StackId, State, ThreadId};

/// A sample is told after this time at the latest, so that little is lost if rsamp is killed.
const LONGEST: Nanos = Nanos(500_000_000);

/// What was seen of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NativeStackSeen {
    /// Its Python stack.
    pub stack: Option<StackId>,
    /// What it was doing.
    pub state: State,
    /// The stack with its native frames.
    pub merged: StackId,
}

/// What one thread was seen doing last, and since when.
#[derive(Debug)]
pub struct NativeRun {
    thread: ThreadId,
    from: Nanos,
    at: Nanos,
    cpu_from: Nanos,
    cpu: Nanos,
    seen: Option<NativeStackSeen>,
}

impl NativeRun {
    /// Of a thread that was not seen before: the first sample stands for the time since `since`, when the kernel had
    /// counted `cpu` of it.
    #[must_use]
    pub fn new(thread: ThreadId, since: Nanos, cpu: Nanos) -> NativeRun {
        NativeRun {
            thread,
            from: since,
            at: since,
            cpu_from: cpu,
            cpu,
            seen: None,
        }
    }

    /// Whose it is.
    #[must_use]
    pub fn thread(&self) -> ThreadId {
        self.thread
    }

    /// What was seen last, if that is not told yet.
    #[must_use]
    pub fn seen(&self) -> Option<NativeStackSeen> {
        self.seen
    }

    /// What was seen last goes on until `at`, when the kernel has counted `cpu` of the thread.
    pub fn go_on(&mut self, at: Nanos, cpu: Nanos) {
        if self.seen.is_some() {
            (self.at, self.cpu) = (self.at.max(at), self.cpu.max(cpu));
        }
    }

    /// The thread was seen so at `at`.
    pub fn see(
        &mut self,
        at: Nanos,
        cpu: Nanos,
        seen: NativeStackSeen,
        emit: &mut dyn FnMut(Event),
    ) {
        if self.seen != Some(seen) || at > self.from + LONGEST {
            self.tell(emit);
        }
        self.seen = Some(seen);
        self.go_on(at, cpu);
    }

    /// Tells what was seen until now. It may go on.
    pub fn tell(&mut self, emit: &mut dyn FnMut(Event)) {
        let wall = self.at - self.from;
        // The kernel counts late: what is too much for this time belongs to the next.
        let cpu = (self.cpu - self.cpu_from).min(wall);
        if let Some(seen) = self.seen.filter(|_| wall > Nanos(0)) {
            emit(Event::Native(NativeSample {
                at: self.at,
                thread: self.thread,
                stack: seen.stack,
                state: seen.state,
                merged: seen.merged,
                wall,
                cpu,
            }));
        }
        (self.from, self.cpu_from) = (self.at, self.cpu_from + cpu);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(merged: u32) -> NativeStackSeen {
        NativeStackSeen {
            stack: None,
            state: State::Native,
            merged: StackId(merged),
        }
    }

    #[test]
    fn what_is_the_same_is_one_sample_and_samples_follow_each_other() {
        let mut told = Vec::new();
        let mut emit = |event| match event {
            Event::Native(sample) => {
                told.push((sample.merged.0, sample.at.0, sample.wall.0, sample.cpu.0));
            }
            other => panic!("{other:?}"),
        };
        let mut run = NativeRun::new(ThreadId(1), Nanos(100), Nanos(1000));
        for (at, cpu, merged) in [
            (110, 1000, 1),
            (120, 1000, 1),
            (150, 1045, 2),
            (160, 1060, 1),
        ] {
            run.see(Nanos(at), Nanos(cpu), seen(merged), &mut emit);
        }
        // A wait.
        run.go_on(Nanos(400), Nanos(1060));
        run.tell(&mut emit);
        run.tell(&mut emit);
        run.go_on(Nanos(500), Nanos(1060));
        run.tell(&mut emit);
        let expected = [
            (1, 120, 20, 0),
            (2, 150, 30, 30),
            (1, 400, 250, 30),
            (1, 500, 100, 0),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_long_run_is_told_before_it_ends() {
        let mut told = 0;
        let mut emit = |_| told += 1;
        let mut run = NativeRun::new(ThreadId(1), Nanos(0), Nanos(0));
        for ms in 1..=2000 {
            run.see(Nanos(ms * 1_000_000), Nanos(0), seen(1), &mut emit);
        }
        assert_eq!(told, 3);
    }
}
