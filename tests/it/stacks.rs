//! Turns fake interpreters of four versions into stacks, and compares these with what was laid out.

use std::cell::Cell;
use std::rc::Rc;

use rsamp::cpython::{
    KnownThread, Reader, Reading, StackEnd, StopPolicy, StopThreads, StoppedThread, Undetermined,
    Vanished,
};
use rsamp::memory::{Address, SavedMemory};

use crate::fake_interpreter::{
    ALL, Fake, HOLDER, NONE, Offsets, Place, Thread, V3_11, V3_13, V3_14, frame, thread,
};

/// Says of every thread that it is off the CPU, or that it is not; stops none.
struct OffCpu(bool);

impl StopThreads for OffCpu {
    fn off_cpu(&mut self, _: &KnownThread) -> Option<u64> {
        self.0.then_some(1)
    }

    fn stop(&mut self, _: &KnownThread) -> Option<Box<dyn StoppedThread + '_>> {
        None
    }
}

/// Refuses every stop, and counts them.
struct Refuses(Rc<Cell<u32>>);

impl StopThreads for Refuses {
    fn off_cpu(&mut self, _: &KnownThread) -> Option<u64> {
        None
    }

    fn stop(&mut self, _: &KnownThread) -> Option<Box<dyn StoppedThread + '_>> {
        self.0.set(self.0.get() + 1);
        None
    }
}

#[test]
fn stops_that_are_always_refused_are_not_asked_for_any_more() {
    let fake = Fake::new(&V3_13, &[vec![thread(&["main", "work"].map(frame))]]);
    let asked = Rc::new(Cell::new(0));
    let mut reader = Reader::new(fake.interpreter());
    reader.allow_stops(StopPolicy::Always, Box::new(Refuses(Rc::clone(&asked))));
    let mut after = Vec::new();
    for _ in 0..3 {
        for _ in 0..100 {
            assert_eq!(
                stacks(&mut reader, &fake.memory()),
                [["work:205", "main:105"]]
            );
        }
        after.push(asked.get());
    }
    assert!(after[0] > 0 && after[0] < 100, "{after:?}");
    assert_eq!(after, [after[0]; 3]);
}

/// A reader of threads that stand still.
fn reader_of(fake: &Fake) -> Reader {
    let mut reader = Reader::new(fake.interpreter());
    reader.allow_stops(StopPolicy::Always, Box::new(OffCpu(true)));
    reader
}

/// The stack of each thread, innermost first, as `name:line` with the functions' first lines at 100,
/// 200 and so on; `?` when the code object cannot be read.
fn stacks(reader: &mut Reader, memory: &SavedMemory) -> Vec<Vec<String>> {
    reader.tick(memory).expect("an interpreter");
    let codes = reader.codes();
    let stack = |(reading, thread): (&Reading, &KnownThread)| match reading {
        Reading::Stack | Reading::Same => {
            let line = |frame: &rsamp::cpython::RawFrame| {
                let Some(code) = codes.get(frame.code) else {
                    return "?".to_owned();
                };
                assert_eq!(code.file, "/app/данные.py");
                let line = code.line(frame.instruction, frame.bytecode_copy);
                format!("{}:{}", code.name, line.unwrap_or(0))
            };
            thread.stack().frames.iter().map(line).collect()
        }
        other => vec![format!("{other:?}")],
    };
    let readings = reader.last().readings.iter();
    readings.zip(reader.threads()).map(stack).collect()
}

