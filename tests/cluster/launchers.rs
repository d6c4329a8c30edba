//! Puts rsamp before launchers and whole job scripts, which stay as they are: one recording of all ranks comes of it.

use std::fs::File;

use rsamp::profile::{Event, Profile};
use rsamp::recording::Reader;

use crate::slurm::{Cluster, Job};
use crate::support::commands::text;

/// Works for a while, and says which rank it is.
const RANK: &str = "\
import os
import time
from mpi4py import MPI
def work():
    end = time.perf_counter() + 0.5
    while time.perf_counter() < end:
        sum(range(100))
work()
# In one piece, as the ranks share the pipe.
os.write(1, b'rank %d of %d\\n' % (MPI.COMM_WORLD.Get_rank(), MPI.COMM_WORLD.Get_size()))
";

/// Two tasks of a small problem, as users have them in their scripts.
const SCATTER: &str = "#!/bin/bash -e\n#SBATCH --ntasks=2\n\
                       srun time python scatter.py -nx 20 -ny 20 -nc 400 -checksum\n";

/// A cluster for the test `name` with rank.py in it.
fn cluster(name: &str) -> Option<Cluster> {
    let cluster = Cluster::new(name)?;
    std::fs::write(cluster.folder.join("rank.py"), RANK).expect("written");
    Some(cluster)
}

/// The recording holds a process for each of these ranks, on so many hosts, and their function.
fn check(cluster: &Cluster, recording: &str, ranks: &[u32], hosts: usize, function: &str) {
    let file = File::open(cluster.folder.join(recording)).expect("a recording");
    let mut reader = Reader::new(file).expect("a header");
    let (mut profile, mut found, mut found_hosts) = (Profile::default(), Vec::new(), Vec::new());
    let mut take = |event: Event| {
        if let Event::Process(_, process) = &event {
            found.extend(process.rank);
            found_hosts.extend(process.host.clone());
        }
        profile.apply(event);
    };
    reader.read(&mut take).expect("read");
    found.sort_unstable();
    found_hosts.sort();
    found_hosts.dedup();
    assert_eq!(found, ranks);
    assert_eq!(found_hosts.len(), hosts, "{found_hosts:?}");
    assert!(profile.frames().iter().any(|frame| frame.name == function));
    assert_eq!(
        cluster.files(".ranks"),
        [""; 0],
        "the folder of the ranks is gone"
    );
}

/// What the ranks of a program say, in any order.
fn said(output: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = output.lines().collect();
    lines.sort_unstable();
    lines
}

fn submitted<'c>(cluster: &'c Cluster, name: &str, script: &str, options: &[&str]) -> Job<'c> {
    std::fs::write(cluster.folder.join(name), script).expect("written");
    let mut command = cluster.command("rsamp");
    command.args([
        "record",
        "--",
        "sbatch",
        "--parsable",
        "--output=%j.out",
        "--error=%j.err",
    ]);
    let output = command.args(options).arg(name).output().expect("rsamp");
    assert_eq!(text(&output.stderr), "");
    // Nothing but what sbatch says.
    let said = text(&output.stdout);
    assert!(said.trim().parse::<u32>().is_ok(), "{said}");
    cluster.job(said.trim())
}

#[test]
fn rsamp_before_srun_and_mpirun() {
    let Some(cluster) = cluster("rsamp_before_srun_and_mpirun") else {
        return;
    };
    // Without the variable, it is the MPICH beside mpi4py.
    let open_mpi = Some(("MPI4PY_MPIABI", "openmpi"));
    for (launcher, mpi) in [
        ("srun --nodes=2 --ntasks=4", None),
        ("srun --partition=pidns -N2 -n4", None),
        ("mpirun -n 4", None),
        ("srun --mpi=pmix -N2 -n4", open_mpi),
        ("mpirun.openmpi -n 4", open_mpi),
    ] {
        let mut command = cluster.command("rsamp");
        command
            .envs(mpi)
            .args(["record", "-q", "-o", "all.rsamp", "--"])
            .args(launcher.split(' '));
        let output = command.args(["python", "rank.py"]).output().expect("rsamp");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let expected = ["rank 0 of 4", "rank 1 of 4", "rank 2 of 4", "rank 3 of 4"];
        assert_eq!(said(&text(&output.stdout)), expected, "{launcher}");
        let hosts = if launcher.starts_with("srun") { 2 } else { 1 };
        check(&cluster, "all.rsamp", &[0, 1, 2, 3], hosts, "work");
    }
}

