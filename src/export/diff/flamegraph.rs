//! Turns what differs between two recordings into one flame graph.
//!
//! It has two parts, side by side, which a click enlarges. In the first, widths are the times of the
//! new recording: red frames have more time of their own than before, blue ones less, the deeper the
//! more. There, what is gone altogether would have no width. So the second part, "only before", shows, as wide as it
//! is, all time that stacks have lost, in blue: what is gone and what is less. Together they are as
//! wide as all that was in either recording, and nothing is lost.
//!
//! Threads and processes are put together: their ids differ from run to run. Own code is drawn line by line where its text is
//! the same on both sides.

use std::collections::HashMap;
use std::io;

use inferno::flamegraph::color::Color;

use super::Names;
use crate::export::flame_page::{self, Drawn, MIN_WIDTH, Page, write_notice};
use crate::export::flamegraph::MAX_DEPTH;
use crate::export::tree::in_units;
use crate::export::words::labels;
use crate::export::words::paths::Shortener;
use crate::profile::Profile;
use crate::profile::diff::{Diff, Scale};
use crate::profile::event::Nanos;
use crate::profile::functions::Function;

const MILLISECONDS: &str = "ms";

/// inferno shows whole numbers only: from so many nanoseconds on they are milliseconds.
const MILLISECONDS_FROM_NS: u64 = 10_000_000_000;

/// The deepest colours that inferno gives to a growing and a shrinking frame (`color_scale`).
const MORE: Color = Color::new(255, 100, 100);
const LESS: Color = Color::new(100, 100, 255);

/// Of the frame that all lost time stands on.
const GONE: Color = Color::new(160, 160, 255);

/// Writes the SVG.
///
/// # Errors
/// When `out` fails.
pub(super) fn write(diff: &Diff<'_>, names: &Names, out: &mut dyn io::Write) -> io::Result<()> {
    let title = labels::clean(&format!("{} → {}", names.base, names.new));
    let mut tree = Tree::of(diff);
    if tree.widths().sum::<u64>() == 0 {
        let nothing = format!("no {} time was seen in either", diff.mode());
        return write_notice(&[title, more(diff, false), nothing], out);
    }
    let too_deep = tree.prune();
    let lines = tree.lines(names);
    let page = Page {
        title,
        subtitle: subtitle(diff),
        more: more(diff, too_deep),
        legend: vec![
            (MORE, "more time of its own than before"),
            (LESS, "less time of its own, or only before"),
        ],
        direction: inferno::flamegraph::Direction::Inverted,
        palette: None,
        gone: Some((only_before(names), GONE)),
        name: &|frame| frame.label.clone(),
        describe: &|frame| describe(frame, &tree),
    };
    flame_page::draw(&lines, page, out)
}

/// The label of the frame that all lost time stands on.
fn only_before(names: &Names) -> String {
    labels::clean(&format!("only before: {}", names.base))
}

/// The file and line, total time, and change of the self time of a frame.
fn describe(frame: &Drawn, tree: &Tree) -> String {
    let units_per_second = match tree.unit {
        MILLISECONDS => 1e3,
        _ => 1e6,
    };
    let path = tree.paths.get(&frame.label);
    let path = path.map(|path| format!("{path} · ")).unwrap_or_default();
    let total = frame.total as f64 / units_per_second;
    let percent = 100.0 * frame.total as f64 / frame.whole.max(1) as f64;
    let change = frame.change_percent.map(|change| {
        let seconds = change / 100.0 * frame.whole as f64 / units_per_second;
        format!(" · self time {seconds:+.3} s")
    });
    let change = change.unwrap_or_default();
    format!("{path}total {total:.3} s, {percent:.2} %{change}")
}

/// How much time there was.
fn subtitle(diff: &Diff<'_>) -> String {
    let seconds = |profile: &Profile| {
        let whole = profile.totals().time(diff.mode());
        format!("{:.2} s", whole.seconds())
    };
    let (before, after) = (seconds(diff.base()), seconds(diff.new_profile()));
    format!("{} time · before {before} · after {after}", diff.mode())
}

/// What else there is to say.
fn more(diff: &Diff<'_>, too_deep: bool) -> String {
    let mut parts = vec![
        subtitle(diff),
        lost(diff),
        "red: more than before, blue: less".to_owned(),
    ];
    if diff.scale() == Scale::Normalized {
        parts.push("before scaled to after".to_owned());
    }
    if too_deep {
        parts.push(format!("frames deeper than {MAX_DEPTH} not drawn"));
    }
    parts.join(" · ")
}

/// What both recordings lost; there is no room for the causes, which the tables tell.
fn lost(diff: &Diff<'_>) -> String {
    let count = |profile: &Profile| profile.lost().values().sum::<u64>() + profile.rejected();
    match (count(diff.base()), count(diff.new_profile())) {
        (0, 0) => "nothing lost".to_owned(),
        (base, new) => format!("late or lost: {base} before, {new} after"),
    }
}

/// The stacks of both recordings with their labels, in whole units of time.
struct Tree {
    labels: Vec<String>,
    /// Of a label, the file and line that it stands for.
    paths: HashMap<String, String>,
    parents: Vec<Option<usize>>,
    /// By node: before and after, in the node itself.
    times: Vec<[u64; 2]>,
    unit: &'static str,
}

