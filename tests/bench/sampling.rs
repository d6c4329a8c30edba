//! Turns live interpreters into what a sample costs, as a multiple of what it costs at least.
//!
//! ```sh
//! cargo bench --bench sampling                    # Python 3.11, 3.13 and 3.15, where they are there
//! cargo bench --bench sampling -- 3.12            # others; `all` for all
//! cargo bench --bench sampling -- 3.13 --json     # one line of JSON for each Python
//! ```
//!
//! The interpreters are those of `RSAMP_PYTHONS`, or of `scripts/pythons` where that is not set.
//!
//! The floor is a bare `process_vm_readv` of two ranges, 256 B and 2 KiB, of the same process. It and
//! the hot path (read, check, walk, intern) take turns, so that what disturbs one disturbs the other;
//! a ratio is that of two neighbours. Cost is CPU time of the thread that samples: what else the
//! machine does shows in the highest rate, not in the ratios.

#![allow(clippy::print_stdout, clippy::print_stderr)]

#[path = "../support/mod.rs"]
#[macro_use]
mod support;

use std::io::IoSliceMut;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::ppoll;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, kill};
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::time::{ClockId, clock_gettime};
use rsamp::cpython::{Found, Reader, StopPolicy, locate};
use rsamp::memory::LiveMemory;
use rsamp::process::{Pid, Process};
use rsamp::profile::{Nanos, ProcessId};
use rsamp::sampler::{
    Moment, NEW_THREADS, Observer, Source, ThreadIds, Threads, identify, observe, stopper,
};
use serde_json::{Value, json};

use support::programs::{Standing, command, run_command};
use support::pythons::{Python, parse_python};

/// What is measured when no version is named.
const DEFAULT_VERSIONS: [&str; 3] = ["3.11", "3.13", "3.15"];

/// How many frames the busy thread has.
const DEPTH: &str = "20";

/// How many threads wait beside it, in the figure that asks what they cost.
const IDLE_THREADS: &str = "200";

/// How often the floor and the hot path take turns.
const ROUNDS: usize = 21;

/// The time between two ticks at 1 kHz.
const TICK: Nanos = Nanos(1_000_000);

/// Calls of each in a turn: some ten milliseconds, during which little changes.
const CALLS_OF_A_TURN: u32 = 4_000;

/// As [`CALLS_OF_A_TURN`], where each call reads 200 threads.
const CALLS_WITH_IDLE_THREADS: u32 = 200;

/// Sleeps of a millisecond in a turn.
const SLEEPS_OF_A_TURN: u32 = 50;

/// Calls before anything is measured: everything is learnt and cached then.
const WARM_UP: u32 = 1_000;

/// How long the highest rate is measured, in each of [`RATE_ROUNDS`].
const RATE_TIME: Duration = Duration::from_millis(300);
const RATE_ROUNDS: usize = 5;

/// Two recordings with the whole program: what the longer one costs more is the sampling.
const SHORT_SECONDS: f64 = 0.3;
const LONG_SECONDS: f64 = 1.3;
const RECORDING_ROUNDS: usize = 3;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    // Without this word it is `cargo test` that runs this, and a test takes no time.
    if !words.iter().any(|word| word == "--bench") {
        eprintln!("to measure: cargo bench --bench sampling");
        return;
    }
    let wants_json = words.iter().any(|word| word == "--json");
    let versions: Vec<&str> = words
        .iter()
        .map(String::as_str)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let chosen = choose(&listed(), &versions);
    assert!(!chosen.is_empty(), "no such Python is listed: {versions:?}");
    for python in chosen {
        let figures = Figures::measure(&python);
        if wants_json {
            println!("{}", figures.json(&python));
        } else {
            figures.print(&python);
        }
    }
}

/// The interpreters of `RSAMP_PYTHONS`, or else of `scripts/pythons`.
fn listed() -> Vec<Python> {
    if std::env::var_os("RSAMP_PYTHONS").is_some() {
        return support::pythons::pythons();
    }
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scripts/pythons");
    let output = Command::new(&script)
        .stderr(Stdio::inherit())
        .output()
        .unwrap_or_else(|error| panic!("run {}: {error}", script.display()));
    let list = String::from_utf8(output.stdout).expect("UTF-8");
    list.lines().map(parse_python).collect()
}

