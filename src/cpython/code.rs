//! Turns a code object into its name, file and line table, read once and checked at every use.
//!
//! A code object can be freed and another one built at its address. So an entry also keeps the
//! pointers to the names, the file and the line table, the first line, and words that tell the names
//! apart ([`Mark`]): whoever uses an entry compares them with what lies there now.

use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustc_hash::FxHashMap;

use super::frames::{FrameFormat, RawFrame};
use super::layout::Layout;
use super::layout::traits::InstructionForm;
use super::line_table::{LineIndex, LineTable};
use super::text::{TextError, read_str, text_range};
use crate::memory::window::{int_at, word_at};
use crate::memory::{Address, ReadMemory};

/// The most code objects that are remembered; beyond, the cache starts anew. Large programs have
/// some ten thousand.
const MAX_CODES: usize = 200_000;

/// The most memory that the code objects of all processes may take; beyond, a cache that has more than
/// [`MAX_OWN_BYTES`] of it starts anew. Large programs need some MiB.
const MAX_BYTES: usize = 16 << 20;

/// See [`MAX_BYTES`].
const MAX_OWN_BYTES: usize = 1 << 20;

/// What a code object takes in the cache beside its texts and lines, about.
const ENTRY_BYTES: usize = 400;

/// The longest line table that is read, in bytes: some hundred thousand lines in one function. A function with a
/// longer one has no lines.
const MAX_LINE_TABLE: usize = 4 << 20;

/// From this length on, line tables are read only as far as [`Allowance`] goes.
const LONG_LINE_TABLE: usize = 64 << 10;

/// The most code units that are believed of a code object.
const MAX_UNITS: u64 = 1 << 29;

/// The longest name of a function that is read, in characters. That of generated code may be longer.
const MAX_NAME: usize = 4096;

/// The longest name of a file that is read, in characters: `PATH_MAX` of `linux/limits.h`.
const MAX_FILE: usize = 4096;

/// `CO_GENERATOR`, `CO_COROUTINE` and `CO_ASYNC_GENERATOR` (`cpython/code.h`; the same in 3.6–3.15).
const GENERATOR_FLAGS: i32 = 0x20 | 0x80 | 0x200;

/// `CO_COROUTINE` and `CO_ITERABLE_COROUTINE`, of which tasks can be made.
const COROUTINE_FLAGS: i32 = 0x80 | 0x100;

/// `sizeof(_Py_CODEUNIT)` (`cpython/code.h`, 3.11 on).
const CODE_UNIT: u64 = 2;

/// What never changes in a code object, as long as it is the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    filename: u64,
    name: u64,
    /// The name's own pointer where there is no qualified name.
    qualname: u64,
    line_table: u64,
    first_line: i32,
}

impl Fingerprint {
    /// From the bytes of the code object between [`fingerprint_range`]'s ends.
    #[must_use]
    pub fn parse(bytes: &[u8], layout: &Layout) -> Option<Fingerprint> {
        let code = &layout.code;
        let (start, _) = fingerprint_range(layout);
        Some(Fingerprint {
            filename: word_at(bytes, code.filename - start)?,
            name: word_at(bytes, code.name - start)?,
            qualname: word_at(bytes, code.qualname.unwrap_or(code.name) - start)?,
            line_table: word_at(bytes, code.linetable - start)?,
            first_line: int_at(bytes, code.first_line - start)?,
        })
    }
}

/// The part of a code object, as first offset and length, that holds its [`Fingerprint`].
#[must_use]
pub fn fingerprint_range(layout: &Layout) -> (u64, usize) {
    let code = &layout.code;
    let fields = [
        code.filename,
        code.name,
        code.qualname.unwrap_or(code.name),
        code.linetable,
        code.first_line,
    ];
    let start = fields.into_iter().min().unwrap_or(0);
    let end = fields.into_iter().max().unwrap_or(0) + 8;
    (start, (end - start) as usize)
}

