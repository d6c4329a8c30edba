//! Turns what was lost of a profile into words.

use super::number::grouped;
use super::units::span;
use crate::profile::event::LostCause;
use crate::profile::{Mode, Profile};

/// Why there is nothing to show, for a profile without any time in `mode`.
pub(crate) fn why_empty(profile: &Profile, mode: Mode) -> String {
    if profile.totals().samples > 0 {
        return format!("no sample has {mode} time");
    }
    let duration = span(profile.duration());
    let lost: u64 = profile.lost().values().sum();
    if lost > 0 {
        return format!("no samples in {duration}: all of them were lost");
    }
    format!("no samples: {duration} is too short for a sample; a higher rate may catch one")
}

/// What was lost, in words: `nothing lost`, or each cause with its count.
#[must_use]
pub fn lost_in_words(profile: &Profile) -> String {
    let counted = profile.lost().iter().filter(|(_, count)| **count > 0);
    let mut causes: Vec<String> = counted
        .filter_map(|(cause, count)| {
            let (one, many) = match cause {
                LostCause::Late => return None,
                LostCause::Unreadable => ("sample unreadable", "samples unreadable"),
                LostCause::Torn => (
                    "sample torn (the stack changed during the read)",
                    "samples torn (the stack changed during the read)",
                ),
                LostCause::TooDeep => (
                    "stack too deep (its middle is left out)",
                    "stacks too deep (their middles are left out)",
                ),
                LostCause::GeneratorCallers => (
                    "stack without the callers of a generator (it was being resumed or was yielding)",
                    "stacks without the callers of a generator (it was being resumed or was yielding)",
                ),
                LostCause::BrokenLink => (
                    "stack incomplete (a frame could not be read)",
                    "stacks incomplete (a frame could not be read)",
                ),
                LostCause::NoEntry => (
                    "stack without an entry frame (a greenlet, or compiled code)",
                    "stacks without an entry frame (greenlets, or compiled code)",
                ),
                LostCause::TooMany => (
                    "stack cut short (the program has more different stacks than a recording holds)",
                    "stacks cut short (the program has more different stacks than a recording holds)",
                ),
                LostCause::NotStopped => (
                    "native stack not read (the thread did not stop within a second)",
                    "native stacks not read (the thread did not stop within a second)",
                ),
            };
            Some(format!("{} {}", grouped(*count), if *count == 1 { one } else { many }))
        })
        .collect();
    match profile.rejected() {
        0 => {}
        1 => causes.push("1 damaged event".to_owned()),
        count => causes.push(format!("{count} damaged events")),
    }
    let lost = (!causes.is_empty()).then(|| format!("lost: {}", causes.join(", ")));
    match (lost, late(profile)) {
        (None, None) => "nothing lost".to_owned(),
        (Some(part), None) | (None, Some(part)) => part,
        (Some(lost), Some(late)) => format!("{lost}; {late}"),
    }
}

/// How many samples were late, and what became of their time.
fn late(profile: &Profile) -> Option<String> {
    let count = profile
        .lost()
        .get(&LostCause::Late)
        .filter(|count| **count > 0)?;
    let samples = if *count == 1 { "sample" } else { "samples" };
    let time = match profile.not_sampled().is_empty() {
        true => "no time is lost: the next sample covers it",
        false => "the next sample covers the time, or it is marked as not sampled",
    };
    Some(format!("{} {samples} late ({time})", grouped(*count)))
}

/// What was lost, in as few words as a headline has room for: `lost: 3 late, 1 torn`.
pub(crate) fn lost_briefly(profile: &Profile) -> String {
    let counted = profile.lost().iter().filter(|(_, count)| **count > 0);
    let mut causes: Vec<String> = counted
        .map(|(cause, count)| format!("{count} {cause}"))
        .collect();
    if profile.rejected() > 0 {
        causes.push(format!("{} damaged", profile.rejected()));
    }
    if causes.is_empty() {
        return "nothing lost".to_owned();
    }
    format!("lost: {}", causes.join(", "))
}
