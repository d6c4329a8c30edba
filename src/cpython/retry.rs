//! Turns a thread whose stack changes while it is read into a stack of one moment, by trying again.

use std::time::Instant;

use rustc_hash::FxHashSet;

use super::code::{self, Check, Fingerprint, Moment};
use super::frames::{FrameFormat, StackEnd};
use super::places::{Effort, Look};
use super::reader::{KnownThread, MAX_TRIES, Reader, Reading, format_of};
use super::top::Open;
use crate::memory::window::word_at;
use crate::memory::{Address, ReadMemory, Window};

/// A stack that is not decided is believed when it was the same at so many tries in a row: the thread
/// stands between two calls, preempted or freeing what a call has left behind.
const SAME_IN_A_ROW: usize = 8;

/// Tries follow one another at irregular intervals of up to this, so that they do not fall in step with
/// a program that does the same over and over.
const LONGEST_PAUSE_NS: u64 = 1_500;

/// So many tries are as short as they can be; later ones may take longer, where that helps.
const USUAL_TRIES: usize = 8;

/// The most words that such a try copies more, with a tenth of a microsecond each.
const MAX_PADDING: u64 = 48;

/// After so many tries, all that a thread gets that may be stopped, a deep stack is taken as far as it stayed.
const TRIES_OF_WHOLE_STACKS: usize = MAX_TRIES;

/// Irregular intervals between tries, and irregular tries.
#[derive(Debug)]
pub(super) struct Pauses {
    random: u32,
}

impl Default for Pauses {
    fn default() -> Self {
        Pauses {
            random: 0x9E37_79B9,
        }
    }
}

impl Pauses {
    /// A number below `end`.
    fn below(&mut self, end: u64) -> u64 {
        // xorshift32 (Marsaglia 2003).
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        (u64::from(self.random) * end) >> 32
    }

    /// What the try after number `tried` does.
    fn effort_of(&mut self, tried: usize) -> Effort {
        let is_usual = tried < USUAL_TRIES;
        Effort {
            padding: if is_usual {
                0
            } else {
                self.below(MAX_PADDING) as usize
            },
            takes_common: tried >= TRIES_OF_WHOLE_STACKS,
        }
    }

    /// Waits a little, awake: a sleep would be too long.
    fn wait(&mut self) {
        let pause_ns = u128::from(self.below(LONGEST_PAUSE_NS));
        let start = Instant::now();
        while start.elapsed().as_nanos() < pause_ns {
            std::hint::spin_loop();
        }
    }
}

impl Reader {
    /// Reads one thread again and again until its stack is of one moment, or the same for a while.
    /// `first` is what came out of the common copy. The stack that is found is in [`KnownThread::stack`].
    ///
    /// [`KnownThread::stack`]: super::reader::KnownThread::stack
    pub(super) fn read_alone(
        &mut self,
        number: usize,
        first: Look,
        memory: &impl ReadMemory,
        max_tries: usize,
        is_stopped: bool,
    ) -> Reading {
        let mut look = first;
        let mut same = 0;
        let mut has_moved = false;
        for number_of_try in 0..max_tries {
            match look {
                Look::Settled => return self.accept(number),
                // Before a gap is believed, the places themselves are doubted: they may have been learnt
                // while a chunk was being made.
                Look::Open(open) if open.gap.is_some() && !has_moved => {
                    if !self.learn(number, true, memory) {
                        return Reading::Gone;
                    }
                    self.count(number, open);
                    has_moved = true;
                }
                Look::Open(open) => {
                    if self.is_sure(number, open, memory, is_stopped) {
                        return self.accept(number);
                    }
                    same = self.count_same(number, same);
                    if same >= SAME_IN_A_ROW {
                        // It stood still.
                        self.weigh(number, open, true);
                        return self.accept(number);
                    }
                    self.count(number, open);
                    self.pauses.wait();
                }
                Look::Moved => {
                    if !self.learn(number, has_moved, memory) {
                        return Reading::Gone;
                    }
                    self.tick.retries.moved += 1;
                    has_moved = true;
                    same = 0;
                }
                Look::Gone => return Reading::Gone,
            }
            let effort = self.pauses.effort_of(number_of_try);
            look = self.look_alone(number, effort, memory);
        }
        match look {
            Look::Settled => self.accept(number),
            _ => Reading::Torn,
        }
    }

    /// Counts that the thread is read again because of what `open` says.
    fn count(&mut self, number: usize, open: Open) {
        let is_dubious = self.list.threads[number].draft.is_dubious;
        let retries = &mut self.tick.retries;
        let count = match open {
            _ if open.is_moving => &mut retries.changing,
            _ if is_dubious || open.gap.is_some() || open.link.is_some() => &mut retries.mixed,
            _ => &mut retries.unread,
        };
        *count += 1;
    }

    fn accept(&mut self, number: usize) -> Reading {
        self.list.threads[number].accept_draft();
        Reading::Stack
    }

