//! Turns made-up recordings into HTML pages: how long that takes, and how large they are.
//!
//! ```sh
//! cargo bench --bench page -- FOLDER    # leaves many.html, server.html and ranks.html there
//! node "$(scripts/page)/tests/speed.mjs" FOLDER/*.html    # what a browser takes for them
//! ```
//!
//! `many`: 5 million samples of 128 threads, ticks of about 10 ms, 8000 stacks of a tree of 30 000; at each tick 45 % of the
//! threads do something else, which chance chooses among all stacks: the worst case, that no program is. No code tells such a
//! run in less than 14.9 bits (12.7: which stack; 2.2: for how many ticks). `server`: as many samples and threads of a program
//! that serves requests: 8 of the threads work, the others mostly wait; what a thread does next is most often near what it did.
//! `ranks`: 1000 processes of one thread each, 200 functions.

#![allow(clippy::print_stdout)]

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rsamp::export::{Format, Meta, ReportInput, write};
use rsamp::profile::{
    Event, Frame, FrameId, FrameKind, Nanos, Process, ProcessId, Profile, Sample, StackId, State,
    Thread, ThreadId,
};

const TICK_NS: u64 = 10_000_000;

/// A tick is late by less than this.
const LATE_NS: u64 = 50_000;

/// Numbers that are the same in every run (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn main() {
    let folder = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let folder = folder.map_or_else(std::env::temp_dir, PathBuf::from);
    report("many", &many(), &folder);
    report("server", &server(), &folder);
    report("ranks", &ranks(), &folder);
}

fn report(name: &str, profile: &Profile, folder: &Path) {
    assert_eq!(profile.rejected(), 0);
    let path = folder.join(format!("{name}.html"));
    let began = Instant::now();
    let mut out = BufWriter::new(File::create(&path).expect("a file"));
    write(
        Format::Html,
        &ReportInput::new(profile, &Meta::default()),
        &mut out,
    )
    .expect("written");
    let seconds = began.elapsed().as_secs_f64();
    let megabytes = path.metadata().expect("written").len() as f64 / 1e6;
    let samples = profile.totals().samples;
    let memory = profile.timeline().map_or(0, |kept| kept.bytes()) as f64 / 1e6;
    let step = profile.timeline().and_then(|kept| kept.step());
    println!(
        "{name}: {samples} samples, {megabytes:.1} MB in {seconds:.2} s; runs {memory:.1} MB, steps {step:?}"
    );
}

/// Defines processes of so many threads each, and a tree of stacks.
fn define(
    processes: u32,
    threads: u32,
    functions: u32,
    stacks: u32,
    random: &mut Random,
) -> Profile {
    let mut profile = Profile::with_timeline();
    for id in 0..processes {
        let process = Process {
            pid: 1000 + id as i32,
            rank: (processes > 1).then_some(id),
            host: (processes > 1).then(|| format!("node{}", id / 64)),
            command: vec!["python".to_owned(), "run.py".to_owned()],
            ..Process::default()
        };
        profile.apply(Event::Process(ProcessId(id), process));
    }
    for id in 0..processes * threads {
        let thread = Thread {
            process: ProcessId(id / threads),
            tid: Some(10_000 + id as i32),
            name: None,
            is_main: id % threads == 0,
        };
        profile.apply(Event::Thread(ThreadId(id), thread));
    }
    for id in 0..functions * 4 {
        let frame = Frame {
            kind: FrameKind::Python,
            name: format!("function_{}", id / 4),
            file: Some(format!("/home/ada/study/module_{}.py", id / 40)),
            first_line: Some(id / 4 * 10),
            line: Some(id / 4 * 10 + id % 4),
        };
        profile.apply(Event::Frame(FrameId(id), frame));
    }
    for id in 0..stacks {
        // Most often called by one of the latest: paths are some dozen frames long.
        let parent = id.checked_sub(1 + random.below(u64::from(id / 40 + 1)) as u32);
        let frame = FrameId(random.below(u64::from(functions) * 4) as u32);
        profile.apply(Event::Stack {
            id: StackId(id),
            parent: parent.map(StackId),
            frame,
        });
    }
    profile
}

const THREADS: u32 = 128;
const STACKS: u64 = 30_000;

