//! Turns functions and the memory of their lines into the tables that users of memory_profiler know.
//!
//! `Mem usage` is the most that was resident while the line was on a stack; `Retained` how much of what grew meanwhile is
//! most likely not given back by the end; `Increment` and `Decrement` by
//! how much memory grew and shrank meanwhile, in calls too, apart: what comes and goes would be nothing. In
//! `Occurrences` stand samples.

use std::fmt::Write as _;

use super::source_text::SourceText;
use super::words::escape::visible;
use super::words::table::{line, place};
use crate::export::ReportInput;
use crate::export::words::facts;
use crate::export::words::paths::Shortener;
use crate::profile::event::StackId;
use crate::profile::functions::Function;
use crate::profile::line_tables::{LineTable, TableLine};
use crate::profile::memory::{Memory, Peak, retaining_lines};
use crate::profile::{Profile, Totals};

const MIB: f64 = 1024.0 * 1024.0;

/// How many processes are told with their highest points.
const MAX_PEAKS: usize = 5;

/// So many lines are told that likely retain memory.
const MAX_RETAINING: usize = 5;

/// Less is not told, in bytes.
const MIN_RETAINED: u64 = 1 << 20;

/// Of a deeper stack, so many frames are told of either end.
const STACK_ENDS: usize = 8;

const NOT_AVAILABLE: &str = "n/a";

/// Writes the highest point, and the tables. The profile kept what was seen when.
#[must_use]
pub fn memory_tables(input: &ReportInput<'_>, tables: &[&LineTable<'_>]) -> String {
    let profile = input.profile;
    let none = SourceText::default();
    let source = input.sources.unwrap_or(&none);
    let memory = Memory::of(profile);
    let mut text = String::from(
        "Resident memory: what the kernel holds for the process, not what the program allocated. \
         It grows when\nmemory is first written to, and freed memory may stay. The lines at which two samples saw a \
         thread share\nthe growth between them, by how fast memory grew with each of late.\n",
    );
    let is_unsure = tables.iter().any(|table| has_doubts(table));
    if is_unsure {
        text.push_str(
            "Unsure: how much of Increment may be due to another line, which ran between the same two samples. \
             A higher\nrate (--rate) makes it less.\n",
        );
    }
    match facts::memory(profile) {
        Ok(()) => {
            for peak in memory.peaks().iter().take(MAX_PEAKS) {
                highest_point(&mut text, profile, peak);
            }
            retaining(&mut text, profile);
        }
        Err(reason) => line(
            &mut text,
            &format!("Mem usage, Retained, Increment, Decrement: not available: {reason}"),
        ),
    }
    for table in tables {
        let sheet = Sheet {
            memory: &memory,
            is_known: facts::memory(profile).is_ok(),
            is_unsure,
            table,
            source,
        };
        sheet.write(&mut text);
    }
    text
}

/// Whether so much of a line's growth is unsure that the table says it: a twentieth.
fn has_doubt(totals: &Totals) -> bool {
    totals.unsure_bytes.saturating_mul(20) >= totals.grown_bytes.max(1)
}

fn has_doubts(table: &LineTable<'_>) -> bool {
    let mut lines = table.lines.iter();
    lines.any(|line| has_doubt(&line.row.totals))
}

fn mib(bytes: u64) -> String {
    format!("{:.3} MiB", bytes as f64 / MIB)
}

fn highest_point(text: &mut String, profile: &Profile, peak: &Peak) {
    let process = profile.process(peak.process);
    let limit = process.and_then(|process| process.memory_limit);
    let limit = limit.map_or_else(String::new, |limit| {
        format!(" of a limit of {}", mib(limit))
    });
    let whose = process.filter(|_| profile.processes().len() > 1);
    let whose = whose.map_or_else(String::new, |process| {
        format!(" of process {}", process.pid)
    });
    let _ = writeln!(
        text,
        "\nHighest point{whose}: {}{limit}, {:.2} s after the start",
        mib(peak.resident),
        peak.at.seconds(),
    );
    let usage = profile.usage().iter();
    let own = usage.filter(|usage| usage.process == peak.process);
    let kernels = own.filter_map(|usage| usage.peak).max();
    if let Some(kernels) = kernels.filter(|kernels| *kernels > peak.resident) {
        let _ = writeln!(
            text,
            "By the kernel's count it was once {}, between two looks or before the first",
            mib(kernels)
        );
    }
    stack(text, profile, peak.stack);
}

