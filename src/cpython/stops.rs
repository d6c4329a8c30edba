//! Turns how often a thread's stack could not be told from a copy into when the thread is stopped for its samples.
//!
//! A stack that changes while it is copied can't be told. Reading it again until it can be told would prefer the
//! moments at which it changes slowly: short calls would vanish into their callers. So where that happens often, all
//! samples of the thread are taken while it stands, at fewer ticks. Which ticks these are is decided by chance, never
//! by what was seen: a tick that is not one of them carries the stack on that was read last.

/// A window is this long, at least,
const SHORTEST_WINDOW_NS: u64 = 100_000_000;

/// and has so many looks.
const LOOKS_OF_A_WINDOW: u32 = 100;

/// One sample in so many may be undetermined in a window without stops in the next one.
const MOST_UNDETERMINED_IN: u32 = 100;

/// The part of the time for which a process may be stopped, one in so many.
const STOPPED_PART: u64 = 200;

/// What a thread loses when it stops and goes on, beside the time for which it stands.
const SWITCHES_NS: u64 = 10_000;

/// What a stop takes, until it is known.
const USUAL_STOP_NS: u64 = 40_000;

/// Of how many stops and ticks the usual time is the average, about.
const REMEMBERED: u64 = 32;

/// A stop or an interval that took so many times longer than usual is counted as if it took only that: the kernel
/// may have had other things to do.
const OUTLIER: u64 = 4;

/// Whether one thread is stopped for its samples, window after window, by what was seen in the window before.
#[derive(Debug, Clone)]
pub(super) struct Windows {
    began_ns: u64,
    looks: u32,
    undetermined: u32,
    is_needed: bool,
}

impl Default for Windows {
    /// As nothing is known of a new thread, its first window has stops.
    fn default() -> Self {
        Windows {
            began_ns: 0,
            looks: 0,
            undetermined: 0,
            is_needed: true,
        }
    }
}

impl Windows {
    /// Begins a tick at `now_ns`: whether the thread is to be stopped at some ticks of the window that it belongs to.
    pub fn begin_tick(&mut self, now_ns: u64) -> bool {
        let is_long = now_ns.saturating_sub(self.began_ns) >= SHORTEST_WINDOW_NS;
        if is_long && self.looks >= LOOKS_OF_A_WINDOW {
            *self = Windows {
                began_ns: now_ns,
                looks: 0,
                undetermined: 0,
                is_needed: self.undetermined * MOST_UNDETERMINED_IN > self.looks,
            };
        }
        self.is_needed
    }

    /// Whether too many stacks could not be told, for the window of the last tick to go without stops.
    pub fn are_needed(&self) -> bool {
        self.is_needed
    }

    /// Takes in whether a stack that may have been changing could be told from the copy.
    pub fn count(&mut self, is_determined: bool) {
        self.looks += 1;
        self.undetermined += u32::from(!is_determined);
    }
}

/// How many ticks of a process may stop a thread, so that it is stopped for no more than its part of the time.
#[derive(Debug)]
pub(super) struct Budget {
    interval_ns: u64,
    stop_ns: u64,
    last_tick_ns: Option<u64>,
    /// What has come together for the next stop, and what it takes, in parts of [`ONE_STOP`].
    saved: u64,
    wanted: u64,
    random: u64,
}

/// One stop, in the parts in which it is saved for.
const ONE_STOP: u64 = 1 << 20;

impl Default for Budget {
    fn default() -> Self {
        Budget {
            interval_ns: 0,
            stop_ns: USUAL_STOP_NS,
            last_tick_ns: None,
            saved: 0,
            wanted: ONE_STOP,
            random: 0x9E37_79B9_7F4A_7C15,
        }
    }
}

impl Budget {
    /// Takes in that a tick begins at `now_ns`.
    pub fn begin_tick(&mut self, now_ns: u64) {
        if let Some(last) = self.last_tick_ns {
            average(&mut self.interval_ns, now_ns.saturating_sub(last));
        }
        self.last_tick_ns = Some(now_ns);
    }

    /// Takes in for how long a thread stood.
    pub fn count_stop(&mut self, stood_ns: u64) {
        average(&mut self.stop_ns, stood_ns + SWITCHES_NS);
    }

