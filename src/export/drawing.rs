//! How graphs are drawn, where the user may choose.

/// Which way a flame graph grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Up, from the outermost function.
    #[default]
    Up,
    /// Down, as icicles do.
    Down,
}

/// The choices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drawing {
    /// Which way a flame graph grows.
    pub direction: Direction,
    /// Whether stacks begin with the innermost function: equal leaves are one, and above each stand
    /// its callers.
    pub is_reversed: bool,
    /// Whether the executed lines of a function are frames of their own.
    pub by_line: bool,
    /// Whether equal stacks of several processes are one.
    pub merges_processes: bool,
    /// In a call graph, functions with a smaller share of the whole are left out, in percent.
    pub node_threshold_percent: f64,
    /// In a call graph, calls with a smaller share of the whole are left out, in percent.
    pub edge_threshold_percent: f64,
}

/// The thresholds are those of gprof2dot.
impl Default for Drawing {
    fn default() -> Drawing {
        Drawing {
            direction: Direction::Up,
            is_reversed: false,
            by_line: false,
            merges_processes: false,
            node_threshold_percent: 0.5,
            edge_threshold_percent: 0.1,
        }
    }
}
