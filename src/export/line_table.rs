//! Turns functions and their lines into the tables that users of line_profiler know.
//!
//! In the place of its `Hits` stand samples; a time per hit there is not, as a sampler counts no
//! executions. `Time` is that of the line and all that it called, as line_profiler has it; `Self` is what
//! the line took itself. A line counts once per stack: of a function that calls itself, lines may
//! add up to more than the function.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::colour::{Colour, Style};
use super::source_text::SourceText;
use super::words::escape::visible;
use super::words::fit::begin_of;
use super::words::precision::Precision;
use super::words::table::line;
use super::words::units::{rough_seconds, seconds};
use crate::export::ReportInput;
use crate::export::words::facts;
use crate::export::words::number::bytes_with_sign;
use crate::profile::event::Nanos;
use crate::profile::line_tables::{LineTable, TableLine};
use crate::profile::states::StateTimes;
use crate::profile::{Profile, Totals};

/// How the tables look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// How hot lines are shown.
    pub colour: Colour,
    /// So many columns wide, with the figures that matter most, and without long runs of lines that took no time; `None`:
    /// all figures and all lines, however wide.
    pub width: Option<usize>,
}

/// Writes the tables, each with a head as line_profiler's.
#[must_use]
pub fn line_tables(input: &ReportInput<'_>, tables: &[&LineTable<'_>], look: Look) -> String {
    let profile = input.profile;
    let none = SourceText::default();
    let source = input.sources.unwrap_or(&none);
    let mut text = String::from("Timer unit: 1 s\n");
    if let Err(reason) = facts::memory(profile) {
        line(&mut text, &format!("Growth: not available: {reason}"));
    }
    if let Err(reason) = facts::states(profile) {
        line(&mut text, &format!("State: not available: {reason}"));
    }
    for table in tables {
        let sheet = Sheet {
            profile,
            table,
            input,
            source,
            look,
        };
        text.push('\n');
        sheet.head(&mut text);
        sheet.rows(&mut text);
    }
    text
}

/// One function, to be printed.
struct Sheet<'o> {
    profile: &'o Profile,
    table: &'o LineTable<'o>,
    input: &'o ReportInput<'o>,
    source: &'o SourceText,
    look: Look,
}

