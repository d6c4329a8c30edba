//! Turns damaged memory of interpreters into readings: nothing there may make a reader panic, walk
//! without end or ask for more memory than it has named bounds for.

use std::cell::Cell;
use std::collections::HashSet;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::RngSeed;
use rsamp::cpython::{
    DEBUG_OFFSETS_COOKIE, Interpreter, LineFormat, LineIndex, LineTable, MAX_DEBUG_OFFSETS_BYTES,
    Reader, Version, attribute_entries, dict_entries, find_entry, int_value, parse_debug_offsets,
    read_str, thread_names,
};
use rsamp::memory::{Address, Piece, ReadError, ReadMemory, SavedMemory};

use crate::fake_interpreter::{ALL, Fake, Place, frame, thread};
use crate::images::images;

/// Ticks after the damage, with the same reader.
const TICKS: u64 = 3;

/// A memory that counts what is asked of it.
struct Counting<'a> {
    memory: &'a SavedMemory,
    reads: Cell<u64>,
    largest: Cell<usize>,
}

impl Counting<'_> {
    fn new(memory: &SavedMemory) -> Counting<'_> {
        Counting {
            memory,
            reads: Cell::new(0),
            largest: Cell::new(0),
        }
    }

    fn count(&self, reads: usize, bytes: usize) {
        self.reads.set(self.reads.get() + reads as u64);
        self.largest.set(self.largest.get().max(bytes));
    }
}

impl ReadMemory for Counting<'_> {
    fn read(&self, at: Address, into: &mut [u8]) -> Result<(), ReadError> {
        self.count(1, into.len());
        self.memory.read(at, into)
    }

    fn read_pieces(&self, pieces: &[Piece], into: &mut [u8]) -> usize {
        self.count(0, into.len());
        let mut done = 0;
        for piece in pieces {
            let target = &mut into[done..done + piece.length];
            if self.read(piece.at, target).is_err() {
                break;
            }
            done += piece.length;
        }
        done
    }
}

/// An interpreter to be damaged.
struct Whole {
    memory: SavedMemory,
    interpreter: Interpreter,
    /// The range and the offset of every word that is not 0: what is 0 is mostly never read.
    words: Vec<(Address, usize)>,
    /// How many places the words name: no walk comes to more, but for those that damage makes.
    places: u64,
    bytes: u64,
}

impl Whole {
    fn new(memory: SavedMemory, interpreter: Interpreter) -> Whole {
        let words = memory.ranges().flat_map(|(start, bytes)| {
            let words = bytes.chunks_exact(8).enumerate();
            words
                .filter(|(_, word)| *word != [0; 8])
                .map(move |(number, _)| (start, number * 8))
        });
        let words: Vec<(Address, usize)> = words.collect();
        let named = words.iter().filter_map(|(start, offset)| {
            let named = memory.pointer(*start + *offset as u64).ok()?;
            memory.read(named, &mut [0]).ok()?;
            Some(named)
        });
        Whole {
            places: named.collect::<HashSet<_>>().len() as u64,
            words,
            bytes: memory.ranges().map(|(_, bytes)| bytes.len() as u64).sum(),
            memory,
            interpreter,
        }
    }
}

thread_local! {
    static FAKES: Vec<Whole> = ALL.iter().map(|offsets| {
        let frames = [
            frame("main"), frame("a"), frame("b").called_by_c(), frame("größe").in_(Place::Heap),
            frame("next").in_(Place::NewChunk), frame("函数"), frame("top"),
        ];
        let threads = vec![thread(&frames), thread(&frames[..3]), thread(&[])];
        let fake = Fake::new(offsets, &[threads, vec![thread(&frames[1..6])]]);
        Whole::new(fake.memory(), fake.interpreter())
    }).collect();

    static IMAGES: Vec<Whole> = images().into_iter().map(|image| {
        let interpreter = image.interpreter();
        Whole::new(image.memory, interpreter)
    }).collect();
}

