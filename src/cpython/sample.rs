//! Turns the moment at which a thread was looked at into its stack.
//!
//! The first copy of a tick chooses the moment, and mostly tells the stack by itself. Where it does not, what it named
//! is completed by what is read afterwards, and the sample counts as undetermined; it is never drawn again. A thread
//! that is stopped, or off the CPU, shows one stack however often it is looked at.

use rustc_hash::FxHashSet;

use super::code::{self, Check, Fingerprint, Moment};
use super::complete::{self, Completion, FirstCopy};
use super::frames::{FrameFormat, RawStack};
use super::places::{Planned, ReadOutcome};
use super::reader::{Reader, Reading};
use super::stop_threads::{MOST_REFUSALS, StopPolicy, StopThreads, StoppedThread};
use super::threads::KnownThread;
use super::top::Doubts;
use crate::memory::window::word_at;
use crate::memory::{Address, ReadMemory, Window};

/// How often a thread that stands still is looked at until nothing of its stack is missing from the copy: its places
/// are learnt after the first look, and once more from the outermost frame on.
const LOOKS: usize = 4;

/// The most instructions that a stopped thread executes until its stack is whole. While a generator is resumed or
/// yields, its link to the frame that resumed it is missing for some instructions.
const MAX_STEPS: usize = 64;

/// How often one copy is looked at, after code objects that it names were read.
const CODE_LOOKS: usize = 16;

impl Reader {
    /// Reads one thread at a tick that began at `now_ns`.
    pub(super) fn read(&mut self, number: usize, memory: &impl ReadMemory, now_ns: u64) -> Reading {
        let runs = self.may_run(number);
        let thread = &self.list.threads[number];
        let common = thread.planned.filter(|_| thread.is_learnt);
        self.list.threads[number].is_of_common_copy = common.is_some();
        let look = self.look_first(number, common.is_some(), runs, memory, now_ns);
        if look == ReadOutcome::Gone {
            return Reading::Gone;
        }
        let is_determined = look == ReadOutcome::Settled;
        let windows = &mut self.list.threads[number].windows;
        let in_window = runs && windows.begin_tick(now_ns);
        if runs {
            windows.count(is_determined);
        }
        let is_stopped = match self.stops {
            StopPolicy::Never => false,
            StopPolicy::WhereNeeded => in_window,
            StopPolicy::Always => runs,
        };
        if !is_stopped && is_determined {
            return self.accept_certain(number);
        }
        if is_stopped && !self.is_drawn() && self.list.threads[number].carry_on() {
            return Reading::Unsampled;
        }
        if let Some(mut stopper) = self.stopper.take() {
            let reading = self.read_still(number, is_stopped, &mut *stopper, memory);
            self.stopper = Some(stopper);
            if let Some(reading) = reading {
                self.list.threads[number].is_of_common_copy = false;
                return reading;
            }
        }
        self.complete(number, look, common, false, memory)
    }

    /// Whether a thread's stack may be changing: where that is known, only one that holds a GIL changes it.
    fn may_run(&self, number: usize) -> bool {
        let state = &self.list.threads[number].state;
        let tick = &self.tick;
        !tick.knows_holders || tick.holders.contains(state) || tick.late_holders.contains(state)
    }

    /// Whether this tick is one of those that stop.
    fn is_drawn(&mut self) -> bool {
        let running = match self.tick.knows_holders {
            true => self.tick.holders.len(),
            false => self.tick.read.len(),
        };
        self.stops == StopPolicy::Always || self.budget.draw(running.max(1))
    }

    /// Looks at what the common copy has of the thread; of a new one, at a copy of its own.
    fn look_first(
        &mut self,
        number: usize,
        is_in_common: bool,
        runs: bool,
        memory: &impl ReadMemory,
        now_ns: u64,
    ) -> ReadOutcome {
        if !is_in_common {
            if !self.learn(number, true, memory) {
                return ReadOutcome::Gone;
            }
            return self.look_alone(number, !runs, memory);
        }
        let generation = self.generation(number);
        let now = Moment {
            at_ns: now_ns,
            generation,
        };
        let window = std::mem::take(&mut self.window);
        let look = self.look(number, &window, !runs, now, memory);
        self.window = window;
        look
    }

