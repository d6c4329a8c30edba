//! Turns the events of a simulated day into how much memory they take.
//!
//! ```sh
//! cargo bench --bench memory             # all three, in some four minutes
//! cargo bench --bench memory -- timeline # one of them: recording, live, timeline
//! ```
//!
//! `recording`: two threads of a program with 10 000 distinct stacks of 20 frames, that part at the outer end, are
//! sampled for 24 hours at the rates of `--rate auto`: through the interner, the book of runs and the
//! profile, as in a recording. Each tick sees another stack, so that nothing is saved by runs. What
//! the reader of the interpreter keeps (code objects, places of frames) comes on top.
//!
//! `live`: the same, with the last minute kept apart.
//!
//! `timeline`: 128 threads, of which 4 do something else every 10 ms and 124 wait, and then 128 that do something else
//! every 100 ms, with all that they did when.

#![allow(clippy::print_stdout)]

#[path = "../support/mod.rs"]
#[macro_use]
mod support;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rsamp::export;
use rsamp::export::{Format, Meta, ReportInput};
use rsamp::process::Pid;
use rsamp::profile::{
    Event, Frame, FrameKind, Nanos, Process, ProcessId, Profile, Sample, StackId, State, ThreadId,
    Timeline,
};
use rsamp::sampler::{
    Budget, Identity, Interner, Moment, Observation, Observed, Rate, RateControl, Schedule, Spent,
    ThreadIds, Threads,
};
use support::profiles::define;

const STACKS: u64 = 10_000;
const DEPTH: u64 = 20;
const HOUR: Nanos = Nanos(3600 * 1_000_000_000);
const HOURS: u64 = 24;

/// Lines of each function that are seen.
const LINES: u64 = 5;

fn main() {
    let mut parts = std::env::args().skip(1).filter(|arg| !arg.starts_with('-'));
    match parts.next().as_deref() {
        None => PARTS.iter().for_each(|part| run_apart(part)),
        Some("recording") => recording(Profile::default()),
        Some("live") => live(),
        Some("timeline") => {
            timeline(4, Nanos(10_000_000));
            timeline(THREADS, Nanos(100_000_000));
        }
        Some(other) => panic!("{other}: there are {}", PARTS.join(", ")),
    }
}

const PARTS: [&str; 3] = ["recording", "live", "timeline"];

/// Runs a part in a process of its own: memory that was used once would be there for the next one.
fn run_apart(part: &str) {
    println!("{part}:");
    let own = std::env::current_exe().expect("this program");
    let status = std::process::Command::new(own).arg(part).status();
    assert!(status.is_ok_and(|status| status.success()), "{part}");
}

/// Prints what a day takes, hour by hour, and what files of it take.
fn recording(profile: Profile) {
    let own = rsamp::process::Process::open(Pid(std::process::id() as i32)).expect("this process");
    let at_start = rss_bytes("VmRSS:");
    let day = whole_day(&own, profile);
    for format in [Format::FlameGraph, Format::Pstats] {
        let written = export::write(
            format,
            &ReportInput::new(&day.profile, &Meta::default()),
            &mut std::io::sink(),
        );
        written.expect("nothing refuses it");
        println!(
            "{:.1} MB at most until the {format} is written",
            rss_bytes("VmHWM:") as f64 / 1e6
        );
    }
    println!(
        "{} stacks in {} nodes, {} frames; {:.1} MB resident, of which {:.1} MB before the day",
        STACKS,
        day.profile.stacks().len(),
        day.profile.frames().len(),
        rss_bytes("VmRSS:") as f64 / 1e6,
        at_start as f64 / 1e6
    );
}

/// Prints what a day takes whose last minute is kept apart, and how long it takes to look at that.
fn live() {
    let own = rsamp::process::Process::open(Pid(std::process::id() as i32)).expect("this process");
    let day = whole_day(&own, Profile::with_last_minute());
    for seconds in [1, 10, 60] {
        let began = Instant::now();
        let last = day.profile.last(seconds).expect("kept");
        let took = began.elapsed();
        println!(
            "last {seconds} s: {} rows, {:.1} s, made in {:.2} ms",
            last.rows().len(),
            last.totals().wall.seconds(),
            took.as_secs_f64() * 1e3
        );
    }
    println!("{:.1} MB at most", rss_bytes("VmHWM:") as f64 / 1e6);
}

fn whole_day(own: &rsamp::process::Process, profile: Profile) -> Day<'_> {
    let at_start = rss_bytes("VmRSS:");
    let mut day = Day::new(own, profile);
    println!("{:>6} {:>12} {:>12}", "hour", "ticks", "growth");
    for hour in 1..=HOURS {
        day.run_until(Nanos(HOUR.0 * hour));
        let growth = rss_bytes("VmRSS:").saturating_sub(at_start);
        if hour == 1 || hour % 4 == 0 {
            println!(
                "{hour:>6} {:>12} {:>9.1} MB",
                day.ticks,
                growth as f64 / 1e6
            );
        }
    }
    day
}

const THREADS: u32 = 128;

/// How long a run of a thread that waits is at the most, as the sampler tells it.
const REST: Nanos = Nanos(500_000_000);

