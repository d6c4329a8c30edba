//! Turns the frames and samples of a recording into the parts of source files that are worth keeping.
//!
//! Most functions that are seen at all are seen once, while the program imports its modules: of these the
//! lines around the one seen are enough. A function is kept as a whole when it is short, has been seen at
//! [`MANY_LINES`] lines, or in [`MANY_TICKS`] samples of its own.
//!
//! Frames are by content, the same for all processes; a file is read with the rights of the process that named it. That
//! is the first process with a sample in which the frame is.

use std::collections::BTreeMap;
use std::mem::take;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::source::{self, Excerpt};
use crate::profile::event::{Event, Frame, FrameId, ProcessId, Sample, StackId, ThreadId};

/// What is not longer is kept as a whole at once.
const SHORT_LINES: usize = 15;

/// From so many lines on a function is kept as a whole.
const MANY_LINES: usize = 3;

/// From so many samples on a function is kept as a whole.
const MANY_TICKS: u32 = 10;

/// The functions seen, and what of them has not been looked up yet.
#[derive(Debug, Default)]
pub(super) struct SourceSelector {
    functions: Vec<Arc<Function>>,
    ids: FxHashMap<Arc<Function>, usize>,
    seen: Vec<Seen>,
    frames: Vec<SeenFrame>,
    stacks: Vec<Node>,
    processes: FxHashMap<ThreadId, ProcessId>,
    due: Vec<(ProcessId, Part)>,
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

/// A frame, by its number.
#[derive(Debug, Clone, Copy)]
struct SeenFrame {
    /// `None` for a mark that has no file.
    function: Option<usize>,
    line: Option<u32>,
    is_sampled: bool,
}

/// A stack, by its number.
#[derive(Debug, Clone, Copy)]
struct Node {
    parent: Option<StackId>,
    frame: FrameId,
    /// Whether a sample came with it, or with one that it is the lower part of.
    is_sampled: bool,
}

/// A part of a function that has become worth keeping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    function: usize,
    /// The line seen; `None` for the whole function.
    line: Option<u32>,
}

