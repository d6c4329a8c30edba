//! Turns a profile into one tree of labelled frames with microseconds.
//!
//! Frames of one place (a function, or a line of one) are one node. In collapsed stacks the threads stand below the
//! functions, if there is more than one, and the processes, if there is more than one; where processes are merged, the
//! names of threads, if there is more than one. In a flame graph they do so where they are told apart.

use std::cmp::Reverse;
use std::collections::HashMap;

use rustc_hash::FxHashMap;

use super::Meta;
use crate::export::frame_groups::{FrameGroupId, FrameGroups};
use crate::export::words::labels;
use crate::profile::event::{Nanos, StackId, State, Thread};
use crate::profile::tasks::task_of;
use crate::profile::{Mode, Profile, Row};

/// A label: an index into [`Tree::labels`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct LabelId(u32);

/// A node: an index into the nodes of its tree. Parents come before children.
type NodeId = u32;

/// The parent of a node that has none.
const NO_NODE: NodeId = NodeId::MAX;

#[derive(Debug, Clone)]
struct Node {
    /// Or [`NO_NODE`]: there may be hundreds of thousands of nodes, and an `Option` is twice as large.
    parent: NodeId,
    label: LabelId,
    self_ns: Nanos,
}

impl Node {
    fn parent(&self) -> Option<NodeId> {
        Some(self.parent).filter(|parent| *parent != NO_NODE)
    }
}

/// The tree.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    labels: Vec<String>,
    /// Which place a label was first made for; `None` for threads, processes and marks.
    place_of_label: Vec<Option<FrameGroupId>>,
    nodes: Vec<Node>,
    self_us: Vec<u64>,
}

/// One node with all that lead to it.
pub(super) struct Path<'t> {
    /// The labels, outermost first.
    pub(super) labels: Vec<&'t str>,
    /// Microseconds in the last of them itself.
    pub(super) self_us: u64,
}

impl Tree {
    /// Makes the tree, with its processes merged if they are drawn so.
    pub(super) fn of(profile: &Profile, places: &FrameGroups<'_>, meta: &Meta) -> Tree {
        let mut builder = Builder::new(profile, places);
        if meta.drawing.merges_processes {
            builder.add_names();
        } else {
            builder.add_bases();
        }
        builder.build(meta.mode)
    }

    /// Makes that of a flame graph: equal stacks of all threads are one unless they are told apart, and what a thread
    /// waits for is a frame of its own.
    pub(super) fn for_flame_graph(
        profile: &Profile,
        places: &FrameGroups<'_>,
        meta: &Meta,
    ) -> Tree {
        let mut builder = Builder::new(profile, places);
        builder.add_groups(meta.drawing.by_process, meta.drawing.by_thread);
        builder.shows_waits = true;
        builder.by_task = meta.drawing.by_task;
        builder.build(meta.mode)
    }

    /// Sum over all nodes, in microseconds.
    pub(super) fn total_us(&self) -> u64 {
        self.self_us.iter().sum()
    }

    /// Every label, with the place that it stands for.
    pub(super) fn labels(&self) -> impl Iterator<Item = (&str, Option<FrameGroupId>)> {
        let labels = self.labels.iter().map(String::as_str);
        labels.zip(self.place_of_label.iter().copied())
    }

