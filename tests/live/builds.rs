//! Dumps programs that run in builds which hide what they are, and compares with what they say.

use crate::stacks::check_program;
use crate::support::programs::{command, program, run_command};
use crate::support::pythons::{Python, parse_python};

/// The builds that `RSAMP_BUILDS` lists: label, tab, version, tab, the words of the command.
fn builds() -> Vec<(String, Python)> {
    let Ok(list) = std::env::var("RSAMP_BUILDS") else {
        panic!("RSAMP_BUILDS is not set: run scripts/test");
    };
    let lines = list.lines().filter(|line| !line.trim().is_empty());
    let builds = lines.map(|line| {
        let Some((label, python)) = line.split_once('\t') else {
            panic!("no tab in this line of RSAMP_BUILDS: {line}");
        };
        (label.to_owned(), parse_python(python))
    });
    builds.collect()
}

#[test]
fn stripped_embedded_and_renamed_builds_are_read() {
    needs!(RSAMP_BUILDS);
    let builds = builds();
    assert!(!builds.is_empty(), "RSAMP_BUILDS lists none");
    for (label, python) in builds {
        for name in ["frames.py", "threads.py", "unicode_names.py"] {
            let mut command = command(&python, name);
            // A program that embeds Python does not put the script's folder into sys.path.
            command.env("PYTHONPATH", program("").as_os_str());
            let standing = run_command(&mut command);
            standing.wait_until_asleep();
            check_program(&format!("{label} {name}"), &python, &standing);
        }
    }
}
