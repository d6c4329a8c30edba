//! Turns job scripts into what came of them, in the cluster that `scripts/cluster env` tells of.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, id};
use std::time::{Duration, Instant};

use nix::unistd::User;

use crate::support::commands::{files, stdout, text};
use crate::support::needs;

/// Nothing here takes longer. Slurm looks for jobs beyond their time limit every 30 s.
const LIMIT: Duration = Duration::from_secs(100);

/// How often Slurm is asked: a question takes it some milliseconds.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// A folder of the cluster for one test, with `rsamp`, `python` and `mpirun` for the jobs that it submits from there.
pub struct Cluster {
    /// Where the jobs run and leave their files; shared by all nodes. It goes when the test passes.
    pub folder: PathBuf,
    path: String,
    user: Option<User>,
}

impl Cluster {
    /// The cluster, for the test `name`; `None`, having said why, when there is none.
    pub fn new(name: &str) -> Option<Cluster> {
        if let Ok(reason) = std::env::var("RSAMP_NO_CLUSTER") {
            return skip(name, &format!("no cluster: {reason}"));
        }
        let Some(root) = std::env::var_os("RSAMP_CLUSTER").map(PathBuf::from) else {
            return skip(
                name,
                "RSAMP_CLUSTER is not set, scripts/cluster env tells it",
            );
        };
        let folder = root.join(format!("tests/{name}-{}", id()));
        fs::create_dir_all(&folder).expect("a folder");
        let rsamp = readable_rsamp(&root, name);
        let programs = rsamp.parent().expect("a folder").display().to_string();
        let python = std::env::var("RSAMP_CLUSTER_PYTHON").expect("told with RSAMP_CLUSTER");
        let rest = std::env::var("PATH").unwrap_or_default();
        let cluster = Cluster {
            folder,
            path: format!("{programs}:{python}:{rest}"),
            user: None,
        };
        cluster.add_program("scatter.py");
        Some(cluster)
    }

    /// From now on jobs are those of a user who is not root.
    pub fn without_root(mut self) -> Cluster {
        let name = std::env::var("RSAMP_CLUSTER_USER").expect("told with RSAMP_CLUSTER");
        let user = User::from_name(&name).expect("users").expect("the user");
        let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
        chown(&self.folder, Some(uid), Some(gid)).expect("given away");
        self.user = Some(user);
        self
    }

    /// Copies a program of `tests/programs` or `tests/cluster` into the folder.
    pub fn add_program(&self, name: &str) {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        let found = ["programs", "cluster"].map(|room| tests.join(room).join(name));
        let found = found.iter().find(|path| path.exists());
        let to = self.folder.join(name);
        fs::copy(found.expect("a program"), &to).expect("copied");
        fs::set_permissions(&to, fs::Permissions::from_mode(0o644)).expect("permissions");
    }

    /// A command in the folder, by the user of the jobs.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.folder).env("PATH", &self.path);
        // One that runs these tests in a job would be taken for the job of the test.
        for (name, _) in std::env::vars().filter(|(name, _)| is_of_job(name)) {
            command.env_remove(name);
        }
        if let Some(user) = &self.user {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
            command.env("HOME", &self.folder).env("USER", &user.name);
        }
        command
    }

    /// Submits a script; standard output and error of the job are apart.
    pub fn submit(&self, options: &[&str], script: &str) -> Job<'_> {
        let number = fs::read_dir(&self.folder).expect("a folder").count();
        let name = format!("job{number}.sl");
        fs::write(self.folder.join(&name), script).expect("written");
        let mut command = self.command("sbatch");
        command.args(["--parsable", "--output=%j.out", "--error=%j.err"]);
        command.args(options).arg(&name);
        let output = command.output().expect("sbatch");
        assert!(output.status.success(), "{output:?}");
        let job = text(&output.stdout).trim().to_owned();
        assert!(job.parse::<u32>().is_ok(), "{output:?}");
        self.job(&job)
    }

    /// A job that was submitted in another way.
    pub fn job(&self, id: &str) -> Job<'_> {
        Job {
            cluster: self,
            id: id.to_owned(),
        }
    }

    /// The names of the files in the folder that end so, sorted.
    pub fn files(&self, ending: &str) -> Vec<String> {
        files(&self.folder, ending)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// A job that was submitted. Dropping it ends it.
pub struct Job<'a> {
    cluster: &'a Cluster,
    /// Its number.
    pub id: String,
}