    /// Leaves out nodes that hold less than `min_us` or lie deeper than `max_depth`: their time
    /// becomes the self time of their parent. Tells whether any was too deep.
    pub(super) fn prune(&mut self, min_us: u64, max_depth: usize) -> bool {
        let mut depths: Vec<u32> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            depths.push(
                node.parent()
                    .map_or(1, |parent| depths[parent as usize] + 1),
            );
        }
        let subtree_us = self.subtree_us();
        let mut cut = false;
        for (id, node) in self.nodes.iter().enumerate().rev() {
            let Some(parent) = node.parent() else {
                continue;
            };
            let parent = parent as usize;
            let too_deep = depths[id] as usize > max_depth;
            cut |= too_deep && subtree_us[id] >= min_us;
            if too_deep || subtree_us[id] < min_us {
                self.self_us[parent] += std::mem::take(&mut self.self_us[id]);
            }
        }
        cut
    }

    /// The least time of which no more than `max_nodes` nodes hold as much, or `min_us` if that is more.
    pub(super) fn min_us_of_widest(&self, max_nodes: usize, min_us: u64) -> u64 {
        let mut wide_us = self.subtree_us();
        wide_us.retain(|time| *time >= min_us);
        if wide_us.len() <= max_nodes {
            return min_us;
        }
        let (_, first_left_out_us, _) =
            wide_us.select_nth_unstable_by_key(max_nodes, |time| Reverse(*time));
        *first_left_out_us + 1
    }

    /// What each node holds with all that stands on it.
    fn subtree_us(&self) -> Vec<u64> {
        let mut subtree_us = self.self_us.clone();
        for (id, node) in self.nodes.iter().enumerate().rev() {
            if let Some(parent) = node.parent() {
                subtree_us[parent as usize] += subtree_us[id];
            }
        }
        subtree_us
    }

    /// Calls `visit` for every node that holds time itself, in the order of the labels on the way
    /// to it: a node comes before its children, and the children of one node stay together.
    ///
    /// # Errors
    /// The first that `visit` returns.
    pub(super) fn visit<E>(
        &self,
        mut visit: impl FnMut(&Path<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let sorted = self.sorted_nodes();
        let mut path = Path {
            labels: Vec::new(),
            self_us: 0,
        };
        // A node and how many labels lead to it.
        let roots = self.children(&sorted, None).iter().rev();
        let mut todo: Vec<(NodeId, usize)> = roots.map(|id| (*id, 0)).collect();
        while let Some((id, depth)) = todo.pop() {
            path.labels.truncate(depth);
            path.labels.push(self.label(id));
            path.self_us = self.self_us[id as usize];
            if path.self_us > 0 {
                visit(&path)?;
            }
            let children = self.children(&sorted, Some(id)).iter().rev();
            todo.extend(children.map(|child| (*child, depth + 1)));
        }
        Ok(())
    }

    /// All nodes, those of one parent together and in the order of their labels. (A list for each parent
    /// would take more memory than all else here.)
    fn sorted_nodes(&self) -> Vec<NodeId> {
        let mut sorted: Vec<NodeId> = (0..self.nodes.len() as NodeId).collect();
        sorted.sort_unstable_by(|a, b| {
            let by_parent = self.parent(*a).cmp(&self.parent(*b));
            by_parent.then_with(|| self.label(*a).cmp(self.label(*b)))
        });
        sorted
    }

    fn children<'s>(&self, sorted: &'s [NodeId], parent: Option<NodeId>) -> &'s [NodeId] {
        let start = sorted.partition_point(|id| self.parent(*id) < parent);
        let end = start + sorted[start..].partition_point(|id| self.parent(*id) == parent);
        &sorted[start..end]
    }

    fn parent(&self, id: NodeId) -> Option<NodeId> {
        self.nodes[id as usize].parent()
    }

    fn label(&self, id: NodeId) -> &str {
        &self.labels[self.nodes[id as usize].label.0 as usize]
    }
}

/// The label of a frame that stands for a wait.
fn wait_label(state: State) -> String {
    format!("[{state}]")
}

/// Those of all waits.
pub(super) fn wait_labels() -> impl Iterator<Item = String> {
    let waits = State::ALL.into_iter().filter(|state| state.is_wait());
    waits.map(wait_label)
}

/// Whole units of so many nanoseconds that add up to the rounded sum: each is rounded down, and
/// those that lost most by it get one more (the largest-remainder method); among equals, the first.
pub(super) fn in_units(times: &[Nanos], unit_ns: u64) -> Vec<u64> {
    // A profile takes no sample that makes the sum overflow.
    let sum: u64 = times.iter().map(|time| time.0).sum();
    let mut rounded: Vec<u64> = times.iter().map(|time| time.0 / unit_ns).collect();
    let missing = sum.saturating_add(unit_ns / 2) / unit_ns - rounded.iter().sum::<u64>();
    let mut by_remainder: Vec<usize> = (0..times.len()).collect();
    by_remainder.sort_by_key(|index| Reverse(times[*index].0 % unit_ns));
    for index in by_remainder.into_iter().take(missing as usize) {
        rounded[index] += 1;
    }
    rounded
}