/// The ranks said what they say without rsamp and nothing else, in a job and in an allocation.
#[test]
fn the_script_of_a_user_as_it_is() {
    let Some(cluster) = Cluster::new("the_script_of_a_user_as_it_is") else {
        return;
    };
    let plain = cluster.submit(&[], SCATTER);
    plain.succeed();
    let expected = plain.output();
    assert_eq!(expected.lines().count(), 2, "{expected}");
    let is_timed = |errors: &str| errors.matches("elapsed").count() == 2;
    let job = submitted(&cluster, "scatter.sl", SCATTER, &[]);
    job.succeed();
    assert_eq!(job.output(), expected, "{}", job.errors());
    assert!(is_timed(&job.errors()), "{}", job.errors());
    // The summary is of both ranks.
    assert!(job.errors().contains("\n2 ranks: "), "{}", job.errors());
    let files = cluster.files(".rsamp");
    assert!(
        files.len() == 1 && files[0].starts_with("scatter-"),
        "{files:?}"
    );
    check(&cluster, &files[0], &[0, 1], 1, "field_at_point");
    let mut command = cluster.command("salloc");
    command.args(["--quiet", "--ntasks=2", "rsamp", "record"]);
    let command = command.args(["-o", "all.rsamp", "--", "bash", "-e", "scatter.sl"]);
    let output = command.output().expect("salloc");
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    assert_eq!(text(&output.stdout), expected, "{errors}");
    assert!(is_timed(&errors), "{errors}");
    check(&cluster, "all.rsamp", &[0, 1], 1, "field_at_point");
}

#[test]
fn a_submitted_script_with_several_launchers() {
    let Some(cluster) = cluster("a_submitted_script_with_several_launchers") else {
        return;
    };
    let script = "#!/bin/bash -e\n#SBATCH --nodes=2\n#SBATCH --ntasks=2\nsrun time python rank.py\n\
                  mpirun -n 3 python rank.py\n";
    let job = submitted(&cluster, "heat.sl", script, &[]);
    job.succeed();
    let all = [
        "rank 0 of 2",
        "rank 0 of 3",
        "rank 1 of 2",
        "rank 1 of 3",
        "rank 2 of 3",
    ];
    assert_eq!(said(&job.output()), all);
    assert_eq!(
        job.errors().matches("elapsed").count(),
        2,
        "{}",
        job.errors()
    );
    let files = cluster.files(".rsamp");
    assert!(
        files.len() == 1 && files[0].starts_with("heat-n"),
        "{files:?}"
    );
    check(&cluster, &files[0], &[0, 0, 1, 1, 2], 2, "work");
}

#[test]
fn a_submitted_script_of_a_user_who_is_not_root_stops_at_an_error() {
    let Some(cluster) = cluster("a_submitted_script_stops_at_an_error") else {
        return;
    };
    let cluster = cluster.without_root();
    let script =
        "#!/bin/bash -e\nsrun -n 2 python rank.py\nsrun -n 1 python -c 'exit(7)'\necho went on\n";
    let job = submitted(&cluster, "stop.sl", script, &["-n", "2"]);
    assert_eq!(job.wait().exit_code, "7:0", "{}", job.errors());
    assert_eq!(said(&job.output()), ["rank 0 of 2", "rank 1 of 2"]);
    assert_eq!(cluster.files(".rsamp").len(), 1, "{}", job.errors());
}
