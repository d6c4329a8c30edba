//! Turns what is known of cores, states and memory into words, and says why where nothing is.

use std::collections::BTreeSet;

use crate::export::words::escape::visible;
use crate::export::words::units::rough_seconds;
use crate::profile::event::{Missing, Nanos, State, Usage};
use crate::profile::paths::file_name;
use crate::profile::states::{self, StateTimes};
use crate::profile::{Profile, Totals};

/// Shares below it are not told.
const MIN_SHARE: f64 = 0.005;

/// What the states that are not told of have together is told from this share on, and from the larger one on more states
/// are told of.
const MIN_REST: f64 = 0.02;
const MUCH_REST: f64 = 0.1;

/// Less of the time in which threads wanted to run is no busy machine.
const MIN_READY_SHARE: f64 = 0.02;

/// How many states are told of, where the others have little.
const MAX_STATES: usize = 4;

/// CPU time of a thread and of those that worked for it.
pub(crate) fn busy(totals: &Totals) -> Nanos {
    totals.cpu + totals.helpers_cpu
}

/// Cores busy: CPU time over wall time of the threads that were there.
pub(crate) fn cores(totals: &Totals) -> Option<f64> {
    let wall = totals.wall.seconds();
    (wall > 0.0).then(|| busy(totals).seconds() / wall)
}

/// How many cores one process may use; where processes differ, the most. `None`: not known.
pub(crate) fn most_cores_of_a_process(profile: &Profile) -> Option<u32> {
    let known = profile.processes().iter().filter_map(|p| p.usable_cpus);
    known.max()
}

/// `CPU time: 12.3 s, 3.1 of 16 cores busy`
pub(crate) fn cores_in_words(profile: &Profile, totals: &Totals) -> String {
    let of =
        most_cores_of_a_process(profile).map_or_else(String::new, |cores| format!(" of {cores}"));
    let cores = cores(totals).unwrap_or_default();
    let cpu = rough_seconds(busy(totals));
    let each = match profile.python_threads() {
        0 | 1 => "",
        _ => " (average per thread)",
    };
    format!("CPU time: {cpu} s, {cores:.1}{of} cores busy{each}")
}

/// Whether the states of threads are known.
///
/// # Errors
/// Why not.
pub(crate) fn states(profile: &Profile) -> Result<(), String> {
    if states::whole(profile).is_known() {
        return Ok(());
    }
    let why = why_missing(profile, &["syscall", "stat", "schedstat"]);
    Err(why.unwrap_or_else(|| "the recording does not tell what threads did".to_owned()))
}

/// Why one of these files below `/proc` could not be read.
fn why_missing(profile: &Profile, files: &[&str]) -> Option<String> {
    let is_meant = |what: &str| files.contains(&file_name(what));
    let mut missing = profile.missing().iter();
    let found = missing.find(|missing| is_meant(&missing.what))?;
    Some(in_words(found))
}

fn in_words(missing: &Missing) -> String {
    let (what, why) = (visible(&missing.what), visible(&missing.why));
    match what.contains(' ') {
        true => format!("{what}: {why}"),
        false => format!("/proc/PID/{what}: {why}"),
    }
}

/// What the kernel refused, each once. What it told before is not refused: the process had ended.
pub(crate) fn refused(profile: &Profile) -> BTreeSet<String> {
    let missing = profile.missing().iter();
    let never_told = missing.filter(|missing| {
        let usage = profile.usage().iter();
        let mut own = usage.filter(|usage| usage.process == missing.process);
        !own.any(|usage| tells(usage, &missing.what))
    });
    never_told.map(in_words).collect()
}

/// Whether a reading holds what a file below `/proc/PID` tells.
fn tells(usage: &Usage, file: &str) -> bool {
    match file {
        "io" => usage.read_calls_bytes.is_some() || usage.storage_read_bytes.is_some(),
        "stat" => usage.minor_faults.is_some(),
        "statm" => usage.resident.is_some(),
        "status" => usage.voluntary_switches.is_some() || usage.peak.is_some(),
        "task" => usage.runnable.is_some(),
        _ => false,
    }
}

/// `62 % running native code, 37 % running Python`
pub(crate) fn states_in_words(times: &StateTimes) -> String {
    shares_in_words(times, Nanos(0))
}

/// The same of all threads, where time that was not sampled is told as such, and not as an unknown state.
pub(crate) fn whole_in_words(profile: &Profile, times: &StateTimes) -> String {
    let not_sampled = profile.not_sampled().into_values();
    shares_in_words(times, not_sampled.fold(Nanos(0), |sum, time| sum + time))
}

fn shares_in_words(times: &StateTimes, not_sampled: Nanos) -> String {
    let whole = times.whole().seconds().max(1e-9);
    let mut told: Vec<(f64, String)> = Vec::new();
    for (state, time) in times.ranked() {
        let time = match state {
            State::Unknown => Nanos(time.0.saturating_sub(not_sampled.0)),
            _ => time,
        };
        let words = match state {
            State::Unknown => "in an unknown state".to_owned(),
            state => state.to_string(),
        };
        told.push((time.seconds() / whole, words));
    }
    told.push((not_sampled.seconds() / whole, "not sampled".to_owned()));
    told.retain(|(share, _)| *share >= MIN_SHARE);
    told.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let mut rest = 1.0;
    let mut count = 0;
    for (share, _) in &told {
        if count >= MAX_STATES && rest < MUCH_REST {
            break;
        }
        rest -= share;
        count += 1;
    }
    told.truncate(count);
    if rest >= MIN_REST {
        told.push((rest, "other".to_owned()));
    }
    let words = told
        .iter()
        .map(|(share, words)| format!("{:.0} % {words}", 100.0 * share));
    words.collect::<Vec<_>>().join(", ")
}

/// `the machine was busy: 9.1 s of waiting for a CPU`; `None` where that was a small part of the time in which threads
/// wanted to run.
pub(crate) fn busy_machine(times: &StateTimes) -> Option<String> {
    let wants = |state: &State| *state != State::Unknown && !state.is_blocked();
    let wanted = State::ALL.into_iter().filter(wants);
    let wanted: f64 = wanted.map(|state| times.of(state).seconds()).sum();
    let waited = times.of(State::Ready).seconds();
    (waited > wanted * MIN_READY_SHARE).then(|| {
        let decimals = if waited < 1.0 { 2 } else { 1 };
        format!("the machine was busy: {waited:.decimals$} s of waiting for a CPU")
    })
}

/// Whether anything is known of resident memory.
///
/// # Errors
/// Why not.
pub(crate) fn memory(profile: &Profile) -> Result<(), String> {
    let has = |usage: &Usage| usage.resident.is_some();
    let totals = profile.totals();
    if profile.usage().iter().any(has) || totals.grown_bytes + totals.shrunk_bytes > 0 {
        return Ok(());
    }
    let why = match profile.usage() {
        [] => "the recording holds no reading of it",
        _ => "the kernel did not tell",
    };
    Err(why_missing(profile, &["statm", "status"]).unwrap_or_else(|| why.to_owned()))
}
