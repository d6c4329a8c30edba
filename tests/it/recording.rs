//! What is written into a recording is read from it, and nothing else, whatever happens to its bytes.

use std::path::Path;

use proptest::prelude::*;
use rsamp::profile::{
    Annotation, Attribute, Attributes, AttributesId, Awaited, Event, Frame, FrameId, FrameKind,
    Loss, LostCause, Missing, Nanos, NativeCode, NativeSample, Process, ProcessId, Profile,
    RateSpan, Sample, StackId, State, Thread, ThreadId, Totals, UndeterminedCause, Usage,
};
use rsamp::recording::{
    Block, Completeness, FORMAT_VERSION, Header, MAX_MESSAGE_BYTES, Merger, Preamble, ReadError,
    Reader, Variable, Writer,
};

fn header() -> Header {
    Header {
        command: vec!["python".to_owned(), "scatter.py".to_owned()],
        working_folder: "/home/ada".to_owned(),
        host: "node01".to_owned(),
        environment: vec![Variable {
            name: "OMP_NUM_THREADS".to_owned(),
            value: "4".to_owned(),
        }],
        rate_hz: 1000.0,
        ..Header::default()
    }
}

/// Writes events, each `block` of them into one block.
fn write(events: &[Event], block: usize) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), header()).expect("written");
    for events in events.chunks(block) {
        for event in events {
            writer.event(event).expect("written");
        }
        writer.flush().expect("written");
    }
    let (bytes, written_bytes) = writer.finish().expect("written");
    assert_eq!(written_bytes, bytes.len() as u64);
    bytes
}

/// Reads a recording that has a header.
fn read(bytes: &[u8]) -> Result<(Profile, Completeness), ReadError> {
    let mut profile = Profile::with_timeline();
    let mut reader = Reader::new(bytes)?;
    assert_eq!(reader.header(), &header());
    let completeness = reader.read(&mut |event| profile.apply(event))?;
    assert_eq!(profile.rejected(), 0);
    Ok((profile, completeness))
}

fn fold(events: &[Event]) -> Profile {
    let mut profile = Profile::with_timeline();
    events
        .iter()
        .cloned()
        .for_each(|event| profile.apply(event));
    profile
}

fn assert_equal(a: &Profile, b: &Profile) {
    assert_eq!(a.processes(), b.processes());
    assert_eq!(a.threads(), b.threads());
    assert_eq!(a.frames(), b.frames());
    assert_eq!(a.stacks(), b.stacks());
    assert_eq!(a.rows(), b.rows());
    let sets = |profile: &Profile| {
        let rows = profile.rows().iter();
        let sets = rows.map(|row| profile.attributes(row.attributes?).cloned());
        sets.collect::<Vec<_>>()
    };
    assert_eq!(sets(a), sets(b));
    assert_eq!(a.thread_totals(), b.thread_totals());
    assert_eq!(a.lost(), b.lost());
    assert_eq!(a.timeline(), b.timeline());
    assert_eq!((a.undetermined(), a.stops()), (b.undetermined(), b.stops()));
    assert_eq!((a.usage(), a.missing()), (b.usage(), b.missing()));
    assert_eq!((a.rates(), a.skipped()), (b.rates(), b.skipped()));
    assert_eq!(a.duration(), b.duration());
    assert_eq!(a.is_complete(), b.is_complete());
    assert_eq!(a.rejected(), b.rejected());
}

/// What a step of a made-up recording does; numbers choose among what is defined by then.
#[derive(Debug, Clone)]
enum Step {
    Process(String, [Option<u32>; 4]),
    Thread(u32, Option<i32>, Option<String>, bool),
    Again(u32, Option<String>),
    Frame(String, Option<String>, Option<u32>, Option<u32>),
    Stack(Option<u32>, u32),
    Sample(u32, Option<u32>, u32, [u64; 4], State, [u64; 4]),
    Attributes(Option<String>, Option<String>),
    Native(u32, Option<u32>, u32, [u64; 3], State),
    Names(u32, Vec<(String, Option<String>, Option<u32>)>),
    Usage(u32, [Option<u64>; 14]),
    Awaited(u32, Option<u32>, u32, [u64; 2]),
    Missing(u32, String),
    Skipped(u64),
    Rate([u64; 4]),
    Lost(u64, LostCause, u64),
    Undetermined(UndeterminedCause, u64),
    Stopped(u64),
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-c]{0,2}", ".{0,9}", Just("x".repeat(100_000))]
}

fn time() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..4_u64,
        (0..9_u64).prop_map(|n| n * 8000),
        0..u64::MAX / 100
    ]
}