/// A code object, as far as rsamp wants to know it.
#[derive(Debug)]
pub struct Code {
    /// Counts the code objects read: no two have the same number, even at the same address.
    pub number: u64,
    /// `co_qualname` (3.11 on), else `co_name`; see [`shown_name`].
    pub name: String,
    /// `co_filename`.
    pub file: String,
    /// `co_firstlineno`; `None` when it is no line.
    pub first_line: Option<u32>,
    /// Whether it is none of the program's: the interpreter runs it between a class that is called and its
    /// `__init__`, to check that this returns `None` (`_Py_InitCleanup` in `Python/specialize.c`, 3.12 on;
    /// its file is `__init__`, and it has no lines). Tracebacks leave it out too.
    pub is_trampoline: bool,
    /// Where the instructions start (3.11 on); before, frames count from the first instruction.
    start: Option<Address>,
    /// Where a frame of it can be.
    pub(super) extent: Extent,
    /// The thread-local copies of the bytecode (free-threaded 3.14 on).
    copies: Vec<Address>,
    lines: LineIndex,
    /// Whether it makes generators, coroutines or asynchronous generators.
    pub is_generator: bool,
    /// Whether it makes coroutines.
    pub is_coroutine: bool,
    /// Bytes that a frame of it takes in a data-stack chunk (3.11 on).
    pub(super) frame_bytes: Option<u64>,
    /// Its variables, in words: arguments, locals, cells (3.11 on).
    pub(super) variables: Option<u32>,
    /// The memory that it takes.
    room: Room,
}

/// Bytes of memory that code objects take in all caches together.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// Memory that a code object takes, as long as it is there.
#[derive(Debug)]
struct Room(usize);

impl Room {
    fn take(bytes: usize) -> Room {
        TAKEN.fetch_add(bytes, Ordering::Relaxed);
        Room(bytes)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        TAKEN.fetch_sub(self.0, Ordering::Relaxed);
    }
}

/// How many bytes of long line tables may be read: a few at once, and as many as a program may need over time. Without a
/// limit, a program whose many functions have long tables would keep the sampler from its work.
#[derive(Debug, Clone, Copy)]
struct Allowance {
    bytes: u64,
    at_ns: u64,
}

impl Default for Allowance {
    fn default() -> Allowance {
        Allowance {
            bytes: Allowance::MOST,
            at_ns: 0,
        }
    }
}

impl Allowance {
    /// The most at once.
    const MOST: u64 = 16 << 20;

    /// By so much it grows in a second. To read and to decode a MiB takes some milliseconds.
    const BYTES_PER_S: u64 = 1 << 20;

    /// Takes `bytes` at `now_ns`, if there are so many.
    fn take(&mut self, bytes: u64, now_ns: u64) -> bool {
        let since_ns = now_ns.saturating_sub(self.at_ns);
        let grown = u128::from(since_ns) * u128::from(Allowance::BYTES_PER_S) / 1_000_000_000;
        // What is left of the division counts the next time.
        if grown > 0 {
            self.at_ns = self.at_ns.max(now_ns);
            let grown = u64::try_from(grown).unwrap_or(u64::MAX);
            self.bytes = self.bytes.saturating_add(grown).min(Allowance::MOST);
        }
        let is_enough = self.bytes >= bytes;
        if is_enough {
            self.bytes -= bytes;
        }
        is_enough
    }
}

impl Code {
    /// The line of a frame's `instruction` in the given copy of the bytecode, both as
    /// [`RawFrame`](super::frames::RawFrame) has them; the function's first line when the frame has
    /// not started. `None` where the compiler gave the instruction no line, such as the clearing up
    /// at the end of `except … as name` (`f_lineno` is `None` there too, 3.10 on).
    #[must_use]
    pub fn line(&self, instruction: i64, bytecode_copy: i32) -> Option<u32> {
        let offset = match self.start {
            None => instruction,
            Some(start) => {
                let copy = usize::try_from(bytecode_copy)
                    .ok()
                    .filter(|number| *number > 0);
                let start = match copy {
                    Some(number) => *self.copies.get(number)?,
                    None => start,
                };
                instruction.wrapping_sub(start.0 as i64)
            }
        };
        match u32::try_from(offset) {
            Ok(offset) => self.lines.line_at(offset),
            Err(_) => self.first_line,
        }
    }
}

/// The addresses at which a frame of a code object can be (3.11 on); all, where they cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    from: u64,
    length: u64,
}

