//! Turns a process, and those that descend from it, into the events of their recording, until the first one
//! ends.
//!
//! One thread reads them all, one after another, at each tick.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use nix::sys::prctl::set_timerslack;

use super::gaps::{Cause, Gap, Gaps};
use super::named_events::NamedEvents;
use super::native_sampler::NativeCost;
use super::observe::{Observed, Observer};
use super::process_tree::{Arrival, Origin, ProcessTree, TreeEnd, TreeNews};
use super::program::{PendingProgram, Program, ProgramEntry};
use super::target;
use super::threads::ThreadIds;
use super::ticker::{Ticker, Wake, has_ended_within};
use super::{Budget, Children, EndRequest, Ended, Progress, SamplerError, Settings, StopPolicy};
use crate::process::{Pid, Process, RunTimes, be_scheduled_soon, own_cpu_ns};
use crate::profile::event::{Event, Loss, LostCause, Nanos, ProcessId};
use crate::profile::limits::{MAX_COMMAND_BYTES, MAX_COMMANDS_BYTES, MAX_PROCESSES};

/// How much later than asked for the kernel may end a sleep.
const TIMER_SLACK_NS: u64 = 1_000;

/// Times are kept to 1/32 of the mean interval, or this if it is less: as multiples of one unit they take
/// less than a byte of a recording. No time gets lost: what one sample has too little, the next one has more.
const LONGEST_UNIT: Nanos = Nanos(32_000);

/// What was lost is told for so long at a time: a busy machine makes hundreds of ticks a second late.
const TELL_LOST: Nanos = Nanos(100_000_000);

/// How soon it is looked again for stops that were asked for and have not come: until then the thread stands.
const STOP_LOOK: Nanos = Nanos(250_000);

/// How long nothing is waited for without looking whether the user asked to stop.
const LONGEST_DEAF: Duration = Duration::from_millis(50);

/// Samples process `pid`, and those of `settings.beside`, until they end, `settings.duration` is over or `stop` is requested,
/// and their descendants with them as `settings.children` says; hands each event to `emit`. The last event is always
/// [`Event::End`].
///
/// # Errors
/// When none of them can be read or is a Python process; nothing was emitted then.
pub fn sample(
    pid: Pid,
    settings: &Settings,
    stop: &EndRequest,
    progress: &Progress,
    emit: &mut dyn FnMut(Event),
) -> Result<Ended, SamplerError> {
    let cpu_before = Nanos(own_cpu_ns());
    let mut named = settings.native.map(|_| NamedEvents::default());
    let hand_on = emit;
    let emit = &mut |event: Event| match &mut named {
        Some(named) => named.apply(event, hand_on),
        None => hand_on(event),
    };
    let root = Arc::new(target::open(pid)?);
    if let Some(delay) = settings.delay {
        match pass(&root, delay, stop) {
            Passed::All => {}
            Passed::EndRequested => {
                emit(Event::End(Nanos(0)));
                return Ok(Ended::Requested);
            }
            Passed::Ended => return Err(SamplerError::EndedInDelay { pid, delay }),
        }
    }
    let seed = u64::from(std::process::id()) << 32 | root.start_ticks();
    let tree = ProcessTree::start(root, settings).map_err(|source| SamplerError::Io {
        pid,
        tried: "watch the processes".to_owned(),
        source,
    })?;
    // A sleep may otherwise last 50 µs longer (`PR_SET_TIMERSLACK` in prctl(2)); it counts for this
    // thread alone. Where it is refused, ticks are a little later, which their weights tell.
    let _ = set_timerslack(TIMER_SLACK_NS);
    be_scheduled_soon();
    let (tree, first) = match first_arrivals(pid, tree, settings, stop, progress)? {
        Some(found) => found,
        None => {
            emit(Event::End(Nanos(0)));
            return Ok(Ended::Requested);
        }
    };
    let mut ticker = Ticker::start(seed, settings, cpu_before);
    ticker.start_at(first_seen(&first), emit);
    let mut recording = Recording {
        roots: tree.roots().to_vec(),
        settings,
        progress,
        tree,
        ticker,
        gaps: Gaps::new(RunTimes::open_own().ok()),
        observer: Observer::default(),
        thread_ids: ThreadIds::default(),
        programs: Vec::new(),
        last_tick: Nanos(0),
        lost: BTreeMap::new(),
        lost_told: Nanos(0),
        native_stops: 0,
        begun: 0,
        command_bytes: MAX_COMMANDS_BYTES,
        halvings: 0,
        emit,
    };
    let ended = match recording.take_in(first) {
        Some(ended) => ended,
        None => recording.run(stop),
    };
    recording.finish();
    Ok(ended)
}

/// How a time passed.
enum Passed {
    /// All of it did.
    All,
    /// The user asked to stop.
    EndRequested,
    /// The process ended.
    Ended,
}

