//! Turns "runs without the GIL" into waiting for the GIL, or native code.
//!
//! A thread that wants the GIL sleeps on a condition variable for 5 ms, asks the holder to let go, and sleeps
//! again (`take_gil` in `ceval_gil.c`, `ceval_gil.h`); one that was asked to let go sleeps until another one has
//! taken it, and then wants it back (`drop_gil`). When it wakes up it is ready to run, and where all CPUs are
//! busy it stays so for milliseconds: to the kernel it looks like one that runs native code. Two things tell
//! them apart:
//!
//! - Who was seen waiting for the GIL waits for it until it has had it, with or without a CPU: a CPU alone would not
//!   help it.
//! - Who is ready to run, and is seen waiting for the GIL next without having used the CPU in between, did not
//!   run native code; nor did who holds it next and got a CPU for that only.

use crate::process::CpuCount;
use crate::profile::event::{Nanos, State};

/// CPU time that it takes at most to wake up, look at the GIL, and sleep again: some 20 µs, and more where the
/// caches are cold.
const LOOK_AT_GIL_NS: u64 = 100_000;

/// Of the time in which it was ready to run, this part at most.
const LOOK_PART: u64 = 8;

/// What is known of one thread that does not hold the GIL.
#[derive(Debug, Clone, Copy, Default)]
pub enum GilWait {
    /// It did something else when it was looked at last.
    #[default]
    No,
    /// It waits for the GIL. What the kernel had counted by then at the latest.
    Waits(CpuCount),
    /// It has been running without it since then, or ready to run.
    Ready {
        /// When it was found so first.
        first: StateAtTick,
        /// What the kernel had counted then.
        count: CpuCount,
    },
}

/// How one thread was found at a tick.
#[derive(Debug, Clone, Copy)]
pub struct StateAtTick {
    /// What it seems to do.
    pub state: State,
    /// Since when: the tick before.
    pub began: Nanos,
    /// When it was looked at.
    pub at: Nanos,
    /// Whether it may have held the GIL in between.
    pub may_have_had_it: bool,
    /// What the kernel had counted when it was asked last.
    pub counted: CpuCount,
}

/// What to make of one look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// What the thread does.
    pub state: State,
    /// Since when it has been waiting for the GIL, where it looked like native code until now.
    pub waits_since: Option<Nanos>,
}

impl GilWait {
    /// Decides on a look; `count` counts now.
    pub fn decide(
        &mut self,
        look: StateAtTick,
        count: impl FnOnce() -> Option<CpuCount>,
    ) -> Verdict {
        let state = look.state;
        if let (GilWait::Ready { first, count: then }, State::Gil | State::Python) = (*self, state)
        {
            // While it sleeps its count is exact; when it runs, if it got the CPU since then.
            let is_exact = |now: &CpuCount| state == State::Gil || now.turns > then.turns;
            let used_ns = count()
                .filter(is_exact)
                .map(|now| now.cpu_ns - then.cpu_ns.min(now.cpu_ns));
            let is_idle = used_ns.is_some_and(|used_ns| is_idle(used_ns, look.at - first.at));
            let waits_since = is_idle.then_some(first.began);
            *self = match state {
                State::Gil => GilWait::Waits(look.counted),
                _ => GilWait::No,
            };
            return Verdict { state, waits_since };
        }
        let (next, state) = match (*self, state) {
            (_, State::Gil) => (GilWait::Waits(look.counted), State::Gil),
            (waits @ GilWait::Waits(_), State::Native) if !look.may_have_had_it => {
                (waits, State::Gil)
            }
            (ready @ GilWait::Ready { .. }, State::Native) if !look.may_have_had_it => {
                (ready, State::Native)
            }
            (before, State::Native) => match (before, count()) {
                // It has not been on a CPU since.
                (GilWait::Waits(then), Some(now)) if then.turns == now.turns => {
                    (before, State::Gil)
                }
                (_, Some(count)) => (GilWait::Ready { first: look, count }, State::Native),
                (_, None) => (GilWait::No, State::Native),
            },
            (_, other) => (GilWait::No, other),
        };
        *self = next;
        Verdict {
            state,
            waits_since: None,
        }
    }
}

