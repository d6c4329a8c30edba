//! Turns the signals that reach rsamp, and those that reach its witness, into the ones that were sent to rsamp alone.
//!
//! The command has every signal already that was sent to rsamp's process group, or to each process of a job: so has the
//! witness ([`super::witness`]). What came to rsamp and not to the witness is for rsamp to pass on.
//!
//! Some senders reach one process after another (slurmstepd and systemd go through a control group, timeout(1) takes
//! its command first and its group afterwards), so a signal is passed on only when the witness has not got it for
//! [`PATIENCE`].

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long after rsamp the witness may get the same signal, or before it. Senders take microseconds from one process to the
/// next; between two of them they may lose the CPU for some time slices, of at most some 10 ms each.
pub const PATIENCE: Duration = Duration::from_millis(100);

/// One signal and who sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// The signal's number.
    pub signal: i32,
    /// The sender's PID; 0 when it is outside our PID namespace.
    pub sender: i32,
}

/// What was decided of a signal that came to rsamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// rsamp alone got it.
    PassOn(i32),
    /// The command has got it too.
    HasIt(i32),
}

/// The signals of which it is not known yet to whom else they were sent.
#[derive(Debug, Default)]
pub struct DirectSignals {
    /// Came to rsamp, not (yet) to the witness.
    ours: VecDeque<(Sent, Instant)>,
    /// Came to the witness, not (yet) to rsamp.
    witnessed: Vec<(Sent, Instant)>,
}

impl DirectSignals {
    /// A signal came to rsamp.
    pub fn arrived(&mut self, sent: Sent, now: Instant) {
        self.ours.push_back((sent, now));
    }

    /// A signal came to the witness.
    pub fn witnessed(&mut self, sent: Sent, now: Instant) {
        self.witnessed.push((sent, now));
    }

    /// Decides what can be decided, in the order in which the signals came to rsamp.
    ///
    /// One that the witness got decides all of this sender that came to rsamp before: a sender that takes one process first
    /// and the group afterwards means one signal.
    pub fn decide(&mut self, now: Instant) -> Vec<Decision> {
        let is_over = |since: Instant| now.saturating_duration_since(since) >= PATIENCE;
        let mut decisions = Vec::new();
        let witnessed = &mut self.witnessed;
        let mut used = vec![false; witnessed.len()];
        self.ours.retain(|(sent, since)| {
            let mark = witnessed.iter().position(|(seen, _)| seen == sent);
            if let Some(mark) = mark {
                used[mark] = true;
                decisions.push(Decision::HasIt(sent.signal));
            } else if is_over(*since) {
                decisions.push(Decision::PassOn(sent.signal));
            }
            mark.is_none() && !is_over(*since)
        });
        let mut used = used.into_iter();
        witnessed.retain(|(_, since)| used.next() == Some(false) && !is_over(*since));
        decisions
    }

    /// Decides all, when there is no witness any more: they are passed on.
    pub fn pass_on_all(&mut self) -> Vec<Decision> {
        self.witnessed.clear();
        let ours = self.ours.drain(..);
        ours.map(|(sent, _)| Decision::PassOn(sent.signal))
            .collect()
    }

    /// When the next one can be decided at the latest; `None`: none waits.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.ours.front().map(|(_, since)| *since + PATIENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERM: i32 = libc::SIGTERM;
    const USR1: i32 = libc::SIGUSR1;

    /// What is decided of signals that come to rsamp (`r`) or to the witness (`w`), at a millisecond, by a sender;
    /// the time at which it is asked is the last.
    fn check(events: &[(char, u64, i32, i32)], asked: u64, expected: &[Decision]) {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut signals = DirectSignals::default();
        let mut decisions = Vec::new();
        for (who, time, signal, sender) in events.iter().copied() {
            let sent = Sent { signal, sender };
            decisions.extend(signals.decide(at(time)));
            match who {
                'r' => signals.arrived(sent, at(time)),
                _ => signals.witnessed(sent, at(time)),
            }
        }
        decisions.extend(signals.decide(at(asked)));
        assert_eq!(decisions, expected, "{events:?}");
    }

    #[test]
    fn a_signal_to_all_is_not_passed_on_whoever_gets_it_first() {
        check(
            &[('r', 0, TERM, 7), ('w', 1, TERM, 7)],
            500,
            &[Decision::HasIt(TERM)],
        );
        check(
            &[('w', 0, TERM, 7), ('r', 60, TERM, 7)],
            500,
            &[Decision::HasIt(TERM)],
        );
        check(
            &[('r', 0, USR1, 0), ('w', 99, USR1, 0)],
            500,
            &[Decision::HasIt(USR1)],
        );
    }

    #[test]
    fn a_signal_to_rsamp_alone_is_passed_on_once() {
        check(&[('r', 0, TERM, 7)], 99, &[]);
        check(&[('r', 0, TERM, 7)], 100, &[Decision::PassOn(TERM)]);
        // Another sender's, or another signal, at the witness says nothing.
        check(
            &[('r', 0, TERM, 7), ('w', 1, TERM, 8), ('w', 1, USR1, 7)],
            100,
            &[Decision::PassOn(TERM)],
        );
        // Nor does one of long before.
        check(
            &[('w', 0, TERM, 7), ('r', 150, TERM, 7)],
            250,
            &[Decision::PassOn(TERM)],
        );
    }

    #[test]
    fn rsamp_first_and_the_group_afterwards_is_one_signal() {
        check(
            &[('r', 0, TERM, 7), ('r', 1, TERM, 7), ('w', 1, TERM, 7)],
            500,
            &[Decision::HasIt(TERM), Decision::HasIt(TERM)],
        );
    }

    #[test]
    fn what_the_witness_got_counts_for_one_round() {
        check(
            &[('r', 0, USR1, 7), ('w', 0, USR1, 7), ('r', 10, USR1, 7)],
            500,
            &[Decision::HasIt(USR1), Decision::PassOn(USR1)],
        );
    }

    #[test]
    fn signals_keep_their_order() {
        check(
            &[('r', 0, USR1, 7), ('r', 1, TERM, 7), ('r', 2, USR1, 7)],
            500,
            &[
                Decision::PassOn(USR1),
                Decision::PassOn(TERM),
                Decision::PassOn(USR1),
            ],
        );
    }

    #[test]
    fn without_a_witness_all_are_passed_on() {
        let mut signals = DirectSignals::default();
        let sent = Sent {
            signal: TERM,
            sender: 7,
        };
        signals.arrived(sent, Instant::now());
        assert!(signals.deadline().is_some());
        assert_eq!(signals.pass_on_all(), [Decision::PassOn(TERM)]);
        assert_eq!(signals.deadline(), None);
    }
}
