//! Turns the blocks of a recording back into events, one block in memory at a time.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use prost::Message;
use thiserror::Error;

use super::budget::Budget;
use super::columns;
use super::format::{Blocks, Preamble, Unreadable, VERSION, read_preamble};
use super::refined;
use super::schema::{self, Block, Header};
use super::unpacked;
use crate::profile::attributes::{Attribute, Attributes, AttributesId};
use crate::profile::event::{
    Awaited, Event, Frame, FrameId, FrameKind, Loss, LostCause, Missing, Nanos, NativeCode,
    Process, ProcessId, RateSpan, StackId, Thread, ThreadId, UndeterminedCause, Usage,
};
use crate::profile::limits::MAX_FUNCTIONS;

/// Frames and stacks have numbers below this.
const MAX_NUMBER: u64 = u32::MAX as u64;

/// The most threads and processes: as many as Linux can number (`PID_MAX_LIMIT`).
const MAX_THREADS: u64 = 1 << 22;

/// Why a stream cannot be read as a recording.
#[derive(Debug, Error)]
pub enum ReadError {
    /// There is not a single byte.
    #[error("the file is empty")]
    Empty,
    /// It does not begin as a recording does.
    #[error("not an rsamp recording")]
    NotARecording,
    /// It is of a later version of the format.
    #[error(
        "the recording has format {format}, written by rsamp {rsamp}; rsamp {own} reads formats up to {VERSION}",
        own = env!("CARGO_PKG_VERSION")
    )]
    NewerFormat {
        /// The version of the format.
        format: u16,
        /// The version of the rsamp that wrote it, which reads it too.
        rsamp: String,
    },
    /// Its first bytes were written by rsamp, but its header is not whole.
    #[error("the recording is {0} within its header")]
    NoHeader(Broken),
    /// The stream failed.
    #[error("read the recording")]
    Io(#[from] io::Error),
}

/// What is wrong with the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// The file ends.
    CutOff,
    /// The bytes are not those that were written.
    Damaged,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Broken::CutOff => "cut off",
            Broken::Damaged => "damaged",
        })
    }
}

/// How much of a recording was there. Whatever it is, the events up to there were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completeness {
    /// All of it.
    Whole,
    /// The file ends before the recording does: its writer was killed, or the disk was full.
    CutOff {
        /// The size of what could be read.
        read_bytes: u64,
    },
    /// From there on the bytes are not those that were written.
    Damaged {
        /// Where that begins.
        at_byte: u64,
        /// What is wrong.
        what: &'static str,
    },
}

/// Source text of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceText {
    /// `co_filename`.
    pub file: Arc<str>,
    /// The number of the text's first line.
    pub first_line: u32,
    /// The lines.
    pub text: String,
}

/// Reads a recording.
pub struct Reader<R> {
    from: R,
    blocks: Blocks,
    header: Header,
    /// The rest of the first block, until it is asked for.
    first: Option<Block>,
    read_bytes: u64,
    strings: Vec<Arc<str>>,
    budget: Budget,
    processes: u64,
    threads: u64,
    frames: u64,
    stacks: u64,
    attributes: u64,
    sources: Vec<SourceText>,
    changed_files: Vec<Arc<str>>,
    executables: Vec<String>,
}

impl<R: Read> Reader<R> {
    /// Reads the header. `from` is read in pieces of any size and need not be buffered much.
    ///
    /// # Errors
    /// When it is none, or of a later version, or cannot be read.
    pub fn new(mut from: R) -> Result<Reader<R>, ReadError> {
        let preamble = match read_preamble(&mut from) {
            Ok(Some(preamble)) => preamble,
            Ok(None) => return Err(ReadError::NotARecording),
            Err(Unreadable::CutOff(0)) => return Err(ReadError::Empty),
            Err(unreadable) => return Err(no_header(unreadable)),
        };
        if preamble.format > VERSION {
            let [major, minor, patch] = preamble.rsamp;
            return Err(ReadError::NewerFormat {
                format: preamble.format,
                rsamp: format!("{major}.{minor}.{patch}"),
            });
        }
        let mut blocks = Blocks::new()?;
        let (message, block_bytes) = blocks.read(&mut from).map_err(no_header)?;
        let damaged = ReadError::NoHeader(Broken::Damaged);
        let Ok(mut first) = decode(&message) else {
            return Err(damaged);
        };
        let Some(header) = first.header.take() else {
            return Err(damaged);
        };
        Ok(Reader {
            from,
            blocks,
            header,
            first: Some(first),
            read_bytes: preamble_bytes() + block_bytes,
            strings: Vec::new(),
            budget: Budget::default(),
            processes: 0,
            threads: 0,
            frames: 0,
            stacks: 0,
            attributes: 0,
            sources: Vec::new(),
            changed_files: Vec::new(),
            executables: Vec::new(),
        })
    }

