//! Turns what is to be shown into the cells of a screen.

mod cells;

mod head;

mod flame;

mod help;

mod page;

mod pane;

mod table;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

pub use cells::Palette;
pub use head::HEIGHT as HEAD_HEIGHT;
pub use page::Page;

use cells::Cells;

use super::host::Host;
use super::state::Screen;

/// On a smaller screen nothing can be read.
const MIN_WIDTH: u16 = 60;
const MIN_HEIGHT: u16 = 12;

/// With fewer lines, the table has them all.
const MIN_HEIGHT_WITH_PANE: u16 = 12;

/// What is known of one function needs no more lines.
const MAX_PANE_HEIGHT: u16 = 16;

/// Draws it.
pub fn draw(page: &Page<'_>, host: &dyn Host, area: Rect, buffer: &mut Buffer) {
    let mut cells = Cells::new(buffer, page.palette);
    if page.has_keys && (area.width < MIN_WIDTH || area.height < MIN_HEIGHT) {
        return too_small(&mut cells, area);
    }
    let rows = |from: u16, to: u16| Rect {
        y: area.y + from,
        height: to.saturating_sub(from),
        ..area
    };
    head::draw(page, host, rows(0, head::HEIGHT), &mut cells);
    let end = area.height - u16::from(page.has_keys);
    let middle = rows(head::HEIGHT, end);
    if let Some((lines, from)) = &page.state.text {
        text(lines, *from, middle, &mut cells);
        return foot(page, rows(end, area.height), &mut cells);
    }
    match (page.state.has_help, &page.answer.why_empty) {
        (true, _) => help::draw(middle, &mut cells),
        (false, Some(why)) => cells.paragraph(middle, why),
        (false, None) if page.state.screen == Screen::Findings => {
            findings(page, middle, &mut cells)
        }
        (false, None) if page.state.screen == Screen::Flame => {
            flame::draw(page, middle, &mut cells)
        }
        (false, None) => table_and_pane(page, middle, &mut cells),
    }
    if page.has_keys {
        foot(page, rows(end, area.height), &mut cells);
    }
}

/// Draws rows of which one is to be chosen.
pub fn draw_choice(
    title: &str,
    rows: &[String],
    chosen: usize,
    palette: Palette,
    area: Rect,
    buffer: &mut Buffer,
) {
    let mut cells = Cells::new(buffer, palette);
    let line = |y: u16| Rect {
        y: area.y + y.min(area.height.saturating_sub(1)),
        height: 1,
        ..area
    };
    let width = usize::from(area.width);
    cells.column(&mut line(0), title, width, palette.bold());
    let height = usize::from(area.height.saturating_sub(2));
    let first = (chosen + 1).saturating_sub(height);
    for (y, (number, row)) in (1..).zip(rows.iter().enumerate().skip(first).take(height)) {
        cells.column(&mut line(y), row, width, palette.plain());
        if number == chosen {
            cells.select(line(y));
        }
    }
    let keys = " ↑ ↓ choose  Enter watch  q quit";
    cells.column(&mut line(area.height), keys, width, palette.faint());
}

/// As many lines as there is room for.
fn text(lines: &[String], from: usize, area: Rect, cells: &mut Cells<'_>) {
    for (y, text) in (area.y..area.y + area.height).zip(lines.iter().skip(from)) {
        let mut line = Rect {
            y,
            height: 1,
            ..area
        };
        let width = usize::from(line.width);
        cells.column(&mut line, text, width, cells.palette.plain());
    }
}

fn too_small(cells: &mut Cells<'_>, area: Rect) {
    let (width, height) = (area.width, area.height);
    cells.paragraph(
        area,
        &format!(
            "rsamp top needs {MIN_WIDTH} × {MIN_HEIGHT} characters, and this terminal has {width} × {height}: make it larger, \
             or press q"
        ),
    );
}

/// The table, and below it what is known of the selected row.
fn table_and_pane(page: &Page<'_>, area: Rect, cells: &mut Cells<'_>) {
    let pane = page.answer.pane.as_ref();
    let pane = pane.filter(|_| page.has_keys && area.height >= MIN_HEIGHT_WITH_PANE);
    let Some(pane) = pane else {
        return table::draw(page, area, cells);
    };
    let height = (area.height / 2).min(MAX_PANE_HEIGHT);
    let upper = Rect {
        height: area.height - height,
        ..area
    };
    table::draw(page, upper, cells);
    let lower = Rect {
        y: area.y + upper.height,
        height,
        ..area
    };
    pane::draw(pane, lower, cells);
}

fn findings(page: &Page<'_>, area: Rect, cells: &mut Cells<'_>) {
    let mut free = area;
    if page.answer.findings.is_empty() {
        return cells.paragraph(area, "Nothing stands out in this time.");
    }
    for sentence in &page.answer.findings {
        let used = cells.item(free, sentence);
        free.y += used;
        free.height = free.height.saturating_sub(used);
    }
}

/// The screens and keys, or what is being typed or to be said.
fn foot(page: &Page<'_>, area: Rect, cells: &mut Cells<'_>) {
    let palette = page.palette;
    let mut at = area;
    if let Some(message) = &page.state.message {
        cells.text(&mut at, message, palette.loud());
        return;
    }
    if page.state.text.is_some() {
        let keys = " ↑ ↓ scroll; any other key goes back";
        return cells.text(&mut at, keys, palette.faint());
    }
    if let Some(typed) = &page.state.typing {
        cells.text(&mut at, &format!("/{typed}"), palette.plain());
        cells.text(&mut at, " ", palette.turned());
        let hint = "  name, t:thread p:process r:rank state:gil; Enter, Esc";
        cells.text(&mut at, hint, palette.faint());
        return;
    }
    for (key, screen, name) in Screen::ALL {
        let style = match screen == page.state.screen {
            true => palette.turned(),
            false => palette.plain(),
        };
        cells.text(&mut at, &format!(" {key} {name} "), style);
    }
    let keys = " / ? help q quit";
    cells.text(&mut at, keys, palette.faint());
}