impl Extent {
    /// Before it begins, a frame of 3.11 or 3.12 names the unit before the first.
    fn of(at: Address, bytes: &[u8], format: FrameFormat<'_>) -> Extent {
        let layout = format.layout;
        // `ob_size`: a code object is a `PyVarObject` of code units (`cpython/code.h`).
        let units =
            word_at(bytes, layout.object.ob_size).filter(|units| (1..=MAX_UNITS).contains(units));
        match units.filter(|_| format.traits.instruction == InstructionForm::Address) {
            Some(units) => Extent {
                from: (at + layout.code.code).0.wrapping_sub(CODE_UNIT),
                length: (units + 1) * CODE_UNIT,
            },
            None => Extent {
                from: 0,
                length: u64::MAX,
            },
        }
    }

    /// Whether `frame` can be where it says: not when it was copied while it was written.
    pub fn holds(self, frame: &RawFrame) -> bool {
        let into = (frame.instruction as u64).wrapping_sub(self.from);
        into < self.length || frame.bytecode_copy != 0
    }
}

/// All code objects seen, by address.
#[derive(Debug, Default)]
pub struct CodeCache {
    entries: FxHashMap<Address, Entry>,
    read: u64,
    forgotten: u64,
    /// The memory that the entries took when they were read.
    bytes: usize,
    long_tables: Allowance,
}

#[derive(Debug, Clone)]
struct Entry {
    fingerprint: Fingerprint,
    /// Where functions come and go, other names may lie where these lay. Each check compares one of these.
    marks: Rc<[Mark]>,
    /// How often it was compared.
    checks: usize,
    /// How many of the marks agreed since `checked.generation` was first seen.
    agreed: usize,
    code: Rc<Code>,
    since_ns: u64,
    checked: Moment,
    callers: KnownCallers,
}

/// So many callers of a code object are told apart; one that more call is called by anyone.
const MAX_CALLERS: usize = 4;

/// The code objects that were seen calling one: all of them, or at least one more than are told apart.
#[derive(Debug, Clone, Copy, Default)]
struct KnownCallers {
    codes: [Address; MAX_CALLERS],
    count: usize,
}

impl KnownCallers {
    /// `None` where they are too many to tell apart.
    fn known(&self) -> Option<&[Address]> {
        self.codes.get(..self.count)
    }

    fn note(&mut self, caller: Address) {
        let known = &self.codes[..self.count.min(MAX_CALLERS)];
        if self.count > MAX_CALLERS || known.contains(&caller) {
            return;
        }
        if let Some(free) = self.codes.get_mut(self.count) {
            *free = caller;
        }
        self.count += 1;
    }
}

/// A word that tells a name apart from another one at its address: its hash, or a piece of its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    at: Address,
    /// `None`: it could not be read.
    word: Option<u64>,
}

/// The hash of a `str` that was never used as a key (`unicodeobject.c`: -1).
const NO_HASH: u64 = u64::MAX;

/// So many words of a name without a hash are compared. The first and the last tell most names apart.
const MAX_MARKS: u64 = 16;

/// When the memory was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment {
    /// Nanoseconds since the reader began.
    pub at_ns: u64,
    /// `code_object_generation`: how many code objects the interpreter had freed (3.14 on).
    pub generation: Option<u64>,
}

/// A code object without a generation to go by is compared again after this part of the time for
/// which it has been the same: what is shown of a freed one is at most that part of its time.
const TRUSTED_PART: u64 = 64;

/// But not later than this.
const LONGEST_TRUST_NS: u64 = 10_000_000;

impl Entry {
    /// The mark that the next check compares.
    fn mark(&self) -> Option<&Mark> {
        self.marks.get(self.checks.checked_rem(self.marks.len())?)
    }

    /// Whether each mark was compared since the interpreter was first seen to have freed as many code objects. What was seen at
    /// that very moment does not count: the stack was copied before, and its code object may be the one that was freed.
    fn is_agreed(&self) -> bool {
        self.agreed >= self.marks.len().max(1)
    }

    /// Takes in that the next mark agreed at `now`.
    fn agree(&mut self, now: Moment) {
        if self.checked.generation != now.generation {
            self.agreed = 0;
        } else if self.checked.at_ns != now.at_ns {
            self.agreed += 1;
        }
        self.checks = self.checks.wrapping_add(1);
        self.checked = now;
    }

