//! Turns a job script that is submitted with `sbatch` into one that runs it under rsamp on the node.
//!
//! The new script begins with the lines that `sbatch` reads, then has its own interpreter replace itself by rsamp, and ends
//! with the old script as it was: Slurm keeps both together, and later changes of the file do not matter. Where rsamp is not on
//! the node, the interpreter goes on with the old script. No other shell comes in between: it could lose what it does not
//! understand, as dash loses exported functions (`module`) and variables with dots.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use thiserror::Error;

use super::options::SBATCH;
use super::wrappers::{self, base_name};
use super::{LaunchError, scripts};

/// An `sbatch` in a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The script.
    pub script: Script,
    /// The words without the script: what comes before it, and its arguments behind.
    pub before: Vec<OsString>,
    /// The arguments of the script.
    pub arguments: Vec<OsString>,
}

/// Where the script is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Script {
    /// In this file.
    File(OsString),
    /// On standard input.
    Stdin,
    /// It is this command, given with `--wrap`.
    Wrap(OsString),
}

/// Finds an `sbatch` that submits something. `None` when there is none.
///
/// # Errors
/// When its script cannot be told from its options.
pub fn find(words: &[OsString]) -> Result<Option<Submission>, LaunchError> {
    let text: Vec<Cow<'_, str>> = words.iter().map(|word| word.to_string_lossy()).collect();
    let text: Vec<&str> = text.iter().map(AsRef::as_ref).collect();
    let name_at = wrappers::length(&text);
    if text.get(name_at).and_then(|word| base_name(word)) != Some("sbatch") {
        return Ok(None);
    }
    let (mut at, mut wrapped) = (name_at + 1, None);
    let mut before = words[..at].to_vec();
    while let Some(word) = text.get(at) {
        if *word == "--" {
            at += 1;
            break;
        }
        if *word != ":" && (!word.starts_with('-') || *word == "-") {
            break;
        }
        if ["-h", "--help", "--usage", "-V", "--version"].contains(word) {
            return Ok(None);
        }
        let read = match *word {
            ":" => 1,
            _ => SBATCH.read(&text[at..]).map_or(0, |read| read.words),
        };
        if read == 0 {
            let (launcher, option) = ("sbatch".to_owned(), (*word).to_owned());
            return Err(LaunchError::UnknownOption { launcher, option });
        }
        let end = (at + read).min(words.len());
        if let Some(command) = word.strip_prefix("--wrap=") {
            wrapped = Some(OsString::from(command));
        } else if *word == "--wrap" {
            wrapped = words.get(at + 1).cloned();
        } else {
            before.extend_from_slice(&words[at..end]);
        }
        at = end;
    }
    let (script, arguments) = match (wrapped, words.get(at)) {
        (Some(command), _) => (Script::Wrap(command), &words[at..]),
        (None, Some(file)) => (Script::File(file.clone()), &words[at + 1..]),
        (None, None) => (Script::Stdin, &words[at..]),
    };
    Ok(Some(Submission {
        script,
        before,
        arguments: arguments.to_vec(),
    }))
}

/// What `sbatch --wrap` makes of a command.
#[must_use]
pub fn wrapped(command: &OsStr) -> Vec<u8> {
    [b"#!/bin/sh\n".as_slice(), command.as_bytes(), b"\n"].concat()
}

/// How rsamp is called in the job.
#[derive(Debug, Clone, Copy)]
pub struct Call<'c> {
    /// Its absolute path.
    pub rsamp: &'c Path,
    /// Its words up to the command.
    pub options: &'c [OsString],
}

/// Why a script cannot be made to run under rsamp.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BatchError {
    /// It is no script, which `sbatch` will say.
    #[error("the job script has no interpreter line")]
    NoScript,
    /// It is in a language in which rsamp cannot be called first.
    #[error("the job script is one for {0}, from which rsamp cannot be started")]
    Interpreter(String),
}

