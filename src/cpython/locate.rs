//! Turns a process into its CPython interpreter: which mapped file it is in, its version, its roots.
//!
//! The interpreter is found by content, never by file name, which only says where to look first: it
//! may be renamed, embedded in another program, stripped, or run by a loader named on the command
//! line. Symbols are asked first (`_PyRuntime`, exported from 3.7 on), then the section
//! `.PyRuntime` (3.13 on), then the writable data is searched for an interpreter state.

use std::path::PathBuf;

use rustc_hash::FxHashSet;
use thiserror::Error;

use super::frames::FrameFormat;
use super::image_reader::NoAnswer;
use super::known_files::KnownFiles;
use super::landmarks::Landmarks;
use super::layout::Layout;
use super::layout::debug_offsets::{self, DebugOffsets};
use super::layout::rows::{self, Row};
use super::layout::traits::{GilHome, Traits};
use super::legacy;
use super::limited::Limited;
use super::objects::{dict_entries, find};
use super::version::Version;
use crate::memory::window::word_at;
use crate::memory::{Address, Piece, ReadError, ReadMemory, Resident};
use crate::process::image::mapped_files;
use crate::process::{FileSystems, MappedFile, Mapping, Process, ProcessError, ReadBudget};

/// The most writable data of one segment that is searched; CPython's own is below 2 MiB.
const MAX_SEARCH: u64 = 64 << 20;

/// So many bytes of it are in memory at a time.
const PIECE: usize = 1 << 20;

/// By so many bytes pieces overlap: a version's text is shorter.
const OVERLAP: usize = 512;

/// The most interpreter-like pointers that are followed in one search.
const MAX_CANDIDATES: usize = 1 << 16;

/// So many of them are followed with one call.
const MAX_TOGETHER: usize = 256;

/// Files smaller than this cannot hold an interpreter: the smallest have some 2 MiB.
const MIN_FILE_BYTES: u64 = 512 << 10;

/// Where the GIL's state is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GilPlace {
    /// 3.6: the exported variable `_PyThreadState_Current`, null while nobody holds the GIL.
    Variable(Address),
    /// 3.7–3.11: in `_PyRuntime`.
    Runtime(Address),
    /// 3.12 on: each interpreter names its own.
    PerInterpreter,
    /// Not found, or there is none.
    Unknown,
}

/// An interpreter that was found, and how to read it.
#[derive(Debug, Clone)]
pub struct Interpreter {
    /// Its version.
    pub version: Version,
    /// Its offsets.
    pub layout: Layout,
    /// What offsets do not say.
    pub traits: &'static Traits,
    /// The variable that points to the first `PyInterpreterState`.
    pub interpreters_head: Address,
    /// Where to look for the holder of the GIL.
    pub gil: GilPlace,
}

impl Interpreter {
    /// How its frames are walked.
    #[must_use]
    pub fn format(&self) -> FrameFormat<'_> {
        FrameFormat {
            layout: &self.layout,
            traits: self.traits,
        }
    }
}

/// What was found.
#[derive(Debug, Clone)]
pub enum Found {
    /// An interpreter that rsamp reads itself.
    Native(Box<Interpreter>),
    /// A version before 3.6, which the py-spy crate reads.
    Legacy(Version),
}

/// Why no interpreter was found.
#[derive(Debug, Error)]
pub enum LocateError {
    /// No mapped file looks like CPython.
    #[error("no Python interpreter in process {0}")]
    NotPython(crate::process::Pid),
    /// There is an interpreter, but it has not started yet.
    #[error("the Python interpreter of process {0} has not started yet")]
    NotReady(crate::process::Pid),
    /// A version without a table.
    #[error("process {pid} runs CPython {found}, which this rsamp cannot read; it knows {known}")]
    UnknownVersion {
        /// The process.
        pid: crate::process::Pid,
        /// What was found.
        found: String,
        /// What is known.
        known: String,
    },
    /// Nothing that was read looks like CPython, and a file could not be read, for its file system does not answer.
    #[error(
        "look for a Python interpreter in process {pid}: the file system of {path:?} ({kind}) does not answer"
    )]
    NoAnswer {
        /// The process.
        pid: crate::process::Pid,
        /// The file, as the process names it.
        path: PathBuf,
        /// The kind of the file system, such as `nfs4`.
        kind: String,
    },
    /// The process could not be looked at.
    #[error("look for a Python interpreter in process {pid}")]
    Process {
        /// The process.
        pid: crate::process::Pid,
        /// Why not.
        #[source]
        source: ProcessError,
    },
    /// Its memory could not be read.
    #[error("look for a Python interpreter in process {pid}")]
    Memory {
        /// The process.
        pid: crate::process::Pid,
        /// Why not.
        #[source]
        source: ReadError,
    },
}

