//! Turns recordings of ranks into the launches that they are of, where the same ranks were started several times.
//!
//! Not every launcher names its launches (MPICH's `mpirun` outside of Slurm does not), and a step may start its ranks
//! several times. A rank that was recorded twice was started twice, so the recordings are told apart by time.

use std::collections::{HashMap, HashSet};

use crate::recording::Header;
use crate::run::header;
use crate::run::input::Input;

/// What recordings of one launch share, as far as they tell: its name and how many ranks it has.
type Key = (Option<String>, Option<u32>);

/// The launches of some recordings.
#[derive(Debug, Default)]
pub struct Launches {
    /// Those of which a rank was recorded more than once.
    repeated: HashSet<Key>,
    runs: HashMap<Key, Vec<Run>>,
}

/// Ranks that were started together.
#[derive(Debug, Default)]
struct Run {
    ranks: HashSet<u32>,
    /// When the last of its recordings that was read ended, in ns since 1970.
    end_unix_ns: u64,
}

/// The run that a recording is of.
#[derive(Debug)]
pub struct RunOf {
    key: Key,
    /// From 0; `None` where there is only one.
    number: Option<usize>,
}

impl Launches {
    /// Sorts the recordings by their start where a rank occurs twice; they must be read in this order then.
    #[must_use]
    pub fn of(inputs: &mut [Input]) -> Launches {
        let mut launches = Launches::default();
        let mut seen = HashSet::new();
        for input in inputs.iter().filter(|input| !is_attached(&input.header)) {
            let Some(rank) = header::rank(&input.header) else {
                continue;
            };
            let key = key(input);
            if !seen.insert((key.clone(), rank)) {
                launches.repeated.insert(key);
            }
        }
        if !launches.repeated.is_empty() {
            inputs.sort_by_key(|input| input.header.start_unix_ns);
        }
        launches
    }

    /// Finds the run of a recording that is about to be read: the first that did not end before it began and has no
    /// recording of this rank yet.
    pub fn begin(&mut self, input: &Input) -> RunOf {
        let key = key(input);
        let rank = header::rank(&input.header);
        let (Some(rank), true) = (rank, self.repeated.contains(&key)) else {
            return RunOf { key, number: None };
        };
        if is_attached(&input.header) {
            return RunOf { key, number: None };
        }
        let start = input.header.start_unix_ns;
        let runs = self.runs.entry(key.clone()).or_default();
        let is_of = |run: &Run| start < run.end_unix_ns && !run.ranks.contains(&rank);
        let number = runs.iter().position(is_of).unwrap_or(runs.len());
        if number == runs.len() {
            runs.push(Run::default());
        }
        runs[number].ranks.insert(rank);
        RunOf {
            key,
            number: Some(number),
        }
    }

    /// Takes in when the recording ended.
    pub fn end(&mut self, run: &RunOf, end_unix_ns: u64) {
        let runs = self.runs.get_mut(&run.key);
        let run = run.number.and_then(|number| runs?.get_mut(number));
        if let Some(run) = run {
            run.end_unix_ns = run.end_unix_ns.max(end_unix_ns);
        }
    }
}

impl RunOf {
    /// What tells it from others: `step 42.3`, `step 42.3, run 2`, `run 2`; `None` where nothing does.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        let run = self.number.map(|number| format!("run {}", number + 1));
        match (&self.key.0, run) {
            (Some(launch), Some(run)) => Some(format!("{launch}, {run}")),
            (launch, run) => launch.clone().or(run),
        }
    }
}

fn key(input: &Input) -> Key {
    let in_job = header::in_job(&input.header);
    (input.launch.clone().or(in_job.launch), in_job.size)
}

/// `attach --job` makes a recording of each process: several are of one rank.
fn is_attached(header: &Header) -> bool {
    let first = header.options.first().map(String::as_str);
    matches!(first, Some("attach" | "on-node"))
}
