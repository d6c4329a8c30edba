//! Turns the launchers of a job script into links to rsamp that come first in `PATH`.
//!
//! rsamp that is called by such a name puts itself before the programs in the words, and replaces itself by the
//! launcher further on in `PATH`, which runs in the environment that the script would have had without rsamp. Not
//! seen are launchers that are called by an absolute path or after `PATH` was set to something else. A script
//! for bash finds them even then: whatever it does to `PATH` (`module load`), the folder of the links is put first again
//! before the next command of its top level, by a trap of the file that `BASH_ENV` names. A login shell (`bash -l`) does not
//! read that file. It finds functions with the names of the launchers in its environment, of which the first that is called
//! sets the trap and removes them all.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, eaccess};

use super::command_line::Launcher;
use super::wrappers::{self, base_name};
use crate::process::Change;

/// Names the scratch folder, in which the links are, to rsamp that is called by the name of a launcher.
pub const VARIABLE: &str = "RSAMP_SHIMS";

/// What `BASH_ENV` was before.
const BASH_ENV_BEFORE: &str = "RSAMP_BASH_ENV";
const BASH_ENV: &str = "BASH_ENV";
const PATH: &str = "PATH";

/// The folder of the links in the scratch folder.
pub const LINKS: &str = "bin";
/// The words that rsamp was given, the file for `BASH_ENV`, and the one for login shells, in the scratch folder.
const OPTIONS: &str = "options";
const TRAP: &str = "bash_env";
const LOGIN_TRAP: &str = "bash_login";

/// Shells, whose scripts start launchers.
pub const SHELLS: &[&str] = &[
    "sh", "bash", "dash", "ksh", "ksh93", "mksh", "zsh", "csh", "tcsh", "fish", "ash",
];

/// The most that is read of a program to see whether it is a script: as much as the kernel reads (`BINPRM_BUF_SIZE`).
const HEAD_BYTES: usize = 256;

/// Whether the command runs a shell script, or a shell. `head` gives the first bytes of a program.
#[must_use]
pub fn runs_shell(words: &[OsString], head: impl Fn(&str) -> Option<Vec<u8>>) -> bool {
    let text: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    let text: Vec<&str> = text.iter().map(AsRef::as_ref).collect();
    let Some(program) = text.get(wrappers::length(&text)) else {
        return false;
    };
    let is_shell = |path: &str| base_name(path).is_some_and(|name| SHELLS.contains(&name));
    if is_shell(program) {
        return true;
    }
    let head = head(program).unwrap_or_default();
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let Some(line) = line.strip_prefix(b"#!") else {
        return false;
    };
    let line = String::from_utf8_lossy(line);
    let mut interpreter = line.split_whitespace();
    match interpreter.next() {
        Some(path) if base_name(path) == Some("env") => interpreter
            .find(|word| !word.starts_with('-'))
            .is_some_and(is_shell),
        Some(path) => is_shell(path),
        None => false,
    }
}

/// The first bytes of a program, looked up in `PATH` when it is named without a folder.
#[must_use]
pub fn head(program: &str) -> Option<Vec<u8>> {
    use std::io::Read;
    let path = if program.contains('/') {
        PathBuf::from(program)
    } else {
        find_next(OsStr::new(program), &std::env::var_os(PATH)?, None)?
    };
    let mut head = Vec::new();
    let file = fs::File::open(path).ok()?;
    file.take(HEAD_BYTES as u64).read_to_end(&mut head).ok()?;
    Some(head)
}

/// Makes the links to `rsamp` in the scratch folder, and keeps the words that rsamp shall be given there. Returns what
/// to change in the environment of the script.
///
/// # Errors
/// When something cannot be written.
pub fn install(scratch: &Path, rsamp: &Path, options: &[OsString]) -> io::Result<Vec<Change>> {
    let links = scratch.join(LINKS);
    fs::create_dir(&links)?;
    for name in Launcher::names() {
        symlink(rsamp, links.join(name))?;
    }
    fs::write(
        scratch.join(OPTIONS),
        options.join(OsStr::new("\0")).as_bytes(),
    )?;
    let before = std::env::var_os(BASH_ENV);
    let (trap, login_trap) = (scratch.join(TRAP), scratch.join(LOGIN_TRAP));
    fs::write(&trap, trap_text(&links, before.as_deref()))?;
    fs::write(&login_trap, trap_text(&links, None))?;
    let path = std::env::var_os(PATH).unwrap_or_default();
    let path = [links.as_os_str(), &path].join(OsStr::new(":"));
    let functions = function_names().map(|name| {
        let text = function_text(name, &login_trap);
        (function_variable(name), Some(text))
    });
    let mut changes: Vec<Change> = functions.collect();
    changes.extend([
        (PATH.into(), Some(path)),
        (BASH_ENV.into(), Some(trap.into_os_string())),
        (BASH_ENV_BEFORE.into(), before),
        (VARIABLE.into(), Some(scratch.into())),
    ]);
    Ok(changes)
}

/// Those launchers whose names are names of functions for every bash: in POSIX mode it complains of others.
fn function_names() -> impl Iterator<Item = &'static str> {
    Launcher::names().filter(|name| !name.contains('.'))
}

/// The variable in which bash looks for a function (since 4.3).
fn function_variable(name: &str) -> OsString {
    format!("BASH_FUNC_{name}%%").into()
}

/// A function that removes itself, sets the trap, and calls what is found then. Even without the file it does not call itself.
fn function_text(name: &str, login_trap: &Path) -> OsString {
    let trap = login_trap.as_os_str().as_bytes().escape_ascii();
    format!("() {{ unset -f {name}; . $'{trap}' || :; {name} \"$@\"; }}").into()
}