fn step() -> impl Strategy<Value = Step> {
    use prop::option::of;
    let cause = prop::sample::select(vec![
        LostCause::Late,
        LostCause::Unreadable,
        LostCause::Torn,
        LostCause::TooDeep,
        LostCause::GeneratorCallers,
        LostCause::BrokenLink,
        LostCause::NoEntry,
        LostCause::TooMany,
    ]);
    let retry = prop::sample::select(vec![
        UndeterminedCause::Moved,
        UndeterminedCause::Changing,
        UndeterminedCause::Mixed,
        UndeterminedCause::Unread,
    ]);
    let line = || of(prop_oneof![0..99_u32, Just(u32::MAX)]);
    let more = prop_oneof![Just([0; 4]), [time(), time(), time(), time()]];
    prop_oneof![
        1 => (text(), [of(any::<u32>()), of(any::<u32>()), of(any::<u32>()), of(any::<u32>())])
            .prop_map(|(python, more)| Step::Process(python, more)),
        2 => (any::<u32>(), of(any::<i32>()), of(text()), any::<bool>())
            .prop_map(|(process, tid, name, main)| Step::Thread(process, tid, name, main)),
        1 => (any::<u32>(), of(text())).prop_map(|(thread, name)| Step::Again(thread, name)),
        4 => (text(), of(text()), line(), line())
            .prop_map(|(name, file, first, line)| Step::Frame(name, file, first, line)),
        6 => (of(any::<u32>()), any::<u32>()).prop_map(|(parent, frame)| Step::Stack(parent, frame)),
        20 => (any::<u32>(), of(any::<u32>()), 1..9_u32, [time(), time(), time(), time()], state(), more)
            .prop_map(|(thread, stack, ticks, times, state, more)| {
                Step::Sample(thread, stack, ticks, times, state, more)
            }),
        2 => (of(text()), of(text())).prop_map(|(task, class)| Step::Attributes(task, class)),
        4 => (any::<u32>(), of(any::<u32>()), any::<u32>(), [time(), time(), time()], state())
            .prop_map(|(thread, stack, merged, times, state)| {
                Step::Native(thread, stack, merged, times, state)
            }),
        2 => (any::<u32>(), prop::collection::vec((text(), of(text()), line()), 0..4))
            .prop_map(|(frame, functions)| Step::Names(frame, functions)),
        2 => (any::<u32>(), prop::collection::vec(of(any::<u64>()), 14))
            .prop_map(|(process, of)| Step::Usage(process, of.try_into().expect("14"))),
        2 => (any::<u32>(), of(any::<u32>()), any::<u32>(), [time(), time()])
            .prop_map(|(process, stack, tasks, times)| Step::Awaited(process, stack, tasks, times)),
        1 => (any::<u32>(), text()).prop_map(|(process, why)| Step::Missing(process, why)),
        1 => any::<u64>().prop_map(Step::Skipped),
        1 => [time(), time(), time(), time()].prop_map(Step::Rate),
        1 => (time(), cause, any::<u64>()).prop_map(|(at, cause, count)| Step::Lost(at, cause, count)),
        1 => (retry, any::<u64>()).prop_map(|(cause, count)| Step::Undetermined(cause, count)),
        1 => (0..9_u64).prop_map(Step::Stopped),
    ]
}

fn state() -> impl Strategy<Value = State> {
    prop::sample::select(State::ALL.to_vec())
}

/// The events of a recording that a sampler could have made.
fn events() -> impl Strategy<Value = Vec<Event>> {
    (
        prop::collection::vec(step(), 0..60),
        prop::option::of(any::<u64>()),
    )
        .prop_map(|(steps, end)| {
            let mut made = Made::default();
            let events = steps.into_iter().filter_map(|step| made.event(step));
            let mut events: Vec<Event> = events.collect();
            events.extend(end.map(|end| Event::End(Nanos(end))));
            events
        })
}

#[derive(Default)]
struct Made {
    processes: u32,
    threads: Vec<Thread>,
    frames: u32,
    stacks: u32,
    attributes: u32,
    /// By frame and by stack: whether it is or has a native one. A profile numbers those in the order in which samples have
    /// them, and a reader defines what a block has before its samples.
    is_native: Vec<bool>,
    has_native: Vec<bool>,
}

