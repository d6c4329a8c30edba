//! Samples native frames of programs that run, and compares them with what the programs measured themselves.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use rsamp::process::{Pid, Process, TaskState};
use rsamp::profile::{
    Event, Frame, FrameId, FrameKind, Missing, NativeSample, StackId, State, Thread, ThreadId,
};
use rsamp::sampler::{
    Budget, Children, EndRequest, Ended, NativeRate, Progress, Rate, Settings, StopPolicy, sample,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::needs::prepared;
use crate::support::programs::{Standing, command, program, run, run_command};
use crate::support::pythons::Python;

/// How far the share of a function may be off, beside what chance does in so many samples.
const TOLERANCE: f64 = 0.02;

/// What was told of a program.
#[derive(Debug, Default)]
struct Told {
    frames: Vec<Frame>,
    stacks: Vec<(Option<StackId>, FrameId)>,
    threads: HashMap<ThreadId, Thread>,
    samples: Vec<NativeSample>,
    missing: Vec<Missing>,
    pauses: u64,
}

impl Told {
    fn apply(&mut self, event: Event) {
        match event {
            Event::Frame(_, frame) => self.frames.push(frame),
            Event::Stack { parent, frame, .. } => self.stacks.push((parent, frame)),
            Event::Thread(id, thread) => {
                self.threads.insert(id, thread);
            }
            Event::Native(sample) => self.samples.push(sample),
            Event::Missing(missing) => self.missing.push(missing),
            Event::Pauses(count) => self.pauses += count,
            _ => {}
        }
    }

    /// Innermost first.
    fn frames_of(&self, stack: Option<StackId>) -> Vec<&Frame> {
        let part = |id: StackId| self.stacks[id.0 as usize];
        let parts = std::iter::successors(stack.map(part), |(parent, _)| parent.map(part));
        parts
            .map(|(_, frame)| &self.frames[frame.0 as usize])
            .collect()
    }

    /// Checks that the Python frames of each merged stack are those of its Python stack.
    fn check_python_frames(&self) {
        let python = |stack| {
            let mut frames = self.frames_of(stack);
            frames.retain(|frame| frame.kind == FrameKind::Python);
            frames
        };
        for sample in &self.samples {
            assert_eq!(python(Some(sample.merged)), python(sample.stack));
        }
    }
}

/// A sampler that runs.
struct Sampler {
    told: Arc<Mutex<Told>>,
    stop: EndRequest,
    thread: std::thread::JoinHandle<Ended>,
}

fn settings(hz: f64, stops: StopPolicy) -> Settings {
    Settings {
        stops,
        rate: Rate::Fixed(1000.0),
        budget: Budget::Unlimited,
        duration: None,
        delay: None,
        start_timeout: Some(Duration::from_secs(10)),
        children: Children::Ignored,
        beside: Vec::new(),
        native: Some(NativeRate::Fixed(hz)),
    }
}

impl Sampler {
    fn start(pid: i32, settings: Settings) -> Sampler {
        let (told, stop) = (Arc::<Mutex<Told>>::default(), EndRequest::default());
        let (shared, asked) = (Arc::clone(&told), stop.clone());
        let thread = std::thread::spawn(move || {
            let mut emit = |event| shared.lock().expect("told").apply(event);
            let ended = sample(Pid(pid), &settings, &asked, &Progress::default(), &mut emit);
            ended.expect("a recording")
        });
        Sampler { told, stop, thread }
    }

    /// Waits until what was told is as wanted.
    fn wait_until(&self, what: &str, is_so: impl Fn(&Told) -> bool) {
        let begun = Instant::now();
        while !is_so(&self.told.lock().expect("told")) {
            assert!(begun.elapsed() < Duration::from_secs(300), "{what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn finish(self) -> (Told, Ended) {
        self.stop.request();
        let ended = self.thread.join().expect("the sampler");
        let told = std::mem::take(&mut *self.told.lock().expect("told"));
        (told, ended)
    }
}

fn module(frame: &Frame) -> Option<&str> {
    match &frame.kind {
        FrameKind::Native(code) => code.module.rsplit('/').next(),
        FrameKind::Python | FrameKind::Mark => None,
    }
}

/// Whether there are native frames and nothing is missing.
fn is_whole(frames: &[&Frame]) -> bool {
    let is_native = |frame: &&&Frame| module(frame).is_some();
    frames.iter().any(|frame| is_native(&frame)) && !frames.iter().any(|frame| frame.is_mark())
}

fn library(folder: &TempDir) -> PathBuf {
    let path = folder.path().join("libplanted.so");
    let mut cc = Command::new("cc");
    cc.args(["-O2", "-shared", "-fPIC", "-o"]).arg(&path);
    let built = cc.arg(program("planted_native.c")).status().expect("cc");
    assert!(built.success());
    path
}

/// The function of the library that a native frame is of, by where they begin.
fn planted<'p>(frame: &Frame, starts: &'p BTreeMap<u64, String>) -> Option<&'p str> {
    let FrameKind::Native(code) = &frame.kind else {
        return None;
    };
    let is_it = Path::new(&code.module).ends_with("libplanted.so");
    let (_, name) = starts
        .range(..=code.offset.filter(|_| is_it)?)
        .next_back()?;
    Some(name)
}

fn shares_of_native_functions_are_what_they_took(python: &Python) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = command(python, "planted_native.py");
    let mut program = run_command(command.arg(library(&folder)));
    let sampler = Sampler::start(program.pid(), settings(1000.0, StopPolicy::WhereNeeded));
    program.send("go\n");
    sampler.wait_until("samples", |told| told.samples.len() >= 2000);
    program.send("end\n");
    let said: Value = serde_json::from_str(&program.line()).expect("JSON");
    let (told, _) = sampler.finish();
    told.check_python_frames();
    let functions = said.as_object().expect("functions");
    let mut starts: BTreeMap<u64, String> = BTreeMap::new();
    for (name, said) in functions {
        starts.insert(said["offset"].as_u64().expect("an offset"), name.clone());
    }
    let callers = [
        ("a", "by_plain"),
        ("b", "by_second"),
        ("c", "inner"),
        ("d", "generate"),
    ];
    let callers: HashMap<String, &str> = callers
        .map(|(name, caller)| (format!("spin_{name}"), caller))
        .into();
    let mut seen: HashMap<&str, f64> = HashMap::new();
    let (mut marked, mut count) = (0, 0);
    for sample in &told.samples {
        let frames = told.frames_of(Some(sample.merged));
        let Some(function) = frames.first().and_then(|frame| planted(frame, &starts)) else {
            continue;
        };
        count += 1;
        marked += usize::from(!is_whole(&frames));
        let mut python = frames
            .iter()
            .filter(|frame| frame.kind == FrameKind::Python);
        let caller = python.next().map(|frame| frame.name.as_str());
        assert_eq!(caller, Some(callers[function]), "{function}: {frames:#?}");
        *seen.entry(function).or_default() += sample.wall.seconds();
    }
    let place = &python.label;
    eprintln!("{place}: {count} samples in the library, {marked} with marks");
    assert!(marked * 200 <= count, "{place}: {marked} of {count}");
    let wall = |name: &str| said[name]["wall"].as_f64().expect("seconds");
    let (all_seen, all): (f64, f64) = (
        seen.values().sum(),
        functions.keys().map(|it| wall(it)).sum(),
    );
    for name in functions.keys() {
        let (share, truth) = (seen[name.as_str()] / all_seen, wall(name) / all);
        let chance = (truth * (1.0 - truth) / count as f64).sqrt();
        eprintln!(
            "{place} {name}: {:.2} % of {:.2} %",
            share * 100.0,
            truth * 100.0
        );
        assert!(
            (share - truth).abs() < TOLERANCE + 3.0 * chance,
            "{place} {name}"
        );
    }
}

