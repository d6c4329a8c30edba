//! What memory_profiler's mprof makes of its file.

use std::process::Command;

use rsamp::profile::Usage;

use super::*;

#[test]
fn mprof_plots_processes_and_their_children() {
    needs!(RSAMP_PROFILERS);
    let mut profile = profile();
    let child = Process {
        pid: 2,
        parent: Some(ProcessId(0)),
        ..Process::default()
    };
    profile.apply(Event::Process(ProcessId(1), child));
    for at in 0..20_u32 {
        profile.apply(Event::Usage(Usage {
            process: ProcessId(at % 2),
            at: Nanos(u64::from(at) * 50_000_000),
            resident: Some(u64::from(at + 1) << 20),
            ..Usage::default()
        }));
    }
    let bin = prepared("RSAMP_PROFILERS").join("bin");
    with_file(Format::Mprof, &profile, |path| {
        let picture = path.with_extension("png");
        let mut mprof = Command::new(bin.join("mprof"));
        let mprof = mprof.env("MPLBACKEND", "Agg").args(["plot", "-o"]);
        let said = stdout(mprof.arg(&picture).arg(path));
        assert!(!said.contains("No memory usage"), "{said}");
        let bytes = std::fs::read(&picture).expect("a picture");
        assert!(bytes.starts_with(b"\x89PNG") && bytes.len() > 10_000);
        let peak =
            "import sys; sys.argv = ['mprof', 'peak', sys.argv[1]]; import mprof; mprof.main()";
        let mut python = Command::new(bin.join("python"));
        let said = stdout(python.args(["-c", peak]).arg(path));
        assert!(said.contains("19.000 MiB"), "{said}");
        let read = "import sys, mprof; m = mprof.read_mprofile_file(sys.argv[1]); \
                    print(len(m['mem_usage']), {k: len(v) for k, v in m['children'].items()})";
        let mut python = Command::new(bin.join("python"));
        let said = stdout(python.args(["-c", read]).arg(path));
        assert_eq!(said.trim(), "10 {'0': 10}");
    });
}