/// Of each version named the first that is listed.
fn choose(listed: &[Python], versions: &[&str]) -> Vec<Python> {
    let readable = listed.iter().filter(|python| python.version >= (3, 6, 0));
    if versions == ["all"] {
        return readable.cloned().collect();
    }
    let versions = if versions.is_empty() {
        &DEFAULT_VERSIONS[..]
    } else {
        versions
    };
    let named = |version: &str, python: &Python| {
        python.label == version || python.label.starts_with(&format!("{version}."))
    };
    versions
        .iter()
        .filter_map(|version| readable.clone().find(|python| named(version, python)))
        .cloned()
        .collect()
}

/// What was measured on one interpreter.
struct Figures {
    /// The innermost frame runs a loop that calls nothing.
    quiet: HotPath,
    /// It calls a function over and over.
    calls: HotPath,
    /// CPU time of a tick with 200 more threads that wait, as a multiple of one without: of the hot path, and
    /// of all that a tick does.
    idle_ratios: [Spread; 2],
    /// What a tick costs more, in µs, when states, CPU time, memory and counters are measured, as at 1 kHz.
    measures_us: Spread,
    /// CPU time per sample, in µs, of the whole program at 1 kHz.
    recording_us: Spread,
    /// CPU time, in µs, of a sleep of a millisecond and of nothing else.
    sleep_us: Spread,
}

/// What was measured on one program.
struct HotPath {
    floor_us: Spread,
    sample_us: Spread,
    /// `sample_us` as a multiple of `floor_us` of the same round.
    ratio: Spread,
    /// Samples per millisecond of wall time, flat out.
    rate_khz: Spread,
    /// Stacks that could not be told from the first copy, per sample.
    undetermined: f64,
    /// Stacks that were not had, per sample.
    lost: f64,
    /// Readings for which the thread was stopped, per sample.
    stops: f64,
}

impl Figures {
    fn measure(python: &Python) -> Figures {
        // One program at a time: there may be but two CPUs.
        let with = |options: &[&str]| Running::start(python, options);
        Figures {
            quiet: hot_path(with(&[])),
            calls: hot_path(with(&["--calls"])),
            idle_ratios: idle_ratios(python),
            measures_us: measures_us(with(&["--calls"])),
            recording_us: recording_us(with(&["--calls"])),
            sleep_us: sleep_us(with(&["--calls"])),
        }
    }

    fn print(&self, python: &Python) {
        println!(
            "\nPython {}, {DEPTH} frames, median (min\u{2013}max) of {ROUNDS} rounds",
            python.label
        );
        println!("  floor               {} µs", self.quiet.floor_us);
        for (name, path) in [("quiet loop", &self.quiet), ("calls", &self.calls)] {
            println!("  {name}");
            println!("    CPU per sample    {} µs", path.sample_us);
            println!("    against the floor {} times", path.ratio);
            println!("    highest rate      {} kHz", path.rate_khz);
            println!(
                "    per sample        {:.4} undetermined, {:.4} stops, {:.4} lost",
                path.undetermined, path.stops, path.lost
            );
        }
        println!("  states, CPU time, memory and counters, as at 1 kHz");
        println!("    CPU per tick more {} µs", self.measures_us);
        println!("  {IDLE_THREADS} idle threads");
        let [hot, whole] = &self.idle_ratios;
        println!("    hot path          {hot} times");
        println!("    with all of it    {whole} times");
        println!("  rsamp attach --rate 1000");
        println!("    CPU per sample    {} µs", self.recording_us);
        println!("    a sleep alone     {} µs", self.sleep_us);
    }

    fn json(&self, python: &Python) -> Value {
        let [hot, whole] = &self.idle_ratios;
        json!({
            "python": python.label,
            "quiet": self.quiet.json(),
            "calls": self.calls.json(),
            "idle_ratio": hot.json(),
            "idle_whole_ratio": whole.json(),
            "sleep_us": self.sleep_us.json(),
            "measures_us": self.measures_us.json(),
            "recording_us": self.recording_us.json(),
        })
    }
}

