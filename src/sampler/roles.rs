//! Turns one tick's threads into those that held the GIL, ran without it, or waited for it.

use super::observation::{Observation, ThreadKey};
use crate::cpython::gil::GilLocks;
use crate::profile::event::{Nanos, State};

/// Threads that ran native code so recently still get what others do for them, though they pause.
const NATIVE_HOLDS: Nanos = Nanos(50_000_000);

/// So many threads at most are asked whether memory grew by them.
const MAX_ALLOCATORS: usize = 8;

/// Who did what at a tick, and who had done so before.
#[derive(Debug, Default)]
pub struct GilRoles {
    /// Those that ran, with the GIL or without.
    running: Vec<ThreadKey>,
    /// Those that did when memory was read last.
    ran: Vec<ThreadKey>,
    holders: Vec<(ThreadKey, Option<GilLocks>)>,
    natives: Vec<ThreadKey>,
    waiting: Vec<Option<GilLocks>>,
    /// Those that have waited for so long that they rest.
    resting: Vec<(ThreadKey, Option<GilLocks>)>,
    last_holder: Option<ThreadKey>,
    native_at: Option<Nanos>,
}

/// For whom threads without Python frames work.
#[derive(Debug, PartialEq, Eq)]
pub enum Served {
    /// For these, in equal parts.
    Threads(Vec<ThreadKey>),
    /// Nobody is known: the main thread gets it.
    MainThread,
    /// That cannot be told at this tick; a later one will.
    Unclear,
}

impl GilRoles {
    /// Begins a tick.
    pub fn begin(&mut self) {
        self.last_holder = self
            .holders
            .last()
            .map(|(key, _)| *key)
            .or(self.last_holder);
        self.running.clear();
        self.holders.clear();
        self.natives.clear();
        self.waiting.clear();
    }

    /// Takes in what one thread did.
    pub fn note(&mut self, observation: &Observation, state: State, at: Nanos) {
        if observation.holds_gil == Some(true) {
            self.holders.push((observation.key, observation.gil_locks));
        }
        self.note_unread(observation.key, observation.gil_locks, state, at);
    }

    /// Takes in what one thread did that has not held the GIL.
    pub fn note_unread(&mut self, key: ThreadKey, gil: Option<GilLocks>, state: State, at: Nanos) {
        match state {
            State::Python | State::Collecting => self.running.push(key),
            State::Native => {
                self.running.push(key);
                self.natives.push(key);
                self.native_at = Some(at);
            }
            State::Gil => self.waiting.push(gil),
            _ => {}
        }
    }

    /// A thread does the same at all ticks from now on.
    pub fn rest(&mut self, key: ThreadKey, gil: Option<GilLocks>, state: State) {
        if state == State::Gil {
            self.resting.push((key, gil));
        }
    }

    /// A thread that rested does not any more.
    pub fn wake(&mut self, key: ThreadKey) {
        self.resting.retain(|(resting, _)| *resting != key);
    }

    /// None rests any more.
    pub fn wake_all(&mut self) {
        self.resting.clear();
    }

    /// Each thread that held a GIL, and how many waited for that one.
    pub fn blockers(&self) -> impl Iterator<Item = (ThreadKey, u64)> {
        let resting = self.resting.iter().map(|(_, gil)| gil);
        let all = self.waiting.iter().chain(resting);
        let waiting = move |gil| all.clone().filter(|other| **other == gil).count() as u64;
        let holders = self.holders.iter();
        holders
            .map(move |(key, gil)| (*key, waiting(*gil)))
            .filter(|(_, waiting)| *waiting > 0)
    }

    /// Who holds this GIL, or held it last.
    #[must_use]
    pub fn holder_of(&self, gil: Option<GilLocks>) -> Option<ThreadKey> {
        let mut holders = self.holders.iter();
        let holder = holders.find(|(_, held)| *held == gil).map(|(key, _)| *key);
        holder.or(self.last_holder)
    }

    /// Whose doing it most likely is when the memory of the process grows: the thread with the GIL, or one
    /// that ran native code; `None`: nobody's that is known.
    #[must_use]
    pub fn allocator(&self) -> Option<ThreadKey> {
        let holder = self.holders.first().map(|(key, _)| *key);
        holder.or(self.natives.first().copied())
    }

