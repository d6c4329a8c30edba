//! Turns one tick of any reader into observations of threads, whatever the interpreter's version.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::intern::{Interned, Interner, Recent};
use super::observation::Observation;
use super::target::Source;
use super::tasks::TaskSets;
use super::thread_states::{Runner, StateFields, ThreadStates, threads_of};
use crate::cpython::layout::traits::StateOwner;
use crate::cpython::legacy::LegacyThread;
use crate::cpython::legacy_helper::LegacySource;
use crate::cpython::native_ids::native_ids;
use crate::cpython::reader::{KnownThread, Reader, Reading, RunningTask, Undetermined};
use crate::cpython::thread_names::{self, thread_names};
use crate::memory::LiveMemory;
use crate::process::{Process, Tid};
use crate::profile::attributes::AttributesId;
use crate::profile::event::{Event, Frame, FrameKind, LostCause, StackId};
use crate::profile::paths::file_name;

/// So many threads whose ids are known are looked at beside those that are wanted.
const KNOWN_BESIDE: usize = 8;

/// The kernel keeps so much of a name (`TASK_COMM_LEN` less the final 0).
const KERNEL_NAME_BYTES: usize = 15;

/// What one tick tells of all threads, and what it took.
#[derive(Debug, Default)]
pub struct Observed {
    /// The threads, but for those that are as at the tick before.
    pub threads: Vec<Observation>,
    /// How many those are: they have not run since.
    pub same: usize,
    /// Stacks that could not be told from the first copy.
    pub undetermined: Undetermined,
    /// How often a thread was stopped for a reading.
    pub stops: u64,
    /// Whether the interpreter could not be read at all.
    pub is_gone: bool,
}

/// What is known of a thread besides its stack.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// The kernel's id in rsamp's PID namespace.
    pub tid: Option<Tid>,
    /// Its name in `threading`.
    pub name: Option<String>,
    /// The name that the kernel has for it, where the program set one (pthread_setname_np(3), prctl(2)).
    pub kernel_name: Option<String>,
}

impl Identity {
    /// Whether nothing of it is missing.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.tid.is_some() && self.name.is_some()
    }

    /// The name that the program gave it: that in `threading`, unless `threading` itself made it up and there is
    /// another.
    #[must_use]
    pub fn given_name(&self) -> Option<&str> {
        let (name, kernel_name) = (self.name.as_deref(), self.kernel_name.as_deref());
        match name {
            Some(name) if !thread_names::is_made_up(name) => Some(name),
            // From 3.14 on `threading` tells its names to the kernel, which cuts them.
            Some(name) => kernel_name
                .filter(|kernel| !name.starts_with(kernel))
                .or(Some(name)),
            None => kernel_name,
        }
    }
}

/// The process ended, or its memory is no interpreter's any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vanished;

/// Turns what a reader tells into observations, and remembers each thread's last stack.
#[derive(Debug, Default)]
pub struct Observer {
    interner: Interner,
    /// In the order of [`Reader::threads`].
    threads: Vec<Remembered>,
    states: ThreadStates,
    /// The thread of each, as [`threads_of`] tells.
    owners: Vec<Option<(u64, u64)>>,
    /// The keys of the threads that run.
    begun: FxHashSet<(u64, u64)>,
    tasks: TaskSets,
}

#[derive(Debug)]
struct Remembered {
    key: (u64, u64),
    recent: Recent,
    /// The number of the stack that was numbered last, as the reader counts them; `None`: not numbered yet.
    last: Option<(u64, Interned)>,
    /// Whether the thread that it is for does not run yet.
    is_starting: bool,
    /// The asyncio task that ran last, how many callbacks waited for it, and the number of the set of attributes that says so.
    task: Option<(Rc<RunningTask>, Option<u32>, Option<AttributesId>)>,
}

impl Observer {
    /// An observer of another program of the same recording.
    #[must_use]
    pub fn for_another(&self) -> Observer {
        Observer {
            interner: self.interner.for_another(),
            ..Observer::default()
        }
    }

    /// An observer of a fork of the program, for a reader made with [`Reader::for_fork`].
    #[must_use]
    pub fn for_fork(&self) -> Observer {
        Observer {
            interner: self.interner.for_fork(),
            ..Observer::default()
        }
    }

    /// Makes `threads` those of `reader`; the stacks of those that are still there are kept.
    fn follow(&mut self, reader: &Reader) {
        let states = states_of(reader);
        let owners = threads_of(&states);
        self.states.follow(&states, &owners);
        let known = std::mem::take(&mut self.threads).into_iter();
        let mut known: FxHashMap<_, _> = known.map(|thread| (thread.key, thread)).collect();
        for (StateFields { key, .. }, owner) in states.iter().zip(&owners) {
            let remembered = known.remove(key).unwrap_or_else(|| Remembered {
                key: *key,
                recent: Recent::default(),
                last: None,
                is_starting: false,
                task: None,
            });
            self.threads.push(Remembered {
                is_starting: owner.is_none(),
                ..remembered
            });
        }
        self.begun = owners.iter().copied().flatten().collect();
        self.owners = owners;
    }