/// Finds the interpreter of `process`.
///
/// # Errors
/// [`LocateError::NotReady`] may pass: ask again.
pub fn locate(process: &Process, memory: &impl ReadMemory) -> Result<Found, LocateError> {
    locate_with(process, memory, &mut KnownFiles::default())
}

/// As [`locate`], and parses no file that `known` holds.
///
/// # Errors
/// As [`locate`].
pub fn locate_with(
    process: &Process,
    memory: &impl ReadMemory,
    known: &mut KnownFiles,
) -> Result<Found, LocateError> {
    let pid = process.pid();
    let mappings = process
        .mappings()
        .map_err(|source| LocateError::Process { pid, source })?;
    let mut files = mapped_files(mappings.clone());
    files.retain(|file| file.mappings.iter().map(Mapping::size).sum::<u64>() >= MIN_FILE_BYTES);
    files.sort_by_key(likelihood);
    let mut result = Err(LocateError::NotPython(pid));
    let mut budget = ReadBudget::whole();
    let file_systems = FileSystems::of(pid);
    let mut answered: Vec<(u32, u32)> = Vec::new();
    for file in &files {
        let image = match known.landmarks(file, process, &file_systems, &mut budget) {
            Ok(Some(image)) => {
                answered.push(file.device);
                image
            }
            // A file that cannot be opened or parsed is not the interpreter, or not to be told.
            Ok(None) => continue,
            Err(NoAnswer) => {
                result = result.map_err(|error| or_no_answer(error, file, &file_systems));
                Landmarks::in_memory(file, process, &mappings)
            }
        };
        let is_stalling = |mapping: &&Mapping| {
            let device = mapping.device;
            mapping.is_file() && !answered.contains(&device) && file_systems.may_stall(device)
        };
        let memory = Resident::new(memory, pid, mappings.iter().filter(is_stalling));
        let limited = Limited::new(&memory, &mut budget);
        match in_image(process, &image, &limited) {
            Ok(None) => {}
            Ok(Some(found)) => return Ok(found),
            Err(error) => result = Err(error),
        }
    }
    result
}

/// What it means that a file could not be looked into, for its file system does not answer.
fn or_no_answer(error: LocateError, file: &MappedFile, file_systems: &FileSystems) -> LocateError {
    match error {
        LocateError::NotPython(pid) => LocateError::NoAnswer {
            pid,
            path: file.path.clone(),
            kind: file_systems
                .kind(file.device)
                .unwrap_or("unknown")
                .to_owned(),
        },
        other => other,
    }
}

/// Orders files by how likely they hold the interpreter: libpython, then python, then the others.
fn likelihood(file: &MappedFile) -> u8 {
    let name = file
        .path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    if name.starts_with("libpython") {
        0
    } else if name.starts_with("python") {
        1
    } else if name.starts_with("lib") || name.starts_with("ld") || name.contains(".cpython-") {
        3
    } else {
        2
    }
}

