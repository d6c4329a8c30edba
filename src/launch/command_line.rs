//! Turns a command line with a launcher in it into one with rsamp in front of the program on every rank.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use thiserror::Error;

use super::options::{APRUN, JSRUN, MPIRUN, Options, SRUN, TORCHRUN, Values};
use super::wrappers::{self, base_name};

/// A program that starts other programs, several times and on several nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Launcher {
    /// Slurm's.
    Srun,
    /// Those of Open MPI, MPICH, Intel MPI and PALS.
    Mpirun,
    /// Cray's.
    Aprun,
    /// IBM's.
    Jsrun,
    /// PyTorch's.
    Torchrun,
}

/// The names that launchers are called by.
const NAMES: &[(Launcher, &[&str])] = &[
    (Launcher::Srun, &["srun"]),
    (
        Launcher::Mpirun,
        &[
            "mpirun",
            "mpiexec",
            "mpiexec.hydra",
            "mpirun.openmpi",
            "mpiexec.openmpi",
            "mpirun.mpich",
            "mpiexec.mpich",
            "orterun",
            "prterun",
        ],
    ),
    (Launcher::Aprun, &["aprun"]),
    (Launcher::Jsrun, &["jsrun"]),
    (Launcher::Torchrun, &["torchrun"]),
];

/// Programs that are not wrapped: rsamp itself, and the daemons that `mpirun` starts on the nodes, at times with `srun`.
const LEFT_ALONE: &[&str] = &[
    "rsamp",
    "orted",
    "prted",
    "hydra_pmi_proxy",
    "hydra_bstrap_proxy",
    "pmi_proxy",
    "mpispawn",
];

/// Python's options that may stand before `-m torch.distributed.run`.
const PYTHON_FLAGS: &[&str] = &["-u", "-B", "-E", "-I", "-O", "-OO", "-s", "-S"];

impl Launcher {
    /// All names of all launchers.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().flat_map(|(_, names)| names.iter().copied())
    }

    fn from_name(name: &str) -> Option<Launcher> {
        let found = NAMES.iter().find(|(_, names)| names.contains(&name));
        found.map(|(launcher, _)| *launcher)
    }

    fn options(self) -> &'static Options {
        match self {
            Launcher::Srun => &SRUN,
            Launcher::Mpirun => &MPIRUN,
            Launcher::Aprun => &APRUN,
            Launcher::Jsrun => &JSRUN,
            Launcher::Torchrun => &TORCHRUN,
        }
    }
}

/// What the user says of the launcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LauncherChoice {
    /// It is known by its name.
    #[default]
    Auto,
    /// There is none.
    None,
    /// The first word is one that reads its options as `srun` does.
    Srun,
    /// The first word is one that reads its options as `mpirun` does.
    Mpirun,
}

/// A launcher in a command line, and the programs that it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// Which one.
    pub launcher: Launcher,
    /// Where its own words begin, behind its name.
    options_at: usize,
    programs: Vec<Program>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Program {
    /// Where its words begin.
    at: usize,
    /// Whether the word before is a `--` that is there to mark it.
    is_marked: bool,
}

/// Why the program cannot be told from the launcher's options.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LaunchError {
    /// An option that is in no list: its value could be taken for the program.
    #[error("unknown {launcher} option {option}: rsamp cannot tell where the program begins")]
    UnknownOption {
        /// The launcher, as typed.
        launcher: String,
        /// The option, as typed.
        option: String,
    },
    /// The programs are named in a file.
    #[error(
        "{launcher} {option} reads the programs from a file, where rsamp cannot put itself before them"
    )]
    ProgramsInFile {
        /// The launcher, as typed.
        launcher: String,
        /// The option, as typed.
        option: String,
    },
}