    /// Looks at a new copy of the thread alone.
    fn look_alone(
        &mut self,
        number: usize,
        is_still: bool,
        memory: &impl ReadMemory,
    ) -> ReadOutcome {
        let format = self.interpreter.format();
        let mut window = std::mem::take(&mut self.own_window);
        window.clear();
        let thread = &mut self.list.threads[number];
        thread.plan(format, false, &mut window);
        let generation = want_generation(thread, format, &mut window);
        let at_ns = self.now_ns();
        window.fill(memory);
        let generation = generation.and_then(|piece| word(piece, &window));
        let look = self.look(
            number,
            &window,
            is_still,
            Moment { at_ns, generation },
            memory,
        );
        self.own_window = window;
        look
    }

    /// Looks at a copy; code objects that it names and that are not known, or may have changed, are read.
    fn look(
        &mut self,
        number: usize,
        window: &Window,
        is_still: bool,
        now: Moment,
        memory: &impl ReadMemory,
    ) -> ReadOutcome {
        let mut look = ReadOutcome::Moved;
        if self.list.threads[number].places.are_codes_due(now) {
            self.read_codes(number, None, now, memory);
        }
        for _ in 0..CODE_LOOKS {
            let format = self.interpreter.format();
            let thread = &mut self.list.threads[number];
            let Some(planned) = thread.planned else {
                return ReadOutcome::Gone;
            };
            let (places, draft) = (&mut thread.places, &mut thread.draft);
            let (found, fields) =
                places.look(planned, window, format, &self.codes, now, is_still, draft);
            // A state that was freed and taken by another thread is not this thread's.
            if fields.is_none_or(|fields| fields.ident != thread.ident) {
                return ReadOutcome::Gone;
            }
            thread.cframe = fields.and_then(|fields| fields.cframe);
            look = found;
            match look {
                ReadOutcome::Undecided(open) if open.wants_codes || open.callee_code.is_some() => {
                    self.read_codes(number, open.callee_code, now, memory);
                }
                _ => break,
            }
        }
        look
    }

    /// Reads the stack of a thread that is off the CPU, or that is stopped meanwhile if it `may_stop`. `None`: it
    /// cannot be told so.
    fn read_still(
        &mut self,
        number: usize,
        may_stop: bool,
        stopper: &mut dyn StopThreads,
        memory: &impl ReadMemory,
    ) -> Option<Reading> {
        let reading = self.read_off_cpu(number, stopper, memory);
        if reading.is_some() || !may_stop {
            return reading;
        }
        let Some(mut guard) = stopper.stop(&self.list.threads[number]) else {
            self.refusals += 1;
            // What another tracer holds, or the system forbids, is not asked for at every tick.
            if self.refusals >= MOST_REFUSALS {
                self.stops = StopPolicy::Never;
            }
            // Where the machine is busy, one that does not stop in time has lost its CPU meanwhile.
            return self.read_off_cpu(number, stopper, memory);
        };
        self.refusals = 0;
        let start_ns = self.now_ns();
        let reading = self.read_standing(number, Some(&mut *guard), memory);
        let reading =
            reading.unwrap_or_else(|look| self.complete(number, look, None, true, memory));
        drop(guard);
        self.tick.stops += 1;
        self.budget.count_stop(self.now_ns() - start_ns);
        Some(reading)
    }

    /// Reads the stack of a thread that came to no CPU meanwhile. `None`: it did, or is on one, or the kernel does not tell.
    fn read_off_cpu(
        &mut self,
        number: usize,
        stopper: &mut dyn StopThreads,
        memory: &impl ReadMemory,
    ) -> Option<Reading> {
        let before = stopper.off_cpu(&self.list.threads[number])?;
        let reading = self.read_standing(number, None, memory);
        let after = stopper.off_cpu(&self.list.threads[number]);
        reading.ok().filter(|_| after == Some(before))
    }