/// Looks for an interpreter in one file; `None` when it holds none.
fn in_image(
    process: &Process,
    image: &Landmarks,
    memory: &impl ReadMemory,
) -> Result<Option<Found>, LocateError> {
    let pid = process.pid();
    if let Some(runtime) = self_describing_runtime(image, memory) {
        let mut bytes = vec![0; debug_offsets::MAX_BYTES];
        memory
            .read(runtime, &mut bytes)
            .map_err(|source| LocateError::Memory { pid, source })?;
        return from_debug_offsets(process, runtime, &bytes).map(Some);
    }
    let runtime = image.symbol("_PyRuntime").map(Address);
    let looks_like_python = runtime.is_some()
        || image.symbol("Py_GetVersion").is_some()
        || image.symbol("PyEval_EvalFrameEx").is_some();
    let Some(version) = version_of(image, memory) else {
        return if looks_like_python {
            Err(LocateError::NotReady(pid))
        } else {
            Ok(None)
        };
    };
    if legacy::IS_BUILT_IN && rows::is_legacy(version) {
        return Ok(Some(Found::Legacy(version)));
    }
    // One that describes itself was found by that, or cannot be read.
    let row = Row::of(version).filter(|row| !row.describes_itself());
    let Some(Row { layout, traits, .. }) = row else {
        return Err(unknown_version(process, version.to_string()));
    };
    let head_offset = layout.runtime.interpreters_head;
    let interpreters_head = match (runtime, image.symbol("interp_head")) {
        (Some(runtime), _) => runtime + head_offset,
        (None, Some(head)) => Address(head),
        (None, None) => search_head(image, layout, memory).ok_or(LocateError::NotReady(pid))?,
    };
    let gil = match traits.gil {
        GilHome::Variable => image
            .symbol("_PyThreadState_Current")
            .map_or(GilPlace::Unknown, |at| GilPlace::Variable(Address(at))),
        GilHome::Runtime => {
            GilPlace::Runtime(Address(interpreters_head.0.wrapping_sub(head_offset)))
        }
        GilHome::Interpreter => GilPlace::PerInterpreter,
    };
    Ok(Some(Found::Native(Box::new(Interpreter {
        version,
        layout: Layout::clone(layout),
        traits,
        interpreters_head,
        gil,
    }))))
}

/// The address of a `_PyRuntime` that starts with `_Py_DebugOffsets` (3.13 on): by symbol, by its
/// section, which stripping keeps, or by its cookie.
fn self_describing_runtime(image: &Landmarks, memory: &impl ReadMemory) -> Option<Address> {
    let starts_with_cookie = |at: &Address| {
        let mut cookie = [0; 8];
        memory.read(*at, &mut cookie).is_ok() && &cookie == debug_offsets::COOKIE
    };
    let symbol = image.symbol("_PyRuntime").map(Address);
    if symbol.is_some() {
        return symbol.filter(starts_with_cookie);
    }
    let section = image.runtime_section().map(Address);
    section
        .filter(starts_with_cookie)
        .or_else(|| find_word(image, memory, u64::from_le_bytes(*debug_offsets::COOKIE)))
}

/// The first place in the writable data of `image` that holds `wanted`.
fn find_word(image: &Landmarks, memory: &impl ReadMemory, wanted: u64) -> Option<Address> {
    find_in_data(image, memory, |start, bytes| {
        let mut words = bytes.chunks_exact(8);
        let at = words.position(|word| word == wanted.to_le_bytes())?;
        Some(start + at as u64 * 8)
    })
}

/// What `find` finds first in the writable data of `image`, as it is now. It is given one piece after the other, with
/// its address; neighbours overlap.
fn find_in_data<T>(
    image: &Landmarks,
    memory: &impl ReadMemory,
    mut find: impl FnMut(Address, &[u8]) -> Option<T>,
) -> Option<T> {
    let mut bytes = Vec::new();
    for (start, end) in image.writable_ranges() {
        let length = end.saturating_sub(start).min(MAX_SEARCH);
        for into in (0..length).step_by(PIECE) {
            bytes.resize((length - into).min((PIECE + OVERLAP) as u64) as usize, 0);
            let at = Address(start) + into;
            if memory.read(at, &mut bytes).is_err() {
                break;
            }
            let found = find(at, &bytes);
            if found.is_some() {
                return found;
            }
        }
    }
    None
}

fn from_debug_offsets(
    process: &Process,
    runtime: Address,
    bytes: &[u8],
) -> Result<Found, LocateError> {
    let DebugOffsets {
        version_hex,
        free_threaded,
        layout,
        traits,
    } = debug_offsets::parse(bytes).map_err(|error| unknown_version(process, error.to_string()))?;
    let version = Version::from_hex(version_hex as u32, free_threaded);
    let interpreters_head = runtime + layout.runtime.interpreters_head;
    let gil = if free_threaded {
        GilPlace::Unknown
    } else {
        GilPlace::PerInterpreter
    };
    Ok(Found::Native(Box::new(Interpreter {
        version,
        layout,
        traits,
        interpreters_head,
        gil,
    })))
}

