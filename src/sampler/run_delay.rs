//! Turns a run of a thread that had no CPU for a part of it into that part, in [`State::Ready`], and the rest.
//!
//! To the kernel's `syscall` and `stat` a thread that is ready and waits for a CPU looks like one that runs. Two counts
//! tell them apart: the CPU time that the run was given (see [`super::cpu`]), and the time that the kernel counted the
//! thread as waiting for a CPU (`run_delay`, the second number of `schedstat`). Time without CPU that the second count
//! does not cover stays what it was: a hypervisor took it, or the thread was blocked between two ticks.

use crate::profile::event::{Nanos, Sample, State};

/// What was counted as waiting and found in no run for so long is forgotten: runs are held for no more than that (see
/// [`super::held`]), and CPU time is given to them with a delay of some milliseconds. In the same way what was found
/// and never counted.
const LONGEST_OWED_NS: i64 = 500_000_000;

/// How much of the waiting of one thread its runs have.
#[derive(Debug, Default)]
pub struct RunDelay {
    found_ns: i64,
    /// What of it is in no part yet: a run of a single tick is not split.
    rest_ns: i64,
}

impl RunDelay {
    /// Splits a run of a thread that has waited for a CPU for `waited` by now: the part in which it did, and the rest.
    /// The sums of the parts are those of the run. All its time without CPU is the one or the other, whichever most of
    /// it is: so times stay multiples of the unit that they have.
    pub fn split(&mut self, run: Sample, waited: Nanos) -> [Option<Sample>; 2] {
        let waited_ns = signed(waited);
        let least_ns = waited_ns.saturating_sub(LONGEST_OWED_NS);
        let most_ns = waited_ns.saturating_add(LONGEST_OWED_NS);
        self.found_ns = self.found_ns.clamp(least_ns, most_ns);
        let runs = matches!(run.state, State::Python | State::Collecting | State::Native);
        let off = run.wall - run.cpu;
        let off_ns = signed(off);
        let owed_ns = waited_ns - self.found_ns;
        if !runs || off_ns == 0 || owed_ns < off_ns - off_ns / 2 {
            return [None, Some(run)];
        }
        self.found_ns = self.found_ns.saturating_add(off_ns);
        let ready = Sample {
            state: State::Ready,
            ..run
        };
        match run.ticks {
            _ if off == run.wall => [Some(ready), None],
            0 | 1 if self.is_due(off_ns, signed(run.wall)) => [Some(ready), None],
            0 | 1 => [None, Some(run)],
            _ => parts(run, off).map(Some),
        }
    }

    /// Whether a single tick of `wall_ns` that had no CPU for `off_ns` is one of waiting: as many are as make the sum.
    fn is_due(&mut self, off_ns: i64, wall_ns: i64) -> bool {
        self.rest_ns = self.rest_ns.saturating_add(off_ns);
        let is_due = self.rest_ns >= wall_ns - wall_ns / 2;
        if is_due {
            self.rest_ns -= wall_ns;
        }
        is_due
    }
}

fn signed(time: Nanos) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

