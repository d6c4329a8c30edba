//! Turns the name of a Slurm job into what Slurm says of it, and a program into one that runs on each of its nodes.
//!
//! Asked are scontrol(1) and srun(1) of the machine, as the user would. Seen with Slurm 22.05.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;
use std::str::FromStr;
use std::{fmt, io};

use thiserror::Error;

/// A job, or one step of it, as typed: `4242`, `4242_3` of an array, `4242.0`, `4242.batch`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobName {
    /// `4242` or `4242_3`.
    pub job: String,
    /// `0` or `batch`; `None`: all steps.
    pub step: Option<String>,
}

/// A text that is no [`JobName`].
#[derive(Debug, Error, PartialEq, Eq)]
#[error("invalid --job {0:?}: give the number of a job, or of a step, such as 4242 or 4242.0")]
pub struct InvalidJobName(pub String);

impl FromStr for JobName {
    type Err = InvalidJobName;

    fn from_str(text: &str) -> Result<JobName, InvalidJobName> {
        let (job, step) = match text.split_once('.') {
            Some((job, step)) => (job, Some(step.to_owned())),
            None => (text, None),
        };
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let is_job = job.splitn(2, ['_', '+']).all(is_number);
        let is_step = |step: &String| is_number(step) || step == "batch" || step == "interactive";
        if is_job && step.as_ref().is_none_or(is_step) {
            let job = job.to_owned();
            Ok(JobName { job, step })
        } else {
            Err(InvalidJobName(text.to_owned()))
        }
    }
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.step {
            Some(step) => write!(f, "{}.{step}", self.job),
            None => self.job.fmt(f),
        }
    }
}

/// A job that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its number, which for a task of an array is not what was typed.
    pub id: String,
    /// The step that was named.
    pub step: Option<String>,
    /// Where it runs, as Slurm abbreviates it: `n[1-2]`.
    pub nodes: String,
    /// How many nodes these are.
    pub node_count: u32,
}