impl HotPath {
    fn json(&self) -> Value {
        json!({
            "floor_us": self.floor_us.json(),
            "sample_us": self.sample_us.json(),
            "ratio": self.ratio.json(),
            "rate_khz": self.rate_khz.json(),
            "undetermined": self.undetermined,
            "lost": self.lost,
            "stops": self.stops,
        })
    }
}

/// The median of several rounds, and how far they went.
struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Spread {
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        let (half, last) = (values.len() / 2, values.len().saturating_sub(1));
        let median = if values.len() % 2 == 1 {
            at(half)
        } else {
            (at(half.saturating_sub(1)) + at(half)) / 2.0
        };
        Spread {
            median,
            min: at(0),
            max: at(last),
        }
    }

    fn json(&self) -> Value {
        json!([self.median, self.min, self.max])
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:.2} ({:.2}\u{2013}{:.2})",
            self.median, self.min, self.max
        )
    }
}

/// The program of `tests/programs/depth.py` at work, and what is needed to sample it.
struct Running {
    program: Standing,
    memory: LiveMemory,
}

impl Running {
    fn start(python: &Python, options: &[&str]) -> Running {
        let mut command = command(python, "depth.py");
        let program = run_command(command.arg(DEPTH).args(options));
        let memory = LiveMemory::new(Pid(program.pid()));
        Running { program, memory }
    }

    fn sampler(&self) -> Sampler<'_> {
        let pid = Pid(self.program.pid());
        let process = Process::open(pid).expect("the process");
        let Ok(Found::Native(interpreter)) = locate(&process, &self.memory) else {
            panic!("no interpreter in process {pid}");
        };
        let mut reader = Reader::new(*interpreter);
        reader.allow_stops(StopPolicy::WhereNeeded, stopper(pid));
        reader.look_for_threads_every(NEW_THREADS);
        let mut sampler = Sampler {
            memory: &self.memory,
            source: Source::Native(Box::new(reader)),
            observer: Observer::default(),
            counts: Counts::default(),
        };
        for _ in 0..WARM_UP {
            sampler.tick();
        }
        sampler.counts = Counts::default();
        sampler
    }

    /// Lets the program wait while another is measured: there may be but two CPUs.
    fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        kill(nix::unistd::Pid::from_raw(self.program.pid()), signal).expect("a running program");
    }
}

/// The hot path: from the memory of the process to numbered stacks.
struct Sampler<'a> {
    memory: &'a LiveMemory,
    source: Source,
    observer: Observer,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    samples: u64,
    lost: u64,
    undetermined: u64,
    stops: u64,
}

impl Sampler<'_> {
    fn tick(&mut self) {
        let (source, observer) = (&mut self.source, &mut self.observer);
        let tick = observe(source, self.memory, observer, &mut |_| {}).expect("the interpreter");
        for thread in &tick.threads {
            match thread.stack {
                Ok(_) => self.counts.samples += 1,
                Err(_) => self.counts.lost += 1,
            }
        }
        self.counts.undetermined += tick.undetermined.total();
        self.counts.stops += tick.stops;
    }

    fn reader(&self) -> &Reader {
        match &self.source {
            Source::Native(reader) => reader,
            Source::Legacy(_) => panic!("no interpreter of 3.6 or later"),
        }
    }

    /// What is counted, per sample.
    fn per_sample(&self, count: u64) -> f64 {
        count as f64 / self.counts.samples.max(1) as f64
    }
}

/// The least that a sample can cost: one call for 256 B and 2 KiB.
struct Floor {
    pid: nix::unistd::Pid,
    ranges: [RemoteIoVec; 2],
    bytes: [u8; 256 + 2048],
}

impl Floor {
    /// The ranges lie where the program itself reads and writes: in its thread state, and at the start
    /// of its heap (of the page of the thread state, where it has none).
    fn of(running: &Running, reader: &Reader) -> Floor {
        let pid = Pid(running.program.pid());
        let thread = reader.threads().first().expect("a thread").state.0 as usize;
        let mappings = Process::open(pid).and_then(|process| process.mappings());
        let mappings = mappings.expect("mappings");
        let heap = mappings.iter().find(|mapping| {
            let path = mapping.path.as_deref().and_then(|path| path.to_str());
            path == Some("[heap]")
        });
        let page = heap.map_or(thread & !4095, |mapping| mapping.start as usize);
        let range = |base: usize, len: usize| RemoteIoVec { base, len };
        Floor {
            pid: nix::unistd::Pid::from_raw(pid.0),
            ranges: [range(thread, 256), range(page, 2048)],
            bytes: [0; 256 + 2048],
        }
    }

