//! Turns the variables that launchers set into the rank of a process and its place in a job.
//!
//! Launchers run inside one another: `mpirun` in a batch script of Slurm, `torchrun` in a step of `srun`. Variables
//! of the outer one are inherited, and are wrong: in an `mpirun` of Open MPI inside a job SLURM_PROCID is 0 on every
//! rank, in one of MPICH it is the number of the proxy (seen with Slurm 22.05, Open MPI 4.1, MPICH 5.0). So the order is
//! from the most special to the most general, and Slurm's own rank counts only within a step of `srun` without MPI.

/// How one launcher tells a rank.
struct Convention {
    /// The variable with the rank, and others that must be set beside it.
    rank: &'static str,
    beside: &'static [&'static str],
    /// The first of these that is a number is the size.
    sizes: &'static [&'static str],
    local_ranks: &'static [&'static str],
    /// The first of these that is set tells one launch from another.
    launches: &'static [&'static str],
}

/// In the order in which they count.
///
/// - Open MPI: docs/tuning-apps/environment-var.rst of Open MPI 5; Spectrum MPI (`jsrun`) sets them too.
/// - PMI: MPICH's `src/pm/hydra` (PMI_RANK, PMI_SIZE, MPI_LOCALRANKID), which Intel MPI's is made of; Cray's and Slurm's PMI
///   (`src/plugins/mpi/pmi2`); MVAPICH2's `mpirun_rsh`.
/// - PMIx: `PMIX_RANK` is in the environment of each client; it has no variable for the size.
///   Open MPI 4 sets it and PMIX_NAMESPACE too, which is the name of the launch.
/// - PALS: HPE's `mpiexec` and `aprun`; and the older ALPS.
/// - torchrun: "Environment Variables" in the documentation of `torch.distributed.run`.
const CONVENTIONS: &[Convention] = &[
    Convention {
        rank: "OMPI_COMM_WORLD_RANK",
        beside: &[],
        sizes: &["OMPI_COMM_WORLD_SIZE"],
        local_ranks: &["OMPI_COMM_WORLD_LOCAL_RANK"],
        launches: &["PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid"],
    },
    Convention {
        rank: "PMI_RANK",
        beside: &[],
        sizes: &["PMI_SIZE"],
        local_ranks: &["MPI_LOCALRANKID", "PMI_LOCAL_RANK"],
        launches: &[],
    },
    Convention {
        rank: "MV2_COMM_WORLD_RANK",
        beside: &[],
        sizes: &["MV2_COMM_WORLD_SIZE"],
        local_ranks: &["MV2_COMM_WORLD_LOCAL_RANK"],
        launches: &[],
    },
    Convention {
        rank: "PMIX_RANK",
        beside: &[],
        sizes: &["JSM_NAMESPACE_SIZE", "PALS_SIZE"],
        local_ranks: &["JSM_NAMESPACE_LOCAL_RANK", "PALS_LOCAL_RANKID"],
        launches: &["PMIX_NAMESPACE"],
    },
    Convention {
        rank: "PALS_RANKID",
        beside: &[],
        sizes: &["PALS_SIZE"],
        local_ranks: &["PALS_LOCAL_RANKID"],
        launches: &["PALS_APID"],
    },
    Convention {
        rank: "ALPS_APP_PE",
        beside: &[],
        sizes: &[],
        local_ranks: &[],
        launches: &["ALPS_APP_ID"],
    },
    TORCHRUN,
    SLURM,
];

const TORCHRUN: Convention = Convention {
    rank: "RANK",
    beside: &["WORLD_SIZE", "LOCAL_RANK"],
    sizes: &["WORLD_SIZE"],
    local_ranks: &["LOCAL_RANK"],
    launches: &[],
};

/// srun(1), "OUTPUT ENVIRONMENT VARIABLES". A batch script has SLURM_PROCID too, but no SLURM_STEP_ID.
const SLURM: Convention = Convention {
    rank: "SLURM_PROCID",
    beside: &[STEP],
    sizes: &["SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"],
    local_ranks: &["SLURM_LOCALID"],
    launches: &[],
};

const STEP: &str = "SLURM_STEP_ID";

/// How the name of a launch begins that is a step of a Slurm job; `JOB.STEP` follows.
pub const STEP_LAUNCH: &str = "step ";

/// How Slurm's PMIx plugin begins the name of a step (`src/plugins/mpi/pmix/pmixp_info.c`); `JOB.STEP` follows.
const SLURM_NAMESPACE: &str = "slurm.pmix.";

