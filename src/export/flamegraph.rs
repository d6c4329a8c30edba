//! Turns a profile into an interactive flame graph.
//!
//! Drawn by the inferno crate. Widths are the chosen time. Equal stacks of all threads and processes are one, unless they
//! are told apart; own code is drawn line by line. The colour of a frame tells whose code it is.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;
use std::io;

use inferno::flamegraph::color::PaletteMap;

use super::flame_colors::Hue;
use super::flame_page::{self, Drawn, MIN_WIDTH, Page, write_notice};
use super::tree::{self, Path, Tree};
use super::{Direction, Meta, folded};
use crate::export::ReportInput;
use crate::export::frame_groups::FrameGroups;
use crate::export::spec::Spec;
use crate::export::words::paths::Shortener;
use crate::export::words::precision::Precision;
use crate::export::words::{idle, labels, lost};
use crate::profile::event::{IMPORT, Nanos};
use crate::profile::functions::FunctionKind;
use crate::profile::origin::Origins;
use crate::profile::paths::file_name;
use crate::profile::{Mode, Profile};

/// Frames further out than so many are drawn, deeper ones are not: a browser cannot show a picture
/// of 100 000 pixels in height, and the text of all stacks grows with the square of the depth.
pub(super) const MAX_DEPTH: usize = 1000;

/// Of more frames than so many the widest are drawn: with each one, browsers get slower, and the text of the
/// stacks that inferno wants to have at once gets longer.
const MAX_FRAMES: usize = 20_000;

/// How much of a command the subtitle has room for.
const MAX_COMMAND_CHARS: usize = 50;

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
    let profile = input.profile.with_native_frames();
    let meta = input.meta;
    let origins = Origins::of(profile);
    let places = FrameGroups::drawn(profile, meta.drawing.lines, &origins);
    let mut tree = Tree::for_flame_graph(profile, &places, meta);
    let total_us = tree.total_us();
    if total_us == 0 {
        let lines = [
            labels::clean(&meta.title),
            more(profile, meta, Vec::new()),
            lost::why_empty(profile, meta.mode),
        ];
        return write_notice(&lines, out);
    }
    let left_out = prune(&mut tree, total_us, meta.drawing.is_reversed);
    let lines = if meta.drawing.is_reversed {
        reversed_lines(&tree)
    } else {
        lines(&tree)
    };
    let (palette, hues) = palette(&tree, &places, &origins);
    let paths = paths(&tree, &places);
    let precision = Precision::of(profile, meta.mode);
    let legend = Hue::ALL.into_iter().filter(|hue| hues.contains(hue));
    let page = Page {
        title: labels::clean(&meta.title),
        subtitle: subtitle(profile, meta),
        more: more(profile, meta, left_out),
        legend: legend.map(|hue| (hue.color(), hue.words())).collect(),
        direction: match meta.drawing.direction {
            Direction::Up => inferno::flamegraph::Direction::Straight,
            Direction::Down => inferno::flamegraph::Direction::Inverted,
        },
        palette: Some(palette),
        gone: None,
        name: &|frame| name(frame, precision),
        describe: &|frame| describe(frame, &paths, precision, meta.drawing.is_reversed),
    };
    flame_page::draw(&lines, page, out)
}

