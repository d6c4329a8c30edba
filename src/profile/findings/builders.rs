//! Turns command lines into the processes that build or install what the others run.

use crate::profile::Profile;
use crate::profile::event::{Nanos, Process, ProcessId};
use crate::profile::paths::file_name;

/// What builds or installs, as a program or as `python -m NAME`.
const BUILDERS: &[&str] = &[
    "pip",
    "conda",
    "mamba",
    "poetry",
    "venv",
    "virtualenv",
    "ensurepip",
    "build",
    "compileall",
    "cython",
    "cythonize",
    "f2py",
    "meson",
    "setup.py",
];

/// Options of Python that take the next word.
const WITH_VALUE: &[&str] = &["-W", "-X"];

/// By process, whether it is a build step or was started by one. Where nothing else ran, none is: the user wants to know of
/// the build.
pub(super) fn find(profile: &Profile) -> Vec<bool> {
    let mut found: Vec<bool> = Vec::with_capacity(profile.processes().len());
    for process in profile.processes() {
        let parent = process.parent.and_then(|id| found.get(id.0 as usize));
        let is_of_build = parent.copied().unwrap_or(false);
        found.push(is_of_build || is_builder(process));
    }
    let is_build = |process: ProcessId| found.get(process.0 as usize) == Some(&true);
    let threads = profile.threads().iter().zip(profile.thread_totals());
    let mut sampled = threads.filter(|(_, totals)| totals.wall > Nanos(0));
    match sampled.all(|(thread, _)| is_build(thread.process)) {
        true => vec![false; found.len()],
        false => found,
    }
}

fn is_builder(process: &Process) -> bool {
    let mut words = process.command.iter().map(String::as_str);
    let program = file_name(words.next().unwrap_or_default());
    if !program.starts_with("python") {
        return is_named(program);
    }
    while let Some(word) = words.next() {
        match word {
            "-m" => return words.next().is_some_and(is_named),
            "-c" => return false,
            word if WITH_VALUE.contains(&word) => {
                words.next();
            }
            word if word.starts_with('-') => {}
            word => return is_named(file_name(word)),
        }
    }
    false
}

/// Whether it is one of the builders, with or without a version: `pip3.11`.
fn is_named(name: &str) -> bool {
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    BUILDERS.contains(&name) || BUILDERS.contains(&bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_that_build_are_told_from_those_that_run() {
        let is_builder = |command: &str| {
            let command = command.split_whitespace().map(str::to_owned).collect();
            is_builder(&Process {
                command,
                ..Process::default()
            })
        };
        for command in [
            "/v/bin/python3 -m pip install numpy",
            "python3.11 /v/bin/pip3.11 install .",
            "python -W ignore -u setup.py build_ext --inplace",
            "/opt/conda/bin/python /opt/conda/bin/conda create -n x",
            "python3 -m venv env",
        ] {
            assert!(is_builder(command), "{command}");
        }
        for command in [
            "python run.py setup.py",
            "python -m pytest",
            "python -c pip",
            "python",
            "",
            "python -X dev build/run.py",
            "myapp",
        ] {
            assert!(!is_builder(command), "{command}");
        }
    }
}