    /// Whether a thread has entered or left a sub-interpreter, in a version that makes no thread state for that and
    /// still tells which thread it is.
    fn have_owners_changed(&self, reader: &Reader) -> bool {
        if reader.interpreter().traits.state_owner != StateOwner::CStack {
            return false;
        }
        let threads = reader.threads();
        let ends = threads.first().zip(threads.last());
        let has_several = ends.is_some_and(|(first, last)| first.interpreter != last.interpreter);
        has_several && threads_of(&states_of(reader)) != self.owners
    }
}

fn states_of(reader: &Reader) -> Vec<StateFields> {
    let state_owner = reader.interpreter().traits.state_owner;
    let runner = |thread: &KnownThread| match state_owner {
        StateOwner::Unknown => Runner::Unknown,
        StateOwner::CStack => thread
            .place_on_c_stack()
            .map_or(Runner::Named, Runner::OnStack),
        StateOwner::ThreadId => Runner::Named,
    };
    let fields = |thread: &KnownThread| StateFields {
        key: native_key(thread),
        interpreter: thread.interpreter,
        native_id: thread.native_id,
        runner: runner(thread),
    };
    reader.threads().iter().map(fields).collect()
}

impl Observer {
    /// The number of a stack of one frame that stands for something else than a function.
    pub fn mark(&mut self, name: &str, emit: &mut dyn FnMut(Event)) -> Option<StackId> {
        self.interner.mark(name, emit)
    }

    /// What numbers the stacks.
    pub fn interner(&mut self) -> &mut Interner {
        &mut self.interner
    }

    /// Whether a thread has one stack: not where it has called into another interpreter of the process.
    #[must_use]
    pub fn has_one_stack(&self, key: (u64, u64)) -> bool {
        self.states.has_one_state(key)
    }

    /// Whether a thread of the interpreter runs.
    #[must_use]
    pub fn has_begun(&self, key: (u64, u64)) -> bool {
        self.begun.contains(&key)
    }

    /// What the last tick tells of thread `number`; `None` of one that does not run yet.
    fn observe(
        &mut self,
        number: usize,
        reader: &Reader,
        emit: &mut dyn FnMut(Event),
    ) -> Option<Observation> {
        let (tick, thread) = (reader.last(), &reader.threads()[number]);
        let (remembered, reading) = (&mut self.threads[number], tick.readings[number]);
        if remembered.is_starting {
            return None;
        }
        let last = match remembered.last {
            Some((stacks, last)) if stacks == thread.stacks() => last,
            _ => {
                let (recent, stack) = (&mut remembered.recent, thread.stack());
                self.interner
                    .next_stack(recent, stack, reader.codes(), emit)
            }
        };
        remembered.last = Some((thread.stacks(), last));
        let ready = thread.ready_callbacks();
        let attributes = thread.task().and_then(|task| match &remembered.task {
            Some((known, with, set)) if Rc::ptr_eq(known, task) && *with == ready => *set,
            _ => {
                let frames = &thread.stack().frames;
                let (task_of, interner) = ((task, ready, frames.as_slice()), &mut self.interner);
                let set = self.tasks.attributes(task_of, reader, interner, emit);
                remembered.task = Some((Rc::clone(task), ready, set));
                set
            }
        });
        Some(Observation {
            key: remembered.key,
            was_read: reading != Reading::Same,
            stack: match reading {
                Reading::Stack | Reading::Same | Reading::Unsampled => Ok(last.stack),
                Reading::Torn => Err(LostCause::Torn),
                Reading::Gone => Err(LostCause::Unreadable),
            },
            cut: last.cut.filter(|_| reading == Reading::Stack),
            is_carried: reading == Reading::Unsampled,
            holds_gil: tick
                .knows_holders
                .then(|| tick.holders.contains(&thread.state)),
            gil_locks: reader.gil_locks(thread),
            is_collecting: tick.collecting.contains(&thread.interpreter),
            interpreter: reader.interpreter_number(thread),
            attributes,
        })
    }
}

