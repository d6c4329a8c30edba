//! Turns a frame and the one above it into whether the one can have called the other.
//!
//! Frames that lie as calls lay them may still be of two moments: when the copy paused between two of them,
//! the caller may have returned meanwhile and another function may have called another. But a call leaves
//! its trace in the caller: the function that it took from its value stack lies just above the saved
//! stack pointer, and is the callee's `f_func` (`CALL_PY_EXACT_ARGS` and its kin in `ceval.c`). A link of two
//! functions that was found so is known from then on. Some calls leave no such trace (a property, an
//! `__init__`): such a link is believed when it was seen in a thread that stood still.

use rustc_hash::{FxHashMap, FxHashSet};

/// The code objects of a caller and of a callee, by their numbers in the cache.
pub(super) type Link = (u64, u64);

/// The most links that are remembered of a thread; beyond, they are learnt anew.
const MAX_LINKS: usize = 100_000;

/// How often a link must be seen with its trace: the copy may have paused between the trace and the rest of the caller,
/// which lies where another caller lay a moment ago.
const TIMES_SEEN: u32 = 4;

/// Within which time.
const WHILE_NS: u64 = 100_000_000;

/// The links of one thread's stacks.
#[derive(Debug, Clone, Default)]
pub(super) struct KnownCalls {
    known: FxHashSet<Link>,
    /// How often others were seen, and since when.
    doubtful: FxHashMap<Link, (u32, u64)>,
}

impl KnownCalls {
    /// Whether `link` is known.
    pub fn is_known(&self, link: Link) -> bool {
        self.known.contains(&link)
    }

    /// Takes in that a link was seen at `now_ns` with its trace; believes it when that was often enough.
    pub fn weigh_trace(&mut self, link: Link, now_ns: u64) {
        if self.doubtful.len() >= MAX_LINKS {
            self.doubtful.clear();
        }
        let (seen, since_ns) = self.doubtful.entry(link).or_insert((0, now_ns));
        if now_ns - *since_ns > WHILE_NS {
            (*seen, *since_ns) = (0, now_ns);
        }
        *seen += 1;
        if *seen >= TIMES_SEEN {
            self.learn(link);
        }
    }

    /// Believes a link from now on.
    pub fn learn(&mut self, link: Link) {
        if self.known.len() >= MAX_LINKS {
            self.known.clear();
        }
        self.doubtful.remove(&link);
        self.known.insert(link);
    }
}
