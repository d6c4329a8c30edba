//! Turns an address of the target into the module that it lies in, and that into its load bias and its unwind entries.
//!
//! A module is a program, a library or the vdso. Nothing is read of one before an address in it is asked for.

use std::path::PathBuf;
use std::sync::Arc;

use super::build_id::{MAX_NOTES_BYTES, build_id};
use super::eh_frame::{SearchTable, UnwindEntry};
use crate::memory::window::word_at;
use crate::memory::{Address, Blocks, ReadMemory};
use crate::process::Mapping;

/// The most program headers that are believed: linkers make some ten.
const MAX_SEGMENTS: u64 = 256;

/// Bytes of the ELF header of a 64-bit file, and of each of its program headers (elf(5)).
const HEADER_BYTES: usize = 64;
const SEGMENT_BYTES: u64 = 56;

/// `\x7fELF`, 64 bits, little-endian.
const ELF_64_LITTLE: &[u8; 6] = b"\x7fELF\x02\x01";

const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
const PT_GNU_EH_FRAME: u32 = 0x6474_e550;

/// The kernel's name for the code that it maps into every process (vdso(7)).
const VDSO: &str = "[vdso]";

/// The code of a process.
#[derive(Debug)]
pub struct Modules {
    /// The executable mappings, by rising address.
    code: Vec<Code>,
}

/// An executable mapping.
#[derive(Debug)]
struct Code {
    mapping: Mapping,
    /// Where the file's first byte is mapped; `None`: not at all, or it has no file.
    header: Option<Address>,
    /// `None`: not asked for yet.
    image: Option<Option<LoadedImage>>,
}

/// What the ELF header of a mapped file says.
#[derive(Debug, Clone)]
struct LoadedImage {
    /// What is added to an address in the file to have the target's.
    bias: u64,
    table: Option<SearchTable>,
    build_id: Option<Arc<str>>,
}

/// Where an address lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file as the process has it mapped, or `[vdso]`; `None` for code without a file, which a compiler made in
    /// memory.
    pub module: Option<PathBuf>,
    /// The build id of that file, in lower-case hexadecimal digits; `None`: it has none.
    pub build_id: Option<Arc<str>>,
    /// The address in the file, as its symbols have it; without a file, the target's address.
    pub offset: u64,
}

impl Modules {
    /// Those of a process with these mappings, by rising address.
    #[must_use]
    pub fn new(mappings: &[Mapping]) -> Modules {
        let code = mappings.iter().filter(|mapping| mapping.executable);
        let code = code.map(|mapping| Code {
            header: header_of(mapping, mappings),
            mapping: mapping.clone(),
            image: None,
        });
        Modules {
            code: code.collect(),
        }
    }

    /// Takes in how the process is mapped now. What was read of code that is where it was is kept. Whether all code that
    /// there was is.
    pub fn remap(&mut self, mappings: &[Mapping]) -> bool {
        let mut known = std::mem::replace(self, Modules::new(mappings)).code;
        let count = known.len();
        let mut kept = 0;
        for code in &mut self.code {
            let is_it = |known: &Code| known.mapping == code.mapping && known.header == code.header;
            let at = known.partition_point(|known| known.mapping.start < code.mapping.start);
            if let Some(known) = known.get_mut(at).filter(|known| is_it(known)) {
                code.image = known.image.take();
                kept += 1;
            }
        }
        kept == count
    }

    /// Whether there is code at `address`.
    #[must_use]
    pub fn is_code(&self, address: u64) -> bool {
        self.index(address).is_some()
    }

    fn index(&self, address: u64) -> Option<usize> {
        let behind = self
            .code
            .partition_point(|code| code.mapping.start <= address);
        let index = behind.checked_sub(1)?;
        self.code[index].mapping.contains(address).then_some(index)
    }

    fn image<M: ReadMemory>(
        &mut self,
        address: u64,
        memory: &mut Blocks<M>,
    ) -> Option<LoadedImage> {
        let index = self.index(address)?;
        let code = &mut self.code[index];
        let Code {
            mapping, header, ..
        } = &*code;
        let read = || LoadedImage::read((*header)?, mapping, memory);
        let image = code.image.clone().unwrap_or_else(read);
        code.image = Some(image.clone());
        image
    }

    /// The unwind entry of the function at `address`, or of one that ends before it.
    pub fn unwind_entry<M: ReadMemory>(
        &mut self,
        address: u64,
        memory: &mut Blocks<M>,
    ) -> Option<UnwindEntry> {
        let table = self.image(address, memory)?.table?;
        table.find(address, memory)
    }

