//! Turns `/proc` of one node into the processes there that belong to a job.
//!
//! Where Slurm keeps jobs in cgroups, these tell (`…/job_4242/step_0/…`, in both versions of cgroups), and the program
//! can't change it. Elsewhere the environment of the process does, as it was at its start.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use nix::unistd::geteuid;

use crate::process::Pid;

/// A process of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The process.
    pub pid: Pid,
    /// The step: `0`, `batch`.
    pub step: String,
    /// `NAME=value`, those that are text; empty when the process is not to be read.
    pub environment: Vec<(String, String)>,
}

/// Which job on which node, and which step of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    /// Equal for processes of one job on one node, of which a machine may have several.
    job: String,
    step: String,
}

/// The processes of rsamp's own job on this node, or those of one step; those of rsamp's own step are none of them.
///
/// # Errors
/// When `/proc` cannot be listed.
pub fn members(step: Option<&str>) -> io::Result<Vec<Member>> {
    let mut members = Vec::new();
    let Some((own, _)) = look(Pid(std::process::id() as i32)) else {
        return Ok(members);
    };
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
        let is_meant = step.is_none_or(|step| step == place.step);
        if place.job == own.job && place.step != own.step && is_meant {
            members.push(Member {
                pid,
                step: place.step,
                environment,
            });
        }
    }
    members.sort_by_key(|member| member.pid);
    Ok(members)
}

fn owner(pid: Pid) -> Option<u32> {
    let metadata = fs::metadata(format!("/proc/{pid}")).ok()?;
    Some(metadata.uid())
}

fn look(pid: Pid) -> Option<(Place, Vec<(String, String)>)> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let environment = parse_environment(&environment);
    let place = place_in_groups(&groups).or_else(|| place_in_environment(&environment))?;
    Some((place, environment))
}

/// The first path like `/slurm/uid_0/job_4242/step_0/task_0` in a text like `5:freezer:PATH` (cgroups(7)).
fn place_in_groups(text: &str) -> Option<Place> {
    text.lines().find_map(|line| {
        let path = line.splitn(3, ':').nth(2)?;
        let (job, step) = path.split_once("/step_")?;
        let (_, number) = job.rsplit_once("/job_")?;
        let is_job = !number.contains('/');
        is_job.then(|| Place {
            job: job.to_owned(),
            step: step.split('/').next().unwrap_or_default().to_owned(),
        })
    })
}

/// What srun and sbatch set; a batch script has no SLURM_STEP_ID.
fn place_in_environment(environment: &[(String, String)]) -> Option<Place> {
    let value = |name: &str| {
        let found = environment.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    };
    Some(Place {
        job: format!(
            "{} on {}",
            value("SLURM_JOB_ID")?,
            value("SLURMD_NODENAME")?
        ),
        step: value("SLURM_STEP_ID").unwrap_or_else(|| "batch".to_owned()),
    })
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
}
