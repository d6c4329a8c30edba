//! Turns the runs of a thread with an event loop into the spans in which one task kept the loop from serving the others.
//!
//! A loop waits, then calls what is ready: tasks and callbacks, one after another. Its own frame is on the stack of all of
//! them, and the frame above the loop's machinery is the root of a task. As long as the samples of a thread follow one
//! another in the same root, nothing else was served. When they show the loop itself (it waits, or goes from one task to the
//! next), another root, or another task where the recording says which one runs, such a span is over. Two tasks of one
//! function are one span where neither tells them apart.
//!
//! A span counts as blocked when it is longer than [`MIN_BLOCK`] from its first tick to its last: so long it was for sure.
//! Its length is that of its samples, within the two intervals at its ends.
//!
//! | loop | its frame | what it waits in | the root of a task |
//! |---|---|---|---|
//! | asyncio | `run_forever`, `_run_once` | `selectors.py` | above `Handle._run` |
//! | uvloop 0.23 | none: C, called by `Runner.run` (`asyncio.run` up to 3.10) | that frame | above that frame |
//! | trio 0.35 | `run`, `unrolled_run` | `get_events` | above `unrolled_run` |
//! | gevent 26.9 | `Hub.run`, in a greenlet of its own | that frame | the outermost frame of a greenlet |
//!
//! A greenlet's stack does not have the hub's frame. So once a thread was in the hub, every root counts that lies between
//! two moments in it: what runs before the first one and after the last one is not in the loop.

use rustc_hash::FxHashMap;

use super::attributes::{Attribute, AttributesId};
use super::definitions::Definitions;
use super::event::{Frame, FrameId, FrameKind, Nanos, Sample, StackId, State, ThreadId};
use super::sites::{Site, is_site, library_part};

/// A shorter span is what loops are made for.
pub(super) const MIN_BLOCK: Nanos = Nanos(100_000_000);

/// Frames that an event loop runs in. Those of the hub are apart.
const LOOPS: &[Site] = &[
    ("asyncio/base_events.py", "run_forever"),
    ("asyncio/base_events.py", "_run_once"),
    ("asyncio/runners.py", "run"),
    ("trio/_core/_run.py", "run"),
    ("trio/_core/_run.py", "unrolled_run"),
];

/// Gevent's.
const HUB: Site = ("gevent/hub.py", "run");

/// How the files begin of what loops call beside tasks, in the folder of the library.
const MACHINERY: &[&str] = &["asyncio/", "selectors.py", "uvloop/", "trio/_core/"];

/// So many spans of greenlets wait until the thread is in the hub again. Of more, those that follow are not counted: a thread
/// that long without its hub does something else.
const MAX_WAITING: usize = 256;

/// What a stack is to an event loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// No frame was looked at yet.
    Start,
    /// It has no loop; this is its outermost frame of Python.
    Outside(FrameId),
    /// Its outermost frames are not known.
    Cut,
    /// The loop waits, or goes from task to task.
    Machinery { is_hub: bool },
    /// A task; this is its root.
    Task(FrameId),
}

/// What keeps a loop from serving others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Activity {
    /// The root of the task; `None`: the loop has events and waits for the GIL.
    root: Option<FrameId>,
    /// What may say which task it is.
    attributes: Option<AttributesId>,
}

/// A span of one activity.
#[derive(Debug, Clone)]
struct Span {
    activity: Activity,
    end: Nanos,
    time: Nanos,
    /// What its first tick stands for.
    first_interval: Nanos,
    for_gil: Nanos,
    ticks: u64,
    /// See [`Blocked::ready`].
    ready: Option<u32>,
    by_stack: FxHashMap<StackId, Nanos>,
}

impl Span {
    fn is_block(&self) -> bool {
        self.time - self.first_interval > MIN_BLOCK
    }
}

/// Of each thread so many blocks are told apart, the longest ones.
const MAX_BLOCKS: usize = 256;

/// A span in which a loop served one task only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoopBlock {
    /// The thread of the loop.
    pub thread: ThreadId,
    /// When it was over.
    pub end: Nanos,
    /// How long it was.
    pub time: Nanos,
}

/// How often and how long the loop of one thread was blocked.
#[derive(Debug, Clone, Default)]
pub(super) struct Blocked {
    /// How long the loop was seen: from the first sample in it to the last.
    pub whole: Nanos,
    /// How often it was blocked.
    pub times: u64,
    /// How long, all together.
    pub time: Nanos,
    /// The longest block.
    pub longest: Nanos,
    /// The part of `time` in which the thread waited for the GIL.
    pub for_gil: Nanos,
    /// How many ticks saw it.
    pub ticks: u64,
    /// The most callbacks that were ready to be called during one of the blocks; `None`: not known.
    pub ready: Option<u32>,
    /// Whether there was more than one root: a loop with one task blocks nobody.
    pub has_other_roots: bool,
    /// By stack, how much of `time`.
    pub by_stack: FxHashMap<StackId, Nanos>,
    /// The end and the length of each, the longest [`MAX_BLOCKS`] and as many that came since.
    blocks: Vec<(Nanos, Nanos)>,
}

