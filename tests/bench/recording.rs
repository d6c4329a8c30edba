//! Turns made-up recordings into times and sizes: `cargo bench --bench recording`.
//!
//! Times depend on the machine; each is printed beside one that was measured in the same run to compare
//! with. Two more comparisons need Python programs, named in the environment: `RSAMP_SCIENCE`, a virtual
//! environment with what tests/programs/scatter.py imports, and `RSAMP_PY_SPY`, the py-spy command.

#![expect(clippy::print_stdout, reason = "what a benchmark is for")]

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use rsamp::profile::{
    Event, Frame, FrameId, FrameKind, Nanos, Process, ProcessId, Profile, Sample, StackId, Thread,
    ThreadId,
};
use rsamp::recording::{Care, Header, ProcessFiles, Reader, Recorder, Text, Writer};

/// About as many as a program of a few thousand lines shows in a minute.
const STACKS: u32 = 1000;
const DEPTH: u32 = 20;

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    merge_many(folder.path());
    gather_many(folder.path());
    read_and_fold(10_000_000);
    record(folder.path(), 2_000_000);
    compare_with_py_spy(folder.path());
}

fn header(number: u64) -> Header {
    Header {
        host: "node01".to_owned(),
        start_unix_ns: number,
        command: vec!["python".to_owned(), "scatter.py".to_owned()],
        ..Header::default()
    }
}

/// One thread's samples in random order, after what they need.
fn events(samples: u32, interval_ns: u64, seed: u64) -> impl Iterator<Item = Event> {
    let (pid, command, python) = (4242, vec!["python".to_owned()], "3.11.7".to_owned());
    let thread = Thread {
        process: ProcessId(0),
        tid: Some(4242),
        name: Some("MainThread".to_owned()),
        is_main: true,
    };
    let first = [
        Event::Process(
            ProcessId(0),
            Process {
                pid,
                command,
                python,
                ..Process::default()
            },
        ),
        Event::Thread(ThreadId(0), thread),
    ];
    let stacks = (0..STACKS).flat_map(|id| {
        let frame = Frame {
            kind: FrameKind::Python,
            name: format!("Class{}.method{id}", id / 10),
            file: Some(format!("/home/ada/project/package/module{}.py", id / 40)),
            first_line: Some(id * 7),
            line: Some(id * 7 + 3),
        };
        let parent = (id % DEPTH != 0).then(|| StackId(id - 1));
        let (stack, frame_id) = (StackId(id), FrameId(id));
        [
            Event::Frame(frame_id, frame),
            Event::Stack {
                id: stack,
                parent,
                frame: frame_id,
            },
        ]
    });
    let mut random = seed | 1;
    let mut at = 0;
    let samples = (0..samples).map(move |_| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // As the sampler's times: in 1/64 of the interval, within half of it around the mean.
        let wall = interval_ns / 64 * (32 + random % 64);
        at += wall;
        // Few of the stacks are most of the samples.
        let stack = (random >> 8) % u64::from(STACKS) * ((random >> 32) % 10) / 10;
        Event::Sample(Sample {
            at: Nanos(at),
            thread: ThreadId(0),
            stack: Some(StackId(stack as u32)),
            ticks: 1,
            wall: Nanos(wall),
            cpu: Nanos(if random & 64 == 0 { 0 } else { wall }),
            gil: Nanos(wall),
            ..Sample::default()
        })
    });
    first
        .into_iter()
        .chain(stacks)
        .chain(samples)
        .chain([Event::End(Nanos(u64::MAX / 2))])
}

/// With a block for each second, as the recorder writes them.
fn write(file: File, number: u64, samples: u32, interval_ns: u64) {
    let mut writer = Writer::new(file, header(number)).expect("written");
    for (at, event) in events(samples, interval_ns, number).enumerate() {
        writer.event(&event).expect("written");
        if (at as u64).is_multiple_of(1_000_000_000 / interval_ns) {
            writer.flush().expect("written");
        }
    }
    writer.finish().expect("written");
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let done = work();
    (done, start.elapsed().as_secs_f64())
}

