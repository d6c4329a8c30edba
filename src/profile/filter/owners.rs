//! Turns processes and threads into those that were asked for, numbered anew.

use std::collections::{BTreeSet, HashMap};

use super::nothing_left::{Criterion, Passed};
use super::ranks::Ranks;
use super::selection::Name;
use super::step_name::StepName;
use crate::profile::event::{
    Event, Missing, Process, ProcessId, Sample, SampleKey, Thread, ThreadId, Usage,
};
use crate::profile::paths::file_name;

/// What was asked for; an empty list asks for all.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) processes: Vec<Name>,
    pub(super) ranks: Vec<Ranks>,
    pub(super) steps: Vec<StepName>,
    pub(super) threads: Vec<Name>,
}

/// The processes and threads seen, and which of them were asked for.
#[derive(Debug)]
pub(super) struct Owners {
    wanted: Wanted,
    processes: Vec<OwnProcess>,
    threads: Vec<OwnThread>,
    processes_out: u32,
    threads_out: u32,
}

#[derive(Debug)]
struct OwnProcess {
    process: Process,
    /// What it lacks, if it is not wanted.
    unwanted: Option<Criterion>,
    out: Option<ProcessId>,
    /// What was counted of it before a sample needed it.
    usage: Vec<Usage>,
    /// And what could not be.
    missing: Vec<Missing>,
}

#[derive(Debug)]
struct OwnThread {
    thread: Thread,
    is_wanted: bool,
    out: Option<ThreadId>,
    /// Samples from before the thread had the name that was asked for, summed.
    held: HashMap<SampleKey, Sample>,
}

impl Owners {
    /// Nobody has appeared yet.
    pub(super) fn new(wanted: Wanted) -> Owners {
        Owners {
            wanted,
            processes: Vec::new(),
            threads: Vec::new(),
            processes_out: 0,
            threads_out: 0,
        }
    }

    /// A process appeared.
    pub(super) fn process(&mut self, id: ProcessId, process: Process, emit: &mut dyn FnMut(Event)) {
        if id.0 as usize != self.processes.len() {
            emit(Event::Process(ProcessId(u32::MAX), process));
            return;
        }
        let unwanted = self.lacks(id, &process);
        self.processes.push(OwnProcess {
            process,
            unwanted,
            out: None,
            usage: Vec::new(),
            missing: Vec::new(),
        });
    }

    fn lacks(&self, id: ProcessId, process: &Process) -> Option<Criterion> {
        let names = &self.wanted.processes;
        let is_named = names.is_empty() || names.iter().any(|name| is_process(name, id, process));
        if !is_named {
            return Some(Criterion::Process);
        }
        let ranks = &self.wanted.ranks;
        let holds = |rank| ranks.iter().any(|ranks| ranks.holds(rank));
        let is_of_rank = ranks.is_empty() || process.rank.is_some_and(holds);
        if !is_of_rank {
            return Some(Criterion::Rank);
        }
        let steps = &self.wanted.steps;
        let launch = process.launch.as_deref();
        let fits = |launch| steps.iter().any(|step| step.fits(launch));
        let is_of_step = steps.is_empty() || launch.is_some_and(fits);
        (!is_of_step).then_some(Criterion::Step)
    }

    /// Whether no thread was asked for by name.
    pub(super) fn are_all_threads(&self) -> bool {
        self.wanted.threads.is_empty()
    }

    /// The number of a process behind the filter, once there are samples of it.
    pub(super) fn emitted(&self, id: ProcessId) -> Option<ProcessId> {
        self.processes.get(id.0 as usize)?.out
    }

    /// Something was counted of a process; it is told once there are samples of it.
    pub(super) fn usage(&mut self, usage: Usage, emit: &mut dyn FnMut(Event)) {
        let told = |process| Event::Usage(Usage { process, ..usage });
        match self.processes.get_mut(usage.process.0 as usize) {
            None => emit(told(ProcessId(u32::MAX))),
            Some(known) => match known.out {
                Some(out) => emit(told(out)),
                None if known.unwanted.is_none() => known.usage.push(usage),
                None => (),
            },
        }
    }

    /// Something cannot be measured of a process; told as [`Owners::usage`].
    pub(super) fn missing(&mut self, missing: Missing, emit: &mut dyn FnMut(Event)) {
        let told = |process, missing| Event::Missing(Missing { process, ..missing });
        match self.processes.get_mut(missing.process.0 as usize) {
            None => emit(told(ProcessId(u32::MAX), missing)),
            Some(known) => match known.out {
                Some(out) => emit(told(out, missing)),
                None if known.unwanted.is_none() => known.missing.push(missing),
                None => (),
            },
        }
    }

    /// A thread appeared or has another name. Returns the samples of it that were held until now
    /// and are wanted after all.
    pub(super) fn thread(
        &mut self,
        id: ThreadId,
        thread: Thread,
        emit: &mut dyn FnMut(Event),
    ) -> Vec<Sample> {
        let index = id.0 as usize;
        let is_process = (thread.process.0 as usize) < self.processes.len();
        if !is_process || index > self.threads.len() {
            emit(Event::Thread(ThreadId(u32::MAX), thread));
            return Vec::new();
        }
        let wanted = &self.wanted.threads;
        let is_wanted = wanted.is_empty() || wanted.iter().any(|name| is_thread(name, id, &thread));
        let Some(known) = self.threads.get_mut(index) else {
            self.threads.push(OwnThread {
                thread,
                is_wanted,
                out: None,
                held: HashMap::new(),
            });
            return Vec::new();
        };
        known.thread = thread;
        known.is_wanted |= is_wanted;
        if known.out.is_some() {
            self.emit_thread(index, emit);
        }
        let known = &mut self.threads[index];
        if !known.is_wanted {
            return Vec::new();
        }
        let mut held: Vec<Sample> = std::mem::take(&mut known.held).into_values().collect();
        held.sort_by_key(|sample| (sample.at, sample.key()));
        held
    }