impl SourceSelector {
    /// Takes in an event, in the order in which all are written.
    pub(super) fn event(&mut self, event: &Event) {
        match event {
            Event::Thread(id, thread) => {
                self.processes.insert(*id, thread.process);
            }
            Event::Frame(_, frame) => self.frame(frame),
            Event::Stack { parent, frame, .. } => self.stacks.push(Node {
                parent: *parent,
                frame: *frame,
                is_sampled: false,
            }),
            Event::Sample(sample) => self.sample(sample),
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
            *self
                .ids
                .entry(Arc::new(function))
                .or_insert_with_key(|function| {
                    self.functions.push(Arc::clone(function));
                    self.seen.push(Seen::default());
                    next
                })
        });
        self.frames.push(SeenFrame {
            function,
            line: frame.line,
            is_sampled: false,
        });
    }

    fn sample(&mut self, sample: &Sample) {
        let process = self.processes.get(&sample.thread).copied();
        let (Some(process), Some(stack)) = (process, sample.stack) else {
            return;
        };
        let mut next = Some(stack);
        while let Some(node) = next.and_then(|id| self.stacks.get_mut(id.0 as usize))
            && !node.is_sampled
        {
            node.is_sampled = true;
            next = node.parent;
            let frame = node.frame;
            self.named(process, frame);
        }
        let innermost = self.stacks.get(stack.0 as usize).map(|node| node.frame);
        let frame = innermost.and_then(|frame| self.frames.get(frame.0 as usize));
        if let Some(function) = frame.and_then(|frame| frame.function) {
            let seen = &mut self.seen[function];
            seen.ticks = seen.ticks.saturating_add(sample.ticks);
            self.judge(process, function);
        }
    }

    /// A frame is in a sample of this process, and was in none before.
    fn named(&mut self, process: ProcessId, frame: FrameId) {
        let Some(frame) = self.frames.get_mut(frame.0 as usize) else {
            return;
        };
        let is_new = !std::mem::replace(&mut frame.is_sampled, true);
        let line = frame.line.unwrap_or(1);
        let Some(function) = frame.function.filter(|_| is_new) else {
            return;
        };
        self.seen[function].lines += 1;
        let line = Some(line);
        self.due.push((process, Part { function, line }));
        self.judge(process, function);
    }

    fn judge(&mut self, process: ProcessId, function: usize) {
        let seen = &mut self.seen[function];
        let is_worth = seen.lines >= MANY_LINES || seen.ticks >= MANY_TICKS;
        let is_function = !source::is_whole_file(&self.functions[function].name);
        if is_worth && !seen.is_whole && is_function {
            seen.is_whole = true;
            let line = None;
            self.due.push((process, Part { function, line }));
        }
    }

    /// What has become worth keeping since the last time, file by file, of the process that named the file.
    pub(super) fn take_due(&mut self) -> BTreeMap<(ProcessId, String), Vec<Part>> {
        let mut by_file: BTreeMap<_, Vec<Part>> = BTreeMap::new();
        for (process, part) in take(&mut self.due) {
            let is_covered = self.seen[part.function].is_whole && part.line.is_some();
            if !is_covered {
                let file = self.functions[part.function].file.clone();
                by_file.entry((process, file)).or_default().push(part);
            }
        }
        by_file
    }

    /// The text of a part in that of its file; `None` when the file changed since it was run.
    pub(super) fn excerpt<'t>(&mut self, part: Part, text: &'t str) -> Option<Excerpt<'t>> {
        let function = &self.functions[part.function];
        let whole = source::excerpt(text, &function.name, function.first_line, part.line)?;
        let Some(line) = part.line.filter(|_| !source::is_whole_file(&function.name)) else {
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
    use crate::profile::event::FrameKind;
    use crate::profile::event::Thread;

    /// A short function at line 1, and one of 40 lines at line 3.
    fn text() -> String {
        format!(
            "def short():\n    pass\ndef long():\n{}",
            "    x\n".repeat(39)
        )
    }

    /// With thread 0 in process 7, and thread 1 in process 8.
    fn worth() -> SourceSelector {
        let mut worth = SourceSelector::default();
        for (id, process) in [(0, 7), (1, 8)] {
            let thread = Thread {
                process: ProcessId(process),
                tid: None,
                name: None,
                is_main: true,
            };
            worth.event(&Event::Thread(ThreadId(id), thread));
        }
        worth
    }

    /// The first lines and lengths of what is kept of `long` and `short` after these events.
    fn check(worth: &mut SourceSelector, events: &[Event], expected: &[(u32, usize)]) {
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
            kind: FrameKind::Python,
            name: name.to_owned(),
            file: Some("/run.py".to_owned()),
            first_line: Some(first_line),
            line: Some(line),
        };
        Event::Frame(FrameId(id), frame)
    }

    fn stack(id: u32, parent: Option<u32>) -> Event {
        Event::Stack {
            id: StackId(id),
            parent: parent.map(StackId),
            frame: FrameId(id),
        }
    }

    fn sample(stack: u32, thread: u32, ticks: u32) -> Event {
        Event::Sample(Sample {
            stack: Some(StackId(stack)),
            thread: ThreadId(thread),
            ticks,
            ..Sample::default()
        })
    }

    #[test]
    fn short_functions_are_kept_at_once_and_of_long_ones_the_lines_around() {
        let worth = &mut worth();
        let mut check = |id, name, first_line, line, expected: &[(u32, usize)]| {
            let events = [
                frame(id, name, first_line, line),
                stack(id, None),
                sample(id, 0, 1),
            ];
            check(worth, &events, expected);
        };
        check(0, "short", 1, 2, &[(1, 2)]);
        check(1, "long", 3, 20, &[(17, 7)]);
        check(2, "long", 3, 30, &[(27, 7)]);
        check(3, "long", 3, 40, &[(3, 40)]);
        check(4, "long", 3, 41, &[]);
        check(5, "short", 1, 1, &[]);
    }

    #[test]
    fn a_function_of_many_samples_is_kept() {
        let worth = &mut worth();
        check(
            worth,
            &[frame(0, "long", 3, 20), stack(0, None), sample(0, 0, 9)],
            &[(17, 7)],
        );
        check(worth, &[sample(0, 0, 1)], &[(3, 40)]);
        check(worth, &[sample(0, 0, 100)], &[]);
    }

    #[test]
    fn a_file_is_read_for_the_process_whose_sample_named_it_first() {
        let worth = &mut worth();
        let due = |worth: &mut SourceSelector, events: &[Event]| {
            events.iter().for_each(|event| worth.event(event));
            let due = worth.take_due().into_iter();
            due.map(|((process, _), parts)| (process.0, parts.len()))
                .collect::<Vec<_>>()
        };
        let definitions = [
            frame(0, "long", 3, 20),
            frame(1, "short", 1, 2),
            stack(0, None),
            stack(1, Some(0)),
        ];
        assert_eq!(due(worth, &definitions), []);
        assert_eq!(due(worth, &[sample(1, 1, 1)]), [(8, 2)]);
        assert_eq!(due(worth, &[sample(0, 0, 1)]), []);
    }
}
