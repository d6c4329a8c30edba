//! Turns text, bars and curves into the cells of a part of the screen.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Widget, Wrap};
use unicode_width::UnicodeWidthStr;

/// From this part of the time on, a row is hot; see [`WARM`].
const HOT: f64 = 0.2;
/// From this part on, it is warm.
const WARM: f64 = 0.05;

/// The eighths of a cell, from the left and from below.
const EIGHTHS: [&str; 9] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"];
const HEIGHTS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// How text stands out: in colours, or without any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Palette {
    /// Whether there are colours.
    pub is_coloured: bool,
}

impl Palette {
    pub(super) fn plain(self) -> Style {
        Style::default()
    }

    pub(super) fn bold(self) -> Style {
        Style::default().add_modifier(Modifier::BOLD)
    }

    pub(super) fn turned(self) -> Style {
        Style::default().add_modifier(Modifier::REVERSED)
    }

    /// What has to be seen.
    pub(super) fn loud(self) -> Style {
        self.turned().add_modifier(Modifier::BOLD)
    }

    pub(super) fn faint(self) -> Style {
        Style::default().add_modifier(Modifier::DIM)
    }

    /// Of a bar, or a curve.
    pub(super) fn bar(self) -> Style {
        self.coloured(Color::Cyan)
    }

    /// By a part of the time, from 0 to 1.
    pub(super) fn heat(self, share: f64) -> Style {
        match share {
            HOT.. => self.coloured(Color::Red).add_modifier(Modifier::BOLD),
            WARM.. => self.coloured(Color::Yellow),
            _ => Style::default(),
        }
    }

    /// Of a box in a graph, by its own part of the time; boxes beside each other can be told apart.
    pub(super) fn box_of(self, own: f64, is_even: bool) -> Style {
        if !self.is_coloured {
            return Style::default();
        }
        let ground = match (own, is_even) {
            (HOT.., _) => Color::Red,
            (WARM.., _) => Color::Yellow,
            (_, true) => Color::Cyan,
            (_, false) => Color::Blue,
        };
        Style::default().fg(Color::Black).bg(ground)
    }

    fn coloured(self, colour: Color) -> Style {
        match self.is_coloured {
            true => Style::default().fg(colour),
            false => Style::default(),
        }
    }
}

/// The cells of the screen.
pub(super) struct Cells<'b> {
    buffer: &'b mut Buffer,
    pub(super) palette: Palette,
}

impl<'b> Cells<'b> {
    pub(super) fn new(buffer: &'b mut Buffer, palette: Palette) -> Cells<'b> {
        Cells { buffer, palette }
    }

    /// Writes into the first line of what is left of an area, and takes it off.
    pub(super) fn text(&mut self, left: &mut Rect, text: &str, style: Style) {
        if left.height == 0 {
            return;
        }
        let width = usize::from(left.width);
        let (x, _) = self.buffer.set_stringn(left.x, left.y, text, width, style);
        left.width -= x - left.x;
        left.x = x;
    }

    /// The same in a column of this width; what does not fit ends in `…`.
    pub(super) fn column(&mut self, left: &mut Rect, text: &str, width: usize, style: Style) {
        let width = width.min(usize::from(left.width));
        let after = left.x + width as u16;
        let mut column = Rect {
            width: width as u16,
            ..*left
        };
        if text.width() > width && width > 0 {
            column.width -= 1;
            self.text(&mut column, text, style);
            column.width = after - column.x;
            self.text(&mut column, "…", style);
        } else {
            self.text(&mut column, text, style);
        }
        left.width -= after - left.x;
        left.x = after;
    }

    /// A number flush right in a column of this width.
    pub(super) fn number(&mut self, left: &mut Rect, text: &str, width: usize, style: Style) {
        let pad = width.saturating_sub(text.width());
        self.column(left, &format!("{}{text}", " ".repeat(pad)), width, style);
    }

    /// A part of a whole, from 0 to 1, as a bar.
    pub(super) fn bar(&mut self, left: &mut Rect, share: f64, width: usize) {
        let eighths = (share.clamp(0.0, 1.0) * width as f64 * 8.0).round() as usize;
        let full = "█".repeat(eighths / 8);
        let style = self.palette.bar();
        let bar = format!("{full}{}", EIGHTHS[eighths % 8]);
        let rest = width.saturating_sub(bar.width());
        self.text(left, &bar, style);
        self.text(left, &"·".repeat(rest), self.palette.faint());
    }

    /// Parts of a whole one after the other: the first is full, those behind it are lighter.
    pub(super) fn stack(&mut self, left: &mut Rect, shares: &[f64], width: usize) {
        const FILLS: [&str; 4] = ["█", "▓", "▒", "░"];
        let mut drawn = 0;
        let mut sum = 0.0;
        for (share, fill) in shares.iter().zip(FILLS) {
            sum += share;
            let until = (sum.min(1.0) * width as f64).round() as usize;
            let cells = until.saturating_sub(drawn);
            self.text(left, &fill.repeat(cells), self.palette.bar());
            drawn = until.max(drawn);
        }
        let rest = width.saturating_sub(drawn);
        self.text(left, &"·".repeat(rest), self.palette.faint());
    }

    /// Values from 0 to `most`, one a cell.
    pub(super) fn curve(&mut self, left: &mut Rect, values: &[Option<f64>], most: f64) {
        let height = |value: &Option<f64>| match value {
            Some(value) if *value > 0.0 => {
                let height = (value / most * 8.0).round() as usize;
                HEIGHTS[height.clamp(1, 8)]
            }
            _ => HEIGHTS[0],
        };
        let curve: String = values.iter().map(height).collect();
        let style = self.palette.bar();
        self.text(left, &curve, style);
    }

    /// Text that is broken where the area ends.
    pub(super) fn paragraph(&mut self, area: Rect, text: &str) {
        wrapped(text).render(area, self.buffer);
    }

    /// The same behind a dash; returns how many lines it took.
    pub(super) fn item(&mut self, area: Rect, text: &str) -> u16 {
        let mut line = area;
        self.text(&mut line, "- ", self.palette.plain());
        let inner = Rect {
            height: area.height,
            ..line
        };
        self.paragraph(inner, text);
        wrapped_lines(text, usize::from(inner.width)).min(area.height)
    }

    /// Turns a whole line of the area into the selected one.
    pub(super) fn select(&mut self, area: Rect) {
        let line = Rect { height: 1, ..area };
        self.buffer.set_style(line, self.palette.turned());
    }
}

fn wrapped(text: &str) -> Paragraph<'_> {
    Paragraph::new(Line::from(Span::raw(text))).wrap(Wrap { trim: true })
}

/// How many lines text takes that is broken between words.
fn wrapped_lines(text: &str, width: usize) -> u16 {
    let options =
        textwrap::Options::new(width.max(1)).word_splitter(textwrap::WordSplitter::NoHyphenation);
    u16::try_from(textwrap::wrap(text, options).len()).unwrap_or(u16::MAX)
}