impl Blocked {
    /// Whether anybody waited: one block of a loop with one task blocks nobody.
    pub fn blocks_others(&self) -> bool {
        self.times > 1 || self.has_other_roots
    }

    /// Adds what blocked another loop.
    pub fn merge(&mut self, other: Blocked) {
        self.whole += other.whole;
        self.times += other.times;
        self.time += other.time;
        self.longest = self.longest.max(other.longest);
        self.for_gil += other.for_gil;
        self.ticks = self.ticks.saturating_add(other.ticks);
        self.ready = self.ready.max(other.ready);
        self.has_other_roots |= other.has_other_roots;
        for (stack, time) in other.by_stack {
            *self.by_stack.entry(stack).or_default() += time;
        }
    }

    fn add(&mut self, span: &Span) {
        self.times += 1;
        self.time += span.time;
        if self.blocks.len() >= 2 * MAX_BLOCKS {
            self.keep_longest();
        }
        self.blocks.push((span.end, span.time));
        self.longest = self.longest.max(span.time);
        self.for_gil += span.for_gil;
        self.ticks = self.ticks.saturating_add(span.ticks);
        self.ready = self.ready.max(span.ready);
        for (stack, time) in &span.by_stack {
            *self.by_stack.entry(*stack).or_default() += *time;
        }
    }

    fn keep_longest(&mut self) {
        let by_length = |(_, time): &(Nanos, Nanos)| std::cmp::Reverse(*time);
        self.blocks.sort_by_key(by_length);
        self.blocks.truncate(MAX_BLOCKS);
    }
}

/// The loop of a thread.
#[derive(Debug, Clone, Default)]
struct OfThread {
    /// When it was first seen.
    start: Nanos,
    /// Whether it is a hub.
    is_hub: bool,
    /// The span that may go on.
    open: Option<Span>,
    /// Blocks of greenlets that count if the hub runs again.
    waiting: Vec<Span>,
    first_root: Option<FrameId>,
    blocked: Blocked,
}

/// The event loops of all threads.
#[derive(Debug, Clone, Default)]
pub(super) struct EventLoops {
    /// By stack.
    parts: Vec<Part>,
    threads: FxHashMap<ThreadId, OfThread>,
}

impl EventLoops {
    /// Takes in a run; its thread and stack are defined, and the runs of a thread come in the order of time.
    pub fn push(&mut self, run: &Sample, definitions: &Definitions) {
        let part = match run.stack {
            Some(stack) => self.part_of(stack, definitions),
            None => Part::Cut,
        };
        let is_in_loop = matches!(part, Part::Machinery { .. } | Part::Task(_));
        if is_in_loop && !self.threads.contains_key(&run.thread) {
            let start = run.at - run.wall;
            let of_thread = OfThread {
                start,
                ..OfThread::default()
            };
            self.threads.insert(run.thread, of_thread);
        }
        if let Some(of_thread) = self.threads.get_mut(&run.thread) {
            of_thread.push(run, part, definitions);
        }
    }

    /// What is known of a stack, and of those defined before it.
    fn part_of(&mut self, stack: StackId, definitions: &Definitions) -> Part {
        let stacks = definitions.stacks.iter();
        let known = self.parts.len();
        // Parents come before their children.
        for stack in stacks.take(stack.0 as usize + 1).skip(known) {
            let parent = stack.parent.and_then(|id| self.parts.get(id.0 as usize));
            let parent = parent.copied().unwrap_or(Part::Start);
            let frame = definitions.frame(stack.frame);
            let part = frame.map(|frame| part_with(parent, stack.frame, frame));
            self.parts.push(part.unwrap_or(parent));
        }
        let part = self.parts.get(stack.0 as usize);
        part.copied().unwrap_or(Part::Cut)
    }

    /// The root of the task that a stack is of.
    pub fn root(&self, stack: StackId) -> Option<FrameId> {
        match self.parts.get(stack.0 as usize)? {
            Part::Task(root) | Part::Outside(root) => Some(*root),
            Part::Start | Part::Cut | Part::Machinery { .. } => None,
        }
    }

    /// Whether a stack is the loop's own.
    pub fn is_machinery(&self, stack: StackId) -> bool {
        let part = self.parts.get(stack.0 as usize);
        matches!(part, Some(Part::Machinery { .. }))
    }

    /// What blocked the loop of each thread that has one, so far.
    pub fn blocked(&self) -> impl Iterator<Item = (ThreadId, Blocked)> {
        let threads = self.threads.iter();
        threads.map(|(id, of_thread)| (*id, of_thread.blocked_so_far()))
    }

    /// The longest blocks of each loop that has several tasks, or was blocked more than once: in the order of threads and of
    /// time.
    pub fn blocks(&self) -> Vec<LoopBlock> {
        let mut blocks = Vec::new();
        for (thread, mut blocked) in self.blocked() {
            if !blocked.blocks_others() {
                continue;
            }
            blocked.keep_longest();
            let of_thread = blocked.blocks.into_iter();
            blocks.extend(of_thread.map(|(end, time)| LoopBlock { thread, end, time }));
        }
        blocks.sort_by_key(|block| (block.thread, block.end));
        blocks
    }
}

