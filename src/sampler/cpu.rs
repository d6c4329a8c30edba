//! Turns what the kernel counts of CPU time into CPU time of the samples, and of threads without samples.
//!
//! The kernel brings its counts up to date at its own ticks, 1 to 10 ms apart, and when a thread leaves the
//! CPU: each is exact, but for the last few milliseconds. Between them a sample says more: the thread
//! was running, or not. So each tick at which a thread runs is booked as CPU time at once, and its
//! [`Account`] sees to it that the sum of what is booked stays with the count: when a thread waits for a
//! CPU, a part of such ticks is booked, everywhere the same part.
//!
//! What the process used beyond its Python threads is the work of others: OpenMP, BLAS, pools of native
//! threads ([`NativeThreadCpu`]).

use crate::process::{CpuClock, CpuCount, Process, TaskClock};
use crate::profile::event::Nanos;

/// How often the counts of threads that may be running are read.
pub const COUNTED_EVERY: Nanos = Nanos(2_000_000);

/// How often those of all threads are, if need be.
pub const REVIEW: Nanos = Nanos(100_000_000);

/// By how much a sum may be ahead of the count, or behind, because the count is not up to date: a tick of
/// most kernels (4 ms; at 100 Hz, where it is 10 ms, a part of the ticks is booked later), and the time from
/// one count to the next.
const SLACK_NS: i64 = 7_000_000;

/// So far beyond that nothing is booked any more, or everything.
const SPAN_NS: i64 = 50_000_000;

/// Of how much running time it is remembered how much was counted, at most.
const REMEMBERED_NS: i64 = 200_000_000;

/// All of a tick.
const WHOLE: i64 = 1024;

/// By how much the count of a thread that is on a CPU may be behind: a tick of the slowest kernels (100 Hz).
const LONGEST_LAG: Nanos = Nanos(10_000_000);

/// CPU time of a process that may be missing from the counts of its threads, as these are read later.
const UNSURE_NS: i64 = 5_000_000;

/// Keeps the CPU time that is booked to one thread's samples with what the kernel counts.
#[derive(Debug)]
pub struct Account {
    clock: Option<TaskClock>,
    counted: CpuCount,
    /// When it was counted last, and when that had grown last.
    counted_at: Nanos,
    grown_at: Nanos,
    /// What had been counted of its waiting for a CPU before it was seen first.
    waited_before_ns: u64,
    /// For how long it has been seen running since its count grew last.
    unanswered: Nanos,
    ledger: Ledger,
}

/// CPU time of a thread that ended before it could be counted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Uncounted {
    /// How much it is by what was seen of the thread.
    pub guess: Nanos,
    /// How much it can be.
    pub most: Nanos,
}

/// What was booked, against what was counted.
#[derive(Debug, Default)]
struct Ledger {
    /// By how much more was booked than counted.
    ahead_ns: i64,
    /// What was left of the ticks before: a tick is booked wholly or not at all.
    rest_ns: i64,
    /// The time of late at which it was seen running, and how much the kernel counted meanwhile.
    ran_ns: i64,
    counted_ns: i64,
}

impl Account {
    /// Begins to count at `at`, with a thread that is seen for the first time: what it has used by now is to be
    /// booked as well when it may have begun within the time `unseen` before.
    #[must_use]
    pub fn new(clock: Option<TaskClock>, at: Nanos, unseen: Nanos) -> Account {
        let mut account = Account {
            clock,
            counted: CpuCount::default(),
            counted_at: at,
            grown_at: at,
            waited_before_ns: 0,
            unanswered: Nanos(0),
            ledger: Ledger::default(),
        };
        let used = account.count(at).unwrap_or_default();
        account.waited_before_ns = account.counted.waited_ns;
        account.ledger = Ledger::default();
        if used <= unseen {
            account.ledger.ahead_ns = -signed(used);
        }
        account
    }

    /// Reads the count; returns by how much it grew since the last time, `None` when the thread has ended.
    pub fn count(&mut self, at: Nanos) -> Option<Nanos> {
        if self.clock.is_none() {
            return Some(Nanos(0));
        }
        let now = self.peek()?;
        let grown = Nanos(now.cpu_ns.saturating_sub(self.counted.cpu_ns));
        self.counted_at = at;
        if grown > Nanos(0) {
            self.counted = now;
            self.grown_at = at;
            self.unanswered = Nanos(0);
            self.ledger.count(grown);
        }
        self.counted.turns = now.turns;
        self.counted.waited_ns = now.waited_ns;
        Some(grown)
    }