/// Leaves out what is too narrow or too deep, and tells what more than the narrowest that was.
fn prune(tree: &mut Tree, total_us: u64, is_reversed: bool) -> Vec<String> {
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
    left_out
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

/// What stands in a frame: of an import also how long it took, `import pandas (0.73 s)`.
fn name(frame: &Drawn, precision: Precision) -> String {
    let time = Nanos(frame.total * 1000);
    match frame.label.starts_with(IMPORT) {
        true => format!("{} ({} s)", frame.label, precision.seconds(time)),
        false => frame.label.clone(),
    }
}

/// The file and line, total and self time of a frame. Where callers stand on what they called, no frame has time of its
/// own that says anything.
fn describe(
    frame: &Drawn,
    paths: &HashMap<&str, String>,
    precision: Precision,
    is_reversed: bool,
) -> String {
    let nanos = |time_us: u64| Nanos(time_us * 1000);
    let seconds = |time_us: u64| format!("{} s", precision.seconds(nanos(time_us)));
    let path = paths.get(frame.label.as_str());
    let path = path.map(|path| format!("{path} · ")).unwrap_or_default();
    let percent = precision.percent(nanos(frame.total));
    let total = format!("{path}total {}, {percent} %", seconds(frame.total));
    match is_reversed {
        true => total,
        false => format!("{total} · self {}", seconds(frame.own)),
    }
}

/// Of each label, the file and line that it stands for.
fn paths<'t>(tree: &'t Tree, places: &FrameGroups<'_>) -> HashMap<&'t str, String> {
    let shortener = Shortener::of(places.rows().iter().filter_map(|place| place.file));
    let path = |(label, place): (&'t str, Option<usize>)| {
        let place = places.rows().get(place?)?;
        let file = labels::one_line(shortener.shorten(place.file?));
        let line = place.first_line.map(|line| format!(":{line}"));
        Some((label, file + &line.unwrap_or_default()))
    };
    tree.labels().filter_map(path).collect()
}

/// What was run, for how long, by which Python.
fn subtitle(profile: &Profile, meta: &Meta) -> String {
    let mut parts = Vec::new();
    if !meta.command.is_empty() {
        let command = labels::clean(&meta.command);
        let (program, arguments) = command.split_once(' ').unwrap_or((&command, ""));
        let command = format!("{} {arguments}", file_name(program));
        parts.push(flame_page::cut(command.trim(), MAX_COMMAND_CHARS));
    }
    if meta.drawing.is_reversed {
        parts.push("from the innermost function on".to_owned());
    }
    parts.push(format!("{:.1} s", profile.duration().seconds()));
    if meta.mode != Mode::Wall {
        parts.push(format!("{} time", meta.mode));
    }
    let pythons: BTreeSet<&str> = profile.processes().iter().map(|p| &*p.python).collect();
    let pythons: Vec<&str> = pythons.into_iter().filter(|p| !p.is_empty()).collect();
    if let [python] = pythons[..] {
        parts.push(format!("Python {}", labels::clean(python)));
    }
    if profile.processes().len() > 1 {
        parts.push(format!("{} processes", profile.processes().len()));
    }
    parts.extend(idle::left_out(profile));
    parts.join(" · ")
}

/// What else there is to say.
fn more(profile: &Profile, meta: &Meta, left_out: Vec<String>) -> String {
    let mut parts: Vec<String> = Vec::new();
    if !meta.command.is_empty() {
        parts.push(labels::clean(&meta.command));
    }
    parts.push(format!("{} time", meta.mode));
    parts.extend(meta.facts.iter().map(|fact| labels::clean(fact)));
    parts.push(lost::lost_briefly(profile));
    parts.extend(left_out);
    parts.join(" · ")
}

/// A colour for every label, and what the colours stand for.
fn palette(
    tree: &Tree,
    places: &FrameGroups<'_>,
    origins: &Origins,
) -> (PaletteMap, BTreeSet<Hue>) {
    let files = places.rows().iter().filter_map(|place| place.file);
    let shortener = Shortener::of(files);
    let waits: BTreeSet<String> = tree::wait_labels().collect();
    let mut palette = PaletteMap::default();
    let mut hues = BTreeSet::new();
    for (label, place) in tree.labels() {
        let place = place.and_then(|id| places.rows().get(id));
        let (hue, color) = match place {
            None if waits.contains(label) => (Hue::Waiting, Hue::Waiting.color()),
            None => (Hue::Other, Hue::Other.color()),
            Some(place) => {
                let hue = Hue::from(origins.of_function(place));
                let module = match place.kind {
                    FunctionKind::Native(module) => Some(file_name(module)),
                    _ => place.file.map(|file| shortener.shorten(file)),
                };
                (hue, module.map_or(hue.color(), |module| hue.shade(module)))
            }
        };
        hues.insert(hue);
        palette.insert(label, color);
    }
    // The frame below all, which inferno adds itself.
    palette.insert("", Hue::Other.color());
    (palette, hues)
}
