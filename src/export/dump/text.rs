//! Turns a [`Dump`] into lines for people.

use std::fmt::Write;

use crate::export::words::escape::{escaped, quoted};
use crate::export::words::number::grouped;
use crate::profile::dump::{Activity, Dump, ThreadDump};
use crate::profile::event::{Frame, FrameKind};
use crate::profile::paths::file_name;

/// From this many equal frames in a row on, one line stands for all but the first; the line would
/// not be shorter than one frame.
const MIN_COLLAPSED_FRAMES: usize = 3;

const INDENT: &str = "    ";

/// A header, and a paragraph for each thread: its frames innermost first.
///
/// Every name and path is escaped: none can steer the terminal.
#[must_use]
pub fn text(dump: &Dump) -> String {
    let mut out = header(dump);
    if dump.threads.is_empty() {
        out.push_str("\nNo Python thread\n");
    }
    for thread in &dump.threads {
        write_thread(&mut out, thread);
    }
    out
}

/// The process, its version and its command line.
pub(super) fn header(dump: &Dump) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "Process {}, Python {}",
        dump.pid,
        escaped(&dump.python)
    );
    let command: Vec<String> = dump.command.iter().map(|word| quoted(word)).collect();
    let _ = writeln!(out, "Command: {}", command.join(" "));
    out
}

fn write_thread(out: &mut String, thread: &ThreadDump) {
    let tid = thread
        .tid
        .map_or_else(|| "unknown".to_owned(), |tid| tid.to_string());
    let _ = write!(out, "\nThread {tid}");
    if let Some(name) = &thread.name {
        let _ = write!(out, " \"{}\"", escaped(name));
    }
    let marks = marks(thread);
    if !marks.is_empty() {
        let _ = write!(out, " ({})", marks.join(", "));
    }
    out.push('\n');
    if thread.frames.is_empty() {
        let _ = writeln!(out, "{INDENT}no Python frame");
    }
    for run in thread.frames.chunk_by(|one, next| one == next) {
        write_run(out, INDENT, run);
    }
    if let Some(reason) = &thread.incomplete {
        let _ = writeln!(out, "    (incomplete: {})", escaped(reason));
    }
}

fn marks(thread: &ThreadDump) -> Vec<String> {
    let mut marks = Vec::new();
    if thread.is_main {
        marks.push("main".to_owned());
    }
    match thread.activity {
        Some(Activity::Running) => marks.push("running".to_owned()),
        Some(Activity::Waiting) => marks.push("waiting".to_owned()),
        None => {}
    }
    if thread.holds_gil == Some(true) {
        marks.push("holds the GIL".to_owned());
    }
    if thread.interpreter != 0 {
        marks.push(format!("subinterpreter {}", thread.interpreter));
    }
    marks
}

/// Writes equal frames that follow one another; recursion is the usual reason.
pub(super) fn write_run(out: &mut String, indent: &str, run: &[Frame]) {
    let Some(frame) = run.first() else { return };
    if run.len() < MIN_COLLAPSED_FRAMES {
        for frame in run {
            write_frame(out, indent, frame);
        }
        return;
    }
    write_frame(out, indent, frame);
    let _ = writeln!(
        out,
        "{indent}… previous frame repeated {} times",
        grouped(run.len() as u64 - 1)
    );
}

