//! Turns a profile into a call graph in Graphviz's DOT, in the manner of gprof2dot, or into a picture
//! of it, drawn by Graphviz's program `dot`.
//!
//! A node is a function with its total time and, in parentheses, its self time; an edge is a call,
//! with the time spent in it. A node's colour tells its self time: from blue (none) over green and
//! yellow to red (half of the whole or more). What has a smaller share than the thresholds of
//! [`Drawing`](super::Drawing) is left out, and the graph's label says how much that was.

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

/// From this share of the whole on, self time is shown in the hottest colour, in percent.
const HOTTEST_PERCENT: f64 = 50.0;

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
    let profile = input.profile;
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
.as_bytes();

fn draw_png(input: &ReportInput<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    draw(input, "png", out)
}

/// Writes what `dot -Tkind` draws.
///
/// # Errors
/// When `dot` is not there or fails, or `out` does.
fn draw(input: &ReportInput<'_>, kind: &str, out: &mut dyn io::Write) -> io::Result<()> {
    let source = source(input.profile, input.meta);
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
    let functions = Functions::of(profile);
    let rows: Vec<Function<'_>> = functions.rows().iter().map(|row| row.function).collect();
    let graph = Graph {
        labels: labels::of_functions(&rows),
        whole: profile.totals().time(meta.mode),
        functions,
        meta,
    };
    let mut dot = String::from("digraph {\n");
    let (nodes, hidden) = graph.nodes();
    let _ = writeln!(
        dot,
        "  graph [label={}, labelloc=t, fontname=\"Helvetica\", ranksep=0.25, nodesep=0.125];",
        quoted(&graph.heading(profile, hidden))
    );
    dot.push_str(
        "  node [fontname=\"Helvetica\", shape=box, style=filled, fontcolor=\"#000000\", \
         width=0, height=0];\n  edge [fontname=\"Helvetica\"];\n",
    );
    for id in &nodes {
        graph.node(&mut dot, *id);
    }
    let frameless = profile.frameless_totals();
    if graph.percent(&frameless) > 0.0 {
        let label = labels::NO_PYTHON_FRAMES.to_owned();
        graph.box_of(&mut dot, "none", label, &frameless, &frameless);
    }
    graph.edges(&mut dot, profile, &nodes);
    dot.push_str("}\n");
    dot
}

impl Graph<'_> {
    /// The functions that are drawn, and how many are not.
    fn nodes(&self) -> (Vec<FunctionId>, usize) {
        let rows = (0_u32..).map(FunctionId).zip(self.functions.rows());
        let seen = rows.filter(|(_, row)| self.percent(&row.total_time) > 0.0);
        let (drawn, hidden): (Vec<_>, Vec<_>) = seen.partition(|(_, row)| {
            self.percent(&row.total_time) >= self.meta.drawing.node_threshold_percent
        });
        (drawn.into_iter().map(|(id, _)| id).collect(), hidden.len())
    }

    fn percent(&self, totals: &Totals) -> f64 {
        match self.whole {
            Nanos(0) => 0.0,
            whole => 100.0 * totals.time(self.meta.mode).seconds() / whole.seconds(),
        }
    }

    fn heading(&self, profile: &Profile, hidden: usize) -> String {
        let mut lines = vec![self.meta.headline(profile)];
        if self.whole == Nanos(0) {
            lines.push(lost::why_empty(profile, self.meta.mode));
        }
        if hidden > 0 {
            let threshold = self.meta.drawing.node_threshold_percent;
            let plural = if hidden == 1 { "" } else { "s" };
            lines.push(format!(
                "not drawn: {hidden} function{plural} below {threshold} %"
            ));
        }
        lines.join("\n")
    }

    fn node(&self, dot: &mut String, id: FunctionId) {
        let Some(row) = self.functions.row(id) else {
            return;
        };
        let label = self.labels.get(id.0 as usize).cloned().unwrap_or_default();
        let name = format!("f{}", id.0);
        self.box_of(dot, &name, label, &row.total_time, &row.self_time);
    }

    fn box_of(&self, dot: &mut String, name: &str, label: String, total: &Totals, own: &Totals) {
        let (total_percent, self_percent) = (self.percent(total), self.percent(own));
        let label = format!(
            "{label}\n{total_percent:.2}%\n({self_percent:.2}%)\n{:.3} s",
            total.time(self.meta.mode).seconds()
        );
        let color = color(self_percent / HOTTEST_PERCENT);
        let _ = writeln!(
            dot,
            "  {name} [label={}, fillcolor=\"{color}\"];",
            quoted(&label)
        );
    }

    fn edges(&self, dot: &mut String, profile: &Profile, nodes: &[FunctionId]) {
        let is_drawn = |id: FunctionId| nodes.binary_search(&id).is_ok();
        for edge in callers::edges(profile, &self.functions) {
            let Some(caller) = edge.caller else { continue };
            let percent = self.percent(&edge.total_time);
            let is_hot = percent > 0.0 && percent >= self.meta.drawing.edge_threshold_percent;
            if is_hot && is_drawn(caller) && is_drawn(edge.callee) {
                let width = (percent / 100.0 * THICKEST_POINTS).max(0.5);
                let _ = writeln!(
                    dot,
                    "  f{} -> f{} [label=\"{percent:.2}%\", penwidth={width:.2}];",
                    caller.0, edge.callee.0
                );
            }
        }
    }
}

/// A light colour for a share of the hottest: from blue over green and yellow to red, so that black
/// letters can be read on it. Written in Graphviz's way, `hue saturation value` from 0 to 1.
fn color(share: f64) -> String {
    let share = share.clamp(0.0, 1.0);
    let hue = (1.0 - share) * 0.6;
    format!("{hue:.3} {:.3} 0.950", 0.25 + 0.45 * share)
}

/// A quoted string of DOT, its lines centred. A backslash begins an escape in labels (`\N` is the
/// node's name), so that each is doubled.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", escaped.replace('\n', "\\n"))
}
