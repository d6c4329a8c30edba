//! Turns commands into what they print, and folders into the names of what they left.

use std::fs;
use std::path::Path;
use std::process::Command;

/// What a command wrote.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a command that must succeed, and gives its standard output.
pub fn stdout(command: &mut Command) -> String {
    let output = command.output().expect("a command");
    let (status, stderr) = (output.status, text(&output.stderr));
    assert!(status.success(), "{command:?}: {status}\n{stderr}");
    text(&output.stdout)
}

/// The names of the files in a folder that end so, sorted.
pub fn files(folder: &Path, ending: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(ending)).collect();
    names.sort();
    names
}
