//! Samples programs that do one known thing after the other, and compares what was measured with what they say.

use std::collections::BTreeMap;
use std::time::Duration;

use rsamp::process::Pid;
use rsamp::profile::{Profile, State, Totals};
use rsamp::sampler::{
    Budget, Children, EndRequest, Ended, Progress, Rate, Settings, StopPolicy, sample,
};
use serde_json::Value;

use crate::support::programs::{Standing, command, run_command};
use crate::support::pythons::Python;

/// How far a time may be off: this part of the scene's time, or,
const TOLERANCE: f64 = 0.05;

/// where there is little of it, so many seconds: the sampler sees the state a little after the stack.
const LEAST_S: f64 = 0.02;

/// Samples `program`, which waits for a line, until it ends. Returns what it said, too.
pub fn record(program: Standing) -> (Profile, Value) {
    record_with(program, Children::Ignored)
}

/// The same with its children, if it is to be so.
pub fn record_with(mut program: Standing, children: Children) -> (Profile, Value) {
    let settings = Settings {
        stops: StopPolicy::WhereNeeded,
        rate: Rate::Fixed(1000.0),
        budget: Budget::Unlimited,
        duration: None,
        delay: None,
        start_timeout: Some(Duration::from_secs(10)),
        children,
        beside: Vec::new(),
        native: None,
    };
    let pid = Pid(program.pid());
    let mut profile = Profile::default();
    let mut waits_for_us = true;
    let (stop, progress) = (EndRequest::default(), Progress::default());
    let ended = sample(pid, &settings, &stop, &progress, &mut |event| {
        profile.apply(event);
        if std::mem::take(&mut waits_for_us) {
            program.send("go\n");
        }
    });
    assert_eq!(ended.expect("a recording"), Ended::TargetEnded);
    assert_eq!(profile.rejected(), 0);
    let said = serde_json::from_str(&program.line()).expect("JSON");
    (profile, said)
}

/// What was seen of the threads called `thread` within function `name`, by state.
pub fn by_state(profile: &Profile, thread: &str, name: &str) -> BTreeMap<State, Totals> {
    let mut sums: BTreeMap<State, Totals> = BTreeMap::new();
    for row in profile.rows() {
        let is_thread = profile.thread(row.thread).is_some_and(|known| {
            known
                .name
                .as_deref()
                .unwrap_or_default()
                .starts_with(thread)
        });
        let mut frames = profile.frames_of(row.stack);
        if is_thread && frames.any(|frame| frame.name.rsplit('.').next() == Some(name)) {
            *sums.entry(row.state).or_default() += row.totals;
        }
    }
    sums
}

fn play(python: &Python, scenes: &[&str]) -> (Profile, Value) {
    let mut command = command(python, "activity.py");
    record(run_command(command.args(scenes)))
}

pub fn seconds(said: &Value, scene: &str, clock: &str) -> f64 {
    said[scene][clock].as_f64().expect("seconds")
}

/// The wall and CPU seconds that a scene took, and those that it waited for a CPU.
fn clocks(said: &Value, scene: &str) -> [f64; 3] {
    ["wall", "cpu", "queued"].map(|clock| seconds(said, scene, clock))
}

/// What is known of a scene, which took `whole` seconds. While others kept it from the CPU for `queued` seconds,
/// they kept the sampler too, which then comes when the thread has just begun to wait.
struct Scene {
    whole: f64,
    queued: f64,
}

impl Scene {
    /// The kernel counts CPU time, whatever the sampler misses; which line it was is less sure then.
    fn on_cpu(&self) -> Scene {
        Scene {
            whole: self.whole,
            queued: self.queued / 10.0,
        }
    }
}

fn assert_near(place: &str, seen: f64, truth: f64, scene: &Scene) {
    eprintln!("{place}: {seen:.3} of {truth:.3}");
    let allowed = (scene.whole * TOLERANCE).max(LEAST_S) + scene.queued / 2.0;
    assert!((seen - truth).abs() < allowed, "{place}: {seen} of {truth}");
}

