//! Turns the native frames and the Python frames of one thread into one stack.
//!
//! The interpreter's loop (`_PyEval_EvalFrameDefault`) is one native frame for each run of Python frames that called one
//! another without C code in between. That frame is found by an anchor, an address in it that the interpreter's own
//! structs name; where the version has none, by counting the frames of the loop. No frame is ever dropped.

use super::unwind::{NativeEnd, NativeFrame, NativeStack};
use crate::cpython::activations::Activation;
use crate::memory::Address;

/// A part of a merged stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A native frame, by its number.
    Native(usize),
    /// A Python frame, by its number.
    Python(usize),
    /// Native frames that are missing.
    Missing,
}

/// Merges them, innermost first; `runs` are the activations of the interpreter's loop. `is_loop` tells whether an instruction is one of the interpreter's loop; it is asked only
/// where anchors are missing.
#[must_use]
pub fn merge(
    native: &NativeStack,
    runs: &[Activation],
    is_loop: impl FnMut(u64) -> bool,
) -> Vec<Part> {
    let frames = &native.frames;
    let is_whole = native.end == NativeEnd::Outermost;
    let loops = if runs.iter().all(|run| run.anchor.is_some()) {
        by_anchor(frames, runs)
    } else {
        by_count(frames, runs.len(), is_whole, is_loop)
    };
    let mut parts = Vec::new();
    let mut told = 0;
    for (number, (frame, run)) in frames.iter().zip(loops).enumerate() {
        if frame.is_after_gap {
            parts.push(Part::Missing);
        }
        match run {
            Some(run) => {
                // Those of runs that no native frame was found for go before.
                parts.extend(python(&runs[told..=run]));
                told = run + 1;
            }
            None if frame.instruction.is_some() => parts.push(Part::Native(number)),
            None => {}
        }
    }
    if !is_whole || told < runs.len() {
        parts.push(Part::Missing);
    }
    parts.extend(python(&runs[told..]));
    parts
}

fn python(runs: &[Activation]) -> impl Iterator<Item = Part> {
    let frames = runs.iter().flat_map(|run| run.frames.clone());
    frames.map(Part::Python)
}

/// The run of each native frame that is the loop's, by the anchors in them.
fn by_anchor(frames: &[NativeFrame], runs: &[Activation]) -> Vec<Option<usize>> {
    let mut next = 0;
    let run_of = |frame: &NativeFrame| {
        let end = frame.end?;
        let holds = |run: &Activation| {
            run.anchor
                .is_some_and(|Address(at)| (frame.start..end).contains(&at))
        };
        let found = next + runs[next..].iter().position(holds)?;
        next = found + 1;
        Some(found)
    };
    frames.iter().map(run_of).collect()
}