    /// Whether a thread was defined.
    pub(super) fn is_thread(&self, id: ThreadId) -> bool {
        (id.0 as usize) < self.threads.len()
    }

    /// The sample, when its thread was asked for. One of a thread that may yet get the name asked
    /// for is held, added to that of the same stack.
    pub(super) fn take(&mut self, sample: Sample, passed: &mut Passed) -> Option<Sample> {
        let thread = self.threads.get_mut(sample.thread.0 as usize)?;
        let process = self.processes.get(thread.thread.process.0 as usize)?;
        if let Some(criterion) = process.unwanted {
            passed.until(criterion);
            return None;
        }
        if thread.is_wanted {
            return Some(sample);
        }
        passed.until(Criterion::Thread);
        let held = thread.held.entry(sample.key());
        held.and_modify(|sum| sum.add(&sample)).or_insert(sample);
        None
    }

    /// Whether a thread was asked for, by what is known of it now.
    pub(super) fn is_wanted(&self, id: ThreadId) -> bool {
        let Some(thread) = self.threads.get(id.0 as usize) else {
            return false;
        };
        let process = self.processes.get(thread.thread.process.0 as usize);
        thread.is_wanted && process.is_some_and(|process| process.unwanted.is_none())
    }

    /// The new number of a thread that is needed now.
    pub(super) fn define(&mut self, id: ThreadId, emit: &mut dyn FnMut(Event)) -> ThreadId {
        let index = id.0 as usize;
        if let Some(out) = self.threads.get(index).and_then(|thread| thread.out) {
            return out;
        }
        self.threads[index].out = Some(ThreadId(self.threads_out));
        self.threads_out += 1;
        self.emit_thread(index, emit)
    }

    fn emit_thread(&mut self, index: usize, emit: &mut dyn FnMut(Event)) -> ThreadId {
        let process = self.define_process(self.threads[index].thread.process, emit);
        let known = &self.threads[index];
        let thread = Thread {
            process,
            ..known.thread.clone()
        };
        let id = known.out.unwrap_or(ThreadId(u32::MAX));
        emit(Event::Thread(id, thread));
        id
    }

    fn define_process(&mut self, id: ProcessId, emit: &mut dyn FnMut(Event)) -> ProcessId {
        let index = id.0 as usize;
        if let Some(out) = self.processes[index].out {
            return out;
        }
        let id = ProcessId(self.processes_out);
        self.processes_out += 1;
        let parent = self.processes[index].process.parent;
        let parent = parent.and_then(|parent| self.processes.get(parent.0 as usize)?.out);
        let known = &mut self.processes[index];
        known.out = Some(id);
        let process = Process {
            parent,
            ..known.process.clone()
        };
        emit(Event::Process(id, process));
        for usage in std::mem::take(&mut known.usage) {
            emit(Event::Usage(Usage {
                process: id,
                ..usage
            }));
        }
        for missing in std::mem::take(&mut known.missing) {
            emit(Event::Missing(Missing {
                process: id,
                ..missing
            }));
        }
        id
    }

    /// What was asked for of processes, and what there is.
    pub(super) fn processes(&self) -> (String, Vec<String>) {
        let there = self.processes.iter().map(|known| {
            let process = &known.process;
            if process.words().next().is_none() {
                return process.pid.to_string();
            }
            format!("{} ({})", process.pid, process.command_line())
        });
        (listed(&self.wanted.processes), there.collect())
    }

    /// What was asked for of ranks, and what there is.
    pub(super) fn ranks(&self) -> (String, Vec<String>) {
        let there = self.processes.iter().filter_map(|known| known.process.rank);
        (listed(&self.wanted.ranks), Ranks::joined(there))
    }

    /// What was asked for of steps, and what there is.
    pub(super) fn steps(&self) -> (String, Vec<String>) {
        let there = self
            .processes
            .iter()
            .filter_map(|known| known.process.launch.clone());
        let there: BTreeSet<String> = there.collect();
        (listed(&self.wanted.steps), there.into_iter().collect())
    }

    /// What was asked for of threads, and what there is.
    pub(super) fn threads(&self) -> (String, Vec<String>) {
        let there = (0_u32..).zip(&self.threads).map(|(number, known)| {
            let tid = known.thread.tid.map(|tid| tid.to_string());
            let name = known.thread.name.clone();
            match (name, tid) {
                (Some(name), Some(tid)) => format!("{name} ({tid})"),
                (Some(name), None) => name,
                (None, Some(tid)) => tid,
                (None, None) => number.to_string(),
            }
        });
        (listed(&self.wanted.threads), there.collect())
    }
}

fn is_process(name: &Name, id: ProcessId, process: &Process) -> bool {
    match name {
        Name::Number(number) => *number == id.0 || i64::from(*number) == i64::from(process.pid),
        Name::Pattern(pattern) => {
            let is_name = |word: &str| pattern.matches(file_name(word));
            pattern.matches(&process.command_line()) || process.words().any(|word| is_name(&word))
        }
    }
}

fn is_thread(name: &Name, id: ThreadId, thread: &Thread) -> bool {
    match name {
        Name::Number(number) => {
            let tid = thread.tid.map(i64::from);
            *number == id.0 || tid == Some(i64::from(*number))
        }
        Name::Pattern(pattern) => match &thread.name {
            Some(name) => pattern.matches(name),
            None => thread.is_main && pattern.matches("MainThread"),
        },
    }
}

fn listed(names: &[impl ToString]) -> String {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    names.join(", ")
}