fn write_frame(out: &mut String, indent: &str, frame: &Frame) {
    let _ = write!(out, "{indent}{}", escaped(&frame.name));
    if let FrameKind::Native(code) = &frame.kind {
        let _ = match code.offset {
            Some(offset) => write!(out, "+{offset:#x}"),
            None => write!(out, " in {}", escaped(file_name(&code.module))),
        };
    }
    match (&frame.file, frame.line) {
        (Some(file), Some(line)) => {
            let _ = write!(out, " ({}:{line})", escaped(file));
        }
        (Some(file), None) => {
            let _ = write!(out, " ({})", escaped(file));
        }
        (None, _) => {}
    }
    out.push('\n');
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::export::dump::native::keep;
    use crate::profile::event::NativeCode;
    use crate::profile::native_frames::NativeFrames;

    fn frame(name: &str, file: &str, line: u32) -> Frame {
        Frame {
            kind: FrameKind::Python,
            name: name.to_owned(),
            file: Some(file.to_owned()),
            first_line: Some(1),
            line: Some(line),
        }
    }

    fn thread(tid: i32, name: &str) -> ThreadDump {
        ThreadDump {
            tid: Some(tid),
            name: Some(name.to_owned()),
            is_main: false,
            holds_gil: Some(false),
            activity: Some(Activity::Waiting),
            interpreter: 0,
            frames: Vec::new(),
            incomplete: None,
        }
    }

    /// One thread of each kind.
    pub(crate) fn sample_dump() -> Dump {
        let main = ThreadDump {
            is_main: true,
            holds_gil: Some(true),
            activity: Some(Activity::Running),
            frames: vec![
                frame("Field.add", "/home/me/scatter.py", 17),
                frame("<module>", "/home/me/scatter.py", 90),
            ],
            ..thread(4242, "MainThread")
        };
        let mut unknown = thread(0, "");
        unknown.tid = None;
        unknown.name = None;
        unknown.activity = None;
        unknown.holds_gil = None;
        unknown.frames = vec![Frame::mark("<native>")];
        unknown.incomplete = Some("memory at 0x7f10 could not be read".to_owned());
        let sub = ThreadDump {
            interpreter: 2,
            ..thread(4250, "worker 散乱")
        };
        Dump {
            pid: 4242,
            python: "3.11.7".to_owned(),
            command: ["python", "scatter.py", "a b", "it's"]
                .map(str::to_owned)
                .to_vec(),
            interpreter_module: None,
            threads: vec![main, unknown, sub],
            tasks: None,
        }
    }

    /// A program that would like to own the terminal and to break the JSON.
    pub(crate) fn attack() -> Dump {
        let evil = "\u{1b}]0;owned\u{7}\u{1b}[2J\"},\n\u{202e}\0";
        let mut thread = thread(7, evil);
        thread.frames = vec![frame(evil, evil, 1)];
        thread.incomplete = Some(evil.to_owned());
        Dump {
            pid: 7,
            python: "3.11.7".to_owned(),
            command: vec!["python".to_owned(), evil.to_owned()],
            interpreter_module: None,
            threads: vec![thread],
            tasks: None,
        }
    }

    fn native(module: &str, symbol: Option<&str>, offset: u64) -> Frame {
        Frame {
            kind: FrameKind::Native(NativeCode {
                module: module.to_owned(),
                build_id: None,
                offset: symbol.is_none().then_some(offset),
                is_inlined: false,
            }),
            name: symbol.unwrap_or(file_name(module)).to_owned(),
            file: None,
            first_line: None,
            line: None,
        }
    }

    /// A thread that waits in a library, and one that runs no Python.
    pub(crate) fn native_dump() -> Dump {
        let (libc, python) = ("/usr/lib/libc.so.6", "/usr/bin/python3.11");
        let main = ThreadDump {
            is_main: true,
            frames: vec![
                native(libc, None, 0xd9_ee2),
                native("/opt/hdf5/libhdf5.so", Some("H5Dread"), 0),
                native(python, None, 0x1234),
                frame("load", "/home/me/scatter.py", 17),
                Frame::mark("[native frames missing]"),
                frame("<module>", "/home/me/scatter.py", 90),
                native(python, None, 0x4321),
                native(libc, Some("__libc_start_main"), 0),
            ],
            ..thread(4242, "MainThread")
        };
        let pool = ThreadDump {
            frames: vec![
                native("/usr/lib/libgomp.so.1", None, 0x1e0),
                native(libc, None, 0x9f),
            ],
            ..thread(4243, "python")
        };
        Dump {
            interpreter_module: Some(python.to_owned()),
            threads: vec![main, pool],
            ..sample_dump()
        }
    }

    #[test]
    fn frames_of_the_interpreter_and_of_the_start_are_left_out_of_native_ones() {
        let mut dump = native_dump();
        keep(&mut dump, NativeFrames::Libraries);
        insta::assert_snapshot!(text(&dump), @r#"
        Process 4242, Python 3.11.7
        Command: python scatter.py 'a b' 'it'\''s'

        Thread 4242 "MainThread" (main, waiting)
            libc.so.6+0xd9ee2
            H5Dread in libhdf5.so
            load (/home/me/scatter.py:17)
            [native frames missing]
            <module> (/home/me/scatter.py:90)

        Thread 4243 "python" (waiting)
            libgomp.so.1+0x1e0
            libc.so.6+0x9f
        "#);
    }

    #[test]
    fn all_native_frames_are_shown_on_wish() {
        let mut dump = native_dump();
        keep(&mut dump, NativeFrames::All);
        insta::assert_snapshot!(text(&dump), @r#"
        Process 4242, Python 3.11.7
        Command: python scatter.py 'a b' 'it'\''s'

        Thread 4242 "MainThread" (main, waiting)
            libc.so.6+0xd9ee2
            H5Dread in libhdf5.so
            python3.11+0x1234
            load (/home/me/scatter.py:17)
            [native frames missing]
            <module> (/home/me/scatter.py:90)
            python3.11+0x4321
            __libc_start_main in libc.so.6

        Thread 4243 "python" (waiting)
            libgomp.so.1+0x1e0
            libc.so.6+0x9f
        "#);
    }

    #[test]
    fn a_dump_reads_well() {
        insta::assert_snapshot!(text(&sample_dump()), @r#"
        Process 4242, Python 3.11.7
        Command: python scatter.py 'a b' 'it'\''s'

        Thread 4242 "MainThread" (main, running, holds the GIL)
            Field.add (/home/me/scatter.py:17)
            <module> (/home/me/scatter.py:90)

        Thread unknown
            <native>
            (incomplete: memory at 0x7f10 could not be read)

        Thread 4250 "worker 散乱" (waiting, subinterpreter 2)
            no Python frame
        "#);
    }

    #[test]
    fn no_name_steers_the_terminal() {
        let text = text(&attack());
        assert!(
            text.chars().all(|c| c == '\n' || !c.is_control()),
            "{text:?}"
        );
        assert!(!text.contains('\u{202e}'));
        insta::assert_snapshot!(text, @r#"
        Process 7, Python 3.11.7
        Command: python '\u{1b}]0;owned\u{7}\u{1b}[2J"},\n\u{202e}\u{0}'

        Thread 7 "\u{1b}]0;owned\u{7}\u{1b}[2J"},\n\u{202e}\u{0}" (waiting)
            \u{1b}]0;owned\u{7}\u{1b}[2J"},\n\u{202e}\u{0} (\u{1b}]0;owned\u{7}\u{1b}[2J"},\n\u{202e}\u{0}:1)
            (incomplete: \u{1b}]0;owned\u{7}\u{1b}[2J"},\n\u{202e}\u{0})
        "#);
    }

    #[test]
    fn recursion_is_told_once() {
        let mut deep = thread(7, "deep");
        let (inner, twice, outer) = (
            frame("fib", "fib.py", 3),
            frame("walk", "fib.py", 9),
            frame("<module>", "fib.py", 12),
        );
        deep.frames = vec![inner; 9997];
        deep.frames.extend([twice.clone(), twice, outer]);
        let dump = Dump {
            threads: vec![deep],
            ..sample_dump()
        };
        insta::assert_snapshot!(text(&dump), @r#"
        Process 4242, Python 3.11.7
        Command: python scatter.py 'a b' 'it'\''s'

        Thread 7 "deep" (waiting)
            fib (fib.py:3)
            … previous frame repeated 9,996 times
            walk (fib.py:9)
            walk (fib.py:9)
            <module> (fib.py:12)
        "#);
    }

    #[test]
    fn a_process_without_threads_says_so() {
        let dump = Dump {
            threads: Vec::new(),
            ..sample_dump()
        };
        assert!(text(&dump).ends_with("\nNo Python thread\n"));
    }
}