#[derive(Debug, Clone)]
enum Damage {
    Flip(Index, u8),
    Overwrite(Index, Value),
    Remove(Index),
}

#[derive(Debug, Clone)]
enum Value {
    Word(u64),
    /// Where another word is, or near it.
    Place(Index, i64),
    /// What another word says.
    Copy(Index),
}

fn any_value() -> impl Strategy<Value = Value> {
    let sizes =
        (0..64u32, -1..2i64).prop_map(|(bit, more)| (1u64 << bit).wrapping_add_signed(more));
    prop_oneof![
        2 => prop_oneof![Just(0), Just(u64::MAX), any::<u64>(), 0..100_000u64, sizes].prop_map(Value::Word),
        2 => (any::<Index>(), prop_oneof![Just(0), -256..256i64]).prop_map(|(word, off)| Value::Place(word, off)),
        3 => any::<Index>().prop_map(Value::Copy),
    ]
}

fn any_damage() -> impl Strategy<Value = Vec<Damage>> {
    let one = prop_oneof![
        2 => (any::<Index>(), 0..64u8).prop_map(|(word, bit)| Damage::Flip(word, bit)),
        8 => (any::<Index>(), any_value()).prop_map(|(word, value)| Damage::Overwrite(word, value)),
        1 => any::<Index>().prop_map(Damage::Remove),
    ];
    prop::collection::vec(one, 1..MOST_DAMAGE)
}

/// The memory of `whole` with the damage done.
fn damaged(whole: &Whole, damage: &[Damage]) -> SavedMemory {
    let mut memory = whole.memory.clone();
    let at = |word: &Index| *word.get(&whole.words);
    for one in damage {
        let (word, new) = match one {
            Damage::Flip(word, bit) => (word, word_of(whole, at(word)) ^ 1 << bit),
            Damage::Overwrite(word, Value::Word(new)) => (word, *new),
            Damage::Overwrite(word, Value::Copy(other)) => (word, word_of(whole, at(other))),
            Damage::Overwrite(word, Value::Place(other, distance)) => {
                let (start, offset) = at(other);
                (
                    word,
                    (start.0 + offset as u64).wrapping_add_signed(*distance),
                )
            }
            Damage::Remove(word) => {
                let bytes = memory.range_mut(at(word).0).expect("a range");
                bytes.truncate(at(word).1);
                continue;
            }
        };
        let (start, offset) = at(word);
        let bytes = memory.range_mut(start).expect("a range");
        if let Some(place) = bytes.get_mut(offset..offset + 8) {
            place.copy_from_slice(&new.to_le_bytes());
        }
    }
    memory
}

fn word_of(whole: &Whole, (start, offset): (Address, usize)) -> u64 {
    whole.memory.word(start + offset as u64).expect("a word")
}

/// The most words that are damaged at once.
const MOST_DAMAGE: usize = 24;

/// No more reads than this in one tick: no walk comes to more places than there are, a circle is
/// noticed in the third round, and a thread is tried 400 times, each time with a search, a look and a
/// comparison of its code objects, which take six reads each to be read anew.
fn most_reads(whole: &Whole, threads: usize) -> u64 {
    let places = whole.places + MOST_DAMAGE as u64;
    (threads as u64 + 1) * 400 * (2 + 6) * 3 * places
}

/// No batch has more bytes than this: for each thread, what is believed of its data stack, and the
/// frames outside of it.
fn largest_batch(whole: &Whole, threads: usize) -> usize {
    let places = whole.places as usize + MOST_DAMAGE;
    (threads + 1) * ((16 << 20) + 3 * places * 256)
}

