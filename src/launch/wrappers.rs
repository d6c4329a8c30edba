//! Turns a command line into the command that the words in front of it (`time`, `env A=B`, `nohup`) run.

use std::ffi::OsStr;
use std::path::Path;

/// Commands in front of commands in front of commands: nobody stacks more.
const MAX_WRAPPERS: usize = 8;

/// A command that runs the command behind it.
struct Wrapper {
    name: &'static str,
    /// Options whose value is the next word.
    valued: &'static [&'static str],
    /// Words between the options and the command.
    operands: usize,
}

const fn wrapper(name: &'static str, valued: &'static [&'static str], operands: usize) -> Wrapper {
    Wrapper {
        name,
        valued,
        operands,
    }
}

/// What people put in front of a command. From the manual pages of each (coreutils 9, util-linux 2.40, numactl 2,
/// Slurm 24); best effort: an option that is missing here may have its value taken for the command.
const WRAPPERS: &[Wrapper] = &[
    wrapper("env", &["-u", "--unset", "-C", "--chdir"], 0),
    wrapper("time", &["-f", "--format", "-o", "--output"], 0),
    wrapper("nice", &["-n", "--adjustment"], 0),
    wrapper("nohup", &[], 0),
    wrapper("setsid", &[], 0),
    wrapper("sudo", &["-u", "-g", "-h", "-p", "-C", "-D", "-T"], 0),
    wrapper(
        "stdbuf",
        &["-i", "-o", "-e", "--input", "--output", "--error"],
        0,
    ),
    wrapper("timeout", &["-s", "--signal", "-k", "--kill-after"], 1),
    wrapper("taskset", &[], 1),
    wrapper("chrt", &["-T", "-P", "-D"], 1),
    wrapper("ionice", &["-c", "--class", "-n", "--classdata"], 0),
    wrapper(
        "numactl",
        &[
            "-i",
            "-m",
            "-N",
            "-C",
            "-p",
            "--interleave",
            "--membind",
            "--cpunodebind",
            "--physcpubind",
        ],
        0,
    ),
    wrapper("xvfb-run", &["-n", "-s", "-e", "-f", "-p", "-w"], 0),
    wrapper("uv", &["--with", "-p", "--python", "--group", "--extra"], 1),
    wrapper("poetry", &["-C", "-P"], 1),
    wrapper("pipenv", &[], 1),
    wrapper("conda", &["-n", "--name", "-p", "--prefix", "--cwd"], 1),
    wrapper("mamba", &["-n", "--name", "-p", "--prefix", "--cwd"], 1),
    wrapper(
        "micromamba",
        &["-n", "--name", "-p", "--prefix", "--cwd"],
        1,
    ),
    wrapper(
        "salloc",
        &[
            "-n", "-N", "-c", "-p", "-t", "-A", "-J", "-w", "-x", "-G", "-C", "-q",
        ],
        0,
    ),
];

/// How many words stand before the command that is run in the end; 0 when there is no wrapper.
#[must_use]
pub fn length(words: &[&str]) -> usize {
    let mut at = 0;
    for _ in 0..MAX_WRAPPERS {
        match one(&words[at..]) {
            Some(length) => at += length,
            None => break,
        }
    }
    at
}

/// The name of the wrapper that this word is.
#[must_use]
pub fn known(word: &str) -> Option<&'static str> {
    let wrapper = WRAPPERS.iter().find(|wrapper| wrapper.name == word)?;
    Some(wrapper.name)
}

/// How many words the first wrapper is, when the first word is one, and a command is behind it.
fn one(words: &[&str]) -> Option<usize> {
    let base = base_name(words.first()?)?;
    let wrapper = WRAPPERS.iter().find(|wrapper| wrapper.name == base)?;
    let (mut at, mut operands) = (1, wrapper.operands);
    while let Some(word) = words.get(at) {
        if *word == "--" && operands == 0 {
            return (at + 1 < words.len()).then_some(at + 1);
        } else if wrapper.valued.contains(word) {
            at += 2;
        } else if word.starts_with('-') || (base == "env" && word.contains('=')) {
            at += 1;
        } else if operands > 0 {
            operands -= 1;
            at += 1;
        } else {
            return Some(at);
        }
    }
    None
}

/// The file name of a program's path.
#[must_use]
pub fn base_name(program: &str) -> Option<&str> {
    Path::new(program).file_name().and_then(OsStr::to_str)
}
