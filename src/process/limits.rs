//! Turns affinity mask, control groups and the job's environment into how much a process may use.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use nix::sched::{CpuSet, sched_getaffinity};

use super::{Pid, Process};

/// Where control groups are mounted by convention (systemd, every container runtime).
const MOUNT: &str = "/sys/fs/cgroup";

/// No control group allows less than this to mean "unlimited": v1 writes the largest multiple of the
/// page size that fits a signed 64-bit number.
const UNLIMITED_BYTES: u64 = 1 << 62;

/// How many levels of control groups are looked at.
const MAX_LEVELS: usize = 64;

/// How much a process may use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limits {
    /// How many CPUs: those of its affinity mask, or fewer where a CPU quota allows less, rounded up.
    pub cpus: Option<u32>,
    /// The affinity mask: CPU 0 is the lowest bit of the first word. Empty: not known.
    pub cpu_mask: Vec<u64>,
    /// How many CPUs the smallest CPU quota allows, rounded up.
    pub cpu_quota: Option<u32>,
    /// How much memory: the least of what its control groups and its Slurm job allow.
    pub memory_bytes: Option<u64>,
}

impl Process {
    /// How much it may use, as far as can be told from here.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let cpu_mask = affinity(self.pid().0).unwrap_or_default();
        let count = cpu_mask.iter().map(|word| word.count_ones()).sum();
        let mask = Some(count).filter(|count| *count > 0);
        let groups = fs::read_to_string(format!("/proc/{}/cgroup", self.pid()));
        let groups = groups.map_or(Vec::new(), |text| parse_groups(&text));
        let read = |path: &Path| fs::read_to_string(path).ok();
        let quota = cpu_quota(&groups, &read);
        let environment = fs::read(format!("/proc/{}/environ", self.pid())).unwrap_or_default();
        let by_group = memory_limit(&groups, &read);
        let by_job = job_memory(&parse_environment(&environment), mask);
        Limits {
            cpus: mask.into_iter().chain(quota).min(),
            cpu_mask,
            cpu_quota: quota,
            memory_bytes: by_group.into_iter().chain(by_job).min(),
        }
    }
}

/// Whether a process stands still because its control group is frozen, or one above it; `false` where that is not told.
#[must_use]
pub fn is_frozen(pid: Pid) -> bool {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup"));
    let groups = groups.map_or(Vec::new(), |text| parse_groups(&text));
    has_frozen(&groups, &|path| fs::read_to_string(path).ok())
}

/// `cgroup.events` of v2 tells, and `freezer.state` of v1.
fn has_frozen(groups: &[Group], read: &dyn Fn(&Path) -> Option<String>) -> bool {
    let mut folders = folders(groups, "freezer").into_iter();
    folders.any(|(folder, is_v2)| {
        let file = if is_v2 {
            "cgroup.events"
        } else {
            "freezer.state"
        };
        let text = read(&folder.join(file)).unwrap_or_default();
        let mut lines = text.lines();
        lines.any(|line| ["frozen 1", "FROZEN"].contains(&line.trim()))
    })
}

/// The mask of a process (sched_getaffinity(2)), without words at its end that are 0.
fn affinity(pid: i32) -> Option<Vec<u64>> {
    let set = sched_getaffinity(nix::unistd::Pid::from_raw(pid)).ok()?;
    let mut words = Vec::new();
    for cpu in (0..CpuSet::count()).filter(|cpu| set.is_set(*cpu).unwrap_or(false)) {
        words.resize(words.len().max(cpu / 64 + 1), 0_u64);
        words[cpu / 64] |= 1 << (cpu % 64);
    }
    Some(words)
}

/// A control group that a process is in.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    /// The controllers of a v1 hierarchy; none for that of v2.
    controllers: Vec<String>,
    /// Its path below the hierarchy's root.
    path: String,
}

