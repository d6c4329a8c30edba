//! Turns what is wrong with a profile into one line, where something is.

use crate::export::words::units::span;
use crate::profile::Profile;
use crate::profile::event::{LostCause, Nanos};

/// From this part of the samples or of the time on, something is wrong.
const TOO_MUCH: f64 = 0.01;

/// Samples that were completed later are right but for their innermost frames: more of them do less harm.
const TOO_MANY_UNDETERMINED: f64 = 0.05;

/// What is wrong: `3 % of the samples are lost or cut, 4.20 s were not sampled`.
#[must_use]
pub fn in_words(profile: &Profile) -> Option<String> {
    let samples = profile.totals().samples.max(1) as f64;
    let share = |count: u64| count as f64 / samples;
    let causes = profile.lost().iter();
    let cut = causes.filter(|(cause, _)| **cause != LostCause::Late);
    let cut = share(cut.map(|(_, count)| *count).sum());
    let undetermined = share(profile.undetermined_samples());
    let not_sampled = profile.not_sampled().into_values();
    let not_sampled = not_sampled.fold(Nanos(0), |sum, time| sum + time);
    let is_long = not_sampled.seconds() >= TOO_MUCH * profile.totals().wall.seconds();
    let percent = |share: f64| format!("{:.0} %", 100.0 * share.min(1.0));
    let parts = [
        (!profile.is_complete()).then(|| "the recording is incomplete".to_owned()),
        (profile.rejected() > 0).then(|| format!("{} damaged events", profile.rejected())),
        (cut >= TOO_MUCH).then(|| format!("{} of the samples are lost or cut", percent(cut))),
        (undetermined >= TOO_MANY_UNDETERMINED).then(|| {
            format!(
                "the innermost function is uncertain in {} of the samples",
                percent(undetermined)
            )
        }),
        (is_long && not_sampled > Nanos(0))
            .then(|| format!("{} were not sampled", span(not_sampled))),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| format!("accuracy: {}", parts.join("; ")))
}
