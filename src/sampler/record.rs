//! Turns a process into the events of its recording, from its first tick to its end.

use std::collections::BTreeMap;
use std::mem::take;
use std::sync::atomic::Ordering;

use nix::sys::prctl::set_timerslack;

use super::observe::{Observation, Observed, Observer, identify, observe};
use super::target::{self, Target};
use super::threads::{Moment, Threads};
use super::ticker::{Ticker, wait_for_end};
use super::{Ended, Progress, SamplerError, Settings, Stop};
use crate::cpython::reader::Retries;
use crate::memory::LiveMemory;
use crate::process::{Pid, Process};
use crate::profile::event::{self, Event, Loss, LostCause, Nanos, ProcessId, RetryCause};

/// How much later than asked for the kernel may end a sleep.
const TIMER_SLACK_NS: u64 = 1_000;

/// Times are kept to 1/32 of the mean interval, or this if it is less: as multiples of one unit they take
/// less than a byte of a recording. No time gets lost: what one sample has too little, the next one has more.
const LONGEST_UNIT: Nanos = Nanos(32_000);

/// What was lost is told for so long at a time: a busy machine makes hundreds of ticks a second late.
const TELL_LOST: Nanos = Nanos(100_000_000);

/// How often the process is asked whether it still runs the same program.
const IMAGE_CHECK: Nanos = Nanos(100_000_000);

/// Samples process `pid` until it ends, `settings.duration` is over or `stop` is requested,
/// and hands each event to `emit`. The last event is always [`Event::End`].
///
/// # Errors
/// When the process cannot be read or is no Python process; nothing was emitted then.
pub fn sample(
    pid: Pid,
    settings: &Settings,
    stop: &Stop,
    progress: &Progress,
    emit: &mut dyn FnMut(Event),
) -> Result<Ended, SamplerError> {
    let process = target::open(pid)?;
    let memory = LiveMemory::new(pid);
    let Some(target) = target::wait_for(&process, &memory, settings, stop)? else {
        emit(Event::End(Nanos(0)));
        return Ok(Ended::Stopped);
    };
    // A sleep may otherwise last 50 µs longer (`PR_SET_TIMERSLACK` in prctl(2)); it counts for this
    // thread alone. Where it is refused, ticks are a little later, which their weights tell.
    let _ = set_timerslack(TIMER_SLACK_NS);
    let mut recording = Recording::new(&process, &memory, settings, progress);
    let ended = recording.run(target, stop, emit);
    emit(Event::End(recording.ticker.told()));
    Ok(ended)
}

struct Recording<'a> {
    process: &'a Process,
    memory: &'a LiveMemory,
    settings: &'a Settings,
    progress: &'a Progress,
    ticker: Ticker<'a>,
    last_tick: Nanos,
    image_due: Nanos,
    observer: Observer,
    /// What was not told yet, and until when it was.
    lost: BTreeMap<LostCause, u64>,
    lost_told: Nanos,
    programs: u32,
    first_thread: u32,
}