/// Finds the launcher, behind commands such as `time` and `env A=B`, and its programs. `None` when there is no
/// launcher, or it starts nothing that rsamp could be put before.
///
/// # Errors
/// When there is one, and its programs cannot be told.
pub fn find(words: &[OsString], wish: LauncherChoice) -> Result<Option<Launch>, LaunchError> {
    let words: Vec<Cow<'_, str>> = words.iter().map(|word| word.to_string_lossy()).collect();
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    let at = wrappers::length(&words);
    let Some(first) = words.get(at) else {
        return Ok(None);
    };
    let named = base_name(first).and_then(Launcher::from_name);
    let (launcher, options_at) = match (wish, named) {
        (LauncherChoice::None, _) => return Ok(None),
        (LauncherChoice::Srun, _) => (Launcher::Srun, at + 1),
        (LauncherChoice::Mpirun, _) => (Launcher::Mpirun, at + 1),
        (LauncherChoice::Auto, Some(launcher)) => (launcher, at + 1),
        (LauncherChoice::Auto, None) => match torch_module(&words[at..]) {
            Some(length) => (Launcher::Torchrun, at + length),
            None => return Ok(None),
        },
    };
    let programs = programs(launcher, &words, options_at)?;
    let found = Launch {
        launcher,
        options_at,
        programs,
    };
    Ok(Some(found).filter(|launch| !launch.programs.is_empty()))
}

/// How many words `python -m torch.distributed.run` is, when `words` begin with it.
fn torch_module(words: &[&str]) -> Option<usize> {
    let (python, rest) = words.split_first()?;
    let flags = rest.iter().take_while(|word| PYTHON_FLAGS.contains(word));
    let at = flags.count();
    let is_module = rest.get(at..at + 2) == Some(&["-m", "torch.distributed.run"]);
    (base_name(python)?.starts_with("python") && is_module).then_some(at + 3)
}

/// Where each program begins: the launcher's options, a program and its arguments, `:`, and so on.
fn programs(
    launcher: Launcher,
    words: &[&str],
    options_at: usize,
) -> Result<Vec<Program>, LaunchError> {
    let mut programs = Vec::new();
    let mut at = options_at;
    loop {
        let program = program(launcher, words, options_at, at)?;
        let is_left_alone = |word: &str| base_name(word).is_some_and(|n| LEFT_ALONE.contains(&n));
        let begun = program.filter(|program| program.at < words.len());
        let Some(program) = begun else {
            return Ok(programs);
        };
        if !is_left_alone(words[program.at]) {
            programs.push(program);
        }
        let is_last = launcher == Launcher::Torchrun;
        let next = words[program.at..].iter().position(|word| *word == ":");
        match next.filter(|_| !is_last) {
            Some(next) => at = program.at + next + 1,
            None => return Ok(programs),
        }
    }
}

/// The program behind the options that begin at `at`.
fn program(
    launcher: Launcher,
    words: &[&str],
    options_at: usize,
    mut at: usize,
) -> Result<Option<Program>, LaunchError> {
    let name = || words[options_at - 1].to_owned();
    while let Some(word) = words.get(at) {
        // A part of a heterogeneous job of Slurm has options only.
        if *word == ":" {
            at += 1;
            continue;
        }
        if *word == "--" {
            let (at, is_marked) = (at + 1, true);
            return Ok(Some(Program { at, is_marked }));
        }
        if !word.starts_with('-') || *word == "-" {
            let is_marked = false;
            return Ok(Some(Program { at, is_marked }));
        }
        let Some(read) = launcher.options().read(&words[at..]) else {
            let mark = words[at..].iter().position(|word| *word == "--");
            let Some(mark) = mark else {
                return Err(LaunchError::UnknownOption {
                    launcher: name(),
                    option: (*word).to_owned(),
                });
            };
            let (at, is_marked) = (at + mark + 1, true);
            return Ok(Some(Program { at, is_marked }));
        };
        if matches!(read.values, Values::ProgramFile | Values::ProgramIsFile) {
            return Err(LaunchError::ProgramsInFile {
                launcher: name(),
                option: (*word).to_owned(),
            });
        }
        at += read.words;
    }
    Ok(None)
}

/// Runs rsamp where it is, and elsewhere says so and runs the program alone: the job goes on.
const RANK_SCRIPT: &str = "\
n=$1; shift; [ -x \"$0\" ] && exec \"$0\" \"$@\"; \
echo \"rsamp: warning: $0 is not on $(hostname): this rank runs without it\" >&2; shift $n; exec \"$@\"";

/// What comes before a program on a rank: rsamp at this path, with `options` of `rsamp record`, which leaves its recording
/// in `folder`.
#[must_use]
pub fn prefix(rsamp: &Path, options: &[OsString], folder: &Path) -> Vec<OsString> {
    // `record`, `--gather`, the folder and `--` besides.
    let own_words = options.len() + 4;
    let mut words: Vec<OsString> = vec!["/bin/sh".into(), "-c".into(), RANK_SCRIPT.into()];
    words.extend([rsamp.into(), own_words.to_string().into(), "record".into()]);
    words.extend(options.iter().cloned());
    words.extend(["--gather".into(), folder.into(), "--".into()]);
    words
}

