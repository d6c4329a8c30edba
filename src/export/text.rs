//! Turns a profile into a report of plain text.

use std::fmt::Write as _;
use std::io;

use super::over_ranks;
use crate::export::spec::Spec;
use crate::export::words::lost::{lost_in_words, why_empty};
use crate::export::words::paths::Shortener;
use crate::export::words::precision::{self, Precision};
use crate::export::words::table::{line, more, place};
use crate::export::words::units::{seconds, span};
use crate::export::words::{self, findings, idle, labels, rates, usage};
use crate::export::{Meta, ReportInput, SummaryOptions};
use crate::profile::confidence::{Confidence, Error};
use crate::profile::event::{Nanos, ThreadId, UndeterminedCause};
use crate::profile::functions::{Function, FunctionKind, FunctionRow, Functions};
use crate::profile::lines::Lines;
use crate::profile::{Mode, Profile, Totals, work};

/// How many rows a table of the written report has at most.
const REPORT_ROWS: usize = 100;

/// A plain-text report.
pub(super) const TEXT: Spec = Spec::new("text", &["txt"], "report", write);

/// Writes the report.
///
/// # Errors
/// When `out` fails.
fn write(input: &ReportInput<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let meta = input.meta;
    let options = SummaryOptions {
        functions: REPORT_ROWS,
        lines: REPORT_ROWS,
        threads: REPORT_ROWS,
        mode: meta.mode,
        is_part: meta.is_part,
    };
    let command = [meta.command.clone()];
    let command = command.iter().filter(|command| !command.is_empty());
    let heads = [&meta.title].into_iter().chain(command).chain(&meta.facts);
    for head in heads.filter(|head| !head.is_empty()) {
        writeln!(out, "{}", labels::clean(head))?;
    }
    out.write_all(b"\n")?;
    out.write_all(summary_of(input, &options).as_bytes())
}

/// Duration, samples, what was lost, the threads, and the hottest functions and lines, with a line
/// break at the end.
///
/// Shares are of the time of all threads together.
#[must_use]
pub fn summary(profile: &Profile, options: &SummaryOptions) -> String {
    summary_of(&ReportInput::new(profile, &Meta::default()), options)
}

/// The same, with the confidence intervals of the shares in the tables of functions and lines, where they are asked for.
#[must_use]
pub fn summary_of(input: &ReportInput<'_>, options: &SummaryOptions) -> String {
    let (profile, confidence) = (input.profile, input.confidence);
    let mut text = String::new();
    head(&mut text, profile);
    if profile.totals().time(options.mode) == Nanos(0) {
        line(&mut text, &why_empty(profile, options.mode));
        return text;
    }
    effort(&mut text, profile);
    frameless(&mut text, profile, options.mode);
    not_sampled(&mut text, profile);
    usage::write(&mut text, profile, options.is_part);
    if profile.python_threads() > 1 && options.threads > 0 {
        threads(&mut text, profile, options);
    }
    if profile.processes().len() > 1 && options.threads > 0 {
        processes(&mut text, profile, options);
    }
    tables(&mut text, profile, options, confidence);
    native_functions(&mut text, profile, options);
    classes(&mut text, profile, options.mode);
    over_ranks::tables(&mut text, profile, options);
    if !options.is_part {
        found(&mut text, profile);
    }
    text
}

/// The native functions: their times are parts of those of the Python functions that call them.
fn native_functions(text: &mut String, profile: &Profile, options: &SummaryOptions) {
    let functions = Functions::of(profile.with_native_frames());
    let by_self = functions.by_self(options.mode);
    let is_native = |row: &&&FunctionRow<'_>| matches!(row.function.kind, FunctionKind::Native(_));
    let rows = by_self.iter().filter(is_native);
    let mut rows = rows.filter(|row| row.self_totals.samples > 0).peekable();
    if rows.peek().is_none() {
        return;
    }
    let files = functions.rows().iter().filter_map(|row| row.function.file);
    let table = Table {
        mode: options.mode,
        precision: Precision::of(profile, options.mode),
        shortener: Shortener::of(files),
        has_errors: false,
    };
    let rows = rows.map(|row| TableRow {
        own: row.self_totals,
        total: row.totals,
        place: table.function(&row.function),
        error: None,
    });
    let heading = format!("native functions by self time ({})", options.mode);
    table.write(text, &heading, rows, options.functions);
}

