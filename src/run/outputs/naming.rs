//! Turns a name with `%r` and the like in it, as `-o` takes it, into the path of a file.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::unistd::gethostname;
use thiserror::Error;

use crate::launch::JobContext;
use crate::process::Pid;

/// A name whose marks stand for something of the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(OsString),
    Pid,
    Host,
    Rank,
    Job,
    Variable(String),
}

/// Why a name of a file is not valid.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PatternError {
    /// A mark that is not a placeholder.
    #[error(
        "{mark:?} in {path:?} is not a placeholder: give one of %p (PID), %h (host), %r (rank), %j (job), \
         %q{{NAME}} (variable of the environment) and %% (%)"
    )]
    UnknownMark {
        /// The mark.
        mark: String,
        /// The whole name.
        path: PathBuf,
    },
    /// A variable that is not set.
    #[error("the variable {name:?} in {path:?} is not set")]
    NotSet {
        /// The variable.
        name: String,
        /// The whole name.
        path: PathBuf,
    },
}

/// What the marks stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The name of the machine, as gethostname(2) tells it, up to the first dot.
    pub host: String,
    /// Rank and job.
    pub in_job: JobContext,
}

impl Facts {
    /// Those of this process, and so of the program that it starts.
    #[must_use]
    pub fn own() -> Facts {
        let host = gethostname().unwrap_or_default();
        let host = host.to_string_lossy();
        let host = host.split('.').next().unwrap_or_default();
        Facts {
            host: if host.is_empty() { "host" } else { host }.to_owned(),
            in_job: JobContext::own(),
        }
    }

    /// What is put behind the NAME of a file that nobody named, so that no two processes of a job write the same one: nothing
    /// outside of jobs; else the rank, if there are several, and the host (two nodes may use the same PIDs).
    #[must_use]
    pub fn suffix(&self) -> String {
        let is_many = self.in_job.is_one_of_many();
        let rank = self.in_job.rank.filter(|_| is_many);
        let rank = rank.map_or_else(String::new, |rank| format!("-r{rank}"));
        if is_many || self.in_job.job.is_some() {
            format!("{rank}-{}", self.host)
        } else {
            rank
        }
    }

    /// The name that is to be used for `typed`, a file with this `ending`, where ranks or tasks of an array would all
    /// write the same one: what tells them apart stands before the ending. `None`: the marks in it do, or there is
    /// nothing to tell apart.
    ///
    /// # Errors
    /// When a mark is unknown.
    pub fn told_apart(&self, typed: &Path, ending: &str) -> Result<Option<PathBuf>, PatternError> {
        let pattern = Pattern::read(typed)?;
        let is_many = self.in_job.is_one_of_many();
        let rank = self
            .in_job
            .rank
            .filter(|_| is_many && !pattern.tells_rank());
        let task = self.in_job.array_task.filter(|_| !pattern.tells_task());
        let (Some(file), true) = (typed.file_name(), rank.or(task).is_some()) else {
            return Ok(None);
        };
        let task = task.map_or_else(String::new, |task| format!("-a{task}"));
        let rank = rank.map_or_else(String::new, |rank| format!("-r{rank}"));
        let file = file.as_bytes();
        let dotted = [b".", ending.as_bytes()].concat();
        let name = file
            .strip_suffix(dotted.as_slice())
            .filter(|name| !name.is_empty());
        let (name, dotted) = name.map_or((file, &[][..]), |name| (name, &dotted));
        let parts = [name, task.as_bytes(), rank.as_bytes(), dotted].concat();
        Ok(Some(typed.with_file_name(OsString::from_vec(parts))))
    }
}