/// Set by torchrun alone, for its workers.
const TORCHRUN_ID: &str = "TORCHELASTIC_RUN_ID";

/// Slurm (and its name before 2.2), PBS, LSF and OAR.
const JOBS: &[&str] = &[
    "SLURM_JOB_ID",
    "SLURM_JOBID",
    "PBS_JOBID",
    "LSB_JOBID",
    "OAR_JOB_ID",
];

const NODE: &str = "SLURMD_NODENAME";

/// The number of a task of an array of jobs: Slurm, PBS and SGE (which says `undefined` where there is none).
const ARRAY_TASKS: &[&str] = &["SLURM_ARRAY_TASK_ID", "PBS_ARRAY_INDEX", "SGE_TASK_ID"];

/// The same of LSF, which says 0 where there is none.
const ARRAY_TASK_OR_0: &str = "LSB_JOBINDEX";

/// What the environment says of a process's place in a job; `None` where it says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobContext {
    /// Its number among the processes that were launched together, from 0.
    pub rank: Option<u32>,
    /// How many there are.
    pub size: Option<u32>,
    /// Its number among those of its node, from 0.
    pub local_rank: Option<u32>,
    /// The job of the batch system.
    pub job: Option<String>,
    /// Its job's number in an array of jobs.
    pub array_task: Option<u32>,
    /// The step of a Slurm job.
    pub step: Option<String>,
    /// The node as Slurm calls it.
    pub node: Option<String>,
    /// What tells its launch from others of the same job or script; `None` where nothing does.
    pub launch: Option<String>,
}

impl JobContext {
    /// Reads the variables that `variable` gives by name.
    #[must_use]
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> JobContext {
        let number = |name: &&str| variable(name)?.trim().parse::<u32>().ok();
        let first = |names: &[&str]| names.iter().find_map(number);
        let text = |name: &str| variable(name).filter(|value| !value.is_empty());
        let counts = |convention: &&Convention| {
            let is_set = |name: &&str| number(name).is_some();
            is_set(&convention.rank) && convention.beside.iter().all(is_set)
        };
        let told = CONVENTIONS.iter().find(counts);
        // What a step of srun tells of the process itself, which is all the same one as that of the MPI found.
        let rank_of_step = number(&STEP).and_then(|_| number(&SLURM.rank));
        let is_of_step = |convention: &Convention| rank_of_step == number(&convention.rank);
        let told = told.map(|convention| {
            let is_torchrun_in_step =
                text(TORCHRUN_ID).is_some() && is_of_step(convention) && counts(&&TORCHRUN);
            if is_torchrun_in_step {
                &TORCHRUN
            } else {
                convention
            }
        });
        let rank = told.and_then(|convention| number(&convention.rank));
        let by_step = |names: &[&str]| {
            let convention = told.filter(|convention| is_of_step(convention))?;
            let is_torchrun = convention.rank == TORCHRUN.rank;
            if is_torchrun { None } else { first(names) }
        };
        let named =
            told.and_then(|convention| convention.launches.iter().find_map(|name| text(name)));
        // Each launch in a job of Slurm is a step of its own, but for what is started within one.
        let job = JOBS.iter().find_map(|name| text(name));
        let in_step = || {
            let step = text(STEP)?;
            Some(format!(
                "{STEP_LAUNCH}{}.{step}",
                job.as_deref().unwrap_or("?")
            ))
        };
        // `srun --mpi=pmix` gives each step a namespace.
        let named = named.map(|name| match name.strip_prefix(SLURM_NAMESPACE) {
            Some(step) => format!("{STEP_LAUNCH}{step}"),
            None => name,
        });
        JobContext {
            rank,
            launch: rank.and_then(|_| named.or_else(in_step)),
            size: told
                .and_then(|convention| first(convention.sizes))
                .or_else(|| by_step(SLURM.sizes)),
            local_rank: told
                .and_then(|convention| first(convention.local_ranks))
                .or_else(|| by_step(SLURM.local_ranks)),
            job,
            array_task: first(ARRAY_TASKS)
                .or_else(|| number(&ARRAY_TASK_OR_0).filter(|task| *task > 0)),
            step: text(STEP),
            node: text(NODE),
        }
    }

    /// Reads this process's own environment.
    #[must_use]
    pub fn own() -> JobContext {
        JobContext::from_environment(|name| std::env::var(name).ok())
    }

    /// Whether other processes were, or may have been, launched together with this one.
    #[must_use]
    pub fn is_one_of_many(&self) -> bool {
        self.rank.is_some() && self.size != Some(1)
    }

