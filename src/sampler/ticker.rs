//! Turns a rate into ticks: waits for each, notices what ends the recording, tells the rates used.

use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::gaps::LONGEST_SAMPLED;
use super::rate::{RateControl, Spent};
use super::schedule::Schedule;
use super::{EndRequest, Ended, Settings};
use crate::process::{ExitWatcher, Process, own_cpu_ns};
use crate::profile::event::{Event, Nanos, RateSpan};

/// Above this rate the time between ticks is spent turning, not sleeping: the kernel takes some 50 µs
/// to wake a sleeper up.
pub const BUSY_ABOVE_HZ: f64 = 10_000.0;

/// The longest sleep without looking whether the user asked to stop.
const LONGEST_SLEEP: Duration = Duration::from_millis(50);

/// How often it is looked whether a process has ended, while ticks follow each other without sleep.
const LOOK: Nanos = Nanos(1_000_000);

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// It is time to sample.
    Tick(Nanos),
    /// There may be news of processes, or it is time to look for them.
    News(Nanos),
}

/// The ticks of one recording.
pub struct Ticker {
    start: Instant,
    /// The time as it was asked for last.
    now: Nanos,
    end: Nanos,
    control: RateControl,
    schedule: Schedule,
    /// When it was last looked whether a process has ended.
    looked: Nanos,
    cpu_at_start: Nanos,
    /// The CPU time that it took to get to the start.
    start_cpu: Nanos,
    /// What the next [`RateSpan`] starts from.
    ticks: u64,
    told: Nanos,
    cpu_told: Nanos,
    /// The CPU time that is not counted for the rate.
    apart: Nanos,
}

impl Ticker {
    /// Starts the clock of the recording; the first tick is due at once. `seed` chooses the random numbers. What this
    /// process has used beyond `cpu_before` counts as its cost, too.
    pub fn start(seed: u64, settings: &Settings, cpu_before: Nanos) -> Ticker {
        let end = settings.duration.map_or(u64::MAX, |duration| {
            u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
        });
        let cpu_at_start = Nanos(own_cpu_ns());
        let start_cpu = cpu_at_start - cpu_before;
        let control = RateControl::new(settings.rate, settings.budget, start_cpu);
        Ticker {
            start: Instant::now(),
            now: Nanos(0),
            end: Nanos(end),
            schedule: Schedule::new(control.hz(), Nanos(0), seed),
            control,
            looked: Nanos(0),
            cpu_at_start,
            start_cpu,
            ticks: 0,
            told: Nanos(0),
            cpu_told: Nanos(0),
            apart: Nanos(0),
        }
    }

    /// Puts the start of the recording back to `seen`, when what it samples began, if that is too long ago for one
    /// sample. The duration still counts from the first tick.
    pub fn start_at(&mut self, seen: Instant, emit: &mut dyn FnMut(Event)) {
        let late = self.start.saturating_duration_since(seen);
        let late = Nanos(u64::try_from(late.as_nanos()).unwrap_or(u64::MAX));
        if late > LONGEST_SAMPLED {
            self.start = seen;
            self.end += late;
            self.emit_pause(emit);
        }
    }