/// The same by their number. An activation that has just begun or is about to end may have a native frame and no Python
/// frame, or the other way round, at the inner end only.
fn by_count(
    frames: &[NativeFrame],
    runs: usize,
    is_whole: bool,
    mut is_loop: impl FnMut(u64) -> bool,
) -> Vec<Option<usize>> {
    let is_loop = |frame: &NativeFrame| frame.instruction.is_some_and(&mut is_loop);
    let is_loop: Vec<bool> = frames.iter().map(is_loop).collect();
    let loops = is_loop.iter().filter(|is_loop| **is_loop).count();
    let skipped = match (is_whole, loops.checked_sub(runs)) {
        // The innermost one is none's.
        (true, Some(extra @ (0 | 1))) => extra,
        // The innermost run has none, or the outermost frames are missing.
        (true, None) if loops + 1 == runs => 0,
        (false, None | Some(0)) => 0,
        _ => return vec![None; frames.len()],
    };
    // Whole stacks are counted from the outermost end.
    let first = if is_whole { runs + skipped - loops } else { 0 };
    let mut met = 0;
    let run_of = |is_loop: bool| {
        met += usize::from(is_loop);
        let number = is_loop.then(|| met.checked_sub(skipped + 1))??;
        Some(first + number)
    };
    is_loop.into_iter().map(run_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Part::{Missing, Native as N, Python as P};

    /// Frames of 0x10 bytes each from 0x100 on; a negative number is the instruction of one behind a gap.
    fn native(instructions: &[i64], end: NativeEnd) -> NativeStack {
        let frames = instructions.iter().zip(0_u64..);
        let frames = frames.map(|(instruction, number)| NativeFrame {
            instruction: Some(instruction.unsigned_abs()),
            start: 0x100 + number * 0x10,
            end: Some(0x110 + number * 0x10),
            is_after_gap: *instruction < 0,
        });
        NativeStack {
            frames: frames.collect(),
            end,
        }
    }

    /// Runs of so many Python frames, each with its anchor.
    fn runs(runs: &[(usize, Option<u64>)]) -> Vec<Activation> {
        let mut first = 0;
        let run = |(frames, anchor): &(usize, Option<u64>)| {
            let start = first;
            first += frames;
            Activation {
                frames: start..first,
                anchor: anchor.map(Address),
            }
        };
        runs.iter().map(run).collect()
    }

    /// The loop has the instruction 7.
    fn check(native: &NativeStack, runs: &[Activation], expected: &[Part]) {
        assert_eq!(merge(native, runs, |at| at == 7), expected);
    }

    #[test]
    fn runs_of_python_frames_stand_where_their_anchors_are() {
        let stack = native(&[1, 2, 7, 3, 4, 7, 5], NativeEnd::Outermost);
        let two = runs(&[(2, Some(0x120)), (1, Some(0x15f))]);
        check(
            &stack,
            &two,
            &[N(0), N(1), P(0), P(1), N(3), N(4), P(2), N(6)],
        );
        check(&stack, &[], &[N(0), N(1), N(2), N(3), N(4), N(5), N(6)]);
    }

    #[test]
    fn frames_that_are_missing_are_marked_and_no_python_frame_is_dropped() {
        let broken = native(&[1, 2], NativeEnd::NoRule);
        let two = runs(&[(2, Some(0x1000)), (1, Some(0x2000))]);
        check(&broken, &two, &[N(0), N(1), Missing, P(0), P(1), P(2)]);
        let resumed = native(&[1, -7, 3], NativeEnd::Outermost);
        let one = runs(&[(1, Some(0x118))]);
        check(&resumed, &one, &[N(0), Missing, P(0), N(2)]);
        // The frame of the inner run was not found.
        let lacking = native(&[1, 7, 3], NativeEnd::Outermost);
        let two = runs(&[(1, Some(0x50)), (1, Some(0x11f))]);
        check(&lacking, &two, &[N(0), P(0), P(1), N(2)]);
        check(
            &native(&[], NativeEnd::NoCode),
            &two,
            &[Missing, P(0), P(1)],
        );
    }

    #[test]
    fn without_anchors_activations_are_counted_from_the_outermost() {
        let stack = native(&[1, 7, 2, 7, 3], NativeEnd::Outermost);
        let frames = |count| runs(&vec![(1, None); count]);
        check(&stack, &frames(2), &[N(0), P(0), N(2), P(1), N(4)]);
        // A call begins or ends.
        check(&stack, &frames(1), &[N(0), N(1), N(2), P(0), N(4)]);
        check(&stack, &frames(3), &[N(0), P(0), P(1), N(2), P(2), N(4)]);
        // What does not fit is not guessed.
        let all = [
            N(0),
            N(1),
            N(2),
            N(3),
            N(4),
            Missing,
            P(0),
            P(1),
            P(2),
            P(3),
        ];
        check(&stack, &frames(4), &all);
        let broken = native(&[1, 7, 2], NativeEnd::NoRule);
        check(&broken, &frames(2), &[N(0), P(0), N(2), Missing, P(1)]);
    }
}
