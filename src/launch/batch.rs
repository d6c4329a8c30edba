//! Turns a job script that is submitted with `sbatch` into one that runs it under rsamp on the node.
//!
//! The new script begins with the lines that `sbatch` reads, then has `/bin/sh` replace itself by rsamp, and ends with the
//! old script as it was: Slurm keeps both together, and later changes of the file do not matter.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::LaunchError;
use super::options::SBATCH;
use super::wrappers::{self, base_name};

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

/// The script that runs `script` under rsamp; `None` when it is no script, which `sbatch` will say.
///
/// rsamp is called with `--batch-script LINE`, the line of the new script where the old one begins; it makes a
/// file of that, and puts it in the place of the word that names the new script.
#[must_use]
pub fn under_rsamp(script: &[u8], call: Call<'_>) -> Option<Vec<u8>> {
    let first = script.split(|byte| *byte == b'\n').next()?;
    let interpreter = interpreter(first.strip_prefix(b"#!")?)?;
    let mut head = b"#!/bin/sh\n".to_vec();
    for line in directives(script) {
        head.extend_from_slice(line);
        head.push(b'\n');
    }
    let rsamp = quoted(call.rsamp.as_os_str().as_bytes());
    let options: Vec<u8> = call
        .options
        .iter()
        .flat_map(|word| {
            let mut word = quoted(word.as_bytes());
            word.push(b' ');
            word
        })
        .collect();
    // The line with `@` is the last before the old script.
    let mut text = Vec::new();
    for part in [
        b"rsamp=".as_slice(),
        &rsamp,
        b"\n[ -x \"$rsamp\" ] && exec \"$rsamp\" record ",
        &options,
        b"--batch-script @LINE -- ",
        &interpreter,
        b" \"$0\" \"$@\"\n\
          echo \"rsamp: warning: $rsamp is not on $(hostname): the job runs without it\" >&2\n\
          script=$(mktemp) && tail -n +@LINE \"$0\" >\"$script\" && exec ",
        &interpreter,
        b" \"$script\" \"$@\"\n\
          exit 1\n",
    ] {
        text.extend_from_slice(part);
    }
    let lines = |text: &[u8]| text.iter().filter(|byte| **byte == b'\n').count();
    let line = (lines(&head) + lines(&text) + 1).to_string();
    head.extend(replaced(&text, b"@LINE", line.as_bytes()));
    head.extend_from_slice(script);
    Some(head)
}

/// The comment lines at the head, behind the first, of which `sbatch` reads some: it stops at the first other line.
fn directives(script: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = script.split(|byte| *byte == b'\n').skip(1);
    let is_head = |line: &&[u8]| line.first() == Some(&b'#') || line.trim_ascii().is_empty();
    lines.take_while(is_head).filter(|line| !line.is_empty())
}

/// The interpreter and its one argument, as the kernel reads them, for a shell.
fn interpreter(line: &[u8]) -> Option<Vec<u8>> {
    let line = line.trim_ascii();
    let end = line.iter().position(u8::is_ascii_whitespace);
    let (program, argument) = line.split_at(end.unwrap_or(line.len()));
    if program.is_empty() {
        return None;
    }
    let mut words = quoted(program);
    let argument = argument.trim_ascii();
    if !argument.is_empty() {
        words.push(b' ');
        words.extend(quoted(argument));
    }
    Some(words)
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

    fn made(script: &str) -> Option<String> {
        let call = Call {
            rsamp: Path::new("/opt/it's/rsamp"),
            options: &words("-r 100 -o a.svg"),
        };
        let made = under_rsamp(script.as_bytes(), call)?;
        Some(String::from_utf8(made).expect("text"))
    }

    #[test]
    fn a_job_runs_under_rsamp() {
        insta::assert_snapshot!(made(SCRIPT).expect("a script"), @r##"
        #!/bin/sh
        #SBATCH -n 2
        # a note
        #SBATCH -J it's
        rsamp='/opt/it'\''s/rsamp'
        [ -x "$rsamp" ] && exec "$rsamp" record '-r' '100' '-o' 'a.svg' --batch-script 10 -- '/bin/bash' '-l' "$0" "$@"
        echo "rsamp: warning: $rsamp is not on $(hostname): the job runs without it" >&2
        script=$(mktemp) && tail -n +10 "$0" >"$script" && exec '/bin/bash' '-l' "$script" "$@"
        exit 1
        #!/bin/bash -l
        #SBATCH -n 2

        # a note
        #SBATCH -J it's
        srun python x.py
        #SBATCH -n 9
        "##);
    }

    #[test]
    fn the_old_script_is_found_again() {
        let made = made(SCRIPT).expect("a script");
        let line = made
            .split("tail -n +")
            .nth(1)
            .and_then(|rest| rest.split(' ').next());
        let line = line.and_then(|line| line.parse().ok()).expect("a line");
        let old = old_script(made.as_bytes(), line).expect("found");
        assert_eq!(String::from_utf8_lossy(old), SCRIPT);
        assert_eq!(old_script(b"a\nb", 3), None);
    }

    #[test]
    fn what_is_no_script_is_left_to_sbatch() {
        assert_eq!(made("hostname\n"), None);
        assert_eq!(made(""), None);
        assert_eq!(made("#!\nx"), None);
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
            .split("tail -n +")
            .nth(1)
            .and_then(|rest| rest.split(' ').next());
        let line: usize = line.and_then(|line| line.parse().ok()).expect("a line");
        assert_eq!(
            old_script(text.as_bytes(), line),
            Some(b"#!/bin/sh\nx\n".as_slice())
        );
    }
}