/// The classes of work, and the threads without Python frames.
fn classes(text: &mut String, profile: &Profile, mode: Mode) {
    let rows = work::classes(profile, mode);
    let whole = profile.totals();
    let precision = Precision::of(profile, mode);
    if !rows.is_empty() {
        let _ = writeln!(
            text,
            "\nclasses of work\n{:>9} {:>6} {:>9} {:>9}  class",
            "wall s", "%", "cpu s", "gil s"
        );
    }
    for row in rows {
        let (_, share) = precision.cells(row.totals.time(mode), None);
        let _ = writeln!(
            text,
            "{:>9} {share} {:>9} {:>9}  {}",
            seconds(row.totals.wall, whole.wall),
            seconds(row.totals.cpu, whole.wall),
            seconds(row.totals.gil, whole.wall),
            words::work::class(row.class),
        );
    }
    if let Some(threads) = words::work::native_threads_in_words(profile) {
        line(text, &format!("\n{threads}"));
    }
}

/// What stands out.
fn found(text: &mut String, profile: &Profile) {
    let sentences = findings::sentences(profile);
    if !sentences.is_empty() {
        text.push_str("\nfindings\n");
    }
    for sentence in sentences {
        line(text, &format!("- {sentence}"));
    }
}

/// How often was sampled, and what it took.
fn effort(text: &mut String, profile: &Profile) {
    if let (Some(rates), Some(percent)) =
        (rates::in_words(profile), rates::own_cpu_percent(profile))
    {
        let decimals = if percent < 0.095 { 2 } else { 1 };
        let own = format!("rsamp used {percent:.decimals$} % of a core");
        line(text, &format!("rate: {rates}; {own}"));
    }
    let (undetermined, stops) = (profile.undetermined_samples(), profile.stops());
    if undetermined + stops > 0 {
        let stopped = match stops {
            0 => "no thread was paused".to_owned(),
            1 => "a thread was paused for 1 sample".to_owned(),
            stops => format!("a thread was paused for {stops} samples"),
        };
        let causes = profile.undetermined().iter();
        let causes: Vec<String> = causes
            .map(|(cause, n)| format!("{n} {}", undetermined_in_words(*cause)))
            .collect();
        let causes = match causes.as_slice() {
            [] => String::new(),
            causes => format!(" ({})", causes.join(", ")),
        };
        line(
            text,
            &format!("undetermined samples: {undetermined}{causes}; {stopped}"),
        );
    }
}

fn undetermined_in_words(cause: UndeterminedCause) -> &'static str {
    match cause {
        UndeterminedCause::Moved => "with moved frames",
        UndeterminedCause::Changing => "with an uncertain innermost frame",
        UndeterminedCause::Mixed => "with inconsistent frames",
        UndeterminedCause::Unread => "with unreadable code",
    }
}

/// The time that no row of the tables holds.
fn frameless(text: &mut String, profile: &Profile, mode: Mode) {
    let precision = Precision::of(profile, mode);
    let part = profile.frameless_totals().time(mode);
    if part > Nanos(0) {
        let (part, share) = (precision.seconds(part), precision.percent(part));
        let _ = writeln!(text, "without Python frames: {part} s, {share} %");
    }
}

/// The time of all threads that was not sampled, by cause. In the tables it is in rows of its own.
fn not_sampled(text: &mut String, profile: &Profile) {
    let whole = profile.totals().wall;
    for (cause, time) in profile.not_sampled() {
        let share = 100.0 * time.seconds() / whole.seconds();
        let time = seconds(time, whole);
        let _ = writeln!(text, "not sampled: {time} s, {share:.1} % ({cause})");
    }
}

