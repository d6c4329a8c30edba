//! Turns a copy of a C stack and the registers known of its thread into native frames, innermost first.

use std::ops::Range;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::calls::{Call, call_before};
use super::loop_code;
use super::modules::{Modules, Place};
use super::registers::{FRAME_POINTER, RETURN_ADDRESS, Registers, STACK_POINTER};
use super::rules::{CallerRule, Rule, function_range};
use super::scan::{frame_pointers, places_of_return_address};
use super::stack_copy::StackCopy;
use crate::memory::{Blocks, ReadMemory};
use crate::process::Mapping;

/// The most frames of one stack. A recursion as deep as CPython allows has some ten frames for each of its 1,000 calls.
const MAX_FRAMES: usize = 1 << 16;

/// The rules of so many instructions are kept; beyond, they are worked out anew. Programs have some thousand return
/// addresses.
const MAX_RULES: usize = 1 << 16;

/// It is asked whether it is late after so many frames, and before each search for a caller: asking takes as long as a frame.
const FRAMES_BETWEEN_LOOKS: usize = 32;

/// A frame pointer that is not known is looked for in so many bytes above the stack pointer. Functions that wait have
/// frames of some 100 bytes; `select.select` has arrays of 50 KiB.
const MAX_FRAME_BYTES: u64 = 64 << 10;

/// So many callers are followed to see whether a frame pointer that was found is right.
const MAX_TRIAL_FRAMES: usize = 256;

/// So many callers are tried for code without unwind information. Each takes as long as the frames further out.
const MAX_SCANNED: usize = 256;

/// A function of native code that has not returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NativeFrame {
    /// An address in the instruction that it executes: in the call, for a caller. `None` where only its place on the
    /// stack is known.
    pub instruction: Option<u64>,
    /// Its part of the stack: from here,
    pub start: u64,
    /// up to here. `None`: not known, as the unwinding ended at it.
    pub end: Option<u64>,
    /// Whether frames are missing between it and its callee.
    pub is_after_gap: bool,
}

/// Why there are no more frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NativeEnd {
    /// At the function that began the thread.
    Outermost,
    /// At code without unwind information, or with one that needs what is not known.
    NoRule,
    /// At a caller that is not code.
    NoCode,
    /// After [`MAX_FRAMES`].
    TooDeep,
    /// At the time allowed.
    TimeOver,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NativeStack {
    /// The frames, innermost first.
    pub frames: Vec<NativeFrame>,
    /// Why there are no more.
    pub end: NativeEnd,
}

/// How the frames of the interpreter's loop lie on the C stack, the same in a whole process.
#[derive(Debug, Clone)]
struct LoopFrame {
    /// From its anchor to its end.
    anchor_to_end: u64,
    /// Where it saved its caller's registers.
    rule: Arc<Rule>,
}

/// Unwinds the C stacks of a process.
#[derive(Debug)]
pub struct Unwinder<M> {
    modules: Modules,
    /// Memory that does not change: unwind information.
    memory: Blocks<M>,
    rules: FxHashMap<u64, Option<Arc<Rule>>>,
    loop_frame: Option<LoopFrame>,
}

impl<M: ReadMemory> Unwinder<M> {
    /// For a process with these mappings, by rising address.
    #[must_use]
    pub fn new(mappings: &[Mapping], memory: M) -> Unwinder<M> {
        Unwinder {
            modules: Modules::new(mappings),
            memory: Blocks::new(memory),
            rules: FxHashMap::default(),
            loop_frame: None,
        }
    }

    /// Takes in that the process is mapped so now, and how its memory is read. Rules are kept where no code has gone; whether
    /// that is so.
    pub fn remap(&mut self, mappings: &[Mapping], memory: M) -> bool {
        self.memory = Blocks::new(memory);
        let is_kept = self.modules.remap(mappings);
        if is_kept {
            self.rules.retain(|_, rule| rule.is_some());
        } else {
            self.rules.clear();
            self.loop_frame = None;
        }
        is_kept
    }

    /// Frees the copies of unwind information: what was met has its rule.
    pub fn forget_copies(&mut self) {
        self.memory.forget();
    }

    /// The ranges of the interpreter's loop, which begins at `start`.
    pub fn loop_ranges(&mut self, start: u64) -> Vec<Range<u64>> {
        loop_code::ranges(start, &mut self.modules, &mut self.memory)
    }

    /// Whether there is code at an address.
    #[must_use]
    pub fn is_code(&self, address: u64) -> bool {
        self.modules.is_code(address)
    }

    /// Where an instruction lies.
    pub fn place(&mut self, instruction: u64) -> Option<Place> {
        self.modules.place(instruction, &mut self.memory)
    }