impl Sheet<'_> {
    fn head(&self, text: &mut String) {
        let (row, mode) = (&self.table.row, self.input.meta.mode);
        let (total, own) = (row.totals.time(mode), row.self_totals.time(mode));
        let precision = Precision::of(self.profile, mode);
        let _ = writeln!(
            text,
            "Total time: {} s ({} % of all; self {} s, {} %)",
            precision.seconds(total),
            precision.percent(total),
            precision.seconds(own),
            precision.percent(own),
        );
        let file = row.function.file.unwrap_or("(none)");
        line(text, &format!("File: {}", visible(file)));
        let at = row
            .function
            .first_line
            .map(|line| format!(" at line {line}"));
        let name = visible(row.function.name);
        line(text, &format!("Function: {name}{}", at.unwrap_or_default()));
        line(text, &facts::cores_in_words(self.profile, &row.totals));
        if facts::states(self.profile).is_ok() {
            line(text, &facts::states_in_words(&self.table.states.total_time));
        }
        let blocked = row.self_totals.blocked_others;
        if blocked > Nanos(0) {
            let blocked = rough_seconds(blocked);
            line(
                text,
                &format!("Blocked others for {blocked} s, holding the GIL"),
            );
        }
        for note in self.source.notes(file) {
            line(text, &format!("Note: {note}"));
        }
    }

    fn rows(&self, text: &mut String) {
        let lines = &self.table.lines;
        let has_errors = self.input.confidence.is_some();
        let columns = match self.look.width {
            Some(_) => Columns::narrow(has_errors),
            None => Columns::of(self.profile, self.table, has_errors),
        };
        let head = columns.row(&HEAD.map(str::to_owned), "Line Contents");
        let _ = writeln!(text, "\n{head}\n{}", "=".repeat(head.chars().count()));
        for line in lines.iter().filter(|line| line.row.line.is_none()) {
            self.row(text, &columns, "?", Some(line), "(line not known)");
        }
        let seen: Vec<u32> = lines.iter().filter_map(|line| line.row.line).collect();
        let mut shown = self.source.lines_of(&self.table.row.function, &seen);
        let end = shown.last().map(|line| line + 1);
        if self.look.width.is_some() {
            fold(&mut shown, &seen);
        }
        let mut last = None;
        for number in shown {
            say_hidden(text, last, Some(number));
            last = Some(number);
            let of_line = lines.iter().find(|line| line.row.line == Some(number));
            let file = self.table.row.function.file.unwrap_or_default();
            let content = self.source.line(file, number).unwrap_or_default();
            self.row(text, &columns, &number.to_string(), of_line, content);
        }
        say_hidden(text, last, end);
    }

    fn row(
        &self,
        text: &mut String,
        columns: &Columns,
        number: &str,
        of_line: Option<&TableLine<'_>>,
        content: &str,
    ) {
        let cells = match of_line {
            Some(of_line) => self.cells(number, of_line),
            None => {
                let mut cells = Cells::default();
                cells[0] = number.to_owned();
                cells
            }
        };
        let row = columns.row(&cells, &visible(content));
        let width = self.look.width.unwrap_or(usize::MAX);
        let row = begin_of(&row, width);
        let row = row.trim_end();
        let share = of_line.map_or(0.0, |line| self.share(&line.row.totals));
        let style = Style::of_share(share);
        let _ = writeln!(text, "{}", self.look.colour.paint(style, row));
    }

    /// The part of the function's time.
    fn share(&self, totals: &Totals) -> f64 {
        let mode = self.input.meta.mode;
        let whole = self.table.row.totals.time(mode).seconds();
        if whole > 0.0 {
            totals.time(mode).seconds() / whole
        } else {
            0.0
        }
    }

    /// Half the width of the interval of a line's share. That of the function is taken as known: the
    /// interval is too wide rather than too narrow.
    fn error(&self, of_line: &TableLine<'_>) -> String {
        let Some(confidence) = self.input.confidence else {
            return String::new();
        };
        let mode = self.input.meta.mode;
        let row = &of_line.row;
        let error = confidence.of_line(&row.function, row.line);
        let whole = self.profile.totals().time(mode).seconds();
        let function = self.table.row.totals.time(mode).seconds();
        let error = error.map_or(f64::INFINITY, |error| error.total_time * whole / function);
        match 100.0 * error {
            error if error.is_finite() => format!("{error:.1}"),
            _ => "?".to_owned(),
        }
    }

    fn cells(&self, number: &str, of_line: &TableLine<'_>) -> Cells {
        let (own, total) = (&of_line.row.self_totals, &of_line.row.totals);
        let mode = self.input.meta.mode;
        let whole = self.profile.totals().wall;
        let part = self.table.row.totals.time(mode).seconds();
        let part = part / self.profile.totals().time(mode).seconds().max(1e-9);
        let precision = Precision::of(self.profile, mode).of_part(part);
        let times = self
            .table
            .lines
            .iter()
            .map(|line| line.row.totals.time(mode));
        let least = times
            .filter(|time| *time > Nanos(0))
            .min()
            .unwrap_or_default();
        let cpu = facts::busy(total);
        [
            number.to_owned(),
            total.samples.to_string(),
            precision.plain_seconds(total.time(mode), least),
            precision.plain_percent(total.time(mode)),
            self.error(of_line),
            precision.plain_seconds(own.time(mode), least),
            seconds(cpu, whole),
            facts::cores(total).map_or_else(String::new, |cores| format!("{cores:.1}")),
            bytes_with_sign(total.grown_bytes, total.shrunk_bytes),
            state(&of_line.states.total_time),
            seconds_or_nothing(total.blocked_others, whole),
            of_line.native.map_or_else(String::new, |native| {
                let share = native.time.seconds() / total.wall.seconds().max(1e-9);
                let cell = format!("{:.0} % {}", 100.0 * share, visible(native.library));
                begin_of(&cell, WIDTHS[NATIVE])
            }),
        ]
    }
}

