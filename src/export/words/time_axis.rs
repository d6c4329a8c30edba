//! Turns how exactly a profile tells when something was seen into words.

use crate::export::words::units;
use crate::profile::Profile;

/// `time axis in steps of 512 ms`; `None`: it is exact, or the profile was not made for one.
#[must_use]
pub fn in_words(profile: &Profile) -> Option<String> {
    if profile.has_lost_timeline() {
        return Some("no time axis: each stack is shown once".to_owned());
    }
    let step = profile.timeline()?.step()?;
    Some(format!("time axis in steps of {}", units::span(step)))
}