/// 1,000 recordings of a minute at 100 Hz, under the names that ranks give them, by the command that a user types.
fn merge_many(folder: &Path) {
    let folder = folder.join("many");
    fs::create_dir(&folder).expect("made");
    for number in 0..1000 {
        let file = File::create(folder.join(format!("n1-r{number}-1-1.rsamp")));
        let file = file.expect("a file");
        write(file, number, 6000, 10_000_000);
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_rsamp"));
    command
        .arg("report")
        .arg(folder.join("*.rsamp"))
        .stdout(Stdio::null());
    let (status, seconds) = timed(|| command.status().expect("rsamp runs"));
    assert!(status.success());
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("usage");
    println!(
        "merge 1,000 recordings of 6,000 samples: {seconds:.2} s (goal 5 s), {} MB at most (goal 500 MB)",
        usage.max_rss() / 1000
    );
}

/// The same, as the ranks of a launcher leave them, into one recording: what rsamp does when the launcher has ended.
fn gather_many(folder: &Path) {
    let launcher = folder.join("launcher");
    fs::write(&launcher, "#!/bin/sh\nln many/* *.ranks/launcher-*\n").expect("written");
    fs::set_permissions(&launcher, fs::Permissions::from_mode(0o755)).expect("permissions");
    let mut command = Command::new(env!("CARGO_BIN_EXE_rsamp"));
    command
        .current_dir(folder)
        .args(["record", "-q", "-o", "all.rsamp", "-o", "all.svg"]);
    command
        .args(["--launcher", "srun", "--"])
        .arg(&launcher)
        .arg("true");
    let (status, seconds) = timed(|| command.status().expect("rsamp runs"));
    assert!(status.success());
    let bytes = fs::metadata(folder.join("all.rsamp"))
        .expect("written")
        .len();
    println!(
        "gather the recordings of 1,000 ranks into one of {bytes} bytes: {seconds:.2} s (goal 5 s)"
    );
}

fn read_and_fold(samples: u32) {
    let file = tempfile::tempfile().expect("a file");
    let ((), writing) = timed(|| write(file.try_clone().expect("cloned"), 7, samples, 1_000_000));
    let bytes = file.metadata().expect("metadata").len();
    let fold = |profile: &mut Profile| {
        let (_, seconds) =
            timed(|| events(samples, 1_000_000, 7).for_each(|event| profile.apply(event)));
        seconds
    };
    let mut direct = Profile::default();
    let folding = fold(&mut direct);
    let mut from = file;
    std::io::Seek::rewind(&mut from).expect("rewound");
    let mut profile = Profile::default();
    let mut reader = Reader::new(std::io::BufReader::new(from)).expect("a recording");
    let (_, reading) = timed(|| {
        reader
            .read(&mut |event| profile.apply(event))
            .expect("read")
    });
    assert_eq!(profile.totals(), direct.totals());
    let each = |seconds: f64| seconds * 1e9 / f64::from(samples);
    println!(
        "read and fold {samples} samples: {reading:.2} s (goal 1 s), {:.0} ns each; \
         make and fold them without a file: {:.0} ns each; encode and compress: {:.0} ns each",
        each(reading),
        each(folding),
        each(writing)
    );
    println!(
        "{:.2} bytes per sample (each with a stack of its own)",
        bytes as f64 / f64::from(samples)
    );
}

#[derive(Debug)]
struct Nothing;

impl ProcessFiles for Nothing {
    fn appeared(&self, _: ProcessId, _: i32) {}
    fn executable(&self, _: i32) -> Option<String> {
        None
    }
    fn source(&self, _: ProcessId, _: &str, _: Instant) -> Option<Text> {
        None
    }
}

/// What it costs the sampler's thread to hand over its samples, at once and with a pause now and then.
fn record(folder: &Path, samples: u32) {
    let path = folder.join("recorded.rsamp");
    let open = move || Ok((File::create(path)?, header(1)));
    let recorder =
        Recorder::start(Box::new(open), Arc::new(Nothing), Care::default()).expect("started");
    let mut spent = Duration::ZERO;
    for (number, event) in events(samples, 1_000_000, 7).enumerate() {
        let start = Instant::now();
        recorder.record(&event);
        spent += start.elapsed();
        if number.is_multiple_of(10_000) {
            // 10,000 samples in a row are more than any sampler takes at once.
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    recorder.finish().expect("written");
    let mut clocks = Duration::ZERO;
    for _ in 0..samples {
        let start = Instant::now();
        clocks += start.elapsed();
    }
    let each = |spent: Duration| spent.as_nanos() as f64 / f64::from(samples);
    println!(
        "hand a sample to the recorder: {:.0} ns (goal 500 ns), of which reading the clock {:.0} ns",
        each(spent),
        each(clocks)
    );
}

/// One run of scatter.py, recorded by both at 1 kHz.
fn compare_with_py_spy(folder: &Path) {
    let (Ok(science), Ok(py_spy)) = (
        std::env::var("RSAMP_SCIENCE"),
        std::env::var("RSAMP_PY_SPY"),
    ) else {
        println!("not compared with py-spy: RSAMP_SCIENCE and RSAMP_PY_SPY are not set");
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/scatter.py");
    let mut program = Command::new(Path::new(&science).join("bin/python"));
    program
        .arg(script)
        .args(["-nx", "1000", "-ny", "40", "-nc", "800"]);
    let mut program = program.stdout(Stdio::null()).spawn().expect("python runs");
    std::thread::sleep(Duration::from_secs(2));
    let (pid, seconds) = (program.id().to_string(), "20");
    let (own, other) = (folder.join("own.rsamp"), folder.join("other.json"));
    let mut rsamp = Command::new(env!("CARGO_BIN_EXE_rsamp"));
    rsamp
        .args(["attach", "-q", "--no-source", "-d", seconds, "-o"])
        .arg(&own)
        .arg(&pid);
    let mut py_spy = Command::new(py_spy);
    py_spy.args([
        "record",
        "--nonblocking",
        "-r",
        "1000",
        "-d",
        seconds,
        "-f",
        "speedscope",
    ]);
    py_spy
        .args(["-p", &pid, "-o"])
        .arg(&other)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut running = [
        rsamp.spawn().expect("rsamp runs"),
        py_spy.spawn().expect("py-spy runs"),
    ];
    for command in &mut running {
        assert!(command.wait().expect("waited").success());
    }
    program.kill().expect("killed");
    program.wait().expect("waited");
    let bytes = |path: &Path| fs::metadata(path).expect("written").len();
    let mut profile = Profile::default();
    let mut reader = Reader::new(File::open(&own).expect("opened")).expect("a recording");
    reader
        .read(&mut |event| profile.apply(event))
        .expect("read");
    let samples = profile.totals().samples;
    println!(
        "scatter.py at 1 kHz: {} bytes for {samples} samples, {:.2} each; py-spy's speedscope file of the \
         same time: {} bytes, {:.0} times as many",
        bytes(&own),
        bytes(&own) as f64 / samples as f64,
        bytes(&other),
        bytes(&other) as f64 / bytes(&own) as f64
    );
}