impl Pattern {
    /// Reads the marks in a name.
    ///
    /// # Errors
    /// When one of them is unknown.
    pub fn read(path: &Path) -> Result<Pattern, PatternError> {
        let unknown = |mark: &[u8]| PatternError::UnknownMark {
            mark: String::from_utf8_lossy(mark).into_owned(),
            path: path.to_owned(),
        };
        let (mut pieces, mut text) = (Vec::new(), Vec::new());
        let mut rest = path.as_os_str().as_bytes();
        while let Some((first, behind)) = rest.split_first() {
            rest = behind;
            if *first != b'%' {
                text.push(*first);
                continue;
            }
            let (letter, behind) = rest.split_first().ok_or_else(|| unknown(b"%"))?;
            rest = behind;
            let piece = match letter {
                b'%' => {
                    text.push(b'%');
                    continue;
                }
                b'p' => Piece::Pid,
                b'h' => Piece::Host,
                b'r' => Piece::Rank,
                b'j' => Piece::Job,
                b'q' => {
                    let name = rest.strip_prefix(b"{");
                    let end = name.and_then(|name| name.iter().position(|byte| *byte == b'}'));
                    let (Some(name), Some(end)) = (name, end) else {
                        return Err(unknown(b"%q"));
                    };
                    rest = &name[end + 1..];
                    Piece::Variable(String::from_utf8_lossy(&name[..end]).into_owned())
                }
                letter => return Err(unknown(&[b'%', *letter])),
            };
            pieces.extend(some_text(&mut text));
            pieces.push(piece);
        }
        pieces.extend(some_text(&mut text));
        Ok(Pattern(pieces))
    }

    /// The marks in a name; `None` where it is the text that was typed.
    ///
    /// # Errors
    /// When one of them is unknown.
    pub fn with_marks(path: &Path) -> Result<Option<Pattern>, PatternError> {
        Ok(Some(Pattern::read(path)?).filter(|pattern| !pattern.is_plain()))
    }

    fn is_plain(&self) -> bool {
        match self.0.as_slice() {
            [] => true,
            [Piece::Text(text)] => !text.as_bytes().contains(&b'%'),
            _ => false,
        }
    }

    /// Whether the PID is in it, which is not known before the program runs.
    #[must_use]
    pub fn has_pid(&self) -> bool {
        self.0.contains(&Piece::Pid)
    }

    /// Whether ranks of one launch have different names.
    fn tells_rank(&self) -> bool {
        let tells = |piece: &Piece| matches!(piece, Piece::Rank | Piece::Pid | Piece::Variable(_));
        self.0.iter().any(tells)
    }

    /// Whether tasks of one array have.
    fn tells_task(&self) -> bool {
        let tells = |piece: &Piece| matches!(piece, Piece::Job | Piece::Pid | Piece::Variable(_));
        self.0.iter().any(tells)
    }

    /// The path. Outside of jobs the rank and the job are 0.
    ///
    /// # Errors
    /// When a variable is not set.
    pub fn path(
        &self,
        facts: &Facts,
        pid: Pid,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<PathBuf, PatternError> {
        let mut path = OsString::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => path.push(text),
                Piece::Pid => path.push(pid.to_string()),
                Piece::Host => path.push(&facts.host),
                Piece::Rank => path.push(facts.in_job.rank.unwrap_or(0).to_string()),
                Piece::Job => path.push(facts.in_job.job.as_deref().unwrap_or("0")),
                Piece::Variable(name) => path.push(variable(name).ok_or_else(|| {
                    let (name, path) = (name.clone(), self.typed());
                    PatternError::NotSet { name, path }
                })?),
            }
        }
        Ok(path.into())
    }

    /// As it was typed.
    fn typed(&self) -> PathBuf {
        let pieces = self.0.iter().map(|piece| match piece {
            Piece::Text(text) => text.to_string_lossy().replace('%', "%%"),
            Piece::Pid => "%p".to_owned(),
            Piece::Host => "%h".to_owned(),
            Piece::Rank => "%r".to_owned(),
            Piece::Job => "%j".to_owned(),
            Piece::Variable(name) => format!("%q{{{name}}}"),
        });
        PathBuf::from(pieces.collect::<String>())
    }
}

fn some_text(text: &mut Vec<u8>) -> Option<Piece> {
    let text = std::mem::take(text);
    (!text.is_empty()).then(|| Piece::Text(OsString::from_vec(text)))
}

