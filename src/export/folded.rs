//! Turns a profile into collapsed stacks: one line per stack, `outermost;…;innermost N`.
//!
//! N is whole microseconds of the chosen time. They are rounded such that their sum is the rounded
//! sum; stacks that come to none are left out. Lines are sorted by frame. Frames are functions,
//! `name (file:first line)`, or with lines asked for executed lines, `name (file:line)`; below them `thread NAME (TID)` and
//! `process PID (COMMAND)` where there is more than one. In names, `;` is written as `:`, and control characters are replaced.

use std::io;

use super::tree::{Path, Tree};
use crate::export::ReportInput;
use crate::export::frame_groups::FrameGroups;
use crate::export::spec::Spec;

/// Collapsed stacks, one per line, with microseconds.
pub(super) const FOLDED: Spec = Spec::new(
    "folded",
    &["folded"],
    "collapsed stacks, for speedscope and flamegraph.pl",
    write,
);

/// Writes the stacks.
///
/// # Errors
/// When `out` fails.
fn write(input: &ReportInput<'_>, out: &mut dyn io::Write) -> io::Result<()> {
    let profile = input.profile.with_native_frames();
    let meta = input.meta;
    let places = FrameGroups::of(profile, meta.drawing.lines);
    let tree = Tree::of(profile, &places, meta);
    tree.visit(|path| writeln!(out, "{}", line(path)))
}

/// One line without its end.
pub(super) fn line(path: &Path<'_>) -> String {
    format!("{} {}", path.labels.join(";"), path.self_us)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::Meta;
    use crate::export::SummaryOptions;
    use crate::export::text::summary;
    use crate::profile::Profile;
    use crate::profile::event::FrameKind;
    use crate::profile::event::{
        Event, Frame, FrameId, Nanos, Process, ProcessId, Sample, StackId, Thread, ThreadId,
    };

    /// Process 70 started 71, and that started 72; each was in `run` for its number of seconds.
    fn family() -> Profile {
        let mut profile = Profile::default();
        profile.apply(Event::Frame(
            FrameId(0),
            Frame {
                kind: FrameKind::Python,
                name: "run".to_owned(),
                file: Some("run.py".to_owned()),
                first_line: Some(1),
                line: Some(2),
            },
        ));
        profile.apply(Event::Stack {
            id: StackId(0),
            parent: None,
            frame: FrameId(0),
        });
        for number in 0..3_u32 {
            let process = Process {
                pid: 70 + number as i32,
                command: vec!["/usr/bin/python".to_owned(), "run.py".to_owned()],
                seen: Nanos(u64::from(number) * 500_000_000),
                parent: number.checked_sub(1).map(ProcessId),
                ..Process::default()
            };
            profile.apply(Event::Process(ProcessId(number), process));
            let thread = Thread {
                process: ProcessId(number),
                tid: Some(70 + number as i32),
                name: Some("MainThread".to_owned()),
                is_main: true,
            };
            profile.apply(Event::Thread(ThreadId(number), thread));
            profile.apply(Event::Sample(Sample {
                thread: ThreadId(number),
                stack: Some(StackId(0)),
                ticks: 1,
                wall: Nanos(u64::from(number + 1) * 1_000_000_000),
                ..Sample::default()
            }));
        }
        profile.apply(Event::End(Nanos(3_000_000_000)));
        profile
    }

    fn folded(merges_processes: bool) -> String {
        let mut meta = Meta::default();
        meta.drawing.merges_processes = merges_processes;
        let mut out = Vec::new();
        write(&ReportInput::new(&family(), &meta), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn processes_are_roots_unless_they_are_merged() {
        assert_eq!(
            folded(false),
            "process 70 (python run.py);thread MainThread (70);run (run.py:1) 1000000\n\
             process 71 (python run.py);thread MainThread (71);run (run.py:1) 2000000\n\
             process 72 (python run.py);thread MainThread (72);run (run.py:1) 3000000\n"
        );
        assert_eq!(folded(true), "run (run.py:1) 6000000\n");
    }

    #[test]
    fn processes_stand_below_those_that_started_them() {
        let text = summary(&family(), &SummaryOptions::default());
        let rows = text.lines().filter_map(|line| {
            let (figures, process) = line.split_once("process ")?;
            let indented = figures.len() - figures.trim_end().len();
            Some((indented, process))
        });
        let rows: Vec<_> = rows
            .filter(|(_, process)| process.contains("run.py"))
            .collect();
        assert_eq!(
            rows,
            [
                (2, "70 (python run.py)"),
                (4, "71 (python run.py), from 0.500 s"),
                (6, "72 (python run.py), from 1.000 s"),
            ]
        );
    }
}
