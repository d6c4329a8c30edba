//! Turns the waiting threads of a process into stacks of native and Python frames, without stopping one.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::time::{Duration, Instant};

use super::native_frame::{module_of, native_frame};
use super::observation::Observation;
use super::observe::Identity;
use super::target::Source;
use crate::cpython::activations::{Activation, activations};
use crate::cpython::reader::KnownThread;
use crate::memory::{Address, LiveMemory, Resident};
use crate::native::loop_code::address_of_loop;
use crate::native::merge::{Part, merge};
use crate::native::stack_copy::StackCopy;
use crate::native::unwind::{NativeEnd, NativeStack, Unwinder};
use crate::native::waiting::WaitingThread;
use crate::process::{FileSystems, Mapping, Process, ProcessError, Tid};
use crate::profile::event::{Frame, NATIVE_MISSING};

/// How long the stacks of a process may take together. Those of 1,000 threads take some 100 ms.
const MAX_TIME: Duration = Duration::from_secs(5);

type Guarded<'m> = Resident<&'m LiveMemory>;

/// What native stacks are read with, as a process is mapped now.
pub struct NativeReader<'m> {
    process: &'m Process,
    mappings: &'m [Mapping],
    memory: &'m Guarded<'m>,
    unwinder: Unwinder<&'m Guarded<'m>>,
    /// The code of the interpreter's loop, where counting needs it; `None`: not asked for yet.
    loop_ranges: Option<Vec<Range<u64>>>,
    /// The file that the loop is in.
    interpreter: Option<String>,
    deadline: Instant,
}

/// A stack of both kinds of frames.
pub struct MergedStack {
    /// Innermost first.
    pub frames: Vec<Frame>,
    /// Whether it leads to the function that began the thread.
    pub is_whole: bool,
}

/// The mappings of a process, and those among them whose pages may have to be waited for.
pub fn mappings(process: &Process) -> Result<(Vec<Mapping>, Vec<Mapping>), ProcessError> {
    let file_systems = FileSystems::of(process.pid());
    let mappings = process.mappings()?;
    let may_stall =
        |mapping: &&Mapping| mapping.is_file() && file_systems.may_stall(mapping.device);
    let stalling = mappings.iter().filter(may_stall).cloned().collect();
    Ok((mappings, stalling))
}

