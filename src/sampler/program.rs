//! Turns one program of one process into the events of its ticks, from the first to its end.

use std::sync::Arc;
use std::time::Instant;

use super::awaits::AwaitMeter;
use super::gaps::{Gap, longest};
use super::native_pace::NativeSettings;
use super::native_sampler::{NativeCost, NativeSampler, Scope};
use super::observe::{Observed, Observer, identify, observe};
use super::target::{Source, Target, lost_permission};
use super::threads::{Moment, ThreadIds, Threads};
use super::{SamplerError, StopPolicy};
use crate::cpython::reader::Undetermined;
use crate::memory::LiveMemory;
use crate::process::{ImageIdentity, Pid, Process};
use crate::profile::event::{self, Event, Nanos, ProcessId, UndeterminedCause};

/// How often a process is asked whether it still runs the same program, with few of them.
const IMAGE_CHECK: Nanos = Nanos(100_000_000);

/// A program that is sampled: a process has one after another when it execs.
pub struct Program {
    process: Arc<Process>,
    memory: LiveMemory,
    target: Target,
    observer: Observer,
    threads: Threads,
    /// `None`: native frames are not read.
    native: Option<NativeSampler>,
    awaits: AwaitMeter,
    last_tick: Nanos,
    image_due: Nanos,
    /// Whether it was told that it may not be read any more.
    is_refused: bool,
}

/// Which program a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Image {
    /// The one that is sampled.
    Same,
    /// Another one: the process has called execve(2).
    Another,
    /// It cannot be told at this moment.
    Unknown,
}

/// What a program is in its recording.
#[derive(Debug, Clone)]
pub struct ProgramEntry {
    /// Its number.
    pub id: ProcessId,
    /// Its command line, as far as it is kept.
    pub command: Vec<String>,
    /// What started it.
    pub parent: Option<ProcessId>,
    /// When it was first seen: what its first sample stands for begins there.
    pub seen: Nanos,
    /// Whether it was born then.
    pub is_newborn: bool,
}

/// A program that was found, before the recording knows of it.
pub struct PendingProgram {
    process: Arc<Process>,
    memory: LiveMemory,
    target: Target,
    observer: Observer,
}

impl PendingProgram {
    /// One to be read so.
    #[must_use]
    pub fn new(process: Arc<Process>, (target, observer): (Target, Observer)) -> PendingProgram {
        PendingProgram {
            memory: LiveMemory::new(process.pid()),
            process,
            target,
            observer,
        }
    }

    /// Reads it once; `None` when there is nothing to read: it may have run another program meanwhile.
    pub fn read(&mut self, emit: &mut dyn FnMut(Event)) -> Option<Observed> {
        let (source, observer) = (&mut self.target.source, &mut self.observer);
        let observed = observe(source, &self.memory, observer, emit).ok()?;
        (!observed.threads.is_empty()).then_some(observed)
    }

    /// Which image it was found in.
    #[must_use]
    pub fn image(&self) -> Option<ImageIdentity> {
        self.target.image
    }

    /// Begins with it, and tells of it; `native` says how its native frames are read.
    pub fn begin(
        self,
        place: ProgramEntry,
        ids: ThreadIds,
        native: Option<NativeSettings>,
        emit: &mut dyn FnMut(Event),
    ) -> Program {
        let PendingProgram {
            process,
            memory,
            target,
            observer,
        } = self;
        let pid = process.pid();
        let limits = process.limits();
        emit(Event::Process(
            place.id,
            event::Process {
                pid: pid.0,
                command: place.command,
                python: target.python.clone(),
                seen: place.seen,
                parent: place.parent,
                usable_cpus: limits.cpus,
                cpu_mask: limits.cpu_mask,
                cpu_quota: limits.cpu_quota,
                memory_limit: limits.memory_bytes,
                working_folder: process.working_folder(),
                ..event::Process::default()
            },
        ));
        let mut threads = Threads::new(place.id, &process, ids);
        if place.is_newborn {
            threads.begin_at_birth(place.seen);
        }
        let native =
            native.map(|settings| NativeSampler::new(place.id, &process, settings, place.seen));
        Program {
            threads,
            native,
            process,
            memory,
            target,
            observer,
            awaits: AwaitMeter::new(place.id, place.seen),
            last_tick: place.seen,
            image_due: Nanos(0),
            is_refused: false,
        }
    }
}

impl Program {
    /// The process that runs it.
    #[must_use]
    pub fn process(&self) -> &Arc<Process> {
        &self.process
    }

    /// What reads a fork of it, process `pid`; `None` where the interpreter has to be found anew.
    #[must_use]
    pub fn for_fork(&self, pid: Pid, stops: StopPolicy) -> Option<(Target, Observer)> {
        let target = self.target.for_fork(pid, stops)?;
        Some((target, self.observer.for_fork()))
    }

    /// Whether it is time to ask, and the process runs another program. `programs` is how many there are: the
    /// more, the less often each is asked.
    pub fn is_replaced(&mut self, now: Nanos, programs: usize) -> bool {
        if now < self.image_due {
            return false;
        }
        let image = self.image();
        if image != Image::Unknown {
            self.image_due = now + Nanos(IMAGE_CHECK.0 * (1 + programs as u64 / 8));
        }
        image == Image::Another
    }

    /// Which program the process runs now.
    fn image(&self) -> Image {
        match (self.target.image, self.process.exe_identity()) {
            (Some(before), Ok(now)) if before != now => Image::Another,
            // It ends, or is in the midst of an exec.
            (Some(_), Err(_)) => Image::Unknown,
            _ => Image::Same,
        }
    }

