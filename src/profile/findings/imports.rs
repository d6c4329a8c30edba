//! Turns stacks with frames of the import system into the part of the time that imports take.

use std::collections::HashMap;

use super::finding::{Finding, HotLine};
use crate::profile::event::{FrameId, Nanos};
use crate::profile::functions::Function;
use crate::profile::{Profile, paths};

/// Below it, start-up is nothing to think about.
const MIN_SHARE: f64 = 0.2;

/// Shorter is not worth a sentence, whatever the share.
const MIN_TIME: Nanos = Nanos(50_000_000);

/// Whether imports take much, and for which statement of the program: the frame below the outermost one
/// of the import system.
pub(super) fn finding<'p>(
    profile: &'p Profile,
    _: &super::own_lines::OwnLines<'p>,
) -> Option<Finding<'p>> {
    let importer = importers(profile);
    let mut by_thread = vec![Nanos(0); profile.threads().len()];
    let mut by_line: HashMap<(Function<'p>, Option<u32>), u64> = HashMap::new();
    let mut time = Nanos(0);
    for row in profile.rows() {
        let importer = row.stack.and_then(|stack| importer[stack.0 as usize]);
        let Some(importer) = importer else { continue };
        time += row.totals.wall;
        if let Some(sum) = by_thread.get_mut(row.thread.0 as usize) {
            *sum += row.totals.wall;
        }
        if let Some(frame) = profile.frame(importer) {
            *by_line
                .entry((Function::from(frame), frame.line))
                .or_default() += row.totals.wall.0;
        }
    }
    let threads = by_thread.iter().zip(profile.thread_totals());
    let whole = threads
        .filter(|(time, _)| **time > Nanos(0))
        .fold(Nanos(0), |sum, (_, totals)| sum + totals.wall);
    let share = time.seconds() / whole.seconds().max(1e-9);
    let hottest = by_line.into_iter();
    let hottest = hottest.max_by_key(|(place, amount)| (*amount, std::cmp::Reverse(*place)));
    (time >= MIN_TIME && share >= MIN_SHARE).then(|| Finding::Imports {
        time,
        share,
        line: hottest.map(|((function, line), amount)| HotLine {
            function,
            line,
            amount,
            share: amount as f64 / time.0 as f64,
        }),
    })
}

/// By stack: the frame that imports, when the stack is within an import.
fn importers(profile: &Profile) -> Vec<Option<FrameId>> {
    let mut importers: Vec<Option<FrameId>> = Vec::with_capacity(profile.stacks().len());
    for stack in profile.stacks() {
        let below = stack.parent.map(|parent| parent.0 as usize);
        let known = below.and_then(|below| importers.get(below).copied().flatten());
        let is_import = profile.frame(stack.frame).is_some_and(|frame| {
            frame.is_import() || frame.file.as_deref().is_some_and(paths::is_import_system)
        });
        let caller = below.and_then(|below| profile.stacks().get(below));
        importers.push(match known {
            Some(known) => Some(known),
            None if is_import => Some(caller.map_or(stack.frame, |caller| caller.frame)),
            None => None,
        });
    }
    importers
}
