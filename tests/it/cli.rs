//! Turns command lines into what a user sees of them: exit code, standard output, standard error.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::Path;
use std::process::{Command, Output};

use assert_cmd::cargo::cargo_bin;
use rsamp::export;
use rsamp::export::{Drawing, Format, Lines, Meta, ReportInput, SourceText};
use rsamp::profile::{Event, Frame, FrameKind, Loss, LostCause, Mode, Nanos, Profile, RateSpan};
use rsamp::recording::{Header, Variable, Writer};

use crate::filter::Script;

/// What came of one run.
struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs rsamp in `folder` with the words of `line`.
fn rsamp_in(folder: &Path, words: &[&str]) -> Run {
    let output = command(folder, words).output().expect("rsamp runs");
    run_of(output)
}

fn rsamp(words: &[&str]) -> Run {
    rsamp_in(tempfile::tempdir().expect("a folder").path(), words)
}

fn command(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(cargo_bin!("rsamp"));
    command
        .args(words)
        .current_dir(folder)
        .env("COLUMNS", "100");
    command
}

fn run_of(output: Output) -> Run {
    Run {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs rsamp with the words of `line` and expects its code, and each part on standard error.
fn check(line: &str, code: i32, parts: &[&str]) {
    let run = rsamp(&line.split_whitespace().collect::<Vec<_>>());
    assert_eq!(run.code, Some(code), "rsamp {line}: {}", run.stderr);
    assert_eq!(run.stdout, "", "rsamp {line}");
    for part in parts {
        assert!(
            run.stderr.contains(part),
            "rsamp {line}: no {part:?} in {}",
            run.stderr
        );
    }
}

#[test]
fn a_program_that_is_to_draw_is_looked_for_before_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let touch = ["record", "-o", "calls.png", "--", "/bin/touch", "started"];
    let mut command = command(folder.path(), &touch);
    let output = command.env("PATH", folder.path()).output();
    let run = run_of(output.expect("rsamp runs"));
    assert_eq!(run.code, Some(73), "{}", run.stderr);
    assert!(
        run.stderr.contains("drawn by the program dot"),
        "{}",
        run.stderr
    );
    assert!(
        run.stderr.contains("apt install graphviz"),
        "{}",
        run.stderr
    );
    assert!(!folder.path().join("started").exists());
}

#[test]
fn wrong_usage_is_explained() {
    check(
        "record --pid 42 -- python x.py",
        2,
        &["rsamp: error: `record`", "hint: ", "rsamp attach --pid 42"],
    );
    check(
        "attach --pid 42 -- python x.py",
        2,
        &[
            "rsamp: error: `attach`",
            "hint: ",
            "rsamp record -- python x.py",
        ],
    );
    check("dump 42 python", 2, &["rsamp: error: `dump`"]);
    check(
        "record -r 0 true",
        2,
        &["invalid --rate \"0\"", "hint: see rsamp record --help"],
    );
    check("record -r -1 true", 2, &["invalid --rate \"-1\""]);
    check("record -r NaN true", 2, &["invalid --rate \"NaN\""]);
    check(
        "record -r 1e10 true",
        2,
        &["give 0.001 to 1000000000 samples per second, or auto"],
    );
    check(
        "record --max-overhead 0 true",
        2,
        &["invalid --max-overhead \"0\"", "up to 100"],
    );
    check("record -d 0 true", 2, &["invalid --duration \"0\""]);
    check(
        "record --delay -1 true",
        2,
        &["invalid --delay \"-1\": give seconds above 0"],
    );
    for ranks in ["x", "3-1", "-1", "1-", "99999999999"] {
        check(
            &format!("record --ranks {ranks} true"),
            2,
            &["invalid --ranks", "give numbers from 0", "0,7,100-110"],
        );
    }
    for size in ["10", "0M", "1X", "-1M", "nan", "infG"] {
        check(
            &format!("record --max-size {size} true"),
            2,
            &["invalid --max-size", "at least 256K, such as 500K"],
        );
    }
    check("attach -d -3 42", 2, &["invalid --duration \"-3\""]);
    check("record -o a.gif true", 2, &["unknown ending .gif", ".svg"]);
    check("record -f gif true", 2, &["invalid --format \"gif\""]);
    check("attach scatter.py", 2, &["invalid process id"]);
    check("record", 2, &["COMMAND"]);
    check("attach", 2, &["name one with --pid"]);
    check("frobnicate", 2, &["unrecognized subcommand"]);
    check("completions tcsh", 2, &["bash", "fish"]);
    check("", 2, &["Usage: rsamp", "Examples:"]);
}

#[test]
fn help_has_examples_and_exit_codes() {
    let table: &[(&[&str], &[&str])] = &[
        (
            &["--help"],
            &[
                "Examples:",
                "rsamp record -- python scatter.py",
                "rsamp help formats, ranks, exit-codes",
            ],
        ),
        (
            &["help", "exit-codes"],
            &["Exit codes:", "127", "74", "128+N"],
        ),
        (&["help", "formats"], &[".svg", "NAME-PID.svg", "%q{NAME}"]),
        (
            &["help", "ranks"],
            &["srun", "sbatch job.sl", "NAME-PID.ranks"],
        ),
        (
            &["help", "record"],
            &[
                "Usage: rsamp record",
                "NAME-PID.svg",
                "PR_SET_CHILD_SUBREAPER",
                "not below",
            ],
        ),
        (&["help", "dump"], &["schema", "holds_gil"]),
        (&["help"], &["Usage: rsamp", "Examples:"]),
        (&["-h"], &["Examples:", "sudo rsamp attach --pid 1234"]),
        (
            &["record", "--help"],
            &[
                "Examples:",
                "rsamp record -- python scatter.py",
                "--rate",
                "--force",
                "scatter-PID.svg",
                "exit code",
            ],
        ),
        (
            &["attach", "--help"],
            &["Examples:", "sudo rsamp attach", "Ctrl-C"],
        ),
        (
            &["dump", "--help"],
            &["Examples:", "sudo rsamp dump", "schema"],
        ),
        (
            &["report", "--help"],
            &["Examples:", "rsamp report scatter-1234.rsamp", "66"],
        ),
        (
            &["completions", "--help"],
            &["Examples:", "rsamp completions bash"],
        ),
    ];
    for (words, parts) in table {
        let run = rsamp(words);
        assert_eq!(run.code, Some(0), "{words:?}");
        for part in *parts {
            assert!(
                run.stdout.contains(part),
                "{words:?}: no {part:?} in {}",
                run.stdout
            );
        }
    }
}

#[test]
fn help_fits_a_terminal() {
    let pages: [&[&str]; 13] = [
        &["--help"],
        &["record", "--help"],
        &["attach", "--help"],
        &["report", "--help"],
        &["diff", "--help"],
        &["dump", "--help"],
        &["completions", "--help"],
        &["help", "--help"],
        &["help", "record"],
        &["help", "report"],
        &["help", "formats"],
        &["help", "ranks"],
        &["help", "exit-codes"],
    ];
    for words in pages {
        let page = rsamp(words).stdout;
        let wide = page.lines().find(|line| line.chars().count() > 80);
        assert_eq!(wide, None, "{words:?}");
        let lines = page.lines().count();
        assert!(words[0] == "help" || lines <= 100, "{words:?}: {lines}");
    }
}

#[test]
fn every_shell_has_completions() {
    for (shell, part) in [
        ("bash", "complete"),
        ("zsh", "#compdef rsamp"),
        ("fish", "complete -c rsamp"),
        ("elvish", "rsamp"),
        ("powershell", "rsamp"),
    ] {
        let run = rsamp(&["completions", shell]);
        assert_eq!(run.code, Some(0), "{shell}");
        assert!(
            run.stdout.contains(part) && run.stdout.contains("record"),
            "{shell}: {}",
            run.stdout
        );
        // What rsamp calls itself is not offered.
        for internal in ["on-node", "read-sources", "batch-script", "gather"] {
            assert!(!run.stdout.contains(internal), "{shell}: {internal}");
        }
    }
}

#[test]
fn a_command_that_cannot_start_gives_the_shells_code() {
    check(
        "record -- /no/such/program",
        127,
        &["rsamp: error: ", "/no/such/program"],
    );
    check(
        "record no-such-program-anywhere",
        127,
        &["no-such-program-anywhere"],
    );
    check("record -- /", 126, &["rsamp: error: "]);
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("x.py"), "print()").expect("written");
    let run = rsamp_in(folder.path(), &["record", "./x.py"]);
    assert_eq!(run.code, Some(126), "{}", run.stderr);
    assert!(
        run.stderr
            .contains("hint: name the interpreter: rsamp record -- python ./x.py"),
        "{}",
        run.stderr
    );
    assert_eq!(
        fs::read_dir(folder.path()).expect("a folder").count(),
        1,
        "nothing is left behind"
    );
}