/// Lets some time of a process pass.
fn pass(process: &Process, time: Duration, stop: &EndRequest) -> Passed {
    let started = Instant::now();
    loop {
        let left = time.saturating_sub(started.elapsed());
        if stop.is_requested() {
            return Passed::EndRequested;
        }
        if left.is_zero() {
            return Passed::All;
        }
        if has_ended_within(process, left.min(LONGEST_DEAF)) {
            return Passed::Ended;
        }
    }
}

/// When the first of these was seen first.
fn first_seen(news: &TreeNews) -> Instant {
    let seen = news.arrivals.iter().map(|arrival| arrival.seen);
    seen.min().unwrap_or_else(Instant::now)
}

/// Waits until there is something to sample. `None` when `stop` came first.
fn first_arrivals(
    root: Pid,
    mut tree: ProcessTree,
    settings: &Settings,
    stop: &EndRequest,
    progress: &Progress,
) -> Result<Option<(ProcessTree, TreeNews)>, SamplerError> {
    // A child may become Python though its parent cannot be read.
    let waits_for_children = settings.children == Children::Adopted;
    let mut roots = tree.roots().to_vec();
    let (mut failure, mut skipped) = (None, 0);
    loop {
        if stop.is_requested() {
            return Ok(None);
        }
        let mut news = TreeNews::default();
        wait_for_news(&mut tree, &mut news);
        skipped += news.skipped;
        if !news.arrivals.is_empty() {
            news.skipped = skipped;
            news.failed.extend(failure.map(|error| (root, error)));
            return Ok(Some((tree, news)));
        }
        for (pid, error) in news.failed {
            match (roots.contains(&pid), waits_for_children) {
                (true, false) if roots.len() == 1 => return Err(error),
                (true, false) => roots.retain(|root| *root != pid),
                (true, true) => failure = Some(error),
                (false, _) => progress.fail(error),
            }
        }
        roots.retain(|root| !news.ended.contains(root));
        if roots.is_empty() {
            let TreeEnd { of_first, .. } = tree.finish();
            let error = failure.or(of_first);
            return Err(error.unwrap_or(SamplerError::EndedEarly(root)));
        }
    }
}

/// Waits for news of the tree, but not for long.
fn wait_for_news(tree: &mut ProcessTree, news: &mut TreeNews) {
    let due = tree.due().map(|(_, latest)| latest);
    let wait = due.map(|due| due.saturating_duration_since(Instant::now()));
    tree.exit_watcher().wait(wait.unwrap_or(LONGEST_DEAF));
    tree.take(news);
    if due.is_some_and(|due| Instant::now() >= due) {
        tree.look(news);
    }
}

struct Recording<'a> {
    /// The recording ends with the last of these.
    roots: Vec<Pid>,
    settings: &'a Settings,
    progress: &'a Progress,
    tree: ProcessTree,
    ticker: Ticker,
    gaps: Gaps<RunTimes>,
    /// Whose numbers those of all programs share.
    observer: Observer,
    thread_ids: ThreadIds,
    programs: Vec<Program>,
    last_tick: Nanos,
    /// What was not told yet, and until when it was.
    lost: BTreeMap<LostCause, u64>,
    lost_told: Nanos,
    /// How often a thread was stopped for its native frames; not told yet.
    native_stops: u64,
    /// How many programs were begun.
    begun: u32,
    /// How many bytes of command lines may still be kept.
    command_bytes: usize,
    /// How often the rate was halved.
    halvings: u32,
    emit: &'a mut dyn FnMut(Event),
}