    /// For how long it has waited for a CPU since it was seen first. A wait that goes on is not counted yet: one that
    /// is running, and is given no CPU time for longer than the kernel takes to count it, waits.
    #[must_use]
    pub fn waited(&self) -> Nanos {
        let counted = self.counted.waited_ns.saturating_sub(self.waited_before_ns);
        match self.unanswered > LONGEST_LAG {
            true => Nanos(counted) + self.unanswered,
            false => Nanos(counted),
        }
    }

    /// What was counted last.
    #[must_use]
    pub fn counted(&self) -> CpuCount {
        self.counted
    }

    /// Reads the count, but for a look only.
    pub fn peek(&mut self) -> Option<CpuCount> {
        self.clock.as_mut()?.count()
    }

    /// Decides on one tick at which the thread was seen running or not. Returns `time` or nothing.
    pub fn book(&mut self, time: Nanos, runs: bool) -> Nanos {
        if runs {
            self.unanswered += time;
        }
        match self.clock {
            Some(_) => self.ledger.book(time, runs),
            None if runs => time,
            None => Nanos(0),
        }
    }

    /// Takes back what was booked.
    pub fn take_back(&mut self, time: Nanos) {
        self.ledger.ahead_ns -= signed(time);
    }

    /// Closes its file until it is read again.
    pub fn close(&mut self) {
        if let Some(clock) = &mut self.clock {
            clock.close();
        }
    }

    /// Books what is counted and is not booked yet, up to `most`; returns it.
    pub fn book_counted(&mut self, most: Nanos) -> Nanos {
        let behind = self.ledger.ahead_ns.checked_neg();
        let behind = behind.and_then(|ns| u64::try_from(ns).ok()).map(Nanos);
        let time = behind.unwrap_or_default().min(most);
        self.ledger.ahead_ns += signed(time);
        time
    }

    /// Whether there is nothing to book while the thread does not run.
    #[must_use]
    pub fn is_even(&self) -> bool {
        self.clock.is_none() || self.ledger.is_even()
    }

    /// What was booked and is not counted, or (negative) the other way round.
    #[must_use]
    pub fn ahead_ns(&self) -> i64 {
        self.ledger.ahead_ns
    }

    /// What was booked and is not counted.
    #[must_use]
    pub fn ahead(&self) -> Nanos {
        Nanos(u64::try_from(self.ledger.ahead_ns).unwrap_or(0))
    }

    /// What the thread may have used by `at` since it was counted last. `runs`: whether it was seen running last.
    #[must_use]
    pub fn uncounted(&self, at: Nanos, runs: bool) -> Uncounted {
        if self.clock.is_none() {
            return Uncounted::default();
        }
        let most = at - self.counted_at + LONGEST_LAG;
        let guess = if runs {
            // It grew some time between two counts.
            let lag = at - self.grown_at + Nanos(COUNTED_EVERY.0 / 2);
            self.ledger.part_of(lag)
        } else {
            Nanos((at - self.counted_at).0 / 2)
        };
        let guess = guess.min(most);
        Uncounted { guess, most }
    }
}

impl Ledger {
    /// Takes in that the kernel has counted so much more.
    fn count(&mut self, used: Nanos) {
        self.ahead_ns -= signed(used);
        self.counted_ns += signed(used);
    }

    /// What was most likely counted of a time in which the thread ran, or was ready to.
    fn part_of(&self, time: Nanos) -> Nanos {
        if self.counted_ns >= self.ran_ns {
            return time;
        }
        let part = i128::from(time.0) * i128::from(self.counted_ns) / i128::from(self.ran_ns);
        Nanos(u64::try_from(part).unwrap_or(0))
    }

    /// Whether not much more was counted than booked.
    fn is_even(&self) -> bool {
        self.ahead_ns >= -SLACK_NS
    }

    fn book(&mut self, time: Nanos, runs: bool) -> Nanos {
        let time_ns = signed(time);
        if runs {
            self.ran_ns += time_ns;
        } else if self.is_even() {
            return Nanos(0);
        }
        if self.ran_ns > REMEMBERED_NS {
            self.ran_ns /= 2;
            self.counted_ns /= 2;
        }
        let part = self.part(runs);
        self.rest_ns += time_ns * part / WHOLE;
        if self.rest_ns * 2 < time_ns || part == 0 {
            return Nanos(0);
        }
        self.rest_ns -= time_ns;
        self.ahead_ns += time_ns;
        time
    }