#[test]
fn the_programs_exit_code_is_returned() {
    for (script, code) in [("exit 0", 0), ("exit 3", 3), ("exit 255", 255)] {
        let run = rsamp(&["record", "--", "sh", "-c", script]);
        assert_eq!(run.code, Some(code), "{script}: {}", run.stderr);
    }
}

#[test]
fn a_value_is_completed() {
    let run = rsamp(&["completions", "bash"]);
    for values in ["wall cpu gil", "rsamp flamegraph html pstats", "blocked"] {
        assert!(run.stdout.contains(values), "no {values:?}");
    }
}

#[test]
fn a_folder_that_is_missing_is_made_by_a_command_that_is_named() {
    check(
        "record -o no/such/a.svg -- true",
        73,
        &[
            "no/such/a.svg",
            "hint: make the folder first: mkdir -p no/such",
        ],
    );
}

/// The process that a launcher started for the rank is the program itself.
#[test]
fn of_rsamp_nothing_is_left_where_a_rank_is_not_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let words = [
        "record",
        "--ranks",
        "0,7",
        "--",
        "sh",
        "-c",
        "echo $$; exit 3",
    ];
    let mut command = command(folder.path(), &words);
    let child = command
        .envs([("PMI_RANK", "3"), ("PMI_SIZE", "8")])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("rsamp runs");
    let pid = child.id();
    let output = child.wait_with_output().expect("waited");
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{pid}\n"));
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
    // What no launcher numbered is recorded, with a word.
    let run = rsamp(&["record", "--ranks", "0", "--", "true"]);
    assert_eq!(run.code, Some(0));
    assert!(
        run.stderr.contains("no launcher gave this process a rank"),
        "{}",
        run.stderr
    );
}

#[test]
fn the_programs_streams_are_its_own() {
    let run = rsamp(&["record", "-q", "--", "sh", "-c", "echo out; echo err >&2"]);
    assert_eq!(run.stdout, "out\n");
    assert!(run.stderr.starts_with("err\n"), "{}", run.stderr);
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("in"), "typed").expect("written");
    let input = fs::File::open(folder.path().join("in")).expect("opened");
    let run = run_of(
        command(folder.path(), &["record", "cat"])
            .stdin(input)
            .output()
            .expect("rsamp runs"),
    );
    assert_eq!(run.stdout, "typed");
}

#[test]
fn an_unwritable_output_is_found_out_before_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    for output in ["no/such/a.svg", "/proc/a.svg", "folder.svg"] {
        fs::create_dir_all(folder.path().join("folder.svg")).expect("made");
        let run = rsamp_in(
            folder.path(),
            &[
                "record", "-o", "good.svg", "-o", output, "--", "touch", "started",
            ],
        );
        assert_eq!(run.code, Some(73), "{output}: {}", run.stderr);
        assert!(run.stderr.contains(output), "{output}: {}", run.stderr);
        assert!(
            !folder.path().join("started").exists(),
            "{output}: the program was started"
        );
        assert!(
            !folder.path().join("good.svg").exists(),
            "{output}: a file was left"
        );
    }
}

#[test]
fn an_existing_default_file_does_not_stop_attach() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = Command::new("sleep")
        .arg("600")
        .spawn()
        .expect("sleep runs");
    let pid = child.id().to_string();
    // Until then it has the name of this test.
    let words = || fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    while !words().starts_with(b"sleep") {
        std::thread::yield_now();
    }
    let taken = format!("sleep-{pid}.pstats");
    fs::write(folder.path().join(&taken), "old").expect("written");
    let run = rsamp_in(folder.path(), &["attach", &pid]);
    child.kill().expect("killed");
    child.wait().expect("waited");
    // It is no Python program; what is there is left alone, and would not be in the way.
    assert_eq!(run.code, Some(4), "{}", run.stderr);
    assert_eq!(
        fs::read_to_string(folder.path().join(&taken)).expect("read"),
        "old"
    );
}

/// The whole time at 1 kHz, held.
fn at_1_khz(time: Nanos) -> Event {
    Event::Rate(RateSpan {
        millihertz: 1_000_000,
        time,
        ticks: time.0 / 1_000_000,
        own_cpu: Nanos(0),
    })
}

/// Writes a recording of three seconds into `folder`.
fn recording(folder: &Path, name: &str, host: &str) -> Vec<u8> {
    let header = Header {
        command: vec!["python".to_owned(), "scatter.py".to_owned()],
        host: host.to_owned(),
        user: "ada".to_owned(),
        working_folder: "/home/ada".to_owned(),
        rate_hz: 1000.0,
        ..Header::default()
    };
    let mut events = Vec::new();
    let mut build = crate::profile::Build::default();
    build.thread(Some("MainThread"));
    build.sample(
        0,
        &[crate::profile::Call("main", "/scatter.py", 1, 9)],
        3_000_000_000,
    );
    build.replay(&mut |event| events.push(event));
    save(folder, name, header, &events)
}

fn save(folder: &Path, name: &str, header: Header, events: &[Event]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), header).expect("written");
    for event in events {
        writer.event(event).expect("written");
    }
    let (bytes, _) = writer.finish().expect("written");
    fs::write(folder.join(name), &bytes).expect("written");
    bytes
}

