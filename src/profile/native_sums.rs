//! Turns native samples into sums by thread, Python stack, state and merged stack.

use rustc_hash::{FxHashMap, FxHashSet};

use super::event::{Nanos, NativeSample, State, ThreadId};
use super::native_definitions::AnyStack;

/// The most sums that are told apart. A program has some ten thousand; what would be more is left without native frames.
const MAX_SUMS: usize = 400_000;

/// What native samples that are summed have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct NativeKey {
    pub thread: ThreadId,
    /// The Python stack.
    pub stack: Option<AnyStack>,
    pub state: State,
    /// The same stack with its native frames.
    pub merged: AnyStack,
}

/// Sums over native samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NativeTotals {
    /// How many there are.
    pub samples: u64,
    /// Sum of [`NativeSample::wall`].
    pub wall: Nanos,
    /// Sum of [`NativeSample::cpu`].
    pub cpu: Nanos,
}

impl NativeTotals {
    /// Adds other sums.
    pub fn add(&mut self, other: NativeTotals) {
        self.samples = self.samples.saturating_add(other.samples);
        self.wall += other.wall;
        self.cpu += other.cpu;
    }
}

/// All native samples, summed.
#[derive(Debug, Clone, Default)]
pub(super) struct NativeSums {
    /// In the order in which they were first seen.
    sums: Vec<(NativeKey, NativeTotals)>,
    sum_of: FxHashMap<NativeKey, usize>,
    /// The threads that had no Python frame once.
    threads: FxHashSet<ThreadId>,
}

impl NativeSums {
    /// Adds a sample.
    pub fn push(&mut self, key: NativeKey, sample: &NativeSample) {
        if key.stack.is_none() {
            self.threads.insert(key.thread);
        }
        let next = self.sums.len();
        let index = match self.sum_of.get(&key) {
            Some(index) => *index,
            None if next >= MAX_SUMS => return,
            None => {
                self.sums.push((key, NativeTotals::default()));
                self.sum_of.insert(key, next);
                next
            }
        };
        let (_, sum) = &mut self.sums[index];
        sum.samples += 1;
        sum.wall += sample.wall;
        sum.cpu += sample.cpu;
    }

    /// Whether a thread had no Python frame in one of the samples.
    pub fn has_thread(&self, id: ThreadId) -> bool {
        self.threads.contains(&id)
    }

    /// Which threads they are, and nothing else.
    pub fn without_sums(&self) -> NativeSums {
        NativeSums {
            threads: self.threads.clone(),
            ..NativeSums::default()
        }
    }

    /// All sums, in the order in which they were first seen.
    pub fn all(&self) -> &[(NativeKey, NativeTotals)] {
        &self.sums
    }
}
