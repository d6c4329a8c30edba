//! Turns an ELF file into its segments, and into where a few wanted sections and symbols are.
//!
//! The file is the target's and may say anything. Tables are gone through piece by piece, so that none is ever in memory
//! as a whole, and as far as [`ReadBudget`] goes.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use goblin::container::Ctx;
use goblin::elf::program_header::{PF_W, PF_X, PT_DYNAMIC, PT_LOAD};
use goblin::elf::section_header::{SHF_ALLOC, SHT_DYNSYM, SHT_NOBITS, SHT_SYMTAB};
use goblin::elf::sym::{STT_TLS, Sym};
use goblin::elf::{Elf, Header, ProgramHeader, SectionHeader, Symtab};
use regex::bytes::Regex;
use rustc_hash::FxHashMap;

use super::image_error::ImageError;
use super::read_budget::ReadBudget;

/// The size of the ELF header of a 64-bit file; that of a 32-bit one is 52.
const MAX_HEADER: u64 = 64;

/// The most program headers that are believed: linkers make some ten.
const MAX_SEGMENTS: usize = 256;

/// The most bytes of section names that are read.
const MAX_SECTION_NAMES: u64 = 4 << 20;

/// So many bytes of a table are in memory at a time.
const PIECE: usize = 1 << 20;

/// The most places at which wanted names are believed to be in a table of names. Linkers write each once.
const MAX_NAME_PLACES: usize = 1024;

/// Most names are shorter.
const SHORT_NAME: u64 = 256;

/// The most bytes of hash buckets and of dynamic entries that are read.
const MAX_DYNAMIC: u64 = 4 << 20;

/// Bytes of an entry of the dynamic table of a 64-bit file (elf(5), `Elf64_Dyn`).
const DYNAMIC_ENTRY: usize = 16;

/// What rsamp uses of a program header.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "the fields are those of elf(5)")]
pub struct Segment {
    pub is_load: bool,
    pub is_dynamic: bool,
    pub writable: bool,
    pub executable: bool,
    pub offset: u64,
    pub address: u64,
    pub file_size: u64,
    pub memory_size: u64,
}

impl From<&ProgramHeader> for Segment {
    fn from(header: &ProgramHeader) -> Segment {
        Segment {
            is_load: header.p_type == PT_LOAD,
            is_dynamic: header.p_type == PT_DYNAMIC,
            writable: header.p_flags & PF_W != 0,
            executable: header.p_flags & PF_X != 0,
            offset: header.p_offset,
            address: header.p_vaddr,
            file_size: header.p_filesz,
            memory_size: header.p_memsz,
        }
    }
}

/// A symbol table and the names for it, as ranges of the file.
#[derive(Debug, Clone)]
pub struct SymbolTable {
    symbols: Range<u64>,
    names: Range<u64>,
}

/// An opened ELF file with its header.
pub struct ElfFile {
    file: File,
    path: PathBuf,
    length: u64,
    header: Header,
    context: Ctx,
}

impl ElfFile {
    /// Reads the header.
    pub fn new(file: File, path: &Path) -> Result<ElfFile, ImageError> {
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        let path = path.to_owned();
        let start = read_range(&file, &path, length, 0..length.min(MAX_HEADER))?;
        let parsed = Elf::parse_header(&start).and_then(|header| {
            let context = Ctx::new(header.container()?, header.endianness()?);
            Ok((header, context))
        });
        let (header, context) = match parsed {
            Ok(parsed) => parsed,
            Err(source) => return Err(ImageError::Elf { path, source }),
        };
        Ok(ElfFile {
            file,
            path,
            length,
            header,
            context,
        })
    }

    /// The segments.
    pub fn segments(&self) -> Result<Vec<Segment>, ImageError> {
        let count = usize::from(self.header.e_phnum);
        if count > MAX_SEGMENTS {
            return Err(self.too_large("program headers"));
        }
        let bytes = (count * ProgramHeader::size(self.context)) as u64;
        let bytes = self.read(self.header.e_phoff, bytes)?;
        let headers = ProgramHeader::parse(&bytes, 0, count, self.context);
        let headers = headers.map_err(|source| self.error(source))?;
        Ok(headers.iter().map(Segment::from).collect())
    }

    /// The section headers; none where they have been stripped.
    pub fn sections(&self) -> Result<Vec<SectionHeader>, ImageError> {
        let count = usize::from(self.header.e_shnum);
        if count == 0 || self.header.e_shoff == 0 {
            return Ok(Vec::new());
        }
        let bytes = (count * SectionHeader::size(self.context)) as u64;
        let bytes = self.read(self.header.e_shoff, bytes)?;
        SectionHeader::parse_from(&bytes, 0, count, self.context)
            .map_err(|source| self.error(source))
    }