    /// Finds a thread's frames anew; from the outermost on where that did not help before.
    fn learn(&mut self, number: usize, from_outermost: bool, memory: &impl ReadMemory) -> bool {
        let format = format_of(&self.interpreter);
        let thread = &mut self.list.threads[number];
        if from_outermost {
            thread.places.forget_frames();
        }
        thread.is_learnt = true;
        let learnt = thread.places.learn(thread.state, memory, format);
        learnt.is_some()
    }

    fn look_alone(&mut self, number: usize, effort: Effort, memory: &impl ReadMemory) -> Look {
        let at_ns = self.now_ns();
        let format = format_of(&self.interpreter);
        let thread = &mut self.list.threads[number];
        self.own_window.clear();
        let planned = thread
            .places
            .plan(thread.state, format, &mut self.own_window, effort);
        let generation = want_generation(thread, format, &mut self.own_window);
        self.pace_alone.fill(&mut self.own_window, memory);
        let now = moment(at_ns, generation, &self.own_window);
        let (places, draft) = (&mut thread.places, &mut thread.draft);
        let window = &self.own_window;
        let (look, fields) = places.look(planned, window, format, &self.codes, now, draft);
        // A state that was freed and taken by another thread is not this thread's.
        match fields {
            Some(fields) if fields.ident == thread.ident => look,
            _ => Look::Gone,
        }
    }

    /// Whether a stack that the copy left open is one that was there: only its code objects were in
    /// question and they stand, or the thread is stopped.
    fn is_sure(
        &mut self,
        number: usize,
        open: Open,
        memory: &impl ReadMemory,
        is_stopped: bool,
    ) -> bool {
        let wants_codes = open.wants_codes || open.callee_code.is_some();
        let codes_stand = !wants_codes || self.codes_stand(number, open.callee_code, memory);
        let draft = &self.list.threads[number].draft;
        let is_whole = !draft.is_dubious && draft.end == StackEnd::Outermost;
        if codes_stand && is_whole && !open.is_moving {
            self.weigh(number, open, is_stopped);
        }
        let is_settled = !open.is_moving && open.gap.is_none() && open.link.is_none();
        is_whole && codes_stand && (is_settled || is_stopped)
    }

    fn weigh(&mut self, number: usize, open: Open, is_certain: bool) {
        let now_ns = self.now_ns();
        let places = &mut self.list.threads[number].places;
        places.weigh(open, now_ns, is_certain);
    }

    /// Counts how often in a row the same stack was left open, `before` this one.
    fn count_same(&mut self, number: usize, before: usize) -> usize {
        let thread = &mut self.list.threads[number];
        if thread.draft.is_dubious {
            return 0;
        }
        let is_same = before > 0 && thread.draft == thread.open;
        thread.open.clone_from(&thread.draft);
        if is_same { before + 1 } else { 1 }
    }

    /// Compares every code object of the thread's draft, and `callee`, with what was cached of it, in one
    /// batch, and reads those that are new or others now. Whether all were as cached.
    fn codes_stand(
        &mut self,
        number: usize,
        callee: Option<Address>,
        memory: &impl ReadMemory,
    ) -> bool {
        let format = format_of(&self.interpreter);
        let layout = format.layout;
        let thread = &self.list.threads[number];
        let codes = thread.draft.frames.iter().map(|frame| frame.code);
        let codes: FxHashSet<Address> = codes.chain(callee).collect();
        let codes: Vec<Address> = codes.into_iter().collect();
        let (start, length) = code::fingerprint_range(layout);
        self.own_window.clear();
        let generation = want_generation(thread, format, &mut self.own_window);
        let first = self.own_window.len();
        for at in &codes {
            let name_hash = self.codes.name_hash_at(*at, layout);
            self.own_window.want(*at + start, length);
            self.own_window.want(name_hash.unwrap_or(Address::NULL), 8);
        }
        self.own_window.fill(memory);
        let now = moment(self.now_ns(), generation, &self.own_window);
        let mut all_stand = true;
        for (position, at) in codes.into_iter().enumerate() {
            let piece = first + 2 * position;
            let bytes = self.own_window.piece(piece);
            let found = bytes.and_then(|bytes| Fingerprint::parse(bytes, layout));
            let name_hash = word(piece + 1, &self.own_window);
            let check = found.map(|found| self.codes.check(at, &found, name_hash, now));
            if check != Some(Check::Same) {
                all_stand = false;
                self.codes.load(at, memory, format, now);
            }
        }
        all_stand
    }
}

/// Asks how many code objects the thread's interpreter has freed (3.14 on).
fn want_generation(
    thread: &KnownThread,
    format: FrameFormat<'_>,
    window: &mut Window,
) -> Option<usize> {
    let offset = format.layout.interpreter.code_generation?;
    Some(window.want(thread.interpreter + offset, 8))
}

/// When `window` was copied: at `at_ns`, and with what piece `generation` holds.
fn moment(at_ns: u64, generation: Option<usize>, window: &Window) -> Moment {
    let generation = generation.and_then(|piece| word(piece, window));
    Moment { at_ns, generation }
}

fn word(piece: usize, window: &Window) -> Option<u64> {
    word_at(window.piece(piece)?, 0)
}
