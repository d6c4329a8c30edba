//! Turns a process into one look at the stacks of all its threads.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::native_dump::{MergedStack, NativeReader, PythonStack, mappings, other_threads};
use super::native_names::name_frames;
use super::observation::{Observation, ThreadKey};
use super::observe::{Identity, Observer, identify, observe};
use super::target::{self, Source, Target};
use super::tasks::task_dumps;
use super::{SamplerError, StopPolicy};
use crate::memory::{LiveMemory, Resident};
use crate::native::IS_SUPPORTED;
use crate::native::waiting::WaitingThread;
use crate::process::{Pid, Process, TaskState, Tid};
use crate::profile::Profile;
use crate::profile::dump::{Activity, Dump, ThreadDump};
use crate::profile::event::{Event, Frame, LostCause};

/// How long an interpreter that has just been started gets until it has a thread.
const START_TIMEOUT: Duration = Duration::from_secs(5);

/// So often a thread is looked at that ran while its native frames were read.
const MAX_TRIES: usize = 5;

/// Reads every Python thread's stack of process `pid` once.
///
/// # Errors
/// When the process cannot be read or is no Python process.
pub fn dump(pid: Pid) -> Result<Dump, SamplerError> {
    let mut look = Look::open(pid)?;
    look.observe()?;
    let identities = look.identify();
    Ok(look.finish(&identities, Merged::default()))
}

/// As [`dump`], and reads its asyncio tasks.
///
/// # Errors
/// As [`dump`].
pub fn dump_with_tasks(pid: Pid) -> Result<Dump, SamplerError> {
    let mut look = Look::open(pid)?;
    look.observe()?;
    let identities = look.identify();
    let tasks = match &mut look.target.source {
        Source::Native(reader) => task_dumps(reader, &look.memory),
        // Those versions have no tasks that rsamp knows.
        Source::Legacy(_) => Vec::new(),
    };
    Ok(Dump {
        tasks: Some(tasks),
        ..look.finish(&identities, Merged::default())
    })
}

/// As [`dump`], with the native frames of the threads that wait, and the threads that run no Python. No thread is
/// stopped for that.
///
/// # Errors
/// As [`dump`].
pub fn dump_native(pid: Pid) -> Result<Dump, SamplerError> {
    let mut look = Look::open(pid)?;
    look.observe()?;
    let identities = look.identify();
    let mut merged = look.merge(&identities)?;
    let stacks = merged.stacks.values_mut();
    name_frames(&look.process, stacks.map(|stack| &mut stack.frames));
    Ok(look.finish(&identities, merged))
}

type Identities = HashMap<ThreadKey, Identity>;

/// What came of native frames.
#[derive(Default)]
struct Merged {
    interpreter_module: Option<String>,
    stacks: HashMap<Tid, MergedStack>,
    /// Whether they were asked for.
    is_wanted: bool,
    /// The threads that run no Python.
    others: Vec<Tid>,
}

/// A process that is looked at.
struct Look {
    process: Arc<Process>,
    memory: LiveMemory,
    target: Target,
    observer: Observer,
    profile: Profile,
    /// What was told last of each thread.
    observations: BTreeMap<ThreadKey, Observation>,
}

impl Look {
    fn open(pid: Pid) -> Result<Look, SamplerError> {
        let process = Arc::new(target::open(pid)?);
        let located = target::wait_for(&process, Some(START_TIMEOUT))?;
        Ok(Look {
            memory: LiveMemory::new(pid),
            target: located.into_target(pid, StopPolicy::Always),
            process,
            observer: Observer::default(),
            profile: Profile::default(),
            observations: BTreeMap::new(),
        })
    }

    /// Reads the Python stacks of the threads that may have run since the last time.
    fn observe(&mut self) -> Result<(), SamplerError> {
        let profile = &mut self.profile;
        let mut emit = |event: Event| profile.apply(event);
        let observed = observe(
            &mut self.target.source,
            &self.memory,
            &mut self.observer,
            &mut emit,
        );
        let observed = observed.map_err(|_| SamplerError::EndedEarly(self.process.pid()))?;
        let threads = observed.threads.into_iter();
        self.observations
            .extend(threads.map(|observation| (observation.key, observation)));
        Ok(())
    }

    fn identify(&mut self) -> Identities {
        identify(&mut self.target.source, &self.process, &self.memory, |_| {
            true
        })
    }

    fn frames_of(&self, observation: &Observation) -> Vec<Frame> {
        let stack = observation.stack.unwrap_or_default();
        self.profile.frames_of(stack).cloned().collect()
    }

