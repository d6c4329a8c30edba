//! How much memory the definitions of one recording may take, counted the same by the writer and by the reader.
//!
//! A few compressed bytes can say that there are millions of definitions. The reader refuses what would take more than
//! [`MAX_BYTES`], and the writer, which counts alike, never writes it. Each definition counts with what it takes in the
//! tables of a reader, of a profile and of an exporter, about.

use crate::profile::attributes::Attributes;
use crate::profile::event::{Frame, FrameKind, Missing, Process, Thread};

/// The most that all definitions may take, in bytes.
const MAX_BYTES: u64 = 240 << 20;

/// The longest affinity mask that is believed, in words: 8192 CPUs, the most that Linux is built for (`NR_CPUS`).
const MAX_CPU_WORDS: usize = 128;

const STRING: usize = 48;
const PROCESS: usize = 700;
const THREAD: usize = 300;
const FRAME: usize = 150;
const STACK: usize = 48;
const SMALL: usize = 64;

/// What is left of the memory for definitions. Each method takes what a definition needs; `None`: there is not so much.
#[derive(Debug)]
pub(super) struct Budget {
    left: u64,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { left: MAX_BYTES }
    }
}

impl Budget {
    fn take<'t>(&mut self, fixed: usize, texts: impl IntoIterator<Item = &'t str>) -> Option<()> {
        let texts: usize = texts
            .into_iter()
            .map(|text| text.len() + size_of::<String>())
            .sum();
        self.left = self.left.checked_sub((fixed + texts) as u64)?;
        Some(())
    }

    pub fn string(&mut self, text: &str) -> Option<()> {
        self.take(STRING, [text])
    }

    /// Without the name of the file that it runs.
    pub fn process(&mut self, process: &Process) -> Option<()> {
        if process.cpu_mask.len() > MAX_CPU_WORDS {
            return None;
        }
        let command = process.command.iter().map(String::as_str);
        let others = process
            .host
            .as_deref()
            .into_iter()
            .chain(process.launch.as_deref())
            .chain(process.recording.as_deref())
            .chain(process.working_folder.as_deref());
        let texts = command.chain(others).chain([&*process.python]);
        self.take(PROCESS + size_of_val(&*process.cpu_mask), texts)
    }

    /// The name of the file that a process runs.
    pub fn executable(&mut self, path: &str) -> Option<()> {
        self.take(0, [path])
    }

    /// Only the first definition of a thread counts: the others take its place.
    pub fn thread(&mut self, thread: &Thread) -> Option<()> {
        self.take(THREAD, thread.name.as_deref())
    }

    /// Every frame has its texts to itself, as has every function that a native frame stands for.
    pub fn frame(&mut self, frame: &Frame) -> Option<()> {
        let native = match &frame.kind {
            FrameKind::Native(native) => Some(native),
            FrameKind::Python | FrameKind::Mark => None,
        };
        let module = native.map(|native| &*native.module);
        let build_id = native.and_then(|native| native.build_id.as_deref());
        let texts = [&*frame.name].into_iter().chain(frame.file.as_deref());
        self.take(FRAME, texts.chain(module).chain(build_id))
    }

    /// Which functions a native frame stands for, without these.
    pub fn names(&mut self) -> Option<()> {
        self.take(SMALL, None)
    }

    pub fn stack(&mut self) -> Option<()> {
        self.take(STACK, None)
    }

    /// Every set has its texts to itself.
    pub fn attributes(&mut self, attributes: &Attributes) -> Option<()> {
        let count = attributes.0.len();
        self.take(
            SMALL + count * SMALL,
            attributes.0.values().map(String::as_str),
        )
    }

    pub fn missing(&mut self, missing: &Missing) -> Option<()> {
        self.take(SMALL, [&*missing.what, &*missing.why])
    }

    pub fn source(&mut self, text: &str) -> Option<()> {
        self.take(SMALL, [text])
    }

    /// The name of a file that was changed, which is one of the strings.
    pub fn changed_file(&mut self) -> Option<()> {
        self.take(SMALL, None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::profile::event::{Event, FrameId, Nanos, NativeCode, ProcessId, StackId, ThreadId};
    use crate::profile::limits;
    use crate::recording::{Completeness, Header, Reader, Writer};

    /// A definition that makes sense after `before`: the kind, a number and a length of text.
    fn definition(before: &[Event], (kind, number, length): (u8, u32, usize)) -> Option<Event> {
        let count = |is: fn(&Event) -> bool| before.iter().filter(|event| is(event)).count() as u32;
        let processes = count(|event| matches!(event, Event::Process(..)));
        let frames = count(|event| matches!(event, Event::Frame(..)));
        let stacks = count(|event| matches!(event, Event::Stack { .. }));
        let threads = before.iter().filter_map(|event| match event {
            Event::Thread(id, _) => Some(id.0 + 1),
            _ => None,
        });
        let threads = threads.max().unwrap_or(0);
        let text = "x".repeat(length);
        let one_of = |count: u32| number.checked_rem(count);
        Some(match kind {
            0 => Event::Process(
                ProcessId(processes),
                Process {
                    command: vec![text.clone(), text],
                    cpu_mask: vec![1; length % 300],
                    ..Process::default()
                },
            ),
            1 => Event::Thread(
                ThreadId(number % (threads + 1)),
                Thread {
                    process: ProcessId(one_of(processes)?),
                    tid: None,
                    name: Some(text),
                    is_main: false,
                },
            ),
            2 => Event::Frame(
                FrameId(frames),
                Frame {
                    kind: match number % 3 {
                        0 => FrameKind::Python,
                        1 => FrameKind::Mark,
                        _ => FrameKind::Native(NativeCode {
                            module: text.clone(),
                            build_id: (number % 2 == 0).then(|| text.clone()),
                            offset: None,
                            is_inlined: false,
                        }),
                    },
                    name: text.clone(),
                    file: (number % 2 == 0).then_some(text),
                    first_line: None,
                    line: Some(number),
                },
            ),
            3 => Event::Stack {
                id: StackId(stacks),
                parent: one_of(stacks).filter(|_| number % 3 > 0).map(StackId),
                frame: FrameId(one_of(frames)?),
            },
            _ => Event::Missing(Missing {
                process: ProcessId(one_of(processes)?),
                what: text,
                why: String::new(),
            }),
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// Whatever the limit, and wherever it is reached.
        #[test]
        fn what_the_writer_takes_the_reader_reads(
            steps in prop::collection::vec((0..5_u8, any::<u32>(), 0..400_usize), 1..80),
            limit in 0..40_000_u64,
        ) {
            let budget = || Budget { left: limit };
            let writer = Writer::new(Vec::new(), Header::default()).unwrap();
            let mut writer = writer.with_budget(budget());
            let mut taken = Vec::new();
            for step in steps {
                let Some(event) = definition(&taken, step) else {
                    continue;
                };
                if writer.event(&event).is_err() {
                    break;
                }
                taken.push(event);
            }
            writer.event(&Event::End(Nanos(1))).unwrap();
            let (file, _) = writer.finish().unwrap();
            let mut reader = Reader::new(file.as_slice()).unwrap().with_budget(budget());
            let mut found = Vec::new();
            let completeness = reader.read(&mut |event| found.push(event)).unwrap();
            prop_assert_eq!(completeness, Completeness::Whole);
            prop_assert_eq!(found.len(), taken.len() + 1);
            prop_assert!(taken.iter().all(|event| found.contains(event)));
        }
    }

    #[test]
    fn what_the_sampler_may_record_fits() {
        let mut budget = Budget::default();
        let (processes, threads) = (limits::MAX_PROCESSES as usize, limits::MAX_THREADS as usize);
        let fixed = [
            processes * (PROCESS + 200 + 4 * SMALL),
            // Each process may have one thread more.
            (threads + processes) * (THREAD + 100),
            (limits::MAX_STACKS + limits::MAX_CUT_STACKS) * STACK,
            limits::MAX_FRAMES_BYTES / limits::frame_bytes(0) * (FRAME + 3 * STRING),
            // Each text is a string, and that of a frame.
            2 * limits::MAX_FRAMES_BYTES,
            limits::MAX_COMMANDS_BYTES,
            // A set has one or two attributes, and most often a text of its own.
            limits::MAX_ATTRIBUTES as usize * (3 * SMALL + STRING + 100),
        ];
        assert_eq!(budget.take(fixed.iter().sum(), None), Some(()));
    }
}