/// The lines that most likely hold what was not given back.
fn retaining(text: &mut String, profile: &Profile) {
    let files = profile.frames().iter();
    let shortener = Shortener::of(files.filter_map(|frame| frame.file.as_deref()));
    let lines = retaining_lines(profile).into_iter();
    let lines = lines.filter(|line| line.bytes >= MIN_RETAINED);
    let mut lines = lines.take(MAX_RETAINING).peekable();
    if lines.peek().is_some() {
        text.push_str("\nRetained at the end, most likely from:\n");
    }
    for retaining in lines {
        let at = place(&shortener, &retaining.function, retaining.line);
        line(text, &format!("{:>16}  {at}", mib(retaining.bytes)));
    }
}

/// The frames, the outermost first.
fn stack(text: &mut String, profile: &Profile, stack: Option<StackId>) {
    let files = profile.frames().iter();
    let shortener = Shortener::of(files.filter_map(|frame| frame.file.as_deref()));
    let mut frames: Vec<String> = profile
        .frames_of(stack)
        .map(|frame| place(&shortener, &Function::from(frame), frame.line))
        .collect();
    frames.reverse();
    let middle = STACK_ENDS..frames.len().saturating_sub(STACK_ENDS);
    for (index, frame) in frames.iter().enumerate() {
        if middle.len() < 2 || !middle.contains(&index) {
            line(text, &format!("    {frame}"));
        } else if index == middle.start {
            line(text, &format!("    … {} more", middle.len()));
        }
    }
}

/// One function, to be printed.
struct Sheet<'o> {
    memory: &'o Memory<'o>,
    is_known: bool,
    /// Whether there is a column for what is unsure.
    is_unsure: bool,
    table: &'o LineTable<'o>,
    source: &'o SourceText,
}

impl Sheet<'_> {
    fn write(&self, text: &mut String) {
        let function = &self.table.row.function;
        let file = function.file.unwrap_or("(none)");
        let _ = writeln!(text, "\nFilename: {}", visible(file));
        let at = function.first_line.map(|line| format!(" at line {line}"));
        let name = visible(function.name);
        let _ = writeln!(text, "Function: {name}{}", at.unwrap_or_default());
        for note in self.source.notes(file) {
            let _ = writeln!(text, "Note: {note}");
        }
        let head = match self.is_unsure {
            true => {
                "Line #    Mem usage     Retained    Increment       Unsure    Decrement  Occurrences   Line Contents"
            }
            false => {
                "Line #    Mem usage     Retained    Increment    Decrement  Occurrences   Line Contents"
            }
        };
        let _ = writeln!(text, "\n{head}\n{}", "=".repeat(head.len()));
        let lines = &self.table.lines;
        for line in lines.iter().filter(|line| line.row.line.is_none()) {
            self.row(text, "?", Some(line), "(line not known)");
        }
        let seen: Vec<u32> = lines.iter().filter_map(|line| line.row.line).collect();
        let mut last = None;
        for number in self.source.lines_of(function, &seen) {
            if last.is_some_and(|last: u32| last + 1 < number) {
                text.push_str("     …\n");
            }
            last = Some(number);
            let of_line = lines.iter().find(|line| line.row.line == Some(number));
            let content = self.source.line(file, number).unwrap_or_default();
            self.row(text, &number.to_string(), of_line, content);
        }
    }

    fn row(&self, text: &mut String, number: &str, of_line: Option<&TableLine<'_>>, content: &str) {
        let cells = of_line.map_or_else(Default::default, |line| self.cells(line));
        let [usage, retained, increment, unsure, decrement, samples] = cells;
        let content = visible(content);
        let unsure = match self.is_unsure {
            true => format!(" {unsure:>12}"),
            false => String::new(),
        };
        let row = format!(
            "{number:>6} {usage:>12} {retained:>12} {increment:>12}{unsure} {decrement:>12} {samples:>12}   {content}"
        );
        line(text, row.trim_end());
    }

    fn cells(&self, of_line: &TableLine<'_>) -> [String; 6] {
        let row = &of_line.row;
        let total = &row.totals;
        let samples = total.samples.to_string();
        if !self.is_known {
            let none = || NOT_AVAILABLE.to_owned();
            return [none(), none(), none(), none(), none(), samples];
        }
        let usage = self.memory.of_line(&row.function, row.line);
        [
            usage.map_or_else(|| NOT_AVAILABLE.to_owned(), mib),
            mib(of_line.retained_bytes),
            mib(total.grown_bytes),
            match has_doubt(total) {
                true => mib(total.unsure_bytes),
                false => String::new(),
            },
            match total.shrunk_bytes {
                0 => mib(0),
                shrunk => format!("-{}", mib(shrunk)),
            },
            samples,
        ]
    }
}