    /// Reads the native frames of the threads that wait.
    fn merge(&mut self, identities: &Identities) -> Result<Merged, SamplerError> {
        if !IS_SUPPORTED {
            return Ok(Merged {
                is_wanted: true,
                ..Merged::default()
            });
        }
        let process = Arc::clone(&self.process);
        let pid = process.pid();
        let (mappings, stalling) =
            mappings(&process).map_err(|source| SamplerError::Process { pid, source })?;
        let memory = LiveMemory::new(pid);
        let memory = Resident::new(&memory, pid, stalling.iter());
        let mut reader = NativeReader::new(&process, &mappings, &memory);
        let others = other_threads(&process, identities);
        let python = identities
            .iter()
            .filter_map(|(key, identity)| Some((identity.tid?, Some(*key))));
        let mut pending: Vec<(Tid, Option<ThreadKey>)> = python.collect();
        pending.extend(others.iter().map(|tid| (*tid, None)));
        let mut stacks = HashMap::new();
        for _ in 0..MAX_TRIES {
            let looked = pending
                .iter()
                .map(|(tid, key)| (*tid, *key, WaitingThread::look(&process, *tid)));
            let looked: Vec<_> = looked.collect();
            self.observe()?;
            pending.clear();
            for (tid, key, waiting) in looked {
                let merged = waiting
                    .filter(|_| reader.has_time())
                    .and_then(|waiting| self.merge_one(key, waiting, &mut reader));
                // The frames of others may have told how to go on where this one ended too early.
                if merged.as_ref().is_none_or(|merged| !merged.is_whole) {
                    pending.push((tid, key));
                }
                stacks.extend(merged.map(|merged| (tid, merged)));
            }
            if pending.is_empty() {
                break;
            }
        }
        Ok(Merged {
            interpreter_module: reader.interpreter().map(str::to_owned),
            stacks,
            is_wanted: true,
            others,
        })
    }

    fn merge_one(
        &self,
        key: Option<ThreadKey>,
        mut waiting: WaitingThread,
        reader: &mut NativeReader<'_>,
    ) -> Option<MergedStack> {
        let Some(key) = key else {
            return reader.stack(waiting, &PythonStack::EMPTY);
        };
        if matches!(self.target.source, Source::Legacy(_)) {
            waiting.was_stopped();
        }
        let observation = self.observations.get(&key)?;
        let shown = self.frames_of(observation);
        let python = PythonStack::of(&self.target.source, observation, shown, &self.memory)?;
        reader.stack(waiting, &python)
    }

    fn finish(self, identities: &Identities, mut merged: Merged) -> Dump {
        let python = self.observations.values().map(|observation| {
            let identity = identities.get(&observation.key).cloned();
            self.describe(observation, identity.unwrap_or_default())
        });
        let others = merged
            .others
            .iter()
            .filter_map(|tid| self.describe_other(*tid));
        let mut threads: Vec<ThreadDump> = python.chain(others).collect();
        for thread in &mut threads {
            if let Some(stack) = thread.tid.and_then(|tid| merged.stacks.remove(&Tid(tid))) {
                thread.frames = stack.frames;
            } else if merged.is_wanted && thread.incomplete.is_none() {
                thread.incomplete = Some(why_no_native(thread.activity).to_owned());
            }
        }
        threads.sort_by_key(|thread| (!thread.is_main, thread.tid, thread.interpreter));
        Dump {
            pid: self.process.pid().0,
            command: self.process.command_line(),
            python: self.target.python,
            interpreter_module: merged.interpreter_module,
            threads,
            tasks: None,
        }
    }

    fn describe(&self, observation: &Observation, identity: Identity) -> ThreadDump {
        let pid = self.process.pid();
        ThreadDump {
            tid: identity.tid.map(|tid| tid.0),
            name: identity.name,
            is_main: identity.tid.is_some_and(|tid| tid.0 == pid.0),
            holds_gil: observation.holds_gil,
            activity: identity.tid.and_then(|tid| self.activity(tid)),
            interpreter: observation.interpreter as i64,
            frames: self.frames_of(observation),
            incomplete: incomplete(observation),
        }
    }

    /// A thread that runs no Python; `None`: it has ended.
    fn describe_other(&self, tid: Tid) -> Option<ThreadDump> {
        Some(ThreadDump {
            tid: Some(tid.0),
            name: self.process.task_name(tid),
            is_main: tid.0 == self.process.pid().0,
            holds_gil: None,
            activity: Some(self.activity(tid)?),
            interpreter: 0,
            frames: Vec::new(),
            incomplete: None,
        })
    }

    fn activity(&self, tid: Tid) -> Option<Activity> {
        Some(match self.process.task_state(tid)? {
            TaskState::Running => Activity::Running,
            _ => Activity::Waiting,
        })
    }
}

fn why_no_native(activity: Option<Activity>) -> &'static str {
    match activity {
        _ if !IS_SUPPORTED => "native frames are read on x86-64 only",
        Some(Activity::Running) => {
            "native frames are read of threads that wait; this one was running"
        }
        _ => "its native frames could not be read, or it ran meanwhile",
    }
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
