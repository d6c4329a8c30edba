//! Turns a profile into what stands out in it, each with the line to look at.
//!
//! Everything is told in numbers; `export` puts them into words. Thresholds are constants beside what they
//! decide; each was chosen so that a program in good order is told nothing. None tells what costs less than a
//! fiftieth of the run ([`scope`]).

use super::Profile;
use super::event::Nanos;

mod finding;

mod hot_line;

mod builders;

mod scope;

mod blocked_loops;

mod build_steps;

mod compiling;

mod cores;

mod gil;

mod growth;

mod imports;

mod memory;

mod native_work;

mod waits;

pub use finding::{
    BlockedLoops, BlockingCall, Compiler, Crowd, Finding, HotLine, ImportedModule, SlowRank,
};

use scope::Scope;

/// What stands out, what costs most first; nothing for a profile without samples.
#[must_use]
pub fn findings(profile: &Profile) -> Vec<Finding<'_>> {
    if profile.totals().wall == Nanos(0) {
        return Vec::new();
    }
    let scope = Scope::of(profile);
    let gil = gil::finding(&scope);
    let waits = waits::finding(&scope);
    let oversubscribed = cores::oversubscribed(&scope);
    // Threads that wait for each other are too many for the GIL, not for the cores.
    let are_threads = |found: &Finding<'_>| {
        matches!(
            found,
            Finding::Oversubscribed {
                crowd: Crowd::Threads(_),
                ..
            }
        )
    };
    let oversubscribed = oversubscribed.filter(|found| gil.is_none() || !are_threads(found));
    // What keeps the cores idle says more than that they are.
    let cores = match (&gil, &waits, &oversubscribed) {
        (None, None, None) => cores::few(&scope),
        _ => None,
    };
    let single = [
        memory::finding(&scope),
        growth::finding(&scope),
        gil,
        blocked_loops::finding(&scope),
        waits,
        imports::finding(&scope),
        cores,
        oversubscribed,
        build_steps::finding(&scope),
    ];
    let compiling = compiling::findings(&scope);
    // What compiles says more than that something does.
    let jit = native_work::compiling(&scope).filter(|_| compiling.is_empty());
    let native = [native_work::mpi(&scope), jit, native_work::openmp(&scope)];
    let single = single.into_iter().chain(native).flatten();
    let mut found: Vec<_> = single.chain(compiling).collect();
    found.sort_by(|a, b| b.cost().total_cmp(&a.cost()));
    found
}
