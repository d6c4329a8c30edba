//! How much one recording may hold of a program: the sampler keeps to it, whatever the program does.
//!
//! A program that makes new stacks, functions, threads or processes without end would otherwise fill the memory of the
//! profiler and the disk. What exceeds a limit is still sampled, under a name that says so, and counted.

/// The most stacks. The tables of the sampler, the recorder and the profile take some 80 bytes for each; large programs
/// have some ten thousand.
pub const MAX_STACKS: usize = 450_000;

/// So many stacks more are kept for those that are cut short at [`MORE_STACKS`].
pub const MAX_CUT_STACKS: usize = 1 << 15;

/// How many frames, from the outermost one on, are kept at most of a stack that is cut short.
pub const KEPT_OF_CUT: usize = 16;

/// The most that all frames may take, in bytes of [`frame_bytes`]. Some five copies of that are held at a time.
pub const MAX_FRAMES_BYTES: usize = 12 << 20;

/// The most threads of all processes. Those beyond are recorded as one of each process.
pub const MAX_THREADS: u32 = 1 << 15;

/// The most processes.
pub const MAX_PROCESSES: u32 = 1 << 15;

/// The most bytes of a command line that are kept. Words beyond are left out.
pub const MAX_COMMAND_BYTES: usize = 16 << 10;

/// The most bytes that all command lines together may take. Beyond, none is kept.
pub const MAX_COMMANDS_BYTES: usize = 4 << 20;

/// The most rows of a profile that is made while the program runs.
pub const MAX_ROWS: usize = 400_000;

/// The most rows of a profile that is made of recordings: a thousand ranks have a thousand each.
pub const MAX_READ_ROWS: usize = 1_500_000;

/// The most frames that the stacks of all rows may have: every table goes through them, which takes some seconds for so
/// many. A thousand rows of the deepest stacks have some thirty million.
pub const MAX_FRAMES_OF_ROWS: u64 = 1 << 28;

/// The most sets of attributes. Those beyond are left out: a sample is as well without them.
pub const MAX_ATTRIBUTES: u32 = 1 << 16;

/// The most functions that one native frame stands for: compilers put a few dozen into one another.
pub const MAX_FUNCTIONS: usize = 64;

/// The frame that stands for what is cut off a stack when there are too many of them.
pub const MORE_STACKS: &str = "[more stacks]";

/// The name of the thread that stands for all further ones of a process when there are too many of them.
pub const MORE_THREADS: &str = "[more threads]";

/// The frame that stands for functions when there are too many of them.
pub const MORE_FUNCTIONS: &str = "[more functions]";

/// What a frame takes beside its texts, in bytes, about.
const FRAME_BYTES: usize = 64;

/// What a frame with texts of so many bytes takes, about.
#[must_use]
pub fn frame_bytes(texts: usize) -> usize {
    FRAME_BYTES + texts
}