    fn is_as(&self, found: &Fingerprint, word: Option<u64>) -> bool {
        let is_marked = self.mark().is_none_or(|mark| mark.word == word);
        self.fingerprint == *found && is_marked
    }

    /// Until when it needs no comparison with what lies at its address, in [`Moment::at_ns`].
    fn fresh_until_ns(&self, now: Moment) -> u64 {
        match now.generation {
            // Where no code object was freed since all marks agreed, this one was not.
            Some(_) if now.generation == self.checked.generation && self.is_agreed() => u64::MAX,
            Some(_) if now.generation == self.checked.generation => self.checked.at_ns,
            Some(_) => 0,
            None => {
                let known_ns = self.checked.at_ns.saturating_sub(self.since_ns);
                let trust_ns = (known_ns / TRUSTED_PART).min(LONGEST_TRUST_NS);
                self.checked.at_ns + trust_ns
            }
        }
    }
}

/// Whether an entry still stands for what lies at its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// It does.
    Same,
    /// Another code object lies there now; the entry was dropped.
    Replaced,
    /// There is no entry.
    Unknown,
}

impl CodeCache {
    /// The code object at `at`, as it was when last checked.
    #[must_use]
    pub fn get(&self, at: Address) -> Option<&Rc<Code>> {
        self.entries.get(&at).map(|entry| &entry.code)
    }

    /// The cache for a fork of the process, whose memory was the same a moment ago: every entry is compared
    /// before it is used, as the two go their own ways since.
    #[must_use]
    pub fn for_fork(&self, now_ns: u64) -> CodeCache {
        let unchecked = |entry: &Entry| Entry {
            since_ns: now_ns,
            checked: Moment {
                at_ns: now_ns,
                generation: None,
            },
            ..entry.clone()
        };
        let entries = self.entries.iter();
        CodeCache {
            entries: entries.map(|(at, entry)| (*at, unchecked(entry))).collect(),
            ..*self
        }
    }

    /// How often a code object was read or forgotten: as long as that stands, an address stands for the
    /// same code object.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.read + self.forgotten
    }

    /// The code object at `at`, and until when that holds without comparing, in [`Moment::at_ns`].
    pub(super) fn at_moment(&self, at: Address, now: Moment) -> Option<(&Code, u64)> {
        let entry = self.entries.get(&at)?;
        Some((&entry.code, entry.fresh_until_ns(now)))
    }

    /// Takes in that the code object at `callee` was called by that at `caller`.
    pub(super) fn note_call(&mut self, callee: Address, caller: Address) {
        if let Some(entry) = self.entries.get_mut(&callee) {
            entry.callers.note(caller);
        }
    }

    /// The code objects that were seen calling that at `callee`; `None` where none was, or too many were to tell apart.
    pub(super) fn callers_of(&self, callee: Address) -> Option<&[Address]> {
        let callers = self.entries.get(&callee)?.callers.known();
        callers.filter(|callers| !callers.is_empty())
    }

    /// Where the word lies by which the names are compared at the next check, for the entry of `at`: the hash
    /// of a name, or in turn the pieces of its text.
    #[must_use]
    pub fn name_hash_at(&self, at: Address) -> Option<Address> {
        self.entries.get(&at)?.mark().map(|mark| mark.at)
    }

    /// Compares the entry of `at` with what was found there, and at [`CodeCache::name_hash_at`], at `now`.
    pub fn check(
        &mut self,
        at: Address,
        found: &Fingerprint,
        name_hash: Option<u64>,
        now: Moment,
    ) -> Check {
        match self.entries.get_mut(&at) {
            None => Check::Unknown,
            Some(entry) if entry.is_as(found, name_hash) => {
                entry.agree(now);
                Check::Same
            }
            Some(_) => {
                self.forget(at);
                self.forgotten += 1;
                Check::Replaced
            }
        }
    }

    /// Reads the code object at `at`; `None` when it is none or is gone.
    pub fn load(
        &mut self,
        at: Address,
        memory: &impl ReadMemory,
        format: FrameFormat<'_>,
        now: Moment,
    ) -> Option<&Rc<Code>> {
        let layout = format.layout;
        let mut bytes = vec![0; layout.code.size as usize];
        memory.read(at, &mut bytes).ok()?;
        let (start, length) = fingerprint_range(layout);
        let fields = bytes.get(start as usize..start as usize + length)?;
        let fingerprint = Fingerprint::parse(fields, layout)?;
        let long_tables = &mut self.long_tables;
        let may_read = |length: usize| {
            length <= MAX_LINE_TABLE
                && (length <= LONG_LINE_TABLE || long_tables.take(length as u64, now.at_ns))
        };
        let mut code = read_code(at, &bytes, &fingerprint, memory, format, may_read)?;
        self.read += 1;
        code.number = self.read;
        self.forget(at);
        let is_over = TAKEN.load(Ordering::Relaxed) > MAX_BYTES && self.bytes > MAX_OWN_BYTES;
        if is_over || self.entries.len() >= MAX_CODES {
            self.entries.clear();
            self.bytes = 0;
            self.forgotten += 1;
        }
        self.bytes += code.room.0;
        self.entries.insert(
            at,
            Entry {
                fingerprint,
                marks: marks(memory, layout, &fingerprint).into(),
                checks: 0,
                agreed: 0,
                code: Rc::new(code),
                since_ns: now.at_ns,
                checked: now,
                callers: KnownCallers::default(),
            },
        );
        self.get(at)
    }

    fn forget(&mut self, at: Address) {
        if let Some(entry) = self.entries.remove(&at) {
            self.bytes -= entry.code.room.0;
        }
    }
}

