//! Turns the processes of a job on one node into lines for the rsamp that asked, until its end of the pipe is closed.

use std::ffi::OsString;
use std::io::{self, Read};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid as NixPid, gethostname};

use crate::cli::errors::exit_code;
use crate::cli::request::{self, OnNodeWork};
use crate::export::dump::json;
use crate::launch::job::relay::{self, MAX_DATA_BYTES, Message, Payload, ProcessTag};
use crate::launch::job::{Member, Top, members, tops};
use crate::process::Pid;
use crate::profile::dump::Dump;
use crate::sampler::{self, SamplerError};

/// The option of `rsamp attach`, which it takes once.
const NO_CHILDREN: &str = "--no-children";

/// Does with each process of the job what was asked.
///
/// # Errors
/// When the processes cannot be listed, or nobody reads what was found.
pub fn run(request: &request::OnNode) -> Result<u8> {
    let number = std::env::var("SLURM_NODEID").ok();
    let teller = NodeReporter {
        node: number.and_then(|number| number.parse().ok()).unwrap_or(0),
        not_python: AtomicU32::new(0),
    };
    let host = gethostname().context("ask for the name of this node")?;
    teller.tell(Payload::Hello(relay::short(&host.to_string_lossy())))?;
    let members = members(request.step.as_deref());
    let members = members.context("list the processes of this node")?;
    match &request.work {
        OnNodeWork::Dump => dump(&members, sampler::dump, &teller)?,
        OnNodeWork::DumpNative => dump(&members, sampler::dump_native, &teller)?,
        OnNodeWork::DumpTasks => dump(&members, sampler::dump_with_tasks, &teller)?,
        OnNodeWork::Attach(options) => attach(members, options, &teller)?,
    }
    teller.tell(Payload::Done(teller.not_python.load(Ordering::Relaxed)))?;
    Ok(exit_code::OK)
}

/// Says what was found, from several threads.
struct NodeReporter {
    node: u32,
    not_python: AtomicU32,
}

impl NodeReporter {
    fn tell(&self, what: Payload) -> io::Result<()> {
        let node = self.node;
        relay::write(&Message { node, what }, &mut io::stdout().lock())
    }

    fn begin(&self, member: &Member) -> io::Result<()> {
        self.tell(Payload::Begin(ProcessTag {
            pid: member.pid.0,
            step: relay::short(&member.step),
            rank: member.in_job().rank,
        }))
    }

    fn end(&self, member: &Member, why: Option<&str>) -> io::Result<()> {
        self.tell(Payload::End(member.pid.0, why.map(relay::short)))
    }

    fn skip(&self, count: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.not_python.fetch_add(count, Ordering::Relaxed);
    }
}

/// Does `work` for each process at the same time; the first error counts.
fn for_each<T: Send>(items: Vec<T>, work: impl Fn(T) -> io::Result<()> + Sync) -> io::Result<()> {
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> = items
            .into_iter()
            .map(|item| scope.spawn(move || work(item)))
            .collect();
        let join = |thread: thread::ScopedJoinHandle<'_, io::Result<()>>| {
            let panicked = |_| Err(io::Error::other("a bug in rsamp"));
            thread.join().unwrap_or_else(panicked)
        };
        // All are waited for before the first error ends it.
        let ended: Vec<_> = threads.into_iter().map(join).collect();
        ended.into_iter().collect()
    })
}

fn dump(
    members: &[Member],
    read: fn(Pid) -> Result<Dump, SamplerError>,
    teller: &NodeReporter,
) -> io::Result<()> {
    for_each(members.iter().collect(), |member| match read(member.pid) {
        Ok(dump) => {
            teller.begin(member)?;
            for piece in json::json(&dump)?.as_bytes().chunks(MAX_DATA_BYTES) {
                teller.tell(Payload::data(member.pid.0, piece))?;
            }
            teller.end(member, None)
        }
        Err(error) if is_no_python(&error) => {
            teller.skip(1);
            Ok(())
        }
        Err(error) => {
            teller.begin(member)?;
            let why = format!("{:#}", anyhow::Error::new(error));
            teller.end(member, Some(&why))
        }
    })
}

