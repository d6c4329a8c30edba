//! Turns what stands out in a profile into sentences.

use super::table::place;
use crate::export::words::number::{grouped, size};
use crate::export::words::paths::Shortener;
use crate::export::words::units::significant;
use crate::profile::Profile;
use crate::profile::findings::{Finding, HotLine, findings};

/// One sentence each, without a full stop; at most five.
#[must_use]
pub fn sentences(profile: &Profile) -> Vec<String> {
    let files = profile.frames().iter();
    let shortener = Shortener::of(files.filter_map(|frame| frame.file.as_deref()));
    let found = findings(profile);
    found.iter().map(|found| words(found, &shortener)).collect()
}

/// Where a finding is, as `tell` puts it; nothing where no line is known.
fn at(
    shortener: &Shortener,
    line: &Option<HotLine<'_>>,
    tell: &dyn Fn(String, &HotLine<'_>) -> String,
) -> String {
    let place = |line: &HotLine<'_>| place(shortener, &line.function, line.line);
    line.as_ref()
        .map_or_else(String::new, |line| tell(place(line), line))
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

fn words(finding: &Finding<'_>, shortener: &Shortener) -> String {
    match finding {
        Finding::MemoryNearLimit { peak, limit, line } => {
            let share = percent(*peak as f64 / *limit as f64);
            let (peak, limit) = (size(*peak), size(*limit));
            let line = at(shortener, line, &|place, line| {
                format!("; it grew most in {place}, by {}", size(line.amount))
            });
            format!("memory peaked at {peak}, {share} of the limit of {limit}{line}")
        }
        Finding::GilBound {
            threads,
            waited,
            share,
            line,
        } => {
            let (threads, waited) = (plural(*threads), significant(waited.seconds()));
            let share = percent(*share);
            let line = at(shortener, line, &|place, line| {
                let blocked = significant(line.amount as f64 / 1e9);
                format!("; {place} held it while others waited {blocked} s")
            });
            format!(
                "the GIL is the bottleneck for {threads}: {waited} s of waiting, {share} of the time \
                 in which they wanted to run{line}"
            )
        }
        Finding::Waits { state, share, line } => {
            let line = at(shortener, line, &|place, line| {
                format!(", {} of it in {place}", percent(line.share))
            });
            format!(
                "{} of the main thread's time is {state}{line}",
                percent(*share)
            )
        }
        Finding::Imports { time, share, line } => {
            let (share, time) = (percent(*share), significant(time.seconds()));
            let line = at(shortener, line, &|place, line| {
                format!(", {} of them for {place}", percent(line.share))
            });
            format!("{share} of the time goes to imports ({time} s){line}")
        }
        Finding::FewCores { .. } | Finding::Oversubscribed { .. } => of_cores(finding, shortener),
        Finding::FewSamples {
            samples,
            share,
            error,
        } => {
            let (samples, error) = (grouped(*samples), 100.0 * error);
            let share = 100.0 * share;
            format!(
                "few samples for the digits shown: by {samples} of them, {share:.1} % is \
                 ± {error:.1} (95 %, if each stood for itself)"
            )
        }
    }
}

/// Of too few and of too many cores; nothing of other findings.
fn of_cores(finding: &Finding<'_>, shortener: &Shortener) -> String {
    match finding {
        Finding::FewCores { busy, usable, line } => {
            let line = at(shortener, line, &|place, line| {
                format!("; {} of the CPU time is in {place}", percent(line.share))
            });
            format!("{busy:.1} of {usable} usable cores busy{line}")
        }
        Finding::Oversubscribed {
            runnable,
            usable,
            share,
            line,
        } => {
            let share = percent(*share);
            let line = at(shortener, line, &|place, _| {
                format!("; they work for {place}")
            });
            format!(
                "more threads want to run than there are cores: {runnable:.0} for {usable} in {share} \
                 of the readings{line}; fewer (OMP_NUM_THREADS) may be faster"
            )
        }
        _ => String::new(),
    }
}

fn plural(threads: usize) -> String {
    match threads {
        1 => "1 thread".to_owned(),
        threads => format!("{threads} threads"),
    }
}
