//! Samples programs that end, exec, fork, stop, never become Python, or destroy their own stacks.

use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use rsamp::process::Pid;
use rsamp::profile::{LostCause, Nanos, ProcessId, Profile};
use rsamp::sampler;
use rsamp::sampler::{
    Budget, Children, EndRequest, Ended, Progress, Rate, SamplerError, Settings, sample,
};

use crate::oracle::Stopped;
use crate::stacks::dump;
use crate::support::programs::{Standing, command, run, run_command};
use crate::support::pythons::{Python, python};

/// Nothing here takes longer, however busy the machine is.
const LIMIT: Duration = Duration::from_secs(30);

/// A recording that goes on while the test does something to the target.
pub struct Recording {
    sampler: JoinHandle<Result<Ended, SamplerError>>,
    profile: Arc<Mutex<Profile>>,
    stop: EndRequest,
    begin: Instant,
}

impl Recording {
    fn start(pid: i32, rate_hz: f64, duration: Option<Duration>) -> Recording {
        Recording::with(pid, rate_hz, duration, Children::Ignored)
    }

    /// Of a process and those that descend from it.
    pub fn of_tree(pid: i32, rate_hz: f64) -> Recording {
        Recording::with(pid, rate_hz, None, Children::Followed)
    }

    fn with(pid: i32, rate_hz: f64, duration: Option<Duration>, children: Children) -> Recording {
        let (profile, stop) = (Arc::<Mutex<Profile>>::default(), EndRequest::default());
        let settings = Settings {
            stops: rsamp::sampler::StopPolicy::WhereNeeded,
            rate: Rate::Fixed(rate_hz),
            budget: Budget::Unlimited,
            duration,
            delay: None,
            start_timeout: None,
            children,
            beside: Vec::new(),
            native: None,
        };
        let (shared, asked) = (Arc::clone(&profile), stop.clone());
        let begin = Instant::now();
        let sampler = std::thread::spawn(move || {
            let mut emit = |event| locked(&shared).apply(event);
            sample(Pid(pid), &settings, &asked, &Progress::default(), &mut emit)
        });
        Recording {
            sampler,
            profile,
            stop,
            begin,
        }
    }

