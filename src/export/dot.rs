//! Turns a profile into a call graph in Graphviz's DOT, in the manner of gprof2dot, or into a picture
//! of it, drawn by Graphviz's program `dot`.
//!
//! A node is a function with its total time and, in parentheses, its self time; an edge is a call,
//! with the time spent in it. The colour of both tells the total time, as in gprof2dot: from dark blue (none) over green
//! to red (all). What has a smaller share than the thresholds of [`Drawing`](super::Drawing) is left out, as are all
//! functions but the [`MAX_NODES`] with the most time, and the graph's label says how many that was. Imports are one
//! function.

use std::cmp::Reverse;
use std::fmt::Write as _;
use std::io::{self, Read, Write as _};
use std::process::{Command, Stdio};
use std::thread;

use super::Meta;
use crate::export::ReportInput;
use crate::export::spec::Spec;
use crate::export::words::{labels, lost};
use crate::profile::event::Nanos;
use crate::profile::functions::{Function, FunctionId, Functions};
use crate::profile::{Profile, Totals, callers};

/// The program that draws.
const PROGRAM: &str = "dot";

/// No more functions are drawn than a screen has room for.
const MAX_NODES: usize = 60;

/// A longer label is broken into lines of so many characters: wide boxes make a picture wider than a screen.
const MAX_LINE_CHARS: usize = 28;

/// Longer edges are drawn no thicker than this, in points.
const THICKEST_POINTS: f64 = 4.0;

/// A call graph in Graphviz's DOT.
pub(super) const DOT: Spec = Spec::new(
    "dot",
    &["dot", "gv"],
    "call graph: dot -Tsvg {path} -O; xdot opens it too",
    write,
);

/// Writes the DOT source.
///
/// # Errors
/// When `out` fails.
fn write(input: &ReportInput<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let profile = input.profile.with_native_frames();
    let meta = input.meta;
    out.write_all(source(profile, meta).as_bytes())
}

/// The same, drawn by `dot`.
pub(super) const DOT_SVG: Spec = Spec::new(
    "dot-svg",
    &["dot.svg"],
    "call graph, open it in a browser",
    draw_svg,
)
.drawn_by(PROGRAM);

fn draw_svg(input: &ReportInput<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    draw(input, "svg", out)
}

/// The same as an image.
pub(super) const DOT_PNG: Spec = Spec::new(
    "dot-png",
    &["png", "dot.png"],
    "call graph, an image",
    draw_png,
)
.drawn_by(PROGRAM)
.binary();

fn draw_png(input: &ReportInput<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    draw(input, "png", out)
}

/// Writes what `dot -Tkind` draws.
///
/// # Errors
/// When `dot` is not there or fails, or `out` does.
fn draw(input: &ReportInput<'_>, kind: &str, out: &mut dyn io::Write) -> io::Result<()> {
    let source = source(input.profile.with_native_frames(), input.meta);
    let mut dot = Command::new(PROGRAM)
        .arg(format!("-T{kind}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| {
            let why = format!("start Graphviz's program {PROGRAM}: {error}");
            io::Error::new(error.kind(), why)
        })?;
    let (stdin, stderr) = (dot.stdin.take(), dot.stderr.take());
    // Each pipe is served at the same time as the others: none fills up and blocks.
    let feeder = thread::spawn(move || stdin.map(|mut pipe| pipe.write_all(source.as_bytes())));
    let complaints = thread::spawn(move || {
        let mut said = String::new();
        let _ = stderr.map(|mut pipe| pipe.read_to_string(&mut said));
        said
    });
    let copied = match dot.stdout.take() {
        Some(mut pipe) => io::copy(&mut pipe, out).map(|_| ()),
        None => Ok(()),
    };
    let status = dot.wait()?;
    let _ = feeder.join();
    let said = complaints.join().unwrap_or_default();
    copied?;
    if !status.success() {
        let said = said.lines().next().unwrap_or("without a word").to_owned();
        return Err(io::Error::other(format!("{PROGRAM} failed: {said}")));
    }
    Ok(())
}

/// The functions and calls that are drawn.
struct Graph<'p> {
    functions: Functions<'p>,
    labels: Vec<String>,
    whole: Nanos,
    meta: &'p Meta,
}