    /// The time since the start.
    pub fn now(&mut self) -> Nanos {
        self.now = Nanos(u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX));
        self.now
    }

    /// A moment as the time since the start; that is the start itself for one before.
    #[must_use]
    pub fn at(&self, moment: Instant) -> Nanos {
        let since = moment.saturating_duration_since(self.start);
        Nanos(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }

    /// Whether the recording is to end, by the time that was asked for last.
    #[must_use]
    pub fn is_over(&self, stop: &EndRequest) -> Option<Ended> {
        if stop.is_requested() {
            return Some(Ended::Requested);
        }
        (self.now >= self.end).then_some(Ended::DurationOver)
    }

    /// Waits for the next tick and returns when it is taken; before that, when a process exits or something was found, or at `look_at`.
    ///
    /// # Errors
    /// What ends the recording first.
    pub fn wait(
        &mut self,
        stop: &EndRequest,
        watcher: &ExitWatcher,
        look_at: Nanos,
    ) -> Result<Wake, Ended> {
        loop {
            if let Some(ended) = self.is_over(stop) {
                return Err(ended);
            }
            if self.now >= self.looked + LOOK && self.look(watcher, Duration::ZERO) {
                return Ok(Wake::News(self.now));
            }
            let due = self.schedule.next().min(self.end).min(look_at);
            if self.now < due {
                let has_news = self.pass(due - self.now, watcher);
                self.now();
                if has_news {
                    return Ok(Wake::News(self.now));
                }
            }
            if self.now >= self.schedule.next() {
                return Ok(Wake::Tick(self.now));
            }
            if self.now >= look_at {
                return Ok(Wake::News(self.now));
            }
        }
    }

    /// Lets up to `time` pass. Whether an exit or a waker ended the wait.
    fn pass(&mut self, time: Nanos, watcher: &ExitWatcher) -> bool {
        if self.control.hz() > BUSY_ABOVE_HZ {
            std::hint::spin_loop();
            return false;
        }
        self.look(watcher, Duration::from_nanos(time.0).min(LONGEST_SLEEP))
    }

    /// Waits at most `wait` for an exit or a waker.
    fn look(&mut self, watcher: &ExitWatcher, wait: Duration) -> bool {
        self.looked = self.now + Nanos(wait.as_nanos() as u64);
        watcher.wait(wait)
    }

    /// Has the next wait look at once whether a process has ended.
    pub fn doubt(&mut self) {
        self.looked = Nanos(0);
    }

    /// Goes on after a tick at which `programs` programs were read. Returns how many ticks were due meanwhile
    /// and are left out.
    pub fn advance(&mut self, programs: usize, emit: &mut dyn FnMut(Event)) -> u64 {
        self.ticks += 1;
        let now = self.now();
        let mut missed = self.schedule.advance(now);
        if missed > 0 && self.control.hz() > BUSY_ABOVE_HZ {
            // Whoever is behind and does not sleep takes the last of the ticks that were due at once.
            missed -= 1;
            self.schedule.restart(now);
        }
        if self.control.is_due(now) {
            let ticks = self.ticks;
            self.emit(self.control.hz(), emit);
            self.control.review(Spent {
                elapsed: now,
                own_cpu: self.start_cpu + self.cpu_told - self.apart,
                ticks,
                programs,
            });
            self.schedule.set_rate(self.control.hz());
        }
        missed
    }

    /// Of what this process has used, so much more is not for the ticks: it does not count for their rate.
    pub fn set_apart(&mut self, cpu: Nanos) {
        self.apart += cpu;
    }

    /// Halves the rate so many times, counted from the start.
    pub fn halve(&mut self, times: u32) {
        self.control.halve(times);
    }

    /// The rate that is held now.
    pub fn hz(&self) -> f64 {
        self.control.hz()
    }

    /// When what was told ends.
    pub fn told(&self) -> Nanos {
        self.told
    }

    /// Tells the rate that was used until the time that was asked for last.
    pub fn emit_rate(&mut self, emit: &mut dyn FnMut(Event)) {
        self.emit(self.control.hz(), emit);
    }

    /// Tells that there was nothing to sample until now, and starts the ticks anew.
    pub fn emit_pause(&mut self, emit: &mut dyn FnMut(Event)) {
        self.now();
        self.emit(0.0, emit);
        self.schedule.restart(self.now);
    }

    fn emit(&mut self, hz: f64, emit: &mut dyn FnMut(Event)) {
        let cpu = Nanos(own_cpu_ns()) - self.cpu_at_start;
        emit(Event::Rate(RateSpan {
            millihertz: (hz * 1000.0).round() as u64,
            time: self.now - self.told,
            ticks: self.ticks,
            own_cpu: cpu - self.cpu_told,
        }));
        self.ticks = 0;
        (self.told, self.cpu_told) = (self.now, cpu);
    }
}

