//! Turns a profile into an interactive flame graph.
//!
//! Drawn by the inferno crate. Widths are the chosen time; frames are those of [`super::folded`].
//! The colour of a frame depends on its module alone, so that one module looks the same in every
//! part of every graph.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::io;

use inferno::flamegraph::color::{BackgroundColor, Color, PaletteMap};
use inferno::flamegraph::{Options, TextTruncateDirection, from_lines};

use super::tree::{Path, Tree};
use super::{Direction, Meta, folded};
use crate::export::ReportInput;
use crate::export::frame_groups::FrameGroups;
use crate::export::spec::Spec;
use crate::export::words::paths::Shortener;
use crate::export::words::{labels, lost};
use crate::profile::Profile;

/// Narrower frames than this part of the whole are not drawn: at a width of 1200 pixels, an eighth
/// of one. inferno's own default.
pub(super) const MIN_WIDTH: f64 = 0.0001;

/// Frames further out than so many are drawn, deeper ones are not: a browser cannot show a picture
/// of 100 000 pixels in height, and the text of all stacks grows with the square of the depth.
pub(super) const MAX_DEPTH: usize = 1000;

/// Of more frames than so many the widest are drawn: with each one, browsers get slower, and the text of the
/// stacks that inferno wants to have at once gets longer.
const MAX_FRAMES: usize = 20_000;

/// From so many microseconds on, figures are shown in milliseconds.
const MILLISECONDS_FROM_US: u64 = 10_000_000;

/// How much of a command the subtitle has room for.
const MAX_COMMAND_CHARS: usize = 90;

/// An interactive flame graph.
pub(super) const FLAME_GRAPH: Spec = Spec::new(
    "flamegraph",
    &["svg"],
    "flame graph, open it in a browser",
    write,
);

/// Writes the SVG.
///
/// # Errors
/// When `out` fails.
fn write(input: &ReportInput<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let profile = input.profile;
    let meta = input.meta;
    let places = FrameGroups::of(profile, meta.drawing.by_line);
    let mut tree = Tree::of(profile, &places, meta);
    let total_us = tree.total_us();
    if total_us == 0 {
        let lines = [
            title(meta),
            subtitle(profile, meta, Vec::new()),
            lost::why_empty(profile, meta.mode),
        ];
        return write_notice(&lines, out);
    }
    let is_reversed = meta.drawing.is_reversed;
    // What is narrow in one order may be wide in the other.
    let narrow_us = (total_us as f64 * MIN_WIDTH) as u64;
    let min_us = if is_reversed {
        0
    } else {
        tree.min_us_of_widest(MAX_FRAMES, narrow_us)
    };
    let mut left_out = Vec::new();
    if min_us > narrow_us {
        left_out.push(format!("no more than the {MAX_FRAMES} widest frames drawn"));
    }
    if tree.prune(min_us, MAX_DEPTH) {
        left_out.push(format!("frames deeper than {MAX_DEPTH} not drawn"));
    }
    let lines = if is_reversed {
        reversed_lines(&tree)
    } else {
        lines(&tree)
    };
    let mut palette = palette(&tree, &places);
    let (count_name, factor) = unit(total_us);

    let mut options = Options::default();
    options.title = title(meta);
    options.subtitle = Some(subtitle(profile, meta, left_out));
    options.count_name = count_name.to_owned();
    options.factor = factor;
    options.direction = match meta.drawing.direction {
        Direction::Up => inferno::flamegraph::Direction::Straight,
        Direction::Down => inferno::flamegraph::Direction::Inverted,
    };
    options.min_width = MIN_WIDTH * 100.0;
    options.bgcolors = Some(BackgroundColor::Grey);
    options.palette_map = Some(&mut palette);
    options.text_truncate_direction = TextTruncateDirection::Right;
    // Keeps our order, reversed. Left to itself, inferno sorts whole lines, counts included, and
    // draws a frame `a` twice when the lines are `a 5`, `a z 5`, `a;b 5`.
    options.flame_chart = true;
    from_lines(&mut options, lines.iter().rev().map(String::as_str), out)
}

