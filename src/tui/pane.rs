//! Turns the selected row into what is known of its function: its source with the time of each line, who calls it and what
//! it calls.

use super::host::Host;
use crate::profile::callers::edges;
use crate::profile::event::Nanos;
use crate::profile::functions::{FunctionId, Functions};
use crate::profile::lines::Lines;
use crate::profile::{Mode, Profile};

/// So many lines of source are looked for.
const MAX_LINES: u32 = 60;

/// So many callers, and functions that are called, are told.
const MAX_CALLS: usize = 20;

/// What is known of a function.
#[derive(Debug, Clone, Default)]
pub struct Pane {
    /// The function in words.
    pub title: String,
    /// Its source, around its hottest line.
    pub source: Vec<SourceLine>,
    /// Which of the lines is the hottest.
    pub hottest: usize,
    /// Who calls it, with the parts of the time in these calls; the largest first.
    pub callers: Vec<(String, f64)>,
    /// What it calls.
    pub callees: Vec<(String, f64)>,
}

/// A line of source.
#[derive(Debug, Clone, Default)]
pub struct SourceLine {
    /// Its number.
    pub number: u32,
    /// Its part of the time, with what it calls; `None`: it was not seen.
    pub share: Option<f64>,
    /// Its text; empty where it is not known.
    pub text: String,
}

/// What a pane is made of.
pub(super) struct Subject<'s, 'p> {
    /// What is shown.
    pub(super) profile: &'p Profile,
    pub(super) functions: &'s Functions<'p>,
    pub(super) lines: &'s Lines<'p>,
    /// Which time.
    pub(super) mode: Mode,
    /// The time of all threads, in seconds.
    pub(super) whole: f64,
}

impl Pane {
    /// Of a function; `line` is the one to look at, else it is the hottest.
    pub(super) fn of(
        subject: &Subject<'_, '_>,
        id: FunctionId,
        line: Option<u32>,
        host: &mut dyn Host,
    ) -> Option<Pane> {
        let function = subject.functions.row(id)?.function;
        let mut pane = Pane {
            title: host.place(&function, function.first_line),
            ..Pane::default()
        };
        let of_it = subject.lines.rows().iter();
        let of_it = of_it.filter(|row| row.function == function);
        let mut seen: Vec<(u32, f64)> = of_it
            .filter_map(|row| Some((row.line?, subject.share(row.totals.time(subject.mode)))))
            .collect();
        seen.sort_by_key(|(line, _)| *line);
        let hottest = seen.iter().max_by(|a, b| a.1.total_cmp(&b.1));
        let center = line.or(hottest.map(|(line, _)| *line));
        if let (Some(file), Some(center)) = (function.file, center) {
            pane.read(file, center, function.first_line.unwrap_or(1), &seen, host);
        }
        for edge in edges(subject.profile, subject.functions) {
            let share = subject.share(edge.totals.time(subject.mode));
            let name = |id: FunctionId| {
                let row = subject.functions.row(id)?;
                Some(host.name(&row.function))
            };
            if share <= 0.0 {
                continue;
            }
            if edge.callee == id {
                let caller = edge.caller.map_or(Some("the thread".to_owned()), name);
                pane.callers.extend(caller.map(|name| (name, share)));
            }
            if edge.caller == Some(id) {
                pane.callees
                    .extend(name(edge.callee).map(|name| (name, share)));
            }
        }
        for calls in [&mut pane.callers, &mut pane.callees] {
            calls.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            calls.truncate(MAX_CALLS);
        }
        Some(pane)
    }

    /// Reads the source from the function's first line on, or from near the line to look at.
    fn read(
        &mut self,
        file: &str,
        center: u32,
        first: u32,
        seen: &[(u32, f64)],
        host: &mut dyn Host,
    ) {
        let last = seen.last().map_or(center, |(line, _)| *line).max(center);
        let from = first.max(1).max(center.saturating_sub(MAX_LINES / 2));
        let to = last.saturating_add(3).min(from.saturating_add(MAX_LINES));
        // How far the function's first line is indented.
        let mut begin = None;
        for number in from..=to {
            let share = seen.iter().find(|(line, _)| *line == number);
            let text = host.source(file, number);
            if text.is_none() && share.is_none() {
                continue;
            }
            let depth = text.as_deref().and_then(indent);
            let is_behind = number > last && depth.zip(begin).is_some_and(|(it, def)| it <= def);
            if is_behind {
                break;
            }
            begin = begin.or(depth);
            if number == center {
                self.hottest = self.source.len();
            }
            self.source.push(SourceLine {
                number,
                share: share.map(|(_, share)| *share),
                text: text.unwrap_or_default(),
            });
        }
    }
}

/// How far a line is indented; `None`: there is nothing in it.
pub(super) fn indent(text: &str) -> Option<usize> {
    let code = text.trim_start();
    (!code.is_empty()).then(|| text.len() - code.len())
}

impl Subject<'_, '_> {
    fn share(&self, time: Nanos) -> f64 {
        time.seconds() / self.whole
    }
}
