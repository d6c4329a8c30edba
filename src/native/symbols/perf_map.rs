//! Turns the file that compilers of code in memory write for perf into the names of that code: `/tmp/perf-PID.map`.
//!
//! A line is where a function begins, how many bytes it has, both in hexadecimal digits, and its name (Linux,
//! tools/perf/Documentation/jit-interface.txt). CPython writes one with `-X perf` (3.12 on; Python/perf_trampoline.c), as do
//! numba, Julia and Node where they are asked to.
//!
//! Anybody may write into `/tmp`: the file is opened with the rights of the process, in its own root folder, and used
//! only if it belongs to the user of the process, or to root.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::debug_files::DebugFiles;
use super::frame::{NameSource, NamedFrame};
use super::target_files::TargetFiles;
use crate::native::names::readable_name;
use crate::process::{Process, ProcessError};

/// The most bytes that are read: some hundred thousand functions.
const MAX_BYTES: u64 = 32 << 20;

/// The perf map of a process, which is read when names are asked for.
#[derive(Debug)]
pub struct PerfMap {
    files: TargetFiles,
    path: PathBuf,
    /// Whose file it has to be; `None`: root's.
    owner: Option<u32>,
}

impl PerfMap {
    /// That of a process, whether there is one or not.
    ///
    /// # Errors
    /// When the process is gone, or may not be looked at.
    pub fn of(process: &Process) -> io::Result<PerfMap> {
        let other = |error: ProcessError| io::Error::other(error);
        let pid = process.inner_pid().map_err(other)?;
        let owner = process.credentials().map_err(other)?;
        Ok(PerfMap {
            files: TargetFiles::of(process)?,
            path: format!("/tmp/perf-{pid}.map").into(),
            owner: owner.map(|it| it.uid()),
        })
    }

    /// The function at each address; `None` for those without one, or where there is no such file.
    #[must_use]
    pub fn look_up(&self, addresses: &[u64]) -> Vec<Option<NamedFrame>> {
        match self.open().and_then(read) {
            Ok(text) => names(&text, addresses),
            Err(_) => vec![None; addresses.len()],
        }
    }

    fn open(&self) -> io::Result<File> {
        let file = self.files.open(&self.path)?;
        let uid = file.metadata()?.uid();
        match uid == 0 || Some(uid) == self.owner {
            true => Ok(file),
            false => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }
}

fn read(file: File) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut text)?;
    Ok(text)
}

/// Of several functions that were at one address one after another, the last.
fn names(text: &[u8], addresses: &[u64]) -> Vec<Option<NamedFrame>> {
    let mut found: Vec<Option<&[u8]>> = vec![None; addresses.len()];
    let mut order: Vec<usize> = (0..addresses.len()).collect();
    order.sort_unstable_by_key(|index| addresses[*index]);
    for line in text.split(|byte| *byte == b'\n') {
        let Some((start, end, name)) = function(line) else {
            continue;
        };
        let first = order.partition_point(|index| addresses[*index] < start);
        let inside = order[first..].iter();
        for index in inside.take_while(|index| addresses[**index] < end) {
            found[*index] = Some(name);
        }
    }
    let named = |name: &[u8]| NamedFrame {
        name: readable_name(&String::from_utf8_lossy(name)),
        file: None,
        line: None,
        is_inlined: false,
        source: NameSource::Symbol,
    };
    found.into_iter().map(|name| name.map(named)).collect()
}

/// Where it begins and ends, and its name.
fn function(line: &[u8]) -> Option<(u64, u64, &[u8])> {
    let mut parts = line.splitn(3, |byte| *byte == b' ');
    let mut number = || {
        let digits = std::str::from_utf8(parts.next()?).ok()?;
        let digits = digits.strip_prefix("0x").unwrap_or(digits);
        u64::from_str_radix(digits, 16).ok()
    };
    let (start, size) = (number()?, number()?);
    let name = parts.next()?.trim_ascii();
    (!name.is_empty()).then_some((start, start.checked_add(size)?, name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(text: &[u8], addresses: &[u64]) -> Vec<Option<String>> {
        let found = names(text, addresses).into_iter();
        found.map(|it| it.map(|it| it.name)).collect()
    }

    #[test]
    fn code_has_the_name_of_the_last_function_that_was_there() {
        let text = b"7f00 10 py::main:/home/ada/a b.py\n0x7f10 8 old\nbad\n7f10 10 _ZN1a1bEv\nzz 1 x\n7f30 ffffffffffffffff y\n";
        let some = |name: &str| Some(name.to_owned());
        assert_eq!(
            found(text, &[0x7f1f, 0x7f00, 0x7eff, 0x7f0f, 0x7f20, 0x7f30]),
            [
                some("a::b"),
                some("py::main:/home/ada/a b.py"),
                None,
                some("py::main:/home/ada/a b.py"),
                None,
                None
            ]
        );
    }

    proptest! {
        #[test]
        fn a_file_that_says_anything_never_panics(text: Vec<u8>, addresses: Vec<u64>) {
            prop_assert_eq!(names(&text, &addresses).len(), addresses.len());
        }
    }
}