/// What a stack is whose innermost frame is this one, called from a stack that is `parent`.
fn part_with(parent: Part, id: FrameId, frame: &Frame) -> Part {
    match frame.kind {
        FrameKind::Python => {}
        FrameKind::Mark if parent == Part::Start => return Part::Cut,
        FrameKind::Mark | FrameKind::Native(_) => return parent,
    }
    if is_site(frame, HUB) {
        return Part::Machinery { is_hub: true };
    }
    if LOOPS.iter().any(|site| is_site(frame, *site)) {
        return Part::Machinery { is_hub: false };
    }
    let is_machinery = || {
        let file = library_part(frame).unwrap_or_default();
        MACHINERY.iter().any(|begin| file.starts_with(begin))
    };
    match parent {
        Part::Start => Part::Outside(id),
        Part::Machinery { .. } if !is_machinery() => Part::Task(id),
        known => known,
    }
}

impl OfThread {
    fn push(&mut self, run: &Sample, part: Part, definitions: &Definitions) {
        if let Part::Machinery { is_hub: true } = part {
            self.is_hub = true;
        }
        let root = match part {
            Part::Task(root) => Some(root),
            Part::Outside(root) if self.is_hub => Some(root),
            Part::Machinery { .. } if run.state == State::Gil => None,
            Part::Machinery { .. } => {
                self.blocked.whole = run.at - self.start;
                self.close(definitions);
                let blocks = std::mem::take(&mut self.waiting);
                return blocks.iter().for_each(|block| self.blocked.add(block));
            }
            Part::Start | Part::Cut | Part::Outside(_) => return self.close(definitions),
        };
        if !self.is_hub {
            self.blocked.whole = run.at - self.start;
        }
        let activity = Activity {
            root,
            attributes: run.attributes,
        };
        let interval = Nanos(run.wall.0 / u64::from(run.ticks.max(1)));
        let goes_on = self.open.as_ref().is_some_and(|open| {
            let is_next = run.at - run.wall <= open.end + interval;
            is_next && is_same(open.activity, activity, definitions)
        });
        if !goes_on {
            self.close(definitions);
        }
        let open = self.open.get_or_insert_with(|| Span {
            activity,
            end: Nanos(0),
            time: Nanos(0),
            first_interval: interval,
            for_gil: Nanos(0),
            ticks: 0,
            ready: None,
            by_stack: FxHashMap::default(),
        });
        open.end = run.at;
        open.time += run.wall;
        open.ticks = open.ticks.saturating_add(u64::from(run.ticks));
        if run.state == State::Gil {
            open.for_gil += run.wall;
        }
        open.ready = open.ready.max(ready_callbacks(run, definitions));
        if let Some(stack) = run.stack {
            *open.by_stack.entry(stack).or_default() += run.wall;
        }
    }

    /// Ends the span that may go on.
    fn close(&mut self, definitions: &Definitions) {
        let Some(span) = self.open.take() else {
            return;
        };
        self.note_root(&span, definitions);
        match span.is_block() {
            true if !self.is_hub => self.blocked.add(&span),
            true if self.waiting.len() < MAX_WAITING => self.waiting.push(span),
            _ => {}
        }
    }

    fn note_root(&mut self, span: &Span, definitions: &Definitions) {
        let Some(root) = span.activity.root else {
            return;
        };
        let first = *self.first_root.get_or_insert(root);
        self.blocked.has_other_roots |= !is_same_function(first, root, definitions);
    }

    /// With the span that goes on.
    fn blocked_so_far(&self) -> Blocked {
        let mut blocked = self.blocked.clone();
        let open = self.open.as_ref().filter(|open| open.is_block());
        if let Some(open) = open.filter(|_| !self.is_hub) {
            blocked.add(open);
        }
        blocked
    }
}

fn ready_callbacks(run: &Sample, definitions: &Definitions) -> Option<u32> {
    let attributes = definitions
        .attributes
        .get(run.attributes?.number() as usize)?;
    let ready = attributes.0.get(&Attribute::ReadyCallbacks)?;
    ready.parse().ok()
}

fn is_same(a: Activity, b: Activity, definitions: &Definitions) -> bool {
    let of = |activity: Activity| {
        let id = activity.attributes?.number() as usize;
        definitions.attributes.get(id)
    };
    let differs = |attribute| {
        let value = |activity| of(activity)?.0.get(&attribute);
        value(a).zip(value(b)).is_some_and(|(a, b)| a != b)
    };
    // What is in one sample only may be missing in the other.
    let is_other_task = || differs(Attribute::Task) || differs(Attribute::TaskId);
    let is_same_root = match (a.root, b.root) {
        (Some(a), Some(b)) => is_same_function(a, b, definitions),
        (a, b) => a == b,
    };
    is_same_root && !is_other_task()
}

fn is_same_function(a: FrameId, b: FrameId, definitions: &Definitions) -> bool {
    // What makes two frames the same function in tables, too.
    let function = |id| {
        let frame = definitions.frame(id)?;
        Some((&frame.file, frame.first_line, &frame.name))
    };
    a == b || function(a) == function(b)
}
