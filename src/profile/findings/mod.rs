//! Turns a profile into what stands out in it, each with the line to look at.
//!
//! Everything is told in numbers; `export` puts them into words. Thresholds are constants beside what they
//! decide; each was chosen so that a program in good order is told nothing.

use super::Profile;
use super::event::Nanos;

mod finding;

mod own_lines;

mod cores;

mod gil;

mod imports;

mod memory;

mod samples;

mod waits;

pub use finding::{Finding, HotLine};

use own_lines::OwnLines;

/// How many are told at most.
const MAX_FINDINGS: usize = 5;

/// What stands out, the most urgent first; nothing for a profile without samples.
#[must_use]
pub fn findings(profile: &Profile) -> Vec<Finding<'_>> {
    if profile.totals().wall == Nanos(0) {
        return Vec::new();
    }
    let lines = OwnLines::of(profile);
    let gil = gil::finding(profile, &lines);
    let waits = waits::finding(profile, &lines);
    // What keeps the cores idle says more than that they are.
    let cores = match (&gil, &waits) {
        (None, None) => cores::few(profile, &lines),
        _ => None,
    };
    let found = [
        memory::finding(profile, &lines),
        gil,
        waits,
        imports::finding(profile, &lines),
        cores,
        cores::oversubscribed(profile, &lines),
        samples::finding(profile),
    ];
    found.into_iter().flatten().take(MAX_FINDINGS).collect()
}
