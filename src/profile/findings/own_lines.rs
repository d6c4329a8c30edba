//! Turns stacks into the line to look at: the innermost one of the program's own files, or else of all.

use std::collections::HashMap;

use super::finding::HotLine;
use crate::profile::event::FrameId;
use crate::profile::functions::Function;
use crate::profile::{Profile, Row, paths};

/// The line to look at of each stack.
pub(super) struct OwnLines<'p> {
    profile: &'p Profile,
    /// By stack; the innermost frame where none is the program's own.
    frame_of: Vec<FrameId>,
}

impl<'p> OwnLines<'p> {
    pub(super) fn of(profile: &'p Profile) -> OwnLines<'p> {
        let own = |id: FrameId| {
            let file = profile.frame(id).and_then(|frame| frame.file.as_deref());
            file.is_some_and(|file| paths::library_part(file).is_none() && !file.starts_with('<'))
        };
        let mut frame_of: Vec<FrameId> = Vec::with_capacity(profile.stacks().len());
        // Parents come before their children.
        for stack in profile.stacks() {
            let below = stack
                .parent
                .and_then(|parent| frame_of.get(parent.0 as usize));
            frame_of.push(match below {
                Some(below) if !own(stack.frame) && own(*below) => *below,
                _ => stack.frame,
            });
        }
        OwnLines { profile, frame_of }
    }

    /// The line with the most of `amount` over all rows.
    pub(super) fn hottest(&self, amount: impl Fn(&Row) -> u64) -> Option<HotLine<'p>> {
        let mut whole = 0_u64;
        let mut sums: HashMap<(Function<'p>, Option<u32>), u64> = HashMap::new();
        for row in self.profile.rows() {
            let amount = amount(row);
            whole = whole.saturating_add(amount);
            let frame = row
                .stack
                .and_then(|stack| self.frame_of.get(stack.0 as usize));
            if let Some(frame) = frame.and_then(|frame| self.profile.frame(*frame)) {
                let sum = sums.entry((Function::from(frame), frame.line)).or_default();
                *sum = sum.saturating_add(amount);
            }
        }
        let hottest = sums.into_iter().filter(|(_, amount)| *amount > 0);
        let hottest = hottest.max_by_key(|(place, amount)| (*amount, std::cmp::Reverse(*place)));
        hottest.map(|((function, line), amount)| HotLine {
            function,
            line,
            amount,
            share: amount as f64 / whole as f64,
        })
    }
}