/// How a job ended.
#[derive(Debug)]
pub struct Ended {
    /// `COMPLETED`, `FAILED`, `CANCELLED`, `TIMEOUT`, `OUT_OF_MEMORY` …
    pub state: String,
    /// The exit code of the script, or the signal that killed it, as `1:0` or `0:15`.
    pub exit_code: String,
}

impl Job<'_> {
    /// Waits for the job's end, and that of all its tasks.
    pub fn wait(&self) -> Ended {
        wait_until(&format!("job {} does not end", self.id), || {
            // A job whose time is over counts as ended while its tasks still run; in the queue it is until they don't.
            let mut command = self.cluster.command("squeue");
            let output = command
                .args([
                    "--noheader",
                    "--states=all",
                    "--format=%t",
                    "--jobs",
                    &self.id,
                ])
                .output();
            let said = text(&output.expect("squeue").stdout);
            !["PD", "CF", "R", "CG"].contains(&said.trim())
        });
        self.state()
    }

    /// Waits for the job's end, which must be a good one.
    pub fn succeed(&self) {
        let ended = self.wait();
        let said = format!("{}\n{}", self.output(), self.errors());
        assert_eq!(
            (ended.state.as_str(), ended.exit_code.as_str()),
            ("COMPLETED", "0:0"),
            "{said}"
        );
    }

    fn state(&self) -> Ended {
        let mut command = self.cluster.command("scontrol");
        let output = command
            .args(["show", "job", "--oneliner", &self.id])
            .output()
            .expect("scontrol");
        let said = text(&output.stdout);
        let field = |name: &str| {
            let found = said
                .split_whitespace()
                .find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
            found.unwrap_or_default().to_owned()
        };
        Ended {
            state: field("JobState"),
            exit_code: field("ExitCode"),
        }
    }

    /// What it wrote to its standard output so far.
    pub fn output(&self) -> String {
        self.stream("out")
    }

    /// What it wrote to its standard error so far.
    pub fn errors(&self) -> String {
        self.stream("err")
    }

    fn stream(&self, ending: &str) -> String {
        fs::read_to_string(self.cluster.folder.join(format!("{}.{ending}", self.id)))
            .unwrap_or_default()
    }

    /// Waits until a line of its standard output, or several, begin so.
    pub fn wait_for_lines(&self, count: usize, start: &str) {
        wait_until(&format!("job {} does not say {start:?}", self.id), || {
            let ended = self.state().state;
            assert!(
                !["FAILED", "CANCELLED", "OUT_OF_MEMORY"].contains(&ended.as_str()),
                "{ended}: {}",
                self.errors()
            );
            self.output()
                .lines()
                .filter(|line| line.starts_with(start))
                .count()
                >= count
        });
    }

    /// Runs scancel with these options.
    pub fn cancel(&self, options: &[&str]) {
        let mut command = self.cluster.command("scancel");
        let output = command
            .args(options)
            .arg(&self.id)
            .output()
            .expect("scancel");
        assert!(output.status.success(), "{output:?}");
    }
}

impl Drop for Job<'_> {
    fn drop(&mut self) {
        let mut command = self.cluster.command("scancel");
        let _ = command.args(["--quiet", &self.id]).output();
    }
}

/// Looks until it is so.
pub fn wait_until(failure: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < LIMIT, "{failure} within {LIMIT:?}");
        std::thread::sleep(ASK_EVERY);
    }
}

/// Says why a test is not run.
fn skip<T>(name: &str, reason: &str) -> Option<T> {
    needs::skip(name, reason);
    None
}

fn is_of_job(variable: &str) -> bool {
    ["SLURM_", "PMI_", "PMIX_", "OMPI_COMM_"]
        .iter()
        .any(|start| variable.starts_with(start))
        && variable != "SLURM_CONF"
}

/// The program under test where every user may run it; the tests of one build share it.
fn readable_rsamp(root: &Path, test: &str) -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_rsamp"));
    let metadata = fs::metadata(built).expect("a program");
    let folder = root.join(format!("tests/bin-{}-{}", metadata.ino(), metadata.mtime()));
    let program = folder.join("rsamp");
    if !program.exists() {
        fs::create_dir_all(&folder).expect("a folder");
        let unready = folder.join(format!("rsamp-{test}"));
        // By another process: a file that this one writes to could not be run while a child of another test has it.
        stdout(Command::new("install").arg(built).arg(&unready));
        fs::rename(&unready, &program).expect("renamed");
    }
    program
}
