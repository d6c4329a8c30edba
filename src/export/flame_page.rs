//! Turns what inferno draws into the page of a flame graph: a head that stays in sight, with the title, what the colours
//! mean and what is under the pointer, and the frames below it.
//!
//! What inferno says of a frame, `(12 µs, 3 %)`, becomes the whole path, total and self time in seconds.

use std::io;

use inferno::flamegraph::color::{BackgroundColor, Color, PaletteMap};
use inferno::flamegraph::{Direction, Options, TextTruncateDirection, from_lines};

/// Narrower frames than this part of the whole are not drawn: at a width of 1200 pixels, an eighth
/// of one. inferno's own default.
pub(super) const MIN_WIDTH: f64 = 0.0001;

/// The width that the page is laid out for, in pixels; a browser widens it to its window.
const WIDTH: usize = 1200;

/// How high the head is, in pixels: title, subtitle, legend, and what is under the pointer.
const HEAD_HEIGHT: usize = 96;

/// Where inferno begins the frames below its own title, by its direction, and what it leaves below them, in pixels
/// (`ypad1`, `ypad2`: three or four lines of 12 pixels, and the details below a graph that grows up).
const fn paddings(direction: Direction) -> (usize, usize) {
    match direction {
        Direction::Inverted => (52, 22),
        Direction::Straight => (36, 34),
    }
}

/// Longer titles and subtitles than the page is wide are cut, in characters: of 12 pixels in height one is 7.3 wide.
const MAX_TITLE_CHARS: usize = 90;
const MAX_SUBTITLE_CHARS: usize = 160;

/// How wide a character of the legend is at the most, in pixels.
const CHAR_WIDTH: usize = 8;

/// What the details say while nothing is under the pointer.
const HINT: &str = "point at a frame for its path and times; click to enlarge it; Ctrl-F to search";

const CSS: &str = include_str!("flame_page.css");
const SCRIPT: &str = include_str!("flame_page.js");

/// The background of the page, on which the letters of its head stand.
pub(super) const BACKGROUND: Color = Color::new(248, 248, 248);

/// The colour of letters, as in `flame_page.css`.
#[cfg(test)]
pub(super) const LETTERS: Color = Color::new(0, 0, 0);

/// What is said beside the frames.
pub(super) struct Page<'p> {
    /// The headline.
    pub(super) title: String,
    /// One short line.
    pub(super) subtitle: String,
    /// What there is no room for: shown when the subtitle is under the pointer.
    pub(super) more: String,
    /// What the colours mean.
    pub(super) legend: Vec<(Color, &'static str)>,
    /// Which way it grows.
    pub(super) direction: Direction,
    /// Of each label, its colour; `None`: inferno colours by the difference of two numbers.
    pub(super) palette: Option<PaletteMap>,
    /// In a differential flame graph, the label and the colour of the frame that all lost time stands on.
    pub(super) gone: Option<(String, Color)>,
    /// What stands in a frame.
    pub(super) name: &'p dyn Fn(&Drawn) -> String,
    /// What is said of a frame.
    pub(super) describe: &'p dyn Fn(&Drawn) -> String,
}

/// A frame that inferno has drawn, in the units of its lines.
#[derive(Debug, Clone)]
pub(super) struct Drawn {
    /// Its label.
    pub(super) label: String,
    /// How far it is out, in pixels.
    y: i64,
    x: u64,
    /// Its width.
    pub(super) total: u64,
    /// What of it no frame stands on.
    pub(super) own: u64,
    /// The width of the whole.
    pub(super) whole: u64,
    /// By how much it is wider than before, of the whole, in percent; `None`: there is no before.
    pub(super) change_percent: Option<f64>,
}

/// Draws collapsed stacks, which must be in the order from the right to the left.
///
/// # Errors
/// When `out` fails.
pub(super) fn draw(
    lines: &[String],
    mut page: Page<'_>,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let mut palette = page.palette.take();
    let mut options = Options::default();
    options.count_name = "µs".to_owned();
    options.name_type = String::new();
    options.direction = page.direction;
    options.min_width = MIN_WIDTH * 100.0;
    options.bgcolors = Some(BackgroundColor::Grey);
    options.palette_map = palette.as_mut();
    options.text_truncate_direction = TextTruncateDirection::Right;
    // Keeps our order, reversed. Left to itself, inferno sorts whole lines, counts included, and
    // draws a frame `a` twice when the lines are `a 5`, `a z 5`, `a;b 5`.
    options.flame_chart = true;
    let mut drawn = Vec::new();
    from_lines(
        &mut options,
        lines.iter().rev().map(String::as_str),
        &mut drawn,
    )?;
    let drawn = String::from_utf8_lossy(&drawn);
    match finish(&drawn, &page) {
        Some(svg) => out.write_all(svg.as_bytes()),
        // Another inferno than the one this was made for: its own page says the same, if less well.
        None => out.write_all(drawn.as_bytes()),
    }
}