impl Made {
    /// `None` when the step needs what is not there yet.
    fn event(&mut self, step: Step) -> Option<Event> {
        let choose = |number: u32, count: u32| number.checked_rem(count);
        let next = |count: &mut u32| std::mem::replace(count, *count + 1);
        Some(match step {
            Step::Process(python, [parent, rank, seen, limit]) => {
                let id = ProcessId(next(&mut self.processes));
                let parent = parent.and_then(|parent| choose(parent, id.0));
                let process = Process {
                    pid: 4242,
                    command: vec!["python".to_owned(), python.clone()],
                    host: seen.map(|_| python.clone()),
                    recording: parent.map(|_| python.clone()),
                    working_folder: rank.map(|_| python.clone()),
                    python,
                    seen: Nanos(seen.map_or(0, u64::from)),
                    parent: parent.map(ProcessId),
                    rank,
                    usable_cpus: limit,
                    memory_limit: limit.map(|limit| u64::from(limit) << 20),
                    launch: rank.map(|rank| format!("mpirun-{rank}")),
                    cpu_mask: limit.into_iter().map(u64::from).collect(),
                    cpu_quota: limit,
                };
                Event::Process(id, process)
            }
            Step::Thread(process, tid, name, is_main) => {
                let process = ProcessId(choose(process, self.processes)?);
                let thread = Thread {
                    process,
                    tid,
                    name,
                    is_main,
                };
                self.threads.push(thread.clone());
                Event::Thread(ThreadId(self.threads.len() as u32 - 1), thread)
            }
            Step::Again(thread, name) => {
                let id = choose(thread, self.threads.len() as u32)?;
                let thread = Thread {
                    name,
                    ..self.threads[id as usize].clone()
                };
                Event::Thread(ThreadId(id), thread)
            }
            Step::Frame(name, file, first_line, line) => {
                let id = FrameId(next(&mut self.frames));
                self.is_native.push(line.is_some_and(|line| line % 3 == 0));
                Event::Frame(
                    id,
                    Frame {
                        kind: match line.map(|line| line % 3) {
                            None => FrameKind::Mark,
                            Some(0) => FrameKind::Native(NativeCode {
                                module: format!("/lib/{name}"),
                                build_id: file.clone(),
                                offset: first_line.map(u64::from),
                                is_inlined: file.is_some(),
                            }),
                            Some(_) => FrameKind::Python,
                        },
                        name,
                        file,
                        first_line,
                        line,
                    },
                )
            }
            Step::Stack(parent, frame) => {
                let frame = FrameId(choose(frame, self.frames)?);
                let parent = parent
                    .and_then(|parent| choose(parent, self.stacks))
                    .map(StackId);
                let below = parent.is_some_and(|parent| self.has_native[parent.0 as usize]);
                let own = self.is_native[frame.0 as usize];
                self.has_native.push(below || own);
                Event::Stack {
                    id: StackId(next(&mut self.stacks)),
                    parent,
                    frame,
                }
            }
            Step::Sample(thread, stack, ticks, [at, wall, cpu, gil], state, more) => {
                Event::Sample(Sample {
                    at: Nanos(at),
                    thread: ThreadId(choose(thread, self.threads.len() as u32)?),
                    stack: stack
                        .and_then(|stack| choose(stack, self.stacks))
                        .filter(|stack| !self.has_native[*stack as usize])
                        .map(StackId),
                    ticks,
                    wall: Nanos(wall),
                    cpu: Nanos(if cpu % 2 == 0 { wall } else { cpu }),
                    gil: Nanos(if gil % 2 == 0 { 0 } else { gil }),
                    state,
                    helpers_cpu: Nanos(more[0]),
                    blocked_others: Nanos(more[1]),
                    grown_bytes: more[2],
                    shrunk_bytes: more[3],
                    unsure_bytes: more[2] / 2,
                    attributes: choose(more[3] as u32, self.attributes)
                        .filter(|_| ticks % 3 > 0)
                        .map(AttributesId::new),
                })
            }
            Step::Attributes(task, class) => {
                let known = [(Attribute::Task, task), (Attribute::NativeClass, class)];
                let known = known
                    .into_iter()
                    .filter_map(|(of, value)| Some((of, value?)));
                let id = AttributesId::new(next(&mut self.attributes));
                Event::Attributes(id, Attributes(known.collect()))
            }
            Step::Native(thread, stack, merged, [at, wall, cpu], state) => {
                Event::Native(NativeSample {
                    at: Nanos(at),
                    thread: ThreadId(choose(thread, self.threads.len() as u32)?),
                    stack: stack
                        .and_then(|stack| choose(stack, self.stacks))
                        .map(StackId),
                    state,
                    merged: StackId(choose(merged, self.stacks)?),
                    wall: Nanos(wall),
                    cpu: Nanos(cpu),
                })
            }
            Step::Names(frame, functions) => Event::Names {
                frame: FrameId(choose(frame, self.frames)?),
                functions: functions.into_iter().map(function).collect(),
            },
            Step::Usage(process, of) => {
                Event::Usage(usage(ProcessId(choose(process, self.processes)?), of))
            }
            Step::Awaited(process, stack, tasks, [at, since]) => Event::Awaited(Awaited {
                at: Nanos(at),
                process: ProcessId(choose(process, self.processes)?),
                stack: stack
                    .and_then(|stack| choose(stack, self.stacks))
                    .filter(|stack| !self.has_native[*stack as usize])
                    .map(StackId),
                tasks,
                since: Nanos(since),
            }),
            Step::Missing(process, why) => Event::Missing(Missing {
                process: ProcessId(choose(process, self.processes)?),
                what: "io".to_owned(),
                why,
            }),
            Step::Skipped(processes) => Event::Skipped(processes),
            Step::Rate([millihertz, time, ticks, own_cpu]) => Event::Rate(RateSpan {
                millihertz,
                time: Nanos(time),
                ticks,
                own_cpu: Nanos(own_cpu),
            }),
            Step::Lost(at, cause, count) => Event::Lost(Loss {
                at: Nanos(at),
                cause,
                count,
            }),
            Step::Undetermined(cause, count) => Event::Undetermined(cause, count),
            Step::Stopped(stops) => Event::Pauses(stops),
        })
    }
}

