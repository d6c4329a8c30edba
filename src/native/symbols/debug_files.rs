//! Turns what a module says of its debug files into these, opened and compared with it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use lzma_rust2::XzReader;

use super::module::Module;
use crate::process::{ReadBudget, memory_file};

/// Where distributions install debug files.
const GLOBAL: &str = "/usr/lib/debug";

/// Notes and links are smaller.
const MAX_NOTE_BYTES: u64 = 4 << 10;

/// Linkers make build ids of 16 or 20 bytes.
const MAX_BUILD_ID_BYTES: usize = 64;

/// `.gnu_debugdata` has the function symbols of one library: Fedora's largest have some MB.
const MAX_EMBEDDED_BYTES: u64 = 64 << 20;

/// What its decompression may take, in KiB.
const MAX_XZ_MEMORY_KIB: u32 = 64 << 10;

/// Opens debug files with the rights of whoever has named them: the module of a target names files, too.
pub trait DebugFiles {
    /// Opens the file at a path as the target sees it, if it is a regular one.
    ///
    /// # Errors
    /// What the kernel says.
    fn open(&self, path: &Path) -> io::Result<File>;

    /// A folder in which the user has debug files, searched before those of the machine.
    fn folder(&self) -> Option<&Path> {
        None
    }
}

/// What tells a build of a program or library from others (`NT_GNU_BUILD_ID`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildId(Vec<u8>);

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl BuildId {
    fn new(bytes: &[u8]) -> Option<BuildId> {
        let is_one = bytes.len() >= 2 && bytes.len() <= MAX_BUILD_ID_BYTES;
        is_one.then(|| BuildId(bytes.to_vec()))
    }

    /// Of a module, by its note: sizes of name and description, the type, the name, the description.
    pub(super) fn of(module: &Module, budget: &mut ReadBudget) -> Option<BuildId> {
        const NT_GNU_BUILD_ID: usize = 3;
        let note = small_section(module, ".note.gnu.build-id", budget)?;
        let word = |at: usize| word(&note, at, module.elf.is_little_endian());
        let (name, length, kind) = (word(0)?, word(4)?, word(8)?);
        let start = 12 + name.checked_next_multiple_of(4)?;
        let is_it = kind == NT_GNU_BUILD_ID && note.get(12..16) == Some(b"GNU\0");
        BuildId::new(note.get(start..start.checked_add(length)?)?).filter(|_| is_it)
    }

    /// The path of its debug file below a folder of debug files.
    fn path_below(&self, folder: &Path) -> PathBuf {
        let text = self.to_string();
        let (first, rest) = text.split_at(2);
        folder
            .join(".build-id")
            .join(first)
            .join(format!("{rest}.debug"))
    }
}

/// The debug file of a module: by its build id, else by its link.
pub(super) fn separate(
    module: &Module,
    debug_files: &dyn DebugFiles,
    budget: &mut ReadBudget,
) -> Option<Module> {
    let id = BuildId::of(module, budget);
    if let Some(id) = &id
        && let Some(found) = by_build_id(id, debug_files, budget)
    {
        return Some(found);
    }
    let link = small_section(module, ".gnu_debuglink", budget)?;
    let (name, rest) = name_and_rest(&link)?;
    // The checksum follows on the next multiple of four.
    let at = (link.len() - rest.len()).next_multiple_of(4);
    let checksum = word(&link, at, module.elf.is_little_endian())? as u32;
    let folder = module.elf.path().parent()?;
    let global = Path::new(GLOBAL).join(folder.strip_prefix("/").unwrap_or(folder));
    let folders = [folder.to_owned(), folder.join(".debug"), global];
    let wished = debug_files.folder().map(Path::to_owned);
    let mut paths = wished
        .into_iter()
        .chain(folders)
        .map(|folder| folder.join(name));
    paths.find_map(|path| {
        let found = open(&path, debug_files)?;
        let is_it = match (&id, BuildId::of(&found, budget)) {
            (Some(id), Some(found)) => *id == found,
            _ => checksum_of(debug_files.open(&path).ok()?, budget)? == checksum,
        };
        // Without a debug file, the link of an unstripped module may lead to itself.
        is_it.then_some(found)
    })
}

