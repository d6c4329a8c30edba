//! Turns a profile into a table of lines with self and total time.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::event::FrameId;
use super::functions::{Function, FunctionId, Functions};
use super::sums::{self, Classes};
use super::{Mode, Profile, Totals};

/// A line and its times, over all threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineRow<'p> {
    /// The function that the line belongs to.
    pub function: Function<'p>,
    /// The line; `None` where it could not be told.
    pub line: Option<u32>,
    /// Sums over the samples that were in the line itself.
    pub self_totals: Totals,
    /// Sums over the samples whose stack holds the line, each counted once.
    pub totals: Totals,
}

/// The lines of a profile.
#[derive(Debug, Clone)]
pub struct Lines<'p> {
    rows: Vec<LineRow<'p>>,
    of_frame: Vec<usize>,
}

impl<'p> Lines<'p> {
    /// Makes the table; `functions` is that of the same profile.
    #[must_use]
    pub fn of(profile: &'p Profile, functions: &Functions<'p>) -> Lines<'p> {
        let mut ids: HashMap<(Option<FunctionId>, Option<u32>), usize> = HashMap::new();
        let mut rows = Vec::new();
        let of_frame: Vec<usize> = (0_u32..)
            .zip(profile.frames())
            .map(|(id, frame)| {
                let function = functions.of_frame(FrameId(id));
                *ids.entry((function, frame.line)).or_insert_with(|| {
                    rows.push(LineRow {
                        function: Function::from(frame),
                        line: frame.line,
                        self_totals: Totals::default(),
                        totals: Totals::default(),
                    });
                    rows.len() - 1
                })
            })
            .collect();
        let class_of: Vec<usize> = profile
            .stacks()
            .iter()
            .map(|node| of_frame[node.frame.0 as usize])
            .collect();
        let sums = sums::by_class(profile, &class_of, rows.len());
        for (row, sums) in rows.iter_mut().zip(sums) {
            row.self_totals = sums.self_time;
            row.totals = sums.total_time;
        }
        Lines { rows, of_frame }
    }

    /// The lines, in the order in which they were first seen.
    #[must_use]
    pub fn rows(&self) -> &[LineRow<'p>] {
        &self.rows
    }

    /// The line that a frame is in: an index into [`Lines::rows`].
    #[must_use]
    pub fn of_frame(&self, frame: FrameId) -> Option<usize> {
        self.of_frame.get(frame.0 as usize).copied()
    }

    /// The sums of each line over the samples in which it is the line of its function's innermost call; those
    /// of all lines of a function add up to the function's total time, however often it calls itself.
    /// `functions` is that of the same profile. An index into them is one into [`Lines::rows`].
    #[must_use]
    pub fn innermost(&self, profile: &Profile, functions: &Functions<'_>) -> Vec<Totals> {
        let nodes = profile.stacks().iter();
        let class_of = |frame| {
            functions
                .of_frame(frame)
                .map_or(usize::MAX, |id| id.0 as usize)
        };
        let (class_of, line_of): (Vec<usize>, Vec<usize>) = nodes
            .map(|node| (class_of(node.frame), self.of_frame[node.frame.0 as usize]))
            .unzip();
        let classes = Classes::new(profile, &class_of, functions.rows().len());
        classes.innermost(sums::self_times(profile), &line_of, self.rows.len())
    }

    /// The lines by self time, longest first; equal ones by total time, then by place.
    #[must_use]
    pub fn by_self(&self, mode: Mode) -> Vec<&LineRow<'p>> {
        self.sorted(|row| (row.self_totals.time(mode), row.totals.time(mode)))
    }

    fn sorted<K: Ord>(&self, heat: impl Fn(&LineRow<'p>) -> K) -> Vec<&LineRow<'p>> {
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_by_cached_key(|row| (Reverse(heat(row)), row.function, row.line));
        rows
    }
}