    /// Where `address` lies; `None` where there is no code.
    pub fn place<M: ReadMemory>(&mut self, address: u64, memory: &mut Blocks<M>) -> Option<Place> {
        let image = self.image(address, memory);
        let mapping = &self.code[self.index(address)?].mapping;
        let is_module = mapping.is_file() || is_vdso(mapping);
        let module = mapping.path.clone().filter(|_| is_module);
        let in_file = || (address - mapping.start).wrapping_add(mapping.offset);
        let offset = match (&module, &image) {
            (Some(_), Some(image)) => address.wrapping_sub(image.bias),
            (Some(_), None) => in_file(),
            (None, _) => address,
        };
        Some(Place {
            module,
            build_id: image.and_then(|image| image.build_id),
            offset,
        })
    }
}

fn is_vdso(mapping: &Mapping) -> bool {
    mapping
        .path
        .as_ref()
        .is_some_and(|path| path.as_os_str() == VDSO)
}

/// The first byte of the file that `code` maps, where it is mapped: the last such place before `code`, as a file may be
/// loaded more than once.
fn header_of(code: &Mapping, mappings: &[Mapping]) -> Option<Address> {
    if is_vdso(code) {
        return Some(Address(code.start));
    }
    let id = |mapping: &Mapping| (mapping.device, mapping.inode);
    let first = mappings.iter().rev().find(|mapping| {
        mapping.is_file()
            && mapping.start <= code.start
            && mapping.offset == 0
            && mapping.readable
            && id(mapping) == id(code)
    })?;
    Some(Address(first.start))
}

impl LoadedImage {
    /// Reads the header at `header` of the file that `code` maps.
    fn read<M: ReadMemory>(
        header: Address,
        code: &Mapping,
        memory: &mut Blocks<M>,
    ) -> Option<LoadedImage> {
        let mut elf = [0; HEADER_BYTES];
        memory.read(header, &mut elf)?;
        // `e_phoff`, `e_phentsize` and `e_phnum`.
        let segments_at = word_at(&elf, 32)?;
        let size = u64::from(half_at(&elf, 54)?);
        let count = u64::from(half_at(&elf, 56)?);
        if !elf.starts_with(ELF_64_LITTLE) || size != SEGMENT_BYTES || count > MAX_SEGMENTS {
            return None;
        }
        let mut bytes = vec![0; (count * SEGMENT_BYTES) as usize];
        memory.read(header + segments_at, &mut bytes)?;
        let segments: Vec<Segment> = bytes
            .chunks_exact(SEGMENT_BYTES as usize)
            .filter_map(Segment::parse)
            .collect();
        let loaded = segments.iter().find(|segment| segment.shows(code))?;
        let in_segment = code.offset.wrapping_sub(loaded.offset);
        let address = loaded.address.wrapping_add(in_segment);
        let bias = code.start.wrapping_sub(address);
        let frames = segments
            .iter()
            .find(|segment| segment.kind == PT_GNU_EH_FRAME);
        let table = frames.and_then(|frames| {
            let at = Address(bias) + frames.address;
            SearchTable::read(at, frames.size, memory)
        });
        let notes = segments.iter().filter(|segment| segment.kind == PT_NOTE);
        let mut notes = notes.filter_map(|notes| notes.read(bias, memory));
        let build_id = notes.find_map(|(bytes, alignment)| build_id(&bytes, alignment));
        Some(LoadedImage {
            bias,
            table,
            build_id,
        })
    }
}

/// A program header.
#[derive(Debug, Clone, Copy)]
struct Segment {
    kind: u32,
    is_code: bool,
    offset: u64,
    address: u64,
    /// In the file and in memory.
    size: u64,
    alignment: u64,
}

impl Segment {
    fn parse(bytes: &[u8]) -> Option<Segment> {
        const PF_X: u64 = 1;
        let kind_and_flags = word_at(bytes, 0)?;
        Some(Segment {
            kind: kind_and_flags as u32,
            is_code: kind_and_flags >> 32 & PF_X != 0,
            offset: word_at(bytes, 8)?,
            address: word_at(bytes, 16)?,
            size: word_at(bytes, 32)?,
            alignment: word_at(bytes, 48)?,
        })
    }

    /// What it has in memory, up to [`MAX_NOTES_BYTES`], and its alignment.
    fn read<M: ReadMemory>(&self, bias: u64, memory: &mut Blocks<M>) -> Option<(Vec<u8>, u64)> {
        let mut bytes = vec![0; self.size.min(MAX_NOTES_BYTES) as usize];
        memory.read(Address(bias) + self.address, &mut bytes)?;
        Some((bytes, self.alignment))
    }

    /// Whether `code` maps a part of it. At the edges two segments share a page of the file.
    fn shows(&self, code: &Mapping) -> bool {
        self.kind == PT_LOAD
            && self.is_code
            && code.offset < self.offset.saturating_add(self.size)
            && self.offset < code.offset.saturating_add(code.size())
    }
}