/// Reads `whole`, damages it, and reads on.
fn survives(whole: &Whole, damage: &[Damage], is_known: bool) {
    let mut reader = Reader::new(whole.interpreter.clone());
    if is_known {
        reader.tick(&whole.memory).expect("an interpreter");
    }
    let memory = damaged(whole, damage);
    let counting = Counting::new(&memory);
    let mut threads = reader.threads().len();
    for _ in 0..TICKS {
        if reader.tick(&counting).is_err() {
            break;
        }
        threads = threads.max(reader.threads().len());
        assert_eq!(reader.last().readings.len(), reader.threads().len());
        for frame in reader.threads().iter().flat_map(|t| &t.stack().frames) {
            let code = reader.codes().get(frame.code);
            code.map(|code| code.line(frame.instruction, frame.bytecode_copy));
        }
    }
    for thread in reader.threads() {
        assert!(reader.interpreter_number(thread) < 1024);
    }
    assert!(counting.reads.get() <= TICKS * most_reads(whole, threads));
    assert!(
        counting.largest.get() <= largest_batch(whole, threads),
        "{} bytes at once",
        counting.largest.get()
    );
}

#[test]
fn frames_of_an_absurd_size_are_survived() {
    for size in [i32::MIN, -100, -1, 0, i32::MAX] {
        for offsets in ALL {
            let mut fake = Fake::new(offsets, &[vec![thread(&[frame("main"), frame("work")])]]);
            fake.set_stack_size("work", size);
            let whole = Whole::new(fake.memory(), fake.interpreter());
            survives(&whole, &[], false);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, rng_seed: RngSeed::Fixed(54), ..ProptestConfig::default() })]

    /// One of these cases has sizes of frames that lead round and round through the chunks of the data stack: looked
    /// through anew for each of 2^18 frames, that took minutes.
    #[test]
    fn frames_in_a_circle_are_not_followed_again_and_again(
        which in 0..4usize,
        damage in any_damage(),
        is_known: bool,
    ) {
        FAKES.with(|fakes| survives(&fakes[which], &damage, is_known));
    }
}

