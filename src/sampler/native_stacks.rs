//! Turns the copy of a thread's stack into the number of the stack with its native frames.
//!
//! What is learnt of a process's code, the rules to unwind it above all, is kept as long as the code is mapped.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;
use std::time::Instant;

use rustc_hash::FxHashMap;

use super::intern::{Interner, UNREADABLE};
use super::native_dump::mappings;
use super::native_frame::native_frame;
use crate::cpython::activations::{Activation, activations};
use crate::cpython::frames::{KEPT_AT_EACH_END, RawStack, StackEnd};
use crate::cpython::reader::Reader;
use crate::memory::{Address, LiveMemory, ReadError, ReadMemory, Resident};
use crate::native::loop_code::address_of_loop;
use crate::native::merge::{Part, merge};
use crate::native::registers::{Registers, STACK_POINTER};
use crate::native::stack_copy::StackCopy;
use crate::native::unwind::{NativeEnd, NativeStack, Unwinder};
use crate::process::{FileSystems, Mapping, Process, Tid, own_thread_cpu_ns};
use crate::profile::event::{Event, Frame, FrameId, NATIVE_MISSING, Nanos, StackId};

/// How much of a stack is copied where it is not known how long it is. Of 99 % of stacks, 30 KiB are in use.
const USUAL_BYTES: u64 = 64 << 10;

/// The most that is copied: 160 µs. `dgetrf_parallel` of OpenBLAS has 528 KiB for each of its calls of itself, of which there
/// are three in the inversion of a matrix with 400 rows.
const MOST_BYTES: u64 = 4 << 20;

/// Where a copy did not reach the end, the next has so many times as much.
const LONGER: u64 = 4;

/// The kernel's name for the stack of the first thread (proc_pid_maps(5)).
const FIRST_STACK: &str = "[stack]";

/// So much more is copied than was in use when the whole stack was seen last.
const BEHIND_BYTES: u64 = 4 << 10;

/// The most threads of which it is kept where their stacks end.
const MAX_ENDS: usize = 4096;

/// How much CPU time of rsamp the unwinding of one stack may take. Warm, it takes some microseconds; the first ones read the
/// unwind information. By the clock it would end where rsamp itself waits for a CPU.
const MAX_UNWINDING_NS: u64 = 50_000_000;

/// Mappings are read again after this time where code was met that is not known,
const REMAP_SOON: Nanos = Nanos(100_000_000);

/// and after this time in any case: a library may have taken the place of another one,
const REMAP: Nanos = Nanos(2_000_000_000);

/// but not before so many times the time that it takes have passed.
const REMAPPING: u64 = 200;

/// The most instructions of which the frames are kept; beyond, they are worked out anew.
const MAX_FRAMES: usize = 1 << 16;

/// A thread as it stood.
pub struct StoodThread {
    registers: Registers,
    stack: StackCopy<'static>,
    /// Its Python frames.
    pub python: RawStack,
    activations: Vec<Activation>,
}

/// A stack with its native frames.
#[derive(Debug, Clone, Copy)]
pub struct MergedStack {
    /// Its number.
    pub stack: StackId,
    /// Whether nothing is missing in it.
    pub is_whole: bool,
}

/// What reads the native frames of one process.
#[derive(Debug)]
pub struct NativeStacks {
    process: Arc<Process>,
    memory: LiveMemory,
    mappings: Vec<Mapping>,
    unwinder: Unwinder<Resident<LiveMemory>>,
    frames: FxHashMap<u64, Option<FrameId>>,
    loop_code: LoopCode,
    /// Where the stacks of threads end that were seen whole, or how many bytes were not enough.
    ends: FxHashMap<Tid, StackReach>,
    remap_at: Nanos,
    remap_soon_at: Nanos,
}

#[derive(Debug, Clone, Copy)]
enum StackReach {
    End(u64),
    More(u64),
}

/// The code of the interpreter's loop, where counting needs it.
#[derive(Debug)]
enum LoopCode {
    /// Not asked for yet.
    Unknown,
    /// A thread looks for it in the symbols of the process's files: that may take some milliseconds.
    Sought(Receiver<Option<u64>>),
    Known(Vec<Range<u64>>),
}

impl NativeStacks {
    /// Nothing of the process has been read yet.
    #[must_use]
    pub fn new(process: Arc<Process>) -> NativeStacks {
        let pid = process.pid();
        let nothing = Resident::new(LiveMemory::new(pid), pid, std::iter::empty());
        NativeStacks {
            memory: LiveMemory::new(pid),
            process,
            mappings: Vec::new(),
            unwinder: Unwinder::new(&[], nothing),
            frames: FxHashMap::default(),
            loop_code: LoopCode::Unknown,
            ends: FxHashMap::default(),
            remap_at: Nanos(0),
            remap_soon_at: Nanos(0),
        }
    }