/// Parses `/proc/PID/cgroup` (cgroups(7)): `number:controllers:path`.
fn parse_groups(text: &str) -> Vec<Group> {
    let group = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1);
        let controllers = fields.next()?.split(',').filter(|name| !name.is_empty());
        Some(Group {
            controllers: controllers.map(str::to_owned).collect(),
            path: fields.next()?.to_owned(),
        })
    };
    text.lines().filter_map(group).collect()
}

/// The folders of the group that has `controller`, and of all above it, each with whether it is of v2.
fn folders(groups: &[Group], controller: &str) -> Vec<(PathBuf, bool)> {
    let mut folders = Vec::new();
    for group in groups {
        let is_v2 = group.controllers.is_empty();
        let mount = match group.controllers.join(",") {
            // Where both versions are mounted, v2 is below `unified`, without these controllers.
            name if name.is_empty() => PathBuf::from(MOUNT),
            _ if group.controllers.iter().any(|name| name == controller) => {
                Path::new(MOUNT).join(controller)
            }
            _ => continue,
        };
        let whole = mount.join(group.path.trim_start_matches('/'));
        let levels = whole.ancestors().take(MAX_LEVELS);
        let levels = levels.take_while(|level| level.starts_with(&mount));
        folders.extend(levels.map(|level| (level.to_owned(), is_v2)));
    }
    folders
}

/// The smallest limit on memory of the groups of a process: `memory.max`, or in v1 `memory.limit_in_bytes`.
fn memory_limit(groups: &[Group], read: &dyn Fn(&Path) -> Option<String>) -> Option<u64> {
    let limits = folders(groups, "memory").into_iter();
    let limits = limits.filter_map(|(folder, is_v2)| {
        let file = if is_v2 {
            "memory.max"
        } else {
            "memory.limit_in_bytes"
        };
        read(&folder.join(file))?.trim().parse::<u64>().ok()
    });
    limits.filter(|limit| *limit < UNLIMITED_BYTES).min()
}

/// The smallest CPU quota of the groups of a process in CPUs, rounded up: `cpu.max`, or in v1
/// `cpu.cfs_quota_us` and `cpu.cfs_period_us`.
fn cpu_quota(groups: &[Group], read: &dyn Fn(&Path) -> Option<String>) -> Option<u32> {
    let quotas = folders(groups, "cpu").into_iter();
    let quotas = quotas.filter_map(|(folder, is_v2)| {
        let number = |text: &str| text.trim().parse::<u64>().ok();
        let (quota, period) = if is_v2 {
            let text = read(&folder.join("cpu.max"))?;
            let (quota, period) = text.split_once(' ')?;
            (number(quota)?, number(period)?)
        } else {
            let quota = number(&read(&folder.join("cpu.cfs_quota_us"))?)?;
            (quota, number(&read(&folder.join("cpu.cfs_period_us"))?)?)
        };
        let cpus = quota
            .checked_add(period.checked_sub(1)?)?
            .checked_div(period)?;
        u32::try_from(cpus.max(1)).ok()
    });
    quotas.min()
}

/// Parses `/proc/PID/environ`: `NAME=VALUE`, each ended by a zero byte.
fn parse_environment(bytes: &[u8]) -> HashMap<String, String> {
    let variables = bytes.split(|byte| *byte == 0);
    let variables = variables.filter_map(|variable| {
        let text = std::str::from_utf8(variable).ok()?;
        let (name, value) = text.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    });
    variables.collect()
}

