//! Turns a profile into edges from callers to callees, by function or by line, each with its time.

use std::collections::HashMap;

use super::functions::{FunctionId, Functions};
use super::sums::{self, Classes};
use super::{Profile, Totals};

/// What one function spent in calls from one other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    /// The function that called; `None` for the outermost frame of a stack.
    pub caller: Option<FunctionId>,
    /// The function that was called; the same one when it called itself.
    pub callee: FunctionId,
    /// Sums over the samples that were in `callee` itself, called directly from `caller`. Over
    /// all edges of a callee they add up to its self time.
    pub self_totals: Totals,
    /// Sums over the samples whose stack holds the call, each counted once.
    pub totals: Totals,
}

/// Every edge of the call graph, in the order in which they were first seen; `functions` is the
/// table of the same profile.
#[must_use]
pub fn edges(profile: &Profile, functions: &Functions<'_>) -> Vec<Edge> {
    let mut ids = HashMap::new();
    let mut edges = Vec::new();
    let mut class_of = Vec::with_capacity(profile.stacks().len());
    for node in profile.stacks() {
        let caller = node.parent.and_then(|id| functions.of_stack(profile, id));
        let Some(callee) = functions.of_frame(node.frame) else {
            // Not of the same profile: no class, no edge.
            class_of.push(usize::MAX);
            continue;
        };
        let class = *ids.entry((caller, callee)).or_insert_with(|| {
            edges.push(Edge {
                caller,
                callee,
                self_totals: Totals::default(),
                totals: Totals::default(),
            });
            edges.len() - 1
        });
        class_of.push(class);
    }
    let sums = sums::by_class(profile, &class_of, edges.len());
    for (edge, sums) in edges.iter_mut().zip(sums) {
        edge.self_totals = sums.self_time;
        edge.totals = sums.total_time;
    }
    edges
}

/// A line from which a function is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallSite {
    /// The function that called; `None` for the outermost frame of a stack.
    pub caller: Option<FunctionId>,
    /// The line of the call; `None` where it could not be told, or there is no caller.
    pub line: Option<u32>,
    /// The function that was called.
    pub callee: FunctionId,
    /// Sums over the samples whose stack holds the call as the outermost one of `callee`. Over all
    /// call sites of a function they add up to its total time, even if it calls itself.
    pub totals: Totals,
}

/// Every line that calls a function, in the order in which they were first seen; `functions` is the
/// table of the same profile.
#[must_use]
pub fn call_sites(profile: &Profile, functions: &Functions<'_>) -> Vec<CallSite> {
    let mut ids = HashMap::new();
    let mut sites = Vec::new();
    let mut function_of = Vec::with_capacity(profile.stacks().len());
    let mut site_of = Vec::with_capacity(profile.stacks().len());
    for node in profile.stacks() {
        let Some(callee) = functions.of_frame(node.frame) else {
            function_of.push(usize::MAX);
            site_of.push(usize::MAX);
            continue;
        };
        let below = node.parent.and_then(|id| profile.stack(id));
        let caller = below.and_then(|below| functions.of_frame(below.frame));
        let line = below.and_then(|below| profile.frame(below.frame)?.line);
        let site = *ids.entry((caller, line, callee)).or_insert_with(|| {
            sites.push(CallSite {
                caller,
                line,
                callee,
                totals: Totals::default(),
            });
            sites.len() - 1
        });
        function_of.push(callee.0 as usize);
        site_of.push(site);
    }
    let functions = Classes::new(profile, &function_of, functions.rows().len());
    let totals = functions.totals(sums::self_times(profile), &site_of, sites.len());
    for (site, total) in sites.iter_mut().zip(totals) {
        site.totals = total;
    }
    sites
}
