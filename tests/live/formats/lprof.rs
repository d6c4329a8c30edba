//! What line_profiler, 4 and 5, makes of its file.

use std::path::Path;
use std::process::Command;

use super::*;

/// The programs of the virtual environments with line_profiler.
fn pythons_with_line_profiler() -> [PathBuf; 2] {
    ["RSAMP_LINE_PROFILER_4", "RSAMP_PROFILERS"]
        .map(|name| Path::new(&prepared(name)).join("bin/python"))
}

fn print(python: &Path, file: &Path) -> String {
    let mut command = Command::new(python);
    stdout(command.args(["-m", "line_profiler"]).arg(file))
}

#[test]
fn line_profiler_4_and_5_print_it() {
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
