//! Turns running interpreters into the images in `tests/images`, which `tests/it/images.rs` reads back.
//!
//! Skipped but where `RSAMP_SAVE_IMAGES` is set. It saves one image for each line of `RSAMP_PYTHONS`:
//!
//!     RSAMP_SAVE_IMAGES=1 RSAMP_PYTHONS=$'3.8.18\t/opt/python3.8/bin/python' cargo test --test live images_are_saved
//!
//! An image has exactly the bytes that were read, and names the folders of the interpreter and the program.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;

use rsamp::cpython::{
    Found, Interpreter, MAX_DEBUG_OFFSETS_BYTES, Reader, Row, locate, native_ids, thread_names,
};
use rsamp::memory::{Address, LiveMemory, ReadError, ReadMemory, SavedMemory};
use rsamp::process::{Pid, Process};
use serde_json::{Value, json};

use crate::oracle::Stopped;
use crate::support::image_format::{read_image, write_image};
use crate::support::programs::{ToldThread, stand};
use crate::support::pythons::pythons;

/// A memory that remembers what was read of it.
struct Recorded<'a> {
    memory: &'a LiveMemory,
    bytes: RefCell<BTreeMap<u64, u8>>,
}

impl ReadMemory for Recorded<'_> {
    fn read(&self, at: Address, into: &mut [u8]) -> Result<(), ReadError> {
        self.memory.read(at, into)?;
        self.bytes
            .borrow_mut()
            .extend((at.0..).zip(into.iter().copied()));
        Ok(())
    }
}

impl Recorded<'_> {
    fn into_saved(self) -> SavedMemory {
        let mut ranges: Vec<(u64, Vec<u8>)> = Vec::new();
        for (at, byte) in self.bytes.into_inner() {
            match ranges.last_mut() {
                Some((start, bytes)) if *start + bytes.len() as u64 == at => bytes.push(byte),
                _ => ranges.push((at, vec![byte])),
            }
        }
        let mut saved = SavedMemory::default();
        for (at, bytes) in ranges {
            saved.insert(Address(at), bytes);
        }
        saved
    }
}

#[test]
fn images_are_saved_where_it_is_asked_for() {
    if std::env::var_os("RSAMP_SAVE_IMAGES").is_none() {
        skip!("it writes tests/images, only where RSAMP_SAVE_IMAGES is set");
    }
    for python in pythons() {
        let program = stand(&python, "threads.py");
        let _stopped = Stopped::new(program.pid());
        let process = Process::open(Pid(program.pid())).expect("a process");
        let memory = LiveMemory::new(process.pid());
        let found = locate(&process, &memory).expect("an interpreter");
        let Found::Native(interpreter) = found else {
            panic!("{}: too old", python.label);
        };
        let version = interpreter.version;
        let threads = program.threads.iter().map(told).collect();
        let about = about(&interpreter, threads, &memory);
        let saved = record(*interpreter, &program.threads, &memory);
        let image = write_image(&saved);
        assert!(read_image(&image).is_some());
        let kind = if version.free_threaded { "t" } else { "" };
        let name = format!("{}.{}{kind}-threads", version.major, version.minor);
        let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/images");
        fs::write(images.join(format!("{name}.img")), image).expect("an image");
        let about = serde_json::to_string_pretty(&about).expect("JSON");
        fs::write(images.join(format!("{name}.json")), about + "\n").expect("its JSON");
    }
}

/// Reads all that a recording reads.
fn record(interpreter: Interpreter, threads: &[ToldThread], memory: &LiveMemory) -> SavedMemory {
    let memory = Recorded {
        memory,
        bytes: RefCell::default(),
    };
    let layout = interpreter.layout.clone();
    let runtime = runtime_of(&interpreter);
    if describes_itself(&interpreter) {
        let mut start = [0; MAX_DEBUG_OFFSETS_BYTES];
        memory.read(runtime, &mut start).expect("_PyRuntime");
    }
    let mut reader = Reader::new(interpreter);
    for _ in 0..2 {
        reader.tick(&memory).expect("an interpreter");
    }
    for thread in reader.threads() {
        let _ = thread_names(&memory, &layout, thread.interpreter, |_| true);
    }
    let natives: HashSet<i32> = threads.iter().filter_map(|thread| thread.native).collect();
    if reader
        .threads()
        .iter()
        .all(|thread| thread.native_id.is_none())
    {
        let idents: Vec<u64> = reader.threads().iter().map(|thread| thread.ident).collect();
        let _ = native_ids(&idents, &natives, &memory);
    }
    memory.into_saved()
}

fn describes_itself(interpreter: &Interpreter) -> bool {
    let row = Row::of(interpreter.version).expect("a row");
    row.describes_itself()
}

fn runtime_of(interpreter: &Interpreter) -> Address {
    let head = interpreter.layout.runtime.interpreters_head;
    Address(interpreter.interpreters_head.0 - head)
}

fn about(interpreter: &Interpreter, threads: Vec<Value>, memory: &LiveMemory) -> Value {
    let version = interpreter.version;
    let runtime = runtime_of(interpreter);
    let version_hex = if describes_itself(interpreter) {
        memory.word(runtime + 8).expect("a version")
    } else {
        u64::from(u32::from_be_bytes([
            version.major,
            version.minor,
            version.micro,
            0xf0,
        ]))
    };
    json!({
        "version_hex": version_hex,
        "free_threaded": version.free_threaded,
        "runtime": runtime.0,
        "threads": threads,
    })
}

fn told(thread: &ToldThread) -> Value {
    let frames = thread.frames.iter();
    let frames = frames.map(|frame| json!([frame.name, frame.file, frame.first_line, frame.line]));
    json!({
        "name": thread.name,
        "ident": thread.ident,
        "native": thread.native,
        "main": thread.is_main,
        "interpreter": thread.interpreter,
        "frames": frames.collect::<Vec<_>>(),
    })
}
