//! Turns a command that runs a script into the launchers that the script names.
//!
//! The text is read, nothing is run: a launcher counts wherever its name stands as a word of its own, outside of comment
//! lines, in the script, in scripts that it names, and in the values of the environment's variables that it names. What it makes up
//! while it runs is not seen. Where there is nothing to read (a shell that reads its standard input), any launcher may come.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::command_line::Launcher;
use super::programs::find_next;
use super::wrappers::{self, SHELLS, base_name};
use crate::process::open_regular;

/// A job script is some kilobytes; what is longer is read up to here.
const MAX_SCRIPT_BYTES: u64 = 1 << 20;
/// Scripts that name scripts: more are not read.
const MAX_SCRIPTS: usize = 64;

/// What a script calls.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Called {
    /// Launchers by their names.
    pub launchers: Vec<&'static str>,
    /// Commands that stand before a launcher in a line, such as `timeout`.
    pub wrappers: Vec<&'static str>,
    /// Launchers that are called by a path.
    pub by_path: Vec<String>,
}

impl Called {
    /// Every launcher.
    #[must_use]
    pub fn any() -> Called {
        Called {
            launchers: Launcher::names().collect(),
            ..Called::default()
        }
    }
}

/// What scripts can be looked up in.
pub trait Machine {
    /// The text of a regular file.
    fn read(&self, path: &Path) -> Option<String>;
    /// A program in `PATH`.
    fn find(&self, program: &str) -> Option<PathBuf>;
    /// The value of a variable of the environment.
    fn variable(&self, name: &str) -> Option<String>;
}

/// This machine, and the environment of this process.
#[derive(Debug, Clone, Copy)]
pub struct ThisMachine;

impl Machine for ThisMachine {
    fn read(&self, path: &Path) -> Option<String> {
        let mut text = Vec::new();
        let file = open_regular(path).ok()?;
        file.take(MAX_SCRIPT_BYTES).read_to_end(&mut text).ok()?;
        Some(String::from_utf8_lossy(&text).into_owned())
    }

