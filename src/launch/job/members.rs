//! Turns `/proc` of one node into the processes there that belong to a job.
//!
//! Where Slurm keeps jobs in cgroups, these tell (`…/job_4242/step_0/…`, in both versions of cgroups), and the program
//! can't change it. Elsewhere the environment of the process does, as it was at its start.

use std::os::unix::fs::MetadataExt;
use std::{fs, io};

use nix::unistd::geteuid;

use super::slurm::JobName;
use crate::launch::ranks::JobContext;
use crate::process::Pid;

/// A process of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The process.
    pub pid: Pid,
    /// Its parent, in the job or not.
    pub parent: Option<Pid>,
    /// The step: `0`, `batch`.
    pub step: String,
    /// `NAME=value`, those that are text; empty when the process is not to be read.
    pub environment: Vec<(String, String)>,
}

/// Which job on which node, and which step of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct JobStep {
    /// Equal for processes of one job on one node, of which a machine may have several.
    job: String,
    step: String,
}

impl JobStep {
    /// Whether it is of this job, as typed: a task of an array is `4242_3` there and has a number of its own.
    fn is_of(&self, job: &str, environment: &[(String, String)]) -> bool {
        let number = match self.job.rsplit_once("/job_") {
            Some((_, number)) => Some(number),
            None => self.job.split(' ').next(),
        };
        let of_array = || {
            let [array, task] =
                ["SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"].map(|name| value(environment, name));
            Some(format!("{}_{}", array?, task?))
        };
        number == Some(job) || of_array().as_deref() == Some(job)
    }
}

/// The processes of rsamp's own job on this node, or those of one step; those of rsamp's own step are none of them.
///
/// # Errors
/// When `/proc` cannot be listed.
pub fn members(step: Option<&str>) -> io::Result<Vec<Member>> {
    let Some((own, _)) = look(Pid(std::process::id() as i32)) else {
        return Ok(Vec::new());
    };
    members_where(|place, _| {
        let is_meant = step.is_none_or(|step| step == place.step);
        place.job == own.job && place.step != own.step && is_meant
    })
}

/// The processes of a job on this node, or those of one step of it, whatever rsamp runs in.
///
/// # Errors
/// When `/proc` cannot be listed.
pub fn members_of(job: &JobName) -> io::Result<Vec<Member>> {
    members_where(|place, environment| {
        let is_meant = job.step.as_ref().is_none_or(|step| *step == place.step);
        is_meant && place.is_of(&job.job, environment)
    })
}

fn members_where(
    is_meant: impl Fn(&JobStep, &[(String, String)]) -> bool,
) -> io::Result<Vec<Member>> {
    let mut members = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()).map(Pid) else {
            continue;
        };
        // Slurm's own processes, which are root's, stand in the groups of the job too.
        if owner(pid) != Some(geteuid().as_raw()) {
            continue;
        }
        // One that ends meanwhile has none.
        let Some((place, environment)) = look(pid) else {
            continue;
        };
        if is_meant(&place, &environment) {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            members.push(Member {
                pid,
                parent: parse_parent(&status),
                step: place.step,
                environment,
            });
        }
    }
    members.sort_by_key(|member| member.pid);
    Ok(members)
}

impl Member {
    /// Where the environment says that it is.
    #[must_use]
    pub fn in_job(&self) -> JobContext {
        JobContext::from_environment(|wanted| {
            let mut found = self.environment.iter().filter(|(name, _)| name == wanted);
            found.next().map(|(_, value)| value.clone())
        })
    }
}

/// A process to attach to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Top<'m> {
    /// The process.
    pub member: &'m Member,
    /// Whether those that descend from it belong to it. Else some of them are ranks of their own, as under torchrun.
    pub has_descendants: bool,
}

/// The fewest of these processes such that they and what descends from them are all, each once, and each rank is apart.
/// `others` stand between them, such as shells.
#[must_use]
pub fn tops<'m>(members: &'m [Member], others: &[Member]) -> Vec<Top<'m>> {
    // From the inside to the outside.
    let ancestors = |member: &Member| {
        let mut ancestors: Vec<&'m Member> = Vec::new();
        let mut parent = member.parent;
        // Read one after the other, parents may run in a circle.
        for _ in 0..members.len() + others.len() {
            let Some(pid) = parent else { break };
            if let Some(member) = members.iter().find(|member| member.pid == pid) {
                ancestors.push(member);
                parent = member.parent;
            } else {
                let other = others.iter().find(|other| other.pid == pid);
                parent = other.and_then(|other| other.parent);
            }
        }
        ancestors
    };
    let is_top = |member: &&Member| {
        let rank = member.in_job().rank;
        let inner = ancestors(member);
        inner
            .first()
            .is_none_or(|outer| outer.in_job().rank != rank)
    };
    let tops: Vec<&Member> = members.iter().filter(is_top).collect();
    let is_below_another = |member: &Member, top: &Member| {
        let outer = ancestors(member);
        outer.iter().any(|ancestor| ancestor.pid == top.pid)
    };
    let whole = |member: &'m Member| Top {
        member,
        has_descendants: !tops.iter().any(|other| is_below_another(other, member)),
    };
    tops.iter().map(|member| whole(member)).collect()
}

/// The parent that `/proc/PID/status` tells (proc(5), `PPid`).
fn parse_parent(status: &str) -> Option<Pid> {
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    line.and_then(|pid| pid.trim().parse().ok()).map(Pid)
}

fn owner(pid: Pid) -> Option<u32> {
    let metadata = fs::metadata(format!("/proc/{pid}")).ok()?;
    Some(metadata.uid())
}

