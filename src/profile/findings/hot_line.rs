//! Turns what rows or stacks hold into the line of the program that has most of it.

use super::finding::HotLine;
use crate::profile::Row;
use crate::profile::event::StackId;
use crate::profile::own_frames::OwnFrames;

/// The line with the most of `amount` over all rows; `None` where importing has more.
pub(super) fn of_rows<'p, 'r>(
    lines: &OwnFrames<'p>,
    rows: impl Iterator<Item = &'r Row>,
    amount: impl Fn(&Row) -> u64,
) -> Option<HotLine<'p>> {
    of_stacks(lines, rows.map(|row| (row.stack, amount(row))))
}

/// The line with the most over all stacks, which may come more than once; `None` where importing has more.
///
/// An import is not blamed: what it costs is the module's, not the statement's.
pub(super) fn of_stacks<'p>(
    lines: &OwnFrames<'p>,
    amounts: impl Iterator<Item = (Option<StackId>, u64)>,
) -> Option<HotLine<'p>> {
    let (mut whole, mut imports) = (0_u64, 0_u64);
    let mut others = Vec::new();
    for (stack, amount) in amounts {
        whole = whole.saturating_add(amount);
        match lines.importing(stack) {
            Some(_) => imports = imports.saturating_add(amount),
            None => others.push((stack, amount)),
        }
    }
    let sums = lines.sums(others.into_iter());
    let ((function, line), amount) = sums.first().copied()?;
    (amount > imports).then(|| HotLine {
        function,
        line,
        amount,
        share: amount as f64 / whole as f64,
    })
}