test_on_each!(shares_of_native_functions_are_what_they_took);

/// Runs the program to its end, sampled or not; returns what it says.
fn outcome(python: &Python, hz: Option<f64>) -> (String, Told) {
    let mut program = run_command(&mut command(python, "interrupted.py"));
    let settings = |hz| settings(hz, StopPolicy::WhereNeeded);
    let sampler = hz.map(|hz| Sampler::start(program.pid(), settings(hz)));
    let mut said = String::new();
    while !said.ends_with("END\n") {
        said += &program.line();
    }
    let told = sampler.map(|sampler| sampler.finish().0);
    (said, told.unwrap_or_default())
}

fn calls_that_wait_return_as_they_do_alone(python: &Python) {
    let (alone, _) = outcome(python, None);
    let (sampled, told) = outcome(python, Some(250.0));
    assert_eq!(sampled, alone, "{}", python.label);
    told.check_python_frames();
    let waits = told.samples.iter().filter(|sample| sample.state.is_wait());
    let whole = waits.filter(|sample| is_whole(&told.frames_of(Some(sample.merged))));
    let mut threads: Vec<ThreadId> = whole.map(|sample| sample.thread).collect();
    threads.sort_unstable();
    threads.dedup();
    assert!(threads.len() >= 9, "{}: {threads:?}", python.label);
}

