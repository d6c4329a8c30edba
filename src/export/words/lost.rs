//! Turns what was lost of a profile into words.

use super::units::span;
use crate::profile::event::LostCause;
use crate::profile::{Profile, View};

/// Why there is nothing to show, for a profile without any time in `view`.
pub(crate) fn why_empty(profile: &Profile, view: View) -> String {
    if profile.totals().samples > 0 {
        return format!("no {view} time was seen in any sample");
    }
    let duration = span(profile.duration());
    let lost: u64 = profile.lost().values().sum();
    if lost > 0 {
        return format!("no samples in {duration}: all that were due were lost");
    }
    format!("no samples: {duration} is too short for a sample; a higher rate may catch one")
}

/// What was lost, in words: `nothing lost`, or each cause with its count.
#[must_use]
pub fn lost_in_words(profile: &Profile) -> String {
    let has_gaps = !profile.not_sampled().is_empty();
    let counted = profile.lost().iter().filter(|(_, count)| **count > 0);
    let mut causes: Vec<String> = counted
        .map(|(cause, count)| {
            let (one, many) = match cause {
                LostCause::Late if has_gaps => (
                    "tick skipped (late; its time is in the next sample, or not sampled)",
                    "ticks skipped (late; their time is in the next samples, or not sampled)",
                ),
                LostCause::Late => (
                    "tick skipped (late; its time is in the next sample)",
                    "ticks skipped (late; their time is in the next samples)",
                ),
                LostCause::Unreadable => ("sample unreadable", "samples unreadable"),
                LostCause::Torn => (
                    "sample torn (the stack changed while it was read)",
                    "samples torn (the stack changed while it was read)",
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
                    "stack broken off (a frame could not be read)",
                    "stacks broken off (a frame could not be read)",
                ),
                LostCause::NoEntry => (
                    "stack without an entry frame (a greenlet, or compiled code)",
                    "stacks without an entry frame (greenlets, or compiled code)",
                ),
                LostCause::TooMany => (
                    "stack cut short (the program has more different stacks than a recording holds)",
                    "stacks cut short (the program has more different stacks than a recording holds)",
                ),
            };
            format!("{count} {}", if *count == 1 { one } else { many })
        })
        .collect();
    match profile.rejected() {
        0 => {}
        1 => causes.push("1 damaged event".to_owned()),
        count => causes.push(format!("{count} damaged events")),
    }
    if causes.is_empty() {
        return "nothing lost".to_owned();
    }
    format!("lost: {}", causes.join(", "))
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
