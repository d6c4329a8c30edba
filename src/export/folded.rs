//! Turns a profile into collapsed stacks: one line per stack, `outermost;…;innermost N`.
//!
//! N is whole microseconds of the chosen time. They are rounded such that their sum is the rounded
//! sum; stacks that come to none are left out. Lines are sorted by frame. Frames are functions,
//! `name (file:first line)`, or with `by_line` executed lines, `name (file:line)`; below them `thread NAME (TID)` and
//! `process PID (COMMAND)` where there is more than one. In names, `;` is written as `:`, and control characters are replaced.

use std::io;

use crate::profile::Profile;

use super::Meta;
use super::places::Places;
use super::tree::{Path, Tree};

/// Writes the stacks.
///
/// # Errors
/// When `out` fails.
pub(super) fn write(profile: &Profile, meta: &Meta, out: &mut dyn io::Write) -> io::Result<()> {
    let places = Places::of(profile, meta.drawing.by_line);
    let tree = Tree::of(profile, &places, meta);
    tree.visit(|path| writeln!(out, "{}", line(path)))
}

/// One line without its end.
pub(super) fn line(path: &Path<'_>) -> String {
    format!("{} {}", path.labels.join(";"), path.self_us)
}