    /// Puts those into `allocators` that may have changed memory since it was read last, who most likely did
    /// first: [`GilRoles::allocator`], and those that ran at either reading. Memory is read now.
    pub fn take_allocators(&mut self, allocators: &mut Vec<ThreadKey>) {
        allocators.clear();
        let running = self.running.iter().chain(&self.ran).copied();
        for key in self.allocator().into_iter().chain(running) {
            if allocators.len() < MAX_ALLOCATORS && !allocators.contains(&key) {
                allocators.push(key);
            }
        }
        std::mem::swap(&mut self.ran, &mut self.running);
        self.running.clear();
    }

    /// For whom threads without Python frames work: those that run native code themselves. When there have
    /// been none for a while, the one with the GIL, or that had it last.
    #[must_use]
    pub fn served(&self, at: Nanos) -> Served {
        if !self.natives.is_empty() {
            return Served::Threads(self.natives.clone());
        }
        if self
            .native_at
            .is_some_and(|native| at < native + NATIVE_HOLDS)
        {
            return Served::Unclear;
        }
        let holder = self.holders.first().map(|(key, _)| *key);
        match holder.or(self.last_holder) {
            Some(holder) => Served::Threads(vec![holder]),
            None => Served::MainThread,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Nanos = Nanos(1_000_000_000);

    fn thread(number: u64, holds_gil: bool) -> Observation {
        Observation {
            key: (number, number),
            stack: Ok(None),
            cut: None,
            is_carried: false,
            was_read: true,
            holds_gil: Some(holds_gil),
            gil_locks: None,
            is_collecting: false,
            interpreter: 0,
            attributes: None,
        }
    }

    fn tick(roles: &mut GilRoles, at: Nanos, threads: &[(u64, bool, State)]) {
        roles.begin();
        for (number, holds_gil, state) in threads {
            roles.note(&thread(*number, *holds_gil), *state, at);
        }
    }

    #[test]
    fn the_holder_of_the_gil_blocks_those_that_wait_for_it() {
        let mut roles = GilRoles::default();
        let (gil, python) = (State::Gil, State::Python);
        tick(
            &mut roles,
            AT,
            &[(1, false, gil), (2, true, python), (3, false, gil)],
        );
        assert_eq!(roles.blockers().collect::<Vec<_>>(), [((2, 2), 2)]);
        assert_eq!(roles.allocator(), Some((2, 2)));
        tick(
            &mut roles,
            AT,
            &[(1, false, gil), (2, false, State::Native)],
        );
        assert_eq!(roles.blockers().count(), 0);
        assert_eq!(roles.allocator(), Some((2, 2)));
    }

    #[test]
    fn who_ran_at_either_end_of_an_interval_may_have_changed_memory() {
        let mut roles = GilRoles::default();
        let mut allocators = vec![(7, 7)];
        let (python, native, lock) = (State::Python, State::Native, State::Lock);
        tick(&mut roles, AT, &[(1, true, python), (2, false, native)]);
        roles.take_allocators(&mut allocators);
        assert_eq!(allocators, [(1, 1), (2, 2)]);
        let second = [(1, false, lock), (2, false, lock), (3, true, python)];
        tick(&mut roles, AT, &second);
        roles.take_allocators(&mut allocators);
        assert_eq!(allocators, [(3, 3), (1, 1), (2, 2)]);
        tick(&mut roles, AT, &[(3, false, lock)]);
        roles.take_allocators(&mut allocators);
        assert_eq!(allocators, [(3, 3)]);
        tick(&mut roles, AT, &[]);
        roles.take_allocators(&mut allocators);
        assert_eq!(allocators, []);
    }

    #[test]
    fn helpers_work_for_native_code_and_else_for_who_had_the_gil_last() {
        let mut roles = GilRoles::default();
        tick(&mut roles, AT, &[(1, false, State::Lock)]);
        assert_eq!(roles.served(AT), Served::MainThread);
        let (native, python) = (State::Native, State::Python);
        tick(
            &mut roles,
            AT,
            &[(1, false, native), (2, true, python), (3, false, native)],
        );
        assert_eq!(roles.served(AT), Served::Threads(vec![(1, 1), (3, 3)]));
        tick(
            &mut roles,
            AT,
            &[(1, false, State::Lock), (2, false, State::Lock)],
        );
        assert_eq!(
            roles.served(AT + Nanos(1_000_000)),
            Served::Unclear,
            "a pause of native code"
        );
        assert_eq!(
            roles.served(AT + NATIVE_HOLDS),
            Served::Threads(vec![(2, 2)])
        );
    }
}
