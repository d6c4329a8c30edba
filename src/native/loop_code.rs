//! Turns the address of the interpreter's loop into the ranges of its code, for versions that do not say where on the C
//! stack it runs.
//!
//! gcc puts what is rarely executed into a part of its own (`.cold`), which has an unwind entry and, in a stripped file, no
//! name. It is told by the many jumps that lead there.

use std::ops::Range;

use rustc_hash::FxHashMap;

use super::modules::Modules;
use super::rules::function_range;
use crate::memory::{Address, Blocks, ReadMemory};
use crate::process::{FileSystems, MappedFile, Process, ReadBudget, Wanted};

/// The loop, by version: 3.6 on, and 2.7, where the second is the loop itself.
const NAMES: &[&str] = &["_PyEval_EvalFrameDefault", "PyEval_EvalFrameEx"];

const WANTED: Wanted = Wanted {
    symbols: NAMES,
    section: ".text",
};

/// The most bytes of the loop: some 40 KiB where it is large, 200 KiB in debug builds.
const MAX_BYTES: u64 = 1 << 20;

/// The most places that jumps out of the loop may lead to.
const MAX_TARGETS: usize = 4096;

/// So many jumps out of the loop lead into its cold part; a tail call is one jump, or a handful.
const MIN_JUMPS: usize = 20;

/// Where the loop is in memory, by the symbols of the process's files. Those on file systems that may stall are not opened.
pub fn address_of_loop(process: &Process, file_systems: &FileSystems) -> Option<u64> {
    let mut files = process.images().ok()?;
    files.sort_by_key(|file| !is_named_python(file));
    let mut budget = ReadBudget::whole();
    files.iter().find_map(|file| {
        let found = file.find_local(process, file_systems)?;
        let image = file.load_local(process, &found, WANTED, &mut budget).ok()?;
        NAMES.iter().find_map(|name| image.symbol(name))
    })
}

/// Only says where to look first.
fn is_named_python(file: &MappedFile) -> bool {
    let name = file.path.file_name().unwrap_or_default();
    let name = name.to_string_lossy();
    name.starts_with("libpython") || name.starts_with("python")
}

/// The ranges of the loop that begins at `start`.
pub fn ranges<M: ReadMemory>(
    start: u64,
    modules: &mut Modules,
    memory: &mut Blocks<M>,
) -> Vec<Range<u64>> {
    let mut range_at = |address: u64, memory: &mut Blocks<M>| {
        let entry = modules.unwind_entry(address, memory);
        let range = entry.as_ref().and_then(function_range)?;
        range.contains(&address).then_some(range)
    };
    let Some(main) = range_at(start, memory) else {
        return Vec::new();
    };
    let length = (main.end - main.start).min(MAX_BYTES);
    let mut bytes = vec![0; length as usize];
    if memory.read(Address(main.start), &mut bytes).is_none() {
        return vec![main];
    }
    let mut parts: FxHashMap<(u64, u64), usize> = FxHashMap::default();
    for target in jumps_out(&bytes, &main).take(MAX_TARGETS) {
        if let Some(range) = range_at(target, memory) {
            *parts.entry((range.start, range.end)).or_default() += 1;
        }
    }
    let cold = parts.into_iter().filter(|(_, jumps)| *jumps >= MIN_JUMPS);
    let cold = cold.map(|((start, end), _)| start..end);
    std::iter::once(main).chain(cold).collect()
}

/// Where the jumps in the code of a function lead to that leave it: `jmp rel32` and `jcc rel32`. Bytes that only look like
/// such lead anywhere.
fn jumps_out<'b>(bytes: &'b [u8], code: &'b Range<u64>) -> impl Iterator<Item = u64> + 'b {
    let jump = |at: usize| {
        let length = match bytes.get(at..at + 2)? {
            [0xe9, _] => 5,
            [0x0f, second] if second & 0xf0 == 0x80 => 6,
            _ => return None,
        };
        let distance: [u8; 4] = *bytes.get(at + length - 4..at + length)?.first_chunk()?;
        let behind = code.start + (at + length) as u64;
        let target = behind.wrapping_add_signed(i64::from(i32::from_le_bytes(distance)));
        (!code.contains(&target)).then_some(target)
    };
    (0..bytes.len()).filter_map(jump)
}