fn tables(
    text: &mut String,
    profile: &Profile,
    options: &SummaryOptions,
    confidence: Option<&Confidence<'_>>,
) {
    let functions = Functions::of(profile);
    let files = functions.rows().iter().filter_map(|row| row.function.file);
    let table = Table {
        mode: options.mode,
        precision: Precision::of(profile, options.mode),
        shortener: Shortener::of(files),
        has_errors: confidence.is_some(),
    };
    let mode = options.mode;
    let function = |row: &&FunctionRow<'_>| TableRow {
        own: row.self_totals,
        total: row.totals,
        place: table.function(&row.function),
        error: confidence.and_then(|known| known.of_function(&row.function)),
    };
    let by_self = functions.by_self(mode);
    let rows = by_self.iter().filter(|row| row.self_totals.samples > 0);
    let heading = format!("functions by self time ({mode})");
    table.write(text, &heading, rows.map(function), options.functions);

    let by_total = functions.by_total(mode);
    let rows = by_total.iter().filter(|row| row.totals.samples > 0);
    let heading = format!("functions by total time ({mode})");
    table.write(text, &heading, rows.map(function), options.functions);

    if options.lines > 0 {
        let lines = Lines::of(profile, &functions);
        let by_self = lines.by_self(mode);
        let hot = by_self.iter().filter(|row| row.self_totals.samples > 0);
        let rows = hot.map(|row| TableRow {
            own: row.self_totals,
            total: row.totals,
            place: table.place(&row.function, row.line),
            error: confidence.and_then(|known| known.of_line(&row.function, row.line)),
        });
        let heading = format!("lines by self time ({mode})");
        table.write(text, &heading, rows, options.lines);
    }
}

pub(super) fn head(text: &mut String, profile: &Profile) {
    let plural = |count: u64, what: &str| match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    };
    let mut parts = vec![
        recorded(profile),
        plural(profile.totals().samples, "sample"),
        plural(profile.python_threads() as u64, "thread"),
    ];
    if profile.processes().len() > 1 {
        parts.push(format!("{} processes", profile.processes().len()));
    }
    match profile.skipped() {
        0 => {}
        count => parts.push(format!(
            "{count} other {} ran no Python or ended too soon",
            if count == 1 { "process" } else { "processes" }
        )),
    }
    line(text, &parts.join(", "));
    line(text, &lost_in_words(profile));
    if let Some(idle) = idle::left_out(profile) {
        line(text, &idle);
    }
    if !profile.is_complete() && profile.totals().samples > 0 {
        line(
            text,
            "the recording is incomplete (rsamp was killed, the disk was full, or it still records)",
        );
    }
}

/// `4.1 s recorded`. Of runs with much time between them: `4.1 s sampled within 86400.0 s`.
fn recorded(profile: &Profile) -> String {
    let (sampled, duration) = (profile.sampled_time(), profile.duration());
    let is_apart = profile.processes().len() > 1 && sampled > Nanos(0);
    if is_apart && sampled.0 < duration.0 / 2 {
        return format!("{} sampled within {}", span(sampled), span(duration));
    }
    format!("{} recorded", span(duration))
}

fn threads(text: &mut String, profile: &Profile, options: &SummaryOptions) {
    let several = profile.processes().len() > 1;
    let ids = (0..).map(ThreadId);
    let rows = ids.zip(profile.threads()).zip(profile.thread_totals());
    let rows = rows.filter(|((id, _), _)| !profile.is_native_thread(*id));
    let rows = rows.map(|((_, thread), totals)| {
        let process = profile.process(thread.process).filter(|_| several);
        let process = process.map_or_else(String::new, |process| format!(" of {}", process.pid));
        (format!("{}{process}", labels::thread_name(thread)), *totals)
    });
    let mut rows: Vec<(String, Totals)> = rows.collect();
    rows.sort_by_key(|(_, totals)| std::cmp::Reverse(totals.time(options.mode)));
    let count = rows.len();
    let names = ("threads", "thread");
    owners(text, profile, options, names, (rows, count));
}

fn processes(text: &mut String, profile: &Profile, options: &SummaryOptions) {
    let mut sums = vec![Totals::default(); profile.processes().len()];
    for (thread, totals) in profile.threads().iter().zip(profile.thread_totals()) {
        if let Some(sum) = sums.get_mut(thread.process.0 as usize) {
            *sum += *totals;
        }
    }
    let names = ("processes", "process");
    let rows = families(profile, &sums, options);
    owners(text, profile, options, names, (rows, sums.len()));
}