/// A function of a native frame.
fn function((name, file, line): (String, Option<String>, Option<u32>)) -> Frame {
    Frame {
        kind: FrameKind::Native(NativeCode {
            module: format!("/lib/{name}"),
            build_id: file.clone(),
            offset: line.map(u64::from),
            is_inlined: file.is_some(),
        }),
        name,
        file,
        first_line: line,
        line: line.map(|line| line / 2),
    }
}

/// What tells of native frames, in the order of the events.
fn native(events: &[Event]) -> [Vec<&Event>; 2] {
    let is_sample = |event: &&Event| matches!(event, Event::Native(_));
    let is_names = |event: &&Event| matches!(event, Event::Names { .. });
    [
        events.iter().filter(is_sample).collect(),
        events.iter().filter(is_names).collect(),
    ]
}

fn usage(process: ProcessId, of: [Option<u64>; 14]) -> Usage {
    Usage {
        process,
        at: Nanos(of[0].unwrap_or_default()),
        resident: of[1],
        peak: of[2],
        anonymous: of[3],
        cpu: of[4].map(Nanos),
        runnable: of[5].map(|number| number as u32),
        read_calls_bytes: of[6],
        write_calls_bytes: of[7],
        storage_read_bytes: of[8],
        storage_written_bytes: of[9],
        minor_faults: of[10],
        major_faults: of[11],
        voluntary_switches: of[12],
        forced_switches: of[13],
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn record_read_fold_is_fold(events in events(), block in 1..70_usize) {
        let (profile, completeness) = read(&write(&events, block)).expect("a recording");
        assert_equal(&profile, &fold(&events));
        let has_end = matches!(events.last(), Some(Event::End(_)));
        prop_assert_eq!(completeness == Completeness::Whole, has_end);
    }

    #[test]
    fn native_samples_and_names_come_back(events in events(), block in 1..70_usize) {
        let file = write(&events, block);
        let mut found = Vec::new();
        let mut reader = Reader::new(file.as_slice()).expect("a header");
        reader.read(&mut |event| found.push(event)).expect("read");
        prop_assert_eq!(native(&found), native(&events));
    }

    #[test]
    fn any_message_is_read_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..200), change in any::<u8>(), at in any::<prop::sample::Index>(),
    ) {
        // A message of nothing but chance, and a real one with one byte changed, in sound blocks.
        let mut real = decompressed(&write(&small(), 100)).pop().expect("a block");
        let at = at.index(real.len());
        real[at] ^= change;
        for message in [bytes, real] {
            let mut file = write(&[], 1);
            file.extend(block(&message, message.len() as u32));
            // What is read may be any times, such as those of which the sum is beyond 584 years.
            let mut reader = Reader::new(file.as_slice()).expect("a header");
            prop_assert!(reader.read(&mut |_| ()).is_ok());
        }
    }

    #[test]
    fn merged_recordings_add_up(a in events(), b in events()) {
        let folds = [fold(&a), fold(&b)];
        let mut merged = Profile::default();
        let mut merger = Merger::default();
        for (events, name) in [(&a, "node01"), (&b, "node02")] {
            merger.begin();
            let annotation = Annotation { recording: Some(name.to_owned()), ..Annotation::default() };
            for event in events.iter() {
                merger.apply(annotation.annotate(event.clone()), &mut |event| merged.apply(event));
            }
        }
        merger.finish(&mut |event| merged.apply(event));
        let sum: Totals = folds.iter().map(Profile::totals).sum();
        // A sum beyond 584 years is refused by the fold.
        prop_assume!(merged.rejected() == 0 && folds.iter().all(|fold| fold.rejected() == 0));
        prop_assert_eq!(merged.totals(), sum);
        prop_assert_eq!(merged.threads().len(), folds.iter().map(|f| f.threads().len()).sum::<usize>());
        prop_assert_eq!(merged.is_complete(), folds.iter().all(Profile::is_complete));
        let stacks = |profile: &Profile| -> Vec<(Vec<Frame>, Totals)> {
            let rows = profile.rows().iter();
            rows.map(|row| (profile.frames_of(row.stack).cloned().collect(), row.totals)).collect()
        };
        let mut expected = stacks(&folds[0]);
        expected.extend(stacks(&folds[1]));
        let mut found = stacks(&merged);
        // Equal frames of different numbers were different rows.
        for rows in [&mut expected, &mut found] {
            rows.sort_by_key(|(frames, totals)| (format!("{frames:?}"), totals.wall, totals.cpu, totals.samples));
        }
        let sum_of = |rows: &[(Vec<Frame>, Totals)]| {
            let mut sums: Vec<(String, Totals)> = Vec::new();
            for (frames, totals) in rows {
                let frames = format!("{frames:?}");
                match sums.last_mut().filter(|(last, _)| *last == frames) {
                    Some((_, sum)) => *sum += *totals,
                    None => sums.push((frames, *totals)),
                }
            }
            sums
        };
        prop_assert_eq!(sum_of(&found), sum_of(&expected));
    }
}

