//! Turns the figures of a program into the lines above the table.

use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr;

use super::cells::Cells;
use super::page::Page;
use crate::profile::Mode;
use crate::profile::event::{Nanos, State};
use crate::profile::snapshot::Span;
use crate::tui::host::Host;
use crate::tui::state::{self, Order};

/// How many lines there are.
pub const HEIGHT: u16 = 5;

/// How wide bars are.
const BAR: usize = 8;

/// So many states are named; those behind them are rare.
const MAX_STATES: usize = 3;

/// A rarer state is not named.
const MIN_STATE: f64 = 0.005;

/// Draws them.
pub(super) fn draw(page: &Page<'_>, host: &dyn Host, area: Rect, cells: &mut Cells<'_>) {
    let line = |number: u16| Rect {
        y: area.y + number,
        height: 1,
        ..area
    };
    title(page, host, line(0), cells);
    busy(page, host, line(1), cells);
    states(page, line(2), cells);
    counts(page, host, line(3), cells);
    chosen(page, line(4), cells);
}

/// What is profiled, and for how long.
fn title(page: &Page<'_>, host: &dyn Host, mut line: Rect, cells: &mut Cells<'_>) {
    cells.select(line);
    let style = cells.palette.loud();
    let clock = clock(page.answer.header.elapsed);
    let clock = match host.is_recording() {
        true => format!("{clock}, recording"),
        false => clock,
    };
    let right = match host.ended() {
        Some(why) => format!(" {why} after {clock} "),
        None => format!(" sampled for {clock} "),
    };
    let width = usize::from(line.width).saturating_sub(right.width());
    cells.column(&mut line, &format!(" {}", host.title()), width, style);
    cells.text(&mut line, &right, style);
}

/// Cores, the GIL and memory, each with a bar.
fn busy(page: &Page<'_>, host: &dyn Host, mut line: Rect, cells: &mut Cells<'_>) {
    let header = &page.answer.header;
    let plain = cells.palette.plain();
    cells.text(&mut line, "cores ", cells.palette.bold());
    let cores = match header.usable_cores {
        Some(usable) => format!("{:.1} of {usable} busy ", header.cores),
        None => format!("{:.1} busy ", header.cores),
    };
    cells.text(&mut line, &cores, plain);
    if let Some(usable) = header.usable_cores {
        cells.bar(&mut line, header.cores / f64::from(usable.max(1)), BAR);
    }
    cells.text(&mut line, "  GIL ", cells.palette.bold());
    cells.text(&mut line, &format!("{:.0} % ", 100.0 * header.gil), plain);
    cells.bar(&mut line, header.gil, BAR);
    if let Some((bytes, limit)) = header.memory {
        cells.text(&mut line, "  memory ", cells.palette.bold());
        cells.text(&mut line, &host.size(bytes), plain);
        if let Some(limit) = limit {
            cells.text(&mut line, &format!(" of {} ", host.size(limit)), plain);
            cells.bar(&mut line, bytes as f64 / limit.max(1) as f64, BAR / 2);
        }
    }
}

/// What threads did.
fn states(page: &Page<'_>, mut line: Rect, cells: &mut Cells<'_>) {
    let states = &page.answer.header.states;
    cells.text(&mut line, "time  ", cells.palette.bold());
    let shares: Vec<f64> = states.iter().map(|(_, share)| *share).collect();
    cells.stack(&mut line, &shares, 2 * BAR);
    let told = states.iter().take(MAX_STATES);
    let words = told
        .filter(|(_, share)| *share >= MIN_STATE)
        .map(|(state, share)| match state {
            State::Unknown => format!("{:.0} % not known", 100.0 * share),
            state => format!("{:.0} % {state}", 100.0 * share),
        });
    let words = words.collect::<Vec<_>>().join(", ");
    let width = usize::from(line.width);
    cells.column(
        &mut line,
        &format!(" {words}"),
        width,
        cells.palette.plain(),
    );
}

/// I/O, and how many of what.
fn counts(page: &Page<'_>, host: &dyn Host, mut line: Rect, cells: &mut Cells<'_>) {
    let header = &page.answer.header;
    cells.text(&mut line, "I/O   ", cells.palette.bold());
    let io = match header.io {
        Some((read, written)) => {
            let (read, written) = (host.size(read), host.size(written));
            format!("read {read}/s, written {written}/s")
        }
        None => "not known".to_owned(),
    };
    let processes = counted(header.processes, "process", "processes");
    let threads = counted(header.threads, "thread", "threads");
    let rate = header.samples_per_second.round();
    let text = format!("{io} · {processes}, {threads} · {rate:.0} samples/s");
    let width = usize::from(line.width);
    cells.column(&mut line, &text, width, cells.palette.plain());
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// What the keys have chosen.
fn chosen(page: &Page<'_>, mut line: Rect, cells: &mut Cells<'_>) {
    let state = page.state;
    let mut marks: Vec<(String, Style)> = Vec::new();
    if state.is_frozen {
        marks.push((" frozen: space goes on ".to_owned(), cells.palette.loud()));
    }
    if !state.filter.is_empty() {
        let text = format!(" /{} ", state.filter.text);
        marks.push((text, cells.palette.turned()));
    }
    let faint = cells.palette.faint();
    marks.push((format!(" {}", words(state, page.has_keys)), faint));
    for (text, style) in marks {
        let width = text.width().min(usize::from(line.width));
        cells.column(&mut line, &text, width, style);
    }
}

/// `last 10 s (w) · wall time (m) · your code first, by self time (s)`.
fn words(state: &state::State, has_keys: bool) -> String {
    let span = match state.span {
        Span::Seconds(1) => "last second".to_owned(),
        Span::Seconds(seconds) => format!("last {seconds} s"),
        Span::Whole => "all the time".to_owned(),
    };
    let mode = match state.mode {
        Mode::Wall => "wall time",
        Mode::Cpu => "CPU time",
        Mode::Gil => "time with the GIL",
    };
    let order = match state.order {
        Order::OwnFirst => "your code first",
        Order::SelfTime => "by self time",
        Order::TotalTime => "by total time",
    };
    let idle = match state.has_idle {
        true => "with idle waits",
        false => "without idle waits",
    };
    let words = [(span.as_str(), 'w'), (mode, 'm'), (order, 's'), (idle, 'i')];
    let words = words.map(|(word, key)| match has_keys {
        true => format!("{word} ({key})"),
        false => word.to_owned(),
    });
    words.join(" · ")
}

/// `0:07`, `12:34`, `1:02:03`.
fn clock(time: Nanos) -> String {
    let seconds = time.0 / 1_000_000_000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}