#[test]
fn a_report_is_a_summary_or_files() {
    let folder = tempfile::tempdir().expect("a folder");
    recording(folder.path(), "a.rsamp", "node01");
    let run = rsamp_in(folder.path(), &["report", "--full", "a.rsamp"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let parts = [
        "scatter (process 4242)",
        "by ada on node01",
        "main (/scatter.py:1)",
        "3.00 s recorded",
    ];
    for part in parts {
        assert!(run.stdout.contains(part), "no {part} in {}", run.stdout);
    }
    assert_eq!(run.stderr, "");

    let run = rsamp_in(
        folder.path(),
        &["report", "a.rsamp", "-o", "a.svg", "-o", "a.pstats"],
    );
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (Some(0), ""),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("wrote a.svg") && run.stderr.contains("wrote a.pstats"));
    assert!(folder.path().join("a.svg").exists() && folder.path().join("a.pstats").exists());

    let run = rsamp_in(folder.path(), &["report", "a.rsamp", "-f", "folded"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    assert_eq!(run.stdout, "main (scatter.py:1) 3000000\n");
}

#[test]
fn a_report_has_the_bytes_of_files_written_at_once() {
    let mut script = Script::default();
    script.process(0, 4242, "python scatter.py");
    script.thread(0, 0, Some("MainThread"));
    script.thread(1, 0, None);
    for round in 0..5 {
        let at_ns = round * 40_000_000;
        script.run(0, "main solve:7 np.dot", at_ns + 10_000_000, 10_000_000, 10);
        script.run(1, "wait", at_ns + 20_000_000, 20_000_000, 20);
        script.run(0, "main solve:9", at_ns + 40_000_000, 30_000_000, 30);
        script.run(1, "", at_ns + 40_000_000, 20_000_000, 20);
    }
    script.events.push(Event::Lost(Loss {
        at: Nanos(60_000_000),
        cause: LostCause::Late,
        count: 3,
    }));
    script.events.push(at_1_khz(Nanos(200_000_000)));
    script.events.push(Event::End(Nanos(200_000_000)));
    let folder = tempfile::tempdir().expect("a folder");
    let header = Header {
        command: vec!["python".to_owned(), "scatter.py".to_owned()],
        rate_hz: 1000.0,
        ..Header::default()
    };
    save(folder.path(), "a.rsamp", header, &script.events);
    let fold = |mut profile: Profile| {
        script
            .events
            .iter()
            .cloned()
            .for_each(|event| profile.apply(event));
        profile
    };
    let drawing = Drawing {
        lines: Lines::All,
        ..Drawing::default()
    };
    let meta = Meta {
        title: "scatter (process 4242)".to_owned(),
        command: "python scatter.py".to_owned(),
        facts: vec!["Python 3.11.7".to_owned(), "1,000 Hz".to_owned()],
        start_unix_ns: 0,
        is_part: false,
        mode: Mode::Wall,
        drawing,
    };
    // Those that need no other program.
    for format in Format::ALL
        .iter()
        .copied()
        .filter(|format| format.program().is_none())
    {
        let profile = match format.has_time_axis() {
            true => fold(Profile::with_timeline()),
            false => fold(Profile::default()),
        };
        let mut at_once = Vec::new();
        let input = ReportInput {
            sources: Some(&SourceText::default()),
            ..ReportInput::new(&profile, &meta)
        };
        export::write(format, &input, &mut at_once).expect("a Vec takes all");
        let words = ["report", "a.rsamp", "--by-line", "-f", format.name()];
        let output = command(folder.path(), &words).output().expect("rsamp runs");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{format}");
        assert!(output.stdout == at_once, "{format}: other bytes");
    }
}

#[test]
fn recordings_come_from_standard_input_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let bytes = recording(folder.path(), "a.rsamp", "node01");
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    std::io::Write::write_all(&mut writer, &bytes).expect("written");
    drop(writer);
    let mut command = command(folder.path(), &["report", "-", "-f", "folded"]);
    let run = run_of(command.stdin(reader).output().expect("rsamp runs"));
    assert_eq!(
        run.stdout, "main (scatter.py:1) 3000000\n",
        "{}",
        run.stderr
    );
}

#[test]
fn several_recordings_are_one_report() {
    let folder = tempfile::tempdir().expect("a folder");
    recording(folder.path(), "a.rsamp", "node01");
    recording(folder.path(), "b.rsamp", "node02");
    let run = rsamp_in(folder.path(), &["report", "--full", "*.rsamp"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    for part in [
        "scatter, 2 recordings",
        "node01: a.rsamp",
        "(node02: python scatter.py)",
        "3.00 s recorded, 2 samples",
    ] {
        assert!(run.stdout.contains(part), "no {part} in {}", run.stdout);
    }
    fs::copy(folder.path().join("a.rsamp"), folder.path().join("c.rsamp")).expect("copied");
    let run = rsamp_in(folder.path(), &["report", "--full", "*.rsamp"]);
    assert_eq!(run.code, Some(65), "{}", run.stderr);
    assert!(
        run.stderr
            .contains("\"a.rsamp\" and \"c.rsamp\" are the same recording")
    );
    // One that cannot be read does not take the others with it.
    fs::write(folder.path().join("c.rsamp"), "").expect("written");
    let run = rsamp_in(folder.path(), &["report", "--full", "*.rsamp"]);
    assert_eq!(run.code, Some(65), "{}", run.stderr);
    assert!(
        run.stdout.contains("scatter, 2 recordings") && run.stderr.contains("the file is empty")
    );
}

#[test]
fn a_recording_that_is_not_whole_is_said_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut bytes = recording(folder.path(), "a.rsamp", "node01");
    let report = || rsamp_in(folder.path(), &["report", "a.rsamp"]);
    let write = |bytes: &[u8]| fs::write(folder.path().join("a.rsamp"), bytes).expect("written");
    write(&bytes[..bytes.len() - 1]);
    let run = report();
    assert_eq!(run.code, Some(0));
    assert!(
        run.stderr
            .starts_with("rsamp: warning: \"a.rsamp\" is incomplete"),
        "{}",
        run.stderr
    );
    *bytes.last_mut().expect("a byte") ^= 1;
    write(&bytes);
    let run = report();
    assert_eq!(run.code, Some(65));
    assert!(
        run.stderr
            .starts_with("rsamp: error: \"a.rsamp\" is damaged from byte"),
        "{}",
        run.stderr
    );
}

#[test]
fn what_cannot_be_reported_is_explained() {
    check(
        "report missing.rsamp",
        66,
        &["open \"missing.rsamp\": No such file"],
    );
    check(
        "report no-*.rsamp",
        66,
        &["no file matches \"no-*.rsamp\"", "hint: "],
    );
    check(
        "report /proc/self/exe",
        65,
        &["not an rsamp recording", "hint: "],
    );
    check("report / ", 66, &["rsamp: error: read \"/\"", "directory"]);
    check(
        "report a -o a.gif",
        2,
        &["unknown ending .gif: give one of .rsamp, .svg"],
    );
    check("report", 2, &["FILE"]);
}

#[test]
fn a_process_that_is_not_there_is_said_so() {
    // Beyond PID_MAX_LIMIT (2^22): no kernel gives it out.
    check(
        "attach 2000000000",
        3,
        &["rsamp: error: ", "2000000000", "hint: "],
    );
    check(
        "dump --pid 2000000000",
        3,
        &["rsamp: error: ", "2000000000", "hint: "],
    );
}

#[test]
fn a_closed_pipe_does_not_panic() {
    for words in [
        &["completions", "bash"] as &[&str],
        &["--help"],
        &["record", "-r", "0", "x"],
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = command(Path::new("/"), words);
        let run = command
            .stdout(writer.try_clone().expect("cloned"))
            .stderr(writer)
            .output()
            .expect("rsamp runs");
        assert!(
            matches!(run.status.code(), Some(0 | 2)),
            "{words:?}: {:?}",
            run.status
        );
    }
}

/// A recording of a program whose functions take so many milliseconds, under this name.
fn write_recording(folder: &Path, name: &str, functions: &[(&str, u64)]) {
    let mut script = Script::default();
    script.process(0, 100, "python run.py");
    script.thread(0, 0, Some("MainThread"));
    script.thread(1, 0, Some("worker"));
    let mut now_ns = 0;
    for (stack, ms) in functions {
        now_ns += ms * 1_000_000;
        script.run(0, stack, now_ns, ms * 1_000_000, *ms as u32);
        script.run(1, "wait", now_ns, ms * 1_000_000, *ms as u32);
    }
    script.events.push(at_1_khz(Nanos(now_ns)));
    script.events.push(Event::End(Nanos(now_ns)));
    let header = Header {
        command: vec!["python".to_owned(), "run.py".to_owned()],
        rate_hz: 1000.0,
        ..Header::default()
    };
    save(folder, name, header, &script.events);
}

#[test]
fn report_filters_what_it_shows() {
    let folder = tempfile::tempdir().expect("a folder");
    write_recording(
        folder.path(),
        "a.rsamp",
        &[("main load", 1000), ("main std.sum", 3000)],
    );
    let table: &[(&str, &str)] = &[
        ("--thread worker", "wait (run.py:1) 4000000"),
        (
            "--thread 0 --from 3",
            "main (run.py:1);std.sum (decoder.py:1) 1000000",
        ),
        ("--focus ^load$ --to 0.25", "load (run.py:1) 250000"),
        (
            "--function sum --no-stdlib --mode gil",
            "main (run.py:1) 1500000",
        ),
        (
            "--process run.py --hide */run.py --thread MainThread",
            "[hidden frames] 1000000",
        ),
    ];
    for (filters, expected) in table {
        let line = format!("report a.rsamp -q -f folded {filters}");
        let run = rsamp_in(folder.path(), &line.split_whitespace().collect::<Vec<_>>());
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{filters}");
        assert!(
            run.stdout.lines().any(|line| line == *expected),
            "{filters}: {}",
            run.stdout
        );
    }
    let run = rsamp_in(
        folder.path(),
        &[
            "report", "--full", "a.rsamp", "--thread", "worker", "--mode", "cpu",
        ],
    );
    for part in [
        "1,000 Hz, thread worker",
        "lines by self time (cpu)",
        "wait (run.py:1)",
    ] {
        assert!(run.stdout.contains(part), "no {part} in {}", run.stdout);
    }
    assert!(!run.stdout.contains("std.sum"), "{}", run.stdout);
}

/// Recordings tell the rank of their program by the environment that its launcher gave it.
#[test]
fn ranks_are_compared_and_chosen() {
    let folder = tempfile::tempdir().expect("a folder");
    for (rank, wall_s) in [(0, 1), (1, 2), (2, 6)] {
        let header = Header {
            command: vec!["python".to_owned(), "scatter.py".to_owned()],
            environment: vec![Variable {
                name: "PMI_RANK".to_owned(),
                value: rank.to_string(),
            }],
            ..Header::default()
        };
        let mut events = Vec::new();
        let mut build = crate::profile::Build::default();
        build.thread(Some("MainThread"));
        for _ in 0..wall_s * 1000 {
            let main = crate::profile::Call("main", "/scatter.py", 1, 9);
            build.sample(0, &[main], 1_000_000);
        }
        build.replay(&mut |event| events.push(event));
        save(folder.path(), &format!("{rank}.rsamp"), header, &events);
    }
    let report = |words: &str| {
        let line = format!("report --full [0-2].rsamp {words}");
        rsamp_in(folder.path(), &line.split_whitespace().collect::<Vec<_>>())
    };
    let run = report("");
    for part in [
        "rank 2: 2.rsamp",
        "3 ranks: 1.0 to 6.0 s each (without waits), mean 3.0 s; rank 2 takes longest; imbalance 100 %, which costs 9.0 core-seconds",
    ] {
        assert!(run.stdout.contains(part), "no {part} in {}", run.stdout);
    }
    for (ranks, expected) in [
        ("--rank 1-2", vec!["2000000", "6000000"]),
        ("--rank 0,2", vec!["1000000", "6000000"]),
        ("--rank 1", vec!["2000000"]),
    ] {
        let run = report(&format!("-q -f folded {ranks}"));
        let weights = run
            .stdout
            .lines()
            .filter_map(|line| line.split(' ').next_back());
        assert_eq!(
            weights.collect::<Vec<_>>(),
            expected,
            "{ranks}: {}",
            run.stdout
        );
    }
    let run = report("--rank 0-1,7");
    assert!(run.stdout.contains("rank 0-1, 7"), "{}", run.stdout);
    let run = report("--rank 7");
    assert!(
        run.stderr.contains("by the rank filter (7); there is 0-2"),
        "{}",
        run.stderr
    );
    let run = report("--rank 3-1");
    assert_eq!(run.code, Some(2));
    assert!(
        run.stderr
            .contains("invalid --rank \"3-1\": give numbers from 0"),
        "{}",
        run.stderr
    );
}

/// A recording of a rank with these options and this environment, on a host of which it may use four CPUs: it starts so many seconds after
/// others, and works for some.
fn write_rank(folder: &Path, name: &str, environment: &str, host: &str, start_s: u64, wall_s: u64) {
    let words = environment.split(' ');
    let variables = words.clone().filter_map(|pair| pair.split_once('='));
    let header = Header {
        command: vec!["python".to_owned(), "scatter.py".to_owned()],
        host: host.to_owned(),
        start_unix_ns: start_s * 1_000_000_000,
        options: words
            .filter(|word| !word.contains('='))
            .map(str::to_owned)
            .collect(),
        environment: variables
            .map(|(name, value)| Variable {
                name: name.to_owned(),
                value: value.to_owned(),
            })
            .collect(),
        ..Header::default()
    };
    let mut script = Script::default();
    script.process(0, 100, "python scatter.py");
    if let Some(Event::Process(_, process)) = script.events.last_mut() {
        process.cpu_mask = vec![0xf];
        process.usable_cpus = Some(4);
    }
    script.thread(0, 0, Some("MainThread"));
    let wall_ns = wall_s * 1_000_000_000;
    script.run(0, "main", wall_ns, wall_ns, wall_s as u32 * 1000);
    script.events.push(Event::End(Nanos(wall_ns)));
    save(folder, name, header, &script.events);
}

/// Two launches, one after the other, each of ranks 0 and 1.
#[test]
fn ranks_that_are_started_again_are_compared_by_themselves() {
    for (first, second, names) in [
        // MPICH outside of Slurm tells nothing that differs.
        ("PMI_SIZE=2", "PMI_SIZE=2", ["run 1", "run 2"]),
        (
            "SLURM_JOB_ID=42 SLURM_STEP_ID=0",
            "SLURM_JOB_ID=42 SLURM_STEP_ID=1",
            ["step 42.0", "step 42.1"],
        ),
        (
            "SLURM_JOB_ID=42 SLURM_STEP_ID=0",
            "SLURM_JOB_ID=42 SLURM_STEP_ID=0",
            ["step 42.0, run 1", "step 42.0, run 2"],
        ),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        for (rank, of_first, of_second) in [(0, 1, 4), (1, 3, 2)] {
            let (a, b) = (format!("a{rank}.rsamp"), format!("b{rank}.rsamp"));
            let environment = |launch| format!("{launch} PMI_RANK={rank}");
            write_rank(folder.path(), &a, &environment(first), "n1", 1, of_first);
            write_rank(folder.path(), &b, &environment(second), "n1", 9, of_second);
        }
        let run = rsamp_in(folder.path(), &["report", "--full", "[ab]?.rsamp"]);
        for (name, figures) in names.iter().zip([
            "2 ranks: 1.0 to 3.0 s each (without waits), mean 2.0 s; rank 1",
            "2 ranks: 2.0 to 4.0 s each (without waits), mean 3.0 s; rank 0",
        ]) {
            let line = format!("{name}: {figures}");
            assert!(run.stdout.contains(&line), "no {line} in {}", run.stdout);
            let heading = format!("functions over ranks of {name} by");
            assert!(run.stdout.contains(&heading), "{}", run.stdout);
        }
        let words = ["report", "--full", "[ab]?.rsamp", "--step", names[1]];
        let run = rsamp_in(folder.path(), &words);
        assert!(
            run.stdout.contains("\n2 ranks: 2.0 to 4.0 s"),
            "{}",
            run.stdout
        );
    }
}

/// What `attach --job` records of a process that a rank has forked is of the same launch; what `record` records at the same
/// time is of another.
#[test]
fn recordings_of_one_rank_at_the_same_time_are_one_launch_only_if_attached_to() {
    for (options, expected) in [
        ("attach --rate=100", "\n2 ranks: 4.0 to 8.0 s"),
        ("record", "\n2 ranks: 4.0 to 4.0 s"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, rank, start) in [("a", 0, 1), ("b", 0, 2), ("c", 1, 1)] {
            let environment = format!("{options} PMI_RANK={rank} PMI_SIZE=2");
            let name = format!("{name}.rsamp");
            write_rank(folder.path(), &name, &environment, "n1", start, 4);
        }
        let run = rsamp_in(folder.path(), &["report", "--full", "?.rsamp"]);
        assert!(run.stdout.contains(expected), "{options}: {}", run.stdout);
    }
}

/// The affinity masks of different hosts are of different CPUs.
#[test]
fn cores_of_recordings_of_several_hosts_add_up() {
    let folder = tempfile::tempdir().expect("a folder");
    for (rank, host) in [(0, "n1"), (1, "n1"), (2, "n2")] {
        let environment = format!("PMI_RANK={rank} PMI_SIZE=3");
        write_rank(
            folder.path(),
            &format!("{rank}.rsamp"),
            &environment,
            host,
            1,
            2,
        );
    }
    let run = rsamp_in(folder.path(), &["report", "--full", "?.rsamp"]);
    assert!(
        run.stdout.contains("cores: 3.0 of 8 busy"),
        "{}",
        run.stdout
    );
}

/// Four ranks in one recording, which is as good as the four.
#[test]
fn recordings_are_merged_into_one() {
    let folder = tempfile::tempdir().expect("a folder");
    for (rank, host) in [(0, "n1"), (1, "n1"), (2, "n2"), (3, "n2")] {
        let environment = format!("SLURM_JOB_ID=42 SLURM_STEP_ID=3 PMI_RANK={rank} PMI_SIZE=4");
        let name = format!("x-{rank}.rsamp");
        write_rank(folder.path(), &name, &environment, host, 1 + rank, 2 + rank);
    }
    let run = |line: &str| rsamp_in(folder.path(), &line.split(' ').collect::<Vec<_>>());
    let merged = run("report x-* -o all.rsamp -o all.csv");
    assert_eq!(merged.code, Some(0), "{}", merged.stderr);
    assert!(
        merged.stderr.contains("wrote all.rsamp"),
        "{}",
        merged.stderr
    );
    let tables = |text: &str| {
        let at = text.find("s recorded").expect("a summary");
        text[at..].to_owned()
    };
    let (of_all, of_each) = (run("report --full all.rsamp"), run("report --full x-*"));
    assert_eq!(tables(&of_all.stdout), tables(&of_each.stdout));
    assert!(
        of_all.stdout.contains("4 ranks: 2.0 to 5.0 s"),
        "{}",
        of_all.stdout
    );
    // A part of it, in a recording again.
    let part = run("report all.rsamp --rank 1-2 --from 3 --to 4.5 -o part.rsamp");
    assert_eq!(part.code, Some(0), "{}", part.stderr);
    let folded = |line: &str| run(&format!("report -q -f folded {line}")).stdout;
    let of_part = folded("part.rsamp");
    assert_eq!(of_part, folded("x-* --rank 1-2 --from 3 --to 4.5"));
    assert!(of_part.contains("main"), "{of_part}");
    let steps = run("report --full part.rsamp --step 3 --rank 2");
    assert_eq!(steps.code, Some(0), "{}", steps.stderr);
}

#[test]
fn a_recording_is_never_written_over_while_it_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    write_recording(folder.path(), "a.rsamp", &[("main load", 1000)]);
    fs::hard_link(
        folder.path().join("a.rsamp"),
        folder.path().join("same.rsamp"),
    )
    .expect("linked");
    let before = fs::read(folder.path().join("a.rsamp")).expect("read");
    for output in ["a.rsamp", "./a.rsamp", "same.rsamp"] {
        let run = rsamp_in(
            folder.path(),
            &["report", "a.rsamp", "--from", "0.5", "-o", output],
        );
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        assert!(
            run.stderr.contains("one of the recordings to read"),
            "{}",
            run.stderr
        );
    }
    // Nor is a file made for what leaves nothing.
    let words = ["report", "a.rsamp", "--rank", "5", "-o", "b.rsamp"];
    assert_eq!(rsamp_in(folder.path(), &words).code, Some(2));
    assert!(!folder.path().join("b.rsamp").exists());
    assert_eq!(
        fs::read(folder.path().join("a.rsamp")).expect("read"),
        before
    );
}

#[test]
fn a_filter_that_leaves_nothing_is_an_error_and_writes_no_file() {
    let folder = tempfile::tempdir().expect("a folder");
    write_recording(folder.path(), "a.rsamp", &[("main load", 1000)]);
    let words = ["report", "a.rsamp", "-o", "a.svg", "--function", "laod"];
    let run = rsamp_in(folder.path(), &words);
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    assert_eq!(
        run.stderr.lines().next(),
        Some(
            "rsamp: error: no sample is left by the function filter (laod); there are load, main, wait"
        )
    );
    assert!(run.stderr.contains("hint: without a filter"));
    assert!(!folder.path().join("a.svg").exists());
}

#[test]
fn diff_compares_two_recordings() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    write_recording(
        folder,
        "a.rsamp",
        &[("main load", 2000), ("main solve", 6000)],
    );
    write_recording(
        folder,
        "b.rsamp",
        &[("main load", 4000), ("main solve", 6000)],
    );
    let run = rsamp_in(folder, &["diff", "a.rsamp", "b.rsamp"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let row = run
        .stdout
        .lines()
        .find(|line| line.ends_with("load (run.py:1)"));
    let row = row.unwrap_or_else(|| panic!("no load in {}", run.stdout));
    assert!(row.contains("+2.0") && row.contains('*'), "{row}");

    let words = [
        "diff", "a.rsamp", "b.rsamp", "-o", "d.svg", "-o", "d.csv", "-o", "d.json", "-o", "d.txt",
    ];
    let run = rsamp_in(folder, &words);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    for name in ["d.svg", "d.csv", "d.json", "d.txt"] {
        assert!(
            run.stderr.contains(&format!("wrote {name} (")),
            "{}",
            run.stderr
        );
        assert!(fs::metadata(folder.join(name)).expect(name).len() > 300);
    }

    let words = [
        "diff",
        "a.rsamp",
        "b.rsamp",
        "-f",
        "csv",
        "--normalize",
        "--thread",
        "worker",
    ];
    let run = rsamp_in(folder, &words);
    let row = run.stdout.lines().nth(1).expect("a row");
    assert!(
        row.starts_with("function,wait,/home/ada/run.py,1,,10.0,1.0,10.0,1.0,0.0,"),
        "{row}"
    );
}

#[test]
fn a_diff_fails_when_the_new_recording_is_slower_than_allowed() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let before = [("main load", 2000), ("main solve", 6000)];
    write_recording(folder, "a.rsamp", &before);
    let after = [("main load", 4000), ("main solve", 6000)];
    write_recording(folder, "b.rsamp", &after);
    let gate = |base: &str, new: &str, words: &[&str]| {
        let quiet = ["diff", base, new, "-o", "d.json", "-q"];
        let run = rsamp_in(folder, &[&quiet[..], words].concat());
        assert_eq!(run.stdout, "");
        (run.code.expect("a code"), run.stderr)
    };
    assert_eq!(
        gate("a.rsamp", "b.rsamp", &["--fail-if", "load:+50%"]),
        (
            8,
            "--fail-if load:+50%: failed: total time of 1 function\n  \
             2.000 s, then 4.000 s (+100.0 %)  load (run.py:1)\n"
                .to_owned()
        )
    );
    let json = fs::read(folder.join("d.json")).expect("JSON");
    let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    assert_eq!(json["verdict"]["outcome"], "failed");
    let compared = &json["verdict"]["limits"][0]["compared"][0];
    assert_eq!(
        (&compared["function"]["name"], &compared["growth"]),
        (&"load".into(), &1.0.into())
    );

    let words = ["--fail-if", "solve:+5%", "--fail-if", "+300%"];
    assert_eq!(gate("a.rsamp", "b.rsamp", &words), (0, String::new()));
    assert_eq!(
        gate("b.rsamp", "a.rsamp", &["--fail-if=+0%", "--fail-if=*:+0%"]).0,
        0
    );
    let words = ["--fail-if", "nothing:+5%"];
    let (code, told) = gate("a.rsamp", "b.rsamp", &words);
    assert_eq!(code, 0);
    assert!(
        told.contains("undecided: no function of this name"),
        "{told}"
    );

    // Half a recording is no reason to say that the other is faster or slower.
    let bytes = fs::read(folder.join("a.rsamp")).expect("a recording");
    fs::write(
        folder.join("damaged.rsamp"),
        [&bytes[..bytes.len() - 20], &[0xff; 20]].concat(),
    )
    .expect("written");
    assert_eq!(
        gate("damaged.rsamp", "b.rsamp", &["--fail-if", "+0%"]).0,
        65
    );
}

#[test]
fn the_version_says_what_was_built() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = rsamp_in(folder.path(), &["--version"]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let begins: Vec<&str> = run.stdout.lines().collect();
    let number = env!("CARGO_PKG_VERSION");
    assert_eq!(begins[0], format!("rsamp {number}"));
    assert!(begins[1].len() > "commit: ".len(), "{begins:?}");
    assert!(begins[2].starts_with("target: "), "{begins:?}");
    let legacy = if cfg!(feature = "legacy") {
        "legacy ("
    } else {
        "none ("
    };
    assert!(
        begins[3].starts_with(&format!("features: {legacy}")),
        "{begins:?}"
    );
    let short = rsamp_in(folder.path(), &["-V"]);
    assert_eq!(short.stdout, format!("rsamp {number}\n"));
}

#[test]
fn each_command_has_a_man_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("UTF-8");
    let run = rsamp_in(folder.path(), &["man-pages", path]);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    let page = |name: &str| fs::read_to_string(folder.path().join(name)).expect("a page");
    assert!(page("rsamp.1").contains("rsamp\\-record(1)"));
    assert!(page("rsamp-diff.1").contains("fail\\-if"));
    assert!(!folder.path().join("rsamp-read-sources.1").exists());
}

#[test]
fn what_only_one_side_of_a_diff_has_is_shown_with_a_warning() {
    let folder = tempfile::tempdir().expect("a folder");
    write_recording(folder.path(), "a.rsamp", &[("main load", 2000)]);
    write_recording(folder.path(), "b.rsamp", &[("main solve", 6000)]);
    let words = |function| ["diff", "a.rsamp", "b.rsamp", "--function", function];
    let run = rsamp_in(folder.path(), &words("solve"));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(
        run.stderr
            .starts_with("rsamp: warning: \"a.rsamp\": no sample is left by the function filter"),
        "{}",
        run.stderr
    );
    assert!(run.stdout.contains("+6.000"), "{}", run.stdout);
    let run = rsamp_in(folder.path(), &words("nothing"));
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
    let run = rsamp_in(folder.path(), &["diff", "a.rsamp", "c.rsamp"]);
    assert_eq!(run.code, Some(66), "{}", run.stderr);
}

#[test]
fn nothing_that_a_program_names_steers_hides_or_reorders_the_text_of_a_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    // Controls, bidirectional ones, invisible ones, and tags, which spell what nobody sees.
    let hostile =
        "a\u{1b}[2J\u{9b}2K\u{7f}\u{202e}\u{2066}\u{200b}\u{61c}\u{ad}\u{feff}\u{e0041}\r\u{2028}z";
    for (name, ms) in [("a.rsamp", 1_000), ("b.rsamp", 3_000)] {
        let mut script = Script::default();
        script.process(0, 100, &format!("python {hostile}.py"));
        script.thread(0, 0, Some(hostile));
        script.thread(1, 0, Some(&format!("{hostile}2")));
        let frame = |line| Frame {
            kind: FrameKind::Python,
            name: format!("{hostile}.{line}"),
            file: Some(format!("/home/{hostile}/{hostile}.py")),
            first_line: Some(1),
            line: Some(line),
        };
        for (thread, line) in [(0, 1), (1, 2)] {
            let (wall, ticks) = (u64::from(ms) * 1_000_000, ms);
            script.run_frames(thread, vec![frame(7), frame(line)], wall, wall, ticks);
        }
        script
            .events
            .push(at_1_khz(Nanos(u64::from(ms) * 1_000_000)));
        script
            .events
            .push(Event::End(Nanos(u64::from(ms) * 1_000_000)));
        let header = Header {
            command: vec!["python".to_owned(), format!("{hostile}.py")],
            working_folder: format!("/home/{hostile}"),
            user: hostile.to_owned(),
            host: hostile.to_owned(),
            ..Header::default()
        };
        save(folder.path(), name, header, &script.events);
    }
    for words in [
        &["report", "a.rsamp"][..],
        &["report", "a.rsamp", "--full"],
        &["report", "a.rsamp", "b.rsamp", "--ci"],
        &["report", "a.rsamp", "--ci", "--lines"],
        &["report", "a.rsamp", "--memory"],
        &["report", "a.rsamp", "-f", "text"],
        &["report", "a.rsamp", "-f", "folded"],
        &["diff", "a.rsamp", "b.rsamp"],
        &["diff", "a.rsamp", "b.rsamp", "--ci"],
    ] {
        let run = rsamp_in(folder.path(), words);
        let told = run.stdout + &run.stderr;
        let is_unsafe = |c: char| c != '\n' && rsamp::export::is_unsafe(c);
        let found: Vec<char> = told.chars().filter(|c| is_unsafe(*c)).collect();
        assert_eq!(found, [], "{words:?}: {told:?}");
    }
}