/// What Slurm gave the job on this node, in bytes (sbatch(1), output environment variables; in MiB there).
fn job_memory(environment: &HashMap<String, String>, cpus: Option<u32>) -> Option<u64> {
    let number = |name: &str| environment.get(name)?.trim().parse::<u64>().ok();
    // `--mem=0` asks for all that the node has.
    let mib = number("SLURM_MEM_PER_NODE").or_else(|| {
        let cpus = number("SLURM_CPUS_ON_NODE").or(cpus.map(u64::from))?;
        number("SLURM_MEM_PER_CPU")?.checked_mul(cpus)
    });
    mib.filter(|mib| *mib > 0)?.checked_mul(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_is_frozen_is_told_by_its_own_file_or_one_above_it() {
        let check = |groups: &str, path: &str, text: &str| {
            let read = |asked: &Path| (asked == Path::new(path)).then(|| text.to_owned());
            has_frozen(&parse_groups(groups), &read)
        };
        let (v1, v2) = ("7:freezer:/job/step\n1:cpu:/job\n", "0::/job/step\n");
        let state = "/sys/fs/cgroup/freezer/job/freezer.state";
        assert!(check(v1, state, "FROZEN\n"));
        assert!(!check(v1, state, "THAWED\n"));
        assert!(!check(
            v1,
            "/sys/fs/cgroup/cpu/job/freezer.state",
            "FROZEN\n"
        ));
        let events = "/sys/fs/cgroup/job/step/cgroup.events";
        assert!(check(v2, events, "populated 1\nfrozen 1\n"));
        assert!(!check(v2, events, "populated 1\nfrozen 0\n"));
    }

    fn reader(files: &'static [(&str, &str)]) -> impl Fn(&Path) -> Option<String> {
        move |path| {
            let found = files.iter().find(|(name, _)| Path::new(name) == path);
            found.map(|(_, text)| (*text).to_owned())
        }
    }

    #[test]
    fn the_smallest_limit_up_the_hierarchy_holds() {
        let groups = parse_groups("0::/job/step\n");
        let read = reader(&[
            ("/sys/fs/cgroup/job/step/memory.max", "max\n"),
            ("/sys/fs/cgroup/job/memory.max", "2147483648\n"),
            ("/sys/fs/cgroup/memory.max", "4294967296\n"),
            ("/sys/fs/cgroup/job/step/cpu.max", "max 100000\n"),
            ("/sys/fs/cgroup/job/cpu.max", "150000 100000\n"),
        ]);
        assert_eq!(memory_limit(&groups, &read), Some(2 << 30));
        assert_eq!(cpu_quota(&groups, &read), Some(2));
    }

    #[test]
    fn the_first_version_has_its_own_files() {
        let groups = parse_groups("4:memory:/job\n3:cpu,cpuacct:/\n0::/\n");
        let read = reader(&[
            (
                "/sys/fs/cgroup/memory/job/memory.limit_in_bytes",
                "1048576\n",
            ),
            (
                "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                "9223372036854771712\n",
            ),
            ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n"),
            ("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
        ]);
        assert_eq!(memory_limit(&groups, &read), Some(1 << 20));
        assert_eq!(cpu_quota(&groups, &read), None);
        assert_eq!(memory_limit(&[], &read), None);
    }

    #[test]
    fn a_slurm_job_has_its_memory() {
        let job = |bytes: &[u8]| job_memory(&parse_environment(bytes), Some(2));
        assert_eq!(job(b"A=1\0SLURM_MEM_PER_NODE=4096\0"), Some(4 << 30));
        assert_eq!(
            job(b"SLURM_MEM_PER_CPU=512\0SLURM_CPUS_ON_NODE=4\0"),
            Some(2 << 30)
        );
        assert_eq!(job(b"SLURM_MEM_PER_CPU=512\0"), Some(1 << 30));
        assert_eq!(job(b"SLURM_MEM_PER_NODE=0\0"), None);
        assert_eq!(job(b"=\0\xff\0"), None);
    }

    #[test]
    fn our_own_limits_name_the_cpus_we_may_use() {
        let process = Process::open(crate::process::Pid(std::process::id() as i32)).unwrap();
        let cpus = process.limits().cpus.unwrap();
        assert!(cpus >= 1);
        assert_eq!(
            cpus,
            std::thread::available_parallelism().unwrap().get() as u32
        );
    }
}