/// Waits at most `wait`; whether the process ended meanwhile.
pub(super) fn has_ended_within(process: &Process, wait: Duration) -> bool {
    let Some(pidfd) = process.pidfd() else {
        std::thread::sleep(wait);
        return !process.is_alive();
    };
    // It becomes readable when its process has ended (pidfd_open(2)).
    let mut fds = [PollFd::new(pidfd, PollFlags::POLLIN)];
    matches!(ppoll(&mut fds, Some(TimeSpec::from_duration(wait)), None), Ok(ready) if ready > 0)
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};
    use std::sync::Arc;

    use super::super::{Budget, Children, Rate, StopPolicy};
    use super::*;
    use crate::process::Pid;

    /// On either side of [`BUSY_ABOVE_HZ`], and one that no machine holds.
    const RATES: [f64; 4] = [200.0, BUSY_ABOVE_HZ, 2.0 * BUSY_ABOVE_HZ, 1e9];

    fn settings(hz: f64, duration: Option<Duration>) -> Settings {
        Settings {
            rate: Rate::Fixed(hz),
            budget: Budget::Unlimited,
            duration,
            delay: None,
            start_timeout: None,
            stops: StopPolicy::Never,
            children: Children::Ignored,
            beside: Vec::new(),
            native: None,
        }
    }

    /// A process that waits.
    fn cat() -> Child {
        let command = &mut Command::new("cat");
        command.stdin(Stdio::piped()).spawn().unwrap()
    }

    fn watcher_of(child: &Child) -> ExitWatcher {
        let mut watcher = ExitWatcher::new().unwrap();
        let process = Process::open(Pid(child.id() as i32)).unwrap();
        watcher.watch(&Arc::new(process));
        watcher
    }

    const NOTHING: Nanos = Nanos(0);

    const NEVER: Nanos = Nanos(u64::MAX);

    #[test]
    fn weights_add_up_to_the_duration_at_any_rate_and_so_do_ticks() {
        let mut child = cat();
        let watcher = watcher_of(&child);
        for hz in RATES {
            let mut ticker =
                Ticker::start(7, &settings(hz, Some(Duration::from_millis(30))), NOTHING);
            let (mut last, mut advanced, mut weights) = (Nanos(0), Nanos(0), Nanos(0));
            let (mut taken, mut missed, mut told) = (0, 0, Vec::new());
            let mut emit = |event| told.push(event);
            let ended = loop {
                match ticker.wait(&EndRequest::default(), &watcher, NEVER) {
                    Ok(Wake::Tick(now)) => {
                        weights += now - last;
                        (last, taken) = (now, taken + 1);
                    }
                    Ok(Wake::News(_)) => panic!("there is no news"),
                    Err(ended) => break ended,
                }
                missed += ticker.advance(1, &mut emit);
                advanced = ticker.now;
            };
            let end = ticker.now();
            ticker.emit_rate(&mut emit);
            assert_eq!(ended, Ended::DurationOver);
            assert!(end >= Nanos(30_000_000));
            assert_eq!(weights + (end - last), end, "{hz} Hz");
            let due = advanced.seconds() * hz;
            let counted = (taken + missed) as f64;
            assert!(
                (counted - due).abs() < due * 0.2 + 3.0,
                "{counted} of {due}"
            );
            let [Event::Rate(span)] = told.as_slice() else {
                panic!("{told:?}");
            };
            assert_eq!((span.time, span.ticks), (end, taken));
            assert_eq!(span.millihertz, (hz * 1000.0) as u64);
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn the_end_of_the_process_and_a_request_to_stop_are_noticed_at_any_rate() {
        for hz in RATES {
            let mut child = cat();
            let mut watcher = watcher_of(&child);
            let mut ticker = Ticker::start(7, &settings(hz, None), NOTHING);
            let stop = EndRequest::default();
            assert!(ticker.wait(&stop, &watcher, NEVER).is_ok());
            stop.request();
            let ended = ticker.wait(&stop, &watcher, NEVER);
            assert_eq!(ended, Err(Ended::Requested), "{hz} Hz");
            child.kill().unwrap();
            child.wait().unwrap();
            let killed = Instant::now();
            loop {
                assert!(killed.elapsed() < Duration::from_secs(30), "{hz} Hz");
                match ticker.wait(&EndRequest::default(), &watcher, NEVER) {
                    Ok(Wake::Tick(_)) => ticker.advance(1, &mut |_| ()),
                    Ok(Wake::News(_)) => break,
                    Err(ended) => panic!("{ended:?}"),
                };
            }
            assert_eq!(watcher.take().ended, [Pid(child.id() as i32)], "{hz} Hz");
        }
    }

    #[test]
    fn it_is_looked_in_time_at_any_rate() {
        for hz in RATES.into_iter().chain([0.1]) {
            let mut ticker = Ticker::start(7, &settings(hz, None), NOTHING);
            let watcher = ExitWatcher::new().unwrap();
            let look_at = Nanos(5_000_000);
            loop {
                match ticker.wait(&EndRequest::default(), &watcher, look_at) {
                    Ok(Wake::Tick(now)) if now < look_at => ticker.advance(1, &mut |_| ()),
                    Ok(Wake::Tick(_)) => break,
                    Ok(Wake::News(now)) => {
                        assert!(now >= look_at, "{hz} Hz");
                        break;
                    }
                    Err(ended) => panic!("{ended:?}"),
                };
            }
            let now = ticker.now();
            assert!(now < Nanos(4_000_000_000), "{hz} Hz: {now:?}");
        }
    }
}
