//! How much may be read, and how long it may take: to look for an interpreter in one process once, or for symbols in one
//! file.
//!
//! A program can have files and memory that look as if an interpreter were in them, and have no end.

use std::time::{Duration, Instant};

/// What is left of it.
#[derive(Debug, Clone)]
pub struct ReadBudget {
    bytes: u64,
    deadline: Instant,
    /// How long other processes may still be waited for.
    patience: Duration,
}

/// The symbols of the largest programs, which have hundreds of libraries within, take less.
const MAX_BYTES: u64 = 1 << 30;

/// From an idle disk they take less.
const MAX_TIME: Duration = Duration::from_secs(1);

/// How long other processes are waited for that look into one file on a file system that may stall. They have
/// [`MAX_TIME`] for it.
const MAX_WAIT: Duration = Duration::from_millis(1500);

/// How long they are waited for in all.
const MAX_WAITS: Duration = Duration::from_secs(3);

/// What a read takes beside its bytes: the time of a system call, in bytes that could be read in it.
const CALL_BYTES: u64 = 4096;

impl ReadBudget {
    /// All of it, from now on.
    #[must_use]
    pub fn whole() -> ReadBudget {
        ReadBudget {
            bytes: MAX_BYTES,
            deadline: Instant::now() + MAX_TIME,
            patience: MAX_WAITS,
        }
    }

    /// So many bytes, in so long a time from now on.
    #[must_use]
    pub fn of(bytes: u64, time: Duration) -> ReadBudget {
        ReadBudget {
            bytes,
            deadline: Instant::now() + time,
            patience: Duration::ZERO,
        }
    }

    /// Whether the time is over.
    #[must_use]
    pub fn is_late(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// How long another process may be waited for now.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.patience.min(MAX_WAIT)
    }

    /// Takes the time for which another process was waited. What this one reads gets so much longer.
    pub fn waited(&mut self, time: Duration) {
        self.patience = self.patience.saturating_sub(time);
        self.deadline += time;
    }

    /// Takes what it takes to read `bytes`, if there is so much.
    pub fn take(&mut self, bytes: u64) -> bool {
        match self.bytes.checked_sub(bytes.saturating_add(CALL_BYTES)) {
            Some(left) if Instant::now() < self.deadline => {
                self.bytes = left;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends() {
        let mut budget = ReadBudget::whole();
        assert!(!budget.take(u64::MAX));
        assert!(budget.take(MAX_BYTES / 2) && !budget.take(MAX_BYTES / 2));
        let small = (0..).take_while(|_| budget.take(1)).count() as u64;
        assert!(small <= MAX_BYTES / 2 / CALL_BYTES);
        let mut waiting = ReadBudget::whole();
        let waits = std::iter::from_fn(|| {
            let wait = waiting.patience();
            waiting.waited(wait);
            (!wait.is_zero()).then_some(wait)
        });
        assert_eq!(waits.sum::<Duration>(), MAX_WAITS);
        let mut late = ReadBudget {
            deadline: Instant::now(),
            ..ReadBudget::whole()
        };
        assert!(!late.take(1));
    }
}