test_on!(calls_that_wait_return_as_they_do_alone: v3_9 v3_12);

/// What a thread waits in stands for the whole wait, and no thread is stopped for it.
fn a_wait_is_one_native_stack(python: &Python) {
    let program = crate::support::programs::stand(python, "threads.py");
    let sampler = Sampler::start(program.pid(), settings(100.0, StopPolicy::Never));
    std::thread::sleep(Duration::from_secs(2));
    let (told, ended) = sampler.finish();
    assert_eq!((ended, told.pauses), (Ended::Requested, 0));
    told.check_python_frames();
    let mut by_thread: HashMap<ThreadId, Vec<&NativeSample>> = HashMap::new();
    for sample in &told.samples {
        by_thread.entry(sample.thread).or_default().push(sample);
    }
    assert!(by_thread.len() >= 9, "{}: {by_thread:#?}", python.label);
    for (thread, samples) in by_thread {
        let place = format!("{} {:?}", python.label, told.threads[&thread].name);
        let last = samples.last().expect("a sample");
        let frames = told.frames_of(Some(last.merged));
        assert!(is_whole(&frames), "{place}: {frames:#?}");
        let same = samples.iter().filter(|sample| sample.merged == last.merged);
        let wall: f64 = same.map(|sample| sample.wall.seconds()).sum();
        assert!(wall > 0.5, "{place}: {wall} s: {samples:#?}");
    }
}

test_on!(a_wait_is_one_native_stack: v3_6 v3_9 v3_10 v3_11 v3_12 v3_13 v3_14 v3_15);

#[test]
fn threads_of_a_library_have_stacks_of_their_own() {
    needs!(RSAMP_SCIENCE);
    let mut command = Command::new(prepared("RSAMP_SCIENCE").join("bin/python"));
    let command = command
        .arg(program("blas.py"))
        .arg("300")
        .env("OPENBLAS_NUM_THREADS", "2");
    let mut program = run_command(command);
    let sampler = Sampler::start(program.pid(), settings(250.0, StopPolicy::WhereNeeded));
    program.send("go\n");
    let is_blas = |frame: &&Frame| module(frame).is_some_and(|name| name.contains("openblas"));
    let of_blas = |told: &Told, sample: &NativeSample| {
        let frames = told.frames_of(Some(sample.merged));
        frames.first().is_some_and(is_blas)
    };
    sampler.wait_until("samples in OpenBLAS", |told| {
        let samples = told.samples.iter();
        samples.filter(|sample| of_blas(told, sample)).count() >= 400
    });
    let (told, _) = sampler.finish();
    told.check_python_frames();
    let samples = told.samples.iter().filter(|sample| of_blas(&told, sample));
    let samples: Vec<&NativeSample> = samples.collect();
    let whole = |sample: &&&NativeSample| is_whole(&told.frames_of(Some(sample.merged)));
    let marked = samples.len() - samples.iter().filter(whole).count();
    eprintln!("{} samples in OpenBLAS, {marked} with marks", samples.len());
    let first = samples.iter().find(|sample| !whole(sample));
    let first = first.map(|sample| told.frames_of(Some(sample.merged)));
    // Its kernels have no unwind information.
    let count = samples.len();
    assert!(marked * 100 <= count, "{marked} of {count}: {first:#?}");
    let (python, others): (Vec<&NativeSample>, Vec<_>) =
        samples.iter().partition(|sample| sample.stack.is_some());
    assert!(
        python.len() > 5 && others.len() > 5,
        "{} {}",
        python.len(),
        others.len()
    );
    for sample in python {
        let frames = told.frames_of(Some(sample.merged));
        let first = frames.iter().find(|frame| frame.kind == FrameKind::Python);
        assert_eq!(
            first.map(|frame| frame.name.as_str()),
            Some("dot"),
            "{frames:#?}"
        );
    }
    for sample in others {
        assert_eq!(sample.state, State::Native);
        let thread = &told.threads[&sample.thread];
        assert!(!thread.is_main && thread.tid.is_some() && thread.name.is_some());
    }
}