/// A recording of each kind of event, small enough to try every byte of it.
fn small() -> Vec<Event> {
    let steps = [
        Step::Process("3.11.7".to_owned(), [None, Some(1), Some(2), Some(3)]),
        Step::Thread(0, Some(4242), None, true),
        Step::Frame(
            "main".to_owned(),
            Some("/scatter.py".to_owned()),
            Some(1),
            Some(13),
        ),
        Step::Stack(None, 0),
        Step::Sample(0, Some(0), 1, [1000, 1000, 0, 1], State::Python, [0; 4]),
        Step::Usage(0, [Some(7); 14]),
        Step::Awaited(0, Some(0), 20, [900, 100]),
        Step::Missing(0, "permission denied".to_owned()),
        Step::Again(0, Some("MainThread".to_owned())),
        Step::Frame("fib".to_owned(), None, None, None),
        Step::Stack(Some(0), 1),
        Step::Sample(0, Some(1), 2, [3000, 2000, 1, 0], State::Disk, [1, 2, 3, 4]),
        Step::Native(0, Some(0), 1, [2500, 500, 400], State::Native),
        Step::Names(1, vec![("ddot".to_owned(), None, Some(7))]),
        Step::Lost(2500, LostCause::Torn, 3),
        Step::Sample(0, None, 1, [4000, 1000, 1, 0], State::Unknown, [0; 4]),
        Step::Undetermined(UndeterminedCause::Moved, 2),
        Step::Skipped(2),
        Step::Rate([1_000_000, 5000, 4, 100]),
    ];
    let mut made = Made::default();
    let mut events: Vec<Event> = steps
        .into_iter()
        .filter_map(|step| made.event(step))
        .collect();
    events.push(Event::End(Nanos(5000)));
    events
}

/// A block as it stands in the file, with right checksums.
fn block(message: &[u8], size: u32) -> Vec<u8> {
    let compressed = zstd::bulk::compress(message, 3).expect("compressed");
    let mut block = Vec::new();
    block.extend((compressed.len() as u32).to_le_bytes());
    block.extend(size.to_le_bytes());
    block.extend(crc32fast::hash(&compressed).to_le_bytes());
    block.extend(crc32fast::hash(&block).to_le_bytes());
    block.extend(compressed);
    block
}

/// The messages of a recording.
fn decompressed(file: &[u8]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    let mut rest = &file[20..];
    while !rest.is_empty() {
        let size = u32::from_le_bytes(rest[..4].try_into().expect("4 bytes")) as usize;
        messages.push(zstd::decode_all(&rest[16..16 + size]).expect("zstd"));
        rest = &rest[16 + size..];
    }
    messages
}

#[test]
fn what_was_written_before_a_cut_is_read() {
    let events = small();
    let file = write(&events, 4);
    let mut read_samples = Vec::new();
    for length in 0..file.len() {
        match read(&file[..length]) {
            Ok((profile, completeness)) => {
                let is_cut = matches!(completeness, Completeness::CutOff { read_bytes } if read_bytes <= length as u64);
                assert!(is_cut, "{length}: {completeness:?}");
                assert!(!profile.is_complete(), "{length}");
                read_samples.push(profile.totals().samples);
            }
            Err(ReadError::Empty) => assert_eq!(length, 0),
            Err(ReadError::NoHeader(broken)) => assert_eq!(broken.to_string(), "cut off"),
            Err(error) => panic!("{length}: {error}"),
        }
    }
    assert!(read_samples.is_sorted());
    read_samples.dedup();
    assert_eq!(
        read_samples,
        [0, 1, 3, 4],
        "each block as soon as it is whole"
    );
    assert_eq!(read(&file).expect("whole").1, Completeness::Whole);
}

#[test]
fn no_changed_bit_goes_unnoticed() {
    let file = write(&small(), 4);
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut file = file.clone();
            file[at] ^= 1 << bit;
            let is_noticed = match read(&file) {
                Ok((_, completeness)) => {
                    matches!(completeness, Completeness::Damaged { at_byte, .. } if at_byte <= at as u64)
                }
                Err(ReadError::NotARecording) => at < 8,
                Err(ReadError::NoHeader(broken)) => broken.to_string() == "damaged",
                Err(_) => false,
            };
            assert!(
                is_noticed,
                "bit {bit} of byte {at}: {:?}",
                read(&file).map(|read| read.1)
            );
        }
    }
}