impl Tree {
    fn of(diff: &Diff<'_>) -> Tree {
        let nodes = diff.stacks().nodes();
        let places = diff.stacks().places();
        let of_places = labels::of_functions(places);
        let label = |place: Option<usize>| match place.and_then(|id| of_places.get(id)) {
            Some(label) => label.clone(),
            None => labels::NO_PYTHON_FRAMES.to_owned(),
        };
        let base: Vec<Nanos> = nodes.iter().map(|node| Nanos(node.base_ns)).collect();
        let new: Vec<Nanos> = nodes.iter().map(|node| Nanos(node.new_ns)).collect();
        let whole: u64 = base.iter().chain(&new).map(|time| time.0).sum();
        let (unit, unit_ns) = match whole {
            ..MILLISECONDS_FROM_NS => ("µs", 1000),
            _ => (MILLISECONDS, 1_000_000),
        };
        let times = in_units(&base, unit_ns).into_iter();
        Tree {
            labels: nodes.iter().map(|node| label(node.place)).collect(),
            paths: paths(places, &of_places),
            parents: nodes.iter().map(|node| node.parent).collect(),
            times: times
                .zip(in_units(&new, unit_ns))
                .map(|(base, new)| [base, new])
                .collect(),
            unit,
        }
    }

    /// How wide the nodes are in both parts together.
    fn widths(&self) -> impl Iterator<Item = u64> {
        self.times.iter().map(|[base, new]| *base.max(new))
    }

    /// Leaves out nodes that are too narrow on both sides or too deep: their time becomes their
    /// parent's. Tells whether any was too deep.
    fn prune(&mut self) -> bool {
        let mut depths: Vec<usize> = Vec::with_capacity(self.parents.len());
        for parent in &self.parents {
            depths.push(parent.map_or(1, |parent| depths[parent] + 1));
        }
        let min = (self.widths().sum::<u64>() as f64 * MIN_WIDTH) as u64;
        let mut subtrees = self.times.clone();
        let mut cut = false;
        for id in (0..self.parents.len()).rev() {
            let Some(parent) = self.parents[id] else {
                continue;
            };
            let subtree = subtrees[id];
            add(&mut subtrees[parent], subtree);
            let too_deep = depths[id] > MAX_DEPTH;
            let is_wide = subtree.iter().any(|time| *time >= min);
            cut |= too_deep && is_wide;
            if too_deep || !is_wide {
                let times = std::mem::take(&mut self.times[id]);
                add(&mut self.times[parent], times);
            }
        }
        cut
    }

    /// What inferno draws: `labels before after`, first the part with the new widths, then that
    /// with what is lost. inferno colours by the difference and takes the second number for the
    /// width: a loss of 5 is `10 5`.
    fn lines(&self, names: &Names) -> Vec<String> {
        let after = labels::clean(&format!("after: {}", names.new));
        let gone = only_before(names);
        let mut lines = Vec::new();
        self.visit(|path, [base, new]| {
            if base + new > 0 {
                lines.push(format!("{after};{path} {base} {new}"));
            }
        });
        self.visit(|path, [base, new]| {
            let loss = base.saturating_sub(new);
            if loss > 0 {
                lines.push(format!("{gone};{path} {} {loss}", 2 * loss));
            }
        });
        lines
    }

    /// Every node, before its children and these in the order of their labels, with the labels that
    /// lead to it.
    fn visit(&self, mut visit: impl FnMut(&str, [u64; 2])) {
        let mut children = vec![Vec::new(); self.parents.len()];
        let mut roots = Vec::new();
        for (id, parent) in self.parents.iter().enumerate() {
            parent
                .map_or(&mut roots, |parent| &mut children[parent])
                .push(id);
        }
        for siblings in children.iter_mut().chain([&mut roots]) {
            siblings.sort_by_key(|id| &self.labels[*id]);
        }
        let mut path = String::new();
        // A node and how long the path to it is.
        let mut todo: Vec<(usize, usize)> = roots.into_iter().rev().map(|id| (id, 0)).collect();
        while let Some((id, length)) = todo.pop() {
            path.truncate(length);
            if length > 0 {
                path.push(';');
            }
            path.push_str(&self.labels[id]);
            visit(&path, self.times[id]);
            let deeper = children[id].iter().rev().map(|child| (*child, path.len()));
            todo.extend(deeper);
        }
    }
}

/// Of each label, the file and line of its function.
fn paths(functions: &[Function<'_>], labels: &[String]) -> HashMap<String, String> {
    let shortener = Shortener::of(functions.iter().filter_map(|function| function.file));
    let path = |(function, label): (&Function<'_>, &String)| {
        let file = labels::one_line(shortener.shorten(function.file?));
        let line = function.first_line.map(|line| format!(":{line}"));
        Some((label.clone(), file + &line.unwrap_or_default()))
    };
    functions.iter().zip(labels).filter_map(path).collect()
}

fn add(sum: &mut [u64; 2], times: [u64; 2]) {
    sum[0] += times[0];
    sum[1] += times[1];
}