impl<'m> NativeReader<'m> {
    /// Of a process with these mappings.
    pub fn new(
        process: &'m Process,
        mappings: &'m [Mapping],
        memory: &'m Guarded<'m>,
    ) -> NativeReader<'m> {
        NativeReader {
            process,
            mappings,
            memory,
            unwinder: Unwinder::new(mappings, memory),
            loop_ranges: None,
            interpreter: None,
            deadline: Instant::now() + MAX_TIME,
        }
    }

    /// The file that the interpreter's loop is in, as the process has it mapped; `None`: it was not met.
    pub fn interpreter(&self) -> Option<&str> {
        self.interpreter.as_deref()
    }

    /// Whether there is time for more.
    pub fn has_time(&self) -> bool {
        Instant::now() < self.deadline
    }

    /// The stack of a thread that has waited since it was looked at, and has these Python frames. `None`: it ran, or its
    /// stack cannot be read.
    pub fn stack(&mut self, waiting: WaitingThread, python: &PythonStack) -> Option<MergedStack> {
        let activations = &python.activations;
        let stack = StackCopy::read(waiting.stack_pointer()?, self.mappings, self.memory)?;
        let anchors = activations.iter().filter_map(|run| run.anchor);
        let mut anchors: Vec<u64> = anchors.map(|at| at.0).collect();
        anchors.sort_unstable();
        let registers = waiting.registers()?;
        let deadline = self.deadline;
        let is_late = || Instant::now() >= deadline;
        let native = self.unwinder.unwind(registers, &stack, &anchors, &is_late);
        let is_counted = activations.iter().any(|run| run.anchor.is_none());
        let loop_ranges = if is_counted {
            self.loop_ranges()
        } else {
            Vec::new()
        };
        if !waiting.has_stood_still() {
            return None;
        }
        let is_loop = |at: u64| loop_ranges.iter().any(|range| range.contains(&at));
        let parts = merge(&native, activations, is_loop);
        self.find_interpreter(&native, &parts, &anchors, is_loop);
        let frames = parts.iter().filter_map(|part| match *part {
            Part::Python(number) => python.frames.get(number)?.clone(),
            Part::Missing => Some(Frame::mark(NATIVE_MISSING)),
            Part::Native(number) => self.frame(native.frames.get(number)?.instruction?),
        });
        Some(MergedStack {
            frames: frames.collect(),
            is_whole: native.end == NativeEnd::Outermost,
        })
    }

    fn loop_ranges(&mut self) -> Vec<Range<u64>> {
        if let Some(ranges) = &self.loop_ranges {
            return ranges.clone();
        }
        let file_systems = FileSystems::of(self.process.pid());
        let start = address_of_loop(self.process, &file_systems);
        let ranges = start.map(|start| self.unwinder.loop_ranges(start));
        self.loop_ranges.insert(ranges.unwrap_or_default()).clone()
    }

    /// Takes note of the file that the loop is in, where a frame of it was met.
    fn find_interpreter(
        &mut self,
        native: &NativeStack,
        parts: &[Part],
        anchors: &[u64],
        is_loop: impl Fn(u64) -> bool,
    ) {
        if self.interpreter.is_some() || !parts.iter().any(|part| matches!(part, Part::Python(_))) {
            return;
        }
        let instruction = native.frames.iter().find_map(|frame| {
            let end = frame.end.unwrap_or(frame.start);
            let has_anchor = anchors.iter().any(|at| (frame.start..end).contains(at));
            frame.instruction.filter(|at| has_anchor || is_loop(*at))
        });
        let place = instruction.and_then(|at| self.unwinder.place(at));
        self.interpreter = place.map(|place| module_of(&place));
    }

    fn frame(&mut self, instruction: u64) -> Option<Frame> {
        self.unwinder
            .place(instruction)
            .map(|place| native_frame(&place))
    }
}

/// The Python frames of a thread that stands still.
pub struct PythonStack {
    /// Innermost first; `None`: one of the interpreter's own, which is not shown.
    frames: Vec<Option<Frame>>,
    activations: Vec<Activation>,
}

impl PythonStack {
    /// That of a thread without Python.
    pub const EMPTY: PythonStack = PythonStack {
        frames: Vec::new(),
        activations: Vec::new(),
    };

    /// That of an observed thread, whose frames are `shown`. `None`: they are not all there, or those of several thread
    /// states (sub-interpreters).
    pub fn of(
        source: &Source,
        observation: &Observation,
        shown: Vec<Frame>,
        memory: &LiveMemory,
    ) -> Option<PythonStack> {
        let Source::Native(reader) = source else {
            let each = (0..shown.len()).map(|number| Activation {
                frames: number..number + 1,
                anchor: None,
            });
            return Some(PythonStack {
                activations: each.collect(),
                frames: shown.into_iter().map(Some).collect(),
            });
        };
        let is_its = |thread: &&KnownThread| (thread.state.0, thread.ident) == observation.key;
        let thread = reader.threads().iter().find(is_its)?;
        let is_own = |code: Address| {
            let code = reader.codes().get(code);
            code.is_some_and(|code| code.is_trampoline)
        };
        let mut shown = shown.into_iter();
        let frames = thread.stack().frames.iter().map(|raw| {
            if is_own(raw.code) {
                return Some(None);
            }
            shown.next().map(Some)
        });
        let frames = frames.collect::<Option<Vec<_>>>()?;
        shown.next().is_none().then(|| PythonStack {
            activations: activations(
                thread.state,
                &thread.stack().frames,
                reader.interpreter(),
                memory,
            ),
            frames,
        })
    }
}

/// The threads of a process that run no Python.
pub fn other_threads(process: &Process, identities: &HashMap<(u64, u64), Identity>) -> Vec<Tid> {
    let python: HashSet<Tid> = identities.values().filter_map(|found| found.tid).collect();
    let tasks = process.tasks().unwrap_or_default();
    tasks
        .into_iter()
        .filter(|tid| !python.contains(tid))
        .collect()
}