    fn read(&mut self) {
        let mut into = [IoSliceMut::new(&mut self.bytes)];
        let read = process_vm_readv(self.pid, &mut into, &self.ranges);
        assert_eq!(read, Ok(256 + 2048), "mapped memory");
    }
}

/// Ends the program, as the others do: it is not to run beside the next.
fn hot_path(running: Running) -> HotPath {
    let mut sampler = running.sampler();
    let mut floor = Floor::of(&running, sampler.reader());
    let (mut floors, mut samples, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let least = cpu_us_per_call(CALLS_OF_A_TURN, || floor.read());
        let sample = cpu_us_per_call(CALLS_OF_A_TURN, || sampler.tick());
        floors.push(least);
        samples.push(sample);
        ratios.push(sample / least);
    }
    let counts = &sampler.counts;
    let per_sample =
        [counts.undetermined, counts.stops, counts.lost].map(|count| sampler.per_sample(count));
    let [undetermined, stops, lost] = per_sample;
    let rates = (0..RATE_ROUNDS).map(|_| rate_khz(&mut sampler)).collect();
    HotPath {
        floor_us: Spread::of(floors),
        sample_us: Spread::of(samples),
        ratio: Spread::of(ratios),
        rate_khz: Spread::of(rates),
        undetermined,
        lost,
        stops,
    }
}

fn rate_khz(sampler: &mut Sampler<'_>) -> f64 {
    sampler.counts = Counts::default();
    let start = Instant::now();
    while start.elapsed() < RATE_TIME {
        sampler.tick();
    }
    sampler.counts.samples as f64 / start.elapsed().as_secs_f64() / 1e3
}

/// Ticks with 200 more threads, as a multiple of ticks without: of the hot path, and of all that is done.
fn idle_ratios(python: &Python) -> [Spread; 2] {
    let few = Running::start(python, &["--calls"]);
    let many = Running::start(python, &["--calls", "--idle", IDLE_THREADS]);
    let (mut few_sampler, mut many_sampler) = (few.sampler(), many.sampler());
    let (mut few_meter, mut many_meter) = (Meter::of(&few), Meter::of(&many));
    for _ in 0..WARM_UP {
        few_meter.tick(&mut few_sampler);
        many_meter.tick(&mut many_sampler);
    }
    let (mut hot, mut whole) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        many.pause();
        few.resume();
        few_meter.settle(&mut few_sampler);
        let one = cpu_us_per_call(CALLS_WITH_IDLE_THREADS, || few_sampler.tick());
        let one_whole =
            cpu_us_per_call(CALLS_WITH_IDLE_THREADS, || few_meter.tick(&mut few_sampler));
        few.pause();
        many.resume();
        many_meter.settle(&mut many_sampler);
        hot.push(cpu_us_per_call(CALLS_WITH_IDLE_THREADS, || many_sampler.tick()) / one);
        let all = cpu_us_per_call(CALLS_WITH_IDLE_THREADS, || {
            many_meter.tick(&mut many_sampler)
        });
        whole.push(all / one_whole);
    }
    [Spread::of(hot), Spread::of(whole)]
}

/// All that a tick does beside the hot path: states, CPU time, memory and counters, and who the threads are.
struct Meter {
    process: Process,
    threads: Threads,
    now: Nanos,
}

impl Meter {
    fn of(running: &Running) -> Meter {
        let process = Process::open(Pid(running.program.pid())).expect("the process");
        Meter {
            threads: Threads::new(ProcessId(0), &process, ThreadIds::default()),
            process,
            now: Nanos(0),
        }
    }

    /// Ticks that are not measured: to be halted and resumed has woken all threads of the program.
    fn settle(&mut self, sampler: &mut Sampler<'_>) {
        for _ in 0..CALLS_WITH_IDLE_THREADS {
            self.tick(sampler);
        }
    }