    /// Waits until the profile so far is as wanted.
    pub fn wait_until(&self, what: &str, wanted: impl Fn(&Profile) -> bool) {
        let begin = Instant::now();
        while !wanted(&locked(&self.profile)) {
            let ended = self.sampler.is_finished();
            assert!(begin.elapsed() < LIMIT && !ended, "{what} did not come");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until function `name` was seen, and the main thread is known.
    fn wait_for(&self, name: &str) {
        self.wait_until(name, |profile| {
            let main = profile.threads().iter().filter(|thread| thread.is_main);
            // Frames are told before the process that they were first seen in.
            let processes = profile.processes().len();
            has_function(profile, name) && processes > 0 && main.count() == processes
        });
    }

    /// Waits for the end; the recording must make sense: all times add up to its duration.
    pub fn end(self) -> (Ended, Profile) {
        while !self.sampler.is_finished() {
            assert!(self.begin.elapsed() < LIMIT, "the recording does not end");
            std::thread::sleep(Duration::from_millis(1));
        }
        let ended = self.sampler.join().expect("no panic").expect("a recording");
        let profile = std::mem::take(&mut *locked(&self.profile));
        assert_eq!(profile.rejected(), 0);
        assert!(profile.is_complete());
        let duration = profile.duration().seconds();
        assert!(duration <= self.begin.elapsed().as_secs_f64());
        let told = profile.rates().iter().map(|span| span.time.0);
        assert_eq!(told.sum::<u64>(), profile.duration().0);
        for process in 0..profile.processes().len() {
            let is_main = |id: usize| {
                let thread = &profile.threads()[id];
                thread.is_main && thread.process.0 as usize == process
            };
            let main = (0..profile.threads().len()).filter(|id| is_main(*id));
            let processes = profile.processes();
            // A child may have run another program before its threads were known.
            let may_have_none = processes[process].pid != processes[0].pid;
            let count = main.count();
            let is_right = count == 1 || (count == 0 && may_have_none);
            assert!(is_right, "{:?}", profile.threads());
        }
        (ended, profile)
    }
}

fn locked(profile: &Mutex<Profile>) -> std::sync::MutexGuard<'_, Profile> {
    profile.lock().unwrap_or_else(PoisonError::into_inner)
}

fn has_function(profile: &Profile, name: &str) -> bool {
    // The first stack of a run is told at its beginning.
    profile.frames().iter().any(|frame| frame.name == name)
}

/// What the main threads were seen doing adds up to the duration within 0.5 % and a millisecond.
fn check_sum(profile: &Profile) {
    let threads = profile.threads().iter().zip(profile.thread_totals());
    let main = threads.filter(|(thread, _)| thread.is_main);
    let sum: f64 = main.map(|(_, totals)| totals.wall.seconds()).sum();
    let duration = profile.duration().seconds();
    let far = (sum - duration).abs();
    assert!(far < duration * 0.005 + 0.001, "{sum} s in {duration} s");
}

/// Starts `python -c code`, which says READY.
fn run_code(python: &Python, code: &str) -> Standing {
    run_command(python.interpreter().args(["-c", code]))
}

/// Waits for a line in a function of that name.
const WAITS: &str = "
import os, sys
def waits():
    print('READY', flush=True)
    return sys.stdin.readline()
";

fn a_rate_beyond_what_can_be_held_is_told_and_keeps_the_sum(python: &Python) {
    let program = run(python, "spin.py");
    let duration = Some(Duration::from_millis(300));
    let (ended, profile) = Recording::start(program.pid(), 1e9, duration).end();
    assert_eq!(ended, Ended::DurationOver, "{}", python.label);
    check_sum(&profile);
    let [span] = profile.rates() else {
        panic!("{:?}", profile.rates());
    };
    assert_eq!(span.millihertz, 1_000_000_000_000);
    let late = profile.lost()[&LostCause::Late] + span.ticks;
    assert!(late > 100 * span.ticks, "{late} due, {} taken", span.ticks);
    assert!(span.own_cpu > Nanos(0) && span.ticks > 100, "{span:?}");
}

test_on!(a_rate_beyond_what_can_be_held_is_told_and_keeps_the_sum: v3_9 v3_13);

fn a_program_that_ends_keeps_what_there_is(python: &Python) {
    let mut program = run_code(python, &format!("{WAITS}\nwaits()\n"));
    let recording = Recording::start(program.pid(), 500.0, None);
    recording.wait_for("waits");
    program.send("end\n");
    let (ended, profile) = recording.end();
    assert_eq!(ended, Ended::TargetEnded, "{}", python.label);
    check_sum(&profile);
}

test_on!(a_program_that_ends_keeps_what_there_is: v3_6 v3_9 v3_11 v3_13 v3_15);

fn a_program_that_is_killed_keeps_what_there_is(python: &Python) {
    let program = run(python, "spin.py");
    let recording = Recording::start(program.pid(), 500.0, None);
    recording.wait_for("spin");
    kill(nix::unistd::Pid::from_raw(program.pid()), Signal::SIGKILL).expect("killed");
    let (ended, profile) = recording.end();
    assert_eq!(ended, Ended::TargetEnded, "{}", python.label);
    check_sum(&profile);
}

test_on!(a_program_that_is_killed_keeps_what_there_is: v3_6 v3_11 v3_14);

/// Each step needs two interpreters.
#[test]
fn an_exec_into_another_python_is_followed() {
    needs!(v3_6, v3_9, v3_11, system, v3_12, v3_15);
    let versions = ["v3_6", "v3_9", "v3_11", "system", "v3_12", "v3_15"].map(python);
    for (first, second) in versions.iter().zip(versions.iter().skip(1)) {
        let code = format!("{WAITS}\nwaits()\nos.execv(sys.argv[1], sys.argv[1:])\n");
        let next = format!("{}\nwaits_again()\n", WAITS.replace("waits", "waits_again"));
        let mut command = first.interpreter();
        command.args(["-c", &code]);
        command.args(&second.command).args(["-c", &next]);
        let mut program = run_command(&mut command);
        let recording = Recording::start(program.pid(), 500.0, None);
        recording.wait_for("waits");
        program.send("exec\n");
        assert_eq!(program.line(), "READY\n");
        recording.wait_for("waits_again");
        program.send("end\n");
        let (ended, profile) = recording.end();
        assert_eq!(ended, Ended::TargetEnded);
        let seen: Vec<_> = profile
            .processes()
            .iter()
            .map(|p| p.python.clone())
            .collect();
        assert_eq!(seen, [first.label.clone(), second.label.clone()]);
        let pids: Vec<_> = profile.processes().iter().map(|p| p.pid).collect();
        assert_eq!(pids, [program.pid(); 2]);
        let parents: Vec<_> = profile.processes().iter().map(|p| p.parent).collect();
        assert_eq!(parents, [None, Some(ProcessId(0))]);
        let rates = profile.rates().iter().map(|span| span.millihertz);
        assert_eq!(
            rates.collect::<Vec<_>>(),
            [500_000, 0],
            "a pause is no rate"
        );
    }
}

fn an_exec_of_the_same_program_leaves_no_thread_behind(python: &Python) {
    let code = "import os, sys, time
left = int(sys.argv[1])
if left == 8:
    print('READY', flush=True)
    sys.stdin.readline()
end = time.time() + 0.12
while time.time() < end: pass
if left: os.execv(sys.executable, [sys.executable, '-c', sys.argv[2], str(left - 1), sys.argv[2]])
";
    // Debian's 3.11.2 is not position-independent: after an exec its interpreter is where it was before.
    let mut command = python.interpreter();
    let mut program = run_command(command.args(["-c", code, "8", code]));
    let recording = Recording::start(program.pid(), 1000.0, None);
    recording.wait_until("a thread", |profile| !profile.threads().is_empty());
    program.send("go\n");
    let (_, profile) = recording.end();
    assert!(profile.processes().len() > 1, "{}", python.label);
    let totals = profile.thread_totals();
    let sum: f64 = totals.iter().map(|totals| totals.wall.seconds()).sum();
    let duration = profile.duration().seconds();
    assert!(
        sum < duration * 1.005 + 0.001,
        "{}: {sum} of {duration}",
        python.label
    );
}

test_on!(an_exec_of_the_same_program_leaves_no_thread_behind: v3_9 v3_11 system);

fn a_program_whose_main_thread_has_ended_is_read_by_another(python: &Python) {
    let code = "import ctypes, os, platform, sys, threading, time
def works():
    path = '/proc/%d/stat' % os.getpid()
    while open(path).read().rsplit(')', 1)[1].split()[0] != 'Z':
        time.sleep(0.001)
    print('READY', flush=True)
    sys.stdin.readline()
    os._exit(0)
threading.Thread(target=works).start()
ctypes.CDLL(None).syscall({'x86_64': 60}.get(platform.machine(), 93), 0)
";
    let mut program = run_code(python, code);
    let seen = dump(program.pid(), &python.label);
    let works = |name: &str| name.ends_with("works");
    let mut frames = seen.threads.iter().flat_map(|thread| &thread.frames);
    assert!(frames.any(|frame| works(&frame.name)), "{seen:?}");
    if python.version < (3, 11, 0) {
        // The main thread's id is gone with it.
        return;
    }
    let recording = Recording::start(program.pid(), 500.0, None);
    recording.wait_until("the other thread", |profile| {
        profile.frames().iter().any(|frame| works(&frame.name))
    });
    program.send("end\n");
    let (ended, profile) = recording.end();
    assert_eq!(ended, Ended::TargetEnded, "{}", python.label);
    assert_eq!(profile.processes().len(), 1);
}

test_on!(a_program_whose_main_thread_has_ended_is_read_by_another: v3_9 v3_11 v3_13);

fn a_shell_that_execs_python_is_waited_for(python: &Python) {
    let code = format!("{WAITS}\nwaits()\n");
    let mut command = Command::new("sh");
    command.args(["-c", "echo READY; read line; exec \"$@\"", "sh"]);
    command.args(&python.command).args(["-c", &code]);
    let mut program = run_command(&mut command);
    let recording = Recording::start(program.pid(), 500.0, None);
    program.send("exec\n");
    recording.wait_for("waits");
    program.send("end\n");
    let (ended, profile) = recording.end();
    assert_eq!(ended, Ended::TargetEnded);
    assert_eq!(profile.processes()[0].python, python.label);
    check_sum(&profile);
}

test_on!(a_shell_that_execs_python_is_waited_for: v3_6 v3_11 v3_15);

#[test]
fn a_shell_that_stays_one_is_named() {
    let mut command = Command::new("sh");
    let mut program = run_command(command.args(["-c", "echo READY; read line"]));
    let error = sampler::dump(Pid(program.pid())).expect_err("no Python");
    let exe = std::fs::read_link(format!("/proc/{}/exe", program.pid())).expect("a link");
    assert!(matches!(error, SamplerError::NotPython { .. }), "{error:?}");
    assert!(
        error.to_string().contains(&exe.display().to_string()),
        "{error}"
    );
    // It also ends while it is waited for.
    let recording = Recording::start(program.pid(), 100.0, None);
    program.send("end\n");
    let error = recording
        .sampler
        .join()
        .expect("no panic")
        .expect_err("no Python");
    let is_end = matches!(
        error,
        SamplerError::NeverPython { .. }
            | SamplerError::NoSuchProcess(_)
            | SamplerError::EndedEarly(_)
    );
    assert!(is_end, "{error:?}");
}

fn a_stopped_program_waits(python: &Python) {
    let program = run(python, "spin.py");
    let recording = Recording::start(program.pid(), 500.0, None);
    recording.wait_for("spin");
    let begin = Instant::now();
    let stopped = Stopped::new(program.pid());
    let is_stopped = Instant::now();
    // Runs are told at least each second.
    let before = locked(&recording.profile).totals().wall;
    recording.wait_until("a sample of the stopped program", |profile| {
        profile.totals().wall.0 > before.0 + 3_000_000_000
    });
    let waited = is_stopped.elapsed().as_secs_f64();
    drop(stopped);
    let stopped_at_most = begin.elapsed().as_secs_f64();
    drop(program);
    let (ended, profile) = recording.end();
    assert_eq!(ended, Ended::TargetEnded);
    check_sum(&profile);
    let threads = profile.threads().iter().zip(profile.thread_totals());
    let spin = threads.filter(|(thread, _)| thread.name.as_deref() == Some("spin"));
    for (_, totals) in spin {
        let idle = totals.wall.seconds() - totals.cpu.seconds();
        let near = idle > waited * 0.9 && idle < stopped_at_most + 0.1;
        assert!(near, "{idle} s idle, {waited} s stopped");
    }
}

test_on!(a_stopped_program_waits: v3_9 v3_13);

fn a_duration_ends_the_recording_and_not_the_program(python: &Python) {
    let program = run(python, "spin.py");
    let duration = Duration::from_millis(300);
    let recording = Recording::start(program.pid(), 200.0, Some(duration));
    let (ended, profile) = recording.end();
    assert_eq!(ended, Ended::DurationOver);
    assert!(profile.duration().0 >= 300_000_000);
    check_sum(&profile);
    dump(program.pid(), "the program runs on");
}

test_on!(a_duration_ends_the_recording_and_not_the_program: v3_12);

fn a_request_to_stop_is_heard_between_two_ticks(python: &Python) {
    let program = run(python, "spin.py");
    // The second tick is due after 50 s or later.
    let recording = Recording::start(program.pid(), 0.01, None);
    recording.wait_for("<module>");
    recording.stop.request();
    let (ended, profile) = recording.end();
    assert_eq!(ended, Ended::Requested);
    check_sum(&profile);
    dump(program.pid(), "the program runs on");
}

test_on!(a_request_to_stop_is_heard_between_two_ticks: v3_12);

fn a_child_that_was_forked_is_not_sampled_but_can_be(python: &Python) {
    let code = format!(
        "{WAITS}
import threading
parent = os.getpid()
begun, begin = os.pipe()
def only_in_child():
    os.write(begin, b'.')
    while os.getppid() == parent:
        pass
    os._exit(0)
child = os.fork()
if child == 0:
    only_in_child()
os.read(begun, 1)
print(child, flush=True)
waits()
"
    );
    let mut command = python.interpreter();
    command.args(["-W", "ignore", "-c", &code]);
    let (mut program, said) = started_saying(&mut command);
    let child: i32 = said.trim().parse().expect("a PID");
    let recording = Recording::start(program.pid(), 200.0, None);
    recording.wait_for("waits");
    // It lets go of the GIL to say that it has begun, and takes it again for good.
    let begin = Instant::now();
    let dump = loop {
        let dump = dump(child, &python.label);
        assert_eq!(dump.threads.len(), 1);
        if dump.threads[0].holds_gil == Some(true) || begin.elapsed() > LIMIT {
            break dump;
        }
    };
    let thread = &dump.threads[0];
    let names: Vec<_> = thread
        .frames
        .iter()
        .map(|frame| frame.name.as_str())
        .collect();
    assert_eq!(names, ["only_in_child", "<module>"], "{}", python.label);
    let identity = (
        thread.tid,
        thread.name.as_deref(),
        thread.is_main,
        thread.holds_gil,
    );
    let expected = (Some(child), Some("MainThread"), true, Some(true));
    assert_eq!(identity, expected, "{}", python.label);
    program.send("end\n");
    let (_, profile) = recording.end();
    assert_eq!(profile.processes().len(), 1);
    assert!(!has_function(&profile, "only_in_child"));
}

test_on_each!(a_child_that_was_forked_is_not_sampled_but_can_be);

/// Starts a program that says a line and then READY.
fn started_saying(command: &mut Command) -> (Standing, String) {
    let mut program = crate::support::programs::spawn(command);
    let said = program.line();
    assert_eq!(program.line(), "READY\n");
    (program, said)
}

fn an_interpreter_that_finalises_with_threads_is_an_end(python: &Python) {
    let code = format!(
        "{WAITS}
import threading, time
def spins():
    while True:
        [number * 2 for number in range(1000)]
def sleeps():
    while True:
        time.sleep(0.001)
for target in [spins, spins, sleeps, sleeps]:
    threading.Thread(target=target, daemon=True).start()
class Slow:
    def __del__(self):
        time.sleep(0.05)
slow = Slow()
waits()
"
    );
    let mut program = run_code(python, &code);
    let recording = Recording::start(program.pid(), 1000.0, None);
    recording.wait_for("spins");
    recording.wait_for("sleeps");
    program.send("end\n");
    let (ended, profile) = recording.end();
    assert_eq!(ended, Ended::TargetEnded, "{}", python.label);
    check_sum(&profile);
}

test_on_each!(an_interpreter_that_finalises_with_threads_is_an_end);

fn a_damaged_stack_is_cut(python: &Python) {
    for kind in ["unmapped", "circle", "text"] {
        let place = format!("{} {kind}", python.label);
        let program = run_command(command(python, "damaged.py").arg(kind));
        program.wait_until_asleep();
        let begin = Instant::now();
        let dump = dump(program.pid(), &place);
        let thread = &dump.threads[0];
        assert!(thread.incomplete.is_some(), "{place}: {thread:?}");
        let names = thread.frames.iter().map(|frame| frame.name.as_str());
        let names: Vec<_> = names.take(2).collect();
        assert_eq!(names, ["wait", "damaged_generator"], "{place}");
        assert!(begin.elapsed() < LIMIT, "{place}");
        if kind == "circle" {
            continue;
        }
        let recording = Recording::start(program.pid(), 50.0, None);
        recording.wait_until("a stack that breaks off", |profile| {
            profile.lost().get(&LostCause::BrokenLink) > Some(&0)
        });
        drop(program);
        assert_eq!(recording.end().0, Ended::TargetEnded);
    }
}

test_on!(a_damaged_stack_is_cut: v3_11 v3_12 v3_13 v3_14 v3_15);