    /// Has it read no more than so much.
    #[cfg(test)]
    pub(super) fn with_budget(mut self, budget: Budget) -> Reader<R> {
        self.budget = budget;
        self
    }

    /// What the recording says of itself.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The source texts of what was read so far.
    #[must_use]
    pub fn sources(&self) -> &[SourceText] {
        &self.sources
    }

    /// The files read so far that were changed after the program had started: their source texts may not be
    /// what ran.
    #[must_use]
    pub fn changed_files(&self) -> &[Arc<str>] {
        &self.changed_files
    }

    /// The interpreters' files of the processes read so far, by [`ProcessId`]; empty where not known.
    #[must_use]
    pub fn executables(&self) -> &[String] {
        &self.executables
    }

    /// Hands every event to `emit`, as they were recorded but for this: in each block (about a second)
    /// the definitions come first and losses last. Each event makes sense after those before it.
    ///
    /// # Errors
    /// When the stream fails; what is wrong with the bytes is no error but the [`Completeness`].
    pub fn read(&mut self, emit: &mut dyn FnMut(Event)) -> io::Result<Completeness> {
        let mut has_end = false;
        loop {
            let at_byte = self.read_bytes;
            let damaged = |what| Ok(Completeness::Damaged { at_byte, what });
            let block = match self.next_block() {
                Ok(_) if has_end => return damaged("bytes behind the end"),
                Ok(block) => block,
                Err(Unreadable::CutOff(0)) if has_end => return Ok(Completeness::Whole),
                Err(Unreadable::CutOff(_)) if has_end => return damaged("bytes behind the end"),
                Err(Unreadable::CutOff(_)) => {
                    return Ok(Completeness::CutOff {
                        read_bytes: at_byte,
                    });
                }
                Err(Unreadable::Damaged(what)) => return damaged(what),
                Err(Unreadable::Io(error)) => return Err(error),
            };
            has_end = block.end_ns.is_some();
            if self.emit_block(block, emit).is_none() {
                return damaged("a block that makes no sense");
            }
        }
    }

    fn next_block(&mut self) -> Result<Block, Unreadable> {
        if let Some(first) = self.first.take() {
            return Ok(first);
        }
        let (message, block_bytes) = self.blocks.read(&mut self.from)?;
        let block = decode(&message).map_err(Unreadable::Damaged)?;
        self.read_bytes += block_bytes;
        Ok(block)
    }

    /// `None` when the block makes no sense: then no definition, and no sample from there on, is emitted.
    fn emit_block(&mut self, mut block: Block, emit: &mut dyn FnMut(Event)) -> Option<()> {
        self.define_strings(&mut block)?;
        let mut events = Vec::new();
        self.define_processes(&mut block, &mut events)?;
        self.define_threads(&mut block, &mut events)?;
        let (frames, stacks) = (self.frames, self.stacks);
        self.count_frames(&block)?;
        self.count_stacks(&block)?;
        let lost: Option<Vec<_>> = block.lost.iter().map(lost_event).collect();
        let lost = lost?;
        let repeated: Option<Vec<_>> = block.repeated.iter().map(undetermined_event).collect();
        let repeated = repeated?;
        let is_known = |usage: &schema::Usage| u64::from(usage.process) < self.processes;
        if !block.usage.iter().all(is_known) {
            return None;
        }
        let awaited: Option<Vec<_>> = block.awaited.iter().map(|it| self.awaited(it)).collect();
        let awaited = awaited?;
        self.define_missing(&mut block, &mut events)?;
        self.define_attributes(&block, &mut events)?;
        let names = self.names(&block)?;
        self.take_sources(&mut block)?;
        events.into_iter().for_each(&mut *emit);
        let mut natives = 0;
        for (index, id) in (0..block.frame_name.len()).zip(frames as u32..) {
            let frame = self.frame(&block, index, &mut natives)?;
            emit(Event::Frame(FrameId(id), frame));
        }
        for (index, id) in (0..block.stack_frame.len()).zip(stacks as u32..) {
            let distance = block.stack_parent[index];
            emit(Event::Stack {
                id: StackId(id),
                parent: (distance > 0).then(|| StackId(id - distance)),
                frame: FrameId(block.stack_frame[index]),
            });
        }
        names.into_iter().for_each(&mut *emit);
        let (threads, stacks, attributes) = (self.threads, self.stacks, self.attributes);
        columns::take(&block, threads, stacks, attributes, &mut |sample| {
            emit(Event::Sample(sample));
        })?;
        refined::take(&block, threads, stacks, &mut |sample| {
            emit(Event::Native(sample));
        })?;
        lost.into_iter().for_each(&mut *emit);
        repeated.into_iter().for_each(&mut *emit);
        if block.stops > 0 {
            emit(Event::Pauses(block.stops));
        }
        for usage in &block.usage {
            emit(Event::Usage(usage_event(usage)));
        }
        awaited.into_iter().for_each(&mut *emit);
        if block.skipped_processes > 0 {
            emit(Event::Skipped(block.skipped_processes));
        }
        for span in &block.rates {
            emit(Event::Rate(RateSpan {
                millihertz: span.millihertz,
                time: Nanos(span.time_ns),
                ticks: span.ticks,
                own_cpu: Nanos(span.own_cpu_ns),
            }));
        }
        if let Some(end_ns) = block.end_ns {
            emit(Event::End(Nanos(end_ns)));
        }
        Some(())
    }