    /// Address in the file and size of the section `name`, if it is one that is loaded.
    pub fn section(
        &self,
        headers: &[SectionHeader],
        name: &str,
    ) -> Result<Option<(u64, u64)>, ImageError> {
        let mut found = self.headers_of(headers, name)?;
        found.retain(|header| header.sh_flags & u64::from(SHF_ALLOC) != 0);
        Ok(found.first().map(|header| (header.sh_addr, header.sh_size)))
    }

    /// The headers of the sections with this name, whether they are loaded or not.
    ///
    /// # Errors
    /// When the names of the sections can't be read.
    pub fn headers_of<'h>(
        &self,
        headers: &'h [SectionHeader],
        name: &str,
    ) -> Result<Vec<&'h SectionHeader>, ImageError> {
        let Some(names) = headers.get(usize::from(self.header.e_shstrndx)) else {
            return Ok(Vec::new());
        };
        if names.sh_size > MAX_SECTION_NAMES {
            return Err(self.too_large("section names"));
        }
        let names = self.read(names.sh_offset, names.sh_size)?;
        let has_name = |header: &&SectionHeader| {
            let rest = names.get(header.sh_name..);
            let rest = rest.and_then(|rest| rest.strip_prefix(name.as_bytes()));
            rest.is_some_and(|rest| rest.first() == Some(&0))
        };
        Ok(headers.iter().filter(has_name).collect())
    }

    /// The bytes of a section as they are in the file, compressed or not; none of one that has none there.
    ///
    /// # Errors
    /// When they can't be read, or are more than the budget has.
    pub fn bytes_of(
        &self,
        header: &SectionHeader,
        budget: &mut ReadBudget,
    ) -> Result<Vec<u8>, ImageError> {
        if header.sh_type == SHT_NOBITS {
            return Ok(Vec::new());
        }
        let end = header.sh_offset.saturating_add(header.sh_size);
        self.read_piece(header.sh_offset..end, budget)
    }

    /// Whether numbers in the file are little-endian.
    #[must_use]
    pub fn is_little_endian(&self) -> bool {
        self.context.le.is_little()
    }

    /// Whether addresses in the file have 64 bits, else 32.
    #[must_use]
    pub fn is_64_bit(&self) -> bool {
        self.context.is_big()
    }

    /// The path that the file was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The first symbol of each of the `wanted` names; from `.dynsym`, else `.symtab`.
    pub fn symbols<'n>(
        &self,
        wanted: &[&'n str],
        headers: &[SectionHeader],
        segments: &[Segment],
        budget: &mut ReadBudget,
    ) -> Result<FxHashMap<&'n str, Sym>, ImageError> {
        let tables = match headers.is_empty() {
            true => vec![self.dynamic_table(segments, budget)],
            false => [SHT_DYNSYM, SHT_SYMTAB]
                .map(|kind| table_of_kind(kind, headers))
                .to_vec(),
        };
        let mut found = FxHashMap::default();
        for table in tables.into_iter().flatten() {
            let missing = wanted.iter().filter(|name| !found.contains_key(**name));
            let missing: Vec<&str> = missing.copied().collect();
            let more = self.find(&missing, &table, budget)?;
            found.extend(more);
        }
        Ok(found)
    }

    fn find<'n>(
        &self,
        wanted: &[&'n str],
        table: &SymbolTable,
        budget: &mut ReadBudget,
    ) -> Result<FxHashMap<&'n str, Sym>, ImageError> {
        let mut found = FxHashMap::default();
        let places = self.name_places(wanted, &table.names, budget)?;
        if places.is_empty() {
            return Ok(found);
        }
        self.each_symbol(table, budget, |symbol| {
            // Undefined symbols and offsets into thread-local storage are no addresses.
            let is_address =
                symbol.st_shndx != 0 && symbol.st_value != 0 && symbol.st_type() != STT_TLS;
            if let Some(name) = places.get(&(symbol.st_name as u64)).filter(|_| is_address) {
                found.entry(*name).or_insert(*symbol);
            }
        })?;
        Ok(found)
    }

    /// The full symbol table, which linkers make and `strip` removes.
    #[must_use]
    pub fn full_table(&self, headers: &[SectionHeader]) -> Option<SymbolTable> {
        table_of_kind(SHT_SYMTAB, headers)
    }

    /// The table of the symbols that other files may use; of a 64-bit file without section headers, too.
    pub fn table_for_linking(
        &self,
        headers: &[SectionHeader],
        segments: &[Segment],
        budget: &mut ReadBudget,
    ) -> Option<SymbolTable> {
        match headers.is_empty() {
            true => self.dynamic_table(segments, budget),
            false => table_of_kind(SHT_DYNSYM, headers),
        }
    }

    /// Calls `each` with every symbol of a table.
    ///
    /// # Errors
    /// When the table can't be read, or is larger than the budget; `each` may have been called by then.
    pub fn each_symbol(
        &self,
        table: &SymbolTable,
        budget: &mut ReadBudget,
        mut each: impl FnMut(&Sym),
    ) -> Result<(), ImageError> {
        let size = Sym::size(self.context.container);
        let piece = (PIECE / size * size) as u64;
        let mut at = table.symbols.start;
        while at < table.symbols.end {
            let bytes = self.read_piece(at..table.symbols.end.min(at + piece), budget)?;
            let symbols = Symtab::parse(&bytes, 0, bytes.len() / size, self.context);
            for symbol in symbols.map_err(|source| self.error(source))?.iter() {
                each(&symbol);
            }
            at += piece;
        }
        Ok(())
    }

    /// The name at an offset into the names of a table, cut off after `max` bytes.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn name_at(
        &self,
        table: &SymbolTable,
        offset: u64,
        max: u64,
        budget: &mut ReadBudget,
    ) -> Result<String, ImageError> {
        let names = &table.names;
        let start = names.start.saturating_add(offset);
        let last = names.end.min(self.length).min(start.saturating_add(max));
        let mut end = last.min(start.saturating_add(SHORT_NAME));
        loop {
            let bytes = self.read_piece(start..end.max(start), budget)?;
            let mut parts = bytes.split(|byte| *byte == 0);
            let name = parts.next().unwrap_or_default();
            if parts.next().is_some() || end == last {
                return Ok(String::from_utf8_lossy(name).into_owned());
            }
            end = last;
        }
    }

    /// Where the `wanted` names are in a table of names: also where they end longer ones, as linkers share such ends.
    fn name_places<'n>(
        &self,
        wanted: &[&'n str],
        names: &Range<u64>,
        budget: &mut ReadBudget,
    ) -> Result<FxHashMap<u64, &'n str>, ImageError> {
        let mut places = FxHashMap::default();
        let quoted: Vec<String> = wanted.iter().map(|name| regex::escape(name)).collect();
        let Ok(pattern) = Regex::new(&format!("(?-u)(?:{})\\x00", quoted.join("|"))) else {
            return Ok(places);
        };
        let longest = wanted.iter().map(|name| name.len()).max().unwrap_or(0) as u64;
        let mut at = names.start;
        while at < names.end {
            // A name may lie across the end of a piece.
            let end = names.end.min(at + PIECE as u64 + longest);
            let bytes = self.read_piece(at..end, budget)?;
            for found in pattern.find_iter(&bytes) {
                let text = &found.as_bytes()[..found.len() - 1];
                let name = wanted.iter().find(|name| name.as_bytes() == text);
                if let Some(name) = name.filter(|_| places.len() < MAX_NAME_PLACES) {
                    places.insert(at - names.start + found.start() as u64, *name);
                }
            }
            at += PIECE as u64;
        }
        Ok(places)
    }

    /// The symbols of a 64-bit file without section headers, by its dynamic table (elf(5)).
    fn dynamic_table(&self, segments: &[Segment], budget: &mut ReadBudget) -> Option<SymbolTable> {
        const DT_HASH: u64 = 4;
        const DT_STRTAB: u64 = 5;
        const DT_SYMTAB: u64 = 6;
        const DT_STRSZ: u64 = 10;
        const DT_GNU_HASH: u64 = 0x6fff_fef5;
        if !self.context.is_big() || !self.context.le.is_little() {
            return None;
        }
        let dynamic = segments.iter().find(|segment| segment.is_dynamic)?;
        let bytes = self
            .read(dynamic.offset, dynamic.file_size.min(MAX_DYNAMIC))
            .ok()?;
        let entry = |wanted: u64| {
            let mut entries = bytes.chunks_exact(DYNAMIC_ENTRY);
            entries
                .find(|entry| word(entry, 0) == Some(wanted))
                .and_then(|entry| word(entry, 8))
        };
        let offset = |tag| offset_of(entry(tag)?, segments);
        let (symbols, names) = (offset(DT_SYMTAB)?, offset(DT_STRTAB)?);
        let count = match (offset(DT_HASH), offset(DT_GNU_HASH)) {
            // `nchain`: as many as there are symbols.
            (Some(hash), _) => u64::from(half(&self.read(hash, 8).ok()?, 4)?),
            (None, Some(hash)) => self.count_by_gnu_hash(hash, budget)?,
            (None, None) => return None,
        };
        let bytes = count.checked_mul(Sym::size(self.context.container) as u64)?;
        Some(SymbolTable {
            symbols: symbols..symbols.checked_add(bytes)?,
            names: names..names.checked_add(entry(DT_STRSZ)?)?,
        })
    }

    /// One more than the number of the last symbol in a GNU hash table: four counts (buckets, the first symbol, words of
    /// the filter, a shift), the filter, the buckets, and for each symbol a hash whose lowest bit ends a chain.
    fn count_by_gnu_hash(&self, at: u64, budget: &mut ReadBudget) -> Option<u64> {
        let head = self.read(at, 16).ok()?;
        let [buckets, first, filter] = [0, 4, 8].map(|offset| half(&head, offset));
        let (buckets, first, filter) = (u64::from(buckets?), u64::from(first?), u64::from(filter?));
        let buckets_at = at + 16 + filter * 8;
        let table = self.read(buckets_at, (buckets * 4).min(MAX_DYNAMIC)).ok()?;
        let last = (0..table.len() as u64 / 4)
            .filter_map(|index| half(&table, index * 4))
            .max()?;
        let mut last = u64::from(last);
        if last < first {
            return Some(first);
        }
        let chain = buckets_at + buckets * 4;
        loop {
            let hash_at = chain.checked_add((last - first) * 4)?;
            let hash = self.read_piece(hash_at..hash_at + 4, budget).ok()?;
            last += 1;
            if half(&hash, 0)? & 1 == 1 {
                return Some(last);
            }
        }
    }

    fn read(&self, offset: u64, length: u64) -> Result<Vec<u8>, ImageError> {
        let end = offset.saturating_add(length);
        read_range(&self.file, &self.path, self.length, offset..end)
    }

    fn read_piece(
        &self,
        range: Range<u64>,
        budget: &mut ReadBudget,
    ) -> Result<Vec<u8>, ImageError> {
        if !budget.take(range.end.saturating_sub(range.start)) {
            return Err(self.too_large("symbols"));
        }
        read_range(&self.file, &self.path, self.length, range)
    }

    fn too_large(&self, what: &'static str) -> ImageError {
        ImageError::TooLarge {
            path: self.path.clone(),
            what,
        }
    }

    fn error(&self, source: goblin::error::Error) -> ImageError {
        ImageError::Elf {
            path: self.path.clone(),
            source,
        }
    }
}

