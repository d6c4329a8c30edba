//! Turns stores at times into a log from which the memory of any moment comes back.

use std::collections::BTreeSet;

/// The time from one store to the next where nothing else is done, in picoseconds: a cycle at 4 GHz.
const STORE_PS: u64 = 250;

/// After so many stores the log keeps what the memory was.
const STORES_PER_SNAPSHOT: usize = 64;

/// Bytes that are kept together.
const LINE: usize = 64;

/// A part of the address space that can be read. Between any two lies what cannot be.
#[derive(Debug, Clone, Copy)]
pub struct Arena {
    start: u64,
    offset: usize,
    length: usize,
}

impl Arena {
    /// Its first address.
    pub fn start(self) -> u64 {
        self.start
    }

    /// The address behind its last byte.
    pub fn end(self) -> u64 {
        self.start + self.length as u64
    }
}

/// The whole memory of a target.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    arenas: Vec<Arena>,
    bytes: Vec<u8>,
}

impl Memory {
    /// Adds an arena of zeros.
    pub fn add_arena(&mut self, start: u64, length: usize) -> Arena {
        let length = length.next_multiple_of(LINE);
        let arena = Arena {
            start,
            offset: self.bytes.len(),
            length,
        };
        self.bytes.resize(arena.offset + length, 0);
        self.arenas.push(arena);
        arena
    }

    fn offset(&self, at: u64, length: usize) -> Option<usize> {
        let holds = |arena: &&Arena| at >= arena.start && at + length as u64 <= arena.end();
        let arena = self.arenas.iter().find(holds)?;
        Some(arena.offset + (at - arena.start) as usize)
    }

    /// The bytes at `at`; `None` where they are not all in one arena.
    pub fn read(&self, at: u64, length: usize) -> Option<&[u8]> {
        let offset = self.offset(at, length)?;
        Some(&self.bytes[offset..offset + length])
    }

    /// The word at `at`, which is in an arena.
    pub fn word(&self, at: u64) -> u64 {
        let bytes = self.read(at, 8).expect("a word in an arena");
        u64::from_le_bytes(bytes.try_into().expect("8 bytes"))
    }

    /// Writes bytes that are in an arena.
    pub fn write(&mut self, at: u64, bytes: &[u8]) {
        let offset = self.offset(at, bytes.len()).expect("bytes in an arena");
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
}

/// Bytes of a word.
const WORD: usize = 8;

/// One store, of a word or a part of it.
#[derive(Debug, Clone, Copy)]
struct Store {
    at_ps: u64,
    /// The number of the word, the bits of it that change, and what they become.
    word: usize,
    mask: u64,
    value: u64,
}

/// From when on the thread had which stack, by its number.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub at_ps: u64,
    pub stack: usize,
}

/// Writes to a memory, and keeps the log.
#[derive(Debug, Default)]
pub struct Recorder {
    pub memory: Memory,
    now_ps: u64,
    start_ps: u64,
    is_on: bool,
    stores: Vec<Store>,
    spans: Vec<Span>,
    switches: Vec<u64>,
    snapshot_of_start: Vec<u8>,
}

impl Recorder {
    /// Of a memory, without a log.
    pub fn new(memory: Memory) -> Recorder {
        Recorder {
            memory,
            ..Recorder::default()
        }
    }

    /// Begins the log; what was written before is the memory at its start. The stack has number `stack`.
    pub fn start(&mut self, stack: usize) {
        self.is_on = true;
        self.start_ps = self.now_ps;
        self.snapshot_of_start.clone_from(&self.memory.bytes);
        self.spans.push(Span { at_ps: 0, stack });
    }

    /// How long the log is; `None` before it begins.
    pub fn recorded_ps(&self) -> Option<u64> {
        self.is_on.then(|| self.now_ps - self.start_ps)
    }

    /// Lets time pass.
    pub fn pass(&mut self, ps: u64) {
        self.now_ps += ps;
    }

    /// Takes in that the thread's stack is number `stack` from the last store on.
    pub fn has_stack(&mut self, stack: usize) {
        if self.is_on {
            let at_ps = self.now_ps - self.start_ps - STORE_PS;
            self.spans.push(Span { at_ps, stack });
        }
    }

    /// Takes in that the thread may give the GIL away a moment from now: between two instructions.
    pub fn may_switch(&mut self) {
        if self.is_on {
            self.switches.push(self.now_ps - self.start_ps + STORE_PS);
        }
    }