impl Recording<'_> {
    /// Ticks until something ends the recording.
    fn run(&mut self, stop: &EndRequest) -> Ended {
        loop {
            if self.programs.is_empty()
                && let Some(ended) = self.pause(stop)
            {
                return ended;
            }
            let (early, late) = self.look_due();
            let look_at = late.min(self.stops_due());
            match self.ticker.wait(stop, self.tree.exit_watcher(), look_at) {
                Err(ended) => return ended,
                Ok(Wake::Tick(now)) => {
                    if now >= early {
                        let mut news = TreeNews::default();
                        self.tree.look(&mut news);
                        if let Some(ended) = self.take_in(news) {
                            return ended;
                        }
                    }
                    self.tick(now);
                    let halvings = self.progress.halvings.load(Ordering::Relaxed);
                    if halvings != self.halvings {
                        self.halvings = halvings;
                        self.ticker.halve(halvings);
                    }
                    let missed = self.ticker.advance(self.programs.len(), self.emit);
                    self.lose(LostCause::Late, missed);
                    if self.last_tick - self.lost_told >= TELL_LOST {
                        self.emit_lost();
                    }
                }
                Ok(Wake::News(now)) => {
                    self.harvest(now);
                    let mut news = TreeNews::default();
                    self.tree.take(&mut news);
                    if now >= late {
                        self.tree.look(&mut news);
                    }
                    if let Some(ended) = self.take_in(news) {
                        return ended;
                    }
                }
            }
        }
    }

    /// When it is looked for threads that stop late.
    fn stops_due(&mut self) -> Nanos {
        match self.programs.iter().any(Program::awaits_stops) {
            true => self.ticker.now() + STOP_LOOK,
            false => Nanos(u64::MAX),
        }
    }

    fn harvest(&mut self, now: Nanos) {
        let now = self.rounded(now);
        for program in &mut self.programs {
            program.harvest(now, self.emit);
        }
    }

    /// When new processes are looked for, at a tick and in any case.
    fn look_due(&self) -> (Nanos, Nanos) {
        match self.tree.due() {
            Some((early, late)) => (self.ticker.at(early), self.ticker.at(late)),
            None => (Nanos(u64::MAX), Nanos(u64::MAX)),
        }
    }

    /// Waits until there is something to sample again.
    fn pause(&mut self, stop: &EndRequest) -> Option<Ended> {
        self.ticker.emit_rate(self.emit);
        loop {
            if let Some(ended) = self.ticker.is_over(stop) {
                return Some(ended);
            }
            let mut news = TreeNews::default();
            wait_for_news(&mut self.tree, &mut news);
            let ended = self.take_in(news);
            if ended.is_some() || !self.programs.is_empty() {
                self.ticker.emit_pause(self.emit);
                let now = self.now();
                self.gaps.restart(now);
                return ended;
            }
        }
    }

    /// Takes in what came and went. Tells when that ends the recording.
    fn take_in(&mut self, news: TreeNews) -> Option<Ended> {
        for arrival in news.arrivals {
            self.begin(arrival);
        }
        for (_, error) in news.failed {
            self.progress.fail(error);
        }
        if news.skipped > 0 {
            (self.emit)(Event::Skipped(news.skipped));
        }
        let at = self.now();
        for pid in &news.ended {
            if let Some(program) = self.remove(*pid) {
                let gap = self.gap_before(at);
                program.finish(at, gap, self.emit);
            }
        }
        self.roots.retain(|root| !news.ended.contains(root));
        self.roots.is_empty().then_some(Ended::TargetEnded)
    }

    fn begin(
        &mut self,
        Arrival {
            process,
            seen,
            origin,
        }: Arrival,
    ) {
        let (pid, stops) = (process.pid(), self.settings.stops);
        let is_forked = matches!(origin, Origin::Forked(_));
        let readers = match origin {
            Origin::Found(located) => {
                Some((located.into_target(pid, stops), self.observer.for_another()))
            }
            Origin::Forked(parent) => {
                let mut programs = self.programs.iter();
                let parent = programs.find(|program| program.process().pid() == parent);
                parent.and_then(|parent| parent.for_fork(pid, stops))
            }
        };
        let mut found = readers.map(|readers| PendingProgram::new(Arc::clone(&process), readers));
        let first = found.as_mut().and_then(|found| found.read(self.emit));
        let Some(found) = found.filter(|_| first.is_some() || !is_forked) else {
            // What looked like a fork has ended or runs another program by now.
            return self.tree.find_again(&process);
        };
        if self.begun >= MAX_PROCESSES {
            (self.emit)(Event::Skipped(1));
            return;
        }
        let seen = self.ticker.at(seen);
        let place = ProgramEntry {
            id: ProcessId(self.begun),
            command: self.kept_command(process.command_line()),
            parent: self.tree.parent_of(pid),
            seen: self.rounded(seen),
            is_newborn: is_forked,
        };
        self.begun += 1;
        if stops == StopPolicy::Always
            && let Err(error) = target::check_stops(pid)
        {
            self.progress.fail(error);
        }
        self.tree.runs(pid, place.id, found.image());
        let seen = place.seen;
        let native = self.settings.native_settings();
        let mut program = found.begin(place, self.thread_ids.clone(), native, self.emit);
        if let Some(first) = first {
            let now = self.now().max(seen);
            let gap = self.found_late();
            program.book(&first, now, gap, self.emit);
            self.count(&first);
        }
        self.programs.push(program);
    }

    /// The words of a command line as far as there is room for them.
    fn kept_command(&mut self, mut words: Vec<String>) -> Vec<String> {
        let mut room = self.command_bytes.min(MAX_COMMAND_BYTES);
        let all = room;
        words.retain(|word| {
            let bytes = size_of::<String>() + word.len();
            let fits = bytes <= room;
            room = room.saturating_sub(bytes);
            fits
        });
        self.command_bytes -= all - room;
        words
    }

    fn remove(&mut self, pid: Pid) -> Option<Program> {
        let mut programs = self.programs.iter();
        let index = programs.position(|program| program.process().pid() == pid)?;
        Some(self.programs.remove(index))
    }

    fn tick(&mut self, now: Nanos) {
        self.let_go_of_replaced(now);
        let now = self.rounded(now);
        self.last_tick = now;
        let interval = self.interval();
        let gap = self.gaps.at_tick(now, interval);
        let gap = gap.unwrap_or_else(|| self.found_late());
        let mut programs = std::mem::take(&mut self.programs);
        for program in &mut programs {
            let observed = program.tick(now, gap, self.emit);
            self.count(&observed);
            let NativeCost {
                cpu,
                stops,
                given_up,
            } = program.take_native_cost();
            self.native_stops += stops;
            self.lose(LostCause::NotStopped, given_up);
            // What native frames cost has a part of its own, unless one part is held for all.
            if !matches!(self.settings.budget, Budget::Held(_)) {
                self.ticker.set_apart(cpu);
            }
            if let Some(error) = program.lost_permission(now) {
                self.progress.fail(error);
            }
        }
        self.programs = programs;
    }

    /// A process that runs another program now may take any time to become Python again.
    fn let_go_of_replaced(&mut self, now: Nanos) {
        let count = self.programs.len();
        let mut replaced: Vec<Arc<Process>> = Vec::new();
        for program in &mut self.programs {
            if program.is_replaced(now, count) {
                replaced.push(Arc::clone(program.process()));
            }
        }
        for process in replaced {
            if let Some(program) = self.remove(process.pid()) {
                let now = self.rounded(now);
                let gap = self.gap_before(now);
                program.finish(now, gap, self.emit);
                self.tree.find_again(&process);
            }
        }
    }

    /// The mean time between ticks.
    fn interval(&self) -> Nanos {
        Nanos((1e9 / self.ticker.hz()) as u64)
    }

    /// The gap that a program has whose last tick was long before `at`.
    fn gap_before(&mut self, at: Nanos) -> Gap {
        let interval = self.interval();
        let gap = self.gaps.before(at, interval);
        gap.unwrap_or_else(|| self.found_late())
    }

    /// The gap of a program that is read for the first time long after it began.
    fn found_late(&self) -> Gap {
        Gap {
            interval: self.gaps.usual(self.interval()),
            cause: Cause::Late,
        }
    }

    fn count(&mut self, observed: &Observed) {
        if observed.is_gone {
            self.ticker.doubt();
        }
        let mut good = observed.same as u64;
        for observation in &observed.threads {
            match observation.stack {
                Ok(_) => good += 1,
                Err(cause) => self.lose(cause, 1),
            }
            if let Some(cause) = observation.cut {
                self.lose(cause, 1);
            }
        }
        self.progress.samples.fetch_add(good, Ordering::Relaxed);
    }

    fn lose(&mut self, cause: LostCause, count: u64) {
        if count > 0 {
            *self.lost.entry(cause).or_default() += count;
            // The sample after a late one stands for its time.
            if cause != LostCause::Late {
                self.progress.lost.fetch_add(count, Ordering::Relaxed);
            }
        }
    }

    fn emit_lost(&mut self) {
        let at = self.last_tick;
        self.lost_told = at;
        for (cause, count) in std::mem::take(&mut self.lost) {
            (self.emit)(Event::Lost(Loss { at, cause, count }));
        }
        let stops = std::mem::take(&mut self.native_stops);
        if stops > 0 {
            (self.emit)(Event::Pauses(stops));
        }
    }

    fn now(&mut self) -> Nanos {
        let now = self.ticker.now();
        self.rounded(now)
    }

    fn rounded(&self, time: Nanos) -> Nanos {
        let unit = unit_at(self.ticker.hz());
        time - Nanos(time.0 % unit.0)
    }

    fn finish(mut self) {
        self.emit_lost();
        // When the last one ended, the recording did.
        if !self.programs.is_empty() {
            let at = self.now();
            let gap = self.gap_before(at);
            for program in std::mem::take(&mut self.programs) {
                program.finish(at, gap, self.emit);
            }
        }
        let end = self.tree.finish();
        if self.settings.children != Children::Ignored && end.skipped > 0 {
            (self.emit)(Event::Skipped(end.skipped));
        }
        self.progress.running.store(end.running, Ordering::Relaxed);
        self.ticker.emit_rate(self.emit);
        (self.emit)(Event::End(self.ticker.told()));
    }
}

/// What times are multiples of, at a rate.
fn unit_at(rate_hz: f64) -> Nanos {
    let unit_ns = (1e9 / rate_hz / 32.0) as u64;
    Nanos(unit_ns.clamp(1, LONGEST_UNIT.0))
}
