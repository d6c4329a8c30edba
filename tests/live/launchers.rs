//! Turns commands with launchers in them, and job scripts, into one recording: with launchers that are shell scripts.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use assert_cmd::cargo::cargo_bin;
use tempfile::TempDir;

use crate::support::commands::files;
use crate::support::pythons::python;
use crate::support::recordings::read;

/// Starts `-n N` copies with what srun sets; `AFTER` is run when they have ended.
const SRUN: &str = "#!/bin/sh
n=1
case $1 in (-n) n=$2; shift 2;; (--ntasks=*) n=${1#*=}; shift;; esac
rank=0 pids=
while [ $rank -lt $n ]; do
  SLURM_JOB_ID=42 SLURM_STEP_ID=0 SLURM_STEP_NUM_TASKS=$n SLURM_PROCID=$rank SLURM_LOCALID=$rank \"$@\" &
  pids=\"$pids $!\" rank=$((rank + 1))
done
code=0
for pid in $pids; do wait $pid || code=$?; done
eval \"$AFTER\"
exit $code
";

/// The same with what Open MPI sets.
const MPIRUN: &str = "#!/bin/sh
n=$2; shift 2
rank=0
while [ $rank -lt $n ]; do
  OMPI_COMM_WORLD_SIZE=$n OMPI_COMM_WORLD_RANK=$rank \"$@\" &
  rank=$((rank + 1))
done
wait
";

/// Runs a copy of the script at once, as a job.
const SBATCH: &str = "#!/bin/bash
name=$(basename \"$1\")
mkdir spool && cp \"$1\" spool/slurm_script && shift
chmod +x spool/slurm_script
SLURM_JOB_ID=43 SLURM_JOB_NAME=$name SLURM_PROCID=0 spool/slurm_script \"$@\" >job.out 2>job.err
echo Submitted batch job 43
";

/// Says which rank it is, and works for a while in a function.
const RANK: &str = "import os, sys, time
def work():
    end = time.perf_counter() + 0.3
    while time.perf_counter() < end:
        sum(range(100))
work()
rank = os.environ.get('SLURM_PROCID') or os.environ.get('OMPI_COMM_WORLD_RANK')
# At once, as ranks share the pipe.
os.write(1, ' '.join(['rank', str(rank), *sys.argv[1:]]).encode() + b'\\n')
sys.exit(int(os.environ.get('CODE', 0)))
";

/// A folder with rank.py, and the launchers in `bin`.
struct Site {
    folder: TempDir,
    python: String,
}

impl Site {
    fn new() -> Site {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("bin")).expect("made");
        for (name, text) in [("srun", SRUN), ("mpirun", MPIRUN), ("sbatch", SBATCH)] {
            let path = folder.path().join("bin").join(name);
            fs::write(&path, text).expect("written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("permissions");
        }
        fs::write(folder.path().join("rank.py"), RANK).expect("written");
        let python = python("v3_11").command.join(" ");
        Site { folder, python }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs rsamp with the words of a line, in which `python` is the interpreter.
    fn run(&self, line: &str, environment: &[(&str, &str)]) -> Output {
        let line = line.replace("python ", &format!("{} ", self.python));
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", self.path().join("bin").display());
        let mut command = Command::new(cargo_bin!("rsamp"));
        command
            .args(line.split_whitespace())
            .current_dir(self.path());
        command.env("PATH", path).envs(environment.iter().copied());
        command.output().expect("rsamp runs")
    }

    /// Writes a job script, in which `python` is the interpreter.
    fn script(&self, name: &str, text: &str) {
        let text = text.replace("python ", &format!("{} ", self.python));
        fs::write(self.path().join(name), text).expect("written");
    }

    /// The ranks of the processes in a recording, in which all of them worked.
    fn ranks(&self, file: &str) -> Vec<Option<u32>> {
        let read = read(&self.path().join(file)).expect("a recording");
        let (profile, mut sources) = (read.profile, read.sources.iter());
        assert!(profile.frames().iter().any(|frame| frame.name == "work"));
        assert!(sources.any(|source| source.text.contains("def work")));
        let processes = profile.processes().iter();
        assert!(processes.clone().all(|process| process.host.is_some()));
        let mut ranks: Vec<Option<u32>> = processes.map(|process| process.rank).collect();
        ranks.sort_unstable();
        ranks
    }

    /// The names of the files whose names end so, sorted.
    fn files(&self, ending: &str) -> Vec<String> {
        files(self.path(), ending)
    }
}

fn said(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_launcher_behind_rsamp_gives_one_recording() {
    needs!(v3_11);
    let site = Site::new();
    let output = site.run(
        "record -o all.rsamp -o all.folded -- srun -n 3 python rank.py a b",
        &[],
    );
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert_eq!(
        said(&output.stdout),
        ["rank 0 a b", "rank 1 a b", "rank 2 a b"]
    );
    assert_eq!(
        errors(&output)
            .matches("rsamp: rank.py ended after")
            .count(),
        1
    );
    assert_eq!(site.ranks("all.rsamp"), [Some(0), Some(1), Some(2)]);
    let folded = fs::read_to_string(site.path().join("all.folded")).expect("written");
    assert!(folded.contains("work"), "{folded}");
    // Each rank is a root of the graphs, and the summary compares them.
    let ranks = ["rank 0: ", "rank 1: ", "rank 2: "];
    assert!(ranks.iter().all(|rank| folded.contains(rank)), "{folded}");
    assert!(
        errors(&output).contains("\n3 ranks: "),
        "{}",
        errors(&output)
    );
    assert_eq!(site.files(".ranks"), [""; 0]);
    // Without -o, under the script's name; and with another launcher.
    let output = site.run("record -q -- time mpirun -n 2 python rank.py", &[]);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let files = site.files(".rsamp");
    assert!(
        files.len() == 2 && files[1].starts_with("rank-"),
        "{files:?}"
    );
    assert_eq!(site.ranks(&files[1]), [Some(0), Some(1)]);
}

#[test]
fn a_launcher_before_rsamp_gives_a_recording_for_each_rank() {
    needs!(v3_11);
    let site = Site::new();
    let rsamp = cargo_bin!("rsamp").display().to_string();
    let line = format!("-n 2 {rsamp} record -- {} rank.py", site.python);
    let mut srun = Command::new(site.path().join("bin/srun"));
    let output = srun
        .args(line.split(' '))
        .current_dir(site.path())
        .output()
        .expect("runs");
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let files = site.files(".rsamp");
    let has_rank = |rank: usize| files[rank].starts_with(&format!("rank-r{rank}-"));
    assert!(files.len() == 2 && has_rank(0) && has_rank(1), "{files:?}");
    assert_eq!(
        (site.files(".svg").len(), site.files(".pstats").len()),
        (0, 0)
    );
    // Each rank says one line, and one of them how to see all.
    let told = errors(&output);
    let lines = |word: &str| told.lines().filter(|line| line.contains(word)).count();
    assert_eq!(
        (told.lines().count(), lines("; wrote rank-r")),
        (3, 2),
        "{told}"
    );
    let hint = told
        .lines()
        .find_map(|line| line.strip_prefix("rsamp: all ranks in one: rsamp "));
    let hint = hint.expect("a hint").replace('\'', "");
    let merged = site.run(&hint, &[]);
    assert_eq!(merged.status.code(), Some(0), "{}", errors(&merged));
    assert_eq!(site.ranks("rank.rsamp"), [Some(0), Some(1)]);
}

/// As when its node is lost: rsamp of rank 1 is killed once it has begun to write.
const LOST: &str = "import glob, os, signal, sys, time
rank = os.environ['SLURM_PROCID']
if rank == '1':
    while not any(os.path.getsize(path) for path in glob.glob('*.ranks/*/*-r1-*.rsamp')): pass
    os.kill(os.getppid(), signal.SIGKILL)
else:
    end = time.perf_counter() + 0.3
    while time.perf_counter() < end: sum(range(100))
";

#[test]
fn a_rank_that_was_lost_is_named() {
    needs!(v3_11);
    let site = Site::new();
    fs::write(site.path().join("lost.py"), LOST).expect("written");
    let output = site.run("record -q -o all.rsamp srun -n 3 python lost.py", &[]);
    let told = errors(&output);
    assert!(
        told.contains("warning: the recording of rank 1 on"),
        "{told}"
    );
    assert!(
        told.contains("ends early: it was killed, its node was lost"),
        "{told}"
    );
}

#[test]
fn ranks_that_are_not_asked_for_run_without_rsamp() {
    needs!(v3_11);
    let site = Site::new();
    let line = "record -q --ranks 1,7-9 -o one.rsamp srun -n 3 python rank.py";
    let output = site.run(line, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert_eq!(said(&output.stdout), ["rank 0", "rank 1", "rank 2"]);
    assert_eq!(errors(&output), "");
    assert_eq!(site.ranks("one.rsamp"), [Some(1)]);
}

#[test]
fn the_launchers_exit_code_is_passed_on() {
    needs!(v3_11);
    let site = Site::new();
    let output = site.run(
        "record -q -o a.rsamp -- srun -n 2 python rank.py",
        &[("CODE", "7")],
    );
    assert_eq!(output.status.code(), Some(7), "{}", errors(&output));
    assert_eq!(site.ranks("a.rsamp").len(), 2);
    let output = site.run(
        "record -q -o a.rsamp -- srun --ntasks=2 no-such-program",
        &[],
    );
    assert_eq!(output.status.code(), Some(127), "{}", errors(&output));
}

#[test]
fn ranks_whose_recordings_are_lost_are_named() {
    needs!(v3_11);
    let site = Site::new();
    let line = "record -q -o a.rsamp -- srun -n 4 python rank.py";
    let output = site.run(line, &[("AFTER", "rm *.ranks/srun*/*-r[12]-*")]);
    assert_eq!(output.status.code(), Some(65), "{}", errors(&output));
    assert!(
        errors(&output).contains("ranks 1-2 of 4 left no recording"),
        "{}",
        errors(&output)
    );
    assert_eq!(site.ranks("a.rsamp"), [Some(0), Some(3)]);
    // Damaged: what comes before is merged, and the folder is kept.
    let after = "f=$(echo *.ranks/srun*/*-r3-*); printf xxxx | dd of=$f bs=1 seek=$(($(wc -c <$f) - 9)) conv=notrunc";
    let output = site.run(line, &[("AFTER", after)]);
    assert_eq!(output.status.code(), Some(65), "{}", errors(&output));
    assert!(
        errors(&output).contains("is damaged from byte"),
        "{}",
        errors(&output)
    );
    assert!(site.ranks("a.rsamp").contains(&Some(0)));
    assert_eq!(site.files(".ranks").len(), 1);
    // A code of the program's own comes first.
    let output = site.run(line, &[("AFTER", "rm *.ranks/srun*/*-r0-*"), ("CODE", "3")]);
    assert_eq!(output.status.code(), Some(3), "{}", errors(&output));
}

#[test]
fn a_rank_without_python_is_not_an_error() {
    needs!(v3_11);
    let site = Site::new();
    let output = site.run("record -o a.rsamp -- srun -n 2 true", &[]);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert!(
        errors(&output).contains("warning: the program ran, but nothing was recorded"),
        "{}",
        errors(&output)
    );
    assert_eq!(site.files(".ranks"), [""; 0]);
}

#[test]
fn a_node_that_does_not_share_the_folder_loses_nothing() {
    needs!(v3_11);
    let site = Site::new();
    let line = "record --gather /no/such/folder -- python rank.py";
    let spare = site.path().join("spare");
    fs::create_dir(&spare).expect("made");
    let output = site.run(
        line,
        &[("TMPDIR", &spare.display().to_string()), ("PMI_RANK", "5")],
    );
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let left = fs::read_dir(&spare).expect("a folder").count();
    assert!(
        left == 1 && errors(&output).contains("the recording is left on"),
        "{}",
        errors(&output)
    );
}

#[test]
fn ranks_write_to_scratch_and_to_the_folder_at_their_end() {
    needs!(v3_11);
    let site = Site::new();
    let spare = site.path().join("spare");
    fs::create_dir(&spare).expect("made");
    // What is where while a rank works.
    let look = RANK.replace(
        "rank =",
        "import glob; print(*(len(glob.glob(f)) for f in ['spare/rsamp-*.rsamp', '*.ranks/*/*.rsamp']), flush=True)\nrank =",
    );
    fs::write(site.path().join("look.py"), look).expect("written");
    let output = site.run(
        "record -q --scratch -o all.rsamp -- srun -n 1 python look.py",
        &[("TMPDIR", &spare.display().to_string())],
    );
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert_eq!(said(&output.stdout), ["1 0", "rank 0"]);
    assert_eq!(site.ranks("all.rsamp"), [Some(0)]);
    assert_eq!(fs::read_dir(&spare).expect("a folder").count(), 0);
    assert_eq!(site.files(".ranks"), [""; 0]);
}

#[test]
fn every_launcher_in_a_job_script_is_seen() {
    needs!(v3_11);
    let site = Site::new();
    // As a module of a cluster does, after which the links are not the first in PATH.
    let script = "PATH=$PWD/bin:$PATH\nsrun -n 2 python rank.py first\nPATH=$PWD/bin:$PATH\n\
                  timeout 60 mpirun -n 2 python rank.py second\nexit 5\n";
    site.script("job.sl", script);
    // What a login shell reads is this machine's, but for what is the user's.
    let home = site.path().display().to_string();
    for bash in ["bash", "bash -l"] {
        let line = format!("record -q -o all.rsamp -- {bash} job.sl");
        let output = site.run(&line, &[("HOME", &home)]);
        assert_eq!(output.status.code(), Some(5), "{}", errors(&output));
        let all = [
            "rank 0 first",
            "rank 0 second",
            "rank 1 first",
            "rank 1 second",
        ];
        assert_eq!(said(&output.stdout), all);
        let ranks = [Some(0), Some(0), Some(1), Some(1)];
        assert_eq!(site.ranks("all.rsamp"), ranks, "{}", errors(&output));
        assert_eq!(errors(&output), "");
    }
}

#[test]
fn launchers_that_a_driver_or_a_makefile_starts_are_seen() {
    needs!(v3_11);
    let site = Site::new();
    let driver = "import subprocess\nsubprocess.run(['srun', '-n', '2'] + 'python rank.py'.split(), check=True)\n";
    site.script("driver.py", driver);
    site.script("Makefile", "all:\n\tmpirun -n 2 python rank.py\n");
    for (line, own) in [("python driver.py", vec![None]), ("make -s", Vec::new())] {
        let output = site.run(&format!("record -q -o all.rsamp -- {line}"), &[]);
        assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
        assert_eq!(said(&output.stdout), ["rank 0", "rank 1"], "{line}");
        let ranks = [own, vec![Some(0), Some(1)]].concat();
        assert_eq!(
            site.ranks("all.rsamp"),
            ranks,
            "{line}: {}",
            errors(&output)
        );
    }
}

#[test]
fn a_launcher_in_a_script_runs_as_it_would_alone() {
    needs!(v3_11);
    let site = Site::new();
    site.script(
        "job.sl",
        "srun --frobnicate 2 x\nenv | grep -c -e RSAMP -e BASH_\nmpirun -n 1 env\n",
    );
    let output = site.run("record -q -o all.rsamp -- bash job.sl", &[]);
    assert!(
        errors(&output).contains("srun runs without rsamp on the ranks"),
        "{}",
        errors(&output)
    );
    // The program's environment is the one that it would have had.
    let said = said(&output.stdout).join("\n");
    assert!(
        !said.contains("RSAMP_SHIMS=") && !said.contains(".ranks") && !said.contains("BASH_FUNC"),
        "{said}"
    );
}

#[test]
fn a_submitted_script_keeps_what_its_own_shell_would_keep() {
    needs!(v3_11);
    let site = Site::new();
    let script = "#!/bin/bash\nmodule load gcc\nenv | grep '^my.var='\nsrun -n 1 python rank.py\n";
    site.script("job.sl", script);
    let environment = [
        ("BASH_FUNC_module%%", "() { echo module \"$@\"; }"),
        ("my.var", "7"),
    ];
    let output = site.run("record -q -o all.rsamp -- sbatch job.sl", &environment);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let read = |name: &str| fs::read(site.path().join(name)).expect("written");
    assert_eq!(
        said(&read("job.out")),
        ["module load gcc", "my.var=7", "rank 0"],
        "{}",
        String::from_utf8_lossy(&read("job.err"))
    );
}

#[test]
fn a_submitted_script_is_profiled_by_the_job() {
    needs!(v3_11);
    let site = Site::new();
    let script = "#!/bin/bash\n#SBATCH --ntasks=2\nsrun -n 2 python rank.py $1\n";
    site.script("heat.sl", script);
    let output = site.run("record -r 500 -- sbatch heat.sl west", &[]);
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    assert_eq!(said(&output.stdout), ["Submitted batch job 43"]);
    assert_eq!(errors(&output), "");
    let read = |name: &str| fs::read_to_string(site.path().join(name)).expect("written");
    assert_eq!(
        said(read("job.out").as_bytes()),
        ["rank 0 west", "rank 1 west"]
    );
    let files = site.files(".rsamp");
    assert!(
        files.len() == 1 && files[0].starts_with("heat-"),
        "{files:?}\n{}",
        read("job.err")
    );
    assert_eq!(site.ranks(&files[0]), [Some(0), Some(1)]);
    assert_eq!(site.files(".ranks"), [""; 0]);
    assert!(
        read("job.err").contains("rsamp: job heat ended after"),
        "{}",
        read("job.err")
    );
}