/// A run of several ticks, and the `off` of it, which is neither nothing nor all: it waits first.
fn parts(run: Sample, off: Nanos) -> [Sample; 2] {
    let of_off = |whole: u64| {
        let part = u128::from(whole) * u128::from(off.0) / u128::from(run.wall.0);
        u64::try_from(part).unwrap_or(whole)
    };
    let wall = run.wall - off;
    let ticks = (of_off(u64::from(run.ticks)) as u32).clamp(1, run.ticks - 1);
    let gil = run.gil.min(wall);
    let blocked_others = Nanos(of_off(run.blocked_others.0));
    let ready = Sample {
        at: run.at - wall,
        thread: run.thread,
        stack: run.stack,
        state: State::Ready,
        ticks,
        wall: off,
        gil: run.gil - gil,
        blocked_others,
        attributes: run.attributes,
        ..Sample::default()
    };
    let rest = Sample {
        ticks: run.ticks - ticks,
        wall,
        gil,
        blocked_others: run.blocked_others - blocked_others,
        ..run
    };
    [ready, rest]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::profile::attributes::AttributesId;

    const MS: u64 = 1_000_000;

    fn run(state: State, ticks: u32, cpu_ms: u64) -> Sample {
        let wall = Nanos(u64::from(ticks) * MS);
        Sample {
            at: Nanos(1000 * MS),
            ticks,
            wall,
            attributes: Some(AttributesId::new(7)),
            cpu: Nanos(cpu_ms * MS),
            gil: if state == State::Native {
                Nanos(0)
            } else {
                wall
            },
            state,
            ..Sample::default()
        }
    }

    /// State, end, wall time, CPU time, time with the GIL and ticks of the parts, in milliseconds.
    fn told(parts: [Option<Sample>; 2]) -> Vec<(State, u64, u64, u64, u64, u32)> {
        let told = |part: Sample| {
            assert_eq!(part.attributes, Some(AttributesId::new(7)));
            let [at, wall, cpu, gil] =
                [part.at, part.wall, part.cpu, part.gil].map(|time| time.0 / MS);
            (part.state, at, wall, cpu, gil, part.ticks)
        };
        parts.into_iter().flatten().map(told).collect()
    }

    fn split(run: Sample, waited_ms: u64) -> Vec<(State, u64, u64, u64, u64, u32)> {
        told(RunDelay::default().split(run, Nanos(waited_ms * MS)))
    }

    #[test]
    fn the_part_of_a_run_that_had_no_cpu_waited_for_one() {
        for (state, gil) in [
            (State::Python, 1),
            (State::Collecting, 1),
            (State::Native, 0),
        ] {
            let ready = (State::Ready, 975, 75, 0, 75 * gil, 75);
            let rest = (state, 1000, 25, 25, 25 * gil, 25);
            assert_eq!(split(run(state, 100, 25), 80), [ready, rest]);
        }
        let all = (State::Ready, 1000, 100, 0, 100, 100);
        assert_eq!(split(run(State::Python, 100, 0), 100), [all]);
        let one = (State::Ready, 1000, 1, 0, 1, 1);
        assert_eq!(split(run(State::Python, 1, 0), 1), [one]);
    }

    #[test]
    fn what_the_kernel_did_not_count_as_waiting_stays_what_it_was() {
        let whole = (State::Python, 1000, 100, 25, 100, 100);
        assert_eq!(split(run(State::Python, 100, 25), 37), [whole]);
        let on_cpu = (State::Python, 1000, 100, 100, 100, 100);
        assert_eq!(split(run(State::Python, 100, 100), 500), [on_cpu]);
    }

    #[test]
    fn who_waits_for_something_else_does_not_wait_for_a_cpu() {
        for state in State::ALL {
            let parts = RunDelay::default().split(run(state, 100, 25), Nanos(500 * MS));
            let is_split = parts[0].is_some();
            assert_eq!(
                is_split,
                ["python", "collecting", "native"].contains(&state.word())
            );
        }
    }

    #[test]
    fn waiting_is_found_once_and_no_later_than_half_a_second_after_it_was_counted() {
        let mut delay = RunDelay::default();
        let mut found = |waited_ms: u64| {
            let parts = delay.split(run(State::Python, 100, 20), Nanos(waited_ms * MS));
            parts[0].map_or(0, |part| part.wall.0 / MS)
        };
        assert_eq!([100, 100, 100, 200].map(&mut found), [80, 0, 0, 80]);
        // Of the next 10 s half a second is left.
        let of_more: u64 = (0..20).map(|_| found(10_200)).sum();
        assert_eq!(of_more, 480);
    }

    #[test]
    fn short_waits_add_up_to_the_counted_waiting() {
        let (mut delay, mut found) = (RunDelay::default(), Nanos(0));
        // A tenth of a millisecond of each 10 ms; every hundredth run shows it, by a whole tick.
        for number in 1..=10_000_u64 {
            let cpu_ms = if number % 10 == 0 { 9 } else { 10 };
            let waited = Nanos(number * MS / 10);
            let parts = delay.split(run(State::Python, 10, cpu_ms), waited);
            found += parts[0].map_or(Nanos(0), |part| part.wall);
        }
        assert!(found.0.abs_diff(1000 * MS) <= MS, "{found:?}");
    }

    #[test]
    fn as_many_single_ticks_are_waiting_as_make_the_sum() {
        for cpu_us in [0, 1, 100, 300, 500, 700, 990, 1000] {
            let mut delay = RunDelay::default();
            let cpu = Nanos(cpu_us * 1000);
            let (mut waited, mut found) = (Nanos(0), Nanos(0));
            for _ in 0..1000 {
                let run = Sample {
                    cpu,
                    ..run(State::Python, 1, 0)
                };
                waited += run.wall - cpu;
                let [ready, _] = delay.split(run, waited);
                found += ready.map_or(Nanos(0), |part| part.wall);
            }
            assert!(
                found.0.abs_diff(waited.0) <= MS / 2,
                "{cpu_us} µs: {found:?} of {waited:?}"
            );
        }
    }

    prop_compose! {
        fn any_run()(
            state in prop::sample::select(&State::ALL[..]), ticks in 1..200_u32, wall in 0..u64::MAX / 4,
            cpu in 0..=u64::MAX, gil in 0..=u64::MAX, others in any::<[u64; 5]>(),
        ) -> Sample {
            let part = |of: u64| Nanos(of % (wall + 1));
            Sample {
                at: Nanos(wall + others[0] / 2), state, ticks, wall: Nanos(wall), cpu: part(cpu), gil: part(gil),
                helpers_cpu: Nanos(others[0]), blocked_others: Nanos(others[1]), grown_bytes: others[2],
                shrunk_bytes: others[3], unsure_bytes: others[4], ..Sample::default()
            }
        }
    }

    proptest! {
        #[test]
        fn the_parts_of_a_run_add_up_to_it(
            run in any_run(), waited in any::<u64>(), found_ns in any::<i64>(),
            rest_ns in any::<i32>().prop_map(i64::from),
        ) {
            let parts = RunDelay { found_ns, rest_ns }.split(run, Nanos(waited));
            let parts: Vec<Sample> = parts.into_iter().flatten().collect();
            prop_assert!(parts.iter().all(|part| part.ticks > 0));
            prop_assert!(parts.iter().all(|part| part.cpu <= part.wall && part.gil <= part.wall));
            let mut end = run.at - run.wall;
            for part in &parts {
                end += part.wall;
                prop_assert_eq!(part.at, end);
            }
            let mut sum = Sample { ticks: 0, ..Sample::default() };
            parts.iter().for_each(|part| sum.add(part));
            prop_assert_eq!(Sample { state: run.state, ..sum }, run);
        }
    }
}
