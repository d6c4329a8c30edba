//! Turns a profile into the answer that fits on one screen: where the time went, what stands out, and what to do next.

use std::fmt::Write as _;

use textwrap::{Options, WordSplitter};
use unicode_width::UnicodeWidthStr;

use super::colour::{Colour, Style};
use super::over_ranks;
use super::words::escape::visible;
use super::words::fit::{begin_of, end_of};
use super::words::number::grouped;
use super::words::paths::Shortener;
use super::words::precision::Precision;
use super::words::{facts, findings, health, idle, labels, lost, table, usage, work};
use crate::export::ReportInput;
use crate::profile::event::Nanos;
use crate::profile::functions::Functions;
use crate::profile::origin::{Origin, Origins};
use crate::profile::own_lines::{OwnLine, own_lines};
use crate::profile::{Profile, states};

/// With a larger error no share says anything.
const MAX_POINTS: f64 = 30.0;

/// At most so many findings.
const FINDINGS: usize = 3;

/// The ranks of at most so many launches are told of.
const LAUNCHES: usize = 2;

/// A table has no fewer rows, however low the screen is, and no more.
const MIN_ROWS: usize = 3;
const MAX_ROWS: usize = 10;

/// A row with a smaller part of the time is not worth its line, unless it is the first.
const MIN_SHARE: f64 = 0.01;

/// The place of a line takes no more of the width than one part in this.
const PLACE_PART: usize = 3;

/// What the text is to fit on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Whether it shows colours.
    pub colour: Colour,
}

/// Writes it. `head` says what was profiled and how it ended, and `tail`, line by line, what was written and what to do
/// next.
#[must_use]
pub fn first_screen(
    input: &ReportInput<'_>,
    head: &str,
    tail: &[String],
    screen: &Screen,
) -> String {
    let mut page = Page {
        text: String::new(),
        screen,
    };
    let (profile, mode) = (input.profile, input.meta.mode);
    if profile.totals().time(mode) == Nanos(0) {
        page.paragraph(head);
        page.paragraph(&lost::why_empty(profile, mode));
    } else {
        page.paragraph(&format!(
            "{head}; {}",
            accuracy(profile, Precision::of(profile, mode))
        ));
        answer(&mut page, input, tail.len());
    }
    tail.iter().for_each(|line| page.paragraph(line));
    page.text
}

/// `6,750 samples, ± 1.2 points`: half the width of the interval that holds a share of a half with 95 %.
fn accuracy(profile: &Profile, precision: Precision) -> String {
    let samples = profile.totals().samples;
    let plural = if samples == 1 { "" } else { "s" };
    let points = 100.0 * precision.largest_error();
    let accuracy = match points {
        0.0..9.95 => format!("± {points:.1} points"),
        0.0..MAX_POINTS => format!("± {points:.0} points"),
        _ => "too few for shares".to_owned(),
    };
    format!("{} sample{plural}, {accuracy}", grouped(samples))
}

fn answer(page: &mut Page<'_>, input: &ReportInput<'_>, tail_rows: usize) {
    let profile = input.profile;
    let times = states::whole(profile);
    if times.is_known() {
        page.paragraph(&format!("time: {}", facts::whole_in_words(profile, &times)));
    }
    if let Some(classes) = work::classes_in_words(profile, input.meta.mode) {
        page.paragraph(&format!("work: {classes}"));
    }
    if let Some(threads) = work::native_threads_in_words(profile) {
        page.paragraph(&threads);
    }
    if let Some(busy) = facts::busy_machine(&times) {
        page.paragraph(&busy);
    }
    if let Some(idle) = idle::left_out(profile) {
        page.paragraph(&idle);
    }
    let ranks = over_ranks::sentences(profile, input.meta.mode);
    ranks
        .iter()
        .take(LAUNCHES)
        .for_each(|it| page.paragraph(it));
    if !input.meta.is_part {
        let sentences = findings::sentences(profile);
        sentences.iter().take(FINDINGS).for_each(|it| page.item(it));
    }
    let used: Vec<String> = [usage::memory_in_words(profile)]
        .into_iter()
        .chain([usage::cores_in_words(profile).filter(|_| !input.meta.is_part)])
        .flatten()
        .collect();
    let health = health::in_words(profile);
    let below = tail_rows + usize::from(!used.is_empty()) + usize::from(health.is_some());
    tables(page, input, below);
    if !used.is_empty() {
        page.paragraph(&used.join("; "));
    }
    if let Some(health) = health {
        page.paragraph(&health);
    }
}

