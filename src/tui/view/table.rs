//! Turns rows into a table with a curve of the last minute.

use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::cells::Cells;
use super::page::Page;
use crate::profile::MAX_SECONDS;
use crate::tui::answer::Row;

/// From this width on, curves have a cell for each two seconds, else for each five.
const WIDE: u16 = 100;

/// Draws as many rows as there is room for, the selected one among them.
pub(super) fn draw(page: &Page<'_>, area: Rect, cells: &mut Cells<'_>) {
    let answer = page.answer;
    let seconds_a_cell = if area.width >= WIDE { 2 } else { 5 };
    let has_curves = answer.rows.iter().any(|row| !row.trend.is_empty());
    titles(page, has_curves.then_some(seconds_a_cell), area, cells);
    let body = Rect {
        y: area.y + 1,
        height: area.height.saturating_sub(1),
        ..area
    };
    let height = usize::from(body.height);
    let selected = page.state.row_in(&answer.keys());
    let first = (selected + 1).saturating_sub(height);
    let shown = answer.rows.iter().enumerate().skip(first).take(height);
    let shown: Vec<(usize, &Row)> = shown.collect();
    let curves: Vec<Vec<Option<f64>>> = shown
        .iter()
        .map(|(_, row)| curve(&row.trend, seconds_a_cell))
        .collect();
    let most = curves.iter().flatten().flatten();
    let most = most.fold(1.0, |most: f64, value| most.max(*value));
    for (line, ((number, row), curve)) in (body.y..).zip(shown.into_iter().zip(&curves)) {
        let line = Rect {
            y: line,
            height: 1,
            ..body
        };
        let curve = has_curves.then_some((curve.as_slice(), most));
        draw_row(answer.titles, row, curve, line, cells);
        if number == selected {
            cells.select(line);
        }
    }
}

fn titles(page: &Page<'_>, seconds_a_cell: Option<usize>, mut line: Rect, cells: &mut Cells<'_>) {
    let style = cells.palette.bold();
    for title in page.answer.titles {
        cells.number(&mut line, &format!("{title}%"), figure(title), style);
    }
    if let Some(seconds) = seconds_a_cell {
        let width = MAX_SECONDS / seconds + 2;
        let title = format!("  {:>1$}", "last 60 s", width - 2);
        cells.column(&mut line, &title, width, style);
    }
    let label = format!("  {}", page.answer.label_title);
    cells.text(&mut line, &label, style);
}

/// How wide the column of this title is.
fn figure(title: &str) -> usize {
    title.width() + 2
}

fn draw_row(
    titles: &[&str],
    row: &Row,
    curve: Option<(&[Option<f64>], f64)>,
    mut line: Rect,
    cells: &mut Cells<'_>,
) {
    let heat = row.columns.first().copied().flatten().unwrap_or(0.0);
    for (number, (title, share)) in titles.iter().zip(&row.columns).enumerate() {
        let style = match number {
            0 => cells.palette.heat(heat),
            _ => cells.palette.plain(),
        };
        let text = share.map_or_else(String::new, percent);
        cells.number(&mut line, &text, figure(title), style);
    }
    cells.text(&mut line, "  ", cells.palette.plain());
    if let Some((values, most)) = curve {
        cells.curve(&mut line, values, most);
        cells.text(&mut line, "  ", cells.palette.plain());
    }
    let style = match row.is_own {
        true => cells.palette.bold(),
        false => cells.palette.plain(),
    };
    let room = usize::from(line.width);
    let width = match row.detail.is_empty() {
        true => room,
        false => row.label.width().min(room / 2),
    };
    cells.column(&mut line, &row.label, width, style);
    cells.text(&mut line, "  ", cells.palette.plain());
    let room = usize::from(line.width);
    cells.column(&mut line, &row.detail, room, cells.palette.plain());
}

/// The mean of so many seconds in each cell, the latest at the end; `None` before the sampling began.
fn curve(trend: &[f64], seconds_a_cell: usize) -> Vec<Option<f64>> {
    let cells = MAX_SECONDS / seconds_a_cell;
    let mut curve: Vec<Option<f64>> = trend
        .rchunks(seconds_a_cell)
        .take(cells)
        .map(|part| Some(part.iter().sum::<f64>() / part.len().max(1) as f64))
        .collect();
    curve.resize(cells, None);
    curve.reverse();
    curve
}

/// Two digits, which is what some seconds can tell: `37`, `3.7`, `0.4`.
pub(super) fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    let decimals = usize::from(percent < 9.95);
    format!("{percent:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_ends_with_the_latest_seconds() {
        let curve = curve(&[1.0, 0.0, 0.0, 0.5, 0.5, 1.0], 5);
        assert_eq!(curve.len(), 12);
        assert_eq!(curve[9..], [None, Some(1.0), Some(0.4)]);
    }

    #[test]
    fn shares_have_two_digits() {
        for (share, expected) in [(0.0, "0.0"), (0.0372, "3.7"), (0.0996, "10"), (1.5, "150")] {
            assert_eq!(percent(share), expected);
        }
    }
}
