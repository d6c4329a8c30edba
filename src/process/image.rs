//! Turns an ELF file mapped into a process into symbols, sections and segments at their runtime addresses.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use goblin::container::Ctx;
use goblin::elf::program_header::{PF_W, PF_X, PT_LOAD, PT_NOTE};
use goblin::elf::section_header::{SHF_ALLOC, SHT_DYNSYM, SHT_SYMTAB};
use goblin::elf::sym::{STT_TLS, Sym};
use goblin::elf::{Elf, Header, ProgramHeader, SectionHeader, Symtab};
use nix::sys::statfs::{BTRFS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC, fstatfs};
use thiserror::Error;

use super::{Mapping, Pid, Process, ProcessError, open_regular, with_memory};

/// No table of an ELF file (symbols, names, headers) is read beyond this: the largest ever seen, debug builds
/// of machine-learning libraries, have some hundred MiB of symbols; a damaged header may claim 2^64 bytes.
pub const MAX_TABLE: u64 = 1 << 30;

/// A file without section headers is read whole, up to this size, to find its symbols through the dynamic table.
pub const MAX_SECTIONLESS_FILE: u64 = 256 << 20;

/// The size of the ELF header of a 64-bit file; that of a 32-bit one is 52.
const MAX_HEADER: u64 = 64;

/// A file with code that is mapped into a process, not yet opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedFile {
    /// Its path in the target's mount namespace.
    pub path: PathBuf,
    /// Whether it has been unlinked since.
    pub deleted: bool,
    /// Major and minor number of its device.
    pub device: (u32, u32),
    /// Its inode.
    pub inode: u64,
    /// Its mappings, by rising address; at least one is executable.
    pub mappings: Vec<Mapping>,
}

/// Tells a file from others, and from what it was before it was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileStamp {
    device: u64,
    inode: u64,
    size_bytes: u64,
    /// When it was changed last: seconds and nanoseconds since 1970.
    changed: (i64, i64),
}

/// One ELF file mapped into a process. All addresses are the target's.
#[derive(Debug)]
pub struct Image {
    path: PathBuf,
    bias: u64,
    segments: Vec<Segment>,
    sections: HashMap<String, (u64, u64)>,
    symbols: Vec<SymbolTable>,
    build_id: Option<Vec<u8>>,
}

/// Why a mapped file's symbols could not be had.
#[derive(Debug, Error)]
pub enum ImageError {
    /// Neither `/proc/PID/map_files`, `/proc/PID/root` nor the path led to the file.
    #[error("open {path} as process {pid} has it mapped")]
    Open {
        /// The process.
        pid: Pid,
        /// The file's path as the process sees it.
        path: PathBuf,
        /// What the last try met.
        #[source]
        source: io::Error,
    },
    /// The path names another file by now.
    #[error("open {path} as process {pid} has it mapped: the path names another file by now")]
    Replaced {
        /// The process.
        pid: Pid,
        /// The path.
        path: PathBuf,
    },
    /// Bytes of the file could not be read.
    #[error("read {length} bytes at {offset:#x} of {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// How many.
        length: u64,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The file is no ELF file, or a damaged one.
    #[error("parse {path} as an ELF file")]
    Elf {
        /// The file.
        path: PathBuf,
        /// What goblin said.
        #[source]
        source: goblin::error::Error,
    },
    /// No executable segment of the file matches an executable mapping.
    #[error("place {path}: none of its segments is where the process has it mapped")]
    NotPlaced {
        /// The file.
        path: PathBuf,
    },
}

impl Process {
    /// The distinct files with an executable mapping, by rising address. The interpreter is one of them,
    /// whatever `/proc/PID/exe` is: it may be the dynamic loader, or a program that embeds Python.
    ///
    /// # Errors
    /// As [`Process::mappings`].
    pub fn images(&self) -> Result<Vec<MappedFile>, ProcessError> {
        Ok(mapped_files(self.mappings()?))
    }
}