fn half_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?;
    Some(u16::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::memory::SavedMemory;

    const BASE: u64 = 0x7f00_0000_0000;

    fn mapping(start: u64, size: u64, offset: u64, executable: bool) -> Mapping {
        Mapping {
            start,
            end: start + size,
            readable: true,
            writable: false,
            executable,
            offset,
            device: (8, 1),
            inode: 7,
            path: Some("/usr/lib/libx.so".into()),
            deleted: false,
        }
    }

    /// A library whose code, of 0x1000 bytes, is at 0x1000 in the file and at 0x3000 in memory, with the mappings of it.
    /// Its functions begin at 0x3000 and 0x3800.
    fn library() -> (Vec<u8>, [Mapping; 2]) {
        let mut file = vec![0; 0x2000];
        let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, ELF_64_LITTLE);
        put(32, &64_u64.to_le_bytes());
        put(54, &56_u16.to_le_bytes());
        put(56, &3_u16.to_le_bytes());
        // Kind and flags, offset, address, physical address, size in the file.
        let segments: [[u64; 5]; 3] = [
            [1 | 5 << 32, 0x1000, 0x3000, 0, 0x1000],
            [u64::from(PT_GNU_EH_FRAME), 0x200, 0x200, 0, 28],
            [u64::from(PT_NOTE), 0x180, 0x180, 0, 20],
        ];
        for (number, segment) in segments.iter().enumerate() {
            for (word, value) in segment.iter().enumerate() {
                put(64 + number * 56 + word * 8, &value.to_le_bytes());
            }
        }
        put(0x180, &[4, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0]);
        put(0x18c, b"GNU\0\xab\xcd\xef");
        put(0x200, &[1, 0x1b, 3, 0x3b, 0, 0, 0, 0, 2, 0, 0, 0]);
        for (number, [start, fde]) in [[0x3000_i32, 0x310], [0x3800, 0x340]].iter().enumerate() {
            put(0x20c + number * 8, &(start - 0x200).to_le_bytes());
            put(0x210 + number * 8, &(fde - 0x200).to_le_bytes());
        }
        // A CIE of 8 bytes, and two FDEs, each with its number in its last byte.
        put(0x300, &[8, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
        put(0x310, &[8, 0, 0, 0, 0x14, 0, 0, 0, 5, 6, 7, 1]);
        put(0x340, &[8, 0, 0, 0, 0x44, 0, 0, 0, 5, 6, 7, 2]);
        let code = mapping(BASE + 0x3000, 0x1000, 0x1000, true);
        (file, [mapping(BASE, 0x1000, 0, false), code])
    }

    fn memory_of(file: &[u8]) -> SavedMemory {
        let mut memory = SavedMemory::default();
        memory.insert(Address(BASE), file[..0x1000].to_vec());
        memory.insert(Address(BASE + 0x3000), file[0x1000..].to_vec());
        memory
    }

    #[test]
    fn an_address_has_a_module_an_offset_and_an_unwind_entry() {
        let (file, mappings) = library();
        let memory = memory_of(&file);
        let mut blocks = Blocks::new(&memory);
        let mut modules = Modules::new(&mappings);
        let place = modules.place(BASE + 0x3810, &mut blocks);
        let expected = Place {
            module: Some("/usr/lib/libx.so".into()),
            build_id: Some("abcdef".into()),
            offset: 0x3810,
        };
        assert_eq!(place, Some(expected));
        let mut entry = |at| modules.unwind_entry(BASE + at, &mut blocks);
        for (at, number) in [(0x3000, 1), (0x37ff, 1), (0x3800, 2), (0x3fff, 2)] {
            let entry = entry(at).expect("an entry");
            // Behind the CIE, the FDE names it by the distance to it.
            let fde = [8, 0, 0, 0, 16, 0, 0, 0, 5, 6, 7, number];
            assert_eq!(entry.section[..12], file[0x300..0x30c]);
            assert_eq!(entry.section[12..], fde, "{at:#x}");
            assert_eq!(entry.fde, 12);
        }
        assert_eq!(entry(0x2fff), None);
        assert!(!modules.is_code(BASE));
        assert_eq!(modules.place(BASE, &mut blocks), None);
    }

    proptest! {
        #[test]
        fn damaged_headers_never_panic(
            damage in proptest::collection::vec((0_usize..0x400, any::<u8>()), 1..20),
            at in 0x3000_u64..0x4000,
        ) {
            let (mut file, mappings) = library();
            for (place, byte) in damage {
                file[place] = byte;
            }
            let memory = memory_of(&file);
            let mut blocks = Blocks::new(&memory);
            let mut modules = Modules::new(&mappings);
            let _ = modules.place(BASE + at, &mut blocks);
            let _ = modules.unwind_entry(BASE + at, &mut blocks);
        }
    }
}