    /// Follows the stack outwards until it `is_late`, which is asked now and then. `anchors` are addresses in the frames of the interpreter's loop, by
    /// rising address: where the unwinding ends too early, it goes on at the next of them.
    pub fn unwind(
        &mut self,
        registers: Registers,
        stack: &StackCopy<'_>,
        anchors: &[u64],
        is_late: &dyn Fn() -> bool,
    ) -> NativeStack {
        let mut frames = Vec::new();
        let mut registers = registers;
        let (mut is_call, mut is_after_gap) = (false, false);
        let end = loop {
            let address = registers.get(RETURN_ADDRESS).unwrap_or(0);
            let instruction = address.wrapping_sub(u64::from(is_call));
            let start = registers.get(STACK_POINTER).unwrap_or(0);
            frames.push(NativeFrame {
                instruction: Some(instruction),
                start,
                end: None,
                is_after_gap,
            });
            let last = frames.len() - 1;
            if frames.len() >= MAX_FRAMES {
                break NativeEnd::TooDeep;
            }
            if frames.len().is_multiple_of(FRAMES_BETWEEN_LOOKS) && is_late() {
                break NativeEnd::TimeOver;
            }
            is_after_gap = false;
            match self.caller(instruction, &registers, stack, anchors) {
                Ok((caller, by_call)) => {
                    frames[last].end = caller.get(STACK_POINTER);
                    (registers, is_call) = (caller, by_call);
                }
                Err(NativeEnd::Outermost) => break NativeEnd::Outermost,
                Err(_) if is_late() => break NativeEnd::TimeOver,
                Err(end) => {
                    let found = self
                        .by_frame_pointer(instruction, &registers, stack, anchors)
                        .or_else(|| self.by_scan(instruction, &registers, stack, anchors));
                    if let Some(caller) = found {
                        frames[last].end = caller.get(STACK_POINTER);
                        registers = caller;
                    } else if let Some((frame, caller)) =
                        self.next_loop_frame(start, stack, anchors)
                    {
                        frames.push(frame);
                        registers = caller;
                    } else {
                        break end;
                    }
                    is_call = true;
                }
            }
        };
        NativeStack { frames, end }
    }

    /// The caller's registers, and whether its instruction was a call.
    fn caller(
        &mut self,
        instruction: u64,
        registers: &Registers,
        stack: &StackCopy<'_>,
        anchors: &[u64],
    ) -> Result<(Registers, bool), NativeEnd> {
        let rule = self.rule(instruction).ok_or(NativeEnd::NoRule)?;
        let Rule::Caller(how) = &*rule else {
            return Err(NativeEnd::Outermost);
        };
        let caller = self.apply(how, registers, stack)?;
        let part = (registers.get(STACK_POINTER)).zip(caller.get(STACK_POINTER));
        if let Some((start, end)) = part {
            // A stack goes up, but for that of a signal handler.
            if end <= start && !how.is_signal_frame {
                return Err(NativeEnd::NoRule);
            }
            let inside = anchors.iter().find(|at| (start..end).contains(*at));
            if let Some(anchor) = inside {
                self.loop_frame = Some(LoopFrame {
                    anchor_to_end: end - anchor,
                    rule: Arc::clone(&rule),
                });
            }
        }
        Ok((caller, !how.is_signal_frame))
    }

    fn apply(
        &self,
        how: &CallerRule,
        registers: &Registers,
        stack: &StackCopy<'_>,
    ) -> Result<Registers, NativeEnd> {
        let caller = how.apply(registers, |at| stack.word(at));
        let caller = caller.ok_or(NativeEnd::NoRule)?;
        match caller.get(RETURN_ADDRESS) {
            // As clone(2) leaves it for a thread's first function where that says nothing.
            Some(0) => Err(NativeEnd::Outermost),
            Some(address) if self.modules.is_code(address.wrapping_sub(1)) => Ok(caller),
            _ => Err(NativeEnd::NoCode),
        }
    }

    /// The caller's registers where the rule wants a frame pointer that is not known.
    ///
    /// That is so in a program with frame pointers (CPython 3.15 on, whole distributions) that waits in a function of a
    /// libc without: the kernel tells the stack pointer and the instruction only. Its frame pointer is a place in the
    /// stack above which a return address lies, behind a call of this very function, or one behind a call by a pointer,
    /// if the callers that follow lead to the next anchor, or to the function that began the thread.
    fn by_frame_pointer(
        &mut self,
        instruction: u64,
        registers: &Registers,
        stack: &StackCopy<'_>,
        anchors: &[u64],
    ) -> Option<Registers> {
        let rule = self.rule(instruction)?;
        let Rule::Caller(how) = &*rule else {
            return None;
        };
        if !how.needs(FRAME_POINTER) || registers.get(FRAME_POINTER).is_some() {
            return None;
        }
        let entry = self.modules.unwind_entry(instruction, &mut self.memory)?;
        let function = function_range(&entry)?.start;
        let start = registers.get(STACK_POINTER)?;
        let anchor = anchors.iter().find(|anchor| **anchor >= start).copied();
        let end = start.saturating_add(MAX_FRAME_BYTES);
        let end = end.min(stack.end()).min(anchor.unwrap_or(u64::MAX));
        let mut by_pointer = None;
        for at in (start..end).step_by(size_of::<u64>()) {
            let mut registers = *registers;
            registers.set(FRAME_POINTER, at);
            let Ok(caller) = self.apply(how, &registers, stack) else {
                continue;
            };
            let return_address = caller.get(RETURN_ADDRESS)?;
            match call_before(return_address, &mut self.memory) {
                Some(Call::Function(called))
                    if called == function && self.leads_on(caller, stack, anchor) =>
                {
                    return Some(caller);
                }
                Some(Call::Pointer) if by_pointer.is_none() => {
                    by_pointer = self.leads_on(caller, stack, anchor).then_some(caller);
                }
                _ => {}
            }
        }
        by_pointer
    }