/// Reads all threads once; not again those that cannot have changed.
///
/// # Errors
/// [`Vanished`].
pub fn observe(
    source: &mut Source,
    memory: &LiveMemory,
    observer: &mut Observer,
    emit: &mut dyn FnMut(Event),
) -> Result<Observed, Vanished> {
    match source {
        Source::Native(reader) => {
            reader.tick(memory).map_err(|_| Vanished)?;
            Ok(native_observations(reader, observer, emit))
        }
        Source::Legacy(reader) => {
            let threads = reader.stacks().map_err(|_| Vanished)?.into_iter();
            let threads =
                threads.map(|thread| legacy_observation(thread, &mut observer.interner, emit));
            Ok(Observed {
                threads: threads.collect(),
                stops: reader.stops(),
                ..Observed::default()
            })
        }
    }
}

fn native_observations(
    reader: &Reader,
    observer: &mut Observer,
    emit: &mut dyn FnMut(Event),
) -> Observed {
    let tick = reader.last();
    let are_others = tick.threads_changed
        || observer.threads.len() != reader.threads().len()
        || observer.have_owners_changed(reader);
    if are_others {
        observer.follow(reader);
    }
    let mut numbers: Vec<usize> = if are_others {
        (0..reader.threads().len()).collect()
    } else {
        tick.read.clone()
    };
    if !observer.states.is_empty() {
        let keys: Vec<_> = observer.threads.iter().map(|thread| thread.key).collect();
        observer.states.add_the_others(&mut numbers, &keys);
    }
    let observe = |number: usize| observer.observe(number, reader, emit);
    let mut observations: Vec<_> = numbers.into_iter().filter_map(observe).collect();
    let Observer {
        states, interner, ..
    } = observer;
    states.join(&mut observations, interner, emit);
    Observed {
        same: observer.begun.len() - observations.len(),
        threads: observations,
        undetermined: tick.undetermined,
        stops: tick.stops,
        is_gone: false,
    }
}

fn native_key(thread: &KnownThread) -> (u64, u64) {
    (thread.state.0, thread.ident)
}

fn legacy_observation(
    thread: LegacyThread,
    interner: &mut Interner,
    emit: &mut dyn FnMut(Event),
) -> Observation {
    let frames = thread.frames.into_iter().map(|frame| Frame {
        kind: FrameKind::Python,
        name: frame.name,
        file: Some(frame.filename),
        first_line: frame.first_line,
        line: frame.line,
    });
    let stack = if thread.is_torn {
        Err(LostCause::Torn)
    } else {
        Ok(interner.ready_stack(frames, emit))
    };
    Observation {
        key: (thread.thread_id, thread.thread_id),
        stack,
        cut: None,
        is_carried: false,
        was_read: true,
        holds_gil: Some(thread.holds_gil),
        gil_locks: None,
        is_collecting: false,
        interpreter: 0,
        attributes: None,
    }
}

/// Finds out the kernel's ids and the names of the threads that are wanted: `is_wanted` is asked with
/// [`Observation::key`].
pub fn identify(
    source: &mut Source,
    process: &Process,
    memory: &LiveMemory,
    is_wanted: impl Fn((u64, u64)) -> bool,
) -> HashMap<(u64, u64), Identity> {
    let tids = process.namespace_tids().unwrap_or_default();
    let mut identities = match source {
        Source::Native(reader) => {
            let main = Tid(process.pid().0);
            identify_native(reader, &tids, main, memory, is_wanted)
        }
        Source::Legacy(reader) => identify_legacy(reader, &tids),
    };
    let inherited = InheritedNames::of(process);
    for identity in identities.values_mut() {
        let name = identity.tid.and_then(|tid| process.task_name(tid));
        identity.kernel_name = name.filter(|name| !name.is_empty() && !inherited.holds(name));
    }
    identities
}

/// The names that the kernel gives threads of a process by itself: that of the main thread, and those of the
/// program's file, from which the main thread's may differ since it was renamed.
struct InheritedNames {
    main: Option<String>,
    exe: Option<String>,
    /// The program as it was called, and a script with a `#!` line.
    called: Vec<String>,
}

impl InheritedNames {
    fn of(process: &Process) -> InheritedNames {
        let exe = process.exe().ok();
        let exe = exe.and_then(|exe| Some(exe.file_name()?.to_string_lossy().into_owned()));
        let words = process.command_line().into_iter().take(2);
        InheritedNames {
            main: process.task_name(Tid(process.pid().0)),
            exe,
            called: words.map(|word| file_name(&word).to_owned()).collect(),
        }
    }

    /// Whether a thread has `name` without being given it. `python3` is most often a link to `python3.11`.
    fn holds(&self, name: &str) -> bool {
        let is_cut = |file: &String| name.len() == KERNEL_NAME_BYTES && file.starts_with(name);
        let is_called = |file: &String| file == name || is_cut(file);
        self.main.as_deref() == Some(name)
            || self.exe.as_ref().is_some_and(|exe| exe.starts_with(name))
            || self.called.iter().any(is_called)
    }
}