/// Chunks of the largest size that is believed, one after another in a circle.
#[test]
fn chunks_in_a_circle_are_not_copied_again_and_again() {
    for offsets in ALL {
        let mut fake = Fake::new(offsets, &[vec![thread(&[frame("main"), frame("work")])]]);
        fake.make_chunk_endless(0);
        let whole = Whole::new(fake.memory(), fake.interpreter());
        survives(&whole, &[], false);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn damaged_fakes_are_survived(which in 0..4usize, damage in any_damage(), is_known: bool) {
        FAKES.with(|fakes| survives(&fakes[which], &damage, is_known));
    }

    #[test]
    fn damaged_images_are_survived(which in 0..4usize, damage in any_damage(), is_known: bool) {
        IMAGES.with(|images| survives(&images[which], &damage, is_known));
    }

    /// No more reads than pairs of words: each entry of one dict may lead to another dict.
    #[test]
    fn damaged_thread_names_are_survived(which in 0..4usize, damage in any_damage()) {
        IMAGES.with(|images| {
            let whole = &images[which];
            let memory = damaged(whole, &damage);
            let counting = Counting::new(&memory);
            let head = memory.pointer(whole.interpreter.interpreters_head).unwrap_or_default();
            let names = thread_names(&counting, &whole.interpreter.layout, head, |_| true);
            assert!(names.names.len() as u64 <= whole.bytes / 8);
            assert!(counting.reads.get() <= (whole.bytes / 8).pow(2));
            // The largest table that is read: 2^16 entries of 24 bytes.
            assert!(counting.largest.get() <= 24 << 16);
        });
    }

    /// Every object is taken for every kind of object.
    #[test]
    fn damaged_objects_are_survived(which in 0..4usize, word: Index, damage in any_damage()) {
        IMAGES.with(|images| {
            let whole = &images[which];
            let memory = damaged(whole, &damage);
            let counting = Counting::new(&memory);
            let layout = &whole.interpreter.layout;
            let (start, offset) = *word.get(&whole.words);
            for at in [start, start + offset as u64, Address(word_of(whole, (start, offset)))] {
                let text = read_str(&counting, layout, at, 1000).unwrap_or_default();
                assert!(text.chars().count() <= 1001);
                int_value(&counting, layout, at).ok();
                for entries in [dict_entries(&counting, layout, at), attribute_entries(&counting, layout, at)] {
                    let _ = find_entry(&counting, layout, &entries.unwrap_or_default(), "_name");
                }
            }
            assert!(counting.largest.get() <= 24 << 16);
        });
    }

    /// What the interpreter says of its own offsets is as hostile as the rest.
    #[test]
    fn damaged_offsets_are_refused_or_survived(
        which in 1..4usize,
        words in prop::collection::vec((1..110usize, prop_oneof![0..9000u64, any::<u64>()]), 1..4),
    ) {
        IMAGES.with(|images| {
            let whole = &images[which];
            let before = &whole.interpreter;
            let runtime = Address(before.interpreters_head.0 - before.layout.runtime.interpreters_head);
            let mut start = [0; MAX_DEBUG_OFFSETS_BYTES];
            whole.memory.read(runtime, &mut start).expect("_PyRuntime");
            for (word, value) in words {
                start[word * 8..][..8].copy_from_slice(&value.to_le_bytes());
            }
            let Ok(parsed) = parse_debug_offsets(&start) else {
                return;
            };
            let interpreter = Interpreter {
                version: Version::from_hex(parsed.version_hex as u32, parsed.free_threaded),
                interpreters_head: runtime + parsed.layout.runtime.interpreters_head,
                layout: parsed.layout,
                traits: parsed.traits,
                gil: before.gil,
            };
            let whole = Whole { memory: whole.memory.clone(), words: Vec::new(), places: whole.places, bytes: whole.bytes, interpreter };
            let mut reader = Reader::new(whole.interpreter.clone());
            let counting = Counting::new(&whole.memory);
            for _ in 0..TICKS {
                if reader.tick(&counting).is_err() {
                    break;
                }
            }
            for thread in reader.threads() {
                let _ = thread_names(&counting, &whole.interpreter.layout, thread.interpreter, |_| true);
            }
            assert!(counting.largest.get() <= largest_batch(&whole, reader.threads().len()));
        });
    }

    #[test]
    fn noise_is_never_taken_for_offsets(mut bytes in prop::collection::vec(any::<u8>(), 0..1024), cookie: bool) {
        if cookie && bytes.len() > 24 {
            bytes[..8].copy_from_slice(DEBUG_OFFSETS_COOKIE);
            bytes[8..24].copy_from_slice(&[0xf0, 0, 14, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        }
        parse_debug_offsets(&bytes).ok();
    }

    #[test]
    fn versions_are_looked_for_in_anything(
        parts in prop::collection::vec(
            prop_oneof![
                Just(b"\x003.".to_vec()), Just(b"3.8.18 ".to_vec()), Just(b"(de) ".to_vec()), Just(vec![0]),
                Just(b"2.7.99999999999 (".to_vec()), prop::collection::vec(any::<u8>(), 0..20),
            ],
            0..60,
        ),
    ) {
        let _ = Version::scan(&parts.concat());
    }

    #[test]
    fn tables_of_anything_have_lines(
        some in prop::collection::vec(any::<u8>(), 0..100),
        times in 1..20usize,
        first_line: i32,
        at: u32,
    ) {
        let bytes = some.repeat(times);
        for format in [LineFormat::Lnotab, LineFormat::Pairs, LineFormat::Locations] {
            let table = LineTable { format, first_line, bytes: bytes.clone() };
            // Each range takes a byte of the table at least; an `lnotab` has one more.
            prop_assert!(table.ranges().count() <= bytes.len() + 1);
            prop_assert_eq!(LineIndex::new(&table).line_at(at), table.line_at(at));
        }
    }
}
