//! Turns a running job into what rsamp finds on each of its nodes, through srun.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::unistd::geteuid;
use thiserror::Error;

use crate::launch::job::relay::{self, Message, Payload, ProcessTag};
use crate::launch::job::slurm;
use crate::launch::{Job, JobName};
use crate::sampler::EndRequest;

/// How often it is looked whether the sampling is to end.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The most that is kept of what srun says: some lines a node.
const MAX_SAID_BYTES: u64 = 1 << 20;

/// Why not all of a job was reached.
#[derive(Debug, Error)]
pub enum JobError {
    /// srun cannot be started, or not be listened to.
    #[error("run srun for job {job}")]
    Run {
        /// The job as typed.
        job: JobName,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// rsamp did not run on all nodes, or not to its end.
    #[error("reach job {job} on {nodes}: {missing} of {of} nodes did not answer{said}")]
    Missing {
        /// The job as typed.
        job: JobName,
        /// How many nodes did not answer.
        missing: usize,
        /// How many there are.
        of: u32,
        /// Which these are.
        nodes: String,
        /// What srun said, with a colon before it.
        said: String,
    },
    /// There is nothing to read.
    #[error("job {job} runs no Python program: rsamp looked at {looked_at} processes on {nodes}")]
    NoPython {
        /// The job as typed.
        job: JobName,
        /// How many processes of the job there are.
        looked_at: u32,
        /// Where.
        nodes: String,
    },
    /// One process could not be read to its end.
    #[error("process {pid} on {node}: {why}")]
    Process {
        /// The process, as its node sees it.
        pid: i32,
        /// The node.
        node: String,
        /// Why not.
        why: String,
    },
}

/// What was gathered, beside the data.
#[derive(Debug)]
pub struct Gathered {
    name: JobName,
    job: Job,
    /// The name of each node that answered, by its number.
    hosts: BTreeMap<u32, String>,
    done: BTreeSet<u32>,
    not_python: u32,
    found: u32,
    failed: Vec<(u32, i32, String)>,
    said: String,
}

/// Takes a process and a piece of its data, which is empty the first time.
pub type Take<'a> = &'a mut dyn FnMut(&str, &ProcessTag, &[u8]) -> io::Result<()>;

/// Has `words` carried out on each node of the job, and hands what comes back to `take`, until all is done
/// or `stop` is requested.
///
/// # Errors
/// When there is no such job, srun cannot be started, or `take` fails.
pub fn gather(
    name: &JobName,
    words: &[OsString],
    stop: &EndRequest,
    take: Take<'_>,
) -> Result<Gathered, anyhow::Error> {
    let job = slurm::find(name, geteuid().as_raw())?;
    let mut all: Vec<OsString> = vec!["on-node".into()];
    if let Some(step) = &job.step {
        all.extend(["--step".into(), step.into()]);
    }
    all.extend_from_slice(words);
    let failed = |source| JobError::Run {
        job: name.clone(),
        source,
    };
    let program = std::env::current_exe().map_err(failed)?;
    // Ctrl-C is for this process: srun would kill the others without a word.
    let mut srun = slurm::on_each_node(&job, &program, &all)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let (stdin, stdout, stderr) = (srun.stdin.take(), srun.stdout.take(), srun.stderr.take());
    let said = thread::spawn(move || read_said(stderr));
    let is_over = Arc::new(AtomicBool::new(false));
    let closer = close_at_stop(stdin, stop.clone(), Arc::clone(&is_over));
    let mut gathered = Gathered {
        name: name.clone(),
        job,
        hosts: BTreeMap::new(),
        done: BTreeSet::new(),
        not_python: 0,
        found: 0,
        failed: Vec::new(),
        said: String::new(),
    };
    let listened = stdout.map_or(Ok(()), |stdout| gathered.listen(stdout, take));
    is_over.store(true, Ordering::Relaxed);
    // From here on nobody reads: what still runs ends at its next line.
    let _ = closer.join();
    let ended = srun.wait();
    gathered.said = said.join().unwrap_or_default();
    listened.and(ended.map(|_| ())).map_err(failed)?;
    Ok(gathered)
}

impl Gathered {
    fn listen(&mut self, stdout: impl Read, take: Take<'_>) -> io::Result<()> {
        let mut begun: BTreeMap<(u32, i32), ProcessTag> = BTreeMap::new();
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line?;
            let Some(Message { node, what }) = relay::read(&String::from_utf8_lossy(&line)) else {
                continue;
            };
            match what {
                Payload::Hello(host) => {
                    self.hosts.insert(node, host);
                }
                Payload::Begin(told) => {
                    self.found += 1;
                    take(&self.host(node), &told, &[])?;
                    begun.insert((node, told.pid), told);
                }
                Payload::Data(pid, text) => {
                    if let Some(told) = begun.get(&(node, pid)) {
                        take(&self.host(node), told, &relay::bytes(&text)?)?;
                    }
                }
                Payload::End(pid, why) => {
                    self.failed.extend(why.map(|why| (node, pid, why)));
                }
                Payload::Done(not_python) => {
                    self.not_python += not_python;
                    self.done.insert(node);
                }
            }
        }
        Ok(())
    }

    fn host(&self, node: u32) -> String {
        let host = self.hosts.get(&node).cloned();
        host.unwrap_or_else(|| format!("node {node}"))
    }

    /// `n1 and n2`, or how many there are.
    #[must_use]
    pub fn nodes(&self) -> String {
        match self.job.node_count {
            1 => self.job.nodes.clone(),
            count => format!("{count} nodes ({})", self.job.nodes),
        }
    }

    /// What is missing, the worst first; nothing when all of the job was read.
    #[must_use]
    pub fn errors(&self) -> Vec<JobError> {
        let of = self.job.node_count;
        let missing = (of as usize).saturating_sub(self.done.len());
        let missing = (missing > 0).then(|| JobError::Missing {
            job: self.name.clone(),
            missing,
            of,
            nodes: self.job.nodes.clone(),
            said: match self.said.trim() {
                "" => String::new(),
                said => format!(": {}", said.replace('\n', "; ")),
            },
        });
        let no_python = (missing.is_none() && self.found == 0).then(|| JobError::NoPython {
            job: self.name.clone(),
            looked_at: self.not_python,
            nodes: self.job.nodes.clone(),
        });
        let failed = self
            .failed
            .iter()
            .map(|(node, pid, why)| JobError::Process {
                pid: *pid,
                node: self.host(*node),
                why: why.clone(),
            });
        missing.into_iter().chain(no_python).chain(failed).collect()
    }
}

fn read_said(stderr: Option<impl Read>) -> String {
    let mut said = Vec::new();
    if let Some(stderr) = stderr {
        let mut stderr = stderr.take(MAX_SAID_BYTES);
        let _ = stderr.read_to_end(&mut said);
        // A full pipe would hold srun up.
        let _ = io::copy(&mut stderr.into_inner(), &mut io::sink());
    }
    String::from_utf8_lossy(&said).into_owned()
}

/// Closes what the nodes read, which tells them to end, when it is time or all is over.
fn close_at_stop(
    stdin: Option<ChildStdin>,
    stop: EndRequest,
    is_over: Arc<AtomicBool>,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        while !stop.is_requested() && !is_over.load(Ordering::Relaxed) {
            thread::sleep(LOOK_EVERY);
        }
        drop(stdin);
    })
}