/// The page; `None` where what was drawn is not what is expected.
fn finish(drawn: &str, page: &Page<'_>) -> Option<String> {
    let (before, rest) = drawn.split_once("<style type=\"text/css\">")?;
    let (_, rest) = rest.split_once("</style>")?;
    let (script, rest) = rest.split_once("</script>")?;
    let (_, rest) = rest.split_once("<svg id=\"frames\"")?;
    let (attributes, rest) = rest.split_once('>')?;
    let frames = rest.strip_suffix("</svg></svg>")?;
    let (top, bottom) = paddings(page.direction);
    let old_height = attribute(before, " height=\"")?.parse::<usize>().ok()?;
    let height = (old_height + HEAD_HEIGHT).checked_sub(top + bottom)? + 10;
    let before = before
        .replacen(
            &format!(" height=\"{old_height}\""),
            &format!(" height=\"{height}\""),
            1,
        )
        .replacen(
            &format!("0 0 {WIDTH} {old_height}"),
            &format!("0 0 {WIDTH} {height}"),
            1,
        );
    // In a differential one, frames that did not change are as light as the background.
    let outlined = match page.gone {
        Some(_) => " class=\"outlined\"",
        None => "",
    };
    let y = HEAD_HEIGHT as i64 - top as i64;
    let mut svg = format!(
        "{before}<style type=\"text/css\">\n{CSS}</style>{script}<![CDATA[\n{SCRIPT}]]></script>\
         <rect width=\"100%\" height=\"100%\" fill=\"{}\"/>\
         <svg id=\"frames\"{outlined} y=\"{y}\"{attributes}>",
        in_css(BACKGROUND)
    );
    describe(frames, page, &mut svg)?;
    svg.push_str("</svg>");
    svg.push_str(&head(page));
    svg.push_str("</svg>\n");
    Some(svg)
}

/// The head, over whatever is scrolled below it.
fn head(page: &Page<'_>) -> String {
    let right = WIDTH - 10;
    let mut x = 10;
    let mut legend = String::new();
    for (color, words) in &page.legend {
        let text_x = x + 16;
        legend.push_str(&format!(
            "<rect x=\"{x}\" y=\"54\" width=\"12\" height=\"12\" fill=\"{}\"/><text x=\"{text_x}\" y=\"64\">{words}</text>",
            in_css(*color)
        ));
        x = text_x + words.chars().count() * CHAR_WIDTH + 12;
    }
    format!(
        "<g id=\"head\"><rect width=\"100%\" height=\"{height}\" fill=\"{background}\"/>\
         <text id=\"title\" x=\"50%\" y=\"22\">{title}</text>\
         <text id=\"subtitle\" x=\"50%\" y=\"42\"><title>{more}</title>{subtitle}</text>\
         <g id=\"legend\">{legend}</g>\
         <text id=\"details\" x=\"10\" y=\"84\">{HINT}</text>\
         <text id=\"unzoom\" class=\"hide\" x=\"10\" y=\"22\">Reset Zoom</text>\
         <text id=\"search\" x=\"{right}\" y=\"22\">Search</text>\
         <text id=\"matched\" class=\"hide\" x=\"{right}\" y=\"64\"> </text></g>",
        height = HEAD_HEIGHT - 4,
        background = in_css(BACKGROUND),
        title = escape(&cut(&page.title, MAX_TITLE_CHARS)),
        subtitle = escape(&cut(&page.subtitle, MAX_SUBTITLE_CHARS)),
        more = escape(&page.more),
    )
}

/// Writes the frames with what is said of them.
fn describe(frames: &str, page: &Page<'_>, svg: &mut String) -> Option<()> {
    let pieces = frames.split("<g><title>").skip(1);
    let pieces: Vec<(&str, &str)> = pieces
        .map(|piece| piece.split_once("</title>"))
        .collect::<Option<_>>()?;
    let mut drawn: Vec<Drawn> = pieces
        .iter()
        .map(|(title, rest)| parse(title, rest))
        .collect::<Option<_>>()?;
    let whole = drawn.iter().map(|frame| frame.total).max()?;
    let own = own_times(&drawn, page.direction);
    for (frame, own) in drawn.iter_mut().zip(own) {
        (frame.own, frame.whole) = (own, whole);
    }
    for (frame, (_, rest)) in drawn.iter().zip(&pieces) {
        let label = escape(&(page.name)(frame));
        // inferno's script cuts off the last parentheses to get the label.
        let said = (page.describe)(frame).replace('(', "[").replace(')', "]");
        svg.push_str(&format!("<g><title>{label} ({})</title>", escape(&said)));
        let gone = page.gone.as_ref().filter(|(gone, _)| *gone == frame.label);
        match attribute(rest, " fill=\"").zip(gone) {
            Some((fill, (_, color))) => svg.push_str(&rest.replacen(fill, &in_css(*color), 1)),
            None => svg.push_str(rest),
        }
    }
    Some(())
}