/// Why nothing can be asked of a job.
#[derive(Debug, Error)]
pub enum SlurmError {
    /// Slurm's commands are not there.
    #[error("ask Slurm for job {job}: run {program}")]
    NoSlurm {
        /// The job as typed.
        job: JobName,
        /// The command that was tried.
        program: &'static str,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// They are there, and do not answer.
    #[error("ask Slurm for job {job}: {said}")]
    NoAnswer {
        /// The job as typed.
        job: JobName,
        /// What the command said.
        said: String,
    },
    /// Slurm does not know the job, or not any more.
    #[error("there is no job {0} in Slurm")]
    NoSuchJob(JobName),
    /// It has not begun.
    #[error("job {job} does not run yet: it is {state}, because of {reason}")]
    NotYet {
        /// The job as typed.
        job: JobName,
        /// `PENDING` or `CONFIGURING`.
        state: String,
        /// What it waits for, such as `Resources`.
        reason: String,
    },
    /// It does not run any more.
    #[error("job {job} does not run: it is {state}")]
    NotRunning {
        /// The job as typed.
        job: JobName,
        /// Such as `COMPLETED` or `SUSPENDED`.
        state: String,
    },
    /// Several tasks of an array run.
    #[error("job {job} is an array, of which {count} tasks run")]
    Array {
        /// The job as typed.
        job: JobName,
        /// How many run.
        count: usize,
    },
    /// Slurm lets only its owner run something in a job; root neither.
    #[error("job {job} belongs to user {owner}")]
    OtherUser {
        /// The job as typed.
        job: JobName,
        /// The name of its owner.
        owner: String,
    },
    /// The job runs without such a step.
    #[error("job {job} has no running step {step}; running: {others}", job = .job.job, step = .job.step.as_deref().unwrap_or_default())]
    NoSuchStep {
        /// The job and step as typed.
        job: JobName,
        /// The steps that run: `4242.batch, 4242.0`.
        others: String,
    },
}

/// Asks Slurm for a job, which must run and belong to user `uid`.
///
/// # Errors
/// When it does not, or Slurm cannot be asked.
pub fn find(name: &JobName, uid: u32) -> Result<Job, SlurmError> {
    let said = scontrol(name, &["show", "job", "--oneliner", &name.job])?;
    let job = parse_job(name, &said, uid)?;
    let Some(step) = &name.step else {
        return Ok(job);
    };
    let said = scontrol(name, &["show", "step", "--oneliner", &job.id])?;
    parse_step(name, job, step, &said)
}

fn scontrol(name: &JobName, words: &[&str]) -> Result<String, SlurmError> {
    const PROGRAM: &str = "scontrol";
    let output = Command::new(PROGRAM).args(words).output();
    let output = output.map_err(|source| SlurmError::NoSlurm {
        job: name.clone(),
        program: PROGRAM,
        source,
    })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(if said.contains("Invalid job id") {
        SlurmError::NoSuchJob(name.clone())
    } else {
        SlurmError::NoAnswer {
            job: name.clone(),
            said,
        }
    })
}

/// The value of a field in a line of `NAME=value NAME=value …`.
fn field<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    let mut words = line.split_whitespace();
    words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

fn parse_job(name: &JobName, said: &str, uid: u32) -> Result<Job, SlurmError> {
    let is_running = |line: &&str| field(line, "JobState") == Some("RUNNING");
    let running: Vec<&str> = said.lines().filter(is_running).collect();
    let line = match (running.as_slice(), said.lines().next()) {
        ([line], _) => *line,
        ([], Some(line)) => line,
        ([], None) => return Err(SlurmError::NoSuchJob(name.clone())),
        (several, _) => {
            return Err(SlurmError::Array {
                job: name.clone(),
                count: several.len(),
            });
        }
    };
    let text = |name: &str| field(line, name).unwrap_or("unknown").to_owned();
    let job = name.clone();
    match text("JobState").as_str() {
        "RUNNING" => {}
        "PENDING" | "CONFIGURING" => {
            return Err(SlurmError::NotYet {
                job,
                state: text("JobState"),
                reason: text("Reason"),
            });
        }
        state => {
            let state = state.to_owned();
            return Err(SlurmError::NotRunning { job, state });
        }
    }
    // `ada(1000)`
    let owner = text("UserId");
    if !owner.ends_with(&format!("({uid})")) {
        let owner = owner.split('(').next().unwrap_or(&owner).to_owned();
        return Err(SlurmError::OtherUser { job, owner });
    }
    Ok(Job {
        id: text("JobId"),
        step: None,
        nodes: text("NodeList"),
        node_count: text("NumNodes").parse().unwrap_or(1),
    })
}

fn parse_step(name: &JobName, job: Job, step: &str, said: &str) -> Result<Job, SlurmError> {
    let id = format!("{}.{step}", job.id);
    let steps = || said.lines().filter_map(|line| field(line, "StepId"));
    let Some(line) = said
        .lines()
        .find(|line| field(line, "StepId") == Some(id.as_str()))
    else {
        return Err(SlurmError::NoSuchStep {
            job: name.clone(),
            others: match steps().collect::<Vec<_>>().join(", ") {
                none if none.is_empty() => "none".to_owned(),
                others => others,
            },
        });
    };
    let nodes = field(line, "NodeList").unwrap_or(&job.nodes).to_owned();
    let count = field(line, "Nodes").and_then(|count| count.parse().ok());
    Ok(Job {
        step: Some(step.to_owned()),
        nodes,
        node_count: count.unwrap_or(job.node_count),
        ..job
    })
}

/// The command that runs `program` once on each node of the job, beside what runs there, as a step of its own.
///
/// What the command reads goes to all of them, and lines of up to about 1000 bytes that they write come out whole
/// (srun(1), `--unbuffered`).
#[must_use]
pub fn on_each_node(job: &Job, program: &Path, words: &[OsString]) -> Command {
    let mut command = Command::new("srun");
    let count = job.node_count;
    command
        .arg(format!("--jobid={}", job.id))
        .arg("--overlap")
        .arg(format!("--nodes={count}"))
        .arg(format!("--ntasks={count}"))
        .arg("--ntasks-per-node=1")
        .arg(format!("--nodelist={}", job.nodes))
        // Those of the job; else none would be left.
        .arg("--mem=0")
        .arg("--mpi=none")
        // The current folder may be on this machine alone.
        .arg("--chdir=/")
        .arg(program)
        .args(words);
    // Typed in another job, these would be about that one.
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_of_other_job(name)) {
        command.env_remove(name);
    }
    command
}

