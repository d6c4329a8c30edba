//! Turns a profile into the user's own lines, each with the time of the libraries that it called.
//!
//! The time of a stack counts for its innermost frame of own code ([`Origins`](super::origin::Origins)): `frame.merge(other)` has the time that
//! pandas spends in it. A stack without own code counts for none.

use std::collections::HashMap;

use super::functions::Function;
use super::own_frames::OwnFrames;
use super::{Mode, Profile, Totals};

/// A line of own code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnLine<'p> {
    /// The function that it belongs to; of several on one line, such as a comprehension and what it stands in, the one
    /// that was seen first.
    pub function: Function<'p>,
    /// The line; `None` where it could not be told.
    pub line: Option<u32>,
    /// Sums over the samples of which it is the innermost line of own code.
    pub totals: Totals,
}

/// A file, and a line of it.
type Place<'p> = (Option<&'p str>, Option<u32>);

/// The lines with any time in `mode`, the hottest first.
#[must_use]
pub fn own_lines<'p>(profile: &'p Profile, mode: Mode) -> Vec<OwnLine<'p>> {
    let frames = OwnFrames::of(profile);
    let mut sums: HashMap<Place<'_>, (Function<'_>, Totals)> = HashMap::new();
    for row in profile.rows() {
        if let Some(frame) = frames.own(row.stack) {
            let of_line = sums.entry((frame.file.as_deref(), frame.line));
            let new = || (Function::from(frame), Totals::default());
            of_line.or_insert_with(new).1 += row.totals;
        }
    }
    let lines = sums.into_iter();
    let lines = lines.map(|((_, line), (function, totals))| OwnLine {
        function,
        line,
        totals,
    });
    let mut lines: Vec<OwnLine<'_>> = lines
        .filter(|line| line.totals.time(mode).0 > 0 && line.totals.samples > 0)
        .collect();
    lines.sort_by(|a, b| {
        let place = |line: &OwnLine<'p>| (line.function.file, line.line, line.function.name);
        let by_time = b.totals.time(mode).cmp(&a.totals.time(mode));
        by_time.then_with(|| place(a).cmp(&place(b)))
    });
    lines
}
