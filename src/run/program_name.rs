//! Turns a command line into the NAME of `NAME-PID.svg`: the script's, where one can be told.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::launch::wrappers::{self, SHELLS, base_name};
use crate::launch::{self, LauncherChoice};

/// Enough for any real script; well below the 255 bytes of a file name with PID, number and ending.
const MAX_NAME_BYTES: usize = 100;
/// The name when a command line tells none.
const FALLBACK: &str = "python";
/// Endings of scripts, which are no part of the name.
const ENDINGS: &[&str] = &[
    ".py", ".pyc", ".pyw", ".pyz", ".sh", ".bash", ".sl", ".slurm", ".sbatch", ".batch", ".job",
];
/// Launchers in front of launchers: nobody stacks more.
const MAX_LAUNCHERS: usize = 4;

/// The name for the profile of `command`, fit to be a part of a file name; never empty.
///
/// `python -u scatter.py` gives `scatter`, `python -m pkg.mod` gives `pkg.mod`, `python -c …` gives
/// `python`, `env X=1 python x.py` gives `x`, `/opt/venv/bin/pytest -x` gives `pytest`.
#[must_use]
pub fn program_name(command: &[OsString]) -> String {
    let mut command = command;
    for _ in 0..MAX_LAUNCHERS {
        match launch::find(command, LauncherChoice::Auto) {
            Ok(Some(launch)) => command = launch.program(command),
            Ok(None) | Err(_) => break,
        }
    }
    let words: Vec<String> = command
        .iter()
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let text: Vec<&str> = words.iter().map(String::as_str).collect();
    let name = match &words[wrappers::length(&text)..] {
        [] => None,
        [shell, arguments @ ..] if is_shell(shell) => shell_script(arguments).or(stem(shell)),
        [program, arguments @ ..] if is_interpreter(program) => script_of(arguments),
        [program, ..] => stem(program),
    };
    sanitised(name.as_deref().unwrap_or(FALLBACK))
}

fn is_shell(program: &str) -> bool {
    base_name(program).is_some_and(|name| SHELLS.contains(&name))
}

/// The script's name among a shell's arguments: of `bash -l job.sl`, not of `bash -c …`.
fn shell_script(arguments: &[String]) -> Option<String> {
    let mut words = arguments.iter();
    let word = words.find(|word| !word.starts_with('-') || word.contains('c'))?;
    (!word.starts_with('-')).then(|| stem(word)).flatten()
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
    let bare = ENDINGS.iter().find_map(|ending| base.strip_suffix(ending));
    Some(bare.unwrap_or(base).to_owned())
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
            ("bash job.sh", "job"),
            ("bash -l job.sl 3", "job"),
            ("bash -s", "bash"),
            ("time bash -c x", "bash"),
            ("srun -n 2 time python x.py", "x"),
            ("mpirun -np 2 --mca btl self python -m pkg", "pkg"),
            ("torchrun --standalone train.py", "train"),
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
