//! Turns a mapped file into what the search for an interpreter wants to know of it, parsed once per file.

use rustc_hash::FxHashMap;

use crate::process::{Effort, FileStamp, Image, MappedFile, Mapping, Process, Wanted};

/// What is asked for. The section is that which holds `_PyRuntime` (3.13 on).
const WANTED: Wanted = Wanted {
    symbols: &[
        "_PyRuntime",
        "Py_GetVersion",
        "PyEval_EvalFrameEx",
        "Py_Version",
        "_PyThreadState_Current",
        "interp_head",
    ],
    section: ".PyRuntime",
};

/// What is wanted of a file, at the addresses that it has in one process.
#[derive(Debug, Clone, Default)]
pub struct Landmarks {
    symbols: Vec<(&'static str, u64)>,
    runtime_section: Option<u64>,
    /// First address and the one behind the last of each writable segment.
    writable: Vec<(u64, u64)>,
}

impl Landmarks {
    /// Of a file that was parsed.
    fn of(image: &Image) -> Landmarks {
        let symbols = WANTED.symbols.iter();
        Landmarks {
            symbols: symbols
                .filter_map(|name| Some((*name, image.symbol(name)?)))
                .collect(),
            runtime_section: image.section().map(|(start, _)| start),
            writable: image.writable_ranges(),
        }
    }

    /// The same file, mapped `by` bytes further up (wrapping).
    fn moved(&self, by: u64) -> Landmarks {
        let symbols = self.symbols.iter();
        let writable = self.writable.iter();
        Landmarks {
            symbols: symbols
                .map(|(name, at)| (*name, at.wrapping_add(by)))
                .collect(),
            runtime_section: self.runtime_section.map(|at| at.wrapping_add(by)),
            writable: writable
                .map(|(start, end)| (start.wrapping_add(by), end.wrapping_add(by)))
                .collect(),
        }
    }

    /// Where one of the symbols that are asked for lies.
    pub(super) fn symbol(&self, name: &str) -> Option<u64> {
        let mut symbols = self.symbols.iter();
        Some(symbols.find(|(known, _)| *known == name)?.1)
    }

    /// Where the section of `_PyRuntime` begins.
    pub(super) fn runtime_section(&self) -> Option<u64> {
        self.runtime_section
    }

    /// First address and the one behind the last of each writable segment.
    pub(super) fn writable_ranges(&self) -> impl Iterator<Item = (u64, u64)> {
        self.writable.iter().copied()
    }
}

/// The files parsed so far, with the address at which the process that was asked then had them.
#[derive(Debug, Default)]
pub struct KnownFiles {
    files: FxHashMap<FileStamp, (Mapping, Landmarks)>,
}

impl KnownFiles {
    /// What is wanted of a file that `process` has mapped; `None` when it can't be opened or parsed, or not as far as
    /// `effort` goes.
    pub(super) fn landmarks(
        &mut self,
        file: &MappedFile,
        process: &Process,
        effort: &mut Effort,
    ) -> Option<Landmarks> {
        let stamp = file.stamp(process);
        let code = file.mappings.iter().find(|mapping| mapping.executable);
        if let (Some(stamp), Some(code)) = (stamp, code)
            && let Some((before, landmarks)) = self.files.get(&stamp)
            && before.offset == code.offset
        {
            return Some(landmarks.moved(code.start.wrapping_sub(before.start)));
        }
        let landmarks = Landmarks::of(&file.load(process, WANTED, effort).ok()?);
        if let (Some(stamp), Some(code)) = (stamp, code) {
            self.files.insert(stamp, (code.clone(), landmarks.clone()));
        }
        Some(landmarks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_mapped_elsewhere_has_all_it_has_there() {
        let here = Landmarks {
            symbols: vec![("_PyRuntime", 0x7000)],
            runtime_section: Some(0x7000),
            writable: vec![(0x6000, 0x9000)],
        };
        for by in [0x1000, 0x1000_u64.wrapping_neg()] {
            let there = here.moved(by);
            let at = 0x7000_u64.wrapping_add(by);
            assert_eq!(there.symbol("_PyRuntime"), Some(at));
            assert_eq!(there.symbol("Py_Version"), None);
            assert_eq!(there.runtime_section(), Some(at));
            assert_eq!(
                there.writable_ranges().collect::<Vec<_>>(),
                [(at - 0x1000, at + 0x2000)]
            );
        }
    }
}