    /// Stores the lowest `width` bytes of `value` into a word.
    pub fn store(&mut self, at: u64, value: u64, width: usize) {
        let offset = self.memory.offset(at, width).expect("in an arena");
        let shift = 8 * (offset % WORD) as u32;
        let mask = (u64::MAX >> (64 - 8 * width)) << shift;
        let store = Store {
            at_ps: self.now_ps.wrapping_sub(self.start_ps),
            word: offset / WORD,
            mask,
            value: (value << shift) & mask,
        };
        store.apply(&mut self.memory.bytes);
        if self.is_on {
            self.stores.push(store);
        }
        self.now_ps += STORE_PS;
    }

    /// Ends the log. The memory is then at its end.
    pub fn finish(&mut self) -> Log {
        let lines = self.stores.iter().map(|store| store.word * WORD / LINE);
        let lines = Vec::from_iter(lines.collect::<BTreeSet<_>>());
        let mut bytes = std::mem::take(&mut self.snapshot_of_start);
        let (mut snapshots, mut starts) = (Vec::new(), Vec::new());
        for (number, store) in self.stores.iter().enumerate() {
            if number.is_multiple_of(STORES_PER_SNAPSHOT) {
                let (all, _) = bytes.as_chunks::<LINE>();
                starts.push(store.at_ps);
                snapshots.push(lines.iter().map(|line| all[*line]).collect());
            }
            store.apply(&mut bytes);
        }
        self.is_on = false;
        Log {
            length_ps: self.now_ps - self.start_ps,
            stores: std::mem::take(&mut self.stores),
            spans: std::mem::take(&mut self.spans),
            switches: std::mem::take(&mut self.switches),
            lines,
            snapshots,
            starts,
            next: 0,
            now_ps: 0,
        }
    }
}

impl Store {
    fn apply(&self, bytes: &mut [u8]) {
        let (words, _) = bytes.as_chunks_mut::<WORD>();
        let word = &mut words[self.word];
        *word = (u64::from_le_bytes(*word) & !self.mask | self.value).to_le_bytes();
    }
}

/// What one thread does to the memory, over and over: its end continues at its start.
#[derive(Debug)]
pub struct Log {
    length_ps: u64,
    stores: Vec<Store>,
    spans: Vec<Span>,
    switches: Vec<u64>,
    lines: Vec<usize>,
    /// The memory before every so many stores, and when the first of these is.
    snapshots: Vec<Vec<[u8; LINE]>>,
    starts: Vec<u64>,
    next: usize,
    now_ps: u64,
}

impl Log {
    /// How long it takes once.
    pub fn length_ps(&self) -> u64 {
        self.length_ps
    }

    /// How long the thread has each stack, in order, over the whole log.
    pub fn spans(&self) -> impl Iterator<Item = (usize, u64)> {
        let ends = self.spans[1..].iter().map(|span| span.at_ps);
        let ends = ends.chain([self.length_ps]);
        let spans = self.spans.iter().zip(ends);
        spans.map(|(span, end)| (span.stack, end - span.at_ps))
    }

    /// The stack that the thread has now.
    pub fn stack_now(&self) -> usize {
        let behind = self.spans.partition_point(|span| span.at_ps <= self.now_ps);
        self.spans[behind - 1].stack
    }

    /// Lets the thread run for so long.
    pub fn run(&mut self, memory: &mut Memory, ps: u64) {
        let until_ps = self.now_ps + ps;
        let far = self.starts.get(self.next / STORES_PER_SNAPSHOT + 2);
        let is_near = until_ps < self.length_ps && far.is_none_or(|far_ps| *far_ps > until_ps);
        if is_near {
            self.now_ps = until_ps;
        } else {
            self.now_ps = until_ps % self.length_ps;
            self.jump(memory);
        }
        while let Some(store) = self.stores.get(self.next)
            && store.at_ps <= self.now_ps
        {
            store.apply(&mut memory.bytes);
            self.next += 1;
        }
    }

    /// How long it is to the next moment at which the thread may give the GIL away.
    pub fn until_switch_ps(&self) -> u64 {
        let behind = self.switches.partition_point(|at_ps| *at_ps <= self.now_ps);
        match self.switches.get(behind) {
            Some(at_ps) => at_ps - self.now_ps,
            None => self.length_ps - self.now_ps + self.switches[0],
        }
    }

    /// Brings back the memory of the last snapshot before now.
    fn jump(&mut self, memory: &mut Memory) {
        let behind = self.starts.partition_point(|at_ps| *at_ps <= self.now_ps);
        let number = behind.saturating_sub(1);
        let (all, _) = memory.bytes.as_chunks_mut::<LINE>();
        for (line, kept) in self.lines.iter().zip(&self.snapshots[number]) {
            all[*line] = *kept;
        }
        self.next = number * STORES_PER_SNAPSHOT;
    }
}