/// Groups mappings by file and keeps the files with an executable one.
#[must_use]
pub fn mapped_files(mappings: Vec<Mapping>) -> Vec<MappedFile> {
    let mut files: Vec<MappedFile> = Vec::new();
    let mut index: HashMap<((u32, u32), u64), usize> = HashMap::new();
    for mapping in mappings {
        let Some(path) = mapping.path.clone().filter(|_| mapping.is_file()) else {
            continue;
        };
        let at = *index
            .entry((mapping.device, mapping.inode))
            .or_insert_with(|| {
                files.push(MappedFile {
                    path,
                    deleted: mapping.deleted,
                    device: mapping.device,
                    inode: mapping.inode,
                    mappings: Vec::new(),
                });
                files.len() - 1
            });
        files[at].mappings.push(mapping);
    }
    files.retain(|file| file.mappings.iter().any(|mapping| mapping.executable));
    files
}

impl MappedFile {
    /// Opens and parses the file. Its tables are read, not the whole of it.
    ///
    /// # Errors
    /// When the mapped file cannot be reached, or is no ELF file that fits its mappings.
    pub fn load(&self, process: &Process) -> Result<Image, ImageError> {
        let file = self.open(process)?;
        Image::parse(&ElfFile::new(file, &self.path)?, &self.mappings)
    }

    /// What tells the file from others; `None` when it is not at its path any more.
    #[must_use]
    pub fn stamp(&self, process: &Process) -> Option<FileStamp> {
        let relative = self.path.strip_prefix("/").unwrap_or(&self.path);
        let root = format!("/proc/{}/root", with_memory(process.pid()));
        let found = std::fs::metadata(Path::new(&root).join(relative)).ok()?;
        (found.ino() == self.inode).then(|| FileStamp {
            device: found.dev(),
            inode: found.ino(),
            size_bytes: found.len(),
            changed: (found.mtime(), found.mtime_nsec()),
        })
    }

    /// Opens the mapped file itself: through `map_files`, which leads to it even if deleted or in another mount
    /// namespace but asks for privileges (CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE), else by its path, checked.
    fn open(&self, process: &Process) -> Result<File, ImageError> {
        let pid = process.pid();
        let owner = with_memory(pid);
        for mapping in &self.mappings {
            // The range may have been split since; another one will do.
            let link = format!(
                "/proc/{owner}/map_files/{:x}-{:x}",
                mapping.start, mapping.end
            );
            if let Ok(file) = open_regular(Path::new(&link)) {
                return Ok(file);
            }
        }
        let relative = self.path.strip_prefix("/").unwrap_or(&self.path);
        let in_its_root = Path::new(&format!("/proc/{owner}/root")).join(relative);
        let mut denied = None;
        // The program itself can be had without privileges even when deleted.
        let exe = PathBuf::from(format!("/proc/{owner}/exe"));
        for path in [&exe, &in_its_root, &self.path] {
            match open_regular(path) {
                Ok(file) if self.is_same(&file) => return Ok(file),
                Ok(_) => {}
                // What is there now was never mapped: a pipe that would be waited for, a device.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
                Err(source) => denied = denied.or(Some(source)),
            }
        }
        let path = self.path.clone();
        Err(match denied {
            Some(source) => ImageError::Open { pid, path, source },
            None => ImageError::Replaced { pid, path },
        })
    }

    /// Whether an opened file is the mapped one, by device and inode.
    fn is_same(&self, file: &File) -> bool {
        let Ok(found) = file.metadata() else {
            return false;
        };
        let device = (libc::major(found.dev()), libc::minor(found.dev()));
        // btrfs and overlayfs give stat(2) another device number than maps shows; the inode is the same.
        let device_differs_by_design = || {
            fstatfs(file).is_ok_and(|fs| {
                [BTRFS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC].contains(&fs.filesystem_type())
            })
        };
        found.is_file()
            && found.ino() == self.inode
            && (device == self.device || device_differs_by_design())
    }
}

