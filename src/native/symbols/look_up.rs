//! Turns addresses in an ELF file into the functions, files and lines there, with those that were inlined.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::debug_files::{self, DebugFiles};
use super::dwarf::DebugInfo;
use super::frame::{Detail, NameSource, NamedFrame};
use super::module::Module;
use super::target_files::TargetFiles;
use super::{functions, tables};
use crate::native::names::readable_name;
use crate::process::{ImageError, MappedFile, Process, ReadBudget, SymbolTable};

/// The most bytes that are read of one module and its debug files, names and tables included. libtorch's symbols have
/// 100 MB.
pub const MAX_BYTES: u64 = 1 << 30;

/// How long one module may take. 5,000 addresses of libpython with DWARF take a tenth of it.
pub const MAX_TIME: Duration = Duration::from_secs(10);

/// The functions at each of `addresses`, which are those of the file (`p_vaddr` of elf(5)): one at least for each, innermost
/// first. Of a return address give the byte before: the call is there.
///
/// In this order: DWARF in the file; DWARF and symbols of a separate debug file, by build id, then by `.gnu_debuglink`;
/// symbols in `.gnu_debugdata`; `.symtab`; `.dynsym`; the start of the function in `.eh_frame_hdr`.
#[must_use]
pub fn look_up(
    file: File,
    path: &Path,
    addresses: &[u64],
    detail: Detail,
    debug_files: &dyn DebugFiles,
    budget: &mut ReadBudget,
) -> Vec<Vec<NamedFrame>> {
    let mut sorted = addresses.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut names = Names::new(path, sorted);
    // What can't be read gives no names.
    if let Ok(module) = Module::open(file, path) {
        names.find(&module, detail, debug_files, budget);
    }
    let frames = |address: &u64| names.frames(*address);
    addresses.iter().map(frames).collect()
}

/// As [`look_up`], in a file that a live process has mapped, with what debug files the process sees.
///
/// # Errors
/// When the mapped file can't be opened.
pub fn look_up_mapped(
    process: &Process,
    mapped: &MappedFile,
    addresses: &[u64],
    detail: Detail,
) -> Result<Vec<Vec<NamedFrame>>, ImageError> {
    let file = mapped.open(process)?;
    let debug_files = TargetFiles::of(process).map_err(|source| ImageError::Open {
        pid: process.pid(),
        path: mapped.path.clone(),
        source,
    })?;
    let budget = &mut ReadBudget::of(MAX_BYTES, MAX_TIME);
    let path = &mapped.path;
    Ok(look_up(file, path, addresses, detail, &debug_files, budget))
}

/// What was found of the addresses of one module.
struct Names {
    library: String,
    /// By rising address, each once.
    addresses: Vec<u64>,
    /// From DWARF; the outermost function may have no name yet.
    frames: FxHashMap<u64, Vec<NamedFrame>>,
    /// From symbol tables.
    symbols: FxHashMap<u64, String>,
    /// Where the functions of the other addresses start.
    starts: FxHashMap<u64, u64>,
}

impl Names {
    fn new(path: &Path, addresses: Vec<u64>) -> Names {
        let name = path.file_name().unwrap_or(path.as_os_str());
        Names {
            library: name.to_string_lossy().into_owned(),
            addresses,
            frames: FxHashMap::default(),
            symbols: FxHashMap::default(),
            starts: FxHashMap::default(),
        }
    }

    fn find(
        &mut self,
        module: &Module,
        detail: Detail,
        debug_files: &dyn DebugFiles,
        budget: &mut ReadBudget,
    ) {
        let has_own = module.has_section(".debug_info");
        let separate = match has_own {
            true => None,
            false => debug_files::separate(module, debug_files, budget),
        };
        if detail == Detail::Lines {
            let described = separate.as_ref().unwrap_or(module);
            let info = DebugInfo::read(described, debug_files, budget);
            let frames = info.map(|info| info.frames(&self.addresses, budget));
            self.frames = frames.unwrap_or_default();
        }
        let embedded = debug_files::embedded(module, budget);
        let full = |module: &Module| module.elf.full_table(&module.sections);
        let others = [separate.as_ref(), embedded.as_ref()];
        for module in others.into_iter().flatten().chain([module]) {
            let unsized_bytes = tables::MAX_UNSIZED_BYTES;
            self.find_symbols(module, full(module), unsized_bytes, budget);
        }
        let (sections, segments) = (&module.sections, &module.segments);
        let table = module.elf.table_for_linking(sections, segments, budget);
        self.find_symbols(module, table, 0, budget);
        self.starts = functions::starts(module, &self.unnamed(), budget);
    }

    fn find_symbols(
        &mut self,
        module: &Module,
        table: Option<SymbolTable>,
        unsized_bytes: u64,
        budget: &mut ReadBudget,
    ) {
        let unnamed = self.unnamed();
        if let Some(table) = table.filter(|_| !unnamed.is_empty()) {
            let found = tables::symbols(module, &table, unsized_bytes, &unnamed, budget);
            self.symbols.extend(found);
        }
    }

    /// The addresses whose function has no name yet.
    fn unnamed(&self) -> Vec<u64> {
        let is_named = |address: &u64| {
            let frames = self.frames.get(address);
            let outermost = frames.and_then(|frames| frames.last());
            self.symbols.contains_key(address)
                || outermost.is_some_and(|frame| frame.source == NameSource::DebugInfo)
        };
        let addresses = self.addresses.iter().copied();
        addresses.filter(|address| !is_named(address)).collect()
    }

    fn frames(&self, address: u64) -> Vec<NamedFrame> {
        let mut frames = self.frames.get(&address).cloned().unwrap_or_default();
        let has_name = |frame: &NamedFrame| frame.source == NameSource::DebugInfo;
        if frames.last().is_some_and(has_name) {
            return frames;
        }
        let (name, source) = match self.symbols.get(&address) {
            Some(symbol) => (readable_name(symbol), NameSource::Symbol),
            None => {
                let start = self.starts.get(&address).unwrap_or(&address);
                (format!("{}+{start:#x}", self.library), NameSource::Offset)
            }
        };
        // DWARF of assembly has lines, but no functions.
        let unnamed = frames.pop();
        frames.push(NamedFrame {
            name,
            source,
            file: unnamed.as_ref().and_then(|frame| frame.file.clone()),
            line: unnamed.and_then(|frame| frame.line),
            is_inlined: false,
        });
        frames
    }
}