fn is_idle(used_ns: u64, time: Nanos) -> bool {
    used_ns <= LOOK_AT_GIL_NS && used_ns < time.0 / LOOK_PART
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn count(cpu_ns: u64, turns: u64) -> CpuCount {
        CpuCount {
            cpu_ns,
            turns,
            ..CpuCount::default()
        }
    }

    /// Looks a millisecond apart: the state, whether the thread may have had the GIL, and what is counted by
    /// then. Returns the states in the end.
    fn decided(looks: &[(State, bool, CpuCount)]) -> Vec<State> {
        let mut wait = GilWait::default();
        let mut states = Vec::new();
        let mut counted = CpuCount::default();
        for (number, (state, may_have_had_it, now)) in looks.iter().enumerate() {
            let look = StateAtTick {
                state: *state,
                began: Nanos(number as u64 * MS),
                at: Nanos((number as u64 + 1) * MS),
                may_have_had_it: *may_have_had_it,
                counted,
            };
            let verdict = wait.decide(look, || Some(*now));
            counted = *now;
            if let Some(since) = verdict.waits_since {
                for state in &mut states[(since.0 / MS) as usize..] {
                    *state = State::Gil;
                }
            }
            states.push(verdict.state);
        }
        states
    }

    const GIL: State = State::Gil;
    const NATIVE: State = State::Native;
    const PYTHON: State = State::Python;

    #[test]
    fn who_waited_for_the_gil_and_has_not_had_it_waits_for_it_still() {
        let looks = [
            (GIL, false, count(0, 1)),
            (NATIVE, false, count(20_000, 2)),
            (NATIVE, false, count(20_000, 2)),
            (GIL, false, count(40_000, 2)),
            (NATIVE, true, count(40_000, 2)),
        ];
        assert_eq!(decided(&looks), [GIL; 5]);
    }

    #[test]
    fn who_lost_the_gil_and_did_nothing_until_it_waited_for_it_did_not_run_native_code() {
        let looks = [
            (PYTHON, true, count(5 * MS, 1)),
            (NATIVE, true, count(5 * MS, 1)),
            (NATIVE, false, count(5 * MS, 1)),
            (GIL, false, count(5 * MS + 30_000, 2)),
        ];
        assert_eq!(decided(&looks), [PYTHON, GIL, GIL, GIL]);
    }

    #[test]
    fn native_code_stays_native_code_before_and_after_a_wait_for_the_gil() {
        let looks = [
            (GIL, false, count(0, 1)),
            (NATIVE, true, count(0, 2)),
            (NATIVE, false, count(0, 2)),
            (NATIVE, false, count(3 * MS, 2)),
            (GIL, true, count(4 * MS, 2)),
        ];
        assert_eq!(decided(&looks), [GIL, NATIVE, NATIVE, NATIVE, GIL]);
    }

    #[test]
    fn who_only_waited_for_a_cpu_until_it_had_the_gil_did_not_run_native_code() {
        let of = |turns| {
            let looks = [
                (PYTHON, true, count(5 * MS, 1)),
                (NATIVE, true, count(5 * MS, 1)),
                (NATIVE, false, count(5 * MS, 1)),
                (PYTHON, true, count(5 * MS + 20_000, turns)),
            ];
            decided(&looks)
        };
        assert_eq!(of(2), [PYTHON, GIL, GIL, PYTHON]);
        // It was on the CPU all the time, and that is counted later.
        assert_eq!(of(1), [PYTHON, NATIVE, NATIVE, PYTHON]);
    }

    #[test]
    fn a_short_piece_of_native_code_stays_native_code() {
        let looks = [
            (PYTHON, true, count(0, 1)),
            (NATIVE, true, count(0, 1)),
            (GIL, false, count(300_000, 1)),
        ];
        assert_eq!(decided(&looks), [PYTHON, NATIVE, GIL]);
    }
}
