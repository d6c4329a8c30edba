//! What the search for an interpreter wants to know of a mapped file.

use serde::{Deserialize, Serialize};

use crate::process::{Image, MappedFile, Mapping, PageMap, Process, Wanted};

/// The symbols that are asked for.
const SYMBOLS: &[&str; 6] = &[
    "_PyRuntime",
    "Py_GetVersion",
    "PyEval_EvalFrameEx",
    "Py_Version",
    "_PyThreadState_Current",
    "interp_head",
];

/// What is asked for. The section is that which holds `_PyRuntime` (3.13 on).
pub(super) const WANTED: Wanted = Wanted {
    symbols: SYMBOLS,
    section: ".PyRuntime",
};

/// The most memory that is searched for a file that cannot be read: CPython's own data is below 2 MiB.
const MAX_DATA: u64 = 64 << 20;

/// What is wanted of a file, at the addresses that it has in one process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Landmarks {
    /// Where each of [`SYMBOLS`] lies.
    symbols: [Option<u64>; SYMBOLS.len()],
    runtime_section: Option<u64>,
    /// First address and the one behind the last of each writable segment.
    writable: Vec<(u64, u64)>,
}

impl Landmarks {
    /// Of a file that was parsed.
    pub(super) fn of(image: &Image) -> Landmarks {
        Landmarks {
            symbols: SYMBOLS.map(|name| image.symbol(name)),
            runtime_section: image.section().map(|(start, _)| start),
            writable: image.writable_ranges(),
        }
    }

    /// Of a file that cannot be read, as if it had no symbols: what of its writable data is in memory, and of the zeroes
    /// that the loader puts behind it. `mappings` are all those of the process.
    pub(super) fn in_memory(
        file: &MappedFile,
        process: &Process,
        mappings: &[Mapping],
    ) -> Landmarks {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for mapping in mappings.iter().filter(|mapping| mapping.writable) {
            let is_its = (mapping.device, mapping.inode) == (file.device, file.inode);
            let is_behind = mapping.path.is_none()
                && ranges.last().is_some_and(|(_, end)| *end == mapping.start);
            if is_its || is_behind {
                ranges.push((mapping.start, mapping.end));
            }
        }
        let mut left = MAX_DATA;
        let pages = PageMap::open(process.pid());
        let found = ranges.into_iter().filter_map(|(start, end)| {
            let length = (end - start).min(left);
            left -= length;
            pages.as_ref().ok()?.in_memory(start..start + length).ok()
        });
        Landmarks {
            writable: found
                .flatten()
                .map(|range| (range.start, range.end))
                .collect(),
            ..Landmarks::default()
        }
    }

    /// The same file, mapped `by` bytes further up (wrapping).
    pub(super) fn moved(&self, by: u64) -> Landmarks {
        let writable = self.writable.iter();
        Landmarks {
            symbols: self.symbols.map(|at| Some(at?.wrapping_add(by))),
            runtime_section: self.runtime_section.map(|at| at.wrapping_add(by)),
            writable: writable
                .map(|(start, end)| (start.wrapping_add(by), end.wrapping_add(by)))
                .collect(),
        }
    }

    /// Where one of the symbols that are asked for lies.
    pub(super) fn symbol(&self, name: &str) -> Option<u64> {
        let mut symbols = SYMBOLS.iter().zip(self.symbols);
        symbols.find(|(known, _)| **known == name)?.1
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_mapped_elsewhere_has_all_it_has_there() {
        let here = Landmarks {
            symbols: SYMBOLS.map(|name| (name == "_PyRuntime").then_some(0x7000)),
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
