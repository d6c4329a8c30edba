//! Turns events into the blocks of a recording.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::mem::take;

use prost::Message;
use rustc_hash::FxHashMap;

use super::budget::Budget;
use super::columns;
use super::format::{Preamble, write_block};
use super::refined;
use super::schema::{self, Block, Header, Source, Variable};
use crate::profile::attributes::Attributes;
use crate::profile::event::{
    Awaited, Event, Frame, FrameId, FrameKind, LostCause, Missing, NativeCode, NativeSample,
    Process, Sample, StackId, Thread, UndeterminedCause, Usage,
};
use crate::profile::limits::MAX_FUNCTIONS;

/// Longer texts of the target (names of generated code) lose their end, so that a block has a bound.
pub const MAX_TEXT_BYTES: usize = 1 << 20;

/// The longest path that the kernel takes, in bytes: `PATH_MAX` of `linux/limits.h`.
const MAX_PATH_BYTES: usize = 4096;

/// A block with so many samples and losses is written though it is not time: 100 bytes each at the very most.
const MAX_BLOCK_SAMPLES: usize = 1 << 13;

/// A block with definitions of so many bytes is written though it is not time.
const MAX_BLOCK_DEFINITIONS_BYTES: usize = 1 << 20;

/// What a definition takes besides its text, at the very most (a frame: two short and two long numbers).
const DEFINITION_BYTES: usize = 32;

/// Writes a recording, block by block.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    strings: FxHashMap<String, u32>,
    block: Block,
    samples: Vec<Sample>,
    natives: Vec<NativeSample>,
    repeated: BTreeMap<u32, u64>,
    /// About what the block takes beside its samples and losses.
    definitions_bytes: usize,
    budget: Budget,
    threads: u32,
    written_bytes: u64,
}