    /// A tick with all of it, a millisecond after the one before by the clock that is told.
    fn tick(&mut self, sampler: &mut Sampler<'_>) {
        self.now += TICK;
        let now = self.now;
        let (source, observer) = (&mut sampler.source, &mut sampler.observer);
        let observed = observe(source, sampler.memory, observer, &mut |_| {});
        let observed = observed.expect("the interpreter");
        let threads = &mut self.threads;
        if threads.wants_identities(&observed.threads, now) {
            let began = Instant::now();
            let is_wanted = |key| threads.wants_identity(key, now);
            let identities = identify(source, &self.process, sampler.memory, is_wanted);
            let look = Moment {
                at: now,
                weight: Nanos(began.elapsed().as_nanos() as u64),
            };
            threads.identify(identities, &observed, &self.process, look, &mut |_| {});
        }
        let moment = Moment {
            at: now,
            weight: TICK,
        };
        threads.record(&observed, moment, &mut |_| {});
    }
}

/// The difference between ticks with and without what is measured beside the stacks. They take turns.
fn measures_us(running: Running) -> Spread {
    let mut sampler = running.sampler();
    let mut meter = Meter::of(&running);
    for _ in 0..WARM_UP {
        meter.tick(&mut sampler);
    }
    let differences = (0..ROUNDS).map(|_| {
        let without = cpu_us_per_call(CALLS_OF_A_TURN, || sampler.tick());
        cpu_us_per_call(CALLS_OF_A_TURN, || meter.tick(&mut sampler)) - without
    });
    Spread::of(differences.collect())
}

/// CPU time of the calling thread, in µs, for one of `calls` calls.
fn cpu_us_per_call(calls: u32, mut call: impl FnMut()) -> f64 {
    let start = thread_cpu_us();
    for _ in 0..calls {
        call();
    }
    (thread_cpu_us() - start) / f64::from(calls)
}

fn thread_cpu_us() -> f64 {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("a clock of Linux");
    time.num_nanoseconds() as f64 / 1e3
}

/// CPU time of rsamp for each sample, from the difference of two recordings: start and end are in both.
fn recording_us(running: Running) -> Spread {
    let costs = (0..RECORDING_ROUNDS).map(|_| {
        let (short_us, few) = record(&running, SHORT_SECONDS);
        let (long_us, many) = record(&running, LONG_SECONDS);
        (long_us - short_us) / (many - few)
    });
    Spread::of(costs.collect())
}

/// What a tick at 1 kHz costs at least, while a program runs beside it: to fall asleep and to wake up.
fn sleep_us(running: Running) -> Spread {
    let sleep = || {
        let wait = TimeSpec::from_duration(Duration::from_nanos(TICK.0));
        ppoll(&mut [], Some(wait), None).expect("a sleep");
    };
    let costs = (0..ROUNDS)
        .map(|_| cpu_us_per_call(SLEEPS_OF_A_TURN, sleep))
        .collect();
    drop(running);
    Spread::of(costs)
}

/// The CPU time in µs and the samples of one recording with the program itself.
fn record(running: &Running, seconds: f64) -> (f64, f64) {
    let folder = tempfile::tempdir().expect("a folder");
    let before = children_cpu_us();
    let output = Command::new(env!("CARGO_BIN_EXE_rsamp"))
        .args(["attach", "--rate", "1000", "-d", &seconds.to_string(), "-o"])
        .arg(folder.path().join("out.folded"))
        .arg(running.program.pid().to_string())
        .output()
        .expect("run rsamp");
    let cpu_us = children_cpu_us() - before;
    let summary = String::from_utf8_lossy(&output.stderr);
    let samples = summary
        .lines()
        .find_map(|line| line.split_once(" recorded, ")?.1.split(' ').next());
    let samples = samples.and_then(|number| number.parse().ok());
    (
        cpu_us,
        samples.unwrap_or_else(|| panic!("no samples: {summary}")),
    )
}

/// CPU time, in µs, of the children that were waited for; a program under measurement was not.
fn children_cpu_us() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("the caller's own usage");
    (usage.user_time() + usage.system_time()).num_microseconds() as f64
}