/// What tells the names apart from others at their addresses. Names that the compiler made are interned and so
/// have a hash; one that the program gave (`code.replace(co_name=…)`, 3.8 on) has none up to 3.12.
fn marks(memory: &impl ReadMemory, layout: &Layout, found: &Fingerprint) -> Vec<Mark> {
    let mut marks = Vec::new();
    let mark = |at| Mark {
        at,
        word: memory.word(at).ok(),
    };
    let of_qualname = (found.qualname != found.name).then_some(found.qualname);
    for name in [found.name].into_iter().chain(of_qualname) {
        // `hash` follows `length` in `PyASCIIObject` (`unicodeobject.h`).
        let hash = mark(Address(name) + (layout.object.str_length + 8));
        match text_range(memory, layout, Address(name)) {
            Some((text, bytes)) if hash.word == Some(NO_HASH) => {
                marks.extend(words_of(bytes).map(|offset| mark(text + offset)));
            }
            _ => marks.push(hash),
        }
    }
    marks
}

/// Where the words of a text of so many bytes begin, the last one first. That of a text shorter than a word
/// goes on into what lies behind it in the same block of memory, which nothing changes.
fn words_of(bytes: u64) -> impl Iterator<Item = u64> {
    let last = bytes.saturating_sub(8);
    let others = (0..last).step_by(8).take(MAX_MARKS as usize - 1);
    [last].into_iter().chain(others)
}

/// The qualified name (3.11 on). Where the program gave the function another name than that ends in
/// (`code.replace(co_name=…)`), which is the one that tracebacks show, this one takes its place.
fn shown_name(name: String, qualname: Option<String>) -> String {
    let Some(qualname) = qualname.filter(|qualname| *qualname != name) else {
        return name;
    };
    match qualname.rsplit_once('.') {
        _ if qualname.ends_with(&format!(".{name}")) => qualname,
        Some((scope, _)) => format!("{scope}.{name}"),
        None => name,
    }
}

/// What is shown of both names; `None` where that of the code object is no `str`: it was freed, and the code object with it.
fn name_of(name: Result<String, TextError>, qualname: Option<String>) -> Option<String> {
    match name {
        Ok(name) => Some(shown_name(name, qualname)),
        // Saved memory may hold the other one alone.
        Err(TextError::Read(_)) => qualname,
        Err(_) => None,
    }
}

