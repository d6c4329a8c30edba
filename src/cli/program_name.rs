//! Turns a command line into the NAME of `NAME-PID.svg`: the script's, where one can be told.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// Enough for any real script; well below the 255 bytes of a file name with PID, number and ending.
const MAX_NAME_BYTES: usize = 100;
/// The name when a command line tells none.
const FALLBACK: &str = "python";
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

/// What people put in front of `python`. From the manual pages of each (coreutils 9, util-linux 2.40,
/// numactl 2, Slurm 24, Open MPI 5); best effort: an option missing here gives a poorer file name only.
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
    wrapper(
        "srun",
        &["-n", "-N", "-c", "-p", "-t", "-A", "-J", "-w", "-x", "-G"],
        0,
    ),
    wrapper(
        "mpirun",
        &[
            "-n",
            "-np",
            "-H",
            "-N",
            "-x",
            "--host",
            "--hostfile",
            "--map-by",
            "--bind-to",
        ],
        0,
    ),
    wrapper(
        "mpiexec",
        &[
            "-n",
            "-np",
            "-H",
            "-N",
            "-x",
            "--host",
            "--hostfile",
            "--map-by",
            "--bind-to",
        ],
        0,
    ),
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
];

/// The name for the profile of `command`, fit to be a part of a file name; never empty.
///
/// `python -u scatter.py` gives `scatter`, `python -m pkg.mod` gives `pkg.mod`, `python -c …` gives
/// `python`, `env X=1 python x.py` gives `x`, `/opt/venv/bin/pytest -x` gives `pytest`.
#[must_use]
pub fn program_name(command: &[OsString]) -> String {
    let words: Vec<String> = command
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let mut words = words.as_slice();
    for _ in 0..MAX_WRAPPERS {
        match unwrapped(words) {
            Some(inner) => words = inner,
            None => break,
        }
    }
    let name = match words {
        [] => None,
        [program, arguments @ ..] if is_interpreter(program) => script_of(arguments),
        [program, ..] => stem(program),
    };
    sanitised(name.as_deref().unwrap_or(FALLBACK))
}

/// What `words` run, when their first is a wrapper with a command behind it.
fn unwrapped(words: &[String]) -> Option<&[String]> {
    let (program, mut rest) = words.split_first()?;
    let base = base_name(program)?;
    let wrapper = WRAPPERS.iter().find(|wrapper| wrapper.name == base)?;
    let mut operands = wrapper.operands;
    while let Some((word, behind)) = rest.split_first() {
        rest = if wrapper.valued.contains(&word.as_str()) {
            behind.get(1..).unwrap_or_default()
        } else if word.starts_with('-') || (base == "env" && word.contains('=')) {
            behind
        } else if operands > 0 {
            operands -= 1;
            behind
        } else {
            return Some(rest);
        };
    }
    None
}

/// Whether this is an interpreter's name: `python`, `python3.13t`, `/usr/bin/python3-dbg`, `pypy3`.
fn is_interpreter(program: &str) -> bool {
    let Some(base) = base_name(program) else {
        return false;
    };
    let Some(rest) = base
        .strip_prefix("python")
        .or_else(|| base.strip_prefix("pypy"))
    else {
        return false;
    };
    let rest = rest.strip_suffix("-dbg").unwrap_or(rest);
    rest.trim_end_matches(['d', 'm', 't', 'u', 'w'])
        .chars()
        .all(|c| c.is_ascii_digit() || c == '.')
}

/// The script's or module's name among an interpreter's arguments, read as `Python/getopt.c` reads them.
fn script_of(arguments: &[String]) -> Option<String> {
    let mut arguments = arguments.iter();
    while let Some(word) = arguments.next() {
        if word == "--check-hash-based-pycs" {
            arguments.next();
        } else if word == "-" {
            return None;
        } else if word == "--" {
            return stem(arguments.next()?);
        } else if word.starts_with("--") {
            continue;
        } else if let Some(letters) = word.strip_prefix('-') {
            let Some(at) = letters.find(['c', 'm', 'W', 'X']) else {
                continue;
            };
            let value = match &letters[at + 1..] {
                "" => arguments.next()?.as_str(),
                attached => attached,
            };
            match letters.as_bytes()[at] {
                b'c' => return None,
                b'm' => return Some(value.to_owned()),
                _ => {}
            }
        } else {
            return stem(word);
        }
    }
    None
}