/// Each scene is in one state for all its time, but for that on the CPU.
fn check_waits(python: &Python, scenes: &[(&str, State)]) {
    let names: Vec<&str> = scenes.iter().map(|(name, _)| *name).collect();
    let (profile, said) = play(python, &names);
    for (scene, state) in scenes {
        let states = by_state(&profile, "MainThread", scene);
        let all: Totals = states.values().copied().sum();
        let place = format!("{} {scene} {state:?}", python.label);
        let [whole, cpu, queued] = clocks(&said, scene);
        let waited = whole - cpu - queued;
        let scene = &Scene { whole, queued };
        let seen = states.get(state).copied().unwrap_or_default();
        eprintln!("{place}: {states:?}");
        // A sample also stands for what its thread did on the CPU just before it waited.
        let seen_waiting = seen.wall.seconds() - seen.cpu.seconds();
        // That it was kept from the CPU shows as waiting or not.
        let either = &Scene {
            whole,
            queued: 2.0 * queued,
        };
        assert_near(&place, seen_waiting, waited, either);
        let place_wall = format!("{place} wall");
        assert_near(&place_wall, all.wall.seconds(), whole, scene);
        assert_near(
            &format!("{place} CPU"),
            all.cpu.seconds(),
            cpu,
            &scene.on_cpu(),
        );
    }
}

fn threads_wait_for_what_the_kernel_says(python: &Python) {
    check_waits(
        python,
        &[
            ("sleep", State::Sleep),
            ("lock", State::Lock),
            ("pipe", State::Pipe),
            ("fifo", State::Pipe),
            ("network", State::Network),
            ("patient_network", State::Network),
            ("selected_pipes", State::Pipe),
            ("child", State::Child),
            ("disk", State::Disk),
        ],
    );
}

test_on!(threads_wait_for_what_the_kernel_says: v3_6 v3_8 v3_9 v3_11 v3_12 v3_13 v3_14 v3_15);

fn threads_run_python_native_code_or_collect_garbage(python: &Python) {
    let (profile, said) = play(python, &["python", "native", "collect"]);
    for (scene, function, state) in [
        ("python", "python", State::Python),
        ("native", "really_native", State::Native),
        ("collect", "really_collect", State::Collecting),
    ] {
        let states = by_state(&profile, "MainThread", function);
        let place = format!("{} {scene} {state:?}", python.label);
        eprintln!("{place}: {states:?}");
        let seen = states.get(&state).copied().unwrap_or_default();
        let all: Totals = states.values().copied().sum();
        let [whole, cpu, queued] = clocks(&said, scene);
        let scene = &Scene { whole, queued };
        // What it does while it waits for a CPU is a state of its own.
        assert_near(&place, seen.wall.seconds(), whole - queued, scene);
        assert_near(
            &format!("{place} CPU"),
            all.cpu.seconds(),
            cpu,
            &scene.on_cpu(),
        );
    }
}

test_on!(threads_run_python_native_code_or_collect_garbage: v3_8 v3_9 v3_11 v3_12 v3_13 v3_14 v3_15);

/// Three processes have a third of a CPU each: what each waits for its turn is not Python that runs.
fn waiting_for_a_cpu_is_what_the_kernel_counts_and_no_part_of_running_python(python: &Python) {
    let mut command = command(python, "activity.py");
    let program = run_command(command.arg("pinned"));
    let (profile, said) = record_with(program, Children::Followed);
    let states = by_state(&profile, "MainThread", "python");
    eprintln!("{}: {said} {states:?}", python.label);
    let [whole, cpu, queued] = clocks(&said, "pinned");
    assert!(queued > cpu, "{}: others did not wait", python.label);
    let scene = &Scene { whole, queued }.on_cpu();
    let of = |state| states.get(&state).copied().unwrap_or_default();
    let (running, ready) = (
        of(State::Python).wall.seconds(),
        of(State::Ready).wall.seconds(),
    );
    let all: Totals = states.values().copied().sum();
    // Of a child that is found late, or while the sampler waits for a CPU itself, a part is not seen.
    let seen = all.wall.seconds();
    let told = [
        ("Python", running, cpu),
        ("CPU", all.cpu.seconds(), cpu),
        ("waiting for a CPU", ready, seen - cpu),
        ("no more than was counted", ready.max(queued), queued),
    ];
    for (what, seen, truth) in told {
        let place = format!("{} {what}", python.label);
        assert_near(&place, seen, truth, scene);
    }
}