impl Image {
    /// Parses a file and places it where `mappings` say.
    fn parse(file: &ElfFile, mappings: &[Mapping]) -> Result<Image, ImageError> {
        let segments = file.segments()?;
        let bias = load_bias(&segments, mappings).ok_or_else(|| ImageError::NotPlaced {
            path: file.path.clone(),
        })?;
        let headers = file.section_headers()?;
        let names = file.section_names(&headers)?;
        let mut sections = HashMap::new();
        for header in &headers {
            if header.sh_flags & u64::from(SHF_ALLOC) != 0
                && let Some(name) = name_at(&names, header.sh_name)
            {
                let address = header.sh_addr.wrapping_add(bias);
                sections
                    .entry(name.to_owned())
                    .or_insert((address, header.sh_size));
            }
        }
        Ok(Image {
            path: file.path.clone(),
            bias,
            sections,
            symbols: file.symbol_tables(&headers)?,
            build_id: file.build_id(&segments),
            segments,
        })
    }

    /// The file's path in the target's mount namespace.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is added (wrapping) to an address of the file to get the target's: 0 for programs that are not
    /// position-independent.
    #[must_use]
    pub fn bias(&self) -> u64 {
        self.bias
    }

    /// Where the symbol `name` lies; from `.dynsym`, else `.symtab`.
    #[must_use]
    pub fn symbol(&self, name: &str) -> Option<u64> {
        self.find(name)
            .map(|symbol| symbol.st_value.wrapping_add(self.bias))
    }

    /// How many bytes the symbol `name` has; `None` when it is not there or its size is not recorded.
    #[must_use]
    pub fn symbol_size(&self, name: &str) -> Option<u64> {
        self.find(name)
            .map(|symbol| symbol.st_size)
            .filter(|&size| size != 0)
    }

    /// Address and size of the section `name`, if it is one that is loaded.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<(u64, u64)> {
        self.sections.get(name).copied()
    }

    /// First address and the one behind the last of each writable segment: `.data`, `.bss` and the like.
    #[must_use]
    pub fn writable_ranges(&self) -> Vec<(u64, u64)> {
        self.ranges(|segment| segment.writable)
    }

    /// As [`Image::writable_ranges`], for the segments that are not writable: code and constants.
    #[must_use]
    pub fn readonly_ranges(&self) -> Vec<(u64, u64)> {
        self.ranges(|segment| !segment.writable)
    }

    /// The GNU build id.
    #[must_use]
    pub fn build_id(&self) -> Option<&[u8]> {
        self.build_id.as_deref()
    }

    fn find(&self, name: &str) -> Option<Sym> {
        self.symbols.iter().find_map(|table| table.find(name))
    }

    fn ranges(&self, keep: impl Fn(&Segment) -> bool) -> Vec<(u64, u64)> {
        self.segments
            .iter()
            .filter(|segment| segment.is_load && segment.memory_size > 0 && keep(segment))
            .map(|segment| {
                let start = segment.address.wrapping_add(self.bias);
                (start, start.saturating_add(segment.memory_size))
            })
            .collect()
    }
}

/// What rsamp uses of a program header.
#[derive(Debug, Clone, Copy)]
struct Segment {
    is_load: bool,
    is_note: bool,
    writable: bool,
    executable: bool,
    offset: u64,
    address: u64,
    file_size: u64,
    memory_size: u64,
    align: u64,
}

impl From<&ProgramHeader> for Segment {
    fn from(header: &ProgramHeader) -> Segment {
        Segment {
            is_load: header.p_type == PT_LOAD,
            is_note: header.p_type == PT_NOTE,
            writable: header.p_flags & PF_W != 0,
            executable: header.p_flags & PF_X != 0,
            offset: header.p_offset,
            address: header.p_vaddr,
            file_size: header.p_filesz,
            memory_size: header.p_memsz,
            align: header.p_align,
        }
    }
}

