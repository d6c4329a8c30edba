//! Turns the thread states of all interpreters of a process into its threads, and the stacks that one thread has
//! in several interpreters into one.
//!
//! A thread that runs code in a sub-interpreter has a `PyThreadState` there and keeps the one from which it
//! came: the frames of the former lie on top of the frames of the latter.

use std::collections::{BTreeMap, HashSet};

use rustc_hash::FxHashMap;

use super::intern::Interner;
use super::observation::{Observation, ThreadKey};
use crate::memory::Address;
use crate::profile::event::Event;

/// What a `PyThreadState` says of its thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateFields {
    /// Its address and the `pthread_t`.
    pub key: ThreadKey,
    /// Its `PyInterpreterState`.
    pub interpreter: Address,
    /// The kernel's thread id (3.11 on).
    pub native_id: Option<u64>,
    /// Which thread runs in it.
    pub runner: Runner,
}

/// What tells which thread runs in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runner {
    /// The `pthread_t` of the state: from 3.13 on, and of a state in which nothing runs.
    Named,
    /// The thread on whose C stack this place lies (3.10–3.12).
    OnStack(Address),
    /// Nothing (up to 3.9).
    Unknown,
}

/// The thread states of one thread, where it has several.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    /// The oldest of them, by which the thread is known.
    key: ThreadKey,
    /// All of them, innermost first.
    members: Vec<ThreadKey>,
}

/// Which thread states belong together.
#[derive(Debug, Default)]
pub struct ThreadStates {
    groups: Vec<Group>,
}

/// The key of the thread of each state, in the order of `states`, which is from the newest to the oldest;
/// `None` where the thread does not run yet.
///
/// Until the new thread runs, its state has the `pthread_t` of the thread that starts it (`PyThreadState_New`
/// sets it), from 3.12 on none (`bind_tstate` sets it). `thread_run` (up to 3.11) and `bind_tstate` correct the
/// `pthread_t` first and the kernel's id after it: in between the latter is still that of the starting thread.
///
/// Up to 3.12 the first state of a sub-interpreter has the `pthread_t` of the thread that made the sub-interpreter,
/// whichever thread runs in it (`_run_script_in_interpreter` in `Modules/_xxsubinterpretersmodule.c`). From 3.10 on the
/// C stack tells who does. Up to 3.9 nothing does: on whose frames its own lie is not known where there are several
/// threads, and each state counts as one.
#[must_use]
pub fn threads_of(states: &[StateFields]) -> Vec<Option<ThreadKey>> {
    let mut idents = HashSet::new();
    let mut native_ids = HashSet::new();
    let mut first_of: FxHashMap<u64, ThreadKey> = FxHashMap::default();
    let main = states
        .last()
        .map_or(Address::NULL, |state| state.interpreter);
    let is_alone = states.iter().all(|state| state.key.1 == states[0].key.1);
    let mut owners = Vec::with_capacity(states.len());
    let stacks = Stacks::of(states);
    for state in states.iter().rev() {
        let ident = state.key.1;
        let native_id = state.native_id.filter(|id| *id != 0);
        let is_first = ident != 0
            && idents.insert((state.interpreter, ident))
            && native_id.is_none_or(|id| native_ids.insert((state.interpreter, id)));
        let mut oldest = |ident| *first_of.entry(ident).or_insert(state.key);
        owners.push(match state.runner {
            Runner::OnStack(at) if state.interpreter != main => Some(oldest(stacks.owner(at))),
            Runner::Unknown if !is_alone => is_first.then_some(state.key),
            _ => is_first.then(|| oldest(ident)),
        });
    }
    owners.reverse();
    owners
}

/// The C stacks of threads.
struct Stacks {
    /// What the `pthread_t`s are, in ascending order.
    idents: Vec<u64>,
    /// That of the oldest state.
    main: u64,
}

impl Stacks {
    fn of(states: &[StateFields]) -> Stacks {
        let mut idents: Vec<u64> = states.iter().map(|state| state.key.1).collect();
        idents.sort_unstable();
        Stacks {
            idents,
            main: states.last().map_or(0, |state| state.key.1),
        }
    }

    /// The `pthread_t` of the thread on whose C stack `at` lies. A C library puts what a `pthread_t` points to at the
    /// upper end of the thread's stack (`allocate_stack` in glibc, `pthread_create` in musl), but for the main thread,
    /// whose stack the kernel puts above all of these. The state of the main thread is the oldest one.
    fn owner(&self, at: Address) -> u64 {
        let above = self.idents.partition_point(|ident| *ident < at.0);
        self.idents.get(above).copied().unwrap_or(self.main)
    }
}