#[test]
fn a_file_that_is_not_a_recording_is_refused() {
    let newer = Preamble {
        format: FORMAT_VERSION + 1,
        rsamp: [3, 1, 4],
    }
    .to_bytes();
    let table: [(&[u8], &str); 5] = [
        (b"", "the file is empty"),
        (b"{\"a\": 1}", "not an rsamp recording"),
        (b"\x89PNG\r\n\x1a\n", "not an rsamp recording"),
        (&newer[..15], "the recording is cut off within its header"),
        (
            &newer,
            "the recording has format 3, written by rsamp 3.1.4; rsamp 0.1.0 reads formats up to 2",
        ),
    ];
    for (bytes, expected) in table {
        let error = Reader::new(bytes).err().expect("refused");
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_bomb_does_not_go_off() {
    let check = |blocks: &[Vec<u8>], expected: &str| {
        let mut file = write(&[], 1);
        blocks.iter().for_each(|block| file.extend(block));
        match read(&file).expect("a header").1 {
            Completeness::Damaged { what, .. } => assert_eq!(what, expected),
            other => panic!("{other:?}"),
        }
    };
    let zeros = vec![0; 1 << 26];
    let unlike = "a block that is not as large as it says";
    check(&[block(&zeros, 1000)], unlike);
    check(&[block(&zeros, MAX_MESSAGE_BYTES)], unlike);
    check(&[block(&zeros, MAX_MESSAGE_BYTES + 1)], "a block too large");
    check(&[block(b"", 1)], unlike);
    // Blocks without samples, each a few bytes, that define more than any program has.
    let mut message = prost::Message::encode_to_vec(&Block {
        frame_name: vec![0; 1 << 20],
        frame_file: vec![0; 1 << 20],
        frame_first_line: vec![0; 1 << 20],
        frame_line: vec![0; 1 << 20],
        ..Block::default()
    });
    let many = block(&message, message.len() as u32);
    assert!(many.len() < 2000, "{}", many.len());
    let one = Block {
        strings: vec![String::new()],
        ..Block::default()
    };
    message = prost::Message::encode_to_vec(&one);
    let mut blocks = vec![block(&message, message.len() as u32)];
    blocks.extend(vec![many; 17]);
    let mut file = write(&[], 1);
    blocks.iter().for_each(|block| file.extend(block));
    let mut reader = Reader::new(file.as_slice()).expect("a header");
    let completeness = reader.read(&mut |_| ()).expect("read");
    assert!(matches!(
        completeness,
        Completeness::Damaged {
            what: "a block that makes no sense",
            ..
        }
    ));
}

#[test]
fn nothing_may_follow_the_end() {
    let file = write(&small(), 4);
    for extra in [b"x".to_vec(), file.clone(), file[20..].to_vec()] {
        let (_, completeness) = read(&[file.clone(), extra].concat()).expect("a header");
        assert!(
            matches!(completeness, Completeness::Damaged { at_byte, .. } if at_byte == file.len() as u64),
            "{completeness:?}"
        );
    }
}

#[test]
fn sources_and_executables_come_back() {
    let mut writer = Writer::new(Vec::new(), header()).expect("written");
    for event in small() {
        writer.event(&event).expect("written");
        if let Event::Process(..) = event {
            writer.executable("/usr/bin/python3.11".to_owned());
        }
    }
    writer
        .source("/scatter.py", 3, "def main():\n    fib()\n")
        .expect("written");
    let (file, _) = writer.finish().expect("written");
    let mut reader = Reader::new(file.as_slice()).expect("a header");
    assert_eq!(reader.read(&mut |_| ()).expect("read"), Completeness::Whole);
    assert_eq!(reader.executables(), ["/usr/bin/python3.11"]);
    let source = &reader.sources()[0];
    assert_eq!((&*source.file, source.first_line), ("/scatter.py", 3));
    assert_eq!(source.text, "def main():\n    fib()\n");
}

#[test]
fn a_text_too_long_loses_its_end() {
    let name = "é".repeat(1 << 20);
    let frame = Frame::mark(&name);
    let (profile, _) = read(&write(&[Event::Frame(FrameId(0), frame)], 1)).expect("read");
    let read = &profile.frames()[0].name;
    assert_eq!(read.len(), 1 << 20);
    assert!(name.starts_with(read.as_str()));
}

#[test]
fn merged_processes_are_told_apart() {
    let mut profile = Profile::default();
    let mut merger = Merger::default();
    for name in [Some("node01 rank 0"), None] {
        merger.begin();
        let annotation = Annotation {
            recording: name.map(str::to_owned),
            ..Annotation::default()
        };
        for event in small() {
            merger.apply(annotation.annotate(event), &mut |event| {
                profile.apply(event);
            });
        }
    }
    merger.finish(&mut |event| profile.apply(event));
    assert_eq!(profile.rejected(), 0);
    let commands: Vec<String> = profile
        .processes()
        .iter()
        .map(|p| p.command_line())
        .collect();
    assert_eq!(commands, ["node01 rank 0: python 3.11.7", "python 3.11.7"]);
    assert_eq!(
        (profile.frames().len(), profile.stacks().len()),
        (2, 2),
        "frames and stacks are shared"
    );
    assert_eq!(profile.totals().samples, 8);
    assert_eq!(profile.duration(), Nanos(5000));
    assert_eq!(profile.lost()[&LostCause::Torn], 6);
}

/// A set that two recordings have is one, and samples that differ in nothing but their sets stay apart.
#[test]
fn equal_attributes_of_merged_recordings_are_one_set() {
    let set = |task: &str| Attributes([(Attribute::Task, task.to_owned())].into());
    let recording = |tasks: [&str; 2]| {
        let mut events = small();
        let end = events.pop().expect("the end");
        let sets = (0..).map(AttributesId::new).zip(tasks.map(set));
        events.extend(sets.map(|(id, set)| Event::Attributes(id, set)));
        for id in [0, 1, 1] {
            events.push(Event::Sample(Sample {
                at: Nanos(3000),
                ticks: 1,
                wall: Nanos(10),
                attributes: Some(AttributesId::new(id)),
                ..Sample::default()
            }));
        }
        events.push(end);
        events
    };
    let mut profile = Profile::default();
    let mut merger = Merger::default();
    for tasks in [["load", "save"], ["save", "load"]] {
        merger.begin();
        for event in recording(tasks) {
            merger.apply(event, &mut |event| profile.apply(event));
        }
    }
    merger.finish(&mut |event| profile.apply(event));
    assert_eq!(profile.rejected(), 0);
    let rows = profile.rows().iter();
    let tasks: Vec<(u32, &Attributes, u64)> = rows
        .filter_map(|row| {
            let set = profile.attributes(row.attributes?)?;
            Some((row.thread.0, set, row.totals.wall.0))
        })
        .collect();
    let (load, save) = (set("load"), set("save"));
    assert_eq!(
        tasks,
        [
            (0, &load, 10),
            (0, &save, 20),
            (1, &save, 10),
            (1, &load, 20)
        ]
    );
    assert_eq!(profile.attributes(AttributesId::new(1)), Some(&save));
    assert_eq!(profile.attributes(AttributesId::new(2)), None);
}

/// Of two runs, one after the other, the second one's times go on where the clock of the machine says.
#[test]
fn merged_recordings_are_aligned_by_their_clocks() {
    let mut profile = Profile::with_timeline();
    let mut merger = Merger::default();
    let mut seen = Vec::new();
    for since in [Nanos(0), Nanos(7000)] {
        merger.begin();
        let annotation = Annotation {
            since,
            ..Annotation::default()
        };
        for event in small() {
            merger.apply(annotation.annotate(event), &mut |event| {
                if let Event::Lost(loss) = &event {
                    seen.push(loss.at);
                }
                profile.apply(event);
            });
        }
    }
    merger.finish(&mut |event| profile.apply(event));
    assert_eq!(profile.duration(), Nanos(12_000));
    let starts = profile.processes().iter().map(|process| process.seen);
    let starts: Vec<Nanos> = starts.collect();
    assert_eq!(starts[1], starts[0] + Nanos(7000));
    let (first, second) = seen.split_at(seen.len() / 2);
    let moved: Vec<Nanos> = first.iter().map(|at| *at + Nanos(7000)).collect();
    assert_eq!(moved, second);
    let (ends, threads) = (profile.thread_ends(), profile.threads().len());
    assert_eq!(ends[threads / 2], ends[0] + Nanos(7000));
}

#[test]
fn files_that_were_changed_are_told() {
    let mut writer = Writer::new(Vec::new(), Header::default()).expect("a header");
    writer.source("/a.py", 1, "x = 1\n").expect("written");
    writer.changed_file("/b.py");
    writer.source("/b.py", 1, "x = 2\n").expect("written");
    let (bytes, _) = writer.finish().expect("written");
    let mut reader = Reader::new(bytes.as_slice()).expect("a header");
    reader.read(&mut |_| {}).expect("read");
    let changed: Vec<&str> = reader.changed_files().iter().map(|file| &**file).collect();
    assert_eq!(changed, ["/b.py"]);
    assert_eq!(reader.sources().len(), 2);
}

#[test]
fn structs_and_schema_agree() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/recording");
    let text = |file| std::fs::read_to_string(folder.join(file)).expect("read");
    let (proto, structs) = (
        fields_of_proto(&text("rsamp.proto")),
        fields_of_structs(&text("schema.rs")),
    );
    assert!(proto.len() > 40, "{proto:?}");
    assert_eq!(proto, structs);
}

#[test]
fn states_have_their_numbers_in_the_schema() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/recording/rsamp.proto");
    let text = std::fs::read_to_string(path).expect("read");
    let (_, states) = text.split_once("enum State {").expect("the states");
    let (states, _) = states.split_once('}').expect("their end");
    let told: Vec<String> = State::ALL
        .iter()
        .map(|state| format!("{} = {};", state.word().to_uppercase(), *state as u32))
        .collect();
    let written: Vec<&str> = states
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    assert_eq!(written, told);
}

