//! Turns the stacks of two recordings into one tree of functions and lines, with the times of both.

use std::collections::HashMap;

use super::pairs::{Line, Pair, Pairs};
use super::{SampledProfile, Sides};
use crate::profile::functions::Function;

/// A node of the tree: a function, or a line of one, called from its parent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StackNode {
    /// The caller, always of a lower number; `None` for the outermost one.
    pub parent: Option<usize>,
    /// What it stands for, an index into [`Stacks::places`]; `None` for time without Python frames.
    pub place: Option<usize>,
    /// The time before in the place itself, scaled if the comparison is.
    pub base_ns: u64,
    /// The time after in the place itself.
    pub new_ns: u64,
}

/// What frames stand for, numbered as they come.
struct Places<'a, 'p> {
    functions: &'a Pairs<Function<'p>>,
    lines: &'a Pairs<Line<'p>>,
    /// By pair of functions.
    is_by_line: Vec<bool>,
    /// Of a pair of functions, and in one by line of a pair of lines.
    numbers: HashMap<(usize, Option<usize>), usize>,
    shown: Vec<Function<'p>>,
}

impl Places<'_, '_> {
    /// The places of one side's frames, of which the pairs of functions and of lines are given.
    fn of_frames(&mut self, functions: &[usize], lines: &[usize]) -> Vec<usize> {
        let pairs = functions.iter().zip(lines);
        pairs
            .map(|(function, line)| {
                let line = self.is_by_line[*function].then_some(*line);
                let numbered = self.numbers.len();
                let number = *self.numbers.entry((*function, line)).or_insert(numbered);
                if number == numbered {
                    self.shown.extend(match line {
                        Some(line) => self.lines.pairs[line].shown().map(Line::in_place),
                        None => self.functions.pairs[*function].shown(),
                    });
                }
                number
            })
            .collect()
    }
}

/// The tree, over all threads of either side.
#[derive(Debug, Clone, Default)]
pub struct Stacks<'p> {
    places: Vec<Function<'p>>,
    nodes: Vec<StackNode>,
    node_of: HashMap<(Option<usize>, Option<usize>), usize>,
}

impl<'p> Stacks<'p> {
    /// What nodes stand for, as it is after, or if it is gone, as it was: functions, and lines, which have the number of
    /// the line in the place of the first line.
    #[must_use]
    pub fn places(&self) -> &[Function<'p>] {
        &self.places
    }

    /// The nodes; parents come before their children.
    #[must_use]
    pub fn nodes(&self) -> &[StackNode] {
        &self.nodes
    }

    /// The tree; a function is one place, but that each of its lines is one where it `is_by_line`.
    pub(super) fn of(
        sides: &Sides<'p>,
        functions: &Pairs<Function<'p>>,
        lines: &Pairs<Line<'p>>,
        is_by_line: impl Fn(&Pair<Function<'p>>) -> bool,
    ) -> Stacks<'p> {
        let mut places = Places {
            functions,
            lines,
            is_by_line: functions.pairs.iter().map(is_by_line).collect(),
            numbers: HashMap::new(),
            shown: Vec::new(),
        };
        let of_base = places.of_frames(&functions.of_base_frame, &lines.of_base_frame);
        let of_new = places.of_frames(&functions.of_new_frame, &lines.of_new_frame);
        let mut stacks = Stacks {
            places: places.shown,
            ..Stacks::default()
        };
        let factor = sides.base_factor();
        stacks.add(sides.base, &of_base, |node, ns| {
            node.base_ns += (ns as f64 * factor).round() as u64;
        });
        stacks.add(sides.new, &of_new, |node, ns| {
            node.new_ns += ns;
        });
        stacks
    }

    fn add(
        &mut self,
        side: &SampledProfile,
        place_of_frame: &[usize],
        add: impl Fn(&mut StackNode, u64),
    ) {
        let profile = side.with_native_frames();
        let stacks = profile.stacks();
        let mut node_of_stack: Vec<usize> = Vec::with_capacity(stacks.len());
        for stack in stacks {
            let parent = stack.parent.map(|id| node_of_stack[id.0 as usize]);
            let place = place_of_frame[stack.frame.0 as usize];
            node_of_stack.push(self.node(parent, Some(place)));
        }
        for row in profile.rows() {
            let node = match row.stack {
                Some(id) => node_of_stack[id.0 as usize],
                None => self.node(None, None),
            };
            add(&mut self.nodes[node], row.totals.time(side.blocks.mode()).0);
        }
    }

    fn node(&mut self, parent: Option<usize>, place: Option<usize>) -> usize {
        let nodes = &mut self.nodes;
        *self.node_of.entry((parent, place)).or_insert_with(|| {
            nodes.push(StackNode {
                parent,
                place,
                base_ns: 0,
                new_ns: 0,
            });
            nodes.len() - 1
        })
    }
}