/// The user that sudo was typed by, in these tests.
const USER: u32 = 12345;

/// `rsamp report` of a recording as root, to `output`, as if that user had typed sudo.
fn report_by_sudo(folder: &Path, output: &str) -> Run {
    assert!(nix::unistd::geteuid().is_root(), "this test needs root");
    let place = tempfile::tempdir().expect("a folder");
    recording(place.path(), "a.rsamp", "node01");
    let recording = place.path().join("a.rsamp");
    let words = ["report", recording.to_str().expect("UTF-8"), "-o", output];
    let mut command = command(folder, &words);
    command
        .env("SUDO_UID", USER.to_string())
        .env("SUDO_GID", USER.to_string());
    run_of(command.output().expect("rsamp runs"))
}

fn owned_by(path: &Path, uid: u32) -> bool {
    fs::symlink_metadata(path).expect("metadata").uid() == uid
}

/// A folder of the user's, or one for everybody, as `/tmp`.
fn folder_of(uid: u32, mode: u32) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    chown(folder.path(), Some(uid), Some(uid)).expect("given away");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).expect("permissions");
    folder
}

#[test]
fn under_sudo_files_are_made_with_the_rights_of_the_user() {
    let own = folder_of(USER, 0o755);
    let run = report_by_sudo(own.path(), "a.folded");
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(owned_by(&own.path().join("a.folded"), USER));
    // What the user may not write, root does not write for it: not by its name, and not by a link.
    let of_root = folder_of(0, 0o755);
    let secret = of_root.path().join("secret.folded");
    fs::write(&secret, "root's").expect("written");
    symlink(&secret, own.path().join("link.folded")).expect("a link");
    for output in [secret.to_str().expect("UTF-8"), "link.folded"] {
        let run = report_by_sudo(own.path(), output);
        assert_eq!(run.code, Some(73), "{output}: {}", run.stderr);
    }
    assert_eq!(fs::read_to_string(&secret).expect("read"), "root's");
    assert!(owned_by(&secret, 0));
    let new = of_root.path().join("new.folded");
    let run = report_by_sudo(own.path(), new.to_str().expect("UTF-8"));
    assert_eq!(run.code, Some(73), "{}", run.stderr);
    assert!(!new.exists());
}

