//! Looks into jobs that run, from outside: dump and attach with --job.

use std::process::Command;

use serde_json::Value;

use crate::slurm::{Cluster, Job, wait_until};
use crate::support::commands::{stdout, text};

/// A job of four ranks on two nodes of which the last does not come to the barrier.
fn hung<'c>(cluster: &'c Cluster, options: &[&str]) -> Job<'c> {
    cluster.add_program("hung.py");
    let options = [options, &["--nodes=2", "--ntasks=4"]].concat();
    // Beside the ranks there is a program that is no Python.
    let job = cluster.submit(&options, "#!/bin/bash\nsleep 1000 &\nsrun python hung.py\n");
    job.wait_for_lines(4, "READY");
    job
}

/// A command that must succeed, tried again until what it prints is as wanted: a rank that said READY goes on
/// for a moment before it hangs.
fn until(mut command: impl FnMut() -> Command, wanted: &str) -> String {
    let mut said = String::new();
    wait_until(&format!("no {wanted:?}"), || {
        said = stdout(&mut command());
        said.contains(wanted)
    });
    said
}

fn dump(cluster: &Cluster, words: &[&str]) -> Command {
    let mut command = cluster.command("rsamp");
    command.arg("dump").args(words);
    command
}

/// What `dump --job` must say of [`hung`].
fn check_hung(cluster: &Cluster, job: &Job<'_>) {
    let said = until(|| dump(cluster, &["--job", &job.id]), "ranks 0-2 ");
    let folder = format!("{}/", cluster.folder.display());
    let said = said.replace(&folder, "");
    let lines: Vec<&str> = said.lines().collect();
    assert!(
        lines[0].starts_with(&format!("Job {}: 4 Python processes on 2 nodes", job.id)),
        "{said}"
    );
    assert!(said.contains("\nMain thread of ranks 0-3\n"), "{said}");
    let meeting = said.find("meet (hung.py:14)").expect("the barrier");
    let waiting = said
        .find("wait_for_input (hung.py:19)")
        .expect("the rank that hangs");
    let ranks = (
        said.find("ranks 0-2").expect("three"),
        said.find("    rank 3").expect("one"),
    );
    assert!(
        ranks.0 < meeting && meeting < ranks.1 && ranks.1 < waiting,
        "{said}"
    );
}

#[test]
fn a_job_that_hangs_is_seen_through() {
    let Some(cluster) = Cluster::new("a_job_that_hangs") else {
        return;
    };
    let job = hung(&cluster, &[]);
    check_hung(&cluster, &job);
    // One step, and as JSON.
    let step = format!("{}.0", job.id);
    let json = stdout(&mut dump(&cluster, &["--json", "--job", &step]));
    let json: Value = serde_json::from_str(&json).expect("JSON");
    let processes = json["processes"].as_array().expect("processes");
    let place = |process: &Value| {
        (
            process["node"].as_str().expect("a node").to_owned(),
            process["rank"].as_u64(),
        )
    };
    let places: Vec<_> = processes.iter().map(place).collect();
    assert_eq!(
        places.iter().map(|(_, rank)| *rank).collect::<Vec<_>>(),
        [Some(0), Some(1), Some(2), Some(3)]
    );
    assert!(
        places.iter().any(|(node, _)| node == "n1") && places.iter().any(|(node, _)| node == "n2")
    );
    // The batch script is there, and runs no Python.
    let batch = dump(&cluster, &["--job", &format!("{}.batch", job.id)])
        .output()
        .expect("rsamp");
    assert_eq!(batch.status.code(), Some(4), "{}", text(&batch.stderr));
}

#[test]
fn a_job_that_hangs_is_seen_through_pid_namespaces() {
    let Some(cluster) = Cluster::new("a_job_that_hangs_in_namespaces") else {
        return;
    };
    let job = hung(&cluster, &["--partition=pidns"]);
    check_hung(&cluster, &job);
}

#[test]
fn users_see_through_their_own_jobs() {
    let Some(cluster) = Cluster::new("users_see_their_own_jobs") else {
        return;
    };
    let others = Cluster::new("somebody_elses_job").expect("the cluster");
    let cluster = cluster.without_root();
    let job = hung(&cluster, &[]);
    check_hung(&cluster, &job);
    let refused = dump(&others, &["--job", &job.id]).output().expect("rsamp");
    assert_eq!(refused.status.code(), Some(5));
    let said = text(&refused.stderr);
    assert!(
        said.contains(" belongs to user ") && said.contains("hint: "),
        "{said}"
    );
}

