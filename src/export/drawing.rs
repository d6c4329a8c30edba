//! How graphs are drawn, where the user may choose.

/// Which way a flame graph grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Up, from the outermost function, as flames do.
    Up,
    /// Down, as icicles do: the first screen begins with the outermost functions.
    #[default]
    Down,
}

/// Which lines are frames of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lines {
    /// In a flame graph those of the user's own code, elsewhere none.
    #[default]
    OfOwnCode,
    /// Those of every function.
    All,
    /// None: a function is one frame.
    Merged,
}

/// The choices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drawing {
    /// Which way a flame graph grows.
    pub direction: Direction,
    /// Whether stacks begin with the innermost function: equal leaves are one, and above each stand
    /// its callers.
    pub is_reversed: bool,
    /// Which executed lines of functions are frames of their own.
    pub lines: Lines,
    /// Whether a flame graph tells threads apart, by the pattern of their names.
    pub by_thread: bool,
    /// Whether a flame graph tells processes apart.
    pub by_process: bool,
    /// Whether a flame graph tells asyncio tasks apart: what runs in one stands on its name, instead of on the event loop.
    pub by_task: bool,
    /// Whether equal stacks of several processes are one in collapsed stacks.
    pub merges_processes: bool,
    /// In a call graph, functions with a smaller share of the whole are left out, in percent.
    pub node_threshold_percent: f64,
    /// In a call graph, calls with a smaller share of the whole are left out, in percent.
    pub edge_threshold_percent: f64,
    /// An HTML page is not larger than this.
    pub max_page_bytes: u64,
}

/// A larger page takes seconds to open, and mail and chat refuse it.
pub const DEFAULT_MAX_PAGE_BYTES: u64 = 64 << 20;

/// The thresholds are those of gprof2dot.
impl Default for Drawing {
    fn default() -> Drawing {
        Drawing {
            direction: Direction::default(),
            is_reversed: false,
            lines: Lines::default(),
            by_thread: false,
            by_process: false,
            by_task: false,
            merges_processes: false,
            node_threshold_percent: 0.5,
            edge_threshold_percent: 0.1,
            max_page_bytes: DEFAULT_MAX_PAGE_BYTES,
        }
    }
}
