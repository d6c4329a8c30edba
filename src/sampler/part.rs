//! Turns the events of a whole run into those of a part of it: from one function on, until another.
//!
//! Times stay as they are, and definitions all pass, so that ranks whose parts begin at different times can still be
//! merged. Samples come some tenths of a second after what they tell of (see [`super::held`]); stacks are defined
//! at once. So a part begins when a stack with its function is defined, and what comes then waits until the first sample
//! tells when exactly that was.

use std::collections::BTreeMap;
use std::mem::take;

use super::EndRequest;
use crate::profile::event::{Event, Frame, Nanos, NativeSample, ProcessId, Sample, StackId, Usage};

/// What waits at most for the moment at which a part begins or ends: that of some 16 threads at 1 kHz.
const MAX_WAITING: usize = 1 << 14;

/// Which part of a run to keep.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bounds {
    /// From the first moment in which a thread is in this function; `None`: from the start.
    pub start_at: Option<String>,
    /// Until the first moment, behind that, in which a thread is in this function; `None`: until the end.
    pub stop_at: Option<String>,
}

/// Where in the run the events are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Before,
    /// A stack with the first function was defined.
    Beginning,
    Within,
    /// A stack with the last function was defined.
    Ending,
    Behind,
}

/// Keeps a part of a stream of events.
#[derive(Debug)]
pub struct Part {
    bounds: Bounds,
    stop: EndRequest,
    phase: Phase,
    /// By frame: whether it is of the first function, and of the last.
    frames: Vec<(bool, bool)>,
    /// By stack: whether any of its frames is.
    stacks: Vec<(bool, bool)>,
    from: Nanos,
    to: Nanos,
    waiting: Vec<Sample>,
    /// The last readings from before the part: what counters count begins with them.
    usage: BTreeMap<ProcessId, Usage>,
}

impl Part {
    /// Asks `stop` when the part is over.
    #[must_use]
    pub fn new(bounds: Bounds, stop: EndRequest) -> Part {
        Part {
            phase: if bounds.start_at.is_some() {
                Phase::Before
            } else {
                Phase::Within
            },
            bounds,
            stop,
            frames: Vec::new(),
            stacks: Vec::new(),
            from: Nanos(0),
            to: Nanos(u64::MAX),
            waiting: Vec::new(),
            usage: BTreeMap::new(),
        }
    }

