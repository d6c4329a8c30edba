//! Turns recordings that were read into the headlines of a report in any format.

use std::collections::BTreeSet;
use std::ffi::OsString;

use super::inputs::{self, Input};
use super::program_name;
use crate::export::words::{rates, selection as filters};
use crate::export::{Drawing, Meta};
use crate::profile::Profile;
use crate::profile::filter::Selection;

/// The script's name, for files named after it.
#[must_use]
pub fn name(inputs: &[Input]) -> String {
    let command = inputs.first().map(|input| &input.header.command);
    let words: Vec<OsString> = command.into_iter().flatten().map(Into::into).collect();
    program_name(&words)
}

/// Whether each process is a rank of one launch.
fn is_of_ranks(profile: &Profile) -> bool {
    let ranks: BTreeSet<Option<u32>> = profile.processes().iter().map(|it| it.rank).collect();
    ranks.len() == profile.processes().len() && !ranks.contains(&None)
}

/// The headlines of a report in any format.
#[must_use]
pub fn meta(inputs: &[Input], profile: &Profile, selection: &Selection) -> Meta {
    let name = name(inputs);
    let pid = profile.processes().first().map(|process| process.pid);
    let title = match (inputs.len(), pid) {
        (1, Some(pid)) => format!("{name} (process {pid})"),
        (1, None) => name,
        (count, _) if is_of_ranks(profile) => format!("{name}, {count} ranks"),
        (count, _) => format!("{name}, {count} recordings"),
    };
    let of_all = |tell: &dyn Fn(&Input) -> String| {
        let told: BTreeSet<String> = inputs.iter().map(tell).collect();
        told.into_iter().collect::<Vec<_>>()
    };
    let pythons: BTreeSet<&str> = profile
        .processes()
        .iter()
        .map(|p| p.python.as_str())
        .collect();
    let pythons = pythons.into_iter().map(|python| format!("Python {python}"));
    Meta {
        title,
        command: of_all(&|input| input.header.command.join(" ")).join("; "),
        facts: pythons
            .chain(rates::in_words(profile))
            .chain(filters::in_words(selection))
            .collect(),
        start_unix_ns: inputs::first_start_unix_ns(inputs),
        is_part: !selection.leaves_all_threads(),
        mode: selection.mode,
        drawing: Drawing::default(),
    }
}