    /// Which part of a tick is booked, of [`WHOLE`]: the part of its running time that the kernel counted
    /// lately, less or more when what was booked has got away from the count. When the thread does not run,
    /// something only then: there are bursts of work that no tick hits.
    fn part(&self, runs: bool) -> i64 {
        let usual = match runs {
            true if self.ran_ns > SLACK_NS => (self.counted_ns + SLACK_NS) * WHOLE / self.ran_ns,
            true => WHOLE,
            false => 0,
        };
        let away_ns = self.ahead_ns - self.ahead_ns.clamp(-SLACK_NS, SLACK_NS);
        (usual.min(WHOLE) - away_ns * WHOLE / SPAN_NS).clamp(0, WHOLE)
    }
}

/// Counts the CPU time of threads without Python frames.
#[derive(Debug)]
pub struct NativeThreadCpu {
    clock: Option<CpuClock>,
    /// The process's CPU time when it was last read.
    used: Option<Nanos>,
    /// What is neither booked nor the Python threads'.
    unattributed_ns: i64,
    /// Whether such threads have been found at work, all Python threads having been asked.
    are_at_work: bool,
    counted: Nanos,
    reviewed: Nanos,
}

/// Which counts of threads are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// None.
    Nothing,
    /// Those of threads that may be running.
    Busy,
    /// Those of all threads: the process used more than is explained by the busy ones.
    All,
}

impl NativeThreadCpu {
    /// Begins to count at the first [`NativeThreadCpu::begin`].
    #[must_use]
    pub fn new(process: &Process) -> NativeThreadCpu {
        NativeThreadCpu {
            clock: process.cpu_clock(),
            used: None,
            unattributed_ns: 0,
            are_at_work: false,
            counted: Nanos(0),
            reviewed: Nanos(0),
        }
    }

    /// Whether counts are due at `at`. Reads that of the process: before those of its threads, so that what
    /// is counted in between makes nobody's time.
    pub fn begin(&mut self, at: Nanos) -> Due {
        if self.used.is_some() && at < self.counted + COUNTED_EVERY {
            return Due::Nothing;
        }
        self.counted = at;
        if !self.count() && self.used.is_none() {
            return Due::Busy;
        }
        if at < self.reviewed + REVIEW {
            return Due::Busy;
        }
        self.reviewed = at;
        Due::All
    }

    /// Reads the count of the process. Whether there is one: not any more once somebody has waited for the process
    /// (wait(2)), until then it is final.
    pub fn count(&mut self) -> bool {
        let Some(now) = self.clock.and_then(CpuClock::cpu_ns).map(Nanos) else {
            return false;
        };
        self.unattributed_ns += signed(now - self.used.unwrap_or(now));
        self.used = Some(now);
        true
    }

    /// Whether the process has been counted before.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.used.is_some()
    }

    /// What threads have used that ended before they were counted, all others having been asked: what else did the
    /// process use? Where threads without Python frames are at work that does not tell.
    pub fn share_out(&mut self, ended: &[Uncounted]) -> Vec<Nanos> {
        let sum = |of: fn(&Uncounted) -> Nanos| ended.iter().map(|e| of(e).0).sum::<u64>();
        let (guess, most) = (sum(|e| e.guess), sum(|e| e.most));
        let unattributed = u64::try_from(self.unattributed_ns).unwrap_or(0);
        let known = unattributed.min(if self.are_at_work { guess } else { most });
        let more = known.saturating_sub(guess);
        let part = |of: u64, part: u64, whole: u64| match whole {
            0 => 0,
            _ => (u128::from(of) * u128::from(part) / u128::from(whole)) as u64,
        };
        let shares = ended.iter().map(|ended| {
            let certain = part(ended.guess.0, known.min(guess), guess);
            Nanos(certain + part((ended.most - ended.guess).0, more, most - guess))
        });
        let shares: Vec<Nanos> = shares.collect();
        shares.iter().for_each(|share| self.attribute_used(*share));
        shares
    }

    /// A Python thread used this much of it.
    pub fn attribute_used(&mut self, used: Nanos) {
        self.unattributed_ns -= signed(used);
    }

    /// Whether the threads asked so far do not attribute_used what the process used.
    #[must_use]
    pub fn is_unattributed(&self) -> bool {
        self.unattributed_ns > UNSURE_NS
    }

    /// Whether threads without Python frames were found at work at the last review.
    #[must_use]
    pub fn are_at_work(&self) -> bool {
        self.are_at_work
    }

    /// All Python threads were asked: what is left is the others'.
    pub fn end_review(&mut self) {
        self.are_at_work = self.is_unattributed();
    }

    /// What is to be booked to those for whom they work.
    pub fn take_unattributed(&mut self) -> Nanos {
        if !self.are_at_work {
            return Nanos(0);
        }
        let unattributed = u64::try_from(self.unattributed_ns).unwrap_or(0);
        self.unattributed_ns -= signed(Nanos(unattributed));
        Nanos(unattributed)
    }
}