    /// Whether the first function was seen, if one is asked for.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.phase != Phase::Before
    }

    /// Whether the last function was seen.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Ending | Phase::Behind)
    }

    /// Takes the next event, and hands on what is of the part.
    pub fn apply(&mut self, event: Event, emit: &mut dyn FnMut(Event)) {
        match event {
            Event::Frame(id, frame) => {
                self.frames.push(self.marks_of(&frame));
                emit(Event::Frame(id, frame));
            }
            Event::Stack { id, parent, frame } => {
                let own = self.frames.get(frame.0 as usize).copied();
                let (own, below) = (own.unwrap_or_default(), self.marks(parent));
                let marks = (own.0 || below.0, own.1 || below.1);
                self.stacks.push(marks);
                emit(Event::Stack { id, parent, frame });
                self.meet(marks);
            }
            Event::Sample(sample) => self.sample(sample, emit),
            Event::Native(sample) => self.native(sample, emit),
            Event::Usage(usage) if !self.has_begun() => {
                self.usage.insert(usage.process, usage);
            }
            Event::Usage(usage) => {
                for (_, usage) in take(&mut self.usage) {
                    emit(Event::Usage(usage));
                }
                emit(Event::Usage(usage));
            }
            Event::Lost(_) | Event::Undetermined(..) | Event::Pauses(_) | Event::Awaited(_)
                if !self.has_begun() => {}
            Event::End(end) => {
                self.release(emit);
                emit(Event::End(end));
            }
            event => emit(event),
        }
    }

    fn marks_of(&self, frame: &Frame) -> (bool, bool) {
        let is = |name: &Option<String>| name.as_deref().is_some_and(|n| is_named(&frame.name, n));
        (is(&self.bounds.start_at), is(&self.bounds.stop_at))
    }

    fn marks(&self, stack: Option<StackId>) -> (bool, bool) {
        let marks = stack.and_then(|stack| self.stacks.get(stack.0 as usize));
        marks.copied().unwrap_or_default()
    }

    /// A thread is in a stack now that it was not in before.
    fn meet(&mut self, (is_first, is_last): (bool, bool)) {
        if self.phase == Phase::Before && is_first {
            self.phase = Phase::Beginning;
        } else if self.phase == Phase::Within && is_last {
            self.phase = Phase::Ending;
            self.stop.request();
        }
    }

    fn sample(&mut self, sample: Sample, emit: &mut dyn FnMut(Event)) {
        let (is_first, is_last) = self.marks(sample.stack);
        let began = sample.at - sample.wall;
        match self.phase {
            Phase::Before => {}
            Phase::Beginning if is_first => {
                (self.phase, self.from) = (Phase::Within, began);
                self.wait(sample);
                self.release(emit);
            }
            // One whose stack was there before the part began.
            Phase::Within | Phase::Ending if is_last && sample.at > self.from => {
                (self.phase, self.to) = (Phase::Behind, began.max(self.from));
                self.stop.request();
                self.release(emit);
            }
            Phase::Beginning | Phase::Ending => self.wait(sample),
            Phase::Within | Phase::Behind => self.hand_on(sample, emit),
        }
    }

    fn wait(&mut self, sample: Sample) {
        if self.waiting.len() < MAX_WAITING {
            self.waiting.push(sample);
        }
    }

    fn release(&mut self, emit: &mut dyn FnMut(Event)) {
        for sample in take(&mut self.waiting) {
            self.hand_on(sample, emit);
        }
    }

    /// Hands on what of a native sample is within the part, in proportion.
    fn native(&self, sample: NativeSample, emit: &mut dyn FnMut(Event)) {
        if matches!(self.phase, Phase::Before | Phase::Beginning) {
            return;
        }
        if let Some(sample) = sample.within(self.from, self.to) {
            emit(Event::Native(sample));
        }
    }

    /// Hands on what of a sample is within the part, in proportion.
    fn hand_on(&self, sample: Sample, emit: &mut dyn FnMut(Event)) {
        let began = (sample.at - sample.wall).max(self.from);
        let at = sample.at.min(self.to);
        if at <= began || sample.wall == Nanos(0) {
            return;
        }
        let wall = at - began;
        if wall == sample.wall {
            return emit(Event::Sample(sample));
        }
        let share = |amount: u64| {
            (u128::from(amount) * u128::from(wall.0) / u128::from(sample.wall.0)) as u64
        };
        emit(Event::Sample(Sample {
            at,
            wall,
            ticks: (share(u64::from(sample.ticks)) as u32).max(1),
            cpu: Nanos(share(sample.cpu.0)),
            gil: Nanos(share(sample.gil.0)),
            helpers_cpu: Nanos(share(sample.helpers_cpu.0)),
            blocked_others: Nanos(share(sample.blocked_others.0)),
            grown_bytes: share(sample.grown_bytes),
            shrunk_bytes: share(sample.shrunk_bytes),
            unsure_bytes: share(sample.unsure_bytes),
            ..sample
        }));
    }
}

