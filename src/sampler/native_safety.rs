//! Turns the counts of a thread's turns on a CPU into whether it may be stopped without an early end of a call.
//!
//! A thread that was woken from a wait and has not got a CPU yet looks like one that runs: `running` in its `syscall`. Stopped
//! then, `recv` with a timeout and others return EINTR. One that was preempted, or is on a CPU, waits in no call.

use crate::process::TurnCounts;

/// What is known of how a thread left its last CPU.
#[derive(Debug, Default)]
pub struct LastSwitch {
    before: Option<TurnCounts>,
    was_preempted: bool,
}

impl LastSwitch {
    /// Takes in its counts of now, `None` where the kernel does not count; whether it is on a CPU, or was preempted.
    pub fn may_stop(&mut self, now: Option<TurnCounts>) -> bool {
        let Some(now) = now else {
            return true;
        };
        let before = self.before.replace(now);
        let has_waited = before.is_none_or(|before| before.waits != now.waits);
        let was_preempted = before.is_some_and(|before| before.preemptions != now.preemptions);
        self.was_preempted = !has_waited && (was_preempted || self.was_preempted);
        !now.is_off_cpu() || self.was_preempted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_was_woken_is_not_stopped_before_it_has_run() {
        let mut last = LastSwitch::default();
        let mut may_stop = |turns, waits, preemptions| {
            last.may_stop(Some(TurnCounts {
                turns,
                waits,
                preemptions,
            }))
        };
        assert!(!may_stop(10, 5, 5), "how it left its CPU is not known");
        assert!(may_stop(11, 5, 5), "it is on a CPU");
        assert!(may_stop(11, 5, 6), "preempted");
        assert!(may_stop(11, 5, 6), "still");
        assert!(may_stop(14, 5, 9), "again");
        assert!(!may_stop(15, 6, 9), "it waited, and was woken");
        assert!(!may_stop(15, 6, 9), "it has not run since");
        assert!(!may_stop(17, 7, 10), "which of both was last?");
        assert!(may_stop(18, 7, 11), "preempted");
        assert!(last.may_stop(None), "the kernel does not count");
    }
}
