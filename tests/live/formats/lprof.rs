//! What line_profiler, 4 and 5, makes of its file.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;

/// The programs of the virtual environments with line_profiler.
fn pythons_with_line_profiler() -> [PathBuf; 2] {
    ["RSAMP_LINE_PROFILER_4", "RSAMP_PROFILERS"].map(|name| prepared(name).join("bin/python"))
}

fn print(python: &Path, file: &Path) -> String {
    let mut command = Command::new(python);
    stdout(command.args(["-m", "line_profiler"]).arg(file))
}

#[test]
fn line_profiler_4_and_5_print_it() {
    needs!(RSAMP_LINE_PROFILER_4, RSAMP_PROFILERS);
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("scatter.py");
    let text = "def main():\n    fib(3)\n\n\n\n\n\n\n\ndef fib(n):\n    return fib(n - 1)\n";
    std::fs::write(&script, text).expect("written");
    let profile = profile_of(&script.to_string_lossy());
    for python in pythons_with_line_profiler() {
        let shown = with_file(Format::Lprof, &profile, |path| print(&python, path));
        for line in [
            "Timer unit: 1e-06 s",
            "Total time: 0.875 s",
            "Function: main at line 1",
            "     2         7     875000.0 125000.0    100.0      fib(3)",
            "Function: fib at line 10",
            "    11         4     500000.0 125000.0    100.0      return fib(n - 1)",
        ] {
            assert!(shown.contains(line), "no {line:?} in\n{shown}");
        }
        assert!(
            !shown.contains("native"),
            "no function without a file\n{shown}"
        );
        let names = "import line_profiler, sys; \
                     print(ascii([key[2] for key in line_profiler.load_stats(sys.argv[1]).timings]))";
        let told = with_file(Format::Lprof, &profile, |path| {
            let mut command = Command::new(&python);
            stdout(command.args(["-c", names]).arg(path))
        });
        let hard = r"na\xefve_\u03bb_\U0001f980 <&>;\n\x00";
        assert!(told.contains(hard), "{told}");
        let shown = with_file(Format::Lprof, &Profile::default(), |path| {
            print(&python, path)
        });
        assert!(shown.contains("Timer unit"), "{shown}");
    }
}

/// A thread, and two lines of a function in which it will be: frames 0 and 1.
fn two_lines(script: &Path, function: &str, first_line: u32, lines: [u32; 2]) -> Profile {
    let mut profile = Profile::default();
    profile.apply(Event::Process(ProcessId(0), Process::default()));
    let thread = Thread {
        process: ProcessId(0),
        tid: None,
        name: None,
        is_main: true,
    };
    profile.apply(Event::Thread(ThreadId(0), thread));
    for (id, line) in (0..).zip(lines) {
        let frame = Frame {
            kind: FrameKind::Python,
            name: function.to_owned(),
            file: Some(script.to_string_lossy().into_owned()),
            first_line: Some(first_line),
            line: Some(line),
        };
        profile.apply(Event::Frame(FrameId(id), frame));
    }
    profile
}

/// Up to Python 3.7 the first line of a module is the one in which its docstring ends: text from there on
/// begins within a string.
#[test]
fn line_profiler_prints_a_module_with_a_docstring() {
    needs!(RSAMP_LINE_PROFILER_4, RSAMP_PROFILERS);
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("scatter.py");
    let text =
        "\"\"\"Computes the program's pairs: it\nisn't fast; it's\nfine.\"\"\"\nx = 1\ny = 2\n";
    std::fs::write(&script, text).expect("written");
    let mut profile = two_lines(&script, "<module>", 3, [3, 5]);
    for id in [0, 1] {
        profile.apply(Event::Stack {
            id: StackId(id),
            parent: None,
            frame: FrameId(id),
        });
        profile.apply(sample(u64::from(id), 0, Some(id)));
    }
    for python in pythons_with_line_profiler() {
        let shown = with_file(Format::Lprof, &profile, |path| print(&python, path));
        assert!(shown.contains("Function: <module> at line 1"), "{shown}");
        // Of a module it shows the text up to the end of the first function.
        assert!(shown.contains("Total time: 0.25 s"), "{shown}");
    }
}

/// line_profiler's clock starts anew in each call: what a function takes is never more than all of the time.
#[test]
fn a_function_that_calls_itself_has_its_own_time() {
    needs!(RSAMP_LINE_PROFILER_4, RSAMP_PROFILERS);
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("scatter.py");
    std::fs::write(
        &script,
        "def walk(n):\n    if n:\n        walk(n - 1)\n    work()\n",
    )
    .expect("written");
    let mut profile = two_lines(&script, "walk", 1, [3, 4]);
    // Line 3, 3, 3, 4 from the outermost on; and line 4 alone.
    let stacks = [
        (None, 0),
        (Some(0), 0),
        (Some(1), 0),
        (Some(2), 1),
        (None, 1),
    ];
    for (id, (parent, frame)) in (0..).zip(stacks) {
        profile.apply(Event::Stack {
            id: StackId(id),
            parent: parent.map(StackId),
            frame: FrameId(frame),
        });
    }
    profile.apply(sample(1, 0, Some(3)));
    profile.apply(sample(2, 0, Some(4)));
    profile.apply(sample(3, 0, Some(2)));
    for python in pythons_with_line_profiler() {
        let shown = with_file(Format::Lprof, &profile, |path| print(&python, path));
        assert!(shown.contains("Total time: 0.375 s"), "{shown}");
        assert!(shown.contains("66.7      work()"), "{shown}");
    }
}
