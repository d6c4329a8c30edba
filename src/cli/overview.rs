//! Turns recordings that were read into the headlines and the text of their report.

use std::collections::BTreeSet;
use std::ffi::OsString;

use chrono::DateTime;

use super::filters;
use super::inputs::{self, Input};
use super::program_name::program_name;
use crate::export::escape::escaped;
use crate::export::text::{SummaryOptions, summary_with};
use crate::export::{Drawing, Meta, rates};
use crate::profile::Profile;
use crate::profile::confidence::Confidence;
use crate::profile::filter::Selection;
use crate::recording::Header;

/// The most recordings that are listed one by one.
const MAX_LISTED: usize = 20;

/// The script's name, for files named after it.
#[must_use]
pub fn name(inputs: &[Input]) -> String {
    let command = inputs.first().map(|input| &input.header.command);
    let words: Vec<OsString> = command.into_iter().flatten().map(Into::into).collect();
    program_name(&words)
}

/// The headlines of a report in any format.
#[must_use]
pub fn meta(inputs: &[Input], profile: &Profile, selection: &Selection) -> Meta {
    let name = name(inputs);
    let pid = profile.processes().first().map(|process| process.pid);
    let title = match (inputs.len(), pid) {
        (1, Some(pid)) => format!("{name} (process {pid})"),
        (1, None) => name,
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
        view: selection.view,
        drawing: Drawing::default(),
    }
}

/// The report as text, for a terminal.
#[must_use]
pub fn text(
    inputs: &[Input],
    profile: &Profile,
    selection: &Selection,
    confidence: Option<&Confidence<'_>>,
) -> String {
    let meta = meta(inputs, profile, selection);
    let mut lines = vec![meta.title, meta.command, meta.facts.join(", ")];
    for input in inputs.iter().take(MAX_LISTED) {
        let name = input.name.iter().map(|name| format!("{name}: "));
        lines.push(name.collect::<String>() + &origin(input));
    }
    if inputs.len() > MAX_LISTED {
        lines.push(format!("and {} more", inputs.len() - MAX_LISTED));
    }
    let lines: Vec<_> = lines.iter().map(|line| escaped(line)).collect();
    let options = SummaryOptions {
        view: selection.view,
        is_part: !selection.leaves_all_threads(),
        ..SummaryOptions::default()
    };
    let summary = summary_with(profile, &options, confidence);
    format!("{}\n\n{summary}", lines.join("\n"))
}

/// `scatter-42.rsamp, recorded 2026-01-31 12:00:00 UTC by ada on node01 in /home/ada`
fn origin(input: &Input) -> String {
    let Header {
        user,
        host,
        working_folder,
        ..
    } = &input.header;
    let when = i64::try_from(input.header.start_unix_ns).map(DateTime::from_timestamp_nanos);
    let when = when.map_or_else(
        |_| String::new(),
        |time| time.format(" %Y-%m-%d %H:%M:%S UTC").to_string(),
    );
    let path = input.path.display();
    format!("{path}, recorded{when} by {user} on {host} in {working_folder}")
}