test_on!(waiting_for_a_cpu_is_what_the_kernel_counts_and_no_part_of_running_python: v3_8 v3_11 v3_13 v3_15);

fn waiting_for_the_gil_is_charged_to_who_holds_it(python: &Python) {
    let (profile, said) = play(python, &["hold"]);
    let holder = by_state(&profile, "MainThread", "hold");
    let waiting = by_state(&profile, "want", "want");
    eprintln!("{}: {said} {holder:?} {waiting:?}", python.label);
    let (wall, queued) = (
        seconds(&said, "hold", "wall"),
        seconds(&said, "hold", "queued"),
    );
    let scene = &Scene {
        whole: 3.0 * wall,
        queued,
    };
    let all: Totals = holder.values().copied().sum();
    let held = all.gil.seconds();
    assert_near(&format!("{} held", python.label), held, wall, scene);
    let waited = waiting.get(&State::Gil).copied().unwrap_or_default();
    let place = format!("{} waited", python.label);
    assert_near(&place, waited.wall.seconds(), 3.0 * wall - queued, scene);
    let place = format!("{} blocked others", python.label);
    let blocked = all.blocked_others.seconds();
    assert_near(&place, blocked, waited.wall.seconds(), scene);
}

test_on!(waiting_for_the_gil_is_charged_to_who_holds_it: v3_8 v3_11 v3_13 v3_15);

/// The kernel says of one that it is ready to run.
fn a_thread_that_wants_the_gil_waits_for_it_where_it_has_to_wait_for_a_cpu_too(python: &Python) {
    let (profile, said) = play(python, &["crowd"]);
    let states = by_state(&profile, "python", "python");
    eprintln!("{}: {said} {states:?}", python.label);
    let all: Totals = states.values().copied().sum();
    let of = |state| states.get(&state).copied().unwrap_or_default().wall;
    let [native, gil] = [State::Native, State::Gil].map(|s| of(s).0 as f64 / all.wall.0 as f64);
    assert!(native < 0.05, "{}: native {native}", python.label);
    assert!(gil > 0.4, "{}: waiting for the GIL {gil}", python.label);
}

test_on!(a_thread_that_wants_the_gil_waits_for_it_where_it_has_to_wait_for_a_cpu_too: v3_7 v3_8 v3_9 v3_10 v3_11 v3_12 v3_13 v3_14 v3_15);

fn native_code_beside_python_on_one_cpu_stays_native_code(python: &Python) {
    let (profile, said) = play(python, &["mixed"]);
    let states = by_state(&profile, "really_native", "really_native");
    eprintln!("{}: {said} {states:?}", python.label);
    let native = states.get(&State::Native).copied().unwrap_or_default();
    let cpu = seconds(&said, "really_native", "cpu");
    let seen = native.wall.seconds();
    assert!(seen > 0.9 * cpu, "{}: {seen} of {cpu}", python.label);
}

test_on!(native_code_beside_python_on_one_cpu_stays_native_code: v3_8 v3_11 v3_13 v3_15);

fn two_threads_of_python_use_what_the_kernel_counts(python: &Python) {
    let (profile, said) = play(python, &["share"]);
    let burning = by_state(&profile, "burn", "burn");
    eprintln!("{}: {said} {burning:?}", python.label);
    let sum: Totals = burning.values().copied().sum();
    let [whole, cpu, queued] = clocks(&said, "share");
    let place = format!("{} CPU", python.label);
    let scene = &Scene { whole, queued };
    assert_near(&place, sum.cpu.seconds(), cpu, &scene.on_cpu());
    assert!(burning[&State::Gil].wall.seconds() > 0.1);
}

test_on!(two_threads_of_python_use_what_the_kernel_counts: v3_8 v3_13);