fn signed(time: Nanos) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Nanos = Nanos(1_000_000);

    /// A thread that is always runnable and gets the CPU for `on_ms` of every `of_ms`; the kernel counts at
    /// the end of each turn, and each 4 ms within. Returns what was booked at each millisecond.
    fn booked(on_ms: usize, of_ms: usize, total_ms: usize) -> Vec<u64> {
        let mut ledger = Ledger::default();
        let mut uncounted = 0;
        let book = |ms: usize| {
            let is_on = ms % of_ms < on_ms;
            if is_on {
                uncounted += 1;
            }
            if uncounted > 0 && (!is_on || uncounted % 4 == 0) {
                ledger.count(Nanos(TICK.0 * uncounted));
                uncounted = 0;
            }
            ledger.book(TICK, true).0 / TICK.0
        };
        (0..total_ms).map(book).collect()
    }

    #[test]
    fn a_thread_that_has_a_cpu_for_itself_is_booked_wholly() {
        assert!(booked(1, 1, 5000).iter().all(|ms| *ms == 1));
    }

    #[test]
    fn a_thread_that_waits_for_a_cpu_is_booked_what_it_got_and_all_functions_alike() {
        for (on, of) in [(4, 8), (3, 12), (10, 40), (8, 9)] {
            let booked = booked(on, of, 20_000);
            let sum: u64 = booked.iter().sum();
            let truth = (20_000 * on / of) as u64;
            assert!(sum.abs_diff(truth) <= 20, "{on} of {of}: {sum} of {truth}");
            // Three functions take turns of 7, 7 and 1 ms.
            let mut of_function = [0; 3];
            for (ms, booked) in booked.iter().enumerate() {
                let place = ms % 15;
                of_function[usize::from(place >= 7) + usize::from(place >= 14)] += booked;
            }
            let [a, b, short] = of_function.map(|ms| ms as f64 / sum as f64);
            for (share, expected) in [(a, 7.0), (b, 7.0), (short, 1.0)] {
                assert!(
                    (share - expected / 15.0).abs() < 0.02,
                    "{on} of {of}: {of_function:?}"
                );
            }
        }
    }

    #[test]
    fn what_a_process_used_goes_to_the_threads_that_ended_uncounted() {
        let ms = |ms: u64| Nanos(ms * TICK.0);
        let uncounted = |guess, most| Uncounted {
            guess: ms(guess),
            most: ms(most),
        };
        let ended = [uncounted(1, 12), uncounted(3, 14)];
        for (owed_ms, at_work, expected) in [
            (0, false, [0, 0]),
            (2, false, [500_000, 1_500_000]),
            (15, false, [6_500_000, 8_500_000]),
            (100, false, [12_000_000, 14_000_000]),
            (100, true, [1_000_000, 3_000_000]),
        ] {
            let mut helpers = NativeThreadCpu {
                clock: None,
                used: Some(Nanos(0)),
                unattributed_ns: signed(ms(owed_ms)),
                are_at_work: at_work,
                counted: Nanos(0),
                reviewed: Nanos(0),
            };
            let shares = helpers.share_out(&ended);
            assert_eq!(shares, expected.map(Nanos), "{owed_ms} ms");
            let left = signed(ms(owed_ms)) - signed(shares[0] + shares[1]);
            assert_eq!(helpers.unattributed_ns, left);
            assert!(helpers.share_out(&[]).is_empty());
        }
    }

    #[test]
    fn of_a_thread_that_shares_its_cpu_a_part_of_the_time_is_guessed() {
        let ledger = |ran_ns, counted_ns| Ledger {
            ran_ns,
            counted_ns,
            ..Ledger::default()
        };
        for (ran, counted, expected) in [(0, 0, 8), (4, 1, 2), (4, 5, 8), (4, 0, 0), (4, -1, 0)] {
            assert_eq!(ledger(ran, counted).part_of(Nanos(8)), Nanos(expected));
        }
    }

    #[test]
    fn work_between_the_ticks_is_booked_too() {
        let mut ledger = Ledger::default();
        let mut sum = 0;
        for _ in 0..10_000 {
            ledger.count(Nanos(TICK.0 / 5));
            sum += ledger.book(TICK, false).0;
        }
        let truth = 2000 * TICK.0;
        assert!(sum.abs_diff(truth) <= 20 * TICK.0, "{sum} of {truth}");
    }
}