impl ThreadStates {
    /// Takes in the states, newest first, and the thread of each. States that belonged together before keep
    /// their order.
    pub fn follow(&mut self, states: &[StateFields], threads: &[Option<ThreadKey>]) {
        let before = std::mem::take(&mut self.groups);
        let before = before
            .iter()
            .flat_map(|group| group.members.iter().enumerate());
        let place: FxHashMap<_, _> = before.map(|(place, member)| (*member, place)).collect();
        let mut group_of: FxHashMap<ThreadKey, usize> = FxHashMap::default();
        for (state, thread) in states.iter().zip(threads) {
            let Some(key) = *thread else { continue };
            let group = *group_of.entry(key).or_insert_with(|| {
                let members = Vec::new();
                self.groups.push(Group { key, members });
                self.groups.len() - 1
            });
            self.groups[group].members.push(state.key);
        }
        self.groups.retain(|group| group.members.len() > 1);
        for group in &mut self.groups {
            // Those that are new lie on top.
            group.members.sort_by_key(|member| place.get(member));
        }
    }

    /// The number of the group of each state that is in one.
    fn groups_of(&self) -> FxHashMap<ThreadKey, usize> {
        let groups = self.groups.iter().enumerate();
        let members = groups.flat_map(|(number, group)| {
            let members = group.members.iter();
            members.map(move |member| (*member, number))
        });
        members.collect()
    }

    /// Whether each thread has one state, as is the rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Whether a thread has one state.
    #[must_use]
    pub fn has_one_state(&self, key: ThreadKey) -> bool {
        !self.groups.iter().any(|group| group.key == key)
    }

    /// Adds the numbers of the states that belong to the same threads as those in `numbers`. `keys` are the keys
    /// of all states, by number.
    pub fn add_the_others(&self, numbers: &mut Vec<usize>, keys: &[ThreadKey]) {
        let group_of = self.groups_of();
        let wanted = numbers
            .iter()
            .filter_map(|number| group_of.get(&keys[*number]));
        let wanted: HashSet<usize> = wanted.copied().collect();
        let is_wanted = |number: &usize| {
            let group = group_of.get(&keys[*number]);
            group.is_some_and(|group| wanted.contains(group))
        };
        numbers.extend((0..keys.len()).filter(is_wanted));
        numbers.sort_unstable();
        numbers.dedup();
    }

    /// Makes the observations of the states of one thread into one observation.
    pub fn join(
        &mut self,
        observations: &mut Vec<Observation>,
        interner: &mut Interner,
        emit: &mut dyn FnMut(Event),
    ) {
        let group_of = self.groups_of();
        let mut own: BTreeMap<usize, Vec<Observation>> = BTreeMap::new();
        observations.retain(|seen| {
            let group = group_of.get(&seen.key);
            group
                .map(|group| own.entry(*group).or_default().push(*seen))
                .is_none()
        });
        for (number, mut own) in own {
            let group = &mut self.groups[number];
            group.put_the_holder_on_top(&own);
            let members = group.members.iter().enumerate();
            let place: FxHashMap<_, _> = members.map(|(place, key)| (*key, place)).collect();
            own.sort_by_key(|seen| place.get(&seen.key));
            observations.push(joined(group.key, &own, interner, emit));
        }
    }
}

impl Group {
    /// The state with the GIL is the one whose code runs: the others called it.
    fn put_the_holder_on_top(&mut self, own: &[Observation]) {
        let holder = own.iter().find(|seen| seen.holds_gil == Some(true));
        let position = holder.and_then(|holder| {
            let mut members = self.members.iter();
            members.position(|key| *key == holder.key)
        });
        if let Some(position) = position {
            self.members[..=position].rotate_right(1);
        }
    }
}

