//! Turns the sampler's counters into one line that is redrawn on the terminal while it runs.

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use nix::unistd::{self, getpgid, getpgrp, tcgetpgrp};

use crate::export::words::escape::escaped;
use crate::export::words::number::grouped;
use crate::process::Pid;
use crate::run::request::ShowProgress;
use crate::sampler::Progress;

/// Four times a second is smooth enough to read.
const REDRAW: Duration = Duration::from_millis(250);
/// Runs that are shorter show nothing.
const FIRST_AFTER: Duration = Duration::from_millis(200);

/// The sampling began so much later than the line at most.
const ENDING: Duration = Duration::from_secs(1);

/// A line of progress; [`ProgressLine::clear`] takes it off the terminal.
#[derive(Debug)]
pub struct ProgressLine {
    finished: SyncSender<()>,
    drawer: JoinHandle<()>,
}

impl ProgressLine {
    /// Starts to draw, when `wish` and the terminal allow it. Nothing is drawn before [`FIRST_AFTER`].
    /// `program` is the one that shares the terminal, if any: while some other job has it, nothing is drawn.
    /// `duration` is for how long will be sampled, if that is known.
    #[must_use]
    pub fn start(
        wish: ShowProgress,
        counters: Arc<Progress>,
        program: Option<Pid>,
        duration: Option<Duration>,
    ) -> Option<ProgressLine> {
        let terminals = Terminals {
            stderr: io::stderr().is_terminal(),
            stdout: io::stdout().is_terminal(),
        };
        if !is_drawn(wish, terminals) {
            return None;
        }
        let (finished, wait) = mpsc::sync_channel(1);
        let drawer = thread::Builder::new()
            .name("progress".to_owned())
            .spawn(move || draw_until(&wait, &counters, program, duration))
            .ok()?;
        Some(ProgressLine { finished, drawer })
    }

    /// Stops drawing and empties the line.
    pub fn clear(self) {
        let _ = self.finished.try_send(());
        let _ = self.drawer.join();
    }
}

/// Which of the standard streams are terminals.
#[derive(Debug, Clone, Copy)]
struct Terminals {
    stderr: bool,
    stdout: bool,
}

fn is_drawn(wish: ShowProgress, terminals: Terminals) -> bool {
    match wish {
        ShowProgress::Never => false,
        ShowProgress::OwnTerminal => terminals.stderr && !terminals.stdout,
        ShowProgress::AnyTerminal => terminals.stderr,
    }
}

/// Draws until `finished` says something or is dropped.
fn draw_until(
    finished: &mpsc::Receiver<()>,
    counters: &Progress,
    program: Option<Pid>,
    duration: Option<Duration>,
) {
    let started = Instant::now();
    let mut due = FIRST_AFTER;
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(4));
    bar.set_style(
        ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let mut before = (Duration::ZERO, 0);
    while finished.recv_timeout(due) == Err(RecvTimeoutError::Timeout) {
        due = REDRAW;
        let now = (started.elapsed(), counters.samples.load(Ordering::Relaxed));
        if is_foreground(program) {
            let lost = counters.lost.load(Ordering::Relaxed);
            let text = line(now, before, lost, duration, counters.hottest().as_deref());
            bar.set_message(escaped(&text).into_owned());
        }
        before = now;
    }
    bar.finish_and_clear();
}

/// Whether this job has the terminal. Where that cannot be told, it has.
fn is_foreground(program: Option<Pid>) -> bool {
    let Ok(owner) = tcgetpgrp(io::stderr()) else {
        return true;
    };
    let of_program = program.and_then(|pid| getpgid(Some(unistd::Pid::from_raw(pid.0))).ok());
    owner == getpgrp() || Some(owner) == of_program
}

/// What one line says, from the time and the samples now and at the line before, and the line of the program that is
/// hottest.
fn line(
    now: (Duration, u64),
    before: (Duration, u64),
    lost: u64,
    duration: Option<Duration>,
    hottest: Option<&str>,
) -> String {
    let samples = grouped(now.1);
    // With --delay the sampling begins later than the line.
    let has_ended = now.1 > 0 && now.1 == before.1;
    if has_ended && duration.is_some_and(|duration| now.0 >= duration + ENDING) {
        return format!(
            "rsamp: {}, {samples} samples; the sampling has ended, the program runs on",
            clock(now.0)
        );
    }
    let seconds = (now.0.saturating_sub(before.0)).as_secs_f64();
    let rate = if seconds > 0.0 {
        now.1.saturating_sub(before.1) as f64 / seconds
    } else {
        0.0
    };
    let left = duration.map(|duration| clock(duration.saturating_sub(now.0)));
    let left = left.map_or_else(String::new, |left| format!(" ({left} left)"));
    let lost = match lost {
        0 => String::new(),
        lost => format!(", {} lost", grouped(lost)),
    };
    let hottest = hottest.map_or_else(String::new, |line| format!(", hottest: {line}"));
    format!(
        "rsamp: {}{left}, {samples} samples, {}/s{lost}{hottest}",
        clock(now.0),
        grouped(rate.round() as u64),
    )
}

/// `0:07`, `12:34`, `1:02:03`.
fn clock(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_time_samples_rate_and_lost() {
        let (now, before) = (
            (Duration::from_millis(3_727_250), 12_500),
            (Duration::from_secs(3_727), 12_250),
        );
        assert_eq!(
            line(now, before, 3, None, Some("solver.py:17 (solve)")),
            "rsamp: 1:02:07, 12,500 samples, 1,000/s, 3 lost, hottest: solver.py:17 (solve)"
        );
        assert_eq!(
            line(before, before, 0, Some(Duration::from_secs(3_787)), None),
            "rsamp: 1:02:07 (1:00 left), 12,250 samples, 0/s"
        );
        let asked = Some(Duration::from_secs(3_720));
        assert_eq!(
            line(
                now,
                (before.0, now.1),
                0,
                asked,
                Some("solver.py:17 (solve)")
            ),
            "rsamp: 1:02:07, 12,500 samples; the sampling has ended, the program runs on"
        );
        assert_eq!(clock(Duration::from_secs(754)), "12:34");
    }

    #[test]
    fn a_terminal_of_the_program_is_left_alone() {
        let table = [
            (ShowProgress::Never, true, false, false),
            (ShowProgress::OwnTerminal, true, false, true),
            (ShowProgress::OwnTerminal, true, true, false),
            (ShowProgress::OwnTerminal, false, false, false),
            (ShowProgress::AnyTerminal, true, true, true),
            (ShowProgress::AnyTerminal, false, true, false),
        ];
        for (wish, stderr, stdout, expected) in table {
            assert_eq!(
                is_drawn(wish, Terminals { stderr, stdout }),
                expected,
                "{wish:?} {stderr} {stdout}"
            );
        }
    }
}
