//! Turns the frames of a profile into what a frame of a graph stands for: a function, or an executed
//! line of one.

use std::collections::HashMap;

use super::drawing::Lines;
use crate::profile::Profile;
use crate::profile::event::FrameId;
use crate::profile::functions::Function;
use crate::profile::origin::Origins;

/// A place: an index into [`FrameGroups::rows`].
pub(super) type FrameGroupId = usize;

/// The places of a profile.
#[derive(Debug, Clone, Default)]
pub(super) struct FrameGroups<'p> {
    rows: Vec<Function<'p>>,
    of_frame: Vec<FrameGroupId>,
}

impl<'p> FrameGroups<'p> {
    /// The functions; each with its first line.
    pub(super) fn functions(profile: &'p Profile) -> FrameGroups<'p> {
        FrameGroups::new(profile.frames().iter().map(Function::from))
    }

    /// The executed lines; each stands in the place of the first line.
    pub(super) fn lines(profile: &'p Profile) -> FrameGroups<'p> {
        FrameGroups::new(profile.frames().iter().map(|frame| Function {
            first_line: frame.line,
            ..Function::from(frame)
        }))
    }

    /// Lines if those of all functions are asked for, or else functions.
    pub(super) fn of(profile: &'p Profile, lines: Lines) -> FrameGroups<'p> {
        match lines {
            Lines::All => FrameGroups::lines(profile),
            Lines::OfOwnCode | Lines::Merged => FrameGroups::functions(profile),
        }
    }

    /// As a flame graph draws them: lines of own code and functions of others, if nothing else is asked for.
    pub(super) fn drawn(profile: &'p Profile, lines: Lines, origins: &Origins) -> FrameGroups<'p> {
        if lines != Lines::OfOwnCode {
            return FrameGroups::of(profile, lines);
        }
        FrameGroups::new(profile.frames().iter().map(|frame| Function {
            first_line: match origins.is_own(frame) {
                true => frame.line,
                false => frame.first_line,
            },
            ..Function::from(frame)
        }))
    }

    fn new(frames: impl Iterator<Item = Function<'p>>) -> FrameGroups<'p> {
        let mut rows = Vec::new();
        let mut ids = HashMap::new();
        let of_frame = frames.map(|place| {
            *ids.entry(place).or_insert_with(|| {
                rows.push(place);
                rows.len() - 1
            })
        });
        let of_frame = of_frame.collect();
        FrameGroups { rows, of_frame }
    }

    /// The places, in the order in which they were first seen.
    pub(super) fn rows(&self) -> &[Function<'p>] {
        &self.rows
    }

    /// The place that a frame belongs to.
    pub(super) fn of_frame(&self, frame: FrameId) -> Option<FrameGroupId> {
        self.of_frame.get(frame.0 as usize).copied()
    }
}