    /// The names of all variables that are read.
    pub fn variables() -> impl Iterator<Item = &'static str> {
        let of = |convention: &'static Convention| {
            [convention.rank]
                .into_iter()
                .chain(convention.beside.iter().copied())
                .chain(convention.sizes.iter().copied())
                .chain(convention.local_ranks.iter().copied())
                .chain(convention.launches.iter().copied())
        };
        let others = JOBS.iter().chain(ARRAY_TASKS).copied();
        let others = others.chain([STEP, NODE, TORCHRUN_ID, ARRAY_TASK_OR_0]);
        CONVENTIONS.iter().flat_map(of).chain(others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expects rank, size and local rank of an environment.
    fn check(name: &str, environment: &str, expected: (Option<u32>, Option<u32>, Option<u32>)) {
        let found = in_job(environment);
        assert_eq!(
            (found.rank, found.size, found.local_rank),
            expected,
            "{name}"
        );
    }

    fn in_job(environment: &str) -> JobContext {
        JobContext::from_environment(|wanted| {
            let pairs = environment
                .split_whitespace()
                .filter_map(|pair| pair.split_once('='));
            let mut found = pairs.filter(|(name, _)| *name == wanted);
            found.next().map(|(_, value)| value.to_owned())
        })
    }

    const BATCH: &str =
        "SLURM_JOB_ID=42 SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NTASKS=4 SLURM_NODEID=0";
    const STEP_2: &str = "SLURM_JOB_ID=42 SLURM_STEP_ID=3 SLURM_STEP_NUM_TASKS=4 SLURM_NTASKS=8 \
                          SLURM_PROCID=2 SLURM_LOCALID=1 SLURMD_NODENAME=n2";

    #[test]
    fn each_launcher_tells_the_rank() {
        let all = |rank, size, local| (Some(rank), Some(size), Some(local));
        check("nothing", "HOME=/root RANKS=3", (None, None, None));
        check("a batch script", BATCH, (None, None, None));
        check("srun without MPI", STEP_2, all(2, 4, 1));
        check(
            "srun --mpi=pmi2",
            &format!("{STEP_2} PMI_RANK=2 PMI_SIZE=4 PMI_FD=9"),
            all(2, 4, 1),
        );
        check(
            "srun --mpi=pmix",
            &format!("{STEP_2} PMIX_RANK=2 PMIX_NAMESPACE=slurm.pmix.42.3"),
            all(2, 4, 1),
        );
        check(
            "mpirun of Open MPI in a batch script",
            &format!(
                "{BATCH} OMPI_COMM_WORLD_RANK=3 OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_LOCAL_RANK=1 PMIX_RANK=3"
            ),
            all(3, 4, 1),
        );
        check(
            "mpirun of Open MPI on a node that its own step of srun reached",
            &format!(
                "{STEP_2} OMPI_COMM_WORLD_RANK=3 OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_LOCAL_RANK=0"
            ),
            all(3, 4, 0),
        );
        check(
            "mpirun of MPICH in a job: Slurm's rank is the proxy's",
            "SLURM_JOB_ID=42 SLURM_STEP_ID=0 SLURM_PROCID=1 SLURM_STEP_NUM_TASKS=2 SLURM_LOCALID=0 \
             PMI_RANK=5 PMI_SIZE=6 MPI_LOCALRANKID=2 MPI_LOCALNRANKS=3",
            all(5, 6, 2),
        );
        check(
            "MVAPICH2",
            "MV2_COMM_WORLD_RANK=1 MV2_COMM_WORLD_SIZE=2 MV2_COMM_WORLD_LOCAL_RANK=1",
            all(1, 2, 1),
        );
        check(
            "PMIx alone",
            "PMIX_RANK=4 PMIX_NAMESPACE=prte@1",
            (Some(4), None, None),
        );
        check(
            "jsrun",
            "PMIX_RANK=4 JSM_NAMESPACE_SIZE=8 JSM_NAMESPACE_LOCAL_RANK=0 LSB_JOBID=9",
            all(4, 8, 0),
        );
        check(
            "PALS",
            "PALS_RANKID=7 PALS_LOCAL_RANKID=3 PALS_NODEID=1",
            (Some(7), None, Some(3)),
        );
        check(
            "torchrun",
            "RANK=1 WORLD_SIZE=2 LOCAL_RANK=1 TORCHELASTIC_RUN_ID=none",
            all(1, 2, 1),
        );
        check("RANK may be anything", "RANK=1", (None, None, None));
        check("no number", "OMPI_COMM_WORLD_RANK=x", (None, None, None));
    }

    #[test]
    fn the_innermost_launcher_counts() {
        // Each variable contradicts all others: the order alone decides.
        let all = "OMPI_COMM_WORLD_RANK=10 PMI_RANK=11 MV2_COMM_WORLD_RANK=12 PMIX_RANK=13 PALS_RANKID=14 \
                   ALPS_APP_PE=15 RANK=16 WORLD_SIZE=2 LOCAL_RANK=1 SLURM_PROCID=17 SLURM_STEP_ID=0";
        let mut left: Vec<&str> = all.split(' ').collect();
        for expected in 10..18 {
            assert_eq!(in_job(&left.join(" ")).rank, Some(expected));
            left.retain(|pair| !pair.ends_with(&format!("={expected}")));
        }
        assert_eq!(in_job(&left.join(" ")).rank, None);
    }

    #[test]
    fn torchrun_in_a_step_numbers_its_workers() {
        // srun started one torchrun a node, and gave it a rank of its own.
        for mpi in ["PMI_RANK=2 PMI_SIZE=4", "PMIX_RANK=2", ""] {
            check(
                mpi,
                &format!("{STEP_2} {mpi} TORCHELASTIC_RUN_ID=x RANK=5 WORLD_SIZE=8 LOCAL_RANK=1"),
                (Some(5), Some(8), Some(1)),
            );
        }
    }

    #[test]
    fn launches_are_told_apart() {
        let launch = |environment: &str| in_job(environment).launch;
        let ompi = "OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=2";
        let named = |name: &str| Some(name.to_owned());
        assert_eq!(
            launch(&format!("{ompi} PMIX_NAMESPACE=70123")),
            named("70123")
        );
        assert_eq!(
            launch(&format!("{ompi} OMPI_MCA_ess_base_jobid=9")),
            named("9")
        );
        assert_eq!(launch("PMIX_RANK=4 PMIX_NAMESPACE=prte@1"), named("prte@1"));
        assert_eq!(launch(STEP_2), named("step 42.3"));
        let pmix = format!("{STEP_2} PMIX_RANK=2 PMIX_NAMESPACE=slurm.pmix.42.3");
        assert_eq!(launch(&pmix), named("step 42.3"));
        assert_eq!(launch("PALS_RANKID=1 PALS_APID=a-b"), named("a-b"));
        assert_eq!(launch("PMI_RANK=1 PMI_SIZE=2"), None);
        // A name without a rank is none of a launch.
        assert_eq!(launch("PMIX_NAMESPACE=prte@1 SLURM_STEP_ID=3"), None);
    }

    #[test]
    fn job_step_and_node_are_told() {
        let found = in_job(STEP_2);
        let told = (
            found.job.as_deref(),
            found.step.as_deref(),
            found.node.as_deref(),
        );
        assert_eq!(told, (Some("42"), Some("3"), Some("n2")));
        assert_eq!(
            in_job("PBS_JOBID=7.server").job.as_deref(),
            Some("7.server")
        );
        assert_eq!(in_job("SLURM_JOB_ID=").job, None);
    }

    #[test]
    fn one_of_one_is_not_many() {
        let is_many = |environment: &str| in_job(environment).is_one_of_many();
        assert!(is_many("PMI_RANK=0 PMI_SIZE=2") && is_many("PMIX_RANK=0"));
        assert!(!is_many("PMI_RANK=0 PMI_SIZE=1") && !is_many("HOME=/"));
    }

    #[test]
    fn tasks_of_an_array_have_a_number() {
        let task = |environment: &str| in_job(environment).array_task;
        assert_eq!(task("SLURM_ARRAY_TASK_ID=0"), Some(0));
        assert_eq!(task("SGE_TASK_ID=4"), Some(4));
        assert_eq!(task("SGE_TASK_ID=undefined LSB_JOBINDEX=0"), None);
        assert_eq!(task("LSB_JOBINDEX=3"), Some(3));
    }

    #[test]
    fn every_variable_that_is_read_is_named() {
        let read = std::cell::RefCell::new(Vec::new());
        let _ = JobContext::from_environment(|name| {
            read.borrow_mut().push(name.to_owned());
            // As if all were set, and so all asked for.
            Some("1".to_owned())
        });
        let named: Vec<&str> = JobContext::variables().collect();
        let unnamed = read
            .into_inner()
            .into_iter()
            .find(|r| !named.contains(&r.as_str()));
        assert_eq!(unnamed, None);
    }
}
