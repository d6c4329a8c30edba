//! Turns a process into the events of its recording, from its first tick to its end.

use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::prctl::set_timerslack;
use nix::sys::time::TimeSpec;

use super::cpu::Ran;
use super::observe::{Observation, Observed, Observer, identify, observe};
use super::schedule::Schedule;
use super::target::{self, Target};
use super::threads::{Moment, Threads};
use super::{Ended, Progress, SamplerError, Settings, Stop};
use crate::memory::LiveMemory;
use crate::process::{Pid, Process};
use crate::profile::event::{self, Event, LostCause, Nanos, ProcessId};

/// The longest sleep without looking whether the user asked to stop.
const LONGEST_SLEEP: Duration = Duration::from_millis(50);

/// How much later than asked for the kernel may end a sleep.
const TIMER_SLACK_NS: u64 = 1_000;

/// Times are kept to 1/64 of the mean interval, or this if it is less: as multiples of one unit they take
/// less than a byte of a recording. No time gets lost: what one sample has too little, the next one has more.
const LONGEST_UNIT: Nanos = Nanos(16_000);

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
    emit(Event::End(recording.now()));
    Ok(ended)
}

struct Recording<'a> {
    process: &'a Process,
    memory: &'a LiveMemory,
    settings: &'a Settings,
    progress: &'a Progress,
    start: Instant,
    last_tick: Nanos,
    schedule: Schedule,
    /// What times are multiples of.
    unit: Nanos,
    observer: Observer,
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
        let seed = u64::from(std::process::id()) << 32 | process.start_ticks();
        Recording {
            process,
            memory,
            settings,
            progress,
            start: Instant::now(),
            last_tick: Nanos(0),
            schedule: Schedule::new(settings.rate_hz, Nanos(0), seed),
            unit: unit_at(settings.rate_hz),
            observer: Observer::default(),
            programs: 0,
            first_thread: 0,
        }
    }

    fn now(&self) -> Nanos {
        Nanos(u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    fn rounded(&self, time: Nanos) -> Nanos {
        time - Nanos(time.0 % self.unit.0)
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
            match target::wait_for(self.process, self.memory, &patient, stop) {
                Ok(Some(next)) => target = next,
                Ok(None) => return Ended::Stopped,
                Err(_) => {
                    self.wait_for_end(stop);
                    return if stop.is_requested() {
                        Ended::Stopped
                    } else {
                        Ended::TargetEnded
                    };
                }
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
            },
        ));
        let mut threads = Threads::new(process, self.process, self.first_thread);
        let ended = self.tick_until_end(target, &mut threads, stop, emit);
        let end = self.rounded(self.now());
        threads.finish(
            Moment {
                at: end,
                weight: end - self.last_tick,
            },
            emit,
        );
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
        let mut image_checked = Nanos(0);
        loop {
            if let Some(ended) = self.sleep(stop) {
                return Some(ended);
            }
            let now = self.now();
            if now >= image_checked + IMAGE_CHECK {
                image_checked = now;
                if self.is_another_program(target) {
                    return None;
                }
            }
            self.tick(now, target, threads, emit);
            let missed = self.schedule.advance(self.now());
            self.lose(LostCause::Late, missed, emit);
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
        let ran = threads.ask_cpu(now);
        let has_stood = ran == Ran::Nothing;
        let (source, observer) = (&mut target.source, &mut self.observer);
        let observed = observe(source, self.memory, observer, has_stood, emit);
        // An interpreter that is being torn down has no threads; whether the process ended or runs
        // another program shows at the next look.
        let Observed {
            threads: observations,
            retries,
            stops,
        } = observed.unwrap_or_default();
        if retries + stops > 0 {
            emit(Event::Repeated { retries, stops });
        }
        if threads.wants_identities(&observations, now) {
            let identities = identify(&mut target.source, self.process, self.memory);
            threads.identify(identities, self.process, now, emit);
        }
        threads.record(&observations, moment, ran, emit);
        self.count(&observations, emit);
    }

    fn count(&self, observations: &[Observation], emit: &mut dyn FnMut(Event)) {
        let mut good = 0;
        for observation in observations {
            match observation.stack {
                Ok(_) => good += 1,
                Err(cause) => self.lose(cause, 1, emit),
            }
            if observation.is_cut {
                self.lose(LostCause::Cut, 1, emit);
            }
        }
        self.progress.samples.fetch_add(good, Ordering::Relaxed);
    }

    fn lose(&self, cause: LostCause, count: u64, emit: &mut dyn FnMut(Event)) {
        if count > 0 {
            emit(Event::Lost(cause, count));
            self.progress.lost.fetch_add(count, Ordering::Relaxed);
        }
    }

    fn is_another_program(&self, target: &Target) -> bool {
        match (target.image, self.process.exe_identity()) {
            (Some(before), Ok(now)) => before != now,
            _ => false,
        }
    }

    /// Sleeps until the next tick is due. `Some` when the recording is to end first.
    fn sleep(&self, stop: &Stop) -> Option<Ended> {
        let end = self
            .settings
            .duration
            .map(|duration| Nanos(duration.as_nanos() as u64));
        loop {
            if stop.is_requested() {
                return Some(Ended::Stopped);
            }
            let now = self.now();
            if end.is_some_and(|end| now >= end) {
                return Some(Ended::DurationOver);
            }
            let due = self.schedule.next().min(end.unwrap_or(Nanos(u64::MAX)));
            let wait = Duration::from_nanos((due - now).0).min(LONGEST_SLEEP);
            if self.has_ended_within(wait) {
                return Some(Ended::TargetEnded);
            }
            if self.now() >= self.schedule.next() {
                return None;
            }
        }
    }

    fn wait_for_end(&self, stop: &Stop) {
        while !stop.is_requested() && !self.has_ended_within(LONGEST_SLEEP) {}
    }

    /// Waits at most `wait`; whether the process ended meanwhile.
    fn has_ended_within(&self, wait: Duration) -> bool {
        match self.process.pidfd() {
            Some(pidfd) => poll_pidfd(pidfd, wait),
            None => {
                std::thread::sleep(wait);
                !self.process.is_alive()
            }
        }
    }
}

fn unit_at(rate_hz: f64) -> Nanos {
    let unit_ns = (1e9 / rate_hz / 64.0) as u64;
    Nanos(unit_ns.clamp(1, LONGEST_UNIT.0))
}

/// Waits at most `wait` for a pidfd to become readable: its process has ended (pidfd_open(2)).
fn poll_pidfd(pidfd: BorrowedFd<'_>, wait: Duration) -> bool {
    let mut fds = [PollFd::new(pidfd, PollFlags::POLLIN)];
    matches!(ppoll(&mut fds, Some(TimeSpec::from_duration(wait)), None), Ok(ready) if ready > 0)
}
