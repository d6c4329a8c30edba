//! Pauses the sampler while it samples real programs, and checks what becomes of the time that was not sampled.

use std::fs;
use std::time::{Duration, Instant};

use rsamp::process::Pid;
use rsamp::profile::{Event, Nanos, Profile, Totals};
use rsamp::sampler::{
    Budget, Children, EndRequest, Ended, Progress, Rate, Settings, StopPolicy, sample,
};

use crate::support::programs::{Standing, run};
use crate::support::pythons::Python;

/// How long the sampler pauses.
const PAUSE: Duration = Duration::from_millis(700);

/// How far the CPU time that is attributed to the pause may be off: the kernel counts at its own ticks, rsamp at its.
const CPU_TOLERANCE_S: f64 = 0.05;

/// The CPU time that the threads of process `pid` have used.
fn cpu_seconds(pid: i32) -> f64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("a running program");
    let times = tasks.map(|task| {
        let path = task.expect("a thread").path().join("schedstat");
        let text = fs::read_to_string(path).expect("a running thread");
        let nanoseconds = text.split(' ').next().and_then(|ns| ns.parse().ok());
        nanoseconds.unwrap_or(0.0_f64) / 1e9
    });
    times.sum()
}

fn settings(children: Children, duration_ms: u64) -> Settings {
    Settings {
        stops: StopPolicy::WhereNeeded,
        rate: Rate::Fixed(1000.0),
        budget: Budget::Unlimited,
        duration: Some(Duration::from_millis(duration_ms)),
        delay: None,
        start_timeout: None,
        children,
        beside: Vec::new(),
        native: None,
    }
}

/// For each thread of the first process, the main thread first: the sums over the samples that are marked as not
/// sampled for this cause, and over all. A busy machine adds gaps of other causes.
fn sums(profile: &Profile, cause: &str) -> Vec<[Totals; 2]> {
    let mark = format!("[not sampled: {cause}]");
    let threads = profile.threads().iter().enumerate();
    // The processes of other tests in this program are adopted too.
    let threads = threads.filter(|(_, thread)| thread.process.0 == 0);
    let mut sums: Vec<(bool, [Totals; 2])> = threads
        .map(|(id, thread)| {
            let own = profile.rows().iter();
            let own = own.filter(|row| row.thread.0 as usize == id);
            let marked = own.clone().filter(|row| {
                let mut frames = profile.frames_of(row.stack);
                frames.any(|frame| frame.name == mark)
            });
            let sum = |totals: &mut dyn Iterator<Item = Totals>| totals.sum::<Totals>();
            let both = [
                sum(&mut marked.map(|row| row.totals)),
                sum(&mut own.map(|row| row.totals)),
            ];
            (!thread.is_main, both)
        })
        .collect();
    sums.sort_by_key(|(is_other, _)| *is_other);
    sums.into_iter().map(|(_, both)| both).collect()
}

/// Samples a program until the duration is over; `then` is called after each event.
fn sampled(program: &Standing, settings: &Settings, then: &mut dyn FnMut(&Event)) -> Profile {
    let mut profile = Profile::default();
    let (stop, progress) = (EndRequest::default(), Progress::default());
    let pid = Pid(program.pid());
    let ended = sample(pid, settings, &stop, &progress, &mut |event| {
        profile.apply(event.clone());
        then(&event);
    });
    assert_eq!(ended.expect("a recording"), Ended::DurationOver);
    profile
}

/// What a thread did that ran is unknown; one that waited all the time keeps its stack.
fn time_in_which_rsamp_is_paused_is_attributed_to_no_function(python: &Python) {
    let program = run(python, "spin.py");
    let begin = Instant::now();
    let mut ran_meanwhile = None;
    let profile = sampled(&program, &settings(Children::Ignored, 2500), &mut |event| {
        // By then both threads have been seen, and their CPU time has been counted.
        let is_time = begin.elapsed() > Duration::from_millis(200);
        let is_sample = matches!(event, Event::Sample(_));
        if is_time && is_sample && ran_meanwhile.is_none() {
            let before = cpu_seconds(program.pid());
            std::thread::sleep(PAUSE);
            ran_meanwhile = Some(cpu_seconds(program.pid()) - before);
        }
    });
    let [main, spin] = sums(&profile, "rsamp was stopped")[..] else {
        panic!("{:?}", profile.threads());
    };
    let place = &python.label;
    let [marked, all] = spin.map(|totals| totals.wall.seconds());
    let pause = PAUSE.as_secs_f64();
    assert!(
        (pause - 0.1..all).contains(&marked),
        "{place}: {marked} of {all}"
    );
    // The kernel knows for how long it ran meanwhile. The time that is marked begins and ends with a tick.
    let (seen, ran) = (spin[0].cpu.seconds(), ran_meanwhile.expect("a pause"));
    let most = ran + (marked - pause).max(0.0) + CPU_TOLERANCE_S;
    assert!(
        (ran - CPU_TOLERANCE_S..most).contains(&seen),
        "{place}: {seen} s of {ran} s"
    );
    let duration = profile.duration().seconds();
    let waited = main[1].wall.seconds();
    assert!(
        (waited - duration).abs() < 0.01 * duration,
        "{waited} of {duration}"
    );
    assert_eq!(main[0], Totals::default(), "{place}");
    assert!(profile.not_sampled().contains_key("rsamp was stopped"));
}

test_on!(time_in_which_rsamp_is_paused_is_attributed_to_no_function: v3_9 v3_13);

fn a_program_that_was_found_late_is_seen_since_it_began(python: &Python) {
    let program = run(python, "spin.py");
    std::thread::sleep(PAUSE);
    let profile = sampled(&program, &settings(Children::Adopted, 400), &mut |_| {});
    let [main, _] = sums(&profile, "found late")[..] else {
        panic!("{:?}", profile.threads());
    };
    let late = main[0].wall.seconds();
    assert!(late >= PAUSE.as_secs_f64(), "{}: {late}", python.label);
    assert_eq!(profile.processes()[0].seen, Nanos(0), "{}", python.label);
    let duration = profile.duration().seconds();
    assert!((main[1].wall.seconds() - duration).abs() < 0.01 * duration);
    assert!(profile.not_sampled().contains_key("found late"));
}

test_on!(a_program_that_was_found_late_is_seen_since_it_began: v3_9 v3_13);