/// The processes with the most time, each below the one that started it.
fn families(profile: &Profile, sums: &[Totals], options: &SummaryOptions) -> Vec<(String, Totals)> {
    let mut by_time: Vec<usize> = (0..sums.len()).collect();
    by_time.sort_by_key(|id| std::cmp::Reverse(sums[*id].time(options.mode)));
    by_time.truncate(options.threads);
    let parent = |id: usize| {
        let parent = profile.processes()[id].parent.map(|id| id.0 as usize);
        // A damaged recording may have any parent.
        parent.filter(|parent| *parent < id && by_time.contains(parent))
    };
    let mut rows = Vec::new();
    // A process and how many stand above it.
    let roots = by_time.iter().rev().filter(|id| parent(**id).is_none());
    let mut todo: Vec<(usize, usize)> = roots.map(|id| (*id, 0)).collect();
    while let Some((id, depth)) = todo.pop() {
        let process = &profile.processes()[id];
        let seen = match process.seen {
            Nanos(0) => String::new(),
            seen => format!(", from {} s", seconds(seen, profile.duration())),
        };
        let label = labels::of_process(process);
        rows.push((format!("{}{label}{seen}", "  ".repeat(depth)), sums[id]));
        let children = by_time
            .iter()
            .rev()
            .filter(|child| parent(**child) == Some(id));
        todo.extend(children.map(|child| (*child, depth + 1)));
    }
    rows
}

/// What the tables of threads and processes have in common. `names` are those of the table and of its last
/// column; the rows come with how many there would be.
fn owners(
    text: &mut String,
    profile: &Profile,
    options: &SummaryOptions,
    names: (&str, &str),
    (rows, count): (Vec<(String, Totals)>, usize),
) {
    let _ = writeln!(
        text,
        "\n{}\n{:>9} {:>9} {:>9} {:>9}  {}",
        names.0, "wall s", "cpu s", "gil s", "samples", names.1
    );
    let whole = profile.totals();
    for (name, totals) in rows.iter().take(options.threads) {
        let _ = writeln!(
            text,
            "{:>9} {:>9} {:>9} {:>9}  {name}",
            seconds(totals.wall, whole.wall),
            seconds(totals.cpu, whole.wall),
            seconds(totals.gil, whole.wall),
            totals.samples,
        );
    }
    more(text, count, options.threads);
}

/// What the tables of functions and lines have in common.
struct Table {
    mode: Mode,
    precision: Precision,
    shortener: Shortener,
    /// Whether rows come with the errors of their shares.
    has_errors: bool,
}

/// A row of a function or line.
struct TableRow {
    own: Totals,
    total: Totals,
    place: String,
    error: Option<Error>,
}

impl Table {
    fn write(
        &self,
        text: &mut String,
        heading: &str,
        rows: impl Iterator<Item = TableRow>,
        max_rows: usize,
    ) {
        let sign = if self.has_errors { "   ±95%" } else { "" };
        let _ = writeln!(
            text,
            "\n{heading}\n{:>9} {:>6}{sign} {:>9} {:>6}{sign}",
            "self s", "%", "total s", "%"
        );
        let mut count = 0;
        for row in rows {
            count += 1;
            if count <= max_rows {
                let error = |of: fn(&Error) -> f64| row.error.as_ref().map(of);
                let (self_s, self_share) = self.columns(&row.own, error(|it| it.self_time));
                let (total_s, total_share) = self.columns(&row.total, error(|it| it.total_time));
                let self_error = self.error(row.error.map(|error| error.self_time));
                let total_error = self.error(row.error.map(|error| error.total_time));
                let _ = writeln!(
                    text,
                    "{self_s} {self_share}{self_error} {total_s} {total_share}{total_error}  {}",
                    row.place
                );
            }
        }
        more(text, count, max_rows);
    }

    /// Half the width of an interval, in percentage points; `?` for a recording too short to tell.
    fn error(&self, error: Option<f64>) -> String {
        match error {
            _ if !self.has_errors => String::new(),
            Some(error) if error.is_finite() => format!(" {}", precision::points(error)),
            _ => format!(" {:>6}", "?"),
        }
    }

    fn columns(&self, totals: &Totals, error: Option<f64>) -> (String, String) {
        self.precision.cells(totals.time(self.mode), error)
    }

    fn function(&self, function: &Function<'_>) -> String {
        self.place(function, function.first_line)
    }

    fn place(&self, function: &Function<'_>, line: Option<u32>) -> String {
        place(&self.shortener, function, line)
    }
}