    /// Reads how the process is mapped, if that is due at `at`.
    pub fn look_at_mappings(&mut self, at: Nanos) {
        if at < self.remap_at {
            return;
        }
        let began = Instant::now();
        if let Ok((mappings, stalling)) = mappings(&self.process) {
            let pid = self.process.pid();
            let memory = Resident::new(LiveMemory::new(pid), pid, stalling.iter());
            if self.unwinder.remap(&mappings, memory) {
                self.frames.retain(|_, frame| frame.is_some());
            } else {
                self.frames.clear();
            }
            self.mappings = mappings;
        }
        let took = Nanos(began.elapsed().as_nanos() as u64);
        let pause = Nanos(took.0.saturating_mul(REMAPPING));
        self.remap_soon_at = at + REMAP_SOON.max(pause);
        self.remap_at = at + REMAP.max(pause);
    }

    /// Copies what has to be known of a thread while it stands: its stack, and its Python frames, which it has as number so
    /// and so of the reader's threads. `None`: it cannot be read.
    pub fn copy(
        &self,
        tid: Tid,
        registers: Registers,
        python: Option<(&mut Reader, usize)>,
    ) -> Option<StoodThread> {
        let at = registers.get(STACK_POINTER)?;
        let stack = StackCopy::of_stopped(at, self.length(tid, at) as usize, &self.memory)?;
        let Some((reader, number)) = python else {
            return Some(StoodThread {
                registers,
                stack,
                python: RawStack::default(),
                activations: Vec::new(),
            });
        };
        let state = reader.threads().get(number)?.state;
        let python = reader.stack_of_stopped(number, &self.memory)?.clone();
        let copied = CopiedMemory {
            stack: &stack,
            memory: &self.memory,
        };
        let activations = activations(state, &python.frames, reader.interpreter(), &copied);
        Some(StoodThread {
            registers,
            stack,
            python,
            activations,
        })
    }

    /// The same of a thread whose Python frames are known by number: one activation for each.
    pub fn copy_beside(
        &self,
        tid: Tid,
        registers: Registers,
        frames: usize,
    ) -> Option<StoodThread> {
        let stood = self.copy(tid, registers, None)?;
        let activation = |number| Activation {
            frames: number..number + 1,
            anchor: None,
        };
        Some(StoodThread {
            activations: (0..frames).map(activation).collect(),
            ..stood
        })
    }

    fn length(&self, tid: Tid, stack_pointer: u64) -> u64 {
        let behind = self
            .mappings
            .partition_point(|mapping| mapping.end <= stack_pointer);
        let mapping = self.mappings.get(behind);
        let mapping = mapping.filter(|mapping| mapping.contains(stack_pointer));
        let in_mapping = mapping.map_or(u64::MAX, |mapping| mapping.end - stack_pointer);
        let wanted = match self.ends.get(&tid) {
            Some(StackReach::End(end)) if *end > stack_pointer => *end - stack_pointer,
            Some(StackReach::More(bytes)) => *bytes,
            _ if mapping.is_some_and(is_first_stack) => in_mapping,
            _ => USUAL_BYTES,
        };
        wanted.min(in_mapping).min(MOST_BYTES)
    }

    /// The stack of a thread that stood, seen at `at`; `frames` are the numbers of its Python frames,
    /// innermost first. `None`: there is nothing to show.
    pub fn merged(
        &mut self,
        (tid, at): (Tid, Nanos),
        stood: &StoodThread,
        frames: &[Option<FrameId>],
        interner: &mut Interner,
        emit: &mut dyn FnMut(Event),
    ) -> Option<MergedStack> {
        let anchors = stood.activations.iter().filter_map(|run| run.anchor);
        let mut anchors: Vec<u64> = anchors.map(|at| at.0).collect();
        anchors.sort_unstable();
        let is_counted = anchors.len() < stood.activations.len();
        let ranges = if is_counted {
            self.loop_ranges()?
        } else {
            Vec::new()
        };
        let end = own_thread_cpu_ns() + MAX_UNWINDING_NS;
        let is_late = || own_thread_cpu_ns() >= end;
        let native = self
            .unwinder
            .unwind(stood.registers, &stood.stack, &anchors, &is_late);
        self.learn(tid, at, &native, &stood.stack);
        let is_loop = |at: u64| ranges.iter().any(|range| range.contains(&at));
        let parts = merge(&native, &stood.activations, is_loop);
        let is_whole = !parts.contains(&Part::Missing);
        let mut numbers = Vec::with_capacity(parts.len());
        for part in parts {
            numbers.extend(match part {
                Part::Python(number) => frames.get(number).copied().flatten(),
                Part::Missing => Some(interner.frame(Frame::mark(NATIVE_MISSING), emit)),
                Part::Native(number) => {
                    let instruction = native.frames.get(number).and_then(|it| it.instruction);
                    instruction.and_then(|at| self.frame(at, interner, emit))
                }
            });
        }
        let stack = interner.stack_of(&numbers, emit)?;
        Some(MergedStack { stack, is_whole })
    }