/// Starts `rsamp attach` at the highest rate of native frames.
fn attach(program: &Standing, folder: &Path) -> std::process::Child {
    let mut attach = Command::new(cargo_bin("rsamp"));
    attach.args([
        "attach",
        "--native=1000",
        "--quiet",
        "--force",
        "-o",
        "a.rsamp",
        "--pid",
    ]);
    attach.arg(program.pid().to_string());
    let attach = attach.current_dir(folder).stderr(Stdio::null());
    attach.spawn().expect("rsamp")
}

fn is_growing(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.len() > 4096)
}

fn a_program_runs_on_when_rsamp_is_killed_in_a_stop(python: &Python) {
    let program = run(python, "spin.py");
    let folder = tempfile::tempdir().expect("a folder");
    let process = Process::open(Pid(program.pid())).expect("the program");
    for round in 0..5 {
        let mut rsamp = attach(&program, folder.path());
        let file = folder.path().join("a.rsamp");
        let begun = Instant::now();
        while !is_growing(&file) {
            assert!(begun.elapsed() < Duration::from_secs(60), "round {round}");
            std::thread::sleep(Duration::from_millis(3 + round));
        }
        rsamp.kill().expect("killed");
        rsamp.wait().expect("waited for");
        std::fs::remove_file(&file).expect("removed");
        let used = || {
            let tasks = process.tasks().expect("its threads").into_iter();
            tasks
                .map(|tid| process.task_cpu(tid).unwrap_or(0))
                .sum::<u64>()
        };
        let before = used();
        while used() <= before {
            assert!(begun.elapsed() < Duration::from_secs(60), "round {round}");
            std::thread::sleep(Duration::from_millis(1));
        }
        for tid in process.tasks().expect("its threads") {
            assert_ne!(
                process.task_state(tid),
                Some(TaskState::Traced),
                "round {round}"
            );
        }
    }
}

test_on!(a_program_runs_on_when_rsamp_is_killed_in_a_stop: v3_12);

fn the_sampling_ends_when_the_program_dies_in_a_stop(python: &Python) {
    for _ in 0..3 {
        let program = run(python, "spin.py");
        let sampler = Sampler::start(program.pid(), settings(1000.0, StopPolicy::WhereNeeded));
        sampler.wait_until("a stop", |told| told.pauses > 0);
        // Killed, and waited for.
        drop(program);
        let begun = Instant::now();
        while !sampler.thread.is_finished() {
            assert!(begun.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(1));
        }
        let (told, ended) = sampler.finish();
        assert_eq!(ended, Ended::TargetEnded);
        assert!(told.pauses > 0);
    }
}

test_on!(the_sampling_ends_when_the_program_dies_in_a_stop: v3_12);