fn unknown_version(process: &Process, found: String) -> LocateError {
    LocateError::UnknownVersion {
        pid: process.pid(),
        found,
        known: known_versions(),
    }
}

/// The versions that can be read, as errors name them.
#[must_use]
pub fn known_versions() -> String {
    format!("2.7, 3.3 to 3.5 and {}", rows::known())
}

/// The version of an interpreter without debug offsets: the constant `Py_Version` (3.11 on), or the
/// text that `Py_GetVersion` left in its static buffer.
fn version_of(image: &Landmarks, memory: &impl ReadMemory) -> Option<Version> {
    if let Some(at) = image.symbol("Py_Version") {
        let mut hex = [0; 4];
        memory.read(Address(at), &mut hex).ok()?;
        return Some(Version::from_hex(u32::from_le_bytes(hex), false));
    }
    find_in_data(image, memory, |_, bytes| Version::scan(bytes))
}

/// Where `interpreters.head` (3.6: `interp_head`) lies in an image without symbols: the first word of the writable data that
/// points to an interpreter state: to something whose
/// first thread points back to it. `interpreters.head` comes before the other such words of
/// `_PyRuntime`.
fn search_head(image: &Landmarks, layout: &Layout, memory: &impl ReadMemory) -> Option<Address> {
    let mut followed = FxHashSet::default();
    find_in_data(image, memory, |start, bytes| {
        let candidates = (0..bytes.len() as u64 / 8).filter_map(|index| {
            let candidate = word_at(bytes, index * 8).filter(|word| is_pointer(*word))?;
            let is_new = followed.len() < MAX_CANDIDATES && followed.insert(candidate);
            is_new.then_some((start + index * 8, Address(candidate)))
        });
        let candidates: Vec<(Address, Address)> = candidates.collect();
        let threads = with_thread(&candidates, layout, memory);
        let found = threads
            .into_iter()
            .find(|(_, candidate)| is_interpreter(*candidate, layout, memory));
        found.map(|(at, _)| at)
    })
}

/// Those of the candidates, each with the place of the word that points to it, whose first thread may be one. They are
/// many: so they are read together.
fn with_thread(
    candidates: &[(Address, Address)],
    layout: &Layout,
    memory: &impl ReadMemory,
) -> Vec<(Address, Address)> {
    let pieces = candidates.iter().map(|(_, candidate)| Piece {
        at: *candidate + layout.interpreter.threads_head,
        length: 8,
    });
    let pieces: Vec<Piece> = pieces.collect();
    let mut bytes = vec![0; pieces.len() * 8];
    let mut found = Vec::new();
    let mut from = 0;
    while from < pieces.len() {
        let to = pieces.len().min(from + MAX_TOGETHER);
        let read = memory.read_pieces(&pieces[from..to], &mut bytes[from * 8..to * 8]) / 8;
        found.extend((from..from + read).filter(|index| {
            let thread = word_at(&bytes, *index as u64 * 8);
            thread.is_some_and(is_pointer)
        }));
        from += read;
        if from < to {
            // This one is nowhere.
            from += 1;
        }
    }
    found.into_iter().map(|index| candidates[index]).collect()
}

/// Whether a word may be an address: of user space on x86-64 and aarch64, aligned as malloc's are.
fn is_pointer(word: u64) -> bool {
    word >= 0x1000 && word >> 48 == 0 && word.is_multiple_of(8)
}

/// Whether an interpreter state lies at `at`: its first thread must name it, and its modules hold
/// `sys`. The first alone is also true of some nodes of circular lists.
#[must_use]
pub fn is_interpreter(at: Address, layout: &Layout, memory: &impl ReadMemory) -> bool {
    let Ok(thread) = memory.pointer(at + layout.interpreter.threads_head) else {
        return false;
    };
    if thread.is_null() {
        return false;
    }
    let names_it = memory
        .pointer(thread + layout.thread.interp)
        .is_ok_and(|owner| owner == at);
    names_it && has_sys(at, layout, memory)
}

fn has_sys(at: Address, layout: &Layout, memory: &impl ReadMemory) -> bool {
    memory
        .pointer(at + layout.interpreter.modules)
        .ok()
        .and_then(|modules| dict_entries(memory, layout, modules).ok())
        .is_some_and(|modules| find(memory, layout, &modules, "sys").is_some())
}