/// The difference between the target's addresses and the file's, from the first executable mapping that shows
/// bytes of an executable segment. Others are left alone: at their edges two segments share a page of the file.
fn load_bias(segments: &[Segment], mappings: &[Mapping]) -> Option<u64> {
    let code = mappings.iter().filter(|mapping| mapping.executable);
    code.flat_map(|mapping| segments.iter().map(move |segment| (mapping, segment)))
        .find(|(mapping, segment)| {
            segment.is_load
                && segment.executable
                && mapping.offset < segment.offset.saturating_add(segment.file_size)
                && segment.offset < mapping.offset.saturating_add(mapping.size())
        })
        .map(|(mapping, segment)| {
            let offset_in_segment = mapping.offset.wrapping_sub(segment.offset);
            mapping
                .start
                .wrapping_sub(segment.address.wrapping_add(offset_in_segment))
        })
}

/// A symbol table and its names, as they are in the file.
#[derive(Debug)]
struct SymbolTable {
    symbols: Vec<u8>,
    names: Vec<u8>,
    count: usize,
    context: Ctx,
}

impl SymbolTable {
    fn find(&self, name: &str) -> Option<Sym> {
        let table = Symtab::parse(&self.symbols, 0, self.count, self.context).ok()?;
        table.iter().find(|symbol| {
            // Undefined symbols and offsets into thread-local storage are no addresses.
            let is_address =
                symbol.st_shndx != 0 && symbol.st_value != 0 && symbol.st_type() != STT_TLS;
            is_address && has_name(&self.names, symbol.st_name, name)
        })
    }
}

fn has_name(names: &[u8], at: usize, name: &str) -> bool {
    names
        .get(at..)
        .and_then(|rest| rest.strip_prefix(name.as_bytes()))
        .is_some_and(|rest| rest.first() == Some(&0))
}

fn name_at(names: &[u8], at: usize) -> Option<&str> {
    let rest = names.get(at..)?;
    let end = rest.iter().position(|&byte| byte == 0)?;
    std::str::from_utf8(&rest[..end]).ok()
}

/// An opened ELF file with its header.
struct ElfFile {
    file: File,
    path: PathBuf,
    length: u64,
    header: Header,
    context: Ctx,
}

impl ElfFile {
    fn new(file: File, path: &Path) -> Result<ElfFile, ImageError> {
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        let start = read_range(&file, path, length, 0, length.min(MAX_HEADER))?;
        let parsed = Elf::parse_header(&start).and_then(|header| {
            let context = Ctx::new(header.container()?, header.endianness()?);
            Ok((header, context))
        });
        let (header, context) = parsed.map_err(|source| elf_error(path, source))?;
        Ok(ElfFile {
            file,
            path: path.to_owned(),
            length,
            header,
            context,
        })
    }

    fn read(&self, offset: u64, length: u64) -> Result<Vec<u8>, ImageError> {
        read_range(&self.file, &self.path, self.length, offset, length)
    }

    fn error(&self, source: goblin::error::Error) -> ImageError {
        elf_error(&self.path, source)
    }

    fn segments(&self) -> Result<Vec<Segment>, ImageError> {
        let count = usize::from(self.header.e_phnum);
        let bytes = self.read(
            self.header.e_phoff,
            (count * ProgramHeader::size(self.context)) as u64,
        )?;
        let headers = ProgramHeader::parse(&bytes, 0, count, self.context);
        Ok(headers
            .map_err(|source| self.error(source))?
            .iter()
            .map(Segment::from)
            .collect())
    }

    /// The section headers; none where they have been stripped.
    fn section_headers(&self) -> Result<Vec<SectionHeader>, ImageError> {
        let count = usize::from(self.header.e_shnum);
        if count == 0 || self.header.e_shoff == 0 {
            return Ok(Vec::new());
        }
        let bytes = self.read(
            self.header.e_shoff,
            (count * SectionHeader::size(self.context)) as u64,
        )?;
        SectionHeader::parse_from(&bytes, 0, count, self.context)
            .map_err(|source| self.error(source))
    }