fn where_stops_are_refused_it_is_said_once_and_waiting_threads_are_shown(python: &Python) {
    let program = run(python, "spin.py");
    let process = Process::open(Pid(program.pid())).expect("the program");
    let tasks = process.tasks().expect("its threads");
    // The main thread waits.
    let spins = tasks.iter().find(|tid| tid.0 != program.pid());
    let spins = spins.expect("the thread that spins").0;
    let tracer = run_command(command(python, "tracer.py").arg(spins.to_string()));
    let mut settings = settings(100.0, StopPolicy::WhereNeeded);
    settings.duration = Some(Duration::from_secs(2));
    let sampler = Sampler::start(program.pid(), settings);
    while !sampler.thread.is_finished() {
        std::thread::sleep(Duration::from_millis(10));
    }
    let (told, _) = sampler.finish();
    let [missing] = told.missing.as_slice() else {
        panic!("{:?}", told.missing);
    };
    assert_eq!(missing.what, "native frames of running threads");
    assert!(
        missing.why.contains(&format!("({})", tracer.pid())),
        "{missing:?}"
    );
    assert_eq!(told.pauses, 0);
    let is_waiting = |sample: &&NativeSample| sample.state.is_wait();
    let waiting = told
        .samples
        .iter()
        .find(is_waiting)
        .expect("a waiting thread");
    assert!(is_whole(&told.frames_of(Some(waiting.merged))));
    drop(tracer);
}

test_on!(where_stops_are_refused_it_is_said_once_and_waiting_threads_are_shown: v3_12);

/// Burns CPU time in Python for a second and a half, and prints its PID.
const BURN: &str = "\
import os, time
print(os.getpid())
def burn():
    end, x = time.perf_counter() + 1.5, 1
    while time.perf_counter() < end:
        x = (x * 5 + 1) & 0xFFFF
burn()
";

fn code_that_python_makes_for_perf_has_its_names_and_is_hidden(python: &Python) {
    let folder = tempfile::tempdir().expect("a folder");
    let rsamp = |words: &[&str]| {
        let mut rsamp = Command::new(cargo_bin("rsamp"));
        rsamp.args(words).current_dir(folder.path());
        rsamp
    };
    let interpreter = python.interpreter();
    let mut record = rsamp(&["record", "--native=500", "-o", "a.rsamp", "--"]);
    record
        .arg(interpreter.get_program())
        .args(interpreter.get_args());
    let recorded = record.args(["-X", "perf", "-c", BURN]).output();
    let recorded = recorded.expect("rsamp runs");
    assert!(recorded.status.success(), "{recorded:?}");
    // Python leaves it there.
    let pid = String::from_utf8_lossy(&recorded.stdout);
    let map = format!("/tmp/perf-{}.map", pid.trim());
    std::fs::remove_file(map).expect("a perf map");
    let folded = |which: &str| {
        let words = [
            "report",
            "a.rsamp",
            "-f",
            "folded",
            "--native-frames",
            which,
        ];
        let output = rsamp(&words).output().expect("rsamp runs");
        String::from_utf8(output.stdout).expect("text")
    };
    let (all, libraries) = (folded("all"), folded("libraries"));
    assert!(all.contains("py::burn:<string> in [jit]"), "{all}");
    assert!(
        libraries.contains("burn") && !libraries.contains("py::"),
        "{libraries}"
    );
}

test_on!(code_that_python_makes_for_perf_has_its_names_and_is_hidden: v3_12 v3_13);

fn without_the_option_nothing_is_read(python: &Python) {
    let program = run(python, "spin.py");
    let mut settings = settings(100.0, StopPolicy::Never);
    settings.native = None;
    settings.duration = Some(Duration::from_millis(300));
    let sampler = Sampler::start(program.pid(), settings);
    while !sampler.thread.is_finished() {
        std::thread::sleep(Duration::from_millis(10));
    }
    let (told, _) = sampler.finish();
    assert!(told.samples.is_empty() && told.pauses == 0);
    let native = told.frames.iter().filter_map(module).count();
    assert_eq!(native, 0);
}

test_on!(without_the_option_nothing_is_read: v3_12);