fn identify_native(
    reader: &Reader,
    tids: &HashMap<i32, Tid>,
    main: Tid,
    memory: &LiveMemory,
    is_wanted: impl Fn((u64, u64)) -> bool,
) -> HashMap<(u64, u64), Identity> {
    let threads = reader.threads().iter();
    let threads: Vec<&KnownThread> = threads
        .filter(|thread| is_wanted(native_key(thread)))
        .collect();
    // After a fork the interpreter names the parent's thread for a moment.
    let native_id = |thread: &KnownThread| {
        let id = thread.native_id.and_then(|id| i32::try_from(id).ok());
        id.filter(|id| tids.contains_key(id))
    };
    let found = if threads.iter().all(|thread| native_id(thread).is_some()) {
        HashMap::new()
    } else {
        // One alone would not tell the place: the main thread and others beside them.
        let known = reader.threads().iter().rev().take(KNOWN_BESIDE);
        let idents = threads.iter().copied().chain(known);
        let idents: Vec<u64> = idents.map(|thread| thread.ident).collect();
        let existing: HashSet<i32> = tids.keys().copied().collect();
        native_ids(&idents, &existing, memory)
    };
    let idents: HashSet<u64> = threads.iter().map(|thread| thread.ident).collect();
    let (names, main_name) = names_of(reader, memory, &idents);
    threads
        .iter()
        .map(|thread| {
            let inner = native_id(thread).or_else(|| found.get(&thread.ident).copied());
            let tid = inner.and_then(|inner| tids.get(&inner).copied());
            // Where gevent has patched `threading`, the ident there is another.
            let of_main = main_name.as_ref().filter(|_| tid == Some(main));
            let identity = Identity {
                tid,
                name: names.get(&thread.ident).or(of_main).cloned(),
                kernel_name: None,
            };
            (native_key(thread), identity)
        })
        .collect()
}

/// The names of the threads with these idents, and of the one that the program takes for the main one. A thread that entered a sub-interpreter is called `MainThread` there; the
/// name that an older interpreter has for it is the one that the program gave it.
fn names_of(
    reader: &Reader,
    memory: &LiveMemory,
    idents: &HashSet<u64>,
) -> (HashMap<u64, String>, Option<String>) {
    let (mut names, mut main) = (HashMap::new(), None);
    let mut last = None;
    // The main interpreter is the last.
    for thread in reader.threads() {
        if last.replace(thread.interpreter) != Some(thread.interpreter) {
            let layout = &reader.interpreter().layout;
            let is_wanted = |ident| idents.contains(&ident);
            let found = thread_names(memory, layout, thread.interpreter, is_wanted);
            main = found
                .main
                .and_then(|ident| found.names.get(&ident).cloned());
            names.extend(found.names);
        }
    }
    (names, main)
}

fn identify_legacy(
    reader: &mut LegacySource,
    tids: &HashMap<i32, Tid>,
) -> HashMap<(u64, u64), Identity> {
    let threads = reader.stacks().unwrap_or_default();
    threads
        .into_iter()
        .map(|thread| {
            let tid = thread
                .os_thread_id
                .map(|id| tids.get(&id).copied().unwrap_or(Tid(id)));
            (
                (thread.thread_id, thread.thread_id),
                Identity {
                    tid,
                    name: thread.name,
                    kernel_name: None,
                },
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_name_counts_where_threading_made_one_up() {
        let given = |name: Option<&str>, kernel_name: Option<&str>| {
            let identity = Identity {
                tid: None,
                name: name.map(str::to_owned),
                kernel_name: kernel_name.map(str::to_owned),
            };
            identity.given_name().map(str::to_owned)
        };
        let expect = |name: &str| Some(name.to_owned());
        assert_eq!(given(None, Some("io-pool")), expect("io-pool"));
        assert_eq!(given(None, None), None);
        assert_eq!(given(Some("loader"), Some("io-pool")), expect("loader"));
        assert_eq!(
            given(Some("MainThread"), Some("io-pool")),
            expect("MainThread")
        );
        for made_up in ["Thread-3", "Thread-12 (work)", "Dummy-1"] {
            assert_eq!(given(Some(made_up), Some("io-pool")), expect("io-pool"));
            assert_eq!(given(Some(made_up), None), expect(made_up));
        }
        assert_eq!(
            given(Some("Thread-12 (work)"), Some("Thread-12 (wor")),
            expect("Thread-12 (work)")
        );
        for given_by_the_program in [
            "Thread-",
            "Thread-x",
            "Thread-1b",
            "MyThread-1",
            "Thread-1 (a",
        ] {
            assert_eq!(
                given(Some(given_by_the_program), Some("io-pool")),
                expect(given_by_the_program)
            );
        }
    }
}
