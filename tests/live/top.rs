//! Watches programs with `rsamp top`: as text, and on a real terminal (tmux), which has to be as it was afterwards.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::commands::{files, stdout, text};
use crate::support::programs::{Standing, command, run, run_command};
use crate::support::pythons::{Python, python};

/// How far a share may be off, as a part of the time, beside what chance does in some seconds.
const TOLERANCE: f64 = 0.02;

/// What is waited for on the terminal comes within this time.
const PATIENCE: Duration = Duration::from_secs(30);

fn batch_shows_planted_shares(python: &Python) {
    let mut command = command(python, "planted.py");
    let mut program = run_command(command.args(["--wait", "--seconds", "4"]));
    let top = Command::new(cargo_bin("rsamp"))
        .args(["top", &program.pid().to_string()])
        .args(["--batch", "--window", "0"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    program.send("\n");
    let said: Value = serde_json::from_str(&program.line()).expect("JSON");
    drop(program);
    let output = top.wait_with_output().expect("ended");
    assert!(output.status.success());
    let page = text(&output.stdout);
    let (mut seen, mut truth) = (Vec::new(), Vec::new());
    for (name, of_it) in said["functions"].as_object().expect("functions") {
        let share = share_of(&page, &format!(" {name} ("));
        seen.push(share.unwrap_or_else(|| panic!("no {name} in\n{page}")));
        truth.push(of_it["wall"].as_f64().expect("seconds"));
    }
    let (all_seen, all): (f64, f64) = (seen.iter().sum(), truth.iter().sum());
    // The program may burn before it is found.
    let unsampled = share_of(&page, " [not sampled: ").unwrap_or(0.0);
    // On a machine that is busy with other things samples are few.
    let samples = (samples_of(&page) * all_seen).max(1.0);
    for (seen, truth) in seen.iter().zip(truth) {
        let (seen, truth) = (seen / all_seen, truth / all);
        let chance = 4.0 * (truth * (1.0 - truth) / samples).sqrt();
        let tolerance = TOLERANCE + chance + unsampled;
        assert!((seen - truth).abs() < tolerance, "{truth}:\n{page}");
    }
}

/// A process of a job, which computes in the function `name` once it was sent a line, and ends after another one.
fn rank(number: u32, name: &str) -> Standing {
    let code = format!(
        "import sys, time\n\
         def {name}():\n    \
             end = time.perf_counter() + 1.5\n    \
             while time.perf_counter() < end:\n        \
                 sum(range(1000))\n\
         print('READY', flush=True)\n\
         sys.stdin.readline()\n\
         {name}()\n\
         print('done', flush=True)\n\
         sys.stdin.readline()\n"
    );
    let mut command = python("v3_11").interpreter();
    let rank = number.to_string();
    let environment = [
        ("SLURM_JOB_ID", "4242"),
        ("SLURMD_NODENAME", "n1"),
        ("SLURM_STEP_ID", "0"),
        ("SLURM_NTASKS", "2"),
        ("SLURM_PROCID", &rank),
    ];
    run_command(command.args(["-c", &code]).envs(environment))
}

#[test]
fn the_processes_of_a_job_are_watched_until_the_last_one_ends() {
    needs!(v3_11);
    let (mut first, mut second) = (rank(0, "left"), rank(1, "right"));
    let mut top = Command::new(cargo_bin("rsamp"))
        .args(["top", "--job", "4242.0", "--batch", "--window", "1"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut out = BufReader::new(top.stdout.take().expect("a pipe"));
    // It watches both.
    let mut page = String::new();
    while !page.contains("2 processes") {
        assert!(out.read_line(&mut page).expect("text") > 0, "{page}");
    }
    first.send("\n");
    first.line();
    drop(first);
    second.send("\n");
    second.line();
    drop(second);
    out.read_to_string(&mut page).expect("text");
    assert!(top.wait().expect("ended").success());
    assert!(page.contains(" job 4242.0 on this node"), "{page}");
    for name in ["left", "right"] {
        assert!(share_of(&page, &format!(" {name} (")).is_some(), "{page}");
    }
}

#[test]
fn a_job_without_python_on_this_node_is_told() {
    let output = Command::new(cargo_bin("rsamp"))
        .args(["top", "--job", "987654321", "--batch"])
        .output()
        .expect("rsamp runs");
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("job 987654321 on this node"), "{said}");
    assert!(
        said.contains("hint: start it on a node of the job"),
        "{said}"
    );
}

/// The self time of the row with these words, as a part of the time.
fn share_of(page: &str, words: &str) -> Option<f64> {
    let row = page.lines().find(|line| line.contains(words))?;
    let percent: f64 = row.split_whitespace().next()?.parse().expect("per cent");
    Some(percent / 100.0)
}

test_on!(batch_shows_planted_shares: v3_9 v3_13);

/// How many samples a page is of, in whole seconds: it tells how many a second, and for how long was sampled.
fn samples_of(page: &str) -> f64 {
    let words: Vec<&str> = page.split_whitespace().collect();
    let before = |word: &str| {
        let at = words.iter().position(|it| *it == word).expect(word);
        words[at - 1].parse::<f64>().expect("a number")
    };
    let clock = words.iter().position(|it| *it == "after").expect("an end");
    let seconds = words[clock + 1].rsplit(':').next().expect("seconds");
    before("samples/s") * seconds.parse::<f64>().expect("seconds")
}

/// A shell on a terminal of its own.
struct Shell {
    folder: TempDir,
}

impl Shell {
    fn start() -> Shell {
        let shell = Shell {
            folder: tempfile::tempdir().expect("a folder"),
        };
        let folder = shell.folder.path().to_str().expect("a path");
        let new = ["new-session", "-d", "-x", "80", "-y", "24", "-c", folder];
        shell.tmux(&new, &["env PS1='ready> ' bash --norc --noprofile"]);
        shell.wait_for("ready>");
        shell
    }

    fn tmux(&self, words: &[&str], more: &[&str]) -> String {
        let socket = self.folder.path().join("socket");
        let output = Command::new("tmux")
            .arg("-S")
            .arg(socket)
            .args(["-f", "/dev/null"])
            .args(words)
            .args(more)
            .output()
            .expect("tmux");
        text(&output.stdout)
    }

    fn press(&self, keys: &[&str]) {
        self.tmux(&["send-keys"], keys);
    }

    /// Types a line.
    fn say(&self, line: &str) {
        self.press(&[line, "Enter"]);
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"], &[])
    }

    fn wait_for(&self, what: &str) -> String {
        let began = Instant::now();
        loop {
            let screen = self.screen();
            if screen.contains(what) {
                return screen;
            }
            assert!(began.elapsed() < PATIENCE, "no {what:?} on\n{screen}");
            sleep(Duration::from_millis(30));
        }
    }

    /// Starts to watch, and waits for the table.
    fn watch(&self, program: &Standing) {
        let rsamp = cargo_bin("rsamp");
        self.say(&format!("clear; {} top {}", rsamp.display(), program.pid()));
        self.wait_for("spin (");
    }

    /// What the terminal is set to, as a file of this name in the shell's folder.
    fn settings(&self, name: &str) -> String {
        self.say(&format!("clear; stty -a > {name}; echo \"left $?\""));
        self.wait_for("left 0");
        fs::read_to_string(self.folder.path().join(name)).expect("settings")
    }

    /// The process that the shell has started, or waits for.
    fn child(&self) -> Pid {
        let shell = self.tmux(&["display-message", "-p", "#{pane_pid}"], &[]);
        let shell = shell.trim();
        let path: PathBuf = Path::new("/proc").join(format!("{shell}/task/{shell}/children"));
        let children = fs::read_to_string(path).expect("a running shell");
        Pid::from_raw(children.trim().parse().expect("one child"))
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        self.tmux(&["kill-server"], &[]);
    }
}

#[test]
fn the_terminal_is_as_it_was_however_the_view_ends() {
    needs!(tmux, v3_11);
    let program = run(&python("v3_11"), "spin.py");
    let shell = Shell::start();
    let before = shell.settings("before");
    shell.watch(&program);
    shell.press(&["q"]);
    assert_eq!(shell.settings("after_q"), before);
    shell.watch(&program);
    kill(shell.child(), Signal::SIGTERM).expect("sent");
    shell.wait_for("ready>");
    assert_eq!(shell.settings("after_sigterm"), before);
    shell.watch(&program);
    shell.press(&["C-z"]);
    shell.wait_for("Stopped");
    assert_eq!(shell.settings("while_stopped"), before);
    shell.say("clear; fg");
    shell.wait_for("spin (");
    shell.press(&["C-c"]);
    assert_eq!(shell.settings("after_fg"), before);
    shell.watch(&program);
    drop(program);
    let last = shell.wait_for("the program ended");
    assert!(last.contains("spin ("), "its last screen stays:\n{last}");
    shell.press(&["q"]);
    assert_eq!(shell.settings("after_end"), before);
}

#[test]
fn watching_ends_when_the_terminal_hangs_up() {
    needs!(tmux, v3_11);
    let program = run(&python("v3_11"), "spin.py");
    let shell = Shell::start();
    shell.watch(&program);
    let watching = shell.child();
    shell.tmux(&["kill-server"], &[]);
    let began = Instant::now();
    let stat = format!("/proc/{watching}/stat");
    // Whoever is its parent now may let it wait as a zombie.
    while fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(began.elapsed() < PATIENCE, "it goes on");
        sleep(Duration::from_millis(30));
    }
}

#[test]
fn a_panic_can_be_read_and_leaves_the_terminal_as_it_was() {
    needs!(tmux);
    let shell = Shell::start();
    let before = shell.settings("before");
    let programs = cargo_bin("rsamp");
    let folder = programs.parent().expect("a folder").join("examples");
    let program = folder.join("panicking_screen");
    shell.say(&format!("clear; {}", program.display()));
    shell.wait_for("this panic was asked for");
    assert_eq!(shell.settings("after"), before);
}

#[test]
fn a_small_terminal_says_so_and_a_recording_can_be_opened() {
    needs!(tmux, v3_11);
    let program = run(&python("v3_11"), "spin.py");
    let shell = Shell::start();
    shell.watch(&program);
    shell.press(&["R"]);
    shell.wait_for("R ends it");
    sleep(Duration::from_millis(1500));
    shell.tmux(&["resize-window", "-x", "59", "-y", "11"], &[]);
    shell.wait_for("59 × 11");
    shell.tmux(&["resize-window", "-x", "80", "-y", "24"], &[]);
    shell.press(&["R"]);
    shell.wait_for("wrote spin-");
    shell.press(&["F"]);
    shell.wait_for(".svg");
    shell.press(&["q"]);
    let folder = shell.folder.path();
    let one = |ending: &str| {
        let names = files(folder, ending);
        assert_eq!(names.len(), 1, "{names:?}");
        folder.join(&names[0])
    };
    let mut rsamp = Command::new(cargo_bin("rsamp"));
    let report = stdout(rsamp.arg("report").arg(one(".rsamp")));
    assert!(report.contains("spin (spin.py"), "{report}");
    let graph = fs::read_to_string(one(".svg")).expect("text");
    assert!(graph.contains("spin"), "{graph}");
}