/// A variable of this process's environment.
#[must_use]
pub fn own_variable(name: &str) -> Option<OsString> {
    let is_name = !name.is_empty() && !name.contains(['=', '\0']);
    std::env::var_os(OsStr::new(name)).filter(|_| is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(rank: Option<u32>, size: Option<u32>, job: Option<&str>) -> Facts {
        let job = job.map(str::to_owned);
        Facts {
            host: "n1".to_owned(),
            in_job: JobContext {
                rank,
                size,
                job,
                ..JobContext::default()
            },
        }
    }

    #[test]
    fn marks_stand_for_the_process() {
        let named = |name: &str, facts: &Facts| {
            let variable = |name: &str| (name == "CASE").then(|| OsString::from("a/b"));
            let pattern = Pattern::read(Path::new(name));
            let path = pattern.and_then(|pattern| pattern.path(facts, Pid(42), variable));
            path.map_or_else(|error| error.to_string(), |path| path.display().to_string())
        };
        let third = facts(Some(3), Some(4), Some("77"));
        for (name, expected) in [
            ("a.svg", "a.svg"),
            ("%h/%j-r%r-%p.rsamp", "n1/77-r3-42.rsamp"),
            ("100%%%%r.svg", "100%%r.svg"),
            ("%q{CASE}.svg", "a/b.svg"),
            (
                "%q{NO}.svg",
                "the variable \"NO\" in \"%q{NO}.svg\" is not set",
            ),
        ] {
            assert_eq!(named(name, &third), expected);
        }
        assert_eq!(named("%j-%r.svg", &facts(None, None, None)), "0-0.svg");
        for name in ["a%x.svg", "a%", "%q.svg", "%q{A.svg", "%é.svg"] {
            let error = named(name, &third);
            assert!(error.contains("give one of %p (PID), %h"), "{error}");
        }
    }

    #[test]
    fn ranks_and_tasks_of_an_array_write_files_of_their_own() {
        let own = |typed: &str, facts: &Facts| {
            let ending = typed.split_once('.').map_or("svg", |(_, ending)| ending);
            let path = facts.told_apart(Path::new(typed), ending).expect("marks");
            path.map(|path| path.display().to_string())
        };
        let own = |typed: &str, facts: &Facts| own(typed, facts).unwrap_or_default();
        let third = facts(Some(3), Some(4), Some("77"));
        assert_eq!(own("out/a.rsamp", &third), "out/a-r3.rsamp");
        assert_eq!(own("a.speedscope.json", &third), "a-r3.speedscope.json");
        assert_eq!(own("a", &third), "a-r3");
        assert_eq!(own("a-%j.svg", &third), "a-%j-r3.svg");
        for told in ["a-%r.svg", "a-%p.svg", "a-%q{TASK}.svg"] {
            assert_eq!(own(told, &third), "", "{told}");
        }
        let mut task = facts(None, None, Some("77"));
        task.in_job.array_task = Some(8);
        assert_eq!(own("a.svg", &task), "a-a8.svg");
        assert_eq!(own("a-%j.svg", &task), "");
        task.in_job.rank = Some(1);
        assert_eq!(own("a.svg", &task), "a-a8-r1.svg");
        assert_eq!(own("a.svg", &facts(Some(0), Some(1), None)), "");
    }

    #[test]
    fn only_the_pid_is_known_late() {
        let has_pid = |name: &str| Pattern::read(Path::new(name)).map(|p| p.has_pid());
        assert_eq!(has_pid("a-%p"), Ok(true));
        assert_eq!(has_pid("a-%%p-%h"), Ok(false));
    }

    #[test]
    fn names_of_a_job_tell_rank_and_host() {
        assert_eq!(facts(None, None, None).suffix(), "");
        assert_eq!(facts(Some(0), Some(1), None).suffix(), "");
        assert_eq!(facts(Some(3), Some(4), None).suffix(), "-r3-n1");
        assert_eq!(facts(Some(3), None, Some("7")).suffix(), "-r3-n1");
        assert_eq!(facts(Some(0), Some(1), Some("7")).suffix(), "-n1");
    }
}
