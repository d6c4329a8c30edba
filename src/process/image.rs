//! Turns an ELF file mapped into a process into what is wanted of it, at its runtime addresses.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use goblin::elf::sym::Sym;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::Mode;
use nix::sys::statfs::{BTRFS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC, fstatfs};
use rustc_hash::FxHashMap;

use super::elf::{ElfFile, Segment};
use super::file_systems::FileSystems;
use super::image_error::ImageError;
use super::read_budget::ReadBudget;
use super::regular_file::open_looked_at;
use super::{Mapping, Process, ProcessError, open_regular, with_memory};
use crate::sys;

/// Of a file that is mapped in more ranges than this, the others are not asked for. The loader maps some five.
const MAX_LINKS: usize = 64;

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

/// What is wanted of one ELF file that is mapped into a process. All addresses are the target's.
#[derive(Debug)]
pub struct Image {
    bias: u64,
    segments: Vec<Segment>,
    section: Option<(u64, u64)>,
    symbols: FxHashMap<&'static str, u64>,
}

/// What to look for in a file.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Names of symbols.
    pub symbols: &'static [&'static str],
    /// The name of a section that is loaded.
    pub section: &'static str,
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
    /// Opens the file and looks for what is wanted, as far as `budget` goes. Waits for the file system.
    ///
    /// # Errors
    /// When the mapped file cannot be reached, is no ELF file that fits its mappings, or is too large.
    pub fn load(
        &self,
        process: &Process,
        wanted: Wanted,
        budget: &mut ReadBudget,
    ) -> Result<Image, ImageError> {
        self.parse(self.open(process)?, wanted, budget)
    }

    /// What tells the file from others; `None` when it is not at its path any more. Waits for the file system.
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

    /// Finds the file without waiting for any file system that may stall, on the way to it either; `None`: it is on
    /// such a one, or was not found.
    #[must_use]
    pub fn find_local(&self, process: &Process, file_systems: &FileSystems) -> Option<LocalFile> {
        if file_systems.may_stall(self.device) {
            return None;
        }
        let owner = with_memory(process.pid());
        let links = self.mappings.iter().take(MAX_LINKS).map(|mapping| {
            let (start, end) = (mapping.start, mapping.end);
            format!("/proc/{owner}/map_files/{start:x}-{end:x}")
        });
        // The kernel follows these links to the file, without a look at any folder.
        let links = links.chain([format!("/proc/{owner}/exe")]);
        let looked_at = links.filter_map(|link| {
            let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
            nix::fcntl::open(Path::new(&link), flags, Mode::empty()).ok()
        });
        let by_path = std::iter::once_with(|| {
            let root = Path::new("/proc").join(owner.to_string()).join("root");
            look_up_cached(&root, self.path.strip_prefix("/").ok()?).ok()
        });
        let mut looked_at = looked_at.chain(by_path.flatten());
        let device = libc::makedev(self.device.0, self.device.1);
        let is_it = |looked_at: &OwnedFd| {
            let found = sys::known_file(&format!("/proc/self/fd/{}", looked_at.as_raw_fd()));
            found.is_ok_and(|found| {
                // btrfs and overlayfs give stat(2) another device number than maps shows.
                let is_on_it = found.device == device || file_systems.is_local(looked_at);
                found.inode == self.inode && is_on_it
            })
        };
        looked_at.find(is_it).map(LocalFile)
    }

    /// As [`MappedFile::load`], of a file that was found; does not wait.
    ///
    /// # Errors
    /// As [`MappedFile::load`].
    pub fn load_local(
        &self,
        process: &Process,
        LocalFile(found): &LocalFile,
        wanted: Wanted,
        budget: &mut ReadBudget,
    ) -> Result<Image, ImageError> {
        let file = open_looked_at(found).map_err(|source| ImageError::Open {
            pid: process.pid(),
            path: self.path.clone(),
            source,
        })?;
        self.parse(file, wanted, budget)
    }

    fn parse(
        &self,
        file: File,
        wanted: Wanted,
        budget: &mut ReadBudget,
    ) -> Result<Image, ImageError> {
        let file = ElfFile::new(file, &self.path)?;
        Image::parse(&file, &self.path, &self.mappings, wanted, budget)
    }

    /// Opens the mapped file itself: through `map_files`, which leads to it even if deleted or in another mount
    /// namespace but asks for privileges (CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE), else by its path, checked. Waits for
    /// the file system.
    ///
    /// # Errors
    /// When the mapped file can't be reached.
    pub fn open(&self, process: &Process) -> Result<File, ImageError> {
        let pid = process.pid();
        let owner = with_memory(pid);
        for mapping in self.mappings.iter().take(MAX_LINKS) {
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

/// A mapped file that was found, on a file system that does not stall; it was not opened for reading yet.
#[derive(Debug)]
pub struct LocalFile(OwnedFd);

impl LocalFile {
    /// What tells the file from others.
    #[must_use]
    pub fn stamp(&self) -> Option<FileStamp> {
        let found = nix::sys::stat::fstat(&self.0).ok()?;
        Some(FileStamp {
            device: found.st_dev,
            inode: found.st_ino,
            size_bytes: u64::try_from(found.st_size).ok()?,
            changed: (found.st_mtime, found.st_mtime_nsec),
        })
    }
}

/// Looks for a file below a folder, as far as the kernel knows the way already: the names on it are those of folders that
/// a mapped file keeps in the kernel's memory.
fn look_up_cached(folder: &Path, path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    let folder = nix::fcntl::open(folder, flags | OFlag::O_DIRECTORY, Mode::empty())?;
    let resolve = ResolveFlag::RESOLVE_IN_ROOT
        | ResolveFlag::RESOLVE_NO_MAGICLINKS
        | ResolveFlag::from_bits_retain(libc::RESOLVE_CACHED);
    let how = OpenHow::new().flags(flags).resolve(resolve);
    Ok(openat2(&folder, path, how)?)
}

impl Image {
    /// Parses a file and places it where `mappings` say.
    fn parse(
        file: &ElfFile,
        path: &Path,
        mappings: &[Mapping],
        wanted: Wanted,
        budget: &mut ReadBudget,
    ) -> Result<Image, ImageError> {
        let segments = file.segments()?;
        let bias = load_bias(&segments, mappings).ok_or_else(|| ImageError::NotPlaced {
            path: path.to_owned(),
        })?;
        let sections = file.sections()?;
        let section = file.section(&sections, wanted.section)?;
        let symbols = file.symbols(wanted.symbols, &sections, &segments, budget)?;
        let placed = |(name, symbol): (_, Sym)| (name, symbol.st_value.wrapping_add(bias));
        Ok(Image {
            bias,
            section: section.map(|(address, size)| (address.wrapping_add(bias), size)),
            symbols: symbols.into_iter().map(placed).collect(),
            segments,
        })
    }

    /// Where the wanted symbol `name` lies; from `.dynsym`, else `.symtab`.
    #[must_use]
    pub fn symbol(&self, name: &str) -> Option<u64> {
        self.symbols.get(name).copied()
    }

    /// Address and size of the wanted section.
    #[must_use]
    pub fn section(&self) -> Option<(u64, u64)> {
        self.section
    }

    /// First address and the one behind the last of each writable segment: `.data`, `.bss` and the like.
    #[must_use]
    pub fn writable_ranges(&self) -> Vec<(u64, u64)> {
        let segments = self.segments.iter();
        segments
            .filter(|segment| segment.is_load && segment.memory_size > 0 && segment.writable)
            .map(|segment| {
                let start = segment.address.wrapping_add(self.bias);
                (start, start.saturating_add(segment.memory_size))
            })
            .collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Pid;
    use crate::process::maps::parse_maps;

    fn segment(flags: &str, offset: u64, address: u64, size: u64) -> Segment {
        Segment {
            is_load: true,
            is_dynamic: false,
            writable: flags.contains('w'),
            executable: flags.contains('x'),
            offset,
            address,
            file_size: size,
            memory_size: size,
        }
    }

    /// As where `/proc/PID/map_files` is closed: no mapping of ours has these addresses.
    #[test]
    fn a_mapped_file_that_became_a_pipe_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libpython_x.so");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let maps = format!("1000-2000 r-xp 0 08:01 7 {}\n", path.display());
        let file = mapped_files(parse_maps(maps.as_bytes()).unwrap()).remove(0);
        let process = Process::open(Pid(std::process::id() as i32)).unwrap();
        let error = file.open(&process).unwrap_err();
        assert!(matches!(error, ImageError::Replaced { .. }), "{error}");
    }

    fn bias(segments: &[Segment], maps: &str) -> Option<u64> {
        load_bias(segments, &parse_maps(maps.as_bytes()).unwrap())
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
        let files = mapped_files(parse_maps(maps.as_bytes()).unwrap());
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
        let load = |section| {
            let symbols = &["main", "no such symbol"];
            let wanted = Wanted { symbols, section };
            file.load(&process, wanted, &mut ReadBudget::whole())
                .unwrap()
        };
        let image = load(".text");
        let main = image.symbol("main").unwrap();
        assert!(
            file.mappings
                .iter()
                .any(|mapping| mapping.executable && mapping.contains(main))
        );
        let (text, size) = image.section().unwrap();
        assert!((text..text + size).contains(&main));
        assert_eq!(image.symbol("no such symbol"), None);
        let writable = image.writable_ranges();
        let (data, _) = load(".data").section().unwrap();
        assert!(
            writable
                .iter()
                .any(|&(start, end)| (start..end).contains(&data))
        );
        assert_eq!(load(".no_such_section").section(), None);
    }

    #[test]
    fn only_a_file_on_a_file_system_that_is_known_to_be_local_is_read_here() {
        let process = Process::open(Pid(std::process::id() as i32)).unwrap();
        let (_, file) = own_image();
        let file_systems = FileSystems::of(process.pid());
        let found = file.find_local(&process, &file_systems).unwrap();
        assert_eq!(found.stamp(), file.stamp(&process));
        let wanted = Wanted {
            symbols: &["main"],
            section: ".text",
        };
        let budget = &mut ReadBudget::whole();
        let here = file.load_local(&process, &found, wanted, budget).unwrap();
        let there = file.load(&process, wanted, budget).unwrap();
        assert_eq!(here.symbol("main"), there.symbol("main"));
        let unknown = FileSystems::default();
        assert!(file.find_local(&process, &unknown).is_none());
        let other = MappedFile {
            inode: file.inode + 1,
            ..file.clone()
        };
        assert!(other.find_local(&process, &file_systems).is_none());
        // Without the links of `/proc`: by a path that the kernel knows already, where it can be asked for that (5.12).
        match look_up_cached(
            Path::new("/proc/self/root"),
            file.path.strip_prefix("/").unwrap(),
        ) {
            Ok(found) => assert_eq!(LocalFile(found).stamp(), file.stamp(&process)),
            Err(error) => assert!(matches!(
                error.raw_os_error(),
                Some(libc::EINVAL | libc::ENOSYS)
            )),
        }
    }

    /// The C library, in which the symbols are where its dynamic table says.
    #[test]
    fn symbols_are_found_without_section_headers() {
        let process = Process::open(Pid(std::process::id() as i32)).unwrap();
        let is_libc = |file: &MappedFile| {
            let name = file
                .path
                .file_name()
                .unwrap()
                .to_string_lossy()
                .into_owned();
            name.starts_with("libc.so") || name.starts_with("libc-")
        };
        let file = process.images().unwrap().into_iter().find(is_libc).unwrap();
        let wanted = Wanted {
            symbols: &["malloc", "qsort", "environ", "no such symbol"],
            section: ".text",
        };
        let whole = file
            .load(&process, wanted, &mut ReadBudget::whole())
            .unwrap();
        let mut bytes = std::fs::read(&file.path).unwrap();
        // `e_shoff`, and `e_shnum` with `e_shstrndx` (elf(5)).
        bytes[0x28..0x30].fill(0);
        bytes[0x3c..0x40].fill(0);
        let mut target = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut target, &bytes).unwrap();
        let elf = ElfFile::new(target, &file.path).unwrap();
        let budget = &mut ReadBudget::whole();
        let image = Image::parse(&elf, &file.path, &file.mappings, wanted, budget).unwrap();
        assert_eq!(image.section(), None);
        assert!(image.symbol("malloc").is_some() && image.symbol("no such symbol").is_none());
        for name in wanted.symbols {
            assert_eq!(image.symbol(name), whole.symbol(name), "{name}");
        }
    }

    #[test]
    fn a_file_that_takes_too_much_is_given_up() {
        let (_, file) = own_image();
        let process = Process::open(Pid(std::process::id() as i32)).unwrap();
        let wanted = Wanted {
            symbols: &["main"],
            section: ".text",
        };
        let mut budget = ReadBudget::whole();
        while budget.take(1 << 20) {}
        let result = file.load(&process, wanted, &mut budget);
        assert!(
            matches!(result, Err(ImageError::TooLarge { .. })),
            "{result:?}"
        );
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
            let path = Path::new("damaged");
            let wanted = Wanted {
                symbols: &["main"],
                section: ".data",
            };
            let budget = &mut ReadBudget::whole();
            ElfFile::new(target, path)
                .and_then(|elf| Image::parse(&elf, path, &file.mappings, wanted, budget))
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