    /// Reads the stack of a thread that stands still.
    ///
    /// # Errors
    /// It is not whole: what was found.
    fn read_standing(
        &mut self,
        number: usize,
        mut guard: Option<&mut dyn StoppedThread>,
        memory: &impl ReadMemory,
    ) -> Result<Reading, ReadOutcome> {
        let (mut learnt, mut steps) = (0, 0);
        loop {
            let look = self.look_alone(number, true, memory);
            match look {
                ReadOutcome::Gone => return Ok(Reading::Gone),
                ReadOutcome::Settled => return Ok(self.accept_certain(number)),
                ReadOutcome::Moved => {
                    learnt += 1;
                    if learnt > LOOKS || !self.learn(number, learnt > 1, memory) {
                        return Err(look);
                    }
                }
                ReadOutcome::Undecided(open) => {
                    let draft = &self.list.threads[number].draft;
                    if draft.is_whole() {
                        self.believe(number, open);
                        return Ok(self.accept(number));
                    }
                    steps += 1;
                    let has_stepped = |stopped: &mut &mut dyn StoppedThread| stopped.step();
                    if steps > MAX_STEPS || !guard.as_mut().is_some_and(has_stepped) {
                        return Err(look);
                    }
                }
            }
        }
    }

    /// The stack of a thread that is stopped, read apart from the ticks: what they tell stays as it is. `None`: it cannot
    /// be told.
    pub fn stack_of_stopped(
        &mut self,
        number: usize,
        memory: &impl ReadMemory,
    ) -> Option<&RawStack> {
        let planned = self.list.threads.get(number)?.planned;
        let mut look = ReadOutcome::Moved;
        for learnt in 0..LOOKS {
            look = self.look_alone(number, true, memory);
            let is_learnt = look == ReadOutcome::Moved && self.learn(number, learnt > 0, memory);
            if !is_learnt {
                break;
            }
        }
        let thread = &mut self.list.threads[number];
        thread.planned = planned;
        let draft = &thread.draft;
        let is_told = match look {
            ReadOutcome::Settled => true,
            // A generator that is being resumed or yields has no caller for some instructions.
            ReadOutcome::Undecided(_) => !draft.is_dubious,
            ReadOutcome::Moved | ReadOutcome::Gone => false,
        };
        is_told.then_some(draft)
    }

    /// Takes what the copy that chose the moment named for the stack, with what can be read of it now. `common` tells where
    /// the thread is in the common copy, if that is the one; `stands` whether it has stood still since.
    fn complete(
        &mut self,
        number: usize,
        look: ReadOutcome,
        common: Option<Planned>,
        stands: bool,
        memory: &impl ReadMemory,
    ) -> Reading {
        let now = Moment {
            at_ns: self.now_ns(),
            generation: None,
        };
        let Some(planned) = common.or(self.list.threads[number].planned) else {
            self.count_undetermined(look);
            return Reading::Torn;
        };
        let window = std::mem::take(match common {
            Some(_) => &mut self.window,
            None => &mut self.own_window,
        });
        self.list.threads[number].planned = Some(planned);
        let is_twice = planned.before_the_pointer().is_some();
        let told = match look {
            ReadOutcome::Undecided(open)
                if !stands && self.is_told_by_look(number, open, &window, now, memory) =>
            {
                Completion::Likely
            }
            _ => self.tell(number, planned, &window, memory),
        };
        match common {
            Some(_) => self.window = window,
            None => self.own_window = window,
        }
        if !is_twice || told != Completion::Stack {
            self.count_undetermined(look);
        }
        if look == ReadOutcome::Moved {
            self.learn(number, false, memory);
        }
        if told == Completion::Nothing {
            return Reading::Torn;
        }
        self.read_codes(number, None, now, memory);
        self.accept(number)
    }

    /// Whether what the look found, which is in the draft, is as good as what could be completed: it is whole, or nothing
    /// is known to have moved meanwhile.
    fn is_told_by_look(
        &mut self,
        number: usize,
        doubts: Doubts,
        window: &Window,
        now: Moment,
        memory: &impl ReadMemory,
    ) -> bool {
        if !doubts.is_moving {
            self.look(number, window, false, now, memory);
        }
        let thread = &self.list.threads[number];
        let planned = thread.planned;
        let is_of_one_moment = planned.is_some_and(|planned| planned.shows_one_moment(window));
        !doubts.is_moving && thread.draft.is_whole()
            || is_of_one_moment && !complete::is_led_astray(&thread.draft, &self.codes)
    }