/// Not Python, or gone: nothing is missing.
fn is_no_python(error: &SamplerError) -> bool {
    use SamplerError::{EndedEarly, NeverPython, NoSuchProcess, NotPython};
    matches!(
        error,
        NotPython { .. } | NeverPython { .. } | NoSuchProcess(_) | EndedEarly(_)
    )
}

/// Has a further rsamp attach to each rank, so that what happens to one does not touch the others.
fn attach(members: Vec<Member>, options: &[OsString], teller: &NodeReporter) -> io::Result<()> {
    let (members, others) = apart(members);
    teller.skip(others.len());
    let rsamp = std::env::current_exe()?;
    let mut started = Vec::new();
    for Top {
        member,
        has_descendants,
    } in tops(&members, &others)
    {
        let is_said = options.iter().any(|option| option == NO_CHILDREN);
        let alone = (!has_descendants && !is_said).then_some(NO_CHILDREN);
        let child = Command::new(&rsamp)
            .args(["attach", "--quiet", "--format=rsamp", "--output=-"])
            .arg(format!("--pid={}", member.pid))
            .args(alone)
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        started.push((member, child));
    }
    let running = started.iter().map(|(_, child)| child.id()).collect();
    let running = Arc::new(Mutex::new(running));
    stop_at_end_of_input(Arc::clone(&running));
    for_each(started, |(member, child)| {
        let pid = child.id();
        let relayed = relay_recording(member, child, teller);
        lock(&running).retain(|running| *running != pid);
        relayed
    })
}

/// The Python processes, and the others.
fn apart(members: Vec<Member>) -> (Vec<Member>, Vec<Member>) {
    let found = Mutex::new(Vec::new());
    let looked = for_each(members.iter().collect(), |member: &Member| {
        let is_python = !sampler::dump(member.pid).is_err_and(|error| is_no_python(&error));
        lock(&found).extend(is_python.then_some(member.pid));
        Ok(())
    });
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (python, others) = members
        .into_iter()
        .partition(|member| looked.is_err() || found.contains(&member.pid));
    (python, others)
}

/// Ends the samplers when the rsamp that asked closes the pipe, or is gone. This thread lasts until then.
fn stop_at_end_of_input(running: Arc<Mutex<Vec<u32>>>) {
    thread::spawn(move || {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        for pid in lock(&running).iter() {
            let _ = kill(NixPid::from_raw(*pid as i32), Signal::SIGTERM);
        }
    });
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn relay_recording(member: &Member, mut child: Child, teller: &NodeReporter) -> io::Result<()> {
    let mut piece = [0; MAX_DATA_BYTES];
    let mut is_begun = false;
    if let Some(mut recording) = child.stdout.take() {
        loop {
            let length = recording.read(&mut piece)?;
            if length == 0 {
                break;
            }
            if !is_begun {
                teller.begin(member)?;
                is_begun = true;
            }
            teller.tell(Payload::data(member.pid.0, &piece[..length]))?;
        }
    }
    let mut said = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        let _ = stderr.read_to_string(&mut said);
    }
    let code = child.wait()?.code().map(u8::try_from).and_then(Result::ok);
    match code {
        Some(exit_code::OK) if is_begun => teller.end(member, None),
        Some(
            exit_code::OK
            | exit_code::NOT_PYTHON
            | exit_code::NO_SUCH_PROCESS
            | exit_code::ENDED_EARLY,
        ) => {
            teller.skip(1);
            Ok(())
        }
        _ => {
            if !is_begun {
                teller.begin(member)?;
            }
            let why = said
                .lines()
                .find_map(|line| line.strip_prefix("rsamp: error: "));
            teller.end(member, Some(why.unwrap_or("rsamp was killed")))
        }
    }
}
