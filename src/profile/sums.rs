//! Turns a tree of stacks, whose nodes are sorted into classes, into self and total sums per class.
//!
//! A class is whatever a table has one row for: a function, a line, an edge from a caller to a
//! callee. The self sum of a class holds the stacks that end in it. Its total sum holds the stacks
//! that it occurs in, each once however often it recurs: a subtree counts at the class's outermost
//! node and not again at the nodes of the same class further in.

use std::ops::AddAssign;

use rustc_hash::FxHashMap;

use super::event::StackId;
use super::{Profile, Row, Totals};

/// The sums of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sums<T = Totals> {
    pub(super) self_time: T,
    pub(super) total_time: T,
}

/// Sums over all threads, for classes `0..class_count`. `class_of[stack]` is the class of that
/// node of the tree. Takes time in proportion to the nodes, not to their depths.
pub(super) fn by_class(profile: &Profile, class_of: &[usize], class_count: usize) -> Vec<Sums> {
    Classes::new(profile, class_of, class_count).sums(self_times(profile))
}

/// The nodes of a profile, sorted into classes.
pub(super) struct Classes<'c> {
    profile: &'c Profile,
    class_of: &'c [usize],
    class_count: usize,
    /// All nodes, each before its children and these before its next sibling.
    visits: Vec<Visit>,
}

/// A node that is met on the way through the tree.
#[derive(Debug, Clone, Copy)]
struct Visit {
    stack: u32,
    /// Whether no node has its class between it and the root.
    is_outermost: bool,
}

/// A node between the root and the one that is visited.
#[derive(Debug, Clone, Copy)]
struct OpenNode {
    stack: u32,
    class: usize,
    /// Where the next node of its class towards the root is in the path.
    outer: Option<usize>,
    /// The sum of what was met in its subtree.
    subtree: Totals,
    /// The part of it that nodes of the same class further in hold.
    further_in: Totals,
}

impl<'c> Classes<'c> {
    /// As for [`by_class`].
    pub(super) fn new(
        profile: &'c Profile,
        class_of: &'c [usize],
        class_count: usize,
    ) -> Classes<'c> {
        Classes {
            profile,
            class_of,
            class_count,
            visits: visits(profile, class_of, class_count),
        }
    }

    /// The sums of what the nodes hold themselves, which `own` tells by node.
    pub(super) fn sums<T: Copy + Default + AddAssign>(
        &self,
        own: impl Fn(usize) -> T,
    ) -> Vec<Sums<T>> {
        let mut sums = vec![Sums::default(); self.class_count];
        for (stack, class) in self.class_of.iter().enumerate() {
            if let Some(sum) = sums.get_mut(*class) {
                sum.self_time += own(stack);
            }
        }
        let totals = self.totals(own, self.class_of, self.class_count);
        for (sum, total) in sums.iter_mut().zip(totals) {
            sum.total_time = total;
        }
        sums
    }

    /// The total sums alone, divided among groups: a subtree counts for the group of the node at
    /// which it counts for its class. `group_of[stack]` is one of `0..group_count`.
    pub(super) fn totals<T: Copy + Default + AddAssign>(
        &self,
        own: impl Fn(usize) -> T,
        group_of: &[usize],
        group_count: usize,
    ) -> Vec<T> {
        let mut totals = vec![T::default(); group_count];
        let mut end = |(visit, subtree): (Visit, T)| {
            let group = group_of.get(visit.stack as usize);
            let group = group.filter(|_| visit.is_outermost);
            if let Some(total) = group.and_then(|group| totals.get_mut(*group)) {
                *total += subtree;
            }
        };
        // From the root to the node that is visited, each with the sum of what was met in its subtree. Sums of
        // all nodes at once would take more memory than the profile.
        let mut path: Vec<(Visit, T)> = Vec::new();
        for visit in &self.visits {
            let parent = self.parent(*visit);
            while path
                .last()
                .is_some_and(|(last, _)| Some(last.stack) != parent)
            {
                leave(&mut path, &mut end);
            }
            path.push((*visit, own(visit.stack as usize)));
        }
        while !path.is_empty() {
            leave(&mut path, &mut end);
        }
        totals
    }

    /// The sums of what the nodes hold themselves, divided among groups: what a node holds counts once for
    /// each class on its way to the root, for the group of the innermost node of that class.
    /// `group_of[stack]` is one of `0..group_count`.
    pub(super) fn innermost(
        &self,
        own: impl Fn(usize) -> Totals,
        group_of: &[usize],
        group_count: usize,
    ) -> Vec<Totals> {
        let mut sums = vec![Totals::default(); group_count];
        // Where the innermost node of each class is in `path`.
        let mut open: Vec<Option<usize>> = vec![None; self.class_count];
        let mut path: Vec<OpenNode> = Vec::new();
        let mut end = |path: &mut Vec<OpenNode>, open: &mut Vec<Option<usize>>| {
            let Some(node) = path.pop() else { return };
            if let Some(parent) = path.last_mut() {
                parent.subtree += node.subtree;
            }
            if let Some(outer) = node.outer.and_then(|at| path.get_mut(at)) {
                outer.further_in += node.subtree;
            }
            if let Some(innermost) = open.get_mut(node.class) {
                *innermost = node.outer;
            }
            let group = group_of.get(node.stack as usize);
            if let Some(sum) = group.and_then(|group| sums.get_mut(*group)) {
                *sum += node.subtree - node.further_in;
            }
        };
        for visit in &self.visits {
            let parent = self.parent(*visit);
            while path.last().is_some_and(|last| Some(last.stack) != parent) {
                end(&mut path, &mut open);
            }
            let class = self.class_of.get(visit.stack as usize).copied();
            let class = class.unwrap_or(usize::MAX);
            let innermost = open.get_mut(class);
            path.push(OpenNode {
                stack: visit.stack,
                class,
                outer: innermost.and_then(|at| at.replace(path.len())),
                subtree: own(visit.stack as usize),
                further_in: Totals::default(),
            });
        }
        while !path.is_empty() {
            end(&mut path, &mut open);
        }
        sums
    }

    fn parent(&self, visit: Visit) -> Option<u32> {
        let node = self.profile.stack(StackId(visit.stack))?;
        node.parent.map(|parent| parent.0)
    }

    /// How many classes there are.
    pub(super) fn count(&self) -> usize {
        self.class_count
    }

    /// How many nodes the profile has.
    pub(super) fn nodes(&self) -> usize {
        self.profile.stacks().len()
    }
}

