//! Turns the frames of a profile into what a frame of a graph stands for: a function, or an executed
//! line of one.

use std::collections::HashMap;

use crate::profile::Profile;
use crate::profile::event::FrameId;
use crate::profile::functions::Function;

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

    /// Lines if they are asked for, or else functions.
    pub(super) fn of(profile: &'p Profile, by_line: bool) -> FrameGroups<'p> {
        if by_line {
            FrameGroups::lines(profile)
        } else {
            FrameGroups::functions(profile)
        }
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