    fn section_names(&self, headers: &[SectionHeader]) -> Result<Vec<u8>, ImageError> {
        match headers.get(usize::from(self.header.e_shstrndx)) {
            Some(header) => self.read(header.sh_offset, header.sh_size),
            None => Ok(Vec::new()),
        }
    }

    /// `.dynsym` first, then `.symtab`.
    fn symbol_tables(&self, headers: &[SectionHeader]) -> Result<Vec<SymbolTable>, ImageError> {
        if headers.is_empty() {
            return self.dynamic_symbols();
        }
        let of_kind = |kind| headers.iter().filter(move |header| header.sh_type == kind);
        let mut tables = Vec::new();
        for header in of_kind(SHT_DYNSYM).chain(of_kind(SHT_SYMTAB)) {
            let Some(names) = headers.get(header.sh_link as usize) else {
                continue;
            };
            let symbols = self.read(header.sh_offset, header.sh_size)?;
            tables.push(SymbolTable {
                count: symbols.len() / Sym::size(self.context.container),
                symbols,
                names: self.read(names.sh_offset, names.sh_size)?,
                context: self.context,
            });
        }
        Ok(tables)
    }

    /// The symbols of a file without section headers, through its dynamic table.
    fn dynamic_symbols(&self) -> Result<Vec<SymbolTable>, ImageError> {
        if self.length > MAX_SECTIONLESS_FILE {
            return Ok(Vec::new());
        }
        let bytes = self.read(0, self.length)?;
        let elf = Elf::parse(&bytes).map_err(|source| self.error(source))?;
        let Some(dynamic) = &elf.dynamic else {
            return Ok(Vec::new());
        };
        let count = elf.dynsyms.len();
        let range = |start: usize, size: usize| {
            let end = start.saturating_add(size).min(bytes.len());
            bytes.get(start..end).unwrap_or_default().to_vec()
        };
        Ok(vec![SymbolTable {
            symbols: range(
                dynamic.info.symtab,
                count.saturating_mul(Sym::size(self.context.container)),
            ),
            names: range(dynamic.info.strtab, dynamic.info.strsz),
            count,
            context: self.context,
        }])
    }

    /// The build id, if there is one and it can be read: it is a check, not a need.
    fn build_id(&self, segments: &[Segment]) -> Option<Vec<u8>> {
        segments
            .iter()
            .filter(|segment| segment.is_note)
            .find_map(|segment| {
                let notes = self.read(segment.offset, segment.file_size).ok()?;
                parse_build_id(&notes, segment.align, self.context.le.is_little())
            })
    }
}

