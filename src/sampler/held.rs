//! Turns the last runs of a thread into samples, once what is known of them later is in them.
//!
//! A run is given CPU time before the kernel has counted it (see [`super::cpu`]), and that a thread waited for
//! the GIL may show only afterwards (see [`super::gil_waits`]). So runs are held back for a moment: what turns
//! out to be wrong is corrected in them, and the rest of the profile never hears of it. Memory is attributed to them in the
//! same time (see [`super::growth`]), and when they are let go, the part in which the thread waited for a CPU becomes a
//! run of its own (see [`super::run_delay`]).

use std::collections::VecDeque;

use super::run_delay::RunDelay;
use crate::profile::event::{Event, Nanos, Sample, StackId, State};

/// How long a run is held. A thread that ends within this time gets exactly the CPU time that it used.
pub const HELD: Nanos = Nanos(100_000_000);

/// How long it is held where more CPU time was given than is known: a thread that was stopped may not be counted for
/// minutes, and what is recorded must not wait for that.
const LONGEST_HELD: Nanos = Nanos(400_000_000);

/// At most so many runs of a thread are held: those of [`HELD`] at 10 kHz, 100 KB.
const MAX_HELD: usize = 1024;

/// The last runs of one thread.
#[derive(Debug, Default)]
pub struct HeldRuns {
    runs: VecDeque<Sample>,
    /// The sum over them.
    cpu: Nanos,
    run_delay: RunDelay,
}

impl HeldRuns {
    /// Holds a run that has ended, and emits those that have been held long enough. `ahead` is by how much more
    /// CPU time was given to the thread than is known: so much can still be taken back. `waited` is for how long it
    /// has waited for a CPU by now.
    pub fn push(&mut self, run: Sample, ahead: Nanos, waited: Nanos, emit: &mut dyn FnMut(Event)) {
        self.cpu += run.cpu;
        self.runs.push_back(run);
        while let Some(first) = self.runs.front() {
            let is_ahead = self.cpu - first.cpu < ahead && first.at + LONGEST_HELD > run.at;
            let is_recent = first.at + HELD > run.at;
            if (is_recent || is_ahead) && self.runs.len() <= MAX_HELD {
                return;
            }
            self.cpu = self.cpu - first.cpu;
            let parts = self.run_delay.split(*first, waited);
            self.runs.pop_front();
            emit_all(parts, emit);
        }
    }

    /// Adds so much CPU time to the runs, each as far as it has room, or takes it from them, in equal parts.
    pub fn correct_cpu(&mut self, by_ns: i64) {
        let room = |run: &Sample| match by_ns {
            0.. => (run.wall - run.cpu).0,
            _ => run.cpu.0,
        };
        let all: u128 = self.runs.iter().map(|run| u128::from(room(run))).sum();
        let wanted = u128::from(by_ns.unsigned_abs()).min(all);
        let unit = self.unit();
        let (mut passed, mut given) = (0, 0);
        for run in self.runs.iter_mut().filter(|_| all > 0) {
            let room = room(run);
            passed += u128::from(room);
            let due = u64::try_from(wanted * passed / all).unwrap_or(u64::MAX);
            // What was rounded up before comes off here.
            let left = due.saturating_sub(given);
            let part = (left.saturating_add(unit / 2) / unit * unit).min(room);
            given += part;
            run.cpu = match by_ns {
                0.. => run.cpu + Nanos(part),
                _ => run.cpu - Nanos(part),
            };
        }
        self.cpu = Nanos(self.runs.iter().map(|run| run.cpu.0).sum());
    }

    /// Turns native code since `began` into waiting for the GIL. Returns for how long, and how much CPU time it had been
    /// given.
    pub fn native_to_gil(&mut self, began: Nanos) -> (Nanos, Nanos) {
        self.split_at(began);
        let (mut wall, mut cpu) = (Nanos(0), Nanos(0));
        for run in self.runs.iter_mut().rev().take_while(|run| run.at > began) {
            if run.state == State::Native {
                wall += run.wall;
                cpu += std::mem::take(&mut run.cpu);
                run.state = State::Gil;
            }
        }
        self.cpu = self.cpu - cpu;
        (wall, cpu)
    }