/// What stacks stand on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Base {
    /// `None`: they are roots.
    node: Option<NodeId>,
    /// Whether it is an asyncio task.
    is_task: bool,
}

struct Builder<'p> {
    profile: &'p Profile,
    places: &'p FrameGroups<'p>,
    tree: Tree,
    label_ids: FxHashMap<String, LabelId>,
    place_labels: Vec<LabelId>,
    child_of: FxHashMap<(Option<NodeId>, LabelId), NodeId>,
    /// By stack, for the base that is being built on; [`NO_NODE`]: not made yet.
    node_of_stack: Vec<NodeId>,
    /// The stacks that have one.
    placed: Vec<StackId>,
    built_base: Option<Base>,
    /// The node that the stacks of a thread stand on, by thread.
    bases: Vec<Option<NodeId>>,
    /// Whether what a thread waits for is a node on its stack.
    shows_waits: bool,
    /// Whether stacks of asyncio tasks stand on the name of the task.
    by_task: bool,
}

impl<'p> Builder<'p> {
    fn new(profile: &'p Profile, places: &'p FrameGroups<'p>) -> Builder<'p> {
        let mut builder = Builder {
            profile,
            places,
            tree: Tree::default(),
            label_ids: FxHashMap::default(),
            place_labels: Vec::new(),
            child_of: FxHashMap::default(),
            node_of_stack: vec![NO_NODE; profile.stacks().len()],
            placed: Vec::new(),
            built_base: None,
            bases: Vec::new(),
            shows_waits: false,
            by_task: false,
        };
        for (id, label) in labels::of_functions(places.rows()).into_iter().enumerate() {
            let label = builder.label(label, Some(id));
            builder.place_labels.push(label);
        }
        builder
    }

    fn build(mut self, mode: Mode) -> Tree {
        // One base after the other.
        let rows = self.profile.rows().iter();
        let mut rows: Vec<(Base, &Row)> = rows
            .filter_map(|row| Some((self.base_of(row)?, row)))
            .collect();
        rows.sort_by_key(|(base, _)| *base);
        for (base, row) in rows {
            let node = match row.stack {
                Some(stack) => self.node_of(base, stack),
                None => Some(self.child(base.node, labels::NO_PYTHON_FRAMES)),
            };
            let node = match node {
                Some(node) if self.shows_waits && row.state.is_wait() => {
                    Some(self.child(Some(node), &wait_label(row.state)))
                }
                node => node,
            };
            if let Some(node) = node.and_then(|id| self.tree.nodes.get_mut(id as usize)) {
                node.self_ns += row.totals.time(mode);
            }
        }
        let mut tree = self.tree;
        let self_ns: Vec<Nanos> = tree.nodes.iter().map(|node| node.self_ns).collect();
        tree.self_us = in_units(&self_ns, 1000);
        tree
    }

    /// Threads of one name stand together, of whatever process.
    fn add_names(&mut self) {
        let names = self.profile.threads().iter().map(labels::of_threads_named);
        let names: Vec<String> = names.collect();
        let are_several = names.windows(2).any(|pair| pair[0] != pair[1]);
        for name in &names {
            let base = are_several.then(|| self.child(None, name));
            self.bases.push(base);
        }
    }

    /// Threads whose names differ in numbers only stand together: `worker-* ×8`.
    fn add_groups(&mut self, by_process: bool, by_thread: bool) {
        let processes = self.profile.processes().iter().map(labels::of_process);
        let processes = labels::distinct(processes.collect());
        let process_of = |thread: &Thread| {
            let process = processes.get(thread.process.0 as usize);
            process.filter(|_| by_process && processes.len() > 1)
        };
        let threads = self.profile.threads();
        let mut counts: HashMap<(Option<&String>, String), u32> = HashMap::new();
        for thread in threads {
            let key = (process_of(thread), labels::thread_pattern(thread));
            *counts.entry(key).or_default() += 1;
        }
        for thread in threads {
            let process = process_of(thread);
            let mut base = process.map(|label| self.child(None, label));
            if by_thread {
                let pattern = labels::thread_pattern(thread);
                let label = match counts.get(&(process, pattern.clone())) {
                    Some(count) if *count > 1 => format!("{pattern} ×{count}"),
                    _ => labels::bare_thread_name(thread),
                };
                base = Some(self.child(base, &label));
            }
            self.bases.push(base);
        }
    }

    fn add_bases(&mut self) {
        let processes = self.profile.processes().iter().map(labels::of_process);
        let processes = labels::distinct(processes.collect());
        let threads = self.profile.threads().iter().map(labels::of_thread);
        let threads = labels::distinct(threads.collect());
        for (thread, label) in self.profile.threads().iter().zip(&threads) {
            let mut base = None;
            if processes.len() > 1 {
                let process = processes.get(thread.process.0 as usize);
                base = process.map(|label| self.child(None, label));
            }
            if threads.len() > 1 {
                base = Some(self.child(base, label));
            }
            self.bases.push(base);
        }
    }

    fn label(&mut self, label: String, place: Option<FrameGroupId>) -> LabelId {
        let next = LabelId(self.tree.labels.len() as u32);
        *self.label_ids.entry(label).or_insert_with_key(|label| {
            self.tree.labels.push(label.clone());
            self.tree.place_of_label.push(place);
            next
        })
    }

    fn child(&mut self, parent: Option<NodeId>, label: &str) -> NodeId {
        let label = self.label(label.to_owned(), None);
        self.child_with(parent, label)
    }

    fn child_with(&mut self, parent: Option<NodeId>, label: LabelId) -> NodeId {
        let nodes = &mut self.tree.nodes;
        *self.child_of.entry((parent, label)).or_insert_with(|| {
            nodes.push(Node {
                parent: parent.unwrap_or(NO_NODE),
                label,
                self_ns: Nanos(0),
            });
            (nodes.len() - 1) as NodeId
        })
    }

    /// What the stack of a row stands on; `None` where its thread is not known.
    fn base_of(&mut self, row: &Row) -> Option<Base> {
        let node = *self.bases.get(row.thread.0 as usize)?;
        let task = task_of(self.profile, row).filter(|_| self.by_task);
        Some(Base {
            node: match task {
                Some(name) => Some(self.child(node, &format!("task {}", labels::one_line(name)))),
                None => node,
            },
            is_task: task.is_some(),
        })
    }

    /// The node of a stack: up to the first ancestor that has a node, then down again. That of a task begins above the
    /// event loop's frames.
    fn node_of(&mut self, base: Base, stack: StackId) -> Option<NodeId> {
        if Some(base) != self.built_base {
            for stack in self.placed.drain(..) {
                self.node_of_stack[stack.0 as usize] = NO_NODE;
            }
            self.built_base = Some(base);
        }
        let mut missing = Vec::new();
        let mut node = base.node;
        let mut next = Some(stack);
        let is_left_out = |id| base.is_task && self.profile.is_event_loop(id);
        while let Some(id) = next.filter(|id| !is_left_out(*id)) {
            let known = *self.node_of_stack.get(id.0 as usize)?;
            if known != NO_NODE {
                node = Some(known);
                break;
            }
            missing.push(id);
            next = self.profile.stack(id)?.parent;
        }
        for id in missing.into_iter().rev() {
            let frame = self.profile.stack(id)?.frame;
            let label = *self.place_labels.get(self.places.of_frame(frame)?)?;
            let child = self.child_with(node, label);
            *self.node_of_stack.get_mut(id.0 as usize)? = child;
            self.placed.push(id);
            node = Some(child);
        }
        node
    }
}