    /// Reads it once, and books the time since its last tick. Where that is too long for one interval, it is `gap`.
    ///
    /// After an exec a program that is not position-independent has its interpreter where the one before had it:
    /// then what was read is not of this program.
    pub fn tick(&mut self, now: Nanos, gap: Gap, emit: &mut dyn FnMut(Event)) -> Observed {
        // A thread that has stopped looks as if it waited.
        self.harvest(now, emit);
        let (source, observer) = (&mut self.target.source, &mut self.observer);
        let observed = observe(source, &self.memory, observer, emit);
        // An interpreter that is being torn down has no threads; whether the process ended or runs another
        // program is looked at before the next tick.
        let observed = observed.unwrap_or_else(|_| {
            self.image_due = Nanos(0);
            Observed {
                is_gone: true,
                ..Observed::default()
            }
        });
        if self.threads.have_all_gone(&observed) && self.image() != Image::Same {
            self.image_due = Nanos(0);
            return Observed {
                is_gone: true,
                ..Observed::default()
            };
        }
        self.book(&observed, now, gap, emit);
        self.with_native(|native, scope| native.tick(now, scope, emit));
        if let Source::Native(reader) = &mut self.target.source {
            let interner = self.observer.interner();
            self.awaits
                .emit_if_due(now, reader, &self.memory, interner, emit);
        }
        observed
    }

    /// Reads the threads that have stopped for their native frames after all, and lets them run.
    pub fn harvest(&mut self, now: Nanos, emit: &mut dyn FnMut(Event)) {
        self.with_native(|native, scope| native.harvest(now, scope, emit));
    }

    fn with_native(&mut self, work: impl FnOnce(&mut NativeSampler, &mut Scope<'_>)) {
        if let Some(native) = &mut self.native {
            let mut scope = Scope {
                source: &mut self.target.source,
                memory: &self.memory,
                observer: &mut self.observer,
                threads: &mut self.threads,
            };
            work(native, &mut scope);
        }
    }

    /// Whether threads were asked to stop that have not stopped yet.
    #[must_use]
    pub fn awaits_stops(&self) -> bool {
        let native = self.native.as_ref();
        native.is_some_and(NativeSampler::awaits_stops)
    }

    /// What native frames have taken since this was asked last.
    pub fn take_native_cost(&mut self) -> NativeCost {
        let native = self.native.as_mut();
        native.map(NativeSampler::take_cost).unwrap_or_default()
    }

    /// That the kernel does not let us read it any more; told once.
    pub fn lost_permission(&mut self, now: Nanos) -> Option<SamplerError> {
        if self.is_refused || self.memory.take_refusal().is_none() {
            return None;
        }
        self.is_refused = true;
        Some(lost_permission(self.process.pid(), now))
    }

    /// Books the time since its last tick to what was observed, or to `gap` where it is too long for one interval.
    pub fn book(&mut self, observed: &Observed, now: Nanos, gap: Gap, emit: &mut dyn FnMut(Event)) {
        // It may have been read for the first time since the tick began.
        let now = now.max(self.last_tick);
        emit_undetermined(observed.undetermined, observed.stops, emit);
        if self.threads.wants_identities(&observed.threads, now) {
            let began = Instant::now();
            let (source, threads) = (&mut self.target.source, &self.threads);
            let observer = &self.observer;
            let is_wanted = |key| observer.has_begun(key) && threads.wants_identity(key, now);
            let identities = identify(source, &self.process, &self.memory, is_wanted);
            let look = Moment {
                at: now,
                weight: Nanos(began.elapsed().as_nanos() as u64),
            };
            let process = &self.process;
            self.threads
                .identify(identities, observed, process, look, emit);
        }
        self.skip(now, gap, emit);
        let weight = now - self.last_tick;
        self.last_tick = now;
        self.threads
            .record(observed, Moment { at: now, weight }, emit);
    }

    /// Books the time since its last tick to `gap` where it is too long for one interval. The interval before `now`
    /// stays.
    fn skip(&mut self, now: Nanos, gap: Gap, emit: &mut dyn FnMut(Event)) {
        if now - self.last_tick <= longest(gap.interval) {
            return;
        }
        let at = now - gap.interval;
        let weight = at - self.last_tick;
        self.last_tick = at;
        if let Some(mark) = self.observer.mark(&gap.cause.frame_name(), emit) {
            self.threads.skip(Moment { at, weight }, mark, emit);
        }
    }

    /// Books the time until its end to what was seen last, or to `gap` where it is too long for one interval.
    pub fn finish(mut self, at: Nanos, gap: Gap, emit: &mut dyn FnMut(Event)) {
        let at = at.max(self.last_tick);
        self.skip(at, gap, emit);
        let weight = at - self.last_tick;
        self.threads.finish(Moment { at, weight }, emit);
        if let Some(native) = self.native {
            native.finish(emit);
        }
    }
}

/// Tells which stacks were not certain, and for how many a thread was stopped.
fn emit_undetermined(undetermined: Undetermined, stops: u64, emit: &mut dyn FnMut(Event)) {
    let Undetermined {
        moved,
        changing,
        mixed,
        unread,
    } = undetermined;
    for (cause, count) in [
        (UndeterminedCause::Moved, moved),
        (UndeterminedCause::Changing, changing),
        (UndeterminedCause::Mixed, mixed),
        (UndeterminedCause::Unread, unread),
    ] {
        if count > 0 {
            emit(Event::Undetermined(cause, count));
        }
    }
    if stops > 0 {
        emit(Event::Pauses(stops));
    }
}
