//! Turns DWARF into the functions, files and lines at addresses, innermost first.

use addr2line::{Context, Frame};
use gimli::{DwarfSections, EndianSlice, RunTimeEndian, SectionId};
use rustc_hash::FxHashMap;

use super::compressed;
use super::debug_files::{self, DebugFiles};
use super::frame::{NameSource, NamedFrame};
use super::module::Module;
use crate::native::names::readable_name;
use crate::process::ReadBudget;

/// What is read of DWARF: not types, locations of variables and macros.
const SECTIONS: &[SectionId] = &[
    SectionId::DebugAbbrev,
    SectionId::DebugAddr,
    SectionId::DebugAranges,
    SectionId::DebugInfo,
    SectionId::DebugLine,
    SectionId::DebugLineStr,
    SectionId::DebugRanges,
    SectionId::DebugRngLists,
    SectionId::DebugStr,
    SectionId::DebugStrOffsets,
];

/// The most bytes of DWARF that are in memory at a time. libpython's has 30 MB.
const MAX_DEBUG_BYTES: u64 = 512 << 20;

/// The most functions inlined into each other at one address that are believed.
const MAX_INLINED: usize = 64;

type Slice<'a> = EndianSlice<'a, RunTimeEndian>;

/// The DWARF of a module, in memory.
pub struct DebugInfo {
    sections: DwarfSections<Vec<u8>>,
    /// What dwz has moved to another file.
    shared: Option<DwarfSections<Vec<u8>>>,
    endian: RunTimeEndian,
}

/// The order of bytes in a module.
pub fn endian(module: &Module) -> RunTimeEndian {
    match module.elf.is_little_endian() {
        true => RunTimeEndian::Little,
        false => RunTimeEndian::Big,
    }
}

impl DebugInfo {
    /// Reads it; `None` where there is none, or more than fits.
    pub fn read(
        module: &Module,
        debug_files: &dyn DebugFiles,
        budget: &mut ReadBudget,
    ) -> Option<DebugInfo> {
        if !module.has_section(".debug_info") {
            return None;
        }
        let mut left = MAX_DEBUG_BYTES;
        let sections = sections(module, &mut left, budget)?;
        let shared = debug_files::shared(module, debug_files, budget);
        let shared = match shared {
            Some(module) => Some(self::sections(&module, &mut left, budget)?),
            None => None,
        };
        Some(DebugInfo {
            sections,
            shared,
            endian: endian(module),
        })
    }

    /// The functions at each of `addresses` of which there is something. The name of the outermost may be missing: then
    /// its [`NameSource`] is `Offset`.
    pub fn frames(
        &self,
        addresses: &[u64],
        budget: &ReadBudget,
    ) -> FxHashMap<u64, Vec<NamedFrame>> {
        let borrow = |bytes| EndianSlice::new(Vec::as_slice(bytes), self.endian);
        let dwarf = self.sections.borrow_with_sup(self.shared.as_ref(), borrow);
        let Ok(context) = Context::from_dwarf(dwarf) else {
            return FxHashMap::default();
        };
        let addresses = addresses.iter().take_while(|_| !budget.is_late());
        let found = addresses.map(|address| (*address, frames_at(&context, *address)));
        found.filter(|(_, frames)| !frames.is_empty()).collect()
    }
}

fn sections(
    module: &Module,
    left: &mut u64,
    budget: &mut ReadBudget,
) -> Option<DwarfSections<Vec<u8>>> {
    DwarfSections::load(|id| {
        if !SECTIONS.contains(&id) {
            return Ok(Vec::new());
        }
        let headers = module.elf.headers_of(&module.sections, id.name());
        let header = headers.ok().and_then(|headers| headers.first().copied());
        let Some(header) = header else {
            return Ok(Vec::new());
        };
        let bytes = compressed::section(&module.elf, header, budget).ok_or(())?;
        *left = left.checked_sub(bytes.len() as u64).ok_or(())?;
        Ok::<_, ()>(bytes)
    })
    .ok()
}

fn frames_at(context: &Context<Slice<'_>>, address: u64) -> Vec<NamedFrame> {
    let Ok(mut found) = context.find_frames(address).skip_all_loads() else {
        return Vec::new();
    };
    let mut frames = Vec::new();
    while let Ok(Some(frame)) = found.next() {
        if frames.len() == MAX_INLINED {
            break;
        }
        frames.push(named(&frame));
    }
    // All but the outermost are in it.
    let inlined = frames.len().saturating_sub(1);
    for frame in &mut frames[..inlined] {
        frame.is_inlined = true;
    }
    frames
}

fn named(frame: &Frame<'_, Slice<'_>>) -> NamedFrame {
    let location = frame.location.as_ref();
    let function = frame.function.as_ref();
    let symbol = function.and_then(|function| function.raw_name().ok());
    NamedFrame {
        name: symbol.as_deref().map(readable_name).unwrap_or_default(),
        file: location.and_then(|location| location.file.map(str::to_owned)),
        line: location.and_then(|location| location.line.filter(|line| *line > 0)),
        is_inlined: false,
        source: match symbol {
            Some(_) => NameSource::DebugInfo,
            None => NameSource::Offset,
        },
    }
}