/// Reads exactly a range that a header names, after a look at whether the file can hold it.
fn read_range(
    file: &File,
    path: &Path,
    file_length: u64,
    offset: u64,
    length: u64,
) -> Result<Vec<u8>, ImageError> {
    let fits = offset
        .checked_add(length)
        .is_some_and(|end| end <= file_length)
        && length <= MAX_TABLE;
    let read = || {
        if !fits {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        let mut bytes = vec![0; length as usize];
        file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    };
    read().map_err(|source| ImageError::Read {
        path: path.to_owned(),
        offset,
        length,
        source,
    })
}

fn elf_error(path: &Path, source: goblin::error::Error) -> ImageError {
    ImageError::Elf {
        path: path.to_owned(),
        source,
    }
}

/// Finds the GNU build id among ELF notes (elf(5)): name size, descriptor size, type, name, descriptor,
/// the latter two padded to `align` (4, or 8 where the segment says so).
fn parse_build_id(mut notes: &[u8], align: u64, little_endian: bool) -> Option<Vec<u8>> {
    const NT_GNU_BUILD_ID: u32 = 3;
    let align = if align == 8 { 8 } else { 4 };
    loop {
        let word = |at: usize| {
            let bytes: [u8; 4] = notes.get(at..at + 4)?.try_into().ok()?;
            Some(if little_endian {
                u32::from_le_bytes(bytes)
            } else {
                u32::from_be_bytes(bytes)
            })
        };
        let (name_size, size, kind) = (word(0)? as usize, word(4)? as usize, word(8)?);
        let start = 12_usize
            .checked_add(name_size)?
            .checked_next_multiple_of(align)?;
        let end = start.checked_add(size)?;
        let name = notes.get(12..12 + name_size)?;
        let id = notes.get(start..end)?;
        if kind == NT_GNU_BUILD_ID && name == b"GNU\0" {
            return Some(id.to_vec());
        }
        notes = notes.get(end.checked_next_multiple_of(align)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::maps::parse_maps;

    fn segment(flags: &str, offset: u64, address: u64, size: u64) -> Segment {
        Segment {
            is_load: true,
            is_note: false,
            writable: flags.contains('w'),
            executable: flags.contains('x'),
            offset,
            address,
            file_size: size,
            memory_size: size,
            align: 0x1000,
        }
    }

    /// As where `/proc/PID/map_files` is closed: no mapping of ours has these addresses.
    #[test]
    fn a_mapped_file_that_became_a_pipe_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libpython_x.so");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let maps = format!("1000-2000 r-xp 0 08:01 7 {}\n", path.display());
        let file = mapped_files(parse_maps(&maps).unwrap()).remove(0);
        let process = Process::open(Pid(std::process::id() as i32)).unwrap();
        let error = file.open(&process).unwrap_err();
        assert!(matches!(error, ImageError::Replaced { .. }), "{error}");
    }

    fn bias(segments: &[Segment], maps: &str) -> Option<u64> {
        load_bias(segments, &parse_maps(maps).unwrap())
    }

    #[test]
    fn a_library_whose_code_is_not_its_first_segment_is_placed_by_its_code() {
        let segments = [
            segment("r", 0, 0, 0x5000),
            segment("rx", 0x5ff0, 0x6ff0, 0x1010),
            segment("rw", 0x7000, 0x9000, 0x100),
        ];
        let maps = "7f0000000000-7f0000005000 r--p 0 08:01 7 /x\n\
                    7f0000006000-7f0000008000 r-xp 5000 08:01 7 /x\n";
        assert_eq!(bias(&segments, maps), Some(0x7f00_0000_0000));
    }

    #[test]
    fn a_program_at_fixed_addresses_has_no_bias() {
        let segments = [
            segment("r", 0, 0x40_0000, 0x500),
            segment("rx", 0x1000, 0x40_1000, 0x2000),
        ];
        let maps = "400000-401000 r--p 0 08:01 7 /x\n401000-403000 r-xp 1000 08:01 7 /x\n";
        assert_eq!(bias(&segments, maps), Some(0));
    }

    #[test]
    fn code_split_in_two_mappings_gives_the_same_bias() {
        let segments = [segment("rx", 0x1000, 0x1000, 0x3000)];
        let maps = "55002000-55004000 r-xp 2000 08:01 7 /x\n";
        assert_eq!(bias(&segments, maps), Some(0x5500_0000));
    }

    #[test]
    fn a_mapping_that_shows_no_code_of_the_file_places_nothing() {
        let segments = [segment("rx", 0x1000, 0x1000, 0x1000)];
        assert_eq!(bias(&segments, "5000-6000 r-xp 8000 08:01 7 /x\n"), None);
        assert_eq!(bias(&segments, "5000-6000 r--p 1000 08:01 7 /x\n"), None);
    }

    #[test]
    fn files_are_grouped_by_inode_and_kept_when_they_have_code() {
        let maps = "1000-2000 r--p 0 08:01 7 /lib/a\n2000-3000 r-xp 0 08:01 7 /lib/a\n\
                    3000-4000 r--p 0 08:01 8 /data\n4000-5000 r-xp 0 08:02 7 /lib/b (deleted)\n\
                    5000-6000 r-xp 0 00:00 0 [vdso]\n6000-7000 rw-p 0 08:01 7 /lib/a\n";
        let files = mapped_files(parse_maps(maps).unwrap());
        let summary: Vec<_> = files
            .iter()
            .map(|file| {
                (
                    file.path.to_str().unwrap(),
                    file.mappings.len(),
                    file.deleted,
                )
            })
            .collect();
        assert_eq!(summary, [("/lib/a", 3, false), ("/lib/b", 1, true)]);
    }

    #[test]
    fn the_build_id_is_found_behind_other_notes() {
        let note = |name: &[u8], kind: u32, descriptor: &[u8]| {
            let mut out = Vec::new();
            for word in [name.len() as u32, descriptor.len() as u32, kind] {
                out.extend(word.to_le_bytes());
            }
            for part in [name, descriptor] {
                out.extend(part);
                out.resize(out.len().next_multiple_of(4), 0);
            }
            out
        };
        let notes = [
            note(b"GNU\0", 1, &[1, 2, 3]),
            note(b"Go\0", 3, b"x"),
            note(b"GNU\0", 3, &[9; 20]),
        ]
        .concat();
        assert_eq!(parse_build_id(&notes, 4, true), Some(vec![9; 20]));
        for length in 0..notes.len() {
            assert_eq!(
                parse_build_id(&notes[..length], 4, true),
                None,
                "cut to {length}"
            );
        }
        assert_eq!(parse_build_id(&[0xff; 64], 4, true), None);
    }

    /// This test program itself, as an image that is certainly well formed.
    fn own_image() -> (Vec<u8>, MappedFile) {
        let process = Process::open(Pid(std::process::id() as i32)).unwrap();
        let exe = process.exe().unwrap();
        let file = process
            .images()
            .unwrap()
            .into_iter()
            .find(|file| file.path == exe)
            .unwrap();
        (std::fs::read(exe).unwrap(), file)
    }

    #[test]
    fn our_own_symbols_are_where_we_run() {
        let process = Process::open(Pid(std::process::id() as i32)).unwrap();
        let (_, file) = own_image();
        let image = file.load(&process).unwrap();
        let main = image.symbol("main").unwrap();
        assert!(
            file.mappings
                .iter()
                .any(|mapping| mapping.executable && mapping.contains(main))
        );
        let (text, size) = image.section(".text").unwrap();
        assert!((text..text + size).contains(&main));
        assert_eq!(image.symbol("no such symbol"), None);
        let writable = image.writable_ranges();
        let (data, _) = image.section(".data").unwrap();
        assert!(
            writable
                .iter()
                .any(|&(start, end)| (start..end).contains(&data))
        );
        assert!(!image.readonly_ranges().is_empty());
    }

    #[test]
    fn by_path_only_the_mapped_file_is_accepted() {
        let (_, file) = own_image();
        let same = File::open(&file.path).unwrap();
        assert!(file.is_same(&same));
        assert!(!file.is_same(&File::open("/proc/self/maps").unwrap()));
        let other = MappedFile {
            inode: file.inode + 1,
            ..file
        };
        assert!(!other.is_same(&same));
    }

    #[test]
    fn damaged_headers_are_refused_without_a_panic() {
        let (bytes, file) = own_image();
        // Headers lie at both ends of a file; the middle would only change code.
        let head: Vec<u8> = bytes[..4096].to_vec();
        let parse = |bytes: &[u8]| {
            let mut target = tempfile::tempfile().unwrap();
            io::Write::write_all(&mut target, bytes).unwrap();
            ElfFile::new(target, Path::new("damaged"))
                .and_then(|elf| Image::parse(&elf, &file.mappings))
        };
        for at in 0..0x300 {
            for value in [0, 1, 0x7f, 0xff] {
                let mut damaged = head.clone();
                damaged[at] = value;
                let _ = parse(&damaged);
            }
        }
        for length in (0..0x400).chain([0x800, 0xfff]) {
            assert!(parse(&head[..length]).is_err(), "cut to {length}");
        }
    }
}
