//! Turns how long asyncio tasks waited with each stack into how long they waited at each line.

use std::collections::BTreeMap;

use super::Profile;
use super::event::Nanos;
use super::functions::Function;
use super::own_frames::{Line, OwnFrames};

/// A line at which tasks waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AwaitRow<'p> {
    /// The innermost function of the program's own files, or of all where there is none.
    pub function: Function<'p>,
    /// Its line.
    pub line: Option<u32>,
    /// The innermost function, if that is another one: what waits there.
    pub leaf: Option<Function<'p>>,
    /// How long, over all tasks.
    pub time: Nanos,
}

/// The lines at which tasks waited, that with most time first, and how often it was looked; empty where it never was.
#[must_use]
pub fn await_rows(profile: &Profile) -> (Vec<AwaitRow<'_>>, u64) {
    let awaits = profile.awaits();
    let own = OwnFrames::of(profile);
    let mut sums: BTreeMap<(Line<'_>, Option<Function<'_>>), Nanos> = BTreeMap::new();
    for (stack, time) in &awaits.by_stack {
        let innermost = profile.frames_of(*stack).next();
        let Some(frame) = own.own(*stack).or(innermost) else {
            continue;
        };
        let function = Function::from(frame);
        let leaf = innermost
            .map(Function::from)
            .filter(|leaf| *leaf != function);
        *sums.entry(((function, frame.line), leaf)).or_default() += *time;
    }
    let row = |(((function, line), leaf), time)| AwaitRow {
        function,
        line,
        leaf,
        time,
    };
    let mut rows: Vec<AwaitRow<'_>> = sums.into_iter().map(row).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.time));
    (rows, awaits.looks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::event::{
        Awaited, Event, Frame, FrameId, FrameKind, Process, ProcessId, StackId,
    };

    #[test]
    fn the_time_of_all_tasks_at_one_line_is_summed_over_the_looks() {
        let mut profile = Profile::default();
        let process = Process {
            working_folder: Some("/app".to_owned()),
            ..Process::default()
        };
        profile.apply(Event::Process(ProcessId(0), process));
        let frames = [
            ("serve", "/app/app.py", 7),
            ("sleep", "/usr/lib/python3.12/asyncio/tasks.py", 665),
            ("Queue.get", "/usr/lib/python3.12/asyncio/queues.py", 158),
        ];
        for (id, (name, file, line)) in (0..).zip(frames) {
            let frame = Frame {
                kind: FrameKind::Python,
                name: name.to_owned(),
                file: Some(file.to_owned()),
                first_line: Some(line - 5),
                line: Some(line),
            };
            profile.apply(Event::Frame(FrameId(id), frame));
            let parent = (id > 0).then_some(StackId(0));
            let frame = FrameId(id);
            profile.apply(Event::Stack {
                id: StackId(id),
                parent,
                frame,
            });
        }
        for (at, stack, tasks) in [(1, 1, 20), (1, 2, 3), (2, 1, 10), (2, 9, 1)] {
            profile.apply(Event::Awaited(Awaited {
                at: Nanos(at * 1_000_000_000),
                process: ProcessId(0),
                stack: Some(StackId(stack)),
                tasks,
                since: Nanos(500_000_000),
            }));
        }
        assert_eq!(profile.rejected(), 1, "stack 9 is not defined");
        let (rows, looks) = await_rows(&profile);
        let told = |row: &AwaitRow<'_>| {
            let leaf = row.leaf.map(|leaf| leaf.name.to_owned());
            (row.function.name.to_owned(), row.line, leaf, row.time.0)
        };
        let told: Vec<_> = rows.iter().map(told).collect();
        let row = |leaf: &str, ns| ("serve".to_owned(), Some(7), Some(leaf.to_owned()), ns);
        let expected = [
            row("sleep", 15_000_000_000),
            row("Queue.get", 1_500_000_000),
        ];
        assert_eq!((told.as_slice(), looks), (&expected[..], 2));
    }
}
