//! Turns addresses of a library into functions by what a folder of the user has of that library.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::debug_files::{BuildId, DebugFiles};
use super::frame::{Detail, NamedFrame};
use super::look_up::{MAX_BYTES, MAX_TIME, look_up};
use super::module::Module;
use crate::process::{ReadBudget, open_regular};

/// Debug files of the user.
struct Folder<'f>(&'f Path);

impl DebugFiles for Folder<'_> {
    fn open(&self, path: &Path) -> io::Result<File> {
        open_regular(path)
    }

    fn folder(&self) -> Option<&Path> {
        Some(self.0)
    }
}

/// The functions at each of `addresses`, as [`look_up`]; `None`: the folder has no file of this library, or of another build
/// only.
#[must_use]
pub fn look_up_in_folder(
    folder: &Path,
    module: &str,
    build_id: Option<&str>,
    addresses: &[u64],
) -> Option<Vec<Vec<NamedFrame>>> {
    let budget = &mut ReadBudget::of(MAX_BYTES, MAX_TIME);
    let path = candidates(folder, module, build_id)
        .into_iter()
        .find(|path| is_of_build(path, build_id, budget))?;
    let file = open_regular(&path).ok()?;
    let files = Folder(folder);
    Some(look_up(
        file,
        &path,
        addresses,
        Detail::Lines,
        &files,
        budget,
    ))
}

/// Where a file of the library may be.
fn candidates(folder: &Path, module: &str, build_id: Option<&str>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let id = build_id.filter(|id| id.len() > 2 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if let Some((first, rest)) = id.map(|id| id.split_at(2)) {
        let name = format!("{rest}.debug");
        found.push(folder.join(".build-id").join(first).join(&name));
        found.push(folder.join(first).join(name));
    }
    let path = Path::new(module);
    let below: PathBuf = path
        .components()
        .filter(|part| matches!(part, std::path::Component::Normal(_)))
        .collect();
    found.push(folder.join(below));
    if let Some(name) = path.file_name() {
        found.push(folder.join(name));
        let mut debug = name.to_owned();
        debug.push(".debug");
        found.push(folder.join(debug));
    }
    found
}

/// Whether there is a file of that build; of any where it is not known.
fn is_of_build(path: &Path, build_id: Option<&str>, budget: &mut ReadBudget) -> bool {
    let Ok(file) = open_regular(path) else {
        return false;
    };
    let Ok(module) = Module::open(file, path) else {
        return false;
    };
    build_id.is_none_or(|asked| {
        BuildId::of(&module, budget).is_some_and(|found| found.to_string() == asked)
    })
}