/// Goes back to the parent of the last node of `path`, whose subtree is whole now.
fn leave<T: Copy + AddAssign>(path: &mut Vec<(Visit, T)>, end: &mut impl FnMut((Visit, T))) {
    let Some(last) = path.pop() else {
        return;
    };
    if let Some((_, sum)) = path.last_mut() {
        *sum += last.1;
    }
    end(last);
}

/// By node, the sums of the samples that end in it.
pub(super) fn self_times(profile: &Profile) -> impl Fn(usize) -> Totals {
    own_sums(profile, |row| row.totals)
}

/// By node, the sums of what `of_row` tells of the rows that end in it.
pub(super) fn own_sums<T: Copy + Default + AddAssign>(
    profile: &Profile,
    of_row: impl Fn(&Row) -> T,
) -> impl Fn(usize) -> T {
    let mut sums: FxHashMap<usize, T> = FxHashMap::default();
    for row in profile.rows() {
        if let Some(stack) = row.stack {
            *sums.entry(stack.0 as usize).or_default() += of_row(row);
        }
    }
    move |stack| sums.get(&stack).copied().unwrap_or_default()
}

/// All nodes, each before its children.
fn visits(profile: &Profile, class_of: &[usize], class_count: usize) -> Vec<Visit> {
    let children = Children::of(profile);
    let mut depth_of_class = vec![0_u32; class_count];
    let mut visits = Vec::with_capacity(profile.stacks().len());
    // `true`: the node is entered; `false`: its subtree is done.
    let mut todo: Vec<(u32, bool)> = children.of_node(None).map(|root| (root, true)).collect();
    while let Some((stack, entered)) = todo.pop() {
        let class = class_of.get(stack as usize);
        let depth = class.and_then(|class| depth_of_class.get_mut(*class));
        if !entered {
            depth.into_iter().for_each(|depth| *depth -= 1);
            continue;
        }
        visits.push(Visit {
            stack,
            is_outermost: depth.as_deref() == Some(&0),
        });
        depth.into_iter().for_each(|depth| *depth += 1);
        todo.push((stack, false));
        todo.extend(children.of_node(Some(stack)).map(|child| (child, true)));
    }
    visits
}

/// No node.
const NONE: u32 = u32::MAX;

/// The children of all nodes, as chains: lists would take more memory than the nodes.
struct Children {
    first_root: u32,
    first: Vec<u32>,
    next: Vec<u32>,
}

impl Children {
    fn of(profile: &Profile) -> Children {
        let count = profile.stacks().len();
        let mut children = Children {
            first_root: NONE,
            first: vec![NONE; count],
            next: vec![NONE; count],
        };
        for (stack, node) in profile.stacks().iter().enumerate().rev() {
            let parent = node
                .parent
                .and_then(|id| children.first.get_mut(id.0 as usize));
            let first = parent.unwrap_or(&mut children.first_root);
            children.next[stack] = std::mem::replace(first, stack as u32);
        }
        children
    }

    /// The children of a node, or the outermost nodes, in ascending order.
    fn of_node(&self, node: Option<u32>) -> impl Iterator<Item = u32> {
        let first = node.map_or(self.first_root, |node| self.first[node as usize]);
        std::iter::successors(Some(first), |at| self.next.get(*at as usize).copied())
            .take_while(|at| *at != NONE)
    }
}
