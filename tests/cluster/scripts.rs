//! Runs job scripts as users have them, with rsamp in front of the program on every rank.

use crate::slurm::{Cluster, Job};
use crate::support::commands::stdout;

/// Two tasks of a small problem; what is measured is whether anything is disturbed.
const SCATTER: &str = "python scatter.py -nx 20 -ny 20 -nc 400 -checksum";

/// What the program itself says in a job without rsamp.
fn checksum(cluster: &Cluster) -> String {
    let mut command = cluster.command("python");
    command.args(SCATTER.split(' ').skip(1));
    stdout(&mut command)
}

/// Both ranks said what they say without rsamp and nothing else, and left a recording each, of scatter.py.
fn check(cluster: &Cluster, job: &Job<'_>) {
    job.succeed();
    assert_eq!(
        job.output(),
        checksum(cluster).repeat(2),
        "{}",
        job.errors()
    );
    let recordings = cluster.files(".rsamp");
    assert_eq!(recordings.len(), 2, "{recordings:?}\n{}", job.errors());
    for recording in &recordings {
        let mut report = cluster.command("rsamp");
        let stacks = stdout(report.args(["report", "-f", "folded", recording]));
        assert!(stacks.contains("field_at_point"), "{stacks}");
    }
    // Nobody took the other's name.
    assert_eq!(cluster.files(".svg"), [""; 0]);
    assert_eq!(cluster.files(".pstats"), [""; 0]);
}

#[test]
fn srun_time_python() {
    let Some(cluster) = Cluster::new("srun_time_python") else {
        return;
    };
    let script = format!("#!/bin/bash -e\n#SBATCH --ntasks=2\nsrun time {SCATTER}\n");
    let plain = cluster.submit(&[], &script);
    plain.succeed();
    assert_eq!(plain.output(), checksum(&cluster).repeat(2));
    let script = script.replace("time python", "time rsamp record -- python");
    let profiled = cluster.submit(&[], &script);
    check(&cluster, &profiled);
    // time(1) still writes its line, on standard error.
    assert_eq!(
        profiled.errors().matches("elapsed").count(),
        2,
        "{}",
        profiled.errors()
    );
}

#[test]
fn two_nodes_with_the_same_pids() {
    let Some(cluster) = Cluster::new("two_nodes_with_the_same_pids") else {
        return;
    };
    let script = format!("#!/bin/bash -e\nsrun rsamp record -- {SCATTER}\n");
    let job = cluster.submit(&["--partition=pidns", "--nodes=2", "--ntasks=2"], &script);
    check(&cluster, &job);
}

#[test]
fn a_user_who_is_not_root() {
    let Some(cluster) = Cluster::new("a_user_who_is_not_root") else {
        return;
    };
    let cluster = cluster.without_root();
    let script = format!("#!/bin/bash -e\nsrun rsamp record -- {SCATTER}\n");
    let job = cluster.submit(&["--nodes=2", "--ntasks=2"], &script);
    check(&cluster, &job);
}

#[test]
fn mpirun_in_a_job() {
    let Some(cluster) = Cluster::new("mpirun_in_a_job") else {
        return;
    };
    let script = format!("#!/bin/bash -e\nmpirun -n 2 rsamp record -- {SCATTER}\n");
    let job = cluster.submit(&["--nodes=2", "--ntasks=2"], &script);
    check(&cluster, &job);
}