fn table_of_kind(kind: u32, headers: &[SectionHeader]) -> Option<SymbolTable> {
    let header = headers.iter().find(|header| header.sh_type == kind)?;
    let names = headers.get(header.sh_link as usize)?;
    let range =
        |header: &SectionHeader| header.sh_offset..header.sh_offset.saturating_add(header.sh_size);
    Some(SymbolTable {
        symbols: range(header),
        names: range(names),
    })
}

/// Where in the file an address lies.
fn offset_of(address: u64, segments: &[Segment]) -> Option<u64> {
    let holds = |segment: &&Segment| {
        let into = address.checked_sub(segment.address);
        segment.is_load && into.is_some_and(|into| into < segment.file_size)
    };
    let segment = segments.iter().find(holds)?;
    segment.offset.checked_add(address - segment.address)
}

fn word(bytes: &[u8], at: u64) -> Option<u64> {
    let bytes = bytes.get(at as usize..at as usize + 8)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

fn half(bytes: &[u8], at: u64) -> Option<u32> {
    let bytes = bytes.get(at as usize..at as usize + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

/// Reads exactly a range that a header names, after a look at whether the file can hold it. No range is longer than a
/// piece, or than the limits of this file.
fn read_range(
    file: &File,
    path: &Path,
    file_length: u64,
    range: Range<u64>,
) -> Result<Vec<u8>, ImageError> {
    let length = range.end.saturating_sub(range.start);
    let read = || {
        if range.end > file_length {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        let mut bytes = vec![0; length as usize];
        file.read_exact_at(&mut bytes, range.start)?;
        Ok(bytes)
    };
    read().map_err(|source| ImageError::Read {
        path: path.to_owned(),
        offset: range.start,
        length,
        source,
    })
}