    fn find(&self, program: &str) -> Option<PathBuf> {
        find_next(OsStr::new(program), &std::env::var_os("PATH")?, None)
    }

    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

/// What the script calls that the command runs; nothing, when it runs none.
#[must_use]
pub fn called_by(command: &[OsString], machine: &impl Machine) -> Called {
    let words: Vec<_> = command.iter().map(|word| word.to_string_lossy()).collect();
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    let words = &words[wrappers::length(&words)..];
    let mut reading = Reading {
        machine,
        called: Called::default(),
        read: HashSet::new(),
    };
    match entry(words, machine) {
        Entry::Shell(text) => reading.shell(&text, Path::new("")),
        Entry::ShellFile(path) => reading.file(&path, Path::new(""), true),
        Entry::Driver(path) => reading.driver(&path),
        Entry::Unread => return Called::any(),
        Entry::NoScript => {}
    }
    reading.called
}

/// The script in a command that starts MPI processes by itself (`MPI_Comm_spawn`), which no launcher puts rsamp before. One
/// that is run by `-m mpi4py.futures` does not: the workers are the launcher's ranks then.
#[must_use]
pub fn spawns_ranks(command: &[OsString], machine: &impl Machine) -> Option<PathBuf> {
    const SPAWN: &[&str] = &["MPIPoolExecutor", ".Spawn("];
    if command.iter().any(|word| word == "mpi4py.futures") {
        return None;
    }
    let files = command.iter().map(PathBuf::from);
    let mut scripts = files.filter(|path| path.extension().is_some_and(|ending| ending == "py"));
    scripts.find(|path| {
        let text = machine.read(path).unwrap_or_default();
        SPAWN.iter().any(|call| text.contains(call))
    })
}

/// Where a script is.
#[derive(Debug, PartialEq, Eq)]
enum Entry {
    /// It is this text, for a shell.
    Shell(String),
    /// In this file, for a shell.
    ShellFile(PathBuf),
    /// In this file, in a language that starts programs by texts: Python, Perl, make.
    Driver(PathBuf),
    /// A shell reads it from somewhere.
    Unread,
    /// There is none.
    NoScript,
}

/// Languages whose scripts start programs by texts in quotes.
const DRIVERS: &[&str] = &["python", "perl", "ruby", "Rscript"];
/// make(1), by its names; and what it reads.
const MAKES: &[&str] = &["make", "gmake"];
const MAKEFILES: &[&str] = &["GNUmakefile", "makefile", "Makefile"];

fn is_shell(path: &str) -> bool {
    base_name(path).is_some_and(|name| SHELLS.contains(&name))
}

fn is_driver(path: &str) -> bool {
    base_name(path).is_some_and(|name| DRIVERS.iter().any(|driver| name.starts_with(driver)))
}

fn entry(words: &[&str], machine: &impl Machine) -> Entry {
    let Some((program, arguments)) = words.split_first() else {
        return Entry::NoScript;
    };
    if is_shell(program) {
        return of_shell(arguments, machine);
    }
    if base_name(program).is_some_and(|name| MAKES.contains(&name)) {
        return of_make(arguments, machine);
    }
    let path = match program.contains('/') {
        true => Some(PathBuf::from(program)),
        false => machine.find(program),
    };
    let text = path.as_deref().and_then(|path| machine.read(path));
    match (path, text.as_deref().and_then(interpreter)) {
        (Some(path), Some(interpreter)) if is_shell(interpreter) => Entry::ShellFile(path),
        (Some(path), Some(interpreter)) if is_driver(interpreter) => Entry::Driver(path),
        _ if is_driver(program) => of_driver(arguments),
        _ => Entry::NoScript,
    }
}

/// The program that a script's first line names, behind env(1) too.
#[must_use]
pub fn interpreter(text: &str) -> Option<&str> {
    let line = text.strip_prefix("#!")?.lines().next()?;
    let mut words = line.split_whitespace();
    let first = words.next()?;
    if base_name(first) != Some("env") {
        return Some(first);
    }
    words.find(|word| !word.starts_with('-') && !word.contains('='))
}

/// Options of shells whose value is the next word (bash(1), zsh(1), dash(1)).
const SHELL_VALUES: &[&str] = &["-o", "+o", "-O", "+O", "--rcfile", "--init-file"];

fn of_shell(arguments: &[&str], machine: &impl Machine) -> Entry {
    let mut is_text = false;
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        if SHELL_VALUES.contains(word) {
            rest.next();
        } else if word.starts_with(['-', '+']) && word.len() > 1 {
            is_text |= word.starts_with('-') && !word.starts_with("--") && word.contains('c');
            if !is_text && word.starts_with('-') && !word.starts_with("--") && word.contains('s') {
                return Entry::Unread;
            }
        } else if is_text {
            return Entry::Shell((*word).to_owned());
        } else {
            let here = PathBuf::from(word);
            let is_here = word.contains('/') || machine.read(&here).is_some();
            return match machine.find(word) {
                Some(found) if !is_here => Entry::ShellFile(found),
                _ => Entry::ShellFile(here),
            };
        }
    }
    Entry::Unread
}

fn of_make(arguments: &[&str], machine: &impl Machine) -> Entry {
    let behind = |names: &[&str]| {
        let at = arguments.iter().position(|word| names.contains(word))?;
        arguments.get(at + 1).copied()
    };
    let folder = Path::new(behind(&["-C", "--directory"]).unwrap_or_default());
    let named = behind(&["-f", "--file", "--makefile"]);
    let mut names = named
        .into_iter()
        .chain(MAKEFILES.iter().copied())
        .map(|name| folder.join(name));
    names
        .find(|path| machine.read(path).is_some())
        .map_or(Entry::NoScript, Entry::ShellFile)
}

/// The first word that is no option. Some options have a value of their own: then there is no such file.
fn of_driver(arguments: &[&str]) -> Entry {
    if arguments
        .iter()
        .any(|word| ["-c", "-m", "-e"].contains(word))
    {
        return Entry::NoScript;
    }
    let file = arguments.iter().find(|word| !word.starts_with('-'));
    file.map_or(Entry::NoScript, |file| Entry::Driver(file.into()))
}

struct Reading<'m, M: Machine> {
    machine: &'m M,
    called: Called,
    read: HashSet<PathBuf>,
}

/// Words behind which a command begins.
const BEFORE_COMMANDS: &[&str] = &[
    "then", "do", "else", "elif", "if", "while", "until", "exec", "time", "eval", "command",
    "source", ".",
];

/// What makes a word of a script's text. A path is one word; so is a variable's name behind its `$`.
fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || "_./+-".contains(letter)
}

