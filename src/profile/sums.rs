//! Turns a tree of stacks, whose nodes are sorted into classes, into self and total sums per class.
//!
//! A class is whatever a table has one row for: a function, a line, an edge from a caller to a
//! callee. The self sum of a class holds the stacks that end in it. Its total sum holds the stacks
//! that it occurs in, each once however often it recurs: a subtree counts at the class's outermost
//! node and not again at the nodes of the same class further in.

use std::ops::AddAssign;

use super::{Profile, Totals};

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
    outermost: Vec<usize>,
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
            outermost: outermost(profile, class_of, class_count),
        }
    }

    /// The sums of what the nodes hold themselves.
    pub(super) fn sums<T: Copy + Default + AddAssign>(&self, self_times: Vec<T>) -> Vec<Sums<T>> {
        let mut sums = vec![Sums::default(); self.class_count];
        for (stack, times) in self_times.iter().enumerate() {
            if let Some(sum) = self.sum_of(&mut sums, stack) {
                sum.self_time += *times;
            }
        }
        let totals = self.totals(self_times, self.class_of, self.class_count);
        for (sum, total) in sums.iter_mut().zip(totals) {
            sum.total_time = total;
        }
        sums
    }

    /// The total sums alone, divided among groups: a subtree counts for the group of the node at
    /// which it counts for its class. `group_of[stack]` is one of `0..group_count`.
    pub(super) fn totals<T: Copy + Default + AddAssign>(
        &self,
        self_times: Vec<T>,
        group_of: &[usize],
        group_count: usize,
    ) -> Vec<T> {
        let mut totals = vec![T::default(); group_count];
        let subtrees = subtree_times(self.profile, self_times);
        for stack in &self.outermost {
            let total = group_of
                .get(*stack)
                .and_then(|group| totals.get_mut(*group));
            if let Some(total) = total {
                *total += subtrees.get(*stack).copied().unwrap_or_default();
            }
        }
        totals
    }

    /// How many classes there are.
    pub(super) fn count(&self) -> usize {
        self.class_count
    }

    /// How many nodes the profile has.
    pub(super) fn nodes(&self) -> usize {
        self.profile.stacks().len()
    }

    fn sum_of<'s, T>(&self, sums: &'s mut [Sums<T>], stack: usize) -> Option<&'s mut Sums<T>> {
        sums.get_mut(*self.class_of.get(stack)?)
    }
}

/// Per node, the sums of the samples that end in it.
pub(super) fn self_times(profile: &Profile) -> Vec<Totals> {
    let mut times = vec![Totals::default(); profile.stacks().len()];
    for row in profile.rows() {
        let sum = row.stack.and_then(|id| times.get_mut(id.0 as usize));
        if let Some(sum) = sum {
            *sum += row.totals;
        }
    }
    times
}

/// Per node, the sums of the samples that end in it or above it.
fn subtree_times<T: Copy + AddAssign>(profile: &Profile, self_times: Vec<T>) -> Vec<T> {
    let mut times = self_times;
    // Children have higher numbers than their parents: backwards, a node is whole when it is met.
    for (stack, node) in profile.stacks().iter().enumerate().rev() {
        let Some(subtree) = times.get(stack).copied() else {
            continue;
        };
        if let Some(parent) = node.parent.and_then(|id| times.get_mut(id.0 as usize)) {
            *parent += subtree;
        }
    }
    times
}

/// The nodes below which, on the way to the root, no other node has the same class.
fn outermost(profile: &Profile, class_of: &[usize], class_count: usize) -> Vec<usize> {
    let children = Children::of(profile);
    let mut depth_of_class = vec![0_u32; class_count];
    let mut found = Vec::new();
    // `true`: the node is entered; `false`: its subtree is done.
    let mut todo: Vec<(usize, bool)> = children.of_node(None).map(|root| (root, true)).collect();
    while let Some((stack, entered)) = todo.pop() {
        let Some(depth) = class_of
            .get(stack)
            .and_then(|class| depth_of_class.get_mut(*class))
        else {
            continue;
        };
        if !entered {
            *depth -= 1;
            continue;
        }
        if *depth == 0 {
            found.push(stack);
        }
        *depth += 1;
        todo.push((stack, false));
        todo.extend(children.of_node(Some(stack)).map(|child| (child, true)));
    }
    found
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
    fn of_node(&self, node: Option<usize>) -> impl Iterator<Item = usize> {
        let first = node.map_or(self.first_root, |node| self.first[node]);
        std::iter::successors(Some(first), |at| self.next.get(*at as usize).copied())
            .take_while(|at| *at != NONE)
            .map(|at| at as usize)
    }
}