fn read_code(
    at: Address,
    bytes: &[u8],
    fingerprint: &Fingerprint,
    memory: &impl ReadMemory,
    format: FrameFormat<'_>,
    may_read_table: impl FnOnce(usize) -> bool,
) -> Option<Code> {
    let FrameFormat { layout, traits } = format;
    let table_at = Address(fingerprint.line_table);
    let lines = match read_table(table_at, memory, layout, may_read_table)? {
        Some(bytes) => LineIndex::new(&LineTable {
            format: traits.line_format,
            first_line: fingerprint.first_line,
            bytes,
        }),
        None => LineIndex::default(),
    };
    let text = |address, most| read_str(memory, layout, Address(address), most);
    let file = text(fingerprint.filename, MAX_FILE).ok()?;
    let qualname = (fingerprint.qualname != fingerprint.name)
        .then(|| text(fingerprint.qualname, MAX_NAME).ok())
        .flatten();
    let name = name_of(text(fingerprint.name, MAX_NAME), qualname)?;
    let first_line = u32::try_from(fingerprint.first_line).ok();
    let first_line = first_line.filter(|line| *line > 0);
    let is_init = name == "__init__" && file == "__init__";
    let copies = read_copies(bytes, memory, layout);
    let has_addresses = traits.instruction == InstructionForm::Address;
    let flags = int_at(bytes, layout.code.flags)?;
    let taken = [name.len(), file.len(), copies.len() * 8, lines.bytes()];
    Some(Code {
        room: Room::take(ENTRY_BYTES + taken.iter().sum::<usize>()),
        number: 0,
        is_trampoline: traits.has_init_frame && is_init && first_line.is_none(),
        name,
        file,
        first_line,
        start: has_addresses.then_some(at + layout.code.code),
        extent: Extent::of(at, bytes, format),
        copies,
        lines,
        is_generator: flags & GENERATOR_FLAGS != 0,
        is_coroutine: flags & COROUTINE_FLAGS != 0,
        frame_bytes: frame_bytes(bytes, layout),
        variables: layout
            .code
            .nlocalsplus
            .and_then(|offset| u32::try_from(int_at(bytes, offset)?).ok()),
    })
}

/// `co_framesize` (3.12 on), or what `_PyEvalFramePushAndInit` in 3.11 adds up: `co_nlocalsplus`,
/// `co_stacksize` and `FRAME_SPECIALS_SIZE`, in words.
fn frame_bytes(bytes: &[u8], layout: &Layout) -> Option<u64> {
    let code = &layout.code;
    let words = |offset| int_at(bytes, offset).and_then(|words| u64::try_from(words).ok());
    match (code.framesize, code.nlocalsplus) {
        (Some(framesize), _) => Some(words(framesize)? * 8),
        (None, Some(locals)) => {
            let own = words(locals)? + words(code.stacksize)?;
            Some(own * 8 + layout.frame.size.next_multiple_of(8))
        }
        (None, None) => None,
    }
}

/// Reads the bytes object that is a line table; `Some(None)`: not, as `may_read` says that it is too long.
fn read_table(
    at: Address,
    memory: &impl ReadMemory,
    layout: &Layout,
    may_read: impl FnOnce(usize) -> bool,
) -> Option<Option<Vec<u8>>> {
    let length = usize::try_from(memory.word(at + layout.object.ob_size).ok()?).ok()?;
    if !may_read(length) {
        return Some(None);
    }
    // The pages are tried before the buffer is made: a wild length must not cost its memory.
    if length > 1 << 16 {
        memory
            .read(
                at + layout.object.bytes_data + (length as u64 - 1),
                &mut [0],
            )
            .ok()?;
    }
    let mut bytes = vec![0; length];
    memory
        .read(at + layout.object.bytes_data, &mut bytes)
        .ok()?;
    Some(Some(bytes))
}

/// The most thread-local copies of one code object that are read.
const MAX_COPIES: u64 = 4096;

