//! Turns the name of a program into the file that `PATH` has for it, and that into its first bytes.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, eaccess};

/// The most that is read of a program to see whether it is a script: as much as the kernel reads (`BINPRM_BUF_SIZE`).
const HEAD_BYTES: usize = 256;

/// The first bytes of a program, looked up in `PATH` when it is named without a folder.
#[must_use]
pub fn head(program: &str) -> Option<Vec<u8>> {
    use std::io::Read;
    let path = if program.contains('/') {
        PathBuf::from(program)
    } else {
        find_next(OsStr::new(program), &std::env::var_os("PATH")?, None)?
    };
    let mut head = Vec::new();
    let file = fs::File::open(path).ok()?;
    file.take(HEAD_BYTES as u64).read_to_end(&mut head).ok()?;
    Some(head)
}

/// The program of that name in `path`, a value of `PATH`; not the one in the folder `skipped`.
#[must_use]
pub fn find_next(name: &OsStr, path: &OsStr, skipped: Option<&Path>) -> Option<PathBuf> {
    let folders = std::env::split_paths(path).filter(|folder| Some(folder.as_path()) != skipped);
    let mut programs = folders.map(|folder| folder.join(name));
    programs.find(|program| program.is_file() && eaccess(program, AccessFlags::X_OK).is_ok())
}