#[test]
fn attach_makes_one_recording_of_all_ranks() {
    let Some(cluster) = Cluster::new("attach_to_a_job") else {
        return;
    };
    let cluster = cluster.without_root();
    cluster.add_program("signals.py");
    let job = cluster.submit(
        &["--nodes=2", "--ntasks=2", "--partition=pidns"],
        "#!/bin/bash\nsrun python signals.py\n",
    );
    job.wait_for_lines(2, "READY");
    let output = cluster
        .command("rsamp")
        .args(["attach", "--duration=1.5", "--job", &job.id])
        .output()
        .expect("rsamp");
    let said = text(&output.stderr);
    assert!(
        output.status.success() && output.stdout.is_empty(),
        "{said}"
    );
    assert_eq!(cluster.files(".rsamp"), [format!("job-{}.rsamp", job.id)]);
    assert_eq!(
        (cluster.files(".svg").len(), cluster.files(".pstats").len()),
        (1, 1)
    );
    let mut report = cluster.command("rsamp");
    report
        .args(["report", "--format=json"])
        .args(cluster.files(".rsamp"));
    let report: Value = serde_json::from_str(&stdout(&mut report)).expect("JSON");
    let processes = report["processes"].as_array().expect("processes");
    let mut places: Vec<_> = processes
        .iter()
        .map(|p| (p["rank"].as_u64(), p["host"].as_str()))
        .collect();
    places.sort_unstable();
    assert_eq!(places, [(Some(0), Some("n3")), (Some(1), Some("n4"))]);
    let processes = "2 Python processes on 2 nodes (n[3-4]) was sampled for";
    assert!(said.contains(processes), "{said}");
    assert_eq!(report["is_complete"], true);
    let seconds = report["totals"]["wall_ns"].as_f64().expect("a time") / 1e9;
    assert!(
        (2.0..4.5).contains(&seconds),
        "{seconds} s of two times 1.5 s"
    );
    // The job goes on.
    let lines = job.output().lines().count();
    job.wait_for_lines(lines + 2, "");
}

#[test]
fn what_cannot_be_reached_is_said() {
    let Some(cluster) = Cluster::new("what_cannot_be_reached") else {
        return;
    };
    let check = |command: &mut Command, code: i32, expected: &[&str]| {
        let output = command.output().expect("rsamp");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(output.stdout.is_empty());
        for expected in expected {
            assert!(said.contains(expected), "no {expected} in {said}");
        }
    };
    check(
        &mut dump(&cluster, &["--job", "999999"]),
        3,
        &["there is no job 999999", "hint: squeue --me"],
    );
    check(
        &mut dump(&cluster, &["--job", "x"]),
        2,
        &["invalid --job \"x\""],
    );
    let pending = cluster.submit(&["--begin=now+1hour"], "#!/bin/bash\nsleep 1\n");
    check(
        &mut dump(&cluster, &["--job", &pending.id]),
        75,
        // Of its time, or of what other tests take from the nodes.
        &["PENDING, because of ", "hint: wait"],
    );
    let ended = cluster.submit(&[], "#!/bin/bash\ntrue\n");
    ended.succeed();
    check(
        &mut dump(&cluster, &["--job", &ended.id]),
        3,
        &["it is COMPLETED"],
    );
    let running = cluster.submit(&[], "#!/bin/bash\necho READY\nsleep 1000\n");
    running.wait_for_lines(1, "READY");
    let step = format!("{}.7", running.id);
    let known = format!("{}.batch", running.id);
    check(
        &mut dump(&cluster, &["--job", &step]),
        3,
        &["has no running step 7", &known],
    );
    check(
        &mut dump(&cluster, &["--job", &running.id]),
        4,
        &["runs no Python program"],
    );
    let mut attach = cluster.command("rsamp");
    check(
        attach.args(["attach", "--job", &running.id]),
        4,
        &["runs no Python program"],
    );
    // A machine without Slurm: only its commands are missing.
    let mut without = dump(&cluster, &["--job", &running.id]);
    let rsamp = stdout(cluster.command("sh").args(["-c", "command -v rsamp"]));
    let mut alone = Command::new(rsamp.trim());
    alone.args(without.get_args()).env("PATH", "/nowhere");
    check(
        &mut alone,
        69,
        &["run scontrol: No such file", "hint: run rsamp where srun"],
    );
    // rsamp in a folder that the node does not have: its /dev/shm is its own.
    let private = format!("/dev/shm/rsamp-{}", std::process::id());
    stdout(cluster.command("cp").args([rsamp.trim(), &private]));
    let mut elsewhere = Command::new(&private);
    elsewhere.args(without.get_args());
    check(
        &mut elsewhere,
        69,
        &[
            "1 of 1 nodes did not answer",
            "execve",
            "hint: rsamp must have the same path",
        ],
    );
    std::fs::remove_file(private).expect("removed");
    without.arg("surplus");
    assert_eq!(without.output().expect("rsamp").status.code(), Some(2));
}