/// Whether a function has this name, whole (`Solver.solve`) or behind a dot (`solve`).
fn is_named(function: &str, name: &str) -> bool {
    let before = function.strip_suffix(name);
    before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::event::{FrameId, State, ThreadId};

    /// Each function has a stack of its own, on top of `main`, and is seen at once; its samples come later.
    fn run(bounds: (Option<&str>, Option<&str>), samples: &[(u32, &str, u64, u64)]) -> Told {
        let stop = EndRequest::default();
        let mut part = Part::new(
            Bounds {
                start_at: bounds.0.map(str::to_owned),
                stop_at: bounds.1.map(str::to_owned),
            },
            stop.clone(),
        );
        let mut names: Vec<&str> = Vec::new();
        let mut kept = Vec::new();
        let mut emit = |event| {
            if let Event::Sample(sample) = event {
                let began = sample.at - sample.wall;
                kept.push((sample.thread.0, sample.stack, began.0, sample.at.0));
            }
        };
        for (thread, name, began, at) in samples {
            let known = names.iter().position(|known| known == name);
            let id = known.unwrap_or(names.len()) as u32;
            if known.is_none() {
                names.push(name);
                let frame = Frame::mark(name);
                part.apply(Event::Frame(FrameId(id), frame), &mut emit);
                let parent = (id > 0).then_some(StackId(0));
                let (id, frame) = (StackId(id), FrameId(id));
                part.apply(Event::Stack { id, parent, frame }, &mut emit);
            }
            let sample = Sample {
                at: Nanos(*at),
                wall: Nanos(at - began),
                cpu: Nanos(at - began),
                thread: ThreadId(*thread),
                stack: Some(StackId(id)),
                ticks: 1,
                ..Sample::default()
            };
            part.apply(Event::Sample(sample), &mut emit);
        }
        part.apply(Event::End(Nanos(100)), &mut emit);
        let kept = kept.into_iter().map(|(thread, stack, began, at)| {
            let name = stack.map_or("", |stack| names[stack.0 as usize]);
            format!("{thread} {name} {began}-{at}")
        });
        Told {
            kept: kept.collect(),
            has_begun: part.has_begun(),
            is_stopped: stop.is_requested(),
        }
    }

    struct Told {
        kept: Vec<String>,
        has_begun: bool,
        is_stopped: bool,
    }

    const RUN: &[(u32, &str, u64, u64)] = &[
        (0, "main", 0, 10),
        (1, "wait", 0, 10),
        // Seen first while the sample of another thread is not told yet.
        (1, "Solver.solve", 10, 12),
        (0, "main", 10, 20),
        (1, "wait", 12, 20),
        (0, "save", 20, 30),
        (1, "wait", 20, 40),
    ];

    #[test]
    fn a_part_begins_when_its_function_is_seen_and_other_threads_are_cut() {
        let told = run((Some("solve"), None), RUN);
        let expected = ["1 Solver.solve 10-12", "0 main 10-20", "1 wait 12-20"];
        assert_eq!(told.kept[..3], expected);
        assert_eq!(told.kept.len(), 5);
        assert!(told.has_begun && !told.is_stopped);
        let told = run((Some("main"), None), RUN);
        assert_eq!(told.kept.len(), RUN.len());
    }

    #[test]
    fn a_part_ends_before_its_last_function() {
        let told = run((None, Some("save")), RUN);
        let last = told.kept.last().map(String::as_str);
        assert_eq!((told.kept.len(), last), (5, Some("1 wait 12-20")));
        assert!(told.is_stopped);
    }

    #[test]
    fn the_last_function_counts_only_behind_the_first() {
        let samples = [
            (0, "main", 0, 10),
            (0, "save", 10, 20),
            (0, "main", 20, 30),
            (0, "solve", 30, 40),
            (0, "save", 40, 50),
        ];
        let told = run((Some("solve"), Some("save")), &samples);
        assert_eq!(told.kept, ["0 solve 30-40"]);
        assert!(told.is_stopped);
    }

    #[test]
    fn native_samples_are_cut_where_the_part_begins_and_ends() {
        let bounds = Bounds {
            start_at: Some("solve".to_owned()),
            stop_at: None,
        };
        let mut part = Part::new(bounds, EndRequest::default());
        let native = |began: u64, at: u64| {
            Event::Native(NativeSample {
                at: Nanos(at),
                thread: ThreadId(0),
                stack: Some(StackId(0)),
                state: State::Native,
                merged: StackId(0),
                wall: Nanos(at - began),
                cpu: Nanos((at - began) / 2),
            })
        };
        let mut kept = Vec::new();
        let mut emit = |event| {
            if let Event::Native(sample) = event {
                kept.push((sample.at.0, sample.wall.0, sample.cpu.0));
            }
        };
        part.apply(native(0, 10), &mut emit);
        part.apply(Event::Frame(FrameId(0), Frame::mark("solve")), &mut emit);
        let (id, frame) = (StackId(0), FrameId(0));
        let parent = None;
        part.apply(Event::Stack { id, parent, frame }, &mut emit);
        let sample = Sample {
            at: Nanos(24),
            wall: Nanos(4),
            stack: Some(StackId(0)),
            ..Sample::default()
        };
        part.apply(Event::Sample(sample), &mut emit);
        for (began, at) in [(10, 18), (10, 30), (30, 40)] {
            part.apply(native(began, at), &mut emit);
        }
        assert_eq!(kept, [(30, 10, 5), (40, 10, 5)]);
    }

    #[test]
    fn what_never_begins_keeps_nothing() {
        let told = run((Some("olve"), None), RUN);
        assert!(told.kept.is_empty() && !told.has_begun && !told.is_stopped);
    }
}
