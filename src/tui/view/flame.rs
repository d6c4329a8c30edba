//! Turns the boxes of a flame graph into cells: widths are times.

use ratatui::layout::Rect;
use ratatui::style::Modifier;

use super::cells::Cells;
use super::page::Page;
use super::table::percent;

/// Draws as many depths as there is room for, that of the selected box among them, and what that box is.
pub(super) fn draw(page: &Page<'_>, area: Rect, cells: &mut Cells<'_>) {
    let rows = &page.answer.rows;
    let selected = page.state.row_in(&page.answer.keys());
    let height = usize::from(area.height).saturating_sub(1);
    let depth = |row: usize| page.answer.flame.get(row).map_or(0, |it| it.depth);
    let first = (depth(selected) + 1).saturating_sub(height);
    for (number, (row, flame)) in rows.iter().zip(&page.answer.flame).enumerate() {
        let Some(y) = flame.depth.checked_sub(first).filter(|y| *y < height) else {
            continue;
        };
        let cell = |share: f64| (share * f64::from(area.width)).round() as u16;
        let (start, end) = (cell(flame.start), cell(flame.start + flame.share));
        let width = end.min(area.width).saturating_sub(start);
        if width == 0 {
            continue;
        }
        let mut line = Rect {
            x: area.x + start,
            y: area.y + y as u16,
            width,
            height: 1,
        };
        let style = match number == selected {
            true => cells.palette.loud(),
            false => {
                let style = cells.palette.box_of(flame.own, number % 2 == 0);
                match row.is_own {
                    true => style.add_modifier(Modifier::BOLD),
                    false => style,
                }
            }
        };
        let width = usize::from(width);
        let label = if width > 2 { row.label.as_str() } else { "" };
        let pad = " ".repeat(width);
        cells.text(&mut line.clone(), &pad, style);
        cells.text(&mut line.clone(), "▏", style);
        line.x += 1;
        line.width -= 1;
        cells.column(&mut line, label, width - 1, style);
    }
    let Some((row, flame)) = rows.get(selected).zip(page.answer.flame.get(selected)) else {
        return;
    };
    let mut line = Rect {
        y: area.y + area.height.saturating_sub(1),
        height: 1,
        ..area
    };
    let (own, share) = (percent(flame.own), percent(flame.share));
    let text = format!("{share} %, {own} % itself: {}   (arrows go on)", row.detail);
    let width = usize::from(line.width);
    cells.column(&mut line, &text, width, cells.palette.bold());
}