/// `scatter` for `dir/scatter.py`, `pkg` for `pkg/__main__.py`.
fn stem(path: &str) -> Option<String> {
    let path = Path::new(path);
    let base = path.file_name().and_then(OsStr::to_str)?;
    if base == "__main__.py"
        && let Some(folder) = path
            .parent()
            .and_then(Path::file_name)
            .and_then(OsStr::to_str)
    {
        return Some(folder.to_owned());
    }
    let bare = [".py", ".pyc", ".pyw", ".pyz", ".sh"]
        .iter()
        .find_map(|ending| base.strip_suffix(ending));
    Some(bare.unwrap_or(base).to_owned())
}

fn base_name(program: &str) -> Option<&str> {
    Path::new(program).file_name().and_then(OsStr::to_str)
}

/// Letters, digits and `._+-` of any script stay; runs of anything else become one `_`.
fn sanitised(name: &str) -> String {
    let mut clean = String::new();
    for original in name.chars() {
        let fit = original.is_alphanumeric() || "._+-".contains(original);
        let c = if fit { original } else { '_' };
        if !fit && clean.ends_with('_') {
            continue;
        }
        if clean.len() + c.len_utf8() > MAX_NAME_BYTES {
            break;
        }
        clean.push(c);
    }
    let trimmed = clean
        .trim_start_matches(['.', '-', '+'])
        .trim_end_matches('.');
    if trimmed.contains(char::is_alphanumeric) {
        trimmed.to_owned()
    } else {
        FALLBACK.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_of(words: &[&str]) -> String {
        program_name(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_name_is_the_scripts() {
        let table = [
            ("python scatter.py -nx 200", "scatter"),
            ("/usr/bin/python3.11 ./dir/scatter.py", "scatter"),
            ("python3.13t scatter.py", "scatter"),
            ("python3-dbg scatter.py", "scatter"),
            ("python -u -B scatter.py", "scatter"),
            ("python -uB scatter.py", "scatter"),
            ("python -W ignore scatter.py", "scatter"),
            ("python -Wignore -X dev -Xutf8 scatter.py", "scatter"),
            (
                "python -OO --check-hash-based-pycs never scatter.py",
                "scatter",
            ),
            ("python -- scatter.py", "scatter"),
            ("python -m pkg.mod --flag", "pkg.mod"),
            ("python -um pkg.mod", "pkg.mod"),
            ("python -mpkg", "pkg"),
            ("python -c code", "python"),
            ("python -uc code file.py", "python"),
            ("python", "python"),
            ("python -m", "python"),
            ("python - x.py", "python"),
            ("python pkg/__main__.py", "pkg"),
            ("python __main__.py", "__main__"),
            ("python train.v2.py", "train.v2"),
            ("python app.pyz", "app"),
            ("python folder/", "folder"),
            ("python ..", "python"),
            ("env X=1 Y=2 python x.py", "x"),
            ("/usr/bin/env -i -u HOME python x.py", "x"),
            ("/usr/bin/time -v python x.py", "x"),
            ("/usr/bin/time -o t.txt -f %e python x.py", "x"),
            ("nice -n 5 taskset -c 0,1 python x.py", "x"),
            ("timeout -k 5 10m python -m pkg", "pkg"),
            ("mpirun -np 4 python -u x.py", "x"),
            ("conda run -n env python x.py", "x"),
            ("uv run x.py", "x"),
            ("env", "env"),
            ("/opt/venv/bin/pytest -x", "pytest"),
            ("/usr/bin/python3 /opt/venv/bin/pytest -x", "pytest"),
            ("./x.py", "x"),
            ("bash job.sh", "bash"),
            ("pythonic x.py", "pythonic"),
            ("", "python"),
        ];
        for (line, expected) in table {
            assert_eq!(
                name_of(&line.split_whitespace().collect::<Vec<_>>()),
                expected,
                "{line}"
            );
        }
    }

    #[test]
    fn the_name_is_fit_for_a_file() {
        let long = format!("{}.py", "é".repeat(300));
        let table = [
            (vec!["python", "a b;c/../d\n\u{1b}[31m.py"], "d_31m"),
            (vec!["gunicorn: master [app]"], "gunicorn_master_app_"),
            (vec!["python", ".hidden.py"], "hidden"),
            (vec!["python", "-m", "../../etc/passwd"], "_.._etc_passwd"),
            (vec!["python", "散乱.py"], "散乱"),
            (vec!["python", "***.py"], "python"),
            (vec!["-bash"], "bash"),
        ];
        for (words, expected) in table {
            assert_eq!(name_of(&words), expected, "{words:?}");
        }
        assert!(name_of(&["python", &long]).len() <= MAX_NAME_BYTES);
    }
}