    fn define_strings(&mut self, block: &mut Block) -> Option<()> {
        for text in block.strings.drain(..) {
            self.budget.string(&text)?;
            self.strings.push(text.into());
        }
        Some(())
    }

    fn define_processes(&mut self, block: &mut Block, events: &mut Vec<Event>) -> Option<()> {
        for process in block.processes.drain(..) {
            let id = next(&mut self.processes, MAX_THREADS)?;
            let parent = process.parent.checked_sub(1).map(ProcessId);
            if parent.is_some_and(|parent| parent.0 >= id) {
                return None;
            }
            let executable = process.executable;
            let process = Process {
                pid: process.pid,
                command: process.command,
                python: process.python,
                seen: Nanos(process.seen_ns),
                parent,
                rank: process.rank,
                host: process.host,
                usable_cpus: process.usable_cpus,
                memory_limit: process.memory_limit,
                launch: process.launch,
                cpu_mask: process.cpu_mask,
                cpu_quota: process.cpu_quota,
                recording: process.recording,
                working_folder: process.working_folder,
            };
            self.budget.process(&process)?;
            self.budget.executable(&executable)?;
            self.executables.push(executable);
            events.push(Event::Process(ProcessId(id), process));
        }
        Some(())
    }

    fn define_missing(&mut self, block: &mut Block, events: &mut Vec<Event>) -> Option<()> {
        for missing in block.missing.drain(..) {
            if u64::from(missing.process) >= self.processes {
                return None;
            }
            let missing = Missing {
                process: ProcessId(missing.process),
                what: missing.what,
                why: missing.why,
            };
            self.budget.missing(&missing)?;
            events.push(Event::Missing(missing));
        }
        Some(())
    }

    fn define_attributes(&mut self, block: &Block, events: &mut Vec<Event>) -> Option<()> {
        for message in &block.attributes {
            if message.attribute.len() != message.value.len() {
                return None;
            }
            let id = AttributesId::new(next(&mut self.attributes, MAX_NUMBER)?);
            let mut attributes = Attributes::default();
            for (number, value) in message.attribute.iter().zip(&message.value) {
                let value = self.string(*value)?;
                // A later rsamp may know more attributes.
                if let Some(attribute) = Attribute::ALL.get(*number as usize) {
                    attributes.0.insert(*attribute, value.to_string());
                }
            }
            self.budget.attributes(&attributes)?;
            events.push(Event::Attributes(id, attributes));
        }
        Some(())
    }

    fn define_threads(&mut self, block: &mut Block, events: &mut Vec<Event>) -> Option<()> {
        for thread in block.threads.drain(..) {
            let is_next = u64::from(thread.id) == self.threads;
            if is_next {
                next(&mut self.threads, MAX_THREADS)?;
            }
            if u64::from(thread.id) >= self.threads || u64::from(thread.process) >= self.processes {
                return None;
            }
            let id = ThreadId(thread.id);
            let thread = Thread {
                process: ProcessId(thread.process),
                tid: thread.tid,
                name: thread.name,
                is_main: thread.is_main,
            };
            if is_next {
                self.budget.thread(&thread)?;
            }
            events.push(Event::Thread(id, thread));
        }
        Some(())
    }

