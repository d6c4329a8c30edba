//! Turns what is shown into the boxes of a flame graph: one row for each depth, the root on top.

use std::collections::HashMap;

use crate::profile::functions::{FunctionId, Functions};
use crate::profile::{Mode, Profile};

/// A smaller part of the time is narrower than a character of the widest terminal.
const MIN_SHARE: f64 = 0.002;

/// So many boxes are made; no terminal has room for more.
const MAX_BOXES: usize = 5000;

/// Deeper boxes are not looked for.
const MAX_DEPTH: usize = 200;

/// A function below one chain of callers.
#[derive(Debug, Clone, PartialEq)]
pub struct FlameBox {
    /// The function.
    pub function: FunctionId,
    /// How many callers there are above it.
    pub depth: usize,
    /// Where it begins, as a part of the width, from 0 to 1.
    pub start: f64,
    /// Its part of the time, and of the width.
    pub share: f64,
    /// The part of the time that is its own.
    pub own: f64,
    /// What tells it from all others: the functions from the root to it.
    pub path: String,
}

/// A node of the tree of functions.
struct Node {
    function: FunctionId,
    parent: Option<usize>,
    own: f64,
    total: f64,
}

/// The boxes, each before those that it calls, and these from left to right, the largest first. `functions` is the table of
/// the same profile; shares are of its time in `mode`.
#[must_use]
pub fn boxes(profile: &Profile, functions: &Functions<'_>, mode: Mode) -> Vec<FlameBox> {
    let nodes = tree(profile, functions, mode);
    let whole = profile.totals().time(mode).seconds();
    let mut children: HashMap<Option<usize>, Vec<usize>> = HashMap::new();
    for (id, node) in nodes.iter().enumerate() {
        if node.total >= MIN_SHARE * whole && node.total > 0.0 {
            children.entry(node.parent).or_default().push(id);
        }
    }
    for of_one in children.values_mut() {
        of_one.sort_by(|a, b| nodes[*b].total.total_cmp(&nodes[*a].total).then(a.cmp(b)));
    }
    let mut boxes = Vec::new();
    // Each with its depth, where it begins, and its callers; the next one last.
    let mut todo: Vec<(usize, usize, f64, String)> = Vec::new();
    let push = |todo: &mut Vec<_>, of: Option<usize>, depth: usize, start: f64, path: &str| {
        let mut at = start;
        let mut found = Vec::new();
        for id in children.get(&of).into_iter().flatten() {
            let key = format!("{path}/{}", nodes[*id].function.0);
            found.push((*id, depth, at, key));
            at += nodes[*id].total / whole;
        }
        todo.extend(found.into_iter().rev());
    };
    push(&mut todo, None, 0, 0.0, "");
    while let Some((id, depth, start, path)) = todo.pop() {
        if boxes.len() >= MAX_BOXES {
            break;
        }
        if depth < MAX_DEPTH {
            push(&mut todo, Some(id), depth + 1, start, &path);
        }
        boxes.push(FlameBox {
            function: nodes[id].function,
            depth,
            start,
            share: nodes[id].total / whole,
            own: nodes[id].own / whole,
            path,
        });
    }
    boxes
}

/// The stacks with equal functions as one, each behind its caller.
fn tree(profile: &Profile, functions: &Functions<'_>, mode: Mode) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    let mut known: HashMap<(Option<usize>, FunctionId), usize> = HashMap::new();
    let mut node_of: Vec<Option<usize>> = Vec::with_capacity(profile.stacks().len());
    for stack in profile.stacks() {
        let parent = stack
            .parent
            .and_then(|id| node_of.get(id.0 as usize).copied());
        let parent = parent.flatten();
        let node = functions.of_frame(stack.frame).map(|function| {
            *known.entry((parent, function)).or_insert_with(|| {
                nodes.push(Node {
                    function,
                    parent,
                    own: 0.0,
                    total: 0.0,
                });
                nodes.len() - 1
            })
        });
        node_of.push(node);
    }
    for row in profile.rows() {
        let node = row.stack.and_then(|id| node_of.get(id.0 as usize).copied());
        if let Some(node) = node.flatten().and_then(|id| nodes.get_mut(id)) {
            node.own += row.totals.time(mode).seconds();
        }
    }
    for id in (0..nodes.len()).rev() {
        nodes[id].total += nodes[id].own;
        let total = nodes[id].total;
        if let Some(parent) = nodes[id].parent {
            nodes[parent].total += total;
        }
    }
    nodes
}