#[test]
fn a_link_that_another_user_planted_is_not_followed() {
    let (everybodys, of_root) = (folder_of(0, 0o1777), folder_of(0, 0o755));
    let secret = of_root.path().join("secret.folded");
    fs::write(&secret, "root's").expect("written");
    let link = everybodys.path().join("a.folded");
    symlink(&secret, &link).expect("a link");
    lchown(&link, Some(4321), Some(4321)).expect("given away");
    recording(of_root.path(), "a.rsamp", "node01");
    let report = ["report", "a.rsamp", "-o", link.to_str().expect("UTF-8")];
    let run = rsamp_in(of_root.path(), &report);
    assert_eq!(run.code, Some(73), "{}", run.stderr);
    assert_eq!(fs::read_to_string(&secret).expect("read"), "root's");
    // A link of one's own is.
    lchown(&link, Some(0), Some(0)).expect("taken back");
    let run = rsamp_in(of_root.path(), &report);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_ne!(fs::read_to_string(&secret).expect("read"), "root's");
}

#[test]
fn a_file_that_another_user_made_before_does_not_become_the_output() {
    let everybodys = folder_of(0, 0o1777);
    let path = everybodys.path().join("a.folded");
    let plant = || {
        let _ = fs::remove_file(&path);
        fs::write(&path, "planted").expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).expect("permissions");
        chown(&path, Some(4321), Some(4321)).expect("given away");
    };
    // The user may not replace it.
    plant();
    let run = report_by_sudo(everybodys.path(), "a.folded");
    assert_eq!(run.code, Some(73), "{}", run.stderr);
    assert_eq!(fs::read_to_string(&path).expect("read"), "planted");
    // Root, whose folder it is, may.
    let mut kept = fs::File::open(&path).expect("opened");
    recording(everybodys.path(), "a.rsamp", "node01");
    let run = rsamp_in(everybodys.path(), &["report", "a.rsamp", "-o", "a.folded"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(owned_by(&path, 0));
    let mut text = String::new();
    std::io::Read::read_to_string(&mut kept, &mut text).expect("read");
    assert_eq!(text, "planted", "the other user's file is as it was");
    let mode = fs::metadata(&path).expect("metadata").mode();
    assert_eq!(mode & 0o022, 0, "nor has the new one its permissions");
}

/// What each wrong command line is told.
const WRONG_LINES: &[(&str, &str)] = &[
    ("rsamp record --pid 42 -- python x.py", "takes no --pid"),
    ("rsamp record --pid 42", "takes no --pid"),
    (
        "rsamp attach --pid 42 -- python x.py",
        "takes no command: python x.py",
    ),
    (
        "rsamp attach 42 python x.py",
        "takes no command: python x.py",
    ),
    (
        "rsamp dump 42 43",
        "`dump` reads a running process and takes no command: 43",
    ),
    ("rsamp attach 0", "invalid process id \"0\""),
    ("rsamp attach -- -42", "invalid process id \"-42\""),
    ("rsamp attach --pid -42", "invalid --pid \"-42\""),
    (
        "rsamp attach scatter.py",
        "invalid process id \"scatter.py\"",
    ),
    (
        "rsamp attach 99999999999",
        "invalid process id \"99999999999\"",
    ),
    (
        "rsamp record -r 0 x",
        "invalid --rate \"0\": give 0.001 to 1000000000 samples per second, or auto",
    ),
    ("rsamp record -r -5 x", "invalid --rate \"-5\""),
    ("rsamp record -r NaN x", "invalid --rate \"NaN\""),
    ("rsamp record -r inf x", "invalid --rate \"inf\""),
    (
        "rsamp record -r 1000000001 x",
        "invalid --rate \"1000000001\"",
    ),
    ("rsamp record --rate= x", "invalid --rate \"\""),
    ("rsamp record -r 1e-300 x", "invalid --rate \"1e-300\""),
    ("rsamp record -r fast x", "invalid --rate \"fast\""),
    (
        "rsamp record --max-overhead 0 x",
        "invalid --max-overhead \"0\": give a percentage of one core above 0 and up to 100",
    ),
    (
        "rsamp record --max-overhead -1 x",
        "invalid --max-overhead \"-1\"",
    ),
    (
        "rsamp record --max-overhead 101 x",
        "invalid --max-overhead \"101\"",
    ),
    (
        "rsamp record --max-overhead NaN x",
        "invalid --max-overhead \"NaN\"",
    ),
    (
        "rsamp record --max-overhead inf x",
        "invalid --max-overhead \"inf\"",
    ),
    (
        "rsamp record --max-overhead low x",
        "invalid --max-overhead \"low\"",
    ),
    ("rsamp record -d 0 x", "invalid --duration \"0\""),
    ("rsamp record -d -1 x", "invalid --duration \"-1\""),
    ("rsamp record -d NaN x", "invalid --duration \"NaN\""),
    ("rsamp record -d 1e300 x", "invalid --duration \"1e300\""),
    ("rsamp record -d 1e-300 x", "invalid --duration \"1e-300\""),
    (
        "rsamp record -o a.gif x",
        "choose a format for \"a.gif\": unknown ending .gif: give one of .rsamp, .svg (flamegraph), .html",
    ),
    (
        "rsamp record -o a x",
        "\"a\": the name has no ending that names a format",
    ),
    (
        "rsamp record -f gif x",
        "invalid --format \"gif\": give one of .rsamp, .svg (flamegraph)",
    ),
    (
        "rsamp record -o a.svg -o a.svg x",
        "\"a.svg\" is named twice",
    ),
    ("rsamp record --output= -f svg x", "a value is required"),
    (
        "rsamp report a -o b.svg -o -",
        "the name has no ending that names a format",
    ),
    (
        "rsamp report a -f gif",
        "invalid --format \"gif\": give one of",
    ),
    (
        "rsamp diff a b -f gif",
        "invalid --format \"gif\": give one of flamegraph, text, csv, json",
    ),
    ("rsamp report", "required"),
    ("rsamp report --lines f", "no recording to report on"),
    ("rsamp report a --top 0", "invalid --top \"0\""),
    ("rsamp report a --top -1", "invalid --top \"-1\""),
    (
        "rsamp report a --mode user",
        "invalid --mode \"user\": give wall, cpu, gil",
    ),
    (
        "rsamp record --rat 100 -- true",
        "record has no option --rat\nhint: the nearest option is --rate",
    ),
    ("rsamp record --pyspy true", "record has no option --pyspy"),
    (
        "rsamp record --from 3 true",
        "--from is an option of rsamp report, rsamp diff",
    ),
    (
        "rsamp report a --from -1",
        "invalid --from \"-1\": give seconds since the start, from 0 to 1000000000",
    ),
    ("rsamp report a --to NaN", "invalid --to \"NaN\""),
    (
        "rsamp report a --from 2 --to 2",
        "no time is between --from 2 and --to 2",
    ),
    (
        "rsamp report a --function (",
        "invalid --function \"(\": give a regular expression: regex parse error",
    ),
    ("rsamp report a --hide [x", "invalid --hide \"[x\""),
    ("rsamp diff a", "required"),
    (
        "rsamp diff a b --fail-if 5",
        "invalid --fail-if \"5\": give a percentage from 0 on, such as +5%",
    ),
    (
        "rsamp diff a b --normalize --fail-if +5%",
        "with --normalize the time of all threads is equal",
    ),
    (
        "rsamp diff a b -o c.pstats",
        "choose a format for the diff: rsamp diff does not write \"c.pstats\"",
    ),
    ("rsamp diff a b -o c.svg -o c.svg", "is named twice"),
    ("rsamp record --env A=1 x", "invalid --env \"A=1\""),
    (
        "rsamp record --node-thres 101 x",
        "invalid --node-thres \"101\": give a percentage from 0 to 100",
    ),
    (
        "rsamp record --edge-thres -1 x",
        "invalid --edge-thres \"-1\"",
    ),
    (
        "rsamp report a --edge-thres -1",
        "invalid --edge-thres \"-1\"",
    ),
    (
        "rsamp record --edge-thres NaN x",
        "invalid --edge-thres \"NaN\"",
    ),
    ("rsamp record", "required"),
    ("rsamp attach", "no process to attach: name one with --pid"),
    ("rsamp dump", "no process to dump: name one with --pid"),
    ("rsamp record --progress --quiet x", "cannot be used with"),
];

#[test]
fn a_wrong_line_says_why_and_nothing_is_run() {
    let folder = tempfile::tempdir().expect("a folder");
    for (line, expected) in WRONG_LINES {
        let words: Vec<&str> = line.split_whitespace().skip(1).collect();
        let output = command(folder.path(), &words).output().expect("rsamp runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line}: {said}");
        assert!(
            said.contains(expected),
            "{line}: no {expected:?} in {said:?}"
        );
    }
    let left = std::fs::read_dir(folder.path())
        .expect("the folder")
        .count();
    assert_eq!(left, 0, "files that nobody asked for");
}