    /// Makes two runs of native code of the one that began before `at` and ended after it. What it used, it used before.
    fn split_at(&mut self, at: Nanos) {
        let is_over = |run: &&Sample| run.at > at;
        let after = self.runs.iter().rev().take_while(is_over).count();
        let index = self.runs.len() - after;
        let Some(run) = self.runs.get_mut(index) else {
            return;
        };
        let wall = run.at - at;
        if run.state != State::Native || wall >= run.wall {
            return;
        }
        let ticks = (u128::from(run.ticks) * u128::from(wall.0) / u128::from(run.wall.0)) as u32;
        let cpu = run.cpu - run.cpu.min(run.wall - wall);
        let later = Sample {
            at: run.at,
            wall,
            ticks: ticks.max(1),
            cpu,
            helpers_cpu: Nanos(0),
            blocked_others: Nanos(0),
            grown_bytes: 0,
            shrunk_bytes: 0,
            unsure_bytes: 0,
            ..*run
        };
        run.at = at;
        run.wall = run.wall - wall;
        run.ticks = (run.ticks - ticks).max(1);
        run.cpu = run.cpu - cpu;
        self.runs.insert(index + 1, later);
    }

    /// The last run with this stack.
    pub fn last_with(&mut self, stack: Option<StackId>) -> Option<&mut Sample> {
        self.runs.iter_mut().rev().find(|run| run.stack == stack)
    }

    /// Emits them all; `waited` is for how long the thread waited for a CPU.
    pub fn release(&mut self, waited: Nanos, emit: &mut dyn FnMut(Event)) {
        self.cpu = Nanos(0);
        for run in self.runs.drain(..) {
            emit_all(self.run_delay.split(run, waited), emit);
        }
    }

    /// What their times are multiples of: a recording is small only as long as all are.
    fn unit(&self) -> u64 {
        let times = self.runs.iter().flat_map(|run| [run.at, run.wall]);
        times
            .fold(0, |unit, time| common_divisor(unit, time.0))
            .max(1)
    }
}

fn emit_all(parts: [Option<Sample>; 2], emit: &mut dyn FnMut(Event)) {
    for part in parts.into_iter().flatten() {
        emit(Event::Sample(part));
    }
}

