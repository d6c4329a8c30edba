//! Turns one tick's threads into those that held the GIL, ran without it, or waited for it.

use super::observe::Observation;
use crate::cpython::gil::GilLocks;
use crate::profile::event::{Nanos, State};

/// Tells the threads of one process apart.
pub type ThreadKey = (u64, u64);

/// Threads that ran native code so recently still get what others do for them, though they pause.
const NATIVE_HOLDS: Nanos = Nanos(50_000_000);

/// Who did what at a tick, and who had done so before.
#[derive(Debug, Default)]
pub struct Roles {
    holders: Vec<(ThreadKey, Option<GilLocks>)>,
    natives: Vec<ThreadKey>,
    waiting: Vec<Option<GilLocks>>,
    last_holder: Option<ThreadKey>,
    native_at: Option<Nanos>,
}

impl Roles {
    /// Begins a tick.
    pub fn begin(&mut self) {
        self.last_holder = self
            .holders
            .last()
            .map(|(key, _)| *key)
            .or(self.last_holder);
        self.holders.clear();
        self.natives.clear();
        self.waiting.clear();
    }

    /// Takes in what one thread did.
    pub fn note(&mut self, observation: &Observation, state: State, at: Nanos) {
        if observation.holds_gil == Some(true) {
            self.holders.push((observation.key, observation.gil_locks));
        }
        match state {
            State::Native => {
                self.natives.push(observation.key);
                self.native_at = Some(at);
            }
            State::Gil => self.waiting.push(observation.gil_locks),
            _ => {}
        }
    }

    /// Each thread that held a GIL, and how many waited for that one.
    pub fn blockers(&self) -> impl Iterator<Item = (ThreadKey, u64)> {
        let waiting = |gil| self.waiting.iter().filter(|other| **other == gil).count() as u64;
        let holders = self.holders.iter();
        holders
            .map(move |(key, gil)| (*key, waiting(*gil)))
            .filter(|(_, waiting)| *waiting > 0)
    }

    /// Whose doing it most likely is when the memory of the process grows: the thread with the GIL, or one
    /// that ran native code; `None`: nobody's that is known.
    #[must_use]
    pub fn allocator(&self) -> Option<ThreadKey> {
        let holder = self.holders.first().map(|(key, _)| *key);
        holder.or(self.natives.first().copied())
    }

    /// For whom threads without Python frames work: those that run native code themselves. When there have
    /// been none for a while, the one with the GIL, or that had it last. Empty: not to be told at this tick,
    /// or (with `None` as the only one) nobody is known.
    #[must_use]
    pub fn helped(&self, at: Nanos) -> Vec<Option<ThreadKey>> {
        if !self.natives.is_empty() {
            return self.natives.iter().copied().map(Some).collect();
        }
        if self
            .native_at
            .is_some_and(|native| at < native + NATIVE_HOLDS)
        {
            return Vec::new();
        }
        let holder = self.holders.first().map(|(key, _)| *key);
        vec![holder.or(self.last_holder)]
    }
}