fn many() -> Profile {
    let mut random = Random(88_172_645_463_325_252);
    let profile = define(1, THREADS, 1500, STACKS as u32, &mut random);
    let hot: Vec<u32> = (0..8000).map(|_| random.below(STACKS) as u32).collect();
    sampled(
        profile,
        &mut random,
        |_, _| 4500,
        |thread, _, random| begun(thread, &hot, random),
    )
}

/// So many threads work on requests; the others wait for them.
const WORKERS: u32 = 8;

/// A request is served by so many stacks.
const NEAR: u64 = 40;

fn server() -> Profile {
    let mut random = Random(362_436_069_521_288_629);
    let profile = define(1, THREADS, 1500, STACKS as u32, &mut random);
    let of_10_000 = |thread, run: &Sample| match (thread < WORKERS, run.state) {
        (true, State::Lock) => 500,
        (true, _) => 6000,
        (false, State::Lock) => 100,
        (false, _) => 4000,
    };
    sampled(profile, &mut random, of_10_000, |thread, run, random| {
        serving(thread, run, random)
    })
}

/// What a thread does next: it waits again, or does something near what it did; now and then another request comes.
fn serving(thread: u32, run: &Sample, random: &mut Random) -> Sample {
    let last = run.stack.map_or(0, |stack| u64::from(stack.0));
    let waits = random.below(5) == 0;
    let request = match random.below(30) {
        0 => random.below(STACKS / NEAR),
        _ => last / NEAR,
    };
    // The first ones are by far the most frequent.
    let place = random
        .below(NEAR)
        .min(random.below(NEAR))
        .min(random.below(NEAR));
    let (stack, state) = match waits {
        true => (request * NEAR, State::Lock),
        false => (
            request * NEAR + place,
            [State::Python, State::Native][place as usize % 2],
        ),
    };
    Sample {
        thread: ThreadId(thread),
        stack: Some(StackId(stack as u32)),
        state,
        ..Sample::default()
    }
}

/// 5 million samples of all threads. `of_10_000`: how probable it is that a run ends at a tick; `next`: the run after one.
fn sampled(
    mut profile: Profile,
    random: &mut Random,
    of_10_000: impl Fn(u32, &Sample) -> u64,
    next: impl Fn(u32, &Sample, &mut Random) -> Sample,
) -> Profile {
    let mut open: Vec<Sample> = (0..THREADS)
        .map(|thread| next(thread, &Sample::default(), random))
        .collect();
    let mut now = 0;
    for _ in 0..5_000_000 / THREADS {
        let tick = now / TICK_NS * TICK_NS + TICK_NS + random.below(LATE_NS);
        for run in &mut open {
            let thread = run.thread.0;
            if run.ticks > 0 && random.below(10_000) < of_10_000(thread, run) {
                profile.apply(Event::Sample(*run));
                *run = next(thread, run, random);
            }
            add_tick(run, tick, tick - now);
        }
        now = tick;
    }
    open.iter()
        .for_each(|run| profile.apply(Event::Sample(*run)));
    profile.apply(Event::End(Nanos(now)));
    profile
}

/// A run without a tick yet. Half of them are on a CPU.
fn begun(thread: u32, hot: &[u32], random: &mut Random) -> Sample {
    let at = random
        .below(hot.len() as u64)
        .min(random.below(hot.len() as u64)) as usize;
    Sample {
        thread: ThreadId(thread),
        stack: Some(StackId(hot[at])),
        state: [State::Python, State::Native, State::Lock, State::Gil][at % 4],
        ..Sample::default()
    }
}

fn add_tick(run: &mut Sample, at: u64, length: u64) {
    run.at = Nanos(at);
    run.ticks += 1;
    run.wall += Nanos(length);
    if matches!(run.state, State::Python | State::Native) {
        run.cpu = run.wall;
    }
    if run.state == State::Python {
        run.gil = run.wall;
    }
}

fn ranks() -> Profile {
    const RANKS: u32 = 1000;
    const STACKS: u64 = 1000;
    let mut random = Random(2_463_534_242);
    let mut profile = define(RANKS, 1, 200, STACKS as u32, &mut random);
    for rank in 0..RANKS {
        for tick in 1..=200_u64 {
            let mut run = begun(rank, &[0], &mut random);
            run.stack = Some(StackId(random.below(STACKS) as u32));
            add_tick(&mut run, tick * TICK_NS, TICK_NS);
            profile.apply(Event::Sample(run));
        }
    }
    profile.apply(Event::End(Nanos(200 * TICK_NS)));
    profile
}