/// One observation of all states of a thread, innermost first.
fn joined(
    key: ThreadKey,
    own: &[Observation],
    interner: &mut Interner,
    emit: &mut dyn FnMut(Event),
) -> Observation {
    let mut stack = Ok(None);
    for seen in own.iter().rev() {
        stack = match (stack, seen.stack) {
            (Ok(outer), Ok(inner)) => Ok(interner.joined(outer, inner, emit)),
            (Err(cause), _) | (_, Err(cause)) => Err(cause),
        };
    }
    let has_frames = |seen: &&Observation| seen.stack != Ok(None);
    let top = own.iter().find(has_frames).unwrap_or(&own[0]);
    Observation {
        key,
        stack,
        cut: own.iter().find_map(|seen| seen.cut),
        was_read: own.iter().any(|seen| seen.was_read),
        holds_gil: own.iter().filter_map(|seen| seen.holds_gil).max(),
        ..*top
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profile;
    use crate::profile::event::{Frame, StackId};

    const MAIN: Address = Address(0x100);
    const SUB: Address = Address(0x200);

    fn state(at: u64, ident: u64, interpreter: Address, native_id: u64) -> StateFields {
        StateFields {
            key: (at, ident),
            interpreter,
            native_id: Some(native_id),
            runner: Runner::Named,
        }
    }

    fn check(states: &[StateFields], expected: &[Option<u64>]) {
        let threads = threads_of(states);
        let found: Vec<_> = threads.iter().map(|key| key.map(|key| key.0)).collect();
        assert_eq!(found, expected, "{states:?}");
    }

    #[test]
    fn a_state_with_an_id_of_the_thread_that_starts_it_does_not_run_yet() {
        let main = state(1, 70, MAIN, 700);
        check(&[state(2, 80, MAIN, 800), main], &[Some(2), Some(1)]);
        check(&[state(2, 70, MAIN, 700), main], &[None, Some(1)]);
        check(&[state(2, 80, MAIN, 700), main], &[None, Some(1)]);
        check(&[state(2, 0, MAIN, 0), main], &[None, Some(1)]);
        let unknown = |state: StateFields| StateFields {
            native_id: None,
            ..state
        };
        let second = unknown(state(2, 80, MAIN, 0));
        check(&[second, unknown(main)], &[Some(2), Some(1)]);
    }

    #[test]
    fn a_thread_in_several_interpreters_is_known_by_its_oldest_state() {
        let states = [
            state(5, 80, SUB, 900),
            state(4, 70, SUB, 700),
            state(3, 80, SUB, 800),
            state(2, 80, MAIN, 800),
            state(1, 70, MAIN, 700),
        ];
        check(&states, &[None, Some(1), Some(2), Some(2), Some(1)]);
    }

    #[test]
    fn the_thread_in_a_state_is_the_one_on_whose_c_stack_it_runs() {
        let main = state(1, 0x5000, MAIN, 700);
        let worker = state(2, 0x9000, MAIN, 800);
        let other = state(3, 0x7000, MAIN, 900);
        let on = |at| StateFields {
            runner: Runner::OnStack(Address(at)),
            ..state(4, 0x5000, SUB, 700)
        };
        for (at, runs_in) in [(0x8f00, 2), (0x7100, 2), (0x6f00, 3), (0xffff_0000, 1)] {
            let expected = [Some(runs_in), Some(3), Some(2), Some(1)];
            check(&[on(at), other, worker, main], &expected);
        }
    }

    #[test]
    fn a_state_without_a_known_thread_is_joined_only_to_a_single_thread() {
        let unknown = |state: StateFields| StateFields {
            runner: Runner::Unknown,
            ..state
        };
        let main = unknown(state(1, 70, MAIN, 700));
        let worker = unknown(state(2, 80, MAIN, 800));
        let sub = unknown(state(3, 70, SUB, 700));
        check(&[sub, main], &[Some(1), Some(1)]);
        check(&[sub, worker, main], &[Some(3), Some(2), Some(1)]);
    }

    fn observed(at: u64, stack: Option<StackId>, holds_gil: bool) -> Observation {
        Observation {
            key: (at, 70),
            stack: Ok(stack),
            cut: None,
            is_carried: false,
            was_read: at != 1,
            holds_gil: Some(holds_gil),
            gil_locks: None,
            is_collecting: false,
            interpreter: at as usize,
            attributes: None,
        }
    }

    #[test]
    fn the_stacks_of_one_thread_are_joined_with_the_running_one_on_top() {
        let mut profile = Profile::default();
        let mut emit = |event| profile.apply(event);
        let mut interner = Interner::default();
        let mut stack = |names: &[&str]| {
            let frame = |name: &&str| Frame::mark(name);
            interner.ready_stack(names.iter().map(frame), &mut emit)
        };
        let stacks = [
            stack(&["exec", "main"]),
            stack(&["b"]),
            stack(&["inner", "a"]),
        ];
        // The thread went from the main interpreter to the third state's and from there to the second's.
        let states = [3, 2, 1].map(|at| state(at, 70, Address(at), 700));
        let mut joiner = ThreadStates::default();
        joiner.follow(&states, &threads_of(&states));
        let mut join = |holder: u64, second: Option<StackId>| {
            let mut seen = vec![
                observed(3, stacks[2], holder == 3),
                observed(2, second, holder == 2),
                observed(1, stacks[0], holder == 1),
            ];
            joiner.join(&mut seen, &mut interner, &mut emit);
            assert_eq!(seen.len(), 1);
            (seen[0], holder)
        };
        let seen = [
            join(3, None),
            join(2, stacks[1]),
            join(0, stacks[1]),
            join(3, None),
        ];
        let expected = [
            "inner a exec main",
            "b inner a exec main",
            "b inner a exec main",
            "inner a exec main",
        ];
        for ((seen, holder), expected) in seen.into_iter().zip(expected) {
            let frames = profile.frames_of(seen.stack.unwrap());
            let names: Vec<_> = frames.map(|frame| frame.name.as_str()).collect();
            assert_eq!(names.join(" "), expected);
            assert_eq!(seen.key, (1, 70));
            assert!(seen.was_read);
            assert_eq!(seen.holds_gil, Some(holder != 0));
        }
    }

    #[test]
    fn all_states_of_a_thread_are_observed_together() {
        let states = [(3, SUB), (2, MAIN), (1, MAIN)]
            .map(|(at, interpreter)| state(at, [70, 71, 70][3 - at as usize], interpreter, at));
        let mut joiner = ThreadStates::default();
        joiner.follow(&states, &threads_of(&states));
        let keys = states.map(|state| state.key);
        for (read, expected) in [(vec![0], vec![0, 2]), (vec![1], vec![1])] {
            let mut numbers = read;
            joiner.add_the_others(&mut numbers, &keys);
            assert_eq!(numbers, expected);
        }
    }
}
