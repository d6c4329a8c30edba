//! Turns recordings that were read into the headlines and the text of their report.

use chrono::DateTime;

use crate::cli::terminal::summary::shown;
use crate::export::first_screen::{self, Screen};
use crate::export::source_text::SourceText;
use crate::export::text::summary_of;
use crate::export::words::escape::escaped;
use crate::export::words::selection as filters;
use crate::export::words::units::span;
use crate::export::{ReportInput, SummaryOptions};
use crate::profile::Profile;
use crate::profile::confidence::Confidence;
use crate::profile::filter::Selection;
use crate::recording::Header;
use crate::run::headlines;
use crate::run::inputs::Input;

/// The most recordings that are listed one by one.
const MAX_LISTED: usize = 20;

/// The report as text, for a terminal.
#[must_use]
pub fn text(
    inputs: &[Input],
    profile: &Profile,
    selection: &Selection,
    confidence: Option<&Confidence<'_>>,
) -> String {
    let meta = headlines::meta(inputs, profile, selection);
    let mut lines = vec![
        meta.title.clone(),
        meta.command.clone(),
        meta.facts.join(", "),
    ];
    for input in inputs.iter().take(MAX_LISTED) {
        let name = input.name.iter().map(|name| format!("{name}: "));
        lines.push(name.collect::<String>() + &origin(input));
    }
    if inputs.len() > MAX_LISTED {
        lines.push(format!("and {} more", inputs.len() - MAX_LISTED));
    }
    let lines: Vec<_> = lines.iter().map(|line| escaped(line)).collect();
    let options = SummaryOptions {
        mode: selection.mode,
        is_part: !selection.leaves_all_threads(),
        ..SummaryOptions::default()
    };
    let summary = summary_of(
        &ReportInput {
            confidence,
            ..ReportInput::new(profile, &meta)
        },
        &options,
    );
    format!("{}\n\n{summary}", lines.join("\n"))
}

/// The first screen of it: the answer.
#[must_use]
pub fn first_screen(
    inputs: &[Input],
    profile: &Profile,
    selection: &Selection,
    screen: &Screen,
) -> String {
    let meta = headlines::meta(inputs, profile, selection);
    let mut sources = SourceText::default();
    for text in inputs.iter().flat_map(|input| &input.source) {
        sources.add(&text.file, text.first_line, &text.text);
    }
    let input = ReportInput {
        sources: Some(&sources),
        ..ReportInput::new(profile, &meta)
    };
    let mut head = vec![meta.title.clone(), span(profile.duration())];
    head.extend(filters::in_words(selection));
    let head = escaped(&head.join(", ")).into_owned();
    let file = inputs.first().map(|input| shown(&input.path));
    let more = if inputs.len() > 1 { " ..." } else { "" };
    let next = format!(
        "next: rsamp report {}{more} --lines (line by line), --full (all that is known)",
        file.unwrap_or_default()
    );
    first_screen::first_screen(&input, &head, &[next], screen)
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