fn is_of_other_job(variable: &OsStr) -> bool {
    let name = variable.to_string_lossy();
    name.starts_with("SLURM_") && name != "SLURM_CONF"
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = "JobId=4243 ArrayJobId=4242 ArrayTaskId=3 JobName=x UserId=ada(1000) JobState=RUNNING Reason=None \
                       ReqNodeList=(null) NodeList=n[1-2] NumNodes=2 NumCPUs=4";
    const STEPS: &str = "StepId=4243.batch State=RUNNING NodeList=n1 Nodes=1\n\
                         StepId=4243.0 State=RUNNING NodeList=n[1-2] Nodes=2\n";

    fn name(text: &str) -> JobName {
        text.parse().expect("a name")
    }

    #[test]
    fn jobs_and_steps_are_told_from_other_words() {
        for text in [
            "4242",
            "4242_3",
            "4242+1",
            "4242.0",
            "4242.batch",
            "4242_3.12",
        ] {
            assert_eq!(name(text).to_string(), text);
        }
        for text in [
            "",
            "x",
            "4242.",
            ".0",
            "4242.x",
            "4242_",
            "-1",
            "4242 1",
            "4242_1_1",
            "4242[1-2]",
        ] {
            assert_eq!(
                text.parse::<JobName>(),
                Err(InvalidJobName(text.to_owned()))
            );
        }
    }

    #[test]
    fn a_running_job_is_found() {
        let job = parse_job(&name("4242_3"), JOB, 1000).expect("a job");
        assert_eq!(
            (job.id.as_str(), job.nodes.as_str(), job.node_count),
            ("4243", "n[1-2]", 2)
        );
        let step = parse_step(&name("4242_3.batch"), job.clone(), "batch", STEPS).expect("a step");
        assert_eq!((step.nodes.as_str(), step.node_count), ("n1", 1));
        let error = parse_step(&name("4242_3.7"), job, "7", STEPS).expect_err("no step");
        insta::assert_snapshot!(error, @"job 4242_3 has no running step 7; running: 4243.batch, 4243.0");
    }

    #[test]
    fn a_job_that_cannot_be_asked_says_why() {
        let told = |said: &str, uid| {
            parse_job(&name("4242"), said, uid)
                .expect_err("refused")
                .to_string()
        };
        let with = |state: &str| JOB.replace("RUNNING Reason=None", state);
        insta::assert_snapshot!(told(JOB, 0), @"job 4242 belongs to user ada");
        // A user whose number ends like the owner's is another.
        insta::assert_snapshot!(told(JOB, 0), @"job 4242 belongs to user ada");
        insta::assert_snapshot!(told(&with("PENDING Reason=Resources"), 1000), @"job 4242 does not run yet: it is PENDING, because of Resources");
        insta::assert_snapshot!(told(&with("COMPLETED"), 1000), @"job 4242 does not run: it is COMPLETED");
        insta::assert_snapshot!(told(&format!("{JOB}\n{JOB}"), 1000), @"job 4242 is an array, of which 2 tasks run");
        insta::assert_snapshot!(told("", 1000), @"there is no job 4242 in Slurm");
        // Of an array with one task that runs, that one is meant.
        assert!(
            parse_job(
                &name("4242"),
                &format!("{}\n{JOB}", with("COMPLETED")),
                1000
            )
            .is_ok()
        );
    }

    #[test]
    fn the_command_reaches_each_node_once() {
        let job = parse_job(&name("4242_3"), JOB, 1000).expect("a job");
        let command = on_each_node(&job, Path::new("/opt/rsamp"), &["x y".into()]);
        let words: Vec<_> = command
            .get_args()
            .map(|word| word.to_string_lossy())
            .collect();
        insta::assert_snapshot!(words.join(" "), @"--jobid=4243 --overlap --nodes=2 --ntasks=2 --ntasks-per-node=1 --nodelist=n[1-2] --mem=0 --mpi=none --chdir=/ /opt/rsamp x y");
    }
}