/// Has bash put the links first in `PATH`, now and again before each command of the top level.
fn trap_text(links: &Path, before: Option<&OsStr>) -> Vec<u8> {
    // bash expands it before it reads the file.
    let before = before.map(|before| [b". \"", before.as_bytes(), b"\"\n"].concat());
    let links = links.as_os_str().as_bytes().escape_ascii();
    let names: Vec<&str> = function_names().collect();
    let trap = format!(
        "unset -f {}\n\
         rsamp_links=$'{links}'\n\
         trap 'case $PATH in (\"$rsamp_links\":*) ;; (*) PATH=$rsamp_links:$PATH ;; esac' DEBUG\n\
         PATH=$rsamp_links:$PATH\n",
        names.join(" ")
    );
    [before.unwrap_or_default(), trap.into_bytes()].concat()
}

/// The words that rsamp was given for the recordings in `scratch`.
///
/// # Errors
/// When they cannot be read.
pub fn options(scratch: &Path) -> io::Result<Vec<OsString>> {
    let bytes = fs::read(scratch.join(OPTIONS))?;
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let words = bytes.split(|byte| *byte == 0);
    Ok(words
        .map(|word| OsString::from_vec(word.to_vec()))
        .collect())
}

/// The launcher that a program name stands for, when it is one of the links.
#[must_use]
pub fn called_as(program: &OsStr) -> Option<&'static str> {
    let name = Path::new(program).file_name()?;
    Launcher::names().find(|known| name == *known)
}

/// The program of that name in `path`, a value of `PATH`; not the one in the links of `scratch`.
#[must_use]
pub fn find_next(name: &OsStr, path: &OsStr, scratch: Option<&Path>) -> Option<PathBuf> {
    let links = scratch.map(|scratch| scratch.join(LINKS));
    let folders = std::env::split_paths(path).filter(|folder| Some(folder) != links.as_ref());
    let mut programs = folders.map(|folder| folder.join(name));
    programs.find(|program| program.is_file() && eaccess(program, AccessFlags::X_OK).is_ok())
}

/// What to change in the environment, so that it is as before [`install`] for `program`, the launcher.
#[must_use]
pub fn removed(scratch: &Path, program: &Path) -> Vec<Change> {
    let links = scratch.join(LINKS);
    let path = std::env::var_os(PATH).unwrap_or_default();
    let folders: Vec<&[u8]> = path
        .as_bytes()
        .split(|byte| *byte == b':')
        .filter(|folder| *folder != links.as_os_str().as_bytes())
        .collect();
    let path = OsString::from_vec(folders.join(&b':'));
    // bash tells a program its path.
    let underscore = std::env::var_os("_").map(|_| program.into());
    let functions = function_names().map(|name| (function_variable(name), None));
    let mut changes: Vec<Change> = functions.collect();
    changes.extend([
        ("_".into(), underscore),
        (PATH.into(), Some(path)),
        (BASH_ENV.into(), std::env::var_os(BASH_ENV_BEFORE)),
        (BASH_ENV_BEFORE.into(), None),
        (VARIABLE.into(), None),
    ]);
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shells_and_their_scripts_are_known() {
        let head = |program: &str| {
            let head = match program {
                "./job.sl" => "#!/bin/bash -l\n",
                "env.sh" => "#! /usr/bin/env -S bash -e\n",
                "x.py" => "#!/usr/bin/env python3\n",
                "python" => "\x7fELF#!/bin/sh",
                _ => return None,
            };
            Some(head.as_bytes().to_vec())
        };
        for (line, expected) in [
            ("bash job.sl", true),
            ("time /bin/sh -c x", true),
            ("env A=1 ./job.sl", true),
            ("env.sh", true),
            ("x.py", false),
            ("python x.py", false),
            ("no-such", false),
            ("", false),
        ] {
            let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
            assert_eq!(runs_shell(&words, head), expected, "{line}");
        }
    }

    #[test]
    fn a_launcher_is_found_behind_its_link() {
        let folder = tempfile::tempdir().expect("a folder");
        let (scratch, real) = (folder.path().join("scratch"), folder.path().join("real"));
        fs::create_dir(&scratch).expect("made");
        fs::create_dir(&real).expect("made");
        let words: Vec<OsString> = ["-r", "100"].map(OsString::from).to_vec();
        let changes = install(&scratch, Path::new("/bin/sh"), &words).expect("installed");
        assert_eq!(options(&scratch).expect("read"), words);
        assert_eq!(
            fs::read_link(scratch.join("bin/srun")).expect("a link"),
            Path::new("/bin/sh")
        );
        let path = changes.iter().find(|(name, _)| name == PATH);
        let path = path.and_then(|(_, value)| value.clone()).expect("a path");
        assert!(
            path.as_bytes()
                .starts_with(scratch.join("bin:").as_os_str().as_bytes())
        );
        symlink("/bin/sh", real.join("srun")).expect("a link");
        let path = [path.as_os_str(), real.as_os_str()].join(OsStr::new(":"));
        let name = OsStr::new("srun");
        assert_eq!(find_next(name, &path, None), Some(scratch.join("bin/srun")));
        let behind = find_next(name, &path, Some(&scratch)).expect("found");
        assert_ne!(behind, scratch.join("bin/srun"));
        assert_eq!(find_next(OsStr::new("jsrun"), real.as_os_str(), None), None);
    }

    #[test]
    fn links_are_known_by_name() {
        assert_eq!(
            called_as(OsStr::new("/x/bin/mpiexec.hydra")),
            Some("mpiexec.hydra")
        );
        assert_eq!(called_as(OsStr::new("rsamp")), None);
    }
}