fn look(pid: Pid) -> Option<(JobStep, Vec<(String, String)>)> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let environment = parse_environment(&environment);
    let place = place_in_groups(&groups).or_else(|| place_in_environment(&environment))?;
    Some((place, environment))
}

/// The first path like `/slurm/uid_0/job_4242/step_0/task_0` in a text like `5:freezer:PATH` (cgroups(7)).
fn place_in_groups(text: &str) -> Option<JobStep> {
    text.lines().find_map(|line| {
        let path = line.splitn(3, ':').nth(2)?;
        let (job, step) = path.split_once("/step_")?;
        let (_, number) = job.rsplit_once("/job_")?;
        let is_job = !number.contains('/');
        is_job.then(|| JobStep {
            job: job.to_owned(),
            step: step.split('/').next().unwrap_or_default().to_owned(),
        })
    })
}

/// What srun and sbatch set; a batch script has no SLURM_STEP_ID.
fn place_in_environment(environment: &[(String, String)]) -> Option<JobStep> {
    let of = |name| value(environment, name);
    Some(JobStep {
        job: format!("{} on {}", of("SLURM_JOB_ID")?, of("SLURMD_NODENAME")?),
        step: of("SLURM_STEP_ID").unwrap_or("batch").to_owned(),
    })
}

fn value<'e>(environment: &'e [(String, String)], name: &str) -> Option<&'e str> {
    let found = environment.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_str())
}

fn parse_environment(bytes: &[u8]) -> Vec<(String, String)> {
    let pairs = bytes.split(|byte| *byte == 0).filter_map(|pair| {
        let (name, value) = std::str::from_utf8(pair).ok()?.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(groups: &str, environment: &[u8], expected: Option<(&str, &str)>) {
        let environment = parse_environment(environment);
        let found = place_in_groups(groups).or_else(|| place_in_environment(&environment));
        let found = found.map(|place| (place.job, place.step));
        let found = found
            .as_ref()
            .map(|(job, step)| (job.as_str(), step.as_str()));
        assert_eq!(found, expected, "{groups:?}");
    }

    #[test]
    fn the_job_is_told_by_groups_or_else_by_the_environment() {
        let first = "7:cpu,cpuacct:/\n6:freezer:/slurm_n1/uid_0/job_43/step_0\n4:memory:/slurm_n1/uid_0/job_43/step_0/task_1\n";
        let environment = b"A=\xff\0SLURM_JOB_ID=44\0SLURM_STEP_ID=9\0SLURMD_NODENAME=n1\0";
        check(first, environment, Some(("/slurm_n1/uid_0/job_43", "0")));
        let second = "0::/system.slice/slurmstepd.scope/job_43/step_batch/user/task_0\n";
        check(
            second,
            b"",
            Some(("/system.slice/slurmstepd.scope/job_43", "batch")),
        );
        check("0::/user.slice\n", environment, Some(("44 on n1", "9")));
        let script = b"SLURM_JOB_ID=44\0SLURMD_NODENAME=n1\0";
        check("", script, Some(("44 on n1", "batch")));
        check("0::/job_1/x/step_1\n", b"HOME=/\0", None);
        check("0::/user.slice/job_43\n", b"SLURM_JOB_ID=44\0", None);
    }

    #[test]
    fn a_job_is_known_by_what_was_typed() {
        let array =
            b"SLURM_JOB_ID=44\0SLURMD_NODENAME=n1\0SLURM_ARRAY_JOB_ID=40\0SLURM_ARRAY_TASK_ID=3\0";
        let is_of = |groups: &str, job: &str| {
            let environment = parse_environment(array);
            let place = place_in_groups(groups).or_else(|| place_in_environment(&environment));
            place.expect("a place").is_of(job, &environment)
        };
        let groups = "0::/system.slice/slurmstepd.scope/job_44/step_0/user/task_0\n";
        for groups in [groups, ""] {
            assert!(is_of(groups, "44") && is_of(groups, "40_3"));
            assert!(!is_of(groups, "4") && !is_of(groups, "40") && !is_of(groups, "40_1"));
        }
    }

    fn member(pid: i32, parent: i32, rank: Option<u32>) -> Member {
        let variable = |rank: u32| ("PMI_RANK".to_owned(), rank.to_string());
        Member {
            pid: Pid(pid),
            parent: Some(Pid(parent)),
            step: "0".to_owned(),
            environment: rank.map(variable).into_iter().collect(),
        }
    }

    #[test]
    fn each_process_is_reached_once() {
        let tops = |members: &[Member], others: &[Member]| {
            let tops = tops(members, others);
            let told = tops
                .iter()
                .map(|top| (top.member.pid.0, top.has_descendants));
            told.collect::<Vec<_>>()
        };
        // Two ranks with pools, one of them behind a shell.
        let pools = [
            member(10, 1, Some(0)),
            member(11, 10, Some(0)),
            member(20, 1, Some(1)),
            member(22, 21, Some(1)),
        ];
        let shell = [member(21, 20, Some(1))];
        assert_eq!(tops(&pools, &shell), [(10, true), (20, true)]);
        // A launcher that is a Python program itself.
        let launcher = [
            member(10, 1, None),
            member(11, 10, Some(0)),
            member(12, 10, Some(1)),
        ];
        assert_eq!(tops(&launcher, &[]), [(10, false), (11, true), (12, true)]);
        // PIDs were used again while they were read.
        let circle = [member(10, 11, Some(0)), member(11, 10, Some(0))];
        assert_eq!(tops(&circle, &[]), []);
        assert_eq!(parse_parent("Name:\tx\nPPid:\t42\n"), Some(Pid(42)));
    }
}