fn source(profile: &Profile, meta: &Meta) -> String {
    let functions = Functions::merging_imports(profile);
    let rows: Vec<Function<'_>> = functions.rows().iter().map(|row| row.function).collect();
    let graph = Graph {
        labels: labels::of_functions(&rows),
        whole: profile.totals().time(meta.mode),
        functions,
        meta,
    };
    let mut dot = String::from("digraph {\n");
    let nodes = graph.nodes();
    let _ = writeln!(
        dot,
        "  graph [label={}, labelloc=t, fontname=\"Helvetica\", fontsize=12, ranksep=0.3, nodesep=0.1];",
        quoted(&graph.heading(profile, &nodes))
    );
    dot.push_str(
        "  node [fontname=\"Helvetica\", fontsize=11, shape=box, style=filled, width=0, height=0, \
         margin=\"0.08,0.04\"];\n  edge [fontname=\"Helvetica\", fontsize=9];\n",
    );
    for id in &nodes.drawn {
        graph.node(&mut dot, *id);
    }
    let frameless = profile.frameless_totals();
    if graph.percent(&frameless) > 0.0 {
        let label = labels::NO_PYTHON_FRAMES.to_owned();
        graph.box_of(&mut dot, "none", label, &frameless, &frameless);
    }
    graph.edges(&mut dot, profile, &nodes.drawn);
    dot.push_str("}\n");
    dot
}

/// The functions that are drawn, in the order of their ids, and how many are not.
struct Nodes {
    drawn: Vec<FunctionId>,
    /// Because they are below the threshold.
    below: usize,
    /// Because there are [`MAX_NODES`] with more time.
    too_many: usize,
}

impl Graph<'_> {
    fn nodes(&self) -> Nodes {
        let threshold = self.meta.drawing.node_threshold_percent;
        let rows = (0_u32..).map(FunctionId).zip(self.functions.rows());
        let seen = rows.filter(|(_, row)| self.percent(&row.totals) > 0.0);
        let (mut wide, below): (Vec<_>, Vec<_>) =
            seen.partition(|(_, row)| self.percent(&row.totals) >= threshold);
        wide.sort_by_key(|(_, row)| Reverse(row.totals.time(self.meta.mode)));
        let too_many = wide.len().saturating_sub(MAX_NODES);
        wide.truncate(MAX_NODES);
        let mut drawn: Vec<FunctionId> = wide.into_iter().map(|(id, _)| id).collect();
        drawn.sort_unstable();
        Nodes {
            drawn,
            below: below.len(),
            too_many,
        }
    }

    fn percent(&self, totals: &Totals) -> f64 {
        match self.whole {
            Nanos(0) => 0.0,
            whole => 100.0 * totals.time(self.meta.mode).seconds() / whole.seconds(),
        }
    }

    fn heading(&self, profile: &Profile, nodes: &Nodes) -> String {
        let mut lines = vec![self.meta.headline(profile)];
        if self.whole == Nanos(0) {
            lines.push(lost::why_empty(profile, self.meta.mode));
        }
        let functions = |count: usize| match count {
            1 => "1 function".to_owned(),
            count => format!("{count} functions"),
        };
        let threshold = self.meta.drawing.node_threshold_percent;
        let below = format!("{} below {threshold} %", functions(nodes.below));
        let too_many = format!(
            "{} with less time than the {MAX_NODES} drawn",
            functions(nodes.too_many)
        );
        match (nodes.too_many, nodes.below) {
            (0, 0) => {}
            (0, _) => lines.push(format!("not drawn: {below}")),
            (_, 0) => lines.push(format!("not drawn: {too_many}")),
            _ => lines.push(format!("not drawn: {too_many}, and {below}")),
        }
        lines.join("\n")
    }

    fn node(&self, dot: &mut String, id: FunctionId) {
        let Some(row) = self.functions.row(id) else {
            return;
        };
        let label = self.labels.get(id.0 as usize).cloned().unwrap_or_default();
        let name = format!("f{}", id.0);
        self.box_of(dot, &name, label, &row.totals, &row.self_totals);
    }

    fn box_of(&self, dot: &mut String, name: &str, label: String, total: &Totals, own: &Totals) {
        let (total_percent, self_percent) = (self.percent(total), self.percent(own));
        let label = format!(
            "{}\n{total_percent:.2}%\n({self_percent:.2}%)\n{:.3} s",
            broken(&label),
            total.time(self.meta.mode).seconds()
        );
        let color = heat(total_percent / 100.0);
        let _ = writeln!(
            dot,
            "  {name} [label={}, fillcolor=\"{}\", fontcolor=\"{}\"];",
            quoted(&label),
            in_dot(color),
            letters_on(color)
        );
    }

    fn edges(&self, dot: &mut String, profile: &Profile, nodes: &[FunctionId]) {
        let is_drawn = |id: FunctionId| nodes.binary_search(&id).is_ok();
        for edge in callers::edges(profile, &self.functions) {
            let Some(caller) = edge.caller else { continue };
            let percent = self.percent(&edge.totals);
            let is_hot = percent > 0.0 && percent >= self.meta.drawing.edge_threshold_percent;
            // A module that imports another is no call: all imports are one function.
            let is_import = caller == edge.callee && self.is_imports(caller);
            if is_hot && !is_import && is_drawn(caller) && is_drawn(edge.callee) {
                let width = (percent / 100.0 * THICKEST_POINTS).max(0.5);
                let _ = writeln!(
                    dot,
                    "  f{} -> f{} [label=\"{percent:.2}%\", penwidth={width:.2}, color=\"{}\"];",
                    caller.0,
                    edge.callee.0,
                    in_dot(heat(percent / 100.0))
                );
            }
        }
    }

    fn is_imports(&self, id: FunctionId) -> bool {
        let row = self.functions.row(id);
        row.is_some_and(|row| row.function == Function::IMPORTS)
    }
}

