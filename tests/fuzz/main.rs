//! Turns sound recordings into damaged ones, again and again, to see that the reader refuses and never
//! panics, hangs or takes memory without bound.
//!
//! Half of the damage is done to the bytes of the file, half to the messages in it, whose checksums are
//! then right. `RSAMP_FUZZ_SECONDS` says for how long (1 without it), `RSAMP_FUZZ_SEED` where the random
//! numbers start; both are said when a case fails.

#![allow(clippy::print_stdout)]

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rsamp::export::{SummaryOptions, summary};
use rsamp::profile::{
    Annotation, Attribute, Attributes, AttributesId, Event, Frame, FrameId, FrameKind, Loss,
    LostCause, Missing, Nanos, Process, ProcessId, Profile, Sample, StackId, State, Thread,
    ThreadId, Usage,
};
use rsamp::recording::{Header, Merger, Reader, Writer};

/// Where the first block begins, and what comes before a block's message.
const PREAMBLE_BYTES: usize = 20;
const BLOCK_HEADER_BYTES: usize = 16;

#[test]
fn no_damage_does_harm() {
    let number = |name: &str| {
        env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let seconds = number("RSAMP_FUZZ_SECONDS").unwrap_or(1);
    let clock = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock");
    let first_seed = number("RSAMP_FUZZ_SEED").unwrap_or(clock.as_nanos() as u64);
    let sound = [recording(1, 1, 3), recording(5, 40, 30), recording(0, 0, 1)];
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut cases = 0;
    while Instant::now() < end {
        let seed = first_seed.wrapping_add(cases);
        let file = damaged(&sound, seed);
        let survived = catch_unwind(AssertUnwindSafe(|| look_at(&file)));
        assert!(survived.is_ok(), "RSAMP_FUZZ_SEED={seed} fails at once");
        cases += 1;
    }
    println!("{cases} damaged recordings were read or refused");
}

/// All that a report does with a recording.
fn look_at(file: &[u8]) {
    let mut profile = Profile::default();
    let mut merger = Merger::default();
    for _ in 0..2 {
        let Ok(mut reader) = Reader::new(file) else {
            return;
        };
        merger.begin();
        let annotation = Annotation {
            recording: Some("twice".to_owned()),
            ..Annotation::default()
        };
        reader
            .read(&mut |event| {
                merger.apply(annotation.annotate(event), &mut |event| {
                    profile.apply(event)
                });
            })
            .expect("memory does not fail");
    }
    merger.finish(&mut |event| profile.apply(event));
    assert!(!summary(&profile, &SummaryOptions::default()).is_empty());
}

/// xorshift64 (Marsaglia 2003).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }
}

fn damaged(sound: &[Vec<u8>], seed: u64) -> Vec<u8> {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut file = sound[random.below(sound.len())].clone();
    for _ in 0..1 + random.below(3) {
        match random.below(2) {
            0 => damage(&mut file, &mut random),
            _ => damage_message(&mut file, &mut random),
        }
    }
    file
}

/// Changes, removes, repeats or inserts bytes.
fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let end = (at + random.below(12)).min(bytes.len());
    match random.below(6) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..end)),
        2 => {
            let again = bytes[at..end].to_vec();
            bytes.splice(at..at, again);
        }
        3 => {
            let extreme = [0, 1, 0x7f, 0x80, 0xff][random.below(5)];
            bytes[at..end].fill(extreme);
        }
        4 => bytes.insert(at, random.below(256) as u8),
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
    }
}

/// Damages the message of one block and makes the block sound again around it.
fn damage_message(file: &mut Vec<u8>, random: &mut Random) {
    let mut blocks = Vec::new();
    let mut at = PREAMBLE_BYTES;
    while let Some(size) = file.get(at..at + 4) {
        let size = u32::from_le_bytes(size.try_into().expect("4 bytes")) as usize;
        let end = at.saturating_add(BLOCK_HEADER_BYTES).saturating_add(size);
        if end > file.len() {
            break;
        }
        blocks.push(at..end);
        at = end;
    }
    let Some(range) = blocks.get(random.below(blocks.len())).cloned() else {
        return;
    };
    let frame = &file[range.start + BLOCK_HEADER_BYTES..range.end];
    let Ok(mut message) = zstd::bulk::decompress(frame, 1 << 20) else {
        return;
    };
    for _ in 0..1 + random.below(3) {
        damage(&mut message, random);
    }
    let compressed = zstd::bulk::compress(&message, 1).expect("compressed");
    let mut block = Vec::new();
    block.extend((compressed.len() as u32).to_le_bytes());
    block.extend((message.len() as u32).to_le_bytes());
    block.extend(crc32fast::hash(&compressed).to_le_bytes());
    block.extend(crc32fast::hash(&block).to_le_bytes());
    block.extend(compressed);
    file.splice(range, block);
}

