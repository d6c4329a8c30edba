//! Turns addresses in an ELF file into the functions, files and lines there, with those that were inlined.
//!
//! The file is the target's and may say anything: what is read of it is limited by [`ReadBudget`], and what can't be used
//! costs the names that it would have given.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use goblin::elf::SectionHeader;
use rustc_hash::FxHashMap;

use crate::process::{ElfFile, ImageError, MappedFile, Process, ReadBudget, Segment, SymbolTable};

mod compressed;
mod debug_files;
mod dwarf;
mod functions;
mod tables;
mod target_files;

pub use debug_files::{BuildId, DebugFiles};
pub use target_files::TargetFiles;

use super::names::readable_name;
use dwarf::DebugInfo;

/// The most bytes that are read of one module and its debug files, names and tables included. libtorch's symbols have
/// 100 MB.
pub const MAX_BYTES: u64 = 1 << 30;

/// How long one module may take. 5,000 addresses of libpython with DWARF take a tenth of it.
pub const MAX_TIME: Duration = Duration::from_secs(10);

/// A function at an address, or one that was inlined there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedFrame {
    /// The name as in the source, else the file with the offset of the function: `libm.so.6+0x702c0`.
    pub name: String,
    /// The path of the source file as the compiler saw it.
    pub file: Option<String>,
    /// The line in it, from 1.
    pub line: Option<u32>,
    /// Whether it was compiled into the one that follows.
    pub is_inlined: bool,
    /// Where the name is from.
    pub source: NameSource,
}

/// Where a name is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameSource {
    /// Debug information (DWARF).
    DebugInfo,
    /// A symbol table.
    Symbol,
    /// There is no name, only an offset.
    Offset,
}

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
    debug_files: &dyn DebugFiles,
    budget: &mut ReadBudget,
) -> Vec<Vec<NamedFrame>> {
    let mut sorted = addresses.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    let mut names = Names::new(path, sorted);
    // What can't be read gives no names.
    if let Ok(module) = Module::open(file, path) {
        names.find(&module, debug_files, budget);
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
) -> Result<Vec<Vec<NamedFrame>>, ImageError> {
    let file = mapped.open(process)?;
    let debug_files = TargetFiles::of(process).map_err(|source| ImageError::Open {
        pid: process.pid(),
        path: mapped.path.clone(),
        source,
    })?;
    let budget = &mut ReadBudget::of(MAX_BYTES, MAX_TIME);
    Ok(look_up(file, &mapped.path, addresses, &debug_files, budget))
}

/// An ELF file with its headers.
struct Module {
    elf: ElfFile,
    sections: Vec<SectionHeader>,
    segments: Vec<Segment>,
}

impl Module {
    fn open(file: File, path: &Path) -> Result<Module, ImageError> {
        let elf = ElfFile::new(file, path)?;
        Ok(Module {
            sections: elf.sections()?,
            segments: elf.segments()?,
            elf,
        })
    }

    /// The section's bytes, decompressed; `None` where there is none or it can't be read.
    fn section(&self, name: &str, budget: &mut ReadBudget) -> Option<Vec<u8>> {
        let headers = self.elf.headers_of(&self.sections, name).ok()?;
        compressed::section(&self.elf, headers.first()?, budget)
    }

    fn has_section(&self, name: &str) -> bool {
        let headers = self.elf.headers_of(&self.sections, name);
        headers.is_ok_and(|headers| !headers.is_empty())
    }
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

    fn find(&mut self, module: &Module, debug_files: &dyn DebugFiles, budget: &mut ReadBudget) {
        let has_own = module.has_section(".debug_info");
        let separate = match has_own {
            true => None,
            false => debug_files::separate(module, debug_files, budget),
        };
        let described = separate.as_ref().unwrap_or(module);
        if let Some(info) = DebugInfo::read(described, debug_files, budget) {
            self.frames = info.frames(&self.addresses, budget);
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
