//! Turns the stacks of two recordings into one tree of functions, with the times of both.

use std::collections::HashMap;

use super::pairs::Pairs;
use super::{SampledProfile, Sides};
use crate::profile::functions::Function;

/// A node of the tree: a function, called from its parent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StackNode {
    /// The caller, always of a lower number; `None` for the outermost function.
    pub parent: Option<usize>,
    /// The function, for [`super::Diff::function`]; `None` for time without Python frames.
    pub function: Option<usize>,
    /// The time before in the function itself, scaled if the comparison is.
    pub base_ns: u64,
    /// The time after in the function itself.
    pub new_ns: u64,
}

/// The tree, over all threads of either side.
#[derive(Debug, Clone, Default)]
pub struct Stacks {
    nodes: Vec<StackNode>,
    node_of: HashMap<(Option<usize>, Option<usize>), usize>,
}

impl Stacks {
    /// The nodes; parents come before their children.
    #[must_use]
    pub fn nodes(&self) -> &[StackNode] {
        &self.nodes
    }

    pub(super) fn of(sides: &Sides<'_>, functions: &Pairs<Function<'_>>) -> Stacks {
        let mut stacks = Stacks::default();
        let factor = sides.base_factor();
        stacks.add(sides.base, &functions.of_base_frame, |node, ns| {
            node.base_ns += (ns as f64 * factor).round() as u64;
        });
        stacks.add(sides.new, &functions.of_new_frame, |node, ns| {
            node.new_ns += ns;
        });
        stacks
    }

    fn add(
        &mut self,
        side: &SampledProfile,
        function_of_frame: &[usize],
        add: impl Fn(&mut StackNode, u64),
    ) {
        let stacks = side.profile().stacks();
        let mut node_of_stack: Vec<usize> = Vec::with_capacity(stacks.len());
        for stack in stacks {
            let parent = stack.parent.map(|id| node_of_stack[id.0 as usize]);
            let function = function_of_frame[stack.frame.0 as usize];
            node_of_stack.push(self.node(parent, Some(function)));
        }
        for row in side.profile().rows() {
            let node = match row.stack {
                Some(id) => node_of_stack[id.0 as usize],
                None => self.node(None, None),
            };
            add(&mut self.nodes[node], row.totals.time(side.blocks.mode()).0);
        }
    }

    fn node(&mut self, parent: Option<usize>, function: Option<usize>) -> usize {
        let nodes = &mut self.nodes;
        *self.node_of.entry((parent, function)).or_insert_with(|| {
            nodes.push(StackNode {
                parent,
                function,
                base_ns: 0,
                new_ns: 0,
            });
            nodes.len() - 1
        })
    }
}