/// `Message.field: label type = number`, as `rsamp.proto` has them.
fn fields_of_proto(text: &str) -> Vec<String> {
    let mut message = "";
    let mut fields = Vec::new();
    for line in text
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("//"))
    {
        if let Some(name) = line.strip_prefix("message ") {
            message = name.trim_end_matches(" {");
        } else if line.starts_with("enum ") {
            message = "";
        } else if let Some((left, number)) = line.trim_end_matches(';').split_once(" = ")
            && !message.is_empty()
        {
            let (kind, name) = left.rsplit_once(' ').expect("a type and a name");
            let (label, kind) = kind.rsplit_once(' ').unwrap_or(("", kind));
            fields.push(format!("{message}.{name}: {label} {kind} = {number}"));
        }
    }
    fields
}

/// The same of the derives in `schema.rs`; a message's type is read from the field's.
fn fields_of_structs(text: &str) -> Vec<String> {
    let mut message = "";
    let mut attribute = "";
    let mut fields = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("pub struct ") {
            message = name.trim_end_matches(" {");
        } else if let Some(words) = line.strip_prefix("#[prost(") {
            attribute = words.trim_end_matches(")]");
        } else if let Some((name, kind)) =
            line.strip_prefix("pub ").and_then(|f| f.split_once(": "))
        {
            let words: Vec<&str> = attribute.split(", ").collect();
            let number = words.last().expect("a tag");
            let number = number.trim_start_matches("tag = ").trim_matches('"');
            let mut label = if words.len() == 3 { words[1] } else { "" };
            let mut proto_kind = words[0];
            if proto_kind == "message" {
                proto_kind = kind
                    .split(['<', '>'])
                    .nth(1)
                    .expect("a message in a container");
                // Any message may be missing; proto3 does not say so.
                label = if label == "optional" { "" } else { label };
            }
            fields.push(format!("{message}.{name}: {label} {proto_kind} = {number}"));
        }
    }
    fields
}