impl Launch {
    /// The words of the first program, for its name.
    #[must_use]
    pub fn program<'w>(&self, words: &'w [OsString]) -> &'w [OsString] {
        let first = self.programs.first();
        first.map_or(&[], |program| &words[program.at..])
    }

    /// Where the launcher's name is; of a module of Python, the last word of it.
    #[must_use]
    pub fn name_at(&self) -> usize {
        self.options_at - 1
    }

    /// `words` with `prefix` in front of each program. torchrun runs scripts with `python`: the prefix comes
    /// before that.
    #[must_use]
    pub fn insert(&self, words: &[OsString], prefix: &[OsString], python: &OsStr) -> Vec<OsString> {
        if self.launcher == Launcher::Torchrun {
            return self.insert_into_torchrun(words, prefix, python);
        }
        let mut all = words.to_vec();
        for program in self.programs.iter().rev() {
            let from = program.at - usize::from(program.is_marked);
            all.splice(from..program.at, prefix.iter().cloned());
        }
        all
    }

    /// `torchrun x.py` becomes `torchrun --no-python PREFIX python -u x.py`, which is what torchrun does itself.
    fn insert_into_torchrun(
        &self,
        words: &[OsString],
        prefix: &[OsString],
        python: &OsStr,
    ) -> Vec<OsString> {
        let Some(program) = self.programs.first() else {
            return words.to_vec();
        };
        let options_end = program.at - usize::from(program.is_marked);
        let (before, options) = words[..options_end].split_at(self.options_at);
        let is = |word: &OsString, names: &[&str]| names.iter().any(|name| word == name);
        let has = |names: &[&str]| options.iter().any(|word| is(word, names));
        let own = ["--no-python", "--no_python", "--run-path", "--run_path"];
        let is_bare = has(&own[..2]) && !has(&own[2..]);
        let mut all = before.to_vec();
        let dropped = |word: &&OsString| !is(word, &own) && !is(word, &["-m", "--module"]);
        all.extend(options.iter().filter(dropped).cloned());
        all.push("--no-python".into());
        all.extend(prefix.iter().cloned());
        if !is_bare {
            all.extend([python.to_owned(), "-u".into()]);
            if has(&["-m", "--module"]) {
                all.push("-m".into());
            }
        }
        all.extend(words[program.at..].iter().cloned());
        all
    }

    /// The interpreter of `python -m torch.distributed.run`; `None` for every other launcher.
    #[must_use]
    pub fn python<'w>(&self, words: &'w [OsString]) -> Option<&'w OsStr> {
        let own = &words[..self.options_at];
        let is_module = own
            .last()
            .is_some_and(|word| word == "torch.distributed.run");
        let flags = own.iter().rev().skip(2);
        let mut python = flags.skip_while(|word| PYTHON_FLAGS.iter().any(|flag| *word == flag));
        python.next().filter(|_| is_module).map(OsString::as_os_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    /// The line with `@` in front of each program; `=` when there is nothing to put it before.
    fn inserted(line: &str, wish: LauncherChoice) -> String {
        let line = words(line);
        match find(&line, wish) {
            Ok(Some(launch)) => {
                let python = launch.python(&line).unwrap_or("PYTHON".as_ref());
                let all = launch.insert(&line, &words("@"), python);
                let all: Vec<_> = all.iter().map(|word| word.to_string_lossy()).collect();
                all.join(" ")
            }
            Ok(None) => "=".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn rsamp_comes_before_the_program() {
        for (line, expected) in [
            ("srun python x.py", "srun @ python x.py"),
            (
                "srun -n 4 --mpi=pmi2 -u python x.py -n 2",
                "srun -n 4 --mpi=pmi2 -u @ python x.py -n 2",
            ),
            ("srun time python x.py", "srun @ time python x.py"),
            (
                "/usr/bin/srun -- python x.py -- y",
                "/usr/bin/srun @ python x.py -- y",
            ),
            ("time srun -l python x.py", "time srun -l @ python x.py"),
            (
                "env -u A B=1 nohup srun python x.py",
                "env -u A B=1 nohup srun @ python x.py",
            ),
            (
                "timeout 5 mpirun -n 4 python x.py",
                "timeout 5 mpirun -n 4 @ python x.py",
            ),
            (
                "salloc -n 2 srun python x.py",
                "salloc -n 2 srun @ python x.py",
            ),
            ("srun -n1 a : -n 2 b c", "srun -n1 @ a : -n 2 @ b c"),
            ("mpirun -np 4 python x.py", "mpirun -np 4 @ python x.py"),
            (
                "mpiexec.hydra -env A 1 -n 4 ./x",
                "mpiexec.hydra -env A 1 -n 4 @ ./x",
            ),
            (
                "mpirun --mca btl self -x A=1 -n 1 python a.py : -n 3 python b.py",
                "mpirun --mca btl self -x A=1 -n 1 @ python a.py : -n 3 @ python b.py",
            ),
            ("aprun -n 24 -cc depth ./x", "aprun -n 24 -cc depth @ ./x"),
            ("jsrun -n4 -a 1 ./x", "jsrun -n4 -a 1 @ ./x"),
            (
                "mpirun -weird 3 -- python x.py",
                "mpirun -weird 3 @ python x.py",
            ),
            (
                "torchrun --nproc-per-node 2 x.py -m",
                "torchrun --nproc-per-node 2 --no-python @ PYTHON -u x.py -m",
            ),
            (
                "torchrun -m pkg.train",
                "torchrun --no-python @ PYTHON -u -m pkg.train",
            ),
            ("torchrun --no-python ./x", "torchrun --no-python @ ./x"),
            (
                "python3 -u -m torch.distributed.run --standalone x.py",
                "python3 -u -m torch.distributed.run --standalone --no-python @ python3 -u x.py",
            ),
            ("srun torchrun x.py", "srun @ torchrun x.py"),
        ] {
            assert_eq!(inserted(line, LauncherChoice::Auto), expected);
        }
    }

    #[test]
    fn a_node_without_rsamp_runs_the_program() {
        let options = words("-r 100");
        for (rsamp, expected) in [
            (
                "/bin/echo",
                "record -r 100 --gather /scratch -- echo of the program\n",
            ),
            ("/no/such/rsamp", "of the program\n"),
        ] {
            let mut line = prefix(Path::new(rsamp), &options, Path::new("/scratch"));
            line.extend(words("echo of the program"));
            let mut command = std::process::Command::new(&line[0]);
            let output = command.args(&line[1..]).output().expect("a shell");
            assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(
                said.contains("/no/such/rsamp is not on"),
                !output.stderr.is_empty()
            );
        }
    }

    #[test]
    fn commands_without_a_launch_stay_unchanged() {
        for line in [
            "",
            "python x.py",
            "python -m torch.distributed.launch x.py",
            "time python x.py",
            "bash job.sl",
            "srun",
            "srun --version",
            "srun -n 4",
            "srun rsamp record -- python x.py",
            "srun -N 1 orted --daemon",
            "mpirun -n 2 /opt/bin/rsamp record -- python x.py",
        ] {
            assert_eq!(inserted(line, LauncherChoice::Auto), "=", "{line}");
        }
        assert_eq!(inserted("srun python x.py", LauncherChoice::None), "=");
    }

    #[test]
    fn a_launcher_of_another_name_is_one_when_the_user_says_so() {
        assert_eq!(
            inserted("site-run -n 2 python x.py", LauncherChoice::Auto),
            "="
        );
        assert_eq!(
            inserted("site-run -n 2 python x.py", LauncherChoice::Srun),
            "site-run -n 2 @ python x.py"
        );
        assert_eq!(
            inserted("site-run -np 2 python x.py", LauncherChoice::Mpirun),
            "site-run -np 2 @ python x.py"
        );
    }

    #[test]
    fn an_unknown_option_is_named() {
        assert_eq!(
            inserted("srun --frobnicate 3 python x.py", LauncherChoice::Auto),
            "unknown srun option --frobnicate: rsamp cannot tell where the program begins"
        );
        assert_eq!(
            inserted("srun --multi-prog x.conf", LauncherChoice::Auto),
            "srun --multi-prog reads the programs from a file, where rsamp cannot put itself before them"
        );
        assert!(inserted("mpirun --app x", LauncherChoice::Auto).contains("from a file"));
    }
}
