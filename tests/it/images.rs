//! Turns saved memory of real interpreters into stacks and names, and compares these with what the
//! program itself told when the memory was saved (`tests/live/save_image.rs`).

use std::collections::{HashMap, HashSet};

use rsamp::cpython::{
    GilPlace, Interpreter, MAX_DEBUG_OFFSETS_BYTES, Reader, Reading, Row, StackEnd, Version,
    native_ids, parse_debug_offsets, thread_names,
};
use rsamp::memory::{Address, ReadMemory, SavedMemory};
use serde::Deserialize;

use crate::support::image_format::read_image;

/// An image and what is known of it.
pub struct Image {
    /// The memory.
    pub memory: SavedMemory,
    about: About,
}

#[derive(Deserialize)]
struct About {
    version_hex: u32,
    free_threaded: bool,
    runtime: u64,
    threads: Vec<ToldThread>,
}

#[derive(Deserialize)]
struct ToldThread {
    name: Option<String>,
    ident: u64,
    native: Option<i32>,
    frames: Vec<ToldFrame>,
}

/// Name, file, first line, line.
type ToldFrame = (String, String, u32, Option<u32>);

/// All images.
pub fn images() -> Vec<Image> {
    macro_rules! image {
        ($name:literal) => {
            (
                &include_bytes!(concat!("../images/", $name, ".img"))[..],
                include_str!(concat!("../images/", $name, ".json")),
            )
        };
    }
    let files = [
        image!("3.8-threads"),
        image!("3.13t-threads"),
        image!("3.14-threads"),
        image!("3.15-threads"),
    ];
    files
        .into_iter()
        .map(|(image, about)| Image {
            memory: read_image(image).expect("an image"),
            about: serde_json::from_str(about).expect("its JSON"),
        })
        .collect()
}

impl Image {
    /// What `locate` said of it.
    pub fn interpreter(&self) -> Interpreter {
        let version = Version::from_hex(self.about.version_hex, self.about.free_threaded);
        let runtime = Address(self.about.runtime);
        let row = Row::of(version).expect("a row");
        let (layout, gil) = match row.describes_itself() {
            false => (row.layout.clone(), GilPlace::Runtime(runtime)),
            true => {
                let mut start = [0; MAX_DEBUG_OFFSETS_BYTES];
                self.memory.read(runtime, &mut start).expect("_PyRuntime");
                let offsets = parse_debug_offsets(&start).expect("debug offsets");
                assert_eq!(offsets.free_threaded, self.about.free_threaded);
                let has_gil = !offsets.free_threaded;
                let gil = if has_gil {
                    GilPlace::PerInterpreter
                } else {
                    GilPlace::Unknown
                };
                (offsets.layout, gil)
            }
        };
        Interpreter {
            version,
            interpreters_head: runtime + layout.runtime.interpreters_head,
            layout,
            traits: &row.traits,
            gil,
        }
    }

    fn label(&self) -> String {
        Version::from_hex(self.about.version_hex, self.about.free_threaded).to_string()
    }
}

/// The frames of each thread, by `pthread_t`.
fn stacks(reader: &Reader) -> HashMap<u64, Vec<ToldFrame>> {
    let mut stacks = HashMap::new();
    for (thread, reading) in reader.threads().iter().zip(&reader.last().readings) {
        assert!(
            matches!(reading, Reading::Stack | Reading::Same),
            "{:#x}: {reading:?}",
            thread.ident
        );
        let stack = thread.stack();
        assert_eq!(stack.end, StackEnd::Outermost);
        let frames = stack.frames.iter().map(|frame| {
            let code = reader.codes().get(frame.code).expect("a code object");
            let line = code.line(frame.instruction, frame.bytecode_copy);
            let first_line = code.first_line.expect("a first line");
            (code.name.clone(), code.file.clone(), first_line, line)
        });
        stacks.insert(thread.ident, frames.collect());
    }
    stacks
}

#[test]
fn stacks_are_those_that_the_program_told() {
    for image in images() {
        let told = image.about.threads.iter();
        let told: HashMap<_, _> = told
            .map(|thread| (thread.ident, thread.frames.clone()))
            .collect();
        assert!(told.len() >= 10);
        let mut reader = Reader::new(image.interpreter());
        for _ in 0..2 {
            reader.tick(&image.memory).expect("an interpreter");
            assert_eq!(stacks(&reader), told, "{}", image.label());
            let tick = reader.last();
            // All of them wait.
            assert_eq!(tick.holders, []);
            assert_eq!(tick.knows_holders, !image.about.free_threaded);
        }
    }
}

#[test]
fn threads_have_the_names_that_the_program_told() {
    for image in images() {
        let threads = image.about.threads.iter();
        let told = threads.filter_map(|thread| Some((thread.ident, thread.name.clone()?)));
        let mut reader = Reader::new(image.interpreter());
        reader.tick(&image.memory).expect("an interpreter");
        let state = reader.threads()[0].interpreter;
        let names = thread_names(&image.memory, &reader.interpreter().layout, state, |_| true);
        assert_eq!(names.names, told.collect(), "{}", image.label());
        assert_eq!(names.main, Some(image.about.threads[0].ident));
    }
}

#[test]
fn threads_have_the_kernels_ids() {
    for image in images() {
        let threads = image.about.threads.iter();
        let told: HashMap<u64, i32> = threads
            .filter_map(|thread| Some((thread.ident, thread.native?)))
            .collect();
        let mut reader = Reader::new(image.interpreter());
        reader.tick(&image.memory).expect("an interpreter");
        let existing: HashSet<i32> = told.values().copied().collect();
        let idents: Vec<u64> = told.keys().copied().collect();
        let found = native_ids(&idents, &existing, &image.memory);
        for thread in reader.threads() {
            let own = thread.native_id.and_then(|id| i32::try_from(id).ok());
            let seen = own.or_else(|| found.get(&thread.ident).copied());
            let told = told.get(&thread.ident).copied();
            // `threading` does not know the id of the thread that it did not start.
            assert!(
                told.is_none() || seen == told,
                "{}: {seen:?}, {told:?}",
                image.label()
            );
        }
        assert!(told.len() >= 9);
    }
}
