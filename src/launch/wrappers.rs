//! Turns a command line into the command that the words in front of it (`time`, `env A=B`, `nohup`) run.

use std::ffi::OsStr;
use std::path::Path;

use super::options::SBATCH;

/// Shells, whose scripts start launchers.
pub const SHELLS: &[&str] = &[
    "sh", "bash", "dash", "ksh", "ksh93", "mksh", "zsh", "csh", "tcsh", "fish", "ash",
];

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
    wrapper("prlimit", &["-p", "--pid", "-o", "--output"], 0),
    wrapper(
        "unshare",
        &[
            "-S",
            "--setuid",
            "-G",
            "--setgid",
            "-R",
            "--root",
            "-w",
            "--wd",
            "--map-user",
            "--map-group",
            "--map-users",
            "--map-groups",
            "--propagation",
            "--setgroups",
        ],
        0,
    ),
    wrapper(
        "flock",
        &["-w", "--wait", "--timeout", "-E", "--conflict-exit-code"],
        1,
    ),
    // Its options are those of Slurm's other commands.
    wrapper(SALLOC, &[], 0),
];

const SALLOC: &str = "salloc";

/// What salloc(1) knows beside the options of sbatch(1); none takes a value.
const OF_SALLOC: &[&str] = &[
    "--bell",
    "--no-bell",
    "--no-shell",
    "--foreground",
    "-I",
    "--immediate",
    "-K",
    "--kill-command",
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
    if base == SALLOC {
        return behind_salloc(words);
    }
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

/// How many words `salloc` and its options are; `None` when one is unknown, or no command follows.
fn behind_salloc(words: &[&str]) -> Option<usize> {
    let mut at = 1;
    while let Some(word) = words.get(at) {
        if *word == "--" {
            at += 1;
            break;
        } else if OF_SALLOC.contains(word) || *word == ":" {
            at += 1;
        } else if word.starts_with('-') {
            at += SBATCH.read(&words[at..])?.words;
        } else {
            break;
        }
    }
    (at < words.len()).then_some(at)
}

/// The file name of a program's path.
#[must_use]
pub fn base_name(program: &str) -> Option<&str> {
    Path::new(program).file_name().and_then(OsStr::to_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_found_behind_what_runs_it() {
        for (line, command) in [
            ("salloc --ntasks 4 --time 10 -p long srun x", "srun x"),
            (
                "salloc -n4 --exclusive -K --no-bell -- mpirun x",
                "mpirun x",
            ),
            ("salloc --ntasks=4 bash job.sl", "bash job.sl"),
            ("prlimit --nofile=4096 unshare -r -w /tmp srun x", "srun x"),
            ("flock -w 10 a.lock env -i PATH=/bin srun x", "srun x"),
            (
                "salloc --frobnicate 3 srun x",
                "salloc --frobnicate 3 srun x",
            ),
            ("salloc -n 4", "salloc -n 4"),
            ("python x.py", "python x.py"),
        ] {
            let words: Vec<&str> = line.split(' ').collect();
            assert_eq!(words[length(&words)..].join(" "), command, "{line}");
        }
    }
}
