//! Turns the resident memory of a process into its changes from one reading to the next.

use super::change::Change;
use crate::process::{Process, ResidentMemory};
use crate::profile::event::Nanos;

/// The resident memory is read no more often than this.
const READ_EVERY: Nanos = Nanos(100_000);

/// What a reading tells.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// How many readings there were before.
    pub number: u64,
    /// The time since the one before.
    pub time: Nanos,
    /// What changed since then.
    pub change: Change,
}

/// Reads the resident memory of one process.
#[derive(Debug)]
pub struct MemoryMeter {
    memory: Option<ResidentMemory>,
    bytes: Option<u64>,
    readings: u64,
    read_at: Nanos,
    due: Nanos,
    /// What was read and not attributed to anything.
    left: Change,
}

impl MemoryMeter {
    /// The first reading is due at once, and tells no change.
    #[must_use]
    pub fn new(target: &Process) -> MemoryMeter {
        MemoryMeter {
            memory: ResidentMemory::open(target).ok(),
            bytes: None,
            readings: 0,
            read_at: Nanos(0),
            due: Nanos(0),
            left: Change::default(),
        }
    }

    /// How many readings there were.
    #[must_use]
    pub fn readings(&self) -> u64 {
        self.readings
    }

    /// How large a page is, in bytes.
    #[must_use]
    pub fn page_bytes(&self) -> u64 {
        self.memory.as_ref().map_or(1, ResidentMemory::page_bytes)
    }

    /// Reads it; `None` when it is not due, or cannot be read.
    pub fn read(&mut self, at: Nanos) -> Option<Reading> {
        if at < self.due {
            return None;
        }
        self.due = at + READ_EVERY;
        let now = self.memory.as_mut()?.bytes()?;
        let before = self.bytes.replace(now).unwrap_or(now);
        let reading = Reading {
            number: self.readings,
            time: at - self.read_at,
            change: std::mem::take(&mut self.left).plus(Change::between(before, now)),
        };
        self.readings += 1;
        self.read_at = at;
        Some(reading)
    }

    /// Leaves a change to the next reading: nobody is known who may have made it.
    pub fn leave(&mut self, change: Change) {
        self.left = change;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Pid;

    #[test]
    fn a_change_that_nobody_made_is_told_again() {
        let process = Process::open(Pid(std::process::id() as i32)).unwrap();
        let mut meter = MemoryMeter::new(&process);
        let first = meter.read(Nanos(5)).unwrap();
        assert_eq!((first.number, first.change), (0, Change::default()));
        assert!(meter.read(READ_EVERY).is_none());
        meter.leave(Change::between(0, 1 << 40));
        let second = meter.read(READ_EVERY + Nanos(5)).unwrap();
        assert_eq!((second.number, second.time), (1, READ_EVERY));
        assert!(second.change.grown_bytes >= 1 << 40);
        assert_eq!(meter.readings(), 2);
    }
}