/// The script that runs `script` under rsamp.
///
/// rsamp is called with `--batch-script LINE`, the line of the new script where the old one begins; it makes a
/// file of that, and puts it in the place of the word that names the new script.
///
/// # Errors
/// When there can be none.
pub fn under_rsamp(script: &[u8], call: Call<'_>) -> Result<Vec<u8>, BatchError> {
    let first = script
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let line = first.strip_prefix(b"#!").ok_or(BatchError::NoScript)?;
    let interpreter = interpreter(line).ok_or(BatchError::NoScript)?;
    let text = String::from_utf8_lossy(first);
    let name = scripts::interpreter(&text)
        .and_then(base_name)
        .unwrap_or_default();
    let language = Language::of(name, script)?;
    let mut head = first_line(line);
    for line in directives(script) {
        head.extend_from_slice(line);
        head.push(b'\n');
    }
    let text = language.call(call, &interpreter);
    let lines = |text: &[u8]| text.iter().filter(|byte| **byte == b'\n').count();
    let line = (lines(&head) + lines(&text) + 1).to_string();
    head.extend(replaced(&text, b"@LINE", line.as_bytes()));
    head.extend_from_slice(script);
    Ok(head)
}

/// The interpreter for the first lines. A shell needs no arguments for them: with `-l` it would read the files of a login
/// twice.
fn first_line(line: &[u8]) -> Vec<u8> {
    let line = line.trim_ascii();
    let program = line
        .split(u8::is_ascii_whitespace)
        .next()
        .unwrap_or_default();
    let name = String::from_utf8_lossy(program);
    let is_alone = base_name(&name).is_some_and(|name| wrappers::SHELLS.contains(&name));
    let line = if is_alone { program } else { line };
    [b"#!", line, b"\n"].concat()
}

/// How a script's language calls a program in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    /// sh(1) and those like it.
    Shell,
    /// csh(1).
    CShell,
    /// Python, 2 or 3.
    Python,
}

impl Language {
    fn of(name: &str, script: &[u8]) -> Result<Language, BatchError> {
        const FUTURE: &[u8] = b"from __future__";
        match name {
            "csh" | "tcsh" => Ok(Language::CShell),
            "fish" => Err(BatchError::Interpreter(name.to_owned())),
            name if wrappers::SHELLS.contains(&name) => Ok(Language::Shell),
            // That has to come first in a file.
            name if name.starts_with("python")
                && !script
                    .split(|byte| *byte == b'\n')
                    .any(|line| line.starts_with(FUTURE)) =>
            {
                Ok(Language::Python)
            }
            name => Err(BatchError::Interpreter(name.to_owned())),
        }
    }

    /// The lines that call rsamp if it is there, and say so if it is not. The old script begins at the line `@LINE`.
    fn call(self, call: Call<'_>, interpreter: &[Vec<u8>]) -> Vec<u8> {
        let quote = match self {
            Language::Shell | Language::CShell => quoted,
            Language::Python => in_python,
        };
        let rsamp = quote(call.rsamp.as_os_str().as_bytes());
        let mut words = vec![rsamp.clone(), quote(b"record")];
        words.extend(call.options.iter().map(|word| quote(word.as_bytes())));
        let marks: [&[u8]; 3] = [b"--batch-script", b"@LINE", b"--"];
        words.extend(marks.iter().map(|word| quote(word)));
        words.extend(interpreter.iter().map(|word| quote(word)));
        let missing = format!(
            "rsamp: warning: {} is not on this node: the job runs without it",
            call.rsamp.display()
        );
        let missing = quote(missing.as_bytes());
        let separator: &[u8] = match self {
            Language::Shell | Language::CShell => b" ",
            Language::Python => b", ",
        };
        let words = words.join(separator);
        let interpreter: Vec<_> = interpreter.iter().map(|word| quote(word)).collect();
        let interpreter = interpreter.join(separator);
        let parts: &[&[u8]] = match self {
            // The old script may need what its interpreter line says besides.
            Language::Shell => &[
                b"[ -x ",
                &rsamp,
                b" ] && exec ",
                &words,
                b" \"$0\" \"$@\"\necho ",
                &missing,
                b" >&2\nscript=$(mktemp) && tail -n +@LINE \"$0\" >\"$script\" && exec ",
                &interpreter,
                b" \"$script\" \"$@\"\n",
            ],
            Language::CShell => &[
                b"if ( -x ",
                &rsamp,
                b" ) exec ",
                &words,
                b" \"$0\" $argv:q\n/bin/echo ",
                &missing,
                b"\n",
            ],
            Language::Python => &[
                b"import os, sys\nif os.access(",
                &rsamp,
                b", os.X_OK): os.execv(",
                &rsamp,
                b", [",
                &words,
                b"] + sys.argv)\nsys.stderr.write(",
                &missing,
                b" + '\\n')\n",
            ],
        };
        parts.concat()
    }
}

