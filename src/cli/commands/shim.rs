//! Turns a call of rsamp by the name of a launcher, from a job script, into that launcher with rsamp before its programs.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cli::errors::exit_code;
use crate::cli::errors::hints::Action;
use crate::cli::terminal::streams::{self, Severity};
use crate::launch::{self, LauncherChoice, shims};
use crate::process::spawn;
use crate::run::{gather, launcher};

/// Becomes the launcher; returns the exit code of a shell when there is none.
#[must_use]
pub fn run(launcher: &'static str) -> u8 {
    let mut words: Vec<OsString> = std::env::args_os().collect();
    if let Some(first) = words.first_mut() {
        *first = launcher.into();
    }
    let scratch = std::env::var_os(shims::VARIABLE).map(PathBuf::from);
    let links = scratch.as_ref().map(|scratch| scratch.join(shims::LINKS));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let program = crate::launch::programs::find_next(OsStr::new(launcher), &path, links.as_deref());
    let Some(program) = program else {
        streams::say(format_args!("rsamp: error: {launcher}: command not found"));
        return exit_code::NOT_FOUND;
    };
    let Some(scratch) = scratch else {
        return become_launcher(&program, &words, None);
    };
    // Whatever rsamp cannot do here, the script goes on.
    let words = with_rsamp(&words, launcher, &scratch).unwrap_or_else(|error| {
        let error = error.context(format!("{launcher} runs without rsamp on the ranks"));
        streams::complain(Severity::Warning, &error, &Action::Record(words.clone()));
        words
    });
    become_launcher(&program, &words, Some(&scratch))
}

fn with_rsamp(words: &[OsString], launcher: &str, scratch: &Path) -> Result<Vec<OsString>> {
    let Some(launch) = launch::find(words, LauncherChoice::Auto)? else {
        return Ok(words.to_vec());
    };
    let options = shims::options(scratch).context("read rsamp's options")?;
    let folder = gather::launch_folder(scratch, launcher)
        .with_context(|| format!("make a folder for recordings in {scratch:?}"))?;
    launcher::before_ranks(words, &launch, &options, &folder)
}

fn become_launcher(program: &Path, words: &[OsString], scratch: Option<&Path>) -> u8 {
    let changes = scratch.map(|scratch| shims::removed(scratch, program));
    let changes = changes.unwrap_or_default();
    let error = spawn::replace(program, words, &changes);
    let code = error.exit_code();
    streams::complain(
        Severity::Error,
        &error.into(),
        &Action::Record(words.to_vec()),
    );
    code
}