    /// Takes in how far the stack reached, and whether code was met that is not known.
    fn learn(&mut self, tid: Tid, at: Nanos, native: &NativeStack, stack: &StackCopy<'_>) {
        if self.ends.len() >= MAX_ENDS {
            self.ends.clear();
        }
        let last = native.frames.last();
        let reach = match native.end {
            NativeEnd::Outermost => last.map(|last| StackReach::End(last.start + BEHIND_BYTES)),
            _ if stack.length() >= USUAL_BYTES => Some(StackReach::More(LONGER * stack.length())),
            _ => None,
        };
        self.ends.extend(reach.map(|reach| (tid, reach)));
        let is_strange = native.end == NativeEnd::NoCode
            || last
                .and_then(|last| last.instruction)
                .is_some_and(|at| !self.unwinder.is_code(at));
        if is_strange {
            self.remap_at = self.remap_at.min(self.remap_soon_at.max(at));
        }
    }

    /// Whether stacks that need the code of the interpreter's loop cannot be told yet.
    #[must_use]
    pub fn are_seeking(&self) -> bool {
        matches!(self.loop_code, LoopCode::Sought(_))
    }

    /// The ranges of the interpreter's loop; `None`: they are looked for.
    fn loop_ranges(&mut self) -> Option<Vec<Range<u64>>> {
        if let LoopCode::Unknown = self.loop_code {
            let (tell, told) = channel();
            let process = Arc::clone(&self.process);
            let seek = move || {
                let file_systems = FileSystems::of(process.pid());
                // Nobody listens any more where the recording has ended.
                let _ = tell.send(address_of_loop(&process, &file_systems));
            };
            let seeker = thread::Builder::new().name("loop-code".to_owned());
            self.loop_code = match seeker.spawn(seek) {
                Ok(_) => LoopCode::Sought(told),
                Err(_) => LoopCode::Known(Vec::new()),
            };
        }
        if let LoopCode::Sought(told) = &self.loop_code {
            let found = match told.try_recv() {
                Err(TryRecvError::Empty) => return None,
                found => found.ok().flatten(),
            };
            let ranges = found.map(|start| self.unwinder.loop_ranges(start));
            self.loop_code = LoopCode::Known(ranges.unwrap_or_default());
        }
        match &self.loop_code {
            LoopCode::Known(ranges) => Some(ranges.clone()),
            LoopCode::Unknown | LoopCode::Sought(_) => None,
        }
    }

    fn frame(
        &mut self,
        instruction: u64,
        interner: &mut Interner,
        emit: &mut dyn FnMut(Event),
    ) -> Option<FrameId> {
        if let Some(id) = self.frames.get(&instruction) {
            return *id;
        }
        let place = self.unwinder.place(instruction);
        let id = place.map(|place| interner.frame(native_frame(&place), emit));
        if self.frames.len() >= MAX_FRAMES {
            self.frames.clear();
        }
        self.frames.insert(instruction, id);
        id
    }

    /// Frees what is only needed while new code is met.
    pub fn rest(&mut self) {
        self.unwinder.forget_copies();
    }
}

/// Its mapping ends where the stack does; what the program was started with lies there, some KiB.
fn is_first_stack(mapping: &Mapping) -> bool {
    let path = mapping.path.as_ref();
    path.is_some_and(|path| path.as_os_str() == FIRST_STACK)
}

impl StoodThread {
    /// The numbers of its Python stack and of the frames of it, innermost first. `None`: it is too deep.
    pub fn numbers(
        &mut self,
        reader: &Reader,
        interner: &mut Interner,
        emit: &mut dyn FnMut(Event),
    ) -> Option<(Option<StackId>, Vec<Option<FrameId>>)> {
        if self.python.frames.len() > 2 * KEPT_AT_EACH_END {
            return None;
        }
        let codes = reader.codes();
        let stack = interner.stack(&self.python, codes, emit).stack;
        let mut frames = interner.frames_of(&self.python, codes, emit);
        if self.python.end != StackEnd::Outermost {
            frames.push(Some(interner.frame(Frame::mark(UNREADABLE), emit)));
            if let Some(last) = self.activations.last_mut() {
                last.frames.end = frames.len();
            }
        }
        Some((stack, frames))
    }
}

/// Memory of which a part was copied.
struct CopiedMemory<'c> {
    stack: &'c StackCopy<'static>,
    memory: &'c LiveMemory,
}

impl ReadMemory for CopiedMemory<'_> {
    fn read(&self, at: Address, into: &mut [u8]) -> Result<(), ReadError> {
        match (self.stack.word(at.0), into.len()) {
            (Some(word), 8) => into.copy_from_slice(&word.to_le_bytes()),
            _ => self.memory.read(at, into)?,
        }
        Ok(())
    }

    fn read_pieces(&self, pieces: &[crate::memory::Piece], into: &mut [u8]) -> usize {
        self.memory.read_pieces(pieces, into)
    }
}