/// Reads what `lay_out` makes, twice with one reader: the first time everything is new to it, the
/// second time it is where it was.
fn check(
    versions: &[&'static Offsets],
    lay_out: impl Fn(&'static Offsets) -> Fake,
    expect: &[&[&str]],
) {
    for offsets in versions {
        let fake = lay_out(offsets);
        let memory = fake.memory();
        let mut reader = Reader::new(fake.interpreter());
        for look in ["first", "second"] {
            assert_eq!(
                stacks(&mut reader, &memory),
                expect,
                "{:#x}, {look} look",
                offsets.hex
            );
        }
        let tick = reader.tick(&memory).expect("an interpreter");
        let holder = fake.threads.get(HOLDER).copied();
        assert_eq!(tick.holders, Vec::from_iter(holder), "{:#x}", offsets.hex);
        assert!(!tick.threads_changed);
    }
}

fn one(thread: Thread) -> impl Fn(&'static Offsets) -> Fake {
    move |offsets| Fake::new(offsets, &[vec![thread.clone()]])
}

#[test]
fn a_stack_has_names_and_lines_innermost_first() {
    let frames = [frame("<module>"), frame("main").early(), frame("work")];
    check(
        &ALL,
        one(thread(&frames)),
        &[&["work:305", "main:201", "<module>:105"]],
    );
    check(&ALL, one(thread(&[])), &[&[]]);
}

#[test]
fn names_of_every_width_are_read() {
    let frames = ["ascii", "größe", "функция", "蟹🦀"].map(frame);
    check(
        &ALL,
        one(thread(&frames)),
        &[&["蟹🦀:405", "функция:305", "größe:205", "ascii:105"]],
    );
}

#[test]
fn frames_in_generators_and_in_other_chunks_are_read() {
    let frames = [
        frame("main"),
        frame("outer").in_(Place::Heap),
        frame("inner").in_(Place::Heap),
        frame("call"),
        frame("next").in_(Place::NewChunk),
        frame("generator").in_(Place::Heap),
        frame("top"),
    ];
    let expect = [
        "top:705",
        "generator:605",
        "next:505",
        "call:405",
        "inner:305",
        "outer:205",
        "main:105",
    ];
    check(&ALL, one(thread(&frames)), &[&expect]);
}

#[test]
fn frames_that_c_code_called() {
    let frames = [
        frame("main"),
        frame("key").called_by_c(),
        frame("help"),
        frame("again").called_by_c(),
    ];
    check(
        &ALL,
        one(thread(&frames)),
        &[&["again:405", "help:305", "key:205", "main:105"]],
    );
}

#[test]
fn all_threads_of_all_interpreters_are_read() {
    let lay_out = |offsets| {
        let threads = |name| {
            vec![
                thread(&[frame(name), frame("wait")]),
                thread(&[frame(name)]),
            ]
        };
        Fake::new(
            offsets,
            &[
                threads("sub"),
                threads("other"),
                vec![thread(&[frame("main")])],
            ],
        )
    };
    for offsets in ALL {
        let fake = lay_out(offsets);
        let mut reader = Reader::new(fake.interpreter());
        let seen = stacks(&mut reader, &fake.memory());
        let expect: [&[&str]; 5] = [
            &["wait:205", "sub:105"],
            &["sub:105"],
            &["wait:205", "other:305"],
            &["other:305"],
            &["main:405"],
        ];
        assert_eq!(seen, expect, "{:#x}", offsets.hex);
        let numbers = reader
            .threads()
            .iter()
            .map(|thread| reader.interpreter_number(thread));
        assert_eq!(numbers.collect::<Vec<_>>(), [2, 2, 1, 1, 0]);
        let idents: Vec<u64> = reader.threads().iter().map(|thread| thread.ident).collect();
        assert_eq!(idents, [0x1000, 0x1001, 0x1002, 0x1003, 0x1004]);
        let natives = reader.threads().iter().map(|thread| thread.native_id);
        let native = |number: u64| offsets.thread.native.map(|_| 4000 + number);
        assert!(natives.eq((0..5).map(native)));
    }
}

/// The copy says which frame was executing in it, in 3.11–3.13.
const SAYS_WHICH: [&Offsets; 2] = [&V3_11, &V3_13];

#[test]
fn a_frame_that_has_returned_is_cut() {
    let mut returned = thread(&[frame("main"), frame("call"), frame("dead"), frame("deader")]);
    returned.executing = Some(1);
    check(&SAYS_WHICH, one(returned), &[&["call:205", "main:105"]]);
}

#[test]
fn a_callee_that_the_pointer_does_not_name_yet_is_added() {
    let frames = ["main", "call", "callee", "deeper"].map(frame);
    let mut called = thread(&frames);
    called.current = Some(1);
    let expect: &[&[&str]] = &[&["deeper:405", "callee:305", "call:205", "main:105"]];
    check(&SAYS_WHICH, one(called.clone()), expect);
    check(&[&V3_14], one(called), expect);
}

#[test]
fn what_a_call_left_behind_is_not_added() {
    let mut returned = thread(&["main", "call", "dead", "deader"].map(frame));
    returned.current = Some(1);
    returned.executing = Some(1);
    check(&SAYS_WHICH, one(returned), &[&["call:205", "main:105"]]);
    let lay_out = |offsets| {
        let frames = ["main", "call", "dead"].map(frame);
        let mut fake = Fake::new(offsets, &[vec![thread(&frames)]]);
        fake.set_code(0, 2, Address::NULL);
        fake
    };
    check(&[&V3_14], lay_out, &[&["call:205", "main:105"]]);
}

#[test]
fn the_rest_of_a_call_that_made_a_generator_is_not_a_frame() {
    for current in [1, 2] {
        let mut made = thread(&["main", "call", "numbers"].map(frame));
        made.current = Some(current);
        let lay_out = |offsets| {
            let mut fake = Fake::new(offsets, &[vec![made.clone()]]);
            fake.make_generator("numbers");
            fake
        };
        check(&[&V3_14], lay_out, &[&["call:205", "main:105"]]);
    }
}

/// The stacks of a reader that knows the code objects, and how many of them were not certain.
fn look_again(fake: &Fake) -> (Vec<Vec<String>>, Undetermined) {
    let mut reader = Reader::new(fake.interpreter());
    let memory = fake.memory();
    stacks(&mut reader, &memory);
    let stacks = stacks(&mut reader, &memory);
    (stacks, reader.last().undetermined)
}

#[test]
fn while_a_call_is_made_or_ended_the_frame_that_the_pointer_named_is_the_innermost() {
    let frames = [frame("main"), frame("call").in_a_loop(), frame("callee")];
    let called: &[&str] = &["callee:305", "call:205", "main:105"];
    for (offsets, current) in [(&V3_11, 1), (&V3_11, 2), (&V3_13, 1)] {
        let mut calling = thread(&frames);
        (calling.current, calling.executing) = (Some(current), NONE);
        let (stacks, undetermined) = look_again(&Fake::new(offsets, &[vec![calling]]));
        assert_eq!(stacks, [&called[2 - current..]], "{:#x}", offsets.hex);
        assert_eq!(undetermined.changing, 0, "{:#x}, {current}", offsets.hex);
    }
}

#[test]
fn a_callee_whose_variables_are_freed_is_over() {
    let mut ended = thread(&["main", "call", "callee"].map(frame));
    ended.executing = NONE;
    let mut fake = Fake::new(&V3_13, &[vec![ended]]);
    fake.clear_variables(0, 2);
    let (stacks, undetermined) = look_again(&fake);
    assert_eq!(stacks, [["call:205", "main:105"]]);
    assert_eq!(undetermined.changing, 0);
}

/// `call` may be about to return, or to call.
#[test]
fn an_uncertain_caller_makes_the_stack_undetermined() {
    let mut unclear = thread(&["main", "call", "callee"].map(frame));
    (unclear.current, unclear.executing) = (Some(1), NONE);
    let (_, undetermined) = look_again(&Fake::new(&V3_11, &[vec![unclear]]));
    assert!(undetermined.changing > 0, "{undetermined:?}");
}

#[test]
fn a_frame_at_an_instruction_of_another_function_makes_its_stack_undetermined() {
    for offsets in [&V3_11, &V3_13, &V3_14] {
        let threads = || vec![thread(&["main", "call", "other"].map(frame))];
        let mut fake = Fake::new(offsets, &[threads()]);
        assert_eq!(look_again(&fake).1.changing, 0, "{:#x}", offsets.hex);
        fake.set_instruction_of(0, 1, "other");
        assert!(look_again(&fake).1.changing > 0, "{:#x}", offsets.hex);
    }
}

#[test]
fn deep_stacks_are_whole() {
    const DEPTH: usize = 60_000;
    for offsets in ALL {
        let fake = Fake::new(offsets, &[vec![thread(&vec![frame("f"); DEPTH])]]);
        let memory = fake.memory();
        let mut reader = Reader::new(fake.interpreter());
        for _ in 0..2 {
            let tick = reader.tick(&memory).expect("an interpreter");
            let [Reading::Stack | Reading::Same] = tick.readings[..] else {
                panic!("{:?}", tick.readings);
            };
            let stack = reader.threads()[0].stack();
            let at = stack.frames.iter().rev().map(|frame| frame.at);
            assert!(at.eq(fake.frames[0].iter().copied()), "{:#x}", offsets.hex);
        }
    }
}

#[test]
fn an_invalid_code_object_loses_its_frame() {
    let lay_out = |offsets| {
        let mut fake = Fake::new(
            offsets,
            &[vec![thread(&["main", "lost", "work"].map(frame))]],
        );
        fake.set_code(0, 1, Address(0x1_dead_0000));
        fake
    };
    check(&ALL, lay_out, &[&["work:305", "?", "main:105"]]);
}

#[test]
fn an_invalid_caller_loses_the_frames_below_it() {
    let lay_out = |offsets| {
        let mut fake = Fake::new(
            offsets,
            &[vec![thread(&["main", "lost", "work"].map(frame))]],
        );
        fake.set_previous(0, 1, Address(0x1_dead_0000));
        fake
    };
    check(&ALL, lay_out, &[&["work:305", "lost:205"]]);
}

/// From 3.11 on every stack was entered from C: what ends otherwise has lost its outer frames.
#[test]
fn a_stack_that_was_not_entered_is_cut() {
    for offsets in [&V3_11, &V3_13, &V3_14] {
        let mut fake = Fake::new(
            offsets,
            &[vec![thread(&["main", "call", "work"].map(frame))]],
        );
        fake.set_previous(0, 1, Address::NULL);
        let mut reader = Reader::new(fake.interpreter());
        for _ in 0..3 {
            let seen = stacks(&mut reader, &fake.memory());
            assert_eq!(seen, [["work:305", "call:205"]], "{:#x}", offsets.hex);
            let end = reader.threads()[0].stack().end;
            assert_eq!(end, StackEnd::Unreadable(Address::NULL));
        }
    }
}

/// While it is being resumed it has no caller for a moment, in which its thread may lose the CPU.
#[test]
fn a_generator_is_never_the_outermost_frame() {
    let frames = [
        frame("main"),
        frame("numbers").in_(Place::Heap),
        frame("work"),
    ];
    for is_generator in [false, true] {
        let mut fake = Fake::new(&V3_14, &[vec![thread(&frames)]]);
        fake.set_previous(0, 1, Address::NULL);
        if is_generator {
            fake.make_generator("numbers");
        }
        let mut reader = Reader::new(fake.interpreter());
        for stands in [false, true, true] {
            reader.allow_stops(StopPolicy::Always, Box::new(OffCpu(stands)));
            reader.tick(&fake.memory()).expect("an interpreter");
            let is_whole = reader.threads()[0].stack().end == StackEnd::Outermost;
            assert_eq!(
                is_whole,
                stands && !is_generator,
                "{stands}, {is_generator}"
            );
        }
    }
}

/// A greenlet's first frame has no caller. One further up on the data stack has, and may not name it yet.
#[test]
fn only_the_first_frame_of_a_data_stack_is_outermost_without_an_entry() {
    for offsets in [&V3_11, &V3_13, &V3_14] {
        for (number, is_outermost) in [(0, true), (1, false)] {
            let threads = vec![thread(&["main", "call", "work"].map(frame))];
            let mut fake = Fake::new(offsets, &[threads]);
            fake.set_previous(0, number, Address::NULL);
            let mut reader = Reader::new(fake.interpreter());
            reader.allow_stops(StopPolicy::Always, Box::new(OffCpu(true)));
            for _ in 0..3 {
                reader.tick(&fake.memory()).expect("an interpreter");
                let end = reader.threads()[0].stack().end;
                let found = end == StackEnd::Outermost;
                assert_eq!(found, is_outermost, "{:#x}, {number}", offsets.hex);
            }
        }
    }
}

/// 3.12 on: entry frames lie on the C stack, so that what looks like one elsewhere ends no stack.
#[test]
fn no_frame_of_the_data_stack_is_an_entry_frame() {
    for offsets in [&V3_13, &V3_14] {
        let mut fake = Fake::new(
            offsets,
            &[vec![thread(&["main", "call", "work"].map(frame))]],
        );
        fake.set_entry(0, 1);
        fake.set_previous(0, 1, Address::NULL);
        let mut reader = Reader::new(fake.interpreter());
        for _ in 0..3 {
            let seen = stacks(&mut reader, &fake.memory());
            assert_eq!(seen, [["work:305"]], "{:#x}", offsets.hex);
            let end = reader.threads()[0].stack().end;
            assert_eq!(end, StackEnd::Unreadable(fake.frames[0][1]));
        }
    }
}

#[test]
fn a_circle_is_walked_once() {
    for places in [Place::Chunk, Place::Heap] {
        let lay_out = |offsets| {
            let frames = ["main", "a", "b", "c", "work"].map(|name| frame(name).in_(places));
            let mut fake = Fake::new(offsets, &[vec![thread(&frames)]]);
            let back = fake.frames[0][3];
            fake.set_previous(0, 1, back);
            fake
        };
        check(&ALL, lay_out, &[&["work:505", "c:405", "b:305", "a:205"]]);
    }
}

#[test]
fn a_code_object_that_took_the_place_of_another_is_noticed() {
    for offsets in ALL {
        let mut fake = Fake::new(offsets, &[vec![thread(&[frame("main"), frame("old")])]]);
        let mut reader = Reader::new(fake.interpreter());
        let seen = stacks(&mut reader, &fake.memory());
        assert_eq!(seen, [["old:205", "main:105"]], "{:#x}", offsets.hex);
        fake.replace_code("old", "new", 7);
        let seen = stacks(&mut reader, &fake.memory());
        assert_eq!(seen, [["new:12", "main:105"]], "{:#x}", offsets.hex);
        fake.replace_code("old", "new", 17);
        let seen = stacks(&mut reader, &fake.memory());
        assert_eq!(seen, [["new:22", "main:105"]], "{:#x}", offsets.hex);
    }
}

/// A reader that has seen the threads of `fake` stand still, and now has to do with copies alone.
fn reader_that_knows(fake: &Fake) -> Reader {
    let mut reader = reader_of(fake);
    // It learns what speaks against a stack one by one.
    for _ in 0..4 {
        reader.tick(&fake.memory()).expect("an interpreter");
    }
    reader.allow_stops(StopPolicy::Never, Box::new(OffCpu(false)));
    reader
}

#[test]
fn a_stack_that_is_in_order_is_determined() {
    let frames = [frame("main"), frame("key").called_by_c(), frame("work")];
    for offsets in ALL {
        let fake = Fake::new(offsets, &[vec![thread(&frames)]]);
        let mut reader = reader_that_knows(&fake);
        let again = reader.tick(&fake.memory()).expect("an interpreter");
        assert_eq!(again.undetermined.total(), 0, "{:#x}", offsets.hex);
    }
}

/// A frame that has been skipped lies between two others in the chunk: 3.11 on.
#[test]
fn a_stack_that_skips_frames_is_undetermined() {
    for offsets in [&V3_11, &V3_13, &V3_14] {
        let frames = ["main", "call", "work"].map(frame);
        let whole = Fake::new(offsets, &[vec![thread(&frames)]]);
        let mut skipping = Fake::new(offsets, &[vec![thread(&frames)]]);
        let outermost = skipping.frames[0][0];
        skipping.set_previous(0, 2, outermost);
        let mut reader = reader_that_knows(&whole);
        let again = reader.tick(&skipping.memory()).expect("an interpreter");
        assert_eq!(again.undetermined.total(), 1, "{:#x}", offsets.hex);
    }
}

#[test]
fn threads_that_cannot_have_run_keep_their_stacks() {
    for offsets in ALL {
        let threads = || vec![thread(&["main", "wait"].map(frame)); 8];
        let mut fake = Fake::new(offsets, &[threads()]);
        let mut reader = Reader::new(fake.interpreter());
        reader.tick(&fake.memory()).expect("an interpreter");
        // Only the holder may run on its own.
        for number in [HOLDER, 5] {
            fake.end_at_caller(number);
        }
        let tick = reader.tick(&fake.memory()).expect("an interpreter");
        let mut expect = [Reading::Same; 8];
        expect[HOLDER] = Reading::Stack;
        assert_eq!(tick.readings, expect, "{:#x}", offsets.hex);
        let depth = |reader: &Reader, number: usize| reader.threads()[number].stack().frames.len();
        assert_eq!((depth(&reader, HOLDER), depth(&reader, 5)), (1, 2));
        // After a turn, any can have run.
        fake.count_a_turn();
        let tick = reader.tick(&fake.memory()).expect("an interpreter");
        assert_eq!(tick.readings, [Reading::Stack; 8]);
        assert_eq!((depth(&reader, HOLDER), depth(&reader, 5)), (1, 1));
    }
}

#[test]
fn when_the_gil_went_from_one_thread_to_another_only_these_have_run() {
    for offsets in [&V3_13, &V3_14] {
        let threads = vec![thread(&["main", "wait"].map(frame)); 8];
        let mut fake = Fake::new(offsets, &[threads]);
        let mut reader = Reader::new(fake.interpreter());
        let mut tick = |fake: &Fake| {
            let tick = reader.tick(&fake.memory()).expect("an interpreter");
            tick.read.clone()
        };
        assert_eq!(tick(&fake), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(tick(&fake), [HOLDER]);
        fake.take_gil(5);
        assert_eq!(tick(&fake), [HOLDER, 5]);
        assert_eq!(tick(&fake), [5]);
        fake.take_gil(3);
        fake.take_gil(4);
        assert_eq!(tick(&fake), [0, 1, 2, 3, 4, 5, 6, 7], "3 has run, too");
    }
}

#[test]
fn an_ended_process_is_not_an_interpreter() {
    for offsets in ALL {
        let fake = Fake::new(offsets, &[vec![thread(&["main", "wait"].map(frame)); 8]]);
        let mut reader = Reader::new(fake.interpreter());
        reader.tick(&fake.memory()).expect("an interpreter");
        for _ in 0..2 {
            assert_eq!(reader.tick(&SavedMemory::default()), Err(Vanished));
            assert_eq!(reader.threads().len(), 0, "{:#x}", offsets.hex);
        }
        // As when it runs another program by now.
        let tick = reader.tick(&fake.memory()).expect("an interpreter");
        assert_eq!(tick.readings, [Reading::Stack; 8]);
    }
}