/// The user's own lines and the functions, with as many rows as the screen has room for above `below` others.
fn tables(page: &mut Page<'_>, input: &ReportInput<'_>, below: usize) {
    let (profile, mode) = (input.profile, input.meta.mode);
    let origins = Origins::of(profile);
    let mut lines = own_lines(profile, mode);
    // Next to nothing of the time is in the user's own code.
    let is_worth = |line: &OwnLine<'_>| {
        line.totals.time(mode).seconds() >= MIN_SHARE * profile.totals().time(mode).seconds()
    };
    if !lines.first().is_some_and(is_worth) {
        lines.clear();
    }
    let functions = Functions::of(profile);
    let functions = functions.by_self(mode);
    let files = profile.frames().iter();
    let sheet = Sheet {
        input,
        origins: &origins,
        precision: Precision::of(profile, mode),
        shortener: Shortener::of(files.filter_map(|frame| frame.file.as_deref())),
    };
    let tables = if lines.is_empty() { 1 } else { 2 };
    let free = page.screen.height.saturating_sub(page.rows() + below);
    let rows = (free.saturating_sub(tables) / tables).clamp(MIN_ROWS, MAX_ROWS);
    let worth = |times: Vec<Nanos>| {
        let whole = profile.totals().time(mode).seconds();
        let hot = times
            .iter()
            .take_while(|it| it.seconds() >= MIN_SHARE * whole);
        hot.count().clamp(1, rows)
    };
    if !lines.is_empty() {
        page.heading("your lines, with what they call");
        let shown = worth(lines.iter().map(|line| line.totals.time(mode)).collect());
        sheet.lines(page, &lines[..shown.min(lines.len())]);
    }
    page.heading("functions, without what they call");
    let times = functions.iter().map(|row| row.self_totals.time(mode));
    let shown = worth(times.collect());
    let shown = &functions[..shown.min(functions.len())];
    let least = shown.last().map(|row| row.self_totals.time(mode));
    for row in shown {
        let place = table::place(&sheet.shortener, &row.function, row.function.first_line);
        let style = match sheet.origins.of_function(&row.function) {
            Origin::Own => Style::Bold,
            _ => Style::Plain,
        };
        let time = row.self_totals.time(mode);
        let times = sheet.times(time, least.unwrap_or_default());
        page.row(&times, sheet.share(time), style, &place);
    }
}

/// What both tables have in common.
struct Sheet<'s> {
    input: &'s ReportInput<'s>,
    origins: &'s Origins,
    precision: Precision,
    shortener: Shortener,
}

impl Sheet<'_> {
    fn share(&self, time: Nanos) -> f64 {
        let whole = self.input.profile.totals().time(self.input.meta.mode);
        time.seconds() / whole.seconds()
    }

    /// Seconds and per cent, in a table of no less than `least`.
    fn times(&self, time: Nanos, least: Nanos) -> String {
        let share = 100.0 * self.share(time);
        format!(
            "{:>8} {share:>3.0}",
            self.precision.plain_seconds(time, least)
        )
    }

    fn lines(&self, page: &mut Page<'_>, lines: &[OwnLine<'_>]) {
        let widest = page.screen.width / PLACE_PART;
        let places: Vec<String> = lines.iter().map(|line| self.place(line)).collect();
        let width = places.iter().map(|place| place.width()).max();
        let width = width.unwrap_or(0).min(widest);
        let mode = self.input.meta.mode;
        let least = lines.last().map(|line| line.totals.time(mode));
        for (line, place) in lines.iter().zip(places) {
            let place = end_of(&place, width);
            let pad = " ".repeat(width - place.width());
            let text = format!("{place}{pad}  {}", self.source(line));
            let time = line.totals.time(mode);
            let times = self.times(time, least.unwrap_or_default());
            page.row(&times, self.share(time), Style::Plain, &text);
        }
    }

    /// `pd.py:41`.
    fn place(&self, line: &OwnLine<'_>) -> String {
        let file = line.function.file.unwrap_or_default();
        let file = labels::clean(self.shortener.shorten(file));
        match line.line {
            Some(line) => format!("{file}:{line}"),
            None => file,
        }
    }

    /// The text of a line; the function's name where it is not known.
    fn source(&self, line: &OwnLine<'_>) -> String {
        let sources = self.input.sources;
        let text = line
            .function
            .file
            .zip(line.line)
            .and_then(|(file, number)| {
                let text = sources?.line(file, number)?.trim();
                (!text.is_empty()).then(|| visible(text))
            });
        text.unwrap_or_else(|| format!("in {}", labels::clean(line.function.name)))
    }
}

/// No line is broken at it.
const NO_BREAK: char = '\u{a0}';

/// The text, in which no line is broken between a number and its unit.
fn with_units(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    for word in text.split(' ') {
        let is_unit = UNITS.contains(&word.trim_end_matches([',', ';', ':', ')']));
        if is_unit && joined.ends_with(|before: char| before.is_ascii_digit()) {
            joined.push(NO_BREAK);
        } else if !joined.is_empty() {
            joined.push(' ');
        }
        joined.push_str(word);
    }
    joined
}

/// The units of the numbers in sentences.
const UNITS: &[&str] = &["%", "s", "ms", "µs", "MB", "GB", "kB", "points", "Hz"];

/// Text of a width.
struct Page<'p> {
    text: String,
    screen: &'p Screen,
}

impl Page<'_> {
    fn rows(&self) -> usize {
        self.text.lines().count()
    }

    fn paragraph(&mut self, text: &str) {
        self.wrap(text, "", "  ");
    }

    fn item(&mut self, text: &str) {
        self.wrap(text, "- ", "  ");
    }

    fn wrap(&mut self, text: &str, first: &str, rest: &str) {
        let options = Options::new(self.screen.width)
            .initial_indent(first)
            .subsequent_indent(rest)
            .word_splitter(WordSplitter::NoHyphenation)
            .break_words(false);
        for line in textwrap::wrap(&with_units(text), options) {
            let line = line.replace(NO_BREAK, " ");
            let _ = writeln!(self.text, "{line}");
        }
    }

    fn heading(&mut self, text: &str) {
        let text = begin_of(&format!("{:>8} {:>3}  {text}", "s", "%"), self.screen.width);
        let text = self.screen.colour.paint(Style::Bold, &text);
        let _ = writeln!(self.text, "{text}");
    }

    fn row(&mut self, times: &str, share: f64, style: Style, text: &str) {
        let width = self.screen.width.saturating_sub(times.width() + 2);
        let colour = self.screen.colour;
        let times = colour.paint(Style::of_share(share), times);
        let text = colour.paint(style, begin_of(text, width).trim_end());
        let _ = writeln!(self.text, "{times}  {text}");
    }
}
