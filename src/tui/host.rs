//! What a live view asks of the rest of the program: snapshots, words, source text and files.

use crate::profile::event::{Process, Thread};
use crate::profile::functions::Function;
use crate::profile::snapshot::{Snapshot, Span};
use crate::profile::tasks::TaskRow;
use crate::profile::{Mode, Profile};

/// What stands behind the screen. Nothing of it may wait for long: the screen is not redrawn meanwhile.
pub trait Host {
    /// Asks for a snapshot of this span. It comes by one of the next calls of [`Host::take`].
    fn request(&mut self, span: Span);

    /// The snapshot that was asked for, once it is there.
    fn take(&mut self) -> Option<Snapshot>;

    /// Why nothing more is sampled, in words, as `the program ended`; `None`: it is.
    fn ended(&self) -> Option<String>;

    /// Whether the user, or the machine, wants the view to end.
    fn is_interrupted(&self) -> bool;

    /// Begins a recording, or ends it.
    ///
    /// # Errors
    /// Why not, in words.
    fn record(&mut self) -> Result<String, String>;

    /// Whether something is recorded.
    fn is_recording(&self) -> bool;

    /// What became of something that went on meanwhile, once.
    fn news(&mut self) -> Option<String>;

    /// Writes a flame graph and a page with everything; tells where.
    ///
    /// # Errors
    /// Why not, in words.
    fn save(&mut self, profile: &Profile, mode: Mode) -> Result<String, String>;

    /// The stacks of all threads now, as lines of text.
    ///
    /// # Errors
    /// Why not, in words.
    fn dump(&mut self) -> Result<Vec<String>, String>;

    /// What is profiled: `scatter.py (process 4242)`.
    fn title(&self) -> String;

    /// `name (file:line)`, as short as it may be told apart, without anything that a terminal obeys.
    fn place(&self, function: &Function<'_>, line: Option<u32>) -> String;

    /// The name alone.
    fn name(&self, function: &Function<'_>) -> String;

    /// `file:line`, in the same way.
    fn line_place(&self, file: &str, line: Option<u32>) -> String;

    /// The text of a line, without anything that a terminal obeys; `None`: not known.
    fn source(&mut self, file: &str, line: u32) -> Option<String>;

    /// A thread in words.
    fn thread(&self, thread: &Thread) -> String;

    /// A process in words, with its rank where it has one.
    fn process(&self, process: &Process) -> String;

    /// asyncio tasks of one name in words, or what belongs to none.
    fn task(&self, row: &TaskRow<'_>) -> String;

    /// A size in words: `1.2 MB`.
    fn size(&self, bytes: u64) -> String;

    /// What stands out, in sentences, what costs most first.
    fn findings(&self, profile: &Profile) -> Vec<String>;
}