fn seconds_or_nothing(time: Nanos, whole: Nanos) -> String {
    match time {
        Nanos(0) => String::new(),
        time => seconds(time, whole),
    }
}

/// What was done most of the time: `native 92 %`.
fn state(times: &StateTimes) -> String {
    let ranked = times.ranked();
    ranked.first().map_or_else(String::new, |(state, _)| {
        format!("{} {:.0} %", state.word(), 100.0 * times.share(*state))
    })
}

/// Says how many lines are left out between two.
fn say_hidden(text: &mut String, last: Option<u32>, next: Option<u32>) {
    let hidden = last
        .zip(next)
        .map_or(0, |(last, next)| next.saturating_sub(last + 1));
    match hidden {
        0 => {}
        1 => text.push_str("     … 1 line\n"),
        hidden => {
            let _ = writeln!(text, "     … {hidden} lines");
        }
    }
}

/// Leaves out runs of lines that were not seen, but for those next to one that was.
fn fold(shown: &mut BTreeSet<u32>, seen: &[u32]) {
    let near = |line: u32| seen.iter().any(|seen| seen.abs_diff(line) <= AROUND);
    let all: Vec<u32> = shown.iter().copied().collect();
    // The first line names the function.
    let rest = all.get(1..).unwrap_or_default();
    let runs = rest.chunk_by(|a, b| a + 1 == *b && near(*a) == near(*b));
    for line in runs
        .filter(|run| run.len() >= MIN_FOLDED && !near(run[0]))
        .flatten()
    {
        shown.remove(line);
    }
}

/// The cells of a row, but for the text of the line.
type Cells = [String; 12];

const HEAD: [&str; 12] = [
    "Line #",
    "Samples",
    "Time",
    "% Time",
    "±95%",
    "Self",
    "CPU",
    "Cores",
    "Growth MB",
    "State",
    "Blocked",
    "Native",
];

const WIDTHS: [usize; 12] = [6, 9, 10, 7, 6, 10, 10, 6, 14, 16, 9, 28];

/// Fewer lines are not worth the line that says that they are left out.
const MIN_FOLDED: usize = 3;

/// So many lines are shown before and behind one that was seen.
const AROUND: u32 = 2;

/// Places in [`HEAD`].
const ERROR: usize = 4;
const GROWTH: usize = 8;
const STATE: usize = 9;
const BLOCKED: usize = 10;
const NATIVE: usize = 11;

/// The columns that hold something, as places in [`HEAD`].
struct Columns(Vec<usize>);

impl Columns {
    fn of(profile: &Profile, table: &LineTable<'_>, has_errors: bool) -> Columns {
        let mut lines = table.lines.iter();
        let has_blocked = lines.any(|line| line.row.totals.blocked_others > Nanos(0));
        let has_native = table.lines.iter().any(|line| line.native.is_some());
        let optional = [
            (ERROR, has_errors),
            (GROWTH, facts::memory(profile).is_ok()),
            (STATE, facts::states(profile).is_ok()),
            (BLOCKED, has_blocked),
            (NATIVE, has_native),
        ];
        let is_shown = |column: &usize| {
            let known = optional.iter().find(|(optional, _)| optional == column);
            known.is_none_or(|(_, is_there)| *is_there)
        };
        Columns((0..HEAD.len()).filter(is_shown).collect())
    }

    /// The line, its time and part, and its own time.
    fn narrow(has_errors: bool) -> Columns {
        let shown = [0, 2, 3, ERROR, 5].into_iter();
        Columns(
            shown
                .filter(|column| *column != ERROR || has_errors)
                .collect(),
        )
    }

    fn row(&self, cells: &Cells, content: &str) -> String {
        let cell = |column: &usize| format!("{:>1$}", cells[*column], WIDTHS[*column]);
        let cells: Vec<String> = self.0.iter().map(cell).collect();
        format!("{}  {content}", cells.join(" "))
    }
}