impl<'a> Recording<'a> {
    fn new(
        process: &'a Process,
        memory: &'a LiveMemory,
        settings: &'a Settings,
        progress: &'a Progress,
    ) -> Recording<'a> {
        Recording {
            process,
            memory,
            settings,
            progress,
            ticker: Ticker::start(process, settings),
            last_tick: Nanos(0),
            image_due: Nanos(0),
            observer: Observer::default(),
            lost: BTreeMap::new(),
            lost_told: Nanos(0),
            programs: 0,
            first_thread: 0,
        }
    }

    fn rounded(&self, time: Nanos) -> Nanos {
        let unit = unit_at(self.ticker.hz());
        time - Nanos(time.0 % unit.0)
    }

    /// Records one program after the other: an exec replaces the program of a process.
    fn run(&mut self, first: Target, stop: &Stop, emit: &mut dyn FnMut(Event)) -> Ended {
        let mut target = first;
        loop {
            if let Some(ended) = self.run_program(&mut target, stop, emit) {
                return ended;
            }
            // Another program, or an interpreter that is gone: it may take any time to become one.
            let patient = Settings {
                start_timeout: None,
                ..self.settings.clone()
            };
            let next = target::wait_for(self.process, self.memory, &patient, stop);
            if next.is_err() {
                wait_for_end(self.process, stop);
            }
            self.ticker.tell_pause(emit);
            match next {
                Ok(Some(next)) => target = next,
                Err(_) if !stop.is_requested() => return Ended::TargetEnded,
                Ok(None) | Err(_) => return Ended::Stopped,
            }
        }
    }

    /// Records until the process ends, the recording is to end, or (`None`) the process runs another
    /// program.
    fn run_program(
        &mut self,
        target: &mut Target,
        stop: &Stop,
        emit: &mut dyn FnMut(Event),
    ) -> Option<Ended> {
        let process = ProcessId(self.programs);
        self.programs += 1;
        self.observer.begin_program();
        let (pid, command) = (self.process.pid(), self.process.command_line());
        let python = target.python.clone();
        emit(Event::Process(
            process,
            event::Process {
                pid: pid.0,
                command,
                python,
                ..event::Process::default()
            },
        ));
        let mut threads = Threads::new(process, self.process, self.first_thread);
        let ended = self.tick_until_end(target, &mut threads, stop, emit);
        self.tell_lost(emit);
        let end = self.ticker.now();
        let end = self.rounded(end).max(self.last_tick);
        threads.finish(
            Moment {
                at: end,
                weight: end - self.last_tick,
            },
            emit,
        );
        self.ticker.tell_rate(emit);
        self.last_tick = end;
        self.first_thread = threads.next_id();
        ended
    }

    fn tick_until_end(
        &mut self,
        target: &mut Target,
        threads: &mut Threads,
        stop: &Stop,
        emit: &mut dyn FnMut(Event),
    ) -> Option<Ended> {
        self.image_due = Nanos(0);
        loop {
            let now = match self.ticker.wait(stop) {
                Ok(now) => now,
                Err(ended) => return Some(ended),
            };
            if now >= self.image_due {
                self.image_due = now + IMAGE_CHECK;
                if self.is_another_program(target) {
                    return None;
                }
            }
            self.tick(now, target, threads, emit);
            let missed = self.ticker.advance(emit);
            self.lose(LostCause::Late, missed);
            if self.last_tick - self.lost_told >= TELL_LOST {
                self.tell_lost(emit);
            }
        }
    }

    fn tick(
        &mut self,
        now: Nanos,
        target: &mut Target,
        threads: &mut Threads,
        emit: &mut dyn FnMut(Event),
    ) {
        let now = self.rounded(now);
        let moment = Moment {
            at: now,
            weight: now - self.last_tick,
        };
        self.last_tick = now;
        let (source, observer) = (&mut target.source, &mut self.observer);
        let observed = observe(source, self.memory, observer, emit);
        // An interpreter that is being torn down has no threads; whether the process ended or runs
        // another program is looked at before the next tick.
        if observed.is_err() {
            self.ticker.doubt();
            self.image_due = Nanos(0);
        }
        let Observed {
            threads: observations,
            retries,
            stops,
        } = observed.unwrap_or_default();
        tell_retries(retries, stops, emit);
        if threads.wants_identities(&observations, now) {
            let identities = identify(&mut target.source, self.process, self.memory);
            threads.identify(identities, self.process, now, emit);
        }
        threads.record(&observations, moment, emit);
        self.count(&observations);
    }

    fn count(&mut self, observations: &[Observation]) {
        let mut good = 0;
        for observation in observations {
            match observation.stack {
                Ok(_) => good += 1,
                Err(cause) => self.lose(cause, 1),
            }
            if observation.is_cut {
                self.lose(LostCause::Cut, 1);
            }
        }
        self.progress.samples.fetch_add(good, Ordering::Relaxed);
    }

    fn lose(&mut self, cause: LostCause, count: u64) {
        if count > 0 {
            *self.lost.entry(cause).or_default() += count;
            self.progress.lost.fetch_add(count, Ordering::Relaxed);
        }
    }

    fn tell_lost(&mut self, emit: &mut dyn FnMut(Event)) {
        self.lost_told = self.last_tick;
        for (cause, count) in take(&mut self.lost) {
            let at = self.last_tick;
            emit(Event::Lost(Loss { at, cause, count }));
        }
    }

    fn is_another_program(&self, target: &Target) -> bool {
        match (target.image, self.process.exe_identity()) {
            (Some(before), Ok(now)) => before != now,
            _ => false,
        }
    }
}

/// Tells what it took to read the stacks.
fn tell_retries(retries: Retries, stops: u64, emit: &mut dyn FnMut(Event)) {
    let Retries {
        moved,
        changing,
        mixed,
        unread,
    } = retries;
    for (cause, count) in [
        (RetryCause::Moved, moved),
        (RetryCause::Changing, changing),
        (RetryCause::Mixed, mixed),
        (RetryCause::Unread, unread),
    ] {
        if count > 0 {
            emit(Event::Repeated(cause, count));
        }
    }
    if stops > 0 {
        emit(Event::Stopped(stops));
    }
}

/// What times are multiples of, at a rate.
fn unit_at(rate_hz: f64) -> Nanos {
    let unit_ns = (1e9 / rate_hz / 32.0) as u64;
    Nanos(unit_ns.clamp(1, LONGEST_UNIT.0))
}
