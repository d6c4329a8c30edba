//! Turns what is known of the selected function into the lower part of the screen.

use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::cells::Cells;
use super::table::percent;
use crate::tui::pane::{Pane, indent};

/// Part of the width for callers and callees, and their least width.
const CALLS_PART: u16 = 3;

/// How wide the column of shares is, and that of line numbers.
const SHARE: usize = 5;
const NUMBER: usize = 6;

/// Draws it.
pub(super) fn draw(pane: &Pane, area: Rect, cells: &mut Cells<'_>) {
    let mut line = Rect { height: 1, ..area };
    let rule = usize::from(area.width).saturating_sub(pane.title.width() + 4);
    cells.text(&mut line, "─ ", cells.palette.faint());
    let width = usize::from(line.width).saturating_sub(2);
    cells.column(
        &mut line,
        &pane.title,
        width.min(pane.title.width()),
        cells.palette.bold(),
    );
    cells.text(&mut line, " ", cells.palette.plain());
    cells.text(&mut line, &"─".repeat(rule + 1), cells.palette.faint());
    let body = Rect {
        y: area.y + 1,
        height: area.height.saturating_sub(1),
        ..area
    };
    let calls = area.width / CALLS_PART;
    let source = Rect {
        width: area.width - calls - 2,
        ..body
    };
    draw_source(pane, source, cells);
    let calls = Rect {
        x: source.x + source.width + 2,
        width: calls,
        ..body
    };
    draw_calls(pane, calls, cells);
}

fn draw_source(pane: &Pane, area: Rect, cells: &mut Cells<'_>) {
    if pane.source.iter().all(|line| line.text.is_empty()) {
        return cells.paragraph(area, "The source text of this function is not known.");
    }
    let height = usize::from(area.height);
    let last = pane.source.len().saturating_sub(height);
    let first = pane.hottest.saturating_sub(height / 2).min(last);
    let indent = pane.source.iter().filter_map(|line| indent(&line.text));
    let indent = indent.min().unwrap_or(0);
    for (y, source) in (area.y..).zip(pane.source.iter().skip(first).take(height)) {
        let mut line = Rect {
            y,
            height: 1,
            ..area
        };
        let share = source.share.map_or_else(String::new, percent);
        let heat = cells.palette.heat(source.share.unwrap_or(0.0));
        cells.number(&mut line, &share, SHARE, heat);
        let number = source.number.to_string();
        cells.number(&mut line, &number, NUMBER, cells.palette.faint());
        cells.text(&mut line, " ", cells.palette.plain());
        let width = usize::from(line.width);
        let text = source.text.get(indent..).unwrap_or_default();
        cells.column(&mut line, text, width, heat);
    }
}

/// Who calls it, and what it calls, each with as many lines as it needs, or half.
fn draw_calls(pane: &Pane, area: Rect, cells: &mut Cells<'_>) {
    let height = usize::from(area.height);
    let half = height / 2;
    let wanted = [pane.callers.len() + 1, pane.callees.len() + 1];
    let callers = wanted[0].min(half.max(height.saturating_sub(wanted[1])));
    let parts = [
        ("called by", &pane.callers, callers),
        ("calls", &pane.callees, height - callers),
    ];
    let mut y = area.y;
    for (title, calls, lines) in parts.into_iter().filter(|(_, calls, _)| !calls.is_empty()) {
        let mut line = Rect {
            y,
            height: 1,
            ..area
        };
        cells.text(&mut line, title, cells.palette.bold());
        y += 1;
        for (name, share) in calls.iter().take(lines.saturating_sub(1)) {
            let mut line = Rect {
                y,
                height: 1,
                ..area
            };
            cells.number(
                &mut line,
                &percent(*share),
                SHARE,
                cells.palette.heat(*share),
            );
            cells.text(&mut line, " ", cells.palette.plain());
            let width = usize::from(line.width);
            cells.column(&mut line, name, width, cells.palette.plain());
            y += 1;
        }
    }
}