/// The comment lines at the head, behind the first, of which `sbatch` reads some: it stops at the first other line.
fn directives(script: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = script.split(|byte| *byte == b'\n').skip(1);
    let is_head = |line: &&[u8]| line.first() == Some(&b'#') || line.trim_ascii().is_empty();
    lines.take_while(is_head).filter(|line| !line.is_empty())
}

/// The interpreter and its one argument, as the kernel reads them.
fn interpreter(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let line = line.trim_ascii();
    let end = line.iter().position(u8::is_ascii_whitespace);
    let (program, argument) = line.split_at(end.unwrap_or(line.len()));
    let words = [program, argument.trim_ascii()];
    let words = words.into_iter().filter(|word| !word.is_empty());
    (!program.is_empty()).then(|| words.map(<[u8]>::to_vec).collect())
}

/// As a text of Python.
fn in_python(text: &[u8]) -> Vec<u8> {
    let text = replaced(text, b"\\", b"\\\\");
    let text = replaced(&text, b"\n", b"\\n");
    [b"'", replaced(&text, b"'", b"\\'").as_slice(), b"'"].concat()
}

/// In single quotes, for a shell.
fn quoted(text: &[u8]) -> Vec<u8> {
    let mut all = vec![b'\''];
    all.extend(replaced(text, b"'", b"'\\''"));
    all.push(b'\'');
    all
}

