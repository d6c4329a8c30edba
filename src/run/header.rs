//! Turns this process, its machine and the program's environment into the header of a recording.

use std::ffi::OsString;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::unistd::{User, geteuid, gethostname};

use crate::launch::JobContext;
use crate::process::Pid;
use crate::recording::Header;
use crate::recording::schema::Variable;
use crate::sampler::Rate;

/// What the header tells of the request.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The command.
    pub command: Vec<String>,
    /// The rate.
    pub rate: Rate,
    /// The variables to keep.
    pub environment: Vec<String>,
}

/// The header of a recording of process `pid` that starts now.
#[must_use]
pub fn header(asked: &Asked, pid: Pid) -> Header {
    let folder = fs::read_link(format!("/proc/{pid}/cwd")).or_else(|_| std::env::current_dir());
    let user = User::from_uid(geteuid()).ok().flatten();
    Header {
        command: asked.command.clone(),
        working_folder: folder.map_or_else(|_| String::new(), |f| f.to_string_lossy().into_owned()),
        host: gethostname().map_or_else(|_| String::new(), |h| h.to_string_lossy().into_owned()),
        user: user.map_or_else(|| geteuid().to_string(), |user| user.name),
        rsamp: env!("CARGO_PKG_VERSION").to_owned(),
        options: {
            let words = words_before(&asked.command).into_iter();
            words
                .map(|word| word.to_string_lossy().into_owned())
                .collect()
        },
        start_unix_ns: now_unix_ns(),
        clock: "CLOCK_MONOTONIC".to_owned(),
        cpus: std::thread::available_parallelism().map_or(0, |count| count.get() as u32),
        rate_hz: match asked.rate {
            Rate::Auto => 0.0,
            Rate::Fixed(hz) => hz,
        },
        environment: environment(&asked.environment, pid),
    }
}

/// The time, in ns since 1970; 0 when the clock stands before.
#[must_use]
pub fn now_unix_ns() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    since_1970.map_or(0, |time| time.as_nanos() as u64)
}

/// This process's words up to the command that it started, if it started one.
fn words_before(command: &[String]) -> Vec<OsString> {
    let mut words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let begin = words.len().saturating_sub(command.len());
    let typed = words[begin..].iter().map(|word| word.to_string_lossy());
    if typed.eq(command.iter().map(String::as_str)) {
        words.truncate(begin);
    }
    words
}

/// The options that this process was given before the command that it started.
#[must_use]
pub fn options_before(command: &[OsString]) -> Vec<OsString> {
    let command = command
        .iter()
        .map(|word| word.to_string_lossy().into_owned());
    let mut words = words_before(&command.collect::<Vec<_>>());
    if words.last().is_some_and(|word| word == "--") {
        words.pop();
    }
    // The subcommand is not among them.
    words.into_iter().skip(1).collect()
}

/// The variables of the process that were asked for, and those that tell its job and rank.
fn environment(names: &[String], pid: Pid) -> Vec<Variable> {
    let Ok(bytes) = fs::read(format!("/proc/{pid}/environ")) else {
        return Vec::new();
    };
    let is_kept = |name: &str| {
        JobContext::variables().any(|known| known == name) || names.iter().any(|n| n == name)
    };
    let pairs = bytes.split(|byte| *byte == 0).filter_map(|pair| {
        let pair = String::from_utf8_lossy(pair);
        let (name, value) = pair.split_once('=')?;
        is_kept(name).then(|| Variable {
            name: name.to_owned(),
            value: value.to_owned(),
        })
    });
    pairs.collect()
}

/// What a recording's variables say of its program's place in a job.
#[must_use]
pub fn in_job(header: &Header) -> JobContext {
    JobContext::from_environment(|name| {
        let variable = header.environment.iter().find(|v| v.name == name)?;
        Some(variable.value.clone())
    })
}

/// The rank that a recording's program was.
#[must_use]
pub fn rank(header: &Header) -> Option<u32> {
    in_job(header).rank
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_variables_asked_for_are_kept() {
        let own = Pid(std::process::id() as i32);
        assert!(std::env::var("PATH").is_ok());
        let kept = environment(&["PATH".to_owned()], own);
        let known =
            |v: &Variable| v.name == "PATH" || JobContext::variables().any(|known| known == v.name);
        assert!(
            kept.iter().any(|v| v.name == "PATH") && kept.iter().all(known),
            "{kept:?}"
        );
        assert!(!environment(&[], own).iter().any(|v| v.name == "PATH"));
    }

    #[test]
    fn the_launcher_tells_the_rank() {
        let variable = |name: &str, value: &str| Variable {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        let header = |environment| Header {
            environment,
            ..Header::default()
        };
        assert_eq!(rank(&header(vec![variable("HOME", "/")])), None);
        assert_eq!(rank(&header(vec![variable("PMI_RANK", "3")])), Some(3));
    }
}