    /// Counts the frames of a block, each of which makes sense.
    fn count_frames(&mut self, block: &Block) -> Option<()> {
        let count = block.frame_name.len();
        let lengths = [
            block.frame_file.len(),
            block.frame_first_line.len(),
            block.frame_line.len(),
        ];
        if lengths.iter().any(|length| *length != count) {
            return None;
        }
        if !block.frame_kind.is_empty() && block.frame_kind.len() != count {
            return None;
        }
        let mut natives = 0;
        for index in 0..count {
            next(&mut self.frames, MAX_NUMBER)?;
            let frame = self.frame(block, index, &mut natives)?;
            self.budget.frame(&frame)?;
        }
        Some(())
    }

    /// A frame of a block, before which there are so many `natives`.
    fn frame(&self, block: &Block, index: usize, natives: &mut usize) -> Option<Frame> {
        let file = self.string_or_none(block.frame_file[index])?;
        let kind = match (block.frame_kind.get(index), &file) {
            (Some(0), _) | (None, Some(_)) => FrameKind::Python,
            (Some(1), _) => FrameKind::Native(self.native(block, natives)?),
            (Some(2), _) | (None, None) => FrameKind::Mark,
            (Some(_), _) => return None,
        };
        Some(Frame {
            kind,
            name: self.string(block.frame_name[index])?.to_string(),
            file,
            first_line: line(block.frame_first_line[index])?,
            line: line(block.frame_line[index])?,
        })
    }

    /// The native code of the next native frame of a block.
    fn native(&self, block: &Block, natives: &mut usize) -> Option<NativeCode> {
        let index = *natives;
        *natives += 1;
        Some(NativeCode {
            module: self.string(*block.native_module.get(index)?)?.to_string(),
            build_id: match block.native_build_id.is_empty() {
                true => None,
                false => self.string_or_none(*block.native_build_id.get(index)?)?,
            },
            offset: block.native_offset.get(index)?.checked_sub(1),
            is_inlined: *block.native_inlined.get(index)? > 0,
        })
    }

    /// Counts the stacks of a block, each of which makes sense.
    fn count_stacks(&mut self, block: &Block) -> Option<()> {
        if block.stack_parent.len() != block.stack_frame.len() {
            return None;
        }
        for (distance, frame) in block.stack_parent.iter().zip(&block.stack_frame) {
            let id = next(&mut self.stacks, MAX_NUMBER)?;
            let is_known = u64::from(*frame) < self.frames && *distance <= id;
            if !is_known {
                return None;
            }
            self.budget.stack()?;
        }
        Some(())
    }

    fn take_sources(&mut self, block: &mut Block) -> Option<()> {
        for file in block.changed_files.drain(..) {
            self.budget.changed_file()?;
            let file = self.string(file)?;
            self.changed_files.push(file);
        }
        for source in block.sources.drain(..) {
            self.budget.source(&source.text)?;
            self.sources.push(SourceText {
                file: self.string(source.file)?,
                first_line: source.first_line,
                text: source.text,
            });
        }
        Some(())
    }

    /// The functions that the native frames of a block stand for.
    fn names(&mut self, block: &Block) -> Option<Vec<Event>> {
        let mut names = Vec::new();
        let mut next = 0_usize;
        if block.named_frame.len() != block.named_functions.len() {
            return None;
        }
        for (frame, count) in block.named_frame.iter().zip(&block.named_functions) {
            let count = *count as usize;
            if u64::from(*frame) >= self.frames || count > MAX_FUNCTIONS {
                return None;
            }
            self.budget.names()?;
            let functions = (next..next + count).map(|index| self.function(block, index));
            let functions: Option<Vec<Frame>> = functions.collect();
            names.push(Event::Names {
                frame: FrameId(*frame),
                functions: functions?,
            });
            next += count;
        }
        Some(names)
    }

    fn function(&mut self, block: &Block, index: usize) -> Option<Frame> {
        let native = NativeCode {
            module: self.string(*block.function_module.get(index)?)?.to_string(),
            build_id: self.string_or_none(*block.function_build_id.get(index)?)?,
            offset: block.function_offset.get(index)?.checked_sub(1),
            is_inlined: *block.function_inlined.get(index)? > 0,
        };
        let function = Frame {
            kind: FrameKind::Native(native),
            name: self.string(*block.function_name.get(index)?)?.to_string(),
            file: self.string_or_none(*block.function_file.get(index)?)?,
            first_line: line(*block.function_first_line.get(index)?)?,
            line: line(*block.function_line.get(index)?)?,
        };
        self.budget.frame(&function)?;
        Some(function)
    }