fn common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Runs of a millisecond, one after another: so many with CPU time, and as many without.
    fn held(count: u64) -> HeldRuns {
        let mut held = HeldRuns::default();
        for number in 0..2 * count {
            let run = Sample {
                at: Nanos((number + 1) * MS),
                wall: Nanos(MS),
                cpu: Nanos(if number < count { MS } else { 0 }),
                state: State::Native,
                ..Sample::default()
            };
            held.push(run, Nanos(0), Nanos(0), &mut |_| panic!("too early"));
        }
        held
    }

    fn released(mut held: HeldRuns) -> Vec<Sample> {
        let mut samples = Vec::new();
        held.release(Nanos(0), &mut |event| match event {
            Event::Sample(sample) => samples.push(sample),
            other => panic!("{other:?}"),
        });
        samples
    }

    #[test]
    fn time_taken_back_comes_from_all_runs_alike() {
        for back_ns in [0, 1, 2_000_003, 5 * MS as i64, 10 * MS as i64, i64::MAX] {
            let mut held = held(10);
            held.correct_cpu(-back_ns);
            let samples = released(held);
            let sum: u64 = samples.iter().map(|sample| sample.cpu.0).sum();
            let left = (10 * MS).saturating_sub(back_ns as u64);
            assert!(sum.abs_diff(left) <= MS / 2, "{sum} of {left}");
            assert!(samples[10..].iter().all(|sample| sample.cpu == Nanos(0)));
        }
    }

    #[test]
    fn added_cpu_time_goes_to_runs_with_room() {
        let mut held = held(10);
        held.correct_cpu(4 * MS as i64);
        let samples = released(held);
        assert!(samples.iter().all(|sample| sample.cpu <= sample.wall));
        let sum: u64 = samples[10..].iter().map(|sample| sample.cpu.0).sum();
        assert_eq!(sum, 4 * MS);
    }

    #[test]
    fn times_stay_multiples_of_their_unit() {
        let mut held = HeldRuns::default();
        let unit = 31_250;
        for number in 1..=20 {
            let wall = Nanos(unit * (20 + number % 7));
            let (at, cpu) = (Nanos(unit * 30 * number), wall);
            let run = Sample {
                at,
                wall,
                cpu,
                ..Sample::default()
            };
            held.push(run, Nanos(0), Nanos(0), &mut |_| {});
        }
        held.correct_cpu(-3_333_333);
        let samples = released(held);
        assert!(samples.iter().all(|sample| sample.cpu.0 % unit == 0));
        let back: u64 = samples.iter().map(|s| s.wall.0 - s.cpu.0).sum();
        assert!(back.abs_diff(3_333_333) <= unit, "{back}");
    }

    #[test]
    fn runs_are_held_until_they_can_no_longer_change() {
        let mut emitted = Vec::new();
        let mut push = |held: &mut HeldRuns, ms: u64, ahead_ms: u64| {
            let run = Sample {
                at: Nanos(ms * MS),
                wall: Nanos(MS),
                cpu: Nanos(MS),
                ..Sample::default()
            };
            held.push(run, Nanos(ahead_ms * MS), Nanos(0), &mut |event| {
                emitted.push(event);
            });
            emitted.len()
        };
        let mut held = HeldRuns::default();
        for ms in 1..=100 {
            assert_eq!(push(&mut held, ms, 50), 0);
        }
        assert_eq!(push(&mut held, 101, 50), 1);
        assert_eq!(push(&mut held, 102, 101), 1);
        assert_eq!(push(&mut held, 250, 101), 2);
        assert_eq!(push(&mut held, 251, 0), 102);
    }

    #[test]
    fn no_more_than_so_many_are_held() {
        let mut emitted = 0;
        let mut held = HeldRuns::default();
        for at in 0..2 * MAX_HELD as u64 {
            let run = Sample {
                at: Nanos(at),
                ..Sample::default()
            };
            held.push(run, Nanos(u64::MAX), Nanos(0), &mut |_| emitted += 1);
        }
        assert_eq!(emitted, MAX_HELD);
    }

    #[test]
    fn native_code_turns_into_waiting_from_a_moment_on() {
        let mut held = held(2);
        let expected = (Nanos(3 * MS), Nanos(MS));
        assert_eq!(held.native_to_gil(Nanos(MS)), expected);
        let (native, gil) = (State::Native, State::Gil);
        let states = released(held).into_iter().map(|sample| sample.state);
        assert_eq!(states.collect::<Vec<_>>(), [native, gil, gil, gil]);
    }

    #[test]
    fn what_a_run_was_before_that_moment_stays_native_code_with_its_cpu_time() {
        let mut held = HeldRuns::default();
        let run = Sample {
            at: Nanos(160 * MS),
            wall: Nanos(150 * MS),
            cpu: Nanos(149 * MS),
            ticks: 150,
            grown_bytes: 7,
            state: State::Native,
            ..Sample::default()
        };
        held.push(run, Nanos(0), Nanos(0), &mut |_| {});
        assert_eq!(
            held.native_to_gil(Nanos(158 * MS)),
            (Nanos(2 * MS), Nanos(MS))
        );
        let samples = released(held);
        let times = |of: &Sample| (of.state, of.at, of.wall, of.cpu, of.ticks, of.grown_bytes);
        let before = Nanos(148 * MS);
        let expected = [
            (State::Native, Nanos(158 * MS), before, before, 148, 7),
            (State::Gil, Nanos(160 * MS), Nanos(2 * MS), Nanos(0), 2, 0),
        ];
        assert_eq!(samples.iter().map(times).collect::<Vec<_>>(), expected);
    }
}