impl<W: Write> Writer<W> {
    /// Writes the header.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn new(out: W, mut header: Header) -> io::Result<Writer<W>> {
        shorten_all(&mut header.command);
        shorten_all(&mut header.options);
        shorten_environment(&mut header.environment);
        for text in [
            &mut header.working_folder,
            &mut header.host,
            &mut header.user,
        ] {
            shorten(text);
        }
        let preamble = Preamble::own().to_bytes();
        let mut writer = Writer {
            out,
            strings: FxHashMap::default(),
            block: Block {
                header: Some(header),
                ..Block::default()
            },
            samples: Vec::new(),
            natives: Vec::new(),
            repeated: BTreeMap::new(),
            definitions_bytes: 0,
            budget: Budget::default(),
            threads: 0,
            written_bytes: preamble.len() as u64,
        };
        writer.out.write_all(&preamble)?;
        writer.flush()?;
        Ok(writer)
    }

    /// Has it hold no more than so much.
    #[cfg(test)]
    pub(super) fn with_budget(mut self, budget: Budget) -> Writer<W> {
        self.budget = budget;
        self
    }

    /// Takes in one event; it is in the file after the next [`Writer::flush`].
    ///
    /// Events must be in the order that [`Event`] describes.
    ///
    /// # Errors
    /// When `out` fails, or what the events define is more than a recording holds.
    pub fn event(&mut self, event: &Event) -> io::Result<()> {
        self.take(event).ok_or_else(too_much)?;
        let samples = self.samples.len() + self.natives.len();
        let is_full = samples + self.block.lost.len() >= MAX_BLOCK_SAMPLES
            || self.definitions_bytes >= MAX_BLOCK_DEFINITIONS_BYTES;
        if is_full { self.flush() } else { Ok(()) }
    }

    /// `None`: it is more than a recording holds.
    fn take(&mut self, event: &Event) -> Option<()> {
        match event {
            Event::Process(_, process) => self.process(process)?,
            Event::Thread(id, thread) => self.thread(id.0, thread)?,
            Event::Frame(_, frame) => self.frame(frame)?,
            Event::Stack { id, parent, frame } => self.stack(*id, *parent, *frame)?,
            Event::Attributes(_, attributes) => self.attributes(attributes)?,
            Event::Sample(sample) => self.samples.push(*sample),
            Event::Native(sample) => self.natives.push(*sample),
            Event::Names { frame, functions } => self.names(*frame, functions)?,
            Event::Lost(loss) => self.block.lost.push(schema::Loss {
                cause: cause_number(loss.cause),
                count: loss.count,
                at_ns: loss.at.0,
            }),
            Event::Undetermined(cause, count) => {
                let repeated = self
                    .repeated
                    .entry(undetermined_number(*cause))
                    .or_default();
                *repeated = repeated.saturating_add(*count);
            }
            Event::Pauses(stops) => {
                self.block.stops = self.block.stops.saturating_add(*stops);
            }
            Event::Usage(usage) => {
                self.block.usage.push(usage_message(usage));
                self.definitions_bytes += size_of::<schema::Usage>();
            }
            Event::Awaited(awaited) => {
                self.block.awaited.push(awaited_message(awaited));
                self.definitions_bytes += size_of::<schema::Awaited>();
            }
            Event::Missing(missing) => self.missing(missing)?,
            Event::Skipped(processes) => {
                let skipped = &mut self.block.skipped_processes;
                *skipped = skipped.saturating_add(*processes);
            }
            Event::Rate(span) => {
                self.block.rates.push(schema::RateSpan {
                    millihertz: span.millihertz,
                    time_ns: span.time.0,
                    ticks: span.ticks,
                    own_cpu_ns: span.own_cpu.0,
                });
                self.definitions_bytes += DEFINITION_BYTES;
            }
            Event::End(duration) => self.block.end_ns = Some(duration.0),
        }
        Some(())
    }

    /// Says which file the interpreter of the process is that was defined last, before the next
    /// [`Writer::event`].
    pub fn executable(&mut self, path: String) {
        let path = cut(&path, MAX_PATH_BYTES);
        if let Some(process) = self.block.processes.last_mut()
            && self.budget.executable(path).is_some()
        {
            process.executable = path.to_owned();
        }
    }

    /// Adds source text of `file`, from the line `first_line` on; not where it is more than a recording holds.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn source(&mut self, file: &str, first_line: u32, text: &str) -> io::Result<()> {
        let text = shortened(text).to_owned();
        let Some(file) = self.budget.source(&text).and_then(|()| self.string(file)) else {
            return Ok(());
        };
        self.definitions_bytes += DEFINITION_BYTES + text.len();
        self.block.sources.push(Source {
            file,
            first_line,
            text,
        });
        if self.definitions_bytes >= MAX_BLOCK_DEFINITIONS_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Says that `file` was changed after the program had started.
    pub fn changed_file(&mut self, file: &str) {
        let file = self.string(file);
        if let Some(file) = file.filter(|_| self.budget.changed_file().is_some()) {
            self.block.changed_files.push(file);
            self.definitions_bytes += DEFINITION_BYTES;
        }
    }

    /// Writes what was taken in since the last time as one block, if there was anything.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn flush(&mut self) -> io::Result<()> {
        let mut block = take(&mut self.block);
        columns::put(&take(&mut self.samples), &mut block);
        refined::put(&take(&mut self.natives), &mut block);
        let repeated = take(&mut self.repeated).into_iter();
        block.repeated = repeated
            .map(|(cause, count)| schema::Repeated { cause, count })
            .collect();
        self.definitions_bytes = 0;
        if block.sample_at.is_empty() {
            block.unit_ns = 0;
        }
        if block.native_build_id.iter().all(|id| *id == 0) {
            block.native_build_id.clear();
        }
        let parts = parts(block);
        if !parts.is_empty() {
            self.written_bytes += write_block(&mut self.out, &parts)?;
        }
        Ok(())
    }

    /// Writes what is left. Returns the stream and how many bytes went there.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn finish(mut self) -> io::Result<(W, u64)> {
        self.flush()?;
        Ok((self.out, self.written_bytes))
    }

    /// Where it was written to.
    pub(super) fn out(&self) -> &W {
        &self.out
    }

    /// The same, which can be changed.
    pub(super) fn out_mut(&mut self) -> &mut W {
        &mut self.out
    }

    /// Goes on elsewhere, where the same bytes are.
    pub(super) fn continued<V: Write>(self, out: V) -> Writer<V> {
        Writer {
            out,
            strings: self.strings,
            block: self.block,
            samples: self.samples,
            natives: self.natives,
            repeated: self.repeated,
            definitions_bytes: self.definitions_bytes,
            budget: self.budget,
            threads: self.threads,
            written_bytes: self.written_bytes,
        }
    }

    /// How many bytes were written.
    #[must_use]
    pub fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    fn process(&mut self, process: &Process) -> Option<()> {
        let mut process = process.clone();
        shorten_all(&mut process.command);
        let texts = [
            &mut process.host,
            &mut process.launch,
            &mut process.recording,
            &mut process.working_folder,
        ];
        for text in texts.into_iter().flatten() {
            shorten(text);
        }
        shorten(&mut process.python);
        self.budget.process(&process)?;
        // An empty name of the file that it runs.
        self.budget.executable("")?;
        let texts = process
            .command
            .iter()
            .chain(&process.host)
            .chain(&process.launch)
            .chain(&process.recording)
            .chain(&process.working_folder);
        let texts = texts.map(|text| DEFINITION_BYTES + text.len());
        self.definitions_bytes += DEFINITION_BYTES + texts.sum::<usize>();
        self.block.processes.push(schema::Process {
            pid: process.pid,
            command: process.command,
            python: process.python,
            executable: String::new(),
            seen_ns: process.seen.0,
            parent: process.parent.map_or(0, |parent| parent.0 + 1),
            rank: process.rank,
            host: process.host,
            usable_cpus: process.usable_cpus,
            memory_limit: process.memory_limit,
            launch: process.launch,
            cpu_mask: process.cpu_mask,
            cpu_quota: process.cpu_quota,
            recording: process.recording,
            working_folder: process.working_folder,
        });
        Some(())
    }

    fn missing(&mut self, missing: &Missing) -> Option<()> {
        let mut missing = missing.clone();
        shorten(&mut missing.what);
        shorten(&mut missing.why);
        self.budget.missing(&missing)?;
        self.definitions_bytes += DEFINITION_BYTES + missing.what.len() + missing.why.len();
        self.block.missing.push(schema::Missing {
            process: missing.process.0,
            what: missing.what,
            why: missing.why,
        });
        Some(())
    }

    fn thread(&mut self, id: u32, thread: &Thread) -> Option<()> {
        let mut thread = thread.clone();
        if let Some(name) = &mut thread.name {
            shorten(name);
        }
        if id >= self.threads {
            self.budget.thread(&thread)?;
            self.threads = id + 1;
        }
        self.definitions_bytes += DEFINITION_BYTES + thread.name.as_ref().map_or(0, String::len);
        self.block.threads.push(schema::Thread {
            id,
            process: thread.process.0,
            tid: thread.tid,
            name: thread.name,
            is_main: thread.is_main,
        });
        Some(())
    }

    fn frame(&mut self, frame: &Frame) -> Option<()> {
        let mut frame = frame.clone();
        shorten(&mut frame.name);
        if let Some(file) = &mut frame.file {
            shorten(file);
        }
        if let FrameKind::Native(native) = &mut frame.kind {
            shorten_native(native);
        }
        self.budget.frame(&frame)?;
        let name = self.string(&frame.name)?;
        let file = self.string_or_none(frame.file.as_deref())?;
        self.block.frame_name.push(name);
        self.block.frame_file.push(file);
        self.block.frame_first_line.push(plus_one(frame.first_line));
        self.block.frame_line.push(plus_one(frame.line));
        self.block.frame_kind.push(match &frame.kind {
            FrameKind::Python => 0,
            FrameKind::Native(_) => 1,
            FrameKind::Mark => 2,
        });
        if let FrameKind::Native(native) = &frame.kind {
            let module = self.string(&native.module)?;
            self.block.native_module.push(module);
            let build_id = self.string_or_none(native.build_id.as_deref())?;
            self.block.native_build_id.push(build_id);
            let offset = native.offset.map_or(0, |offset| offset.saturating_add(1));
            self.block.native_offset.push(offset);
            let inlined = u32::from(native.is_inlined);
            self.block.native_inlined.push(inlined);
        }
        self.definitions_bytes += DEFINITION_BYTES;
        Some(())
    }

    fn names(&mut self, frame: FrameId, functions: &[Frame]) -> Option<()> {
        self.budget.names()?;
        let functions = &functions[..functions.len().min(MAX_FUNCTIONS)];
        let mut count = 0;
        for function in functions {
            if let FrameKind::Native(native) = &function.kind {
                self.function(function, native.clone())?;
                count += 1;
            }
        }
        self.block.named_frame.push(frame.0);
        self.block.named_functions.push(count);
        self.definitions_bytes += DEFINITION_BYTES;
        Some(())
    }

    fn function(&mut self, function: &Frame, mut native: NativeCode) -> Option<()> {
        let mut function = function.clone();
        shorten(&mut function.name);
        function.file.iter_mut().for_each(shorten);
        shorten_native(&mut native);
        function.kind = FrameKind::Native(native.clone());
        self.budget.frame(&function)?;
        let name = self.string(&function.name)?;
        let file = self.string_or_none(function.file.as_deref())?;
        let module = self.string(&native.module)?;
        let build_id = self.string_or_none(native.build_id.as_deref())?;
        let block = &mut self.block;
        block.function_name.push(name);
        block.function_file.push(file);
        block
            .function_first_line
            .push(plus_one(function.first_line));
        block.function_line.push(plus_one(function.line));
        block.function_module.push(module);
        block.function_build_id.push(build_id);
        let offset = native.offset.map_or(0, |offset| offset.saturating_add(1));
        block.function_offset.push(offset);
        block.function_inlined.push(u32::from(native.is_inlined));
        self.definitions_bytes += DEFINITION_BYTES;
        Some(())
    }

    fn stack(&mut self, id: StackId, parent: Option<StackId>, frame: FrameId) -> Option<()> {
        self.budget.stack()?;
        let distance = parent.map_or(0, |parent| id.0.wrapping_sub(parent.0));
        self.block.stack_parent.push(distance);
        self.block.stack_frame.push(frame.0);
        self.definitions_bytes += DEFINITION_BYTES;
        Some(())
    }

    fn attributes(&mut self, attributes: &Attributes) -> Option<()> {
        let mut attributes = attributes.clone();
        attributes.0.values_mut().for_each(shorten);
        self.budget.attributes(&attributes)?;
        let mut message = schema::Attributes::default();
        for (attribute, value) in &attributes.0 {
            message.attribute.push(*attribute as u32);
            message.value.push(self.string(value)?);
        }
        self.block.attributes.push(message);
        self.definitions_bytes += DEFINITION_BYTES * attributes.0.len().max(1);
        Some(())
    }

    /// The number of a string +1, or 0 for none.
    fn string_or_none(&mut self, text: Option<&str>) -> Option<u32> {
        match text {
            Some(text) => Some(self.string(text)? + 1),
            None => Some(0),
        }
    }

    /// The number of a string, which is defined the first time.
    fn string(&mut self, text: &str) -> Option<u32> {
        let text = shortened(text);
        if let Some(id) = self.strings.get(text) {
            return Some(*id);
        }
        self.budget.string(text)?;
        let id = self.strings.len() as u32;
        self.strings.insert(text.to_owned(), id);
        self.block.strings.push(text.to_owned());
        self.definitions_bytes += DEFINITION_BYTES + text.len();
        Some(id)
    }
}

