//! Turns the functions of two recordings into which of one count as which of the other: between the runs a file may have been
//! edited above them, or copied.
//!
//! A function that only the base has counts as one that only the other recording has, when both have the same name and a file
//! of the same name, and no others of either do.

use std::collections::HashMap;

use crate::profile::Profile;
use crate::profile::functions::{FunctionId, FunctionKind, Functions};
use crate::profile::paths::file_name;

/// In which of the recordings a function was seen.
#[derive(Debug, Clone, Copy, Default)]
struct Sides {
    base: bool,
    other: bool,
}

/// For each function the one that it counts as: itself, or one of the other recording. The first `base_processes` are the
/// base's.
pub(super) fn counted_as(
    profile: &Profile,
    functions: &Functions<'_>,
    base_processes: u32,
) -> Vec<u64> {
    let sides = sides(profile, functions, base_processes);
    let only_base = by_name(functions, &sides, |sides| sides.base && !sides.other);
    let only_other = by_name(functions, &sides, |sides| sides.other && !sides.base);
    let mut counted: Vec<u64> = (0..).take(sides.len()).collect();
    for (name, of_base) in only_base {
        let of_other = only_other.get(&name).copied().flatten();
        if let (Some(of_base), Some(of_other)) = (of_base, of_other) {
            counted[of_base] = of_other as u64;
        }
    }
    counted
}

/// Where each function was seen.
fn sides(profile: &Profile, functions: &Functions<'_>, base_processes: u32) -> Vec<Sides> {
    let mut of_stacks = vec![Sides::default(); profile.stacks().len()];
    for row in profile.rows() {
        let thread = &profile.threads()[row.thread.0 as usize];
        if let Some(sides) = row.stack.and_then(|id| of_stacks.get_mut(id.0 as usize)) {
            match thread.process.0 < base_processes {
                true => sides.base = true,
                false => sides.other = true,
            }
        }
    }
    let mut sides = vec![Sides::default(); functions.rows().len()];
    // Parents come before their children.
    for (id, stack) in profile.stacks().iter().enumerate().rev() {
        let own = of_stacks[id];
        if let Some(parent) = stack.parent {
            let above = &mut of_stacks[parent.0 as usize];
            above.base |= own.base;
            above.other |= own.other;
        }
        if let Some(FunctionId(function)) = functions.of_frame(stack.frame) {
            let of_function = &mut sides[function as usize];
            of_function.base |= own.base;
            of_function.other |= own.other;
        }
    }
    sides
}

/// What a function is recognised by.
type Name<'p> = (&'p str, &'p str, FunctionKind<'p>);

/// The functions of some sides; `None`: several have one name.
fn by_name<'p>(
    functions: &Functions<'p>,
    sides: &[Sides],
    is_one: impl Fn(&Sides) -> bool,
) -> HashMap<Name<'p>, Option<usize>> {
    let mut named = HashMap::new();
    for (number, (row, _)) in functions
        .rows()
        .iter()
        .zip(sides)
        .enumerate()
        .filter(|(_, (_, it))| is_one(it))
    {
        let function = &row.function;
        let file = file_name(function.file.unwrap_or_default());
        let entry = named.entry((function.name, file, function.kind));
        entry
            .and_modify(|known| *known = None)
            .or_insert(Some(number));
    }
    named
}