    /// The string with a number +1; `Some(None)` for 0.
    fn string_or_none(&self, plus_one: u32) -> Option<Option<String>> {
        match plus_one.checked_sub(1) {
            Some(id) => Some(Some(self.string(id)?.to_string())),
            None => Some(None),
        }
    }

    fn string(&self, id: u32) -> Option<Arc<str>> {
        self.strings.get(id as usize).cloned()
    }
}

/// Decodes a message, after a look at what it would take.
fn decode(message: &[u8]) -> Result<Block, &'static str> {
    if !unpacked::fits(message) {
        return Err("a block that is no message, or takes too much memory");
    }
    Block::decode(message).map_err(|_| "a block that is no message")
}

fn no_header(unreadable: Unreadable) -> ReadError {
    match unreadable {
        Unreadable::CutOff(_) => ReadError::NoHeader(Broken::CutOff),
        Unreadable::Damaged(_) => ReadError::NoHeader(Broken::Damaged),
        Unreadable::Io(error) => ReadError::Io(error),
    }
}

fn preamble_bytes() -> u64 {
    Preamble::own().to_bytes().len() as u64
}

/// The next number of a kind of definition; `None` beyond `max`.
fn next(count: &mut u64, max: u64) -> Option<u32> {
    let id = u32::try_from(*count).ok()?;
    *count += 1;
    (*count <= max).then_some(id)
}

/// A line +1; `None` when it is out of range.
fn line(plus_one: u64) -> Option<Option<u32>> {
    match plus_one.checked_sub(1) {
        None => Some(None),
        Some(line) => u32::try_from(line).ok().map(Some),
    }
}

impl<R> Reader<R> {
    /// `None` when its process or its stack is not defined.
    fn awaited(&self, awaited: &schema::Awaited) -> Option<Event> {
        let is_known = u64::from(awaited.process) < self.processes && awaited.stack <= self.stacks;
        let stack = awaited.stack.checked_sub(1);
        let stack = stack.and_then(|stack| u32::try_from(stack).ok());
        is_known.then_some(Event::Awaited(Awaited {
            at: Nanos(awaited.at_ns),
            process: ProcessId(awaited.process),
            stack: stack.map(StackId),
            tasks: awaited.tasks,
            since: Nanos(awaited.since_ns),
        }))
    }
}

fn usage_event(usage: &schema::Usage) -> Usage {
    Usage {
        process: ProcessId(usage.process),
        at: Nanos(usage.at_ns),
        resident: usage.resident,
        peak: usage.peak,
        anonymous: usage.anonymous,
        cpu: usage.cpu_ns.map(Nanos),
        runnable: usage.runnable,
        read_calls_bytes: usage.read_calls_bytes,
        write_calls_bytes: usage.write_calls_bytes,
        storage_read_bytes: usage.storage_read_bytes,
        storage_written_bytes: usage.storage_written_bytes,
        minor_faults: usage.minor_faults,
        major_faults: usage.major_faults,
        voluntary_switches: usage.voluntary_switches,
        forced_switches: usage.forced_switches,
    }
}

fn lost_event(loss: &schema::Loss) -> Option<Event> {
    let causes = [
        LostCause::Late,
        LostCause::Unreadable,
        LostCause::Torn,
        LostCause::TooDeep,
        LostCause::GeneratorCallers,
        LostCause::BrokenLink,
        LostCause::NoEntry,
        LostCause::TooMany,
        LostCause::NotStopped,
    ];
    let cause = causes
        .into_iter()
        .find(|cause| super::writer::cause_number(*cause) == loss.cause)?;
    Some(Event::Lost(Loss {
        at: Nanos(loss.at_ns),
        cause,
        count: loss.count,
    }))
}

fn undetermined_event(repeated: &schema::Repeated) -> Option<Event> {
    let causes = [
        UndeterminedCause::Moved,
        UndeterminedCause::Changing,
        UndeterminedCause::Mixed,
        UndeterminedCause::Unread,
    ];
    let cause = causes
        .into_iter()
        .find(|cause| super::writer::undetermined_number(*cause) == repeated.cause)?;
    Some(Event::Undetermined(cause, repeated.count))
}