/// A line +1, or 0 for none.
fn plus_one(line: Option<u32>) -> u64 {
    line.map_or(0, |line| u64::from(line) + 1)
}

fn shorten_native(native: &mut NativeCode) {
    shorten(&mut native.module);
    native.build_id.iter_mut().for_each(shorten);
}

fn too_much() -> io::Error {
    let why =
        "there are more different stacks, functions, threads or processes than a recording holds";
    io::Error::new(io::ErrorKind::FileTooLarge, why)
}

fn usage_message(usage: &Usage) -> schema::Usage {
    schema::Usage {
        process: usage.process.0,
        at_ns: usage.at.0,
        resident: usage.resident,
        peak: usage.peak,
        anonymous: usage.anonymous,
        cpu_ns: usage.cpu.map(|cpu| cpu.0),
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

fn awaited_message(awaited: &Awaited) -> schema::Awaited {
    schema::Awaited {
        process: awaited.process.0,
        at_ns: awaited.at.0,
        stack: awaited.stack.map_or(0, |stack| u64::from(stack.0) + 1),
        tasks: awaited.tasks,
        since_ns: awaited.since.0,
    }
}

/// The number that stands for a cause in the file.
pub(super) fn cause_number(cause: LostCause) -> u32 {
    match cause {
        LostCause::Late => 1,
        LostCause::Unreadable => 2,
        LostCause::Torn => 3,
        LostCause::TooDeep => 4,
        LostCause::GeneratorCallers => 5,
        LostCause::BrokenLink => 6,
        LostCause::NoEntry => 7,
        LostCause::TooMany => 8,
        LostCause::NotStopped => 9,
    }
}

/// The number that stands for why a reading was repeated in the file.
pub(super) fn undetermined_number(cause: UndeterminedCause) -> u32 {
    match cause {
        UndeterminedCause::Moved => 1,
        UndeterminedCause::Changing => 2,
        UndeterminedCause::Mixed => 3,
        UndeterminedCause::Unread => 4,
    }
}

/// One message in parts, of which each but the last holds one column. (Messages that are written one
/// after the other are read as one: protobuf's encoding, "Last One Wins".)
fn parts(mut block: Block) -> Vec<Vec<u8>> {
    macro_rules! columns {
        ($($column:ident)*) => {
            [$(Block { $column: take(&mut block.$column), ..Block::default() }),*]
        };
    }
    let columns = columns![
        strings frame_name frame_file frame_first_line frame_line frame_kind
        native_module native_build_id native_offset native_inlined stack_parent stack_frame
        sampled_stacks sample_at sample_thread sample_stack sample_ticks sample_wall sample_cpu sample_gil
        sample_state sample_helpers_cpu_ns sample_blocked_others_ns sample_grown_bytes sample_shrunk_bytes
        sample_unsure_bytes sample_attributes
        refined_at_ns refined_thread refined_stack refined_state refined_merged refined_wall_ns refined_cpu_ns
        named_frame named_functions function_name function_file function_first_line function_line
        function_module function_build_id function_offset function_inlined sources
    ];
    columns
        .into_iter()
        .chain([block])
        .map(|part| part.encode_to_vec())
        .filter(|part| !part.is_empty())
        .collect()
}

/// Leaves out words beyond [`MAX_TEXT_BYTES`] in all.
fn shorten_all(words: &mut Vec<String>) {
    let mut room = MAX_TEXT_BYTES;
    words.retain_mut(|word| {
        let fits = word.len() <= room;
        room = room.saturating_sub(word.len());
        fits
    });
}

/// Leaves out variables beyond [`MAX_TEXT_BYTES`] in all.
fn shorten_environment(variables: &mut Vec<Variable>) {
    let mut room = MAX_TEXT_BYTES;
    variables.retain(|variable| {
        let bytes = variable.name.len() + variable.value.len();
        let fits = bytes <= room;
        room = room.saturating_sub(bytes);
        fits
    });
}

fn shorten(text: &mut String) {
    text.truncate(shortened(text).len());
}

/// The text up to [`MAX_TEXT_BYTES`].
fn shortened(text: &str) -> &str {
    cut(text, MAX_TEXT_BYTES)
}

/// The text up to so many bytes.
fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