/// `co_tlbc`: `_PyCodeArray { Py_ssize_t size; char *entries[] }` (`internal/pycore_code.h`, 3.14 on).
fn read_copies(bytes: &[u8], memory: &impl ReadMemory, layout: &Layout) -> Vec<Address> {
    let Some(array) = layout.code.tlbc.and_then(|offset| word_at(bytes, offset)) else {
        return Vec::new();
    };
    let array = Address(array);
    let Ok(size) = memory.word(array) else {
        return Vec::new();
    };
    let mut words = vec![0; size.min(MAX_COPIES) as usize * 8];
    if memory.read(array + 8, &mut words).is_err() {
        return Vec::new();
    }
    (0..words.len() as u64 / 8)
        .filter_map(|n| word_at(&words, n * 8))
        .map(Address)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpython::layout::rows::Row;
    use crate::cpython::line_table::LineFormat;
    use crate::memory::SavedMemory;

    const NAME: Address = Address(0x1000);

    /// A `str` of 3.9 as its header draws it: length, hash, state (compact, ASCII, one byte a character), text.
    fn name(memory: &mut SavedMemory, at: Address, hash: u64, text: &str) {
        let mut bytes = vec![0; 48];
        bytes[16..24].copy_from_slice(&(text.len() as u64).to_le_bytes());
        bytes[24..32].copy_from_slice(&hash.to_le_bytes());
        bytes[32] = 1 << 2 | 1 << 5 | 1 << 6;
        bytes.extend(text.as_bytes());
        bytes.extend([0; 16]);
        memory.insert(at, bytes);
    }

    /// In so many checks at most it is noticed that `new` lies where `old` lay.
    fn checks_until_noticed(old: (u64, &str), new: (u64, &str)) -> Option<usize> {
        let layout = Row::of_minor(3, 9).expect("a row").layout;
        let fingerprint = Fingerprint {
            filename: 1,
            name: NAME.0,
            qualname: NAME.0,
            line_table: 2,
            first_line: 3,
        };
        let (mut before, mut after) = (SavedMemory::default(), SavedMemory::default());
        name(&mut before, NAME, old.0, old.1);
        name(&mut after, NAME, new.0, new.1);
        let entry = Entry {
            fingerprint,
            marks: marks(&before, layout, &fingerprint).into(),
            checks: 0,
            agreed: 0,
            code: Rc::new(code()),
            since_ns: 0,
            checked: Moment::default(),
            callers: KnownCallers::default(),
        };
        let mut codes = CodeCache::default();
        let at = Address(0x5000);
        codes.entries.insert(at, entry);
        (0..MAX_MARKS as usize).find(|_| {
            let word = codes.name_hash_at(at);
            let word = word.and_then(|word| after.word(word).ok());
            codes.check(at, &fingerprint, word, Moment::default()) == Check::Replaced
        })
    }

    fn code() -> Code {
        let table = LineTable {
            format: LineFormat::Lnotab,
            first_line: 3,
            bytes: Vec::new(),
        };
        Code {
            number: 1,
            name: String::new(),
            file: String::new(),
            first_line: None,
            is_trampoline: false,
            start: None,
            extent: Extent {
                from: 0,
                length: u64::MAX,
            },
            copies: Vec::new(),
            lines: LineIndex::new(&table),
            is_generator: false,
            is_coroutine: false,
            frame_bytes: None,
            variables: None,
            room: Room::take(0),
        }
    }

    #[test]
    fn the_callers_of_a_code_object_are_known_until_there_are_too_many_to_tell_apart() {
        let mut callers = KnownCallers::default();
        for caller in [1, 2, 1, 3, 4, 2] {
            callers.note(Address(caller));
        }
        assert_eq!(callers.known(), Some([1, 2, 3, 4].map(Address).as_slice()));
        callers.note(Address(5));
        assert_eq!(callers.known(), None);
        callers.note(Address(1));
        assert_eq!(callers.known(), None, "it stays so");
    }

    #[test]
    fn long_line_tables_are_read_as_far_as_the_allowance_goes() {
        let mut allowance = Allowance::default();
        assert!(allowance.take(Allowance::MOST, 0));
        assert!(!allowance.take(1, 0));
        let second = 1_000_000_000;
        assert!(!allowance.take(Allowance::BYTES_PER_S + 1, second));
        assert!(allowance.take(Allowance::BYTES_PER_S, second));
        assert!(!allowance.take(Allowance::MOST + 1, u64::MAX));
        assert!(allowance.take(Allowance::MOST, u64::MAX));
    }

    #[test]
    fn another_name_at_the_same_address_is_noticed() {
        assert_eq!(checks_until_noticed((7, "first"), (8, "other")), Some(0));
        assert_eq!(checks_until_noticed((7, "first"), (7, "first")), None);
        // Names that the program gave have no hash.
        let check = |old, new| checks_until_noticed((NO_HASH, old), (NO_HASH, new));
        assert_eq!(
            check("g0000 (made by replace)", "g0000 (made by replace)"),
            None
        );
        assert_eq!(
            check("g0000 (made by replace)", "g0001 (made by replace)"),
            Some(1)
        );
        assert_eq!(
            check("the step with number 17", "the step with number 18"),
            Some(0)
        );
        assert_eq!(
            check("the step numbered as 17", "the past numbered as 17"),
            Some(1)
        );
        assert_eq!(
            check("a of b c d e f g h i j k", "a of b c d e g g h i j k"),
            Some(2)
        );
        assert_eq!(check("a1", "a2"), Some(0));
        assert_eq!(check("", ""), None);
        // Used as a key since, it has a hash, and is the same.
        assert_eq!(checks_until_noticed((NO_HASH, "a1"), (5, "a1")), None);
    }

    #[test]
    fn an_entry_is_trusted_for_a_generation_only_when_all_its_marks_agreed_in_it() {
        let marks = [1, 2].map(|at| Mark {
            at: Address(at),
            word: Some(at),
        });
        let at = |at_ns, generation| Moment {
            at_ns,
            generation: Some(generation),
        };
        let mut entry = Entry {
            fingerprint: Fingerprint {
                filename: 1,
                name: NAME.0,
                qualname: NAME.0,
                line_table: 2,
                first_line: 3,
            },
            marks: marks.into(),
            checks: 0,
            agreed: 0,
            code: Rc::new(code()),
            since_ns: 0,
            checked: at(0, 7),
            callers: KnownCallers::default(),
        };
        let mut is_trusted = |moment: Moment| {
            let is_trusted = entry.fresh_until_ns(moment) == u64::MAX;
            if !is_trusted {
                entry.agree(moment);
                let fresh_until_ns = entry.fresh_until_ns(moment);
                assert!(fresh_until_ns >= moment.at_ns, "not twice in a moment");
            }
            is_trusted
        };
        assert!(!is_trusted(at(1, 7)), "may have been freed as it was read");
        assert!(!is_trusted(at(2, 7)), "the other name may still differ");
        assert!(is_trusted(at(3, 7)));
        assert!(!is_trusted(at(4, 8)), "one was freed, perhaps this one");
        assert!(!is_trusted(at(4, 8)), "another look at the same copy");
        assert!(!is_trusted(at(5, 8)));
        assert!(!is_trusted(at(6, 9)), "one was freed again");
        assert!(!is_trusted(at(7, 9)));
        assert!(!is_trusted(at(8, 9)));
        assert!(is_trusted(at(9, 9)));
    }

    #[test]
    fn a_name_that_was_freed_is_not_replaced_by_the_qualified_one() {
        let qualname = || Some("C.f".to_owned());
        assert_eq!(name_of(Ok("f".to_owned()), qualname()), qualname());
        let garbage = [TextError::Kind(0), TextError::Length(u64::MAX)];
        for error in garbage {
            assert_eq!(name_of(Err(error), qualname()), None);
        }
        let unreadable = SavedMemory::default()
            .word(NAME)
            .expect_err("nothing there");
        assert_eq!(name_of(Err(unreadable.into()), qualname()), qualname());
    }

    #[test]
    fn a_name_that_the_program_gave_is_shown() {
        let shown =
            |name: &str, qualname: &str| shown_name(name.to_owned(), Some(qualname.to_owned()));
        assert_eq!(shown("f", "f"), "f");
        assert_eq!(shown("f", "C.f"), "C.f");
        assert_eq!(shown("f", "g.<locals>.f"), "g.<locals>.f");
        assert_eq!(shown("step 1", "f"), "step 1");
        assert_eq!(shown("step 1", "C.f"), "C.step 1");
        assert_eq!(shown("a.b", "a.b"), "a.b");
        assert_eq!(shown("af", "C.f"), "C.af");
        assert_eq!(shown_name("f".to_owned(), None), "f");
    }
}