/// Version 1 knew no kinds: what had no file was a mark.
#[test]
fn frames_of_version_1_are_functions_or_marks_by_their_file() {
    let block = Block {
        strings: vec![
            "[left out]".to_owned(),
            "main".to_owned(),
            "x.py".to_owned(),
        ],
        frame_name: vec![0, 1],
        frame_file: vec![0, 3],
        frame_first_line: vec![0, 2],
        frame_line: vec![0, 8],
        ..Block::default()
    };
    let kinds = |block: &Block| {
        let message = prost::Message::encode_to_vec(block);
        let mut file = write(&[], 1);
        file.extend(self::block(&message, message.len() as u32));
        let mut reader = Reader::new(file.as_slice()).expect("a header");
        let mut kinds = Vec::new();
        let completeness = reader.read(&mut |event| {
            if let Event::Frame(_, frame) = event {
                kinds.push(frame.kind);
            }
        });
        (completeness.expect("read"), kinds)
    };
    assert_eq!(kinds(&block).1, [FrameKind::Mark, FrameKind::Python]);
    let native = NativeCode {
        module: "x.py".to_owned(),
        build_id: None,
        offset: Some(6),
        is_inlined: false,
    };
    let newer = Block {
        frame_kind: vec![2, 1],
        native_module: vec![2],
        native_offset: vec![7],
        native_inlined: vec![0],
        ..block
    };
    assert_eq!(
        kinds(&newer).1,
        [FrameKind::Mark, FrameKind::Native(native)]
    );
    for damaged in [
        Block {
            frame_kind: vec![2],
            ..newer.clone()
        },
        Block {
            frame_kind: vec![2, 3],
            ..newer.clone()
        },
        Block {
            native_module: vec![3],
            ..newer.clone()
        },
        Block {
            native_offset: vec![],
            ..newer.clone()
        },
        Block {
            native_inlined: vec![],
            ..newer
        },
    ] {
        let (completeness, kinds) = kinds(&damaged);
        assert!(
            matches!(completeness, Completeness::Damaged { .. }),
            "{completeness:?}"
        );
        assert!(kinds.is_empty(), "{kinds:?}");
    }
}