/// Prints what a day of 128 threads takes of which so many are `busy`: these have another stack every `interval`.
fn timeline(busy: u32, interval: Nanos) {
    let before = rss_bytes("VmRSS:");
    let mut profile = Profile::with_timeline();
    define(&mut profile, THREADS, 1000);
    let (mut runs, mut most) = (0_u64, 0);
    let (mut longest, mut all) = (Duration::ZERO, Duration::ZERO);
    let mut at = Nanos(0);
    while at < Nanos(HOUR.0 * HOURS) {
        at += interval;
        let began = Instant::now();
        for thread in (0..THREADS).map(ThreadId) {
            let is_busy = thread.0 < busy;
            if !is_busy && !at.0.is_multiple_of(REST.0) {
                continue;
            }
            let number = at.0 / interval.0 * 7919 + u64::from(thread.0);
            profile.apply(Event::Sample(Sample {
                at,
                thread,
                stack: Some(StackId(if is_busy { (number % 1000) as u32 } else { 0 })),
                ticks: 1,
                wall: if is_busy { interval } else { REST },
                state: if is_busy { State::Python } else { State::Lock },
                ..Sample::default()
            }));
            runs += 1;
        }
        let took = began.elapsed();
        (longest, all) = (longest.max(took), all + took);
        most = most.max(profile.timeline().map_or(0, Timeline::bytes));
    }
    let step = profile.timeline().and_then(Timeline::step);
    println!(
        "{busy} of {THREADS} threads busy: {runs} runs, {:.1} MB at most, {:.1} MB resident, steps of {} s; {:.0} ns a run, \
         {:.0} ms at most at once",
        most as f64 / 1e6,
        rss_bytes("VmRSS:").saturating_sub(before) as f64 / 1e6,
        step.map_or(0.0, Nanos::seconds),
        all.as_nanos() as f64 / runs as f64,
        longest.as_secs_f64() * 1e3,
    );
}

/// A recording without a reader.
struct Day<'a> {
    process: &'a rsamp::process::Process,
    control: RateControl,
    schedule: Schedule,
    interner: Interner,
    threads: Threads,
    profile: Profile,
    last: Nanos,
    ticks: u64,
}

impl<'a> Day<'a> {
    fn new(process: &'a rsamp::process::Process, mut profile: Profile) -> Day<'a> {
        let control = RateControl::new(Rate::Auto, Budget::Held(0.01), Nanos(0));
        let told = Process {
            pid: process.pid().0,
            command: vec!["python".to_owned(), "simulate.py".to_owned()],
            python: "3.11.7".to_owned(),
            ..Process::default()
        };
        profile.apply(Event::Process(ProcessId(0), told));
        Day {
            process,
            schedule: Schedule::new(control.hz(), Nanos(0), 1),
            control,
            interner: Interner::default(),
            threads: Threads::new(ProcessId(0), process, ThreadIds::default()),
            profile,
            last: Nanos(0),
            ticks: 0,
        }
    }

    fn run_until(&mut self, end: Nanos) {
        while self.schedule.next() < end {
            let at = self.schedule.next();
            self.tick(at);
            self.schedule.advance(at);
            if self.control.is_due(at) {
                self.control.review(Spent {
                    elapsed: at,
                    own_cpu: Nanos(0),
                    ticks: 1,
                    programs: 1,
                });
                self.schedule.set_rate(self.control.hz());
            }
        }
    }

    fn tick(&mut self, at: Nanos) {
        let mut emit = |event| self.profile.apply(event);
        let observations = [0, 1].map(|thread| {
            let stack = self.ticks * 7919 + thread;
            let frames = frames(stack % STACKS);
            Observation {
                was_read: true,
                key: (thread + 1, thread + 1),
                stack: Ok(self.interner.ready_stack(frames, &mut emit)),
                cut: None,
                is_carried: false,
                holds_gil: Some(thread == 0),
                gil_locks: None,
                is_collecting: false,
                interpreter: 0,
                attributes: None,
            }
        });
        let observed = Observed {
            threads: observations.to_vec(),
            ..Observed::default()
        };
        if self.threads.wants_identities(&observations, at) {
            let named = |observation: &Observation| {
                let name = Some(format!("worker {}", observation.key.0));
                (
                    observation.key,
                    Identity {
                        name,
                        ..Identity::default()
                    },
                )
            };
            let identities: HashMap<_, _> = observations.iter().map(named).collect();
            let look = Moment {
                at,
                weight: Nanos(0),
            };
            self.threads
                .identify(identities, &observed, self.process, look, &mut emit);
        }
        let weight = at - self.last;
        let moment = Moment { at, weight };
        self.threads.record(&observed, moment, &mut emit);
        self.last = at;
        self.ticks += 1;
    }
}

/// The frames of a stack, innermost first. The outermost is `main`; from the next on, stacks that differ
/// share no node.
fn frames(stack: u64) -> impl DoubleEndedIterator<Item = Frame> {
    (0..DEPTH).map(move |from_innermost| {
        let level = DEPTH - 1 - from_innermost;
        let function = if level == 0 { 0 } else { stack / LINES + level };
        let first_line = u32::try_from(20 * function + 1).expect("a line");
        let offset = if level == 0 { 0 } else { stack % LINES };
        Frame {
            kind: FrameKind::Python,
            name: format!("Simulation.step_{function}"),
            file: Some("/srv/project/lib/python3.11/site-packages/simulation/step.py".to_owned()),
            first_line: Some(first_line),
            line: Some(first_line + offset as u32),
        }
    })
}

/// The resident set of this process: now (`VmRSS`), or the largest so far (`VmHWM`).
fn rss_bytes(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("proc(5)");
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next());
    1024 * kilobytes.expect("a size").parse::<u64>().expect("a number")
}