/// The file to which dwz has moved what the debug files of a package share, by `.gnu_debugaltlink`: a path, and its build id.
pub(super) fn shared(
    module: &Module,
    debug_files: &dyn DebugFiles,
    budget: &mut ReadBudget,
) -> Option<Module> {
    let link = small_section(module, ".gnu_debugaltlink", budget)?;
    let (name, id) = name_and_rest(&link)?;
    let id = BuildId::new(id)?;
    if let Some(found) = by_build_id(&id, debug_files, budget) {
        return Some(found);
    }
    let path = module.elf.path().parent()?.join(name);
    let found = open(&path, debug_files)?;
    (BuildId::of(&found, budget)? == id).then_some(found)
}

/// The symbols that Fedora leaves in stripped files: an ELF file, compressed with xz, in `.gnu_debugdata`.
pub(super) fn embedded(module: &Module, budget: &mut ReadBudget) -> Option<Module> {
    let compressed = module.section(".gnu_debugdata", budget)?;
    let decoder = XzReader::new_mem_limit(compressed.as_slice(), false, MAX_XZ_MEMORY_KIB);
    let mut file = memory_file(c"debugdata").ok()?;
    let mut decoder = decoder.take(MAX_EMBEDDED_BYTES);
    let mut piece = [0; 64 << 10];
    loop {
        let length = decoder.read(&mut piece).ok()?;
        if length == 0 {
            break;
        }
        budget.take(length as u64).then_some(())?;
        file.write_all(&piece[..length]).ok()?;
    }
    Module::open(file, module.elf.path()).ok()
}

fn by_build_id(
    id: &BuildId,
    debug_files: &dyn DebugFiles,
    budget: &mut ReadBudget,
) -> Option<Module> {
    let folders = debug_files.folder().into_iter().chain([Path::new(GLOBAL)]);
    let mut paths = folders.map(|folder| id.path_below(folder));
    paths.find_map(|path| {
        let found = open(&path, debug_files)?;
        (BuildId::of(&found, budget).as_ref() == Some(id)).then_some(found)
    })
}

fn open(path: &Path, debug_files: &dyn DebugFiles) -> Option<Module> {
    Module::open(debug_files.open(path).ok()?, path).ok()
}

/// CRC-32 of a whole file, as `objcopy --add-gnu-debuglink` computes it.
fn checksum_of(mut file: File, budget: &mut ReadBudget) -> Option<u32> {
    let mut hasher = crc32fast::Hasher::new();
    let mut piece = vec![0; 1 << 20];
    loop {
        let length = file.read(&mut piece).ok()?;
        if length == 0 {
            return Some(hasher.finalize());
        }
        budget.take(length as u64).then_some(())?;
        hasher.update(&piece[..length]);
    }
}

fn small_section(module: &Module, name: &str, budget: &mut ReadBudget) -> Option<Vec<u8>> {
    let headers = module.elf.headers_of(&module.sections, name).ok()?;
    let header = headers
        .first()
        .filter(|header| header.sh_size <= MAX_NOTE_BYTES)?;
    module.elf.bytes_of(header, budget).ok()
}

/// A name that ends with a zero byte, and what follows it; `None` where it is empty.
fn name_and_rest(bytes: &[u8]) -> Option<(&Path, &[u8])> {
    use std::os::unix::ffi::OsStrExt;
    let end = bytes
        .iter()
        .position(|byte| *byte == 0)
        .filter(|end| *end > 0)?;
    let name = std::ffi::OsStr::from_bytes(&bytes[..end]);
    Some((Path::new(name), &bytes[end + 1..]))
}

fn word(bytes: &[u8], at: usize, is_little_endian: bool) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
    Some(match is_little_endian {
        true => u32::from_le_bytes(bytes),
        false => u32::from_be_bytes(bytes),
    } as usize)
}
