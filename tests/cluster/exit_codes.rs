//! Follows the exit code of a program through rsamp, srun or mpirun, and a script that stops at errors.

use crate::slurm::Cluster;

/// A script with the command in it ends with this code, and not with its next line.
fn check(cluster: &Cluster, command: &str, expected: &str) {
    let script = format!("#!/bin/bash -e\n{command}\necho went on\n");
    let job = cluster.submit(&["--ntasks=2"], &script);
    let ended = job.wait();
    let said = job.output();
    let told = (ended.exit_code.as_str(), said.trim());
    assert_eq!(
        told,
        (expected, ""),
        "{command}: {ended:?}\n{}",
        job.errors()
    );
}

#[test]
fn a_failing_rank_ends_the_script() {
    let Some(cluster) = Cluster::new("a_failing_rank_ends_the_script") else {
        return;
    };
    std::fs::write(
        cluster.folder.join("fail.py"),
        "import os\nraise SystemExit(7 if os.environ['PMI_RANK'] == '1' else 0)\n",
    )
    .expect("written");
    check(&cluster, "srun rsamp record -- python fail.py", "7:0");
    check(
        &cluster,
        "mpirun -n 2 rsamp record -- python fail.py",
        "7:0",
    );
    check(&cluster, "srun rsamp record -- no-such-program", "127:0");
}

#[test]
fn a_script_of_programs_that_succeed_goes_on() {
    let Some(cluster) = Cluster::new("a_script_of_programs_that_succeed_goes_on") else {
        return;
    };
    let script = "#!/bin/bash -e\nsrun rsamp record -- python -c pass\necho went on\n";
    let job = cluster.submit(&["--ntasks=2"], script);
    job.succeed();
    assert_eq!(job.output(), "went on\n");
}