    /// Tells the thread's stack from a copy, into its draft.
    fn tell(
        &mut self,
        number: usize,
        planned: Planned,
        window: &Window,
        memory: &impl ReadMemory,
    ) -> Completion {
        let copy = FirstCopy {
            planned,
            window,
            format: self.interpreter.format(),
            codes: &self.codes,
            memory,
        };
        let thread = &mut self.list.threads[number];
        thread.places.complete(&copy, &mut thread.draft)
    }

    fn count_undetermined(&mut self, look: ReadOutcome) {
        let undetermined = &mut self.tick.undetermined;
        let count = match look {
            ReadOutcome::Moved => &mut undetermined.moved,
            ReadOutcome::Undecided(open) if open.is_moving || open.is_corrected => {
                &mut undetermined.changing
            }
            ReadOutcome::Undecided(open) if open.wants_codes => &mut undetermined.unread,
            _ => &mut undetermined.mixed,
        };
        *count += 1;
    }

    /// Accepts a stack that was of one moment: who called its innermost frame is a fact.
    fn accept_certain(&mut self, number: usize) -> Reading {
        if let [callee, caller, ..] = self.list.threads[number].draft.frames.as_slice() {
            self.codes.note_call(callee.code, caller.code);
        }
        self.accept(number)
    }

    fn accept(&mut self, number: usize) -> Reading {
        let runs = self.may_run(number);
        self.list.threads[number].accept_draft(runs);
        Reading::Stack
    }

    /// Finds a thread's frames anew; from the outermost on where that did not help before.
    fn learn(&mut self, number: usize, from_outermost: bool, memory: &impl ReadMemory) -> bool {
        let format = self.interpreter.format();
        let thread = &mut self.list.threads[number];
        if from_outermost {
            thread.places.forget_frames();
        }
        thread.is_learnt = true;
        let learnt = thread.places.learn(thread.state, memory, format);
        learnt.is_some()
    }

    /// Believes what spoke against a stack that was seen in a thread that stood still.
    fn believe(&mut self, number: usize, doubts: Doubts) {
        if !doubts.is_moving {
            self.list.threads[number].places.believe(doubts);
        }
    }

    /// Compares every code object of the thread's draft, and `callee`, with what was cached of it, in one
    /// batch, and reads those that are new or others now.
    fn read_codes(
        &mut self,
        number: usize,
        callee: Option<Address>,
        now: Moment,
        memory: &impl ReadMemory,
    ) {
        let format = self.interpreter.format();
        let layout = format.layout;
        let thread = &self.list.threads[number];
        let codes = thread.draft.frames.iter().map(|frame| frame.code);
        let codes: FxHashSet<Address> = codes.collect();
        let callee = callee.filter(|callee| !codes.contains(callee));
        let running = codes.len();
        let codes: Vec<Address> = codes.into_iter().chain(callee).collect();
        // The callee may be over, and its code object freed long ago.
        let of_callee = Moment {
            generation: None,
            ..now
        };
        let (start, length) = code::fingerprint_range(layout);
        let window = &mut self.code_window;
        window.clear();
        for at in &codes {
            let name_hash = self.codes.name_hash_at(*at);
            window.want(*at + start, length);
            window.want(name_hash.unwrap_or(Address::NULL), 8);
        }
        window.fill(memory);
        for (position, at) in codes.into_iter().enumerate() {
            let piece = 2 * position;
            let bytes = self.code_window.piece(piece);
            let found = bytes.and_then(|bytes| Fingerprint::parse(bytes, layout));
            let name_hash = word(piece + 1, &self.code_window);
            let now = if position < running { now } else { of_callee };
            let check = found.map(|found| self.codes.check(at, &found, name_hash, now));
            if check != Some(Check::Same) {
                self.codes.load(at, memory, format, now);
            }
        }
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

fn word(piece: usize, window: &Window) -> Option<u64> {
    word_at(window.piece(piece)?, 0)
}