fn lines(tree: &Tree) -> Vec<String> {
    let mut lines = Vec::new();
    let Ok(()) = tree.visit(|path| {
        lines.push(folded::line(path));
        Ok::<(), Infallible>(())
    });
    lines
}

/// The stacks from the innermost frame on: equal ones are added up, and those that share their first
/// frames stand together.
fn reversed_lines(tree: &Tree) -> Vec<String> {
    let mut sums: BTreeMap<Vec<String>, u64> = BTreeMap::new();
    let Ok(()) = tree.visit(|path| {
        let labels = path.labels.iter().rev().map(|label| (*label).to_owned());
        *sums.entry(labels.collect()).or_default() += path.self_us;
        Ok::<(), Infallible>(())
    });
    let line = |(labels, self_us): (&Vec<String>, &u64)| {
        folded::line(&Path {
            labels: labels.iter().map(String::as_str).collect(),
            self_us: *self_us,
        })
    };
    sums.iter().map(line).collect()
}

/// inferno shows whole numbers only: the unit must fit.
fn unit(total_us: u64) -> (&'static str, f64) {
    if total_us >= MILLISECONDS_FROM_US {
        ("ms", 1e-3)
    } else {
        ("µs", 1.0)
    }
}

fn title(meta: &Meta) -> String {
    labels::clean(&meta.title)
}

fn subtitle(profile: &Profile, meta: &Meta, left_out: Vec<String>) -> String {
    let mut parts = Vec::new();
    let command: String = meta.command.chars().take(MAX_COMMAND_CHARS).collect();
    if !command.is_empty() {
        let cut = meta.command.chars().nth(MAX_COMMAND_CHARS).is_some();
        parts.push(labels::clean(&command) + if cut { "…" } else { "" });
    }
    parts.push(format!("{} time", meta.mode));
    parts.extend(meta.facts.iter().map(|fact| labels::clean(fact)));
    parts.push(lost::lost_briefly(profile));
    if meta.drawing.is_reversed {
        parts.push("from the innermost function on".to_owned());
    }
    parts.extend(left_out);
    parts.join(" · ")
}

/// A colour for every label; grey for what is no Python function.
fn palette(tree: &Tree, places: &FrameGroups<'_>) -> PaletteMap {
    let files = places.rows().iter().filter_map(|place| place.file);
    let shortener = Shortener::of(files);
    let mut palette = PaletteMap::default();
    let mut colors: HashMap<&str, Color> = HashMap::new();
    for (label, place) in tree.labels() {
        let place = place.and_then(|id| places.rows().get(id));
        let file = place.and_then(|place| place.file);
        let color = file.map_or(GREY, |file| {
            let module = shortener.shorten(file);
            *colors.entry(module).or_insert_with(|| color_of(module))
        });
        palette.insert(label, color);
    }
    // The frame below all, which inferno adds itself.
    palette.insert("", GREY);
    palette
}

const GREY: Color = Color::new(200, 200, 200);

/// A light colour, on which black letters can be read: its hue from a hash of the module that is
/// the same on every machine (FNV-1a, with the last step of MurmurHash3 behind it, without which
/// names that differ in their last letters only would look alike).
fn color_of(module: &str) -> Color {
    let hash = module
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    let hue = (hash >> 32) % 360;
    let lightness = 0.68 + ((hash >> 16) % 8) as f64 * 0.02;
    let chroma = 0.70 * (1.0 - (2.0_f64 * lightness - 1.0).abs());
    let channel = |shift: u64| {
        // The distance of the hue to that of the channel, in sixths of the circle.
        let sixth = ((hue + shift) % 360) as f64 / 60.0;
        let part = (2.0 - (sixth - 3.0).abs()).clamp(0.0, 1.0);
        ((lightness + chroma * (0.5 - part)) * 255.0).round() as u8
    };
    Color::new(channel(0), channel(240), channel(120))
}

/// Without any time there is nothing to draw: inferno would write an error. Says so instead.
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

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
