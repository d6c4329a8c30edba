//! Turns what a live view asks for into made-up words and files.

use rsamp::export::task_words;
use rsamp::profile::{Function, Mode, Process, Profile, Snapshot, Span, TaskRow, Thread};
use rsamp::tui::Host;

/// Words and files that stand for the real ones.
#[derive(Default)]
pub struct FakeHost {
    /// Why nothing more is sampled.
    pub ended: Option<String>,
    /// Whether it panics when a snapshot is asked for.
    pub panics: bool,
}

impl Host for FakeHost {
    fn request(&mut self, _: Span) {
        assert!(!self.panics, "this panic was asked for");
    }
    fn take(&mut self) -> Option<Snapshot> {
        None
    }
    fn ended(&self) -> Option<String> {
        self.ended.clone()
    }
    fn is_interrupted(&self) -> bool {
        false
    }
    fn record(&mut self) -> Result<String, String> {
        Err("not here".to_owned())
    }
    fn is_recording(&self) -> bool {
        false
    }
    fn news(&mut self) -> Option<String> {
        None
    }
    fn save(&mut self, _: &Profile, _: Mode) -> Result<String, String> {
        Err("not here".to_owned())
    }
    fn dump(&mut self) -> Result<Vec<String>, String> {
        Err("not here".to_owned())
    }
    fn title(&self) -> String {
        "process 4242 (python scatter.py -nx 200)".to_owned()
    }
    fn place(&self, function: &Function<'_>, line: Option<u32>) -> String {
        let file = function.file.unwrap_or_default();
        format!("{} ({})", function.name, self.line_place(file, line))
    }
    fn name(&self, function: &Function<'_>) -> String {
        function.name.to_owned()
    }
    fn line_place(&self, file: &str, line: Option<u32>) -> String {
        let file = file.rsplit('/').next().expect("a word");
        format!("{file}:{}", line.expect("a line"))
    }
    fn source(&mut self, file: &str, line: u32) -> Option<String> {
        let is_known = file.ends_with("scatter.py") && line <= 100;
        is_known.then(|| format!("    x = step_{line}(x)"))
    }
    fn thread(&self, thread: &Thread) -> String {
        thread.name.clone().expect("a name")
    }
    fn process(&self, process: &Process) -> String {
        format!("process {} (python scatter.py)", process.pid)
    }
    fn task(&self, row: &TaskRow<'_>) -> String {
        task_words(row)
    }
    fn size(&self, bytes: u64) -> String {
        format!("{} MB", bytes / 1_000_000)
    }
    fn findings(&self, _: &Profile) -> Vec<String> {
        vec![
            "the GIL is the bottleneck for 2 threads: 5.4 s of waiting, 45 % of the time in which they wanted to run: \
             use processes, each has a GIL of its own"
                .to_owned(),
            "memory keeps growing".to_owned(),
        ]
    }
}