/// A label in lines that are short enough, broken before its file, and at dots and underscores.
fn broken(label: &str) -> String {
    let mut lines = Vec::new();
    for part in label.split(' ') {
        let mut line = String::new();
        for piece in part.split_inclusive(['.', '_', '/']) {
            let chars = line.chars().count() + piece.chars().count();
            if !line.is_empty() && chars > MAX_LINE_CHARS {
                lines.push(std::mem::take(&mut line));
            }
            line.push_str(piece);
        }
        lines.push(line);
    }
    let mut joined = String::new();
    let mut last = 0;
    for line in lines {
        let chars = line.chars().count();
        match joined.is_empty() {
            true => {}
            false if last + chars < MAX_LINE_CHARS && !line.starts_with('(') => joined.push(' '),
            false => {
                joined.push('\n');
                last = 0;
            }
        }
        last += chars + 1;
        joined.push_str(&line);
    }
    joined
}

/// Red, green and blue, from 0 to 1.
type Rgb = [f64; 3];

/// The colour of a share of the whole, as gprof2dot's temperatures: hue, saturation and lightness between dark blue
/// (2/3, 0.8, 0.25) and red (0, 1, 0.5).
fn heat(share: f64) -> Rgb {
    let share = share.clamp(0.0, 1.0);
    let between = |cold: f64, hot: f64| cold + (hot - cold) * share;
    let (hue, saturation) = (between(2.0 / 3.0, 0.0), between(0.8, 1.0));
    let lightness = between(0.25, 0.5);
    let chroma = saturation * (1.0 - (2.0 * lightness - 1.0).abs());
    let channel = |shift: f64| {
        // The distance of the hue to that of the channel, in sixths of the circle.
        let sixth = ((hue + shift) * 6.0) % 6.0;
        let part = (2.0 - (sixth - 3.0).abs()).clamp(0.0, 1.0);
        lightness + chroma * (0.5 - part)
    };
    [channel(0.0), channel(4.0 / 6.0), channel(2.0 / 6.0)]
}

/// Written in Graphviz's way.
fn in_dot(color: Rgb) -> String {
    let [r, g, b] = color.map(|channel| (channel * 255.0).round() as u8);
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// Black or white, whichever can be read better (contrast as WCAG 2.1 defines it).
fn letters_on(color: Rgb) -> &'static str {
    let linear = color.map(|channel| match channel {
        ..=0.040_45 => channel / 12.92,
        _ => ((channel + 0.055) / 1.055).powf(2.4),
    });
    let luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    // Where the contrast to white is that to black.
    if luminance > 0.179 {
        "#000000"
    } else {
        "#ffffff"
    }
}

/// A quoted string of DOT, its lines centred. A backslash begins an escape in labels (`\N` is the
/// node's name), so that each is doubled.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", escaped.replace('\n', "\\n"))
}