/// A sound recording of so many threads, blocks, and stacks in each block.
fn recording(threads: u32, blocks: u32, stacks: u32) -> Vec<u8> {
    let header = Header {
        command: vec!["python".to_owned(), "scatter.py".to_owned()],
        ..Header::default()
    };
    let mut writer = Writer::new(Vec::new(), header).expect("written");
    for block in 0..blocks {
        for event in events(threads, block, stacks) {
            writer.event(&event).expect("written");
        }
        writer
            .source("/scatter.py", block, "def f():\n    pass\n")
            .expect("written");
        writer.flush().expect("written");
    }
    writer
        .event(&Event::End(Nanos(1_000_000_000)))
        .expect("written");
    writer.finish().expect("written").0
}

fn events(threads: u32, block: u32, stacks: u32) -> Vec<Event> {
    let mut events = Vec::new();
    if block == 0 {
        let (pid, command, python) = (4242, vec!["python".to_owned()], "3.11.7".to_owned());
        events.push(Event::Process(
            ProcessId(0),
            Process {
                pid,
                command,
                python,
                ..Process::default()
            },
        ));
        let thread = |id| Thread {
            process: ProcessId(0),
            tid: Some(4242),
            name: Some(format!("worker {id}")),
            is_main: id == 0,
        };
        events.extend((0..threads).map(|id| Event::Thread(ThreadId(id), thread(id))));
        let tasks = ["Task-1", "Task-2", "main"].map(str::to_owned);
        events.extend((0..).zip(tasks).map(|(id, task)| {
            let attributes = Attributes([(Attribute::Task, task)].into());
            Event::Attributes(AttributesId::new(id), attributes)
        }));
    }
    for id in block * stacks..(block + 1) * stacks {
        let (name, file) = (format!("f{id}"), Some("/scatter.py".to_owned()));
        let (first_line, line) = (Some(id), Some(id + 1));
        events.push(Event::Frame(
            FrameId(id),
            Frame {
                kind: FrameKind::Python,
                name,
                file,
                first_line,
                line,
            },
        ));
        let parent = id.checked_sub(1).map(StackId);
        events.push(Event::Stack {
            id: StackId(id),
            parent,
            frame: FrameId(id),
        });
    }
    let samples = (0..threads * 20).map(|number| {
        Event::Sample(Sample {
            at: Nanos(u64::from(block * 20 + number) * 16_000),
            thread: ThreadId(number % threads),
            stack: (number % 7 != 0).then_some(StackId(number % stacks)),
            ticks: 1 + number % 3,
            wall: Nanos(16_000),
            cpu: Nanos(if number % 2 == 0 { 16_000 } else { 0 }),
            gil: Nanos(0),
            state: [State::Python, State::Gil, State::Waiting][number as usize % 3],
            helpers_cpu: Nanos(u64::from(number) * 1000),
            blocked_others: Nanos(u64::from(number % 3) * 16_000),
            grown_bytes: u64::from(number) * 4096,
            shrunk_bytes: u64::from(number % 5) * 4096,
            unsure_bytes: u64::from(number % 2) * 4096,
            attributes: (number % 4 == 0).then(|| AttributesId::new(number % 3)),
        })
    });
    events.extend(samples);
    events.push(Event::Usage(Usage {
        at: Nanos(u64::from(block) * 100_000_000),
        resident: Some(1 << 30),
        runnable: Some(threads),
        ..Usage::default()
    }));
    events.push(Event::Missing(Missing {
        process: ProcessId(0),
        what: "io".to_owned(),
        why: "permission denied".to_owned(),
    }));
    events.push(Event::Skipped(1));
    events.push(Event::Lost(Loss {
        at: Nanos(0),
        cause: LostCause::Late,
        count: 3,
    }));
    events
}