    /// Whether a thread is stopped at this tick: one of so many of the process that may be. From one stop to the next
    /// it is half to one and a half times as long as the budget allows on average, by chance: so no rhythm of the
    /// program is met again and again, and all samples stand for about the same time.
    pub fn draw(&mut self, threads: usize) -> bool {
        let ticks = (STOPPED_PART * self.stop_ns * threads as u64).max(1);
        self.saved += self.interval_ns.saturating_mul(ONE_STOP) / ticks;
        let is_drawn = self.saved >= self.wanted;
        if is_drawn {
            self.saved = (self.saved - self.wanted).min(ONE_STOP);
            self.wanted = ONE_STOP / 2 + self.below(ONE_STOP);
        }
        is_drawn
    }

    /// A number below `end`: xorshift64* (Vigna 2016).
    fn below(&mut self, end: u64) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        let number = self.random.wrapping_mul(0x2545_F491_4F6C_DD1D);
        ((u128::from(number) * u128::from(end)) >> 64) as u64
    }
}

/// Moves a running average towards `value`.
fn average(usual: &mut u64, value: u64) {
    *usual = match *usual {
        0 => value,
        usual => (usual * (REMEMBERED - 1) + value.min(usual * OUTLIER)) / REMEMBERED,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ticks of a window, with so many milliseconds between them; returns whether the thread was to be stopped in it.
    fn window(windows: &mut Windows, start_ms: u64, interval_ms: u64, undetermined: u64) -> bool {
        let mut stops = Vec::new();
        for tick in 0..100 {
            stops.push(windows.begin_tick((start_ms + tick * interval_ms) * 1_000_000));
            windows.count(tick >= undetermined);
        }
        assert!(stops.iter().all(|stop| *stop == stops[0]));
        stops[0]
    }

    #[test]
    fn a_window_follows_from_what_was_seen_in_the_one_before() {
        for interval_ms in [1, 10] {
            let mut windows = Windows::default();
            let start = |number: u64| 1_000 + 100 * interval_ms * number;
            let mut next = |number, undetermined| {
                window(&mut windows, start(number), interval_ms, undetermined)
            };
            assert!(next(0, 1), "nothing is known");
            assert!(!next(1, 2));
            assert!(next(2, 50));
            assert!(next(3, 1));
            assert!(!next(4, 0));
        }
    }

    #[test]
    fn a_process_is_stopped_for_its_part_of_the_time() {
        for (interval_ns, stop_ns, share) in [
            (10_000_000, 30_000, 1.0),
            (1_000_000, 30_000, 0.125),
            (100_000, 90_000, 0.005),
        ] {
            let mut budget = Budget::default();
            let mut drawn = 0.0;
            let ticks = 100_000;
            for tick in 0..ticks {
                budget.begin_tick(tick * interval_ns);
                budget.count_stop(stop_ns);
                drawn += f64::from(u8::from(budget.draw(1)));
            }
            let seen = drawn / ticks as f64;
            assert!((seen - share).abs() < 0.1 * share, "{seen} for {share}");
        }
    }

    #[test]
    fn the_times_between_stops_differ_by_chance_and_not_by_much() {
        let (interval_ns, stop_ns) = (1_000_000, 100_000);
        let mut budget = Budget::default();
        let (mut gaps, mut gap) = (Vec::new(), 0);
        for tick in 0..100_000 {
            budget.begin_tick(tick * interval_ns);
            budget.count_stop(stop_ns);
            gap += 1;
            if budget.draw(1) {
                gaps.push(std::mem::take(&mut gap));
            }
        }
        // Of the first, nothing was known.
        let gaps = &gaps[50..];
        let mean = ((stop_ns + SWITCHES_NS) * STOPPED_PART / interval_ns) as i64;
        assert!(
            gaps.iter()
                .all(|gap| (mean / 2 - 2..=mean * 3 / 2 + 2).contains(gap))
        );
        for third in 0..3 {
            let bounds = mean / 2 + third * mean / 3..mean / 2 + (third + 1) * mean / 3;
            let part = gaps.iter().filter(|gap| bounds.contains(gap)).count();
            assert!(part * 4 > gaps.len(), "{part} of {}", gaps.len());
        }
    }
}
