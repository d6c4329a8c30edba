//! Pauses the sampler while it samples real programs, and checks what becomes of the time that was not sampled.

use std::time::{Duration, Instant};

use rsamp::process::Pid;
use rsamp::profile::event::{Event, Nanos};
use rsamp::profile::{Profile, Totals};
use rsamp::sampler::{Children, Ended, Progress, Rate, Settings, StopPolicy, StopRequest, sample};

use crate::life::some;
use crate::programs::{Standing, run};

/// How long the sampler pauses.
const PAUSE: Duration = Duration::from_millis(700);

fn settings(children: Children, duration_ms: u64) -> Settings {
    Settings {
        stops: StopPolicy::WhereNeeded,
        rate: Rate::Fixed(1000.0),
        max_overhead: None,
        duration: Some(Duration::from_millis(duration_ms)),
        delay: None,
        start_timeout: None,
        children,
    }
}

/// For each thread of the first process, the main thread first: the sums over the samples that are marked as not
/// sampled, and over all.
fn sums(profile: &Profile) -> Vec<[Totals; 2]> {
    let threads = profile.threads().iter().enumerate();
    // The processes of other tests in this program are adopted too.
    let threads = threads.filter(|(_, thread)| thread.process.0 == 0);
    let mut sums: Vec<(bool, [Totals; 2])> = threads
        .map(|(id, thread)| {
            let own = profile.rows().iter();
            let own = own.filter(|row| row.thread.0 as usize == id);
            let is_marked = |name: &str| name.starts_with("[not sampled: ");
            let marked = own.clone().filter(|row| {
                let mut frames = profile.frames_of(row.stack);
                frames.any(|frame| is_marked(&frame.name))
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
    let (stop, progress) = (StopRequest::default(), Progress::default());
    let pid = Pid(program.pid());
    let ended = sample(pid, settings, &stop, &progress, &mut |event| {
        profile.apply(event.clone());
        then(&event);
    });
    assert_eq!(ended.expect("a recording"), Ended::DurationOver);
    profile
}

/// What a thread did that ran is unknown; one that waited all the time keeps its stack.
#[test]
fn time_in_which_rsamp_is_paused_is_attributed_to_no_function() {
    for python in some(&[9, 13]) {
        let program = run(&python, "spin.py");
        let begin = Instant::now();
        let mut has_paused = false;
        let profile = sampled(&program, &settings(Children::Ignored, 2500), &mut |event| {
            // By then both threads have been seen, and their CPU time has been counted.
            let is_time = begin.elapsed() > Duration::from_millis(200);
            let is_sample = matches!(event, Event::Sample(_));
            if is_time && is_sample && !std::mem::replace(&mut has_paused, true) {
                std::thread::sleep(PAUSE);
            }
        });
        assert!(has_paused);
        let [main, spin] = sums(&profile)[..] else {
            panic!("{:?}", profile.threads());
        };
        let place = &python.label;
        let [marked, all] = spin.map(|totals| totals.wall.seconds());
        let pause = PAUSE.as_secs_f64();
        assert!(
            (pause - 0.1..all).contains(&marked),
            "{place}: {marked} of {all}"
        );
        // The kernel knows that it ran all the time.
        assert!(spin[0].cpu.seconds() > 0.2, "{place}: {:?}", spin[0]);
        let duration = profile.duration().seconds();
        let waited = main[1].wall.seconds();
        assert!(
            (waited - duration).abs() < 0.01 * duration,
            "{waited} of {duration}"
        );
        assert_eq!(main[0], Totals::default(), "{place}");
        let causes: Vec<&str> = profile.not_sampled().into_keys().collect();
        assert!(causes.contains(&"rsamp was stopped"), "{causes:?}");
    }
}

#[test]
fn a_program_that_was_found_late_is_seen_since_it_began() {
    for python in some(&[9, 13]) {
        let program = run(&python, "spin.py");
        std::thread::sleep(PAUSE);
        let profile = sampled(&program, &settings(Children::Adopted, 400), &mut |_| {});
        let [main, _] = sums(&profile)[..] else {
            panic!("{:?}", profile.threads());
        };
        let late = main[0].wall.seconds();
        assert!(late >= PAUSE.as_secs_f64(), "{}: {late}", python.label);
        assert_eq!(profile.processes()[0].seen, Nanos(0), "{}", python.label);
        let duration = profile.duration().seconds();
        assert!((main[1].wall.seconds() - duration).abs() < 0.01 * duration);
        assert!(profile.not_sampled().contains_key("found late"));
    }
}
