//! Turns the commit that is built into what `rsamp --version` says of it.
//!
//! Only a release says it: a build for tests would be made anew after each commit.

// What a build script tells Cargo, it prints.
#![allow(clippy::print_stdout)]

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=RSAMP_COMMIT");
    let commit = match env::var("RSAMP_COMMIT") {
        // A build from an archive, where git can't tell.
        Ok(commit) if !commit.is_empty() => commit,
        _ if env::var("PROFILE").as_deref() != Ok("release") => "a development build".to_owned(),
        _ => of_checkout()
            .or_else(of_crate)
            .unwrap_or_else(|| "unknown".to_owned()),
    };
    println!("cargo::rustc-env=RSAMP_COMMIT={commit}");
    let target = env::var("TARGET").unwrap_or_default();
    println!("cargo::rustc-env=RSAMP_TARGET={target}");
}

/// The commit of this checkout, and whether files differ from it.
fn of_checkout() -> Option<String> {
    // Without it git would answer for whatever repository the source was unpacked into.
    if !Path::new(".git").exists() {
        return None;
    }
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    for file in [log.as_str(), "src", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={file}");
    }
    let commit = git(&["rev-parse", "--short=10", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changed.is_empty() {
        commit
    } else {
        commit + ", with changes"
    })
}

/// The commit that `cargo package` wrote down: `{"git": {"sha1": "…"}, …}`.
fn of_crate() -> Option<String> {
    let file = ".cargo_vcs_info.json";
    println!("cargo::rerun-if-changed={file}");
    let text = std::fs::read_to_string(file).ok()?;
    let (_, after) = text.split_once("\"sha1\"")?;
    let sum = after.split('"').nth(1)?;
    sum.get(..10).map(str::to_owned)
}

fn git(words: &[&str]) -> Option<String> {
    let run = Command::new("git").args(words).output().ok()?;
    let text = String::from_utf8(run.stdout).ok()?;
    run.status.success().then(|| text.trim().to_owned())
}