/// The times that no frame stands on, in the order of the frames.
fn own_times(drawn: &[Drawn], direction: Direction) -> Vec<u64> {
    // Frames of one height, from the left to the right; those that stand on a frame are one height further.
    let out = |frame: &Drawn| match direction {
        Direction::Inverted => frame.y,
        Direction::Straight => -frame.y,
    };
    let mut order: Vec<usize> = (0..drawn.len()).collect();
    order.sort_by_key(|id| (out(&drawn[*id]), drawn[*id].x));
    let mut own: Vec<u64> = drawn.iter().map(|frame| frame.total).collect();
    let mut below = 0;
    for id in &order {
        let frame = &drawn[*id];
        // The one below ends behind it.
        let is_below = |below: &Drawn| {
            let is_lower = out(below) < out(frame) && out(below) + FRAME_HEIGHT >= out(frame);
            is_lower && below.x + below.total > frame.x
        };
        while below < order.len()
            && !is_below(&drawn[order[below]])
            && out(&drawn[order[below]]) < out(frame)
        {
            below += 1;
        }
        if let Some(under) = order.get(below).filter(|under| is_below(&drawn[**under])) {
            own[*under] = own[*under].saturating_sub(frame.total);
        }
    }
    own
}

/// inferno's default, in pixels.
const FRAME_HEIGHT: i64 = 16;

/// Reads `LABEL (12 µs, 3.00%)` or `LABEL (12 µs, 3.00%; +1.00%)`, and the rectangle behind it.
fn parse(title: &str, rest: &str) -> Option<Drawn> {
    let (label, said) = title.rsplit_once(" (")?;
    let change = said.rsplit_once("; ").map(|(_, change)| change);
    let change = change.map(|change| change.trim_end_matches("%)").parse());
    Some(Drawn {
        label: unescape(label),
        y: attribute(rest, " y=\"")?.parse().ok()?,
        x: attribute(rest, " fg:x=\"")?.parse().ok()?,
        total: attribute(rest, " fg:w=\"")?.parse().ok()?,
        own: 0,
        whole: 0,
        change_percent: change.transpose().ok()?,
    })
}

fn attribute<'s>(text: &'s str, name: &str) -> Option<&'s str> {
    let (_, value) = text.split_once(name)?;
    value.split_once('"').map(|(value, _)| value)
}

/// The text, without what is too much in its middle.
pub(super) fn cut(text: &str, max_chars: usize) -> String {
    let count = text.chars().count();
    if count <= max_chars {
        return text.to_owned();
    }
    let begin = text.chars().take(max_chars / 2);
    let end = text.chars().skip(count - max_chars / 2 + 1);
    begin.chain(['…']).chain(end).collect()
}

fn in_css(color: Color) -> String {
    format!("rgb({},{},{})", color.r, color.g, color.b)
}

/// The text in a page that holds nothing to draw: inferno would write an error.
pub(super) fn write_notice(lines: &[String], out: &mut dyn io::Write) -> io::Result<()> {
    let mut text_y = 24;
    write!(
        out,
        "<?xml version=\"1.0\" standalone=\"no\"?>\n\
         <svg version=\"1.1\" width=\"1200\" height=\"90\" viewBox=\"0 0 1200 90\" \
         xmlns=\"http://www.w3.org/2000/svg\" font-family=\"monospace\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#f8f8f8\"/>\n"
    )?;
    for line in lines {
        writeln!(
            out,
            "<text x=\"600\" y=\"{text_y}\" text-anchor=\"middle\">{}</text>",
            escape(line)
        )?;
        text_y += 24;
    }
    out.write_all(b"</svg>\n")
}

fn unescape(text: &str) -> String {
    let quotes = text.replace("&quot;", "\"").replace("&apos;", "'");
    let angles = quotes.replace("&lt;", "<").replace("&gt;", ">");
    angles.replace("&amp;", "&")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
