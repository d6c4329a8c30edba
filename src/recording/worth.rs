//! Turns the frames and samples of a recording into the parts of source files that are worth keeping.
//!
//! Most functions that are seen at all are seen once, while the program imports its modules: of these the
//! lines around the one seen are enough. A function is kept as a whole when it is short, has been seen at
//! [`MANY_LINES`] lines, or in [`MANY_TICKS`] samples of its own.

use std::collections::BTreeMap;
use std::mem::take;

use rustc_hash::FxHashMap;

use super::source::{self, Excerpt};
use crate::profile::event::{Event, Frame, StackId};

/// What is not longer is kept as a whole at once.
const SHORT_LINES: usize = 15;

/// From so many lines on a function is kept as a whole.
const MANY_LINES: usize = 3;

/// From so many samples on a function is kept as a whole.
const MANY_TICKS: u32 = 10;

/// The functions seen, and what of them has not been looked up yet.
#[derive(Debug, Default)]
pub(super) struct Worth {
    functions: Vec<Function>,
    ids: FxHashMap<Function, usize>,
    seen: Vec<Seen>,
    /// By frame; `None` for a mark that has no file.
    function_of_frame: Vec<Option<usize>>,
    /// By stack: the innermost frame.
    frame_of_stack: Vec<u32>,
    due: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Function {
    file: String,
    first_line: u32,
    name: String,
}

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    lines: usize,
    ticks: u32,
    is_whole: bool,
}

/// A part of a function that has become worth keeping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    function: usize,
    /// The line seen; `None` for the whole function.
    line: Option<u32>,
}

impl Worth {
    /// Takes in an event, in the order in which all are written.
    pub(super) fn event(&mut self, event: &Event) {
        match event {
            Event::Frame(_, frame) => self.frame(frame),
            Event::Stack { frame, .. } => self.frame_of_stack.push(frame.0),
            Event::Sample(sample) => self.sample(sample.stack, sample.ticks),
            _ => {}
        }
    }

    fn frame(&mut self, frame: &Frame) {
        let function = frame.file.as_ref().map(|file| Function {
            file: file.clone(),
            first_line: frame.first_line.unwrap_or(1),
            name: frame.name.clone(),
        });
        let function = function.map(|function| {
            let next = self.functions.len();
            *self.ids.entry(function).or_insert_with_key(|function| {
                self.functions.push(function.clone());
                self.seen.push(Seen::default());
                next
            })
        });
        self.function_of_frame.push(function);
        let Some(function) = function else { return };
        self.seen[function].lines += 1;
        self.due.push(Part {
            function,
            line: Some(frame.line.unwrap_or(1)),
        });
        self.judge(function);
    }

    fn sample(&mut self, stack: Option<StackId>, ticks: u32) {
        let frame = stack.and_then(|id| self.frame_of_stack.get(id.0 as usize));
        let function = frame.and_then(|frame| *self.function_of_frame.get(*frame as usize)?);
        if let Some(function) = function {
            let seen = &mut self.seen[function];
            seen.ticks = seen.ticks.saturating_add(ticks);
            self.judge(function);
        }
    }

    fn judge(&mut self, function: usize) {
        let seen = &mut self.seen[function];
        let is_worth = seen.lines >= MANY_LINES || seen.ticks >= MANY_TICKS;
        if is_worth && !seen.is_whole && self.functions[function].name != source::MODULE {
            seen.is_whole = true;
            let line = None;
            self.due.push(Part { function, line });
        }
    }

    /// What has become worth keeping since the last time, file by file.
    pub(super) fn take_due(&mut self) -> BTreeMap<String, Vec<Part>> {
        let mut by_file: BTreeMap<String, Vec<Part>> = BTreeMap::new();
        for part in take(&mut self.due) {
            let is_covered = self.seen[part.function].is_whole && part.line.is_some();
            if !is_covered {
                let file = self.functions[part.function].file.clone();
                by_file.entry(file).or_default().push(part);
            }
        }
        by_file
    }

    /// The text of a part in that of its file; `None` when the file changed since it was run.
    pub(super) fn excerpt<'t>(&mut self, part: Part, text: &'t str) -> Option<Excerpt<'t>> {
        let function = &self.functions[part.function];
        let whole = source::excerpt(text, &function.name, function.first_line, part.line)?;
        let Some(line) = part.line.filter(|_| function.name != source::MODULE) else {
            return Some(whole);
        };
        if whole.text.lines().count() <= SHORT_LINES {
            self.seen[part.function].is_whole = true;
            return Some(whole);
        }
        source::around(text, line.max(function.first_line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::event::{FrameId, Sample};

    /// A short function at line 1, and one of 40 lines at line 3.
    fn text() -> String {
        format!(
            "def short():\n    pass\ndef long():\n{}",
            "    x\n".repeat(39)
        )
    }

    /// The first lines and lengths of what is kept of `long` and `short` after these events.
    fn check(worth: &mut Worth, events: &[Event], expected: &[(u32, usize)]) {
        events.iter().for_each(|event| worth.event(event));
        let text = text();
        let due = worth.take_due().into_values().flatten();
        let kept = due.filter_map(|part| worth.excerpt(part, &text));
        let kept: Vec<_> = kept
            .map(|kept| (kept.first_line, kept.text.lines().count()))
            .collect();
        assert_eq!(kept, expected);
    }

    fn frame(id: u32, name: &str, first_line: u32, line: u32) -> Event {
        let frame = Frame {
            name: name.to_owned(),
            file: Some("/run.py".to_owned()),
            first_line: Some(first_line),
            line: Some(line),
        };
        Event::Frame(FrameId(id), frame)
    }

    #[test]
    fn short_functions_are_kept_at_once_and_of_long_ones_the_lines_around() {
        let worth = &mut Worth::default();
        check(worth, &[frame(0, "short", 1, 2)], &[(1, 2)]);
        check(worth, &[frame(1, "long", 3, 20)], &[(17, 7)]);
        check(worth, &[frame(2, "long", 3, 30)], &[(27, 7)]);
        check(worth, &[frame(3, "long", 3, 40)], &[(3, 40)]);
        check(worth, &[frame(4, "long", 3, 41)], &[]);
        check(worth, &[frame(5, "short", 1, 1)], &[]);
    }

    #[test]
    fn a_function_of_many_samples_is_kept() {
        let worth = &mut Worth::default();
        let sample = |ticks| {
            Event::Sample(Sample {
                stack: Some(StackId(0)),
                ticks,
                ..Sample::default()
            })
        };
        let (id, frame_id) = (StackId(0), FrameId(0));
        let stack = Event::Stack {
            id,
            parent: None,
            frame: frame_id,
        };
        check(
            worth,
            &[frame(0, "long", 3, 20), stack, sample(9)],
            &[(17, 7)],
        );
        check(worth, &[sample(1)], &[(3, 40)]);
        check(worth, &[sample(100)], &[]);
    }
}