impl<M: Machine> Reading<'_, M> {
    fn file(&mut self, path: &Path, beside: &Path, is_script: bool) {
        if self.read.len() >= MAX_SCRIPTS || !self.read.insert(path.to_owned()) {
            return;
        }
        let Some(text) = self.machine.read(path) else {
            return;
        };
        let is_shells = interpreter(&text).map_or(is_script, is_shell);
        if is_shells && !text.contains('\0') {
            let folder = path.parent().unwrap_or(beside).to_owned();
            self.shell(&text, &folder);
        }
    }

    fn shell(&mut self, text: &str, folder: &Path) {
        let lines = text.lines().map(str::trim_start);
        for line in lines.filter(|line| !line.starts_with('#')) {
            self.line(line, folder);
        }
    }

    fn line(&mut self, line: &str, folder: &Path) {
        let mut wrappers = Vec::new();
        let (mut rest, mut last) = (line, "");
        while let Some(at) = rest.find(is_word) {
            let between = &rest[..at];
            let word = &rest[at..];
            let word = &word[..word.find(|letter| !is_word(letter)).unwrap_or(word.len())];
            rest = &rest[at + word.len()..];
            if between.ends_with(['$']) || between.ends_with("${") {
                self.variable(word, folder);
            } else {
                let is_launched = self.launcher(word);
                if is_launched {
                    self.called.wrappers.append(&mut wrappers);
                } else if let Some(name) = wrappers::known(word) {
                    wrappers.push(name);
                } else {
                    let begins =
                        last.is_empty() || between.contains([';', '|', '&', '(', '{', '`']);
                    let is_command = begins
                        || BEFORE_COMMANDS.contains(&last)
                        || wrappers::known(last).is_some();
                    let is_script = is_shell(last) || ["source", "."].contains(&last);
                    self.named(word, folder, is_command, is_script);
                }
            }
            last = word;
        }
        self.called.wrappers.sort_unstable();
        self.called.wrappers.dedup();
    }

    /// Whether the word is a launcher, which is noted then.
    fn launcher(&mut self, word: &str) -> bool {
        // `${LAUNCHER:-srun}`
        let word = word.trim_start_matches('-');
        let base = base_name(word).unwrap_or_default();
        let Some(name) = Launcher::names().find(|name| base == *name) else {
            return false;
        };
        let is_path = word.contains('/');
        if is_path && !self.called.by_path.iter().any(|path| path == word) {
            self.called.by_path.push(word.to_owned());
        } else if !is_path && !self.called.launchers.contains(&name) {
            self.called.launchers.push(name);
        }
        true
    }

    /// A variable's value is words of the line.
    fn variable(&mut self, word: &str, folder: &Path) {
        let end = word.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
        let (name, behind) = word.split_at(end.unwrap_or(word.len()));
        let value = self.machine.variable(name).unwrap_or_default();
        for word in value.split_whitespace() {
            self.launcher(word);
        }
        // `$folder/next.sh`, whatever the folder: beside this script, or here.
        if let Some(file) = base_name(behind).filter(|_| behind.starts_with('/')) {
            self.named(file, folder, false, true);
        }
    }

    /// A word that may name another script.
    fn named(&mut self, word: &str, folder: &Path, is_command: bool, is_script: bool) {
        let is_path = word.contains('/') || word[1..].contains('.');
        if is_path || is_script {
            let word = word.trim_start_matches("./");
            self.file(Path::new(word), folder, is_script);
            if folder != Path::new("") && !word.starts_with('/') {
                self.file(&folder.join(word), folder, is_script);
            }
        } else if is_command && let Some(path) = self.machine.find(word) {
            self.file(&path, folder, false);
        }
    }

    /// Launchers count where they begin a text in quotes, in a file that can start programs at all.
    fn driver(&mut self, path: &Path) {
        const STARTS: &[&str] = &[
            "subprocess",
            "system",
            "popen",
            "Popen",
            "exec",
            "spawn",
            "qx",
        ];
        let Some(text) = self.machine.read(path) else {
            return;
        };
        if !STARTS.iter().any(|start| text.contains(start)) {
            return;
        }
        for (at, _) in text.match_indices(['"', '\'', '`']) {
            let quoted = &text[at + 1..];
            let end = quoted.find(|letter| !is_word(letter));
            self.launcher(&quoted[..end.unwrap_or(quoted.len())]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files by their paths; `HOME_MPI` is set.
    struct Files(&'static [(&'static str, &'static str)]);

    impl Machine for Files {
        fn read(&self, path: &Path) -> Option<String> {
            let found = self.0.iter().find(|(name, _)| Path::new(name) == path);
            found.map(|(_, text)| (*text).to_owned())
        }

        fn find(&self, program: &str) -> Option<PathBuf> {
            let path = Path::new("/usr/bin").join(program);
            self.read(&path).map(|_| path)
        }

        fn variable(&self, name: &str) -> Option<String> {
            (name == "HOME_MPI").then(|| "mpiexec -n 4".to_owned())
        }
    }

    const FILES: Files = Files(&[
        (
            "none.sh",
            "#!/bin/bash\n# srun is not used\npython x.py\nfor i in 1 2; do f; done\n",
        ),
        (
            "job.sl",
            "#!/bin/bash -l\n#SBATCH -n 2\nmodule load x\nsrun -n 2 python x.py\n",
        ),
        ("outer.sh", "cd run\n. ./env.inc\nexec steps/inner.sh\n"),
        ("env.inc", "LAUNCH=${LAUNCH:-aprun}\n"),
        (
            "steps/inner.sh",
            "#!/bin/sh\nbash \"$HERE/last.sh\" && mpirun x\n",
        ),
        ("steps/last.sh", "timeout -s INT 10 torchrun x.py\n"),
        ("/usr/bin/shim", "#!/usr/bin/env bash\nexec real \"$@\"\n"),
        (
            "/usr/bin/real",
            "#!/bin/bash\n/opt/slurm/bin/srun hostname\n",
        ),
        (
            "drive.py",
            "\"\"\"Run me:\n  mpirun x\n\"\"\"\nimport subprocess\nsubprocess.run(['srun', 'x'])\n",
        ),
        (
            "plain.py",
            "\"\"\"Run me:\n  mpirun -n 4 python plain.py\n\"\"\"\nimport subprocess\n",
        ),
        ("sub/Makefile", "all:\n\tmpiexec -n 2 python x.py\n"),
        ("pool.py", "from mpi4py.futures import MPIPoolExecutor\n"),
        ("loop.sh", "bash loop.sh\n./loop.sh\n"),
    ]);

    fn called(line: &str) -> Called {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        called_by(&words, &FILES)
    }

    #[test]
    fn a_script_without_launchers_calls_none() {
        for line in [
            "bash none.sh",
            "python plain.py",
            "python x.py srun",
            "ls srun",
            "bash loop.sh",
            "bash -c true",
            "make -C nowhere",
            "bash no-such-file",
            "",
        ] {
            assert_eq!(called(line), Called::default(), "{line}");
        }
    }

    #[test]
    fn launchers_are_found_in_scripts_and_in_what_they_name() {
        for (line, launchers, wrappers) in [
            ("bash job.sl", &["srun"][..], &[][..]),
            ("bash -l -o pipefail job.sl", &["srun"], &[]),
            ("time bash -e -u job.sl west", &["srun"], &[]),
            ("./outer.sh", &[], &[]),
            (
                "bash outer.sh",
                &["aprun", "mpirun", "torchrun"],
                &["timeout"],
            ),
            ("make -C sub all", &["mpiexec"], &[]),
            ("python -u drive.py", &["srun"], &[]),
        ] {
            let mut found = called(line);
            found.launchers.sort_unstable();
            assert_eq!(found.launchers, launchers, "{line}");
            assert_eq!(found.wrappers, wrappers, "{line}");
        }
        let text = ["bash", "-lc", "$HOME_MPI python x.py"].map(OsString::from);
        assert_eq!(called_by(&text, &FILES).launchers, ["mpiexec"]);
    }

    #[test]
    fn a_launcher_that_is_called_by_its_path_is_told() {
        let found = called("shim x.py");
        assert_eq!(found.by_path, ["/opt/slurm/bin/srun"]);
        assert!(found.launchers.is_empty());
    }

    #[test]
    fn a_program_that_starts_ranks_by_itself_is_told() {
        let found = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            spawns_ranks(&words, &FILES)
        };
        assert_eq!(found("mpirun -n 1 python pool.py"), Some("pool.py".into()));
        assert_eq!(found("mpirun -n 4 python -m mpi4py.futures pool.py"), None);
        assert_eq!(found("mpirun -n 4 python drive.py"), None);
    }

    #[test]
    fn a_shell_that_reads_its_input_may_call_any() {
        for line in ["bash", "bash -l", "bash -s x", "sh -i"] {
            assert_eq!(called(line), Called::any(), "{line}");
        }
    }
}