fn replaced(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let (mut all, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some(first) = rest.first() {
        match rest.strip_prefix(from) {
            Some(behind) => {
                all.extend_from_slice(to);
                rest = behind;
            }
            None => {
                all.push(*first);
                rest = &rest[1..];
            }
        }
    }
    all
}

/// The old script in the text of the new one, from the line that [`under_rsamp`] told; `None` when there is no such line.
#[must_use]
pub fn old_script(text: &[u8], line: usize) -> Option<&[u8]> {
    let mut at = 0;
    for _ in 1..line {
        at += text[at..].iter().position(|byte| *byte == b'\n')? + 1;
    }
    Some(&text[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn the_script_is_told_from_the_options() {
        let file = |name: &str| Script::File(name.into());
        for (line, script, before, arguments) in [
            ("sbatch job.sl", file("job.sl"), "sbatch", ""),
            (
                "sbatch -n 2 --time=1 job.sl a -b",
                file("job.sl"),
                "sbatch -n 2 --time=1",
                "a -b",
            ),
            (
                "env A=1 sbatch --parsable x/job.sl",
                file("x/job.sl"),
                "env A=1 sbatch --parsable",
                "",
            ),
            ("sbatch -W", Script::Stdin, "sbatch -W", ""),
            (
                "sbatch --wrap hostname -n 2",
                Script::Wrap("hostname".into()),
                "sbatch -n 2",
                "",
            ),
            (
                "sbatch --wrap=hostname",
                Script::Wrap("hostname".into()),
                "sbatch",
                "",
            ),
            (
                "sbatch -n1 : -n2 job.sl",
                file("job.sl"),
                "sbatch -n1 : -n2",
                "",
            ),
        ] {
            let (before, arguments) = (words(before), words(arguments));
            let expected = Submission {
                script,
                before,
                arguments,
            };
            assert_eq!(find(&words(line)), Ok(Some(expected)), "{line}");
        }
        for line in ["", "bash job.sl", "sbatch --help", "srun sbatch x"] {
            assert_eq!(find(&words(line)), Ok(None), "{line}");
        }
        let unknown = find(&words("sbatch --frobnicate 3 job.sl")).expect_err("unknown");
        assert!(unknown.to_string().contains("--frobnicate"), "{unknown}");
    }

    const SCRIPT: &str = "#!/bin/bash -l\n#SBATCH -n 2\n\n# a note\n#SBATCH -J it's\nsrun python x.py\n#SBATCH -n 9\n";

    fn made(script: &str) -> Result<String, BatchError> {
        let call = Call {
            rsamp: Path::new("/opt/it's/rsamp"),
            options: &words("-r 100 -o a.svg"),
        };
        let made = under_rsamp(script.as_bytes(), call)?;
        Ok(String::from_utf8(made).expect("text"))
    }

    #[test]
    fn a_job_runs_under_rsamp() {
        insta::assert_snapshot!(made(SCRIPT).expect("a script"), @r##"
        #!/bin/bash
        #SBATCH -n 2
        # a note
        #SBATCH -J it's
        [ -x '/opt/it'\''s/rsamp' ] && exec '/opt/it'\''s/rsamp' 'record' '-r' '100' '-o' 'a.svg' '--batch-script' '8' '--' '/bin/bash' '-l' "$0" "$@"
        echo 'rsamp: warning: /opt/it'\''s/rsamp is not on this node: the job runs without it' >&2
        script=$(mktemp) && tail -n +8 "$0" >"$script" && exec '/bin/bash' '-l' "$script" "$@"
        #!/bin/bash -l
        #SBATCH -n 2

        # a note
        #SBATCH -J it's
        srun python x.py
        #SBATCH -n 9
        "##);
    }

    #[test]
    fn a_job_in_another_language_keeps_it() {
        insta::assert_snapshot!(made("#!/bin/tcsh -f\nsrun x\n").expect("a script"), @r##"
        #!/bin/tcsh
        if ( -x '/opt/it'\''s/rsamp' ) exec '/opt/it'\''s/rsamp' 'record' '-r' '100' '-o' 'a.svg' '--batch-script' '4' '--' '/bin/tcsh' '-f' "$0" $argv:q
        /bin/echo 'rsamp: warning: /opt/it'\''s/rsamp is not on this node: the job runs without it'
        #!/bin/tcsh -f
        srun x
        "##);
        insta::assert_snapshot!(made("#!/usr/bin/env python3\nprint(1)\n").expect("a script"), @r##"
        #!/usr/bin/env python3
        import os, sys
        if os.access('/opt/it\'s/rsamp', os.X_OK): os.execv('/opt/it\'s/rsamp', ['/opt/it\'s/rsamp', 'record', '-r', '100', '-o', 'a.svg', '--batch-script', '5', '--', '/usr/bin/env', 'python3'] + sys.argv)
        sys.stderr.write('rsamp: warning: /opt/it\'s/rsamp is not on this node: the job runs without it' + '\n')
        #!/usr/bin/env python3
        print(1)
        "##);
    }

    #[test]
    fn a_language_that_cannot_call_rsamp_is_named() {
        for (script, name) in [
            ("#!/usr/bin/perl -w\n", "perl"),
            ("#!/usr/bin/env fish\n", "fish"),
            (
                "#!/usr/bin/python3\nfrom __future__ import annotations\n",
                "python3",
            ),
        ] {
            assert_eq!(
                made(script),
                Err(BatchError::Interpreter(name.to_owned())),
                "{script}"
            );
        }
    }

    #[test]
    fn the_old_script_is_found_again() {
        let made = made(SCRIPT).expect("a script");
        let line = made
            .split("--batch-script' '")
            .nth(1)
            .and_then(|rest| rest.split('\'').next());
        let line = line.and_then(|line| line.parse().ok()).expect("a line");
        let old = old_script(made.as_bytes(), line).expect("found");
        assert_eq!(String::from_utf8_lossy(old), SCRIPT);
        assert_eq!(old_script(b"a\nb", 3), None);
    }

    #[test]
    fn sbatch_gets_files_that_are_not_scripts() {
        for script in ["hostname\n", "", "#!\nx"] {
            assert_eq!(made(script), Err(BatchError::NoScript), "{script}");
        }
    }

    #[test]
    fn the_line_is_counted_when_a_word_has_several() {
        let options: Vec<OsString> = vec!["--env".into(), "a\nb".into()];
        let call = Call {
            rsamp: Path::new("/r"),
            options: &options,
        };
        let made = under_rsamp(b"#!/bin/sh\nx\n", call).expect("a script");
        let text = String::from_utf8(made).expect("text");
        let line = text
            .split("--batch-script' '")
            .nth(1)
            .and_then(|rest| rest.split('\'').next());
        let line: usize = line.and_then(|line| line.parse().ok()).expect("a line");
        assert_eq!(
            old_script(text.as_bytes(), line),
            Some(b"#!/bin/sh\nx\n".as_slice())
        );
    }
}
