//! Turns the launchers of a job script into links to rsamp that come first in `PATH`.
//!
//! rsamp that is called by such a name puts itself before the programs in the words, and replaces itself by the
//! launcher further on in `PATH`, which runs in the environment that the script would have had without rsamp. Only those launchers have a
//! link that the script names ([`super::scripts`]). Not seen are launchers that are called by an absolute path.
//!
//! A script that puts another folder first in `PATH` (`module load`) would find the launcher there. bash looks for a
//! function before it looks in `PATH`: so its environment has a function with the name of each launcher, which calls the
//! link, and one for each command that stands before a launcher (`timeout`), which puts the links first for that command.
//! These cost nothing but when they are called. `exec` and `command` pass functions by, and other shells know none from the
//! environment: there `PATH` has to stay. A function of the user's of the same name is left alone.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::{fs, io};

use super::command_line::Launcher;
use super::scripts::Called;
use crate::process::Change;

/// Names the scratch folder, in which the links are, to rsamp that is called by the name of a launcher.
pub const VARIABLE: &str = "RSAMP_SHIMS";

const PATH: &str = "PATH";

/// The folder of the links in the scratch folder.
pub const LINKS: &str = "bin";
/// The words that rsamp was given, a file in the scratch folder.
const OPTIONS: &str = "options";

/// Makes links to `rsamp` for what a script calls in the scratch folder, and keeps the words that rsamp shall be given there. Returns
/// what to change in the environment of the script: nothing, when it calls no launcher.
///
/// # Errors
/// When something cannot be written.
pub fn install(
    scratch: &Path,
    rsamp: &Path,
    options: &[OsString],
    called: &Called,
) -> io::Result<Vec<Change>> {
    if called.launchers.is_empty() {
        return Ok(Vec::new());
    }
    let links = scratch.join(LINKS);
    fs::create_dir(&links)?;
    for name in &called.launchers {
        symlink(rsamp, links.join(name))?;
    }
    fs::write(
        scratch.join(OPTIONS),
        options.join(OsStr::new("\0")).as_bytes(),
    )?;
    let path = std::env::var_os(PATH).unwrap_or_default();
    let path = [links.as_os_str(), &path].join(OsStr::new(":"));
    let launchers = called
        .launchers
        .iter()
        .map(|name| (name, launcher_text(name, &links)));
    let wrappers = called
        .wrappers
        .iter()
        .map(|name| (name, wrapper_text(name, &links)));
    let functions = launchers.chain(wrappers).filter_map(|(name, text)| {
        let variable = function_variable(name)?;
        std::env::var_os(&variable)
            .is_none()
            .then_some((variable, Some(text)))
    });
    let mut changes: Vec<Change> = functions.collect();
    changes.extend([
        (PATH.into(), Some(path)),
        (VARIABLE.into(), Some(scratch.into())),
    ]);
    Ok(changes)
}

/// The variable in which bash looks for a function (since 4.3); none for names that are no words to a shell: in POSIX mode
/// bash complains of functions with such.
fn function_variable(name: &str) -> Option<OsString> {
    let is_word = name
        .bytes()
        .all(|letter| letter.is_ascii_alphanumeric() || letter == b'_');
    is_word.then(|| format!("BASH_FUNC_{name}%%").into())
}

/// A function that calls the link.
fn launcher_text(name: &str, links: &Path) -> OsString {
    format!("() {{ {}/{name} \"$@\"; }}", in_bash(links)).into()
}

/// A function that calls the command of its name, which finds the links first.
fn wrapper_text(name: &str, links: &Path) -> OsString {
    format!(
        "() {{ PATH={}:$PATH command {name} \"$@\"; }}",
        in_bash(links)
    )
    .into()
}

/// In quotes, for bash.
fn in_bash(path: &Path) -> String {
    format!("$'{}'", path.as_os_str().as_bytes().escape_ascii())
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
    let links = in_bash(&links).into_bytes();
    let is_ours = |value: &OsStr| {
        let bytes = value.as_bytes();
        bytes.starts_with(b"() {") && bytes.windows(links.len()).any(|part| part == links)
    };
    let functions = std::env::vars_os()
        .filter(|(name, value)| name.as_bytes().starts_with(b"BASH_FUNC_") && is_ours(value));
    let mut changes: Vec<Change> = functions.map(|(name, _)| (name, None)).collect();
    changes.extend([
        ("_".into(), underscore),
        (PATH.into(), Some(path)),
        (VARIABLE.into(), None),
    ]);
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::programs::find_next;

    #[test]
    fn a_launcher_is_found_behind_its_link() {
        let folder = tempfile::tempdir().expect("a folder");
        let (scratch, real) = (folder.path().join("scratch"), folder.path().join("real"));
        fs::create_dir(&scratch).expect("made");
        fs::create_dir(&real).expect("made");
        let words: Vec<OsString> = ["-r", "100"].map(OsString::from).to_vec();
        let changes =
            install(&scratch, Path::new("/bin/sh"), &words, &Called::any()).expect("installed");
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
        let behind = find_next(name, &path, Some(&scratch.join(LINKS))).expect("found");
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
