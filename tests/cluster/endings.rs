//! Ends jobs in every way that Slurm and MPI have, and looks at what the program heard and what is left of the recording.

use std::time::Duration;

use serde_json::Value;

use crate::slurm::{Cluster, Job};
use crate::support::commands::{stdout, text};

/// What a recording whose rsamp was killed may lack at its end: what the README promises, and what a busy
/// machine makes of it.
const LACKING: Duration = Duration::from_millis(2000 + 700);

/// How much later than its program, or than the other rank's, a recording may begin on a busy machine.
const LATE: Duration = Duration::from_millis(500);

const READY: &str = "READY";

/// A cluster for the test `name` with signals.py in it.
fn cluster(name: &str) -> Option<Cluster> {
    let cluster = Cluster::new(name)?;
    cluster.add_program("signals.py");
    Some(cluster)
}

/// Waits until each of two ranks said that it ran so many whole seconds.
fn run_for(job: &Job<'_>, seconds: u32) {
    job.wait_for_lines(2, READY);
    job.wait_for_lines(2, &format!("ran {seconds}."));
}

/// The recordings can be read, hold the program's work, and all of the time that it told but the last `lacking`.
fn check_recordings(cluster: &Cluster, job: &Job<'_>, count: usize, lacking: Duration) {
    let recordings = cluster.files(".rsamp");
    assert_eq!(recordings.len(), count, "{recordings:?}\n{}", job.errors());
    for recording in &recordings {
        let mut report = cluster.command("rsamp");
        report.args(["report", "--format", "json", recording]);
        let report: Value = serde_json::from_str(&stdout(&mut report)).expect("JSON");
        assert!(
            report["functions"].to_string().contains("\"work\""),
            "{report}"
        );
        let recorded = report["duration_ns"].as_f64().expect("a duration") / 1e9;
        let told = job.output();
        let told = told
            .lines()
            .filter_map(|line| line.strip_prefix("ran ")?.strip_suffix(" s")?.parse().ok());
        let ran = told.fold(0.0, f64::max);
        assert!(
            recorded > ran - lacking.as_secs_f64(),
            "{recorded} s of {ran} s are in {recording}"
        );
    }
}

/// Ends the srun whose PID its script wrote down: Slurm then kills its tasks without a word to them.
fn kill_srun(cluster: &Cluster) {
    let pid = std::fs::read_to_string(cluster.folder.join("srun.pid")).expect("a PID");
    stdout(cluster.command("kill").args(["-TERM", pid.trim()]));
}

/// The recordings have their end, and the files made at the end are there.
fn check_whole(cluster: &Cluster, job: &Job<'_>) {
    // srun itself may be gone by then, and with it what programs say.
    let heard = cluster.files(".sigterm");
    assert_eq!(
        heard.len(),
        2,
        "SIGTERM came to {heard:?}\n{}",
        job.errors()
    );
    check_recordings(cluster, job, 2, LATE);
    for recording in cluster.files(".rsamp") {
        let report = cluster
            .command("rsamp")
            .args(["report", &recording])
            .output()
            .expect("rsamp");
        assert_eq!(text(&report.stderr), "");
    }
    assert_eq!(cluster.files(".svg"), [""; 0]);
    assert_eq!(cluster.files(".pstats"), [""; 0]);
}

#[test]
fn scancel_ends_the_program_and_leaves_whole_recordings() {
    let Some(cluster) = cluster("scancel_ends_the_program") else {
        return;
    };
    let job = cluster.submit(
        &["--ntasks=2"],
        "#!/bin/bash -e\nsrun rsamp record -- python signals.py\n",
    );
    run_for(&job, 1);
    job.cancel(&[]);
    assert_eq!(job.wait().state, "CANCELLED");
    check_whole(&cluster, &job);
}

#[test]
fn the_time_limit_ends_the_program_and_leaves_whole_recordings() {
    let Some(cluster) = cluster("the_time_limit_ends_the_program") else {
        return;
    };
    let job = cluster.submit(
        &["--ntasks=2"],
        "#!/bin/bash -e\nsrun rsamp record -- python signals.py\n",
    );
    run_for(&job, 1);
    let update = [
        "update".to_owned(),
        format!("JobId={}", job.id),
        "EndTime=now+1".to_owned(),
    ];
    stdout(cluster.command("scontrol").args(update));
    assert_eq!(job.wait().state, "TIMEOUT");
    check_whole(&cluster, &job);
}

#[test]
fn other_signals_go_to_the_program() {
    let Some(cluster) = cluster("other_signals_go_to_the_program") else {
        return;
    };
    let job = cluster.submit(
        &["--ntasks=2"],
        "#!/bin/bash -e\nsrun rsamp record -- python signals.py\n",
    );
    run_for(&job, 1);
    job.cancel(&["--signal=USR1"]);
    job.wait_for_lines(2, "SIGUSR1");
    // It goes on.
    run_for(&job, 2);
    job.cancel(&[]);
    job.wait();
    check_whole(&cluster, &job);
}

#[test]
fn srun_killed_leaves_all_but_two_seconds() {
    let Some(cluster) = cluster("srun_killed") else {
        return;
    };
    let script = "#!/bin/bash\nsrun rsamp record -- python signals.py & echo $! > srun.pid\nwait\n";
    let job = cluster.submit(&["--ntasks=2"], script);
    run_for(&job, 4);
    kill_srun(&cluster);
    job.wait();
    assert!(cluster.files(".sigterm").is_empty());
    check_recordings(&cluster, &job, 2, LACKING);
}

#[test]
fn mpi_abort_leaves_all_but_two_seconds() {
    let Some(cluster) = cluster("mpi_abort") else {
        return;
    };
    let job = cluster.submit(
        &["--ntasks=2"],
        "#!/bin/bash\nsrun rsamp record -- python signals.py abort\n",
    );
    assert_eq!(job.wait().state, "FAILED");
    check_recordings(&cluster, &job, 2, LACKING);
}

#[test]
fn out_of_memory_leaves_all_but_two_seconds() {
    let Some(cluster) = cluster("out_of_memory") else {
        return;
    };
    let limit = ["--ntasks=1", "--mem=300M"];
    let job = cluster.submit(
        &limit,
        "#!/bin/bash\nsrun rsamp record -- python signals.py grow\n",
    );
    let ended = job.wait();
    assert_ne!(ended.state, "COMPLETED", "{}", job.errors());
    check_recordings(&cluster, &job, 1, LACKING);
}

#[test]
fn scratch_files_arrive_at_the_end_or_stay() {
    let Some(cluster) = cluster("scratch") else {
        return;
    };
    let local = cluster.folder.join("local");
    std::fs::create_dir(&local).expect("a folder");
    let left = || std::fs::read_dir(&local).expect("a folder").count();
    let script = "#!/bin/bash -e\nexport TMPDIR=$PWD/local\nsrun rsamp record --scratch -- python signals.py\n";
    let job = cluster.submit(&["--ntasks=2"], script);
    run_for(&job, 2);
    assert_eq!((left(), cluster.files(".rsamp").len()), (2, 0));
    job.cancel(&[]);
    job.wait();
    check_whole(&cluster, &job);
    assert_eq!(left(), 0);
    // Without a warning they are left where they grew.
    let script = "#!/bin/bash\nexport TMPDIR=$PWD/local\n\
                  srun rsamp record --scratch -- python signals.py & echo $! > srun.pid\nwait\n";
    let job = cluster.submit(&["--ntasks=2"], script);
    run_for(&job, 2);
    kill_srun(&cluster);
    job.wait();
    assert_eq!((left(), cluster.files(".rsamp").len()), (2, 2));
}