    /// The caller's registers where code has no unwind information: assembly (a seventh of the code of OpenBLAS), and what
    /// compilers make in memory.
    ///
    /// The return address is a word above the stack pointer that follows a call, and from which the callers lead exactly to
    /// the next anchor, or to the function that began the thread. What an earlier call left on the stack seldom does.
    fn by_scan(
        &mut self,
        instruction: u64,
        registers: &Registers,
        stack: &StackCopy<'_>,
        anchors: &[u64],
    ) -> Option<Registers> {
        if self.rule(instruction).is_some() {
            return None;
        }
        let start = registers.get(STACK_POINTER)?;
        let anchor = anchors.iter().find(|anchor| **anchor >= start).copied();
        let end = start.saturating_add(MAX_FRAME_BYTES);
        let end = end.min(stack.end()).min(anchor.unwrap_or(u64::MAX));
        let mut tried = 0;
        for at in places_of_return_address(registers, start..end) {
            let address = stack.word(at)?;
            let is_return_address = self.modules.is_code(address.wrapping_sub(1))
                && call_before(address, &mut self.memory).is_some();
            if !is_return_address {
                continue;
            }
            for frame_pointer in frame_pointers(registers, at, stack) {
                tried += 1;
                if tried > MAX_SCANNED {
                    return None;
                }
                let mut caller = Registers::waiting(at + size_of::<u64>() as u64, address);
                if let Some(frame_pointer) = frame_pointer {
                    caller.set(FRAME_POINTER, frame_pointer);
                }
                if self.leads_on(caller, stack, anchor) {
                    return Some(caller);
                }
            }
        }
        None
    }

    /// Whether the frames from here on lead to one with the anchor in it, or, without an anchor, to the outermost one.
    fn leads_on(&mut self, caller: Registers, stack: &StackCopy<'_>, anchor: Option<u64>) -> bool {
        let mut registers = caller;
        for _ in 0..MAX_TRIAL_FRAMES {
            let address = registers.get(RETURN_ADDRESS).unwrap_or(0);
            let (start, rule) = (
                registers.get(STACK_POINTER).unwrap_or(0),
                self.rule(address.wrapping_sub(1)),
            );
            let next = match rule.as_deref() {
                Some(Rule::Caller(how)) => self.apply(how, &registers, stack),
                Some(Rule::Outermost) => Err(NativeEnd::Outermost),
                None => return false,
            };
            let caller = match next {
                Ok(caller) => caller,
                Err(end) => return end == NativeEnd::Outermost && anchor.is_none(),
            };
            let end = caller.get(STACK_POINTER).unwrap_or(0);
            if end <= start {
                return false;
            }
            if let Some(anchor) = anchor.filter(|anchor| *anchor < end) {
                let known = self.loop_frame.as_ref();
                let is_right = |known: &LoopFrame| end - anchor == known.anchor_to_end;
                return anchor >= start && known.is_none_or(is_right);
            }
            registers = caller;
        }
        false
    }

    /// The next frame of the interpreter's loop above `start` by its anchor, and the registers of its caller.
    fn next_loop_frame(
        &self,
        start: u64,
        stack: &StackCopy<'_>,
        anchors: &[u64],
    ) -> Option<(NativeFrame, Registers)> {
        let known = self.loop_frame.as_ref()?;
        let anchor = *anchors.iter().find(|anchor| **anchor > start)?;
        let end = anchor.wrapping_add(known.anchor_to_end);
        let Rule::Caller(how) = &*known.rule else {
            return None;
        };
        let caller = self.apply(&how.at_cfa(), &Registers::waiting(end, 0), stack);
        let frame = NativeFrame {
            instruction: None,
            start: anchor,
            end: Some(end),
            is_after_gap: true,
        };
        Some((frame, caller.ok()?))
    }

    fn rule(&mut self, instruction: u64) -> Option<Arc<Rule>> {
        if let Some(rule) = self.rules.get(&instruction) {
            return rule.clone();
        }
        let entry = self.modules.unwind_entry(instruction, &mut self.memory);
        let rule = entry.and_then(|entry| Rule::of(&entry, instruction));
        let rule = rule.map(Arc::new);
        if self.rules.len() >= MAX_RULES {
            self.rules.clear();
        }
        self.rules.insert(instruction, rule.clone());
        rule
    }
}
