//! Turns a process into one look at the stacks of all its threads.

use std::sync::Arc;
use std::time::Duration;

use super::observation::Observation;
use super::observe::{Observer, identify, observe};
use super::target::{self, Source, Target};
use super::tasks::task_dumps;
use super::{SamplerError, StopPolicy};
use crate::memory::LiveMemory;
use crate::process::{Pid, Process, TaskState};
use crate::profile::Profile;
use crate::profile::dump::{Activity, Dump, ThreadDump};
use crate::profile::event::{Event, LostCause};

/// How long an interpreter that has just been started gets until it has a thread.
const START_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads every Python thread's stack of process `pid` once.
///
/// # Errors
/// When the process cannot be read or is no Python process.
pub fn dump(pid: Pid) -> Result<Dump, SamplerError> {
    read(pid).map(|(dump, _, _)| dump)
}

/// As [`dump`], and reads its asyncio tasks.
///
/// # Errors
/// As [`dump`].
pub fn dump_with_tasks(pid: Pid) -> Result<Dump, SamplerError> {
    let (mut dump, mut target, memory) = read(pid)?;
    dump.tasks = Some(match &mut target.source {
        Source::Native(reader) => task_dumps(reader, &memory),
        // Those versions have no tasks that rsamp knows.
        Source::Legacy(_) => Vec::new(),
    });
    Ok(dump)
}

fn read(pid: Pid) -> Result<(Dump, Target, LiveMemory), SamplerError> {
    let process = Arc::new(target::open(pid)?);
    let memory = LiveMemory::new(pid);
    let located = target::wait_for(&process, Some(START_TIMEOUT))?;
    let mut target = located.into_target(pid, StopPolicy::Always);
    let mut observer = Observer::default();
    let mut profile = Profile::default();
    let mut emit = |event: Event| profile.apply(event);
    let observed = observe(&mut target.source, &memory, &mut observer, &mut emit)
        .map_err(|_| SamplerError::EndedEarly(pid))?;
    let mut threads = describe(&observed.threads, &mut target, &process, &memory, &profile);
    threads.sort_by_key(|thread| (!thread.is_main, thread.tid, thread.interpreter));
    let command = process.command_line();
    let dump = Dump {
        pid: pid.0,
        python: target.python.clone(),
        command,
        threads,
        tasks: None,
    };
    Ok((dump, target, memory))
}

fn describe(
    observations: &[Observation],
    target: &mut Target,
    process: &Process,
    memory: &LiveMemory,
    profile: &Profile,
) -> Vec<ThreadDump> {
    let identities = identify(&mut target.source, process, memory, |_| true);
    observations
        .iter()
        .map(|observation| {
            let identity = identities
                .get(&observation.key)
                .cloned()
                .unwrap_or_default();
            let state = identity.tid.and_then(|tid| process.task_state(tid));
            let frames = observation.stack.unwrap_or_default();
            ThreadDump {
                tid: identity.tid.map(|tid| tid.0),
                name: identity.name,
                is_main: identity.tid.is_some_and(|tid| tid.0 == process.pid().0),
                holds_gil: observation.holds_gil,
                activity: state.map(|state| match state {
                    TaskState::Running => Activity::Running,
                    _ => Activity::Waiting,
                }),
                interpreter: observation.interpreter as i64,
                frames: profile.frames_of(frames).cloned().collect(),
                incomplete: incomplete(observation),
            }
        })
        .collect()
}

fn incomplete(observation: &Observation) -> Option<String> {
    if let Err(cause) = observation.stack {
        return Some(format!("the stack could not be read: {cause}"));
    }
    let why = match observation.cut? {
        LostCause::TooDeep => "the stack is too deep: its middle is left out",
        LostCause::GeneratorCallers => {
            "the callers of a generator are not known: it was being resumed or was yielding"
        }
        LostCause::NoEntry => {
            "the outermost function has no entry frame: that of a greenlet, or compiled code"
        }
        _ => "a part of the stack could not be read",
    };
    Some(why.to_owned())
}
